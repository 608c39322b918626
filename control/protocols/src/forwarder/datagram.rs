//! Questions and answers as frames of the LAN: Ethernet, IPv4 or IPv6, UDP; and what of it TCP has, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_net::packet::{Ethernet, Ipv4, Ipv6, ethertype, ipv4, ipv6};
use hikyaku_net::{Mac, Prefix4, Prefix6, protocol};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet,
    Ipv6Repr, UdpPacket, UdpRepr,
};
use zerocopy::FromBytes;

use super::{Client, PORT};

const ETHERNET: usize = size_of::<Ethernet>();
/// RFC 894: a frame carries 46 bytes at least, and not every link pads.
const SHORTEST: usize = ETHERNET + 46;
/// Of what we send (RFC 1700).
const TTL: u8 = 64;

/// The LAN, as far as questions and answers have to know it: who is asked, and who may ask. Nobody outside may (RFC 5358 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Our Ethernet address.
    pub mac: Mac,
    /// Our addresses that may be used.
    pub addresses: Vec<IpAddr>,
    /// The LAN's IPv4 network.
    pub ipv4: Prefix4,
    /// The LAN's IPv6 prefixes; link-local addresses may ask, too.
    pub ipv6: Vec<Prefix6>,
}

/// A packet of a host's.
pub(super) struct Packet<'a> {
    pub station: Mac,
    pub from: IpAddr,
    pub to: IpAddr,
    pub bytes: &'a [u8],
    /// Where the transport's header begins.
    pub transport: usize,
}

impl Place {
    /// Who asks, and the question, if `frame` is a whole UDP datagram from a host of the LAN to port 53 of ours.
    pub fn read<'a>(&self, frame: &'a [u8]) -> Option<(Client, &'a [u8])> {
        let Packet { station, from, to, bytes, transport } = self.packet(frame, protocol::UDP)?;
        let segment = &bytes[transport..];
        let udp = UdpPacket::new_checked(segment).ok()?;
        // RFC 8200 8.1: over IPv6 a datagram without a checksum is none.
        let is_whole = udp.verify_checksum(&from.into(), &to.into()) && (from.is_ipv4() || udp.checksum() != 0);
        if !is_whole || udp.dst_port() != PORT || udp.src_port() == 0 {
            return None;
        }
        let payload = &segment[8..usize::from(udp.len())];
        Some((Client { station, address: from, port: udp.src_port(), to, connection: None }, payload))
    }

    /// The IP packet in `frame`, if it is whole, of this protocol, from a host of the LAN, and to an address of ours.
    pub(super) fn packet<'a>(&self, frame: &'a [u8], protocol: u8) -> Option<Packet<'a>> {
        let (ethernet, packet) = Ethernet::read_from_prefix(frame).ok()?;
        if ethernet.dst.is_group() || ethernet.src.is_group() || ethernet.src == self.mac {
            return None;
        }
        let read = match ethernet.ethertype.get() {
            ethertype::IPV4 => self.read4(ethernet.src, packet, protocol)?,
            ethertype::IPV6 => self.read6(ethernet.src, packet, protocol)?,
            _ => return None,
        };
        Some(read).filter(|read| read.from != read.to && self.addresses.contains(&read.to))
    }

    fn read4<'a>(&self, station: Mac, packet: &'a [u8], protocol: u8) -> Option<Packet<'a>> {
        let checked = ipv4::check(packet).ok()?;
        let (ip, _) = Ipv4::read_from_prefix(packet).ok()?;
        let may_ask = self.ipv4.contains(ip.src) && !self.ipv4.is_broadcast(ip.src) && !ip.is_fragment();
        let (from, to) = (Ipv4Addr::from(ip.src).into(), Ipv4Addr::from(ip.dst).into());
        let (bytes, transport) = (&packet[..checked.len], checked.header_len);
        (may_ask && ip.protocol == protocol).then_some(Packet { station, from, to, bytes, transport })
    }

    fn read6<'a>(&self, station: Mac, packet: &'a [u8], protocol: u8) -> Option<Packet<'a>> {
        let walked = ipv6::walk(packet).ok()?;
        let (ip, _) = Ipv6::read_from_prefix(packet).ok()?;
        let (src, to) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(ip.dst).into());
        let may_ask = src.is_unicast_link_local() || self.ipv6.iter().any(|prefix| prefix.contains(src));
        let is_whole = walked.protocol == protocol && walked.fragment.is_none();
        let (bytes, transport) = (&packet[..walked.end], walked.offset);
        (may_ask && is_whole).then_some(Packet { station, from: src.into(), to, bytes, transport })
    }

    /// The frame that answers `client`: to the station that it came from.
    pub fn write(&self, client: &Client, message: &[u8]) -> Vec<u8> {
        let udp = UdpRepr { src_port: PORT, dst_port: client.port };
        let payload_len = udp.header_len() + message.len();
        let next_header = IpProtocol::Udp;
        let checks = ChecksumCapabilities::default();
        let (ethertype, header) = match client.address {
            IpAddr::V4(_) => (EthernetProtocol::Ipv4, size_of::<Ipv4>()),
            IpAddr::V6(_) => (EthernetProtocol::Ipv6, size_of::<Ipv6>()),
        };
        let mut frame = vec![0; (ETHERNET + header + payload_len).max(SHORTEST)];
        let (src_addr, dst_addr) = (EthernetAddress(self.mac.0), EthernetAddress(client.station.0));
        EthernetRepr { src_addr, dst_addr, ethertype }.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        let (ip, rest) = frame[ETHERNET..].split_at_mut(header);
        match (client.to, client.address) {
            (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
                Ipv4Repr { src_addr, dst_addr, next_header, payload_len, hop_limit: TTL }
                    .emit(&mut Ipv4Packet::new_unchecked(ip), &checks);
            }
            (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
                Ipv6Repr { src_addr, dst_addr, next_header, payload_len, hop_limit: TTL }
                    .emit(&mut Ipv6Packet::new_unchecked(ip));
            }
            // A datagram's two addresses are of one family.
            _ => {}
        }
        let mut datagram = UdpPacket::new_unchecked(&mut rest[..payload_len]);
        let (from, to) = (client.to.into(), client.address.into());
        udp.emit(&mut datagram, &from, &to, message.len(), |payload| payload.copy_from_slice(message), &checks);
        frame
    }
}
