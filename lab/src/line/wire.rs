//! Frames, read and made.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::icmpv6::DestUnreachableCode;
use etherparse::{
    Icmpv4Type, Icmpv6Type, IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, PacketBuilder, SlicedPacket, TransportSlice,
};

/// An Ethernet address, in the order of the wire.
pub type Mac = [u8; 6];

/// The group of all nodes on the link (RFC 4291 2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub const IPV4: IpNumber = IpNumber::IPV4;
pub const UDP: IpNumber = IpNumber::UDP;
pub const ICMPV6: IpNumber = IpNumber::IPV6_ICMP;

const ETHERNET: usize = 14;
const IPV6: [u8; 2] = [0x86, 0xdd];
/// Hop limit of what comes from afar.
const FAR: u8 = 60;

/// An IPv6 packet without extension headers, in Ethernet.
pub struct Packet<'a> {
    pub to: Mac,
    pub from: Mac,
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub protocol: IpNumber,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// `None` for anything else.
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_at_checked(ETHERNET)?;
        let header = Ipv6HeaderSlice::from_slice(packet).ok().filter(|_| ethernet[12..] == IPV6)?;
        let end = 40 + usize::from(header.payload_length());
        Some(Self {
            to: *ethernet.first_chunk()?,
            from: *ethernet[6..].first_chunk()?,
            source: header.source_addr(),
            destination: header.destination_addr(),
            protocol: header.next_header(),
            payload: packet.get(40..end)?,
        })
    }
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464 7).
pub fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// An ICMPv6 message of type `kind`; `body` begins behind the checksum and has four bytes at least.
pub fn icmp6(from: (Mac, Ipv6Addr), to: (Mac, Ipv6Addr), kind: u8, body: &[u8]) -> Vec<u8> {
    let (word, rest) = body.split_at(4);
    let builder = PacketBuilder::ethernet2(from.0, to.0).ipv6(from.1.octets(), to.1.octets(), 255);
    let word = word.try_into().expect("four bytes");
    let mut frame = Vec::new();
    builder.icmpv6_raw(kind, 0, word).write(&mut frame, rest).expect("a vector takes all");
    frame
}

/// A UDP datagram in IPv6 in Ethernet, from and to these stations, addresses and ports.
pub fn udp6(from: (Mac, Ipv6Addr, u16), to: (Mac, Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from.0, to.0).ipv6(from.1.octets(), to.1.octets(), FAR);
    let mut frame = Vec::new();
    builder.udp(from.2, to.2).write(&mut frame, payload).expect("a vector takes all");
    frame
}

/// A tunnel packet in Ethernet: IPv4 in IPv6.
pub fn tunnel(from: (Mac, Ipv6Addr), to: (Mac, Ipv6Addr), inner: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &IPV6, &crate::outer::packet(from.1, to.1, IPV4, inner)].concat()
}

/// An ICMPv6 error about a frame that came from a source that is refused (type 1 code 5, RFC 4443 3.1).
pub fn refusal(from: (Mac, Ipv6Addr), to: Mac, frame: &[u8]) -> Vec<u8> {
    let kind = Icmpv6Type::DestinationUnreachable(DestUnreachableCode::SourceAddressFailedPolicy);
    [&to[..], &from.0, &IPV6, &crate::outer::error(from.1, kind, &frame[ETHERNET..])].concat()
}

/// Source and destination port, and what a UDP datagram carries.
pub fn udp(datagram: &[u8]) -> Option<((u16, u16), &[u8])> {
    let (header, payload) = etherparse::UdpHeader::from_slice(datagram).ok()?;
    Some(((header.source_port, header.destination_port), payload))
}

/// An Internet where every address answers pings: who asked, and the answer.
pub fn echo_answer(inner: &[u8]) -> Option<(Ipv4Addr, Vec<u8>)> {
    let sliced = SlicedPacket::from_ip(inner).ok()?;
    let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else { return None };
    let Icmpv4Type::EchoRequest(echo) = icmp.icmp_type() else { return None };
    let header = Ipv4HeaderSlice::from_slice(inner).ok()?;
    let builder = PacketBuilder::ipv4(header.destination(), header.source(), FAR);
    let mut answer = Vec::new();
    builder.icmpv4_echo_reply(echo.id, echo.seq).write(&mut answer, icmp.payload()).ok()?;
    Some((header.source_addr(), answer))
}

/// The answer of a resolver that knows one name and its AAAA record; for any other there is none (RFC 1035 4.1).
pub fn dns_answer(query: &[u8], name: &str, address: Ipv6Addr) -> Option<Vec<u8>> {
    const AAAA: [u8; 2] = [0, 28];
    let labels: Vec<u8> = labels(name);
    // The root label, then type and class.
    let end = 12 + query.get(12..)?.iter().position(|&byte| byte == 0)? + 5;
    let question = query.get(12..end)?;
    let known = question[..question.len() - 4].eq_ignore_ascii_case(&labels);
    let answers = known && question[question.len() - 4..question.len() - 2] == AAAA;
    let mut answer =
        [&query[..2], &[0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, answers.into(), 0, 0, 0, 0]].concat();
    answer.extend(question);
    if answers {
        // The question's name, AAAA, IN, a minute, 16 bytes.
        answer.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// A name as DNS and option 64 carry it.
pub fn labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}
