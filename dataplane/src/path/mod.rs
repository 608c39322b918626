//! The packet path: from a receive slot to a transmit slot, or to a verdict.
//!
//! A frame goes through three stages. *Classify*: look at the headers, say whether it is ordinary,
//! hash its flow, ask the cache for the bucket. *Probe*: find the likely session, ask the cache for
//! it. *Finish*: rewrite and send, or the slow path. The stages form a pipeline: while one frame is classified,
//! the eighth before it is probed and the sixteenth finished, so that what was asked for arrives
//! while there is other work (docs/performance.md). Frames are finished in the order in which they
//! came, ordinary or not.

mod classify;
mod emit;
mod fast_asked;
mod fast_inbound;
mod fast_ipv6;
mod fast_outbound;
mod handoff;
mod host;
mod lan_to_lan;
mod local;
mod slow_inbound;
mod slow_ipv6;
mod slow_outbound;
mod translate;
mod tunnel_errors;
mod unsolicited;

use std::hint::select_unpredictable;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use hikyaku_net::checksum::Delta;
use hikyaku_net::packet::{Ipv4, Tcp};
use hikyaku_net::{Time, protocol};
use hikyaku_ring::{BadSlot, Frame, HEAD, LinkId, NotSent, RxRing, TxRing};

use crate::counters::{Counters, Event};
use crate::icmp::Budgets;
use crate::napt::{Direction, Fragments, Hash, Key, Napt, Rewrite, Session, SessionId};
use crate::punt;
use crate::shared::{FlowLabels, MAX_WORKERS, Shared};
use crate::snapshot::{Side, Snapshot};
use crate::tunnel::fragment::FragmentIds;
use crate::tunnel::mss;
use crate::tunnel::reassembly::{Limits, Reassembler};
use crate::verdict::{Reason, Verdict};
use classify::Tunnelled;
use fast_asked::Asked;
use fast_inbound::{AfterLimit, Inbound};
use fast_ipv6::{Forward, Ipv6Stages};
use fast_outbound::Outbound;
use handoff::FrameBatch;
use slow_ipv6::PacketId6;

pub(crate) use handoff::Handoff;

/// Most frames handled in one go.
pub const MAX_BATCH: usize = 256;

/// While a frame is classified, the headers of the frame this many places behind are on their stages.
const FRAMES_AHEAD: u32 = 8;

/// A frame is probed so many frames after it is classified, and finished so many after that.
const AHEAD: usize = 8;

/// What classify found out, for the stages after it.
#[derive(Clone, Copy, Debug)]
struct Meta {
    frame: Frame,
    finished_by: FinishedBy,
    /// Bytes that were cut off the frame's front, so that its inner packet is where the fast path looks for it. What else
    /// is in front of that is not.
    popped: u8,
    candidate: SessionId,
    hash: Hash,
    key: Key,
}

impl Meta {
    const NONE: Self = Self {
        frame: Frame::EMPTY,
        finished_by: FinishedBy::SlowPath,
        popped: 0,
        candidate: 0,
        hash: Hash::NONE,
        key: Key::NONE,
    };

    /// The frame as it was when it was classified.
    fn as_it_came(&self) -> Frame {
        self.frame.push(self.popped.into())
    }
}

/// Which path finishes a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FinishedBy {
    /// The frame is ordinary: the fast path finishes it.
    FastPath,
    /// It is an inner fragment, and ordinary otherwise.
    Fragment,
    /// Something about it is special, or wrong.
    SlowPath,
}

/// One direction's three stages. Made per burst from the snapshot; holds no state.
trait Stages {
    /// Bytes that are pushed in front of a frame.
    const HEADROOM: usize;
    /// Which way its packets go.
    const DIRECTION: Direction;
    /// What became of most frames.
    const FORWARDED: Verdict;
    /// There is a session to look up. Without, a frame is finished as soon as it is classified.
    const LOOKS_UP: bool;

    /// The burst it was made for.
    fn burst(&self) -> Burst<'_>;

    /// Whether a frame is of native IPv6 rather than of what this is for; not right of everything that is not ordinary.
    fn is_native6(&self, head: &[u8; HEAD]) -> bool;

    /// First stage. `head` is at the Ethernet header.
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta;

    /// Second stage: finds the likely session, and asks the cache for it.
    fn probe(&self, meta: &mut Meta);

    /// Third stage. `Ok`: the frame was forwarded, [`Self::FORWARDED`]. `Err`: it ended otherwise,
    /// or is held and gets its verdict later.
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>>;
}

/// A softwire's NAPT, or that it has none: as a type, so that neither direction asks a packet which it is.
trait Translation<'a>: Copy {
    /// Whether there is a NAPT.
    const NAPT: bool;

    /// The softwire's NAPT, if it has one.
    fn napt(self) -> Option<&'a Napt>;
}

impl<'a> Translation<'a> for &'a Napt {
    const NAPT: bool = true;

    #[inline(always)]
    fn napt(self) -> Option<&'a Napt> {
        Some(self)
    }
}

/// Addresses pass as they are.
#[derive(Clone, Copy, Debug)]
struct NoNapt;

impl<'a> Translation<'a> for NoNapt {
    const NAPT: bool = false;

    #[inline(always)]
    fn napt(self) -> Option<&'a Napt> {
        None
    }
}

/// The rings that a burst may use.
struct Rings<'a> {
    rx: &'a mut RxRing,
    /// Transmit rings by [`LinkId`]; none where a worker has no queue of the link.
    tx: &'a mut [Option<TxRing>],
}

/// What a worker keeps between bursts, besides the batch.
struct Core {
    counters: Arc<CachePadded<Counters>>,
    shared: Arc<Shared>,
    /// Flow labels of packets that no NAPT hashes.
    flows: FlowLabels,
    /// Outer fragments that wait for the rest of their packet.
    reassembler: Reassembler,
    /// Inner fragments and what became of their first ones.
    fragments: Fragments,
    /// Fragments of native IPv6 whose first one passed, and those that wait for theirs.
    fragments6: Fragments<(), PacketId6>,
    /// Packets of this burst from the tunnel come behind an encapsulation limit, or almost none of them does.
    limits_inbound: bool,
    /// The same of the next one.
    limits_next: bool,
    /// The way to the other workers, if there are any.
    handoff: Option<Box<Handoff>>,
    /// Identifications of packets that we make or cut.
    ids: FragmentIds,
    /// SYNs that may be answered later.
    unsolicited: unsolicited::Unsolicited,
    /// ICMP errors of ours.
    errors: Budgets,
    /// Frames for the control thread and its helper.
    punts: punt::Limits,
    /// Who has got some.
    wanted: punt::Wanted,
    /// A packet that is not in a receive buffer while it is worked on.
    scratch: Vec<u8>,
}

/// The longest packet that is put together.
const SCRATCH: usize = 1 << 16;

/// One worker's packet path.
pub struct Path {
    batch: Box<CachePadded<[Meta; MAX_BATCH]>>,
    /// Native IPv6 of a burst.
    batch6: Box<CachePadded<[Meta; MAX_BATCH]>>,
    /// Of several workers: the frames of a burst.
    taken: Box<FrameBatch>,
    /// Those that are this one's.
    ours: Box<FrameBatch>,
    core: Core,
}

/// What is the same for all frames of a burst.
#[derive(Clone, Copy)]
pub struct Burst<'a> {
    /// The world as published.
    pub snapshot: &'a Snapshot,
    /// Where the frames came in.
    pub link: LinkId,
    /// The moment that counts for all of its frames.
    pub now: Time,
    /// Most frames to take, up to [`MAX_BATCH`].
    pub max: usize,
    /// Let ordinary frames take the fast path. Off, every frame takes the slow path, with the
    /// same bytes in the end: tests hold one against the other.
    pub fast: bool,
    /// Another worker received these frames and handed them off.
    pub handed_off: bool,
}

impl Path {
    /// The path of worker number `worker`, which counts on `counters`.
    pub fn new(worker: usize, counters: Arc<CachePadded<Counters>>, shared: Arc<Shared>, reassembly: Limits) -> Self {
        let core = Core {
            counters,
            flows: shared.flows,
            reassembler: Reassembler::new(reassembly),
            fragments: Fragments::default(),
            fragments6: Fragments::default(),
            limits_inbound: false,
            limits_next: false,
            handoff: None,
            ids: FragmentIds::new(shared.fragment_ids.clone(), worker as u32, MAX_WORKERS as u32),
            shared,
            unsolicited: Default::default(),
            errors: Budgets::default(),
            punts: punt::Limits::default(),
            wanted: punt::Wanted::default(),
            scratch: Vec::with_capacity(SCRATCH),
        };
        Self {
            batch: Box::new([Meta::NONE; MAX_BATCH].into()),
            batch6: Box::new([Meta::NONE; MAX_BATCH].into()),
            taken: FrameBatch::new(),
            ours: FrameBatch::new(),
            core,
        }
    }

    /// Hands packets of a link off to the workers of their flows from now on.
    pub(crate) fn set_handoff(&mut self, handoff: Handoff) {
        self.core.handoff = Some(Box::new(handoff));
    }

    /// The rings to other workers, if there are any.
    pub(crate) fn handoff(&mut self) -> Option<&mut Handoff> {
        self.core.handoff.as_deref_mut()
    }

    /// Which threads there were frames for since this was asked last.
    pub(crate) fn take_wanted(&mut self) -> punt::Wanted {
        std::mem::take(&mut self.core.wanted)
    }

    /// Lets go of what was held for too long. Once per turn.
    pub fn expire(&mut self, now: Time) {
        let Core { counters, reassembler, fragments, fragments6, handoff, .. } = &mut self.core;
        reassembler.expire(now, |reason, frames| counters.end(reason.into(), frames.into()));
        let late = || counters.end(Reason::NaptFragment.into(), 1);
        let mut held = reassembler.held() + fragments.expire(now, late) as u64;
        held += fragments6.expire(now, || counters.end(Reason::Ipv6Fragment.into(), 1)) as u64;
        if let Some(handoff) = handoff {
            held += handoff.owners.expire(now, late) as u64;
        }
        counters.set_held(held);
    }

    /// After a panic: nothing is in hand and nothing is held. What frames taught, a limit or an identification, goes on.
    pub(crate) fn recover(&mut self, reassembly: Limits) {
        let Self { taken, ours, core, .. } = self;
        taken.clear();
        ours.clear();
        core.reassembler = Reassembler::new(reassembly);
        core.fragments = Fragments::default();
        core.fragments6 = Fragments::default();
        core.unsolicited = Default::default();
        core.scratch = Vec::with_capacity(SCRATCH);
        if let Some(handoff) = &mut core.handoff {
            handoff.recover();
        }
        core.counters.settle(Reason::WorkerPanicked.into());
    }

    /// Lets go of everything that is held: the end of a replay.
    pub fn drain(&mut self) {
        self.expire(Time(u64::MAX));
    }

    /// Takes what waits in `rx`, at most one batch, through the path. Returns how many frames.
    pub fn burst(&mut self, burst: Burst, rx: &mut RxRing, tx: &mut [Option<TxRing>]) -> usize {
        let n = (rx.available() as usize).min(burst.max).min(MAX_BATCH);
        let Some(link) = burst.snapshot.link(burst.link) else { return 0 };
        let mut rings = Rings { rx, tx };
        if self.core.unsolicited.is_due(burst.now) {
            self.core.answer_unsolicited(burst, &mut rings);
        }
        if n == 0 {
            return 0;
        }
        let softwire = burst.snapshot.main_softwire(burst.link).map(|id| &burst.snapshot.softwires[id.0 as usize]);
        let napt = softwire.and_then(|s| s.napt.as_deref());
        let buf_size = rings.rx.buf_size();
        let taken_as = if burst.handed_off { Event::HandoffReceived } else { Event::Received };
        match (link.side, napt) {
            (Side::Lan, Some(napt)) => self.forward(n, rings, &Outbound::new(burst, napt), taken_as),
            (Side::Lan, None) => self.outbound(n, rings, &Outbound::new(burst, NoNapt), taken_as),
            (Side::Wan, Some(napt)) => self.inbound(n, rings, &Inbound::new(burst, napt, buf_size), taken_as),
            (Side::Wan, None) => self.inbound(n, rings, &Inbound::new(burst, NoNapt, buf_size), taken_as),
            (Side::Host, _) => self.core.host_sends(n, rings, burst.link, link.peer),
        }
        n
    }

    /// Each packet asked about by the rules, or none.
    fn outbound(&mut self, n: usize, rings: Rings, stages: &Outbound<'_, NoNapt>, taken_as: Event) {
        match stages.asked() {
            Some(_) => self.forward(n, rings, &Asked(stages), taken_as),
            None => self.forward(n, rings, stages, taken_as),
        }
    }

    /// With encapsulation limits or without, as the last were that came.
    fn inbound<'a, N: Translation<'a>>(&mut self, n: usize, rings: Rings, stages: &Inbound<'a, N>, taken_as: Event) {
        self.core.limits_inbound = self.core.limits_next;
        match self.core.limits_inbound {
            true => self.forward(n, rings, &AfterLimit(stages), taken_as),
            false => self.forward(n, rings, stages, taken_as),
        }
    }

    /// Handed off to the workers of their flows or not, and with native IPv6 among them or not: each has a loop of its own,
    /// and so nobody pays for what is not there.
    fn forward<S: Stages>(&mut self, n: usize, rings: Rings, stages: &S, taken_as: Event) {
        let burst = stages.burst();
        let hands_off = S::DIRECTION == Direction::Inbound && self.core.handoff_of(burst).is_some();
        // What is handed off is of the tunnel.
        let ipv6 = if burst.handed_off { None } else { Forward::new(burst) };
        match (hands_off, ipv6) {
            (true, ipv6) => self.run_with_handoff(n, rings, stages, ipv6.as_ref()),
            (false, Some(ipv6)) => self.run_with_ipv6(n, rings, stages, &ipv6),
            (false, None) => self.run(n, rings, stages, taken_as),
        }
    }

    /// All frames of a burst, in order.
    #[inline(never)]
    fn run<S: Stages>(&mut self, n: usize, mut rings: Rings, stages: &S, taken_as: Event) {
        let Self { batch, core, .. } = self;
        let mut pipeline = Pipeline { stages, batch, taken: 0, forwarded: 0 };
        let mut bytes = 0;
        rings.rx.prefetch_first(FRAMES_AHEAD.min(n as u32));
        for left in (0..n).rev() {
            // Not beyond the last: those slots are being written by whoever fills the ring.
            if left >= FRAMES_AHEAD as usize {
                rings.rx.prefetch(FRAMES_AHEAD);
            }
            if let Some(frame) = core.take(&mut rings, stages, &mut bytes) {
                pipeline.push(core, &mut rings, frame);
            }
        }
        pipeline.flush(core, &mut rings);
        core.counters.end(S::FORWARDED, pipeline.forwarded);
        rings.rx.release();
        match taken_as {
            Event::Received => core.counters.received(stages.burst().link, n as u64, bytes),
            _ => core.counters.note(taken_as, n as u64),
        }
    }

    /// Like [`Self::run`], but native IPv6 is sorted out first and has a pipeline of its own. So packets of one flow stay in
    /// order, and what its sessions cost is not on the way of others.
    #[inline(never)]
    fn run_with_ipv6<S: Stages>(&mut self, n: usize, mut rings: Rings, stages: &S, ipv6: &Forward) {
        let Self { batch, batch6, core, .. } = self;
        let ipv6 = Ipv6Stages { forward: ipv6, others: stages };
        let mut native = Pipeline { stages: &ipv6, batch: batch6, taken: 0, forwarded: 0 };
        let mut pipeline = Pipeline { stages, batch, taken: 0, forwarded: 0 };
        let mut bytes = 0;
        rings.rx.prefetch_first(FRAMES_AHEAD.min(n as u32));
        for left in (0..n).rev() {
            if left >= FRAMES_AHEAD as usize {
                rings.rx.prefetch(FRAMES_AHEAD);
            }
            if let Some(frame) = core.take(&mut rings, stages, &mut bytes) {
                match stages.is_native6(rings.rx.head(frame)) {
                    true => native.push(core, &mut rings, frame),
                    false => pipeline.push(core, &mut rings, frame),
                }
            }
        }
        pipeline.flush(core, &mut rings);
        native.end(core, &mut rings);
        core.counters.end(S::FORWARDED, pipeline.forwarded);
        rings.rx.release();
        core.counters.received(stages.burst().link, n as u64, bytes);
    }

    /// Like [`Self::run`], but before anything else each frame goes to the worker of its flow. Native IPv6 is
    /// spread by the card, and any worker finds its sessions: it stays.
    #[inline(never)]
    fn run_with_handoff<S: Stages>(&mut self, n: usize, mut rings: Rings, stages: &S, ipv6: Option<&Forward>) {
        let Self { batch, batch6, taken, ours, core } = self;
        let mut pipeline = Pipeline { stages, batch, taken: 0, forwarded: 0 };
        let mut bytes = 0;
        rings.rx.prefetch_first(FRAMES_AHEAD.min(n as u32));
        match ipv6 {
            None => {
                for _ in 0..n {
                    if let Some(frame) = core.take(&mut rings, stages, &mut bytes) {
                        taken.push(frame);
                    }
                }
            }
            Some(forward) => {
                let ipv6 = Ipv6Stages { forward, others: stages };
                let mut native = Pipeline { stages: &ipv6, batch: batch6, taken: 0, forwarded: 0 };
                for _ in 0..n {
                    if let Some(frame) = core.take(&mut rings, stages, &mut bytes) {
                        match stages.is_native6(rings.rx.head(frame)) {
                            true => native.push(core, &mut rings, frame),
                            false => taken.push(frame),
                        }
                    }
                }
                native.end(core, &mut rings);
            }
        }
        let mut frames = taken.frames();
        while !frames.is_empty() {
            let plain = core.hand_off(&mut rings, frames, ours);
            for (i, &frame) in ours.frames().iter().enumerate() {
                if let Some(&soon) = ours.frames().get(i + FRAMES_AHEAD as usize) {
                    rings.rx.prefetch_frame(soon);
                }
                pipeline.push(core, &mut rings, frame);
            }
            pipeline.flush(core, &mut rings);
            ours.clear();
            frames = &frames[plain..];
            // It may be of any flow: all that came before it has gone before it.
            if let Some((&odd, rest)) = frames.split_first() {
                pipeline.push_slow(core, &mut rings, odd);
                frames = rest;
            }
        }
        taken.clear();
        core.counters.end(S::FORWARDED, pipeline.forwarded);
        rings.rx.release();
        core.counters.received(stages.burst().link, n as u64, bytes);
    }
}

/// Frames between the three stages.
struct Pipeline<'a, S> {
    stages: &'a S,
    batch: &'a mut [Meta; MAX_BATCH],
    /// How many of the batch are classified.
    taken: usize,
    /// How many frames went where most go.
    forwarded: u64,
}

impl<S: Stages> Pipeline<'_, S> {
    /// Takes a frame in: at most [`MAX_BATCH`] of them until it is [flushed](Self::flush).
    #[inline(always)]
    fn push(&mut self, core: &mut Core, rings: &mut Rings, frame: Frame) {
        let meta = self.stages.classify(rings.rx.head(frame), frame);
        if !S::LOOKS_UP {
            self.forwarded += finish(self.stages, core, rings, &meta);
            return;
        }
        let Self { stages, batch, taken, forwarded } = self;
        batch[*taken & (MAX_BATCH - 1)] = meta;
        *taken += 1;
        if *taken > AHEAD {
            stages.probe(&mut batch[(*taken - 1 - AHEAD) & (MAX_BATCH - 1)]);
        }
        if *taken > 2 * AHEAD {
            *forwarded += finish(*stages, core, rings, &batch[(*taken - 1 - 2 * AHEAD) & (MAX_BATCH - 1)]);
        }
    }

    /// Finishes what is in it: the last frames are not probed yet, those before them are.
    #[inline(always)]
    fn flush(&mut self, core: &mut Core, rings: &mut Rings) {
        let Self { stages, batch, taken, forwarded } = self;
        let batch = &mut batch[..std::mem::take(taken)];
        let n = batch.len();
        // Loops, not closures: those are functions of their own as soon as two callers have them.
        for meta in &mut batch[n.saturating_sub(AHEAD)..] {
            stages.probe(meta);
        }
        for meta in &batch[n.saturating_sub(2 * AHEAD)..] {
            *forwarded += finish(*stages, core, rings, meta);
        }
    }

    /// Finishes what is in it, and counts what went where most go.
    fn end(mut self, core: &mut Core, rings: &mut Rings) {
        self.flush(core, rings);
        core.counters.end(S::FORWARDED, self.forwarded);
    }

    /// A frame that needs the slow path, when there is none in it.
    fn push_slow(&mut self, core: &mut Core, rings: &mut Rings, frame: Frame) {
        self.forwarded += finish(self.stages, core, rings, &Meta { frame, ..Meta::NONE });
    }
}

/// Finishes a frame; 1 if it was forwarded, else it is counted here.
#[inline(always)]
fn finish<S: Stages>(stages: &S, core: &mut Core, rings: &mut Rings, meta: &Meta) -> u64 {
    match stages.finish(core, rings, meta) {
        Ok(()) => return 1,
        Err(Some(verdict)) => core.counters.end(verdict, 1),
        Err(None) => {}
    }
    rings.rx.restore(meta.frame);
    0
}

impl From<BadSlot> for Reason {
    fn from(bad: BadSlot) -> Self {
        match bad {
            BadSlot::Bounds => Self::BadSlot,
            BadSlot::MoreFrag => Self::MultiSlot,
            BadSlot::Runt => Self::Runt,
            BadSlot::Vlan => Self::Vlan,
        }
    }
}

impl From<NotSent> for Reason {
    fn from(not: NotSent) -> Self {
        match not {
            NotSent::Full => Self::TxFull,
            NotSent::TooLong => Self::Jumbo,
        }
    }
}

impl Core {
    /// The next frame, with room for what is pushed in front of it. `None` if there is none in its slot, which is
    /// counted.
    #[inline(always)]
    fn take<S: Stages>(&mut self, rings: &mut Rings, stages: &S, bytes: &mut u64) -> Option<Frame> {
        let frame = match rings.rx.take() {
            Ok(frame) => frame,
            Err(bad) => {
                self.refuse(stages.burst(), rings, bad);
                return None;
            }
        };
        *bytes += frame.len() as u64;
        if frame.headroom() >= S::HEADROOM {
            return Some(frame);
        }
        // The link knows no offsets: the frame must be moved once, now or later.
        let moved = rings.rx.shift(frame, S::HEADROOM);
        match moved {
            Some(_) => self.counters.note(Event::Shifted, 1),
            None => self.drop(rings, frame, Reason::Jumbo),
        }
        moved
    }

    /// The end of a frame that goes nowhere.
    #[cold]
    fn drop(&self, rings: &mut Rings, frame: Frame, reason: Reason) {
        self.counters.end(reason.into(), 1);
        rings.rx.restore(frame);
    }

    /// Sends a finished frame.
    #[inline(always)]
    fn send(&self, rings: &mut Rings, link: LinkId, frame: Frame) -> Result<(), Reason> {
        let Some(Some(tx)) = rings.tx.get_mut(link.index()) else { return Err(Reason::NoRoute) };
        Ok(tx.send(rings.rx, frame)?)
    }

    /// Follows a TCP connection and lowers its MSS, where the flags or the session's youth ask for it.
    ///
    /// One question for all protocols, almost always answered with no: whether a packet is TCP at all is
    /// nothing that a CPU could guess, and wrong every other time costs more than the rest of this.
    #[inline(always)]
    fn tcp(&self, view: &mut Tunnelled, napt: Option<(&Napt, &Session, Direction)>, limit: Option<u16>) {
        let tcp = view.inner.protocol == protocol::TCP;
        let special = select_unpredictable(tcp, Tcp::SYN | Tcp::FIN | Tcp::RST, 0);
        let special = view.rest[13] & special != 0;
        // All but TCP are born established.
        if special || napt.is_some_and(|(_, session, _)| !session.is_established()) {
            self.tcp_special(view, napt, limit);
        }
    }

    #[cold]
    #[inline(never)]
    fn tcp_special(&self, view: &mut Tunnelled, napt: Option<(&Napt, &Session, Direction)>, limit: Option<u16>) {
        if let Some((napt, session, direction)) = napt {
            napt.track(session, direction, view.rest[13]);
        }
        if let Some(limit) = limit {
            let len = view.inner.len().saturating_sub(20).min(view.rest.len());
            if mss::clamp(&mut view.rest[..len], limit) {
                self.counters.note(Event::MssLowered, 1);
            }
        }
    }
}

/// The first four bytes behind the IPv4 header: the ports, where the packet is ordinary. Where it is
/// not, they are not used.
#[inline(always)]
fn first_word<const N: usize>(transport: &[u8; N]) -> u32 {
    u32::from_ne_bytes(*transport.first_chunk().expect("longer than four"))
}

/// The ports of a TCP or UDP packet as one word; 0 for what has none.
#[inline(always)]
fn ports_of<const N: usize>(ip: &Ipv4, transport: &[u8; N]) -> u32 {
    first_word(transport) & u32::from(has_ports(ip.protocol)).wrapping_neg()
}

/// TCP or UDP. One question: which of the two it is, nobody could guess.
#[inline(always)]
fn has_ports(protocol: u8) -> bool {
    const BOTH: u32 = 1 << protocol::TCP | 1 << protocol::UDP;
    BOTH.checked_shr(protocol.into()).is_some_and(|shifted| shifted & 1 != 0)
}

/// Writes new addresses and ports into a TCP or UDP packet without IPv4 options, takes one from its
/// TTL, and mends both checksums.
#[inline(always)]
fn rewrite(view: &mut Tunnelled, new: &Rewrite) {
    view.inner.ttl -= 1;
    view.inner.checksum = view.inner.checksum.updated(new.ip.and(Delta::TTL_DECREMENT));
    view.inner.set_addrs(new.addrs);
    let tcp = view.inner.protocol == protocol::TCP;
    let transport = &mut view.rest;
    transport[..4].copy_from_slice(&new.ports.to_ne_bytes());
    let at = if tcp { 16 } else { 6 };
    let checksum: &mut [u8; 2] = (&mut transport[at..at + 2]).try_into().expect("two bytes");
    let old = hikyaku_net::checksum::Checksum(*checksum);
    let updated = old.updated(new.transport);
    *checksum = if tcp { updated } else { old.updated_udp(new.transport) }.0;
}
