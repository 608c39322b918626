//! The router that `replay` and `demo` play captures through: one worker on memory rings, run by the calling thread.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use clap::ValueEnum;
use hikyaku_config::{Behaviour, LINK_MTU};
use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::memory_router::{LAN, MemoryRouter, Parts, SetupError, WAN};
use hikyaku_dataplane::napt::{self, Napt};
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::snapshot::{
    Deliver, Link, Listening, Neighbours, Route, Routes, Side, Snapshot, Softwire, SoftwireId,
};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::worker::{self, Worker};
use hikyaku_net::map::Mesh;
use hikyaku_net::{Addr4, Mac, Prefix4, Time, protocol};
use hikyaku_protocols::service::Outside;
use hikyaku_protocols::{dhcpv4, dhcpv6};
use hikyaku_ring::Vlan;
use hikyaku_ring::memory::Wire;
use hikyaku_schema::{DEFAULT_TABLE, Tuning};

/// The router's Ethernet address on the LAN.
pub const LAN_MAC: Mac = Mac([2, 0, 0, 0, 1, 1]);
/// The router's Ethernet address on the WAN.
pub const WAN_MAC: Mac = Mac([2, 0, 0, 0, 2, 1]);
/// The WAN's next hop.
pub const NEXT_HOP: Mac = Mac([2, 0, 0, 0, 2, 0xfe]);
/// Hosts on the LAN whose Ethernet address is not known.
pub const SOME_HOST: Mac = Mac([2, 0, 0, 0, 1, 0xff]);

/// What the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// DS-Lite B4 (RFC 6333): addresses pass as they are, the far end translates.
    Dslite,
    /// IPv4 over IPv6 with a fixed IPv4 address: this end translates to it.
    Ipip,
}

/// What a router is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The near end of the tunnel.
    pub ce: Ipv6Addr,
    /// The far end of the tunnel.
    pub br: Ipv6Addr,
    /// What is translated to; `None` for DS-Lite.
    pub outside: Option<Outside>,
    /// Other customers that packets go straight to (MAP-E).
    pub mesh: Option<Mesh>,
    /// What fits the tunnel.
    pub mtu: MtuMode,
    /// What is done to packets.
    pub behaviour: Behaviour,
    /// The LAN, where it is known; `None` takes IPv4 of any address from any station (a capture's
    /// addresses are what they are).
    pub lan: Option<Lan>,
    /// The VLANs of LAN and WAN.
    pub vlans: [Option<Vlan>; 2],
}

/// The LAN side of the router: its address there and the hosts behind it.
#[derive(Clone, Copy, Debug)]
pub struct Lan {
    /// The router's address there.
    pub router: Ipv4Addr,
    /// The addresses of its hosts.
    pub prefix: Prefix4,
}

/// A router whose cables end in this program, on a LAN whose hosts it learns from the capture.
pub struct CaptureRouter {
    /// What hosts of the LAN are plugged into.
    pub lan: Wire,
    /// What the line is plugged into.
    pub wan: Wire,
    worker: Worker,
    shared: Arc<Shared>,
    napt: Option<Arc<Napt>>,
    hosts: HashMap<Addr4, Mac>,
}

impl CaptureRouter {
    /// A router at its start: no sessions, all hosts at [`SOME_HOST`].
    pub fn new(setup: &Setup, tuning: &Tuning) -> Result<Self, SetupError> {
        let napt = setup.outside.map(|outside| napt::Config {
            sessions: tuning.table_size(DEFAULT_TABLE),
            filtering: setup.behaviour.filtering(),
            timeouts: setup.behaviour.timeouts.0,
            forwards: setup
                .behaviour
                .forward
                .iter()
                .flat_map(|mapping| mapping.on(outside.ports, napt::LanId::default()))
                .collect(),
            per_host: setup.behaviour.sessions_per_host,
            port_parity: setup.behaviour.port_parity,
            answer_unsolicited: setup.behaviour.answer_unsolicited,
            huge_pages: tuning.huge_pages,
            ports: outside.ports,
            ..napt::Config::new(outside.ipv4)
        });
        // Whole seconds pass between two turns of a replay: let every turn catch up.
        let worker = worker::Config { ageing: 4096, ..tuning.worker() };
        let parts = Parts { worker, napt, vlans: setup.vlans };
        let made = MemoryRouter::new(1, tuning.memory(), parts, |napt| snapshot(setup, napt))?;
        let MemoryRouter { mut workers, mut wires, shared, napt } = made;
        let [lan, wan] = wires.remove(0);
        Ok(Self { lan, wan, worker: workers.remove(0), shared, napt, hosts: HashMap::new() })
    }

    /// Takes all waiting frames through the path. Returns how many there were.
    pub fn run(&mut self, now: Time) -> usize {
        let mut frames = 0;
        loop {
            let n = self.worker.turn(now);
            // Nobody is at control: what is punted has its verdict and goes no further.
            while self.shared.punt.pop().is_some() {}
            if n == 0 {
                return frames;
            }
            frames += n;
        }
    }

    /// Gives what is still held its verdict.
    pub fn drain(&mut self) {
        self.worker.drain();
    }

    /// Learns where a host of the LAN is. News when it was not known, or elsewhere.
    pub fn learn(&mut self, host: Ipv4Addr, mac: Mac) {
        if self.hosts.insert(host.into(), mac) == Some(mac) {
            return;
        }
        let mut snapshot = Snapshot::clone(&self.shared.snapshot.load());
        snapshot.links[LAN.index()].neighbours =
            Neighbours::new(self.hosts.iter().map(|(&h, &m)| (h, m)), Some(SOME_HOST));
        self.shared.snapshot.store(Arc::new(snapshot));
    }

    /// How many hosts were learned.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.worker.handle().counters.totals()
    }

    /// The session table, where there is one.
    pub fn sessions(&self) -> Option<napt::Stats> {
        self.napt.as_ref().map(|napt| napt.stats())
    }
}

fn snapshot(setup: &Setup, napt: Option<Arc<Napt>>) -> Snapshot {
    let link = |name, side, mac| Link {
        any_station: setup.lan.is_none(),
        sources4: vec![Prefix4::ALL],
        neighbours: Neighbours::new([], Some(SOME_HOST)),
        // As a router listens: its DHCP server on the LAN, its client on the line.
        listens: Listening::at([dhcpv4::SERVER_PORT, dhcpv6::CLIENT_PORT].map(|port| (protocol::UDP, port))),
        ..Link::new(name, side, mac, LINK_MTU)
    };
    let (mut lan, wan) = (link("lan", Side::Lan, LAN_MAC), link("wan", Side::Wan, WAN_MAC));
    let mut routes = vec![(Prefix4::ALL, Route::Softwire(SoftwireId(0)))];
    routes
        .extend(setup.mesh.iter().flat_map(|mesh| mesh.prefixes()).map(|prefix| (prefix, Route::Mesh(SoftwireId(0)))));
    if let Some(Lan { router, prefix }) = setup.lan {
        lan.addresses4 = vec![router];
        lan.sources4 = vec![prefix];
        routes.push((prefix, Route::Link(LAN)));
        routes.extend(Prefix4::new(router, 32).map(|own| (own, Route::Local)));
    }
    let softwire = Softwire {
        mtu: setup.mtu,
        class: setup.behaviour.class(),
        mss: setup.behaviour.mss_limit(setup.mtu, LINK_MTU),
        napt,
        mesh: setup.mesh.clone().map(Arc::new),
        deliver: if setup.lan.is_some() { Deliver::Routed } else { Deliver::Link(LAN) },
        ..Softwire::new(setup.ce, setup.br, WAN, Some(NEXT_HOP))
    };
    Snapshot { links: vec![lan, wan], softwires: vec![softwire], routes: Routes::new(routes), ..Snapshot::default() }
}
