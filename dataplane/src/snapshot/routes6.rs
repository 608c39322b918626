//! Where native IPv6 goes: a handful of prefixes, longest first.

use std::cmp::Reverse;
use std::fmt;

use hikyaku_net::{Addr6, Mac, Prefix6};
use hikyaku_ring::LinkId;

/// Where an IPv6 packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route6 {
    /// To a host on a link: whoever [`super::Link::neighbours6`] says has the address.
    Link(LinkId),
    /// To a router on a link.
    Gateway {
        /// The link that it is on.
        link: LinkId,
        /// Its Ethernet address there.
        mac: Mac,
    },
    /// To the router itself.
    Local,
    /// To the host's own stack behind the interface, whose address it is ([`super::Link::peer`]).
    Host,
    /// To nobody: what is left of a delegated prefix (RFC 7084 WPD-5), and what has no route.
    Unreachable,
}

/// A prefix as it is compared with addresses: two words in memory order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masked {
    want: [u64; 2],
    mask: [u64; 2],
}

impl Masked {
    /// No address is in it.
    pub const NONE: Self = Self { want: [1; 2], mask: [0; 2] };

    pub fn new(prefix: Prefix6) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix.len())).unwrap_or(0);
        Self { want: Addr6::from(prefix.address()).words(), mask: Addr6(mask.to_be_bytes()).words() }
    }

    #[inline(always)]
    pub fn contains(&self, addr: Addr6) -> bool {
        let [a, b] = addr.words();
        (a & self.mask[0] ^ self.want[0]) | (b & self.mask[1] ^ self.want[1]) == 0
    }
}

/// The longest prefix that both are in.
fn common(a: Prefix6, b: Prefix6) -> Prefix6 {
    let same = (a.address().to_bits() ^ b.address().to_bits()).leading_zeros() as u8;
    let len = same.min(a.len()).min(b.len());
    Prefix6::new(a.address(), len).expect("no longer than it was")
}

/// Routes by longest prefix.
///
/// Which addresses are never forwarded to, whatever the routes say, is [`Addr6::is_forwardable`]'s to say.
#[derive(Clone)]
pub struct Routes6 {
    /// The longest prefix first.
    routes: Box<[(Masked, Route6)]>,
    prefixes: Box<[Prefix6]>,
    /// What all routes but the default one are in.
    others: Masked,
    usual_hosts: UsualHosts6,
}

/// Hosts with one route: those of a prefix with no other in it, but for addresses of our own and of the host's own stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsualHosts6 {
    /// The link that they are on.
    pub link: LinkId,
    prefix: Masked,
}

impl UsualHosts6 {
    /// Whether `host` is one of them, or an address there that is ours or of the host's own stack.
    #[inline(always)]
    pub fn contains(&self, host: Addr6) -> bool {
        self.prefix.contains(host)
    }
}

impl Default for Routes6 {
    fn default() -> Self {
        Self::new([])
    }
}

impl Routes6 {
    /// A table of these routes. Of two with the same prefix the first counts.
    pub fn new(routes: impl IntoIterator<Item = (Prefix6, Route6)>) -> Self {
        let mut routes: Vec<_> = routes.into_iter().collect();
        routes.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        let others = routes.iter().map(|&(prefix, _)| prefix).filter(|prefix| prefix.len() > 0);
        let others = others.filter(|prefix| prefix.len() < 10 || !Addr6::from(prefix.address()).is_link_local());
        let others = others.reduce(common);
        // The widest first. Who looks there for one of our own addresses, or of the host's stack, finds no neighbour.
        let usual = routes.iter().rev().find_map(|&(wide, route)| match route {
            Route6::Link(link) => {
                let inside = |p: &Prefix6| p.len() >= wide.len() && wide.contains(p.address());
                let others = |r: &Route6| !matches!(r, Route6::Local | Route6::Host);
                let alone = routes.iter().filter(|(p, r)| inside(p) && others(r)).count() == 1;
                alone.then_some((link, wide))
            }
            _ => None,
        });
        let nobody = UsualHosts6 { link: LinkId(0), prefix: Masked::NONE };
        Self {
            routes: routes.iter().map(|&(prefix, route)| (Masked::new(prefix), route)).collect(),
            prefixes: routes.into_iter().map(|(prefix, _)| prefix).collect(),
            others: others.map_or(Masked::NONE, Masked::new),
            usual_hosts: usual.map_or(nobody, |(link, wide)| UsualHosts6 { link, prefix: Masked::new(wide) }),
        }
    }

    /// The route of an address.
    #[inline(always)]
    pub fn lookup(&self, addr: Addr6) -> Route6 {
        self.routes.iter().find(|(prefix, _)| prefix.contains(addr)).map_or(Route6::Unreachable, |&(_, route)| route)
    }

    /// Hosts of which [`Self::lookup`] says one link, and quickly.
    pub(crate) fn usual_hosts(&self) -> UsualHosts6 {
        self.usual_hosts
    }

    /// The route of everything that has no other.
    pub fn default_route(&self) -> Route6 {
        match (self.prefixes.last(), self.routes.last()) {
            (Some(prefix), Some(&(_, route))) if prefix.len() == 0 => route,
            _ => Route6::Unreachable,
        }
    }

    /// Whether an address that packets are [forwarded to](Addr6::is_forwardable) has the default route. Cheaper than
    /// [`Self::lookup`] for most of the Internet.
    #[inline(always)]
    pub fn is_default(&self, addr: Addr6) -> bool {
        !self.others.contains(addr) || self.has_no_other(addr)
    }

    #[inline(never)]
    fn has_no_other(&self, addr: Addr6) -> bool {
        let longer = self.prefixes.iter().zip(&self.routes).filter(|(prefix, _)| prefix.len() > 0);
        !longer.into_iter().any(|(_, (prefix, _))| prefix.contains(addr))
    }
}

impl fmt::Debug for Routes6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.prefixes.iter().zip(self.routes.iter().map(|(_, route)| route))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    proptest! {
        #[test]
        fn longest_prefix_wins(
            routes in prop::collection::vec((any::<u128>(), 0u8..=128, any::<u8>()), 0..12), addrs: [u128; 8]
        ) {
            let made = routes.iter().map(|&(a, len, to)| {
                (Prefix6::new(a.into(), len).unwrap(), Route6::Link(LinkId(to)))
            });
            let table = Routes6::new(made);
            // Addresses at random, and every prefix's own edge.
            for addr in addrs.into_iter().chain(routes.iter().map(|&(a, ..)| a)) {
                let covers = |&&(a, len, _): &&(u128, u8, u8)| len == 0 || (a ^ addr) >> (128 - len) == 0;
                let longest = routes.iter().filter(covers).map(|&(_, len, _)| len).max();
                let first = routes.iter().filter(covers).find(|&&(_, len, _)| Some(len) == longest);
                let expected = first.map_or(Route6::Unreachable, |&(_, _, to)| Route6::Link(LinkId(to)));
                prop_assert_eq!(table.lookup(Ipv6Addr::from(addr).into()), expected);
                let default = longest.is_none_or(|len| len == 0);
                let addr = Addr6::from(Ipv6Addr::from(addr));
                prop_assert!(!addr.is_forwardable() || table.is_default(addr) == default);
                let usual = table.usual_hosts();
                prop_assert!(!usual.contains(addr) || expected == Route6::Link(usual.link));
            }
        }
    }
}
