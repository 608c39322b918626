//! What is worth a line in the log.

use std::fmt;

use hikyaku_net::Prefix6;

/// Something that happened to what hosts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Hosts may make addresses in this prefix.
    PrefixAdvertised {
        /// The prefix of the link.
        prefix: Prefix6,
    },
    /// It is gone: hosts are told to use other addresses.
    PrefixWithdrawn {
        /// The prefix that was the link's.
        prefix: Prefix6,
    },
    /// Hosts may send through us.
    DefaultRouter,
    /// The line has no way any more: hosts are told not to.
    NoDefaultRouter,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrefixAdvertised { prefix } => write!(f, "hosts are told of the prefix {prefix}"),
            Self::PrefixWithdrawn { prefix } => write!(f, "hosts are told that the prefix {prefix} is gone"),
            Self::DefaultRouter => f.write_str("hosts are told that we are an IPv6 router"),
            Self::NoDefaultRouter => f.write_str("hosts are told that there is no way for IPv6 through us"),
        }
    }
}
