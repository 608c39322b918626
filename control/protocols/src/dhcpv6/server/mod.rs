//! The DHCPv6 server of the LAN (RFC 8415).
//!
//! What is not done: relays (there is one link, and its stations are heard), Rapid Commit (with a second server on the link two
//! would bind at once, RFC 8415 21.14), Reconfigure, temporary addresses, updates of DNS for clients (RFC 4704 4.1).
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::dhcpv6::SERVERS;
//! use hikyaku_protocols::dhcpv6::server::{Config, Datagram, Output, Parameters, Served, Server};
//!
//! let mut server = Server::new(Config { mac: Mac([2, 0, 0, 0, 0, 1]) });
//! let parameters = Parameters { resolvers: vec!["2001:db8::53".parse()?], ..Parameters::default() };
//! server.set(Time(0), Some(Served { parameters }));
//! // An Information-request that asks for resolvers, as the payload of UDP.
//! let payload = [11, 1, 2, 3, 0, 6, 0, 2, 0, 23];
//! let (station, source) = (Mac([2, 0, 0, 0, 0, 9]), "fe80::9".parse()?);
//! server.handle_input(Time(0), Datagram { station, source, destination: SERVERS, payload: &payload });
//! let Some(Output::Send { to, payload, .. }) = server.drive(Time(0)) else { panic!("no answer") };
//! assert_eq!((to, payload[0]), (source, 7), "a Reply");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod machine;
mod query;
mod reply;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;

use hikyaku_net::Mac;
use serde::Serialize;

pub use machine::Server;
pub use query::fuzz;

/// What the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Our Ethernet address on the LAN: it makes the server's identifier (DUID-LL, RFC 8415 11.4).
    pub mac: Mac,
}

/// What there is to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// What clients are told besides leases.
    pub parameters: Parameters,
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
    /// Information-requests that were answered.
    pub informed: u64,
    /// Messages that ask for what is not to be had, or not now: they are left to other servers.
    pub not_served: u64,
}
