//! What the line carries: one technology, with everything it needs and nothing else.

use std::net::{Ipv4Addr, Ipv6Addr};

use hikyaku_net::map::{InterfaceId, Rule};
use hikyaku_net::{PortSet, Prefix6};

use super::{Name, Technology};
use crate::aftr::{Endpoint, Source};
use crate::map_domain::Domain;
use crate::slaac::Token;
use crate::softwire_options::Lw4o6;

/// What is to be done. Two plans that are equal are carried out by the same softwire.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How IPv4 is carried.
    pub technology: Technology,
    /// Our end of the tunnel, and what it is made of.
    pub local: Local,
    /// Where the far end is known from.
    pub far: Vec<(Source, Endpoint)>,
    /// The address that the Internet sees; `None`: the far end translates.
    pub outside: Option<Outside>,
    /// Where other customers are, who are reached without the border router (RFC 7597 4).
    pub mesh: Option<Meshed>,
}

impl Plan {
    /// Whether a far end of `old` may go on being used, until one of this plan is known.
    pub fn goes_on_from(&self, old: &Self) -> bool {
        let shared = || self.far.iter().any(|(_, far)| old.far.iter().any(|(_, old)| old == far));
        self.technology == old.technology && (self.outside == old.outside || shared())
    }
}

/// Our end of the tunnel, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// The WAN's own address.
    Own,
    /// The prefix of the line, and this lower half.
    Token(Token),
    /// This whole address, whatever the line's prefix is.
    Address(Ipv6Addr),
}

/// The address and ports that this end translates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The IPv4 address that packets leave with.
    pub ipv4: Ipv4Addr,
    /// Those of its ports that are ours.
    pub ports: PortSet,
}

/// A MAP domain whose customers reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meshed {
    /// All of them; some are for forwarding.
    pub rules: Vec<Rule>,
    /// The form of the interface id in their addresses.
    pub iid: InterfaceId,
}

/// What a source says the line can have.
#[derive(Clone, Debug, PartialEq)]
pub enum Candidate {
    /// DS-Lite through this AFTR.
    Dslite(Endpoint),
    /// IPv4 in IPv6 with a whole IPv4 address.
    Ipip {
        /// The address; of a block the first.
        ipv4: Ipv4Addr,
        /// Our end of the tunnel, if the source says it.
        local: Option<Ipv6Addr>,
        /// The border router at the far end.
        far: Ipv6Addr,
    },
    /// MAP-E, if the line's prefix is in one of the rules.
    MapE(Domain),
    /// Lightweight 4over6: an IPv4 address shared by ports.
    Lw4o6(Lw4o6),
    /// Something that this program cannot do.
    Unsupported {
        /// Its name, for people.
        name: String,
        /// Why it cannot be used.
        why: String,
    },
}

impl Candidate {
    /// Its name, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Dslite(_) => Technology::Dslite.to_string(),
            Self::Ipip { .. } => Technology::Ipip.to_string(),
            Self::MapE(_) => Technology::MapE.to_string(),
            Self::Lw4o6(_) => Technology::Lw4o6.to_string(),
            Self::Unsupported { name, .. } => name.clone(),
        }
    }

    /// The name of its far end, if that has one.
    pub(super) fn far_name(&self) -> Option<&str> {
        match self {
            Self::Dslite(Endpoint::Name(name)) | Self::Lw4o6(Lw4o6 { lwaftr: Endpoint::Name(name), .. }) => Some(name),
            _ => None,
        }
    }

    fn technology(&self) -> Option<Technology> {
        Some(match self {
            Self::Dslite(_) => Technology::Dslite,
            Self::Ipip { .. } => Technology::Ipip,
            Self::MapE(_) => Technology::MapE,
            Self::Lw4o6(_) => Technology::Lw4o6,
            Self::Unsupported { .. } => return None,
        })
    }

    /// Whether it is of this kind, or any will do.
    pub(super) fn is(&self, wanted: Option<Technology>) -> bool {
        wanted.is_none() || self.technology().is_none() || self.technology() == wanted
    }

    /// What is to be done for it on this line; an error says why that cannot be.
    pub(super) fn plan(&self, source: Source, frame: &Frame) -> Result<Plan, Unfit> {
        let plan = match self {
            Self::Unsupported { why, .. } => return Err(Unfit::Because(why.clone())),
            Self::Dslite(far) => Plan {
                technology: Technology::Dslite,
                local: frame.local.unwrap_or(Local::Own),
                far: vec![(source, far.clone())],
                outside: None,
                mesh: None,
            },
            Self::Ipip { ipv4, local, far } => Plan {
                technology: Technology::Ipip,
                local: match (frame.local, local) {
                    (Some(local), _) => local,
                    (None, &Some(local)) => frame.has(local).map(|()| Local::Address(local))?,
                    (None, None) => Local::Own,
                },
                far: vec![(source, Endpoint::Addresses(vec![*far]))],
                outside: Some(Outside { ipv4: *ipv4, ports: PortSet::ALL }),
                mesh: None,
            },
            Self::MapE(domain) => map_e(domain, source, frame)?,
            Self::Lw4o6(lw4o6) => {
                let local = match (frame.local, lw4o6.end(frame.prefixes)) {
                    (Some(local), _) => local,
                    (None, Some(end)) => Local::Address(end),
                    (None, None) if frame.prefixes.is_empty() => return Err(Unfit::NoPrefix),
                    (None, None) => {
                        let bind = lw4o6.bind_prefix;
                        let why = format!("the softwire is bound to {bind}, and the line has no prefix in it");
                        return Err(Unfit::Because(why));
                    }
                };
                Plan {
                    technology: Technology::Lw4o6,
                    local,
                    far: vec![(source, lw4o6.lwaftr.clone())],
                    outside: Some(Outside { ipv4: lw4o6.ipv4, ports: lw4o6.ports }),
                    mesh: None,
                }
            }
        };
        Ok(plan)
    }
}

/// What a plan is made in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// The line's prefixes, the first is preferred.
    pub prefixes: &'a [Prefix6],
    /// Our end, if the user says it.
    pub local: Option<Local>,
    /// The border router, if the user says it.
    pub far: Option<&'a Endpoint>,
    /// The form of the interface id, if the user says it.
    pub iid: Option<InterfaceId>,
    /// The form that the service has, if nobody says it.
    pub usual_iid: Option<InterfaceId>,
    /// Border routers to use if nobody names one.
    pub usual_far: &'a [Ipv6Addr],
}

impl Frame<'_> {
    /// Whether an end of the tunnel that somebody else says is in a prefix of the line: of others nothing comes
    /// back. A home gateway keeps a /56, of which it leaves us a part.
    fn has(&self, end: Ipv6Addr) -> Result<(), Unfit> {
        let is_near = |prefix: &Prefix6| (prefix.address().to_bits() ^ end.to_bits()) >> 72 == 0;
        match self.prefixes {
            [] => Err(Unfit::NoPrefix),
            prefixes if prefixes.iter().any(is_near) => Ok(()),
            [first, ..] => Err(Unfit::Because(format!("it is for {end}, and the line's prefix is {first}"))),
        }
    }
}

/// Why a candidate is of no use here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// What it is made from is not known yet.
    NoPrefix,
    /// Another reason, in words.
    Because(String),
}

/// MAP-E: the rule with the longest prefix that is the line's (RFC 7597 5).
fn map_e(domain: &Domain, source: Source, frame: &Frame) -> Result<Plan, Unfit> {
    let far = match (frame.far, domain.br.as_slice()) {
        (Some(far), _) => (Source::UserAddresses, far.clone()),
        (None, []) if frame.usual_far.is_empty() => {
            return Err(Unfit::Because("no border router is named; give br".into()));
        }
        (None, []) => (Source::ProfileAddresses, Endpoint::Addresses(frame.usual_far.to_vec())),
        (None, br) => (source, Endpoint::Addresses(br.to_vec())),
    };
    let said = frame.iid.or(domain.iid).or(frame.usual_iid).or_else(|| known_form(domain));
    let iid = said.unwrap_or(InterfaceId::Rfc7597);
    let mut unfit = match frame.prefixes {
        [] => return Err(Unfit::NoPrefix),
        [first, ..] => format!("none of the {} rules is for {first}, the line's prefix", domain.rules.len()),
    };
    for &prefix in frame.prefixes {
        let Some(rule) = domain.rule_of(prefix) else { continue };
        match rule.ce(prefix, iid) {
            Ok(ce) => {
                return Ok(Plan {
                    technology: Technology::MapE,
                    local: Local::Address(ce.address),
                    far: vec![far],
                    outside: Some(Outside { ipv4: ce.ipv4, ports: ce.ports }),
                    mesh: domain.is_mesh().then(|| Meshed { rules: domain.rules.clone(), iid }),
                });
            }
            Err(why) => unfit = why.to_string(),
        }
    }
    Err(Unfit::Because(unfit))
}

/// RFC 7598 does not say which form of interface id a domain has. A border router of a service that is known does.
pub fn known_form(domain: &Domain) -> Option<InterfaceId> {
    let of_service = |&address: &Ipv6Addr| Name::of_border_router(address)?.profile().iid;
    domain.br.iter().find_map(of_service)
}
