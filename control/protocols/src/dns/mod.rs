//! Names asked of the line's resolvers, answers kept as long as they say.
//!
//! A stub resolver (RFC 1034 5.3.1) that asks whom it is told to and nobody else: names of border routers
//! resolve only at the line's own resolvers. Each try has an id, a port and letters (0x20) of its own, and only
//! a message that has them all right, from the server that was asked, is heard (RFC 5452 9).
//!
//! [`Question::reply`] takes any bytes and is what to fuzz.
//!
//! ```
//! use hikyaku_net::Time;
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::dns::{Output, PORT, RecordType, StubResolver};
//!
//! let now = Time(0);
//! let mut resolver = StubResolver::new();
//! resolver.set_servers(now, &["2001:db8::53".parse().unwrap()]);
//! let asked = resolver.ask(now, "gw.example.net", RecordType::Aaaa);
//! let Some(Output::Send { server, source_port, payload }) = resolver.drive(now) else { panic!("nothing to send") };
//! // The payload goes to port 53 of `server`. What comes back is heard only if it answers the question:
//! resolver.handle_input(now, (server, PORT), source_port, &payload);
//! assert_eq!(resolver.counts.foreign, 1);
//! // Without an answer it is asked again, and `Output::Answer` for `asked` comes in the end.
//! assert!(resolver.poll_timeout().is_some_and(|again| again > now));
//! # let _ = asked;
//! ```

mod answer;
mod cache;
mod query;
mod reply;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::rr::Name;
use hikyaku_net::Time;
use serde::Serialize;

pub use answer::{Data, Failure, MAX_CHAIN, RecordType, Records, Text, Unusable};
pub use reply::{Foreign, MAX_MESSAGE, MAX_RECORDS, Question, Reply};

use crate::Machine;
use cache::{Cache, MAX_TTL, MIN_TTL};
use query::{Query, Step, Stream};

/// Resolvers that are used at most, the first ones given.
pub const MAX_SERVERS: usize = 8;
/// Questions that may be open at once; one more is [`Failure::Busy`].
pub const MAX_QUERIES: usize = 32;
/// Askers of the same question, at most.
const MAX_ASKERS: usize = 32;

/// The port that resolvers listen on, UDP and TCP (RFC 1035 4.2).
pub const PORT: u16 = 53;

/// A question that [`StubResolver::ask`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(u64);

/// A TCP connection that [`Output::Stream`] asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

/// What the machine wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A UDP payload to port 53 of `server`, from a port that nothing else uses now.
    Send {
        /// The resolver that is asked.
        server: IpAddr,
        /// Ours; open while it is in [`StubResolver::open_ports`].
        source_port: u16,
        /// The query, as the payload of a datagram.
        payload: Vec<u8>,
    },
    /// Connect to port 53 of `server` by TCP, send `payload` (its length in front, RFC 1035 4.2.2), and hand
    /// what comes back to [`StubResolver::handle_stream`]. If that fails call [`StubResolver::handle_stream_failed`].
    Stream {
        /// The connection, for [`StubResolver::handle_stream`] and [`Output::Close`].
        stream: StreamId,
        /// The resolver that is asked.
        server: IpAddr,
        /// The query with its length in front (RFC 1035 4.2.2).
        payload: Vec<u8>,
    },
    /// The connection is not needed any more.
    Close(StreamId),
    /// A question that was asked has ended: with records, or with a reason why there are none.
    Answer {
        /// The question, as [`StubResolver::ask`] called it.
        query: QueryId,
        /// The records, never empty, or why there are none.
        result: Result<Records, Failure>,
    },
}

/// Questions, messages and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Questions that [`StubResolver::ask`] was given.
    pub asked: u64,
    /// Of these, answered without asking anybody.
    pub from_cache: u64,
    /// Queries sent by UDP.
    pub sent: u64,
    /// TCP connections that were asked for, because an answer did not fit a datagram.
    pub streams: u64,
    /// Messages that answer a question of ours.
    pub replies: u64,
    /// Messages that do not, from whomever ([`Foreign`]): forged, late, or not DNS.
    pub foreign: u64,
    /// Queries that nobody answered in time.
    pub unanswered: u64,
}

/// What is known of a resolver.
#[derive(Clone, Copy, Debug)]
struct Server {
    address: IpAddr,
    /// It has not yet said that it does not understand EDNS (RFC 6891 6.2.2).
    edns: bool,
    /// It has not yet given a question back in other letters.
    keeps_case: bool,
}

/// A stub resolver (RFC 1034 5.3.1) with a cache.
#[derive(Debug, Default)]
pub struct StubResolver {
    servers: Vec<Server>,
    queries: Vec<Query>,
    cache: Cache,
    last_id: u64,
    outputs: VecDeque<Output>,
    /// Questions, messages and what became of them.
    pub counts: Counts,
}

impl StubResolver {
    /// Without resolvers: every question fails until [`Self::set_servers`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The line's resolvers, best first (DHCPv6 before RDNSS). If they are others than before, everything known
    /// is forgotten (other resolvers, another line) and open questions are asked anew.
    pub fn set_servers(&mut self, now: Time, servers: &[IpAddr]) {
        let mut new: Vec<Server> = Vec::new();
        for &address in servers {
            let known = |list: &[Server]| list.iter().find(|s| s.address == address).copied();
            if new.len() < MAX_SERVERS && known(&new).is_none() {
                let fresh = Server { address, edns: true, keeps_case: true };
                new.push(known(&self.servers).unwrap_or(fresh));
            }
        }
        if new.iter().map(|s| s.address).eq(self.servers()) {
            return;
        }
        self.servers = new;
        self.cache.clear();
        for query in &mut self.queries {
            self.outputs.extend(query.restart(now).map(Output::Close));
        }
    }

    /// Who is asked, in this order.
    pub fn servers(&self) -> impl Iterator<Item = IpAddr> {
        self.servers.iter().map(|s| s.address)
    }

    /// Asks for records of a name. The answer is an [`Output::Answer`], perhaps at once.
    pub fn ask(&mut self, now: Time, name: &str, record_type: RecordType) -> QueryId {
        self.counts.asked += 1;
        self.last_id += 1;
        let id = QueryId(self.last_id);
        if let Some(result) = self.ask_checked(now, id, name, record_type) {
            self.outputs.push_back(Output::Answer { query: id, result });
        }
        id
    }

    /// As [`Self::ask`], but the resolvers are asked, whatever is kept of an earlier answer: it is of no use any more.
    pub fn ask_anew(&mut self, now: Time, name: &str, record_type: RecordType) -> QueryId {
        if let Some(name) = canonical(name) {
            self.cache.remove(&name, record_type);
        }
        self.ask(now, name, record_type)
    }

    fn ask_checked(
        &mut self,
        now: Time,
        id: QueryId,
        text: &str,
        record_type: RecordType,
    ) -> Option<Result<Records, Failure>> {
        let Some(name) = canonical(text) else { return Some(Err(Failure::BadName(text.into()))) };
        if let Some(result) = self.cache.get(now, &name, record_type) {
            self.counts.from_cache += 1;
            return Some(result);
        }
        if self.servers.is_empty() {
            return Some(Err(Failure::NoResolvers));
        }
        // RFC 5452 5: the same question must not be open twice; each would be a chance to guess it.
        match self.queries.iter().position(|q| q.asked == name && q.record_type == record_type) {
            Some(at) if self.queries[at].askers.len() < MAX_ASKERS => self.queries[at].askers.push(id),
            None if self.queries.len() < MAX_QUERIES => self.queries.push(Query::new(now, id, name, record_type)),
            _ => return Some(Err(Failure::Busy)),
        }
        None
    }

    /// Nobody waits for the answer any more.
    pub fn cancel(&mut self, id: QueryId) {
        let outputs = &mut self.outputs;
        self.queries.retain_mut(|query| {
            query.askers.retain(|&asker| asker != id);
            if query.askers.is_empty() {
                outputs.extend(query.stream.take().map(|s| Output::Close(s.id)));
            }
            !query.askers.is_empty()
        });
        outputs.retain(|o| !matches!(o, Output::Answer { query, .. } if *query == id));
    }

    /// A UDP payload came in, from this address and port, to this port of ours.
    pub fn handle_input(&mut self, now: Time, from: (IpAddr, u16), to_port: u16, payload: &[u8]) {
        let asked = |q: &Query| {
            let attempt = q.attempts.iter().position(|a| a.server == from.0 && a.port == to_port)?;
            (from.1 == PORT).then_some(attempt)
        };
        let found = self.queries.iter().enumerate().find_map(|(i, q)| Some((i, asked(q)?)));
        let Some((query, attempt)) = found else {
            self.counts.foreign += 1;
            return;
        };
        let attempt = &self.queries[query].attempts[attempt];
        let (server, is_last) = (attempt.server, attempt.number == self.queries[query].tries);
        match attempt.question.reply(payload) {
            Err(Foreign::Case) => {
                self.counts.foreign += 1;
                if let Some(server) = self.servers.iter_mut().find(|s| s.address == server)
                    && std::mem::take(&mut server.keeps_case)
                {
                    self.queries[query].again(now, server.address, is_last);
                }
            }
            Err(_) => self.counts.foreign += 1,
            Ok(reply) => {
                self.counts.replies += 1;
                self.handle_reply(now, query, server, is_last, reply);
            }
        }
    }

    /// Bytes came in on a connection, cut anyhow.
    pub fn handle_stream(&mut self, now: Time, stream: StreamId, bytes: &[u8]) {
        let Some(query) = self.of_stream(stream) else { return };
        let Some(Stream { buffer, .. }) = &mut self.queries[query].stream else { return };
        let room = (2 + MAX_MESSAGE).saturating_sub(buffer.len());
        buffer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some((&length, message)) = buffer.split_first_chunk() else { return };
        let length = usize::from(u16::from_be_bytes(length));
        if length > MAX_MESSAGE {
            return self.handle_stream_failed(now, stream);
        }
        let Some(message) = message.get(..length).map(<[u8]>::to_vec) else { return };
        let Some(Stream { server, question, .. }) = self.queries[query].stream.take() else { return };
        self.outputs.push_back(Output::Close(stream));
        match question.reply(&message) {
            Ok(Reply::Truncated) | Err(_) => {
                self.counts.foreign += 1;
                self.queries[query].fail(now, Failure::Truncated);
            }
            Ok(reply) => {
                self.counts.replies += 1;
                self.handle_reply(now, query, server, true, reply);
            }
        }
    }

    /// A connection could not be made, or ended without an answer.
    pub fn handle_stream_failed(&mut self, now: Time, stream: StreamId) {
        if let Some(query) = self.of_stream(stream) {
            self.queries[query].stream = None;
            self.outputs.push_back(Output::Close(stream));
            self.queries[query].fail(now, Failure::Truncated);
        }
    }

    fn of_stream(&self, stream: StreamId) -> Option<usize> {
        self.queries.iter().position(|q| q.stream.as_ref().is_some_and(|s| s.id == stream))
    }

    /// `is_last`: nothing was sent since to somebody else.
    fn handle_reply(&mut self, now: Time, at: usize, server: IpAddr, is_last: bool, reply: Reply) {
        let query = &mut self.queries[at];
        query.attempts.retain(|a| a.server != server);
        let clamp = |ttl: Duration| ttl.clamp(MIN_TTL, MAX_TTL);
        let result = match reply {
            Reply::Found { data, owner, ttl, aliases } => {
                let alias_of = (query.aliases + aliases > 0).then(|| owner.to_ascii().to_ascii_lowercase());
                Ok(Records { data, alias_of, ttl: clamp(ttl.min(query.ttl)) })
            }
            Reply::NoSuchName { ttl } => Err(Failure::NoSuchName { ttl: ttl.map(|t| clamp(t.min(query.ttl))) }),
            Reply::NoData { ttl } => Err(Failure::NoData { ttl: ttl.map(|t| clamp(t.min(query.ttl))) }),
            Reply::Elsewhere { target, aliases, ttl } => {
                if query.aliases + aliases <= MAX_CHAIN {
                    self.outputs.extend(query.follow(now, target, aliases, ttl).map(Output::Close));
                } else {
                    query.fail_if(is_last, now, Failure::Unusable(Unusable::Chain));
                }
                return;
            }
            Reply::Truncated => {
                if query.stream.is_none() {
                    self.last_id += 1;
                    let stream = StreamId(self.last_id);
                    self.counts.streams += 1;
                    let payload = query.open_stream(now, stream, server);
                    self.outputs.push_back(Output::Stream { stream, server, payload });
                }
                return;
            }
            Reply::Unusable(why) => return query.fail_if(is_last, now, Failure::Unusable(why)),
            Reply::ServerFailed(code) => {
                // RFC 6891 7: perhaps it is the EDNS option.
                if query::blames_edns(code)
                    && let Some(server) = self.servers.iter_mut().find(|s| s.address == server)
                    && std::mem::take(&mut server.edns)
                {
                    return query.again(now, server.address, is_last);
                }
                return query.fail_if(is_last, now, Failure::ServerFailed(code));
            }
        };
        self.end(now, at, result);
    }

    fn end(&mut self, now: Time, at: usize, result: Result<Records, Failure>) {
        let query = self.queries.swap_remove(at);
        self.cache.put(now, &query.asked, query.record_type, &result);
        self.outputs.extend(query.stream.map(|s| Output::Close(s.id)));
        let answer = |&query| Output::Answer { query, result: result.clone() };
        self.outputs.extend(query.askers.iter().map(answer));
    }

    /// The ports of ours that answers may come to; to all others nothing of ours comes.
    pub fn open_ports(&self) -> impl Iterator<Item = u16> {
        self.queries.iter().flat_map(|q| q.attempts.iter().map(|a| a.port))
    }
}

/// The name as it is compared: absolute, in small letters; `None` if it is none, or the root.
fn canonical(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok().filter(|name| name.iter().next().is_some())?;
    name.set_fqdn(true);
    Some(name.to_lowercase())
}

impl Machine for StubResolver {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        while let Some(at) = self.queries.iter().position(|q| q.due <= now) {
            let ports: Vec<u16> = self.open_ports().collect();
            match self.queries[at].step(now, &self.servers, &ports, &mut self.counts) {
                Step::Send { server, source_port, payload } => {
                    self.outputs.push_back(Output::Send { server, source_port, payload });
                }
                Step::Wait => {}
                Step::Close(stream) => self.outputs.push_back(Output::Close(stream)),
                Step::End(failure) => self.end(now, at, Err(failure)),
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let pending = (!self.outputs.is_empty()).then_some(Time::default());
        self.queries.iter().map(|q| q.due).chain(pending).min()
    }
}
