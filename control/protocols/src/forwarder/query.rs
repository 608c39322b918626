//! A host's question: read, made into one of ours, and answered by ourselves.

use std::ops::Range;

use super::message::{CLASS_IN, Cursor, HEADER, Malformed, code, counts, flag, rtype, small, word};

/// What fits every path without fragments (RFC 9715 3.1): neither we nor the line's resolvers send more in a datagram.
pub(super) const MAX_UDP: u16 = 1232;
/// Without EDNS (RFC 1035 2.3.4).
const MIN_UDP: u16 = 512;

/// Options that are between two hops, and so are not passed on: COOKIE (RFC 7873), TCP-KEEPALIVE (RFC 7828), PADDING
/// (RFC 7830). Any other may be answered for whoever asked alone.
const OF_ONE_HOP: [u16; 3] = [10, 11, 12];

/// DO (RFC 3225, RFC 6891 6.1.4).
const DNSSEC_OK: u16 = 1 << 15;

/// A question that may be passed on.
#[derive(Clone, Debug)]
pub(super) struct Query<'a> {
    message: &'a [u8],
    /// Where the name ends; type and class follow.
    name_end: usize,
    pub qtype: u16,
    edns: Option<Edns>,
    /// It has what we do not know, or what is not to be kept: passed on byte by byte, but for the id.
    is_opaque: bool,
    /// It is signed (TSIG, RFC 8945; SIG(0), RFC 2931): no other byte may change.
    is_signed: bool,
}

/// Its OPT record (RFC 6891 6.1.2).
#[derive(Clone, Copy, Debug)]
struct Edns {
    /// Where its class is: what the asker takes in a datagram.
    class_at: usize,
    payload: u16,
    flags: u16,
}

/// Why a message is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotPassed {
    /// It is no question: nothing is said.
    Silent,
    /// It is told so.
    Refused(u8),
}

impl<'a> Query<'a> {
    /// Reads a message. Any bytes may come.
    pub fn read(message: &'a [u8]) -> Result<Self, NotPassed> {
        if message.len() < HEADER || word(message, 2) & flag::RESPONSE != 0 {
            return Err(NotPassed::Silent);
        }
        if word(message, 2) & flag::OPCODE != 0 {
            return Err(NotPassed::Refused(code::NOT_IMPLEMENTED));
        }
        // RFC 9619: a QUERY has one question.
        let [1, 0, 0, additional] = counts(message) else { return Err(NotPassed::Refused(code::FORMAT_ERROR)) };
        Self::read_question(message, additional).map_err(|Malformed| NotPassed::Refused(code::FORMAT_ERROR))
    }

    fn read_question(message: &'a [u8], additional: u16) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(message, HEADER);
        cursor.whole_name()?;
        let name_end = cursor.at;
        let (qtype, class) = (cursor.u16()?, cursor.u16()?);
        let is_of_question = (rtype::FIRST_OF_QUESTIONS..=rtype::ANY).contains(&qtype);
        let asks_others = word(message, 2) & flag::RECURSION_DESIRED != 0;
        let is_opaque = class != CLASS_IN || is_of_question || !asks_others;
        let mut query = Self { message, name_end, qtype, edns: None, is_opaque, is_signed: false };
        for _ in 0..additional {
            let record = cursor.record()?;
            match record.rtype {
                rtype::OPT if query.edns.is_some() => return Err(Malformed),
                rtype::OPT => {
                    query.edns =
                        Some(Edns { class_at: record.ttl_at - 2, payload: record.class, flags: record.ttl as u16 });
                    let is_version_0 = record.ttl >> 16 == 0;
                    query.is_opaque |= !is_version_0 || !is_of_one_hop(message, record.data)?;
                }
                _ => (query.is_opaque, query.is_signed) = (true, true),
            }
        }
        query.is_opaque |= !cursor.is_at_end();
        Ok(query)
    }

    pub fn id(&self) -> u16 {
        word(self.message, 0)
    }

    /// The name, in the asker's letters.
    pub fn name(&self) -> &'a [u8] {
        &self.message[HEADER..self.name_end]
    }

    /// Whether it is about the Internet's names.
    pub fn is_internet(&self) -> bool {
        word(self.message, self.name_end + 2) == CLASS_IN
    }

    /// Whether an answer to one host is an answer to another.
    pub fn is_shared(&self) -> bool {
        !self.is_opaque
    }

    /// Whether letters may be mixed.
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// What is the same for all questions that have the same answer: flags (CD and AD among them, RFC 6840 5.7), name, type
    /// and class, whether there is EDNS and its flags (DO). Of one that is passed on byte by byte, all but its id.
    pub fn key(&self) -> Box<[u8]> {
        if self.is_opaque {
            // No name begins with 0xff.
            return [&[0xff], &self.message[2..]].concat().into();
        }
        let mut key = small(&self.message[HEADER..self.name_end]);
        key.extend(&self.message[self.name_end..self.name_end + 4]);
        key.extend(&self.message[2..4]);
        if let Some(edns) = self.edns {
            key.extend(edns.flags.to_be_bytes());
        }
        key.into()
    }

    /// As it is asked upstream, with id 0. Room for an answer is what paths carry, whatever the host has.
    pub fn upstream(&self) -> Vec<u8> {
        let mut message = if self.is_opaque {
            self.message.to_vec()
        } else {
            [&self.message[..10], &[0, 0], &self.message[HEADER..self.name_end + 4]].concat()
        };
        message[..2].fill(0);
        match self.edns.filter(|_| !self.is_signed) {
            Some(edns) if self.is_opaque => {
                let payload = edns.payload.min(MAX_UDP).to_be_bytes();
                message[edns.class_at..edns.class_at + 2].copy_from_slice(&payload);
            }
            Some(edns) => {
                message[11] = 1;
                message.push(0);
                for word in [rtype::OPT, MAX_UDP, 0, edns.flags, 0] {
                    message.extend(word.to_be_bytes());
                }
            }
            None => {}
        }
        message
    }

    /// The longest answer that the asker takes in a datagram.
    pub fn longest(&self) -> usize {
        self.edns.map_or(MIN_UDP, |edns| edns.payload.clamp(MIN_UDP, MAX_UDP)).into()
    }

    /// An answer of our own: with these records' types and data, each for `ttl` seconds.
    pub fn answer(&self, code: u8, is_ours: bool, ttl: u32, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut message = header(self.message, code);
        let authoritative = if is_ours { flag::AUTHORITATIVE } else { 0 };
        let flags = word(&message, 2) | authoritative;
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[5] = 1;
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        message.extend(&self.message[HEADER..self.name_end + 4]);
        for (rtype, data) in records {
            // The name is the question's (RFC 1035 4.1.4).
            message.extend([0xc0, HEADER as u8]);
            message.extend(rtype.to_be_bytes());
            message.extend(CLASS_IN.to_be_bytes());
            message.extend(ttl.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
        if let Some(edns) = self.edns {
            message[11] = 1;
            message.push(0);
            // RFC 6891 7: who asks with EDNS is answered with it; RFC 3225 3: DO is repeated.
            for word in [rtype::OPT, MAX_UDP, 0, edns.flags & DNSSEC_OK, 0] {
                message.extend(word.to_be_bytes());
            }
        }
        message
    }
}

/// The header of an answer to `query` that has nothing in it.
pub(super) fn header(query: &[u8], code: u8) -> Vec<u8> {
    let kept = flag::OPCODE | flag::RECURSION_DESIRED | flag::CHECKING_DISABLED;
    let flags = word(query, 2) & kept | flag::RESPONSE | flag::RECURSION_AVAILABLE | u16::from(code);
    let mut message = vec![0; HEADER];
    message[..2].copy_from_slice(&query[..2]);
    message[2..4].copy_from_slice(&flags.to_be_bytes());
    message
}

fn is_of_one_hop(message: &[u8], options: Range<usize>) -> Result<bool, Malformed> {
    let mut cursor = Cursor::new(&message[..options.end], options.start);
    let mut all = true;
    while !cursor.is_at_end() {
        let (option, len) = (cursor.u16()?, cursor.u16()?);
        cursor.take(len.into())?;
        all &= OF_ONE_HOP.contains(&option);
    }
    Ok(all)
}
