//! A table outlives its process: saved when nobody uses it any more, read back into an empty one.
//!
//! Sessions are put in as if they were opened, so index, ports, mappings, shares and timers are as they must be under the new
//! table's own secret, size and static mappings, whatever the bytes say. What cannot be is left out and counted.

use std::io;

use hikyaku_net::{Addr4, Port, Time, protocol};

use super::open::{Opening, Place};
use super::{Napt, Writer};
use crate::napt::key::{Endpoint, Key};
use crate::napt::session::{Claim, Ends, Session};
use crate::sessions::hash::Kind;
use crate::sessions::saved::{self, NotSaved, Record4, Restored};
use crate::sessions::{LanId, tcp};

/// A session table that was saved.
pub type Saved<'a> = saved::Saved<'a, Record4>;

/// While a record is read back, the one so many places behind it is on its way.
const AHEAD: usize = 16;

impl Napt {
    /// Writes all sessions. `wall`: seconds since 1970. Workers do not open or close sessions meanwhile. Answers how many
    /// they are.
    ///
    /// # Errors
    /// See [`NotSaved`].
    pub fn save(&self, now: Time, wall: u64, to: impl io::Write) -> Result<u32, NotSaved> {
        let _writer = self.changing.lock_if_sound().ok_or(NotSaved::Changing)?;
        let count = self.changing.live();
        let live = self.sessions.iter().skip(1).filter(|session| session.is_live());
        let records = live.map(|session| record(session, now.seconds()));
        saved::write(to, (self.outside(), self.port_set()), (count, wall), records)?;
        Ok(count)
    }

    /// Puts the sessions of a saved table into this one, which nobody uses yet. The time since it was saved counts as idle;
    /// by a clock that was set back, none has passed.
    pub fn restore(&self, saved: &Saved, now: Time, wall: u64) -> Restored {
        let down = wall.saturating_sub(saved.at());
        let mut done = Restored::default();
        if (saved.outside(), saved.ports()) != (self.outside(), self.port_set()) {
            done.refused = saved.count() as u32;
            return done;
        }
        let mut writer = self.lock();
        writer.wheel.begin(now.seconds());
        // Mappings first: a port that others share is not theirs.
        let is_mapped = |record: &&Record4| record.claim == Claim::Mapped as u8;
        let (mapped, others) = (saved.records.iter().filter(is_mapped), saved.records.iter().filter(|r| !is_mapped(r)));
        // What a record is put into lies anywhere: while one is, the next ones' places are on their way.
        let all = || mapped.clone().chain(others.clone());
        let mut ahead = all();
        ahead.by_ref().take(AHEAD).for_each(|record| self.prefetch_record(record));
        for record in all() {
            if let Some(soon) = ahead.next() {
                self.prefetch_record(soon);
            }
            done.count(self.restore_one(&mut writer, record, now.seconds(), down));
        }
        done
    }

    /// Asks the cache for where the session of a record will be found.
    fn prefetch_record(&self, record: &Record4) {
        let Some(Ends { protocol, lan, inside, peer }) = ends(record) else { return };
        let outside = self.outside_at(Port(record.outside_port));
        let prefetch = |kind, key: Key| self.prefetch(self.hash_of(kind, &key), kind);
        prefetch(Kind::Outbound, Key::outbound(lan, protocol, inside, peer));
        prefetch(Kind::Inbound, Key::inbound(protocol, peer, outside));
        prefetch(Kind::MappingInside, Key::mapping_inside(lan, protocol, inside));
        prefetch(Kind::MappingOutside, Key::mapping_outside(protocol, outside));
    }

    /// Whether it goes on, or its time is over; `None`: it cannot be.
    fn restore_one(&self, w: &mut Writer, record: &Record4, now: u32, down: u64) -> Option<bool> {
        let ends = ends(record)?;
        let Ends { protocol, lan, inside, peer } = ends;
        let (state, port) = (record.state, Port(record.outside_port));
        let is_by_address = protocol::is_by_address(protocol);
        self.check_protocol(protocol).ok()?;
        let has_port = port.number() != 0 && self.check_port(port).is_ok();
        if is_by_address == has_port || protocol != protocol::TCP && state != tcp::ESTABLISHED {
            return None;
        }
        let idle = u64::from(record.idle.get()) + down;
        if idle > u64::from(self.timeouts.of(protocol, state, None)) {
            return Some(false);
        }
        let outbound = Key::outbound(lan, protocol, inside, peer);
        let inbound = Key::inbound(protocol, peer, self.outside_at(port));
        if self.find(&outbound, self.hash_of(Kind::Outbound, &outbound)).is_some()
            || self.find(&inbound, self.hash_of(Kind::Inbound, &inbound)).is_some()
        {
            return None;
        }
        let place = if is_by_address {
            Place { port, claim: Claim::ByAddress, beside: None }
        } else {
            self.place_of_before(w, &ends, port, record.claim)?
        };
        let id = w.free.take(&self.sessions, &self.readers)?;
        if place.beside.is_none() && !is_by_address {
            w.ports.reserve(protocol, port);
        }
        let last = now.saturating_sub(idle as u32);
        self.open(w, id, Opening { ends, place, state, last }).ok()?;
        let session = self.session(id);
        session.resume(record.packets.map(|count| count.get()));
        // What it sent and got says when it ends.
        w.wheel.take_out(&self.sessions, id);
        w.schedule(self, id);
        Some(true)
    }

    /// The place that a session had on its port, if it can have it still.
    fn place_of_before(&self, w: &Writer, ends: &Ends, port: Port, claim: u8) -> Option<Place> {
        let &Ends { protocol, lan, inside, .. } = ends;
        let on_port = self.on_port(protocol, self.outside_at(port));
        let forwarded = w.forwards.inside(protocol, port);
        if claim == Claim::Forwarded as u8 {
            // Without its static mapping it goes on, and its port is its own.
            let is_elsewheres = forwarded.is_some_and(|to| to != (lan, inside));
            return (!is_elsewheres).then_some(Place { port, claim: Claim::Forwarded, beside: on_port });
        }
        let sibling = self.mapping(Kind::MappingInside, Key::mapping_inside(lan, protocol, inside));
        let is_mapped = claim == Claim::Mapped as u8;
        let place = match (sibling, on_port) {
            (Some(id), _) if is_mapped && self.session(id).outside().port == port => (Claim::Mapped, sibling),
            (None, None) if is_mapped => (Claim::Mapped, None),
            (_, on_port) => (Claim::Shared, on_port),
        };
        // A port that nobody has is free, or of a static mapping that came meanwhile.
        let is_free = place.1.is_some() || forwarded.is_some() || self.port_bits.is_unused(protocol, port);
        is_free.then_some(Place { port, claim: place.0, beside: place.1 })
    }
}

/// The ends of a saved session, if they can be.
fn ends(record: &Record4) -> Option<Ends> {
    let (inside, peer) = (Addr4(record.inside), Addr4(record.peer));
    let ports = [Port(record.inside_port), Port(record.peer_port)];
    let is_icmp = record.protocol == protocol::ICMP;
    let good = match protocol::is_by_address(record.protocol) {
        true => ports == [Port::default(); 2],
        false => !is_icmp || ports[1] == Port::default(),
    };
    let known = record.claim <= Claim::ByAddress as u8 && record.state < 0x80;
    (record.protocol != 0 && good && known && inside.is_host() && peer.is_host()).then_some(Ends {
        protocol: record.protocol,
        lan: LanId(record.lan),
        inside: Endpoint { addr: inside, port: ports[0] },
        peer: Endpoint { addr: peer, port: ports[1] },
    })
}

fn record(session: &Session, now: u32) -> Record4 {
    let (inside, peer) = (session.inside(), session.peer());
    Record4 {
        protocol: session.protocol(),
        lan: session.lan().0,
        uplink: session.uplink().0,
        claim: session.claim() as u8,
        state: session.state(),
        _zero: 0,
        outside_port: session.outside().port.0,
        inside: inside.addr.0,
        peer: peer.addr.0,
        inside_port: inside.port.0,
        peer_port: peer.port.0,
        idle: now.saturating_sub(session.last()).into(),
        packets: session.packets().map(Into::into),
    }
}
