//! Several workers on one tunnel: whatever a packet is, its flow has one worker, packets of a flow leave in
//! the order in which they would leave from one worker alone, and nothing is lost on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::*;
use crate::several::Several;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::{BurstReport, Config, Idle, Worker};
use proptest::prelude::*;

/// How a packet comes through the tunnel.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Plain,
    Options,
    /// A tunnel packet whose outer header says that congestion was met.
    Marked,
    OuterPieces,
    InnerPieces,
    /// The first one last. With NAPT a router waits for it anyway.
    InnerPiecesReversed,
    NoPorts,
}

#[derive(Clone, Debug)]
enum Step {
    /// A packet of a flow.
    Packet(u8, Shape),
    Turn(u8),
}

const FLOWS: u8 = 12;

fn step() -> impl Strategy<Value = Step> {
    let shape = prop_oneof![
        6 => Just(Shape::Plain),
        1 => Just(Shape::Options),
        1 => Just(Shape::Marked),
        2 => Just(Shape::OuterPieces),
        2 => Just(Shape::InnerPieces),
        2 => Just(Shape::InnerPiecesReversed),
        1 => Just(Shape::NoPorts),
    ];
    prop_oneof![
        3 => (0..FLOWS, shape).prop_map(|(flow, shape)| Step::Packet(flow, shape)),
        1 => any::<u8>().prop_map(Step::Turn),
    ]
}

/// Both ends of a flow, inside and outside.
fn ends(flow: u8) -> (End, End) {
    ((CLIENT, 40000 + u16::from(flow)), ([203, 0, 113, flow % 3 + 1], 443 + u16::from(flow / 3)))
}

fn question(flow: u8) -> Packet {
    let (inside, peer) = ends(flow);
    udp(inside, peer, b"open")
}

/// Frames of packet number `number`.
fn frames(napt: bool, flow: u8, shape: Shape, number: u16) -> Vec<Vec<u8>> {
    let (inside, peer) = ends(flow);
    let to = if napt { (OUTSIDE, inside.1) } else { inside };
    let payload = [&number.to_be_bytes()[..], &bytes(100)].concat();
    let packet = udp(peer, to, &payload).id(number);
    let reversed = |mut frames: Vec<Vec<u8>>| {
        frames.reverse();
        frames
    };
    let pieces = || packet.fragments(20 + 56).iter().map(from_wan).collect::<Vec<_>>();
    match shape {
        Shape::Plain => vec![from_wan(&packet)],
        Shape::Options => vec![from_wan(&packet.options(&[1, 1, 1, 0]))],
        Shape::Marked => vec![from_wan_class(&packet.tos(2), 3)],
        Shape::OuterPieces => from_wan_pieces(&packet, 64, number.into()),
        Shape::InnerPieces => pieces(),
        Shape::InnerPiecesReversed if napt => reversed(pieces()),
        Shape::NoPorts if !napt => vec![from_wan(&raw(peer.0, to.0, 47, payload).id(number))],
        Shape::InnerPiecesReversed | Shape::NoPorts => vec![from_wan(&packet)],
    }
}

/// What identifies a packet's flow, fragments and all: everything here has an identification of its own.
type Order = BTreeMap<u8, Vec<Vec<u8>>>;

fn by_flow(sent: &[u8], left: impl IntoIterator<Item = Vec<u8>>) -> Order {
    let mut order = Order::new();
    for frame in left {
        let number = plain(&frame).header.identification;
        order.entry(sent[number as usize]).or_default().push(frame);
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_of_a_flow_leave_as_from_one_worker(
        napt: bool,
        n in 2usize..5,
        batch in prop::sample::select(vec![1usize, 3, 256]),
        fast: bool,
        keep_flows in prop::option::of(0u8..=100),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let setup = Setup {
            napt, batch, fast, slots: 512, mtu: MtuMode::Fragment { mtu: 1500 },
            filtering: Filtering::AddressAndPortDependent, ..Setup::ipip()
        };
        let mut one = Router::new(&setup);
        let config = Config { fast, batch, keep_flows, ..Default::default() };
        let mut several = Several::with(&setup, n, 512, config);
        for flow in 0..FLOWS {
            one.lan(from_lan(&question(flow)));
            prop_assert!(several.wires[flow as usize % n][0].deliver(&from_lan(&question(flow))));
        }
        several.settle();
        several.left(WAN);
        // By number, the flow: GRE between two addresses is one, whatever ports others have there.
        let (mut sent, mut left) = (Vec::new(), Vec::new());
        for step in &steps {
            match step {
                &Step::Packet(flow, shape) => {
                    let of = if matches!(shape, Shape::NoPorts) && !napt { 100 + flow % 3 } else { flow };
                    let frames = frames(napt, flow, shape, sent.len() as u16);
                    sent.push(of);
                    frames.iter().for_each(|frame| assert!(several.wires[0][1].deliver(frame)));
                    left.extend(one.play(WAN, &frames).lan);
                }
                Step::Turn(worker) => {
                    let now = several.now;
                    several.workers[*worker as usize % n].turn(now);
                }
            }
        }
        several.settle();
        let by_worker: Vec<Order> = several.left(LAN).into_iter().map(|frames| by_flow(&sent, frames)).collect();
        let expected = by_flow(&sent, left);
        let mut together = Order::new();
        for (flow, frames) in by_worker.into_iter().flatten() {
            prop_assert!(together.insert(flow, frames).is_none(), "flow {flow} left from two workers");
        }
        prop_assert_eq!(together, expected);
        let totals = several.totals();
        prop_assert_eq!(totals.verdict(Verdict::HandedOff), totals.event(Event::HandoffReceived));
        prop_assert_eq!((totals.dropped(), totals.held), (0, 0));
        several.check_buffers();
    }
}

/// Many flows through one queue.
fn burst(several: &mut Several, packets: u16) -> u16 {
    let flow = |i: u16| udp(([203, 0, 113, (i % 200) as u8], 443), (CLIENT, 1000 + i), b"x").id(i);
    (0..packets).filter(|&i| several.wires[0][1].deliver(&from_wan(&flow(i)))).count() as u16
}

/// The worker that has the queue keeps its part, and the others have as many each of the rest.
#[test]
fn flows_are_spread_as_asked_for() {
    for n in 2..=8 {
        let even = 100 / n;
        for (keep, percent) in
            [(None, [30, 10, 0][(n - 2).min(2)]), (Some(even as u8), even), (Some(0), 0), (Some(100), 100)]
        {
            let setup = Setup { slots: 2048, ..Setup::dslite() };
            let mut several = Several::with(&setup, n, 512, Config { keep_flows: keep, ..Default::default() });
            assert_eq!(burst(&mut several, 2000), 2000);
            several.settle();
            assert_eq!(several.totals().dropped(), 0, "a handoff ring has room for a burst");
            for (worker, frames) in several.left(LAN).iter().enumerate() {
                let kept = 2000 * percent / 100;
                let share = if worker == 0 { kept } else { (2000 - kept) / (n - 1) };
                let enough = frames.len().abs_diff(share) <= share / 3;
                assert!(enough, "worker {worker} of {n} has {}, not {share}, where {keep:?} are kept", frames.len());
            }
        }
    }
}

#[test]
fn ieee_802_1q_tags_stay_with_the_links() {
    // So many that no worker is without one by chance.
    const MANY: u8 = 60;
    for fast in [true, false] {
        let mut several =
            Several::new(&Setup { vlans: [Some(10), Some(20)], fast, slots: 512, ..Setup::dslite() }, 3, 256);
        for flow in 0..MANY {
            let (inside, peer) = ends(flow);
            for shape in [udp(peer, inside, &[flow]), udp(peer, inside, &[flow]).options(&[1, 1, 1, 0])] {
                assert!(several.wires[0][WAN.index()].deliver(&tagged(20, &from_wan(&shape))));
                assert!(several.wires[0][WAN.index()].deliver(&tagged(21, &from_wan(&shape))));
            }
        }
        several.settle();
        let left = several.left(LAN);
        assert!(left.iter().all(|frames| !frames.is_empty()), "each worker has some");
        let mut flows: Vec<u8> = left.iter().flatten().map(|frame| plain(&untagged(10, frame)).payload[8]).collect();
        flows.sort_unstable();
        assert_eq!(flows, (0..MANY).flat_map(|flow| [flow; 2]).collect::<Vec<_>>());
        assert_eq!(several.totals().verdict(Reason::Vlan.into()), 2 * u64::from(MANY));
        several.check_buffers();
    }
}

#[test]
fn a_worker_that_is_behind_costs_its_own_flows_only_and_that_is_counted() {
    let mut several = Several::new(&Setup { slots: 2048, ..Setup::dslite() }, 2, 64);
    assert_eq!(burst(&mut several, 2000), 2000);
    let now = several.now;
    while several.workers[0].turn(now) > 0 {}
    let totals = several.totals();
    let (handed, full) = (totals.verdict(Verdict::HandedOff), totals.verdict(Reason::HandoffFull.into()));
    assert_eq!(handed, 63, "as many as the ring holds");
    assert_eq!(totals.verdict(Verdict::Inbound) + handed + full, 2000);
    assert!(full > 1200);
    several.settle();
    let left: Vec<usize> = several.left(LAN).iter().map(Vec::len).collect();
    assert_eq!(left[1], 63);
    // And then it goes on.
    burst(&mut several, 100);
    several.settle();
    assert!(several.left(LAN)[1].len() > 30);
    several.check_buffers();
}

#[test]
fn what_no_first_fragment_comes_for_is_dropped_and_counted() {
    for napt in [true, false] {
        let mut several = Several::new(&Setup { napt, ..Setup::ipip() }, 2, 64);
        let packet = udp(ends(0).1, (if napt { OUTSIDE } else { CLIENT }, 40000), &bytes(100));
        assert!(several.wires[0][1].deliver(&from_wan(&packet.fragments(20 + 56)[1])));
        several.settle();
        assert_eq!(several.totals().held, 1);
        several.now = several.now + Duration::from_secs(3);
        several.settle();
        let totals = several.totals();
        assert_eq!((totals.held, totals.verdict(Reason::NaptFragment.into())), (0, 1));
    }
}

#[test]
fn nobody_else_is_heard_or_answered_otherwise_than_by_one_worker() {
    // Spoofed, broken, for us, too many hops: one worker and several say the same.
    let stranger: std::net::Ipv6Addr = "2001:db8:bad::1".parse().unwrap();
    let packet = udp(ends(0).1, (CLIENT, 40000), b"x");
    let mut spoofed = from_wan(&packet);
    spoofed[22..38].copy_from_slice(&stranger.octets());
    let mut short = from_wan(&packet);
    short.truncate(60);
    let mut broken = from_wan(&packet);
    broken[64] ^= 0xff;
    let frames = [
        spoofed,
        short,
        broken,
        from_wan(&packet.clone().ttl(1)),
        from_wan(&udp((CLIENT, 1), (CLIENT, 2), b"land")),
        from_wan(&udp(([10, 0, 0, 1], 1), (ROUTER, 2), b"to us")),
        icmpv6(BR, 1, 0, 0, &[0; 60]),
        from_wan(&icmp_raw(SERVER, CLIENT, 3, 1, 0, &packet.bytes()[..28])),
        vec![0; 60],
    ];
    for napt in [true, false] {
        for frame in &frames {
            let mut one = Router::new(&Setup { napt, ..Setup::ipip() });
            let expected = one.wan(frame);
            let mut several = Several::new(&Setup { napt, ..Setup::ipip() }, 3, 64);
            assert!(several.wires[0][1].deliver(frame));
            several.settle();
            let verdicts: BTreeSet<_> = several.totals().verdicts().map(|(v, n)| (v.name(), n)).collect();
            let expected: BTreeSet<_> = expected.verdicts.iter().map(|(v, n)| (v.name(), *n)).collect();
            let handed: BTreeSet<_> = verdicts.difference(&expected).copied().collect();
            assert!(expected.is_subset(&verdicts), "{expected:?} {verdicts:?}");
            assert!(handed.is_empty() || handed.iter().eq(&[("handed-off", 1)]), "{handed:?}");
        }
    }
}

/// Threads, under every idle policy: those that sleep are woken by the worker that has the queue.
#[test]
fn workers_as_threads_hand_on_in_order() {
    for idle in [Idle::Yield, Idle::Sleep, Idle::Adaptive] {
        let setup = Setup { slots: 1024, ..Setup::dslite() };
        let several = Several::with(&setup, 2, 1024, Config { idle, ..Default::default() });
        let Several { workers, mut wires, handles, .. } = several;
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |worker: Worker| worker.spawn(None, stop.clone(), BurstReport::new().1).unwrap();
        let threads: Vec<_> = workers.into_iter().map(spawn).collect();
        const PACKETS: u16 = 5000;
        let (mut seen, mut last) = (0, BTreeMap::new());
        let start = Instant::now();
        let mut next = 0;
        while seen < PACKETS {
            while next < PACKETS && next - seen < 500 {
                let flow = next % 7;
                let packet = udp((SERVER, 443 + flow), (CLIENT, 40000), &next.to_be_bytes());
                assert!(wires[0][1].deliver(&from_wan(&packet)));
                next += 1;
            }
            for (worker, wires) in wires.iter_mut().enumerate() {
                wires[0].collect(|frame| {
                    let got = plain(frame);
                    let number = u16::from_be_bytes([got.payload[8], got.payload[9]]);
                    let before = last.insert((worker, got.src().1), number);
                    assert!(before.is_none_or(|before| before < number), "{number} after {before:?}");
                    seen += 1;
                });
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{seen} of {PACKETS} came");
            std::thread::yield_now();
        }
        assert_eq!(last.len(), 7, "a flow has one worker");
        assert!(handles[1].counters.event(Event::HandoffReceived) > 0);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| drop(thread.join().expect("no worker panics")));
    }
}

#[test]
fn native_ipv6_stays_with_the_worker_that_received_it_and_any_finds_its_session() {
    for napt in [true, false] {
        let setup = Setup { napt, native6: Some(filtering()), slots: 512, ..Setup::ipip() };
        let mut several = Several::new(&setup, 3, 256);
        let ends = |flow: u8| ((CLIENT6, 40000 + u16::from(flow)), (PEER6, 443));
        for flow in 0..30 {
            let (inside, peer) = ends(flow);
            assert!(several.wires[usize::from(flow) % 3][0].deliver(&udp6(inside, peer, &[flow]).sent_by_host()));
        }
        several.settle();
        let out: Vec<usize> = several.left(WAN).iter().map(Vec::len).collect();
        assert_eq!(out, [10; 3]);
        // Answers come in by the queue that the card likes, between packets of the tunnel.
        for n in 0..3 {
            for flow in 0..30 {
                let (inside, peer) = ends(flow);
                several.wires[n][1].deliver(&udp6(peer, inside, &[flow]).sent_by_line());
                several.wires[n][1].deliver(&from_wan(&udp((SERVER, 1), (CLIENT, 9), b"stranger")));
            }
            several.wires[n][1].deliver(&udp6((PEER6, 444), ends(0).0, b"stranger").sent_by_line());
        }
        several.settle();
        for frames in several.left(LAN) {
            let native = frames.iter().filter(|frame| frame[12..14] == [0x86, 0xdd]).map(|frame| frame[62]);
            assert!(native.eq(0..30), "all of one queue, in order");
        }
        let totals = several.totals();
        assert_eq!([Verdict::Ipv6Outbound, Verdict::Ipv6Inbound].map(|v| totals.verdict(v)), [30, 90]);
        assert_eq!(totals.verdict(Reason::Ipv6Filtered.into()), 3);
        several.check_buffers();
    }
}
