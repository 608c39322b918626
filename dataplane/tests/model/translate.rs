//! Translation of whole packets (RFC 3022 4, RFC 5508 4).

use hikyaku_dataplane::napt::Direction;
use hikyaku_dataplane::verdict::Reason;

use super::bytes::*;
use super::napt::{End, Flow, Wrong};
use super::path::Model;
use crate::common::OUTSIDE;

/// What a packet carries.
pub enum Carried {
    /// Ports, or an echo's identifier on the side it belongs to; TCP flags; whether it may open a session.
    Flow { src: u16, dst: u16, flags: u8, opens: Result<(), Reason> },
    /// An ICMP error, and the packet it quotes.
    Error(Quote),
    /// A fragment but the first.
    Later,
}

/// The packet in an ICMP error.
#[derive(Clone, Debug)]
pub struct Quote {
    pub protocol: u8,
    pub src: End,
    pub dst: End,
}

/// Why a packet is not translated.
#[derive(Debug)]
pub enum Not {
    Possible(Reason),
    /// The first fragment did not come yet.
    Yet,
    /// The router chose what it may not.
    Allowed(Wrong),
}

impl From<Reason> for Not {
    fn from(reason: Reason) -> Self {
        Self::Possible(reason)
    }
}

/// How the fragments of a packet go.
#[derive(Clone, Debug)]
pub struct Known {
    pub since: u64,
    pub src: Addr,
    pub dst: Addr,
    pub label: Vec<u8>,
    pub far_port: u16,
}

/// The fragments of one packet: the tunnel's end they came from, if they did, then RFC 791's four.
pub type Whose = (Option<[u8; 16]>, Addr, Addr, u16, u8);

pub fn whose(from: Option<[u8; 16]>, packet: &[u8]) -> Whose {
    (from, src(packet), dst(packet), word(packet, 4), packet[9])
}

/// Seconds for which fragments wait, and are known.
pub const FRAGMENTS: u64 = 2_000_000_000;

pub fn carried(packet: &[u8], direction: Direction) -> Result<Carried, Reason> {
    let (protocol, transport) = (packet[9], &packet[header_len(packet)..]);
    if offset(packet) != 0 {
        // RFC 3128 3.
        let overwrites = protocol == 6 && offset(packet) < 20;
        return if overwrites { Err(Reason::Ipv4Fragment) } else { Ok(Carried::Later) };
    }
    let least = match protocol {
        6 => 20,
        17 | 1 | 33 | 136 => 8,
        _ => 0,
    };
    if transport.len() < least {
        return Err(Reason::TransportHeader);
    }
    let whole = if more(packet) { usize::MAX } else { transport.len() };
    let sound = |ok: bool| if ok { Ok(()) } else { Err(Reason::TransportHeader) };
    if !matches!(protocol, 1 | 6 | 17) {
        return Ok(Carried::Flow { src: 0, dst: 0, flags: 0, opens: Ok(()) });
    }
    let (src, dst) = (word(transport, 0), word(transport, 2));
    match protocol {
        6 => {
            let opens = sound((20..=whole).contains(&(usize::from(transport[12] >> 4) * 4)));
            Ok(Carried::Flow { src, dst, flags: transport[13], opens })
        }
        17 => Ok(Carried::Flow { src, dst, flags: 0, opens: sound((8..=whole).contains(&word(transport, 4).into())) }),
        _ => {
            let id = word(transport, 4);
            let (src, dst) = if direction == Direction::Outbound { (id, 0) } else { (0, id) };
            match transport[0] {
                // RFC 5508 REQ-1: echo and timestamp.
                8 | 13 => Ok(Carried::Flow { src, dst, flags: 0, opens: Ok(()) }),
                0 | 14 => Ok(Carried::Flow { src, dst, flags: 0, opens: Err(Reason::NaptNoSession) }),
                3 | 4 | 5 | 11 | 12 if !is_fragment(packet) => quote(transport).map(Carried::Error),
                _ => Err(Reason::NaptProtocol),
            }
        }
    }
}

/// RFC 5508 REQ-3: what an error quotes, if it is sound and can be of a session.
fn quote(message: &[u8]) -> Result<Quote, Reason> {
    if checksum(&[message]) != 0 {
        return Err(Reason::TransportHeader);
    }
    // RFC 1812 5.2.7.2: redirects are for the first hop. RFC 6633: quenches are history.
    if matches!(message[0], 4 | 5) {
        return Err(Reason::NaptIcmpError);
    }
    // RFC 4884 4.1.
    let told = if message[5] == 0 { message.len() } else { 8 + usize::from(message[5]) * 4 };
    let quoted = message.get(8..told).ok_or(Reason::TransportHeader)?;
    let bad = Reason::NaptIcmpError;
    if quoted.len() < 20 || quoted[0] >> 4 != 4 {
        return Err(bad);
    }
    let (header, total) = (header_len(quoted), total_len(quoted));
    if header < 20 || total < header || offset(quoted) != 0 || quoted.len() < header {
        return Err(bad);
    }
    let transport = &quoted[header..quoted.len().min(total)];
    let has_ports = matches!(quoted[9], 1 | 6 | 17);
    if checksum(&[&quoted[..header]]) != 0 || has_ports && transport.len() < 8 {
        return Err(bad);
    }
    let (src_port, dst_port) = match quoted[9] {
        // AH covers the addresses (RFC 4302), and 0 is no protocol.
        0 | 51 => return Err(bad),
        _ if !has_ports => (0, 0),
        6 | 17 => (word(transport, 0), word(transport, 2)),
        1 if matches!(transport[0], 0 | 8 | 13..=18) => (word(transport, 4), word(transport, 4)),
        _ => return Err(bad),
    };
    Ok(Quote { protocol: quoted[9], src: (src(quoted), src_port), dst: (dst(quoted), dst_port) })
}

/// Puts an address and a port into a packet, at its source or its destination; its transport's checksum keeps
/// its difference from what would be right, its header's is right. `end`: as far as transport is there.
fn put_end(packet: &mut [u8], end: usize, source: bool, to: End) {
    let header = header_len(packet);
    let before = packet.to_vec();
    let at = if source { 12 } else { 16 };
    packet[at..at + 4].copy_from_slice(&to.0);
    seal(packet);
    if offset(packet) != 0 {
        return;
    }
    let (port, sum) = match packet[9] {
        6 => (Some(if source { 0 } else { 2 }), 16),
        17 => (Some(if source { 0 } else { 2 }), 6),
        1 => (Some(4), 2),
        // UDP-Lite and DCCP.
        33 | 136 => (None, 6),
        _ => return,
    };
    port.into_iter().for_each(|port| put(packet, header + port, to.1));
    let sum = header + sum;
    if sum + 2 > end {
        return;
    }
    // The pseudo header is covered, but not by ICMP; as are four bytes with the ports.
    let covered = |p: &[u8]| match p[9] {
        1 => p[header + 4..header + 6].to_vec(),
        _ => [&p[12..20], &p[header..header + 4]].concat(),
    };
    let adjust = if matches!(packet[9], 17 | 136) { adjusted_udp } else { adjusted };
    let new = adjust(word(&before, sum), &covered(&before), &covered(packet));
    put(packet, sum, new);
}

/// What the flow label is made of.
pub type Done = Vec<u8>;

pub fn label_of((protocol, inside, peer): Flow, direction: Direction) -> Vec<u8> {
    let mut label = vec![direction as u8, protocol];
    for (addr, port) in [inside, peer] {
        label.extend(addr);
        label.extend(port.to_be_bytes());
    }
    label
}

impl Model {
    /// Rewrites a packet, or leaves it as it is. `from`: the tunnel's far end.
    pub fn translate(&mut self, direction: Direction, packet: &mut [u8], from: [u8; 16]) -> Result<Done, Not> {
        let origin = (direction == Direction::Inbound).then_some(from);
        let whose = whose(origin, packet);
        match carried(packet, direction)? {
            Carried::Later => {
                let known = self.known(&whose).ok_or(Not::Yet)?;
                packet[12..16].copy_from_slice(&known.src);
                packet[16..20].copy_from_slice(&known.dst);
                seal(packet);
                Ok(known.label)
            }
            Carried::Error(quote) => self.translate_error(direction, packet, quote),
            Carried::Flow { src: from, dst: to, flags, opens } => {
                let flow = self.flow(direction, packet, [from, to], flags, opens)?;
                let now = self.seconds();
                let session = self.napt.sessions.get_mut(&flow).expect("just found");
                if flow.0 == 6 {
                    session.follow(direction, flags);
                }
                session.last = now;
                session.packets[direction as usize] += 1;
                let outside = session.outside;
                let end = packet.len();
                match direction {
                    Direction::Outbound => put_end(packet, end, true, (OUTSIDE, outside)),
                    Direction::Inbound => put_end(packet, end, false, flow.1),
                }
                let far_port = if flow.0 == 1 { outside } else { flow.2.1 };
                let label = label_of(flow, direction);
                if is_fragment(packet) {
                    let known =
                        Known { since: self.now, src: src(packet), dst: dst(packet), label: label.clone(), far_port };
                    self.known.insert(whose, known);
                }
                Ok(label)
            }
        }
    }

    /// Whether an inbound packet is of a session that is there.
    pub fn has_session(&self, packet: &[u8], from: [u8; 16]) -> bool {
        let peer = |protocol, end: End| if protocol == 1 { (end.0, 0) } else { end };
        let (protocol, peer, ours) = match carried(packet, Direction::Inbound) {
            Ok(Carried::Flow { src: port, dst: ours, .. }) => (packet[9], (src(packet), port), (dst(packet), ours)),
            Ok(Carried::Error(quote)) => (quote.protocol, peer(quote.protocol, quote.dst), quote.src),
            Ok(Carried::Later) => return self.known(&whose(Some(from), packet)).is_some(),
            Err(_) => return false,
        };
        ours.0 == OUTSIDE && self.napt.towards(protocol, peer, ours.1).is_some()
    }

    pub fn known(&self, whose: &Whose) -> Option<Known> {
        self.known.get(whose).filter(|known| self.now - known.since < FRAGMENTS).cloned()
    }

    fn flow(
        &mut self,
        direction: Direction,
        packet: &[u8],
        [from, to]: [u16; 2],
        flags: u8,
        opens: Result<(), Reason>,
    ) -> Result<Flow, Not> {
        let (protocol, now) = (packet[9], self.seconds());
        if !self.line.carries(protocol) {
            return Err(Reason::NaptProtocol.into());
        }
        let (from, to) = ((src(packet), from), (dst(packet), to));
        if direction == Direction::Outbound {
            let flow = (protocol, from, to);
            if !self.napt.sessions.contains_key(&flow) {
                opens?;
                self.napt.open_outbound(&self.line, flow, flags, now).map_err(Not::Allowed)??;
            }
            return Ok(flow);
        }
        if let Some(flow) = self.napt.towards(protocol, from, to.1).filter(|_| to.0 == OUTSIDE) {
            return Ok(flow);
        }
        // RFC 7597 8.1.
        if !self.line.has_port(to.1) {
            return Err(Reason::PortOutsideSet.into());
        }
        opens?;
        if to.0 != OUTSIDE {
            return Err(Reason::NaptNoSession.into());
        }
        Ok(self.napt.open_inbound(&self.line, protocol, from, to.1, flags, now)?)
    }

    /// RFC 5508 4: an error goes to whoever sent the packet that it quotes, which becomes again what that one sent.
    fn translate_error(&mut self, direction: Direction, packet: &mut [u8], quote: Quote) -> Result<Done, Not> {
        let none = Not::Possible(Reason::NaptIcmpError);
        let at = header_len(packet) + 8;
        let quoted_total = total_len(&packet[at..]);
        let told = packet[header_len(packet) + 5];
        let room = packet.len() - at;
        let quoted = if told == 0 { room } else { usize::from(told) * 4 };
        let end = quoted.min(quoted_total);
        let peer = |end: End| if quote.protocol == 1 { (end.0, 0) } else { end };
        let flow = match direction {
            Direction::Outbound => {
                let flow = (quote.protocol, quote.dst, peer(quote.src));
                let session = self.napt.sessions.get(&flow).ok_or(none)?;
                put_end(&mut packet[at..], end, false, (OUTSIDE, session.outside));
                packet[12..16].copy_from_slice(&OUTSIDE);
                flow
            }
            Direction::Inbound => {
                let flow = self.napt.towards(quote.protocol, peer(quote.dst), quote.src.1);
                let flow = flow.filter(|_| quote.src.0 == OUTSIDE).ok_or(none)?;
                put_end(&mut packet[at..], end, true, flow.1);
                packet[16..20].copy_from_slice(&flow.1.0);
                flow
            }
        };
        seal(packet);
        let message = header_len(packet);
        put(packet, message + 2, 0);
        let sum = checksum(&[&packet[message..]]);
        put(packet, message + 2, sum);
        Ok(label_of(flow, direction))
    }
}
