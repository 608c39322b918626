//! IPv6 from one LAN to another: what passes, what is refused, what is told (RFC 8200, RFC 4443, RFC 4890).

use std::net::Ipv6Addr;

use crate::common::lans::*;
use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::rules::{Action, Address, Rule, Zone};
use hikyaku_dataplane::snapshot::{Route6, Routes6};
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::{Mac, Prefix6};

const A: (Net, u8) = (HOME, 10);
const B: (Net, u8) = (OFFICE, 11);
const GUEST: (Net, u8) = (GUESTS, 10);

fn address((net, host): (Net, u8)) -> Ipv6Addr {
    net.address6(host)
}

fn at(host: (Net, u8), port: u16) -> End6 {
    (address(host), port)
}

fn routers() -> impl Iterator<Item = Lans> {
    with(&[])
}

fn with(rules: &[Rule]) -> impl Iterator<Item = Lans> {
    let setups = Setup::all().into_iter().flat_map(|setup| [true, false].map(|fast| Setup { fast, ..setup.clone() }));
    setups.map(|setup| Lans::new(&Setup { rules: rules.to_vec(), ..setup }))
}

fn rule((from, to): (Net, Net), action: Action) -> Rule {
    Rule { from: Zone::Lan(from.lan), to: Zone::Lan(to.lan), ..rule_from(Zone::Wan, action) }
}

/// Passes, one hop less and otherwise as it was.
#[track_caller]
fn passes(router: &mut Lans, from: (Net, u8), to: (Net, u8), packet: &Packet6) {
    let left = router.send6(from, packet);
    assert_eq!(left.verdict(), Verdict::LanToLan, "{packet:?}");
    let sent = packet.forwarded().frame(to.0.station(to.1), to.0.station(1));
    assert_eq!(left.only(to.0.link), sent);
}

/// Is dropped, and its sender is told this.
#[track_caller]
fn refused(router: &mut Lans, from: (Net, u8), packet: &Packet6, reason: Reason, told: (u8, u8), word: u32) {
    let left = router.send6(from, packet);
    assert_eq!(left.verdict(), Verdict::Dropped(reason));
    let frame = left.only(from.0.link);
    let (what, says, quote) = error6(frame);
    assert_eq!((what, says, quote), (told, word, &packet.bytes()[..quote.len()]));
    assert_eq!(frame[22..38], from.0.address6(1).octets(), "RFC 4443 2.2: from our address there");
    router.wait(1);
}

/// Packets from one end to another, each with its answer.
fn conversations(a: (Net, u8), b: (Net, u8)) -> Vec<(Packet6, Packet6)> {
    let (c, s) = (at(a, 40000), at(b, 443));
    let with_ports = [33, 132, 136].map(|kind| {
        let packet = |(src, from): End6, (dst, to): End6| {
            Packet6::new(src, dst, kind, [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0; 12]].concat())
        };
        (packet(c, s), packet(s, c))
    });
    let by_address = [4, 41, 47, 50, 51, 253]
        .map(|kind| (Packet6::new(c.0, s.0, kind, bytes(40)), Packet6::new(s.0, c.0, kind, bytes(40))));
    let others = [
        (udp6(c, s, b"question"), udp6(s, c, b"answer")),
        (tcp6(c, s, SYN), tcp6(s, c, SYN | ACK)),
        (echo6(c.0, s.0, 128, 7), echo6(s.0, c.0, 129, 7)),
    ];
    others.into_iter().chain(with_ports).chain(by_address).collect()
}

#[test]
fn what_a_host_begins_passes_and_so_does_what_answers_it() {
    for mut router in routers() {
        for (a, b) in [(A, B), (B, A), (A, GUEST)] {
            for (packet, answer) in conversations(a, b) {
                for _ in 0..3 {
                    passes(&mut router, a, b, &packet);
                    passes(&mut router, b, a, &answer);
                }
            }
            router.later(8000);
            assert_eq!(router.filter6.stats().live, 0, "they end as others do");
        }
    }
}

#[test]
fn guests_begin_nothing_but_what_rules_accept() {
    let host = Address::InterfaceId(10);
    let dns = Rule { protocols: vec![17], ports: vec![(53, 53)], ..rule((GUESTS, HOME), Action::Accept) };
    let rules = [Rule { destination: vec![host], ..dns }, rule((OFFICE, HOME), Action::Drop)];
    for mut router in with(&rules) {
        for to in [A, B] {
            for (packet, _) in conversations(GUEST, to) {
                refused(&mut router, GUEST, &packet, Reason::LanIsolated, (1, 1), 0);
            }
        }
        passes(&mut router, GUEST, A, &udp6(at(GUEST, 5000), at(A, 53), b"question"));
        passes(&mut router, A, GUEST, &udp6(at(A, 53), at(GUEST, 5000), b"answer"));
        let other = udp6(at(GUEST, 5000), at((HOME, 11), 53), b"x");
        refused(&mut router, GUEST, &other, Reason::LanIsolated, (1, 1), 0);
        router.send6(B, &tcp6(at(B, 5000), at(A, 22), SYN)).dropped(Reason::RuleDrop);
    }
}

#[test]
fn rfc8200_hops_and_mtu() {
    for mut router in routers() {
        let packet = udp6(at(A, 40000), at(B, 443), b"x");
        passes(&mut router, A, B, &packet.clone().hops(2));
        for hops in [0, 1] {
            refused(&mut router, A, &packet.clone().hops(hops), Reason::TtlExceeded, (3, 0), 0);
        }
        let large = |len: usize| udp6(at(A, 40000), at(B, 443), &bytes(len - 48));
        passes(&mut router, A, B, &large(1400));
        refused(&mut router, A, &large(1401), Reason::Ipv6TooBig, (2, 0), 1400);
        // RFC 9293 3.7.1: segments fit both links.
        let syn = tcp6_with(at(A, 40000), at(B, 443), SYN, &[2, 4, 0x05, 0xa0], b"");
        let left = router.send6(A, &syn);
        assert_eq!(left.only(OFFICE.link)[14 + 40 + 20..][..4], [2, 4, 0x05, 0x3c]);
    }
}

#[test]
fn fragments_follow_their_first_one_in_any_order() {
    let pieces = udp6(at(A, 40000), at(GUEST, 443), &bytes(1200)).fragments(500 & !7, 77);
    for order in ORDERS {
        for mut router in routers() {
            let mut got = Vec::new();
            for i in order {
                got.extend(router.send6(A, &pieces[i]).frames.into_iter().map(|(link, frame)| {
                    assert_eq!(link, GUESTS.link);
                    frame
                }));
            }
            let mut expected =
                pieces.iter().map(|piece| piece.forwarded().frame(GUESTS.station(10), GUESTS.station(1)));
            assert!(got.len() == 3 && expected.all(|piece| got.contains(&piece)));
            assert_eq!(router.totals().verdict(Verdict::LanToLan), 3);
        }
    }
}

#[test]
fn rfc4890_errors_pass_where_they_are_about_a_session() {
    for mut router in routers() {
        for (a, b) in [(A, B), (B, A), (A, GUEST)] {
            for (packet, _) in conversations(a, b) {
                let gone = packet.forwarded().bytes();
                let other = (b.0, 12);
                let errors = [11, 12].map(|host| icmp6(b.0.address6(host), address(a), (2, 0), 1280, &gone));
                for error in &errors {
                    router.send6(other, error).dropped(Reason::Ipv6IcmpError);
                }
                passes(&mut router, a, b, &packet);
                for error in &errors {
                    passes(&mut router, other, a, error);
                }
                let own = icmp6(address(b), address(a), (1, 3), 0, &udp6(at(b, 9), at(a, 9), b"x").bytes());
                assert_eq!(router.send6(b, &own).verdict(), Verdict::Dropped(Reason::Ipv6IcmpError));
                router.later(8000);
            }
        }
    }
}

#[test]
fn nobody_speaks_for_a_host_of_another_lan() {
    for mut router in routers() {
        let packet = udp6(at(A, 40000), at(GUEST, 443), b"x");
        passes(&mut router, A, GUEST, &packet);
        refused(&mut router, B, &packet, Reason::Ipv6Source, (1, 5), 0);
        assert_eq!(router.play(WAN, packet.frame(WAN_MAC, GATEWAY_MAC)).verdict(), Reason::Ipv6Source.into());
        for group in ["ff02::fb", "ff05::1", "ff0e::1"] {
            let packet = udp6(at(A, 5353), (group.parse().unwrap(), 5353), b"x");
            let mut frame = packet.frame([0x33, 0x33, 0, 0, 0, 1], HOME.station(10));
            assert!(router.play(HOME.link, &frame).frames.is_empty());
            frame[..6].copy_from_slice(&HOME.station(1));
            let left = router.play(HOME.link, &frame);
            assert!(left.frames.iter().all(|(link, _)| *link == HOME.link), "{left:?}");
        }
        // Of the link, and of nobody.
        let local = udp6(("fe80::10".parse().unwrap(), 1), at(GUEST, 1), b"x");
        refused(&mut router, A, &local, Reason::Ipv6Scope, (1, 2), 0);
    }
}

/// RFC 4193: unique local addresses go from one LAN to another, and no further.
#[test]
fn unique_local_addresses_go_between_lans() {
    let ula = |net: Net| Prefix6::new(Ipv6Addr::new(0xfd00, 0, 0, u16::from(net.link.0), 0, 0, 0, 0), 64).unwrap();
    let of = |net: Net| Ipv6Addr::from(ula(net).address().to_bits() | 10);
    for fast in [true, false] {
        let mut router = Lans::with(&Setup { fast, ..Setup::dslite() }, |snapshot| {
            let routes = NETS.map(|net| (ula(net), Route6::Link(net.link)));
            snapshot.routes6 = Routes6::new(
                routes
                    .into_iter()
                    .chain([("::/0".parse().unwrap(), Route6::Gateway { link: WAN, mac: Mac(GATEWAY_MAC) })]),
            );
            for net in NETS {
                let link = &mut snapshot.links[net.link.index()];
                link.sources6 = vec![ula(net)];
                link.neighbours6 =
                    hikyaku_dataplane::snapshot::Neighbours::new([(of(net).into(), Mac(net.station(10)))], None);
            }
        });
        passes(&mut router, A, (OFFICE, 10), &udp6((of(HOME), 1), (of(OFFICE), 2), b"x"));
        let out = router.send6(A, &udp6((of(HOME), 1), (PEER6, 2), b"x"));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::Ipv6Source));
    }
}

/// The router has an address in each LAN, and answers at all of them, but for guests.
#[test]
fn the_router_itself_is_in_every_lan() {
    for mut router in routers() {
        for net in NETS {
            let ping = echo6(address(A), net.address6(1), 128, 7);
            assert_eq!(router.send6(A, &ping).verdict(), Verdict::Punted);
            let ping = echo6(address(GUEST), net.address6(1), 128, 7);
            match net == GUESTS {
                true => assert_eq!(router.send6(GUEST, &ping).verdict(), Verdict::Punted),
                false => refused(&mut router, GUEST, &ping, Reason::LanIsolated, (1, 1), 0),
            }
        }
    }
}

/// Native IPv6 with the line goes as ever beside it.
#[test]
fn the_line_goes_on_beside_it() {
    for mut router in routers() {
        for net in NETS {
            let packet = udp6((net.address6(10), 40000), (PEER6, 443), b"question");
            let left = router.send6((net, 10), &packet);
            assert_eq!((left.verdict(), left.only(WAN)), (Verdict::Ipv6Outbound, &packet.to_line()[..]));
            let answer = udp6((PEER6, 443), (net.address6(10), 40000), b"answer");
            let left = router.play(WAN, answer.sent_by_line());
            let sent = answer.forwarded().frame(net.station(10), net.station(1));
            assert_eq!((left.verdict(), left.only(net.link)), (Verdict::Ipv6Inbound, &sent[..]));
        }
        assert_eq!(router.event(Event::SessionOpened), 3);
    }
}
