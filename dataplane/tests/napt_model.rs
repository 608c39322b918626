//! The session table against a model of it made of maps: the same random histories, the same
//! answers after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hikyaku_dataplane::napt::{
    Config, Direction, Endpoint, Filtering, Key, Kind, Napt, PortSet, SessionId, Timeouts, pair_addrs, pair_ports,
};
use hikyaku_dataplane::packet::{Tcp, protocol};
use hikyaku_dataplane::time::Time;
use hikyaku_dataplane::verdict::Reason;
use proptest::prelude::*;

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The last second: after it (136 years) timers would not fit their words.
const LAST: u64 = u32::MAX as u64 - 10_000;

/// Protocol, inside, peer.
type Flow = (u8, Ipv4Addr, u16, Ipv4Addr, u16);

/// Protocol, inside address and port.
type Inside = (u8, Ipv4Addr, u16);

#[derive(Debug, Clone)]
struct Session {
    outside: u16,
    last: u64,
    packets: [u32; 2],
    /// Outbound, inbound.
    seen: [bool; 2],
    fin: [bool; 2],
    established: bool,
    reset: bool,
    /// When a packet last changed the timeout: it may take until the next second to be obeyed.
    changed: u64,
}

#[derive(Debug)]
struct Model {
    ports: BTreeSet<u16>,
    capacity: usize,
    filtering: Filtering,
    timeouts: Timeouts,
    inbound_refresh: bool,
    sessions: BTreeMap<Flow, Session>,
    created: u64,
    expired: u64,
}

impl Model {
    fn timeout(&self, flow: &Flow) -> u64 {
        let (s, t) = (&self.sessions[flow], &self.timeouts);
        u64::from(match (flow.0, flow.4) {
            (protocol::UDP, 53 | 123) => t.udp_query,
            (protocol::UDP, _) => t.udp,
            (protocol::ICMP, _) => t.icmp,
            _ if s.reset => t.tcp_reset,
            _ if s.fin == [true, true] || !s.established => t.tcp_transitory,
            _ => t.tcp_established,
        })
    }

    fn is_overdue(&self, flow: &Flow, now: u64) -> bool {
        now > self.sessions[flow].last + self.timeout(flow)
    }

    /// The outside port of a mapping.
    fn mapped(&self, inside: Inside) -> Option<u16> {
        let same = |(f, _): &(&Flow, &Session)| (f.0, f.1, f.2) == inside;
        self.sessions.iter().find(same).map(|(_, s)| s.outside)
    }

    /// The mapping of an outside port.
    fn mapping(&self, protocol: u8, port: u16) -> Option<Inside> {
        let same = |(f, s): &(&Flow, &Session)| f.0 == protocol && s.outside == port;
        self.sessions.iter().find(same).map(|(f, _)| (f.0, f.1, f.2))
    }

    fn used(&self, protocol: u8) -> BTreeSet<u16> {
        self.sessions.iter().filter(|(f, _)| f.0 == protocol).map(|(_, s)| s.outside).collect()
    }

    /// Whether `got` is a port that a new mapping may get.
    fn check_port(&self, (protocol, _, wanted): Inside, got: Option<u16>) {
        let free: BTreeSet<u16> = self.ports.difference(&self.used(protocol)).copied().collect();
        let Some(got) = got else { return assert!(free.is_empty(), "there are ports: {free:?}") };
        assert!(free.contains(&got), "port {got} is not free");
        if free.contains(&wanted) {
            return assert_eq!(got, wanted, "a free port is preserved");
        }
        let same_range = |p: u16| (p < 1024) == (wanted < 1024);
        assert!(same_range(got) || !free.iter().any(|&p| same_range(p)), "{got} for {wanted} of {free:?}");
    }

    fn insert(&mut self, flow: Flow, outside: u16, direction: Direction, last: u64) {
        let out = direction == Direction::Outbound;
        let tcp = flow.0 == protocol::TCP;
        let session = Session {
            outside,
            last,
            packets: [0, 0],
            seen: [tcp && out, tcp && !out],
            fin: [false; 2],
            established: !tcp,
            reset: false,
            changed: 0,
        };
        assert!(self.sessions.insert(flow, session).is_none());
        self.created += 1;
    }

    fn track(&mut self, flow: &Flow, direction: Direction, flags: u8) {
        let s = self.sessions.get_mut(flow).unwrap();
        let has = |bit| flags & bit != 0;
        let i = direction as usize;
        if (s.reset || s.fin == [true, true]) && has(Tcp::SYN) && !has(Tcp::ACK) && !has(Tcp::RST) {
            (s.seen, s.fin, s.established, s.reset) = ([false; 2], [false; 2], false, false);
            s.seen[i] = true;
            return;
        }
        s.established |= s.seen == [true, true] && !has(Tcp::SYN);
        s.seen[i] = true;
        s.fin[i] |= has(Tcp::FIN);
        s.reset |= has(Tcp::RST);
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
    /// Seconds pass.
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

fn is_icmp(protocol: u8) -> bool {
    protocol == protocol::ICMP
}

fn protocols() -> impl Strategy<Value = u8> {
    prop_oneof![Just(protocol::TCP), Just(protocol::UDP), Just(protocol::ICMP)]
}

fn peers(protocol: u8) -> impl Strategy<Value = (Ipv4Addr, u16)> {
    // An echo has no port at the far end.
    prop::sample::select(&PEERS[..]).prop_map(move |(a, p)| (a, if is_icmp(protocol) { 0 } else { p }))
}

fn flows() -> impl Strategy<Value = Flow> {
    let hosts = (prop::sample::select(&HOSTS[..]), prop::sample::select(&INSIDE_PORTS[..]));
    (protocols(), hosts).prop_flat_map(|(p, (a, n))| peers(p).prop_map(move |(b, m)| (p, a, n, b, m)))
}

fn flags() -> impl Strategy<Value = u8> {
    let common = [Tcp::SYN, Tcp::SYN | Tcp::ACK, Tcp::ACK, Tcp::FIN | Tcp::ACK, Tcp::RST, Tcp::RST | Tcp::ACK];
    prop_oneof![8 => prop::sample::select(common.to_vec()), 1 => 0u8..64]
}

fn directions() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Outbound), Just(Direction::Inbound)]
}

fn budgets() -> impl Strategy<Value = usize> {
    prop_oneof![0usize..4, 15usize..18, Just(1000)]
}

fn ops() -> impl Strategy<Value = Op> {
    let waits = [1, 2, 29, 30, 31, 60, 119, 239, 240, 241, 254, 255, 256, 257, 300, 301, 512, 7440, 7441, 1_000_000];
    prop_oneof![
        8 => (flows(), flags()).prop_map(|(flow, flags)| Op::Out { flow, flags }),
        3 => (protocols(), 0usize..8, flags()).prop_flat_map(|(protocol, port, flags)| peers(protocol)
            .prop_map(move |peer| Op::In { protocol, peer, port, flags })),
        8 => (0usize..64, directions(), flags())
            .prop_map(|(which, direction, flags)| Op::Packet { which, direction, flags }),
        1 => (0usize..64, directions()).prop_map(|(which, direction)| Op::Race { which, direction }),
        6 => prop::sample::select(waits.to_vec()).prop_map(Op::Wait),
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
    /// Second at which the history begins.
    start: u64,
    seed: [u64; 4],
}

fn setups() -> impl Strategy<Value = Setup> {
    // All ports; eight, below 1024, above, and with 0; 2048 of both kinds; 15 blocks of one.
    let sets = [(0, 0, 0), (0, 13, 127), (0, 13, 128), (0, 13, 0), (0, 5, 0), (4, 12, 9)];
    let sets = sets.map(|(a, k, psid)| PortSet::new(a, k, psid).unwrap());
    let filterings = [Filtering::AddressAndPortDependent, Filtering::EndpointIndependent];
    let starts = [0, 1, 254, 255, 256, 1_700_000_000, u64::from(u32::MAX) - 3_000_000];
    (
        prop::sample::select(vec![2u32, 4, 8, 32]),
        prop::sample::select(sets.to_vec()),
        prop::sample::select(filterings.to_vec()),
        any::<bool>(),
        prop::sample::select(starts.to_vec()),
        any::<[u64; 4]>(),
    )
        .prop_map(|(capacity, ports, filtering, inbound_refresh, start, seed)| Setup {
            capacity,
            ports,
            filtering,
            inbound_refresh,
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
            huge_pages: false,
            seed: Some(setup.seed),
            ..Config::new(OUTSIDE)
        };
        let napt = Napt::with_capacity(&config, setup.capacity).unwrap();
        napt.quiescent(0);
        let model = Model {
            ports: (1..=u16::MAX).filter(|&p| setup.ports.contains(p)).collect(),
            capacity: setup.capacity as usize,
            filtering: setup.filtering,
            timeouts: config.timeouts,
            inbound_refresh: setup.inbound_refresh,
            sessions: BTreeMap::new(),
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
        let fast = self.napt.confirm(self.napt.candidate(hash), key, hash).map(std::ptr::from_ref);
        assert_eq!(fast, found.map(|id| std::ptr::from_ref(self.napt.session(id))));
        found
    }

    fn key_out((protocol, a, n, b, m): Flow) -> Key {
        Key::flow(Kind::Outbound, protocol, endpoint((a, n)), endpoint((b, m)))
    }

    fn key_in(protocol: u8, peer: (Ipv4Addr, u16), port: u16) -> Key {
        Key::flow(Kind::Inbound, protocol, endpoint(peer), endpoint((OUTSIDE, port)))
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
        let inside = (protocol, a, n);
        let time = self.time();
        let result =
            self.create(|napt| napt.create_outbound(protocol, endpoint((a, n)), endpoint((b, m)), flags, time));
        if protocol == protocol::TCP && flags & Tcp::RST != 0 {
            return assert_eq!(result, Err(Reason::NaptNoSession));
        }
        if self.model.sessions.contains_key(&flow) {
            return assert_eq!(result.ok(), self.find(&Self::key_out(flow)));
        }
        if self.model.sessions.len() == self.model.capacity {
            return assert_eq!(result, Err(Reason::NaptTableFull));
        }
        match self.model.mapped(inside) {
            Some(port) => self.model.insert(flow, port, Direction::Outbound, self.now),
            None => {
                let port = result.ok().map(|id| self.napt.session(id).outside().port.number());
                self.model.check_port(inside, port);
                match port {
                    Some(port) => self.model.insert(flow, port, Direction::Outbound, self.now),
                    None => return assert_eq!(result, Err(Reason::NaptPortsFull)),
                }
            }
        }
        let id = result.expect("there is room");
        self.held.push((id, Self::key_out(flow)));
    }

    fn inbound(&mut self, protocol: u8, peer: (Ipv4Addr, u16), port: u16, flags: u8) {
        let time = self.time();
        let outside = endpoint((OUTSIDE, port));
        let result = self.create(|napt| napt.create_inbound(protocol, endpoint(peer), outside, flags, time));
        let Some((_, a, n)) = self.model.mapping(protocol, port) else {
            return assert_eq!(result, Err(Reason::NaptNoSession));
        };
        let flow = (protocol, a, n, peer.0, peer.1);
        if self.model.sessions.contains_key(&flow) {
            return assert_eq!(result.ok(), self.find(&Self::key_out(flow)));
        }
        let opening = flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) == Tcp::SYN;
        if self.model.filtering == Filtering::AddressAndPortDependent || protocol == protocol::TCP && !opening {
            return assert_eq!(result, Err(Reason::NaptFiltered));
        }
        // Strangers get three quarters of the table.
        if self.model.sessions.len() >= self.model.capacity - self.model.capacity / 4 {
            return assert_eq!(result, Err(Reason::NaptTableFull));
        }
        let id = result.expect("anybody may send");
        self.held.push((id, Self::key_in(protocol, peer, port)));
        let last = u64::from(self.napt.session(id).last());
        if self.model.inbound_refresh {
            assert_eq!(last, self.now);
        } else {
            let siblings = self.model.sessions.iter().filter(|(f, _)| (f.0, f.1, f.2) == (protocol, a, n));
            assert!(siblings.map(|(_, s)| s.last).any(|of_sibling| of_sibling == last));
        }
        self.model.insert(flow, port, Direction::Inbound, last);
        // It may be overdue from the start; then it leaves with the next second.
        self.model.sessions.get_mut(&flow).unwrap().changed = self.now;
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
        self.held.push((id, Self::key_out(flow)));
        let s = self.model.sessions.get_mut(&flow).unwrap();
        s.packets[direction as usize] += 1;
        if refresh {
            s.last = self.now;
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
        // A session may be looked at twice after a jump: once where it hung, once at the last slot.
        for _ in 0..=2 * self.model.capacity.div_ceil(budget) {
            self.age(budget);
        }
        for flow in self.model.sessions.keys() {
            let s = &self.model.sessions[flow];
            let overdue = self.model.is_overdue(flow, self.now) && s.changed < self.now;
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
                let used = self.model.used(protocol);
                let port = used.iter().chain(&[0, 1020, 40000]).cycle().nth(port).copied().unwrap();
                let mapping = self.model.mapping(protocol, port);
                let found = self.find(&Self::key_in(protocol, peer, port));
                match (found, mapping) {
                    (Some(_), Some((_, a, n))) => {
                        self.packet((protocol, a, n, peer.0, peer.1), Direction::Inbound, flags)
                    }
                    (None, _) => self.inbound(protocol, peer, port, flags),
                    (Some(_), None) => panic!("a session without mapping"),
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

    /// Everything that can be asked is answered alike.
    fn compare(&self) {
        let stats = self.napt.stats();
        assert_eq!(stats.live as usize, self.model.sessions.len());
        assert_eq!(stats.capacity as usize, self.model.capacity);
        assert_eq!((stats.created, stats.expired), (self.model.created, self.model.expired));
        for protocol in [protocol::TCP, protocol::UDP, protocol::ICMP] {
            let used = self.model.used(protocol);
            for (a, n, (b, m)) in HOSTS
                .iter()
                .flat_map(|a| INSIDE_PORTS.iter().flat_map(move |n| PEERS.iter().map(move |peer| (*a, *n, *peer))))
            {
                let flow = (protocol, a, n, b, if is_icmp(protocol) { 0 } else { m });
                let found = self.find(&Self::key_out(flow));
                assert_eq!(found.is_some(), self.model.sessions.contains_key(&flow), "{flow:?}");
            }
            for port in used.iter().copied().chain([0, 1, 1020, 1024, 40000]) {
                let mapping = self.model.mapping(protocol, port);
                assert_eq!(self.napt.is_mapped(protocol, endpoint((OUTSIDE, port))), mapping.is_some());
                for (b, m) in PEERS {
                    let peer = (b, if is_icmp(protocol) { 0 } else { m });
                    let known =
                        mapping.is_some_and(|(p, a, n)| self.model.sessions.contains_key(&(p, a, n, peer.0, peer.1)));
                    assert_eq!(self.find(&Self::key_in(protocol, peer, port)).is_some(), known);
                }
            }
            // Endpoint-independent mapping, and no port for two of them.
            let insides: BTreeSet<Inside> =
                self.model.sessions.keys().filter(|f| f.0 == protocol).map(|f| (f.0, f.1, f.2)).collect();
            assert_eq!(insides.len(), used.len());
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
            assert!(self.napt.session(*id).is(key), "record {id} was used again within a burst");
        }
    }
}

proptest! {
    #[test]
    fn table_and_model_agree(setup in setups(), history in prop::collection::vec(ops(), 1..150)) {
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
            pair.compare();
            prop_assert_eq!(pair.napt.stats().live, 0);
            pair.quiescent();
            let ports = pair.model.ports.len();
            let room = pair.model.capacity.min(ports);
            for i in 0..room as u16 {
                pair.out((protocol::UDP, HOSTS[0], i + 2000, PEERS[0].0, 443), 0);
            }
            prop_assert_eq!(pair.napt.stats().live as usize, room, "no record and no port is lost");
        }
    }
}
