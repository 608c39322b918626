//! The packet path of hikyaku: netmap rings, IPv4-in-IPv6 tunnels, NAPT, pinned workers.

#![forbid(unsafe_code)]

pub mod counters;
pub mod cpu;
pub mod icmp;
pub mod map;
pub mod napt;
pub mod packet;
pub mod path;
pub mod snapshot;
pub mod time;
pub mod tunnel;
pub mod verdict;
pub mod worker;

pub use hikyaku_ring as ring;
