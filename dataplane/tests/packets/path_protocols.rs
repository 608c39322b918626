//! Protocols that a NAPT knows no ports of, through the whole path: by address, one inside host to a peer.

use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::PortSet;
use hikyaku_net::protocol::{AH, DCCP, UDP_LITE};

const SCTP: u8 = 132;
const GRE: u8 = 47;
const ESP: u8 = 50;
const SIX_IN_FOUR: u8 = 41;
/// IPv4 in IPv4, experiments, and what nobody knows.
const OTHERS: [u8; 5] = [4, 2, 253, 200, 255];

/// A peer on the Internet besides the usual one.
const PEER: [u8; 4] = [198, 51, 100, 7];

fn protocols() -> impl Iterator<Item = u8> {
    [UDP_LITE, DCCP, SCTP, GRE, ESP, SIX_IN_FOUR].into_iter().chain(OTHERS)
}

/// Whether a protocol's checksum, at 6, is over the addresses, too.
fn has_pseudo_header(protocol: u8) -> bool {
    matches!(protocol, UDP_LITE | DCCP)
}

/// All words of the pseudo header and the payload: all ones if the checksum is right.
fn sum(packet: &Packet) -> u16 {
    let (header, payload) = (&packet.header, &packet.payload);
    let len = (payload.len() as u16).to_be_bytes();
    internet_sum(&[&header.source[..], &header.destination, &[0, header.protocol.0], &len, payload].concat())
}

/// A packet with these bytes behind the first eight, and a right checksum if it has one there.
fn packet(protocol: u8, src: [u8; 4], dst: [u8; 4], rest: &[u8]) -> Packet {
    let mut packet = raw(src, dst, protocol, [&[0x9c, 0x40, 1, 187, 0, 0, 0, 0][..], rest].concat());
    if has_pseudo_header(protocol) {
        let sum = !sum(&packet);
        // RFC 3828 3.1: zero is sent as all ones.
        let sum = if sum == 0 { 0xffff } else { sum };
        packet.payload[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// `sent` with other addresses and one hop less, all else as it was.
#[track_caller]
fn assert_translated(sent: &Packet, got: &Packet, src: [u8; 4], dst: [u8; 4]) {
    let protocol = sent.header.protocol.0;
    let mut expected = sent.clone().ttl(sent.header.time_to_live - 1);
    (expected.header.source, expected.header.destination) = (src, dst);
    expected.header.header_checksum = got.header.header_checksum;
    if has_pseudo_header(protocol) && !sent.is_fragment() {
        assert_eq!(sum(got), 0xffff, "the checksum of protocol {protocol}");
        expected.payload[6..8].copy_from_slice(&got.payload[6..8]);
    }
    assert_eq!((&got.header, &got.payload), (&expected.header, &expected.payload), "protocol {protocol}");
}

#[track_caller]
fn outbound(router: &mut Router, packet: &Packet) -> Packet {
    let out = router.lan(from_lan(packet));
    assert_eq!(out.verdict(), Verdict::Outbound);
    let sent = inner(out.to_wan());
    assert_translated(packet, &sent, OUTSIDE, packet.header.destination);
    sent
}

#[track_caller]
fn inbound(router: &mut Router, packet: &Packet, host: [u8; 4]) -> Packet {
    let out = router.wan(from_wan(packet));
    assert_eq!(out.verdict(), Verdict::Inbound);
    let got = plain(out.to_lan());
    assert_translated(packet, &got, packet.header.source, host);
    got
}

#[test]
fn one_host_to_a_peer_both_ways_and_nobody_else() {
    for protocol in protocols() {
        // Not even where anybody may send to a mapping: there is none.
        let setup = Setup { filtering: Filtering::EndpointIndependent, ..Setup::ipip() };
        for mut router in routers(&setup) {
            let hello = packet(protocol, SERVER, OUTSIDE, &bytes(40));
            router.wan(from_wan(&hello)).dropped(Reason::NaptNoSession);
            for _ in 0..2 {
                outbound(&mut router, &packet(protocol, CLIENT, SERVER, &bytes(60)));
                inbound(&mut router, &hello, CLIENT);
            }
            let other = packet(protocol, OTHER_CLIENT, SERVER, &bytes(8));
            let out = router.lan(from_lan(&other));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::NaptPeerInUse));
            let answer = plain(out.to_lan());
            answer.check_transport();
            assert_eq!(answer.icmp_parts(), (3, 1, 0, &other.bytes()[..]), "RFC 6888 REQ-11");
            // Another peer is another matter, and so is another protocol.
            outbound(&mut router, &packet(protocol, OTHER_CLIENT, PEER, &bytes(8)));
            inbound(&mut router, &packet(protocol, PEER, OUTSIDE, &bytes(8)), OTHER_CLIENT);
            inbound(&mut router, &hello, CLIENT);
            outbound(&mut router, &packet(protocol ^ 0x60, OTHER_CLIENT, SERVER, &bytes(8)));
            router.wan(from_wan(&packet(protocol, [9, 9, 9, 9], OUTSIDE, b""))).dropped(Reason::NaptNoSession);
            assert_eq!(router.sessions(), 3);
            let ports = router.napt.as_ref().unwrap().port_stats();
            assert!(ports.iter().all(|p| (p.used, p.shared, p.refused) == (0, 0, 0)), "no port was taken: {ports:?}");
        }
    }
}

#[test]
fn when_the_first_host_is_silent_the_next_has_the_peer() {
    for mut router in routers(&Setup::ipip()) {
        let [first, second] = [CLIENT, OTHER_CLIENT].map(|host| packet(GRE, host, SERVER, b"tunnelled"));
        outbound(&mut router, &first);
        for minute in 0..10 {
            router.advance(Duration::from_secs(290));
            router.idle();
            // Either side keeps it.
            match minute % 2 {
                0 => drop(inbound(&mut router, &packet(GRE, SERVER, OUTSIDE, b"x"), CLIENT)),
                _ => drop(outbound(&mut router, &first)),
            }
        }
        router.advance(Duration::from_secs(298));
        router.idle();
        assert_eq!(router.lan(from_lan(&second)).verdict(), Verdict::Dropped(Reason::NaptPeerInUse));
        router.advance(Duration::from_secs(5));
        router.idle();
        outbound(&mut router, &second);
        inbound(&mut router, &packet(GRE, SERVER, OUTSIDE, b"x"), OTHER_CLIENT);
        assert_eq!(router.sessions(), 1);
    }
}

#[test]
fn rfc3828_3_1_rfc4340_9_1_the_checksum_over_the_addresses_is_mended() {
    for mut router in routers(&Setup::ipip()) {
        for protocol in [UDP_LITE, DCCP] {
            for word in (0..=u16::MAX).step_by(13) {
                let sent = outbound(&mut router, &packet(protocol, CLIENT, SERVER, &word.to_be_bytes()));
                assert!(protocol == DCCP || sent.payload[6..8] != [0, 0], "UDP-Lite has no packet without checksum");
                inbound(&mut router, &packet(protocol, SERVER, OUTSIDE, &word.to_be_bytes()), CLIENT);
            }
            // The one word that makes the translated sum zero.
            let base = packet(protocol, OUTSIDE, SERVER, &[0, 0]);
            let word = u16::from_be_bytes([base.payload[6], base.payload[7]]);
            let sent = outbound(&mut router, &packet(protocol, CLIENT, SERVER, &word.to_be_bytes()));
            let checksum = u16::from_be_bytes([sent.payload[6], sent.payload[7]]);
            assert!(checksum == 0xffff || protocol == DCCP && checksum == 0, "{checksum:04x}");
            // What was wrong stays wrong, zero of UDP-Lite too; what is cut off is not guessed.
            let mut wrong = packet(protocol, CLIENT, SERVER, b"data");
            wrong.payload[6] ^= 0x55;
            assert_ne!(sum(&inner(router.lan(from_lan(&wrong)).to_wan())), 0xffff);
            wrong.payload[6..8].fill(0);
            let sent = inner(router.lan(from_lan(&wrong)).to_wan());
            assert!(protocol == DCCP || sent.payload[6..8] == [0, 0]);
            for len in 0..8 {
                let short = raw(CLIENT, SERVER, protocol, bytes(len));
                router.lan(from_lan(&short)).dropped(Reason::TransportHeader);
            }
        }
        // The others have none: any length passes.
        for protocol in [SCTP, GRE, ESP, SIX_IN_FOUR, 253] {
            for len in 0..12 {
                let short = raw(CLIENT, SERVER, protocol, bytes(len));
                let sent = inner(router.lan(from_lan(&short)).to_wan());
                assert_eq!((sent.header.source, sent.payload), (OUTSIDE, bytes(len)));
            }
        }
    }
}

#[test]
fn rfc4302_3_3_3_1_ah_cannot_pass() {
    for mut router in routers(&Setup::ipip()) {
        for protocol in [AH, 0] {
            router.lan(from_lan(&packet(protocol, CLIENT, SERVER, &bytes(30)))).dropped(Reason::NaptProtocol);
            router.wan(from_wan(&packet(protocol, SERVER, OUTSIDE, &bytes(30)))).dropped(Reason::NaptProtocol);
            let about = packet(protocol, OUTSIDE, SERVER, &bytes(30)).bytes();
            router.wan(from_wan(&icmp_raw(PEER, OUTSIDE, 3, 1, 0, &about))).dropped(Reason::NaptIcmpError);
        }
        assert_eq!(router.sessions(), 0);
    }
}

#[test]
fn rfc5508_4_errors_about_them_are_translated_both_ways() {
    for protocol in protocols() {
        for mut router in routers(&Setup::ipip()) {
            let original = packet(protocol, CLIENT, SERVER, &bytes(600));
            let sent = outbound(&mut router, &original);
            for quoted in [28, 100, 548] {
                let quote = &sent.bytes()[..quoted];
                let got = crate::common::inbound(&mut router, &icmp_raw(PEER, OUTSIDE, 3, 4, 1400, quote));
                assert_eq!((got.header.source, got.header.destination), (PEER, CLIENT));
                let expected = original.clone().ttl(63).bytes();
                assert_eq!(got.icmp_parts(), (3, 4, 1400, &expected[..quoted]), "protocol {protocol}");
            }
            let received = packet(protocol, SERVER, OUTSIDE, b"late");
            let got = inbound(&mut router, &received, CLIENT);
            let error = crate::common::outbound(&mut router, &icmp_raw(CLIENT, SERVER, 3, 2, 0, &got.bytes()));
            assert_eq!((error.header.source, error.header.destination), (OUTSIDE, SERVER));
            assert_eq!(error.icmp_parts(), (3, 2, 0, &received.ttl(63).bytes()[..]), "protocol {protocol}");
            // Of a packet that nobody sent, and to a host that did not.
            for about in [packet(protocol, OUTSIDE, PEER, b"x"), packet(protocol ^ 0x60, OUTSIDE, SERVER, b"x")] {
                let error = icmp_raw(PEER, OUTSIDE, 3, 1, 0, &about.bytes());
                router.wan(from_wan(&error)).dropped(Reason::NaptIcmpError);
            }
            let error = icmp_raw(OTHER_CLIENT, SERVER, 3, 2, 0, &packet(protocol, SERVER, OTHER_CLIENT, b"x").bytes());
            router.lan(from_lan(&error)).dropped(Reason::NaptIcmpError);
            assert_eq!(router.sessions(), 1, "no error opens or ends one");
        }
    }
}

#[test]
fn rfc4787_req14_their_fragments_follow_the_first_one_in_any_order() {
    for protocol in protocols() {
        for order in ORDERS {
            let mut router = Router::new(&Setup::ipip());
            let out = packet(protocol, CLIENT, SERVER, &bytes(2500)).id(7);
            let pieces = out.fragments(1000);
            let frames: Vec<_> = order.map(|n| from_lan(&pieces[n])).into();
            let sent = router.play(LAN, &frames);
            assert_eq!((sent.count(Verdict::Outbound), router.held()), (3, 0), "protocol {protocol}, {order:?}");
            let whole = joined4(&sent.wan.iter().map(|f| inner(f)).collect::<Vec<_>>());
            assert_translated(&out, &whole, OUTSIDE, SERVER);
            let back = packet(protocol, SERVER, OUTSIDE, &bytes(2500)).id(8);
            let pieces = back.fragments(1000);
            let frames: Vec<_> = order.map(|n| from_wan(&pieces[n])).into();
            let got = router.play(WAN, &frames);
            assert_eq!((got.count(Verdict::Inbound), router.held()), (3, 0), "protocol {protocol}, {order:?}");
            let whole = joined4(&got.lan.iter().map(|f| plain(f)).collect::<Vec<_>>());
            assert_translated(&back, &whole, SERVER, CLIENT);
        }
    }
}

#[test]
fn rfc4787_req9_none_of_them_comes_back_from_our_own_address() {
    for filtering in [Filtering::AddressAndPortDependent, Filtering::EndpointIndependent] {
        for mut router in routers(&Setup { filtering, ..Setup::ipip() }) {
            outbound(&mut router, &packet(GRE, CLIENT, SERVER, b"x"));
            // Whose would it be? With one inside host to a peer, nobody but the sender's own.
            for host in [CLIENT, OTHER_CLIENT] {
                router.lan(from_lan(&packet(GRE, host, OUTSIDE, b"x"))).dropped(Reason::NaptNoSession);
            }
            router.wan(from_wan(&packet(GRE, OUTSIDE, OUTSIDE, b"x"))).dropped(Reason::Ipv4Source);
            assert_eq!(router.sessions(), 1);
        }
    }
}

#[test]
fn rfc7597_8_1_on_a_share_of_an_address_they_are_not_carried() {
    let setup = Setup { ports: PortSet::new(4, 8, 0x34).unwrap(), ..Setup::ipip() };
    for protocol in protocols() {
        for mut router in routers(&setup) {
            for dst in [SERVER, OUTSIDE] {
                router.lan(from_lan(&packet(protocol, CLIENT, dst, &bytes(30)))).dropped(Reason::NaptProtocol);
            }
            router.wan(from_wan(&packet(protocol, SERVER, OUTSIDE, &bytes(30)))).dropped(Reason::NaptProtocol);
            let about = packet(protocol, OUTSIDE, SERVER, &bytes(30)).bytes();
            router.wan(from_wan(&icmp_raw(PEER, OUTSIDE, 3, 1, 0, &about))).dropped(Reason::NaptIcmpError);
            assert_eq!(router.sessions(), 0);
        }
    }
}

#[test]
fn rfc6888_req4_they_are_of_the_hosts_share() {
    for mut router in routers(&Setup { per_host: Some(2), ..Setup::ipip() }) {
        outbound(&mut router, &packet(GRE, CLIENT, SERVER, b"x"));
        outbound(&mut router, &packet(ESP, CLIENT, SERVER, b"x"));
        let more = router.lan(from_lan(&packet(GRE, CLIENT, PEER, b"x")));
        assert_eq!(more.verdict(), Verdict::Dropped(Reason::NaptHostLimit));
        outbound(&mut router, &packet(GRE, OTHER_CLIENT, PEER, b"x"));
    }
}

#[test]
fn what_looks_like_ports_is_none() {
    for mut router in routers(&Setup::ipip()) {
        // The same first word in all of them, which is ports in one only.
        let (c, s) = ((CLIENT, 0x9c40), (SERVER, 443));
        outbound(&mut router, &packet(GRE, CLIENT, SERVER, b"x"));
        let out = inner(router.lan(from_lan(&udp(c, s, b"x"))).to_wan());
        assert_eq!(out.check_transport().src(), (OUTSIDE, 0x9c40));
        // And ports that are zero, as if there were none.
        for zero in [udp((CLIENT, 0), (SERVER, 0), b"x"), tcp((CLIENT, 0), (SERVER, 0), SYN, b"")] {
            let sent = inner(router.lan(from_lan(&zero)).to_wan());
            assert_ne!(sent.check_transport().src().1, 0);
        }
        for word in [[0; 4], [0x9c, 0x40, 1, 187], [1, 187, 0x9c, 0x40]] {
            let mut answer = packet(GRE, SERVER, OUTSIDE, b"x");
            answer.payload[..4].copy_from_slice(&word);
            inbound(&mut router, &answer, CLIENT);
        }
        router.wan(from_wan(&udp((SERVER, 0), (OUTSIDE, 0), b"x"))).dropped(Reason::NaptNoSession);
        assert_eq!(router.sessions(), 4);
    }
}
