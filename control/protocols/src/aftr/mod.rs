//! Which border router is used, and whether it still answers.
//!
//! - Sources are tried in the order of [`Source`]; the first that has addresses gives the candidates, in its
//!   own order. A name that has not resolved or failed yet is waited for, half a minute at most.
//! - The candidate in use stays as long as it answers, also when a better one is back: sessions of a border
//!   router's NAT do not move with us.
//! - When packets go out and nothing comes back, it is asked for an echo (RFC 4443 4.1), and a second later all others
//!   are. A reply says that it lives: one-way traffic alone never moves us. Without three replies, and with one of
//!   another, that other is used, unless the one in use carried and never replied before: then its silence here says
//!   nothing.
//! - Where nobody replies, one that carried stays for a minute of complete silence, one that never did for three
//!   seconds. Then all are tried in turn, three seconds each, with pauses of at most two seconds between whole rounds,
//!   and their names are asked for again.
//! - When a name's new answer does not contain the one in use, the operator moved it: so do we, but, while the
//!   old one answers, at most once in ten minutes (answers may rotate), and to one that replies to an echo request. If
//!   none does the first is tried, once, and the old one is used again if it carries nothing.
//! - An address of our own is nobody's border router.
//!
//! ```
//! use hikyaku_net::Time;
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::aftr::{Output, Patience, Selector, Source};
//!
//! let mut selector = Selector::new(Patience::default());
//! selector.set(Time(0), Source::UserAddresses, Some("2001:db8::a".parse().unwrap()));
//! let Some(Output::Moved { from: None, to, .. }) = selector.drive(Time(0)) else { panic!("nothing is chosen") };
//! assert_eq!((to, selector.current()), (Some("2001:db8::a".parse().unwrap()), to));
//! // About once a second: `selector.traffic(now, sent, received)`. After silence it asks for echoes, and leaves.
//! ```

mod candidates;
mod failover;
mod sources;
mod state;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;

use crate::Machine;
use crate::dns::Failure;
use crate::echo::EchoRequest;
use candidates::Candidates;
use failover::TURN;
use sources::Slot;
pub use sources::{Endpoint, MAX_ADDRESSES, Resolved, Source};
pub use state::{Output, State, Why};
pub use watch::Patience;
use watch::{Sign, Watch};

/// Between two moves that only a name's new answer asks for.
const DWELL: Duration = Duration::from_secs(600);

/// Selects the AFTR or border router of a line, and leaves it for another when it does not answer.
#[derive(Debug)]
pub struct Selector {
    patience: Patience,
    slots: BTreeMap<Source, Slot>,
    resolvers: bool,
    /// Addresses of our own.
    own: Vec<Ipv6Addr>,
    /// Of the source in use.
    candidates: Candidates,
    source: Option<Source>,
    current: Option<Ipv6Addr>,
    /// When it was taken.
    taken: Time,
    /// The last one that something came back from.
    worked: Option<Ipv6Addr>,
    /// The one in use is suspected: it and the others are asked for echoes.
    asking: bool,
    /// Since when nothing comes back, neither packets nor echoes.
    silent_since: Option<Time>,
    /// None answers, and all are tried in turn, for so many whole rounds.
    rounds: Option<u32>,
    /// A name's new answer waits for one of its addresses to reply.
    awaits_reply: bool,
    /// When the last failure of all made us ask for names.
    refreshed: Option<Time>,
    /// When a name's answer last made us move.
    moved: Option<Time>,
    watch: Watch,
    told: State,
    settled: Time,
    outputs: VecDeque<Output>,
}

enum Choice {
    /// These of this source.
    Use(Source, Vec<Ipv6Addr>),
    /// A name may still resolve.
    Wait,
    Nothing,
}

impl Selector {
    /// A selector that knows of no border router yet. `patience`: when one counts as silent.
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            slots: BTreeMap::new(),
            resolvers: false,
            own: Vec::new(),
            candidates: Candidates::default(),
            source: None,
            current: None,
            taken: Time::default(),
            worked: None,
            asking: false,
            silent_since: None,
            rounds: None,
            awaits_reply: false,
            refreshed: None,
            moved: None,
            watch: Watch::default(),
            told: State::Unconfigured,
            settled: Time::default(),
            outputs: VecDeque::new(),
        }
    }

    /// A source says this now, or nothing any more.
    pub fn set(&mut self, now: Time, source: Source, endpoint: Option<Endpoint>) {
        match endpoint {
            Some(endpoint) if self.slots.get(&source).is_some_and(|s| s.endpoint == endpoint) => {}
            Some(endpoint) => {
                // What the user wants is done at once, whether the one before works or not.
                self.worked = self.worked.filter(|_| !source.is_the_users());
                self.slots.insert(source, Slot::new(now, endpoint));
            }
            None => drop(self.slots.remove(&source)),
        }
        self.settle(now, false);
    }

    /// The line's resolvers are others now, or there are none (`available`). Tell it after whoever carries out
    /// [`Output::Resolve`] knows them.
    pub fn resolvers_changed(&mut self, now: Time, available: bool) {
        self.resolvers = available;
        self.slots.values_mut().for_each(|slot| slot.doubt(now));
        self.settle(now, false);
    }

    /// Our prefix is another: names are asked for again, and whoever failed may do better from here.
    pub fn prefix_changed(&mut self, now: Time) {
        self.slots.values_mut().for_each(|slot| slot.doubt(now));
        self.candidates.forget();
        self.watch.restart(now);
        self.calm();
        self.settle(now, false);
    }

    /// These addresses are our own: none of them is a border router, whatever a name resolves to.
    pub fn set_own(&mut self, now: Time, own: &[Ipv6Addr]) {
        if self.own != own {
            self.own = own.to_vec();
            self.settle(now, false);
        }
    }

    /// The answer to [`Output::Resolve`]; for a name that is not waited for it changes nothing.
    pub fn handle_answer(&mut self, now: Time, name: &str, result: &Result<Resolved, Failure>) {
        for (source, slot) in &mut self.slots {
            if slot.name() == Some(name) && slot.is_asked() {
                slot.resolved(now, result, self.rounds.is_some() && self.source == Some(*source));
            }
        }
        self.settle(now, true);
    }

    /// An ICMPv6 error says that `address` cannot be reached: no route, prohibited, address or port
    /// unreachable (RFC 4443 3.1).
    pub fn unreachable(&mut self, now: Time, address: Ipv6Addr) {
        let is_current = self.current == Some(address);
        if is_current && self.watch.unreachable(now) && now.since(self.taken) >= TURN {
            self.turn(now, address, Why::Unreachable);
        }
        self.settle(now, false);
    }

    /// Packets to and from the border router so far. Tell it about once a second.
    pub fn traffic(&mut self, now: Time, sent: u64, received: u64) {
        match self.watch.traffic(now, sent, received, &self.patience) {
            Sign::Answers => self.answers(),
            Sign::Idle => (self.asking, self.silent_since) = (false, None),
            Sign::Nothing => {}
        }
        self.judge(now);
        self.ask(now);
        self.settle(now, false);
    }

    /// An IPv6 packet came to our end of the tunnel: perhaps an echo reply to [`Output::Ask`].
    pub fn handle_input(&mut self, now: Time, packet: &[u8]) {
        let Some(request) = EchoRequest::answered_by(packet) else { return };
        let Some(address) = self.candidates.replied(now, &request) else { return };
        if self.current == Some(address) {
            self.watch.echoed(now);
            self.answers();
        }
        self.judge(now);
        self.settle(now, false);
    }

    /// The border router to send packets to; `None` while none is known.
    pub fn current(&self) -> Option<Ipv6Addr> {
        self.current
    }

    /// All that could be used now, in their order.
    pub fn candidates(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.candidates.iter().map(|c| c.address)
    }

    /// Since when packets go to border routers and nothing comes back, neither packets nor replies to echo requests;
    /// `None` while nobody sends anything, or something comes back.
    pub fn silent_since(&self) -> Option<Time> {
        self.silent_since
    }

    /// When something last came from the one in use, as far as [`Self::traffic`] knows.
    pub fn heard(&self) -> Option<Time> {
        self.watch.heard
    }

    /// What is used, or how far the search has come.
    pub fn state(&self) -> &State {
        &self.told
    }

    /// Sources that may be used, the best first.
    fn considered(&self) -> impl Iterator<Item = (Source, &Slot)> {
        let only_the_users = self.slots.keys().any(|s| s.is_the_users());
        self.slots.iter().map(|(s, slot)| (*s, slot)).filter(move |(s, _)| s.is_the_users() || !only_the_users)
    }

    /// Sources whose names are of interest: down to the first that has addresses.
    fn wanted(&self) -> Vec<Source> {
        let without = self.considered().take_while(|(_, slot)| slot.addresses(&self.own).is_empty()).count();
        self.considered().take(without + 1).map(|(source, _)| source).collect()
    }

    fn choice(&self, now: Time) -> Choice {
        for (source, slot) in self.considered() {
            let addresses = slot.addresses(&self.own);
            if !addresses.is_empty() {
                return Choice::Use(source, addresses);
            }
            if !slot.is_hopeless(now) {
                return Choice::Wait;
            }
        }
        Choice::Nothing
    }

    /// Asks for names that are due, takes over what the sources say, and says what changed. `answered`: a
    /// name just resolved.
    fn settle(&mut self, now: Time, answered: bool) {
        self.settled = now;
        if self.resolvers {
            for source in self.wanted() {
                let question = self.slots.get_mut(&source).and_then(|slot| slot.ask(now));
                self.outputs.extend(question.map(|(name, anew)| Output::Resolve { name, anew }));
            }
        }
        match self.choice(now) {
            Choice::Use(source, addresses) => self.adopt(now, source, &addresses, answered),
            // What was in use goes on until something better is known.
            Choice::Wait => {}
            Choice::Nothing => {
                self.candidates.clear();
                self.source = None;
                self.change(now, None, Why::Nothing);
            }
        }
        let state = self.find_state();
        if state != self.told {
            self.told = state.clone();
            self.outputs.push_back(Output::State(state));
        }
    }

    fn adopt(&mut self, now: Time, source: Source, addresses: &[Ipv6Addr], answered: bool) {
        let by_answer = self.source == Some(source) && self.slots[&source].name().is_some();
        self.source = Some(source);
        // Only a name's own answer is held against what worked: another source is another wish.
        self.worked = self.worked.filter(|worked| by_answer || addresses.contains(worked));
        let new = self.candidates.set(addresses, self.worked);
        self.awaits_reply = false;
        let Some(current) = self.current else {
            return self.change(now, addresses.first().copied(), self.first(source));
        };
        if addresses.contains(&current) {
            // A fresh answer may bring one that has not been tried.
            if self.rounds.is_some() && answered && new.is_some() {
                self.change(now, new, Why::Answer);
            }
        } else if !by_answer {
            self.change(now, addresses.first().copied(), Why::Source);
        } else if self.candidates.get(current).is_none() {
            self.follow(now, addresses.first().copied());
        } else if self.silent_since.is_none() && self.moved.is_none_or(|at| now >= at + DWELL) {
            self.weigh_answer(now, current);
        }
    }

    /// A name's answer does not contain the one in use, which works: another must be better.
    fn weigh_answer(&mut self, now: Time, current: Ipv6Addr) {
        if let Some(replies) = self.candidates.other(current, |c| c.replies(now)) {
            return self.follow(now, Some(replies));
        }
        // One may carry and never reply: it is tried, when all have been asked.
        let untried = self.candidates.other(current, |c| !c.failed);
        self.awaits_reply = self.candidates.other(current, |c| !c.failed && !c.is_silent(now)).is_some();
        if untried.is_some() && !self.awaits_reply {
            self.follow(now, untried);
            self.asking = true;
        }
    }

    /// The operator moved it.
    fn follow(&mut self, now: Time, to: Option<Ipv6Addr>) {
        self.moved = Some(now);
        self.change(now, to, Why::Answer);
    }

    /// Why `source` is the first to be used: perhaps only because a better one did not resolve.
    fn first(&self, source: Source) -> Why {
        let better = self.considered().take_while(|(s, _)| *s != source);
        let mut failed = better.filter_map(|(_, slot)| Some((slot.name()?.to_string(), slot.failure.clone()?)));
        failed.next().map_or(Why::First, |(name, failure)| Why::Unresolved { name, failure })
    }

    /// Another one is used, and nothing is held against it.
    fn change(&mut self, now: Time, to: Option<Ipv6Addr>, why: Why) {
        if self.current != to {
            self.calm();
            self.take(now, to, why);
        }
    }

    fn take(&mut self, now: Time, to: Option<Ipv6Addr>, why: Why) {
        let from = std::mem::replace(&mut self.current, to);
        self.taken = now;
        self.watch.restart(now);
        self.outputs.push_back(Output::Moved { from, to, why });
    }

    fn find_state(&self) -> State {
        if let (Some(address), Some(source)) = (self.current, self.source) {
            let name = self.slots.get(&source).and_then(|slot| slot.name()).map(str::to_string);
            let is_dead = self.silent_since.is_some() && self.candidates.get(address).is_some_and(|c| c.echoes);
            let first = self.candidates.iter().next().map_or(address, |c| c.address);
            return match is_dead || self.rounds.is_some() {
                true => State::Failing { address: first, candidates: self.candidates.iter().count() },
                false => State::Using { address, source, name },
            };
        }
        if let Some(address) = self.considered().find_map(|(_, slot)| slot.ours(&self.own)) {
            return State::Ours { address };
        }
        let Some((slot, name)) = self.considered().find_map(|(_, slot)| Some((slot, slot.name()?.to_string()))) else {
            return State::Unconfigured;
        };
        match &slot.failure {
            _ if !self.resolvers => State::AwaitingResolvers { name },
            Some(failure) => State::Unresolved { name, failure: failure.clone() },
            None => State::Resolving { name },
        }
    }
}

impl Machine for Selector {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        self.settle(now, false);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let pending = (!self.outputs.is_empty()).then_some(self.settled);
        let slots = self
            .wanted()
            .into_iter()
            .filter_map(|source| self.slots[&source].poll_timeout(self.settled, self.resolvers));
        let dwell = self.moved.map(|at| at + DWELL).filter(|&t| t > self.settled);
        slots.chain(pending).chain(dwell).min()
    }
}
