//! IPv4 from one LAN to another: what passes, what is refused, what is told (RFC 1812, RFC 2644, RFC 3704).

use crate::common::lans::*;
use crate::common::*;
use etherparse::TcpOptionElement;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::filter6::{Filter6, Saved};
use hikyaku_dataplane::napt::{Filtering, Forward};
use hikyaku_dataplane::rules::{Action, Address, Rule, Zone};
use hikyaku_dataplane::snapshot::Neighbours;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::{Mac, Prefix4, protocol};
use std::net::Ipv4Addr;

/// A host of a LAN.
const A: (Net, u8) = (HOME, 10);
const B: (Net, u8) = (OFFICE, 11);
const GUEST: (Net, u8) = (GUESTS, 10);

fn at((net, host): (Net, u8), port: u16) -> End {
    (net.host(host), port)
}

fn address((net, host): (Net, u8)) -> [u8; 4] {
    net.host(host)
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
fn passes(router: &mut Lans, from: (Net, u8), to: (Net, u8), packet: &Packet) {
    let left = router.send(from, packet);
    assert_eq!(left.verdict(), Verdict::LanToLan, "{packet:?}");
    let got = plain_of(to.0, to.1, left.only(to.0.link));
    assert_forwarded(packet, got.check_transport());
}

/// Is dropped, and its sender is told this.
#[track_caller]
fn refused(router: &mut Lans, from: (Net, u8), packet: &Packet, reason: Reason, told: (u8, u8, u32)) {
    let left = router.send(from, packet);
    assert_eq!(left.verdict(), Verdict::Dropped(reason));
    let error = plain_of(from.0, from.1, left.only(from.0.link));
    let (kind, code, word, quote) = error.icmp_parts();
    assert_eq!((kind, code, word), told);
    assert_eq!(error.header.source, from.0.host(1), "RFC 1812 4.3.2.4");
    assert_eq!(quote, &packet.bytes()[..quote.len()], "as it came");
    router.wait(1);
}

/// Packets from one end to another, each with its answer.
fn conversations(a: (Net, u8), b: (Net, u8)) -> Vec<(Packet, Packet)> {
    let (c, s) = (at(a, 40000), at(b, 443));
    let (from, to) = (address(a), address(b));
    let with_ports = [33, 132, 136].map(|kind| {
        let packet = |(src, from): End, (dst, to): End| {
            raw(src, dst, kind, [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0; 12]].concat())
        };
        (packet(c, s), packet(s, c))
    });
    let by_address = [4, 41, 47, 50, 51, 89, 253].map(|kind| {
        let packet = |src, dst| raw(src, dst, kind, bytes(40));
        (packet(from, to), packet(to, from))
    });
    let timestamps = |kind| move |src, dst| icmp_raw(src, dst, kind, 0, 0x0008_0001, &[0; 12]);
    let others = [
        (udp(c, s, b"question"), udp(s, c, b"answer")),
        (tcp(c, s, SYN, b""), tcp(s, c, SYN | ACK, b"")),
        (echo_request(from, to, 7, b"ping"), echo_reply(to, from, 7, b"ping")),
        (timestamps(13)(from, to), timestamps(14)(to, from)),
        (udp(c, (s.0, 53), b"options").options(&[1, 1, 1, 0]), udp((s.0, 53), c, b"answer")),
    ];
    others.into_iter().chain(with_ports).chain(by_address).collect()
}

#[test]
fn what_a_host_begins_passes_and_so_does_what_answers_it() {
    for mut router in routers() {
        // Whichever has the lesser address.
        for (a, b) in [(A, B), (B, A)] {
            for (packet, answer) in conversations(a, b) {
                for _ in 0..3 {
                    passes(&mut router, a, b, &packet);
                    passes(&mut router, b, a, &answer);
                }
            }
            router.later(8000);
            assert_eq!(router.filter6.stats().live, 0, "they end as others do");
        }
        let totals = router.totals();
        assert_eq!(totals.verdict(Verdict::LanToLan), 180);
        assert_eq!(totals.verdict(Verdict::Outbound) + totals.verdict(Verdict::Hairpin), 0);
    }
}

#[test]
fn guests_begin_nothing_and_answer() {
    for mut router in routers() {
        for to in [A, B] {
            for (packet, _) in conversations(GUEST, to) {
                refused(&mut router, GUEST, &packet, Reason::LanIsolated, (3, 13, 0));
            }
            for (packet, answer) in conversations(to, GUEST) {
                passes(&mut router, to, GUEST, &packet);
                passes(&mut router, GUEST, to, &answer);
            }
            router.later(8000);
            // It is over, and begins anew from the other side only.
            let late = udp(at(GUEST, 443), at(to, 40000), b"answer");
            refused(&mut router, GUEST, &late, Reason::LanIsolated, (3, 13, 0));
        }
    }
}

#[test]
fn rules_say_who_may_begin_towards_whom() {
    let dns = Rule { protocols: vec![17], ports: vec![(53, 53)], ..rule((GUESTS, HOME), Action::Accept) };
    let rules = [dns, rule((OFFICE, HOME), Action::Drop), rule((HOME, GUESTS), Action::Reject)];
    for mut router in with(&rules) {
        passes(&mut router, GUEST, A, &udp(at(GUEST, 5000), at(A, 53), b"question"));
        passes(&mut router, A, GUEST, &udp(at(A, 53), at(GUEST, 5000), b"answer"));
        let other_port = udp(at(GUEST, 5000), at(A, 54), b"x");
        refused(&mut router, GUEST, &other_port, Reason::LanIsolated, (3, 13, 0));
        router.send(B, &tcp(at(B, 5000), at(A, 22), SYN, b"")).dropped(Reason::RuleDrop);
        passes(&mut router, A, B, &tcp(at(A, 5000), at(B, 22), SYN, b""));
        passes(&mut router, B, A, &tcp(at(B, 22), at(A, 5000), SYN | ACK, b""));
        let reset = router.send(A, &tcp(at(A, 5000), at(GUEST, 22), SYN, b""));
        assert_eq!(reset.verdict(), Verdict::Dropped(Reason::RuleReject));
        let reset = plain_of(A.0, A.1, reset.only(HOME.link));
        assert_eq!((reset.src(), reset.dst(), reset.tcp().rst), (at(GUEST, 22), at(A, 5000), true));
        refused(&mut router, A, &udp(at(A, 1), at(GUEST, 2), b"x"), Reason::RuleReject, (3, 13, 0));
    }
}

/// A rule from a LAN to another is none about what goes to the Internet, also where packets are asked about one by one.
#[test]
fn rules_between_lans_are_about_nothing_else() {
    for mut router in with(&[rule((HOME, OFFICE), Action::Drop)]) {
        let left = router.send(A, &udp(at(A, 40000), (SERVER, 443), b"x"));
        assert_eq!(left.verdict(), Verdict::Outbound);
        router.send(A, &udp(at(A, 40000), at(B, 443), b"x")).dropped(Reason::RuleDrop);
    }
}

#[test]
fn nothing_passes_without_a_filter() {
    for mut router in [true, false].map(|fast| Lans::with(&Setup { fast, ..Setup::ipip() }, |s| s.filter6 = None)) {
        let packet = udp(at(A, 40000), at(B, 443), b"x");
        refused(&mut router, A, &packet, Reason::NoRoute, (3, 0, 0));
    }
}

#[test]
fn rfc1812_hops_and_mtu() {
    for mut router in routers() {
        let packet = udp(at(A, 40000), at(B, 443), b"x");
        passes(&mut router, A, B, &packet.clone().ttl(2));
        for ttl in [0, 1] {
            refused(&mut router, A, &packet.clone().ttl(ttl), Reason::TtlExceeded, (11, 0, 0));
        }
        // The office's link takes 1400 bytes.
        let large = |len: usize| udp(at(A, 40000), at(B, 443), &bytes(len - 28));
        passes(&mut router, A, B, &large(1400).df());
        refused(&mut router, A, &large(1401).df(), Reason::TooBig, (3, 4, 1400));
        let before = router.event(Event::Fragmented);
        let left = router.send(A, &large(1480));
        assert_eq!((left.verdict(), left.frames.len()), (Verdict::LanToLan, 2));
        let pieces: Vec<_> = left.frames.iter().map(|(_, frame)| plain_of(B.0, B.1, frame)).collect();
        assert!(pieces.iter().all(|piece| piece.bytes().len() <= 1400));
        assert_forwarded(&large(1480), joined4(&pieces).check_transport());
        assert_eq!(router.event(Event::Fragmented) - before, 1);
    }
}

#[test]
fn rfc9293_3_7_1_segments_fit_both_links() {
    for mut router in routers() {
        let syn = |from, to, mss| {
            tcp_with(at(from, 40000), at(to, 443), SYN, &[TcpOptionElement::MaximumSegmentSize(mss)], b"")
        };
        for (from, to, mss, becomes) in
            [(A, B, 1460, 1360), (B, A, 1460, 1360), (A, B, 1000, 1000), (A, GUEST, 1460, 1460)]
        {
            let left = router.send(from, &syn(from, to, mss));
            let got = plain_of(to.0, to.1, left.only(to.0.link));
            assert_eq!(got.check_transport().mss(), Some(becomes));
        }
    }
}

#[test]
fn fragments_follow_their_first_one_in_any_order() {
    let whole = udp(at(A, 40000), at(GUEST, 443), &bytes(1200)).id(77);
    let pieces = whole.fragments(500);
    for order in ORDERS {
        for mut router in routers() {
            let mut got = Vec::new();
            for i in order {
                let left = router.send(A, &pieces[i]);
                got.extend(left.frames.iter().map(|(link, frame)| {
                    assert_eq!(*link, GUESTS.link);
                    plain_of(GUEST.0, GUEST.1, frame)
                }));
            }
            assert_forwarded(&whole, &joined4(&got));
            assert_eq!(router.totals().verdict(Verdict::LanToLan), 3);
            // Of another packet, and the other way: they wait, and nobody comes.
            router.send(A, &pieces[1].clone().id(78));
            router.send(GUEST, &pieces[2]).dropped(Reason::Ipv4Source);
            router.wait(3);
            assert_eq!(router.totals().verdict(Reason::NaptFragment.into()), 1);
        }
    }
    // RFC 3128, RFC 1858: none writes over the flags of a TCP header.
    let tiny = tcp(at(A, 1), at(GUEST, 2), SYN, &bytes(64)).fragments(36);
    for mut router in routers() {
        router.send(A, &tiny[1]).dropped(Reason::Ipv4Fragment);
    }
}

/// RFC 792: who is told of a session's packets, and by whom.
#[test]
fn errors_pass_where_they_are_about_a_session() {
    for mut router in routers() {
        for (a, b) in [(A, B), (B, A), (A, GUEST)] {
            for (packet, _) in conversations(a, b).into_iter().filter(|(packet, _)| packet.header.protocol.0 != 51) {
                // From the host, and from somebody between: a router behind, say.
                let gone = packet.clone().ttl(63).bytes();
                let errors = [11, 12].map(|host| icmp_raw(b.0.host(host), address(a), 3, 4, 1280, &gone));
                let other = (b.0, 12);
                for error in &errors {
                    router.send(other, error).dropped(Reason::LanFiltered);
                }
                passes(&mut router, a, b, &packet);
                for error in &errors {
                    passes(&mut router, other, a, error);
                }
                // Not from another LAN, nor about the host's own packets.
                let third = NETS.into_iter().find(|net| *net != a.0 && *net != b.0).unwrap();
                let elsewhere = icmp_raw(third.host(10), address(a), 3, 1, 0, &gone);
                router.send((third, 10), &elsewhere).dropped(Reason::LanFiltered);
                let own = icmp_raw(address(b), address(a), 3, 1, 0, &udp(at(b, 9), at(a, 9), b"x").bytes());
                router.send(b, &own).dropped(Reason::LanFiltered);
                router.later(8000);
            }
        }
        // Redirects and the like are of a link (RFC 1812 5.2.7.2).
        let packet = udp(at(A, 40000), at(B, 443), b"x");
        passes(&mut router, A, B, &packet);
        for kind in [4, 5, 9, 10, 15, 16, 17, 18, 40, 255] {
            router.send(B, &icmp_raw(address(B), address(A), kind, 0, 0, &packet.bytes())).dropped(Reason::LanFiltered);
        }
    }
}

#[test]
fn what_begins_nothing_and_is_of_nothing_ends() {
    for mut router in routers() {
        router.send(A, &tcp(at(A, 1), at(B, 2), RST, b"")).dropped(Reason::LanFiltered);
        router.send(A, &echo_reply(address(A), address(B), 7, b"x")).dropped(Reason::LanFiltered);
        let short = raw(address(A), address(B), 17, vec![0; 7]);
        router.send(A, &short).dropped(Reason::TransportHeader);
        let mut bad = tcp(at(A, 1), at(B, 2), SYN, b"");
        bad.payload[12] = 0xf0;
        router.send(A, &bad).dropped(Reason::TransportHeader);
        assert_eq!(router.event(Event::SessionOpened), 0);
    }
}

/// RFC 3704 2.2: an address says of which LAN its host is.
#[test]
fn nobody_speaks_for_a_host_of_another_lan() {
    for mut router in routers() {
        let packet = udp(at(A, 40000), at(GUEST, 443), b"x");
        passes(&mut router, A, GUEST, &packet);
        router.send(B, &packet).dropped(Reason::Ipv4Source);
        router.send(GUEST, &udp((SERVER, 1), at(A, 1), b"x")).dropped(Reason::Ipv4Source);
        router.send(GUEST, &udp((GUESTS.host(1), 1), at(A, 1), b"x")).dropped(Reason::Ipv4Source);
        // Nor from outside.
        if router.napt.is_none() {
            let from_line = router.play(WAN, from_wan(&udp(at(A, 40000), at(GUEST, 443), b"x")));
            from_line.dropped(Reason::Ipv4Source);
        }
    }
}

#[test]
fn rfc2644_what_is_for_all_stays_where_it_is() {
    for mut router in routers() {
        let groups = [[224, 0, 0, 251], [239, 1, 2, 3], [255; 4], OFFICE.host(255), OFFICE.host(0), HOME.host(255)];
        for group in groups {
            router.send(A, &udp(at(A, 5353), (group, 5353), b"x")).dropped(Reason::Ipv4Destination);
        }
        let to_all = ethernet([0xff; 6], A.0.station(A.1), 0x0800, &udp(at(A, 1), at(B, 1), b"x").bytes());
        router.play(HOME.link, to_all).dropped(Reason::Ipv4Destination);
        router.send(A, &udp(at(A, 1), (SERVER, 1), b"x").options(&[131, 4, 4, 0])).dropped(Reason::Ipv4Option);
    }
}

#[test]
fn whose_station_nobody_knows_is_asked_for() {
    for mut router in routers() {
        let packet = udp(at(A, 40000), (OFFICE.host(99), 443), b"x");
        assert_eq!(router.send(A, &packet).verdict(), Verdict::Punted);
        let message = router.punted().unwrap();
        assert!(message.unresolved && message.link == OFFICE.link);
        assert_forwarded(&packet, &Packet::read(&message.frame()[14..]));
    }
}

/// The router has an address in each LAN, and answers at all of them, but for guests.
#[test]
fn the_router_itself_is_in_every_lan() {
    for mut router in routers() {
        for net in NETS {
            let ping = echo_request(address(A), net.host(1), 7, b"x");
            assert_eq!(router.send(A, &ping).verdict(), Verdict::Punted);
            assert_eq!(router.punted().map(|message| message.link), Some(HOME.link));
            let ping = echo_request(address(GUEST), net.host(1), 7, b"x");
            match net == GUESTS {
                true => assert_eq!(router.send(GUEST, &ping).verdict(), Verdict::Punted),
                false => refused(&mut router, GUEST, &ping, Reason::LanIsolated, (3, 13, 0)),
            }
        }
    }
}

/// RFC 4787 REQ-9 across LANs: by the outside address, and a guest as a stranger.
#[test]
fn rfc4787_req9_a_mapping_of_another_lan_is_reached_by_the_outside_address() {
    let forward = |outside, net: (Net, u8), port| Forward {
        protocol: protocol::TCP,
        outside: (outside, outside),
        lan: net.0.lan,
        inside: address(net).into(),
        inside_port: port,
    };
    let forwards = vec![forward(8080, A, 80), forward(8443, A, 443), forward(8022, GUEST, 22)];
    // To one of them strangers have no way but from somewhere; the office may go where it likes.
    let from_there = Rule {
        protocols: vec![6],
        ports: vec![(443, 443)],
        source: vec![Address::V4(Prefix4::new(SERVER.into(), 32).unwrap())],
        ..rule_from(Zone::Wan, Action::Accept)
    };
    let from_nowhere = Rule { source: vec![], action: Action::Drop, ..from_there.clone() };
    let not_there = Rule { protocols: vec![6], ports: vec![(22, 22)], ..rule((OFFICE, GUESTS), Action::Drop) };
    let rules = vec![from_there, from_nowhere, not_there];
    for fast in [true, false] {
        let setup = Setup { fast, forwards: forwards.clone(), rules: rules.clone(), ..Setup::ipip() };
        let mut router = Lans::new(&setup);
        let mut knocks = |from: (Net, u8), port: u16, to: Option<((Net, u8), u16)>| {
            let left = router.send(from, &tcp(at(from, 5000), (OUTSIDE, port), SYN, b""));
            let Some((to, inside)) = to else {
                return left.dropped(Reason::RuleDrop);
            };
            assert_eq!(left.verdict(), Verdict::Hairpin);
            let got = plain_of(to.0, to.1, left.only(to.0.link));
            assert_eq!((got.check_transport().dst(), got.src().0), (at(to, inside), OUTSIDE));
            // The answer, back by both translations.
            let answer = router.send(to, &tcp(at(to, inside), got.src(), SYN | ACK, b""));
            assert_eq!(answer.verdict(), Verdict::Hairpin);
            let got = plain_of(from.0, from.1, answer.only(from.0.link));
            assert_eq!((got.check_transport().dst(), got.src()), (at(from, 5000), (OUTSIDE, port)));
        };
        knocks(B, 8080, Some((A, 80)));
        knocks(GUEST, 8080, Some((A, 80)));
        knocks(B, 8443, Some((A, 443)));
        knocks(GUEST, 8443, None);
        knocks((HOME, 11), 8443, Some((A, 443)));
        knocks(A, 8022, Some((GUEST, 22)));
        knocks(B, 8022, None);
    }
}

/// A guest is kept out of what a home host has open by chance, as anybody is.
#[test]
fn a_mapping_of_another_lan_lets_in_whom_it_lets_in_from_outside() {
    for (filtering, enters) in [(Filtering::EndpointIndependent, true), (Filtering::default(), false)] {
        let mut router = Lans::new(&Setup { filtering, ..Setup::ipip() });
        let left = router.send(A, &udp(at(A, 40000), (SERVER, 443), b"x"));
        let outside = inner(left.only(WAN)).src();
        let left = router.send(GUEST, &udp(at(GUEST, 40000), outside, b"x"));
        match enters {
            true => assert_eq!(left.verdict(), Verdict::Hairpin),
            false => left.dropped(Reason::NaptFiltered),
        }
    }
}

/// Two LANs whose hosts have the same addresses: the routes lead to one of them, and the other has no part in its sessions.
#[test]
fn a_host_of_one_lan_never_uses_a_session_of_another() {
    for fast in [true, false] {
        let mut router = Lans::with(&Setup { fast, ..Setup::ipip() }, |snapshot| {
            // Guests who number themselves as home does.
            let guests = &mut snapshot.links[GUESTS.link.index()];
            guests.sources4.push(HOME.network());
            guests.neighbours = Neighbours::new([(Ipv4Addr::from(address(A)).into(), Mac(GUESTS.station(10)))], None);
        });
        passes(&mut router, A, B, &udp(at(A, 40000), at(B, 443), b"x"));
        router.send(GUEST, &udp(at(A, 40000), at(B, 443), b"x")).dropped(Reason::Ipv4Source);
        passes(&mut router, B, A, &udp(at(B, 443), at(A, 40000), b"x"));
        // Then the network is theirs; what home began is not.
        let mut snapshot = hikyaku_dataplane::snapshot::Snapshot::clone(&router.shared.snapshot.load());
        use hikyaku_dataplane::snapshot::{Route, Routes};
        snapshot.routes =
            Routes::new([(HOME.network(), Route::Link(GUESTS.link)), (OFFICE.network(), Route::Link(OFFICE.link))]);
        router.shared.snapshot.store(std::sync::Arc::new(snapshot));
        let left = router.send(GUEST, &udp(at(A, 40000), at(B, 443), b"x"));
        assert_eq!(left.verdict(), Verdict::Dropped(Reason::LanIsolated));
    }
}

/// Sessions between LANs outlive the process with the others.
#[test]
fn sessions_between_lans_are_saved_and_read_back() {
    let mut router = Lans::new(&Setup::ipip());
    for (packet, _) in conversations(A, GUEST).into_iter().chain(conversations(B, A)) {
        let (from, to) = if packet.header.source == address(A) { (A, GUEST) } else { (B, A) };
        passes(&mut router, from, to, &packet);
    }
    let live = router.filter6.stats().live;
    assert_eq!(live as usize, 2 * conversations(A, B).len());
    let mut bytes = Vec::new();
    assert_eq!(router.filter6.save(router.now, 1000, &mut bytes).unwrap(), live);
    let again = Filter6::new(&filtering()).unwrap();
    let saved = Saved::read(&bytes).unwrap();
    let done = again.restore(&saved, router.now, 1001);
    assert_eq!((done.restored, again.stats().live), (live, live));
    let mut router = Lans::with(&Setup::ipip(), |snapshot| snapshot.filter6 = Some(again.into()));
    for (_, answer) in conversations(A, GUEST) {
        passes(&mut router, GUEST, A, &answer);
    }
    assert_eq!(router.event(Event::SessionOpened), 0);
}

/// Sessions are of a station, and each may have so many.
#[test]
fn a_station_has_its_share_and_the_table_its_end() {
    let few = hikyaku_dataplane::filter6::Config { per_station: Some(4), ..filtering() };
    for (config, most, reason) in [(few, 4, Reason::Ipv6HostLimit), (filtering(), 1024, Reason::Ipv6TableFull)] {
        let mut router = Lans::new(&Setup { native6: Some(config), ..Setup::ipip() });
        for port in 0..most {
            passes(&mut router, A, B, &udp(at(A, 1000 + port), at(B, 443), b"x"));
        }
        refused(&mut router, A, &udp(at(A, 999), at(B, 443), b"x"), reason, (3, 1, 0));
    }
}

/// What goes to the Internet and what comes from there goes as ever beside it.
#[test]
fn the_line_goes_on_beside_it() {
    for mut router in routers() {
        for net in NETS {
            let (from, to) = (at((net, 10), 40000), (SERVER, 443));
            let left = router.send((net, 10), &udp(from, to, b"question"));
            assert_eq!(left.verdict(), Verdict::Outbound);
            let back = inner(left.only(WAN)).src();
            let left = router.play(WAN, from_wan(&udp(to, back, b"answer")));
            assert_eq!(left.verdict(), Verdict::Inbound);
            assert_eq!(plain_of(net, 10, left.only(net.link)).dst(), from);
        }
        // The class of what is the control thread's is no other than before.
        let question = udp(([0; 4], 68), ([255; 4], 67), &[0; 240]);
        let left = router.play(HOME.link, ethernet([0xff; 6], HOME.station(10), 0x0800, &question.bytes()));
        assert_eq!(left.verdict(), Verdict::Punted);
    }
}
