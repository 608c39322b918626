//! The DHCPv6 client (RFC 8415): information-request, delegated prefixes, addresses. The LAN's server is in [`server`].
//!
//! One binding, and one exchange about it at a time; beside it, where no binding brings them, one about resolvers and the like.
//! What is not done: unicast to servers (RFC 8415 18.2 lets a client
//! do without it, and many lines have no route for it), temporary addresses, authentication other than that of Reconfigure.
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::dhcpv6::{Client, Config, Mode, Output, SERVERS};
//!
//! let mut client = Client::new(Config::new(Mac([2, 0, 0, 0, 0, 1])));
//! client.set_mode(Time(0), Mode::Stateful);
//! let now = client.poll_timeout().unwrap(); // within a second (RFC 8415 18.2.1)
//! let Some(Output::Send { to, payload }) = client.drive(now) else { panic!("nothing to send") };
//! assert_eq!((to, payload[0]), (SERVERS, 1), "a Solicit");
//! // What comes back goes to `client.handle_input(now, source, &payload)`; leases make it Output::Event(Event::Bound).
//! assert!(client.prefixes().is_empty());
//! ```

mod client;
mod duid;
mod exchange;
mod facts;
mod failure;
mod information;
mod inquiry;
mod lease;
mod outgoing;
mod prefix;
mod reconfigure;
pub mod server;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::net::Ipv6Addr;

use hikyaku_net::Mac;
use serde::Serialize;

pub use client::Client;
pub use duid::{Duid, DuidError};
pub use facts::{Counts, Fact, Facts};
pub use failure::{Broken, Failure, Ignored, StatusName};
pub use information::{Information, S46Container};
pub use lease::{Lease, Leased, SavedLease};
pub use prefix::{Prefix, PrefixError};
pub use wire::{MAX_DATAGRAM, Malformed};

/// The UDP port that clients listen on (RFC 8415 7.2).
pub const CLIENT_PORT: u16 = dhcproto::v6::CLIENT_PORT;

/// The UDP port that servers and relays listen on (RFC 8415 7.2).
pub const SERVER_PORT: u16 = dhcproto::v6::SERVER_PORT;

/// All_DHCP_Relay_Agents_and_Servers (RFC 8415 7.1): where every message goes.
pub const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// What is asked of a server, as the router advertisements say (RFC 4861 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing is asked: neither flag is set.
    #[default]
    Off,
    /// Everything but leases: resolvers, an AFTR and the like.
    Stateless,
    /// The O flag alone: the same, and a prefix is asked for beside it (RFC 7084 WPD-4).
    Other,
    /// The M flag: leases, which bring the rest with them. Where nobody leases anything it is asked for by itself.
    Stateful,
}

/// Which leases are asked for, and without which there is no binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A prefix; an address is not asked for.
    Prefix,
    /// A prefix, and an address if the server has one: it is not waited for.
    PrefixAndAddress,
    /// An address; a prefix is not asked for.
    Address,
}

/// Who the client is and what it asks for.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Of the interface, permanently: the DUID is made of it.
    pub mac: Mac,
    /// The identity associations' id, the same after every restart (RFC 8415 12).
    pub iaid: u32,
    /// What a binding needs.
    pub want: Want,
    /// The prefix length to ask for, bits; a server may give another.
    pub prefix_len: Option<u8>,
    /// Do without Advertise and Request where the server can (RFC 8415 18.2.1).
    pub rapid_commit: bool,
    /// Accept Reconfigure messages that are signed with the server's key (RFC 8415 18.2.11).
    pub reconfigure: bool,
}

impl Config {
    /// A prefix of any length, no rapid commit, no Reconfigure; the IAID is the end of the address.
    pub fn new(mac: Mac) -> Self {
        let [_, _, iaid @ ..] = mac.0;
        let iaid = u32::from_be_bytes(iaid);
        Self { mac, iaid, want: Want::Prefix, prefix_len: None, rapid_commit: false, reconfigure: false }
    }
}

impl Mode {
    /// Whether leases are asked for.
    pub fn wants_leases(self) -> bool {
        matches!(self, Self::Other | Self::Stateful)
    }
}

/// What the client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Silent, because nothing is to be asked.
    Off,
    /// Looking for servers: Solicit. Once that has been in vain and a server told everything else, it goes on behind
    /// [`Self::Informed`]. Leases may be held meanwhile, where [`Client::doubt`] led here.
    Soliciting,
    /// Asking one for what it offered: Request.
    Requesting,
    /// Holding leases, before T1.
    Bound,
    /// Past T1: Renew, to the server that gave the leases.
    Renewing,
    /// Past T2: Rebind, to any server.
    Rebinding,
    /// Asking whether the leases still hold, after a restart or when the link came up: Rebind or Confirm.
    Verifying,
    /// Telling that an address is in use by somebody else: Decline.
    Declining,
    /// Giving the leases back: Release.
    Releasing,
    /// Asking for everything but leases: Information-request.
    Asking,
    /// Having it, until it is to be refreshed.
    Informed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Soliciting => "soliciting",
            Self::Requesting => "requesting",
            Self::Bound => "bound",
            Self::Renewing => "renewing",
            Self::Rebinding => "rebinding",
            Self::Verifying => "verifying",
            Self::Declining => "declining",
            Self::Releasing => "releasing",
            Self::Asking => "asking",
            Self::Informed => "informed",
        })
    }
}

/// What the client wants sent, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A UDP payload from our link-local address and [`CLIENT_PORT`] to [`SERVER_PORT`].
    Send {
        /// The multicast group of servers and relays, [`SERVERS`], always.
        to: Ipv6Addr,
        /// The DHCPv6 message as a datagram's payload.
        payload: Vec<u8>,
    },
    /// Something changed: the getters say what is so now.
    Event(Event),
}

/// What the client has found out, for whoever uses its leases and for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first leases since there were none.
    Bound {
        /// The server that gave them.
        server: Duid,
        /// The delegated prefixes.
        prefixes: Vec<Prefix>,
        /// The leased addresses.
        addresses: Vec<Ipv6Addr>,
    },
    /// Leases of before a restart, in use while a server is asked about them.
    Resumed {
        /// The delegated prefixes.
        prefixes: Vec<Prefix>,
        /// The leased addresses.
        addresses: Vec<Ipv6Addr>,
    },
    /// The same leases, with new lifetimes.
    Renewed,
    /// Other leases than before, of which some may be the same.
    Changed {
        /// The prefixes that were delegated before.
        old: Vec<Prefix>,
        /// The prefixes that are delegated now.
        new: Vec<Prefix>,
        /// The addresses that are leased now.
        addresses: Vec<Ipv6Addr>,
    },
    /// No leases any more: they ended, or the server took them back.
    Lost {
        /// The prefixes that are gone.
        prefixes: Vec<Prefix>,
        /// The addresses that are gone.
        addresses: Vec<Ipv6Addr>,
    },
    /// What the server says besides leases is not what it was: [`Client::information`].
    Informed,
    /// [`State::Releasing`] is over: the server confirmed, or did not answer.
    Released,
    /// Something that a person may want to know of. Said once, not each time it happens again.
    Failed(Failure),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, prefixes: &[Prefix], addresses: &[Ipv6Addr]| {
            let all = prefixes.iter().map(Prefix::to_string).chain(addresses.iter().map(Ipv6Addr::to_string));
            f.write_str(&all.collect::<Vec<_>>().join(", "))
        };
        match self {
            Self::Bound { server, prefixes, addresses } => {
                list(f, prefixes, addresses)?;
                write!(f, " leased by server {server}")
            }
            Self::Resumed { prefixes, addresses } => {
                list(f, prefixes, addresses)?;
                f.write_str(": leased before the restart, the server is asked whether they still are")
            }
            Self::Renewed => f.write_str("leases renewed"),
            Self::Changed { old, new, addresses } => {
                list(f, new, addresses)?;
                f.write_str(" leased, instead of ")?;
                list(f, old, &[])
            }
            Self::Lost { prefixes, addresses } => {
                list(f, prefixes, addresses)?;
                f.write_str(": leased no longer")
            }
            Self::Informed => f.write_str("the server's information is new"),
            Self::Released => f.write_str("leases given back"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// Reads a datagram as the client would: for fuzzing.
pub fn fuzz(datagram: &[u8]) {
    if let Ok(incoming) = wire::Incoming::read(datagram) {
        let _ = Information::read(&incoming);
        let _ = incoming.ia_pd(1).map(|ia| ia.entries.len());
        let _ = incoming.ia_na(1).map(|ia| ia.entries.len());
    }
}
