//! The session table: lookups without a lock by any worker, changes by one at a time.

mod writer;

use std::io;
use std::net::Ipv4Addr;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::index::Index;
use super::key::{Endpoint, Hash, Hasher, Key, Kind, split_addrs, split_ports};
use super::ports::{PortSet, Ports};
use super::readers::{ReaderId, Readers};
use super::session::{Direction, Session, SessionId, state};
use super::sync::{AtomicU32, Mutex, MutexGuard, Ordering::Relaxed, Slab, slab};
use super::timeouts::Timeouts;
use crate::packet::{Tcp, protocol};
use crate::ring::prefetch;
use crate::time::Time;
use crate::verdict::Reason;
use writer::{WHEEL, Writer};

/// Whose packets a mapping lets in (RFC 4787 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Only those of the address and port that were sent to.
    #[default]
    AddressAndPortDependent,
    /// Anybody's.
    EndpointIndependent,
}

/// What a NAPT is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that the Internet sees.
    pub outside: Ipv4Addr,
    /// Its ports that are ours.
    pub ports: PortSet,
    /// Most sessions at a time: a power of two from 2^10 to 2^23.
    pub sessions: u32,
    /// Who may send to a mapping.
    pub filtering: Filtering,
    /// How long sessions may be idle.
    pub timeouts: Timeouts,
    /// Whether inbound packets keep a session alive (RFC 4787 REQ-6b: optional; outbound ones always do).
    pub inbound_refresh: bool,
    /// How many workers look sessions up.
    pub readers: usize,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// A fixed secret and port choice, for reproducible runs; never on a line.
    pub seed: Option<[u64; 4]>,
}

impl Config {
    /// Smallest table.
    pub const MIN_SESSIONS: u32 = 1 << 10;
    /// Largest table.
    pub const MAX_SESSIONS: u32 = 1 << 23;

    /// Defaults for one worker behind `outside`.
    pub fn new(outside: Ipv4Addr) -> Self {
        Self {
            outside,
            ports: PortSet::ALL,
            sessions: 1 << 18,
            filtering: Filtering::default(),
            timeouts: Timeouts::default(),
            inbound_refresh: true,
            readers: 1,
            huge_pages: true,
            seed: None,
        }
    }
}

/// Why a table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The number of sessions.
    #[error("session table of {0}: must be a power of two from 1024 to 8388608")]
    Size(u32),
    /// The system gave no memory.
    #[error("session table: no memory: {0}")]
    Memory(#[from] io::Error),
}

/// How full the table is and what it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sessions now.
    pub live: u32,
    /// The most there can be.
    pub capacity: u32,
    /// Ever created.
    pub created: u64,
    /// Ever expired.
    pub expired: u64,
}

/// One outside address and its sessions.
#[derive(Debug)]
pub struct Napt {
    outside: Ipv4Addr,
    ports: PortSet,
    filtering: Filtering,
    timeouts: Timeouts,
    inbound_refresh: bool,
    hasher: Hasher,
    index: Index,
    sessions: Slab<Session>,
    readers: Readers,
    live: AtomicU32,
    writer: Mutex<Writer>,
}

impl Napt {
    /// A table without sessions.
    pub fn new(config: &Config) -> Result<Self, Refused> {
        let n = config.sessions;
        if !n.is_power_of_two() || !(Config::MIN_SESSIONS..=Config::MAX_SESSIONS).contains(&n) {
            return Err(Refused::Size(n));
        }
        Ok(Self::with_capacity(config, n)?)
    }

    /// As [`Self::new`] with any power of two: model checkers cannot walk a thousand sessions.
    #[doc(hidden)]
    pub fn with_capacity(config: &Config, n: u32) -> io::Result<Self> {
        let (hasher, rng) = match config.seed {
            Some(seed) => (Hasher::with_seed(seed), StdRng::seed_from_u64(seed[0])),
            None => (Hasher::random(), StdRng::from_rng(&mut rand::rng())),
        };
        let napt = Self {
            outside: config.outside,
            ports: config.ports,
            filtering: config.filtering,
            timeouts: config.timeouts,
            inbound_refresh: config.inbound_refresh,
            hasher,
            // At most four entries a session, eight to a bucket: half full at worst.
            index: Index::new(n as usize, config.huge_pages)?,
            // Record 0 is nobody's, so that 0 can mean "none".
            sessions: slab(n as usize + 1, config.huge_pages)?,
            readers: Readers::new(config.readers),
            live: AtomicU32::new(0),
            writer: Mutex::new(Writer {
                free: (1..=n).collect(),
                ready: n as usize,
                sealed: (0, 0),
                ports: Ports::new(config.ports),
                wheel: [0; WHEEL],
                wheel_now: 0,
                rng,
                created: 0,
                expired: 0,
            }),
        };
        // No packet is of protocol 0 and has ports, so none is ever taken for record 0's.
        let nobody = Endpoint::new(Ipv4Addr::UNSPECIFIED, 1);
        napt.session(0).write(0, nobody, nobody, nobody, 0, 0);
        Ok(napt)
    }

    /// The address that the Internet sees.
    pub fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// The ports of that address that are ours.
    pub fn port_set(&self) -> PortSet {
        self.ports
    }

    /// Whether packets of this direction keep a session alive.
    #[inline(always)]
    pub fn refreshes(&self, direction: Direction) -> bool {
        direction == Direction::Outbound || self.inbound_refresh
    }

    /// The keyed hash of `key`.
    #[inline(always)]
    pub fn hash(&self, key: &Key) -> Hash {
        self.hasher.hash(key)
    }

    /// First phase of a lookup: asks the cache for the bucket.
    #[inline(always)]
    pub fn prefetch(&self, hash: Hash) {
        self.index.prefetch(hash);
    }

    /// Second phase: finds the likely session and asks the cache for it.
    #[inline(always)]
    pub fn candidate(&self, hash: Hash) -> SessionId {
        let id = self.index.candidate(hash);
        prefetch(&self.sessions[id as usize]);
        id
    }

    /// Second phase for a flow that seems to have no session: asks the cache for what opening one
    /// will look at, as if it will get the outside port that it has inside.
    #[cold]
    #[inline(never)]
    pub fn prefetch_open(&self, key: &Key, hash: Hash) {
        self.index.prefetch_both(hash);
        let (((src, dst), (from, to)), protocol) = ((split_addrs(key.addrs), split_ports(key.ports)), key.protocol);
        let (inside, outside, peer) =
            (Endpoint::new(src, from), Endpoint::new(self.outside, from), Endpoint::new(dst, to));
        self.index.prefetch(self.hash(&Key::mapping(Kind::MappingInside, protocol, inside)));
        self.index.prefetch(self.hash(&Key::mapping(Kind::MappingOutside, protocol, outside)));
        self.index.prefetch(self.hash(&Key::flow(Kind::Inbound, protocol, peer, outside)));
    }

    /// Third phase: the session of `key`, given the second phase's answer.
    #[inline(always)]
    pub fn confirm(&self, candidate: SessionId, key: &Key, hash: Hash) -> Option<&Session> {
        let session = &self.sessions[candidate as usize];
        if session.is(key) { Some(session) } else { self.find(key, hash).map(|id| self.session(id)) }
    }

    /// The session of `key`, in one step.
    #[cold]
    pub fn find(&self, key: &Key, hash: Hash) -> Option<SessionId> {
        self.index.find(hash, |id| self.sessions[id as usize].is(key))
    }

    /// A session by its number.
    #[inline(always)]
    pub fn session(&self, id: SessionId) -> &Session {
        &self.sessions[id as usize]
    }

    /// Some session of the mapping that has `endpoint` at its inside or outside end.
    fn mapping(&self, kind: Kind, protocol: u8, endpoint: Endpoint) -> Option<SessionId> {
        let key = Key::mapping(kind, protocol, endpoint);
        self.index.find(self.hash(&key), |id| self.sessions[id as usize].key(kind) == key)
    }

    /// Whether `outside` is the outside end of some mapping.
    pub fn is_mapped(&self, protocol: u8, outside: Endpoint) -> bool {
        self.mapping(Kind::MappingOutside, protocol, outside).is_some()
    }

    /// Follows a TCP connection; called for SYN, FIN, RST and until the handshake is complete.
    #[cold]
    pub fn track(&self, session: &Session, direction: Direction, flags: u8) {
        let (old, new) = session.track(direction, flags);
        let timeout = |state| self.timeouts.of(session.protocol(), session.peer().port, state);
        // A later end needs nothing: ageing looks at the session at its earlier end and finds out.
        if timeout(new) < timeout(old) {
            let mut writer = self.lock();
            let id = self.id_of(session);
            // It may have expired meanwhile; then nothing hangs on it.
            if writer.is_linked(self, id) {
                writer.unschedule(self, id);
                writer.schedule(self, id);
            }
        }
    }

    fn id_of(&self, session: &Session) -> SessionId {
        let offset = session as *const Session as usize - self.sessions.as_ptr() as usize;
        (offset / size_of::<Session>()) as SessionId
    }

    /// Opens a session for an outbound packet that has none. TCP flags are those of the packet.
    pub fn create_outbound(
        &self,
        protocol: u8,
        inside: Endpoint,
        peer: Endpoint,
        flags: u8,
        now: Time,
    ) -> Result<SessionId, Reason> {
        // A reset for a connection we know nothing of opens nothing.
        if protocol == protocol::TCP && flags & Tcp::RST != 0 {
            return Err(Reason::NaptNoSession);
        }
        let key = Key::flow(Kind::Outbound, protocol, inside, peer);
        let hash = self.hash(&key);
        let mut writer = self.lock();
        // Another worker may have been faster.
        if let Some(id) = self.find(&key, hash) {
            return Ok(id);
        }
        let sibling = self.mapping(Kind::MappingInside, protocol, inside);
        let w = &mut *writer;
        let id = w.allocate(self).ok_or(Reason::NaptTableFull)?;
        let outside = match sibling {
            Some(sibling) => self.session(sibling).outside(),
            None => match w.ports.take(protocol, inside.port, &mut w.rng) {
                Some(port) => Endpoint::new(self.outside, port),
                None => {
                    w.unallocate(id);
                    return Err(Reason::NaptPortsFull);
                }
            },
        };
        self.open(w, id, protocol, [inside, peer, outside], Direction::Outbound, sibling, now.seconds())
    }

    /// Opens a session for an inbound packet to a mapped port from a new peer, if the filtering
    /// allows it (RFC 4787 5).
    pub fn create_inbound(
        &self,
        protocol: u8,
        peer: Endpoint,
        outside: Endpoint,
        flags: u8,
        now: Time,
    ) -> Result<SessionId, Reason> {
        let mut writer = self.lock();
        let key = Key::flow(Kind::Inbound, protocol, peer, outside);
        if let Some(id) = self.find(&key, self.hash(&key)) {
            return Ok(id);
        }
        let sibling = self.mapping(Kind::MappingOutside, protocol, outside).ok_or(Reason::NaptNoSession)?;
        if self.filtering == Filtering::AddressAndPortDependent
            || protocol == protocol::TCP && flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) != Tcp::SYN
        {
            return Err(Reason::NaptFiltered);
        }
        // Strangers do not get the last quarter of the table: it is for our own hosts.
        let capacity = self.capacity();
        if self.live.load(Relaxed) >= capacity - capacity / 4 {
            return Err(Reason::NaptTableFull);
        }
        let w = &mut *writer;
        let id = w.allocate(self).ok_or(Reason::NaptTableFull)?;
        let sibling_session = self.session(sibling);
        // Nor does a new peer keep a mapping alive where a known one would not.
        let last = if self.inbound_refresh { now.seconds() } else { sibling_session.last() };
        let ends = [sibling_session.inside(), peer, outside];
        self.open(w, id, protocol, ends, Direction::Inbound, Some(sibling), last)
    }

    /// Fills record `id` in and makes it findable.
    #[allow(clippy::too_many_arguments)]
    fn open(
        &self,
        w: &mut Writer,
        id: SessionId,
        protocol: u8,
        [inside, peer, outside]: [Endpoint; 3],
        first: Direction,
        sibling: Option<SessionId>,
        last: u32,
    ) -> Result<SessionId, Reason> {
        let session = self.session(id);
        let state = match (protocol, first) {
            (protocol::TCP, Direction::Outbound) => state::SEEN_OUT,
            (protocol::TCP, Direction::Inbound) => state::SEEN_IN,
            _ => state::ESTABLISHED,
        };
        session.write(protocol, inside, peer, outside, state, last);
        let hash = |kind| self.hash(&session.key(kind));
        let kinds = [Kind::Outbound, Kind::Inbound, Kind::MappingInside, Kind::MappingOutside];
        let kinds = if sibling.is_some() { &kinds[..2] } else { &kinds };
        for (done, &kind) in kinds.iter().enumerate() {
            if !self.index.insert(hash(kind), id, |id, kind| self.hash(&self.session(id).key(kind))) {
                kinds[..done].iter().for_each(|&kind| self.index.remove(hash(kind), id));
                if sibling.is_none() {
                    w.ports.give_back(protocol, outside.port);
                }
                // A reader may have found it already: it must wait like any removed session.
                w.free.push_back(id);
                return Err(Reason::NaptTableFull);
            }
        }
        let (prev, next) = match sibling {
            Some(s) => (s, self.session(s).sibling_next.load(Relaxed)),
            None => (id, id),
        };
        session.sibling_prev.store(prev, Relaxed);
        session.sibling_next.store(next, Relaxed);
        self.session(prev).sibling_next.store(id, Relaxed);
        self.session(next).sibling_prev.store(id, Relaxed);
        session.live.store(1, Relaxed);
        w.schedule(self, id);
        w.created += 1;
        self.live.store(self.live.load(Relaxed) + 1, Relaxed);
        Ok(id)
    }

    /// Takes a session out of the index; its record may be used again once all readers have moved on.
    fn close(&self, w: &mut Writer, id: SessionId) {
        let session = self.session(id);
        let hash = |kind| self.hash(&session.key(kind));
        self.index.remove(hash(Kind::Outbound), id);
        self.index.remove(hash(Kind::Inbound), id);
        let (prev, next) = (session.sibling_prev.load(Relaxed), session.sibling_next.load(Relaxed));
        for kind in [Kind::MappingInside, Kind::MappingOutside] {
            let hash = hash(kind);
            if next == id {
                self.index.remove(hash, id);
            } else {
                // Only one of the siblings stands for the mapping.
                self.index.replace(hash, id, next);
            }
        }
        if next == id {
            w.ports.give_back(session.protocol(), session.outside().port);
        }
        self.session(prev).sibling_next.store(next, Relaxed);
        self.session(next).sibling_prev.store(prev, Relaxed);
        session.live.store(0, Relaxed);
        w.free.push_back(id);
        w.expired += 1;
        self.live.store(self.live.load(Relaxed) - 1, Relaxed);
    }

    /// Closes sessions that have been idle too long; looks at `budget` sessions at most, so that
    /// no burst waits for a million of them. Does nothing while another worker holds the lock.
    pub fn age(&self, now: Time, budget: usize) {
        let Ok(mut writer) = self.writer.try_lock() else { return };
        writer.age(self, now.seconds(), budget);
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

    fn capacity(&self) -> u32 {
        self.sessions.len() as u32 - 1
    }

    /// How full it is.
    pub fn stats(&self) -> Stats {
        let writer = self.lock();
        Stats {
            live: self.live.load(Relaxed),
            capacity: self.capacity(),
            created: writer.created,
            expired: writer.expired,
        }
    }

    /// Sessions as they are now, for people to look at: those among the `most` records from number `from`
    /// on (0 to begin with). Answers where to go on, `None` at the end. Holds up changes, not lookups,
    /// for as long as it takes to look at that many.
    pub fn slice(&self, from: SessionId, most: u32, mut each: impl FnMut(&Session)) -> Option<SessionId> {
        let _writer = self.lock();
        let records = self.sessions.len() as u32;
        let end = records.min(from.saturating_add(most));
        (from..end).map(|id| self.session(id)).filter(|session| session.live.load(Relaxed) != 0).for_each(&mut each);
        (end < records).then_some(end)
    }

    /// Bytes of memory, all included.
    pub fn bytes(&self) -> usize {
        let writer = self.lock();
        size_of::<Self>()
            + self.index.bytes()
            + self.sessions.len() * size_of::<Session>()
            + writer.free.capacity() * size_of::<SessionId>()
            + writer.ports.bytes()
            + self.readers.bytes()
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // Nothing under the lock panics half way; a poisoned table is as good as any.
        self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
