//! What a replay prints: a table for people, or JSON with stable keys.

use std::collections::BTreeMap;
use std::fmt;

use hikyaku_dataplane::counters::Event;
use serde::Serialize;

use super::player::{Flow, Played};
use crate::table::{Table, grouped};

/// The result of a replay.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Frames that the router took.
    pub received: u64,
    /// How they ended, by verdict name. Together with `held` they are `received`.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// What happened besides: answers sent, packets fragmented, options lowered.
    pub events: BTreeMap<&'static str, u64>,
    /// Frames without a verdict: none, at the end of a replay.
    pub held: u64,
    /// The session table; `null` where nothing is translated.
    pub sessions: Option<Sessions>,
    /// What went by on the LAN.
    pub lan: Flow,
    /// What went by on the line.
    pub wan: Flow,
    /// How long it took, and how many frames that is a second.
    pub rates: Rates,
    /// Captures that were not read to their end.
    pub errors: Vec<String>,
    #[serde(skip)]
    shown: Vec<(String, u64)>,
}

/// The session table at the end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sessions {
    /// Sessions opened during the replay.
    pub opened: u64,
    /// Sessions that ended during the replay.
    pub expired: u64,
    /// Sessions at the end of the replay.
    pub live: u32,
    /// The most there can be.
    pub capacity: u32,
}

/// How fast it went. This machine's load is in it: not a benchmark.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rates {
    /// From the first to the last frame of the captures.
    pub capture_seconds: f64,
    /// Reading, playing and writing.
    pub wall_seconds: f64,
    /// Seconds of playing alone, without reading and writing captures.
    pub path_seconds: f64,
    /// Frames per second of wall time.
    pub frames_per_second: f64,
    /// Frames per second of path time.
    pub path_frames_per_second: f64,
}

impl Report {
    /// The report on what was played.
    pub fn new(played: &Played) -> Self {
        let (received, path) = (played.totals.received(), played.path.as_secs_f64());
        let per = |seconds: f64| if seconds > 0.0 { received as f64 / seconds } else { 0.0 };
        Self {
            received,
            verdicts: played.totals.verdicts().map(|(v, n)| (v.name(), n)).collect(),
            events: Event::ALL
                .iter()
                .filter(|e| !matches!(e, Event::Received | Event::ReceivedBytes | Event::Sent | Event::SentBytes))
                .map(|&e| (e.name(), played.totals.event(e)))
                .filter(|&(_, n)| n > 0)
                .collect(),
            held: played.totals.held,
            sessions: played.sessions.map(|s| Sessions {
                opened: s.created,
                expired: s.expired,
                live: s.live,
                capacity: s.capacity,
            }),
            lan: played.flows.lan,
            wan: played.flows.wan,
            rates: Rates {
                capture_seconds: played.captured.as_secs_f64(),
                wall_seconds: played.took.as_secs_f64(),
                path_seconds: path,
                frames_per_second: per(played.took.as_secs_f64()),
                path_frames_per_second: per(path),
            },
            errors: played.errors.iter().map(ToString::to_string).collect(),
            shown: played.totals.verdicts().map(|(v, n)| (v.to_string(), n)).collect(),
        }
    }

    /// Every frame played was received, and every frame received has one verdict.
    pub fn check(&self) -> anyhow::Result<()> {
        let (played, judged) =
            (self.lan.frames_in + self.wan.frames_in, self.verdicts.values().sum::<u64>() + self.held);
        anyhow::ensure!(
            played == self.received && judged == self.received,
            "the books do not balance: {played} frames played, {} received, {judged} judged; this is a bug, please report it",
            self.received
        );
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sides = Table::new(&["side", "frames in", "bytes in", "frames out", "bytes out"], 1);
        for (name, flow) in [("LAN", &self.lan), ("WAN", &self.wan)] {
            let numbers = [flow.frames_in, flow.bytes_in, flow.frames_out, flow.bytes_out];
            sides.row([name.to_string()].into_iter().chain(numbers.map(grouped)));
        }
        writeln!(f, "{sides}")?;

        let mut verdicts = Table::new(&["verdict", "frames"], 1);
        for (name, n) in &self.shown {
            verdicts.row([name.clone(), grouped(*n)]);
        }
        if self.held > 0 {
            verdicts.row(["held".to_string(), grouped(self.held)]);
        }
        verdicts.row(["received = sum".to_string(), grouped(self.received)]);
        writeln!(f, "{verdicts}")?;

        let events: Vec<String> = self.events.iter().map(|(name, n)| format!("{} {name}", grouped(*n))).collect();
        if !events.is_empty() {
            writeln!(f, "besides: {}", events.join(", "))?;
        }
        if let Some(s) = &self.sessions {
            let (opened, expired, live) = (grouped(s.opened), grouped(s.expired), grouped(s.live.into()));
            writeln!(f, "sessions: {opened} opened, {expired} expired, {live} live of {}", grouped(s.capacity.into()))?;
        }
        let r = &self.rates;
        writeln!(
            f,
            "{:.3} s of capture in {:.3} s: {} frames/s with files, {} frames/s in the path alone (not a benchmark)",
            r.capture_seconds,
            r.wall_seconds,
            grouped(r.frames_per_second as u64),
            grouped(r.path_frames_per_second as u64),
        )
    }
}
