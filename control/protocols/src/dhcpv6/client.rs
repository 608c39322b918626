//! The client's states, and what leads from one to another (RFC 8415 18.2).

mod early;
mod facts;
mod input;
mod output;
mod phase;

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;
use rand::rngs::StdRng;

use super::duid::Duid;
use super::exchange::{Exchange, MAX_RT, Schedule, Turn};
use super::information::Information;
use super::inquiry::Inquiry;
use super::lease::{Held, Lease, Leased};
use super::prefix::Prefix;
use super::reconfigure::Key;
use super::{Config, Counts, Event, Failure, Ignored, Mode, Output, State, Want};
use crate::Machine;
use early::Early;
use phase::{Offer, Phase, Silence};

/// So many Solicits without an answer, and information is asked for by itself.
const UNANSWERED: u32 = 3;

/// Where that is told, further Solicits are so far apart at least: the line goes on without leases.
const SLOWLY: Duration = Duration::from_secs(60);

/// A DHCPv6 client on one link.
#[derive(Debug)]
pub struct Client {
    config: Config,
    duid: Duid,
    mode: Mode,
    phase: Phase,
    held: Option<Held>,
    /// The leases before these: a server that is asked again may give them again.
    last: Option<Held>,
    /// Where the leases came from on this link.
    router: Option<Ipv6Addr>,
    inquiry: Inquiry,
    information: Information,
    /// Answers of other servers than the one in use, which has time to answer too.
    early: Vec<Early>,
    key: Option<Key>,
    /// SOL_MAX_RT (RFC 7083).
    solicit_max: Duration,
    /// Requests refused since the last lease: each makes the next Solicit wait longer.
    refusals: u32,
    /// What was refused since then.
    refused: Option<Failure>,
    /// What is wrong with the last answer that was used.
    flaws: Vec<Failure>,
    /// Why the last answers were ignored.
    ignored: Option<Ignored>,
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
            last: None,
            router: None,
            inquiry: Inquiry::new(),
            information: Information::default(),
            early: Vec::new(),
            key: None,
            solicit_max: MAX_RT,
            refusals: 0,
            refused: None,
            flaws: Vec::new(),
            ignored: None,
            told: None,
            out: VecDeque::new(),
            rng,
            counts: Counts::default(),
        }
    }

    /// Does as the router advertisements say. Call when that changes: between [`Mode::Stateful`] and [`Mode::Other`] leases
    /// and messages go on, [`Mode::Stateless`] gives leases back, [`Mode::Off`] forgets everything without a word.
    /// RFC 4862 5.5.3 no longer says what to do when M goes from one to zero; a single RA without it should not lead here.
    pub fn set_mode(&mut self, now: Time, mode: Mode) {
        if mode == self.mode {
            return;
        }
        self.mode = mode;
        match mode {
            Mode::Off => self.forget(),
            Mode::Stateless => {
                self.inquiry.begin(now, &mut self.rng);
                self.give_back(now);
            }
            // A Release under way goes on, and then begins what the mode says.
            Mode::Other | Mode::Stateful if matches!(self.phase, Phase::Off) => self.begin(now),
            Mode::Other if matches!(self.phase, Phase::Soliciting(..)) => self.inquiry.begin(now, &mut self.rng),
            Mode::Other | Mode::Stateful => (),
        }
    }

    /// Gives up everything that is known, and falls silent.
    fn forget(&mut self) {
        self.lose();
        self.inquiry.forget();
        self.early.clear();
        (self.phase, self.key) = (Phase::Off, None);
        (self.refused, self.ignored, self.flaws) = Default::default();
        if std::mem::take(&mut self.information) != Information::default() {
            self.event(Event::Informed);
        }
    }

    /// Gives the leases back and stops: [`State::Releasing`] for some seconds, then [`State::Off`].
    pub fn release(&mut self, now: Time) {
        self.mode = Mode::Off;
        self.inquiry.stop();
        self.give_back(now);
    }

    /// The link came up, maybe another one than before (RFC 8415 18.2.12): leases are verified, and used on if nobody
    /// answers; everything else begins anew.
    pub fn link_up(&mut self, now: Time) {
        if self.mode != Mode::Off {
            self.inquiry.doubt(now, &mut self.rng);
            self.begin(now);
        }
    }

    /// Something says that the line may be another than it was, though the link never went down: its router changed, or
    /// the far end fell silent. Everything that was learned is asked about at once; what is under way already is not
    /// begun anew. Leases are verified as by [`Self::link_up`], but if nobody answers, others are looked for (Solicit) while
    /// these are used, until there are new ones, or these end, or are to be renewed.
    ///
    /// Each call may send a message or two: how often is up to the caller.
    pub fn doubt(&mut self, now: Time) {
        self.inquiry.doubt(now, &mut self.rng);
        match &mut self.phase {
            Phase::Bound | Phase::Renewing(_) | Phase::Rebinding(_) => self.verify(now, Silence::AnotherLine),
            Phase::Verifying(_, silence) => *silence = Silence::AnotherLine,
            Phase::Soliciting(exchange, _) => exchange.hurry(now),
            Phase::Requesting(exchange, _) if exchange.is_slow(now) => self.solicit(now),
            Phase::Off | Phase::Requesting(..) | Phase::Declining(..) | Phase::Releasing(..) => (),
        }
    }

    /// What was told of the service is of no use: the far end is silent. Where other servers say something else than the one
    /// that told of it, their word counts after a while. To be called beside [`Self::doubt`], each time that it is why.
    pub fn told_in_vain(&mut self, now: Time) {
        self.inquiry.told_in_vain(now);
    }

    /// Takes up the leases of before a restart; `wall` is seconds of Unix. Whether there was anything to take up: not if
    /// they are another machine's, or there are leases already, or they ended. Those that ended are asked for again.
    pub fn resume(&mut self, now: Time, wall: u64, lease: &Lease) -> bool {
        if lease.client != self.duid || self.held.is_some() {
            return false;
        }
        let held = lease.load(now, wall);
        if !self.enough(&held) {
            // Long before they ended: what is of interest is what they were.
            self.last = Some(lease.load(now, 0));
            return false;
        }
        let (prefixes, addresses) = (held.delegated(), held.assigned());
        self.held = Some(held);
        self.information = lease.information.clone();
        self.inquiry.told(lease.server.clone());
        self.event(Event::Resumed { prefixes, addresses });
        if self.mode.wants_leases() {
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

    /// Does one thing that is due; whether there was one.
    fn step(&mut self, now: Time) -> bool {
        if self.drop_leases(now, |held| held.expire(now)) {
            return true;
        }
        if self.hear_early(now) {
            return true;
        }
        if self.inquiry.turn(now, &mut self.rng) == Turn::Send {
            self.send_inquiry(now);
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
            Turn::Send => {
                self.send(now);
                self.look_beside(now);
            }
            Turn::GiveUp => self.give_up(now),
        }
        true
    }

    /// Where Solicit is in vain everything else is asked for by itself, and Solicit takes its time.
    fn look_beside(&mut self, now: Time) {
        let Phase::Soliciting(exchange, _) = &mut self.phase else { return };
        if exchange.sent <= UNANSWERED {
            return;
        }
        match self.inquiry.state() {
            Some(State::Informed) => exchange.slow_down(now, SLOWLY),
            _ => self.inquiry.begin(now, &mut self.rng),
        }
    }

    /// Lets leases go that are over, if `over` finds some; whether it did.
    fn drop_leases(&mut self, now: Time, over: impl FnOnce(&mut Held) -> bool) -> bool {
        let Some(held) = &self.held else { return false };
        let mut left = held.clone();
        if !over(&mut left) {
            return false;
        }
        if self.enough(&left) {
            let (old, new, addresses) = (held.delegated(), left.delegated(), left.assigned());
            self.held = Some(left);
            self.event(Event::Changed { old, new, addresses });
            return true;
        }
        self.lose();
        if self.phase.rests_on_leases() {
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

    /// Notes that a server does not give what was asked for, and reports it unless it refused the same before.
    fn refuse(&mut self, now: Time, failure: Failure) {
        self.counts.refused += 1;
        if self.refused.as_ref() != Some(&failure) {
            self.refused = Some(failure.clone());
            self.event(Event::Failed(failure));
        }
        if matches!(self.phase, Phase::Soliciting(..)) {
            self.inquiry.begin(now, &mut self.rng);
        }
    }

    /// Without leases, from here on.
    fn lose(&mut self) {
        if let Some(held) = self.held.take() {
            (self.key, self.router) = (None, None);
            self.event(Event::Lost { prefixes: held.delegated(), addresses: held.assigned() });
            self.last = Some(held);
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
            Mode::Stateless => {
                self.phase = Phase::Off;
                self.inquiry.begin(now, &mut self.rng);
            }
            Mode::Other | Mode::Stateful if self.held.is_some() => self.verify(now, Silence::Nothing),
            Mode::Other | Mode::Stateful => self.solicit(now),
        }
    }

    fn verify(&mut self, now: Time, silence: Silence) {
        let mut exchange = self.exchange(now, Schedule::CONFIRM, None);
        exchange.end = Some(exchange.due() + Schedule::CONFIRM_LASTS);
        self.phase = Phase::Verifying(exchange, silence);
    }

    fn solicit(&mut self, now: Time) {
        let schedule = Schedule::solicit(self.solicit_max).after_refusals(self.refusals);
        // Leases that are used meanwhile are renewed in their time.
        let end = self.held.as_ref().and_then(|held| held.next_time(now));
        self.phase = Phase::Soliciting(self.exchange(now, schedule, end), Vec::new());
        if self.mode == Mode::Other || self.refused.is_some() {
            self.inquiry.begin(now, &mut self.rng);
        }
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
            Phase::Verifying(_, Silence::AnotherLine) => self.solicit(now),
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
            phase => phase.exchange().map(Exchange::due),
        };
        let end = self.held.as_ref().and_then(Held::first_end);
        due.into_iter().chain(self.inquiry.due()).chain(self.early_due()).chain(end).min()
    }
}
