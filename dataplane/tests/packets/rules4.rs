//! The operator's rules of IPv4: where we translate, of sessions; where the AFTR does (DS-Lite), of each packet from a LAN.

use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::napt::{Filtering, Forward, LanId};
use hikyaku_dataplane::rules::{Action, Address, Rate, Rule};
use hikyaku_dataplane::verdict::{Reason, Verdict};

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);
const STRANGER: End = ([198, 51, 100, 7], 999);

fn tcp_to(ports: (u16, u16), rule: Rule) -> Rule {
    Rule { protocols: vec![6], ports: vec![ports], ..rule }
}

fn prefix(text: &str) -> Address {
    Address::V4(text.parse().unwrap())
}

fn with(rules: &[Rule], setup: Setup) -> Setup {
    Setup { rules: rules.to_vec(), ..setup }
}

/// Routers of both services with these rules, with the fast path and without.
fn both(rules: &[Rule]) -> impl Iterator<Item = Router> {
    Setup::all().map(|setup| routers(&with(rules, setup))).into_iter().flatten()
}

/// A router with NAPT, and ports of CLIENT that are open to all.
fn forwarding(rules: &[Rule]) -> [Router; 2] {
    let forward = |protocol, outside, inside_port| {
        let lan = LanId::default();
        Forward { protocol, outside: (outside, outside), lan, inside: CLIENT.into(), inside_port }
    };
    let forwards = vec![forward(6, 8080, 80), forward(6, 8443, 443), forward(17, 53, 53), forward(1, 7, 7)];
    routers(&with(rules, Setup { forwards, ..Setup::ipip() }))
}

#[test]
fn what_hosts_may_not_begin_is_dropped_in_silence() {
    let rules = [tcp_to((25, 25), rule_from(HOSTS, Action::Drop))];
    for mut router in both(&rules) {
        router.lan(from_lan(&tcp(C, (SERVER, 25), SYN, b""))).dropped(Reason::RuleDrop);
        for packet in [tcp(C, S, SYN, b""), udp(C, (SERVER, 25), b"x"), echo_request(CLIENT, SERVER, 1, b"x")] {
            assert_eq!(router.lan(from_lan(&packet)).verdict(), Verdict::Outbound);
        }
        assert_eq!(router.ruled(), [[0, 1, 0]]);
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rules = [
        Rule { destination: vec![prefix("203.0.113.80/32")], ..tcp_to((443, 443), rule_from(HOSTS, Action::Accept)) },
        Rule { source: vec![prefix("192.168.1.10/32")], ..rule_from(HOSTS, Action::Drop) },
    ];
    for mut router in both(&rules) {
        assert_eq!(router.lan(from_lan(&tcp(C, S, SYN, b""))).verdict(), Verdict::Outbound);
        router.lan(from_lan(&tcp(C, (SERVER, 444), SYN, b""))).dropped(Reason::RuleDrop);
        router.lan(from_lan(&udp(C, S, b"x"))).dropped(Reason::RuleDrop);
        router.lan(from_lan(&echo_request(CLIENT, SERVER, 1, b"x"))).dropped(Reason::RuleDrop);
        assert_eq!(router.lan(from_lan(&udp((OTHER_CLIENT, 1), S, b"x"))).verdict(), Verdict::Outbound);
        assert_eq!(router.ruled(), [[1, 0, 0], [0, 3, 0]]);
    }
}

/// RFC 9293 3.10.7.1, RFC 1812 5.2.7.1.
#[test]
fn what_is_rejected_is_told_its_sender() {
    for mut router in both(&[rule_from(HOSTS, Action::Reject)]) {
        let out = router.lan(from_lan(&tcp(C, S, SYN, b"data")));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::RuleReject));
        let reset = plain(out.to_lan());
        reset.check_transport();
        let header = reset.tcp();
        assert_eq!((reset.src(), reset.dst()), (S, C));
        let sent = tcp(C, S, SYN, b"data").tcp().sequence_number;
        assert_eq!((header.rst, header.ack, header.acknowledgment_number), (true, true, sent.wrapping_add(5)));
        assert_eq!((out.to_lan()[..6].to_vec(), router.event(Event::ResetSent)), (CLIENT_MAC.to_vec(), 1));
        let refused = udp(C, S, b"x");
        let error = plain(router.lan(from_lan(&refused)).to_lan());
        let (kind, code, _, quote) = error.icmp_parts();
        assert_eq!((kind, code, quote), (3, 13, &refused.bytes()[..]));
        assert_eq!(router.event(Event::IcmpSent), 1);
    }
}

/// What strangers begin by a static mapping: the rule knows the host and its port, as the LAN does.
#[test]
fn a_forward_leads_where_the_rules_let_it() {
    let rules = [
        Rule { source: vec![prefix("198.51.100.0/24")], ..tcp_to((80, 80), rule_from(WORLD, Action::Accept)) },
        Rule { destination: vec![prefix("192.168.1.10/32")], ..tcp_to((80, 80), rule_from(WORLD, Action::Reject)) },
        Rule { protocols: vec![17], ports: vec![(53, 53)], ..rule_from(WORLD, Action::Drop) },
        Rule { protocols: vec![1], ports: vec![(8, 8)], ..rule_from(WORLD, Action::Drop) },
    ];
    for mut router in forwarding(&rules) {
        let web = (OUTSIDE, 8080);
        assert_eq!(inbound(&mut router, &tcp(STRANGER, web, SYN, b"")).dst(), (CLIENT, 80));
        // The session's packets ask nobody.
        assert_eq!(outbound(&mut router, &tcp((CLIENT, 80), STRANGER, SYN | ACK, b"")).src(), web);
        let other = (SERVER, 5);
        let out = router.wan(from_wan(&tcp(other, web, SYN, b"")));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::RuleReject));
        let reset = inner(out.to_wan());
        reset.check_transport();
        assert_eq!((reset.src(), reset.dst(), reset.tcp().rst), (web, other, true));
        // No rule: as the mapping has it.
        assert_eq!(inbound(&mut router, &tcp(other, (OUTSIDE, 8443), SYN, b"")).dst(), (CLIENT, 443));
        router.wan(from_wan(&udp(STRANGER, (OUTSIDE, 53), b"x"))).dropped(Reason::RuleDrop);
        router.wan(from_wan(&echo_request(SERVER, OUTSIDE, 7, b"x"))).dropped(Reason::RuleDrop);
        // What begins nothing, and what leads nowhere, is asked of nobody.
        router.wan(from_wan(&tcp(other, web, ACK, b""))).dropped(Reason::NaptFiltered);
        router.wan(from_wan(&tcp(other, (OUTSIDE, 80), SYN, b""))).dropped(Reason::NaptNoSession);
        assert_eq!(router.ruled(), [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]]);
        assert_eq!(router.sessions(), 2);
    }
}

/// RFC 4787 REQ-8: where a mapping lets anybody in, the rules still may not.
#[test]
fn a_mapping_that_is_open_to_all_is_asked_about_too() {
    let rules = [Rule { protocols: vec![17], ports: vec![(40000, 40000)], ..rule_from(WORLD, Action::Drop) }];
    let setup = Setup { filtering: Filtering::EndpointIndependent, ..Setup::ipip() };
    for mut router in routers(&with(&rules, setup)) {
        let at = outbound(&mut router, &udp(C, S, b"x")).src();
        router.wan(from_wan(&udp(STRANGER, at, b"x"))).dropped(Reason::RuleDrop);
        assert_eq!(inbound(&mut router, &udp(S, at, b"x")).dst(), C);
        assert_eq!(router.ruled(), [[0, 1, 0]]);
    }
}

#[test]
fn hosts_that_speak_with_each_other_by_the_outside_address_ask_nobody() {
    let rules = [rule_from(HOSTS, Action::Drop), rule_from(WORLD, Action::Drop)];
    for mut router in forwarding(&rules) {
        let there = hairpin(&mut router, &tcp((OTHER_CLIENT, 5), (OUTSIDE, 8080), SYN, b""));
        assert_eq!(there.dst(), (CLIENT, 80));
        assert_eq!(router.ruled(), [[0, 0, 0]; 2]);
    }
}

#[test]
fn a_reset_for_nothing_is_no_rules() {
    for mut router in routers(&with(&[rule_from(HOSTS, Action::Accept)], Setup::ipip())) {
        router.lan(from_lan(&tcp(C, S, RST, b""))).dropped(Reason::NaptNoSession);
        assert_eq!(router.ruled(), [[0, 0, 0]]);
    }
}

#[test]
fn with_sessions_a_change_is_of_new_ones_and_a_rate_too() {
    let rate = Some(Rate { interval: Duration::from_millis(500), burst: 3 });
    for mut router in routers(&with(&[Rule { rate, ..rule_from(HOSTS, Action::Accept) }], Setup::ipip())) {
        let sent = |port: u16| from_lan(&udp((CLIENT, port), S, b"x"));
        let out = router.play(LAN, (1..=10).map(sent));
        assert_eq!((out.count(Verdict::Outbound), out.count(Reason::RuleRate)), (3, 7));
        router.set_rules(&[rule_from(HOSTS, Action::Drop)]);
        let out = router.play(LAN, (1..=10).map(sent));
        assert_eq!((out.count(Verdict::Outbound), out.count(Reason::RuleDrop)), (3, 7));
    }
}

/// DS-Lite: nobody here knows sessions, so each packet is asked about, and a change is of those that are there.
#[test]
fn without_sessions_each_packet_is_asked_about() {
    let accepts = rule_from(HOSTS, Action::Accept);
    for mut router in routers(&with(&[tcp_to((443, 443), accepts.clone())], Setup::dslite())) {
        let segments = [SYN, ACK, ACK | FIN, RST].map(|flags| from_lan(&tcp(C, S, flags, b"")));
        assert_eq!(router.play(LAN, &segments).count(Verdict::Outbound), 4);
        assert_eq!(router.ruled(), [[1, 0, 0]], "what begins something is counted");
        router.set_rules(&[tcp_to((443, 443), rule_from(HOSTS, Action::Drop))]);
        assert_eq!(router.play(LAN, &segments).count(Reason::RuleDrop), 4);
        assert_eq!(router.ruled(), [[0, 4, 0]]);
        // Answers come in.
        assert_eq!(inbound(&mut router, &tcp(S, C, SYN | ACK, b"")).dst(), C);
        // Its rate is of what begins something.
        let rate = Some(Rate { interval: Duration::from_secs(1), burst: 2 });
        router.set_rules(&[Rule { rate, ..accepts.clone() }]);
        let mut out = router.play(LAN, (1..=5).map(|n| from_lan(&tcp((CLIENT, n), S, SYN, b""))));
        assert_eq!((out.count(Verdict::Outbound), out.count(Reason::RuleRate)), (2, 3));
        out = router.play(LAN, (1..=5).map(|n| from_lan(&tcp((CLIENT, n), S, ACK, b""))));
        assert_eq!(out.count(Verdict::Outbound), 5);
        out = router.play(LAN, (1..=5).map(|n| from_lan(&udp((CLIENT, n), S, b""))));
        assert_eq!(out.count(Verdict::Outbound), 5);
    }
}

/// Rules are about what begins: answers of ICMP and errors pass, whoever may begin what.
#[test]
fn without_sessions_answers_and_errors_pass() {
    for mut router in routers(&with(&[rule_from(HOSTS, Action::Drop)], Setup::dslite())) {
        let about = udp(S, C, b"x").bytes();
        let error = icmp_raw(CLIENT, SERVER, 3, 3, 0, &about);
        for packet in [echo_reply(CLIENT, SERVER, 1, b"x"), error] {
            assert_eq!(router.lan(from_lan(&packet)).verdict(), Verdict::Outbound);
        }
        router.lan(from_lan(&echo_request(CLIENT, SERVER, 1, b"x"))).dropped(Reason::RuleDrop);
    }
}

/// Of a later fragment nobody knows the ports: it passes where its first one may, and not where none of its sender does.
#[test]
fn without_sessions_fragments_of_what_passes_pass() {
    let udp_to = |port, action| Rule { protocols: vec![17], ports: vec![(port, port)], ..rule_from(HOSTS, action) };
    let mut pieces = udp(C, S, &bytes(3000)).id(7).fragments(1400);
    let later = pieces.split_off(1);
    assert!(!later.is_empty());
    let rules = [udp_to(443, Action::Drop), udp_to(444, Action::Accept), rule_from(HOSTS, Action::Drop)];
    for mut router in routers(&with(&rules, Setup::dslite())) {
        router.lan(from_lan(&pieces[0])).dropped(Reason::RuleDrop);
        for piece in &later {
            assert_eq!(router.lan(from_lan(piece)).verdict(), Verdict::Outbound, "it may be of 444");
        }
        router.set_rules(&[udp_to(443, Action::Drop), rule_from(HOSTS, Action::Drop)]);
        for piece in &later {
            router.lan(from_lan(piece)).dropped(Reason::RuleDrop);
        }
        router.set_rules(&[udp_to(443, Action::Drop)]);
        assert_eq!(router.play(LAN, later.iter().map(from_lan)).count(Verdict::Outbound), later.len() as u64);
    }
}

/// What does not go through the tunnel in one piece, or is no ordinary packet otherwise, is asked about as well.
#[test]
fn without_sessions_packets_of_every_kind_are_asked_about() {
    let packets = [
        udp(C, S, b"x"),
        udp(C, S, &bytes(1460 - 28)),
        udp(C, S, &bytes(1500 - 28)),
        udp(C, S, b"x").options(&[1, 1, 1, 1]),
        tcp(C, S, SYN, b""),
        tcp(C, S, ACK, &bytes(1460)),
        raw(CLIENT, SERVER, 50, bytes(64)),
        echo_request(CLIENT, SERVER, 1, &bytes(1472)),
    ];
    for mut router in routers(&with(&[rule_from(HOSTS, Action::Drop)], Setup::dslite())) {
        for packet in &packets {
            router.lan(from_lan(packet)).dropped(Reason::RuleDrop);
        }
        assert_eq!(router.ruled(), [[0, packets.len() as u64, 0]]);
        // And passes as without rules, byte for byte.
        router.set_rules(&[rule_from(HOSTS, Action::Accept)]);
        let mut plain = Router::new(&Setup::dslite());
        for packet in &packets {
            let (asked, not) = (router.lan(from_lan(packet)), plain.lan(from_lan(packet)));
            let sizes = |out: &Out| out.wan.iter().map(Vec::len).collect::<Vec<_>>();
            assert_eq!((asked.verdicts.clone(), sizes(&asked)), (not.verdicts.clone(), sizes(&not)), "{packet:?}");
            assert_eq!(asked.count(Verdict::Outbound), 1);
            if asked.wan.len() == 1 {
                assert_eq!(inner(asked.to_wan()), inner(not.to_wan()));
            }
        }
    }
}
