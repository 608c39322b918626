//! Two routers, one without fast lanes, that must not differ in anything. No etherparse here: the
//! fuzz target uses this file, too.

use std::time::Duration;

use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::snapshot::LinkId;

use super::router::{LAN, Out, Router, Setup};

/// RFC 1071, word by word.
pub fn internet_sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0))).sum();
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
            let whole = frame[20] == 4;
            len + 54 == frame.len().max(len + 54) && (whole || frame[20] == 44) && (!whole || ipv4(&frame[54..], false))
        }
        _ => false,
    }
}

/// What may differ: identifications are random, and so is the flow label without NAPT.
fn masked(mut out: Out, napt: bool) -> Out {
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
    for frame in &mut out.wan {
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
    out.lan.iter_mut().for_each(|frame| mask4(&mut frame[14..]));
    out
}

pub struct Twins {
    pub setup: Setup,
    pub fast: Router,
    pub closer: Router,
}

impl Twins {
    pub fn new(setup: &Setup) -> Self {
        let [fast, closer] = [true, false].map(|fast| Router::new(&Setup { fast, ..setup.clone() }));
        Self { setup: setup.clone(), fast, closer }
    }

    /// One burst into both. `Err` says how they differ.
    pub fn play(&mut self, side: LinkId, frames: &[Vec<u8>]) -> Result<(), String> {
        let outs = [&mut self.fast, &mut self.closer].map(|router| router.play(side, frames));
        self.compare(side, frames, outs)
    }

    /// The same, whatever tag the frames have.
    pub fn play_as_it_is(&mut self, side: LinkId, frames: &[Vec<u8>]) -> Result<(), String> {
        let outs = [&mut self.fast, &mut self.closer].map(|router| router.play_as_it_is(side, frames));
        self.compare(side, frames, outs)
    }

    fn compare(&mut self, side: LinkId, frames: &[Vec<u8>], [a, b]: [Out; 2]) -> Result<(), String> {
        let napt = self.setup.napt;
        if let Some(frame) = a.lan.iter().chain(&a.wan).find(|f| !may_leave(f)) {
            return Err(format!("this left: {frame:02x?}\nof {frames:02x?}"));
        }
        let (a, b) = (masked(a, napt), masked(b, napt));
        if a.verdicts != b.verdicts {
            return Err(format!("{:?}\n{:?}\nof {frames:02x?} into {side:?}", a.verdicts, b.verdicts));
        }
        let frames_of = |out: &Out| [out.lan.clone(), out.wan.clone()];
        for (a, b) in frames_of(&a).iter().zip(&frames_of(&b)) {
            if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a != b) {
                return Err(format!("fast   {a:02x?}\ncloser {b:02x?}\nof {frames:02x?} into {side:?}"));
            }
            if a.len() != b.len() {
                return Err(format!("{} frames left, and {}, of {frames:02x?} into {side:?}", a.len(), b.len()));
            }
        }
        for &event in Event::ALL {
            let [a, b] = [&self.fast, &self.closer].map(|r| r.event(event));
            // The fast lanes find out last that there is no way for a frame; then it was moved and
            // clamped already.
            if a != b && !(a > b && matches!(event, Event::Shifted | Event::MssLowered)) {
                return Err(format!("{}: {a} {b} after {frames:02x?} into {side:?}", event.name()));
            }
        }
        for router in [&self.fast, &self.closer] {
            while router.punted().is_some() {}
        }
        Ok(())
    }

    pub fn wait(&mut self, time: Duration) -> Result<(), String> {
        self.fast.advance(time);
        self.closer.advance(time);
        self.play(LAN, &[])
    }

    /// The end: everything that was held has got its verdict, and the sessions are the same.
    pub fn finish(&mut self) -> Result<(), String> {
        if self.fast.held() != self.closer.held() {
            return Err(format!("{} and {} held", self.fast.held(), self.closer.held()));
        }
        let [a, b] = [&self.fast, &self.closer].map(|router| {
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
        let [a, b] = [&mut self.fast, &mut self.closer].map(Router::drain);
        if a != b { Err(format!("at the end {a:?}\nand        {b:?}")) } else { Ok(()) }
    }
}
