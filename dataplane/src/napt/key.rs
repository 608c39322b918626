//! What a session is looked up by, and the keyed hash of it.

use ahash::RandomState;
use hikyaku_net::{Addr4, Port};

/// Which of a session's four entries in the index is meant. Part of the hashed bytes, so that the
/// entries of one session lie in unrelated places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The whole flow as the LAN sends it: inside -> peer.
    Outbound = 1,
    /// The whole flow as the Internet sends it: peer -> outside.
    Inbound = 2,
    /// The mapping by its inside address and port, whatever the peer.
    MappingInside = 3,
    /// The mapping by its outside address and port, whatever the peer.
    MappingOutside = 4,
}

impl Kind {
    /// Which quarter of the index is this kind's.
    #[inline(always)]
    pub(super) fn quarter(self) -> usize {
        self as usize - 1
    }

    /// The kind of entry that has this tag; `None` if it is free.
    pub(super) fn of_tag(tag: u16) -> Option<Self> {
        [Self::Outbound, Self::Inbound, Self::MappingInside, Self::MappingOutside]
            .into_iter()
            .find(|&kind| kind as u16 == tag & 7)
    }
}

/// Addresses, ports and protocol in the order in which they stand in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Source and destination address, memory order.
    pub addrs: u64,
    /// Source and destination port, memory order.
    pub ports: u32,
    /// The IP protocol, one of [`hikyaku_net::protocol`].
    pub protocol: u8,
    /// Which of a session's four entries the key finds.
    pub kind: Kind,
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
    /// The flow `src` -> `dst` as seen from one side.
    pub fn flow(kind: Kind, protocol: u8, src: Endpoint, dst: Endpoint) -> Self {
        Self { addrs: pair_addrs(src.addr, dst.addr), ports: pair_ports(src.port, dst.port), protocol, kind }
    }

    /// The mapping that `endpoint` is one end of.
    pub fn mapping(kind: Kind, protocol: u8, endpoint: Endpoint) -> Self {
        Self::flow(kind, protocol, endpoint, Endpoint::default())
    }
}

/// Where a key's entry may be. Nobody outside can steer it: the hash is keyed per table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash(u64);

impl Hash {
    /// The hash of packets that belong to no flow.
    pub const NONE: Self = Self(0);

    /// The middle of a product of a number with a random one.
    #[inline(always)]
    pub fn from_product(product: u128) -> Self {
        Self((product >> 64) as u64 ^ product as u64)
    }

    /// First bucket to look in.
    #[inline(always)]
    pub fn primary(self, mask: u32) -> usize {
        (self.0 as u32 & mask) as usize
    }

    /// The second of the two buckets that a key may be in.
    #[inline(always)]
    pub fn secondary(self, mask: u32) -> usize {
        ((self.0 >> 24) as u32 & mask) as usize
    }

    /// What an entry remembers of the hash: 13 bits of it and the [`Kind`], so never 0, and the
    /// entries of one session are never taken for each other.
    #[inline(always)]
    pub fn tag(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// [`Kind::quarter`] of the key that it is the hash of.
    #[inline]
    pub(super) fn quarter(self) -> usize {
        usize::from(self.tag()).wrapping_sub(1) % 4
    }

    /// One of 256. Mixed once more: a product alone spreads flows in sequence unevenly under some secrets.
    #[inline(always)]
    pub fn byte(self) -> u8 {
        ((self.0 ^ self.0 >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }

    /// 20 bits for the outer flow label (RFC 6438 3).
    #[inline(always)]
    pub fn flow_label(self) -> u32 {
        (self.0 >> 28) as u32 & 0xf_ffff
    }
}

/// The secret that makes the hash.
#[derive(Clone, Debug)]
pub struct Hasher(RandomState);

impl Hasher {
    /// A secret from the system's randomness.
    pub fn random() -> Self {
        Self::with_seed(rand::random())
    }

    /// A secret of the caller's choice: tests and reproducible benchmarks.
    pub fn with_seed([a, b, c, d]: [u64; 4]) -> Self {
        Self(RandomState::with_seeds(a, b, c, d))
    }

    /// The hash of a key.
    #[inline(always)]
    pub fn hash(&self, key: &Key) -> Hash {
        let tail = u64::from(key.ports) | u64::from(key.protocol) << 32 | (key.kind as u64) << 40;
        let hash = self.0.hash_one(u128::from(key.addrs) | u128::from(tail) << 64);
        Hash(hash & !(7 << 48) | (key.kind as u64) << 48)
    }
}
