//! Outer packets: made, cut into fragments, answered with errors.

use std::net::Ipv6Addr;

use etherparse::{Icmpv6Header, Icmpv6Type, IpNumber, Ipv6FragmentHeader, Ipv6Header};

/// Most that an error may be long (RFC 4443 2.4 c).
const ERROR: usize = 1280;

/// In which order the fragments of a packet leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// From the first to the last.
    #[default]
    Forward,
    /// From the last to the first.
    Backward,
    /// In order, each one twice.
    Twice,
    /// In order, and the last one never.
    Lossy,
}

/// `payload` in an IPv6 header of hop limit 64 and traffic class and flow label 0.
pub fn packet(source: Ipv6Addr, destination: Ipv6Addr, next: IpNumber, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: payload.len() as u16,
        next_header: next,
        hop_limit: 64,
        source: source.octets(),
        destination: destination.octets(),
        ..Default::default()
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend(payload);
    packet
}

/// Destination options with the encapsulation limit 4 and nothing else, before IPv4 (RFC 2473 4.1.1): what Linux's tunnel
/// puts before every packet unless it is told `encaplimit none`.
pub const LIMIT: [u8; 8] = [4, 0, 4, 1, 4, 1, 1, 0];

/// What a tunnel packet has between its outer header and the end: the inner packet, with or without an encapsulation limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    next: IpNumber,
    bytes: Vec<u8>,
}

impl Content {
    /// An IPv4 packet; `limited`: behind an encapsulation limit.
    pub fn new(inner: &[u8], limited: bool) -> Self {
        match limited {
            true => Self { next: IpNumber::IPV6_DESTINATION_OPTIONS, bytes: [&LIMIT, inner].concat() },
            false => Self { next: IpNumber::IPV4, bytes: inner.to_vec() },
        }
    }
}

/// A packet in as many outer packets as `mtu` asks for (RFC 2473 7.1, RFC 8200 4.5). With an MTU
/// too small for a fragment of 8 bytes it is taken for one that is just large enough.
pub fn encapsulate(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    content: &Content,
    mtu: usize,
    order: Order,
    identification: u32,
) -> Vec<Vec<u8>> {
    let Content { next, bytes: inner } = content;
    if Ipv6Header::LEN + inner.len() <= mtu {
        return vec![packet(source, destination, *next, inner)];
    }
    let room = (mtu.saturating_sub(Ipv6Header::LEN + Ipv6FragmentHeader::LEN) & !7).max(8);
    let mut pieces: Vec<Vec<u8>> = (0..inner.len())
        .step_by(room)
        .map(|start| {
            let end = inner.len().min(start + room);
            // An inner packet has at most 65535 bytes, and the field 13 bits for eighths of it.
            let offset = ((start / 8) as u16).try_into().expect("an offset of 13 bits");
            let fragment = Ipv6FragmentHeader::new(*next, offset, end < inner.len(), identification);
            let mut payload = fragment.to_bytes().to_vec();
            payload.extend(&inner[start..end]);
            packet(source, destination, IpNumber::IPV6_FRAGMENTATION_HEADER, &payload)
        })
        .collect();
    match order {
        Order::Forward => {}
        Order::Backward => pieces.reverse(),
        Order::Twice => pieces = pieces.iter().flat_map(|piece| [piece.clone(), piece.clone()]).collect(),
        Order::Lossy => drop(pieces.pop()),
    }
    pieces
}

/// An ICMPv6 error from `source` about `packet`, which had a good IPv6 header.
pub fn error(source: Ipv6Addr, kind: Icmpv6Type, packet: &[u8]) -> Vec<u8> {
    let destination = Ipv6Addr::from(<[u8; 16]>::try_from(&packet[8..24]).expect("a whole header"));
    let quoted = &packet[..packet.len().min(ERROR - Ipv6Header::LEN - Icmpv6Header::MIN_LEN)];
    let header = Icmpv6Header::with_checksum(kind, source.octets(), destination.octets(), quoted)
        .expect("a message below 1280 bytes");
    let mut message = header.to_bytes().to_vec();
    message.extend(quoted);
    self::packet(source, destination, IpNumber::IPV6_ICMP, &message)
}

#[cfg(test)]
mod tests {
    use etherparse::defrag::IpDefragPool;
    use etherparse::{SlicedPacket, TransportSlice};

    use super::*;

    const HERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
    const THERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);

    fn inner(length: usize) -> Vec<u8> {
        (0..length).map(|n| n as u8).collect()
    }

    fn plain(length: usize) -> Content {
        Content::new(&inner(length), false)
    }

    fn reassembled(pieces: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut pool = IpDefragPool::<(), ()>::new();
        pieces.iter().find_map(|piece| {
            let sliced = SlicedPacket::from_ip(piece).unwrap();
            pool.process_sliced_packet(&sliced, (), ()).unwrap().map(|whole| whole.payload)
        })
    }

    #[test]
    fn what_fits_is_one_packet() {
        let pieces = encapsulate(HERE, THERE, &plain(1460), 1500, Order::Forward, 1);
        assert_eq!(pieces.len(), 1);
        assert_eq!((pieces[0].len(), pieces[0][6]), (1500, 4));
    }

    /// RFC 2473 4.1.1, as bytes of Linux's tunnel have it.
    #[test]
    fn an_encapsulation_limit_is_eight_bytes() {
        let pieces = encapsulate(HERE, THERE, &Content::new(&inner(1452), true), 1500, Order::Forward, 1);
        assert_eq!((pieces.len(), pieces[0].len(), pieces[0][6]), (1, 1500, 60));
        assert_eq!(pieces[0][40..48], [4, 0, 4, 1, 4, 1, 1, 0]);
        assert_eq!(pieces[0][48..], inner(1452));
    }

    #[test]
    fn pieces_fit_and_make_the_packet_again_in_any_order() {
        for order in [Order::Forward, Order::Backward, Order::Twice] {
            for (length, mtu, expected) in [(1461, 1500, 2), (1500, 1500, 2), (1500, 1280, 2), (4000, 1280, 4)] {
                let pieces = encapsulate(HERE, THERE, &plain(length), mtu, order, 7);
                assert_eq!(pieces.len(), if order == Order::Twice { 2 * expected } else { expected });
                assert!(pieces.iter().all(|piece| piece.len() <= mtu));
                assert_eq!(reassembled(&pieces), Some(inner(length)), "{order:?} {length} {mtu}");
            }
        }
        assert_eq!(reassembled(&encapsulate(HERE, THERE, &plain(1500), 1500, Order::Lossy, 7)), None);
    }

    #[test]
    fn an_error_quotes_the_packet_and_has_a_good_checksum() {
        let about = packet(THERE, HERE, IpNumber::IPV4, &inner(1460));
        let error = error(HERE, Icmpv6Type::PacketTooBig { mtu: 1400 }, &about);
        assert_eq!(error.len(), 1280);
        let sliced = SlicedPacket::from_ip(&error).unwrap();
        let Some(TransportSlice::Icmpv6(message)) = sliced.transport else { panic!("{sliced:?}") };
        assert!(message.is_checksum_valid(HERE.octets(), THERE.octets()));
        assert_eq!(message.icmp_type(), Icmpv6Type::PacketTooBig { mtu: 1400 });
        assert_eq!(message.payload(), &about[..1280 - 48]);
    }
}
