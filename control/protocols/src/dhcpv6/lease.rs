//! What was leased to us, until when, and how it is kept over a restart.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::Status;
use hikyaku_net::Time;
use serde::{Deserialize, Serialize};

use super::duid::Duid;
use super::failure::Broken;
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

    /// Drops what a message ends; whether something did.
    pub(super) fn end(&mut self, given: &Given<'_>) -> bool {
        self.retain(
            |leased| !given.pd.as_ref().is_some_and(|pd| pd.ends(leased.what)),
            |leased| !given.na.as_ref().is_some_and(|na| na.ends(leased.what)),
        )
    }

    /// Takes over what a message leases to us, with its T1 and T2; what it does not mention stays as it is
    /// (RFC 8415 18.2.10.1). Come after [`Self::end`]: a full house has room then.
    pub(super) fn grant(&mut self, now: Time, given: &Given<'_>) {
        let pd = given.pd.as_ref().and_then(|pd| grant(&mut self.prefixes, now, pd));
        let na = given.na.as_ref().and_then(|na| grant(&mut self.addresses, now, na));
        // One T1 and T2 for all associations, the shortest (RFC 8415 18.2.4).
        let (mut t1, mut t2) = (None, None);
        for (ia_t1, ia_t2) in pd.into_iter().chain(na) {
            t1 = earlier(t1, until(now, ia_t1));
            t2 = earlier(t2, until(now, ia_t2));
        }
        (self.t1, self.t2) = (earlier(t1, t2), t2);
    }

    fn retain(
        &mut self,
        prefix: impl FnMut(&Leased<Prefix>) -> bool,
        address: impl FnMut(&Leased<Ipv6Addr>) -> bool,
    ) -> bool {
        let before = self.prefixes.len() + self.addresses.len();
        self.prefixes.retain(prefix);
        self.addresses.retain(address);
        before != self.prefixes.len() + self.addresses.len()
    }

    /// Which of T1 and T2 comes next.
    pub(super) fn next_time(&self, now: Time) -> Option<Time> {
        [self.t1, self.t2].into_iter().flatten().filter(|&at| at > now).min()
    }

    /// Drops what ended; whether something did.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let lasts = |end: Option<Time>| end.is_none_or(|end| end > now);
        self.retain(|leased| lasts(leased.valid_until), |leased| lasts(leased.valid_until))
    }

    /// Whether this offer is like these leases: of the same server, or with one of them.
    pub(super) fn is_offered(&self, offer: &Held) -> bool {
        self.server == offer.server
            || self.delegated().iter().any(|prefix| offer.delegated().contains(prefix))
            || self.assigned().iter().any(|address| offer.assigned().contains(address))
    }

    /// Whether the server does not know of leases that are held: NoBinding (RFC 8415 18.2.10.1).
    pub(super) fn is_forgotten(&self, given: &Given<'_>) -> bool {
        let pd = given.pd.as_ref().filter(|_| !self.prefixes.is_empty()).map(|pd| pd.status.0);
        let na = given.na.as_ref().filter(|_| !self.addresses.is_empty()).map(|na| na.status.0);
        pd == Some(Status::NoBinding) || na == Some(Status::NoBinding)
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

/// The shortest T1 that is obeyed where the lifetimes allow it, seconds: dibbler gives 5.
const SHORTEST_T1: u32 = 60;

/// T1 and T2 of one association, seconds, for what it leases with these lifetimes. What is left to us (0), and what lies
/// behind the end, is 0.5 and 0.8 of the preferred lifetime (RFC 8415 21.4, 21.21); all ones is never.
fn times(t1: u32, t2: u32, preferred: u32, valid: u32) -> (u32, u32) {
    // Less than a second would be a storm of our own making.
    let share = |tenths: u64| match preferred {
        u32::MAX => u32::MAX,
        preferred => (u64::from(preferred) * tenths / 10).max(1) as u32,
    };
    let given = |seconds: u32, chosen: u32| match seconds {
        0 => chosen,
        u32::MAX => u32::MAX,
        seconds if seconds > valid => chosen,
        seconds => seconds,
    };
    let t2 = given(t2, share(8));
    let t1 = given(t1, share(5).min(t2));
    match share(5).min(SHORTEST_T1) {
        shortest if t1 < shortest => (shortest, t2.max(shortest * 8 / 5).min(valid).max(shortest)),
        _ => (t1, t2.max(t1)),
    }
}

/// Takes over what an association leases to us. Its T1 and T2 in seconds; `None` if it leases nothing.
fn grant<T: Copy + PartialEq>(
    leases: &mut Vec<Leased<T>>,
    now: Time,
    association: &Association<'_, T>,
) -> Option<(u32, u32)> {
    for entry in association.granted() {
        let (preferred_until, valid_until) = (until(now, entry.preferred), until(now, entry.valid));
        let leased = Leased { what: entry.what, preferred_until, valid_until };
        match leases.iter().position(|other| other.what == leased.what) {
            Some(at) => leases[at] = leased,
            None if leases.len() < MOST => leases.push(leased),
            None => (),
        }
    }
    // Those that are deprecated the server does not mean to extend (RFC 8415 21.21).
    let preferred = association.granted().filter(|entry| entry.preferred > 0);
    let of_preferred = preferred.map(|entry| (entry.preferred, entry.valid));
    let of_all = association.granted().map(|entry| (entry.valid, entry.valid));
    let shortest = |(a, b): (u32, u32), (c, d): (u32, u32)| (a.min(c), b.min(d));
    let (preferred, valid) = of_preferred.reduce(shortest).or_else(|| of_all.reduce(shortest))?;
    Some(times(association.t1, association.t2, preferred, valid))
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

/// What a message says of our leases.
pub(super) struct Given<'a> {
    pub pd: Option<Association<'a, Prefix>>,
    pub na: Option<Association<'a, Ipv6Addr>>,
    /// A rule by which some of it is thrown away.
    pub broken: Option<Broken>,
}

impl<'a> Given<'a> {
    pub(super) fn read(incoming: &'a Incoming, iaid: u32) -> Self {
        let mut broken = None;
        let pd = incoming.ia_pd(iaid).filter(|ia| holds(ia, &mut broken));
        let na = incoming.ia_na(iaid).filter(|ia| holds(ia, &mut broken));
        Self { pd, na, broken }
    }

    /// The leases alone, as a new binding.
    pub(super) fn held(&self, now: Time, server: Duid) -> Held {
        let mut held = Held::empty(server);
        held.grant(now, self);
        held
    }

    /// What the associations say of themselves.
    pub(super) fn statuses(&self) -> impl Iterator<Item = (Status, &'a str)> {
        self.pd.iter().map(|pd| pd.status).chain(self.na.iter().map(|na| na.status))
    }
}

/// RFC 8415 21.4, 21.21: an association with T1 beyond T2 is as if it were not there.
fn holds<T: fmt::Display>(ia: &Association<'_, T>, broken: &mut Option<Broken>) -> bool {
    let (t1, t2) = (ia.t1, ia.t2);
    let times = (t1 > t2 && t2 > 0).then_some(Broken::Times { t1, t2 });
    let lifetimes = ia.entries.iter().find(|entry| entry.is_broken()).map(|entry| Broken::Lifetimes {
        lease: entry.what.to_string(),
        preferred: entry.preferred,
        valid: entry.valid,
    });
    let holds = times.is_none();
    *broken = broken.take().or(times).or(lifetimes);
    holds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcpv6::wire::Entry;

    const NOW: Time = Time(1_000_000_000_000);

    fn at(seconds: u64) -> Option<Time> {
        Some(NOW + Duration::from_secs(seconds))
    }

    /// RFC 8415 21.4, 21.21 and 14.2: 0 means that the client chooses, all ones means never.
    #[test]
    fn t1_and_t2() {
        const MAX: u32 = u32::MAX;
        assert_eq!(times(0, 0, 3600, 7200), (1800, 2880));
        assert_eq!(times(0, 900, 3600, 7200), (900, 900));
        assert_eq!(times(3000, 0, 3600, 7200), (3000, 3000), "T2 not before T1");
        assert_eq!(times(7200, 12600, 3600, 14400), (7200, 12600), "the server's, as they are");
        assert_eq!(times(MAX, MAX, 3600, 7200), (MAX, MAX));
        assert_eq!(times(MAX, 0, 3600, 7200), (MAX, MAX));
        assert_eq!(times(0, 0, MAX, MAX), (MAX, MAX), "leases without end");
        assert_eq!(times(0, 0, 1, 1), (1, 1));
    }

    /// ISC dhcpd 4.4.3 fills them from DHCPv4's timers: behind the end they are ours to choose.
    #[test]
    fn t1_and_t2_behind_the_end() {
        assert_eq!(times(3600, 5400, 1125, 1800), (562, 900));
        assert_eq!(times(1125, 1801, 1600, 1800), (1125, 1280), "T2 alone");
        assert_eq!(times(1500, 5400, 1200, 1800), (1500, 1500));
        assert_eq!(times(1800, 1800, 1200, 1800), (1800, 1800), "at the end is not behind it");
    }

    /// dibbler 1.0.1 gives 5 and 10 s whatever the lifetimes are, which would be 17,000 messages a day.
    #[test]
    fn t1_below_a_minute() {
        assert_eq!(times(5, 10, 3600, 7200), (60, 96));
        assert_eq!(times(5, 600, 3600, 7200), (60, 600));
        assert_eq!(times(59, 59, u32::MAX, u32::MAX), (60, 96));
        assert_eq!(times(5, 10, 40, 60), (20, 32), "the lifetimes do not allow a minute");
        assert_eq!(times(5, 10, 100, 60), (50, 60), "never behind the end");
        assert_eq!(times(10, 16, 20, 30), (10, 16));
        assert_eq!(times(1, 1, 1, 1), (1, 1));
    }

    fn entry(what: char, preferred: u32, valid: u32, status: Status) -> Entry<char> {
        Entry { what, preferred, valid, status }
    }

    fn association(entries: Vec<Entry<char>>) -> Association<'static, char> {
        Association { status: (Status::Success, ""), t1: 0, t2: 0, entries }
    }

    /// RFC 8415 18.2.10.1, 21.22: what is not mentioned stays, what breaks a rule is as if it were not there.
    #[test]
    fn leases_come_and_change() {
        let success = |what, preferred, valid| entry(what, preferred, valid, Status::Success);
        let mut leases = Vec::new();
        let one = association(vec![success('a', 50, 100), success('b', 101, 100), entry('c', 1, 1, Status::NotOnLink)]);
        assert_eq!(grant(&mut leases, NOW, &one), Some((25, 40)));
        assert_eq!(leases, [Leased { what: 'a', preferred_until: at(50), valid_until: at(100) }]);
        let two = association(vec![success('c', u32::MAX, u32::MAX), success('a', 0, 90)]);
        assert_eq!(grant(&mut leases, NOW, &two), Some((u32::MAX, u32::MAX)), "a is not meant to be extended");
        assert_eq!(leases[0].valid_until, at(90), "a server may shorten");
        assert_eq!(leases[1].valid_until, None);
        assert_eq!(grant(&mut leases, NOW, &association(vec![success('a', 0, 80)])), Some((40, 64)));
        assert_eq!(grant(&mut leases, NOW, &association(vec![])), None);
        grant(&mut leases, NOW, &association(('d'..'z').map(|what| success(what, 1, 1)).collect()));
        assert_eq!(leases.len(), MOST);
    }

    /// RFC 8415 18.2.10.1: a valid lifetime of 0 ends a lease, whatever status stands beside it; unless it is renewed in
    /// the same message.
    #[test]
    fn leases_go() {
        for status in [Status::Success, Status::NoPrefixAvail] {
            let mut given = association(vec![entry('a', 0, 0, status), entry('b', 1, 0, status)]);
            assert!(given.ends('a') && !given.ends('b') && !given.ends('c'), "21.22: b is invalid");
            given.status.0 = status;
            assert!(given.ends('a'));
        }
        let both = |first, second| {
            association(vec![entry('a', first, first, Status::Success), entry('a', second, second, Status::Success)])
        };
        assert!(!both(0, 9).ends('a') && !both(9, 0).ends('a'));
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
