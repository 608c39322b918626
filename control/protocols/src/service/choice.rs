//! Which service the line has: what is asked, in which order, and why the answer is what it is.
//!
//! The choice is not kept and moved but read off what is known: the same facts give the same plan. Whoever asks remembers
//! the last one.
//!
//! `auto` looks at rules that the user gave, DHCPv6 option 64, the S46 containers of DHCPv6, the provisioning server
//! (HB46PP), and at which AFTR's name the line's resolvers know. The first that has something usable is it. Named services look at
//! what concerns them only.

use std::fmt;
use std::net::Ipv4Addr;

use hikyaku_net::map::InterfaceId;
use hikyaku_net::{PortSet, Prefix6};
use serde::{Deserialize, Serialize};

use super::plan::{Candidate, Frame, Local, Plan, Unfit};
use super::profile::UsualEnd;
use super::{Name, Technology};
use crate::aftr::{self, Endpoint};
use crate::map_domain::Domain;
use crate::slaac::Token;
use crate::softwire_options::Lw4o6;

/// What the user wants of the line.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The service by its name, or a technology, or [`Name::Auto`].
    pub name: Name,
    /// The far end of the tunnel.
    pub far: Option<Endpoint>,
    /// The address of a fixed-address service or of lw4o6.
    pub ipv4: Option<Ipv4Addr>,
    /// Those of its ports that are ours (lw4o6).
    pub ports: Option<PortSet>,
    /// Our end of the tunnel.
    pub end: Option<WishedEnd>,
    /// Rules of a MAP domain.
    pub rules: Option<Domain>,
    /// The form of MAP-E's interface id; `None`: the service's own.
    pub iid: Option<InterfaceId>,
}

/// Our end of the tunnel, as the user says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishedEnd {
    /// As it is written: an address, or the lower half of one.
    Local(Local),
    /// As MAP-E's draft 03 makes it from the IPv4 address.
    FromIpv4,
}

/// Where a plan came from. In the order in which `auto` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The configuration says all there is to know.
    Configuration,
    /// Rules that the user gave.
    Rules,
    /// DHCPv6 option 64 (RFC 6334).
    Option64,
    /// DHCPv6 options 94 to 96 (RFC 7598).
    S46,
    /// The provisioning server (HB46PP).
    Provisioning,
    /// The AFTRs' names that the line's resolvers know.
    Names,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::Rules => "rules that were given",
            Self::Option64 => "DHCPv6 option 64",
            Self::S46 => "DHCPv6 S46",
            Self::Provisioning => "HB46PP",
            Self::Names => "AFTR names",
        })
    }
}

/// Something that may not be known yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<T> {
    /// It has not answered yet; why.
    Waiting(String),
    /// Nobody answers; why. That may change at any time, and says nothing about what there is.
    Silent(String),
    /// It says that it has nothing to say; why.
    Nothing(String),
    /// It has answered this.
    Said(T),
}

/// What the sources say at one moment, from which a choice follows.
#[derive(Clone, Debug)]
pub struct Known {
    /// Prefixes that a rule may be for, the first is preferred.
    pub prefixes: Vec<Prefix6>,
    /// The AFTR that the DHCPv6 server names.
    pub option64: Said<String>,
    /// What its S46 containers say, the most preferred first; errors are containers that cannot be used.
    pub s46: Said<Vec<Candidate>>,
    /// The DHCPv6 server wants one of these tried before the AFTR (RFC 8026 1.3).
    pub prefers_s46: bool,
    /// What the provisioning server says, the most preferred first.
    pub provisioning: Said<Vec<Candidate>>,
    /// The services whose AFTR's name the line's resolvers know.
    pub names: Said<Vec<Name>>,
    /// Names of far ends that do not resolve ([`super::Unresolved`]), and why: what has no other far end is passed
    /// over.
    pub unresolved: Vec<(String, String)>,
}

impl Known {
    /// Whether the line says this name of a far end.
    pub fn says(&self, name: &str) -> bool {
        let by_dhcp = matches!(&self.option64, Said::Said(aftr) if aftr == name);
        let candidates = match &self.provisioning {
            Said::Said(candidates) => &candidates[..],
            _ => &[],
        };
        by_dhcp || candidates.iter().filter_map(Candidate::far_name).any(|far| far == name)
    }

    /// Why none of these far ends can be found, if so.
    fn is_lost(&self, far: &[(aftr::Source, Endpoint)]) -> Option<String> {
        let why = |(_, far): &(aftr::Source, Endpoint)| match far {
            Endpoint::Name(name) => self.unresolved.iter().find(|(unresolved, _)| unresolved == name),
            Endpoint::Addresses(_) => None,
        };
        let lost: Option<Vec<_>> = far.iter().map(why).collect();
        let (name, why) = lost?.into_iter().next()?;
        Some(format!("{name} is not found: {why}; it is asked for every minute"))
    }
}

/// What came of looking at one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What it has is used.
    Chosen,
    /// No answer yet; nothing after it is looked at.
    Waiting,
    /// Nobody answers; what comes after it is looked at.
    Silent,
    /// It says that it has nothing.
    Nothing,
    /// It has something that cannot be used here.
    Unusable,
}

/// One origin that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The origin that was looked at.
    pub origin: Origin,
    /// What came of it.
    pub outcome: Outcome,
    /// The outcome in words, with the reason.
    pub why: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.why)
    }
}

/// A choice, and the way to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is to be carried out; `None`: nothing is chosen.
    pub plan: Option<Plan>,
    /// What was looked at, and why it is so.
    pub steps: Vec<Step>,
    /// The provisioning server is to be asked.
    pub asks_provisioning: bool,
    /// The AFTRs' names are to be asked for.
    pub asks_names: bool,
}

impl Decision {
    /// Whether an origin is waited for.
    pub fn is_waiting(&self) -> bool {
        self.steps.last().is_some_and(|step| step.outcome == Outcome::Waiting)
    }

    /// Everybody has said that there is nothing. Else what was said before holds: who is silent takes back nothing.
    pub fn is_nothing(&self) -> bool {
        let is_open = |step: &Step| matches!(step.outcome, Outcome::Waiting | Outcome::Silent);
        self.plan.is_none() && !self.steps.iter().any(is_open)
    }

    /// Why there is no plan, in words.
    pub fn why(&self) -> String {
        match self.steps.last() {
            Some(step) if step.outcome == Outcome::Waiting => step.to_string(),
            _ => self.steps.iter().map(Step::to_string).collect::<Vec<_>>().join("; "),
        }
    }
}

/// The plan that follows from what is known.
pub fn choose(wish: &Wish, known: &Known) -> Decision {
    let mut decision = Decision::default();
    for origin in wish.origins(known) {
        decision.asks_provisioning |= origin == Origin::Provisioning;
        decision.asks_names |= origin == Origin::Names;
        let (outcome, why, plan) = wish.look(origin, known);
        decision.steps.push(Step { origin, outcome, why });
        decision.plan = plan;
        if matches!(outcome, Outcome::Chosen | Outcome::Waiting) {
            break;
        }
    }
    // A named DS-Lite service is carried at once; the server may still know a better AFTR.
    let profile = wish.name.profile();
    decision.asks_provisioning |= profile.aftr.is_some() && profile.provisioned && wish.far.is_none();
    decision
}

type Look = (Outcome, String, Option<Plan>);

/// What comes of what was said, if anything was.
fn weigh<T>(said: &Said<T>, look: impl FnOnce(&T) -> Look) -> Look {
    match said {
        Said::Waiting(why) => (Outcome::Waiting, why.clone(), None),
        Said::Silent(why) => (Outcome::Silent, why.clone(), None),
        Said::Nothing(why) => (Outcome::Nothing, why.clone(), None),
        Said::Said(what) => look(what),
    }
}

impl Wish {
    /// What is looked at, in order.
    fn origins(&self, known: &Known) -> Vec<Origin> {
        use Origin::{Configuration, Names, Option64, Provisioning, Rules, S46};
        let profile = self.name.profile();
        let complete = self.ipv4.is_some() && self.far.is_some();
        match profile.technology {
            None => {
                let rules = self.rules.iter().map(|_| Rules);
                let dhcpv6 = if known.prefers_s46 { [S46, Option64] } else { [Option64, S46] };
                rules.chain(dhcpv6).chain([Provisioning, Names]).collect()
            }
            Some(Technology::Dslite) if self.far.is_some() || profile.aftr.is_some() => vec![Configuration],
            Some(Technology::Dslite) => vec![Option64, Provisioning],
            Some(Technology::Ipip | Technology::Lw4o6) if complete => vec![Configuration],
            Some(Technology::Ipip) => vec![Provisioning],
            Some(Technology::MapE) if self.rules.is_some() => vec![Rules],
            Some(Technology::MapE | Technology::Lw4o6) => vec![S46, Provisioning],
        }
    }

    fn look(&self, origin: Origin, known: &Known) -> Look {
        match origin {
            Origin::Configuration => self.carry(aftr::Source::UserAddresses, &self.configured(), known),
            Origin::Rules => {
                let rules = self.rules.iter().cloned().map(Candidate::MapE).collect::<Vec<_>>();
                self.carry(aftr::Source::UserAddresses, &rules, known)
            }
            Origin::Option64 => weigh(&known.option64, |name| {
                let aftr = [Candidate::Dslite(Endpoint::Name(name.clone()))];
                self.carry(aftr::Source::Dhcp, &aftr, known)
            }),
            Origin::S46 => weigh(&known.s46, |found| self.carry(aftr::Source::Dhcp, found, known)),
            Origin::Provisioning => {
                weigh(&known.provisioning, |found| self.carry(aftr::Source::Provisioning, found, known))
            }
            Origin::Names => weigh(&known.names, |names| {
                let Some(name) = names.first() else {
                    return (Outcome::Nothing, "the line's resolvers know no AFTR's name".into(), None);
                };
                let aftr = Candidate::Dslite(Endpoint::Name(name.profile().aftr.unwrap_or_default().into()));
                let (outcome, _, plan) = self.carry(aftr::Source::ProfileName, &[aftr], known);
                let why = format!("DS-Lite: the line's resolvers know the AFTR of {name}");
                (outcome, why, plan)
            }),
        }
    }

    /// The first candidate that can be carried here. Of a service that was named, nothing else will do.
    fn carry(&self, source: aftr::Source, candidates: &[Candidate], known: &Known) -> Look {
        let wanted = self.name.profile().technology;
        let mut unusable = Vec::new();
        for candidate in candidates.iter().filter(|candidate| candidate.is(wanted)) {
            match candidate.plan(source, &self.frame(candidate, known)) {
                Ok(mut plan) => {
                    if plan.technology == Technology::Dslite {
                        plan.far = self.aftrs(known, plan.far);
                    }
                    // What the user says there is nothing to fall back from.
                    if let Some(why) = known.is_lost(&plan.far).filter(|_| !source.is_the_users()) {
                        unusable.push(format!("{}: {why}", candidate.name()));
                        continue;
                    }
                    let passed_over = unusable.iter().map(|why| format!("; not {why}")).collect::<String>();
                    return (Outcome::Chosen, candidate.name() + &passed_over, Some(plan));
                }
                // It may come any moment, and nothing else must come before it until then.
                Err(Unfit::NoPrefix) => return (Outcome::Waiting, "the line has no prefix yet".into(), None),
                Err(Unfit::Because(why)) => unusable.push(format!("{}: {why}", candidate.name())),
            }
        }
        match (unusable.is_empty(), wanted) {
            (false, _) => (Outcome::Unusable, unusable.join("; "), None),
            (true, Some(wanted)) => (Outcome::Nothing, format!("no {wanted} for this line"), None),
            (true, None) => (Outcome::Nothing, "nothing for this line".into(), None),
        }
    }

    /// What the configuration alone makes.
    fn configured(&self) -> Vec<Candidate> {
        let profile = self.name.profile();
        let address = |far: &Endpoint| match far {
            Endpoint::Addresses(addresses) => addresses.first().copied(),
            Endpoint::Name(_) => None,
        };
        let candidate = match profile.technology {
            Some(Technology::Dslite) => match (&self.far, profile.aftr) {
                (Some(far), _) => Some(Candidate::Dslite(far.clone())),
                (None, Some(name)) => Some(Candidate::Dslite(Endpoint::Name(name.into()))),
                (None, None) => None,
            },
            Some(Technology::Ipip) => self
                .ipv4
                .zip(self.far.as_ref().and_then(address))
                .map(|(ipv4, far)| Candidate::Ipip { ipv4, local: None, far }),
            Some(Technology::Lw4o6) => self.ipv4.zip(self.far.clone()).map(|(ipv4, lwaftr)| {
                let ports = self.ports.unwrap_or(PortSet::ALL);
                Candidate::Lw4o6(Lw4o6 { lwaftr, ipv4, ports, bind_prefix: ANY })
            }),
            Some(Technology::MapE) | None => None,
        };
        candidate.into_iter().collect()
    }

    fn frame<'a>(&'a self, candidate: &Candidate, known: &'a Known) -> Frame<'a> {
        let profile = self.name.profile();
        let from_ipv4 = || match candidate {
            Candidate::Ipip { ipv4, .. } | Candidate::Lw4o6(Lw4o6 { ipv4, .. }) => {
                Token::new(InterfaceId::Draft03.of(*ipv4, 0)).map(Local::Token)
            }
            _ => None,
        };
        let local = match (self.end, candidate, profile.end) {
            // MAP-E's rules say where our end is.
            (_, Candidate::MapE(_), _) => None,
            (Some(WishedEnd::Local(local)), ..) => Some(local),
            (Some(WishedEnd::FromIpv4), ..) => from_ipv4(),
            (None, Candidate::Ipip { local: None, .. }, UsualEnd::FromIpv4) => from_ipv4(),
            (None, ..) => None,
        };
        Frame {
            prefixes: &known.prefixes,
            local,
            far: self.far.as_ref(),
            iid: self.iid,
            usual_iid: profile.iid,
            usual_far: match candidate {
                Candidate::MapE(_) => profile_far(self.name),
                _ => &[],
            },
        }
    }

    /// Every source of the AFTR there is: [`aftr::Selector`] knows in which order they count.
    fn aftrs(&self, known: &Known, found: Vec<(aftr::Source, Endpoint)>) -> Vec<(aftr::Source, Endpoint)> {
        let mut sources = Vec::new();
        if let Some(far) = &self.far {
            let source = match far {
                Endpoint::Name(_) => aftr::Source::UserName,
                Endpoint::Addresses(_) => aftr::Source::UserAddresses,
            };
            return vec![(source, far.clone())];
        }
        if let Said::Said(name) = &known.option64 {
            sources.push((aftr::Source::Dhcp, Endpoint::Name(name.clone())));
        }
        if let Said::Said(candidates) = &known.provisioning {
            let aftr = candidates.iter().find_map(|candidate| match candidate {
                Candidate::Dslite(far) => Some(far.clone()),
                _ => None,
            });
            sources.extend(aftr.map(|aftr| (aftr::Source::Provisioning, aftr)));
        }
        // Of the service that was named, or that was recognised by its AFTR's name.
        let recognised = || {
            let is = |name: &Name| {
                let aftr = name.profile().aftr.unwrap_or_default();
                found.iter().any(|(_, far)| matches!(far, Endpoint::Name(name) if name == aftr))
            };
            Name::RECOGNISED.into_iter().find(is)
        };
        let service = Some(self.name).filter(|name| name.profile().aftr.is_some()).or_else(recognised);
        if let Some(profile) = service.map(Name::profile) {
            sources.extend(profile.aftr.map(|aftr| (aftr::Source::ProfileName, Endpoint::Name(aftr.into()))));
            if !profile.far.is_empty() {
                sources.push((aftr::Source::ProfileAddresses, Endpoint::Addresses(profile.far.to_vec())));
            }
        }
        for (source, far) in found {
            if !sources.iter().any(|(known, _)| *known == source) && source != aftr::Source::UserAddresses {
                sources.push((source, far));
            }
        }
        sources
    }
}

/// Whatever prefix the line has.
const ANY: Prefix6 = Prefix6::new(std::net::Ipv6Addr::UNSPECIFIED, 0).expect("no bits are no trouble");

/// Border routers of a service that are public.
fn profile_far(name: Name) -> &'static [std::net::Ipv6Addr] {
    name.profile().far
}

#[cfg(test)]
mod tests;
