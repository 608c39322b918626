//! Shared IPv4 addresses: whose is a port of one? By MAP rules (RFC 7597) or by a table (RFC 7596).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Which lower half the address of a CE has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InterfaceId {
    /// `0000 | IPv4 | PSID` (RFC 7597 6).
    #[default]
    Rfc7597,
    /// `00 | IPv4 | PSID | 00` (draft-ietf-softwire-map-03 6), as it is used in Japan.
    Draft03,
}

impl InterfaceId {
    fn of(self, address: Ipv4Addr, psid: u16) -> u128 {
        let fields = u128::from(address.to_bits()) << 16 | u128::from(psid);
        match self {
            InterfaceId::Rfc7597 => fields,
            InterfaceId::Draft03 => fields << 8,
        }
    }
}

/// Ports of one who shares an address (RFC 7597 5.1): `A | PSID | M`, with A of `offset` bits not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// Bits before the PSID.
    pub offset: u8,
    /// Bits of the PSID; without any the address is not shared, and all ports are in the set.
    pub length: u8,
    /// The PSID, right-aligned.
    pub psid: u16,
}

impl PortSet {
    /// Whether it is a port of the set.
    pub fn contains(&self, port: u16) -> bool {
        psid(self.offset, self.length, port) == Some(self.psid)
    }
}

/// The PSID of a port; `None` for the lowest ports, which nobody has.
fn psid(offset: u8, length: u8, port: u16) -> Option<u16> {
    if length == 0 {
        return Some(0);
    }
    let port = u32::from(port);
    let is_lowest = offset > 0 && port >> (16 - offset) == 0;
    (!is_lowest).then_some((port >> (16 - offset - length) & ((1 << length) - 1)) as u16)
}

/// A mapping rule (RFC 7597 5), written `IPV6/LENGTH,IPV4/LENGTH,EA-LENGTH,PSID-OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    ipv6: (Ipv6Addr, u8),
    ipv4: (Ipv4Addr, u8),
    ea_length: u8,
    offset: u8,
}

/// Text that is no rule.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no rule IPV6/LENGTH,IPV4/LENGTH,EA-LENGTH,PSID-OFFSET that shares addresses")]
pub struct RuleError(String);

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::read(text).filter(Rule::is_sound).ok_or_else(|| RuleError(text.to_owned()))
    }
}

fn read_prefix<T: FromStr>(text: &str) -> Option<(T, u8)> {
    let (address, length) = text.split_once('/')?;
    Some((address.parse().ok()?, length.parse().ok()?))
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let [ipv6, ipv4, ea_length, offset] = text.split(',').collect::<Vec<_>>()[..] else { return None };
        Some(Self {
            ipv6: read_prefix(ipv6)?,
            ipv4: read_prefix(ipv4)?,
            ea_length: ea_length.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    }

    /// Whether the numbers fit together. Rules that give whole IPv4 prefixes are not needed here.
    fn is_sound(&self) -> bool {
        self.ipv6.1 > 0
            && self.ipv4.1 <= 32
            && self.ea_length >= 32 - self.ipv4.1
            && u16::from(self.ipv6.1) + u16::from(self.ea_length) <= 64
            && u16::from(self.offset) + u16::from(self.psid_length()) <= 16
            && low(self.ipv6.0.to_bits(), 128 - self.ipv6.1) == 0
            && low(self.ipv4.0.to_bits().into(), 32 - self.ipv4.1) == 0
    }

    fn psid_length(&self) -> u8 {
        self.ea_length - (32 - self.ipv4.1)
    }

    fn covers4(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.ipv4.0.to_bits()).leading_zeros() >= self.ipv4.1.into()
    }

    fn covers6(&self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.ipv6.0.to_bits()).leading_zeros() >= self.ipv6.1.into()
    }

    /// The address of the CE that has this IPv4 address and PSID: EA bits behind the prefix, zeros up to the
    /// interface id (RFC 7597 5.2, 6).
    fn ce(&self, id: InterfaceId, address: Ipv4Addr, psid: u16) -> Ipv6Addr {
        let suffix = low(address.to_bits().into(), 32 - self.ipv4.1);
        let ea = suffix << self.psid_length() | u128::from(psid);
        let prefix = self.ipv6.0.to_bits() | ea << (128 - self.ipv6.1 - self.ea_length);
        Ipv6Addr::from_bits(prefix | id.of(address, psid))
    }

    /// What the EA bits of an address under this rule say.
    fn share(&self, ce: Ipv6Addr) -> (Ipv4Addr, PortSet) {
        let ea = low(ce.to_bits() >> (128 - self.ipv6.1 - self.ea_length), self.ea_length);
        let length = self.psid_length();
        let address = self.ipv4.0.to_bits() | (ea >> length) as u32;
        (Ipv4Addr::from_bits(address), PortSet { offset: self.offset, length, psid: low(ea, length) as u16 })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((prefix6, length6), (prefix4, length4)) = (self.ipv6, self.ipv4);
        write!(f, "{prefix6}/{length6},{prefix4}/{length4},{},{}", self.ea_length, self.offset)
    }
}

/// The lowest `count` bits, at most 127.
fn low(bits: u128, count: u8) -> u128 {
    bits & ((1 << count) - 1)
}

/// An entry of a binding table (RFC 7596 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The shared IPv4 address.
    pub address: Ipv4Addr,
    /// The ports of it that are lent.
    pub ports: PortSet,
    /// The B4 that has them: its end of the tunnel.
    pub b4: Ipv6Addr,
}

/// Why a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The outer address is nobody's who shares an address here.
    Source,
    /// The inner address is not the one that goes with the outer.
    Address,
    /// The port is outside the set that goes with the outer address.
    Port,
    /// It has neither port nor ICMP identifier.
    NoPort,
}

/// Who shares which address: the rules of a MAP domain, the bindings of a lwAFTR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// The form of a CE's interface id, the same for all rules.
    pub interface_id: InterfaceId,
    /// Basic mapping rules (RFC 7597 5).
    pub rules: Vec<Rule>,
    /// The table of a lwAFTR.
    pub bindings: Vec<Binding>,
}

impl Domain {
    /// Whether nobody shares an address.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.bindings.is_empty()
    }

    /// What goes with a CE's own address; of more rules than one the longest (RFC 7597 5). `None`: no CE has this
    /// address.
    pub fn share(&self, ce: Ipv6Addr) -> Option<(Ipv4Addr, PortSet)> {
        if let Some(binding) = self.bindings.iter().find(|binding| binding.b4 == ce) {
            return Some((binding.address, binding.ports));
        }
        let rule = self.rules.iter().filter(|rule| rule.covers6(ce)).max_by_key(|rule| rule.ipv6.1)?;
        let (address, ports) = rule.share(ce);
        (rule.ce(self.interface_id, address, ports.psid) == ce).then_some((address, ports))
    }

    /// Whether `ce` may send from this address and port (RFC 7597 8.1, RFC 7596 6.2).
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn judge(&self, ce: Ipv6Addr, address: Ipv4Addr, port: Option<u16>) -> Result<(), Refusal> {
        let (own, ports) = self.share(ce).ok_or(Refusal::Source)?;
        match port {
            _ if own != address => Err(Refusal::Address),
            None => Err(Refusal::NoPort),
            Some(port) if !ports.contains(port) => Err(Refusal::Port),
            Some(_) => Ok(()),
        }
    }

    /// Who has this port of this address.
    pub fn owner(&self, address: Ipv4Addr, port: u16) -> Option<Ipv6Addr> {
        let of_table = self.bindings.iter().find(|b| b.address == address && b.ports.contains(port));
        if let Some(binding) = of_table {
            return Some(binding.b4);
        }
        let rule = self.rules.iter().filter(|rule| rule.covers4(address)).max_by_key(|rule| rule.ipv4.1)?;
        let psid = psid(rule.offset, rule.psid_length(), port)?;
        Some(rule.ce(self.interface_id, address, psid))
    }

    /// One line for each rule and binding.
    pub fn describe(&self) -> Vec<String> {
        let rules = self.rules.iter().map(|rule| format!("rule {rule} {:?}", self.interface_id));
        let bindings = self.bindings.iter().map(|Binding { address, ports, b4 }| {
            format!("binding {address} {} {} {} {b4}", ports.offset, ports.length, ports.psid)
        });
        rules.chain(bindings).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// End-user prefix, rule, and what follows: RFC 7597 Appendix A and examples of lines that work.
    #[expect(clippy::type_complexity)]
    const EXAMPLES: [(&str, &str, InterfaceId, &str, &str, u16, usize, u16); 6] = [
        (
            "RFC 7597 A 1",
            "2001:db8::/40,192.0.2.0/24,16,6",
            InterfaceId::Rfc7597,
            "2001:db8:12:3400:0:c000:212:34",
            "192.0.2.18",
            0x34,
            252,
            1232,
        ),
        (
            "offset 4",
            "240b:10::/31,106.72.0.0/15,25,4",
            InterfaceId::Draft03,
            "240b:10:3f6c:d400:6a:483f:6c00:d400",
            "106.72.63.108",
            212,
            240,
            7488,
        ),
        (
            "PSID 0",
            "240b:10::/31,106.72.0.0/15,25,4",
            InterfaceId::Draft03,
            "240b:10:1:0:6a:4800:100:0",
            "106.72.0.1",
            0,
            240,
            4096,
        ),
        (
            "PSID of 6 bits",
            "2400:4050::/38,153.240.0.0/20,18,6",
            InterfaceId::Draft03,
            "2400:4050:123:4500:99:f004:8d00:500",
            "153.240.4.141",
            5,
            1008,
            1104,
        ),
        (
            "a prefix of 48 bits",
            "2001:db8::/32,203.0.113.0/24,16,4",
            InterfaceId::Rfc7597,
            "2001:db8:500::cb00:7105:0",
            "203.0.113.5",
            0,
            240,
            4096,
        ),
        (
            "RFC 7597 A 4: not shared",
            "2001:db8:12:3400::/56,192.0.2.18/32,0,6",
            InterfaceId::Rfc7597,
            "2001:db8:12:3400:0:c000:212:0",
            "192.0.2.18",
            0,
            65536,
            0,
        ),
    ];

    fn domain(interface_id: InterfaceId, rules: &[&str]) -> Domain {
        Domain { interface_id, rules: rules.iter().map(|rule| rule.parse().unwrap()).collect(), bindings: Vec::new() }
    }

    #[test]
    fn addresses_and_port_sets_are_those_of_the_examples_both_ways() {
        for (name, rule, id, ce, address, psid, count, first) in EXAMPLES {
            let domain = domain(id, &[rule]);
            let (ce, address) = (ce.parse().unwrap(), address.parse().unwrap());
            let (own, ports) = domain.share(ce).unwrap_or_else(|| panic!("{name}: nobody's address"));
            assert_eq!((own, ports.psid), (address, psid), "{name}");
            let all: Vec<u16> = (0..=u16::MAX).filter(|&port| ports.contains(port)).collect();
            assert_eq!((all.len(), all[0]), (count, first), "{name}");
            for port in 0..=u16::MAX {
                assert_eq!(domain.owner(address, port) == Some(ce), ports.contains(port), "{name} {port}");
            }
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_its_reason() {
        let domain = domain(InterfaceId::Draft03, &["240b:10::/31,106.72.0.0/15,25,4"]);
        let ce = "240b:10:3f6c:d400:6a:483f:6c00:d400".parse().unwrap();
        let address = Ipv4Addr::new(106, 72, 63, 108);
        assert_eq!(domain.judge(ce, address, Some(7488)), Ok(()));
        assert_eq!(domain.judge(ce, address, Some(7487)), Err(Refusal::Port));
        assert_eq!(domain.judge(ce, address, None), Err(Refusal::NoPort));
        assert_eq!(domain.judge(ce, Ipv4Addr::new(106, 72, 63, 109), Some(7488)), Err(Refusal::Address));
        // The interface id of RFC 7597, or of another PSID: nobody's.
        for other in ["240b:10:3f6c:d400:0:6a48:3f6c:d4", "240b:10:3f6c:d400:6a:483f:6c00:d300", "2001:db8::1"] {
            assert_eq!(domain.judge(other.parse().unwrap(), address, Some(7488)), Err(Refusal::Source), "{other}");
        }
    }

    #[test]
    fn of_two_rules_the_longer_is_asked() {
        let domain =
            domain(InterfaceId::Rfc7597, &["2001:db8::/32,192.0.0.0/16,24,4", "2001:db8:1200::/40,192.0.2.0/24,16,6"]);
        let (address, ports) = domain.share("2001:db8:1212:3400:0:c000:212:34".parse().unwrap()).unwrap();
        assert_eq!((address, ports.offset), (Ipv4Addr::new(192, 0, 2, 18), 6));
        assert_eq!(domain.owner(address, 1232), Some("2001:db8:1212:3400:0:c000:212:34".parse().unwrap()));
    }

    #[test]
    fn a_binding_table_needs_no_arithmetic_of_addresses() {
        let b4 = "2001:db8::99".parse().unwrap();
        let ports = PortSet { offset: 4, length: 8, psid: 212 };
        let address = Ipv4Addr::new(192, 0, 2, 1);
        let domain = Domain { bindings: vec![Binding { address, ports, b4 }], ..Domain::default() };
        assert_eq!(domain.judge(b4, address, Some(7488)), Ok(()));
        assert_eq!(domain.judge(b4, address, Some(80)), Err(Refusal::Port));
        assert_eq!(domain.judge(Ipv6Addr::LOCALHOST, address, Some(7488)), Err(Refusal::Source));
        assert_eq!((domain.owner(address, 7488), domain.owner(address, 80)), (Some(b4), None));
    }

    #[test]
    fn rules_that_cannot_be_are_no_rules() {
        for text in [
            "2001:db8::/40,192.0.2.0/24,16",
            "2001:db8::/40,192.0.2.0/24,7,6",
            "2001:db8::/40,192.0.2.0/24,19,6",
            "2001:db8::/56,192.0.2.0/24,16,4",
            "2001:db8::1/40,192.0.2.0/24,16,4",
            "2001:db8::/40,192.0.2.1/24,16,4",
            "2001:db8::/129,192.0.2.0/24,16,4",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
        let text = "2001:db8::/40,192.0.2.0/24,16,6";
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
    }
}
