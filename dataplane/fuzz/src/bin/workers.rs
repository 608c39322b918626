//! Any frames into any queue of a router of several workers, which take their turns in any order: what each received or
//! took over is what came of it, what was handed off was received, no buffer is lost or there twice, what is held
//! ends, and what leaves has right lengths and header checksums.
#![no_main]
// Every target uses another part of what the tests share.
#![allow(dead_code)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use arbitrary::Arbitrary;
use arrivals::{Arrival, made};
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_dataplane::worker::Config;
use hikyaku_ring::Headroom;
use libfuzzer_sys::fuzz_target;
use router::{LAN, Setup, WAN};
use several::Several;
use twins::may_leave;

#[path = "../arrivals.rs"]
mod arrivals;
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

#[derive(Arbitrary, Debug)]
struct Input {
    napt: bool,
    headroom: bool,
    three: bool,
    keep: Keep,
    few_slots: bool,
    right: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Keep {
    Usual,
    None,
    Half,
    All,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Frames { wan: bool, queue: u8, frames: Vec<Arrival> },
    Turn(u8),
    Milliseconds(u16),
}

/// What of a router stays as it was made: NAPT, headroom, number of workers, flows kept, slots of a handoff ring.
type Shape = (bool, bool, usize, Keep, u32);

/// Inputs after which a router is made anew, so that its clock does not run out and its secrets change.
const LIFE: u32 = 2000;

/// Longer than anything is held.
const ALL_IS_OVER: Duration = Duration::from_secs(60);

thread_local! {
    static KEPT: RefCell<HashMap<Shape, (u32, Several)>> = RefCell::default();
}

fuzz_target!(|input: Input| {
    let shape =
        (input.napt, input.headroom, if input.three { 3 } else { 2 }, input.keep, if input.few_slots { 3 } else { 64 });
    KEPT.with_borrow_mut(|kept| {
        let (age, several) = kept.entry(shape).or_insert_with(|| (0, router(shape)));
        *age += 1;
        if *age > LIFE {
            (*age, *several) = (0, router(shape));
        }
        play(several, &input);
    });
});

fn router((napt, headroom, workers, keep, slots): Shape) -> Several {
    let setup = Setup {
        napt,
        headroom: if headroom { Headroom::new(64, 8) } else { Headroom::NONE },
        mtu: MtuMode::Fragment { mtu: 1500 },
        slots: 32,
        ..Setup::ipip()
    };
    let keep_flows = match keep {
        Keep::Usual => None,
        Keep::None => Some(0),
        Keep::Half => Some(50),
        Keep::All => Some(100),
    };
    Several::with(&setup, workers, slots, Config { keep_flows, ..Config::default() })
}

fn play(several: &mut Several, input: &Input) {
    for step in &input.steps {
        match step {
            Step::Frames { wan, queue, frames } => {
                let link = if *wan { WAN } else { LAN };
                let queue = usize::from(*queue) % several.workers.len();
                for arrival in frames {
                    let frame = made((input.napt, input.right), *wan, arrival);
                    several.wires[queue][link.index()].deliver(&frame);
                }
            }
            Step::Turn(worker) => {
                let (worker, now) = (usize::from(*worker) % several.workers.len(), several.now);
                several.workers[worker].turn(now);
            }
            Step::Milliseconds(n) => several.now = several.now + Duration::from_millis((*n).into()),
        }
    }
    several.settle();
    several.now = several.now + ALL_IS_OVER;
    several.settle();
    for link in [LAN, WAN] {
        for frame in several.left(link).iter().flatten() {
            assert!(may_leave(frame), "this left: {frame:02x?}");
        }
    }
    let totals = several.totals();
    assert_eq!(totals.held, 0);
    assert_eq!(totals.verdict(Verdict::HandedOff), totals.event(Event::HandoffReceived));
    several.check_buffers();
}
