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
use hikyaku_bench::shape::CUT;
use hikyaku_bench::shape::PacketShape::{self, EncapLimit, FragmentIn, FragmentOut};
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
// Native IPv6 came later, with 402.5 and 446.4, before there were two loops for the tunnel beside it (docs/performance.md): to be
// won back.
const IPV6_OUTBOUND: u64 = limit(404.5);
const IPV6_INBOUND: u64 = limit(469.2);
const OPENING: u64 = limit(2025.6);
// Per frame, of what is cut per frame that leaves.
const IPIP_ENCAP_LIMIT: u64 = limit(522.4);
const DSLITE_ENCAP_LIMIT: u64 = limit(326.3);
const IPIP_FRAGMENT_OUT: u64 = limit(442.8);
const DSLITE_FRAGMENT_OUT: u64 = limit(392.0);
const IPIP_FRAGMENT_IN: u64 = limit(741.9);
const DSLITE_FRAGMENT_IN: u64 = limit(532.2);

fn config(limit: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, limit)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn rig(mode: Mode, packets: PacketShape) -> Box<Rig> {
    let memory = MemoryConfig { slots: 512, huge_pages: false, ..Default::default() };
    let frame = if packets.is_cut() { CUT } else { 60 };
    let shape = Shape {
        mode,
        packets,
        rules: 0,
        frame,
        flows: FLOWS,
        table: FLOWS,
        memory,
        worker: Default::default(),
        workers: 1,
    };
    Box::new(Rig::new(shape).expect("a small one"))
}

/// A router, the way in which packets wait, and how many.
type Waiting = (Box<Rig>, Direction, u32);

/// A burst of established flows waits.
fn established(mode: Mode, way: Direction) -> Waiting {
    shaped(mode, PacketShape::Plain, way)
}

/// A burst of established flows waits, in this shape: half as many packets where each is two frames.
fn shaped(mode: Mode, packets: PacketShape, way: Direction) -> Waiting {
    let mut rig = rig(mode, packets);
    rig.open(|_| ()).expect("flows open");
    rig.lap(&[way]).expect("a lap to warm up");
    let waiting = BURST / packets.frames_out();
    let flows = rig.walk(waiting);
    rig.deliver(&[way], Tcp::ACK, flows);
    (rig, way, waiting)
}

/// A burst of first packets waits.
fn unopened() -> Waiting {
    let mut rig = rig(Mode::Ipip, PacketShape::Plain);
    rig.reopen().expect("flows open");
    rig.expire().expect("and end");
    rig.deliver(&[Outbound], Tcp::SYN, 0..BURST);
    (rig, Outbound, BURST)
}

/// Not counted: did all of it happen?
fn all_left((mut rig, way, waiting): Waiting) {
    let of = |other| if way == other { waiting as usize } else { 0 };
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
#[bench::ipip_encap_limit(args = (Mode::Ipip, EncapLimit, Inbound), setup = shaped, teardown = all_left, config = config(IPIP_ENCAP_LIMIT))]
#[bench::dslite_encap_limit(args = (Mode::Dslite, EncapLimit, Inbound), setup = shaped, teardown = all_left, config = config(DSLITE_ENCAP_LIMIT))]
#[bench::ipip_fragment_out(args = (Mode::Ipip, FragmentOut, Outbound), setup = shaped, teardown = all_left, config = config(IPIP_FRAGMENT_OUT))]
#[bench::dslite_fragment_out(args = (Mode::Dslite, FragmentOut, Outbound), setup = shaped, teardown = all_left, config = config(DSLITE_FRAGMENT_OUT))]
#[bench::ipip_fragment_in(args = (Mode::Ipip, FragmentIn, Inbound), setup = shaped, teardown = all_left, config = config(IPIP_FRAGMENT_IN))]
#[bench::dslite_fragment_in(args = (Mode::Dslite, FragmentIn, Inbound), setup = shaped, teardown = all_left, config = config(DSLITE_FRAGMENT_IN))]
fn burst((mut rig, way, waiting): Waiting) -> Waiting {
    rig.turn();
    (rig, way, waiting)
}

library_benchmark_group!(name = turn, benchmarks = burst);
main!(library_benchmark_groups = turn);
