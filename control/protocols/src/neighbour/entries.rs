//! The table behind the cache: entries by address, and beside them in the order of their timers, and the unresolved ones
//! in that of their age.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use hikyaku_net::{Mac, Time};
use serde::Serialize;

/// How much is known of a neighbour (RFC 4861 7.3.2). RFC 4861's STALE lasts until a packet is sent. The dataplane
/// sends on its own and does not report it, so every neighbour counts as in use, and STALE as DELAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Asked for, and its Ethernet address is not known yet.
    Incomplete,
    /// Answered within the reachable time.
    Reachable,
    /// Heard of, did not answer yet. Will be asked in 5 seconds.
    Delay,
    /// Being asked itself, up to three times, whether it is still there.
    Probe,
    /// Kept, and does not answer. Its last address is used on (RFC 7048 3), and all stations are asked.
    Unreachable,
    /// Given by the configuration or a lease; never asked.
    Pinned,
}

/// What is known of one neighbour.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub state: State,
    pub mac: Option<Mac>,
    /// Questions sent without an answer.
    pub tries: u8,
    pub due: Option<Time>,
    /// When it last answered, was heard of, or was asked for.
    pub heard: Time,
    /// A frame that waits for the address.
    pub waiting: Option<Vec<u8>>,
    pub router: bool,
    pub kept: bool,
    /// Another station that says it has the address now.
    pub claim: Option<Mac>,
    /// When such a claim was last refused.
    pub refused: Option<Time>,
    /// Which station's refusal was told of last, and when.
    pub told: Option<(Mac, Time)>,
    /// In the order in which they were made.
    pub number: u64,
}

/// One neighbour, for `hikyaku show neighbours`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its IPv4 or IPv6 address.
    pub address: IpAddr,
    /// Its Ethernet address, if that is known.
    pub mac: Option<Mac>,
    /// How much is known of it.
    pub state: State,
    /// It said that it is a router (RFC 4861 4.4).
    pub router: bool,
    /// Seconds since it last answered, was heard of, or was asked for.
    pub age: u64,
}

/// All neighbours of a link, with what is kept beside them in order.
#[derive(Debug, Default)]
pub(super) struct Entries {
    by_address: HashMap<IpAddr, Entry>,
    timers: BTreeSet<(Time, IpAddr)>,
    /// Those without a MAC, the newest last.
    unresolved: BTreeSet<(u64, IpAddr)>,
    numbers: u64,
    /// Goes up whenever an Ethernet address changes, comes or goes.
    pub generation: u64,
}

impl Entries {
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// How many have no Ethernet address.
    pub fn unresolved(&self) -> usize {
        self.unresolved.len()
    }

    pub fn get(&self, addr: IpAddr) -> Option<&Entry> {
        self.by_address.get(&addr)
    }

    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &Entry)> {
        self.by_address.iter().map(|(&addr, entry)| (addr, entry))
    }

    /// The timer that ends first, and whose it is.
    pub fn first_due(&self) -> Option<(Time, IpAddr)> {
        self.timers.first().copied()
    }

    /// Whoever may be displaced by one that is wanted: of the unresolved the newest, of all the one whose timer ends
    /// first. Kept ones are passed over, pinned ones have no timer.
    pub fn victim(&self, unresolved: bool) -> Option<IpAddr> {
        let gives_way = |addr: &IpAddr| !self.by_address[addr].kept;
        match unresolved {
            true => self.unresolved.iter().rev().map(|&(_, addr)| addr).find(gives_way),
            false => self.timers.iter().map(|&(_, addr)| addr).find(gives_way),
        }
    }

    /// None is kept any more.
    pub fn release_all(&mut self) {
        self.by_address.values_mut().for_each(|entry| entry.kept = false);
    }

    pub fn insert(&mut self, addr: IpAddr, now: Time) {
        self.numbers += 1;
        self.unresolved.insert((self.numbers, addr));
        self.by_address.insert(addr, Entry::new(now, self.numbers));
    }

    pub fn remove(&mut self, addr: IpAddr) -> Option<Entry> {
        let entry = self.by_address.remove(&addr)?;
        if let Some(due) = entry.due {
            self.timers.remove(&(due, addr));
        }
        self.unresolved.remove(&(entry.number, addr));
        self.generation += u64::from(entry.mac.is_some());
        Some(entry)
    }

    /// The only way to change an entry: what is kept beside the entries stays true.
    pub fn change<R>(&mut self, addr: IpAddr, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let entry = self.by_address.get_mut(&addr)?;
        let (due, mac) = (entry.due, entry.mac);
        let result = change(entry);
        if entry.due != due {
            due.map(|due| self.timers.remove(&(due, addr)));
            entry.due.map(|due| self.timers.insert((due, addr)));
        }
        if entry.mac != mac {
            self.unresolved.remove(&(entry.number, addr));
            self.generation += 1;
        }
        Some(result)
    }
}

impl Entry {
    fn new(now: Time, number: u64) -> Self {
        Self {
            state: State::Incomplete,
            mac: None,
            tries: 0,
            due: None,
            heard: now,
            waiting: None,
            router: false,
            kept: false,
            claim: None,
            refused: None,
            told: None,
            number,
        }
    }
}
