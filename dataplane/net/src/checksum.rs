//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! All sums are over 16-bit words in memory order: one's complement addition does not care about
//! byte order as long as all words agree, so nothing is ever swapped.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A checksum field as it stands in a header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Checksum(pub [u8; 2]);

impl Checksum {
    /// "None was computed" (UDP over IPv4 only, RFC 768).
    pub const ABSENT: Self = Self([0; 2]);

    #[inline(always)]
    fn word(self) -> u16 {
        u16::from_ne_bytes(self.0)
    }

    /// The checksum after words of the data changed by `delta` (RFC 1624, equation 3).
    #[inline(always)]
    #[must_use]
    pub fn updated(self, delta: Delta) -> Self {
        Self((!add(!self.word(), delta.0)).to_ne_bytes())
    }

    /// As [`Self::updated`] for UDP and UDP-Lite: an absent checksum stays absent (and, of UDP-Lite, wrong:
    /// RFC 3828 3.1), a computed zero is sent as all ones (RFC 768).
    #[inline(always)]
    #[must_use]
    pub fn updated_udp(self, delta: Delta) -> Self {
        let new = self.updated(delta).word();
        let new = if new == 0 { 0xffff } else { new };
        if self == Self::ABSENT { self } else { Self(new.to_ne_bytes()) }
    }
}

/// The change of some words, to be applied to every checksum that covers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta(pub u16);

impl Delta {
    /// The word of TTL and protocol after one hop, whatever both are: `!old + (old - 1)`.
    pub const TTL_DECREMENT: Self = Self(!u16::from_ne_bytes([1, 0]));

    /// One word became another.
    #[inline(always)]
    pub fn word(old: u16, new: u16) -> Self {
        Self(add(!old, new))
    }

    /// Four bytes at an even offset became others (memory order).
    #[inline(always)]
    pub fn words(old: u32, new: u32) -> Self {
        let old = !old;
        Self(fold((old & 0xffff) + (old >> 16) + (new & 0xffff) + (new >> 16)))
    }

    /// The change that makes both changes.
    #[inline(always)]
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(add(self.0, other.0))
    }

    /// The change that undoes this one.
    #[inline(always)]
    #[must_use]
    pub fn reverse(self) -> Self {
        Self(!self.0)
    }
}

/// One's complement addition of two words (RFC 1071 1).
#[inline(always)]
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u16
}

#[inline(always)]
fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// A running sum over bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// A sum over nothing.
    pub fn new() -> Self {
        Self(0)
    }

    /// Adds `bytes`; an odd last byte is padded with zero, so it must be the last.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        for w in words {
            self.0 += u64::from(u32::from_ne_bytes(*w));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        self.0 += u64::from(u32::from_ne_bytes(last));
        self
    }

    /// Adds one 16-bit number in host order.
    #[must_use]
    pub fn number(mut self, n: u16) -> Self {
        self.0 += u64::from(n.to_be());
        self
    }

    /// The checksum of what was added; 0 when that includes a right checksum.
    pub fn checksum(self) -> Checksum {
        Checksum((!fold64(self.0)).to_ne_bytes())
    }
}

#[inline(always)]
fn fold64(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    fold(sum as u32)
}

/// Whether a 20-byte IPv4 header's checksum is right: the words sum to all ones.
#[inline(always)]
pub fn header_is_right(header: &[u8; 20]) -> bool {
    let word = |i: usize| u32::from_ne_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]) as u64;
    let sum = word(0) + word(4) + word(8) + word(12) + word(16);
    // 2^16 is 1 modulo 0xffff: a sum of words that is a multiple of it folds to all ones
    // (the sum is not zero: the version is in it).
    sum % 0xffff == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 section 4.1, word for word.
    fn by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn rfc1071_full_sum(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(Sum::new().bytes(&bytes).checksum().0, by_the_book(&bytes).to_be_bytes());
        }

        #[test]
        fn rfc1071_numbers_are_words(a: u16, b: u16) {
            let bytes = [a.to_be_bytes(), b.to_be_bytes()].concat();
            prop_assert_eq!(Sum::new().number(a).number(b).checksum(), Sum::new().bytes(&bytes).checksum());
        }

        #[test]
        fn rfc1624_incremental_equals_full(
            mut bytes in prop::collection::vec(any::<u8>(), 1..120), at: prop::sample::Index, new: [u8; 4]
        ) {
            bytes[0] |= 1; // a header is never all zero; all-zero data is where eqn. 3 and a full sum may differ
            bytes.resize(bytes.len().next_multiple_of(4) + 4, 7);
            let before = Sum::new().bytes(&bytes).checksum();
            let at = at.index((bytes.len() - 4) / 4) * 4 + 4;
            let old: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
            bytes[at..at + 4].copy_from_slice(&new);
            let delta = Delta::words(u32::from_ne_bytes(old), u32::from_ne_bytes(new));
            let after = before.updated(delta);
            prop_assert_eq!(after, Sum::new().bytes(&bytes).checksum());
            prop_assert_eq!(after.updated(delta.reverse()), before);
        }

        #[test]
        fn rfc791_header_check(mut header: [u8; 20]) {
            header[0] = 0x45;
            header[10..12].copy_from_slice(&[0, 0]);
            let sum = by_the_book(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            prop_assert!(header_is_right(&header));
            header[8] ^= 1;
            prop_assert!(!header_is_right(&header));
        }
    }

    #[test]
    fn rfc768_zero_checksum() {
        assert_eq!(Checksum::ABSENT.updated_udp(Delta::word(1, 2)), Checksum::ABSENT);
        // ~(~c + d) = 0 where d = c: must go out as all ones.
        let c = Checksum([0x12, 0x34]);
        assert_eq!(c.updated_udp(Delta(c.word())), Checksum([0xff; 2]));
    }
}
