//! Why a container is of no use.

use std::fmt;
use std::net::IpAddr;

use hikyaku_net::map::BadRule;
use thiserror::Error;

use super::wire;
use crate::map_domain::BadDomain;

/// A DHCPv6 option, by name and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            wire::RULE => "S46_RULE",
            wire::BR => "S46_BR",
            wire::DMR => "S46_DMR",
            wire::V4V6BIND => "S46_V4V6BIND",
            wire::PORTPARAMS => "S46_PORTPARAMS",
            wire::CONT_MAPE => "S46_CONT_MAPE",
            wire::CONT_MAPT => "S46_CONT_MAPT",
            wire::CONT_LW => "S46_CONT_LW",
            other => return write!(f, "DHCPv6 option {other}"),
        };
        write!(f, "{name} ({})", self.0)
    }
}

/// Why a container is refused as a whole, as RFC 7598 8 asks for where anything in it is invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Recognised, and not done.
    #[error("the provider offers MAP-T (DHCPv6 option 95), which hikyaku cannot do; ask for MAP-E, lw4o6 or DS-Lite")]
    MapT,
    /// See the text.
    #[error("{0} is no softwire container")]
    NoContainer(Code),
    /// Its fields, or the options in it, end behind its end.
    #[error("{0} is cut off; tell the provider")]
    Truncated(Code),
    /// It has a length of its own.
    #[error("{code} has {len} octets, not {must}; tell the provider")]
    Length {
        /// Which.
        code: Code,
        /// As it came.
        len: usize,
        /// RFC 7598.
        must: usize,
    },
    /// RFC 7598 6 has no place for it there.
    #[error("{0} does not belong into {1}; tell the provider")]
    Misplaced(Code, Code),
    /// It may be there once.
    #[error("{0} is there more than once in {1}; tell the provider")]
    Repeated(Code, Code),
    /// It must be there (RFC 7598 6).
    #[error("{0} is not there in {1}; tell the provider")]
    Missing(Code, Code),
    /// Without an address in it, the address comes by DHCPv4 over DHCPv6 (RFC 7341).
    #[error("S46_CONT_LW (96) has no IPv4 address (S46_V4V6BIND, 92), and hikyaku does no DHCPv4 over DHCPv6")]
    NoAddress,
    /// A number beyond what it can be.
    #[error("{code} has {field} {value}, over {most}; tell the provider")]
    TooLarge {
        /// Which.
        code: Code,
        /// As RFC 7598 calls it.
        field: &'static str,
        /// As it came.
        value: u8,
        /// The largest.
        most: u8,
    },
    /// Offset and PSID are longer than a port.
    #[error("S46_PORTPARAMS (93) has offset {offset} and PSID-len {psid_len}, together over the 16 bits of a port")]
    PortBits {
        /// a.
        offset: u8,
        /// k.
        psid_len: u8,
    },
    /// RFC 7598 4.5. A PSID at the wrong side would be read as another, and nothing would come back.
    #[error("S46_PORTPARAMS (93) has PSID {psid:#06x}, which is not {psid_len} bits on the left; tell the provider")]
    NotLeftJustified {
        /// The field as it came.
        psid: u16,
        /// k.
        psid_len: u8,
    },
    /// No tunnel ends there.
    #[error("{code} has {address}, which is no address of a host; tell the provider")]
    NoHost {
        /// Which.
        code: Code,
        /// As it came.
        address: IpAddr,
    },
    /// Well formed, but no rule.
    #[error("S46_RULE (89): {0}")]
    Rule(#[from] BadRule),
    /// No rules, or too many.
    #[error("S46_CONT_MAPE (94): {0}; tell the provider")]
    Domain(#[from] BadDomain),
}
