//! The ways out that both directions share: to the control thread, as an answer, into the tunnel or
//! to the LAN, whole or in pieces.

use hikyaku_net::packet::ipv4::Checked;
use hikyaku_net::packet::{Ethernet, Icmp, Ipv4, Ipv6, ethertype, ipv6};
use hikyaku_net::{Addr4, Addr6, Mac, protocol};
use hikyaku_ring::{Frame, LinkId, NotSent, RxRing, TxRing};
use zerocopy::{FromBytes, IntoBytes};

use super::fast_ipv6::{Forward, ethernet};
use super::{Burst, Core, FlowLabels, Rings, local, ports_of};
use crate::counters::Event;
use crate::icmp;
use crate::napt::{Hash, Key, Scope};
use crate::punt::Class;
use crate::shared::Message;
use crate::snapshot::{B4_ADDRESS, FarEnd, Link, Route6, Side, Softwire};
use crate::tunnel::mtu::Fit;
use crate::tunnel::{Composed, OUTER_LEN, Outer, fragment, mss};
use crate::verdict::{Reason, Verdict};

/// Length of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

/// Shortest Ethernet frame, without FCS.
pub(super) const MIN_FRAME: usize = 60;

/// An IPv4 packet on its way out.
#[derive(Clone, Copy)]
pub(super) enum Packet<'a> {
    /// In the buffer it came in, behind the frame's first 14 bytes. The frame ends with it.
    Frame(Frame),
    /// Somewhere else: it was reassembled, or had to wait.
    Bytes(&'a [u8]),
}

impl<'a> Packet<'a> {
    pub fn bytes<'b>(&self, rx: &'b mut RxRing) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Self::Frame(frame) => &rx.bytes(frame)[ETHERNET..],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Transmit rings by [`LinkId`].
type Tx = [Option<TxRing>];

/// The longest answer by IPv4 (RFC 1812 4.3.2.3).
const MAX_ANSWER: usize = 576;

/// The bytes of an answer, which no longer needs the ring.
fn written<'a>(answer: &Composed, bytes: &'a mut [u8; MAX_ANSWER]) -> &'a [u8] {
    answer.write(&mut bytes[..answer.len()]);
    &bytes[..answer.len()]
}

/// The TCP reset that a rule's refusal of `packet` is told by, where that is how.
fn reset_of(reason: Reason, packet: &[u8]) -> Option<Composed<'static>> {
    if reason == Reason::RuleReject { icmp::reset(packet) } else { None }
}

/// Sends a packet that is not in a receive buffer.
fn originate(tx: &mut Tx, link: LinkId, ethernet: Ethernet, packet: &Composed) -> Result<(), NotSent> {
    let tx = tx.get_mut(link.index()).and_then(Option::as_mut).ok_or(NotSent::Full)?;
    tx.originate((ETHERNET + packet.len()).max(MIN_FRAME), |to| {
        to[..ETHERNET].copy_from_slice(ethernet.as_bytes());
        packet.write(&mut to[ETHERNET..]);
        to[ETHERNET + packet.len()..].fill(0);
    })
}

/// A packet that is not sent yet.
fn framed(ethernet: Ethernet, packet: &Composed) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET + packet.len()];
    frame[..ETHERNET].copy_from_slice(ethernet.as_bytes());
    packet.write(&mut frame[ETHERNET..]);
    frame
}

/// Sends the pieces of one packet: all of them, or none.
fn originate_all<'a>(
    tx: &mut Tx,
    link: LinkId,
    ethernet: Ethernet,
    pieces: impl Iterator<Item = Composed<'a>> + Clone,
) -> Result<(), NotSent> {
    let space = tx.get_mut(link.index()).and_then(Option::as_mut).map_or(0, TxRing::space);
    if pieces.clone().count() > space as usize {
        return Err(NotSent::Full);
    }
    pieces.into_iter().try_for_each(|piece| originate(tx, link, ethernet, &piece))
}

impl Core {
    /// Gives a frame that lacks only its Ethernet destination to the control thread, which finds it
    /// out. So many a second: what is for the control thread itself must not wait behind a scan.
    #[cold]
    pub(super) fn unresolved(&mut self, burst: Burst, link: LinkId, frame: &[u8]) -> Verdict {
        let side = burst.snapshot.links[link.index()].side;
        if !self.punts.take((side, Class::Unresolved), 0, burst.now) {
            return Reason::NoNeighbour.into();
        }
        let Some(mut message) = Message::new(link, frame) else { return Reason::NoNeighbour.into() };
        message.unresolved = true;
        if !self.shared.punt.push(side, Class::Unresolved, message) {
            return Reason::PuntFull.into();
        }
        self.wanted.note(Class::Unresolved);
        Verdict::Punted
    }

    /// Sends the ICMP error or the reset that a drop asks for to the LAN host that sent `frame`.
    pub(super) fn answer_lan(&mut self, burst: Burst, rings: &mut Rings, frame: Frame, reason: Reason, mtu: u16) {
        let Some(message) = icmp::answer(reason, mtu) else { return };
        let link = &burst.snapshot.links[burst.link.index()];
        let Rings { rx, tx } = rings;
        let Ok((ethernet, packet)) = Ethernet::ref_from_prefix(rx.bytes(frame)) else { return };
        let Ok((ip, _)) = Ipv4::ref_from_prefix(packet) else { return };
        // RFC 1812 4.3.2.7: nothing that came as a broadcast, or claims to come from one, is answered.
        let broadcast = |a: Addr4| link.sources4.iter().any(|p| p.len() > 0 && p.is_broadcast(a));
        if ethernet.dst.is_group() || ethernet.src.is_group() || broadcast(ip.src) || broadcast(ip.dst) {
            return;
        }
        let back = Ethernet { dst: ethernet.src, src: link.mac, ethertype: ethertype::IPV4.into() };
        let (answer, sent) = match reset_of(reason, packet) {
            Some(reset) => (reset, Event::ResetSent),
            None => {
                // RFC 1812 4.3.2.3: as much of it as fits, and no more than the link carries.
                let room = usize::from(link.mtu).saturating_sub(size_of::<Ipv4>() + size_of::<Icmp>());
                let packet = &packet[..packet.len().min(room)];
                let Some(error) = icmp::compose(message, link.icmp_source(), self.ids.next_id() as u16, packet) else {
                    return;
                };
                (error, Event::IcmpSent)
            }
        };
        if self.may_tell(Side::Lan, message.purpose(), burst) && originate(tx, burst.link, back, &answer).is_ok() {
            self.counters.note(sent, 1);
        }
    }

    /// Sends the ICMP error or the reset that a drop asks for through the tunnel to the Internet host that sent
    /// `packet`, by way of the far end that it came from.
    pub(super) fn answer_tunnel(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        (softwire, remote): (&Softwire, Addr6),
        packet: Packet,
        reason: Reason,
        mtu: u16,
    ) {
        let Some(message) = icmp::answer(reason, mtu) else { return };
        match reset_of(reason, packet.bytes(rings.rx)) {
            Some(reset) => {
                let mut bytes = [0; MAX_ANSWER];
                let answer = written(&reset, &mut bytes);
                self.send_answer_tunnel(
                    burst,
                    rings,
                    (softwire, remote),
                    answer,
                    (message.purpose(), Event::ResetSent),
                );
            }
            None => self.tell_tunnel(burst, rings, (softwire, remote), packet, message),
        }
    }

    /// Sends an ICMP error about `packet` the same way.
    pub(super) fn tell_tunnel(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        (softwire, remote): (&Softwire, Addr6),
        packet: Packet,
        message: icmp::Message,
    ) {
        let from = softwire.napt.as_ref().map_or(B4_ADDRESS, |napt| napt.outside().into());
        let id = self.ids.next_id() as u16;
        let mut bytes = [0; MAX_ANSWER];
        let Some(answer) = icmp::compose(message, from, id, packet.bytes(rings.rx)) else { return };
        let answer = written(&answer, &mut bytes);
        self.send_answer_tunnel(burst, rings, (softwire, remote), answer, (message.purpose(), Event::IcmpSent));
    }

    /// Sends an answer through the tunnel, if its budget allows, and counts it.
    fn send_answer_tunnel(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        to: (&Softwire, Addr6),
        answer: &[u8],
        (purpose, sent): (icmp::Purpose, Event),
    ) {
        if self.may_tell(Side::Wan, purpose, burst)
            && self.send_tunnel(burst, rings, to, Packet::Bytes(answer), Hash::NONE) == Verdict::Outbound
        {
            self.counters.note(sent, 1);
        }
    }

    /// Sends the ICMPv6 error that a drop asks for back to the station that `frame` came from, for its sender.
    pub(super) fn answer6(&mut self, burst: Burst, rings: &mut Rings, frame: Frame, reason: Reason, mtu: u16) {
        let Some(message) = icmp::answer6(reason, mtu) else { return };
        let Rings { rx, tx } = rings;
        let Ok((ethernet, packet)) = Ethernet::ref_from_prefix(rx.bytes(frame)) else { return };
        if ethernet.dst.is_group() {
            return;
        }
        let to = (burst.link, ethernet.src);
        match icmp::reset6(packet).filter(|_| reason == Reason::RuleReject) {
            Some(reset) => self.send_answer6(burst, tx, to, &reset, (message.purpose(), Event::ResetSent)),
            None => self.tell6(burst, tx, to, packet, message),
        }
    }

    /// Sends an ICMPv6 error about `packet` to the station of a link that it came from.
    pub(super) fn tell6(
        &mut self,
        burst: Burst,
        tx: &mut Tx,
        to: (LinkId, Mac),
        packet: &[u8],
        message: icmp::Message6,
    ) {
        let Some(from) = burst.snapshot.icmp_source6(to.0) else { return };
        let Some(answer) = icmp::compose6(message, from, packet) else { return };
        self.send_answer6(burst, tx, to, &answer, (message.purpose(), Event::IcmpSent));
    }

    /// Sends an answer to the station of a link, if its budget allows, and counts it.
    fn send_answer6(
        &mut self,
        burst: Burst,
        tx: &mut Tx,
        (id, station): (LinkId, Mac),
        answer: &Composed,
        (purpose, sent): (icmp::Purpose, Event),
    ) {
        let Some(link) = burst.snapshot.link(id) else { return };
        if self.may_tell(link.side, purpose, burst) && originate(tx, id, ethernet(station, link), answer).is_ok() {
            self.counters.note(sent, 1);
        }
    }

    /// Sends a packet of native IPv6 to a station of a link, or has the control thread find out where that is.
    pub(super) fn send6(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        (link, station): (LinkId, Option<Mac>),
        packet: Packet,
        verdict: Verdict,
    ) -> Verdict {
        let ethernet = ethernet(station.unwrap_or_default(), &burst.snapshot.links[link.index()]);
        let Rings { rx, tx } = rings;
        let sent = match packet {
            _ if station.is_none() => {
                let whole = Composed::new([&[], &[]], packet.bytes(rx));
                return self.unresolved(burst, link, &framed(ethernet, &whole));
            }
            Packet::Frame(frame) => {
                rx.bytes(frame)[..ETHERNET].copy_from_slice(ethernet.as_bytes());
                let frame = rx.padded(frame, MIN_FRAME);
                return self.send(rings, link, frame).map_or_else(Into::into, |()| verdict);
            }
            Packet::Bytes(bytes) => originate(tx, link, ethernet, &Composed::new([&[], &[]], bytes)),
        };
        sent.map_or_else(|not| Reason::from(not).into(), |()| verdict)
    }

    /// Whether one more error may go to somebody on this side.
    pub(super) fn may_tell(&mut self, to: Side, purpose: icmp::Purpose, burst: Burst) -> bool {
        let may = self.errors.take(to, purpose, burst.now);
        if !may {
            self.counters.note(Event::IcmpLimited, 1);
        }
        may
    }

    /// What every forwarded packet gets, translated or not: a smaller MSS if need be, one hop less.
    pub(super) fn pass(&self, mss: Option<u16>, packet: &mut [u8], checked: Checked) {
        let (header, transport) = packet[..checked.len].split_at_mut(checked.header_len);
        let Ok((ip, _)) = Ipv4::mut_from_prefix(header) else { return };
        if let Some(limit) = mss
            && ip.protocol == protocol::TCP
            && ip.fragment_offset() == 0
            && mss::clamp(transport, limit)
        {
            self.counters.note(Event::MssLowered, 1);
        }
        ip.decrement_ttl();
    }

    /// Whether an inner packet fits the tunnel.
    pub(super) fn fit(burst: Burst, softwire: &Softwire, far: FarEnd, len: usize, dont_fragment: bool) -> Fit {
        let link_mtu = burst.snapshot.link(softwire.link).map_or(0, |l| l.mtu);
        softwire.mtu.fit(len, dont_fragment, softwire.state.path_mtu_to(far, burst.now, link_mtu))
    }

    /// Encapsulates a translated packet and sends it to a far end, in pieces if it must be (RFC 2473 7.2,
    /// RFC 6333 5.3).
    pub(super) fn send_tunnel(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        (softwire, remote): (&Softwire, Addr6),
        packet: Packet,
        flow: Hash,
    ) -> Verdict {
        let Some(wan) = burst.snapshot.link(softwire.link) else { return Reason::NoRoute.into() };
        if softwire.has_ended(burst.now) {
            return Reason::SoftwireEnded.into();
        }
        let headers = softwire.headers(wan.mac, softwire.next_hop.unwrap_or_default());
        let Rings { rx, tx } = rings;
        let bytes = packet.bytes(rx);
        let Ok((ip, _)) = Ipv4::read_from_prefix(bytes) else { return Reason::Ipv4Truncated.into() };
        let outer = Outer { dst: remote, ..softwire.outer(softwire.class.outer_class(ip.tos), flow.flow_label()) };
        let header = outer.header(bytes.len() as u16, protocol::IPV4);
        let fit = Self::fit(burst, softwire, softwire.far_end(remote), bytes.len(), ip.dont_fragment());
        let sent = match (fit, packet) {
            (Fit::TooBig { .. }, _) => return Reason::TooBig.into(),
            (fit, _) if softwire.next_hop.is_none() => {
                // Of a packet that has to go in pieces, no piece waits.
                let whole = Composed::new([header.as_bytes(), &[]], bytes);
                return match fit {
                    Fit::Whole => self.unresolved(burst, softwire.link, &framed(headers.ethernet, &whole)),
                    _ => Reason::NoNeighbour.into(),
                };
            }
            (Fit::FragmentOuter { mtu }, _) => {
                self.counters.note(Event::Fragmented, 1);
                let pieces = fragment::outer(outer, bytes, mtu, self.ids.next_id());
                originate_all(tx, softwire.link, headers.ethernet, pieces)
            }
            (Fit::Whole, Packet::Bytes(bytes)) => {
                originate(tx, softwire.link, headers.ethernet, &Composed::new([header.as_bytes(), &[]], bytes))
            }
            (Fit::Whole, Packet::Frame(frame)) => {
                let frame = frame.push(OUTER_LEN);
                let bytes = rx.bytes(frame);
                bytes[..ETHERNET].copy_from_slice(headers.ethernet.as_bytes());
                bytes[ETHERNET..][..OUTER_LEN].copy_from_slice(header.as_bytes());
                return self.send(rings, softwire.link, frame).map_or_else(Into::into, |()| Verdict::Outbound);
            }
        };
        sent.map_or_else(|not| Reason::from(not).into(), |()| Verdict::Outbound)
    }

    /// Sends a translated packet to a LAN host, in pieces if the link is too narrow and the sender
    /// allows it (RFC 791).
    pub(super) fn send_lan(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        link: LinkId,
        packet: Packet,
        verdict: Verdict,
    ) -> Verdict {
        let Some(lan) = burst.snapshot.link(link) else { return Reason::NoRoute.into() };
        let Rings { rx, tx } = rings;
        let bytes = packet.bytes(rx);
        let Ok((ip, _)) = Ipv4::read_from_prefix(bytes) else { return Reason::Ipv4Truncated.into() };
        let station = lan.neighbours.get(ip.dst);
        let ethernet = Ethernet { dst: station.unwrap_or_default(), src: lan.mac, ethertype: ethertype::IPV4.into() };
        let sent = match packet {
            _ if station.is_none() && bytes.len() > lan.mtu as usize => return Reason::NoNeighbour.into(),
            _ if station.is_none() => {
                let whole = Composed::new([&[], &[]], bytes);
                return self.unresolved(burst, link, &framed(ethernet, &whole));
            }
            Packet::Frame(frame) if bytes.len() <= lan.mtu as usize => {
                rx.bytes(frame)[..ETHERNET].copy_from_slice(ethernet.as_bytes());
                let frame = rx.padded(frame, MIN_FRAME);
                return self.send(rings, link, frame).map_or_else(Into::into, |()| verdict);
            }
            Packet::Bytes(bytes) if bytes.len() <= lan.mtu as usize => {
                originate(tx, link, ethernet, &Composed::new([&[], &[]], bytes))
            }
            _ => match fragment::inner(bytes, lan.mtu) {
                Ok(pieces) => {
                    self.counters.note(Event::Fragmented, 1);
                    originate_all(tx, link, ethernet, pieces)
                }
                Err(reason) => return reason.into(),
            },
        };
        sent.map_or_else(|not| Reason::from(not).into(), |()| verdict)
    }
}

/// What to do with IPv6 that is not the tunnel's: neighbour discovery, router advertisements and packets to us are the
/// control thread's; the rest is forwarded where that is filtered. `None`: the frame is held and gets its verdict later.
pub(super) fn native6(core: &mut Core, burst: Burst, rings: &mut Rings, frame: Frame) -> Option<Verdict> {
    let packet = rings.rx.bytes(frame).get(ETHERNET..).unwrap_or_default();
    let Ok((ip, _)) = Ipv6::read_from_prefix(packet) else {
        return Some(Reason::Ipv6Truncated.into());
    };
    let link = &burst.snapshot.links[burst.link.index()];
    let is_local = || burst.snapshot.routes6.lookup(ip.dst) == Route6::Local;
    let is_ours = |link: &Link| link.addresses6.contains(&ip.dst);
    if link.isolated && burst.snapshot.is_of_another_lan(link, is_ours) {
        core.answer6(burst, rings, frame, Reason::LanIsolated, 0);
        return Some(Reason::LanIsolated.into());
    }
    let to_us = local::is_of_link(ip.dst) || is_ours(link) || is_local();
    if !to_us && let Some(forward) = Forward::new(burst) {
        return forward.slow_path(core, rings, frame);
    }
    let class = match ipv6::walk(packet) {
        Err(reason) => return Some(reason.into()),
        Ok(_) if !to_us => Err(Reason::Ipv6NoRoute),
        Ok(walked) => local::class6(link, packet, &walked).ok_or(Reason::NoListener),
    };
    Some(match class {
        Ok(class) => core.punt(burst, rings, frame, class),
        Err(reason) => core.to_host(burst, rings, frame, reason).unwrap_or(reason.into()),
    })
}

/// A drop without an MTU.
pub(super) fn drop(reason: impl Into<Reason>) -> (Reason, u16) {
    (reason.into(), 0)
}

/// Source routes are not followed, nor passed on (RFC 7126 4.3, 4.4). Options that cannot be told
/// apart are nobody's.
pub(super) fn refused_option(mut options: &[u8]) -> bool {
    loop {
        match *options {
            [] | [0, ..] => return false,
            [1, ref rest @ ..] => options = rest,
            [131 | 137, ..] => return true,
            [_, len, ..] if len >= 2 && len as usize <= options.len() => options = &options[len as usize..],
            _ => return true,
        }
    }
}

/// The flow of a packet that no NAPT looks up, as the fast path hashes it. All fragments of a
/// packet are one flow.
pub(super) fn flow_hash(flows: &FlowLabels, packet: &[u8], checked: Checked) -> Hash {
    let Ok((ip, _)) = Ipv4::ref_from_prefix(packet) else { return Hash::NONE };
    let transport: [u8; 4] = packet[checked.header_len..checked.len].first_chunk().copied().unwrap_or_default();
    let ports = if ip.is_fragment() { 0 } else { ports_of(ip, &transport) };
    flows.of(&Key::new(Scope::NONE, ip.protocol, ip.addrs(), ports))
}
