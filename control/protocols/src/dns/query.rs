//! One open question: whom it was asked, whom next, and when it is given up.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hikyaku_net::Time;
use rand::{Rng, RngExt};

use super::answer::{Failure, RecordType};
use super::reply::Question;
use super::{Counts, QueryId, Server, StreamId};

/// All resolvers are asked one after the other, in so many rounds.
const ROUNDS: usize = 4;
/// In the first round each has a second; in each further one twice as long.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// If all resolvers say that they cannot, they are asked once more, and that is it.
const FAILED_ROUNDS: usize = 2;
/// For connecting, asking and answering.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10);

/// A message on its way. Of each server only the last one is listened for.
#[derive(Debug)]
pub(super) struct Attempt {
    pub server: IpAddr,
    pub port: u16,
    pub question: Question,
    /// [`Query::tries`] when it was sent.
    pub number: usize,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub id: StreamId,
    pub server: IpAddr,
    pub question: Question,
    /// What came in so far, length first.
    pub buffer: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Query {
    pub askers: Vec<QueryId>,
    /// The name that was asked for, in small letters.
    pub asked: Name,
    pub record_type: RecordType,
    /// `asked`, or where its aliases have led so far.
    target: Name,
    pub aliases: usize,
    /// The shortest on that way.
    pub ttl: Duration,
    pub attempts: Vec<Attempt>,
    pub stream: Option<Stream>,
    /// Servers that were asked, those asked again counted again.
    pub tries: usize,
    /// When to go on.
    pub due: Time,
    /// Not before this does the next round begin.
    round_end: Time,
    /// Nobody answered at least one try of this round.
    silence: bool,
    /// The last server is asked once more, whatever the round.
    again: bool,
    failure: Option<Failure>,
}

pub(super) enum Step {
    Send { server: IpAddr, source_port: u16, payload: Vec<u8> },
    Close(StreamId),
    Wait,
    End(Failure),
}

impl Query {
    pub fn new(now: Time, id: QueryId, asked: Name, record_type: RecordType) -> Self {
        Self {
            askers: vec![id],
            target: asked.clone(),
            asked,
            record_type,
            aliases: 0,
            ttl: Duration::MAX,
            attempts: Vec::new(),
            stream: None,
            tries: 0,
            due: now,
            round_end: now,
            silence: false,
            again: false,
            failure: None,
        }
    }

    /// From the beginning. Returns the connection that is not needed any more.
    pub fn restart(&mut self, now: Time) -> Option<StreamId> {
        let old = self.stream.take();
        let (askers, asked) = (std::mem::take(&mut self.askers), self.asked.clone());
        *self = Self { askers, ..Self::new(now, QueryId(0), asked, self.record_type) };
        old.map(|s| s.id)
    }

    /// Asks from the beginning for the name that an alias leads to. Returns the connection that is not needed any more.
    pub fn follow(&mut self, now: Time, target: Name, aliases: usize, ttl: Duration) -> Option<StreamId> {
        let (aliases, ttl) = (self.aliases + aliases, self.ttl.min(ttl));
        let old = self.restart(now);
        (self.target, self.aliases, self.ttl) = (target.to_lowercase(), aliases, ttl);
        old
    }

    /// `server` is asked once more, at once and otherwise than before.
    pub fn again(&mut self, now: Time, server: IpAddr, is_last: bool) {
        self.attempts.retain(|a| a.server != server);
        if is_last {
            self.tries -= 1;
            (self.again, self.due) = (true, now);
        }
    }

    /// The server that was asked last cannot help: on to the next.
    pub fn fail(&mut self, now: Time, failure: Failure) {
        self.failure = Some(failure);
        self.due = now;
    }

    /// As [`Self::fail`]; of a server asked earlier it is only remembered.
    pub fn fail_if(&mut self, is_last: bool, now: Time, failure: Failure) {
        if is_last && self.stream.is_none() {
            self.fail(now, failure);
        } else {
            self.failure = Some(failure);
        }
    }

    /// Asks `server` by TCP; returns the bytes to send.
    pub fn open_stream(&mut self, now: Time, id: StreamId, server: IpAddr) -> Vec<u8> {
        // Another id: the one that was used may be known.
        let question =
            Question { id: rand::rng().next_u32() as u16, name: self.target.clone(), record_type: self.record_type };
        let message = question.compose(true);
        self.stream = Some(Stream { id, server, question, buffer: Vec::new() });
        self.due = now + STREAM_TIMEOUT;
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    }

    /// What to do when [`Self::due`] has come.
    pub fn step(&mut self, now: Time, servers: &[Server], ports: &[u16], counts: &mut Counts) -> Step {
        if let Some(stream) = self.stream.take() {
            self.failure = Some(Failure::Truncated);
            return Step::Close(stream.id);
        }
        if self.attempts.iter().any(|a| a.number == self.tries) {
            counts.unanswered += 1;
            self.silence = true;
        }
        if servers.is_empty() {
            return Step::End(Failure::NoResolvers);
        }
        let round = self.tries / servers.len();
        let timeout = FIRST_TIMEOUT * 2u32.pow(round as u32);
        if !std::mem::take(&mut self.again) && self.tries.is_multiple_of(servers.len()) {
            let all_failed = round >= FAILED_ROUNDS && !self.silence;
            if round == ROUNDS || all_failed {
                return Step::End(self.failure.take().unwrap_or(Failure::TimedOut));
            }
            if now < self.round_end {
                self.due = self.round_end;
                return Step::Wait;
            }
            (self.round_end, self.silence) = (now + timeout, false);
        }
        let server = servers[self.tries % servers.len()];
        self.tries += 1;
        self.due = now + timeout;
        let mut name = self.target.clone();
        if server.keeps_case {
            name.randomize_label_case();
        }
        let mut rng = rand::rng();
        let question = Question { id: rng.next_u32() as u16, name, record_type: self.record_type };
        let payload = question.compose(server.edns);
        // RFC 5452 9.2: any port that is not privileged. There are far more than are open.
        let source_port = loop {
            let port = rng.random_range(1024..=u16::MAX);
            if !ports.contains(&port) {
                break port;
            }
        };
        let server = server.address;
        self.attempts.retain(|a| a.server != server);
        self.attempts.push(Attempt { server, port: source_port, question, number: self.tries });
        counts.sent += 1;
        Step::Send { server, source_port, payload }
    }
}

/// What servers say that do not understand an EDNS option (RFC 6891 7).
pub(super) fn blames_edns(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS)
}
