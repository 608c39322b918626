//! The reassembler against a model of RFC 8200 4.5 that keeps bytes in a map and forgets nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hikyaku_dataplane::tunnel::reassembly::Limits;
use hikyaku_dataplane::verdict::Reason;
use proptest::prelude::*;

use super::reassembly::{Bench, Got, piece};

#[derive(Clone, Debug)]
struct Part {
    id: u32,
    offset: usize,
    more: bool,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Datagram {
    bytes: BTreeMap<usize, u8>,
    parts: Vec<(usize, bool, Vec<u8>)>,
    len: Option<usize>,
    dead: bool,
}

#[derive(Default)]
struct Model {
    datagrams: HashMap<u32, Datagram>,
}

impl Model {
    /// What must become of the part, and how many held ones are lost with it.
    fn push(&mut self, part: &Part) -> (Got, usize) {
        const BAD: Got = Got::Bad(Reason::ReassemblyBad);
        if part.payload.is_empty()
            || part.more && !part.payload.len().is_multiple_of(8)
            || part.offset == 0 && part.payload.len() < 20
        {
            return (BAD, 0);
        }
        if part.offset == 0 && !part.more {
            return (Got::Whole { packet: part.payload.clone(), class: 0, fragments: 1 }, 0);
        }
        let datagram = self.datagrams.entry(part.id).or_default();
        if datagram.dead {
            return (BAD, 0);
        }
        let this = (part.offset, part.more, part.payload.clone());
        if datagram.parts.contains(&this) {
            return (Got::Bad(Reason::ReassemblyDuplicate), 0);
        }
        let end = part.offset + part.payload.len();
        let overlaps = (part.offset..end).any(|at| datagram.bytes.contains_key(&at));
        let past = datagram.len.is_some_and(|len| end > len || !part.more);
        let early = !part.more && datagram.bytes.keys().any(|&at| at >= end);
        if overlaps || past || early {
            datagram.dead = true;
            return (BAD, std::mem::take(&mut datagram.parts).len());
        }
        datagram.bytes.extend((part.offset..).zip(part.payload.iter().copied()));
        datagram.parts.push(this);
        if !part.more {
            datagram.len = Some(end);
        }
        if datagram.len != Some(datagram.bytes.len()) {
            return (Got::Held, 0);
        }
        let whole = self.datagrams.remove(&part.id).unwrap();
        let packet = whole.bytes.into_values().collect();
        (Got::Whole { packet, class: 0, fragments: whole.parts.len() as u32 }, 0)
    }

    fn held(&self) -> u64 {
        self.datagrams.values().map(|d| d.parts.len() as u64).sum()
    }
}

/// The parts of an honest datagram: cut at multiples of eight, at most six pieces.
fn honest(id: u32) -> impl Strategy<Value = Vec<Part>> {
    (24usize..400, prop::collection::btree_set(3usize..50, 1..6), any::<u8>()).prop_map(move |(len, cuts, seed)| {
        let payload: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
        let mut parts = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().map(|c| c * 8).filter(|&c| c < len) {
            parts.push(Part { id, offset: from, more: true, payload: payload[from..to].to_vec() });
            from = to;
        }
        parts.push(Part { id, offset: from, more: false, payload: payload[from..].to_vec() });
        parts
    })
}

/// Any part at all, small enough to meet others.
fn stray(ids: u32) -> impl Strategy<Value = Part> {
    (0..ids, 0usize..40, any::<bool>(), 0usize..60, any::<bool>(), any::<u8>()).prop_map(
        |(id, offset, more, len, eights, fill)| {
            let len = if eights { len & !7 } else { len };
            Part { id, offset: offset * 8, more, payload: vec![fill; len] }
        },
    )
}

/// Honest datagrams, some parts twice, some lost, some strays, in any order.
fn traffic(ids: u32) -> impl Strategy<Value = Vec<Part>> {
    let honest: Vec<_> = (0..ids).map(honest).collect();
    (honest, prop::collection::vec(stray(ids), 0..6)).prop_flat_map(|(datagrams, strays)| {
        let parts: Vec<Part> = datagrams.into_iter().flatten().collect();
        let n = parts.len();
        (
            Just(parts),
            Just(strays),
            prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        )
            .prop_flat_map(move |(mut parts, strays, twice, lost)| {
                let again: Vec<_> = twice.iter().map(|i| parts[i.index(n)].clone()).collect();
                for i in lost {
                    if !parts.is_empty() {
                        parts.remove(i.index(parts.len()));
                    }
                }
                parts.extend(again);
                parts.extend(strays);
                Just(parts).prop_shuffle()
            })
    })
}

fn bytes_of(part: &Part) -> Vec<u8> {
    piece(0, 4, part.id, part.offset, part.more, &part.payload)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn as_the_model_says(parts in traffic(6)) {
        let (mut bench, mut model) = (Bench::new(Limits::default()), Model::default());
        for part in &parts {
            let (expected, lost) = model.push(part);
            prop_assert_eq!(bench.push(&bytes_of(part)), expected, "{:?}", part);
            let released: u32 = bench.released.drain(..).map(|(_, n)| n).sum();
            prop_assert_eq!(released as usize, lost);
            prop_assert_eq!(bench.all.held(), model.held());
        }
    }

    #[test]
    fn honest_datagrams_all_arrive_in_any_order(
        parts in prop::collection::vec(Just(()), 8).prop_flat_map(|v| {
            (0..v.len() as u32).map(honest).collect::<Vec<_>>()
        }).prop_flat_map(|d| Just(d.concat()).prop_shuffle())
    ) {
        let mut bench = Bench::new(Limits { datagrams: 8, ..Limits::default() });
        let (mut whole, mut frames) = (0, 0);
        for part in &parts {
            match bench.push(&bytes_of(part)) {
                Got::Held => (),
                Got::Whole { fragments, packet, .. } => {
                    let seed = packet[0];
                    prop_assert!(packet.iter().enumerate().all(|(i, &b)| b == (i as u8).wrapping_mul(31).wrapping_add(seed)));
                    whole += 1;
                    frames += fragments;
                }
                bad => prop_assert!(false, "{bad:?}"),
            }
        }
        prop_assert_eq!((whole, frames as usize, bench.all.held()), (8, parts.len(), 0));
    }

    /// Received = verdicts + held, however small the table and whatever the time.
    #[test]
    fn every_frame_is_counted_once(
        parts in traffic(12), datagrams in 1u16..6, waits in prop::collection::vec(0u64..900, 0..120)
    ) {
        let mut bench = Bench::new(Limits { datagrams, max_len: 256, ..Limits::default() });
        let (mut received, mut verdicts) = (0, 0);
        let mut waits = waits.into_iter();
        for part in &parts {
            bench.wait(Duration::from_millis(waits.next().unwrap_or(0)));
            received += 1;
            match bench.push(&bytes_of(part)) {
                Got::Held => (),
                Got::Bad(_) => verdicts += 1,
                Got::Whole { fragments, .. } => verdicts += u64::from(fragments),
            }
            verdicts += bench.released.drain(..).map(|(_, n)| u64::from(n)).sum::<u64>();
            prop_assert_eq!(received, verdicts + bench.all.held());
        }
        bench.all.drain(|reason, n| bench.released.push((reason, n)));
        verdicts += bench.released.drain(..).map(|(_, n)| u64::from(n)).sum::<u64>();
        prop_assert_eq!((received, bench.all.held()), (verdicts, 0));
    }
}
