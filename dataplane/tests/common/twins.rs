//! Two routers, one without the fast path, that must not differ in anything. No etherparse here: the
//! fuzz target uses this file, too.

use std::time::Duration;

use hikyaku_dataplane::counters::Event;
use hikyaku_ring::LinkId;

use super::router::{CE, LAN, Out, Router, Setup, routers};

/// RFC 1071, two words at a time.
pub fn internet_sum(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    fold(words.iter().chain([&last]).map(|&word| u64::from(u32::from_be_bytes(word))).sum())
}

/// The sum of the words that a number is made of.
fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Makes an IPv4 header's checksum right, if there is a header.
pub fn repair(packet: &mut [u8]) {
    let Some(&first) = packet.first() else { return };
    let len = usize::from(first & 0xf) * 4;
    if len >= 20 && packet.len() >= len {
        packet[10..12].fill(0);
        let sum = !internet_sum(&packet[..len]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Where the IPv4 packet of a frame begins, if one is in it whole: no outer fragment.
fn inner_at(frame: &[u8]) -> Option<usize> {
    match (frame.get(12..14)?, frame.get(20)) {
        ([0x08, 0x00], _) => Some(14),
        ([0x86, 0xdd], Some(4)) => Some(54),
        _ => None,
    }
}

/// The transport checksum of an IPv4 packet: where it stands, what is summed up, and what to begin with. `None` for
/// fragments, what is cut off, and what has none.
fn transport(packet: &[u8]) -> Option<(usize, std::ops::Range<usize>, u64)> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let len = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let is_fragment = [packet.get(6)? & 0x3f, *packet.get(7)?] != [0, 0];
    if packet[0] >> 4 != 4 || header < 20 || len < header || len > packet.len() || is_fragment {
        return None;
    }
    let (at, least) = match packet[9] {
        1 => (2, 8),
        6 => (16, 20),
        17 => (6, 8),
        _ => return None,
    };
    let pseudo = u64::from(packet[9]) + (len - header) as u64 + u64::from(internet_sum(&packet[12..20]));
    (len - header >= least).then_some((header + at, header..len, if packet[9] == 1 { 0 } else { pseudo }))
}

/// Makes the transport checksum of an IPv4 packet right, where it has one.
pub fn repair_transport(packet: &mut [u8]) {
    let Some((at, range, pseudo)) = transport(packet) else { return };
    packet[at..at + 2].fill(0);
    let sum = !fold(pseudo + u64::from(internet_sum(&packet[range])));
    // RFC 768: all zeroes would mean that there is none.
    let sum = if sum == 0 { 0xffff } else { sum };
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Whether the transport checksum of the packet in a frame is right; also where there is none.
pub fn transport_is_right(frame: &[u8]) -> bool {
    let packet = inner_at(frame).and_then(|at| frame.get(at..)).unwrap_or_default();
    let Some((at, range, pseudo)) = transport(packet) else { return true };
    let absent = packet[9] == 17 && packet[at..at + 2] == [0, 0];
    absent || fold(pseudo + u64::from(internet_sum(&packet[range]))) == 0xffff
}

/// Whether a frame has a whole packet, or one of its fragments, in it and not a piece of the tunnel's or an error about
/// it: from such frames, with right checksums, only right ones can come.
pub fn is_plain(frame: &[u8]) -> bool {
    inner_at(frame).is_some()
}

/// Whether a frame may leave: its lengths agree, and its IPv4 header's checksum is right.
pub fn may_leave(frame: &[u8]) -> bool {
    let ipv4 = |packet: &[u8], padded: bool| {
        let header = usize::from(packet[0] & 0xf) * 4;
        let len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let fits = if padded { len <= packet.len() } else { len == packet.len() };
        packet[0] >> 4 == 4 && header >= 20 && len >= header && fits && internet_sum(&packet[..header]) == 0xffff
    };
    match frame[12..14] {
        [0x08, 0x00] => frame.len() >= 60 && ipv4(&frame[14..], frame.len() == 60),
        [0x86, 0xdd] => {
            let len = usize::from(u16::from_be_bytes([frame[18], frame[19]]));
            let fits = len + 54 == frame.len() || frame.len() == 60 && len + 54 <= 60;
            fits && (frame[20] != 4 || !is_tunnels(frame) || ipv4(&frame[54..], false))
        }
        _ => false,
    }
}

/// Whether an IPv6 frame leaves our end of the tunnel.
fn is_tunnels(frame: &[u8]) -> bool {
    frame[22..38] == CE.octets()
}

/// Makes equal what may differ in an IPv4 packet that left: the identification of an ICMP error of ours is random.
fn mask4(packet: &mut [u8]) {
    if packet.len() < 20 {
        return; // the last outer fragment may be short
    }
    // An ICMP error or what may be a later piece of one; ours among them.
    let later = [packet[6] & 0x1f, packet[7]] != [0, 0];
    if packet.len() >= 21 && packet[9] == 1 && (later || matches!(packet[20], 3 | 11 | 12)) {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
}

/// The same of a frame that left by the LAN.
pub fn mask_lan(frame: &mut [u8]) {
    mask4(&mut frame[14..]);
}

/// The same of a frame that left by the WAN: outer identifications are random too, and so is the flow label without NAPT.
pub fn mask_wan(frame: &mut [u8], napt: bool) {
    if !napt {
        frame[15] &= 0xf0;
        frame[16..18].fill(0);
    }
    if frame[20] == 44 {
        frame[58..62].fill(0);
        mask4(&mut frame[62..]);
    } else {
        mask4(&mut frame[54..]);
    }
}

fn masked(mut out: Out, napt: bool) -> Out {
    out.lan.iter_mut().for_each(|frame| mask_lan(frame));
    out.wan.iter_mut().for_each(|frame| mask_wan(frame, napt));
    out
}

pub struct Twins {
    pub setup: Setup,
    pub fast: Router,
    pub slow: Router,
    /// All that came in so far was plain and had right transport checksums.
    right: bool,
}

impl Twins {
    pub fn new(setup: &Setup) -> Self {
        let [fast, slow] = routers(setup);
        Self::of(setup, fast, slow)
    }

    /// Two routers that somebody else has made, of this setup.
    pub fn of(setup: &Setup, fast: Router, slow: Router) -> Self {
        Self { setup: setup.clone(), fast, slow, right: true }
    }

    /// As new, with the rings and tables of these: see [`Router::renew`].
    pub fn renew(&mut self, setup: &Setup) {
        self.setup = setup.clone();
        self.right = true;
        self.fast.renew(setup);
        self.slow.renew(&Setup { fast: false, ..setup.clone() });
    }

    /// One burst into both. `Err` says how they differ.
    pub fn play(&mut self, side: LinkId, frames: &[Vec<u8>]) -> Result<(), String> {
        let outs = [&mut self.fast, &mut self.slow].map(|router| router.play(side, frames));
        self.compare(side, frames, outs)
    }

    /// The same, whatever tag the frames have.
    pub fn play_as_it_is(&mut self, side: LinkId, frames: &[Vec<u8>]) -> Result<(), String> {
        let outs = [&mut self.fast, &mut self.slow].map(|router| router.play_as_it_is(side, frames));
        self.compare(side, frames, outs)
    }

    fn compare(&mut self, side: LinkId, frames: &[Vec<u8>], [a, b]: [Out; 2]) -> Result<(), String> {
        let napt = self.setup.napt;
        self.right &= frames.iter().all(|frame| is_plain(frame) && transport_is_right(frame));
        if let Some(frame) = a.lan.iter().chain(&a.wan).find(|f| !may_leave(f)) {
            return Err(format!("this left: {frame:02x?}\nof {frames:02x?}"));
        }
        if let Some(frame) = a.lan.iter().chain(&a.wan).find(|f| self.right && !transport_is_right(f)) {
            return Err(format!("with a wrong transport checksum this left: {frame:02x?}\nof {frames:02x?}"));
        }
        let most = [self.setup.lan_mtu, self.setup.wan_mtu].map(|mtu| usize::from(mtu) + 14);
        for (out, most) in [&a.lan, &a.wan].into_iter().zip(most) {
            if let Some(frame) = out.iter().find(|frame| frame.len() > most) {
                return Err(format!("longer than {most}, this left: {frame:02x?}\nof {frames:02x?}"));
            }
        }
        let (a, b) = (masked(a, napt), masked(b, napt));
        if a.verdicts != b.verdicts {
            return Err(format!("{:?}\n{:?}\nof {frames:02x?} into {side:?}", a.verdicts, b.verdicts));
        }
        let frames_of = |out: &Out| [out.lan.clone(), out.wan.clone()];
        for (a, b) in frames_of(&a).iter().zip(&frames_of(&b)) {
            if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a != b) {
                return Err(format!("fast   {a:02x?}\nslow   {b:02x?}\nof {frames:02x?} into {side:?}"));
            }
            if a.len() != b.len() {
                return Err(format!("{} frames left, and {}, of {frames:02x?} into {side:?}", a.len(), b.len()));
            }
        }
        for &event in Event::ALL {
            let [a, b] = [&self.fast, &self.slow].map(|r| r.event(event));
            // The fast path finds out last that there is no way for a frame; then it was moved and
            // clamped already.
            if a != b && !(a > b && matches!(event, Event::Shifted | Event::MssLowered)) {
                return Err(format!("{}: {a} {b} after {frames:02x?} into {side:?}", event.name()));
            }
        }
        for router in [&self.fast, &self.slow] {
            while router.punted().is_some() {}
        }
        Ok(())
    }

    pub fn wait(&mut self, time: Duration) -> Result<(), String> {
        self.fast.advance(time);
        self.slow.advance(time);
        self.play(LAN, &[])
    }

    /// The end: everything that was held has got its verdict, and the sessions are the same.
    pub fn finish(&mut self) -> Result<(), String> {
        if self.fast.held() != self.slow.held() {
            return Err(format!("{} and {} held", self.fast.held(), self.slow.held()));
        }
        let [a, b] = [&self.fast, &self.slow].map(|router| {
            let mut all = Vec::new();
            if let Some(napt) = &router.napt {
                napt.slice(0, u32::MAX, |s| {
                    all.push((s.inside(), s.peer(), s.outside(), s.packets(), s.is_established()))
                });
            }
            all.sort_by_key(|(a, b, c, ..)| (a.addr.0, a.port.0, b.addr.0, b.port.0, c.port.0));
            all
        });
        if a != b {
            return Err(format!("sessions {a:?}\nand      {b:?}"));
        }
        if !self.setup.rules.is_empty() {
            let [a, b] = [&self.fast, &self.slow].map(Router::ruled);
            if a != b {
                return Err(format!("rules did {a:?}\nand       {b:?}"));
            }
        }
        let [a, b] = [&self.fast, &self.slow].map(|router| {
            let mut all = Vec::new();
            if let Some(filter) = &router.filter6 {
                filter.slice(0, u32::MAX, |s| all.push(format!("{:?} {:?} {}", s.flow(), s.packets(), s.last())));
            }
            all.sort();
            all
        });
        if a != b {
            return Err(format!("IPv6 sessions {a:?}\nand           {b:?}"));
        }
        let [a, b] = [&mut self.fast, &mut self.slow].map(Router::drain);
        if a != b { Err(format!("at the end {a:?}\nand        {b:?}")) } else { Ok(()) }
    }
}
