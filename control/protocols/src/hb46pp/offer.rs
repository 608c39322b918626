//! What a provisioning server offers, checked.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hikyaku_net::Prefix4;

use super::json::shown;
use crate::aftr::Endpoint;
use crate::http::Secret;
use crate::map_domain::Domain;
use crate::softwire_options::Lw4o6;

/// The answer of a provisioning server (specification 3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who runs the service (`enabler_name`): the VNE, or an ISP.
    pub enabler: Option<String>,
    /// The service's name (`service_name`).
    pub service: Option<String>,
    /// The ISP's name for the service (`isp_name`).
    pub isp: Option<String>,
    /// How long the answer is good for, as it was said; a week at most.
    pub ttl: Option<Duration>,
    /// To be said to the same server the next time.
    pub token: Option<Secret>,
    /// What became of user name and password.
    pub auth: Option<Auth>,
    /// What there is, to be tried in this order. Empty: the server has nothing for this line.
    pub order: Vec<Technology>,
    /// What there would be if it made sense.
    pub refused: Vec<Refusal>,
}

/// A way to carry IPv4, with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Technology {
    /// MAP-E: with one border router, and the form of the interface id said. In mesh mode all rules are for
    /// forwarding.
    MapE(Domain),
    /// DS-Lite, with this AFTR.
    Dslite(Endpoint),
    /// Lightweight 4over6, with all that it needs.
    Lw4o6(Lw4o6),
    /// A tunnel for a fixed IPv4 address or prefix. Where the answer has several they are one behind the other.
    Ipip(Ipip),
    /// One that this program cannot do: `map_t`, `464xlat`, or one that it has never heard of.
    Unsupported(String),
}

/// An IPv4-in-IPv6 tunnel (RFC 2473).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipip {
    /// Our end of the tunnel.
    pub local: Ipv6Addr,
    /// The far end of the tunnel.
    pub remote: Ipv6Addr,
    /// Our IPv4 address as it was written, in front of the slash: perhaps the first of [`Self::prefix`].
    pub address: Ipv4Addr,
    /// All that comes to us through the tunnel.
    pub prefix: Prefix4,
}

/// What a server says of user name and password (specification 3.4, `auth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// The server wants them, and might offer more with them.
    Required,
    /// User name or password are wrong.
    Bad,
    /// User name and password are right.
    Ok,
}

/// A technology that cannot be used as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The technology's name in the answer.
    pub technology: &'static str,
    /// What is wrong with its description, and where.
    pub why: String,
}

impl Technology {
    /// Its name in the specification.
    pub fn name(&self) -> &str {
        match self {
            Self::MapE(_) => "map_e",
            Self::Dslite(_) => "dslite",
            Self::Lw4o6(_) => "lw4o6",
            Self::Ipip(_) => "ipip",
            Self::Unsupported(name) => name,
        }
    }

    /// Whether this program can do it.
    pub fn is_supported(&self) -> bool {
        !matches!(self, Self::Unsupported(_))
    }
}

impl Offer {
    /// Everything in it that is a stranger's words.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let names = [&mut self.enabler, &mut self.service, &mut self.isp].into_iter().flatten();
        let unsupported = self.order.iter_mut().filter_map(|technology| match technology {
            Technology::Unsupported(name) => Some(name),
            _ => None,
        });
        names.chain(unsupported).chain(self.refused.iter_mut().map(|refusal| &mut refusal.why))
    }

    /// The first technology that this program can do.
    pub fn first(&self) -> Option<&Technology> {
        self.order.iter().find(|technology| technology.is_supported())
    }
}

impl fmt::Display for Technology {
    /// Name and far end, in few words, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MapE(domain) => {
                let (rules, br) = (domain.rules.len(), Far(&Endpoint::Addresses(domain.br.clone())).to_string());
                let iid = domain.iid.map(|iid| format!(", {iid}")).unwrap_or_default();
                let mesh = if domain.is_mesh() { ", mesh" } else { "" };
                write!(f, "map_e ({rules} rules, br {br}{iid}{mesh})")
            }
            Self::Dslite(aftr) => write!(f, "dslite (aftr {})", Far(aftr)),
            Self::Lw4o6(lw4o6) => write!(f, "lw4o6 (lwaftr {}, {})", Far(&lw4o6.lwaftr), lw4o6.ipv4),
            Self::Ipip(Ipip { remote, address, prefix, .. }) => {
                write!(f, "ipip (remote {remote}, {address}/{})", prefix.len())
            }
            Self::Unsupported(name) => write!(f, "{} (not supported)", shown(name)),
        }
    }
}

/// A tunnel's far end, for people.
struct Far<'a>(&'a Endpoint);

impl fmt::Display for Far<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Endpoint::Name(name) => f.write_str(name),
            Endpoint::Addresses(addresses) => {
                let texts: Vec<String> = addresses.iter().map(Ipv6Addr::to_string).collect();
                f.write_str(&texts.join(", "))
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.technology, self.why)
    }
}

impl fmt::Display for Offer {
    /// The service's name and what it offers in order, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = [&self.enabler, &self.service, &self.isp].into_iter().flatten().map(|n| &**n).collect();
        match names.is_empty() {
            true => f.write_str("an unnamed service")?,
            false => f.write_str(&names.join(", "))?,
        }
        let order: Vec<String> = self.order.iter().map(Technology::to_string).collect();
        match order.is_empty() {
            true => f.write_str(": nothing for this line"),
            false => write!(f, ": {}", order.join(", ")),
        }
    }
}
