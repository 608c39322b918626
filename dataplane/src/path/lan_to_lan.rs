//! IPv4 from one LAN to another: routed, not translated, and let through by sessions, as native IPv6 is.
//!
//! All of it takes the slow path of [`super::slow_outbound`], which knows by then that the packet is whole, whose it is, and
//! that it has hops left. Which LAN may begin towards which is said by the rules, and by [`Link::isolated`] where they say
//! nothing.

use hikyaku_net::packet::ipv4::{self, Checked};
use hikyaku_net::packet::{Ethernet, Icmp, Ipv4, Tcp};
use hikyaku_net::{Addr6, Mac, Port, protocol};
use hikyaku_ring::{Frame, LinkId};
use zerocopy::FromBytes;

use super::emit::{Packet, drop};
use super::translate::{Not, is_sound};
use super::{Burst, Core, Rings};
use crate::counters::Event;
use crate::filter6::{Filter6, Flow, mapped};
use crate::icmp::{Quoted, quoted};
use crate::napt::{Direction, Learned, Origin, PacketId};
use crate::rules::{Ends, Opening, Zone};
use crate::snapshot::{Link, Side};
use crate::verdict::{Reason, Verdict};

/// Packets of one LAN to another.
pub(super) struct LanToLan<'a> {
    burst: Burst<'a>,
    from: &'a Link,
    to: &'a Link,
    out: LinkId,
    filter: &'a Filter6,
}

/// What a packet carries, as far as a filter must know.
enum Carried {
    /// Source and destination port; an echo's identifier, twice; 0 of what has none. TCP flags, 0 for others. Whether it may
    /// open a session.
    Flow { ports: [Port; 2], flags: u8, opens: Result<(), Reason> },
    /// An ICMP error about a packet that went the other way, with these ports.
    Error(Quoted, [Port; 2]),
    /// A fragment without transport header.
    LaterFragment,
}

impl<'a> LanToLan<'a> {
    /// For a packet that the routes lead to the link `out`.
    ///
    /// # Errors
    /// It is of no other LAN, or nothing filters what goes there ([`Reason::NoRoute`]); it is for all hosts there (RFC 2644);
    /// or its sender is none that would be sent back this way (RFC 3704 2.2), so nobody can say of which LAN he is.
    pub fn new(burst: Burst<'a>, ip: &Ipv4, out: LinkId) -> Result<Self, Reason> {
        let snapshot = burst.snapshot;
        let from = &snapshot.links[burst.link.index()];
        let is_other = |to: &&Link| to.side == Side::Lan && to.lan != from.lan;
        let to = snapshot.link(out).filter(is_other).ok_or(Reason::NoRoute)?;
        let filter = snapshot.filter6.as_deref().ok_or(Reason::NoRoute)?;
        if to.sources4.iter().any(|prefix| prefix.len() > 0 && prefix.is_broadcast(ip.dst)) {
            return Err(Reason::Ipv4Destination);
        }
        if snapshot.lan_of(ip.src) != Some(from.lan) {
            return Err(Reason::Ipv4Source);
        }
        Ok(Self { burst, from, to, out, filter })
    }

    /// The frame ends with the packet. `Err` is a drop that the sender is told of, with the MTU for "fragmentation needed";
    /// the packet is then still as it came. `None`: it is held and gets its verdict later.
    pub fn forward(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        frame: Frame,
        checked: Checked,
    ) -> Result<Option<Verdict>, (Reason, u16)> {
        let (ethernet, packet) = Ethernet::mut_from_prefix(rings.rx.bytes(frame)).map_err(|_| drop(Reason::Runt))?;
        let (ip, _) = Ipv4::read_from_prefix(packet).map_err(|_| drop(Reason::Ipv4Truncated))?;
        if checked.len > usize::from(self.to.mtu) && ip.dont_fragment() {
            return Err((Reason::TooBig, self.to.mtu));
        }
        match self.admit(core, &ip, &packet[checked.header_len..checked.len], ethernet.src) {
            Ok(()) => {}
            Err(Not::Possible(reason)) => return Err(drop(reason)),
            Err(Not::Yet) => {
                return match core.fragments.wait(self.packet_id(&ip), self.burst.link, packet, self.burst.now) {
                    true => Ok(None),
                    false => Err(drop(Reason::NaptFragment)),
                };
            }
        }
        self.change(core, packet, checked);
        let verdict = core.send_lan(self.burst, rings, self.out, Packet::Frame(frame), Verdict::LanToLan);
        if ip.fragment_offset() == 0 && ip.more_fragments() {
            self.release_waiting(core, rings, &ip);
        }
        Ok(Some(verdict))
    }

    /// Whether a packet may pass: of a session, opened if need be and allowed; an error about one; or a fragment whose first
    /// one may.
    fn admit(&self, core: &mut Core, ip: &Ipv4, transport: &[u8], sender: Mac) -> Result<(), Not> {
        let now = self.burst.now;
        let (ports, flags, opens) = match read(ip, transport)? {
            Carried::LaterFragment => {
                return core.fragments.find(self.packet_id(ip), now).map(|_| ()).ok_or(Not::Yet);
            }
            Carried::Error(about, ports) => {
                // It never ends or refreshes a session.
                let found = self.is_known(ip, &about, ports).then_some(());
                return found.ok_or(Not::Possible(Reason::LanFiltered));
            }
            Carried::Flow { ports, flags, opens } => (ports, flags, opens),
        };
        let (flow, way) = flow(ip.protocol, self.ends(ip), ports);
        let session = match self.filter.find(&flow) {
            Some(session) => session,
            None => {
                opens?;
                if ip.protocol == protocol::TCP && flags & Tcp::RST != 0 {
                    return Err(Reason::LanFiltered.into());
                }
                let opening = || Opening {
                    from: Zone::Lan(self.from.lan),
                    to: Zone::Lan(self.to.lan),
                    protocol: ip.protocol,
                    ends: Ends::V4([ip.src, ip.dst]),
                    ports: Some(Opening::ports(ip.protocol, transport)),
                };
                let otherwise = if self.from.isolated { Err(Reason::LanIsolated) } else { Ok(()) };
                self.burst.snapshot.may_open(opening, now, otherwise)?;
                let session = self.filter.open_between(&flow, way, sender, now)?;
                core.counters.note(Event::SessionOpened, 1);
                session
            }
        };
        session.note(way, now.seconds());
        if !session.is_established() || flags & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0 {
            self.filter.track(session, way, flags);
        }
        if ip.is_fragment() {
            core.fragments.learn(self.packet_id(ip), Learned::default(), now);
        }
        Ok(())
    }

    /// Source and destination as the table knows them.
    fn ends(&self, ip: &Ipv4) -> [Addr6; 2] {
        [mapped(self.from.lan, ip.src), mapped(self.to.lan, ip.dst)]
    }

    /// Whether an error is about a packet of a session with a host of the LAN that it goes to. Who sends it may be anybody on
    /// the way there: the packet's receiver, or a router before him.
    fn is_known(&self, ip: &Ipv4, about: &Quoted, ports: [Port; 2]) -> bool {
        let ends = [mapped(self.to.lan, about.src), mapped(self.from.lan, about.dst)];
        let (flow, _) = flow(about.protocol, ends, ports);
        about.src == ip.dst && self.filter.find(&flow).is_some()
    }

    /// What every forwarded packet gets: a smaller MSS where the links differ (RFC 9293 3.7.1), one hop less.
    fn change(&self, core: &Core, packet: &mut [u8], checked: Checked) {
        let headers = (size_of::<Ipv4>() + size_of::<Tcp>()) as u16;
        let limit = (self.from.mtu != self.to.mtu).then(|| self.from.mtu.min(self.to.mtu).saturating_sub(headers));
        core.pass(limit, packet, checked);
    }

    /// A first fragment has gone: those that waited for it go after it.
    fn release_waiting(&self, core: &mut Core, rings: &mut Rings, first: &Ipv4) {
        while let Some(mut waiting) = core.fragments.ready(self.packet_id(first)) {
            let verdict = match ipv4::check(&waiting.bytes) {
                Ok(checked) => {
                    self.change(core, &mut waiting.bytes, checked);
                    let packet = Packet::Bytes(&waiting.bytes);
                    core.send_lan(self.burst, rings, self.out, packet, Verdict::LanToLan)
                }
                Err(reason) => reason.into(),
            };
            core.counters.end(verdict, 1);
            core.fragments.done(waiting);
        }
    }

    fn packet_id(&self, ip: &Ipv4) -> PacketId {
        PacketId::of(Origin::Lan(self.from.lan), ip)
    }
}

/// The flow of a packet between two LANs, and which way it goes there.
fn flow(kind: u8, ends: [Addr6; 2], ports: [Port; 2]) -> (Flow, Direction) {
    let way = Flow::between(ends);
    let [src, dst] = ports;
    let ports = match (kind, way) {
        // An identifier stands inside, and is of both.
        (protocol::ICMP, Direction::Outbound) => [src, Port::default()],
        (protocol::ICMP, Direction::Inbound) => [Port::default(), dst],
        _ => [src, dst],
    };
    (Flow::new(way, kind, ends, ports), way)
}

/// Finds ports, identifier or quoted packet.
fn read(ip: &Ipv4, transport: &[u8]) -> Result<Carried, Reason> {
    if ip.fragment_offset() != 0 {
        // RFC 3128: no fragment may write over the flags of the first one's TCP header.
        let overwrites = ip.protocol == protocol::TCP && ip.fragment_offset() < 20;
        return if overwrites { Err(Reason::Ipv4Fragment) } else { Ok(Carried::LaterFragment) };
    }
    let port = |at: usize| transport.get(at..at + 2).map(|b| Port([b[0], b[1]])).ok_or(Reason::TransportHeader);
    match ip.protocol {
        protocol::TCP | protocol::UDP => {
            let len = if ip.more_fragments() { usize::MAX } else { transport.len() };
            let flags =
                if ip.protocol == protocol::TCP { transport.get(13).copied() } else { transport.get(7).map(|_| 0) };
            let flags = flags.ok_or(Reason::TransportHeader)?;
            let opens = if is_sound(ip.protocol, len, transport) { Ok(()) } else { Err(Reason::TransportHeader) };
            Ok(Carried::Flow { ports: [port(0)?, port(2)?], flags, opens })
        }
        protocol::ICMP => match *transport.first().ok_or(Reason::TransportHeader)? {
            Icmp::ECHO_REQUEST | Icmp::TIMESTAMP => Ok(Carried::Flow { ports: [port(4)?; 2], flags: 0, opens: Ok(()) }),
            Icmp::ECHO_REPLY | Icmp::TIMESTAMP_REPLY => {
                Ok(Carried::Flow { ports: [port(4)?; 2], flags: 0, opens: Err(Reason::LanFiltered) })
            }
            error if Icmp::is_error4(error) && !ip.is_fragment() => {
                let about = quoted(transport).map_err(|_| Reason::LanFiltered)?;
                Ok(Carried::Error(about, about.ports(transport)))
            }
            // Of the link, or history (RFC 1812 4.3.3, RFC 6918).
            _ => Err(Reason::LanFiltered),
        },
        with_ports if protocol::has_ports(with_ports) => {
            Ok(Carried::Flow { ports: [port(0)?, port(2)?], flags: 0, opens: Ok(()) })
        }
        _ => Ok(Carried::Flow { ports: [Port::default(); 2], flags: 0, opens: Ok(()) }),
    }
}
