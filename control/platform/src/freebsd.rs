//! FreeBSD.

use std::io;

use libc::{c_int, id_t};

/// Forbids core dumps of this process, and debuggers and ktrace at it (procctl(2), PROC_TRACE_CTL).
///
/// # Errors
/// What the kernel says: it refuses while a debugger is there.
pub fn forbid_inspection() -> io::Result<()> {
    let mut value: c_int = libc::PROC_TRACE_CTL_DISABLE;
    // rustix 1.1 passes the value where the kernel reads through a pointer, and gets EFAULT.
    // SAFETY: this command reads an int at that address, and keeps no pointer to it.
    let result = unsafe {
        libc::procctl(libc::P_PID, std::process::id() as id_t, libc::PROC_TRACE_CTL, (&raw mut value).cast())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
