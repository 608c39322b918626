//! A DNS forwarder for hosts of the LAN (RFC 5625): questions go on to the line's resolvers, answers come back as they are and
//! are kept for as long as they say.
//!
//! ```text
//! question --> query: is it one? --> names: is it answered here? --> cache: is it kept? --> upstream: ask, wait, ask another
//!                                                                   answer <-- rebinding <-- reply <-- resolver's message
//! ```
//!
//! What is passed on is not decoded: bits, types, options and letters that no RFC has named yet go through ([RFC 5625 3]).
//! Each question that goes out has an id, a port and letters of its own, and one like it is never open twice (RFC 5452).
//! What is kept is found by the whole question, so a record that comes beside an answer is never the answer to another.
//!
//! It has no thread and no socket: whoever runs it tells it which messages came, and sends what it wants sent
//! (docs/control.md, "Names").
//!
//! [RFC 5625 3]: https://www.rfc-editor.org/rfc/rfc5625#section-3
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::forwarder::{Client, Forwarder, Output, PORT, Settings, Upstream};
//!
//! let now = Time(0);
//! let server = "2001:db8::53".parse().unwrap();
//! let mut forwarder = Forwarder::new();
//! forwarder.set(Settings { servers: vec![server], ..Settings::default() });
//!
//! let [address, to] = ["192.168.1.10", "192.168.1.1"].map(|address| address.parse().unwrap());
//! let host = Client { station: Mac([2; 6]), address, port: 4242, to, connection: None };
//! let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02jp\0\0\x06\0\x01";
//! forwarder.handle_input(now, host, question);
//! let Some(Output::Upstream(Upstream::Ask { server: asked, port, mut payload })) = forwarder.drive(now) else {
//!     panic!("nobody is asked")
//! };
//! assert_eq!(asked, server);
//! // The resolver's answer:
//! payload[2] |= 0x80;
//! forwarder.handle_reply(now, (server, PORT), port, &payload);
//! // Its port is not needed any more, and the host is told.
//! assert_eq!(forwarder.drive(now), Some(Output::Upstream(Upstream::Close(port))));
//! let Some(Output::Answer { to, message }) = forwarder.drive(now) else { panic!("no answer") };
//! assert_eq!((to, &message[..2]), (host, &question[..2]));
//! ```

mod cache;
pub mod connections;
mod datagram;
mod message;
mod names;
mod query;
mod rebinding;
mod reply;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_net::{Limiter, Mac, Time};
use rand::rngs::StdRng;
use serde::Serialize;

pub use cache::MAX_ANSWERS;
pub use datagram::Place;
pub use names::{HOME, Host};

use crate::Machine;
use crate::answer_limits::{AnswerLimits, Rate};
use cache::Cache;
use connections::ConnectionId;
use message::{code, is_within, rtype, small, wire_name};
use names::Names;
use query::{NotPassed, Query};
use rebinding::is_inside;
use reply::Reply;
use upstream::{Asker, Foreign, Health, Pending, Step};

/// Where resolvers listen, and we (RFC 1035 4.2).
pub const PORT: u16 = 53;
/// Resolvers that are asked at most, the first ones given.
pub const MAX_SERVERS: usize = 8;
/// Questions that may be open upstream at once.
pub const MAX_PENDING: usize = 256;

/// Longest message by TCP, bytes, of 65,535 that there could be: no answer that a host of a LAN needs is as long.
pub const MAX_STREAM_MESSAGE: usize = 16 << 10;

/// Questions that go upstream: of all hosts, and of one. A second, and at once: what is punted, sent and heard for them is the
/// control thread's work.
const UPSTREAM: [Rate; 2] = [Rate(2000, 400), Rate(500, 200)];
/// Repetitions, and questions to the next resolver, a second and at once.
const REPEATED: (u32, u32) = (1000, 200);
/// How long one waits that comes to no turn by that.
const POSTPONED: Duration = Duration::from_millis(50);

/// A host that asked, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its Ethernet address, or that of the router that it is behind.
    pub station: Mac,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The address of ours that it asked.
    pub to: IpAddr,
    /// The TCP connection that it asked by; `None`: a datagram.
    pub connection: Option<ConnectionId>,
}

impl Client {
    /// The longest answer that it takes.
    fn longest(&self, query: &Query) -> usize {
        if self.connection.is_some() { MAX_STREAM_MESSAGE } else { query.longest() }
    }
}

/// Whom to ask, and what is known already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The resolvers, best first.
    pub servers: Vec<Ipv6Addr>,
    /// Domains that others know about. Of several that a name is in the longest counts.
    pub domains: Vec<Domain>,
    /// Hosts whose names are known here. Of two with one name the first counts.
    pub hosts: Vec<Host>,
    /// What hosts are under: nobody outside is asked about names in it if it has one label, or is [`HOME`].
    pub own_domain: String,
    /// Below these, names of the Internet may lead to addresses of a LAN (DNS rebinding); `None`: all may.
    pub inside_allowed: Option<Vec<String>>,
    /// Hosts are told that no name has an IPv6 address.
    pub drops_aaaa: bool,
    /// What kept answers take, bytes, about; [`MAX_ANSWERS`] at most in any case.
    pub cache_bytes: usize,
}

/// A domain whose names certain resolvers know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Who is asked about it, and nobody else.
    pub servers: Vec<Ipv6Addr>,
    /// Its names may lead to addresses of a LAN: whoever set it up named a resolver for it.
    pub inside_allowed: bool,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell a host.
    Answer {
        /// Who asked.
        to: Client,
        /// The answer.
        message: Vec<u8>,
    },
    /// Something to do with resolvers, which may be another thread's work.
    Upstream(Upstream),
}

/// What is to be done on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Ask a resolver: a UDP payload to its port [`PORT`].
    Ask {
        /// The resolver.
        server: Ipv6Addr,
        /// The port that it is sent from: what comes to it goes to [`Forwarder::handle_reply`] until [`Upstream::Close`].
        port: u16,
        /// The question.
        payload: Vec<u8>,
    },
    /// Nothing is waited for at this port any more.
    Close(u16),
    /// Connect to port [`PORT`] of `server` by TCP and send `payload`. What comes back goes to
    /// [`Forwarder::handle_stream`], that nothing more will to [`Forwarder::handle_stream_failed`].
    Stream {
        /// The connection.
        stream: StreamId,
        /// The resolver.
        server: Ipv6Addr,
        /// The question with its length in front (RFC 1035 4.2.2).
        payload: Vec<u8>,
    },
    /// The connection is not needed any more.
    CloseStream(StreamId),
}

/// A TCP connection to a resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(u64);

/// Questions and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages from hosts.
    pub questions: u64,
    /// Of these, no questions at all: nothing was said.
    pub not_questions: u64,
    /// Of these, refused: broken, or of a kind that is not passed on.
    pub refused: u64,
    /// Answered here: names of hosts, and those that mean nothing outside.
    pub local: u64,
    /// Answered by what was heard before.
    pub from_cache: u64,
    /// Not answered: too many open, of all hosts or of this one.
    pub limited: u64,
    /// Messages to resolvers.
    pub asked: u64,
    /// Of these, by TCP.
    pub streams: u64,
    /// Answers of resolvers.
    pub replies: u64,
    /// Messages that are none, from whomever: forged, late, not DNS.
    pub foreign: u64,
    /// Questions that no resolver answered.
    pub unanswered: u64,
    /// Answers that were kept back: a name of the Internet with an address of a LAN.
    pub rebinding: u64,
}

/// A DNS forwarder (RFC 5625).
#[derive(Debug)]
pub struct Forwarder {
    settings: Settings,
    domains: Vec<(Vec<u8>, Domain)>,
    inside_allowed: Option<Vec<Vec<u8>>>,
    names: Names,
    cache: Cache,
    pending: Vec<Pending>,
    health: Health,
    limits: AnswerLimits,
    repeated: Limiter,
    last_stream: u64,
    outputs: VecDeque<Output>,
    rng: StdRng,
    /// Questions and what became of them.
    pub counts: Counts,
}

impl Default for Forwarder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            domains: Vec::new(),
            inside_allowed: None,
            names: Names::default(),
            cache: Cache::new(0),
            pending: Vec::new(),
            health: Health::default(),
            limits: AnswerLimits::new(UPSTREAM[0], UPSTREAM[1]),
            repeated: Limiter::new(REPEATED.0, REPEATED.1),
            last_stream: 0,
            outputs: VecDeque::new(),
            rng: rand::make_rng(),
            counts: Counts::default(),
        }
    }
}

impl Forwarder {
    /// One that knows nobody to ask yet, and keeps nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whom to ask and what is known, from now on. If others are asked than before, what those said is forgotten.
    pub fn set(&mut self, mut settings: Settings) {
        let domains = settings.domains.iter_mut().map(|domain| &mut domain.servers);
        domains.chain([&mut settings.servers]).for_each(|servers| servers.truncate(MAX_SERVERS));
        if (&settings.servers, &settings.domains) != (&self.settings.servers, &self.settings.domains) {
            self.cache.clear();
        }
        self.cache.set_limit(settings.cache_bytes);
        self.names = Names::new(&settings.hosts, &settings.own_domain);
        self.domains = settings.domains.iter().map(|domain| (wire_name(&domain.name), domain.clone())).collect();
        self.domains.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        self.inside_allowed =
            settings.inside_allowed.as_ref().map(|names| names.iter().map(|name| wire_name(name)).collect());
        let domains = settings.domains.iter().flat_map(|domain| &domain.servers);
        let servers: Vec<Ipv6Addr> = settings.servers.iter().chain(domains).copied().collect();
        self.health.retain(&servers);
        self.settings = settings;
    }

    /// A message came from a host.
    pub fn handle_input(&mut self, now: Time, client: Client, message: &[u8]) {
        self.counts.questions += 1;
        let query = match Query::read(message) {
            Ok(query) => query,
            Err(NotPassed::Silent) => {
                self.counts.not_questions += 1;
                return;
            }
            Err(NotPassed::Refused(code)) => {
                self.counts.refused += 1;
                return self.answer(client, query::header(message, code));
            }
        };
        if let Some(answer) = self.local(&query) {
            self.counts.local += 1;
            return self.answer(client, answer);
        }
        let key = query.key();
        if query.is_shared()
            && let Some((reply, age)) = self.cache.get(now, &key)
        {
            self.counts.from_cache += 1;
            let message = reply.given(query.id(), query.name(), age, client.longest(&query));
            return self.answer(client, message);
        }
        self.ask(now, client, &query, key);
    }

    /// What is answered without asking anybody.
    fn local(&self, query: &Query) -> Option<Vec<u8>> {
        if !query.is_internet() {
            return None;
        }
        let drops = self.settings.drops_aaaa && query.qtype == rtype::AAAA;
        let known = self.names.answer(query, |name| self.domain(name).is_some());
        known.or_else(|| drops.then(|| query.answer(code::NO_ERROR, false, 0, &[])))
    }

    /// The domain of ours that a name is in.
    fn domain(&self, name: &[u8]) -> Option<&Domain> {
        self.domains.iter().find(|(domain, _)| is_within(name, domain)).map(|(_, domain)| domain)
    }

    fn ask(&mut self, now: Time, client: Client, query: &Query, key: Box<[u8]>) {
        let asker = Asker { client, id: query.id(), name: query.name().to_vec(), longest: client.longest(query) };
        let by_stream = client.connection.is_some();
        // RFC 5452 5: the same question must not be open twice; each would be a chance to guess it.
        if let Some(pending) = self.pending.iter_mut().find(|p| p.key == key && p.by_stream == by_stream) {
            self.counts.limited += u64::from(!pending.join(asker));
            return;
        }
        if self.pending.len() == MAX_PENDING || !self.limits.take(now, client.station) {
            self.counts.limited += 1;
            return;
        }
        let name = small(query.name());
        let domain = self.domain(&name);
        let servers = domain.map_or(&self.settings.servers, |domain| &domain.servers);
        let is_allowed = |allowed: &Vec<Vec<u8>>| allowed.iter().any(|domain| is_within(&name, domain));
        let inside_allowed =
            domain.is_some_and(|domain| domain.inside_allowed) || self.inside_allowed.as_ref().is_none_or(is_allowed);
        let mut pending = Pending::new(now, query, key, asker, self.health.order(now, servers));
        (pending.is_checked, pending.by_stream) = (!inside_allowed, by_stream);
        self.pending.push(pending);
        self.step(now, self.pending.len() - 1);
    }

    /// A UDP payload came to a port that [`Upstream::Ask`] named.
    pub fn handle_reply(&mut self, now: Time, from: (Ipv6Addr, u16), port: u16, message: &[u8]) {
        let Some(at) = self.pending.iter().position(|pending| pending.ports().any(|open| open == port)) else {
            self.counts.foreign += 1;
            return;
        };
        let heard = self.pending[at].hear(now, from, port, message, &mut self.health);
        self.heard(now, at, heard);
    }

    /// Bytes came by a TCP connection.
    pub fn handle_stream(&mut self, now: Time, stream: StreamId, bytes: &[u8]) {
        let Some(at) = self.pending.iter().position(|pending| pending.stream() == Some(stream)) else { return };
        let heard = self.pending[at].hear_stream(now, bytes, &mut self.health);
        if let Some(heard) = heard {
            self.upstream(Upstream::CloseStream(stream));
            self.heard(now, at, heard);
        }
    }

    /// A TCP connection is not to be had, or is over.
    pub fn handle_stream_failed(&mut self, now: Time, stream: StreamId) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.stream() == Some(stream)) {
            pending.stream_failed(now);
        }
    }

    fn heard(&mut self, now: Time, at: usize, heard: Result<Option<Reply>, Foreign>) {
        match heard {
            Ok(Some(reply)) => {
                self.counts.replies += 1;
                self.end(now, at, reply);
            }
            Ok(None) => self.counts.replies += 1,
            Err(Foreign) => self.counts.foreign += 1,
        }
    }

    /// Does what is next for an open question.
    fn step(&mut self, now: Time, at: usize) {
        self.pending[at].take_stream().into_iter().for_each(|stream| self.upstream(Upstream::CloseStream(stream)));
        let silent = self.pending[at].timed_out(now);
        silent.into_iter().for_each(|server| self.health.silent(now, server));
        let mut pending = self.pending.swap_remove(at);
        let is_free = |port| !self.pending.iter().any(|pending| pending.ports().any(|open| open == port));
        let step = pending.step(now, &mut self.health, &mut self.rng, is_free);
        self.pending.push(pending);
        let at = self.pending.len() - 1;
        match step {
            Step::Wait => {}
            Step::Ask { server, port, payload } => {
                self.counts.asked += 1;
                self.upstream(Upstream::Ask { server, port, payload });
            }
            Step::Stream { server, payload } => {
                (self.counts.asked, self.counts.streams) = (self.counts.asked + 1, self.counts.streams + 1);
                self.last_stream += 1;
                let stream = StreamId(self.last_stream);
                self.pending[at].opened(stream);
                self.upstream(Upstream::Stream { stream, server, payload });
            }
            Step::End(failure) => {
                self.counts.unanswered += u64::from(failure.is_none());
                match failure.or_else(|| self.pending[at].ours(code::SERVER_FAILURE)) {
                    Some(reply) => self.end(now, at, reply),
                    None => _ = self.close(at),
                }
            }
        }
    }

    /// Gives an answer to all who wait for it, and keeps it.
    fn end(&mut self, now: Time, at: usize, mut reply: Reply) {
        let pending = self.close(at);
        if pending.is_checked && reply.addresses().into_iter().any(is_inside) {
            self.counts.rebinding += 1;
            let Some(nothing) = pending.ours(code::NO_ERROR) else { return };
            reply = nothing;
        }
        for asker in &pending.askers {
            let message = reply.given(asker.id, &asker.name, 0, asker.longest);
            self.answer(asker.client, message);
        }
        if pending.is_shared {
            self.cache.put(now, pending.key, reply);
        }
    }

    fn close(&mut self, at: usize) -> Pending {
        let mut pending = self.pending.swap_remove(at);
        pending.ports().for_each(|port| self.upstream(Upstream::Close(port)));
        pending.take_stream().into_iter().for_each(|stream| self.upstream(Upstream::CloseStream(stream)));
        pending
    }

    fn upstream(&mut self, wants: Upstream) {
        self.outputs.push_back(Output::Upstream(wants));
    }

    fn answer(&mut self, to: Client, message: Vec<u8>) {
        self.outputs.push_back(Output::Answer { to, message });
    }

    /// Who is asked, best first, and whether each has answered lately.
    pub fn servers(&self, now: Time) -> Vec<(Ipv6Addr, bool)> {
        let servers = self.settings.servers.iter();
        servers.map(|&server| (server, !self.health.is_silent(now, server))).collect()
    }

    /// Answers that are kept, and the bytes that they take, about.
    pub fn kept(&self) -> (usize, usize) {
        (self.cache.len(), self.cache.bytes())
    }

    /// Questions that are open upstream.
    pub fn open(&self) -> usize {
        self.pending.len()
    }
}

impl Machine for Forwarder {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        while let Some(at) = self.pending.iter().position(|pending| pending.due <= now) {
            // A line that answers nothing is not asked by a flood of repetitions.
            match self.repeated.take(now) {
                true => self.step(now, at),
                false => self.pending[at].due = now + POSTPONED,
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.outputs.is_empty() { self.pending.iter().map(|pending| pending.due).min() } else { Some(Time(0)) }
    }
}
