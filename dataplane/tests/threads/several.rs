//! A router of several workers on memory rings. All that comes through the tunnel comes in by the first one's queue.

use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::memory_router::{MemoryRouter, Parts};
use hikyaku_dataplane::worker::{Config, Handle, Worker};
use hikyaku_net::Time;
use hikyaku_ring::LinkId;
use hikyaku_ring::memory::{MemoryConfig, Wire};

use crate::common::{Setup, routed};

pub struct Several {
    pub workers: Vec<Worker>,
    /// By worker: its wire to the LAN and that of the line.
    pub wires: Vec<[Wire; 2]>,
    pub handles: Vec<Handle>,
    pub now: Time,
    /// Which numbers are a buffer's.
    known: Vec<bool>,
}

impl Several {
    /// With `n` workers; `slots` in each handoff ring.
    #[cfg(not(shuttle))]
    pub fn new(setup: &Setup, n: usize, slots: u32) -> Self {
        let config = Config { fast: setup.fast, batch: setup.batch, ..Default::default() };
        Self::with(setup, n, slots, config)
    }

    /// With workers that run so.
    pub fn with(setup: &Setup, n: usize, slots: u32, config: Config) -> Self {
        let memory = MemoryConfig {
            slots: setup.slots,
            headroom: setup.headroom,
            huge_pages: false,
            handoff_slots: slots,
            ..Default::default()
        };
        let parts = Parts { worker: config, ..setup.parts() };
        let snapshot = |napt| {
            let mut snapshot = setup.snapshot(napt);
            setup.filter6(n).into_iter().for_each(|filter| routed(&mut snapshot, filter));
            snapshot
        };
        let router = MemoryRouter::new(n, memory, parts, snapshot).unwrap();
        let MemoryRouter { workers, wires, .. } = router;
        let mut known = Vec::new();
        let handed_off = workers.iter().flat_map(Worker::handoff_buffers);
        for number in handed_off.chain(wires.iter().flatten().flat_map(Wire::buffers)) {
            let number = number as usize;
            known.resize(known.len().max(number + 1), false);
            known[number] = true;
        }
        let handles = workers.iter().map(Worker::handle).collect();
        Self { workers, wires, handles, now: Time(1_000_000_000), known }
    }

    /// Turns of all workers until nothing waits.
    pub fn settle(&mut self) {
        while self.workers.iter_mut().map(|worker| worker.turn(self.now)).sum::<usize>() > 0 {}
    }

    /// What left by a link, by worker.
    pub fn left(&mut self, link: LinkId) -> Vec<Vec<Vec<u8>>> {
        let collect = |wires: &mut [Wire; 2]| {
            let mut frames = Vec::new();
            wires[link.index()].collect(|frame| frames.push(frame.to_vec()));
            frames
        };
        self.wires.iter_mut().map(collect).collect()
    }

    /// What all of them counted, after every worker's own counts were seen to add up.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        for handle in &self.handles {
            let totals = handle.counters.totals();
            assert!(totals.add_up(), "{totals:?}");
            all.add(&totals);
        }
        all
    }

    /// No buffer is in two rings, or in one that was nobody's.
    pub fn check_buffers(&self) {
        let mut seen = vec![false; self.known.len()];
        for wire in self.wires.iter().flatten() {
            for buffer in wire.buffers() {
                let number = buffer as usize;
                assert!(self.known.get(number) == Some(&true), "a buffer of nobody's");
                assert!(!std::mem::replace(&mut seen[number], true), "a buffer is there twice");
            }
        }
    }
}
