//! Who moves frames between a queue and the world.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// What moves slots between a queue and the world: one call per burst, never one per packet.
pub trait Provider: Send {
    /// Sends what [`TxRing::publish`](crate::TxRing::publish) handed over and frees the slots of frames already sent.
    fn sync_tx(&mut self) -> io::Result<()>;

    /// Takes back released receive slots and shows newly received frames.
    fn sync_rx(&mut self) -> io::Result<()>;

    /// Something to `poll(2)` for input while the worker sleeps, where there is such a thing.
    fn descriptor(&self) -> Option<RawFd> {
        None
    }

    /// The worker slept and nothing came: the next sync is the time to see whether the interface is still there.
    fn rested(&mut self) {}
}

/// Sleeps until one of `descriptors` has input, or for `timeout`. Whether there was any.
pub fn wait(descriptors: impl Iterator<Item = RawFd>, timeout: Duration) -> bool {
    let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<_> = descriptors.map(poll).collect();
    let milliseconds = timeout.as_millis().min(i32::MAX as u128) as i32;
    // SAFETY: `polled` is an array of that many entries. A descriptor that was closed meanwhile is
    // answered in its entry; an error or a signal ends the sleep early, which is harmless.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, milliseconds) > 0 }
}
