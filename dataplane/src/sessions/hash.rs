//! The keyed hash that a session's entries in the index are found by.

use ahash::RandomState;

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
    /// All of them, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Outbound, Self::Inbound, Self::MappingInside, Self::MappingOutside];

    /// Which part of the index is this kind's.
    #[inline(always)]
    pub(crate) fn part(self) -> usize {
        self as usize - 1
    }

    /// The kind of entry that has this tag; `None` if it is free.
    pub(crate) fn of_tag(tag: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u16 == tag & 7)
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

    /// [`Kind::part`] of the key that it is the hash of.
    #[inline]
    pub(crate) fn part(self) -> usize {
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

    /// The hash of a key of this kind, which is among what is hashed.
    #[inline(always)]
    pub(crate) fn of(&self, kind: Kind, key: impl std::hash::Hash) -> Hash {
        Hash(self.0.hash_one(key) & !(7 << 48) | (kind as u64) << 48)
    }
}
