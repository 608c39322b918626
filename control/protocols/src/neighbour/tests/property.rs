//! Any history: nothing panics, memory is bounded, nobody speaks for others.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 16;

/// One thing that happens. Small numbers stand for addresses and stations, so that they meet.
#[derive(Clone, Debug)]
enum Event {
    Pass(Duration),
    Want(u8, bool),
    Arp {
        from: u8,
        reply: bool,
        sender: u8,
        target: u8,
    },
    Solicit {
        from: u8,
        source: u8,
        target: u8,
    },
    Advert {
        from: u8,
        target: u8,
        flags: u8,
    },
    Detect {
        from: u8,
        target: u8,
    },
    Query {
        first_version: bool,
        code: u16,
    },
    Garbage(Vec<u8>),
    /// The last frame again, with a byte changed.
    Damaged(prop::sample::Index, u8),
    /// The last frame that we sent comes back.
    Loop,
    Keep(Vec<u8>),
    Pin(u8, u8),
    Unpin(u8),
    Learn(u8, u8, bool),
    Addresses(Vec<u8>),
    Announce,
    Timers(u16, u16),
}

fn event() -> impl Strategy<Value = Event> {
    let n = || 0u8..40;
    let station = || 0u8..6;
    prop_oneof![
        4 => (0u64..20_000).prop_map(|millis| Event::Pass(Duration::from_millis(millis))),
        4 => (n(), any::<bool>()).prop_map(|(addr, frame)| Event::Want(addr, frame)),
        4 => (station(), any::<bool>(), n(), n())
            .prop_map(|(from, reply, sender, target)| Event::Arp { from, reply, sender, target }),
        3 => (station(), n(), n()).prop_map(|(from, source, target)| Event::Solicit { from, source, target }),
        4 => (station(), n(), any::<u8>()).prop_map(|(from, target, flags)| Event::Advert { from, target, flags }),
        1 => (station(), n()).prop_map(|(from, target)| Event::Detect { from, target }),
        1 => (any::<bool>(), any::<u16>()).prop_map(|(first_version, code)| Event::Query { first_version, code }),
        1 => prop::collection::vec(any::<u8>(), 0..120).prop_map(Event::Garbage),
        2 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, value)| Event::Damaged(at, value)),
        1 => Just(Event::Loop),
        1 => prop::collection::vec(n(), 0..3).prop_map(Event::Keep),
        1 => (n(), station()).prop_map(|(addr, mac)| Event::Pin(addr, mac)),
        1 => n().prop_map(Event::Unpin),
        1 => (n(), station(), any::<bool>()).prop_map(|(addr, mac, router)| Event::Learn(addr, mac, router)),
        1 => prop::collection::vec(n(), 0..5).prop_map(Event::Addresses),
        1 => Just(Event::Announce),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(reachable, retransmit)| Event::Timers(reachable, retransmit)),
    ]
}

fn station(n: u8) -> Mac {
    if n == 0 { US } else { Mac([2, 0, 0, 0, 1, n]) }
}

fn four(n: u8) -> Ipv4Addr {
    if n == 39 { Ipv4Addr::UNSPECIFIED } else { [192, 168, 1, n].into() }
}

fn six(n: u8) -> Ipv6Addr {
    Ipv6Addr::from_bits(US6.to_bits() & !0xff | u128::from(n))
}

/// Address number `n`, by turns of either family.
fn any_addr(n: u8) -> IpAddr {
    if n.is_multiple_of(2) { four(n).into() } else { six(n).into() }
}

/// A frame that waits, with a number.
fn numbered(number: u32) -> Vec<u8> {
    [&[0; 12][..], &[0x08, 0x00], &number.to_be_bytes(), &[0xab; 30]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_survived(events in prop::collection::vec(event(), 1..150), router: bool) {
        let config = Config { capacity: CAPACITY, dad_delay: SECOND, ..Config::new(US, router) };
        let mut link = Link::bare(config);
        let mut ours = vec![IpAddr::from(four(1)), six(1).into()];
        link.machine.set_addresses(link.now, ours.clone());
        let mut pins = std::collections::HashSet::new();
        let mut kept = Vec::new();
        let (mut wanted, mut emitted) = (HashMap::new(), HashMap::new());
        let (mut last_heard, mut last_sent) = (Vec::new(), Vec::new());
        for event in events {
            let before: HashMap<_, _> = link.machine.usable().collect();
            let generation = link.machine.generation();
            let mut frame = None;
            let mut outputs = Vec::new();
            match event {
                Event::Pass(time) => outputs.extend(untimed(link.run(time))),
                Event::Want(n, with_frame) => {
                    let waiting = with_frame.then(|| {
                        let number = wanted.len() as u32;
                        wanted.insert(number, any_addr(n));
                        numbered(number)
                    });
                    link.machine.want(link.now, any_addr(n), waiting);
                }
                Event::Arp { from, reply, sender, target } => {
                    frame = Some(arp(station(from), reply, four(sender), four(target)));
                }
                Event::Solicit { from, source, target } => frame = Some(ns(station(from), six(source), six(target))),
                Event::Advert { from, target, flags } => frame = Some(na(station(from), six(target), flags)),
                Event::Detect { from, target } => frame = Some(dad_ns(station(from), six(target), &[])),
                Event::Query { first_version, code } => {
                    let body = [&[0u8; 16][..], if first_version { &[] } else { &[2, 125, 0, 0] }].concat();
                    let [high, low] = code.to_be_bytes();
                    let from: Ipv6Addr = "fe80::9".parse().unwrap();
                    frame = Some(icmp6(station(2), 1, (from, ALL_NODES), 130, 0, [high, low, 0, 0], &body));
                }
                Event::Garbage(bytes) => frame = Some(bytes),
                Event::Damaged(at, value) => {
                    let mut bytes: Vec<u8> = std::mem::take(&mut last_heard);
                    if !bytes.is_empty() {
                        let at = at.index(bytes.len());
                        bytes[at] = value;
                    }
                    frame = Some(bytes);
                }
                Event::Loop => frame = Some(std::mem::take(&mut last_sent)),
                Event::Keep(list) => {
                    kept = list.into_iter().map(any_addr).collect();
                    link.machine.keep(link.now, &kept);
                }
                Event::Pin(addr, mac) => {
                    pins.insert(any_addr(addr));
                    link.machine.pin(link.now, any_addr(addr), station(mac));
                }
                Event::Unpin(addr) => link.machine.unpin(link.now, any_addr(addr)),
                Event::Learn(addr, mac, router) => link.machine.learn(link.now, six(addr), station(mac), router),
                Event::Addresses(list) => {
                    ours = list.into_iter().map(any_addr).collect();
                    link.machine.set_addresses(link.now, ours.clone());
                }
                Event::Announce => link.machine.announce(link.now),
                Event::Timers(reachable, retransmit) => link.machine.set_timers(
                    Duration::from_millis(reachable.into()),
                    Duration::from_millis(retransmit.into()),
                ),
            }
            let heard = frame.is_some();
            if let Some(frame) = frame {
                let frames = if link.machine.handle_input(link.now, &frame) { link.drain() } else { Vec::new() };
                // The work for one frame is bounded.
                prop_assert!(frames.len() < 200, "{}", frames.len());
                outputs.extend(frames);
                last_heard = frame;
            }
            outputs.extend(link.drain());
            for output in &outputs {
                let Output::Send(frame) = output else { continue };
                last_sent = frame.clone();
                match understand(frame) {
                    // We speak for nobody but ourselves.
                    Said::Arp { reply: true, mac, sender, .. } => {
                        prop_assert!(heard && mac == US && ours.contains(&sender.into()));
                    }
                    Said::Arp { sender, .. } => {
                        prop_assert!(sender.is_unspecified() || ours.contains(&sender.into()));
                    }
                    Said::Advert { source, target, options, .. } => {
                        prop_assert!(source == target && ours.contains(&target.into()));
                        prop_assert_eq!(options, lladdr(2, US));
                    }
                    Said::Solicit { source, .. } => {
                        prop_assert!(source.is_unspecified() || ours.contains(&source.into()));
                    }
                    Said::Report { .. } => {}
                    Said::Frame(frame) => {
                        let number = u32::from_be_bytes(frame[14..18].try_into().unwrap());
                        prop_assert!(wanted.contains_key(&number) && frame[18..] == [0xab; 30]);
                        let times: &mut u32 = emitted.entry(number).or_default();
                        *times += 1;
                        prop_assert_eq!(*times, 1, "a frame leaves once");
                    }
                }
            }
            // Bounded, whatever came.
            let entries = link.machine.entries(link.now);
            prop_assert!(entries.len() <= CAPACITY + pins.len() + kept.len());
            let usable: HashMap<_, _> = link.machine.usable().collect();
            prop_assert!(usable == before || link.machine.generation() != generation);
            for (addr, mac) in usable {
                prop_assert!(!ours.contains(&addr) && mac != US && !mac.is_group() && mac != Mac::default());
                prop_assert_eq!(link.machine.get(addr), Some(mac));
            }
            prop_assert_eq!(link.machine.counts().overflowed, 0);
            // What is due has been done.
            prop_assert!(link.machine.poll_timeout().is_none_or(|due| due > link.now));
        }
        let counts = link.machine.counts();
        let waiting = wanted.len() as u64 - emitted.len() as u64 - counts.frames_dropped;
        prop_assert!(waiting <= link.machine.entries(link.now).len() as u64, "each frame left, waits or was counted");
    }

    /// A host that answers is found, and stays, whatever two thirds of loss and all the others do.
    #[test]
    fn a_host_that_answers_is_found(
        noise in prop::collection::vec(event(), 60),
        lost in prop::collection::vec(0u8..3, 60),
        v6: bool,
    ) {
        let addr = if v6 { IpAddr::from(HOST6) } else { HOST4.into() };
        let mut link = Link::lan();
        let mut answers = 0;
        for (event, lost) in noise.into_iter().zip(lost) {
            link.machine.want(link.now, addr, None);
            let mut outputs = untimed(link.run(Duration::from_millis(700)));
            match event {
                // Of other addresses: who may claim this one, the other tests say.
                Event::Arp { from, reply, sender, target } => {
                    outputs.extend(link.hear(&arp(station(from.max(1)), reply, four(sender.max(20)), four(target))));
                }
                Event::Advert { from, target, flags } if target != 1 => {
                    outputs.extend(link.hear(&na(station(from.max(1)), six(target), flags)));
                }
                Event::Garbage(bytes) => {
                    link.machine.handle_input(link.now, &bytes);
                }
                Event::Want(n, _) => link.machine.want(link.now, any_addr(n.max(20)), None),
                _ => {}
            }
            outputs.extend(link.drain());
            let asked = said(&outputs).into_iter().any(|said| match said {
                Said::Arp { reply: false, sender: US4, target: HOST4, .. } => !v6,
                Said::Solicit { target: HOST6, .. } => v6,
                _ => false,
            });
            if asked && lost == 0 {
                answers += 1;
                let frame = if v6 { na(HOST, HOST6, SOLICITED | OVERRIDE) } else { arp(HOST, true, HOST4, US4) };
                link.hear(&frame);
                prop_assert_eq!(link.machine.get(addr), Some(HOST));
            }
        }
        prop_assert!(answers > 0 || link.machine.get(addr).is_none());
    }
}
