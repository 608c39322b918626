//! MAP-E, the arithmetic of it (RFC 7597 5 and 6): which IPv4 address, which ports and which end of
//! the tunnel a prefix of the line stands for, and back from address and port to the tunnel's end.
//!
//! The control thread asks it when a line gets its prefix, the packet path when a packet goes
//! straight to another CE or comes from one.

mod mesh;
mod rule;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::Prefix6;

pub use mesh::Mesh;
pub use rule::{BadRule, Ce, Psid, Rule, Unfit};

/// The longest rule that a line's prefix is in (RFC 7597 5); of two with the same prefix the first.
pub fn longest(rules: &[Rule], end_user: Prefix6) -> Option<&Rule> {
    let fits = |rule: &&Rule| rule.ipv6().contains(end_user.address()) && rule.ipv6().len() <= end_user.len();
    rules.iter().rev().filter(fits).max_by_key(|rule| rule.ipv6().len())
}

/// How the lower half of a CE's address is made of its IPv4 address and PSID. Both ends of a tunnel
/// must do it alike; address and ports are the same either way, so no port check finds a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterfaceId {
    /// draft-ietf-softwire-map-03 6: 8 zero bits, IPv4 address, PSID in 16 bits, 8 zero bits. What is
    /// used in Japan.
    Draft03,
    /// RFC 7597 6: 16 zero bits, IPv4 address, PSID in 16 bits.
    Rfc7597,
}

impl InterfaceId {
    /// The 64 bits. The PSID is right-justified in its 16; 0 without port set.
    pub const fn of(self, ipv4: Ipv4Addr, psid: u16) -> u64 {
        let both = (ipv4.to_bits() as u64) << 16 | psid as u64;
        match self {
            Self::Draft03 => both << 8,
            Self::Rfc7597 => both,
        }
    }
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft03 => "draft03",
            Self::Rfc7597 => "rfc7597",
        })
    }
}

/// Text that names no [`InterfaceId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no form of interface id: want draft03 (as used in Japan) or rfc7597")]
pub struct NotAnInterfaceId(String);

impl FromStr for InterfaceId {
    type Err = NotAnInterfaceId;
    fn from_str(text: &str) -> Result<Self, NotAnInterfaceId> {
        match text {
            "draft03" => Ok(Self::Draft03),
            "rfc7597" => Ok(Self::Rfc7597),
            _ => Err(NotAnInterfaceId(text.to_owned())),
        }
    }
}
