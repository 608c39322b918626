//! The table of sessions: lookups without a lock by any worker, changes by one at a time.

mod saved;

use hikyaku_net::packet::Tcp;
use hikyaku_net::{Mac, Time, protocol};
use hikyaku_ring::prefetch;

use super::Config;
use super::session::{Flow, Session};
use super::shares::Shares;
use crate::napt::{Refused, Stats};
use crate::sessions::changing::Changing;
use crate::sessions::free::Free;
use crate::sessions::hash::{Hash, Hasher, Kind};
use crate::sessions::index::Index;
use crate::sessions::readers::{ReaderId, Readers};
use crate::sessions::sync::{MutexGuard, Slab, slab};
use crate::sessions::timeouts::Timeouts;
use crate::sessions::wheel::{self, Wheel};
use crate::sessions::{Direction, SessionId, id_of, slice, tcp};
use crate::verdict::Reason;

pub use saved::Saved;

/// The sessions that were let through.
#[derive(Debug)]
pub struct Filter6 {
    timeouts: Timeouts,
    answer_unsolicited: bool,
    hasher: Hasher,
    index: Index,
    sessions: Slab<Session>,
    readers: Readers,
    changing: Changing<Writer>,
}

/// What only the holder of the lock touches.
#[derive(Debug)]
struct Writer {
    free: Free,
    wheel: Wheel,
    shares: Shares,
    created: u64,
    expired: u64,
}

/// What a session begins with, besides its flow.
struct Opening {
    /// What is known of the connection, [`tcp`]'s bits.
    state: u8,
    /// Whose share it is counted in.
    share: u32,
    /// Second of the last packet.
    last: u32,
}

/// What is known of a connection whose first packet went this way; of what is no connection all is.
fn first_state(flow: &Flow, seen: u8) -> u8 {
    if is_connection(flow.protocol) { seen } else { tcp::ESTABLISHED }
}

/// A session has one entry in the index, whichever way its packets go.
const KIND: Kind = Kind::Outbound;

impl Filter6 {
    /// A filter that has let nothing through yet.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn new(config: &Config) -> Result<Self, Refused> {
        use crate::napt::Config as Sizes;
        let n = config.sessions;
        if !n.is_power_of_two() || !(Sizes::MIN_SESSIONS..=Sizes::MAX_SESSIONS).contains(&n) {
            return Err(Refused::Size(n));
        }
        Ok(Self {
            timeouts: config.timeouts,
            answer_unsolicited: config.answer_unsolicited,
            hasher: config.seed.map_or_else(Hasher::random, Hasher::with_seed),
            index: Index::new(n as usize, 1, config.huge_pages)?,
            // Record 0 is nobody's, so that 0 can mean "none": it is of protocol 0.
            sessions: slab(n as usize + 1, config.huge_pages)?,
            readers: Readers::new(config.readers),
            changing: Changing::new(Writer {
                free: Free::new(n),
                wheel: Wheel::new(),
                shares: Shares::new(config.per_station, n),
                created: 0,
                expired: 0,
            }),
        })
    }

    /// Whether SYNs that nobody let in are answered, see [`Config::answer_unsolicited`].
    pub fn answers_unsolicited(&self) -> bool {
        self.answer_unsolicited
    }

    /// The keyed hash of a flow.
    #[inline(always)]
    pub fn hash(&self, flow: &Flow) -> Hash {
        let addrs = [flow.inside, flow.peer].map(|addr| u128::from_ne_bytes(addr.0));
        self.hasher.of(KIND, (addrs[0], addrs[1], flow.rest()))
    }

    /// First stage of a lookup: asks the cache for the bucket.
    #[inline(always)]
    pub fn prefetch(&self, hash: Hash) {
        self.index.prefetch(hash, KIND);
    }

    /// Second stage: finds the likely session and asks the cache for it.
    #[inline(always)]
    pub fn candidate(&self, hash: Hash) -> SessionId {
        let id = self.index.candidate(hash, KIND);
        prefetch(&self.sessions[id as usize]);
        id
    }

    /// Third stage: the session of `flow`, if it is the second stage's answer.
    #[inline(always)]
    pub fn likely(&self, candidate: SessionId, flow: &Flow) -> Option<&Session> {
        Some(&self.sessions[candidate as usize]).filter(|session| session.is(flow))
    }

    /// The session of `flow`, whatever moves meanwhile.
    #[cold]
    pub fn find(&self, flow: &Flow) -> Option<&Session> {
        let hash = self.hash(flow);
        let is = |id: SessionId| self.sessions[id as usize].is(flow);
        self.index.find_settled(hash, is).map(|id| &self.sessions[id as usize])
    }

    /// Whether a packet that has no session may be the first of one; `flags` are TCP's.
    ///
    /// # Errors
    /// It is none that begins a connection ([`Reason::Ipv6Filtered`]): from outside anything but a SYN, from a host of ours,
    /// whose session may be older than this table, a reset.
    #[cold]
    pub fn may_begin(flow: &Flow, direction: Direction, flags: u8) -> Result<(), Reason> {
        let begins = match direction {
            _ if flow.protocol != protocol::TCP => true,
            Direction::Outbound => flags & Tcp::RST == 0,
            Direction::Inbound => flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) == Tcp::SYN,
        };
        if begins { Ok(()) } else { Err(Reason::Ipv6Filtered) }
    }

    /// Opens a session for a packet of a host of ours that has none and [may begin one](Self::may_begin). `station` is the
    /// host's.
    ///
    /// # Errors
    /// The station has its share ([`Reason::Ipv6HostLimit`]), or the table is full ([`Reason::Ipv6TableFull`]).
    #[cold]
    pub fn open_outbound(&self, flow: &Flow, station: Mac, now: Time) -> Result<&Session, Reason> {
        self.open_ours(flow, tcp::SEEN_OUT, station, now)
    }

    /// The same for a packet between two LANs, that goes [this way](Flow::between). `station` is its sender's, wherever that
    /// stands.
    ///
    /// # Errors
    /// As [`Self::open_outbound`].
    #[cold]
    pub fn open_between(&self, flow: &Flow, way: Direction, station: Mac, now: Time) -> Result<&Session, Reason> {
        let seen = match way {
            Direction::Outbound => tcp::SEEN_OUT,
            Direction::Inbound => tcp::SEEN_IN,
        };
        self.open_ours(flow, seen, station, now)
    }

    /// A session that a host of ours begins.
    fn open_ours(&self, flow: &Flow, seen: u8, station: Mac, now: Time) -> Result<&Session, Reason> {
        let mut writer = self.lock();
        // Another worker may have been faster.
        if let Some(session) = self.find(flow) {
            return Ok(session);
        }
        let share = writer.shares.place(station);
        if !writer.shares.may_open(share) {
            return Err(Reason::Ipv6HostLimit);
        }
        self.open(&mut writer, flow, Opening { state: first_state(flow, seen), share, last: now.seconds() })
    }

    /// Opens a session for a packet from outside that has none, [may begin one](Self::may_begin), and was let in by the
    /// operator: nothing else gets here, and so all that strangers try ends without the lock. `station` is that of the host
    /// of ours.
    ///
    /// # Errors
    /// As [`Self::open_outbound`]; strangers do not get the last quarter of a share, nor of the table.
    #[cold]
    pub fn open_inbound(&self, flow: &Flow, station: Mac, now: Time) -> Result<&Session, Reason> {
        let mut writer = self.lock();
        if let Some(session) = self.find(flow) {
            return Ok(session);
        }
        let (share, capacity) = (writer.shares.place(station), self.capacity());
        if !writer.shares.may_be_opened_to(share) {
            return Err(Reason::Ipv6HostLimit);
        }
        if self.changing.live() >= capacity - capacity / 4 {
            return Err(Reason::Ipv6TableFull);
        }
        self.open(&mut writer, flow, Opening { state: first_state(flow, tcp::SEEN_IN), share, last: now.seconds() })
    }

    fn open(&self, w: &mut Writer, flow: &Flow, opening: Opening) -> Result<&Session, Reason> {
        let id = w.free.take(&self.sessions, &self.readers).ok_or(Reason::Ipv6TableFull)?;
        let session = &self.sessions[id as usize];
        let Opening { state, share, last } = opening;
        session.write(flow, state, last, share);
        if !self.index.insert(self.hash(flow), id, |id, _| self.hash(&self.sessions[id as usize].flow())) {
            session.end();
            w.free.untake(id);
            return Err(Reason::Ipv6TableFull);
        }
        w.shares.add(share);
        w.hang(self, id);
        w.created += 1;
        self.changing.opened();
        Ok(session)
    }

    /// Takes a session out of the index; its record may be used again once all readers have moved on.
    fn close(&self, w: &mut Writer, id: SessionId) {
        let session = &self.sessions[id as usize];
        self.index.remove(self.hash(&session.flow()), id);
        session.end();
        w.shares.remove(session.share());
        w.free.give_back(id);
        w.expired += 1;
        self.changing.closed();
    }

    /// Follows a connection; called for SYN, FIN, RST and until the handshake is complete.
    #[cold]
    pub fn track(&self, session: &Session, direction: Direction, flags: u8) {
        let (old, new) = session.track(direction, flags);
        let protocol = session.flow().protocol;
        // A later end needs nothing: ageing looks at the session at its earlier end and finds out.
        if self.idle_time(protocol, new) < self.idle_time(protocol, old) {
            let mut writer = self.lock();
            let id = id_of(&self.sessions, session);
            // It may have expired meanwhile; then nothing hangs on it.
            if writer.wheel.holds(&self.sessions, id) {
                writer.wheel.take_out(&self.sessions, id);
                writer.hang(self, id);
            }
        }
    }

    /// How long a session may be idle (RFC 6092 REC-12, REC-14, REC-35, REC-40, REC-45).
    fn idle_time(&self, protocol: u8, state: u8) -> u32 {
        let like = match protocol {
            protocol if is_connection(protocol) => protocol::TCP,
            protocol::UDP_LITE => protocol::UDP,
            protocol::ICMPV6 => protocol::ICMP,
            protocol => protocol,
        };
        self.timeouts.of(like, state, None)
    }

    /// Closes sessions that have been idle too long; looks at `budget` sessions at most. Does nothing while another worker
    /// holds the lock, and does not even ask for it where nothing is to be done. Whether all that is due is done, as far as
    /// this worker can see.
    pub fn age(&self, now: Time, budget: usize) -> bool {
        self.changing.age(now.seconds(), |writer| {
            let done = wheel::age(&mut Locked { filter: self, writer }, now.seconds(), budget);
            writer.free.reclaim(&self.readers);
            done && writer.free.all_ready()
        })
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
            live: self.changing.live(),
            capacity: self.capacity(),
            created: writer.created,
            expired: writer.expired,
        }
    }

    /// Sessions as they are now, for people to look at: those among the `most` records from number `from` on (0 to begin
    /// with). Answers where to go on, `None` at the end. Holds up changes, not lookups, for as long as it takes to look at
    /// that many.
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
            + writer.shares.bytes()
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

/// Whether a protocol has connections whose beginning shows: packets that go both ways (RFC 6092 3.3).
pub(super) fn is_connection(protocol: u8) -> bool {
    matches!(protocol, protocol::TCP | protocol::SCTP | protocol::DCCP)
}

impl Writer {
    /// Hangs a session into the wheel, for the second in which it may expire.
    fn hang(&mut self, filter: &Filter6, id: SessionId) {
        self.wheel.hang(&filter.sessions, id, filter.due(id));
    }
}

impl Filter6 {
    /// The first second in which a session has been idle for longer than it may be.
    fn due(&self, id: SessionId) -> u32 {
        let session = &self.sessions[id as usize];
        let idle_time = self.idle_time(session.flow().protocol, session.state());
        session.last().saturating_add(idle_time).saturating_add(1)
    }
}

/// The table as the holder of its lock sees it.
struct Locked<'a> {
    filter: &'a Filter6,
    writer: &'a mut Writer,
}

impl wheel::Ageing for Locked<'_> {
    type Record = Session;

    fn parts(&mut self) -> (&mut Wheel, &[Session]) {
        (&mut self.writer.wheel, &self.filter.sessions)
    }

    fn due(&self, id: SessionId) -> u32 {
        self.filter.due(id)
    }

    fn hang(&mut self, id: SessionId) {
        self.writer.hang(self.filter, id);
    }

    fn prefetch(&self, id: SessionId) {
        self.filter.prefetch(self.filter.hash(&self.filter.sessions[id as usize].flow()));
    }

    fn close(&mut self, id: SessionId) {
        self.filter.close(self.writer, id);
    }
}
