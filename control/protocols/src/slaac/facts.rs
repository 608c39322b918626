//! What is known of the line, at one moment, for whoever wants to know.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Mac;
use serde::{Serialize, Serializer};

use super::{Lifetime, Preference};

/// A default router of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Router {
    /// The router's link-local address, from which it advertises.
    pub address: Ipv6Addr,
    /// As it says itself; neighbour discovery knows better.
    #[serde(serialize_with = "as_text")]
    pub mac: Option<Mac>,
    /// How much it wants to be used (RFC 4191 2.1).
    pub preference: Preference,
    /// How long it lasts from now on.
    pub lifetime: Lifetime,
    /// Neighbour unreachability detection found it dead: it is passed over until it answers (RFC 4861 6.3.6).
    pub unreachable: bool,
}

/// A prefix of the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prefix {
    /// The prefix; bits behind the length are zero.
    pub prefix: Ipv6Addr,
    /// How many of its bits count, 0 to 128.
    pub length: u8,
    /// The stations that advertise it, the one first whose word counts.
    pub routers: Vec<Ipv6Addr>,
    /// Whether that one still does.
    pub announced: Announced,
    /// Hosts in it are on the link, and reached directly (L, RFC 4861 4.6.2).
    pub on_link: bool,
    /// Hosts make addresses in it (A, RFC 4861 4.6.2).
    pub autonomous: bool,
    /// Ours in it; `None` if there is none, or somebody else's was tried and another is about to be.
    #[serde(skip)]
    pub address: Option<Ipv6Addr>,
    /// Its preferred lifetime is over: it is not for new connections any more (RFC 4862 5.5.4).
    pub deprecated: bool,
    /// What is left of its use for new connections; of `valid` if it is not autonomous.
    pub preferred: Lifetime,
    /// How long it lasts from now on.
    pub valid: Lifetime,
}

/// Whether a router still advertises a prefix, beside what lifetimes say (RFC 8978).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Announced {
    /// It was in its router's last advertisement with prefixes.
    Yes,
    /// It was not, and may be in the next.
    Missed,
    /// It was in none for three times the longest interval between two of its announcements.
    Withdrawn,
}

/// An address of ours, made from a prefix. Whether somebody else has it already is for duplicate address
/// detection to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The address: 64 bits of the prefix, and our interface id.
    pub address: Ipv6Addr,
    /// Its preferred lifetime is over: it is not for new connections any more (RFC 4862 5.5.4).
    pub deprecated: bool,
    /// What is left of its use for new connections.
    pub preferred: Lifetime,
    /// How long it lasts from now on.
    pub valid: Lifetime,
}

/// A route through a router that need not be a default router (RFC 4191).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Where it leads to: bits behind the length are zero.
    pub prefix: Ipv6Addr,
    /// How many of its bits count, 1 to 128.
    pub length: u8,
    /// The router that packets go through, link-local.
    pub router: Ipv6Addr,
    /// How much the router wants to be used before others with a route to it.
    pub preference: Preference,
    /// How long it lasts from now on.
    pub lifetime: Lifetime,
}

/// A recursive DNS server (RFC 8106).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolver {
    /// Where it listens: a global or a link-local address.
    pub address: Ipv6Addr,
    /// How long it lasts from now on.
    pub lifetime: Lifetime,
}

/// A search domain (RFC 8106).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchDomain {
    /// With the final dot, other bytes as `\ooo`, octal.
    pub domain: String,
    /// How long it lasts from now on.
    pub lifetime: Lifetime,
}

/// All that the line's routers have said, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Default routers; the first one is used.
    pub routers: Vec<Router>,
    /// M of the router in use, or of the last advertisement if there is none: addresses from DHCPv6.
    pub managed: bool,
    /// O, likewise: everything but addresses from DHCPv6.
    pub other: bool,
    /// The best to take an address in first: preferred, still advertised, newest.
    pub prefixes: Vec<Prefix>,
    /// In the order of their prefixes.
    pub addresses: Vec<Address>,
    /// Routes that are longer than the default.
    pub routes: Vec<Route>,
    /// Largest packet on the link, bytes: the link's own, or less if a router says so.
    pub mtu: u16,
    /// The hop limit that packets of ours have (RFC 4861 6.3.2, CurHopLimit).
    pub hop_limit: u8,
    /// How long a neighbour that answered counts as reachable (RFC 4861 6.3.2, BaseReachableTime).
    pub reachable_time: Duration,
    /// Time between two solicitations of a neighbour (RFC 4861 6.3.2, RetransTimer).
    pub retrans_timer: Duration,
    /// As the router in use says, or else as others do, in the order in which they were first heard of.
    pub rdnss: Vec<Resolver>,
    /// In the same way.
    pub dnssl: Vec<SearchDomain>,
}

impl Facts {
    /// The router that packets go to which are for nobody on the link.
    pub fn default_router(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|r| r.address)
    }
}

fn as_text<S: Serializer>(mac: &Option<Mac>, serializer: S) -> Result<S::Ok, S::Error> {
    match mac {
        Some(mac) => serializer.collect_str(mac),
        None => serializer.serialize_none(),
    }
}
