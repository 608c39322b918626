//! The flags that every program with workers has.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use hikyaku_dataplane::napt;
use hikyaku_dataplane::path::MAX_BATCH;
use hikyaku_dataplane::tunnel::reassembly::Limits;
use hikyaku_dataplane::worker::{self, Idle};
use hikyaku_ring::memory::MemoryConfig;
use hikyaku_ring::{Headroom, LinkOptions, kernel, xdp};

/// The session table's size where none was asked for: more than a busy home has.
pub const DEFAULT_TABLE: u32 = 1 << 18;

/// How workers use the machine. The defaults suit a whole core per worker.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tuning")]
pub struct TuningArgs {
    /// Cores to pin workers to, such as 2 or 2,3 or 4-7; one worker each. Unset: as many workers as both links
    /// have queues (one where there are no links), where the system puts them.
    #[arg(long, visible_alias = "cpu", value_name = "LIST")]
    pub cores: Option<Cores>,

    /// Most frames that a worker takes from a link in one go.
    #[arg(long, value_name = "N", default_value_t = MAX_BATCH as u16,
        value_parser = clap::value_parser!(u16).range(1..=MAX_BATCH as i64))]
    pub batch: u16,

    /// Slots of each ring: how many frames may wait.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(64..=65536))]
    pub ring_slots: u32,

    /// Sessions that the NAPT table has room for, rounded up to a power of two [default: 262144]
    #[arg(long, visible_alias = "sessions", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=napt::Config::MAX_SESSIONS as i64))]
    pub table: Option<u32>,

    /// What a worker does when no frame waits: `spin` answers soonest, `sleep` leaves the core to others.
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = IdlePolicy::Spin)]
    pub idle: IdlePolicy,

    /// Seconds that the outer fragments of a packet may take, 1 to 60 (RFC 8200 4.5 has 60). Those of a border
    /// router come back to back; what waits longer takes the place of others, 256 packets for a worker.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=60))]
    pub reassembly_timeout: u8,

    /// Of several workers: percent of the tunnel's flows that the one keeps in whose queue they come in; the others have as
    /// many each of the rest [default: 30 of two workers, 10 of three, 0 of more]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub keep_flows: Option<u8>,

    /// Bytes in front of every received frame, for the outer header (it needs 40). 0: none, frames are shifted.
    #[arg(long, value_name = "BYTES", default_value_t = Headroom::DEFAULT_BASE,
        value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub headroom: u16,

    /// Ask for huge pages under rings and session table.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub huge_pages: bool,
}

/// See [`Idle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdlePolicy {
    /// Look again at once.
    Spin,
    /// Let other threads run first.
    Yield,
    /// Sleep until a frame comes.
    Sleep,
}

impl TuningArgs {
    /// What the worker is told.
    pub fn worker(&self) -> worker::Config {
        let idle = match self.idle {
            IdlePolicy::Spin => Idle::Spin,
            IdlePolicy::Yield => Idle::Yield,
            IdlePolicy::Sleep => Idle::Sleep,
        };
        let reassembly = Limits { timeout: Duration::from_secs(self.reassembly_timeout.into()), ..Limits::default() };
        worker::Config { batch: self.batch.into(), idle, reassembly, keep_flows: self.keep_flows, ..Default::default() }
    }

    /// What memory rings are made from.
    pub fn memory(&self) -> MemoryConfig {
        let headroom = self.headroom();
        // A full-size frame with a tag fits behind the largest offset, and buffers start on lines.
        let buf_size = (u32::from(headroom.max()) + 1536).next_multiple_of(64).max(2048);
        MemoryConfig { slots: self.ring_slots, buf_size, headroom, huge_pages: self.huge_pages, ..Default::default() }
    }

    /// How links of the kernel are opened.
    pub fn links(&self) -> LinkOptions {
        let headroom = self.headroom();
        let netmap = kernel::OpenOptions { headroom, slots: Some(self.ring_slots), ..Default::default() };
        // Rings of AF_XDP have a power of two of slots, and headroom of their own.
        let slots = self.ring_slots.next_power_of_two().min(32768);
        let xdp = xdp::OpenOptions { slots, huge_pages: self.huge_pages, ..Default::default() };
        LinkOptions { netmap, xdp }
    }

    fn headroom(&self) -> Headroom {
        if self.headroom == 0 { Headroom::NONE } else { Headroom::new(self.headroom, 8) }
    }

    /// The session table's size; `default` where none was asked for.
    pub fn table_size(&self, default: u32) -> u32 {
        self.table.unwrap_or(default).next_power_of_two().max(napt::Config::MIN_SESSIONS)
    }

    /// Puts the calling thread on the first core given.
    pub fn pin_this_thread(&self) -> Result<(), NoSuchCore> {
        match self.cores.as_ref().and_then(|cores| cores.0.first()) {
            Some(&id) if !core_affinity::set_for_current(core_affinity::CoreId { id }) => Err(NoSuchCore(id)),
            _ => Ok(()),
        }
    }
}

/// A core that this machine has not, or does not let us use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--cores {0}: there is no such core, or it is not ours to use; `lscpu --extended` lists cores")]
pub struct NoSuchCore(usize);

/// Cores, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(pub Vec<usize>);

impl FromStr for Cores {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut cores = Vec::new();
        for part in list.split(',') {
            let number = |text: &str| match text.trim().parse::<usize>() {
                Ok(n) if n < 1024 => Ok(n),
                _ => Err(format!("'{text}' is no core; give numbers and ranges such as 2,4-7")),
            };
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(format!("'{part}' runs backwards; give {last}-{first}"));
            }
            for core in first..=last {
                if cores.contains(&core) {
                    return Err(format!("core {core} is given twice"));
                }
                cores.push(core);
            }
        }
        Ok(Self(cores))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_lists() {
        assert_eq!("2".parse(), Ok(Cores(vec![2])));
        assert_eq!("2,4-6,1".parse(), Ok(Cores(vec![2, 4, 5, 6, 1])));
        for bad in ["", "x", "2,", "5-3", "1,1", "1-3,2", "-1", "99999"] {
            assert!(bad.parse::<Cores>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tables_are_as_asked_for_or_what_suits() {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            tuning: TuningArgs,
        }
        let table = |args: &str| {
            let args = std::iter::once("program").chain(args.split_whitespace());
            <Program as clap::Parser>::try_parse_from(args).map(|program| program.tuning.table_size(5000)).ok()
        };
        for (args, size) in [
            ("", Some(8192)),
            ("--table 1", Some(1024)),
            ("--table 1025 --cpu 3", Some(2048)),
            ("--sessions 8388608", Some(1 << 23)),
            ("--table 8388609", None),
            ("--table 0", None),
        ] {
            assert_eq!(table(args), size, "{args}");
        }
        let command = <Program as clap::CommandFactory>::command();
        let help = command.get_arguments().find(|arg| arg.get_id() == "table").unwrap().get_help().unwrap().to_string();
        assert!(help.contains(&format!("[default: {DEFAULT_TABLE}]")), "{help}");
    }
}
