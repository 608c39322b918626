//! The system calls of the control plane that no safe crate makes, or makes right: one file per system, with the same
//! functions in each. No other crate of the control plane has `unsafe` code.
//!
//! - [`forbid_inspection`]: no core dumps of the process, no debugger at it.
//! - [`ReceiveFilter`]: what a card passes on while its own network stack is bypassed.
//! - `tun` and `wire` (Linux): a TUN device and a packet socket, for the lab.

mod receive_filter;

#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;

use std::ffi::CString;
use std::io;

pub use receive_filter::{Heard, ReceiveFilter};
pub use system::forbid_inspection;
#[cfg(target_os = "linux")]
pub use system::{tun, wire};

/// The interface's number.
fn index(interface: &str) -> io::Result<u32> {
    let name = CString::new(interface)?;
    // SAFETY: a NUL-terminated name, which the call only reads.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}
