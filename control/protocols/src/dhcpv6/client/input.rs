//! What a client makes of what it hears (RFC 8415 16, 18.2.9 to 18.2.11).

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::{MessageType, OptionCode, Status};
use hikyaku_net::Time;

use super::Client;
use super::phase::{Offer, Phase};
use crate::dhcpv6::duid::Duid;
use crate::dhcpv6::exchange::Schedule;
use crate::dhcpv6::information::Information;
use crate::dhcpv6::lease::{Given, Held};
use crate::dhcpv6::reconfigure::Key;
use crate::dhcpv6::wire::Incoming;
use crate::dhcpv6::{Event, Failure, Ignored, StatusName};

/// Most servers that are kept in reserve.
const MOST_OFFERS: usize = 8;

/// SOL_MAX_RT and INF_MAX_RT that count, seconds (RFC 8415 21.24, 21.25).
const MAX_RT_RANGE: std::ops::RangeInclusive<u32> = 60..=86_400;

/// Which of our messages is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Leases,
    Information,
}

/// An answer to a message of ours.
struct Answer<'a> {
    incoming: &'a Incoming,
    given: Given<'a>,
    server: Duid,
    source: Ipv6Addr,
}

impl Answer<'_> {
    /// The status on the message itself, not on an association or a lease in it.
    fn status(&self) -> Status {
        self.incoming.status().0
    }

    /// Whether the message came to nothing (RFC 8415 18.2.10). Any other status on it is about what the server does not
    /// have, and says nothing against the leases that it has (RFC 7550 4.2): wide-dhcpv6 and dibbler write NoAddrsAvail
    /// beside a prefix.
    fn is_failure(&self) -> bool {
        matches!(self.status(), Status::UnspecFail | Status::UseMulticast)
    }

    /// Why it does not help: the rule that its leases broke, or the most telling status.
    fn refusal(&self) -> Failure {
        let server = self.server.clone();
        if let Some(rule) = self.given.broken.clone() {
            return Failure::ThrownAway { server, rule };
        }
        let statuses = std::iter::once(self.incoming.status()).chain(self.given.statuses());
        let telling = statuses.into_iter().find(|(status, _)| *status != Status::Success);
        let (status, words) = telling.unwrap_or((Status::Success, ""));
        let words = words.chars().filter(|c| !c.is_control()).take(100).collect();
        Failure::Refused { server, status: StatusName(status), words }
    }

    /// Whether a status in it is not success, or leases in it have to be thrown away.
    fn refuses(&self) -> bool {
        let mut statuses = std::iter::once(self.incoming.status()).chain(self.given.statuses());
        self.given.broken.is_some() || statuses.any(|(status, _)| status != Status::Success)
    }
}

impl Client {
    /// A UDP payload that came to our port from `source`: any unicast address, for RFC 8415 says where messages are sent
    /// to, and not where servers answer from. What is wrong is counted and changes nothing.
    pub fn handle_input(&mut self, now: Time, source: Ipv6Addr, payload: &[u8]) {
        if let Err(ignored) = self.hear(now, source, payload, false) {
            self.ignored = Some(ignored);
            *match ignored {
                Ignored::NotUnicast => &mut self.counts.not_unicast,
                Ignored::Malformed(_) => &mut self.counts.malformed,
                Ignored::Unexpected => &mut self.counts.unexpected,
                _ => &mut self.counts.foreign,
            } += 1;
        }
    }

    /// `has_waited`: so long that the server in use has had time to answer.
    pub(super) fn hear(
        &mut self,
        now: Time,
        source: Ipv6Addr,
        payload: &[u8],
        has_waited: bool,
    ) -> Result<(), Ignored> {
        if source.is_multicast() || source.is_unspecified() {
            return Err(Ignored::NotUnicast);
        }
        let incoming = Incoming::read(payload)?;
        let kind = incoming.message.msg_type();
        match kind {
            MessageType::Reconfigure => {
                self.handle_reconfigure(now, payload, &incoming);
                return Ok(());
            }
            MessageType::Advertise | MessageType::Reply => (),
            _ => return Err(Ignored::Unexpected),
        }
        let (asked, server) = self.expects(&incoming)?;
        if !has_waited && self.gives_way(asked, &server) {
            self.keep(now, asked, source, payload);
            return Ok(());
        }
        let given = Given::read(&incoming, self.config.iaid);
        let answer = Answer { incoming: &incoming, given, server, source };
        match (asked, kind, &self.phase) {
            (Asked::Information, MessageType::Reply, _) => self.handle_information(now, &answer),
            (Asked::Information, ..) => return Err(Ignored::Unexpected),
            (_, MessageType::Advertise, Phase::Soliciting(..)) => self.handle_advertise(now, &answer),
            (_, MessageType::Reply, Phase::Soliciting(..)) if self.config.rapid_commit && incoming.rapid_commit() => {
                self.handle_lease(now, &answer)
            }
            (_, MessageType::Reply, Phase::Requesting(..)) => self.handle_lease(now, &answer),
            (_, MessageType::Reply, Phase::Renewing(_) | Phase::Rebinding(_) | Phase::Verifying(..)) => {
                self.handle_renewal(now, &answer)
            }
            (_, MessageType::Reply, Phase::Releasing(..)) => {
                self.take(&incoming);
                self.released(now);
            }
            (_, MessageType::Reply, Phase::Declining(..)) => {
                self.take(&incoming);
                self.settle(now);
            }
            _ => return Err(Ignored::Unexpected),
        }
        Ok(())
    }

    /// Which message an answer is to, and from which server; only if it is to us, and from the one that was asked
    /// (RFC 8415 16.3, 16.10).
    fn expects(&self, incoming: &Incoming) -> Result<(Asked, Duid), Ignored> {
        let xid = incoming.message.xid();
        let asked = match (self.inquiry.exchange(), self.phase.exchange()) {
            (Some(exchange), _) if exchange.is_answered_by(xid) => Asked::Information,
            (_, Some(exchange)) if exchange.is_answered_by(xid) => Asked::Leases,
            _ => return Err(Ignored::OtherTransaction),
        };
        if incoming.client.as_ref() != Some(&self.duid) {
            return Err(Ignored::OtherClient);
        }
        let server = incoming.server.clone().ok_or(Ignored::NoServer)?;
        match (asked, self.phase.server(self.held.as_ref())) {
            (Asked::Leases, Some(only)) if *only != server => Err(Ignored::OtherServer),
            _ => Ok((asked, server)),
        }
    }

    /// Counts an answer and obeys what any answer may say (RFC 7083).
    fn take(&mut self, incoming: &Incoming) {
        self.counts.taken += 1;
        self.ignored = None;
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
            self.inquiry.set_longest(max);
        }
    }

    /// A server offers leases (RFC 8415 18.2.9).
    fn handle_advertise(&mut self, now: Time, answer: &Answer<'_>) {
        self.take(answer.incoming);
        let held = answer.given.held(now, answer.server.clone());
        if answer.is_failure() || !self.enough(&held) {
            return self.refuse(now, answer.refusal());
        }
        let offer = Offer {
            known: self.before().is_some_and(|before| before.is_offered(&held)),
            server: held.server.clone(),
            preference: answer.incoming.preference(),
            prefixes: held.delegated(),
            addresses: held.assigned(),
        };
        let Phase::Soliciting(exchange, offers) = &mut self.phase else { return };
        offers.retain(|other| other.server != offer.server);
        let place = offers.partition_point(|other| other.worth() >= offer.worth());
        offers.insert(place, offer);
        offers.truncate(MOST_OFFERS);
        if offers[0].preference == u8::MAX || !exchange.collecting() {
            let offers = std::mem::take(offers);
            self.request(now, offers);
        }
    }

    /// A Reply to a Request, or to a Solicit with rapid commit: what it gives is all there is
    /// (RFC 8415 18.2.10.1).
    fn handle_lease(&mut self, now: Time, answer: &Answer<'_>) {
        self.take(answer.incoming);
        let held = answer.given.held(now, answer.server.clone());
        if !answer.is_failure() && self.enough(&held) {
            return self.bind(now, held, answer);
        }
        self.refuse(now, answer.refusal());
        self.drop_leases(now, |held| held.end(&answer.given));
        // RFC 8415 18.2.10: a failure does not end the exchange. It is repeated, to all servers, in its own time.
        if !answer.is_failure() && matches!(self.phase, Phase::Requesting(..)) {
            self.request_next(now);
        }
    }

    /// A Reply to Renew, Rebind or Confirm (RFC 8415 18.2.10.1, 18.2.10.2).
    fn handle_renewal(&mut self, now: Time, answer: &Answer<'_>) {
        self.take(answer.incoming);
        let Some(held) = &self.held else { return };
        let given = &answer.given;
        let is_confirm = held.prefixes.is_empty() && matches!(self.phase, Phase::Verifying(..));
        let mut renewed = Held { server: answer.server.clone(), ..held.clone() };
        renewed.end(given);
        let lasts = self.enough(&renewed);
        renewed.grant(now, given);
        match answer.status() {
            // RFC 8415 18.2.10.2, and for a Rebind in its place (RFC 8415 18.2.12).
            Status::NotOnLink => {
                self.counts.refused += 1;
                self.tell(answer.refusal());
                self.lose();
                self.begin(now);
            }
            Status::Success if is_confirm => self.settle(now),
            _ if answer.is_failure() => self.not_renewed(now, answer),
            // RFC 8415 18.2.10.1: the server that has no binding is asked for one; until it answers the leases are used.
            _ if lasts && held.is_forgotten(given) => {
                let (server, prefixes, addresses) = (answer.server.clone(), held.delegated(), held.assigned());
                self.request(now, vec![Offer { known: true, server, preference: 0, prefixes, addresses }]);
            }
            _ if self.is_granted(given) => self.bind(now, renewed, answer),
            _ => self.not_renewed(now, answer),
        }
    }

    /// What a server takes back is over; but for that it is as if the Reply had not come (RFC 8415 18.2.10.1).
    fn not_renewed(&mut self, now: Time, answer: &Answer<'_>) {
        let ends = self.drop_leases(now, |held| held.end(&answer.given));
        let main_is_there = if self.wants_prefix() { answer.given.pd.is_some() } else { answer.given.na.is_some() };
        match answer.refuses() || !main_is_there {
            true => self.refuse(now, answer.refusal()),
            false if ends => (),
            false => self.tell(Failure::Unconfirmed(answer.server.clone())),
        }
    }

    /// Whether it leases what a binding needs.
    fn is_granted(&self, given: &Given<'_>) -> bool {
        match self.wants_prefix() {
            true => given.pd.as_ref().is_some_and(|pd| pd.granted().next().is_some()),
            false => given.na.as_ref().is_some_and(|na| na.granted().next().is_some()),
        }
    }

    /// A server answers an Information-request (RFC 8415 18.2.10.4).
    fn handle_information(&mut self, now: Time, answer: &Answer<'_>) {
        self.take(answer.incoming);
        if answer.status() != Status::Success {
            self.counts.refused += 1;
            return self.tell(answer.refusal());
        }
        self.learn(answer, Information::default());
        self.inquiry.answered(now, answer.incoming.seconds(OptionCode::InformationRefreshTime));
    }

    /// A server tells us to ask (RFC 8415 18.2.11): only if it is signed, and only if nothing else is going on.
    fn handle_reconfigure(&mut self, now: Time, payload: &[u8], incoming: &Incoming) {
        let is_idle = matches!(self.phase, Phase::Bound | Phase::Off) && self.inquiry.exchange().is_none();
        let demand = self.key.as_mut().filter(|_| is_idle).and_then(|key| key.demand(payload, incoming, &self.duid));
        let ends = self.held.as_ref().map(|held| (held.t2, held.last_end()));
        match (demand, ends) {
            (Some(MessageType::InformationRequest), _) => self.inquiry.ask(now, &mut self.rng),
            (Some(MessageType::Renew), Some((t2, _))) => {
                self.phase = Phase::Renewing(self.exchange(now, Schedule::RENEW, t2));
            }
            (Some(MessageType::Rebind), Some((_, end))) => {
                self.phase = Phase::Rebinding(self.exchange(now, Schedule::RENEW, end));
            }
            _ => {
                self.counts.reconfigure_refused += 1;
                return;
            }
        }
        self.counts.taken += 1;
    }

    /// Holds these leases from now on.
    fn bind(&mut self, now: Time, held: Held, answer: &Answer<'_>) {
        let (server, prefixes, addresses) = (held.server.clone(), held.delegated(), held.assigned());
        let event = match &self.held {
            None => Event::Bound { server, prefixes, addresses },
            Some(old) if (old.delegated(), old.assigned()) == (prefixes.clone(), addresses.clone()) => Event::Renewed,
            Some(old) => Event::Changed { old: old.delegated(), new: prefixes, addresses },
        };
        self.held = Some(held);
        self.event(event);
        // A server need not say everything again: what it said before stays.
        let is_same = self.inquiry.told_by() == Some(&answer.server);
        let before = if is_same { self.information.clone() } else { Information::default() };
        self.learn(answer, before);
        self.inquiry.stop();
        self.router = Some(answer.source).filter(Ipv6Addr::is_unicast_link_local);
        (self.refusals, self.refused) = (0, None);
        self.settle(now);
    }

    /// Takes what a Reply says besides leases. What it leaves out is as it was `before`.
    fn learn(&mut self, answer: &Answer<'_>, before: Information) {
        self.told = None;
        if self.config.reconfigure {
            // A server sends its key once, not with every Reply (RFC 8415 20.4.2).
            self.key = Key::read(answer.incoming, &answer.server).or(self.key.take());
        }
        let mut information = Information::read(answer.incoming);
        information.fill(before);
        if information != self.information {
            self.information = information;
            self.event(Event::Informed);
        }
        self.inquiry.told(answer.server.clone());
        self.point_out(answer);
    }

    /// Says what is wrong with an answer of which the rest is used; once, not with each that has it.
    fn point_out(&mut self, answer: &Answer<'_>) {
        let server = || answer.server.clone();
        let broken = answer.given.broken.clone().map(|rule| Failure::ThrownAway { server: server(), rule });
        let octets = Information::unreadable_aftr_name(answer.incoming);
        let name = octets.map(|octets| Failure::AftrName { server: server(), octets });
        let flaws: Vec<Failure> = broken.into_iter().chain(name).collect();
        let before = std::mem::replace(&mut self.flaws, flaws.clone());
        flaws.into_iter().filter(|flaw| !before.contains(flaw)).for_each(|flaw| self.event(Event::Failed(flaw)));
    }
}
