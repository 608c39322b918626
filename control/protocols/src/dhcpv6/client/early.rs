//! Answers of another server than the one whose word is in use: whoever answers faster is not the one to be believed for it.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;

use super::Client;
use super::input::Asked;
use super::phase::Phase;
use crate::dhcpv6::duid::Duid;

/// How long such an answer waits for that of the server in use. RFC 8415 7.6 has clients wait for twice as long before they ask again.
const PATIENCE: Duration = Duration::from_millis(500);

/// An answer that waits.
#[derive(Debug)]
pub(super) struct Early {
    until: Time,
    /// To what: one to each is kept.
    asked: Asked,
    source: Ipv6Addr,
    payload: Vec<u8>,
}

impl Client {
    /// Whether this server's answer gives another one time. Verifying leases is asked of all servers (RFC 8415 18.2.4,
    /// 18.2.12), and so is everything else (18.2.6): the server in use is told from those that are not by its DUID alone.
    pub(super) fn gives_way(&self, asked: Asked, server: &Duid) -> bool {
        match (asked, &self.phase, &self.held) {
            (Asked::Information, ..) => self.inquiry.gives_way(server),
            (Asked::Leases, Phase::Verifying(..), Some(held)) => held.server != *server,
            // Soliciting, offers are compared; requesting and renewing, one may answer. Rebinding, that one has had its time.
            _ => false,
        }
    }

    /// Keeps an answer until the server in use has had its time. The first of others counts.
    pub(super) fn keep(&mut self, now: Time, asked: Asked, source: Ipv6Addr, payload: &[u8]) {
        if !self.early.iter().any(|early| early.asked == asked) {
            self.early.push(Early { until: now + PATIENCE, asked, source, payload: payload.to_vec() });
        }
    }

    /// When an answer has waited long enough.
    pub(super) fn early_due(&self) -> Option<Time> {
        self.early.iter().map(|early| early.until).min()
    }

    /// Hears one that has waited long enough; whether there was one. If the server in use has answered, it is to a message that is
    /// no longer under way.
    pub(super) fn hear_early(&mut self, now: Time) -> bool {
        let Some(at) = self.early.iter().position(|early| early.until <= now) else { return false };
        let Early { source, payload, .. } = self.early.swap_remove(at);
        let _ = self.hear(now, source, &payload, true);
        true
    }
}
