//! What a question is, and how it ends.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr;

/// Aliases that are followed from one name to the next: resolvers of the field follow 11, 12 and more.
pub const MAX_CHAIN: usize = 16;

/// The type of the records that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// A records: IPv4 addresses (RFC 1035 3.4.1).
    A,
    /// AAAA records: IPv6 addresses (RFC 3596 2.1).
    Aaaa,
    /// TXT records: strings (RFC 1035 3.3.14).
    Txt,
}

impl RecordType {
    pub(super) fn wire(self) -> rr::RecordType {
        match self {
            Self::A => rr::RecordType::A,
            Self::Aaaa => rr::RecordType::AAAA,
            Self::Txt => rr::RecordType::TXT,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wire().fmt(f)
    }
}

/// One TXT record: strings of up to 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Vec<Vec<u8>>);

impl Text {
    /// The strings one behind the other, nothing between them (as RFC 7208 3.3 reads them).
    pub fn joined(&self) -> Vec<u8> {
        self.0.concat()
    }
}

/// The records' data in the order of the answer, each once: never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// What A records say: IPv4 addresses.
    A(Vec<Ipv4Addr>),
    /// What AAAA records say: IPv6 addresses.
    Aaaa(Vec<Ipv6Addr>),
    /// What TXT records say, one [`Text`] each.
    Txt(Vec<Text>),
}

/// The records of a name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The data of the records that were asked for.
    pub data: Data,
    /// The name that has the records, if the one asked for is an alias (CNAME).
    pub alias_of: Option<String>,
    /// For how long it is true from now on: 10 seconds to a day.
    pub ttl: Duration,
}

impl Records {
    /// IPv6 addresses; none if something else was asked for.
    pub fn ipv6(&self) -> &[Ipv6Addr] {
        match &self.data {
            Data::Aaaa(addresses) => addresses,
            _ => &[],
        }
    }

    /// IPv4 addresses; none if something else was asked for.
    pub fn ipv4(&self) -> &[Ipv4Addr] {
        match &self.data {
            Data::A(addresses) => addresses,
            _ => &[],
        }
    }

    /// Texts; none if something else was asked for.
    pub fn texts(&self) -> &[Text] {
        match &self.data {
            Data::Txt(texts) => texts,
            _ => &[],
        }
    }
}

/// Why an answer is of no use although it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Records of the type that was asked for are there, and cannot be read.
    #[error("the records cannot be read")]
    Malformed,
    /// More aliases follow each other than are followed; perhaps in a circle.
    #[error("more than {MAX_CHAIN} aliases one after the other")]
    Chain,
}

/// Why a question has no records for an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// NXDOMAIN: a resolver says that there is no such name.
    #[error("there is no such name (NXDOMAIN)")]
    NoSuchName {
        /// For how long that is true; `None` if it was not said (RFC 2308 5).
        ttl: Option<Duration>,
    },
    /// A resolver says that the name has nothing of the kind.
    #[error("the name has no such records (NODATA)")]
    NoData {
        /// For how long that is true; `None` if it was not said (RFC 2308 5).
        ttl: Option<Duration>,
    },
    /// No resolver could answer; what the last one said, such as SERVFAIL or REFUSED.
    #[error("no resolver could answer; the last one said: {0}")]
    ServerFailed(ResponseCode),
    /// The answers made no sense.
    #[error("no resolver gave a usable answer: {0}")]
    Unusable(Unusable),
    /// The answer is longer than a datagram, and no resolver gave it by TCP.
    #[error("the answer is too long for a datagram and TCP gave none")]
    Truncated,
    /// No resolver answered at all.
    #[error("no resolver answered in time")]
    TimedOut,
    /// The line gave no resolver (yet).
    #[error("the line has given no resolver")]
    NoResolvers,
    /// The text that was asked for is no domain name.
    #[error("'{0}' is no domain name")]
    BadName(String),
    /// Too many questions are open; try later.
    #[error("too many questions are open")]
    Busy,
}

impl Failure {
    /// A resolver knows that there is nothing: not an accident that asking again mends.
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::NoSuchName { .. } | Self::NoData { .. })
    }
}
