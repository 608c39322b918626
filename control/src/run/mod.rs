//! `hikyaku run`: links, workers, the control thread, signals, the control socket.
//!
//! What may fail is tried first, in this order, and says so in one line: rights, the claim that no other router runs,
//! links (which are waited for), the control socket, memory. Then rights are given up, workers start, the control thread
//! starts. The end is the same backwards.

mod awaited;
mod card;
mod control;
mod guard;
mod hearing;
mod links;
mod names;
mod signals;
mod turns;
mod watchdog;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use hikyaku_config::{Config, Overlay};
use hikyaku_dataplane::napt::NotSaved;
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_dataplane::worker::{BurstReport, Handle, Worker};
use hikyaku_ring::{LinkKind, kernel};

use crate::log;
use crate::privileges::{self, Keep};
use crate::router::{SessionFile, SessionsBefore, StateDir};
use crate::show::Claim;

use control::{ControlThread, Reload, wall};
use links::Links;
use names::Names;
use signals::Signals;
use turns::Turns;
pub use watchdog::Standstill;
use watchdog::Watchdog;
use writer::Writer;

const EXAMPLES: &str = "\
Examples:
  Whatever the line has, found out and said:
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 --service auto

  DS-Lite, the AFTR as the line names it (DHCPv6) or by name:
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 --service dslite
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 --service dslite --aftr gw.example.net

  A fixed address, with what the contract sheet says:
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 \\
        --service ipip --ipv4 192.0.2.1 --br 2001:db8:ffff::1 --ce ::feed

  Everything in a file (docs/configuration.md has all keys), looked at first, then run; flags go over the file:
    hikyaku check /etc/hikyaku.toml
    hikyaku run --config /etc/hikyaku.toml --cores 2

  What it is doing:
    hikyaku show status

  The file was changed, have it read again (docs/configuration.md):
    kill -HUP PID

Exit code: 0 it was told to stop (SIGTERM, SIGINT); 1 something failed; 2 a flag or the file is wrong, and nothing
was started; 3 a worker stands still, and it is to be started again. Passwords are given in files only (credentials-file), never as flags.";

/// Bring up the line and route
///
/// The configuration is checked as a whole before anything is opened. Then links are opened, what
/// is not needed any more is given up, and the line comes up by itself: router advertisements,
/// DHCPv6, the tunnel. It runs in the foreground and logs to standard error.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub struct RunArgs {
    /// Configuration file (TOML). All of it is in docs/configuration.md; flags go over it.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The few keys that are worth a flag.
    #[command(flatten)]
    pub keys: Overlay,
}

/// Runs until SIGTERM or SIGINT. SIGHUP has the configuration read again.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let config = &Config::load(args.config.as_deref(), &args.keys)?;
    let level = log::start(&config.log);
    let names = config.links();
    privileges::check(names.iter().copied(), config.system.user.as_ref())?;
    let signals = Signals::catch().context("signals cannot be caught")?;
    let account = config.system.user.as_ref();
    if let Some(parent) = config.control.socket.parent() {
        privileges::directory(parent, 0o755, account)
            .with_context(|| format!("[control] socket: directory {}", parent.display()))?;
    }
    // Before anything is opened that a router which runs already has.
    let claim = Claim::take(&config.control)?;
    let Some(links) = awaited::open(config, &signals.stop)? else {
        tracing::info!("stopped");
        return Ok(());
    };
    let directory = &config.system.state_dir;
    // A router without a memory is better than none; what cannot be saved is told, and tried again.
    if let Err(error) = privileges::directory(directory, 0o700, account) {
        let path = directory.display();
        tracing::error!(%path, %error, "[system] state-dir cannot be made: nothing outlives a restart until it can be written");
    }
    let state = StateDir::new(directory).with_lans(config.lans.iter().map(|lan| lan.name.as_str()));
    let listener = claim.bind(&config.control)?;
    privileges::give_up(account, Keep::links(names.iter().copied()))?;
    if names.iter().any(|name| name.kind() == LinkKind::Interface)
        && let Err(error) = kernel::check_device()
    {
        tracing::warn!(%error, "a link whose interface is removed stays away until a restart");
    }

    let shared = Shared::new(Snapshot::default());
    let sessions =
        SessionsBefore::read(state.clone(), Arc::new(config.clone()), links.queues.len(), shared.clock.clone(), wall())
            .context("the thread that reads saved sessions cannot be started")?;
    let cores = config.tuning.cores.as_ref().map(|cores| cores.0.clone()).unwrap_or_default();
    let Links { queues, handoff, guards, cards, facts, hosts, memory } = links;
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
    let (told, asked) = (shared.clone(), shared.clone());
    Signals::tell(move || told.call()).context("signals cannot be waited for")?;
    let (server, queries) =
        listener.serve(move || asked.call()).context("the control socket's thread cannot be started")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), service = %config.service.wish.name, wan = %config.wan.link,
        lan = config.lans.iter().map(|lan| lan.link.to_string()).collect::<Vec<_>>().join(" "),
        workers = handles.len(), "hikyaku started"
    );
    let args = args.clone();
    let reload = Reload {
        asked: signals.reload,
        read: Box::new(move || Config::load(args.config.as_deref(), &args.keys)),
        level: Box::new(move |to| level.set(to)),
        warnings: Vec::new(),
    };
    let writes = state.clone();
    let writer = Writer::start(move |save| writes.save(save), std::thread::current())
        .context("the thread for state files cannot be started")?;
    let names = Names::start(shared.clone(), handles[0].clone(), config.lans.len())
        .context("the thread for names cannot be started")?;
    let control = ControlThread {
        config: Arc::new(config.clone()),
        facts,
        hosts,
        guards,
        cards,
        memory,
        shared: shared.clone(),
        handles,
        state: state.clone(),
        writer,
        names,
        sessions,
        reload,
        queries,
        cores,
        bursts,
        stop: signals.stop,
        watchdog: Watchdog::default(),
        turns: Turns::default(),
        #[cfg(test)]
        before_turn: None,
    };
    // What a worker that stands still has in hand, or asks of the kernel, is over when the process is.
    control.run().inspect_err(|_| save_sessions(&state, &shared))?;
    drop(server);
    workers_stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    save_sessions(&state, &shared);
    tracing::info!("stopped");
    Ok(())
}

/// The next start goes on with the sessions that there are.
fn save_sessions(state: &StateDir, shared: &Shared) {
    let (snapshot, now, wall) = (shared.snapshot.load(), shared.clock.now(), wall());
    let began = Instant::now();
    let report = |of: &str, saved: Result<u32, NotSaved>| match saved {
        Ok(sessions) => {
            let seconds = began.elapsed().as_secs_f32();
            tracing::info!(sessions, seconds, "{of} sessions are saved for the next start");
        }
        Err(error) => tracing::error!(%error, "{of} sessions are not saved: the next start has none"),
    };
    if let Some(napt) = snapshot.softwires.iter().find_map(|softwire| softwire.napt.as_deref()) {
        report("IPv4", state.save_sessions(SessionFile::Napt, |to| napt.save(now, wall, to)));
    }
    if let Some(filter) = &snapshot.filter6 {
        report("IPv6", state.save_sessions(SessionFile::Filter6, |to| filter.save(now, wall, to)));
    }
}
