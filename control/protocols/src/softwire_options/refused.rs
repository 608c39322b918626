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
    /// MAP-T (option 95) is recognised, and not supported.
    #[error("the provider offers MAP-T (DHCPv6 option 95), which hikyaku cannot do; ask for MAP-E, lw4o6 or DS-Lite")]
    MapT,
    /// An option code that is none of the containers of RFC 7598 5 (94, 95, 96).
    #[error("{0} is no softwire container")]
    NoContainer(Code),
    /// Its fields, or the options in it, end behind its end.
    #[error("{0} is cut off; tell the provider")]
    Truncated(Code),
    /// It has a length of its own.
    #[error("{code} has {len} octets, not {must}; tell the provider")]
    Length {
        /// The option whose length is wrong.
        code: Code,
        /// Its length as the server wrote it, in octets.
        len: usize,
        /// The length that RFC 7598 gives it, in octets.
        must: usize,
    },
    /// RFC 7598 6 has no place for it there.
    #[error("{0} does not belong into {1}; tell the provider")]
    Misplaced(Code, Code),
    /// The first option is in the second more than once, and may be there once (RFC 7598 6).
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
        /// The option that the number is in.
        code: Code,
        /// The field's name in RFC 7598.
        field: &'static str,
        /// The number as the server wrote it.
        value: u8,
        /// The largest that it may be.
        most: u8,
    },
    /// Offset and PSID are longer than a port.
    #[error("S46_PORTPARAMS (93) has offset {offset} and PSID-len {psid_len}, together over the 16 bits of a port")]
    PortBits {
        /// PSID offset, `a` of RFC 7597 5.1, in bits.
        offset: u8,
        /// Length of the PSID, `k` of RFC 7597 5.1, in bits.
        psid_len: u8,
    },
    /// RFC 7598 4.5. A PSID at the wrong side would be read as another, and nothing would come back.
    #[error("S46_PORTPARAMS (93) has PSID {psid:#06x}, which is not {psid_len} bits on the left; tell the provider")]
    NotLeftJustified {
        /// The PSID field as the server wrote it.
        psid: u16,
        /// Length of the PSID, `k` of RFC 7597 5.1, in bits.
        psid_len: u8,
    },
    /// A far end that is no address of a single host: no tunnel can end there.
    #[error("{code} has {address}, which is no address of a host; tell the provider")]
    NoHost {
        /// The option that the address is in.
        code: Code,
        /// The address as the server wrote it.
        address: IpAddr,
    },
    /// A mapping rule that is well formed and contradicts RFC 7597 5.
    #[error("S46_RULE (89): {0}")]
    Rule(#[from] BadRule),
    /// The container has no mapping rules, or too many.
    #[error("S46_CONT_MAPE (94): {0}; tell the provider")]
    Domain(#[from] BadDomain),
}
