//! `hikyaku-bench path`: clocks per packet of the complete path on memory rings.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use hikyaku_dataplane::napt::Direction as Way;
use hikyaku_schema::output::{print, progress};
use hikyaku_schema::{Cores, Flags, Tuning, Usage};
use serde::Serialize;

use crate::rig::{Mode, Rig, Shape};
use crate::shape::{CUT, PacketShape, WHOLE};
use crate::traffic::MAX_FLOWS;
use hikyaku_dataplane::rules::MAX_RULES;
use hikyaku_dataplane::shared::MAX_WORKERS;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// From the LAN into the tunnel
    Outbound,
    /// From the tunnel to the LAN
    Inbound,
    /// As many packets each way, in the same turns.
    Both,
    /// LAN to tunnel, every packet the first of its flow: opening sessions. Every run begins with
    /// an empty table.
    Open,
}

impl Direction {
    fn ways(self) -> &'static [Way] {
        match self {
            Self::Outbound | Self::Open => &[Way::Outbound],
            Self::Inbound => &[Way::Inbound],
            Self::Both => &[Way::Outbound, Way::Inbound],
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  Small packets both ways, with NAPT:
    hikyaku-bench path --mode ipip --direction both --flows 65536

  A million sessions, where the table is far larger than the caches:
    hikyaku-bench path --direction inbound --flows 1048576

  How fast sessions are opened:
    hikyaku-bench path --direction open --flows 65536

  Two workers, beside one alone:
    hikyaku-bench path --direction inbound --workers 2 --cpu 0,1

  What a thousand rules cost a session that is opened, and a packet of DS-Lite:
    hikyaku-bench path --direction open --rules 1000
    hikyaku-bench path --mode dslite --rules 1000

  What a packet of WireGuard's costs that has to be cut, beside one that need not:
    hikyaku-bench path --shape fragment-out

  Before and after a change: alternate, and compare the best ones.
    for i in 1 2 3; do ./old path --json; ./new path --json; done | jq .clocks_per_packet.best

Exit code: 0 it was measured, and all that left was right; 1 the path did something wrong;
2 a flag is wrong.";

/// Measure the complete packet path on memory rings; needs no network card and no root.
///
/// Frames are written into the receive rings as cards would (not counted), the worker's turns are
/// timed by the time stamp counter until the rings are empty, and what left is taken out (not
/// counted). A run is at least 200,000 packets of flows in random order, of several workers or beside plain ones 20,000. At the end one more lap is
/// checked byte by byte, and the counters have to add up: what is wrong has no speed.
///
/// Machines drift with heat, neighbours and luck. Compare runs of one sitting, as a ratio of their
/// best clocks per packet.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = EXAMPLES,
    mut_arg("cores", |a| a.help("Cores to measure on, one for each worker [default: the last ones]")),
    mut_arg("table", |a| a.help(
        "Sessions that the NAPT table has room for, rounded up to a power of two [default: the smallest that holds the flows]"
    )),
    mut_arg("idle", |a| a.help("Without effect here, where frames always wait")),
)]
pub struct PathArgs {
    /// What is forwarded: by DS-Lite, by IPv4 over IPv6 with a fixed IPv4 address, or as native IPv6.
    #[arg(long, value_enum, default_value_t = Mode::Ipip)]
    pub mode: Mode,
    /// Which way packets go [default: outbound, or the only way of such a shape].
    #[arg(long, value_enum)]
    pub direction: Option<Direction>,
    /// In what shape packets come. Beside any but plain ones, plain ones are measured in turn: as long, or of 1460 bytes.
    #[arg(long, value_enum, default_value_t)]
    pub shape: PacketShape,
    /// Rules of the operator, of which a packet fits the last alone; beside them none are measured, in turn. Asked are those
    /// about sessions when one is opened (--direction open), and with dslite about each packet outbound.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=MAX_RULES as i64))]
    pub rules: u16,
    /// Length of the LAN's frame in bytes, without FCS; the tunnel's is 40 more, that of native IPv6 20, and all fit a
    /// line with an MTU of 1500 [default: 60; what is cut has a length of its own].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(60..=1474))]
    pub frame: Option<u16>,
    /// Flows, half TCP (established), half UDP.
    #[arg(long, value_name = "N", default_value_t = 65536, value_parser = clap::value_parser!(u32).range(1..=MAX_FLOWS as i64))]
    pub flows: u32,
    /// Workers, each on a core of its own; beside them one alone is measured, in turn. What comes through the tunnel
    /// comes in by the first one's queue, which hands it on; what the LAN sends is spread over all queues.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=MAX_WORKERS as i64))]
    pub workers: u16,
    /// Runs to make at least, of each measurement.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: u32,
    /// Seconds to measure at least.
    #[arg(long, value_name = "N", default_value = "2", allow_negative_numbers = true, value_parser = seconds)]
    pub seconds: f64,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// The keys of `[tuning]`.
    #[command(flatten)]
    pub tuning: Flags<Tuning>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s| (0.0..=86400.0).contains(s));
    seconds.ok_or_else(|| "give seconds from 0 to 86400, such as 0.5".into())
}

/// Best and median of the runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    best: f64,
    median: f64,
}

/// What was measured, and with what: the JSON of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    mode: String,
    direction: String,
    shape: String,
    rules: u16,
    frame: usize,
    flows: u32,
    /// `None` where there is no NAPT.
    table: Option<u32>,
    batch: u16,
    ring_slots: u32,
    headroom: u16,
    huge_pages: bool,
    workers: usize,
    cpu: Vec<usize>,
    runs: usize,
    clocks_per_packet: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain: Option<Plain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Beside>,
    /// Of the best run.
    mpps: f64,
    /// Of the best run, where every packet opens one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions_per_second: Option<f64>,
    tsc_hz: f64,
    /// Frames that were compared with what should have left.
    checked: u32,
}

/// What plain packets took beside those of a shape, run for run.
#[derive(Clone, Copy, Debug, Serialize)]
struct Plain {
    /// Length of the LAN's frame.
    frame: usize,
    clocks_per_packet: Spread,
    /// How many times as long a packet takes as plain ones of as many frames.
    times: Times,
}

/// Ratios, of each run to its neighbour.
#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    median: f64,
    /// The middle half of all runs lies between these.
    quartiles: [f64; 2],
    /// Best run to best run.
    best: f64,
}

/// What one worker did beside several.
#[derive(Clone, Copy, Debug, Serialize)]
struct Beside {
    /// Clocks per packet of one worker alone.
    one_worker: Spread,
    /// How many times as many packets the best run of all workers carried.
    scaling: f64,
    /// Packets that found the ring to their worker full, of all that were sent to all workers.
    lost: u64,
}

impl Spread {
    /// Of these, one at least.
    fn of(mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        Self { best: runs[0], median: runs[runs.len() / 2] }
    }
}

impl Plain {
    /// Of these runs, the first beside the first of `shaped`, whose packets come in so many frames.
    fn of(frame: usize, runs: Vec<f64>, shaped: &[f64], frames_in: u32) -> Self {
        let mut ratios: Vec<f64> =
            shaped.iter().zip(&runs).map(|(shaped, plain)| shaped / (plain * f64::from(frames_in))).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |quarter: usize| ratios[(ratios.len() - 1) * quarter / 4];
        let (clocks_per_packet, best) = (Spread::of(runs), Spread::of(shaped.to_vec()).best);
        let times = Times {
            median: at(2),
            quartiles: [at(1), at(3)],
            best: best / (clocks_per_packet.best * f64::from(frames_in)),
        };
        Self { frame, clocks_per_packet, times }
    }
}

/// Ticks of the time stamp counter per second.
pub(crate) fn tsc_hz(clock: &quanta::Clock) -> f64 {
    let (start, raw) = (Instant::now(), clock.raw());
    std::thread::sleep(Duration::from_millis(100));
    (clock.raw() - raw) as f64 / start.elapsed().as_secs_f64()
}

/// The name of a flag's value.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is skipped").get_name().into()
}

/// Tells a person at a terminal that it goes on, from the first second of waiting.
pub(crate) struct Progress {
    what: &'static str,
    began: Instant,
    shown: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, began: Instant::now(), shown: None }
    }

    pub(crate) fn is(&mut self, part: f64) {
        let now = Instant::now();
        let next = self.shown.map_or(self.began + Duration::from_secs(1), |shown| shown + Duration::from_millis(200));
        if now >= next && io::stderr().is_terminal() {
            progress(format_args!("\r{}: {:.0} %", self.what, part * 100.0));
            self.shown = Some(now);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            progress("\r\x1b[K");
        }
    }
}

impl PathArgs {
    /// The session table's size.
    fn table(&self) -> Result<u32, Usage> {
        let table = self.tuning.table_size(self.flows);
        if self.mode != Mode::Dslite && table < self.flows {
            return Err(Usage(format!(
                "--table {table} has no room for {flows} flows; leave it out, or give --flows {table}",
                flows = self.flows
            )));
        }
        Ok(table)
    }

    /// A core for each worker.
    fn cores(&self) -> Result<Vec<usize>, Usage> {
        let workers = usize::from(self.workers);
        match &self.tuning.cores {
            Some(all @ Cores(cores)) if cores.len() != workers => {
                let text = match workers {
                    1 => format!(
                        "--cpu {all}: one worker is measured on one core; give --cpu {}, or --workers {}",
                        cores[0],
                        cores.len()
                    ),
                    _ => format!("--cpu {all}: {workers} workers need {workers} cores"),
                };
                Err(Usage(text))
            }
            Some(Cores(cores)) => Ok(cores.clone()),
            None => {
                let ids: Vec<usize> =
                    core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
                match ids.len().checked_sub(workers) {
                    Some(from) => Ok(ids[from..].to_vec()),
                    None if workers == 1 => Ok(vec![0]),
                    None => Err(Usage(format!("--workers {workers}: there are {} cores here", ids.len()))),
                }
            }
        }
    }

    /// Which way packets go.
    fn direction(&self) -> Result<Direction, Usage> {
        let only = self.shape.way().map(|way| match way {
            Way::Outbound => Direction::Outbound,
            Way::Inbound => Direction::Inbound,
        });
        match (self.direction, only) {
            (Some(asked), Some(only)) if asked != only => {
                let (shape, asked, only) = (name(self.shape), name(asked), name(only));
                Err(Usage(format!("--direction {asked}: --shape {shape} goes {only} only; leave --direction out")))
            }
            (asked, only) => Ok(asked.or(only).unwrap_or(Direction::Outbound)),
        }
    }

    /// Length of the LAN's frame, and of a plain one beside it.
    fn frames(&self) -> Result<(usize, usize), Usage> {
        match (self.shape.is_cut(), self.frame) {
            (true, Some(frame)) => {
                let text = format!("--frame {frame}: --shape {} has one of {CUT}; leave it out", name(self.shape));
                Err(Usage(text))
            }
            (true, None) => Ok((CUT, WHOLE)),
            (false, frame) => Ok((frame.unwrap_or(60).into(), frame.unwrap_or(60).into())),
        }
    }

    /// What can be measured together.
    fn check(&self, direction: Direction) -> Result<(), Usage> {
        if self.mode == Mode::Ipv6 && self.shape != PacketShape::Plain {
            let shape = name(self.shape);
            return Err(Usage(format!("--shape {shape}: --mode ipv6 has no tunnel; use --mode ipip or dslite")));
        }
        let text = match (direction, self.mode, self.workers) {
            (Direction::Open, Mode::Dslite, _) => "--mode dslite has no sessions to open; use --mode ipip",
            (Direction::Open, _, 2..) => "sessions are opened by one worker at a time; leave --workers out",
            _ => return Ok(()),
        };
        Err(Usage(format!("--direction open: {text}")))
    }

    /// Measures as the arguments say. An error if what left was not what should have.
    fn measure(&self) -> anyhow::Result<Report> {
        let (direction, (frame, plain_frame)) = (self.direction()?, self.frames()?);
        self.check(direction)?;
        let (table, cpu) = (self.table()?, self.cores()?);
        Tuning { cores: Some(Cores(cpu.clone())), ..self.tuning.0.clone() }.pin_this_thread()?;
        let shape = Shape {
            mode: self.mode,
            packets: self.shape,
            rules: self.rules,
            frame,
            flows: self.flows,
            table,
            memory: self.tuning.memory(),
            worker: self.tuning.worker(),
            workers: cpu.len(),
        };
        let mut rig = Rig::new(shape)?;
        // Those beside it: one worker alone, plain packets without rules.
        let alone = if cpu.len() > 1 { Some(Rig::new(Shape { workers: 1, ..shape })?) } else { None };
        let plain = Shape { packets: PacketShape::Plain, rules: 0, frame: plain_frame, ..shape };
        let is_plain = self.shape == PacketShape::Plain && self.rules == 0;
        let plain = if is_plain { None } else { Some(Rig::new(plain)?) };
        let [mut alone, mut plain] = [alone, plain].map(|rig| rig.map(|rig| (rig, Vec::new())));
        let tsc_hz = tsc_hz(rig.clock());
        let mut progress = Progress::new("opening sessions");
        rig.open(|part| progress.is(part))?;
        for (rig, _) in alone.iter_mut().chain(&mut plain) {
            rig.open(|part| progress.is(part))?;
        }
        drop(progress);

        let (ways, several) = (direction.ways(), alone.is_some());
        // As many laps a run as make it long against the counter's own cost; of several workers or rigs not many more, so
        // that there are runs in which nobody else was on any of their cores.
        let short = several || plain.is_some();
        let run = |rig: &mut Rig| -> anyhow::Result<f64> {
            let lap = rig.lap_len();
            let laps = if short { 20_000u32 } else { 200_000 }.div_ceil(lap);
            if direction == Direction::Open {
                return Ok(rig.reopen()? as f64 / f64::from(self.flows));
            }
            if several {
                let laps = rig.laps_at_once(ways, laps, &cpu);
                // What found a handoff ring full was not carried.
                return Ok(laps.clocks as f64 / laps.carried());
            }
            let clocks = (0..laps).map(|_| rig.lap(ways)).sum::<Result<u64, _>>()?;
            Ok(clocks as f64 / f64::from(laps * lap))
        };
        run(&mut rig)?;
        plain.as_mut().map(|(rig, _)| run(rig)).transpose()?;
        let (mut runs, start) = (Vec::new(), Instant::now());
        let mut progress = Progress::new("measuring");
        while runs.len() < self.runs as usize || start.elapsed().as_secs_f64() < self.seconds {
            let (by_runs, by_time) =
                (runs.len() as f64 / f64::from(self.runs), start.elapsed().as_secs_f64() / self.seconds);
            progress.is(by_runs.min(by_time).min(1.0));
            runs.push(run(&mut rig)?);
            for (rig, runs) in alone.iter_mut().chain(&mut plain) {
                runs.push(run(rig)?);
            }
        }
        drop(progress);
        let checked = rig.check(ways, direction == Direction::Open)?;
        rig.check_counters()?;

        let plain = plain.map(|(_, plain)| Plain::of(plain_frame, plain, &runs, self.shape.frames_in()));
        let (count, spread) = (runs.len(), Spread::of(runs));
        let per_second = tsc_hz / spread.best;
        let beside = alone.map(|(_, alone)| {
            let one_worker = Spread::of(alone);
            Beside { one_worker, scaling: one_worker.best / spread.best, lost: rig.lost() }
        });
        Ok(Report {
            mode: name(self.mode),
            direction: name(direction),
            shape: name(self.shape),
            rules: self.rules,
            frame,
            flows: self.flows,
            table: (self.mode != Mode::Dslite).then_some(table),
            batch: self.tuning.batch,
            ring_slots: self.tuning.ring_slots,
            headroom: self.tuning.headroom,
            huge_pages: self.tuning.huge_pages,
            workers: cpu.len(),
            cpu,
            runs: count,
            clocks_per_packet: spread,
            plain,
            beside,
            mpps: per_second / 1e6,
            sessions_per_second: (direction == Direction::Open).then_some(per_second),
            tsc_hz,
            checked,
        })
    }
}

impl Report {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let Spread { best, median } = self.clocks_per_packet;
        let table = self.table.map_or("no table".into(), |table| format!("table of {table}"));
        writeln!(
            to,
            "{} {}: {}{}{}-byte frames, {} flows, {table}, {} worker{} on core {}",
            self.mode,
            self.direction,
            if self.shape == name(PacketShape::Plain) { String::new() } else { format!("{}, ", self.shape) },
            if self.rules > 0 { format!("{} rules, ", self.rules) } else { String::new() },
            self.frame,
            self.flows,
            self.workers,
            if self.workers == 1 { "" } else { "s" },
            Cores(self.cpu.clone())
        )?;
        writeln!(to, "  clocks per packet    best {best:.1}   median {median:.1}   of {} runs", self.runs)?;
        writeln!(
            to,
            "  packets per second   {:.2} million{} (best run; {:.0} MHz time stamp counter)",
            self.mpps,
            if self.direction == name(Direction::Both) { ", both ways together" } else { "" },
            self.tsc_hz / 1e6
        )?;
        if let Some(Plain { frame, clocks_per_packet: Spread { best, median }, times }) = &self.plain {
            let Times { median: usual, quartiles: [low, high], best: of_best } = times;
            writeln!(to, "  plain ones beside    best {best:.1}   median {median:.1}   of {frame} bytes")?;
            writeln!(
                to,
                "  times plain          median {usual:.2}   middle half {low:.2} to {high:.2}   best to best {of_best:.2}{}",
                if self.shape == name(PacketShape::FragmentIn) { "   (two fragments to two packets)" } else { "" }
            )?;
        }
        if let Some(Beside { one_worker, scaling, lost }) = &self.beside {
            writeln!(to, "  one worker alone     best {:.1}   median {:.1}", one_worker.best, one_worker.median)?;
            writeln!(
                to,
                "  scaling              {scaling:.2} times one worker; {lost} packets found a handoff ring full"
            )?;
        }
        if let Some(sessions) = self.sessions_per_second {
            writeln!(to, "  sessions per second  {:.2} million", sessions / 1e6)?;
        }
        if self.plain.is_none() {
            // Preamble, FCS and gap are 24 bytes, the outer header 40.
            let line = 10e9 / (8.0 * (self.frame as f64 + 40.0 + 24.0)) / 1e6;
            writeln!(to, "  a 10G line carries   {line:.2} million of these a second, each way")?;
        }
        writeln!(to, "  checked              {} frames, byte by byte", self.checked)?;
        writeln!(to, "Machines drift: compare best with best, as a ratio, in one sitting.")
    }
}

/// Measures and prints the result as a table or as JSON.
pub fn run(args: &PathArgs) -> anyhow::Result<()> {
    let report = args.measure()?;
    let mut text = Vec::new();
    match args.json {
        true => writeln!(text, "{}", serde_json::to_string(&report)?)?,
        false => report.write(&mut text)?,
    }
    Ok(print(text)?)
}
