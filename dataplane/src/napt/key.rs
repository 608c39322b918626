//! What a session is looked up by.

use hikyaku_net::{Addr4, Port};

use crate::sessions::hash::{Hash, Hasher, Kind};
use crate::sessions::{Direction, LanId};

/// Addresses, ports and protocol in the order in which they stand in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Source and destination address, memory order.
    addrs: u64,
    /// From the lowest bit on: source and destination port, memory order, 32; protocol, 8; and the [`Scope`].
    rest: u64,
}

/// What the keys of all packets of a burst have in common: which of a session's four entries they find, and in which LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(u64);

impl Scope {
    /// Nothing: of packets whose sessions nobody looks up.
    pub const NONE: Self = Self(0);
    /// Packets from the Internet. Their outside address and port say everything, there is no LAN to ask for.
    pub const INBOUND: Self = Self::new(Kind::Inbound, LanId(0));

    const fn new(kind: Kind, lan: LanId) -> Self {
        Self((kind as u64) << 48 | (lan.0 as u64) << 40)
    }

    /// Packets that hosts of this LAN send.
    pub const fn outbound(lan: LanId) -> Self {
        Self::new(Kind::Outbound, lan)
    }
}

/// An address and a port (for ICMP echo: the identifier).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The IPv4 address of this end.
    pub addr: Addr4,
    /// The port of this end, or the ICMP identifier.
    pub port: Port,
}

impl Endpoint {
    /// An endpoint from the two.
    pub fn new(addr: impl Into<Addr4>, port: impl Into<Port>) -> Self {
        Self { addr: addr.into(), port: port.into() }
    }
}

/// Two addresses as one word, in packet order.
#[inline(always)]
pub fn pair_addrs(src: Addr4, dst: Addr4) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (src.0, dst.0);
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Two ports as one word, in packet order.
#[inline(always)]
pub fn pair_ports(src: Port, dst: Port) -> u32 {
    let ([a, b], [c, d]) = (src.0, dst.0);
    u32::from_ne_bytes([a, b, c, d])
}

/// The two addresses of [`pair_addrs`].
#[inline(always)]
pub fn split_addrs(pair: u64) -> (Addr4, Addr4) {
    let [a, b, c, d, e, f, g, h] = pair.to_ne_bytes();
    (Addr4([a, b, c, d]), Addr4([e, f, g, h]))
}

/// The two ports of [`pair_ports`].
#[inline(always)]
pub fn split_ports(pair: u32) -> (Port, Port) {
    let [a, b, c, d] = pair.to_ne_bytes();
    (Port([a, b]), Port([c, d]))
}

impl Key {
    /// The key of no packet.
    pub const NONE: Self = Self { addrs: 0, rest: 0 };

    /// The flow of a packet by its addresses ([`pair_addrs`]) and ports ([`pair_ports`]).
    #[inline(always)]
    pub fn new(scope: Scope, protocol: u8, addrs: u64, ports: u32) -> Self {
        Self { addrs, rest: u64::from(ports) | u64::from(protocol) << 32 | scope.0 }
    }

    /// The flow of what a host of `lan` sends to `peer`.
    pub fn outbound(lan: LanId, protocol: u8, inside: Endpoint, peer: Endpoint) -> Self {
        Self::of_ends(Scope::outbound(lan), protocol, inside, peer)
    }

    /// The flow of what `peer` sends to an outside port.
    pub fn inbound(protocol: u8, peer: Endpoint, outside: Endpoint) -> Self {
        Self::of_ends(Scope::INBOUND, protocol, peer, outside)
    }

    /// The mapping of an inside address and port, whatever the peer.
    pub(super) fn mapping_inside(lan: LanId, protocol: u8, inside: Endpoint) -> Self {
        Self::of_ends(Scope::new(Kind::MappingInside, lan), protocol, inside, Endpoint::default())
    }

    /// The mapping of an outside address and port, whatever the peer.
    pub(super) fn mapping_outside(protocol: u8, outside: Endpoint) -> Self {
        Self::of_ends(Scope::new(Kind::MappingOutside, LanId(0)), protocol, outside, Endpoint::default())
    }

    fn of_ends(scope: Scope, protocol: u8, src: Endpoint, dst: Endpoint) -> Self {
        Self::new(scope, protocol, pair_addrs(src.addr, dst.addr), pair_ports(src.port, dst.port))
    }

    /// The key of this kind of a session with this protocol and, above it, LAN; 0 in keys that have none.
    #[inline(always)]
    pub(super) fn of_session(kind: Kind, protocol_and_lan: u16, addrs: u64, ports: u32) -> Self {
        Self { addrs, rest: u64::from(ports) | u64::from(protocol_and_lan) << 32 | (kind as u64) << 48 }
    }

    /// Source and destination address, memory order.
    #[inline(always)]
    pub fn addrs(&self) -> u64 {
        self.addrs
    }

    /// Source and destination port, memory order.
    #[inline(always)]
    pub fn ports(&self) -> u32 {
        self.rest as u32
    }

    /// The IP protocol, one of [`hikyaku_net::protocol`].
    #[inline(always)]
    pub fn protocol(&self) -> u8 {
        (self.rest >> 32) as u8
    }

    /// Protocol, and above it the LAN.
    #[inline(always)]
    pub(super) fn protocol_and_lan(&self) -> u16 {
        (self.rest >> 32) as u16
    }

    /// The LAN of what a host sends.
    pub fn lan(&self) -> LanId {
        LanId((self.rest >> 40) as u8)
    }

    /// Which of a session's four entries the key finds.
    #[inline(always)]
    pub fn kind(&self) -> Kind {
        match (self.rest >> 48) as u8 {
            1 => Kind::Outbound,
            2 => Kind::Inbound,
            3 => Kind::MappingInside,
            _ => Kind::MappingOutside,
        }
    }

    /// The way of the packets that it is the key of.
    pub fn direction(&self) -> Direction {
        if self.kind() == Kind::Outbound { Direction::Outbound } else { Direction::Inbound }
    }

    /// Where its entry may be in a table with this secret.
    pub fn hash(&self, secret: &Hasher) -> Hash {
        self.hash_of(self.kind(), secret)
    }

    /// The same where the kind is known.
    #[inline(always)]
    pub(super) fn hash_of(&self, kind: Kind, secret: &Hasher) -> Hash {
        debug_assert_eq!(kind, self.kind());
        secret.of(kind, u128::from(self.addrs) | u128::from(self.rest) << 64)
    }
}
