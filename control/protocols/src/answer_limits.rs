//! How often we answer: a storm of questions is not answered by a storm.

use std::hash::{BuildHasher, Hash, RandomState};

use hikyaku_net::{Limiter, Mac, Time};

/// Answers a second, and at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub u32, pub u32);

/// To all stations together.
const ALL: Rate = Rate(1000, 250);

/// To one station: far more than an honest one asks for.
const STATION: Rate = Rate(50, 25);

/// Those who ask share this many buckets, by a keyed hash: memory is fixed, and nobody can choose an
/// address that shares another station's bucket.
const BUCKETS: usize = 256;

/// A limit for each of those who ask.
#[derive(Debug)]
pub(crate) struct LimitOfEach {
    buckets: Box<[Limiter]>,
    hasher: RandomState,
}

impl LimitOfEach {
    /// Full at first.
    pub fn new(rate: Rate) -> Self {
        Self { buckets: vec![Limiter::new(rate.0, rate.1); BUCKETS].into(), hasher: RandomState::new() }
    }

    /// Whether this one may have an answer now.
    pub fn take(&mut self, now: Time, who: impl Hash) -> bool {
        let bucket = self.bucket(who);
        self.buckets[bucket].take(now)
    }

    fn bucket(&self, who: impl Hash) -> usize {
        self.hasher.hash_one(who) as usize % BUCKETS
    }
}

/// The limits of one link.
#[derive(Debug)]
pub(crate) struct AnswerLimits {
    all: Limiter,
    stations: LimitOfEach,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self::new(ALL, STATION)
    }
}

impl AnswerLimits {
    /// Full at first: `all` is for all stations together, `station` for each of them.
    pub fn new(all: Rate, station: Rate) -> Self {
        Self { all: Limiter::new(all.0, all.1), stations: LimitOfEach::new(station) }
    }

    /// Whether the station `to` may be answered now. One that asks too much uses up nobody else's answers.
    pub fn take(&mut self, now: Time, to: Mac) -> bool {
        self.stations.take(now, to) && self.all.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_station_does_not_use_up_the_answers_of_another() {
        let mut limits = AnswerLimits::default();
        let now = Time(1);
        let (loud, quiet) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        assert_eq!((0..10_000).filter(|_| limits.take(now, loud)).count(), STATION.1 as usize);
        // Unless they share a bucket: one chance in 256.
        let same = limits.stations.bucket(loud) == limits.stations.bucket(quiet);
        assert_eq!(limits.take(now, quiet), !same);
    }

    #[test]
    fn many_stations_together_get_no_more_than_the_burst() {
        let mut limits = AnswerLimits::default();
        let station = |i: u32| Mac([2, 0, (i >> 24) as u8, (i >> 16) as u8, (i >> 8) as u8, i as u8]);
        assert_eq!((0..100_000).filter(|&i| limits.take(Time(1), station(i))).count(), ALL.1 as usize);
    }
}
