//! The host's own network stack behind the router's interfaces.

use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::common::*;
use etherparse::Ipv6Header;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::filter6::Filter6;
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::snapshot::{Link, Route, Route6, Routes, Routes6, Side, Snapshot};
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::{Config, Worker};
use hikyaku_net::{Mac, Prefix6, Time};
use hikyaku_ring::memory::{MemoryConfig, Wire, links};
use hikyaku_ring::{Headroom, LinkId, Vlan};

const LAN_HOST: LinkId = LinkId(2);
const WAN_HOST: LinkId = LinkId(3);
const SERVER_HERE: [u8; 4] = [192, 168, 1, 5];
const ALL: [u8; 6] = [0xff; 6];

/// A router with the host's stack behind both its links.
struct Shelf {
    worker: Worker,
    wires: Vec<Wire>,
    before: Vec<(Verdict, u64)>,
}

impl Shelf {
    fn new(tunnel: bool) -> Self {
        Self::with(tunnel, [None, None], Headroom::new(64, 8))
    }

    fn with(tunnel: bool, vlans: [Option<u16>; 2], headroom: Headroom) -> Self {
        let mut snapshot = Setup::dslite().snapshot(None);
        if !tunnel {
            let lan = "192.168.1.0/24".parse().unwrap();
            snapshot.routes = Routes::new([(lan, Route::Link(LAN))]);
        }
        Self::of(snapshot, vlans, headroom)
    }

    fn of(mut snapshot: Snapshot, vlans: [Option<u16>; 2], headroom: Headroom) -> Self {
        for (interface, host, mac) in [(LAN, LAN_HOST, ROUTER_MAC), (WAN, WAN_HOST, WAN_MAC)] {
            snapshot.links[interface.index()].peer = Some(host);
            let link = snapshot.links[interface.index()].clone();
            let link = Link { side: Side::Host, peer: Some(interface), mac: Mac(mac), sources4: vec![], ..link };
            snapshot.links.push(link);
        }
        let shared = Shared::new(snapshot);
        let memory = MemoryConfig { slots: 64, headroom, huge_pages: false, ..Default::default() };
        let links = links(4, 1, memory).unwrap();
        let (mut queues, wires): (Vec<_>, Vec<_>) = links.into_iter().map(|mut link| link.pop().unwrap()).unzip();
        queues.iter_mut().zip(vlans).for_each(|(queue, vlan)| queue.set_vlan(vlan.and_then(Vlan::new)));
        let queues = queues.into_iter().enumerate().map(|(i, queue)| (LinkId(i as u8), queue));
        Self { worker: Worker::new(0, queues, &shared, Config::default()), wires, before: vec![] }
    }

    /// What becomes of a frame, and what leaves where.
    fn play(&mut self, link: LinkId, frame: &[u8]) -> (Verdict, Vec<(LinkId, Vec<u8>)>) {
        self.wires[link.index()].deliver(frame);
        self.worker.turn(Time(1_000_000_000));
        let mut sent = Vec::new();
        for (i, wire) in self.wires.iter_mut().enumerate() {
            wire.collect(|frame| sent.push((LinkId(i as u8), frame.to_vec())));
        }
        let totals = self.worker.handle().counters.totals();
        assert!(totals.add_up());
        let now: Vec<_> = Verdict::all().map(|v| (v, totals.verdict(v))).collect();
        let new = now.iter().find(|&&(v, n)| n > self.before.iter().find(|b| b.0 == v).map_or(0, |b| b.1));
        let verdict = new.expect("a verdict").0;
        self.before = now;
        (verdict, sent)
    }

    /// The frame goes to the host as it is, and nowhere else.
    fn goes_to_host(&mut self, link: LinkId, host: LinkId, frame: &[u8]) {
        assert_eq!(self.play(link, frame), (Verdict::Host, vec![(host, frame.to_vec())]));
    }
}

#[test]
fn what_the_host_sends_leaves_as_it_is() {
    let mut shelf = Shelf::new(true);
    for (host, interface) in [(LAN_HOST, LAN), (WAN_HOST, WAN)] {
        for frame in [ethernet(ALL, ROUTER_MAC, 0x806, &[7; 46]), ethernet(CLIENT_MAC, ROUTER_MAC, 0x86dd, &[9; 1000])]
        {
            assert_eq!(shelf.play(host, &frame), (Verdict::FromHost, vec![(interface, frame)]));
        }
    }
}

#[test]
fn the_host_gets_what_is_not_the_routers() {
    let mut shelf = Shelf::new(true);
    let to_server = udp((CLIENT, 40000), (SERVER_HERE, 22), b"to the server itself");
    shelf.goes_to_host(LAN, LAN_HOST, &from_lan(&to_server));
    shelf.goes_to_host(LAN, LAN_HOST, &ethernet(ALL, CLIENT_MAC, 0x88cc, &[1; 60]));
    shelf.goes_to_host(WAN, WAN_HOST, &ethernet(WAN_MAC, GATEWAY_MAC, 0x0800, &to_server.bytes()));
    let mut to_server = outer(8, 17);
    to_server.destination = "2001:db8:77::22".parse::<std::net::Ipv6Addr>().unwrap().octets();
    shelf.goes_to_host(WAN, WAN_HOST, &ipv6(&to_server, &[0, 9, 0, 9, 0, 8, 0, 0]));
}

/// Also where IPv6 is forwarded, and the host's own address is in a prefix that the LAN has.
#[test]
fn the_host_gets_what_comes_for_its_own_ipv6_address() {
    let server = |id| Ipv6Addr::from_bits(CLIENT6.to_bits() & !0xffff | id);
    let mut snapshot = Setup::dslite().snapshot(None);
    routed(&mut snapshot, Arc::new(Filter6::new(&filtering()).unwrap()));
    let own = (Prefix6::new(server(5), 128).unwrap(), Route6::Host);
    snapshot.routes6 = Routes6::new([own, (LAN6.parse().unwrap(), Route6::Link(LAN))]);
    let mut shelf = Shelf::of(snapshot, [None, None], Headroom::new(64, 8));
    let comes = |source: Ipv6Addr, to: Ipv6Addr| {
        let header = Ipv6Header { source: source.octets(), destination: to.octets(), ..outer(8, 17) };
        ipv6(&header, &[0, 9, 0, 22, 0, 8, 0, 0])
    };
    // From a neighbour on the line's link, whose prefix the LAN shares, and from far away.
    shelf.goes_to_host(WAN, WAN_HOST, &comes(server(1), server(5)));
    shelf.goes_to_host(WAN, WAN_HOST, &comes(PEER6, server(5)));
    // A host of the LAN next to it is not the host's own.
    let (verdict, sent) = shelf.play(WAN, &comes(PEER6, server(6)));
    assert!(verdict != Verdict::Host && sent.iter().all(|(link, _)| *link != WAN_HOST), "{verdict:?}");
}

#[test]
fn discovery_is_for_both() {
    let mut shelf = Shelf::new(true);
    let arp = ethernet(ALL, CLIENT_MAC, 0x806, &[1; 46]);
    assert_eq!(shelf.play(LAN, &arp), (Verdict::Punted, vec![(LAN_HOST, arp)]));
    assert_eq!(shelf.worker.handle().counters.event(Event::HostCopied), 1);
    // What is for the router alone is not shown around.
    let to_router = from_lan(&udp((CLIENT, 40000), (ROUTER, 67), b"for the router"));
    assert_eq!(shelf.play(LAN, &to_router), (Verdict::Punted, vec![]));
}

#[test]
fn the_host_never_forwards_for_the_lan() {
    let mut shelf = Shelf::new(false);
    let out = from_lan(&udp((CLIENT, 40000), (SERVER, 443), b"into the Internet, without a tunnel"));
    let (verdict, sent) = shelf.play(LAN, &out);
    assert_eq!(verdict, Reason::NoRoute.into());
    assert!(sent.iter().all(|(link, _)| *link == LAN), "an ICMP error and nothing else: {sent:?}");
    // Nor does it see what is somebody else's, or the tunnel's.
    let other = ethernet([2, 0, 0, 0, 9, 9], CLIENT_MAC, 0x0800, &[0x45; 40]);
    assert_eq!(shelf.play(LAN, &other), (Reason::OtherStation.into(), vec![]));
    let spoofed = from_wan(&udp((SERVER, 443), (CLIENT, 40000), b"x"));
    let spoofed = [&spoofed[..22], &[0x20; 16], &spoofed[38..]].concat();
    assert_eq!(shelf.play(WAN, &spoofed), (Reason::TunnelSource.into(), vec![]));
}

#[test]
fn the_host_has_all_vlans() {
    for headroom in [Headroom::new(64, 8), Headroom::NONE] {
        let mut shelf = Shelf::with(true, [Some(10), Some(20)], headroom);
        // What it sends leaves as it is.
        for (host, interface) in [(LAN_HOST, LAN), (WAN_HOST, WAN)] {
            let frame = ethernet(ALL, ROUTER_MAC, 0x806, &[7; 46]);
            for frame in [frame.clone(), tagged(10, &frame), tagged(20, &frame), tagged(99, &frame)] {
                assert_eq!(shelf.play(host, &frame), (Verdict::FromHost, vec![(interface, frame)]));
            }
        }
        // What is not the router's goes to it as it came, with its priority: of the router's VLAN, of others, of none.
        let to_server = udp((CLIENT, 40000), (SERVER_HERE, 22), b"to the server itself");
        let plain = from_lan(&to_server);
        shelf.goes_to_host(LAN, LAN_HOST, &tagged(10, &plain));
        shelf.goes_to_host(LAN, LAN_HOST, &tagged(10, &ethernet(ALL, CLIENT_MAC, 0x88cc, &[1; 60])));
        shelf.goes_to_host(LAN, LAN_HOST, &tagged(11, &plain));
        shelf.goes_to_host(LAN, LAN_HOST, &tagged(0, &plain));
        shelf.goes_to_host(LAN, LAN_HOST, &plain);
        shelf.goes_to_host(LAN, LAN_HOST, &tagged(10, &tagged(5, &plain)));
        shelf.goes_to_host(WAN, WAN_HOST, &tagged(20, &ethernet(WAN_MAC, GATEWAY_MAC, 0x0800, &to_server.bytes())));
        let arp = tagged(10, &ethernet(ALL, CLIENT_MAC, 0x806, &[1; 46]));
        assert_eq!(shelf.play(LAN, &arp), (Verdict::Punted, vec![(LAN_HOST, arp)]));
        // Not what is another station's, whatever its VLAN.
        let other = ethernet([2, 0, 0, 0, 9, 9], CLIENT_MAC, 0x0800, &[0x45; 40]);
        assert_eq!(shelf.play(LAN, &tagged(11, &other)), (Reason::Vlan.into(), vec![]));
        assert_eq!(shelf.play(LAN, &tagged(10, &other)), (Reason::OtherStation.into(), vec![]));
        // And the router routes.
        let (verdict, sent) = shelf.play(LAN, &tagged(10, &from_lan(&udp((CLIENT, 40000), (SERVER, 443), b"x"))));
        let [(WAN, frame)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(verdict, Verdict::Outbound);
        inner(&untagged(20, frame)).check_transport();
    }
}
