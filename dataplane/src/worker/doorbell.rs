//! What wakes a worker that sleeps: another worker that handed it frames, the control thread.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Wakes a worker that sleeps in `poll(2)`.
#[derive(Debug)]
pub(super) struct Doorbell {
    asleep: AtomicBool,
    tx: UnixDatagram,
    rx: UnixDatagram,
}

impl Doorbell {
    pub fn new() -> io::Result<Self> {
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
