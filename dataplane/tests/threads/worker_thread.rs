//! Workers as threads: pinned, idling, with snapshots changed under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::{Link, Route, Routes, Side, Snapshot, Softwire, SoftwireId};
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_dataplane::worker::{BurstReport, Config, Idle, Worker};
use hikyaku_net::{Mac, Prefix4};
use hikyaku_ring::LinkId;
use hikyaku_ring::memory::{self, MemoryConfig, Wire};

const LAN: LinkId = LinkId(0);
const WAN: LinkId = LinkId(1);

fn snapshot(hop: u8) -> Snapshot {
    let link =
        |name, side| Link { sources4: vec![Prefix4::ALL], ..Link::new(name, side, Mac([2, 0, 0, 0, 0, 1]), 1500) };
    let [local, remote]: [std::net::Ipv6Addr; 2] = ["2001:db8::2", "2001:db8:a::1"].map(|end| end.parse().unwrap());
    let softwire = Softwire::new(local, remote, WAN, Some(Mac([2, 0, 0, 0, 0, hop])));
    Snapshot {
        links: vec![link("lan", Side::Lan), link("wan", Side::Wan)],
        softwires: vec![softwire],
        routes: Routes::new([(Prefix4::ALL, Route::Softwire(SoftwireId(0)))]),
        ..Snapshot::default()
    }
}

fn frame(n: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1])
        .ipv4([192, 168, 1, 10], [198, 51, 100, 1], 64)
        .udp(5000, 53)
        .write(&mut frame, &n.to_be_bytes())
        .unwrap();
    frame
}

/// Collects until `enough` frames have come, or fails after ten seconds.
fn collect(wire: &mut Wire, enough: usize) -> Vec<Vec<u8>> {
    let (mut frames, start) = (Vec::new(), Instant::now());
    while frames.len() < enough {
        wire.collect(|frame| frames.push(frame.to_vec()));
        assert!(start.elapsed() < Duration::from_secs(10), "{} of {enough} frames came", frames.len());
        std::thread::yield_now();
    }
    frames
}

/// Every idle policy forwards everything in order, sees a new snapshot, sends what control injects,
/// queues what is control's, and stops when told.
#[test]
fn a_worker_thread_forwards_and_stops_under_every_idle_policy() {
    for idle in [Idle::Spin, Idle::Yield, Idle::Sleep, Idle::Adaptive] {
        let mut links = memory::links(2, 1, MemoryConfig { slots: 256, ..Default::default() }).unwrap();
        let (wan_queue, mut wan) = links.pop().unwrap().pop().unwrap();
        let (lan_queue, mut lan) = links.pop().unwrap().pop().unwrap();
        let shared = Shared::new(snapshot(1));
        let config = Config { idle, ..Default::default() };
        let worker = Worker::new(0, [(LAN, lan_queue), (WAN, wan_queue)], &shared, config);
        let handle = worker.handle();
        let (mut report, bursts) = BurstReport::new();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = worker.spawn(Some(0), stop.clone(), bursts).unwrap();

        const FRAMES: u16 = 2000;
        let mut seen = Vec::new();
        for first in (0..FRAMES).step_by(100) {
            if first == FRAMES / 2 {
                shared.snapshot.store(Arc::new(snapshot(2)));
            }
            (first..first + 100).for_each(|n| assert!(lan.deliver(&frame(n))));
            seen.extend(collect(&mut wan, 100));
        }
        // In order, each once; all of the first half by the first next hop, the last by the second.
        let numbers: Vec<u16> = seen.iter().map(|f| u16::from_be_bytes([f[82], f[83]])).collect();
        assert!(numbers.iter().copied().eq(0..FRAMES), "{idle:?}");
        assert!(seen[..FRAMES as usize / 2].iter().all(|f| f[5] == 1));
        assert_eq!(seen.last().unwrap()[5], 2, "{idle:?}: the new snapshot was seen");

        handle.inject.push(Message::new(LAN, &[7; 60]).unwrap()).unwrap();
        assert_eq!(collect(&mut lan, 1), [[7; 60]]);
        let mut arp = frame(0);
        arp[12..14].copy_from_slice(&[8, 6]);
        assert!(lan.deliver(&arp));
        let start = Instant::now();
        let punted = loop {
            if let Some(message) = shared.punt.pop() {
                break message;
            }
            assert!(start.elapsed() < Duration::from_secs(10));
        };
        assert_eq!((punted.link, punted.frame()), (LAN, &arp[..]));

        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the worker does not panic");
        let totals = handle.counters.totals();
        assert!(totals.add_up());
        assert_eq!(totals.verdict(Verdict::Outbound), u64::from(FRAMES));
        assert_eq!(totals.verdict(Verdict::Punted), 1);
        // Burst times and sizes were recorded: as many bursts as sizes, all frames in them.
        report.nanoseconds.refresh_timeout(Duration::from_millis(100));
        report.frames.refresh_timeout(Duration::from_millis(100));
        assert_eq!(report.nanoseconds.len(), report.frames.len());
        let sum: u64 = report.frames.iter_recorded().map(|v| v.value_iterated_to() * v.count_at_value()).sum();
        assert!(sum.abs_diff(u64::from(FRAMES) + 1) <= sum / 50, "{sum} frames in bursts, to 2 digits");
    }
}

/// A start is nothing that may fail now and then.
#[test]
fn every_one_of_forty_starts_is_a_worker_that_forwards() {
    for n in 0..40 {
        let mut links = memory::links(2, 1, MemoryConfig { slots: 64, ..Default::default() }).unwrap();
        let (wan_queue, mut wan) = links.pop().unwrap().pop().unwrap();
        let (lan_queue, mut lan) = links.pop().unwrap().pop().unwrap();
        let shared = Shared::new(snapshot(1));
        // A frame that is there before the worker is.
        assert!(lan.deliver(&frame(n)));
        let config = Config { idle: Idle::Sleep, ..Default::default() };
        let worker = Worker::new(0, [(LAN, lan_queue), (WAN, wan_queue)], &shared, config);
        let (_report, bursts) = BurstReport::new();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = worker.spawn(Some(0), stop.clone(), bursts).unwrap();
        assert_eq!(collect(&mut wan, 1)[0][82..84], n.to_be_bytes());
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the worker does not panic");
    }
}
