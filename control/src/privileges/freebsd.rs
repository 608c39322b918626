//! FreeBSD: the superuser or not.

use hikyaku_platform::forbid_inspection;
use nix::unistd::Uid;
use rustix::process::set_no_new_privs;

use super::{Account, Keep, NotGivenUp, call};

/// How a process gets rights: there is one way only.
pub const HOW_TO_GIVE: &str = "start it as root";

fn check() -> Result<(), Vec<String>> {
    if Uid::effective().is_root() { Ok(()) } else { Err(vec!["the superuser's rights".into()]) }
}

/// There are no such links; opening one says so.
pub fn check_xdp() -> Result<(), Vec<String>> {
    Ok(())
}

pub fn check_account() -> Result<(), Vec<String>> {
    check()
}

pub fn before(_: Option<&Account>, _: Keep) -> Result<(), NotGivenUp> {
    Ok(())
}

/// Whatever is to be kept is a matter of the user: see the module's text about `/dev/netmap`.
pub fn after(_: Keep) -> Result<(), NotGivenUp> {
    set_no_new_privs(None).map_err(call("PROC_NO_NEW_PRIVS_CTL"))?;
    forbid_inspection().map_err(call("PROC_TRACE_CTL"))
}
