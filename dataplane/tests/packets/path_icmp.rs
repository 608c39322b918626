//! ICMPv6 errors about the tunnel (RFC 2473 8, RFC 4443, RFC 8201).

use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::snapshot::{Route, Routes, Softwire, SoftwireId};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::Prefix4;

const C: End = (CLIENT, 40000);
const D: End = (OTHER_CLIENT, 40000);
const S: End = (SERVER, 443);
/// A router on the way.
const HOP: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xaaaa, 0, 0, 0, 0, 1);

/// Sends it; answers the IPv6 packets that left, as an error would quote them.
fn quotes(router: &mut Router, packet: &Packet) -> Vec<Vec<u8>> {
    let out = router.lan(from_lan(packet));
    assert_eq!(out.verdict(), Verdict::Outbound);
    out.wan.iter().map(|f| f[14..].to_vec()).collect()
}

fn quote(router: &mut Router, packet: &Packet) -> Vec<u8> {
    let mut quotes = quotes(router, packet);
    let mut quote = quotes.remove(0);
    quote.truncate(1280 - 48);
    quote
}

#[test]
fn rfc2473_8_errors_about_the_tunnel_reach_the_inner_source() {
    for setup in Setup::all() {
        let mut router = Router::new(&setup);
        quote(&mut router, &udp(D, S, b"takes the port"));
        for original in [udp(C, S, &bytes(300)), tcp(C, S, ACK, b"x"), echo_request(CLIENT, SERVER, 5, b"x")] {
            let quote = quote(&mut router, &original);
            for (kind, code) in [(1, 0), (1, 1), (1, 3), (1, 4), (1, 5), (1, 6), (3, 0), (4, 0), (4, 1), (4, 2)] {
                let out = router.wan(icmpv6(HOP, kind, code, 0, &quote));
                assert_eq!(out.verdict(), Verdict::Dropped(Reason::TunnelIcmp));
                let got = plain(out.to_lan());
                got.check_transport();
                assert_eq!((got.header.source, got.header.destination), (ROUTER, CLIENT));
                let (kind, code, word, back) = got.icmp_parts();
                assert_eq!((kind, code, word), (3, 1, 0));
                let expected = original.clone().ttl(63).bytes();
                assert_eq!(back, &expected[..back.len()]);
                assert!(back.len() >= 28);
                router.advance(Duration::from_secs(1));
            }
            // Reassembly took too long at the far end: nothing to tell.
            router.wan(icmpv6(HOP, 3, 1, 0, &quote)).dropped(Reason::TunnelIcmp);
        }
    }
}

#[test]
fn rfc8201_a_smaller_path_mtu_is_learned_told_and_forgotten() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            let original = udp(C, S, &bytes(1432)).df();
            let quote = quote(&mut router, &original);
            let out = router.wan(icmpv6(HOP, 2, 0, 1400, &quote));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::TunnelIcmp));
            let got = plain(out.to_lan());
            got.check_transport();
            let (kind, code, word, back) = got.icmp_parts();
            assert_eq!((kind, code, word), (3, 4, 1360));
            assert_eq!(back, &original.clone().ttl(63).bytes()[..back.len()]);
            assert_eq!(router.event(Event::PathMtuLearned), 1);

            // From now on the answer is ours.
            let out = router.lan(from_lan(&udp(C, S, &bytes(1333)).df()));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::TooBig));
            assert_eq!(plain(out.to_lan()).icmp_parts().2, 1360);
            let out = router.lan(from_lan(&udp(C, S, &bytes(1332)).df()));
            assert_eq!(out.to_wan().len(), 1414);
            let out = router.lan(from_lan(&udp(C, S, &bytes(1432))));
            assert_eq!((out.verdict(), out.wan.len()), (Verdict::Outbound, 2));
            assert!(out.wan.iter().all(|f| f.len() <= 1414));

            // It never rises by being told, and is forgotten after ten minutes.
            router.wan(icmpv6(HOP, 2, 0, 1500, &quote));
            router.advance(Duration::from_secs(500));
            let out = router.lan(from_lan(&original));
            assert_eq!(out.verdict(), Verdict::Dropped(Reason::TooBig));
            router.advance(Duration::from_secs(101));
            assert_eq!(router.lan(from_lan(&original)).verdict(), Verdict::Outbound);
        }
    }
}

#[test]
fn rfc8201_4_never_below_1280() {
    for told in [0, 68, 1279, 1280] {
        let mut router = Router::new(&Setup::ipip());
        let quote = quote(&mut router, &udp(C, S, &bytes(1432)).df());
        router.wan(icmpv6(HOP, 2, 0, told, &quote));
        assert_eq!(router.event(Event::PathMtuLearned), u64::from(told == 1280));
        let out = router.lan(from_lan(&udp(C, S, &bytes(1212)).df()));
        assert_eq!(out.verdict(), Verdict::Outbound, "1240 bytes always pass: {told}");
        let out = router.lan(from_lan(&udp(C, S, &bytes(1213)).df()));
        assert_eq!(out.count(Verdict::Outbound), u64::from(told != 1280), "less is discarded: {told}");
    }
}

#[test]
fn rfc6333_5_3_where_the_tunnel_fragments_the_host_is_not_told() {
    for setup in Setup::all() {
        let mut router = Router::new(&Setup { mtu: MtuMode::Fragment { mtu: 1500 }, wan_mtu: 1540, ..setup });
        let original = udp(C, S, &bytes(1472)).df();
        let quote = quote(&mut router, &original);
        router.wan(icmpv6(HOP, 2, 0, 1400, &quote)).dropped(Reason::TunnelIcmp);
        let out = router.lan(from_lan(&original));
        assert_eq!(out.wan.len(), 2);
        assert!(out.wan.iter().all(|f| f.len() <= 1414));
        joined(&out.wan).check_transport();
        // An error about the first piece is about the packet; about the second it shows nothing.
        let first: Vec<_> = out.wan.iter().map(|f| f[14..].to_vec()).collect();
        let out = router.wan(icmpv6(HOP, 1, 0, 0, &first[0][..1232]));
        assert_eq!(plain(out.to_lan()).icmp_parts().0, 3);
        router.wan(icmpv6(HOP, 1, 0, 0, &first[1])).dropped(Reason::TunnelIcmp);
    }
}

#[test]
fn rfc8201_4_forged_errors_change_nothing() {
    for setup in Setup::all() {
        let mut router = Router::new(&setup);
        let original = udp(C, S, &bytes(1432)).df();
        let good = quote(&mut router, &original);
        let mut forge = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut quote = good.clone();
            change(&mut quote);
            for (kind, word) in [(2, 1280), (1, 0)] {
                let out = router.wan(icmpv6(HOP, kind, 0, word, &quote));
                assert!(out.lan.is_empty() && out.wan.is_empty());
                assert_eq!(out.verdict(), Verdict::Dropped(Reason::TunnelIcmpForged));
            }
        };
        forge(&|q| q[8] ^= 1); // our address
        forge(&|q| q[24] ^= 1); // the border router's
        forge(&|q| q[6] = 41);
        forge(&|q| q[0] = 0x40);
        forge(&|q| q.truncate(39));
        forge(&|q| q.clear());

        // Inner addresses, checksum adjusted: no session, not of our LAN.
        let inner = |src: End, dst: End| {
            let bytes = udp(src, dst, &bytes(1180)).df().bytes();
            move |q: &mut Vec<u8>| q[40..40 + bytes.len().min(1192)].copy_from_slice(&bytes[..bytes.len().min(1192)])
        };
        forge(&inner(([203, 0, 113, 99], 1), S));
        if setup.napt {
            forge(&|q| q[50] ^= 1); // inner checksum
            forge(&inner((OUTSIDE, 40001), S));
            forge(&inner((OUTSIDE, 40000), (SERVER, 444)));
            forge(&inner(C, S));
        }
        assert_eq!(router.event(Event::PathMtuLearned), 0);
        assert_eq!(router.lan(from_lan(&original)).verdict(), Verdict::Outbound);
        // A wrong checksum.
        let mut frame = icmpv6(HOP, 2, 0, 1280, &good);
        frame[56] ^= 1;
        router.wan(frame).dropped(Reason::TransportHeader);
        assert_eq!(router.event(Event::PathMtuLearned), 0);
    }
}

#[test]
fn rfc1122_3_2_2_no_error_about_an_error() {
    for setup in Setup::all() {
        let mut router = Router::new(&setup);
        let opened = &quotes(&mut router, &udp(C, S, b"x"))[0];
        let source = if setup.napt { OUTSIDE } else { CLIENT };
        let _ = opened;
        let got = udp(S, C, b"y").bytes();
        let error = icmp_raw(CLIENT, SERVER, 3, 3, 0, &got);
        let quote = quote(&mut router, &error);
        assert_eq!(quote[52..56], source);
        router.wan(icmpv6(HOP, 1, 0, 0, &quote)).dropped(Reason::TunnelIcmp);
    }
}

#[test]
fn relayed_errors_are_rate_limited() {
    let mut router = Router::new(&Setup::ipip());
    let quote = quote(&mut router, &udp(C, S, &bytes(300)));
    let out = router.play(WAN, vec![icmpv6(HOP, 1, 0, 0, &quote); 300]);
    assert_eq!(out.count(Reason::TunnelIcmp), 300);
    assert!((1..100).contains(&out.lan.len()));
    assert_eq!(out.lan.len() as u64, router.event(Event::IcmpSent));
}

#[test]
fn rfc8201_4_nothing_of_ours_was_too_big_for_that() {
    for setup in Setup::all() {
        let mut router = Router::new(&setup);
        let large = quote(&mut router, &udp(C, S, &bytes(1432)).df());
        let small = quote(&mut router, &udp(C, S, &bytes(1200)).df());
        let told = |router: &mut Router, from, told, quote: &[u8]| {
            let out = router.wan(icmpv6(from, 2, 0, told, quote));
            out.dropped(Reason::TunnelIcmpForged);
            assert_eq!(router.event(Event::PathMtuLearned), 0);
        };
        // As large as the packet, or larger; less than any link carries.
        for mtu in [1500, 1501, 9000, u32::MAX, 1279, 68, 0] {
            told(&mut router, HOP, mtu, &large);
        }
        // A packet of 1268 bytes fits everywhere, whatever its quote says of its length.
        told(&mut router, HOP, 1280, &small);
        for (len, is_ours) in [(9000u16, false), (1461, false), (1460, true)] {
            let mut quote = small.clone();
            quote[4..6].copy_from_slice(&len.to_be_bytes());
            match is_ours {
                false => told(&mut router, HOP, 1400, &quote),
                true => assert_eq!(router.wan(icmpv6(HOP, 2, 0, 1499, &quote)).verdict(), Reason::TunnelIcmp.into()),
            }
        }
        assert_eq!(router.event(Event::PathMtuLearned), 1);
    }
}

#[test]
fn rfc4443_2_2_no_group_and_nobody_sends_an_error() {
    for setup in Setup::all() {
        let mut router = Router::new(&setup);
        let quote = quote(&mut router, &udp(C, S, &bytes(1432)).df());
        for from in ["ff02::1", "ff0e::1", "::"] {
            for (kind, word) in [(2, 1280), (1, 0), (3, 0)] {
                router.wan(icmpv6(from.parse().unwrap(), kind, 0, word, &quote)).dropped(Reason::TunnelIcmpForged);
            }
        }
        assert_eq!(router.event(Event::PathMtuLearned), 0);
    }
}

#[test]
fn rfc4443_2_4_c_no_error_is_longer_than_1280_bytes() {
    let mut router = Router::new(&Setup::ipip());
    let quoted = quotes(&mut router, &udp(C, S, &bytes(1300)).df()).remove(0);
    // Of a longer one the checksum covers what is not looked at.
    router.wan(icmpv6(HOP, 2, 0, 1280, &quoted)).dropped(Reason::TransportHeader);
    let out = router.wan(icmpv6(HOP, 2, 0, 1280, &quoted[..1232]));
    assert_eq!(out.verdict(), Reason::TunnelIcmp.into());
}

#[test]
fn rfc8201_5_2_each_far_end_has_an_mtu_of_its_own() {
    const OTHER_BR: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 2);
    let there = ([198, 51, 100, 7], 443);
    let mut router = Router::with(&Setup::dslite(), |snapshot| {
        let other = Softwire { remote: OTHER_BR.into(), state: Default::default(), ..snapshot.softwires[0].clone() };
        snapshot.softwires.push(other);
        let lan: Prefix4 = "192.168.1.0/24".parse().unwrap();
        snapshot.routes = Routes::new([
            (lan, Route::Link(LAN)),
            (Prefix4::ALL, Route::Softwire(SoftwireId(0))),
            ("198.51.100.0/24".parse().unwrap(), Route::Softwire(SoftwireId(1))),
        ]);
    });
    let sizes = |router: &mut Router| {
        [S, there].map(|to| {
            let out = router.lan(from_lan(&udp(C, to, &bytes(1432)).df()));
            router.advance(Duration::from_secs(1));
            (out.wan.len(), out.lan.first().map(|frame| plain(frame).icmp_parts().2))
        })
    };
    assert_eq!(sizes(&mut router), [(1, None), (1, None)]);
    let quote = quote(&mut router, &udp(C, S, &bytes(1432)).df());
    router.wan(icmpv6(HOP, 2, 0, 1400, &quote));
    assert_eq!(sizes(&mut router), [(0, Some(1360)), (1, None)]);
    assert_eq!(router.event(Event::PathMtuLearned), 1);
}

#[test]
fn rfc8201_4_forgotten_after_ten_minutes_whoever_says_it_again() {
    let mut router = Router::new(&Setup::dslite());
    let original = udp(C, S, &bytes(1432)).df();
    let quote = quote(&mut router, &original);
    router.wan(icmpv6(HOP, 2, 0, 1400, &quote));
    // Told again it is no news: an estimate is never made to last.
    router.advance(Duration::from_secs(599));
    router.wan(icmpv6(HOP, 2, 0, 1400, &quote));
    assert_eq!(router.lan(from_lan(&original)).verdict(), Reason::TooBig.into());
    router.advance(Duration::from_secs(1));
    assert_eq!(router.lan(from_lan(&original)).verdict(), Verdict::Outbound);
    // And then it may be learned once more.
    router.wan(icmpv6(HOP, 2, 0, 1400, &quote));
    assert_eq!(router.event(Event::PathMtuLearned), 2);
    assert_eq!(router.lan(from_lan(&original)).verdict(), Reason::TooBig.into());
}
