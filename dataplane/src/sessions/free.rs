//! Records that nobody uses, and when one that was used may be used again.

use std::collections::VecDeque;

use hikyaku_ring::prefetch;

use super::SessionId;
use super::readers::Readers;

/// While a record is taken, the one so many places behind it is on its way.
const AHEAD: usize = 4;

/// The numbers of free records, the longest unused first.
#[derive(Debug)]
pub(crate) struct Free {
    all: VecDeque<SessionId>,
    /// How many at the front no reader can still hold.
    ready: usize,
    /// How many behind those wait for all readers to reach an epoch.
    sealed: (usize, u64),
}

impl Free {
    /// Records 1 to `n`, all free.
    pub fn new(n: u32) -> Self {
        Self { all: (1..=n).collect(), ready: n as usize, sealed: (0, 0) }
    }

    /// A record that no reader can still hold.
    #[inline]
    pub fn take<R>(&mut self, records: &[R], readers: &Readers) -> Option<SessionId> {
        if self.ready == 0 {
            self.reclaim(readers);
        }
        // In a burst of new flows there soon follows another.
        if let Some(&soon) = self.all.get(AHEAD) {
            prefetch(&records[soon as usize]);
        }
        (self.ready > 0).then(|| {
            self.ready -= 1;
            self.all.pop_front().expect("ready counts the front")
        })
    }

    /// Puts back a record that was never findable.
    pub fn untake(&mut self, id: SessionId) {
        self.all.push_front(id);
        self.ready += 1;
    }

    /// The record is in the index no more; readers may still hold its number.
    pub fn give_back(&mut self, id: SessionId) {
        self.all.push_back(id);
    }

    /// Moves records on: sealed ones become ready when all readers have passed their
    /// epoch, and those given back since are sealed with a new one.
    pub fn reclaim(&mut self, readers: &Readers) {
        let (sealed, epoch) = self.sealed;
        if sealed > 0 {
            if !readers.all_reached(epoch) {
                return;
            }
            self.ready += sealed;
            self.sealed = (0, 0);
        }
        let given_back = self.all.len() - self.ready;
        if given_back > 0 {
            self.sealed = (given_back, readers.advance());
        }
    }

    /// Whether every free record may be used.
    pub fn all_ready(&self) -> bool {
        self.ready == self.all.len()
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<SessionId>()
    }
}
