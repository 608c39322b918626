//! What the workers are told: one whole snapshot, made from what is known now.

use std::net::{IpAddr, Ipv6Addr};

use hikyaku_config::{self as config, StaticRoute};
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::snapshot::{
    Deliver, Link, Listening, Neighbours, Route, Route6, Routes, Routes6, Side, Snapshot, Softwire, SoftwireId,
};
use hikyaku_net::{Addr6, Mac, Prefix4, Prefix6, Time, protocol};
use hikyaku_protocols::neighbour;
use hikyaku_protocols::{dhcpv4, dhcpv6, forwarder};
use hikyaku_ring::LinkId;
use serde::Serialize;

use super::choose::Choice;
use super::facts::Facts;
use super::forwarding::Forwarding;
use super::lan::Lan;
use super::machines::Machines;
use super::numbers::{WAN, host_of, link_of};
use super::wan::Wan;

/// Hosts of the line in a prefix that the LAN shares, at most: routes are looked through one by one, and a line has its router.
const MOST_ACROSS: usize = 16;

/// Everything a snapshot depends on: as long as it is the same there is nothing to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    /// Which neighbours of each LAN are known: [`hikyaku_protocols::neighbour::Neighbours::generation`].
    hosts: Vec<u64>,
    mtu: u16,
    addresses: Vec<Ipv6Addr>,
    tunnel: Option<Ends>,
    /// `None`: no native IPv6 is forwarded.
    native: Option<Native>,
}

/// Where native IPv6 goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Native {
    /// By the LANs' numbers.
    lans: Vec<NativeLan>,
    /// What the line delegates as a whole.
    delegated: Vec<Prefix6>,
    /// The line's router.
    gateway: Option<Mac>,
    /// Who of the prefix that LAN and line share is on the line.
    across: Vec<(Ipv6Addr, Mac)>,
    /// Whose hosts are on the line's link: it has the way to them, too.
    on_link: Vec<Prefix6>,
    /// Of the host's own stack, behind either link.
    of_host: Vec<Ipv6Addr>,
}

/// What a LAN has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NativeLan {
    /// Ours there.
    addresses: Vec<Ipv6Addr>,
    /// The LAN's own.
    prefixes: Vec<Prefix6>,
    /// What is delegated on, each with the station of the router behind.
    onward: Vec<(Prefix6, Mac)>,
    /// What the user says is behind routers there, each with its router's station, once that is known.
    behind: Vec<(Prefix6, Option<Mac>)>,
}

/// The tunnel, as far as packets can be sent through it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ends {
    local: Ipv6Addr,
    remote: Ipv6Addr,
    next_hop: Option<Mac>,
    until: Time,
    /// Which session table, mesh and path: [`super::tunnel::Tunnel::changes`], [`super::far_end::FarEnd::changes`].
    changes: [u64; 2],
}

/// What the machines have come to, as far as workers have to know it. `published`: what they know.
pub(super) fn basis(machines: &Machines, facts: &Facts, choice: &Choice, published: Option<&Basis>) -> Basis {
    let Machines { lans, tunnel, far, .. } = machines;
    let mut addresses: Vec<_> = facts.slaac.addresses.iter().map(|address| address.address).collect();
    addresses.extend(facts.dhcpv6.addresses.iter().map(|leased| leased.what));
    addresses.extend(choice.uplink.own);
    addresses.extend(facts.link_local);
    addresses.sort_unstable();
    addresses.dedup();
    let ends = facts.carried.as_ref().map(|carried| carried.local).zip(facts.far.address);
    let known = published.and_then(|basis| basis.tunnel.as_ref());
    Basis {
        hosts: lans.iter().map(|lan| lan.neighbours.generation()).collect(),
        mtu: facts.slaac.mtu,
        addresses,
        tunnel: ends.map(|(local, remote)| Ends {
            local,
            remote,
            next_hop: facts.next_hop.and_then(|(_, mac)| mac),
            until: until(
                facts.now,
                machines.wan.valid_until(local),
                known.filter(|known| known.local == local).map(|known| known.until),
            ),
            changes: [tunnel.changes, far.changes],
        }),
        native: native(machines, facts, choice),
    }
}

fn native(machines: &Machines, facts: &Facts, choice: &Choice) -> Option<Native> {
    choice.lans.iter().find(|lan| lan.advertised.is_some())?;
    let Machines { lans, wan, .. } = machines;
    let shared = choice.lans.iter().find_map(|lan| lan.shared);
    let lans = lans.iter().zip(&choice.lans).zip((0u8..).map(LanId)).map(|((lan, has), number)| NativeLan {
        addresses: lan.ours().into_iter().filter_map(v6).collect(),
        prefixes: has.prefixes().collect(),
        onward: lan.dhcpv6.routes(facts.now),
        behind: behind6(machines, lan, number),
    });
    let mut delegated: Vec<Prefix6> = choice.lans.iter().flat_map(|lan| &lan.delegated).copied().collect();
    delegated.sort_unstable_by_key(|prefix| (prefix.address(), prefix.len()));
    delegated.dedup();
    let router = choice.uplink.router;
    let on_link = facts.slaac.prefixes.iter().filter(|prefix| prefix.on_link);
    let mut across: Vec<(Ipv6Addr, Mac)> = wan
        .neighbours
        .usable()
        .filter_map(|(address, mac)| {
            Some((v6(address).filter(|&address| shared.is_some_and(|prefix| prefix.contains(address)))?, mac))
        })
        .collect();
    across.sort_unstable_by_key(|&(address, _)| address);
    across.truncate(MOST_ACROSS);
    Some(Native {
        across,
        lans: lans.collect(),
        delegated,
        gateway: router.and_then(|router| wan.neighbours.get(router.into())),
        on_link: on_link.filter_map(|prefix| Prefix6::new(prefix.prefix, prefix.length)).collect(),
        of_host: machines.of_host.clone(),
    })
}

/// What is behind routers of a LAN.
fn behind6(machines: &Machines, lan: &Lan, number: LanId) -> Vec<(Prefix6, Option<Mac>)> {
    let routes = machines.routes.iter().filter(|route| route.lan == number).filter_map(StaticRoute::v6);
    routes.map(|(prefix, via)| (prefix, lan.neighbours.get(via.into()))).collect()
}

fn v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

/// Until when workers may send from our end of the tunnel, which is valid until `valid`. What they know stays while it is
/// not too long and good for half of the time: not every advertisement and Renew is news to them.
fn until(now: Time, valid: Time, known: Option<Time>) -> Time {
    let is_enough = |known: &Time| *known <= valid && known.since(now) >= valid.since(now) / 2;
    known.filter(is_enough).unwrap_or(valid)
}

/// Where we listen, on each link.
pub(super) fn listens(machines: &Machines) -> Vec<Vec<(u8, u16)>> {
    let wan = &machines.wan;
    let asks = wan.sockets.ports().chain([(protocol::UDP, dhcpv6::CLIENT_PORT)]);
    let asks_for_hosts = wan.forwardings.iter().flat_map(Forwarding::ports).map(|port| (protocol::UDP, port));
    machines.by_link(lan_listens, asks.chain(asks_for_hosts).collect())
}

fn lan_listens(lan: &Lan) -> Vec<(u8, u16)> {
    let dhcpv4 = lan.dhcpv4.as_ref().map(|_| (protocol::UDP, dhcpv4::SERVER_PORT));
    let dhcpv6 = lan.serves_dhcpv6.then_some((protocol::UDP, dhcpv6::SERVER_PORT));
    let names = lan.config.dns.iter().flat_map(|_| [protocol::UDP, protocol::TCP].map(|kind| (kind, forwarder::PORT)));
    dhcpv4.into_iter().chain(dhcpv6).chain(names).collect()
}

/// The world that follows from it. `hosts`: behind which links the host's own stack is.
pub(super) fn snapshot(
    basis: &Basis,
    machines: &Machines,
    config: &config::Service,
    hosts: &[bool],
    listens: &[Listening],
) -> Snapshot {
    let native = basis.native.as_ref();
    let mut numbers = (0u8..).map(LanId);
    let mut lan = |lan: &Lan| {
        let number = numbers.next().unwrap_or_default();
        lan_link(lan, number, native)
    };
    let mut links = machines.by_link(&mut lan, wan_link(basis, &machines.wan));
    let count = links.len();
    for ((link, listens), (id, &has_host)) in links.iter_mut().zip(listens).zip((0u8..).zip(hosts)) {
        link.listens = listens.clone();
        link.peer = has_host.then(|| host_of(LinkId(id), count));
    }
    // A table of many hosts is copied where it must be, and not otherwise.
    if hosts.contains(&true) {
        let behind = |(id, interface): (u8, &Link)| Link {
            name: format!("{}^", interface.name),
            side: Side::Host,
            peer: Some(LinkId(id)),
            ..interface.clone()
        };
        let behind: Vec<Link> = (0u8..).zip(&links).map(behind).collect();
        links.extend(behind);
    }
    let softwires: Vec<Softwire> = softwire(basis, machines, config).into_iter().collect();
    Snapshot {
        links,
        routes: Routes::new(routes4(machines, !softwires.is_empty()).into_iter().map(|(prefix, to, _)| (prefix, to))),
        softwires,
        routes6: native.map(|native| table6(native, &basis.addresses)).unwrap_or_default(),
        // What goes from one LAN to another has its sessions there, too.
        filter6: machines.filter.get().filter(|_| native.is_some() || machines.lans.len() > 1).cloned(),
        rules: machines.rules.get().cloned(),
    }
}

/// A prefix, where it leads, and why.
pub(super) type Known<P, R> = (P, R, Origin);

/// Where a route comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Origin {
    /// The network or prefix of a LAN.
    Lan,
    /// An address of ours.
    Own,
    /// An address of the host's own stack.
    Host,
    /// The service in use.
    Service,
    /// A router behind has it of us, by DHCPv6.
    Leased,
    /// The user says so.
    Static,
    /// The line delegates it.
    Delegated,
    /// The line's router advertises itself, or says that it is on its link.
    Advertised,
    /// Neighbour discovery found a host of a shared prefix on the line.
    Found,
}

/// Where IPv4 goes.
fn routes4(machines: &Machines, has_tunnel: bool) -> Vec<Known<Prefix4, Route>> {
    let mut routes = Vec::new();
    for (lan, number) in machines.lans.iter().zip((0u8..).map(LanId)) {
        routes.push((lan.config.ipv4.prefix(), Route::Link(link_of(number)), Origin::Lan));
        routes.extend(Prefix4::new(lan.address(), 32).map(|own| (own, Route::Local, Origin::Own)));
    }
    if has_tunnel {
        let mesh = machines.tunnel.mesh.iter().flat_map(|mesh| mesh.prefixes());
        routes.push((Prefix4::ALL, Route::Softwire(SoftwireId(0)), Origin::Service));
        routes.extend(mesh.map(|prefix| (prefix, Route::Mesh(SoftwireId(0)), Origin::Service)));
    }
    routes
}

/// Where IPv4 goes by what workers were told with `basis`: of two with one prefix the first counts.
pub(super) fn told4(basis: &Basis, machines: &Machines) -> Vec<Known<Prefix4, Route>> {
    routes4(machines, basis.tunnel.is_some())
}

/// The same of IPv6.
pub(super) fn told6(basis: &Basis) -> Vec<Known<Prefix6, Route6>> {
    basis.native.as_ref().map(|native| routes6(native, &basis.addresses)).unwrap_or_default()
}

fn lan_link(lan: &Lan, number: LanId, native: Option<&Native>) -> Link {
    let stations = lan.neighbours.usable().filter_map(|(address, mac)| match address {
        IpAddr::V4(address) => Some((address.into(), mac)),
        IpAddr::V6(_) => None,
    });
    let own = native.map(|native| &native.lans[usize::from(number.0)]);
    Link {
        lan: number,
        addresses4: vec![lan.address()],
        addresses6: own.into_iter().flat_map(|own| &own.addresses).map(|&address| address.into()).collect(),
        sources4: vec![lan.config.ipv4.prefix()],
        isolated: lan.config.isolated,
        neighbours: Neighbours::new(stations, None),
        sources6: own.map(sources6).unwrap_or_default(),
        neighbours6: own.map(|_| neighbours6(&lan.neighbours)).unwrap_or_default(),
        ..Link::new(&lan.link.name, Side::Lan, lan.link.mac, lan.config.mtu)
    }
}

fn wan_link(basis: &Basis, wan: &Wan) -> Link {
    Link {
        addresses6: basis.addresses.iter().map(|&address| address.into()).collect(),
        ..Link::new(&wan.link.name, Side::Wan, wan.link.mac, basis.mtu)
    }
}

/// What hosts of a LAN may send from, and who is behind routers there (RFC 2827). The LAN's own come first: almost all is from them.
fn sources6(lan: &NativeLan) -> Vec<Prefix6> {
    let behind = lan.behind.iter().map(|&(prefix, _)| prefix);
    lan.prefixes.iter().copied().chain(lan.onward.iter().map(|&(prefix, _)| prefix)).chain(behind).collect()
}

fn table6(native: &Native, wan: &[Ipv6Addr]) -> Routes6 {
    Routes6::new(routes6(native, wan).into_iter().map(|(prefix, to, _)| (prefix, to)))
}

/// Where native IPv6 goes. `wan`: our addresses on the line.
fn routes6(native: &Native, wan: &[Ipv6Addr]) -> Vec<Known<Prefix6, Route6>> {
    let lans = || native.lans.iter().zip((0u8..).map(|number| link_of(LanId(number))));
    let ours =
        native.lans.iter().flat_map(|lan| &lan.addresses).chain(wan).filter_map(|&address| Prefix6::new(address, 128));
    let mut routes: Vec<Known<Prefix6, Route6>> = ours.map(|own| (own, Route6::Local, Origin::Own)).collect();
    // Of an address that both have, the router's own machines are the owner.
    let of_host = native.of_host.iter().filter_map(|&address| Prefix6::new(address, 128));
    routes.extend(of_host.map(|own| (own, Route6::Host, Origin::Host)));
    let across = native.across.iter().map(|&(address, mac)| (address, Route6::Gateway { link: WAN, mac }));
    routes.extend(across.filter_map(|(address, to)| Some((Prefix6::new(address, 128)?, to, Origin::Found))));
    routes.extend(
        lans()
            .flat_map(|(lan, link)| lan.prefixes.iter().map(move |&prefix| (prefix, Route6::Link(link), Origin::Lan))),
    );
    // Longer than what they are of: nobody has the rest.
    routes.extend(lans().flat_map(|(lan, link)| {
        lan.onward.iter().map(move |&(prefix, mac)| (prefix, Route6::Gateway { link, mac }, Origin::Leased))
    }));
    routes.extend(lans().flat_map(|(lan, link)| {
        lan.behind.iter().map(move |&(prefix, mac)| {
            // Until it is known, these packets are for nobody else.
            let to = mac.map_or(Route6::Unreachable, |mac| Route6::Gateway { link, mac });
            (prefix, to, Origin::Static)
        })
    }));
    // Of two that are the same the first counts: a delegated /64 is a LAN's.
    routes.extend(native.delegated.iter().map(|&prefix| (prefix, Route6::Unreachable, Origin::Delegated)));
    if let Some(mac) = native.gateway {
        // The link's own prefix may be of what is delegated.
        let all = Prefix6::new(Ipv6Addr::UNSPECIFIED, 0);
        let all = all.iter().chain(&native.on_link);
        routes.extend(all.map(|&prefix| (prefix, Route6::Gateway { link: WAN, mac }, Origin::Advertised)));
    }
    routes
}

fn neighbours6(known: &neighbour::Neighbours) -> Neighbours<Addr6> {
    let stations = known.usable().filter_map(|(address, mac)| match address {
        IpAddr::V6(address) => Some((address.into(), mac)),
        IpAddr::V4(_) => None,
    });
    Neighbours::new(stations, None)
}

fn softwire(basis: &Basis, machines: &Machines, config: &config::Service) -> Option<Softwire> {
    let Ends { local, remote, next_hop, until, .. } = *basis.tunnel.as_ref()?;
    Some(Softwire {
        local: local.into(),
        remote: remote.into(),
        link: WAN,
        next_hop,
        until,
        mtu: config.mtu,
        class: config.behaviour.class(),
        mss: config.behaviour.mss_limit(config.mtu, basis.mtu),
        napt: machines.tunnel.napt().cloned(),
        mesh: machines.tunnel.mesh.clone(),
        deliver: Deliver::Routed,
        state: machines.far.path.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_of_a_lease_is_news_when_it_comes_nearer_or_near() {
        let at = |seconds: u64| Time::default() + Duration::from_secs(seconds);
        let never = Time(u64::MAX);
        let rows = [
            // now, valid until, known; told
            (0, at(100), None, at(100)),
            (10, at(110), Some(at(100)), at(100)),
            (60, at(160), Some(at(100)), at(160)),
            (10, at(50), Some(at(100)), at(50)),
            (10, never, Some(at(100)), never),
            (10, at(100), Some(never), at(100)),
            (10, never, Some(never), never),
        ];
        for (now, valid, known, told) in rows {
            assert_eq!(until(at(now), valid, known), told, "{now} {valid:?} {known:?}");
        }
    }
}
