//! Instructions per burst, counted by callgrind: `scripts/test count`.
//!
//! One turn of a worker with a whole batch of ordinary 60-byte frames of 1024 flows. Everything
//! around it, opening the flows and writing the frames among it, is not counted. The count is the
//! same every time for the same program; another compiler or C library makes another program.
//!
//! # Limits
//!
//! The constants below are instructions per packet of commit 770e832, before the code was divided into crates; 0.5 % more
//! are allowed, so that small costs do not add up unseen. Where a change costs more for a good reason, or saves
//! something worth keeping, divide "Instructions" of `scripts/test count` by 256 and write that here, in the same commit.
//! Another compiler has another base: count it, too.

#![allow(missing_docs)] // gungraun's macros make items without

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use hikyaku_bench::rig::{Mode, Rig, Shape};
use hikyaku_bench::shape::PacketShape;
use hikyaku_dataplane::napt::Direction::{self, Inbound, Outbound};
use hikyaku_net::packet::Tcp;
use hikyaku_ring::memory::MemoryConfig;

/// Packets of a burst.
const BURST: u32 = 256;
const FLOWS: u32 = 1024;

/// The most instructions of a burst: so many per packet, and 0.5 % more.
const fn limit(base: f64) -> u64 {
    (base * 1.005 * BURST as f64) as u64
}

const IPIP_OUTBOUND: u64 = limit(455.3);
const IPIP_INBOUND: u64 = limit(487.3);
const DSLITE_OUTBOUND: u64 = limit(343.4);
const DSLITE_INBOUND: u64 = limit(324.4);
// Native IPv6 came later: its limits are those of the commit that brought it.
const IPV6_OUTBOUND: u64 = limit(402.5);
const IPV6_INBOUND: u64 = limit(446.4);
const OPENING: u64 = limit(2025.6);

fn config(limit: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, limit)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn rig(mode: Mode) -> Box<Rig> {
    let memory = MemoryConfig { slots: 512, huge_pages: false, ..Default::default() };
    let shape = Shape {
        mode,
        packets: PacketShape::Plain,
        frame: 60,
        flows: FLOWS,
        table: FLOWS,
        memory,
        worker: Default::default(),
        workers: 1,
    };
    Box::new(Rig::new(shape).expect("a small one"))
}

/// A burst of established flows waits.
fn established(mode: Mode, way: Direction) -> (Box<Rig>, Direction) {
    let mut rig = rig(mode);
    rig.open(|_| ()).expect("flows open");
    rig.lap(&[way]).expect("a lap to warm up");
    let flows = rig.walk(BURST);
    rig.deliver(&[way], Tcp::ACK, flows);
    (rig, way)
}

/// A burst of first packets waits.
fn unopened() -> (Box<Rig>, Direction) {
    let mut rig = rig(Mode::Ipip);
    rig.reopen().expect("flows open");
    rig.expire().expect("and end");
    rig.deliver(&[Outbound], Tcp::SYN, 0..BURST);
    (rig, Outbound)
}

/// Not counted: did all of it happen?
fn all_left((mut rig, way): (Box<Rig>, Direction)) {
    let of = |other| if way == other { BURST as usize } else { 0 };
    rig.collect(of(Outbound), of(Inbound)).expect("one turn forwards a burst");
    rig.check_counters().expect("and counts it");
}

#[library_benchmark]
#[bench::ipip_outbound(args = (Mode::Ipip, Outbound), setup = established, teardown = all_left, config = config(IPIP_OUTBOUND))]
#[bench::ipip_inbound(args = (Mode::Ipip, Inbound), setup = established, teardown = all_left, config = config(IPIP_INBOUND))]
#[bench::dslite_outbound(args = (Mode::Dslite, Outbound), setup = established, teardown = all_left, config = config(DSLITE_OUTBOUND))]
#[bench::dslite_inbound(args = (Mode::Dslite, Inbound), setup = established, teardown = all_left, config = config(DSLITE_INBOUND))]
#[bench::ipv6_outbound(args = (Mode::Ipv6, Outbound), setup = established, teardown = all_left, config = config(IPV6_OUTBOUND))]
#[bench::ipv6_inbound(args = (Mode::Ipv6, Inbound), setup = established, teardown = all_left, config = config(IPV6_INBOUND))]
#[bench::opening(args = (), setup = unopened, teardown = all_left, config = config(OPENING))]
fn burst((mut rig, way): (Box<Rig>, Direction)) -> (Box<Rig>, Direction) {
    rig.turn();
    (rig, way)
}

library_benchmark_group!(name = turn, benchmarks = burst);
main!(library_benchmark_groups = turn);
