//! Tunnel to LAN, the slow path: every check again from the start, with a reason for each thing
//! that is wrong, and a way for everything that is merely rare.

use hikyaku_net::checksum::Delta;
use hikyaku_net::packet::{Ethernet, Ipv4, Ipv6, ethertype, ipv4, ipv6};
use hikyaku_net::{Addr4, Addr6, PortSet, protocol};
use hikyaku_ring::{Frame, RxRing};
use zerocopy::FromBytes;

use super::classify;
use super::emit::{ETHERNET, Packet, drop, native6, refused_option};
use super::fast_inbound::Inbound;
use super::translate::{Not, far_port};
use super::{Burst, Core, Rings, Translation, local};
use crate::counters::Event;
use crate::napt::{Direction, LanId, Origin, PacketId};
use crate::snapshot::{FarEnd, Softwire};
use crate::tunnel::ecn;
use crate::tunnel::reassembly::Push;
use crate::verdict::{Reason, Verdict};

impl<'a, N: Translation<'a>> Inbound<'a, N> {
    /// `None`: the frame is held and gets its verdict later.
    #[cold]
    #[inline(never)]
    pub(super) fn slow_path(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Option<Verdict> {
        let frame = rings.rx.without_priority_tag(frame);
        match self.outer(core, rings, frame) {
            Ok(verdict) => verdict,
            Err(reason) => Some(core.to_host(self.burst, rings, frame, reason).unwrap_or(reason.into())),
        }
    }

    /// Ethernet and the outer header.
    fn outer(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Result<Option<Verdict>, Reason> {
        let Burst { snapshot, link, now, .. } = self.burst;
        let (ethernet, bytes) = Ethernet::read_from_prefix(rings.rx.bytes(frame)).map_err(|_| Reason::Runt)?;
        let accepted = classify::accepts(&snapshot.links[link.index()], ethernet.dst) || ethernet.dst.is_group();
        if !accepted || ethernet.src.is_group() {
            return Err(Reason::OtherStation);
        }
        match ethernet.ethertype.get() {
            ethertype::IPV6 => {}
            ethertype::IPV4 | ethertype::ARP => return Err(Reason::Ipv4OnWan),
            ethertype::VLAN | ethertype::PROVIDER_VLAN => return Err(Reason::Vlan),
            _ => return Err(Reason::EtherType),
        }
        let (outer, _) = Ipv6::read_from_prefix(bytes).map_err(|_| Reason::Ipv6Truncated)?;
        let is_local = |s: &&Softwire| s.link == link && s.local == outer.dst;
        let softwire = snapshot.softwires.iter().find(is_local);
        let forwarded = softwire.is_none() && snapshot.filter6.is_some();
        let walked = if forwarded { ipv6::walk_past(bytes) } else { ipv6::walk(bytes) }?;
        // RFC 1812 5.3.4 for the other protocol: what came to all is not forwarded to one.
        if ethernet.dst.is_group() && outer.dst.0[0] != 0xff {
            return Err(Reason::OtherStation);
        }
        let Some(softwire) = softwire else {
            return Ok(native6(core, self.burst, rings, frame));
        };
        // RFC 8200 4.5: what a later fragment says of its payload does not count.
        let later = walked.fragment.is_some_and(|at| (bytes[at + 2], bytes[at + 3] & 0xf8) != (0, 0));
        let tunnelled = matches!(walked.protocol, protocol::IPV4 | protocol::DESTINATION);
        if !tunnelled && !later {
            return match walked.protocol {
                protocol::ICMPV6 if walked.fragment.is_none() => {
                    let message = &bytes[walked.offset..walked.end];
                    let Some(&kind) = message.first() else { return Err(Reason::TransportHeader) };
                    if kind >= 128 {
                        let class = local::class6(&snapshot.links[link.index()], bytes, &walked);
                        return Ok(Some(core.punt(self.burst, rings, frame, class.ok_or(Reason::NoListener)?)));
                    }
                    // The answer is made while the frame lies in its buffer: a copy of the little
                    // that is quoted costs less than to prove that they never meet.
                    // RFC 4443 2.4 (c): no error is longer than 1280 bytes.
                    let mut copy = [0; 1280];
                    let message = message.get(..message.len().min(1280)).unwrap_or_default();
                    copy[..message.len()].copy_from_slice(message);
                    let copy = &copy[..message.len()];
                    Err(core.tunnel_error(self.burst, rings, softwire, outer.src, copy))
                }
                protocol::TCP | protocol::UDP => {
                    let class = local::class6(&snapshot.links[link.index()], bytes, &walked);
                    Ok(Some(core.punt(self.burst, rings, frame, class.ok_or(Reason::NoListener)?)))
                }
                _ => Err(Reason::TunnelProtocol),
            };
        }
        let mut ends = snapshot.softwires.iter().filter(is_local);
        let softwire = ends.clone().find(|s| s.remote == outer.src).or_else(|| ends.find(|s| s.mesh.is_some()));
        let softwire = softwire.ok_or(Reason::TunnelSource)?;
        let in_pieces = walked.fragment.is_some_and(|at| bytes[at + 2..at + 4] != [0, 0]);
        // Whole packets of others are judged by what is in them; the reassembler is not for everybody.
        let is_peer = || softwire.mesh.as_deref().is_some_and(|mesh| mesh.peer(outer.src).is_some());
        if in_pieces && softwire.remote != outer.src && !is_peer() {
            return Err(Reason::TunnelSource);
        }
        if !in_pieces {
            if walked.protocol != protocol::IPV4 {
                return Err(Reason::TunnelProtocol);
            }
            // The inner packet stays where it is; what will be its Ethernet header ends where it begins.
            let inner = Inner::Frame(frame.with_len(ETHERNET + walked.end).pop(walked.offset));
            let class = outer.traffic_class();
            return Ok(self.deliver_or_hand_off(core, rings, (softwire, outer.src), Some(frame), inner, class));
        }
        let Core { counters, reassembler, scratch, .. } = core;
        let released = |reason: Reason, frames: u32| counters.end(reason.into(), frames.into());
        let whole = match reassembler.push(now, &rings.rx.bytes(frame)[ETHERNET..], &walked, released) {
            Push::Held => return Ok(None),
            Push::Bad(reason) => return Err(reason),
            Push::Whole(whole) => whole,
        };
        counters.note(Event::Reassembled, 1);
        counters.end(Verdict::Reassembled, u64::from(whole.fragments) - 1);
        let class = whole.class;
        scratch.clear();
        scratch.extend_from_slice(whole.packet);
        let mut packet = std::mem::take(scratch);
        let inner = Inner::Bytes(&mut packet);
        let verdict = self.deliver_or_hand_off(core, rings, (softwire, outer.src), None, inner, class);
        core.scratch = packet;
        Ok(verdict)
    }

    /// The inner packet, wherever it is; `from` the far end of the tunnel, or so it says.
    pub(super) fn deliver(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        (softwire, from): (&Softwire, Addr6),
        mut inner: Inner,
        class: u8,
    ) -> Option<Verdict> {
        let (reason, mtu) = match self.examine(core, rings, (softwire, from), &mut inner, class) {
            Ok(verdict) => return verdict,
            Err(failed) => failed,
        };
        core.answer_tunnel(self.burst, rings, (softwire, from), inner.packet(), reason, mtu);
        core.hold_unsolicited(self.burst, (softwire, from), inner.bytes(rings.rx), reason);
        Some(reason.into())
    }

    /// Whether a packet may come from where it says it does. Nothing of ours comes from outside, but of an
    /// IPv4 address that we share what has another's port. The border router may send what it likes; another CE
    /// what has its address and ports (RFC 7597 8.1).
    fn sender(&self, (softwire, from): (&Softwire, Addr6), ip: &Ipv4, transport: &[u8]) -> Result<(), Reason> {
        let shares = |ports: PortSet| ports != PortSet::ALL;
        let shared = softwire.napt.as_deref().filter(|n| Addr4::from(n.outside()) == ip.src && shares(n.port_set()));
        if !ip.src.is_host() || shared.is_none() && (self.is_ours(ip.src) || ip.src == ip.dst) {
            return Err(Reason::Ipv4Source);
        }
        let peer = softwire.far_end(from) == FarEnd::Peer;
        if !peer && shared.is_none() {
            return Ok(());
        }
        let port = far_port(ip, Direction::Inbound, transport)?;
        if shared.is_some_and(|napt| port.is_some_and(|port| napt.port_set().contains(port.number()))) {
            return Err(Reason::Ipv4Source);
        }
        match softwire.mesh.as_deref() {
            Some(mesh) if peer && !mesh.may_send(from, ip.src, port) => {
                Err(if mesh.is_of_mesh(from, ip.src) { Reason::MapSpoofed } else { Reason::TunnelSource })
            }
            _ => Ok(()),
        }
    }

    /// `Err` is a drop that may be answered, with the MTU for "fragmentation needed". The packet is
    /// then still as it came.
    fn examine(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        (softwire, from): (&Softwire, Addr6),
        inner: &mut Inner,
        class: u8,
    ) -> Result<Option<Verdict>, (Reason, u16)> {
        let bytes = inner.bytes(rings.rx);
        let checked = ipv4::check(bytes).map_err(drop)?;
        let (ip, _) = Ipv4::read_from_prefix(bytes).map_err(|_| drop(Reason::Ipv4Truncated))?;
        // RFC 6040 4.2.
        let tos = ecn::decapsulated_tos(ip.tos, class).map_err(drop)?;
        self.sender((softwire, from), &ip, &bytes[checked.header_len..checked.len]).map_err(drop)?;
        if !ip.dst.is_host() {
            return Err(drop(Reason::Ipv4Destination));
        }
        // Without NAPT it is known at once who would get it. Not answered: whoever sends here what is
        // nobody's knows no better with an answer.
        if softwire.napt.is_none() && softwire.host_link(self.burst.snapshot, None, ip.dst).is_none() {
            return Ok(Some(Reason::NoRoute.into()));
        }
        if refused_option(&bytes[20..checked.header_len]) {
            return Err(drop(Reason::Ipv4Option));
        }
        let packet = &mut bytes[..checked.len];
        let is_late = ip.ttl <= 1;
        if is_late || checked.len > self.whole && ip.dont_fragment() {
            let failed = if is_late { drop(Reason::TtlExceeded) } else { (Reason::TooBig, self.whole as u16) };
            // Who has no session here is told nothing.
            return match softwire.napt.as_deref() {
                Some(napt) if !core.translator(napt, self.burst).has_session(Origin::Tunnel(from), packet, checked) => {
                    Ok(Some(failed.0.into()))
                }
                _ => Err(failed),
            };
        }
        let mut lan = None;
        if let Some(napt) = softwire.napt.as_deref() {
            match core.translator(napt, self.burst).translate(Origin::Tunnel(from), packet, checked) {
                Ok(done) => {
                    core.counters.note(Event::SessionOpened, done.opened.into());
                    lan = done.lan;
                }
                Err(Not::Possible(reason)) => return Err(drop(reason)),
                Err(Not::Yet) => {
                    set_tos(packet, tos);
                    return match core.fragments.wait(
                        PacketId::of(Origin::Tunnel(from), &ip),
                        self.burst.link,
                        packet,
                        self.burst.now,
                    ) {
                        true => Ok(None),
                        false => Err(drop(Reason::NaptFragment)),
                    };
                }
            }
        }
        set_tos(packet, tos);
        core.pass(softwire.mss, packet, checked);
        inner.truncate(checked.len);
        let verdict = self.to_host(core, rings, (softwire, lan), inner.packet());
        self.release_waiting(core, rings, (softwire, from), &ip);
        Ok(Some(verdict))
    }

    /// `lan`: that of the packet's session, if it has one.
    pub(super) fn to_host(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        (softwire, lan): (&Softwire, Option<LanId>),
        packet: Packet,
    ) -> Verdict {
        let Ok((ip, _)) = Ipv4::read_from_prefix(packet.bytes(rings.rx)) else { return Reason::Ipv4Truncated.into() };
        match softwire.host_link(self.burst.snapshot, lan, ip.dst) {
            Some(link) => core.send_lan(self.burst, rings, link, packet, Verdict::Inbound),
            None => Reason::NoRoute.into(),
        }
    }

    /// A first fragment has come: those that waited for it go after it.
    pub(super) fn release_waiting(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        (softwire, from): (&Softwire, Addr6),
        first: &Ipv4,
    ) {
        let Some(napt) = softwire.napt.as_deref() else { return };
        if first.fragment_offset() != 0 || !first.more_fragments() {
            return;
        }
        while let Some(mut waiting) = core.fragments.ready(PacketId::of(Origin::Tunnel(from), first)) {
            let verdict = match ipv4::check(&waiting.bytes) {
                Ok(checked) => {
                    let mut translator = core.translator(napt, self.burst);
                    match translator.translate(Origin::Tunnel(from), &mut waiting.bytes, checked) {
                        Ok(done) => {
                            core.pass(softwire.mss, &mut waiting.bytes, checked);
                            self.to_host(core, rings, (softwire, done.lan), Packet::Bytes(&waiting.bytes))
                        }
                        Err(_) => Reason::NaptFragment.into(),
                    }
                }
                Err(reason) => reason.into(),
            };
            core.counters.end(verdict, 1);
            core.fragments.done(waiting);
        }
    }
}

/// A decapsulated packet while it is worked on.
pub(super) enum Inner<'a> {
    /// Behind the first 14 bytes of the frame.
    Frame(Frame),
    /// Put together from pieces.
    Bytes(&'a mut [u8]),
}

impl Inner<'_> {
    pub(super) fn bytes<'b>(&'b mut self, rx: &'b mut RxRing) -> &'b mut [u8] {
        match self {
            Self::Frame(frame) => &mut rx.bytes(*frame)[ETHERNET..],
            Self::Bytes(bytes) => bytes,
        }
    }

    fn packet(&self) -> Packet<'_> {
        match self {
            Self::Frame(frame) => Packet::Frame(*frame),
            Self::Bytes(bytes) => Packet::Bytes(bytes),
        }
    }

    /// Cuts off what the outer packet carried behind the inner one.
    fn truncate(&mut self, len: usize) {
        match self {
            Self::Frame(frame) => *frame = frame.with_len(ETHERNET + len),
            Self::Bytes(bytes) => *bytes = &mut std::mem::take(bytes)[..len],
        }
    }
}

/// Writes DSCP and ECN, checksum included.
pub(super) fn set_tos(packet: &mut [u8], tos: u8) {
    let Ok((ip, _)) = Ipv4::mut_from_prefix(packet) else { return };
    let delta = Delta::word(u16::from_ne_bytes([ip.version_ihl, ip.tos]), u16::from_ne_bytes([ip.version_ihl, tos]));
    ip.tos = tos;
    ip.checksum = ip.checksum.updated(delta);
}
