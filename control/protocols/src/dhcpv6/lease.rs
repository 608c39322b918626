//! What was leased to us, until when, and how it is kept over a restart.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;
use serde::{Deserialize, Serialize};

use super::duid::Duid;
use super::information::Information;
use super::prefix::Prefix;
use super::wire::{Association, Incoming};

/// A prefix or an address that is ours for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leased<T> {
    /// The prefix or address that is leased.
    pub what: T,
    /// From then on nothing new uses it; `None` is never.
    pub preferred_until: Option<Time>,
    /// From then on it is not ours; `None` is never.
    pub valid_until: Option<Time>,
}

/// A lifetime of a message from `now` on. All ones is forever (RFC 8415 7.7).
fn until(now: Time, seconds: u32) -> Option<Time> {
    (seconds != u32::MAX).then(|| now + Duration::from_secs(seconds.into()))
}

/// Ends before: `None` is never.
fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Most prefixes, and most addresses, that are held at once.
const MOST: usize = 8;

/// The leases of one binding, and when to see to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub server: Duid,
    pub prefixes: Vec<Leased<Prefix>>,
    pub addresses: Vec<Leased<Ipv6Addr>>,
    pub t1: Option<Time>,
    pub t2: Option<Time>,
}

impl Held {
    pub(super) fn empty(server: Duid) -> Self {
        Self { server, prefixes: Vec::new(), addresses: Vec::new(), t1: None, t2: None }
    }

    /// Takes over what the associations say (RFC 8415 18.2.10.1): lifetimes of what is mentioned, 0 ends it,
    /// new ones are added, those not mentioned stay as they are.
    pub(super) fn update(&mut self, now: Time, pd: Option<&Association<'_>>, na: Option<&Association<'_>>) {
        for leased in pd.into_iter().flat_map(Association::prefixes) {
            if let Some(what) = Prefix::new(leased.prefix_ip, leased.prefix_len) {
                set(&mut self.prefixes, now, what, leased.preferred_lifetime, leased.valid_lifetime);
            }
        }
        for leased in na.into_iter().flat_map(Association::addresses) {
            let host = Prefix::new(leased.addr, 128).is_some() && !leased.addr.is_loopback();
            if host {
                set(&mut self.addresses, now, leased.addr, leased.preferred_life, leased.valid_life);
            }
        }
        // One T1 and T2 for all associations, the shortest (RFC 8415 18.2.4).
        let shortest = self.shortest_preferred(now);
        let (mut t1, mut t2) = (None, None);
        for ia in pd.into_iter().chain(na) {
            let (ia_t1, ia_t2) = times(now, ia.t1, ia.t2, shortest);
            t1 = earlier(t1, ia_t1);
            t2 = earlier(t2, ia_t2);
        }
        (self.t1, self.t2) = (earlier(t1, t2), t2);
    }

    /// The shortest preferred lifetime. Deprecated leases tell by their valid lifetime.
    fn shortest_preferred(&self, now: Time) -> Option<Duration> {
        let of = |preferred: Option<Time>, valid: Option<Time>| match preferred {
            Some(at) if at <= now => valid,
            at => at,
        };
        let prefixes = self.prefixes.iter().map(|l| of(l.preferred_until, l.valid_until));
        let addresses = self.addresses.iter().map(|l| of(l.preferred_until, l.valid_until));
        prefixes.chain(addresses).fold(None, earlier).map(|at| at.since(now))
    }

    /// Drops what ended; whether something did.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let before = self.prefixes.len() + self.addresses.len();
        self.prefixes.retain(|leased| leased.valid_until.is_none_or(|end| end > now));
        self.addresses.retain(|leased| leased.valid_until.is_none_or(|end| end > now));
        before != self.prefixes.len() + self.addresses.len()
    }

    /// When the next lease ends.
    pub(super) fn first_end(&self) -> Option<Time> {
        let ends = self.prefixes.iter().map(|l| l.valid_until).chain(self.addresses.iter().map(|l| l.valid_until));
        ends.fold(None, earlier)
    }

    /// When the last lease ends; `None` if one never does.
    pub(super) fn last_end(&self) -> Option<Time> {
        let ends = self.prefixes.iter().map(|l| l.valid_until).chain(self.addresses.iter().map(|l| l.valid_until));
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The delegated prefixes alone.
    pub(super) fn delegated(&self) -> Vec<Prefix> {
        self.prefixes.iter().map(|leased| leased.what).collect()
    }

    /// The leased addresses without their lifetimes.
    pub(super) fn assigned(&self) -> Vec<Ipv6Addr> {
        self.addresses.iter().map(|leased| leased.what).collect()
    }
}

/// T1 and T2 of one association; 0 leaves the choice to us (RFC 8415 21.4, 21.21): 0.5 and 0.8 of the
/// shortest preferred lifetime.
fn times(now: Time, t1: u32, t2: u32, shortest: Option<Duration>) -> (Option<Time>, Option<Time>) {
    // Less than a second would be a storm of our own making.
    let chosen = |factor: f64| shortest.map(|lifetime| now + lifetime.mul_f64(factor).max(Duration::from_secs(1)));
    let given = |seconds: u32| until(now, seconds);
    match (t1, t2) {
        (0, 0) => (chosen(0.5), chosen(0.8)),
        (0, t2) => (earlier(chosen(0.5), given(t2)), given(t2)),
        (t1, 0) => (given(t1), chosen(0.8).max(given(t1)).filter(|_| t1 != u32::MAX)),
        (t1, t2) => (given(t1), given(t2)),
    }
}

fn set<T: PartialEq>(leases: &mut Vec<Leased<T>>, now: Time, what: T, preferred: u32, valid: u32) {
    // RFC 8415 21.6, 21.22: such a lease is as if it were not there.
    if preferred > valid {
        return;
    }
    let place = leases.iter().position(|leased| leased.what == what);
    if valid == 0 {
        place.map(|at| leases.remove(at));
        return;
    }
    let leased = Leased { what, preferred_until: until(now, preferred), valid_until: until(now, valid) };
    match place {
        Some(at) => leases[at] = leased,
        None if leases.len() < MOST => leases.push(leased),
        None => (),
    }
}

/// What a restart must not lose: written to a file by the caller, times in seconds of Unix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// When it was saved, in seconds of Unix.
    pub saved: u64,
    /// Ours. A lease of another DUID is another machine's.
    pub client: Duid,
    /// The server that gave the leases: a Renew goes to it.
    pub server: Duid,
    /// Delegated prefixes, with the times at which they end.
    pub prefixes: Vec<SavedLease<Prefix>>,
    /// Leased addresses, with the times at which they end.
    pub addresses: Vec<SavedLease<Ipv6Addr>>,
    /// When to renew (T1), in seconds of Unix; absent is never.
    #[serde(default)]
    pub t1: Option<u64>,
    /// When to ask any server; absent is never.
    #[serde(default)]
    pub t2: Option<u64>,
    /// What the server said besides leases.
    #[serde(default)]
    pub information: Information,
}

/// One prefix or address of a [`Lease`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLease<T> {
    /// The prefix or address that is leased.
    pub what: T,
    /// End of the preferred lifetime; absent is never.
    #[serde(default)]
    pub preferred_until: Option<u64>,
    /// End of the valid lifetime; absent is never.
    #[serde(default)]
    pub valid_until: Option<u64>,
}

/// Now, on both clocks.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    now: Time,
    wall: u64,
}

impl Clocks {
    fn save(self, at: Option<Time>) -> Option<u64> {
        at.map(|at| self.wall.saturating_add(at.since(self.now).as_secs()))
    }

    fn load(self, at: Option<u64>) -> Option<Time> {
        at.map(|at| self.now + Duration::from_secs(at.saturating_sub(self.wall)))
    }

    fn load_all<T: Clone>(self, saved: &[SavedLease<T>]) -> Vec<Leased<T>> {
        let live = saved.iter().filter(|lease| lease.valid_until.is_none_or(|end| end > self.wall));
        live.take(MOST)
            .map(|lease| Leased {
                what: lease.what.clone(),
                preferred_until: self.load(lease.preferred_until),
                valid_until: self.load(lease.valid_until),
            })
            .collect()
    }

    fn save_all<T: Clone>(self, leases: &[Leased<T>]) -> Vec<SavedLease<T>> {
        leases
            .iter()
            .map(|leased| SavedLease {
                what: leased.what.clone(),
                preferred_until: self.save(leased.preferred_until),
                valid_until: self.save(leased.valid_until),
            })
            .collect()
    }
}

impl Lease {
    pub(super) fn save(held: &Held, client: &Duid, information: &Information, now: Time, wall: u64) -> Self {
        let clocks = Clocks { now, wall };
        Self {
            saved: wall,
            client: client.clone(),
            server: held.server.clone(),
            prefixes: clocks.save_all(&held.prefixes),
            addresses: clocks.save_all(&held.addresses),
            t1: clocks.save(held.t1),
            t2: clocks.save(held.t2),
            information: information.clone(),
        }
    }

    /// What of it has not ended. A wall clock that stands before the moment of saving was not set yet:
    /// then it is taken to be that moment, so no lease gets longer.
    pub(super) fn load(&self, now: Time, wall: u64) -> Held {
        let clocks = Clocks { now, wall: wall.max(self.saved) };
        Held {
            server: self.server.clone(),
            prefixes: clocks.load_all(&self.prefixes),
            addresses: clocks.load_all(&self.addresses),
            t1: clocks.load(self.t1),
            t2: clocks.load(self.t2),
        }
    }
}

/// What a Reply gives, read once.
pub(super) struct Given<'a> {
    pub pd: Option<Association<'a>>,
    pub na: Option<Association<'a>>,
}

impl<'a> Given<'a> {
    pub(super) fn read(incoming: &'a Incoming, iaid: u32) -> Self {
        Self { pd: incoming.ia_pd(iaid), na: incoming.ia_na(iaid) }
    }

    /// The leases alone, as a new binding.
    pub(super) fn held(&self, now: Time, server: Duid) -> Held {
        let mut held = Held::empty(server);
        held.update(now, self.pd.as_ref(), self.na.as_ref());
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000);

    fn at(seconds: u64) -> Option<Time> {
        Some(NOW + Duration::from_secs(seconds))
    }

    /// RFC 8415 21.4, 21.21 and 14.2: 0 means that the client chooses, all ones means never.
    #[test]
    fn t1_and_t2() {
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(times(NOW, 0, 0, hour), (at(1800), at(2880)));
        assert_eq!(times(NOW, 0, 900, hour), (at(900), at(900)));
        assert_eq!(times(NOW, 3000, 0, hour), (at(3000), at(3000)), "T2 not before T1");
        assert_eq!(times(NOW, 7200, 12600, hour), (at(7200), at(12600)), "the server's, as they are");
        assert_eq!(times(NOW, u32::MAX, u32::MAX, hour), (None, None));
        assert_eq!(times(NOW, u32::MAX, 0, hour), (None, None));
        assert_eq!(times(NOW, 0, 0, None), (None, None), "leases without end");
        assert_eq!(times(NOW, 0, 0, Some(Duration::ZERO)), (at(1), at(1)));
    }

    /// RFC 8415 18.2.10.1: what is not mentioned stays, what comes with lifetime 0 goes.
    #[test]
    fn leases_come_change_and_go() {
        let mut leases = Vec::new();
        set(&mut leases, NOW, 'a', 50, 100);
        set(&mut leases, NOW, 'b', 101, 100);
        assert_eq!(
            leases,
            [Leased { what: 'a', preferred_until: at(50), valid_until: at(100) }],
            "21.22: b is invalid"
        );
        set(&mut leases, NOW, 'c', u32::MAX, u32::MAX);
        set(&mut leases, NOW, 'a', 60, 90);
        assert_eq!(leases[0].valid_until, at(90), "a server may shorten");
        assert_eq!(leases[1].valid_until, None);
        set(&mut leases, NOW, 'a', 0, 0);
        assert_eq!(leases.len(), 1);
        for what in 'd'..'z' {
            set(&mut leases, NOW, what, 1, 1);
        }
        assert_eq!(leases.len(), MOST);
    }

    fn held() -> Held {
        let prefix = "2001:db8::/56".parse().unwrap();
        let leased = Leased { what: prefix, preferred_until: at(100), valid_until: at(200) };
        let server = Duid::new(b"server").unwrap();
        Held { server, prefixes: vec![leased], addresses: vec![], t1: at(50), t2: at(80) }
    }

    fn saved() -> Lease {
        Lease::save(&held(), &Duid::new(b"client").unwrap(), &Information::default(), NOW, 1_700_000_000)
    }

    #[test]
    fn over_a_restart() {
        let lease: Lease = serde_json::from_str(&serde_json::to_string(&saved()).unwrap()).unwrap();
        assert_eq!(lease, saved());
        let booted = Time(7);
        let after = |seconds| Some(booted + Duration::from_secs(seconds));
        let held = lease.load(booted, 1_700_000_060);
        assert_eq!((held.t1, held.t2), (Some(booted), after(20)), "T1 is due, T2 is not");
        assert_eq!(held.prefixes[0].valid_until, after(140));
        assert!(lease.load(booted, 1_700_000_200).prefixes.is_empty());
        assert_eq!(lease.load(booted, 0).prefixes[0].valid_until, after(200), "the wall clock is not set yet");
    }

    #[test]
    fn a_lease_file_is_not_believed() {
        let mut json = serde_json::to_value(saved()).unwrap();
        json["prefixes"][0]["what"] = "fe80::/10".into();
        assert!(serde_json::from_value::<Lease>(json).unwrap_err().to_string().contains("no prefix"));
    }

    #[test]
    fn ends() {
        let mut held = held();
        held.prefixes.push(Leased {
            what: "2001:db8:f::/60".parse().unwrap(),
            preferred_until: None,
            valid_until: None,
        });
        assert_eq!((held.first_end(), held.last_end()), (at(200), None));
        assert!(!held.expire(NOW));
        assert!(held.expire(at(200).unwrap()));
        assert_eq!(held.delegated(), ["2001:db8:f::/60".parse().unwrap()]);
        assert_eq!(held.first_end(), None);
    }
}
