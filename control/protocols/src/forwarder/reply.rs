//! A resolver's answer: what it is good for, and how it is given to a host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::message::{CLASS_IN, Cursor, HEADER, Malformed, Record, code, counts, flag, rtype, word};

/// No answer is kept longer (RFC 2181 8 lets a cache say so).
const MAX_TTL: u32 = 86_400;
/// RFC 2308 5: a "no" is kept for one to three hours at most.
const MAX_NEGATIVE: u32 = 3 * 3600;
/// How long it is kept that a resolver could not answer (RFC 9520 3.2: at least a second; RFC 2308 7.1: five minutes at most).
pub(super) const FAILURE_TTL: u32 = 2;

/// An answer as it came, and what has to be known of it to give it to others.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub message: Box<[u8]>,
    /// Where the times to live are.
    ttls: Box<[u16]>,
    /// The OPT record, from its name on.
    opt: Option<Range<u16>>,
    /// How many seconds it may be kept, perhaps 0.
    pub keep: u32,
}

impl Reply {
    /// Reads all records of an answer, whose question ends at `question_end`. `qtype`: what was asked for.
    pub fn read(message: Vec<u8>, question_end: usize, qtype: u16) -> Result<Self, Malformed> {
        if message.len() > usize::from(u16::MAX) {
            return Err(Malformed);
        }
        let [_, answers, authority, additional] = counts(&message);
        let mut found = Found::default();
        let mut cursor = Cursor::new(&message, question_end);
        for (section, count) in [answers, authority, additional].into_iter().enumerate() {
            for _ in 0..count {
                let start = cursor.at;
                let record = cursor.record()?;
                found.note(&message, start, section, &record, qtype);
            }
        }
        if !cursor.is_at_end() {
            return Err(Malformed);
        }
        let keep = found.keep(word(&message, 2));
        Ok(Self { message: message.into(), ttls: found.ttls.into(), opt: found.opt, keep })
    }

    /// What it takes in memory, bytes.
    pub fn size(&self) -> usize {
        self.message.len() + 2 * self.ttls.len()
    }

    /// Whether it says what there is, or that there is nothing; else that the resolver could not find out.
    pub fn is_answer(&self) -> bool {
        let code = (word(&self.message, 2) & flag::CODE) as u8;
        matches!(code, code::NO_ERROR | code::NO_SUCH_NAME)
    }

    /// The answer for a host whose question had this id and this name, `age` seconds later, cut to `longest` bytes
    /// (RFC 2181 9).
    pub fn given(&self, id: u16, name: &[u8], age: u32, longest: usize) -> Vec<u8> {
        let mut message = if self.message.len() <= longest { self.message.to_vec() } else { self.cut(name, longest) };
        message[..2].copy_from_slice(&id.to_be_bytes());
        message[HEADER..HEADER + name.len()].copy_from_slice(name);
        if age > 0 && self.message.len() <= longest {
            for at in self.ttls.iter().map(|&at| usize::from(at)) {
                let ttl = u32::from(word(&message, at)) << 16 | u32::from(word(&message, at + 2));
                message[at..at + 4].copy_from_slice(&real(ttl).saturating_sub(age).to_be_bytes());
            }
        }
        message
    }

    /// Question and OPT record alone, the latter if it fits, and that there is more.
    fn cut(&self, name: &[u8], longest: usize) -> Vec<u8> {
        let mut message = self.message[..HEADER + name.len() + 4].to_vec();
        let flags = word(&message, 2) | flag::TRUNCATED;
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..HEADER].fill(0);
        let opt = self.opt.as_ref().map(|opt| &self.message[usize::from(opt.start)..usize::from(opt.end)]);
        if let Some(opt) = opt.filter(|opt| message.len() + opt.len() <= longest) {
            message[11] = 1;
            message.extend(opt);
        }
        message
    }

    /// The addresses that it names, of hosts of the Internet's class: in A and AAAA records, and as hints (RFC 9460 7.3).
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        let Ok(mut cursor) = self.behind_question() else { return addresses };
        while let Ok(record) = cursor.record() {
            if record.class != CLASS_IN {
                continue;
            }
            let data = &self.message[record.data];
            match record.rtype {
                rtype::A => addresses.extend(four(data)),
                rtype::AAAA => addresses.extend(sixteen(data)),
                rtype::SVCB | rtype::HTTPS => _ = hints(data, &mut addresses),
                _ => {}
            }
        }
        addresses
    }

    fn behind_question(&self) -> Result<Cursor<'_>, Malformed> {
        let mut cursor = Cursor::new(&self.message, HEADER);
        cursor.whole_name()?;
        cursor.take(4)?;
        Ok(cursor)
    }
}

/// What the records of an answer say together.
#[derive(Default)]
struct Found {
    ttls: Vec<u16>,
    opt: Option<Range<u16>>,
    shortest: Option<u32>,
    is_answered: bool,
    negative: Option<u32>,
}

impl Found {
    fn note(&mut self, message: &[u8], start: usize, section: usize, record: &Record, qtype: u16) {
        if record.rtype == rtype::OPT {
            self.opt = Some(start as u16..record.data.end as u16);
            return;
        }
        let ttl = real(record.ttl);
        self.ttls.push(record.ttl_at as u16);
        self.shortest = Some(self.shortest.map_or(ttl, |shortest| shortest.min(ttl)));
        self.is_answered |= section == 0 && record.rtype == qtype;
        if section == 1 && record.rtype == rtype::SOA && record.data.len() >= 20 {
            let minimum = record.data.end - 4;
            let minimum = u32::from(word(message, minimum)) << 16 | u32::from(word(message, minimum + 2));
            self.negative = Some(ttl.min(minimum));
        }
    }

    /// RFC 2308 5: a "no" without an SOA record is not kept.
    fn keep(&self, flags: u16) -> u32 {
        let positive = self.shortest.unwrap_or(0).min(MAX_TTL);
        let code = (flags & flag::CODE) as u8;
        match code {
            _ if flags & flag::TRUNCATED != 0 => 0,
            code::NO_ERROR if self.is_answered => positive,
            code::NO_ERROR | code::NO_SUCH_NAME => {
                self.negative.map_or(0, |negative| negative.min(positive).min(MAX_NEGATIVE))
            }
            code::SERVER_FAILURE => FAILURE_TTL,
            _ => 0,
        }
    }
}

/// RFC 2181 8: with the highest bit set it is zero.
fn real(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

fn four(data: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into())
}

fn sixteen(data: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// `ipv4hint` and `ipv6hint` (RFC 9460 14.3.2).
fn hints(data: &[u8], addresses: &mut Vec<IpAddr>) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(data, 2);
    cursor.whole_name()?;
    while !cursor.is_at_end() {
        let (key, len) = (cursor.u16()?, cursor.u16()?);
        let value = cursor.take(len.into())?;
        match key {
            4 => addresses.extend(value.chunks(4).filter_map(four)),
            6 => addresses.extend(value.chunks(16).filter_map(sixteen)),
            _ => {}
        }
    }
    Ok(())
}
