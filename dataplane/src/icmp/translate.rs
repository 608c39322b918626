//! ICMPv4 errors on their way through the NAPT (RFC 5508 4): the packet they quote is turned back
//! into what its sender knows.

use hikyaku_net::checksum::{Checksum, Delta, Sum};
use hikyaku_net::packet::{Icmp, Ipv4};
use hikyaku_net::{Addr4, Port, protocol};
use zerocopy::FromBytes;

use crate::verdict::Reason;

/// The packet that an ICMP error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// [`protocol::TCP`], [`protocol::UDP`], [`protocol::ICMP`] or one that is translated by address.
    pub protocol: u8,
    /// The source of the quoted packet.
    pub src: Addr4,
    /// The destination of the quoted packet.
    pub dst: Addr4,
    /// Its source port; the identifier, where it is an ICMP query; 0 of what is translated by address.
    pub src_port: Port,
    /// Its destination port, alike.
    pub dst_port: Port,
    /// Where its transport header begins in the message.
    transport: u16,
    /// Where its transport checksum stands, if it is quoted.
    checksum: Option<u16>,
}

/// An end of the quoted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Source address and port.
    Source,
    /// Destination address and port.
    Destination,
}

/// Where the quoted packet begins.
const QUOTE: usize = size_of::<Icmp>();

/// Reads what an error is about. `message` is the whole ICMP message from its type on: to the end
/// of the IP packet, not of the frame, and not from a fragment.
///
/// # Errors
/// - [`Reason::TransportHeader`]: cut off, or the checksum is wrong (RFC 5508 REQ-3).
/// - [`Reason::NaptIcmpError`]: it is no unreachable, time exceeded or parameter problem (redirects
///   and source quenches stop here: RFC 1812 5.2.7.2, RFC 6633), or the quoted header is broken
///   (REQ-3 a), or what is quoted can belong to no session: AH, ICMP that is no query, or a fragment
///   but the first.
pub fn quoted(message: &[u8]) -> Result<Quoted, Reason> {
    let (icmp, _) = Icmp::ref_from_prefix(message).map_err(|_| Reason::TransportHeader)?;
    if Sum::new().bytes(message).checksum() != Checksum::ABSENT {
        return Err(Reason::TransportHeader);
    }
    if !matches!(icmp.kind, Icmp::UNREACHABLE | Icmp::TIME_EXCEEDED | Icmp::PARAMETER_PROBLEM) {
        return Err(Reason::NaptIcmpError);
    }
    // RFC 4884 4.1: where extensions follow, the quote's length is told in words of 32 bits.
    let told = match message[5] {
        0 => message.len(),
        words => QUOTE + usize::from(words) * 4,
    };
    let quote = message.get(QUOTE..told).ok_or(Reason::TransportHeader)?;
    read(quote).ok_or(Reason::NaptIcmpError)
}

fn read(quote: &[u8]) -> Option<Quoted> {
    let (ip, _) = Ipv4::ref_from_prefix(quote).ok()?;
    let (header_len, len) = (ip.header_len(), ip.len());
    if ip.version_ihl >> 4 != 4 || header_len < size_of::<Ipv4>() || len < header_len || ip.fragment_offset() != 0 {
        return None;
    }
    // RFC 5508 REQ-3 a. Options, too, are part of the sum, and are stepped over (REQ-3 b).
    let header = quote.get(..header_len)?;
    if Sum::new().bytes(header).checksum() != Checksum::ABSENT {
        return None;
    }
    let transport = &quote[header_len..quote.len().min(len)];
    let (src_port, dst_port, checksum) = match (ip.protocol, transport) {
        (protocol::TCP | protocol::UDP, &[a, b, c, d, _, _, _, _, ..]) => {
            (Port([a, b]), Port([c, d]), protocol::checksum_over_addresses(ip.protocol))
        }
        (protocol::ICMP, &[kind, _, _, _, a, b, _, _, ..]) if is_mapped_query(kind) => {
            (Port([a, b]), Port([a, b]), Some(2))
        }
        (by_address, _) if protocol::is_by_address(by_address) => {
            (Port::default(), Port::default(), protocol::checksum_over_addresses(by_address))
        }
        _ => return None,
    };
    let at = QUOTE + header_len;
    let checksum = checksum.filter(|checksum| transport.len() >= checksum + 2).map(|checksum| (at + checksum) as u16);
    Some(Quoted { protocol: ip.protocol, src: ip.src, dst: ip.dst, src_port, dst_port, transport: at as u16, checksum })
}

/// Queries with an identifier (RFC 5508 3): echo, timestamp, information, address mask.
fn is_mapped_query(kind: u8) -> bool {
    matches!(kind, Icmp::ECHO_REPLY | Icmp::ECHO_REQUEST | 13..=18)
}

impl Quoted {
    /// Its ports, source and destination, also of what is translated by address; 0 where they are not quoted. `message` is
    /// the one that this was read from.
    pub fn ports(&self, message: &[u8]) -> [Port; 2] {
        match message.get(self.transport.into()..) {
            Some(&[a, b, c, d, ..]) if protocol::has_ports(self.protocol) => [Port([a, b]), Port([c, d])],
            _ => [self.src_port, self.dst_port],
        }
    }

    /// Puts `addr` and `port` in place of the quoted packet's own at `side` and brings the three
    /// checksums up to date: of the quoted header, of the quoted transport header as far as it is
    /// quoted, and of the message (RFC 5508 REQ-4 a, REQ-5 a). Extensions are left alone (RFC 4884).
    ///
    /// An identifier belongs to both sides of an ICMP query. What is translated by address has no port to put.
    ///
    /// # Panics
    /// If `message` is not the one this was read from.
    pub fn rewrite(&mut self, message: &mut [u8], side: Side, addr: Addr4, port: Port) {
        let address_at = QUOTE + if side == Side::Source { 12 } else { 16 };
        let by_address = protocol::is_by_address(self.protocol);
        let port = if by_address { Port::default() } else { port };
        let port_at = match (self.protocol, side) {
            _ if by_address => None,
            (protocol::ICMP, _) => Some(4),
            (_, Side::Source) => Some(0),
            (_, Side::Destination) => Some(2),
        };
        // Everything stands at even offsets, so that each checksum sees the same words.
        let [a, b, c, d] = addr.0;
        let address = put(message, address_at, [a, b]).and(put(message, address_at + 2, [c, d]));
        let port_change = port_at.map_or(Delta::default(), |at| put(message, self.transport as usize + at, port.0));
        let ip_checksum = update(message, QUOTE + 10, |sum| sum.updated(address));
        let mut changed = address.and(port_change).and(ip_checksum);
        if let Some(at) = self.checksum {
            let transport = update(message, at.into(), |sum| match self.protocol {
                // No pseudo header.
                protocol::ICMP => sum.updated(port_change),
                protocol::UDP | protocol::UDP_LITE => sum.updated_udp(address.and(port_change)),
                _ => sum.updated(address.and(port_change)),
            });
            changed = changed.and(transport);
        }
        update(message, 2, |sum| sum.updated(changed));
        match side {
            Side::Source => (self.src, self.src_port) = (addr, port),
            Side::Destination => (self.dst, self.dst_port) = (addr, port),
        }
        if self.protocol == protocol::ICMP {
            (self.src_port, self.dst_port) = (port, port);
        }
    }
}

/// Writes two bytes and says what that changed.
fn put(bytes: &mut [u8], at: usize, new: [u8; 2]) -> Delta {
    let old = [bytes[at], bytes[at + 1]];
    bytes[at..at + 2].copy_from_slice(&new);
    Delta::word(u16::from_ne_bytes(old), u16::from_ne_bytes(new))
}

/// As [`put`] for a checksum.
fn update(bytes: &mut [u8], at: usize, new: impl FnOnce(Checksum) -> Checksum) -> Delta {
    let old = Checksum([bytes[at], bytes[at + 1]]);
    put(bytes, at, new(old).0)
}
