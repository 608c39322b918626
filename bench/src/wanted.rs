//! Frames as they should be, made by etherparse: what the check lap delivers, and what it wants to
//! see leave. Not one byte of them comes from the dataplane's own headers and checksums.

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6FragmentHeader,
    Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader,
};
use hikyaku_net::packet::Tcp;
use hikyaku_net::{Addr4, Mac, Port, protocol};

use crate::shape::{LIMIT, PacketShape, WHOLE};
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
    /// In what shape it comes, and the identification that its fragments have where the far end cuts it.
    pub shape: (PacketShape, u16),
}

/// What the sender of a tunnel's frame chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen {
    /// The outer hop limit.
    pub hop_limit: u8,
    /// The outer flow label.
    pub flow_label: u32,
    /// The identification of outer fragments.
    pub fragment_id: u32,
}

impl Packet {
    /// A packet from the flow's inside, as its host sends it when `inside` is its own endpoint.
    pub fn outbound(flow: &Flow, inside: (Addr4, Port)) -> Self {
        let dst = (flow.peer, flow.peer_port);
        let shape = (PacketShape::Plain, 0);
        Self { protocol: flow.protocol, src: inside, dst, ttl: 64, flags: Tcp::ACK, number: 0, len: 46, shape }
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
        let (shape, id) = self.shape;
        let header = Ipv4Header {
            dont_fragment: !shape.is_cut(),
            identification: id,
            ..Ipv4Header::new(0, self.ttl, IpNumber(self.protocol), self.src.0.0, self.dst.0.0).expect("no payload")
        };
        self.carried_by(PacketBuilder::ip(IpHeaders::Ipv4(header, Default::default())))
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

    /// The packet, or the two fragments that the far end makes of it (RFC 791 3.2).
    fn inner(&self) -> Vec<Vec<u8>> {
        let bytes = self.bytes();
        if self.shape.0 != PacketShape::FragmentIn {
            return vec![bytes];
        }
        let (header, payload) = Ipv4Header::from_slice(&bytes).expect("it was just made");
        let (first, last) = payload.split_at(WHOLE - 14 - 20);
        let part = |payload: &[u8], offset: usize, more_fragments| {
            let mut header = Ipv4Header {
                more_fragments,
                fragment_offset: IpFragOffset::try_new((offset / 8) as u16).expect("13 bits"),
                total_len: (20 + payload.len()) as u16,
                ..header.clone()
            };
            header.header_checksum = header.calc_header_checksum();
            [&header.to_bytes()[..], payload].concat()
        };
        vec![part(first, 0, true), part(last, first.len(), false)]
    }

    /// The packet as Ethernet frames on the LAN, between these stations.
    pub fn on_lan(&self, [src, dst]: [Mac; 2]) -> Vec<Vec<u8>> {
        let ethernet = ethernet(src, dst, EtherType::IPV4);
        let frame = |packet: &Vec<u8>| {
            let mut frame = [&ethernet, &packet[..]].concat();
            frame.resize(frame.len().max(60), 0);
            frame
        };
        self.inner().iter().map(frame).collect()
    }

    /// In the tunnel.
    pub fn in_tunnel(&self, [src, dst]: [Mac; 2], outbound: bool, chosen: Chosen) -> Vec<Vec<u8>> {
        let ethernet = ethernet(src, dst, EtherType::IPV6);
        let (source, destination) = if outbound { (CE, BR) } else { (BR, CE) };
        let frame = |next_header, extension: &[u8], payload: &[u8]| {
            let outer = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::try_new(chosen.flow_label & 0xf_ffff).expect("20 bits"),
                payload_length: (extension.len() + payload.len()) as u16,
                next_header,
                hop_limit: chosen.hop_limit,
                source: source.octets(),
                destination: destination.octets(),
            };
            [&ethernet[..], &outer.to_bytes(), extension, payload].concat()
        };
        let fragment = |payload: &[u8], offset: usize, more| {
            let offset = IpFragOffset::try_new((offset / 8) as u16).expect("13 bits");
            let header = Ipv6FragmentHeader::new(IpNumber::IPV4, offset, more, chosen.fragment_id);
            frame(IpNumber::IPV6_FRAGMENTATION_HEADER, &header.to_bytes(), payload)
        };
        let inner = self.inner();
        match self.shape.0 {
            PacketShape::FragmentOut if outbound => {
                // RFC 8200 4.5: of a path of 1500 bytes as much as is a multiple of eight.
                let (first, last) = inner[0].split_at((1500 - 48) / 8 * 8);
                vec![fragment(first, 0, true), fragment(last, first.len(), false)]
            }
            PacketShape::EncapLimit => vec![frame(IpNumber::IPV6_DESTINATION_OPTIONS, &LIMIT, &inner[0])],
            _ => inner.iter().map(|packet| frame(IpNumber::IPV4, &[], packet)).collect(),
        }
    }
}

fn ethernet(src: Mac, dst: Mac, ether_type: EtherType) -> [u8; 14] {
    Ethernet2Header { source: src.0, destination: dst.0, ether_type }.to_bytes()
}

/// Whether a frame of the tunnel has a fragment header behind the outer one.
fn has_fragment_header(frame: &[u8]) -> bool {
    frame.get(20) == Some(&IpNumber::IPV6_FRAGMENTATION_HEADER.0)
}

/// The number of the packet in a frame that left, of two the first; `None` if that is no frame of ours.
pub fn number(frame: &[u8], in_tunnel: bool) -> Option<u32> {
    let at = match in_tunnel {
        false => 14,
        true if has_fragment_header(frame) => 62,
        true => 54,
    };
    let ip = frame.get(at..)?;
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

/// What the sender chose of a frame in the tunnel.
pub fn senders_choice(frame: &[u8]) -> Option<Chosen> {
    let word = |at: usize| Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().expect("four bytes")));
    let fragment_id = if has_fragment_header(frame) { word(58)? } else { 0 };
    Some(Chosen { hop_limit: *frame.get(21)?, flow_label: word(14)? & 0xf_ffff, fragment_id })
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
    use crate::shape::CUT;
    use crate::traffic::{GATEWAY, OURS};
    use hikyaku_dataplane::napt::Direction;

    /// The frames that are measured have the headers of those that are checked, but for TCP's and
    /// UDP's checksum, which nobody on the path reads.
    #[test]
    fn what_is_measured_is_what_is_checked() {
        const ID: u16 = 4711;
        let plain = [60, 61, 576, 1474].map(|len| (PacketShape::Plain, len));
        let limited = [60, 61, 1474].map(|len| (PacketShape::EncapLimit, len));
        let cut = [(PacketShape::FragmentOut, CUT), (PacketShape::FragmentIn, CUT)];
        for (n, (shape, len)) in
            (0..8).chain([77, 123_456]).flat_map(|n| plain.iter().chain(&limited).chain(&cut).map(move |&of| (n, of)))
        {
            let flow = Flow::new(n);
            let (inside, outside) =
                ((flow.inside, flow.inside_port), (Addr4::from(traffic::OUTSIDE), Port::from(4242)));
            let checksum = if flow.protocol == protocol::TCP { 36..38 } else { 26..28 };
            let compare = |mut made: Vec<u8>, mut wanted: Vec<u8>, ip: usize, is_first: bool| {
                if is_first {
                    made[ip..][checksum.clone()].fill(0);
                    wanted[ip..][checksum.clone()].fill(0);
                } else {
                    // Nobody reads what a later fragment carries.
                    made.truncate(ip + 20);
                    wanted.truncate(ip + 20);
                }
                assert_eq!(difference(&made, &wanted), None, "flow {n}, {len} bytes, {shape:?}");
            };
            let packet = Packet { number: made_number(&flow), len: len - 14, ..Packet::outbound(&flow, inside) };

            if shape.way() != Some(Direction::Inbound) {
                let mut made = vec![0; len];
                shape.outbound(&mut made, &flow, Tcp::SYN);
                let packet = Packet { flags: Tcp::SYN, shape: (shape, 0), ..packet };
                compare(made, packet.on_lan([traffic::station_of(&flow), OURS[0]]).remove(0), 14, true);
            }
            if shape.way() != Some(Direction::Outbound) {
                let packet = Packet {
                    flags: Tcp::ACK,
                    number: made_number(&flow),
                    len: len - 14,
                    ..Packet::inbound(&flow, outside)
                };
                let id = if shape.is_cut() { ID } else { 0 };
                let chosen = Chosen { hop_limit: traffic::HOP_LIMIT, ..Default::default() };
                let wanted = Packet { shape: (shape, id), ..packet }.in_tunnel([GATEWAY, OURS[1]], false, chosen);
                assert_eq!(wanted.len(), shape.frames_in() as usize);
                for (n, (wanted, len)) in wanted.into_iter().zip(shape.inbound_frames(len)).enumerate() {
                    let mut made = vec![0; len];
                    shape.inbound(&mut made, &flow, outside, Tcp::ACK, (n, ID));
                    compare(made, wanted, if shape == PacketShape::EncapLimit { 62 } else { 54 }, n == 0);
                }
            }
            if shape == PacketShape::Plain {
                let mut made = vec![0; len + traffic::LONGER6];
                traffic::native(&mut made, &flow, true, Tcp::ACK);
                let packet =
                    Packet { number: number6(&made).unwrap(), len: len - 14, ..Packet::outbound(&flow, inside) };
                let mut wanted = packet.native([traffic::station_of(&flow), OURS[0]]);
                // Flow label 0 either way; the transport header is 20 bytes further on.
                for bytes in [&mut made, &mut wanted] {
                    bytes[34..][checksum.clone()].fill(0);
                }
                assert_eq!(difference(&made, &wanted), None, "flow {n}, {len} bytes");
            }
        }
    }

    /// The number that is in a frame which is measured: 1, TCP's first sequence number, or none.
    fn made_number(flow: &Flow) -> u32 {
        u32::from(flow.protocol == protocol::TCP)
    }

    #[test]
    fn numbers_are_found_again() {
        for n in 0..8 {
            let flow = Flow::new(n);
            for shape in [PacketShape::Plain, PacketShape::FragmentOut] {
                let packet = Packet {
                    number: 0xdead_0000 + n,
                    len: CUT - 14,
                    shape: (shape, 0),
                    ..Packet::outbound(&flow, (flow.inside, flow.inside_port))
                };
                let chosen = Chosen { hop_limit: 33, flow_label: 0x54321, fragment_id: 0 };
                let lan = &packet.on_lan(OURS)[0];
                let tunnel = &packet.in_tunnel(OURS, true, chosen)[0];
                assert_eq!(number(lan, false), Some(packet.number));
                assert_eq!(number(tunnel, true), Some(packet.number));
                let found = senders_choice(tunnel).unwrap();
                assert_eq!((found.hop_limit, found.flow_label, found.fragment_id), (33, 0x54321, 0));
                for len in 0..100 {
                    number(&tunnel[..len], true);
                    senders_choice(&tunnel[..len]);
                }
            }
        }
    }
}
