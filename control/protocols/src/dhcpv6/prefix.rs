//! Prefixes that are delegated.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use hikyaku_net::Prefix6;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A prefix that a server delegates: not of multicast, link-local or unspecified addresses.
///
/// Some servers set bits behind its length (Kea 2.2 gives 2001:db8:100:4210::/56 away). They mean nothing, and two prefixes
/// that differ in nothing else are equal; but the server may know its lease by them, so they are kept for messages to it
/// and over a restart.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    prefix: Prefix6,
    named: Ipv6Addr,
}

/// Text that is no prefix that could be delegated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no prefix that a server could delegate: write it as 2001:db8::/56")]
pub struct PrefixError(String);

impl Prefix {
    /// The prefix of `len` bits that `address` is in; `None` if nothing on the Internet can have it:
    /// no bits, too many, link-local, multicast, unspecified.
    pub fn new(address: Ipv6Addr, len: u8) -> Option<Self> {
        let prefix = Prefix6::new(address, len)?;
        let first = prefix.address();
        let sane = !(first.is_unspecified() || first.is_multicast() || first.is_unicast_link_local());
        sane.then_some(Self { prefix, named: address })
    }

    /// The same as the prefix of any network.
    pub fn prefix(self) -> Prefix6 {
        self.prefix
    }

    /// The first address; host bits zero.
    pub fn address(self) -> Ipv6Addr {
        self.prefix.address()
    }

    /// The address by which the server named it.
    pub(super) fn named(self) -> Ipv6Addr {
        self.named
    }

    /// Length in bits, 1 to 128.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> u8 {
        self.prefix.len()
    }
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }
}

impl Eq for Prefix {}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.prefix.fmt(f)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let read = || {
            let (address, len) = text.split_once('/')?;
            Self::new(address.parse().ok()?, len.parse().ok()?)
        };
        read().ok_or_else(|| PrefixError(text.to_owned()))
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        format!("{}/{}", prefix.named, prefix.len())
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;
    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let prefix: Prefix = "2001:db8:1:2345::1/56".parse().unwrap();
        assert_eq!(prefix.to_string(), "2001:db8:1:2300::/56");
        for wrong in ["::/0", "fe80::/64", "ff00::/8", "2001:db8::/129", "2001:db8::", "::/56", "x/56", "2001:db8::/0"]
        {
            assert_eq!(wrong.parse::<Prefix>(), Err(PrefixError(wrong.to_owned())));
        }
        assert_eq!("2001:db8::1/128".parse::<Prefix>().unwrap().len(), 128);
    }

    /// Kea 2.2 gives the first two out as one lease and takes the second back.
    #[test]
    fn bits_behind_the_length() {
        let named = |text: &str| text.parse::<Prefix>().unwrap();
        let off = named("2001:db8:100:4210::/56");
        assert_eq!(off, named("2001:db8:100:4200::/56"));
        assert_ne!(off, named("2001:db8:100:4200::/57"));
        assert_eq!(
            (off.to_string(), String::from(off)),
            ("2001:db8:100:4200::/56".into(), "2001:db8:100:4210::/56".into())
        );
    }
}
