//! A CE of RFC 7597's own example, on memory rings.

use std::net::Ipv6Addr;
use std::sync::Arc;

use etherparse::Ipv6Header;
use hikyaku_dataplane::napt::{self, Filtering, Napt};
use hikyaku_dataplane::snapshot::{Route, Routes, SoftwireId};
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_net::Prefix4;
use hikyaku_net::map::{Ce, InterfaceId, Mesh, Rule};

use super::packets::{End, Packet, from_lan, ipv6, outer, plain};
use super::router::{GATEWAY_MAC, LAN, ROUTER, Router, Setup, WAN_MAC};

/// RFC 7597 appendix A, example 1, for forwarding or not.
pub fn rule(forwarding: bool) -> Rule {
    "2001:db8::/40,192.0.2.0/24,16,6".parse::<Rule>().unwrap().with_forwarding(forwarding)
}

pub fn ce(line: &str, iid: InterfaceId) -> Ce {
    rule(true).ce(line.parse().unwrap(), iid).unwrap()
}

pub fn us(iid: InterfaceId) -> Ce {
    ce("2001:db8:12:3400::/56", iid)
}

/// 192.0.2.119, PSID 0x56: port 1368 and others.
pub fn peer(iid: InterfaceId) -> (Ce, End) {
    let peer = ce("2001:db8:77:5600::/56", iid);
    (peer, (peer.ipv4.octets(), first_port(peer)))
}

pub fn first_port(ce: Ce) -> u16 {
    (0..=u16::MAX).find(|&port| ce.ports.contains(port)).unwrap()
}

/// A CE of this mesh, with the fast path or without.
pub fn router(iid: InterfaceId, rules: &[Rule], fast: bool, filtering: Filtering) -> Router {
    let (us, mesh) = (us(iid), Mesh::new(rules.iter().copied(), iid));
    let config = napt::Config {
        sessions: 1024,
        huge_pages: false,
        ports: us.ports,
        filtering,
        seed: Some([1, 2, 3, 4]),
        ..napt::Config::new(us.ipv4)
    };
    let napt = Arc::new(Napt::new(&config).unwrap());
    Router::with(&Setup { fast, ..Setup::ipip() }, |snapshot| {
        let routes = mesh.prefixes().map(|prefix| (prefix, Route::Mesh(SoftwireId(0)))).chain([
            (Prefix4::new(ROUTER.into(), 32).unwrap(), Route::Local),
            ("192.168.1.0/24".parse().unwrap(), Route::Link(LAN)),
            (Prefix4::ALL, Route::Softwire(SoftwireId(0))),
        ]);
        snapshot.routes = Routes::new(routes);
        let softwire = &mut snapshot.softwires[0];
        softwire.local = us.address.into();
        softwire.napt = Some(napt);
        softwire.mesh = Some(Arc::new(mesh));
    })
}

/// The outer header and what is inside of a frame of the tunnel, whole or the only piece of it.
#[track_caller]
pub fn ends(frame: &[u8]) -> (Ipv6Addr, Ipv6Addr, &[u8]) {
    let (outer, rest) = Ipv6Header::from_slice(&frame[14..]).unwrap();
    assert_eq!((&frame[..12], outer.hop_limit), (&[GATEWAY_MAC, WAN_MAC].concat()[..], 64));
    (outer.source.into(), outer.destination.into(), rest)
}

/// A frame of the tunnel from this end.
pub fn from(end: Ipv6Addr, us: Ce, packet: &[u8]) -> Vec<u8> {
    let header = outer(packet.len(), 4);
    ipv6(&Ipv6Header { source: end.octets(), destination: us.address.octets(), ..header }, packet)
}

#[track_caller]
pub fn inbound(router: &mut Router, frame: Vec<u8>) -> Packet {
    let out = router.wan(frame);
    assert_eq!(out.verdict(), Verdict::Inbound);
    let got = plain(out.to_lan());
    got.check_transport();
    got
}

/// Sends `packet` and says where it went and what it was.
#[track_caller]
pub fn outbound(router: &mut Router, packet: &Packet) -> (Ipv6Addr, Packet) {
    let out = router.lan(from_lan(packet));
    assert_eq!(out.verdict(), Verdict::Outbound);
    let (_, to, inner) = ends(out.to_wan());
    let sent = Packet::read(inner);
    sent.check_transport();
    (to, sent)
}
