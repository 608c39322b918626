//! A router on memory rings with both its wires in hand, and made-up flows through it.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::filter6::{self, Filter6};
use hikyaku_dataplane::memory_router::{LAN, MemoryRouter, Parts, WAN};
use hikyaku_dataplane::napt::{self, Direction, Endpoint, Key, LanId, Napt};
use hikyaku_dataplane::snapshot::{
    Link, Neighbours, Route, Route6, Routes, Routes6, Side, Snapshot, Softwire, SoftwireId,
};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::worker::{self, Worker};
use hikyaku_net::packet::Tcp;
use hikyaku_net::{Addr4, Port, Prefix4, Prefix6, Time};
use hikyaku_ring::HANDOFF_SLOTS;
use hikyaku_ring::memory::{MemoryConfig, Wire};
use hikyaku_schema::Usage;

use crate::shape::{PacketShape, WHOLE};
use crate::traffic::{self, Flow, GATEWAY, OURS};
use crate::wanted::{self, Chosen, Packet};

/// Longer than any session lives.
const SESSIONS_ARE_OVER: Duration = Duration::from_secs(3 * 3600);

/// What the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// DS-Lite B4 (RFC 6333): addresses pass as they are, the far end translates.
    Dslite,
    /// IPv4 over IPv6 with a fixed IPv4 address: this end translates to it.
    Ipip,
    /// Native IPv6 behind its filter, on a line that is a DS-Lite B4 as well.
    Ipv6,
}

/// What a rig is made from.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What the router does.
    pub mode: Mode,
    /// In what shape packets come, once flows are open.
    pub packets: PacketShape,
    /// How many rules there are.
    pub rules: u16,
    /// Length of the LAN's frame; of what is cut, before that or behind.
    pub frame: usize,
    /// How many flows there are.
    pub flows: u32,
    /// Size of the session table.
    pub table: u32,
    /// Shape of the memory rings.
    pub memory: MemoryConfig,
    /// What every worker is made with.
    pub worker: worker::Config,
    /// How many there are. What the LAN sends is spread over them as a card would; what comes through the tunnel
    /// all comes to the first.
    pub workers: usize,
}

impl Shape {
    /// The worker whose queue a frame of flow `n` comes in by.
    pub(crate) fn queue(&self, way: Direction, n: u32) -> usize {
        match way {
            Direction::Outbound => n as usize % self.workers,
            Direction::Inbound => 0,
        }
    }
}

/// Puts packet `id` of flow `n` into a receive ring of these wires, as a card would. Answers how many frames it is.
pub(crate) fn send(
    wires: &mut [Wire; 2],
    shape: &Shape,
    outside: &[Port],
    (way, flags): (Direction, u8),
    (n, id): (u32, u16),
) -> u64 {
    let (flow, len, packets) = (Flow::new(n), shape.frame, shape.packets);
    let mut delivered = 0;
    let mut count = |was_room: bool| {
        assert!(was_room, "a lap fits the ring, and its frames the buffers");
        delivered += 1;
    };
    match way {
        _ if shape.mode == Mode::Ipv6 => {
            let (wire, outbound) = if way == Direction::Outbound { (0, true) } else { (1, false) };
            count(wires[wire].deliver_with(len + traffic::LONGER6, |b| traffic::native(b, &flow, outbound, flags)));
        }
        Direction::Outbound => count(wires[0].deliver_with(len, |b| packets.outbound(b, &flow, flags))),
        Direction::Inbound => {
            let to = outside_of(outside, n, &flow);
            for (i, len) in packets.inbound_frames(len).enumerate() {
                count(wires[1].deliver_with(len, |b| packets.inbound(b, &flow, to, flags, (i, id))));
            }
        }
    }
    delivered
}

/// Whom the peer of a flow talks to.
fn outside_of(outside: &[Port], n: u32, flow: &Flow) -> (Addr4, Port) {
    match outside.get(n as usize) {
        Some(&port) => (traffic::OUTSIDE.into(), port),
        None => (flow.inside, flow.inside_port),
    }
}

/// The path did something else than forward what it got.
#[derive(Debug, thiserror::Error)]
#[error("the path is wrong: {0}")]
pub struct Wrong(String);

impl Wrong {
    pub(crate) fn new(what: String) -> Self {
        Self(what)
    }
}

/// The router under test and its wires.
pub struct Rig {
    pub(crate) workers: Vec<Worker>,
    /// By worker: the LAN's and the line's.
    pub(crate) wires: Vec<[Wire; 2]>,
    pub(crate) napt: Option<Arc<Napt>>,
    filter: Option<Arc<Filter6>>,
    pub(crate) shape: Shape,
    pub(crate) clock: quanta::Clock,
    /// The outside port of each flow.
    pub(crate) outside: Vec<Port>,
    /// How many flows have been visited: where the random walk is.
    visited: u64,
    pub(crate) delivered: u64,
    /// Frames for which a handoff ring had no room.
    pub(crate) lost: u64,
    pub(crate) now: Time,
}

impl Rig {
    /// A router that has seen nothing. An error: there is no memory for rings or table of that size.
    pub fn new(shape: Shape) -> Result<Self, Usage> {
        Self::with(shape, |_| ())
    }

    /// A router that has seen nothing, whose session table `table` changes before it is made.
    pub(crate) fn with(shape: Shape, table: impl FnOnce(&mut napt::Config)) -> Result<Self, Usage> {
        let memory = MemoryConfig { handoff_slots: HANDOFF_SLOTS, ..shape.memory };
        let napt = (shape.mode == Mode::Ipip).then(|| {
            let mut config = napt::Config {
                sessions: shape.table,
                huge_pages: shape.memory.huge_pages,
                seed: Some([1, 2, 3, 4]),
                ..napt::Config::new(traffic::OUTSIDE)
            };
            table(&mut config);
            config
        });
        let parts = Parts { worker: shape.worker, napt, vlans: [None; 2] };
        let filter = (shape.mode == Mode::Ipv6).then(|| {
            Filter6::new(&filter6::Config {
                sessions: shape.table,
                readers: shape.workers,
                huge_pages: shape.memory.huge_pages,
                seed: Some([1, 2, 3, 4]),
                ..Default::default()
            })
        });
        let filter = filter.transpose().map_err(|why| Usage(why.to_string()))?.map(Arc::new);
        let rules = crate::rules::compiled(shape.rules);
        let snapshot = |napt| Snapshot { rules: rules.clone(), ..snapshot(napt, filter.clone(), shape.packets) };
        let router = MemoryRouter::new(shape.workers, memory, parts, snapshot).map_err(|why| Usage(why.to_string()))?;
        let MemoryRouter { workers, wires, napt, .. } = router;
        Ok(Self {
            workers,
            wires,
            outside: vec![Port::default(); if napt.is_some() { shape.flows as usize } else { 0 }],
            napt,
            filter,
            shape,
            clock: quanta::Clock::new(),
            visited: 0,
            delivered: 0,
            lost: 0,
            now: Time(1 << 40),
        })
    }

    /// The time stamp counter.
    pub fn clock(&self) -> &quanta::Clock {
        &self.clock
    }

    /// What the router counted.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        self.workers.iter().for_each(|worker| all.add(&worker.handle().counters.totals()));
        all
    }

    /// Frames for which a handoff ring had no room.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Packets that fill a ring, one way or the other.
    pub fn lap_len(&self) -> u32 {
        let Shape { packets, memory, .. } = &self.shape;
        (memory.slots - 1) / packets.frames_in().max(packets.frames_out())
    }

    /// Puts packets of flow numbers into receive rings, as cards would: the first goes the first way
    /// of `ways`, and so on, round and round.
    pub fn deliver(&mut self, ways: &[Direction], flags: u8, flows: impl Iterator<Item = u32>) {
        self.deliver_shaped(self.shape.packets, ways, flags, flows);
    }

    fn deliver_shaped(
        &mut self,
        packets: PacketShape,
        ways: &[Direction],
        flags: u8,
        flows: impl Iterator<Item = u32>,
    ) {
        // Flows that packets will be cut of are opened by whole ones.
        let frame = if packets.is_cut() { self.shape.frame } else { self.shape.frame.min(WHOLE) };
        let shape = Shape { packets, frame, ..self.shape };
        for (n, way) in flows.zip(ways.iter().cycle()) {
            let (worker, id) = (shape.queue(*way, n), self.delivered as u16);
            self.delivered += send(&mut self.wires[worker], &shape, &self.outside, (*way, flags), (n, id));
        }
    }

    /// Whom the peer of flow `n` talks to.
    pub(crate) fn outside_of(&self, n: u32, flow: &Flow) -> (Addr4, Port) {
        outside_of(&self.outside, n, flow)
    }

    /// One turn of every worker.
    #[inline]
    pub fn turn(&mut self) -> usize {
        self.workers.iter_mut().map(|worker| worker.turn(self.now)).sum()
    }

    /// Turns until nothing waits, of one worker after the other; answers clocks.
    fn run(&mut self) -> u64 {
        let start = self.clock.raw();
        while self.turn() > 0 {}
        self.clock.raw() - start
    }

    /// Takes out what left: the frames of as many packets as were delivered since the rings were empty.
    pub fn collect(&mut self, outbound: usize, inbound: usize) -> Result<(), Wrong> {
        let each = self.shape.packets.frames_out() as usize;
        self.collect_frames(outbound * each, inbound * each)
    }

    fn collect_frames(&mut self, outbound: usize, inbound: usize) -> Result<(), Wrong> {
        for (link, name, want) in [(0, "lan", inbound), (1, "wan", outbound)] {
            let left = self.wires.iter_mut().map(|wires| wires[link].collect(|_| ())).sum::<usize>();
            if left != want {
                let verdicts = self.totals().verdicts().collect::<Vec<_>>();
                return Err(Wrong(format!("{left} of {want} frames left to the {name}: {verdicts:?}")));
            }
        }
        Ok(())
    }

    /// Delivers a lap, runs it through and takes it out; answers clocks.
    fn pass(
        &mut self,
        packets: PacketShape,
        ways: &[Direction],
        flags: u8,
        flows: impl ExactSizeIterator<Item = u32>,
    ) -> Result<u64, Wrong> {
        let (sent, ways_n) = (flows.len(), ways.len());
        self.deliver_shaped(packets, ways, flags, flows);
        let clocks = self.run();
        let of = |way| (0..sent).filter(|i| ways[i % ways_n] == way).count() * packets.frames_out() as usize;
        self.collect_frames(of(Direction::Outbound), of(Direction::Inbound))?;
        Ok(clocks)
    }

    /// The flows, a lap at a time.
    fn laps(&self) -> impl Iterator<Item = Range<u32>> + use<> {
        let (flows, lap) = (self.shape.flows, self.lap_len());
        (0..flows).step_by(lap as usize).map(move |first| first..flows.min(first.saturating_add(lap)))
    }

    /// Opens all flows, by a TCP handshake or a packet to, fro and to again. `progress` is told
    /// what part is done. Without a table there is nothing to open.
    pub fn open(&mut self, mut progress: impl FnMut(f64)) -> Result<(), Wrong> {
        if self.stats().is_none() {
            return Ok(());
        }
        let steps = [
            (Direction::Outbound, Tcp::SYN),
            (Direction::Inbound, Tcp::SYN | Tcp::ACK),
            (Direction::Outbound, Tcp::ACK),
        ];
        for (step, (way, flags)) in steps.into_iter().enumerate() {
            for flows in self.laps() {
                progress((step as f64 + f64::from(flows.start) / f64::from(self.shape.flows)) / steps.len() as f64);
                self.pass(PacketShape::Plain, &[way], flags, flows.clone())?;
                if step == 0 {
                    self.learn(flows)?;
                }
            }
        }
        self.live(self.shape.flows)
    }

    /// How full the table is, where there is one.
    fn stats(&self) -> Option<napt::Stats> {
        let filter = self.filter.as_ref().map(|filter| filter.stats());
        self.napt.as_ref().map(|napt| napt.stats()).or(filter)
    }

    /// The table has so many sessions.
    fn live(&self, want: u32) -> Result<(), Wrong> {
        match self.stats().map(|stats| stats.live) {
            Some(live) if live != want => Err(Wrong(format!("there are {live} sessions, not {want}"))),
            _ => Ok(()),
        }
    }

    /// Lets time pass until there is no session.
    pub fn expire(&mut self) -> Result<(), Wrong> {
        self.now = self.now + SESSIONS_ARE_OVER;
        for _ in 0..(1 << 20) + self.shape.flows {
            if self.stats().is_none_or(|stats| stats.live == 0) {
                return Ok(());
            }
            self.turn();
        }
        Err(Wrong(format!("sessions do not expire: {:?}", self.stats())))
    }

    /// Opens all flows in an empty table by one packet each; answers clocks.
    pub fn reopen(&mut self) -> Result<u64, Wrong> {
        self.expire()?;
        let mut clocks = 0;
        for flows in self.laps() {
            clocks += self.pass(PacketShape::Plain, &[Direction::Outbound], Tcp::SYN, flows)?;
        }
        self.live(self.shape.flows)?;
        Ok(clocks)
    }

    /// Asks the table which outside ports flows got.
    fn learn(&mut self, flows: impl Iterator<Item = u32>) -> Result<(), Wrong> {
        let Some(napt) = &self.napt else { return Ok(()) };
        for n in flows {
            let flow = Flow::new(n);
            let inside = Endpoint { addr: flow.inside, port: flow.inside_port };
            let peer = Endpoint { addr: flow.peer, port: flow.peer_port };
            let key = Key::outbound(LanId::default(), flow.protocol, inside, peer);
            let id = napt.find(&key, napt.hash(&key));
            let id = id.ok_or_else(|| Wrong(format!("{flow:?} left and has no session")))?;
            self.outside[n as usize] = napt.session(id).outside().port;
        }
        Ok(())
    }

    /// The next flows of the random walk.
    pub fn walk(&mut self, frames: u32) -> impl ExactSizeIterator<Item = u32> + use<> {
        let (start, flows) = (self.visited, u64::from(self.shape.flows));
        self.visited += u64::from(frames);
        (0..frames).map(move |i| (traffic::mix(start + u64::from(i)) % flows) as u32)
    }

    /// One lap: a ring full of packets of randomly chosen flows; answers clocks.
    pub fn lap(&mut self, ways: &[Direction]) -> Result<u64, Wrong> {
        let flows = self.walk(self.lap_len());
        self.pass(self.shape.packets, ways, Tcp::ACK, flows)
    }

    /// One lap that is not timed: whatever leaves must be, byte by byte, what should leave, and
    /// packets of a flow must leave in the order they came. Answers the number of frames.
    ///
    /// With `opening` the table is emptied first and every packet is the first of its flow.
    pub fn check(&mut self, ways: &[Direction], opening: bool) -> Result<u32, Wrong> {
        let lap = self.lap_len();
        let (flows, flags): (Vec<u32>, u8) = if opening {
            self.expire()?;
            ((0..lap.min(self.shape.flows)).collect(), Tcp::SYN)
        } else {
            (self.walk(lap).collect(), Tcp::ACK)
        };
        let sent: Vec<(u32, Direction)> = flows.iter().copied().zip(ways.iter().copied().cycle()).collect();
        for (number, &(n, way)) in sent.iter().enumerate() {
            let packet = |side| self.packet(n, way, side, flags, number);
            let chosen = Chosen { hop_limit: traffic::HOP_LIMIT, ..Default::default() };
            let (ipv6, host) = (self.shape.mode == Mode::Ipv6, traffic::station_of(&Flow::new(n)));
            let (link, frames) = match way {
                Direction::Outbound if ipv6 => (0, vec![packet(Side::Lan).native([host, OURS[0]])]),
                Direction::Outbound => (0, packet(Side::Lan).on_lan([host, OURS[0]])),
                Direction::Inbound if ipv6 => (1, vec![packet(Side::Lan).native([GATEWAY, OURS[1]])]),
                Direction::Inbound => (1, packet(Side::Wan).in_tunnel([GATEWAY, OURS[1]], false, chosen)),
            };
            for frame in &frames {
                let delivered = self.wires[self.shape.queue(way, n)][link].deliver(frame);
                assert!(delivered, "a lap fits the ring, and its frames the buffers");
                self.delivered += 1;
            }
        }
        self.run();
        if opening {
            self.learn(flows.iter().copied())?;
            self.live(flows.len() as u32)?;
        }
        let mut left: [Vec<Vec<u8>>; 2] = Default::default();
        for wires in &mut self.wires {
            for (wire, left) in wires.iter_mut().zip(&mut left) {
                wire.collect(|frame| left.push(frame.to_vec()));
            }
        }
        let [to_lan, to_wan] = &left;
        let mut seen = vec![false; sent.len()];
        let mut last = HashMap::new();
        let each = self.shape.packets.frames_out() as usize;
        // What is cut leaves in one go, so its frames are neighbours.
        let packets = to_lan.chunks(each).map(|frames| (frames, false));
        for (frames, in_tunnel) in packets.chain(to_wan.chunks(each).map(|frames| (frames, true))) {
            let ipv6 = self.shape.mode == Mode::Ipv6;
            let number = if ipv6 { wanted::number6(&frames[0]) } else { wanted::number(&frames[0], in_tunnel) };
            let number = number.map(|number| number as usize);
            let Some((number, &(n, way))) = number.and_then(|number| Some((number, sent.get(number)?))) else {
                return Err(Wrong(format!("nobody sent {:02x?}", frames[0])));
            };
            let (flow, what) = (Flow::new(n), format!("{way:?} frame {number} of {:?}", Flow::new(n)));
            let want = if ipv6 {
                let packet = self.packet(n, way, Side::Lan, flags, number).forwarded();
                vec![packet.native(if in_tunnel { [OURS[1], GATEWAY] } else { [OURS[0], traffic::station_of(&flow)] })]
            } else if in_tunnel {
                let chosen = wanted::senders_choice(&frames[0]).unwrap_or_default();
                if chosen.hop_limit < 64 {
                    return Err(Wrong(format!("{what}: a hop limit of {}", chosen.hop_limit)));
                }
                self.packet(n, way, Side::Wan, flags, number).forwarded().in_tunnel([OURS[1], GATEWAY], true, chosen)
            } else {
                let packet = self.packet(n, way, Side::Lan, flags, number).forwarded();
                packet.on_lan([OURS[0], traffic::station_of(&flow)])
            };
            if want.len() != frames.len() {
                return Err(Wrong(format!("{what}: it left in {} frames, not {}", frames.len(), want.len())));
            }
            if let Some(difference) = frames.iter().zip(&want).find_map(|(got, want)| wanted::difference(got, want)) {
                return Err(Wrong(format!("{what}: {difference}")));
            }
            if std::mem::replace(&mut seen[number], true) {
                return Err(Wrong(format!("{what} left twice")));
            }
            if last.insert((n, in_tunnel), number).is_some_and(|before| before > number) {
                return Err(Wrong(format!("{what} was overtaken by its successor")));
            }
        }
        match seen.iter().position(|seen| !seen) {
            Some(number) => Err(Wrong(format!("frame {number} of {} did not leave", sent.len()))),
            None => Ok(sent.len() as u32),
        }
    }

    /// A packet of flow `n` as the side sees it.
    fn packet(&self, n: u32, way: Direction, side: Side, flags: u8, number: usize) -> Packet {
        let flow = Flow::new(n);
        let inside = match side {
            Side::Wan => outside_of(&self.outside, n, &flow),
            Side::Lan | Side::Host => (flow.inside, flow.inside_port),
        };
        let packet = match way {
            Direction::Outbound => Packet::outbound(&flow, inside),
            Direction::Inbound => Packet::inbound(&flow, inside),
        };
        let id = if self.shape.packets == PacketShape::FragmentIn { number as u16 } else { 0 };
        Packet { flags, number: number as u32, len: self.shape.frame - 14, shape: (self.shape.packets, id), ..packet }
    }

    /// Every frame that was delivered was received, none was dropped that [`Self::laps_at_once`] did not tell of, or held
    /// because its first fragment was, and the counters add up.
    pub fn check_counters(&self) -> Result<(), Wrong> {
        let totals = self.totals();
        let (received, dropped) = (totals.received(), totals.dropped());
        if dropped + totals.held > self.lost || !totals.add_up() || received != self.delivered {
            let verdicts: Vec<_> = totals.verdicts().collect();
            return Err(Wrong(format!(
                "of {} frames {received} were received, {dropped} dropped, {} are held: {verdicts:?}",
                self.delivered, totals.held
            )));
        }
        Ok(())
    }
}

/// What its workers know: one LAN, one softwire, native IPv6 where there is a filter. The line takes the largest plain
/// packet whole, and of those that are to be cut none.
pub(crate) fn snapshot(napt: Option<Arc<Napt>>, filter6: Option<Arc<Filter6>>, packets: PacketShape) -> Snapshot {
    let everywhere = Prefix6::new(Ipv6Addr::UNSPECIFIED, 0).expect("a length");
    let (line, tunnel) = if packets.is_cut() { (1500, 1460) } else { (1540, 1500) };
    let prefix = |addr, len| Prefix4::new(addr, len).expect("a length");
    let (router, lan) = (prefix(traffic::ROUTER.into(), 32), prefix(traffic::ROUTER.into(), traffic::LAN_LEN));
    let hosts = (0..traffic::HOSTS).map(|n| (traffic::host(n), traffic::station(n)));
    Snapshot {
        links: vec![
            Link {
                addresses4: vec![traffic::ROUTER.into()],
                sources4: vec![lan],
                neighbours: Neighbours::new(hosts.clone(), None),
                sources6: vec![traffic::LAN6],
                neighbours6: Neighbours::new(hosts.map(|(host, station)| (traffic::ipv6_of(host), station)), None),
                ..Link::new("lan", Side::Lan, OURS[0], 1500)
            },
            Link::new("wan", Side::Wan, OURS[1], line),
        ],
        softwires: vec![Softwire {
            mtu: MtuMode::Strict { mtu: tunnel },
            mss: Some(1420),
            napt,
            ..Softwire::new(traffic::CE, traffic::BR, WAN, Some(GATEWAY))
        }],
        routes: Routes::new([
            (router, Route::Local),
            (lan, Route::Link(LAN)),
            (Prefix4::ALL, Route::Softwire(SoftwireId(0))),
        ]),
        routes6: Routes6::new([
            (traffic::LAN6, Route6::Link(LAN)),
            (traffic::LAN6.shortened(56).expect("a shorter one"), Route6::Unreachable),
            (everywhere, Route6::Gateway { link: WAN, mac: GATEWAY }),
        ]),
        filter6,
        rules: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::CUT;

    const WAYS: [&[Direction]; 3] =
        [&[Direction::Outbound], &[Direction::Inbound], &[Direction::Outbound, Direction::Inbound]];

    fn rig(mode: Mode, packets: PacketShape, frame: usize, workers: usize) -> Rig {
        with_rules(0, mode, packets, frame, workers)
    }

    fn with_rules(rules: u16, mode: Mode, packets: PacketShape, frame: usize, workers: usize) -> Rig {
        let memory = MemoryConfig { slots: 256, huge_pages: false, ..Default::default() };
        let worker = Default::default();
        let shape = Shape { mode, packets, rules, frame, flows: 1000, table: 1024, memory, worker, workers };
        let mut rig = Rig::new(shape).unwrap();
        rig.open(|done| assert!((0.0..1.0).contains(&done))).unwrap();
        rig
    }

    #[test]
    fn what_leaves_is_right() {
        for mode in [Mode::Ipip, Mode::Dslite, Mode::Ipv6] {
            for frame in [60, 61, 590, 1474] {
                for workers in [1, 3] {
                    let mut rig = rig(mode, PacketShape::Plain, frame, workers);
                    for ways in WAYS {
                        rig.lap(ways).unwrap();
                        assert_eq!(rig.check(ways, false).unwrap(), 255);
                    }
                    rig.check_counters().unwrap();
                }
            }
        }
    }

    #[test]
    fn what_leaves_is_right_in_every_shape() {
        for mode in [Mode::Ipip, Mode::Dslite] {
            for (packets, frame) in [
                (PacketShape::EncapLimit, 60),
                (PacketShape::EncapLimit, 1474),
                (PacketShape::FragmentOut, CUT),
                (PacketShape::FragmentIn, CUT),
            ] {
                for workers in [1, 3] {
                    let (mut rig, way) = (rig(mode, packets, frame, workers), packets.way().unwrap());
                    rig.lap(&[way]).unwrap();
                    assert_eq!(rig.check(&[way], false).unwrap(), rig.lap_len());
                    rig.check_counters().unwrap();
                }
            }
        }
    }

    /// All packets fit the last of the rules, and that accepts; those of the others that would not, fit none.
    #[test]
    fn what_the_rules_let_through_is_right() {
        for mode in [Mode::Ipip, Mode::Dslite, Mode::Ipv6] {
            for rules in [1, 1000] {
                let mut rig = with_rules(rules, mode, PacketShape::Plain, 60, 1);
                rig.lap(WAYS[0]).unwrap();
                assert_eq!(rig.check(WAYS[0], false).unwrap(), 255);
                rig.check_counters().unwrap();
            }
        }
    }

    #[test]
    fn opening_opens_every_time() {
        let mut rig = rig(Mode::Ipip, PacketShape::Plain, 60, 1);
        for _ in 0..3 {
            rig.reopen().unwrap();
        }
        assert_eq!(rig.check(WAYS[0], true).unwrap(), 255);
        rig.check_counters().unwrap();
    }

    /// A path that is wrong is found.
    #[test]
    fn what_is_wrong_is_found() {
        let mut rig = rig(Mode::Ipip, PacketShape::Plain, 60, 1);
        rig.outside.iter_mut().for_each(|port| *port = (port.number() ^ 1).into());
        let wrong = rig.check(WAYS[0], false).unwrap_err().to_string();
        assert!(wrong.contains("Outbound frame 0 of ") && wrong.contains("byte 7"), "{wrong}");
        let wrong = rig.lap(WAYS[1]).unwrap_err().to_string();
        assert!(wrong.contains("of 255 frames left to the lan"), "{wrong}");
        assert!(rig.check_counters().unwrap_err().to_string().contains(" dropped"));
        rig.collect(1, 0).unwrap_err();
    }
}
