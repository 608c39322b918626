//! Asking the line's provisioning server (HB46PP): the machine, its questions, and what it says in terms of services.

use std::net::Ipv6Addr;

use hikyaku_net::Time;
use hikyaku_protocols::dns::QueryId;
use hikyaku_protocols::hb46pp::{self, Offer, Place, Provision, State, Technology};
use hikyaku_protocols::service::{Candidate, Said};
use hikyaku_protocols::sockets::Wake;

use super::requests::Requests;
use super::resolver::NameAnswer;
use super::wan::Wan;

/// Provisioning.
pub(super) struct Provisioning {
    pub machine: Provision,
    requests: Requests,
    asked: Option<QueryId>,
    /// The prefix that was asked from last.
    line: Option<Ipv6Addr>,
    /// What a restart must not lose is other than what was saved.
    pub changed: bool,
}

impl Provisioning {
    pub fn new(machine: Provision, wan: &Wan, wake: Wake) -> Self {
        Self { machine, requests: Requests::new(wan, wake), asked: None, line: None, changed: false }
    }

    /// Goes on. `from`: the address to ask from, if it is to be asked. Servers answer by that: what they say is for
    /// its prefix.
    pub fn step(&mut self, now: Time, wan: &mut Wan, from: Option<Ipv6Addr>) {
        match from {
            Some(from) => {
                let prefix = upper_half(from);
                self.line = Some(prefix);
                self.machine.start(now, Place { prefix, from });
            }
            None => self.machine.stop(now),
        }
        if let Some(result) = self.requests.finished() {
            self.machine.finished(now, result);
        }
        while let Some(output) = self.machine.poll(now) {
            match output {
                hb46pp::Output::Query(name, kind) => self.asked = Some(wan.resolver.ask(now, name, kind)),
                hb46pp::Output::Request(request) => self.requests.start(*request),
                hb46pp::Output::Event(event) if event.is_warning() => tracing::warn!("{event}"),
                hb46pp::Output::Event(event) => tracing::info!("{event}"),
                hb46pp::Output::Save => self.changed = true,
                // What it offers is read off it at every step.
                hb46pp::Output::Changed => {}
            }
        }
        self.requests.ask(now, wan);
    }

    /// The end of a question.
    pub fn answered(&mut self, now: Time, answer: &NameAnswer) {
        if self.asked == Some(answer.query) {
            self.asked = None;
            self.machine.resolved(now, &answer.result);
        }
        self.requests.answered(answer);
    }

    /// What the server says that this line can have. `own`: our address on it, if there is one.
    pub fn said(&self, now: Time, own: Option<Ipv6Addr>) -> Said<Vec<Candidate>> {
        let Some(own) = own else { return Said::Waiting("there is no address to ask from yet".into()) };
        // What it said was for another line.
        if self.line != Some(upper_half(own)) {
            return Said::Waiting(ASKED.into());
        }
        let why = |state: State| self.machine.status(now).last_error.unwrap_or_else(|| state.to_string());
        match (self.machine.state(), self.machine.offer()) {
            // Also while the line is gone for a moment: what it was offered is not.
            (_, Some(offer)) if !offer.order.is_empty() || !offer.refused.is_empty() => Said::Said(candidates(offer)),
            (state, Some(_)) => Said::Nothing(state.to_string()),
            (State::Idle | State::Asking, None) => Said::Waiting(ASKED.into()),
            (state @ State::Failing, None) => Said::Silent(why(state)),
            (state, None) => Said::Nothing(why(state)),
        }
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        self.machine.next()
    }
}

const ASKED: &str = "the line's provisioning server is asked";

fn upper_half(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)
}

/// In the order in which the server wants them tried; what makes no sense comes last, with its reason.
fn candidates(offer: &Offer) -> Vec<Candidate> {
    let refused = offer
        .refused
        .iter()
        .map(|refusal| Candidate::Unsupported { name: refusal.technology.into(), why: refusal.why.clone() });
    offer.order.iter().map(candidate).chain(refused).collect()
}

fn candidate(technology: &Technology) -> Candidate {
    match technology {
        Technology::Dslite(aftr) => Candidate::Dslite(aftr.clone()),
        Technology::Ipip(ipip) => Candidate::Ipip { ipv4: ipip.address, local: Some(ipip.local), far: ipip.remote },
        Technology::MapE(domain) => Candidate::MapE(domain.clone()),
        Technology::Lw4o6(lw4o6) => Candidate::Lw4o6 {
            ipv4: lw4o6.ipv4,
            ports: lw4o6.ports,
            bind: lw4o6.bind_prefix,
            far: lw4o6.lwaftr.clone(),
        },
        Technology::Unsupported(name) => {
            Candidate::Unsupported { name: name.clone(), why: "this program cannot do it".into() }
        }
    }
}
