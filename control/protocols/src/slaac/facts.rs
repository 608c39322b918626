//! What is known of the line, at one moment, for whoever wants to know.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Mac;
use serde::{Serialize, Serializer};

use super::{Lifetime, Preference};

/// A default router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Router {
    /// Link-local.
    pub address: Ipv6Addr,
    /// As it says itself; neighbour discovery knows better.
    #[serde(serialize_with = "as_text")]
    pub mac: Option<Mac>,
    /// RFC 4191.
    pub preference: Preference,
    /// What is left of it.
    pub lifetime: Lifetime,
    /// It did not answer and is passed over for now.
    pub unreachable: bool,
}

/// A prefix of the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prefix {
    /// Bits behind the length are zero.
    pub prefix: Ipv6Addr,
    /// Bits that count.
    pub length: u8,
    /// Who advertised it last.
    pub router: Ipv6Addr,
    /// Neighbours in it are reached directly.
    pub on_link: bool,
    /// Hosts make addresses in it.
    pub autonomous: bool,
    /// Not for new connections any more.
    pub deprecated: bool,
    /// What is left of its use for new connections; of `valid` if it is not autonomous.
    pub preferred: Lifetime,
    /// What is left of it.
    pub valid: Lifetime,
}

/// An address of ours, made from a prefix. Whether somebody else has it already is for duplicate address
/// detection to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// In a /64.
    pub address: Ipv6Addr,
    /// Not for new connections any more.
    pub deprecated: bool,
    /// What is left of its use for new connections.
    pub preferred: Lifetime,
    /// What is left of it.
    pub valid: Lifetime,
}

/// A route through a router that need not be a default router (RFC 4191).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Where to.
    pub prefix: Ipv6Addr,
    /// Bits that count.
    pub length: u8,
    /// Through whom: link-local.
    pub router: Ipv6Addr,
    /// Against other routes to it.
    pub preference: Preference,
    /// What is left of it.
    pub lifetime: Lifetime,
}

/// A recursive DNS server (RFC 8106).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolver {
    /// Perhaps link-local.
    pub address: Ipv6Addr,
    /// What is left of it.
    pub lifetime: Lifetime,
}

/// A search domain (RFC 8106).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchDomain {
    /// With the final dot, other bytes as `\ooo`, octal.
    pub domain: String,
    /// What is left of it.
    pub lifetime: Lifetime,
}

/// The line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Default routers; the first one is used.
    pub routers: Vec<Router>,
    /// M of the router in use, or of the last advertisement if there is none: addresses from DHCPv6.
    pub managed: bool,
    /// O, likewise: other things from DHCPv6.
    pub other: bool,
    /// The best to take an address in first: preferred, still advertised, newest.
    pub prefixes: Vec<Prefix>,
    /// In the order of their prefixes.
    pub addresses: Vec<Address>,
    /// More special than the default.
    pub routes: Vec<Route>,
    /// Largest packet on the link, bytes: the link's own, or less if a router says so.
    pub mtu: u16,
    /// For our packets.
    pub hop_limit: u8,
    /// RFC 4861 6.3.2, BaseReachableTime.
    pub reachable_time: Duration,
    /// RFC 4861 6.3.2, RetransTimer.
    pub retrans_timer: Duration,
    /// In the order in which they were first heard of.
    pub rdnss: Vec<Resolver>,
    /// In the order in which they were first heard of.
    pub dnssl: Vec<SearchDomain>,
}

impl Facts {
    /// The router that packets go to which are for nobody on the link.
    pub fn default_router(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|r| r.address)
    }

    /// The prefix to take addresses in: the best autonomous one that is not deprecated, or the best of those that are.
    pub fn main_prefix(&self) -> Option<&Prefix> {
        self.prefixes.iter().find(|p| p.autonomous)
    }
}

fn as_text<S: Serializer>(mac: &Option<Mac>, serializer: S) -> Result<S::Ok, S::Error> {
    match mac {
        Some(mac) => serializer.collect_str(mac),
        None => serializer.serialize_none(),
    }
}
