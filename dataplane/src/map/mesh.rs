//! The other CEs of a mesh.

use super::{Ce, InterfaceId, Prefix6, Rule, longest};
use crate::packet::{Addr4, Addr6, Port};
use crate::snapshot::{Prefix4, Route, SoftwireId};

/// The forwarding rules of a mesh (RFC 7597 5): where the CE is that has an IPv4 address and port, and
/// who may say that it has them.
///
/// The rules are searched one after the other; the packet path asks for packets between CEs only.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// Longest IPv4 prefix first.
    rules: Box<[Rule]>,
    iid: InterfaceId,
}

impl Mesh {
    /// A mesh of those `rules` that are for forwarding. A rule for all of IPv4 is none: everything else
    /// is the border router's.
    pub fn new(rules: impl IntoIterator<Item = Rule>, iid: InterfaceId) -> Self {
        let forwarding = |rule: &Rule| rule.is_forwarding() && rule.ipv4().len() > 0;
        let mut rules: Box<[Rule]> = rules.into_iter().filter(forwarding).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.ipv4().len()));
        Self { rules, iid }
    }

    /// The tunnel's end at the CE that has this IPv4 address and port, or ICMP identifier (RFC 7597 5.3).
    /// `None`: the border router knows better.
    pub fn remote(&self, ipv4: Addr4, port: Port) -> Option<Addr6> {
        self.rules.iter().find(|rule| rule.ipv4().contains(ipv4))?.remote(ipv4, port.number(), self.iid)
    }

    /// The CE whose tunnel's end this is, if it is one's.
    pub fn peer(&self, end: Addr6) -> Option<Ce> {
        let host = Prefix6::new(end.into(), 128)?;
        let ce = longest(&self.rules, host)?.ce(host, self.iid).ok()?;
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
        self.rules.iter().any(|rule| rule.ipv6().contains(end.into()) || rule.ipv4().contains(ipv4))
    }

    /// The routes of its IPv4 prefixes. A snapshot must have them, or packets go to the border router.
    pub fn routes(&self, softwire: SoftwireId) -> impl Iterator<Item = (Prefix4, Route)> {
        self.rules.iter().map(move |rule| (rule.ipv4(), Route::Mesh(softwire)))
    }
}
