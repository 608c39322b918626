//! Native IPv6 through the path: what is forwarded, what is filtered, what is told (RFC 8200, RFC 4443, RFC 6092, RFC 7084).

use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::filter6::Config;
use hikyaku_dataplane::rules::{Action, Address, Rule, Zone};
use hikyaku_dataplane::snapshot::{Neighbours, Routes6, Snapshot};
use hikyaku_dataplane::verdict::{Reason, Verdict};

const C: End6 = (CLIENT6, 40000);
const S: End6 = (PEER6, 443);

fn pairs() -> impl Iterator<Item = Router> {
    Setup::all().into_iter().flat_map(|setup| routers6(&setup, &filtering())).map(|(router, _)| router)
}

fn address(text: &str) -> std::net::Ipv6Addr {
    text.parse().unwrap()
}

/// Passes out, one hop less and otherwise as it was.
#[track_caller]
fn leaves(router: &mut Router, packet: &Packet6) {
    let out = router.lan(packet.sent_by_host());
    assert_eq!((out.verdict(), out.to_wan()), (Verdict::Ipv6Outbound, &packet.to_line()[..]));
}

/// Passes in, likewise.
#[track_caller]
fn enters(router: &mut Router, packet: &Packet6) {
    let out = router.wan(packet.sent_by_line());
    assert_eq!((out.verdict(), out.to_lan()), (Verdict::Ipv6Inbound, &packet.to_lan()[..]));
}

/// Is dropped, and the host of ours that sent it is told this.
#[track_caller]
fn refused(router: &mut Router, packet: &Packet6, reason: Reason, told: (u8, u8), word: u32) {
    let out = router.lan(packet.sent_by_host());
    assert_eq!(out.verdict(), Verdict::Dropped(reason));
    let (what, says, quote) = error6(out.to_lan());
    assert_eq!((what, says), (told, word));
    assert_eq!(quote, &packet.bytes()[..quote.len()]);
    assert_eq!(out.to_lan()[22..38], ROUTER6.octets(), "RFC 4443 2.2: from our address there");
    router.advance(Duration::from_secs(1));
}

#[test]
fn rfc6092_3_2_what_hosts_begin_passes_and_what_answers_it() {
    for mut router in pairs() {
        let flows = [
            (udp6(C, S, b"question"), udp6(S, C, b"answer")),
            (tcp6(C, S, SYN), tcp6(S, C, SYN | ACK)),
            (echo6(CLIENT6, PEER6, 128, 7), echo6(PEER6, CLIENT6, 129, 7)),
        ];
        let by_address = [4, 41, 47, 50, 51, 135, 139, 140, 253].map(|protocol| {
            let packet = |src, dst| Packet6::new(src, dst, protocol, bytes(40));
            (packet(CLIENT6, PEER6), packet(PEER6, CLIENT6))
        });
        let with_ports = [33, 132, 136].map(|protocol| {
            let packet = |(src, a): End6, (dst, b): End6| {
                Packet6::new(src, dst, protocol, [&a.to_be_bytes()[..], &b.to_be_bytes(), &[0; 12]].concat())
            };
            (packet(C, S), packet(S, C))
        });
        for (out, back) in flows.into_iter().chain(by_address).chain(with_ports) {
            router.wan(back.sent_by_line()).dropped(Reason::Ipv6Filtered);
            for _ in 0..3 {
                leaves(&mut router, &out);
                enters(&mut router, &back);
            }
            // And nobody else's.
            for (src, dst) in [(address("2a00:1450:0:1::81"), CLIENT6), (PEER6, OTHER6)] {
                let other = Packet6::new(src, dst, back.protocol, back.payload.clone());
                router.wan(other.sent_by_line()).dropped(Reason::Ipv6Filtered);
            }
        }
        let other_port = udp6(S, (CLIENT6, 40001), b"x");
        router.wan(other_port.sent_by_line()).dropped(Reason::Ipv6Filtered);
        // RFC 6092 REC-20: UDP-Lite is not UDP.
        assert_eq!(router.event(Event::SessionOpened), 15);
    }
}

#[test]
fn without_a_filter_nothing_is_forwarded() {
    for setup in Setup::all() {
        let setup = Setup { native6: Some(filtering()), ..setup };
        let mut router = Router::with(&setup, |snapshot| snapshot.filter6 = None);
        router.lan(udp6(C, S, b"x").sent_by_host()).dropped(Reason::Ipv6NoRoute);
        router.wan(udp6(S, C, b"x").sent_by_line()).dropped(Reason::Ipv6NoRoute);
    }
}

#[test]
fn rfc8200_5_a_link_of_less_than_1280_bytes_carries_no_ipv6() {
    for (lan_mtu, wan_mtu, carries) in [(1280, 1280, true), (1279, 1500, false), (1500, 1279, false)] {
        for (mut router, _) in routers6(&Setup { lan_mtu, wan_mtu, ..Setup::dslite() }, &filtering()) {
            match carries {
                true => leaves(&mut router, &udp6(C, S, b"x")),
                false => router.lan(udp6(C, S, b"x").sent_by_host()).dropped(Reason::Ipv6NoRoute),
            }
        }
    }
}

#[test]
fn rfc6092_default_deny_a_scan_from_outside_finds_nothing() {
    for mut router in pairs() {
        leaves(&mut router, &tcp6(C, S, SYN));
        let scanner = address("2a00:1450:0:1::66");
        for host in [CLIENT6, OTHER6, address("2001:db8:12:3401::c"), address("2001:db8:12:3401::")] {
            for port in [22, 80, 443, 40000] {
                for flags in [SYN, ACK, SYN | ACK, FIN, RST, 0, 0x3f] {
                    router.wan(tcp6((scanner, 1), (host, port), flags).sent_by_line()).dropped(Reason::Ipv6Filtered);
                }
                router.wan(udp6((scanner, 1), (host, port), b"?").sent_by_line()).dropped(Reason::Ipv6Filtered);
            }
            for kind in 128..=255 {
                router.wan(echo6(scanner, host, kind, 9).sent_by_line()).dropped(Reason::Ipv6Filtered);
            }
            for protocol in [0x29, 50, 51, 59, 89, 132, 200] {
                let packet = Packet6::new(scanner, host, protocol, bytes(60));
                router.wan(packet.sent_by_line()).dropped(Reason::Ipv6Filtered);
            }
        }
        assert_eq!((router.event(Event::SessionOpened), router.event(Event::IcmpSent)), (1, 0));
    }
}

#[test]
fn rfc8200_3_hop_limit() {
    for mut router in pairs() {
        leaves(&mut router, &udp6(C, S, b"x").hops(2));
        enters(&mut router, &udp6(S, C, b"x").hops(2));
        for hops in [0, 1] {
            refused(&mut router, &udp6(C, S, b"x").hops(hops), Reason::TtlExceeded, (3, 0), 0);
            // Inbound, who has a session is told.
            let out = router.wan(udp6(S, C, b"x").hops(hops).sent_by_line());
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::TtlExceeded));
            assert_eq!((error6(out.to_wan()).0, &out.to_wan()[..6]), ((3, 0), &GATEWAY_MAC[..]));
            router.wan(udp6((PEER6, 444), C, b"x").hops(hops).sent_by_line()).dropped(Reason::TtlExceeded);
        }
    }
}

#[test]
fn rfc4443_3_2_packet_too_big_says_what_the_next_link_takes() {
    for fast in [true, false] {
        let setup = Setup { fast, lan_mtu: 1400, wan_mtu: 1454, ..Setup::dslite() };
        let (mut router, _) = router6(&setup, &filtering());
        leaves(&mut router, &udp6(C, S, &bytes(1454 - 48)));
        refused(&mut router, &udp6(C, S, &bytes(1454 - 47)), Reason::Ipv6TooBig, (2, 0), 1454);
        enters(&mut router, &udp6(S, C, &bytes(1400 - 48)));
        let out = router.wan(udp6(S, C, &bytes(1400 - 47)).sent_by_line());
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::Ipv6TooBig));
        assert_eq!((error6(out.to_wan()).0, error6(out.to_wan()).1), ((2, 0), 1400));
        router.wan(udp6((PEER6, 1), C, &bytes(1400)).sent_by_line()).dropped(Reason::Ipv6TooBig);
    }
}

#[test]
fn rfc4443_3_1_who_cannot_be_reached_is_told() {
    for mut router in pairs() {
        // RFC 7084 WPD-5: the rest of a delegated prefix is nobody's, and goes round in no circle.
        let nobody = address("2001:db8:12:3477::1");
        refused(&mut router, &udp6(C, (nobody, 9), b"x"), Reason::Ipv6NoRoute, (1, 0), 0);
        router.wan(udp6(S, (nobody, 9), b"x").sent_by_line()).dropped(Reason::Ipv6NoRoute);
        // RFC 7084 L-14: a source of a prefix that is not the LAN's.
        for source in ["2001:db8:12:3402::a", "2a00:1450:0:1::9", "fd00::a"] {
            refused(&mut router, &udp6((address(source), 9), S, b"x"), Reason::Ipv6Source, (1, 5), 0);
        }
        // RFC 4007 9: a link-local source has no business elsewhere.
        refused(&mut router, &udp6((address("fe80::a"), 9), S, b"x"), Reason::Ipv6Scope, (1, 2), 0);
    }
}

#[test]
fn rfc7084_l14_a_prefix_that_is_taken_back_ends_its_sessions_way_out() {
    for mut router in pairs() {
        leaves(&mut router, &udp6(C, S, b"x"));
        let mut snapshot = Snapshot::clone(&router.shared.snapshot.load());
        snapshot.links[LAN.index()].sources6 = vec!["2001:db8:99::/64".parse().unwrap()];
        router.shared.snapshot.store(std::sync::Arc::new(snapshot));
        refused(&mut router, &udp6(C, S, b"x"), Reason::Ipv6Source, (1, 5), 0);
    }
}

#[test]
fn rfc4443_2_4_f_errors_are_limited() {
    for mut router in pairs() {
        let late = udp6(C, S, b"x").hops(1).sent_by_host();
        let out = router.play(LAN, vec![late; 100]);
        assert_eq!((out.count(Reason::TtlExceeded), out.lan.len()), (100, 50));
        assert_eq!((router.event(Event::IcmpSent), router.event(Event::IcmpLimited)), (50, 50));
    }
}

#[test]
fn rfc6092_rec1_to_7_addresses_that_are_nobodys_go_nowhere() {
    for mut router in pairs() {
        for source in
            ["::", "::1", "ff02::1", "ff0e::1", "::ffff:192.0.2.1", "::192.0.2.1", "fec0::1", "100::1", "2001:10::1"]
        {
            let packet = udp6((address(source), 9), S, b"x");
            let out = router.lan(packet.sent_by_host());
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::Ipv6Source), "{source}");
            router.wan(udp6((address(source), 9), C, b"x").sent_by_line()).dropped(Reason::Ipv6Source);
            router.advance(Duration::from_secs(1));
        }
        for destination in
            ["ff05::2", "ff0e::1", "::1", "::ffff:192.0.2.1", "fec0::1", "100::1", "2001:10::1", "fd00::1"]
        {
            let packet = udp6(C, (address(destination), 9), b"x");
            router.lan(packet.sent_by_host()).dropped(Reason::Ipv6Destination);
        }
        // REC-6: nobody outside has our addresses, nor is one that only a site knows let in.
        for source in [CLIENT6, ROUTER6, address("2001:db8:12:3477::1"), address("fd00::9"), address("fe80::9")] {
            let out = router.wan(udp6((source, 443), C, b"x").sent_by_line());
            assert!(matches!(out.verdict(), Verdict::Dropped(Reason::Ipv6Source | Reason::Ipv6Scope)), "{source}");
        }
        assert_eq!(router.event(Event::SessionOpened), 0);
    }
}

#[test]
fn rfc4861_6_3_4_a_host_that_sends_to_its_neighbours_by_way_of_us() {
    for mut router in pairs() {
        let packet = udp6(C, (OTHER6, 9), b"x");
        let out = router.lan(packet.sent_by_host());
        assert_eq!((out.verdict(), out.to_lan()), (Verdict::Hairpin, &packet.to_lan()[..]));
    }
}

#[test]
fn rfc7045_2_extension_headers_pass_unseen() {
    for mut router in pairs() {
        // Options that a destination would refuse, and a header that nobody knows.
        let unknown = [0, 0xc7, 4, 0, 0, 0, 0];
        let packet = udp6(C, S, b"x").header(0, &unknown).header(60, &unknown).header(43, &[0, 4, 1, 0, 0, 0, 0]);
        leaves(&mut router, &packet);
        enters(&mut router, &udp6(S, C, b"x").header(60, &unknown));
        // RFC 5095, RFC 6092 REC-4.
        let routed = udp6(C, S, b"x").header(43, &[0, 0, 0, 0, 0, 0, 0]);
        router.lan(routed.sent_by_host()).dropped(Reason::Ipv6Extension);
        router.wan(udp6(S, C, b"x").header(43, &[0, 0, 1, 0, 0, 0, 0]).sent_by_line()).dropped(Reason::Ipv6Extension);
        // No upper layer at all (RFC 8200 4.7).
        leaves(&mut router, &Packet6::new(CLIENT6, PEER6, 59, bytes(8)));
    }
}

#[test]
fn rfc8200_4_5_fragments_follow_their_first_in_any_order() {
    for mut router in pairs() {
        let whole = udp6(C, S, &bytes(3000));
        for (id, order) in [[0, 1, 2], [2, 1, 0], [1, 0, 2]].into_iter().enumerate() {
            let pieces = whole.fragments(1208, id as u32);
            let out = router.play(LAN, order.map(|i| pieces[i].sent_by_host()));
            let mut left = out.wan.clone();
            left.sort();
            let mut expected: Vec<_> = pieces.iter().map(Packet6::to_line).collect();
            expected.sort();
            assert_eq!((out.count(Verdict::Ipv6Outbound), left), (3, expected));
        }
        // What comes back, too; and of strangers nothing.
        let pieces = udp6(S, C, &bytes(3000)).fragments(1208, 9);
        let out = router.play(WAN, [1, 0, 2].map(|i| pieces[i].sent_by_line()));
        assert_eq!((out.count(Verdict::Ipv6Inbound), out.lan.len()), (3, 3));
        let pieces = udp6((PEER6, 1), C, &bytes(3000)).fragments(1208, 10);
        let out = router.play(WAN, [0, 1, 2].map(|i| pieces[i].sent_by_line()));
        assert_eq!((out.count(Reason::Ipv6Filtered), router.held()), (1, 2));
        router.wait(3);
        assert_eq!(router.totals().verdict(Reason::Ipv6Fragment.into()), 2);
    }
}

#[test]
fn fragments_of_ipv6_wait_in_bounded_number() {
    for mut router in pairs() {
        let later = |id| udp6(S, C, &bytes(2000)).fragments(1208, id)[1].sent_by_line();
        let out = router.play(WAN, (0..100).map(later));
        assert_eq!((out.count(Reason::Ipv6Fragment), router.held()), (36, 64));
        router.drain();
    }
}

#[test]
fn rfc7112_5_a_first_fragment_without_its_header_is_dropped() {
    for mut router in pairs() {
        for packet in [tcp6(C, S, SYN), udp6(C, S, &bytes(20)), echo6(CLIENT6, PEER6, 128, 3)] {
            let keep = if packet.protocol == 17 { 0 } else { 4 };
            let mut first = packet.fragments(8, 1)[0].clone();
            first.payload.truncate(keep);
            router.lan(first.sent_by_host()).dropped(Reason::TransportHeader);
        }
    }
}

#[test]
fn rfc6092_rec10_errors_about_known_flows_pass_both_ways_and_others_do_not() {
    let hop = address("2a00:1450:9::1");
    for mut router in pairs() {
        let flows = [
            (udp6(C, S, &bytes(1400)), udp6(S, C, b"x")),
            (tcp6(C, S, SYN), tcp6(S, C, SYN | ACK)),
            (echo6(CLIENT6, PEER6, 128, 7), echo6(PEER6, CLIENT6, 129, 7)),
            (Packet6::new(CLIENT6, PEER6, 50, bytes(40)), Packet6::new(PEER6, CLIENT6, 50, bytes(40))),
        ];
        for (out, back) in flows {
            for (kind, code) in [(1, 0), (1, 4), (2, 0), (3, 0), (3, 1), (4, 1)] {
                let quote = out.forwarded().bytes();
                let error = icmp6(hop, CLIENT6, (kind, code), 1280, &quote[..quote.len().min(1232)]);
                router.wan(error.sent_by_line()).dropped(Reason::Ipv6IcmpError);
                leaves(&mut router, &out);
                enters(&mut router, &error);
                enters(&mut router, &back);
                let ours = icmp6(CLIENT6, PEER6, (kind, code), 0, &back.forwarded().bytes());
                leaves(&mut router, &ours);
                // To somebody else than who sent the quoted packet.
                let error = icmp6(hop, OTHER6, (kind, code), 1280, &quote[..48]);
                router.wan(error.sent_by_line()).dropped(Reason::Ipv6IcmpError);
                // RFC 6092 REC-19, REC-37: it ends nothing, nor keeps anything alive.
                router.advance(Duration::from_secs(8000));
                router.wait(3);
            }
        }
        // Unknown errors, and what is no error about anything.
        leaves(&mut router, &udp6(C, S, b"x"));
        let quote = udp6(C, S, b"x").bytes();
        for (kind, quote) in [(5, &quote[..]), (127, &quote), (1, &quote[..43]), (1, b"")] {
            router.wan(icmp6(hop, CLIENT6, (kind, 0), 0, quote).sent_by_line()).dropped(Reason::Ipv6IcmpError);
        }
        router.wan(icmp6(hop, CLIENT6, (137, 0), 0, &quote).sent_by_line()).dropped(Reason::Ipv6Filtered);
    }
}

#[test]
fn rfc6092_rec14_rec35_sessions_live_as_long_as_they_must() {
    let idle = [
        (udp6(C, S, b"x"), udp6(S, C, b"x"), 300),
        (echo6(CLIENT6, PEER6, 128, 7), echo6(PEER6, CLIENT6, 129, 7), 60),
        (Packet6::new(CLIENT6, PEER6, 50, bytes(40)), Packet6::new(PEER6, CLIENT6, 50, bytes(40)), 300),
        // Half open.
        (tcp6(C, S, SYN), tcp6(S, C, SYN | ACK), 240),
    ];
    for (out, back, seconds) in idle {
        for mut router in pairs() {
            leaves(&mut router, &out);
            router.advance(Duration::from_secs(seconds - 1));
            router.wait(1);
            enters(&mut router, &back);
            router.advance(Duration::from_secs(seconds));
            router.wait(2);
            router.wan(back.sent_by_line()).dropped(Reason::Ipv6Filtered);
        }
    }
    // Open: two hours and four minutes; closed or reset: four minutes.
    for (last, seconds) in [(ACK, 7440), (FIN | ACK, 240), (RST, 240)] {
        for mut router in pairs() {
            leaves(&mut router, &tcp6(C, S, SYN));
            enters(&mut router, &tcp6(S, C, SYN | ACK));
            leaves(&mut router, &tcp6(C, S, ACK));
            enters(&mut router, &tcp6(S, C, last));
            leaves(&mut router, &tcp6(C, S, last));
            router.advance(Duration::from_secs(seconds - 1));
            router.wait(1);
            enters(&mut router, &tcp6(S, C, ACK));
            router.advance(Duration::from_secs(7440));
            router.wait(3);
            router.wan(tcp6(S, C, ACK).sent_by_line()).dropped(Reason::Ipv6Filtered);
        }
    }
}

#[test]
fn rfc6092_rec31_simultaneous_open() {
    for mut router in pairs() {
        leaves(&mut router, &tcp6(C, S, SYN));
        enters(&mut router, &tcp6(S, C, SYN));
        leaves(&mut router, &tcp6(C, S, SYN | ACK));
        enters(&mut router, &tcp6(S, C, SYN | ACK));
    }
}

#[test]
fn rfc9293_3_7_1_the_mss_is_lowered_where_a_link_takes_less() {
    let offer = |mss: u16| [[2, 4], mss.to_be_bytes()].concat();
    for fast in [true, false] {
        let (mut router, _) = router6(&Setup { fast, wan_mtu: 1454, ..Setup::ipip() }, &filtering());
        let syn = |from, to, flags, mss| tcp6_with(from, to, flags, &offer(mss), b"");
        let out = router.lan(syn(C, S, SYN, 1440).sent_by_host());
        assert_eq!(out.to_wan(), syn(C, S, SYN, 1394).to_line());
        let out = router.wan(syn(S, C, SYN | ACK, 1440).sent_by_line());
        assert_eq!(out.to_lan(), syn(S, C, SYN | ACK, 1394).to_lan());
        leaves(&mut router, &syn(C, S, SYN, 1220));
        assert_eq!(router.event(Event::MssLowered), 2);
        // Behind extension headers, too.
        let with_options = |mss| syn(C, S, SYN, mss).header(60, &[0, 1, 4, 0, 0, 0, 0]);
        assert_eq!(router.lan(with_options(1440).sent_by_host()).to_wan(), with_options(1394).to_line());
    }
    for mut router in pairs() {
        leaves(&mut router, &tcp6_with(C, S, SYN, &offer(1440), b""));
    }
}

#[test]
fn rfc6092_rec48_a_rule_lets_in_what_it_names_and_nothing_else() {
    let to = |host, protocol, ports| Rule {
        protocols: vec![protocol],
        ports: vec![ports],
        destination: vec![host],
        ..rule_from(Zone::Wan, Action::Accept)
    };
    let rules = vec![
        to(Address::InterfaceId(0xa), 6, (443, 445)),
        to(Address::V6("2001:db8:12:3401::b/128".parse().unwrap()), 17, (500, 500)),
        to(Address::InterfaceId(0xb), 58, (128, 128)),
    ];
    for (mut router, _) in routers6(&Setup { rules, ..Setup::ipip() }, &filtering()) {
        let stranger = (address("2a00:1450:7::7"), 1000);
        let to = |host, port| (host, port);
        for port in [443, 445] {
            enters(&mut router, &tcp6(stranger, to(CLIENT6, port), SYN));
            leaves(&mut router, &tcp6(to(CLIENT6, port), stranger, SYN | ACK));
            enters(&mut router, &tcp6(stranger, to(CLIENT6, port), ACK));
        }
        enters(&mut router, &udp6(stranger, to(OTHER6, 500), b"IKE"));
        enters(&mut router, &echo6(stranger.0, OTHER6, 128, 3));
        leaves(&mut router, &echo6(OTHER6, stranger.0, 129, 3));
        for packet in [
            tcp6(stranger, to(CLIENT6, 442), SYN),
            tcp6(stranger, to(CLIENT6, 446), SYN),
            tcp6(stranger, to(OTHER6, 443), SYN),
            udp6(stranger, to(CLIENT6, 443), b"x"),
            udp6(stranger, to(CLIENT6, 500), b"x"),
            echo6(stranger.0, CLIENT6, 128, 3),
            // Nothing but a SYN begins a connection.
            tcp6((stranger.0, 1001), to(CLIENT6, 443), ACK),
            tcp6((stranger.0, 1001), to(CLIENT6, 443), SYN | ACK),
        ] {
            router.wan(packet.sent_by_line()).dropped(Reason::Ipv6Filtered);
        }
        // What is there lives on without them.
        assert_eq!(router.ruled(), [[2, 0, 0], [1, 0, 0], [1, 0, 0]]);
        router.set_rules(&[]);
        enters(&mut router, &tcp6(stranger, to(CLIENT6, 443), ACK));
        router.wan(tcp6((stranger.0, 1002), to(CLIENT6, 443), SYN).sent_by_line()).dropped(Reason::Ipv6Filtered);
    }
}

/// One rule that says nothing but where from: whatever may begin a session does. What is nobody's stays out.
#[test]
fn rfc6092_rec49_one_rule_is_the_transparent_mode() {
    let rules = vec![rule_from(Zone::Wan, Action::Accept)];
    for (mut router, _) in routers6(&Setup { rules, ..Setup::ipip() }, &filtering()) {
        let stranger = (address("2a00:1450:7::7"), 1000);
        for host in [CLIENT6, OTHER6] {
            for port in [1, 443, 65535] {
                enters(&mut router, &tcp6(stranger, (host, port), SYN));
                enters(&mut router, &udp6(stranger, (host, port), b"x"));
            }
            enters(&mut router, &echo6(stranger.0, host, 128, 3));
        }
        let ours = (OTHER6, 9);
        router.wan(udp6(ours, (CLIENT6, 9), b"x").sent_by_line()).dropped(Reason::Ipv6Source);
    }
}

#[test]
fn a_station_has_its_share_and_a_full_table_says_so() {
    let config = Config { per_station: Some(100), ..filtering() };
    for (mut router, filter) in routers6(&Setup::dslite(), &config) {
        // However many addresses it has.
        let from = |n: u16| (address(&format!("2001:db8:12:3401::1:{n:x}")), n);
        let out = router.play(LAN, (0..150).map(|n| udp6(from(n), S, b"x").sent_by_host()));
        assert_eq!((out.count(Verdict::Ipv6Outbound), out.count(Reason::Ipv6HostLimit)), (100, 50));
        let (what, _, _) = error6(&out.lan[0]);
        assert_eq!(what, (1, 3));
        leaves(&mut router, &udp6((OTHER6, 9), S, b"x"));
        assert_eq!(filter.stats().live, 101);
        router.advance(Duration::from_secs(301));
        router.wait(6);
        assert_eq!((filter.stats().live, filter.stats().expired), (0, 101));
        leaves(&mut router, &udp6(C, S, b"x"));
    }
    for (mut router, filter) in routers6(&Setup::dslite(), &filtering()) {
        for n in 0..11 {
            router.play(LAN, (0..100).map(|i| udp6((CLIENT6, n * 100 + i), S, b"x").sent_by_host()));
        }
        assert_eq!(filter.stats().live, 1024);
        assert_eq!(router.totals().verdict(Reason::Ipv6TableFull.into()), 76);
        assert!(filter.bytes() < 1024 * 110, "{}", filter.bytes());
    }
}

#[test]
fn strangers_leave_a_quarter_of_share_and_table() {
    let dns = Rule {
        protocols: vec![17],
        ports: vec![(53, 53)],
        destination: vec![Address::InterfaceId(0xa)],
        ..rule_from(Zone::Wan, Action::Accept)
    };
    let setup = Setup { rules: vec![dns], ..Setup::dslite() };
    let from = |n: u16| (PEER6, n);
    let config = Config { per_station: Some(100), ..filtering() };
    for (mut router, _) in routers6(&setup, &config) {
        let out = router.play(WAN, (0..120).map(|n| udp6(from(n), (CLIENT6, 53), b"x").sent_by_line()));
        assert_eq!((out.count(Verdict::Ipv6Inbound), out.count(Reason::Ipv6HostLimit), out.wan.len()), (75, 45, 0));
        leaves(&mut router, &udp6(C, S, b"x"));
    }
    for (mut router, filter) in routers6(&setup, &filtering()) {
        for n in 0..9 {
            router.play(WAN, (0..100).map(|i| udp6(from(n * 100 + i), (CLIENT6, 53), b"x").sent_by_line()));
        }
        assert_eq!((filter.stats().live, router.totals().verdict(Reason::Ipv6TableFull.into())), (768, 132));
        leaves(&mut router, &udp6(C, S, b"x"));
    }
}

#[test]
fn rfc4861_7_2_2_a_host_that_nobody_knows_yet_is_asked_for() {
    for mut router in pairs() {
        leaves(&mut router, &udp6(C, S, b"x"));
        let mut snapshot = Snapshot::clone(&router.shared.snapshot.load());
        snapshot.links[LAN.index()].neighbours6 = Neighbours::default();
        router.shared.snapshot.store(std::sync::Arc::new(snapshot));
        let packet = udp6(S, C, b"x");
        assert_eq!(router.wan(packet.sent_by_line()).verdict(), Verdict::Punted);
        let message = router.punted().unwrap();
        assert!(message.unresolved && message.link == LAN);
        assert_eq!(message.frame(), packet.forwarded().frame([0; 6], ROUTER_MAC));
    }
}

#[test]
fn what_is_for_the_router_itself_is_the_control_threads() {
    for mut router in pairs() {
        for packet in [
            echo6(CLIENT6, ROUTER6, 128, 1),
            icmp6(address("fe80::a"), address("ff02::2"), (133, 0), 0, &[]).hops(255),
            icmp6(CLIENT6, address("ff02::1:ff00:1"), (135, 0), 0, &ROUTER6.octets()).hops(255),
        ] {
            assert_eq!(router.lan(packet.sent_by_host()).verdict(), Verdict::Punted);
        }
        router.lan(udp6(C, (ROUTER6, 53), b"x").sent_by_host()).dropped(Reason::NoListener);
        assert_eq!(router.wan(echo6(PEER6, ROUTER6, 128, 1).sent_by_line()).verdict(), Verdict::Punted);
        router.wan(tcp6(S, (ROUTER6, 80), SYN).sent_by_line()).dropped(Reason::NoListener);
    }
}

#[test]
fn no_route_and_no_way_out() {
    for mut router in pairs() {
        leaves(&mut router, &udp6(C, S, b"x"));
        let mut snapshot = Snapshot::clone(&router.shared.snapshot.load());
        snapshot.routes6 = Routes6::default();
        router.shared.snapshot.store(std::sync::Arc::new(snapshot));
        refused(&mut router, &udp6(C, S, b"x"), Reason::Ipv6NoRoute, (1, 0), 0);
        router.wan(udp6(S, C, b"x").sent_by_line()).dropped(Reason::Ipv6NoRoute);
    }
}

#[test]
fn both_families_in_one_burst_stay_in_order() {
    for mut router in pairs() {
        let four = |n: u8| from_lan(&udp((CLIENT, 40000), (SERVER, 443), &[n]));
        let six = |n: u8| udp6(C, S, &[n]);
        let frames = (0..200u8).map(|n| if n % 3 == 0 { four(n) } else { six(n).sent_by_host() });
        let out = router.play(LAN, frames);
        let (tunnelled, native): (Vec<_>, Vec<_>) = out.wan.iter().partition(|frame| frame[20] == 4);
        assert_eq!(
            tunnelled.iter().map(|f| f[f.len() - 1]).collect::<Vec<_>>(),
            (0..200).step_by(3).collect::<Vec<_>>()
        );
        let expected: Vec<_> = (0..200u8).filter(|n| n % 3 != 0).map(|n| six(n).to_line()).collect();
        assert!(native.into_iter().eq(&expected));
    }
}

#[test]
fn rfc6092_rec34_an_unsolicited_syn_is_answered_after_six_seconds() {
    for (mut router, _) in routers6(&Setup::ipip(), &filtering()) {
        let syn = tcp6(S, C, SYN);
        router.wan(syn.sent_by_line()).dropped(Reason::Ipv6Filtered);
        router.wan(syn.sent_by_line()).dropped(Reason::Ipv6Filtered);
        // Not of anything else.
        for packet in [tcp6((PEER6, 1), C, ACK), tcp6((PEER6, 2), C, SYN | ACK), udp6((PEER6, 3), C, b"x")] {
            router.wan(packet.sent_by_line()).dropped(Reason::Ipv6Filtered);
        }
        router.advance(Duration::from_millis(5900));
        assert_eq!(router.idle().wan.len(), 0);
        router.advance(Duration::from_millis(200));
        let out = router.idle();
        let (what, _, quote) = error6(&out.wan[0]);
        assert_eq!((out.wan.len(), what, quote), (1, (1, 1), &syn.bytes()[..]));
        assert_eq!(out.wan[0][..12], [GATEWAY_MAC, WAN_MAC].concat());
        assert_eq!(router.event(Event::SynHeld), 1);
        // Who was about to be let in is told nothing.
        router.wan(syn.sent_by_line()).dropped(Reason::Ipv6Filtered);
        leaves(&mut router, &tcp6(C, S, SYN));
        router.advance(Duration::from_secs(7));
        assert_eq!(router.idle().wan.len(), 0);
    }
    // Many are not remembered, nor answered faster than errors are.
    for (mut router, _) in routers6(&Setup::ipip(), &filtering()) {
        for n in 0..2 {
            router.play(WAN, (0..100).map(|i| tcp6((PEER6, n * 100 + i), C, SYN).sent_by_line()));
        }
        assert_eq!(router.event(Event::SynHeld), 128);
        router.advance(Duration::from_secs(6));
        assert_eq!(router.idle().wan.len(), 50);
    }
    let config = Config { answer_unsolicited: false, ..filtering() };
    for (mut router, _) in routers6(&Setup::ipip(), &config) {
        router.wan(tcp6(S, C, SYN).sent_by_line()).dropped(Reason::Ipv6Filtered);
        router.advance(Duration::from_secs(7));
        assert_eq!((router.idle().wan.len(), router.event(Event::SynHeld)), (0, 0));
    }
}
