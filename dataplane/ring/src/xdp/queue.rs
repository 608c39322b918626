//! The provider of a queue: what is moved and what the kernel is told, once per sync.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::exchange::Exchange;
use super::socket::{Socket, statistics};
use super::umem::{Place, Umem};
use crate::provider::Provider;

/// Frames that the kernel sends for one call, in copy mode.
const FRAMES_PER_KICK: u32 = 32;

/// After so many syncs without a frame the kernel is asked how the interface is: a call in 256 costs
/// an idle worker little, nobody else would notice on a quiet link, and a worker is not held up by
/// calls for a link that is down.
const QUIET: u32 = 256;

/// A queue's socket and the buffers it moves.
pub(super) struct XdpQueue {
    exchange: Exchange,
    /// `None` once the interface is gone.
    socket: Option<Socket>,
    seat: Arc<Seat>,
    /// Syncs since a frame came, or the kernel was asked.
    quiet: u32,
    /// The interface is down or gone, as far as is known.
    failure: Option<i32>,
    /// Most calls to send what waits.
    kicks: u32,
}

impl XdpQueue {
    pub fn new(place: Place, mut socket: Socket, umem: &Umem) -> Self {
        let seat = Arc::<Seat>::default();
        let mut exchange = Exchange::new(place, umem.buf_size().ilog2(), umem.limit(), seat.strays.clone());
        exchange.begin(&mut socket.fill);
        seat.shared().now = socket.weak();
        let kicks = umem.slots() / FRAMES_PER_KICK + 1;
        Self { exchange, socket: Some(socket), seat, quiet: 0, failure: None, kicks }
    }

    /// Where a new socket is put when this one's interface is gone.
    pub fn seat(&self) -> Arc<Seat> {
        self.seat.clone()
    }

    /// What a call to the kernel said of the interface. One that is gone never comes back to this
    /// socket.
    fn judge(&mut self, result: io::Result<()>) -> io::Result<()> {
        self.failure = result.err().map(|error| error.raw_os_error().unwrap_or(libc::EIO));
        if let Some(libc::ENXIO | libc::ENODEV | libc::EBADF) = self.failure {
            self.socket = None;
            self.seat.set(State::Gone);
        }
        self.state()
    }

    fn state(&self) -> io::Result<()> {
        self.failure.map_or(Ok(()), |error| Err(io::Error::from_raw_os_error(error)))
    }

    /// Takes the new socket, if there is one.
    fn begin_again(&mut self) -> io::Result<()> {
        let Some(mut socket) = self.seat.take() else { return self.state() };
        self.exchange.begin(&mut socket.fill);
        (self.quiet, self.failure) = (0, None);
        self.socket = Some(socket);
        self.seat.set(State::Open);
        Ok(())
    }
}

/// Calls until the transmit ring is empty, or the kernel takes no more just now.
fn send(socket: &mut Socket, kicks: u32) -> io::Result<()> {
    for _ in 0..kicks {
        let waiting = socket.tx.waiting();
        if waiting == 0 || !socket.tx.needs_wakeup() {
            break;
        }
        socket.kick_tx()?;
        if socket.tx.waiting() == waiting {
            break;
        }
    }
    Ok(())
}

impl Provider for XdpQueue {
    fn sync_tx(&mut self) -> io::Result<()> {
        let Some(socket) = &mut self.socket else { return self.state() };
        self.exchange.transmit(&mut socket.tx);
        let sent = match self.failure {
            None => Some(send(socket, self.kicks)),
            Some(_) => None,
        };
        self.exchange.complete(&mut socket.completion);
        match sent {
            Some(result) => self.judge(result),
            None => self.state(),
        }
    }

    fn sync_rx(&mut self) -> io::Result<()> {
        let Some(socket) = &mut self.socket else { return self.begin_again() };
        self.exchange.refill(&mut socket.fill);
        if self.exchange.receive(&mut socket.rx) > 0 {
            (self.quiet, self.failure) = (0, None);
        } else {
            self.quiet += 1;
        }
        if self.quiet < QUIET && !socket.fill.needs_wakeup() {
            return self.state();
        }
        self.quiet = 0;
        let result = socket.kick_rx();
        self.judge(result)
    }

    fn descriptor(&self) -> Option<RawFd> {
        self.socket.as_ref().map(Socket::descriptor)
    }

    fn rested(&mut self) {
        self.quiet = QUIET;
    }
}

impl Drop for XdpQueue {
    fn drop(&mut self) {
        // First, so that the kernel has no buffers when they are given back.
        self.socket = None;
        self.exchange.end();
    }
}

/// What a queue and its link's [`Watch`](super::Watch) have in common.
#[derive(Default)]
pub(super) struct Seat {
    state: AtomicU8,
    /// Descriptors that the kernel gave back and that were nobody's, counted by [`Exchange`].
    strays: Arc<AtomicU64>,
    sockets: Mutex<Sockets>,
}

#[derive(Default)]
struct Sockets {
    /// The socket that the queue has now, gone when the link was closed.
    now: Weak<OwnedFd>,
    /// The one that waits for the queue.
    next: Option<Socket>,
}

/// What became of a queue's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Open,
    Gone,
    /// A new one waits.
    Ready,
}

impl Seat {
    /// Whether the queue has let go of its socket and waits for a new one.
    pub fn is_gone(&self) -> bool {
        self.is(State::Gone)
    }

    /// A socket for the queue to go on with.
    pub fn offer(&self, socket: Socket) {
        self.shared().next = Some(socket);
        self.set(State::Ready);
    }

    fn take(&self) -> Option<Socket> {
        if !self.is(State::Ready) {
            return None;
        }
        let mut sockets = self.shared();
        let socket = sockets.next.take()?;
        sockets.now = socket.weak();
        Some(socket)
    }

    /// Buffers that the kernel returned though it did not have them.
    pub fn strays(&self) -> u64 {
        self.strays.load(Ordering::Relaxed)
    }

    /// What the kernel counted at the queue's socket, if it has one.
    pub fn statistics(&self) -> Option<libc::xdp_statistics> {
        let socket = self.shared().now.upgrade()?;
        statistics(&socket).ok()
    }

    fn shared(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, state: State) -> bool {
        self.state.load(Ordering::Acquire) == state as u8
    }

    fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }
}
