//! The control thread: the loop around [`Router`], which survives a panic in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded};
use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::ring;
use hikyaku_dataplane::ring::xdp::Watch;
use hikyaku_dataplane::time::Time;
use hikyaku_dataplane::worker::{BurstReport, Handle, Shared};

use crate::config::Config;
use crate::notify;
use crate::router::{LinkFacts, Parts, Router, StateDir, Surroundings};
use crate::show::Query;
use crate::stack::Wake;

/// How often punted frames are looked for while nothing else is to be done: an ARP request waits no longer.
const PATIENCE: Duration = Duration::from_millis(2);
/// How often carriers are looked at.
const CARRIERS: Duration = Duration::from_millis(500);
/// The first pause after a panic, and the longest.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// A control thread that ran for so long has recovered.
const STEADY: Duration = Duration::from_secs(300);
/// How long the end waits for the server to take leases back.
const GOODBYE: Duration = Duration::from_secs(3);
/// Frames heard in one turn, at most.
const HEARD: usize = 256;

/// What the thread needs.
pub struct ControlThread {
    pub config: Arc<Config>,
    /// LAN and WAN.
    pub facts: [LinkFacts; 2],
    pub hosts: [bool; 2],
    pub watches: [Option<Watch>; 2],
    pub shared: Arc<Shared>,
    pub handles: Vec<Handle>,
    pub state: StateDir,
    pub notify: Option<notify::Config>,
    pub queries: Receiver<Query>,
    pub cores: Vec<usize>,
    pub bursts: BurstReport,
    pub stop: Arc<AtomicBool>,
}

impl ControlThread {
    /// Until it is told to stop. A panic is logged and the mind made anew, with what was saved and what the
    /// workers know; they forward all the while.
    pub fn run(mut self) {
        let mut pause = PAUSE[0];
        while !self.stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            if catch_unwind(AssertUnwindSafe(|| self.live())).is_ok() {
                return;
            }
            if started.elapsed() > STEADY {
                pause = PAUSE[0];
            }
            tracing::error!("the control thread panicked; workers go on, it starts over in {} s", pause.as_secs());
            let again = Instant::now() + pause;
            while Instant::now() < again && !self.stop.load(Ordering::Relaxed) {
                // What is punted meanwhile is nobody's: the queue must not be full of old frames afterwards.
                while self.shared.punt.pop().is_some() {}
                std::thread::sleep(Duration::from_millis(50));
            }
            pause = (pause * 2).min(PAUSE[1]);
        }
    }

    fn now(&self) -> Time {
        self.shared.clock.now()
    }

    /// One life.
    fn live(&mut self) {
        let (waker, wakes): (Sender<()>, Receiver<()>) = bounded(1);
        // A full channel is a thread that is awake already.
        let wake: Wake = Arc::new(move || _ = waker.try_send(()));
        let [lan, wan] = self.facts.clone();
        let parts = Parts {
            config: self.config.clone(),
            lan,
            wan,
            hosts: self.hosts,
            shared: self.shared.clone(),
            state: self.state.clone(),
            notify: self.notify.clone(),
            wake,
        };
        let mut router = match Router::new(parts, self.now(), wall()) {
            Ok(router) => router,
            Err(error) => panic!("{error}"),
        };
        let mut carriers = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            if Instant::now() >= carriers {
                self.look_at_links(&mut router);
                carriers = Instant::now() + CARRIERS;
            }
            self.turn(&mut router);
            let due = router.next().since(self.now());
            // Woken early by a stream's thread.
            let _ = wakes.recv_timeout(due.min(PATIENCE));
        }
        self.say_goodbye(&mut router);
    }

    fn turn(&mut self, router: &mut Router) {
        for _ in 0..HEARD {
            let Some(message) = self.shared.punt.pop() else { break };
            router.hear(self.now(), &message);
        }
        let totals = || totals(&self.handles);
        router.turn(self.now(), wall(), totals);
        while let Some(frame) = router.next_frame() {
            // All of it by one worker, so that it stays in order.
            if let Err(frame) = self.handles[0].inject.push(frame) {
                router.put_back(frame);
                break;
            }
        }
        while let Ok(query) = self.queries.try_recv() {
            let surroundings = Surroundings { handles: &self.handles, cores: &self.cores, bursts: &mut self.bursts };
            router.answer(self.shared.clock.now(), query, surroundings);
        }
    }

    fn look_at_links(&mut self, router: &mut Router) {
        self.bursts.refresh();
        let names = [&self.config.lan.link, &self.config.wan.link];
        for (watch, name) in self.watches.iter_mut().zip(names) {
            if let Some(watch) = watch.as_mut().filter(|watch| watch.gone()) {
                match watch.reopen() {
                    Ok(info) => tracing::info!("{name}: the interface is back: {info}"),
                    Err(error) => tracing::debug!("{name}: still gone: {error}"),
                }
            }
        }
        match ring::carriers(names) {
            Ok([lan, wan]) => router.set_links(self.now(), lan, wan),
            Err(error) => tracing::debug!("interfaces cannot be listed: {error}"),
        }
    }

    fn say_goodbye(&mut self, router: &mut Router) {
        router.release(self.now());
        let end = Instant::now() + GOODBYE;
        while !router.is_released() && Instant::now() < end {
            self.turn(router);
            std::thread::sleep(Duration::from_millis(5));
        }
        self.turn(router);
        // The last frame leaves with the workers' next turn.
        let sent = Instant::now() + Duration::from_millis(100);
        while !self.handles[0].inject.is_empty() && Instant::now() < sent {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What all workers counted.
fn totals(handles: &[Handle]) -> Totals {
    let mut all = Totals::default();
    handles.iter().for_each(|handle| all.add(&handle.counters.totals()));
    all
}

/// Seconds since 1970, for what is saved.
fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
