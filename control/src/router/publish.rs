//! What the workers are told: one whole snapshot, made from what is known now.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_config as config;
use hikyaku_dataplane::snapshot::{
    Deliver, Link, Listening, Neighbours, Route, Route6, Routes, Routes6, Side, Snapshot, Softwire, SoftwireId,
};
use hikyaku_net::{Addr6, Mac, Prefix4, Prefix6, Time, protocol};
use hikyaku_protocols::neighbour;
use hikyaku_protocols::{dhcpv4, dhcpv6, forwarder};

use super::choose::Choice;
use super::facts::Facts;
use super::machines::{LAN, LAN_HOST, LAN_NUMBER, Machines, WAN, WAN_HOST};

/// Hosts of the line in a prefix that the LAN shares, at most: routes are looked through one by one, and a line has its router.
const MOST_ACROSS: usize = 16;

/// Everything a snapshot depends on: as long as it is the same there is nothing to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    /// Which neighbours of the LAN are known: [`hikyaku_protocols::neighbour::Neighbours::generation`].
    hosts: u64,
    mtu: u16,
    addresses: Vec<Ipv6Addr>,
    tunnel: Option<Ends>,
    /// `None`: no native IPv6 is forwarded.
    native: Option<Native>,
}

/// Where native IPv6 goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Native {
    /// Ours on the LAN.
    addresses: Vec<Ipv6Addr>,
    /// The LAN's own.
    prefixes: Vec<Prefix6>,
    /// What the line delegates as a whole.
    delegated: Vec<Prefix6>,
    /// What is delegated on, each with the station of the router behind.
    onward: Vec<(Prefix6, Mac)>,
    /// The line's router.
    gateway: Option<Mac>,
    /// Who of the prefix that LAN and line share is on the line.
    across: Vec<(Ipv6Addr, Mac)>,
    /// Whose hosts are on the line's link: it has the way to them, too.
    on_link: Vec<Prefix6>,
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
    let Machines { lan, tunnel, far, .. } = machines;
    let mut addresses: Vec<_> = facts.slaac.addresses.iter().map(|address| address.address).collect();
    addresses.extend(facts.dhcpv6.addresses.iter().map(|leased| leased.what));
    addresses.extend(choice.uplink.own);
    addresses.extend(facts.link_local);
    addresses.sort_unstable();
    addresses.dedup();
    let ends = facts.carried.as_ref().map(|carried| carried.local).zip(facts.far.address);
    let known = published.and_then(|basis| basis.tunnel.as_ref());
    Basis {
        hosts: lan.neighbours.generation(),
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
    choice.lan.advertised.as_ref()?;
    let Machines { lan, wan, .. } = machines;
    let ours = lan.ours().into_iter().filter_map(|address| match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    });
    let router = choice.uplink.router;
    let on_link = facts.slaac.prefixes.iter().filter(|prefix| prefix.on_link);
    let mut across: Vec<(Ipv6Addr, Mac)> = wan
        .neighbours
        .usable()
        .filter_map(|(address, mac)| match address {
            IpAddr::V6(address) => choice.lan.shared?.contains(address).then_some((address, mac)),
            IpAddr::V4(_) => None,
        })
        .collect();
    across.sort_unstable_by_key(|&(address, _)| address);
    across.truncate(MOST_ACROSS);
    Some(Native {
        across,
        addresses: ours.collect(),
        prefixes: choice.lan.prefixes().collect(),
        delegated: choice.lan.delegated.clone(),
        onward: lan.dhcpv6.routes(facts.now),
        gateway: router.and_then(|router| wan.neighbours.get(router.into())),
        on_link: on_link.filter_map(|prefix| Prefix6::new(prefix.prefix, prefix.length)).collect(),
    })
}

/// Until when workers may send from our end of the tunnel, which is valid until `valid`. What they know stays while it is
/// not too long and good for half of the time: not every advertisement and Renew is news to them.
fn until(now: Time, valid: Time, known: Option<Time>) -> Time {
    let is_enough = |known: &Time| *known <= valid && known.since(now) >= valid.since(now) / 2;
    known.filter(is_enough).unwrap_or(valid)
}

/// Where we listen, on LAN and WAN.
pub(super) fn listens(machines: &Machines) -> [Vec<(u8, u16)>; 2] {
    let Machines { lan, wan, .. } = machines;
    let dhcpv4 = lan.dhcpv4.as_ref().map(|_| (protocol::UDP, dhcpv4::SERVER_PORT));
    let dhcpv6 = lan.serves_dhcpv6.then_some((protocol::UDP, dhcpv6::SERVER_PORT));
    let names = lan.config.dns.iter().flat_map(|_| [protocol::UDP, protocol::TCP].map(|kind| (kind, forwarder::PORT)));
    let asks = wan.sockets.ports().chain([(protocol::UDP, dhcpv6::CLIENT_PORT)]);
    let asks_for_hosts = wan.forwarding.ports().map(|port| (protocol::UDP, port));
    [dhcpv4.into_iter().chain(dhcpv6).chain(names).collect(), asks.chain(asks_for_hosts).collect()]
}

/// The world that follows from it.
pub(super) fn snapshot(
    basis: &Basis,
    machines: &Machines,
    config: &config::Service,
    hosts: [bool; 2],
    listens: &[Listening; 2],
) -> Snapshot {
    let Machines { lan, wan, tunnel, .. } = machines;
    let mut routes = Vec::new();
    let network = lan.config.ipv4.prefix();
    routes.push((network, Route::Link(LAN)));
    routes.extend(Prefix4::new(lan.address(), 32).map(|own| (own, Route::Local)));
    let softwires: Vec<Softwire> = softwire(basis, machines, config).into_iter().collect();
    if !softwires.is_empty() {
        routes.push((Prefix4::ALL, Route::Softwire(SoftwireId(0))));
        routes.extend(
            tunnel.mesh.iter().flat_map(|mesh| mesh.prefixes()).map(|prefix| (prefix, Route::Mesh(SoftwireId(0)))),
        );
    }
    let stations = lan.neighbours.usable().filter_map(|(address, mac)| match address {
        IpAddr::V4(address) => Some((address.into(), mac)),
        IpAddr::V6(_) => None,
    });
    let native = basis.native.as_ref();
    let lan_link = Link {
        name: lan.link.name.clone(),
        side: Side::Lan,
        lan: LAN_NUMBER,
        peer: hosts[0].then_some(LAN_HOST),
        mac: lan.link.mac,
        any_station: false,
        mtu: lan.config.mtu,
        addresses4: vec![lan.address()],
        addresses6: native.into_iter().flat_map(|native| &native.addresses).map(|&address| address.into()).collect(),
        listens: listens[0].clone(),
        sources4: vec![network],
        neighbours: Neighbours::new(stations, None),
        sources6: native.map(sources6).unwrap_or_default(),
        neighbours6: native.map(|_| neighbours6(&lan.neighbours)).unwrap_or_default(),
        isolated: false,
    };
    let wan_link = Link {
        name: wan.link.name.clone(),
        side: Side::Wan,
        lan: LAN_NUMBER,
        peer: hosts[1].then_some(WAN_HOST),
        mac: wan.link.mac,
        any_station: false,
        mtu: basis.mtu,
        addresses4: Vec::<Ipv4Addr>::new(),
        addresses6: basis.addresses.iter().map(|&address| address.into()).collect(),
        listens: listens[1].clone(),
        sources4: Vec::new(),
        neighbours: Neighbours::default(),
        sources6: Vec::new(),
        neighbours6: Neighbours::default(),
        isolated: false,
    };
    let host = |interface: &Link, id| Link {
        name: format!("{}^", interface.name),
        side: Side::Host,
        peer: Some(id),
        ..interface.clone()
    };
    // A table of many hosts is copied where it must be, and not otherwise.
    let behind = if hosts == [false; 2] { vec![] } else { vec![host(&lan_link, LAN), host(&wan_link, WAN)] };
    let links = [lan_link, wan_link].into_iter().chain(behind).collect();
    Snapshot {
        links,
        softwires,
        routes: Routes::new(routes),
        routes6: native.map(|native| routes6(native, &basis.addresses)).unwrap_or_default(),
        filter6: native.and_then(|_| machines.filter.get()).cloned(),
        rules: machines.rules.get().cloned(),
    }
}

/// What hosts of the LAN may send from, and who is behind routers there (RFC 2827). The LAN's own come first: almost all is from them.
fn sources6(native: &Native) -> Vec<Prefix6> {
    native.prefixes.iter().copied().chain(native.onward.iter().map(|&(prefix, _)| prefix)).collect()
}

/// Where native IPv6 goes. `wan`: our addresses on the line.
fn routes6(native: &Native, wan: &[Ipv6Addr]) -> Routes6 {
    let ours = native.addresses.iter().chain(wan).filter_map(|&address| Prefix6::new(address, 128));
    let mut routes: Vec<(Prefix6, Route6)> = ours.map(|own| (own, Route6::Local)).collect();
    let across = native.across.iter().map(|&(address, mac)| (address, Route6::Gateway { link: WAN, mac }));
    routes.extend(across.filter_map(|(address, route)| Some((Prefix6::new(address, 128)?, route))));
    routes.extend(native.prefixes.iter().map(|&prefix| (prefix, Route6::Link(LAN))));
    // Longer than what they are of: nobody has the rest.
    let onward = native.onward.iter();
    routes.extend(onward.map(|&(prefix, mac)| (prefix, Route6::Gateway { link: LAN, mac })));
    // Of two that are the same the first counts: a delegated /64 is the LAN's.
    routes.extend(native.delegated.iter().map(|&prefix| (prefix, Route6::Unreachable)));
    if let Some(mac) = native.gateway {
        // The link's own prefix may be of what is delegated.
        let all = Prefix6::new(Ipv6Addr::UNSPECIFIED, 0);
        routes.extend(all.iter().chain(&native.on_link).map(|&prefix| (prefix, Route6::Gateway { link: WAN, mac })));
    }
    Routes6::new(routes)
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
