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

/// Who walks over extension headers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    /// The node that the packet is for: it has to understand them all.
    Destination,
    /// A router on the way: it only passes over them (RFC 7045 2.1).
    Router,
}

/// Checks the header and walks over extension headers, at most [`MAX_EXTENSIONS`] of them, of a packet to this node.
///
/// Stops at a fragment header with offset or more-fragments set (what follows need not be a header) and takes an atomic
/// fragment (RFC 6946) for what it is: a whole packet. `bytes` may go on behind the packet.
pub fn walk(bytes: &[u8]) -> Result<Walked, Malformed> {
    walk_as(Node::Destination, whole(bytes)?)
}

/// As [`walk`] of a packet to somebody else, which is forwarded: options are not looked at, whatever they say is for others
/// (RFC 8200 4, RFC 7045 2.2), and unknown headers are where the walk ends. In a first fragment it goes on: it has all
/// headers, the upper layer's too (RFC 7112 5).
///
/// # Errors
/// Besides what is cut off: a type 0 routing header (RFC 5095), hop-by-hop options that are not first (RFC 8200 4.1).
pub fn walk_past(bytes: &[u8]) -> Result<Walked, Malformed> {
    walk_as(Node::Router, whole(bytes)?)
}

/// As [`walk_past`] of a packet that an error quotes, which may be cut off anywhere behind its headers (RFC 4443 2.4 c).
pub fn walk_quoted(bytes: &[u8]) -> Result<Walked, Malformed> {
    let (_, end) = length(bytes)?;
    walk_as(Node::Router, &bytes[..end.min(bytes.len())])
}

/// The fixed header, and where the packet ends as it says: behind the bytes, perhaps.
fn length(bytes: &[u8]) -> Result<(&Ipv6, usize), Malformed> {
    let (ip, _) = Ipv6::ref_from_prefix(bytes).map_err(|_| Malformed::Ipv6Truncated)?;
    if ip.version_class_flow.get() >> 28 != 6 {
        return Err(Malformed::Ipv6Version);
    }
    Ok((ip, size_of::<Ipv6>() + ip.payload_len.get() as usize))
}

/// The packet without what is behind it.
fn whole(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let (_, end) = length(bytes)?;
    bytes.get(..end).ok_or(Malformed::Ipv6Truncated)
}

fn walk_as(node: Node, packet: &[u8]) -> Result<Walked, Malformed> {
    let (ip, _) = length(packet)?;
    let mut at = Walked { protocol: ip.next_header, offset: size_of::<Ipv6>(), end: packet.len(), fragment: None };
    for _ in 0..=MAX_EXTENSIONS {
        match at.protocol {
            protocol::HOP_BY_HOP if at.offset != size_of::<Ipv6>() => return Err(Malformed::Ipv6Extension),
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                let header = packet.get(at.offset..).filter(|h| h.len() >= 8).ok_or(Malformed::Ipv6Extension)?;
                let (kind, len) = (at.protocol, 8 + header[1] as usize * 8);
                let header = header.get(..len).ok_or(Malformed::Ipv6Extension)?;
                let refused = match (node, kind) {
                    // A route still to be travelled through us is none we would travel (RFC 5095).
                    (Node::Destination, protocol::ROUTING) => header[3] != 0,
                    (Node::Router, protocol::ROUTING) => header[2] == 0,
                    (Node::Destination, _) => !may_pass(&header[2..]),
                    (Node::Router, _) => false,
                };
                if refused {
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
                if header.offset() != 0 || header.more() && node == Node::Destination {
                    return Ok(at);
                }
            }
            _ => return Ok(at),
        }
    }
    Err(Malformed::Ipv6Extension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet of these headers, each with the type of the one behind it put in, and eight bytes of payload.
    fn packet(headers: &[(u8, &[u8])], last: u8) -> Vec<u8> {
        let next = |i: usize| headers.get(i).map_or(last, |&(kind, _)| kind);
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next(0), 64];
        bytes.extend([0x20; 32]);
        for (i, (_, header)) in headers.iter().enumerate() {
            bytes.push(next(i + 1));
            bytes.extend(&header[1..]);
        }
        bytes.extend([7; 8]);
        let len = bytes.len() as u16 - 40;
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        bytes
    }

    /// An option that a destination must not pass over.
    const UNKNOWN_OPTION: &[u8] = &[0, 0, 0xc7, 4, 0, 0, 0, 0];
    const FIRST_FRAGMENT: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 9];
    const LATER_FRAGMENT: &[u8] = &[0, 0, 0, 8, 0, 0, 0, 9];

    #[test]
    fn rfc7045_2_1_a_router_passes_over_what_a_destination_must_know() {
        let headers = [(protocol::HOP_BY_HOP, UNKNOWN_OPTION), (protocol::DESTINATION, UNKNOWN_OPTION)];
        let bytes = packet(&headers, protocol::TCP);
        assert_eq!(walk(&bytes), Err(Malformed::Ipv6Extension));
        let walked = Walked { protocol: protocol::TCP, offset: 56, end: 64, fragment: None };
        assert_eq!(walk_past(&bytes), Ok(walked));
        // A header that nobody knows is the last one that is seen.
        let unknown = packet(&[(253, &[0; 8])], protocol::TCP);
        assert_eq!(walk_past(&unknown), Ok(Walked { protocol: 253, offset: 40, end: 56, fragment: None }));
    }

    #[test]
    fn rfc5095_a_type_0_routing_header_is_not_forwarded_and_others_are() {
        for (kind, left, past) in [(0, 0, false), (0, 1, false), (2, 1, true), (4, 3, true)] {
            let bytes = packet(&[(protocol::ROUTING, &[0, 0, kind, left, 0, 0, 0, 0])], protocol::UDP);
            assert_eq!(walk_past(&bytes).is_ok(), past, "type {kind}");
            assert_eq!(walk(&bytes).is_ok(), left == 0, "type {kind}");
        }
    }

    #[test]
    fn rfc7112_5_the_walk_goes_on_in_a_first_fragment_only() {
        let headers = |fragment| [(protocol::FRAGMENT, fragment), (protocol::DESTINATION, UNKNOWN_OPTION)];
        let first = walk_past(&packet(&headers(FIRST_FRAGMENT), protocol::TCP));
        assert_eq!(first, Ok(Walked { protocol: protocol::TCP, offset: 56, end: 64, fragment: Some(40) }));
        let later = walk_past(&packet(&headers(LATER_FRAGMENT), protocol::TCP));
        assert_eq!(later, Ok(Walked { protocol: protocol::DESTINATION, offset: 48, end: 64, fragment: Some(40) }));
    }

    #[test]
    fn rfc8200_4_1_hop_by_hop_options_come_first() {
        let after = [(protocol::DESTINATION, &[0; 8][..]), (protocol::HOP_BY_HOP, &[0; 8])];
        assert_eq!(walk_past(&packet(&after, protocol::TCP)), Err(Malformed::Ipv6Extension));
        let many = vec![(protocol::DESTINATION, &[0; 8][..]); MAX_EXTENSIONS + 1];
        assert_eq!(walk_past(&packet(&many, protocol::TCP)), Err(Malformed::Ipv6Extension));
        assert!(walk_past(&packet(&many[1..], protocol::TCP)).is_ok());
    }

    #[test]
    fn rfc4443_2_4_c_a_quote_may_be_cut_off() {
        let bytes = packet(&[(protocol::DESTINATION, UNKNOWN_OPTION)], protocol::UDP);
        let walked = Walked { protocol: protocol::UDP, offset: 48, end: 52, fragment: None };
        assert_eq!(walk_quoted(&bytes[..52]), Ok(walked));
        assert_eq!(walk_past(&bytes[..52]), Err(Malformed::Ipv6Truncated));
        assert_eq!(walk_quoted(&bytes[..47]), Err(Malformed::Ipv6Extension));
        // What is behind the packet is not of it.
        assert_eq!(walk_quoted(&[&bytes[..], &[0; 4]].concat()).map(|walked| walked.end), Ok(56));
    }

    proptest! {
        #[test]
        fn what_a_walk_finds_lies_in_the_packet(bytes in prop::collection::vec(any::<u8>(), 0..200), next in 0u8..70, len in 0u16..160) {
            let mut bytes = bytes;
            if let Some(head) = bytes.first_chunk_mut::<8>() {
                *head = [0x60, 0, 0, 0, (len >> 8) as u8, len as u8, next, 64];
            }
            for walked in [walk(&bytes), walk_past(&bytes), walk_quoted(&bytes)].into_iter().flatten() {
                prop_assert!(walked.offset <= walked.end && walked.end <= bytes.len());
            }
        }
    }
}
