//! Telling the border router's operator where we are: the machine and its requests.

use hikyaku_config::Service;
use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::notification::{self, Notifier, Place};

use super::requests::Requests;
use super::resolver::Resolver;

/// Address notification.
pub(super) struct Notice {
    pub machine: Notifier,
    requests: Requests,
}

impl Notice {
    /// `None`: nobody is to be told.
    pub fn new(config: &Service, requests: Requests) -> Result<Option<Self>, notification::ConfigError> {
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

    /// Goes on.
    pub fn poll(&mut self, now: Time, resolver: &mut Resolver) {
        if let Some(result) = self.requests.finished() {
            self.machine.handle_response(now, result);
        }
        while let Some(output) = self.machine.drive(now) {
            match output {
                notification::Output::Request(request) => self.requests.start(*request),
                notification::Output::Event(event @ notification::Event::Accepted { .. }) => tracing::info!("{event}"),
                notification::Output::Event(event @ notification::Event::Failed { .. }) => tracing::warn!("{event}"),
                notification::Output::Event(event @ notification::Event::Refused { .. }) => tracing::error!("{event}"),
            }
        }
        self.requests.ask(now, resolver);
    }
}
