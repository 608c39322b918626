//! What is chosen of what the line offers: what of it is used, the service, our end of the tunnel. The same facts give
//! the same choice; what was chosen before counts only where a rule says so.

use std::net::Ipv6Addr;

use hikyaku_config::Config;
use hikyaku_protocols::notification;
use hikyaku_protocols::service::{self, Decision, Local, Plan, closed_network};
use hikyaku_protocols::slaac::Token;

use super::evidence::Evidence;
use super::facts::Facts;
use super::known::known;
use super::lan_ipv6::{LanIpv6, lans_ipv6};
use super::uplink::{Uplink, uplink, upper_half};

/// What follows from the facts and from the choice before: prefix, end of the tunnel, service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// What of the line is used.
    pub uplink: Uplink,
    /// The service, and how that came to be known.
    pub decision: Decision,
    /// What is to be carried. Who is silent takes nothing back: it may be of an earlier decision.
    pub plan: Option<Plan>,
    /// Our end of the tunnel as it is to be, if the line gives what it is made from.
    pub end: Option<Ipv6Addr>,
    /// Where the border router's operator is told that we are.
    pub place: Option<notification::Place>,
    /// What hosts of each LAN have of the line's IPv6, by the LANs' numbers.
    pub lans: Vec<LanIpv6>,
    /// Names of far ends that the line still says, of those that were given up.
    pub given_up: Vec<String>,
    /// What speaks for the line being another.
    pub evidence: Evidence,
}

/// The choice that follows from the facts. `previous`: the one before.
pub(super) fn choose(config: &Config, facts: &Facts, previous: &Choice) -> Choice {
    let uplink = uplink(config, facts, &previous.uplink);
    if facts.leaving {
        let lans = vec![LanIpv6::default(); facts.lans.len()];
        return Choice { uplink, decision: previous.decision.clone(), lans, ..Choice::default() };
    }
    let evidence = previous.evidence.after(facts, uplink.router);
    let wish = &config.service.wish;
    let known = known(config, facts, &uplink);
    // Nothing outside can be reached from a closed network. Only who names the far end may know one inside.
    let is_closed = uplink.prefix.is_some_and(closed_network) && wish.far.is_none();
    let decision = if is_closed { Decision::default() } else { service::choose(wish, &known) };
    let plan = plan(facts, &decision, previous.plan.as_ref());
    let end = plan.as_ref().and_then(|plan| end(plan.local, &uplink));
    let given_up = known.unresolved.iter().map(|(name, _)| name.clone()).filter(|name| known.says(name)).collect();
    let lans = lans_ipv6(config, facts, &uplink, end, &previous.lans);
    Choice { place: place(facts, &uplink, end, previous.place), uplink, decision, plan, end, lans, given_up, evidence }
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
fn end(local: Local, uplink: &Uplink) -> Option<Ipv6Addr> {
    match local {
        Local::Own => uplink.own,
        Local::Address(address) => Some(address),
        Local::Token(token) => uplink.prefix.map(|prefix| join(prefix, token)),
    }
}

/// Every end of ours that may be spoken to: of prefixes that are on their way out, too.
pub(super) fn ends(facts: &Facts, plan: Option<&Plan>, end: Option<Ipv6Addr>) -> Vec<Ipv6Addr> {
    let in_use = facts.carried.as_ref().map(|carried| carried.local).filter(|&local| facts.may_have(local));
    let mut ends: Vec<Ipv6Addr> = end.into_iter().chain(in_use).collect();
    if let Some(Local::Token(token)) = plan.map(|plan| plan.local) {
        let advertised = facts.slaac.prefixes.iter().filter(|prefix| prefix.autonomous);
        ends.extend(advertised.map(|prefix| join(prefix.prefix, token)));
    }
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Where we are, once both addresses may be used and a router is there to ask by. Half of the way to other addresses
/// is no place to tell of: the WAN's own may have moved before the tunnel's end.
fn place(
    facts: &Facts,
    uplink: &Uplink,
    end: Option<Ipv6Addr>,
    previous: Option<notification::Place>,
) -> Option<notification::Place> {
    let local = facts.carried.as_ref().map(|carried| carried.local);
    if local.zip(end).is_some_and(|(from, to)| from != to && !facts.taken.contains_key(&to)) {
        return previous;
    }
    facts.slaac.default_router().filter(|_| facts.link_up)?;
    // Not before the WAN's own address is ready too: else the place would be another a moment later.
    let wan = match uplink.own {
        Some(own) => Some(own).filter(|&address| facts.is_ready(address)),
        None => uplink.source,
    };
    let ipv4 = facts.carried.as_ref().and_then(|carried| carried.plan.outside).map(|outside| outside.ipv4);
    Some(notification::Place { ce: local?, wan: wan?, ipv4 })
}

/// The upper half of one, the lower of the other.
fn join(prefix: Ipv6Addr, token: Token) -> Ipv6Addr {
    Ipv6Addr::from_bits(upper_half(prefix).to_bits() | u128::from(token.bits()))
}

#[cfg(test)]
mod tests;
