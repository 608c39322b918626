//! What each message is answered (RFC 8415 18.3).

use std::sync::Arc;
use std::time::Duration;

use dhcproto::v6::{MessageType, Status};
use hikyaku_net::{Prefix6, Time};

use super::super::query::{Association, Query};
use super::super::reply::{Answer, Writer};
use super::super::source::{Kind, Lease};
use super::super::table::{Binding, Owner};
use super::super::{Datagram, Event};
use super::{CONFLICT, Leases, Server, send};

/// What one client is promised at once; of a line that renumbers on and on it keeps the latest.
pub(super) const MOST_PROMISED: usize = 8;

/// What there is none of.
fn none_available(kind: Kind) -> Status {
    match kind {
        Kind::Address => Status::NoAddrsAvail,
        Kind::Prefix => Status::NoPrefixAvail,
    }
}

/// What a client is promised by these leases, and what it was promised before of what has another name by now.
fn promised(now: Time, leases: &[Lease], before: Option<&Binding>) -> Vec<(Prefix6, Time)> {
    let new = leases.iter().map(|lease| (lease.what, now + Duration::from_secs(lease.valid.into())));
    let before = before.into_iter().flat_map(|before| before.promised.iter().copied());
    let is_other = |what: Prefix6| leases.iter().all(|lease| lease.what != what);
    new.chain(before.filter(|&(what, until)| until > now && is_other(what))).take(MOST_PROMISED).collect()
}

impl Server {
    /// Whether it is ours to answer, and was.
    pub(super) fn answer(&mut self, now: Time, datagram: Datagram, query: &Query) -> bool {
        use MessageType::{Confirm, Decline, InformationRequest, Rebind, Release, Renew, Request, Solicit};
        let Some(served) = &self.served else { return false };
        let has_leases = !served.on_link.is_empty() || !served.delegable.is_empty();
        match query.kind {
            InformationRequest => self.inform(datagram, query),
            Release | Decline => self.take_back(now, datagram, query),
            Solicit | Request | Renew | Rebind if has_leases => self.lease(now, datagram, query),
            Confirm => self.confirm(now, datagram, query),
            _ => false,
        }
    }

    /// RFC 8415 18.3.6: whatever there is besides leases.
    fn inform(&mut self, datagram: Datagram, query: &Query) -> bool {
        self.counts.informed += 1;
        let reply = self.writer(MessageType::Reply, query);
        self.send(datagram, &reply);
        true
    }

    /// With what clients are told besides leases.
    fn writer(&self, kind: MessageType, query: &Query) -> Writer {
        let mut writer = Writer::new(kind, query, &self.duid);
        self.served.iter().for_each(|served| writer.parameters(query, &served.parameters));
        writer
    }

    fn send(&mut self, datagram: Datagram, reply: &Writer) {
        self.out.push_back(send((datagram.station, datagram.source, reply.bytes())));
    }

    /// RFC 8415 18.3.1, 18.3.2, 18.3.4, 18.3.5. Associations come first, what else is told has the room that is left.
    fn lease(&mut self, now: Time, datagram: Datagram, query: &Query) -> bool {
        let Some(duid) = &query.client else { return false };
        let changes = self.promises.changes();
        let mut answers = Vec::new();
        for association in &query.associations {
            let owner = Arc::new(Owner { duid: duid.clone(), iaid: association.iaid, station: datagram.station });
            answers.extend(match query.kind {
                MessageType::Solicit => Some(self.offer(now, &owner, association)),
                MessageType::Request => Some(self.request(now, &owner, association, query)),
                MessageType::Renew => Some(self.renew(now, &owner, association, query)),
                _ => self.rebind(now, &owner, association, query),
            });
        }
        // RFC 8415 18.3.5: what is not ours to say another server may know.
        if answers.is_empty() && query.kind == MessageType::Rebind {
            return false;
        }
        let is_offer = query.kind == MessageType::Solicit;
        let mut reply =
            Writer::new(if is_offer { MessageType::Advertise } else { MessageType::Reply }, query, &self.duid);
        answers.iter().for_each(|answer| reply.answer(answer));
        self.served.iter().for_each(|served| reply.parameters(query, &served.parameters));
        *(if is_offer { &mut self.counts.advertised } else { &mut self.counts.replied }) += 1;
        match self.promises.changes() == changes {
            true => self.send(datagram, &reply),
            false => {
                let message = (datagram.station, datagram.source, reply.bytes());
                let may_leave = self.promises.promise(now, (datagram.station, duid.clone()), message);
                self.out.extend(may_leave.map(send));
            }
        }
        true
    }

    /// What a client would get, if it asked for it now: nothing is kept for it (RFC 8415 18.3.1).
    fn offer(&mut self, now: Time, owner: &Owner, association: &Association) -> Answer {
        let &Association { kind, iaid, .. } = association;
        let number = self.choose(now, owner, association);
        let leases = number.map(|number| self.of(kind).sources.leases(now, number)).unwrap_or_default();
        match leases.is_empty() {
            true => self.refuse(owner, association, none_available(kind)),
            false => Answer { kind, iaid, leases, status: None },
        }
    }

    fn refuse(&mut self, owner: &Owner, association: &Association, status: Status) -> Answer {
        let is_offered = !self.of(association.kind).sources.current.is_empty();
        if is_offered {
            self.counts.full += 1;
            if !std::mem::replace(&mut self.told_full, true) {
                self.event(Event::Full { mac: owner.station });
            }
        }
        Answer::refusal(association.kind, association.iaid, status)
    }

    /// RFC 8415 18.3.2.
    fn request(&mut self, now: Time, owner: &Arc<Owner>, association: &Association, query: &Query) -> Answer {
        let &Association { kind, iaid, ref named } = association;
        let sources = &self.of(kind).sources;
        if kind == Kind::Address && !named.iter().all(|&what| sources.is_on_link(what, true)) {
            return Answer::refusal(kind, iaid, Status::NotOnLink);
        }
        match self.grant(now, owner, association, query) {
            Some(leases) => Answer { kind, iaid, leases, status: None },
            None => self.refuse(owner, association, none_available(kind)),
        }
    }

    /// RFC 8415 18.3.4: what it has, and what of it is over. Of what nobody knows here a lease is made, as some clients do nothing
    /// about NoBinding, nor about an end without a new beginning.
    fn renew(&mut self, now: Time, owner: &Arc<Owner>, association: &Association, query: &Query) -> Answer {
        let &Association { kind, iaid, .. } = association;
        let before = self.of(kind).table.lease(owner).cloned();
        let leases = self.grant(now, owner, association, query);
        let is_bound = before.is_some() || leases.is_some();
        let mut leases = leases.unwrap_or_default();
        let over = self.over(now, association, before.as_ref(), &leases);
        leases.extend(over);
        match is_bound {
            true => Answer { kind, iaid, leases, status: None },
            false => self.refuse(owner, association, Status::NoBinding),
        }
    }

    /// RFC 8415 18.3.5: as Renew, where we know the client, or would give it what it has; else only what certainly is no more.
    fn rebind(&mut self, now: Time, owner: &Arc<Owner>, association: &Association, query: &Query) -> Option<Answer> {
        let &Association { kind, iaid, ref named } = association;
        let Leases { table, sources, .. } = self.of(kind);
        let would_give = || {
            let number = self.choose(now, owner, association)?;
            let gives = sources.leases(now, number);
            gives.iter().any(|lease| named.contains(&lease.what)).then_some(number)
        };
        if table.get(owner).is_some() || would_give().is_some() {
            return Some(self.renew(now, owner, association, query));
        }
        let is_over = kind == Kind::Address && !named.iter().any(|&what| sources.is_on_link(what, true));
        let leases = || named.iter().map(|&what| sources.deprecated(now, what, now)).collect();
        (is_over && !named.is_empty()).then(|| Answer { kind, iaid, leases: leases(), status: None })
    }

    /// What the client names and does not have any more. Of prefixes that were there a moment ago it goes on for as long as it was leased.
    fn over(&self, now: Time, association: &Association, before: Option<&Binding>, leases: &[Lease]) -> Vec<Lease> {
        let sources = &self.of(association.kind).sources;
        let over = association.named.iter().filter(|what| leases.iter().all(|lease| lease.what != **what));
        let promised =
            |what: &Prefix6| before?.promised.iter().find(|(known, _)| known == what).map(|&(_, until)| until);
        over.map(|what| sources.deprecated(now, *what, promised(what).unwrap_or(now))).collect()
    }

    /// Makes or renews a lease. `None`: there is nothing to be had; what there was is over.
    fn grant(&mut self, now: Time, owner: &Arc<Owner>, association: &Association, query: &Query) -> Option<Vec<Lease>> {
        let kind = association.kind;
        let number = self.choose(now, owner, association);
        let leases = number.map(|number| self.of(kind).sources.leases(now, number)).unwrap_or_default();
        let (Some(number), Some(valid)) = (number, leases.iter().map(|lease| lease.valid).max()) else {
            self.end(now, kind, owner);
            return None;
        };
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let before = self.of(kind).table.get(owner).cloned();
        let lease = before.clone().filter(|before| before.is_leased);
        let is_late = lease.as_ref().is_some_and(|lease| lease.known_from <= now);
        let binding = Binding {
            number,
            promised: promised(now, &leases, lease.as_ref()),
            // Not every message has the name in it.
            name: query.name.clone().or_else(|| before.as_ref()?.name.clone()),
            end: now + seconds(valid),
            // Not sooner than a client renews by itself.
            known_from: match &lease {
                Some(lease) => lease.known_from,
                None => now + seconds(leases.iter().map(|lease| lease.preferred).max().unwrap_or(0) / 2),
            },
            is_known: is_late || before.is_some_and(|before| before.is_known),
            is_leased: true,
        };
        let is_news = lease.is_none_or(|lease| (lease.number, &lease.name) != (number, &binding.name));
        if is_news {
            let (mac, hostname) = (owner.station, binding.name.clone());
            self.event(Event::Leased { leases: leases.iter().map(|lease| lease.what).collect(), mac, hostname });
        }
        self.of_mut(kind).table.put(owner, binding);
        self.told_full = false;
        // A renewal, too, promises what the disk does not have yet: a later end.
        self.promises.changed();
        Some(leases)
    }

    /// RFC 8415 18.3.3: whether the client's addresses are of this link. Without any prefix nobody knows.
    fn confirm(&mut self, _now: Time, datagram: Datagram, query: &Query) -> bool {
        let sources = &self.addresses.sources;
        let of_addresses = query.associations.iter().filter(|association| association.kind == Kind::Address);
        let named: Vec<_> = of_addresses.flat_map(|association| &association.named).collect();
        if named.is_empty() || sources.current.is_empty() {
            return false;
        }
        let is_on_link = named.iter().all(|&&what| sources.is_on_link(what, false));
        let mut reply = self.writer(MessageType::Reply, query);
        reply.status(if is_on_link { Status::Success } else { Status::NotOnLink });
        self.counts.confirmed += 1;
        self.send(datagram, &reply);
        true
    }

    /// RFC 8415 18.3.7, 18.3.8: leases that are given back, or whose address is somebody else's.
    fn take_back(&mut self, now: Time, datagram: Datagram, query: &Query) -> bool {
        let Some(duid) = &query.client else { return false };
        let is_declined = query.kind == MessageType::Decline;
        *(if is_declined { &mut self.counts.declines } else { &mut self.counts.releases }) += 1;
        let mut reply = Writer::new(MessageType::Reply, query, &self.duid);
        reply.status(Status::Success);
        for association in &query.associations {
            let kind = association.kind;
            let owner = Arc::new(Owner { duid: duid.clone(), iaid: association.iaid, station: datagram.station });
            let number = self.of(kind).table.lease(&owner).map(|binding| binding.number);
            let is_named = |number: u64| {
                association.named.iter().any(|what| kind == Kind::Prefix || what.address().to_bits() as u64 == number)
            };
            match number.filter(|&number| is_named(number)) {
                None => reply.answer(&Answer::refusal(kind, association.iaid, Status::NoBinding)),
                Some(number) if is_declined => self.set_aside(now, kind, &owner, number),
                Some(_) => self.end(now, kind, &owner),
            }
        }
        self.send(datagram, &reply);
        true
    }

    fn set_aside(&mut self, now: Time, kind: Kind, owner: &Arc<Owner>, number: u64) {
        let leases = self.named(now, kind, number);
        self.event(Event::Conflict { leases, mac: owner.station });
        self.of_mut(kind).table.set_aside(now, owner, CONFLICT);
        self.promises.changed();
    }
}
