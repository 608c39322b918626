//! The index of the session table: cache-line buckets of eight tagged entries, two choices a key.
//!
//! Fixed memory, no rehash, nothing is ever moved: a reader that finds a tag finds the entry where
//! it was put. Half full (the most it gets) with two choices of eight, both buckets of a key are
//! full about once in 10^13 insertions.

use super::key::Hash;
use super::session::SessionId;
use super::sync::{AtomicU32, AtomicU64, Ordering, Slab, slab};

const LANES: u64 = 0x0001_0001_0001_0001;
const HIGH: u64 = LANES << 15;

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

/// Lanes of a bucket as a bit set: lane `k` of the first word at bit 16k+14, of the second at 16k+15.
#[derive(Clone, Copy)]
struct Lanes(u64);

impl Lanes {
    #[inline(always)]
    fn of(first: u64, second: u64) -> Self {
        Self(first >> 1 | second)
    }

    /// The first lane; 4 when there is none.
    #[inline(always)]
    fn first(self) -> usize {
        let bit = self.0.trailing_zeros() as usize;
        (bit >> 4) & 3 | (bit & 1 | (self.0 == 0) as usize) << 2
    }
}

impl Iterator for Lanes {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        (self.0 != 0).then(|| {
            let lane = self.first();
            self.0 &= self.0 - 1;
            lane
        })
    }
}

impl Bucket {
    /// Lanes whose tag may be `tag`. Every lane that has it is there; a lane above one that has
    /// it may be there without having it (the caller compares keys anyway).
    #[inline(always)]
    fn matching(&self, tag: u16) -> Lanes {
        let find = |word: &AtomicU64| {
            // Acquire: the session and its number were written before the tag.
            let x = word.load(Ordering::Acquire) ^ LANES * u64::from(tag);
            x.wrapping_sub(LANES) & !x & HIGH
        };
        Lanes::of(find(&self.tags[0]), find(&self.tags[1]))
    }

    /// Lanes whose tag is 0, exactly. For the writer.
    fn free(&self) -> Lanes {
        let find = |word: &AtomicU64| {
            let x = word.load(Ordering::Relaxed);
            !((x & !HIGH).wrapping_add(!HIGH) | x | !HIGH)
        };
        Lanes::of(find(&self.tags[0]), find(&self.tags[1]))
    }

    fn set_tag(&self, lane: usize, tag: u16) {
        let word = &self.tags[lane / 4];
        let shift = lane % 4 * 16;
        // Only the holder of the table's lock writes, so load and store need not be one step.
        let others = word.load(Ordering::Relaxed) & !(0xffff << shift);
        word.store(others | u64::from(tag) << shift, Ordering::Release);
    }
}

/// All buckets.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Slab<Bucket>,
    mask: u32,
}

impl Index {
    /// `buckets` buckets, a power of two.
    pub fn new(buckets: usize, huge: bool) -> std::io::Result<Self> {
        assert!(buckets.is_power_of_two() && buckets <= 1 << 24);
        Ok(Self { buckets: slab(buckets, huge)?, mask: buckets as u32 - 1 })
    }

    pub fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// Asks the cache for the bucket where `hash` most likely is.
    #[inline(always)]
    pub fn prefetch(&self, hash: Hash) {
        crate::ring::prefetch(&self.buckets[hash.primary(self.mask)]);
    }

    /// Both buckets of `hash`, for one who is going to insert or remove.
    pub fn prefetch_both(&self, hash: Hash) {
        self.prefetch(hash);
        crate::ring::prefetch(&self.buckets[hash.secondary(self.mask)]);
    }

    /// The session that most likely belongs to `hash`, or 0. The caller compares keys.
    #[inline(always)]
    pub fn candidate(&self, hash: Hash) -> SessionId {
        let bucket = &self.buckets[hash.primary(self.mask)];
        let lanes = bucket.matching(hash.tag());
        // Acquire: the number may be newer than the tag that was read.
        let id = bucket.ids[lanes.first()].load(Ordering::Acquire);
        if lanes.0 == 0 { 0 } else { id }
    }

    /// The session under `hash` that `is` the wanted one.
    pub fn find(&self, hash: Hash, mut is: impl FnMut(SessionId) -> bool) -> Option<SessionId> {
        [hash.primary(self.mask), hash.secondary(self.mask)].into_iter().find_map(|b| {
            let bucket = &self.buckets[b];
            bucket.matching(hash.tag()).map(|lane| bucket.ids[lane].load(Ordering::Acquire)).find(|&id| is(id))
        })
    }

    /// Makes `id` findable under `hash`; false when both buckets are full. Needs the table's lock.
    pub fn insert(&self, hash: Hash, id: SessionId) -> bool {
        let (primary, secondary) = (&self.buckets[hash.primary(self.mask)], &self.buckets[hash.secondary(self.mask)]);
        let (mut free, mut bucket) = (primary.free(), primary);
        // While the first choice has room to spare it is taken, so that lookups touch one line.
        if free.0.count_ones() < 3 && secondary.free().0.count_ones() > free.0.count_ones() {
            (free, bucket) = (secondary.free(), secondary);
        }
        let Some(lane) = free.next() else { return false };
        bucket.ids[lane].store(id, Ordering::Release);
        bucket.set_tag(lane, hash.tag());
        true
    }

    /// Takes `id` out. Needs the table's lock.
    pub fn remove(&self, hash: Hash, id: SessionId) {
        self.entry(hash, id, |bucket, lane| bucket.set_tag(lane, 0));
    }

    /// Puts `new` where `old` was. Needs the table's lock.
    pub fn replace(&self, hash: Hash, old: SessionId, new: SessionId) {
        self.entry(hash, old, |bucket, lane| bucket.ids[lane].store(new, Ordering::Release));
    }

    fn entry(&self, hash: Hash, id: SessionId, act: impl FnOnce(&Bucket, usize)) {
        for b in [hash.primary(self.mask), hash.secondary(self.mask)] {
            let bucket = &self.buckets[b];
            let tagged = |&lane: &usize| {
                let tag = bucket.tags[lane / 4].load(Ordering::Relaxed) >> (lane % 4 * 16);
                tag as u16 == hash.tag() && bucket.ids[lane].load(Ordering::Relaxed) == id
            };
            if let Some(lane) = (0..8).find(tagged) {
                return act(bucket, lane);
            }
        }
        debug_assert!(false, "session {id} is not in the index");
    }
}

#[cfg(test)]
impl Index {
    /// How many buckets have 0, 1, … 8 entries.
    pub(super) fn fullness(&self) -> [usize; 9] {
        let mut counts = [0; 9];
        for bucket in self.buckets.iter() {
            counts[8 - bucket.free().count()] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{Hasher, Key, Kind};
    use super::*;

    const KINDS: [Kind; 4] = [Kind::Outbound, Kind::Inbound, Kind::MappingInside, Kind::MappingOutside];

    fn key(i: u32, kind: Kind) -> Key {
        Key { addrs: u64::from(i), ports: i ^ 0x1234_5678, protocol: 6, kind }
    }

    #[test]
    #[ignore]
    fn sim() {
        for n in [1u32 << 10, 1 << 14, 1 << 18, 1 << 20] {
            let mut refused = 0u64;
            let mut total = 0u64;
            let rounds = ((1u32 << 22) / n).max(1) as u64;
            let mut last = [0; 9];
            for seed in 0..rounds {
                let hasher = Hasher::with_seed([seed, 2, 3, 4]);
                let index = Index::new(n as usize, false).unwrap();
                for i in 1..=n {
                    for kind in KINDS {
                        total += 1;
                        refused += u64::from(!index.insert(hasher.hash(&key(i, kind)), i));
                    }
                }
                last = index.fullness();
                // churn
                if refused == 0 {
                    for i in n + 1..=5 * n {
                        for kind in KINDS {
                            index.remove(hasher.hash(&key(i - n, kind)), i - n);
                            total += 1;
                            refused += u64::from(!index.insert(hasher.hash(&key(i, kind)), i));
                        }
                        if refused > 0 {
                            break;
                        }
                    }
                    println!("after churn {:?}", index.fullness());
                }
            }
            println!("{n}: {refused} of {total}, {last:?}");
        }
    }
}
