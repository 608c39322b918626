//! What is between `lan` and `wan`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use hikyaku_dataplane::memory_router::{LAN, WAN};
use hikyaku_dataplane::napt::{self, Napt};
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::worker::{BurstReport, Idle, Worker};
use hikyaku_ring::{Queue, Wanted};

use super::{VethArgs, net};
use crate::rig::snapshot;
use crate::shape::PacketShape;
use crate::traffic::OUTSIDE;

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Router {
    /// A worker, with NAPT and tunnel.
    Hikyaku,
    /// The kernel, with masquerade, on the core of whoever sent.
    Kernel,
    /// The kernel, on the core that the worker had (receive packet steering).
    KernelRps,
}

/// A router that runs.
pub enum Running {
    Worker(Arc<AtomicBool>, JoinHandle<Worker>),
    Kernel,
}

impl Router {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hikyaku => "hikyaku",
            Self::Kernel => "kernel",
            Self::KernelRps => "kernel-rps",
        }
    }

    /// Puts it between, its own work on this core if it has a choice.
    pub fn start(self, args: &VethArgs, core: usize) -> anyhow::Result<Running> {
        if self == Self::Hikyaku {
            return worker(args, core);
        }
        net::forward()?;
        net::set_core((self == Self::KernelRps).then_some(core))?;
        Ok(Running::Kernel)
    }
}

impl Running {
    /// Takes it away.
    pub fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::Worker(stop, thread) => {
                stop.store(true, Ordering::Relaxed);
                thread.join().map_err(|_| anyhow!("the worker panicked")).map(drop)
            }
            Self::Kernel => net::stop_forwarding(),
        }
    }
}

fn worker(args: &VethArgs, core: usize) -> anyhow::Result<Running> {
    let sessions = args.tuning.table_size(args.flows * 2);
    let config =
        napt::Config { sessions, readers: 1, huge_pages: args.tuning.huge_pages, ..napt::Config::new(OUTSIDE) };
    let table = Napt::new(&config).context("no session table")?;
    let shared = Shared::new(snapshot(Some(Arc::new(table)), None, PacketShape::Plain));
    let wanted = [net::link("lan"), net::link("wan")].map(Wanted::new);
    let links = hikyaku_ring::open(&wanted, &args.tuning.links())?;
    let queues: Vec<Queue> = links.into_iter().flat_map(|link| link.queues).collect();
    // Whoever compares spends the core: nothing else is to run on it.
    let config = hikyaku_dataplane::worker::Config { idle: Idle::Spin, ..args.tuning.worker() };
    let worker = Worker::new(0, [LAN, WAN].into_iter().zip(queues), &shared, config);
    let stop = Arc::new(AtomicBool::new(false));
    let thread = worker.spawn(Some(core), stop.clone(), BurstReport::new().1).context("no thread for the worker")?;
    Ok(Running::Worker(stop, thread))
}
