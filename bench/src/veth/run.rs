//! The two ends: what sends into `host` and counts at `line`, in one thread.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use hikyaku_net::packet::Tcp;
use hikyaku_net::protocol;
use hikyaku_ring::{LinkOptions, Queue, Wanted, Watch, xdp};
use hikyaku_schema::{Cores, Tuning};

use super::router::Router;
use super::{Row, VethArgs, net};
use crate::traffic::{self, Flow, GATEWAY};

/// Frames that are sent between two looks at what came.
const BURST: u32 = 64;
/// After so long without a frame what is under way is taken for lost: longer than a busy machine keeps a worker waiting, or more
/// than the window would be under way.
const GIVEN_UP: Duration = Duration::from_millis(500);
/// After so long without a frame nothing more will come.
const SETTLED: Duration = Duration::from_millis(100);

/// How frames are sent.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// So many under way, at most.
    Window(u32),
    /// As fast as it goes.
    Flood,
}

/// Both ends, and the frames of all flows.
pub struct Ends {
    host: Queue,
    line: Queue,
    watch: Box<dyn Watch>,
    frames: Vec<Vec<u8>>,
    next: usize,
    args: VethArgs,
}

impl Ends {
    /// Opens both, on this core.
    pub fn open(args: &VethArgs, core: usize) -> anyhow::Result<Self> {
        Tuning { cores: Some(Cores(vec![core])), ..args.tuning.0.clone() }.pin_this_thread()?;
        let options = LinkOptions { xdp: xdp::OpenOptions { slots: 4096, ..Default::default() }, ..Default::default() };
        let mut links =
            hikyaku_ring::open(&[net::link("host"), net::link("line")].map(Wanted::new), &options)?.into_iter();
        let (Some(host), Some(line)) = (links.next(), links.next()) else { bail!("two links were asked for") };
        let (Some(host), Some(watch), Some(line)) =
            (host.queues.into_iter().next(), line.watch, line.queues.into_iter().next())
        else {
            bail!("a veth has a queue")
        };
        let flows = (0..).map(Flow::new).filter(|flow| flow.protocol == protocol::UDP).take(args.flows as usize);
        let frame = |flow: Flow| {
            let mut frame = vec![0; args.frame.into()];
            traffic::outbound(&mut frame, &flow, Tcp::ACK);
            frame
        };
        Ok(Self { host, line, watch, frames: flows.map(frame).collect(), next: 0, args: args.clone() })
    }

    /// Opens all flows, slowly enough for nothing to be lost.
    pub fn warm_up(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(5);
        let (mut sent, mut came) = (0, 0);
        while came < self.frames.len() as u64 {
            ensure!(Instant::now() < end, "nothing comes through: {came} of {sent} frames came");
            if sent < came + 16 {
                sent += self.send(8)?;
            }
            came += self.count()?;
        }
        self.settle()?;
        Ok(())
    }

    /// Sends for as long as was asked for, and says what came of it.
    pub fn run(&mut self, router: Router, load: Load) -> anyhow::Result<Row> {
        let before = (net::dropped(), self.watch.losses());
        let began = Instant::now();
        let end = began + Duration::from_secs(self.args.seconds.into());
        let (mut sent, mut came, mut given_up) = (0u64, 0u64, 0u64);
        let mut last = began;
        while Instant::now() < end {
            let under_way = (sent - came).saturating_sub(given_up);
            let room = match load {
                Load::Window(window) => u64::from(window).saturating_sub(under_way) as u32,
                Load::Flood => BURST,
            };
            sent += self.send(room.min(BURST))?;
            let more = self.count()?;
            came += more;
            if more > 0 {
                last = Instant::now();
            } else if last.elapsed() > GIVEN_UP {
                (given_up, last) = (sent - came, Instant::now());
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let mpps = came as f64 / seconds / 1e6;
        came += self.settle()?;
        ensure!(came > 0, "{}: nothing came through", router.name());
        let mut dropped = net::dropped();
        dropped.iter_mut().zip(before.0).for_each(|((_, n), (_, before))| *n -= before);
        dropped.push(("line's socket".into(), self.watch.losses().received - before.1.received));
        dropped.retain(|&(_, n)| n > 0);
        Ok(Row {
            router: router.name().into(),
            load: match load {
                Load::Window(_) => "window".into(),
                Load::Flood => "flood".into(),
            },
            frame: self.args.frame,
            flows: self.args.flows,
            sent,
            carried: came,
            lost: sent.saturating_sub(came),
            mpps,
            dropped,
        })
    }

    /// Sends so many of the next frames, as far as there is room; how many that were.
    fn send(&mut self, n: u32) -> anyhow::Result<u64> {
        let n = n.min(self.host.tx.space());
        for _ in 0..n {
            let frame = &self.frames[self.next];
            // There was room just now.
            let _ = self.host.tx.originate(frame.len(), |to| to.copy_from_slice(frame));
            self.next = (self.next + 1) % self.frames.len();
        }
        self.host.tx.publish();
        self.host.provider.sync_tx()?;
        Ok(n.into())
    }

    /// How many frames have come to the gateway.
    fn count(&mut self) -> anyhow::Result<u64> {
        self.line.provider.sync_rx()?;
        let mut came = 0;
        for _ in 0..self.line.rx.available() {
            let Ok(frame) = self.line.rx.take() else { continue };
            came += u64::from(self.line.rx.bytes(frame)[..6] == GATEWAY.0);
            self.line.rx.restore(frame);
        }
        self.line.rx.release();
        Ok(came)
    }

    /// Waits for what is still under way; how many frames that were.
    fn settle(&mut self) -> anyhow::Result<u64> {
        let (mut came, mut last) = (0, Instant::now());
        while last.elapsed() < SETTLED {
            self.send(0)?;
            let more = self.count()?;
            came += more;
            if more > 0 {
                last = Instant::now();
            }
        }
        Ok(came)
    }
}
