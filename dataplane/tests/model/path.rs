//! The model: a line's whole path, one frame after the other. This file: its state, and what comes from the LAN.

use std::collections::BTreeMap;

use hikyaku_dataplane::napt::Direction;
use hikyaku_dataplane::punt::Class;
use hikyaku_dataplane::verdict::{Reason, Verdict};

use super::bytes::*;
use super::emitted::{Emitted, Frame};
use super::line::Line;
use super::napt::{Napt, Wrong};
use super::out::Bucket;
use super::reassembly::Reassembly;
use super::translate::{Carried, FRAGMENTS, Known, Not, Whose, carried, whose};
use crate::common::{OUTSIDE, ROUTER, ROUTER_MAC};

/// What became of a frame: `None` while it waits.
pub type End = Result<Option<Verdict>, Wrong>;

/// A fragment that waits for the first one of its packet.
#[derive(Debug)]
pub struct Waiting {
    pub whose: Whose,
    pub since: u64,
    pub packet: Vec<u8>,
}

/// A SYN from outside that is to be answered (RFC 5382 REQ-4).
#[derive(Debug)]
pub struct Unsolicited {
    pub since: u64,
    pub ends: [[u8; 16]; 2],
    pub packet: Vec<u8>,
}

/// Fragments that may wait.
const MAX_WAITING: usize = 64;

#[derive(Debug)]
pub struct Model {
    pub line: Line,
    /// The time, nanoseconds.
    pub now: u64,
    pub napt: Napt,
    pub known: BTreeMap<Whose, Known>,
    pub waiting: Vec<Waiting>,
    pub reassembly: Reassembly,
    /// Learned, and when (RFC 8201).
    pub path_mtu: Option<(u16, u64)>,
    /// ICMP errors to LAN and WAN: fragmentation needed, time exceeded, others.
    pub errors: [[Bucket; 3]; 2],
    pub unsolicited: Vec<Unsolicited>,
    /// Of LAN and WAN.
    pub unresolved: [Bucket; 2],
    /// How many packets were cut into outer fragments.
    pub cut: u64,
    pub out: Emitted,
}

/// IEEE 802.1Q 6.9.1: a tag of VLAN 0 says a priority and nothing else.
pub fn without_priority(frame: &[u8]) -> Vec<u8> {
    if frame.len() < 18 || word(frame, 12) != 0x8100 || word(frame, 14) & 0xfff != 0 {
        return frame.to_vec();
    }
    [&frame[..12], &frame[16..]].concat()
}

impl Model {
    pub fn new(line: Line, now: u64) -> Self {
        Self {
            napt: Napt::new(&line),
            line,
            now,
            known: BTreeMap::new(),
            waiting: Vec::new(),
            reassembly: Reassembly::default(),
            path_mtu: None,
            unsolicited: Vec::new(),
            errors: [(); 2].map(|()| [(); 3].map(|()| Bucket::new(1000, 50, now))),
            unresolved: [(); 2].map(|()| Bucket::new(1000, 64, now)),
            cut: 0,
            out: Emitted::default(),
        }
    }

    pub fn seconds(&self) -> u64 {
        self.now / 1_000_000_000
    }

    pub fn count(&mut self, verdict: impl Into<Verdict>, n: u64) {
        *self.out.verdicts.entry(verdict.into().name()).or_default() += n;
    }

    pub fn held(&self) -> u64 {
        self.waiting.len() as u64 + self.reassembly.held()
    }

    /// Time has passed: what waited for too long is let go. Sessions are another matter ([`Napt::age`]).
    pub fn expire(&mut self) {
        let n = self.reassembly.expire(self.now);
        if n > 0 {
            self.count(Reason::ReassemblyTimeout, n);
        }
        let before = self.waiting.len();
        self.waiting.retain(|w| self.now - w.since < FRAGMENTS);
        if before != self.waiting.len() {
            self.count(Reason::NaptFragment, (before - self.waiting.len()) as u64);
        }
    }

    pub fn is_lan(&self, a: Addr) -> bool {
        a[..3] == ROUTER[..3] && a != ROUTER
    }

    /// One frame from the LAN.
    pub fn lan(&mut self, frame: &[u8]) -> Result<(), Wrong> {
        if let Some(verdict) = self.take_lan(&without_priority(frame))? {
            self.count(verdict, 1);
        }
        Ok(())
    }

    fn take_lan(&mut self, frame: &[u8]) -> End {
        let drop = |reason: Reason| Ok(Some(Verdict::Dropped(reason)));
        if frame.len() < 14 {
            return drop(Reason::Runt);
        }
        let (ours, group) = (frame[..6] == ROUTER_MAC, frame[0] & 1 != 0);
        if !ours && !group || frame[6] & 1 != 0 {
            return drop(Reason::OtherStation);
        }
        match word(frame, 12) {
            0x0800 => {}
            0x0806 => return Ok(Some(self.punt(0, frame, Class::Discovery))),
            0x86dd => return Ok(Some(self.native6(0, frame))),
            0x8100 | 0x88a8 => return drop(Reason::Vlan),
            _ => return drop(Reason::EtherType),
        }
        match self.lan_packet(frame, group) {
            Ok(end) => end,
            Err((reason, mtu)) => {
                self.answer_lan(frame, reason, mtu);
                drop(reason)
            }
        }
    }

    /// `Err`: dropped, and answered if that may be.
    fn lan_packet(&mut self, frame: &[u8], group: bool) -> Result<End, (Reason, u16)> {
        let drop = |reason: Reason| (reason, 0);
        let packet = ipv4(&frame[14..]).map_err(drop)?;
        let (from, to) = (src(&packet), dst(&packet));
        let broadcast = to == [255; 4] || to[..3] == ROUTER[..3] && matches!(to[3], 0 | 255);
        let transport = &packet[header_len(&packet)..];
        let dhcp = packet[9] == 17 && !is_fragment(&packet) && transport.get(2..4) == Some(&[0, 67]);
        if broadcast && dhcp {
            return Ok(Ok(Some(self.punt(0, frame, Class::Discovery))));
        }
        if group || broadcast || !is_host(to) || is_link_local(to) {
            return Err(drop(Reason::Ipv4Destination));
        }
        // RFC 2827, RFC 1812 5.3.7.
        if !self.is_lan(from) || matches!(from[3], 0 | 255) || from == to {
            return Err(drop(Reason::Ipv4Source));
        }
        if to == ROUTER {
            // Echo requests; what nobody listens for is refused by the control thread (RFC 1122 4.1.3.1).
            let class = match (packet[9], transport) {
                (1 | 6 | 17, _) if is_fragment(&packet) => Some(Class::Echo),
                (17, [_, _, 0, 67, ..]) => Some(Class::Discovery),
                (1, [8, ..]) | (6 | 17, [_, _, _, _, ..]) => Some(Class::Echo),
                _ => None,
            };
            return self.hear(0, frame, class).map(|verdict| Ok(Some(verdict))).map_err(drop);
        }
        if has_refused_option(&packet) {
            return Err(drop(Reason::Ipv4Option));
        }
        if packet[8] <= 1 {
            return Err(drop(Reason::TtlExceeded));
        }
        if self.is_lan(to) {
            return Err(drop(Reason::NoRoute));
        }
        let hairpin = match self.is_hairpin(&packet) {
            Ok(hairpin) => hairpin,
            Err(not) => return self.wait(None, packet, not),
        };
        let (mtu, _) = self.sizes();
        if !hairpin && (packet.len() > mtu && dont_fragment(&packet)) {
            let is_merged = packet.len() > self.line.lan_mtu.into();
            return Err((if is_merged { Reason::OverMtu } else { Reason::TooBig }, mtu as u16));
        }
        let mut translated = packet.clone();
        match self.outbound(&mut translated, hairpin) {
            Ok(label) => {
                let verdict = self.forward(translated, label, hairpin);
                self.release_outbound(&packet, hairpin);
                Ok(Ok(Some(verdict)))
            }
            Err(not) => self.wait(None, packet, not),
        }
    }

    /// RFC 4787 REQ-14: a fragment waits for its first one.
    pub fn wait(&mut self, from: Option<[u8; 16]>, packet: Vec<u8>, not: Not) -> Result<End, (Reason, u16)> {
        match not {
            Not::Possible(reason) => Err((reason, 0)),
            Not::Allowed(wrong) => Ok(Err(wrong)),
            Not::Yet if self.waiting.len() >= MAX_WAITING => Err((Reason::NaptFragment, 0)),
            Not::Yet => {
                self.waiting.push(Waiting { whose: whose(from, &packet), since: self.now, packet });
                Ok(Ok(None))
            }
        }
    }

    /// Whether a packet comes back to the LAN: to our address, and a port of ours (RFC 4787 9, RFC 7597 5.1).
    fn is_hairpin(&self, packet: &[u8]) -> Result<bool, Not> {
        if !self.line.napt || dst(packet) != OUTSIDE {
            return Ok(false);
        }
        if self.line.share.is_none() {
            return Ok(true);
        }
        let port = match carried(packet, Direction::Outbound)? {
            Carried::Flow { .. } if packet[9] == 1 => return Ok(true),
            Carried::Flow { dst, .. } => dst,
            Carried::Error(quote) => quote.src.1,
            Carried::Later => self.known(&whose(None, packet)).ok_or(Not::Yet)?.far_port,
        };
        Ok(self.line.has_port(port))
    }

    /// Translation and one hop. The flow for the label, or `None`.
    fn outbound(&mut self, packet: &mut [u8], hairpin: bool) -> Result<Vec<u8>, Not> {
        let mut label = plain_label(packet);
        if self.line.napt {
            if hairpin {
                // RFC 4787 REQ-9: there must be something that it can meet.
                let (protocol, port) = match carried(packet, Direction::Outbound)? {
                    Carried::Flow { dst, .. } => (packet[9], Some(dst)),
                    Carried::Error(quote) => (quote.protocol, Some(quote.src.1).filter(|_| quote.src.0 == OUTSIDE)),
                    Carried::Later => (0, None),
                };
                let later = offset(packet) != 0;
                if !later && !port.is_some_and(|port| self.napt.is_mapped(&self.line, protocol, port)) {
                    return Err(Reason::NaptNoSession.into());
                }
            }
            let from = self.line.local.octets();
            label = self.translate(Direction::Outbound, packet, from)?;
            if hairpin {
                self.translate(Direction::Inbound, packet, from)?;
            }
        }
        self.pass(packet);
        Ok(label)
    }

    /// What every forwarded packet gets.
    pub fn pass(&mut self, packet: &mut [u8]) {
        if let Some(limit) = self.line.mss {
            clamp(packet, limit);
        }
        packet[8] -= 1;
        seal(packet);
    }

    fn forward(&mut self, packet: Vec<u8>, label: Vec<u8>, hairpin: bool) -> Verdict {
        if !hairpin {
            return self.send_tunnel(packet.into(), Some(label));
        }
        match self.is_lan(dst(&packet)) {
            true => self.send_lan(packet.into(), Verdict::Hairpin),
            false => Reason::NoRoute.into(),
        }
    }

    /// The first fragment has come: the others go after it.
    fn release_outbound(&mut self, first: &[u8], hairpin: bool) {
        if !self.line.napt || offset(first) != 0 || !more(first) {
            return;
        }
        for mut packet in self.ready(&whose(None, first)) {
            let verdict = match self.outbound(&mut packet, hairpin) {
                Ok(label) => self.forward(packet, label, hairpin),
                Err(_) => Reason::NaptFragment.into(),
            };
            self.count(verdict, 1);
        }
    }

    /// Fragments that have waited for this packet's first one.
    pub fn ready(&mut self, whose: &Whose) -> Vec<Vec<u8>> {
        let (ready, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|w| w.whose == *whose);
        self.waiting = rest;
        let ready: Vec<Waiting> = ready;
        ready.into_iter().map(|w| w.packet).collect()
    }

    /// A frame for the control thread, if somebody listens.
    pub fn hear(&mut self, link: u8, frame: &[u8], class: Option<Class>) -> Result<Verdict, Reason> {
        class.map(|class| self.punt(link, frame, class)).ok_or(Reason::NoListener)
    }

    fn punt(&mut self, link: u8, frame: &[u8], class: Class) -> Verdict {
        if frame.len() > 1600 {
            return Reason::Jumbo.into();
        }
        self.out.punted.push((link, class, Frame::new(frame.to_vec())));
        Verdict::Punted
    }
}

/// The flow of a packet that is not translated; all fragments of a packet are of one.
fn plain_label(packet: &[u8]) -> Vec<u8> {
    let header = header_len(packet);
    let ports = match matches!(packet[9], 6 | 17) && !is_fragment(packet) {
        true => packet[header..].iter().chain(&[0; 4]).take(4).copied().collect(),
        false => vec![0; 4],
    };
    [&[9, packet[9]], &packet[12..20], &ports[..]].concat()
}
