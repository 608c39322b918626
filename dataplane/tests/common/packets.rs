//! Packets built and read by etherparse, not by the code under test.

use etherparse::{
    EtherType, Ethernet2Header, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpFragOffset, IpNumber, Ipv4Header,
    Ipv6FragmentHeader, Ipv6Header, TcpHeader, TcpOptionElement, UdpHeader,
};

use super::router::{BR, CE, CLIENT_MAC, GATEWAY_MAC, OTHER_CLIENT, OTHER_CLIENT_MAC, ROUTER_MAC, WAN_MAC};
use super::twins::internet_sum;

/// An address and a port.
pub type End = ([u8; 4], u16);

/// An IPv4 packet or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub header: Ipv4Header,
    pub payload: Vec<u8>,
}

/// Bytes that are not all alike.
pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// A packet of any protocol, TTL 64, without DF.
pub fn raw(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: Vec<u8>) -> Packet {
    let mut header = Ipv4Header::new(payload.len() as u16, 64, IpNumber(protocol), src, dst).unwrap();
    header.identification = 0x4242;
    header.dont_fragment = false;
    Packet { header, payload }
}

pub fn udp(src: End, dst: End, payload: &[u8]) -> Packet {
    let header = UdpHeader::with_ipv4_checksum(
        src.1,
        dst.1,
        &Ipv4Header::new(0, 0, IpNumber::UDP, src.0, dst.0).unwrap(),
        payload,
    );
    raw(src.0, dst.0, 17, [&header.unwrap().to_bytes()[..], payload].concat())
}

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const FIN: u8 = 1;
pub const RST: u8 = 4;

pub fn tcp_with(src: End, dst: End, flags: u8, options: &[TcpOptionElement], payload: &[u8]) -> Packet {
    let mut header = TcpHeader::new(src.1, dst.1, 0x1000_0001, 0x2000);
    (header.syn, header.ack, header.fin, header.rst) =
        (flags & SYN != 0, flags & ACK != 0, flags & FIN != 0, flags & RST != 0);
    header.acknowledgment_number = 77;
    header.set_options(options).unwrap();
    header.checksum = header.calc_checksum_ipv4_raw(src.0, dst.0, payload).unwrap();
    raw(src.0, dst.0, 6, [&header.to_bytes()[..], payload].concat())
}

pub fn tcp(src: End, dst: End, flags: u8, payload: &[u8]) -> Packet {
    tcp_with(src, dst, flags, &[], payload)
}

pub fn icmp(src: [u8; 4], dst: [u8; 4], kind: Icmpv4Type, payload: &[u8]) -> Packet {
    let header = Icmpv4Header::with_checksum(kind, payload);
    raw(src, dst, 1, [&header.to_bytes()[..], payload].concat())
}

/// An ICMP message of any type, `word` in its second half.
pub fn icmp_raw(src: [u8; 4], dst: [u8; 4], kind: u8, code: u8, word: u32, payload: &[u8]) -> Packet {
    icmp(src, dst, Icmpv4Type::Unknown { type_u8: kind, code_u8: code, bytes5to8: word.to_be_bytes() }, payload)
}

pub fn echo_request(src: [u8; 4], dst: [u8; 4], id: u16, payload: &[u8]) -> Packet {
    icmp_raw(src, dst, 8, 0, u32::from(id) << 16 | 1, payload)
}

pub fn echo_reply(src: [u8; 4], dst: [u8; 4], id: u16, payload: &[u8]) -> Packet {
    icmp_raw(src, dst, 0, 0, u32::from(id) << 16 | 1, payload)
}

impl Packet {
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.header.time_to_live = ttl;
        self
    }

    pub fn df(mut self) -> Self {
        self.header.dont_fragment = true;
        self
    }

    pub fn id(mut self, id: u16) -> Self {
        self.header.identification = id;
        self
    }

    pub fn tos(mut self, tos: u8) -> Self {
        self.header.dscp = (tos >> 2).try_into().unwrap();
        self.header.ecn = (tos & 3).try_into().unwrap();
        self
    }

    pub fn options(mut self, options: &[u8]) -> Self {
        self.header.options = options.try_into().unwrap();
        self
    }

    pub fn tos_byte(&self) -> u8 {
        self.header.dscp.value() << 2 | self.header.ecn.value()
    }

    /// Header with its checksum, and payload.
    pub fn bytes(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header.set_payload_len(self.payload.len()).unwrap();
        let mut bytes = Vec::new();
        header.write(&mut bytes).unwrap();
        bytes.extend(&self.payload);
        bytes
    }

    /// Reads a packet, of which `bytes` is neither more nor less, and judges its header.
    #[track_caller]
    pub fn read(bytes: &[u8]) -> Self {
        let (header, rest) = Ipv4Header::from_slice(bytes).expect("an IPv4 header");
        // Not etherparse's: it forgets the reserved flag.
        assert_eq!(internet_sum(&bytes[..header.header_len()]), 0xffff, "IPv4 header checksum");
        assert_eq!(header.total_len as usize, bytes.len(), "IPv4 total length");
        Self { header, payload: rest.to_vec() }
    }

    /// In pieces of at most `mtu` bytes.
    pub fn fragments(&self, mtu: usize) -> Vec<Self> {
        let room = (mtu - self.header.header_len()) & !7;
        let count = self.payload.len().div_ceil(room);
        let pieces = self.payload.chunks(room).enumerate().map(|(i, payload)| {
            let mut header = self.header.clone();
            header.more_fragments = i + 1 < count;
            header.fragment_offset = IpFragOffset::try_new((i * room / 8) as u16).unwrap();
            Self { header, payload: payload.to_vec() }
        });
        pieces.collect()
    }

    pub fn is_fragment(&self) -> bool {
        self.header.more_fragments || self.header.fragment_offset.value() != 0
    }

    /// Judges the transport header and checksum, where it is all there.
    #[track_caller]
    pub fn check_transport(&self) -> &Self {
        if self.is_fragment() {
            return self;
        }
        match self.header.protocol {
            IpNumber::UDP => {
                let (udp, payload) = UdpHeader::from_slice(&self.payload).expect("a UDP header");
                assert_eq!(udp.length as usize, self.payload.len(), "UDP length");
                let right = udp.calc_checksum_ipv4(&self.header, payload).unwrap();
                assert!(udp.checksum == 0 || udp.checksum == right, "UDP checksum: {:04x} {right:04x}", udp.checksum);
            }
            IpNumber::TCP => {
                let (tcp, payload) = TcpHeader::from_slice(&self.payload).expect("a TCP header");
                assert_eq!(tcp.checksum, tcp.calc_checksum_ipv4(&self.header, payload).unwrap(), "TCP checksum");
            }
            IpNumber::ICMP => {
                let (icmp, payload) = Icmpv4Header::from_slice(&self.payload).expect("an ICMP header");
                assert_eq!(icmp.checksum, icmp.icmp_type.calc_checksum(payload), "ICMP checksum");
            }
            _ => {}
        }
        self
    }

    pub fn src(&self) -> End {
        (self.header.source, u16::from_be_bytes([self.payload[0], self.payload[1]]))
    }

    pub fn dst(&self) -> End {
        (self.header.destination, u16::from_be_bytes([self.payload[2], self.payload[3]]))
    }

    /// Identifier of an echo.
    pub fn icmp_id(&self) -> u16 {
        u16::from_be_bytes([self.payload[4], self.payload[5]])
    }

    /// Type, code, second word and what is quoted.
    pub fn icmp_parts(&self) -> (u8, u8, u32, &[u8]) {
        assert_eq!(self.header.protocol, IpNumber::ICMP);
        let p = &self.payload;
        (p[0], p[1], u32::from_be_bytes(p[4..8].try_into().unwrap()), &p[8..])
    }

    pub fn tcp(&self) -> TcpHeader {
        TcpHeader::from_slice(&self.payload).unwrap().0
    }

    pub fn mss(&self) -> Option<u16> {
        let tcp = self.tcp();
        tcp.options_iterator().find_map(|o| match o {
            Ok(TcpOptionElement::MaximumSegmentSize(mss)) => Some(mss),
            _ => None,
        })
    }
}

pub fn ethernet(dst: [u8; 6], src: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let header = Ethernet2Header { source: src, destination: dst, ether_type: EtherType(ethertype) };
    [&header.to_bytes()[..], payload].concat()
}

/// A frame of a LAN host to the router.
pub fn from_lan(packet: &Packet) -> Vec<u8> {
    let src = if packet.header.source == OTHER_CLIENT { OTHER_CLIENT_MAC } else { CLIENT_MAC };
    ethernet(ROUTER_MAC, src, 0x0800, &packet.bytes())
}

/// The outer header from the border router to us.
pub fn outer(payload: usize, next: u8) -> Ipv6Header {
    Ipv6Header {
        traffic_class: 0,
        flow_label: 0x12345.try_into().unwrap(),
        payload_length: payload as u16,
        next_header: IpNumber(next),
        hop_limit: 57,
        source: BR.octets(),
        destination: CE.octets(),
    }
}

pub fn ipv6(header: &Ipv6Header, payload: &[u8]) -> Vec<u8> {
    ethernet(WAN_MAC, GATEWAY_MAC, 0x86dd, &[&header.to_bytes()[..], payload].concat())
}

/// A frame of the tunnel, towards us.
pub fn from_wan(packet: &Packet) -> Vec<u8> {
    let bytes = packet.bytes();
    ipv6(&outer(bytes.len(), 4), &bytes)
}

/// The same with an outer traffic class.
pub fn from_wan_class(packet: &Packet, class: u8) -> Vec<u8> {
    let bytes = packet.bytes();
    ipv6(&Ipv6Header { traffic_class: class, ..outer(bytes.len(), 4) }, &bytes)
}

/// The tunnel packet in outer fragments of at most `size` payload bytes each.
pub fn from_wan_pieces(packet: &Packet, size: usize, id: u32) -> Vec<Vec<u8>> {
    let bytes = packet.bytes();
    let size = size & !7;
    let count = bytes.len().div_ceil(size);
    let pieces = bytes.chunks(size).enumerate();
    pieces.map(|(i, piece)| from_wan_piece(piece, i * size, i + 1 < count, id)).collect()
}

/// A frame from the line with one outer fragment in it.
pub fn from_wan_piece(piece: &[u8], offset: usize, more: bool, id: u32) -> Vec<u8> {
    let offset = IpFragOffset::try_new((offset / 8) as u16).unwrap();
    let fragment = Ipv6FragmentHeader::new(IpNumber::IPV4, offset, more, id);
    ipv6(&outer(8 + piece.len(), 44), &[&fragment.to_bytes()[..], piece].concat())
}

/// An ICMPv6 error to us that quotes a packet of ours (from its outer header on).
pub fn icmpv6(src: std::net::Ipv6Addr, kind: u8, code: u8, word: u32, quote: &[u8]) -> Vec<u8> {
    let kind = Icmpv6Type::Unknown { type_u8: kind, code_u8: code, bytes5to8: word.to_be_bytes() };
    let header = Icmpv6Header::with_checksum(kind, src.octets(), CE.octets(), quote).unwrap();
    let message = [&header.to_bytes()[..], quote].concat();
    ipv6(&Ipv6Header { source: src.octets(), ..outer(message.len(), 58) }, &message)
}

/// Reads a frame to a LAN host: from us, to its station, padded with zeroes to 60 bytes at least.
#[track_caller]
pub fn plain(frame: &[u8]) -> Packet {
    let (eth, rest) = Ethernet2Header::from_slice(frame).expect("an Ethernet header");
    assert_eq!((eth.source, eth.ether_type), (ROUTER_MAC, EtherType::IPV4));
    assert!(frame.len() >= 60, "shorter than Ethernet allows: {}", frame.len());
    let (ip, _) = Ipv4Header::from_slice(rest).expect("an IPv4 header");
    let (packet, padding) = rest.split_at(ip.total_len as usize);
    assert!(padding.is_empty() || frame.len() == 60, "a trailer");
    assert!(padding.iter().all(|&b| b == 0), "somebody's bytes in the padding");
    let station = if ip.destination == OTHER_CLIENT { OTHER_CLIENT_MAC } else { CLIENT_MAC };
    assert_eq!(eth.destination, station);
    Packet::read(packet)
}

/// Reads a frame into the tunnel: outer header, fragment header if there is one, the rest.
#[track_caller]
pub fn tunnelled(frame: &[u8]) -> (Ipv6Header, Option<Ipv6FragmentHeader>, &[u8]) {
    let (eth, rest) = Ethernet2Header::from_slice(frame).expect("an Ethernet header");
    assert_eq!((eth.source, eth.destination, eth.ether_type), (WAN_MAC, GATEWAY_MAC, EtherType::IPV6));
    let (ip, rest) = Ipv6Header::from_slice(rest).expect("an IPv6 header");
    assert_eq!((ip.source, ip.destination), (CE.octets(), BR.octets()));
    assert_eq!(ip.hop_limit, 64);
    assert_eq!(ip.payload_length as usize, rest.len(), "outer length");
    match ip.next_header {
        IpNumber::IPV4 => (ip, None, rest),
        IpNumber::IPV6_FRAGMENTATION_HEADER => {
            let (fragment, rest) = Ipv6FragmentHeader::from_slice(rest).expect("a fragment header");
            assert_eq!(fragment.next_header, IpNumber::IPV4);
            (ip, Some(fragment), rest)
        }
        other => panic!("next header {other:?}: neither IPv4 nor a fragment"),
    }
}

/// Reads a frame into the tunnel that is no fragment.
#[track_caller]
pub fn inner(frame: &[u8]) -> Packet {
    let (_, fragment, rest) = tunnelled(frame);
    assert!(fragment.is_none(), "a fragment");
    Packet::read(rest)
}

/// Puts outer fragments of one packet together, as simply as can be.
#[track_caller]
pub fn joined(frames: &[Vec<u8>]) -> Packet {
    let mut pieces: Vec<_> = frames.iter().map(|f| tunnelled(f)).collect();
    pieces.sort_by_key(|(_, f, _)| f.as_ref().expect("a fragment").fragment_offset.value());
    let id = pieces[0].1.as_ref().unwrap().identification;
    let mut whole = Vec::new();
    for (i, (_, fragment, bytes)) in pieces.iter().enumerate() {
        let fragment = fragment.as_ref().unwrap();
        assert_eq!(fragment.identification, id);
        assert_eq!(fragment.fragment_offset.byte_offset() as usize, whole.len());
        assert_eq!(fragment.more_fragments, i + 1 < pieces.len());
        whole.extend_from_slice(bytes);
    }
    Packet::read(&whole)
}

/// Puts IPv4 fragments of one packet together, as simply as can be.
#[track_caller]
pub fn joined4(pieces: &[Packet]) -> Packet {
    let mut pieces: Vec<_> = pieces.iter().collect();
    pieces.sort_by_key(|p| p.header.fragment_offset.value());
    let mut whole = Packet { header: pieces[0].header.clone(), payload: Vec::new() };
    for (i, piece) in pieces.iter().enumerate() {
        let (h, w) = (&piece.header, &whole.header);
        assert_eq!((h.source, h.destination, h.identification), (w.source, w.destination, w.identification));
        assert_eq!(h.fragment_offset.byte_offset() as usize, whole.payload.len(), "a gap or an overlap");
        assert_eq!(h.more_fragments, i + 1 < pieces.len());
        whole.payload.extend_from_slice(&piece.payload);
    }
    whole.header.more_fragments = false;
    whole.header.set_payload_len(whole.payload.len()).unwrap();
    whole
}

/// All orders of three.
pub const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// What a forwarded packet must be, TTL apart: the same.
#[track_caller]
pub fn assert_forwarded(sent: &Packet, got: &Packet) {
    let mut expected = sent.clone().ttl(sent.header.time_to_live - 1);
    expected.header.header_checksum = got.header.header_checksum;
    expected.header.total_len = got.header.total_len;
    assert_eq!(&expected, got);
}
