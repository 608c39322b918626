//! The session table under a model checker: every interleaving (up to a bound) of a worker that
//! looks up and translates with one that opens, expires and opens again.
//!
//! A worker asks in phases, as the path does: hash, candidate, confirm, rewrite. Whatever the other
//! one does meanwhile, what it writes into the packet must be whole, and of the flow it asked for.

use std::net::Ipv4Addr;

use hikyaku_dataplane::napt::{
    Config, Direction, Endpoint, Hash, Key, Kind, LanId, Napt, Session, SessionId, pair_addrs, pair_ports, split_ports,
};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::packet::Tcp;
use hikyaku_net::{PortSet, Time, protocol};
use loom::sync::Arc;
use loom::thread;

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const LAN: LanId = LanId(0);
const UDP: u8 = protocol::UDP;

/// Long after everything has expired.
const LATE: Time = Time(1_000_000_000_000);

/// Flow number `n`: all of its addresses and ports differ from another's.
fn flow(n: u8) -> (Endpoint, Endpoint) {
    let n16 = 2000 + u16::from(n);
    (Endpoint::new(Ipv4Addr::new(10, 0, 0, n), n16), Endpoint::new(Ipv4Addr::new(198, 51, 100, n), n16 + 1000))
}

fn outside(n: u8) -> Endpoint {
    // Ports are preserved.
    Endpoint::new(OUTSIDE, flow(n).0.port.number())
}

fn key_out(n: u8) -> Key {
    let (inside, peer) = flow(n);
    Key::outbound(LAN, UDP, inside, peer)
}

fn key_in(n: u8) -> Key {
    let (_, peer) = flow(n);
    Key::inbound(UDP, peer, outside(n))
}

/// Without sessions, with `sessions` records.
fn table(sessions: u32, readers: usize) -> Napt {
    let config = Config {
        // 16 ports: a set of all takes longer to build than the history to check.
        ports: PortSet::new(0, 12, 2000 >> 4).unwrap(),
        readers,
        huge_pages: false,
        seed: Some([1, 2, 3, 4]),
        ..Config::new(OUTSIDE)
    };
    Napt::with_capacity(&config, sessions).unwrap()
}

fn open(napt: &Napt, n: u8) -> bool {
    let (inside, peer) = flow(n);
    napt.create_outbound(LAN, UDP, inside, peer, 0, Time(0)).is_ok()
}

/// Finds a session as the fast path does.
fn confirm<'a>(napt: &'a Napt, candidate: SessionId, key: &Key, hash: Hash) -> Option<&'a Session> {
    let refused = napt.refuses_strangers(key.protocol(), split_ports(key.ports()).1);
    if key.kind() == Kind::Inbound && refused == Some(Reason::NaptNoSession) {
        return None;
    }
    napt.likely(candidate, key, key.direction()).or_else(|| napt.find(key, hash).map(|id| napt.session(id)))
}

/// The phases of a burst of one packet of flow `n`. True if it was translated.
fn burst(napt: &Napt, n: u8, direction: Direction) -> bool {
    let (inside, peer) = flow(n);
    let key = if direction == Direction::Outbound { key_out(n) } else { key_in(n) };
    let hash = napt.hash(&key);
    let candidate = napt.candidate(hash, key.kind());
    let Some(session) = confirm(napt, candidate, &key, hash) else { return false };
    session.note(direction, 0, false);
    let new = session.rewrite(direction);
    let (src, dst) = if direction == Direction::Outbound { (outside(n), peer) } else { (peer, inside) };
    assert_eq!(new.addrs, pair_addrs(src.addr, dst.addr), "another's addresses");
    assert_eq!(new.ports, pair_ports(src.port, dst.port), "another's ports");
    // The session may be over by now, but its record is still the same at the end of the burst.
    let later = session.rewrite(direction);
    assert_eq!((later.addrs, later.ports), (new.addrs, new.ports), "the record was used again");
    true
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = count.clone();
    builder.check(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    println!("{} interleavings", count.load(std::sync::atomic::Ordering::Relaxed));
}

/// A reader who is online all the time, one record: it must never see flow 2 in flow 1's record.
fn lookup_while_a_record_is_used_again(direction: Direction) {
    check(3, move || {
        let napt = Arc::new(table(1, 1));
        napt.quiescent(0);
        assert!(open(&napt, 1));
        let writer = {
            let napt = napt.clone();
            thread::spawn(move || {
                napt.age(LATE, 8);
                open(&napt, 2)
            })
        };
        for _ in 0..2 {
            napt.quiescent(0);
            burst(&napt, 1, direction);
        }
        let reused = writer.join().unwrap();
        napt.quiescent(0);
        assert!(!burst(&napt, 1, direction), "flow 1 has expired");
        assert!(reused == burst(&napt, 2, direction));
    });
}

#[test]
fn outbound_lookup_while_a_record_is_used_again() {
    lookup_while_a_record_is_used_again(Direction::Outbound);
}

#[test]
fn inbound_lookup_while_a_record_is_used_again() {
    lookup_while_a_record_is_used_again(Direction::Inbound);
}

/// Two readers, one of them still in its first burst when the record is wanted again.
#[test]
fn the_slowest_reader_decides_when_a_record_is_used_again() {
    check(2, || {
        let napt = Arc::new(table(1, 2));
        assert!(open(&napt, 1));
        (0..2).for_each(|reader| napt.quiescent(reader));
        let reader = {
            let napt = napt.clone();
            thread::spawn(move || {
                burst(&napt, 1, Direction::Inbound);
                napt.offline(1);
            })
        };
        // A worker who is reader 0 and turns the table over.
        napt.age(LATE, 8);
        napt.quiescent(0);
        open(&napt, 2);
        burst(&napt, 2, Direction::Outbound);
        reader.join().unwrap();
    });
}

/// A reader who wakes while the record changes hands.
#[test]
fn a_reader_that_comes_online_is_seen_in_time() {
    check(3, || {
        let napt = Arc::new(table(1, 1));
        assert!(open(&napt, 1));
        let writer = {
            let napt = napt.clone();
            thread::spawn(move || {
                napt.age(LATE, 8);
                open(&napt, 2)
            })
        };
        napt.quiescent(0);
        burst(&napt, 1, Direction::Outbound);
        napt.offline(0);
        writer.join().unwrap();
    });
}

/// A session that is being opened is not seen before it is whole.
#[test]
fn a_session_is_found_whole_or_not_at_all() {
    check(4, || {
        let napt = Arc::new(table(2, 1));
        napt.quiescent(0);
        let writer = {
            let napt = napt.clone();
            thread::spawn(move || assert!(open(&napt, 1)))
        };
        burst(&napt, 1, Direction::Outbound);
        burst(&napt, 1, Direction::Inbound);
        writer.join().unwrap();
        assert!(burst(&napt, 1, Direction::Outbound) && burst(&napt, 1, Direction::Inbound));
    });
}

/// Two flows have one outside port. The one whose mapping it was ends; the other's answers are found and
/// translated all the time.
#[test]
fn answers_to_a_shared_port_are_found_while_its_mapping_ends() {
    check(3, || {
        let config = Config {
            ports: PortSet::new(0, 16, 2001).unwrap(),
            huge_pages: false,
            seed: Some([1, 2, 3, 4]),
            ..Config::new(OUTSIDE)
        };
        let napt = Arc::new(Napt::with_capacity(&config, 4).unwrap());
        napt.quiescent(0);
        assert!(open(&napt, 1));
        let (inside, peer) = flow(2);
        let late = Time(250_000_000_000);
        napt.create_outbound(LAN, UDP, inside, peer, 0, late).unwrap();
        let writer = {
            let napt = napt.clone();
            thread::spawn(move || {
                napt.age(Time(302_000_000_000), 8);
                // The port is not free: flow 3 shares it, too.
                assert!(open(&napt, 3));
            })
        };
        let key = Key::inbound(UDP, peer, outside(1));
        let hash = napt.hash(&key);
        let session = confirm(&napt, napt.candidate(hash, key.kind()), &key, hash).expect("it lives");
        assert_eq!(session.rewrite(Direction::Inbound).addrs, pair_addrs(peer.addr, inside.addr));
        burst(&napt, 1, Direction::Inbound);
        writer.join().unwrap();
        napt.quiescent(0);
        assert!(!burst(&napt, 1, Direction::Inbound) && napt.is_mapped(UDP, outside(1)));
        assert_eq!(napt.port_stats()[1].shared, 2);
    });
}

/// Two workers see the first packet of one flow.
#[test]
fn two_workers_open_one_flow_once() {
    check(4, || {
        let napt = Arc::new(table(2, 2));
        let worker = |reader: usize| {
            let napt = napt.clone();
            move || {
                napt.quiescent(reader);
                let (inside, peer) = flow(1);
                napt.create_outbound(LAN, UDP, inside, peer, 0, Time(0)).unwrap()
            }
        };
        let other = thread::spawn(worker(1));
        let mine = worker(0)();
        assert_eq!(other.join().unwrap(), mine);
        assert_eq!(napt.stats().live, 1);
    });
}

/// Each of two workers sees one end's FIN: the session must leave by the short timeout.
#[test]
fn two_fins_on_two_workers_close_a_connection() {
    check(3, || {
        let napt = Arc::new(table(1, 2));
        let (inside, peer) = flow(1);
        let id = napt.create_outbound(LAN, protocol::TCP, inside, peer, Tcp::SYN, Time(0)).unwrap();
        napt.track(napt.session(id), Direction::Inbound, Tcp::SYN | Tcp::ACK);
        napt.track(napt.session(id), Direction::Outbound, Tcp::ACK);
        // Ageing hangs it far ahead, as of an open connection.
        napt.age(Time(245_000_000_000), 8);
        let other = {
            let napt = napt.clone();
            thread::spawn(move || napt.track(napt.session(id), Direction::Inbound, Tcp::FIN | Tcp::ACK))
        };
        napt.track(napt.session(id), Direction::Outbound, Tcp::FIN | Tcp::ACK);
        other.join().unwrap();
        napt.age(Time(246_000_000_000), 8);
        assert_eq!(napt.stats().live, 0);
    });
}
