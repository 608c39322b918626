//! SYNs from outside that nobody let in (RFC 5382 4.3), and connections that both ends open at once (4.2).

use std::time::Duration;

use crate::common::*;
use etherparse::TcpOptionElement;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::PortSet;

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);
const PEER: End = ([198, 51, 100, 7], 5000);
const SIX: Duration = Duration::from_secs(6);
const NEARLY: Duration = Duration::from_millis(1);

fn routers(answer_unsolicited: bool) -> [Router; 2] {
    crate::common::routers(&Setup { answer_unsolicited, ..Setup::ipip() })
}

fn syn(from: End, to: End) -> Packet {
    tcp_with(from, to, SYN, &[TcpOptionElement::MaximumSegmentSize(1460)], b"").tos(0x48)
}

#[track_caller]
fn assert_silent(out: &Out) {
    assert!(out.lan.is_empty() && out.wan.is_empty() && out.verdicts.is_empty(), "{out:?}");
}

#[test]
fn rfc5382_req4_who_is_not_let_in_is_told_after_six_seconds() {
    for mut router in routers(true) {
        let at = inner(router.lan(from_lan(&tcp(C, S, SYN, b""))).to_wan()).src();
        // To a port that somebody has, but not towards this peer; to one that nobody has.
        for (to, reason) in [(at, Reason::NaptFiltered), ((OUTSIDE, 22), Reason::NaptNoSession)] {
            let sent = syn(PEER, to);
            router.wan(from_wan(&sent)).dropped(reason);
            router.advance(Duration::from_secs(3));
            // It is tried again, as SYNs are.
            router.wan(from_wan(&sent)).dropped(reason);
            router.advance(Duration::from_secs(3) - NEARLY);
            assert_silent(&router.idle());
            router.advance(NEARLY);
            let out = router.idle();
            let answer = inner(out.to_wan());
            answer.check_transport();
            assert_eq!((answer.header.source, answer.header.destination), (OUTSIDE, PEER.0));
            assert_eq!(answer.icmp_parts(), (3, 3, 0, &sent.bytes()[..]), "port unreachable, about it as it came");
            router.advance(SIX);
            assert_silent(&router.idle());
        }
        assert_eq!((router.event(Event::SynHeld), router.event(Event::IcmpSent)), (2, 2));
        assert_eq!(router.sessions(), 1);
    }
}

#[test]
fn rfc5382_req4a_nobody_is_told_unless_that_is_wanted() {
    for mut router in routers(false) {
        let at = inner(router.lan(from_lan(&tcp(C, S, SYN, b""))).to_wan()).src();
        for to in [at, (OUTSIDE, 22)] {
            router.wan(from_wan(&syn(PEER, to)));
        }
        for _ in 0..20 {
            router.advance(Duration::from_secs(1));
            assert_silent(&router.idle());
        }
        assert_eq!(router.event(Event::SynHeld), 0);
    }
}

#[test]
fn rfc5382_req2_req4_both_open_at_once_and_the_first_syn_is_forgotten() {
    for answers in [true, false] {
        for mut router in routers(answers) {
            // A mapping, so that the peer can know the port.
            let at = inner(router.lan(from_lan(&tcp(C, S, SYN, b""))).to_wan()).src();
            router.wan(from_wan(&syn(PEER, at))).dropped(Reason::NaptFiltered);
            router.advance(Duration::from_secs(5));
            // RFC 9293 3.5, figure 7, but the first SYN is lost.
            let sent = inner(router.lan(from_lan(&syn(C, PEER))).to_wan());
            assert_eq!(sent.src(), at);
            router.advance(Duration::from_secs(2));
            assert_silent(&router.idle());
            for (flags, outbound) in [(SYN, false), (SYN | ACK, true), (SYN | ACK, false), (ACK, true), (ACK, false)] {
                match outbound {
                    true => {
                        let out = router.lan(from_lan(&tcp(C, PEER, flags, b"")));
                        assert_eq!(inner(out.to_wan()).check_transport().src(), at);
                    }
                    false => {
                        let out = router.wan(from_wan(&tcp(PEER, at, flags, b"")));
                        assert_eq!(plain(out.to_lan()).check_transport().dst(), C);
                    }
                }
            }
            for _ in 0..7000 {
                router.advance(Duration::from_secs(1));
                assert_silent(&router.idle());
            }
            assert_eq!(router.sessions(), 1, "it is open, and the other one was not");
            assert_eq!(router.event(Event::IcmpSent), 0);
        }
    }
}

#[test]
fn rfc5382_req4_only_syns_are_held() {
    for mut router in routers(true) {
        let [first, ..] = &tcp(PEER, (OUTSIDE, 22), SYN, &bytes(64)).fragments(60)[..] else { panic!("pieces") };
        let frames = [
            tcp(PEER, (OUTSIDE, 22), SYN | ACK, b""),
            tcp(PEER, (OUTSIDE, 22), ACK, b""),
            tcp(PEER, (OUTSIDE, 22), SYN | RST, b""),
            tcp(PEER, (OUTSIDE, 22), SYN | FIN, b""),
            tcp(PEER, (OUTSIDE, 22), 0, b""),
            udp(PEER, (OUTSIDE, 22), &bytes(20)),
            echo_request(PEER.0, OUTSIDE, 2, b""),
            first.clone(),
        ];
        for packet in frames {
            router.wan(from_wan(&packet));
        }
        router.advance(SIX);
        let out = router.idle();
        assert_eq!((out.wan.len(), out.lan.len(), router.event(Event::SynHeld)), (0, 0, 0));
    }
    // Another line's port is not ours to answer for.
    let setup = Setup { ports: PortSet::new(4, 8, 0x34).unwrap(), answer_unsolicited: true, ..Setup::ipip() };
    let mut router = Router::new(&setup);
    router.wan(from_wan(&syn(PEER, (OUTSIDE, 22)))).dropped(Reason::PortOutsideSet);
    router.wan(from_wan(&syn(PEER, (OUTSIDE, 4928)))).dropped(Reason::NaptNoSession);
    router.advance(SIX);
    assert_eq!(inner(router.idle().to_wan()).icmp_parts().3[22..24], 4928u16.to_be_bytes());
}

#[test]
fn a_flood_of_syns_is_answered_as_far_as_memory_and_rate_go() {
    let mut router = Router::new(&Setup { answer_unsolicited: true, ..Setup::ipip() });
    for round in 1..=2 {
        let flood = (0..5000u16).map(|n| from_wan(&syn(([198, 51, 100, n as u8], 1000 + n), (OUTSIDE, n))));
        let out = router.play(WAN, flood);
        assert_eq!((out.count(Reason::NaptNoSession), out.wan.len()), (5000, 0));
        assert_eq!(router.event(Event::SynHeld), round * 128);
        router.advance(SIX);
        let out = router.idle();
        assert_eq!(out.wan.len(), 50, "the burst of all our errors");
        assert_eq!(router.event(Event::IcmpLimited), round * 78);
    }
    // Established traffic goes on meanwhile: a SYN that waits holds no frame.
    assert_eq!(router.held(), 0);
    let out = router.lan(from_lan(&tcp(C, S, SYN, b"")));
    assert_eq!(out.verdict(), Verdict::Outbound);
}

#[test]
fn a_line_that_has_changed_meanwhile_says_nothing() {
    let mut router = Router::new(&Setup { answer_unsolicited: true, ..Setup::ipip() });
    router.wan(from_wan(&syn(PEER, (OUTSIDE, 22)))).dropped(Reason::NaptNoSession);
    let mut snapshot = Setup::ipip().snapshot(router.napt.clone());
    snapshot.softwires[0].local = std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6).into();
    router.shared.snapshot.store(std::sync::Arc::new(snapshot));
    router.advance(SIX);
    assert_silent(&router.idle());
}
