//! One history, through the model and the router, held against each other after every burst.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::punt::Class;
use hikyaku_dataplane::snapshot::SoftwireState;

use super::build::{far, near};
use super::emitted::{Choices, Emitted, Frame};
use super::history::{Carries, Change, Ends, History, Ip, Kind, LanSent, Step, Sum};
use super::path::Model;
use crate::common::{CLIENT, CLIENT_MAC, LAN, Out, Router, WAN};

/// Every frame that was played: the side (0 the LAN's, 1 the WAN's, 2 and 3 what left there), when, and its bytes.
pub type Trace = Vec<(usize, u64, Vec<u8>)>;

/// Frames that left into the tunnel lately, for errors to quote.
const LEFT: usize = 16;

/// Frames in one go: more than the fast path looks ahead.
const BURST: usize = 24;

struct Play<'a> {
    model: Model,
    router: Router,
    choices: Choices,
    state: Arc<SoftwireState>,
    left: Vec<Vec<u8>>,
    trace: &'a mut Trace,
    seen: Seen,
    /// Which of its queues the control thread looks into next.
    punt_turn: usize,
}

/// How often each verdict was met.
pub type Seen = BTreeMap<&'static str, u64>;

/// Plays a history. `Err` says what differs.
pub fn play(history: &History, trace: &mut Trace) -> Result<Seen, String> {
    let line = history.line.clone();
    let (napt, state) = (line.table(), Arc::new(SoftwireState::default()));
    let mut router = Router::with(&line.setup(), |snapshot| *snapshot = line.snapshot(&napt, &state));
    router.napt = napt;
    let model = Model::new(line, router.now.0);
    let choices = Choices::default();
    let mut play = Play { model, router, choices, state, left: Vec::new(), trace, seen: Seen::new(), punt_turn: 0 };
    for (i, step) in history.steps.iter().enumerate() {
        play.step(step).map_err(|e| format!("step {i}, {step:?}:\n{e}"))?;
    }
    play.wait(Duration::from_secs(3))?;
    if play.router.held() != 0 {
        return Err(format!("{} frames are held after the end", play.router.held()));
    }
    Ok(play.seen)
}

impl Play<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Lan(sent) => {
                let frames: Vec<_> = sent.iter().flat_map(|sent| self.model.lan_frames(sent)).collect();
                frames.chunks(BURST).try_for_each(|frames| self.burst(0, frames))
            }
            Step::Wan(sent) => {
                let frames: Vec<_> = sent.iter().flat_map(|sent| self.model.wan_frames(sent, &self.left)).collect();
                frames.chunks(BURST).try_for_each(|frames| self.burst(1, frames))
            }
            &Step::Wait(ms) => self.wait(Duration::from_millis(ms)),
            &Step::Change(change) => self.change(change),
            &Step::Flood { host, flows, questions } => {
                let carries = Carries { kind: Kind::Udp, flags: 0, options: 0, len: 1, sum: Sum::Right, wrong_len: 0 };
                let ip = Ip { ttl: 64, df: false, tos: 0, id: 0, options: 0 };
                let ends = Ends::New(host, 0, 0, u8::from(questions));
                let sent = LanSent { ends, carries, ip, cut: None, ethernet: 0, spoil: None };
                let frame = self.model.lan_frames(&sent).remove(0);
                let ports: Vec<u16> = (0..flows).map(|i| 20000 + 10000 * u16::from(host) + i).collect();
                ports.chunks(100).try_for_each(|ports| {
                    let frames = ports.iter().map(|port| {
                        let mut frame = frame.clone();
                        frame[34..36].copy_from_slice(&port.to_be_bytes());
                        frame[40..42].fill(0);
                        frame
                    });
                    self.burst(0, &frames.collect::<Vec<_>>())
                })
            }
        }
    }

    fn burst(&mut self, side: usize, frames: &[Vec<u8>]) -> Result<(), String> {
        let now = self.router.now.0;
        self.trace.extend(frames.iter().map(|f| (side, now, f.clone())));
        let out = self.router.play(if side == 0 { LAN } else { WAN }, frames);
        self.trace.extend(out.lan.iter().map(|f| (2, now, f.clone())));
        self.trace.extend(out.wan.iter().map(|f| (3, now, f.clone())));
        self.model.answer_unsolicited();
        self.model.napt.chosen = self.sessions();
        for frame in frames {
            match side {
                0 => self.model.lan(frame)?,
                _ => self.model.wan(frame)?,
            }
        }
        let compared = self.compare(&out);
        self.left.extend(out.wan);
        self.left.drain(..self.left.len().saturating_sub(LEFT));
        compared
    }

    fn wait(&mut self, time: Duration) -> Result<(), String> {
        self.router.advance(time);
        self.model.now = self.router.now.0;
        let mut out = Out::default();
        // So many that the ageing, which looks at few sessions a turn, has seen all.
        for _ in 0..4 + self.router.sessions() / 8 {
            let Out { lan, wan, verdicts } = self.router.idle();
            out.lan.extend(lan);
            out.wan.extend(wan);
            out.verdicts.extend(verdicts);
        }
        self.model.answer_unsolicited();
        self.model.expire();
        self.model.napt.chosen = self.sessions();
        self.model.napt.age(self.model.seconds())?;
        self.compare(&out)
    }

    fn change(&mut self, change: Change) -> Result<(), String> {
        let line = &mut self.model.line;
        match change {
            Change::Neighbour(n) => {
                let host = [CLIENT[0], CLIENT[1], CLIENT[2], CLIENT[3] + n];
                if line.neighbours.remove(&host).is_none() {
                    line.neighbours.insert(host, [CLIENT_MAC[0], 0, 0, 0, 7, n]);
                }
            }
            Change::Gateway => line.gateway_known ^= true,
            Change::Remote(n) => line.remote = far(n),
            Change::Local(n) => line.local = near(n),
            Change::Mtu(mtu) => line.mtu = mtu,
            Change::LanMtu(mtu) => line.lan_mtu = mtu,
            Change::WanMtu(mtu) => line.wan_mtu = mtu,
            Change::Mss(mss) => line.mss = mss,
            Change::Class(dscp, ecn) => (line.dscp, line.ecn) = (dscp, ecn),
            Change::Forwards(n) => {
                let Some(napt) = &self.router.napt else { return Ok(()) };
                line.forwards = line.static_mappings(n);
                napt.set_forwards(&line.forwards).map_err(|e| e.to_string())?;
            }
        }
        let snapshot = line.snapshot(&self.router.napt, &self.state);
        self.router.shared.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// The router's table: what it chose.
    fn sessions(&self) -> BTreeMap<super::napt::Flow, (u16, hikyaku_dataplane::napt::Claim)> {
        let mut all = BTreeMap::new();
        if let Some(napt) = &self.router.napt {
            napt.slice(0, u32::MAX, |s| {
                let end = |e: hikyaku_dataplane::napt::Endpoint| (e.addr.0, e.port.number());
                all.insert((s.protocol(), end(s.inside()), end(s.peer())), (s.outside().port.number(), s.claim()));
            });
        }
        all
    }

    fn compare(&mut self, out: &Out) -> Result<(), String> {
        let Emitted { lan, wan, punted, verdicts } = std::mem::take(&mut self.model.out);
        let mut got: BTreeMap<&str, u64> = BTreeMap::new();
        out.verdicts.iter().for_each(|(verdict, n)| *got.entry(verdict.name()).or_default() += n);
        verdicts.iter().for_each(|(verdict, n)| *self.seen.entry(verdict).or_default() += n);
        if got != verdicts {
            return Err(format!("verdicts: expected {verdicts:?}, got {got:?}"));
        }
        self.frames("to the LAN", lan, &out.lan)?;
        self.frames("to the WAN", wan, &out.wan)?;
        let messages: Vec<_> = std::iter::from_fn(|| self.router.punted()).collect();
        let links: Vec<_> = messages.iter().map(|m| (m.link.0, m.unresolved)).collect();
        let punted = self.in_turn(punted);
        let expected: Vec<_> = punted.iter().map(|&(link, class, _)| (link, class == Class::Unresolved)).collect();
        if links != expected {
            return Err(format!("punted: expected {expected:?}, got {links:?}"));
        }
        let messages: Vec<_> = messages.iter().map(|m| m.frame().to_vec()).collect();
        self.frames("punted", punted.into_iter().map(|(.., frame)| frame).collect(), &messages)?;
        let held = (self.model.held(), self.router.held());
        if held.0 != held.1 {
            return Err(format!("held: expected {}, got {}", held.0, held.1));
        }
        self.model.napt.compare()
    }

    /// What the control thread is to hear in the order in which it does: the next of each class of WAN and LAN in turn.
    fn in_turn(&mut self, mut waiting: Vec<(u8, Class, Frame)>) -> Vec<(u8, Class, Frame)> {
        const CLASSES: [Class; 4] = [Class::Discovery, Class::Sockets, Class::Echo, Class::Unresolved];
        let mut heard = Vec::new();
        loop {
            let turn = self.punt_turn;
            let next = (turn..turn + 8).find_map(|n| {
                let (link, class) = (1 - (n / 4 % 2) as u8, CLASSES[n % 4]);
                Some((n, waiting.iter().position(|(l, c, _)| (*l, *c) == (link, class))?))
            });
            let Some((n, at)) = next else { return heard };
            self.punt_turn = n % 8 + 1;
            heard.push(waiting.remove(at));
        }
    }

    fn frames(&mut self, what: &str, expected: Vec<Frame>, got: &[Vec<u8>]) -> Result<(), String> {
        if expected.len() != got.len() {
            let expected: Vec<_> = expected.iter().map(|f| &f.bytes).collect();
            return Err(format!(
                "{what}: expected {} frames {expected:02x?}\ngot {} {got:02x?}",
                expected.len(),
                got.len()
            ));
        }
        let mut pairs = expected.into_iter().zip(got);
        pairs.try_for_each(|(mut e, got)| self.choices.compare(&mut e, got).map_err(|e| format!("{what}: {e}")))
    }
}

/// Writes what was played as captures, one a side, of frames to the router and from it. Answers where.
pub fn write(name: &str, trace: &Trace) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../pcap-fixtures/found/{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the captures");
    for (side, file) in [(0, "lan.pcap"), (1, "wan.pcap"), (2, "to-lan.pcap"), (3, "to-wan.pcap")] {
        let mut file = std::fs::File::create(folder.join(file)).expect("a capture");
        let header = [0xa1b2_c3d4u32, 0x0002_0004, 0, 0, 65535, 1].map(u32::to_be_bytes).concat();
        file.write_all(&header).expect("a capture's header");
        for (_, at, bytes) in trace.iter().filter(|(s, ..)| *s == side) {
            let words = [at / 1_000_000_000, at / 1000 % 1_000_000, bytes.len() as u64, bytes.len() as u64];
            let record = [words.map(|w| (w as u32).to_be_bytes()).concat(), bytes.clone()].concat();
            file.write_all(&record).expect("a frame of a capture");
        }
    }
    folder
}
