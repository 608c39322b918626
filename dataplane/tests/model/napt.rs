//! A NAPT as RFC 4787, 5382, 5508, 7857 and 6888 have it, and with few ports as docs/architecture.md: all
//! sessions in one map, every question answered by looking at all of them.

use std::collections::{BTreeMap, BTreeSet};

use hikyaku_dataplane::napt::{Claim, Direction};
use hikyaku_dataplane::verdict::Reason;

use super::bytes::Addr;
use super::line::Line;

pub type End = (Addr, u16);

/// What a session is of: protocol, inside endpoint, peer.
pub type Flow = (u8, End, End);

/// The most sessions that the table holds.
pub const CAPACITY: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub outside: u16,
    pub claim: Claim,
    /// Second of the last packet.
    pub last: u64,
    /// Packets of the session, outbound and inbound.
    pub packets: [u32; 2],
    seen: [bool; 2],
    fin: [bool; 2],
    reset: [bool; 2],
    pub established: bool,
}

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const FIN: u8 = 1;
pub const RST: u8 = 4;

impl Session {
    fn is_closed(&self) -> bool {
        self.reset != [false, false] || self.fin == [true, true]
    }

    /// RFC 5382 REQ-2, RFC 7857 2, RFC 6191. Whoever goes on has reset nothing.
    pub fn follow(&mut self, direction: Direction, flags: u8) {
        let way = direction as usize;
        if self.is_closed() && flags & (SYN | ACK | RST) == SYN {
            (self.seen, self.fin, self.reset) = Default::default();
            self.established = false;
            self.seen[way] = true;
            return;
        }
        if flags & RST != 0 {
            (self.reset[way], self.established) = (true, false);
        } else if flags & SYN == 0 && self.seen == [true, true] {
            self.reset[way] = false;
            self.established = self.reset == [false, false];
        }
        self.seen[way] = true;
        self.fin[way] |= flags & FIN != 0;
    }

    fn is_over(&self, flow: &Flow, now: u64) -> bool {
        flow.0 == 6 && self.is_closed() && now >= self.last + 2
    }

    /// RFC 5382 REQ-5, RFC 7857 2.2, RFC 4787 REQ-5, RFC 5508 REQ-2; seconds.
    pub fn timeout(&self, &(protocol, _, peer): &Flow) -> u64 {
        let [out, back] = self.packets;
        match protocol {
            6 if self.established && !self.is_closed() => 7440,
            6 => 240,
            // Of a small table.
            17 if is_question(17, peer.1) && (1..=2).contains(&out) && back == out => 3,
            17 if is_question(17, peer.1) && (back == 0 || out <= 2 && back <= 2) => 15,
            17 => 300,
            1 => 60,
            _ => 300,
        }
    }
}

fn is_question(protocol: u8, port: u16) -> bool {
    protocol == 17 && (port == 53 || port == 123)
}

/// Ports, or identifiers; all others are told apart by address.
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 1 | 6 | 17)
}

#[derive(Debug, Default)]
pub struct Napt {
    /// The line's ports, but 0.
    pub ports: Vec<u16>,
    pub sessions: BTreeMap<Flow, Session>,
    /// What the router's table has for each flow: the outside port it chose, and by what right.
    pub chosen: BTreeMap<Flow, (u16, Claim)>,
}

/// The router chose what it may not.
pub type Wrong = String;

impl Napt {
    pub fn new(line: &Line) -> Self {
        Self { ports: (1..=u16::MAX).filter(|&p| line.has_port(p)).collect(), ..Self::default() }
    }

    /// The flow that has an outside port towards a peer.
    pub fn towards(&self, protocol: u8, peer: End, outside: u16) -> Option<Flow> {
        let mut all = self.sessions.iter().filter(|(f, s)| (f.0, f.2, s.outside) == (protocol, peer, outside));
        let first = all.next().map(|(flow, _)| *flow);
        assert!(all.next().is_none(), "two sessions that nobody outside can tell apart");
        first
    }

    fn on_port(&self, protocol: u8, outside: u16) -> impl Iterator<Item = (&Flow, &Session)> {
        self.sessions.iter().filter(move |(f, s)| f.0 == protocol && s.outside == outside)
    }

    /// RFC 4787 REQ-9: something of ours has this outside port.
    pub fn is_mapped(&self, line: &Line, protocol: u8, outside: u16) -> bool {
        let taken = has_ports(protocol) && self.on_port(protocol, outside).next().is_some();
        taken || line.forward(protocol, outside).is_some()
    }

    fn used(&self, protocol: u8) -> BTreeSet<u16> {
        self.sessions.iter().filter(|(f, _)| f.0 == protocol).map(|(_, s)| s.outside).collect()
    }

    fn of_host(&self, host: Addr) -> usize {
        self.sessions.keys().filter(|f| f.1.0 == host).count()
    }

    /// Opens the session of an outbound packet.
    pub fn open_outbound(&mut self, line: &Line, flow: Flow, flags: u8, now: u64) -> Result<Result<(), Reason>, Wrong> {
        if flow.0 == 6 && flags & RST != 0 {
            return Ok(Err(Reason::NaptNoSession));
        }
        if line.per_host.is_some_and(|most| self.of_host(flow.1.0) >= most as usize) {
            return Ok(Err(Reason::NaptHostLimit));
        }
        if self.sessions.len() == CAPACITY {
            return Ok(Err(Reason::NaptTableFull));
        }
        let may = match has_ports(flow.0) {
            true => self.may_have(line, flow, now),
            // Nothing but the addresses tells whose an answer is.
            false if self.towards(flow.0, flow.2, 0).is_some() => return Ok(Err(Reason::NaptPeerInUse)),
            false => May::these([0], Claim::ByAddress),
        };
        if may.ports.is_empty() {
            return Ok(Err(Reason::NaptPortsFull));
        }
        let Some(&(port, claim)) = self.chosen.get(&flow) else {
            return Err(format!("{flow:?} has no session, but {} ports", may.ports.len()));
        };
        if !may.ports.contains(&port) || claim != may.claim {
            let first: Vec<_> = may.ports.iter().take(8).collect();
            return Err(format!("{flow:?} got {port} {claim:?} and not {:?} {first:?}", may.claim));
        }
        if may.ends {
            let over = self.towards(flow.0, flow.2, port).expect("one that is over");
            self.sessions.remove(&over);
        }
        self.open(flow, port, claim, Direction::Outbound, now);
        Ok(Ok(()))
    }

    /// The outside ports that a new session may have.
    fn may_have(&self, line: &Line, flow: Flow, now: u64) -> May {
        let (protocol, inside, peer) = flow;
        let is_free_towards = |port: u16| self.towards(protocol, peer, port).is_none();
        // RFC 4787 REQ-1; a static mapping is one, too.
        let ports = line.forwards.iter().flat_map(|f| f.outside.0..=f.outside.1);
        let mut forwarded = ports.filter(|&p| line.forward(protocol, p) == Some(inside));
        if let Some(port) = forwarded.find(|&p| is_free_towards(p)) {
            return May::these([port], Claim::Forwarded);
        }
        let of_inside = |(f, s): &(&Flow, &Session)| (f.0, f.1) == (protocol, inside) && s.claim == Claim::Mapped;
        let mapping = self.sessions.iter().find(of_inside).map(|(_, s)| s.outside);
        if let Some(port) = mapping.filter(|&p| is_free_towards(p)) {
            return May::these([port], Claim::Mapped);
        }
        let claim = if mapping.is_some() { Claim::Shared } else { Claim::Mapped };
        let is_forwarded = |port: u16| line.forward(protocol, port).is_some();
        let used = self.used(protocol);
        let left = self.ports.len()
            - used.iter().copied().chain(line.forwarded_ports(protocol)).collect::<BTreeSet<_>>().len();
        let is_free = |p: &u16| !used.contains(p) && !is_forwarded(*p);
        let is_early = is_question(protocol, peer.1) && left <= self.ports.len() / 4;
        // RFC 4787 REQ-3.
        if !is_early && self.ports.binary_search(&inside.1).is_ok() && is_free(&inside.1) {
            return May::these([inside.1], claim);
        }
        let free: Vec<u16> = self.ports.iter().copied().filter(is_free).collect();
        assert_eq!(free.len(), left);
        let shared: Vec<u16> = used.iter().copied().filter(|&p| is_free_towards(p) && !is_forwarded(p)).collect();
        // RFC 4787 REQ-4, where it is wanted: even or odd as inside, if there is such a port.
        let alike = |p: &u16| !line.port_parity || protocol != 17 || (p ^ inside.1) & 1 == 0;
        let alike_first = |ports: Vec<u16>| match ports.iter().any(alike) {
            true => ports.into_iter().filter(alike).collect(),
            false => ports,
        };
        let shared = alike_first(shared);
        if is_early && !shared.is_empty() {
            return May::these(shared, Claim::Shared);
        }
        if free.binary_search(&inside.1).is_ok() {
            return May::these([inside.1], claim);
        }
        if !free.is_empty() {
            // RFC 4787 REQ-3a: below 1024 or not stays so.
            let (low, high): (Vec<u16>, _) = alike_first(free).into_iter().partition(|&p| p < 1024);
            let (first, then) = if inside.1 < 1024 { (low, high) } else { (high, low) };
            return May::these(if first.is_empty() { then } else { first }, claim);
        }
        if !shared.is_empty() {
            return May::these(shared, Claim::Shared);
        }
        // Connections to that server that are over make room, the longest silent first.
        let is_over = |(f, s): &(&Flow, &Session)| {
            (f.0, f.2) == (protocol, peer) && s.is_over(f, now) && line.forward(protocol, s.outside).is_none()
        };
        let over: Vec<_> = self.sessions.iter().filter(is_over).map(|(_, s)| (s.last, s.outside)).collect();
        let oldest = over.iter().map(|&(last, _)| last).min();
        let ports = over.iter().filter(|&&(last, _)| Some(last) == oldest).map(|&(_, port)| port);
        May { ports: ports.collect(), claim: Claim::Shared, ends: true }
    }

    /// Opens the session of a stranger's packet, where there is a mapping that lets it in (RFC 4787 5).
    pub fn open_inbound(
        &mut self,
        line: &Line,
        protocol: u8,
        peer: End,
        port: u16,
        flags: u8,
        now: u64,
    ) -> Result<Flow, Reason> {
        let owner = self.on_port(protocol, port).find(|(_, s)| s.claim == Claim::Mapped).map(|(f, _)| f.1);
        let (inside, claim) = match (line.forward(protocol, port), owner) {
            (Some(inside), _) => (inside, Claim::Forwarded),
            (None, Some(inside)) if line.open_filtering => (inside, Claim::Mapped),
            _ if !has_ports(protocol) || self.on_port(protocol, port).next().is_none() => {
                return Err(Reason::NaptNoSession);
            }
            _ => return Err(Reason::NaptFiltered),
        };
        let flow = (protocol, inside, peer);
        if protocol == 6 && flags & (SYN | ACK | RST | FIN) != SYN || self.sessions.contains_key(&flow) {
            return Err(Reason::NaptFiltered);
        }
        if self.sessions.len() >= CAPACITY - CAPACITY / 4 {
            return Err(Reason::NaptTableFull);
        }
        if line.per_host.is_some_and(|most| self.of_host(inside.0) >= (most - most / 4) as usize) {
            return Err(Reason::NaptHostLimit);
        }
        self.open(flow, port, claim, Direction::Inbound, now);
        Ok(flow)
    }

    fn open(&mut self, flow: Flow, outside: u16, claim: Claim, first: Direction, last: u64) {
        let mut seen = [false; 2];
        seen[first as usize] = true;
        let established = flow.0 != 6;
        let session =
            Session { outside, claim, last, packets: [0; 2], seen, fin: [false; 2], reset: [false; 2], established };
        self.sessions.insert(flow, session);
    }

    /// Ends what has been idle for too long. When exactly, within two seconds, the router is free to say.
    pub fn age(&mut self, now: u64) -> Result<(), Wrong> {
        let overdue = |f: &Flow, s: &Session| now > s.last + s.timeout(f);
        let gone: Vec<Flow> = self.sessions.keys().filter(|f| !self.chosen.contains_key(f)).copied().collect();
        for flow in gone {
            let session = self.sessions.remove(&flow).unwrap();
            if !overdue(&flow, &session) {
                return Err(format!("{flow:?} ended early, at {now}: {session:?}"));
            }
        }
        let late = self.sessions.iter().find(|(f, s)| now > s.last + s.timeout(f) + 2);
        late.map_or(Ok(()), |late| Err(format!("{late:?} is still there at {now}")))
    }

    /// The router's sessions are the model's.
    pub fn compare(&self) -> Result<(), Wrong> {
        let ours: BTreeMap<Flow, (u16, Claim)> =
            self.sessions.iter().map(|(f, s)| (*f, (s.outside, s.claim))).collect();
        for (flow, session) in &ours {
            if self.chosen.get(flow) != Some(session) {
                return Err(format!("{flow:?}: expected {session:?}, got {:?}", self.chosen.get(flow)));
            }
        }
        match self.chosen.iter().find(|(f, _)| !ours.contains_key(f)) {
            Some(more) => Err(format!("a session nobody asked for: {more:?}")),
            None => Ok(()),
        }
    }
}

/// What the router may choose from.
struct May {
    ports: Vec<u16>,
    claim: Claim,
    /// The session that has the port towards the peer ends.
    ends: bool,
}

impl May {
    fn these(ports: impl IntoIterator<Item = u16>, claim: Claim) -> Self {
        Self { ports: ports.into_iter().collect(), claim, ends: false }
    }
}
