//! The message of each phase (RFC 8415 18.2.1 to 18.2.8).

use dhcproto::v6::MessageType;
use hikyaku_net::Time;

use super::Client;
use super::phase::{Offer, Phase};
use crate::dhcpv6::exchange::Exchange;
use crate::dhcpv6::lease::Held;
use crate::dhcpv6::outgoing::{Associations, Outgoing};
use crate::dhcpv6::{Failure, Output, SERVERS, State, Want};

/// After so many unanswered messages a person is told: half a minute.
const SILENCE: u32 = 5;

impl Client {
    /// Sends the phase's message.
    pub(super) fn send(&mut self, now: Time) {
        let Some(exchange) = self.phase.exchange() else { return };
        let (kind, associations) = match &self.phase {
            Phase::Off | Phase::Bound => return,
            Phase::Soliciting(..) => (MessageType::Solicit, self.solicited()),
            Phase::Requesting(_, offers) => (MessageType::Request, self.requested(&offers[0])),
            Phase::Renewing(_) => (MessageType::Renew, self.leased()),
            Phase::Rebinding(_) => (MessageType::Rebind, self.leased()),
            // RFC 8415 18.2.12: where prefixes are delegated a Rebind stands for the Confirm.
            Phase::Verifying(..) => match &self.held {
                Some(only) if only.prefixes.is_empty() => (MessageType::Confirm, self.named(only)),
                _ => (MessageType::Rebind, self.leased()),
            },
            Phase::Declining(_, declined) => (MessageType::Decline, self.named(declined)),
            Phase::Releasing(_, given) => (MessageType::Release, self.named(given)),
        };
        let payload = self.message(now, kind, exchange, associations);
        let in_silence = kind == MessageType::Solicit && exchange.sent == SILENCE;
        self.send_payload(payload, in_silence);
    }

    /// Sends an Information-request.
    pub(super) fn send_inquiry(&mut self, now: Time) {
        let Some(exchange) = self.inquiry.exchange() else { return };
        let payload = self.message(now, MessageType::InformationRequest, exchange, Associations::default());
        let in_silence = exchange.sent == SILENCE;
        self.send_payload(payload, in_silence);
    }

    fn send_payload(&mut self, payload: Vec<u8>, in_silence: bool) {
        self.counts.sent += 1;
        self.out.push_back(Output::Send { to: SERVERS, payload });
        // One that refuses, or tells everything else, is not silent.
        if in_silence && self.refused.is_none() && self.inquiry.state() != Some(State::Informed) {
            self.tell(self.ignored.map_or(Failure::Silence(SILENCE), Failure::Ignored));
        }
    }

    fn message(&self, now: Time, kind: MessageType, exchange: &Exchange, associations: Associations) -> Vec<u8> {
        let of_phase = kind != MessageType::InformationRequest;
        let message = Outgoing {
            kind,
            xid: exchange.xid,
            elapsed: exchange.elapsed(now),
            client: &self.duid,
            server: self.phase.server(self.held.as_ref()).filter(|_| of_phase),
            associations,
            rapid_commit: self.config.rapid_commit,
            reconfigure: self.config.reconfigure,
        };
        message.bytes()
    }

    pub(super) fn wants_prefix(&self) -> bool {
        self.config.want != Want::Address
    }

    pub(super) fn wants_address(&self) -> bool {
        self.config.want != Want::Prefix
    }

    /// The leases of before, which a server may give again (RFC 8415 18.2.1).
    pub(super) fn before(&self) -> Option<&Held> {
        self.held.as_ref().or(self.last.as_ref())
    }

    /// As they are solicited: the prefix of before, else the length that the user wants, are no more than hints.
    fn solicited(&self) -> Associations {
        let before = self.before().and_then(|held| held.delegated().first().copied());
        Associations {
            iaid: self.config.iaid,
            pd: self.wants_prefix().then(|| before.into_iter().collect()),
            length: self.config.prefix_len,
            na: self.wants_address().then(Vec::new),
        }
    }

    /// As a server offered them.
    fn requested(&self, offer: &Offer) -> Associations {
        Associations {
            iaid: self.config.iaid,
            pd: self.wants_prefix().then(|| offer.prefixes.clone()),
            length: self.config.prefix_len,
            na: (self.wants_address() || !offer.addresses.is_empty()).then(|| offer.addresses.clone()),
        }
    }

    /// As they are renewed: all that is held, and what is wanted and not held yet.
    fn leased(&self) -> Associations {
        let (prefixes, addresses) =
            self.held.as_ref().map_or_else(Default::default, |held| (held.delegated(), held.assigned()));
        Associations {
            iaid: self.config.iaid,
            pd: Some(prefixes).filter(|prefixes| self.wants_prefix() || !prefixes.is_empty()),
            length: self.config.prefix_len,
            na: Some(addresses).filter(|addresses| self.wants_address() || !addresses.is_empty()),
        }
    }

    /// Those of `held` and nothing else: to confirm, decline or release them.
    fn named(&self, held: &Held) -> Associations {
        Associations {
            iaid: self.config.iaid,
            pd: Some(held.delegated()).filter(|prefixes| !prefixes.is_empty()),
            length: None,
            na: Some(held.assigned()).filter(|addresses| !addresses.is_empty()),
        }
    }
}
