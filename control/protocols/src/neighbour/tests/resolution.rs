//! Neighbours: found, watched, lost.

use super::*;
use crate::neighbour::{Neighbour, State};

/// A frame to `to`, its Ethernet destination still open, that can be told from others.
fn frame(mark: u8) -> Vec<u8> {
    [&[0; 6][..], &US.0, &[0x08, 0x00], &[mark; 46]].concat()
}

fn addressed(mark: u8, to: Mac) -> Output {
    let mut frame = frame(mark);
    frame[..6].copy_from_slice(&to.0);
    Output::Send(frame)
}

fn question4(to: Mac) -> Said {
    Said::Arp { to, reply: false, mac: US, sender: US4, target_mac: Mac::default(), target: HOST4 }
}

fn question6(to: Option<Mac>) -> Said {
    let group = Mac([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
    let destination = if to.is_some() { HOST6 } else { solicited_node(HOST6) };
    let (source, target, options) = (US6, HOST6, lladdr(1, US));
    Said::Solicit { to: to.unwrap_or(group), source, destination, target, options }
}

#[test]
fn rfc826_a_host_is_asked_for_and_its_frame_sent() {
    let mut link = Link::lan();
    link.machine.want(link.now, HOST4.into(), Some(frame(1)));
    assert_eq!(said(&link.drain()), [question4(Mac::BROADCAST)]);
    let generation = link.machine.generation();
    assert_eq!(link.hear(&arp(HOST, true, HOST4, US4)), [Output::Resolved(HOST4.into()), addressed(1, HOST)]);
    assert_eq!(link.machine.get(HOST4.into()), Some(HOST));
    assert_ne!(link.machine.generation(), generation);
    link.machine.want(link.now, HOST4.into(), Some(frame(2)));
    assert_eq!(link.drain(), [addressed(2, HOST)]);
}

#[test]
fn rfc4861_7_2_2_and_7_2_5_a_neighbour_is_solicited_and_answers() {
    let mut link = Link::lan();
    link.machine.want(link.now, HOST6.into(), Some(frame(1)));
    assert_eq!(said(&link.drain()), [question6(None)]);
    let outputs = link.hear(&na(HOST, HOST6, SOLICITED | OVERRIDE));
    assert_eq!(outputs, [Output::Resolved(HOST6.into()), addressed(1, HOST)]);
    assert_eq!(link.state(HOST6), Some(State::Reachable));
}

#[test]
fn rfc4861_7_2_2_one_frame_waits_and_the_newest_stays() {
    let mut link = Link::lan();
    for mark in 1..=3 {
        link.machine.want(link.now, HOST4.into(), Some(frame(mark)));
    }
    assert_eq!(said(&link.drain()).len(), 1, "asked once (RFC 1122 2.3.2.1)");
    let outputs = link.hear(&arp(HOST, true, HOST4, US4));
    assert_eq!(outputs, [Output::Resolved(HOST4.into()), addressed(3, HOST)]);
    assert_eq!(link.machine.counts().frames_dropped, 2);
}

#[test]
fn rfc4861_7_2_2_three_questions_a_second_apart_then_failure() {
    for (addr, question) in [(IpAddr::from(HOST4), question4(Mac::BROADCAST)), (HOST6.into(), question6(None))] {
        let mut link = Link::lan();
        link.machine.want(link.now, addr, Some(frame(1)));
        let outputs = link.run(SECOND * 20);
        let times: Vec<_> = outputs.iter().map(|(at, _)| at.as_secs()).collect();
        assert_eq!(times, [0, 1, 2, 3]);
        assert_eq!(said(&untimed(outputs.clone())), [question.clone(), question.clone(), question]);
        assert_eq!(outputs[3].1, Output::Lost(addr));
        assert_eq!((link.state(addr), link.machine.counts().frames_dropped), (None, 1));
        // A late answer finds no frame.
        assert_eq!(link.hear(&arp(HOST, true, HOST4, US4)), []);
    }
}

#[test]
fn rfc4861_7_3_3_a_silent_neighbour_is_probed_by_unicast_and_lost() {
    for (addr, question) in [(IpAddr::from(HOST4), question4(HOST)), (HOST6.into(), question6(Some(HOST)))] {
        let mut link = Link::lan();
        link.machine.want(link.now, addr, None);
        link.drain();
        let answer = if addr.is_ipv4() { arp(HOST, true, HOST4, US4) } else { na(HOST, HOST6, SOLICITED) };
        link.hear(&answer);
        let outputs = link.run(SECOND * 60);
        let (first, last) = (outputs[0].0, outputs[3].0);
        // RFC 4861 6.3.4: half to one and a half times 30 seconds.
        assert!((15..=45).contains(&first.as_secs()), "{first:?}");
        assert_eq!(last - first, SECOND * 3);
        assert_eq!(said(&untimed(outputs.clone())), [question.clone(), question.clone(), question]);
        assert_eq!(outputs[3].1, Output::Lost(addr));
        assert_eq!(link.machine.get(addr), None);
    }
}

#[test]
fn rfc4861_7_3_3_a_neighbour_that_answers_stays() {
    let mut link = Link::lan();
    link.machine.want(link.now, HOST6.into(), None);
    link.drain();
    link.hear(&na(HOST, HOST6, SOLICITED | OVERRIDE));
    let generation = link.machine.generation();
    for _ in 0..20 {
        while link.state(HOST6) == Some(State::Reachable) {
            link.run(SECOND);
        }
        assert_eq!(link.state(HOST6), Some(State::Probe));
        // RFC 4861 7.2.4: who is asked by unicast may leave the option out.
        let bare = icmp6(HOST, 255, (HOST6, US6), 136, 0, [SOLICITED, 0, 0, 0], &HOST6.octets());
        assert_eq!(link.hear(&bare), []);
        assert_eq!(link.state(HOST6), Some(State::Reachable));
    }
    assert_eq!(link.machine.generation(), generation);
}

#[test]
fn rfc4861_7_2_5_an_unsolicited_advertisement_does_not_confirm() {
    let mut link = Link::lan();
    link.machine.want(link.now, HOST6.into(), None);
    link.drain();
    link.hear(&na(HOST, HOST6, OVERRIDE));
    assert_eq!(link.machine.get(HOST6.into()), Some(HOST));
    assert_eq!(link.state(HOST6), Some(State::Delay));
    let outputs = link.run(SECOND * 5);
    assert_eq!(outputs[0].0, SECOND * 5, "DELAY_FIRST_PROBE_TIME");
    assert_eq!(said(&untimed(outputs)), [question6(Some(HOST))]);
    link.hear(&na(HOST, HOST6, OVERRIDE));
    assert_eq!(link.state(HOST6), Some(State::Probe), "still not");
    link.hear(&na(HOST, HOST6, SOLICITED));
    assert_eq!(link.state(HOST6), Some(State::Reachable));
}

#[test]
fn rfc4861_7_2_5_without_the_option_an_unresolved_neighbour_stays_so() {
    let mut link = Link::lan();
    link.machine.want(link.now, HOST6.into(), Some(frame(1)));
    link.drain();
    let bare = icmp6(HOST, 255, (HOST6, US6), 136, 0, [SOLICITED, 0, 0, 0], &HOST6.octets());
    assert_eq!(link.hear(&bare), []);
    assert_eq!(link.state(HOST6), Some(State::Incomplete));
}

#[test]
fn rfc4861_7_2_3_and_rfc826_who_asks_us_is_remembered() {
    let mut link = Link::lan();
    link.hear(&ns(HOST, HOST6, US6));
    link.hear(&arp(HOST, false, HOST4, US4));
    for addr in [IpAddr::from(HOST4), HOST6.into()] {
        assert_eq!((link.machine.get(addr), link.state(addr)), (Some(HOST), Some(State::Delay)));
    }
    // RFC 826: who asks others is not.
    let mut link = Link::lan();
    link.hear(&arp(HOST, false, HOST4, [192, 168, 1, 77].into()));
    link.hear(&arp(HOST, false, HOST4, HOST4));
    link.hear(&ns(HOST, HOST6, "2001:db8:0:1::77".parse().unwrap()));
    assert_eq!(link.machine.usable().count(), 0);
}

#[test]
fn rfc826_any_arp_of_a_known_host_shows_that_it_is_there() {
    let mut link = Link::lan();
    link.hear(&arp(HOST, false, HOST4, US4));
    link.run(SECOND * 6);
    assert_eq!(link.state(HOST4), Some(State::Probe));
    link.hear(&arp(HOST, false, HOST4, [192, 168, 1, 77].into()));
    assert_eq!(link.state(HOST4), Some(State::Reachable));
}

#[test]
fn rfc9131_6_1_2_a_router_remembers_who_tells_it() {
    let mut router = Link::lan();
    assert_eq!(router.hear(&na(HOST, HOST6, 0)), [Output::Resolved(HOST6.into())]);
    assert_eq!(router.state(HOST6), Some(State::Delay));
    // RFC 4861 7.2.5: a host does not.
    let mut host = Link::with(Config::new(US, false));
    assert_eq!(host.hear(&na(HOST, HOST6, OVERRIDE)), []);
    assert_eq!(host.state(HOST6), None);
}

#[test]
fn rfc4861_6_3_4_the_lines_timers_are_used_within_reason() {
    let mut link = Link::with(Config::new(US, false));
    let probed_after = |link: &mut Link| {
        link.machine.want(link.now, HOST6.into(), None);
        link.drain();
        link.hear(&na(HOST, HOST6, SOLICITED));
        let outputs = link.run(SECOND * 6000);
        (outputs[0].0.as_secs_f64(), (outputs[1].0 - outputs[0].0).as_secs_f64())
    };
    link.machine.set_timers(SECOND * 100, SECOND * 2);
    let (reachable, retransmit) = probed_after(&mut link);
    assert!((50.0..=150.0).contains(&reachable) && retransmit == 2.0);
    link.machine.set_timers(Duration::ZERO, Duration::ZERO);
    let (reachable, retransmit) = probed_after(&mut link);
    assert!((50.0..=150.0).contains(&reachable) && retransmit == 2.0, "zero: unspecified");
    link.machine.set_timers(Duration::from_millis(1), Duration::from_millis(1));
    let (reachable, retransmit) = probed_after(&mut link);
    assert!((0.5..=1.5).contains(&reachable) && retransmit == 0.5, "nobody makes us flood");
}

#[test]
fn the_source_of_a_question_is_the_nearest_address() {
    let mut link = Link::lan();
    let local: Ipv6Addr = "fe80::77".parse().unwrap();
    link.machine.want(link.now, local.into(), None);
    link.machine.want(link.now, HOST6.into(), None);
    let sources: Vec<_> = said(&link.drain())
        .into_iter()
        .map(|said| match said {
            Said::Solicit { source, .. } => source,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sources, [US_LOCAL, US6]);
}

#[test]
fn rfc7048_a_kept_router_that_falls_silent_is_used_on_and_asked_for() {
    let router: Ipv6Addr = "fe80::2".parse().unwrap();
    let mut link = Link::with(Config::new(US, false));
    link.machine.keep(link.now, &[router.into()]);
    link.machine.learn(link.now, router, HOST, true);
    link.drain();
    let outputs = link.run(SECOND * 100);
    let to = |output: &Output| match output {
        Output::Send(frame) => Some(Mac(frame[..6].try_into().unwrap())),
        _ => None,
    };
    let group = Mac([0x33, 0x33, 0xff, 0, 0, 2]);
    let asked: Vec<_> = outputs.iter().filter_map(|(at, o)| Some((at.as_secs(), to(o)?))).collect();
    let expected =
        [(5, HOST), (6, HOST), (7, HOST), (8, group), (9, group), (11, group), (15, group), (23, group), (33, group)];
    assert_eq!(asked[..9], expected);
    assert_eq!(asked.len(), 9 + 6, "ten seconds apart in the end");
    assert_eq!(events(&untimed(outputs)), [Output::Lost(router.into())], "said once");
    assert_eq!((link.machine.get(router.into()), link.state(router)), (Some(HOST), Some(State::Unreachable)));
    // It comes back, in another box: there is nobody to be asked any more.
    let outputs = link.hear(&na(THIEF, router, SOLICITED | OVERRIDE | ROUTER));
    assert_eq!(outputs, [Output::Moved { addr: router.into(), from: HOST, to: THIEF }]);
    assert_eq!(link.state(router), Some(State::Reachable));
    // It comes back as it was.
    link.run(SECOND * 100);
    assert_eq!(link.hear(&na(THIEF, router, SOLICITED | ROUTER)), [Output::Resolved(router.into())]);
    // It is kept no more.
    link.machine.keep(link.now, &[]);
    assert!(untimed(link.run(SECOND * 100)).contains(&Output::Lost(router.into())));
    assert_eq!(link.machine.get(router.into()), None);
}

#[test]
fn a_kept_router_that_was_never_there_is_looked_for_until_it_comes() {
    let mut link = Link::with(Config::new(US, false));
    link.machine.keep(link.now, &[HOST6.into()]);
    let outputs = untimed(link.run(SECOND * 1000));
    assert_eq!(events(&outputs), [Output::Lost(HOST6.into())]);
    assert!((100..110).contains(&said(&outputs).len()), "{}", said(&outputs).len());
    assert_eq!(link.hear(&na(HOST, HOST6, SOLICITED)), [Output::Resolved(HOST6.into())]);
}

#[test]
fn rfc4861_7_2_5_a_router_that_is_none_any_more_is_told_of() {
    let mut link = Link::with(Config::new(US, false));
    link.machine.learn(link.now, HOST6, HOST, true);
    link.drain();
    assert!(link.machine.entries(link.now)[0].router);
    assert_eq!(link.hear(&na(HOST, HOST6, SOLICITED)), [Output::NotRouter(HOST6.into())]);
    assert!(!link.machine.entries(link.now)[0].router);
}

#[test]
fn rfc2464_7_and_rfc1112_6_4_groups_have_their_address_by_rule() {
    let mut link = Link::lan();
    let cases = [
        ("ff02::1:ff12:3456", [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]),
        ("224.128.1.2", [1, 0, 0x5e, 0, 1, 2]),
        ("255.255.255.255", [0xff; 6]),
    ];
    for (addr, mac) in cases {
        let addr = addr.parse().unwrap();
        assert_eq!(link.machine.get(addr), Some(Mac(mac)));
        link.machine.want(link.now, addr, Some(frame(5)));
        assert_eq!(link.drain(), [addressed(5, Mac(mac))]);
    }
    for nobody in ["0.0.0.0", "127.0.0.1", "::", "::1", "192.168.1.1"] {
        link.machine.want(link.now, nobody.parse().unwrap(), Some(frame(5)));
        assert_eq!(link.drain(), [], "{nobody}");
    }
    link.machine.want(link.now, HOST4.into(), Some(vec![1, 2, 3]));
    assert_eq!(link.drain(), [], "no Ethernet header");
    assert_eq!(link.machine.counts().frames_dropped, 6);
}

/// An address of the LAN's, of which there are many.
fn nth(i: u32) -> IpAddr {
    Ipv6Addr::from_bits(US6.to_bits() + (1 << 20) + u128::from(i)).into()
}

#[test]
fn a_scan_does_not_stop_resolutions_that_are_under_way() {
    let mut link = Link::lan();
    for i in 0..10 {
        link.machine.want(link.now, nth(i), Some(frame(i as u8)));
    }
    for i in 10..100_000 {
        link.machine.want(link.now, nth(i), Some(frame(0)));
        link.drain();
    }
    assert_eq!(link.machine.entries(link.now).len(), 1024, "a quarter may be unresolved");
    for i in 0..10 {
        let IpAddr::V6(addr) = nth(i) else { unreachable!() };
        assert!(link.hear(&na(HOST, addr, SOLICITED)).contains(&addressed(i as u8, HOST)));
    }
    assert!(link.machine.counts().solicited <= 510, "and questions are limited");
}

#[test]
fn a_question_put_off_is_asked_later() {
    let mut link = Link::lan();
    for i in 0..900 {
        link.machine.want(link.now, nth(i), None);
    }
    let outputs = untimed(link.run(SECOND * 30));
    assert!(link.machine.counts().solicits_limited > 0);
    assert_eq!(events(&outputs).len(), 900, "all are given up in the end");
    assert_eq!(said(&outputs).len(), 900 * 3, "each after three questions that were sent");
}

#[test]
fn a_table_full_of_strangers_has_room_for_who_is_wanted() {
    let mut link = Link::lan();
    let mut station = 0u32;
    while link.machine.counts().no_room == 0 {
        station += 1;
        let IpAddr::V6(addr) = nth(station) else { unreachable!() };
        link.hear(&na(Mac([2, 1, 0, 0, (station >> 8) as u8, station as u8]), addr, 0));
    }
    assert_eq!(link.machine.entries(link.now).len(), 4096);
    link.machine.want(link.now, HOST4.into(), Some(frame(1)));
    link.drain();
    assert!(link.hear(&arp(HOST, true, HOST4, US4)).contains(&addressed(1, HOST)));
    assert_eq!(link.machine.entries(link.now).len(), 4096);
    // The one that answered outlives those that do not.
    for i in 1..2000 {
        link.machine.want(link.now, nth(1_000_000 + i), None);
    }
    link.drain();
    assert_eq!(link.machine.get(HOST4.into()), Some(HOST));
    assert!(link.machine.entries(link.now).len() <= 4096);
}

#[test]
fn entries_are_for_people_and_machines() {
    let mut link = Link::lan();
    link.machine.want(link.now, HOST4.into(), None);
    link.machine.learn(link.now, HOST6, HOST, true);
    link.run(SECOND * 2);
    let mut entries = link.machine.entries(link.now);
    entries.sort_by_key(|entry| entry.address);
    let expected = [
        Neighbour { address: HOST4.into(), mac: None, state: State::Incomplete, router: false, age: 2 },
        Neighbour { address: HOST6.into(), mac: Some(HOST), state: State::Delay, router: true, age: 2 },
    ];
    assert_eq!(entries, expected);
    assert_eq!(serde_json::to_value(State::Incomplete).unwrap(), "incomplete");
    let ours = serde_json::to_value(link.machine.ours()).unwrap();
    assert_eq!(ours[0], serde_json::json!({"address": "192.168.1.1", "progress": "ready"}));
}
