//! `hikyaku-bench attack`: what attacks do to a thousand established transfers (docs/security.md).

mod enemies;
mod frames;
mod run;

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;
use hikyaku_dataplane::counters::{Event, Totals};
use hikyaku_dataplane::napt;
use hikyaku_schema::Usage;
use hikyaku_schema::output::print;
use serde::Serialize;

use crate::path::{Progress, tsc_hz};
use enemies::{ATTACKS, Attack};
use run::{Field, Tally};

/// Established transfers: 1,000 flows, half TCP, half UDP, half of their packets each way.
const TRANSFERS: u32 = 1000;

/// Sessions that the table of an attacked router holds: few, so that it fills soon.
const TABLE: u32 = 1 << 16;

/// The attack that sends nothing.
const EXPIRY: &str = "expiry";

/// What the attack `expiry` is, in a line.
const EXPIRY_IS: &str = "a table full of sessions whose time is over in the same second";

const EXAMPLES: &str = "\
Examples:
  hikyaku-bench attack --list               all attacks, each in a line
  hikyaku-bench attack                      all of them, half a minute or more
  hikyaku-bench attack fragments-tunnel     this one
  hikyaku-bench attack expiry --sessions 1048576 --json

Exit code: 0 no transfer lost a packet; 1 one did, or something else that left was wrong; 2 a flag is wrong.";

/// Attack a router on memory rings that carries 1,000 transfers, and count what they lose.
///
/// Two routers, in turn: one carries its transfers and, evenly among their packets, three times as many of the
/// attack's; the other as many packets in the same places, all of its transfers. A round fills a ring and no more, so
/// nobody may lose anything for want of room. Clocks per packet and the time of bursts (a worker's turn) are
/// compared between the two: seconds of one machine say little. At the end, the transfers' packets are compared byte
/// by byte with what should leave.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub struct AttackArgs {
    /// Name of the attack to run [default: all of them].
    pub name: Option<String>,
    /// Print the names of all attacks, with what each does, and stop.
    #[arg(long)]
    pub list: bool,
    /// Rounds of each: 1,500 packets of the attack and 1,000 of the transfers.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rounds: u32,
    /// Sessions that expire at once: a power of two.
    #[arg(long, value_name = "N", default_value_t = napt::Config::MAX_SESSIONS, value_parser = sessions)]
    pub sessions: u32,
    /// Print a line of JSON for each.
    #[arg(long)]
    pub json: bool,
}

fn sessions(text: &str) -> Result<u32, String> {
    // Fewer than twice the transfers are no attack on them.
    let fits = |n: &u32| n.is_power_of_two() && (4096..=napt::Config::MAX_SESSIONS).contains(n);
    text.parse().ok().filter(fits).ok_or_else(|| "give a power of two from 4096 to 8388608".into())
}

/// One figure of a quiet router and of an attacked one, and the ratio of the two.
#[derive(Clone, Copy, Debug, Serialize)]
struct Beside {
    quiet: f64,
    attacked: f64,
    ratio: f64,
}

impl Beside {
    fn new(quiet: f64, attacked: f64) -> Self {
        Self { quiet, attacked, ratio: attacked / quiet }
    }
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Serialize)]
struct Lost {
    sent: u64,
    lost: u64,
}

impl Lost {
    fn of((sent, left): (u64, u64)) -> Self {
        Self { sent, lost: sent.saturating_sub(left) }
    }
}

/// What the bystander tried, and how often in vain.
#[derive(Clone, Debug, Serialize)]
struct Others {
    what: &'static str,
    #[serde(flatten)]
    lost: Lost,
}

/// What an attack led to.
#[derive(Clone, Debug, Serialize)]
struct Report {
    attack: &'static str,
    what: &'static str,
    /// Packets of the attack; sessions, where those are it.
    sent: u64,
    /// How all frames of the attacked router ended.
    verdicts: BTreeMap<&'static str, u64>,
    /// Events that the attacked router counted.
    events: BTreeMap<&'static str, u64>,
    transfers: Lost,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<Others>,
    /// The most frames that waited for their packet at a time.
    held: u64,
    /// Median of the rounds.
    clocks_per_packet: Beside,
    /// Clocks of a worker's turn.
    burst_p50: Beside,
    burst_p99: Beside,
    burst_p9999: Beside,
    /// Microseconds of the longest burst but one in 10,000.
    burst_p9999_us: f64,
}

/// The value that this part of them does not exceed.
fn quantile<T: Copy + PartialOrd>(sorted: &[T], part: f64) -> Option<T> {
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(at.clamp(1, sorted.len().max(1)) - 1).copied()
}

impl Report {
    fn new(attack: &Attack, sent: u64, quiet: Tally, attacked: &Field, hz: f64) -> Self {
        let Attack { name, what, bystander, .. } = *attack;
        let others = bystander.map(|one| Others { what: one.what, lost: Lost::of(attacked.tally.bystanders) });
        Self { others, ..Self::of((name, what), sent, quiet, &attacked.tally, attacked.rig.totals(), hz) }
    }

    fn of(
        (attack, what): (&'static str, &'static str),
        sent: u64,
        mut quiet: Tally,
        attacked: &Tally,
        totals: Totals,
        hz: f64,
    ) -> Self {
        let mut attacked = attacked.clone();
        for tally in [&mut quiet, &mut attacked] {
            tally.bursts.sort_unstable();
            tally.per_packet.sort_by(f64::total_cmp);
        }
        let burst = |part| {
            let [quiet, attacked] = [&quiet, &attacked].map(|t| quantile(&t.bursts, part).unwrap_or(0) as f64);
            Beside::new(quiet, attacked)
        };
        let per_packet = [&quiet, &attacked].map(|t| quantile(&t.per_packet, 0.5).unwrap_or(0.0));
        let shown =
            [Event::SessionOpened, Event::IcmpSent, Event::IcmpLimited, Event::Reassembled, Event::PathMtuLearned];
        Self {
            attack,
            what,
            sent,
            verdicts: totals.verdicts().map(|(verdict, n)| (verdict.name(), n)).collect(),
            events: shown.into_iter().map(|e| (e.name(), totals.event(e))).filter(|&(_, n)| n > 0).collect(),
            transfers: Lost::of(attacked.transfers),
            others: None,
            held: attacked.held,
            clocks_per_packet: Beside::new(per_packet[0], per_packet[1]),
            burst_p50: burst(0.5),
            burst_p99: burst(0.99),
            burst_p9999: burst(0.9999),
            burst_p9999_us: burst(0.9999).attacked / hz * 1e6,
        }
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let list = |counts: &BTreeMap<&str, u64>| {
            counts.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
        };
        writeln!(to, "{}: {}", self.attack, self.what)?;
        writeln!(to, "  sent       {}", self.sent)?;
        writeln!(to, "  transfers  {} packets, {} lost", self.transfers.sent, self.transfers.lost)?;
        if let Some(Others { what, lost }) = &self.others {
            writeln!(to, "  others     {what}: {} times, {} failed", lost.sent, lost.lost)?;
        }
        writeln!(to, "  verdicts   {}", list(&self.verdicts))?;
        if !self.events.is_empty() {
            writeln!(to, "  events     {}", list(&self.events))?;
        }
        if self.held > 0 {
            writeln!(to, "  held       {} frames at most", self.held)?;
        }
        let Beside { quiet, attacked, ratio } = self.clocks_per_packet;
        writeln!(to, "  clocks     {attacked:.0} a packet, {quiet:.0} without the attack: {ratio:.2}")?;
        let [p50, p99, p9999] = [self.burst_p50, self.burst_p99, self.burst_p9999].map(|burst| burst.ratio);
        writeln!(
            to,
            "  bursts     p50 {p50:.2}, p99 {p99:.2}, p99.99 {p9999:.2} times as long ({:.0} us)",
            self.burst_p9999_us
        )
    }
}

/// Runs an attack: a quiet router and an attacked one, in turn.
fn attack(attack: &Attack, args: &AttackArgs, hz: f64) -> anyhow::Result<Report> {
    let mut progress = Progress::new(attack.name);
    let [quiet, attacked] = run::attack(attack, args.rounds, |part| progress.is(part))?;
    drop(progress);
    let sent = u64::from(args.rounds) * run::PER_ROUND as u64;
    Ok(Report::new(attack, sent, quiet.tally, &attacked, hz))
}

/// Fills a table, and lets time pass.
fn expiry(args: &AttackArgs, hz: f64) -> anyhow::Result<Report> {
    let mut progress = Progress::new(EXPIRY);
    let (field, before, ended) = run::expiry(args.sessions, |part| progress.is(part))?;
    drop(progress);
    Ok(Report::of((EXPIRY, EXPIRY_IS), ended, before, &field.tally, field.rig.totals(), hz))
}

/// Runs them and prints.
pub fn run(args: &AttackArgs) -> anyhow::Result<()> {
    if args.list {
        let attacks = ATTACKS.iter().map(|attack| (attack.name, attack.what)).chain([(EXPIRY, EXPIRY_IS)]);
        let lines: String = attacks.map(|(name, what)| format!("{name:<23} {what}\n")).collect();
        return Ok(print(lines)?);
    }
    let wanted = |name: &str| args.name.as_deref().is_none_or(|wanted| wanted == name);
    let chosen: Vec<_> = ATTACKS.iter().filter(|attack| wanted(attack.name)).collect();
    if chosen.is_empty() && !wanted(EXPIRY) {
        let name = args.name.as_deref().unwrap_or_default();
        return Err(Usage(format!("attack: there is none called '{name}'; see `hikyaku-bench attack --list`")).into());
    }
    if let Some(core) = core_affinity::get_core_ids().and_then(|ids| ids.last().copied()) {
        core_affinity::set_for_current(core);
    }
    let hz = tsc_hz(&quanta::Clock::new());
    let mut hurt = Vec::new();
    let mut show = |report: Report| -> anyhow::Result<()> {
        let mut text = Vec::new();
        match args.json {
            true => writeln!(text, "{}", serde_json::to_string(&report)?)?,
            false => report.write(&mut text)?,
        }
        print(text)?;
        if report.transfers.lost > 0 {
            hurt.push(report.attack);
        }
        Ok(())
    };
    for one in chosen {
        show(attack(one, args, hz)?)?;
    }
    if wanted(EXPIRY) {
        show(expiry(args, hz)?)?;
    }
    match hurt.is_empty() {
        true => Ok(()),
        false => Err(anyhow::anyhow!("transfers lost packets: {}", hurt.join(", "))),
    }
}
