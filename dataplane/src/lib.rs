//! The packet path of hikyaku: netmap rings, IPv4-in-IPv6 tunnels, NAPT, pinned workers.

#![forbid(unsafe_code)]

pub mod counters;
pub mod cpu;
pub mod icmp;
pub mod napt;
pub mod path;
pub mod shared;
pub mod snapshot;
pub mod tunnel;
pub mod verdict;
pub mod worker;
