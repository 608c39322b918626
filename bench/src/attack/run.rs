//! The same rounds for two routers, one of which is attacked.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::napt::{Config, Direction};
use hikyaku_net::packet::Tcp;
use hikyaku_ring::memory::MemoryConfig;

use super::enemies::{Arrival, Attack, Bystander};
use super::{TABLE, TRANSFERS};
use crate::rig::{Mode, Rig, Shape, Wrong};
use crate::shape::PacketShape;
use crate::traffic::{self, Flow};

/// The transfers' frames, on the LAN and in the tunnel: nothing else has this length.
pub const FRAME: usize = 200;

/// An attack's frames in a round: with half of the transfers they fill a ring, but for 47.
pub const PER_ROUND: usize = 1500;

/// What a round's frames of 60 bytes take on a line of 10 Gbit/s.
const ROUND: Duration = Duration::from_micros(135);

/// How long fragments are held, and more.
const HELD: Duration = Duration::from_secs(3);

/// What rounds led to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Frames taken from the rings.
    pub frames: u64,
    /// Clocks that turns took, each of them.
    pub bursts: Vec<u64>,
    /// Clocks per packet, round by round.
    pub per_packet: Vec<f64>,
    /// Frames of transfers that were delivered, and that left.
    pub transfers: (u64, u64),
    /// The bystander's tries, and what came of them.
    pub bystanders: (u64, u64),
    /// The most frames that were held after a round.
    pub held: u64,
}

/// A router with its transfers.
pub struct Field {
    pub rig: Rig,
    pub tally: Tally,
    round: u64,
}

impl Field {
    /// A router that carries its transfers, with a table of its own kind.
    pub fn new(sessions: u32, table: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let shape = Shape {
            mode: Mode::Ipip,
            packets: PacketShape::Plain,
            rules: 0,
            frame: FRAME,
            flows: TRANSFERS,
            table: sessions,
            workers: 1,
            memory: MemoryConfig::default(),
            worker: Default::default(),
        };
        let mut rig = Rig::with(shape, table)?;
        rig.open(|_| ())?;
        Ok(Self { rig, tally: Tally::default(), round: 0 })
    }

    /// One packet of each transfer, every second one the other way, and `others` evenly among them; `extra` too, so
    /// many of the others apart.
    pub fn round(&mut self, others: Vec<Arrival>, extra: Vec<Arrival>, apart: usize) -> Result<(), Wrong> {
        let (mut others, mut extra) = (others.into_iter(), extra.into_iter());
        let each = others.len().div_ceil(TRANSFERS as usize).max(1);
        let mut sent = 0;
        for n in 0..TRANSFERS {
            self.deliver_transfer(n, u64::from(n) + self.round);
            for arrival in others.by_ref().take(each) {
                if sent % (apart + 1) == 0
                    && let Some((link, frame)) = extra.next()
                {
                    assert!(self.rig.wires[0][link].deliver(&frame), "a round fits the rings");
                }
                sent += 1;
                assert!(self.rig.wires[0][arrival.0].deliver(&arrival.1), "a round fits the rings");
            }
        }
        self.round += 1;
        let (before, frames) = (self.tally.bursts.len(), self.tally.frames);
        self.turns();
        let clocks: u64 = self.tally.bursts[before..].iter().sum();
        self.tally.per_packet.push(clocks as f64 / (self.tally.frames - frames).max(1) as f64);
        self.rig.now = self.rig.now + ROUND;
        Ok(())
    }

    /// A packet of transfer `n` that goes out or in.
    fn deliver_transfer(&mut self, n: u32, odd: u64) {
        let way = if odd.is_multiple_of(2) { Direction::Outbound } else { Direction::Inbound };
        self.rig.deliver(&[way], Tcp::ACK, std::iter::once(n));
        self.tally.transfers.0 += 1;
    }

    /// What the attack's frames are in a quiet round: as many packets more of the transfers, on the same links.
    pub fn substitute(&self, links: impl Iterator<Item = usize>) -> Vec<Arrival> {
        let walk = (0..).map(|i| (traffic::mix(self.round << 20 | i) % u64::from(TRANSFERS)) as u32);
        let frame = |(link, n): (usize, u32)| {
            let flow = Flow::new(n);
            let mut frame = vec![0; FRAME + 40 * link];
            match link {
                0 => traffic::outbound(&mut frame, &flow, Tcp::ACK),
                _ => traffic::inbound(&mut frame, &flow, self.rig.outside_of(n, &flow), Tcp::ACK),
            }
            (link, frame)
        };
        links.zip(walk).map(frame).collect()
    }

    /// Turns until nothing waits.
    fn turns(&mut self) {
        loop {
            let began = self.rig.clock().raw();
            let frames = self.rig.turn();
            let clocks = self.rig.clock().raw() - began;
            if frames == 0 {
                return;
            }
            self.tally.frames += frames as u64;
            self.tally.bursts.push(clocks);
        }
    }

    /// Takes out what left, and counts whose it was.
    pub fn collect(&mut self, bystander: Option<Bystander>) {
        for (link, wire) in self.rig.wires[0].iter_mut().enumerate() {
            wire.collect(|frame| {
                self.tally.transfers.1 += u64::from(frame.len() == FRAME + 40 * link);
                self.tally.bystanders.1 += u64::from(bystander.is_some_and(|bystander| (bystander.is_done)(frame)));
            });
        }
        self.tally.held = self.tally.held.max(self.rig.totals().held);
    }

    /// Lets what is held come to its end. Afterwards the counters must add up, and the transfers' packets are still
    /// right, byte by byte.
    pub fn finish(&mut self) -> Result<(), Wrong> {
        self.rig.now = self.rig.now + HELD;
        self.turns();
        let totals = self.rig.totals();
        if !totals.add_up() || totals.held > 0 {
            return Err(Wrong::new(format!("the counters do not add up: {totals:?}")));
        }
        self.rig.check(&[Direction::Outbound, Direction::Inbound], false).map(drop)
    }
}

/// Rounds of an attack and, in turn with them, quiet ones on another router. Answers both: quiet, attacked.
pub fn attack(attack: &Attack, rounds: u32, mut progress: impl FnMut(f64)) -> anyhow::Result<[Field; 2]> {
    let mut quiet = Field::new(TABLE, attack.table)?;
    let mut attacked = Field::new(TABLE, attack.table)?;
    let mut n = 0u64;
    for round in 0..rounds {
        progress(f64::from(round) / f64::from(rounds));
        let enemies: Vec<_> = (n..).take(PER_ROUND).map(attack.frame).collect();
        n += PER_ROUND as u64;
        let others = quiet.substitute(enemies.iter().map(|&(link, _)| link));
        quiet.tally.transfers.0 += others.len() as u64;
        let (extra, apart) = match attack.bystander {
            Some(bystander) => {
                attacked.tally.bystanders.0 += 1;
                ((bystander.frames)(&attacked.rig, round.into()), bystander.apart)
            }
            None => (Vec::new(), 0),
        };
        quiet.round(others, Vec::new(), 0)?;
        quiet.collect(None);
        attacked.round(enemies, extra, apart)?;
        attacked.collect(attack.bystander);
    }
    quiet.finish()?;
    attacked.finish()?;
    Ok([quiet, attacked])
}

/// How long the sessions of the expiry live, in seconds: all of them as long.
const LIFE: u32 = 300;

/// A table full of sessions whose time is over at once, while the transfers go on. Answers the rounds before, with a
/// full table, and those during, and how many sessions ended.
pub fn expiry(sessions: u32, mut progress: impl FnMut(f64)) -> anyhow::Result<(Field, Tally, u64)> {
    let mut field = Field::new(sessions, |config| config.timeouts.tcp_transitory = LIFE)?;
    let napt = Arc::clone(field.rig.napt.as_ref().expect("this mode has one"));
    let mut n = TRANSFERS;
    while n < sessions {
        progress(0.5 * f64::from(n) / f64::from(sessions));
        let flows = n..sessions.min(n + field.rig.lap_len());
        n = flows.end;
        field.rig.deliver(&[Direction::Outbound], Tcp::SYN, flows);
        while field.rig.turn() > 0 {}
        field.rig.wires[0][1].collect(|_| ());
    }
    let full = napt.stats();
    if full.live != sessions {
        return Err(Wrong::new(format!("{} sessions were opened, not {sessions}", full.live)).into());
    }
    // The transfers stay alive by a packet each, and the table is at rest.
    let begin = field.rig.now;
    for second in [100, 200, LIFE - 1] {
        field.rig.now = begin + Duration::from_secs(second.into());
        for _ in 0..2 {
            field.round(Vec::new(), Vec::new(), 0)?;
            field.collect(None);
        }
    }
    let rounds = (sessions / 400).max(100);
    let load = |field: &Field| field.substitute((0..PER_ROUND).map(|n| n % 2));
    field.tally = Tally::default();
    let now = field.rig.now;
    for _ in 0..rounds.min(2000) {
        let others = load(&field);
        field.tally.transfers.0 += others.len() as u64;
        field.round(others, Vec::new(), 0)?;
        field.collect(None);
        // Time stands still: nothing is due.
        field.rig.now = now;
    }
    let before = std::mem::take(&mut field.tally);
    field.rig.now = begin + Duration::from_secs(u64::from(LIFE) + 2);
    let ended = napt.stats().expired;
    while napt.stats().live > TRANSFERS {
        progress(1.0 - 0.5 * f64::from(napt.stats().live) / f64::from(sessions));
        let others = load(&field);
        field.tally.transfers.0 += others.len() as u64;
        field.round(others, Vec::new(), 0)?;
        field.collect(None);
    }
    let ended = napt.stats().expired - ended;
    field.finish()?;
    Ok((field, before, ended))
}
