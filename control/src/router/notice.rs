//! Telling the border router's operator where we are: the machine and its requests.

use hikyaku_config::Service;
use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::notification::{ConfigError, Event, Notifier, Output, Place};

use super::message_log;
use super::requests::Requests;
use super::resolver::Resolver;

/// What its lines in the log are found by.
const MACHINE: &str = "notification";

/// The machine of address notification, and the HTTP requests that it makes.
pub(super) struct Notice {
    pub machine: Notifier,
    requests: Requests,
}

impl Notice {
    /// `None`: nobody is to be told.
    pub fn new(config: &Service, requests: Requests) -> Result<Option<Self>, ConfigError> {
        let Some(config) = config.notification.clone() else { return Ok(None) };
        Ok(Some(Self { machine: Notifier::new(config)?, requests }))
    }

    /// We are here now, if anywhere.
    pub fn set_place(&mut self, now: Time, place: Option<Place>) {
        match place {
            Some(place) => self.machine.start(now, place),
            None => self.machine.stop(),
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
                Output::Request(request) => {
                    message_log::asked(MACHINE, &request);
                    self.requests.start(*request);
                }
                Output::Event(event) => match event {
                    Event::Accepted { .. } => tracing::info!(machine = MACHINE, "{event}"),
                    Event::Failed { .. } => tracing::warn!(machine = MACHINE, "{event}"),
                    Event::Refused { .. } => tracing::error!(machine = MACHINE, "{event}"),
                },
            }
        }
        self.requests.ask(now, resolver);
    }
}
