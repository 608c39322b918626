use etherparse::{Icmpv6Type, icmpv6};
use hikyaku_dataplane::icmp::about_tunnel::Kind;
use hikyaku_dataplane::icmp::{Message, TunnelError, about_tunnel, compose};
use hikyaku_dataplane::tunnel::fragment;
use hikyaku_dataplane::tunnel::mtu::{MtuMode, PathMtu};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::{Addr4, Addr6, Time};
use proptest::prelude::*;

use super::{LOCAL, OUTER, REMOTE, bytes, read4, udp, written};

/// A router on the way.
const ROUTER: Addr6 = Addr6([0x20, 1, 0xd, 0xb8, 0, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);

/// An ICMPv6 message to us, its checksum by etherparse.
fn message(kind: Icmpv6Type, quote: &[u8]) -> Vec<u8> {
    let mut message = kind.to_header(ROUTER.0, LOCAL.0, quote).unwrap().to_bytes().to_vec();
    message.extend(quote);
    message
}

fn raw(kind: u8, code: u8, word: u32, quote: &[u8]) -> Vec<u8> {
    message(Icmpv6Type::Unknown { type_u8: kind, code_u8: code, bytes5to8: word.to_be_bytes() }, quote)
}

fn read(message: &[u8]) -> Result<TunnelError<'_>, Reason> {
    about_tunnel((ROUTER, LOCAL), message, (LOCAL, REMOTE))
}

/// The packets in which we send `inner`.
fn tunnelled(inner: &[u8]) -> Vec<Vec<u8>> {
    fragment::outer(OUTER, inner, 1500, 7).map(written).collect()
}

fn df(mut packet: Vec<u8>) -> Vec<u8> {
    packet[6] |= 0x40;
    packet
}

#[test]
fn rfc2473_8_errors_as_the_lwaftr_maps_them() {
    const HOST: Option<Message> = Some(Message::HOST_UNREACHABLE);
    let inner = df(udp(&bytes(1380)));
    let outer = &tunnelled(&inner)[0];
    for (kind, code, word, expected) in [
        (1, 0, 0, HOST),
        (1, 3, 0, HOST),
        (1, 4, 0, HOST),
        (1, 5, 0, HOST),
        (3, 0, 0, HOST),
        (3, 1, 0, None),
        (4, 0, 6, HOST),
        (4, 1, 40, HOST),
        (2, 0, 1400, Some(Message::too_big(1360))),
        (2, 0, 1000, Some(Message::too_big(1240))),
    ] {
        let message = raw(kind, code, word, outer);
        let error = read(&message).unwrap();
        assert_eq!(error.inner, inner);
        let mut path = PathMtu::default();
        if let Kind::PacketTooBig(mtu) = error.kind {
            assert!(path.learn(Time(0), 1500, mtu));
        }
        let inner_mtu = MtuMode::Strict { mtu: 1460 }.inner_mtu(path.get(Time(1), 1500));
        assert_eq!(error.relay(inner_mtu), expected, "{kind},{code}");
    }
}

#[test]
fn rfc4443_3_1_source_policy_is_told_apart() {
    let message = raw(1, 5, 0, &tunnelled(&udp(b"x"))[0]);
    assert_eq!(read(&message).unwrap().kind, Kind::SOURCE_POLICY);
}

#[test]
fn relayed_to_the_inner_source() {
    let inner = df(udp(&bytes(1380)));
    let quote = &tunnelled(&inner)[0][..1232];
    let message = message(Icmpv6Type::PacketTooBig { mtu: 1280 }, quote);
    let error = read(&message).unwrap();
    let relayed = compose(error.relay(1240).unwrap(), Addr4([192, 168, 1, 1]), 1, error.inner).map(written).unwrap();
    let ip = read4(&relayed);
    assert_eq!(ip.header().destination(), [192, 168, 1, 10]);
    assert_eq!(ip.payload().payload[..2], [3, 4]);
    assert_eq!(ip.payload().payload[4..8], [0, 0, 0x04, 0xd8]);
    assert_eq!(ip.payload().payload[8..], inner[..548]);
}

#[test]
fn rfc2473_7_2_too_big_is_not_told_where_the_tunnel_fragments() {
    for (inner, mode) in
        [(udp(&bytes(1380)), MtuMode::Strict { mtu: 1460 }), (df(udp(&bytes(1380))), MtuMode::Fragment { mtu: 1500 })]
    {
        let message = raw(2, 0, 1280, &tunnelled(&inner)[0]);
        let error = read(&message).unwrap();
        assert_eq!(error.kind, Kind::PacketTooBig(1280));
        assert_eq!(error.relay(mode.inner_mtu(1280)), None);
    }
}

#[test]
fn no_error_to_answer_an_inner_error() {
    let icmp_error = super::ipv4(&[], 0, etherparse::IpNumber::ICMP, &[3, 1, 0, 0, 0, 0, 0, 0]);
    let message = raw(1, 0, 0, &tunnelled(&icmp_error)[0]);
    let error = read(&message).unwrap();
    assert!(compose(error.relay(1460).unwrap(), Addr4([192, 168, 1, 1]), 1, error.inner).is_none());
}

#[test]
fn fragments_are_ours_too_but_only_the_first_tells() {
    let inner = udp(&bytes(1480));
    let pieces = tunnelled(&inner);
    assert_eq!(read(&raw(2, 0, 1280, &pieces[0])).unwrap().inner, &inner[..1448]);
    assert_eq!(read(&raw(2, 0, 1280, &pieces[1])), Err(Reason::TunnelIcmp));
}

#[test]
fn rfc8201_4_about_a_packet_that_is_not_ours() {
    let ours = tunnelled(&udp(&bytes(100))).remove(0);
    for (at, what) in [(8, "source"), (24, "destination"), (6, "next header"), (0, "version"), (40, "inner version")] {
        let mut quote = ours.clone();
        quote[at] ^= 0x10;
        assert_eq!(read(&raw(2, 0, 1280, &quote)), Err(Reason::TunnelIcmpForged), "{what}");
    }
    let mut quote = ours;
    quote[40] = 0x44;
    assert_eq!(read(&raw(2, 0, 1280, &quote)), Err(Reason::TunnelIcmpForged), "an inner header of 16 bytes");
    let mut quote = tunnelled(&udp(&bytes(1480))).remove(0);
    quote[40] = 17;
    assert_eq!(read(&raw(2, 0, 1280, &quote)), Err(Reason::TunnelIcmpForged), "next header of a fragment");
}

#[test]
fn cut_quotes() {
    let ours = tunnelled(&udp(&bytes(100))).remove(0);
    for len in 0..ours.len() {
        let message = raw(1, 0, 0, &ours[..len]);
        match len {
            0..40 => assert_eq!(read(&message), Err(Reason::TunnelIcmpForged)),
            40..60 => assert_eq!(read(&message), Err(Reason::TunnelIcmp)),
            _ => assert_eq!(read(&message).unwrap().inner, &ours[40..len]),
        }
    }
}

#[test]
fn what_is_behind_the_inner_packet_is_not_quoted_again() {
    let inner = udp(&bytes(100));
    let quote = [&tunnelled(&inner)[0][..], &[0xff; 9]].concat();
    assert_eq!(read(&raw(1, 0, 0, &quote)).unwrap().inner, inner);
}

#[test]
fn rfc4443_2_3_checksum() {
    let mut message = raw(1, 0, 0, &tunnelled(&udp(b"x"))[0]);
    message[60] ^= 1;
    assert_eq!(read(&message), Err(Reason::TransportHeader));
    message[60] ^= 1;
    assert!(read(&message).is_ok());
    assert_eq!(about_tunnel((REMOTE, LOCAL), &message, (LOCAL, REMOTE)), Err(Reason::TransportHeader));
    for len in 0..8 {
        assert_eq!(read(&message[..len]), Err(Reason::TransportHeader));
    }
}

#[test]
fn errors_of_unknown_type_are_noted() {
    assert_eq!(read(&raw(100, 0, 0, &tunnelled(&udp(b"x"))[0])), Err(Reason::TunnelIcmp));
    let unreachable = Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Address);
    assert_eq!(read(&message(unreachable, &tunnelled(&udp(b"x"))[0])).unwrap().kind, Kind::Unreachable(3));
}

proptest! {
    #[test]
    fn no_quote_makes_it_panic(
        kind in 0u8..6, code: u8, word: u32, at in 0usize..70, cut in 0usize..200, byte: u8, whole: bool
    ) {
        let mut quote = tunnelled(&udp(&bytes(if whole { 100 } else { 1480 }))).remove(0);
        quote[at] = byte;
        quote.truncate(quote.len().min(cut));
        let message = raw(kind, code, word, &quote);
        if let Ok(error) = read(&message) {
            let relayed = error.relay(1240).and_then(|m| compose(m, Addr4([192, 168, 1, 1]), 1, error.inner));
            if let Some(relayed) = relayed {
                read4(&written(relayed));
            }
        }
    }
}
