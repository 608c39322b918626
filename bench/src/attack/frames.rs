//! Frames that an enemy sends. Lengths and header checksums are right unless that is the attack: what is broken is
//! dropped first of all.

use std::net::Ipv6Addr;

use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::{Ethernet, Icmp, Ipv4, Ipv6, Tcp, Udp, ethertype};
use hikyaku_net::{Addr4, Port, protocol};
use zerocopy::IntoBytes;

use crate::traffic::{self, CE, GATEWAY, HOP_LIMIT, OURS};

/// The LAN's shortest frame.
const SHORTEST: usize = 60;

/// An IPv4 header, but for what follows from the rest.
#[derive(Clone, Copy, Debug)]
pub struct Ip {
    pub src: Addr4,
    pub dst: Addr4,
    pub protocol: u8,
    pub ttl: u8,
    pub id: u16,
    /// Flags and fragment offset as they stand in the header (RFC 791 3.1).
    pub fragment: u16,
}

impl Ip {
    pub fn new(protocol: u8, src: Addr4, dst: Addr4) -> Self {
        Self { src, dst, protocol, ttl: 64, id: 0, fragment: 0 }
    }

    /// With what it carries.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut ip = Ipv4 {
            version_ihl: 0x45,
            tos: 0,
            total_len: (20 + payload.len() as u16).into(),
            id: self.id.into(),
            fragment: self.fragment.into(),
            ttl: self.ttl,
            protocol: self.protocol,
            checksum: Checksum::ABSENT,
            src: self.src,
            dst: self.dst,
        };
        ip.checksum = Sum::new().bytes(ip.as_bytes()).checksum();
        [ip.as_bytes(), payload].concat()
    }
}

/// A segment without data.
pub fn tcp(src: Port, dst: Port, flags: u8) -> Vec<u8> {
    let checksum = Checksum([0x12, 0x34]); // nobody on the path checks it, only updates it
    let (seq, ack, offset, window) = (1.into(), 0.into(), 5 << 4, 1000.into());
    Tcp { src, dst, seq, ack, offset, flags, window, checksum, urgent: 0.into() }.as_bytes().to_vec()
}

/// A datagram with so many bytes of data.
pub fn udp(src: Port, dst: Port, data: usize) -> Vec<u8> {
    let header = Udp { src, dst, len: (8 + data as u16).into(), checksum: Checksum([0x12, 0x34]) };
    [header.as_bytes(), &vec![0; data]].concat()
}

/// A message; `word` is the second half of its header.
pub fn icmp(kind: u8, code: u8, word: u32, data: &[u8]) -> Vec<u8> {
    let (id, seq) = (((word >> 16) as u16).into(), (word as u16).into());
    let mut header = Icmp { kind, code, checksum: Checksum::ABSENT, id, seq };
    header.checksum = Sum::new().bytes(header.as_bytes()).bytes(data).checksum();
    [header.as_bytes(), data].concat()
}

/// A message of ICMPv6 from `src` to our end of the tunnel.
pub fn icmpv6(src: Ipv6Addr, kind: u8, word: u32, data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0][..], &word.to_be_bytes(), data].concat();
    let pseudo = Sum::new().bytes(&src.octets()).bytes(&CE.octets()).number(message.len() as u16).number(58);
    let sum = pseudo.bytes(&message).checksum();
    message[2..4].copy_from_slice(&sum.0);
    message
}

/// A packet of the LAN's host number `n`.
pub fn on_lan(n: u32, packet: &[u8]) -> Vec<u8> {
    let ethernet = Ethernet { dst: OURS[0], src: traffic::station(n), ethertype: ethertype::IPV4.into() };
    let mut frame = [ethernet.as_bytes(), packet].concat();
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// What is in an IPv6 packet from `src` to our end of the tunnel.
pub fn in_tunnel(src: Ipv6Addr, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let ethernet = Ethernet { dst: OURS[1], src: GATEWAY, ethertype: ethertype::IPV6.into() };
    [ethernet.as_bytes(), &outer(src, CE, next_header, payload)].concat()
}

/// An IPv6 packet in an Ethernet frame to the router's WAN.
pub fn outer(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6 {
        version_class_flow: Ipv6::version_class_flow(0, 0),
        payload_len: (payload.len() as u16).into(),
        next_header,
        hop_limit: HOP_LIMIT,
        src: src.into(),
        dst: dst.into(),
    };
    [header.as_bytes(), payload].concat()
}

/// A piece of a tunnelled packet, from its fragment header on.
pub fn piece(id: u32, offset: u16, more: bool, bytes: &[u8]) -> Vec<u8> {
    let [a, b] = (offset | u16::from(more)).to_be_bytes();
    [&[protocol::IPV4, 0, a, b][..], &id.to_be_bytes(), bytes].concat()
}
