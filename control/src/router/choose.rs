//! What is chosen of what the line offers: prefix, address and resolvers, service and far end. The same facts give
//! the same choice; what was chosen before counts only where a rule says so.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_config::{Config, Dhcpv6Mode};
use hikyaku_net::{Prefix6, Time};
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::dhcpv6;
use hikyaku_protocols::notification;
use hikyaku_protocols::service::{self, Candidate, Decision, Known, Local, Plan, Probe, Said, closed_network};
use hikyaku_protocols::slaac::Token;
use hikyaku_protocols::softwire_options;

use super::facts::{Facts, LineId};

/// How long a DHCPv6 server may take before the line counts as one without: Solicit is sent four times by then.
const DHCPV6_PATIENCE: Duration = Duration::from_secs(15);

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// The prefix that our end of the tunnel is in, of which the upper 64 bits count.
    pub prefix: Option<Ipv6Addr>,
    /// The WAN's own address.
    pub own: Option<Ipv6Addr>,
    /// What our own packets come from: an address that may be used.
    pub source: Option<Ipv6Addr>,
    /// Who is asked for names, if there is an address to ask from.
    pub resolvers: Vec<IpAddr>,
    /// The line, as names are asked on it.
    pub line: LineId,
    /// How the DHCPv6 server is waited for.
    pub patience: Patience,
    /// The service, and how that came to be known.
    pub decision: Decision,
    /// What is to be carried. Who is silent takes nothing back: it may be of an earlier decision.
    pub plan: Option<Plan>,
    /// Our end of the tunnel as it is to be, if the line gives what it is made from.
    pub end: Option<Ipv6Addr>,
    /// Where the border router's operator is told that we are.
    pub place: Option<notification::Place>,
    /// Names of far ends that the line still says, of those that were given up.
    pub given_up: Vec<String>,
}

/// How the DHCPv6 server is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Patience {
    /// It has answered, or there is no line to ask on.
    #[default]
    Unneeded,
    /// Until then.
    Until(Time),
    /// It counts as silent.
    Over,
}

impl Patience {
    /// When it ends, while the server is waited for.
    pub fn end(self) -> Option<Time> {
        match self {
            Self::Until(end) => Some(end),
            Self::Unneeded | Self::Over => None,
        }
    }
}

/// The choice that follows from the facts. `previous`: the one before.
pub(super) fn choose(config: &Config, facts: &Facts, previous: &Choice) -> Choice {
    let (prefix, own) = (prefix(facts), own_address(facts));
    let resolvers = resolvers(config, facts);
    let patience = patience(facts, previous.patience);
    // The ends of a plan that is not there yet cannot be ready.
    let source = source(facts, own, &ends(facts, previous.plan.as_ref(), previous.end));
    let line = LineId {
        prefixes: end_user_prefixes(facts),
        resolvers: if source.is_some() { resolvers.clone() } else { Vec::new() },
    };
    let mut choice = Choice { prefix, own, source, resolvers, line, patience, ..Choice::default() };
    if facts.leaving {
        choice.decision.clone_from(&previous.decision);
        return choice;
    }
    let wish = &config.service.wish;
    let known = known(config, facts, &choice);
    let given_up = known.unresolved.iter().map(|(name, _)| name.clone());
    choice.given_up = given_up.filter(|name| known.says(name)).collect();
    // Nothing outside can be reached from a closed network. Only who names the far end may know one inside.
    if !prefix.is_some_and(closed_network) || wish.far.is_some() {
        choice.decision = service::choose(wish, &known);
    }
    choice.plan = plan(facts, &choice.decision, previous.plan.as_ref());
    choice.end = choice.plan.as_ref().and_then(|plan| end(plan.local, own, prefix));
    choice.place = place(facts, &choice, previous.place);
    choice
}

/// The prefix that our end of the tunnel is in: the link's own, or the first of what was delegated.
fn prefix(facts: &Facts) -> Option<Ipv6Addr> {
    let delegated = || facts.dhcpv6.delegated.first().map(|delegated| delegated.prefix.address());
    facts.line.main_prefix().map(|prefix| prefix.prefix).or_else(delegated)
}

/// Prefixes that a MAP rule may be for, the link's own before what was delegated.
fn end_user_prefixes(facts: &Facts) -> Vec<Prefix6> {
    let advertised = facts.line.prefixes.iter().filter(|prefix| prefix.autonomous && !prefix.deprecated);
    let advertised = advertised.filter_map(|prefix| Prefix6::new(prefix.prefix, prefix.length));
    let delegated = facts.dhcpv6.delegated.iter().map(|delegated| delegated.prefix);
    advertised.chain(delegated.filter_map(|prefix| Prefix6::new(prefix.address(), prefix.len()))).collect()
}

/// The WAN's own address: from the advertised prefix, from the server, or made in the delegated prefix.
fn own_address(facts: &Facts) -> Option<Ipv6Addr> {
    let advertised = facts.line.addresses.first().map(|address| address.address);
    let leased = || facts.dhcpv6.addresses.first().copied();
    advertised.or_else(leased).or_else(|| facts.dhcpv6.delegated.first()?.address)
}

/// What our own packets come from: our own address, or else an end of the tunnel.
fn source(facts: &Facts, own: Option<Ipv6Addr>, ends: &[Ipv6Addr]) -> Option<Ipv6Addr> {
    own.into_iter().chain(ends.iter().copied()).find(|&address| facts.is_ready(address))
}

/// Who is asked for names: whom the user says, else DHCPv6's, else the router's. Never anybody else: the names of
/// border routers are known to the line's own resolvers alone.
fn resolvers(config: &Config, facts: &Facts) -> Vec<IpAddr> {
    let (configured, leased) = (&config.wan.resolvers, &facts.dhcpv6.information.dns);
    let advertised = || facts.line.rdnss.iter().map(|resolver| resolver.address).collect();
    let chosen = [configured, leased].into_iter().find(|said| !said.is_empty()).cloned();
    chosen.unwrap_or_else(advertised).into_iter().map(IpAddr::from).collect()
}

fn patience(facts: &Facts, previous: Patience) -> Patience {
    match previous {
        _ if facts.dhcpv6.is_informed() || facts.line.default_router().is_none() => Patience::Unneeded,
        Patience::Unneeded => Patience::Until(facts.now + DHCPV6_PATIENCE),
        Patience::Until(end) if end <= facts.now => Patience::Over,
        patience => patience,
    }
}

/// What is known of the service that the line has.
fn known(config: &Config, facts: &Facts, choice: &Choice) -> Known {
    let information = &facts.dhcpv6.information;
    let offers = softwire_options::offers(information);
    // Only where both are there.
    let prefers_s46 =
        matches!(offers.first(), Some(softwire_options::Offer::Softwire(_))) && information.aftr_name.is_some();
    let softwires: Vec<Candidate> = offers.into_iter().filter_map(candidate).collect();
    // What the resolvers of another line said is of no use here.
    let is_of_this_line = facts.names.line == choice.line;
    Known {
        prefixes: choice.line.prefixes.clone(),
        option64: match &information.aftr_name {
            Some(name) => Said::Said(name.clone()),
            None => unsaid(config, facts, choice, "the server names no AFTR"),
        },
        s46: match softwires.is_empty() {
            false => Said::Said(softwires),
            true => unsaid(config, facts, choice, "the server has no softwire options"),
        },
        prefers_s46,
        provisioning: asked(choice, provisioning(facts, choice)),
        names: asked(
            choice,
            match is_of_this_line {
                true => facts.names.known.clone(),
                false => Probe::default().said(),
            },
        ),
        unresolved: facts.names.unresolved.iter().filter(|_| is_of_this_line).cloned().collect(),
    }
}

/// Why the DHCPv6 server has not said something. `nothing`: because it does not.
fn unsaid<T>(config: &Config, facts: &Facts, choice: &Choice, nothing: &str) -> Said<T> {
    if facts.dhcpv6.is_informed() {
        return Said::Nothing(nothing.into());
    }
    if config.wan.dhcpv6.mode == Dhcpv6Mode::Off {
        return Said::Nothing("switched off".into());
    }
    if facts.line.default_router().is_none() {
        return Said::Waiting("no router yet".into());
    }
    if facts.dhcpv6.state == dhcpv6::State::Off && !facts.line.managed && !facts.line.other {
        return Said::Nothing("the router says that there is no server".into());
    }
    match choice.patience {
        Patience::Over => Said::Silent("no server answers".into()),
        _ => Said::Waiting("the server has not answered yet".into()),
    }
}

/// What the provisioning server says. Servers answer by the prefix that asks: what they said to another was for
/// another line.
fn provisioning(facts: &Facts, choice: &Choice) -> Said<Vec<Candidate>> {
    let Some(provisioned) = &facts.provisioning else { return Said::Nothing("switched off".into()) };
    let Some(own) = choice.own else { return Said::Waiting("there is no address to ask from yet".into()) };
    match provisioned.prefix == Some(upper_half(own)) {
        true => provisioned.said.clone(),
        false => Said::Waiting(PROVISIONING_ASKED.into()),
    }
}

/// Nobody is asked without resolvers.
fn asked<T>(choice: &Choice, said: Said<T>) -> Said<T> {
    match said {
        Said::Waiting(_) if choice.line.resolvers.is_empty() => {
            Said::Waiting("no resolver yet, or no address to ask it from".into())
        }
        said => said,
    }
}

/// What one of the DHCPv6 server's offers is as a softwire.
fn candidate(offer: softwire_options::Offer) -> Option<Candidate> {
    match offer {
        // Another step's.
        softwire_options::Offer::DsLite(_) => None,
        softwire_options::Offer::Softwire(softwire_options::Softwire::MapE(domain)) => Some(Candidate::MapE(domain)),
        softwire_options::Offer::Softwire(softwire_options::Softwire::Lw4o6(lw4o6)) => Some(Candidate::Lw4o6 {
            ipv4: lw4o6.ipv4,
            ports: lw4o6.ports,
            bind: lw4o6.bind_prefix,
            far: Endpoint::Addresses(lw4o6.lwaftr),
        }),
        softwire_options::Offer::Refused(code, why) => {
            Some(Candidate::Unsupported { name: code.to_string(), why: why.to_string() })
        }
    }
}

/// What is to be carried: what was decided; and while nobody says anything, what was before, as long as it is of this
/// line still.
fn plan(facts: &Facts, decision: &Decision, previous: Option<&Plan>) -> Option<Plan> {
    let is_of_this_line = |plan: &&Plan| match plan.local {
        Local::Address(end) => facts.may_have(end),
        Local::Own | Local::Token(_) => true,
    };
    let kept = previous.filter(is_of_this_line).filter(|_| !decision.is_nothing());
    decision.plan.as_ref().or(kept).cloned()
}

/// Our end of the tunnel.
fn end(local: Local, own: Option<Ipv6Addr>, prefix: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
    match local {
        Local::Own => own,
        Local::Address(address) => Some(address),
        Local::Token(token) => prefix.map(|prefix| join(prefix, token)),
    }
}

/// Every end of ours that may be spoken to: of prefixes that are on their way out, too.
pub(super) fn ends(facts: &Facts, plan: Option<&Plan>, end: Option<Ipv6Addr>) -> Vec<Ipv6Addr> {
    let in_use = facts.carried.as_ref().map(|carried| carried.local).filter(|&local| facts.may_have(local));
    let mut ends: Vec<Ipv6Addr> = end.into_iter().chain(in_use).collect();
    if let Some(Local::Token(token)) = plan.map(|plan| plan.local) {
        let advertised = facts.line.prefixes.iter().filter(|prefix| prefix.autonomous);
        ends.extend(advertised.map(|prefix| join(prefix.prefix, token)));
    }
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Where we are, once both addresses may be used and a router is there to ask by. Half of the way to other addresses
/// is no place to tell of: the WAN's own may have moved before the tunnel's end.
fn place(facts: &Facts, choice: &Choice, previous: Option<notification::Place>) -> Option<notification::Place> {
    let carried = facts.carried.as_ref();
    let moves = |(from, to): (Ipv6Addr, Ipv6Addr)| from != to && !facts.taken.contains_key(&to);
    if carried.map(|carried| carried.local).zip(choice.end).is_some_and(moves) {
        return previous;
    }
    facts.line.default_router().filter(|_| facts.link_up)?;
    // Not before the WAN's own address is ready too: else the place would be another a moment later.
    let wan = match choice.own {
        Some(own) => Some(own).filter(|&address| facts.is_ready(address)),
        None => choice.source,
    };
    let carried = carried?;
    Some(notification::Place { ce: carried.local, wan: wan?, ipv4: carried.plan.outside.map(|outside| outside.ipv4) })
}

/// The prefix of an address.
pub(super) fn upper_half(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)
}

/// The upper half of one, the lower of the other.
fn join(prefix: Ipv6Addr, token: Token) -> Ipv6Addr {
    Ipv6Addr::from_bits(upper_half(prefix).to_bits() | u128::from(token.bits()))
}

pub(super) const PROVISIONING_ASKED: &str = "the line's provisioning server is asked";
