//! Any bytes as a saved session table, also with the header and the checksum of a sound one: what is read in is a table
//! that holds together, can be saved again, and empties in time.
#![no_main]

use std::net::Ipv4Addr;

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

fuzz_target!(|bytes: &[u8]| {
    restore(bytes);
    let mut whole = Vec::new();
    table().save(NOW, WALL, &mut whole).expect("an empty one");
    let records = bytes.len() / 32;
    whole.truncate(48);
    whole[20..24].copy_from_slice(&(records as u32).to_le_bytes());
    whole.extend_from_slice(&bytes[..records * 32]);
    whole.extend_from_slice(&crc32fast::hash(&whole).to_le_bytes());
    restore(&whole);
});
