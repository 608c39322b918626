//! What is said instead of an ICMP error where a rule rejects a TCP connection: a reset, in the name of whom it was for
//! (RFC 9293 3.10.7.1, RFC 1122 4.2.3.9). Hosts give up at once by it, and take an ICMP error for a passing trouble.

use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::{Ipv4, Ipv6, Tcp, ipv6};
use hikyaku_net::protocol;
use zerocopy::{FromBytes, IntoBytes};

use crate::tunnel::{Composed, Outer};

const TTL: u8 = 64;

/// Not to be fragmented, so that an identification is not needed (RFC 6864 4.1).
const DONT_FRAGMENT: u16 = 0x4000;

/// The reset that answers `offending`, an IPv4 packet, which may go on behind its end. `None`: it is no segment that is
/// answered so.
pub fn reset(offending: &[u8]) -> Option<Composed<'static>> {
    let (ip, _) = Ipv4::ref_from_prefix(offending).ok()?;
    let segment = offending.get(ip.header_len()..ip.len().min(offending.len()))?;
    if ip.protocol != protocol::TCP || ip.is_fragment() || !ip.src.is_host() {
        return None;
    }
    let mut tcp = answer_to(segment)?;
    let pseudo = Sum::new().bytes(&ip.dst.0).bytes(&ip.src.0);
    tcp.checksum = summed(pseudo, &tcp);
    let mut header = Ipv4 {
        version_ihl: 0x45,
        tos: 0,
        total_len: ((size_of::<Ipv4>() + size_of::<Tcp>()) as u16).into(),
        id: 0.into(),
        fragment: DONT_FRAGMENT.into(),
        ttl: TTL,
        protocol: protocol::TCP,
        checksum: Checksum::ABSENT,
        src: ip.dst,
        dst: ip.src,
    };
    header.checksum = Sum::new().bytes(header.as_bytes()).checksum();
    Some(Composed::new([header.as_bytes(), tcp.as_bytes()], &[]))
}

/// The same of an IPv6 packet.
pub fn reset6(offending: &[u8]) -> Option<Composed<'static>> {
    let (ip, _) = Ipv6::ref_from_prefix(offending).ok()?;
    let walked = ipv6::walk_past(offending).ok()?;
    if walked.protocol != protocol::TCP || walked.fragment.is_some() || !ip.src.is_forwardable() {
        return None;
    }
    let mut tcp = answer_to(&offending[walked.offset..walked.end])?;
    let pseudo = Sum::new().bytes(&ip.dst.0).bytes(&ip.src.0);
    tcp.checksum = summed(pseudo, &tcp);
    let outer = Outer { src: ip.dst, dst: ip.src, class: 0, flow: 0, hop_limit: TTL };
    let header = outer.header(size_of::<Tcp>() as u16, protocol::TCP);
    Some(Composed::new([header.as_bytes(), tcp.as_bytes()], &[]))
}

/// RFC 9293 3.10.7.1: the reset has the sequence number that was asked for; if none was, it acknowledges what came. A reset is
/// never answered.
fn answer_to(segment: &[u8]) -> Option<Tcp> {
    let (tcp, _) = Tcp::read_from_prefix(segment).ok()?;
    if tcp.flags & Tcp::RST != 0 {
        return None;
    }
    let data = segment.len().checked_sub(usize::from(tcp.offset >> 4) * 4)?;
    let ends = [Tcp::SYN, Tcp::FIN].map(|flag| u32::from(tcp.flags & flag != 0));
    let next = tcp.seq.get().wrapping_add(data as u32).wrapping_add(ends[0] + ends[1]);
    let (seq, ack, flags) = match tcp.flags & Tcp::ACK {
        0 => (0.into(), next.into(), Tcp::RST | Tcp::ACK),
        _ => (tcp.ack, 0.into(), Tcp::RST),
    };
    Some(Tcp {
        src: tcp.dst,
        dst: tcp.src,
        seq,
        ack,
        offset: (size_of::<Tcp>() as u8 / 4) << 4,
        flags,
        window: 0.into(),
        checksum: Checksum::ABSENT,
        urgent: 0.into(),
    })
}

fn summed(pseudo: Sum, tcp: &Tcp) -> Checksum {
    pseudo.number(protocol::TCP.into()).number(size_of::<Tcp>() as u16).bytes(tcp.as_bytes()).checksum()
}
