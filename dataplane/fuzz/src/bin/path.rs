//! Any frames into either side of a router, and of its twin without fast lanes: both do the same,
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
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::ring::Headroom;
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use libfuzzer_sys::fuzz_target;
use router::{BR, CE, CLIENT, CLIENT_MAC, GATEWAY_MAC, LAN, OUTSIDE, ROUTER_MAC, SERVER, Setup, WAN, WAN_MAC};
use twins::{Twins, internet_sum, repair, repair_transport};

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

#[derive(Arbitrary, Debug)]
struct Arrival {
    kind: Kind,
    /// Bytes of the frame to be changed, and to what.
    changes: Vec<(u8, u8)>,
    /// Make the (inner) IPv4 header checksum right afterwards.
    repair: bool,
    cut: Option<u8>,
    more: u16,
    /// A tag, perhaps the second one.
    tag: Option<[u8; 4]>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    /// These bytes are the frame.
    Frame(Vec<u8>),
    /// This is the IPv4 packet's payload.
    Packet { protocol: Protocol, ports: [u8; 4], hairpin: bool, ttl: u8, fragment: u16, payload: Vec<u8> },
    /// An outer fragment of a packet.
    Piece { id: u8, offset: u8, more: bool, payload: Vec<u8> },
    /// An ICMPv6 error to us that quotes a packet.
    Error { kind: u8, code: u8, word: u32, quote: Box<Kind> },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Other(u8),
}

fn ethernet(wan: bool, payload: &[u8]) -> Vec<u8> {
    let (dst, src, kind) = if wan { (WAN_MAC, GATEWAY_MAC, [0x86, 0xdd]) } else { (ROUTER_MAC, CLIENT_MAC, [8, 0]) };
    [&dst[..], &src, &kind, payload].concat()
}

fn outer(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, len[0], len[1], next, 60];
    [&header[..], &BR.octets(), &CE.octets(), payload].concat()
}

/// An IPv4 packet that a host sends to the LAN link, or to be found in the tunnel.
fn ipv4(napt: bool, wan: bool, kind: &Kind) -> Vec<u8> {
    let Kind::Packet { protocol, ports, hairpin, ttl, fragment, payload } = kind else { return Vec::new() };
    let protocol = match *protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Icmp => 1,
        Protocol::Other(number) => number,
    };
    let inside = if wan && napt { OUTSIDE } else { CLIENT };
    let outside = if *hairpin { OUTSIDE } else { SERVER };
    let (src, dst) = if wan { (outside, inside) } else { (inside, outside) };
    // Few ports, so that sessions meet: the high bytes are the same.
    let transport = match protocol {
        6 | 17 => [&[0x9c, ports[0] & 3, 0x9c, ports[2] & 3][..], payload].concat(),
        1 => [&[ports[0] & 11, ports[1], 0, 0, 0x9c, ports[2] & 3][..], payload].concat(),
        _ => payload.clone(),
    };
    let len = (20 + transport.len() as u16).to_be_bytes();
    let fragment = if fragment & 0x8000 != 0 { (fragment & 0x7fff).to_be_bytes() } else { [0, 0] };
    let header = [0x45, 0, len[0], len[1], 0, 1, fragment[0], fragment[1], *ttl, protocol, 0, 0];
    let mut packet = [&header[..], &src, &dst, &transport].concat();
    repair(&mut packet);
    packet
}

fn frame(napt: bool, wan: bool, kind: &Kind) -> Vec<u8> {
    match kind {
        Kind::Frame(bytes) => bytes.clone(),
        Kind::Packet { .. } if wan => ethernet(true, &outer(4, &ipv4(napt, true, kind))),
        Kind::Packet { .. } => ethernet(false, &ipv4(napt, false, kind)),
        Kind::Piece { id, offset, more, payload } => {
            let offset = (u16::from(*offset) << 3 | u16::from(*more)).to_be_bytes();
            let header = [4, 0, offset[0], offset[1], 0, 0, 0, *id & 3];
            ethernet(true, &outer(44, &[&header[..], payload].concat()))
        }
        Kind::Error { kind, code, word, quote } => {
            // What we sent: the packet as it left, from our end to the far one.
            let mut sent = ipv4(napt, false, quote);
            if napt && sent.len() >= 20 {
                sent[12..16].copy_from_slice(&OUTSIDE);
                repair(&mut sent);
            }
            let mut quoted = outer(4, &sent);
            quoted[8..24].copy_from_slice(&CE.octets());
            quoted[24..40].copy_from_slice(&BR.octets());
            let mut message = [&[kind & 7, *code, 0, 0][..], &word.to_be_bytes(), &quoted].concat();
            let len = (message.len() as u16).to_be_bytes();
            let pseudo = [&BR.octets()[..], &CE.octets(), &[0, 0, len[0], len[1], 0, 0, 0, 58], &message].concat();
            let sum = !internet_sum(&pseudo);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            ethernet(true, &outer(58, &message))
        }
    }
}

fn made(input: &Input, wan: bool, arrival: &Arrival) -> Vec<u8> {
    let mut frame = frame(input.napt, wan, &arrival.kind);
    for &(at, to) in &arrival.changes {
        if let Some(byte) = frame.get_mut(usize::from(at)) {
            *byte = to;
        }
    }
    let ip = if wan { 54 } else { 14 };
    if arrival.repair && frame.len() > ip {
        repair(&mut frame[ip..]);
    }
    if let Some([odd, a, b, c]) = arrival.tag
        && frame.len() >= 12
    {
        let tag = if odd == 0 { [0x88, 0xa8, a, b] } else { [0x81, 0, a & 0xe0, b.wrapping_mul(c & 1) & 15] };
        frame.splice(12..12, tag);
    }
    if let Some(cut) = arrival.cut {
        frame.truncate(cut.into());
    }
    frame.resize((frame.len() + usize::from(arrival.more % 1500) / 4).min(1536), 0xee);
    if input.right && frame.len() > ip {
        repair_transport(&mut frame[ip..]);
    }
    frame
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
        slots: [5, 32][usize::from(input.slots % 2)],
        ..Setup::ipip()
    };
    KEPT.with_borrow_mut(|kept| {
        let shape = (input.open, input.headroom, input.two_regions, input.vlans, setup.slots);
        // The table is there even where no NAPT uses it just now.
        let new = || (0, Twins::new(&Setup { napt: true, ..setup.clone() }));
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
        let frames: Vec<_> = burst.frames.iter().map(|a| made(input, burst.wan, a)).collect();
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
