//! The prefixes of the link, and our addresses in them (RFC 4861 6.3.4, RFC 4862 5.5.3).

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;
use rand::RngExt;

use super::advertisement::{MAX_PREFIXES, PrefixOption};
use super::{Event, InterfaceId, Lifetime};

/// RFC 4862 5.5.3 e: an advertisement, which nobody signed, shortens an address's life to this at most.
const TWO_HOURS: Duration = Duration::from_secs(7200);

/// RFC 7217 6, IDGEN_DELAY: hosts that clashed do not try their next addresses all at once.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A prefix that its router left out of so many advertisements with others in them is used after those that
/// are advertised: a router that forgot its old prefix takes it back for nobody (RFC 8978 2.1).
const FORGOTTEN: u8 = 3;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub prefix: Ipv6Addr,
    pub length: u8,
    pub router: Ipv6Addr,
    pub on_link: Option<Time>,
    pub autonomous: Option<Autonomous>,
    since: Time,
    heard: Time,
    missed: u8,
    deprecated_told: bool,
}

/// Hosts make addresses in the prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Autonomous {
    pub preferred: Time,
    pub valid: Time,
    /// Ours; `None` if the prefix is no /64, while a duplicate makes us wait, and when we gave up.
    pub address: Option<Ipv6Addr>,
    duplicates: u8,
    retry: Option<Time>,
}

impl Entry {
    /// For how long the prefix is there, for whatever reason.
    pub fn end(&self) -> Time {
        self.on_link.max(self.autonomous.map(|a| a.valid)).unwrap_or_default()
    }

    pub fn is_deprecated(&self, now: Time) -> bool {
        self.autonomous.is_some_and(|a| a.preferred <= now)
    }

    pub fn contains(&self, address: Ipv6Addr) -> bool {
        super::advertisement::masked(address, self.length) == Some(self.prefix)
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
        id: &InterfaceId,
        event: &mut impl FnMut(Event),
    ) {
        for option in options {
            self.handle_one(now, router, option, id, event);
        }
        if !options.is_empty() {
            for entry in self.list.iter_mut().filter(|e| e.router == router) {
                entry.missed = if entry.heard == now { 0 } else { entry.missed.saturating_add(1) };
            }
        }
    }

    fn handle_one(
        &mut self,
        now: Time,
        router: Ipv6Addr,
        option: &PrefixOption,
        id: &InterfaceId,
        event: &mut impl FnMut(Event),
    ) {
        let &PrefixOption { prefix, length, on_link, autonomous, preferred, valid } = option;
        let known = self.list.iter().position(|e| e.prefix == prefix && e.length == length);
        let at = match known {
            Some(at) => at,
            // RFC 4861 6.3.4 and RFC 4862 5.5.3 d: zero makes nothing new, and no flag says nothing.
            None if valid.is_zero() || !(on_link || autonomous) => return,
            None => {
                if self.list.len() == MAX_PREFIXES {
                    // Prefixes of a router that renumbers and renumbers without taking any back.
                    let oldest =
                        (0..MAX_PREFIXES).filter(|&i| self.list[i].heard < now).min_by_key(|&i| self.list[i].heard);
                    let Some(oldest) = oldest else { return };
                    let Entry { prefix, length, .. } = self.list.remove(oldest);
                    event(Event::PrefixGone { prefix, length });
                }
                event(Event::PrefixNew { prefix, length, preferred, valid });
                self.list.push(Entry {
                    prefix,
                    length,
                    router,
                    on_link: None,
                    autonomous: None,
                    since: now,
                    heard: now,
                    missed: 0,
                    deprecated_told: false,
                });
                self.list.len() - 1
            }
        };
        let entry = &mut self.list[at];
        (entry.router, entry.heard) = (router, now);
        if on_link {
            entry.on_link = Some(valid.end(now));
        }
        if autonomous {
            match &mut entry.autonomous {
                Some(old) => {
                    old.preferred = preferred.end(now);
                    old.valid = two_hour_rule(now, old.valid, valid);
                }
                None if valid.is_zero() => {}
                None => {
                    let address = (length == 64).then(|| id.address(prefix, 0)).flatten();
                    let (preferred, valid) = (preferred.end(now), valid.end(now));
                    entry.autonomous = Some(Autonomous { preferred, valid, address, duplicates: 0, retry: None });
                }
            }
        }
    }

    /// Somebody else has `address`: the next one is made, or none.
    pub fn duplicate(&mut self, now: Time, address: Ipv6Addr, id: &InterfaceId, event: &mut impl FnMut(Event)) {
        let ours = self.list.iter_mut().filter_map(|e| e.autonomous.as_mut().map(|a| (e.prefix, a)));
        for (prefix, autonomous) in ours.filter(|(_, a)| a.address == Some(address)) {
            autonomous.address = None;
            autonomous.duplicates = autonomous.duplicates.saturating_add(1);
            let another = id.address(prefix, autonomous.duplicates).is_some();
            event(Event::Duplicate { address, another });
            autonomous.retry = another.then(|| now + rand::rng().random_range(Duration::ZERO..=RETRY_DELAY));
        }
    }

    /// Ends what is over, says what became deprecated, makes addresses that were waited for.
    pub fn expire(&mut self, now: Time, id: &InterfaceId, event: &mut impl FnMut(Event)) {
        self.list.retain_mut(|entry| {
            entry.on_link = entry.on_link.filter(|&end| end > now);
            entry.autonomous = entry.autonomous.filter(|a| a.valid > now);
            let (prefix, length) = (entry.prefix, entry.length);
            if entry.on_link.is_none() && entry.autonomous.is_none() {
                event(Event::PrefixGone { prefix, length });
                return false;
            }
            if let Some(autonomous) = &mut entry.autonomous
                && autonomous.retry.is_some_and(|at| at <= now)
            {
                autonomous.retry = None;
                autonomous.address = id.address(prefix, autonomous.duplicates);
            }
            let deprecated = entry.is_deprecated(now);
            if deprecated != entry.deprecated_told {
                entry.deprecated_told = deprecated;
                event(match deprecated {
                    true => Event::PrefixDeprecated { prefix, length, left: Lifetime::left(entry.end(), now) },
                    false => Event::PrefixPreferred { prefix, length },
                });
            }
            true
        });
    }

    /// The one to use first: preferred, still advertised, and then the newest: after a renumbering that the
    /// router does not know of, the old prefix looks as good as the new (RFC 8978).
    pub fn sorted(&self, now: Time) -> Vec<&Entry> {
        let mut sorted: Vec<_> = self.list.iter().collect();
        sorted.sort_by_key(|e| (e.is_deprecated(now), e.missed >= FORGOTTEN, std::cmp::Reverse(e.since)));
        sorted
    }

    pub fn is_on_link(&self, address: Ipv6Addr) -> bool {
        self.list.iter().any(|e| e.on_link.is_some() && e.contains(address))
    }

    pub fn poll_timeout(&self, now: Time) -> Option<Time> {
        let of = |e: &Entry| {
            let autonomous = e.autonomous.map(|a| [Some(a.valid), Some(a.preferred).filter(|&t| t > now), a.retry]);
            [e.on_link].into_iter().chain(autonomous.into_iter().flatten()).flatten().min()
        };
        self.list.iter().filter_map(of).min()
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
