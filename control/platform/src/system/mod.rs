//! The same functions for each system.

#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "freebsd")]
pub use freebsd::forbid_inspection;
#[cfg(target_os = "linux")]
pub use linux::{forbid_inspection, tun, wire};

#[cfg(target_os = "freebsd")]
pub(crate) use freebsd::Holder;
#[cfg(target_os = "linux")]
pub(crate) use linux::Holder;
