//! Several workers on one tunnel. All that comes from one border router is one flow to a card, in one
//! queue. The worker that has the queue looks at the *inner* header and hands each packet to the worker
//! of its flow, buffers swapped (`hikyaku_ring::handoff_ring`).
//!
//! A flow has one worker, and a handoff ring keeps the order, so packets of a flow leave in the order in which
//! they came. For that, everything about a packet that decides where it goes is known when it is handed
//! on: outer fragments are put together here first; an inner fragment goes where its first one went.

use hikyaku_net::packet::{Ethernet, Ipv4, ethertype};
use hikyaku_net::{Addr6, protocol};
use hikyaku_ring::{Frame, HEAD, HandoffTx, LinkId, NotSent};
use zerocopy::{FromBytes, IntoBytes};

use super::classify::{self, INNER, LIMIT_LEN, Tunnelled, has_limit};
use super::emit::ETHERNET;
use super::fast_inbound::Inbound;
use super::slow_inbound::{Inner, set_tos};
use super::{Burst, Core, FRAMES_AHEAD, FlowLabels, MAX_BATCH, Rings, Translation, has_ports, ports_of};
use crate::napt::{Fragments, Hash, Key, Origin, PacketId, Scope};
use crate::snapshot::Softwire;
use crate::tunnel::{OUTER_LEN, Outer, ecn};
use crate::verdict::{Reason, Verdict};

/// One worker's handoff rings to the others, for the frames of one link.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Handoff {
    /// The link whose frames are handed off.
    link: LinkId,
    /// Which worker this is.
    me: usize,
    /// By worker; none to itself.
    to: Vec<Option<HandoffTx>>,
    /// Whose a flow is, by a byte of its hash.
    shares: [u8; 256],
    /// By worker: frames of a burst that are its, in order.
    batches: Vec<Box<FrameBatch>>,
    /// Inner fragments, and whose their first ones were.
    pub(super) owners: Fragments<Owner>,
}

/// Frames in the order they came, at most [`MAX_BATCH`].
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct FrameBatch {
    len: usize,
    frames: [Frame; MAX_BATCH],
}

impl FrameBatch {
    pub fn new() -> Box<Self> {
        Box::new(Self { len: 0, frames: [Frame::EMPTY; MAX_BATCH] })
    }

    #[inline(always)]
    pub fn push(&mut self, frame: Frame) {
        self.frames[self.len] = frame;
        self.len += 1;
    }

    pub fn frames(&self) -> &[Frame] {
        &self.frames[..self.len]
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl Handoff {
    /// Of worker `me`, which keeps `keep` percent of the flows; `to` by worker.
    pub fn new(link: LinkId, me: usize, to: Vec<Option<HandoffTx>>, keep: Option<u8>) -> Self {
        let batches = to.iter().map(|_| FrameBatch::new()).collect();
        let shares = shares(to.len(), me, keep.unwrap_or_else(|| usual_keep(to.len())));
        Self { link, me, to, shares, batches, owners: Fragments::default() }
    }

    /// After a panic: nothing is in hand, and no fragment waits.
    pub(super) fn recover(&mut self) {
        self.batches.iter_mut().for_each(|batch| batch.clear());
        self.owners = Fragments::default();
    }

    /// Which worker a flow has.
    #[inline(always)]
    fn worker(&self, flow: Hash) -> u8 {
        self.shares[usize::from(flow.byte())]
    }

    /// Which worker has the frame, if it is of the tunnel and carries plain TCP or UDP.
    #[inline(always)]
    fn whose(&self, flows: &FlowLabels, head: &[u8; HEAD]) -> Option<u8> {
        let view: &Tunnelled = zerocopy::transmute_ref!(head);
        if view.outer.next_header == protocol::IPV4 {
            return self.whose_at::<INNER>(flows, head);
        }
        if has_limit(head) { self.whose_at::<{ INNER + LIMIT_LEN }>(flows, head) } else { None }
    }

    #[inline(always)]
    fn whose_at<const AT: usize>(&self, flows: &FlowLabels, head: &[u8; HEAD]) -> Option<u8> {
        let view: &Tunnelled = zerocopy::transmute_ref!(head);
        let (ip, ports) = classify::inner::<AT>(head);
        let plain = view.ethernet.ethertype.get() == ethertype::IPV6
            && ip.version_ihl == 0x45
            && !ip.is_fragment()
            && has_ports(ip.protocol);
        plain.then(|| self.worker(flows.of(&flow(ip, u32::from_ne_bytes(*ports)))))
    }

    /// The worker of a flow, as seen from this one.
    fn owner(&self, flow: Hash) -> Owner {
        let worker = usize::from(self.worker(flow));
        if worker == self.me { Owner::Me } else { Owner::Other(worker) }
    }

    /// The rings there are, with the number of the worker at the other end.
    pub fn rings(&mut self) -> impl Iterator<Item = (usize, &mut HandoffTx)> {
        self.to.iter_mut().enumerate().filter_map(|(worker, ring)| Some((worker, ring.as_mut()?)))
    }
}

/// How much of the tunnel's flows a worker keeps of what comes in by its own queue, of `n` workers, percent: so much
/// that none has more to do than another. To see whose a frame is and to hand it on takes a third of what it takes to
/// finish it, so of four workers the first has enough to do with that (docs/performance.md).
fn usual_keep(n: usize) -> u8 {
    match n {
        0..=1 => 100,
        2 => 30,
        3 => 10,
        _ => 0,
    }
}

/// Whose a flow is, by a byte of its hash: `keep` percent are those of `me`, and the others have as many each.
fn shares(n: usize, me: usize, keep: u8) -> [u8; 256] {
    let ours = (256 * usize::from(keep) + 50) / 100;
    let mut others = (0..n as u8).filter(|&worker| usize::from(worker) != me).cycle();
    std::array::from_fn(|byte| if byte < ours { me as u8 } else { others.next().unwrap_or(me as u8) })
}

/// Whose a packet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is of the worker that looks.
    #[default]
    Me,
    /// That of the worker with this number.
    Other(usize),
}

/// The key by which a flow has its worker: the same for all its packets, whatever else is in them.
#[inline(always)]
fn flow(ip: &Ipv4, ports: u32) -> Key {
    Key::new(Scope::NONE, ip.protocol, ip.addrs(), ports)
}

/// What of a packet decides whose it is.
#[derive(Clone, Copy)]
enum Part {
    /// All of it, or the first fragment: its flow.
    First(Ipv4, Hash),
    /// A fragment without ports.
    Later(Ipv4),
    /// It is no packet.
    Broken,
}

impl Part {
    fn of(flows: &FlowLabels, packet: &[u8]) -> Self {
        let Ok((ip, _)) = Ipv4::read_from_prefix(packet) else { return Self::Broken };
        if ip.fragment_offset() != 0 {
            return Self::Later(ip);
        }
        match packet.get(ip.header_len()..).and_then(|transport| transport.first_chunk::<4>()) {
            Some(transport) => Self::First(ip, flows.of(&flow(&ip, ports_of(&ip, transport)))),
            None => Self::Broken,
        }
    }
}

/// A softwire, and the far end of it that a packet came from.
type Ends<'a> = (&'a Softwire, Addr6);

impl<'a, N: Translation<'a>> Inbound<'a, N> {
    /// Delivers a packet that came through the tunnel, or has its worker do so. `frame`: the whole frame, if
    /// the packet still lies in it. `None`: it is held and gets its verdict later.
    pub(super) fn deliver_or_hand_off(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        ends: Ends,
        frame: Option<Frame>,
        mut inner: Inner,
        class: u8,
    ) -> Option<Verdict> {
        let (now, from, flows) = (self.burst.now, Origin::Tunnel(ends.1), core.flows);
        let Some(handoff) = core.handoff_of(self.burst) else { return self.deliver(core, rings, ends, inner, class) };
        let part = Part::of(&flows, inner.bytes(rings.rx));
        let owner = match part {
            Part::First(_, flow) => handoff.owner(flow),
            Part::Broken => Owner::Me,
            Part::Later(ip) => match handoff.owners.find(PacketId::of(from, &ip), now) {
                Some(owner) => owner,
                None => {
                    // What the outer header says of it is written into it: it waits without.
                    match ecn::decapsulated_tos(ip.tos, class) {
                        Ok(tos) => set_tos(inner.bytes(rings.rx), tos),
                        Err(reason) => return Some(reason.into()),
                    }
                    let waits =
                        handoff.owners.wait(PacketId::of(from, &ip), self.burst.link, inner.bytes(rings.rx), now);
                    return (!waits).then_some(Reason::NaptFragment.into());
                }
            },
        };
        let verdict = match (owner, frame) {
            (Owner::Other(worker), Some(frame)) => {
                Some(core.hand_off_frame(rings, worker, frame).map_or_else(Into::into, |()| Verdict::HandedOff))
            }
            _ => self.deliver_or_hand_off_bytes(core, rings, ends, inner, class, owner),
        };
        if let Part::First(first, _) = part
            && first.more_fragments()
        {
            self.release_held(core, rings, ends, &first, owner);
        }
        verdict
    }

    /// A first fragment has gone to its worker: those that waited for it go after it.
    fn release_held(&self, core: &mut Core, rings: &mut Rings, ends: Ends, first: &Ipv4, owner: Owner) {
        let from = Origin::Tunnel(ends.1);
        if let Some(handoff) = &mut core.handoff {
            handoff.owners.learn(PacketId::of(from, first), owner, self.burst.now);
        }
        while let Some(mut held) =
            core.handoff.as_mut().and_then(|handoff| handoff.owners.ready(PacketId::of(from, first)))
        {
            let inner = Inner::Bytes(&mut held.bytes);
            if let Some(verdict) = self.deliver_or_hand_off_bytes(core, rings, ends, inner, 0, owner) {
                core.counters.end(verdict, 1);
            }
            if let Some(handoff) = &mut core.handoff {
                handoff.owners.done(held);
            }
        }
    }

    /// Delivers or hands off a packet that is in no frame of its own, whose worker is known. What is longer than a slot
    /// is delivered here, and may be overtaken.
    fn deliver_or_hand_off_bytes(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        ends: Ends,
        inner: Inner,
        class: u8,
        owner: Owner,
    ) -> Option<Verdict> {
        match (core.ring_to(owner), inner) {
            (Some(ring), Inner::Bytes(packet)) if ETHERNET + OUTER_LEN + packet.len() <= ring.longest() => {
                Some(self.hand_off_bytes(ring, ends, packet, class))
            }
            (_, inner) => self.deliver(core, rings, ends, inner, class),
        }
    }

    /// Hands a packet on in a frame as it would have come in.
    fn hand_off_bytes(&self, ring: &mut HandoffTx, (softwire, from): Ends, packet: &[u8], class: u8) -> Verdict {
        let mac = self.burst.snapshot.links[self.burst.link.index()].mac;
        let ethernet = Ethernet { dst: mac, src: mac, ethertype: ethertype::IPV6.into() };
        let outer = Outer { src: from, dst: softwire.local, ..softwire.outer(class, 0) };
        let header = outer.header(packet.len() as u16, protocol::IPV4);
        let sent = ring.originate(ETHERNET + OUTER_LEN + packet.len(), |to| {
            to[..ETHERNET].copy_from_slice(ethernet.as_bytes());
            to[ETHERNET..][..OUTER_LEN].copy_from_slice(header.as_bytes());
            to[ETHERNET + OUTER_LEN..].copy_from_slice(packet);
        });
        sent.map_or_else(|not| not_handed_off(not).into(), |()| Verdict::HandedOff)
    }
}

fn not_handed_off(not: NotSent) -> Reason {
    match not {
        NotSent::Full => Reason::HandoffFull,
        NotSent::TooLong => Reason::Jumbo,
    }
}

impl Core {
    /// The other workers, if this burst is to be handed off to them.
    #[inline(always)]
    pub(super) fn handoff_of(&mut self, burst: Burst) -> Option<&mut Handoff> {
        self.handoff.as_deref_mut().filter(|handoff| !burst.handed_off && handoff.link == burst.link)
    }

    /// Hands frames to their workers, up to one about which it takes the slow path to say whose it is. Answers how many
    /// came before that; our own of them are then in `ours`, which was empty.
    #[inline(always)]
    pub(super) fn hand_off(&mut self, rings: &mut Rings, frames: &[Frame], ours: &mut Box<FrameBatch>) -> usize {
        let Some(mut handoff) = self.handoff.take() else { return 0 };
        let mut plain = 0;
        for (i, &frame) in frames.iter().enumerate() {
            if let Some(&soon) = frames.get(i + FRAMES_AHEAD as usize) {
                rings.rx.prefetch_frame(soon);
            }
            let Some(worker) = handoff.whose(&self.flows, rings.rx.head(frame)) else { break };
            // Nobody could guess which it is: no branch depends on it.
            handoff.batches[usize::from(worker)].push(frame);
            plain += 1;
        }
        let Handoff { me, to, batches, .. } = &mut *handoff;
        for (batch, ring) in batches.iter_mut().zip(to) {
            let Some(ring) = ring.as_mut().filter(|_| !batch.frames().is_empty()) else { continue };
            let handed = ring.send(rings.rx, batch.frames(), |rx, frame, not| {
                self.counters.end(not_handed_off(not).into(), 1);
                rx.restore(frame);
            });
            self.counters.end(Verdict::HandedOff, handed as u64);
            batch.clear();
        }
        std::mem::swap(&mut batches[*me], ours);
        self.handoff = Some(handoff);
        plain
    }

    fn ring_to(&mut self, owner: Owner) -> Option<&mut HandoffTx> {
        match owner {
            Owner::Me => None,
            Owner::Other(worker) => self.handoff.as_mut()?.to.get_mut(worker)?.as_mut(),
        }
    }

    /// Hands a frame as it came to the worker of its flow.
    fn hand_off_frame(&mut self, rings: &mut Rings, worker: usize, frame: Frame) -> Result<(), Reason> {
        let ring = self.ring_to(Owner::Other(worker)).ok_or(Reason::HandoffFull)?;
        let mut handed = Ok(());
        ring.send(rings.rx, &[frame], |_, _, not| handed = Err(not_handed_off(not)));
        handed
    }
}
