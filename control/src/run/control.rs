//! The control thread: the loop around [`Router`], which survives a panic in it.

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::Receiver;
use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::worker::{BurstReport, Handle};
use hikyaku_net::Time;
use hikyaku_protocols::sockets::Wake;
use hikyaku_ring::{LinkId, LinkState};

use super::card::Card;
use super::guard::LinkGuard;
use super::links;
use super::names::Names;
use super::turns::Turns;
use super::watchdog::{Standstill, Watchdog};
use super::writer::Writer;
use crate::router::{LinkFacts, Parts, Router, SessionsBefore, StateDir, Surroundings, WAN};
use crate::show::Query;
use hikyaku_config::{Config, Level};
use hikyaku_schema::Problems;

/// Between two turns at least, whoever wakes us how often: a storm of frames does not make one of turns.
const BREATH: Duration = Duration::from_millis(1);
/// How often links are looked at: whether they have a carrier, whether an interface went away or came back. It is the longest
/// sleep: whoever has something for us (a worker that punts, a signal, a question, a stream's thread) wakes us.
const CARRIERS: Duration = Duration::from_millis(500);
/// How often a pause after a panic looks whether it is the end.
const LOOK: Duration = Duration::from_millis(50);
/// The first pause after a panic, and the longest.
const PAUSE: [Duration; 2] = match cfg!(test) {
    false => [Duration::from_secs(1), Duration::from_secs(60)],
    true => [Duration::from_millis(50), Duration::from_millis(150)],
};
/// A control thread that ran for so long has recovered.
const STEADY: Duration = Duration::from_secs(300);
/// How long the end waits for the server to take leases back.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long the next life, and the end, wait for a disk.
const DISK: Duration = Duration::from_secs(5);
/// Frames heard in one turn, at most.
const HEARD: usize = 256;

/// What the thread needs.
pub struct ControlThread {
    pub config: Arc<Config>,
    /// What the links turned out to be, by link.
    pub facts: Vec<LinkFacts>,
    pub hosts: Vec<bool>,
    pub guards: Vec<LinkGuard>,
    pub cards: Vec<Card>,
    /// Bytes of the links' rings and buffers.
    pub memory: usize,
    pub shared: Arc<Shared>,
    pub handles: Vec<Handle>,
    pub state: StateDir,
    pub writer: Writer,
    pub names: Names,
    pub sessions: SessionsBefore,
    pub reload: Reload,
    pub queries: Receiver<Query>,
    pub cores: Vec<usize>,
    pub bursts: Vec<BurstReport>,
    pub stop: Arc<AtomicBool>,
    pub watchdog: Watchdog,
    pub turns: Turns,
    /// Called before each turn.
    #[cfg(test)]
    pub before_turn: Option<Hook>,
}

/// How the configuration is read again.
pub struct Reload {
    /// That it is to be.
    pub asked: Arc<AtomicBool>,
    pub read: Box<dyn Fn() -> Result<Config, Problems> + Send>,
    /// Sets the level of the log.
    pub level: Box<dyn Fn(Level) + Send>,
    /// What came of it the last time that is not as the user wants it.
    pub warnings: Vec<String>,
}

/// For tests: sees the router, and may panic.
#[cfg(test)]
pub type Hook = Box<dyn FnMut(&Router) + Send>;

/// How a life ended, if not by a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was told to stop (SIGTERM, SIGINT).
    Stopped,
    /// A link is another than before.
    Relinked,
    /// A worker stands still.
    Standstill(Standstill),
}

impl ControlThread {
    /// Until it is told to stop. A panic is logged and the mind made anew, with what was saved and what the
    /// workers know; they forward all the while.
    ///
    /// # Errors
    /// A worker stands still, and will not be joined.
    pub fn run(mut self) -> Result<(), Standstill> {
        self.shared.listen();
        let mut pause = PAUSE[0];
        while !self.stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            match catch_unwind(AssertUnwindSafe(|| self.live())) {
                Ok(End::Stopped) => return Ok(()),
                Ok(End::Standstill(standstill)) => return Err(standstill),
                Ok(End::Relinked) => continue,
                Err(_) => {}
            }
            if started.elapsed() > STEADY {
                pause = PAUSE[0];
            }
            tracing::error!(
                seconds = pause.as_secs_f32(),
                "the control thread panicked; workers go on, it starts over"
            );
            let again = Instant::now() + pause;
            while Instant::now() < again && !self.stop.load(Ordering::Relaxed) {
                // What is punted meanwhile is nobody's: the queue must not be full of old frames afterwards.
                while self.shared.punt.pop().is_some() {}
                thread::sleep(LOOK.min(pause));
            }
            pause = (pause * 2).min(PAUSE[1]);
        }
        Ok(())
    }

    fn now(&self) -> Time {
        self.shared.clock.now()
    }

    /// The control thread from a new router to its end, or to a panic.
    fn live(&mut self) -> End {
        let this = thread::current();
        let wake: Wake = Arc::new(move || this.unpark());
        // What is read now is to be what was written last.
        self.settle_disk();
        let parts = Parts {
            config: self.config.clone(),
            links: self.facts.clone(),
            hosts: self.hosts.clone(),
            workers: self.handles.len(),
            shared: self.shared.clone(),
            state: self.state.clone(),
            sessions: self.sessions.clone(),
            wake,
        };
        let mut router = match Router::new(parts, self.now(), wall()) {
            Ok(router) => router,
            Err(error) => panic!("{error}"),
        };
        let end = self.turn_until_the_end(&mut router);
        if end == End::Stopped && self.config.wan.dhcpv6.release_at_exit {
            self.release_leases(&mut router);
        }
        router.rest_to_save(self.now(), wall()).into_iter().for_each(|save| self.writer.put(save));
        self.settle_disk();
        end
    }

    fn settle_disk(&mut self) {
        if !self.writer.settle(DISK) {
            tracing::warn!(seconds = DISK.as_secs(), "the disk does not take state files; going on without");
        }
    }

    fn turn_until_the_end(&mut self, router: &mut Router) -> End {
        let mut carriers = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            if began >= carriers {
                if self.look_at_links(router) {
                    return End::Relinked;
                }
                let busy = self.guards.iter().any(LinkGuard::is_gone) || self.cards.iter().any(Card::is_down);
                if let Err(standstill) = self.watchdog.look(began, &self.handles, busy) {
                    return End::Standstill(standstill);
                }
                carriers = began + CARRIERS;
            }
            if self.reload.asked.swap(false, Ordering::Relaxed) {
                self.reload(router);
            }
            #[cfg(test)]
            if let Some(hook) = &mut self.before_turn {
                hook(router);
            }
            let all_sent = self.turn(router);
            self.turns.ended(began);
            if all_sent {
                let due = router.next().since(self.now());
                thread::park_timeout(due.min(carriers.saturating_duration_since(Instant::now())));
            }
            thread::sleep(BREATH.saturating_sub(began.elapsed()));
        }
        End::Stopped
    }

    /// Whether all that was to be sent is sent: workers take only so much at a time.
    fn turn(&mut self, router: &mut Router) -> bool {
        for _ in 0..HEARD {
            let Some(message) = self.shared.punt.pop() else { break };
            router.hear(self.now(), &message);
        }
        while let Some((file, result)) = self.writer.written() {
            router.saved(self.now(), file, result);
        }
        for _ in 0..HEARD {
            let Some((lan, wanted)) = self.names.wanted() else { break };
            router.hear_forwarder(self.now(), lan, wanted);
        }
        let totals = || totals(&self.handles);
        router.turn(self.now(), totals);
        while let Some(save) = router.next_save(self.now(), wall()) {
            self.writer.put(save);
        }
        self.names.tell(|| router.next_for_forwarder());
        // Before anything is asked from a new address (RFC 4862 5.4.2).
        for (card, (groups, all)) in self.cards.iter_mut().zip(router.groups().into_iter().zip(router.hears_all())) {
            card.listen(&groups, all);
        }
        self.cards[WAN.index()].set_silent(router.silent());
        // One a turn: of many that ask at once none keeps the LAN waiting for all of them.
        if let Ok(query) = self.queries.try_recv() {
            let of_links = self.cards.iter().flat_map(Card::warnings);
            let warnings: Vec<String> =
                self.reload.warnings.iter().cloned().chain(of_links).chain(self.watchdog.warnings()).collect();
            let surroundings = Surroundings {
                handles: &self.handles,
                cores: &self.cores,
                bursts: &mut self.bursts,
                control: self.turns.report(),
                heard: self.cards.iter().map(Card::heard).collect(),
                memory: self.memory,
                names: self.names.status(),
                warnings: &warnings,
            };
            router.answer(self.shared.clock.now(), query, surroundings);
        }
        let all_sent = self.send(router);
        // Frames and questions that were not heard yet, too, are a reason to come back at once.
        all_sent && self.shared.punt.is_empty() && self.queries.is_empty() && self.names.wants_nothing()
    }

    /// Gives a worker what is to be sent, as far as it takes it; whether that was all.
    fn send(&self, router: &mut Router) -> bool {
        // All of it by one worker, so that it stays in order.
        let worker = &self.handles[0];
        let mut all_sent = true;
        while all_sent && let Some(frame) = router.next_frame() {
            if let Err(frame) = worker.inject.push(frame) {
                router.put_back(frame);
                all_sent = false;
            }
        }
        if !worker.inject.is_empty() {
            worker.wake();
        }
        all_sent
    }

    /// Reads the configuration again. What is wrong with it leaves everything as it is.
    fn reload(&mut self, router: &mut Router) {
        let read = match (self.reload.read)() {
            Ok(read) => read,
            Err(problems) => {
                problems.0.iter().for_each(|problem| tracing::error!(%problem, "the configuration is refused"));
                let refused = |problem| format!("refused when it was read again: {problem}");
                self.reload.warnings = problems.0.iter().map(refused).collect();
                return;
            }
        };
        let (config, kept) = self.config.reloaded(read);
        self.config = Arc::new(config);
        (self.reload.level)(self.config.log.level);
        self.reload.warnings.clear();
        tracing::info!("configuration read again");
        if !kept.is_empty() {
            let keys = kept.join(", ");
            tracing::warn!(%keys, "these keys take a restart");
            self.reload.warnings.push(format!("another after a restart only: {keys}"));
        }
        router.reload(self.now(), wall(), self.config.clone());
    }

    /// True if a link came back as another: then everything that was made of its address is to be made anew.
    fn look_at_links(&mut self, router: &mut Router) -> bool {
        self.bursts.iter_mut().for_each(BurstReport::refresh);
        crate::log::tell_left_out();
        let names = self.config.links();
        let mut relinked = false;
        let cards = self.cards.iter_mut().zip(&mut self.facts);
        for (((guard, (card, was)), name), id) in self.guards.iter_mut().zip(cards).zip(&names).zip((0u8..).map(LinkId))
        {
            card.set_losses(guard.losses());
            let taken = |handle: &Handle| handle.counters.link(id).received.frames;
            card.set_traffic(hikyaku_ring::arrived(name), self.handles.iter().map(taken).sum());
            let Some(info) = guard.look(&self.handles) else { continue };
            match links::facts(&self.config, id, &info) {
                Ok(facts) => {
                    card.reopened(info.mac, facts.mac);
                    relinked |= relink(was, facts);
                }
                Err(error) => tracing::error!(%error, "going on with the link as it was"),
            }
        }
        router.set_losses(self.cards.iter().map(Card::losses).collect());
        match hikyaku_ring::states(&names) {
            Ok(states) => {
                let states = while_gone(states, self.guards.iter().map(LinkGuard::is_gone));
                self.cards.iter_mut().zip(&states).for_each(|(card, &state)| card.set_state(state));
                let up: Vec<bool> = states.iter().map(|&state| state == LinkState::Carrier).collect();
                router.set_links(self.now(), &up);
            }
            Err(error) => tracing::debug!(%error, "interfaces cannot be listed"),
        }
        let shared: Vec<_> =
            names.into_iter().zip(&self.hosts).filter_map(|(name, &host)| host.then_some(name)).collect();
        if !shared.is_empty()
            && let Ok(addresses) = hikyaku_ring::host_addresses(&shared)
        {
            router.set_host_addresses(addresses);
        }
        relinked
    }

    /// Gives the leases back, and waits for the server's answer, but not for ever.
    fn release_leases(&mut self, router: &mut Router) {
        router.release(self.now());
        let end = Instant::now() + GOODBYE;
        while !router.is_released() && Instant::now() < end {
            self.turn(router);
            thread::sleep(Duration::from_millis(5));
        }
        self.turn(router);
        // The last frame leaves with the workers' next turn.
        let sent = Instant::now() + Duration::from_millis(100);
        while !self.handles[0].inject.is_empty() && Instant::now() < sent {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A link that is not open again has nobody at its other end, whatever its next interface says of itself.
fn while_gone(mut states: Vec<LinkState>, gone: impl Iterator<Item = bool>) -> Vec<LinkState> {
    states.iter_mut().zip(gone).filter(|(_, gone)| *gone).for_each(|(state, _)| *state = LinkState::Gone);
    states
}

/// Takes over what a link is now. Whether that is something else than before.
fn relink(was: &mut LinkFacts, is: LinkFacts) -> bool {
    let is_other = (was.mac, was.mtu) != (is.mac, is.mtu);
    if is_other {
        tracing::warn!(
            link = %is.name, station = %is.mac, mtu = is.mtu, old_station = %was.mac, old_mtu = was.mtu,
            "the link is another; starting over"
        );
    }
    *was = is;
    is_other
}

/// What all workers counted.
fn totals(handles: &[Handle]) -> Totals {
    let mut all = Totals::default();
    handles.iter().for_each(|handle| all.add(&handle.counters.totals()));
    all
}

/// Seconds since 1970, for what is saved.
pub(super) fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
