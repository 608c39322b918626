//! The client's states, and what leads from one to another (RFC 8415 18.2).

mod input;
mod output;
mod phase;

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::Status;
use hikyaku_net::Time;
use rand::rngs::StdRng;

use super::duid::Duid;
use super::exchange::{Exchange, MAX_RT, Schedule, Turn};
use super::information::Information;
use super::lease::{Held, Lease, Leased};
use super::prefix::Prefix;
use super::reconfigure::Key;
use super::{Config, Counts, Event, Fact, Facts, Failure, Mode, Output, State, StatusName, Want};
use crate::Machine;
use phase::{Offer, Phase};

/// Information refresh time if the server has no word on it, and the shortest there is (RFC 8415 7.6).
const REFRESH: u32 = 86_400;
const SHORTEST_REFRESH: u32 = 600;

/// A DHCPv6 client on one link.
#[derive(Debug)]
pub struct Client {
    config: Config,
    duid: Duid,
    mode: Mode,
    phase: Phase,
    held: Option<Held>,
    information: Information,
    /// Who gave the information.
    informed_by: Option<Duid>,
    refresh: Option<Time>,
    key: Option<Key>,
    /// SOL_MAX_RT and INF_MAX_RT (RFC 7083).
    solicit_max: Duration,
    information_max: Duration,
    /// Requests refused since the last lease: each makes the next Solicit wait longer.
    refusals: u32,
    /// What was last said to have failed.
    told: Option<Failure>,
    out: VecDeque<Output>,
    rng: StdRng,
    /// Messages sent and heard.
    pub counts: Counts,
}

impl Client {
    /// A client that is off and has no leases: it is silent until [`Self::set_mode`].
    pub fn new(config: Config) -> Self {
        Self::with_rng(config, rand::make_rng())
    }

    /// With this randomness. For tests: transaction ids must not be guessable.
    pub fn with_rng(config: Config, rng: StdRng) -> Self {
        Self {
            duid: Duid::link_layer(config.mac),
            config,
            mode: Mode::Off,
            phase: Phase::Off,
            held: None,
            information: Information::default(),
            informed_by: None,
            refresh: None,
            key: None,
            solicit_max: MAX_RT,
            information_max: MAX_RT,
            refusals: 0,
            told: None,
            out: VecDeque::new(),
            rng,
            counts: Counts::default(),
        }
    }

    /// Does as the router advertisements say. Call when that changes: leaving [`Mode::Stateful`] for
    /// [`Mode::Stateless`] gives the leases back, for [`Mode::Off`] it forgets them without a word. RFC 4862 5.5.3 no
    /// longer says what to do when M goes from one to zero; a single RA without it should not lead here.
    pub fn set_mode(&mut self, now: Time, mode: Mode) {
        if mode == self.mode {
            return;
        }
        self.mode = mode;
        match mode {
            Mode::Off => {
                self.lose();
                (self.informed_by, self.refresh, self.key) = Default::default();
                if std::mem::take(&mut self.information) != Information::default() {
                    self.event(Event::Informed);
                }
                self.phase = Phase::Off;
            }
            Mode::Stateless => self.give_back(now),
            // A Release under way goes on, and then begins what the mode says.
            Mode::Stateful if matches!(self.phase, Phase::Releasing(..)) => (),
            Mode::Stateful => self.begin(now),
        }
    }

    /// Gives the leases back and stops: [`State::Releasing`] for some seconds, then [`State::Off`].
    pub fn release(&mut self, now: Time) {
        self.mode = Mode::Off;
        self.give_back(now);
    }

    /// The link came up, maybe another one than before (RFC 8415 18.2.12).
    pub fn link_up(&mut self, now: Time) {
        if self.mode != Mode::Off {
            self.begin(now);
        }
    }

    /// Takes up the leases of before a restart; `wall` is seconds of Unix. Whether there was anything to take
    /// up: not if they are another machine's, or ended, or there are leases already.
    pub fn resume(&mut self, now: Time, wall: u64, lease: &Lease) -> bool {
        let held = lease.load(now, wall);
        if lease.client != self.duid || self.held.is_some() || !self.enough(&held) {
            return false;
        }
        let (prefixes, addresses) = (held.delegated(), held.assigned());
        self.held = Some(held);
        self.information = lease.information.clone();
        self.informed_by = Some(lease.server.clone());
        self.event(Event::Resumed { prefixes, addresses });
        if self.mode == Mode::Stateful {
            self.begin(now);
        }
        true
    }

    /// What to write to the lease file; `None` without leases. `wall` is seconds of Unix.
    pub fn lease(&self, now: Time, wall: u64) -> Option<Lease> {
        let held = self.held.as_ref()?;
        Some(Lease::save(held, &self.duid, &self.information, now, wall))
    }

    /// Somebody else has this address of ours (RFC 8415 18.2.8, RFC 4862 5.4).
    pub fn decline(&mut self, now: Time, address: Ipv6Addr) {
        let Some(held) = &mut self.held else { return };
        let Some(at) = held.addresses.iter().position(|leased| leased.what == address) else { return };
        let mut declined = Held::empty(held.server.clone());
        declined.addresses.push(held.addresses.remove(at));
        if let Phase::Declining(_, earlier) = &mut self.phase {
            declined.addresses.append(&mut earlier.addresses);
        }
        let left = held.clone();
        if self.enough(&left) {
            let (old, addresses) = (left.delegated(), left.assigned());
            self.event(Event::Changed { new: old.clone(), old, addresses });
        } else {
            self.lose();
        }
        self.phase = Phase::Declining(self.exchange(now, Schedule::GIVE_BACK, None), declined);
    }

    /// What it is doing at the moment.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// What it was told to ask for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Our DHCP Unique Identifier (RFC 8415 11), made of the Ethernet address.
    pub fn duid(&self) -> &Duid {
        &self.duid
    }

    /// Delegated prefixes, with lifetimes for the LAN's router advertisements.
    pub fn prefixes(&self) -> &[Leased<Prefix>] {
        self.held.as_ref().map_or(&[], |held| &held.prefixes)
    }

    /// Addresses that are leased to us (IA_NA), with their lifetimes.
    pub fn addresses(&self) -> &[Leased<Ipv6Addr>] {
        self.held.as_ref().map_or(&[], |held| &held.addresses)
    }

    /// What the server said besides leases: resolvers, AFTR, softwires, time servers.
    pub fn information(&self) -> &Information {
        &self.information
    }

    /// All that is known at `now`, with times left in seconds, for `hikyaku show`.
    pub fn facts(&self, now: Time) -> Facts {
        fn facts<T: Copy>(now: Time, leases: &[Leased<T>]) -> Vec<Fact<T>> {
            let left = |at: Option<Time>| at.map(|at| at.since(now).as_secs());
            let fact =
                |l: &Leased<T>| Fact { what: l.what, preferred: left(l.preferred_until), valid: left(l.valid_until) };
            leases.iter().map(fact).collect()
        }
        let left = |at: Option<Time>| at.map(|at| at.since(now).as_secs());
        let held = self.held.as_ref();
        Facts {
            state: self.state(),
            mode: self.mode,
            client: self.duid.clone(),
            server: held.map(|held| &held.server).or(self.informed_by.as_ref()).cloned(),
            prefixes: facts(now, self.prefixes()),
            addresses: facts(now, self.addresses()),
            t1: held.and_then(|held| left(held.t1)),
            t2: held.and_then(|held| left(held.t2)),
            expires: held.and_then(|held| left(held.last_end())),
            refresh: left(self.refresh),
            information: self.information.clone(),
            counts: self.counts,
        }
    }

    /// Does one thing that is due; whether there was one.
    fn step(&mut self, now: Time) -> bool {
        if self.expire(now) {
            return true;
        }
        let turn = match &mut self.phase {
            Phase::Off => return false,
            Phase::Bound => {
                let due = self.held.as_ref().and_then(|held| held.t1).is_some_and(|t1| t1 <= now);
                if due {
                    self.settle(now);
                }
                return due;
            }
            Phase::Informed => {
                let due = self.refresh.is_some_and(|at| at <= now);
                if due {
                    self.ask(now, None);
                }
                return due;
            }
            // RFC 8415 18.2.1: the first wait is over, the best so far is asked.
            Phase::Soliciting(exchange, offers) if exchange.sent > 0 && exchange.due() <= now && !offers.is_empty() => {
                let offers = std::mem::take(offers);
                self.request(now, offers);
                return true;
            }
            phase => {
                let Some(exchange) = phase.exchange_mut() else { return false };
                exchange.turn(now, &mut self.rng)
            }
        };
        match turn {
            Turn::Wait => return false,
            Turn::Send => self.send(now),
            Turn::GiveUp => self.give_up(now),
        }
        true
    }

    /// Leases whose time is over.
    fn expire(&mut self, now: Time) -> bool {
        let Some(held) = &mut self.held else { return false };
        let before = held.clone();
        if !held.expire(now) {
            return false;
        }
        let left = held.clone();
        if self.enough(&left) {
            let (old, new, addresses) = (before.delegated(), left.delegated(), left.assigned());
            self.event(Event::Changed { old, new, addresses });
            return true;
        }
        self.held = Some(before);
        self.lose();
        let uses_leases =
            matches!(self.phase, Phase::Bound | Phase::Renewing(_) | Phase::Rebinding(_) | Phase::Verifying(_));
        if uses_leases {
            self.begin(now);
        }
        true
    }

    /// Whether these leases are what a binding needs.
    fn enough(&self, held: &Held) -> bool {
        match self.config.want {
            Want::Prefix | Want::PrefixAndAddress => !held.prefixes.is_empty(),
            Want::Address => !held.addresses.is_empty(),
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Reports a failure, unless the last one that was reported is the same.
    fn tell(&mut self, failure: Failure) {
        if self.told.as_ref() != Some(&failure) {
            self.told = Some(failure.clone());
            self.event(Event::Failed(failure));
        }
    }

    fn refused(&mut self, server: &Duid, status: Status, words: &str) {
        self.counts.refused += 1;
        let words = words.chars().filter(|c| !c.is_control()).take(100).collect();
        self.tell(Failure::Refused { server: server.clone(), status: StatusName(status), words });
    }

    /// Without leases, from here on.
    fn lose(&mut self) {
        if let Some(held) = self.held.take() {
            self.key = None;
            self.event(Event::Lost { prefixes: held.delegated(), addresses: held.assigned() });
        }
    }

    fn exchange(&mut self, now: Time, schedule: Schedule, end: Option<Time>) -> Exchange {
        Exchange::new(schedule, now, end, &mut self.rng)
    }

    /// From the start of what the mode asks for.
    fn begin(&mut self, now: Time) {
        self.told = None;
        match self.mode {
            Mode::Off => self.phase = Phase::Off,
            Mode::Stateless => self.ask(now, None),
            Mode::Stateful if self.held.is_some() => {
                let mut exchange = self.exchange(now, Schedule::CONFIRM, None);
                exchange.end = Some(exchange.due() + Schedule::CONFIRM_LASTS);
                self.phase = Phase::Verifying(exchange);
            }
            Mode::Stateful => self.solicit(now),
        }
    }

    fn solicit(&mut self, now: Time) {
        let mut schedule = Schedule::solicit(self.solicit_max);
        // RFC 8415 18.2.10: a server that offers and then refuses is not asked in a loop.
        schedule.delay *= 1 << self.refusals.min(7);
        self.phase = Phase::Soliciting(self.exchange(now, schedule, None), Vec::new());
    }

    fn request(&mut self, now: Time, offers: Vec<Offer>) {
        self.phase = Phase::Requesting(self.exchange(now, Schedule::REQUEST, None), offers);
    }

    /// The offer that was asked for came to nothing: the next one, or a new search.
    fn request_next(&mut self, now: Time) {
        self.refusals += 1;
        match &mut self.phase {
            Phase::Requesting(_, offers) if offers.len() > 1 => {
                let rest = offers.split_off(1);
                self.request(now, rest);
            }
            _ => self.solicit(now),
        }
    }

    fn ask(&mut self, now: Time, end: Option<Time>) {
        let schedule = Schedule::information_request(self.information_max);
        self.phase = Phase::Asking(self.exchange(now, schedule, end));
    }

    /// To the state that T1 and T2 say.
    fn settle(&mut self, now: Time) {
        let Some((t1, t2, end)) = self.held.as_ref().map(|held| (held.t1, held.t2, held.last_end())) else {
            return self.begin(now);
        };
        let ahead = |at: Option<Time>| at.is_none_or(|at| at > now);
        self.phase = match () {
            () if ahead(t1) => Phase::Bound,
            () if ahead(t2) => Phase::Renewing(self.exchange(now, Schedule::RENEW, t2)),
            () => Phase::Rebinding(self.exchange(now, Schedule::RENEW, end)),
        };
    }

    /// Releases the leases, if there are any, and goes on with what the mode asks for.
    fn give_back(&mut self, now: Time) {
        if matches!(self.phase, Phase::Releasing(..)) {
            return;
        }
        let Some(held) = self.held.clone() else { return self.begin(now) };
        // RFC 8415 18.2.7: not used any more from the moment that the Release is sent.
        self.lose();
        self.phase = Phase::Releasing(self.exchange(now, Schedule::GIVE_BACK, None), held);
    }

    /// Retransmissions are used up (RFC 8415 15): what follows from the state that it was in.
    fn give_up(&mut self, now: Time) {
        match &self.phase {
            Phase::Requesting(_, offers) => {
                let server = offers[0].server.clone();
                self.tell(Failure::RequestUnanswered(server));
                self.request_next(now);
            }
            Phase::Releasing(..) => self.released(now),
            Phase::Renewing(_) => {
                if let Some(server) = self.held.as_ref().map(|held| held.server.clone()) {
                    self.tell(Failure::RenewUnanswered(server));
                }
                self.settle(now);
            }
            // RFC 8415 18.2.3: without an answer the leases are used on.
            _ => self.settle(now),
        }
    }

    fn released(&mut self, now: Time) {
        self.event(Event::Released);
        self.begin(now);
    }
}

impl Machine for Client {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        // Each step sends, says something, or moves on to a state that waits or sends.
        while self.step(now) {}
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if !self.out.is_empty() {
            return Some(Time(0));
        }
        let due = match &self.phase {
            Phase::Bound => self.held.as_ref().and_then(|held| held.t1),
            Phase::Informed => self.refresh,
            phase => phase.exchange().map(Exchange::due),
        };
        let end = self.held.as_ref().and_then(Held::first_end);
        due.into_iter().chain(end).min()
    }
}
