//! Prefixes that are delegated.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use hikyaku_net::Prefix6;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A prefix that a server delegates: not of multicast, link-local or unspecified addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(Prefix6);

/// Text that is no prefix that could be delegated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no prefix that a server could delegate: write it as 2001:db8::/56")]
pub struct PrefixError(String);

impl Prefix {
    /// The prefix of `len` bits that `address` is in; `None` if nothing on the Internet can have it:
    /// no bits, too many, link-local, multicast, unspecified.
    pub fn new(address: Ipv6Addr, len: u8) -> Option<Self> {
        Self::checked(Prefix6::new(address, len)?)
    }

    fn checked(prefix: Prefix6) -> Option<Self> {
        let address = prefix.address();
        let sane = !(address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local());
        sane.then_some(Self(prefix))
    }

    /// The same as the prefix of any network.
    pub fn prefix(self) -> Prefix6 {
        self.0
    }

    /// The first address; host bits zero.
    pub fn address(self) -> Ipv6Addr {
        self.0.address()
    }

    /// Length in bits, 1 to 128.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> u8 {
        self.0.len()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
        text.parse().ok().and_then(Self::checked).ok_or_else(|| PrefixError(text.to_owned()))
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
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
}
