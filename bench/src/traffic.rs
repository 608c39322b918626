//! Made-up flows and their frames, written into receive rings as a network card would.

use std::net::{Ipv4Addr, Ipv6Addr};

use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::{Ethernet, Ipv4, Ipv6, Tcp, Udp, ethertype};
use hikyaku_net::{Addr4, Addr6, Mac, Port, Prefix6, protocol};
use zerocopy::IntoBytes;

/// Far end of the tunnel: the border router or AFTR.
pub const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// Our end of the tunnel.
pub const CE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3400, 0, 0, 0, 0xfeed);
/// The IPv4 address that is translated to.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// Our Ethernet addresses, by link.
pub const OURS: [Mac; 2] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])];
/// The line's next hop.
pub const GATEWAY: Mac = Mac([2, 0, 0, 0, 0, 3]);
/// The hop limit of what comes from the border router.
pub const HOP_LIMIT: u8 = 60;
/// The router's own address on the LAN.
pub const ROUTER: Addr4 = Addr4([192, 168, 0, 1]);
/// The LAN's IPv6 prefix.
pub const LAN6: Prefix6 =
    Prefix6::new(Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3401, 0, 0, 0, 0), 64).expect("64 bits are not too many");
/// An IPv6 prefix of the Internet.
const INTERNET6: Prefix6 =
    Prefix6::new(Ipv6Addr::new(0x2a00, 0x1450, 0, 1, 0, 0, 0, 0), 64).expect("64 bits are not too many");
/// Length of the LAN's prefix.
pub const LAN_LEN: u8 = 23;
/// How many inside hosts the flows are of.
pub const HOSTS: u32 = 254;
/// The most flows that are all different.
pub const MAX_FLOWS: u32 = 1 << 23;

/// Inside ports per host and protocol. A mapping takes one of 65536 outside ports, so a million
/// flows are few mappings with many peers each, as on any line with one address.
const ENDPOINTS: u32 = 32768;

/// Bijective mixing: neighbouring numbers become unrelated ones.
pub fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A flow between an inside host and a peer on the Internet, as the LAN sees it.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// TCP or UDP, half of each.
    pub protocol: u8,
    /// Address of the inside host.
    pub inside: Addr4,
    /// The inside host's port.
    pub inside_port: Port,
    /// Address of the peer on the Internet.
    pub peer: Addr4,
    /// The peer's port.
    pub peer_port: Port,
}

/// An inside host's address.
pub fn host(n: u32) -> Addr4 {
    Addr4([192, 168, 1, 1 + (n % HOSTS) as u8])
}

/// The station of a flow's inside host.
pub fn station_of(flow: &Flow) -> Mac {
    station(u32::from(flow.inside.0[3]) - 1)
}

/// An inside host's station.
pub fn station(n: u32) -> Mac {
    Mac([2, 1, 0, 0, 0, (n % HOSTS) as u8])
}

impl Flow {
    /// Flow number `n`, always the same one; up to [`MAX_FLOWS`] all are different.
    pub fn new(n: u32) -> Self {
        let endpoint = n % ENDPOINTS;
        let x = mix(u64::from(endpoint) + 1);
        let peer = 0x0800_0000 + (n.wrapping_mul(0x9e37_79b1) >> 8);
        Self {
            protocol: if x & 1 == 0 { protocol::TCP } else { protocol::UDP },
            inside: host(endpoint),
            // Pseudorandom (RFC 4814): some hosts want the same outside port.
            inside_port: (1024 + (x >> 8) as u16 % 64512).into(),
            peer: Addr4(peer.to_be_bytes()),
            peer_port: [443, 80, 8443, 4500][(x >> 1 & 3) as usize].into(),
        }
    }
}

/// Writes an IPv4 packet of `to.len()` bytes.
fn packet(to: &mut [u8], protocol: u8, [src, dst]: [Addr4; 2], [from, into]: [Port; 2], flags: u8) {
    let mut ip = Ipv4 {
        version_ihl: 0x45,
        tos: 0,
        total_len: (to.len() as u16).into(),
        id: 0.into(),
        fragment: Ipv4::DF.into(),
        ttl: 64,
        protocol,
        checksum: Checksum::ABSENT,
        src,
        dst,
    };
    ip.checksum = Sum::new().bytes(ip.as_bytes()).checksum();
    to[..20].copy_from_slice(ip.as_bytes());
    let checksum = Checksum([0x12, 0x34]); // nobody on the path checks it, only updates it
    match protocol {
        protocol::TCP => {
            let tcp = Tcp {
                src: from,
                dst: into,
                seq: 1.into(),
                ack: 1.into(),
                offset: 5 << 4,
                flags,
                window: 1000.into(),
                checksum,
                urgent: 0.into(),
            };
            to[20..40].copy_from_slice(tcp.as_bytes());
        }
        _ => {
            let udp = Udp { src: from, dst: into, len: (to.len() as u16 - 20).into(), checksum };
            to[20..28].copy_from_slice(udp.as_bytes());
        }
    }
}

/// A frame of `flow` as a LAN host sends it.
pub fn outbound(to: &mut [u8], flow: &Flow, flags: u8) {
    let ethernet = Ethernet { dst: OURS[0], src: station_of(flow), ethertype: ethertype::IPV4.into() };
    to[..14].copy_from_slice(ethernet.as_bytes());
    packet(&mut to[14..], flow.protocol, [flow.inside, flow.peer], [flow.inside_port, flow.peer_port], flags);
}

/// The IPv6 address of who has this IPv4 address: of a LAN host in the LAN's prefix, of others somewhere else.
pub fn ipv6_of(addr: Addr4) -> Addr6 {
    let prefix = if addr.0[..2] == [192, 168] { LAN6 } else { INTERNET6 };
    let [a, b, c, d] = addr.0;
    prefix.with_interface_id(u64::from_be_bytes([0, 0, 0, 0, a, b, c, d])).into()
}

/// How much longer a frame of native IPv6 is than one of IPv4 with the same in it.
pub const LONGER6: usize = size_of::<Ipv6>() - size_of::<Ipv4>();

/// A frame of native IPv6 between the ends of `flow`, from one station to another, [longer](LONGER6) than the one of IPv4.
pub fn native(to: &mut [u8], flow: &Flow, outbound: bool, flags: u8) {
    let inside = (flow.inside, flow.inside_port);
    let peer = (flow.peer, flow.peer_port);
    let ((src, dst), stations) = match outbound {
        true => ((inside, peer), (OURS[0], station_of(flow))),
        false => ((peer, inside), (OURS[1], GATEWAY)),
    };
    let (head, rest) = to.split_at_mut(14 + LONGER6);
    packet(rest, flow.protocol, [src.0, dst.0], [src.1, dst.1], flags);
    let ip = Ipv6 {
        version_class_flow: Ipv6::version_class_flow(0, 0),
        payload_len: (rest.len() as u16 - 20).into(),
        next_header: flow.protocol,
        hop_limit: 64,
        src: ipv6_of(src.0),
        dst: ipv6_of(dst.0),
    };
    let ethernet = Ethernet { dst: stations.0, src: stations.1, ethertype: ethertype::IPV6.into() };
    head[..14].copy_from_slice(ethernet.as_bytes());
    to[14..54].copy_from_slice(ip.as_bytes());
}

/// A frame towards `dst` as the border router sends it; `to` is 40 bytes longer than the LAN's frame.
pub fn inbound(to: &mut [u8], flow: &Flow, (dst, port): (Addr4, Port), flags: u8) {
    let ethernet = Ethernet { dst: OURS[1], src: GATEWAY, ethertype: ethertype::IPV6.into() };
    let outer = Ipv6 {
        version_class_flow: Ipv6::version_class_flow(0, 0),
        payload_len: (to.len() as u16 - 54).into(),
        next_header: protocol::IPV4,
        hop_limit: HOP_LIMIT,
        src: BR.into(),
        dst: CE.into(),
    };
    to[..14].copy_from_slice(ethernet.as_bytes());
    to[14..54].copy_from_slice(outer.as_bytes());
    packet(&mut to[54..], flow.protocol, [flow.peer, dst], [flow.peer_port, port], flags);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_all_different() {
        let mut seen: Vec<u128> = (0..MAX_FLOWS)
            .map(|n| {
                let Flow { protocol, inside, inside_port, peer, peer_port } = Flow::new(n);
                let word = |addr: Addr4| u128::from(u32::from_be_bytes(addr.0));
                let ports = u128::from(inside_port.number()) << 16 | u128::from(peer_port.number());
                u128::from(protocol) << 96 | word(inside) << 64 | word(peer) << 32 | ports
            })
            .collect();
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn one_address_has_ports_for_all_mappings() {
        for protocol in [protocol::TCP, protocol::UDP] {
            let flows = (0..4 * ENDPOINTS).map(Flow::new).filter(|flow| flow.protocol == protocol);
            let mut inside: Vec<_> = flows.map(|flow| (flow.inside.0, flow.inside_port.number())).collect();
            // As many flows of either protocol.
            assert!(inside.len().abs_diff(2 * ENDPOINTS as usize) < ENDPOINTS as usize / 16, "{}", inside.len());
            inside.sort_unstable();
            inside.dedup();
            assert!((15_000..64_512).contains(&inside.len()), "{} mappings", inside.len());
            assert!(inside.iter().all(|(_, port)| *port >= 1024));
        }
    }

    #[test]
    fn hosts_have_stations() {
        for n in 0..1000 {
            let flow = Flow::new(n);
            assert_eq!((host(n), station(n)), (flow.inside, station_of(&flow)));
        }
    }
}
