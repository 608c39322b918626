//! Addresses and ports as they stand in headers.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A 48-bit Ethernet address.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The broadcast address, all ones (IEEE 802.3 3.2.3).
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group of stations, multicast or broadcast, and so cannot be a source (IEEE 802.3 3.2.3).
    #[inline(always)]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An IPv4 address as it stands in a header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Addr4(pub [u8; 4]);

impl Addr4 {
    /// The four bytes as one word in memory order: for comparing and hashing, not for arithmetic.
    #[inline(always)]
    pub fn word(self) -> u32 {
        u32::from_ne_bytes(self.0)
    }

    /// The address whose [`Self::word`] this is.
    #[inline(always)]
    pub fn from_word(word: u32) -> Self {
        Self(word.to_ne_bytes())
    }

    /// Can stand as the source of a packet that is forwarded: not 0/8, 127/8, multicast, reserved
    /// or broadcast (RFC 1812 5.3.7).
    #[inline(always)]
    pub fn is_host(self) -> bool {
        const HOST: [bool; 256] = {
            let mut host = [true; 256];
            (host[0], host[127]) = (false, false);
            let mut octet = 224;
            while octet < 256 {
                host[octet] = false;
                octet += 1;
            }
            host
        };
        HOST[self.0[0] as usize]
    }

    /// Of one link, not to be forwarded (RFC 3927 2.6.2).
    pub fn is_link_local(self) -> bool {
        self.0[..2] == [169, 254]
    }
}

impl From<Ipv4Addr> for Addr4 {
    fn from(a: Ipv4Addr) -> Self {
        Self(a.octets())
    }
}

impl From<Addr4> for Ipv4Addr {
    fn from(a: Addr4) -> Self {
        a.0.into()
    }
}

impl fmt::Debug for Addr4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Ipv4Addr::from(*self), f)
    }
}

/// An IPv6 address as it stands in a header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Addr6(pub [u8; 16]);

impl Addr6 {
    /// Prefix and interface id, memory order.
    #[inline(always)]
    pub fn words(self) -> [u64; 2] {
        zerocopy::transmute!(self.0)
    }

    /// An address of these two, memory order.
    pub fn from_words(words: [u64; 2]) -> Self {
        Self(zerocopy::transmute!(words))
    }

    /// A group of hosts (RFC 4291 2.7).
    #[inline(always)]
    pub fn is_group(self) -> bool {
        self.0[0] == 0xff
    }

    /// Of one link, and forwarded by no router (RFC 4291 2.5.6).
    pub fn is_link_local(self) -> bool {
        self.0[0] == 0xfe && self.0[1] & 0xc0 == 0x80
    }

    /// Of one site (RFC 4193 3.1): not for the Internet.
    pub fn is_unique_local(self) -> bool {
        self.0[0] & 0xfe == 0xfc
    }

    /// Whether a router forwards packets from and to it: it is one host's, and not only its own link's (RFC 4291 2.5, RFC
    /// 6890 2.2.3). Not so the unspecified address, the loopback, and whatever else begins with eight zero octets
    /// (IPv4-compatible, IPv4-mapped); the discard prefix (RFC 6666); ORCHID (RFC 4843); site-local (RFC 3879). Addresses
    /// for documentation (RFC 3849, RFC 9637) are: nobody has them but a test network.
    pub fn is_forwardable(self) -> bool {
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, ..] | [1, 0, 0, 0, 0, 0, 0, 0, ..] => false,
            [0x20, 0x01, 0, third, ..] => third & 0xf0 != 0x10,
            [0xfe, second, ..] => second & 0x80 == 0,
            [first, ..] => first != 0xff,
        }
    }
}

impl From<Ipv6Addr> for Addr6 {
    fn from(a: Ipv6Addr) -> Self {
        Self(a.octets())
    }
}

impl From<Addr6> for Ipv6Addr {
    fn from(a: Addr6) -> Self {
        a.0.into()
    }
}

impl fmt::Debug for Addr6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Ipv6Addr::from(*self), f)
    }
}

/// A TCP or UDP port, or an ICMP identifier, as it stands in a header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Port(pub [u8; 2]);

impl Port {
    /// The port as a number, 0 to 65535.
    #[inline(always)]
    pub fn number(self) -> u16 {
        u16::from_be_bytes(self.0)
    }

    /// The two bytes as one word in memory order: for comparing, hashing and checksums.
    #[inline(always)]
    pub fn word(self) -> u16 {
        u16::from_ne_bytes(self.0)
    }
}

impl From<u16> for Port {
    fn from(number: u16) -> Self {
        Self(number.to_be_bytes())
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}
