//! `hikyaku-bench path`: clocks per packet of the complete path on memory rings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use hikyaku_dataplane::napt::{self, Hash, Key, Kind, Napt};
use hikyaku_dataplane::packet::{Addr4, Port, Tcp};
use hikyaku_dataplane::ring::memory::{self, MemoryConfig, Wire};
use hikyaku_dataplane::snapshot::{
    Deliver, Link, LinkId, Neighbours, Prefix4, Route, Routes, Side, Snapshot, Softwire, SoftwireId,
};
use hikyaku_dataplane::time::Time;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_dataplane::worker::{Config, Shared, Worker};
use serde::Serialize;

use crate::traffic::{self, Flow};

/// What the router does to packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Tunnel and NAPT behind one outside address.
    Ipip,
    /// Tunnel only: the AFTR translates.
    Dslite,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// LAN to tunnel.
    Outbound,
    /// Tunnel to LAN.
    Inbound,
    /// As many packets each way, in the same turns.
    Both,
    /// LAN to tunnel, every packet the first of its flow: opening sessions. Every run begins with
    /// an empty table.
    Open,
}

/// Measure the complete packet path on memory rings, no network card needed.
///
/// Frames are written into the receive ring as a card would (not counted), the worker's turns are
/// timed by the time stamp counter until the ring is empty, and what was sent is taken out (not
/// counted). Flows are visited in random order. A run is at least 200,000 packets.
#[derive(Args, Clone, Debug)]
pub struct PathArgs {
    /// What the router does.
    #[arg(long, value_enum, default_value = "ipip")]
    pub mode: Mode,
    /// Which way packets go.
    #[arg(long, value_enum, default_value = "outbound")]
    pub direction: Direction,
    /// Length of the LAN's frame in bytes, without FCS; the tunnel's is 40 more.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(60..=1474))]
    pub frame: u16,
    /// Flows, half TCP (established), half UDP.
    #[arg(long, default_value_t = 65536, value_parser = clap::value_parser!(u32).range(1..=8388608))]
    pub flows: u32,
    /// Size of the session table, a power of two [default: the smallest that holds the flows]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1024..=8388608))]
    pub table: Option<u32>,
    /// Most frames handled in one go.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub batch: u16,
    /// Slots of each ring.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(64..=65536))]
    pub ring_slots: u32,
    /// Do not ask for huge pages.
    #[arg(long)]
    pub no_huge_pages: bool,
    /// Core to run on.
    #[arg(long, default_value_t = 1)]
    pub cpu: usize,
    /// Make at least so many runs.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Measure at least this long.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Best and median of the runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    best: f64,
    median: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    mode: Mode,
    direction: Direction,
    frame: u16,
    flows: u32,
    table: u32,
    batch: u16,
    cpu: usize,
    runs: usize,
    clocks_per_packet: Spread,
    mpps: f64,
    tsc_hz: f64,
}

const LAN: LinkId = LinkId(0);
const WAN: LinkId = LinkId(1);

/// The router under test and both its wires.
struct Rig {
    worker: Worker,
    wires: [Wire; 2],
    napt: Option<Arc<Napt>>,
    flows: u32,
    frame: usize,
    clock: quanta::Clock,
    /// The outside port of each flow.
    outside: Vec<Port>,
    /// How many flows have been visited: where the random walk is.
    visited: u64,
    now: Time,
}

impl Rig {
    fn new(args: &PathArgs, table: u32) -> Result<Self, String> {
        let config = MemoryConfig { slots: args.ring_slots, huge_pages: !args.no_huge_pages, ..Default::default() };
        let links = memory::links(2, 1, config).map_err(|e| e.to_string())?;
        let mut links = links.into_iter().map(|mut l| l.remove(0));
        let [(lan, lan_wire), (wan, wan_wire)] = [links.next().expect("two links"), links.next().expect("two links")];
        let napt = match args.mode {
            Mode::Dslite => None,
            Mode::Ipip => {
                let config = napt::Config {
                    sessions: table,
                    huge_pages: !args.no_huge_pages,
                    seed: Some([1, 2, 3, 4]),
                    ..napt::Config::new(traffic::OUTSIDE)
                };
                Some(Arc::new(Napt::new(&config).map_err(|e| e.to_string())?))
            }
        };
        let shared = Shared::new(snapshot(napt.clone()));
        let config = Config { batch: args.batch as usize, ..Default::default() };
        Ok(Self {
            worker: Worker::new(0, [(LAN, lan), (WAN, wan)], &shared, config),
            wires: [lan_wire, wan_wire],
            napt,
            flows: args.flows,
            frame: args.frame as usize,
            clock: quanta::Clock::new(),
            outside: vec![Port::default(); args.flows as usize],
            visited: 0,
            now: Time(1 << 40),
        })
    }

    /// Delivers `frames` (flow number, TCP flags) to one side, runs the worker until it has
    /// nothing left and takes out what was sent. Answers clocks.
    fn pass(&mut self, directions: &[Direction], frames: impl Iterator<Item = (u32, u8)>) -> u64 {
        let mut sent = [0, 0];
        for (i, (n, flags)) in frames.enumerate() {
            let flow = Flow::new(n);
            let len = self.frame;
            match directions[i % directions.len()] {
                Direction::Inbound => {
                    let to = match self.napt {
                        Some(_) => (Addr4::from(traffic::OUTSIDE), self.outside[n as usize]),
                        None => (flow.inside, flow.inside_port),
                    };
                    assert!(self.wires[1].deliver_with(len + 40, |b| traffic::inbound(b, &flow, to, flags)));
                    sent[0] += 1;
                }
                _ => {
                    assert!(self.wires[0].deliver_with(len, |b| traffic::outbound(b, &flow, flags)));
                    sent[1] += 1;
                }
            }
        }
        let start = self.clock.raw();
        while self.worker.turn(self.now) > 0 {}
        let clocks = self.clock.raw() - start;
        for (wire, sent) in self.wires.iter_mut().zip(sent) {
            let out = wire.collect(|_| ());
            assert_eq!(
                out,
                sent,
                "frames were lost: {:?}",
                self.worker.handle().counters.totals().verdicts().collect::<Vec<_>>()
            );
        }
        clocks
    }

    /// Opens all flows by a TCP handshake or a packet each way; answers clocks for the first step.
    fn open(&mut self, lap: u32) -> u64 {
        let mut clocks = 0;
        let steps = [
            (Direction::Outbound, Tcp::SYN),
            (Direction::Inbound, Tcp::SYN | Tcp::ACK),
            (Direction::Outbound, Tcp::ACK),
        ];
        for (step, (direction, flags)) in steps.into_iter().enumerate() {
            for first in (0..self.flows).step_by(lap as usize) {
                let flows = first..self.flows.min(first + lap);
                let spent = self.pass(&[direction], flows.clone().map(|n| (n, flags)));
                if step == 0 {
                    clocks += spent;
                    flows.for_each(|n| self.learn(n));
                }
            }
        }
        clocks
    }

    /// Lets all sessions run out of time and opens them again; answers clocks for all of them.
    fn reopen(&mut self, lap: u32) -> u64 {
        let Some(napt) = self.napt.clone() else { return 0 };
        self.now = self.now + Duration::from_secs(3 * 3600);
        while napt.stats().live > 0 {
            self.worker.turn(self.now);
        }
        let mut clocks = 0;
        for first in (0..self.flows).step_by(lap as usize) {
            let flows = first..self.flows.min(first + lap);
            clocks += self.pass(&[Direction::Outbound], flows.map(|n| (n, Tcp::SYN)));
        }
        clocks
    }

    /// Asks the table which outside port a flow got.
    fn learn(&mut self, n: u32) {
        let Some(napt) = &self.napt else { return };
        let flow = Flow::new(n);
        let key = Key {
            addrs: napt::pair_addrs(flow.inside, flow.peer),
            ports: napt::pair_ports(flow.inside_port, flow.peer_port),
            protocol: flow.protocol,
            kind: Kind::Outbound,
        };
        let hash: Hash = napt.hash(&key);
        let id = napt.find(&key, hash).expect("the flow was opened");
        self.outside[n as usize] = napt.session(id).outside().port;
    }

    /// One lap: a ring of frames of randomly chosen flows.
    fn lap(&mut self, direction: Direction, frames: u32) -> u64 {
        let (start, flows) = (self.visited, u64::from(self.flows));
        self.visited += u64::from(frames);
        let random = (0..u64::from(frames)).map(move |i| ((traffic::mix(start + i) % flows) as u32, Tcp::ACK));
        match direction {
            Direction::Both => self.pass(&[Direction::Outbound, Direction::Inbound], random),
            one => self.pass(&[one], random),
        }
    }
}

fn snapshot(napt: Option<Arc<Napt>>) -> Snapshot {
    let link = |name: &str, side, n: usize| Link {
        name: name.into(),
        side,
        mac: traffic::OURS[n],
        any_station: false,
        mtu: if n == 0 { 1500 } else { 1540 },
        addresses4: Vec::new(),
        addresses6: Vec::new(),
        sources4: Vec::new(),
        neighbours: Neighbours::default(),
    };
    let lan: Prefix4 = "192.168.1.0/24".parse().expect("a prefix");
    let hosts = (0..traffic::HOSTS).map(|n| (traffic::host(n), traffic::station(n)));
    Snapshot {
        links: vec![
            Link { sources4: vec![lan], neighbours: Neighbours::new(hosts, None), ..link("lan", Side::Lan, 0) },
            link("wan", Side::Wan, 1),
        ],
        softwires: vec![Softwire {
            local: traffic::CE.into(),
            remote: traffic::BR.into(),
            link: WAN,
            next_hop: Some(traffic::GATEWAY),
            mtu: MtuMode::Strict { mtu: 1500 },
            class: Default::default(),
            mss: Some(1420),
            napt,
            deliver: Deliver::Routed,
            state: Default::default(),
        }],
        routes: Routes::new([(lan, Route::Link(LAN)), (Prefix4::ALL, Route::Softwire(SoftwireId(0)))]),
    }
}

/// Ticks of the time stamp counter per second.
fn tsc_hz(clock: &quanta::Clock) -> f64 {
    let (start, raw) = (Instant::now(), clock.raw());
    std::thread::sleep(Duration::from_millis(100));
    (clock.raw() - raw) as f64 / start.elapsed().as_secs_f64()
}

/// Measures.
pub fn run(args: &PathArgs) -> Result<Report, String> {
    let table = args.table.unwrap_or_else(|| args.flows.next_power_of_two().max(1024));
    if args.direction == Direction::Open && args.mode == Mode::Dslite {
        return Err("--direction open: there are no sessions in dslite mode; use --mode ipip".into());
    }
    if !table.is_power_of_two() || table < args.flows {
        return Err(format!("--table {table}: want a power of two that holds {} flows", args.flows));
    }
    if !core_affinity::set_for_current(core_affinity::CoreId { id: args.cpu }) {
        return Err(format!("--cpu {}: no such core, or not allowed to use it", args.cpu));
    }
    let mut rig = Rig::new(args, table)?;
    let tsc_hz = tsc_hz(&rig.clock);
    let lap = args.ring_slots - 1;
    rig.open(lap);
    // As many laps a run as make it long against the counter's own cost.
    let laps = (200_000 / lap).max(1);
    let run = |rig: &mut Rig| match args.direction {
        Direction::Open => rig.reopen(lap) as f64 / f64::from(args.flows),
        other => (0..laps).map(|_| rig.lap(other, lap)).sum::<u64>() as f64 / f64::from(laps * lap),
    };
    run(&mut rig);
    let (mut runs, start) = (Vec::new(), Instant::now());
    while runs.len() < args.runs as usize || start.elapsed().as_secs_f64() < args.seconds {
        runs.push(run(&mut rig));
    }
    let totals = rig.worker.handle().counters.totals();
    let dropped = totals.dropped();
    if dropped > 0 || !totals.add_up() {
        return Err(format!(
            "{dropped} of {} frames were dropped: {:?}",
            totals.received(),
            totals.verdicts().collect::<Vec<(Verdict, u64)>>()
        ));
    }
    runs.sort_by(f64::total_cmp);
    let spread = Spread { best: runs[0], median: runs[runs.len() / 2] };
    Ok(Report {
        mode: args.mode,
        direction: args.direction,
        frame: args.frame,
        flows: args.flows,
        table,
        batch: args.batch,
        cpu: args.cpu,
        runs: runs.len(),
        clocks_per_packet: spread,
        mpps: tsc_hz / spread.best / 1e6,
        tsc_hz,
    })
}

/// For people.
pub fn print(report: &Report) {
    let Report { mode, direction, frame, flows, table, clocks_per_packet: c, mpps, runs, .. } = report;
    println!("{mode:?} {direction:?}, {frame}-byte frames, {flows} flows, table of {table}, {runs} runs");
    println!("  clocks per packet   best {:.1}   median {:.1}", c.best, c.median);
    println!("  packets per second  {mpps:.2} million (best run, TSC {:.0} MHz)", report.tsc_hz / 1e6);
}
