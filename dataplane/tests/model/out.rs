//! The ways out of the model: into the tunnel (RFC 2473), to the LAN, as an ICMP error (RFC 1812 4.3.2).

use hikyaku_dataplane::punt::Class;
use hikyaku_dataplane::verdict::{Reason, Verdict};

use super::bytes::*;
use super::emitted::{Frame, Free};
use super::path::Model;
use crate::common::{GATEWAY_MAC, OUTSIDE, ROUTER, ROUTER_MAC, WAN_MAC};

/// So many a second, and so many at once.
#[derive(Debug)]
pub struct Bucket {
    interval: u64,
    depth: u64,
    saved: u64,
    since: u64,
}

impl Bucket {
    pub fn new(rate: u64, burst: u64, now: u64) -> Self {
        let interval = 1_000_000_000 / rate;
        Self { interval, depth: interval * burst, saved: interval * burst, since: now }
    }

    pub fn take(&mut self, now: u64) -> bool {
        self.saved = self.depth.min(self.saved + (now - self.since));
        self.since = now;
        let may = self.saved >= self.interval;
        self.saved -= if may { self.interval } else { 0 };
        may
    }
}

/// An IPv4 packet, and whether its identification is the router's to choose.
pub struct Packet {
    pub bytes: Vec<u8>,
    pub own: bool,
}

impl From<Vec<u8>> for Packet {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, own: false }
    }
}

/// An ICMP error: type, code, MTU.
pub type Message = (u8, u8, u16);

pub const HOST_UNREACHABLE: Message = (3, 1, 0);

/// Which drops are answered.
fn answer(reason: Reason, mtu: u16) -> Option<Message> {
    match reason {
        Reason::TtlExceeded => Some((11, 0, 0)),
        Reason::NoRoute => Some((3, 0, 0)),
        Reason::TooBig | Reason::OverMtu => Some((3, 4, mtu)),
        Reason::NaptPortsFull | Reason::NaptTableFull | Reason::NaptHostLimit | Reason::NaptPeerInUse => {
            Some(HOST_UNREACHABLE)
        }
        _ => None,
    }
}

/// RFC 1812 4.3.2: the error about a packet, unless none may be sent. 576 bytes at most.
pub fn compose((kind, code, mtu): Message, from: Addr, packet: &[u8]) -> Option<Vec<u8>> {
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return None;
    }
    let packet = &packet[..packet.len().min(total_len(packet))];
    let header = if packet.is_empty() { 0 } else { header_len(packet) };
    if header < 20 || packet.len() < header || offset(packet) != 0 || !is_host(src(packet)) || packet[16] >= 224 {
        return None;
    }
    let is_query = |kind: &u8| matches!(kind, 0 | 8 | 9 | 10 | 13..=18 | 42 | 43);
    if packet[9] == 1 && !packet.get(header).is_some_and(is_query) {
        return None;
    }
    let quote = &packet[..packet.len().min(576 - 28)];
    let mut message = vec![kind, code, 0, 0, 0, 0, (mtu >> 8) as u8, mtu as u8];
    message.extend(quote);
    let sum = checksum(&[&message]);
    put(&mut message, 2, sum);
    let mut bytes = vec![0x45, 0xc0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0];
    bytes.extend([from, src(packet)].concat());
    put(&mut bytes, 2, 20 + message.len() as u16);
    seal(&mut bytes);
    bytes.extend(message);
    Some(bytes)
}

impl Model {
    /// The largest packet with DF, and the largest outer packet (RFC 2473 7.2, RFC 6333 5.3, RFC 8201 4).
    pub fn sizes(&self) -> (usize, usize) {
        self.sizes_of(self.current_path_mtu())
    }

    pub fn sizes_of(&self, path: u16) -> (usize, usize) {
        let path = usize::from(path.max(1280));
        match self.line.mtu {
            Ok(mtu) => {
                let outer = path.min(usize::from(mtu) + 40).max(1280);
                (usize::from(mtu).min(outer - 40), outer)
            }
            Err(mtu) => (mtu.into(), path),
        }
    }

    pub fn current_path_mtu(&self) -> u16 {
        let learned = self.path_mtu.filter(|&(_, since)| self.now - since < 600_000_000_000);
        learned.map_or(self.line.wan_mtu, |(mtu, _)| mtu.min(self.line.wan_mtu))
    }

    /// An outer header in front of `payload` (RFC 2473 5.1), with Ethernet's.
    fn outer(&self, class: u8, next: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = [&GATEWAY_MAC[..], &WAN_MAC, &[0x86, 0xdd, 0x60 | class >> 4, class << 4, 0, 0]].concat();
        frame.extend((payload.len() as u16).to_be_bytes());
        frame.extend([next, 64]);
        frame.extend(self.line.local.octets());
        frame.extend(self.line.remote.octets());
        frame.extend(payload);
        frame
    }

    /// Into the tunnel; `label` is what the flow label is made of, `None`: 0.
    pub fn send_tunnel(&mut self, packet: Packet, label: Option<Vec<u8>>) -> Verdict {
        let Packet { bytes, own } = packet;
        let (mtu, outer) = self.sizes();
        if bytes.len() > mtu && dont_fragment(&bytes) {
            return Reason::TooBig.into();
        }
        let tos = bytes[1];
        let class = self.line.dscp.map_or(tos & 0xfc, |dscp| dscp << 2) | if self.line.ecn { tos & 3 } else { 0 };
        let mut free: Vec<Free> = label.map(Free::Label).into_iter().collect();
        if bytes.len() + 40 <= outer {
            if own {
                free.push(Free::Id4(54));
            }
            let frame = Frame { bytes: self.outer(class, 4, &bytes), free };
            if !self.line.gateway_known {
                return self.ask_for(1, frame);
            }
            self.out.wan.push(frame);
            return Verdict::Outbound;
        }
        if !self.line.gateway_known {
            return Reason::NoNeighbour.into();
        }
        assert!(!own, "an error of ours is small");
        self.cut += 1;
        free.push(Free::FragmentId(self.cut));
        let room = outer - 48;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let piece = if rest.len() > room { &rest[..room & !7] } else { rest };
            let more = piece.len() < rest.len();
            let mut payload = vec![4, 0, 0, 0, 0, 0, 0, 0];
            put(&mut payload, 2, at as u16 | u16::from(more));
            payload.extend(piece);
            self.out.wan.push(Frame { bytes: self.outer(class, 44, &payload), free: free.clone() });
            at += piece.len();
        }
        Verdict::Outbound
    }

    /// A frame that lacks its Ethernet destination goes to the control thread, so many a second.
    fn ask_for(&mut self, link: u8, mut frame: Frame) -> Verdict {
        frame.bytes[..6].fill(0);
        if !self.unresolved[usize::from(link)].take(self.now) || frame.bytes.len() > 1600 {
            return Reason::NoNeighbour.into();
        }
        self.out.punted.push((link, Class::Unresolved, frame));
        Verdict::Punted
    }

    /// To a host, in pieces if need be (RFC 791 3.2).
    pub fn send_lan(&mut self, packet: Packet, verdict: Verdict) -> Verdict {
        let Packet { bytes, own } = packet;
        let station = self.line.neighbours.get(&dst(&bytes)).copied();
        let fits = bytes.len() <= usize::from(self.line.lan_mtu);
        let free: Vec<Free> = own.then_some(Free::Id4(14)).into_iter().collect();
        let frame = |bytes: &[u8]| [&station.unwrap_or_default()[..], &ROUTER_MAC, &[8, 0], bytes].concat();
        match (station, fits) {
            (None, false) => return Reason::NoNeighbour.into(),
            (None, true) => return self.ask_for(0, Frame { bytes: frame(&bytes), free }),
            (Some(_), true) => self.out.lan.push(Frame { bytes: padded(frame(&bytes)), free }),
            (Some(_), false) => {
                if dont_fragment(&bytes) {
                    return Reason::TooBig.into();
                }
                for piece in pieces(&bytes, self.line.lan_mtu.into()) {
                    self.out.lan.push(Frame::new(padded(frame(&piece))));
                }
            }
        }
        verdict
    }

    /// The error that a drop asks for, to the LAN host whose frame it was (RFC 1812 4.3.2.7).
    pub fn answer_lan(&mut self, frame: &[u8], reason: Reason, mtu: u16) {
        let Some(message) = answer(reason, mtu) else { return };
        let packet = &frame[14..];
        let broadcast = |a: Addr| a[..3] == ROUTER[..3] && matches!(a[3], 0 | 255);
        if frame[0] & 1 != 0 || broadcast(src(packet)) || broadcast(dst(packet)) {
            return;
        }
        // What the host is told fits its link.
        let packet = &packet[..packet.len().min(usize::from(self.line.lan_mtu) - 28)];
        let Some(error) = compose(message, ROUTER, packet) else { return };
        if self.may_tell(0, message) {
            let bytes = padded([&frame[6..12], &ROUTER_MAC, &[8, 0], &error].concat());
            self.out.lan.push(Frame { bytes, free: vec![Free::Id4(14)] });
        }
    }

    /// RFC 1812 4.3.2.8.
    pub fn may_tell(&mut self, link: usize, message: Message) -> bool {
        let purpose = match message {
            (3, 4, _) => 0,
            (11, ..) => 1,
            _ => 2,
        };
        self.errors[link][purpose].take(self.now)
    }

    /// The same through the tunnel.
    pub fn answer_tunnel(&mut self, packet: &[u8], reason: Reason, mtu: u16) {
        if let Some(message) = answer(reason, mtu) {
            self.tell_tunnel(packet, message);
        }
    }

    pub fn tell_tunnel(&mut self, packet: &[u8], message: Message) {
        let from = if self.line.napt { OUTSIDE } else { [192, 0, 0, 2] };
        let Some(bytes) = compose(message, from, packet) else { return };
        if self.may_tell(1, message) {
            self.send_tunnel(Packet { bytes, own: true }, None);
        }
    }
}

/// Ethernet's least, without other frames' bytes.
fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

/// RFC 791 3.2: pieces of at most `mtu` bytes; only the first has options without the copied flag.
fn pieces(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let header = header_len(packet);
    let mut later = packet[..20].to_vec();
    let mut at = 20;
    while at < header && packet[at] != 0 {
        let len = if packet[at] == 1 { 1 } else { usize::from(packet[at + 1]) };
        if packet[at] & 0x80 != 0 {
            later.extend(&packet[at..at + len]);
        }
        at += len;
    }
    later.resize(later.len().next_multiple_of(4), 0);
    later[0] = 0x40 | (later.len() / 4) as u8;
    let (mut done, mut all) = (0, Vec::new());
    let payload = &packet[header..];
    while done < payload.len() {
        let mut piece = if done == 0 { packet[..header].to_vec() } else { later.clone() };
        let room = mtu - piece.len();
        let rest = &payload[done..];
        let part = if rest.len() > room { &rest[..room & !7] } else { rest };
        let fragment = (word(packet, 6) + (done / 8) as u16) | if part.len() < rest.len() { 0x2000 } else { 0 };
        put(&mut piece, 6, fragment);
        piece.extend(part);
        let len = piece.len() as u16;
        put(&mut piece, 2, len);
        seal(&mut piece);
        all.push(piece);
        done += part.len();
    }
    all
}
