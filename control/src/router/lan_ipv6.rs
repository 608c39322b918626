//! What hosts of the LAN have of the line's IPv6: which /64, for how long, and whether there is a way out.
//!
//! Each prefix that the line delegates has a /64 for each LAN (RFC 7084 L-2). Its number is the user's, or the LAN's place, from 1:
//! in number 0 is our own end of the tunnel, as MAP (RFC 7597 5.2) and home gateways have it, and it must not move when another
//! service is chosen. Of a /64 there is but the one.
//!
//! A line that delegates nothing shares the /64 that it advertises with the first LAN: its hosts are the line's hosts, and ND proxy answers for
//! each side on the other. Not before the line's server was asked in vain, or has nothing to be asked for.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_config::{self as config, Config, LanDhcpv6};
use hikyaku_dataplane::tunnel::IPV6_MIN_MTU;
use hikyaku_net::{Addr6, Prefix6};
use hikyaku_protocols::advertiser::{Advertised, Prefix, Route};
use hikyaku_protocols::dhcpv6::server::{Delegable, OnLink, Parameters, Served};
use hikyaku_protocols::dhcpv6::{self, Fact};
use hikyaku_protocols::neighbour::Progress;
use hikyaku_protocols::service::closed_network;
use hikyaku_protocols::slaac::Lifetime;

use super::desired::dhcpv6_mode;
use super::facts::{Facts, LanFacts};
use super::uplink::Uplink;

/// Bits of a prefix that hosts make addresses in (RFC 4862 5.5.3 d).
const SUBNET: u8 = 64;

/// What hosts of a LAN have of the line's IPv6.
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

/// What follows from the facts, for each LAN. `end`: our end of the tunnel; `before`: what hosts had so far.
pub(super) fn lans_ipv6(
    config: &Config,
    facts: &Facts,
    uplink: &Uplink,
    end: Option<Ipv6Addr>,
    before: &[LanIpv6],
) -> Vec<LanIpv6> {
    // Nobody is told of a way that nothing watches (RFC 7084 S-1).
    let mtu = |lan: &config::Lan| lan.mtu.min(facts.slaac.mtu);
    let is_on = |lan: &config::Lan| lan.ipv6.is_on() && facts.is_filtered && mtu(lan) >= IPV6_MIN_MTU;
    let on: Vec<usize> = (0..config.lans.len()).filter(|&at| is_on(&config.lans[at])).collect();
    let mut shares: Vec<Share> = on.iter().map(|_| Share::default()).collect();
    for leased in &facts.dhcpv6.prefixes {
        share_out(config, &on, leased, end, &mut shares);
    }
    if facts.dhcpv6.prefixes.is_empty()
        && let Some(prefix) = shared(config, facts, uplink, before.iter().find_map(|lan| lan.shared))
        && let Some((first, others)) = shares.split_first_mut()
    {
        first.lan.shared = Some(prefix.prefix);
        first.prefixes.push(prefix);
        let name = &config.lans[on[0]].name;
        others.iter_mut().for_each(|share| {
            share.lan.unfulfilled.push(format!(
                "the line has one /64 and delegates no prefix: the LAN {name} has it, and hosts here have no IPv6"
            ));
        });
    }
    let mut lans = vec![LanIpv6::default(); config.lans.len()];
    for (at, share) in on.into_iter().zip(shares) {
        let hosts = Hosts { config: &config.lans[at], facts, own: &facts.lans[at], uplink };
        lans[at] = hosts.told(share, mtu(&config.lans[at]));
    }
    lans
}

/// What a LAN has of what the line gives.
#[derive(Default)]
struct Share {
    lan: LanIpv6,
    prefixes: Vec<Prefix>,
    routes: Vec<Route>,
    delegable: Vec<Delegable>,
}

impl Share {
    /// A delegation that shrank, or grew, is there twice for a while, as the larger and the smaller one (RFC 8415 18.2.10.1): what
    /// is the LAN's in both it has once, for as long as either says.
    fn add(&mut self, prefix: Prefix) {
        let longer = |one: Option<u64>, other: Option<u64>| one.zip(other).map(|(one, other)| one.max(other));
        match self.prefixes.iter_mut().find(|had| had.prefix == prefix.prefix) {
            Some(had) => {
                (had.preferred, had.valid) = (longer(had.preferred, prefix.preferred), longer(had.valid, prefix.valid));
            }
            None => self.prefixes.push(prefix),
        }
    }

    /// Nobody behind gets a part of both, but of the one that is for new connections for longer.
    fn delegate(&mut self, part: Delegable) {
        let overlaps =
            |had: &Delegable| had.prefix.contains(part.prefix.address()) || part.prefix.contains(had.prefix.address());
        let preferred = |part: &Delegable| part.preferred.unwrap_or(u64::MAX);
        self.delegable.retain(|had| !overlaps(had) || preferred(had) >= preferred(&part));
        if !self.delegable.iter().any(overlaps) {
            self.delegable.push(part);
        }
    }
}

/// Gives each LAN of those that have IPv6 its /64 of a delegated prefix.
fn share_out(
    config: &Config,
    on: &[usize],
    leased: &Fact<dhcpv6::Prefix>,
    end: Option<Ipv6Addr>,
    shares: &mut [Share],
) {
    let delegated = leased.what.prefix();
    shares.iter_mut().for_each(|share| share.lan.delegated.push(delegated));
    // Hosts would try it for the Internet (docs/configuration.md).
    if closed_network(delegated.address()) {
        return;
    }
    let wishes: Vec<(usize, Option<u16>)> = on.iter().map(|&at| (at, config.lans[at].ipv6.subnet_id)).collect();
    let subnets = subnets(delegated, &wishes, end);
    let taken: Vec<Prefix6> = subnets.iter().flatten().copied().collect();
    let had = |(share, &at): (&Share, &usize)| share.prefixes.iter().map(|had| (at, had.prefix)).collect::<Vec<_>>();
    let had: Vec<(usize, Prefix6)> = shares.iter().zip(on).flat_map(had).collect();
    for ((share, &(at, said)), prefix) in shares.iter_mut().zip(&wishes).zip(&subnets) {
        if let Some(said) = said.filter(|&id| delegated.len() <= SUBNET && numbered(delegated, id).is_none()) {
            let ids = 1u32 << SUBNET.saturating_sub(delegated.len()).min(16);
            share.lan.unfulfilled.push(format!(
                "[lan.ipv6] subnet-id = {said}: the line delegates {delegated}, in which numbers end at {}; the LAN has \
                 another until that is changed",
                ids - 1
            ));
        }
        let Some(prefix) = *prefix else {
            share.lan.unfulfilled.push(match delegated.len() > SUBNET {
                true => format!(
                    "the line delegates {delegated}, which is too little for a LAN (RFC 4862 needs a /64): hosts have no \
                     IPv6 of it"
                ),
                false => format!(
                    "the line delegates {delegated}, in which no /64 is left for this LAN: hosts have no IPv6 of it; ask the \
                     line for more, as [wan.dhcpv6] pd-hint = 56"
                ),
            });
            continue;
        };
        // Where delegations overlap it may be another LAN's already.
        if had.iter().any(|&(other, had)| other != at && had == prefix) {
            continue;
        }
        share.add(Prefix { prefix, preferred: leased.preferred, valid: leased.valid });
        // Of a /64 that is the LAN's as a whole its hosts need no route (RFC 7084 L-3).
        if prefix != delegated {
            share.routes.push(Route { prefix: delegated, valid: leased.valid });
        }
        if let Some(len) = config.lans[at].ipv6.delegate {
            share.delegate(onward(leased, len, &taken, end));
        }
    }
}

/// A LAN, as far as its hosts have to do with the line's IPv6.
struct Hosts<'a> {
    config: &'a config::Lan,
    facts: &'a Facts,
    own: &'a LanFacts,
    uplink: &'a Uplink,
}

impl Hosts<'_> {
    /// What they are told of what the LAN has.
    fn told(&self, share: Share, mtu: u16) -> LanIpv6 {
        let wish = &self.config.ipv6;
        let Share { mut lan, mut prefixes, routes, mut delegable } = share;
        // What was leased last comes first, and what is on its way out last: there may not be room for it.
        prefixes.sort_by_key(|prefix| Reverse(prefix.preferred.unwrap_or(u64::MAX)));
        delegable.sort_by_key(|part: &Delegable| Reverse(part.preferred.unwrap_or(u64::MAX)));
        if let Some((len, part)) = wish.delegate.zip(delegable.first()).filter(|(_, part)| part.is_used_up()) {
            lan.unfulfilled.push(format!(
                "[lan.ipv6] delegate = {len}: nothing of that size is left of {}, which the line delegates: routers behind \
                 get no prefix; make it larger, up to 64",
                part.prefix
            ));
        }
        let leads_out = |prefix: &Prefix| prefix.preferred != Some(0) && !is_unique_local(prefix.prefix.address());
        let is_way_out = self.facts.slaac.default_router().is_some() && prefixes.iter().any(leads_out);
        // Who has no address of ours reaches no resolver either. In a shared prefix our addresses are the line's.
        let delegated = if lan.shared.is_some() { &[] } else { &prefixes[..] };
        let (resolvers, domains) =
            if prefixes.is_empty() { Default::default() } else { (self.resolvers(delegated), self.domains()) };
        let is_managed = wish.dhcpv6 == LanDhcpv6::Stateful && !prefixes.is_empty();
        lan.served = (wish.dhcpv6 != LanDhcpv6::Off).then(|| Served {
            parameters: parameters(self.facts, &resolvers, &domains),
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

    /// Whom they ask for names: whom the user says, else us, else whom we ask ourselves. One of the line's link is out of
    /// their reach.
    fn resolvers(&self, prefixes: &[Prefix]) -> Vec<Ipv6Addr> {
        let line = self.uplink.resolvers.iter().filter_map(|resolver| match resolver {
            IpAddr::V6(resolver) if !resolver.is_unicast_link_local() => Some(*resolver),
            _ => None,
        });
        let wish = &self.config.ipv6.dns;
        match &self.config.dns {
            _ if !wish.is_empty() => wish.clone(),
            Some(_) => self.ours(prefixes),
            None => line.collect(),
        }
    }

    /// Our link-local address, which stays ours whatever prefix the line has (RFC 8106 5.1 lets it be told); and the one in
    /// the best of `prefixes`, for hosts that lose the link that a link-local one is of, as dhcpcd does.
    fn ours(&self, prefixes: &[Prefix]) -> Vec<Ipv6Addr> {
        let LanFacts { link_local, addresses, .. } = self.own;
        let in_use = prefixes.iter().filter(|prefix| prefix.preferred != Some(0));
        let own = in_use.filter_map(|prefix| {
            let is_ready = |address: &Ipv6Addr| addresses.get(address) == Some(&Progress::Ready);
            let own = addresses.keys().filter(|&address| prefix.prefix.contains(*address) && is_ready(address));
            own.min().copied()
        });
        link_local.iter().copied().chain(own.take(1)).collect()
    }

    /// Their domain.
    fn domains(&self) -> Vec<String> {
        let of_dhcpv4 = || self.config.dhcpv4.as_ref().and_then(|server| server.domain.clone());
        let of_names = || self.config.dns.as_ref().map(|dns| dns.domain.clone());
        self.config.ipv6.domain.clone().or_else(of_dhcpv4).or_else(of_names).into_iter().collect()
    }
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

/// The /64 of that number in a delegated prefix. `None`: numbers do not go so far.
fn numbered(delegated: Prefix6, id: u16) -> Option<Prefix6> {
    let bits = SUBNET.checked_sub(delegated.len())?;
    let is_within = bits >= 16 || id >> bits == 0;
    let address = delegated.address().to_bits() | u128::from(id) << SUBNET;
    is_within.then(|| Prefix6::new(address.into(), SUBNET)).flatten()
}

/// The /64 of each LAN in a delegated prefix: the one of the number that is said, else of the LAN's place, from 1; where that
/// is another's, or our end of the tunnel is in it, of the first number behind all places. `lans`: places and said numbers. Of
/// a /64 there is but the one: the first LAN's. `None`: none is left.
fn subnets(delegated: Prefix6, lans: &[(usize, Option<u16>)], end: Option<Ipv6Addr>) -> Vec<Option<Prefix6>> {
    if delegated.len() == SUBNET {
        return (0..lans.len()).map(|at| (at == 0).then_some(delegated)).collect();
    }
    let said = |id: Option<u16>| id.and_then(|id| numbered(delegated, id));
    let mut taken: Vec<Prefix6> = lans.iter().filter_map(|&(_, id)| said(id)).collect();
    let behind = lans.last().map_or(1, |&(place, _)| place as u16 + 2);
    let mut one = |&(place, id): &(usize, Option<u16>)| {
        if let Some(subnet) = said(id) {
            return Some(subnet);
        }
        let own = place as u16 + 1;
        let has_end = |subnet: &Prefix6| end.is_some_and(|end| subnet.contains(end));
        let others = (behind..=u16::MAX).map_while(|id| numbered(delegated, id));
        let mut free = numbered(delegated, own).into_iter().chain(others).filter(|subnet| !taken.contains(subnet));
        // Beside our end of the tunnel rather than nowhere.
        let subnet = free.clone().find(|subnet| !has_end(subnet)).or_else(|| free.next());
        taken.extend(subnet);
        subnet
    };
    lans.iter().map(&mut one).collect()
}

/// In which addresses are given by DHCPv6.
fn on_link(&Prefix { prefix, preferred, valid }: &Prefix) -> OnLink {
    OnLink { prefix, preferred, valid }
}

/// What routers behind get parts of: not what LANs have, nor where our end of the tunnel is or may come to be (RFC 9818).
fn onward(leased: &Fact<dhcpv6::Prefix>, len: u8, lans: &[Prefix6], end: Option<Ipv6Addr>) -> Delegable {
    let prefix = leased.what.prefix();
    let ends = [Some(prefix.address()), end].into_iter().flatten().filter_map(|end| Prefix6::new(end, SUBNET));
    let taken = ends.chain(lans.iter().copied()).collect();
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

#[cfg(test)]
mod tests;
