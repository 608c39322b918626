//! Frames around what the machines say, and those that wait to be sent.

use std::collections::VecDeque;
use std::net::Ipv6Addr;

use etherparse::PacketBuilder;
use hikyaku_dataplane::shared::Message;
use hikyaku_net::Mac;
use hikyaku_net::packet::ethertype;
use hikyaku_ring::LinkId;

use super::message_log;

/// Length of an Ethernet header.
pub const ETHERNET: usize = 14;

/// Frames that wait to be sent, at most. Workers take them 64 at a time; more than this is a storm.
const WAITING: usize = 1024;

/// Frames to be sent.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub waiting: VecDeque<Message>,
    /// Too many, or too long.
    pub lost: u64,
    /// Names of links, for the log.
    links: Vec<String>,
}

impl Frames {
    /// None yet. `links`: their names, by [`LinkId`].
    pub fn new(links: Vec<String>) -> Self {
        Self { links, ..Self::default() }
    }

    /// The link's name, for the log.
    pub fn name(&self, link: LinkId) -> &str {
        self.links.get(link.index()).map_or("", String::as_str)
    }

    pub fn send(&mut self, link: LinkId, frame: Vec<u8>) {
        match Message::new(link, &frame).filter(|_| self.waiting.len() < WAITING) {
            Some(message) => {
                message_log::sent(link, self.name(link), &frame);
                self.waiting.push_back(message);
            }
            None => self.lost += 1,
        }
    }
}

/// What is known of an IPv6 packet before anybody is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Packet6<'a> {
    /// From the IPv6 header on, without padding.
    pub bytes: &'a [u8],
    /// Source address.
    pub src: Ipv6Addr,
    /// Behind all extension headers.
    pub protocol: u8,
    /// What the protocol begins with.
    pub payload: &'a [u8],
}

impl<'a> Packet6<'a> {
    /// Reads the packet of an Ethernet frame; `None` for what is none, is cut off, or is a fragment.
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let (header, packet) = frame.split_at_checked(ETHERNET)?;
        if header[12..] != ethertype::IPV6.to_be_bytes() {
            return None;
        }
        let walked = hikyaku_net::packet::ipv6::walk(packet).ok()?;
        if walked.fragment.is_some() {
            return None;
        }
        let src = <[u8; 16]>::try_from(&packet[8..24]).ok()?;
        Some(Self {
            bytes: &packet[..walked.end],
            src: src.into(),
            protocol: walked.protocol,
            payload: &packet[walked.offset..walked.end],
        })
    }
}

/// The payload of a UDP datagram to `port`, if `packet` is one and its checksum is right.
pub fn udp_to<'a>(packet: &Packet6<'a>, port: u16) -> Option<&'a [u8]> {
    let sliced = etherparse::SlicedPacket::from_ip(packet.bytes).ok()?;
    let Some(etherparse::TransportSlice::Udp(udp)) = &sliced.transport else { return None };
    let Some(etherparse::NetSlice::Ipv6(ip)) = &sliced.net else { return None };
    let header = udp.to_header();
    let right = header.calc_checksum_ipv6(&ip.header().to_header(), udp.payload()).ok()? == header.checksum;
    // RFC 8200 8.1: without a checksum it is no datagram.
    let ours = header.destination_port == port && header.checksum != 0 && right;
    ours.then(|| &packet.payload[8..8 + udp.payload().len()])
}

/// A UDP datagram in IPv6.
pub fn udp6((src, from): (Ipv6Addr, u16), (dst, to): (Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(48 + payload.len());
    let builder = PacketBuilder::ipv6(src.octets(), dst.octets(), 64).udp(from, to);
    builder.write(&mut packet, payload).expect("a vector takes all that is written, and payloads are short");
    packet
}

/// An IPv6 packet in Ethernet.
pub fn frame6(dst: Mac, src: Mac, packet: &[u8]) -> Vec<u8> {
    [&dst.0[..], &src.0, &ethertype::IPV6.to_be_bytes(), packet].concat()
}

/// The destination of an IPv6 packet.
pub fn destination(packet: &[u8]) -> Option<Ipv6Addr> {
    packet.get(24..40).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Ipv6Addr::from)
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464 7).
pub fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_read_as_it_was_made() {
        let [a, b]: [Ipv6Addr; 2] = ["fe80::1", "fe80::2"].map(|addr| addr.parse().unwrap());
        let frame = frame6(Mac([2; 6]), Mac([4; 6]), &udp6((a, 547), (b, 546), b"reply"));
        let padded = [&frame[..], &[0; 9]].concat();
        let packet = Packet6::read(&padded).unwrap();
        assert_eq!((packet.src, destination(packet.bytes)), (a, Some(b)));
        assert_eq!(udp_to(&packet, 546), Some(&b"reply"[..]));
        assert_eq!(udp_to(&packet, 547), None);
        for at in 14..frame.len() {
            let mut broken = frame.clone();
            broken[at] ^= 0x10;
            // The class, the flow label and the hop limit are not covered by any checksum.
            let covered = !(15..18).contains(&at) && at != 21;
            let heard = Packet6::read(&broken).and_then(|p| udp_to(&p, 546).map(<[u8]>::to_vec));
            assert!(!covered || heard.is_none(), "byte {at}");
        }
    }
}
