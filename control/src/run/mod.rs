//! `hikyaku run`: links, workers, the control thread, signals, the control socket.
//!
//! What may fail is tried first, in this order, and says so in one line: rights, links, the control
//! socket, memory. Then rights are given up, workers start, the control thread starts. The end is the
//! same backwards.

mod card;
mod control;
mod guard;
mod links;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_dataplane::worker::{BurstReport, Handle, Worker};
use hikyaku_ring::{LinkKind, kernel};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::config::{Config, RunArgs};
use crate::privileges::{self, Keep};
use crate::router::StateDir;
use crate::show::Listener;

use control::{ControlThread, Reload};
use links::Links;

/// Runs until SIGTERM or SIGINT. SIGHUP has the configuration read again.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let config = &Config::load(args)?;
    let level = config.log.start();
    let names = [&config.lan.link, &config.wan.link];
    privileges::check(names, config.system.account.as_ref())?;
    let links = Links::open(config)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).context("signals cannot be caught")?;
    }
    let asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, asked.clone()).context("signals cannot be caught")?;
    let account = config.system.account.as_ref();
    let directory = &config.system.state_dir;
    privileges::directory(directory, 0o700, account)
        .with_context(|| format!("state directory {}", directory.display()))?;
    if let Some(parent) = config.control.socket.parent() {
        privileges::directory(parent, 0o755, account).with_context(|| format!("directory {}", parent.display()))?;
    }
    let state = StateDir::open(directory).with_context(|| format!("state directory {}", directory.display()))?;
    let listener = Listener::bind(&config.control)?;
    privileges::give_up(account, Keep::links(names))?;
    if names.iter().any(|name| name.kind() == LinkKind::Interface)
        && let Err(error) = kernel::check_device()
    {
        tracing::warn!("{error}; until then, a link whose interface is removed stays away until a restart");
    }

    let shared = Shared::new(Snapshot::default());
    let cores = config.tuning.cores.as_ref().map(|cores| cores.0.clone()).unwrap_or_default();
    let Links { queues, handoff, guards, cards, facts, hosts } = links;
    let mut handoff = handoff.into_iter();
    let mut handles: Vec<Handle> = Vec::new();
    let mut bursts = Vec::new();
    let mut threads = Vec::new();
    let workers_stop = Arc::new(AtomicBool::new(false));
    for (id, queues) in queues.into_iter().enumerate() {
        let mut worker = Worker::new(id, queues, &shared, config.tuning.worker());
        if let Some(handoff) = handoff.next() {
            worker = worker.with_handoff(handoff);
        }
        handles.push(worker.handle());
        let (report, recorder) = BurstReport::new();
        bursts.push(report);
        let thread = worker.spawn(cores.get(id).copied(), workers_stop.clone(), recorder);
        threads.push(thread.context("a worker thread cannot be started")?);
    }
    let (server, queries) = listener.serve().context("the control socket's thread cannot be started")?;
    tracing::info!(
        "hikyaku {}: {} over {}, {} worker{}",
        env!("CARGO_PKG_VERSION"),
        config.service.wish.name,
        names[1],
        handles.len(),
        if handles.len() == 1 { "" } else { "s" }
    );
    let args = args.clone();
    let reload = Reload {
        asked,
        read: Box::new(move || Config::load(&args)),
        level: Box::new(move |to| level.set(to)),
        warnings: Vec::new(),
    };
    let control = ControlThread {
        config: Arc::new(config.clone()),
        facts,
        hosts,
        guards,
        cards,
        shared,
        handles,
        state,
        reload,
        queries,
        cores,
        bursts,
        stop,
        #[cfg(test)]
        before_turn: None,
    };
    control.run();
    drop(server);
    workers_stop.store(true, Ordering::Relaxed);
    for thread in threads {
        // A worker that panicked has said so; its links are closed like the others'.
        let _ = thread.join();
    }
    tracing::info!("stopped");
    Ok(())
}
