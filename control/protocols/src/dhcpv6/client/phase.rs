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
    pub prefixes: Vec<Prefix>,
    pub addresses: Vec<Ipv6Addr>,
}

/// [`State`], with what belongs to it.
#[derive(Debug)]
pub(super) enum Phase {
    Off,
    /// Offers so far, best first.
    Soliciting(Exchange, Vec<Offer>),
    /// The first is asked, the others are in reserve. Never empty.
    Requesting(Exchange, Vec<Offer>),
    Bound,
    Renewing(Exchange),
    Rebinding(Exchange),
    Verifying(Exchange),
    Declining(Exchange, Held),
    Releasing(Exchange, Held),
    Asking(Exchange),
    Informed,
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
            Self::Verifying(_) => State::Verifying,
            Self::Declining(..) => State::Declining,
            Self::Releasing(..) => State::Releasing,
            Self::Asking(_) => State::Asking,
            Self::Informed => State::Informed,
        }
    }

    /// The exchange of messages that it is about, if there is one.
    pub fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::Off | Self::Bound | Self::Informed => None,
            Self::Soliciting(exchange, _) | Self::Requesting(exchange, _) => Some(exchange),
            Self::Declining(exchange, _) | Self::Releasing(exchange, _) => Some(exchange),
            Self::Renewing(exchange) | Self::Rebinding(exchange) => Some(exchange),
            Self::Verifying(exchange) | Self::Asking(exchange) => Some(exchange),
        }
    }

    pub fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        match self {
            Self::Off | Self::Bound | Self::Informed => None,
            Self::Soliciting(exchange, _) | Self::Requesting(exchange, _) => Some(exchange),
            Self::Declining(exchange, _) | Self::Releasing(exchange, _) => Some(exchange),
            Self::Renewing(exchange) | Self::Rebinding(exchange) => Some(exchange),
            Self::Verifying(exchange) | Self::Asking(exchange) => Some(exchange),
        }
    }
}
