//! What a client makes of what it hears (RFC 8415 16, 18.2.9 to 18.2.11).

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::{MessageType, OptionCode, Status};
use hikyaku_net::Time;

use super::phase::{Offer, Phase};
use super::{Client, REFRESH, SHORTEST_REFRESH};
use crate::dhcpv6::duid::Duid;
use crate::dhcpv6::exchange::Schedule;
use crate::dhcpv6::information::Information;
use crate::dhcpv6::lease::{Given, Held};
use crate::dhcpv6::reconfigure::Key;
use crate::dhcpv6::wire::{Association, Incoming};
use crate::dhcpv6::{Event, Mode, State};

/// Most servers that are kept in reserve.
const MOST_OFFERS: usize = 8;

/// SOL_MAX_RT and INF_MAX_RT that count, seconds (RFC 8415 21.24, 21.25).
const MAX_RT_RANGE: std::ops::RangeInclusive<u32> = 60..=86_400;

impl Client {
    /// A UDP payload that came to our port from `source`. What is wrong is counted and changes nothing.
    pub fn handle_input(&mut self, now: Time, source: Ipv6Addr, payload: &[u8]) {
        if !source.is_unicast_link_local() {
            self.counts.not_link_local += 1;
            return;
        }
        let Ok(incoming) = Incoming::read(payload) else {
            self.counts.malformed += 1;
            return;
        };
        match incoming.message.msg_type() {
            MessageType::Reconfigure => self.handle_reconfigure(now, payload, &incoming),
            kind @ (MessageType::Advertise | MessageType::Reply) => self.handle_answer(now, kind, &incoming),
            _ => self.counts.unexpected += 1,
        }
    }

    /// RFC 8415 16.3, 16.10: to our message, to us, from somebody, from the one that was asked.
    fn handle_answer(&mut self, now: Time, kind: MessageType, incoming: &Incoming) {
        let asked = match &self.phase {
            Phase::Requesting(_, offers) => Some(&offers[0].server),
            Phase::Renewing(_) => self.held.as_ref().map(|held| &held.server),
            Phase::Declining(_, given) | Phase::Releasing(_, given) => Some(&given.server),
            _ => None,
        };
        let from_asked = asked.is_none() || asked == incoming.server.as_ref();
        let ours = self.phase.exchange().is_some_and(|e| e.sent > 0 && e.xid == incoming.message.xid());
        let server = match &incoming.server {
            Some(server) if ours && from_asked && incoming.client.as_ref() == Some(&self.duid) => server.clone(),
            _ => {
                self.counts.foreign += 1;
                return;
            }
        };
        match (self.state(), kind) {
            (State::Soliciting, MessageType::Advertise) => self.handle_advertise(now, incoming, server),
            (State::Soliciting, MessageType::Reply) if self.config.rapid_commit && incoming.rapid_commit() => {
                self.handle_lease(now, incoming, server)
            }
            (State::Requesting, MessageType::Reply) => self.handle_lease(now, incoming, server),
            (State::Renewing | State::Rebinding | State::Verifying, MessageType::Reply) => {
                self.handle_renewal(now, incoming, server)
            }
            (State::Releasing, MessageType::Reply) => {
                self.take(incoming);
                self.released(now);
            }
            (State::Declining, MessageType::Reply) => {
                self.take(incoming);
                self.settle(now);
            }
            (State::Asking, MessageType::Reply) => self.handle_information(now, incoming, server),
            _ => self.counts.unexpected += 1,
        }
    }

    /// Counts an answer and obeys what any answer may say (RFC 7083).
    fn take(&mut self, incoming: &Incoming) {
        self.counts.taken += 1;
        let max = |code| {
            let seconds = incoming.seconds(code).filter(|seconds| MAX_RT_RANGE.contains(seconds))?;
            Some(Duration::from_secs(seconds.into()))
        };
        if let Some(max) = max(OptionCode::SolMaxRt) {
            self.solicit_max = max;
            if let Phase::Soliciting(exchange, _) = &mut self.phase {
                exchange.schedule.longest = Some(max);
            }
        }
        if let Some(max) = max(OptionCode::InfMaxRt) {
            self.information_max = max;
            if let Phase::Asking(exchange) = &mut self.phase {
                exchange.schedule.longest = Some(max);
            }
        }
    }

    /// A server offers leases (RFC 8415 18.2.9).
    fn handle_advertise(&mut self, now: Time, incoming: &Incoming, server: Duid) {
        self.take(incoming);
        let given = Given::read(incoming, self.config.iaid);
        let held = given.held(now, server.clone());
        if incoming.status().0 != Status::Success || !self.enough(&held) {
            return self.refused_by(incoming, &given, &server);
        }
        let preference = incoming.preference();
        let offer = Offer { server, preference, prefixes: held.delegated(), addresses: held.assigned() };
        let Phase::Soliciting(exchange, offers) = &mut self.phase else { return };
        offers.retain(|other| other.server != offer.server);
        // Highest preference first; among equals the larger prefix, then who came first.
        let worth = |offer: &Offer| {
            (offer.preference, offer.prefixes.iter().map(|p| 128 - p.len()).max(), offer.addresses.len())
        };
        let place = offers.partition_point(|other| worth(other) >= worth(&offer));
        offers.insert(place, offer);
        offers.truncate(MOST_OFFERS);
        if offers[0].preference == u8::MAX || !exchange.collecting() {
            let offers = std::mem::take(offers);
            self.request(now, offers);
        }
    }

    /// A Reply to a Request, or to a Solicit with rapid commit: what it gives is all there is
    /// (RFC 8415 18.2.10.1).
    fn handle_lease(&mut self, now: Time, incoming: &Incoming, server: Duid) {
        self.take(incoming);
        let given = Given::read(incoming, self.config.iaid);
        let held = given.held(now, server.clone());
        match incoming.status().0 {
            Status::Success if self.enough(&held) => self.bind(now, held, incoming),
            // RFC 8415 18.2.10: these do not end the exchange. It is repeated, to all servers, in its own time.
            Status::UnspecFail | Status::UseMulticast => self.refused_by(incoming, &given, &server),
            _ => {
                self.refused_by(incoming, &given, &server);
                if let Phase::Requesting(..) = self.phase {
                    self.request_next(now);
                }
            }
        }
    }

    /// A Reply to Renew, Rebind or Confirm.
    fn handle_renewal(&mut self, now: Time, incoming: &Incoming, server: Duid) {
        self.take(incoming);
        let Some(held) = &self.held else { return };
        let confirm = held.prefixes.is_empty() && matches!(self.phase, Phase::Verifying(_));
        let given = Given::read(incoming, self.config.iaid);
        let no_binding = [&given.pd, &given.na].into_iter().flatten().any(|ia| ia.status.0 == Status::NoBinding);
        let main = if self.wants_prefix() { &given.pd } else { &given.na };
        match incoming.status().0 {
            // RFC 8415 18.2.10.2, and for a Rebind in its place (RFC 8415 18.2.12).
            Status::NotOnLink => {
                self.refused_by(incoming, &given, &server);
                self.lose();
                self.begin(now);
            }
            Status::Success if confirm => self.settle(now),
            // RFC 8415 18.2.10.1: the server that has no binding is asked for one; until it answers the leases are used.
            Status::Success | Status::NoBinding if no_binding => {
                let offer = Offer { server, preference: 0, prefixes: held.delegated(), addresses: held.assigned() };
                self.request(now, vec![offer]);
            }
            Status::Success if main.as_ref().is_some_and(|ia| ia.status.0 == Status::Success) => {
                let mut held = Held { server, ..held.clone() };
                let good = |ia: &&Association<'_>| ia.status.0 == Status::Success;
                held.update(now, given.pd.as_ref().filter(good), given.na.as_ref().filter(good));
                if self.enough(&held) {
                    self.bind(now, held, incoming);
                } else {
                    // The server took them back: lifetimes of zero.
                    self.lose();
                    self.begin(now);
                }
            }
            // RFC 8415 18.2.10.1: as if it had not come.
            _ => self.refused_by(incoming, &given, &server),
        }
    }

    /// A server answers an Information-request (RFC 8415 18.2.10.4).
    fn handle_information(&mut self, now: Time, incoming: &Incoming, server: Duid) {
        self.take(incoming);
        let (status, words) = incoming.status();
        if status != Status::Success {
            return self.refused(&server, status, words);
        }
        self.learn(incoming, server);
        if self.mode == Mode::Stateful {
            return self.settle(now);
        }
        // RFC 8415 21.23: not below the shortest, and all ones is never.
        let refresh = incoming.seconds(OptionCode::InformationRefreshTime).unwrap_or(REFRESH).max(SHORTEST_REFRESH);
        self.refresh = (refresh != u32::MAX).then(|| now + Duration::from_secs(refresh.into()));
        self.phase = Phase::Informed;
    }

    /// RFC 8415 18.2.11: only if it is signed, and only if nothing else is going on.
    fn handle_reconfigure(&mut self, now: Time, payload: &[u8], incoming: &Incoming) {
        let idle = matches!(self.phase, Phase::Bound | Phase::Informed);
        let demand = self.key.as_mut().filter(|_| idle).and_then(|key| key.demand(payload, incoming, &self.duid));
        let ends = self.held.as_ref().map(|held| (held.t1, held.t2, held.last_end()));
        match (demand, ends) {
            (Some(MessageType::InformationRequest), _) => self.ask(now, ends.and_then(|(t1, ..)| t1)),
            (Some(MessageType::Renew), Some((_, t2, _))) => {
                self.phase = Phase::Renewing(self.exchange(now, Schedule::RENEW, t2));
            }
            (Some(MessageType::Rebind), Some((.., end))) => {
                self.phase = Phase::Rebinding(self.exchange(now, Schedule::RENEW, end));
            }
            _ => {
                self.counts.reconfigure_refused += 1;
                return;
            }
        }
        self.counts.taken += 1;
    }

    /// These are the leases now.
    fn bind(&mut self, now: Time, held: Held, incoming: &Incoming) {
        let (server, prefixes, addresses) = (held.server.clone(), held.delegated(), held.assigned());
        let event = match &self.held {
            None => Event::Bound { server: server.clone(), prefixes, addresses },
            Some(old) if (old.delegated(), old.assigned()) == (prefixes.clone(), addresses.clone()) => Event::Renewed,
            Some(old) => Event::Changed { old: old.delegated(), new: prefixes, addresses },
        };
        self.held = Some(held);
        self.event(event);
        self.learn(incoming, server);
        self.refusals = 0;
        self.settle(now);
    }

    /// Takes what a Reply says besides leases: all of it is new, nothing of before stays.
    fn learn(&mut self, incoming: &Incoming, server: Duid) {
        self.told = None;
        if self.config.reconfigure {
            // A server sends its key once, not with every Reply (RFC 8415 20.4.2).
            self.key = Key::read(incoming, &server).or(self.key.take());
        }
        let information = Information::read(incoming);
        if information != self.information {
            self.information = information;
            self.event(Event::Informed);
        }
        self.informed_by = Some(server);
    }

    /// The most telling status of a refusal.
    fn refused_by(&mut self, incoming: &Incoming, given: &Given<'_>, server: &Duid) {
        let of_ias = [&given.pd, &given.na].into_iter().flatten().map(|ia| ia.status);
        let statuses = std::iter::once(incoming.status()).chain(of_ias);
        let (status, words) =
            statuses.into_iter().find(|(status, _)| *status != Status::Success).unwrap_or((Status::Success, ""));
        self.refused(server, status, words);
    }
}
