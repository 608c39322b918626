//! What hosts of the LAN have of the line's IPv6: which /64, for how long, and whether there is a way out.
//!
//! Each prefix that the line delegates has a /64 for the LAN (RFC 7084 L-2). Its number is the user's, or 1: in number 0 is our
//! own end of the tunnel, as MAP (RFC 7597 5.2) and home gateways have it, and it must not move when another service
//! is chosen. Of a /64 there is but the one.
//!
//! A line that delegates nothing shares the /64 that it advertises: hosts of the LAN are its hosts, and ND proxy answers for
//! each side on the other. Not before the line's server was asked in vain, or has nothing to be asked for.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_config::{Config, LanDhcpv6};
use hikyaku_dataplane::tunnel::IPV6_MIN_MTU;
use hikyaku_net::{Addr6, Prefix6};
use hikyaku_protocols::advertiser::{Advertised, Prefix, Route};
use hikyaku_protocols::dhcpv6::server::{Delegable, OnLink, Parameters, Served};
use hikyaku_protocols::dhcpv6::{self, Fact};
use hikyaku_protocols::neighbour::Progress;
use hikyaku_protocols::service::closed_network;
use hikyaku_protocols::slaac::Lifetime;

use super::desired::dhcpv6_mode;
use super::facts::Facts;
use super::uplink::Uplink;

/// Bits of a prefix that hosts make addresses in (RFC 4862 5.5.3 d).
const SUBNET: u8 = 64;

/// What hosts of the LAN have of the line's IPv6.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LanIpv6 {
    /// What they are told; `None`: there is to be no IPv6 on the LAN.
    pub advertised: Option<Advertised>,
    /// What they get by DHCPv6; `None`: nothing, there is no server.
    pub served: Option<Served>,
    /// The prefixes that the line delegates, as a whole: what of them is no LAN's leads nowhere (RFC 7084 WPD-5).
    pub delegated: Vec<Prefix6>,
    /// The prefix of the line's link that is the LAN's, too.
    pub shared: Option<Prefix6>,
    /// What of the user's wish this line cannot fulfil.
    pub unfulfilled: Vec<String>,
}

impl LanIpv6 {
    /// The LAN's prefixes.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix6> {
        self.advertised.iter().flat_map(|advertised| &advertised.prefixes).map(|prefix| prefix.prefix)
    }
}

/// What follows from the facts. `end`: our end of the tunnel; `before`: what hosts had so far.
pub(super) fn lan_ipv6(
    config: &Config,
    facts: &Facts,
    uplink: &Uplink,
    end: Option<Ipv6Addr>,
    before: &LanIpv6,
) -> LanIpv6 {
    let wish = &config.lan.ipv6;
    let mtu = config.lan.mtu.min(facts.slaac.mtu);
    // Nobody is told of a way that nothing watches (RFC 7084 S-1).
    if !wish.is_on() || !facts.lan.is_filtered || mtu < IPV6_MIN_MTU {
        return LanIpv6::default();
    }
    let mut lan = LanIpv6::default();
    let (mut prefixes, mut routes, mut delegable) = (Vec::new(), Vec::new(), Vec::new());
    for leased in &facts.dhcpv6.prefixes {
        let delegated = leased.what.prefix();
        lan.delegated.push(delegated);
        // Hosts would try it for the Internet (docs/configuration.md).
        if closed_network(delegated.address()) {
            continue;
        }
        let prefix = subnet(delegated, wish.subnet_id, end).or_else(|| {
            let ids = 1u32 << SUBNET.saturating_sub(delegated.len()).min(16);
            let said = wish.subnet_id.filter(|_| delegated.len() <= SUBNET)?;
            lan.unfulfilled.push(format!(
                "[lan.ipv6] subnet-id = {said}: the line delegates {delegated}, in which numbers end at {}; the LAN has \
                 another until that is changed",
                ids - 1
            ));
            subnet(delegated, None, end)
        });
        match prefix {
            Some(prefix) => {
                prefixes.push(Prefix { prefix, preferred: leased.preferred, valid: leased.valid });
                // Of a /64 that is the LAN's as a whole its hosts need no route (RFC 7084 L-3).
                if prefix != delegated {
                    routes.push(Route { prefix: delegated, valid: leased.valid });
                }
                delegable.extend(wish.delegate.map(|len| onward(leased, len, prefix, end)));
            }
            None => lan.unfulfilled.push(format!(
                "the line delegates {delegated}, which is too little for a LAN (RFC 4862 needs a /64): hosts have no IPv6 of it"
            )),
        }
    }
    if lan.delegated.is_empty()
        && let Some(prefix) = shared(config, facts, uplink, before.shared)
    {
        lan.shared = Some(prefix.prefix);
        prefixes.push(prefix);
    }
    // What was leased last comes first, and what is on its way out last: there may not be room for it.
    prefixes.sort_by_key(|prefix| Reverse(prefix.preferred.unwrap_or(u64::MAX)));
    delegable.sort_by_key(|part: &Delegable| Reverse(part.preferred.unwrap_or(u64::MAX)));
    if let Some((len, part)) = wish.delegate.zip(delegable.first()).filter(|(_, part)| part.is_used_up()) {
        lan.unfulfilled.push(format!(
            "[lan.ipv6] delegate = {len}: nothing of that size is left of {}, which the line delegates: routers behind get no \
             prefix; make it larger, up to 64",
            part.prefix
        ));
    }
    let leads_out = |prefix: &Prefix| prefix.preferred != Some(0) && !is_unique_local(prefix.prefix.address());
    let is_way_out = facts.slaac.default_router().is_some() && prefixes.iter().any(leads_out);
    // Who has no address of ours reaches no resolver either. In a shared prefix our addresses are the line's.
    let delegated = if lan.shared.is_some() { &[] } else { &prefixes[..] };
    let (resolvers, domains) = if prefixes.is_empty() {
        Default::default()
    } else {
        (resolvers(config, facts, uplink, delegated), domains(config))
    };
    let is_managed = wish.dhcpv6 == LanDhcpv6::Stateful && !prefixes.is_empty();
    lan.served = (wish.dhcpv6 != LanDhcpv6::Off).then(|| Served {
        parameters: parameters(facts, &resolvers, &domains),
        on_link: prefixes.iter().filter(|_| is_managed).map(on_link).collect(),
        delegable,
    });
    lan.advertised = Some(Advertised {
        is_default_router: is_way_out,
        preference: wish.router_preference,
        is_managed,
        has_information: lan.served.is_some(),
        mtu,
        is_autonomous: wish.slaac,
        prefixes,
        routes,
        resolvers,
        domains,
    });
    lan
}

/// The prefix of the line's link, if hosts are to share it. One that they share already stays while the server is asked
/// again: a cable was out.
fn shared(config: &Config, facts: &Facts, uplink: &Uplink, before: Option<Prefix6>) -> Option<Prefix> {
    let is_asked = dhcpv6_mode(config, facts).wants_leases() && !facts.dhcpv6.in_vain;
    let is_shared = |prefix: Ipv6Addr| before.is_some_and(|shared| shared.address() == prefix);
    let in_use = uplink.prefix.filter(|&prefix| (!is_asked || is_shared(prefix)) && !closed_network(prefix))?;
    let of_link = facts.slaac.prefixes.iter().find(|prefix| prefix.prefix == in_use && prefix.length == SUBNET)?;
    let seconds = |lifetime: Lifetime| match lifetime {
        Lifetime::Seconds(seconds) => Some(u64::from(seconds)),
        Lifetime::Forever => None,
    };
    (of_link.autonomous && of_link.on_link).then_some(Prefix {
        prefix: Prefix6::new(in_use, SUBNET)?,
        preferred: if of_link.deprecated { Some(0) } else { seconds(of_link.preferred) },
        valid: seconds(of_link.valid),
    })
}

/// The LAN's /64 in a delegated prefix: the one of that number, else the first that our end of the tunnel is not in. `None`:
/// there is none.
pub(super) fn subnet(delegated: Prefix6, id: Option<u16>, end: Option<Ipv6Addr>) -> Option<Prefix6> {
    let bits = SUBNET.checked_sub(delegated.len())?;
    let of = |id: u16| {
        let is_within = bits >= 16 || id >> bits == 0;
        let address = delegated.address().to_bits() | u128::from(id) << SUBNET;
        is_within.then(|| Prefix6::new(address.into(), SUBNET)).flatten()
    };
    match id {
        Some(id) => of(id),
        None if bits == 0 => of(0),
        None => [1, 2].into_iter().filter_map(of).find(|subnet| !end.is_some_and(|end| subnet.contains(end))).or(of(1)),
    }
}

/// Whom hosts ask for names: whom the user says, else us, else whom we ask ourselves. One of the line's link is out of their
/// reach.
fn resolvers(config: &Config, facts: &Facts, uplink: &Uplink, prefixes: &[Prefix]) -> Vec<Ipv6Addr> {
    let line = uplink.resolvers.iter().filter_map(|resolver| match resolver {
        IpAddr::V6(resolver) if !resolver.is_unicast_link_local() => Some(*resolver),
        _ => None,
    });
    let wish = &config.lan.ipv6.dns;
    match &config.lan.dns {
        _ if !wish.is_empty() => wish.clone(),
        Some(_) => ours(facts, prefixes),
        None => line.collect(),
    }
}

/// Our link-local address, which stays ours whatever prefix the line has (RFC 8106 5.1 lets it be told); and the one in the best
/// of `prefixes`, for hosts that lose the link that a link-local one is of, as dhcpcd does.
fn ours(facts: &Facts, prefixes: &[Prefix]) -> Vec<Ipv6Addr> {
    let is_ready = |address: &Ipv6Addr| facts.lan.addresses.get(address) == Some(&Progress::Ready);
    let in_use = prefixes.iter().filter(|prefix| prefix.preferred != Some(0));
    let own = in_use.filter_map(|prefix| {
        let own = facts.lan.addresses.keys().filter(|&address| prefix.prefix.contains(*address) && is_ready(address));
        own.min().copied()
    });
    facts.lan.link_local.into_iter().chain(own.take(1)).collect()
}

/// In which addresses are given by DHCPv6.
fn on_link(&Prefix { prefix, preferred, valid }: &Prefix) -> OnLink {
    OnLink { prefix, preferred, valid }
}

/// What routers behind get parts of: not the LAN's own, nor where our end of the tunnel is or may come to be (RFC 9818).
fn onward(leased: &Fact<dhcpv6::Prefix>, len: u8, lan: Prefix6, end: Option<Ipv6Addr>) -> Delegable {
    let prefix = leased.what.prefix();
    let ends = [Some(prefix.address()), end].into_iter().flatten().filter_map(|end| Prefix6::new(end, SUBNET));
    let taken = ends.chain([lan]).collect();
    Delegable { prefix, len, taken, preferred: leased.preferred, valid: leased.valid }
}

/// The same by DHCPv6, and what of the line's server is good for hosts, too (RFC 7084 L-12).
fn parameters(facts: &Facts, resolvers: &[Ipv6Addr], domains: &[String]) -> Parameters {
    let line = &facts.dhcpv6.information;
    Parameters {
        resolvers: resolvers.to_vec(),
        domains: domains.to_vec(),
        sntp: line.sntp.clone(),
        ntp: line.ntp.clone(),
    }
}

/// RFC 4193 3.1: nobody outside answers who has no other address.
fn is_unique_local(address: Ipv6Addr) -> bool {
    Addr6::from(address).is_unique_local()
}

/// The domain of the hosts.
fn domains(config: &Config) -> Vec<String> {
    let of_dhcpv4 = || config.lan.dhcpv4.as_ref().and_then(|server| server.domain.clone());
    let of_names = || config.lan.dns.as_ref().map(|dns| dns.domain.clone());
    config.lan.ipv6.domain.clone().or_else(of_dhcpv4).or_else(of_names).into_iter().collect()
}

#[cfg(test)]
mod tests;
