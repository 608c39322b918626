//! What the test suites of other implementations assert about a CE, where no other test here does: docs/peer-tests.md
//! has the whole list.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::PortSet;
use hikyaku_net::map::{InterfaceId, Rule};

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);

/// A protocol's packets by their ends; an echo's port is its identifier, and its peer has none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flow {
    Udp,
    Tcp,
    Echo,
}

impl Flow {
    const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Echo];

    fn question(self, from: End, to: End) -> Packet {
        match self {
            Self::Udp => udp(from, to, b"question"),
            Self::Tcp => tcp(from, to, SYN, b""),
            Self::Echo => echo_request(from.0, to.0, from.1, b"question"),
        }
    }

    fn answer(self, from: End, to: End) -> Packet {
        match self {
            Self::Udp => udp(from, to, b"answer"),
            Self::Tcp => tcp(from, to, SYN | ACK, b""),
            Self::Echo => echo_reply(from.0, to.0, to.1, b"answer"),
        }
    }

    /// Where a question came from, and where an answer goes.
    fn ends(self, question: bool, packet: &Packet) -> End {
        match (self, question) {
            (Self::Echo, true) => (packet.header.source, packet.icmp_id()),
            (Self::Echo, false) => (packet.header.destination, packet.icmp_id()),
            (_, true) => packet.src(),
            (_, false) => packet.dst(),
        }
    }

    /// There and back; the outside end.
    #[track_caller]
    fn exchange(self, router: &mut Router, host: End, peer: End) -> End {
        let sent = outbound(router, &self.question(host, peer));
        let at = self.ends(true, &sent);
        assert_eq!((at.0, sent.header.destination), (OUTSIDE, peer.0));
        let got = inbound(router, &self.answer(peer, at));
        assert_eq!((self.ends(false, &got), got.header.source), (host, peer.0), "{self:?}");
        if self != Self::Echo {
            assert_eq!((sent.dst(), got.src()), (peer, peer));
        }
        at
    }
}

const EDGES: [u16; 6] = [0, 1, 1023, 1024, 32768, 65535];

#[test]
fn rfc4787_req3_ports_at_the_edges_of_their_range_are_translated() {
    for flow in Flow::ALL {
        for mut router in routers(&Setup::ipip()) {
            for port in EDGES {
                let mut seen = BTreeSet::new();
                for host in [CLIENT, OTHER_CLIENT] {
                    for peer in EDGES {
                        let at = flow.exchange(&mut router, (host, port), (SERVER, peer));
                        seen.insert(at.1);
                        assert_ne!(at.1, 0, "zero is nobody's port");
                    }
                }
                assert_eq!(seen.len(), 2, "a port for each host, whatever its peer");
                assert!(port == 0 || seen.contains(&port), "kept for the first");
                // RFC 4787 REQ-3 a: system ports stay among themselves.
                assert!(flow != Flow::Udp || seen.iter().all(|&p| (p < 1024) == (port < 1024)), "{port}: {seen:?}");
            }
        }
    }
}

#[test]
fn fifteen_hundred_flows_of_each_protocol_at_once() {
    for mut router in routers(&Setup { sessions: 8192, ..Setup::ipip() }) {
        let hosts = [CLIENT, OTHER_CLIENT];
        let flows =
            |n: u16| ((hosts[usize::from(n % 2)], 30000 + n / 2), ([198, 51, 100, (n % 7) as u8 + 1], 5000 + n));
        let mut outside = Vec::new();
        for flow in Flow::ALL {
            let at: Vec<End> = (0..1500).map(|n| flow.exchange(&mut router, flows(n).0, flows(n).1)).collect();
            assert_eq!(at.iter().collect::<BTreeSet<_>>().len(), 1500, "{flow:?}: each has a port of its own");
            outside.push(at);
        }
        assert_eq!(router.sessions(), 4500);
        // And all of them are there still.
        for (flow, outside) in Flow::ALL.into_iter().zip(outside) {
            for n in 0..1500 {
                assert_eq!(flow.exchange(&mut router, flows(n).0, flows(n).1), outside[usize::from(n)]);
            }
        }
        assert_eq!(router.sessions(), 4500);
    }
}

#[test]
fn every_port_of_an_address_is_used_once_until_none_is_left() {
    for flow in Flow::ALL {
        let mut router = Router::new(&Setup { sessions: 1 << 17, ..Setup::ipip() });
        let mut seen = BTreeSet::new();
        // From both hosts, each from as many of its ports.
        let host = |n: u32| ([CLIENT, OTHER_CLIENT][n as usize % 2], (n / 2 + 1) as u16);
        for first in (0..65535).step_by(255) {
            let out = router.play(LAN, (first..first + 255).map(|n| from_lan(&flow.question(host(n), S))));
            assert_eq!(out.verdicts, [(Verdict::Outbound, 255)], "{flow:?} from {first} on");
            for frame in &out.wan {
                assert!(seen.insert(flow.ends(true, &inner(frame)).1), "{flow:?}: twice");
            }
        }
        assert_eq!((seen.first(), seen.last()), (Some(&1), Some(&65535)));
        // RFC 6888 REQ-8: then the host is told, and nothing that is there suffers.
        let packet = flow.question((CLIENT, 60000), S);
        let out = router.lan(from_lan(&packet));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::NaptPortsFull), "{flow:?}");
        assert_eq!(plain(out.to_lan()).icmp_parts(), (3, 1, 0, &packet.bytes()[..]));
        for n in 0..1000 {
            flow.exchange(&mut router, host(n), S);
        }
    }
}

#[test]
fn map_e_all_ports_that_leave_are_of_the_psid() {
    // Offset 6, PSID of 6 bits, as a suite of others has it.
    let (offset, length, psid) = (6, 6, 0x2a);
    for mut router in
        routers(&Setup { ports: PortSet::new(offset, length, psid).unwrap(), sessions: 4096, ..Setup::ipip() })
    {
        for flow in Flow::ALL {
            for n in 0..500 {
                let at = flow.exchange(&mut router, (CLIENT, n * 131), S);
                assert_eq!(at.1 >> 4 & 63, psid, "{flow:?} {n}: {at:?}");
                assert!(at.1 >> 10 > 0, "RFC 7597 5.1: not of the first block");
            }
        }
    }
}

#[test]
fn rfc9293_3_8_1_segments_of_a_handshake_are_sent_again() {
    for mut router in routers(&Setup::ipip()) {
        let syn = tcp(C, S, SYN, b"");
        let at = outbound(&mut router, &syn).src();
        for _ in 0..3 {
            router.advance(Duration::from_secs(3));
            assert_eq!(outbound(&mut router, &syn).src(), at);
        }
        let syn_ack = tcp(S, at, SYN | ACK, b"");
        let first = inbound(&mut router, &syn_ack);
        for _ in 0..5 {
            router.advance(Duration::from_secs(3));
            assert_eq!(inbound(&mut router, &syn_ack), first, "again, and the same");
        }
        outbound(&mut router, &tcp(C, S, ACK, b""));
        // The last ACK was lost: the server repeats, the host answers once more.
        assert_eq!(inbound(&mut router, &syn_ack), first);
        outbound(&mut router, &tcp(C, S, ACK, b""));
        assert_eq!(router.sessions(), 1);
        // It is an open connection: two hours.
        router.wait(7200);
        assert_eq!(inbound(&mut router, &tcp(S, at, ACK, b"data")).dst(), C);
    }
}

#[test]
fn rfc7857_2_a_connection_opened_again_by_half_is_none() {
    for mut router in routers(&Setup::ipip()) {
        let at = outbound(&mut router, &tcp(C, S, SYN, b"")).src();
        inbound(&mut router, &tcp(S, at, SYN | ACK, b""));
        outbound(&mut router, &tcp(C, S, FIN | ACK, b""));
        inbound(&mut router, &tcp(S, at, FIN | ACK, b""));
        // A SYN that nobody answers: four minutes from then on, and no more.
        router.advance(Duration::from_secs(100));
        assert_eq!(outbound(&mut router, &tcp(C, S, SYN, b"")).src(), at);
        router.wait(230);
        assert_eq!(router.sessions(), 1);
        router.wait(20);
        assert_eq!(router.sessions(), 0);
    }
}

#[test]
fn rfc791_3_1_an_inner_packet_shorter_than_a_header_is_none() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            let at = outbound(&mut router, &udp(C, S, b"x")).src();
            let whole = udp(S, at, b"").bytes();
            for len in 0..20 {
                let cut = &whole[..len];
                let mut frame = ipv6(&outer(len, 4), cut);
                router.wan(&frame).dropped(Reason::Ipv4Truncated);
                // As Ethernet pads it, the rest of a header behind the packet's end.
                frame.extend_from_slice(&whole[len..]);
                router.wan(&frame).dropped(Reason::Ipv4Truncated);
            }
        }
    }
}

#[test]
fn rfc2983_3_decapsulation_keeps_the_inner_class_and_its_checksum() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            let at = outbound(&mut router, &udp(C, S, b"x")).src();
            for inside in (0..64).map(|dscp| dscp << 2) {
                let packet = udp(S, at, b"class").tos(inside);
                let out = router.wan(from_wan_class(&packet, !inside & 0xfc));
                let got = plain(out.to_lan());
                got.check_transport();
                assert_eq!((got.tos_byte(), got.header.time_to_live), (inside, 63));
            }
        }
    }
}

/// Outer fragments whose packet is too large for the LAN.
#[test]
fn rfc2473_7_put_together_and_cut_again() {
    for setup in Setup::all() {
        let mut router = Router::new(&Setup { lan_mtu: 576, ..setup });
        let at = outbound(&mut router, &udp(C, S, b"x")).src();
        for (order, id) in [([0, 1, 2], 0x8000_0001), ([2, 1, 0], 0xffff_fffe), ([1, 2, 0], 0xc000_0000)] {
            let packet = udp(S, at, &bytes(1400)).id(id as u16);
            let pieces = from_wan_pieces(&packet, 504, id);
            let out = router.play(WAN, order.map(|n| &pieces[n]));
            assert_eq!((out.count(Verdict::Inbound), out.count(Verdict::Reassembled), out.lan.len()), (1, 2, 3));
            assert!(out.lan.iter().all(|frame| frame.len() <= 14 + 576));
            let whole = joined4(&out.lan.iter().map(|frame| plain(frame)).collect::<Vec<_>>());
            assert_eq!((whole.check_transport().dst(), &whole.payload[8..]), (C, &bytes(1400)[..]));

            let packet = udp(S, at, &bytes(1400)).df().id(id as u16);
            let out = router.play(WAN, from_wan_pieces(&packet, 504, id ^ 7));
            assert_eq!((out.count(Reason::TooBig), out.lan.len()), (1, 0));
            assert_eq!(inner(out.to_wan()).icmp_parts(), (3, 4, 576, &packet.bytes()[..548]));
        }
        assert_eq!((router.event(Event::Reassembled), router.event(Event::Fragmented), router.held()), (6, 3, 0));
    }
}

/// On a tunnel of 1280 bytes everything still arrives, in pieces or told to be smaller.
#[test]
fn rfc2473_7_2_nothing_vanishes_for_its_size() {
    for mtu in [MtuMode::Strict { mtu: 1240 }, MtuMode::Strict { mtu: 1460 }, MtuMode::Fragment { mtu: 1500 }] {
        for setup in Setup::all() {
            for mut router in routers(&Setup { mtu, ..setup.clone() }) {
                for len in (1180..=1472).step_by(4) {
                    for df in [false, true] {
                        let mut packet = udp(C, S, &bytes(len));
                        packet.header.dont_fragment = df;
                        let out = router.lan(from_lan(&packet));
                        router.advance(Duration::from_millis(100));
                        if out.verdict() == Verdict::Dropped(Reason::TooBig) {
                            assert!(df, "without DF it is not refused");
                            let (kind, code, told, _) = plain(out.to_lan()).check_transport().icmp_parts();
                            assert!((kind, code) == (3, 4) && told < 28 + len as u32, "{len}: {told}");
                            continue;
                        }
                        assert_eq!(out.verdict(), Verdict::Outbound, "{mtu:?} {len} {df}");
                        let got = if out.wan.len() == 1 { inner(&out.wan[0]) } else { joined(&out.wan) };
                        assert_eq!(&got.check_transport().payload[8..], &bytes(len)[..]);
                    }
                }
            }
        }
    }
}

/// RFC 7597 8.1 without a PSID: a CE with an address of its own must still be where its rule says.
#[test]
fn rfc7597_8_1_the_source_is_checked_where_no_psid_is() {
    let rule =
        |forwarding| "2001:db8:4000::/40,198.51.100.0/24,8,6".parse::<Rule>().unwrap().with_forwarding(forwarding);
    for (iid, fast) in [(InterfaceId::Rfc7597, true), (InterfaceId::Draft03, false)] {
        let peer = rule(true).ce("2001:db8:4077::/48".parse().unwrap(), iid).unwrap();
        assert_eq!((peer.ipv4.octets(), peer.ports), ([198, 51, 100, 0x77], PortSet::ALL));
        let mut router = mesh::router(iid, &[mesh::rule(true), rule(true)], fast, Filtering::default());
        let us = mesh::us(iid);
        let at = (peer.ipv4.octets(), 7);
        let (to, sent) = mesh::outbound(&mut router, &udp(C, at, b"x"));
        assert_eq!(to, peer.address);
        let answer = udp(at, sent.src(), b"x").bytes();
        for bit in [0, 16, 24, 64, 80, 87] {
            let liar = Ipv6Addr::from(peer.address.to_bits() ^ 1 << bit);
            let out = router.wan(mesh::from(liar, us, &answer));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::MapSpoofed), "bit {bit}");
            assert!(out.lan.is_empty() && out.wan.is_empty());
        }
        let lie = udp(([198, 51, 100, 0x78], 7), sent.src(), b"x").bytes();
        router.wan(mesh::from(peer.address, us, &lie)).dropped(Reason::MapSpoofed);
        mesh::inbound(&mut router, mesh::from(peer.address, us, &answer));
    }
}

/// Wrong family on a link: what looks like the tunnel on the LAN is none, and IPv4 is not spoken on the line.
#[test]
fn rfc6333_5_7_a_tunnel_is_only_on_the_line() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            let at = outbound(&mut router, &udp(C, S, b"x")).src();
            let mut frame = from_wan(&udp(S, at, b"x"));
            frame[..12].copy_from_slice(&[ROUTER_MAC, CLIENT_MAC].concat());
            router.lan(&frame).dropped(Reason::Ipv6NoRoute);
            // From there towards the border router, as if this were a second tunnel.
            let ends: Vec<u8> = frame[22..54].to_vec();
            frame[22..38].copy_from_slice(&ends[16..]);
            frame[38..54].copy_from_slice(&ends[..16]);
            router.lan(&frame).dropped(Reason::Ipv6NoRoute);
            let bare = ethernet(WAN_MAC, GATEWAY_MAC, 0x0800, &udp(S, at, b"x").bytes());
            router.wan(&bare).dropped(Reason::Ipv4OnWan);
        }
    }
}
