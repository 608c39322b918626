//! The door for datagrams: what is let through to dhcproto, and what it makes of it.
//!
//! dhcproto is lenient where it should not be: it stops at the first option that it cannot read and
//! gives what was before it, recurses as deep as the bytes nest, and reads what a vendor put into its own
//! options as if it were DHCP. So the options are sifted first: known ones with lengths that hold,
//! where the RFC has them, are copied; dhcproto sees nothing else.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, DhcpOptions, Message, OptionCode, Status};
use dhcproto::{Decodable, Decoder, Name};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use thiserror::Error;

use super::duid::Duid;
use super::prefix::Prefix;

/// Larger datagrams are refused unread. A Reply with everything in it has some hundred bytes.
pub const MAX_DATAGRAM: usize = 4096;

/// Why a datagram was refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The datagram is longer than [`MAX_DATAGRAM`].
    #[error("datagram over 4096 bytes")]
    TooLong,
    /// The last option, or the header, ends behind the datagram.
    #[error("truncated")]
    Truncated,
    /// An option that says who, what for or whether it worked has a length that it cannot have.
    #[error("length of option {0} is wrong")]
    Length(u16),
    /// An option that may come once came twice (RFC 8415 21).
    #[error("option {0} more than once")]
    Repeated(u16),
    /// Let through and yet not decoded.
    #[error("undecodable")]
    Undecodable,
}

/// Where an option stands.
#[derive(Clone, Copy)]
enum Place {
    /// In what a server sends.
    Message,
    /// In what a client sends.
    Query,
    /// In an IA_NA or IA_PD.
    Association,
    /// In an IAADDR or IAPREFIX.
    Lease,
    /// In an NTP server option, whose suboptions look like options (RFC 5908 4).
    Ntp,
}

/// What is known of an option.
struct Rule {
    shortest: usize,
    longest: usize,
    /// Its length is a multiple of this.
    of: usize,
    /// What stands behind its first `shortest` bytes.
    inside: Option<Place>,
    /// A wrong length spoils the message, not only the option.
    vital: bool,
}

impl Rule {
    const fn new(shortest: usize, longest: usize) -> Self {
        Self { shortest, longest, of: 1, inside: None, vital: false }
    }
    const fn vital(self) -> Self {
        Self { vital: true, ..self }
    }
    const fn of(self, of: usize) -> Self {
        Self { of, ..self }
    }
    const fn holding(self, place: Place) -> Self {
        Self { inside: Some(place), ..self }
    }
    fn holds(&self, len: usize) -> bool {
        (self.shortest..=self.longest).contains(&len) && len.is_multiple_of(self.of)
    }
}

/// `None`: not for us, or not there.
fn rule(place: Place, code: u16) -> Option<Rule> {
    const ANY: usize = MAX_DATAGRAM;
    Some(match (place, code) {
        (Place::Message | Place::Query, 1 | 2) => Rule::new(3, 130).vital(),
        (Place::Query, 6) => Rule::new(0, ANY).of(2),
        (Place::Query, 39) => Rule::new(1, ANY),
        (Place::Message | Place::Query, 3 | 25) => Rule::new(12, ANY).vital().holding(Place::Association),
        (Place::Message, 7 | 19) => Rule::new(1, 1).vital(),
        (Place::Message, 11) => Rule::new(11, ANY),
        (Place::Message | Place::Association | Place::Lease, 13) => Rule::new(2, ANY).vital(),
        (Place::Message, 14 | 20) => Rule::new(0, 0),
        (Place::Message, 23 | 31) => Rule::new(16, ANY).of(16),
        (Place::Message, 24 | 64) => Rule::new(1, ANY),
        (Place::Message, 32 | 82 | 83) => Rule::new(4, 4),
        (Place::Message, 56) => Rule::new(0, ANY).holding(Place::Ntp),
        (Place::Message, 94..=96) => Rule::new(0, ANY),
        (Place::Message, 111) => Rule::new(2, ANY).of(2),
        (Place::Association, 5) => Rule::new(24, ANY).vital().holding(Place::Lease),
        (Place::Association, 26) => Rule::new(25, ANY).vital().holding(Place::Lease),
        (Place::Ntp, 1 | 2) => Rule::new(16, 16),
        (Place::Ntp, 3) => Rule::new(1, 255),
        _ => return None,
    })
}

/// Copies what [`rule`] knows. Goes three levels deep and no deeper.
fn sift(place: Place, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Malformed> {
    let mut kept = 0;
    while !bytes.is_empty() {
        let [c0, c1, l0, l1, rest @ ..] = bytes else { return Err(Malformed::Truncated) };
        let code = u16::from_be_bytes([*c0, *c1]);
        let len = u16::from_be_bytes([*l0, *l1]).into();
        let (body, rest) = rest.split_at_checked(len).ok_or(Malformed::Truncated)?;
        bytes = rest;
        let Some(rule) = rule(place, code) else { continue };
        if !rule.holds(len) {
            if rule.vital {
                return Err(Malformed::Length(code));
            }
            continue;
        }
        if matches!(place, Place::Ntp) && code == 3 && name(body).is_none() {
            continue;
        }
        kept += 1;
        out.extend(code.to_be_bytes());
        let len_at = out.len();
        out.extend([0; 2]);
        match rule.inside {
            Some(inside) => {
                let (fixed, options) = body.split_at(rule.shortest);
                out.extend(fixed);
                sift(inside, options, out)?;
            }
            // The status counts, its words are for people: those that are not UTF-8 (RFC 8415 21.13) are left out.
            None if code == 13 && std::str::from_utf8(&body[2..]).is_err() => out.extend(&body[..2]),
            None => out.extend(body),
        }
        let len = (out.len() - len_at - 2) as u16;
        out[len_at..len_at + 2].copy_from_slice(&len.to_be_bytes());
    }
    Ok(kept)
}

/// Exactly one name in DNS wire form, uncompressed (RFC 8415 10), not the root, of the letters that
/// host names have.
pub(super) fn name(bytes: &[u8]) -> Option<String> {
    let mut decoder = BinDecoder::new(bytes);
    let name = Name::read(&mut decoder).ok()?;
    (decoder.is_empty() && !name.is_root()).then(|| host_name(&name))?
}

/// Without the last dot; `None` if it holds what no host name does, so it can be logged and looked up as it is.
pub(super) fn host_name(name: &Name) -> Option<String> {
    let plain = |label: &[u8]| label.iter().all(|&c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    (!name.is_root() && name.iter().all(plain)).then(|| name.to_ascii().trim_end_matches('.').to_ascii_lowercase())
}

/// A message that passed the door.
#[derive(Debug)]
pub(super) struct Incoming {
    pub message: Message,
    pub client: Option<Duid>,
    pub server: Option<Duid>,
}

impl Incoming {
    /// What a server sent.
    pub(super) fn read(datagram: &[u8]) -> Result<Self, Malformed> {
        Self::read_at(Place::Message, datagram)
    }

    /// What a client sent.
    pub(super) fn read_query(datagram: &[u8]) -> Result<Self, Malformed> {
        Self::read_at(Place::Query, datagram)
    }

    fn read_at(place: Place, datagram: &[u8]) -> Result<Self, Malformed> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(Malformed::TooLong);
        }
        let (header, options) = datagram.split_at_checked(4).ok_or(Malformed::Truncated)?;
        let mut bytes = Vec::with_capacity(datagram.len());
        bytes.extend(header);
        let kept = sift(place, options, &mut bytes)?;
        let message = Message::decode(&mut Decoder::new(&bytes)).map_err(|_| Malformed::Undecodable)?;
        if message.opts().iter().count() != kept {
            return Err(Malformed::Undecodable);
        }
        let identifier = |code: OptionCode| match message.opts().get_all(code) {
            None => Ok(None),
            Some([DhcpOption::ClientId(id) | DhcpOption::ServerId(id)]) => Ok(Duid::new(id).ok()),
            Some(_) => Err(Malformed::Repeated(code.into())),
        };
        let (client, server) = (identifier(OptionCode::ClientId)?, identifier(OptionCode::ServerId)?);
        Ok(Self { client, server, message })
    }

    fn get(&self, code: OptionCode) -> Option<&DhcpOption> {
        self.message.opts().get(code)
    }

    /// The message's own status; success if it says nothing (RFC 8415 21.13).
    pub(super) fn status(&self) -> (Status, &str) {
        status(self.message.opts())
    }

    /// The Preference option, 0 where it is not there (RFC 8415 21.8).
    pub(super) fn preference(&self) -> u8 {
        match self.get(OptionCode::Preference) {
            Some(&DhcpOption::Preference(preference)) => preference,
            _ => 0,
        }
    }

    /// Whether the Rapid Commit option is there (RFC 8415 21.14).
    pub(super) fn rapid_commit(&self) -> bool {
        self.get(OptionCode::RapidCommit).is_some()
    }

    /// A number in four bytes that dhcproto has no type for.
    pub(super) fn seconds(&self, code: OptionCode) -> Option<u32> {
        match self.get(code) {
            Some(&DhcpOption::InformationRefreshTime(seconds)) => Some(seconds),
            Some(DhcpOption::Unknown(unknown)) => Some(u32::from_be_bytes(unknown.data().try_into().ok()?)),
            _ => None,
        }
    }
}

/// The status in these options.
fn status(options: &DhcpOptions) -> (Status, &str) {
    match options.get(OptionCode::StatusCode) {
        Some(DhcpOption::StatusCode(code)) => (code.status, &code.msg),
        _ => (Status::Success, ""),
    }
}

/// What a message says about one of our identity associations, and of what is leased in it.
#[derive(Debug)]
pub(super) struct Association<'a, T> {
    pub status: (Status, &'a str),
    pub t1: u32,
    pub t2: u32,
    pub entries: Vec<Entry<T>>,
}

/// A lease as a message names it: lifetimes in seconds, all ones is forever (RFC 8415 7.7).
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub what: T,
    pub preferred: u32,
    pub valid: u32,
    pub status: Status,
}

impl<T> Entry<T> {
    /// RFC 8415 21.6, 21.22: it is to be thrown away.
    pub(super) fn is_broken(&self) -> bool {
        self.preferred > self.valid
    }
}

impl<T: Copy + PartialEq> Association<'_, T> {
    /// What is leased to us: no status refuses it.
    pub(super) fn granted(&self) -> impl Iterator<Item = &Entry<T>> {
        let success = self.status.0 == Status::Success;
        let good = |entry: &&Entry<T>| entry.status == Status::Success && entry.valid > 0 && !entry.is_broken();
        self.entries.iter().filter(move |entry| success && good(entry))
    }

    /// Whether `what` is over: a valid lifetime of 0, whatever status stands beside it (RFC 8415 18.2.10.1). Kea 2.2 takes
    /// a prefix back in the message that renews it, by another name.
    pub(super) fn ends(&self, what: T) -> bool {
        self.entries.iter().any(|entry| entry.what == what && entry.valid == 0 && !entry.is_broken())
            && !self.granted().any(|entry| entry.what == what)
    }
}

impl Incoming {
    /// Our IA_PD (RFC 8415 21.21).
    pub(super) fn ia_pd(&self, iaid: u32) -> Option<Association<'_, Prefix>> {
        let ia = self.message.opts().get_all(OptionCode::IAPD)?.iter().find_map(|option| match option {
            DhcpOption::IAPD(ia) if ia.id == iaid => Some(ia),
            _ => None,
        })?;
        let entries = ia.opts.get_all(OptionCode::IAPrefix).unwrap_or_default().iter().filter_map(|option| {
            let DhcpOption::IAPrefix(prefix) = option else { return None };
            Some(Entry {
                what: Prefix::new(prefix.prefix_ip, prefix.prefix_len)?,
                preferred: prefix.preferred_lifetime,
                valid: prefix.valid_lifetime,
                status: status(&prefix.opts).0,
            })
        });
        Some(Association { status: status(&ia.opts), t1: ia.t1, t2: ia.t2, entries: entries.collect() })
    }

    /// Our IA_NA (RFC 8415 21.4).
    pub(super) fn ia_na(&self, iaid: u32) -> Option<Association<'_, Ipv6Addr>> {
        let ia = self.message.opts().get_all(OptionCode::IANA)?.iter().find_map(|option| match option {
            DhcpOption::IANA(ia) if ia.id == iaid => Some(ia),
            _ => None,
        })?;
        let entries = ia.opts.get_all(OptionCode::IAAddr).unwrap_or_default().iter().filter_map(|option| {
            let DhcpOption::IAAddr(address) = option else { return None };
            let host = Prefix::new(address.addr, 128).is_some() && !address.addr.is_loopback();
            host.then_some(Entry {
                what: address.addr,
                preferred: address.preferred_life,
                valid: address.valid_life,
                status: status(&address.opts).0,
            })
        });
        Some(Association { status: status(&ia.opts), t1: ia.t1, t2: ia.t2, entries: entries.collect() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dhcpv6::fuzz;

    fn option(code: u16, body: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn message(options: &[Vec<u8>]) -> Vec<u8> {
        [&[7, 1, 2, 3][..], &options.concat()].concat()
    }

    /// A hundred levels of IA_NA overflow nothing: they are not gone into.
    #[test]
    fn nesting_is_cut() {
        let mut nested = Vec::new();
        for _ in 0..250 {
            nested = option(3, &[&[0; 12], &nested[..]].concat());
        }
        let incoming = Incoming::read(&message(&[nested])).unwrap();
        let Some(DhcpOption::IANA(ia)) = incoming.get(OptionCode::IANA) else { panic!("{incoming:?}") };
        assert_eq!(ia.opts.iter().count(), 0);
        assert_eq!(Incoming::read(&[7; MAX_DATAGRAM + 1]).unwrap_err(), Malformed::TooLong);
    }

    /// RFC 8415 16: options that we do not know are no reason to refuse a message, nor to stop reading it.
    #[test]
    fn unknown_options_are_passed_over() {
        let vendor = option(17, &[0, 0, 0, 210, 0, 13, 0, 1, 9]);
        let words = option(13, &[0, 0, 0x83, 0x65]);
        let bytes = message(&[vendor, words, option(999, b"x"), option(2, b"abc"), option(23, &[0x20; 16])]);
        let incoming = Incoming::read(&bytes).unwrap();
        assert_eq!(incoming.server, Duid::new(b"abc").ok());
        assert_eq!(incoming.status(), (Status::Success, ""), "Shift JIS is left out");
        assert!(incoming.get(OptionCode::DomainNameServers).is_some());
    }

    #[test]
    fn lengths_that_do_not_hold() {
        let read = |options: &[Vec<u8>]| Incoming::read(&message(options)).map(|m| m.message.opts().iter().count());
        assert_eq!(read(&[option(13, &[0])]), Err(Malformed::Length(13)));
        assert_eq!(read(&[option(25, &[0; 11])]), Err(Malformed::Length(25)));
        assert_eq!(read(&[option(25, &[&[0; 12][..], &option(26, &[0; 24])].concat())]), Err(Malformed::Length(26)));
        assert_eq!(read(&[option(25, &[&[0; 12][..], &[0, 26, 0]].concat())]), Err(Malformed::Truncated));
        assert_eq!(read(&[option(1, b"abc"), option(1, b"abc")]), Err(Malformed::Repeated(1)));
        assert_eq!(read(&[option(23, &[0; 15]), option(82, &[0; 5]), option(7, &[3])]), Ok(1), "the rest stays");
        assert_eq!(Incoming::read(&[7, 1, 2]).unwrap_err(), Malformed::Truncated);
    }

    /// RFC 5908 4: a suboption that nobody knows yet does not cost the others.
    #[test]
    fn ntp_suboptions() {
        let servers = [option(1, &[0x20; 16]), option(9, b"?"), option(3, b"\x03ntp\x02jp\0"), option(3, b"\x09x")];
        let incoming = Incoming::read(&message(&[option(56, &servers.concat())])).unwrap();
        let Some(DhcpOption::NtpServer(servers)) = incoming.get(OptionCode::NtpServer) else { panic!() };
        assert_eq!(servers.len(), 2);
    }

    #[test]
    fn names() {
        assert_eq!(name(b"\x02GW\x07transix\x02jp\0").as_deref(), Some("gw.transix.jp"));
        for wrong in
            [&b""[..], b"\0", b"\x02gw", b"\x02gw\0\x02jp\0", b"\x02gw\0\0", b"\xc0\0", b"\x02g\n\0", b"\x01.\0"]
        {
            assert_eq!(name(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            fuzz(&bytes);
        }

        /// Options that look right, nested and cut anywhere.
        #[test]
        fn any_options(
            options in prop::collection::vec((0u16..100, prop::collection::vec(any::<u8>(), 0..60)), 0..20),
            cut in 0usize..2000,
        ) {
            let mut bytes = message(&options.iter().map(|(code, body)| option(*code, body)).collect::<Vec<_>>());
            bytes.truncate(cut.max(4));
            fuzz(&bytes);
        }
    }
}
