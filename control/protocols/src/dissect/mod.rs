//! Frames in words, for the log: what they are, from whom to whom, and what they say.
//!
//! Nothing is decided by it, so it is lenient where machines are strict: what is broken is said as far as it goes. What may be a
//! secret is not said: of options only those that are known to hold none, of all else how long it is, of TCP no byte, and of DNS no name.
//!
//! ```
//! use hikyaku_protocols::dissect::Said;
//!
//! // ARP: who has 192.168.1.1?
//! let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 5, 192, 168, 1, 5, 0, 0, 0, 0, 0, 0, 192, 168, 1, 1];
//! let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 5], &[8, 6], &arp].concat();
//! let said = Said::read(&frame).unwrap();
//! assert_eq!((said.name, said.contents()), ("ARP request", "who has 192.168.1.1? tell 192.168.1.5".into()));
//! ```

mod dhcpv4;
mod dhcpv6;
mod discovery;
mod dns;

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

use etherparse::{EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};
use hikyaku_net::Mac;
use hikyaku_net::packet::ethertype;

/// Letters of [`Said::contents`], at most.
pub const LONGEST: usize = 1000;

/// Who speaks what a frame has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// ARP, neighbour discovery, listener discovery.
    Neighbour,
    /// Solicitations and advertisements of routers (RFC 4861 4.1, 4.2).
    Router,
    /// ICMP besides these.
    Icmp,
    /// DHCPv4 (RFC 2131).
    Dhcpv4,
    /// DHCPv6 (RFC 8415).
    Dhcpv6,
    /// DNS over UDP, to or from port 53.
    Dns,
    /// Anything else.
    Other,
}

/// What a frame is.
#[derive(Clone, Debug)]
pub struct Said<'a> {
    /// Who speaks it.
    pub protocol: Protocol,
    /// What the message is called in its RFC; of what is in no RFC here, the transport's name.
    pub name: &'static str,
    /// The message's type, by its number in the RFC; 0 where it has none.
    pub kind: u8,
    /// Source address and port, of the inner packet where there is a tunnel. Of ARP, the sender's.
    pub from: Option<(IpAddr, u16)>,
    /// Destination address and port. A port of 0 is none.
    pub to: Option<(IpAddr, u16)>,
    /// The Ethernet source.
    pub station: Mac,
    body: Body<'a>,
}

/// What is said, undecoded.
#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    Arp(&'a [u8]),
    Icmpv6(&'a [u8]),
    Dhcpv4(&'a [u8]),
    Dhcpv6(&'a [u8]),
    Dns(&'a [u8]),
    Tcp {
        flags: u8,
        bytes: usize,
    },
    /// That many bytes of this Ethernet type or IP protocol.
    Bytes(Layer, u16, usize),
}

#[derive(Clone, Copy, Debug)]
enum Layer {
    Ethernet,
    Ip,
}

impl<'a> Said<'a> {
    /// What an Ethernet frame is. `None`: it is shorter than an Ethernet header.
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else { return None };
        let station = Mac(ethernet.source());
        let payload = packet.ether_payload();
        let kind = payload.as_ref().map_or(ethernet.ether_type(), |payload| payload.ether_type);
        if kind == EtherType(ethertype::ARP) {
            return Some(Self::arp(station, payload.map_or(&[][..], |payload| payload.payload)));
        }
        match packet.net {
            None => {
                let bytes = payload.map_or(0, |payload| payload.payload.len());
                let body = Body::Bytes(Layer::Ethernet, kind.0, bytes);
                Some(Self { protocol: Protocol::Other, name: "frame", kind: 0, from: None, to: None, station, body })
            }
            Some(_) => Some(Self::of_ip(station, &packet)),
        }
    }

    fn arp(station: Mac, bytes: &'a [u8]) -> Self {
        let (name, kind) = match bytes.get(6..8) {
            Some([0, 1]) => ("ARP request", 1),
            Some([0, 2]) => ("ARP reply", 2),
            _ => ("ARP packet", 0),
        };
        let address = |at| discovery::ipv4(bytes, at).map(|address| (IpAddr::V4(address), 0));
        let (from, to) = (address(14), address(24));
        Self { protocol: Protocol::Neighbour, name, kind, from, to, station, body: Body::Arp(bytes) }
    }

    /// The inner packet, where there is one that can be read.
    fn of_ip(station: Mac, packet: &LaxSlicedPacket<'a>) -> Self {
        let inner = packet.net.as_ref().and_then(LaxNetSlice::ip_payload_ref);
        let inner = inner.filter(|inner| !inner.fragmented && inner.ip_number == IpNumber::IPV4);
        match inner.and_then(|inner| LaxSlicedPacket::from_ip(inner.payload).ok()) {
            Some(inner) => Self { station, ..Self::of_packet(station, &inner) },
            None => Self::of_packet(station, packet),
        }
    }

    fn of_packet(station: Mac, packet: &LaxSlicedPacket<'a>) -> Self {
        let addresses: Option<(IpAddr, IpAddr)> = match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                Some((ip.header().source_addr().into(), ip.header().destination_addr().into()))
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                Some((ip.header().source_addr().into(), ip.header().destination_addr().into()))
            }
            _ => None,
        };
        let payload = packet.net.as_ref().and_then(LaxNetSlice::ip_payload_ref);
        let (number, bytes) = payload.map_or((0, &[][..]), |payload| (payload.ip_number.0, payload.payload));
        let other = |name| (Protocol::Other, name, 0, Body::Bytes(Layer::Ip, number.into(), bytes.len()));
        let (ports, (protocol, name, kind, body)) = match &packet.transport {
            Some(TransportSlice::Udp(udp)) => {
                let ports = [udp.source_port(), udp.destination_port()];
                (ports, of_udp(ports, udp.payload()).unwrap_or(other("UDP datagram")))
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let ports = [tcp.source_port(), tcp.destination_port()];
                let body = Body::Tcp { flags: bytes.get(13).copied().unwrap_or_default(), bytes: tcp.payload().len() };
                (ports, (Protocol::Other, "TCP segment", 0, body))
            }
            Some(TransportSlice::Icmpv6(_)) => ([0; 2], discovery::of_icmpv6(bytes)),
            Some(TransportSlice::Icmpv4(_)) => {
                let kind = bytes.first().copied().unwrap_or_default();
                let name = match kind {
                    0 => "echo reply",
                    8 => "echo request",
                    _ => "ICMP message",
                };
                ([0; 2], (Protocol::Icmp, name, kind, Body::Bytes(Layer::Ip, number.into(), bytes.len())))
            }
            _ => ([0; 2], other(if payload.is_some_and(|payload| payload.fragmented) { "fragment" } else { "packet" })),
        };
        let (from, to) = addresses.unzip();
        let end = |address: Option<IpAddr>, port| address.map(|address| (address, port));
        Self { protocol, name, kind, from: end(from, ports[0]), to: end(to, ports[1]), station, body }
    }

    /// What it says, in words: [`LONGEST`] letters at most. Names in it are as others gave them.
    pub fn contents(&self) -> String {
        let mut text = String::new();
        match self.body {
            Body::Arp(bytes) => discovery::arp(bytes, &mut text),
            Body::Icmpv6(bytes) => discovery::icmpv6(bytes, &mut text),
            Body::Dhcpv4(bytes) => dhcpv4::say(bytes, &mut text),
            Body::Dhcpv6(bytes) => dhcpv6::say(bytes, &mut text),
            Body::Dns(bytes) => dns::say(bytes, &mut text),
            Body::Tcp { flags, bytes } => {
                let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
                let set = names.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0);
                for (_, name) in set {
                    add(&mut text, format_args!("{name}"));
                }
                add(&mut text, format_args!("{bytes} bytes"));
            }
            Body::Bytes(Layer::Ethernet, kind, bytes) => {
                add(&mut text, format_args!("Ethernet type {kind:#06x}, {bytes} bytes"));
            }
            Body::Bytes(Layer::Ip, number, bytes) => {
                add(&mut text, format_args!("IP protocol {number}, {bytes} bytes"));
            }
        }
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
        }
        text
    }
}

/// Adds a part to a sentence.
fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    if !text.is_empty() {
        text.push_str(", ");
    }
    let _ = text.write_fmt(part);
}

fn of_udp(ports: [u16; 2], payload: &[u8]) -> Option<(Protocol, &'static str, u8, Body<'_>)> {
    Some(match ports {
        [67 | 68, 67 | 68] => {
            let kind = dhcpv4::kind(payload);
            (Protocol::Dhcpv4, dhcpv4::name(kind), kind, Body::Dhcpv4(payload))
        }
        [_, 546 | 547] => {
            let kind = payload.first().copied().unwrap_or_default();
            (Protocol::Dhcpv6, dhcpv6::name(kind), kind, Body::Dhcpv6(payload))
        }
        [_, 53] | [53, _] => {
            let is_response = payload.get(2).is_some_and(|flags| flags & 0x80 != 0);
            (Protocol::Dns, if is_response { "response" } else { "query" }, 0, Body::Dns(payload))
        }
        _ => return None,
    })
}

/// A big-endian number at `at`; 0 where the bytes end before.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u32 {
    let digits = bytes.get(at..at + N).unwrap_or_default();
    digits.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// An address at `at`, if the bytes reach so far.
fn ipv6(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    bytes.get(at..at + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Ipv6Addr::from)
}

/// Seconds, of which all ones are for ever.
fn seconds(seconds: u32) -> String {
    if seconds == u32::MAX { "for ever".into() } else { format!("{seconds} s") }
}

#[cfg(test)]
mod tests;
