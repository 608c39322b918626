//! What the workers are told: one whole snapshot, made from what is known now.

use std::net::Ipv4Addr;
use std::sync::Arc;

use hikyaku_dataplane::snapshot::{Deliver, Link, Neighbours, Route, Routes, Side, Snapshot, Softwire, SoftwireId};
use hikyaku_net::{Mac, Prefix4};
use hikyaku_protocols::slaac::LineFacts;
use hikyaku_ring::LinkId;

use super::lan::Lan;
use super::tunnel::Tunnel;
use super::wan::Wan;

/// The LAN, the WAN, and behind them the host's own stack, where it is asked for.
pub const LAN: LinkId = LinkId(0);
/// See [`LAN`].
pub const WAN: LinkId = LinkId(1);
/// See [`LAN`].
pub const LAN_HOST: LinkId = LinkId(2);
/// See [`LAN`].
pub const WAN_HOST: LinkId = LinkId(3);

/// Everything a snapshot depends on: as long as it is the same there is nothing to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    hosts: u64,
    wan: WanBasis,
    next_hop: Option<Mac>,
    tunnel: Option<(std::net::Ipv6Addr, std::net::Ipv6Addr)>,
    /// [`Tunnel::changes`].
    changes: u64,
    lan_ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct WanBasis {
    mtu: u16,
    addresses: Vec<std::net::Ipv6Addr>,
}

/// Reads it off the machines.
pub(super) fn basis(lan: &Lan, wan: &Wan, tunnel: &Tunnel, facts: &LineFacts, next_hop: Option<Mac>) -> Basis {
    let mut addresses: Vec<_> = facts.addresses.iter().map(|address| address.address).collect();
    addresses.extend(wan.dhcp6.addresses().iter().map(|leased| leased.what));
    addresses.extend(wan.own_address(facts));
    addresses.extend(wan.link_local());
    addresses.sort_unstable();
    addresses.dedup();
    Basis {
        hosts: lan.neighbours.generation(),
        wan: WanBasis { mtu: facts.mtu, addresses },
        next_hop,
        tunnel: tunnel.local().zip(tunnel.border_router()),
        changes: tunnel.changes,
        lan_ready: lan.is_ready(),
    }
}

/// The world that follows from it.
pub(super) fn snapshot(basis: &Basis, lan: &Lan, wan: &Wan, tunnel: &Tunnel, hosts: [bool; 2]) -> Snapshot {
    let mut routes = Vec::new();
    let network = lan.config.ipv4.prefix();
    routes.push((network, Route::Link(LAN)));
    routes.extend(Prefix4::new(lan.address(), 32).map(|own| (own, Route::Local)));
    let softwires: Vec<Softwire> = softwire(basis, tunnel).into_iter().collect();
    if !softwires.is_empty() {
        routes.push((Prefix4::ALL, Route::Softwire(SoftwireId(0))));
        routes.extend(
            tunnel.mesh.iter().flat_map(|mesh| mesh.prefixes()).map(|prefix| (prefix, Route::Mesh(SoftwireId(0)))),
        );
    }
    let stations = lan.neighbours.usable().filter_map(|(address, mac)| match address {
        std::net::IpAddr::V4(address) => Some((address.into(), mac)),
        std::net::IpAddr::V6(_) => None,
    });
    let lan_link = Link {
        name: lan.link.name.clone(),
        side: Side::Lan,
        peer: hosts[0].then_some(LAN_HOST),
        mac: lan.link.mac,
        any_station: false,
        mtu: lan.config.mtu,
        addresses4: vec![lan.address()],
        addresses6: Vec::new(),
        sources4: vec![network],
        neighbours: Neighbours::new(stations, None),
    };
    let wan_link = Link {
        name: wan.link.name.clone(),
        side: Side::Wan,
        peer: hosts[1].then_some(WAN_HOST),
        mac: wan.link.mac,
        any_station: false,
        mtu: basis.wan.mtu,
        addresses4: Vec::<Ipv4Addr>::new(),
        addresses6: basis.wan.addresses.iter().map(|&address| address.into()).collect(),
        sources4: Vec::new(),
        neighbours: Neighbours::default(),
    };
    let host = |interface: &Link, id| Link {
        name: format!("{}^", interface.name),
        side: Side::Host,
        peer: Some(id),
        ..interface.clone()
    };
    let mut links = vec![lan_link.clone(), wan_link.clone()];
    if hosts != [false; 2] {
        links.extend([host(&lan_link, LAN), host(&wan_link, WAN)]);
    }
    Snapshot { links, softwires, routes: Routes::new(routes) }
}

fn softwire(basis: &Basis, tunnel: &Tunnel) -> Option<Softwire> {
    let (local, remote) = basis.tunnel?;
    let config = &tunnel.config;
    Some(Softwire {
        local: local.into(),
        remote: remote.into(),
        link: WAN,
        next_hop: basis.next_hop,
        mtu: config.mtu,
        class: config.behaviour.class(),
        mss: config.behaviour.mss_limit(config.mtu, basis.wan.mtu),
        napt: tunnel.napt().map(Arc::clone),
        mesh: tunnel.mesh.clone(),
        deliver: Deliver::Routed,
        state: tunnel.state.clone(),
    })
}
