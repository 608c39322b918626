//! The DHCPv6 server of the LAN (RFC 8415): information, addresses, and prefixes for routers behind.
//!
//! A lease is a number: the lower half of addresses, or which part of what the line delegates. What it is called follows from the
//! prefixes that there are. So a line that renumbers changes no lease: a client that renews is given the same numbers of the new
//! prefixes, and beside them what it had, deprecated. The lower halves are those of RFC 7943: a client has the same
//! also where everything was forgotten, and nobody can use them up.
//!
//! What is not done: relays (there is one link, and its stations are heard, so RFC 6939 is not needed), Rapid Commit (with a second
//! server on the link two would bind at once, RFC 8415 21.14), Reconfigure, temporary addresses, updates of DNS for clients
//! (RFC 4704 4.1).
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::dhcpv6::SERVERS;
//! use hikyaku_protocols::dhcpv6::server::{Config, Datagram, Output, Parameters, Served, Server};
//!
//! let mut server = Server::new(Config { mac: Mac([2, 0, 0, 0, 0, 1]), secret: [7; 32], reservations: vec![] });
//! let parameters = Parameters { resolvers: vec!["2001:db8::53".parse()?], ..Parameters::default() };
//! server.set(Time(0), Some(Served { parameters, ..Served::default() }));
//! // An Information-request that asks for resolvers, as the payload of UDP.
//! let payload = [11, 1, 2, 3, 0, 6, 0, 2, 0, 23];
//! let (station, source) = (Mac([2, 0, 0, 0, 0, 9]), "fe80::9".parse()?);
//! server.handle_input(Time(0), Datagram { station, source, destination: SERVERS, payload: &payload });
//! let Some(Output::Send { to, payload, .. }) = server.drive(Time(0)) else { panic!("no answer") };
//! assert_eq!((to, payload[0]), (source, 7), "a Reply");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod leases;
mod machine;
mod query;
mod reply;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use hikyaku_net::{Mac, Prefix6, Time};
use serde::Serialize;

use self::source::Sources;
use super::Duid;
use crate::slaac::Token;

pub use leases::{LeaseFile, LeaseSnapshot, LeaseView};
pub use machine::{MOST_PREFIXES, Server};
pub use query::fuzz;

/// What the server is, and what it keeps for whom.
#[derive(Clone)]
pub struct Config {
    /// Our Ethernet address on the LAN: it makes the server's identifier (DUID-LL, RFC 8415 11.4).
    pub mac: Mac,
    /// The same at every start: it makes clients' interface ids (RFC 7943).
    pub secret: [u8; 32],
    /// What clients always get. Each number is one client's.
    pub reservations: Vec<Reservation>,
}

/// Never shows the secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("mac", &self.mac)
            .field("reservations", &self.reservations)
            .finish_non_exhaustive()
    }
}

/// What is kept for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Whose it is.
    pub client: Client,
    /// The lower half of its address.
    pub interface_id: Option<Token>,
    /// The number of the first /64 of the prefix that is delegated to it.
    pub subnet: Option<u16>,
}

/// By what a client with a reservation is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// The Ethernet address that it asks from, or that its identifier was made of (DUID-LLT, DUID-LL, RFC 8415 11.2, 11.4).
    Station(Mac),
    /// Its identifier.
    Duid(Duid),
}

/// What there is to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// What clients are told besides leases.
    pub parameters: Parameters,
    /// Prefixes of the link, of 64 bits, in which addresses are given; the best first. None: no addresses are.
    pub on_link: Vec<OnLink>,
    /// What parts may be delegated of, the best first. None: nothing is delegated.
    pub delegable: Vec<Delegable>,
}

/// A prefix of the link and how long it is there, from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnLink {
    /// 64 bits of it.
    pub prefix: Prefix6,
    /// Seconds for which its addresses are for new connections; `None`: for ever.
    pub preferred: Option<u64>,
    /// Seconds for which its addresses may be used at all; `None`: for ever.
    pub valid: Option<u64>,
}

/// A prefix that parts are delegated of, and how long it is there, from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegable {
    /// As a whole.
    pub prefix: Prefix6,
    /// Length of a part, bits, 64 at most.
    pub len: u8,
    /// What of it is in other use: parts that overlap it are not delegated.
    pub taken: Vec<Prefix6>,
    /// As [`OnLink::preferred`].
    pub preferred: Option<u64>,
    /// As [`OnLink::valid`].
    pub valid: Option<u64>,
}

impl Delegable {
    /// Nothing of that length is left beside what is in other use.
    pub fn is_used_up(&self) -> bool {
        Sources::of(Time(0), self).total(1) == 0
    }
}

/// "Other configuration information" (RFC 8415 4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Recursive DNS servers, the best first (option 23, RFC 3646 3).
    pub resolvers: Vec<Ipv6Addr>,
    /// Search domains, without the last dot (option 24, RFC 3646 4).
    pub domains: Vec<String>,
    /// SNTP servers (option 31, RFC 4075).
    pub sntp: Vec<Ipv6Addr>,
    /// NTP servers, by address or by name (option 56, RFC 5908).
    pub ntp: Vec<String>,
}

/// A UDP datagram to port 547, with where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The Ethernet address of the frame's sender.
    pub station: Mac,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address: [`super::SERVERS`], or one of ours.
    pub destination: Ipv6Addr,
    /// The DHCPv6 message.
    pub payload: &'a [u8],
}

/// What the server wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this UDP payload from our link-local address and port 547 to port 546 of the client (RFC 8415 7.2).
    Send {
        /// The Ethernet address that the client asked from: nobody has to be looked for.
        station: Mac,
        /// The client's link-local address.
        to: Ipv6Addr,
        /// The DHCPv6 message.
        payload: Vec<u8>,
    },
    /// The leases changed: write [`Server::snapshot`], with all [`Server::changes`] until then, and say [`Server::saved`] or
    /// [`Server::not_saved`]. Replies that promise a lease wait for that, for two seconds at most.
    Save,
    /// Something happened that is worth a line in the log.
    Event(Event),
}

/// What the server has found out, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something is leased to a station now.
    Leased {
        /// An address is a prefix of 128 bits.
        leases: Vec<Prefix6>,
        /// The station that asked.
        mac: Mac,
        /// As it calls itself, printable.
        hostname: Option<Arc<str>>,
    },
    /// It no longer is: released, declined, or its time is over.
    Ended {
        /// What it was, as far as its prefixes are still there.
        leases: Vec<Prefix6>,
        /// The station that had it.
        mac: Mac,
    },
    /// A client says that somebody else has its address. It is set aside for ten minutes.
    Conflict {
        /// What is set aside.
        leases: Vec<Prefix6>,
        /// The client's station.
        mac: Mac,
    },
    /// A client speaks to another server on the LAN. Said once, until there is yet another.
    OtherServer {
        /// The other server's identifier.
        server: Duid,
        /// The client's station.
        mac: Mac,
    },
    /// A client got nothing, because nothing is left. Said again only after something was.
    Full {
        /// The client's station.
        mac: Mac,
    },
}

/// A lease as people write it: an address, or a prefix with its length.
pub fn lease_text(lease: &Prefix6) -> String {
    if lease.len() == 128 { lease.address().to_string() } else { lease.to_string() }
}

/// Leases in a line of the log.
struct List<'a>(&'a [Prefix6]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, lease) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            f.write_str(&lease_text(lease))?;
        }
        if self.0.is_empty() { f.write_str("what was leased of prefixes that are gone") } else { Ok(()) }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leased { leases, mac, hostname: Some(name) } => {
                write!(f, "{} is leased to {mac} ({name})", List(leases))
            }
            Self::Leased { leases, mac, hostname: None } => write!(f, "{} is leased to {mac}", List(leases)),
            Self::Ended { leases, mac } => write!(f, "{} is {mac}'s no longer", List(leases)),
            Self::Conflict { leases, mac } => {
                write!(f, "{} is set aside for ten minutes: {mac} says that somebody has it", List(leases))
            }
            Self::OtherServer { server, mac } => {
                write!(f, "there is another DHCPv6 server on the LAN, {server}: {mac} speaks to it")
            }
            Self::Full { mac } => write!(f, "{mac} got no lease: all are in use, or the station has its share"),
        }
    }
}

/// Messages heard and sent, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Refused as a whole: [`Malformed`](super::Malformed).
    pub malformed: u64,
    /// Of relay agents, which are not served.
    pub relayed: u64,
    /// From an address that is not of the link (RFC 8415 13.1).
    pub not_link_local: u64,
    /// Messages that no client sends, or not with these options or to this address (RFC 8415 16).
    pub unexpected: u64,
    /// Over the limit of messages a second.
    pub limited: u64,
    /// To another server.
    pub foreign: u64,
    /// Messages that ask for what is not to be had, or not now, or is not ours to say: they are left to other servers.
    pub not_served: u64,
    /// Information-requests that were answered.
    pub informed: u64,
    /// Solicits that were answered by an Advertise.
    pub advertised: u64,
    /// Request, Renew and Rebind messages that were answered.
    pub replied: u64,
    /// Confirm messages that were answered.
    pub confirmed: u64,
    /// Release messages that were heard.
    pub releases: u64,
    /// Decline messages that were heard.
    pub declines: u64,
    /// Associations that got nothing, because nothing is left.
    pub full: u64,
}
