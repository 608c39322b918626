//! Hosts that ask, resolvers that answer, and others who do; messages by another's code (hickory-proto).

mod asking;
mod keeping;
mod local;
mod passing;
mod streams;

use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::*;

fn at(seconds: f64) -> Time {
    Time::default() + Duration::from_secs_f64(seconds)
}

fn server(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
}

fn host(n: u8) -> Client {
    let [address, to] = [[192, 168, 1, n], [192, 168, 1, 1]].map(IpAddr::from);
    Client { station: Mac([2, 0, 0, 0, 0, n]), address, port: 4000 + u16::from(n), to, connection: None }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

fn a(owner: &str, ttl: u32, address: [u8; 4]) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(A(address.into())))
}

fn aaaa(owner: &str, ttl: u32, address: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::AAAA(AAAA(address.parse().unwrap())))
}

fn alias(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
}

fn soa(zone: &str, ttl: u32, minimum: u32) -> Record {
    Record::from_rdata(name(zone), ttl, RData::SOA(SOA::new(name(zone), name(zone), 1, 1, 1, 1, minimum)))
}

fn question(id: u16, text: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Asked::query(name(text), rtype));
    message
}

fn with_edns(mut message: Message, payload: u16, dnssec_ok: bool) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload).set_dnssec_ok(dnssec_ok);
    message.set_edns(edns);
    message
}

/// A question on its way.
#[derive(Clone, Debug)]
struct Sent {
    server: Ipv6Addr,
    port: u16,
    bytes: Vec<u8>,
}

impl Sent {
    fn message(&self) -> Message {
        Message::from_vec(&self.bytes).unwrap()
    }

    fn reply(&self, code: ResponseCode, answers: &[Record], authorities: &[Record]) -> Message {
        let query = self.message();
        let mut reply = Message::new(query.id, MessageType::Response, OpCode::Query);
        reply.metadata.response_code = code;
        reply.metadata.recursion_desired = true;
        reply.metadata.recursion_available = true;
        reply.add_queries(query.queries.iter().cloned());
        reply.add_answers(answers.iter().cloned());
        reply.add_authorities(authorities.iter().cloned());
        reply
    }
}

/// A forwarder, and what it wanted sent.
struct Play {
    forwarder: Forwarder,
    now: Time,
    sent: Vec<Sent>,
    answers: Vec<(Client, Vec<u8>)>,
    closed: Vec<u16>,
    streams: Vec<(StreamId, Sent)>,
    closed_streams: Vec<StreamId>,
}

impl Play {
    fn new(settings: Settings) -> Self {
        let mut forwarder = Forwarder::new();
        forwarder.set(settings);
        Self {
            forwarder,
            now: at(1.0),
            sent: Vec::new(),
            answers: Vec::new(),
            closed: Vec::new(),
            streams: Vec::new(),
            closed_streams: Vec::new(),
        }
    }

    /// With two resolvers and room to keep answers.
    fn usual() -> Self {
        Self::new(usual())
    }

    fn drive(&mut self) {
        while let Some(output) = self.forwarder.drive(self.now) {
            match output {
                Output::Answer { to, message } => self.answers.push((to, message)),
                Output::Upstream(Upstream::Ask { server, port, payload }) => {
                    self.sent.push(Sent { server, port, bytes: payload })
                }
                Output::Upstream(Upstream::Close(port)) => self.closed.push(port),
                Output::Upstream(Upstream::Stream { stream, server, payload }) => {
                    assert_eq!(usize::from(u16::from_be_bytes([payload[0], payload[1]])), payload.len() - 2);
                    self.streams.push((stream, Sent { server, port: 0, bytes: payload[2..].to_vec() }));
                }
                Output::Upstream(Upstream::CloseStream(stream)) => self.closed_streams.push(stream),
            }
        }
        assert!(self.forwarder.poll_timeout().is_none_or(|next| next > self.now), "nothing is due after a drive");
    }

    fn ask(&mut self, client: Client, message: &Message) {
        self.ask_bytes(client, &message.to_vec().unwrap());
    }

    fn ask_bytes(&mut self, client: Client, bytes: &[u8]) {
        self.forwarder.handle_input(self.now, client, bytes);
        self.drive();
    }

    fn reply(&mut self, to: &Sent, message: &Message) {
        self.reply_bytes(to, &message.to_vec().unwrap());
    }

    fn reply_bytes(&mut self, to: &Sent, bytes: &[u8]) {
        self.forwarder.handle_reply(self.now, (to.server, PORT), to.port, bytes);
        self.drive();
    }

    /// Until the machine wants something again.
    fn wait(&mut self) {
        self.now = self.forwarder.poll_timeout().expect("something is waited for").max(self.now);
        self.drive();
    }

    fn pass(&mut self, seconds: f64) {
        self.now = self.now + Duration::from_secs_f64(seconds);
        self.drive();
    }

    fn last_sent(&self) -> Sent {
        self.sent.last().expect("nobody was asked").clone()
    }

    /// The only answer since this was asked last.
    fn answer(&mut self) -> Message {
        let answers = std::mem::take(&mut self.answers);
        assert_eq!(answers.len(), 1, "one answer");
        Message::from_vec(&answers[0].1).unwrap()
    }

    /// Asks, has it answered, and gives the answer.
    fn through(&mut self, question: &Message, answers: &[Record]) -> Message {
        self.ask(host(2), question);
        let sent = self.last_sent();
        self.reply(&sent, &sent.reply(ResponseCode::NoError, answers, &[]));
        self.answer()
    }
}

fn usual() -> Settings {
    Settings { servers: vec![server(1), server(2)], cache_bytes: 1 << 20, ..Settings::default() }
}
