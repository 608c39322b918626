//! One DNS message in, one out (RFC 1035 4, RFC 6891, RFC 2308). `hickory-proto` reads and writes them; what it
//! lets pass that is not the answer to our question is refused here.

use std::time::Duration;

use hickory_proto::op::{Edns, Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::answer::{Data, MAX_CHAIN, RecordType, Text, Unusable};

/// Records that are taken from one answer.
pub const MAX_RECORDS: usize = 32;
/// Longest message that is read: it bounds the work of following compression pointers.
pub const MAX_MESSAGE: usize = 16 << 10;
/// What fits every path without fragments (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
/// RFC 2308 5: a "no" is kept for one to three hours at most.
const MAX_NEGATIVE: u32 = 3 * 3600;

/// A question as it goes out: the name's letters as they were mixed.
#[derive(Clone, Debug)]
pub struct Question {
    /// The message id, which a reply must repeat (RFC 5452 9.1).
    pub id: u16,
    /// The name that is asked about, in the letters that a reply must repeat.
    pub name: Name,
    /// The type of the records that are asked for.
    pub record_type: RecordType,
}

/// Why a message is not the answer to our question: it may come from anybody, and ends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// The bytes are no DNS message.
    #[error("not a DNS message")]
    Garbage,
    /// The message is longer than [`MAX_MESSAGE`].
    #[error("longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// The message is a query, or a response to something else than a query.
    #[error("not a response to a query")]
    NotResponse,
    /// The message has another id than the question.
    #[error("another id")]
    Id,
    /// The message repeats another question, none, or several.
    #[error("another question, or not exactly one")]
    Question,
    /// It repeats the question in other letters: a resolver that does not keep them, or a guess.
    #[error("our question in other letters")]
    Case,
}

/// What a response says about the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Records, the name that has them, and the shortest TTL on the way to them.
    Found {
        /// The records' data; never empty.
        data: Data,
        /// The name asked for, or the last of its aliases.
        owner: Name,
        /// Aliases (CNAME) on the way there.
        aliases: usize,
        /// The shortest TTL on the way, as it stands in the records.
        ttl: Duration,
    },
    /// An alias, without the records of the name that it leads to.
    Elsewhere {
        /// The name to ask for.
        target: Name,
        /// Aliases (CNAME) on the way there.
        aliases: usize,
        /// The shortest TTL on the way, as it stands in the records.
        ttl: Duration,
    },
    /// NXDOMAIN: there is no such name (RFC 2308 2.1).
    NoSuchName {
        /// RFC 2308 5; `None` without an SOA record.
        ttl: Option<Duration>,
    },
    /// The name is there, such records are not.
    NoData {
        /// RFC 2308 5; `None` without an SOA record.
        ttl: Option<Duration>,
    },
    /// The resolver could not or would not.
    ServerFailed(ResponseCode),
    /// TC: the answer does not fit a datagram.
    Truncated,
    /// It is an answer to the question, and cannot be used.
    Unusable(Unusable),
}

impl Question {
    /// The query as the payload of a datagram; `edns`: with an OPT record (RFC 6891).
    pub(super) fn compose(&self, edns: bool) -> Vec<u8> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.record_type.wire()));
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD);
            message.set_edns(edns);
        }
        // It fails for names over 255 bytes, which `Name` refuses.
        message.to_vec().unwrap_or_default()
    }

    /// Reads a response. Any bytes may come: this is what to fuzz.
    pub fn reply(&self, bytes: &[u8]) -> Result<Reply, Foreign> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Foreign::TooLong);
        }
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder).map_err(|_| Foreign::Garbage)?;
        let metadata = header.metadata;
        if metadata.id != self.id {
            return Err(Foreign::Id);
        }
        if metadata.message_type != MessageType::Response || metadata.op_code != OpCode::Query {
            return Err(Foreign::NotResponse);
        }
        // Servers of before EDNS may send the bare header back.
        if metadata.response_code == ResponseCode::FormErr && header.counts.queries == 0 {
            return Ok(Reply::ServerFailed(ResponseCode::FormErr));
        }
        if header.counts.queries != 1 {
            return Err(Foreign::Question);
        }
        let query = Query::read(&mut decoder).map_err(|_| Foreign::Garbage)?;
        if query.query_type != self.record_type.wire() || query.query_class != DNSClass::IN || query.name != self.name {
            return Err(Foreign::Question);
        }
        if !query.name.eq_case(&self.name) {
            return Err(Foreign::Case);
        }
        // What is behind the question may be cut anywhere.
        if metadata.truncation {
            return Ok(Reply::Truncated);
        }
        Ok(match Message::from_vec(bytes) {
            Ok(message) => self.judge(&message),
            Err(_) => Reply::Unusable(Unusable::Malformed),
        })
    }

    fn judge(&self, message: &Message) -> Reply {
        let code = message.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Reply::ServerFailed(code);
        }
        let answers: Vec<&Record> = message.answers.iter().filter(|r| r.dns_class == DNSClass::IN).collect();
        let (mut owner, mut ttl) = (&self.name, u32::MAX);
        let mut aliases = 0;
        loop {
            let own = || answers.iter().filter(|r| r.name == *owner);
            let records = || own().filter(|r| r.record_type() == self.record_type.wire()).take(MAX_RECORDS);
            if let Some(data) = self.data(records().map(|r| &r.data)) {
                ttl = records().map(|r| ttl_of(r)).fold(ttl, Ord::min);
                return Reply::Found { data, owner: owner.clone(), aliases, ttl: seconds(ttl) };
            }
            let alias = own().find_map(|r| match &r.data {
                RData::CNAME(target) => Some((&target.0, ttl_of(r))),
                _ => None,
            });
            let Some((target, its_ttl)) = alias else { break };
            aliases += 1;
            if aliases > MAX_CHAIN {
                return Reply::Unusable(Unusable::Chain);
            }
            (owner, ttl) = (target, ttl.min(its_ttl));
        }
        let negative = negative_ttl(message, owner).map(|negative| seconds(negative.min(ttl)));
        match code {
            // RFC 2308 2.1: the code is about the last name of the chain.
            ResponseCode::NXDomain => Reply::NoSuchName { ttl: negative },
            _ if aliases > 0 && negative.is_none() => {
                Reply::Elsewhere { target: owner.clone(), aliases, ttl: seconds(ttl) }
            }
            _ => Reply::NoData { ttl: negative },
        }
    }

    /// `None` if there is nothing of the kind.
    fn data<'a>(&self, records: impl Iterator<Item = &'a RData>) -> Option<Data> {
        let mut data = match self.record_type {
            RecordType::A => Data::A(Vec::new()),
            RecordType::Aaaa => Data::Aaaa(Vec::new()),
            RecordType::Txt => Data::Txt(Vec::new()),
        };
        for record in records {
            match (&mut data, record) {
                (Data::A(list), RData::A(address)) => push(list, address.0),
                (Data::Aaaa(list), RData::AAAA(address)) => push(list, address.0),
                (Data::Txt(list), RData::TXT(text)) => {
                    push(list, Text(text.txt_data.iter().map(|s| s.to_vec()).collect()));
                }
                _ => {}
            }
        }
        let is_empty = match &data {
            Data::A(list) => list.is_empty(),
            Data::Aaaa(list) => list.is_empty(),
            Data::Txt(list) => list.is_empty(),
        };
        (!is_empty).then_some(data)
    }
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// RFC 2181 8: with the highest bit set it is zero.
fn ttl_of(record: &Record) -> u32 {
    if record.ttl > i32::MAX as u32 { 0 } else { record.ttl }
}

/// RFC 2308 5: the lesser of the SOA record's own TTL and its minimum field. Only the zone that the name is
/// in may say so.
fn negative_ttl(message: &Message, name: &Name) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) if record.name.zone_of(name) => Some(ttl_of(record).min(soa.minimum).min(MAX_NEGATIVE)),
        _ => None,
    })
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}
