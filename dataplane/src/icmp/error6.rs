//! ICMPv6 errors of our own about native IPv6 (RFC 4443).

use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::{Icmp, Ipv6, ipv6};
use hikyaku_net::{Addr6, protocol};
use zerocopy::{FromBytes, IntoBytes};

use super::Purpose;
use crate::tunnel::{Composed, IPV6_MIN_MTU, Outer};
use crate::verdict::Reason;

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message6 {
    /// The ICMPv6 type of the message.
    pub kind: u8,
    /// The ICMPv6 code of the message.
    pub code: u8,
    /// The MTU of the next hop with type 2, 0 otherwise.
    pub mtu: u32,
}

impl Message6 {
    /// There is no route to the destination.
    pub const NO_ROUTE: Self = Self::unreachable(0);
    /// Communication with the destination is prohibited: nobody let it in, or the operator does not want it.
    pub const PROHIBITED: Self = Self::unreachable(1);
    /// The destination is beyond the scope of the source (RFC 4007 9).
    pub const BEYOND_SCOPE: Self = Self::unreachable(2);
    /// There is a route, and yet the packet cannot be delivered.
    pub const ADDRESS_UNREACHABLE: Self = Self::unreachable(3);
    /// The source is none that may send from there (RFC 7084 L-14).
    pub const SOURCE_POLICY: Self = Self::unreachable(5);
    /// Hop limit exceeded in transit.
    pub const TIME_EXCEEDED: Self = Self { kind: Icmp::TIME_EXCEEDED6, code: 0, mtu: 0 };

    const fn unreachable(code: u8) -> Self {
        Self { kind: Icmp::UNREACHABLE6, code, mtu: 0 }
    }

    /// The packet is larger than what its next hop takes.
    pub const fn too_big(mtu: u16) -> Self {
        Self { kind: Icmp::TOO_BIG6, code: 0, mtu: mtu as u32 }
    }

    /// Which budget it is of.
    pub fn purpose(self) -> Purpose {
        match self.kind {
            Icmp::TOO_BIG6 => Purpose::PathMtu,
            Icmp::TIME_EXCEEDED6 => Purpose::Hops,
            _ => Purpose::Refusal,
        }
    }
}

/// The one place that turns a drop of native IPv6 into an answer. `mtu` is what does not fit where the reason is
/// [`Reason::Ipv6TooBig`], and not used otherwise.
pub const fn answer6(reason: Reason, mtu: u16) -> Option<Message6> {
    match reason {
        Reason::TtlExceeded => Some(Message6::TIME_EXCEEDED),
        Reason::Ipv6TooBig => Some(Message6::too_big(mtu)),
        Reason::Ipv6NoRoute => Some(Message6::NO_ROUTE),
        Reason::Ipv6Source => Some(Message6::SOURCE_POLICY),
        Reason::Ipv6Scope => Some(Message6::BEYOND_SCOPE),
        Reason::Ipv6Filtered | Reason::LanIsolated | Reason::RuleReject => Some(Message6::PROHIBITED),
        Reason::Ipv6TableFull | Reason::Ipv6HostLimit => Some(Message6::ADDRESS_UNREACHABLE),
        _ => None,
    }
}

const HOP_LIMIT: u8 = 64;

/// The error packet about `offending`, or `None` where none may be sent.
///
/// `offending` is the packet as it came, from its IPv6 header on; it may be cut short or go on behind its end. `from` is our
/// address on the link it came by (RFC 4443 2.2). Rate limiting is the caller's, and so is not asking about what came as a
/// link-layer group's.
pub fn compose6(message: Message6, from: Addr6, offending: &[u8]) -> Option<Composed<'_>> {
    let (ip, _) = Ipv6::ref_from_prefix(offending).ok()?;
    let walked = ipv6::walk_quoted(offending).ok()?;
    if !may_answer(ip, offending, &walked) {
        return None;
    }
    // RFC 4443 2.4 c: as much as fits the least that every link carries.
    let room = usize::from(IPV6_MIN_MTU) - size_of::<Ipv6>() - size_of::<Icmp>();
    let quote = &offending[..walked.end.min(room)];
    let [.., a, b, c, d] = u64::from(message.mtu).to_be_bytes();
    let mut icmp = Icmp {
        kind: message.kind,
        code: message.code,
        checksum: Checksum::ABSENT,
        id: u16::from_be_bytes([a, b]).into(),
        seq: u16::from_be_bytes([c, d]).into(),
    };
    let len = (size_of::<Icmp>() + quote.len()) as u16;
    let pseudo = Sum::new().bytes(&from.0).bytes(&ip.src.0).number(len).number(protocol::ICMPV6.into());
    icmp.checksum = pseudo.bytes(icmp.as_bytes()).bytes(quote).checksum();
    let header = Outer { src: from, dst: ip.src, class: 0, flow: 0, hop_limit: HOP_LIMIT };
    let header = header.header(len, protocol::ICMPV6);
    Some(Composed::new([header.as_bytes(), icmp.as_bytes()], quote))
}

/// RFC 4443 2.4 e: no error about an error or a redirect, to a group, or to what is no single host. A later fragment of a
/// message may be one of an error.
fn may_answer(ip: &Ipv6, packet: &[u8], walked: &ipv6::Walked) -> bool {
    let about_error = walked.protocol == protocol::ICMPV6 && {
        let later = walked.fragment.is_some_and(|at| (packet[at + 2], packet[at + 3] & 0xf8) != (0, 0));
        let kind = packet.get(walked.offset);
        later || kind.is_none_or(|&kind| Icmp::is_error6(kind) || kind == Icmp::REDIRECT6)
    };
    let from_host = ip.src.is_forwardable() || ip.src.is_link_local();
    from_host && !ip.dst.is_group() && !about_error
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn packet(src: &str, dst: &str, next_header: u8, payload: &[u8]) -> Vec<u8> {
        let address = |text: &str| Addr6::from(text.parse::<Ipv6Addr>().unwrap());
        let outer = Outer { src: address(src), dst: address(dst), class: 0, flow: 0, hop_limit: 9 };
        [outer.header(payload.len() as u16, next_header).as_bytes(), payload].concat()
    }

    fn composed(message: Message6, offending: &[u8]) -> Option<Vec<u8>> {
        let from = Addr6::from("2001:db8::1".parse::<Ipv6Addr>().unwrap());
        let composed = compose6(message, from, offending)?;
        let mut bytes = vec![0; composed.len()];
        composed.write(&mut bytes);
        Some(bytes)
    }

    const HOST: &str = "2001:db8:0:1::2";
    const PEER: &str = "2001:db8:ffff::9";

    #[test]
    fn rfc4443_2_4_c_as_much_is_quoted_as_fits_1280_bytes() {
        for (len, total) in [(0, 88), (100, 188), (1192, 1280), (1193, 1280), (9000, 1280)] {
            let offending = packet(HOST, PEER, protocol::UDP, &vec![7; len]);
            // Ethernet's padding is not of the packet.
            let answer = composed(Message6::too_big(1454), &[&offending[..], &[0xee; 6]].concat()).unwrap();
            assert_eq!(answer.len(), total);
            assert_eq!(answer[48..], offending[..total - 48]);
            assert_eq!((answer[40], answer[41], &answer[44..48]), (2, 0, &1454u32.to_be_bytes()[..]));
            assert_eq!(answer[24..40], offending[8..24]);
            let sum = Sum::new().bytes(&answer[8..40]).number(answer.len() as u16 - 40).number(58).bytes(&answer[40..]);
            assert_eq!(sum.checksum(), Checksum::ABSENT);
        }
    }

    #[test]
    fn rfc4443_2_4_e_what_is_never_answered() {
        let tell = |src, dst, next_header, payload: &[u8]| {
            composed(Message6::TIME_EXCEEDED, &packet(src, dst, next_header, payload)).is_some()
        };
        assert!(tell(HOST, PEER, protocol::UDP, &[0; 8]) && tell(HOST, PEER, protocol::ICMPV6, &[128, 0, 0, 0]));
        for kind in [1, 2, 3, 4, 100, 127, 137] {
            assert!(!tell(HOST, PEER, protocol::ICMPV6, &[kind, 0, 0, 0]), "{kind}");
        }
        // Nobody knows what a later fragment of a message is of, nor one that is cut off.
        assert!(!tell(HOST, PEER, protocol::FRAGMENT, &[58, 0, 0, 8, 0, 0, 0, 1, 128, 0]));
        assert!(tell(HOST, PEER, protocol::FRAGMENT, &[17, 0, 0, 8, 0, 0, 0, 1, 128, 0]));
        assert!(!tell(HOST, PEER, protocol::ICMPV6, &[]));
        for (src, dst) in [("::", PEER), ("ff02::1", PEER), ("::1", PEER), (HOST, "ff05::2")] {
            assert!(!tell(src, dst, protocol::UDP, &[0; 8]), "{src} {dst}");
        }
        assert!(tell("fe80::2", PEER, protocol::UDP, &[0; 8]));
    }
}
