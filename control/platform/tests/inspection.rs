//! Nobody looks into the process: asked of the system by another way than it was told.

use rustix::process;

#[test]
fn no_dumps_and_no_debuggers_afterwards() {
    assert!(!is_closed());
    hikyaku_platform::forbid_inspection().unwrap();
    assert!(is_closed());
    // Again is no error: the program does so after it became another user.
    hikyaku_platform::forbid_inspection().unwrap();
}

#[cfg(target_os = "linux")]
fn is_closed() -> bool {
    process::dumpable_behavior().unwrap() == process::DumpableBehavior::NotDumpable
}

#[cfg(target_os = "freebsd")]
fn is_closed() -> bool {
    matches!(process::trace_status(None).unwrap(), process::TracingStatus::NotTraceble)
}
