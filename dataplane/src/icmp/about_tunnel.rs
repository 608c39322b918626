//! ICMPv6 errors about the tunnel, turned into ICMPv4 for the source inside (RFC 2473 8,
//! RFC 4443).

use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::ipv6::FragmentHeader;
use hikyaku_net::packet::{Icmp, Ipv4, Ipv6};
use hikyaku_net::{Addr6, protocol};
use zerocopy::FromBytes;

use super::error::Message;
use crate::verdict::Reason;

/// What a router on the way, or the border router, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type 1 with this code.
    Unreachable(u8),
    /// Type 2: the MTU as told, not yet brought into bounds
    /// ([`PathMtu::learn`](crate::tunnel::mtu::PathMtu::learn) does).
    PacketTooBig(u32),
    /// Type 3 with this code: 0 hop limit, 1 reassembly time.
    TimeExceeded(u8),
    /// Type 4 with this code.
    ParameterProblem(u8),
}

impl Kind {
    /// RFC 4443 3.1: the source address failed ingress or egress policy. A border router says so
    /// of a source that is not in its binding table: the one to count and to show.
    pub const SOURCE_POLICY: Self = Self::Unreachable(5);
}

/// An error about a packet that we sent through the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelError<'a> {
    /// What the router on the way complains about.
    pub kind: Kind,
    /// As much of the inner IPv4 packet as is quoted: at least its header without options.
    pub inner: &'a [u8],
}

/// Reads an error that came from `src` to `dst` (for the checksum) about the tunnel from `local` to
/// `remote`. `message` is the ICMPv6 message from its type on.
///
/// # Errors
/// - [`Reason::TransportHeader`]: cut off or checksum wrong.
/// - [`Reason::TunnelIcmpForged`]: quotes nothing that we sent (RFC 8201 4: to be ignored).
/// - [`Reason::TunnelIcmp`]: about a tunnel packet, but of no use: an error of unknown type, or a
///   quote that is too short to show the inner header or begins behind it. The first fragment of
///   the same packet met the same fate and shows more.
pub fn about_tunnel<'a>(
    (src, dst): (Addr6, Addr6),
    message: &'a [u8],
    (local, remote): (Addr6, Addr6),
) -> Result<TunnelError<'a>, Reason> {
    let (icmp, quote) = Icmp::ref_from_prefix(message).map_err(|_| Reason::TransportHeader)?;
    let len = u16::try_from(message.len()).map_err(|_| Reason::TransportHeader)?;
    let pseudo = Sum::new().bytes(&src.0).bytes(&dst.0).number(len).number(protocol::ICMPV6.into());
    if pseudo.bytes(message).checksum() != Checksum::ABSENT {
        return Err(Reason::TransportHeader);
    }
    let (outer, behind) = Ipv6::ref_from_prefix(quote).map_err(|_| Reason::TunnelIcmpForged)?;
    if outer.version_class_flow.get() >> 28 != 6 || (outer.src, outer.dst) != (local, remote) {
        return Err(Reason::TunnelIcmpForged);
    }
    // These are the only headers we write.
    let inner = match outer.next_header {
        protocol::IPV4 => behind,
        protocol::FRAGMENT => {
            let (fragment, inner) = FragmentHeader::ref_from_prefix(behind).map_err(|_| Reason::TunnelIcmp)?;
            if fragment.next_header != protocol::IPV4 {
                return Err(Reason::TunnelIcmpForged);
            }
            if fragment.offset() != 0 {
                return Err(Reason::TunnelIcmp);
            }
            inner
        }
        _ => return Err(Reason::TunnelIcmpForged),
    };
    let word = u32::from_be_bytes([icmp.id.0[0], icmp.id.0[1], message[6], message[7]]);
    let kind = match icmp.kind {
        1 => Kind::Unreachable(icmp.code),
        2 => Kind::PacketTooBig(word),
        3 => Kind::TimeExceeded(icmp.code),
        4 => Kind::ParameterProblem(icmp.code),
        _ => return Err(Reason::TunnelIcmp),
    };
    let (ip, _) = Ipv4::ref_from_prefix(inner).map_err(|_| Reason::TunnelIcmp)?;
    if ip.version_ihl >> 4 != 4 || ip.header_len() < size_of::<Ipv4>() {
        return Err(Reason::TunnelIcmpForged);
    }
    Ok(TunnelError { kind, inner: &inner[..inner.len().min(ip.len().max(size_of::<Ipv4>()))] })
}

impl TunnelError<'_> {
    /// What to tell the inner source (RFC 2473 8.3), if anything; [`super::compose`] writes it.
    ///
    /// `inner_mtu` is the largest inner packet that passes now that a Packet Too Big was learned
    /// from. It is told only where DF forbade to fragment; without DF the next one goes in pieces
    /// (RFC 2473 7.2), and so it does whatever DF says where the tunnel fragments anyway: there the
    /// caller asks with `inner_mtu` of its mode, and what fits that is not answered.
    pub fn relay(&self, inner_mtu: u16) -> Option<Message> {
        let (ip, _) = Ipv4::ref_from_prefix(self.inner).ok()?;
        match self.kind {
            Kind::PacketTooBig(_) => {
                let refused = ip.dont_fragment() && ip.len() > inner_mtu as usize;
                refused.then_some(Message::too_big(inner_mtu))
            }
            // Reassembly took too long at the far end: says nothing about the way.
            Kind::TimeExceeded(1) => None,
            // The inner source knows nothing of the hops and headers outside: to it, it is a host
            // that cannot be reached.
            Kind::Unreachable(_) | Kind::TimeExceeded(_) | Kind::ParameterProblem(_) => Some(Message::HOST_UNREACHABLE),
        }
    }
}
