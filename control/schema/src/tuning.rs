//! The flags that every program with workers has.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hikyaku_dataplane::napt;
use hikyaku_dataplane::path::MAX_BATCH;
use hikyaku_dataplane::tunnel::reassembly::Limits;
use hikyaku_dataplane::worker;
pub use hikyaku_dataplane::worker::Idle;
use hikyaku_ring::memory::MemoryConfig;
use hikyaku_ring::xdp::Attach;
use hikyaku_ring::{Headroom, LinkOptions, kernel, xdp};

use crate::key::{Change::Restart, Key, Keys, Syntax::*, field, key};
use crate::value::{Words, boolean, number, one_of, words};

/// The session table's size where none was asked for: more than a busy home has.
pub const DEFAULT_TABLE: u32 = 1 << 18;

/// How workers use the machine: section `[tuning]`. The defaults suit a whole core per worker.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The cores that workers are pinned to, one worker each. `None`: as many workers as both links have queues, where
    /// the system puts them.
    pub cores: Option<Cores>,
    /// The most frames that a worker takes from a link in one go.
    pub batch: u16,
    /// Slots of each ring.
    pub ring_slots: u32,
    /// Sessions that the NAPT's table has room for, and the native IPv6 filter's; [`Self::table_size`] makes a power of two of it.
    pub table: Option<u32>,
    /// What a worker does when no frame waits.
    pub idle: Idle,
    /// Seconds that the outer fragments of a packet may take, 1 to 60.
    pub reassembly_timeout: u8,
    /// Percent of the tunnel's flows that stay with the worker in whose queue they come in.
    pub keep_flows: Option<u8>,
    /// Bytes in front of every received frame; 0: none, frames are shifted.
    pub headroom: u16,
    /// Whether to ask for huge pages under rings and session table.
    pub huge_pages: bool,
    /// Where AF_XDP's program runs; `None`: in the driver if that can.
    pub xdp_mode: Option<Attach>,
}

const IDLE: &Words<Idle> =
    &[("adaptive", Idle::Adaptive), ("spin", Idle::Spin), ("yield", Idle::Yield), ("sleep", Idle::Sleep)];

const XDP_MODE: &Words<Option<Attach>> =
    &[("auto", None), ("native", Some(Attach::Native)), ("generic", Some(Attach::Generic))];

impl Keys for Tuning {
    const HEADING: &'static str = "Tuning";

    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("cores", One("LIST"), Restart, field!(cores, Cores::from_str),
            "Cores to pin workers to, such as 2 or 2,3 or 4-7; one worker each. Unset: as many workers as both links \
             have queues (one where there are no links), where the system puts them").flag("--cores").alias("--cpu"),
        key("batch", One("N"), Restart, field!(batch, number(1..=MAX_BATCH as u16)),
            "Most frames that a worker takes from a link in one go, 1 to 256").flag("--batch").default("256"),
        key("ring-slots", One("N"), Restart, field!(ring_slots, number(64u32..=65536)),
            "Slots of each ring, 64 to 65536: how many frames may wait").flag("--ring-slots").default("2048"),
        key("table", One("N"), Restart, field!(table, number(1..=napt::Config::MAX_SESSIONS)),
            "Sessions that the NAPT's table has room for, and the native IPv6 filter's; rounded up to a power of two \
             [default: 262144]")
            .flag("--table").alias("--sessions"),
        key("idle", OneOf("POLICY", || words(IDLE)), Restart, field!(idle, one_of(IDLE)),
            "What a worker does when no frame waits: `adaptive` spins while frames come densely and sleeps when they do \
             not, `spin` always answers soonest and takes a whole core, `sleep` leaves it to others at once")
            .flag("--idle").default("adaptive"),
        key("reassembly-timeout", One("SECONDS"), Restart, field!(reassembly_timeout, number(1u8..=60)),
            "Seconds that the outer fragments of a packet may take, 1 to 60 (RFC 8200 4.5 has 60). Those of a border \
             router come back to back; what waits longer takes the place of others, 256 packets for a worker")
            .flag("--reassembly-timeout").default("2"),
        key("keep-flows", One("PERCENT"), Restart, field!(keep_flows, number(0u8..=100)),
            "Of several workers: percent of the tunnel's flows that the one keeps in whose queue they come in; the \
             others have as many each of the rest [default: 30 of two workers, 10 of three, 0 of more]")
            .flag("--keep-flows"),
        key("headroom", One("BYTES"), Restart, field!(headroom, number(0u16..=1024)),
            "Bytes in front of every received frame, for the outer header (it needs 40). 0: none, frames are shifted")
            .flag("--headroom").default("64"),
        key("huge-pages", Bool, Restart, field!(huge_pages, boolean),
            "Ask for huge pages under rings and session table").flag("--huge-pages").default("true"),
        key("xdp-mode", OneOf("MODE", || words(XDP_MODE)), Restart, field!(xdp_mode, one_of(XDP_MODE)),
            "Where the program of AF_XDP links (xdp:IF) runs: `native` in the driver, `generic` at the entrance of the \
             host's stack, which every device can and is slower, `auto` in the driver where that works")
            .flag("--xdp-mode").default("auto"),
    ];

    fn blank() -> Self {
        let (cores, table, keep_flows) = (None, None, None);
        let (batch, ring_slots, reassembly_timeout, headroom) = (0, 0, 0, 0);
        let (idle, huge_pages, xdp_mode) = (Idle::Spin, false, None);
        Self { cores, batch, ring_slots, table, idle, reassembly_timeout, keep_flows, headroom, huge_pages, xdp_mode }
    }
}

impl Tuning {
    /// What the worker is told.
    pub fn worker(&self) -> worker::Config {
        let reassembly = Limits { timeout: Duration::from_secs(self.reassembly_timeout.into()), ..Limits::default() };
        worker::Config {
            batch: self.batch.into(),
            idle: self.idle,
            reassembly,
            keep_flows: self.keep_flows,
            ..Default::default()
        }
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
        let xdp = xdp::OpenOptions { attach: self.xdp_mode, slots, huge_pages: self.huge_pages, ..Default::default() };
        LinkOptions { netmap, xdp }
    }

    fn headroom(&self) -> Headroom {
        if self.headroom == 0 { Headroom::NONE } else { Headroom::new(self.headroom, 8) }
    }

    /// The session table's size; `default` where none was asked for.
    pub fn table_size(&self, default: u32) -> u32 {
        self.table.unwrap_or(default).next_power_of_two().max(napt::Config::MIN_SESSIONS)
    }

    /// The cores given that this machine has not, or does not let us use.
    pub fn missing_cores(&self) -> Vec<usize> {
        self.cores.as_ref().map(|cores| worker::missing_cores(&cores.0)).unwrap_or_default()
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
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::flags::Flags;

    #[test]
    fn core_lists() {
        assert_eq!("2".parse(), Ok(Cores(vec![2])));
        assert_eq!("2,4-6,1".parse(), Ok(Cores(vec![2, 4, 5, 6, 1])));
        for bad in ["", "x", "2,", "5-3", "1,1", "1-3,2", "-1", "99999"] {
            assert!(bad.parse::<Cores>().is_err(), "{bad}");
        }
    }

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        tuning: Flags<Tuning>,
    }

    #[test]
    fn tables_are_as_asked_for_or_what_suits() {
        let table = |args: &str| {
            let args = std::iter::once("program").chain(args.split_whitespace());
            Program::try_parse_from(args).map(|program| program.tuning.table_size(5000)).ok()
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
    }

    #[test]
    fn flags_and_what_holds_without_them() {
        Program::command().debug_assert();
        let given = "p --cpu 2,3 --batch=7 --idle sleep --huge-pages false --keep-flows 0 --xdp-mode generic";
        let Flags(tuning) = Program::try_parse_from(given.split(' ')).unwrap().tuning;
        assert!(matches!(tuning.idle, Idle::Sleep) && !tuning.huge_pages);
        assert_eq!((tuning.links().xdp.attach, Tuning::defaults().xdp_mode), (Some(Attach::Generic), None));
        assert_eq!((tuning.cores, tuning.batch, tuning.keep_flows), (Some(Cores(vec![2, 3])), 7, Some(0)));
        for bad in ["--batch=0", "--batch=257", "--idle=doze", "--huge-pages", "--headroom=1025", "--cores=1-"] {
            assert!(Program::try_parse_from(["p", bad]).is_err(), "{bad}");
        }
        // What the texts say.
        let Tuning { batch, ring_slots, headroom, huge_pages, .. } = Tuning::defaults();
        assert_eq!(
            (usize::from(batch), ring_slots, headroom, huge_pages),
            (MAX_BATCH, 2048, Headroom::DEFAULT_BASE, true)
        );
        let help = |flag: &str| {
            Program::command().get_arguments().find(|a| a.get_id() == flag).unwrap().get_help().unwrap().to_string()
        };
        assert!(help("table").contains(&format!("[default: {DEFAULT_TABLE}]")));
        assert!(help("batch").contains(&format!("1 to {MAX_BATCH}")));
    }
}
