//! Any bytes as a saved session table of either family, also with the header and the checksum of a sound one: what is read in is a table
//! that holds together, can be saved again, and empties in time.
#![no_main]

use std::net::Ipv4Addr;

use hikyaku_dataplane::filter6::{self, Filter6};
use hikyaku_dataplane::napt::{Config, Key, Napt, Saved};
use hikyaku_net::{PortSet, Time};
use libfuzzer_sys::fuzz_target;

const WALL: u64 = 1_700_000_000;
const NOW: Time = Time(700_000 * 1_000_000_000);

/// A table of sixteen ports.
fn table() -> Napt {
    let ports = PortSet::new(0, 12, 0x123).expect("a port set");
    let config = Config { ports, sessions: 1024, huge_pages: false, ..Config::new(Ipv4Addr::new(192, 0, 2, 1)) };
    Napt::new(&config).expect("a small table")
}

fn restore(bytes: &[u8]) {
    let Ok(saved) = Saved::read(bytes) else { return };
    let napt = table();
    let done = napt.restore(&saved, NOW, WALL + 10);
    assert_eq!((done.restored + done.expired + done.refused) as usize, saved.count());
    assert_eq!(napt.stats().live, done.restored);
    napt.slice(0, u32::MAX, |s| {
        let out = Key::outbound(s.lan(), s.protocol(), s.inside(), s.peer());
        let back = Key::inbound(s.protocol(), s.peer(), s.outside());
        assert_eq!(napt.find(&out, napt.hash(&out)), napt.find(&back, napt.hash(&back)));
    });
    let mut again = Vec::new();
    assert_eq!(napt.save(NOW, WALL, &mut again).expect("nobody is changing it"), done.restored);
    // Nothing is idle for longer than that.
    for hour in 0..4 {
        (0..2).for_each(|_| _ = napt.age(Time(NOW.0 + hour * 3600 * 1_000_000_000), 4096));
    }
    assert_eq!(napt.stats().live, 0);
    assert!(napt.port_stats().iter().all(|ports| (ports.used, ports.shared) == (0, 0)));
}

/// The same of native IPv6.
fn restore6(bytes: &[u8]) {
    let Ok(saved) = filter6::Saved::read(bytes) else { return };
    let filter = filter6();
    let done = filter.restore(&saved, NOW, WALL + 10);
    assert_eq!((done.restored + done.expired + done.refused) as usize, saved.count());
    assert_eq!(filter.stats().live, done.restored);
    filter.slice(0, u32::MAX, |s| assert!(filter.find(&s.flow()).is_some_and(|found| std::ptr::eq(found, s))));
    let mut again = Vec::new();
    assert_eq!(filter.save(NOW, WALL, &mut again).expect("nobody is changing it"), done.restored);
    for hour in 0..4 {
        (0..2).for_each(|_| _ = filter.age(Time(NOW.0 + hour * 3600 * 1_000_000_000), 4096));
    }
    assert_eq!(filter.stats().live, 0);
}

fn filter6() -> Filter6 {
    let config =
        filter6::Config { sessions: 1024, per_station: Some(900), huge_pages: false, ..filter6::Config::default() };
    Filter6::new(&config).expect("a small table")
}

/// These records behind the header of an empty table, with their checksum.
fn sealed(mut whole: Vec<u8>, bytes: &[u8], len: usize) -> Vec<u8> {
    let records = bytes.len() / len;
    whole.truncate(48);
    whole[20..24].copy_from_slice(&(records as u32).to_le_bytes());
    whole.extend_from_slice(&bytes[..records * len]);
    whole.extend_from_slice(&crc32fast::hash(&whole).to_le_bytes());
    whole
}

fuzz_target!(|bytes: &[u8]| {
    restore(bytes);
    restore6(bytes);
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    table().save(NOW, WALL, &mut ipv4).expect("an empty one");
    filter6().save(NOW, WALL, &mut ipv6).expect("an empty one");
    restore(&sealed(ipv4, bytes, 32));
    restore6(&sealed(ipv6, bytes, 56));
});
