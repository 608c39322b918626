//! The line's resolver: what it is to say can be set.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::Ipv6Addr;
use std::rc::Rc;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::AAAA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hikyaku_net::Time;

use super::Host;
use super::web::Web;
use super::wire::{self, What};

/// Names in small letters, without the last dot.
type Records = HashMap<(String, RecordType), (u32, Vec<RData>)>;

/// A resolver of the line.
pub struct Resolver {
    pub address: Ipv6Addr,
    /// Whether it answers.
    pub alive: bool,
    /// It says by UDP that the answer is too long for it.
    pub truncates: bool,
    /// It can be connected to.
    pub listens: bool,
    records: Rc<RefCell<Records>>,
    tcp: Web,
    /// Questions that came by TCP.
    pub by_tcp: Rc<RefCell<u64>>,
    /// What was asked, and from where.
    pub asked: Vec<(Ipv6Addr, String, RecordType)>,
    replies: VecDeque<Vec<u8>>,
}

impl Resolver {
    pub fn new(address: Ipv6Addr) -> Self {
        let (records, by_tcp) = (Rc::<RefCell<Records>>::default(), Rc::<RefCell<u64>>::default());
        let (known, count) = (records.clone(), by_tcp.clone());
        // RFC 1035 4.2.2: each message has its length in front.
        let reader = move |_, bytes: &[u8]| {
            let (length, rest) = bytes.split_first_chunk()?;
            let query = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
            *count.borrow_mut() += 1;
            let reply = answer(&known.borrow(), &Message::from_vec(query).unwrap()).to_vec().unwrap();
            Some((2 + query.len(), [&(reply.len() as u16).to_be_bytes()[..], &reply].concat()))
        };
        Self {
            address,
            alive: true,
            truncates: false,
            listens: true,
            records,
            tcp: Web::listen(address, 53, Box::new(reader)),
            by_tcp,
            asked: Vec::new(),
            replies: VecDeque::new(),
        }
    }

    /// From now on `name` has these records, which may be kept for `ttl` seconds.
    pub fn set(&mut self, name: &str, kind: RecordType, ttl: u32, records: Vec<RData>) {
        self.records.borrow_mut().insert((name.into(), kind), (ttl, records));
    }

    /// From now on it has none.
    pub fn remove(&mut self, name: &str, kind: RecordType) {
        self.records.borrow_mut().remove(&(name.into(), kind));
    }

    /// The same for addresses.
    pub fn set_addresses(&mut self, name: &str, ttl: u32, addresses: &[Ipv6Addr]) {
        let records = addresses.iter().map(|&address| RData::AAAA(AAAA(address))).collect();
        self.set(name, RecordType::AAAA, ttl, records);
    }
}

fn answer(records: &Records, query: &Message) -> Message {
    let question = &query.queries[0];
    let name = text(question.name());
    let mut reply = Message::new(query.id, MessageType::Response, OpCode::Query);
    reply.add_queries(query.queries.iter().cloned());
    match records.get(&(name.clone(), question.query_type())) {
        Some((ttl, records)) => {
            let record = |data: &RData| Record::from_rdata(question.name().clone(), *ttl, data.clone());
            reply.add_answers(records.iter().map(record));
        }
        None if records.keys().any(|(known, _)| *known == name) => {}
        None => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    reply
}

fn text(name: &Name) -> String {
    name.to_ascii().to_ascii_lowercase().trim_end_matches('.').to_string()
}

impl Host for Resolver {
    fn address(&self) -> Ipv6Addr {
        self.address
    }

    fn hear(&mut self, now: Time, packet: &[u8]) {
        let heard = wire::read(&wire::frame6(Default::default(), Default::default(), packet));
        let What::Udp6 { src, dst, ports: (port, 53), payload } = heard.what else {
            if self.listens {
                self.tcp.hear(now, packet);
            }
            return;
        };
        let query = Message::from_vec(&payload).unwrap();
        self.asked.push((src, text(query.queries[0].name()), query.queries[0].query_type()));
        if self.alive {
            let mut reply = answer(&self.records.borrow(), &query);
            if self.truncates {
                reply.answers.clear();
                reply.metadata.truncation = true;
            }
            self.replies.push_back(wire::udp6((dst, 53), (src, port), &reply.to_vec().unwrap()));
        }
    }

    fn poll(&mut self, now: Time) -> Option<Vec<u8>> {
        self.replies.pop_front().or_else(|| self.tcp.poll(now))
    }

    fn next(&self) -> Option<Time> {
        self.tcp.next()
    }
}
