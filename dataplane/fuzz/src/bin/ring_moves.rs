//! Two links joined by a worker that does whatever the input says with the frames it receives:
//! what comes out of the second must be what a model of it says, whatever the shape of the rings.
#![no_main]

use std::collections::{BTreeSet, VecDeque};

use arbitrary::Arbitrary;
use hikyaku_ring::memory::{MemoryConfig, links};
use hikyaku_ring::{HEAD, Headroom, Vlan};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    slots: u8,
    headroom: bool,
    /// Whether the two links are VLANs.
    vlans: [bool; 2],
    bursts: Vec<Burst>,
}

#[derive(Arbitrary, Debug)]
struct Burst {
    arriving: Vec<(u16, u8)>,
    own: Option<u8>,
    moves: Vec<Move>,
    transmit: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Move {
    Send,
    Drop,
    Pop(u8),
    Push(u8),
}

const BUFFER: usize = 1024;

/// The frame as it is on the wire, where it has a tag; padded by whoever sends it.
fn on_wire(tagged: bool, padded: bool, mut frame: Vec<u8>) -> Vec<u8> {
    if tagged {
        frame.resize(frame.len().max(if padded { 60 } else { 0 }), 0);
        frame.splice(12..12, [0x81, 0, 0, 7]);
    }
    frame
}

fuzz_target!(|input: Input| {
    let headroom = if input.headroom { Headroom::new(64, 4) } else { Headroom::NONE };
    let slots = 2 + u32::from(input.slots % 14);
    let config = MemoryConfig { slots, buf_size: BUFFER as u32, headroom, huge_pages: false, ..Default::default() };
    let mut made = links(2, 1, config).expect("two small links");
    let (mut out, mut out_wire) = made.pop().unwrap().pop().unwrap();
    let (mut inn, mut in_wire) = made.pop().unwrap().pop().unwrap();
    let vlan = |tagged: bool| tagged.then(|| Vlan::new(7).expect("a VLAN"));
    inn.set_vlan(vlan(input.vlans[0]));
    out.set_vlan(vlan(input.vlans[1]));
    let mut waiting = VecDeque::new();
    let mut sent = VecDeque::new();

    for burst in &input.bursts {
        for &(len, seed) in &burst.arriving {
            let frame: Vec<u8> = (0..14 + len % 900).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
            let tagged = on_wire(input.vlans[0], false, frame.clone());
            let room = in_wire.room() > 0 && tagged.len() <= config.max_frame();
            assert_eq!(in_wire.deliver(&tagged), room);
            if room {
                waiting.push_back(frame);
            }
        }
        if let Some(len) = burst.own
            && out.tx.originate(len.into(), |to| to.fill(len)).is_ok()
        {
            sent.push_back(on_wire(input.vlans[1], true, vec![len; len.into()]));
        }
        assert_eq!(inn.rx.available() as usize, waiting.len());
        for i in 0..inn.rx.available() {
            if inn.rx.available() > 1 {
                inn.rx.prefetch(1);
            }
            let mut frame = inn.rx.take().expect("the wire fills slots properly");
            let mut expected = waiting.pop_front().expect("as many as are available");
            match burst.moves.get(i as usize).copied().unwrap_or(Move::Drop) {
                Move::Drop => continue,
                Move::Send => {}
                Move::Pop(n) => {
                    let n = usize::from(n).min(expected.len());
                    expected.drain(..n);
                    frame = frame.pop(n);
                }
                Move::Push(n) => {
                    let room = usize::from(n);
                    if frame.headroom() < room {
                        let moved = inn.rx.shift(frame, room);
                        assert_eq!(moved.is_some(), room + frame.len().max(HEAD) <= BUFFER);
                        let Some(moved) = moved else { continue };
                        frame = moved;
                    }
                    frame = frame.push(n.into());
                    inn.rx.bytes(frame)[..room].fill(n);
                    expected.splice(..0, vec![n; room]);
                }
            }
            assert_eq!(inn.rx.bytes(frame), expected);
            assert!(inn.rx.head(frame).starts_with(&expected[..expected.len().min(HEAD)]));
            if out.tx.send(&mut inn.rx, frame).is_ok() {
                sent.push_back(on_wire(input.vlans[1], true, expected));
            }
        }
        inn.rx.release();
        if burst.transmit {
            out.tx.publish();
            out_wire.collect(|frame| assert_eq!(frame, sent.pop_front().expect("no frame of its own making")));
            assert!(sent.is_empty());
        }
    }
    // Buffers were only ever exchanged: none is lost, none is in two places.
    let buffers: BTreeSet<u32> = in_wire.buffers().chain(out_wire.buffers()).collect();
    assert_eq!(buffers.len(), 4 * slots as usize);
});
