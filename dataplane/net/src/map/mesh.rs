//! The other CEs of a mesh.

use std::net::Ipv4Addr;

use super::{Ce, InterfaceId, Rule};
use crate::{Addr4, Addr6, Port, Prefix4, Prefix6};

/// The forwarding rules of a mesh (RFC 7597 5): where the CE is that has an IPv4 address and port, and
/// who may say that it has them.
///
/// The packet path asks for packets between CEs, and for whatever comes from nobody knows whom: so with as many rules as
/// there may be it costs hardly more than with one.
#[derive(Clone, Debug)]
pub struct Mesh {
    rules: Box<[Rule]>,
    /// Rules by their IPv4 prefixes.
    by_ipv4: Longest,
    /// And by their IPv6 prefixes.
    by_ipv6: Longest,
    iid: InterfaceId,
}

/// Prefixes by their lengths, the longest first.
#[derive(Clone, Debug)]
struct Longest(Box<[(u8, Prefixes)]>);

/// Prefixes of one length in order, with the places of their rules.
type Prefixes = Box<[(u128, u16)]>;

impl Longest {
    /// Of prefixes in the first bits; of two that are the same the first counts.
    fn new(prefixes: impl Iterator<Item = (u128, u8)> + Clone) -> Self {
        let mut lengths: Vec<u8> = prefixes.clone().map(|(_, len)| len).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        let of = |len: u8| {
            let all = prefixes.clone().zip(0u16..).filter(move |((_, of), _)| *of == len);
            let mut all: Vec<(u128, u16)> = all.map(|((bits, _), place)| (bits, place)).collect();
            all.sort_unstable();
            all.dedup_by_key(|(bits, _)| *bits);
            (len, all.into())
        };
        Self(lengths.into_iter().map(of).collect())
    }

    /// The place of the longest prefix that these bits are in.
    fn find(&self, bits: u128) -> Option<usize> {
        self.0.iter().find_map(|(len, all)| {
            let first = bits & u128::MAX.checked_shl(128 - u32::from(*len)).unwrap_or(0);
            let place = all.binary_search_by_key(&first, |(bits, _)| *bits).ok()?;
            Some(all[place].1.into())
        })
    }
}

/// An IPv4 address as [`Longest`] wants it.
fn first_bits(ipv4: impl Into<Ipv4Addr>) -> u128 {
    u128::from(ipv4.into().to_bits()) << 96
}

impl Mesh {
    /// A mesh of those `rules` that are for forwarding. A rule for all of IPv4 is none: everything else
    /// is the border router's.
    pub fn new(rules: impl IntoIterator<Item = Rule>, iid: InterfaceId) -> Self {
        let forwarding = |rule: &Rule| rule.is_forwarding() && rule.ipv4().len() > 0;
        let rules: Box<[Rule]> = rules.into_iter().filter(forwarding).take(u16::MAX.into()).collect();
        let by_ipv4 = Longest::new(rules.iter().map(|rule| (first_bits(rule.ipv4().address()), rule.ipv4().len())));
        let by_ipv6 = Longest::new(rules.iter().map(|rule| (rule.ipv6().address().to_bits(), rule.ipv6().len())));
        Self { rules, by_ipv4, by_ipv6, iid }
    }

    /// The tunnel's end at the CE that has this IPv4 address and port, or ICMP identifier (RFC 7597 5.3).
    /// `None`: the border router knows better.
    pub fn remote(&self, ipv4: Addr4, port: Port) -> Option<Addr6> {
        self.rules[self.by_ipv4.find(first_bits(ipv4))?].remote(ipv4, port.number(), self.iid)
    }

    /// The CE whose tunnel's end this is, if it is one's.
    pub fn peer(&self, end: Addr6) -> Option<Ce> {
        let host = Prefix6::new(end.into(), 128)?;
        let ce = self.rules[self.by_ipv6.find(host.address().to_bits())?].ce(host, self.iid).ok()?;
        (ce.address == host.address()).then_some(ce)
    }

    /// Whether the CE at `end` may send from this address and port (RFC 7597 8.1). A later fragment has no
    /// port: then the address decides, and whoever puts fragments together sees to it that all come from one
    /// end.
    pub fn may_send(&self, end: Addr6, ipv4: Addr4, port: Option<Port>) -> bool {
        match port {
            Some(port) => self.remote(ipv4, port) == Some(end),
            None => self
                .peer(end)
                .is_some_and(|ce| Prefix4::new(ce.ipv4, ce.ipv4_len).is_some_and(|addresses| addresses.contains(ipv4))),
        }
    }

    /// Whether a packet from this tunnel's end and IPv4 address pretends to come from the mesh.
    pub fn is_of_mesh(&self, end: Addr6, ipv4: Addr4) -> bool {
        self.by_ipv6.find(std::net::Ipv6Addr::from(end).to_bits()).is_some()
            || self.by_ipv4.find(first_bits(ipv4)).is_some()
    }

    /// The IPv4 prefixes of its rules. What is not routed into the mesh by them goes to the border router.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix4> {
        self.rules.iter().map(Rule::ipv4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::longest;
    use proptest::prelude::*;

    proptest! {
        /// As if the rules were looked at one after the other.
        #[test]
        fn the_longest_rule_is_found(
            rules in prop::collection::vec((0u8..4, 24u8..40, 0u8..4, 8u8..=24, any::<bool>()), 0..40), at: [u8; 4]
        ) {
            let rules: Vec<Rule> = rules.into_iter().filter_map(|(a, len6, b, len4, forwarding)| {
                let ipv6 = Prefix6::new(std::net::Ipv6Addr::new(0x2001, 0xdb8, u16::from(a) << 12, 0, 0, 0, 0, 0), len6)?;
                let ipv4 = Prefix4::new(Ipv4Addr::new(10, b << 6, a, 0), len4)?;
                Some(Rule::new(ipv6, ipv4, 32 - len4, 4).ok()?.with_forwarding(forwarding))
            }).collect();
            let mesh = Mesh::new(rules.iter().copied(), InterfaceId::Draft03);
            let used: Vec<Rule> = rules.into_iter().filter(Rule::is_forwarding).collect();
            let ipv4 = Ipv4Addr::new(10, at[0] & 0xc0, at[1] & 3, at[2]).into();
            let rule = used.iter().rev().filter(|rule| rule.ipv4().contains(ipv4)).max_by_key(|rule| rule.ipv4().len());
            let remote = rule.and_then(|rule| rule.remote(ipv4, 5000, InterfaceId::Draft03));
            prop_assert_eq!(mesh.remote(ipv4, 5000.into()), remote);
            for end in used.iter().filter_map(|rule| rule.remote(ipv4, 5000, InterfaceId::Draft03)).chain(remote) {
                let host = Prefix6::new(end.into(), 128).unwrap();
                let ce = longest(&used, host).and_then(|rule| rule.ce(host, InterfaceId::Draft03).ok());
                prop_assert_eq!(mesh.peer(end), ce.filter(|ce| ce.address == host.address()));
            }
            let far = Addr6::from(std::net::Ipv6Addr::LOCALHOST);
            prop_assert_eq!(mesh.is_of_mesh(far, ipv4), rule.is_some());
        }
    }
}
