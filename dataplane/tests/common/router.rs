//! A router on memory rings: frames in on one side, frames out on both, verdicts.
//!
//! After every turn received = sum of verdicts + held, and no buffer is lost or there twice.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::counters::{Event, Totals};
use hikyaku_dataplane::filter6::{self, Filter6};
use hikyaku_dataplane::rules::{Action, Rule, Rules, Zone};

pub use hikyaku_dataplane::memory_router::{LAN, WAN};
use hikyaku_dataplane::memory_router::{MemoryRouter, Parts};
use hikyaku_dataplane::napt::{self, Filtering, Forward, LanId, Napt};
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::{
    Deliver, Link, Listening, Neighbours, Route, Route6, Routes, Routes6, Side, Snapshot, Softwire, SoftwireId,
};
use hikyaku_dataplane::tunnel::ecn::ClassMode;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::tunnel::reassembly::Limits;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::{Config, Handle, Worker};
use hikyaku_net::{Mac, PortSet, Prefix4, Prefix6, Time};
use hikyaku_ring::memory::{MemoryConfig, Wire, links};
use hikyaku_ring::{Headroom, LinkId, Vlan};

// The line of pcap-fixtures/index.json.
pub const ROUTER: [u8; 4] = [192, 168, 1, 1];
pub const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 1, 1];
pub const CLIENT: [u8; 4] = [192, 168, 1, 10];
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0x0a];
pub const OTHER_CLIENT: [u8; 4] = [192, 168, 1, 11];
pub const OTHER_CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 1, 0x0b];
pub const WAN_MAC: [u8; 6] = [2, 0, 0, 0, 2, 1];
pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 2, 0xfe];
pub const CE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3400, 0, 0, 0, 0xfeed);
pub const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
pub const OUTSIDE: [u8; 4] = [192, 0, 2, 1];
pub const SERVER: [u8; 4] = [203, 0, 113, 80];

/// What the line has been given; the tunnel's end is in it, too.
pub const DELEGATED: &str = "2001:db8:12:3400::/56";
/// Of it, the LAN's.
pub const LAN6: &str = "2001:db8:12:3401::/64";
pub const ROUTER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3401, 0, 0, 0, 1);
pub const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3401, 0, 0, 0, 0xa);
pub const OTHER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3401, 0, 0, 0, 0xb);
pub const PEER6: Ipv6Addr = Ipv6Addr::new(0x2a00, 0x1450, 0, 1, 0, 0, 0, 0x80);

/// Protocol and port of the DHCPv4 server on the LAN.
pub const DHCPV4: (u8, u16) = (17, 67);
/// Protocol and port of the DHCPv6 client on the line.
pub const DHCPV6: (u8, u16) = (17, 546);

/// Longer than any session lives.
const SESSIONS_ARE_OVER: Duration = Duration::from_secs(3 * 3600);

/// What kind of router.
#[derive(Clone, Debug)]
pub struct Setup {
    /// IPIP behind one outside address, or DS-Lite.
    pub napt: bool,
    pub filtering: Filtering,
    pub ports: PortSet,
    pub forwards: Vec<Forward>,
    pub per_host: Option<u32>,
    /// SYNs that nobody let in are answered.
    pub answer_unsolicited: bool,
    pub sessions: u32,
    pub mtu: MtuMode,
    pub class: ClassMode,
    pub mss: Option<u16>,
    pub lan_mtu: u16,
    pub wan_mtu: u16,
    /// The gateway's Ethernet address is known.
    pub next_hop: bool,
    pub headroom: Headroom,
    /// The two links are in different memory regions.
    pub two_regions: bool,
    pub slots: u32,
    pub buf_size: u32,
    /// Of the WAN's, if they are others; then the links are in different memory regions.
    pub wan_buf_size: Option<u32>,
    pub batch: usize,
    pub fast: bool,
    /// As in a replay: frames for any station are taken, from any source, and what comes in goes to
    /// the LAN whatever its address.
    pub replay: bool,
    /// The VLANs of LAN and WAN. Tests do not see the tags: whoever plugs the cables in puts them in and takes
    /// them out, but for [`Router::play_as_it_is`].
    pub vlans: [Option<u16>; 2],
    pub reassembly_timeout: Duration,
    /// Native IPv6 behind a filter made from this.
    pub native6: Option<filter6::Config>,
    /// What the operator says.
    pub rules: Vec<Rule>,
}

impl Setup {
    /// A fixed address with NAPT, 1460 bytes through the tunnel.
    pub fn ipip() -> Self {
        Self {
            napt: true,
            filtering: Filtering::default(),
            ports: PortSet::ALL,
            forwards: Vec::new(),
            per_host: None,
            answer_unsolicited: false,
            sessions: 1024,
            mtu: MtuMode::Strict { mtu: 1460 },
            class: ClassMode::default(),
            mss: Some(1420),
            lan_mtu: 1500,
            wan_mtu: 1500,
            next_hop: true,
            headroom: Headroom::new(Headroom::DEFAULT_BASE, 8),
            two_regions: false,
            slots: 128,
            buf_size: 2048,
            wan_buf_size: None,
            batch: 256,
            fast: true,
            replay: false,
            vlans: [None, None],
            reassembly_timeout: Duration::from_secs(2),
            native6: None,
            rules: Vec::new(),
        }
    }

    /// A router that is a DS-Lite B4 (RFC 6333).
    pub fn dslite() -> Self {
        Self { napt: false, ..Self::ipip() }
    }

    /// Routers of both kinds, with and without NAPT.
    pub fn all() -> [Self; 2] {
        [Self::ipip(), Self::dslite()]
    }

    /// What it is made from, but for rings and snapshot.
    pub fn parts(&self) -> Parts {
        let napt = self.napt.then(|| napt::Config {
            sessions: self.sessions,
            filtering: self.filtering,
            ports: self.ports,
            forwards: self.forwards.clone(),
            per_host: self.per_host,
            answer_unsolicited: self.answer_unsolicited,
            huge_pages: false,
            seed: Some([1, 2, 3, 4]),
            ..napt::Config::new(OUTSIDE.into())
        });
        let reassembly = Limits { timeout: self.reassembly_timeout, ..Limits::default() };
        let worker = Config { fast: self.fast, batch: self.batch, reassembly, ..Default::default() };
        Parts { worker, napt, vlans: self.vlans.map(|vlan| vlan.map(|id| Vlan::new(id).expect("a VLAN"))) }
    }

    /// Its filter, for so many workers.
    pub fn filter6(&self, readers: usize) -> Option<Arc<Filter6>> {
        let config = filter6::Config { readers, ..self.native6.clone()? };
        Some(Arc::new(Filter6::new(&config).expect("a small table")))
    }

    pub fn snapshot(&self, napt: Option<Arc<Napt>>) -> Snapshot {
        let link = |name, side, mac, mtu| Link { any_station: self.replay, ..Link::new(name, side, Mac(mac), mtu) };
        let lan: Prefix4 = "192.168.1.0/24".parse().unwrap();
        let router = Prefix4::new(ROUTER.into(), 32).unwrap();
        let hosts = [(CLIENT, CLIENT_MAC), (OTHER_CLIENT, OTHER_CLIENT_MAC)];
        let hosts = hosts.map(|(addr, mac)| (Ipv4Addr::from(addr).into(), Mac(mac)));
        Snapshot {
            links: vec![
                Link {
                    sources4: vec![if self.replay { Prefix4::ALL } else { lan }],
                    addresses4: vec![ROUTER.into()],
                    listens: Listening::at([DHCPV4]),
                    neighbours: Neighbours::new(hosts, self.replay.then_some(Mac(CLIENT_MAC))),
                    ..link("lan", Side::Lan, ROUTER_MAC, self.lan_mtu)
                },
                Link { listens: Listening::at([DHCPV6]), ..link("wan", Side::Wan, WAN_MAC, self.wan_mtu) },
            ],
            softwires: vec![Softwire {
                mtu: self.mtu,
                class: self.class,
                mss: self.mss,
                napt,
                deliver: if self.replay { Deliver::Link(LAN) } else { Deliver::Routed },
                ..Softwire::new(CE, BR, WAN, self.next_hop.then_some(Mac(GATEWAY_MAC)))
            }],
            routes: Routes::new([
                (router, Route::Local),
                (lan, Route::Link(LAN)),
                (Prefix4::ALL, Route::Softwire(SoftwireId(0))),
            ]),
            rules: (!self.rules.is_empty()).then(|| compiled(&self.rules, None)),
            ..Snapshot::default()
        }
    }
}

/// Rules as a snapshot has them.
pub fn compiled(rules: &[Rule], before: Option<&Rules>) -> Arc<Rules> {
    Arc::new(Rules::new(rules.to_vec(), before).expect("there is room for them"))
}

/// The LAN of tests, to rules.
pub const HOSTS: Zone = Zone::Lan(LanId(0));

/// Everybody else, to rules.
pub const WORLD: Zone = Zone::Wan;

/// A rule that is about everything that LAN hosts begin, or strangers do.
pub fn rule_from(from: Zone, action: Action) -> Rule {
    let to = if from == Zone::Wan { HOSTS } else { Zone::Wan };
    let name = format!("{from:?} {action:?}");
    let (protocols, source_ports, ports, source, destination) = Default::default();
    Rule { name, from, to, protocols, source_ports, ports, source, destination, action, rate: None, log: false }
}

/// What a filter of tests is made from.
pub fn filtering() -> filter6::Config {
    filter6::Config { sessions: 1024, huge_pages: false, seed: Some([1, 2, 3, 4]), ..Default::default() }
}

/// Puts the line's prefix, its LAN and its hosts into a snapshot, and the filter before them.
pub fn routed(snapshot: &mut Snapshot, filter: Arc<Filter6>) {
    let prefix = |text: &str| text.parse::<Prefix6>().unwrap();
    let own = Prefix6::new(ROUTER6, 128).unwrap();
    let lan = &mut snapshot.links[LAN.index()];
    lan.addresses6 = vec![Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into(), ROUTER6.into()];
    lan.sources6 = vec![prefix(LAN6)];
    let hosts = [(CLIENT6.into(), Mac(CLIENT_MAC)), (OTHER6.into(), Mac(OTHER_CLIENT_MAC))];
    lan.neighbours6 = Neighbours::new(hosts, None);
    snapshot.routes6 = Routes6::new([
        (own, Route6::Local),
        (prefix(LAN6), Route6::Link(LAN)),
        (prefix(DELEGATED), Route6::Unreachable),
        (prefix("::/0"), Route6::Gateway { link: WAN, mac: Mac(GATEWAY_MAC) }),
    ]);
    snapshot.filter6 = Some(filter);
}

/// What one or more frames led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Out {
    pub lan: Vec<Vec<u8>>,
    pub wan: Vec<Vec<u8>>,
    /// Verdicts that came to be, held frames' too.
    pub verdicts: Vec<(Verdict, u64)>,
}

impl Out {
    /// The one verdict, where one frame ended.
    #[track_caller]
    pub fn verdict(&self) -> Verdict {
        match self.verdicts[..] {
            [(verdict, 1)] => verdict,
            ref others => panic!("one verdict expected: {others:?}"),
        }
    }

    pub fn count(&self, verdict: impl Into<Verdict>) -> u64 {
        let verdict = verdict.into();
        self.verdicts.iter().filter(|(v, _)| *v == verdict).map(|(_, n)| n).sum()
    }

    /// The one frame that left, towards the tunnel.
    #[track_caller]
    pub fn to_wan(&self) -> &[u8] {
        match (&self.lan[..], &self.wan[..]) {
            ([], [frame]) => frame,
            _ => panic!("one frame to the WAN expected: {self:?}"),
        }
    }

    /// The one frame that left, towards the LAN.
    #[track_caller]
    pub fn to_lan(&self) -> &[u8] {
        match (&self.lan[..], &self.wan[..]) {
            ([frame], []) => frame,
            _ => panic!("one frame to the LAN expected: {self:?}"),
        }
    }

    /// Nothing left, for this reason.
    #[track_caller]
    pub fn dropped(&self, reason: Reason) {
        assert_eq!(self.verdict(), Verdict::Dropped(reason));
        assert!(self.lan.is_empty() && self.wan.is_empty(), "dropped, and yet something was sent: {self:?}");
    }
}

/// The router and both its wires.
pub struct Router {
    pub worker: Worker,
    pub wires: [Wire; 2],
    pub shared: Arc<Shared>,
    pub napt: Option<Arc<Napt>>,
    pub filter6: Option<Arc<Filter6>>,
    pub now: Time,
    pub handle: Handle,
    before: Totals,
    buffers: Vec<Vec<u32>>,
    two_regions: bool,
    vlans: [Option<u16>; 2],
}

/// Two routers of this kind, with the fast path and without.
pub fn routers(setup: &Setup) -> [Router; 2] {
    [true, false].map(|fast| Router::new(&Setup { fast, ..setup.clone() }))
}

/// The frame with the tag of a VLAN, with a priority, if there is room for one.
pub fn tagged(vlan: u16, frame: &[u8]) -> Vec<u8> {
    match frame.split_at_checked(12) {
        Some((addresses, rest)) => [addresses, &[0x81, 0, 0xa0 | (vlan >> 8) as u8, vlan as u8], rest].concat(),
        None => frame.to_vec(),
    }
}

/// The frame without its tag, which must be this VLAN's, without a priority. What is left is long enough for those
/// who know no tags.
#[track_caller]
pub fn untagged(vlan: u16, frame: &[u8]) -> Vec<u8> {
    assert_eq!(frame[12..16], [0x81, 0, (vlan >> 8) as u8, vlan as u8], "the tag");
    assert!(frame.len() >= 64, "shorter than Ethernet allows without the tag: {}", frame.len());
    [&frame[..12], &frame[16..]].concat()
}

impl Router {
    pub fn new(setup: &Setup) -> Self {
        Self::with(setup, |_| ())
    }

    /// With a snapshot that `change` has had in hand.
    pub fn with(setup: &Setup, change: impl FnOnce(&mut Snapshot)) -> Self {
        let memory = MemoryConfig {
            slots: setup.slots,
            buf_size: setup.buf_size,
            headroom: setup.headroom,
            huge_pages: false,
            ..Default::default()
        };
        let two_regions = setup.two_regions || setup.wan_buf_size.is_some();
        let parts = setup.parts();
        let filter6 = setup.filter6(1);
        let snapshot = |napt| {
            let mut snapshot = setup.snapshot(napt);
            filter6.iter().for_each(|filter| routed(&mut snapshot, filter.clone()));
            change(&mut snapshot);
            snapshot
        };
        let made = if two_regions {
            let sizes = [setup.buf_size, setup.wan_buf_size.unwrap_or(setup.buf_size)];
            let links = sizes.map(|buf_size| links(1, 1, MemoryConfig { buf_size, ..memory }).expect("a small link"));
            MemoryRouter::on(links.map(|mut links| links.remove(0)), parts, snapshot)
        } else {
            MemoryRouter::new(1, memory, parts, snapshot)
        };
        let MemoryRouter { mut workers, mut wires, shared, napt } = made.expect("a small router");
        let worker = workers.remove(0);
        let mut router = Self {
            handle: worker.handle(),
            worker,
            wires: wires.remove(0),
            shared,
            napt,
            filter6,
            now: Time(1_000_000_000),
            before: Totals::default(),
            buffers: Vec::new(),
            two_regions,
            vlans: setup.vlans,
        };
        router.before = router.handle.counters.totals();
        router.buffers = router.all_buffers();
        router
    }

    /// Hours later and behind another snapshot: nothing is held, no session is left, what was learned is forgotten.
    /// For who has no time to build routers; `setup` has the rings and the table of the one this was made from.
    pub fn renew(&mut self, setup: &Setup) {
        self.drain();
        while self.punted().is_some() {}
        self.advance(SESSIONS_ARE_OVER);
        if let Some(napt) = &self.napt {
            napt.age(self.now, usize::MAX);
            assert_eq!(napt.stats().live, 0, "a session outlived its time");
        }
        if let Some(filter) = &self.filter6 {
            filter.age(self.now, usize::MAX);
            assert_eq!(filter.stats().live, 0, "a session outlived its time");
        }
        let napt = self.napt.clone().filter(|_| setup.napt);
        let mut snapshot = setup.snapshot(napt);
        let filter6 = self.filter6.iter().filter(|_| setup.native6.is_some());
        filter6.for_each(|filter| routed(&mut snapshot, filter.clone()));
        self.shared.snapshot.store(Arc::new(snapshot));
        self.idle();
    }

    /// The operator has changed his mind.
    pub fn set_rules(&mut self, rules: &[Rule]) {
        let mut snapshot = Snapshot::clone(&self.shared.snapshot.load());
        snapshot.rules = Some(compiled(rules, snapshot.rules.as_deref()));
        self.shared.snapshot.store(Arc::new(snapshot));
    }

    /// What each rule let in, refused, and refused because it was too often.
    pub fn ruled(&self) -> Vec<[u64; 3]> {
        let snapshot = self.shared.snapshot.load();
        let rules = snapshot.rules.as_ref().expect("it has rules");
        rules.all().map(|(_, counted)| [counted.accepted, counted.refused, counted.limited]).collect()
    }

    pub fn advance(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Seconds go by, one after the other, and what is due is done.
    pub fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.advance(Duration::from_secs(1));
            self.idle();
        }
    }

    /// One frame from the LAN.
    pub fn lan(&mut self, frame: impl AsRef<[u8]>) -> Out {
        self.play(LAN, [frame])
    }

    /// One frame from the WAN.
    pub fn wan(&mut self, frame: impl AsRef<[u8]>) -> Out {
        self.play(WAN, [frame])
    }

    /// Frames of one side, in bursts as large as the ring allows.
    pub fn play<F: AsRef<[u8]>>(&mut self, side: LinkId, frames: impl IntoIterator<Item = F>) -> Out {
        match self.vlans[side.index()] {
            None => self.play_as_it_is(side, frames),
            Some(vlan) => self.play_as_it_is(side, frames.into_iter().map(|frame| tagged(vlan, frame.as_ref()))),
        }
    }

    /// The same, whatever tag they have.
    pub fn play_as_it_is<F: AsRef<[u8]>>(&mut self, side: LinkId, frames: impl IntoIterator<Item = F>) -> Out {
        let mut out = Out::default();
        for frame in frames {
            if self.wires[side.index()].room() == 0 {
                self.turn(&mut out);
            }
            self.wires[side.index()].deliver(frame.as_ref());
        }
        self.turn(&mut out);
        self.check();
        out.verdicts = self.verdicts();
        out
    }

    /// A turn without frames, for what is due.
    pub fn idle(&mut self) -> Out {
        self.play(LAN, [] as [&[u8]; 0])
    }

    /// Everything that is held gets its verdict.
    pub fn drain(&mut self) -> Out {
        self.worker.drain();
        let mut out = self.idle();
        assert_eq!(self.held(), 0, "held after the end");
        out.lan.clear();
        out
    }

    fn turn(&mut self, out: &mut Out) {
        while self.worker.turn(self.now) > 0 {
            self.collect(out);
        }
        self.collect(out);
    }

    fn collect(&mut self, out: &mut Out) {
        let [lan, wan] = &mut self.wires;
        let plugged = |frame: &[u8], vlan: Option<u16>| vlan.map_or(frame.to_vec(), |vlan| untagged(vlan, frame));
        lan.collect(|frame| out.lan.push(plugged(frame, self.vlans[0])));
        wan.collect(|frame| out.wan.push(plugged(frame, self.vlans[1])));
    }

    /// What must hold after any turn.
    fn check(&self) {
        let totals = self.totals();
        assert!(totals.add_up(), "received is not the sum of verdicts and held: {totals:?}");
        assert_eq!(self.all_buffers(), self.buffers, "a buffer was lost or is there twice");
    }

    /// The buffers of each region, in order.
    fn all_buffers(&self) -> Vec<Vec<u32>> {
        let each = self.wires.iter().map(|w| w.buffers().collect::<Vec<_>>());
        let mut regions: Vec<_> = if self.two_regions { each.collect() } else { vec![each.flatten().collect()] };
        regions.iter_mut().for_each(|r| r.sort_unstable());
        regions
    }

    fn verdicts(&mut self) -> Vec<(Verdict, u64)> {
        let now = self.totals();
        let delta = Verdict::all().map(|v| (v, now.verdict(v) - self.before.verdict(v)));
        let delta = delta.filter(|&(_, n)| n > 0).collect();
        self.before = now;
        delta
    }

    pub fn totals(&self) -> Totals {
        self.handle.counters.totals()
    }

    pub fn event(&self, event: Event) -> u64 {
        self.handle.counters.event(event)
    }

    pub fn held(&self) -> u64 {
        self.totals().held
    }

    /// A frame for the control thread.
    pub fn punted(&self) -> Option<Message> {
        self.shared.punt.pop()
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> u32 {
        self.napt.as_ref().map_or(0, |n| n.stats().live)
    }
}
