//! The packet path of hikyaku: netmap rings, IPv4-in-IPv6 tunnels, NAPT, pinned workers.

pub mod icmp;
pub mod packet;
pub mod ring;
pub mod time;
pub mod tunnel;
pub mod verdict;
