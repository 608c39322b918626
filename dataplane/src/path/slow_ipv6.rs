//! Native IPv6, the slow path: every check again from the start, with a reason for each thing that is wrong, and a way for
//! everything that is merely rare: extension headers, fragments, ICMPv6, protocols without ports, first packets.

use hikyaku_net::packet::{Ethernet, Icmp, Ipv6, Tcp, ipv6};
use hikyaku_net::{Addr6, Mac, Port, protocol};
use hikyaku_ring::{Frame, LinkId};
use zerocopy::FromBytes;

use super::emit::{ETHERNET, Packet, drop};
use super::fast_ipv6::Forward;
use super::translate::{Not, is_sound};
use super::{Core, Rings};
use crate::counters::Event;
use crate::filter6::{Filter6, Flow};
use crate::icmp::{Quoted6, quoted6};
use crate::napt::Direction;
use crate::rules::{Ends, Opening, Zone};
use crate::snapshot::{Link, Route6, Side};
use crate::tunnel::mss;
use crate::verdict::{Reason, Verdict};

/// What the fragments of one packet have in common (RFC 8200 4.5), and which way it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PacketId6 {
    src: Addr6,
    dst: Addr6,
    id: [u8; 4],
    inbound: bool,
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug)]
struct NextHop {
    link: LinkId,
    /// `None`: nobody knows yet where it is.
    station: Option<Mac>,
    verdict: Verdict,
}

/// What a packet carries, as far as a filter must know.
enum Carried {
    /// TCP flags, 0 for others. Whether it may open a session.
    Flow { flow: Flow, flags: u8, opens: Result<(), Reason> },
    /// An ICMPv6 error about a packet that went the other way.
    Error(Quoted6),
    /// A fragment without the upper layer's header.
    LaterFragment,
}

impl Forward<'_> {
    /// `None`: the frame is held and gets its verdict later.
    #[cold]
    #[inline(never)]
    pub fn slow_path(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Option<Verdict> {
        match self.examine(core, rings, frame) {
            Ok(verdict) => verdict,
            Err((reason, mtu)) => {
                if let Some(verdict) = core.to_host(self.burst, rings, frame, reason) {
                    return Some(verdict);
                }
                // Strangers are told nothing; `examine` says itself where that is different.
                match self.direction {
                    Direction::Outbound => core.answer6(self.burst, rings, frame, reason, mtu),
                    Direction::Inbound if reason == Reason::Ipv6Filtered => self.hold_unsolicited(core, rings, frame),
                    Direction::Inbound if reason == Reason::RuleReject => {
                        core.answer6(self.burst, rings, frame, reason, mtu)
                    }
                    Direction::Inbound => {}
                }
                Some(reason.into())
            }
        }
    }

    /// `Err` is a drop that a host of ours is told of, with the MTU for "packet too big". The packet is then still as it came.
    fn examine(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Result<Option<Verdict>, (Reason, u16)> {
        let (ethernet, bytes) = Ethernet::mut_from_prefix(rings.rx.bytes(frame)).map_err(|_| drop(Reason::Runt))?;
        let (ip, _) = Ipv6::read_from_prefix(bytes).map_err(|_| drop(Reason::Ipv6Truncated))?;
        let walked = ipv6::walk_past(bytes).map_err(drop)?;
        // What came to all is not forwarded to one.
        if ethernet.dst.is_group() {
            return Ok(Some(Reason::Ipv6Destination.into()));
        }
        let station = ethernet.src;
        let next = self.next_hop(&ip).map_err(drop)?;
        let frame = frame.with_len(ETHERNET + walked.end);
        let packet = &bytes[..walked.end];
        let mtu = self.burst.snapshot.links[next.link.index()].mtu;
        let is_late = ip.hop_limit <= 1;
        if is_late || walked.end > usize::from(mtu) {
            let failed = if is_late { drop(Reason::TtlExceeded) } else { (Reason::Ipv6TooBig, mtu) };
            // Who has no session here is told nothing.
            if self.direction == Direction::Inbound && self.is_known(core, &ip, packet, &walked) {
                core.answer6(self.burst, rings, frame, failed.0, failed.1);
            }
            return Err(failed);
        }
        if next.verdict != Verdict::Hairpin {
            match self.admit(core, &ip, packet, &walked, next, station) {
                Ok(()) => {}
                Err(Not::Possible(reason)) => return Err(drop(reason)),
                Err(Not::Yet) => {
                    let id = self.packet_id(&ip, packet, &walked);
                    return match core.fragments6.wait(id, self.burst.link, packet, self.burst.now) {
                        true => Ok(None),
                        false => Err(drop(Reason::Ipv6Fragment)),
                    };
                }
            }
        }
        self.change(core, next, &mut bytes[..walked.end], &walked);
        let verdict = core.send6(self.burst, rings, (next.link, next.station), Packet::Frame(frame), next.verdict);
        if walked.fragment.is_some() && next.verdict != Verdict::Hairpin {
            self.release_waiting(core, rings, frame, &walked);
        }
        Ok(Some(verdict))
    }

    /// A SYN that nobody let in may be answered later.
    fn hold_unsolicited(&self, core: &mut Core, rings: &mut Rings, frame: Frame) {
        if let Ok((ethernet, packet)) = Ethernet::ref_from_prefix(rings.rx.bytes(frame)) {
            core.hold_unsolicited6(self.burst, ethernet.src, packet);
        }
    }

    /// Who may send, who may be sent to, and by which way (RFC 4291 2.5, RFC 2827, RFC 3704, RFC 6092 3.1, RFC 7084 4.3).
    fn next_hop(&self, ip: &Ipv6) -> Result<NextHop, Reason> {
        let snapshot = self.burst.snapshot;
        if !ip.dst.is_forwardable() {
            return Err(Reason::Ipv6Destination);
        }
        if ip.src.is_link_local() {
            return Err(Reason::Ipv6Scope);
        }
        let route = snapshot.routes6.lookup(ip.dst);
        let (link, station) = match route {
            Route6::Link(link) => (link, snapshot.link(link).ok_or(Reason::Ipv6NoRoute)?.neighbours6.get(ip.dst)),
            Route6::Gateway { link, mac } => (link, Some(mac)),
            // What is the host's own is given to it instead of being dropped.
            Route6::Local | Route6::Host | Route6::Unreachable => return Err(Reason::Ipv6NoRoute),
        };
        let to = snapshot.link(link).ok_or(Reason::Ipv6NoRoute)?;
        // RFC 4193 4.3: no address of a site's own leaves it, nor comes in.
        let crosses = self.link.side != to.side;
        let is_local = |addr: Addr6| crosses && addr.is_unique_local();
        let may_send = match self.direction {
            Direction::Outbound => self.is_source(ip.src) && !self.link.addresses6.contains(&ip.src),
            // Strict: what would not be sent back this way does not come from there.
            Direction::Inbound => {
                matches!(snapshot.routes6.lookup(ip.src), Route6::Gateway { link, .. } if link == self.burst.link)
            }
        };
        if !may_send || !ip.src.is_forwardable() || ip.src == ip.dst || is_local(ip.src) {
            return Err(Reason::Ipv6Source);
        }
        let verdict = match (self.direction, to.side) {
            (Direction::Outbound, Side::Wan) => Verdict::Ipv6Outbound,
            // A host that was not told that the prefix is on its link (RFC 4861 6.3.4) sends to its neighbours by way of us.
            (Direction::Outbound, Side::Lan) if to.lan == self.link.lan => Verdict::Hairpin,
            // Strict here, too: between LANs an address says of which one its host is.
            (Direction::Outbound, Side::Lan) if snapshot.lan_of6(ip.src) != Some(self.link.lan) => {
                return Err(Reason::Ipv6Source);
            }
            (Direction::Outbound, Side::Lan) => Verdict::LanToLan,
            (Direction::Inbound, Side::Lan) => Verdict::Ipv6Inbound,
            _ => return Err(Reason::Ipv6NoRoute),
        };
        if is_local(ip.dst) {
            return Err(Reason::Ipv6Destination);
        }
        Ok(NextHop { link, station, verdict })
    }

    /// Whether a packet is of a session that is there, or an error about one.
    fn is_known(&self, core: &Core, ip: &Ipv6, packet: &[u8], walked: &ipv6::Walked) -> bool {
        match read(self.direction, ip, packet, walked) {
            Ok(Carried::Flow { flow, .. }) => self.filter.find(&flow).is_some(),
            Ok(Carried::Error(about)) => self.is_known_error(&about, Verdict::Ipv6Inbound),
            Ok(Carried::LaterFragment) => {
                core.fragments6.find(self.packet_id(ip, packet, walked), self.burst.now).is_some()
            }
            Err(_) => false,
        }
    }

    /// Whether a packet may pass: of a session, opened if need be and allowed; an error about one; or a fragment whose first
    /// one may.
    fn admit(
        &self,
        core: &mut Core,
        ip: &Ipv6,
        packet: &[u8],
        walked: &ipv6::Walked,
        next: NextHop,
        sender: Mac,
    ) -> Result<(), Not> {
        let now = self.burst.now;
        // Which way it goes in the table.
        let way = match next.verdict {
            Verdict::LanToLan => Flow::between([ip.src, ip.dst]),
            _ => self.direction,
        };
        let (flow, flags, opens) = match read(way, ip, packet, walked)? {
            Carried::LaterFragment => {
                return core.fragments6.find(self.packet_id(ip, packet, walked), now).ok_or(Not::Yet);
            }
            Carried::Error(about) => {
                // RFC 6092 REC-10, REC-19, REC-37: without a session it is dropped. It never ends or refreshes one.
                let known = self.is_known_error(&about, next.verdict).then_some(());
                return known.ok_or(Not::Possible(Reason::Ipv6IcmpError));
            }
            Carried::Flow { flow, flags, opens } => (flow, flags, opens),
        };
        let session = match self.filter.find(&flow) {
            Some(session) => session,
            None => {
                opens?;
                Filter6::may_begin(&flow, self.direction, flags)?;
                let opening = || self.opening(ip, &packet[walked.offset..walked.end], walked.protocol, next.link);
                // Hosts of ours may, strangers may not, unless a rule says otherwise.
                let otherwise = match next.verdict {
                    Verdict::LanToLan if self.link.isolated => Err(Reason::LanIsolated),
                    Verdict::Ipv6Inbound => Err(Reason::Ipv6Filtered),
                    _ => Ok(()),
                };
                self.burst.snapshot.may_open(opening, now, otherwise)?;
                let session = match next.verdict {
                    Verdict::LanToLan => self.filter.open_between(&flow, way, sender, now),
                    Verdict::Ipv6Inbound => self.filter.open_inbound(&flow, next.station.unwrap_or_default(), now),
                    _ => self.filter.open_outbound(&flow, sender, now),
                }?;
                core.counters.note(Event::SessionOpened, 1);
                session
            }
        };
        session.note(way, now.seconds());
        if !session.is_established() || flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0 {
            self.filter.track(session, way, flags);
        }
        if walked.fragment.is_some_and(|at| packet[at + 3] & 1 != 0) {
            core.fragments6.learn(self.packet_id(ip, packet, walked), (), now);
        }
        Ok(())
    }

    /// Whether an error is about a packet of a session, and goes back to who sent that (`verdict`: by which way).
    fn is_known_error(&self, about: &Quoted6, verdict: Verdict) -> bool {
        let ends = [about.src, about.dst];
        let way = match (verdict, self.direction) {
            (Verdict::LanToLan, _) => Flow::between(ends),
            (_, Direction::Outbound) => Direction::Inbound,
            (_, Direction::Inbound) => Direction::Outbound,
        };
        let ports = if about.protocol == protocol::ICMPV6 { echo(way, about.ports[0]) } else { about.ports };
        self.filter.find(&Flow::new(way, about.protocol, ends, ports)).is_some()
    }

    /// What the rules are asked of a packet that leaves by `out`.
    fn opening(&self, ip: &Ipv6, transport: &[u8], protocol: u8, out: LinkId) -> Opening {
        let (here, there) = (self.link, &self.burst.snapshot.links[out.index()]);
        let zone = |link: &Link| if link.side == Side::Lan { Zone::Lan(link.lan) } else { Zone::Wan };
        let (from, to) = (zone(here), zone(there));
        let ports = Some(Opening::ports(protocol, transport));
        Opening { from, to, protocol, ends: Ends::V6([ip.src, ip.dst]), ports }
    }

    /// What every forwarded packet gets: a smaller MSS if need be, one hop less.
    fn change(&self, core: &Core, next: NextHop, packet: &mut [u8], walked: &ipv6::Walked) {
        let later = walked.fragment.is_some_and(|at| is_later(packet, at));
        let out = &self.burst.snapshot.links[next.link.index()];
        if walked.protocol == protocol::TCP
            && !later
            && let Some(limit) = self.mss(out)
            && mss::clamp(&mut packet[walked.offset..walked.end], limit)
        {
            core.counters.note(Event::MssLowered, 1);
        }
        if let Ok((ip, _)) = Ipv6::mut_from_prefix(packet) {
            ip.hop_limit -= 1;
        }
    }

    /// A first fragment has gone: those that waited for it go after it.
    fn release_waiting(&self, core: &mut Core, rings: &mut Rings, first: Frame, walked: &ipv6::Walked) {
        let packet = &rings.rx.bytes(first)[ETHERNET..];
        let Ok((ip, _)) = Ipv6::read_from_prefix(packet) else { return };
        let id = self.packet_id(&ip, packet, walked);
        while let Some(mut waiting) = core.fragments6.ready(id) {
            let verdict = match (self.next_hop(&ip), ipv6::walk_past(&waiting.bytes)) {
                (Ok(next), Ok(walked)) => {
                    self.change(core, next, &mut waiting.bytes, &walked);
                    let to = (next.link, next.station);
                    core.send6(self.burst, rings, to, Packet::Bytes(&waiting.bytes), next.verdict)
                }
                (Err(reason), _) => reason.into(),
                (_, Err(reason)) => reason.into(),
            };
            core.counters.end(verdict, 1);
            core.fragments6.done(waiting);
        }
    }

    /// What a fragment has in common with the others of its packet.
    fn packet_id(&self, ip: &Ipv6, packet: &[u8], walked: &ipv6::Walked) -> PacketId6 {
        let id = walked.fragment.and_then(|at| packet.get(at + 4..at + 8)).and_then(|id| id.try_into().ok());
        let inbound = self.direction == Direction::Inbound;
        PacketId6 { src: ip.src, dst: ip.dst, id: id.unwrap_or_default(), inbound }
    }
}

/// Whether the fragment header at this place is of a fragment but the first.
fn is_later(packet: &[u8], at: usize) -> bool {
    (packet[at + 2], packet[at + 3] & 0xf8) != (0, 0)
}

/// Finds ports, identifier or quoted packet.
fn read(direction: Direction, ip: &Ipv6, packet: &[u8], walked: &ipv6::Walked) -> Result<Carried, Reason> {
    if walked.fragment.is_some_and(|at| is_later(packet, at)) {
        return Ok(Carried::LaterFragment);
    }
    let (kind, transport) = (walked.protocol, &packet[walked.offset..walked.end]);
    let more = walked.fragment.is_some_and(|at| packet[at + 3] & 1 != 0);
    let len = if more { usize::MAX } else { transport.len() };
    let port = |at: usize| transport.get(at..at + 2).map(|b| Port([b[0], b[1]])).ok_or(Reason::TransportHeader);
    let flow = |ports: [Port; 2]| Flow::new(direction, kind, [ip.src, ip.dst], ports);
    match kind {
        // RFC 7112 5: the first fragment has the whole header.
        protocol::TCP | protocol::UDP => {
            let flags = if kind == protocol::TCP { transport.get(13).copied() } else { transport.get(7).map(|_| 0) };
            let flags = flags.ok_or(Reason::TransportHeader)?;
            let opens = if is_sound(kind, len, transport) { Ok(()) } else { Err(Reason::TransportHeader) };
            Ok(Carried::Flow { flow: flow([port(0)?, port(2)?]), flags, opens })
        }
        protocol::ICMPV6 => match *transport.first().ok_or(Reason::TransportHeader)? {
            error if Icmp::is_error6(error) => about(ip, transport, walked).map(Carried::Error),
            Icmp::ECHO_REQUEST6 => Ok(Carried::Flow { flow: flow(echo(direction, port(4)?)), flags: 0, opens: Ok(()) }),
            Icmp::ECHO_REPLY6 => {
                let opens = Err(Reason::Ipv6Filtered);
                Ok(Carried::Flow { flow: flow(echo(direction, port(4)?)), flags: 0, opens })
            }
            // Of the link (RFC 4861, RFC 3810), or nobody's (RFC 4890 4.3.4).
            _ => Err(Reason::Ipv6Filtered),
        },
        with_ports if protocol::has_ports(with_ports) => {
            Ok(Carried::Flow { flow: flow([port(0)?, port(2)?]), flags: 0, opens: Ok(()) })
        }
        // By addresses (RFC 6092 REC-11, REC-25).
        _ => Ok(Carried::Flow { flow: flow([Port::default(); 2]), flags: 0, opens: Ok(()) }),
    }
}

/// Source and destination port of an echo that goes this way: the identifier on our side.
fn echo(direction: Direction, id: Port) -> [Port; 2] {
    match direction {
        Direction::Outbound => [id, Port::default()],
        Direction::Inbound => [Port::default(), id],
    }
}

/// What an ICMPv6 error is about: the quoted packet went the other way, and was the receiver's.
fn about(ip: &Ipv6, message: &[u8], walked: &ipv6::Walked) -> Result<Quoted6, Reason> {
    let about = quoted6(message)?;
    if walked.fragment.is_some() || about.src != ip.dst {
        return Err(Reason::Ipv6IcmpError);
    }
    Ok(about)
}
