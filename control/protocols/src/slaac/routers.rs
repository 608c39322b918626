//! The default routers of the link, and which of them is used (RFC 4861 6.3.4 and 6.3.6, RFC 4191 3).

use std::cmp::Reverse;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Time};

use super::advertisement::{Advertisement, Preference};

/// Routers that are kept at most.
pub const MAX_ROUTERS: usize = 8;

/// For how long a router that did not answer stands behind those that may: doubled by each further failure.
const FIRST_HOLD: Duration = Duration::from_secs(60);
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

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

/// Neighbour unreachability detection found it dead.
#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Time,
    held_until: Time,
    hold: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub address: Ipv6Addr,
    pub mac: Option<Mac>,
    pub preference: Preference,
    pub end: Time,
    pub parameters: Parameters,
    heard: Time,
    failure: Option<Failure>,
}

impl Entry {
    pub fn is_held(&self, now: Time) -> bool {
        self.failure.is_some_and(|f| f.held_until > now)
    }
}

/// In the order in which they were first heard.
#[derive(Debug, Default)]
pub(super) struct Routers {
    list: Vec<Entry>,
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
            let used = self.best(now).map(|r| r.address);
            let others = (0..MAX_ROUTERS).filter(|&i| Some(self.list[i].address) != used);
            evicted = others.min_by_key(|&i| self.list[i].heard).map(|i| self.list.remove(i).address);
        }
        let mut parameters = Parameters::default();
        parameters.learn(heard);
        let (address, mac) = (heard.router, heard.mac);
        self.list.push(Entry { address, mac, preference, end, parameters, heard: now, failure: None });
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
            let hold = match router.failure {
                None => FIRST_HOLD,
                // Said again while it is held: nothing new.
                Some(f) if f.held_until > now => f.hold,
                Some(f) => (f.hold * 2).min(LONGEST_HOLD),
            };
            router.failure = Some(Failure { at: now, held_until: now + hold, hold });
        }
    }

    pub fn reachable(&mut self, address: Ipv6Addr) {
        if let Some(router) = self.list.iter_mut().find(|r| r.address == address) {
            router.failure = None;
        }
    }

    /// RFC 4191 3.2: one that may be reachable before any that is not, then by preference, then as they
    /// came. Among those that are not, the one that failed longest ago: so all are tried in turn.
    pub fn sorted(&self, now: Time) -> Vec<&Entry> {
        let mut sorted: Vec<_> = self.list.iter().collect();
        sorted.sort_by_key(|r| (r.failure.filter(|f| f.held_until > now).map(|f| f.at), Reverse(r.preference)));
        sorted
    }

    pub fn best(&self, now: Time) -> Option<&Entry> {
        self.sorted(now).first().copied()
    }

    /// Whether `address` is known to be dead.
    pub fn is_held(&self, now: Time, address: Ipv6Addr) -> bool {
        self.list.iter().any(|r| r.address == address && r.is_held(now))
    }

    pub fn poll_timeout(&self, now: Time) -> Option<Time> {
        let holds = self.list.iter().filter_map(|r| r.failure.map(|f| f.held_until)).filter(|&t| t > now);
        self.list.iter().map(|r| r.end).chain(holds).min()
    }
}
