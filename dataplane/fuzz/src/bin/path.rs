//! Any frames into either side of a router, and of its twin without the fast path: both do the same,
//! received = sum of verdicts + held, no buffer is lost or there twice, and what leaves fits its link and
//! has right lengths and IPv4 header checksums, and right transport checksums where those that came in
//! were right.
//!
//! Routers are kept from one input to the next, made hours older in between: to build one takes longer
//! than a hundred inputs do.
#![no_main]

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use arbitrary::Arbitrary;
use arrivals::{Arrival, made};
use hikyaku_dataplane::filter6::{self, Host, Pinhole};
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_ring::Headroom;
use libfuzzer_sys::fuzz_target;
use router::{LAN, Setup, WAN, filtering};
use twins::Twins;

#[path = "../arrivals.rs"]
mod arrivals;
#[allow(dead_code)]
#[path = "../../../tests/common/router.rs"]
mod router;
#[path = "../../../tests/common/twins.rs"]
mod twins;

#[derive(Arbitrary, Debug)]
struct Input {
    napt: bool,
    open: bool,
    fragment: bool,
    copy_class: bool,
    headroom: bool,
    two_regions: bool,
    narrow: bool,
    replay: bool,
    native6: bool,
    vlans: [bool; 2],
    /// Make transport checksums right.
    right: bool,
    slots: u8,
    bursts: Vec<Burst>,
}

#[derive(Arbitrary, Debug)]
struct Burst {
    wan: bool,
    /// As they are, whatever VLAN the link is.
    bare: bool,
    milliseconds: u16,
    frames: Vec<Arrival>,
}

/// What of a router stays as it was made: filtering, headroom, regions, VLANs, slots.
type Shape = (bool, bool, bool, [bool; 2], u32);

/// Inputs after which routers are made anew, so that their clocks do not run out and their secrets change.
const LIFE: u32 = 2000;

thread_local! {
    static KEPT: RefCell<HashMap<Shape, (u32, Twins)>> = RefCell::default();
}

fuzz_target!(|input: Input| {
    let setup = Setup {
        napt: input.napt,
        filtering: if input.open { Filtering::EndpointIndependent } else { Filtering::AddressAndPortDependent },
        answer_unsolicited: !input.open,
        mtu: if input.fragment { MtuMode::Fragment { mtu: 1500 } } else { MtuMode::Strict { mtu: 1460 } },
        class: if input.copy_class {
            ClassMode { dscp: Dscp::Copy, ecn: EcnMode::Normal }
        } else {
            ClassMode::default()
        },
        headroom: if input.headroom { Headroom::new(64, 8) } else { Headroom::NONE },
        two_regions: input.two_regions,
        lan_mtu: if input.narrow { 200 } else { 1500 },
        replay: input.replay,
        vlans: input.vlans.map(|tagged| tagged.then_some(10)),
        native6: input.native6.then(|| filter6::Config {
            pinholes: vec![Pinhole { host: Host::Id(0xb), protocol: None, ports: (0, u16::MAX) }],
            per_station: Some(64),
            ..filtering()
        }),
        slots: [5, 32][usize::from(input.slots % 2)],
        ..Setup::ipip()
    };
    KEPT.with_borrow_mut(|kept| {
        let shape = (input.open, input.headroom, input.two_regions, input.vlans, setup.slots);
        // The table is there even where no NAPT uses it just now.
        let native6 = setup.native6.clone().or(Some(filtering()));
        let new = || (0, Twins::new(&Setup { napt: true, native6: native6.clone(), ..setup.clone() }));
        let (age, twins) = kept.entry(shape).or_insert_with(new);
        *age += 1;
        if *age > LIFE {
            (*age, *twins) = new();
        }
        twins.renew(&setup);
        play(twins, &input);
    });
});

fn play(twins: &mut Twins, input: &Input) {
    for burst in &input.bursts {
        let frames: Vec<_> = burst.frames.iter().map(|a| made((input.napt, input.right), burst.wan, a)).collect();
        let time = Duration::from_millis(burst.milliseconds.into());
        let side = if burst.wan { WAN } else { LAN };
        let played = twins.wait(time).and_then(|()| match burst.bare {
            true => twins.play_as_it_is(side, &frames),
            false => twins.play(side, &frames),
        });
        played.unwrap_or_else(|difference| panic!("{difference}"));
    }
    twins.finish().unwrap_or_else(|difference| panic!("{difference}"));
}
