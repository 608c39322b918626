//! Fragments, reassembly and ICMP as seen from outside. What is emitted is read by `etherparse`,
//! not by the code that wrote it.

mod about_tunnel;
mod fragment;
mod icmp_error;
mod reassembly;
mod reassembly_model;
mod translate;

use etherparse::{IpHeaders, IpNumber, IpSlice, Ipv4HeaderSlice, Ipv4Slice, Ipv6Slice, PacketBuilder};
use hikyaku_dataplane::tunnel::{Composed, Outer};
use hikyaku_net::Addr6;

const LOCAL: Addr6 = Addr6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const REMOTE: Addr6 = Addr6([0x20, 1, 0xd, 0xb8, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xaa]);
const OUTER: Outer = Outer { src: LOCAL, dst: REMOTE, class: 0x2e, flow: 0xabcde, hop_limit: 64 };

/// A packet in a buffer with a byte behind it, to see that nothing is written there.
fn written(piece: Composed<'_>) -> Vec<u8> {
    let mut bytes = vec![0xa5; piece.len() + 1];
    piece.write(&mut bytes);
    assert_eq!(bytes.pop(), Some(0xa5));
    bytes
}

/// Bytes that are not all alike.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// An IPv4 packet with these options and flags-and-offset, its checksum by etherparse.
fn ipv4(options: &[u8], fragment: u16, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    let mut header = etherparse::Ipv4Header::new(
        (options.len() + payload.len()) as u16,
        63,
        protocol,
        [192, 168, 1, 10],
        [203, 0, 113, 5],
    )
    .unwrap();
    header.options = options.try_into().unwrap();
    header.set_payload_len(payload.len()).unwrap();
    header.identification = 0xbeef;
    header.dont_fragment = fragment & 0x4000 != 0;
    header.more_fragments = fragment & 0x2000 != 0;
    header.fragment_offset = (fragment & 0x1fff).try_into().unwrap();
    let mut packet = Vec::new();
    header.write(&mut packet).unwrap();
    packet.extend(payload);
    packet
}

/// UDP without DF from 192.168.1.10:40000 to 203.0.113.5:53.
fn udp(payload: &[u8]) -> Vec<u8> {
    let header = Ipv4HeaderSlice::from_slice(&ipv4(&[], 0, IpNumber::UDP, &[])).unwrap().to_header();
    let mut packet = Vec::new();
    PacketBuilder::ip(IpHeaders::Ipv4(header, Default::default())).udp(40000, 53).write(&mut packet, payload).unwrap();
    packet
}

fn read4(packet: &[u8]) -> Ipv4Slice<'_> {
    let IpSlice::Ipv4(ip) = IpSlice::from_slice(packet).unwrap() else { panic!("not IPv4") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    ip
}

fn read6(packet: &[u8]) -> Ipv6Slice<'_> {
    let IpSlice::Ipv6(ip) = IpSlice::from_slice(packet).unwrap() else { panic!("not IPv6") };
    assert_eq!(ip.header().payload_length() as usize, packet.len() - 40);
    ip
}
