//! A whole router on memory rings, its cables in the hands of whoever made it: what replay, demonstration, benchmarks
//! and tests play frames through.
//!
//! It is here, beside what it is made of, because all of them need the same one and `hikyaku replay` is no test. What the
//! world looks like is theirs to say: they bring the snapshot.

use std::io;
use std::sync::Arc;

use hikyaku_net::Time;
use hikyaku_ring::memory::{self, MemoryConfig, MemoryError, Wire};
use hikyaku_ring::{LinkId, Queue, Vlan};

use crate::counters::Totals;
use crate::napt::{self, Napt};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::worker::{self, HandoffRings, Worker};

/// The link towards the hosts of a memory router.
pub const LAN: LinkId = LinkId(0);

/// The link towards the line of a memory router.
pub const WAN: LinkId = LinkId(1);

/// What the router is made from, besides its rings and its snapshot.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// How its workers run.
    pub worker: worker::Config,
    /// Its session table; `None`: addresses pass as they are.
    pub napt: Option<napt::Config>,
    /// The VLANs that LAN and WAN link are of their wires.
    pub vlans: [Option<Vlan>; 2],
}

/// Why there is no router.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no memory for the rings, or they are none.
    #[error(transparent)]
    Rings(#[from] MemoryError),
    /// There is no memory for the session table, or it is none.
    #[error(transparent)]
    Table(#[from] napt::Refused),
    /// Workers cannot hand packets off to each other.
    #[error("no handoff rings between workers: {0}")]
    Handoff(#[source] io::Error),
}

/// A router whose cables end in this program. The calling thread runs it, or takes its workers and gives each a thread.
pub struct MemoryRouter {
    /// Its workers, by number. Frames that come through the tunnel are handed off between them.
    pub workers: Vec<Worker>,
    /// The other ends of each worker's queues: of the LAN link, of the WAN link.
    pub wires: Vec<[Wire; 2]>,
    /// What its workers and a control thread share.
    pub shared: Arc<Shared>,
    /// Its session table, where it has one.
    pub napt: Option<Arc<Napt>>,
}

impl MemoryRouter {
    /// A router of so many workers, its two links in one memory. `snapshot` is given the session table.
    ///
    /// # Errors
    ///
    /// The numbers do not suit, or the system has no memory left.
    pub fn new(
        workers: usize,
        memory: MemoryConfig,
        parts: Parts,
        snapshot: impl FnOnce(Option<Arc<Napt>>) -> Snapshot,
    ) -> Result<Self, SetupError> {
        let mut links = memory::links(2, workers, memory)?.into_iter();
        let mut next = || links.next().unwrap_or_default();
        Self::on([next(), next()], parts, snapshot)
    }

    /// A router on a LAN link and a WAN link that have a queue for each of its workers.
    ///
    /// # Errors
    ///
    /// The session table cannot be, or there are no spare buffers for handoff rings.
    pub fn on(
        links: [Vec<(Queue, Wire)>; 2],
        parts: Parts,
        snapshot: impl FnOnce(Option<Arc<Napt>>) -> Snapshot,
    ) -> Result<Self, SetupError> {
        let [(mut lan, lan_wires), (mut wan, wan_wires)] =
            links.map(|link| link.into_iter().unzip::<_, _, Vec<_>, Vec<_>>());
        for (queues, vlan) in [&mut lan, &mut wan].into_iter().zip(parts.vlans) {
            queues.iter_mut().for_each(|queue: &mut Queue| queue.set_vlan(vlan));
        }
        let readers = wan.len();
        let napt = parts.napt.map(|config| Napt::new(&napt::Config { readers, ..config })).transpose()?.map(Arc::new);
        let shared = Shared::new(snapshot(napt.clone()));
        let mut handoff = match readers {
            0 | 1 => Vec::new(),
            _ => HandoffRings::between(WAN, &mut wan.iter_mut().collect::<Vec<_>>()).map_err(SetupError::Handoff)?,
        }
        .into_iter();
        let workers = lan.into_iter().zip(wan).enumerate().map(|(id, (lan, wan))| {
            let worker = Worker::new(id, [(LAN, lan), (WAN, wan)], &shared, parts.worker);
            match handoff.next() {
                Some(rings) => worker.with_handoff(rings),
                None => worker,
            }
        });
        let workers = workers.collect();
        let wires = lan_wires.into_iter().zip(wan_wires).map(|(lan, wan)| [lan, wan]).collect();
        Ok(Self { workers, wires, shared, napt })
    }

    /// One turn of every worker. Answers how many frames were handled.
    #[inline]
    pub fn turn(&mut self, now: Time) -> usize {
        self.workers.iter_mut().map(|worker| worker.turn(now)).sum()
    }

    /// Gives what is still held its verdict, as if its time had run out.
    pub fn drain(&mut self) {
        self.workers.iter_mut().for_each(Worker::drain);
    }

    /// What all workers have counted.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        self.workers.iter().for_each(|worker| all.add(&worker.handle().counters.totals()));
        all
    }
}
