//! The one table that says which prefix our end of the tunnel is in, and through which router its packets go.
//!
//! 1. Out is what cannot reach the far end: a unique local prefix (RFC 4193), while there is a global one and the far end is
//!    not unique local itself. Out, too, is a prefix of which no default router that may be reachable says anything, while
//!    there is another of which one does: a router takes what comes from its own prefixes (RFC 8028 3, BCP 38).
//! 2. Preferred comes before deprecated (RFC 6724 5 rule 3), what is announced before what its router forgot (RFC 8978):
//!    withdrawn in time, or missed while the far end is silent.
//! 3. What is in use stays.
//! 4. Of the rest: the prefix that is of the far end's kind (rule 6), the preference of its router (RFC 4191 3), the link's
//!    own before what was delegated, and what the line names first.

use std::cmp::Reverse;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Prefix6;
use hikyaku_protocols::slaac::{Announced, Preference};

use super::facts::Facts;

/// So long the far end is silent while we send until a prefix that its router left out is taken for withdrawn.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// A prefix that the line gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The prefix, of which the upper 64 bits count for our end of the tunnel.
    pub prefix: Prefix6,
    /// How we came to it.
    pub given: Given,
    /// Ours in it, made of it.
    pub address: Option<Ipv6Addr>,
    /// The default router that takes what comes from it; `None`: no one that may be reachable.
    pub router: Option<Ipv6Addr>,
    /// Its preferred lifetime is over (RFC 4862 5.5.4).
    pub deprecated: bool,
    /// Its router forgot it.
    is_forgotten: bool,
    is_in_use: bool,
    preference: Preference,
}

/// How the line gives a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Given {
    /// A router advertisement has it, for hosts of this link (RFC 4862).
    Advertised,
    /// A DHCPv6 server delegates it (RFC 8415 6.3).
    Delegated,
}

/// All that may carry the tunnel, the best first. `prefix` and `router`: what was used before.
pub(super) fn candidates(facts: &Facts, prefix: Option<Ipv6Addr>, router: Option<Ipv6Addr>) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = advertised(facts).chain(delegated(facts, router)).collect();
    mark_in_use(&mut all, facts, prefix);
    let far_is_local = facts.far.address.is_some_and(|address| address.is_unique_local());
    let is_local = |candidate: &Candidate| candidate.prefix.address().is_unique_local();
    if !far_is_local && all.iter().any(|candidate| !is_local(candidate)) {
        all.retain(|candidate| !is_local(candidate));
    }
    if all.iter().any(|candidate| candidate.router.is_some()) {
        all.retain(|candidate| candidate.router.is_some());
    }
    all.sort_by_key(|candidate| {
        let Candidate { deprecated, is_forgotten, is_in_use, preference, given, .. } = *candidate;
        (deprecated, is_forgotten, !is_in_use, is_local(candidate) != far_is_local, Reverse(preference), given)
    });
    all
}

/// The router to go through without regard to a prefix: while something is carried the one of before, as long as it may be
/// reachable; else by preference.
pub(super) fn any_router(facts: &Facts, before: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
    let routers = || facts.slaac.routers.iter().filter(|router| !router.unreachable);
    let is_kept = |address: &Ipv6Addr| facts.carried.is_some() && routers().any(|router| router.address == *address);
    let best = || routers().min_by_key(|router| Reverse(router.preference)).map(|router| router.address);
    before.filter(is_kept).or_else(best)
}

fn advertised(facts: &Facts) -> impl Iterator<Item = Candidate> {
    let is_silent = facts.far.silent_since.is_some_and(|since| facts.now.since(since) >= SILENCE);
    facts.slaac.prefixes.iter().filter(|prefix| prefix.autonomous).filter_map(move |prefix| {
        let routers = facts.slaac.routers.iter().filter(|router| !router.unreachable);
        let announcers = routers.filter(|router| prefix.routers.contains(&router.address));
        // The list has the one in use first.
        let router = announcers.min_by_key(|router| Reverse(router.preference));
        Some(Candidate {
            prefix: Prefix6::new(prefix.prefix, prefix.length)?,
            given: Given::Advertised,
            address: prefix.address,
            router: router.map(|router| router.address),
            deprecated: prefix.deprecated,
            is_forgotten: match prefix.announced {
                Announced::Yes => false,
                Announced::Missed => is_silent,
                Announced::Withdrawn => true,
            },
            is_in_use: false,
            preference: router.map_or(Preference::Low, |router| router.preference),
        })
    })
}

fn delegated(facts: &Facts, before: Option<Ipv6Addr>) -> impl Iterator<Item = Candidate> {
    // Who handed the lease out takes what comes from it.
    let routers = facts.slaac.routers.iter().filter(|router| !router.unreachable);
    let router = facts.dhcpv6.router.filter(|from| routers.clone().any(|router| router.address == *from));
    let router = router.or_else(|| any_router(facts, before));
    let preference = facts.slaac.routers.iter().find(|known| Some(known.address) == router);
    let preference = preference.map_or(Preference::Low, |known| known.preference);
    facts.dhcpv6.prefixes.iter().zip(&facts.delegated_addresses).map(move |(leased, &address)| Candidate {
        prefix: leased.what.prefix(),
        given: Given::Delegated,
        address,
        router,
        deprecated: leased.preferred == Some(0),
        is_forgotten: false,
        is_in_use: false,
        preference,
    })
}

/// In use is what the tunnel is carried from. Where its end is in none of them (a home gateway leaves us an address of
/// another prefix), it is the one that was chosen before.
fn mark_in_use(all: &mut [Candidate], facts: &Facts, before: Option<Ipv6Addr>) {
    let Some(carried) = &facts.carried else { return };
    let has_end = |candidate: &Candidate| candidate.prefix.contains(carried.local);
    let is_known = all.iter().any(has_end);
    for candidate in all {
        candidate.is_in_use = if is_known { has_end(candidate) } else { Some(candidate.prefix.address()) == before };
    }
}
