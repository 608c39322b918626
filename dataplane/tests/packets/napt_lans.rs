//! Several LANs behind one outside address: a host of one never uses a session of another's.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::common::*;
use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::memory_router::WAN;
use hikyaku_dataplane::napt::{Config, Endpoint, Filtering, Forward, Key, LanId, Napt};
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::snapshot::{Link, Neighbours};
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::Worker;
use hikyaku_net::{Mac, Time, protocol};
use hikyaku_ring::memory::{MemoryConfig, Wire, links};
use hikyaku_ring::{Headroom, LinkId};

const HOME: LanId = LanId(0);
const GUESTS: LanId = LanId(7);
/// The link of [`GUESTS`], behind those of LAN and WAN.
const GUEST_LINK: LinkId = LinkId(2);
/// A host of theirs, with the address of one at home.
const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 7, 7];
const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);
const NOW: Time = Time(1_000_000_000);

fn end(addr: [u8; 4], port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::from(addr), port)
}

fn table(config: Config) -> Napt {
    let seed = Some([1, 2, 3, 4]);
    Napt::new(&Config { sessions: 1024, huge_pages: false, seed, ..config }).unwrap()
}

#[test]
fn the_same_flow_of_two_lans_has_a_session_and_a_mapping_of_each() {
    let napt = table(Config { filtering: Filtering::EndpointIndependent, ..Config::new(OUTSIDE.into()) });
    let (inside, peer) = (end(CLIENT, 40000), end(SERVER, 443));
    for protocol in [protocol::UDP, protocol::TCP, protocol::ICMP] {
        let open = |lan| {
            let id = napt.create_outbound(lan, protocol, inside, peer, 0, NOW).unwrap();
            let key = Key::outbound(lan, protocol, inside, peer);
            assert_eq!(napt.find(&key, napt.hash(&key)), Some(id));
            (id, napt.session(id))
        };
        let (home, guest) = (open(HOME), open(GUESTS));
        assert_ne!(home.0, guest.0);
        assert_eq!((home.1.lan(), guest.1.lan()), (HOME, GUESTS));
        // RFC 4787 REQ-1 is of one endpoint, and these are two.
        assert_ne!(home.1.outside().port, guest.1.outside().port);
        let other = Key::outbound(LanId(3), protocol, inside, peer);
        assert_eq!(napt.find(&other, napt.hash(&other)), None);
        // What comes in finds it without knowing of LANs, and a stranger gets to the mapping's own LAN.
        let stranger = end([203, 0, 113, 99], 5000);
        for (id, session) in [home, guest] {
            let back = Key::inbound(protocol, peer, session.outside());
            assert_eq!(napt.find(&back, napt.hash(&back)), Some(id));
            if protocol == protocol::UDP {
                let let_in = napt.create_inbound(protocol, stranger, session.outside(), 0, NOW).unwrap();
                assert_eq!(napt.session(let_in).lan(), session.lan());
            }
        }
    }
}

#[test]
fn shares_and_static_mappings_are_of_a_lan() {
    let forward = |lan, port| Forward {
        protocol: protocol::TCP,
        outside: (port, port),
        lan,
        inside: CLIENT.into(),
        inside_port: 80,
    };
    // No host is forwarded to twice: these are two.
    let forwards = vec![forward(HOME, 8080), forward(GUESTS, 8081)];
    let napt = table(Config { per_host: Some(4), forwards, ..Config::new(OUTSIDE.into()) });
    let (server, peer) = (end(CLIENT, 80), end(SERVER, 443));
    for (lan, port) in [(HOME, 8080u16), (GUESTS, 8081)] {
        let outside = end(OUTSIDE, port);
        let id = napt.create_inbound(protocol::TCP, peer, outside, hikyaku_net::packet::Tcp::SYN, NOW).unwrap();
        assert_eq!((napt.session(id).lan(), napt.session(id).inside()), (lan, server));
        let elsewhere = end(SERVER, 444);
        let id = napt.create_outbound(lan, protocol::TCP, server, elsewhere, 0, NOW).unwrap();
        assert_eq!(napt.session(id).outside(), outside, "it leaves by the port that is its own");
        // RFC 6888 REQ-4: each of them has its share.
        let more = |port: u16| napt.create_outbound(lan, protocol::UDP, end(CLIENT, port), peer, 0, NOW).map(|_| ());
        assert_eq!([more(1), more(2), more(3)], [Ok(()), Ok(()), Err(Reason::NaptHostLimit)]);
    }
}

/// A router with two LANs whose hosts have the same addresses.
struct TwoLans {
    worker: Worker,
    wires: Vec<Wire>,
}

impl TwoLans {
    fn new(fast: bool) -> Self {
        let setup = Setup { fast, ..Setup::ipip() };
        let parts = setup.parts();
        let memory =
            MemoryConfig { slots: 64, headroom: Headroom::new(64, 8), huge_pages: false, ..Default::default() };
        let mut queues = Vec::new();
        let mut wires = Vec::new();
        for (i, mut link) in links(3, 1, memory).unwrap().into_iter().enumerate() {
            let (queue, wire) = link.remove(0);
            queues.push((LinkId(i as u8), queue));
            wires.push(wire);
        }
        let napt = Arc::new(Napt::new(&parts.napt.unwrap()).unwrap());
        let mut snapshot = setup.snapshot(Some(napt));
        let guests = Link {
            lan: GUESTS,
            neighbours: Neighbours::new([(Ipv4Addr::from(CLIENT).into(), Mac(GUEST_MAC))], None),
            ..snapshot.links[LAN.index()].clone()
        };
        snapshot.links.push(guests);
        Self { worker: Worker::new(0, queues, &Shared::new(snapshot), parts.worker), wires }
    }

    /// Plays a frame; what leaves, and by which link.
    fn play(&mut self, link: LinkId, frame: &[u8]) -> Vec<(LinkId, Vec<u8>)> {
        self.wires[link.index()].deliver(frame);
        self.worker.turn(NOW);
        let mut out = Vec::new();
        for (i, wire) in self.wires.iter_mut().enumerate() {
            wire.collect(|frame| out.push((LinkId(i as u8), frame.to_vec())));
        }
        out
    }

    fn totals(&self) -> Totals {
        self.worker.handle().counters.totals()
    }
}

#[test]
fn answers_go_back_to_the_lan_that_asked() {
    for fast in [true, false] {
        let mut router = TwoLans::new(fast);
        let question = from_lan(&udp(C, S, b"question"));
        let ports = [LAN, GUEST_LINK].map(|link| match &router.play(link, &question)[..] {
            [(WAN, frame)] => inner(frame).src(),
            other => panic!("one frame to the line: {other:?}"),
        });
        assert_ne!(ports[0], ports[1]);
        for (at, link, station) in [(ports[0], LAN, CLIENT_MAC), (ports[1], GUEST_LINK, GUEST_MAC)] {
            let whole = udp(S, at, b"answer");
            match &router.play(WAN, &from_wan(&whole))[..] {
                [(to, frame)] => {
                    assert_eq!((*to, &frame[..6]), (link, &station[..]), "fast {fast}");
                    let to_client = [&CLIENT_MAC, &frame[6..]].concat();
                    assert_eq!(plain(&to_client).dst(), C);
                }
                other => panic!("one frame to {link:?}: {other:?}"),
            }
        }
        assert!(router.totals().add_up());
        assert_eq!(router.totals().verdict(Verdict::Inbound), 2);
    }
}
