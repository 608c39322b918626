//! The line's resolver: what it is to say can be set.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv6Addr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::AAAA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hikyaku_dataplane::time::Time;

use super::Host;
use super::wire::{self, What};

/// A resolver.
pub struct Resolver {
    pub address: Ipv6Addr,
    /// It answers.
    pub alive: bool,
    /// Names in small letters, without the last dot.
    records: HashMap<(String, RecordType), (u32, Vec<RData>)>,
    /// What was asked, and from where.
    pub asked: Vec<(Ipv6Addr, String, RecordType)>,
    replies: VecDeque<Vec<u8>>,
}

impl Resolver {
    pub fn new(address: Ipv6Addr) -> Self {
        Self { address, alive: true, records: HashMap::new(), asked: Vec::new(), replies: VecDeque::new() }
    }

    /// From now on `name` has these records, which may be kept for `ttl` seconds.
    pub fn set(&mut self, name: &str, kind: RecordType, ttl: u32, records: Vec<RData>) {
        self.records.insert((name.into(), kind), (ttl, records));
    }

    /// From now on it has none.
    pub fn remove(&mut self, name: &str, kind: RecordType) {
        self.records.remove(&(name.into(), kind));
    }

    /// The same for addresses.
    pub fn set_addresses(&mut self, name: &str, ttl: u32, addresses: &[Ipv6Addr]) {
        let records = addresses.iter().map(|&address| RData::AAAA(AAAA(address))).collect();
        self.set(name, RecordType::AAAA, ttl, records);
    }

    fn answer(&self, query: &Message) -> Message {
        let question = &query.queries[0];
        let name = text(question.name());
        let mut reply = Message::new(query.id, MessageType::Response, OpCode::Query);
        reply.add_queries(query.queries.iter().cloned());
        match self.records.get(&(name.clone(), question.query_type())) {
            Some((ttl, records)) => {
                let record = |data: &RData| Record::from_rdata(question.name().clone(), *ttl, data.clone());
                reply.add_answers(records.iter().map(record));
            }
            None if self.records.keys().any(|(known, _)| *known == name) => {}
            None => reply.metadata.response_code = ResponseCode::NXDomain,
        }
        reply
    }
}

fn text(name: &Name) -> String {
    name.to_ascii().to_ascii_lowercase().trim_end_matches('.').to_string()
}

impl Host for Resolver {
    fn address(&self) -> Ipv6Addr {
        self.address
    }

    fn hear(&mut self, _now: Time, packet: &[u8]) {
        let heard = wire::read(&wire::frame6(Default::default(), Default::default(), packet));
        let What::Udp6 { src, dst, ports: (port, 53), payload } = heard.what else { return };
        let query = Message::from_vec(&payload).unwrap();
        self.asked.push((src, text(query.queries[0].name()), query.queries[0].query_type()));
        if self.alive {
            let reply = self.answer(&query).to_vec().unwrap();
            self.replies.push_back(wire::udp6((dst, 53), (src, port), &reply));
        }
    }

    fn poll(&mut self, _now: Time) -> Option<Vec<u8>> {
        self.replies.pop_front()
    }
}
