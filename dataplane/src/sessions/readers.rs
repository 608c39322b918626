//! When may a removed session's record be used again? When every worker has begun another burst
//! since: then none still holds its number (quiescent-state reclamation).
//!
//! A reader pays one load and one store per burst.

use crossbeam_utils::CachePadded;

use super::sync::{AtomicU64, Ordering, fence};

/// One worker's place among the readers of a table.
pub type ReaderId = usize;

/// Not reading at all.
const OFFLINE: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Readers {
    epoch: AtomicU64,
    seen: Box<[CachePadded<AtomicU64>]>,
}

impl Readers {
    pub fn new(count: usize) -> Self {
        Self { epoch: AtomicU64::new(0), seen: (0..count).map(|_| CachePadded::new(AtomicU64::new(OFFLINE))).collect() }
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.seen)
    }

    /// The reader holds no session number from before this call.
    #[inline(always)]
    pub fn quiescent(&self, reader: ReaderId) {
        // Acquire: what was unlinked before this epoch began is seen unlinked from here on.
        // Release: all reads of the last burst are done before the writer sees the new number.
        let seen = &self.seen[reader];
        let was = seen.load(Ordering::Relaxed);
        seen.store(self.epoch.load(Ordering::Acquire), Ordering::Release);
        if was == OFFLINE {
            // Either the writer sees that this reader is here, or this reader sees what it unlinked.
            fence(Ordering::SeqCst);
        }
    }

    /// The reader holds no session number and will call [`Self::quiescent`] before it looks one up.
    pub fn offline(&self, reader: ReaderId) {
        self.seen[reader].store(OFFLINE, Ordering::Release);
    }

    /// Begins a new epoch after some sessions were unlinked; when all readers have reached the
    /// number returned, nobody holds them.
    pub fn advance(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether all readers have reached `epoch`.
    pub fn all_reached(&self, epoch: u64) -> bool {
        // The other half of the fence in `quiescent`.
        fence(Ordering::SeqCst);
        self.seen.iter().all(|seen| seen.load(Ordering::Acquire) >= epoch)
    }
}
