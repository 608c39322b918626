//! A lookup beside an insertion that has to make room, under a model checker.

use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use loom::sync::Arc;

use super::tests::an_index_in_which_one_must_move;
use super::*;

/// In how many interleavings a lookup misses an entry that moves to the place where it has looked already.
fn misses(look: fn(&Index, Hash) -> Option<SessionId>) -> u64 {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(4));
    let counts = StdArc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let counted = counts.clone();
    builder.check(move || {
        let (index, hash_of) = an_index_in_which_one_must_move();
        let index = Arc::new(index);
        let writer = {
            let index = index.clone();
            loom::thread::spawn(move || assert!(index.insert(hash_of(25, Kind::Outbound), 25, hash_of)))
        };
        let reader = {
            let index = index.clone();
            loom::thread::spawn(move || look(&index, hash_of(9, Kind::Outbound)))
        };
        let found = reader.join().unwrap();
        writer.join().unwrap();
        assert_eq!(index.moves.load(Ordering::Relaxed), 1);
        for id in 2..=25 {
            assert_eq!(index.find(hash_of(id, Kind::Outbound), |found| found == id), Some(id));
        }
        counted[0].fetch_add(1, Relaxed);
        counted[1].fetch_add(found.is_none().into(), Relaxed);
    });
    let [all, missed] = counts.each_ref().map(|count| count.load(Relaxed));
    println!("{missed} of {all} interleavings missed it");
    missed
}

#[test]
fn an_entry_that_moves_is_missed_by_who_looks_once() {
    assert!(misses(|index, hash| index.find(hash, |id| id == 9)) > 0, "no lookup met the move: nothing is shown");
}

#[test]
fn an_entry_that_moves_is_found_by_who_looks_again() {
    assert_eq!(misses(|index, hash| index.find_settled(hash, |id| id == 9)), 0);
}
