//! What only one worker at a time does to the table: giving out records, and ending sessions whose
//! time has run out.

use hikyaku_net::{Port, protocol};
use rand::rngs::StdRng;

use super::Napt;
use crate::napt::forwards::Forwards;
use crate::napt::hosts::Hosts;
use crate::napt::ports::{Ports, plane};
use crate::napt::session::{Claim, Session};
use crate::sessions::SessionId;
use crate::sessions::free::Free;
use crate::sessions::hash::{Hash, Kind};
use crate::sessions::timeouts::Timeouts;
use crate::sessions::wheel::{self, Wheel};

/// Fewer ports or places than this are few: a share of an address, a table for a small network.
const FEW: u32 = 1 << 14;

/// What only the holder of the lock touches.
#[derive(Debug)]
pub(super) struct Writer {
    /// Records nobody uses.
    pub(super) free: Free,
    pub(super) ports: Ports,
    pub(super) forwards: Forwards,
    /// Where a host may have only so many sessions.
    pub(super) hosts: Option<Hosts>,
    /// Of TCP, UDP and ICMP.
    pub(super) tallies: [Tally; 3],
    pub(super) exhausted: Exhausted,
    /// When sessions end.
    pub(super) wheel: Wheel,
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

    /// Hangs a session into the wheel: for the second in which it may expire, or in which something about it
    /// may have changed.
    pub(super) fn schedule(&mut self, napt: &Napt, id: SessionId) {
        let session = napt.session(id);
        let question = session.is_question();
        let look = if question { self.next_look(napt, session) } else { u32::MAX };
        let due = self.due_of(napt, session, question).min(look);
        self.wheel.hang(&napt.sessions, id, due);
    }

    #[inline(always)]
    fn due_of(&self, napt: &Napt, session: &Session, question: bool) -> u32 {
        let question = (question && self.is_scarce(napt)).then(|| session.packets());
        let timeout = napt.timeouts.of(session.protocol(), session.state(), question);
        session.last().saturating_add(timeout).saturating_add(1)
    }

    /// Whether ports or places are scarce, so that questions that are over must make room: there are few, or three quarters are
    /// in use.
    #[cold]
    fn is_scarce(&self, napt: &Napt) -> bool {
        let (live, capacity) = (napt.changing.live(), napt.capacity());
        self.ports.size().min(capacity) < FEW
            || self.ports.left(plane(protocol::UDP)) <= self.ports.size() / 4
            || live >= capacity - capacity / 4
    }

    /// When to see whether a question has got its answer, or whether there is little room now: nothing else tells the ageing.
    #[cold]
    fn next_look(&self, napt: &Napt, session: &Session) -> u32 {
        let Timeouts { udp_answered, udp_query, .. } = napt.timeouts;
        let soon = if self.is_scarce(napt) { udp_answered } else { udp_query };
        self.wheel.now().max(session.last()).saturating_add(soon).saturating_add(1)
    }

    /// See [`Napt::age`]; whether there is nothing left to do until the next second.
    pub(super) fn age(&mut self, napt: &Napt, now: u32, budget: usize) -> bool {
        let done = wheel::age(&mut Locked { napt, writer: self }, now, budget);
        self.free.reclaim(&napt.readers);
        done && self.free.all_ready()
    }
}

/// The table as the holder of its lock sees it.
struct Locked<'a> {
    napt: &'a Napt,
    writer: &'a mut Writer,
}

impl wheel::Ageing for Locked<'_> {
    type Record = Session;

    fn parts(&mut self) -> (&mut Wheel, &[Session]) {
        (&mut self.writer.wheel, &self.napt.sessions)
    }

    fn due(&self, id: SessionId) -> u32 {
        let session = self.napt.session(id);
        self.writer.due_of(self.napt, session, session.is_question())
    }

    fn hang(&mut self, id: SessionId) {
        self.writer.schedule(self.napt, id);
    }

    fn prefetch(&self, id: SessionId) {
        for kind in [Kind::Outbound, Kind::Inbound] {
            self.napt.prefetch(self.napt.hash_of(kind, &self.napt.session(id).key(kind)), kind);
        }
    }

    fn close(&mut self, id: SessionId) {
        self.napt.close(self.writer, id);
    }
}
