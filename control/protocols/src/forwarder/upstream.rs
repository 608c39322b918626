//! A question on its way to the line's resolvers: whom it was asked, whom next, and when it is given up.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::time::Duration;

use hikyaku_net::Time;
use rand::{Rng, RngExt};

use super::message::{HEADER, counts, flag, word};
use super::query::Query;
use super::reply::Reply;
use super::{Client, MAX_STREAM_MESSAGE, PORT, StreamId};

/// How long an answer is waited for before the next resolver is asked, or the same again; hosts themselves give up after five
/// seconds (resolv.conf(5)).
const WAITS: [Duration; 4] =
    [Duration::from_millis(700), Duration::from_millis(900), Duration::from_millis(1400), Duration::from_millis(1800)];
/// The same by TCP: for connecting, asking and answering.
const STREAM_WAITS: [Duration; 2] = [Duration::from_millis(2400); 2];
/// Resolvers that say that they cannot answer, before that is passed on.
const MOST_FAILURES: usize = 2;
/// How long a resolver that did not answer in time comes after the others.
const PENALTY: Duration = Duration::from_secs(30);
/// Hosts that wait for the same answer, at most.
const MAX_ASKERS: usize = 64;

/// What is known of resolvers that are not as they should be.
#[derive(Debug, Default)]
pub(super) struct Health(HashMap<Ipv6Addr, Ill>);

#[derive(Clone, Copy, Debug, Default)]
struct Ill {
    silent_until: Time,
    /// It gave a question back in other letters.
    loses_case: bool,
}

impl Health {
    /// Those that answer first, otherwise in their order.
    pub fn order(&self, now: Time, servers: &[Ipv6Addr]) -> Vec<Ipv6Addr> {
        let mut servers = servers.to_vec();
        servers.sort_by_key(|&server| self.is_silent(now, server));
        servers
    }

    /// Whether it did not answer lately.
    pub fn is_silent(&self, now: Time, server: Ipv6Addr) -> bool {
        self.0.get(&server).is_some_and(|ill| ill.silent_until > now)
    }

    pub fn silent(&mut self, now: Time, server: Ipv6Addr) {
        self.0.entry(server).or_default().silent_until = now + PENALTY;
    }

    pub fn answered(&mut self, server: Ipv6Addr) {
        if let Some(ill) = self.0.get_mut(&server) {
            ill.silent_until = Time(0);
        }
    }

    fn loses_case(&self, server: Ipv6Addr) -> bool {
        self.0.get(&server).is_some_and(|ill| ill.loses_case)
    }

    /// Nobody else is remembered.
    pub fn retain(&mut self, servers: &[Ipv6Addr]) {
        self.0.retain(|server, _| servers.contains(server));
    }
}

/// A host that waits.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub client: Client,
    pub id: u16,
    /// In its letters.
    pub name: Vec<u8>,
    pub longest: usize,
}

/// A message on its way: an answer has all of this right (RFC 5452 9).
#[derive(Debug)]
struct Attempt {
    server: Ipv6Addr,
    /// Ours, by UDP.
    port: Option<u16>,
    id: u16,
    /// In the letters that went out.
    name: Vec<u8>,
}

/// A TCP connection on its way, and what came by it so far, its length in front.
#[derive(Debug)]
struct Stream {
    id: StreamId,
    buffer: Vec<u8>,
}

/// An open question.
#[derive(Debug)]
pub(super) struct Pending {
    pub key: Box<[u8]>,
    /// An answer is kept for others.
    pub is_shared: bool,
    /// What it may say is looked at.
    pub is_checked: bool,
    /// It is asked by TCP, as those who wait did: the answer may be too long for a datagram (RFC 7766 5).
    pub by_stream: bool,
    pub askers: Vec<Asker>,
    /// As it goes out, but for id and letters.
    message: Vec<u8>,
    name: Range<usize>,
    qtype: u16,
    mixes: bool,
    servers: Vec<Ipv6Addr>,
    tries: usize,
    failures: usize,
    /// The last one that was asked has said something.
    is_heard: bool,
    attempts: Vec<Attempt>,
    stream: Option<Stream>,
    pub due: Time,
    /// What the last resolver that could not answer said.
    failure: Option<Reply>,
}

/// What to do about an open question.
pub(super) enum Step {
    Ask {
        server: Ipv6Addr,
        port: u16,
        payload: Vec<u8>,
    },
    Stream {
        server: Ipv6Addr,
        payload: Vec<u8>,
    },
    Wait,
    /// With an answer; `None`: nobody gave any.
    End(Option<Reply>),
}

/// Why a message from outside is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign;

impl Pending {
    pub fn new(now: Time, query: &Query, key: Box<[u8]>, asker: Asker, servers: Vec<Ipv6Addr>) -> Self {
        Self {
            key,
            is_shared: query.is_shared(),
            is_checked: true,
            by_stream: false,
            message: query.upstream(),
            name: HEADER..HEADER + query.name().len(),
            qtype: query.qtype,
            mixes: !query.is_signed(),
            askers: vec![asker],
            servers,
            tries: 0,
            failures: 0,
            is_heard: true,
            attempts: Vec::new(),
            stream: None,
            due: now,
            failure: None,
        }
    }

    /// Whether one more may wait.
    pub fn join(&mut self, asker: Asker) -> bool {
        // One that asks again is answered once.
        if self.askers.iter().any(|a| a.client == asker.client && a.id == asker.id) {
            return true;
        }
        let has_room = self.askers.len() < MAX_ASKERS;
        if has_room {
            self.askers.push(asker);
        }
        has_room
    }

    /// Ports of ours that answers come to.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.attempts.iter().filter_map(|attempt| attempt.port)
    }

    /// The TCP connection that an answer may come by.
    pub fn stream(&self) -> Option<StreamId> {
        self.stream.as_ref().map(|stream| stream.id)
    }

    /// [`Step::Stream`] has this id.
    pub fn opened(&mut self, id: StreamId) {
        self.stream = Some(Stream { id, buffer: Vec::new() });
    }

    /// Nothing is waited for by it any more.
    pub fn take_stream(&mut self) -> Option<StreamId> {
        self.stream.take().map(|stream| stream.id)
    }

    /// The next resolver is asked, if there is one.
    pub fn stream_failed(&mut self, now: Time) {
        (self.stream, self.due, self.is_heard) = (None, now, true);
    }

    /// An answer of our own, with nothing in it but this code.
    pub fn ours(&self, code: u8) -> Option<Reply> {
        let message = Query::read(&self.message).ok()?.answer(code, false, 0, &[]);
        Reply::read(message, self.name.end + 4, self.qtype).ok()
    }

    /// What is next, once [`Self::due`] is past. `is_free`: whether a port of ours is.
    pub fn step(&mut self, now: Time, health: &mut Health, rng: &mut impl Rng, is_free: impl Fn(u16) -> bool) -> Step {
        if now < self.due {
            return Step::Wait;
        }
        let waits = if self.by_stream { &STREAM_WAITS[..] } else { &WAITS };
        if self.failures >= MOST_FAILURES.min(self.servers.len()) || self.tries == waits.len() {
            return Step::End(self.failure.take());
        }
        let server = self.servers[self.tries % self.servers.len()];
        self.due = now + waits[self.tries];
        self.tries += 1;
        self.is_heard = false;
        let mut payload = self.message.clone();
        let id = rng.random();
        payload[..2].copy_from_slice(&u16::to_be_bytes(id));
        if self.by_stream {
            // Nobody else can put anything into a connection: letters stay as they are.
            self.attempts = vec![Attempt { server, port: None, id, name: payload[self.name.clone()].to_vec() }];
            return Step::Stream { server, payload: [&(payload.len() as u16).to_be_bytes(), &payload[..]].concat() };
        }
        if self.mixes && !health.loses_case(server) {
            mix_letters(&mut payload[self.name.clone()], rng);
        }
        // RFC 5452 9.2: any port that is not privileged. There are far more than are open.
        let port = loop {
            let port = rng.random_range(1024..=u16::MAX);
            if is_free(port) && !self.ports().any(|open| open == port) {
                break port;
            }
        };
        self.attempts.push(Attempt { server, port: Some(port), id, name: payload[self.name.clone()].to_vec() });
        Step::Ask { server, port, payload }
    }

    /// Nobody answered in time: whom that is held against.
    pub fn timed_out(&self, now: Time) -> Option<Ipv6Addr> {
        // One that is silent by TCP may not speak it, and yet answer otherwise.
        let is_late = now >= self.due && !self.is_heard && !self.by_stream;
        self.attempts.last().filter(|_| is_late).map(|attempt| attempt.server)
    }

    /// A message for the port of one of its attempts: the answer, if it is one. `None`: it goes on.
    pub fn hear(
        &mut self,
        now: Time,
        from: (Ipv6Addr, u16),
        port: u16,
        message: &[u8],
        health: &mut Health,
    ) -> Result<Option<Reply>, Foreign> {
        let is_asked = |attempt: &Attempt| attempt.port == Some(port) && from == (attempt.server, PORT);
        let attempt = self.attempts.iter().position(is_asked).ok_or(Foreign)?;
        self.judge(now, attempt, message, health)
    }

    /// Bytes that came by the connection. `None`: the message is not whole yet.
    pub fn hear_stream(
        &mut self,
        now: Time,
        bytes: &[u8],
        health: &mut Health,
    ) -> Option<Result<Option<Reply>, Foreign>> {
        let stream = self.stream.as_mut()?;
        stream.buffer.extend(bytes);
        let length = usize::from(u16::from_be_bytes(*stream.buffer.first_chunk()?));
        if length > MAX_STREAM_MESSAGE {
            self.stream_failed(now);
            return Some(Err(Foreign));
        }
        let message = stream.buffer.get(2..2 + length)?.to_vec();
        self.stream = None;
        let judged = self.judge(now, 0, &message, health);
        if judged.is_err() {
            self.due = now;
        }
        Some(judged)
    }

    /// What a message says that came where an answer to this attempt would.
    fn judge(
        &mut self,
        now: Time,
        attempt: usize,
        message: &[u8],
        health: &mut Health,
    ) -> Result<Option<Reply>, Foreign> {
        let attempt = self.attempts.get(attempt).ok_or(Foreign)?;
        let server = attempt.server;
        let question = self.name.start..self.name.end + 4;
        let heard = message.get(question.clone()).ok_or(Foreign)?;
        let is_answer = word(message, 0) == attempt.id
            && word(message, 2) & (flag::RESPONSE | flag::OPCODE) == flag::RESPONSE
            && counts(message)[0] == 1
            && heard[attempt.name.len()..] == self.message[self.name.end..self.name.end + 4]
            && heard[..attempt.name.len()].eq_ignore_ascii_case(&attempt.name);
        if !is_answer {
            return Err(Foreign);
        }
        if heard[..attempt.name.len()] != attempt.name[..] && !health.loses_case(server) {
            // A resolver that does not keep letters, or a guess: the next is asked, and this one without from now on.
            health.0.entry(server).or_default().loses_case = true;
            (self.due, self.is_heard) = (now, true);
            return Err(Foreign);
        }
        health.answered(server);
        self.is_heard = true;
        match Reply::read(message.to_vec(), question.end, self.qtype) {
            Ok(reply) if reply.is_answer() => Ok(Some(reply)),
            said => {
                self.failures += 1;
                self.failure = said.ok().or(self.failure.take());
                self.due = now;
                Ok(None)
            }
        }
    }
}

/// Letters at random: a guess has to have them right (draft-vixie-dnsext-dns0x20).
fn mix_letters(name: &mut [u8], rng: &mut impl Rng) {
    for letter in name.iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
        if rng.random() {
            *letter ^= 0x20;
        }
    }
}
