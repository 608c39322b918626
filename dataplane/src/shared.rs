//! What workers and the control thread share: the snapshot, frames to control and from it, the clock, secrets.

use std::sync::{Arc, OnceLock};
use std::thread;

use ahash::RandomState;
use arc_swap::ArcSwap;
use hikyaku_net::Clock;

use crate::napt::{Hash, Key};
use crate::punt;
use crate::snapshot::Snapshot;

pub use crate::message::Message;

/// Most workers that a router has.
pub const MAX_WORKERS: usize = 64;

/// What workers and the control thread share.
#[derive(Debug)]
pub struct Shared {
    /// The world. Control stores a whole new one; workers look once per burst.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Frames for the control thread and its helper.
    pub punt: punt::Queues,
    /// The clock that all workers and the control thread go by.
    pub clock: Clock,
    /// Who takes them out, once somebody does.
    control: OnceLock<thread::Thread>,
    /// The same of questions about names.
    names: OnceLock<thread::Thread>,
    /// The secret behind fragment ids. One for all workers: each has ids of its own, and together
    /// they repeat none.
    pub(crate) fragment_ids: RandomState,
    /// The secret behind flow labels and which worker has a flow.
    pub(crate) flows: FlowLabels,
}

impl Shared {
    /// With a first snapshot.
    pub fn new(snapshot: Snapshot) -> Arc<Self> {
        Arc::new(Self {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            punt: punt::Queues::default(),
            clock: Clock::default(),
            control: OnceLock::new(),
            names: OnceLock::new(),
            fragment_ids: random_key(),
            flows: FlowLabels::random(),
        })
    }

    /// The calling thread takes punted frames: while it is parked, workers wake it for them. The first
    /// to call this is it, for good.
    pub fn listen(&self) {
        self.control.get_or_init(thread::current);
    }

    /// As [`Self::listen`], for questions about names ([`punt::Queues::pop_name`]).
    pub fn listen_for_names(&self) {
        self.names.get_or_init(thread::current);
    }

    /// Wakes whoever takes questions about names.
    pub fn call_names(&self) {
        if let Some(names) = self.names.get() {
            names.unpark();
        }
    }

    /// Wakes whoever takes punted frames, for whatever reason. A system call only where it sleeps: one per sleep of its, not
    /// per frame.
    pub fn call(&self) {
        if let Some(control) = self.control.get() {
            control.unpark();
        }
    }
}

/// A keyed hash that nobody else computes.
fn random_key() -> RandomState {
    let [a, b, c, d] = rand::random();
    RandomState::with_seeds(a, b, c, d)
}

/// Flow labels of packets that no NAPT has hashed (RFC 6437 3: the same for all packets of a flow,
/// uniformly distributed), and which worker has the flow of a packet from the tunnel. Nothing is stored by
/// them, so one multiplication by a random number does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowLabels(u64);

impl FlowLabels {
    /// With a secret of their own.
    fn random() -> Self {
        Self(rand::random::<u64>() | 1)
    }

    /// The hash of a flow.
    #[inline(always)]
    pub(crate) fn of(&self, key: &Key) -> Hash {
        let folded = key.addrs() ^ u64::from(key.ports()).rotate_left(20) ^ u64::from(key.protocol()) << 56;
        Hash::from_product(u128::from(folded) * u128::from(self.0))
    }
}
