//! Header views over bytes, checked once at the door.
//!
//! Each header is a plain struct laid over the frame by `zerocopy`: no copy, no alignment, fields
//! in network order behind types. What a view cannot know (does the length field fit the frame?
//! is the checksum right?) is asked once, by [`ipv4::check`] or [`ipv6::walk`], and typed
//! afterwards.

pub mod ipv4;
pub mod ipv6;

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::Checksum;
use crate::{Mac, Port};

pub use ipv4::Ipv4;
pub use ipv6::Ipv6;

/// What an Ethernet frame carries.
pub mod ethertype {
    /// The frame carries an IPv4 packet.
    pub const IPV4: u16 = 0x0800;
    /// The frame carries an ARP message (RFC 826).
    pub const ARP: u16 = 0x0806;
    /// Four bytes of an 802.1Q tag come before the frame's own type.
    pub const VLAN: u16 = 0x8100;
    /// The frame carries an IPv6 packet.
    pub const IPV6: u16 = 0x86dd;
    /// An 802.1ad tag, with another one behind it.
    pub const PROVIDER_VLAN: u16 = 0x88a8;
}

/// The header of an Ethernet II frame, without tag.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Ethernet {
    /// The station the frame is for.
    pub dst: Mac,
    /// The station the frame is from.
    pub src: Mac,
    /// What the frame carries, one of [`ethertype`].
    pub ethertype: U16,
}

/// The header of a UDP datagram (RFC 768).
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Udp {
    /// The port of the sender.
    pub src: Port,
    /// The port of the receiver.
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
    /// The port of the sender.
    pub src: Port,
    /// The port of the receiver.
    pub dst: Port,
    /// The number of the segment's first byte.
    pub seq: U32,
    /// The number of the next byte that the sender expects.
    pub ack: U32,
    /// Header length in 32-bit words, in the upper half.
    pub offset: u8,
    /// One of [`Tcp::FIN`], [`Tcp::SYN`], …
    pub flags: u8,
    /// How many bytes the sender takes, before window scaling.
    pub window: U16,
    /// Over pseudo header, header and payload.
    pub checksum: Checksum,
    /// Where urgent data ends, counted from the sequence number.
    pub urgent: U16,
}

impl Tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Opens a connection: synchronises sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Aborts the connection (RFC 9293 3.10.7).
    pub const RST: u8 = 0x04;
    /// Asks the receiver to hand the data to the application at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// The first eight bytes of an ICMP message, of IPv4 or IPv6.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Icmp {
    /// What the message is; IPv4 and IPv6 number these differently.
    pub kind: u8,
    /// What kind of such a message it is.
    pub code: u8,
    /// Over the message (and a pseudo header in IPv6).
    pub checksum: Checksum,
    /// Identifier of an echo or a timestamp; unused or an MTU in errors.
    pub id: Port,
    /// Sequence number of an echo; next-hop MTU of an IPv4 "fragmentation needed".
    pub seq: U16,
}

impl Icmp {
    /// Type of an ICMPv4 echo reply (RFC 792).
    pub const ECHO_REPLY: u8 = 0;
    /// Type of an ICMPv4 destination unreachable message (RFC 792).
    pub const UNREACHABLE: u8 = 3;
    /// Type of an ICMPv4 echo request (RFC 792).
    pub const ECHO_REQUEST: u8 = 8;
    /// Type of an ICMPv4 time exceeded message (RFC 792).
    pub const TIME_EXCEEDED: u8 = 11;
    /// Type of an ICMPv4 parameter problem message (RFC 792).
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Type of an ICMPv4 timestamp request (RFC 792).
    pub const TIMESTAMP: u8 = 13;
    /// Type of an ICMPv4 timestamp reply (RFC 792).
    pub const TIMESTAMP_REPLY: u8 = 14;

    /// Type of an ICMPv6 destination unreachable message (RFC 4443 3.1).
    pub const UNREACHABLE6: u8 = 1;
    /// Type of an ICMPv6 packet too big message (RFC 4443 3.2).
    pub const TOO_BIG6: u8 = 2;
    /// Type of an ICMPv6 time exceeded message (RFC 4443 3.3).
    pub const TIME_EXCEEDED6: u8 = 3;
    /// Type of an ICMPv6 parameter problem message (RFC 4443 3.4).
    pub const PARAMETER_PROBLEM6: u8 = 4;
    /// Type of an ICMPv6 echo request (RFC 4443 4.1).
    pub const ECHO_REQUEST6: u8 = 128;
    /// Type of an ICMPv6 echo reply (RFC 4443 4.2).
    pub const ECHO_REPLY6: u8 = 129;
    /// Type of an ICMPv6 redirect (RFC 4861 4.5).
    pub const REDIRECT6: u8 = 137;

    /// An IPv4 error message, which quotes the packet it is about (RFC 1122 3.2.2).
    pub fn is_error4(kind: u8) -> bool {
        matches!(kind, Self::UNREACHABLE | 4 | 5 | Self::TIME_EXCEEDED | Self::PARAMETER_PROBLEM)
    }

    /// An IPv6 error message, which quotes the packet it is about, also one that nobody knows (RFC 4443 2.1).
    pub fn is_error6(kind: u8) -> bool {
        kind < 128
    }
}

/// What is wrong with a header, as [`ipv4::check`] and [`ipv6::walk`] say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Cut off inside the IPv4 packet.
    Ipv4Truncated,
    /// The version of an IPv4 header is not 4.
    Ipv4Version,
    /// An IPv4 header's own length or total length is impossible.
    Ipv4Length,
    /// The IPv4 header checksum is wrong.
    Ipv4Checksum,
    /// An IPv4 fragment with an impossible offset or length.
    Ipv4Fragment,
    /// Cut off inside the IPv6 packet.
    Ipv6Truncated,
    /// The version of an IPv6 header is not 6.
    Ipv6Version,
    /// IPv6 extension headers that are too many, cut off or not allowed.
    Ipv6Extension,
}
