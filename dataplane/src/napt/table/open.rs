//! The beginning and the end of a session.
//!
//! # Ports
//!
//! A session has its outside port by one of three claims ([`Claim`]). It belongs to an
//! endpoint-independent mapping, which has the port to itself as long as there are ports. Or it is one
//! of a static mapping. Or, when no port is left, it *shares* one: several sessions, of whatever
//! inside endpoints, have the same outside port, as long as each has another peer. So many ports
//! reach as many connections to one server and port, and any number in all. When those are used up,
//! connections to it that both ends have closed do not keep their ports for the four minutes of
//! RFC 5382 REQ-5: the one that has been over for longest makes room. There would be no more than
//! one connection a second otherwise.
//!
//! A session that shares its port is no mapping: its peer alone gets in by it, whatever the
//! filtering, and the next session of its inside endpoint gets a port of its own again if one is
//! free. A mapping whose port others share stays what it is. Only to their peers it cannot speak
//! from its port, and does from another.
//!
//! TCP, UDP and ICMP have ports of their own, so none can eat the other's. Among UDP, questions
//! (DNS, NTP) share ports already when a quarter is left: nobody needs to send to them, and it would
//! be them who took the ports of the games and calls for which mappings are there.
//!
//! # Without ports
//!
//! Of a protocol that is neither TCP, UDP nor ICMP only the addresses are known: one inside host at a time
//! can speak it with a peer, and only that peer gets in. Its session is no mapping and has no place in `Ports`.
//! On a share of an address nothing would tell whose an inbound packet is: there they are not carried.
//!
//! # Rings
//!
//! All sessions of one port form a ring. Those of its mapping come first, and the very first one
//! stands in the index for the mapping, by its inside and its outside end. Without a mapping any
//! session stands for the port, by the outside end only. The port is free again when the ring is
//! empty.

use hikyaku_net::packet::Tcp;
use hikyaku_net::{Port, Time, protocol};

use super::{Filtering, Napt, Writer};
use crate::napt::key::{Endpoint, Key};
use crate::napt::ports::plane;
use crate::napt::session::{Claim, Ends};
use crate::sessions::hash::Kind;
use crate::sessions::sync::Ordering::Relaxed;
use crate::sessions::timeouts::is_question;
use crate::sessions::{Direction, LanId, SessionId, tcp};
use crate::verdict::Reason;

/// Ports that are looked at for one to share: all of the sets that run out, and of a whole address
/// enough to find one unless nearly all are in use towards the same peer.
const MOST_PROBES: u32 = 1024;

/// Ports that are looked at once many searches of this second went to the end: whoever has a thousand servers of which
/// each is talked to from every port could make the rest of the packets wait for his. Towards others a port is found at
/// once, unless most are in use towards them, too.
const FEW_PROBES: u32 = 16;

/// A session's place on an outside port.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) port: Port,
    pub(super) claim: Claim,
    /// The session that stands for the port; `None` if there is none yet.
    pub(super) beside: Option<SessionId>,
}

/// Everything that a session is made from.
pub(super) struct Opening {
    pub(super) ends: Ends,
    pub(super) place: Place,
    /// What is known of its connection, see [`tcp`].
    pub(super) state: u8,
    /// Second of the packet that counts as its last.
    pub(super) last: u32,
}

impl Napt {
    /// Whether an outbound packet with these TCP flags begins anything: a reset for a connection we know nothing of does not.
    ///
    /// # Errors
    /// It does not ([`Reason::NaptNoSession`]).
    pub fn may_begin_outbound(protocol: u8, flags: u8) -> Result<(), Reason> {
        let is_reset = protocol == protocol::TCP && flags & Tcp::RST != 0;
        if is_reset { Err(Reason::NaptNoSession) } else { Ok(()) }
    }

    /// Opens a session for an outbound packet from `lan` that has none. TCP flags are those of the packet.
    pub fn create_outbound(
        &self,
        lan: LanId,
        protocol: u8,
        inside: Endpoint,
        peer: Endpoint,
        flags: u8,
        now: Time,
    ) -> Result<SessionId, Reason> {
        Self::may_begin_outbound(protocol, flags)?;
        self.check_protocol(protocol)?;
        let key = Key::outbound(lan, protocol, inside, peer);
        let hash = self.hash_of(Kind::Outbound, &key);
        let mut writer = self.lock();
        // Another worker may have been faster.
        if let Some(id) = self.find(&key, hash) {
            return Ok(id);
        }
        let w = &mut *writer;
        if w.hosts.as_ref().is_some_and(|hosts| !hosts.may_open(lan, inside.addr)) {
            if let Some(tally) = w.tally(protocol) {
                tally.limited += 1;
            }
            return Err(Reason::NaptHostLimit);
        }
        let id = w.free.take(&self.sessions, &self.readers).ok_or(Reason::NaptTableFull)?;
        let ends = Ends { protocol, lan, inside, peer };
        let place = match protocol::is_by_address(protocol) {
            true => self.place_by_address(protocol, peer).ok_or(Reason::NaptPeerInUse),
            false => self.place(w, &ends, now.seconds()).ok_or(Reason::NaptPortsFull),
        };
        let place = match place {
            Ok(place) => place,
            Err(reason) => {
                w.free.untake(id);
                if let Some(tally) = w.tally(protocol) {
                    tally.refused += 1;
                }
                return Err(reason);
            }
        };
        self.open(w, id, Opening { ends, place, state: tcp::born(protocol, Direction::Outbound), last: now.seconds() })
    }

    /// Opens a session for an inbound packet from a new peer, to a static mapping or, if the
    /// filtering allows it (RFC 4787 5), to a mapping that is there.
    pub fn create_inbound(
        &self,
        protocol: u8,
        peer: Endpoint,
        outside: Endpoint,
        flags: u8,
        now: Time,
    ) -> Result<SessionId, Reason> {
        self.create_inbound_if(protocol, peer, outside, flags, now, |_, _| Ok(()))
    }

    /// The same, if `may` says so of the host of ours that it is for: asked once, of what nothing else is against, and with
    /// the table's lock held.
    ///
    /// # Errors
    /// As [`Self::create_inbound`], or what `may` says.
    pub fn create_inbound_if(
        &self,
        protocol: u8,
        peer: Endpoint,
        outside: Endpoint,
        flags: u8,
        now: Time,
        may: impl FnOnce(LanId, Endpoint) -> Result<(), Reason>,
    ) -> Result<SessionId, Reason> {
        if outside.addr != self.outside.into() {
            return Err(Reason::NaptNoSession);
        }
        self.check_protocol(protocol)?;
        self.check_port(outside.port)?;
        let key = Key::inbound(protocol, peer, outside);
        // Nearly all that strangers try: a bit says it, and not the lock and three lookups.
        match self.refuses_strangers(protocol, outside.port) {
            Some(Reason::NaptNoSession) => return Err(Reason::NaptNoSession),
            Some(reason) => return self.find_settled(&key, self.hash(&key)).ok_or(reason),
            None => {}
        }
        let mut writer = self.lock();
        if let Some(id) = self.find(&key, self.hash(&key)) {
            return Ok(id);
        }
        let w = &mut *writer;
        let beside = self.on_port(protocol, outside);
        let owner = beside.map(|id| self.session(id)).filter(|session| session.claim() == Claim::Mapped);
        let ((lan, inside), claim, last) = match (w.forwards.inside(protocol, outside.port), owner) {
            (Some(inside), _) => (inside, Claim::Forwarded, now.seconds()),
            (None, Some(owner)) if self.filtering == Filtering::EndpointIndependent => {
                // Nor does a new peer keep a mapping alive where a known one would not.
                let last = if self.inbound_refresh { now.seconds() } else { owner.last() };
                ((owner.lan(), owner.inside()), Claim::Mapped, last)
            }
            (None, _) if beside.is_none() => return Err(Reason::NaptNoSession),
            (None, _) => return Err(Reason::NaptFiltered),
        };
        let opens = protocol != protocol::TCP || flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) == Tcp::SYN;
        // Its answers would leave by the port by which the host speaks to this peer already.
        let answers = Key::outbound(lan, protocol, inside, peer);
        if !opens || self.find(&answers, self.hash(&answers)).is_some() {
            return Err(Reason::NaptFiltered);
        }
        // Strangers do not get the last quarter of the table: it is for our own hosts.
        let capacity = self.capacity();
        if self.changing.live() >= capacity - capacity / 4 {
            return Err(Reason::NaptTableFull);
        }
        if w.hosts.as_ref().is_some_and(|hosts| !hosts.may_be_opened_to(lan, inside.addr)) {
            if let Some(tally) = w.tally(protocol) {
                tally.limited += 1;
            }
            return Err(Reason::NaptHostLimit);
        }
        may(lan, inside)?;
        let id = w.free.take(&self.sessions, &self.readers).ok_or(Reason::NaptTableFull)?;
        let place = Place { port: outside.port, claim, beside };
        let ends = Ends { protocol, lan, inside, peer };
        self.open(w, id, Opening { ends, place, state: tcp::born(protocol, Direction::Inbound), last })
    }

    /// The outside port of a session that is to be opened.
    #[inline]
    fn place(&self, w: &mut Writer, ends: &Ends, now: u32) -> Option<Place> {
        let &Ends { protocol, lan, inside, peer } = ends;
        // RFC 4787 REQ-1: what is mapped to the inside endpoint from outside is its mapping.
        if let Some(port) = w.forwards.outside(protocol, lan, inside)
            && self.is_unique(protocol, peer, port)
        {
            return Some(Place {
                port,
                claim: Claim::Forwarded,
                beside: self.on_port(protocol, self.outside_at(port)),
            });
        }
        let sibling = self.mapping(Kind::MappingInside, Key::mapping_inside(lan, protocol, inside));
        if let Some(id) = sibling {
            let port = self.session(id).outside().port;
            if !w.tallies[plane(protocol)].are_apart() || self.is_unique(protocol, peer, port) {
                return Some(Place { port, claim: Claim::Mapped, beside: sibling });
            }
        }
        let is_early = is_question(protocol, peer.port) && w.ports.left(plane(protocol)) <= w.ports.size() / 4;
        if is_early && let Some(place) = self.share(w, protocol, inside.port, peer, now) {
            return Some(place);
        }
        // An endpoint has one mapping at most.
        let claim = if sibling.is_some() { Claim::Shared } else { Claim::Mapped };
        match w.ports.take(protocol, inside.port, &mut w.rng) {
            Some(port) => Some(Place { port, claim, beside: None }),
            None if is_early => None,
            None => self.share(w, protocol, inside.port, peer, now),
        }
    }

    /// The place of a session without port, if nobody else has the peer.
    fn place_by_address(&self, protocol: u8, peer: Endpoint) -> Option<Place> {
        let port = Port::default();
        self.is_unique(protocol, peer, port).then_some(Place { port, claim: Claim::ByAddress, beside: None })
    }

    /// A port that is in use, but not towards `peer`. Some random one, so that no mapping has to
    /// suffer more than others; even or odd as `wanted` where that counts. If there is none, that of the
    /// connection to `peer` that has been over for the longest time, which ends.
    #[cold]
    #[inline(never)]
    fn share(&self, w: &mut Writer, protocol: u8, wanted: Port, peer: Endpoint, now: u32) -> Option<Place> {
        let key = Key::inbound(protocol, peer, self.outside_at(Port::default()));
        let peer_hash = self.hash_of(Kind::Inbound, &key);
        let none_free = w.ports.left(plane(protocol)) == 0;
        if none_free && w.exhausted.knows(peer_hash, w.expired, now) {
            return None;
        }
        let Writer { ports, forwards, rng, exhausted, .. } = w;
        let place = |port| Place { port, claim: Claim::Shared, beside: self.on_port(protocol, self.outside_at(port)) };
        let (mut over, mut unlike): (Option<SessionId>, Option<Port>) = (None, None);
        let probes = if exhausted.is_swamped(now) { FEW_PROBES } else { MOST_PROBES };
        let taken = ports.taken(protocol, probes, rng);
        for port in taken.filter(|&port| forwards.inside(protocol, port).is_none()) {
            let Some(id) = self.towards(protocol, peer, port) else {
                if ports.is_alike(protocol, wanted, port) {
                    return Some(place(port));
                }
                unlike.get_or_insert(port);
                continue;
            };
            let session = self.session(id);
            if session.is_over(now) && over.is_none_or(|over| session.last() < self.session(over).last()) {
                over = Some(id);
            }
        }
        exhausted.count(now);
        if unlike.is_some() || !none_free {
            return unlike.map(place);
        }
        let Some(id) = over else {
            w.exhausted.note(peer_hash, w.expired, now);
            return None;
        };
        let port = self.session(id).outside().port;
        w.wheel.take_out(&self.sessions, id);
        self.close(w, id);
        // It is free, unless others share it.
        w.ports.reserve(protocol, port);
        Some(place(port))
    }

    /// The session that has this outside port towards `peer`.
    fn towards(&self, protocol: u8, peer: Endpoint, port: Port) -> Option<SessionId> {
        let key = Key::inbound(protocol, peer, self.outside_at(port));
        self.find(&key, self.hash_of(Kind::Inbound, &key))
    }

    /// Whether no session has this outside port towards `peer`.
    fn is_unique(&self, protocol: u8, peer: Endpoint, port: Port) -> bool {
        self.towards(protocol, peer, port).is_none()
    }

    /// Fills record `id` in and makes it findable.
    pub(super) fn open(&self, w: &mut Writer, id: SessionId, opening: Opening) -> Result<SessionId, Reason> {
        let Opening { ends, place, state, last } = opening;
        let protocol = ends.protocol;
        let session = self.session(id);
        session.write(ends, self.outside_at(place.port), self.uplink, state, last);
        // One that stands for its port, and for its mapping.
        let stands = place.beside.is_none() && place.claim != Claim::ByAddress;
        let kinds = 2 + usize::from(stands) * (1 + usize::from(place.claim == Claim::Mapped));
        let kinds = &[Kind::Outbound, Kind::Inbound, Kind::MappingOutside, Kind::MappingInside][..kinds];
        let hash = |kind| self.hash_of(kind, &session.key(kind));
        for (done, &kind) in kinds.iter().enumerate() {
            if !self.index.insert(hash(kind), id, |id, kind| self.hash_of(kind, &self.session(id).key(kind))) {
                kinds[..done].iter().for_each(|&kind| self.index.remove(hash(kind), id));
                if place.beside.is_none() {
                    w.release(protocol, place.port);
                }
                // A reader may have found it already: it must wait like any removed session.
                session.end();
                w.free.give_back(id);
                return Err(Reason::NaptTableFull);
            }
        }
        let (prev, next) = match (place.beside, place.claim) {
            (None, _) => (id, id),
            // Behind the first of the mapping, which stays the first.
            (Some(s), Claim::Mapped) => (s, self.session(s).sibling_next.load(Relaxed)),
            // Before it, which is behind all others.
            (Some(s), _) => (self.session(s).sibling_prev.load(Relaxed), s),
        };
        session.sibling_prev.store(prev, Relaxed);
        session.sibling_next.store(next, Relaxed);
        self.session(prev).sibling_next.store(id, Relaxed);
        self.session(next).sibling_prev.store(id, Relaxed);
        let counted = w.hosts.as_mut().is_some_and(|hosts| hosts.add(ends.lan, ends.inside.addr));
        session.begin(place.claim, counted);
        if place.claim != Claim::Mapped
            && let Some(tally) = w.tally(protocol)
        {
            tally.add(place.claim);
        }
        w.schedule(self, id);
        w.created += 1;
        self.changing.opened();
        Ok(id)
    }

    /// Takes a session out of the index; its record may be used again once all readers have moved on.
    pub(super) fn close(&self, w: &mut Writer, id: SessionId) {
        let session = self.session(id);
        let (protocol, claim) = (session.protocol(), session.claim());
        let hash = |kind| self.hash_of(kind, &session.key(kind));
        self.index.remove(hash(Kind::Outbound), id);
        self.index.remove(hash(Kind::Inbound), id);
        let (prev, next) = (session.sibling_prev.load(Relaxed), session.sibling_next.load(Relaxed));
        let heir = (next != id).then_some(next);
        // Only one of them stands for the port and the mapping.
        self.index.replace(hash(Kind::MappingOutside), id, heir);
        if claim == Claim::Mapped {
            // Behind the last of the mapping come others, or the first one again.
            let heir = heir.filter(|&heir| self.session(heir).claim() == Claim::Mapped);
            self.index.replace(hash(Kind::MappingInside), id, heir);
        }
        if heir.is_none() {
            w.release(protocol, session.outside().port);
        }
        self.session(prev).sibling_next.store(next, Relaxed);
        self.session(next).sibling_prev.store(prev, Relaxed);
        session.end();
        if session.is_counted()
            && let Some(hosts) = &mut w.hosts
        {
            hosts.remove(session.lan(), session.inside().addr);
        }
        if claim != Claim::Mapped
            && let Some(tally) = w.tally(protocol)
        {
            tally.remove(claim);
        }
        w.free.give_back(id);
        w.expired += 1;
        self.changing.closed();
    }
}
