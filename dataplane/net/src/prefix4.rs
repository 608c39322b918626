//! IPv4 prefixes.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::Addr4;

/// An IPv4 prefix; host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix4 {
    /// Memory order, host bits zero.
    net: u32,
    /// Ones where the prefix has bits, in memory order.
    mask: u32,
    len: u8,
}

impl Prefix4 {
    /// The prefix of no bits, which every address is in.
    pub const ALL: Self = Self { net: 0, mask: 0, len: 0 };

    /// A prefix that no address is in.
    pub const NONE: Self = Self { net: 1, mask: 0, len: 32 };

    /// The prefix of `len` bits that `addr` is in; `None` if `len` is over 32.
    pub fn new(addr: Ipv4Addr, len: u8) -> Option<Self> {
        let mask = u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0).to_be();
        (len <= 32).then(|| Self { net: Addr4::from(addr).word() & mask, mask, len })
    }

    /// The lowest address of the prefix, its network number.
    pub fn address(&self) -> Ipv4Addr {
        Addr4::from_word(self.net).into()
    }

    /// Whether `addr` is in it.
    #[inline(always)]
    pub fn contains(&self, addr: Addr4) -> bool {
        addr.word() & self.mask == self.net
    }

    /// How many bits the prefix has, 0 to 32.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u8 {
        self.len
    }

    /// `addr` is the prefix's own number or its directed broadcast: no host (RFC 1812 5.3.5).
    pub fn is_broadcast(&self, addr: Addr4) -> bool {
        self.len < 31 && self.contains(addr) && (addr.word() | self.mask == u32::MAX || addr.word() == self.net)
    }
}

impl fmt::Display for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(Addr4::from_word(self.net)), self.len)
    }
}

impl fmt::Debug for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an IPv4 prefix: want ADDRESS/LENGTH such as 192.168.1.0/24")]
pub struct NotAPrefix4(String);

impl FromStr for Prefix4 {
    type Err = NotAPrefix4;
    fn from_str(s: &str) -> Result<Self, NotAPrefix4> {
        let parse = || {
            let (addr, len) = s.split_once('/')?;
            Self::new(addr.parse().ok()?, len.parse().ok()?)
        };
        parse().ok_or_else(|| NotAPrefix4(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_broadcast() {
        let lan: Prefix4 = "192.168.1.77/24".parse().unwrap();
        assert_eq!(lan.to_string(), "192.168.1.0/24");
        assert!(lan.is_broadcast(Addr4([192, 168, 1, 255])) && lan.is_broadcast(Addr4([192, 168, 1, 0])));
        assert!(!lan.is_broadcast(Addr4([192, 168, 1, 1])) && !lan.is_broadcast(Addr4([192, 168, 2, 255])));
        assert!("192.168.1.0".parse::<Prefix4>().is_err() && "1.2.3.4/33".parse::<Prefix4>().is_err());
    }
}
