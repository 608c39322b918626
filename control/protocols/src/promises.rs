//! Answers that wait until the lease that they promise is on disk: "commits the binding to persistent storage" comes before
//! "responds with a DHCPACK" (RFC 2131 3.1, step 4), and a DHCPv6 client, too, relies on its Reply.
//!
//! Leases are written as a whole, so one write makes good on all that changed before it, however many wait.

use std::collections::VecDeque;
use std::time::Duration;

use hikyaku_net::Time;

/// How long a disk may take before nothing waits for it: within the three seconds after which a client asks again at the
/// earliest (RFC 2131 4.1), and in DHCPv6 before most of its repetitions (RFC 8415 7.6: REQ_TIMEOUT 1 s, doubling).
const PATIENCE: Duration = Duration::from_secs(2);
/// What leases were promised, and how far the disk is behind.
#[derive(Debug)]
pub(crate) struct Promises<K, M> {
    /// How often leases changed.
    changes: u64,
    /// How many of these changes somebody was told to write.
    told: u64,
    /// Oldest first.
    waiting: VecDeque<Waiting<K, M>>,
    /// The disk takes nothing, or too late. A LAN without addresses would be worse than a lease that a restart forgets, so
    /// nothing waits until something is written again.
    is_failing: bool,
}

/// An answer that waits.
#[derive(Debug)]
struct Waiting<K, M> {
    /// The change that it promises.
    change: u64,
    since: Time,
    /// Who or what it is about: the last one counts.
    about: K,
    message: M,
}

impl<K, M> Default for Promises<K, M> {
    fn default() -> Self {
        Self { changes: 0, told: 0, waiting: VecDeque::new(), is_failing: false }
    }
}

impl<K: PartialEq, M> Promises<K, M> {
    /// A lease began, ended or is another.
    pub(crate) fn changed(&mut self) {
        self.changes += 1;
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Leases changed, and nobody was told to write them.
    pub(crate) fn is_untold(&self) -> bool {
        self.told != self.changes
    }

    /// Whether somebody is to be told now.
    pub(crate) fn tell(&mut self) -> bool {
        std::mem::replace(&mut self.told, self.changes) != self.changes
    }

    /// An answer for the last change; gives it back if it may leave at once.
    pub(crate) fn promise(&mut self, now: Time, about: K, message: M) -> Option<M> {
        if self.is_failing {
            return Some(message);
        }
        // Who asks again before it has its answer gets one.
        self.withdraw(&about);
        self.waiting.push_back(Waiting { change: self.changes, since: now, about, message });
        None
    }

    /// What was promised holds no more.
    pub(crate) fn withdraw(&mut self, about: &K) {
        self.waiting.retain(|waiting| waiting.about != *about);
    }

    /// All up to this change is on disk. What may leave now.
    pub(crate) fn saved(&mut self, change: u64) -> impl Iterator<Item = M> {
        self.is_failing = false;
        let on_disk = self.waiting.partition_point(|waiting| waiting.change <= change);
        self.waiting.drain(..on_disk).map(|waiting| waiting.message)
    }

    /// The disk does not take it. What may leave all the same.
    pub(crate) fn failed(&mut self) -> impl Iterator<Item = M> {
        self.is_failing = true;
        self.waiting.drain(..).map(|waiting| waiting.message)
    }

    /// When the oldest has waited for long enough.
    pub(crate) fn patience(&self) -> Option<Time> {
        self.waiting.front().map(|waiting| waiting.since + PATIENCE)
    }
}
