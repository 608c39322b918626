//! Any bytes as an IPv4 packet to be cut or answered, as an ICMP error to be translated, as an
//! ICMPv6 error about the tunnel, as a TCP header.
#![no_main]

use arbitrary::Arbitrary;
use hikyaku_dataplane::icmp::{Message, Side, about_tunnel, compose, quoted};
use hikyaku_dataplane::tunnel::{Composed, fragment, mss};
use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::ipv4;
use hikyaku_net::{Addr4, Addr6};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    mtu: u16,
    addr: [u8; 4],
    port: u16,
    ends: [[u8; 16]; 2],
    bytes: Vec<u8>,
}

/// Makes the checksum at `at` of the first `len` bytes right, as far as they are there.
fn right(bytes: &mut [u8], at: usize, len: usize, seed: Sum) {
    let len = len.min(bytes.len());
    if len >= at + 2 {
        bytes[at..at + 2].fill(0);
        let sum = seed.bytes(&bytes[..len]).checksum();
        bytes[at..at + 2].copy_from_slice(&sum.0);
    }
}

fn emitted(packet: Composed<'_>, mtu: usize) {
    let mut bytes = vec![0; packet.len()];
    packet.write(&mut bytes);
    assert!(bytes.len() <= mtu);
    assert_eq!(ipv4::check(&bytes).map(|c| c.len), Ok(bytes.len()));
}

fuzz_target!(|input: Input| {
    let Input { mtu, addr, port, ends: [near, far], bytes } = input;
    let (near, far) = (Addr6(near), Addr6(far));

    let mut packet = bytes.clone();
    let header = packet.first().map_or(0, |b| (b & 15) as usize * 4);
    right(&mut packet, 10, header, Sum::new());
    if let Ok(pieces) = fragment::inner(&packet, mtu) {
        pieces.for_each(|piece| emitted(piece, mtu.into()));
    }
    if let Some(error) = compose(Message::too_big(mtu), Addr4(addr), port, &packet) {
        emitted(error, 576);
    }

    // The same packet, quoted.
    for kind in [3, 11] {
        let mut message = [&[kind, 0, 0, 0, 0, bytes.len() as u8 / 8, 0, 0][..], &packet].concat();
        let len = message.len();
        right(&mut message, 2, len, Sum::new());
        if let Ok(mut found) = quoted(&message) {
            for side in [Side::Source, Side::Destination] {
                found.rewrite(&mut message, side, Addr4(addr), port.into());
                assert_eq!(Sum::new().bytes(&message).checksum(), Checksum::ABSENT);
                assert_eq!(quoted(&message), Ok(found));
            }
        }
    }

    let mut message = bytes.clone();
    if message.len() >= 48 {
        message[8] = 0x60;
        message[16..32].copy_from_slice(&near.0);
        message[32..48].copy_from_slice(&far.0);
    }
    let len = message.len();
    let pseudo = Sum::new().bytes(&far.0).bytes(&near.0).number(len as u16).number(58);
    right(&mut message, 2, len, pseudo);
    if let Ok(error) = about_tunnel((far, near), &message, (near, far)) {
        let relayed = error.relay(mtu).and_then(|message| compose(message, Addr4(addr), port, error.inner));
        relayed.into_iter().for_each(|packet| emitted(packet, 576));
    }

    let mut tcp = bytes;
    mss::clamp(&mut tcp, mtu);
});
