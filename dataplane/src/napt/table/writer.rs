//! What only one worker at a time does to the table: giving out records, and ending sessions whose
//! time has run out.

use std::collections::VecDeque;

use hikyaku_net::{Port, protocol};
use hikyaku_ring::prefetch;
use rand::rngs::StdRng;

use super::Napt;
use crate::napt::forwards::Forwards;
use crate::napt::hosts::Hosts;
use crate::napt::key::{Hash, Kind};
use crate::napt::ports::{Ports, plane};
use crate::napt::readers::Readers;
use crate::napt::session::{Claim, Session, SessionId};
use crate::napt::sync::Ordering::Relaxed;
use crate::napt::timeouts::Timeouts;

/// Seconds that one turn of the timing wheel takes. Longer waits come round again.
pub(super) const WHEEL: usize = 256;

/// Fewer ports or places than this are few: a share of an address, a table for a small network.
const FEW: u32 = 1 << 14;

/// Sessions that the ageing unlinks at a time, so that it can ask the cache ahead.
const EXPIRY_BATCH: usize = 16;

/// While a record is taken, the one so many places behind it is on its way.
const FREE_AHEAD: usize = 4;

/// What only the holder of the lock touches.
#[derive(Debug)]
pub(super) struct Writer {
    /// Records nobody uses. The front is the longest unused.
    pub(super) free: VecDeque<SessionId>,
    /// How many at the front of `free` no reader can still hold.
    pub(super) ready: usize,
    /// How many behind those wait for all readers to reach an epoch.
    pub(super) sealed: (usize, u64),
    pub(super) ports: Ports,
    pub(super) forwards: Forwards,
    /// Where a host may have only so many sessions.
    pub(super) hosts: Option<Hosts>,
    /// Of TCP, UDP and ICMP.
    pub(super) tallies: [Tally; 3],
    pub(super) exhausted: Exhausted,
    /// First session of each slot's list.
    pub(super) wheel: [SessionId; WHEEL],
    /// The second whose slot is worked on.
    pub(super) wheel_now: u32,
    pub(super) rng: StdRng,
    pub(super) created: u64,
    pub(super) expired: u64,
}

/// What is counted of each protocol's ports.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Ports of static mappings.
    pub(super) reserved: u32,
    /// Sessions that share a port.
    pub(super) shared: u32,
    /// Sessions of static mappings.
    forwarded: u32,
    /// Packets for which there was no port.
    pub(super) refused: u64,
    /// Packets of hosts that had their share.
    pub(super) limited: u64,
}

impl Tally {
    /// Whether there are sessions outside of mappings, so that one may be in the way of another.
    pub(super) fn are_apart(&self) -> bool {
        self.shared + self.forwarded != 0
    }

    pub(super) fn add(&mut self, claim: Claim) {
        self.shared += u32::from(claim == Claim::Shared);
        self.forwarded += u32::from(claim == Claim::Forwarded);
    }

    pub(super) fn remove(&mut self, claim: Claim) {
        self.shared -= u32::from(claim == Claim::Shared);
        self.forwarded -= u32::from(claim == Claim::Forwarded);
    }
}

/// Peers towards whom no port was left: whoever insists costs one look, and not one at every port,
/// until a session has ended or a second is over. And how many searches of a second went to the end, since there
/// may be more such peers than are remembered.
#[derive(Debug, Default)]
pub(super) struct Exhausted {
    /// With how many sessions had ended by then, and the second: within one the lower half of that number says it.
    peers: [(Hash, u32, u32); 32],
    second: u32,
    to_the_end: u32,
}

/// Searches to the end that a second may have before the next are shorter.
const MOST_TO_THE_END: u32 = 256;

impl Exhausted {
    /// Whether no port was found towards this peer in this second, with as many sessions `ended` as now.
    pub(super) fn knows(&self, peer: Hash, ended: u64, now: u32) -> bool {
        self.peers[peer.flow_label() as usize % self.peers.len()] == (peer, ended as u32, now)
    }

    /// Notes that no port was found towards this peer: that stands until a session or the second has ended.
    pub(super) fn note(&mut self, peer: Hash, ended: u64, now: u32) {
        self.peers[peer.flow_label() as usize % self.peers.len()] = (peer, ended as u32, now);
    }

    /// A search went to the end.
    pub(super) fn count(&mut self, now: u32) {
        (self.second, self.to_the_end) = (now, if self.second == now { self.to_the_end + 1 } else { 1 });
    }

    /// Whether there were enough of them in this second.
    pub(super) fn is_swamped(&self, now: u32) -> bool {
        self.second == now && self.to_the_end >= MOST_TO_THE_END
    }
}

impl Writer {
    /// What is counted of a protocol's ports, if it has any.
    pub(super) fn tally(&mut self, protocol: u8) -> Option<&mut Tally> {
        (!protocol::is_by_address(protocol)).then(|| &mut self.tallies[plane(protocol)])
    }

    /// The last session of a port is gone: whoever wants may have it, unless it is forwarded.
    pub(super) fn release(&mut self, protocol: u8, port: Port) {
        if !protocol::is_by_address(protocol) && self.forwards.inside(protocol, port).is_none() {
            self.ports.give_back(protocol, port);
        }
    }

    /// A record that no reader can still hold.
    pub(super) fn allocate(&mut self, napt: &Napt) -> Option<SessionId> {
        if self.ready == 0 {
            self.reclaim(&napt.readers);
        }
        // In a burst of new flows there soon follows another.
        if let Some(&soon) = self.free.get(FREE_AHEAD) {
            prefetch(napt.session(soon));
        }
        (self.ready > 0).then(|| {
            self.ready -= 1;
            self.free.pop_front().expect("ready counts the front of free")
        })
    }

    /// Puts back a record that was never findable.
    pub(super) fn unallocate(&mut self, id: SessionId) {
        self.free.push_front(id);
        self.ready += 1;
    }

    /// Moves removed records on: sealed ones become ready when all readers have passed their
    /// epoch, and those removed since are sealed with a new one.
    pub(super) fn reclaim(&mut self, readers: &Readers) {
        let (sealed, epoch) = self.sealed;
        if sealed > 0 {
            if !readers.all_reached(epoch) {
                return;
            }
            self.ready += sealed;
            self.sealed = (0, 0);
        }
        let removed = self.free.len() - self.ready;
        if removed > 0 {
            self.sealed = (removed, readers.advance());
        }
    }

    pub(super) fn is_linked(&self, napt: &Napt, id: SessionId) -> bool {
        let session = napt.session(id);
        let slot = session.wheel_slot.load(Relaxed) as usize;
        self.wheel[slot] == id || session.wheel_prev.load(Relaxed) != 0
    }

    /// Hangs a session into the slot of the second in which it may expire, or of the last one
    /// before the wheel comes round.
    pub(super) fn schedule(&mut self, napt: &Napt, id: SessionId) {
        let session = napt.session(id);
        let now = self.wheel_now;
        let question = session.is_question();
        let look = if question { self.next_look(napt, session) } else { u32::MAX };
        let due = self
            .due_of(napt, session, question)
            .min(look)
            .clamp(now.saturating_add(1), now.saturating_add(WHEEL as u32 - 1));
        let slot = due as usize % WHEEL;
        let next = self.wheel[slot];
        session.wheel_slot.store(slot as u8, Relaxed);
        session.wheel_prev.store(0, Relaxed);
        session.wheel_next.store(next, Relaxed);
        napt.session(next).wheel_prev.store(id, Relaxed);
        self.wheel[slot] = id;
    }

    pub(super) fn unschedule(&mut self, napt: &Napt, id: SessionId) {
        let session = napt.session(id);
        let (prev, next) = (session.wheel_prev.load(Relaxed), session.wheel_next.load(Relaxed));
        if prev == 0 {
            self.wheel[session.wheel_slot.load(Relaxed) as usize] = next;
        } else {
            napt.session(prev).wheel_next.store(next, Relaxed);
        }
        // Record 0 takes the write when there is no next: nobody reads it.
        napt.session(next).wheel_prev.store(prev, Relaxed);
        session.wheel_prev.store(0, Relaxed);
    }

    /// The first second in which a session has been idle for longer than its timeout.
    pub(super) fn due(&self, napt: &Napt, id: SessionId) -> u32 {
        let session = napt.session(id);
        self.due_of(napt, session, session.is_question())
    }

    #[inline(always)]
    fn due_of(&self, napt: &Napt, session: &Session, question: bool) -> u32 {
        let timeout = napt.timeouts.of(session, session.state(), question && self.is_scarce(napt));
        session.last().saturating_add(timeout).saturating_add(1)
    }

    /// Whether ports or places are scarce, so that questions that are over must make room: there are few, or three quarters are
    /// in use.
    #[cold]
    fn is_scarce(&self, napt: &Napt) -> bool {
        let (live, capacity) = (napt.changing.live.load(Relaxed), napt.capacity());
        self.ports.size().min(capacity) < FEW
            || self.ports.left(plane(protocol::UDP)) <= self.ports.size() / 4
            || live >= capacity - capacity / 4
    }

    /// When to see whether a question has got its answer, or whether there is little room now: nothing else tells the ageing.
    #[cold]
    fn next_look(&self, napt: &Napt, session: &Session) -> u32 {
        let Timeouts { udp_answered, udp_query, .. } = napt.timeouts;
        let soon = if self.is_scarce(napt) { udp_answered } else { udp_query };
        self.wheel_now.max(session.last()).saturating_add(soon).saturating_add(1)
    }

    /// See [`Napt::age`]; whether there is nothing left to do until the next second.
    pub(super) fn age(&mut self, napt: &Napt, now: u32, budget: usize) -> bool {
        // After a jump in time one round of the wheel sees every session.
        self.wheel_now = self.wheel_now.max(now.saturating_sub(WHEEL as u32 - 1));
        let mut left = budget;
        let done = loop {
            let slot = self.wheel_now as usize % WHEEL;
            // Two passes over a few sessions: the second finds in the cache what the first asked for.
            let mut due = [0; EXPIRY_BATCH];
            let mut n = 0;
            while n < EXPIRY_BATCH && left > 0 && self.wheel[slot] != 0 {
                let id = self.wheel[slot];
                prefetch(napt.session(napt.session(id).wheel_next.load(Relaxed)));
                self.unschedule(napt, id);
                left -= 1;
                if self.due(napt, id) > now {
                    self.schedule(napt, id);
                    continue;
                }
                for kind in [Kind::Outbound, Kind::Inbound] {
                    napt.prefetch(napt.hash(&napt.session(id).key(kind)), kind);
                }
                due[n] = id;
                n += 1;
            }
            due[..n].iter().for_each(|&id| napt.close(self, id));
            if self.wheel[slot] == 0 && n < EXPIRY_BATCH {
                if self.wheel_now >= now {
                    break true;
                }
                self.wheel_now += 1;
            } else if left == 0 {
                break false;
            }
        };
        self.reclaim(&napt.readers);
        done && self.ready == self.free.len()
    }
}
