use etherparse::{Icmpv4Slice, Icmpv4Type, IpNumber, PacketBuilder};
use hikyaku_dataplane::icmp::{Message, Quoted, Side, compose, quoted};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::checksum::{Checksum, Delta, Sum};
use hikyaku_net::{Addr4, Port, protocol};
use proptest::prelude::*;

use super::{bytes, ipv4, read4, udp, written};

const A: [u8; 4] = [198, 51, 100, 1];
const B: [u8; 4] = [203, 0, 113, 5];

/// A packet from `src` to `dst`, with all its checksums.
fn packet(protocol: u8, (src, src_port): ([u8; 4], u16), (dst, dst_port): ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let ip = PacketBuilder::ipv4(src, dst, 1);
    let mut packet = Vec::new();
    match protocol {
        protocol::TCP => ip.tcp(src_port, dst_port, 7, 1000).write(&mut packet, payload),
        protocol::UDP => ip.udp(src_port, dst_port).write(&mut packet, payload),
        protocol::UDP_LITE => {
            // The same checksum at the same place, over another protocol number.
            let udp = self::packet(protocol::UDP, (src, src_port), (dst, dst_port), payload);
            ip.write(&mut packet, IpNumber(protocol::UDP_LITE), &udp[20..]).unwrap();
            let delta = Delta::word(u16::from(protocol::UDP).to_be(), u16::from(protocol::UDP_LITE).to_be());
            let sum = Checksum([packet[26], packet[27]]).updated_udp(delta);
            packet[26..28].copy_from_slice(&sum.0);
            Ok(())
        }
        other if protocol::is_by_address(other) => ip.write(&mut packet, IpNumber(other), payload),
        _ => ip.icmpv4_echo_request(src_port, 9).write(&mut packet, payload),
    }
    .unwrap();
    packet
}

/// The ICMP message of an error about `about`, quoting `quote` bytes of it.
fn error(about: &[u8], quote: usize) -> Vec<u8> {
    let from = Addr4([192, 0, 2, 254]);
    let error = compose(Message::TIME_EXCEEDED, from, 1, &about[..quote.min(about.len())]).map(written).unwrap();
    error[20..].to_vec()
}

/// An ICMP message with this body and a right checksum.
fn message(kind: u8, word: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(word);
    message.extend(body);
    let sum = Sum::new().bytes(&message).checksum();
    message[2..4].copy_from_slice(&sum.0);
    message
}

/// Type, quote, and the checksum found right.
fn read(message: &[u8]) -> (Icmpv4Type, &[u8]) {
    let icmp = Icmpv4Slice::from_slice(message).unwrap();
    assert_eq!(Sum::new().bytes(message).checksum(), Checksum::ABSENT);
    (icmp.icmp_type(), icmp.payload())
}

fn of(message: &[u8]) -> Quoted {
    quoted(message).unwrap()
}

const BAD: Result<Quoted, Reason> = Err(Reason::NaptIcmpError);

#[test]
fn rfc5508_4_the_packet_an_error_is_about() {
    for protocol in [protocol::TCP, protocol::UDP, protocol::ICMP] {
        let about = packet(protocol, (A, 40000), (B, 443), &bytes(100));
        for quote in [28, 36, 600] {
            let found = of(&error(&about, quote));
            assert_eq!((found.protocol, found.src, found.dst), (protocol, Addr4(A), Addr4(B)));
            let dst_port = if protocol == protocol::ICMP { 40000 } else { 443 };
            assert_eq!((found.src_port, found.dst_port), (40000.into(), dst_port.into()));
        }
    }
}

#[test]
fn rfc5508_req_3_icmp_checksum() {
    let mut message = error(&udp(b"x"), 600);
    message[30] ^= 1;
    assert_eq!(quoted(&message), Err(Reason::TransportHeader));
    for len in 0..8 {
        assert_eq!(quoted(&message[..len]), Err(Reason::TransportHeader));
    }
}

#[test]
fn rfc5508_req_3a_quoted_header_checksum() {
    let mut about = udp(b"x");
    about[10] ^= 1;
    assert_eq!(quoted(&message(11, [0; 4], &about)), BAD);
}

#[test]
fn rfc5508_req_3b_options_in_the_quoted_header() {
    let ports = [0x9c, 0x40, 0, 53, 0, 16, 0x11, 0x22];
    for words in 0..=10 {
        let about = ipv4(&[1; 4].repeat(words), 0, IpNumber::UDP, &ports);
        let found = of(&message(11, [0; 4], &about));
        assert_eq!((found.src_port, found.dst_port), (40000.into(), 53.into()), "{words} words of options");
    }
}

#[test]
fn rfc5508_req_3c_quoted_transport_checksum_is_not_judged() {
    let mut about = packet(protocol::UDP, (A, 1), (B, 2), b"payload");
    about[26] ^= 0x55;
    assert!(quoted(&error(&about, 600)).is_ok());
}

#[test]
fn what_can_belong_to_no_session() {
    let ports = [0x9c, 0x40, 0, 53, 0, 16, 0x11, 0x22];
    let later_fragment = ipv4(&[], 100, IpNumber::UDP, &ports);
    let ah = ipv4(&[], 0, IpNumber::AUTHENTICATION_HEADER, &ports);
    let about_error = ipv4(&[], 0, IpNumber::ICMP, &[3, 1, 0, 0, 0, 0, 0, 0]);
    let short = ipv4(&[], 0, IpNumber::UDP, &ports[..7]);
    for about in [later_fragment, ah, about_error, short] {
        assert_eq!(quoted(&message(11, [0; 4], &about)), BAD);
    }
    let first_fragment = ipv4(&[], 0x2000, IpNumber::UDP, &ports);
    assert!(quoted(&message(11, [0; 4], &first_fragment)).is_ok());
}

#[test]
fn redirects_source_quenches_and_queries_stop_here() {
    for kind in (0..=255).filter(|kind| ![3, 11, 12].contains(kind)) {
        assert_eq!(quoted(&message(kind, [0; 4], &udp(b"x"))), BAD, "type {kind}");
    }
}

#[test]
fn cut_quotes() {
    let about = packet(protocol::TCP, (A, 1), (B, 2), b"payload");
    for len in 0..about.len() {
        assert_eq!(quoted(&message(3, [0; 4], &about[..len])).is_ok(), len >= 28, "{len}");
    }
}

#[test]
fn rfc5508_req_4_to_the_inside_host() {
    // An error from outside about 198.51.100.1:40000 -> 203.0.113.5:53, which is 192.168.1.10's.
    let about = packet(protocol::UDP, (A, 40000), (B, 53), b"question");
    let mut message = error(&about, 600);
    let mut found = of(&message);
    found.rewrite(&mut message, Side::Source, Addr4([192, 168, 1, 10]), 5353.into());
    assert_eq!(read(&message).1, packet(protocol::UDP, ([192, 168, 1, 10], 5353), (B, 53), b"question"));
    assert_eq!(quoted(&message), Ok(found));
}

#[test]
fn rfc5508_req_5_to_the_outside_peer() {
    let about = packet(protocol::TCP, (B, 80), ([192, 168, 1, 10], 5353), b"answer");
    let mut message = error(&about, 600);
    of(&message).rewrite(&mut message, Side::Destination, Addr4(A), 40000.into());
    assert_eq!(read(&message).1, packet(protocol::TCP, (B, 80), (A, 40000), b"answer"));
}

#[test]
fn both_sides_for_a_hairpin() {
    let about = packet(protocol::UDP, (A, 40000), (B, 53), b"question");
    let mut message = error(&about, 600);
    let mut found = of(&message);
    found.rewrite(&mut message, Side::Source, Addr4([192, 168, 1, 10]), 5353.into());
    found.rewrite(&mut message, Side::Destination, Addr4([192, 168, 1, 20]), 53.into());
    let expected = packet(protocol::UDP, ([192, 168, 1, 10], 5353), ([192, 168, 1, 20], 53), b"question");
    assert_eq!(read(&message).1, expected);
}

#[test]
fn rfc768_an_absent_udp_checksum_stays_absent() {
    let mut about = packet(protocol::UDP, (A, 40000), (B, 53), b"question");
    about[26..28].fill(0);
    let mut message = error(&about, 600);
    of(&message).rewrite(&mut message, Side::Source, Addr4([192, 168, 1, 10]), 1.into());
    assert_eq!(read(&message).1[26..28], [0, 0]);
}

#[test]
fn rfc4884_extensions_are_left_alone() {
    // 128 bytes quoted (32 words), then an extension: MPLS labels, say. The quote is cut before
    // the TCP checksum in the second case: six words are 20 bytes of IPv4 and 4 of ports.
    let about = packet(protocol::TCP, (A, 40000), (B, 443), &bytes(200));
    let extension = [0x20, 0, 0, 0, 0, 8, 1, 1, 0xca, 0xfe, 0xba, 0xbe];
    for words in [32u8, 7] {
        let quote = words as usize * 4;
        let body = [&about[..quote], &extension].concat();
        let mut message = message(11, [0, words, 0, 0], &body);
        of(&message).rewrite(&mut message, Side::Source, Addr4([192, 168, 1, 10]), 5353.into());
        let expected = packet(protocol::TCP, ([192, 168, 1, 10], 5353), (B, 443), &bytes(200));
        assert_eq!(read(&message).1, [&expected[..quote], &extension].concat(), "{words}");
    }
    // A length beyond the message.
    assert_eq!(quoted(&message(11, [0, 200, 0, 0], &about)), Err(Reason::TransportHeader));
}

#[test]
fn rfc4884_zero_padding_is_no_checksum() {
    // A first fragment of eight bytes of TCP, padded to 128 bytes because extensions follow.
    let mut about = ipv4(&[], 0x2000, IpNumber::TCP, &[0x9c, 0x40, 0, 80, 1, 2, 3, 4]);
    about.resize(128, 0);
    let mut message = message(11, [0, 32, 0, 0], &about);
    of(&message).rewrite(&mut message, Side::Source, Addr4(A), 5353.into());
    assert_eq!(read(&message).1[28..], [0; 100]);
}

proptest! {
    #[test]
    fn rewritten_equals_the_packet_as_it_would_have_been(
        which in 0usize..5, src: [u8; 4], dst: [u8; 4], ports: (u16, u16), side: bool, new: [u8; 4], port: u16,
        len in 0usize..600, quote in 28usize..700
    ) {
        let protocol = [protocol::TCP, protocol::UDP, protocol::ICMP, protocol::UDP_LITE, 47][which];
        // Hosts that may be answered.
        let [src, dst, new] = [src, dst, new].map(|[_, b, c, d]| [10, b, c, d]);
        let (mut from, mut to) = ((src, ports.0), (dst, ports.1));
        let about = packet(protocol, from, to, &bytes(len));
        let mut message = error(&about, quote);
        let mut found = of(&message);
        let end = if side { &mut from } else { &mut to };
        // What is translated by address keeps its ports, if they are any.
        *end = (new, if protocol::is_by_address(protocol) { end.1 } else { port });
        if protocol == protocol::ICMP {
            from.1 = port;
        }
        found.rewrite(&mut message, if side { Side::Source } else { Side::Destination }, Addr4(new), port.into());
        let expected = packet(protocol, from, to, &bytes(len));
        let kept = read(&message).1.len();
        // Half a TCP checksum cannot be brought up to date.
        let same = if protocol == protocol::TCP && kept == 37 { 36 } else { kept };
        prop_assert_eq!(&read(&message).1[..same], &expected[..same]);
        prop_assert_eq!(quoted(&message), Ok(found));
        if kept == expected.len() {
            read4(read(&message).1);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        kind in prop::sample::select(vec![3u8, 11, 12]), word: [u8; 4], at in 0usize..28, byte: u8, right: bool,
        cut in 0usize..60, which in prop::sample::select(vec![1u8, 6, 17, 47, 136])
    ) {
        let mut about = packet(which, (A, 1), (B, 2), b"a payload");
        about[at] = byte;
        if right {
            about[10..12].fill(0);
            let header = ((about[0] & 15) as usize * 4).min(about.len());
            let sum = Sum::new().bytes(&about[..header]).checksum();
            about[10..12].copy_from_slice(&sum.0);
        }
        about.truncate(cut);
        let mut message = message(kind, word, &about);
        if let Ok(mut found) = quoted(&message) {
            found.rewrite(&mut message, Side::Source, Addr4(A), Port::from(9));
            found.rewrite(&mut message, Side::Destination, Addr4(B), Port::from(10));
            prop_assert_eq!(quoted(&message), Ok(found));
        }
    }
}
