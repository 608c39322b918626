//! What a rule did, and how often it still may: written by any worker when a session would be opened, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hikyaku_net::Time;

use super::rule::Rate;

/// How often a rule decided, since it is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets that it let open a session.
    pub accepted: u64,
    /// Packets that it dropped or rejected.
    pub refused: u64,
    /// Packets that it would have accepted, had there not been too many.
    pub limited: u64,
}

/// The counters of a rule, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Counts {
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub limited: AtomicU64,
    /// When as much may be accepted at once again as ever, in [`Time`]'s nanoseconds.
    full: AtomicU64,
}

impl Counts {
    /// One more of what this counts.
    pub fn note(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Whether the rate has room for one more, which is then taken (the generic cell rate algorithm, ITU-T I.371).
    pub fn take(&self, rate: Rate, now: Time) -> bool {
        let [interval, now] = [rate.interval.as_nanos() as u64, now.0];
        let depth = interval.saturating_mul(rate.burst.into());
        let next = |full: u64| {
            let next = full.max(now).saturating_add(interval);
            (next - now <= depth).then_some(next)
        };
        self.full.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    pub fn get(&self) -> Counted {
        let [accepted, refused, limited] =
            [&self.accepted, &self.refused, &self.limited].map(|counter| counter.load(Relaxed));
        Counted { accepted, refused, limited }
    }
}
