//! No page of tables, buffers or rings is touched for the first time by a packet: it would wait for the system to find and
//! clear one.

use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;

use crate::common::*;
use hikyaku_dataplane::memory_router::{LAN, MemoryRouter, WAN};
use hikyaku_net::Time;
use hikyaku_ring::memory::MemoryConfig;

/// Page faults of this thread that no disk had to serve. Nothing is allocated for the answer: a heap that grows for it would be
/// one of them.
fn faults() -> u64 {
    let mut stat = [0; 1024];
    let len = File::open("/proc/thread-self/stat").and_then(|mut file| file.read(&mut stat)).expect("Linux has it");
    let stat = std::str::from_utf8(&stat[..len]).expect("letters and numbers");
    // Behind the name, which may have anything in it, come the state and eleven numbers.
    let (_, numbers) = stat.rsplit_once(')').expect("a name in brackets");
    numbers.split_whitespace().nth(7).expect("minflt").parse().expect("a number")
}

/// A worker opens as many sessions as its table has room for, and lets them end: it meets no page that is not there.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_worker_that_fills_its_table_has_no_page_fault() {
    const FLOWS: u32 = 1 << 16;
    let setup = Setup { sessions: FLOWS, ..Setup::ipip() };
    let memory = MemoryConfig { slots: 256, huge_pages: false, ..Default::default() };
    let mut router = MemoryRouter::new(1, memory, setup.parts(), |napt| setup.snapshot(napt)).expect("a router");
    let mut now = Time(1_000_000_000);
    let turns = |router: &mut MemoryRouter, now: Time, many: usize| {
        let before = faults();
        (0..many).for_each(|_| _ = router.turn(now));
        faults() - before
    };
    let end = |n: u32| (Ipv4Addr::from(0x0b00_0000 + (n >> 4)).octets(), 1000 + (n & 15) as u16);
    let mut met = 0;
    // A few flows first, from beginning to end: they have the program itself read in, wherever in its file it lies.
    for flows in [128, FLOWS] {
        met = 0;
        for n in 0..flows {
            router.wires[0][LAN.index()].deliver(&from_lan(&udp((CLIENT, 40000), end(n), b"x")));
            if n % 64 == 63 {
                met += turns(&mut router, now, 2);
                router.wires[0][WAN.index()].collect(|_| ());
            }
        }
        let napt = router.napt.clone().expect("it has one");
        assert!(napt.stats().live > flows - 64, "{:?}", napt.stats());
        now.0 += 400_000_000_000;
        met += turns(&mut router, now, FLOWS as usize / 16);
        assert_eq!(napt.stats().live, 0);
    }
    assert_eq!(met, 0, "page faults while carrying");
}
