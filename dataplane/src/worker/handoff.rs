//! The handoff rings between the workers of a router, and the doorbell that wakes one who sleeps.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use hikyaku_ring::{HandoffRx, HandoffTx, LinkId, MIN_HANDOFF_SLOTS, Queue, handoff_ring};

/// One worker's ends of the handoff rings to and from all others, for the frames of one link.
#[derive(Debug)]
pub struct HandoffRings {
    pub(super) link: LinkId,
    /// Rings to others, by worker; none to itself.
    pub(super) to: Vec<Option<HandoffTx>>,
    /// The rings that others hand off into.
    pub(super) from: Vec<HandoffRx>,
    /// What wakes each worker that sleeps, by its number.
    pub(super) doorbells: Arc<[Doorbell]>,
}

impl HandoffRings {
    /// Rings between the workers that have these queues of `link`, in their order, made of the queues' spare
    /// buffers.
    ///
    /// # Errors
    ///
    /// There are too few spare buffers, or the system has no memory or no sockets left.
    pub fn between(link: LinkId, queues: &mut [&mut Queue]) -> io::Result<Vec<Self>> {
        let n = queues.len();
        let doorbells: Arc<[Doorbell]> = (0..n).map(|_| Doorbell::new()).collect::<io::Result<_>>()?;
        let none = || Self { link, to: (0..n).map(|_| None).collect(), from: Vec::new(), doorbells: doorbells.clone() };
        let mut all: Vec<Self> = (0..n).map(|_| none()).collect();
        for (me, queue) in queues.iter_mut().enumerate() {
            let mut spare = std::mem::take(&mut queue.spare);
            let share = spare.len() / (n - 1).max(1);
            if n > 1 && share < MIN_HANDOFF_SLOTS as usize {
                let text =
                    format!("queue {me} has {} spare buffers for handoff rings to {} workers", spare.len(), n - 1);
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
            }
            for other in (0..n).filter(|&other| other != me) {
                let (out, to) = handoff_ring(&queue.rx, spare.take(share))?;
                all[me].to[other] = Some(out);
                all[other].from.push(to);
            }
        }
        Ok(all)
    }
}

/// Wakes a worker that sleeps in `poll(2)`.
#[derive(Debug)]
pub(super) struct Doorbell {
    asleep: AtomicBool,
    tx: UnixDatagram,
    rx: UnixDatagram,
}

impl Doorbell {
    fn new() -> io::Result<Self> {
        let (tx, rx) = UnixDatagram::pair()?;
        tx.set_nonblocking(true)?;
        rx.set_nonblocking(true)?;
        Ok(Self { asleep: AtomicBool::new(false), tx, rx })
    }

    /// Wakes the worker, if it sleeps. A system call only then.
    pub fn ring(&self) {
        // What was put into a ring is seen by whoever is not yet seen to sleep.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            let _ = self.tx.send(&[0]);
        }
    }

    /// The worker is going to sleep; it looks for work once more after this.
    pub fn arm(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The worker is awake.
    pub fn disarm(&self) {
        self.asleep.store(false, Ordering::Relaxed);
        while self.rx.recv(&mut [0; 8]).is_ok() {}
    }

    /// A descriptor that has input once it was rung, for `poll(2)`.
    pub fn descriptor(&self) -> RawFd {
        self.rx.as_raw_fd()
    }
}
