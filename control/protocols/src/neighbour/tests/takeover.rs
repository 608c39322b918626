//! Nobody takes a neighbour's address unnoticed, and a replaced card is found within seconds.

use super::*;
use crate::neighbour::State;

/// A link on which HOST has answered for both of its addresses, a while ago.
fn settled() -> Link {
    let mut link = Link::lan();
    for addr in [IpAddr::from(HOST4), HOST6.into()] {
        link.machine.want(link.now, addr, None);
    }
    link.drain();
    link.hear(&arp(HOST, true, HOST4, US4));
    link.hear(&na(HOST, HOST6, SOLICITED | OVERRIDE));
    link.run(SECOND * 2);
    assert_eq!((link.state(HOST4), link.state(HOST6)), (Some(State::Reachable), Some(State::Reachable)));
    link
}

/// Every way to say that an address of HOST's is at `mac`.
fn claims(mac: Mac) -> Vec<(IpAddr, Vec<u8>)> {
    vec![
        (HOST4.into(), arp(mac, true, HOST4, US4)),
        (HOST4.into(), arp(mac, false, HOST4, US4)),
        (HOST4.into(), arp(mac, false, HOST4, HOST4)),
        (HOST6.into(), na(mac, HOST6, OVERRIDE)),
        (HOST6.into(), na(mac, HOST6, SOLICITED | OVERRIDE)),
        (HOST6.into(), ns(mac, HOST6, US6)),
    ]
}

fn answer(mac: Mac, addr: IpAddr) -> Vec<u8> {
    if addr.is_ipv4() { arp(mac, true, HOST4, US4) } else { na(mac, HOST6, SOLICITED) }
}

#[test]
fn a_claim_is_refused_when_the_holder_answers() {
    for (addr, claim) in claims(THIEF) {
        let mut link = settled();
        let generation = link.machine.generation();
        let outputs = link.hear(&claim);
        assert_eq!(link.machine.get(addr), Some(HOST), "not believed at once");
        let asked = outputs.iter().any(|output| matches!(output, Output::Send(frame) if frame[..6] == HOST.0));
        assert!(asked, "the holder is asked, by unicast");
        let outputs = link.hear(&answer(HOST, addr));
        assert_eq!(outputs, [Output::Claimed { addr, holder: HOST, by: THIEF }]);
        assert_eq!((link.machine.get(addr), link.state(addr)), (Some(HOST), Some(State::Reachable)));
        assert_eq!(link.machine.generation(), generation);
        // The thief goes on. The holder is not bothered for every claim, nor is the log.
        for _ in 0..100 {
            assert_eq!(events(&link.hear(&claim)), []);
        }
        assert_eq!((link.state(addr), link.machine.counts().claims_ignored), (Some(State::Reachable), 100));
    }
}

#[test]
fn a_replaced_card_is_in_use_after_three_seconds() {
    let new = Mac([2, 0, 0, 0, 0, 0x99]);
    for (addr, claim) in claims(new) {
        let mut link = settled();
        let first = link.hear(&claim);
        assert_eq!(events(&first), []);
        let outputs = link.run(SECOND * 4);
        let moved = outputs.iter().find(|(_, o)| *o == Output::Moved { addr, from: HOST, to: new });
        assert_eq!(moved.expect("the claim wins").0, SECOND * 3);
        assert_eq!((link.machine.get(addr), link.state(addr)), (Some(new), Some(State::Delay)));
        // And must answer itself, like everybody.
        let outputs = untimed(link.run(SECOND * 10));
        assert!(outputs.contains(&Output::Lost(addr)));
    }
}

#[test]
fn two_claims_then_silence_the_last_one_wins() {
    let other = Mac([2, 0, 0, 0, 0, 0x98]);
    let mut link = settled();
    link.hear(&arp(THIEF, true, HOST4, US4));
    link.hear(&arp(other, true, HOST4, US4));
    assert!(untimed(link.run(SECOND * 4)).contains(&Output::Moved { addr: HOST4.into(), from: HOST, to: other }));
}

#[test]
fn rfc4861_7_2_5_without_the_override_flag_a_claim_only_makes_us_ask() {
    let mut link = settled();
    let outputs = link.hear(&na(THIEF, HOST6, SOLICITED));
    assert!(matches!(said(&outputs)[..], [Said::Solicit { to: HOST, .. }]));
    let outputs = untimed(link.run(SECOND * 4));
    assert_eq!(events(&outputs), [Output::Lost(HOST6.into())], "it gains nothing by it");
}

#[test]
fn two_answers_to_one_question_are_told_of() {
    let mut link = Link::lan();
    link.machine.want(link.now, HOST4.into(), None);
    link.drain();
    link.hear(&arp(HOST, true, HOST4, US4));
    link.hear(&arp(THIEF, true, HOST4, US4));
    let outputs = link.hear(&arp(HOST, true, HOST4, US4));
    assert_eq!(outputs, [Output::Claimed { addr: HOST4.into(), holder: HOST, by: THIEF }]);
}

#[test]
fn a_pinned_address_is_one_stations_only() {
    let mut link = Link::lan();
    link.machine.pin(link.now, HOST4.into(), HOST);
    link.machine.pin(link.now, HOST6.into(), HOST);
    assert_eq!(link.drain(), [Output::Resolved(HOST4.into()), Output::Resolved(HOST6.into())]);
    for (addr, claim) in claims(THIEF) {
        link.run(SECOND * 3601);
        let told = events(&link.hear(&claim));
        assert_eq!(told, [Output::Claimed { addr, holder: HOST, by: THIEF }]);
        link.run(SECOND * 11);
        assert_eq!(events(&link.hear(&claim)), [], "the same station is told of every hour");
        assert_eq!((link.machine.get(addr), link.state(addr)), (Some(HOST), Some(State::Pinned)));
    }
    assert_eq!(said(&untimed(link.run(SECOND * 1000))), [], "it is never asked");
    assert_eq!(link.machine.counts().claims_refused, 12);
    // A lease that goes to another station.
    link.machine.pin(link.now, HOST4.into(), THIEF);
    assert_eq!(link.drain(), [Output::Moved { addr: HOST4.into(), from: HOST, to: THIEF }]);
    // A lease that ends.
    link.machine.unpin(link.now, HOST4.into());
    assert_eq!(link.machine.get(HOST4.into()), Some(THIEF));
    assert!(untimed(link.run(SECOND * 20)).contains(&Output::Lost(HOST4.into())));
}

#[test]
fn pins_are_made_in_a_full_table_and_stay() {
    let mut link = Link::with(Config { capacity: 8, ..Config::new(US, true) });
    let addr = |i: u8| IpAddr::from([192, 168, 1, 100 + i]);
    for i in 0..20 {
        link.machine.pin(link.now, addr(i), HOST);
    }
    for i in 0..100 {
        link.machine.want(link.now, IpAddr::from([10, 0, 0, i]), None);
        link.hear(&arp(THIEF, false, [192, 168, 1, i].into(), US4));
    }
    assert!((0..20).all(|i| link.machine.get(addr(i)) == Some(HOST)));
}

/// A router that advertises one Ethernet address and answers from another: it is used where it answers, and that it is
/// odd is said once an hour.
#[test]
fn two_addresses_of_one_router_are_no_news_for_ever() {
    let mut link = Link::with(Config::new(US, false));
    let router: Ipv6Addr = "fe80::2".parse().unwrap();
    link.machine.learn(link.now, router, HOST, true);
    let mut told = Vec::new();
    for round in 0..700 {
        link.machine.learn(link.now, router, THIEF, true);
        for output in link.drain() {
            if matches!(&output, Output::Send(frame) if frame[..6] == HOST.0) {
                let answers = link.hear(&na(HOST, router, ROUTER | SOLICITED | OVERRIDE));
                told.extend(events(&answers).into_iter().map(|event| (round, event)));
            }
        }
        let later = untimed(link.run(SECOND * 10));
        assert_eq!(events(&later), []);
        assert_eq!(link.machine.get(router.into()), Some(HOST));
    }
    let told_of: Vec<_> = told.iter().map(|(round, _)| round).collect();
    assert_eq!(told_of, [&0, &360], "{told:?}");
}

#[test]
fn learn_does_not_take_over_either() {
    let mut link = Link::with(Config::new(US, false));
    let router: Ipv6Addr = "fe80::2".parse().unwrap();
    link.machine.learn(link.now, router, HOST, true);
    link.machine.learn(link.now, router, THIEF, true);
    assert_eq!(link.machine.get(router.into()), Some(HOST));
    for nobody in [Mac::BROADCAST, Mac::default(), US] {
        link.machine.learn(link.now, HOST6, nobody, true);
    }
    link.machine.learn(link.now, US6, THIEF, true);
    assert_eq!((link.machine.get(HOST6.into()), link.machine.get(US6.into())), (None, None));
}
