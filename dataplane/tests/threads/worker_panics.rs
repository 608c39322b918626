//! A worker that panics, as any bug in the packet path may make it, and what becomes of the others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::memory_router::{MemoryRouter, Parts};
use hikyaku_dataplane::napt::{self, Napt};
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::snapshot::{Route, Routes, SoftwireId};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_dataplane::worker::{BurstReport, Config, Idle, Worker};
use hikyaku_net::{Clock, Prefix4, Time};
use hikyaku_ring::Provider;
use hikyaku_ring::memory::{MemoryConfig, Wire, links};

/// Sessions of the table, and questions a second: each lives for 15 s, so there is room for three times as many.
const TABLE: u32 = 1024;
const QUESTIONS: u16 = 20;

/// A queue at whose next sync the worker panics, once that is wished for.
struct Fuse(Box<dyn Provider>, Arc<AtomicBool>);

impl Provider for Fuse {
    fn sync_tx(&mut self) -> io::Result<()> {
        self.0.sync_tx()
    }

    fn sync_rx(&mut self) -> io::Result<()> {
        assert!(!self.1.load(Ordering::Relaxed), "injected");
        self.0.sync_rx()
    }
}

/// Of two workers one panics; the other opens sessions as before, for as long as it is asked to. Whoever no longer looks
/// at the session table keeps no record of it from being used again.
#[test]
fn the_others_go_on_opening_sessions() {
    let config = napt::Config { sessions: TABLE, readers: 2, huge_pages: false, ..napt::Config::new(OUTSIDE.into()) };
    let napt = Arc::new(Napt::new(&config).unwrap());
    let shared = Shared::new(Setup::ipip().snapshot(Some(napt)));
    let memory = MemoryConfig { slots: 256, huge_pages: false, ..Default::default() };
    let mut links = links(2, 2, memory).unwrap();
    let ([mut wan, mut lan], fuse) = ([links.pop().unwrap(), links.pop().unwrap()], Arc::new(AtomicBool::new(false)));
    let ((mut queue, _lan), (wan_queue, _wan)) = (lan.remove(0), wan.remove(0));
    queue.provider = Box::new(Fuse(queue.provider, fuse.clone()));
    let idle = Config { idle: Idle::Yield, ..Default::default() };
    let first = Worker::new(0, [(LAN, queue), (WAN, wan_queue)], &shared, idle);
    let ((queue, mut asked), (wan_queue, mut sent)) = (lan.remove(0), wan.remove(0));
    let mut second = Worker::new(1, [(LAN, queue), (WAN, wan_queue)], &shared, Config::default());
    let (_report, bursts) = BurstReport::new();
    let first = first.spawn(None, Arc::default(), bursts).unwrap();

    let (counters, mut second_of) = (second.handle().counters, u64::from(Clock::START.seconds()));
    let mut refused_in = |seconds: u64| {
        let before = counters.totals().verdict(Reason::NaptTableFull.into());
        for _ in 0..seconds {
            second_of += 1;
            for n in 0..QUESTIONS {
                let port = 1024 + (second_of * u64::from(QUESTIONS) % 60_000) as u16 + n;
                assert!(asked.deliver(&from_lan(&udp((CLIENT, port), (SERVER, 53), b"?"))));
            }
            second.turn(Time(second_of * 1_000_000_000));
            sent.collect(|_| ());
            // The other one has turns of its own, in which it lets go of what has ended.
            thread::sleep(Duration::from_millis(1));
        }
        counters.totals().verdict(Reason::NaptTableFull.into()) - before
    };
    assert_eq!(refused_in(300), 0, "both live");
    fuse.store(true, Ordering::Relaxed);
    let patience = Instant::now() + Duration::from_secs(10);
    while !first.is_finished() {
        assert!(Instant::now() < patience, "it does not panic");
        thread::yield_now();
    }
    assert_eq!(refused_in(300), 0, "one of the two has panicked");
}

/// No route of a sound snapshot leads into a softwire that is not there. Here one does, and stands for any bug that a packet
/// finds.
const POISON: [u8; 4] = [198, 51, 100, 66];

/// Long enough for a frame without padding.
const ANSWER: &[u8] = b"an answer of more than 18 bytes";

/// A worker that panics goes on with its rings and the sessions; nothing is lost but what it had in hand, no buffer is, and
/// every frame is counted.
fn a_worker_goes_on_after_a_panic(workers: usize) {
    let setup = Setup::ipip();
    let memory = MemoryConfig {
        slots: 256,
        headroom: setup.headroom,
        huge_pages: false,
        handoff_slots: 64,
        ..Default::default()
    };
    let worker = Config { idle: Idle::Yield, ..Default::default() };
    let router = MemoryRouter::new(workers, memory, Parts { worker, ..setup.parts() }, |napt| {
        let mut snapshot = setup.snapshot(napt);
        let lan: Prefix4 = "192.168.1.0/24".parse().unwrap();
        let poisoned = (Prefix4::new(POISON.into(), 32).unwrap(), Route::Softwire(SoftwireId(9)));
        snapshot.routes =
            Routes::new([(lan, Route::Link(LAN)), (Prefix4::ALL, Route::Softwire(SoftwireId(0))), poisoned]);
        snapshot
    });
    let MemoryRouter { workers, mut wires, napt, .. } = router.expect("a small router");
    let buffers = |wires: &[[Wire; 2]], workers: &[Worker]| {
        let in_rings = wires.iter().flatten().flat_map(Wire::buffers);
        let mut all: Vec<_> = in_rings.chain(workers.iter().flat_map(Worker::handoff_buffers)).collect();
        all.sort_unstable();
        all
    };
    let (before, handles): (_, Vec<_>) = (buffers(&wires, &workers), workers.iter().map(Worker::handle).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let start = |worker: Worker| worker.spawn(None, stop.clone(), BurstReport::new().1).unwrap();
    let threads: Vec<_> = workers.into_iter().map(start).collect();

    let host = |n: u16| (CLIENT, 2000 + n);
    let poison = || from_lan(&udp(host(0), (POISON, 9), b"!"));
    let mut outside = None;
    for round in 1..=5_u64 {
        // In the middle of a burst, mostly; the wire takes all of it at once.
        for n in (0..20).chain([99]).chain(20..40) {
            let frame = if n == 99 { poison() } else { from_lan(&udp(host(n), (SERVER, 443), b"!")) };
            assert!(wires[0][0].deliver(&frame));
        }
        wait_for(|| handles[0].counters.event(Event::WorkerPanicked) == round);
        // Every one of these leaves, by the session that it has always had.
        (0..40).for_each(|n| assert!(wires[0][0].deliver(&from_lan(&udp(host(n), (SERVER, 443), b"?")))));
        let asked = gather(&mut wires, 1, 40, |frame| frame.ends_with(b"?"));
        let mut ends: Vec<_> = asked.iter().map(|frame| inner(frame).src()).collect();
        ends.sort_unstable();
        assert_eq!(*outside.get_or_insert(ends.clone()), ends, "round {round}: sessions are what they were");
        // And what is answered comes back, by whichever worker has the flow.
        ends.iter().for_each(|&end| assert!(wires[0][1].deliver(&from_wan(&udp((SERVER, 443), end, ANSWER)))));
        gather(&mut wires, 0, 40, |frame| frame.ends_with(ANSWER));
    }
    stop.store(true, Ordering::Relaxed);
    let workers: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("it goes on")).collect();
    assert_eq!(buffers(&wires, &workers), before, "a buffer is lost or there twice");
    let lost: u64 = handles.iter().map(|handle| handle.counters.verdict(Reason::WorkerPanicked.into())).sum();
    assert!((5..=5 * 41).contains(&lost), "{lost} frames");
    assert!(handles.iter().all(|handle| handle.counters.totals().add_up()));
    assert_eq!(napt.map(|napt| (napt.stats().live, napt.is_poisoned())), Some((40, false)));
}

/// The frames of this kind that leave by one side, of which there are so many.
#[track_caller]
fn gather(wires: &mut [[Wire; 2]], side: usize, number: usize, is_one: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    wait_for(|| {
        for wire in wires.iter_mut() {
            wire[side].collect(|frame| frames.extend(is_one(frame).then(|| frame.to_vec())));
        }
        frames.len() >= number
    });
    frames
}

#[track_caller]
fn wait_for(mut done: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < patience, "it does not happen");
        thread::yield_now();
    }
}

#[test]
fn a_worker_alone_goes_on_after_a_panic() {
    a_worker_goes_on_after_a_panic(1);
}

#[test]
fn one_of_two_workers_goes_on_after_a_panic() {
    a_worker_goes_on_after_a_panic(2);
}
