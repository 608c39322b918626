//! The system calls of the control plane that no safe crate makes, or makes right: one file per system, with the same
//! functions in each. No other crate of the control plane has `unsafe` code.
//!
//! - [`forbid_inspection`]: no core dumps of the process, no debugger at it.
//! - `tun` (Linux): a TUN device, for the lab.

#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;

pub use system::forbid_inspection;
#[cfg(target_os = "linux")]
pub use system::tun;
