//! Asking the line's provisioning server (HB46PP): the machine, its questions, and what it says in terms of services.

use hikyaku_dataplane::time::Time;

use super::requests::Requests;
use super::resolver::NameAnswer;
use super::wan::Wan;
use crate::names::QueryId;
use crate::provision::{self, Offer, Place, Provision, State, Technology};
use crate::service::{Candidate, Said};
use crate::stack::Wake;

/// Provisioning.
pub(super) struct Provisioning {
    pub machine: Provision,
    requests: Requests,
    asked: Option<QueryId>,
    /// What a restart must not lose is other than what was saved.
    pub changed: bool,
}

impl Provisioning {
    pub fn new(machine: Provision, wan: &Wan, wake: Wake) -> Self {
        Self { machine, requests: Requests::new(wan, wake), asked: None, changed: false }
    }

    /// Goes on. `place`: where to ask from, if it is to be asked.
    pub fn step(&mut self, now: Time, wan: &mut Wan, place: Option<Place>) {
        match place {
            Some(place) => self.machine.start(now, place),
            None => self.machine.stop(now),
        }
        if let Some(result) = self.requests.finished() {
            self.machine.finished(now, result);
        }
        while let Some(output) = self.machine.poll(now) {
            match output {
                provision::Output::Query(name, kind) => self.asked = Some(wan.resolver.ask(now, name, kind)),
                provision::Output::Request(request) => self.requests.start(*request),
                provision::Output::Event(event) if event.is_warning() => tracing::warn!("{event}"),
                provision::Output::Event(event) => tracing::info!("{event}"),
                provision::Output::Save => self.changed = true,
                // What it offers is read off it at every step.
                provision::Output::Changed => {}
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

    /// What the server says that this line can have.
    pub fn said(&self, now: Time) -> Said<Vec<Candidate>> {
        match (self.machine.state(), self.machine.offer()) {
            // Idle: the line is gone for a moment, and what it was offered is not.
            (State::Offered | State::Kept | State::Idle, Some(offer)) => Said::Said(candidates(offer)),
            (State::Idle | State::Asking, _) => Said::Waiting("the line's provisioning server is asked".into()),
            (_, Some(offer)) if !offer.order.is_empty() || !offer.refused.is_empty() => Said::Said(candidates(offer)),
            (state, _) => {
                let why = self.machine.status(now).last_error;
                Said::Nothing(why.unwrap_or_else(|| state.to_string()))
            }
        }
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        self.machine.next()
    }
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
