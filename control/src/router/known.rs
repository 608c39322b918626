//! What is known of the service that the line has, as [`service::choose`](hikyaku_protocols::service::choose) is told
//! it: what was said, and of what was not said, why.

use hikyaku_config::{Config, Dhcpv6Mode};
use hikyaku_protocols::dhcpv6;
use hikyaku_protocols::service::{Candidate, Known, Probe, Said};
use hikyaku_protocols::softwire_options::{self, Offer, Softwire};

use super::facts::{Facts, PROVISIONING_ASKED};
use super::uplink::{Uplink, upper_half};

/// What is known of the service that the line has.
pub(super) fn known(config: &Config, facts: &Facts, uplink: &Uplink) -> Known {
    let information = &facts.dhcpv6.information;
    let offers = softwire_options::offers(information);
    // Only where both are there.
    let prefers_s46 = matches!(offers.first(), Some(Offer::Softwire(_))) && information.aftr_name.is_some();
    let softwires: Vec<Candidate> = offers.into_iter().filter_map(candidate).collect();
    // What the resolvers of another line said is of no use here.
    let is_of_this_line = facts.names.line == uplink.line;
    let names = if is_of_this_line { facts.names.known.clone() } else { Probe::default().said() };
    Known {
        prefixes: uplink.line.prefixes.clone(),
        option64: match &information.aftr_name {
            Some(name) => Said::Said(name.clone()),
            None => unsaid(config, facts, uplink, "the server names no AFTR"),
        },
        s46: match softwires.is_empty() {
            false => Said::Said(softwires),
            true => unsaid(config, facts, uplink, "the server has no softwire options"),
        },
        prefers_s46,
        provisioning: asked(uplink, provisioning(facts, uplink)),
        names: asked(uplink, names),
        unresolved: facts.names.unresolved.iter().filter(|_| is_of_this_line).cloned().collect(),
    }
}

/// Why the DHCPv6 server has not said something. `nothing`: because it does not.
fn unsaid<T>(config: &Config, facts: &Facts, uplink: &Uplink, nothing: &str) -> Said<T> {
    if facts.dhcpv6.is_informed() {
        return Said::Nothing(nothing.into());
    }
    if config.wan.dhcpv6.mode == Dhcpv6Mode::Off {
        return Said::Nothing("switched off".into());
    }
    if facts.slaac.default_router().is_none() {
        return Said::Waiting("no router yet".into());
    }
    if facts.dhcpv6.state == dhcpv6::State::Off && !facts.slaac.managed && !facts.slaac.other {
        return Said::Nothing("the router says that there is no server".into());
    }
    match (uplink.silent_from.is_some_and(|from| from <= facts.now), &facts.dhcpv6.ignored) {
        (true, None) => Said::Silent("no server answers".into()),
        (true, Some(why)) => Said::Silent(format!("what answers is ignored: {why}")),
        (false, _) => Said::Waiting("the server has not answered yet".into()),
    }
}

/// What the provisioning server says. Servers answer by the prefix that asks: what they said to another was for
/// another line.
fn provisioning(facts: &Facts, uplink: &Uplink) -> Said<Vec<Candidate>> {
    let Some(provisioned) = &facts.provisioning else { return Said::Nothing("switched off".into()) };
    let Some(own) = uplink.own else { return Said::Waiting("there is no address to ask from yet".into()) };
    match provisioned.prefix == Some(upper_half(own)) {
        true => provisioned.said.clone(),
        false => Said::Waiting(PROVISIONING_ASKED.into()),
    }
}

/// Nobody is asked without resolvers.
fn asked<T>(uplink: &Uplink, said: Said<T>) -> Said<T> {
    match said {
        Said::Waiting(_) if uplink.line.resolvers.is_empty() => {
            Said::Waiting("no resolver yet, or no address to ask it from".into())
        }
        said => said,
    }
}

/// What one of the DHCPv6 server's offers is as a softwire.
fn candidate(offer: Offer) -> Option<Candidate> {
    match offer {
        // Another step's.
        Offer::DsLite(_) => None,
        Offer::Softwire(Softwire::MapE(domain)) => Some(Candidate::MapE(domain)),
        Offer::Softwire(Softwire::Lw4o6(lw4o6)) => Some(Candidate::Lw4o6(lw4o6)),
        Offer::Refused(code, why) => Some(Candidate::Unsupported { name: code.to_string(), why: why.to_string() }),
    }
}
