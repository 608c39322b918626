//! The session table: lookups without a lock by any worker, changes by one at a time.

mod config;
mod open;
mod saved;
mod writer;

use std::net::Ipv4Addr;
use std::sync::Arc;

use hikyaku_net::{Addr4, Port, PortSet, Time, protocol};
use hikyaku_ring::prefetch;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::forwards::{Forward, ForwardRefused, Forwards};
use super::hosts::Hosts;
use super::key::{Endpoint, Key, split_addrs, split_ports};
use super::ports::{PortBits, Ports, plane};
use super::session::{Ends, Session};
use crate::sessions::changing::Changing;
use crate::sessions::free::Free;
use crate::sessions::hash::{Hash, Hasher, Kind};
use crate::sessions::index::Index;
use crate::sessions::readers::{ReaderId, Readers};
use crate::sessions::sync::{MutexGuard, Slab, slab};
use crate::sessions::timeouts::Timeouts;
use crate::sessions::wheel::Wheel;
use crate::sessions::{Direction, LanId, SessionId, UplinkId, id_of, slice};
use crate::verdict::Reason;

pub use config::{Config, Filtering, PortStats, Refused, Stats};
pub use saved::Saved;
use writer::Writer;

/// One outside address and its sessions.
#[derive(Debug)]
pub struct Napt {
    outside: Ipv4Addr,
    ports: PortSet,
    uplink: UplinkId,
    filtering: Filtering,
    timeouts: Timeouts,
    inbound_refresh: bool,
    answer_unsolicited: bool,
    hasher: Hasher,
    index: Index,
    sessions: Slab<Session>,
    port_bits: Arc<PortBits>,
    readers: Readers,
    changing: Changing<Writer>,
}

impl Napt {
    /// A table without sessions.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn new(config: &Config) -> Result<Self, Refused> {
        let n = config.sessions;
        if !n.is_power_of_two() || !(Config::MIN_SESSIONS..=Config::MAX_SESSIONS).contains(&n) {
            return Err(Refused::Size(n));
        }
        Self::with_capacity(config, n)
    }

    /// As [`Self::new`] with any power of two: model checkers cannot walk a thousand sessions.
    #[doc(hidden)]
    pub fn with_capacity(config: &Config, n: u32) -> Result<Self, Refused> {
        let (hasher, rng) = match config.seed {
            Some(seed) => (Hasher::with_seed(seed), StdRng::seed_from_u64(seed[0])),
            None => (Hasher::random(), StdRng::from_rng(&mut rand::rng())),
        };
        let ports = Ports::new(config.ports, config.port_parity);
        let napt = Self {
            outside: config.outside,
            ports: config.ports,
            uplink: config.uplink,
            filtering: config.filtering,
            timeouts: config.timeouts,
            inbound_refresh: config.inbound_refresh,
            answer_unsolicited: config.answer_unsolicited,
            hasher,
            index: Index::new(n as usize, Kind::ALL.len(), config.huge_pages)?,
            // Record 0 is nobody's, so that 0 can mean "none".
            sessions: slab(n as usize + 1, config.huge_pages)?,
            port_bits: ports.bits(),
            readers: Readers::new(config.readers),
            changing: Changing::new(Writer {
                free: Free::new(n),
                ports,
                forwards: Forwards::default(),
                hosts: config.per_host.map(|most| Hosts::new(most, n)),
                tallies: Default::default(),
                exhausted: Default::default(),
                wheel: Wheel::new(),
                rng,
                created: 0,
                expired: 0,
            }),
        };
        // No packet is of protocol 0 and has ports, so none is ever taken for record 0's.
        let nobody = Endpoint::new(Ipv4Addr::UNSPECIFIED, 1);
        let ends = Ends { protocol: 0, lan: LanId::default(), inside: nobody, peer: nobody };
        napt.session(0).write(ends, nobody, napt.uplink, 0, 0);
        napt.set_forwards(&config.forwards)?;
        Ok(napt)
    }

    /// Chooses outside ports from here on as a table does that was made with this secret ([`Config::seed`]): for who plays
    /// many histories on one table, and wants each to go as it goes alone.
    #[doc(hidden)]
    pub fn reseed(&self, seed: [u64; 4]) {
        self.lock().rng = StdRng::seed_from_u64(seed[0]);
    }

    /// The address that the Internet sees.
    pub fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// The ports of that address that are ours.
    pub fn port_set(&self) -> PortSet {
        self.ports
    }

    /// RFC 7597 8.1: what is addressed to a port (or echo identifier) of another line is not for us.
    pub fn check_port(&self, outside: Port) -> Result<(), Reason> {
        if self.ports.contains(outside.number()) { Ok(()) } else { Err(Reason::PortOutsideSet) }
    }

    /// Whether packets of a protocol can be translated at all: of what has no ports only where all of the
    /// address is ours.
    pub fn check_protocol(&self, protocol: u8) -> Result<(), Reason> {
        let by_address = protocol::is_by_address(protocol) && self.ports == PortSet::ALL;
        let by_port = matches!(protocol, protocol::TCP | protocol::UDP | protocol::ICMP);
        if by_port || by_address { Ok(()) } else { Err(Reason::NaptProtocol) }
    }

    /// Whether packets of this direction keep a session alive.
    #[inline(always)]
    pub fn refreshes(&self, direction: Direction) -> bool {
        direction == Direction::Outbound || self.inbound_refresh
    }

    /// Whether SYNs that nobody let in are answered, see [`Config::answer_unsolicited`].
    pub fn answers_unsolicited(&self) -> bool {
        self.answer_unsolicited
    }

    /// The keyed hash of `key`.
    #[inline(always)]
    pub fn hash(&self, key: &Key) -> Hash {
        key.hash(&self.hasher)
    }

    /// The keyed hash of `key`, whose kind is known.
    #[inline(always)]
    pub fn hash_of(&self, kind: Kind, key: &Key) -> Hash {
        key.hash_of(kind, &self.hasher)
    }

    /// First stage of a lookup: asks the cache for the bucket of a key of this kind.
    #[inline(always)]
    pub fn prefetch(&self, hash: Hash, kind: Kind) {
        self.index.prefetch(hash, kind);
    }

    /// Second stage: finds the likely session and asks the cache for it.
    #[inline(always)]
    pub fn candidate(&self, hash: Hash, kind: Kind) -> SessionId {
        let id = self.index.candidate(hash, kind);
        prefetch(&self.sessions[id as usize]);
        id
    }

    /// Second stage for a flow that seems to have no session: asks the cache for what opening one
    /// will look at, as if it will get the outside port that it has inside.
    #[cold]
    #[inline(never)]
    pub fn prefetch_open(&self, key: &Key, hash: Hash) {
        self.index.prefetch_both(hash);
        let (((src, dst), (from, to)), protocol) =
            ((split_addrs(key.addrs()), split_ports(key.ports())), key.protocol());
        let (inside, outside, peer) =
            (Endpoint::new(src, from), Endpoint::new(self.outside, from), Endpoint::new(dst, to));
        let prefetch = |kind, key: Key| self.prefetch(self.hash_of(kind, &key), kind);
        prefetch(Kind::MappingInside, Key::mapping_inside(key.lan(), protocol, inside));
        prefetch(Kind::MappingOutside, Key::mapping_outside(protocol, outside));
        prefetch(Kind::Inbound, Key::inbound(protocol, peer, outside));
    }

    /// Third stage: the session of `key`, which is of a packet that goes this way, if it is the second stage's answer.
    #[inline(always)]
    pub fn likely(&self, candidate: SessionId, key: &Key, direction: Direction) -> Option<&Session> {
        Some(&self.sessions[candidate as usize]).filter(|session| session.is(key, direction))
    }

    /// Why a stranger's packet to an outside port goes nowhere, where a bit says it: the port is nobody's, neither a
    /// session's nor a static mapping's, and then there is no session to look for either ([`Reason::NaptNoSession`]); or only those
    /// are let in who were sent to, and it is no static mapping's ([`Reason::NaptFiltered`]). `None` takes a look.
    #[inline]
    pub fn refuses_strangers(&self, protocol: u8, outside: Port) -> Option<Reason> {
        if self.port_bits.is_unused(protocol, outside) {
            return Some(Reason::NaptNoSession);
        }
        let closed = self.filtering == Filtering::AddressAndPortDependent
            && !protocol::is_by_address(protocol)
            && self.port_bits.is_without_forward(protocol, outside);
        closed.then_some(Reason::NaptFiltered)
    }

    /// The session of `key`, in one step. It may be missed while its entry in the index moves, but by the holder of the lock:
    /// who opens one looks again under it, who drops for want of one has [`Self::find_settled`].
    #[cold]
    pub fn find(&self, key: &Key, hash: Hash) -> Option<SessionId> {
        match key.direction() {
            Direction::Outbound => self.index.find(hash, |id| self.session(id).is(key, Direction::Outbound)),
            Direction::Inbound => self.index.find(hash, |id| self.session(id).is(key, Direction::Inbound)),
        }
    }

    /// The session of `key`, whatever moves meanwhile.
    #[cold]
    pub fn find_settled(&self, key: &Key, hash: Hash) -> Option<SessionId> {
        let direction = key.direction();
        self.index.find_settled(hash, |id| self.sessions[id as usize].is(key, direction))
    }

    /// A session by its number.
    #[inline(always)]
    pub fn session(&self, id: SessionId) -> &Session {
        &self.sessions[id as usize]
    }

    /// The session that stands for the mapping of `key`, which is of this kind, for the holder of the lock.
    #[inline]
    fn mapping(&self, kind: Kind, key: Key) -> Option<SessionId> {
        self.index.find(self.hash_of(kind, &key), |id| self.sessions[id as usize].key(kind) == key)
    }

    /// The session that stands for an outside port.
    fn on_port(&self, protocol: u8, outside: Endpoint) -> Option<SessionId> {
        self.mapping(Kind::MappingOutside, Key::mapping_outside(protocol, outside))
    }

    /// Our outside address with this port.
    fn outside_at(&self, port: Port) -> Endpoint {
        Endpoint::new(self.outside, port)
    }

    /// Whether `outside` is the outside end of some session, or of a static mapping.
    pub fn is_mapped(&self, protocol: u8, outside: Endpoint) -> bool {
        let writer = self.lock();
        self.on_port(protocol, outside).is_some()
            || Addr4::from(self.outside) == outside.addr && writer.forwards.inside(protocol, outside.port).is_some()
    }

    /// Follows a TCP connection; called for SYN, FIN, RST and until the handshake is complete.
    #[cold]
    pub fn track(&self, session: &Session, direction: Direction, flags: u8) {
        let (old, new) = session.track(direction, flags);
        let timeout = |state| self.timeouts.of(session.protocol(), state, None);
        // A later end needs nothing: ageing looks at the session at its earlier end and finds out.
        if timeout(new) < timeout(old) {
            let mut writer = self.lock();
            let id = id_of(&self.sessions, session);
            // It may have expired meanwhile; then nothing hangs on it.
            if writer.wheel.holds(&self.sessions, id) {
                writer.wheel.take_out(&self.sessions, id);
                writer.schedule(self, id);
            }
        }
    }

    /// Closes sessions that have been idle too long; looks at `budget` sessions at most, so that
    /// no burst waits for a million of them. Does nothing while another worker holds the lock, and does not
    /// even ask for it where nothing is to be done. Whether all that is due is done, as far as this worker can see.
    pub fn age(&self, now: Time, budget: usize) -> bool {
        self.changing.age(now.seconds(), |writer| writer.age(self, now.seconds(), budget))
    }

    /// The reader is between two bursts. Before its first lookup and once per burst.
    #[inline(always)]
    pub fn quiescent(&self, reader: ReaderId) {
        self.readers.quiescent(reader);
    }

    /// The reader sleeps or ends.
    pub fn offline(&self, reader: ReaderId) {
        self.readers.offline(reader);
    }

    /// Replaces all static mappings. This is what configuration changes and port control protocols
    /// (PCP, NAT-PMP, UPnP) come down to: who keeps leases says here what they are now.
    ///
    /// Every session lives on. A dynamic mapping that has a port which is forwarded now keeps it
    /// until it ends, but strangers' packets go where the static mapping says from now on; the
    /// sessions of a static mapping that is no more go on without it. Workers cannot open or close sessions
    /// meanwhile: microseconds, with all 65,535 ports some milliseconds.
    ///
    /// # Errors
    ///
    /// See [`ForwardRefused`]; nothing has changed then.
    pub fn set_forwards(&self, list: &[Forward]) -> Result<(), ForwardRefused> {
        let new = Forwards::new(self.ports, list)?;
        let mut writer = self.lock();
        let w = &mut *writer;
        let old = std::mem::replace(&mut w.forwards, new);
        w.exhausted = Default::default();
        w.ports.set_forwarded(w.forwards.ports());
        for (protocol, port) in old.ports() {
            w.tallies[plane(protocol)].reserved -= 1;
            let in_use = || self.on_port(protocol, self.outside_at(port)).is_some();
            if w.forwards.inside(protocol, port).is_none() && !in_use() {
                w.ports.give_back(protocol, port);
            }
        }
        for (protocol, port) in w.forwards.ports() {
            w.tallies[plane(protocol)].reserved += 1;
            w.ports.reserve(protocol, port);
        }
        Ok(())
    }

    /// The static mappings, in order of protocol and outside port.
    pub fn forwards(&self) -> Vec<Forward> {
        self.lock().forwards.all().to_vec()
    }

    fn capacity(&self) -> u32 {
        self.sessions.len() as u32 - 1
    }

    /// How full it is.
    pub fn stats(&self) -> Stats {
        let writer = self.lock();
        Stats {
            live: self.changing.live(),
            capacity: self.capacity(),
            created: writer.created,
            expired: writer.expired,
        }
    }

    /// The ports, of TCP, UDP and ICMP.
    pub fn port_stats(&self) -> [PortStats; 3] {
        let writer = self.lock();
        [protocol::TCP, protocol::UDP, protocol::ICMP].map(|protocol| {
            let (tally, size) = (&writer.tallies[plane(protocol)], writer.ports.size());
            PortStats {
                protocol,
                size,
                forwarded: tally.reserved,
                used: size - writer.ports.left(plane(protocol)) - tally.reserved,
                shared: tally.shared,
                refused: tally.refused,
                limited: tally.limited,
            }
        })
    }

    /// Sessions as they are now, for people to look at: those among the `most` records from number `from`
    /// on (0 to begin with). Answers where to go on, `None` at the end. Holds up changes, not lookups,
    /// for as long as it takes to look at that many.
    pub fn slice(&self, from: SessionId, most: u32, mut each: impl FnMut(&Session)) -> Option<SessionId> {
        let _writer = self.lock();
        let (some, next) = slice(&self.sessions, from, most);
        some.iter().filter(|session| session.is_live()).for_each(&mut each);
        next
    }

    /// Bytes of memory, all included.
    pub fn bytes(&self) -> usize {
        let writer = self.lock();
        size_of::<Self>()
            + self.index.bytes()
            + self.sessions.len() * size_of::<Session>()
            + writer.free.bytes()
            + writer.ports.bytes()
            + writer.forwards.bytes()
            + writer.hosts.as_ref().map_or(0, Hosts::bytes)
            + self.readers.bytes()
    }

    /// Whether a worker panicked while it changed the table. Lookups go on, and so do changes, for as long as it takes to
    /// end the process: what was left half done nobody knows.
    pub fn is_poisoned(&self) -> bool {
        self.changing.is_poisoned()
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.changing.lock()
    }
}
