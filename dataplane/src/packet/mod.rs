//! Header views over bytes, checked once at the door, and the checksums in them.
//!
//! Each header is a plain struct laid over the frame by `zerocopy`: no copy, no alignment, fields
//! in network order behind types. What a view cannot know (does the length field fit the frame?
//! is the checksum right?) is asked once, by [`ipv4::check`] or [`ipv6::walk`], and typed
//! afterwards.

pub mod checksum;
pub mod ipv4;
pub mod ipv6;
pub mod protocol;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use checksum::{Checksum, Delta};
pub use ipv4::Ipv4;
pub use ipv6::Ipv6;

/// A 48-bit Ethernet address.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All ones.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Broadcast or multicast.
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
}

impl Addr4 {
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
    /// The port number.
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

/// What an Ethernet frame carries.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// An 802.1Q tag.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// An 802.1ad tag, with another one behind it.
    pub const PROVIDER_VLAN: u16 = 0x88a8;
}

/// An Ethernet header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Ethernet {
    /// To whom.
    pub dst: Mac,
    /// From whom.
    pub src: Mac,
    /// One of [`ethertype`].
    pub ethertype: U16,
}

/// A UDP header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Udp {
    /// Source port.
    pub src: Port,
    /// Destination port.
    pub dst: Port,
    /// Header and payload, bytes.
    pub len: U16,
    /// 0 in IPv4: none was computed.
    pub checksum: Checksum,
}

/// A TCP header without options.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Tcp {
    /// Source port.
    pub src: Port,
    /// Destination port.
    pub dst: Port,
    /// Sequence number.
    pub seq: U32,
    /// Acknowledgement number.
    pub ack: U32,
    /// Header length in 32-bit words, in the upper half.
    pub offset: u8,
    /// One of [`Tcp::FIN`], [`Tcp::SYN`], …
    pub flags: u8,
    /// Receive window.
    pub window: U16,
    /// Over pseudo header, header and payload.
    pub checksum: Checksum,
    /// Urgent pointer.
    pub urgent: U16,
}

impl Tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Abort.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// The first eight bytes of an ICMP message, of IPv4 or IPv6.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Over the message (and a pseudo header in IPv6).
    pub checksum: Checksum,
    /// Identifier of an echo or a timestamp; unused or an MTU in errors.
    pub id: Port,
    /// Sequence number of an echo; next-hop MTU of an IPv4 "fragmentation needed".
    pub seq: U16,
}

impl Icmp {
    /// Echo reply (IPv4).
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable (IPv4).
    pub const UNREACHABLE: u8 = 3;
    /// Echo request (IPv4).
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded (IPv4).
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem (IPv4).
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Timestamp request (IPv4).
    pub const TIMESTAMP: u8 = 13;
    /// Timestamp reply (IPv4).
    pub const TIMESTAMP_REPLY: u8 = 14;

    /// An IPv4 error message, which quotes the packet it is about (RFC 1122 3.2.2).
    pub fn is_error4(kind: u8) -> bool {
        matches!(kind, Self::UNREACHABLE | 4 | 5 | Self::TIME_EXCEEDED | Self::PARAMETER_PROBLEM)
    }
}
