//! Finding out which service the line has: what is known, and who has to be asked for it.

use std::time::Duration;

use hikyaku_net::{Prefix6, Time};
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::dhcpv6;
use hikyaku_protocols::dns::{QueryId, RecordType};
use hikyaku_protocols::service::{
    Candidate, Decision, Known, Outcome, Probe, Said, Step, Unresolved, Wish, choose, closed_network,
};
use hikyaku_protocols::slaac::LineFacts;
use hikyaku_protocols::softwire_options;

use super::provisioning::Provisioning;
use super::resolver::NameAnswer;
use super::wan::Wan;
use crate::config::Dhcpv6Mode;

/// How long a DHCPv6 server may take before the line counts as one without: Solicit is sent four times by then.
const DHCPV6_PATIENCE: Duration = Duration::from_secs(15);

/// What is to be done, and how that came to be known.
pub(super) struct Chooser {
    /// What the user wants.
    pub wish: Wish,
    /// As it is now.
    pub decision: Decision,
    probe: Probe,
    asked: Vec<(QueryId, &'static str)>,
    unresolved: Unresolved,
    asked_again: Vec<(QueryId, String)>,
    pub provisioning: Option<Provisioning>,
    patience: Patience,
    prefixes: Vec<Prefix6>,
    resolvers: Vec<std::net::IpAddr>,
}

/// How the DHCPv6 server is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It has answered, or there is no line to ask on.
    Unneeded,
    /// Until then.
    Until(Time),
    /// It counts as silent.
    Over,
}

impl Chooser {
    pub fn new(wish: Wish, provisioning: Option<Provisioning>) -> Self {
        Self {
            wish,
            decision: Decision::default(),
            probe: Probe::default(),
            asked: Vec::new(),
            unresolved: Unresolved::default(),
            asked_again: Vec::new(),
            provisioning,
            patience: Patience::Unneeded,
            prefixes: Vec::new(),
            resolvers: Vec::new(),
        }
    }

    /// Takes note of what the line says now. `lacking`: [`super::tunnel::Tunnel::lacking`]. True if the decision is
    /// another.
    pub fn step(
        &mut self,
        now: Time,
        wan: &mut Wan,
        facts: &LineFacts,
        lacking: Option<(Vec<String>, String)>,
    ) -> bool {
        self.note_line(now, wan, facts);
        self.unresolved.note(now, lacking);
        self.ask(now, wan, facts);
        // Nothing outside can be reached from a closed network. Only who names the far end may know one inside.
        let closed = wan.prefix(facts).is_some_and(closed_network) && self.wish.far.is_none();
        let known = self.known(now, wan, facts);
        self.unresolved.keep(|name| known.says(name));
        let decision = if closed { Decision::default() } else { choose(&self.wish, &known) };
        let changed = decision != self.decision;
        if changed {
            tell(&self.decision.steps, &decision.steps);
            self.decision = decision;
        }
        changed
    }

    fn note_line(&mut self, now: Time, wan: &Wan, facts: &LineFacts) {
        let prefixes = wan.end_user_prefixes(facts);
        let resolvers = if wan.source.is_some() { wan.resolvers(facts) } else { Vec::new() };
        self.patience = match self.patience {
            _ if wan.is_informed() || facts.default_router().is_none() => Patience::Unneeded,
            Patience::Unneeded => Patience::Until(now + DHCPV6_PATIENCE),
            Patience::Until(end) if end <= now => Patience::Over,
            patience => patience,
        };
        if (&prefixes, &resolvers) != (&self.prefixes, &self.resolvers) {
            // Another line, perhaps another provider.
            (self.prefixes, self.resolvers) = (prefixes, resolvers);
            self.probe.line_changed();
            self.unresolved.line_changed();
        }
    }

    /// Asks those whom the decision needs.
    fn ask(&mut self, now: Time, wan: &mut Wan, facts: &LineFacts) {
        let can_ask = !self.resolvers.is_empty();
        self.probe.set_active(self.decision.asks_names && can_ask);
        while let Some(name) = self.probe.poll(now) {
            self.asked.push((wan.resolver.ask(now, name, RecordType::Aaaa), name));
        }
        while let Some(name) = self.unresolved.poll(now) {
            self.asked_again.push((wan.resolver.ask(now, &name, RecordType::Aaaa), name));
        }
        if let Some(provisioning) = &mut self.provisioning {
            let asks = self.decision.asks_provisioning && can_ask;
            let from = wan.own_address(facts).filter(|&address| asks && wan.is_ready(address));
            provisioning.step(now, wan, from);
        }
    }

    fn known(&self, now: Time, wan: &Wan, facts: &LineFacts) -> Known {
        let information = wan.dhcp6.information();
        let offers = softwire_options::offers(information);
        // Only where both are there.
        let prefers_s46 =
            matches!(offers.first(), Some(softwire_options::Offer::Softwire(_))) && information.aftr_name.is_some();
        let softwires: Vec<Candidate> = offers.into_iter().filter_map(candidate).collect();
        let option64 = match &information.aftr_name {
            Some(name) => Said::Said(name.clone()),
            None => self.unsaid(wan, facts, "the server names no AFTR"),
        };
        let s46 = match softwires.is_empty() {
            false => Said::Said(softwires),
            true => self.unsaid(wan, facts, "the server has no softwire options"),
        };
        let provisioning = match &self.provisioning {
            Some(provisioning) => self.asked(provisioning.said(now, wan.own_address(facts))),
            None => Said::Nothing("switched off".into()),
        };
        let names = self.asked(self.probe.said());
        let unresolved = self.unresolved.given_up();
        Known { prefixes: self.prefixes.clone(), option64, s46, prefers_s46, provisioning, names, unresolved }
    }

    /// Why the DHCPv6 server has not said something. `nothing`: because it does not.
    fn unsaid<T>(&self, wan: &Wan, facts: &LineFacts, nothing: &str) -> Said<T> {
        if wan.is_informed() {
            return Said::Nothing(nothing.into());
        }
        if wan.dhcpv6_mode == Dhcpv6Mode::Off {
            return Said::Nothing("switched off".into());
        }
        if facts.default_router().is_none() {
            return Said::Waiting("no router yet".into());
        }
        if wan.dhcp6.state() == dhcpv6::State::Off && !facts.managed && !facts.other {
            return Said::Nothing("the router says that there is no server".into());
        }
        match self.patience {
            Patience::Over => Said::Silent("no server answers".into()),
            _ => Said::Waiting("the server has not answered yet".into()),
        }
    }

    /// Nobody is asked without resolvers.
    fn asked<T>(&self, said: Said<T>) -> Said<T> {
        match said {
            Said::Waiting(_) if self.resolvers.is_empty() => {
                Said::Waiting("no resolver yet, or no address to ask it from".into())
            }
            said => said,
        }
    }

    /// The end of a question.
    pub fn answered(&mut self, now: Time, answer: &NameAnswer) {
        if let Some(at) = self.asked.iter().position(|(query, _)| *query == answer.query) {
            let (_, name) = self.asked.swap_remove(at);
            self.probe.answered(name, &answer.result);
        }
        if let Some(at) = self.asked_again.iter().position(|(query, _)| *query == answer.query) {
            let (_, name) = self.asked_again.swap_remove(at);
            self.unresolved.answered(&name, &answer.result);
        }
        if let Some(provisioning) = &mut self.provisioning {
            provisioning.answered(now, answer);
        }
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        let patience = match self.patience {
            Patience::Until(end) => Some(end),
            Patience::Unneeded | Patience::Over => None,
        };
        let provisioning = self.provisioning.as_ref().and_then(Provisioning::next);
        [patience, self.probe.next(), self.unresolved.next(), provisioning].into_iter().flatten().min()
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

/// Logs the steps that came out differently than before. What is waited for is in the line's state, which is logged
/// too.
fn tell(before: &[Step], after: &[Step]) {
    for step in after.iter().filter(|step| !before.contains(step)) {
        match step.outcome {
            Outcome::Waiting => {}
            Outcome::Unusable => tracing::warn!("service: {step}"),
            Outcome::Silent | Outcome::Nothing | Outcome::Chosen => tracing::info!("service: {step}"),
        }
    }
}
