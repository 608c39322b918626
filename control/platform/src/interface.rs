//! Interfaces by name and number.

use std::ffi::CString;
use std::io;

/// The number by which the system knows an interface (if_nametoindex(3)).
pub(crate) fn index(interface: &str) -> io::Result<u32> {
    let name = CString::new(interface)?;
    // SAFETY: a NUL-terminated name, which the call only reads.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}
