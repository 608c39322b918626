//! Our addresses: asked for, announced, answered for, defended.

use super::*;
use crate::neighbour::Progress;

/// A WAN without delays, so that times are exact.
fn line() -> Config {
    Config { dad_delay: Duration::ZERO, ..Config::new(US, false) }
}

fn own_nonce(said: &[Said]) -> [u8; 6] {
    let options = said.iter().find_map(|said| match said {
        Said::Solicit { source, options, .. } if source.is_unspecified() => Some(options),
        _ => None,
    });
    let options = options.expect("a question was asked");
    assert_eq!(options[..2], [14, 1]);
    options[2..].try_into().unwrap()
}

#[test]
fn rfc4862_5_4_2_an_address_is_asked_for_then_used() {
    let mut link = Link::bare(line());
    link.machine.set_addresses(link.now, vec![US6.into()]);
    let first = link.drain();
    let group = solicited_node(US6);
    let asked = said(&first).into_iter().find(|said| matches!(said, Said::Solicit { .. })).unwrap();
    let Said::Solicit { to, source, destination, target, options } = asked else { unreachable!() };
    assert_eq!(
        (to, source, destination, target),
        (Mac([0x33, 0x33, 0xff, 0, 0, 1]), Ipv6Addr::UNSPECIFIED, group, US6)
    );
    assert_eq!(options.len(), 8, "a nonce, and no link-layer address");
    assert_eq!(link.machine.progress(US6.into()), Some(Progress::Tentative));
    // RFC 4862 5.4.3: not answered for while tentative, and not used to ask from.
    assert_eq!(said(&link.hear(&ns(HOST, HOST6, US6))), []);
    let rest = link.run(SECOND * 10);
    let ready = rest.iter().find(|(_, output)| *output == Output::Ready(US6.into())).unwrap();
    assert_eq!(ready.0, SECOND, "RetransTimer after the only question");
    assert_eq!(link.machine.progress(US6.into()), Some(Progress::Ready));
}

#[test]
fn rfc9131_6_1_1_a_host_tells_the_routers() {
    let mut link = Link::bare(line());
    link.machine.set_addresses(link.now, vec![US6.into()]);
    let outputs = link.run(SECOND * 10);
    let all_routers: Ipv6Addr = "ff02::2".parse().unwrap();
    let told = |(at, output): &(Duration, Output)| match output {
        Output::Send(frame) => match understand(frame) {
            said @ Said::Advert { .. } => Some((at.as_secs(), said)),
            _ => None,
        },
        _ => None,
    };
    let expected = Said::Advert {
        to: Mac([0x33, 0x33, 0, 0, 0, 2]),
        source: US6,
        destination: all_routers,
        target: US6,
        flags: 0,
        options: lladdr(2, US),
    };
    let told: Vec<_> = outputs.iter().filter_map(told).collect();
    assert_eq!(told, [(1, expected.clone()), (2, expected.clone()), (3, expected)]);
}

#[test]
fn rfc4861_7_2_6_a_router_tells_all() {
    let mut link = Link::bare(Config { router: true, ..line() });
    link.machine.set_addresses(link.now, vec![US6.into()]);
    let outputs = untimed(link.run(SECOND * 10));
    let adverts: Vec<_> = said(&outputs)
        .into_iter()
        .filter_map(|said| match said {
            Said::Advert { to, destination, flags, .. } => Some((to, destination, flags)),
            _ => None,
        })
        .collect();
    assert_eq!(adverts, [(Mac([0x33, 0x33, 0, 0, 0, 1]), ALL_NODES, ROUTER | OVERRIDE); 3]);
    link.machine.announce(link.now);
    assert_eq!(said(&untimed(link.run(SECOND * 10))).len(), 3, "and once more when told to");
}

#[test]
fn rfc4862_5_1_transmits_can_be_more_or_none() {
    for (dad_transmits, seconds) in [(0, 0), (1, 1), (3, 3)] {
        let mut link = Link::bare(Config { dad_transmits, ..line() });
        link.machine.set_addresses(link.now, vec![US6.into()]);
        let outputs = link.run(SECOND * 10);
        let ready = outputs.iter().find(|(_, output)| *output == Output::Ready(US6.into())).unwrap();
        assert_eq!(ready.0, SECOND * seconds);
    }
}

#[test]
fn rfc4862_5_4_2_the_first_question_is_delayed() {
    let mut delays = Vec::new();
    for _ in 0..50 {
        let mut link = Link::bare(Config::new(US, false));
        link.machine.set_addresses(link.now, vec![US6.into()]);
        let outputs = link.run(SECOND * 10);
        let asks = |(_, output): &&(Duration, Output)| match output {
            Output::Send(frame) => matches!(understand(frame), Said::Solicit { .. }),
            _ => false,
        };
        delays.push(outputs.iter().find(asks).unwrap().0);
    }
    assert!(delays.iter().all(|&delay| delay <= SECOND));
    delays.sort();
    delays.dedup();
    assert!(delays.len() > 40, "and at random");
}

#[test]
fn rfc4862_5_4_4_an_advertisement_makes_it_a_duplicate() {
    let mut link = Link::bare(line());
    link.machine.set_addresses(link.now, vec![US6.into()]);
    link.drain();
    let outputs = link.hear(&na(HOST, US6, OVERRIDE));
    assert_eq!(outputs, [Output::Duplicate { addr: US6.into(), mac: HOST }]);
    assert_eq!(link.machine.progress(US6.into()), Some(Progress::Duplicate));
    assert_eq!(link.machine.get(US6.into()), None, "nor is it a neighbour");
    assert_eq!(said(&link.hear(&ns(HOST, HOST6, US6))), [], "it is not answered for");
    // Not before a minute, and then it is asked for again; and now it is free.
    let events = events(&untimed(link.run(SECOND * 59)));
    assert_eq!(events, []);
    let later = link.run(SECOND * 60);
    assert!(later.iter().any(|(_, output)| *output == Output::Ready(US6.into())));
}

#[test]
fn rfc4862_5_4_3_another_who_asks_makes_it_a_duplicate_for_both() {
    let mut link = Link::bare(line());
    link.machine.set_addresses(link.now, vec![US6.into()]);
    link.drain();
    assert_eq!(link.hear(&dad_ns(HOST, US6, &[])), [Output::Duplicate { addr: US6.into(), mac: HOST }]);
}

#[test]
fn rfc7527_4_2_a_loop_is_not_a_duplicate_but_a_twin_with_our_mac_is() {
    let mut link = Link::bare(line());
    link.machine.set_addresses(link.now, vec![US6.into()]);
    let ours = own_nonce(&said(&link.drain()));
    for looped in [dad_ns(US, US6, &nonce(ours)), dad_ns(HOST, US6, &nonce(ours))] {
        assert_eq!(link.hear(&looped), [], "our own nonce");
    }
    assert_eq!(link.machine.counts().own, 2);
    // The loop may be slow: not even we are answered then.
    let mut slow = Link::bare(line());
    slow.machine.set_addresses(slow.now, vec![US6.into()]);
    let outputs = untimed(slow.run(SECOND * 5));
    let late = own_nonce(&said(&outputs));
    assert_eq!(
        (slow.machine.progress(US6.into()), slow.hear(&dad_ns(US, US6, &nonce(late)))),
        (Some(Progress::Ready), vec![])
    );
    // Ours have a nonce always.
    for twin in [dad_ns(US, US6, &nonce(ours.map(|b| b ^ 1))), dad_ns(US, US6, &[])] {
        let mut link = Link::bare(line());
        link.machine.set_addresses(link.now, vec![US6.into()]);
        link.drain();
        assert_eq!(link.hear(&twin), [Output::Duplicate { addr: US6.into(), mac: US }]);
    }
}

/// An address that we only ask for is in no frame of ours but the questions: whoever uses it is another, be it with our
/// Ethernet address (a copied virtual machine).
#[test]
fn rfc4862_5_4_4_a_twin_that_has_a_tentative_address_is_a_duplicate() {
    let uses: [(IpAddr, Vec<u8>); 5] = [
        (US6.into(), na(US, US6, OVERRIDE)),
        (US6.into(), na(US, US6, SOLICITED)),
        (US6.into(), ns(US, US6, HOST6)),
        (US4.into(), arp(US, true, US4, HOST4)),
        (US4.into(), arp(US, false, US4, US4)),
    ];
    for (addr, frame) in uses {
        let mut link = Link::bare(line());
        link.machine.set_addresses(link.now, vec![addr]);
        link.drain();
        assert_eq!(link.hear(&frame), [Output::Duplicate { addr, mac: US }]);
    }
}

#[test]
fn rfc4862_5_4_3_detection_of_our_address_is_answered_to_all() {
    let mut link = Link::lan();
    let answers = said(&link.hear(&dad_ns(HOST, US6, &nonce([1, 2, 3, 4, 5, 6]))));
    let expected = Said::Advert {
        to: Mac([0x33, 0x33, 0, 0, 0, 1]),
        source: US6,
        destination: ALL_NODES,
        target: US6,
        flags: ROUTER | OVERRIDE,
        options: lladdr(2, US),
    };
    assert_eq!(answers, [expected]);
    assert_eq!(link.machine.usable().count(), 0, "nobody is learned from an unspecified source");
}

#[test]
fn rfc4861_7_2_4_solicitations_of_our_addresses_are_answered() {
    let mut link = Link::lan();
    let expected = |target| Said::Advert {
        to: HOST,
        source: target,
        destination: HOST6,
        target,
        flags: ROUTER | SOLICITED | OVERRIDE,
        options: lladdr(2, US),
    };
    for target in [US6, US_LOCAL] {
        assert_eq!(said(&link.hear(&ns(HOST, HOST6, target))), [expected(target)]);
    }
    // RFC 4861 7.3.3: a neighbour's probe, unicast and without the option.
    let probe = icmp6(HOST, 255, (HOST6, US6), 135, 0, [0; 4], &US6.octets());
    assert_eq!(said(&link.hear(&probe)), [expected(US6)]);
    assert_eq!(said(&link.hear(&ns(HOST, HOST6, "2001:db8:0:1::2".parse().unwrap()))), [], "nobody else's");
    // On the line we are a host.
    let mut line = Link::with(Config::new(US, false));
    let answers = said(&line.hear(&ns(HOST, HOST6, US6)));
    assert!(matches!(answers[..], [Said::Advert { flags, .. }] if flags == SOLICITED | OVERRIDE), "{answers:?}");
}

#[test]
fn rfc5227_2_1_1_and_2_3_probes_then_announcements() {
    let mut link = Link::bare(Config::new(US, true));
    link.machine.set_addresses(link.now, vec![US4.into()]);
    let outputs = link.run(SECOND * 10);
    let arp_of = |sender| Said::Arp {
        to: Mac::BROADCAST,
        reply: false,
        mac: US,
        sender,
        target_mac: Mac::default(),
        target: US4,
    };
    let frames: Vec<_> =
        said(&untimed(outputs.clone())).into_iter().filter(|s| matches!(s, Said::Arp { .. })).collect();
    let probe = arp_of(Ipv4Addr::UNSPECIFIED);
    let announcement = arp_of(US4);
    assert_eq!(frames, [probe.clone(), probe.clone(), probe, announcement.clone(), announcement]);
    let ready = outputs.iter().find(|(_, output)| *output == Output::Ready(US4.into())).unwrap();
    assert!(ready.0 < SECOND, "hosts wait for their router");
}

#[test]
fn rfc5227_2_1_1_a_conflict_while_probing() {
    // Somebody uses it, in a request or in a reply; or somebody wants it as we do.
    for frame in [
        arp(HOST, true, US4, Ipv4Addr::UNSPECIFIED),
        arp(HOST, false, US4, HOST4),
        arp(HOST, false, Ipv4Addr::UNSPECIFIED, US4),
    ] {
        let mut link = Link::bare(Config::new(US, true));
        link.machine.set_addresses(link.now, vec![US4.into()]);
        link.drain();
        assert_eq!(link.hear(&frame), [Output::Duplicate { addr: US4.into(), mac: HOST }]);
        assert_eq!(said(&link.hear(&arp(HOST, false, HOST4, US4))), []);
    }
}

#[test]
fn rfc5227_2_1_1_a_probe_for_our_address_is_answered() {
    let mut link = Link::lan();
    let answers = said(&link.hear(&arp(HOST, false, Ipv4Addr::UNSPECIFIED, US4)));
    let zero = Ipv4Addr::UNSPECIFIED;
    assert_eq!(answers, [Said::Arp { to: HOST, reply: true, mac: US, sender: US4, target_mac: HOST, target: zero }]);
    assert_eq!(link.machine.usable().count(), 0);
}

#[test]
fn rfc5227_2_4_our_address_is_defended_every_ten_seconds_at_most() {
    let mut link = Link::lan();
    let claim = arp(THIEF, false, US4, HOST4);
    let defence =
        Said::Arp { to: Mac::BROADCAST, reply: false, mac: US, sender: US4, target_mac: Mac::default(), target: US4 };
    let mut defences = 0;
    for second in 0..25 {
        let outputs = link.hear(&claim);
        if second % 10 == 0 {
            assert_eq!(events(&outputs), [Output::Conflict { addr: US4.into(), mac: THIEF }]);
            assert_eq!(said(&outputs), std::slice::from_ref(&defence));
            defences += 1;
        } else {
            assert_eq!(outputs, []);
        }
        link.run(SECOND);
    }
    assert_eq!((defences, link.machine.counts().conflicts), (3, 25));
    assert_eq!(link.machine.progress(US4.into()), Some(Progress::Ready));
    assert_eq!(link.machine.get(US4.into()), None);
}

#[test]
fn rfc4861_7_2_6_our_ipv6_address_is_defended() {
    // On the line as well, where announcements go to routers only.
    for router in [true, false] {
        let mut link = Link::with(Config::new(US, router));
        let outputs = link.hear(&na(THIEF, US6, OVERRIDE));
        assert_eq!(events(&outputs), [Output::Conflict { addr: US6.into(), mac: THIEF }]);
        let sent = said(&outputs);
        let all = |flags: u8| flags & !ROUTER == OVERRIDE;
        assert!(
            matches!(sent[..], [Said::Advert { destination: ALL_NODES, target: US6, flags, .. }] if all(flags)),
            "{sent:?}"
        );
        // A solicitation from our address is a use of it too.
        link.run(SECOND * 10);
        assert_eq!(events(&link.hear(&ns(THIEF, US6, HOST6))), [Output::Conflict { addr: US6.into(), mac: THIEF }]);
    }
}

#[test]
fn addresses_come_and_go() {
    let mut link = Link::lan();
    let new: Ipv6Addr = "2001:db8:0:2::1".parse().unwrap();
    link.machine.set_addresses(link.now, vec![US4.into(), new.into(), US_LOCAL.into()]);
    assert_eq!(link.machine.progress(US4.into()), Some(Progress::Ready), "what stays is not asked for again");
    assert_eq!(link.machine.progress(US6.into()), None);
    assert_eq!(said(&link.hear(&ns(HOST, HOST6, US6))), []);
    assert!(untimed(link.run(SECOND * 5)).contains(&Output::Ready(new.into())));
    let listed: Vec<_> = link.machine.ours().iter().map(|ours| ours.address).collect();
    assert_eq!(listed, [IpAddr::from(US4), US_LOCAL.into(), new.into()]);
}

#[test]
fn a_storm_of_questions_gets_few_answers() {
    let mut link = Link::lan();
    let question = ns(HOST, HOST6, US6);
    let answers = (0..10_000).map(|_| said(&link.hear(&question)).len()).sum::<usize>();
    assert_eq!(answers, 25);
    assert_eq!(link.machine.counts().answers_limited, 10_000 - 25);
    link.run(SECOND);
    assert_eq!(said(&link.hear(&question)).len(), 1);
}

/// A line whose address is used while it is asked for.
fn optimistic() -> Link {
    let mut link = Link::bare(line());
    link.machine.set_optimistic(vec![US6]);
    link.machine.set_addresses(link.now, vec![US6.into()]);
    link.drain();
    link
}

/// RFC 4429 3.3: answered for without the override flag, to those who ask; nobody is asked from it; and an ordinary
/// address a second later.
#[test]
fn rfc4429_3_3_an_optimistic_address_disturbs_nobody() {
    let mut link = optimistic();
    assert_eq!(link.machine.progress(US6.into()), Some(Progress::Optimistic));
    let answers = said(&link.hear(&ns(HOST, HOST6, US6)));
    assert!(matches!(answers[..], [Said::Advert { to: HOST, flags: SOLICITED, .. }]), "{answers:?}");
    let neighbour: Ipv6Addr = "2001:db8::77".parse().unwrap();
    link.machine.want(link.now, neighbour.into(), None);
    assert_eq!(said(&link.drain()), [], "whoever has it would be asked in its name");
    let later = link.run(SECOND);
    assert!(later.contains(&(SECOND, Output::Ready(US6.into()))));
    let asked = said(&untimed(later));
    let is_asked = |said: &Said| matches!(said, Said::Solicit { source: US6, target, .. } if *target == neighbour);
    assert!(asked.iter().any(is_asked), "as soon as there is an address to ask from: {asked:?}");
    let answers = said(&link.hear(&ns(HOST, HOST6, US6)));
    assert!(matches!(answers[..], [Said::Advert { flags, .. }] if flags == SOLICITED | OVERRIDE), "{answers:?}");
}

/// Whoever has it, or wants it too, gets it: as with any address that is only asked for. Our own answers may come back.
#[test]
fn rfc4429_3_3_an_optimistic_address_that_is_anothers() {
    let uses = [(na(HOST, US6, OVERRIDE), HOST), (dad_ns(HOST, US6, &[]), HOST), (ns(HOST, US6, HOST6), HOST)];
    for (frame, mac) in uses.into_iter().chain([(na(US, US6, OVERRIDE), US)]) {
        let mut link = optimistic();
        assert_eq!(link.hear(&frame), [Output::Duplicate { addr: US6.into(), mac }]);
        // Asked for again, it is used only once it is known to be free.
        link.run(SECOND * 91);
        assert_ne!(link.machine.progress(US6.into()), Some(Progress::Optimistic));
    }
    let mut link = optimistic();
    assert_eq!((link.hear(&na(US, US6, SOLICITED)), link.machine.counts().own), (vec![], 1));
}
