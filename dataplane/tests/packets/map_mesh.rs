//! MAP-E in mesh mode on memory rings: to other CEs and from them (RFC 7597 5, 8).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::common::mesh::{ce, ends, first_port, from, inbound, outbound, peer, router, rule, us};
use crate::common::*;
use etherparse::{IpNumber, Ipv6Header};
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::Time;
use hikyaku_net::map::{Ce, InterfaceId, Rule};

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);
const FORMS: [InterfaceId; 2] = [InterfaceId::Draft03, InterfaceId::Rfc7597];

/// All that must not matter.
fn routers() -> impl Iterator<Item = (InterfaceId, Router)> {
    let all = FORMS.into_iter().flat_map(|iid| [(iid, true), (iid, false)]);
    all.map(|(iid, fast)| (iid, router(iid, &[rule(true)], fast, Filtering::default())))
}

#[test]
fn rfc7597_8_packets_for_another_ce_go_straight_to_it_and_come_back() {
    for (iid, mut router) in routers() {
        let (us, (peer, at)) = (us(iid), peer(iid));
        for packet in [udp(C, at, b"hello"), tcp(C, at, SYN, b"")] {
            let (to, sent) = outbound(&mut router, &packet);
            assert_eq!((to, sent.header.source, sent.dst()), (peer.address, us.ipv4.octets(), at));
            assert!(us.ports.contains(sent.src().1));
            let answer = match sent.header.protocol {
                IpNumber::UDP => udp(at, sent.src(), b"hello"),
                _ => tcp(at, sent.src(), SYN | ACK, b""),
            };
            let got = inbound(&mut router, from(peer.address, us, &answer.bytes()));
            assert_eq!((got.src(), got.dst()), (at, C));
            // RFC 7597 8.1: the border router is not checked.
            inbound(&mut router, from(BR, us, &answer.bytes()));
        }
        // Another line of the same address, by its port.
        let neighbour = ce("2001:db8:77:5700::/56", iid);
        let (to, _) = outbound(&mut router, &udp(C, (at.0, first_port(neighbour)), b"x"));
        assert_eq!(to, neighbour.address);
        // A port of nobody, and the rest of the world.
        for dst in [(at.0, 80), (at.0, 1023), S, ([192, 0, 3, 1], 5000)] {
            assert_eq!(outbound(&mut router, &udp(C, dst, b"x")).0, BR, "{dst:?}");
        }
    }
}

#[test]
fn rfc7597_8_2_a_query_goes_by_its_identifier() {
    for (iid, mut router) in routers() {
        let us = us(iid);
        let (to, sent) = outbound(&mut router, &echo_request(CLIENT, [192, 0, 2, 119], 7, b"ping"));
        assert!(us.ports.contains(sent.icmp_id()));
        // The line of that address whose ports have the same PSID as ours.
        let other = ce("2001:db8:77:3400::/56", iid);
        assert_eq!(to, other.address);
        let reply = echo_reply([192, 0, 2, 119], us.ipv4.octets(), sent.icmp_id(), b"ping");
        assert_eq!(inbound(&mut router, from(other.address, us, &reply.bytes())).icmp_id(), 7);
    }
}

#[test]
fn rfc7597_8_1_spoofed_packets_are_dropped() {
    for (iid, mut router) in routers() {
        let (us, (peer, at)) = (us(iid), peer(iid));
        let (_, sent) = outbound(&mut router, &udp(C, at, b"x"));
        let (_, ping) = outbound(&mut router, &echo_request(CLIENT, at.0, 7, b"ping"));
        let ping_peer = ce("2001:db8:77:3400::/56", iid);
        let good = udp(at, sent.src(), b"x").bytes();
        let end = peer.address.to_bits();
        let (ipv4_at, psid_at) = if iid == InterfaceId::Draft03 { (24, 8) } else { (16, 0) };
        let spoofed = |router: &mut Router, end: u128, packet: &[u8], what: &str| {
            let out = router.wan(from(end.into(), us, packet));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::MapSpoofed), "{what}");
            assert!(out.lan.is_empty() && out.wan.is_empty(), "{what}: silently (RFC 7597 8.1)");
        };
        // The address: in the packet, in the interface id; somebody's outside the mesh.
        spoofed(&mut router, end, &udp(([192, 0, 2, 120], at.1), sent.src(), b"x").bytes(), "address inside");
        spoofed(&mut router, end, &udp((SERVER, at.1), sent.src(), b"x").bytes(), "a stranger's address inside");
        spoofed(&mut router, end ^ 1 << ipv4_at, &good, "address in the interface id");
        spoofed(&mut router, end ^ 1 << psid_at, &good, "PSID in the interface id");
        spoofed(&mut router, end ^ 1 << 72, &good, "PSID in the prefix");
        spoofed(&mut router, end ^ 1 << 80, &good, "address in the prefix");
        spoofed(&mut router, end ^ 1 << 100, &good, "prefix of no rule");
        spoofed(&mut router, end ^ 1 << 64, &good, "subnet");
        for port in [at.1 ^ 4, at.1 + 4, 80] {
            spoofed(&mut router, end, &udp((at.0, port), sent.src(), b"x").bytes(), "port against PSID");
        }
        let reply = |id| echo_reply(at.0, us.ipv4.octets(), id, b"ping").bytes();
        spoofed(&mut router, end, &reply(ping.icmp_id()), "identifier against PSID");
        spoofed(&mut router, ping_peer.address.to_bits(), &reply(ping.icmp_id() ^ 4), "identifier against PSID");
        inbound(&mut router, from(ping_peer.address, us, &reply(ping.icmp_id())));
        inbound(&mut router, from(peer.address, us, &good));
        // Neither end has anything to do with the mesh.
        let stranger: Ipv6Addr = "2001:db8:1200::1".parse().unwrap();
        router.wan(from(stranger, us, &udp(S, sent.src(), b"x").bytes())).dropped(Reason::TunnelSource);
    }
}

/// In hub-and-spoke mode only the border router sends.
#[test]
fn rfc7597_8_without_forwarding_rules_all_is_the_border_routers() {
    for iid in FORMS {
        let mut router = router(iid, &[rule(false)], true, Filtering::default());
        let (us, (peer, at)) = (us(iid), peer(iid));
        let (to, sent) = outbound(&mut router, &udp(C, at, b"x"));
        assert_eq!(to, BR);
        let answer = udp(at, sent.src(), b"x").bytes();
        router.wan(from(peer.address, us, &answer)).dropped(Reason::TunnelSource);
        inbound(&mut router, from(BR, us, &answer));
    }
}

/// The border router may send anything but what is from our own ports; so may the CEs with our address.
#[test]
fn rfc7597_5_1_other_ports_of_our_own_address_are_other_ces() {
    for (mesh, fast) in [(true, true), (true, false), (false, true), (false, false)] {
        let iid = InterfaceId::Draft03;
        let mut router = router(iid, &[rule(mesh)], fast, Filtering::EndpointIndependent);
        let us = us(iid);
        let twin = ce("2001:db8:12:3500::/56", iid);
        assert_eq!(twin.ipv4, us.ipv4);
        let end = if mesh { twin.address } else { BR };
        let at = (twin.ipv4.octets(), first_port(twin));
        for (packet, answer) in [
            (udp(C, at, b"x"), udp as fn(End, End, &[u8]) -> Packet),
            (tcp(C, at, SYN, b""), |src, dst, payload| tcp(src, dst, SYN | ACK, payload)),
        ] {
            let (to, sent) = outbound(&mut router, &packet);
            assert_eq!((to, sent.header.source, sent.dst()), (end, us.ipv4.octets(), at));
            let got = inbound(&mut router, from(end, us, &answer(at, sent.src(), b"").bytes()));
            assert_eq!((got.src(), got.dst()), (at, C));
            // Whoever says that he has our port, lies.
            let ours = (us.ipv4.octets(), sent.src().1 ^ 1);
            assert!(us.ports.contains(ours.1));
            let lie = from(end, us, &answer(ours, sent.src(), b"").bytes());
            router.wan(lie).dropped(Reason::Ipv4Source);
        }
        // In pieces, the last one first.
        let whole = udp(C, at, &bytes(3000));
        let pieces: Vec<_> = whole.fragments(1200).iter().rev().map(from_lan).collect();
        let out = router.play(LAN, &pieces);
        assert_eq!((out.count(Verdict::Outbound), out.wan.len()), (3, 3));
        assert!(out.wan.iter().all(|frame| ends(frame).1 == end));
        // An error about what came from there.
        let (_, sent) = outbound(&mut router, &udp(C, at, b"x"));
        let received = inbound(&mut router, from(end, us, &udp(at, sent.src(), b"late").bytes()));
        let error = icmp_raw(CLIENT, at.0, 3, 3, 0, &received.bytes());
        assert_eq!(outbound(&mut router, &error).0, end);
        // What is ours still comes back.
        let (_, sent) = outbound(&mut router, &udp(C, S, b"x"));
        let out = router.lan(from_lan(&udp((OTHER_CLIENT, 5000), sent.src(), b"hairpin")));
        assert_eq!(out.verdict(), Verdict::Hairpin);
        router.lan(from_lan(&echo_request(CLIENT, us.ipv4.octets(), 9, b"x"))).dropped(Reason::NaptNoSession);
    }
}

#[test]
fn rfc7597_8_3_fragments_follow_their_first() {
    let orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2]];
    for (n, (iid, mut router)) in routers().enumerate() {
        let (us, (peer, at)) = (us(iid), peer(iid));
        let (_, sent) = outbound(&mut router, &udp(C, at, b"open"));
        for (i, order) in orders.into_iter().enumerate() {
            let pieces = udp(C, at, &bytes(3000)).id(i as u16).fragments(1200);
            let out = router.play(LAN, order.map(|i| from_lan(&pieces[i])));
            assert_eq!((out.count(Verdict::Outbound), out.wan.len()), (3, 3), "{order:?}");
            let got: Vec<_> = out.wan.iter().map(|frame| ends(frame)).collect();
            assert!(got.iter().all(|&(_, to, _)| to == peer.address), "{order:?}");
            let whole = joined4(&got.iter().map(|&(.., inner)| Packet::read(inner)).collect::<Vec<_>>());
            assert_eq!((whole.check_transport().src(), whole.dst()), (sent.src(), at));

            let pieces = udp(at, sent.src(), &bytes(3000)).id(i as u16).fragments(1200);
            let out = router.play(WAN, order.map(|i| from(peer.address, us, &pieces[i].bytes())));
            assert_eq!((out.count(Verdict::Inbound), out.lan.len()), (3, 3), "{order:?}");
            let whole = joined4(&out.lan.iter().map(|frame| plain(frame)).collect::<Vec<_>>());
            assert_eq!((whole.check_transport().src(), whole.dst()), (at, C));
        }
        // Another line of the peer's address has no part in the peer's packets, before or after.
        let neighbour = ce("2001:db8:77:5700::/56", iid);
        let pieces = udp(at, sent.src(), &bytes(2000)).id(99 + n as u16).fragments(1200);
        for order in [[0, 1], [1, 0]] {
            let ends = [peer.address, neighbour.address];
            let out = router.play(WAN, order.map(|i| from(ends[i], us, &pieces[i].bytes())));
            assert_eq!((out.count(Verdict::Inbound), out.lan.len(), router.held()), (1, 1, 1));
            assert_eq!(router.drain().verdict(), Verdict::Dropped(Reason::NaptFragment));
        }
        // The address is checked at once.
        let stranger = ce("2001:db8:78:5600::/56", iid);
        router.wan(from(stranger.address, us, &pieces[1].bytes())).dropped(Reason::MapSpoofed);
        // A first fragment is checked as any packet.
        router.wan(from(neighbour.address, us, &pieces[0].bytes())).dropped(Reason::MapSpoofed);
    }
}

#[test]
fn outer_fragments_are_put_together_for_ces_only() {
    for (iid, mut router) in routers() {
        let (us, (peer, at)) = (us(iid), peer(iid));
        let (_, sent) = outbound(&mut router, &udp(C, at, b"open"));
        let readdressed = |end: Ipv6Addr, packet: &Packet| {
            let mut frames = from_wan_pieces(packet, 800, 7);
            for frame in &mut frames {
                frame[22..38].copy_from_slice(&end.octets());
                frame[38..54].copy_from_slice(&us.address.octets());
            }
            frames
        };
        let packet = udp(at, sent.src(), &bytes(1400));
        let out = router.play(WAN, readdressed(peer.address, &packet));
        assert_eq!((out.count(Verdict::Inbound), out.count(Verdict::Reassembled)), (1, 1));
        assert_eq!(plain(out.to_lan()).check_transport().dst(), C);
        // Checked when it is whole.
        let neighbour = ce("2001:db8:77:5700::/56", iid);
        let out = router.play(WAN, readdressed(neighbour.address, &packet));
        assert_eq!((out.count(Reason::MapSpoofed), out.count(Verdict::Reassembled)), (1, 1));
        // No end of a CE takes memory.
        let out = router.play(WAN, readdressed("2001:db8:77:5600::1".parse().unwrap(), &packet));
        assert_eq!((out.count(Reason::TunnelSource), router.held()), (2, 0));
    }
}

#[test]
fn rfc7597_8_2_errors_go_by_the_port_they_quote() {
    for (iid, mut router) in routers() {
        let (us, (peer, at)) = (us(iid), peer(iid));
        let (_, sent) = outbound(&mut router, &udp(C, at, b"x"));
        let received = inbound(&mut router, from(peer.address, us, &udp(at, sent.src(), b"late").bytes()));
        let (to, error) = outbound(&mut router, &icmp_raw(CLIENT, at.0, 3, 3, 0, &received.bytes()));
        assert_eq!((to, error.header.source), (peer.address, us.ipv4.octets()));

        let error = icmp_raw(at.0, us.ipv4.octets(), 3, 3, 0, &sent.bytes()).bytes();
        let got = inbound(&mut router, from(peer.address, us, &error));
        assert_eq!((got.header.source, got.header.destination), (at.0, CLIENT));
        let neighbour = ce("2001:db8:77:5700::/56", iid);
        router.wan(from(neighbour.address, us, &error)).dropped(Reason::MapSpoofed);

        // Ours go to whoever caused them.
        let out = router.wan(from(peer.address, us, &udp(at, sent.src(), b"x").ttl(1).bytes()));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::TtlExceeded));
        let (_, to, inner) = ends(out.to_wan());
        assert_eq!((to, Packet::read(inner).check_transport().icmp_parts().0), (peer.address, 11));
    }
}

/// An ICMPv6 error from a router, about the tunnel packet `quote`, of 1280 bytes at most (RFC 4443 2.4 c).
fn about(us: Ce, kind: u8, code: u8, word: u32, quote: &[u8]) -> Vec<u8> {
    let quote = &quote[..quote.len().min(1232)];
    let hop: Ipv6Addr = "2001:db8:ff00::1".parse().unwrap();
    let kind = etherparse::Icmpv6Type::Unknown { type_u8: kind, code_u8: code, bytes5to8: word.to_be_bytes() };
    let header = etherparse::Icmpv6Header::with_checksum(kind, hop.octets(), us.address.octets(), quote).unwrap();
    let message = [&header.to_bytes()[..], quote].concat();
    let outer = outer(message.len(), 58);
    ipv6(&Ipv6Header { source: hop.octets(), destination: us.address.octets(), ..outer }, &message)
}

#[test]
fn rfc8201_a_narrow_way_to_a_ce_is_learned_and_the_border_routers_stays_wide() {
    for (iid, mut router) in routers() {
        let (us, (_, at)) = (us(iid), peer(iid));
        let big = udp(C, at, &bytes(1400)).df();
        let sent = router.lan(from_lan(&big)).to_wan()[14..].to_vec();
        let to_br = udp(C, S, &bytes(1400)).df();
        outbound(&mut router, &to_br);

        // About a packet that another CE would have got.
        let mut forged = sent.clone();
        forged[24..40].copy_from_slice(&ce("2001:db8:77:5700::/56", iid).address.octets());
        router.wan(about(us, 2, 0, 1400, &forged)).dropped(Reason::TunnelIcmpForged);
        forged[24..40].copy_from_slice(&"2001:db8:1200::1".parse::<Ipv6Addr>().unwrap().octets());
        router.wan(about(us, 2, 0, 1400, &forged)).dropped(Reason::TunnelIcmpForged);
        outbound(&mut router, &big);

        let out = router.wan(about(us, 2, 0, 1400, &sent));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::TunnelIcmp));
        assert_eq!(plain(out.to_lan()).check_transport().icmp_parts().2, 1360, "RFC 2473 8: told the sender");
        let out = router.lan(from_lan(&big));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::TooBig));
        assert_eq!(plain(out.to_lan()).icmp_parts().2, 1360);
        outbound(&mut router, &to_br);

        // RFC 4443 3.1, code 5: a peer that refuses us is not the border router.
        let out = router.wan(about(us, 1, 5, 0, &sent));
        assert_eq!(plain(out.to_lan()).icmp_parts().0, 3);
        let state = &router.shared.snapshot.load().softwires[0].state;
        assert_eq!((state.refused(), state.unreachable()), (0, 0));
        assert_eq!(state.path_mtu(Time(0), 1500), 1500);
    }
}

/// Rules of lines, 256 of them, and one inside another.
#[test]
fn rfc7597_5_many_rules_and_the_longest_counts() {
    let iid = InterfaceId::Draft03;
    let many = (0..254).map(|n: u16| format!("2001:db8:{:x}::/48,100.{n}.0.0/16,16,4", 0x1000 + n));
    let inside = ["2001:db8:2000::/48,100.7.7.0/24,16,4", "2001:db8::/40,192.0.2.0/24,16,6"].map(String::from);
    let rules: Vec<Rule> = many.chain(inside).map(|text| text.parse::<Rule>().unwrap().with_forwarding(true)).collect();
    assert_eq!(rules.len(), 256);
    let mut router = router(iid, &rules, true, Filtering::default());
    for (dst, longest) in [([100, 7, 8, 1], 7), ([100, 7, 7, 1], 254), ([100, 253, 0, 1], 253)] {
        let expected = rules[longest].remote(Ipv4Addr::from(dst).into(), 5000, iid).map(Ipv6Addr::from);
        assert_eq!(Some(outbound(&mut router, &udp(C, (dst, 5000), b"x")).0), expected, "{dst:?}");
    }
    assert_eq!(outbound(&mut router, &udp(C, ([100, 254, 0, 1], 5000), b"x")).0, BR);
}
