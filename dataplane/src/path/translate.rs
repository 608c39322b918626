//! NAPT for packets that are not ordinary: any header length, ICMP, errors, fragments, and flows
//! that have no session yet. Works on whole packets as byte slices; the fast path has its own,
//! shorter way to the same bytes.

use hikyaku_net::checksum::{Checksum, Delta};
use hikyaku_net::packet::ipv4::Checked;
use hikyaku_net::packet::{Icmp, Ipv4};
use hikyaku_net::{Addr4, Port, PortSet, Time, protocol};
use zerocopy::FromBytes;

use crate::icmp::{Quoted, Side, quoted};
use crate::napt::{
    Direction, Endpoint, Fragments, Hash, Key, LanId, Learned, Napt, Origin, PacketId, Rewrite, Session, SessionId,
    split_addrs,
};
use crate::rules::{Ends, Opening, Rules, Zone};
use crate::snapshot::Link;
use crate::verdict::Reason;

use super::{Burst, Core};

/// What a translation did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Translated {
    /// The hash of the flow, for the outer flow label.
    pub hash: Hash,
    /// A session was opened for it.
    pub opened: bool,
    /// The port at the far end, by which a MAP domain finds a CE (RFC 7597 5.3 and 8.2): of an ICMP query
    /// its identifier outside, of an error the quoted packet's.
    pub far_port: Port,
    /// The LAN of the inside host, where an inbound packet goes; `None`: nothing says it.
    pub lan: Option<LanId>,
}

/// Why a packet was not translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Not {
    /// It cannot be translated, for this reason.
    Possible(Reason),
    /// Its first fragment is not here yet.
    Yet,
}

impl From<Reason> for Not {
    fn from(reason: Reason) -> Self {
        Self::Possible(reason)
    }
}

/// What a packet carries, as far as a NAPT must know.
enum Carried {
    /// Ports or an identifier, 0 of what is translated by address. TCP flags, 0 for others. Whether it may open
    /// a session.
    Flow { src: Port, dst: Port, flags: u8, opens: Result<(), Reason> },
    /// An ICMP error about a packet that went the other way.
    Error(Quoted),
    /// A fragment without transport header.
    LaterFragment,
}

/// What of a packet counts that has no session yet.
struct First {
    /// TCP's, 0 of others.
    flags: u8,
    /// Whether it may open a session, as far as its headers say.
    opens: Result<(), Reason>,
    /// As [`Opening::ports`] has them.
    ports: [u16; 2],
}

/// The NAPT and what a worker needs besides.
pub(super) struct Translator<'a> {
    pub napt: &'a Napt,
    pub fragments: &'a mut Fragments,
    pub now: Time,
    /// What the operator says of sessions that are about to be opened.
    pub rules: Option<&'a Rules>,
    /// Where a packet comes from that comes back to a LAN, by way of the outside address.
    pub hairpin: Option<Hairpin<'a>>,
}

/// The sender of a packet from a LAN to a mapping of a host of ours.
#[derive(Clone, Copy)]
pub(super) struct Hairpin<'a> {
    /// Where he is.
    pub link: &'a Link,
    /// His address there.
    pub addr: Addr4,
    /// His port, as [`Opening::ports`] has it.
    pub port: u16,
}

impl Core {
    /// Translates packets.
    pub(super) fn translator<'a>(&'a mut self, napt: &'a Napt, burst: Burst<'a>) -> Translator<'a> {
        let rules = burst.snapshot.rules.as_deref();
        Translator { napt, fragments: &mut self.fragments, now: burst.now, rules, hairpin: None }
    }
}

impl Translator<'_> {
    /// Rewrites `packet`, which [`hikyaku_net::packet::ipv4::check`] has found sound, or leaves it as it is.
    pub fn translate(&mut self, origin: Origin, packet: &mut [u8], checked: Checked) -> Result<Translated, Not> {
        let direction = origin.direction();
        let (ip, _) = Ipv4::read_from_prefix(packet).map_err(|_| Reason::Ipv4Truncated)?;
        let transport = &packet[checked.header_len..checked.len];
        let changed = match read(&ip, direction, transport)? {
            Carried::LaterFragment => return self.later_fragment(origin, packet, &ip),
            Carried::Error(quoted) => return self.error(origin, packet, checked, &ip, quoted),
            Carried::Flow { src, dst, flags, opens } => {
                let first = First { flags, opens, ports: Opening::ports(ip.protocol, transport) };
                self.flow(origin, &ip, [src, dst], first)?
            }
        };
        let (hash, opened, session) = changed;
        session.note(direction, self.now.seconds(), self.napt.refreshes(direction));
        let new = session.rewrite(direction);
        let (far, lan) =
            (if ip.protocol == protocol::ICMP { session.outside() } else { session.peer() }, session.lan());
        if ip.is_fragment() {
            let learned = Learned { addrs: new.addrs, delta: new.ip, hash, far_port: far.port, lan };
            self.fragments.learn(PacketId::of(origin, &ip), learned, self.now);
        }
        apply(packet, checked.header_len, ip.protocol, &new, direction);
        Ok(Translated { hash, opened, far_port: far.port, lan: Some(lan) })
    }

    /// Whether an outbound packet to our outside address is for a port of ours. If not, it is for another CE
    /// that shares the address (RFC 7597 5.1). A query is for us: it has no other port than one of ours.
    pub fn comes_back(&self, lan: LanId, packet: &[u8], checked: Checked) -> Result<bool, Not> {
        let ports = self.napt.port_set();
        if ports == PortSet::ALL {
            return Ok(true);
        }
        let (ip, _) = Ipv4::read_from_prefix(packet).map_err(|_| Reason::Ipv4Truncated)?;
        let port = match read(&ip, Direction::Outbound, &packet[checked.header_len..checked.len])? {
            Carried::Flow { .. } if ip.protocol == protocol::ICMP => return Ok(true),
            Carried::Flow { dst, .. } => dst,
            Carried::Error(about) => about.src_port,
            Carried::LaterFragment => {
                self.fragments.find(PacketId::of(Origin::Lan(lan), &ip), self.now).ok_or(Not::Yet)?.far_port
            }
        };
        Ok(ports.contains(port.number()))
    }

    /// RFC 4787 REQ-9: whether an outbound packet to our own outside address meets a mapping. Only
    /// then is a way out opened for its way back in.
    pub fn may_hairpin(&self, packet: &[u8], checked: Checked) -> Result<(), Reason> {
        let (ip, _) = Ipv4::read_from_prefix(packet).map_err(|_| Reason::Ipv4Truncated)?;
        let met = match read(&ip, Direction::Outbound, &packet[checked.header_len..checked.len])? {
            Carried::Flow { dst, .. } => self.napt.is_mapped(ip.protocol, Endpoint::new(ip.dst, dst)),
            Carried::LaterFragment => true,
            Carried::Error(about) => self.napt.is_mapped(about.protocol, Endpoint::new(about.src, about.src_port)),
        };
        if met { Ok(()) } else { Err(Reason::NaptNoSession) }
    }

    /// Whether a packet is of a session that is there, or an error about one.
    pub fn has_session(&self, origin: Origin, packet: &[u8], checked: Checked) -> bool {
        let Ok((ip, _)) = Ipv4::read_from_prefix(packet) else { return false };
        let key = match read(&ip, origin.direction(), &packet[checked.header_len..checked.len]) {
            Ok(Carried::Flow { src, dst, .. }) => {
                key_of(origin, ip.protocol, Endpoint::new(ip.src, src), Endpoint::new(ip.dst, dst))
            }
            Ok(Carried::Error(about)) => error_key(origin, &about),
            Ok(Carried::LaterFragment) => return self.fragments.find(PacketId::of(origin, &ip), self.now).is_some(),
            Err(_) => return false,
        };
        self.napt.find_settled(&key, self.napt.hash(&key)).is_some()
    }

    /// The session of a flow; opened if need be and allowed.
    fn flow(
        &self,
        origin: Origin,
        ip: &Ipv4,
        [src, dst]: [Port; 2],
        first: First,
    ) -> Result<(Hash, bool, &Session), Reason> {
        let First { flags, opens, ports } = first;
        self.napt.check_protocol(ip.protocol)?;
        let (src, dst) = (Endpoint::new(ip.src, src), Endpoint::new(ip.dst, dst));
        let key = key_of(origin, ip.protocol, src, dst);
        let hash = self.napt.hash(&key);
        let (id, opened) = match self.napt.find(&key, hash) {
            Some(id) => (id, false),
            None => {
                if matches!(origin, Origin::Tunnel(_)) {
                    self.napt.check_port(dst.port)?;
                }
                opens?;
                (self.open(origin, ip.protocol, [src, dst], flags, ports)?, true)
            }
        };
        let session = self.napt.session(id);
        if ip.protocol == protocol::TCP {
            self.napt.track(session, origin.direction(), flags);
        }
        Ok((hash, opened, session))
    }

    /// Opens a session, if the rules let it begin.
    fn open(
        &self,
        origin: Origin,
        protocol: u8,
        [src, dst]: [Endpoint; 2],
        flags: u8,
        ports: [u16; 2],
    ) -> Result<SessionId, Reason> {
        let ask = |from, to, ends: [Addr4; 2], ports| match self.rules {
            Some(rules) => {
                let opening = Opening { from, to, protocol, ends: Ends::V4(ends), ports: Some(ports) };
                rules.ask(&opening, self.now, Ok(()))
            }
            None => Ok(()),
        };
        match origin {
            Origin::Lan(lan) => {
                Napt::may_begin_outbound(protocol, flags)?;
                // What comes back to a LAN never leaves: whom it is for says who is asked.
                if self.hairpin.is_none() {
                    ask(Zone::Lan(lan), Zone::Wan, [src.addr, dst.addr], ports)?;
                }
                self.napt.create_outbound(lan, protocol, src, dst, flags, self.now)
            }
            Origin::Tunnel(_) => self.napt.create_inbound_if(protocol, src, dst, flags, self.now, |lan, inside| {
                // To whom it goes as the LAN knows him. ICMP has a type there.
                let to_port = if protocol == protocol::ICMP { ports[1] } else { inside.port.number() };
                let (to, stranger) = (Zone::Lan(lan), [src.addr, inside.addr]);
                match self.hairpin {
                    None => ask(Zone::Wan, to, stranger, [ports[0], to_port]),
                    Some(Hairpin { link, .. }) if link.lan == lan => Ok(()),
                    // Whoever may begin towards the host may so by its mapping. Else he is to it what a stranger is.
                    Some(Hairpin { link, addr, port }) => {
                        let (from, ends) = (Zone::Lan(link.lan), Ends::V4([addr, inside.addr]));
                        let opening = Opening { from, to, protocol, ends, ports: Some([port, to_port]) };
                        match self.rules.filter(|rules| rules.first(&opening).is_some()) {
                            Some(rules) => rules.ask(&opening, self.now, Ok(())),
                            None if link.isolated => ask(Zone::Wan, to, stranger, [ports[0], to_port]),
                            None => Ok(()),
                        }
                    }
                }
            }),
        }
    }

    /// RFC 4787 REQ-14: a fragment goes where its first fragment went.
    fn later_fragment(&self, origin: Origin, packet: &mut [u8], ip: &Ipv4) -> Result<Translated, Not> {
        let Learned { addrs, delta, hash, far_port, lan } =
            self.fragments.find(PacketId::of(origin, ip), self.now).ok_or(Not::Yet)?;
        let (header, _) = Ipv4::mut_from_prefix(packet).map_err(|_| Reason::Ipv4Truncated)?;
        (header.src, header.dst) = split_addrs(addrs);
        header.checksum = header.checksum.updated(delta);
        Ok(Translated { hash, opened: false, far_port, lan: Some(lan) })
    }

    /// RFC 5508 4: an error goes to whoever sent the packet it quotes, which is translated back.
    fn error(
        &self,
        origin: Origin,
        packet: &mut [u8],
        checked: Checked,
        ip: &Ipv4,
        mut about: Quoted,
    ) -> Result<Translated, Not> {
        let key = error_key(origin, &about);
        let hash = self.napt.hash(&key);
        // RFC 5508 REQ-3 c, REQ-6: without a mapping it is dropped. It never ends or refreshes one.
        let id = self.napt.find_settled(&key, hash).ok_or(Reason::NaptIcmpError)?;
        let session = self.napt.session(id);
        let message = &mut packet[checked.header_len..checked.len];
        let (src, dst, far_port) = match origin.direction() {
            Direction::Outbound => {
                let outside = session.outside();
                about.rewrite(message, Side::Destination, outside.addr, outside.port);
                (outside.addr, ip.dst, about.src_port)
            }
            Direction::Inbound => {
                let (inside, far_port) = (session.inside(), about.dst_port);
                about.rewrite(message, Side::Source, inside.addr, inside.port);
                (ip.src, inside.addr, far_port)
            }
        };
        let (header, _) = Ipv4::mut_from_prefix(packet).map_err(|_| Reason::Ipv4Truncated)?;
        let delta = Delta::words(ip.src.word(), src.word()).and(Delta::words(ip.dst.word(), dst.word()));
        (header.src, header.dst) = (src, dst);
        header.checksum = header.checksum.updated(delta);
        Ok(Translated { hash, opened: false, far_port, lan: Some(session.lan()) })
    }
}

/// The key of a flow as it comes from there.
fn key_of(origin: Origin, protocol: u8, src: Endpoint, dst: Endpoint) -> Key {
    match origin {
        Origin::Lan(lan) => Key::outbound(lan, protocol, src, dst),
        Origin::Tunnel(_) => Key::inbound(protocol, src, dst),
    }
}

/// The session that an ICMP error is about. The quoted packet went the other way, so seen from here its ends are exchanged.
fn error_key(origin: Origin, about: &Quoted) -> Key {
    let [mut near, mut far] = [Endpoint::new(about.dst, about.dst_port), Endpoint::new(about.src, about.src_port)];
    if about.protocol == protocol::ICMP {
        // The identifier is the port of our side.
        let peer = if matches!(origin, Origin::Lan(_)) { &mut far } else { &mut near };
        peer.port = Port::default();
    }
    key_of(origin, about.protocol, near, far)
}

/// Whether a TCP or UDP header does not contradict itself: `len` is that of the whole transport
/// payload, `header` its first bytes. Asked of a packet that is to open a session; once one is
/// there, ports are all that a translator reads, and what is wrong with the rest is for the host
/// to say.
pub(super) fn is_sound(protocol: u8, len: usize, header: &[u8]) -> bool {
    match (protocol, header) {
        (protocol::TCP, &[_, _, _, _, _, _, _, _, _, _, _, _, offset, ..]) => {
            let header_len = usize::from(offset >> 4) * 4;
            (20..=len).contains(&header_len)
        }
        (protocol::UDP, &[_, _, _, _, a, b, ..]) => (8..=len).contains(&u16::from_be_bytes([a, b]).into()),
        (protocol::TCP | protocol::UDP, _) => false,
        _ => true,
    }
}

/// The port at the far end of a packet as it is in the tunnel, see [`Translated::far_port`]; `None` of a
/// later fragment.
pub(super) fn far_port(ip: &Ipv4, direction: Direction, transport: &[u8]) -> Result<Option<Port>, Reason> {
    let outbound = direction == Direction::Outbound;
    Ok(match read(ip, direction, transport)? {
        Carried::LaterFragment => None,
        // A query's identifier stands on our side.
        Carried::Flow { src, .. } if outbound == (ip.protocol == protocol::ICMP) => Some(src),
        Carried::Flow { dst, .. } => Some(dst),
        Carried::Error(about) => Some(if outbound { about.src_port } else { about.dst_port }),
    })
}

/// Finds ports, identifier or quoted packet.
fn read(ip: &Ipv4, direction: Direction, transport: &[u8]) -> Result<Carried, Reason> {
    if ip.fragment_offset() != 0 {
        // RFC 3128: no fragment may write over the flags of the first one's TCP header.
        let overwrites = ip.protocol == protocol::TCP && ip.fragment_offset() < 20;
        return if overwrites { Err(Reason::Ipv4Fragment) } else { Ok(Carried::LaterFragment) };
    }
    let len = if ip.more_fragments() { usize::MAX } else { transport.len() };
    let opens = if is_sound(ip.protocol, len, transport) { Ok(()) } else { Err(Reason::TransportHeader) };
    let port = |at: usize| transport.get(at..at + 2).map(|b| Port([b[0], b[1]])).ok_or(Reason::TransportHeader);
    match ip.protocol {
        protocol::TCP => {
            let header = transport.get(..20).ok_or(Reason::TransportHeader)?;
            Ok(Carried::Flow { src: port(0)?, dst: port(2)?, flags: header[13], opens })
        }
        protocol::UDP => {
            transport.get(..8).ok_or(Reason::TransportHeader)?;
            Ok(Carried::Flow { src: port(0)?, dst: port(2)?, flags: 0, opens })
        }
        protocol::ICMP => {
            let (icmp, _) = Icmp::read_from_prefix(transport).map_err(|_| Reason::TransportHeader)?;
            let [src, dst] = match direction {
                Direction::Outbound => [icmp.id, Port::default()],
                Direction::Inbound => [Port::default(), icmp.id],
            };
            match icmp.kind {
                // RFC 5508 REQ-1: queries. All others are history (RFC 6918).
                Icmp::ECHO_REQUEST | Icmp::TIMESTAMP => Ok(Carried::Flow { src, dst, flags: 0, opens: Ok(()) }),
                Icmp::ECHO_REPLY | Icmp::TIMESTAMP_REPLY => {
                    Ok(Carried::Flow { src, dst, flags: 0, opens: Err(Reason::NaptNoSession) })
                }
                kind if Icmp::is_error4(kind) && !ip.is_fragment() => Ok(Carried::Error(quoted(transport)?)),
                _ => Err(Reason::NaptProtocol),
            }
        }
        other => {
            // What has to be mended must be there.
            let least = protocol::checksum_over_addresses(other).map_or(0, |at| at + 2);
            transport.get(..least).ok_or(Reason::TransportHeader)?;
            Ok(Carried::Flow { src: Port::default(), dst: Port::default(), flags: 0, opens: Ok(()) })
        }
    }
}

/// Writes addresses and ports, and mends the checksums.
fn apply(packet: &mut [u8], header_len: usize, protocol: u8, new: &Rewrite, direction: Direction) {
    let Ok((header, _)) = Ipv4::mut_from_prefix(packet) else { return };
    (header.src, header.dst) = split_addrs(new.addrs);
    header.checksum = header.checksum.updated(new.ip);
    let transport = &mut packet[header_len..];
    let ports = new.ports.to_ne_bytes();
    match (protocol, direction) {
        (by_address, _) if protocol::is_by_address(by_address) => {}
        (protocol::ICMP, Direction::Outbound) => transport[4..6].copy_from_slice(&ports[..2]),
        (protocol::ICMP, Direction::Inbound) => transport[4..6].copy_from_slice(&ports[2..]),
        _ => transport[..4].copy_from_slice(&ports),
    }
    let at = match protocol::checksum_over_addresses(protocol) {
        None if protocol == protocol::ICMP => 2,
        None => return,
        Some(at) => at,
    };
    let old = Checksum([transport[at], transport[at + 1]]);
    let updated = match protocol {
        protocol::UDP | protocol::UDP_LITE => old.updated_udp(new.transport),
        _ => old.updated(new.transport),
    };
    transport[at..at + 2].copy_from_slice(&updated.0);
}
