//! `hikyaku-bench veth`: the rate from end to end, over AF_XDP on veth, beside the kernel's own masquerade.
//!
//! ```text
//! this program -- host ~ lan [router] wan ~ line -- this program
//! ```
//!
//! All of it is in a network namespace that is made for it. The same program sends into `host` and counts at `line`, the same
//! frames each time; what is between differs, one after the other. `net` makes the namespace, `router` puts one of them between,
//! `run` sends and counts.

mod net;
mod router;
mod run;

use hikyaku_schema::output::{complain, print};
use hikyaku_schema::{Flags, Tuning, Usage};
use serde::{Deserialize, Serialize};

use clap::Args;

use router::Router;
use run::{Ends, Load};

const EXAMPLES: &str = "\
Examples:
  hikyaku-bench veth                           two cores: the worker on the last one, what sends on the first
  hikyaku-bench veth --flows 100000 --seconds 10
  hikyaku-bench veth --json | jq -r '[.router, .mpps] | @tsv'

It needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF) and the programs unshare, ip and nft.

Exit code: 0 it was measured; 1 it cannot be measured here, or nothing came through; 2 a flag is wrong.";

/// Measure the rate from end to end over veth, beside the kernel's own masquerade; needs root
///
/// Two loads each. Of the one, so many frames are under way at a time, so that nothing is lost for want of room: what it
/// carries is the rate. The other sends as fast as it can: what is lost is told, and who has counted it. Hikyaku encapsulates
/// besides translating, the kernel only translates. The kernel forwards on the sender's core, or with RPS on the worker's.
///
/// A veth copies every frame, and the one that sends has work with each, too: the figures are of this machine, and mean
/// something beside each other.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub struct VethArgs {
    /// Length of the LAN's frame in bytes, without FCS.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(60..=1474))]
    pub frame: u16,
    /// Flows, all UDP.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub flows: u32,
    /// Frames under way at a time, of the load that loses none.
    #[arg(long, value_name = "N", default_value_t = 192, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub window: u32,
    /// Seconds of each load.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Print a line of JSON for each row.
    #[arg(long)]
    pub json: bool,
    /// The keys of `[tuning]`. Of two cores the first is the worker's, the other the sender's.
    #[command(flatten)]
    pub tuning: Flags<Tuning>,
    /// We are in the namespace that was made for us.
    #[arg(long, hide = true)]
    pub inside: bool,
}

/// What came of one load through one router: a row, and the JSON of `--json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    /// `hikyaku`, `kernel` or `kernel-rps`.
    router: String,
    /// `window`, where the next frame waits for one that came, or `flood`.
    load: String,
    /// Bytes of the LAN's frame.
    frame: u16,
    flows: u32,
    /// Frames that were sent.
    sent: u64,
    /// Frames that came out at the other end.
    carried: u64,
    /// Those that did not.
    lost: u64,
    /// Millions of frames a second that came out.
    mpps: f64,
    /// Of the lost, what the kernel says that it dropped, by who counted.
    dropped: Vec<(String, u64)>,
}

/// Measures, and prints a table or lines of JSON.
pub fn run(args: &VethArgs) -> anyhow::Result<()> {
    if !args.inside {
        return net::in_namespace();
    }
    let [worker, sender] = args.cores()?;
    net::build()?;
    let mut ends = Ends::open(args, sender)?;
    let mut rows = Vec::new();
    for router in [Router::Hikyaku, Router::Kernel, Router::KernelRps] {
        let running = router.start(args, worker)?;
        ends.warm_up()?;
        for load in [Load::Window(args.window), Load::Flood] {
            rows.push(ends.run(router, load)?);
        }
        running.stop()?;
    }
    match args.json {
        true => rows.iter().try_for_each(|row| print(format!("{}\n", serde_json::to_string(row)?)).map_err(Into::into)),
        false => Ok(print(table(&rows))?),
    }
}

impl VethArgs {
    /// The worker's core and the sender's.
    fn cores(&self) -> anyhow::Result<[usize; 2]> {
        let cores = match &self.tuning.cores {
            Some(cores) => cores.0.clone(),
            None => core_affinity::get_core_ids().unwrap_or_default().iter().rev().map(|core| core.id).collect(),
        };
        match cores[..] {
            [worker, sender, ..] => Ok([worker, sender]),
            [one] => {
                complain(format_args!("hikyaku-bench: one core for the worker and what sends: they share it\n"));
                Ok([one, one])
            }
            [] => Err(Usage("--cores 0,1: give the worker's core and the sender's".into()).into()),
        }
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<11} {:<7} {:>8} {:>12} {:>12} {:>12} {:>7}  dropped by\n",
        "router", "load", "Mpps", "sent", "carried", "lost", "%"
    );
    for row in rows {
        let dropped: Vec<String> = row.dropped.iter().map(|(who, n)| format!("{who} {n}")).collect();
        let share = 100.0 * row.lost as f64 / row.sent.max(1) as f64;
        text += &format!(
            "{:<11} {:<7} {:>8.3} {:>12} {:>12} {:>12} {share:>7.2}  {}\n",
            row.router,
            row.load,
            row.mpps,
            row.sent,
            row.carried,
            row.lost,
            dropped.join(", ")
        );
    }
    text
}
