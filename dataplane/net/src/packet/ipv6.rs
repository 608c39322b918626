//! IPv6 and its extension headers (RFC 8200).

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Malformed;
use crate::{Addr6, protocol};

/// The fixed header of an IPv6 packet (RFC 8200 3).
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct Ipv6 {
    /// Version (6), traffic class, flow label.
    pub version_class_flow: U32,
    /// Bytes behind this header.
    pub payload_len: U16,
    /// What follows this header, one of [`protocol`].
    pub next_header: u8,
    /// How many hops the packet may still take.
    pub hop_limit: u8,
    /// The address of the sender.
    pub src: Addr6,
    /// The address of the receiver.
    pub dst: Addr6,
}

impl Ipv6 {
    /// Version 6 with this traffic class and the low 20 bits of `flow`.
    #[inline(always)]
    pub fn version_class_flow(class: u8, flow: u32) -> U32 {
        U32::new(6 << 28 | u32::from(class) << 20 | flow & 0xf_ffff)
    }

    /// The traffic class: DSCP (RFC 2474) and, in the two lowest bits, ECN (RFC 3168).
    #[inline(always)]
    pub fn traffic_class(&self) -> u8 {
        (self.version_class_flow.get() >> 20) as u8
    }
}

/// A fragment header (RFC 8200 4.5).
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct FragmentHeader {
    /// What the reassembled packet's next header is.
    pub next_header: u8,
    /// Zero when sent, ignored when received.
    pub reserved: u8,
    /// Offset in units of eight bytes, two reserved bits, more-fragments bit.
    pub offset_more: U16,
    /// Identifies the fragments of one packet.
    pub id: U32,
}

impl FragmentHeader {
    /// Offset of the payload, bytes.
    pub fn offset(&self) -> usize {
        (self.offset_more.get() & 0xfff8) as usize
    }

    /// Whether other fragments of the packet follow behind this one.
    pub fn more(&self) -> bool {
        self.offset_more.get() & 1 != 0
    }
}

/// What stands behind the extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The protocol of the payload; of the reassembled one where there is a fragment header.
    pub protocol: u8,
    /// Where the payload begins, from the IPv6 header's first byte.
    pub offset: usize,
    /// Where the packet ends, from the same byte: at most the bytes given.
    pub end: usize,
    /// Where the fragment header begins, if there is one.
    pub fragment: Option<usize>,
}

/// RFC 8200 4.2: the upper two bits of an option's type say whether a node that does not know it
/// passes over it. Those that may be passed over ask nothing of us, the tunnel encapsulation limit
/// included (RFC 2473 4.1.1: it binds who encapsulates).
fn may_pass(mut options: &[u8]) -> bool {
    loop {
        match *options {
            [] => return true,
            [0, ref rest @ ..] => options = rest,
            [kind, len, ref rest @ ..] if kind >> 6 == 0 && len as usize <= rest.len() => {
                options = &rest[len as usize..];
            }
            _ => return false,
        }
    }
}

/// At most this many extension headers are walked over: more than any honest sender uses.
pub const MAX_EXTENSIONS: usize = 8;

/// Checks the header and walks over extension headers, at most [`MAX_EXTENSIONS`] of them.
///
/// Stops at a fragment header with offset or more-fragments set (what follows need not be a header) and takes an atomic
/// fragment (RFC 6946) for what it is: a whole packet. `bytes` may go on behind the packet.
pub fn walk(bytes: &[u8]) -> Result<Walked, Malformed> {
    let (ip, _) = Ipv6::ref_from_prefix(bytes).map_err(|_| Malformed::Ipv6Truncated)?;
    if ip.version_class_flow.get() >> 28 != 6 {
        return Err(Malformed::Ipv6Version);
    }
    let end = size_of::<Ipv6>() + ip.payload_len.get() as usize;
    let packet = bytes.get(..end).ok_or(Malformed::Ipv6Truncated)?;
    let mut at = Walked { protocol: ip.next_header, offset: size_of::<Ipv6>(), end, fragment: None };
    for _ in 0..=MAX_EXTENSIONS {
        match at.protocol {
            protocol::HOP_BY_HOP if at.offset != size_of::<Ipv6>() => return Err(Malformed::Ipv6Extension),
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                let header = packet.get(at.offset..).filter(|h| h.len() >= 8).ok_or(Malformed::Ipv6Extension)?;
                // A route still to be travelled through us is none we would travel (RFC 5095).
                if at.protocol == protocol::ROUTING && header[3] != 0 {
                    return Err(Malformed::Ipv6Extension);
                }
                let (kind, len) = (at.protocol, 8 + header[1] as usize * 8);
                let header = header.get(..len).ok_or(Malformed::Ipv6Extension)?;
                if kind != protocol::ROUTING && !may_pass(&header[2..]) {
                    return Err(Malformed::Ipv6Extension);
                }
                at.protocol = header[0];
                at.offset += len;
            }
            protocol::FRAGMENT => {
                let (header, _) =
                    FragmentHeader::ref_from_prefix(&packet[at.offset..]).map_err(|_| Malformed::Ipv6Extension)?;
                if at.fragment.is_some() {
                    return Err(Malformed::Ipv6Extension);
                }
                at.fragment = Some(at.offset);
                at.protocol = header.next_header;
                at.offset += size_of::<FragmentHeader>();
                if header.offset() != 0 || header.more() {
                    return Ok(at);
                }
            }
            _ => return Ok(at),
        }
    }
    Err(Malformed::Ipv6Extension)
}
