//! The operator's rules through the path: who may begin, who is told, and that nothing else pays for it.

use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::rules::{Action, Address, Rate, Rule, Zone};
use hikyaku_dataplane::verdict::{Reason, Verdict};

const C: End6 = (CLIENT6, 40000);
const S: End6 = (PEER6, 443);

fn tcp_to(port: u16, rule: Rule) -> Rule {
    Rule { protocols: vec![6], ports: vec![(port, port)], ..rule }
}

/// Routers of native IPv6 with these rules, with the fast path and without.
fn native(rules: &[Rule]) -> impl Iterator<Item = Router> {
    let setups = Setup::all().map(|setup| Setup { rules: rules.to_vec(), ..setup });
    setups.into_iter().flat_map(|setup| routers6(&setup, &filtering())).map(|(router, _)| router)
}

/// The TCP segment in a frame of IPv6: its ports, sequence and acknowledgement number, flags. Its checksum is right.
#[track_caller]
fn segment6(frame: &[u8]) -> ((u16, u16), u32, u32, u8) {
    assert_eq!((&frame[12..14], frame[20]), (&[0x86, 0xdd][..], 6), "TCP in IPv6");
    let address = |at: usize| std::net::Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
    let tcp = &frame[54..];
    assert_eq!((tcp.len(), checksum6(address(22), address(38), 6, tcp)), (20, 0xffff), "TCP checksum");
    let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
    ((u16::from_be_bytes([tcp[0], tcp[1]]), u16::from_be_bytes([tcp[2], tcp[3]])), word(4), word(8), tcp[13])
}

#[test]
fn what_hosts_may_not_begin_is_dropped_in_silence() {
    let rules = [tcp_to(25, rule_from(HOSTS, Action::Drop))];
    for mut router in native(&rules) {
        router.lan(tcp6(C, (PEER6, 25), SYN).sent_by_host()).dropped(Reason::RuleDrop);
        for packet in [tcp6(C, S, SYN), udp6(C, (PEER6, 25), b"x"), echo6(CLIENT6, PEER6, 128, 1)] {
            assert_eq!(router.lan(packet.sent_by_host()).verdict(), Verdict::Ipv6Outbound);
        }
        assert_eq!(router.ruled(), [[0, 1, 0]]);
    }
}

/// RFC 6092 3.1: the first rule that fits decides, whatever comes behind it.
#[test]
fn the_first_rule_that_fits_decides() {
    let bad = "2a00:1450:bad::/48".parse().unwrap();
    let rules = [
        Rule { source: vec![Address::V6(bad)], ..rule_from(Zone::Wan, Action::Drop) },
        tcp_to(443, rule_from(Zone::Wan, Action::Accept)),
        tcp_to(443, rule_from(Zone::Wan, Action::Reject)),
    ];
    for mut router in native(&rules) {
        let from = |address: &str| (address.parse().unwrap(), 999);
        let to = (CLIENT6, 443);
        router.wan(tcp6(from("2a00:1450:bad::1"), to, SYN).sent_by_line()).dropped(Reason::RuleDrop);
        assert_eq!(router.wan(tcp6(S, to, SYN).sent_by_line()).verdict(), Verdict::Ipv6Inbound);
        router.wan(tcp6(S, (CLIENT6, 444), SYN).sent_by_line()).dropped(Reason::Ipv6Filtered);
        // What begins nothing is no rule's.
        router.wan(tcp6((PEER6, 1), to, ACK).sent_by_line()).dropped(Reason::Ipv6Filtered);
        assert_eq!(router.ruled(), [[0, 1, 0], [1, 0, 0], [0, 0, 0]]);
    }
}

#[test]
fn rfc9293_3_10_7_1_a_connection_that_is_rejected_is_reset() {
    let rules = [rule_from(HOSTS, Action::Reject), rule_from(Zone::Wan, Action::Reject)];
    for mut router in native(&rules) {
        // A host of ours; its sequence number is 0x01020304.
        let out = router.lan(tcp6(C, S, SYN).sent_by_host());
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::RuleReject));
        let frame = out.to_lan();
        assert_eq!(segment6(frame), ((443, 40000), 0, 0x0102_0305, RST | ACK));
        assert_eq!((&frame[..6], &frame[22..54]), (&CLIENT_MAC[..], &[PEER6.octets(), CLIENT6.octets()].concat()[..]));
        // With data, in the middle of something that nobody knows: the number that was asked for.
        let out = router.lan(tcp6_with(C, S, ACK, &[], b"data").sent_by_host());
        assert_eq!(segment6(out.to_lan()), ((443, 40000), 0x0506_0708, 0, RST));
        let out = router.lan(tcp6_with(C, S, SYN | FIN, &[], b"data").sent_by_host());
        assert_eq!(segment6(out.to_lan()), ((443, 40000), 0, 0x0102_030a, RST | ACK));
        // Behind an extension header, too.
        let out = router.lan(tcp6(C, S, SYN).header(60, &[0, 1, 4, 0, 0, 0, 0]).sent_by_host());
        assert_eq!(segment6(out.to_lan()), ((443, 40000), 0, 0x0102_0305, RST | ACK));
        // A stranger.
        let out = router.wan(tcp6(S, C, SYN).sent_by_line());
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::RuleReject));
        assert_eq!(segment6(out.to_wan()), ((40000, 443), 0, 0x0102_0305, RST | ACK));
        assert_eq!((&out.to_wan()[..6], router.event(Event::ResetSent)), (&GATEWAY_MAC[..], 5));
        // A reset is not answered by one, from either side.
        assert_eq!(error6(router.lan(tcp6(C, S, RST).sent_by_host()).to_lan()).0, (1, 1));
        router.wan(tcp6(S, C, RST).sent_by_line()).dropped(Reason::Ipv6Filtered);
        assert_eq!((router.event(Event::ResetSent), router.event(Event::IcmpSent)), (5, 1));
    }
}

#[test]
fn rfc4443_3_1_what_is_rejected_otherwise_is_prohibited() {
    let rules = [rule_from(HOSTS, Action::Reject), rule_from(Zone::Wan, Action::Reject)];
    for mut router in native(&rules) {
        let pieces = tcp6_with(C, S, SYN, &[], &bytes(60)).fragments(24, 7);
        let packets = [udp6(C, S, b"x"), echo6(CLIENT6, PEER6, 128, 1), Packet6::new(CLIENT6, PEER6, 50, bytes(40))];
        for packet in packets.iter().chain(&pieces[..1]) {
            let out = router.lan(packet.sent_by_host());
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::RuleReject));
            let (what, _, quote) = error6(out.to_lan());
            assert_eq!((what, quote), ((1, 1), &packet.bytes()[..quote.len()]));
        }
        let out = router.wan(udp6(S, C, b"x").sent_by_line());
        assert_eq!((out.verdict(), error6(out.to_wan()).0), (Verdict::Dropped(Reason::RuleReject), (1, 1)));
        // An error about what was refused is of no session, and asks no rule.
        let error = icmp6(PEER6, CLIENT6, (1, 4), 0, &udp6(C, S, b"x").bytes());
        router.wan(error.sent_by_line()).dropped(Reason::Ipv6IcmpError);
        assert_eq!(router.ruled(), [[0, 4, 0], [0, 1, 0]]);
    }
}

#[test]
fn rfc4443_2_4_f_refusals_have_the_budget_of_errors() {
    for mut router in native(&[rule_from(HOSTS, Action::Reject)]) {
        let segments = |n: u16| (0..n).map(|i| tcp6((CLIENT6, i), S, SYN).sent_by_host());
        let out = router.play(LAN, segments(80));
        assert_eq!((out.lan.len(), out.count(Reason::RuleReject)), (50, 80));
        assert_eq!((router.event(Event::ResetSent), router.event(Event::IcmpLimited)), (50, 30));
    }
}

/// RFC 8200 4.5: what belongs to a first fragment that was refused goes nowhere.
#[test]
fn fragments_go_as_their_first_one_goes() {
    let rules = [Rule { protocols: vec![17], ports: vec![(443, 443)], ..rule_from(HOSTS, Action::Drop) }];
    for mut router in native(&rules) {
        let refused = udp6(C, S, &bytes(200)).fragments(104, 1);
        let passes = udp6(C, (PEER6, 444), &bytes(200)).fragments(104, 2);
        router.lan(refused[0].sent_by_host()).dropped(Reason::RuleDrop);
        assert!(router.lan(refused[1].sent_by_host()).verdicts.is_empty(), "it waits for one that comes never");
        for piece in &passes {
            assert_eq!(router.lan(piece.sent_by_host()).verdict(), Verdict::Ipv6Outbound);
        }
        router.advance(Duration::from_secs(3));
        router.idle();
        assert_eq!(router.totals().verdict(Reason::Ipv6Fragment.into()), 1);
    }
}

#[test]
fn a_rate_is_of_sessions_and_what_is_there_goes_on() {
    let rate = Some(Rate { interval: Duration::from_millis(500), burst: 3 });
    for mut router in native(&[Rule { rate, ..rule_from(Zone::Wan, Action::Accept) }]) {
        let from = |n: u16| udp6((PEER6, n), (CLIENT6, 53), b"x").sent_by_line();
        let out = router.play(WAN, (0..10).map(from));
        assert_eq!((out.count(Verdict::Ipv6Inbound), out.count(Reason::RuleRate)), (3, 7));
        let out = router.play(WAN, (0..100).map(|i| from(i % 3)));
        assert_eq!(out.count(Verdict::Ipv6Inbound), 100, "packets of sessions are not asked about");
        router.advance(Duration::from_secs(1));
        assert_eq!(router.play(WAN, (10..20).map(from)).count(Verdict::Ipv6Inbound), 2);
        assert_eq!(router.ruled(), [[5, 0, 15]]);
    }
}

#[test]
fn a_change_is_of_new_sessions_and_counts_stay() {
    let web = tcp_to(443, rule_from(HOSTS, Action::Accept));
    let rest = rule_from(HOSTS, Action::Drop);
    for mut router in native(&[web.clone(), rest.clone()]) {
        assert_eq!(router.lan(tcp6(C, S, SYN).sent_by_host()).verdict(), Verdict::Ipv6Outbound);
        router.lan(udp6(C, S, b"x").sent_by_host()).dropped(Reason::RuleDrop);
        router.set_rules(std::slice::from_ref(&rest));
        assert_eq!(router.ruled(), [[0, 1, 0]]);
        for packet in [tcp6(C, S, ACK), tcp6(C, S, ACK | FIN)] {
            assert_eq!(router.lan(packet.sent_by_host()).verdict(), Verdict::Ipv6Outbound);
            assert_eq!(router.wan(tcp6(S, C, ACK).sent_by_line()).verdict(), Verdict::Ipv6Inbound);
        }
        router.lan(tcp6((CLIENT6, 40001), S, SYN).sent_by_host()).dropped(Reason::RuleDrop);
        assert_eq!(router.ruled(), [[0, 2, 0]]);
    }
}

/// The interface id is of hosts of ours, not of anybody in the Internet who has the same.
#[test]
fn an_interface_id_is_a_host_of_ours() {
    let id = vec![Address::InterfaceId(0xa)];
    let rules = [
        Rule { source: id.clone(), ..rule_from(HOSTS, Action::Drop) },
        Rule { source: id.clone(), ..rule_from(Zone::Wan, Action::Drop) },
        Rule { destination: id, ..rule_from(HOSTS, Action::Drop) },
    ];
    for mut router in native(&rules) {
        let stranger = "2a00:1450:7::a".parse().unwrap();
        router.lan(udp6(C, S, b"x").sent_by_host()).dropped(Reason::RuleDrop);
        let out = router.lan(udp6((OTHER6, 1), (stranger, 2), b"x").sent_by_host());
        assert_eq!(out.verdict(), Verdict::Ipv6Outbound);
        router.wan(udp6((stranger, 1), C, b"x").sent_by_line()).dropped(Reason::Ipv6Filtered);
        assert_eq!(router.ruled(), [[0, 1, 0], [0, 0, 0], [0, 0, 0]]);
    }
}
