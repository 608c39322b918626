//! Native IPv6 packets of hosts of the LAN and others, and routers that forward them.

use std::net::Ipv6Addr;
use std::sync::Arc;

use hikyaku_dataplane::filter6::{self, Filter6};

use super::router::{CLIENT_MAC, GATEWAY_MAC, OTHER_CLIENT_MAC, OTHER6, ROUTER_MAC, Router, Setup, WAN_MAC};
use super::twins::internet_sum;

/// An end of a flow.
pub type End6 = (Ipv6Addr, u16);

/// A router with native IPv6 behind this filter.
pub fn router6(setup: &Setup, config: &filter6::Config) -> (Router, Arc<Filter6>) {
    let router = Router::new(&Setup { native6: Some(config.clone()), ..setup.clone() });
    let filter = router.filter6.clone().expect("it has one");
    (router, filter)
}

/// Two of them, with the fast path and without.
pub fn routers6(setup: &Setup, config: &filter6::Config) -> [(Router, Arc<Filter6>); 2] {
    [true, false].map(|fast| router6(&Setup { fast, ..setup.clone() }, config))
}

/// An IPv6 packet in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet6 {
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    pub hop_limit: u8,
    /// Extension headers: each one's type, and its bytes but for the first, which says what follows.
    pub headers: Vec<(u8, Vec<u8>)>,
    pub protocol: u8,
    pub payload: Vec<u8>,
}

impl Packet6 {
    /// With this payload, whose checksum is made right where it has one.
    pub fn new(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, mut payload: Vec<u8>) -> Self {
        let at = match protocol {
            6 => Some(16),
            17 => Some(6),
            58 => Some(2),
            _ => None,
        };
        if let Some(field) = at.and_then(|at| payload.get_mut(at..at + 2)) {
            field.fill(0);
            let sum = (!checksum6(src, dst, protocol, &payload)).to_be_bytes();
            payload[at.unwrap()..at.unwrap() + 2].copy_from_slice(&sum);
        }
        Self { src, dst, hop_limit: 64, headers: Vec::new(), protocol, payload }
    }

    pub fn hops(mut self, hop_limit: u8) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// With one more extension header, of a length that is a multiple of eight when its first byte is put in front.
    pub fn header(mut self, kind: u8, bytes: &[u8]) -> Self {
        self.headers.push((kind, bytes.to_vec()));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut kinds = self.headers.iter().map(|&(kind, _)| kind).chain([self.protocol]);
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, kinds.next().unwrap(), self.hop_limit];
        bytes.extend(self.src.octets());
        bytes.extend(self.dst.octets());
        for (_, header) in &self.headers {
            bytes.push(kinds.next().unwrap());
            bytes.extend(header);
        }
        bytes.extend(&self.payload);
        let len = bytes.len() as u16 - 40;
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        bytes
    }

    /// In pieces of at most so many bytes of payload each.
    pub fn fragments(&self, room: usize, id: u32) -> Vec<Self> {
        let count = self.payload.len().div_ceil(room);
        let piece = |(i, payload): (usize, &[u8])| {
            let offset = (i * room) as u16 | u16::from(i + 1 < count);
            let header = [&[0][..], &offset.to_be_bytes(), &id.to_be_bytes()].concat();
            Self { payload: payload.to_vec(), ..self.clone() }.header(44, &header)
        };
        self.payload.chunks(room).enumerate().map(piece).collect()
    }

    /// From its host on the LAN, to us.
    pub fn sent_by_host(&self) -> Vec<u8> {
        let station = if self.src == OTHER6 { OTHER_CLIENT_MAC } else { CLIENT_MAC };
        self.frame(ROUTER_MAC, station)
    }

    /// From the line's router, to us.
    pub fn sent_by_line(&self) -> Vec<u8> {
        self.frame(WAN_MAC, GATEWAY_MAC)
    }

    pub fn frame(&self, dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
        [&dst[..], &src, &[0x86, 0xdd], &self.bytes()].concat()
    }

    /// As it leaves: one hop less.
    pub fn forwarded(&self) -> Self {
        self.clone().hops(self.hop_limit - 1)
    }

    /// As it leaves to the line.
    pub fn to_line(&self) -> Vec<u8> {
        self.forwarded().frame(GATEWAY_MAC, WAN_MAC)
    }

    /// As it leaves to its host on the LAN.
    pub fn to_lan(&self) -> Vec<u8> {
        let station = if self.dst == OTHER6 { OTHER_CLIENT_MAC } else { CLIENT_MAC };
        self.forwarded().frame(station, ROUTER_MAC)
    }
}

/// The sum of payload and pseudo header (RFC 8200 8.1): all ones where the checksum in it is right.
pub fn checksum6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, payload: &[u8]) -> u16 {
    let len = payload.len() as u32;
    let pseudo = [&src.octets()[..], &dst.octets(), &len.to_be_bytes(), &[0, 0, 0, protocol]].concat();
    let sums = [internet_sum(&pseudo), internet_sum(payload)].map(u16::to_be_bytes).concat();
    internet_sum(&sums)
}

pub fn udp6(src: End6, dst: End6, data: &[u8]) -> Packet6 {
    let len = (8 + data.len()) as u16;
    let header = [src.1.to_be_bytes(), dst.1.to_be_bytes(), len.to_be_bytes(), [0; 2]].concat();
    Packet6::new(src.0, dst.0, 17, [&header[..], data].concat())
}

/// A segment with these options, a multiple of four bytes.
pub fn tcp6_with(src: End6, dst: End6, flags: u8, options: &[u8], data: &[u8]) -> Packet6 {
    let ports = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
    let offset = ((20 + options.len()) / 4 * 16) as u8;
    let rest = [1, 2, 3, 4, 5, 6, 7, 8, offset, flags, 0xff, 0xff, 0, 0, 0, 0];
    Packet6::new(src.0, dst.0, 6, [&ports[..], &rest, options, data].concat())
}

pub fn tcp6(src: End6, dst: End6, flags: u8) -> Packet6 {
    tcp6_with(src, dst, flags, &[], b"")
}

/// An ICMPv6 message: type, code, the word behind the checksum, the rest.
pub fn icmp6(src: Ipv6Addr, dst: Ipv6Addr, (kind, code): (u8, u8), word: u32, rest: &[u8]) -> Packet6 {
    Packet6::new(src, dst, 58, [&[kind, code, 0, 0][..], &word.to_be_bytes(), rest].concat())
}

pub fn echo6(src: Ipv6Addr, dst: Ipv6Addr, kind: u8, id: u16) -> Packet6 {
    icmp6(src, dst, (kind, 0), u32::from(id) << 16 | 1, b"ping")
}

/// An ICMPv6 error that left in a frame: its type and code, the word behind the checksum, and what it quotes. It is right.
#[track_caller]
pub fn error6(frame: &[u8]) -> ((u8, u8), u32, &[u8]) {
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
    assert_eq!((&frame[12..14], frame[20]), (&[0x86, 0xdd][..], 58), "ICMPv6");
    let message = &frame[54..];
    assert_eq!(usize::from(u16::from_be_bytes([frame[18], frame[19]])), message.len());
    assert_eq!(checksum6(address(22), address(38), 58, message), 0xffff, "ICMPv6 checksum");
    ((message[0], message[1]), u32::from_be_bytes(message[4..8].try_into().unwrap()), &message[8..])
}
