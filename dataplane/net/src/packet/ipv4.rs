//! IPv4 (RFC 791).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Malformed;
use crate::checksum::{Checksum, Delta, Sum};
use crate::{Addr4, protocol};

/// An IPv4 header without options.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Ipv4 {
    /// Version (4) and header length in 32-bit words.
    pub version_ihl: u8,
    /// DSCP (RFC 2474) and, in the two lowest bits, ECN (RFC 3168).
    pub tos: u8,
    /// Header and payload, bytes.
    pub total_len: U16,
    /// Identifies the fragments of one packet.
    pub id: U16,
    /// [`Ipv4::DF`], [`Ipv4::MF`] and the offset in units of eight bytes.
    pub fragment: U16,
    /// How many hops the packet may still take.
    pub ttl: u8,
    /// What the payload is, one of [`protocol`].
    pub protocol: u8,
    /// Over the header with its options.
    pub checksum: Checksum,
    /// The address of the sender.
    pub src: Addr4,
    /// The address of the receiver.
    pub dst: Addr4,
}

impl Ipv4 {
    /// In [`Self::fragment`]: routers must not fragment the packet.
    pub const DF: u16 = 0x4000;
    /// In [`Self::fragment`]: this is not the last fragment.
    pub const MF: u16 = 0x2000;

    /// Source and destination as one word, memory order: one load.
    #[inline(always)]
    pub fn addrs(&self) -> u64 {
        let bytes: &[u8; 20] = zerocopy::transmute_ref!(self);
        u64::from_ne_bytes(*bytes.last_chunk().expect("twenty bytes end in eight"))
    }

    /// Writes source and destination; the checksum is the caller's.
    #[inline(always)]
    pub fn set_addrs(&mut self, addrs: u64) {
        let bytes: &mut [u8; 20] = zerocopy::transmute_mut!(self);
        *bytes.last_chunk_mut().expect("twenty bytes end in eight") = addrs.to_ne_bytes();
    }

    /// Header length, options included, bytes.
    #[inline(always)]
    pub fn header_len(&self) -> usize {
        (self.version_ihl & 0x0f) as usize * 4
    }

    /// The length of header and payload as the header states it, bytes; [`check`] holds it against the frame.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "it has at least a header")]
    pub fn len(&self) -> usize {
        self.total_len.get() as usize
    }

    /// The sender forbids fragmentation.
    #[inline(always)]
    pub fn dont_fragment(&self) -> bool {
        self.fragment.get() & Self::DF != 0
    }

    /// Offset of this fragment's payload in the packet's, bytes.
    #[inline(always)]
    pub fn fragment_offset(&self) -> usize {
        (self.fragment.get() & 0x1fff) as usize * 8
    }

    /// RFC 791: fragments but the last carry a multiple of eight bytes, none carries nothing, and nothing reaches past
    /// 65535. Of a header that is no longer than the packet.
    pub fn may_be_fragment(&self) -> bool {
        let (header_len, payload) = (self.header_len(), self.len() - self.header_len());
        !(self.is_fragment() && payload == 0
            || self.more_fragments() && payload % 8 != 0
            || self.fragment_offset() + payload > 65535 - header_len)
    }

    /// Whether other fragments of the packet follow behind this one.
    #[inline(always)]
    pub fn more_fragments(&self) -> bool {
        self.fragment.get() & Self::MF != 0
    }

    /// Part of a packet only.
    #[inline(always)]
    pub fn is_fragment(&self) -> bool {
        self.fragment.get() & 0x3fff != 0
    }

    /// Takes one from the TTL, checksum included (RFC 1141 for the common case of one word).
    #[inline(always)]
    pub fn decrement_ttl(&mut self) {
        self.ttl -= 1;
        self.checksum = self.checksum.updated(Delta::TTL_DECREMENT);
    }
}

/// What [`check`] found to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Header length with options, bytes.
    pub header_len: usize,
    /// Total length, bytes: at most the bytes given.
    pub len: usize,
}

/// Checks a header before anything in it is believed: version, lengths, checksum.
///
/// `bytes` may go on behind the packet (Ethernet padding).
pub fn check(bytes: &[u8]) -> Result<Checked, Malformed> {
    let (ip, _) = Ipv4::ref_from_prefix(bytes).map_err(|_| Malformed::Ipv4Truncated)?;
    if ip.version_ihl >> 4 != 4 {
        return Err(Malformed::Ipv4Version);
    }
    let (header_len, len) = (ip.header_len(), ip.len());
    if header_len < 20 || len < header_len {
        return Err(Malformed::Ipv4Length);
    }
    if len > bytes.len() {
        return Err(Malformed::Ipv4Truncated);
    }
    if Sum::new().bytes(&bytes[..header_len]).checksum() != Checksum::ABSENT {
        return Err(Malformed::Ipv4Checksum);
    }
    if !ip.may_be_fragment() {
        return Err(Malformed::Ipv4Fragment);
    }
    Ok(Checked { header_len, len })
}

/// The transport checksum of an unfragmented packet's payload is right or absent.
///
/// Only for packets of our own making and the slow path: forwarding never looks at a payload.
pub fn transport_checksum_is_right(packet: &[u8]) -> bool {
    let Ok(checked) = check(packet) else { return false };
    let Ok((ip, _)) = Ipv4::ref_from_prefix(packet) else { return false };
    let payload = &packet[checked.header_len..checked.len];
    let pseudo = Sum::new().bytes(&ip.src.0).bytes(&ip.dst.0).number(ip.protocol.into()).number(payload.len() as u16);
    match ip.protocol {
        protocol::UDP if payload.len() >= 8 && payload[6..8] == [0, 0] => true,
        protocol::TCP | protocol::UDP => pseudo.bytes(payload).checksum() == Checksum::ABSENT,
        protocol::ICMP => Sum::new().bytes(payload).checksum() == Checksum::ABSENT,
        _ => true,
    }
}
