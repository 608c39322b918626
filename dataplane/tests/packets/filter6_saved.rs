//! Sessions of native IPv6 that are saved and read back: what goes on, and that no bytes can make a wrong table.

use std::time::Duration;

use hikyaku_dataplane::filter6::{Config, Filter6, Flow, Restored, Saved, Session, Unreadable};
use hikyaku_dataplane::napt::{self, Direction};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::packet::Tcp;
use hikyaku_net::{Addr6, Mac, Port, Time, protocol};
use proptest::prelude::*;

/// Seconds since 1970.
const WALL: u64 = 1_700_000_000;
const HOST: Mac = Mac([2, 0, 0, 0, 0, 10]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 11]);

fn at(seconds: u64) -> Time {
    Time(seconds * 1_000_000_000)
}

fn flow(protocol: u8, host: u16, ports: [u16; 2]) -> Flow {
    let addr = |text: &str| Addr6::from(text.parse::<std::net::Ipv6Addr>().unwrap());
    let inside = addr(&format!("2001:db8:1::{host:x}"));
    Flow::new(
        Direction::Outbound,
        protocol,
        [inside, addr("2001:db8:ffff::80")],
        ports.map(|port| Port(port.to_be_bytes())),
    )
}

fn filter(sessions: u32, per_station: Option<u32>) -> Filter6 {
    Filter6::new(&Config { sessions, per_station, huge_pages: false, ..Config::default() }).unwrap()
}

/// Connections in all states, datagrams, echoes and what has no ports, some long idle.
fn busy(per_station: Option<u32>) -> Filter6 {
    let filter = filter(1024, per_station);
    for i in 0..100 {
        let (kind, ports) = match i % 4 {
            0 => (protocol::TCP, [40_000 + i, 443]),
            1 => (protocol::UDP, [40_000 + i, 53]),
            2 => (protocol::ICMPV6, [i, 0]),
            _ => (protocol::ESP, [0, 0]),
        };
        let session = filter.open_outbound(&flow(kind, i + 1, ports), HOST, at(900 + u64::from(i) / 10)).unwrap();
        session.note(Direction::Outbound, 900 + u32::from(i) / 10);
        if i % 8 == 0 {
            filter.track(session, Direction::Inbound, Tcp::SYN | Tcp::ACK);
            filter.track(session, Direction::Outbound, Tcp::ACK);
        }
    }
    filter
}

fn saved(filter: &Filter6, now: Time) -> Vec<u8> {
    let mut bytes = Vec::new();
    filter.save(now, WALL, &mut bytes).unwrap();
    bytes
}

/// What a session is, its packets, whether it is established, and how long it has been idle.
fn sessions(filter: &Filter6, now: u32) -> Vec<String> {
    let mut all = Vec::new();
    let show = |s: &Session| format!("{:?} {:?} {} {}", s.flow(), s.packets(), s.is_established(), now - s.last());
    filter.slice(0, u32::MAX, |session| all.push(show(session)));
    all.sort();
    all
}

#[test]
fn every_session_goes_on_as_it_was() {
    let before = busy(None);
    let bytes = saved(&before, at(950));
    // Another process, whose clock is another, 5 seconds later; its table has another size and secret.
    let next = filter(2048, None);
    let done = next.restore(&Saved::read(&bytes).unwrap(), at(700_000), WALL + 5);
    assert_eq!(done, Restored { restored: 100, expired: 0, refused: 0 });
    assert_eq!(sessions(&next, 700_000), sessions(&before, 955));
    let download = flow(protocol::TCP, 1, [40_000, 443]);
    assert!(next.find(&download).unwrap().is_established(), "an answer from outside finds it");
    assert_eq!(next.restore(&Saved::read(&bytes).unwrap(), at(700_000), WALL).refused, 100, "each only once");
}

/// RFC 6092 REC-14, REC-35: timers go on while the router is down.
#[test]
fn time_goes_on_while_the_router_is_down() {
    let bytes = saved(&busy(None), at(950));
    let restored = |down: u64| {
        let next = filter(1024, None);
        let done = next.restore(&Saved::read(&bytes).unwrap(), at(604_800), WALL.wrapping_add(down));
        assert_eq!(next.stats().live, done.restored);
        (next, done)
    };
    // Datagrams and protocols without ports have 300 s, echoes 60, half a connection 240, a whole one 7440.
    assert_eq!(restored(20).1.expired, 25, "echoes");
    assert_eq!(restored(250).1.restored, 13 + 25 + 25, "and half connections");
    assert_eq!(restored(255).1.restored, 13 + 12 + 13, "and what was idle for five seconds more than the rest");
    assert_eq!(restored(1000).1, Restored { restored: 13, expired: 87, refused: 0 });
    assert_eq!(restored(100_000).1.expired, 100);
    assert_eq!(restored(0u64.wrapping_sub(1000)).1.restored, 100, "a clock that was set back says nothing");
    let (next, _) = restored(1000);
    (0..100).for_each(|_| _ = next.age(at(604_800 + 7440), 64));
    assert_eq!(next.stats().live, 0);
}

/// What a station had counts, and does not keep it from opening more.
#[test]
fn a_station_has_a_share_of_its_own_for_what_was_before() {
    let bytes = saved(&busy(Some(100)), at(950));
    let next = filter(1024, Some(100));
    assert_eq!(next.restore(&Saved::read(&bytes).unwrap(), at(950), WALL).restored, 100);
    let open = |station, port| next.open_outbound(&flow(protocol::UDP, 7, [port, 9]), station, at(950)).map(|_| ());
    for port in 0..100 {
        open(HOST, port).unwrap();
    }
    assert_eq!(open(HOST, 100), Err(Reason::Ipv6HostLimit));
    open(OTHER, 100).unwrap();
}

#[test]
fn what_is_no_table_of_this_family_is_not_read() {
    let ipv6 = saved(&busy(None), at(950));
    assert_eq!(napt::Saved::read(&ipv6).unwrap_err(), Unreadable::Records(6, 56, 4, 32));
    let mut ipv4 = Vec::new();
    let config = napt::Config { sessions: 1024, huge_pages: false, ..napt::Config::new([192, 0, 2, 1].into()) };
    napt::Napt::new(&config).unwrap().save(at(950), WALL, &mut ipv4).unwrap();
    assert_eq!(Saved::read(&ipv4).unwrap_err(), Unreadable::Records(4, 32, 6, 56));
    for cut in 0..ipv6.len() {
        assert!(Saved::read(&ipv6[..cut]).is_err());
    }
}

proptest! {
    /// Whatever a file says, sealed as if we had written it: what is read in is a table that holds together, and that
    /// empties in time.
    #[test]
    fn any_records_make_a_sound_table_or_none(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..60)) {
        let mut bytes = saved(&busy(Some(900)), at(950));
        let records = 48..bytes.len() - 4;
        for (at, to) in changes {
            bytes[records.start + at.index(records.len())] = to;
        }
        let end = records.end;
        let sum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
        let next = filter(1024, Some(900));
        let saved = Saved::read(&bytes).unwrap();
        let done = next.restore(&saved, at(1000), WALL);
        prop_assert_eq!((done.restored + done.expired + done.refused) as usize, saved.count());
        prop_assert_eq!(next.stats().live, done.restored);
        next.slice(0, u32::MAX, |s| assert!(next.find(&s.flow()).is_some_and(|found| std::ptr::eq(found, s))));
        for seconds in (0..10_000).step_by(100) {
            (0..40).for_each(|_| _ = next.age(at(1000) + Duration::from_secs(seconds), 64));
        }
        prop_assert_eq!(next.stats().live, 0);
    }
}
