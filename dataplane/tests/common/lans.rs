//! A router with three LANs on memory rings: the one of [`super::router`], an office, and guests, who are isolated.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::counters::{Event, Totals};
use hikyaku_dataplane::filter6::Filter6;
use hikyaku_dataplane::napt::{LanId, Napt};
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::{Link, Neighbours, Route, Route6, Routes, Routes6, Side, Snapshot, SoftwireId};
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::{Handle, Worker};
use hikyaku_net::{Mac, Prefix4, Prefix6, Time};
use hikyaku_ring::LinkId;
use hikyaku_ring::memory::{MemoryConfig, Wire, links};

use super::ipv6::Packet6;
use super::packets::{Packet, ethernet};
use super::router::*;

/// One of the LANs, and all that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    pub link: LinkId,
    pub lan: LanId,
    pub mtu: u16,
    pub isolated: bool,
}

pub const HOME: Net = Net { link: LAN, lan: LanId(0), mtu: 1500, isolated: false };
pub const OFFICE: Net = Net { link: LinkId(2), lan: LanId(1), mtu: 1400, isolated: false };
pub const GUESTS: Net = Net { link: LinkId(3), lan: LanId(7), mtu: 1500, isolated: true };
pub const NETS: [Net; 3] = [HOME, OFFICE, GUESTS];

/// How many hosts each LAN has.
pub const HOSTS_OF_NET: u8 = 3;

impl Net {
    /// The third octet of its addresses, whatever else is numbered by it.
    fn number(&self) -> u8 {
        if *self == HOME { 1 } else { self.link.0 }
    }

    pub fn network(&self) -> Prefix4 {
        Prefix4::new([192, 168, self.number(), 0].into(), 24).unwrap()
    }

    pub fn prefix(&self) -> Prefix6 {
        Prefix6::new(self.address6(0), 64).unwrap()
    }

    /// Its host with this number; 1 is the router.
    pub fn host(&self, host: u8) -> [u8; 4] {
        [192, 168, self.number(), host]
    }

    pub fn address6(&self, host: u8) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3400 + u16::from(self.number()), 0, 0, 0, host.into())
    }

    pub fn station(&self, host: u8) -> [u8; 6] {
        [2, 0, 0, 0, self.number(), host]
    }

    fn link(&self) -> Link {
        let all = || 10..10 + HOSTS_OF_NET;
        let hosts = all().map(|host| (Ipv4Addr::from(self.host(host)).into(), Mac(self.station(host))));
        let hosts6 = all().map(|host| (self.address6(host).into(), Mac(self.station(host))));
        Link {
            lan: self.lan,
            isolated: self.isolated,
            addresses4: vec![self.host(1).into()],
            addresses6: vec![self.address6(1).into()],
            sources4: vec![self.network()],
            sources6: vec![self.prefix()],
            neighbours: Neighbours::new(hosts, None),
            neighbours6: Neighbours::new(hosts6, None),
            ..Link::new(&format!("lan{}", self.number()), Side::Lan, Mac(self.station(1)), self.mtu)
        }
    }
}

/// What one frame led to: its verdicts, and what left by which link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub verdicts: Vec<(Verdict, u64)>,
    pub frames: Vec<(LinkId, Vec<u8>)>,
}

impl Left {
    #[track_caller]
    pub fn verdict(&self) -> Verdict {
        match self.verdicts[..] {
            [(verdict, 1)] => verdict,
            ref others => panic!("one verdict expected: {others:?}"),
        }
    }

    /// The one frame, which left by this link.
    #[track_caller]
    pub fn only(&self, link: LinkId) -> &[u8] {
        match &self.frames[..] {
            [(by, frame)] if *by == link => frame,
            other => panic!("one frame to {link:?} expected: {other:?}"),
        }
    }

    /// Nothing left, for this reason.
    #[track_caller]
    pub fn dropped(&self, reason: Reason) {
        assert_eq!((&self.frames[..], self.verdict()), (&[][..], reason.into()));
    }
}

pub struct Lans {
    pub worker: Worker,
    pub wires: Vec<Wire>,
    pub shared: Arc<Shared>,
    pub napt: Option<Arc<Napt>>,
    pub filter6: Arc<Filter6>,
    pub now: Time,
    handle: Handle,
    before: Totals,
}

impl Lans {
    pub fn new(setup: &Setup) -> Self {
        Self::with(setup, |_| ())
    }

    /// With a snapshot that `change` has had in hand.
    pub fn with(setup: &Setup, change: impl FnOnce(&mut Snapshot)) -> Self {
        let setup = Setup { native6: Some(setup.native6.clone().unwrap_or_else(filtering)), ..setup.clone() };
        let parts = setup.parts();
        let memory = MemoryConfig { slots: 64, headroom: setup.headroom, huge_pages: false, ..Default::default() };
        let made = links(4, 1, memory).unwrap().into_iter().map(|mut link| link.remove(0));
        let (queues, wires): (Vec<_>, Vec<_>) = made.unzip();
        let queues = queues.into_iter().enumerate().map(|(i, queue)| (LinkId(i as u8), queue));
        let napt = parts.napt.map(|config| Arc::new(Napt::new(&config).unwrap()));
        let filter6 = setup.filter6(1).unwrap();
        let mut snapshot = setup.snapshot(napt.clone());
        snapshot.filter6 = Some(filter6.clone());
        let wan = snapshot.links.pop().unwrap();
        snapshot.links = vec![HOME.link(), wan, OFFICE.link(), GUESTS.link()];
        snapshot.links[0].listens = hikyaku_dataplane::snapshot::Listening::at([DHCPV4]);
        let routes = NETS.iter().flat_map(|net| {
            let own = Prefix4::new(net.host(1).into(), 32).unwrap();
            [(own, Route::Local), (net.network(), Route::Link(net.link))]
        });
        snapshot.routes = Routes::new(routes.chain([(Prefix4::ALL, Route::Softwire(SoftwireId(0)))]));
        let routes = NETS.iter().flat_map(|net| {
            let own = Prefix6::new(net.address6(1), 128).unwrap();
            [(own, Route6::Local), (net.prefix(), Route6::Link(net.link))]
        });
        snapshot.routes6 = Routes6::new(routes.chain([
            (DELEGATED.parse().unwrap(), Route6::Unreachable),
            ("::/0".parse().unwrap(), Route6::Gateway { link: WAN, mac: Mac(GATEWAY_MAC) }),
        ]));
        change(&mut snapshot);
        let shared = Shared::new(snapshot);
        let worker = Worker::new(0, queues, &shared, parts.worker);
        let handle = worker.handle();
        Self { worker, wires, shared, napt, filter6, now: NOW, handle, before: Totals::default() }
    }

    /// Plays a frame.
    pub fn play(&mut self, link: LinkId, frame: impl AsRef<[u8]>) -> Left {
        self.wires[link.index()].deliver(frame.as_ref());
        self.turn()
    }

    /// Sends a packet of IPv4 by this station.
    pub fn send(&mut self, from: (Net, u8), packet: &Packet) -> Left {
        let (net, host) = from;
        self.play(net.link, ethernet(net.station(1), net.station(host), 0x0800, &packet.bytes()))
    }

    /// The same of IPv6.
    pub fn send6(&mut self, from: (Net, u8), packet: &Packet6) -> Left {
        let (net, host) = from;
        self.play(net.link, packet.frame(net.station(1), net.station(host)))
    }

    pub fn turn(&mut self) -> Left {
        while self.worker.turn(self.now) > 0 {}
        let mut frames = Vec::new();
        for (i, wire) in self.wires.iter_mut().enumerate() {
            wire.collect(|frame| frames.push((LinkId(i as u8), frame.to_vec())));
        }
        let now = self.totals();
        assert!(now.add_up(), "received is not the sum of verdicts and held: {now:?}");
        let delta = Verdict::all().map(|v| (v, now.verdict(v) - self.before.verdict(v)));
        let verdicts = delta.filter(|&(_, n)| n > 0).collect();
        self.before = now;
        Left { verdicts, frames }
    }

    pub fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now + Duration::from_secs(1);
            self.turn();
        }
    }

    /// So many seconds later, and what is due is done.
    pub fn later(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.wait(2);
    }

    pub fn totals(&self) -> Totals {
        self.handle.counters.totals()
    }

    pub fn event(&self, event: Event) -> u64 {
        self.handle.counters.event(event)
    }

    pub fn punted(&self) -> Option<Message> {
        self.shared.punt.pop()
    }
}

const NOW: Time = Time(1_000_000_000_000);

/// Reads a frame of IPv4 that left to a host of a LAN, padded with zeroes to 60 bytes at least.
#[track_caller]
pub fn plain_of(net: Net, host: u8, frame: &[u8]) -> Packet {
    assert_eq!(frame[..14], [&net.station(host)[..], &net.station(1), &[8, 0]].concat());
    let len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    let (packet, padding) = frame[14..].split_at(len);
    assert!(frame.len() >= 60 && (padding.is_empty() || frame.len() == 60), "a trailer");
    assert!(padding.iter().all(|&b| b == 0), "somebody's bytes in the padding");
    Packet::read(packet)
}
