//! Mapping rules (RFC 7597 5).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::InterfaceId;
use crate::{Addr4, Addr6, NotAPrefix4, NotAPrefix6, PortSet, Prefix4, Prefix6};

/// A mapping rule: how the bits of a line's prefix that follow `ipv6` (the EA bits) give the rest of
/// an IPv4 address in `ipv4`, and then a PSID.
///
/// A basic rule is that for one's own prefix; with [`Rule::is_forwarding`] it also says where other CEs
/// are, and packets go straight to them (mesh mode, RFC 7597 5 and 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    ipv6: Prefix6,
    ipv4: Prefix4,
    ea_len: u8,
    psid_offset: u8,
    /// Given beside the rule, not found in the EA bits.
    given: Option<Psid>,
    forwarding: bool,
}

/// A port set's number (RFC 7597 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Psid {
    /// Length in bits, 0 to 16; 0: all ports.
    pub len: u8,
    /// Its value, less than 2^len.
    pub value: u16,
}

/// What a prefix of the line gives by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ce {
    /// The IPv4 address; of an IPv4 prefix ([`Self::ipv4_len`]) the first.
    pub ipv4: Ipv4Addr,
    /// 32, or less where rule and EA bits leave a whole prefix to the CE (RFC 7597 5.2, r + o < 32).
    pub ipv4_len: u8,
    /// Which ports of it.
    pub psid: Psid,
    /// Where the PSID stands in a port (RFC 7597 5.1, a).
    pub psid_offset: u8,
    /// The ports that are ours.
    pub ports: PortSet,
    /// The end-user prefix, cut to rule and EA bits: the border router knows no more of it.
    pub end_user: Prefix6,
    /// Our end of the tunnel: in the first subnet of [`Self::end_user`] (RFC 7597 6), whatever subnet the
    /// line's own prefix is. A line with a longer prefix must see for itself whether that reaches it.
    pub address: Ipv6Addr,
}

/// Why numbers are no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// The text is not four fields of their kinds.
    #[error(
        "'{0}' is no MAP rule: want IPV6,IPV4,EA_LENGTH,PSID_OFFSET such as 2001:db8::/40,192.0.2.0/24,16,6; \
         {1}"
    )]
    Syntax(String, String),
    /// The EA length is above 48 bits (RFC 7598 4.1).
    #[error("EA length {0}: it is 48 bits at most; check the rule")]
    EaLen(u8),
    /// Prefix and EA bits together are longer than 128 bits.
    #[error("the rule's prefix {ipv6} and {ea_len} EA bits are longer than an IPv6 address; check the rule")]
    TooLong {
        /// The rule's IPv6 prefix.
        ipv6: Prefix6,
        /// EA bits behind it.
        ea_len: u8,
    },
    /// The PSID offset is above 15 (RFC 7598 4.5).
    #[error("PSID offset {0}: it is 0 to 15; check the rule")]
    Offset(u8),
    /// RFC 7597 5.1: a + k > 16.
    #[error(
        "PSID offset {offset} + PSID length {psid_len} > 16, the bits of a port; check PSID offset, EA length and \
         the length of the IPv4 prefix"
    )]
    PortBits {
        /// The PSID offset, RFC 7597's *a*, bits.
        offset: u8,
        /// The PSID length, RFC 7597's *k*, bits.
        psid_len: u8,
    },
    /// A PSID length is given that the EA bits contradict.
    #[error("PSID length {given}: it must equal EA length - (32 - length of {ipv4}) = {implied}; leave it out")]
    PsidLen {
        /// The length as given, bits.
        given: u8,
        /// As EA bits and IPv4 prefix make it.
        implied: u8,
        /// The IPv4 prefix of the rule.
        ipv4: Prefix4,
    },
    /// A PSID is given that needs more bits than it has.
    #[error("PSID {0} has more than its length of {1} bits; check both")]
    PsidValue(u16, u8),
    /// RFC 7597 5.2: a PSID of its own makes sense for one address.
    #[error("a PSID is given, and {ipv4} with {ea_len} EA bits is not one address: give ADDRESS/32 and 0 EA bits")]
    PsidOfMany {
        /// The IPv4 prefix of the rule.
        ipv4: Prefix4,
        /// The EA length of the rule, bits.
        ea_len: u8,
    },
}

/// Why a prefix of the line does not fit a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The line's prefix does not begin with that of the rule.
    #[error("{end_user} is outside the rule {rule}: this service has no rule for the line's prefix")]
    Outside {
        /// The prefix of the line.
        end_user: Prefix6,
        /// The IPv6 prefix of the rule.
        rule: Prefix6,
    },
    /// The line's prefix ends before all EA bits are there.
    #[error(
        "{end_user} is shorter than rule and EA bits: this rule needs a /{needed}, the line has a /{}",
        end_user.len()
    )]
    TooShort {
        /// The prefix of the line.
        end_user: Prefix6,
        /// Rule and EA bits.
        needed: u8,
    },
    /// A PSID is given, and the EA bits hold another.
    #[error("the PSID is {given}, as given, but {found} in the line's prefix; leave it out")]
    OtherPsid {
        /// The PSID that came beside the rule.
        given: u16,
        /// In the EA bits.
        found: u16,
    },
    /// The IPv4 address that comes out cannot be a host's (RFC 1812 5.3.7).
    #[error("rule and line's prefix give {0}, which is no address of a host; check the rule")]
    NoHost(Ipv4Addr),
}

impl Rule {
    /// A rule that is not for forwarding. `ea_len` in bits; `psid_offset` is RFC 7597's a.
    pub fn new(ipv6: Prefix6, ipv4: Prefix4, ea_len: u8, psid_offset: u8) -> Result<Self, BadRule> {
        let rule = Self { ipv6, ipv4, ea_len, psid_offset, given: None, forwarding: false };
        if ea_len > 48 {
            return Err(BadRule::EaLen(ea_len));
        }
        if ipv6.len() + ea_len > 128 {
            return Err(BadRule::TooLong { ipv6, ea_len });
        }
        if psid_offset > 15 {
            return Err(BadRule::Offset(psid_offset));
        }
        rule.with_port_bits()
    }

    /// The same rule with a PSID that came beside it (RFC 7597 appendix A, example 5; lw4o6). A length of
    /// 0 says nothing (RFC 7598 4.5). Where the EA bits hold a PSID, the lengths must agree.
    pub fn with_psid(self, psid: Psid) -> Result<Self, BadRule> {
        let Psid { len, value } = psid;
        if len == 0 {
            return Ok(self);
        }
        if len <= 16 && u32::from(value) >> len != 0 {
            return Err(BadRule::PsidValue(value, len));
        }
        match self.ea_psid_len() {
            0 if self.ipv4.len() < 32 || self.ea_len != 0 => {
                Err(BadRule::PsidOfMany { ipv4: self.ipv4, ea_len: self.ea_len })
            }
            implied if implied != 0 && implied != len => Err(BadRule::PsidLen { given: len, implied, ipv4: self.ipv4 }),
            _ => Self { given: Some(psid), ..self }.with_port_bits(),
        }
    }

    /// This rule as a forwarding mapping rule as well, or as a basic one only (RFC 7597 5).
    pub fn with_forwarding(self, forwarding: bool) -> Self {
        Self { forwarding, ..self }
    }

    fn with_port_bits(self) -> Result<Self, BadRule> {
        let (offset, psid_len) = (self.psid_offset, self.psid_len());
        if psid_len > 0 && offset.saturating_add(psid_len) > 16 {
            return Err(BadRule::PortBits { offset, psid_len });
        }
        Ok(self)
    }

    /// The IPv6 prefix that all lines of this rule share.
    pub fn ipv6(&self) -> Prefix6 {
        self.ipv6
    }

    /// The IPv4 prefix that all lines of this rule share.
    pub fn ipv4(&self) -> Prefix4 {
        self.ipv4
    }

    /// How many EA bits (embedded address, RFC 7597 5) the rule has, 0 to 48.
    pub fn ea_len(&self) -> u8 {
        self.ea_len
    }

    /// RFC 7597 5.1, a.
    pub fn psid_offset(&self) -> u8 {
        self.psid_offset
    }

    /// RFC 7597 5.1, k.
    pub fn psid_len(&self) -> u8 {
        self.given.map_or(self.ea_psid_len(), |psid| psid.len)
    }

    /// Whether packets for the rule's IPv4 prefix go straight to the CE that has address and port.
    pub fn is_forwarding(&self) -> bool {
        self.forwarding
    }

    /// Bits of the line's prefix that matter: rule and EA bits.
    pub fn end_user_len(&self) -> u8 {
        self.ipv6.len() + self.ea_len
    }

    /// EA bits that are of the IPv4 address.
    fn suffix_len(&self) -> u8 {
        self.ea_len.min(32 - self.ipv4.len())
    }

    /// EA bits that are of the PSID.
    fn ea_psid_len(&self) -> u8 {
        self.ea_len - self.suffix_len()
    }

    /// What the line with this prefix is by this rule. A prefix longer than rule and EA bits is cut.
    pub fn ce(&self, end_user: Prefix6, iid: InterfaceId) -> Result<Ce, Unfit> {
        if !self.ipv6.contains(end_user.address()) {
            return Err(Unfit::Outside { end_user, rule: self.ipv6 });
        }
        let needed = self.end_user_len();
        let cut = end_user.shortened(needed).ok_or(Unfit::TooShort { end_user, needed })?;
        let ea = cut.bits(self.ipv6.len(), self.ea_len);
        let (suffix, found) = (ea >> self.ea_psid_len(), low_bits(ea, self.ea_psid_len()) as u16);
        let psid = match self.given {
            Some(given) if self.ea_psid_len() > 0 && given.value != found => {
                return Err(Unfit::OtherPsid { given: given.value, found });
            }
            Some(given) => given,
            None => Psid { len: self.ea_psid_len(), value: found },
        };
        let ipv4_len = self.ipv4.len() + self.suffix_len();
        let ipv4 = u32::from(self.ipv4.address()) | (suffix << (32 - ipv4_len)) as u32;
        let ipv4 = Ipv4Addr::from(ipv4);
        if !Addr4::from(ipv4).is_host() {
            return Err(Unfit::NoHost(ipv4));
        }
        Ok(Ce {
            ipv4,
            ipv4_len,
            psid,
            psid_offset: self.psid_offset,
            ports: psid.ports(self.psid_offset),
            end_user: cut,
            address: cut.with_interface_id(iid.of(ipv4, psid.value)),
        })
    }

    /// The tunnel's end at the CE that has this IPv4 address and port, or ICMP identifier (RFC 7597 5.3).
    /// `None`: the address is not of this rule, or the port is nobody's.
    pub fn remote(&self, ipv4: Addr4, port: u16, iid: InterfaceId) -> Option<Addr6> {
        if !self.ipv4.contains(ipv4) {
            return None;
        }
        let psid = self.psid_of(port)?;
        let unused = 32 - self.ipv4.len() - self.suffix_len();
        let ipv4 = u64::from(u32::from(Ipv4Addr::from(ipv4))) >> unused;
        let suffix = low_bits(ipv4, self.suffix_len());
        let ea = suffix << self.ea_psid_len() | low_bits(psid.into(), self.ea_psid_len());
        // RFC 7597 6: the bits that an IPv4 prefix leaves are zero in the interface id.
        let id = iid.of(Ipv4Addr::from((ipv4 << unused) as u32), psid);
        Some(self.ipv6.extended(ea, self.ea_len).with_interface_id(id).into())
    }

    /// The port set that a port is of; `None` if it is of none: below the first, or of another than the one
    /// that was given.
    fn psid_of(&self, port: u16) -> Option<u16> {
        let (offset, len) = (self.psid_offset, self.psid_len());
        if len == 0 {
            return Some(0);
        }
        let port = u32::from(port);
        if offset > 0 && port >> (16 - offset) == 0 {
            return None;
        }
        let psid = low_bits((port >> (16 - offset - len)).into(), len) as u16;
        self.given.is_none_or(|given| given.value == psid).then_some(psid)
    }
}

/// The lowest `count` bits.
fn low_bits(value: u64, count: u8) -> u64 {
    value & ((1 << count) - 1)
}

impl Psid {
    /// Its ports; all of them if it has no bits, whatever the offset (RFC 7597 appendix A, example 4).
    fn ports(self, offset: u8) -> PortSet {
        if self.len == 0 {
            return PortSet::ALL;
        }
        PortSet::new(offset, self.len, self.value).expect("a rule's lengths were checked when it was made")
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.ipv6, self.ipv4, self.ea_len, self.psid_offset)
    }
}

impl FromStr for Rule {
    type Err = BadRule;

    /// Reads `IPV6,IPV4,EA_LENGTH,PSID_OFFSET`, as the command line and the configuration write a rule.
    fn from_str(text: &str) -> Result<Self, BadRule> {
        let syntax = |why: String| BadRule::Syntax(text.to_owned(), why);
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        let &[ipv6, ipv4, ea_len, psid_offset] = &fields[..] else {
            return Err(syntax(format!("there are {} fields, not 4", fields.len())));
        };
        let number = |name, text: &str| text.parse::<u8>().map_err(|_| syntax(format!("{name} is a number")));
        let ipv6 = ipv6.parse().map_err(|error: NotAPrefix6| syntax(error.to_string()))?;
        let ipv4 = ipv4.parse().map_err(|error: NotAPrefix4| syntax(error.to_string()))?;
        Self::new(ipv6, ipv4, number("EA_LENGTH", ea_len)?, number("PSID_OFFSET", psid_offset)?)
    }
}
