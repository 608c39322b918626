//! What of the line is used: which prefix, which address of ours, which resolvers, and whether its DHCPv6 server is
//! still waited for.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_config::Config;
use hikyaku_net::{Prefix6, Time};

use super::facts::{Facts, LineId};

/// How long a DHCPv6 server may take before the line counts as one without: Solicit is sent four times by then.
const DHCPV6_PATIENCE: Duration = Duration::from_secs(15);

/// What of the line is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Uplink {
    /// The prefix that our end of the tunnel is in, of which the upper 64 bits count.
    pub prefix: Option<Ipv6Addr>,
    /// The WAN's own address.
    pub own: Option<Ipv6Addr>,
    /// What our own packets come from: an address that may be used.
    pub source: Option<Ipv6Addr>,
    /// Who is asked for names, once there is an address to ask from.
    pub resolvers: Vec<IpAddr>,
    /// The line, as names are asked on it.
    pub line: LineId,
    /// From when on the DHCPv6 server counts as silent; `None`: it has answered, or there is no line to ask on.
    pub silent_from: Option<Time>,
}

/// What follows from the facts. `previous`: what was used before.
pub(super) fn uplink(config: &Config, facts: &Facts, previous: &Uplink) -> Uplink {
    let own = own_address(facts);
    let resolvers = resolvers(config, facts);
    let source = source(facts, own);
    Uplink {
        prefix: prefix(facts),
        own,
        source,
        line: LineId {
            prefixes: end_user_prefixes(facts),
            resolvers: if source.is_some() { resolvers.clone() } else { Vec::new() },
        },
        resolvers,
        silent_from: silent_from(facts, previous.silent_from),
    }
}

/// The prefix that our end of the tunnel is in: the link's own, or the first of what was delegated.
fn prefix(facts: &Facts) -> Option<Ipv6Addr> {
    let delegated = || facts.dhcpv6.prefixes.first().map(|leased| leased.what.address());
    facts.slaac.main_prefix().map(|prefix| prefix.prefix).or_else(delegated)
}

/// Prefixes that a MAP rule may be for, the link's own before what was delegated.
fn end_user_prefixes(facts: &Facts) -> Vec<Prefix6> {
    let advertised = facts.slaac.prefixes.iter().filter(|prefix| prefix.autonomous && !prefix.deprecated);
    let advertised = advertised.filter_map(|prefix| Prefix6::new(prefix.prefix, prefix.length));
    let delegated = facts.dhcpv6.prefixes.iter().map(|leased| leased.what);
    advertised.chain(delegated.filter_map(|prefix| Prefix6::new(prefix.address(), prefix.len()))).collect()
}

/// The WAN's own address: from the advertised prefix, from the server, or made in the delegated prefix.
fn own_address(facts: &Facts) -> Option<Ipv6Addr> {
    let advertised = facts.slaac.addresses.first().map(|address| address.address);
    let leased = || facts.dhcpv6.addresses.first().map(|leased| leased.what);
    advertised.or_else(leased).or(facts.delegated_address)
}

/// What our own packets come from: our own address, or else the end of the tunnel in use.
fn source(facts: &Facts, own: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
    let end = facts.carried.as_ref().map(|carried| carried.local);
    own.into_iter().chain(end).find(|&address| facts.is_ready(address))
}

/// Who is asked for names: whom the user says, else DHCPv6's, else the router's. Never anybody else: the names of
/// border routers are known to the line's own resolvers alone.
fn resolvers(config: &Config, facts: &Facts) -> Vec<IpAddr> {
    let (configured, leased) = (&config.wan.resolvers, &facts.dhcpv6.information.dns);
    let advertised = || facts.slaac.rdnss.iter().map(|resolver| resolver.address).collect();
    let chosen = [configured, leased].into_iter().find(|said| !said.is_empty()).cloned();
    chosen.unwrap_or_else(advertised).into_iter().map(IpAddr::from).collect()
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
