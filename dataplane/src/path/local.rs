//! What is addressed to the router itself: whether anybody listens, and of which class it is.

use hikyaku_net::packet::ipv6::Walked;
use hikyaku_net::packet::{Ipv4, Ipv6};
use hikyaku_net::{Addr6, protocol};
use hikyaku_ring::Frame;
use zerocopy::FromBytes;

use super::emit::ETHERNET;
use super::{Burst, Core, Rings};
use crate::punt::Class;
use crate::shared::Message;
use crate::snapshot::{Link, Side};
use crate::verdict::{Reason, Verdict};

/// Where a DHCPv4 server listens (RFC 2131 4.1).
const DHCPV4_SERVER: u16 = 67;

/// Where a resolver does (RFC 1035 4.2), by UDP and TCP. On the LAN alone: whatever comes from the line to this port is nobody's.
const RESOLVER: u16 = 53;

/// What the control thread reads of ICMPv6, by type.
const ERRORS: std::ops::Range<u8> = 0..128;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
/// A router asks who listens to which group (RFC 3810 5.1).
const LISTENER_QUERY: u8 = 130;
/// Solicitations and advertisements of routers and neighbours (RFC 4861 4).
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=136;

/// The hop limit of what no router has forwarded (RFC 4861 11.2).
const OF_THIS_LINK: u8 = 255;

/// Whether no router forwards packets to this address (RFC 4291 2.5.6, 2.7): they are from this link.
pub(super) fn is_of_link(dst: Addr6) -> bool {
    match dst.0 {
        [0xff, scope, ..] => scope & 0xf <= 2,
        [first, second, ..] => first == 0xfe && second & 0xc0 == 0x80,
    }
}

/// The class of an IPv6 packet to an address or a group of ours; `None` if nobody listens for it.
pub(super) fn class6(link: &Link, packet: &[u8], walked: &Walked) -> Option<Class> {
    let (ip, _) = Ipv6::ref_from_prefix(packet).ok()?;
    // Pieces are not put together for the control thread, and no message of discovery comes in any (RFC 6980).
    let payload = packet.get(walked.offset..walked.end).filter(|_| walked.fragment.is_none())?;
    match walked.protocol {
        protocol::ICMPV6 => match *payload.first()? {
            kind if DISCOVERY.contains(&kind) => (ip.hop_limit == OF_THIS_LINK).then_some(Class::Discovery),
            LISTENER_QUERY => is_of_link(ip.dst).then_some(Class::Discovery),
            ECHO_REQUEST => Some(Class::Echo),
            kind if ERRORS.contains(&kind) || kind == ECHO_REPLY => Some(Class::Sockets),
            _ => None,
        },
        protocol::UDP | protocol::TCP => {
            let port = destination_port(payload)?;
            link.listens.contains(walked.protocol, port).then_some(match port {
                RESOLVER if link.side == Side::Lan => Class::Names,
                _ if is_of_link(ip.dst) => Class::Discovery,
                _ => Class::Sockets,
            })
        }
        _ => None,
    }
}

/// The same of an IPv4 packet to the router's own address. `transport` is what follows the IPv4 header.
pub(super) fn class4(link: &Link, ip: &Ipv4, transport: &[u8]) -> Option<Class> {
    match ip.protocol {
        // Not put together, but counted there.
        protocol::ICMP | protocol::UDP | protocol::TCP if ip.is_fragment() => Some(Class::Echo),
        protocol::ICMP => (transport.first() == Some(&8)).then_some(Class::Echo),
        protocol::UDP | protocol::TCP => {
            let port = destination_port(transport)?;
            Some(match (ip.protocol, port) {
                (protocol, port) if !link.listens.contains(protocol, port) => Class::Echo,
                (protocol::UDP, DHCPV4_SERVER) => Class::Discovery,
                (_, RESOLVER) if link.side == Side::Lan => Class::Names,
                _ => Class::Sockets,
            })
        }
        _ => None,
    }
}

/// Whether this is a DHCPv4 client's message, and there is a server for it.
pub(super) fn is_to_dhcp_server(link: &Link, ip: &Ipv4, transport: &[u8]) -> bool {
    let is_for_server = ip.protocol == protocol::UDP && destination_port(transport) == Some(DHCPV4_SERVER);
    is_for_server && !ip.is_fragment() && link.listens.contains(protocol::UDP, DHCPV4_SERVER)
}

fn destination_port(transport: &[u8]) -> Option<u16> {
    transport.get(2..4).map(|port| u16::from_be_bytes([port[0], port[1]]))
}

/// Who sent a frame, as far as its class can tell: the station, or whoever has the source address. An IPv6 host has all
/// of a /64.
fn sender(class: Class, frame: &[u8]) -> u64 {
    let bytes = match class {
        Class::Discovery => frame.get(6..12),
        _ if frame.get(12..14) == Some(&[8, 0]) => frame.get(ETHERNET + 12..ETHERNET + 16),
        _ => frame.get(ETHERNET + 8..ETHERNET + 16),
    };
    bytes.into_iter().flatten().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

impl Core {
    /// Gives a frame to the control thread, or its helper. A group's is the host's, too.
    pub(super) fn punt(&mut self, burst: Burst, rings: &mut Rings, frame: Frame, class: Class) -> Verdict {
        self.copy_to_host(burst, rings, frame);
        let bytes = rings.rx.bytes(frame);
        let side = burst.snapshot.links[burst.link.index()].side;
        if !self.punts.take((side, class), sender(class, bytes), burst.now) {
            return Reason::PuntFull.into();
        }
        let Some(message) = Message::new(burst.link, bytes) else { return Reason::Jumbo.into() };
        if !self.shared.punt.push(side, class, message) {
            return Reason::PuntFull.into();
        }
        self.wanted.note(class);
        Verdict::Punted
    }
}
