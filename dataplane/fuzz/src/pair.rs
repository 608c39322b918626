//! A router and its twin without the fast path, for many histories a second. Both are made once; from one history to the
//! next hours pass, so nothing is left of it but where in their rings they are. Nothing is allocated while frames are played.
//!
//! What a frame may lead to is what the tests say (`twins`).

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::counters::{Event, Totals};
use hikyaku_dataplane::filter6::Filter6;
use hikyaku_dataplane::memory_router::{MemoryRouter, Parts};
use hikyaku_dataplane::napt::{self, Napt};
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_dataplane::tunnel::reassembly::Limits;
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_dataplane::worker::{Config, Handle, Worker};
use hikyaku_net::Time;
use hikyaku_ring::LinkId;
use hikyaku_ring::memory::{MemoryConfig, Wire, links};

use crate::router::{LAN, Setup, WAN, routed};
use crate::twins::{is_plain, mask_lan, mask_wan, may_leave, transport_is_right};

/// Sessions of a table: few, so that it is full at times and soon looked through.
const SESSIONS: u32 = 64;

/// Outer packets in pieces that wait, at most.
const DATAGRAMS: u16 = 8;

/// The secret of all tables, and what outside ports are chosen by.
const SEED: [u64; 4] = [1, 2, 3, 4];

/// Longer than any session lives and anything that was learned of a path.
const SESSIONS_ARE_OVER: Duration = Duration::from_secs(3 * 3600);

/// Longer than all else is remembered: limits, fragments, SYNs to be answered.
const ALL_ELSE_IS_OVER: Duration = Duration::from_secs(10);

/// Histories until a clock runs out: session times are seconds in 32 bits.
const LIFE: u32 = 300_000;

/// Frames one after the other, in memory that is kept.
#[derive(Default, PartialEq, Eq)]
pub struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Frames {
    /// Appends what `write` appends to the bytes as a frame.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| &self.bytes[begin..end])
    }

    /// A number that other frames hardly have, going on from that of others.
    fn sum(&self, from: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (from, &self.bytes, &self.ends).hash(&mut hasher);
        hasher.finish()
    }

    fn for_each_mut(&mut self, mut each: impl FnMut(&mut [u8])) {
        let mut begin = 0;
        for &end in &self.ends {
            each(&mut self.bytes[begin..end]);
            begin = end;
        }
    }
}

/// One of the two.
struct Half {
    worker: Worker,
    wires: [Wire; 2],
    shared: Arc<Shared>,
    napt: Arc<Napt>,
    filter6: Arc<Filter6>,
    handle: Handle,
    vlans: [Option<u16>; 2],
    /// What left since it was compared last, by link and without tags.
    left: [Frames; 2],
    /// What the control thread was given since then: the link, whether it is [`Message::unresolved`], the frame.
    punted: Frames,
    /// How many sessions and MTUs there were until this history.
    lasting: u64,
    worlds: Vec<Option<Arc<Snapshot>>>,
    /// The numbers of all buffers, by region.
    buffers: [u128; 2],
    regions: usize,
}

impl Half {
    fn new(setup: &Setup) -> Self {
        let Parts { napt, vlans, .. } = setup.parts();
        let config = napt::Config { seed: Some(SEED), ..napt.expect("a router with NAPT") };
        let napt = Arc::new(Napt::with_capacity(&config, SESSIONS).expect("a small table"));
        let filter6 = setup.filter6(1).expect("a router with native IPv6");
        let limits = Limits { datagrams: DATAGRAMS, ..Limits::default() };
        let worker = Config { fast: setup.fast, reassembly: limits, ..Config::default() };
        let memory =
            MemoryConfig { slots: setup.slots, headroom: setup.headroom, huge_pages: false, ..Default::default() };
        let regions = if setup.two_regions { 2 } else { 1 };
        let mut queues = (0..regions).flat_map(|_| links(2 / regions, 1, memory).expect("small links"));
        let mut next = || queues.next().expect("two links");
        let world = setup.snapshot(Some(napt.clone()));
        let made = MemoryRouter::on([next(), next()], Parts { worker, napt: None, vlans }, |_| world);
        let MemoryRouter { mut workers, mut wires, shared, .. } = made.expect("a small router");
        let worker = workers.remove(0);
        let handle = worker.handle();
        let wires = wires.remove(0);
        let mut half = Self {
            worker,
            wires,
            shared,
            napt,
            filter6,
            handle,
            vlans: setup.vlans,
            left: Default::default(),
            punted: Frames::default(),
            lasting: 0,
            worlds: Vec::new(),
            buffers: [0; 2],
            regions,
        };
        half.buffers = half.all_buffers();
        half
    }

    /// Makes the world of this number.
    fn add_world(&mut self, number: usize, setup: &Setup) {
        let mut world = setup.snapshot(setup.napt.then(|| self.napt.clone()));
        if setup.native6.is_some() {
            routed(&mut world, self.filter6.clone());
        }
        self.worlds.resize(self.worlds.len().max(number + 1), None);
        self.worlds[number] = Some(Arc::new(world));
    }

    /// From here on the worker knows this world.
    fn enter(&mut self, number: usize) {
        if let Some(world) = &self.worlds[number] {
            self.shared.snapshot.store(world.clone());
        }
    }

    fn play(&mut self, side: LinkId, frames: &Frames, now: Time) {
        for frame in frames.iter() {
            if self.wires[side.index()].room() == 0 {
                self.turn(now);
            }
            self.wires[side.index()].deliver(frame);
        }
        self.turn(now);
    }

    fn turn(&mut self, now: Time) {
        self.worker.turn(now);
        for ((wire, left), vlan) in self.wires.iter_mut().zip(&mut self.left).zip(self.vlans) {
            wire.collect(|frame| {
                left.add(|bytes| match vlan {
                    None => bytes.extend_from_slice(frame),
                    Some(vlan) => untag(vlan, frame, bytes),
                });
            });
        }
    }

    /// Makes equal what may differ in what left and what was punted.
    fn mask(&mut self, napt: bool) {
        // Not as many as were counted: an error of ours that lacks its Ethernet destination is no frame's verdict.
        while let Some(message) = self.shared.punt.pop() {
            let Message { link, unresolved, .. } = message;
            self.punted.add(|bytes| {
                bytes.extend([link.0 as u8, unresolved.into()]);
                bytes.extend_from_slice(message.frame());
            });
        }
        self.left[LAN.index()].for_each_mut(mask_lan);
        self.left[WAN.index()].for_each_mut(|frame| mask_wan(frame, napt));
        self.punted.for_each_mut(|message| match (message[0], message[1]) {
            (_, 0) => {}
            (link, _) if usize::from(link) == LAN.index() => mask_lan(&mut message[2..]),
            _ => mask_wan(&mut message[2..], napt),
        });
    }

    /// What left and what was punted.
    fn outcome(&self) -> [&Frames; 3] {
        let [lan, wan] = &self.left;
        [lan, wan, &self.punted]
    }

    /// Which buffers there are: a bit for each.
    ///
    /// # Panics
    ///
    /// One is there twice.
    fn all_buffers(&self) -> [u128; 2] {
        let mut all = [0u128; 2];
        for (link, wire) in self.wires.iter().enumerate() {
            for buffer in wire.buffers() {
                let bit = 1u128 << buffer;
                let region = &mut all[link % self.regions];
                assert!(*region & bit == 0, "a buffer is there twice");
                *region |= bit;
            }
        }
        all
    }

    /// Whether there were sessions or an MTU was learned, since this was asked last.
    fn remembers(&mut self) -> bool {
        let counters = &self.handle.counters;
        let lasting = counters.event(Event::SessionOpened) + counters.event(Event::PathMtuLearned);
        std::mem::replace(&mut self.lasting, lasting) != lasting
    }

    /// Nothing is left of the sessions, and of the choices that were made at random.
    fn forget(&mut self, now: Time) {
        // Ended, sealed, free again: what a worker's turns do one after the other.
        for _ in 0..3 {
            self.napt.quiescent(0);
            self.napt.age(now, usize::MAX);
            self.filter6.quiescent(0);
            self.filter6.age(now, usize::MAX);
        }
        self.napt.reseed(SEED);
    }
}

/// Appends a frame that left to `bytes`, without its tag: this VLAN's, without a priority. What is left is long enough for
/// those who know no tags.
fn untag(vlan: u16, frame: &[u8], bytes: &mut Vec<u8>) {
    assert_eq!(frame[12..16], [0x81, 0, (vlan >> 8) as u8, vlan as u8], "the tag");
    assert!(frame.len() >= 64, "shorter than Ethernet allows without the tag: {}", frame.len());
    bytes.extend_from_slice(&frame[..12]);
    bytes.extend_from_slice(&frame[16..]);
}

/// What both must have the same of a session: its protocol and ends, packets each way, whether it is established.
type SessionState = (u8, [([u8; 4], u16); 3], [u32; 2], bool);

/// The same of one of native IPv6, and when it was used last.
type SessionState6 = (u8, [[u8; 16]; 2], [u32; 2], u32);

/// What frames that leave are measured by.
#[derive(Clone, Copy)]
struct World {
    napt: bool,
    /// The longest, by link.
    most: [usize; 2],
}

impl World {
    fn new(setup: &Setup) -> Self {
        Self { napt: setup.napt, most: [setup.lan_mtu, setup.wan_mtu].map(|mtu| usize::from(mtu) + 14) }
    }
}

/// Both.
pub struct Pair {
    fast: Half,
    slow: Half,
    now: Time,
    age: u32,
    /// By their number; and the number of the one in use.
    worlds: Vec<Option<World>>,
    number: usize,
    world: World,
    vlans: [Option<u16>; 2],
    /// What came in last, with the tags of its link.
    frames: Frames,
    /// All that came in so far was plain and had right transport checksums.
    right: bool,
    sessions: [Vec<SessionState>; 2],
    sessions6: [Vec<SessionState6>; 2],
    /// What came of this history so far is summed up.
    summing: bool,
    sum: u64,
}

impl Pair {
    /// With the rings, the VLANs and the table of this setup.
    pub fn new(setup: &Setup) -> Self {
        let half = |fast| Half::new(&Setup { fast, ..setup.clone() });
        Self {
            fast: half(true),
            slow: half(false),
            now: Time(1_000_000_000),
            age: 0,
            worlds: Vec::new(),
            number: usize::MAX,
            world: World::new(setup),
            vlans: setup.vlans,
            frames: Frames::default(),
            right: true,
            sessions: Default::default(),
            sessions6: Default::default(),
            summing: false,
            sum: 0,
        }
    }

    /// Whether another should be made: this one's clock is about to run out.
    pub fn is_old(&self) -> bool {
        self.age >= LIFE
    }

    /// Another history begins, in the world of this number: what `setup` makes of it, which differs in nothing that is made
    /// once. `summing`: what comes of it is summed up.
    pub fn begin(&mut self, number: usize, summing: bool, setup: impl FnOnce() -> Setup) {
        self.age += 1;
        (self.right, self.summing, self.sum) = (true, summing, 0);
        if self.number == number {
            return;
        }
        self.worlds.resize(self.worlds.len().max(number + 1), None);
        self.number = number;
        self.world = match self.worlds[number] {
            Some(world) => world,
            None => {
                let setup = setup();
                self.fast.add_world(number, &setup);
                self.slow.add_world(number, &setup);
                *self.worlds[number].insert(World::new(&setup))
            }
        };
        self.fast.enter(number);
        self.slow.enter(number);
    }

    /// Some time goes by.
    pub fn advance(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Puts a frame beside those that will come in by `side`. `bare`: as it is, whatever VLAN the link is of.
    pub fn arrive(&mut self, side: LinkId, bare: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let (vlan, right) = (self.vlans[side.index()].filter(|_| !bare), &mut self.right);
        self.frames.add(|bytes| {
            let begin = bytes.len();
            write(bytes);
            *right = *right && is_plain(&bytes[begin..]) && transport_is_right(&bytes[begin..]);
            if let Some(vlan) = vlan
                && bytes.len() >= begin + 12
            {
                bytes.splice(begin + 12..begin + 12, [0x81, 0, 0xa0 | (vlan >> 8) as u8, vlan as u8]);
            }
        });
    }

    /// The frames that were put together come in by `side`, and nothing may differ.
    pub fn play(&mut self, side: LinkId) {
        self.fast.play(side, &self.frames, self.now);
        self.slow.play(side, &self.frames, self.now);
        self.compare();
        self.frames.clear();
    }

    /// What left may leave, and is the same; what was received is what came of it.
    fn compare(&mut self) {
        for (left, most) in self.fast.left.iter().zip(self.world.most) {
            for frame in left.iter() {
                assert!(may_leave(frame), "this left: {frame:02x?}\nof {self:02x?}");
                assert!(
                    !self.right || transport_is_right(frame),
                    "with a wrong transport checksum this left: {frame:02x?}\nof {self:02x?}"
                );
                assert!(frame.len() <= most, "longer than {most}, this left: {frame:02x?}\nof {self:02x?}");
            }
        }
        for half in [&mut self.fast, &mut self.slow] {
            half.mask(self.world.napt);
        }
        for (a, b) in self.fast.outcome().into_iter().zip(self.slow.outcome()) {
            if a != b {
                let differ = a.iter().zip(b.iter()).find(|(a, b)| a != b);
                panic!("fast and slow: {differ:02x?}, or one more\nof {self:02x?}");
            }
            self.sum = self.summing.then(|| a.sum(self.sum)).unwrap_or_default();
        }
        for half in [&mut self.fast, &mut self.slow] {
            half.left.iter_mut().chain([&mut half.punted]).for_each(Frames::clear);
        }
    }

    /// What was received is what came of it; all verdicts are the same, and so is what else was counted. Answers how many frames
    /// are held.
    fn compare_counts(&self) -> u64 {
        let [a, b] = [&self.fast, &self.slow].map(|half| half.handle.counters.totals());
        assert!(a.add_up() && b.add_up(), "received is not what came of it and held: {a:?}\n{b:?}\nof {self:02x?}");
        if a != b {
            self.differ(&a, &b);
        }
        a.held
    }

    /// They do; whether they may.
    #[cold]
    fn differ(&self, a: &Totals, b: &Totals) {
        assert_eq!(a.held, b.held, "held, of {self:02x?}");
        for verdict in Verdict::all() {
            assert_eq!(a.verdict(verdict), b.verdict(verdict), "{verdict} of {self:02x?}");
        }
        for link in [LAN, WAN] {
            assert_eq!(a.link(link), b.link(link), "traffic of {link:?}, of {self:02x?}");
        }
        for &event in Event::ALL {
            let (a, b) = (a.event(event), b.event(event));
            // The fast path finds out last that there is no way for a frame; then it was moved and clamped already.
            let early = matches!(event, Event::Shifted | Event::MssLowered) && a > b;
            assert!(a == b || early, "{}: {a} {b} of {self:02x?}", event.name());
        }
    }

    /// The sessions are the same.
    fn compare_sessions(&mut self) {
        for (half, sessions) in [&self.fast, &self.slow].into_iter().zip(&mut self.sessions) {
            sessions.clear();
            half.napt.slice(0, u32::MAX, |s| {
                let ends = [s.inside(), s.peer(), s.outside()].map(|end| (end.addr.0, end.port.number()));
                sessions.push((s.protocol(), ends, s.packets(), s.is_established()));
            });
            // Each has found places for them in its own table.
            sessions.sort_unstable();
        }
        assert_eq!(self.sessions[0], self.sessions[1], "sessions, of {self:02x?}");
    }

    /// Those of native IPv6 are.
    fn compare_sessions6(&mut self) {
        for (half, sessions) in [&self.fast, &self.slow].into_iter().zip(&mut self.sessions6) {
            sessions.clear();
            half.filter6.slice(0, u32::MAX, |s| {
                let flow = s.flow();
                sessions.push((flow.protocol, [flow.inside.0, flow.peer.0], s.packets(), s.last()));
            });
            sessions.sort_unstable();
        }
        assert_eq!(self.sessions6[0], self.sessions6[1], "IPv6 sessions, of {self:02x?}");
    }

    /// The history ends: what is held gets its verdict, the sessions are the same, and then everything is over. Answers a
    /// sum of all that came of it, if that was [asked for](Self::begin).
    pub fn finish(&mut self) -> u64 {
        self.compare_counts();
        if [&self.fast, &self.slow].iter().any(|half| half.napt.stats().live > 0) {
            self.compare_sessions();
        }
        if [&self.fast, &self.slow].iter().any(|half| half.filter6.stats().live > 0) {
            self.compare_sessions6();
        }
        for half in [&mut self.fast, &mut self.slow] {
            half.worker.drain();
        }
        // The next history begins with a second: sessions go by whole ones.
        let lasting = self.fast.remembers();
        let over = if lasting { SESSIONS_ARE_OVER } else { ALL_ELSE_IS_OVER };
        self.now = Time((self.now + over).0.next_multiple_of(1_000_000_000));
        self.play(LAN);
        assert_eq!(self.compare_counts(), 0, "held after the end");
        for half in [&mut self.fast, &mut self.slow] {
            assert_eq!(half.all_buffers(), half.buffers, "a buffer was lost");
            if lasting {
                half.forget(self.now);
            }
            let live = (half.napt.stats().live, half.filter6.stats().live);
            assert_eq!(live, (0, 0), "a session outlived its time");
        }
        self.sum
    }
}

impl fmt::Debug for Pair {
    /// What came in last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.frames.iter()).finish()
    }
}
