//! Frames built and read.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{Icmpv6Type, LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use hikyaku_net::Mac;

/// A frame that was read, checksums included.
#[derive(Clone, Debug)]
pub struct Heard {
    pub to: Mac,
    pub from: Mac,
    pub what: What,
    /// From the IP header on.
    pub packet: Vec<u8>,
}

#[derive(Clone, Debug)]
pub enum What {
    Arp {
        request: bool,
        mac: Mac,
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    Icmp6 {
        src: Ipv6Addr,
        dst: Ipv6Addr,
        hop_limit: u8,
        kind: u8,
        body: Vec<u8>,
    },
    Udp6 {
        src: Ipv6Addr,
        dst: Ipv6Addr,
        ports: (u16, u16),
        payload: Vec<u8>,
    },
    Udp4 {
        ports: (u16, u16),
        payload: Vec<u8>,
    },
    /// IPv6 of another kind.
    Other6 {
        dst: Ipv6Addr,
    },
    Other,
}

/// Reads a frame of the router's. Panics if it is broken: a router sends none.
pub fn read(frame: &[u8]) -> Heard {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { panic!("{frame:?}") };
    let mac = |bytes: &[u8]| Mac(bytes.try_into().unwrap());
    let addr4 = |bytes: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(bytes).unwrap());
    let what = match (&sliced.net, &sliced.transport) {
        (Some(NetSlice::Arp(arp)), _) => What::Arp {
            request: arp.operation() == etherparse::ArpOperation::REQUEST,
            mac: mac(arp.sender_hw_addr()),
            sender: addr4(arp.sender_protocol_addr()),
            target: addr4(arp.target_protocol_addr()),
        },
        (Some(NetSlice::Ipv6(ip)), transport) => {
            let header = ip.header();
            let (src, dst) = (header.source_addr(), header.destination_addr());
            match transport {
                Some(TransportSlice::Icmpv6(icmp)) => {
                    assert!(icmp.is_checksum_valid(src.octets(), dst.octets()));
                    What::Icmp6 {
                        src,
                        dst,
                        hop_limit: header.hop_limit(),
                        kind: icmp.type_u8(),
                        body: icmp.slice()[4..].to_vec(),
                    }
                }
                Some(TransportSlice::Udp(udp)) => {
                    let sum = udp.to_header().calc_checksum_ipv6(&header.to_header(), udp.payload());
                    assert_eq!(sum, Ok(udp.checksum()));
                    let ports = (udp.source_port(), udp.destination_port());
                    What::Udp6 { src, dst, ports, payload: udp.payload().to_vec() }
                }
                _ => What::Other6 { dst },
            }
        }
        (Some(NetSlice::Ipv4(_)), Some(TransportSlice::Udp(udp))) => {
            What::Udp4 { ports: (udp.source_port(), udp.destination_port()), payload: udp.payload().to_vec() }
        }
        _ => What::Other,
    };
    Heard { to: mac(&ethernet.destination()), from: mac(&ethernet.source()), what, packet: frame[14..].to_vec() }
}

/// An ICMPv6 packet of type `kind` in a frame; `body` begins behind the checksum.
pub fn icmp6(from: (Mac, Ipv6Addr), to: (Mac, Ipv6Addr), kind: u8, body: &[u8]) -> Vec<u8> {
    let (first, rest) = body.split_at(4);
    let kind = Icmpv6Type::Unknown { type_u8: kind, code_u8: 0, bytes5to8: first.try_into().unwrap() };
    let builder = PacketBuilder::ethernet2(from.0.0, to.0.0).ipv6(from.1.octets(), to.1.octets(), 255).icmpv6(kind);
    let mut frame = Vec::new();
    builder.write(&mut frame, rest).unwrap();
    frame
}

/// A UDP datagram in IPv6.
pub fn udp6(from: (Ipv6Addr, u16), to: (Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv6(from.0.octets(), to.0.octets(), 60).udp(from.1, to.1).write(&mut packet, payload).unwrap();
    packet
}

/// An IPv6 packet in a frame.
pub fn frame6(from: Mac, to: Mac, packet: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &[0x86, 0xdd], packet].concat()
}

/// ARP in a frame.
pub fn arp(request: bool, mac: Mac, sender: Ipv4Addr, to: Mac, target: Ipv4Addr) -> Vec<u8> {
    let target_mac = if request { Mac::default() } else { to };
    let head = [0, 1, 8, 0, 6, 4, 0, if request { 1 } else { 2 }];
    let body = [&mac.0[..], &sender.octets(), &target_mac.0, &target.octets()].concat();
    [&to.0[..], &mac.0, &[8, 6], &head, &body].concat()
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464 7).
pub fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The solicited-node group of an address (RFC 4291 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}
