//! Frames as they should be, made by etherparse: what the check lap delivers, and what it wants to
//! see leave. Not one byte of them comes from the dataplane's own headers and checksums.

use etherparse::{
    EtherType, Ethernet2Header, IpHeaders, IpNumber, Ipv6FlowLabel, Ipv6Header, PacketBuilder, PacketBuilderStep,
    TcpHeader,
};
use hikyaku_net::packet::Tcp;
use hikyaku_net::{Addr4, Mac, Port, protocol};

use crate::traffic::{self, BR, CE, Flow};

/// The longest header in front of a frame's number: Ethernet, IPv6, IPv4 and UDP.
const MAX_HEADERS: usize = 14 + 40 + 20 + 8;

/// An IPv4 packet of a flow, with its number in it: the sequence number of TCP, the first four
/// bytes that UDP carries.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Protocol number, TCP's or UDP's.
    pub protocol: u8,
    /// Source address and port.
    pub src: (Addr4, Port),
    /// Destination address and port.
    pub dst: (Addr4, Port),
    /// The IPv4 header's time to live.
    pub ttl: u8,
    /// Flags, if it is TCP.
    pub flags: u8,
    /// The packet's number, which TCP or UDP carries.
    pub number: u32,
    /// Length without Ethernet's header.
    pub len: usize,
}

impl Packet {
    /// A packet from the flow's inside, as its host sends it when `inside` is its own endpoint.
    pub fn outbound(flow: &Flow, inside: (Addr4, Port)) -> Self {
        let dst = (flow.peer, flow.peer_port);
        Self { protocol: flow.protocol, src: inside, dst, ttl: 64, flags: Tcp::ACK, number: 0, len: 46 }
    }

    /// A packet of the flow's peer.
    pub fn inbound(flow: &Flow, inside: (Addr4, Port)) -> Self {
        let to = Self::outbound(flow, inside);
        Self { src: to.dst, dst: to.src, ..to }
    }

    /// The packet as a router forwards it: its TTL is one less.
    pub fn forwarded(self) -> Self {
        Self { ttl: self.ttl - 1, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        self.carried_by(PacketBuilder::ipv4(self.src.0.0, self.dst.0.0, self.ttl))
    }

    /// In native IPv6, between those who have its addresses.
    pub fn native(&self, [src, dst]: [Mac; 2]) -> Vec<u8> {
        let [from, to] = [self.src.0, self.dst.0].map(|addr| traffic::ipv6_of(addr).0);
        [&ethernet(src, dst, EtherType::IPV6), &self.carried_by(PacketBuilder::ipv6(from, to, self.ttl))[..]].concat()
    }

    fn carried_by(&self, ip: PacketBuilderStep<IpHeaders>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        let (from, to) = (self.src.1.number(), self.dst.1.number());
        let done = if self.protocol == protocol::TCP {
            let tcp = TcpHeader {
                acknowledgment_number: 1,
                syn: self.flags & Tcp::SYN != 0,
                ack: self.flags & Tcp::ACK != 0,
                ..TcpHeader::new(from, to, self.number, 1000)
            };
            ip.tcp_header(tcp).write(&mut bytes, &vec![0; self.len - 40])
        } else {
            let mut payload = vec![0; self.len - 28];
            payload[..4].copy_from_slice(&self.number.to_be_bytes());
            ip.udp(from, to).write(&mut bytes, &payload)
        };
        done.expect("it fits a packet, and a vector takes all");
        bytes
    }

    /// The packet as an Ethernet frame on the LAN, between these stations.
    pub fn on_lan(&self, [src, dst]: [Mac; 2]) -> Vec<u8> {
        [&ethernet(src, dst, EtherType::IPV4), &self.bytes()[..]].concat()
    }

    /// In the tunnel; `hop_limit` and `flow_label` are the sender's choice.
    pub fn in_tunnel(&self, [src, dst]: [Mac; 2], outbound: bool, hop_limit: u8, flow_label: u32) -> Vec<u8> {
        let (source, destination) = if outbound { (CE, BR) } else { (BR, CE) };
        let outer = Ipv6Header {
            traffic_class: 0,
            flow_label: Ipv6FlowLabel::try_new(flow_label & 0xf_ffff).expect("20 bits"),
            payload_length: self.len as u16,
            next_header: IpNumber::IPV4,
            hop_limit,
            source: source.octets(),
            destination: destination.octets(),
        };
        [&ethernet(src, dst, EtherType::IPV6)[..], &outer.to_bytes(), &self.bytes()].concat()
    }
}

fn ethernet(src: Mac, dst: Mac, ether_type: EtherType) -> [u8; 14] {
    Ethernet2Header { source: src.0, destination: dst.0, ether_type }.to_bytes()
}

/// The number of the packet in a frame that left; `None` if that is no frame of ours.
pub fn number(frame: &[u8], in_tunnel: bool) -> Option<u32> {
    let ip = frame.get(if in_tunnel { 54 } else { 14 }..)?;
    let at = match *ip.get(9)? {
        protocol::TCP => 24,
        protocol::UDP => 28,
        _ => return None,
    };
    Some(u32::from_be_bytes(ip.get(at..at + 4)?.try_into().expect("four bytes")))
}

/// The same of a frame of native IPv6.
pub fn number6(frame: &[u8]) -> Option<u32> {
    let at = match *frame.get(20)? {
        protocol::TCP => 58,
        protocol::UDP => 62,
        _ => return None,
    };
    Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().expect("four bytes")))
}

/// Hop limit and flow label of a frame in the tunnel.
pub fn senders_choice(frame: &[u8]) -> Option<(u8, u32)> {
    let word = frame.get(14..18)?;
    Some((*frame.get(21)?, u32::from_be_bytes(word.try_into().expect("four bytes")) & 0xf_ffff))
}

/// What is wrong with a frame: the first byte that differs, with its neighbours.
pub fn difference(got: &[u8], want: &[u8]) -> Option<String> {
    if got == want {
        return None;
    }
    if got.len() != want.len() {
        return Some(format!("it has {} bytes, not {}", got.len(), want.len()));
    }
    let at = got.iter().zip(want).position(|(a, b)| a != b)?;
    let hex = |bytes: &[u8]| {
        let shown = &bytes[..bytes.len().min(MAX_HEADERS + 4)];
        shown.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
    };
    Some(format!("byte {at} is {:02x}, not {:02x}: got {} want {}", got[at], want[at], hex(got), hex(want)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{GATEWAY, OURS};

    /// The frames that are measured have the headers of those that are checked, but for TCP's and
    /// UDP's checksum, which nobody on the path reads.
    #[test]
    fn what_is_measured_is_what_is_checked() {
        for (n, len) in [(0u32, 60usize), (1, 60), (2, 60), (3, 61), (77, 1474), (123_456, 576)] {
            let flow = Flow::new(n);
            let (inside, outside) =
                ((flow.inside, flow.inside_port), (Addr4::from(traffic::OUTSIDE), Port::from(4242)));
            let checksum = if flow.protocol == protocol::TCP { 36..38 } else { 26..28 };
            let compare = |mut made: Vec<u8>, mut wanted: Vec<u8>, ip: usize| {
                made[ip..][checksum.clone()].fill(0);
                wanted[ip..][checksum.clone()].fill(0);
                assert_eq!(difference(&made, &wanted), None, "flow {n}, {len} bytes");
            };

            let mut made = vec![0; len];
            traffic::outbound(&mut made, &flow, Tcp::SYN);
            let number = number(&made, false).unwrap();
            let packet = Packet { flags: Tcp::SYN, number, len: len - 14, ..Packet::outbound(&flow, inside) };
            compare(made, packet.on_lan([traffic::station_of(&flow), OURS[0]]), 14);

            let mut made = vec![0; len + 40];
            traffic::inbound(&mut made, &flow, outside, Tcp::ACK);
            let packet = Packet { number, len: len - 14, ..Packet::inbound(&flow, outside) };
            compare(made, packet.in_tunnel([GATEWAY, OURS[1]], false, traffic::HOP_LIMIT, 0), 54);

            let mut made = vec![0; len + traffic::LONGER6];
            traffic::native(&mut made, &flow, true, Tcp::ACK);
            let packet = Packet { number: number6(&made).unwrap(), len: len - 14, ..Packet::outbound(&flow, inside) };
            let mut wanted = packet.native([traffic::station_of(&flow), OURS[0]]);
            // Flow label 0 either way; the transport header is 20 bytes further on.
            for bytes in [&mut made, &mut wanted] {
                bytes[34..][checksum.clone()].fill(0);
            }
            assert_eq!(difference(&made, &wanted), None, "flow {n}, {len} bytes");
        }
    }

    #[test]
    fn numbers_are_found_again() {
        for n in 0..8 {
            let flow = Flow::new(n);
            let packet = Packet { number: 0xdead_0000 + n, ..Packet::outbound(&flow, (flow.inside, flow.inside_port)) };
            let lan = packet.on_lan(OURS);
            let tunnel = packet.in_tunnel(OURS, true, 33, 0x54321);
            assert_eq!(number(&lan, false), Some(packet.number));
            assert_eq!(number(&tunnel, true), Some(packet.number));
            assert_eq!(senders_choice(&tunnel), Some((33, 0x54321)));
            for len in 0..tunnel.len() {
                number(&tunnel[..len], true);
                senders_choice(&tunnel[..len]);
            }
        }
    }
}
