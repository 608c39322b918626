//! The port of a customer in an IPv4 packet, also in ICMP and in fragments (RFC 7597 8.2, 8.3.2).

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use etherparse::{IpNumber, Ipv4HeaderSlice};

use crate::shift::Side;

/// Fragmented packets whose port is remembered, and fragments kept that came before it.
const REMEMBERED: usize = 512;

/// What all fragments of a packet have in common (RFC 791 3.2).
type Key = (Ipv4Addr, Ipv4Addr, IpNumber, u16);

/// A packet and the customer's port in it, if it has any.
pub type Ported = (Vec<u8>, Option<u16>);

/// Ports of fragmented packets.
#[derive(Default)]
pub struct Fragments {
    ports: HashMap<Key, Option<u16>>,
    oldest: VecDeque<Key>,
    early: VecDeque<(Key, Vec<u8>)>,
}

impl Fragments {
    /// Takes a packet with a good header, and gives those whose port is known by now: itself, later fragments that
    /// came before it, or nothing yet.
    pub fn hear(&mut self, packet: Vec<u8>, side: Side) -> Vec<Ported> {
        let Ok(header) = Ipv4HeaderSlice::from_slice(&packet) else { return Vec::new() };
        if !header.is_fragmenting_payload() {
            let port = port(&packet, side);
            return vec![(packet, port)];
        }
        let key = (header.source_addr(), header.destination_addr(), header.protocol(), header.identification());
        if header.fragments_offset().value() == 0 {
            let port = port(&packet, side);
            self.remember(key, port);
            let early = std::mem::take(&mut self.early);
            let (now, early): (VecDeque<_>, _) = early.into_iter().partition(|(of, _)| *of == key);
            self.early = early;
            return std::iter::once(packet).chain(now.into_iter().map(|(_, p)| p)).map(|p| (p, port)).collect();
        }
        if let Some(&port) = self.ports.get(&key) {
            return vec![(packet, port)];
        }
        if self.early.len() == REMEMBERED {
            self.early.pop_front();
        }
        self.early.push_back((key, packet));
        Vec::new()
    }

    fn remember(&mut self, key: Key, port: Option<u16>) {
        if self.ports.insert(key, port).is_none() {
            self.oldest.push_back(key);
        }
        if self.oldest.len() > REMEMBERED
            && let Some(key) = self.oldest.pop_front()
        {
            self.ports.remove(&key);
        }
    }
}

/// The port, or ICMP identifier, of the packet or first fragment. An ICMP error speaks of a packet that went the
/// other way, and is for whoever sent that.
fn port(packet: &[u8], side: Side) -> Option<u16> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let rest = &packet[header.slice().len()..];
    match header.protocol() {
        IpNumber::TCP | IpNumber::UDP => word(rest, if side == Side::Source { 0 } else { 2 }),
        IpNumber::ICMP => match rest.first()? {
            0 | 8 => word(rest, 4),
            3 | 11 | 12 => quoted(rest.get(8..)?, side.other()),
            _ => None,
        },
        _ => None,
    }
}

/// Errors about errors are not sent (RFC 1122 3.2.2), so this ends here.
fn quoted(packet: &[u8], side: Side) -> Option<u16> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let is_error = header.protocol() == IpNumber::ICMP && !matches!(packet.get(header.slice().len()), Some(0 | 8));
    if is_error { None } else { port(packet, side) }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode};
    use etherparse::{Icmpv4Type, Ipv4Header, PacketBuilder};

    use super::*;

    const CE: [u8; 4] = [192, 0, 2, 18];
    const PEER: [u8; 4] = [198, 51, 100, 2];

    fn udp(source: [u8; 4], ports: (u16, u16), destination: [u8; 4]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(source, destination, 64).udp(ports.0, ports.1).write(&mut packet, &[7; 32]).unwrap();
        packet
    }

    fn icmp(source: [u8; 4], destination: [u8; 4], kind: Icmpv4Type, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(source, destination, 64).icmpv4(kind).write(&mut packet, payload).unwrap();
        packet
    }

    fn echo(id: u16) -> Icmpv4Type {
        Icmpv4Type::EchoRequest(etherparse::IcmpEchoHeader { id, seq: 1 })
    }

    fn fragment(offset: u16, more: bool, identification: u16, payload: &[u8]) -> Vec<u8> {
        let mut header = Ipv4Header::new(payload.len() as u16, 64, IpNumber::UDP, CE, PEER).unwrap();
        header.identification = identification;
        header.fragment_offset = offset.try_into().unwrap();
        header.more_fragments = more;
        header.dont_fragment = false;
        header.header_checksum = header.calc_header_checksum();
        [&header.to_bytes()[..], payload].concat()
    }

    #[test]
    fn it_is_the_customers_port_on_either_side() {
        assert_eq!(port(&udp(CE, (1232, 53), PEER), Side::Source), Some(1232));
        assert_eq!(port(&udp(PEER, (53, 1232), CE), Side::Destination), Some(1232));
        assert_eq!(port(&icmp(CE, PEER, echo(1233), b""), Side::Source), Some(1233));
        assert_eq!(port(&icmp(PEER, CE, echo(1233), b""), Side::Destination), Some(1233));
    }

    #[test]
    fn an_error_is_for_the_sender_of_what_it_quotes() {
        let unreachable = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
        let inbound = icmp(PEER, CE, unreachable.clone(), &udp(CE, (1232, 53), PEER));
        assert_eq!(port(&inbound, Side::Destination), Some(1232));
        let outbound = icmp(CE, PEER, unreachable, &udp(PEER, (53, 1234), CE));
        assert_eq!(port(&outbound, Side::Source), Some(1234));
        let exceeded = Icmpv4Type::TimeExceeded(TimeExceededCode::TtlExceededInTransit);
        let of_echo = icmp(PEER, CE, exceeded.clone(), &icmp(CE, PEER, echo(1235), b""));
        assert_eq!(port(&of_echo, Side::Destination), Some(1235));
        assert_eq!(port(&icmp(PEER, CE, exceeded, &inbound), Side::Destination), None);
    }

    #[test]
    fn fragments_have_the_port_of_the_first_in_any_order() {
        let first = fragment(0, true, 9, &[4, 208, 0, 53, 0, 40, 0, 0]);
        let (second, third) = (fragment(1, true, 9, &[1; 8]), fragment(2, false, 9, &[2; 8]));
        let other = fragment(1, false, 10, &[3; 8]);
        let mut fragments = Fragments::default();
        for early in [&second, &other] {
            assert_eq!(fragments.hear(early.clone(), Side::Source), []);
        }
        assert_eq!(fragments.hear(first.clone(), Side::Source), [(first, Some(1232)), (second, Some(1232))]);
        assert_eq!(fragments.hear(third.clone(), Side::Source), [(third, Some(1232))]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut fragments = Fragments::default();
        for identification in 0..2000 {
            fragments.hear(fragment(1, true, identification, &[1; 8]), Side::Source);
            fragments.hear(fragment(0, true, identification + 3000, &[1; 8]), Side::Source);
        }
        assert!(fragments.early.len() <= REMEMBERED && fragments.ports.len() <= REMEMBERED);
        assert_eq!(fragments.ports.len(), fragments.oldest.len());
    }

    #[test]
    fn neither_port_nor_panic_in_what_is_cut_short() {
        let whole =
            icmp(PEER, CE, Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port), &udp(CE, (1, 2), PEER));
        for length in 0..48 {
            assert_eq!(port(&whole[..length], Side::Destination), None, "{length}");
        }
    }
}
