//! When sessions end: a timing wheel of one-second slots, worked on in steps.

use hikyaku_ring::prefetch;

use super::SessionId;
use super::sync::{AtomicU8, AtomicU32, Ordering::Relaxed};

/// Seconds that one turn of the wheel takes. Longer waits come round again.
pub(crate) const SECONDS: usize = 256;

/// Sessions that ageing unlinks at a time, so that it can ask the cache ahead.
const BATCH: usize = 16;

/// A record that can hang in the wheel: where, and its neighbours there. Written by the holder of the table's lock only.
pub(crate) trait Record {
    /// The slot.
    fn slot(&self) -> &AtomicU8;
    /// The next session in the slot's list; 0 behind the last.
    fn next(&self) -> &AtomicU32;
    /// The one before it; 0 before the first.
    fn prev(&self) -> &AtomicU32;
}

/// The wheel: for each second of a turn the list of the sessions that may end then. Record 0 of `records` is nobody's:
/// it takes the writes that are for no neighbour.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// First session of each slot's list.
    first: [SessionId; SECONDS],
    /// The second whose slot is worked on.
    now: u32,
}

impl Wheel {
    /// Without sessions.
    pub fn new() -> Self {
        Self { first: [0; SECONDS], now: 0 }
    }

    /// Begins at this second; only while nothing hangs in it.
    pub fn begin(&mut self, now: u32) {
        self.now = now;
    }

    /// The second whose slot is worked on.
    #[inline(always)]
    pub fn now(&self) -> u32 {
        self.now
    }

    /// Whether a session hangs in it.
    pub fn holds<R: Record>(&self, records: &[R], id: SessionId) -> bool {
        let record = &records[id as usize];
        self.first[record.slot().load(Relaxed) as usize] == id || record.prev().load(Relaxed) != 0
    }

    /// Hangs a session into the slot of the second in which it may end, or of the last one
    /// before the wheel comes round.
    #[inline]
    pub fn hang<R: Record>(&mut self, records: &[R], id: SessionId, due: u32) {
        let due = due.clamp(self.now.saturating_add(1), self.now.saturating_add(SECONDS as u32 - 1));
        let record = &records[id as usize];
        let slot = due as usize % SECONDS;
        let next = self.first[slot];
        record.slot().store(slot as u8, Relaxed);
        record.prev().store(0, Relaxed);
        record.next().store(next, Relaxed);
        records[next as usize].prev().store(id, Relaxed);
        self.first[slot] = id;
    }

    /// Takes a session out.
    #[inline]
    pub fn take_out<R: Record>(&mut self, records: &[R], id: SessionId) {
        let record = &records[id as usize];
        let (prev, next) = (record.prev().load(Relaxed), record.next().load(Relaxed));
        if prev == 0 {
            self.first[record.slot().load(Relaxed) as usize] = next;
        } else {
            records[prev as usize].next().store(next, Relaxed);
        }
        // Record 0 takes the write when there is no next: nobody reads it.
        records[next as usize].prev().store(prev, Relaxed);
        record.prev().store(0, Relaxed);
    }
}

/// A table, for the holder of its lock, as ageing sees it.
pub(crate) trait Ageing {
    /// What its sessions are.
    type Record: Record;

    /// The wheel, and all records, with nobody's.
    fn parts(&mut self) -> (&mut Wheel, &[Self::Record]);

    /// The first second in which a session has been idle for longer than it may be.
    fn due(&self, id: SessionId) -> u32;

    /// Hangs a session in again that is not due yet.
    fn hang(&mut self, id: SessionId);

    /// Asks the cache for what [`Self::close`] will look at.
    fn prefetch(&self, id: SessionId);

    /// Ends a session, which hangs in the wheel no more.
    fn close(&mut self, id: SessionId);
}

/// Closes sessions that have been idle too long, and looks at `budget` of them at most; whether there is nothing left to
/// do until the next second.
#[inline]
pub(crate) fn age<A: Ageing>(table: &mut A, now: u32, budget: usize) -> bool {
    let (wheel, _) = table.parts();
    // After a jump in time one round of the wheel sees every session.
    wheel.now = wheel.now.max(now.saturating_sub(SECONDS as u32 - 1));
    let mut left = budget;
    let mut due = [0; BATCH];
    loop {
        let slot = table.parts().0.now as usize % SECONDS;
        // Two passes over a few sessions: the second finds in the cache what the first asked for.
        let mut n = 0;
        while n < BATCH && left > 0 {
            let (wheel, records) = table.parts();
            let id = wheel.first[slot];
            if id == 0 {
                break;
            }
            prefetch(&records[records[id as usize].next().load(Relaxed) as usize]);
            wheel.take_out(records, id);
            left -= 1;
            if table.due(id) > now {
                table.hang(id);
                continue;
            }
            table.prefetch(id);
            due[n] = id;
            n += 1;
        }
        due[..n].iter().for_each(|&id| table.close(id));
        let (wheel, _) = table.parts();
        if wheel.first[slot] == 0 && n < BATCH {
            if wheel.now >= now {
                return true;
            }
            wheel.now += 1;
        } else if left == 0 {
            return false;
        }
    }
}
