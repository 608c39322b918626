//! A rule as the operator wrote it, and the question that it answers.

use std::time::Duration;

use hikyaku_net::{Addr4, Addr6, Prefix4, Prefix6, protocol};

use crate::sessions::LanId;

/// Whom a session begins with, or leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The Internet, natively or through the tunnel.
    Wan,
    /// Hosts of ours.
    Lan(LanId),
}

/// What becomes of a packet that would open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It does.
    Accept,
    /// It is dropped, and nobody is told.
    Drop,
    /// It is dropped, and its sender is told: by a reset of TCP (RFC 9293 3.10.7.1), else that it is prohibited (RFC 1812
    /// 5.2.7.1, RFC 4443 3.1).
    Reject,
}

/// One end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4 addresses.
    V4(Prefix4),
    /// IPv6 addresses.
    V6(Prefix6),
    /// The host of a LAN with this interface id, whatever the prefix of its LAN is now (RFC 4291 2.5.1).
    InterfaceId(u64),
}

/// How often a rule accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Once in so long.
    pub interval: Duration,
    /// And so often at once.
    pub burst: u32,
}

/// Which sessions may begin, or may not. A list that is empty means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As the user wrote it.
    pub name: String,
    /// Where its first packet comes from.
    pub from: Zone,
    /// Where that goes.
    pub to: Zone,
    /// Upper-layer protocols ([`hikyaku_net::protocol`]).
    pub protocols: Vec<u8>,
    /// First and last source port, of protocols with ports.
    pub source_ports: Vec<(u16, u16)>,
    /// First and last destination port of protocols with ports; types of ICMP and ICMPv6.
    pub ports: Vec<(u16, u16)>,
    /// Where it may come from: with addresses of one family only that family's.
    pub source: Vec<Address>,
    /// Whom it may be for: of a host of ours its address on the LAN, whatever is translated.
    pub destination: Vec<Address>,
    /// What becomes of it.
    pub action: Action,
    /// How often at most, where it accepts; what is over it is dropped.
    pub rate: Option<Rate>,
    /// The control thread logs how often it refused or let in.
    pub log: bool,
}

impl Rule {
    /// Whether it may fit a packet of IPv4 that comes from a LAN and goes to the Internet.
    pub(super) fn asks_lan4(&self) -> bool {
        let may_be = |addresses: &[Address]| {
            addresses.is_empty() || addresses.iter().any(|address| matches!(address, Address::V4(_)))
        };
        let protocol = self.protocols.is_empty() || self.protocols.iter().any(|&kind| kind != protocol::ICMPV6);
        matches!((self.from, self.to), (Zone::Lan(_), Zone::Wan))
            && protocol
            && may_be(&self.source)
            && may_be(&self.destination)
    }

    /// Whether a later fragment, of which all is known but ports and type, is to be asked of it. Where it accepts, it is: a
    /// host can do nothing with a fragment whose first one does not come. Where it refuses some ports only, others' fragments
    /// would go with them (RFC 3128, RFC 1858).
    pub(super) fn may_fit_later_fragment(&self) -> bool {
        self.action == Action::Accept || self.ports.is_empty() && self.source_ports.is_empty()
    }
}

/// Addresses of both ends of a session that is about to be opened.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// Source and destination.
    V4([Addr4; 2]),
    /// Source and destination.
    V6([Addr6; 2]),
}

/// What a session would be that is about to be opened, by its first packet.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Where the packet comes from.
    pub from: Zone,
    /// Where it goes.
    pub to: Zone,
    /// Its upper-layer protocol.
    pub protocol: u8,
    /// Its addresses; those of a host of ours as the LAN knows them.
    pub ends: Ends,
    /// Source and destination port; 0 and the type of ICMP and ICMPv6; 0 of what has none. `None`: those of a later fragment,
    /// which nobody knows.
    pub ports: Option<[u16; 2]>,
}

impl Opening {
    /// Its `ports`, read off the beginning of the transport header; 0 of what is not there.
    pub fn ports(kind: u8, transport: &[u8]) -> [u16; 2] {
        match *transport {
            [a, b, c, d, ..] if protocol::has_ports(kind) => [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])],
            [of_icmp, ..] if matches!(kind, protocol::ICMP | protocol::ICMPV6) => [0, of_icmp.into()],
            _ => [0, 0],
        }
    }
}
