//! Floods of sessions, from inside and from outside, while 1,000 transfers lose nothing (docs/security.md).

use std::time::Duration;

use crate::common::transfers::{TRANSFERS, Transfers};
use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::napt::{Filtering, Forward, LanId};
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::{PortSet, protocol};

const TABLE: u32 = 4096;

fn transfers(change: impl FnOnce(&mut Setup)) -> Transfers {
    let mut setup = Setup { sessions: TABLE, slots: 4096, ..Setup::ipip() };
    change(&mut setup);
    Transfers::new(Router::new(&setup))
}

/// Address and port of an enemy outside, or of a target of one inside.
fn stranger(n: u32) -> End {
    let [a, b, c, d] = (0x0b00_0000 + n.wrapping_mul(0x9e37_79b1) % 0x4000_0000).to_be_bytes();
    ([a, b, c, d], 1024 + (n % 60_000) as u16)
}

/// From inside, all new: they fill what is left of the table, and then they are refused.
fn flood_inside(packet: impl Fn(End, End) -> Packet) {
    let mut line = transfers(|_| ());
    let room = u64::from(TABLE) - TRANSFERS as u64;
    let answered = line.router.event(Event::IcmpSent);
    let (mut opened, mut refused) = (0, 0);
    for round in 0..4 {
        let frames: Vec<_> = (0..1500u32)
            .map(|n| (round * 1500 + n, 40_000 + n as u16))
            .map(|(n, port)| from_lan(&packet((CLIENT, port), stranger(n))))
            .collect();
        let out = line.among(LAN, &frames);
        opened += out.count(Verdict::Outbound);
        refused += out.count(Reason::NaptTableFull);
        assert_eq!(out.count(Verdict::Outbound) + out.count(Reason::NaptTableFull), 1500);
        assert_eq!(out.wan.len() as u64, out.count(Verdict::Outbound));
    }
    assert_eq!((opened, refused), (room, 6000 - room));
    assert_eq!(line.router.sessions(), TABLE);
    // No time has passed: a burst of answers, and no more.
    assert_eq!(line.router.event(Event::IcmpSent) - answered, 50);
    assert_eq!(line.router.event(Event::IcmpLimited), refused - 50);
}

#[test]
fn a_syn_flood_from_inside_fills_the_table_and_ends_no_session() {
    flood_inside(|from, to| tcp(from, to, SYN, &[]));
}

#[test]
fn a_udp_spray_from_inside_fills_the_table_and_ends_no_session() {
    flood_inside(|from, to| udp(from, to, &[0]));
}

/// From outside, half of it to ports that transfers have: nothing opens. A static mapping near them changes nothing.
fn flood_outside(packet: impl Fn(End, End) -> Packet) {
    let forward = |protocol| Forward {
        protocol,
        outside: (21_400, 21_400),
        lan: LanId::default(),
        inside: OTHER_CLIENT.into(),
        inside_port: 80,
    };
    for forwards in [vec![], vec![forward(protocol::TCP), forward(protocol::UDP)]] {
        flood_outside_of(transfers(|setup| setup.forwards = forwards), &packet);
    }
}

fn flood_outside_of(mut line: Transfers, packet: &impl Fn(End, End) -> Packet) {
    let to = |n: u32| {
        (OUTSIDE, if n.is_multiple_of(2) { 20_000 + (n / 2 % 1000) as u16 } else { 1024 + (n % 10_000) as u16 })
    };
    for round in 0..3 {
        let frames: Vec<_> = (0..1500).map(|n| from_wan(&packet(stranger(round * 1500 + n), to(n)))).collect();
        let out = line.among(WAN, &frames);
        assert_eq!(out.count(Reason::NaptNoSession) + out.count(Reason::NaptFiltered), 1500, "{:?}", out.verdicts);
        // Half of the ports that were hit have a mapping of this protocol.
        assert!(out.count(Reason::NaptFiltered) >= 375, "{:?}", out.verdicts);
        assert!(out.lan.is_empty() && out.wan.is_empty(), "an answer to a stranger");
    }
    assert_eq!(line.router.sessions(), TRANSFERS as u32);
}

#[test]
fn a_syn_flood_from_outside_opens_nothing() {
    flood_outside(|from, to| tcp(from, to, SYN, &[]));
}

#[test]
fn a_udp_spray_from_outside_opens_nothing() {
    flood_outside(|from, to| udp(from, to, &[0]));
}

#[test]
fn where_anybody_may_send_strangers_do_not_get_the_last_quarter() {
    let mut line = transfers(|setup| setup.filtering = Filtering::EndpointIndependent);
    let mut opened = 0;
    for round in 0..4 {
        // To the port of a transfer that is UDP.
        let frames: Vec<_> =
            (0..1500).map(|n| from_wan(&udp(stranger(round * 1500 + n), (OUTSIDE, 20_001), &[0]))).collect();
        let out = line.among(WAN, &frames);
        opened += out.count(Verdict::Inbound);
        assert_eq!(out.count(Verdict::Inbound) + out.count(Reason::NaptTableFull), 1500, "{:?}", out.verdicts);
    }
    assert_eq!(opened, u64::from(TABLE) * 3 / 4 - TRANSFERS as u64);
    let own = line.router.lan(from_lan(&udp((CLIENT, 5000), ([198, 51, 100, 1], 443), &[0])));
    assert_eq!(own.verdict(), Verdict::Outbound);
}

#[test]
fn one_host_that_opens_without_end_has_its_share_and_others_theirs() {
    const SHARE: u32 = 1024;
    let mut line = transfers(|setup| setup.per_host = Some(SHARE));
    // 666 of the transfers are this host's.
    let has = (0..TRANSFERS as u32).filter(|n| n % 3 != 0).count() as u64;
    let frames: Vec<_> = (0..1500).map(|n| from_lan(&udp((CLIENT, 40_000 + n as u16), stranger(n), &[0]))).collect();
    let out = line.among(LAN, &frames);
    assert_eq!(out.count(Verdict::Outbound), u64::from(SHARE) - has);
    assert_eq!(out.count(Reason::NaptHostLimit), 1500 + has - u64::from(SHARE));
    for n in 0..400 {
        let out = line.router.lan(from_lan(&udp((OTHER_CLIENT, 50_000 + n), stranger(n.into()), &[0])));
        assert_eq!(out.verdict(), Verdict::Outbound, "{n}");
    }
}

#[test]
fn a_host_that_wants_more_ports_than_there_are_has_none_and_others_have() {
    let ports = PortSet::new(6, 6, 17).unwrap();
    let mut line = transfers(|setup| (setup.ports, setup.sessions) = (ports, 1 << 14));
    // Every port towards each of these, and then as many again.
    let servers = 8;
    let frames = |first: u16, count: u16| -> Vec<_> {
        let each = |n| (0..servers).map(move |s| from_lan(&udp((CLIENT, 1024 + n), ([198, 18, 0, s], 443), &[0])));
        (first..first + count).flat_map(each).collect()
    };
    for round in 0..8 {
        let out = line.among(LAN, &frames(round * 126, 126));
        assert_eq!(out.count(Verdict::Outbound), 1008, "{:?}", out.verdicts);
    }
    let out = line.among(LAN, &frames(1008, 200));
    assert_eq!(out.count(Reason::NaptPortsFull), 1600, "{:?}", out.verdicts);
    // Ports are shared towards whoever has other peers.
    let other = line.router.lan(from_lan(&udp((OTHER_CLIENT, 1024), ([198, 51, 100, 1], 443), &[0])));
    assert_eq!(other.verdict(), Verdict::Outbound);
}

#[test]
fn a_table_that_expires_at_once_is_cleared_a_little_at_a_time() {
    let mut line = transfers(|setup| setup.sessions = 1 << 14);
    let born = line.router.now;
    for round in 0..9 {
        let frames: Vec<_> = (0..1500u32)
            .map(|n| from_lan(&udp((CLIENT, 1024 + (n + 1500 * round) as u16), stranger(n + 1500 * round), &[0])))
            .collect();
        assert_eq!(line.among(LAN, &frames).count(Verdict::Outbound), 1500);
    }
    let doomed = 9 * 1500;
    // The transfers speak a second before the others' time is over.
    line.router.advance(Duration::from_secs(299));
    line.among(LAN, &[]);
    line.router.now = born + Duration::from_secs(302);
    assert_eq!(line.router.sessions(), doomed + TRANSFERS as u32);
    // A turn without frames ends 32 sessions at most, one with 256 frames on a side 64 more.
    let mut live = line.router.sessions();
    for _ in 0..100 {
        line.router.worker.turn(line.router.now);
        let now = line.router.sessions();
        assert!(live - now <= 32, "{} at once", live - now);
        live = now;
    }
    // Some of its looks were at the transfers, which live on.
    assert!((3200 - TRANSFERS as u32..=3200).contains(&(doomed + TRANSFERS as u32 - live)), "{live} are left");
    // With traffic, it is over soon, and the transfers do not notice.
    let mut rounds = 0;
    while line.router.sessions() > TRANSFERS as u32 {
        line.among(LAN, &[]);
        rounds += 1;
    }
    assert!((20..60).contains(&rounds), "{rounds} rounds");
    assert_eq!(line.router.sessions(), TRANSFERS as u32);
}
