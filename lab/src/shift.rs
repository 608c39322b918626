//! Two customers may both have a 192.168.1.2. So the kernel, which translates to the outside address,
//! sees neither: the upper half of a customer's addresses is exchanged for one of this softwire's own.
//! The lower half and all ports stay, so this needs no state for a packet and works on fragments.

use etherparse::{IpNumber, Ipv4HeaderSlice};

/// Which address of the packet belongs to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Packets from the line.
    Source,
    /// Packets to the line.
    Destination,
}

impl Side {
    /// The address at the other end.
    pub fn other(self) -> Self {
        match self {
            Side::Source => Side::Destination,
            Side::Destination => Side::Source,
        }
    }

    /// Where the address stands in an IPv4 header (RFC 791 3.1).
    fn offset(self) -> usize {
        match self {
            Side::Source => 12,
            Side::Destination => 16,
        }
    }
}

/// Writes `half` as the upper half of the customer's address and mends the checksums. The packet is a
/// whole IPv4 packet with a good header; quoted headers of ICMP errors are followed where they are whole.
pub fn shift(packet: &mut [u8], side: Side, half: u16) {
    let Some(header) = Header::of(packet) else { return };
    let old = write_address(packet, header.length, side, half);
    if !header.first {
        return;
    }
    let checksum = match header.protocol {
        IpNumber::TCP => header.length + 16,
        IpNumber::UDP => header.length + 6,
        IpNumber::ICMP => return shift_quoted(&mut packet[header.length..], side.other(), half),
        _ => return,
    };
    // A UDP checksum of zero means that there is none (RFC 768).
    if packet.len() >= checksum + 2 && (header.protocol == IpNumber::TCP || word(packet, checksum) != 0) {
        let sum = updated(word(packet, checksum), old, half);
        put(packet, checksum, if sum == 0 && header.protocol == IpNumber::UDP { 0xffff } else { sum });
    }
}

/// An ICMP error quotes a packet that went the other way. Its address and its header checksum change
/// by opposite amounts, so the sum over the message stays; its TCP or UDP checksum nobody looks at.
fn shift_quoted(message: &mut [u8], side: Side, half: u16) {
    const ERRORS: [u8; 3] = [3, 11, 12];
    if message.len() < 8 || !ERRORS.contains(&message[0]) {
        return;
    }
    let quoted = &mut message[8..];
    if let Some(header) = Header::of(quoted) {
        write_address(quoted, header.length, side, half);
    }
}

struct Header {
    length: usize,
    protocol: IpNumber,
    first: bool,
}

impl Header {
    fn of(packet: &[u8]) -> Option<Self> {
        let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
        Some(Self {
            length: header.slice().len(),
            protocol: header.protocol(),
            first: header.fragments_offset().value() == 0,
        })
    }
}

/// Returns the half that stood there.
fn write_address(packet: &mut [u8], header: usize, side: Side, half: u16) -> u16 {
    debug_assert!(header >= 20);
    let old = word(packet, side.offset());
    put(packet, side.offset(), half);
    put(packet, 10, updated(word(packet, 10), old, half));
    old
}

/// RFC 1624 section 3, equation 3.
fn updated(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use etherparse::{Icmpv4Slice, Ipv4Header, PacketBuilder, SlicedPacket, TransportSlice};

    use super::*;

    const INSIDE: [u8; 4] = [192, 168, 7, 2];
    const SHIFTED: [u8; 4] = [100, 65, 7, 2];
    const PEER: [u8; 4] = [198, 51, 100, 2];
    const HALF: u16 = 100 << 8 | 65;

    /// As built with the address in place from the start: every checksum computed, none updated.
    fn udp(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4(source, destination, 64).udp(4000, 53);
        let mut packet = Vec::new();
        builder.write(&mut packet, b"payload").unwrap();
        packet
    }

    fn tcp(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4(source, destination, 64).tcp(4000, 80, 1, 1024);
        let mut packet = Vec::new();
        builder.write(&mut packet, b"payload").unwrap();
        packet
    }

    #[test]
    fn a_shifted_packet_is_the_packet_built_with_the_new_address() {
        for build in [udp, tcp] {
            let mut outbound = build(INSIDE, PEER);
            shift(&mut outbound, Side::Source, HALF);
            assert_eq!(outbound, build(SHIFTED, PEER));
            let mut inbound = build(PEER, SHIFTED);
            shift(&mut inbound, Side::Destination, 192 << 8 | 168);
            assert_eq!(inbound, build(PEER, INSIDE));
        }
    }

    #[test]
    fn a_missing_udp_checksum_stays_missing() {
        let mut packet = udp(INSIDE, PEER);
        packet[26..28].fill(0);
        shift(&mut packet, Side::Source, HALF);
        assert_eq!(packet[26..28], [0, 0]);
    }

    #[test]
    fn later_fragments_change_in_the_header_only() {
        let mut header = Ipv4Header::new(16, 64, IpNumber::UDP, INSIDE, PEER).unwrap();
        header.fragment_offset = 100.try_into().unwrap();
        header.header_checksum = header.calc_header_checksum();
        let mut packet = header.to_bytes().to_vec();
        packet.extend([0xa5; 16]);
        shift(&mut packet, Side::Source, HALF);
        assert_eq!(packet[20..], [0xa5; 16]);
        let after = Ipv4HeaderSlice::from_slice(&packet).unwrap().to_header();
        assert_eq!((after.source, after.header_checksum), (SHIFTED, after.calc_header_checksum()));
    }

    #[test]
    fn quoted_headers_follow_and_the_message_keeps_its_checksum() {
        let builder = PacketBuilder::ipv4(PEER, SHIFTED, 64)
            .icmpv4(etherparse::Icmpv4Type::DestinationUnreachable(etherparse::icmpv4::DestUnreachableHeader::Port));
        let mut packet = Vec::new();
        builder.write(&mut packet, &udp(SHIFTED, PEER)).unwrap();
        shift(&mut packet, Side::Destination, 192 << 8 | 168);

        let sliced = SlicedPacket::from_ip(&packet).unwrap();
        let Some(TransportSlice::Icmpv4(icmp)) = sliced.transport else { panic!("{sliced:?}") };
        assert!(is_checksummed(&icmp));
        let quoted = Ipv4HeaderSlice::from_slice(icmp.payload()).unwrap().to_header();
        assert_eq!((quoted.source, quoted.header_checksum), (INSIDE, quoted.calc_header_checksum()));
    }

    fn is_checksummed(icmp: &Icmpv4Slice) -> bool {
        icmp.icmp_type().calc_checksum(icmp.payload()) == icmp.checksum()
    }

    #[test]
    fn garbage_is_left_alone() {
        for length in 0..40 {
            let mut packet = vec![0x45; length];
            shift(&mut packet, Side::Source, HALF);
        }
    }
}
