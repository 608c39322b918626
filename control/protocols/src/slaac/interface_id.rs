//! The lower 64 bits of our addresses.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use hikyaku_net::Mac;
use ring::hmac;

/// An interface id that the user or the line's contract gives, written `::feed`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token(u64);

impl Token {
    /// `None` if the id is reserved (RFC 5453): zero is the routers' anycast address (RFC 4291 2.6.1).
    pub fn new(id: u64) -> Option<Self> {
        (!is_reserved(id)).then_some(Self(id))
    }

    /// The lower 64 bits of an address that has it.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let address: Ipv6Addr = text.parse().map_err(|_| TokenError::Syntax(text.into()))?;
        let bits = u64::try_from(address.to_bits()).map_err(|_| TokenError::Prefix(text.into()))?;
        Self::new(bits).ok_or_else(|| TokenError::Reserved(text.into()))
    }
}

/// Why a text is no [`Token`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is not written as an IPv6 address.
    #[error("'{0}' is no interface id; write it as the lower half of an address, such as ::feed")]
    Syntax(String),
    /// Bits of the upper half are set, and those come from the line.
    #[error("'{0}' has bits in the upper half, which come from the line; leave them out, as in ::feed")]
    Prefix(String),
    /// The id is reserved (RFC 5453), so no host may have it.
    #[error("'{0}' is reserved (RFC 5453); choose another interface id")]
    Reserved(String),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv6Addr::from_bits(self.0.into()).fmt(f)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the interface id of an address is made.
///
/// `Stable` is the one to take where nobody asks for another: the same at every start in the same prefix,
/// another in each prefix, and it tells nothing about the card (RFC 7217, RFC 8064).
#[derive(Clone)]
pub enum InterfaceId {
    /// As the user or the line's contract gives it.
    Token(Token),
    /// From the card's Ethernet address (RFC 4291 appendix A).
    Eui64(Mac),
    /// RFC 7217 with HMAC-SHA-256; no network id.
    Stable {
        /// Kept by the caller, the same at every start.
        secret: [u8; 32],
        /// The name of the interface, so that two of one machine differ.
        interface: String,
    },
}

/// Never shows the secret.
impl fmt::Debug for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => write!(f, "Token({token})"),
            Self::Eui64(mac) => write!(f, "Eui64({mac})"),
            Self::Stable { interface, .. } => write!(f, "Stable({interface})"),
        }
    }
}

impl InterfaceId {
    /// After this many duplicates [`Self::Stable`] gives up too (RFC 7217 6, IDGEN_RETRIES).
    pub const RETRIES: u8 = 3;

    /// The address in a /64 after `duplicates` others were taken by somebody else; `None` if there is no
    /// other to try.
    pub fn address(&self, prefix: Ipv6Addr, duplicates: u8) -> Option<Ipv6Addr> {
        let id = match self {
            _ if duplicates > Self::RETRIES => return None,
            Self::Stable { secret, interface } => stable(secret, interface, prefix, duplicates),
            _ if duplicates > 0 => return None,
            Self::Token(token) => token.bits(),
            Self::Eui64(mac) => eui64(*mac),
        };
        Some(Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64 | u128::from(id)))
    }

    /// The link-local address. A token is for the addresses that the line gives: beside it the
    /// link-local one is made from `mac`.
    pub fn link_local(&self, mac: Mac, duplicates: u8) -> Option<Ipv6Addr> {
        let prefix = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
        match self {
            Self::Token(_) => Self::Eui64(mac).address(prefix, duplicates),
            other => other.address(prefix, duplicates),
        }
    }
}

/// RFC 4291 appendix A: `ff:fe` in the middle, the universal bit turned.
fn eui64(Mac([a, b, c, d, e, f]): Mac) -> u64 {
    u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// RFC 7217 5: F(prefix, interface, DAD counter, secret). An id that is reserved is passed over as if the
/// counter were one higher; the second byte says how often, so that it stays apart from real duplicates.
fn stable(secret: &[u8; 32], interface: &str, prefix: Ipv6Addr, duplicates: u8) -> u64 {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let id = |passed: u8| {
        let mut context = hmac::Context::with_key(&key);
        context.update(&prefix.octets()[..8]);
        context.update(&[duplicates, passed]);
        context.update(interface.as_bytes());
        let tag = context.sign();
        // RFC 7217 5: the least significant bits.
        tag.as_ref().last_chunk().map_or(0, |&bytes| u64::from_be_bytes(bytes))
    };
    // One in 2^57 is reserved: that 256 are, one after the other, does not happen.
    (0..=u8::MAX).map(id).find(|&id| !is_reserved(id)).unwrap_or(1)
}

/// The registry of RFC 5453.
fn is_reserved(id: u64) -> bool {
    matches!(id, 0 | 0x0200_5eff_fe00_0000..=0x0200_5eff_feff_ffff | 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stable_id(secret: u8, interface: &str) -> InterfaceId {
        InterfaceId::Stable { secret: [secret; 32], interface: interface.into() }
    }

    #[test]
    fn tokens_are_lower_halves() {
        assert_eq!("::feed".parse::<Token>().unwrap().bits(), 0xfeed);
        assert_eq!("::cb:7100:0:0".parse::<Token>().unwrap().to_string(), "::cb:7100:0:0");
        assert!(matches!("feed".parse::<Token>(), Err(TokenError::Syntax(_))));
        assert!(matches!("1::feed".parse::<Token>(), Err(TokenError::Prefix(_))));
        for reserved in ["::", "::fdff:ffff:ffff:ff80", "::200:5eff:fe00:1"] {
            assert!(matches!(reserved.parse::<Token>(), Err(TokenError::Reserved(_))), "{reserved}");
        }
    }

    #[test]
    fn rfc4291_appendix_a() {
        let id = InterfaceId::Eui64(Mac([0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde]));
        let prefix = "2001:db8::".parse().unwrap();
        assert_eq!(id.address(prefix, 0), Some("2001:db8::3656:78ff:fe9a:bcde".parse().unwrap()));
        assert_eq!(id.address(prefix, 1), None);
    }

    /// RFC 7217 4: stable in one network, different across networks, secrets, interfaces and duplicates.
    #[test]
    fn rfc7217_every_input_counts() {
        let (a, b) = ("2001:db8:0:1::".parse().unwrap(), "2001:db8:0:2::".parse().unwrap());
        let id = stable_id(1, "wan");
        assert_eq!(id.address(a, 0), stable_id(1, "wan").address(a, 0));
        let all = [
            id.address(a, 0),
            id.address(b, 0),
            id.address(a, 1),
            id.address(a, 3),
            stable_id(2, "wan").address(a, 0),
            stable_id(1, "lan").address(a, 0),
        ];
        let lower = |address: Option<Ipv6Addr>| address.unwrap().to_bits() as u64;
        for (i, x) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|y| lower(*x) != lower(*y)));
        }
        assert_eq!(id.address(a, InterfaceId::RETRIES + 1), None);
        assert!(!format!("{id:?}").contains("1, 1"), "the secret is shown");
    }

    /// Computed with another HMAC: addresses must not change with the next version of anything.
    #[test]
    fn rfc7217_known_answer() {
        let prefix = "2001:db8:0:1::".parse().unwrap();
        assert_eq!(stable_id(1, "wan").address(prefix, 0), Some("2001:db8:0:1:dbd0:3b83:512a:13db".parse().unwrap()));
    }

    #[test]
    fn a_token_is_not_for_the_link_local_address() {
        let (mac, token) = (Mac([2, 0, 0, 0, 0, 1]), InterfaceId::Token("::feed".parse().unwrap()));
        assert_eq!(token.link_local(mac, 0), Some("fe80::ff:fe00:1".parse().unwrap()));
        assert_eq!(token.address("2001:db8::".parse().unwrap(), 0), Some("2001:db8::feed".parse().unwrap()));
    }
}
