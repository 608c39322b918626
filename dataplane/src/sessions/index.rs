//! The index of the session table: cache-line buckets of eight tagged entries, two choices a key.
//!
//! Each [`Kind`] of entry has a part of the buckets for itself, so that packets of one direction walk over
//! no more memory than they need. An entry is in its first choice if that had room: half full (the most it
//! gets) four in a hundred are not, and those cost a second line. Fixed memory, no rehash, and entries stay
//! where they were put; but where both choices are full, once in a thousand insertions into a full table, one entry of
//! them moves to its own other bucket, so that no session is refused while there is a record for it.

use hikyaku_ring::{equal_lanes, prefetch};

use super::SessionId;
use super::hash::{Hash, Kind};
use super::sync::{AtomicU32, AtomicU64, Ordering, Slab, slab};

/// One cache line: eight 16-bit tags, eight session numbers. Tag 0 is a free entry.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(64))]
struct Bucket {
    tags: [AtomicU64; 2],
    ids: [AtomicU32; 8],
    _pad: [u32; 4],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 64);

/// Entries of a bucket as a bit set.
#[derive(Clone, Copy)]
struct Entries(u32);

impl Entries {
    /// The first entry; any when there is none.
    #[inline(always)]
    fn first(self) -> usize {
        self.0.trailing_zeros() as usize % 8
    }
}

impl Iterator for Entries {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        (self.0 != 0).then(|| {
            let entry = self.first();
            self.0 &= self.0 - 1;
            entry
        })
    }
}

impl Bucket {
    /// Entries whose tag is `tag`.
    #[inline(always)]
    fn matching(&self, tag: u16) -> Entries {
        // Acquire: the session and its number were written before the tag.
        Entries(equal_lanes(self.tags.each_ref().map(|word| word.load(Ordering::Acquire)), tag))
    }

    /// Entries that are free.
    fn free(&self) -> Entries {
        self.matching(0)
    }

    fn tag(&self, entry: usize) -> u16 {
        (self.tags[entry / 4].load(Ordering::Relaxed) >> (entry % 4 * 16)) as u16
    }

    fn set_tag(&self, entry: usize, tag: u16) {
        let word = &self.tags[entry / 4];
        let shift = entry % 4 * 16;
        // Only the holder of the table's lock writes, so load and store need not be one step.
        let others = word.load(Ordering::Relaxed) & !(0xffff << shift);
        word.store(others | u64::from(tag) << shift, Ordering::Release);
    }
}

/// The index itself: the buckets of all kinds of key that a table has.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Slab<Bucket>,
    /// Number of buckets of one kind, less one.
    mask: u32,
    /// How often an entry was moved.
    moves: AtomicU32,
}

impl Index {
    /// For so many sessions, a power of two: at most an entry of each of the first `kinds` kinds for each of them,
    /// eight to a bucket, so half full at worst.
    pub fn new(sessions: usize, kinds: usize, huge: bool) -> std::io::Result<Self> {
        assert!(sessions.is_power_of_two() && sessions <= 1 << 24 && (1..=Kind::ALL.len()).contains(&kinds));
        let each = (sessions / 4).max(1);
        Ok(Self { buckets: slab(kinds * each, huge)?, mask: each as u32 - 1, moves: AtomicU32::new(0) })
    }

    /// The number of a part's bucket among all.
    #[inline(always)]
    fn place(&self, part: usize, bucket: usize) -> usize {
        part * (self.mask as usize + 1) + bucket
    }

    /// Both places of a hash, the first choice first.
    #[inline]
    fn places(&self, hash: Hash) -> [usize; 2] {
        [hash.primary(self.mask), hash.secondary(self.mask)].map(|bucket| self.place(hash.part(), bucket))
    }

    pub fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// Asks the cache for the bucket where `hash`, which is of this kind, most likely is.
    #[inline(always)]
    pub fn prefetch(&self, hash: Hash, kind: Kind) {
        prefetch(&self.buckets[self.place(kind.part(), hash.primary(self.mask))]);
    }

    /// Both buckets of `hash`, for one who is going to insert or remove.
    pub fn prefetch_both(&self, hash: Hash) {
        self.places(hash).into_iter().for_each(|place| prefetch(&self.buckets[place]));
    }

    /// The session that most likely belongs to `hash`, which is of this kind, or 0. The caller compares keys.
    #[inline(always)]
    pub fn candidate(&self, hash: Hash, kind: Kind) -> SessionId {
        let bucket = &self.buckets[self.place(kind.part(), hash.primary(self.mask))];
        let entries = bucket.matching(hash.tag());
        // Acquire: the number may be newer than the tag that was read.
        let id = bucket.ids[entries.first()].load(Ordering::Acquire);
        if entries.0 == 0 { 0 } else { id }
    }

    /// The session under `hash` that `is` the wanted one, for whoever does not hold the table's lock.
    pub fn find_settled(&self, hash: Hash, mut is: impl FnMut(SessionId) -> bool) -> Option<SessionId> {
        let mut moves = self.moves.load(Ordering::Acquire);
        loop {
            let found = self.find(hash, &mut is);
            let before = std::mem::replace(&mut moves, self.moves.load(Ordering::Acquire));
            // One that moved meanwhile, from the place looked at last to the first, was seen in neither.
            if found.is_some() || moves == before {
                return found;
            }
        }
    }

    /// The session under `hash` that `is` the wanted one, if its entry does not move meanwhile.
    pub fn find(&self, hash: Hash, mut is: impl FnMut(SessionId) -> bool) -> Option<SessionId> {
        self.places(hash).into_iter().find_map(|place| {
            let bucket = &self.buckets[place];
            bucket.matching(hash.tag()).map(|entry| bucket.ids[entry].load(Ordering::Acquire)).find(|&id| is(id))
        })
    }

    /// Makes `id` findable under `hash`; false when both buckets are full and nothing in them can
    /// move. `hash_of` tells what an entry was put in under. Needs the table's lock.
    pub fn insert(&self, hash: Hash, id: SessionId, hash_of: impl Fn(SessionId, Kind) -> Hash) -> bool {
        self.put(hash, id) || self.make_room(hash, hash_of) && self.put(hash, id)
    }

    fn put(&self, hash: Hash, id: SessionId) -> bool {
        let [primary, secondary] = self.places(hash).map(|place| &self.buckets[place]);
        // The first choice while it has room, so that lookups touch one line.
        let Some((bucket, entry)) = [primary, secondary].into_iter().find_map(|b| Some((b, b.free().next()?))) else {
            return false;
        };
        bucket.ids[entry].store(id, Ordering::Release);
        bucket.set_tag(entry, hash.tag());
        true
    }

    /// Moves an entry of a full bucket of `hash` to its own other bucket. It is there before it is not here any more, and
    /// whoever sees that it is not here sees that something moved: [`Self::find_settled`] looks again.
    #[cold]
    fn make_room(&self, hash: Hash, hash_of: impl Fn(SessionId, Kind) -> Hash) -> bool {
        self.places(hash).into_iter().flat_map(|b| (0..8).map(move |entry| (b, entry))).any(|(b, entry)| {
            let bucket = &self.buckets[b];
            let (id, tag) = (bucket.ids[entry].load(Ordering::Relaxed), bucket.tag(entry));
            let Some(kind) = Kind::of_tag(tag) else { return true };
            let moving = hash_of(id, kind);
            let [first, second] = self.places(moving);
            let other = &self.buckets[first ^ second ^ b];
            let Some(free) = other.free().next() else { return false };
            other.ids[free].store(id, Ordering::Release);
            other.set_tag(free, tag);
            self.moves.store(self.moves.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
            bucket.set_tag(entry, 0);
            true
        })
    }

    /// Takes `id` out. Needs the table's lock.
    pub fn remove(&self, hash: Hash, id: SessionId) {
        let removed = self.entry(hash, id, |bucket, entry| bucket.set_tag(entry, 0));
        debug_assert!(removed, "session {id} is not in the index");
    }

    /// Puts `new` where `old` was, or nothing; if it was there. Needs the table's lock.
    pub fn replace(&self, hash: Hash, old: SessionId, new: Option<SessionId>) {
        self.entry(hash, old, |bucket, entry| match new {
            Some(new) => bucket.ids[entry].store(new, Ordering::Release),
            None => bucket.set_tag(entry, 0),
        });
    }

    fn entry(&self, hash: Hash, id: SessionId, act: impl FnOnce(&Bucket, usize)) -> bool {
        for place in self.places(hash) {
            let bucket = &self.buckets[place];
            let tagged =
                |&entry: &usize| bucket.tag(entry) == hash.tag() && bucket.ids[entry].load(Ordering::Relaxed) == id;
            if let Some(entry) = (0..8).find(tagged) {
                act(bucket, entry);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
impl Index {
    /// How many buckets have 0, 1, … 8 entries.
    pub(crate) fn fullness(&self) -> [usize; 9] {
        let mut counts = [0; 9];
        for bucket in self.buckets.iter() {
            counts[8 - bucket.free().count()] += 1;
        }
        counts
    }
}

#[cfg(all(test, loom))]
mod loom_moves;

#[cfg(test)]
mod tests {
    use super::super::hash::Hasher;
    use super::*;

    const KINDS: [Kind; 4] = Kind::ALL;

    /// An index with room for `n` sessions of four entries each, and the hash of theirs.
    fn index(n: u32, seed: u64) -> (Index, impl Fn(SessionId, Kind) -> Hash) {
        let hasher = Hasher::with_seed([seed, 2, 3, 4]);
        let hash_of = move |i: SessionId, kind| hasher.of(kind, u128::from(i) | (kind as u128) << 64);
        (Index::new(n as usize, 4, false).unwrap(), hash_of)
    }

    /// Always `n` sessions, each with entries of all kinds, the oldest replaced `turns` times over.
    fn fill_and_churn(n: u32, turns: u32, seed: u64) {
        let (index, hash_of) = index(n, seed);
        for i in 1..=n * (turns + 1) {
            for kind in KINDS {
                if i > n {
                    index.remove(hash_of(i - n, kind), i - n);
                }
                assert!(index.insert(hash_of(i, kind), i, &hash_of), "session {i} of {n}, seed {seed}");
            }
            if i == n {
                println!("{n} sessions, buckets by entries: {:?}", index.fullness());
            }
        }
        println!("{n} sessions after {turns} turns: {:?}", index.fullness());
        let live = n * turns + 1..=n * (turns + 1);
        for i in live.clone() {
            for kind in KINDS {
                assert_eq!(index.find(hash_of(i, kind), |id| id == i), Some(i));
            }
        }
        for i in live {
            KINDS.into_iter().for_each(|kind| index.remove(hash_of(i, kind), i));
        }
        assert_eq!(index.fullness()[0], n as usize, "no tag is left");
    }

    #[test]
    fn a_full_table_refuses_nobody_and_forgets_everything() {
        (0..32).for_each(|seed| fill_and_churn(1 << 10, 8, seed));
        fill_and_churn(1 << 16, 4, 99);
    }

    /// Flows that somebody has chosen who knows all but the secret: addresses one after the other, addresses with the
    /// same lower half, and what meets in few buckets under another secret. They fill buckets as random ones do.
    #[test]
    fn chosen_flows_are_as_random_ones() {
        const N: u32 = 1 << 12;
        let key = |addr: u32, kind| u128::from(addr) << 32 | 0x0a0b_0c0d | (kind as u128) << 64;
        let known = Hasher::with_seed([5, 6, 7, 8]);
        let meets = |&addr: &u32| KINDS.iter().any(|&kind| known.of(kind, key(addr, kind)).primary(N / 4 - 1) < 4);
        let random = |n: u32| (u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        let full = |seed, addrs: &[u32]| {
            let hasher = Hasher::with_seed([seed, 2, 3, 4]);
            let hash_of = |id: SessionId, kind| hasher.of(kind, key(addrs[id as usize], kind));
            let index = Index::new(N as usize, 4, false).unwrap();
            for id in 0..N {
                for kind in KINDS {
                    assert!(index.insert(hash_of(id, kind), id, hash_of), "{id}");
                }
            }
            let fullness = index.fullness();
            (fullness[7] + fullness[8], fullness[0] + fullness[1])
        };
        let chosen: [Vec<u32>; 3] = [
            (1..).take(N as usize).collect(),
            (1..=N).map(|n| n << 16).collect(),
            (1..).filter(meets).take(N as usize).collect(),
        ];
        let random: Vec<u32> = (1..=N).map(random).collect();
        for seed in 0..4 {
            // Of 4096 buckets, half full: how many have no room to spare, and how many are nearly empty.
            let (usual_full, usual_empty) = full(seed, &random);
            for addrs in &chosen {
                let (full, empty) = full(seed, addrs);
                println!("seed {seed}: {full} full, {empty} empty; as usual {usual_full}, {usual_empty}");
                assert!(
                    full <= usual_full + usual_full / 2 + 16 && empty <= usual_empty * 2 + 16,
                    "seed {seed}: {full}"
                );
            }
        }
    }

    #[test]
    #[ignore = "half a minute: --release --nocapture shows how many buckets of large tables are full"]
    fn large_tables_refuse_nobody() {
        fill_and_churn(1 << 20, 16, 1);
        fill_and_churn(1 << 23, 2, 2);
    }

    #[test]
    fn full_buckets_make_room() {
        // Far beyond half full: most insertions have to move something.
        for seed in 0..200 {
            let (index, hash_of) = index(16, seed);
            let insert = |&i: &u32| index.insert(hash_of(i, Kind::Outbound), i, &hash_of);
            let taken = (1..=32).take_while(insert).count() as u32;
            assert!(taken >= 16, "seed {seed}: {taken}");
            for i in 1..=taken {
                assert_eq!(index.find(hash_of(i, Kind::Outbound), |id| id == i), Some(i), "seed {seed}");
            }
            (1..=taken).for_each(|i| index.remove(hash_of(i, Kind::Outbound), i));
            assert_eq!(index.fullness()[0], 16, "seed {seed}");
        }
    }

    /// The hash of an entry with these two places; equal tags for equal `n`.
    fn hash_at(n: u64, first: u64, second: u64) -> Hash {
        Hash::from_product((first | second << 24 | (Kind::Outbound as u64) << 48 | n << 51).into())
    }

    /// Two full buckets, 0 and 1. In bucket 0 stands number 9, whose first choice, bucket 2, has room again; a
    /// reader meets number 8 there, which has the same tag. For number 25, which is not in it, number 9 has to move.
    pub(super) fn an_index_in_which_one_must_move() -> (Index, fn(SessionId, Kind) -> Hash) {
        let hash_of: fn(_, _) -> _ = |n: SessionId, _: Kind| match n {
            1..=7 => hash_at(n.into(), 2, 3),
            8 => hash_at(9, 2, 3),
            9 => hash_at(9, 2, 0),
            10..=16 => hash_at(n.into(), 0, 0),
            17..=24 => hash_at(n.into(), 1, 1),
            _ => hash_at(n.into(), 0, 1),
        };
        let of = |n| hash_of(n, Kind::Outbound);
        let index = Index::new(16, 1, false).unwrap();
        assert!((1..=24).all(|n| index.insert(of(n), n, hash_of)));
        index.remove(of(1), 1);
        (index, hash_of)
    }

    /// An entry moves from the place where a reader looks last to the one where it has looked already, in between.
    #[test]
    fn an_entry_that_moves_meanwhile_is_found() {
        let (index, hash_of) = an_index_in_which_one_must_move();
        let of = |n| hash_of(n, Kind::Outbound);
        let mut moved = false;
        let found = index.find_settled(of(9), |id| {
            if !std::mem::replace(&mut moved, true) {
                assert_eq!(id, 8);
                assert!(index.insert(of(25), 25, hash_of), "something has to move for it");
            }
            id == 9
        });
        assert_eq!((found, index.moves.load(Ordering::Relaxed)), (Some(9), 1));
    }

    #[test]
    fn lanes_are_those_that_have_the_tag() {
        let mut x = 1u64;
        for _ in 0..20_000 {
            let bucket = Bucket { tags: Default::default(), ids: Default::default(), _pad: [0; 4] };
            let mut tags = [0u16; 8];
            for (entry, tag) in tags.iter_mut().enumerate() {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                *tag = [0, 0x1233, 0x1234, 0x1235, 1][(x >> 33) as usize % 5];
                bucket.set_tag(entry, *tag);
            }
            let with = |wanted| (0..8).filter(move |&entry: &usize| tags[entry] == wanted);
            for tag in [0, 0x1234] {
                assert!(bucket.matching(tag).eq(with(tag)), "{tags:x?}");
            }
            assert!(bucket.free().eq(with(0)), "{tags:x?}");
        }
    }
}
