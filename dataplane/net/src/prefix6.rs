//! IPv6 prefixes.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// An IPv6 prefix; host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix6 {
    bits: u128,
    len: u8,
}

impl Prefix6 {
    /// The prefix of `len` bits that `address` is in; `None` if `len` is over 128.
    pub const fn new(address: Ipv6Addr, len: u8) -> Option<Self> {
        if len > 128 {
            return None;
        }
        Some(Self { bits: address.to_bits() & Self::mask(len), len })
    }

    /// The lowest address of the prefix.
    pub const fn address(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.bits)
    }

    /// Length in bits, up to 128.
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether `address` is in it.
    pub const fn contains(self, address: Ipv6Addr) -> bool {
        address.to_bits() & Self::mask(self.len) == self.bits
    }

    /// The prefix of `len` bits that this one is in; `None` if it has fewer bits itself.
    pub const fn shortened(self, len: u8) -> Option<Self> {
        if len > self.len {
            return None;
        }
        Self::new(self.address(), len)
    }

    /// The address in it with these lower bits; where the prefix is longer than 64 bits, it counts
    /// (RFC 7597 6).
    pub const fn with_interface_id(self, id: u64) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.bits | id as u128 & !Self::mask(self.len))
    }

    /// The prefix that has `count` more bits, these. All must fit.
    pub(crate) const fn extended(self, more: u64, count: u8) -> Self {
        let len = self.len + count;
        match (more as u128).checked_shl(128 - len as u32) {
            Some(more) => Self { bits: self.bits | more, len },
            None => Self { bits: self.bits, len },
        }
    }

    /// `count` bits behind the first `from`, up to 64.
    pub(crate) const fn bits(self, from: u8, count: u8) -> u64 {
        let below = 128 - from as u32 - count as u32;
        match self.bits.checked_shr(below) {
            Some(bits) => bits as u64 & ((1u128 << count) - 1) as u64,
            None => 0,
        }
    }

    const fn mask(len: u8) -> u128 {
        match u128::MAX.checked_shl(128 - len as u32) {
            Some(mask) => mask,
            None => 0,
        }
    }
}

impl fmt::Display for Prefix6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.len)
    }
}

impl fmt::Debug for Prefix6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no IPv6 prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an IPv6 prefix: want ADDRESS/LENGTH such as 2001:db8::/56")]
pub struct NotAPrefix6(String);

impl FromStr for Prefix6 {
    type Err = NotAPrefix6;
    fn from_str(text: &str) -> Result<Self, NotAPrefix6> {
        let parse = || {
            let (address, len) = text.split_once('/')?;
            Self::new(address.parse().ok()?, len.parse().ok()?)
        };
        parse().ok_or_else(|| NotAPrefix6(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_extended_has_these_bits(address: u128, len in 0u8..=64, more: u64, count in 0u8..=64) {
            let prefix = Prefix6::new(address.into(), len).unwrap();
            let more = if count == 64 { more } else { more & ((1 << count) - 1) };
            let longer = prefix.extended(more, count);
            prop_assert_eq!(longer.len(), len + count);
            prop_assert_eq!(longer.bits(len, count), more);
            prop_assert_eq!(longer.shortened(len), Some(prefix));
            prop_assert!(prefix.contains(longer.address()));
            prop_assert_eq!(longer.to_string().parse(), Ok(longer));
        }
    }

    #[test]
    fn edges() {
        let all = Prefix6::new(Ipv6Addr::LOCALHOST, 0).unwrap();
        assert_eq!((all.address(), all.bits(0, 0)), (Ipv6Addr::UNSPECIFIED, 0));
        assert!(all.contains(Ipv6Addr::LOCALHOST) && all.shortened(1).is_none());
        assert_eq!(Prefix6::new(Ipv6Addr::LOCALHOST, 129), None);
        let long: Prefix6 = "2001:db8::aaaa:0:0:0/80".parse().unwrap();
        assert_eq!(
            long.with_interface_id(0x1111_2222_3333_4444),
            "2001:db8::aaaa:2222:3333:4444".parse::<Ipv6Addr>().unwrap()
        );
        assert!(
            ["2001:db8::", "2001:db8::/129", "x/1", "", "192.0.2.0/24"].iter().all(|t| t.parse::<Prefix6>().is_err())
        );
    }
}
