//! The default routers of the link, and which of them is used (RFC 4861 6.3.4 and 6.3.6, RFC 4191 3).

use std::cmp::Reverse;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Time};

use super::advertisement::{Advertisement, Preference};
use super::lifetime::NEVER;

/// Routers that are kept at most.
pub const MAX_ROUTERS: usize = 8;

/// What the word of a station counts against that of others about the same thing, the best first: a router that carries
/// our packets is not told of by a stranger (RFC 6724 5 rule 5.5, RFC 8028 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The default router in use.
    InUse,
    /// A default router that may be reachable.
    Router,
    /// A default router that does not answer (RFC 4861 7.3).
    Dead,
    /// No default router, or none any more.
    Stranger,
}

/// What advertisements of one router say about the link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parameters {
    pub managed: bool,
    pub other: bool,
    pub hop_limit: Option<u8>,
    pub reachable_time: Option<Duration>,
    pub retrans_timer: Option<Duration>,
    pub mtu: Option<u32>,
}

impl Parameters {
    /// RFC 4861 6.3.4: what an advertisement leaves open stays as it was.
    pub fn learn(&mut self, heard: &Advertisement) {
        *self = Self {
            managed: heard.managed,
            other: heard.other,
            hop_limit: heard.hop_limit.or(self.hop_limit),
            reachable_time: heard.reachable_time.or(self.reachable_time),
            retrans_timer: heard.retrans_timer.or(self.retrans_timer),
            mtu: heard.mtu.or(self.mtu),
        };
    }
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub address: Ipv6Addr,
    pub mac: Option<Mac>,
    pub preference: Preference,
    pub end: Time,
    pub parameters: Parameters,
    heard: Time,
    /// When neighbour unreachability detection found it dead: it is, until it answers (RFC 4861 6.3.6).
    failed: Option<Time>,
}

impl Entry {
    pub fn is_dead(&self) -> bool {
        self.failed.is_some()
    }

    /// When it is asked to say that it is still there: its lifetime would else end between two advertisements.
    pub fn late_at(&self) -> Option<Time> {
        (self.end != NEVER).then(|| self.heard + self.end.since(self.heard).mul_f64(0.75))
    }
}

/// In the order in which they were first heard.
#[derive(Debug, Default)]
pub(super) struct Routers {
    list: Vec<Entry>,
    /// The one that was chosen: it comes before all others that may be reachable.
    pub chosen: Option<Ipv6Addr>,
}

impl Routers {
    /// `preference` and `end` as a default router (a ::/0 route may have overridden the header's). Returns
    /// whether it is new, and which one had to go for it.
    pub fn learn(
        &mut self,
        now: Time,
        heard: &Advertisement,
        preference: Preference,
        end: Time,
    ) -> (bool, Option<Ipv6Addr>) {
        let known = self.list.iter().position(|r| r.address == heard.router);
        if end <= now {
            return (false, known.map(|at| self.list.remove(at).address));
        }
        if let Some(at) = known {
            let router = &mut self.list[at];
            (router.preference, router.end, router.heard) = (preference, end, now);
            router.mac = heard.mac.or(router.mac);
            router.parameters.learn(heard);
            return (false, None);
        }
        let mut evicted = None;
        if self.list.len() == MAX_ROUTERS {
            // Never the one in use: a flood of made-up routers must not cut the line.
            let used = self.best().map(|r| r.address);
            let others = (0..MAX_ROUTERS).filter(|&i| Some(self.list[i].address) != used);
            evicted = others.min_by_key(|&i| self.list[i].heard).map(|i| self.list.remove(i).address);
        }
        let mut parameters = Parameters::default();
        parameters.learn(heard);
        let (address, mac) = (heard.router, heard.mac);
        self.list.push(Entry { address, mac, preference, end, parameters, heard: now, failed: None });
        (true, evicted)
    }

    /// Returns those whose time is over.
    pub fn expire(&mut self, now: Time) -> Vec<Ipv6Addr> {
        self.list.extract_if(.., |r| r.end <= now).map(|r| r.address).collect()
    }

    /// Whether it was there.
    pub fn remove(&mut self, address: Ipv6Addr) -> bool {
        self.list.extract_if(.., |r| r.address == address).next().is_some()
    }

    pub fn unreachable(&mut self, now: Time, address: Ipv6Addr) {
        if let Some(router) = self.list.iter_mut().find(|r| r.address == address) {
            router.failed = Some(now);
        }
    }

    pub fn reachable(&mut self, address: Ipv6Addr) {
        if let Some(router) = self.list.iter_mut().find(|r| r.address == address) {
            router.failed = None;
        }
    }

    /// RFC 4191 3.2: those that may be reachable before any that are not; of them the one that was chosen, then by
    /// preference, then as they came. Among those that are not, the one that failed longest ago: so all are tried in
    /// turn (RFC 4861 6.3.6).
    pub fn sorted(&self) -> Vec<&Entry> {
        let mut sorted: Vec<_> = self.list.iter().collect();
        sorted.sort_by_key(|r| (r.failed, Some(r.address) != self.chosen, Reverse(r.preference)));
        sorted
    }

    pub fn best(&self) -> Option<&Entry> {
        self.sorted().first().copied()
    }

    /// What the word of `address` counts.
    pub fn standing(&self, address: Ipv6Addr) -> Standing {
        match self.list.iter().find(|r| r.address == address) {
            None => Standing::Stranger,
            Some(router) if router.is_dead() => Standing::Dead,
            Some(_) if self.best().is_some_and(|best| best.address == address) => Standing::InUse,
            Some(_) => Standing::Router,
        }
    }

    pub fn poll_timeout(&self, now: Time) -> Option<Time> {
        let late = self.best().and_then(Entry::late_at).filter(|&at| at > now);
        self.list.iter().map(|r| r.end).chain(late).min()
    }
}
