use etherparse::{Icmpv4Slice, Icmpv4Type, IpNumber, icmpv4};
use hikyaku_dataplane::icmp::{Message, answer, compose};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::Addr4;
use proptest::prelude::*;

use super::{bytes, ipv4, read4, udp, written};

const US: Addr4 = Addr4([192, 168, 1, 1]);

fn error(message: Message, offending: &[u8]) -> Option<Vec<u8>> {
    compose(message, US, 0x4242, offending).map(written)
}

fn icmp(packet: &[u8]) -> (Icmpv4Type, Vec<u8>) {
    let ip = read4(packet);
    let icmp = Icmpv4Slice::from_slice(ip.payload().payload).unwrap();
    assert_eq!(icmp.icmp_type().calc_checksum(icmp.payload()), icmp.checksum());
    (icmp.icmp_type(), icmp.payload().to_vec())
}

#[test]
fn reasons_and_their_answers() {
    let unreachable = |header| Some(Icmpv4Type::DestinationUnreachable(header));
    use icmpv4::DestUnreachableHeader as D;
    for &reason in Reason::ALL {
        let expected = match reason {
            Reason::TtlExceeded => Some(Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit)),
            Reason::NoRoute | Reason::SoftwireEnded => unreachable(D::Network),
            Reason::TooBig | Reason::OverMtu => unreachable(D::FragmentationNeeded { next_hop_mtu: 1460 }),
            Reason::NaptPortsFull | Reason::NaptTableFull | Reason::NaptHostLimit | Reason::NaptPeerInUse => {
                unreachable(D::Host)
            }
            // Between LANs.
            Reason::Ipv6TableFull | Reason::Ipv6HostLimit => unreachable(D::Host),
            // RFC 1812 5.2.7.1.
            Reason::RuleReject | Reason::LanIsolated => unreachable(D::FilterProhibited),
            _ => None,
        };
        let packet = answer(reason, 1460).map(|message| error(message, &udp(b"x")).unwrap());
        assert_eq!(packet.map(|packet| icmp(&packet).0), expected, "{}", reason.name());
    }
}

#[test]
fn rfc1812_4_3_2_header_of_the_answer() {
    let packet = error(Message::TIME_EXCEEDED, &udp(b"hello")).unwrap();
    let header = read4(&packet).header().to_header();
    assert_eq!((header.source, header.destination), ([192, 168, 1, 1], [192, 168, 1, 10]));
    assert_eq!((header.time_to_live, packet[1], header.protocol), (64, 0xc0, IpNumber::ICMP));
    assert_eq!((header.identification, header.dont_fragment, header.more_fragments), (0x4242, false, false));
    assert_eq!(icmp(&packet).1, udp(b"hello"), "all of it is quoted, unchanged");
}

#[test]
fn rfc1812_4_3_2_3_as_much_as_fits_576() {
    for (len, total) in [(547, 575), (548, 576), (549, 576), (1500, 576)] {
        let offending = udp(&bytes(len - 28));
        let packet = error(Message::too_big(1460), &offending).unwrap();
        assert_eq!(packet.len(), total);
        assert_eq!(icmp(&packet).1, offending[..total - 28]);
    }
}

#[test]
fn what_is_behind_the_packet_is_not_quoted() {
    let mut padded = udp(b"x");
    let len = padded.len();
    padded.extend([0xff; 17]);
    assert_eq!(icmp(&error(Message::NET_UNREACHABLE, &padded).unwrap()).1, padded[..len]);
}

#[test]
fn a_cut_packet_is_quoted_as_far_as_it_is_there() {
    let cut = &udp(&bytes(300))[..28];
    assert_eq!(icmp(&error(Message::HOST_UNREACHABLE, cut).unwrap()).1, cut);
    assert_eq!(error(Message::HOST_UNREACHABLE, &cut[..19]), None);
}

#[test]
fn rfc1812_4_3_2_7_no_error_about_an_icmp_error() {
    for kind in 0..=255 {
        let offending = ipv4(&[], 0, IpNumber::ICMP, &[kind, 0, 0, 0, 0, 0, 0, 0]);
        let may = matches!(kind, 0 | 8 | 9 | 10 | 13..=18 | 42 | 43);
        assert_eq!(error(Message::TIME_EXCEEDED, &offending).is_some(), may, "type {kind}");
    }
    assert_eq!(error(Message::TIME_EXCEEDED, &ipv4(&[], 0, IpNumber::ICMP, &[])), None, "cannot tell");
    // Behind options, too.
    let behind = ipv4(&[1; 8], 0, IpNumber::ICMP, &[3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(error(Message::TIME_EXCEEDED, &behind), None);
}

#[test]
fn rfc1812_4_3_2_7_only_about_the_first_fragment() {
    assert!(error(Message::TIME_EXCEEDED, &ipv4(&[], 0x2000, IpNumber::UDP, &bytes(64))).is_some());
    assert!(error(Message::TIME_EXCEEDED, &ipv4(&[], 1, IpNumber::UDP, &bytes(64))).is_none());
    assert!(error(Message::TIME_EXCEEDED, &ipv4(&[], 0x2001, IpNumber::UDP, &bytes(64))).is_none());
}

#[test]
fn rfc1812_4_3_2_7_sources_and_destinations() {
    for (at, first, may) in [
        (12, 10, true),
        (12, 0, false),
        (12, 127, false),
        (12, 224, false),
        (12, 240, false),
        (12, 255, false),
        (16, 10, true),
        (16, 224, false),
        (16, 239, false),
        (16, 240, false),
        (16, 255, false),
    ] {
        let mut offending = udp(b"x");
        offending[at] = first;
        assert_eq!(error(Message::TIME_EXCEEDED, &offending).is_some(), may, "{first} at {at}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..700), first in 0x44u8..0x50) {
        let mut bytes = bytes;
        if let Some(b) = bytes.first_mut() {
            *b = first;
        }
        if let Some(packet) = error(Message::TIME_EXCEEDED, &bytes) {
            prop_assert!(packet.len() <= 576);
            icmp(&packet);
        }
    }
}
