//! The system calls of the control plane that no safe crate makes, or makes right: one file per system, with the same
//! functions in each. No other crate of the control plane has `unsafe` code.
//!
//! - [`forbid_inspection`]: no core dumps of the process, no debugger at it.
//! - [`ReceiveFilter`]: what a card passes on while its own network stack is bypassed.
//! - `tun` and `wire` (Linux): a TUN device and a packet socket, for the lab.

mod interface;
mod receive_filter;
mod system;

pub use receive_filter::{Heard, ReceiveFilter};
pub use system::forbid_inspection;
#[cfg(target_os = "linux")]
pub use system::{tun, wire};
