//! The message of each state (RFC 8415 18.2.1 to 18.2.8).

use dhcproto::v6::MessageType;
use hikyaku_net::Time;

use super::Client;
use super::phase::Phase;
use crate::dhcpv6::lease::Held;
use crate::dhcpv6::outgoing::{Associations, Outgoing};
use crate::dhcpv6::{Failure, Output, SERVERS, Want};

/// After so many unanswered messages a person is told: half a minute.
const SILENCE: u32 = 5;

impl Client {
    /// Sends the state's message.
    pub(super) fn send(&mut self, now: Time) {
        let held = |held: Option<&Held>| Associations {
            pd: held.filter(|h| self.wants_prefix() || !h.prefixes.is_empty()).map(Held::delegated),
            na: held.filter(|h| self.wants_address() || !h.addresses.is_empty()).map(Held::assigned),
            ..self.associations()
        };
        let nothing = Associations::default;
        let (exchange, kind, server, associations) = match &self.phase {
            Phase::Off | Phase::Bound | Phase::Informed => return,
            Phase::Soliciting(exchange, _) => (exchange, MessageType::Solicit, None, self.associations()),
            Phase::Requesting(exchange, offers) => {
                let offer = &offers[0];
                let associations = Associations {
                    pd: self.wants_prefix().then(|| offer.prefixes.clone()),
                    na: (self.wants_address() || !offer.addresses.is_empty()).then(|| offer.addresses.clone()),
                    ..self.associations()
                };
                (exchange, MessageType::Request, Some(&offer.server), associations)
            }
            Phase::Renewing(exchange) => {
                let server = self.held.as_ref().map(|held| &held.server);
                (exchange, MessageType::Renew, server, held(self.held.as_ref()))
            }
            Phase::Rebinding(exchange) => (exchange, MessageType::Rebind, None, held(self.held.as_ref())),
            // RFC 8415 18.2.12: where prefixes are delegated a Rebind stands for the Confirm.
            Phase::Verifying(exchange) => match &self.held {
                Some(only) if only.prefixes.is_empty() => {
                    let na = Some(only.assigned());
                    let iaid = self.config.iaid;
                    (exchange, MessageType::Confirm, None, Associations { iaid, na, ..nothing() })
                }
                some => (exchange, MessageType::Rebind, None, held(some.as_ref())),
            },
            Phase::Declining(exchange, declined) => {
                let associations = Associations { iaid: self.config.iaid, na: Some(declined.assigned()), ..nothing() };
                (exchange, MessageType::Decline, Some(&declined.server), associations)
            }
            Phase::Releasing(exchange, given) => {
                let associations = Associations {
                    iaid: self.config.iaid,
                    pd: Some(given.delegated()).filter(|prefixes| !prefixes.is_empty()),
                    na: Some(given.assigned()).filter(|addresses| !addresses.is_empty()),
                    hint: None,
                };
                (exchange, MessageType::Release, Some(&given.server), associations)
            }
            Phase::Asking(exchange) => (exchange, MessageType::InformationRequest, None, nothing()),
        };
        let message = Outgoing {
            kind,
            xid: exchange.xid,
            elapsed: exchange.elapsed(now),
            client: &self.duid,
            server,
            associations,
            rapid_commit: self.config.rapid_commit,
            reconfigure: self.config.reconfigure,
        };
        let payload = message.bytes();
        let sent = exchange.sent;
        self.counts.sent += 1;
        self.out.push_back(Output::Send { to: SERVERS, payload });
        if sent == SILENCE && matches!(self.phase, Phase::Soliciting(..) | Phase::Asking(_)) {
            self.tell(Failure::Silence(sent));
        }
    }

    pub(super) fn wants_prefix(&self) -> bool {
        self.config.want != Want::Address
    }

    pub(super) fn wants_address(&self) -> bool {
        self.config.want != Want::Prefix
    }

    /// Empty ones, as they are solicited.
    fn associations(&self) -> Associations {
        Associations {
            iaid: self.config.iaid,
            pd: self.wants_prefix().then(Vec::new),
            hint: self.config.prefix_len,
            na: self.wants_address().then(Vec::new),
        }
    }
}
