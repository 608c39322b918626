//! Nouns of IP networks: addresses, prefixes, port sets, MAP-E's arithmetic, headers, checksums, time.
//!
//! Everything here is a value or a view over bytes that the caller holds. This crate never opens, reads or
//! waits for anything (but [`Clock`], which reads the machine's), knows no link, session or configuration, and
//! has no unsafe code. Everything else in the project may use it; it uses nothing of theirs.

#![forbid(unsafe_code)]

mod addr;
pub mod checksum;
mod limiter;
pub mod map;
pub mod packet;
mod port_set;
mod prefix4;
mod prefix6;
pub mod protocol;
mod time;

pub use addr::{Addr4, Addr6, Mac, Port};
pub use limiter::Limiter;
pub use port_set::PortSet;
pub use prefix4::{NotAPrefix4, Prefix4};
pub use prefix6::{NotAPrefix6, Prefix6};
pub use time::{Clock, Time};
