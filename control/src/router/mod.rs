//! The control thread: owns every machine, carries facts between them, publishes snapshots.
//!
//! Nothing here reads a clock, a socket or a ring: [`Router::hear`] is given what workers punted,
//! [`Router::turn`] the time, [`Router::next_frame`] gives what is to be sent. `run` is around it.

mod chooser;
mod lan;
mod notice;
mod provisioning;
mod publish;
mod report;
mod requests;
mod resolver;
mod state_dir;
mod tunnel;
mod wan;
mod wire;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_net::Time;
use hikyaku_protocols::hb46pp::Provision;
use hikyaku_protocols::service::{self, State};
use hikyaku_protocols::slaac::LineFacts;
use hikyaku_protocols::sockets::{Stack, Wake};
use hikyaku_ring::LinkId;

use crate::config::Config;

pub use publish::{LAN, LAN_HOST, WAN, WAN_HOST};
pub use report::Surroundings;
pub use state_dir::StateDir;
pub use wan::LinkFacts;

use chooser::Chooser;
use lan::Lan;
use notice::Notice;
use provisioning::Provisioning;
use publish::Basis;
use tunnel::Tunnel;
use wan::Wan;

/// Frames that wait to be sent, at most. Workers take them 64 at a time; more than this is a storm.
const WAITING: usize = 1024;

/// Frames to be sent.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    waiting: VecDeque<Message>,
    /// Too many, or too long.
    lost: u64,
}

impl Frames {
    fn send(&mut self, link: LinkId, frame: Vec<u8>) {
        match Message::new(link, &frame).filter(|_| self.waiting.len() < WAITING) {
            Some(message) => self.waiting.push_back(message),
            None => self.lost += 1,
        }
    }
}

/// What a router is made from.
pub struct Parts {
    /// What the user wants.
    pub config: Arc<Config>,
    /// The LAN link as it was opened.
    pub lan: LinkFacts,
    /// The WAN link as it was opened.
    pub wan: LinkFacts,
    /// Whether the host's own stack is behind LAN and WAN.
    pub hosts: [bool; 2],
    /// How many workers there are.
    pub workers: usize,
    /// What workers are told, and what outlives a control thread that had to start over.
    pub shared: Arc<Shared>,
    /// What outlives the program.
    pub state: StateDir,
    /// Gets the control thread out of its sleep.
    pub wake: Wake,
}

/// The control thread's mind.
pub struct Router {
    lan: Lan,
    wan: Wan,
    chooser: Chooser,
    tunnel: Tunnel,
    notice: Option<Notice>,
    hosts: [bool; 2],
    shared: Arc<Shared>,
    state_dir: StateDir,
    config: Arc<Config>,
    wake: Wake,
    frames: Frames,
    /// As published last.
    published: Option<Basis>,
    /// As logged last, and since when.
    state: State,
    since: Time,
    started: Time,
    look: Time,
    /// The first snapshot of a control thread that had to start over waits until there is a tunnel in it.
    hold: bool,
    /// The program is about to end.
    leaving: bool,
}

impl Router {
    /// A router that knows nothing yet but its configuration and what was saved. `wall`: seconds since 1970.
    ///
    /// # Errors
    /// There is no memory for the session table.
    pub fn new(parts: Parts, now: Time, wall: u64) -> std::io::Result<Self> {
        let Parts { config, lan, wan, hosts, workers, shared, state: state_dir, wake } = parts;
        let before = shared.snapshot.load_full();
        let tunnel = Tunnel::new(&config, workers, before.softwires.first());
        let mut wan = Wan::new(WAN, wan, &config.wan, state_dir.secret(), Stack::new(wake.clone()));
        let mut lan = Lan::new(LAN, lan, &config.lan);
        if let Some(lease) = state_dir.load("dhcpv6") {
            wan.dhcp6.resume(now, wall, &lease);
        }
        lan.restore(now, wall, state_dir.load("dhcpv4").as_ref());
        let notice = new_notice(&config, &wan, &wake).map_err(std::io::Error::other)?;
        let provisioning = new_provisioning(now, wall, &config, &state_dir, &wan, &wake);
        // A snapshot of other stations is no good: nothing that is sent to us now would be taken.
        let same_stations = [(LAN, lan.link.mac), (WAN, wan.link.mac)]
            .into_iter()
            .all(|(id, mac)| before.link(id).is_some_and(|link| link.mac == mac));
        let hold = same_stations && !before.softwires.is_empty();
        Ok(Self {
            lan,
            wan,
            chooser: Chooser::new(config.service.wish.clone(), provisioning),
            tunnel,
            notice,
            hosts,
            shared,
            state_dir,
            config,
            wake,
            frames: Frames::default(),
            published: None,
            state: State::LinkDown,
            since: now,
            started: now,
            look: now,
            hold,
            leaving: false,
        })
    }

    /// Another configuration than before, of the same links and threads ([`Config::reloaded`]). What depends on what
    /// changed is made anew, sessions live on, and workers are told by the next snapshot.
    pub fn reload(&mut self, now: Time, wall: u64, config: Arc<Config>) {
        let was = std::mem::replace(&mut self.config, config);
        let config = self.config.clone();
        let saved = self.lan.dhcp4.is_none().then(|| self.state_dir.load("dhcpv4")).flatten();
        self.lan.reload(now, wall, &config.lan, saved);
        self.wan.reload(&config.wan);
        if config.service.notification != was.service.notification {
            match new_notice(&config, &self.wan, &self.wake) {
                Ok(notice) => self.notice = notice,
                // The configuration was checked as a whole before.
                Err(error) => tracing::error!("{error}; told as before"),
            }
        }
        if config.service.provisioning != was.service.provisioning {
            self.chooser.provisioning = new_provisioning(now, wall, &config, &self.state_dir, &self.wan, &self.wake);
        }
        self.chooser.wish.clone_from(&config.service.wish);
        self.tunnel.reload(&config.service);
        self.published = None;
    }

    /// A frame that a worker punted.
    pub fn hear(&mut self, now: Time, message: &Message) {
        let frame = message.frame();
        match (message.link, message.unresolved) {
            (LAN, false) => self.lan.hear(now, frame, &mut self.frames),
            (LAN, true) => self.lan.resolve(now, frame.to_vec()),
            (WAN, false) => self.wan.hear(now, frame, &mut self.frames),
            (WAN, true) => self.wan.resolve(now, frame.to_vec()),
            _ => {}
        }
    }

    /// The carriers came or went.
    pub fn set_links(&mut self, now: Time, lan: bool, wan: bool) {
        for (name, was, is) in [(&self.lan.link.name, self.lan.up, lan), (&self.wan.link.name, self.wan.up, wan)] {
            match (was, is) {
                (false, true) => tracing::info!("{name}: up"),
                (true, false) => tracing::warn!("{name}: down"),
                _ => {}
            }
        }
        self.lan.set_up(now, lan);
        self.wan.set_up(now, wan);
    }

    /// Does what is due, and what follows from what was heard. `totals`: what all workers counted; `wall`:
    /// seconds since 1970, for what is saved.
    pub fn turn(&mut self, now: Time, wall: u64, totals: impl FnOnce() -> Totals) {
        self.lan.step(now, &mut self.frames);
        if self.leaving {
            // Leases are given back, and nothing new is begun.
            self.wan.step(now, &mut self.frames);
            let facts = self.wan.line.facts(now);
            self.wan.settle(now, &facts, &[], None);
            self.publish(&facts, now);
            return self.save(now, wall);
        }
        // What one machine learns may be news to another: until nothing is new.
        for _ in 0..ROUNDS {
            let mut news = self.wan.step(now, &mut self.frames);
            while let Some(answer) = self.wan.resolver.next_answer() {
                self.chooser.answered(now, &answer);
                self.tunnel.answered(now, &answer);
                self.notice.iter_mut().for_each(|notice| notice.answered(&answer));
            }
            let facts = self.wan.line.facts(now);
            news |= self.chooser.step(now, &mut self.wan, &facts, self.tunnel.lacking());
            news |= self.tunnel.step(now, &mut self.wan, &facts, &self.chooser.decision);
            let ends = self.tunnel.ends(&self.wan, &facts);
            self.wan.settle(now, &facts, &ends, self.tunnel.border_router());
            if let Some(notice) = &mut self.notice {
                // The WAN's own address may have moved before the tunnel's end: half of the way is no place to tell of.
                if !self.tunnel.is_moving(&self.wan, &facts) {
                    notice.set_place(now, notice::place(&self.tunnel, &self.wan, &facts));
                }
                notice.step(now, &mut self.wan);
            }
            if !news {
                break;
            }
        }
        if now >= self.look {
            self.look = now + tunnel::LOOK;
            self.tunnel.look(now, &totals());
        }
        let facts = self.wan.line.facts(now);
        self.assess(now, &facts);
        self.publish(&facts, now);
        self.save(now, wall);
    }

    fn assess(&mut self, now: Time, facts: &LineFacts) {
        let next_hop = self.next_hop(now);
        let wanted = self.tunnel.wanted(&self.wan, facts);
        let state = service::assess(&service::Facts {
            link_up: self.wan.up,
            link_local_ready: self.wan.link_local().is_some_and(|address| self.wan.is_ready(address)),
            router: facts.default_router(),
            prefix: self.wan.prefix(facts),
            wanted,
            in_use: self.tunnel.local(),
            taken_by: wanted.and_then(|address| self.wan.taken.get(&address).copied()),
            border_router: self.tunnel.border_router(),
            no_service: self.tunnel.wanted_plan().is_none().then(|| self.chooser.decision.why()),
            trouble: self.tunnel.trouble.clone(),
            no_border_router: self.tunnel.aftr.state().to_string(),
            next_hop: next_hop.map(|(address, _)| address),
            next_hop_known: next_hop.is_some_and(|(_, mac)| mac.is_some()),
        });
        if state != self.state {
            tracing::info!("{state}");
            (self.state, self.since) = (state, now);
        }
    }

    /// Whom packets to the border router go to, and its Ethernet address.
    fn next_hop(&self, now: Time) -> Option<(std::net::Ipv6Addr, Option<hikyaku_net::Mac>)> {
        let address = self.wan.line.next_hop(now, self.tunnel.border_router()?)?;
        Some((address, self.wan.neighbours.get(address.into())))
    }

    /// Tells the workers, if what they have to know is other than before.
    fn publish(&mut self, facts: &LineFacts, now: Time) {
        let next_hop = self.next_hop(now).and_then(|(_, mac)| mac);
        let basis = publish::basis(&self.lan, &self.wan, &self.tunnel, facts, next_hop);
        if self.published.as_ref() == Some(&basis) {
            return;
        }
        let snapshot: Snapshot = publish::snapshot(&basis, &self.lan, &self.wan, &self.tunnel, self.hosts);
        let whole = snapshot.softwires.iter().any(|softwire| softwire.next_hop.is_some());
        // After a crash of ours the workers go on with what they know until we know as much again.
        if self.hold && !whole && now.since(self.started) < HOLD {
            return;
        }
        self.hold = false;
        self.shared.snapshot.store(Arc::new(snapshot));
        self.published = Some(basis);
    }

    fn save(&mut self, now: Time, wall: u64) {
        if std::mem::take(&mut self.wan.lease_changed) {
            match self.wan.dhcp6.lease(now, wall) {
                Some(lease) => self.state_dir.save("dhcpv6", &lease),
                None => self.state_dir.remove("dhcpv6"),
            }
        }
        if let Some(provisioning) = &mut self.chooser.provisioning
            && std::mem::take(&mut provisioning.changed)
        {
            match provisioning.machine.saved(now, wall) {
                Some(saved) => self.state_dir.save("provisioning", &saved),
                None => self.state_dir.remove("provisioning"),
            }
        }
        if std::mem::take(&mut self.lan.leases_changed)
            && let Some(server) = &self.lan.dhcp4
        {
            self.state_dir.save("dhcpv4", &server.file(now, wall));
        }
    }

    /// How far the line has come.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The next frame to send.
    pub fn next_frame(&mut self) -> Option<Message> {
        self.frames.waiting.pop_front()
    }

    /// A frame that could not be handed over yet.
    pub fn put_back(&mut self, message: Message) {
        self.frames.waiting.push_front(message);
    }

    /// When to come back if nothing happens.
    pub fn next(&self) -> Time {
        if self.leaving {
            return self.lan.next().into_iter().chain(self.wan.next()).min().unwrap_or(Time(u64::MAX));
        }
        let notice = self.notice.as_ref().and_then(Notice::next);
        let machines = [self.lan.next(), self.wan.next(), self.chooser.next(), self.tunnel.next(), notice];
        machines.into_iter().flatten().fold(self.look, Time::min)
    }

    /// Gives the leases back: the end of the program. What they were good for ends with that (RFC 8415 18.2.7).
    pub fn release(&mut self, now: Time) {
        self.leaving = true;
        self.tunnel.release();
        self.wan.release(now);
    }

    /// Nothing is leased any more.
    pub fn is_released(&self) -> bool {
        self.wan.is_released()
    }
}

fn new_notice(
    config: &Config,
    wan: &Wan,
    wake: &Wake,
) -> Result<Option<Notice>, hikyaku_protocols::notification::ConfigError> {
    let notification = config.service.notification.clone();
    notification.map(|notification| Notice::new(notification, wan, wake.clone())).transpose()
}

fn new_provisioning(
    now: Time,
    wall: u64,
    config: &Config,
    state_dir: &StateDir,
    wan: &Wan,
    wake: &Wake,
) -> Option<Provisioning> {
    let mut machine = Provision::new(config.service.provisioning.clone()?);
    if let Some(saved) = state_dir.load("provisioning") {
        machine.resume(now, wall, &saved);
    }
    Some(Provisioning::new(machine, wan, wake.clone()))
}

/// Facts pass from machine to machine this often in one turn, at most; the rest waits for the next.
const ROUNDS: usize = 8;

/// How long workers go on with the snapshot of a control thread that crashed.
const HOLD: Duration = Duration::from_secs(60);
