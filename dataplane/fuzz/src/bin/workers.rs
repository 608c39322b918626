//! Any frames into any queue of a router of several workers, which take their turns in any order: what each received or
//! took over is what came of it, what was handed off was received, no buffer is lost or there twice, what is held
//! ends, and what leaves has right lengths and header checksums.
#![no_main]
// Every target uses another part of what the tests share.
#![allow(dead_code)]

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::tunnel::reassembly::Limits;
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_dataplane::worker::Config;
use hikyaku_ring::Headroom;
use libfuzzer_sys::fuzz_target;
use router::{LAN, Setup, WAN};
use several::Several;
use twins::may_leave;

#[path = "../arrivals.rs"]
mod arrivals;
#[path = "../bytes.rs"]
mod bytes;
#[path = "../../../tests/common/router.rs"]
mod router;
#[path = "../../../tests/threads/several.rs"]
mod several;
#[path = "../../../tests/common/twins.rs"]
mod twins;
/// As the tests have it.
mod common {
    pub use crate::router::*;
}

/// More steps than that are another input.
const MOST_STEPS: usize = 32;

/// What of a router stays as it was made, a bit each, and how much of the flows a worker keeps; by them they are kept.
mod shape {
    pub const NAPT: u8 = 1;
    pub const HEADROOM: u8 = 2;
    pub const THREE: u8 = 4;
    pub const FEW_SLOTS: u8 = 8;
    pub const KEEP: u8 = 0x30;
    pub const NUMBER: usize = 0x40;
    /// Of the input: make transport checksums right.
    pub const RIGHT: u8 = 0x40;
}

/// Inputs after which a router is made anew: session times are seconds in 32 bits, and its secrets change.
const LIFE: u32 = 1 << 20;

/// Longer than anything is held.
const ALL_IS_OVER: Duration = Duration::from_secs(60);

struct Kept {
    routers: [Option<(u32, Box<Several>)>; shape::NUMBER],
    /// Where a frame is written.
    frame: Vec<u8>,
}

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { routers: [const { None }; shape::NUMBER], frame: Vec::new() }) };
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let shape = input.byte();
    KEPT.with_borrow_mut(|Kept { routers, frame }| {
        let kept = &mut routers[usize::from(shape) % shape::NUMBER];
        let (age, mut several) =
            kept.take().filter(|(age, _)| *age < LIFE).unwrap_or_else(|| (0, Box::new(router(shape))));
        play(&mut several, shape, &mut input, frame);
        *kept = Some((age + 1, several));
    });
});

fn router(shape: u8) -> Several {
    let setup = Setup {
        napt: shape & shape::NAPT != 0,
        headroom: if shape & shape::HEADROOM != 0 { Headroom::new(64, 8) } else { Headroom::NONE },
        mtu: MtuMode::Fragment { mtu: 1500 },
        slots: 16,
        ..Setup::ipip()
    };
    let keep_flows = [None, Some(0), Some(50), Some(100)][usize::from(shape & shape::KEEP) / 16];
    let (workers, slots) =
        (if shape & shape::THREE != 0 { 3 } else { 2 }, if shape & shape::FEW_SLOTS != 0 { 3 } else { 32 });
    let reassembly = Limits { datagrams: 8, ..Limits::default() };
    Several::with(&setup, workers, slots, Config { keep_flows, reassembly, ..Config::default() })
}

fn play(several: &mut Several, shape: u8, input: &mut Bytes, frame: &mut Vec<u8>) {
    let checksums = (shape & shape::NAPT != 0, shape & shape::RIGHT != 0);
    for _ in 0..MOST_STEPS {
        if input.is_over() {
            break;
        }
        let step = input.byte();
        let worker = usize::from(step >> 4 & 3) % several.workers.len();
        match step & 7 {
            0..=4 => {
                let link = if step & 1 != 0 { WAN } else { LAN };
                for _ in 0..step >> 6 {
                    frame.clear();
                    arrivals::next(input, checksums, link == WAN, frame);
                    several.wires[worker][link.index()].deliver(frame);
                }
                frame.clear();
                arrivals::next(input, checksums, link == WAN, frame);
                several.wires[worker][link.index()].deliver(frame);
            }
            5 | 6 => {
                several.workers[worker].turn(several.now);
            }
            _ => several.now = several.now + Duration::from_millis(u16::from_be_bytes(input.array()).into()),
        }
    }
    several.settle();
    several.now = several.now + ALL_IS_OVER;
    several.settle();
    for wire in several.wires.iter_mut().flatten() {
        wire.collect(|frame| assert!(may_leave(frame), "this left: {frame:02x?}"));
    }
    let totals = several.totals();
    assert_eq!(totals.held, 0);
    assert_eq!(totals.verdict(Verdict::HandedOff), totals.event(Event::HandoffReceived));
    several.check_buffers();
}
