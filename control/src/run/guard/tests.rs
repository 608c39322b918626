//! The guard beside workers on memory rings, and an interface that is not there when the test says so.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_dataplane::worker::{self, Worker};
use hikyaku_net::Mac;
use hikyaku_ring::kernel::OpenError;
use hikyaku_ring::memory::{self, MemoryConfig};
use hikyaku_ring::{Headroom, LinkError, Offsets, RegionId};

use super::*;

const NAME: &str = "netmap:wan";
const LINK: LinkId = LinkId(1);
const HOST: LinkId = LinkId(3);

/// An interface, there or not.
#[derive(Default)]
pub struct Interface {
    pub gone: AtomicBool,
    /// What opening it gives: it is back.
    pub back: Mutex<Option<Reopened>>,
    /// How often opening it was tried.
    pub tries: AtomicU32,
    /// What its card has counted.
    pub lost: AtomicU64,
}

impl Interface {
    /// It comes back with these queues.
    pub fn comes_back(&self, mac: Mac, queues: Vec<Queue>, host: Vec<Queue>) {
        let info = LinkInfo {
            name: NAME.parse().unwrap(),
            region: RegionId(1),
            memory: 0,
            tx_rings: queues.len() as u16,
            rx_rings: queues.len() as u16,
            host_rings: host.len() as u16,
            slots: 2048,
            buf_size: 2048,
            headroom: Headroom::NONE,
            offsets: Offsets::NotAsked,
            mac: Some(mac.0),
            mtu: Some(1500),
            adapter: None,
            xdp: None,
            vlan: None,
            notes: Vec::new(),
        };
        *self.back.lock().unwrap() = Some(Reopened { info, queues, host });
    }
}

/// As netmap's: queues are dropped and others made.
pub struct MemoryWatch(pub Arc<Interface>);

impl Watch for MemoryWatch {
    fn gone(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }

    fn losses(&self) -> Losses {
        Losses { card: self.0.lost.load(Ordering::Relaxed), ..Losses::default() }
    }

    fn replaces_queues(&self) -> bool {
        true
    }

    fn reopen(&mut self) -> Result<Reopened, LinkError> {
        self.0.tries.fetch_add(1, Ordering::Relaxed);
        let back = self.0.back.lock().unwrap().take();
        let none = OpenError::NoInterface { link: NAME.parse().unwrap(), have: Vec::new() };
        let reopened = back.ok_or(none)?;
        self.0.gone.store(false, Ordering::Relaxed);
        Ok(reopened)
    }
}

/// Workers that are turned by hand, and a guard of their only link.
struct Lab {
    interface: Arc<Interface>,
    guard: LinkGuard,
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    handles: Vec<Handle>,
}

fn queues(n: usize) -> Vec<Queue> {
    let config = MemoryConfig { slots: 8, huge_pages: false, ..Default::default() };
    memory::links(1, n, config).unwrap().remove(0).into_iter().map(|(queue, _)| queue).collect()
}

impl Lab {
    fn new(workers: usize) -> Self {
        let shared = Shared::new(Snapshot::default());
        let mut own = queues(workers + 1);
        let mut host = own.pop();
        let queues = own.into_iter().enumerate().map(|(id, queue)| {
            let host = host.take().map(|queue| (HOST, queue));
            Worker::new(id, [(LINK, queue)].into_iter().chain(host), &shared, worker::Config::default())
        });
        let workers: Vec<Worker> = queues.collect();
        let handles = workers.iter().map(Worker::handle).collect();
        let interface = Arc::new(Interface::default());
        let watch = Box::new(MemoryWatch(interface.clone()));
        let guard = LinkGuard::new(NAME.parse().unwrap(), [LINK, HOST], true, Some(watch));
        Self { interface, guard, shared, workers, handles }
    }

    fn look(&mut self) -> bool {
        self.guard.look(&self.handles).is_some()
    }

    fn turn(&mut self) {
        for worker in &mut self.workers {
            worker.turn(self.shared.clock.now());
        }
    }

    /// How many queues each worker lost and got.
    fn counted(&self) -> Vec<[u64; 2]> {
        let count = |handle: &Handle| {
            let totals = handle.counters.totals();
            [totals.event(Event::QueueLost), totals.event(Event::QueueAdopted)]
        };
        self.handles.iter().map(count).collect()
    }

    fn failing(&self) -> Vec<u64> {
        self.handles.iter().map(|handle| handle.failing.load(Ordering::Relaxed)).collect()
    }
}

#[test]
fn nothing_is_done_to_a_link_that_is_there() {
    let mut lab = Lab::new(2);
    for _ in 0..3 {
        assert!(!lab.look());
        lab.turn();
    }
    assert_eq!(lab.interface.tries.load(Ordering::Relaxed), 0);
    assert_eq!(lab.counted(), [[0, 0]; 2]);
    let mut never = LinkGuard::new("vale0:a".parse().unwrap(), [LINK, HOST], false, None);
    assert!(never.look(&lab.handles).is_none());
}

#[test]
fn queues_are_dropped_before_the_link_is_opened_anew() {
    let mut lab = Lab::new(2);
    lab.interface.gone.store(true, Ordering::Relaxed);
    lab.interface.comes_back(Mac([2; 6]), queues(2), queues(1));
    for _ in 0..5 {
        assert!(!lab.look());
    }
    assert_eq!(lab.interface.tries.load(Ordering::Relaxed), 0, "workers still have its queues");
    // One worker is not all of them.
    lab.workers[0].turn(lab.shared.clock.now());
    assert!(!lab.look());
    assert_eq!(lab.interface.tries.load(Ordering::Relaxed), 0);
    lab.turn();
    assert_eq!(lab.counted(), [[2, 0], [1, 0]]);
    assert_eq!(lab.failing(), [1 << LINK.0 | 1 << HOST.0, 1 << LINK.0]);
    assert!(lab.look());
    lab.turn();
    assert_eq!(lab.counted(), [[2, 2], [1, 1]], "and the host's rings are worker 0's");
    assert_eq!(lab.failing(), [0, 0]);
    assert!(!lab.look());
    assert_eq!(lab.interface.tries.load(Ordering::Relaxed), 1);
}

#[test]
fn a_link_comes_back_whole_or_not_at_all() {
    let mut lab = Lab::new(2);
    lab.interface.gone.store(true, Ordering::Relaxed);
    for tries in 0..4 {
        assert!(!lab.look());
        assert_eq!(lab.interface.tries.load(Ordering::Relaxed), tries);
        lab.turn();
    }
    for wrong in [1, 3] {
        lab.interface.comes_back(Mac([2; 6]), queues(wrong), Vec::new());
        assert!(!lab.look());
        assert!(lab.guard.obstacle.contains("there are 2 workers"), "{}", lab.guard.obstacle);
        lab.turn();
        assert_eq!(lab.counted(), [[2, 0], [1, 0]]);
    }
    lab.interface.comes_back(Mac([2; 6]), queues(2), Vec::new());
    assert!(lab.look());
    lab.turn();
    assert_eq!(lab.counted(), [[2, 1], [1, 1]]);
}

/// Workers that take note of nothing for a while: what waits for them is bounded, and nothing of it is lost.
#[test]
fn both_links_go_and_come_again_and_again() {
    let mut lab = Lab::new(1);
    let other = Arc::new(Interface::default());
    let watch = Box::new(MemoryWatch(other.clone()));
    let mut second = LinkGuard::new(NAME.parse().unwrap(), [LinkId(0), LinkId(2)], true, Some(watch));
    for round in 0..40_u64 {
        for interface in [&lab.interface, &other] {
            interface.gone.store(true, Ordering::Relaxed);
            interface.comes_back(Mac([2; 6]), queues(1), queues(1));
        }
        lab.look();
        second.look(&lab.handles);
        if round % 7 == 6 {
            lab.turn();
        }
        lab.look();
        second.look(&lab.handles);
    }
    assert!(lab.handles[0].adopt.len() < lab.handles[0].adopt.capacity());
}

/// A card counts from its own beginning, the router from its.
#[test]
fn losses_are_added_up_over_all_interfaces_of_the_name() {
    let interface = Arc::new(Interface::default());
    interface.lost.store(1000, Ordering::Relaxed);
    let watch = Box::new(MemoryWatch(interface.clone()));
    let mut guard = LinkGuard::new(NAME.parse().unwrap(), [LINK, HOST], false, Some(watch));
    for (counted, lost) in [(1000, 0), (1005, 5), (1005, 5), (1100, 100), (3, 103), (4, 104)] {
        interface.lost.store(counted, Ordering::Relaxed);
        assert_eq!(guard.losses().frames(), lost);
    }
}
