//! What the process may do: asked before anything is opened, given up once everything is.
//!
//! The order is part of the matter. On Linux capabilities belong to threads, and a new thread has
//! its maker's:
//!
//! 1. [`check`]: says in one line what is missing, before anything is touched.
//! 2. Open links, bind the control socket, make directories.
//! 3. [`give_up`], in the only thread there is yet.
//! 4. Start workers and every other thread: they are born with what is left.
//!
//! What is left on Linux is nothing, or with [`Keep`] what a link needs to be opened again after its
//! interface came back. For netmap's links that is no capability, on either system: whoever may open
//! `/dev/netmap` may open links. It has an owner and a mode like any file, so a user that links are to be
//! opened again by must be given it (`chown`, udev rule, devfs.rules).
//!
//! Other users' programs cannot look into the process (no core dumps, no ptrace), and nothing it
//! starts gains rights by set-user-id bits. FreeBSD's Capsicum is not used: the netmap device and
//! interfaces are opened by name whenever a link comes back, which capability mode forbids.

#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod platform;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod platform;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;

use hikyaku_config::Account;
use hikyaku_ring::{LinkKind, LinkName};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// What the process must be able to do later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing. Links of netmap's can be opened again with that, by whoever may open the device.
    Nothing,
    /// Open AF_XDP links again: CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, and CAP_IPC_LOCK for their memory.
    Xdp,
}

impl Keep {
    /// What it takes to open these links again.
    pub fn links<'a>(links: impl IntoIterator<Item = &'a LinkName>) -> Self {
        let any = links.into_iter().any(|link| link.kind() == LinkKind::Xdp);
        if any { Self::Xdp } else { Self::Nothing }
    }
}

/// The process may not do what it is to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needed_by} needs {}, which this process has not; {how}", names.join(", "), how = platform::HOW_TO_GIVE)]
pub struct Missing {
    needed_by: String,
    names: Vec<String>,
}

/// Whether the process may do what it is to do: open `links`, and become `account`. Whether a device
/// file may be opened, opening it says better.
pub fn check<'a>(links: impl IntoIterator<Item = &'a LinkName>, account: Option<&Account>) -> Result<(), Missing> {
    for link in links {
        if Keep::links([link]) == Keep::Xdp {
            platform::check_xdp().map_err(|names| Missing { needed_by: link.to_string(), names })?;
        }
    }
    if let Some(account) = account {
        let needed_by = || format!("becoming user {}", account.name);
        platform::check_account().map_err(|names| Missing { needed_by: needed_by(), names })?;
    }
    Ok(())
}

/// Something could not be given up. The process has to end: it has more rights than it should.
#[derive(Debug, thiserror::Error)]
pub enum NotGivenUp {
    /// A system call that gives something up failed.
    #[error("cannot give up privileges: {call}: {error}")]
    Call {
        /// The call's name.
        call: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// There are more threads, which would keep what they have.
    #[error(
        "cannot give up privileges: {0} threads run already, and each has its own; this is a bug, please report it"
    )]
    Threads(usize),
    /// It is still another user.
    #[error("cannot give up privileges: still user {0} after becoming another")]
    StillUser(u32),
}

fn call<E: Into<io::Error>>(call: &'static str) -> impl Fn(E) -> NotGivenUp {
    move |error| NotGivenUp::Call { call, error: error.into() }
}

/// Gives up everything but `keep`, and becomes `account` if there is one. For the calling thread and
/// all that it starts from now on; to be called before it has started any.
pub fn give_up(account: Option<&Account>, keep: Keep) -> Result<(), NotGivenUp> {
    platform::before(account, keep)?;
    if let Some(account) = account {
        let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        // The user last: whoever is no superuser any more cannot change groups.
        setgroups(&groups).map_err(call("setgroups"))?;
        setresgid(gid, gid, gid).map_err(call("setresgid"))?;
        setresuid(uid, uid, uid).map_err(call("setresuid"))?;
        if Uid::current() != uid || Uid::effective() != uid {
            return Err(NotGivenUp::StillUser(Uid::effective().as_raw()));
        }
    }
    platform::after(keep)
}

/// Makes a directory of ours, and those above it, where they are missing; a new one is given to
/// `account`. One that exists is left as it is.
pub fn directory(path: &Path, mode: u32, account: Option<&Account>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(there) = path.ancestors().find(|above| above.symlink_metadata().is_ok()).filter(|there| !there.is_dir())
    {
        let what = format!("{} is there, and is no directory: move it away, or name another place", there.display());
        return Err(io::Error::other(what));
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path.parent().unwrap_or(path))?;
    DirBuilder::new().mode(mode).create(path)?;
    match account {
        Some(account) => chown(path, Some(account.uid), Some(account.gid)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_of_a_directory_is_named() {
        let dir = std::env::temp_dir().join(format!("hikyaku-directory-{}", std::process::id()));
        directory(&dir.join("a/b"), 0o700, None).unwrap();
        directory(&dir.join("a/b"), 0o700, None).unwrap();
        let file = dir.join("a/file");
        std::fs::write(&file, "").unwrap();
        let says = format!("{} is there, and is no directory: move it away, or name another place", file.display());
        for path in [file.clone(), file.join("c/d")] {
            assert_eq!(directory(&path, 0o700, None).unwrap_err().to_string(), says);
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_most_demanding_link_counts() {
        let link = |name: &str| name.parse::<LinkName>().unwrap();
        assert_eq!(Keep::links([]), Keep::Nothing);
        assert_eq!(Keep::links([&link("netmap:ix0"), &link("vale0:a")]), Keep::Nothing);
        assert_eq!(Keep::links([&link("netmap:ix0"), &link("xdp:eth0-1")]), Keep::Xdp);
    }
}
