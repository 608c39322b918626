//! Plays two captures, merged by time, through a router.

use std::io::{self, IsTerminal};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hikyaku_capture::{CaptureError, Packet, Reader, Writer};
use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::napt;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::{Mac, Time};
use hikyaku_ring::memory::Wire;
use hikyaku_schema::Tuning;
use hikyaku_schema::output::progress;

use super::prepare::{Preparation, fix_checksums, unwrap};
use super::stations::Stations;
use crate::capture_router::CaptureRouter;
use crate::table::grouped;

/// Frames of one side that are no further apart are one burst.
const BURST: Duration = Duration::from_micros(100);

/// Hosts whose Ethernet address is learned; a capture with more has forged sources.
const MAX_HOSTS: usize = 4096;

/// Seconds that a gap in a capture is stepped through; later nothing is left that could age.
const MAX_STEPS: u64 = 10_000;

/// How fast to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// As fast as the router takes the frames
    Fast,
    /// With the pauses that the capture has
    Original,
}

/// Something of each side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends<T> {
    /// That of the LAN.
    pub lan: T,
    /// That of the line.
    pub wan: T,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lan,
    Wan,
}

impl<T> Ends<T> {
    fn of(&mut self, end: End) -> &mut T {
        match end {
            End::Lan => &mut self.lan,
            End::Wan => &mut self.wan,
        }
    }
}

/// What went by on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Flow {
    /// Frames into the router.
    pub frames_in: u64,
    /// Bytes of these frames, with their Ethernet headers.
    pub bytes_in: u64,
    /// Frames out of the router.
    pub frames_out: u64,
    /// Bytes of these frames, with their Ethernet headers.
    pub bytes_out: u64,
    /// Frames that the capture had cut short (snap length); they were played as they are.
    pub cut: u64,
    /// Frames too large for a ring's buffer; they were not played.
    pub oversize: u64,
    /// Frames left out as asked (`--skip-source`).
    pub skipped: u64,
    /// Frames that had no Ethernet header, and got one.
    pub headers_made: u64,
    /// Frames left out because what they carry has no Ethernet type (PPP's negotiations, 802.2).
    pub left_out: u64,
    /// Frames that were taken out of tags or PPPoE (`--unwrap`).
    pub unwrapped: u64,
    /// Frames that had a wrong checksum, and got the right one (`--fix-checksums`).
    pub checksums_fixed: u64,
}

/// All that a replay found out.
#[derive(Debug)]
pub struct Played {
    /// Checksums were made right before frames were played.
    pub fixes_checksums: bool,
    /// What went by on either side.
    pub flows: Ends<Flow>,
    /// Verdicts and events that the workers counted.
    pub totals: Totals,
    /// The session table, where there is one.
    pub sessions: Option<napt::Stats>,
    /// From the captures' first frame to their last.
    pub captured: Duration,
    /// How long it took.
    pub took: Duration,
    /// How long the path itself took of that.
    pub path: Duration,
    /// Stations that make a side's capture look as if both directions were in it.
    pub both_ways: Ends<Option<[Mac; 2]>>,
    /// Captures that ended badly.
    pub errors: Vec<CaptureError>,
}

/// A router with captures on both sides.
pub struct Player {
    router: CaptureRouter,
    pace: Pace,
    burst: usize,
    flows: Ends<Flow>,
    path: Duration,
    progress: Progress,
    preparation: Preparation,
    stations: Ends<Stations>,
}

/// A capture and its next frame.
struct Source {
    reader: Option<Reader>,
    next: Option<Packet>,
}

impl Source {
    fn new(reader: Option<Reader>, errors: &mut Vec<CaptureError>) -> Self {
        let mut source = Self { reader, next: None };
        source.advance(errors);
        source
    }

    /// The next frame, with the one after it read.
    fn advance(&mut self, errors: &mut Vec<CaptureError>) -> Option<Packet> {
        let following = match self.reader.as_mut().and_then(Iterator::next) {
            Some(Ok(packet)) => Some(packet),
            Some(Err(error)) => {
                errors.push(error);
                None
            }
            None => None,
        };
        std::mem::replace(&mut self.next, following)
    }
}

impl Player {
    /// Plays through `router` what `preparation` leaves in.
    pub fn new(router: CaptureRouter, pace: Pace, preparation: Preparation, tuning: &Tuning) -> Self {
        // A packet may leave in several fragments: the transmit rings keep room for them.
        let burst = usize::from(tuning.batch).min(tuning.ring_slots as usize / 4);
        Self {
            router,
            pace,
            burst,
            flows: Ends::default(),
            path: Duration::ZERO,
            progress: Progress::new(),
            preparation,
            stations: Ends::default(),
        }
    }

    /// Plays both captures to their ends. Bad captures are in the result; the error is one of writing.
    pub fn play(mut self, ins: Ends<Option<Reader>>, mut outs: Ends<Option<Writer>>) -> Result<Played, CaptureError> {
        let started = Instant::now();
        let mut errors = Vec::new();
        let mut sources = Ends { lan: Source::new(ins.lan, &mut errors), wan: Source::new(ins.wan, &mut errors) };
        let first = [&sources.lan, &sources.wan].iter().filter_map(|s| s.next.as_ref().map(|p| p.time)).min();
        let epoch = first.unwrap_or_default();
        let mut clock = epoch;
        let (mut waiting, mut burst) = (0, (End::Lan, epoch));
        while let Some(end) = earlier(&sources) {
            let Some(mut packet) = sources.of(end).advance(&mut errors) else { break };
            if self.preparation.skips(&packet.bytes) {
                self.flows.of(end).skipped += 1;
                continue;
            }
            self.prepare(end, &mut packet);
            self.stations.of(end).note(&packet.bytes);
            // Clocks of captures may step back; the router's does not.
            let time = packet.time.max(clock);
            if waiting >= self.burst || burst.0 != end || time.since(burst.1) > BURST {
                self.flush(&mut waiting, clock, epoch, &mut outs)?;
                self.pass(clock, time, epoch);
                burst = (end, time);
            }
            if self.pace == Pace::Original {
                let due = started + time.since(epoch);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            clock = time;
            waiting += usize::from(self.deliver(end, &packet));
            self.progress.show(&self.flows, clock.since(epoch));
        }
        self.flush(&mut waiting, clock, epoch, &mut outs)?;
        self.router.drain();
        self.collect(clock, &mut outs)?;
        for writer in [outs.lan, outs.wan].into_iter().flatten() {
            writer.finish()?;
        }
        self.progress.clear();
        for (flow, source) in [(&mut self.flows.lan, &sources.lan), (&mut self.flows.wan, &sources.wan)] {
            let changes = source.reader.as_ref().map(Reader::changes).unwrap_or_default();
            (flow.headers_made, flow.left_out) = (changes.made, changes.left_out);
        }
        Ok(Played {
            fixes_checksums: self.preparation.fix_checksums,
            flows: self.flows,
            totals: self.router.totals(),
            sessions: self.router.sessions(),
            captured: clock.since(epoch),
            took: started.elapsed(),
            path: self.path,
            both_ways: Ends { lan: self.stations.lan.both_ways(), wan: self.stations.wan.both_ways() },
            errors,
        })
    }

    /// Does to a frame what was asked for. What the capture had cut short has no checksum that could be right.
    fn prepare(&mut self, end: End, packet: &mut Packet) {
        let flow = self.flows.of(end);
        flow.unwrapped += u64::from(self.preparation.unwrap && unwrap(&mut packet.bytes));
        let fixes = self.preparation.fix_checksums && packet.missing == 0;
        flow.checksums_fixed += u64::from(fixes && fix_checksums(&mut packet.bytes));
    }

    /// Puts a frame into the router's receive ring. False if it does not fit.
    fn deliver(&mut self, end: End, packet: &Packet) -> bool {
        if end == End::Lan
            && let Some((host, mac)) = host_of(&packet.bytes).filter(|_| self.router.hosts() < MAX_HOSTS)
        {
            self.router.learn(host, mac);
        }
        let wire = match end {
            End::Lan => &mut self.router.lan,
            End::Wan => &mut self.router.wan,
        };
        let fits = wire.deliver(&packet.bytes);
        let flow = self.flows.of(end);
        flow.cut += u64::from(packet.missing > 0);
        if fits {
            flow.frames_in += 1;
            flow.bytes_in += packet.bytes.len() as u64;
        } else {
            flow.oversize += 1;
        }
        fits
    }

    fn flush(
        &mut self,
        waiting: &mut usize,
        now: Time,
        epoch: Time,
        outs: &mut Ends<Option<Writer>>,
    ) -> Result<(), CaptureError> {
        if std::mem::take(waiting) > 0 {
            let before = Instant::now();
            self.router.run(since_start(now, epoch));
            self.path += before.elapsed();
            self.collect(now, outs)?;
        }
        Ok(())
    }

    /// Lets the time between two bursts pass in the router, so that what ages does so.
    fn pass(&mut self, from: Time, to: Time, epoch: Time) {
        let seconds = to.since(from).as_secs().min(MAX_STEPS);
        for step in 1..=seconds {
            self.router.run(since_start(from + Duration::from_secs(step), epoch));
        }
    }

    /// Takes what was sent.
    fn collect(&mut self, now: Time, outs: &mut Ends<Option<Writer>>) -> Result<(), CaptureError> {
        drain(&mut self.router.lan, &mut self.flows.lan, now, &mut outs.lan)?;
        drain(&mut self.router.wan, &mut self.flows.wan, now, &mut outs.wan)
    }
}

fn drain(wire: &mut Wire, flow: &mut Flow, now: Time, out: &mut Option<Writer>) -> Result<(), CaptureError> {
    let mut written = Ok(());
    wire.collect(|frame| {
        flow.frames_out += 1;
        flow.bytes_out += frame.len() as u64;
        if let (Ok(()), Some(out)) = (&written, out.as_mut()) {
            written = out.write(now, frame);
        }
    });
    written
}

/// The side whose next frame is earlier; requests before replies when they are the same age.
fn earlier(sources: &Ends<Source>) -> Option<End> {
    match (&sources.lan.next, &sources.wan.next) {
        (Some(lan), Some(wan)) => Some(if lan.time <= wan.time { End::Lan } else { End::Wan }),
        (Some(_), None) => Some(End::Lan),
        (None, Some(_)) => Some(End::Wan),
        (None, None) => None,
    }
}

/// The router's clock: it was switched on a second before the first frame.
fn since_start(now: Time, epoch: Time) -> Time {
    Time::default() + Duration::from_secs(1) + now.since(epoch)
}

/// What stands behind the addresses, or behind a tag there. Whether it is one of our VLAN, the router says.
pub(super) fn untagged(rest: &[u8]) -> &[u8] {
    match rest {
        [0x81, 0x00, _, _, rest @ ..] | rest => rest,
    }
}

/// Who sent an IPv4 frame, and from which station.
fn host_of(frame: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    let (station, rest) = frame.get(6..)?.split_first_chunk::<6>()?;
    let (header, _) = untagged(rest).split_first_chunk::<22>()?;
    let host = Ipv4Addr::new(header[14], header[15], header[16], header[17]);
    let is_ipv4 = header[..2] == [8, 0] && header[2] >> 4 == 4;
    let is_host = !host.is_unspecified() && !host.is_multicast() && !host.is_broadcast() && !Mac(*station).is_group();
    (is_ipv4 && is_host).then_some((host, Mac(*station)))
}

impl Played {
    /// What the user should know besides the numbers.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let unsummed = self.totals.verdict(Verdict::Dropped(Reason::Ipv4Checksum));
        if unsummed > 0 && !self.fixes_checksums {
            warnings.push(format!(
                "{} frames were dropped for the checksum of their IPv4 header: the host that captured leaves it to its card, most likely; play them with --fix-checksums",
                grouped(unsummed)
            ));
        }
        let sides = [("--lan", &self.flows.lan, self.both_ways.lan), ("--wan", &self.flows.wan, self.both_ways.wan)];
        for (name, flow, both_ways) in sides {
            if let Some([a, b]) = both_ways {
                warnings.push(format!(
                    "{name}: both directions are in the capture, and all of it was played as if it came in here; leave out what the router sent, --skip-source {a} or {b}, whichever it is"
                ));
            }
            if flow.headers_made > 0 {
                let n = grouped(flow.headers_made);
                warnings.push(format!(
                    "{name}: {n} frames had no Ethernet header (Linux cooked, raw IP, BSD loopback, PPP) and got one; were both directions captured, all of it was played as if it came in here"
                ));
            }
            if flow.left_out > 0 {
                let n = grouped(flow.left_out);
                warnings.push(format!(
                    "{name}: {n} frames were left out, for they carry what has no Ethernet type (PPP's own negotiations, 802.2)"
                ));
            }
            if flow.cut > 0 {
                let n = grouped(flow.cut);
                warnings.push(format!(
                    "{name}: {n} frames were cut short by the capture (snap length) and were played as they are"
                ));
            }
            if flow.oversize > 0 {
                let n = grouped(flow.oversize);
                warnings.push(format!(
                    "{name}: {n} frames are larger than a ring's buffer and were not played; capture with offloads off (ethtool -K DEV gro off gso off tso off)"
                ));
            }
        }
        warnings
    }
}

/// A line on the terminal that says how far it is.
struct Progress {
    shown: Option<Instant>,
    since: Instant,
    is_terminal: bool,
    calls: u32,
}

impl Progress {
    fn new() -> Self {
        Self { shown: None, since: Instant::now(), is_terminal: io::stderr().is_terminal(), calls: 0 }
    }

    fn show(&mut self, flows: &Ends<Flow>, captured: Duration) {
        self.calls = self.calls.wrapping_add(1);
        // The clock is asked now and then only, unless frames come slowly.
        if !self.is_terminal || !self.calls.is_multiple_of(64) && self.shown.is_none() {
            return;
        }
        let every = Duration::from_millis(500);
        if self.shown.unwrap_or(self.since).elapsed() >= every {
            self.shown = Some(Instant::now());
            let frames = grouped(flows.lan.frames_in + flows.wan.frames_in);
            progress(format_args!("\r{frames} frames, {:.1} s of the capture ", captured.as_secs_f64()));
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            progress(format_args!("\r{:60}\r", ""));
        }
    }
}
