//! A session table that is saved and read back: what goes on, and that no bytes can make a wrong one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use hikyaku_dataplane::napt::{
    Claim, Config, Direction, Endpoint, Filtering, Forward, Key, LanId, Napt, Restored, Saved, Session, Unreadable,
};
use hikyaku_net::packet::Tcp;
use hikyaku_net::{PortSet, Time, protocol};
use proptest::prelude::*;

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const LAN: LanId = LanId(0);
const GUESTS: LanId = LanId(9);
/// Seconds since 1970.
const WALL: u64 = 1_700_000_000;
const SHARE: (u8, u8, u16) = (4, 8, 0x34);

fn at(seconds: u64) -> Time {
    Time(seconds * 1_000_000_000)
}

fn end(addr: [u8; 4], port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::from(addr), port)
}

/// 240 ports, so that some are shared.
fn config(sessions: u32) -> Config {
    let (offset, length, psid) = SHARE;
    Config {
        ports: PortSet::new(offset, length, psid).unwrap(),
        sessions,
        filtering: Filtering::EndpointIndependent,
        per_host: Some(900),
        huge_pages: false,
        forwards: vec![forward()],
        ..Config::new(OUTSIDE)
    }
}

fn forward() -> Forward {
    Forward {
        protocol: protocol::TCP,
        outside: (0x1340, 0x1340),
        lan: GUESTS,
        inside: [10, 0, 0, 9].into(),
        inside_port: 80,
    }
}

/// Mappings and sessions that share ports, of two LANs and all protocols, connections in all states, some long idle.
fn busy() -> Napt {
    let napt = Napt::new(&config(1024)).unwrap();
    let server = end([203, 0, 113, 80], 443);
    for i in 0..250u16 {
        let lan = if i % 3 == 0 { GUESTS } else { LAN };
        let inside = end([10, 0, 0, (i % 5) as u8 + 1], 40_000 + i);
        let now = at(900 + u64::from(i) / 5);
        let _ = napt.create_outbound(lan, protocol::TCP, inside, server, Tcp::SYN, now);
        for n in 0..2 {
            let other = end([203, 0, 113, n], 5000);
            let _ = napt.create_outbound(lan, protocol::UDP, inside, other, 0, now);
        }
    }
    let (host, asker) = (end([10, 0, 0, 9], 80), end([203, 0, 113, 7], 1234));
    let id = napt.create_inbound(protocol::TCP, asker, end(OUTSIDE.octets(), 0x1340), Tcp::SYN, at(940)).unwrap();
    assert_eq!(napt.session(id).inside(), host);
    napt.track(napt.session(id), Direction::Outbound, Tcp::SYN | Tcp::ACK);
    napt.track(napt.session(id), Direction::Inbound, Tcp::ACK);
    (0..5).for_each(|_| napt.session(id).note(Direction::Outbound, 945, true));
    let _ = napt.create_outbound(LAN, protocol::ICMP, end([10, 0, 0, 1], 7), end([203, 0, 113, 9], 0), 0, at(944));
    let _ = napt.create_outbound(LAN, protocol::UDP, end([10, 0, 0, 1], 9), end([203, 0, 113, 9], 53), 0, at(944));
    napt
}

fn saved(napt: &Napt, now: Time) -> Vec<u8> {
    let mut bytes = Vec::new();
    napt.save(now, WALL, &mut bytes).unwrap();
    bytes
}

/// Protocol, LAN, inside and peer's end, outside end, claim, packets, what it is doing, and how long it has been idle.
type Shown = (u8, LanId, Endpoint, Endpoint, Endpoint, Claim, [u32; 2], &'static str, u32);

fn sessions(napt: &Napt, now: u32) -> Vec<Shown> {
    let mut all = Vec::new();
    let show = |s: &Session| {
        let idle = now - s.last();
        (s.protocol(), s.lan(), s.inside(), s.peer(), s.outside(), s.claim(), s.packets(), s.standing(), idle)
    };
    napt.slice(0, u32::MAX, |session| all.push(show(session)));
    all.sort_by_key(|s| format!("{s:?}"));
    all
}

/// What must hold of a table, whatever was read into it.
fn check(napt: &Napt) {
    let mut used = BTreeMap::new();
    for (protocol, lan, inside, peer, outside, claim, ..) in sessions(napt, u32::MAX) {
        let ids = [Key::outbound(lan, protocol, inside, peer), Key::inbound(protocol, peer, outside)]
            .map(|key| napt.find(&key, napt.hash(&key)).expect("it is found both ways"));
        assert_eq!(ids[0], ids[1], "two sessions look the same");
        if claim != Claim::ByAddress {
            assert!(napt.check_port(outside.port).is_ok() && napt.is_mapped(protocol, outside));
            assert_eq!(napt.refuses_strangers(protocol, outside.port), None);
            used.entry(protocol).or_insert_with(BTreeSet::new).insert(outside.port.number());
        }
    }
    for stats in napt.port_stats() {
        let forwarded: Vec<u16> =
            napt.forwards().iter().filter(|f| f.protocol == stats.protocol).map(|f| f.outside.0).collect();
        let ports = used.remove(&stats.protocol).unwrap_or_default();
        assert_eq!(stats.used as usize, ports.iter().filter(|port| !forwarded.contains(port)).count());
    }
}

#[test]
fn every_session_goes_on_as_it_was() {
    let napt = busy();
    let before = sessions(&napt, 950);
    assert!(before.iter().any(|s| s.5 == Claim::Shared) && before.iter().any(|s| s.5 == Claim::Forwarded));
    let bytes = saved(&napt, at(950));
    let saved = Saved::read(&bytes).unwrap();
    assert_eq!((saved.outside(), saved.count()), (OUTSIDE, before.len()));
    // Another process, whose clock is another, 30 seconds later; its table has another size and secret.
    let next = Napt::new(&config(2048)).unwrap();
    let restored = next.restore(&saved, at(700_000), WALL + 30);
    assert_eq!(restored, Restored { restored: before.len() as u32, expired: 0, refused: 0 });
    let later = |mut s: Shown| {
        s.8 += 30;
        s
    };
    let mut expected: Vec<Shown> = before.into_iter().map(later).collect();
    expected.sort_by_key(|s| format!("{s:?}"));
    assert_eq!(sessions(&next, 700_000), expected);
    check(&next);
    assert_eq!(next.port_stats().map(|s| (s.used, s.shared)), napt.port_stats().map(|s| (s.used, s.shared)));
    // RFC 4787 REQ-1: the next session of an inside endpoint has its mapping.
    let (inside, elsewhere) = (end([10, 0, 0, 2], 40_001), end([203, 0, 113, 200], 9));
    let port = |napt: &Napt, now| {
        let id = napt.create_outbound(LAN, protocol::UDP, inside, elsewhere, 0, now).unwrap();
        napt.session(id).outside()
    };
    assert_eq!(port(&napt, at(950)), port(&next, at(700_000)));
}

#[test]
fn time_goes_on_while_the_router_is_down() {
    let napt = Napt::new(&Config { forwards: Vec::new(), ..config(1024) }).unwrap();
    let peer = end([203, 0, 113, 80], 5000);
    for (port, last) in [(1, 0), (2, 100), (3, 290)] {
        napt.create_outbound(LAN, protocol::UDP, end([10, 0, 0, 1], port), peer, 0, at(last)).unwrap();
    }
    // RFC 4787 REQ-5: five minutes.
    let bytes = saved(&napt, at(295));
    let restored = |down: u64| {
        let next = Napt::new(&Config { forwards: Vec::new(), ..config(1024) }).unwrap();
        let done = next.restore(&Saved::read(&bytes).unwrap(), at(604_800), WALL.wrapping_add(down));
        (next, done)
    };
    assert_eq!(restored(5).1, Restored { restored: 3, expired: 0, refused: 0 });
    assert_eq!(restored(6).1, Restored { restored: 2, expired: 1, refused: 0 });
    assert_eq!(restored(10_000).1, Restored { restored: 0, expired: 3, refused: 0 });
    // A clock that was set back says nothing: as if no time had passed.
    assert_eq!(restored(0u64.wrapping_sub(1_000)).1.restored, 3);
    let (next, _) = restored(6);
    // Idle for 201 and 11 seconds by then: they have 99 and 289 left.
    for (after, left) in [(99, 2), (101, 1), (288, 1), (291, 0)] {
        (0..300).for_each(|_| _ = next.age(at(604_800 + after), 64));
        assert_eq!(next.stats().live, left, "after {after} s");
    }
    assert_eq!(next.port_stats().map(|stats| stats.used), [0; 3]);
}

#[test]
fn what_was_saved_for_another_address_or_by_another_program_is_not_read() {
    let bytes = saved(&busy(), at(950));
    let whole = Saved::read(&bytes).unwrap();
    let others = [
        Config { forwards: Vec::new(), ..Config::new(OUTSIDE) },
        Config { outside: Ipv4Addr::new(192, 0, 2, 2), ..config(1024) },
    ];
    for other in others {
        let napt = Napt::new(&Config { sessions: 1024, huge_pages: false, ..other }).unwrap();
        let Restored { restored, refused, .. } = napt.restore(&whole, at(960), WALL);
        assert_eq!((restored, refused as usize, napt.stats().live), (0, whole.count(), 0));
    }
    let changed = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        Saved::read(&bytes).map(|saved| saved.count())
    };
    assert_eq!(changed(0, b'H'), Err(Unreadable::Magic));
    assert_eq!(changed(8, 2), Err(Unreadable::Version(2)));
    assert_eq!(changed(12, 6), Err(Unreadable::Records(6, 32, 4, 32)));
    assert_eq!(changed(60, !bytes[60]), Err(Unreadable::Checksum));
    assert_eq!(changed(13, 200), Err(Unreadable::Checksum));
    assert!(matches!(changed(20, !bytes[20]), Err(Unreadable::Length(..))));
    for cut in [0, 1, 47, 48, 51, bytes.len() - 1] {
        assert!(Saved::read(&bytes[..cut]).is_err(), "{cut} bytes");
    }
    assert!(matches!(Saved::read(&[&bytes[..], b"more"].concat()), Err(Unreadable::Length(..))));
}

#[test]
fn a_table_that_has_no_room_takes_what_it_can() {
    let napt = Napt::new(&Config { sessions: 4096, ..config(4096) }).unwrap();
    for i in 0..3000u32 {
        let peer = end([203, 0, (i >> 8) as u8, i as u8], 443);
        let inside = end([10, 0, (i % 100) as u8, 1], 50_000);
        napt.create_outbound(LAN, protocol::UDP, inside, peer, 0, at(900)).unwrap();
    }
    let bytes = saved(&napt, at(900));
    let next = Napt::new(&config(1024)).unwrap();
    let done = next.restore(&Saved::read(&bytes).unwrap(), at(900), WALL);
    assert_eq!(done, Restored { restored: 1024, expired: 0, refused: 3000 - 1024 });
    check(&next);
}

/// The bytes with a checksum that is right.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

proptest! {
    /// Whatever a file says, sealed as if we had written it: what is read in is a table that holds together, and that
    /// empties in time.
    #[test]
    fn any_records_make_a_sound_table_or_none(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..60)) {
        let mut bytes = saved(&busy(), at(950));
        let records = 48..bytes.len() - 4;
        for (at, to) in changes {
            bytes[records.start + at.index(records.len())] = to;
        }
        let bytes = sealed(bytes);
        let next = Napt::new(&config(1024)).unwrap();
        let saved = Saved::read(&bytes).unwrap();
        let done = next.restore(&saved, at(1000), WALL);
        prop_assert_eq!((done.restored + done.expired + done.refused) as usize, saved.count());
        prop_assert_eq!(next.stats().live, done.restored);
        check(&next);
        for seconds in (0..10_000).step_by(100) {
            (0..40).for_each(|_| _ = next.age(at(1000) + Duration::from_secs(seconds), 64));
        }
        prop_assert_eq!(next.stats().live, 0);
        prop_assert_eq!(next.port_stats().map(|stats| (stats.used, stats.shared)), [(0, 0); 3]);
    }
}

#[test]
#[ignore = "a minute: --release --nocapture shows how long tables of 2^16, 2^20 and 2^23 sessions take"]
fn how_long_it_takes() {
    for size in [1u32 << 16, 1 << 20, 1 << 23] {
        let config = Config { sessions: size, ..Config::new(OUTSIDE) };
        let napt = Napt::new(&config).unwrap();
        for i in 0..size {
            let inside = Endpoint::new(Ipv4Addr::from(0x0a00_0000 + (i & 0xffff)), 1024 + (i >> 16) as u16);
            let peer = Endpoint::new(Ipv4Addr::from(0x3000_0000 + (i >> 8)), 443);
            napt.create_outbound(LAN, protocol::UDP, inside, peer, 0, at(1)).unwrap();
        }
        let began = std::time::Instant::now();
        let bytes = saved(&napt, at(1));
        let wrote = began.elapsed();
        drop(napt);
        let began = std::time::Instant::now();
        let next = Napt::new(&config).unwrap();
        let made = began.elapsed();
        let done = next.restore(&Saved::read(&bytes).unwrap(), at(1), WALL);
        println!(
            "{size} sessions, {} MB: saved in {wrote:?}, made in {made:?}, and read back {:?}",
            bytes.len() >> 20,
            began.elapsed()
        );
        assert_eq!(done.restored, size);
    }
}
