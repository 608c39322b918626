//! ACKs that wait until the lease that they promise is on disk: "commits the binding to persistent storage" comes before
//! "responds with a DHCPACK" (RFC 2131 3.1, step 4).
//!
//! Leases are written as a whole, so one write makes good on all that changed before it, however many wait.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use hikyaku_net::Time;

/// How long a disk may take before nothing waits for it: within the three seconds after which a client asks again at the
/// earliest (RFC 2131 4.1).
const PATIENCE: Duration = Duration::from_secs(2);

/// What leases were promised, and how far the disk is behind.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// How often leases changed.
    changes: u64,
    /// How many of these changes somebody was told to write.
    told: u64,
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    /// The disk takes nothing, or too late. A LAN without addresses would be worse than a lease that a restart forgets, so
    /// nothing waits until something is written again.
    is_failing: bool,
}

/// An ACK that waits.
#[derive(Debug)]
struct Waiting {
    /// The change that it promises.
    change: u64,
    since: Time,
    address: Ipv4Addr,
    frame: Vec<u8>,
}

impl Promises {
    /// A lease began, ended or is another.
    pub(super) fn changed(&mut self) {
        self.changes += 1;
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Leases changed, and nobody was told to write them.
    pub(super) fn is_untold(&self) -> bool {
        self.told != self.changes
    }

    /// Whether somebody is to be told now.
    pub(super) fn tell(&mut self) -> bool {
        std::mem::replace(&mut self.told, self.changes) != self.changes
    }

    /// An ACK for the last change; gives it back if it may leave at once.
    pub(super) fn promise(&mut self, now: Time, address: Ipv4Addr, frame: Vec<u8>) -> Option<Vec<u8>> {
        if self.is_failing {
            return Some(frame);
        }
        // Who asks again before it has its answer gets one.
        self.withdraw(address);
        self.waiting.push_back(Waiting { change: self.changes, since: now, address, frame });
        None
    }

    /// The address is not leased any more.
    pub(super) fn withdraw(&mut self, address: Ipv4Addr) {
        self.waiting.retain(|waiting| waiting.address != address);
    }

    /// All up to this change is on disk. What may leave now.
    pub(super) fn saved(&mut self, change: u64) -> impl Iterator<Item = Vec<u8>> {
        self.is_failing = false;
        let on_disk = self.waiting.partition_point(|waiting| waiting.change <= change);
        self.waiting.drain(..on_disk).map(|waiting| waiting.frame)
    }

    /// The disk does not take it. What may leave all the same.
    pub(super) fn failed(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.is_failing = true;
        self.waiting.drain(..).map(|waiting| waiting.frame)
    }

    /// When the oldest has waited for long enough.
    pub(super) fn patience(&self) -> Option<Time> {
        self.waiting.front().map(|waiting| waiting.since + PATIENCE)
    }
}
