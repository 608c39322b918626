//! Asking the line's provisioning server (HB46PP): the machine, its questions, and what it says in terms of services.

use std::net::Ipv6Addr;

use hikyaku_config::Service;
use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::dns::{Failure, QueryId, Records};
use hikyaku_protocols::hb46pp::{self, Client, Offer, Place, Saved, State, Technology};
use hikyaku_protocols::service::{Candidate, Said};

use super::facts::{PROVISIONING_ASKED, Provisioned};
use super::message_log;
use super::requests::Requests;
use super::resolver::{Asker, Resolver};

/// What its lines in the log are found by.
const MACHINE: &str = "hb46pp";

/// The client of the line's provisioning server (HB46PP), its names and HTTP requests.
pub(super) struct Provisioning {
    pub machine: Client,
    requests: Requests,
    asked: Option<QueryId>,
    /// The prefix that was asked from last.
    prefix: Option<Ipv6Addr>,
    /// What a restart must not lose is other than what was saved.
    pub changed: bool,
}

impl Provisioning {
    /// With what was `saved`, as of `wall`. `None`: the server is not to be asked.
    pub fn new(config: &Service, now: Time, wall: u64, saved: Option<Saved>, requests: Requests) -> Option<Self> {
        let mut machine = Client::new(config.provisioning.clone()?);
        if let Some(saved) = saved {
            machine.resume(now, wall, &saved);
        }
        Some(Self { machine, requests, asked: None, prefix: None, changed: false })
    }

    /// Where to ask from, if the server is to be asked.
    pub fn set_place(&mut self, now: Time, place: Option<Place>) {
        match place {
            Some(place) => {
                self.prefix = Some(place.prefix);
                self.machine.start(now, place);
            }
            None => self.machine.stop(now),
        }
    }

    /// Gives the machine its answers, carries out what it wants, logs what it found out.
    pub fn poll(&mut self, now: Time, resolver: &mut Resolver) {
        if let Some(result) = self.requests.finished() {
            message_log::answered(MACHINE, &result);
            self.machine.handle_response(now, result);
        }
        while let Some(output) = self.machine.drive(now) {
            match output {
                hb46pp::Output::Query(name, kind) => {
                    self.asked = Some(resolver.ask(now, name, kind, Asker::Provisioning));
                }
                hb46pp::Output::Request(request) => {
                    message_log::asked(MACHINE, &request);
                    self.requests.start(*request);
                }
                hb46pp::Output::Event(event) if event.is_warning() => tracing::warn!(machine = MACHINE, "{event}"),
                hb46pp::Output::Event(event) => tracing::info!(machine = MACHINE, "{event}"),
                hb46pp::Output::Save => self.changed = true,
                // What it offers is read off it at every step.
                hb46pp::Output::Changed => {
                    tracing::trace!(machine = MACHINE, content = ?self.machine.offer(), "what the server offers");
                }
            }
        }
        self.requests.ask(now, resolver);
    }

    /// The end of a question. Nobody waits for those before the last.
    pub fn answered(&mut self, now: Time, query: QueryId, result: &Result<Records, Failure>) {
        if self.asked.take_if(|asked| *asked == query).is_some() {
            self.machine.handle_answer(now, result);
        }
    }

    /// What the server says.
    pub fn facts(&self, now: Time) -> Provisioned {
        let why = |state: State| self.machine.status(now).last_error.unwrap_or_else(|| state.to_string());
        let said = match (self.machine.state(), self.machine.offer()) {
            // Also while the line is gone for a moment: what it was offered is not.
            (_, Some(offer)) if !offer.order.is_empty() || !offer.refused.is_empty() => Said::Said(candidates(offer)),
            (state, Some(_)) => Said::Nothing(state.to_string()),
            (State::Idle | State::Asking, None) => Said::Waiting(PROVISIONING_ASKED.into()),
            (state @ State::Failing, None) => Said::Silent(why(state)),
            (state, None) => Said::Nothing(why(state)),
        };
        Provisioned { prefix: self.prefix, said }
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
        Technology::Lw4o6(lw4o6) => Candidate::Lw4o6(lw4o6.clone()),
        Technology::Unsupported(name) => {
            Candidate::Unsupported { name: name.clone(), why: "this program cannot do it".into() }
        }
    }
}
