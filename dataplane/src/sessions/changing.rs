//! What changes of a table: by the holder of its one lock, who is never waited for by a lookup.

use std::sync::TryLockError;

use crossbeam_utils::CachePadded;

use super::sync::{AtomicU32, Mutex, MutexGuard, Ordering::Relaxed};

/// How many sessions there are, how far ageing is, and what only the holder of the lock touches. On cache lines of its
/// own, so that those which every lookup reads stay where they are.
#[derive(Debug)]
pub(crate) struct Changing<W>(CachePadded<Parts<W>>);

#[derive(Debug)]
struct Parts<W> {
    live: AtomicU32,
    /// The second up to which ageing has nothing left to do; [`NOT_AGED`] while it has.
    aged: AtomicU32,
    writer: Mutex<W>,
}

const NOT_AGED: u32 = u32::MAX;

impl<W> Changing<W> {
    /// Of a table without sessions.
    pub fn new(writer: W) -> Self {
        let parts = Parts { live: AtomicU32::new(0), aged: AtomicU32::new(NOT_AGED), writer: Mutex::new(writer) };
        Self(CachePadded::new(parts))
    }

    /// The lock. Who panicked with it may have left something half done: changes go on, for as long as it takes to end
    /// the process ([`Self::is_poisoned`]).
    pub fn lock(&self) -> MutexGuard<'_, W> {
        self.0.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The lock, if nobody has it and nobody panicked with it.
    pub fn lock_if_sound(&self) -> Option<MutexGuard<'_, W>> {
        self.0.writer.try_lock().ok()
    }

    /// Whether somebody panicked with the lock.
    pub fn is_poisoned(&self) -> bool {
        self.0.writer.lock().is_err()
    }

    /// How many sessions there are.
    pub fn live(&self) -> u32 {
        self.0.live.load(Relaxed)
    }

    /// There is one more. The caller holds the lock.
    pub fn opened(&self) {
        self.0.live.store(self.live() + 1, Relaxed);
    }

    /// There is one less, whose record waits. The caller holds the lock.
    pub fn closed(&self) {
        self.0.aged.store(NOT_AGED, Relaxed);
        self.0.live.store(self.live() - 1, Relaxed);
    }

    /// Has the lock's holder `age` the table, which answers whether nothing is left to do until the next second. Does nothing while
    /// somebody else holds the lock, and does not even ask for it where nothing is to be done. Whether all that is due
    /// is done, as far as can be seen.
    #[inline]
    pub fn age(&self, second: u32, age: impl FnOnce(&mut W) -> bool) -> bool {
        if self.0.aged.load(Relaxed) == second {
            return true;
        }
        let mut writer = match self.0.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return true,
        };
        let done = age(&mut writer);
        if done {
            self.0.aged.store(second, Relaxed);
        }
        done
    }
}
