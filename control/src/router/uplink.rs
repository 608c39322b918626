//! What of the line is used: which prefix, which address of ours, which resolvers, and whether its DHCPv6 server is
//! still waited for.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_config::Config;
use hikyaku_net::Time;

use super::facts::{Facts, LineId};
use super::prefix::{Candidate, Given, SILENCE, any_router, candidates};

/// How long a DHCPv6 server may take before the line counts as one without: Solicit is sent four times by then.
const DHCPV6_PATIENCE: Duration = Duration::from_secs(15);

/// What of the line is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Uplink {
    /// The prefix that our end of the tunnel is in, of which the upper 64 bits count.
    pub prefix: Option<Ipv6Addr>,
    /// The router that packets go through: it takes what comes from the prefix.
    pub router: Option<Ipv6Addr>,
    /// The WAN's own address.
    pub own: Option<Ipv6Addr>,
    /// What our own packets come from: an address that may be used.
    pub source: Option<Ipv6Addr>,
    /// Who is asked for names, once there is an address to ask from.
    pub resolvers: Vec<IpAddr>,
    /// The resolvers that the line names, whomever the user says.
    pub named_resolvers: Vec<IpAddr>,
    /// The line, as names are asked on it.
    pub line: LineId,
    /// From when on a prefix that its router left out of its advertisements is forgotten: the far end is silent.
    pub forgets_from: Option<Time>,
    /// From when on the DHCPv6 server counts as silent; `None`: it has answered, or there is no line to ask on.
    pub silent_from: Option<Time>,
}

/// What follows from the facts. `previous`: what was used before.
pub(super) fn uplink(config: &Config, facts: &Facts, previous: &Uplink) -> Uplink {
    let candidates = candidates(facts, previous.prefix, previous.router);
    let best = candidates.first();
    let own = own_address(facts, &candidates);
    let named_resolvers = named_resolvers(facts);
    let resolvers = resolvers(config, &named_resolvers);
    let source = source(facts, own);
    Uplink {
        prefix: best.map(|candidate| candidate.prefix.address()),
        router: best.and_then(|candidate| candidate.router).or_else(|| any_router(facts, previous.router)),
        own,
        source,
        line: LineId {
            // Prefixes that a MAP rule may be for.
            prefixes: candidates
                .iter()
                .filter(|candidate| !candidate.deprecated)
                .map(|candidate| candidate.prefix)
                .collect(),
            resolvers: if source.is_some() { resolvers.clone() } else { Vec::new() },
        },
        resolvers,
        named_resolvers,
        forgets_from: facts.far.silent_since.map(|since| since + SILENCE),
        silent_from: silent_from(facts, previous.silent_from),
    }
}

/// The WAN's own address: in the prefix that was chosen, or else one that the server leased, or in any other prefix. On
/// a line that delegates a prefix the leased one comes first, so that what is delegated stays for the LAN.
fn own_address(facts: &Facts, candidates: &[Candidate]) -> Option<Ipv6Addr> {
    let is_out = |address: &Ipv6Addr| {
        address.is_unique_local() && !candidates.iter().any(|c| c.prefix.address().is_unique_local())
    };
    let mut leased: Vec<_> =
        facts.dhcpv6.addresses.iter().filter(|leased| candidates.is_empty() || !is_out(&leased.what)).collect();
    leased.sort_by_key(|leased| leased.preferred == Some(0));
    let leased = leased.first().map(|leased| leased.what);
    let chosen = candidates.first().filter(|candidate| candidate.given == Given::Advertised).and_then(|c| c.address);
    chosen.or(leased).or_else(|| candidates.iter().find_map(|candidate| candidate.address))
}

/// What our own packets come from: our own address, or else the end of the tunnel in use.
fn source(facts: &Facts, own: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
    let end = facts.carried.as_ref().map(|carried| carried.local);
    own.into_iter().chain(end).find(|&address| facts.may_use(address))
}

/// Who is asked for names: whom the user says, else whom the line names. Never anybody else: the names of border routers are
/// known to the line's own resolvers alone.
fn resolvers(config: &Config, named: &[IpAddr]) -> Vec<IpAddr> {
    let configured = &config.wan.resolvers;
    if configured.is_empty() { named.to_vec() } else { configured.iter().copied().map(IpAddr::from).collect() }
}

/// DHCPv6's resolvers, else the router's.
fn named_resolvers(facts: &Facts) -> Vec<IpAddr> {
    let leased = &facts.dhcpv6.information.dns;
    let advertised = || facts.slaac.rdnss.iter().map(|resolver| resolver.address).collect();
    let named = if leased.is_empty() { advertised() } else { leased.clone() };
    named.into_iter().map(IpAddr::from).collect()
}

/// The server is waited for as soon as there is a router to say that it is there.
fn silent_from(facts: &Facts, previous: Option<Time>) -> Option<Time> {
    let is_waited_for = facts.slaac.default_router().is_some() && !facts.dhcpv6.is_informed();
    is_waited_for.then(|| previous.unwrap_or(facts.now + DHCPV6_PATIENCE))
}

/// The prefix of an address.
pub(super) fn upper_half(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)
}
