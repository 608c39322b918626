//! Finding out which service the line has: what is known, and who has to be asked for it.

use std::time::Duration;

use hikyaku_dataplane::map::Prefix6;
use hikyaku_dataplane::time::Time;

use super::provisioning::Provisioning;
use super::resolver::NameAnswer;
use super::wan::Wan;
use crate::aftr::Endpoint;
use crate::dhcp6;
use crate::line::LineFacts;
use crate::names::{QueryId, RecordType};
use crate::provision::Place;
use crate::s46;
use crate::service::{Candidate, Decision, Known, Outcome, Probe, Said, Step, Wish, choose};

/// How long a DHCPv6 server may take before the line counts as one without: Solicit is sent four times by then.
const DHCPV6_PATIENCE: Duration = Duration::from_secs(15);

/// What is to be done, and how that came to be known.
pub(super) struct Chooser {
    wish: Wish,
    /// As it is now.
    pub decision: Decision,
    probe: Probe,
    asked: Vec<(QueryId, &'static str)>,
    pub provisioning: Option<Provisioning>,
    /// Since when the DHCPv6 server has been waited for.
    waiting: Option<Time>,
    prefixes: Vec<Prefix6>,
    resolvers: Vec<std::net::IpAddr>,
}

impl Chooser {
    pub fn new(wish: Wish, provisioning: Option<Provisioning>) -> Self {
        Self {
            wish,
            decision: Decision::default(),
            probe: Probe::default(),
            asked: Vec::new(),
            provisioning,
            waiting: None,
            prefixes: Vec::new(),
            resolvers: Vec::new(),
        }
    }

    /// Takes note of what the line says now. True if the decision is another.
    pub fn step(&mut self, now: Time, wan: &mut Wan, facts: &LineFacts) -> bool {
        self.note_line(now, wan, facts);
        let known = self.known(now, wan, facts);
        let decision = choose(&self.wish, &known);
        self.ask(now, wan, &decision);
        let changed = decision != self.decision;
        if changed {
            tell(&self.decision.steps, &decision.steps);
            self.decision = decision;
        }
        changed
    }

    /// Tells those who ask what they have to know of the line.
    fn note_line(&mut self, now: Time, wan: &Wan, facts: &LineFacts) {
        let prefixes = wan.end_user_prefixes(facts);
        let resolvers = if wan.source.is_some() { wan.resolvers(facts) } else { Vec::new() };
        let answered = informed(wan);
        match self.waiting {
            None if !answered && facts.default_router().is_some() => self.waiting = Some(now),
            Some(_) if answered => self.waiting = None,
            _ => {}
        }
        if (&prefixes, &resolvers) == (&self.prefixes, &self.resolvers) {
            return;
        }
        // Another line, perhaps another provider.
        (self.prefixes, self.resolvers) = (prefixes, resolvers);
        self.probe.line_changed();
    }

    fn ask(&mut self, now: Time, wan: &mut Wan, decision: &Decision) {
        let can_ask = !self.resolvers.is_empty();
        self.probe.set_active(decision.asks_names && can_ask);
        while let Some(name) = self.probe.poll(now) {
            self.asked.push((wan.resolver.ask(now, name, RecordType::Aaaa), name));
        }
        if let Some(provisioning) = &mut self.provisioning {
            let place = self.prefixes.first().zip(wan.source).filter(|_| decision.asks_provisioning && can_ask);
            let place = place.map(|(prefix, from)| Place { prefix: prefix.address(), from });
            provisioning.step(now, wan, place);
        }
    }

    fn known(&self, now: Time, wan: &Wan, facts: &LineFacts) -> Known {
        let information = wan.dhcp6.information();
        let server = |nothing: &str| match self.silence(now, wan, facts) {
            Some(said) => said,
            None => Said::Nothing(nothing.into()),
        };
        let option64 = match &information.aftr_name {
            Some(name) => Said::Said(name.clone()),
            None => server("the DHCPv6 server names no AFTR"),
        };
        let s46 = match s46_candidates(information) {
            candidates if candidates.is_empty() => match server("the DHCPv6 server has no softwire options") {
                Said::Waiting(why) => Said::Waiting(why),
                Said::Nothing(why) | Said::Said(why) => Said::Nothing(why),
            },
            candidates => Said::Said(candidates),
        };
        let asked = |said: Said<Vec<Candidate>>| match said {
            Said::Waiting(_) if self.resolvers.is_empty() => no_resolvers(),
            said => said,
        };
        let provisioning = match &self.provisioning {
            Some(provisioning) => asked(provisioning.said(now)),
            None => Said::Nothing("switched off".into()),
        };
        let names = match self.probe.said() {
            Said::Waiting(_) if self.resolvers.is_empty() => no_resolvers(),
            said => said,
        };
        let is_first = matches!(s46::offers(information).first(), Some(s46::Offer::Softwire(_)));
        let prefers_s46 = is_first && information.aftr_name.is_some();
        Known { prefixes: self.prefixes.clone(), option64, s46, prefers_s46, provisioning, names }
    }

    /// Why the DHCPv6 server has not said anything; `None` if it has.
    fn silence(&self, now: Time, wan: &Wan, facts: &LineFacts) -> Option<Said<String>> {
        if informed(wan) {
            return None;
        }
        let waiting = |why: &str| Some(Said::Waiting(why.into()));
        if facts.default_router().is_none() {
            return waiting("no router yet");
        }
        if wan.dhcp6.state() == dhcp6::State::Off && !facts.managed && !facts.other {
            return Some(Said::Nothing("the router says that there is no DHCPv6 server".into()));
        }
        match self.waiting {
            Some(since) if now.since(since) >= DHCPV6_PATIENCE => {
                Some(Said::Nothing("no DHCPv6 server answers".into()))
            }
            _ => waiting("the DHCPv6 server has not answered yet"),
        }
    }

    /// The end of a question.
    pub fn answered(&mut self, now: Time, answer: &NameAnswer) {
        if let Some(at) = self.asked.iter().position(|(query, _)| *query == answer.query) {
            let (_, name) = self.asked.swap_remove(at);
            self.probe.answered(name, &answer.result);
        }
        if let Some(provisioning) = &mut self.provisioning {
            provisioning.answered(now, answer);
        }
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        let patience = self.waiting.map(|since| since + DHCPV6_PATIENCE);
        [patience, self.probe.next(), self.provisioning.as_ref().and_then(Provisioning::next)]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Whether a DHCPv6 server has said what it has to say.
fn informed(wan: &Wan) -> bool {
    use dhcp6::State::{Bound, Informed, Rebinding, Renewing};
    matches!(wan.dhcp6.state(), Bound | Renewing | Rebinding | Informed)
        || *wan.dhcp6.information() != dhcp6::Information::default()
}

fn no_resolvers<T>() -> Said<T> {
    Said::Waiting("the line has named no resolvers yet".into())
}

/// What the server's softwire options say that the line can have.
fn s46_candidates(information: &dhcp6::Information) -> Vec<Candidate> {
    let candidate = |offer| match offer {
        // Another step's.
        s46::Offer::DsLite(_) => None,
        s46::Offer::Softwire(s46::Softwire::MapE(domain)) => Some(Candidate::MapE(domain)),
        s46::Offer::Softwire(s46::Softwire::Lw4o6(lw4o6)) => Some(Candidate::Lw4o6 {
            ipv4: lw4o6.ipv4,
            ports: lw4o6.ports,
            bind: lw4o6.bind_prefix,
            far: Endpoint::Addresses(lw4o6.lwaftr),
        }),
        s46::Offer::Refused(code, why) => Some(Candidate::Unsupported { name: code.to_string(), why: why.to_string() }),
    };
    s46::offers(information).into_iter().filter_map(candidate).collect()
}

/// Logs the steps that came out differently than before.
fn tell(before: &[Step], after: &[Step]) {
    for step in after.iter().filter(|step| !before.contains(step)) {
        match step.outcome {
            Outcome::Unusable => tracing::warn!("service: {step}"),
            _ => tracing::info!("service: {step}"),
        }
    }
}
