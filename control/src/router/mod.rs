//! The control thread: what machines know is gathered, what to do is chosen from that, machines and workers are told.
//!
//! ```text
//! frames, timers --> machines --gather--> Facts --choose--> Choice --desired--> Desired --execute--> machines
//!                             --gather--> Facts --publish--> Snapshot, state
//! ```
//!
//! Nothing here reads a clock, a socket or a ring: [`Router::hear`] is given what workers punted, [`Router::turn`] the
//! time, [`Router::next_frame`] gives what is to be sent, [`Router::next_save`] what is to be written. `run` is around it.

mod across;
mod choose;
mod connection;
mod desired;
mod evidence;
mod execute;
mod facts;
mod far_end;
mod filter;
#[cfg(test)]
mod fixtures;
mod forwarding;
mod host_names;
mod known;
mod lan;
mod lan_dhcpv6;
mod lan_ipv6;
mod machines;
mod making;
pub mod message_log;
mod neighbour_log;
mod notice;
mod numbers;
mod prefix;
mod provisioning;
mod publish;
mod report;
mod requests;
mod resolver;
mod route_report;
mod rules;
mod saving;
mod sessions;
mod sessions_before;
mod state;
mod state_dir;
mod tunnel;
mod uplink;
mod wan;
mod warnings;
mod wire;

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_config::Config;
use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::{Listening, Snapshot};
use hikyaku_net::Time;
use hikyaku_protocols::forwarder::Upstream;
use hikyaku_protocols::nd_proxy::NdProxy;
use hikyaku_protocols::service::{Outcome, Probe, Step, Unresolved};
use hikyaku_protocols::sockets::{Stack, Wake};
use hikyaku_ring::{LinkId, Losses};

pub use forwarding::{Heard, NamesStatus, ToForwarder, Told};
pub use numbers::{LAN, WAN, host_of, lan_of, link_of};
pub use report::Surroundings;
pub use saving::{Save, StateFile};
pub use sessions_before::SessionsBefore;
pub use state::State;
pub use state_dir::{SessionFile, StateDir, Unsaved};
pub use wan::LinkFacts;

use choose::{Choice, choose};
use desired::desired;
use facts::{Facts, LineId};
use far_end::FarEnd;
use filter::Filter;
use forwarding::Forwarding;
use lan::Lan;
use machines::Machines;
use notice::Notice;
use provisioning::Provisioning;
use publish::Basis;
use requests::Requests;
use rules::Rules;
use saving::Saving;
use tunnel::Tunnel;
use uplink::Uplink;
use wan::Wan;
use wire::Frames;

/// How long workers go on with the snapshot of a control thread that crashed.
const HOLD: Duration = Duration::from_secs(60);

/// How often traffic is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a router is made from.
pub struct Parts {
    /// What the user wants.
    pub config: Arc<Config>,
    /// The links as they were opened, by their numbers: that of the first LAN, the line's, those of further LANs.
    pub links: Vec<LinkFacts>,
    /// Whether the host's own stack is behind each of them.
    pub hosts: Vec<bool>,
    /// How many workers there are.
    pub workers: usize,
    /// What workers are told, and what outlives a control thread that had to start over.
    pub shared: Arc<Shared>,
    /// What outlived the program before.
    pub state: StateDir,
    /// The sessions of the program before.
    pub sessions: SessionsBefore,
    /// Gets the control thread out of its sleep.
    pub wake: Wake,
}

/// The control thread's mind.
pub struct Router {
    machines: Machines,
    choice: Choice,
    /// What was told in the last turn has made facts others: the next is due at once.
    is_unsettled: bool,
    /// By link.
    hosts: Vec<bool>,
    workers: usize,
    shared: Arc<Shared>,
    state_dir: StateDir,
    config: Arc<Config>,
    wake: Wake,
    /// As workers know it, by link; also those who go on with the snapshot of a control thread that crashed.
    listens: Vec<Listening>,
    /// By link.
    losses: Vec<Losses>,
    /// What the last published snapshot was made of; `None`: nothing was published yet.
    published: Option<Basis>,
    /// As logged last, and since when.
    state: State,
    since: Time,
    started: Time,
    /// When the last turn was.
    turned: Time,
    look: Time,
    /// What the configuration leaves undone or cannot have.
    of_config: Vec<String>,
    saving: Saving,
    /// As logged last.
    told: Vec<String>,
    /// The first snapshot of a control thread that had to start over waits until there is a tunnel in it.
    hold: bool,
}

impl Router {
    /// A router that knows nothing yet but its configuration and what was saved. `wall`: seconds since 1970.
    ///
    /// # Errors
    /// There is no memory for the session table.
    pub fn new(parts: Parts, now: Time, wall: u64) -> std::io::Result<Self> {
        let Parts { config, mut links, hosts, workers, shared, state: state_dir, sessions, wake } = parts;
        let before = shared.snapshot.load_full();
        let secret = state_dir.secret();
        let count = links.len();
        let names = links.iter().map(|link| link.name.clone()).collect();
        let wan = links.remove(WAN.index());
        let mut wan = Wan::new(WAN, wan, &config.wan, secret, Stack::new(wake.clone()));
        let numbers = || (0u8..).map(LanId);
        wan.forwardings = config.lans.iter().map(|_| Forwarding::default()).collect();
        let lans = links.into_iter().zip(&config.lans).zip(numbers());
        let mut lans: Vec<Lan> =
            lans.map(|((link, lan), number)| Lan::new(link_of(number), link, lan, secret)).collect();
        if let Some(lease) = state_dir.load(StateFile::Dhcpv6) {
            wan.dhcpv6.resume(now, wall, &lease);
        }
        for (lan, number) in lans.iter_mut().zip(numbers()) {
            lan.restore(now, wall, state_dir.load(StateFile::Dhcpv4(number)).as_ref());
            lan.restore_dhcpv6(now, wall, state_dir.load(StateFile::Dhcpv6Leases(number)).as_ref());
            lan.restore_advertised(now, wall, state_dir.load(StateFile::Advertised(number)).as_ref());
        }
        // A snapshot of other stations is no good: nothing that is sent to us now would be taken.
        let same_stations = lans
            .iter()
            .map(|lan| (lan.id, lan.link.mac))
            .chain([(WAN, wan.link.mac)])
            .all(|(id, mac)| before.link(id).is_some_and(|link| link.mac == mac));
        let hold = same_stations && !before.softwires.is_empty();
        let connector = wan.sockets.connector();
        let requests = || Requests::new(connector.clone(), &wake);
        let machines = Machines {
            notice: Notice::new(&config.service, requests()).map_err(std::io::Error::other)?,
            provisioning: Provisioning::new(
                &config.service,
                now,
                wall,
                state_dir.load(StateFile::Provisioning),
                requests(),
            ),
            lans,
            routes: config.routes.clone(),
            wan,
            probe: Probe::default(),
            unresolved: Unresolved::default(),
            line: LineId::default(),
            tunnel: Tunnel::new(&config, workers, before.softwires.first(), sessions.clone()),
            far: FarEnd::new(before.softwires.first()),
            nd_proxy: NdProxy::default(),
            filter: Filter::new(now, &config, workers, before.filter6.clone(), sessions),
            rules: Rules::new(&config, before.rules.clone()),
            frames: Frames::new(names),
            verified: None,
            of_host: Vec::new(),
            leaving: false,
        };
        Ok(Self {
            of_config: config.warnings(),
            saving: Saving::new(config.lans.len()),
            told: Vec::new(),
            machines,
            choice: Choice::default(),
            is_unsettled: false,
            hosts,
            workers,
            shared,
            state_dir,
            config,
            wake,
            listens: (0u8..)
                .map(|id| before.link(LinkId(id)).map(|link| link.listens.clone()).unwrap_or_default())
                .take(count)
                .collect(),
            losses: vec![Losses::default(); count],
            published: None,
            state: State::LinkDown,
            since: now,
            started: now,
            turned: now,
            look: now,
            hold,
        })
    }

    /// Another configuration than before, of the same links and threads ([`Config::reloaded`]). What depends on what
    /// changed is made anew, sessions live on, and workers are told by the next snapshot.
    pub fn reload(&mut self, now: Time, wall: u64, config: Arc<Config>) {
        let was = std::mem::replace(&mut self.config, config);
        let config = self.config.clone();
        self.of_config = config.warnings();
        let Machines { lans, wan, tunnel, filter, rules, notice, provisioning, .. } = &mut self.machines;
        filter.reload(now, &config, self.workers);
        rules.reload(&config);
        for ((lan, config), number) in lans.iter_mut().zip(&config.lans).zip((0u8..).map(LanId)) {
            let dhcpv4 = StateFile::Dhcpv4(number);
            let saved = lan.dhcpv4.is_none().then(|| self.state_dir.load(dhcpv4)).flatten();
            if lan.reload_dhcpv6(now, wall, config) {
                self.saving.forget_leases(StateFile::Dhcpv6Leases(number));
            }
            if lan.reload(now, wall, config, saved) {
                self.saving.forget_leases(dhcpv4);
            }
        }
        let requests = || Requests::new(wan.sockets.connector(), &self.wake);
        if config.service.notification != was.service.notification {
            match Notice::new(&config.service, requests()) {
                Ok(new) => *notice = new,
                // The configuration was checked as a whole before.
                Err(error) => tracing::error!(%error, "address notification goes on as before"),
            }
        }
        if config.service.provisioning != was.service.provisioning {
            let saved = self.state_dir.load(StateFile::Provisioning);
            *provisioning = Provisioning::new(&config.service, now, wall, saved, requests());
        }
        tunnel.reload(&config);
        self.machines.routes.clone_from(&config.routes);
        self.published = None;
    }

    /// A frame that a worker punted.
    pub fn hear(&mut self, now: Time, message: &Message) {
        self.machines.hear(now, message);
    }

    /// What the forwarder of names of a LAN wants.
    pub fn hear_forwarder(&mut self, now: Time, lan: LanId, wants: Upstream) {
        let Machines { wan, frames, .. } = &mut self.machines;
        if let Upstream::Ask { server, port, payload } = wants {
            return wan.ask_for_host(now, lan, (server, port), &payload, frames);
        }
        let from = |server| wan.source_for(server);
        let from = if let Upstream::Stream { server, .. } = &wants { from(*server) } else { None };
        let Some(forwarding) = wan.forwardings.get_mut(usize::from(lan.0)) else { return };
        match wants {
            Upstream::Ask { .. } => {}
            Upstream::Close(port) => forwarding.close(port),
            Upstream::Stream { stream, server, payload } => {
                forwarding.open_stream(&wan.sockets, stream, server, from, payload);
            }
            Upstream::CloseStream(stream) => forwarding.close_stream(stream),
        }
    }

    /// What the forwarder of names of a LAN is to be told next.
    pub fn next_for_forwarder(&mut self) -> Option<(LanId, ToForwarder)> {
        let forwardings = self.machines.wan.forwardings.iter_mut().zip((0u8..).map(LanId));
        forwardings.filter_map(|(forwarding, lan)| Some((lan, forwarding.next()?))).next()
    }

    /// The multicast groups that we listen to, by link.
    pub fn groups(&self) -> Vec<Vec<Ipv6Addr>> {
        let machines = &self.machines;
        machines.by_link(|lan| lan.neighbours.groups(), machines.wan.neighbours.groups())
    }

    /// By link: whether solicitations for others' addresses are to be heard there, of which nobody knows the groups before
    /// (ND proxy).
    pub fn hears_all(&self) -> Vec<bool> {
        let machines = &self.machines;
        machines.by_link(|lan| lan.neighbours.is_proxied(), machines.nd_proxy.prefix().is_some())
    }

    /// An address of ours on the WAN that nothing comes to, and the router that was asked for an answer to it.
    pub fn silent(&self) -> Option<(Ipv6Addr, Ipv6Addr)> {
        self.machines.wan.reception.silent()
    }

    /// What was lost between the cards of each link and the workers.
    pub fn set_losses(&mut self, losses: Vec<Losses>) {
        self.losses = losses;
    }

    /// The IPv6 addresses that the host's own stack has on links that it is behind: what comes for those is the host's, whatever
    /// prefix a LAN has or shares.
    pub fn set_host_addresses(&mut self, addresses: Vec<Ipv6Addr>) {
        self.machines.of_host = addresses;
    }

    /// The carriers came or went, by link.
    pub fn set_links(&mut self, now: Time, up: &[bool]) {
        let tell = |link: &str, was: bool, is: bool| match (was, is) {
            (false, true) => tracing::info!(%link, "link up"),
            (true, false) => tracing::warn!(%link, "link down"),
            _ => {}
        };
        let Machines { lans, wan, .. } = &mut self.machines;
        let is_up = |link: LinkId| up.get(link.index()).copied().unwrap_or_default();
        for lan in lans {
            tell(&lan.link.name, lan.up, is_up(lan.id));
            lan.set_up(now, is_up(lan.id));
        }
        tell(&wan.link.name, wan.up, is_up(WAN));
        wan.set_up(now, is_up(WAN));
    }

    /// Does what is due, and what follows from what was heard: once. Where that makes facts others, [`Self::next`] is
    /// now. `totals`: what all workers counted.
    pub fn turn(&mut self, now: Time, totals: impl FnOnce() -> Totals) {
        self.machines.poll_links(now);
        let before = self.machines.gather(now);
        let choice = choose(&self.config, &before, &self.choice);
        tell(&self.choice.decision.steps, &choice.decision.steps);
        message_log::chosen(&self.choice, &choice);
        self.machines.execute(now, &desired(&self.config, &before, &choice));
        let looks = now >= self.look;
        if looks {
            self.look = now + LOOK;
            self.machines.far.look(now, &totals());
            self.machines.rules.tell(now);
            self.tell_standing(now);
        }
        self.machines.poll_service(now);
        let facts = self.machines.gather(now);
        self.machines.tell_forwarders(now, &choice, looks);
        (self.choice, self.turned) = (choice, now);
        self.is_unsettled = facts != before;
        self.assess(now, &facts);
        self.publish(now, &facts);
    }

    /// Logs how far the line has come.
    fn assess(&mut self, now: Time, facts: &Facts) {
        let state = State::of(facts, &self.choice);
        if state != self.state && !facts.leaving {
            tracing::info!("{state}");
            (self.state, self.since) = (state, now);
        }
    }

    /// Tells the workers, if what they have to know is other than before.
    fn publish(&mut self, now: Time, facts: &Facts) {
        self.listens.iter().zip(publish::listens(&self.machines)).for_each(|(known, at)| known.set(at));
        let basis = publish::basis(&self.machines, facts, &self.choice, self.published.as_ref());
        if self.published.as_ref() == Some(&basis) {
            return;
        }
        let snapshot: Snapshot =
            publish::snapshot(&basis, &self.machines, &self.config.service, &self.hosts, &self.listens);
        let whole = snapshot.softwires.iter().any(|softwire| softwire.next_hop.is_some());
        // After a crash of ours the workers go on with what they know until we know as much again.
        if self.hold && !whole && now.since(self.started) < HOLD {
            return;
        }
        self.hold = false;
        self.shared.snapshot.store(Arc::new(snapshot));
        self.published = Some(basis);
    }

    /// How far the line has come.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The next frame to send.
    pub fn next_frame(&mut self) -> Option<Message> {
        self.machines.frames.waiting.pop_front()
    }

    /// A frame that could not be handed over yet.
    pub fn put_back(&mut self, message: Message) {
        self.machines.frames.waiting.push_front(message);
    }

    /// When to come back if nothing happens.
    pub fn next(&self) -> Time {
        if self.is_unsettled {
            return Time::default();
        }
        let Uplink { silent_from, forgets_from, .. } = self.choice.uplink;
        let patience = [silent_from, forgets_from].map(|from| from.filter(|&from| from > self.turned));
        let machines = [self.machines.next(), self.choice.evidence.next(self.turned)];
        let due = machines.into_iter().chain(patience).chain([self.next_saving()]).flatten();
        due.chain((!self.machines.leaving).then_some(self.look)).min().unwrap_or(Time(u64::MAX))
    }

    /// Gives the leases back: the end of the program. What they were good for ends with that (RFC 8415 18.2.7).
    pub fn release(&mut self, now: Time) {
        self.machines.leaving = true;
        self.machines.tunnel.carry(None);
        self.machines.wan.release(now);
    }

    /// Nothing is leased any more.
    pub fn is_released(&self) -> bool {
        self.machines.wan.is_released()
    }
}

/// Logs the steps that came out differently than before. What is waited for is in the line's state, which is logged
/// too.
fn tell(before: &[Step], after: &[Step]) {
    for step in after.iter().filter(|step| !before.contains(step)) {
        let Step { origin, outcome, why: reason } = step;
        match outcome {
            Outcome::Waiting => {}
            Outcome::Chosen => tracing::info!(%origin, %reason, "service chosen"),
            Outcome::Unusable => tracing::warn!(%origin, %reason, "service cannot be carried"),
            Outcome::Nothing => tracing::info!(%origin, %reason, "no service is named"),
            Outcome::Silent => tracing::info!(%origin, %reason, "no answer about the service"),
        }
    }
}
