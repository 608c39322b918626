//! A line of few ports through the whole path (RFC 7597, RFC 7596), and static mappings.

use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::napt::{Forward, LanId};
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::{PortSet, protocol};

const C: End = (CLIENT, 40000);
const D: End = (OTHER_CLIENT, 40000);
const S: End = (SERVER, 443);

/// v6plus: a = 4, k = 8, 15 blocks of 16, the first from 4928 on.
fn few() -> PortSet {
    PortSet::new(4, 8, 0x34).unwrap()
}

fn forward(protocol: u8, outside: u16, (inside, inside_port): End) -> Forward {
    Forward { protocol, outside: (outside, outside), lan: LanId::default(), inside: inside.into(), inside_port }
}

fn line() -> Setup {
    Setup { ports: few(), ..Setup::ipip() }
}

#[test]
fn rfc7597_8_1_nothing_leaves_from_and_nothing_enters_by_a_port_of_others() {
    for mut router in routers(&line()) {
        for i in 0..300 {
            for packet in [udp((CLIENT, 5000 + i), S, b"x"), tcp((CLIENT, 5000 + i), S, SYN, b"")] {
                let out = router.lan(from_lan(&packet));
                assert!(out.wan.iter().all(|frame| few().contains(inner(frame).src().1)));
            }
            let out = router.lan(from_lan(&echo_request(CLIENT, SERVER, 5000 + i, b"ping")));
            assert!(out.wan.iter().all(|frame| few().contains(inner(frame).icmp_id())), "RFC 7596: identifiers too");
        }
        let before = router.sessions();
        assert_eq!(before, 3 * 240);
        let theirs = (OUTSIDE, 5000);
        for packet in [
            udp(S, theirs, b"x"),
            tcp(S, theirs, SYN, b""),
            tcp(S, theirs, ACK, b"x"),
            echo_request(SERVER, OUTSIDE, 5000, b"x"),
            echo_reply(SERVER, OUTSIDE, 5000, b"x"),
        ] {
            router.wan(from_wan(&packet)).dropped(Reason::PortOutsideSet);
        }
        assert_eq!(router.sessions(), before);
    }
}

#[test]
fn rfc6888_req11_who_gets_no_port_is_told() {
    for mut router in routers(&line()) {
        for i in 0..240 {
            outbound(&mut router, &tcp((CLIENT, 20000 + i), S, SYN, b""));
        }
        for packet in [tcp(D, S, SYN, b"").id(9), tcp((CLIENT, 9), S, SYN, b"").id(10)] {
            let out = router.lan(from_lan(&packet));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::NaptPortsFull));
            let answer = plain(out.to_lan());
            answer.check_transport();
            assert_eq!(answer.icmp_parts(), (3, 1, 0, &packet.bytes()[..]));
        }
        // To another server there are ports, and both ways lead to the right host.
        let at = outbound(&mut router, &tcp(D, (SERVER, 80), SYN, b"")).src();
        assert_eq!(inbound(&mut router, &tcp((SERVER, 80), at, SYN | ACK, b"")).dst(), D);
        let owner = inbound(&mut router, &tcp(S, at, SYN | ACK, b"")).dst();
        assert_eq!(owner.0, CLIENT);
        let stats = router.napt.as_ref().unwrap().port_stats()[0];
        assert_eq!((stats.used, stats.shared, stats.refused), (240, 1, 2));
    }
}

#[test]
fn rfc6888_req4_a_host_with_its_share_is_told() {
    for mut router in routers(&Setup { per_host: Some(10), ..line() }) {
        for i in 0..10 {
            outbound(&mut router, &udp((CLIENT, 20000 + i), S, b"x"));
        }
        let packet = udp((CLIENT, 30000), S, b"x");
        let out = router.lan(from_lan(&packet));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::NaptHostLimit));
        assert_eq!(plain(out.to_lan()).icmp_parts(), (3, 1, 0, &packet.bytes()[..]));
        outbound(&mut router, &udp(D, S, b"x"));
    }
}

#[test]
fn rfc7597_8_3_2_fragments_on_a_shared_port_find_their_host() {
    // One port: C has it, D shares it.
    for mut router in routers(&Setup { ports: PortSet::new(0, 16, 5000).unwrap(), ..Setup::ipip() }) {
        let other = (SERVER, 444);
        let at = outbound(&mut router, &udp(C, S, b"x")).src();
        assert_eq!(outbound(&mut router, &udp(D, other, b"x")).src(), at);
        for (order, id) in [([0, 1, 2], 1), ([2, 1, 0], 2), ([1, 0, 2], 3)] {
            let mut outside = Vec::new();
            for (from, to) in [(C, S), (D, other)] {
                let pieces = udp(from, to, &bytes(2500)).id(id).fragments(1000);
                let out = router.play(LAN, order.map(|n| from_lan(&pieces[n])));
                let whole = joined4(&out.wan.iter().map(|frame| inner(frame)).collect::<Vec<_>>());
                whole.check_transport();
                assert_eq!((whole.src(), whole.dst()), (at, to));
                outside.push((whole, from));
            }
            for (sent, host) in outside {
                let pieces = udp(sent.dst(), sent.src(), &bytes(2400)).id(100 + id + u16::from(host == D) * 10);
                let pieces = pieces.fragments(1000);
                let out = router.play(WAN, order.map(|n| from_wan(&pieces[n])));
                let whole = joined4(&out.lan.iter().map(|frame| plain(frame)).collect::<Vec<_>>());
                whole.check_transport();
                assert_eq!(whole.dst(), host);
            }
        }
        // RFC 7597 8.1: to a port of others the first fragment is refused, and the later ones never find it.
        let pieces = udp(S, (OUTSIDE, 5001), &bytes(1500)).id(77).fragments(1000);
        router.wan(from_wan(&pieces[0])).dropped(Reason::PortOutsideSet);
        assert_eq!(router.wan(from_wan(&pieces[1])).verdicts, []);
        router.advance(Duration::from_secs(3));
        assert_eq!(router.idle().verdicts, [(Verdict::Dropped(Reason::NaptFragment), 1)]);
    }
}

#[test]
fn rfc4787_req9_a_forward_is_reached_from_inside_and_outside() {
    let (web, ping) = ((CLIENT, 80), 7);
    let forwards = vec![
        forward(protocol::TCP, 4930, web),
        forward(protocol::UDP, 4930, C),
        forward(protocol::ICMP, 4930, (CLIENT, ping)),
    ];
    for mut router in routers(&Setup { forwards, ..line() }) {
        let static_end = (OUTSIDE, 4930);
        for stranger in [S, ([198, 51, 100, 7], 1)] {
            for flags in [SYN, ACK] {
                assert_eq!(inbound(&mut router, &tcp(stranger, static_end, flags, b"")).dst(), web);
                let answer = outbound(&mut router, &tcp(web, stranger, flags | ACK, b""));
                assert_eq!((answer.src(), answer.dst()), (static_end, stranger));
            }
            assert_eq!(inbound(&mut router, &udp(stranger, static_end, b"x")).dst(), C);
            let got = inbound(&mut router, &echo_request(stranger.0, OUTSIDE, 4930, b"ping"));
            assert_eq!((got.header.destination, got.icmp_id()), (CLIENT, ping));
            let sent = outbound(&mut router, &echo_reply(CLIENT, stranger.0, ping, b"ping"));
            assert_eq!((sent.header.source, sent.icmp_id()), (OUTSIDE, 4930));
        }
        assert_eq!(outbound(&mut router, &udp(C, (SERVER, 9), b"x")).src(), static_end, "RFC 4787 REQ-1");
        // RFC 4787 REQ-9 a: D sees the outside address, and so does the server.
        let before = router.sessions();
        let syn = hairpin(&mut router, &tcp(D, static_end, SYN, b""));
        assert_eq!((syn.dst(), syn.src().0), (web, OUTSIDE));
        assert!(few().contains(syn.src().1));
        let answer = hairpin(&mut router, &tcp(web, syn.src(), SYN | ACK, b""));
        assert_eq!((answer.src(), answer.dst()), (static_end, D));
        assert_eq!(hairpin(&mut router, &tcp(D, static_end, ACK, b"data")).dst(), web);
        assert_eq!(router.sessions(), before + 2);
        // The host itself, by its own outside port.
        assert_eq!(hairpin(&mut router, &tcp((CLIENT, 2000), static_end, SYN, b"")).dst(), web);
        // Without a forward nobody is there.
        router.lan(from_lan(&tcp(D, (OUTSIDE, 4931), SYN, b""))).dropped(Reason::NaptNoSession);
    }
}

#[test]
fn rfc6888_req11_a_hairpin_that_is_refused_is_answered_as_it_was_sent() {
    let inside = (OTHER_CLIENT, 80);
    let forwards = vec![forward(protocol::UDP, 4930, inside), forward(protocol::TCP, 4930, inside)];
    for mut router in routers(&Setup { forwards, per_host: Some(4), ..line() }) {
        // Three quarters of what a host may have are there: strangers open no more to it.
        for port in [1, 2, 3] {
            outbound(&mut router, &udp(D, (SERVER, port), b"x"));
        }
        for captured in capture::read("hairpin-refused-lan.pcap") {
            let out = router.lan(&captured.bytes);
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::NaptHostLimit));
            let answer = plain(out.to_lan());
            answer.check_transport();
            assert_eq!((answer.header.source, answer.header.destination), (ROUTER, CLIENT));
            let (kind, code, _, about) = answer.icmp_parts();
            assert_eq!((kind, code, about), (3, 1, &captured.bytes[14..]));
        }
    }
}

#[test]
fn hosts_that_share_a_port_meet_by_the_outside_address() {
    // Two ports: 5000 is the server's, 5001 all others' together.
    let forwards = vec![forward(protocol::UDP, 5000, (CLIENT, 9))];
    for mut router in routers(&Setup { ports: PortSet::new(0, 15, 2500).unwrap(), forwards, ..Setup::ipip() }) {
        let at = (OUTSIDE, 5001);
        for (host, to) in [(C, S), (D, (SERVER, 444)), ((CLIENT, 7), (SERVER, 445))] {
            assert_eq!(outbound(&mut router, &udp(host, to, b"x")).src(), at);
        }
        let got = hairpin(&mut router, &udp(D, (OUTSIDE, 5000), b"x"));
        assert_eq!((got.src(), got.dst()), (at, (CLIENT, 9)));
        assert_eq!(hairpin(&mut router, &udp((CLIENT, 9), at, b"x")).dst(), D);
        // From there a second one looks like the first.
        router.lan(from_lan(&udp((CLIENT, 7), (OUTSIDE, 5000), b"x")));
        assert_eq!(hairpin(&mut router, &udp((CLIENT, 9), at, b"x")).dst(), D);
        for (host, from) in [(C, S), (D, (SERVER, 444)), ((CLIENT, 7), (SERVER, 445))] {
            assert_eq!(inbound(&mut router, &udp(from, at, b"x")).dst(), host);
        }
    }
}

#[test]
fn a_connection_that_made_room_is_over_at_once() {
    // Found by path_same: in one burst a connection makes room for another one, and the packet behind that is the
    // old one's, whose session the burst had found already. From the same port to the same peer there is one.
    for mut router in routers(&Setup { ports: PortSet::new(0, 15, 40000 >> 1).unwrap(), ..Setup::ipip() }) {
        for port in [40000, 40001] {
            outbound(&mut router, &tcp((CLIENT, port), S, SYN, b""));
        }
        outbound(&mut router, &tcp((CLIENT, 40000), S, RST, b""));
        router.advance(Duration::from_secs(3));
        let burst = [((OTHER_CLIENT, 53), SYN), ((CLIENT, 40000), ACK)];
        let out = router.play(LAN, burst.map(|(from, flags)| from_lan(&tcp(from, S, flags, b""))));
        assert_eq!((out.count(Verdict::Outbound), out.count(Reason::NaptPortsFull)), (1, 1));
        let sent = inner(&out.wan[0]);
        assert_eq!(sent.src(), (OUTSIDE, 40000));
        assert_eq!(plain(router.wan(from_wan(&tcp(S, sent.src(), SYN | ACK, b""))).to_lan()).dst(), (OTHER_CLIENT, 53));
    }
}
