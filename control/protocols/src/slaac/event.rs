//! What happened on the line, in words.

use std::fmt;
use std::net::Ipv6Addr;

use super::Lifetime;

/// For the log. Each is said once, when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what their names say
pub enum Event {
    /// A default router was heard for the first time.
    RouterFound { address: Ipv6Addr },
    /// It said that it is none any more (lifetime 0).
    RouterWithdrawn { address: Ipv6Addr },
    /// It was not heard for as long as it had said.
    RouterExpired { address: Ipv6Addr },
    /// There were too many; it was heard longest ago.
    RouterForgotten { address: Ipv6Addr },
    /// Another default router is used from now on, or none.
    RouterInUse { address: Option<Ipv6Addr> },
    /// A prefix was advertised for the first time.
    PrefixNew { prefix: Ipv6Addr, length: u8, preferred: Lifetime, valid: Lifetime },
    /// It is not for new connections any more.
    PrefixDeprecated { prefix: Ipv6Addr, length: u8, left: Lifetime },
    /// It is for new connections again.
    PrefixPreferred { prefix: Ipv6Addr, length: u8 },
    /// A prefix's valid lifetime is over, or a router said that it is.
    PrefixGone { prefix: Ipv6Addr, length: u8 },
    /// Somebody else has an address that we made.
    Duplicate { address: Ipv6Addr, another: bool },
    /// The largest packet of the link, in bytes, is another one.
    Mtu { old: u16, new: u16 },
    /// A router advertises an MTU that cannot be.
    MtuRefused { router: Ipv6Addr, mtu: u32, most: u16 },
    /// The flags M and O of the router in use are others (RFC 4861 4.2).
    Flags { managed: bool, other: bool },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RouterFound { address } => write!(f, "router {address} found"),
            Self::RouterWithdrawn { address } => {
                write!(f, "router {address} is no default router any more: it says so")
            }
            Self::RouterExpired { address } => write!(f, "router {address} lost: not heard for its whole lifetime"),
            Self::RouterForgotten { address } => write!(f, "router {address} forgotten: too many routers"),
            Self::RouterInUse { address: Some(address) } => write!(f, "router {address} is used"),
            Self::RouterInUse { address: None } => f.write_str("no router is left"),
            Self::PrefixNew { prefix, length, preferred, valid } => {
                write!(f, "prefix {prefix}/{length} is new: preferred {preferred}, valid {valid}")
            }
            Self::PrefixDeprecated { prefix, length, left } => {
                write!(f, "prefix {prefix}/{length} is deprecated: valid {left} more")
            }
            Self::PrefixPreferred { prefix, length } => write!(f, "prefix {prefix}/{length} is preferred again"),
            Self::PrefixGone { prefix, length } => write!(f, "prefix {prefix}/{length} is gone"),
            Self::Duplicate { address, another: true } => {
                write!(f, "address {address} is somebody else's: another is tried")
            }
            Self::Duplicate { address, another: false } => write!(
                f,
                "address {address} is somebody else's: given up; find who has it, or choose another interface id"
            ),
            Self::Mtu { old, new } => write!(f, "MTU of the link {new}, was {old}"),
            Self::MtuRefused { router, mtu, most } => {
                write!(f, "router {router} advertises MTU {mtu}: ignored, it has to be 1280 to {most}")
            }
            Self::Flags { managed, other } => match (managed, other) {
                (true, _) => f.write_str("the router says: addresses by DHCPv6 (M)"),
                (false, true) => f.write_str("the router says: resolvers and the like by DHCPv6 (O)"),
                (false, false) => f.write_str("the router says: no DHCPv6"),
            },
        }
    }
}
