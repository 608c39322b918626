//! What is not part of something we began is dropped, counted, and never answered.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::sockets::fuzz;

/// A stack with a DNS question in the air: from `OURS` port 4000 to `THEIRS` port 53.
fn asked() -> (Stack, crate::sockets::UdpHandle) {
    let mut stack = Stack::new(Arc::new(|| ()));
    stack.set_addresses(&[OURS]);
    let handle = stack.udp_open(OURS, 4000).unwrap();
    stack.udp_send(handle, theirs(53), b"?").unwrap();
    assert!(stack.drive(Time(1)).is_some());
    assert_eq!(stack.drive(Time(1)), None);
    (stack, handle)
}

fn v6(from: Ipv6Addr, to: Ipv6Addr) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ipv6(from.octets(), to.octets(), 60)
}

fn built(step: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = Vec::new();
    step(&mut packet);
    packet
}

fn udp(from: Ipv6Addr, from_port: u16, to: Ipv6Addr, port: u16) -> Vec<u8> {
    built(|p| v6(from, to).udp(from_port, port).write(p, b"answer").unwrap())
}

/// Plays it; nothing may be answered. What the counters then say.
fn silent(packet: &[u8]) -> crate::sockets::Counts {
    let (mut stack, handle) = asked();
    stack.handle_input(Time(2), packet);
    assert_eq!(stack.drive(Time(2)), None, "answered");
    assert_eq!(stack.udp_recv(handle), Ok(None));
    assert_eq!(stack.counts.heard, 1);
    stack.counts
}

#[test]
fn an_answer_is_let_in_with_padding_behind_it() {
    let (mut stack, handle) = asked();
    let mut packet = udp(THEIRS, 53, OURS, 4000);
    packet.extend([0; 20]);
    stack.handle_input(Time(2), &packet);
    assert_eq!(stack.udp_recv(handle), Ok(Some((theirs(53), b"answer".to_vec()))));
}

#[test]
fn what_nobody_asked_for_is_not_answered() {
    // RFC 6092 3.1; smoltcp alone would send a reset or port unreachable.
    let syn = built(|p| v6(THEIRS, OURS).tcp(1000, 80, 1, 1000).syn().write(p, &[]).unwrap());
    let ack = built(|p| v6(THEIRS, OURS).tcp(1000, 80, 1, 1000).ack(7).write(p, b"data").unwrap());
    for packet in [syn, ack, udp(THEIRS, 53, OURS, 4001), udp(THEIRS, 54, OURS, 4000), udp(OURS, 53, OURS, 4000)] {
        assert_eq!(silent(&packet).unsolicited, 1);
    }
}

#[test]
fn addresses_that_cannot_be_or_are_not_ours_are_dropped() {
    let multicast: Ipv6Addr = "ff02::1".parse().unwrap();
    for (from, to) in [
        (THEIRS, THEIRS),
        (THEIRS, multicast),
        (multicast, OURS),
        (Ipv6Addr::UNSPECIFIED, OURS),
        (Ipv6Addr::LOCALHOST, OURS),
        (THEIRS, Ipv6Addr::LOCALHOST),
    ] {
        assert_eq!(silent(&udp(from, 53, to, 4000)).foreign, 1, "{from} to {to}");
    }
}

#[test]
fn wrong_checksums_and_lengths_are_dropped() {
    let good = udp(THEIRS, 53, OURS, 4000);
    for i in [41, 43, 46, 48] {
        let mut bad = good.clone();
        bad[i] ^= 1;
        assert_eq!(silent(&bad).malformed, 1, "byte {i}");
    }
    // RFC 8200 8.1: no checksum is a wrong one.
    let mut bad = good.clone();
    bad[46..48].fill(0);
    assert_eq!(silent(&bad).malformed, 1);
    for len in 0..good.len() {
        assert_eq!(silent(&good[..len]).malformed, 1, "{len} bytes");
    }
    let v4 = built(|p| PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 9).udp(1, 2).write(p, b"").unwrap());
    assert_eq!(silent(&v4).malformed, 1);
}

#[test]
fn fragments_extension_headers_and_other_protocols_are_dropped() {
    let mut fragment = udp(THEIRS, 53, OURS, 4000);
    fragment[6] = 44;
    assert_eq!(silent(&fragment).fragment, 1);
    for protocol in [0, 43, 60, 50, 51, 4, 41, 47, 59, 255] {
        let mut packet = udp(THEIRS, 53, OURS, 4000);
        packet[6] = protocol;
        assert_eq!(silent(&packet).protocol, 1, "{protocol}");
    }
    // An echo request is somebody else's to answer.
    let echo = built(|p| v6(THEIRS, OURS).icmpv6_echo_request(1, 1).write(p, b"").unwrap());
    assert_eq!(silent(&echo).protocol, 1);
}

proptest! {
    #[test]
    fn any_bytes_are_counted_and_not_answered(packet in prop::collection::vec(any::<u8>(), 0..200)) {
        silent(&packet);
    }

    /// Changes at a few places of an answer get no further than an answer.
    #[test]
    fn mutated_answers_are_let_in_whole_or_not_at_all(changes in prop::collection::vec((0..54usize, any::<u8>()), 1..4)) {
        let (mut stack, handle) = asked();
        let mut packet = udp(THEIRS, 53, OURS, 4000);
        for (i, byte) in changes {
            packet[i] = byte;
        }
        stack.handle_input(Time(2), &packet);
        prop_assert_eq!(stack.drive(Time(2)), None);
        let c = stack.counts;
        let dropped = c.malformed + c.foreign + c.fragment + c.protocol + c.unsolicited;
        prop_assert_eq!(dropped + u64::from(stack.udp_recv(handle).unwrap().is_some()), 1);
    }

    /// Also the fuzzer's entry, so that it stays alive.
    #[test]
    fn a_connection_survives_any_segments(packets in prop::collection::vec(segment(), 0..40)) {
        fuzz(&packets.concat());
    }
}

#[test]
fn the_fuzzer_gets_through_to_a_reader() {
    let segment = |flags: u8, ack: u8, seq: u8, payload: &[u8]| {
        let tcp = [0, 0, 0, 0, 0, 0, 0, seq, 0, 0, 0, ack, 0x50, flags, 0x10, 0, 0, 0, 0, 0];
        let packet = [&v6_header(6, 20 + payload.len())[..], &tcp, payload].concat();
        [&[packet.len() as u8], &packet[..]].concat()
    };
    const SYN_ACK: u8 = 0x12;
    const ACK: u8 = 0x10;
    assert_eq!(fuzz(&[segment(SYN_ACK, 1, 0, b""), segment(ACK, 1, 1, b"hello")].concat()), 5);
}

/// A length and a TCP segment with any flags, numbers, window, options and payload, in the fuzzer's framing.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    (any::<[u8; 20]>(), prop::collection::vec(any::<u8>(), 0..80), 5..9u8).prop_map(|(mut tcp, rest, words)| {
        tcp[12] = words << 4;
        let mut packet = v6_header(6, 20 + rest.len());
        packet.extend(tcp);
        packet.extend(rest);
        packet.insert(0, packet.len() as u8);
        packet
    })
}

fn v6_header(protocol: u8, payload: usize) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0, 0, payload as u8, protocol, 64];
    header.extend(THEIRS.octets());
    header.extend(OURS.octets());
    header
}
