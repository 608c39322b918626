//! ICMPv4 errors of our own (RFC 792, RFC 1812 4.3.2, RFC 1122 3.2.2).

use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::{Icmp, Ipv4};
use hikyaku_net::{Addr4, protocol};
use zerocopy::{FromBytes, IntoBytes};

use super::Purpose;
use crate::tunnel::Composed;
use crate::verdict::Reason;

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The ICMP type of the message.
    pub kind: u8,
    /// The ICMP code of the message.
    pub code: u8,
    /// The MTU of the next hop with 3/4 (RFC 1191 4), 0 otherwise.
    pub mtu: u16,
}

impl Message {
    /// TTL exceeded in transit.
    pub const TIME_EXCEEDED: Self = Self { kind: Icmp::TIME_EXCEEDED, code: 0, mtu: 0 };
    /// Network unreachable: there is no route.
    pub const NET_UNREACHABLE: Self = Self { kind: Icmp::UNREACHABLE, code: 0, mtu: 0 };
    /// Host unreachable: there is a route, and yet the packet cannot be delivered.
    pub const HOST_UNREACHABLE: Self = Self { kind: Icmp::UNREACHABLE, code: 1, mtu: 0 };
    /// Communication administratively prohibited (RFC 1812 5.2.7.1): the operator does not want it.
    pub const PROHIBITED: Self = Self { kind: Icmp::UNREACHABLE, code: 13, mtu: 0 };
    /// Port unreachable: nobody is at that port.
    pub const PORT_UNREACHABLE: Self = Self { kind: Icmp::UNREACHABLE, code: 3, mtu: 0 };

    /// Fragmentation needed and DF set; the largest packet that passes.
    pub const fn too_big(mtu: u16) -> Self {
        Self { kind: Icmp::UNREACHABLE, code: 4, mtu }
    }

    /// Which budget it is of.
    pub fn purpose(self) -> Purpose {
        match (self.kind, self.code) {
            (Icmp::UNREACHABLE, 4) => Purpose::PathMtu,
            (Icmp::TIME_EXCEEDED, _) => Purpose::Hops,
            _ => Purpose::Refusal,
        }
    }
}

/// The one place that turns a drop into an answer. `mtu` is what does not fit where the reason is
/// [`Reason::TooBig`] and [`Reason::OverMtu`], and not used otherwise.
pub const fn answer(reason: Reason, mtu: u16) -> Option<Message> {
    match reason {
        // RFC 1812 5.3.1.
        Reason::TtlExceeded => Some(Message::TIME_EXCEEDED),
        // RFC 1812 4.3.3.1.
        Reason::NoRoute | Reason::SoftwireEnded => Some(Message::NET_UNREACHABLE),
        // RFC 2473 7.2, RFC 1191 4.
        Reason::TooBig | Reason::OverMtu => Some(Message::too_big(mtu)),
        // RFC 6888 REQ-11: a translator out of mappings says "host unreachable".
        Reason::NaptPortsFull | Reason::NaptTableFull | Reason::NaptHostLimit | Reason::NaptPeerInUse => {
            Some(Message::HOST_UNREACHABLE)
        }
        Reason::Ipv6TableFull | Reason::Ipv6HostLimit => Some(Message::HOST_UNREACHABLE),
        Reason::RuleReject | Reason::LanIsolated => Some(Message::PROHIBITED),
        _ => None,
    }
}

/// The largest error, IP header included (RFC 1812 4.3.2.3).
const MAX_LEN: usize = 576;
const TTL: u8 = 64;
/// Internetwork control (RFC 1812 4.3.2.5).
const TOS: u8 = 0xc0;

/// The error packet about `offending`, or `None` where none may be sent.
///
/// `offending` is the packet as its sender would know it (before translation), from its IPv4
/// header on; it may be cut short or go on behind its end. `from` is our address on the link it
/// came by (RFC 1812 4.3.2.4), `id` the IPv4 identification of the answer. Rate limiting is the
/// caller's ([`hikyaku_net::Limiter`]), and so is not asking about what came as a link-layer broadcast
/// or to a subnet's broadcast address.
pub fn compose(message: Message, from: Addr4, id: u16, offending: &[u8]) -> Option<Composed<'_>> {
    let (ip, _) = Ipv4::ref_from_prefix(offending).ok()?;
    let offending = &offending[..offending.len().min(ip.len())];
    if !may_answer(ip, offending) {
        return None;
    }
    let room = MAX_LEN - size_of::<Ipv4>() - size_of::<Icmp>();
    let quote = &offending[..offending.len().min(room)];
    let mut icmp = Icmp {
        kind: message.kind,
        code: message.code,
        checksum: Checksum::ABSENT,
        id: 0.into(),
        seq: message.mtu.into(),
    };
    icmp.checksum = Sum::new().bytes(icmp.as_bytes()).bytes(quote).checksum();
    let mut header = Ipv4 {
        version_ihl: 0x45,
        tos: TOS,
        total_len: ((size_of::<Ipv4>() + size_of::<Icmp>() + quote.len()) as u16).into(),
        id: id.into(),
        fragment: 0.into(),
        ttl: TTL,
        protocol: protocol::ICMP,
        checksum: Checksum::ABSENT,
        src: from,
        dst: ip.src,
    };
    header.checksum = Sum::new().bytes(header.as_bytes()).checksum();
    Some(Composed::new([header.as_bytes(), icmp.as_bytes()], quote))
}

/// RFC 1812 4.3.2.7, RFC 1122 3.2.2: no error about an ICMP error, a fragment but the first, a
/// packet to a group or from what is not a single host.
fn may_answer(ip: &Ipv4, packet: &[u8]) -> bool {
    let header_len = ip.header_len();
    // RFC 1122 3.2.2.8 and plain sense: what has no whole header tells nobody anything.
    if ip.version_ihl >> 4 != 4 || header_len < size_of::<Ipv4>() || packet.len() < header_len {
        return false;
    }
    let about_error = ip.protocol == protocol::ICMP && packet.get(header_len).is_none_or(|&kind| !is_query(kind));
    ip.fragment_offset() == 0 && ip.src.is_host() && ip.dst.0[0] < 224 && !about_error
}

/// ICMP messages that are questions and answers. What is not known to be one may be an error.
fn is_query(kind: u8) -> bool {
    matches!(kind, Icmp::ECHO_REPLY | Icmp::ECHO_REQUEST | 9 | 10 | 13..=18 | 42 | 43)
}
