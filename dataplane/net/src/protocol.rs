//! What an IP packet carries: protocol numbers and next headers.

/// Options for every hop, directly behind the IPv6 header (RFC 8200 4.3).
pub const HOP_BY_HOP: u8 = 0;
/// ICMP, as IPv4 has it (RFC 792).
pub const ICMP: u8 = 1;
/// An IPv4 packet: the tunnel.
pub const IPV4: u8 = 4;
/// Transmission Control Protocol (RFC 9293).
pub const TCP: u8 = 6;
/// User Datagram Protocol (RFC 768).
pub const UDP: u8 = 17;
/// Datagram Congestion Control Protocol (RFC 4340).
pub const DCCP: u8 = 33;
/// A route to be travelled, an IPv6 extension header (RFC 8200 4.4).
pub const ROUTING: u8 = 43;
/// A part of a packet, an IPv6 extension header (RFC 8200 4.5).
pub const FRAGMENT: u8 = 44;
/// IPsec's encapsulation (RFC 4303).
pub const ESP: u8 = 50;
/// IPsec's authentication header (RFC 4302).
pub const AH: u8 = 51;
/// ICMP, as IPv6 has it (RFC 4443).
pub const ICMPV6: u8 = 58;
/// Nothing follows (RFC 8200 4.7).
pub const NONE: u8 = 59;
/// Options for the destination, an IPv6 extension header (RFC 8200 4.6).
pub const DESTINATION: u8 = 60;
/// Stream Control Transmission Protocol (RFC 9260).
pub const SCTP: u8 = 132;
/// UDP whose checksum may cover a part of the payload (RFC 3828).
pub const UDP_LITE: u8 = 136;

/// Whether a NAPT tells the flows of a protocol apart by addresses alone, because it knows no ports of it.
/// Not so AH, whose check value covers the addresses (RFC 4302 3.3.3.1), nor 0, which no IPv4 packet is of.
pub const fn is_by_address(protocol: u8) -> bool {
    !matches!(protocol, HOP_BY_HOP | ICMP | TCP | UDP | AH)
}

/// Whether a protocol's header begins with the ports of both ends.
pub const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | UDP_LITE | SCTP | DCCP)
}

/// Where in its header a protocol has a checksum that covers the IPv4 addresses, too, in a pseudo header.
/// Not SCTP, GRE, ESP or 6in4: what they check is their own.
pub const fn checksum_over_addresses(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        // RFC 768, RFC 3828 3.1, RFC 4340 9.1.
        UDP | UDP_LITE | DCCP => Some(6),
        _ => None,
    }
}
