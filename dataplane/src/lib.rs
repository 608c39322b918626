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

/// Header views, by the names they had in this crate.
pub mod packet {
    pub use hikyaku_net::checksum::{Checksum, Delta};
    pub use hikyaku_net::packet::*;
    pub use hikyaku_net::{Addr4, Addr6, Mac, Port, checksum, protocol};
}

/// Time, by the name it had in this crate.
pub mod time {
    pub use hikyaku_net::{Clock, Time};
}

/// MAP-E, by the name it had in this crate.
pub mod map {
    pub use hikyaku_net::map::*;
    pub use hikyaku_net::{NotAPrefix6, Prefix6};
}

pub use hikyaku_ring as ring;
