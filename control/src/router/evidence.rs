//! What speaks for the line being another than the one that was learnt. A switch between us and the line's box hides that
//! it was exchanged: no carrier goes, and what it said holds for hours.
//!
//! Such evidence has everything verified ([`super::machines::Machines::verify`]): at once, but in growing intervals while
//! it lasts, so that a far end that is dead for a day costs a handful of questions an hour.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Time};
use hikyaku_protocols::slaac::{Announced, Prefix};

use super::facts::Facts;

/// So long the far end is silent while we send until the line is doubted.
const SILENCE: Duration = Duration::from_secs(10);

/// Between two verifications; each makes the next wait three times as long, until there was none for as long again.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// Evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Another default router is used than before.
    AnotherRouter,
    /// A default router came that was not there, or one that was dead answers again.
    RouterCame,
    /// The router in use has another Ethernet address.
    RouterMoved,
    /// The router in use announces a prefix that it did not announce, or forgot one that it did.
    AnotherPrefix,
    /// The far end says nothing to what we send.
    FarEndSilent,
    /// The far end's side says that it does not know our address (ICMPv6 type 1 code 5, RFC 7597 8.1).
    Refused,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnotherRouter => "another router is used",
            Self::RouterCame => "a router came, or answers again",
            Self::RouterMoved => "the router has another Ethernet address",
            Self::AnotherPrefix => "the router announces other prefixes",
            Self::FarEndSilent => "the far end is silent",
            Self::Refused => "the far end's side refuses our address",
        })
    }
}

/// What was seen of the line so far, and when it was verified.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    /// The last verification, and why.
    pub verified: Option<(Time, Sign)>,
    /// What has not led to one yet.
    pending: Option<Sign>,
    pause: Duration,
    seen: Option<Seen>,
    silent_since: Option<Time>,
}

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    router: Option<Ipv6Addr>,
    mac: Option<Mac>,
    /// Default routers that may be reachable.
    routers: Vec<Ipv6Addr>,
    /// What the router in use announces.
    prefixes: Vec<Ipv6Addr>,
    refused: u64,
}

impl Evidence {
    /// What it is after these facts. `router`: the one in use.
    pub fn after(&self, facts: &Facts, router: Option<Ipv6Addr>) -> Self {
        let seen = Seen::of(facts, router, self.seen.as_ref());
        let sign = self.seen.as_ref().and_then(|before| seen.sign_since(before));
        let is_silent = facts.far.silent_since.is_some_and(|since| facts.now.since(since) >= SILENCE);
        let silence = is_silent.then_some(Sign::FarEndSilent);
        let pending = sign.or(self.pending.filter(|sign| *sign != Sign::FarEndSilent)).or(silence);
        let silent_since = facts.far.silent_since;
        let next = Self { pending, seen: Some(seen), silent_since, ..self.clone() };
        match pending {
            Some(sign) if self.allowed_from().is_none_or(|at| at <= facts.now) => {
                let rested = self.verified.is_none_or(|(at, _)| facts.now.since(at) >= self.pause * 2);
                let pause = if rested { FIRST_PAUSE } else { (self.pause * 3).min(LONGEST_PAUSE) };
                Self { verified: Some((facts.now, sign)), pending: silence, pause, ..next }
            }
            _ => next,
        }
    }

    /// When it may come to something else after `now`, if nothing happens.
    pub fn next(&self, now: Time) -> Option<Time> {
        let allowed = self.pending.and_then(|_| self.allowed_from());
        let silence = self.silent_since.map(|since| since + SILENCE);
        [allowed, silence].into_iter().flatten().filter(|&at| at > now).min()
    }

    fn allowed_from(&self) -> Option<Time> {
        self.verified.map(|(at, _)| at + self.pause)
    }
}

impl Seen {
    fn of(facts: &Facts, router: Option<Ipv6Addr>, before: Option<&Self>) -> Self {
        let living = facts.slaac.routers.iter().filter(|router| !router.unreachable).map(|router| router.address);
        let is_announced =
            |prefix: &&Prefix| prefix.routers.first().copied() == router && prefix.announced != Announced::Withdrawn;
        let prefixes = facts.slaac.prefixes.iter().filter(is_announced).map(|prefix| prefix.prefix);
        let mac = facts.next_hop.filter(|(address, _)| Some(*address) == router).and_then(|(_, mac)| mac);
        Self {
            // While there is none, the last one is what the next is compared with.
            router: router.or(before.and_then(|before| before.router)),
            mac: mac
                .or(before.filter(|before| router.is_none() || before.router == router).and_then(|before| before.mac)),
            routers: living.collect(),
            prefixes: match (router, before) {
                (None, Some(before)) => before.prefixes.clone(),
                _ => prefixes.collect(),
            },
            refused: facts.far.refused,
        }
    }

    fn sign_since(&self, before: &Self) -> Option<Sign> {
        let is_new = |now: &[Ipv6Addr], then: &[Ipv6Addr]| now.iter().any(|one| !then.contains(one));
        let moved = self.mac.zip(before.mac).is_some_and(|(now, then)| now != then);
        match before.router {
            None => None,
            Some(router) if self.router != Some(router) => Some(Sign::AnotherRouter),
            Some(_) if moved => Some(Sign::RouterMoved),
            Some(_) if is_new(&self.routers, &before.routers) => Some(Sign::RouterCame),
            Some(_) if !before.prefixes.is_empty() && is_new(&self.prefixes, &before.prefixes) => {
                Some(Sign::AnotherPrefix)
            }
            Some(_) if is_new(&before.prefixes, &self.prefixes) => Some(Sign::AnotherPrefix),
            Some(_) if self.refused > before.refused => Some(Sign::Refused),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
