//! The packet path of hikyaku: netmap rings, IPv4-in-IPv6 tunnels, NAPT, pinned workers.
#![warn(missing_docs)]

pub mod ring;
