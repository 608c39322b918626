//! Any packets, in any order, at any time, into a small reassembler: it counts each frame once and
//! never holds more than it may.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use hikyaku_dataplane::tunnel::reassembly::{Limits, MAX_PIECES, Push, Reassembler};
use hikyaku_net::Time;
use hikyaku_net::packet::ipv6;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    datagrams: u8,
    max_len: u16,
    frames: Vec<Frame>,
}

#[derive(Arbitrary, Debug)]
enum Frame {
    Wait(u16),
    Raw(Vec<u8>),
    Fragment { id: u8, next: u8, class: u8, offset: u8, more: bool, fill: u8, len: u8 },
}

impl Frame {
    fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Wait(_) => Vec::new(),
            Self::Raw(ref bytes) => bytes.clone(),
            Self::Fragment { id, next, class, offset, more, fill, len } => {
                let mut packet = vec![0; 48 + len as usize];
                (packet[0], packet[1]) = (0x60 | class >> 4, class << 4);
                packet[4..8].copy_from_slice(&[0, 0, 44, 64]);
                packet[4..6].copy_from_slice(&(8 + u16::from(len)).to_be_bytes());
                let next = if next < 128 { 4 } else { next & 0x3f };
                packet[40] = next;
                packet[42..44].copy_from_slice(&(u16::from(offset) * 8 | u16::from(more)).to_be_bytes());
                packet[47] = id & 7;
                packet[48..].fill(fill);
                packet
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let datagrams = u16::from(input.datagrams % 8) + 1;
    let limits = Limits { datagrams, max_len: input.max_len % 4096, timeout: Duration::from_millis(2000) };
    let mut all = Reassembler::new(limits);
    let (mut now, mut received, mut verdicts) = (Time(0), 0, 0);
    for frame in &input.frames {
        if let Frame::Wait(millis) = frame {
            now = now + Duration::from_millis((*millis).into());
            all.expire(now, |_, n| verdicts += u64::from(n));
            continue;
        }
        let packet = frame.bytes();
        let Ok(walked) = ipv6::walk(&packet) else { continue };
        received += 1;
        let mut released = 0;
        match all.push(now, &packet, &walked, |_, n| released += u64::from(n)) {
            Push::Held => {}
            Push::Bad(_) => verdicts += 1,
            Push::Whole(whole) => {
                assert!(whole.packet.len() >= 20 && whole.packet.len() <= packet.len().max(4096));
                verdicts += u64::from(whole.fragments);
            }
        }
        verdicts += released;
        assert_eq!(received, verdicts + all.held());
        assert!(all.held() <= u64::from(datagrams) * MAX_PIECES as u64);
    }
    all.drain(|_, n| verdicts += u64::from(n));
    assert_eq!((received, all.held()), (verdicts, 0));
});
