//! What a process may still do after it gave up its privileges. Each case is a process of its own,
//! with one thread; needs root, without which little can be given up.

use std::process::{Command, ExitCode};

const NAME: &str = "what_is_left_is_what_was_to_be_kept";
/// The case that a process is to be.
const CASE: &str = "HIKYAKU_TEST_CASE";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let has = |arg: &str| args.iter().any(|a| a == arg);
    // The little that test runners ask of a harness.
    if has("--list") {
        if !has("--ignored") {
            println!("{NAME}: test");
        }
        return ExitCode::SUCCESS;
    }
    match std::env::var(CASE) {
        Ok(case) => system::child(case.parse().expect("a number")),
        Err(_) => system::cases(|case| {
            let child = Command::new(&args[0]).env(CASE, case.to_string()).status();
            assert!(child.expect("a child").success(), "case {case}");
        }),
    }
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
mod system {
    use std::collections::BTreeMap;
    use std::fs::File;

    use hikyaku::privileges::{Keep, check, give_up};
    use hikyaku_config::Account;

    // include/uapi/linux/capability.h
    const NET_ADMIN: u64 = 1 << 12;
    const NET_RAW: u64 = 1 << 13;
    const IPC_LOCK: u64 = 1 << 14;
    const BPF: u64 = 1 << 39;
    const KEPT: [(Keep, u64); 2] = [(Keep::Nothing, 0), (Keep::Xdp, NET_ADMIN | NET_RAW | IPC_LOCK | BPF)];

    pub fn cases(run: impl Fn(usize)) {
        let all = status()["CapEff"].clone();
        if u64::from_str_radix(&all, 16).unwrap() & (BPF | NET_ADMIN | 0b1_1100_0000) != BPF | NET_ADMIN | 0b1_1100_0000
        {
            return println!("not tested: needs root");
        }
        (0..2 * KEPT.len()).for_each(run);
    }

    /// `/proc/…/status` of this thread.
    fn status() -> BTreeMap<String, String> {
        let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(key, value)| (key.to_string(), value.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
    }

    pub fn child(case: usize) {
        let (keep, left) = KEPT[case / 2];
        let nobody = Account { groups: vec![1, 65534], ..Account::named("nobody").unwrap() };
        let account = (case % 2 == 1).then_some(&nobody);
        assert_eq!(check([], account), Ok(()));
        give_up(account, keep).unwrap();
        // This thread, and one that is born now.
        for status in [status(), std::thread::spawn(status).join().unwrap()] {
            for set in ["CapEff", "CapPrm", "CapBnd"] {
                assert_eq!(status[set], format!("{left:016x}"), "{set} {keep:?} {account:?}");
            }
            for set in ["CapInh", "CapAmb"] {
                assert_eq!(status[set], format!("{:016x}", 0), "{set} {keep:?} {account:?}");
            }
            assert_eq!(status["NoNewPrivs"], "1");
            if account.is_some() {
                // Real, effective, saved, of the file system.
                let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
                assert_eq!((&status["Uid"], &status["Gid"]), (&four(nobody.uid), &four(nobody.gid)));
                assert_eq!(status["Groups"], "1 65534");
            }
        }
        // Of a process that cannot be looked into, these are the superuser's (proc(5)).
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self/environ").unwrap());
        assert_eq!(owner, 0);
        let error = check([], Some(&nobody)).unwrap_err().to_string();
        assert!(error.contains("CAP_SETGID, CAP_SETUID"), "{error}");
        if account.is_some() {
            assert!(nix::unistd::setuid(nix::unistd::Uid::from_raw(0)).is_err());
            assert!(File::open("/etc/shadow").is_err());
        }
    }
}

#[cfg(target_os = "freebsd")]
mod system {
    use std::fs::File;

    use hikyaku::privileges::{Keep, check, give_up};
    use hikyaku_config::Account;
    use nix::unistd::Uid;
    use rustix::process::{TracingStatus, no_new_privs, trace_status};

    /// As whoever this is, and as nobody.
    pub fn cases(run: impl Fn(usize)) {
        run(0);
        if Uid::effective().is_root() {
            run(1);
        } else {
            println!("not tested: becoming another user needs root");
        }
    }

    pub fn child(case: usize) {
        let nobody = Account::named("nobody").unwrap();
        let account = (case == 1).then_some(&nobody);
        assert_eq!(check([], account), Ok(()));
        give_up(account, Keep::Nothing).unwrap();
        assert_eq!(trace_status(None).unwrap(), TracingStatus::NotTraceble);
        assert!(no_new_privs(None).unwrap());
        if account.is_some() {
            assert_eq!((Uid::current().as_raw(), Uid::effective().as_raw()), (nobody.uid, nobody.uid));
            let error = check([], Some(&nobody)).unwrap_err().to_string();
            assert!(error.contains("superuser"), "{error}");
            assert!(nix::unistd::setuid(Uid::from_raw(0)).is_err());
            assert!(File::open("/etc/master.passwd").is_err());
        }
    }
}
