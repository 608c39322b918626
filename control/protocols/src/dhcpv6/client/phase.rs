//! What the client is in the middle of.

use std::net::Ipv6Addr;

use crate::dhcpv6::State;
use crate::dhcpv6::duid::Duid;
use crate::dhcpv6::exchange::Exchange;
use crate::dhcpv6::lease::Held;
use crate::dhcpv6::prefix::Prefix;

/// A server that advertised what we want.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub server: Duid,
    pub preference: u8,
    /// It is from the server of before, or has a prefix or an address of before.
    pub known: bool,
    pub prefixes: Vec<Prefix>,
    pub addresses: Vec<Ipv6Addr>,
}

impl Offer {
    /// More is better: preference (RFC 8415 18.2.9), then what is known, the larger prefix, more addresses.
    pub fn worth(&self) -> impl Ord {
        let larger = self.prefixes.iter().map(|prefix| 128 - prefix.len()).max();
        (self.preference, self.known, larger, self.addresses.len())
    }
}

/// Where the client stands with its leases, with what belongs to it.
#[derive(Debug)]
pub(super) enum Phase {
    /// None are asked for.
    Off,
    /// Offers so far, best first.
    Soliciting(Exchange, Vec<Offer>),
    /// The first is asked, the others are in reserve. Never empty.
    Requesting(Exchange, Vec<Offer>),
    Bound,
    Renewing(Exchange),
    Rebinding(Exchange),
    Verifying(Exchange, Silence),
    Declining(Exchange, Held),
    Releasing(Exchange, Held),
}

/// What it means if nobody answers while leases are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing: they are used on (RFC 8415 18.2.3).
    Nothing,
    /// There is a reason to think that the line is another, so others are looked for while these are used.
    AnotherLine,
}

impl Phase {
    /// What a person is told of it.
    pub fn state(&self) -> State {
        match self {
            Self::Off => State::Off,
            Self::Soliciting(..) => State::Soliciting,
            Self::Requesting(..) => State::Requesting,
            Self::Bound => State::Bound,
            Self::Renewing(_) => State::Renewing,
            Self::Rebinding(_) => State::Rebinding,
            Self::Verifying(..) => State::Verifying,
            Self::Declining(..) => State::Declining,
            Self::Releasing(..) => State::Releasing,
        }
    }

    /// Whether leases are held and no others are looked for.
    pub fn rests_on_leases(&self) -> bool {
        matches!(self, Self::Bound | Self::Renewing(_) | Self::Rebinding(_) | Self::Verifying(..))
    }

    /// The server that alone may answer; `held` are the leases.
    pub fn server<'a>(&'a self, held: Option<&'a Held>) -> Option<&'a Duid> {
        match self {
            Self::Requesting(_, offers) => Some(&offers[0].server),
            Self::Renewing(_) => held.map(|held| &held.server),
            Self::Declining(_, given) | Self::Releasing(_, given) => Some(&given.server),
            _ => None,
        }
    }

    /// The exchange of messages that it is about, if there is one.
    pub fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::Off | Self::Bound => None,
            Self::Soliciting(exchange, _) | Self::Requesting(exchange, _) => Some(exchange),
            Self::Declining(exchange, _) | Self::Releasing(exchange, _) => Some(exchange),
            Self::Renewing(exchange) | Self::Rebinding(exchange) | Self::Verifying(exchange, _) => Some(exchange),
        }
    }

    pub fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        match self {
            Self::Off | Self::Bound => None,
            Self::Soliciting(exchange, _) | Self::Requesting(exchange, _) => Some(exchange),
            Self::Declining(exchange, _) | Self::Releasing(exchange, _) => Some(exchange),
            Self::Renewing(exchange) | Self::Rebinding(exchange) | Self::Verifying(exchange, _) => Some(exchange),
        }
    }
}
