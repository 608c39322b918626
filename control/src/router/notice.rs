//! Telling the border router's operator where we are: the machine and its requests.

use hikyaku_net::Time;
use hikyaku_protocols::notification::{self, Notify, Place};
use hikyaku_protocols::slaac::LineFacts;
use hikyaku_protocols::sockets::Wake;

use super::requests::Requests;
use super::resolver::NameAnswer;
use super::tunnel::Tunnel;
use super::wan::Wan;

/// Address notification.
pub(super) struct Notice {
    machine: Notify,
    requests: Requests,
}

impl Notice {
    pub fn new(config: notification::Config, wan: &Wan, wake: Wake) -> Result<Self, notification::ConfigError> {
        Ok(Self { machine: Notify::new(config)?, requests: Requests::new(wan, wake) })
    }

    /// We are here now, if anywhere.
    pub fn set_place(&mut self, now: Time, place: Option<Place>) {
        match place {
            Some(place) => self.machine.start(now, place),
            None => self.machine.stop(),
        }
    }

    /// Goes on.
    pub fn step(&mut self, now: Time, wan: &mut Wan) {
        if let Some(result) = self.requests.finished() {
            self.machine.finished(now, result);
        }
        while let Some(output) = self.machine.poll(now) {
            match output {
                notification::Output::Request(request) => self.requests.start(*request),
                notification::Output::Event(event @ notification::Event::Accepted { .. }) => tracing::info!("{event}"),
                notification::Output::Event(event @ notification::Event::Failed { .. }) => tracing::warn!("{event}"),
                notification::Output::Event(event @ notification::Event::Refused { .. }) => tracing::error!("{event}"),
            }
        }
        self.requests.ask(now, wan);
    }

    /// The end of a question.
    pub fn answered(&mut self, answer: &NameAnswer) {
        self.requests.answered(answer);
    }

    pub fn status(&self, now: Time) -> notification::Status {
        self.machine.status(now)
    }

    pub fn next(&self) -> Option<Time> {
        self.machine.next()
    }
}

/// Where we are, once both addresses may be used and a router is there to ask by.
pub(super) fn place(tunnel: &Tunnel, wan: &Wan, facts: &LineFacts) -> Option<Place> {
    facts.default_router().filter(|_| wan.up)?;
    // Not before the WAN's own address is ready too: else the place would be another a moment later.
    let own = match wan.own_address(facts) {
        Some(own) => Some(own).filter(|&address| wan.is_ready(address)),
        None => wan.source,
    };
    let ipv4 = tunnel.plan().and_then(|plan| plan.outside).map(|outside| outside.ipv4);
    Some(Place { ce: tunnel.local()?, wan: own?, ipv4 })
}
