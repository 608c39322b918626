//! Linux: capabilities, each thread's own.

use hikyaku_platform::forbid_inspection;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
};

use super::{Account, Keep, NotGivenUp, call};

/// How a process gets capabilities.
pub const HOW_TO_GIVE: &str = "start it as root, or give it them (setcap, AmbientCapabilities= of systemd)";

fn kept(keep: Keep) -> CapabilitySet {
    match keep {
        Keep::Nothing => CapabilitySet::empty(),
        Keep::Xdp => CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW | CapabilitySet::BPF | CapabilitySet::IPC_LOCK,
    }
}

/// Which of them this thread has not. Kernels take CAP_SYS_ADMIN for CAP_BPF.
fn check(needed: CapabilitySet) -> Result<(), Vec<String>> {
    let mut have = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    if have.contains(CapabilitySet::SYS_ADMIN) {
        have |= CapabilitySet::BPF;
    }
    let missing = needed - have;
    if missing.is_empty() { Ok(()) } else { Err(missing.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()) }
}

pub fn check_xdp() -> Result<(), Vec<String>> {
    check(kept(Keep::Xdp))
}

pub fn check_account() -> Result<(), Vec<String>> {
    check(CapabilitySet::SETUID | CapabilitySet::SETGID)
}

/// While it still may: nothing can come back later, and becoming another user keeps what is to be kept.
pub fn before(account: Option<&Account>, keep: Keep) -> Result<(), NotGivenUp> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(NotGivenUp::Threads(threads));
    }
    clear_ambient_capability_set().map_err(call("clearing ambient capabilities"))?;
    let have = capabilities(None).map_err(call("capget"))?;
    // Without CAP_SETPCAP the bounding set stays; no_new_privs makes it mean nothing.
    if have.effective.contains(CapabilitySet::SETPCAP) {
        let all = (0..CapabilitySet::all().bits().count_ones() + 8).map(|n| CapabilitySet::from_bits_retain(1 << n));
        // The kernel knows its last one: those behind it are no valid argument.
        let bounding = all.take_while(|&one| capability_is_in_bounding_set(one).is_ok());
        for one in bounding.filter(|&one| !kept(keep).contains(one)) {
            remove_capability_from_bounding_set(one).map_err(call("lowering the bounding set"))?;
        }
    }
    let keeps = account.is_some() && keep != Keep::Nothing;
    if keeps {
        set_keep_capabilities(true).map_err(call("PR_SET_KEEPCAPS"))?;
    }
    Ok(())
}

/// What is left is exactly what was to be kept.
pub fn after(keep: Keep) -> Result<(), NotGivenUp> {
    let have = capabilities(None).map_err(call("capget"))?;
    let kept = kept(keep) & have.permitted;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(call("capset"))?;
    set_keep_capabilities(false).map_err(call("PR_SET_KEEPCAPS"))?;
    set_no_new_privs(true).map_err(call("PR_SET_NO_NEW_PRIVS"))?;
    // Last: becoming another user sets it anew.
    forbid_inspection().map_err(call("PR_SET_DUMPABLE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // What is left afterwards is tested in tests/privileges.rs: it takes a process with one thread.
    #[test]
    fn other_threads_are_noticed() {
        // This is one: the harness's main thread waits for it.
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv());
        assert!(matches!(super::super::give_up(None, Keep::Nothing), Err(NotGivenUp::Threads(2..))));
        drop(stop);
        let _ = other.join();
    }
}
