//! The tunnel through the whole path: RFC 2473, RFC 6333, RFC 6040, RFC 6437, RFC 8200.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::*;
use etherparse::Ipv6Header;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::Time;

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);

/// A router with a session C -> S, and the outside end of it.
fn opened(setup: &Setup) -> (Router, End) {
    let mut router = Router::new(setup);
    let out = router.lan(from_lan(&udp(C, S, b"open")));
    let outside = inner(out.to_wan()).src();
    (router, outside)
}

#[test]
fn rfc2473_3_1_a_packet_is_encapsulated_and_the_answer_decapsulated() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            for (i, len) in [0, 1, 17, 18, 19, 100, 1432].into_iter().enumerate() {
                let payload = bytes(len);
                let question = udp(C, S, &payload).id(i as u16).tos(0x48);
                let out = router.lan(from_lan(&question));
                assert_eq!(out.verdict(), Verdict::Outbound);
                let (outer, ..) = tunnelled(out.to_wan());
                assert_eq!(outer.traffic_class, 0);
                let sent = inner(out.to_wan());
                sent.check_transport();
                assert_eq!((sent.dst(), sent.header.time_to_live, sent.tos_byte()), (S, 63, 0x48));
                assert_eq!(&sent.payload[8..], payload);
                assert_eq!(sent.header.source, if setup.napt { OUTSIDE } else { CLIENT });
                let got = inbound(&mut router, &udp(S, sent.src(), &payload));
                assert_eq!((got.src(), got.dst(), got.header.time_to_live), (S, C, 63));
                assert_eq!(&got.payload[8..], payload);
            }
        }
    }
}

#[test]
fn rfc6438_3_a_flow_has_one_label_and_flows_have_many() {
    for setup in Setup::all() {
        let mut router = Router::new(&setup);
        let mut label = |packet: &Packet| {
            let out = router.lan(from_lan(packet));
            tunnelled(out.to_wan()).0.flow_label.value()
        };
        let mut labels = BTreeSet::new();
        for port in 20000..20064 {
            let packet = udp((CLIENT, port), S, b"x");
            let first = label(&packet);
            assert_eq!(label(&packet), first);
            // Options keep a packet out of the fast path, not out of its flow.
            assert_eq!(label(&packet.clone().options(&[1, 1, 1, 0])), first);
            assert_eq!(label(&packet.id(7).tos(4)), first);
            labels.insert(first);
        }
        assert!(labels.len() > 60, "{labels:?}");
        assert!(labels.iter().any(|l| l >> 16 != 0) && labels.iter().any(|l| l & 0xffff != 0));
    }
}

#[test]
fn rfc2983_rfc6040_4_1_the_outer_class_is_as_configured() {
    let normal = EcnMode::Normal;
    let modes = [
        (ClassMode::default(), [0, 0, 0]),
        (ClassMode { dscp: Dscp::Copy, ..Default::default() }, [0xb8, 0x28, 0]),
        (ClassMode { ecn: normal, ..Default::default() }, [1, 2, 3]),
        (ClassMode { dscp: Dscp::Copy, ecn: normal }, [0xb9, 0x2a, 3]),
        (ClassMode { dscp: Dscp::Fixed(46), ..Default::default() }, [0xb8; 3]),
    ];
    for setup in Setup::all() {
        for fast in [true, false] {
            for (class, expected) in modes {
                let mut router = Router::new(&Setup { class, fast, ..setup.clone() });
                for (tos, expected) in [0xb9, 0x2a, 0x03].into_iter().zip(expected) {
                    for _ in 0..2 {
                        let out = router.lan(from_lan(&udp(C, S, b"x").tos(tos)));
                        assert_eq!(tunnelled(out.to_wan()).0.traffic_class, expected);
                        assert_eq!(inner(out.to_wan()).tos_byte(), tos, "the inner one stays");
                    }
                }
            }
        }
    }
}

#[test]
fn rfc6040_4_2_all_sixteen_combinations_on_decapsulation() {
    const DROP: Option<u8> = None;
    let marks = [0b00, 0b10, 0b01, 0b11];
    let table = [
        [Some(0), Some(0), Some(0), DROP],
        [Some(2), Some(2), Some(1), Some(3)],
        [Some(1), Some(1), Some(1), Some(3)],
        [Some(3), Some(3), Some(3), Some(3)],
    ];
    for setup in Setup::all() {
        for fast in [true, false] {
            let (mut router, outside) = opened(&Setup { fast, ..setup.clone() });
            for (inside, row) in marks.into_iter().zip(table) {
                for (outer, expected) in marks.into_iter().zip(row) {
                    for dscp in [0, 0x28] {
                        let packet = udp(S, outside, b"x").tos(0xb8 | inside);
                        let out = router.wan(from_wan_class(&packet, dscp | outer));
                        match expected {
                            None => out.dropped(Reason::TunnelEcn),
                            Some(ecn) => {
                                let got = plain(out.to_lan());
                                got.check_transport();
                                assert_eq!(got.tos_byte(), 0xb8 | ecn, "{inside:02b} in {outer:02b}");
                            }
                        }
                        // The same in two pieces.
                        let bytes = packet.bytes();
                        let mut pieces = [(0, 24, true), (24, bytes.len(), false)].map(|(from, to, more)| {
                            from_wan_piece(
                                &bytes[from..to],
                                from,
                                more,
                                (u32::from(inside) << 8) | u32::from(outer | dscp),
                            )
                        });
                        pieces.iter_mut().for_each(|p| {
                            p[14] = 0x60 | (dscp | outer) >> 4;
                            p[15] = (dscp | outer) << 4;
                        });
                        let out = router.play(WAN, &pieces);
                        match expected {
                            None => assert_eq!(out.count(Reason::TunnelEcn), 1),
                            Some(ecn) => assert_eq!(plain(out.to_lan()).tos_byte(), 0xb8 | ecn),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn rfc2473_4_1_1_an_encapsulation_limit_is_accepted() {
    for setup in Setup::all() {
        let (mut router, outside) = opened(&setup);
        let packet = udp(S, outside, b"x").bytes();
        let options = [4, 0, 4, 1, 3, 1, 1, 0];
        let payload = [&options[..], &packet].concat();
        let out = router.wan(ipv6(&outer(payload.len(), 60), &payload));
        assert_eq!(out.verdict(), Verdict::Inbound);
        plain(out.to_lan()).check_transport();
    }
}

#[test]
fn only_the_border_router_may_send_into_the_tunnel() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let (mut router, outside) = opened(&Setup { fast, ..setup.clone() });
            let packet = udp(S, outside, b"x").bytes();
            let good = outer(packet.len(), 4);
            let mut send = |header: Ipv6Header| router.wan(ipv6(&header, &packet));
            for i in 0..16 {
                for bit in [1, 0x80] {
                    let (mut source, mut destination) = (good.source, good.destination);
                    source[i] ^= bit;
                    destination[i] ^= bit;
                    send(Ipv6Header { source, ..good.clone() }).dropped(Reason::TunnelSource);
                    send(Ipv6Header { destination, ..good.clone() }).dropped(Reason::Ipv6NoRoute);
                }
            }
            for protocol in [0x29, 47, 132, 255, 59, 50] {
                let header = Ipv6Header { next_header: protocol.into(), ..good.clone() };
                send(header).dropped(Reason::TunnelProtocol);
            }
            assert_eq!(send(good).verdict(), Verdict::Inbound);
        }
    }
}

#[test]
fn the_inner_packet_is_checked_before_anything_in_it_is_believed() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let (mut router, outside) = opened(&Setup { fast, ..setup.clone() });
            let good = udp(S, outside, b"payload").bytes();
            let mut send = |change: &dyn Fn(&mut Vec<u8>), sum: bool| {
                let mut bytes = good.clone();
                change(&mut bytes);
                if sum && bytes.len() >= 20 {
                    let right =
                        etherparse::Ipv4HeaderSlice::from_slice(&bytes).map(|h| h.to_header().calc_header_checksum());
                    if let Ok(right) = right {
                        bytes[10..12].copy_from_slice(&right.to_be_bytes());
                    }
                }
                router.wan(ipv6(&outer(bytes.len(), 4), &bytes))
            };
            send(&|b| b[0] = 0x65, false).dropped(Reason::Ipv4Version);
            send(&|b| b[0] = 0x44, false).dropped(Reason::Ipv4Length);
            send(&|b| b[3] = 19, false).dropped(Reason::Ipv4Length);
            send(&|b| b[3] += 1, true).dropped(Reason::Ipv4Truncated);
            send(&|b| b.truncate(19), false).dropped(Reason::Ipv4Truncated);
            send(&|b| b.truncate(0), false).dropped(Reason::Ipv4Truncated);
            send(&|b| b[10] ^= 0x40, false).dropped(Reason::Ipv4Checksum);
            for source in [[0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [240, 0, 0, 1], CLIENT, ROUTER] {
                send(&|b| b[12..16].copy_from_slice(&source), true).dropped(Reason::Ipv4Source);
            }
            // LAND.
            send(&|b| b.copy_within(16..20, 12), true).dropped(Reason::Ipv4Source);
            for destination in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
                send(&|b| b[16..20].copy_from_slice(&destination), true).dropped(Reason::Ipv4Destination);
            }
            // Somebody else's.
            let reason = if setup.napt { Reason::NaptNoSession } else { Reason::NoRoute };
            send(&|b| b[16..20].copy_from_slice(&[198, 51, 100, 9]), true).dropped(reason);
            // What the outer packet carries behind the inner one goes.
            let out = send(&|b| b.extend([0xee; 30]), true);
            assert_eq!(plain(out.to_lan()).check_transport().payload.len(), 15);
        }
    }
}

#[test]
fn rfc1812_4_3_2_3_an_error_is_no_longer_than_the_link_of_the_host_that_is_told() {
    for setup in Setup::all() {
        for (lan_mtu, quoted) in [(576, 548), (575, 547), (200, 172), (68, 40)] {
            for mut router in routers(&Setup { lan_mtu, ..setup.clone() }) {
                let expired = udp(C, S, &bytes(1000)).ttl(1);
                let out = router.lan(from_lan(&expired));
                assert_eq!(out.verdict(), Verdict::Dropped(Reason::TtlExceeded));
                let answer = plain(out.to_lan());
                answer.check_transport();
                assert_eq!(answer.icmp_parts(), (11, 0, 0, &expired.bytes()[..quoted]));
            }
        }
    }
}

#[test]
fn rfc2473_7_2_strict_mtu_df_set_is_answered_and_df_clear_is_fragmented_outside() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            let fits = udp(C, S, &bytes(1432)).df();
            let out = router.lan(from_lan(&fits));
            assert_eq!((out.verdict(), out.to_wan().len()), (Verdict::Outbound, 1514));
            let too_big = udp(C, S, &bytes(1433)).df();
            let out = router.lan(from_lan(&too_big));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::TooBig));
            let answer = plain(out.to_lan());
            answer.check_transport();
            assert_eq!((answer.header.source, answer.header.destination), (ROUTER, CLIENT));
            let (kind, code, word, quote) = answer.icmp_parts();
            assert_eq!((kind, code, word), (3, 4, 1460));
            assert_eq!(quote, &too_big.bytes()[..548], "as the host sent it, as much as 576 bytes hold");

            for len in [1433, 1440, 1472] {
                let packet = udp(C, S, &bytes(len));
                let out = router.lan(from_lan(&packet));
                assert_eq!((out.verdict(), out.wan.len()), (Verdict::Outbound, 2));
                assert!(out.wan.iter().all(|f| f.len() <= 1514));
                let got = joined(&out.wan);
                got.check_transport();
                assert_eq!((got.header.time_to_live, &got.payload[8..]), (63, &bytes(len)[..]));
            }
            assert_eq!(router.event(Event::Fragmented), 3);
        }
    }
}

#[test]
fn rfc6333_5_3_a_full_size_packet_is_carried_whatever_df_says() {
    for setup in Setup::all() {
        let setup = Setup { mtu: MtuMode::Fragment { mtu: 1500 }, ..setup };
        let mut router = Router::new(&setup);
        for packet in [udp(C, S, &bytes(1472)).df(), udp(C, S, &bytes(1433)).df(), udp(C, S, &bytes(1472))] {
            let out = router.lan(from_lan(&packet));
            assert_eq!((out.verdict(), out.wan.len()), (Verdict::Outbound, 2));
            let got = joined(&out.wan);
            got.check_transport();
            assert_eq!(
                (got.header.dont_fragment, &got.payload[8..]),
                (packet.header.dont_fragment, &packet.payload[8..])
            );
        }
        let ids: BTreeSet<u32> = (0..20)
            .map(|_| {
                let out = router.lan(from_lan(&udp(C, S, &bytes(1472)).df()));
                tunnelled(&out.wan[0]).1.unwrap().identification
            })
            .collect();
        assert_eq!(ids.len(), 20, "an identification came twice");
        // A line that carries more than 1500 needs no fragments.
        let mut router = Router::new(&Setup { wan_mtu: 1540, ..setup });
        let out = router.lan(from_lan(&udp(C, S, &bytes(1472)).df()));
        assert_eq!(inner(out.to_wan()).payload.len(), 1480);
    }
}

#[test]
fn rfc8200_4_5_outer_fragments_are_put_together() {
    for setup in Setup::all() {
        let (mut router, outside) = opened(&setup);
        let packet = udp(S, outside, &bytes(1400));
        for (id, size) in [(1, 1232), (2, 500), (3, 104)] {
            for reversed in [false, true] {
                let mut pieces = from_wan_pieces(&packet, size, id);
                if reversed {
                    pieces.reverse();
                }
                let (last, first) = pieces.split_last().unwrap();
                let out = router.play(WAN, first);
                assert_eq!((out.lan.len(), router.held()), (0, first.len() as u64));
                assert_eq!(out.verdicts, [], "no verdict yet");
                let out = router.wan(last);
                assert_eq!(router.held(), 0);
                assert_eq!(out.count(Verdict::Reassembled), first.len() as u64);
                assert_eq!(out.count(Verdict::Inbound), 1);
                let got = plain(out.to_lan());
                got.check_transport();
                assert_eq!(&got.payload[8..], bytes(1400));
            }
        }
        assert_eq!(router.event(Event::Reassembled), 6, "packets, not pieces");
    }
}

#[test]
fn rfc6946_an_atomic_fragment_is_a_packet() {
    for setup in Setup::all() {
        let (mut router, outside) = opened(&setup);
        let packet = udp(S, outside, b"atomic");
        // One that waits with the same identification does not matter.
        router.wan(from_wan_piece(&bytes(800), 8, true, 9));
        let out = router.wan(from_wan_piece(&packet.bytes(), 0, false, 9));
        assert_eq!(out.verdict(), Verdict::Inbound);
        plain(out.to_lan()).check_transport();
        assert_eq!(router.held(), 1);
    }
}

#[test]
fn rfc5722_overlapping_fragments_spoil_their_packet() {
    let (mut router, outside) = opened(&Setup::ipip());
    let bytes = udp(S, outside, &bytes(200)).bytes();
    router.wan(from_wan_piece(&bytes[..104], 0, true, 5));
    let out = router.wan(from_wan_piece(&bytes[96..], 96, false, 5));
    assert_eq!(out.verdicts, [(Verdict::Dropped(Reason::ReassemblyBad), 2)]);
    assert!(out.lan.is_empty());
    router.wan(from_wan_piece(&bytes[104..], 104, false, 5)).dropped(Reason::ReassemblyBad);
    assert_eq!(router.held(), 0);
    // A duplicate does no harm.
    router.wan(from_wan_piece(&bytes[..104], 0, true, 6));
    router.wan(from_wan_piece(&bytes[..104], 0, true, 6)).dropped(Reason::ReassemblyDuplicate);
    assert_eq!(router.wan(from_wan_piece(&bytes[104..], 104, false, 6)).lan.len(), 1);
}

#[test]
fn rfc8200_4_5_missing_fragments_are_waited_for_a_bounded_time() {
    let (mut router, outside) = opened(&Setup::ipip());
    let pieces = from_wan_pieces(&udp(S, outside, &bytes(1400)), 400, 5);
    router.play(WAN, &pieces[1..]);
    assert_eq!(router.held(), pieces.len() as u64 - 1);
    router.advance(Duration::from_millis(1900));
    assert_eq!(router.idle().verdicts, []);
    router.advance(Duration::from_millis(200));
    let out = router.idle();
    assert_eq!(out.verdicts, [(Verdict::Dropped(Reason::ReassemblyTimeout), pieces.len() as u64 - 1)]);
    assert_eq!(router.held(), 0);
    // As long as the RFC says, where that is asked for.
    let (mut patient, outside) = opened(&Setup { reassembly_timeout: Duration::from_secs(60), ..Setup::ipip() });
    let late = from_wan_pieces(&udp(S, outside, &bytes(1400)), 400, 6);
    patient.play(WAN, &late[1..]);
    patient.advance(Duration::from_millis(59_900));
    assert_eq!(patient.wan(&late[0]).lan.len(), 1);
    patient.play(WAN, &late[1..]);
    patient.advance(Duration::from_secs(60));
    assert_eq!(patient.idle().count(Reason::ReassemblyTimeout), late.len() as u64 - 1);
    // At the end of a replay nothing stays without a verdict.
    router.play(WAN, &pieces[..2]);
    assert_eq!(router.drain().verdicts, [(Verdict::Dropped(Reason::ReassemblyTimeout), 2)]);
}

/// What RFC 8200 4.5 says of a single piece: it goes, and its packet may still become whole.
#[test]
fn rfc8200_4_5_empty_odd_and_tiny_fragments_are_dropped_alone() {
    for setup in Setup::all() {
        let (mut router, outside) = opened(&setup);
        let packet = udp(S, outside, &bytes(200));
        let pieces = from_wan_pieces(&packet, 120, 7);
        let whole = packet.bytes();
        for (reason, bad) in [
            (Reason::ReassemblyBad, from_wan_piece(&[], 0, true, 7)),
            (Reason::ReassemblyBad, from_wan_piece(&[], 120, false, 7)),
            (Reason::ReassemblyBad, from_wan_piece(&[], 120, true, 7)),
            (Reason::ReassemblyBad, from_wan_piece(&whole[..119], 0, true, 7)),
            (Reason::ReassemblyBad, from_wan_piece(&whole[..1], 0, true, 7)),
            (Reason::ReassemblyBad, from_wan_piece(&[0; 16], 65520, false, 7)),
            // RFC 7112 5: the inner header is in the first one, or there is no packet.
            (Reason::ReassemblyBad, from_wan_piece(&whole[..16], 0, true, 7)),
        ] {
            router.wan(&bad).dropped(reason);
            assert_eq!(router.held(), 0);
            router.wan(&pieces[0]);
            router.wan(&bad).dropped(reason);
            assert_eq!(router.held(), 1);
            let out = router.wan(&pieces[1]);
            assert_eq!(plain(out.to_lan()).check_transport().payload[8..], bytes(200));
        }
        // A header cut short (RFC 8200 4.5: eight bytes), and a second one.
        let mut cut = from_wan_piece(&[], 0, true, 7);
        cut[18..20].copy_from_slice(&4u16.to_be_bytes());
        router.wan(&cut[..58]).dropped(Reason::Ipv6Extension);
        let nested = [&[44, 0, 0, 0, 0, 0, 0, 7][..], &[4, 0, 0, 0, 0, 0, 0, 7], &whole].concat();
        router.wan(ipv6(&outer(nested.len(), 44), &nested)).dropped(Reason::Ipv6Extension);
    }
}

/// Memory is bounded, the oldest makes room, every frame is counted, and honest packets pass again and again.
#[test]
fn rfc8200_4_5_a_flood_of_first_fragments_is_bounded() {
    for setup in Setup::all() {
        let (mut router, outside) = opened(&setup);
        let packet = udp(S, outside, &bytes(600));
        for round in 0..4 {
            let flood = (0..1000).map(|i| from_wan_piece(&bytes(800), 0, true, 0x1000 + round * 1000 + i));
            let out = router.play(WAN, flood);
            assert_eq!(router.held(), 256);
            assert_eq!(out.count(Reason::ReassemblyFull), 1000 - if round == 0 { 256 } else { 0 });
            let out = router.play(WAN, from_wan_pieces(&packet, 400, round));
            assert_eq!((out.count(Verdict::Inbound), out.count(Verdict::Reassembled), out.lan.len()), (1, 1, 1));
            // It took one place, which is free now.
            router.wan(from_wan_piece(&bytes(800), 0, true, 0x800 + round));
        }
        router.advance(Duration::from_secs(2));
        assert_eq!(router.idle().count(Reason::ReassemblyTimeout), 256);
        assert_eq!(router.held(), 0);
    }
}

/// RFC 8200 4.5: of pieces that come again long after, none is taken for one of another packet.
#[test]
fn rfc8200_4_5_a_packet_that_was_not_whole_in_time_is_forgotten() {
    let (mut router, outside) = opened(&Setup::ipip());
    let [old, new] = [b'o', b'n'].map(|byte| from_wan_pieces(&udp(S, outside, &[byte; 600]), 400, 5));
    router.wan(&old[0]);
    router.advance(Duration::from_secs(2));
    assert_eq!(router.idle().count(Reason::ReassemblyTimeout), 1);
    assert_eq!(router.wan(&new[1]).verdicts, []);
    let out = router.wan(&new[0]);
    assert_eq!(plain(out.to_lan()).check_transport().payload[8..], [b'n'; 600]);
}

#[test]
fn rfc1812_5_3_1_ttl_outbound() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let (mut router, _) = opened(&Setup { fast, ..setup.clone() });
            for ttl in [0, 1] {
                let packet = udp(C, S, b"traceroute").ttl(ttl);
                let out = router.lan(from_lan(&packet));
                assert_eq!(out.verdict(), Verdict::Dropped(Reason::TtlExceeded));
                let answer = plain(out.to_lan());
                answer.check_transport();
                assert_eq!((answer.header.source, answer.header.destination), (ROUTER, CLIENT));
                assert_eq!(answer.icmp_parts(), (11, 0, 0, &packet.bytes()[..]));
            }
            let out = router.lan(from_lan(&udp(C, S, b"x").ttl(2)));
            assert_eq!(inner(out.to_wan()).header.time_to_live, 1);
        }
    }
}

#[test]
fn rfc1812_5_3_1_ttl_inbound() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let (mut router, outside) = opened(&Setup { fast, ..setup.clone() });
            let packet = udp(S, outside, b"traceroute").ttl(1);
            let out = router.wan(from_wan(&packet));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::TtlExceeded));
            let answer = inner(out.to_wan());
            answer.check_transport();
            let from = if setup.napt { OUTSIDE } else { [192, 0, 0, 2] };
            assert_eq!((answer.header.source, answer.header.destination), (from, SERVER));
            assert_eq!(answer.icmp_parts(), (11, 0, 0, &packet.bytes()[..]));
            let out = router.wan(from_wan(&udp(S, outside, b"x").ttl(2)));
            assert_eq!(plain(out.to_lan()).header.time_to_live, 1);
        }
    }
}

#[test]
fn rfc1812_4_3_2_7_some_packets_are_never_answered() {
    for setup in Setup::all() {
        let (mut router, _) = opened(&setup);
        let quote = udp(S, C, b"x").bytes();
        let error = icmp_raw(CLIENT, SERVER, 3, 3, 0, &quote).ttl(1);
        router.lan(from_lan(&error)).dropped(Reason::TtlExceeded);
        let later = udp(C, S, &bytes(2000)).fragments(1000).remove(1).ttl(1);
        router.lan(from_lan(&later)).dropped(Reason::TtlExceeded);
        // A first fragment and an echo are.
        let first = udp(C, S, &bytes(2000)).fragments(1000).remove(0).ttl(1);
        assert_eq!(plain(router.lan(from_lan(&first)).to_lan()).icmp_parts().0, 11);
        let echo = echo_request(CLIENT, SERVER, 5, b"x").ttl(1);
        assert_eq!(plain(router.lan(from_lan(&echo)).to_lan()).icmp_parts().0, 11);
        // Broadcasts are dropped for what they are.
        for broadcast in [[255; 4], [192, 168, 1, 255], [224, 0, 0, 1]] {
            let packet = udp(C, (broadcast, 9), b"x").ttl(1);
            router.lan(from_lan(&packet)).dropped(Reason::Ipv4Destination);
            let mut frame = from_lan(&udp(C, S, b"x").ttl(1));
            frame[..6].fill(0xff);
            router.lan(frame).dropped(Reason::Ipv4Destination);
        }
    }
}

#[test]
fn rfc1812_4_3_2_8_errors_are_rate_limited() {
    let (mut router, _) = opened(&Setup::ipip());
    let packet = from_lan(&udp(C, S, b"x").ttl(1));
    let out = router.play(LAN, vec![packet.clone(); 500]);
    assert_eq!(out.count(Reason::TtlExceeded), 500);
    let sent = router.event(Event::IcmpSent);
    assert_eq!(out.lan.len() as u64, sent);
    assert!((1..100).contains(&sent));
    assert_eq!(router.event(Event::IcmpLimited), 500 - sent);
    router.advance(Duration::from_secs(1));
    assert_eq!(router.lan(&packet).lan.len(), 1, "and then again");
}

#[test]
fn rfc791_a_narrow_lan_link() {
    for setup in Setup::all() {
        let (mut router, outside) = opened(&Setup { lan_mtu: 1000, ..setup.clone() });
        let packet = udp(S, outside, &bytes(1400)).df();
        let out = router.wan(from_wan(&packet));
        assert_eq!(out.verdict(), Verdict::Dropped(Reason::TooBig));
        let answer = inner(out.to_wan());
        answer.check_transport();
        assert_eq!(answer.icmp_parts(), (3, 4, 1000, &packet.bytes()[..548]));
        let out = router.wan(from_wan(&udp(S, outside, &bytes(1400))));
        assert_eq!((out.verdict(), out.lan.len()), (Verdict::Inbound, 2));
        let whole = joined4(&out.lan.iter().map(|f| plain(f)).collect::<Vec<_>>());
        whole.check_transport();
        assert_eq!((whole.dst(), &whole.payload[8..]), (C, &bytes(1400)[..]));
        assert_eq!(router.event(Event::Fragmented), 1);
    }
}

#[test]
fn rfc7126_options_pass_but_for_source_routes() {
    for setup in Setup::all() {
        let (mut router, outside) = opened(&setup);
        for options in [&[1, 1, 1, 0][..], &[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[148, 4, 0, 0], &[1; 40]] {
            let packet = udp(C, S, b"options").options(options);
            let out = router.lan(from_lan(&packet));
            let sent = inner(out.to_wan());
            sent.check_transport();
            assert_eq!(&sent.header.options[..], options);
            let out = router.wan(from_wan(&udp(S, outside, b"options").options(options)));
            assert_eq!(&plain(out.to_lan()).check_transport().header.options[..], options);
        }
        for options in [
            &[131, 7, 4, 1, 2, 3, 4, 0][..],
            &[1, 137, 7, 4, 1, 2, 3, 4],
            &[7, 0, 0, 0],
            &[68, 1, 0, 0],
            &[7, 40, 4, 0],
        ] {
            router.lan(from_lan(&udp(C, S, b"x").options(options))).dropped(Reason::Ipv4Option);

            router.wan(from_wan(&udp(S, outside, b"x").options(options))).dropped(Reason::Ipv4Option);
        }
    }
}

#[test]
fn rfc4861_unknown_stations() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let mut router = Router::new(&Setup { next_hop: false, fast, ..setup.clone() });
            assert_eq!(router.lan(from_lan(&udp(C, S, b"x"))).verdict(), Verdict::Punted);
            let waiting = router.punted().expect("a packet for a next hop to be found out");
            assert!(waiting.unresolved && waiting.link == WAN);
            let mut known = Router::new(&Setup { fast, ..setup.clone() });
            let sent = known.lan(from_lan(&udp(C, S, b"x"))).to_wan().to_vec();
            assert_eq!(waiting.frame()[..6], [0; 6]);
            assert_eq!(without_label(&waiting.frame()[6..]), without_label(&sent[6..]));
            // Nothing waits in pieces.
            router.lan(from_lan(&udp(C, S, &bytes(1472)))).dropped(Reason::NoNeighbour);
            let stranger = ([192, 168, 1, 99], 5000);
            let mut router = Router::new(&Setup { fast, ..setup.clone() });
            let sent = inner(router.lan(from_lan(&udp(stranger, S, b"x"))).to_wan());
            assert_eq!(router.wan(from_wan(&udp(S, sent.src(), b"x"))).verdict(), Verdict::Punted);
            let waiting = router.punted().expect("a packet for a host to be found out");
            assert!(waiting.unresolved && waiting.link == LAN);
            assert_eq!(waiting.frame()[..6], [0; 6]);
            assert_eq!(waiting.frame()[30..34], stranger.0);
            // A scan of the LAN leaves room for what is the control thread's own.
            let scan = (0..200).map(|_| router.wan(from_wan(&udp(S, sent.src(), b"x"))).verdict());
            let verdicts: Vec<_> = scan.collect();
            assert!(verdicts.contains(&Verdict::Punted) && verdicts.contains(&Reason::NoNeighbour.into()));
        }
    }
}

/// Nothing is sent from an address that ended, whoever stands still meanwhile: the host is told.
#[test]
fn rfc4862_5_5_4_nothing_leaves_from_an_end_that_ended() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let until = Time(1_000_000_000) + Duration::from_secs(30);
            let mut router =
                Router::with(&Setup { fast, ..setup.clone() }, |snapshot| snapshot.softwires[0].until = until);
            for (wait, verdict) in [(29, Verdict::Outbound), (2, Reason::SoftwireEnded.into())] {
                router.wait(wait);
                let out = router.lan(from_lan(&udp(C, S, b"x")));
                assert_eq!((out.verdict(), out.wan.len()), (verdict, usize::from(verdict == Verdict::Outbound)));
                assert_eq!(out.lan.is_empty(), verdict == Verdict::Outbound, "ICMP network unreachable");
            }
        }
    }
}

/// A frame from its sixth byte on, its flow label and what it is made from (ports of a NAPT) zero.
fn without_label(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[8..12].fill(0);
    frame
}
