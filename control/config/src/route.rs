//! `[[route]]`: networks behind routers of the LANs.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hikyaku_dataplane::napt::LanId;
use hikyaku_net::{Addr4, Addr6, Prefix4, Prefix6};
use hikyaku_protocols::host::host4;
use hikyaku_schema::{Change::Live, Key, Keys, Problems, Read, Section, Syntax::*, did_you_mean, field, key};

use crate::lan::Lan;
use crate::lans::{lan_of, networks};

/// The most that are taken: those of IPv6 are looked through one by one.
const MAX_ROUTES: usize = 64;

/// A network behind a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Of IPv4.
    V4(Prefix4),
    /// Of IPv6.
    V6(Prefix6),
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = if text.contains(':') { text.parse().ok().map(Self::V6) } else { text.parse().ok().map(Self::V4) };
        let read = read.ok_or("write it as 10.9.0.0/16 or 2001:db8:9::/48")?;
        let written = text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
        let begins: IpAddr = match read {
            Self::V4(prefix) => prefix.address().into(),
            Self::V6(prefix) => prefix.address().into(),
        };
        if written == Some(begins) { Ok(read) } else { Err(format!("it has bits behind its length; give {read}")) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(prefix) => prefix.fmt(f),
            Self::V6(prefix) => prefix.fmt(f),
        }
    }
}

/// A static route: section `[[route]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// What is behind the router.
    pub network: Network,
    /// The router's address, of the same family.
    pub via: IpAddr,
    /// The LAN that it is on.
    pub lan: LanId,
}

/// Section `[[route]]` as it is written.
#[derive(Clone, Debug)]
pub(super) struct RouteKeys {
    prefix: Network,
    via: IpAddr,
    lan: Option<String>,
}

fn router(text: &str) -> Result<IpAddr, String> {
    if !text.contains(':') {
        return host4(text).map(IpAddr::V4);
    }
    let address = text.parse::<Ipv6Addr>().map_err(|_| "no address; give one such as fe80::2")?;
    let is_host = address.is_unicast_link_local() || Addr6::from(address).is_forwardable();
    if is_host { Ok(address.into()) } else { Err("it is no host's; give a router's such as fe80::2".into()) }
}

impl Keys for RouteKeys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("prefix", One("PREFIX"), Live, field!(prefix, Network::from_str),
            "A network behind a router on a LAN, as `10.9.0.0/16` or `2001:db8:9::/48`: packets for it go to that router, and come \
             from it").required(),
        key("via", One("ADDR"), Live, field!(via, router),
            "The router's address on the LAN; of IPv6 a link-local one, which no change of the line's prefix touches, or another").required(),
        key("lan", One("NAME"), Live, field!(lan, String::from_str),
            "The LAN that the router is on; unset: of IPv4 the one that has its address, of IPv6 the only one"),
    ];

    fn blank() -> Self {
        Self { prefix: Network::V4(Prefix4::ALL), via: Ipv4Addr::UNSPECIFIED.into(), lan: None }
    }
}

/// Reads them, each whatever is wrong with the others.
pub(super) fn read(sections: Vec<Section>, problems: &mut Problems) -> Vec<Read<RouteKeys>> {
    sections.into_iter().filter_map(|section| section.read(&[], problems)).collect()
}

/// What they are on a router with these LANs.
pub(super) fn check(routes: &[Read<RouteKeys>], lans: &[Lan], problems: &mut Problems) -> Vec<StaticRoute> {
    if let Some(first_too_many) = routes.get(MAX_ROUTES) {
        problems.add(first_too_many.at.place("prefix"), format!("[[route]]: give at most {MAX_ROUTES}"));
    }
    let mut seen = HashSet::new();
    let mut one = |read: &Read<RouteKeys>| {
        let RouteKeys { prefix: network, via, ref lan } = read.keys;
        let mut wrong = |key: &str, why: String| problems.add(read.at.place(key), why);
        if !seen.insert(network) {
            wrong("prefix", format!("prefix = '{network}': another route has it already"));
        }
        if via.is_ipv4() {
            let why = "of IPv4 nothing goes to routers behind yet; give a network of IPv6";
            wrong("prefix", format!("prefix = '{network}': {why}"));
        } else if let Err(why) = may_be_behind(network, lans) {
            wrong("prefix", format!("prefix = '{network}': {why}"));
        }
        if matches!(network, Network::V4(_)) != via.is_ipv4() {
            wrong("via", format!("via = '{via}': it is not of {network}'s family"));
            return None;
        }
        match its_lan(via, lan.as_deref(), lans) {
            Ok(lan) => Some(StaticRoute { network, via, lan }),
            Err((key, why)) => {
                wrong(key, why);
                None
            }
        }
    };
    routes.iter().filter_map(&mut one).collect()
}

/// Whether a network may be behind a router of ours; the reason why not.
fn may_be_behind(network: Network, lans: &[Lan]) -> Result<(), String> {
    let is_default = match network {
        Network::V4(prefix) => prefix.len() == 0,
        Network::V6(prefix) => prefix.len() == 0,
    };
    if is_default {
        return Err("what has no other route goes to the line; give a network".into());
    }
    match network {
        Network::V4(prefix) => {
            let lan = lans.iter().find(|lan| {
                let own = lan.ipv4.prefix();
                own.contains(prefix.address().into()) || prefix.contains(own.address().into())
            });
            if let Some(lan) = lan {
                return Err(format!("it overlaps the LAN {} {}", lan.name, lan.ipv4));
            }
            let address = Addr4::from(prefix.address());
            let is_network = prefix.len() >= 8 && address.is_host() && !address.is_link_local();
            if is_network { Ok(()) } else { Err("nobody is there; give a network of hosts, 8 bits at least".into()) }
        }
        Network::V6(prefix) => {
            let address = Addr6::from(prefix.address());
            let is_network = prefix.len() >= 16 && address.is_forwardable();
            if is_network { Ok(()) } else { Err("nobody is there; give a network of hosts, 16 bits at least".into()) }
        }
    }
}

/// The LAN that a router is on; else the key that is wrong, and why.
fn its_lan(via: IpAddr, name: Option<&str>, lans: &[Lan]) -> Result<LanId, (&'static str, String)> {
    let number = |at: usize| u8::try_from(at).map(LanId).unwrap_or_default();
    let named = name.map(|name| {
        let names = || lans.iter().map(|lan| lan.name.as_str());
        names().position(|lan| lan == name).map(number).ok_or_else(|| {
            let (all, near) = (names().collect::<Vec<_>>().join(", "), did_you_mean(name, names()));
            ("lan", format!("lan = '{name}' is none of: {all}{near}"))
        })
    });
    let named = named.transpose()?;
    match (via, named) {
        (IpAddr::V4(via), named) => {
            let of = lan_of(lans.iter().map(|lan| lan.ipv4), via);
            let of =
                of.ok_or_else(|| ("via", format!("via = '{via}': it is no host of the LAN {}", networks(lans))))?;
            match named {
                Some(named) if named != of => Err(("lan", format!("lan: {via} is of another LAN; leave it out"))),
                _ => Ok(of),
            }
        }
        (IpAddr::V6(_), Some(named)) => Ok(named),
        (IpAddr::V6(_), None) if lans.len() == 1 => Ok(LanId(0)),
        (IpAddr::V6(via), None) => Err(("via", format!("via = '{via}': say which LAN it is on, as lan = \"NAME\""))),
    }
}

impl StaticRoute {
    /// The network, where it is of IPv4.
    pub fn v4(&self) -> Option<(Prefix4, Ipv4Addr)> {
        match (self.network, self.via) {
            (Network::V4(prefix), IpAddr::V4(via)) => Some((prefix, via)),
            _ => None,
        }
    }

    /// The network, where it is of IPv6.
    pub fn v6(&self) -> Option<(Prefix6, Ipv6Addr)> {
        match (self.network, self.via) {
            (Network::V6(prefix), IpAddr::V6(via)) => Some((prefix, via)),
            _ => None,
        }
    }
}
