//! The session table as a store: its memory, full tables, churn, and many threads at once.

use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hikyaku_dataplane::napt::{
    Config, Direction, Endpoint, Hash, Key, Kind, LanId, Napt, Refused, Session, SessionId, pair_addrs, pair_ports,
    split_ports,
};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::packet::Tcp;
use hikyaku_net::{PortSet, Time, protocol};

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn config(sessions: u32) -> Config {
    Config { sessions, huge_pages: false, ..Config::new(OUTSIDE) }
}

fn seconds(n: u64) -> Time {
    Time(n * 1_000_000_000)
}

/// Protocol, inside and peer of flow `i`.
type Flow = (u8, Endpoint, Endpoint);
/// The one that almost all tests are on.
const LAN: LanId = LanId(0);

fn key_out((protocol, inside, peer): Flow) -> Key {
    Key::outbound(LAN, protocol, inside, peer)
}

fn find(napt: &Napt, flow: Flow) -> Option<SessionId> {
    let key = key_out(flow);
    napt.find(&key, napt.hash(&key))
}

fn open(napt: &Napt, (protocol, inside, peer): Flow, now: Time) -> Result<SessionId, Reason> {
    napt.create_outbound(LAN, protocol, inside, peer, 0, now)
}

/// Every flow of a mapping of its own: as many as there are ports, three times over.
fn own_mapping(i: u32) -> Flow {
    let protocol = [protocol::TCP, protocol::UDP, protocol::ICMP][i as usize % 3];
    let n = i / 3;
    let inside = Endpoint::new(Ipv4Addr::from(0x0a00_0000 + (n >> 14)), (1024 + (n & 0x3fff)) as u16);
    (protocol, inside, Endpoint::new(Ipv4Addr::new(198, 51, 100, 1), if i % 3 == 2 { 0 } else { 443 }))
}

/// As [`own_mapping`], but five flows of each protocol to each of many peers.
fn few_to_each(i: u32) -> Flow {
    let (protocol, inside, peer) = own_mapping(i);
    (protocol, inside, Endpoint { addr: Ipv4Addr::from(0xc633_6400 + i / 15).into(), ..peer })
}

/// All flows of one mapping.
fn one_mapping(i: u32) -> Flow {
    let peer = Endpoint::new(Ipv4Addr::from(0xc633_0000 + (i >> 10)), (1 + (i & 1023)) as u16 + 1000);
    (protocol::UDP, Endpoint::new(Ipv4Addr::new(10, 0, 0, 1), 4000), peer)
}

/// Finds a session as the fast path does.
fn confirm<'a>(napt: &'a Napt, candidate: SessionId, key: &Key, hash: Hash) -> Option<&'a Session> {
    let refused = napt.refuses_strangers(key.protocol(), split_ports(key.ports()).1);
    if key.kind() == Kind::Inbound && refused == Some(Reason::NaptNoSession) {
        return None;
    }
    napt.likely(candidate, key, key.direction()).or_else(|| napt.find(key, hash).map(|id| napt.session(id)))
}

#[test]
fn a_session_costs_at_most_160_bytes() {
    for bits in 10..=23 {
        let napt = Napt::new(&config(1 << bits)).unwrap();
        let bytes = napt.bytes();
        assert!(bytes <= 160 << bits, "2^{bits} sessions: {bytes} bytes, {}", bytes >> bits);
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for n in [0, 1, 512, 1000, 1025, 1 << 24, u32::MAX] {
        assert!(matches!(Napt::new(&config(n)), Err(Refused::Size(m)) if m == n));
    }
}

#[test]
fn the_record_that_means_none_belongs_to_no_packet() {
    let napt = Napt::new(&config(1 << 10)).unwrap();
    let nowhere = Endpoint::default();
    for protocol in 0..=255 {
        for key in [Key::outbound(LAN, protocol, nowhere, nowhere), Key::inbound(protocol, nowhere, nowhere)] {
            let hash = napt.hash(&key);
            assert!(confirm(&napt, napt.candidate(hash, key.kind()), &key, hash).is_none());
        }
    }
}

#[test]
fn memory_does_not_grow_with_use() {
    let napt = Napt::new(&config(1 << 10)).unwrap();
    let before = napt.bytes();
    for round in 0..50 {
        napt.quiescent(0);
        let now = seconds(round * 1000);
        napt.age(now, usize::MAX);
        napt.quiescent(0);
        let opened = (0..2000).filter(|&i| open(&napt, own_mapping(i), now).is_ok()).count();
        assert_eq!(opened, 1 << 10);
    }
    assert_eq!(napt.bytes(), before);
}

/// Fills a table to the last session, finds everyone, and lets them expire.
fn fill(sessions: u32, flow: impl Fn(u32) -> Flow) {
    let napt = Napt::new(&config(sessions)).unwrap();
    for round in 0..3u32 {
        let now = seconds(u64::from(round) * 10_000);
        napt.quiescent(0);
        let flow = |i| flow(i + round * sessions / 2);
        for i in 0..sessions {
            open(&napt, flow(i), now).unwrap_or_else(|reason| panic!("session {i} of {sessions}: {reason:?}"));
        }
        assert_eq!(open(&napt, flow(sessions), now), Err(Reason::NaptTableFull));
        for i in 0..sessions {
            let id = find(&napt, flow(i)).expect("every session is found");
            let (protocol, inside, peer) = flow(i);
            let session = napt.session(id);
            assert_eq!((session.protocol(), session.inside(), session.peer()), (protocol, inside, peer));
            let back = Key::inbound(protocol, peer, session.outside());
            assert_eq!(napt.find(&back, napt.hash(&back)), Some(id));
        }
        napt.age(now + Duration::from_secs(1000), usize::MAX);
        let stats = napt.stats();
        let all = u64::from(sessions) * u64::from(round + 1);
        assert_eq!((stats.live, stats.created, stats.expired), (0, all, all));
        assert!((0..sessions).all(|i| find(&napt, flow(i)).is_none()));
    }
}

#[test]
fn a_table_is_full_when_it_is_full_each_session_with_a_mapping_of_its_own() {
    fill(1 << 10, own_mapping);
    fill(1 << 16, own_mapping);
}

#[test]
fn a_table_is_full_when_it_is_full_all_sessions_of_one_mapping() {
    fill(1 << 10, one_mapping);
    fill(1 << 16, one_mapping);
}

/// A full table all the time: for every session that expires another one comes.
#[test]
fn churn_leaks_nothing() {
    const SESSIONS: u32 = 1 << 12;
    const CREATED: u64 = 2_000_000;
    // Fewer ports than sessions could use: one that is not given back is soon missed.
    let ports = PortSet::new(0, 4, 3).unwrap();
    let napt = Napt::new(&Config { ports, ..config(SESSIONS) }).unwrap();
    let (mut created, mut i, mut now, mut full) = (0u64, 0u32, 0u64, 0u32);
    while created < CREATED {
        napt.quiescent(0);
        for _ in 0..64 {
            match open(&napt, own_mapping(i % 150_000), seconds(now)) {
                Ok(_) => created += 1,
                Err(reason) => {
                    assert_eq!(reason, Reason::NaptTableFull);
                    full += 1;
                    now += 1;
                }
            }
            i += 1;
        }
        napt.age(seconds(now), 48);
    }
    assert!(full > 100, "the table is full again and again");
    now += 10_000;
    for _ in 0..3 {
        napt.quiescent(0);
        napt.age(seconds(now), usize::MAX);
    }
    let stats = napt.stats();
    assert_eq!((stats.live, stats.created), (0, stats.expired));
    assert!(stats.created > CREATED * 9 / 10);
    // Nothing is lost: all records and all ports can be had again.
    napt.quiescent(0);
    for i in 0..SESSIONS {
        let (_, inside, peer) = own_mapping(3 * i);
        assert!(open(&napt, (protocol::TCP, inside, peer), seconds(now)).is_ok(), "session {i}");
    }
}

/// Several workers open, find, translate, track and age on one table whose records are used again
/// all the time. Run under a thread sanitizer it also looks for data races.
#[test]
fn many_workers_on_one_table() {
    many_workers(PortSet::ALL, own_mapping);
}

#[test]
fn many_workers_on_sixteen_ports() {
    many_workers(PortSet::new(0, 12, 9).unwrap(), few_to_each);
}

fn many_workers(ports: PortSet, flow: impl Fn(u32) -> Flow + Sync) {
    const WORKERS: usize = 4;
    const FLOWS: u32 = 600;
    let sessions = 256;
    let napt = Napt::with_capacity(&Config { readers: WORKERS, ports, ..config(1 << 10) }, sessions).unwrap();
    let (stop, clock, start) = (AtomicBool::new(false), AtomicU64::new(0), Barrier::new(WORKERS + 1));
    let translated = AtomicU64::new(0);
    let worker = |reader: usize| {
        let mut x = reader as u64 + 1;
        let mut random = move |below: u32| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 33) as u32 % below
        };
        start.wait();
        while !stop.load(Ordering::Relaxed) {
            napt.quiescent(reader);
            let now = Time(clock.load(Ordering::Relaxed) * 1_000_000_000);
            let flows: Vec<Flow> = (0..32).map(|_| flow(random(FLOWS))).collect();
            let keys: Vec<Key> = flows.iter().map(|&flow| key_out(flow)).collect();
            let candidates: Vec<SessionId> =
                keys.iter().map(|key| napt.candidate(napt.hash(key), key.kind())).collect();
            let mut held = vec![];
            for ((&(protocol, inside, peer), key), candidate) in flows.iter().zip(&keys).zip(candidates) {
                let session = match confirm(&napt, candidate, key, napt.hash(key)) {
                    Some(session) => session,
                    None => match napt.create_outbound(LAN, protocol, inside, peer, Tcp::SYN, now) {
                        Ok(id) => napt.session(id),
                        Err(reason) => {
                            assert_eq!(reason, Reason::NaptTableFull);
                            continue;
                        }
                    },
                };
                session.note(Direction::Outbound, now.seconds(), true);
                if protocol == protocol::TCP {
                    let direction = [Direction::Outbound, Direction::Inbound][random(2) as usize];
                    napt.track(session, direction, [Tcp::SYN, Tcp::ACK, Tcp::FIN, Tcp::RST][random(4) as usize]);
                }
                let (out, back) = (session.rewrite(Direction::Outbound), session.rewrite(Direction::Inbound));
                let outside = session.outside();
                assert_eq!(out.addrs, pair_addrs(OUTSIDE.into(), peer.addr));
                assert_eq!(out.ports, pair_ports(outside.port, peer.port));
                assert_eq!(
                    (back.addrs, back.ports),
                    (pair_addrs(peer.addr, inside.addr), pair_ports(peer.port, inside.port))
                );
                held.push((session, key, (inside, peer, outside)));
                translated.fetch_add(1, Ordering::Relaxed);
            }
            // What was found at the start of the burst is the same at its end, or over and nobody's.
            for (session, key, ends) in held {
                assert_eq!((session.inside(), session.peer(), session.outside()), ends, "used again within a burst");
                assert!(session.is(key, key.direction()) || session.protocol() == 0);
            }
            napt.age(now, 16);
            if random(16) == 0 {
                napt.offline(reader);
                std::thread::yield_now();
            }
        }
        napt.offline(reader);
    };
    std::thread::scope(|scope| {
        let worker = &worker;
        (0..WORKERS).for_each(|reader| drop(scope.spawn(move || worker(reader))));
        start.wait();
        let began = Instant::now();
        // Two and a half seconds, or on a busy machine as many as it takes to have seen something.
        let seen_enough = || napt.stats().expired > 1000 && translated.load(Ordering::Relaxed) > 1000;
        while began.elapsed() < Duration::from_millis(2500)
            || !seen_enough() && began.elapsed() < Duration::from_secs(60)
        {
            // A minute and a half a step: sessions expire as fast as they come.
            clock.fetch_add(90, Ordering::Relaxed);
            std::thread::sleep(Duration::from_micros(200));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let stats = napt.stats();
    assert!(translated.load(Ordering::Relaxed) > 1000 && stats.expired > 1000, "{stats:?}");
    assert_eq!(u64::from(stats.live), stats.created - stats.expired);
    let mut seen = 0;
    napt.slice(0, u32::MAX, |session| {
        let key = Key::inbound(session.protocol(), session.peer(), session.outside());
        let id = napt.find(&key, napt.hash(&key)).expect("every session is found by its answers");
        assert!(std::ptr::eq(napt.session(id), session));
        seen += 1;
    });
    assert_eq!(seen, stats.live);
    // Everything can be had again.
    let late = seconds(clock.load(Ordering::Relaxed) + 100_000);
    napt.age(late, usize::MAX);
    napt.age(late, usize::MAX);
    assert_eq!(napt.stats().live, 0);
    for i in 0..sessions {
        assert!(open(&napt, flow(i), late).is_ok(), "session {i} of {sessions}");
    }
}
