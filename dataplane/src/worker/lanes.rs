//! The lanes between the workers of a router, and the bell that wakes one who sleeps.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use hikyaku_ring::{LaneIn, LaneOut, LinkId, MIN_LANE_SLOTS, Queue, lane};

/// One worker's ends of the lanes to and from all others, for the frames of one link.
#[derive(Debug)]
pub struct Lanes {
    pub(super) link: LinkId,
    /// Lanes to others, by worker; none to itself.
    pub(super) to: Vec<Option<LaneOut>>,
    /// Lanes from others.
    pub(super) from: Vec<LaneIn>,
    /// By worker.
    pub(super) bells: Arc<[Bell]>,
}

impl Lanes {
    /// Lanes between the workers that have these queues of `link`, in their order, made of the queues' spare
    /// buffers.
    ///
    /// # Errors
    ///
    /// There are too few spare buffers, or the system has no memory or no sockets left.
    pub fn between(link: LinkId, queues: &mut [&mut Queue]) -> io::Result<Vec<Self>> {
        let n = queues.len();
        let bells: Arc<[Bell]> = (0..n).map(|_| Bell::new()).collect::<io::Result<_>>()?;
        let none = || Self { link, to: (0..n).map(|_| None).collect(), from: Vec::new(), bells: bells.clone() };
        let mut all: Vec<Self> = (0..n).map(|_| none()).collect();
        for (me, queue) in queues.iter_mut().enumerate() {
            let mut spare = std::mem::take(&mut queue.spare);
            let share = spare.len() / (n - 1).max(1);
            if n > 1 && share < MIN_LANE_SLOTS as usize {
                let text = format!("queue {me} has {} spare buffers for lanes to {} workers", spare.len(), n - 1);
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
            }
            for other in (0..n).filter(|&other| other != me) {
                let (out, to) = lane(&queue.rx, spare.take(share))?;
                all[me].to[other] = Some(out);
                all[other].from.push(to);
            }
        }
        Ok(all)
    }

    /// The numbers of the buffers that wait in the lanes to this worker: tests look.
    pub fn buffers(&self) -> impl Iterator<Item = u32> + '_ {
        self.from.iter().flat_map(LaneIn::buffers)
    }
}

/// Wakes a worker that sleeps in `poll(2)`.
#[derive(Debug)]
pub(super) struct Bell {
    asleep: AtomicBool,
    rope: UnixDatagram,
    clapper: UnixDatagram,
}

impl Bell {
    fn new() -> io::Result<Self> {
        let (rope, clapper) = UnixDatagram::pair()?;
        rope.set_nonblocking(true)?;
        clapper.set_nonblocking(true)?;
        Ok(Self { asleep: AtomicBool::new(false), rope, clapper })
    }

    /// Wakes the worker, if it sleeps. A system call only then.
    pub fn ring(&self) {
        // What was put into a lane is seen by whoever is not yet seen to sleep.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            let _ = self.rope.send(&[0]);
        }
    }

    /// The worker is going to sleep; it looks for work once more after this.
    pub fn doze(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The worker is awake.
    pub fn wake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
        while self.clapper.recv(&mut [0; 8]).is_ok() {}
    }

    /// For `poll(2)`.
    pub fn descriptor(&self) -> RawFd {
        self.clapper.as_raw_fd()
    }
}
