//! The DHCPv4 server of the LAN (RFC 2131, 2132, 3046, 6842).
//!
//! One subnet, one server; relays in it are answered, those of other subnets are not. Where switches say at which port a
//! client is (option 82), those behind one port get half of everything at most: addresses, offers, answers. What is not done: BOOTP clients without a message type, lease times that
//! clients ask for (they get ours), FORCERENEW (RFC 3203: clients take it only with authentication).
//!
//! ```
//! use std::time::Duration;
//!
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::dhcpv4::{Config, Server};
//!
//! let mut server = Server::new(Config {
//!     mac: Mac([2, 0, 0, 0, 0, 1]),
//!     address: [192, 168, 1, 1].into(),
//!     prefix_len: 24,
//!     pool: [192, 168, 1, 100].into()..=[192, 168, 1, 199].into(),
//!     reservations: Vec::new(),
//!     lease_time: Duration::from_secs(3600),
//!     dns: vec![[192, 0, 2, 53].into()],
//!     domain: None,
//!     mtu: Some(1460),
//! })?;
//! // Frames of the LAN go in. After a DISCOVER `drive` gives Output::Probe, and half a second later the OFFER.
//! server.handle_input(Time(0), b"something else");
//! assert_eq!((server.counts.not_for_us, server.drive(Time(0))), (1, None));
//! # Ok::<(), hikyaku_protocols::dhcpv4::ConfigError>(())
//! ```

mod agent;
mod leases;
mod server;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use hikyaku_net::Mac;
use serde::Serialize;
use thiserror::Error;

pub use leases::{LeaseFile, LeaseSnapshot, LeaseView, SavedLease, Standing};
pub use server::Server;
pub use wire::{SERVER_PORT, fuzz};

/// What the server gives out, and what it tells clients.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our Ethernet address on the LAN.
    pub mac: Mac,
    /// Ours there: server identifier, and the clients' router.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix in bits, 8 to 30.
    pub prefix_len: u8,
    /// Addresses to give out. Ours and reserved ones may lie in it: they are left out.
    pub pool: RangeInclusive<Ipv4Addr>,
    /// Addresses that stations always get, in the pool or not.
    pub reservations: Vec<Reservation>,
    /// For which addresses are leased: a minute to a year, whole seconds.
    pub lease_time: Duration,
    /// Resolvers to tell (option 6, RFC 2132 3.8), at most 8. Without any the option is left out: this router is none itself.
    pub dns: Vec<Ipv4Addr>,
    /// Domain name to tell (option 15).
    pub domain: Option<String>,
    /// MTU to tell (option 26), where the tunnel's is smaller than the LAN's.
    pub mtu: Option<u16>,
}

/// An address kept for a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The station's Ethernet address.
    pub mac: Mac,
    /// The address that it gets, and nobody else.
    pub address: Ipv4Addr,
}

/// Largest pool. More is no LAN.
const LARGEST_POOL: u32 = 65_536;

/// Why a [`Config`] contradicts itself or the RFCs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Of one subnet with room for a client.
    #[error("a DHCP subnet of /{0}: use /8 to /30")]
    PrefixLen(u8),
    /// Network or broadcast address, or none that a host has.
    #[error("{address} is no host's address in {subnet}: choose one that is")]
    NotInSubnet {
        /// The address that was configured.
        address: Ipv4Addr,
        /// Our subnet, as 192.168.1.0/24.
        subnet: String,
    },
    /// The pool's first address lies behind its last.
    #[error("the DHCP pool {0}-{1} is empty: write the lower address first")]
    EmptyPool(Ipv4Addr, Ipv4Addr),
    /// The pool has so many addresses, more than 65,536.
    #[error("the DHCP pool has {0} addresses, more than {LARGEST_POOL}: make it smaller")]
    LargePool(u32),
    /// Two reservations, or a reservation and we.
    #[error("{0} is reserved, and taken already: reserve each address once, and not the router's")]
    ReservedTwice(Ipv4Addr),
    /// A station has more than one reservation.
    #[error("{0} has more than one reservation: keep one")]
    StationTwice(Mac),
    /// A reservation is for a group's Ethernet address, or for zero.
    #[error("{0} is no station's address")]
    NoStation(Mac),
    /// The lease time is below a minute or above a year.
    #[error("a lease time of {} s: use 60 s to 31536000 s", .0.as_secs())]
    LeaseTime(Duration),
    /// It must fit an option beside the others.
    #[error("{0} resolvers: tell at most 8")]
    Resolvers(usize),
    /// The domain name has no character, over 253, or one that is not printable (RFC 1035 2.3.4).
    #[error("{0:?} is no domain name")]
    Domain(String),
    /// The MTU is below 576 or above 9216 bytes (RFC 2132 5.1 has 68 as the least).
    #[error("an MTU of {0}: use 576 to 9216")]
    Mtu(u16),
}

impl Config {
    /// Whether `address` is a host's in our subnet.
    fn is_host(&self, address: Ipv4Addr) -> bool {
        let hosts = u32::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0);
        let host = address.to_bits() & hosts;
        self.in_subnet(address) && host != 0 && host != hosts
    }

    fn in_subnet(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.address.to_bits()) & self.mask().to_bits() == 0
    }

    fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(!u32::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0))
    }

    /// The subnet's broadcast address.
    fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask().to_bits())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !(8..=30).contains(&self.prefix_len) {
            return Err(ConfigError::PrefixLen(self.prefix_len));
        }
        let (first, last) = (*self.pool.start(), *self.pool.end());
        let reserved = self.reservations.iter().map(|reservation| reservation.address);
        for address in [self.address, first, last].into_iter().chain(reserved) {
            if !self.is_host(address) {
                let network = Ipv4Addr::from_bits(self.address.to_bits() & self.mask().to_bits());
                return Err(ConfigError::NotInSubnet { address, subnet: format!("{network}/{}", self.prefix_len) });
            }
        }
        if first > last {
            return Err(ConfigError::EmptyPool(first, last));
        }
        let size = last.to_bits() - first.to_bits() + 1;
        if size > LARGEST_POOL {
            return Err(ConfigError::LargePool(size));
        }
        let (mut addresses, mut stations) = (HashSet::from([self.address]), HashSet::new());
        for &Reservation { mac, address } in &self.reservations {
            if mac.is_group() || mac == Mac::default() {
                return Err(ConfigError::NoStation(mac));
            }
            if !addresses.insert(address) {
                return Err(ConfigError::ReservedTwice(address));
            }
            if !stations.insert(mac) {
                return Err(ConfigError::StationTwice(mac));
            }
        }
        if !(60..=31_536_000).contains(&self.lease_time.as_secs()) {
            return Err(ConfigError::LeaseTime(self.lease_time));
        }
        if self.dns.len() > 8 {
            return Err(ConfigError::Resolvers(self.dns.len()));
        }
        let plain = |name: &&String| (1..=253).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic());
        if let Some(name) = self.domain.as_ref().filter(|name| !plain(name)) {
            return Err(ConfigError::Domain(name.clone()));
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !(576..=9216).contains(mtu)) {
            return Err(ConfigError::Mtu(mtu));
        }
        Ok(())
    }
}

/// What the server wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this Ethernet frame.
    Send(Vec<u8>),
    /// Ask by ARP whether somebody has this address, whatever is known of it by a lease. If so, say [`Server::in_use`]; silence
    /// for half a second is no.
    Probe(Ipv4Addr),
    /// The leases changed: write [`Server::file`], with all [`Server::changes`] until then, and say [`Server::saved`] or
    /// [`Server::not_saved`]. ACKs wait for that, for two seconds at most.
    Save,
    /// Something happened that is worth a line in the log.
    Event(Event),
}

/// What the server has found out, for the log and for whoever pins neighbours to leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An address is leased to a station now.
    Leased {
        /// The address that is leased.
        address: Ipv4Addr,
        /// The station that has it.
        mac: Mac,
        /// As it calls itself, printable.
        hostname: Option<String>,
    },
    /// It no longer is: released, declined, or its time is over.
    Ended {
        /// The address that is free again.
        address: Ipv4Addr,
        /// The station that had it.
        mac: Mac,
    },
    /// Somebody has an address that was not leased to him. It is set aside for ten minutes.
    Conflict {
        /// The address that is set aside.
        address: Ipv4Addr,
        /// Who; `None` if only the client that declined it knows.
        by: Option<Mac>,
    },
    /// Two stations have one client identifier, and both are there: the second is known by its Ethernet address, too.
    SharedId {
        /// The address that is leased to the first.
        address: Ipv4Addr,
        /// The first.
        mac: Mac,
        /// The second.
        by: Mac,
    },
    /// A station got nothing, because nothing is left. Said again only after something was.
    Full,
    /// A station got nothing, because those at its port have half of the pool. Said of one port after the other, once each.
    PortFull {
        /// The port as its switch names it (option 82), printable.
        port: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leased { address, mac, hostname: Some(name) } => write!(f, "{address} is leased to {mac} ({name})"),
            Self::Leased { address, mac, hostname: None } => write!(f, "{address} is leased to {mac}"),
            Self::Ended { address, mac } => write!(f, "{address} is {mac}'s no longer"),
            Self::Conflict { address, by: Some(by) } => {
                write!(f, "{address} is set aside for ten minutes: {by} has it without a lease")
            }
            Self::Conflict { address, by: None } => {
                write!(f, "{address} is set aside for ten minutes: the client says that somebody has it")
            }
            Self::SharedId { address, mac, by } => {
                write!(
                    f,
                    "{by} has the client identifier of {mac}, which is there and keeps {address}: it gets another address"
                )
            }
            Self::Full => f.write_str("a station got no address: the pool is used up; make it larger"),
            Self::PortFull { port } => write!(
                f,
                "a station got no address: those at port {port} of a switch have half of the pool already, see what is \
                 there, or make the pool larger"
            ),
        }
    }
}

/// Messages heard and sent, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames that are no DHCP message to a server: other protocols, other ports, fragments, other stations.
    pub not_for_us: u64,
    /// Wrong lengths, checksums, fields or options.
    pub malformed: u64,
    /// From a relay in another subnet (giaddr): refused, ours is the only one that is served.
    pub relayed: u64,
    /// Over the limit of messages a second.
    pub limited: u64,
    /// Requests to another server.
    pub foreign: u64,
    /// DISCOVER messages that were heard.
    pub discovers: u64,
    /// OFFER messages that were sent.
    pub offers: u64,
    /// REQUEST messages that were heard, of any kind (RFC 2131 4.3.2).
    pub requests: u64,
    /// ACK messages that were sent, to REQUEST and to INFORM.
    pub acks: u64,
    /// NAK messages that were sent.
    pub naks: u64,
    /// REQUESTs about leases that we know nothing of: RFC 2131 4.3.2 wants silence.
    pub unknown: u64,
    /// DECLINE messages that were heard.
    pub declines: u64,
    /// RELEASE messages that were heard.
    pub releases: u64,
    /// INFORM messages that were heard.
    pub informs: u64,
    /// Addresses set aside because somebody has them.
    pub conflicts: u64,
    /// DISCOVER messages that found no free address.
    pub full: u64,
    /// DISCOVER and REQUEST messages of stations at a port that has its share of the addresses (option 82).
    pub port_full: u64,
}
