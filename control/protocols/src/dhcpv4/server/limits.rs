//! How many messages are heard. Anybody can send thousands of them.

use hikyaku_net::Time;

use super::super::wire::Request;
use crate::answer_limits::{AnswerLimits, LimitOfEach, Rate};

/// Messages of those that look for an address, and INFORM: of all stations, of those at one port of a switch that says so,
/// and of one.
pub(super) const SEEKERS: [Rate; 3] = [Rate(20, 40), Rate(10, 20), Rate(2, 8)];

/// Messages of those that have one: a flood of the others must not keep them from renewing.
pub(super) const HOLDERS: [Rate; 3] = [Rate(100, 200), Rate(50, 100), Rate(5, 20)];

/// How many messages of a kind are heard: those at one port of a switch first, then each station, then all.
#[derive(Debug)]
pub(super) struct Limits {
    ports: LimitOfEach,
    stations: AnswerLimits,
}

impl Limits {
    /// Full at first.
    pub fn new([all, port, station]: [Rate; 3]) -> Self {
        Self { ports: LimitOfEach::new(port), stations: AnswerLimits::new(all, station) }
    }

    /// Whether a message is heard now.
    pub fn take(&mut self, now: Time, request: &Request) -> bool {
        request.circuit.as_ref().is_none_or(|circuit| self.ports.take(now, circuit))
            && self.stations.take(now, request.mac)
    }
}
