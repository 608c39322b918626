//! MAP-E in mesh mode, packets at random against the rules and against the twin without the fast path.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::common::mesh::{ce, ends, first_port, from, outbound, router, rule, us};
use crate::common::*;
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::map::InterfaceId;
use proptest::prelude::*;

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Where a packet goes is what the rule says of its destination, whatever path it takes.
    #[test]
    fn every_packet_goes_where_the_rule_says(
        dsts in prop::collection::vec((any::<bool>(), any::<u32>(), any::<u16>(), 0u8..3), 1..60),
        draft03: bool,
        fast: bool,
    ) {
        let iid = if draft03 { InterfaceId::Draft03 } else { InterfaceId::Rfc7597 };
        let mut router = router(iid, &[rule(true)], fast, Filtering::default());
        let us = us(iid);
        for (in_mesh, address, port, kind) in dsts {
            let address = if in_mesh { 0xc000_0200 | address & 0xff } else { 0x0100_0000 | address & 0x1fff_ffff };
            let dst = Ipv4Addr::from(address);
            if dst == us.ipv4 {
                continue;
            }
            let packet = match kind {
                0 => udp(C, (dst.octets(), port), b"x"),
                1 => tcp(C, (dst.octets(), port), SYN, b""),
                _ => echo_request(CLIENT, dst.octets(), port, b"x"),
            };
            let out = router.lan(from_lan(&packet));
            if !matches!(out.verdict(), Verdict::Outbound) {
                // The few ports that we have, or an address that is no host's.
                let refused = [Reason::NaptPortsFull, Reason::Ipv4Destination].map(Verdict::Dropped);
                prop_assert!(refused.contains(&out.verdict()), "{:?}", out.verdict());
                continue;
            }
            let (source, to, inner) = ends(out.to_wan());
            let sent = Packet::read(inner);
            sent.check_transport();
            let far_port = if kind == 2 { sent.icmp_id() } else { port };
            let our_port = if kind == 2 { sent.icmp_id() } else { sent.src().1 };
            let expected = rule(true).remote(dst.into(), far_port, iid).map_or(BR, Ipv6Addr::from);
            prop_assert_eq!((source, to, Ipv4Addr::from(sent.header.source)), (us.address, expected, us.ipv4));
            prop_assert!(us.ports.contains(our_port));
        }
    }

    /// Fast path and slow path do not differ in a mesh either: packets to and from it and the border router, whole and in
    /// pieces, with a bit wrong now and then.
    #[test]
    fn the_fast_path_does_what_the_slow_path_does(
        shots in prop::collection::vec((0usize..6, 0usize..4, 0u16..4, 0u8..4, prop::option::of((0usize..120, 0u8..8))), 1..80),
        draft03: bool,
        mesh: bool,
    ) {
        let iid = if draft03 { InterfaceId::Draft03 } else { InterfaceId::Rfc7597 };
        let us = us(iid);
        let [fast, slow] = [true, false].map(|fast| router(iid, &[rule(mesh)], fast, Filtering::EndpointIndependent));
        let mut twins = Twins::of(&Setup::ipip(), fast, slow);
        let peers = [ce("2001:db8:77:5600::/56", iid), ce("2001:db8:12:3500::/56", iid), us];
        for (far, near, n, kind, flaw) in shots {
            // Ends on the far side: customers by address and port, a server, a reserved port, a stranger.
            let (end, at) = match far {
                0..3 => (peers[far].address, (peers[far].ipv4.octets(), first_port(peers[far]) + n)),
                3 => (BR, S),
                4 => (BR, (peers[0].ipv4.octets(), 80)),
                _ => (peers[0].address, (SERVER, 443 + n)),
            };
            let (side, packet) = match near {
                0 | 1 => (LAN, ([CLIENT, OTHER_CLIENT][near], 40000 + n)),
                _ => (WAN, (us.ipv4.octets(), first_port(us) + n)),
            };
            let (src, dst) = if side == LAN { (packet, at) } else { (at, packet) };
            let packet = match kind {
                0 => tcp(src, dst, [SYN, ACK, SYN | ACK, FIN][usize::from(n)], b"x"),
                1 => echo_request(src.0, dst.0, dst.1, b"x"),
                2 => udp(src, dst, &bytes(2000)).id(n),
                _ => udp(src, dst, b"x"),
            };
            let pieces = if kind == 2 { packet.fragments(1200) } else { vec![packet] };
            let end = if near == 3 { BR } else { end };
            let mut frames: Vec<_> = pieces.iter().map(|packet| match side {
                LAN => from_lan(packet),
                _ => from(end, us, &packet.bytes()),
            }).collect();
            if let Some((at, bit)) = flaw && let Some(byte) = frames[0].get_mut(at) {
                *byte ^= 1 << bit;
            }
            let same = twins.play(side, &frames);
            prop_assert!(same.is_ok(), "{}", same.unwrap_err());
        }
        let same = twins.finish();
        prop_assert!(same.is_ok(), "{}", same.unwrap_err());
    }

    /// What a CE may send is what would be sent to it.
    #[test]
    fn only_the_end_that_an_address_and_port_are_at_may_send(
        line: u16, flip in 0u32..130, address: u8, port: u16, draft03: bool
    ) {
        let iid = if draft03 { InterfaceId::Draft03 } else { InterfaceId::Rfc7597 };
        let mut router = router(iid, &[rule(true)], true, Filtering::EndpointIndependent);
        let us = us(iid);
        let (_, sent) = outbound(&mut router, &udp(C, S, b"x"));
        let from_line = ce(&format!("2001:db8:{:x}:{:x}::/56", line >> 8, u32::from(line & 0xff) << 8), iid);
        // Now and then a bit is wrong.
        let end = Ipv6Addr::from(from_line.address.to_bits() ^ 1u128.checked_shl(flip).unwrap_or(0));
        for (src, port) in [([192, 0, 2, address], port), (from_line.ipv4.octets(), port), (from_line.ipv4.octets(), first_port(from_line))] {
            if Ipv4Addr::from(src) == us.ipv4 || end == BR {
                continue;
            }
            let verdict = router.wan(from(end, us, &udp((src, port), sent.src(), b"x").bytes())).verdict();
            let may = rule(true).remote(Ipv4Addr::from(src).into(), port, iid) == Some(end.into());
            let expected = if may { Verdict::Inbound } else { Verdict::Dropped(Reason::MapSpoofed) };
            prop_assert_eq!(verdict, expected, "{} {:?} {}", end, src, port);
        }
    }
}
