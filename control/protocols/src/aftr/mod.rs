//! Which border router is used, and whether it still answers.
//!
//! - Sources are tried in the order of [`Source`]; the first that has addresses gives the candidates, in its
//!   own order. A name that has not resolved or failed yet is waited for, half a minute at most.
//! - The candidate in use stays as long as it answers, also when a better one is back: sessions of a border
//!   router's NAT do not move with us.
//! - When it does not answer, the first other candidate that is not held is used. A candidate that failed is
//!   held for a minute; each further failure doubles that, up to an hour; a minute of answers forgives all.
//! - When all are held, the one in use stays, the name is asked for again, and whoever's hold ends first is
//!   tried, if there is still no answer then.
//! - When a name's new answer does not contain the one in use, the operator moved it: so do we, but, while the
//!   old one answers, at most once in ten minutes (answers may rotate).
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
//! // About once a second: `selector.traffic(now, sent, received)`. Silence makes it leave for another.
//! ```

mod sources;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;

use crate::Machine;
use crate::dns::Failure;
use sources::Slot;
pub use sources::{Endpoint, MAX_ADDRESSES, Resolved, Source};
pub use watch::Patience;
use watch::{Sign, Watch};

/// For how long a candidate that failed is not tried again; doubled by each further failure.
const FIRST_HOLD: Duration = Duration::from_secs(60);
const LONGEST_HOLD: Duration = Duration::from_secs(3600);
/// So long it has to answer for its failures to be forgotten.
const FORGIVEN: Duration = Duration::from_secs(60);
/// Between two moves that only a name's new answer asks for.
const DWELL: Duration = Duration::from_secs(600);

/// What the border router is, for the log and `show status`. Said once per change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what their names say
pub enum State {
    /// No source names a border router.
    Unconfigured,
    /// There is a name and nobody to ask.
    AwaitingResolvers { name: String },
    /// The name was asked for, and has not been answered yet.
    Resolving { name: String },
    /// It did not resolve; it is asked for again and again.
    Unresolved { name: String, failure: Failure },
    /// This address is used, as this source says; `name`: what it was resolved from.
    Using { address: Ipv6Addr, source: Source, name: Option<String> },
    /// Still this one, but it does not answer, nor did the others.
    Failing { address: Ipv6Addr, candidates: usize },
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfigured => f.write_str("no border router: neither configured nor given by the line"),
            Self::AwaitingResolvers { name } => write!(f, "border router {name}: waiting for the line's resolvers"),
            Self::Resolving { name } => write!(f, "border router {name}: asked for its address"),
            Self::Unresolved { name, failure } => write!(f, "border router {name}: {failure}"),
            Self::Using { address, source, name: Some(name) } => {
                write!(f, "border router {address} ({name}, {source})")
            }
            Self::Using { address, source, name: None } => write!(f, "border router {address} ({source})"),
            Self::Failing { address, candidates: 1 } => {
                write!(f, "border router {address} does not answer, and there is no other")
            }
            Self::Failing { address, candidates } => {
                write!(f, "border router {address} does not answer, nor does any of the {candidates}")
            }
        }
    }
}

/// Why another border router is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what their names say
pub enum Why {
    /// None was used before.
    First,
    /// There was none before, and a better source's name does not resolve.
    Unresolved { name: String, failure: Failure },
    /// A source changed, or a better one has addresses now.
    Source,
    /// The name's new answer does not contain the old one.
    Answer,
    /// The old one did not answer so many packets for so long.
    Silent { packets: u64, time: Duration },
    /// ICMPv6 errors say that the old one cannot be reached.
    Unreachable,
    /// No source names one any more.
    Nothing,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("the first one known"),
            Self::Unresolved { name, failure } => write!(f, "{name} cannot be used: {failure}"),
            Self::Source => f.write_str("another source names another one"),
            Self::Answer => f.write_str("its name resolves to others now"),
            Self::Silent { packets, time } => {
                write!(f, "{packets} packets without an answer in {} s", time.as_secs())
            }
            Self::Unreachable => f.write_str("ICMPv6: it cannot be reached"),
            Self::Nothing => f.write_str("none is known any more"),
        }
    }
}

/// What the machine wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask for the AAAA records of the name; answer with [`Selector::handle_answer`].
    Resolve(String),
    /// [`Selector::current`] is another address now, or none.
    Moved {
        /// The address that was used before.
        from: Option<Ipv6Addr>,
        /// The address to use from now on.
        to: Option<Ipv6Addr>,
        /// Why it changed, for the log.
        why: Why,
    },
    /// [`Selector::state`] is another one now.
    State(State),
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: Ipv6Addr,
    failures: u32,
    held_until: Option<Time>,
}

/// Selects the AFTR or border router of a line, and leaves it for another when it does not answer.
#[derive(Debug)]
pub struct Selector {
    patience: Patience,
    slots: BTreeMap<Source, Slot>,
    resolvers: bool,
    /// Of the source in use.
    candidates: Vec<Candidate>,
    source: Option<Source>,
    current: Option<Ipv6Addr>,
    /// The one in use did not answer, and there was no other.
    failing: bool,
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
            candidates: Vec::new(),
            source: None,
            current: None,
            failing: false,
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
            Some(endpoint) => drop(self.slots.insert(source, Slot::new(now, endpoint))),
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
        self.candidates.iter_mut().for_each(|c| (c.failures, c.held_until) = (0, None));
        self.failing = false;
        self.watch.restart();
        self.settle(now, false);
    }

    /// The answer to [`Output::Resolve`]; for a name that is not waited for it changes nothing.
    pub fn handle_answer(&mut self, now: Time, name: &str, result: &Result<Resolved, Failure>) {
        for (source, slot) in &mut self.slots {
            if slot.name() == Some(name) && slot.is_asked() {
                slot.resolved(now, result, self.failing && self.source == Some(*source));
            }
        }
        self.settle(now, true);
    }

    /// An ICMPv6 error says that `address` cannot be reached: no route, prohibited, address or port
    /// unreachable (RFC 4443 3.1).
    pub fn unreachable(&mut self, now: Time, address: Ipv6Addr) {
        if self.current == Some(address) && self.watch.unreachable(now) {
            self.fail(now, Why::Unreachable);
        }
        self.settle(now, false);
    }

    /// Packets to and from the border router so far. Tell it about once a second.
    pub fn traffic(&mut self, now: Time, sent: u64, received: u64) {
        match self.watch.traffic(now, sent, received, &self.patience) {
            Sign::Silent { packets, time } => self.fail(now, Why::Silent { packets, time }),
            Sign::Answers => {
                self.failing = false;
                let steady = self.watch.answering_since.is_some_and(|since| now.since(since) >= FORGIVEN);
                if let Some(candidate) = self.candidates.iter_mut().find(|c| Some(c.address) == self.current)
                    && steady
                {
                    (candidate.failures, candidate.held_until) = (0, None);
                }
            }
            Sign::Nothing => {}
        }
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
        let without = self.considered().take_while(|(_, slot)| slot.addresses().is_empty()).count();
        self.considered().take(without + 1).map(|(source, _)| source).collect()
    }

    fn choice(&self, now: Time) -> Choice {
        for (source, slot) in self.considered() {
            if !slot.addresses().is_empty() {
                return Choice::Use(source, slot.addresses().to_vec());
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
                let name = self.slots.get_mut(&source).and_then(|slot| slot.ask(now));
                self.outputs.extend(name.map(Output::Resolve));
            }
        }
        match self.choice(now) {
            Choice::Use(source, addresses) => self.adopt(now, source, &addresses, answered),
            // What was in use goes on until something better is known.
            Choice::Wait => {}
            Choice::Nothing => {
                self.candidates.clear();
                self.source = None;
                self.change(None, Why::Nothing);
            }
        }
        let state = self.find_state();
        if state != self.told {
            self.told = state.clone();
            self.outputs.push_back(Output::State(state));
        }
    }

    fn adopt(&mut self, now: Time, source: Source, addresses: &[Ipv6Addr], answered: bool) {
        let same_source = self.source == Some(source);
        let old = std::mem::take(&mut self.candidates);
        let known = |address| old.iter().find(|c| c.address == address).copied();
        let fresh = |address| Candidate { address, failures: 0, held_until: None };
        self.candidates = addresses.iter().map(|&a| known(a).unwrap_or(fresh(a))).collect();
        self.source = Some(source);
        let Some(current) = self.current else {
            // None is held: `prefix_changed` and a loss of all sources forget failures.
            return self.change(addresses.first().copied(), self.first(source));
        };
        if addresses.contains(&current) {
            // A fresh answer may bring one that has not failed yet.
            if self.failing
                && answered
                && let Some(free) = self.free(now)
            {
                self.change(Some(free), Why::Answer);
            }
            return;
        }
        let by_answer = same_source && self.slots[&source].name().is_some();
        let rests = self.moved.is_some_and(|at| now < at + DWELL);
        if by_answer && rests && !self.failing && self.watch.answering_since.is_some() {
            // It is no candidate, but it works.
            return;
        }
        if by_answer {
            self.moved = Some(now);
        }
        let why = if by_answer { Why::Answer } else { Why::Source };
        self.change(self.free(now).or(addresses.first().copied()), why);
    }

    /// Why `source` is the first to be used: perhaps only because a better one did not resolve.
    fn first(&self, source: Source) -> Why {
        let better = self.considered().take_while(|(s, _)| *s != source);
        let mut failed = better.filter_map(|(_, slot)| Some((slot.name()?.to_string(), slot.failure.clone()?)));
        failed.next().map_or(Why::First, |(name, failure)| Why::Unresolved { name, failure })
    }

    /// The first candidate that is not held, besides the one in use.
    fn free(&self, now: Time) -> Option<Ipv6Addr> {
        let is_free = |c: &&Candidate| c.held_until.is_none_or(|t| t <= now) && Some(c.address) != self.current;
        self.candidates.iter().find(is_free).map(|c| c.address)
    }

    /// The one in use does not answer.
    fn fail(&mut self, now: Time, why: Why) {
        let Some(current) = self.current else { return };
        // Of the one that failed and stayed, only the first failure counts: it was not tried anew.
        if !self.failing
            && let Some(candidate) = self.candidates.iter_mut().find(|c| c.address == current)
        {
            let hold = FIRST_HOLD * 2u32.pow(candidate.failures.min(6));
            candidate.held_until = Some(now + hold.min(LONGEST_HOLD));
            candidate.failures += 1;
        }
        if let Some(other) = self.free(now) {
            return self.change(Some(other), why);
        }
        self.failing = true;
        let last = self.refreshed;
        if let Some(slot) = self.source.and_then(|source| self.slots.get_mut(&source)) {
            slot.refresh(now, last);
            self.refreshed = Some(now);
        }
    }

    fn change(&mut self, to: Option<Ipv6Addr>, why: Why) {
        if self.current == to {
            return;
        }
        let from = std::mem::replace(&mut self.current, to);
        self.failing = false;
        self.watch.restart();
        self.outputs.push_back(Output::Moved { from, to, why });
    }

    fn find_state(&self) -> State {
        if let (Some(address), Some(source)) = (self.current, self.source) {
            let candidates = self.candidates.len();
            let name = self.slots.get(&source).and_then(|slot| slot.name()).map(str::to_string);
            return match self.failing {
                true => State::Failing { address, candidates },
                false => State::Using { address, source, name },
            };
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
