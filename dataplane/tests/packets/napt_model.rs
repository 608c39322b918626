//! The session table against a model of it made of maps: the same random histories, the same
//! answers after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hikyaku_dataplane::napt::{
    Claim, Config, Direction, Endpoint, Filtering, Forward, Key, Kind, LanId, Napt, SessionId, Timeouts, pair_addrs,
    pair_ports, split_ports,
};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::packet::Tcp;
use hikyaku_net::{PortSet, Time, protocol};
use proptest::prelude::*;
/// The one that almost all tests are on.
const LAN: LanId = LanId(0);

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The last second: after it (136 years) timers would not fit their words.
const LAST: u64 = u32::MAX as u64 - 10_000;

/// What a session is of: protocol, inside address and port, peer's address and port.
type Flow = (u8, Ipv4Addr, u16, Ipv4Addr, u16);

/// Protocol, inside address and port.
type Inside = (u8, Ipv4Addr, u16);

#[derive(Debug, Clone)]
struct Session {
    outside: u16,
    claim: Claim,
    last: u64,
    packets: [u32; 2],
    /// Whether a packet went outbound, inbound.
    seen: [bool; 2],
    fin: [bool; 2],
    established: bool,
    reset: [bool; 2],
    /// When a packet last changed the timeout: it may take until the next second to be obeyed.
    changed: u64,
}

#[derive(Debug)]
struct Model {
    ports: BTreeSet<u16>,
    /// Others have the rest of the address.
    is_share: bool,
    capacity: usize,
    filtering: Filtering,
    timeouts: Timeouts,
    inbound_refresh: bool,
    port_parity: bool,
    per_host: usize,
    forwards: Vec<Forward>,
    sessions: BTreeMap<Flow, Session>,
    refused: [u64; 3],
    limited: [u64; 3],
    created: u64,
    expired: u64,
}

impl Model {
    fn timeout(&self, flow: &Flow) -> u64 {
        let (s, t) = (&self.sessions[flow], &self.timeouts);
        u64::from(match (flow.0, flow.4) {
            (protocol::UDP, 53 | 123) => match s.packets {
                [out @ 1..=2, back] if back == out => t.udp_answered,
                [_, 0] | [0..=2, 0..=2] => t.udp_query,
                _ => t.udp,
            },
            (protocol::UDP, _) => t.udp,
            (protocol::ICMP, _) => t.icmp,
            (GRE | protocol::UDP_LITE, _) => t.other,
            _ if s.reset != [false; 2] => t.tcp_reset,
            _ if s.fin == [true, true] || !s.established => t.tcp_transitory,
            _ => t.tcp_established,
        })
    }

    fn is_overdue(&self, flow: &Flow, now: u64) -> bool {
        now > self.sessions[flow].last + self.timeout(flow)
    }

    /// The outside port of a dynamic mapping.
    fn mapped(&self, inside: Inside) -> Option<u16> {
        let same = |(f, s): &(&Flow, &Session)| (f.0, f.1, f.2) == inside && s.claim == Claim::Mapped;
        self.sessions.iter().find(same).map(|(_, s)| s.outside)
    }

    /// The dynamic mapping of an outside port.
    fn mapping(&self, protocol: u8, port: u16) -> Option<Inside> {
        let same = |(f, s): &(&Flow, &Session)| f.0 == protocol && s.outside == port && s.claim == Claim::Mapped;
        self.sessions.iter().find(same).map(|(f, _)| (f.0, f.1, f.2))
    }

    /// Where an outside port is forwarded to.
    fn forward(&self, protocol: u8, port: u16) -> Option<Inside> {
        let forward =
            self.forwards.iter().find(|f| f.protocol == protocol && (f.outside.0..=f.outside.1).contains(&port))?;
        Some((protocol, forward.inside, forward.inside_port + (port - forward.outside.0)))
    }

    /// The outside port that is forwarded to an inside endpoint.
    fn forwarded(&self, inside: Inside) -> Option<u16> {
        let ports = self.forwards.iter().flat_map(|f| f.outside.0..=f.outside.1);
        ports.into_iter().find(|&port| self.forward(inside.0, port) == Some(inside))
    }

    /// The ports that are forwarded.
    fn reserved(&self, protocol: u8) -> BTreeSet<u16> {
        let forwards = self.forwards.iter().filter(|f| f.protocol == protocol);
        forwards.flat_map(|f| f.outside.0..=f.outside.1).collect()
    }

    fn used(&self, protocol: u8) -> BTreeSet<u16> {
        self.sessions.iter().filter(|(f, _)| f.0 == protocol).map(|(_, s)| s.outside).collect()
    }

    /// The flow of an outside port and a peer: there is one at most.
    fn inbound(&self, protocol: u8, peer: (Ipv4Addr, u16), port: u16) -> Option<Flow> {
        let same = |(f, s): &(&Flow, &Session)| f.0 == protocol && (f.3, f.4) == peer && s.outside == port;
        let mut all = self.sessions.iter().filter(same);
        let first = all.next().map(|(f, _)| *f);
        assert!(all.next().is_none(), "two flows that look the same from outside");
        first
    }

    fn sessions_of(&self, host: Ipv4Addr) -> usize {
        self.sessions.keys().filter(|f| f.1 == host).count()
    }

    /// Connections to the same peer that are over, with the second of their last packet.
    fn over(&self, (protocol, _, _, b, m): Flow, now: u64) -> BTreeMap<Flow, u64> {
        let is_over = |(f, s): &(&Flow, &Session)| {
            let is_closed = protocol == protocol::TCP && (s.reset != [false; 2] || s.fin == [true, true]);
            let forwarded = self.forward(protocol, s.outside).is_some();
            (f.0, f.3, f.4) == (protocol, b, m) && is_closed && now >= s.last + 2 && !forwarded
        };
        self.sessions.iter().filter(is_over).map(|(f, s)| (*f, s.last)).collect()
    }

    /// Checks the port and claim that a flow got, or that it got none.
    fn check_port(&mut self, now: u64, flow: Flow, got: Option<(u16, Claim)>) {
        let (protocol, a, wanted, b, m) = flow;
        let (inside, peer) = ((protocol, a, wanted), (b, m));
        let unique = |&port: &u16| self.inbound(protocol, peer, port).is_none();
        if let Some(port) = self.forwarded(inside).filter(unique) {
            return assert_eq!(got, Some((port, Claim::Forwarded)));
        }
        let mapped = self.mapped(inside);
        if let Some(port) = mapped.filter(unique) {
            return assert_eq!(got, Some((port, Claim::Mapped)));
        }
        let (used, reserved) = (self.used(protocol), self.reserved(protocol));
        let is_free = |port: u16| self.ports.contains(&port) && !used.contains(&port) && !reserved.contains(&port);
        let free = self.ports.len() - used.union(&reserved).count();
        // RFC 4787 REQ-4, where it is wanted.
        let alike = |&port: &u16| !self.port_parity || protocol != protocol::UDP || (port ^ wanted) & 1 == 0;
        let alike_first = |ports: BTreeSet<u16>| match ports.iter().any(alike) {
            true => ports.into_iter().filter(alike).collect(),
            false => ports,
        };
        let shareable: BTreeSet<u16> = used.difference(&reserved).copied().filter(unique).collect();
        let early = protocol == protocol::UDP && matches!(m, 53 | 123) && free <= self.ports.len() / 4;
        if free == 0 || early && !shareable.is_empty() {
            let over = self.over(flow, now);
            let Some((port, claim)) = got else {
                return assert!(over.is_empty() && shareable.is_empty(), "{over:?} {shareable:?}");
            };
            assert_eq!(claim, Claim::Shared);
            if shareable.is_empty() {
                // The one that was over for longest made room.
                let ended = self.inbound(protocol, peer, port).expect("it had the port");
                assert_eq!(over.get(&ended), over.values().min(), "{ended:?} of {over:?}");
                self.sessions.remove(&ended);
                self.expired += 1;
                return;
            }
            let shareable = alike_first(shareable);
            assert!(shareable.contains(&port), "{port} is not one of {shareable:?}");
            return;
        }
        // The one mapping of its inside endpoint is that already, if it has one.
        let claim = if mapped.is_some() { Claim::Shared } else { Claim::Mapped };
        let (got, got_claim) = got.unwrap_or_else(|| panic!("there are {free} ports"));
        assert_eq!(got_claim, claim);
        assert!(is_free(got), "port {got} is not free");
        if is_free(wanted) {
            return assert_eq!(got, wanted, "a free port is preserved");
        }
        let same_range = |p: u16| (p < 1024) == (wanted < 1024);
        let free = alike_first(self.ports.iter().copied().filter(|&p| is_free(p)).collect());
        assert!(free.contains(&got), "{got} for {wanted}");
        assert!(same_range(got) || !free.into_iter().any(same_range), "{got} for {wanted}");
    }

    fn insert(&mut self, flow: Flow, (outside, claim): (u16, Claim), direction: Direction, last: u64) {
        let out = direction == Direction::Outbound;
        let tcp = flow.0 == protocol::TCP;
        let session = Session {
            outside,
            claim,
            last,
            packets: [0, 0],
            seen: [tcp && out, tcp && !out],
            fin: [false; 2],
            established: !tcp,
            reset: [false; 2],
            changed: 0,
        };
        assert!(self.sessions.insert(flow, session).is_none());
        self.created += 1;
    }

    fn track(&mut self, flow: &Flow, direction: Direction, flags: u8) {
        let s = self.sessions.get_mut(flow).unwrap();
        let has = |bit| flags & bit != 0;
        let i = direction as usize;
        if (s.reset != [false; 2] || s.fin == [true, true]) && has(Tcp::SYN) && !has(Tcp::ACK) && !has(Tcp::RST) {
            (s.seen, s.fin, s.established, s.reset) = ([false; 2], [false; 2], false, [false; 2]);
            s.seen[i] = true;
            return;
        }
        match (has(Tcp::RST), s.seen == [true, true] && !has(Tcp::SYN)) {
            (true, _) => (s.reset[i], s.established) = (true, false),
            // Whoever goes on has reset nothing.
            (false, true) => {
                s.reset[i] = false;
                s.established = s.reset == [false; 2];
            }
            (false, false) => {}
        }
        s.seen[i] = true;
        s.fin[i] |= has(Tcp::FIN);
    }
}

#[derive(Debug, Clone)]
enum Op {
    /// An outbound packet: the flow is found or opened.
    Out { flow: Flow, flags: u8 },
    /// An inbound packet to an outside port, as `Out`.
    In { protocol: u8, peer: (Ipv4Addr, u16), port: usize, flags: u8 },
    /// A packet of a session there is, picked by a number.
    Packet { which: usize, direction: Direction, flags: u8 },
    /// As `Out` and `In`, but the table is not asked first: another worker was faster.
    Race { which: usize, direction: Direction },
    /// Static mappings are replaced by these.
    Forward(Vec<Forward>),
    /// So many seconds pass.
    Wait(u64),
    /// One turn of ageing.
    Age(usize),
    /// As many turns of this budget as it takes.
    AgeAll(usize),
    /// The worker begins another burst.
    Quiescent,
    /// The worker sleeps, and begins another burst.
    Offline,
}

fn endpoint((addr, port): (Ipv4Addr, u16)) -> Endpoint {
    Endpoint::new(addr, port)
}

const HOSTS: [Ipv4Addr; 3] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)];
const INSIDE_PORTS: [u16; 6] = [0, 1, 1020, 1024, 1025, 40000];
const PEERS: [(Ipv4Addr, u16); 4] = [
    (Ipv4Addr::new(198, 51, 100, 1), 443),
    (Ipv4Addr::new(198, 51, 100, 1), 53),
    (Ipv4Addr::new(198, 51, 100, 2), 123),
    (Ipv4Addr::new(198, 51, 100, 3), 443),
];

fn plane(protocol: u8) -> usize {
    [protocol::TCP, protocol::UDP, protocol::ICMP].iter().position(|&p| p == protocol).unwrap_or(0)
}

/// Without ports, as UDP-Lite for a NAPT.
const GRE: u8 = 47;

fn is_by_address(protocol: u8) -> bool {
    matches!(protocol, GRE | protocol::UDP_LITE)
}

/// An echo has no port at the far end.
fn has_peer_port(protocol: u8) -> bool {
    matches!(protocol, protocol::TCP | protocol::UDP)
}

fn protocols_with_ports() -> impl Strategy<Value = u8> {
    prop_oneof![Just(protocol::TCP), Just(protocol::UDP), Just(protocol::ICMP)]
}

fn protocols() -> impl Strategy<Value = u8> {
    prop_oneof![8 => protocols_with_ports(), 1 => Just(GRE), 1 => Just(protocol::UDP_LITE)]
}

fn peers(protocol: u8) -> impl Strategy<Value = (Ipv4Addr, u16)> {
    prop::sample::select(&PEERS[..]).prop_map(move |(a, p)| (a, if has_peer_port(protocol) { p } else { 0 }))
}

fn flows() -> impl Strategy<Value = Flow> {
    let hosts = (prop::sample::select(&HOSTS[..]), prop::sample::select(&INSIDE_PORTS[..]));
    let flow = |(p, (a, n)): (u8, (Ipv4Addr, u16))| {
        let n = if is_by_address(p) { 0 } else { n };
        peers(p).prop_map(move |(b, m)| (p, a, n, b, m))
    };
    (protocols(), hosts).prop_flat_map(flow)
}

fn flags() -> impl Strategy<Value = u8> {
    let common = [Tcp::SYN, Tcp::SYN | Tcp::ACK, Tcp::ACK, Tcp::FIN | Tcp::ACK, Tcp::RST, Tcp::RST | Tcp::ACK];
    prop_oneof![8 => prop::sample::select(common.to_vec()), 1 => 0u8..64]
}

fn directions() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Outbound), Just(Direction::Inbound)]
}

/// Forwards of one port or two to some host, as they may be chosen among the ports of a set.
fn forwards(ports: PortSet) -> impl Strategy<Value = Vec<Forward>> {
    let usable: Vec<u16> = ports.ranges().flat_map(|(a, b)| a.max(1)..=b).take(64).chain([1020, 1025, 40000]).collect();
    let one = (protocols_with_ports(), prop::sample::select(usable), 0u16..2, prop::sample::select(&HOSTS[..]));
    let one = (one, prop::sample::select(&INSIDE_PORTS[1..]));
    let one = one.prop_map(|((protocol, first, more, inside), inside_port)| Forward {
        lan: LAN,
        protocol,
        outside: (first, first.saturating_add(more)),
        inside,
        inside_port,
    });
    prop::collection::vec(one, 0..4)
}

fn budgets() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..4, 15usize..18, Just(1000)]
}

fn ops(ports: PortSet) -> impl Strategy<Value = Op> {
    let waits = [
        1, 2, 3, 4, 5, 14, 15, 16, 29, 30, 31, 60, 119, 239, 240, 241, 254, 255, 256, 257, 300, 301, 512, 7440, 7441,
        1_000_000,
    ];
    prop_oneof![
        8 => (flows(), flags()).prop_map(|(flow, flags)| Op::Out { flow, flags }),
        3 => (protocols(), 0usize..8, flags()).prop_flat_map(|(protocol, port, flags)| peers(protocol)
            .prop_map(move |peer| Op::In { protocol, peer, port, flags })),
        8 => (0usize..64, directions(), flags())
            .prop_map(|(which, direction, flags)| Op::Packet { which, direction, flags }),
        1 => (0usize..64, directions()).prop_map(|(which, direction)| Op::Race { which, direction }),
        6 => prop::sample::select(waits.to_vec()).prop_map(Op::Wait),
        1 => forwards(ports).prop_map(Op::Forward),
        3 => budgets().prop_map(Op::Age),
        3 => (1usize..20).prop_map(Op::AgeAll),
        4 => Just(Op::Quiescent),
        1 => Just(Op::Offline),
    ]
}

#[derive(Debug, Clone)]
struct Setup {
    capacity: u32,
    ports: PortSet,
    filtering: Filtering,
    inbound_refresh: bool,
    port_parity: bool,
    per_host: Option<u32>,
    /// Second at which the history begins.
    start: u64,
    seed: [u64; 4],
}

fn setups() -> impl Strategy<Value = Setup> {
    // All ports; eight, below 1024, above, and with 0; 2048 of both kinds; 15 blocks of one; three
    // ports, and one.
    let sets = [(0, 0, 0), (0, 13, 127), (0, 13, 128), (0, 13, 0), (0, 5, 0), (4, 12, 9), (2, 14, 5), (0, 16, 1024)];
    let sets = sets.map(|(a, k, psid)| PortSet::new(a, k, psid).unwrap());
    let filterings = [Filtering::AddressAndPortDependent, Filtering::EndpointIndependent];
    let starts = [0, 1, 254, 255, 256, 1_700_000_000, u64::from(u32::MAX) - 3_000_000];
    (
        prop::sample::select(vec![2u32, 4, 8, 32]),
        prop::sample::select(sets.to_vec()),
        prop::sample::select(filterings.to_vec()),
        any::<[bool; 2]>(),
        prop::option::weighted(0.3, 1u32..12),
        prop::sample::select(starts.to_vec()),
        any::<[u64; 4]>(),
    )
        .prop_map(|(capacity, ports, filtering, [inbound_refresh, port_parity], per_host, start, seed)| Setup {
            capacity,
            ports,
            filtering,
            inbound_refresh,
            port_parity,
            per_host,
            start,
            seed,
        })
}

/// Both, side by side.
struct Pair {
    napt: Napt,
    model: Model,
    now: u64,
    /// What the worker has in its hands since its burst began.
    held: Vec<(SessionId, Key)>,
}

impl Pair {
    fn new(setup: &Setup) -> Self {
        let config = Config {
            ports: setup.ports,
            filtering: setup.filtering,
            inbound_refresh: setup.inbound_refresh,
            port_parity: setup.port_parity,
            per_host: setup.per_host,
            huge_pages: false,
            seed: Some(setup.seed),
            ..Config::new(OUTSIDE)
        };
        let napt = Napt::with_capacity(&config, setup.capacity).unwrap();
        napt.quiescent(0);
        let model = Model {
            ports: (1..=u16::MAX).filter(|&p| setup.ports.contains(p)).collect(),
            is_share: setup.ports != PortSet::ALL,
            capacity: setup.capacity as usize,
            filtering: setup.filtering,
            timeouts: config.timeouts,
            inbound_refresh: setup.inbound_refresh,
            port_parity: setup.port_parity,
            per_host: setup.per_host.map_or(usize::MAX, |most| most as usize),
            forwards: Vec::new(),
            sessions: BTreeMap::new(),
            refused: [0; 3],
            limited: [0; 3],
            created: 0,
            expired: 0,
        };
        Self { napt, model, now: setup.start, held: vec![] }
    }

    fn time(&self) -> Time {
        // Late in its second: fractions must not matter.
        Time(self.now * 1_000_000_000 + 999_999_999)
    }

    fn find(&self, key: &Key) -> Option<SessionId> {
        let hash = self.napt.hash(key);
        let found = self.napt.find(key, hash);
        // The fast way finds the same.
        let session = found.map(|id| std::ptr::from_ref(self.napt.session(id)));
        let likely =
            self.napt.likely(self.napt.candidate(hash, key.kind()), key, key.direction()).map(std::ptr::from_ref);
        assert!(likely.is_none() || likely == session);
        if key.kind() == Kind::Inbound && found.is_some() {
            let refused = self.napt.refuses_strangers(key.protocol(), split_ports(key.ports()).1);
            assert_ne!(refused, Some(Reason::NaptNoSession));
        }
        found
    }

    fn key_out((protocol, a, n, b, m): Flow) -> Key {
        Key::outbound(LAN, protocol, endpoint((a, n)), endpoint((b, m)))
    }

    fn key_in(protocol: u8, peer: (Ipv4Addr, u16), port: u16) -> Key {
        Key::inbound(protocol, endpoint(peer), endpoint((OUTSIDE, port)))
    }

    fn quiescent(&mut self) {
        self.held.clear();
        self.napt.quiescent(0);
    }

    /// Asks again if the table seems full because this worker may still hold records.
    fn create(&mut self, create: impl Fn(&Napt) -> Result<SessionId, Reason>) -> Result<SessionId, Reason> {
        let mut result = create(&self.napt);
        for _ in 0..2 {
            if result == Err(Reason::NaptTableFull) && self.model.sessions.len() < self.model.capacity {
                self.quiescent();
                result = create(&self.napt);
            }
        }
        result
    }

    fn out(&mut self, flow: Flow, flags: u8) {
        let (protocol, a, n, b, m) = flow;
        let time = self.time();
        let result =
            self.create(|napt| napt.create_outbound(LAN, protocol, endpoint((a, n)), endpoint((b, m)), flags, time));
        if protocol == protocol::TCP && flags & Tcp::RST != 0 {
            return assert_eq!(result, Err(Reason::NaptNoSession));
        }
        if is_by_address(protocol) && self.model.is_share {
            return assert_eq!(result, Err(Reason::NaptProtocol));
        }
        if self.model.sessions.contains_key(&flow) {
            return assert_eq!(result.ok(), self.find(&Self::key_out(flow)));
        }
        if self.model.sessions_of(a) >= self.model.per_host {
            self.model.limited[plane(protocol)] += u64::from(!is_by_address(protocol));
            return assert_eq!(result, Err(Reason::NaptHostLimit));
        }
        if self.model.sessions.len() == self.model.capacity {
            return assert_eq!(result, Err(Reason::NaptTableFull));
        }
        let got = result.ok().map(|id| self.napt.session(id)).map(|s| (s.outside().port.number(), s.claim()));
        if is_by_address(protocol) {
            if self.model.inbound(protocol, (b, m), 0).is_some() {
                return assert_eq!(result, Err(Reason::NaptPeerInUse));
            }
            assert_eq!(got, Some((0, Claim::ByAddress)));
            return self.model.insert(flow, (0, Claim::ByAddress), Direction::Outbound, self.now);
        }
        self.model.check_port(self.now, flow, got);
        let (Ok(id), Some(got)) = (result, got) else {
            self.model.refused[plane(protocol)] += 1;
            return assert_eq!(result, Err(Reason::NaptPortsFull));
        };
        self.model.insert(flow, got, Direction::Outbound, self.now);
        self.held.push((id, Self::key_out(flow)));
    }

    fn inbound(&mut self, protocol: u8, peer: (Ipv4Addr, u16), port: u16, flags: u8) {
        let time = self.time();
        let outside = endpoint((OUTSIDE, port));
        let result = self.create(|napt| napt.create_inbound(protocol, endpoint(peer), outside, flags, time));
        if is_by_address(protocol) && self.model.is_share {
            return assert_eq!(result, Err(Reason::NaptProtocol));
        }
        if !self.model.ports.contains(&port) && port != 0 {
            return assert_eq!(result, Err(Reason::PortOutsideSet));
        }
        if let Some(flow) = self.model.inbound(protocol, peer, port) {
            return assert_eq!(result.ok(), self.find(&Self::key_out(flow)));
        }
        if is_by_address(protocol) {
            return assert_eq!(result, Err(Reason::NaptNoSession));
        }
        let open = self.model.filtering == Filtering::EndpointIndependent;
        let mapping = self.model.mapping(protocol, port).filter(|_| open).map(|inside| (inside, Claim::Mapped));
        let forward = self.model.forward(protocol, port).map(|inside| (inside, Claim::Forwarded));
        let Some(((_, a, n), claim)) = forward.or(mapping) else {
            if self.model.used(protocol).contains(&port) {
                return assert_eq!(result, Err(Reason::NaptFiltered));
            }
            let none = [Reason::NaptNoSession, Reason::PortOutsideSet];
            return assert!(none.map(Err).contains(&result), "{result:?}");
        };
        let flow = (protocol, a, n, peer.0, peer.1);
        let opening = flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) == Tcp::SYN;
        // The host may speak to this peer by another port.
        if protocol == protocol::TCP && !opening || self.model.sessions.contains_key(&flow) {
            return assert_eq!(result, Err(Reason::NaptFiltered));
        }
        // Strangers get three quarters of the table, and of a host's share.
        if self.model.sessions.len() >= self.model.capacity - self.model.capacity / 4 {
            return assert_eq!(result, Err(Reason::NaptTableFull));
        }
        if self.model.sessions_of(a) >= self.model.per_host - self.model.per_host / 4 {
            self.model.limited[plane(protocol)] += 1;
            return assert_eq!(result, Err(Reason::NaptHostLimit));
        }
        let id = result.expect("anybody may send");
        self.held.push((id, Self::key_in(protocol, peer, port)));
        assert_eq!(self.napt.session(id).claim(), claim);
        let last = u64::from(self.napt.session(id).last());
        if self.model.inbound_refresh || claim == Claim::Forwarded {
            assert_eq!(last, self.now);
        } else {
            let of_mapping = |(f, s): &(&Flow, &Session)| (f.0, f.1, f.2) == (protocol, a, n) && s.claim == claim;
            let siblings = self.model.sessions.iter().filter(of_mapping);
            assert!(siblings.map(|(_, s)| s.last).any(|of_sibling| of_sibling == last));
        }
        self.model.insert(flow, (port, claim), Direction::Inbound, last);
        // It may be overdue from the start; then it leaves with the next second.
        self.model.sessions.get_mut(&flow).unwrap().changed = self.now;
    }

    fn forward(&mut self, list: &[Forward]) {
        let before = self.napt.forwards();
        if self.napt.set_forwards(list).is_ok() {
            self.model.forwards = list.to_vec();
        } else {
            assert_eq!(self.napt.forwards(), before, "nothing has changed");
            // All of them are of one line, and no port is there twice.
            let ports = |f: &Forward| (f.outside.0..=f.outside.1).map(|p| (f.protocol, p)).collect::<Vec<_>>();
            let all: Vec<_> = list.iter().flat_map(ports).collect();
            let insides = |f: &Forward| {
                let more = f.outside.1 - f.outside.0;
                (0..=more).map(|i| (f.protocol, f.inside, f.inside_port.saturating_add(i))).collect::<Vec<_>>()
            };
            let insides: Vec<_> = list.iter().flat_map(insides).collect();
            let distinct = all.iter().collect::<BTreeSet<_>>().len() == all.len()
                && insides.iter().collect::<BTreeSet<_>>().len() == insides.len();
            assert!(!distinct || all.iter().any(|(_, port)| !self.model.ports.contains(port)), "{list:?}");
        }
    }

    fn pick(&self, which: usize) -> Option<Flow> {
        self.model.sessions.keys().nth(which % self.model.sessions.len().max(1)).copied()
    }

    fn packet(&mut self, flow: Flow, direction: Direction, flags: u8) {
        let id = self.find(&Self::key_out(flow)).expect("known sessions are found");
        let session = self.napt.session(id);
        let refresh = self.napt.refreshes(direction);
        assert_eq!(refresh, direction == Direction::Outbound || self.model.inbound_refresh);
        session.note(direction, self.time().seconds(), refresh);
        if flow.0 == protocol::TCP {
            self.napt.track(session, direction, flags);
            let before = self.model.timeout(&flow);
            self.model.track(&flow, direction, flags);
            if self.model.timeout(&flow) != before {
                self.model.sessions.get_mut(&flow).unwrap().changed = self.now;
            }
        }
        let before = self.model.timeout(&flow);
        self.held.push((id, Self::key_out(flow)));
        let s = self.model.sessions.get_mut(&flow).unwrap();
        s.packets[direction as usize] += 1;
        if refresh {
            s.last = self.now;
        }
        if self.model.timeout(&flow) < before {
            self.model.sessions.get_mut(&flow).unwrap().changed = self.now;
        }
    }

    fn age(&mut self, budget: usize) {
        let time = self.time();
        self.napt.age(time, budget);
        // Only who is overdue may be gone, and no more than the budget.
        let gone = |flow: &Flow| self.find(&Self::key_out(*flow)).is_none();
        let gone: Vec<Flow> = self.model.sessions.keys().filter(|flow| gone(flow)).copied().collect();
        assert!(gone.len() <= budget);
        for flow in gone {
            let s = &self.model.sessions[&flow];
            assert!(self.model.is_overdue(&flow, self.now), "{flow:?} is gone at {}: {s:?}", self.now);
            self.model.sessions.remove(&flow);
            self.model.expired += 1;
        }
    }

    fn age_all(&mut self, budget: usize) {
        // A session may be looked at twice after a jump: once where it hung, once at the last slot;
        // a question more often.
        for _ in 0..=8 * self.model.capacity.div_ceil(budget) {
            self.age(budget);
        }
        for flow in self.model.sessions.keys() {
            let s = &self.model.sessions[flow];
            // Whether a question has its answer is seen when it is looked at, and not at once.
            let question = flow.0 == protocol::UDP && matches!(flow.4, 53 | 123);
            let slack = if question { u64::from(self.model.timeouts.udp_answered) + 1 } else { 0 };
            let overdue = self.model.is_overdue(flow, self.now) && s.changed + slack < self.now;
            assert!(!overdue, "{flow:?} is still there at {}: {s:?}", self.now);
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Out { flow, flags } => match self.find(&Self::key_out(flow)) {
                Some(_) => self.packet(flow, Direction::Outbound, flags),
                None => self.out(flow, flags),
            },
            Op::In { protocol, peer, port, flags } => {
                // Ports that are in use are more interesting than others.
                let mut used = self.model.used(protocol);
                used.extend(self.model.forwards.iter().filter(|f| f.protocol == protocol).map(|f| f.outside.1));
                let port = used.iter().chain(&[0, 1020, 40000]).cycle().nth(port).copied().unwrap();
                match (self.find(&Self::key_in(protocol, peer, port)), self.model.inbound(protocol, peer, port)) {
                    (Some(_), Some(flow)) => self.packet(flow, Direction::Inbound, flags),
                    (None, None) => self.inbound(protocol, peer, port, flags),
                    (found, flow) => panic!("{found:?} is not {flow:?}"),
                }
            }
            Op::Packet { which, direction, flags } => {
                if let Some(flow) = self.pick(which) {
                    self.packet(flow, direction, flags);
                }
            }
            Op::Race { which, direction } => {
                let Some(flow) = self.pick(which) else { return };
                match direction {
                    Direction::Outbound => self.out(flow, Tcp::SYN),
                    Direction::Inbound => {
                        let port = self.model.sessions[&flow].outside;
                        self.inbound(flow.0, (flow.3, flow.4), port, Tcp::SYN);
                    }
                }
            }
            Op::Forward(ref list) => self.forward(list),
            Op::Wait(seconds) => self.now = (self.now + seconds).min(LAST),
            Op::Age(budget) => self.age(budget),
            Op::AgeAll(budget) => self.age_all(budget),
            Op::Quiescent => self.quiescent(),
            Op::Offline => {
                self.napt.offline(0);
                self.quiescent();
            }
        }
    }

    fn compare_ports(&self, protocol: u8, used: &BTreeSet<u16>) {
        let stats = self.napt.port_stats()[plane(protocol)];
        let shared = self.model.sessions.iter().filter(|(f, s)| f.0 == protocol && s.claim == Claim::Shared).count();
        let reserved = self.model.reserved(protocol);
        let (forwarded, used) = (reserved.len(), used.difference(&reserved).count());
        assert_eq!((stats.protocol, stats.size as usize), (protocol, self.model.ports.len()));
        assert_eq!((stats.forwarded as usize, stats.used as usize), (forwarded, used));
        assert_eq!(stats.shared as usize, shared);
        assert_eq!(stats.refused, self.model.refused[plane(protocol)]);
        assert_eq!(stats.limited, self.model.limited[plane(protocol)]);
    }

    /// Everything that can be asked is answered alike.
    fn compare(&self) {
        let stats = self.napt.stats();
        assert_eq!(stats.live as usize, self.model.sessions.len());
        assert_eq!(stats.capacity as usize, self.model.capacity);
        assert_eq!((stats.created, stats.expired), (self.model.created, self.model.expired));
        for protocol in [GRE, protocol::UDP_LITE] {
            for (b, _) in PEERS {
                let known = self.model.inbound(protocol, (b, 0), 0).is_some();
                assert_eq!(self.find(&Self::key_in(protocol, (b, 0), 0)).is_some(), known);
            }
            assert!(!self.napt.is_mapped(protocol, endpoint((OUTSIDE, 0))));
        }
        for protocol in [protocol::TCP, protocol::UDP, protocol::ICMP] {
            let used = self.model.used(protocol);
            for (a, n, (b, m)) in HOSTS
                .iter()
                .flat_map(|a| INSIDE_PORTS.iter().flat_map(move |n| PEERS.iter().map(move |peer| (*a, *n, *peer))))
            {
                let flow = (protocol, a, n, b, if has_peer_port(protocol) { m } else { 0 });
                let found = self.find(&Self::key_out(flow));
                assert_eq!(found.is_some(), self.model.sessions.contains_key(&flow), "{flow:?}");
            }
            for port in used.iter().copied().chain([0, 1, 1020, 1024, 40000]) {
                let is_mapped = used.contains(&port) || self.model.forward(protocol, port).is_some();
                assert_eq!(self.napt.is_mapped(protocol, endpoint((OUTSIDE, port))), is_mapped);
                for (b, m) in PEERS {
                    let peer = (b, if has_peer_port(protocol) { m } else { 0 });
                    let known = self.model.inbound(protocol, peer, port).is_some();
                    assert_eq!(self.find(&Self::key_in(protocol, peer, port)).is_some(), known);
                }
            }
            // Endpoint-independent mappings: one port each, and no port for two of them.
            let mapped = || self.model.sessions.iter().filter(|(f, s)| f.0 == protocol && s.claim == Claim::Mapped);
            let insides: BTreeSet<Inside> = mapped().map(|(f, _)| (f.0, f.1, f.2)).collect();
            let mapped: BTreeSet<(Inside, u16)> = mapped().map(|(f, s)| ((f.0, f.1, f.2), s.outside)).collect();
            let ports: BTreeSet<u16> = mapped.iter().map(|(_, port)| *port).collect();
            assert_eq!((insides.len(), ports.len()), (mapped.len(), mapped.len()));
            assert!(used.is_subset(&self.model.ports), "RFC 7597 8.1");
            self.compare_ports(protocol, &used);
        }
        let mut seen = 0;
        self.napt.slice(0, u32::MAX, |_| seen += 1);
        assert_eq!(seen, self.model.sessions.len(), "every session hangs in the wheel once");
        for (flow, s) in &self.model.sessions {
            let &(protocol, a, n, b, m) = flow;
            let [inside, peer, outside] = [(a, n), (b, m), (OUTSIDE, s.outside)].map(endpoint);
            let id = self.find(&Self::key_out(*flow)).unwrap();
            assert_eq!(self.find(&Self::key_in(protocol, (b, m), s.outside)), Some(id), "both ways, one session");
            let session = self.napt.session(id);
            assert_eq!((session.inside(), session.peer(), session.outside()), (inside, peer, outside));
            assert_eq!((session.packets(), u64::from(session.last())), (s.packets, s.last));
            assert_eq!(session.is_established(), s.established, "{flow:?}");
            let (out, back) = (session.rewrite(Direction::Outbound), session.rewrite(Direction::Inbound));
            assert_eq!(out.addrs, pair_addrs(outside.addr, peer.addr));
            assert_eq!(out.ports, pair_ports(outside.port, peer.port));
            assert_eq!(back.addrs, pair_addrs(peer.addr, inside.addr));
            assert_eq!(back.ports, pair_ports(peer.port, inside.port));
        }
        for (id, key) in &self.held {
            // It may be over and nobody's: protocol 0. What else is in the record stays until the burst ends.
            let session = self.napt.session(*id);
            let protocol = if session.protocol() == 0 { key.protocol() } else { session.protocol() };
            let is = match key.direction() {
                Direction::Outbound => Key::outbound(session.lan(), protocol, session.inside(), session.peer()),
                Direction::Inbound => Key::inbound(protocol, session.peer(), session.outside()),
            };
            assert_eq!(&is, key, "record {id} was used again within a burst");
            assert_eq!(session.is(key, key.direction()), session.protocol() != 0);
        }
    }
}

fn histories() -> impl Strategy<Value = (Setup, Vec<Op>)> {
    setups().prop_flat_map(|setup| {
        let ops = prop::collection::vec(ops(setup.ports), 1..150);
        (Just(setup), ops)
    })
}

proptest! {
    #[test]
    fn table_and_model_agree((setup, history) in histories()) {
        let mut pair = Pair::new(&setup);
        for op in &history {
            pair.step(op);
            pair.compare();
        }
        // In the end all is given back.
        pair.now = (pair.now + 100_000).min(LAST);
        pair.quiescent();
        if pair.now < LAST {
            pair.age_all(1000);
            pair.forward(&[]);
            pair.compare();
            prop_assert_eq!(pair.napt.stats().live, 0);
            pair.quiescent();
            let room = pair.model.capacity.min(pair.model.ports.len()).min(pair.model.per_host);
            for i in 0..room as u16 {
                pair.out((protocol::UDP, HOSTS[0], i + 2000, PEERS[0].0, 443), 0);
            }
            prop_assert_eq!(pair.napt.stats().live as usize, room, "no record and no port is lost");
        }
    }
}
