//! A worker: one thread on one core that owns one queue of each link and runs the path over them.

mod doorbell;
mod handoff;
mod idle;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;
use hdrhistogram::sync::Recorder;
use hikyaku_net::Time;
use hikyaku_ring::{HandoffRx, LinkId, Provider, Queue, RxRing, Traffic, TxRing};

use crate::counters::{Counters, Event};
use crate::napt::Napt;
use crate::path::{Burst, Handoff, MAX_BATCH, Path};
use crate::shared::{Message, Shared};
use crate::snapshot::Snapshot;
use crate::tunnel::reassembly::Limits;
use doorbell::Doorbell;
use idle::{NAP, SLEEP, Spin};

pub use handoff::HandoffRings;
pub use idle::Idle;

/// How a worker runs.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Most frames of one link handled in one go, 1 to [`MAX_BATCH`].
    pub batch: usize,
    /// What to do when there is nothing to do.
    pub idle: Idle,
    /// Sessions looked at for expiry per turn, at most, besides one for every four frames.
    pub ageing: usize,
    /// Whether ordinary frames take the fast path; see [`Burst::fast`].
    pub fast: bool,
    /// How long the outer fragments of a packet may take, and how many wait.
    pub reassembly: Limits,
    /// Of several workers: how much of the tunnel's flows one keeps of what comes in by its own queue, percent. `None`:
    /// what suits their number.
    pub keep_flows: Option<u8>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            batch: MAX_BATCH,
            idle: Idle::Spin,
            ageing: 32,
            fast: true,
            reassembly: Limits::default(),
            keep_flows: None,
        }
    }
}

/// So many panics of a worker without a whole turn in between are its last.
const MOST_FRUITLESS: u32 = 3;

/// Frames of the control thread that wait for a worker, at most.
const INJECT_QUEUE: usize = 64;

/// Queues taken away or opened anew that wait for a worker, at most.
const ADOPT_QUEUE: usize = 8;

/// What a running worker shows of itself.
#[derive(Clone)]
pub struct Handle {
    /// What the worker counts: verdicts and events.
    pub counters: Arc<CachePadded<Counters>>,
    /// Frames that the control thread wants sent.
    pub inject: Arc<ArrayQueue<Message>>,
    /// Turns so far, on the worker's own thread: one that stands still has no more of them.
    pub turns: Arc<AtomicU64>,
    /// Links that failed at their last sync, a bit for each [`LinkId`]: the interface is down or gone.
    pub failing: Arc<AtomicU64>,
    /// A queue of a link that was opened anew, in place of the one that the worker has; or none, where the
    /// interface is gone. Taken note of at the worker's next turn, in this order.
    pub adopt: Arc<ArrayQueue<(LinkId, Option<Queue>)>>,
    /// None where the worker never sleeps, or the system had no descriptors for it: then it sleeps but shortly.
    doorbell: Option<Arc<Doorbell>>,
}

impl Handle {
    /// Has the worker look at what was put into [`Self::inject`] and [`Self::adopt`], if it sleeps.
    pub fn wake(&self) {
        if let Some(doorbell) = &self.doorbell {
            doorbell.ring();
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("failing", &self.failing).finish_non_exhaustive()
    }
}

struct Input {
    link: LinkId,
    rx: RxRing,
    provider: Box<dyn Provider>,
    failing: bool,
}

impl Input {
    fn new(link: LinkId, rx: RxRing, provider: Box<dyn Provider>) -> Self {
        Self { link, rx, provider, failing: false }
    }

    /// Whether a sync worked; the first one that does not, and the first that does again, are told.
    fn note(&mut self, synced: io::Result<()>, failing: &AtomicU64) {
        if self.failing == synced.is_err() {
            return;
        }
        self.failing = synced.is_err();
        let bit = 1 << self.link.0;
        match self.failing {
            true => failing.fetch_or(bit, Ordering::Relaxed),
            false => failing.fetch_and(!bit, Ordering::Relaxed),
        };
    }
}

/// One thread's share of the router.
#[repr(align(128))]
pub struct Worker {
    id: usize,
    config: Config,
    inputs: Vec<Input>,
    /// Transmit rings by [`LinkId`]; none where the worker has no queue of the link.
    tx: Vec<Option<TxRing>>,
    path: Path,
    /// From the other workers, if there are any: frames of the link.
    handoff: Vec<(LinkId, HandoffRx)>,
    /// What wakes each of the workers that frames are handed off to, by its number.
    doorbells: Arc<[Arc<Doorbell>]>,
    spin: Spin,
    /// Sessions have ended that no turn has come to yet.
    behind: bool,
    snapshot: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    shared: Arc<Shared>,
    handle: Handle,
}

impl Worker {
    /// Worker number `id` (below [`MAX_WORKERS`](crate::shared::MAX_WORKERS); its reader number in every session table)
    /// with these queues.
    pub fn new(
        id: usize,
        queues: impl IntoIterator<Item = (LinkId, Queue)>,
        shared: &Arc<Shared>,
        config: Config,
    ) -> Self {
        let counters = Arc::new(CachePadded::new(Counters::default()));
        let (mut inputs, mut tx) = (Vec::new(), Vec::new());
        for (link, queue) in queues {
            tx.resize_with(tx.len().max(link.index() + 1), || None);
            tx[link.index()] = Some(queue.tx);
            inputs.push(Input::new(link, queue.rx, queue.provider));
        }
        Self {
            id,
            config: Config { batch: config.batch.clamp(1, MAX_BATCH), ..config },
            inputs,
            tx,
            path: Path::new(id, counters.clone(), shared.clone(), config.reassembly),
            handoff: Vec::new(),
            doorbells: Arc::new([]),
            spin: Spin::default(),
            behind: false,
            snapshot: Cache::new(shared.snapshot.clone()),
            shared: shared.clone(),
            handle: Handle {
                counters,
                inject: Arc::new(ArrayQueue::new(INJECT_QUEUE)),
                turns: Arc::default(),
                failing: Arc::default(),
                adopt: Arc::new(ArrayQueue::new(ADOPT_QUEUE)),
                doorbell: config.idle.sleeps().then(Doorbell::new).and_then(Result::ok).map(Arc::new),
            },
        }
    }

    /// This worker as one of several that share what comes in by one queue of the tunnel's link.
    #[must_use]
    pub fn with_handoff(mut self, rings: HandoffRings) -> Self {
        let HandoffRings { link, to, from, doorbells } = rings;
        self.path.set_handoff(Handoff::new(link, self.id, to, self.config.keep_flows));
        self.handoff = from.into_iter().map(|ring| (link, ring)).collect();
        self.handle.doorbell = doorbells.get(self.id).cloned();
        self.doorbells = doorbells;
        self
    }

    /// The numbers of the buffers in the handoff rings to this worker: tests see to it that none is lost.
    pub fn handoff_buffers(&self) -> impl Iterator<Item = u32> + '_ {
        self.handoff.iter().flat_map(|(_, ring)| ring.buffers())
    }

    /// What it shows of itself.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// One turn: a burst of every link, then one sync of every ring that got something to send.
    /// Returns how many frames were handled.
    pub fn turn(&mut self, now: Time) -> usize {
        while let Some((link, queue)) = self.handle.adopt.pop() {
            self.adopt(link, queue);
        }
        let snapshot = &**self.snapshot.load();
        for napt in napts(snapshot) {
            napt.quiescent(self.id);
        }
        if let Some(filter) = &snapshot.filter6 {
            filter.quiescent(self.id);
        }
        let mut frames = 0;
        for input in &mut self.inputs {
            // A link that cannot sync shows no new frames; the control thread sees to it.
            let synced = input.provider.sync_rx();
            input.note(synced, &self.handle.failing);
            let burst = Burst {
                snapshot,
                link: input.link,
                now,
                max: self.config.batch,
                fast: self.config.fast,
                handed_off: false,
            };
            frames += self.path.burst(burst, &mut input.rx, &mut self.tx);
        }
        for (link, ring) in &mut self.handoff {
            ring.sync();
            ring.rx.prefetch_slots(self.config.batch.min(ring.rx.available() as usize));
            let burst =
                Burst { snapshot, link: *link, now, max: self.config.batch, fast: self.config.fast, handed_off: true };
            let taken = self.path.burst(burst, &mut ring.rx, &mut self.tx);
            if taken > 0 {
                // Now, not in the next turn: whoever fills the ring may be out of slots.
                ring.give_back();
            }
            frames += taken;
        }
        let wanted = self.path.take_wanted();
        if wanted.control {
            self.shared.call();
        }
        if wanted.names {
            self.shared.call_names();
        }
        while let Some(message) = self.handle.inject.pop() {
            let tx = self.tx.get_mut(message.link.index()).and_then(Option::as_mut);
            let frame = message.frame();
            let sent = tx.is_some_and(|tx| tx.originate(frame.len(), |to| to.copy_from_slice(frame)).is_ok());
            self.handle.counters.note(if sent { Event::Injected } else { Event::InjectLost }, 1);
        }
        self.behind = false;
        for napt in napts(snapshot) {
            // Sessions end as fast as they are opened: under a flood of new ones a fixed number
            // would fall behind.
            self.behind |= !napt.age(now, self.config.ageing + frames / 4);
        }
        if let Some(filter) = &snapshot.filter6 {
            self.behind |= !filter.age(now, self.config.ageing + frames / 4);
        }
        self.path.expire(now);
        for (worker, ring) in self.path.handoff().into_iter().flat_map(Handoff::rings) {
            if ring.sync() {
                self.doorbells[worker].ring();
            }
            self.handle.counters.note(Event::Copied, ring.take_traffic().copied);
        }
        for input in &mut self.inputs {
            let Some(tx) = &mut self.tx[input.link.index()] else { continue };
            tx.publish();
            let Traffic { frames, bytes, shifted, copied } = tx.take_traffic();
            if frames > 0 {
                let counters = &self.handle.counters;
                counters.sent(input.link, frames, bytes);
                counters.note(Event::Shifted, shifted);
                counters.note(Event::Copied, copied);
            }
            if tx.pending() {
                let _ = input.provider.sync_tx();
            }
        }
        frames
    }

    /// Goes on with a link that was opened anew, or without it. What waited in its old rings is lost.
    #[cold]
    fn adopt(&mut self, link: LinkId, queue: Option<Queue>) {
        let Some(tx) = self.tx.get_mut(link.index()) else { return };
        let bit = 1 << link.0;
        if tx.take().is_some() {
            self.inputs.retain(|input| input.link != link);
            self.handle.failing.fetch_or(bit, Ordering::Relaxed);
            self.handle.counters.note(Event::QueueLost, 1);
        }
        let Some(queue) = queue else { return };
        *tx = Some(queue.tx);
        self.inputs.push(Input::new(link, queue.rx, queue.provider));
        self.handle.failing.fetch_and(!bit, Ordering::Relaxed);
        self.handle.counters.note(Event::QueueAdopted, 1);
    }

    /// Gives all frames that are held a verdict, as if their time had run out: the end of a replay.
    pub fn drain(&mut self) {
        self.path.drain();
    }

    /// Runs turns on a thread pinned to `core` until `stop`.
    ///
    /// After a panic it goes on, on the same thread and the same rings: what unwound is over, so nobody else has any of them
    /// in hand, and the frames that it had are lost ([`Event::WorkerPanicked`]). It does not go on, and the thread
    /// ends with the panic, where turns do nothing but panic, or a session table was left half changed. Whoever watches
    /// [`Handle::turns`] sees that.
    pub fn spawn(
        mut self,
        core: Option<usize>,
        stop: Arc<AtomicBool>,
        bursts: Bursts,
    ) -> io::Result<thread::JoinHandle<Self>> {
        thread::Builder::new().name(format!("worker-{}", self.id)).spawn(move || {
            if let Some(id) = core {
                core_affinity::set_for_current(core_affinity::CoreId { id });
            }
            let (mut bursts, mut fruitless) = (bursts, 0);
            loop {
                let turns = self.handle.turns.load(Ordering::Relaxed);
                let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run(&stop, &mut bursts))) else { break };
                fruitless = if self.handle.turns.load(Ordering::Relaxed) == turns { fruitless + 1 } else { 0 };
                self.recover();
                if fruitless == MOST_FRUITLESS || self.has_poisoned() {
                    self.offline();
                    resume_unwind(panic);
                }
            }
            self.offline();
            self
        })
    }

    fn run(&mut self, stop: &AtomicBool, bursts: &mut Bursts) {
        let mut now = self.shared.clock.now();
        let mut turns = self.handle.turns.load(Ordering::Relaxed);
        while !stop.load(Ordering::Relaxed) {
            let frames = self.turn(now);
            turns += 1;
            self.handle.turns.store(turns, Ordering::Relaxed);
            let after = self.shared.clock.now();
            if frames > 0 {
                self.spin.came(frames);
                bursts.record(after.since(now).as_nanos() as u64, frames as u64);
                now = after;
            } else {
                self.idle(after.since(now));
                now = self.shared.clock.now();
            }
        }
    }

    /// After a panic in a turn: gives the slots back that it had taken, and forgets what it held.
    #[cold]
    fn recover(&mut self) {
        let counters = self.handle.counters.clone();
        counters.note(Event::WorkerPanicked, 1);
        for input in &mut self.inputs {
            counters.received(input.link, input.rx.abandon().into(), 0);
        }
        for (_, ring) in &mut self.handoff {
            counters.note(Event::HandoffReceived, ring.rx.abandon().into());
            ring.give_back();
        }
        self.path.recover(self.config.reassembly);
    }

    /// After a turn without frames, which took so long.
    fn idle(&mut self, turn: Duration) {
        match self.config.idle {
            Idle::Spin => std::hint::spin_loop(),
            Idle::Yield => thread::yield_now(),
            Idle::Adaptive if self.spin.goes_on(turn) => std::hint::spin_loop(),
            Idle::Sleep | Idle::Adaptive => self.sleep(),
        }
    }

    fn sleep(&mut self) {
        let doorbell = self.handle.doorbell.clone();
        doorbell.iter().for_each(|doorbell| doorbell.arm());
        // What came before that rang no doorbell.
        let waits = !self.handle.inject.is_empty()
            || !self.handle.adopt.is_empty()
            || self.handoff.iter_mut().any(|(_, ring)| ring.waits());
        if !waits {
            self.offline();
            let came =
                hikyaku_ring::wait(self.wakers().chain(doorbell.iter().map(|d| d.descriptor())), self.patience());
            if !came {
                self.inputs.iter_mut().for_each(|input| input.provider.rested());
            }
        }
        doorbell.iter().for_each(|doorbell| doorbell.disarm());
    }

    /// How long it may sleep.
    fn patience(&self) -> Duration {
        let is_told = |input: &Input| input.failing || input.provider.descriptor().is_some();
        let is_sending = |input: &Input| self.tx[input.link.index()].as_ref().is_some_and(TxRing::pending);
        let is_quiet = self.handle.doorbell.is_some()
            && !self.behind
            && self.inputs.iter().all(|input| is_told(input) && (input.failing || !is_sending(input)));
        if is_quiet { SLEEP } else { NAP }
    }

    /// Whom to sleep for. Not for a link that fails: poll(2) says so at once, again and again, for as
    /// long as the interface is down.
    fn wakers(&self) -> impl Iterator<Item = RawFd> {
        self.inputs.iter().filter(|input| !input.failing).filter_map(|input| input.provider.descriptor())
    }

    /// Sleeping or ending: removed sessions need not wait for this worker.
    fn offline(&self) {
        let snapshot = self.snapshot.arc_swap().load();
        napts(&snapshot).for_each(|napt| napt.offline(self.id));
        snapshot.filter6.iter().for_each(|filter| filter.offline(self.id));
    }

    /// Whether a table of the newest snapshot was left half changed.
    fn has_poisoned(&self) -> bool {
        let snapshot = self.snapshot.arc_swap().load();
        napts(&snapshot).any(Napt::is_poisoned) || snapshot.filter6.iter().any(|filter| filter.is_poisoned())
    }
}

/// The session tables of a snapshot's tunnels.
fn napts(snapshot: &Snapshot) -> impl Iterator<Item = &Napt> {
    snapshot.softwires.iter().filter_map(|softwire| softwire.napt.as_deref())
}

/// The cores of these that this machine has not, or does not let us use. A thread that ends with the call tries them: those
/// that the caller runs on do not say which others it may take.
pub fn missing_cores(cores: &[usize]) -> Vec<usize> {
    let is_missing = |&id: &usize| !core_affinity::set_for_current(core_affinity::CoreId { id });
    thread::scope(|scope| {
        let tried = scope.spawn(|| cores.iter().copied().filter(is_missing).collect());
        tried.join().unwrap_or_default()
    })
}

/// How long bursts take and how many frames they have, one recorder per worker.
#[derive(Debug)]
pub struct Bursts {
    nanoseconds: Recorder<u64>,
    frames: Recorder<u64>,
}

/// What [`Bursts`] records, for whoever shows it.
#[derive(Debug)]
pub struct BurstReport {
    /// How long bursts took, nanoseconds.
    pub nanoseconds: hdrhistogram::SyncHistogram<u64>,
    /// How many frames bursts had.
    pub frames: hdrhistogram::SyncHistogram<u64>,
}

impl BurstReport {
    /// An empty report and a first recorder for it.
    pub fn new() -> (Self, Bursts) {
        let histogram = |high| -> hdrhistogram::SyncHistogram<u64> {
            Histogram::new_with_bounds(1, high, 2).expect("bounds are constants that suit").into()
        };
        let report = Self { nanoseconds: histogram(10_000_000_000), frames: histogram(1 << 20) };
        let bursts = report.recorder();
        (report, bursts)
    }

    /// Takes in what the recorders handed over since the last call, and asks them for what they have by
    /// now. They hand it over with their next burst, so nobody is waited for: call it now and then.
    pub fn refresh(&mut self) {
        self.nanoseconds.refresh_timeout(Duration::ZERO);
        self.frames.refresh_timeout(Duration::ZERO);
    }

    /// A recorder for another worker.
    pub fn recorder(&self) -> Bursts {
        Bursts { nanoseconds: self.nanoseconds.recorder(), frames: self.frames.recorder() }
    }
}

impl Bursts {
    fn record(&mut self, nanoseconds: u64, frames: u64) {
        self.nanoseconds.saturating_record(nanoseconds);
        self.frames.saturating_record(frames);
    }
}
