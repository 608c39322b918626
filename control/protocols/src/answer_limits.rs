//! How often we answer: a storm of questions is not answered by a storm.

use std::hash::{BuildHasher, RandomState};

use hikyaku_net::{Limiter, Mac, Time};

/// Answers a second, and at once, to all stations together.
const RATE: u32 = 1000;
const BURST: u32 = 250;

/// Answers a second, and at once, to one station: far more than an honest one asks for.
const STATION_RATE: u32 = 50;
const STATION_BURST: u32 = 25;

/// Stations share this many buckets, by a keyed hash: memory is fixed, and nobody can choose an
/// address that shares another station's bucket.
const BUCKETS: usize = 256;

/// The limits of one link.
#[derive(Debug)]
pub(crate) struct AnswerLimits {
    all: Limiter,
    stations: Box<[Limiter]>,
    hasher: RandomState,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self {
            all: Limiter::new(RATE, BURST),
            stations: vec![Limiter::new(STATION_RATE, STATION_BURST); BUCKETS].into(),
            hasher: RandomState::new(),
        }
    }
}

impl AnswerLimits {
    /// Whether the station `to` may be answered now. One that asks too much uses up nobody else's answers.
    pub fn take(&mut self, now: Time, to: Mac) -> bool {
        let bucket = self.hasher.hash_one(to) as usize % BUCKETS;
        self.stations[bucket].take(now) && self.all.take(now)
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
        assert_eq!((0..10_000).filter(|_| limits.take(now, loud)).count(), STATION_BURST as usize);
        // Unless they share a bucket: one chance in 256.
        let same = limits.hasher.hash_one(loud) % BUCKETS as u64 == limits.hasher.hash_one(quiet) % BUCKETS as u64;
        assert_eq!(limits.take(now, quiet), !same);
    }

    #[test]
    fn many_stations_together_get_no_more_than_the_burst() {
        let mut limits = AnswerLimits::default();
        let station = |i: u32| Mac([2, 0, (i >> 24) as u8, (i >> 16) as u8, (i >> 8) as u8, i as u8]);
        assert_eq!((0..100_000).filter(|&i| limits.take(Time(1), station(i))).count(), BURST as usize);
    }
}
