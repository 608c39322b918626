//! Frames to the router's own addresses: unanswered, or answered to whoever asked, from the address that was asked,
//! with right checksums, and never an answer to an answer.
#![no_main]

use std::net::IpAddr;

use hikyaku_net::checksum::Sum;
use hikyaku_net::packet::{ipv4, ipv6};
use hikyaku_net::{Mac, Time};
use hikyaku_protocols::echo::Echo;
use libfuzzer_sys::fuzz_target;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Bytes as a packet of this version to one of our addresses, with the checksums that bytes do not hit by chance.
fn frame(bytes: &[u8], to: IpAddr) -> Vec<u8> {
    let ethertype = if to.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] };
    let mut frame = [&OURS.0[..], &PEER.0, &ethertype, bytes].concat();
    let packet = &mut frame[14..];
    let len = packet.len() as u16;
    match to {
        IpAddr::V4(to) if packet.len() >= 28 => {
            packet[0] = 0x45;
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            packet[16..20].copy_from_slice(&to.octets());
            packet[10..12].fill(0);
            let sum = Sum::new().bytes(&packet[..20]).checksum();
            packet[10..12].copy_from_slice(&sum.0);
            let (at, pseudo) = match packet[9] {
                1 => (22, Sum::new()),
                6 if packet.len() >= 40 => (36, Sum::new().bytes(&packet[12..20]).number(len - 20).number(6)),
                17 => (26, Sum::new().bytes(&packet[12..20]).number(len - 20).number(17)),
                _ => return frame,
            };
            packet[at..at + 2].fill(0);
            let sum = pseudo.bytes(&packet[20..]).checksum();
            packet[at..at + 2].copy_from_slice(&sum.0);
        }
        IpAddr::V6(to) if packet.len() >= 48 => {
            packet[0] = 0x60;
            packet[4..6].copy_from_slice(&(len - 40).to_be_bytes());
            packet[24..40].copy_from_slice(&to.octets());
            packet[42..44].fill(0);
            let sum = Sum::new().bytes(&packet[8..40]).number(len - 40).number(58).bytes(&packet[40..]).checksum();
            packet[42..44].copy_from_slice(&sum.0);
        }
        _ => {}
    }
    frame
}

/// Source and destination of the packet in a frame, if it is one.
fn ends(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    match frame.get(12..14)? {
        [0x08, 0x00] => Some((frame.get(26..30)?, frame.get(30..34)?)),
        [0x86, 0xdd] => Some((frame.get(22..38)?, frame.get(38..54)?)),
        _ => None,
    }
}

fn check(asked: &[u8], answer: &[u8], ours: &[IpAddr]) {
    assert_eq!((&answer[..6], &answer[6..12]), (&asked[6..12], &OURS.0[..]));
    assert!(answer.len() <= asked.len().max(14 + 576), "longer than what asked for it");
    let (from, to) = ends(answer).expect("an answer is a packet");
    let is_ours = |addr: &[u8]| {
        ours.iter().any(|ours| match ours {
            IpAddr::V4(ours) => ours.octets() == addr,
            IpAddr::V6(ours) => ours.octets() == addr,
        })
    };
    assert_eq!(to, ends(asked).expect("only a packet is answered").0);
    assert!(is_ours(from) && !is_ours(to));
    let packet = &answer[14..];
    match answer[12..14] {
        [0x08, 0x00] => {
            // Behind it there may be padding.
            let len = ipv4::check(packet).expect("a right packet").len;
            assert!(ipv4::transport_checksum_is_right(&packet[..len]));
        }
        _ => {
            let walked = ipv6::walk(packet).expect("a right packet");
            let len = (walked.end - walked.offset) as u16;
            let sum = Sum::new().bytes(&packet[8..40]).number(len).number(58).bytes(&packet[40..]).checksum();
            assert_eq!((walked.protocol, walked.offset, sum.0), (58, 40, [0, 0]));
        }
    }
}

// A byte that says to which address and when; then the packet, which is also played as it stands.
fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let ours: [IpAddr; 3] =
        ["192.168.1.1", "2001:db8:12:3400::1", "fe80::1"].map(|addr| addr.parse().expect("an address"));
    let mut echo = Echo::new(OURS);
    let now = Time(u64::from(how) << 32);
    for frame in [bytes.to_vec(), frame(bytes, ours[usize::from(how % 3)])] {
        for answer in [echo.echo(now, &frame, &ours), echo.refuse(now, &frame, &ours)].into_iter().flatten() {
            check(&frame, &answer, &ours);
            assert_eq!(echo.echo(now, &answer, &ours), None, "an answer to an answer");
        }
    }
});
