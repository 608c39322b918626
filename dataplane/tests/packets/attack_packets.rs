//! Packets made to harm, among those of 1,000 transfers, which lose nothing (docs/security.md).

use std::time::Duration;

use crate::common::transfers::{TRANSFERS, Transfers};
use crate::common::*;
use etherparse::Ipv6Header;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_ring::LinkId;

/// Frames of an attack.
const MANY: usize = 1500;

fn transfers() -> Transfers {
    Transfers::new(Router::new(&Setup { sessions: 4096, slots: 4096, ..Setup::ipip() }))
}

/// Address and port of an enemy outside.
fn stranger(n: usize) -> End {
    let [a, b, c, d] = (0x0b00_0000 + n as u32 * 7919).to_be_bytes();
    ([a, b, c, d], 1024 + n as u16)
}

/// All of them end so, and nothing leaves because of them but `answers` ICMP errors.
#[track_caller]
fn all_end(side: LinkId, frames: &[Vec<u8>], verdict: impl Into<Verdict>, answers: usize) {
    let mut line = transfers();
    let out = line.among(side, frames);
    let verdict = verdict.into();
    assert_eq!(out.verdicts, [(verdict, frames.len() as u64)]);
    assert_eq!((out.lan.len(), out.wan.len()), if side == LAN { (answers, 0) } else { (0, answers) });
    assert_eq!(line.router.sessions(), TRANSFERS as u32);
    assert_eq!(line.router.held(), 0);
}

fn inside(packet: impl Fn(usize) -> Packet) -> Vec<Vec<u8>> {
    (0..MANY).map(|n| from_lan(&packet(n))).collect()
}

fn outside(packet: impl Fn(usize) -> Packet) -> Vec<Vec<u8>> {
    (0..MANY).map(|n| from_wan(&packet(n))).collect()
}

#[test]
fn tunnel_packets_of_others_than_the_border_router() {
    let frame = |n: usize| {
        let bytes = udp(stranger(n), (OUTSIDE, 20_001), &[0]).bytes();
        let mut source = BR.octets();
        // The border router's ends in 1.
        source[8..16].copy_from_slice(&(n as u64).to_be_bytes());
        let fragment = [4, 0, 0, 1, 0, 0, n as u8, (n >> 8) as u8];
        let (next, payload) =
            if n.is_multiple_of(2) { (4, bytes) } else { (44, [&fragment[..], &bytes[..24]].concat()) };
        ipv6(&Ipv6Header { source, ..outer(payload.len(), next) }, &payload)
    };
    all_end(WAN, &(2..MANY + 2).map(frame).collect::<Vec<_>>(), Reason::TunnelSource, 0);
}

#[test]
fn tunnel_packets_to_the_router_to_hosts_and_to_martians() {
    // A port that is in use, and one that nobody has.
    for port in [20_001, 9] {
        for dst in [ROUTER, CLIENT, [192, 168, 1, 255], [10, 0, 0, 1]] {
            all_end(WAN, &outside(|n| udp(stranger(n), (dst, port), &[0])), Reason::NaptNoSession, 0);
        }
        for dst in [[127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [0; 4]] {
            all_end(WAN, &outside(|n| udp(stranger(n), (dst, port), &[0])), Reason::Ipv4Destination, 0);
        }
    }
}

#[test]
fn tunnel_packets_in_our_own_name() {
    for (src, port) in
        [OUTSIDE, [127, 0, 0, 1], [224, 0, 0, 1], [0; 4]].into_iter().flat_map(|src| [(src, 20_001), (src, 9)])
    {
        all_end(WAN, &outside(|n| udp((src, n as u16), (OUTSIDE, port), &[0])), Reason::Ipv4Source, 0);
    }
}

#[test]
fn packets_of_lan_hosts_in_the_name_of_others() {
    for src in [SERVER, OUTSIDE, ROUTER, [127, 0, 0, 1], [0; 4]] {
        all_end(LAN, &inside(|n| udp((src, n as u16), stranger(n), &[0])), Reason::Ipv4Source, 0);
    }
}

#[test]
fn ttl_0_and_1_from_both_sides_are_answered_to_a_limit() {
    for ttl in [0, 1] {
        all_end(LAN, &inside(|n| udp((CLIENT, 1), stranger(n), &[0]).ttl(ttl)), Reason::TtlExceeded, 50);
        // A stranger learns nothing.
        all_end(WAN, &outside(|n| udp(stranger(n), (OUTSIDE, 1024 + n as u16), &[0]).ttl(ttl)), Reason::TtlExceeded, 0);
        // Whoever was sent to is told, to the limit.
        let mut line = transfers();
        line.router.lan(from_lan(&udp((CLIENT, 7777), (SERVER, 7777), b"asked")));
        let end = (OUTSIDE, 7777);
        let out = line.among(WAN, &outside(|_| udp((SERVER, 7777), end, &[0]).ttl(ttl)));
        assert_eq!(out.verdicts, [(Verdict::Dropped(Reason::TtlExceeded), MANY as u64)]);
        assert_eq!((out.lan.len(), out.wan.len()), (0, 50));
        assert_eq!(line.router.event(Event::IcmpLimited), MANY as u64 - 50);
        // The limit is a rate: a second later 50 more, and not what a second would be worth.
        line.router.advance(Duration::from_secs(1));
        let out = line.among(WAN, &outside(|_| udp((SERVER, 7777), end, &[0]).ttl(ttl)));
        assert_eq!((out.lan.len(), out.wan.len()), (0, 50));
    }
}

#[test]
fn land() {
    for addr in [CLIENT, [192, 168, 1, 77], ROUTER, OUTSIDE] {
        let frames = inside(|n| tcp((addr, n as u16 + 1), (addr, n as u16 + 1), SYN, &[]));
        all_end(LAN, &frames, Reason::Ipv4Source, 0);
    }
    for addr in [OUTSIDE, CLIENT, ROUTER] {
        let frames = outside(|n| tcp((addr, n as u16 + 1), (addr, n as u16 + 1), SYN, &[]));
        all_end(WAN, &frames, Reason::Ipv4Source, 0);
    }
}

#[test]
fn icmp_errors_about_what_was_never_sent() {
    let about = |n: usize| udp((OUTSIDE, 1024 + n as u16), stranger(n), &[0]);
    let frames = outside(|n| icmp_raw(stranger(n).0, OUTSIDE, 3, 4, 576, &about(n).bytes()));
    all_end(WAN, &frames, Reason::NaptIcmpError, 0);
    // About the tunnel itself.
    let quote = |n: usize| {
        let bytes = about(n).bytes();
        let sent = Ipv6Header { source: CE.octets(), destination: BR.octets(), ..outer(bytes.len(), 4) };
        [&sent.to_bytes()[..], &bytes].concat()
    };
    for (kind, word) in [(2, 1280), (1, 0), (3, 0), (4, 0)] {
        let frames: Vec<_> = (0..MANY).map(|n| icmpv6(BR, kind, 0, word, &quote(n))).collect();
        all_end(WAN, &frames, Reason::TunnelIcmpForged, 0);
    }
}

#[test]
fn echo_requests_from_everywhere() {
    all_end(WAN, &outside(|n| echo_request(stranger(n).0, OUTSIDE, n as u16, &[0])), Reason::NaptNoSession, 0);
    // From inside they are for control, which has fallen asleep: a host has its share, and the path goes on.
    let mut line = transfers();
    let out = line.among(LAN, &inside(|n| echo_request(CLIENT, ROUTER, n as u16, &[0])));
    assert_eq!((out.count(Verdict::Punted), out.count(Reason::PuntFull)), (32, MANY as u64 - 32));
    assert_eq!(std::iter::from_fn(|| line.router.punted()).count(), 32);
}

#[test]
fn later_fragments_whose_first_one_never_comes() {
    let piece = |src: End, dst: End, n: usize| udp(src, dst, &bytes(2000)).id(n as u16).fragments(1000)[1].clone();
    let sides = [
        (LAN, inside(|n| piece((CLIENT, 1), stranger(n), n))),
        (WAN, outside(|n| piece(stranger(n), (OUTSIDE, 20_001), n))),
    ];
    for (side, frames) in sides {
        let mut line = transfers();
        let out = line.among(side, &frames);
        assert_eq!(out.verdicts, [(Verdict::Dropped(Reason::NaptFragment), MANY as u64 - 64)]);
        assert_eq!(line.router.held(), 64, "so many wait, and no more");
        // A packet whose first fragment comes first does not have to wait, even now.
        let good = udp((CLIENT, 20_001), ([203, 0, 113, 2], 443), &bytes(2000)).id(0x7777);
        let out = line.among(LAN, &good.fragments(1000).iter().map(from_lan).collect::<Vec<_>>());
        assert_eq!(out.verdicts, [(Verdict::Outbound, 3)]);
        // One whose last comes first finds no room to wait until the others' time is over.
        let reversed: Vec<_> = good.clone().id(0x7778).fragments(1000).iter().rev().map(from_lan).collect();
        assert_eq!(line.among(LAN, &reversed).count(Reason::NaptFragment), 2);
        line.router.advance(Duration::from_secs(2));
        assert_eq!(line.among(LAN, &[]).verdicts, [(Verdict::Dropped(Reason::NaptFragment), 64)]);
        assert_eq!(line.router.held(), 0);
        let again: Vec<_> = good.id(0x7779).fragments(1000).iter().rev().map(from_lan).collect();
        assert_eq!(line.among(LAN, &again).verdicts, [(Verdict::Outbound, 3)]);
    }
}

/// The tunnel's own fragments, in the border router's name.
#[test]
fn pieces_of_tunnel_packets_whose_rest_never_comes() {
    let bytes = udp(stranger(0), (OUTSIDE, 20_001), &bytes(100)).bytes();
    let forged = |count: u32, first: u32| -> Vec<_> {
        (first..first + count).map(|id| from_wan_piece(&bytes[..64], 0, true, id)).collect()
    };
    let mut line = transfers();
    let out = line.among(WAN, &forged(MANY as u32, 0));
    // The oldest makes room: 256 are held.
    assert_eq!(out.verdicts, [(Verdict::Dropped(Reason::ReassemblyFull), MANY as u64 - 256)]);
    assert_eq!(line.router.held(), 256);
    // An honest packet's pieces come one behind the other, or with others between: fewer than there are places for
    // do not harm it.
    let peer = ([203, 0, 113, 2], 443);
    let honest = |id| from_wan_pieces(&udp(peer, (OUTSIDE, 20_001), &crate::common::bytes(1400)), 800, id);
    for between in [0, 100, 255] {
        let [a, b] = honest(0x8000_0000 + between).try_into().unwrap();
        let frames = [&[a][..], &forged(between, 10_000 + 1000 * between), &[b]].concat();
        let out = line.among(WAN, &frames);
        assert_eq!((out.count(Verdict::Inbound), out.count(Verdict::Reassembled)), (1, 1), "{between}");
    }
    // With as many between them as there are places, it is lost: the limit of this.
    let [a, b] = honest(0x8000_0100).try_into().unwrap();
    let frames = [&[a][..], &forged(256, 900_000), &[b]].concat();
    assert_eq!(line.among(WAN, &frames).count(Verdict::Inbound), 0);
    line.router.advance(Duration::from_secs(2));
    assert_eq!(line.among(WAN, &[]).verdicts, [(Verdict::Dropped(Reason::ReassemblyTimeout), 256)]);
    assert_eq!(line.router.held(), 0);
}

/// What no packet of a line is.
#[test]
fn nonsense() {
    let mut x = 1u64;
    let mut random = || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (x >> 33) as usize
    };
    for side in [LAN, WAN] {
        let whole = if side == LAN {
            from_lan(&udp((CLIENT, 1), (SERVER, 1), &bytes(60)))
        } else {
            from_wan(&udp((SERVER, 1), (OUTSIDE, 1), &bytes(60)))
        };
        // Any bytes behind a right Ethernet header.
        let frames: Vec<_> = (0..MANY)
            .map(|n| {
                let len = 14 + random() % 90;
                (0..len)
                    .map(|at| {
                        if at < 14 {
                            whole[at]
                        } else if n % 2 == 0 {
                            random() as u8
                        } else {
                            0xff
                        }
                    })
                    .collect()
            })
            .collect();
        let mut line = transfers();
        let out = line.among(side, &frames);
        let dropped: u64 = out.verdicts.iter().filter(|(v, _)| matches!(v, Verdict::Dropped(_))).map(|(_, n)| n).sum();
        assert_eq!((dropped, out.lan.len(), out.wan.len()), (MANY as u64, 0, 0), "{:?}", out.verdicts);
    }
}
