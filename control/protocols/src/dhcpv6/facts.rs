//! What is known at one moment, for status and for choices.

use std::net::Ipv6Addr;

use serde::Serialize;

use super::{Duid, Failure, Ignored, Information, Mode, Prefix, State};

/// Messages sent and heard, and what became of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages sent, repetitions included.
    pub sent: u64,
    /// Answers that were ours and were acted upon.
    pub taken: u64,
    /// Refused as a whole: [`Malformed`](super::Malformed).
    pub malformed: u64,
    /// From a multicast or unspecified address.
    pub not_unicast: u64,
    /// Not an answer to our message: other transaction, other client, no server or not the one that was asked.
    pub foreign: u64,
    /// A message that a server does not send, or not now.
    pub unexpected: u64,
    /// Reconfigure messages that were not asked for or not signed.
    pub reconfigure_refused: u64,
    /// Answers that refused what was asked for.
    pub refused: u64,
}

/// Everything there is to know. Times are seconds from now; `None` is never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What it is doing.
    pub state: State,
    /// What it was told to do.
    pub mode: Mode,
    /// Our DHCP Unique Identifier (RFC 8415 11).
    pub client: Duid,
    /// Who gave the leases, or the information.
    pub server: Option<Duid>,
    /// Who handed the leases out on this link, server or relay: the link-local address that the Reply came from.
    /// `None` if it came from another address, or before a restart.
    pub router: Option<Ipv6Addr>,
    /// The delegated prefixes.
    pub prefixes: Vec<Fact<Prefix>>,
    /// The leased addresses.
    pub addresses: Vec<Fact<Ipv6Addr>>,
    /// When the server that gave the leases is asked to renew them (T1).
    pub t1: Option<u64>,
    /// When any server is asked to extend them (T2).
    pub t2: Option<u64>,
    /// When the last lease ends.
    pub expires: Option<u64>,
    /// When information is asked for again.
    pub refresh: Option<u64>,
    /// What a server refused last, until something is leased.
    pub refused: Option<Failure>,
    /// Leases are asked for so far in vain: they were refused, or three Solicits were not answered.
    pub in_vain: bool,
    /// What was wrong in the last answer, of which the rest is used.
    pub flaws: Vec<Failure>,
    /// Why the last answers were ignored; `None` if one was taken since.
    pub ignored: Option<Ignored>,
    /// Whether a server has said what it says besides leases, if only that it has nothing to say.
    pub informed: bool,
    /// What the server said besides leases.
    #[serde(flatten)]
    pub information: Information,
    /// Messages sent and heard, and what became of these.
    pub counts: Counts,
}

impl Facts {
    /// Whether the server has said what it has to say.
    pub fn is_informed(&self) -> bool {
        use State::{Bound, Informed, Rebinding, Renewing};
        self.informed || matches!(self.state, Bound | Renewing | Rebinding | Informed)
    }

    /// Whether something is leased.
    pub fn has_leases(&self) -> bool {
        !self.prefixes.is_empty() || !self.addresses.is_empty()
    }
}

/// One lease in [`Facts`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact<T> {
    /// The prefix or address.
    pub what: T,
    /// Seconds of the preferred lifetime that are left.
    pub preferred: Option<u64>,
    /// Seconds of the valid lifetime that are left.
    pub valid: Option<u64>,
}
