//! The prefixes of the link, who announces them, and our addresses in them (RFC 4861 6.3.4, RFC 4862 5.5.3).

use std::cmp::Reverse;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;
use rand::RngExt;

use super::advertisement::{MAX_PREFIXES, PrefixOption};
use super::routers::{MAX_ROUTERS, Standing};
use super::{Announced, Event, InterfaceId, Lifetime};

/// RFC 4862 5.5.3 e: an advertisement, which nobody signed, shortens an address's life to this at most.
const TWO_HOURS: Duration = Duration::from_secs(7200);

/// RFC 7217 6, IDGEN_DELAY: hosts that clashed do not try their next addresses all at once.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A prefix that its router left out of so many advertisements with others in them, and for so many of the longest
/// intervals seen between its announcements, is withdrawn: a router that forgot its old prefix takes it back for nobody
/// (RFC 8978 2.1). In time, not by count alone: two daemons of one router, or one that spreads its options over
/// advertisements (RFC 4861 6.2.3), leave out each other's.
const FORGOTTEN: u8 = 3;

/// What those intervals count at least and at most: solicited advertisements come in a row, and no router waits longer
/// than half an hour (RFC 4861 6.2.1).
const SHORTEST_INTERVAL: Duration = Duration::from_secs(8);
const LONGEST_INTERVAL: Duration = Duration::from_secs(1800);

/// A prefix.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub prefix: Ipv6Addr,
    pub length: u8,
    /// Never empty; at most [`MAX_ROUTERS`].
    announcers: Vec<Announcer>,
    own: Own,
    since: Time,
    deprecated_told: bool,
}

/// What one station says of a prefix. Each for itself: what a stranger says shortens nothing that a router gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcer {
    pub router: Ipv6Addr,
    pub on_link: Option<Time>,
    /// Hosts make addresses in it: until when these are preferred, and valid.
    pub autonomous: Option<(Time, Time)>,
    heard: Time,
    /// Of its advertisements with prefixes: the last one, and how many there were since this prefix was in one.
    last: Time,
    missed: u8,
    /// The longest time between two announcements of this prefix, and between two advertisements with prefixes.
    interval: Duration,
    any_interval: Duration,
}

/// Our address in a prefix.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    /// `None` if the prefix is no /64 for hosts, while a duplicate makes us wait, and when we gave up.
    address: Option<Ipv6Addr>,
    made: bool,
    duplicates: u8,
    retry: Option<Time>,
}

impl Announcer {
    fn new(now: Time, router: Ipv6Addr) -> Self {
        Self {
            router,
            on_link: None,
            autonomous: None,
            heard: now,
            last: now,
            missed: 0,
            interval: Duration::ZERO,
            any_interval: Duration::ZERO,
        }
    }

    /// For how long the prefix is there, for whatever reason.
    pub fn end(&self) -> Time {
        self.on_link.max(self.autonomous.map(|(_, valid)| valid)).unwrap_or_default()
    }

    /// When it counts as withdrawn, if it is missed often enough.
    fn withdrawn_at(&self) -> Option<Time> {
        let interval = if self.interval.is_zero() { self.any_interval } else { self.interval };
        let interval = interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        (self.missed >= FORGOTTEN).then(|| self.heard + interval * FORGOTTEN.into())
    }

    pub fn announced(&self, now: Time) -> Announced {
        match self.withdrawn_at() {
            Some(at) if at <= now => Announced::Withdrawn,
            _ if self.missed > 0 => Announced::Missed,
            _ => Announced::Yes,
        }
    }

    /// An advertisement with prefixes, in which this one is or is not.
    fn advertised(&mut self, now: Time, is_in_it: bool) {
        if is_in_it {
            self.interval = self.interval.max(now.since(self.heard));
            (self.heard, self.missed) = (now, 0);
        } else {
            self.missed = self.missed.saturating_add(1);
        }
        self.any_interval = self.any_interval.max(now.since(self.last));
        self.last = now;
    }

    /// What an option says, if it says anything (RFC 4861 6.3.4, RFC 4862 5.5.3).
    fn take(&mut self, now: Time, option: &PrefixOption) {
        if option.on_link {
            self.on_link = Some(option.valid.end(now));
        }
        if option.autonomous {
            let preferred = option.preferred.end(now);
            self.autonomous = match self.autonomous {
                Some((_, old)) => Some((preferred, two_hour_rule(now, old, option.valid))),
                None => Some((preferred, option.valid.end(now))).filter(|_| !option.valid.is_zero()),
            };
        }
    }
}

impl Entry {
    /// Whose word counts: the best of standing, and of those the one that was heard last.
    pub fn announcer(&self, standing: impl Fn(Ipv6Addr) -> Standing) -> &Announcer {
        let best = self.announcers.iter().min_by_key(|a| (standing(a.router), Reverse(a.heard)));
        best.expect("a prefix without announcers is gone")
    }

    /// All who announce it.
    pub fn announcers(&self) -> &[Announcer] {
        &self.announcers
    }

    pub fn is_deprecated(&self, now: Time, standing: impl Fn(Ipv6Addr) -> Standing) -> bool {
        self.announcer(standing).autonomous.is_some_and(|(preferred, _)| preferred <= now)
    }

    /// Our address in it.
    pub fn address(&self) -> Option<Ipv6Addr> {
        self.own.address
    }

    pub fn contains(&self, address: Ipv6Addr) -> bool {
        super::advertisement::masked(address, self.length) == Some(self.prefix)
    }

    fn announcer_of(&mut self, now: Time, router: Ipv6Addr) -> &mut Announcer {
        if let Some(at) = self.announcers.iter().position(|a| a.router == router) {
            return &mut self.announcers[at];
        }
        if self.announcers.len() == MAX_ROUTERS {
            let oldest = (0..MAX_ROUTERS).min_by_key(|&i| self.announcers[i].heard).unwrap_or(0);
            self.announcers.remove(oldest);
        }
        self.announcers.push(Announcer::new(now, router));
        self.announcers.last_mut().expect("one was added")
    }

    /// Makes our address as soon as hosts make addresses in the prefix, and another one when it is time to.
    fn make_address(&mut self, now: Time, id: &InterfaceId) {
        let is_autonomous = self.length == 64 && self.announcers.iter().any(|a| a.autonomous.is_some());
        let is_due = !self.own.made || self.own.retry.is_some_and(|at| at <= now);
        if is_autonomous && is_due {
            (self.own.made, self.own.retry) = (true, None);
            self.own.address = id.address(self.prefix, self.own.duplicates);
        } else if !is_autonomous {
            self.own = Own::default();
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Prefixes {
    list: Vec<Entry>,
}

impl Prefixes {
    /// The prefixes of one advertisement of `router`.
    pub fn learn(
        &mut self,
        now: Time,
        router: Ipv6Addr,
        options: &[PrefixOption],
        standing: impl Fn(Ipv6Addr) -> Standing,
        event: &mut impl FnMut(Event),
    ) {
        // RFC 4862 5.5.3 a, RFC 4861 6.3.4: an option without a flag says nothing, and so is no announcement.
        let options: Vec<_> = options.iter().filter(|option| option.on_link || option.autonomous).collect();
        for option in &options {
            let known = self.list.iter().position(|e| e.prefix == option.prefix && e.length == option.length);
            // Zero makes nothing new.
            let Some(at) = known.or_else(|| self.add(now, option, &standing, event)) else { continue };
            self.list[at].announcer_of(now, router).take(now, option);
        }
        if options.is_empty() {
            return;
        }
        for entry in &mut self.list {
            let is_in_it = options.iter().any(|option| (option.prefix, option.length) == (entry.prefix, entry.length));
            entry.announcers.iter_mut().filter(|a| a.router == router).for_each(|a| a.advertised(now, is_in_it));
        }
    }

    /// A place for a new prefix.
    fn add(
        &mut self,
        now: Time,
        option: &PrefixOption,
        standing: impl Fn(Ipv6Addr) -> Standing,
        event: &mut impl FnMut(Event),
    ) -> Option<usize> {
        let &PrefixOption { prefix, length, preferred, valid, .. } = option;
        if valid.is_zero() {
            return None;
        }
        if self.list.len() == MAX_PREFIXES {
            // Strangers' first, then of a router that renumbers and renumbers without taking any back; never what the
            // router in use announces, and nothing of this same advertisement.
            let worth = |e: &Entry| {
                let best = e.announcer(&standing);
                (Reverse(standing(best.router)), best.heard)
            };
            let may_go = |e: &Entry| {
                let best = e.announcer(&standing);
                best.heard < now && (standing(best.router) != Standing::InUse || best.missed > 0)
            };
            let least = (0..MAX_PREFIXES).filter(|&i| may_go(&self.list[i])).min_by_key(|&i| worth(&self.list[i]))?;
            let Entry { prefix, length, .. } = self.list.remove(least);
            event(Event::PrefixGone { prefix, length });
        }
        event(Event::PrefixNew { prefix, length, preferred, valid });
        let (announcers, own) = (Vec::new(), Own::default());
        self.list.push(Entry { prefix, length, announcers, own, since: now, deprecated_told: false });
        Some(self.list.len() - 1)
    }

    /// The link was down: the time until the next announcement says nothing of the interval between two.
    pub fn link_down(&mut self, now: Time) {
        for announcer in self.list.iter_mut().flat_map(|entry| &mut entry.announcers) {
            (announcer.heard, announcer.last) = (now, now);
        }
    }

    /// Somebody else has `address`: the next one is made, or none.
    pub fn duplicate(&mut self, now: Time, address: Ipv6Addr, id: &InterfaceId, event: &mut impl FnMut(Event)) {
        for entry in self.list.iter_mut().filter(|entry| entry.own.address == Some(address)) {
            let own = &mut entry.own;
            own.address = None;
            own.duplicates = own.duplicates.saturating_add(1);
            let another = id.address(entry.prefix, own.duplicates).is_some();
            event(Event::Duplicate { address, another });
            own.retry = another.then(|| now + rand::rng().random_range(Duration::ZERO..=RETRY_DELAY));
        }
    }

    /// Ends what is over, says what became deprecated, makes addresses.
    pub fn expire(
        &mut self,
        now: Time,
        id: &InterfaceId,
        standing: impl Fn(Ipv6Addr) -> Standing,
        event: &mut impl FnMut(Event),
    ) {
        self.list.retain_mut(|entry| {
            entry.announcers.retain_mut(|announcer| {
                announcer.on_link = announcer.on_link.filter(|&end| end > now);
                announcer.autonomous = announcer.autonomous.filter(|&(_, valid)| valid > now);
                announcer.on_link.is_some() || announcer.autonomous.is_some()
            });
            let (prefix, length) = (entry.prefix, entry.length);
            if entry.announcers.is_empty() {
                event(Event::PrefixGone { prefix, length });
                return false;
            }
            entry.make_address(now, id);
            let deprecated = entry.is_deprecated(now, &standing);
            if deprecated != entry.deprecated_told {
                entry.deprecated_told = deprecated;
                let left = Lifetime::left(entry.announcer(&standing).end(), now);
                event(match deprecated {
                    true => Event::PrefixDeprecated { prefix, length, left },
                    false => Event::PrefixPreferred { prefix, length },
                });
            }
            true
        });
    }

    /// The one to use first, as far as the line says: preferred, still announced, by whose word counts most, and then
    /// the newest: after a renumbering that the router does not know of, the old prefix looks as good as the new
    /// (RFC 8978).
    pub fn sorted(&self, now: Time, standing: impl Fn(Ipv6Addr) -> Standing) -> Vec<&Entry> {
        let mut sorted: Vec<_> = self.list.iter().collect();
        sorted.sort_by_key(|e| {
            let announcer = e.announcer(&standing);
            let is_withdrawn = announcer.announced(now) == Announced::Withdrawn;
            (e.is_deprecated(now, &standing), is_withdrawn, standing(announcer.router), Reverse(e.since))
        });
        sorted
    }

    /// When the prefixes end that `address` is in, by whose word counts; the last of them.
    pub fn valid_until(&self, address: Ipv6Addr, standing: impl Fn(Ipv6Addr) -> Standing) -> Option<Time> {
        let of = self.list.iter().filter(|entry| entry.contains(address));
        of.filter_map(|entry| entry.announcer(&standing).autonomous).map(|(_, valid)| valid).max()
    }

    /// Whether hosts at `address` are reached directly, as one of these says.
    pub fn is_on_link(&self, address: Ipv6Addr, counts: impl Fn(Ipv6Addr) -> bool) -> bool {
        let says_so = |e: &Entry| e.announcers.iter().any(|a| a.on_link.is_some() && counts(a.router));
        self.list.iter().any(|e| e.contains(address) && says_so(e))
    }

    pub fn poll_timeout(&self, now: Time) -> Option<Time> {
        let of = |a: &Announcer| {
            let (preferred, valid) = a.autonomous.unzip();
            let later = [preferred, a.withdrawn_at()].map(|at| at.filter(|&at| at > now));
            later.into_iter().chain([valid, a.on_link]).flatten().min()
        };
        let ends = self.list.iter().flat_map(|e| &e.announcers).filter_map(of);
        ends.chain(self.list.iter().filter_map(|e| e.own.retry)).min()
    }
}

/// RFC 4862 5.5.3 e 1 to 3.
fn two_hour_rule(now: Time, old: Time, advertised: Lifetime) -> Time {
    let new = advertised.end(now);
    let two_hours = now + TWO_HOURS;
    if new > two_hours || new > old {
        new
    } else if old <= two_hours {
        old
    } else {
        two_hours
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// RFC 4862 5.5.3 e, in its own words and in seconds.
        #[test]
        fn rfc4862_5_5_3_e_two_hours(
            now in 0u32..1_000_000,
            remaining in prop_oneof![0u32..20_000, 7199u32..7202],
            received in prop_oneof![0u32..20_000, 7199u32..7202, Just(u32::MAX)],
        ) {
            let at = |seconds: u32| Time::default() + Duration::from_secs(seconds.into());
            let new = two_hour_rule(at(now), at(now + remaining), Lifetime::from_wire(received));
            let expected = if received > 7200 || received > remaining {
                received
            } else if remaining <= 7200 {
                remaining
            } else {
                7200
            };
            prop_assert_eq!(Lifetime::left(new, at(now)), Lifetime::from_wire(expected));
        }
    }
}
