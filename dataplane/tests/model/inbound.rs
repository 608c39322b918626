//! What comes from the WAN: the outer packet (RFC 8200, RFC 2473), and the inner one.

use std::net::Ipv6Addr;

use hikyaku_dataplane::napt::Direction;
use hikyaku_dataplane::punt::Class;
use hikyaku_dataplane::verdict::{Reason, Verdict};

use super::bytes::*;
use super::napt::Wrong;
use super::out::{HOST_UNREACHABLE, Packet, compose};
use super::path::{End, Model, Unsolicited, without_priority};
use super::reassembly::{Piece, Push};
use super::translate::{Carried, Not, carried, whose};
use crate::common::{OUTSIDE, ROUTER, WAN_MAC};

type Addr6 = [u8; 16];

/// What stands behind an IPv6 packet's extension headers.
struct Walked {
    protocol: u8,
    /// From the first byte behind the headers to the packet's end.
    payload: Vec<u8>,
    /// Where the fragment header stands.
    fragment: Option<usize>,
}

const EXTENSIONS: usize = 8;

/// RFC 8200 4. Stops behind a fragment header that means something.
fn walk(bytes: &[u8]) -> Result<Walked, Reason> {
    if bytes.len() < 40 {
        return Err(Reason::Ipv6Truncated);
    }
    if bytes[0] >> 4 != 6 {
        return Err(Reason::Ipv6Version);
    }
    let packet = bytes.get(..40 + usize::from(word(bytes, 4))).ok_or(Reason::Ipv6Truncated)?;
    let (mut protocol, mut at, mut fragment) = (packet[6], 40, None);
    let bad = Reason::Ipv6Extension;
    for n in 0.. {
        if n > EXTENSIONS {
            return Err(bad);
        }
        match protocol {
            0 if at != 40 => return Err(bad),
            0 | 43 | 60 => {
                let rest = &packet[at..];
                if rest.len() < 8 || protocol == 43 && rest[3] != 0 {
                    return Err(bad);
                }
                let header = rest.get(..8 + usize::from(rest[1]) * 8).ok_or(bad)?;
                if protocol != 43 && !may_be_skipped(&header[2..]) {
                    return Err(bad);
                }
                protocol = header[0];
                at += header.len();
            }
            44 => {
                let header = packet.get(at..at + 8).ok_or(bad)?;
                if fragment.is_some() {
                    return Err(bad);
                }
                fragment = Some(at);
                protocol = header[0];
                at += 8;
                if word(header, 2) & 0xfff9 != 0 {
                    break;
                }
            }
            _ => break,
        }
    }
    Ok(Walked { protocol, payload: packet[at..].to_vec(), fragment })
}

/// RFC 8200 4.2: options that a node which does not know them passes over.
fn may_be_skipped(options: &[u8]) -> bool {
    let mut at = 0;
    while at < options.len() {
        if options[at] == 0 {
            at += 1;
            continue;
        }
        let Some(&len) = options.get(at + 1) else { return false };
        if options[at] >= 64 || at + 2 + usize::from(len) > options.len() {
            return false;
        }
        at += 2 + usize::from(len);
    }
    true
}

/// The inner packet's traffic class behind the tunnel (RFC 6040 4.2), or why it is dropped.
fn decapsulated(inner: u8, outer: u8) -> Result<u8, Reason> {
    let ecn = match (inner & 3, outer & 3) {
        (0, 3) => return Err(Reason::TunnelEcn),
        (0, _) => 0,
        (_, 3) => 3,
        (2, 1) => 1,
        (inner, _) => inner,
    };
    Ok(inner & 0xfc | ecn)
}

/// What somebody listens for of IPv6 packets to us: discovery from the link itself (RFC 4861 6.1, 7.1; RFC 3810 5),
/// echo, errors and answers, and on the line what goes to the DHCPv6 client.
fn class6(link: u8, walked: &Walked, packet: &[u8]) -> Option<Class> {
    let near = packet[24] == 0xff && packet[25] & 15 <= 2 || packet[24] == 0xfe && packet[25] & 0xc0 == 0x80;
    let payload = walked.payload.as_slice();
    match (walked.protocol, payload) {
        _ if walked.fragment.is_some() => None,
        (58, [128, ..]) => Some(Class::Echo),
        (58, [0..=129, ..]) => Some(Class::Sockets),
        (58, [130, ..]) if near => Some(Class::Discovery),
        (58, [133..=136, ..]) if packet[7] == 255 => Some(Class::Discovery),
        (17, [_, _, 2, 34, ..]) if link == 1 => Some(if near { Class::Discovery } else { Class::Sockets }),
        _ => None,
    }
}

impl Model {
    /// One frame from the WAN.
    pub fn wan(&mut self, frame: &[u8]) -> Result<(), Wrong> {
        if let Some(verdict) = self.take_wan(&without_priority(frame))? {
            self.count(verdict, 1);
        }
        Ok(())
    }

    fn take_wan(&mut self, frame: &[u8]) -> End {
        if frame.len() < 14 {
            return Ok(Some(Reason::Runt.into()));
        }
        match self.outer_packet(frame) {
            Ok(end) => end,
            Err(reason) => Ok(Some(reason.into())),
        }
    }

    fn outer_packet(&mut self, frame: &[u8]) -> Result<End, Reason> {
        let group = frame[0] & 1 != 0;
        if frame[..6] != WAN_MAC && !group || frame[6] & 1 != 0 {
            return Err(Reason::OtherStation);
        }
        match word(frame, 12) {
            0x86dd => {}
            0x0800 | 0x0806 => return Err(Reason::Ipv4OnWan),
            0x8100 | 0x88a8 => return Err(Reason::Vlan),
            _ => return Err(Reason::EtherType),
        }
        let bytes = &frame[14..];
        let walked = walk(bytes)?;
        let (from, to): (Addr6, Addr6) = (bytes[8..24].try_into().unwrap(), bytes[24..40].try_into().unwrap());
        let class = bytes[0] << 4 | bytes[1] >> 4;
        if group && to[0] != 0xff {
            return Err(Reason::OtherStation);
        }
        if to != self.line.local.octets() {
            return Ok(Ok(Some(self.native6(1, frame))));
        }
        let told = walked.fragment.map_or(0, |at| word(bytes, at + 2));
        let tunnelled = matches!(walked.protocol, 4 | 60);
        if !tunnelled && told & 0xfff8 == 0 {
            return match walked.protocol {
                58 if walked.fragment.is_none() => match walked.payload.first() {
                    None => Err(Reason::TransportHeader),
                    Some(128..) => self.hear(1, frame, class6(1, &walked, bytes)).map(|verdict| Ok(Some(verdict))),
                    Some(_) => match self.tunnel_error(from, &walked.payload) {
                        Ok(()) => Err(Reason::TunnelIcmp),
                        Err(reason) => Err(reason),
                    },
                },
                6 | 17 => self.hear(1, frame, class6(1, &walked, bytes)).map(|verdict| Ok(Some(verdict))),
                _ => Err(Reason::TunnelProtocol),
            };
        }
        if from != self.line.remote.octets() {
            return Err(Reason::TunnelSource);
        }
        if told == 0 {
            return match walked.protocol {
                4 => Ok(self.deliver(walked.payload, from, class)),
                _ => Err(Reason::TunnelProtocol),
            };
        }
        let at = walked.fragment.expect("it told something");
        let id = u32::from_be_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        let piece = Piece {
            begin: (told & 0xfff8).into(),
            more: told & 1 != 0,
            class,
            next: walked.protocol,
            bytes: walked.payload,
        };
        let (push, released) = self.reassembly.push(self.now, (from, to, id), piece);
        if let Some((reason, n)) = released {
            self.count(reason, n);
        }
        match push {
            Push::Held => Ok(Ok(None)),
            Push::Bad(reason) => Err(reason),
            Push::Whole(packet, class, others) => {
                if others > 0 {
                    self.count(Verdict::Reassembled, others);
                }
                Ok(self.deliver(packet, from, class))
            }
        }
    }

    /// IPv6 that is not the tunnel's: what is for us goes to the control thread.
    pub fn native6(&mut self, link: u8, frame: &[u8]) -> Verdict {
        let bytes = &frame[14..];
        let walked = match walk(bytes) {
            Ok(walked) => walked,
            Err(reason) => return reason.into(),
        };
        let to = Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[24..40]).unwrap());
        let near = to.octets()[0] == 0xff && to.octets()[1] & 15 <= 2;
        match near || to.is_unicast_link_local() {
            false => Reason::Ipv6NoRoute.into(),
            true => self.hear(link, frame, class6(link, &walked, bytes)).unwrap_or_else(Verdict::from),
        }
    }

    fn deliver(&mut self, inner: Vec<u8>, from: Addr6, class: u8) -> End {
        match self.inner_packet(&inner, from, class) {
            Ok(end) => end,
            Err((reason, mtu)) => {
                self.answer_tunnel(&inner, reason, mtu);
                self.hold_unsolicited(&inner, from, reason);
                Ok(Some(reason.into()))
            }
        }
    }

    /// RFC 5382 REQ-4: a SYN that nobody let in.
    fn hold_unsolicited(&mut self, inner: &[u8], from: Addr6, reason: Reason) {
        if !self.line.answer_unsolicited || !matches!(reason, Reason::NaptNoSession | Reason::NaptFiltered) {
            return;
        }
        let packet = ipv4(inner).expect("it was translated, or nearly");
        let tcp = header_len(&packet);
        if packet[9] != 6 || is_fragment(&packet) || packet[tcp + 13] & 0b10111 != 2 {
            return;
        }
        let connection = |p: &[u8]| [&p[12..20], &p[header_len(p)..][..4]].concat();
        let ends = [self.line.local.octets(), from];
        let known = |u: &Unsolicited| (u.ends, connection(&u.packet)) == (ends, connection(&packet));
        if self.unsolicited.len() < 128 && !self.unsolicited.iter().any(known) {
            self.unsolicited.push(Unsolicited { since: self.now, ends, packet });
        }
    }

    /// Six seconds later it is answered, if nobody inside has opened that connection in the meantime.
    pub fn answer_unsolicited(&mut self) {
        let (due, rest) = std::mem::take(&mut self.unsolicited)
            .into_iter()
            .partition::<Vec<_>, _>(|u| self.now - u.since >= 6_000_000_000);
        self.unsolicited = rest;
        for Unsolicited { ends, packet, .. } in due {
            let tcp = header_len(&packet);
            let (peer, port) = ((src(&packet), word(&packet, tcp)), word(&packet, tcp + 2));
            let opened = self.napt.towards(6, peer, port).is_some() && dst(&packet) == OUTSIDE;
            if !opened && ends == [self.line.local.octets(), self.line.remote.octets()] {
                self.tell_tunnel(&packet, (3, 3, 0));
            }
        }
    }

    /// `Err`: dropped, and answered if that may be.
    fn inner_packet(&mut self, inner: &[u8], from: Addr6, class: u8) -> Result<End, (Reason, u16)> {
        let drop = |reason: Reason| (reason, 0);
        let packet = ipv4(inner).map_err(drop)?;
        let tos = decapsulated(packet[1], class).map_err(drop)?;
        self.sender(&packet).map_err(drop)?;
        if !is_host(dst(&packet)) {
            return Err(drop(Reason::Ipv4Destination));
        }
        if !self.line.napt && !self.is_lan(dst(&packet)) {
            return Ok(Ok(Some(Reason::NoRoute.into())));
        }
        if has_refused_option(&packet) {
            return Err(drop(Reason::Ipv4Option));
        }
        let failed = match packet[8] {
            0 | 1 => Some(drop(Reason::TtlExceeded)),
            _ if packet.len() > self.line.lan_mtu.into() && dont_fragment(&packet) => {
                Some((Reason::TooBig, self.line.lan_mtu))
            }
            _ => None,
        };
        if let Some(failed) = failed {
            // Nothing is answered to a packet without a session.
            let told = !self.line.napt || self.has_session(&packet, from);
            return if told { Err(failed) } else { Ok(Ok(Some(failed.0.into()))) };
        }
        let mut translated = packet.clone();
        if self.line.napt
            && let Err(not) = self.translate(Direction::Inbound, &mut translated, from)
        {
            let mut packet = packet;
            if matches!(not, Not::Yet) {
                packet[1] = tos;
                seal(&mut packet);
            }
            return self.wait(Some(from), packet, not);
        }
        translated[1] = tos;
        self.pass(&mut translated);
        let verdict = self.send_host(translated);
        if self.line.napt && offset(&packet) == 0 && more(&packet) {
            for mut waiting in self.ready(&whose(Some(from), &packet)) {
                let verdict = match self.translate(Direction::Inbound, &mut waiting, from) {
                    Ok(_) => {
                        self.pass(&mut waiting);
                        self.send_host(waiting)
                    }
                    Err(_) => Reason::NaptFragment.into(),
                };
                self.count(verdict, 1);
            }
        }
        Ok(Ok(Some(verdict)))
    }

    fn send_host(&mut self, packet: Vec<u8>) -> Verdict {
        match self.is_lan(dst(&packet)) {
            true => self.send_lan(packet.into(), Verdict::Inbound),
            false => Reason::NoRoute.into(),
        }
    }

    /// Nothing of ours comes from outside; of an address that is shared, what has another's port may (RFC 7597 8.1).
    fn sender(&self, packet: &[u8]) -> Result<(), Reason> {
        let from = src(packet);
        let own = self.line.napt && from == OUTSIDE;
        let shared = own && self.line.share.is_some();
        let ours = own || is_link_local(from) || self.is_lan(from) || from == ROUTER;
        if !is_host(from) || !shared && (ours || from == dst(packet)) {
            return Err(Reason::Ipv4Source);
        }
        if !shared {
            return Ok(());
        }
        let port = match carried(packet, Direction::Inbound)? {
            Carried::Later => return Ok(()),
            Carried::Flow { dst, .. } if packet[9] == 1 => dst,
            Carried::Flow { src, .. } => src,
            Carried::Error(quote) => quote.dst.1,
        };
        if self.line.has_port(port) { Err(Reason::Ipv4Source) } else { Ok(()) }
    }

    /// RFC 2473 8, RFC 8201 4: an ICMPv6 error about the tunnel.
    fn tunnel_error(&mut self, from: Addr6, message: &[u8]) -> Result<(), Reason> {
        // RFC 4443 2.4 (c).
        let message = &message[..message.len().min(1280)];
        let (local, forged) = (self.line.local.octets(), Reason::TunnelIcmpForged);
        let pseudo = [&from[..], &local, &(message.len() as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
        if message.len() < 8 || checksum(&[&pseudo, message]) != 0 {
            return Err(Reason::TransportHeader);
        }
        let quote = &message[8..];
        if quote.len() < 40 || quote[0] >> 4 != 6 || quote[8..24] != local {
            return Err(forged);
        }
        if quote[24..40] != self.line.remote.octets() {
            return Err(forged);
        }
        let inner = match quote[6] {
            4 => &quote[40..],
            44 if quote.len() < 48 => return Err(Reason::TunnelIcmp),
            44 if quote[40] != 4 => return Err(forged),
            44 if word(quote, 42) & 0xfff8 != 0 => return Err(Reason::TunnelIcmp),
            44 => &quote[48..],
            _ => return Err(forged),
        };
        if !matches!(message[0], 1..=4) || inner.len() < 20 {
            return Err(Reason::TunnelIcmp);
        }
        if inner[0] >> 4 != 4 || header_len(inner) < 20 {
            return Err(forged);
        }
        let inner = &inner[..inner.len().min(total_len(inner).max(20))];
        if from[0] == 0xff || from == [0; 16] {
            return Err(forged);
        }
        let told = u32::from_be_bytes(message[4..8].try_into().unwrap());
        let too_big = message[0] == 2;
        let quoted = 40 + u32::from(word(quote, 4));
        if too_big && (!(1280..quoted).contains(&told) || quoted > u32::from(self.line.wan_mtu.max(1280))) {
            return Err(forged);
        }
        let told = told.min(0xffff) as u16;
        let path = self.current_path_mtu();
        let (mtu, _) = self.sizes_of(if too_big { path.min(told) } else { path });
        let relay = match (message[0], message[1]) {
            (2, _) if dont_fragment(inner) && total_len(inner) > mtu => Some((3, 4, mtu as u16)),
            (2, _) | (3, 1) => None,
            _ => Some(HOST_UNREACHABLE),
        };
        let mut error = compose(relay.unwrap_or(HOST_UNREACHABLE), ROUTER, inner).ok_or(Reason::TunnelIcmp)?;
        if self.line.napt {
            self.translate(Direction::Inbound, &mut error, self.line.remote.octets()).map_err(|_| forged)?;
        }
        if !self.is_lan(dst(&error)) {
            return Err(forged);
        }
        if too_big && told < path {
            self.path_mtu = Some((told, self.now));
        }
        if let Some(message) = relay
            && self.may_tell(0, message)
        {
            self.send_lan(Packet { bytes: error, own: true }, Verdict::Inbound);
        }
        Ok(())
    }
}
