//! Packets of a flow leave in the order in which they came, at any number of workers, under the schedules of
//! shuttle: it may stop a worker between any two looks at a handoff ring's words, for as long as it likes. The workers
//! are those that forward, on memory rings.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::*;
use crate::several::Several;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::{Config, Worker};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

const PACKETS: u16 = 24;
const FLOWS: u16 = 3;

/// Packet number `n` as frames: now and then in pieces, outside or inside.
fn frames(napt: bool, n: u16) -> Vec<Vec<u8>> {
    let to = (if napt { OUTSIDE } else { CLIENT }, 40000 + n % FLOWS);
    let packet = udp((SERVER, 443), to, &[&n.to_be_bytes()[..], &bytes(80)].concat()).id(n);
    match n % 8 {
        3 => from_wan_pieces(&packet, 64, n.into()),
        5 => packet.fragments(20 + 56).iter().map(from_wan).collect(),
        6 => packet.fragments(20 + 56).iter().rev().map(from_wan).collect(),
        _ => vec![from_wan(&packet)],
    }
}

fn history(napt: bool, workers: usize, slots: u32) {
    let setup = Setup { napt, slots: 256, ..Setup::ipip() };
    let mut several = Several::with(&setup, workers, slots, Config { batch: 16, ..Default::default() });
    for flow in 0..FLOWS {
        assert!(several.wires[0][0].deliver(&from_lan(&udp((CLIENT, 40000 + flow), (SERVER, 443), b"open"))));
    }
    several.settle();
    let before = several.totals();
    let now = several.now;
    let done = Arc::new(AtomicBool::new(false));
    let forward = |mut worker: Worker| {
        let done = done.clone();
        thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                worker.turn(now);
                thread::yield_now();
            }
            worker
        })
    };
    let threads: Vec<_> = several.workers.drain(..).map(forward).collect();
    let mut sent = 0;
    for n in 0..PACKETS {
        for frame in frames(napt, n) {
            assert!(several.wires[0][1].deliver(&frame));
            sent += 1;
        }
        // Some come in one burst.
        if n % 5 == 0 {
            thread::yield_now();
        }
    }
    done.store(true, Ordering::SeqCst);
    several.workers = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    several.settle();

    let mut last: BTreeMap<u16, (usize, u16, u16)> = BTreeMap::new();
    for (worker, frames) in several.left(LAN).iter().enumerate() {
        for got in frames.iter().map(|frame| plain(frame)) {
            let (n, offset) = (got.header.identification, got.header.fragment_offset.value());
            let before = last.insert(n % FLOWS, (worker, n, offset));
            assert!(before.is_none_or(|before| before < (worker, n, offset)), "{n} at {offset} after {before:?}");
            assert!(before.is_none_or(|(before, ..)| before == worker), "a flow has two workers");
        }
    }
    let totals = several.totals();
    assert_eq!(totals.received() - before.received(), sent);
    assert_eq!(totals.verdict(Verdict::HandedOff), totals.event(Event::HandoffReceived));
    assert_eq!(
        totals.dropped(),
        totals.verdict(Reason::HandoffFull.into()),
        "{:?}",
        totals.verdicts().collect::<Vec<_>>()
    );
    assert!(slots < 64 || totals.dropped() == 0);
    // A fragment waits at its worker if the first one found the ring full.
    assert!(totals.held <= totals.dropped());
    several.now = several.now + Duration::from_secs(3);
    several.settle();
    assert_eq!(several.totals().held, 0);
    several.check_buffers();
}

#[test]
fn two_workers() {
    shuttle::check_random(|| history(false, 2, 64), 1500);
}

#[test]
fn three_workers_and_napt() {
    shuttle::check_random(|| history(true, 3, 64), 1000);
}

#[test]
fn lanes_that_are_full_most_of_the_time() {
    shuttle::check_pct(|| history(true, 3, 3), 1000, 4);
}
