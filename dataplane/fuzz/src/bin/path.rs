//! Any frames into either side of a router, and of its twin without the fast path: both do the same,
//! received = sum of verdicts + held, no buffer is lost or there twice, and what leaves fits its link and
//! has right lengths and IPv4 header checksums, and right transport checksums where those that came in
//! were right. Now and then an input is played twice: the same comes of it.
#![no_main]
// Every target uses another part of what the tests share.
#![allow(dead_code)]

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use hikyaku_dataplane::filter6;
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::rules::{Action, Address, Rule, Zone};
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_ring::Headroom;
use libfuzzer_sys::fuzz_target;
use pair::Pair;
use router::{HOSTS, LAN, Setup, WAN, filtering, rule_from};

#[path = "../arrivals.rs"]
mod arrivals;
#[path = "../bytes.rs"]
mod bytes;
#[path = "../pair.rs"]
mod pair;
#[path = "../../../tests/common/router.rs"]
mod router;
#[path = "../../../tests/common/twins.rs"]
mod twins;

/// More frames than that are another input.
const MOST_FRAMES: usize = 8;

/// Of the two bytes that an input begins with: it is played twice.
const TWICE: [u8; 2] = [0xc0, 0x80];

/// What of a router stays as it was made, a bit each; by them they are kept.
mod shape {
    pub const OPEN: u8 = 1;
    pub const HEADROOM: u8 = 2;
    pub const TWO_REGIONS: u8 = 4;
    pub const LAN_VLAN: u8 = 8;
    pub const WAN_VLAN: u8 = 0x10;
    pub const FEW_SLOTS: u8 = 0x20;
    pub const NUMBER: usize = 0x40;
}

/// What a snapshot says, a bit each; and whether transport checksums are made right.
mod world {
    pub const DSLITE: u8 = 1;
    pub const FRAGMENT: u8 = 2;
    pub const COPY_CLASS: u8 = 4;
    pub const NARROW: u8 = 8;
    pub const REPLAY: u8 = 0x10;
    pub const NATIVE6: u8 = 0x20;
    pub const ALL: u8 = 0x3f;
    pub const RIGHT: u8 = 0x40;
}

/// A burst: a bit each, and the number of its frames, less one, in the others.
mod burst {
    pub const WAN: u8 = 1;
    /// As they are, whatever VLAN the link is.
    pub const BARE: u8 = 2;
    pub const LATER: u8 = 4;
    pub const FRAMES: u8 = 0x18;
}

thread_local! {
    static PAIRS: RefCell<[Option<Box<Pair>>; shape::NUMBER]> = const { RefCell::new([const { None }; shape::NUMBER]) };
}

fn setup(shape: u8, world: u8) -> Setup {
    let vlan = |bit| (shape & bit != 0).then_some(10);
    Setup {
        napt: world & world::DSLITE == 0,
        filtering: match shape & shape::OPEN {
            0 => Filtering::AddressAndPortDependent,
            _ => Filtering::EndpointIndependent,
        },
        answer_unsolicited: shape & shape::OPEN == 0,
        mtu: match world & world::FRAGMENT {
            0 => MtuMode::Strict { mtu: 1460 },
            _ => MtuMode::Fragment { mtu: 1500 },
        },
        class: match world & world::COPY_CLASS {
            0 => ClassMode::default(),
            _ => ClassMode { dscp: Dscp::Copy, ecn: EcnMode::Normal },
        },
        headroom: if shape & shape::HEADROOM != 0 { Headroom::new(64, 8) } else { Headroom::NONE },
        two_regions: shape & shape::TWO_REGIONS != 0,
        lan_mtu: if world & world::NARROW != 0 { 200 } else { 1500 },
        replay: world & world::REPLAY != 0,
        native6: (world & world::NATIVE6 != 0).then(|| filter6::Config { per_station: Some(64), ..filtering() }),
        rules: if world & world::NATIVE6 != 0 { rules() } else { Vec::new() },
        vlans: [vlan(shape::LAN_VLAN), vlan(shape::WAN_VLAN)],
        slots: if shape & shape::FEW_SLOTS != 0 { 4 } else { 10 },
        ..Setup::ipip()
    }
}

fuzz_target!(|input: &[u8]| {
    let [shape, world] = Bytes(input).array();
    let twice = [shape & TWICE[0], world & TWICE[1]] == TWICE;
    PAIRS.with_borrow_mut(|pairs| {
        let kept = &mut pairs[usize::from(shape) % shape::NUMBER];
        // The tables are there even where nobody uses them just now.
        let new = || Box::new(Pair::new(&setup(shape, world & !world::DSLITE | world::NATIVE6)));
        let mut pair = kept.take().filter(|pair| !pair.is_old()).unwrap_or_else(new);
        let sum = play(&mut pair, Bytes(input), twice);
        if twice {
            assert_eq!(sum, play(&mut pair, Bytes(input), true), "the same input, and something else came of it");
        }
        *kept = Some(pair);
    });
});

/// One host may be reached, one may not speak, and some are told.
fn rules() -> Vec<Rule> {
    let to = |host, action| Rule { destination: vec![Address::InterfaceId(host)], ..rule_from(Zone::Wan, action) };
    let ports = |ports, action| Rule { ports: vec![ports], ..rule_from(HOSTS, action) };
    vec![
        to(0xb, Action::Accept),
        to(0xa, Action::Reject),
        ports((25, 25), Action::Reject),
        ports((0x8000, 0x8fff), Action::Drop),
    ]
}

fn play(pair: &mut Pair, mut input: Bytes, summing: bool) -> u64 {
    let [shape, world] = input.array();
    pair.begin(usize::from(world & world::ALL), summing, || setup(shape, world));
    let checksums = (world & world::DSLITE == 0, world & world::RIGHT != 0);
    let mut left = MOST_FRAMES;
    while !input.is_over() && left > 0 {
        let burst = input.byte();
        let (is_wan, bare) = (burst & burst::WAN != 0, burst & burst::BARE != 0);
        if burst & burst::LATER != 0 {
            pair.advance(Duration::from_millis(u16::from_be_bytes(input.array()).into()));
        }
        let side = if is_wan { WAN } else { LAN };
        let frames = (usize::from(burst & burst::FRAMES) / 8 + 1).min(left);
        left -= frames;
        for _ in 0..frames {
            pair.arrive(side, bare, |bytes| arrivals::next(&mut input, checksums, is_wan, bytes));
        }
        pair.play(side);
    }
    pair.finish()
}
