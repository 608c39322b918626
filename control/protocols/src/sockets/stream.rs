//! A TCP connection as a thread of its own sees it: blocking, with timeouts.
//!
//! Bytes cross to the control thread and back in bounded channels. A full channel is backpressure: towards
//! the peer as a window that closes, towards the thread as a write that waits.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError, bounded};

/// Called by other threads when the control thread has something to do for them: it must make it call
/// [`crate::Machine::drive`] soon, and must not block.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Bytes that cross a channel in one piece, at most.
pub(super) const CHUNK: usize = 4096;

/// Pieces that wait in a channel, at most: with [`CHUNK`], 16 KiB each way.
const CHUNKS: usize = 4;

/// Requests for connections that wait for the control thread, at most.
const ASKS: usize = 8;

/// Why there is no connection, or no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer answered with a reset (RFC 9293 3.10.7.3).
    #[error("connection refused")]
    Refused,
    /// A router on the way said that it could not deliver.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The connection was not made within this time: nobody answered.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The peer ended the connection with a reset.
    #[error("connection reset by the peer")]
    Reset,
    /// Our address is not ours (any more).
    #[error("{0} is not an address of this router on the line")]
    NoAddress(Ipv6Addr),
    /// The peer is no unicast address, or its port is 0.
    #[error("{0} is not an address and port that one can connect to")]
    NoSuchPeer(SocketAddrV6),
    /// There are as many connections as there may be.
    #[error("{0} connections are open, which is the limit")]
    Busy(usize),
    /// The stack that carries connections is gone.
    #[error("the router is stopping")]
    Stopped,
}

impl From<StreamError> for io::Error {
    fn from(e: StreamError) -> Self {
        let kind = match e {
            StreamError::Refused => io::ErrorKind::ConnectionRefused,
            StreamError::Unreachable(_) => io::ErrorKind::HostUnreachable,
            StreamError::TimedOut(_) => io::ErrorKind::TimedOut,
            StreamError::Reset => io::ErrorKind::ConnectionReset,
            StreamError::NoAddress(_) => io::ErrorKind::AddrNotAvailable,
            StreamError::NoSuchPeer(_) => io::ErrorKind::InvalidInput,
            StreamError::Busy(_) => io::ErrorKind::ResourceBusy,
            StreamError::Stopped => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, e)
    }
}

/// A request for a connection, on its way to the control thread.
pub(super) struct Ask {
    pub(super) ours: Ipv6Addr,
    pub(super) theirs: SocketAddrV6,
    pub(super) timeout: Duration,
    pub(super) reply: Sender<Result<Stream, StreamError>>,
}

/// What both ends of the bridge look at.
#[derive(Default)]
pub(super) struct Shared {
    /// The thread has written its last byte: a FIN shall follow.
    pub(super) finished: AtomicBool,
    /// The thread has dropped its end.
    pub(super) gone: AtomicBool,
    /// Why the connection ended, if it did not end with the peer's FIN.
    pub(super) end: OnceLock<StreamError>,
}

/// The control thread's end of a stream.
pub(super) struct Bridge {
    /// `None` once the peer's last byte has been passed on.
    pub(super) to_user: Option<Sender<Vec<u8>>>,
    /// `None` once the thread's last byte was taken, or no more are wanted.
    pub(super) from_user: Option<Receiver<Vec<u8>>>,
    pub(super) shared: Arc<Shared>,
}

/// Opens connections. One for each thread that wants some.
#[derive(Clone)]
pub struct Connector {
    asks: Sender<Ask>,
    wake: Wake,
}

/// An open connection. Dropping it aborts it (RST), unless [`Stream::finish`] was called before.
pub struct Stream {
    from: Receiver<Vec<u8>>,
    /// Bytes to be sent; `None` after [`Stream::finish`].
    to: Option<Sender<Vec<u8>>>,
    /// A piece that was read in part, and how much of it.
    rest: (Vec<u8>, usize),
    shared: Arc<Shared>,
    wake: Wake,
}

impl Connector {
    /// And the place where its requests arrive.
    pub(super) fn new(wake: Wake) -> (Self, Receiver<Ask>) {
        let (asks, receiver) = bounded(ASKS);
        (Self { asks, wake }, receiver)
    }

    /// Without waiting for the answer.
    pub(super) fn ask(&self, ask: Ask) -> Result<(), StreamError> {
        match self.asks.try_send(ask) {
            Ok(()) => {
                (self.wake)();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(StreamError::Busy(ASKS)),
            Err(TrySendError::Disconnected(_)) => Err(StreamError::Stopped),
        }
    }

    /// Connects from `ours`, without waiting: the receiver will have the connection, or why there is none, within
    /// `timeout`.
    pub fn start(
        &self,
        ours: Ipv6Addr,
        theirs: SocketAddrV6,
        timeout: Duration,
    ) -> Result<Receiver<Result<Stream, StreamError>>, StreamError> {
        let (reply, answer) = bounded(1);
        self.ask(Ask { ours, theirs, timeout, reply })?;
        Ok(answer)
    }

    /// Connects from `ours`, blocking for at most `timeout`. Refused and unreachable say so at once.
    pub fn connect(&self, ours: Ipv6Addr, theirs: SocketAddrV6, timeout: Duration) -> Result<Stream, StreamError> {
        let answer = self.start(ours, theirs, timeout)?;
        match answer.recv_timeout(timeout) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(StreamError::TimedOut(timeout)),
            Err(RecvTimeoutError::Disconnected) => Err(StreamError::Stopped),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Stream {
    pub(super) fn new(wake: Wake) -> (Self, Bridge) {
        let ((to_user, from), (to, from_user)) = (bounded(CHUNKS), bounded(CHUNKS));
        let shared = Arc::<Shared>::default();
        let stream = Self { from, to: Some(to), rest: (Vec::new(), 0), shared: shared.clone(), wake };
        (stream, Bridge { to_user: Some(to_user), from_user: Some(from_user), shared })
    }

    /// Reads what there is, waiting for the first byte for at most `timeout`. Zero bytes are the end of
    /// the peer's data.
    pub fn read(&mut self, into: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if self.rest.1 == self.rest.0.len() {
            self.rest = match self.from.recv_timeout(timeout) {
                Ok(piece) => (piece, 0),
                Err(RecvTimeoutError::Timeout) => return Err(StreamError::TimedOut(timeout).into()),
                Err(RecvTimeoutError::Disconnected) => return self.end().map_or(Ok(0), |e| Err(e.into())),
            };
            // There is room for more now.
            (self.wake)();
        }
        let rest = &self.rest.0[self.rest.1..];
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        self.rest.1 += len;
        Ok(len)
    }

    /// Writes all of `bytes`, waiting for room for at most `timeout` each time. What was written may still
    /// be under way when this returns.
    pub fn write_all(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        let Some(to) = &self.to else { return Err(io::ErrorKind::BrokenPipe.into()) };
        for piece in bytes.chunks(CHUNK) {
            match to.send_timeout(piece.to_vec(), timeout) {
                Ok(()) => (self.wake)(),
                Err(SendTimeoutError::Timeout(_)) => return Err(StreamError::TimedOut(timeout).into()),
                Err(SendTimeoutError::Disconnected(_)) => {
                    return Err(self.end().map_or(io::ErrorKind::BrokenPipe.into(), io::Error::from));
                }
            }
        }
        Ok(())
    }

    /// No more bytes will be written: the peer is told so (FIN) behind the last of them. Reading goes on.
    pub fn finish(&mut self) {
        self.shared.finished.store(true, Ordering::Release);
        self.to = None;
        (self.wake)();
    }

    /// Why the peer's data ended; `None` if with a FIN.
    fn end(&self) -> Option<StreamError> {
        self.shared.end.get().cloned()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        self.to = None;
        (self.wake)();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("finished", &self.to.is_none()).finish_non_exhaustive()
    }
}
