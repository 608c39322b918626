//! Which session the later fragments of a packet belong to (RFC 4787 REQ-14).
//!
//! Only a packet's first fragment has ports. What its translation was is remembered for a while;
//! fragments that come before it wait, few of them and not for long.

use std::collections::VecDeque;
use std::time::Duration;

use ahash::RandomState;

use super::key::{Hash, pair_addrs};
use super::session::Direction;
use crate::packet::{Delta, Ipv4};
use crate::snapshot::LinkId;
use crate::time::Time;

/// How a packet's fragments are translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// New source and destination.
    pub addrs: u64,
    /// Change of the header checksum.
    pub delta: Delta,
    /// The flow.
    pub hash: Hash,
}

/// What the fragments of one packet have in common (RFC 791), and which way they go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Packet {
    addrs: u64,
    id: u16,
    protocol: u8,
    inbound: bool,
}

impl Packet {
    fn of(direction: Direction, ip: &Ipv4) -> Self {
        Self {
            addrs: pair_addrs(ip.src, ip.dst),
            id: ip.id.get(),
            protocol: ip.protocol,
            inbound: direction == Direction::Inbound,
        }
    }
}

/// A fragment that came before the first one of its packet.
#[derive(Debug)]
pub struct Waiting {
    packet: Packet,
    since: Time,
    /// Where it came in.
    pub link: LinkId,
    /// The IPv4 packet.
    pub bytes: Vec<u8>,
}

/// One worker's memory of fragments: fixed, and nothing an attacker fills makes it slower.
#[derive(Debug)]
pub struct Fragments {
    hasher: RandomState,
    known: Box<[(Packet, Time, Learned)]>,
    waiting: VecDeque<Waiting>,
    /// Buffers for fragments that will wait.
    spare: Vec<Vec<u8>>,
}

/// Packets whose translation is remembered, four to a set.
const KNOWN: usize = 4096;
const WAYS: usize = 4;

/// Fragments that may wait.
pub const MAX_WAITING: usize = 64;

/// How long a translation is remembered and how long a fragment waits: fragments of one packet
/// come within a few milliseconds; RFC 4787 names no time.
pub const AGE: Duration = Duration::from_secs(2);

impl Default for Fragments {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            known: vec![Default::default(); KNOWN].into(),
            waiting: VecDeque::with_capacity(MAX_WAITING),
            spare: (0..MAX_WAITING).map(|_| Vec::with_capacity(2048)).collect(),
        }
    }
}

impl Fragments {
    fn set(&self, packet: &Packet) -> usize {
        self.hasher.hash_one(packet) as usize % (KNOWN / WAYS) * WAYS
    }

    /// Remembers how a first fragment was translated.
    pub fn learn(&mut self, direction: Direction, ip: &Ipv4, learned: Learned, now: Time) {
        let packet = Packet::of(direction, ip);
        let at = self.set(&packet);
        let set = &mut self.known[at..at + WAYS];
        // Its own place, or the oldest's.
        let place = set.iter().position(|(p, ..)| *p == packet);
        let oldest = || set.iter().enumerate().min_by_key(|(_, (_, since, _))| *since).map_or(0, |(i, _)| i);
        let place = place.unwrap_or_else(oldest);
        set[place] = (packet, now, learned);
    }

    /// How the fragment of `ip` is translated, if its first one was seen.
    pub fn find(&self, direction: Direction, ip: &Ipv4, now: Time) -> Option<Learned> {
        let packet = Packet::of(direction, ip);
        let at = self.set(&packet);
        let known = |(p, since, _): &&(Packet, Time, Learned)| *p == packet && now.since(*since) < AGE;
        self.known[at..at + WAYS].iter().find(known).map(|&(.., learned)| learned)
    }

    /// Lets a fragment wait; false when there is no room.
    pub fn wait(&mut self, direction: Direction, ip: &Ipv4, link: LinkId, bytes: &[u8], now: Time) -> bool {
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        self.waiting.push_back(Waiting { packet: Packet::of(direction, ip), since: now, link, bytes: buffer });
        true
    }

    /// A fragment whose first one has come, in order of arrival.
    pub fn ready(&mut self, direction: Direction, ip: &Ipv4) -> Option<Waiting> {
        let packet = Packet::of(direction, ip);
        let at = self.waiting.iter().position(|w| w.packet == packet)?;
        self.waiting.remove(at)
    }

    /// A fragment that has waited too long at `now`.
    pub fn overdue(&mut self, now: Time) -> Option<Waiting> {
        self.waiting.front().filter(|w| now.since(w.since) >= AGE)?;
        self.waiting.pop_front()
    }

    /// Takes a buffer back.
    pub fn done(&mut self, waiting: Waiting) {
        self.spare.push(waiting.bytes);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
