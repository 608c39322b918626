//! `hikyaku demo`: the router at work on captures it brings along, every packet checked.

pub mod border_router;
pub mod client;
pub mod datagram;
mod fixture;
mod play;
mod speed;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Instant;

use clap::Args;
use hikyaku_schema::output::print;
use hikyaku_schema::{Flags, Tuning};
use serde::Serialize;

use crate::capture_router::Mode;
use crate::table::{Table, grouped};
use fixture::FIXTURES;
use play::{Outcome, play};
use speed::Speed;

const WHAT: &str = "\
Every capture is played over two lines:
  dslite   DS-Lite (RFC 6333): no translation here, full-size packets in outer fragments
  ipip     a fixed IPv4 address: translated here, tunnel MTU 1460, larger packets refused

What hosts sent goes in at the LAN. A small border router (test code of its own, which shares no
parser with the packet path) takes the tunnel apart, checks addresses, lengths, checksums, TTL and
that ports are translated consistently, and compares the packet inside with what the host sent.
Then it sends the capture's replies back, and what reaches the host is compared the same way.

Exit code: 0 all is as it should be; 1 something is not, and is described.";

/// What verdicts mean, for whoever sees them for the first time.
const LEGEND: &[(&str, &str)] = &[
    ("reassembled", "outer fragments, put together again"),
    ("too-big", "larger than the tunnel, with DF: the host is told (ICMP 3/4), as often as the rate limit allows"),
    ("ttl-exceeded", "TTL used up on the way: the host is told (ICMP 11/0)"),
    ("ipv4-option", "a source route, or a broken option: not forwarded (RFC 7126)"),
    ("napt-no-session", "answers to what never passed here"),
];

/// Show the router at work on captures it brings along, and check every packet.
///
/// Needs no root, no network card and no network.
#[derive(Args, Debug)]
#[command(after_help = WHAT, after_long_help = WHAT)]
pub struct DemoArgs {
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,

    /// How the worker runs.
    #[command(flatten)]
    pub tuning: Flags<Tuning>,
}

/// One capture over one line.
#[derive(Debug, Serialize)]
struct Row {
    capture: &'static str,
    line: &'static str,
    lan_in: u64,
    wan_in: u64,
    lan_out: u64,
    wan_out: u64,
    checked: u64,
    verdicts: BTreeMap<&'static str, u64>,
    wrong: Option<String>,
}

/// What the whole demo came to: the JSON of `hikyaku demo --json`.
#[derive(Debug, Serialize)]
struct Summary {
    captures: Vec<Row>,
    received: u64,
    checked: u64,
    wall_seconds: f64,
    speed: Speed,
}

/// Plays every capture in its modes, measures the speed, and prints what came of it. An error if a packet was wrong.
pub fn run(args: &DemoArgs) -> anyhow::Result<()> {
    args.tuning.pin_this_thread()?;
    let started = Instant::now();
    let (mut rows, mut received) = (Vec::new(), 0);
    for fixture in FIXTURES {
        for &mode in fixture.modes {
            let outcome = play(fixture, mode, &args.tuning)?;
            received += outcome.totals.received();
            rows.push(Row::new(fixture.name, mode, outcome));
        }
    }
    let summary = Summary {
        checked: rows.iter().map(|r| r.checked).sum(),
        captures: rows,
        received,
        speed: speed::measure(&args.tuning)?,
        wall_seconds: started.elapsed().as_secs_f64(),
    };
    print(if args.json { serde_json::to_string_pretty(&summary)? + "\n" } else { summary.to_string() })?;
    let mut wrong = summary.captures.iter().filter_map(|r| r.wrong.as_ref().map(|w| (r, w)));
    match wrong.next() {
        None => Ok(()),
        Some((row, what)) => {
            let others = wrong.count();
            let more = if others > 0 { format!(" ({others} more captures went wrong)") } else { String::new() };
            anyhow::bail!("demo: {} over {}: {what}{more}", row.capture, row.line)
        }
    }
}

impl Row {
    fn new(capture: &'static str, mode: Mode, outcome: Outcome) -> Self {
        Self {
            capture,
            line: if mode == Mode::Dslite { "dslite" } else { "ipip" },
            lan_in: outcome.frames_in[0],
            wan_in: outcome.frames_in[1],
            lan_out: outcome.frames_out[0],
            wan_out: outcome.frames_out[1],
            checked: outcome.checked,
            verdicts: outcome.totals.verdicts().map(|(v, n)| (v.name(), n)).collect(),
            wrong: outcome.wrong,
        }
    }

    /// Everything that did not simply pass.
    fn why(&self) -> String {
        let passed = |name: &str| matches!(name, "outbound" | "inbound");
        let others: Vec<String> =
            self.verdicts.iter().filter(|(name, _)| !passed(name)).map(|(name, n)| format!("{n} {name}")).collect();
        match &self.wrong {
            Some(_) => format!("WRONG, see below; {}", others.join(", ")),
            None => others.join(", "),
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "LAN hosts -- hikyaku -- tunnel -- border router, on memory rings; numbers are frames\n")?;
        let head =
            ["capture", "line", "LAN in", "WAN out", "WAN in", "LAN out", "datagrams checked", " besides passing"];
        let mut table = Table::new(&head, 2);
        for row in &self.captures {
            let numbers = [row.lan_in, row.wan_out, row.wan_in, row.lan_out, row.checked].map(grouped);
            table.row([row.capture.into(), row.line.into()].into_iter().chain(numbers).chain([row.why()]));
        }
        writeln!(f, "{table}")?;
        for (name, meaning) in LEGEND {
            if self.captures.iter().any(|row| row.verdicts.contains_key(name)) {
                writeln!(f, "  {name:<16}  {meaning}")?;
            }
        }
        let (received, checked) = (grouped(self.received), grouped(self.checked));
        writeln!(
            f,
            "\n{received} frames in, each with one verdict; {checked} datagrams came out right at the other end."
        )?;
        let speed = &self.speed;
        writeln!(
            f,
            "IMIX from the LAN into the tunnel, translated, by one core, without the checks: {:.1} million frames/s, \
             {:.0} clocks each.\nA rough figure from memory to memory, with no network card in it; not a benchmark.",
            speed.frames_per_second / 1e6,
            speed.clocks_per_frame,
        )
    }
}
