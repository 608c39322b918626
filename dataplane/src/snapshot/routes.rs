//! Where IPv4 goes: a handful of prefixes, longest first.

use std::fmt;
use std::net::Ipv4Addr;

use hikyaku_net::{Addr4, Prefix4};
use hikyaku_ring::LinkId;

use super::SoftwireId;

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Into a tunnel, to its border router.
    Softwire(SoftwireId),
    /// Into a tunnel, straight to another CE of its mesh (RFC 7597 5).
    Mesh(SoftwireId),
    /// To a host on a link.
    Link(LinkId),
    /// To the router itself.
    Local,
    /// To nobody: such packets are dropped.
    Unreachable,
}

/// Prefixes and where they lead.
type Candidates = Box<[(Prefix4, Route)]>;

/// Routes by longest prefix.
///
/// A line has few routes but for those of a mesh, and almost every packet takes the default one. So the
/// first octet alone decides wherever no longer prefix begins with it; elsewhere only the prefixes of
/// that octet are searched.
#[derive(Clone)]
pub struct Routes {
    by_octet: Box<[Option<Route>; 256]>,
    /// Whether the first octet alone shows that the default route is taken.
    default_by_octet: Box<[bool; 256]>,
    /// All routes, the longest prefix first.
    prefixes: Vec<(Prefix4, Route)>,
    /// Those of each octet that alone does not decide, longest first.
    within: Box<[Candidates; 256]>,
    usual_hosts: UsualHosts,
}

/// Hosts with one route: those of a prefix with no other in it, but for the router's own address.
#[derive(Clone, Copy, Debug)]
pub struct UsualHosts {
    /// The link that they are on.
    pub link: LinkId,
    pub(super) prefix: Prefix4,
    pub(super) except: Addr4,
}

impl UsualHosts {
    /// No host is one of them.
    pub const NONE: Self = Self { link: LinkId(0), prefix: Prefix4::NONE, except: Addr4([0; 4]) };

    /// Whether `host` is one of them.
    #[inline(always)]
    pub fn contains(&self, host: Addr4) -> bool {
        self.prefix.contains(host) && host != self.except
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::new([])
    }
}

impl Routes {
    /// A table of these routes. Of two with the same prefix the first counts.
    pub fn new(routes: impl IntoIterator<Item = (Prefix4, Route)>) -> Self {
        // RFC 3927 2.6.2; a longer prefix on a link of one's own still counts.
        let link_local = Prefix4::new(Ipv4Addr::new(169, 254, 0, 0), 16).expect("16 bits are not too many");
        let mut prefixes: Vec<_> = routes.into_iter().chain([(link_local, Route::Unreachable)]).collect();
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let mut table = Self {
            by_octet: Box::new([None; 256]),
            default_by_octet: Box::new([false; 256]),
            prefixes,
            within: Box::new(std::array::from_fn(|_| Box::default())),
            usual_hosts: UsualHosts::NONE,
        };
        for octet in 0..=255u8 {
            let whole = Addr4([octet, 0, 0, 0]);
            // Loopback, multicast, reserved: nobody's, whatever the prefixes say (RFC 1812 5.3.7).
            if !whole.is_host() {
                table.by_octet[octet as usize] = Some(Route::Unreachable);
                continue;
            }
            let meets = |p: &Prefix4| if p.len() > 8 { p.address().octets()[0] == octet } else { p.contains(whole) };
            let within: Candidates = table.prefixes.iter().copied().filter(|(p, _)| meets(p)).collect();
            if within.iter().all(|(p, _)| p.len() <= 8) {
                let route = within.first().map_or(Route::Unreachable, |&(_, route)| route);
                table.by_octet[octet as usize] = Some(route);
            } else {
                table.within[octet as usize] = within;
            }
        }
        let default = Some(table.default_route());
        table.default_by_octet = Box::new(table.by_octet.map(|route| route == default));
        table.usual_hosts = table.widest_link().unwrap_or(UsualHosts::NONE);
        table
    }

    /// The route of an address.
    #[inline(always)]
    pub fn lookup(&self, addr: Addr4) -> Route {
        self.by_octet[addr.0[0] as usize].unwrap_or_else(|| self.search(addr))
    }

    /// Almost always right about whether [`Self::lookup`] answers the default route, and never
    /// wrong when it says so. Cheaper.
    #[inline(always)]
    pub fn is_default(&self, addr: Addr4) -> bool {
        self.default_by_octet[addr.0[0] as usize]
    }

    #[inline]
    fn search(&self, addr: Addr4) -> Route {
        let mut candidates = self.within[addr.0[0] as usize].iter();
        candidates.find(|(prefix, _)| prefix.contains(addr)).map_or(Route::Unreachable, |&(_, route)| route)
    }

    /// The hosts of the widest prefix that leads to a link and has no other in it but one address.
    fn widest_link(&self) -> Option<UsualHosts> {
        self.prefixes.iter().rev().find_map(|&(wide, route)| {
            // Of a shorter one some octets may be nobody's.
            let link = match route {
                Route::Link(link) if wide.len() > 8 && Addr4::from(wide.address()).is_host() => link,
                _ => return None,
            };
            let inside = |p: &Prefix4| p.len() >= wide.len() && wide.contains(Addr4::from(p.address()));
            let mut inside = self.prefixes.iter().map(|(p, _)| p).filter(|p| inside(p));
            match (inside.next()?, inside.next(), inside.next()) {
                (_, None, _) => Some(UsualHosts { link, prefix: wide, ..UsualHosts::NONE }),
                // The longer one is first.
                (one, Some(_), None) if one.len() == 32 && wide.len() < 32 => {
                    Some(UsualHosts { link, prefix: wide, except: Addr4::from(one.address()) })
                }
                _ => None,
            }
        })
    }

    /// Hosts of which [`Self::lookup`] says one link, and quickly.
    pub fn usual_hosts(&self) -> UsualHosts {
        self.usual_hosts
    }

    /// The route of everything that has no other.
    pub fn default_route(&self) -> Route {
        self.prefixes.last().filter(|(p, _)| p.len() == 0).map_or(Route::Unreachable, |&(_, route)| route)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.prefixes.iter().map(|(p, r)| (p, r))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn longest_prefix_wins(
            routes in prop::collection::vec((any::<u32>(), 0u8..=32, any::<u8>()), 0..12), addrs: [u32; 8]
        ) {
            let made: Vec<_> = routes.iter()
                .map(|&(a, len, to)| (Prefix4::new(a.into(), len).unwrap(), Route::Link(LinkId(to)))).collect();
            let table = Routes::new(made.clone());
            // Addresses at random, and every prefix's own edge.
            for addr in addrs.into_iter().chain(routes.iter().map(|&(a, ..)| a)) {
                let covers = |&&(a, len, _): &&(u32, u8, u8)| len == 0 || (a ^ addr) >> (32 - len) == 0;
                let longest = routes.iter().filter(covers).map(|&(_, len, _)| len).max();
                let first = routes.iter().filter(covers).find(|&&(_, len, _)| Some(len) == longest);
                let first = first.filter(|&&(_, len, _)| len >= 16 || addr >> 16 != 0xa9fe);
                let addr = Addr4::from(Ipv4Addr::from(addr));
                let expected = first.filter(|_| addr.is_host()).map_or(Route::Unreachable, |&(_, _, to)| Route::Link(LinkId(to)));
                prop_assert_eq!(table.lookup(addr), expected);
                let usual = table.usual_hosts();
                prop_assert!(!usual.contains(addr) || expected == Route::Link(usual.link));
            }
        }
    }

    #[test]
    fn hosts_of_a_lan_are_usual_and_its_router_is_not() {
        let prefix = |text: &str| text.parse::<Prefix4>().unwrap();
        let lan = (prefix("192.168.1.0/24"), Route::Link(LinkId(3)));
        let (own, default) = ((prefix("192.168.1.1/32"), Route::Local), (Prefix4::ALL, Route::Softwire(SoftwireId(0))));
        let usual = Routes::new([own, lan, default]).usual_hosts();
        assert!(usual.link == LinkId(3) && usual.contains(Addr4([192, 168, 1, 2])));
        assert!(!usual.contains(Addr4([192, 168, 1, 1])) && !usual.contains(Addr4([192, 168, 2, 2])));
        // A net within the net, and the same net again.
        for other in ["192.168.1.128/25", "192.168.1.0/24"] {
            let inside = (prefix(other), Route::Link(LinkId(4)));
            assert!(!Routes::new([own, lan, inside, default]).usual_hosts().contains(Addr4([192, 168, 1, 2])));
        }
    }
}
