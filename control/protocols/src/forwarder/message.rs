//! The bytes of a DNS message, read in place (RFC 1035 4). Nothing is decoded that is only passed on, and no compression
//! pointer is ever followed: so no message makes a loop, and what no RFC has named yet goes through as it came.

use std::ops::Range;

/// Length of the header.
pub(super) const HEADER: usize = 12;
/// Longest name, bytes (RFC 1035 2.3.4).
pub(super) const MAX_NAME: usize = 255;

/// Types (RFC 1035 3.2.2, 3596, 6891, 9460).
pub(super) mod rtype {
    pub const A: u16 = 1;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const ANY: u16 = 255;
    /// From here to [`ANY`] (RFC 6895 3.1): no types of records, but of questions: transfers, and MAILB.
    pub const FIRST_OF_QUESTIONS: u16 = 249;
}

/// The Internet (RFC 1035 3.2.4).
pub(super) const CLASS_IN: u16 = 1;

/// Response codes (RFC 1035 4.1.1).
pub(super) mod code {
    pub const NO_ERROR: u8 = 0;
    pub const FORMAT_ERROR: u8 = 1;
    pub const SERVER_FAILURE: u8 = 2;
    pub const NO_SUCH_NAME: u8 = 3;
    pub const NOT_IMPLEMENTED: u8 = 4;
}

/// The header's second word (RFC 1035 4.1.1, RFC 4035 3.2, 4.9).
pub(super) mod flag {
    pub const RESPONSE: u16 = 1 << 15;
    pub const OPCODE: u16 = 0xf << 11;
    pub const AUTHORITATIVE: u16 = 1 << 10;
    pub const TRUNCATED: u16 = 1 << 9;
    pub const RECURSION_DESIRED: u16 = 1 << 8;
    pub const RECURSION_AVAILABLE: u16 = 1 << 7;
    pub const CHECKING_DISABLED: u16 = 1 << 4;
    pub const CODE: u16 = 0xf;
}

/// A message ends in the middle of something, or says what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A place in a message.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub at: usize,
}

/// A record, but for its owner's name.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub rtype: u16,
    pub class: u16,
    /// Where its time to live is.
    pub ttl_at: usize,
    pub ttl: u32,
    pub data: Range<usize>,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..len)).ok_or(Malformed)?;
        self.at += len;
        Ok(taken)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// Walks over a name of labels; `pointer`: it may end with a compression pointer, which is walked over, too.
    fn skip_name(&mut self, pointer: bool) -> Result<(), Malformed> {
        let start = self.at;
        loop {
            let length = self.take(1)?[0];
            match length {
                0 => {}
                1..=63 => _ = self.take(length.into())?,
                // RFC 1035 4.1.4; 0x40 and 0x80 never came to be (RFC 6891 5).
                0xc0.. if pointer => _ = self.take(1)?,
                _ => return Err(Malformed),
            }
            if self.at - start > MAX_NAME {
                return Err(Malformed);
            }
            if length == 0 || length >= 0xc0 {
                return Ok(());
            }
        }
    }

    /// A name in which no other place of the message is pointed at, the last byte included.
    pub fn whole_name(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        self.skip_name(false)?;
        Ok(&self.bytes[start..self.at])
    }

    pub fn record(&mut self) -> Result<Record, Malformed> {
        self.skip_name(true)?;
        let (rtype, class) = (self.u16()?, self.u16()?);
        let ttl_at = self.at;
        let ttl = self.u32()?;
        let len = usize::from(self.u16()?);
        let data = self.at..self.at + len;
        self.take(len)?;
        Ok(Record { rtype, class, ttl_at, ttl, data })
    }
}

/// The 16-bit word at `at`, 0 behind the end.
pub(super) fn word(message: &[u8], at: usize) -> u16 {
    message.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// The numbers of records: questions, answers, authority, additional.
pub(super) fn counts(message: &[u8]) -> [u16; 4] {
    [4, 6, 8, 10].map(|at| word(message, at))
}

/// Small letters. Lengths of labels are below any letter.
pub(super) fn small(name: &[u8]) -> Vec<u8> {
    name.to_ascii_lowercase()
}

/// A name as text gives it, as in a message, in small letters; empty labels and what is too long are left out.
pub(super) fn wire_name(text: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(text.len() + 2);
    for label in text.split('.').filter(|label| (1..=63).contains(&label.len())) {
        name.push(label.len() as u8);
        name.extend(label.bytes().map(|b| b.to_ascii_lowercase()));
    }
    name.truncate(MAX_NAME - 1);
    name.push(0);
    name
}

/// Whether `name` is `domain` or below it; both in small letters, as in a message.
pub(super) fn is_within(name: &[u8], domain: &[u8]) -> bool {
    let mut rest = name;
    loop {
        if rest == domain {
            return true;
        }
        // A root that is not the domain has nothing below.
        let Some((&length @ 1.., _)) = rest.split_first() else { return false };
        rest = rest.get(usize::from(length) + 1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_or_are_refused() {
        let rows: [(&[u8], bool, Result<usize, Malformed>); 9] = [
            (b"\0", false, Ok(1)),
            (b"\x02jp\0", false, Ok(4)),
            (b"\x02jp\xc0\x0c", true, Ok(5)),
            (b"\x02jp\xc0\x0c", false, Err(Malformed)),
            (b"\xc0", true, Err(Malformed)),
            (b"\x40a\0", true, Err(Malformed)),
            (b"\x02j", true, Err(Malformed)),
            (b"\x02jp", true, Err(Malformed)),
            (&[1; 300], true, Err(Malformed)),
        ];
        for (bytes, pointer, expected) in rows {
            let mut cursor = Cursor::new(bytes, 0);
            assert_eq!(cursor.skip_name(pointer).map(|()| cursor.at), expected, "{bytes:x?}");
        }
        // RFC 1035 4.1.4 lets a name point at itself: it is walked over, not followed.
        assert_eq!(Cursor::new(b"\xc0\x00", 0).skip_name(true), Ok(()));
    }

    #[test]
    fn a_domain_has_what_is_below_it_and_nothing_beside() {
        let within = |name: &str, domain: &str| is_within(&wire_name(name), &wire_name(domain));
        assert!(within("a.flets-east.jp", "flets-east.jp") && within("Flets-East.jp", "flets-east.jp"));
        assert!(!within("aflets-east.jp", "flets-east.jp") && !within("jp", "flets-east.jp"));
        assert!(within("jp", "") && within("", ""));
        // A label that ends like the domain is not below it.
        assert!(!is_within(b"\x05a\x02jp\x00\0", b"\x02jp\0"));
    }
}
