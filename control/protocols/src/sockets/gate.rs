//! What is let in to smoltcp. It would answer a stray segment with a reset and a stray datagram with
//! port unreachable; on the line, where nothing of ours listens, a packet that is not part of
//! something we began is dropped without a sound (RFC 6092 3.1, default deny).

use std::net::{Ipv6Addr, SocketAddrV6};

use serde::Serialize;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, UdpPacket, UdpRepr,
};

/// What became of the packets: each that was heard counts in `heard` and at most one of the drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// IPv6 packets that were handed to [`super::Stack::handle_input`].
    pub heard: u64,
    /// IPv6 packets that were handed out to be sent.
    pub sent: u64,
    /// Dropped: a length, header or checksum is wrong.
    pub malformed: u64,
    /// Dropped: from or to an address that cannot be, or not to one of ours.
    pub foreign: u64,
    /// Dropped: a fragment. Segments fit our MSS and DNS answers our EDNS size, so none is expected.
    pub fragment: u64,
    /// Dropped: another extension header or protocol.
    pub protocol: u64,
    /// Dropped: whole and to us, but part of nothing that we began.
    pub unsolicited: u64,
    /// Dropped: so much waits to be sent that there is no room for an answer.
    pub overrun: u64,
    /// ICMPv6 errors that told one of our connections something.
    pub errors: u64,
}

/// A packet that is whole and to one of our addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Segment { ours: SocketAddrV6, theirs: SocketAddrV6, reset: bool },
    Datagram { ours: SocketAddrV6, theirs: SocketAddrV6 },
    Error(Trouble),
}

/// An ICMPv6 error about a segment that seems to be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) ours: SocketAddrV6,
    pub(super) theirs: SocketAddrV6,
    pub(super) seq: TcpSeqNumber,
    pub(super) what: What,
}

/// What an ICMPv6 error says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// RFC 4443 3.1, 3.3, 3.4: it was not delivered, and why.
    Unreachable(String),
    /// RFC 4443 3.2: it was longer than this.
    TooBig(u32),
}

/// Why a packet is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drop {
    Malformed,
    Foreign,
    Fragment,
    Protocol,
    Unsolicited,
}

impl Counts {
    pub(super) fn drop(&mut self, why: Drop) {
        *match why {
            Drop::Malformed => &mut self.malformed,
            Drop::Foreign => &mut self.foreign,
            Drop::Fragment => &mut self.fragment,
            Drop::Protocol => &mut self.protocol,
            Drop::Unsolicited => &mut self.unsolicited,
        } += 1;
    }
}

/// Whether a packet may come from or go to `address`.
pub(super) fn is_unicast(address: Ipv6Addr) -> bool {
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

/// Checks a whole IPv6 packet, lengths and checksums, and says what it is.
pub(super) fn sort(packet: &[u8], is_ours: impl Fn(Ipv6Addr) -> bool) -> Result<Heard, Drop> {
    let packet = Ipv6Packet::new_checked(packet).map_err(|_| Drop::Malformed)?;
    let ip = Ipv6Repr::parse(&packet).map_err(|_| Drop::Malformed)?;
    if !is_ours(ip.dst_addr) || !is_unicast(ip.src_addr) {
        return Err(Drop::Foreign);
    }
    let (from, to) = (IpAddress::Ipv6(ip.src_addr), IpAddress::Ipv6(ip.dst_addr));
    let ours = |port| SocketAddrV6::new(ip.dst_addr, port, 0, 0);
    let theirs = |port| SocketAddrV6::new(ip.src_addr, port, 0, 0);
    let checks = ChecksumCapabilities::default();
    match ip.next_header {
        IpProtocol::Tcp => {
            let segment = TcpPacket::new_checked(packet.payload()).map_err(|_| Drop::Malformed)?;
            let tcp = TcpRepr::parse(&segment, &from, &to, &checks).map_err(|_| Drop::Malformed)?;
            let reset = tcp.control == TcpControl::Rst;
            Ok(Heard::Segment { ours: ours(tcp.dst_port), theirs: theirs(tcp.src_port), reset })
        }
        IpProtocol::Udp => {
            let datagram = UdpPacket::new_checked(packet.payload()).map_err(|_| Drop::Malformed)?;
            // RFC 8200 8.1: over IPv6 a datagram without a checksum is discarded. smoltcp lets it pass.
            if datagram.checksum() == 0 {
                return Err(Drop::Malformed);
            }
            let udp = UdpRepr::parse(&datagram, &from, &to, &checks).map_err(|_| Drop::Malformed)?;
            Ok(Heard::Datagram { ours: ours(udp.dst_port), theirs: theirs(udp.src_port) })
        }
        IpProtocol::Icmpv6 => {
            let message = Icmpv6Packet::new_checked(packet.payload()).map_err(|_| Drop::Malformed)?;
            let icmp = Icmpv6Repr::parse(&ip.src_addr, &ip.dst_addr, &message, &checks);
            trouble(icmp.map_err(|_| Drop::Malformed)?, ip.dst_addr).map(Heard::Error)
        }
        IpProtocol::Ipv6Frag => Err(Drop::Fragment),
        _ => Err(Drop::Protocol),
    }
}

/// The connection that an ICMPv6 error is about. Its quotation is what anybody might write: the caller
/// compares all of it, the sequence number too (RFC 5927 4.1).
fn trouble(icmp: Icmpv6Repr, us: Ipv6Addr) -> Result<Trouble, Drop> {
    let (quoted, data, what) = match icmp {
        Icmpv6Repr::DstUnreachable { reason, header, data } => (header, data, What::Unreachable(reason.to_string())),
        Icmpv6Repr::TimeExceeded { header, data, .. } => (header, data, What::Unreachable("hop limit exceeded".into())),
        Icmpv6Repr::ParamProblem { header, data, .. } => (header, data, What::Unreachable("parameter problem".into())),
        Icmpv6Repr::PktTooBig { mtu, header, data } => (header, data, What::TooBig(mtu)),
        _ => return Err(Drop::Protocol),
    };
    // Ports and sequence number are the first eight bytes of a segment.
    if quoted.src_addr != us || quoted.next_header != IpProtocol::Tcp || data.len() < 8 {
        return Err(Drop::Unsolicited);
    }
    let segment = TcpPacket::new_unchecked(data);
    Ok(Trouble {
        ours: SocketAddrV6::new(us, segment.src_port(), 0, 0),
        theirs: SocketAddrV6::new(quoted.dst_addr, segment.dst_port(), 0, 0),
        seq: segment.seq_number(),
        what,
    })
}
