//! What the workers know of the world: made whole by the control thread, published at once, read
//! once per burst.

mod listening;
mod neighbours;
mod routes;
mod routes6;
mod softwire;

use std::net::Ipv4Addr;
use std::sync::Arc;

use hikyaku_net::{Addr4, Addr6, Mac, Prefix4, Prefix6, Time};
use hikyaku_ring::LinkId;

use crate::sessions::LanId;

pub use listening::Listening;
pub use neighbours::{HostAddress, Neighbours};
pub use routes::{Route, Routes, UsualHosts};
pub(crate) use routes6::{Masked, UsualHosts6};
pub use routes6::{Route6, Routes6};
pub use softwire::{Deliver, FarEnd, OuterHeaders, Softwire, SoftwireState};

use crate::filter6::Filter6;
use crate::rules::{Opening, Rules};
use crate::verdict::Reason;

/// A softwire's place in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SoftwireId(pub u8);

/// What a link's frames are taken for first. The other kinds are found by the slow path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// IPv4 of hosts of ours.
    Lan,
    /// IPv6 of the line, with the tunnel in it. Nothing gets in that was not asked for.
    Wan,
    /// What the host's own network stack sends by the interface it is behind ([`Link::peer`]).
    Host,
}

/// An attached interface as the packet path sees it.
#[derive(Clone, Debug)]
pub struct Link {
    /// As the user wrote it.
    pub name: String,
    /// Which way its frames go.
    pub side: Side,
    /// The LAN that a link to hosts of ours is, or belongs to.
    pub lan: LanId,
    /// Behind an interface: the host's own network stack, which gets what is not the router's
    /// (netmap's host rings). For the host: the interface.
    pub peer: Option<LinkId>,
    /// Our Ethernet address there.
    pub mac: Mac,
    /// Take frames for any station: replay, where a capture's addresses are what they are.
    pub any_station: bool,
    /// Largest IP packet, bytes.
    pub mtu: u16,
    /// IPv4 addresses of ours there; packets to them go to the control thread. The first one is
    /// the source of ICMP errors (RFC 1812 4.3.2.4); without one it is 192.0.0.2 (RFC 6333 5.7).
    pub addresses4: Vec<Ipv4Addr>,
    /// IPv6 addresses of ours there, besides the softwires'.
    pub addresses6: Vec<Addr6>,
    /// Where the control thread listens.
    pub listens: Listening,
    /// Sources that its IPv4 packets may have (RFC 2827).
    pub sources4: Vec<Prefix4>,
    /// Which Ethernet addresses its IPv4 hosts have.
    pub neighbours: Neighbours,
    /// Sources that IPv6 packets of a LAN may have when they leave it (RFC 2827): its prefixes. Link-local ones are of the
    /// link alone, and need not be here.
    pub sources6: Vec<Prefix6>,
    /// Which Ethernet addresses its IPv6 hosts have.
    pub neighbours6: Neighbours<Addr6>,
    /// What its hosts may begin towards other LANs is only what a rule says, and of the router they may speak with the
    /// addresses of their own LAN. What others begin towards them they answer.
    pub isolated: bool,
}

impl Link {
    /// A link without addresses, neighbours and sources: what a caller knows of it replaces these.
    pub fn new(name: &str, side: Side, mac: Mac, mtu: u16) -> Self {
        Self {
            name: name.into(),
            side,
            lan: LanId::default(),
            peer: None,
            mac,
            any_station: false,
            mtu,
            addresses4: Vec::new(),
            addresses6: Vec::new(),
            listens: Listening::default(),
            sources4: Vec::new(),
            neighbours: Neighbours::default(),
            sources6: Vec::new(),
            neighbours6: Neighbours::default(),
            isolated: false,
        }
    }

    /// The address that ICMP errors to this link come from.
    pub fn icmp_source(&self) -> Addr4 {
        self.addresses4.first().map_or(B4_ADDRESS, |&a| a.into())
    }
}

/// The B4 element's own address (RFC 6333 5.7).
pub const B4_ADDRESS: Addr4 = Addr4([192, 0, 0, 2]);

/// Everything, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The attached interfaces, by [`LinkId`].
    pub links: Vec<Link>,
    /// The tunnels, by [`SoftwireId`].
    pub softwires: Vec<Softwire>,
    /// Which way IPv4 packets go.
    pub routes: Routes,
    /// Which way native IPv6 packets go.
    pub routes6: Routes6,
    /// What lets packets through that are not translated, native IPv6 and whatever goes from one LAN to another: without it,
    /// none are forwarded. Snapshots share it, as they share what was learnt of a tunnel.
    pub filter6: Option<Arc<Filter6>>,
    /// What the operator says of sessions that are about to be opened; `None`: nothing.
    pub rules: Option<Arc<Rules>>,
}

impl Snapshot {
    /// The link, if it exists.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id.index())
    }

    /// The link of a host of ours with this address in this LAN.
    fn host_link(&self, lan: LanId, host: Addr4) -> Option<LinkId> {
        let is_there = |link: &Link| {
            (link.side, link.lan) == (Side::Lan, lan) && link.sources4.iter().any(|sources| sources.contains(host))
        };
        self.links.iter().position(is_there).map(|i| LinkId(i as u8))
    }

    /// The LAN of a host of ours: the one that the route to it leads to.
    pub(crate) fn lan_of(&self, host: Addr4) -> Option<LanId> {
        match self.routes.lookup(host) {
            Route::Link(link) => self.link(link).filter(|link| link.side == Side::Lan).map(|link| link.lan),
            _ => None,
        }
    }

    /// The same of a host of IPv6.
    pub(crate) fn lan_of6(&self, host: Addr6) -> Option<LanId> {
        match self.routes6.lookup(host) {
            Route6::Link(link) | Route6::Gateway { link, .. } => {
                self.link(link).filter(|link| link.side == Side::Lan).map(|link| link.lan)
            }
            _ => None,
        }
    }

    /// Whether this address of ours is another LAN's, and none that this link has, too.
    pub(crate) fn is_of_another_lan(&self, link: &Link, has: impl Fn(&Link) -> bool) -> bool {
        let is_other = |other: &Link| (other.side, other.lan != link.lan) == (Side::Lan, true);
        !has(link) && self.links.iter().any(|other| is_other(other) && has(other))
    }

    /// Whether a session may be opened: as the rules say, and `otherwise` where they say nothing.
    ///
    /// # Errors
    /// It may not, for this reason.
    #[inline]
    pub(crate) fn may_open(
        &self,
        opening: impl FnOnce() -> Opening,
        now: Time,
        otherwise: Result<(), Reason>,
    ) -> Result<(), Reason> {
        match &self.rules {
            None => otherwise,
            Some(rules) => rules.ask(&opening(), now, otherwise),
        }
    }

    /// Whether its hosts are on one LAN.
    fn has_one_lan(&self) -> bool {
        let mut lans = self.links.iter().filter(|link| link.side == Side::Lan).map(|link| link.lan);
        let first = lans.next();
        lans.all(|lan| Some(lan) == first)
    }

    /// The address that ICMPv6 errors come from to who is on this link: one of ours there that others may answer, or of
    /// another link, or what only the link knows (RFC 4443 2.2).
    pub fn icmp_source6(&self, id: LinkId) -> Option<Addr6> {
        let there = self.link(id)?.addresses6.iter();
        let anywhere = self.links.iter().flat_map(|link| &link.addresses6);
        let global = |addr: &&Addr6| addr.is_forwardable() && !addr.is_unique_local();
        there.clone().chain(anywhere).find(global).or_else(|| there.clone().next()).copied()
    }

    /// The softwire that a link's frames mostly belong to: for a WAN link the first that runs over
    /// it, for a LAN link the one behind the default route.
    pub fn main_softwire(&self, id: LinkId) -> Option<SoftwireId> {
        let of_default = match self.routes.default_route() {
            Route::Softwire(softwire) => Some(softwire),
            _ => None,
        };
        match self.link(id)?.side {
            Side::Lan => of_default.filter(|s| (s.0 as usize) < self.softwires.len()),
            Side::Wan => self.softwires.iter().position(|s| s.link == id).map(|i| SoftwireId(i as u8)),
            Side::Host => None,
        }
    }
}
