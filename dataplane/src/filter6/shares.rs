//! How many sessions each station of the LANs has, where a station may have only so many.
//!
//! By Ethernet address: of IPv6 addresses a host has as many as it likes. A router behind us is one station with all of its
//! hosts.

use ahash::RandomState;
use hikyaku_net::Mac;

/// Counts in fixed memory: a station has a place by a keyed hash. Two with the same place share one share; nobody can
/// choose whom he shares with.
#[derive(Debug)]
pub(super) struct Shares {
    /// Most sessions of a place; `None`: as many as there are.
    most: Option<u32>,
    hasher: RandomState,
    counts: Box<[u32]>,
}

/// Places at least: so many that on a home's network no two stations meet.
const LEAST: usize = 1 << 12;

impl Shares {
    /// For a table of so many sessions.
    pub fn new(most: Option<u32>, sessions: u32) -> Self {
        let places = if most.is_some() { LEAST.max(sessions as usize / 8) } else { 1 };
        Self { most, hasher: RandomState::new(), counts: vec![0; places].into() }
    }

    /// The place of a station.
    pub fn place(&self, station: Mac) -> u32 {
        (self.hasher.hash_one(station) as usize % self.counts.len()) as u32
    }

    /// The place of what a station had that had this place in a table before.
    pub fn place_before(&self, place: u32) -> u32 {
        (self.hasher.hash_one(place) as usize % self.counts.len()) as u32
    }

    /// Whether a session more is in its share.
    pub fn may_open(&self, place: u32) -> bool {
        self.most.is_none_or(|most| self.counts[place as usize] < most)
    }

    /// Whether a stranger may open one to it: not into the last quarter, which is for its own.
    pub fn may_be_opened_to(&self, place: u32) -> bool {
        self.most.is_none_or(|most| self.counts[place as usize] < most - most / 4)
    }

    /// One more.
    pub fn add(&mut self, place: u32) {
        self.counts[place as usize] += 1;
    }

    /// One less.
    pub fn remove(&mut self, place: u32) {
        self.counts[place as usize] -= 1;
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.counts)
    }
}
