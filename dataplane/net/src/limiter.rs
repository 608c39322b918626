//! How many a second: of errors that we send (RFC 1812 4.3.2.8), of what is handed to the control thread.

use std::time::Duration;

use crate::Time;

/// A token bucket, kept as the one moment at which it will be full again.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    /// How long it takes until there is one more token.
    interval: Duration,
    /// From empty to full.
    depth: Duration,
    full: Time,
}

impl Limiter {
    /// `rate` tokens a second, at most `burst` at once; full at first. A rate or burst of 0 lets
    /// nothing pass.
    pub fn new(rate: u32, burst: u32) -> Self {
        let interval = if rate == 0 { Duration::MAX } else { Duration::from_secs(1) / rate };
        Self { interval, depth: if rate == 0 { Duration::ZERO } else { interval * burst }, full: Time(0) }
    }

    /// Takes a token. False if there is none.
    #[inline]
    pub fn take(&mut self, now: Time) -> bool {
        let full = self.full.max(now);
        let missing = full.since(now);
        if missing.saturating_add(self.interval) > self.depth {
            return false;
        }
        self.full = full + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut limiter = Limiter::new(10, 5);
        let passed = |limiter: &mut Limiter, now| (0..100).filter(|_| limiter.take(Time(now))).count();
        assert_eq!(passed(&mut limiter, 0), 5);
        assert_eq!(passed(&mut limiter, 99_999_999), 0);
        assert_eq!(passed(&mut limiter, 100_000_000), 1);
        assert_eq!(passed(&mut limiter, 400_000_000), 3);
        assert_eq!(passed(&mut limiter, 60_000_000_000), 5, "no more than the burst is saved up");
    }

    #[test]
    fn none_at_all() {
        for (rate, burst) in [(0, 5), (5, 0), (0, 0)] {
            assert!(!Limiter::new(rate, burst).take(Time(u64::MAX)));
        }
        assert!(Limiter::new(u32::MAX, u32::MAX).take(Time(1)));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(
            rate in 1u32..1000, burst in 1u32..50, steps in prop::collection::vec(0u64..50_000_000, 1..300)
        ) {
            let mut limiter = Limiter::new(rate, burst);
            let (mut now, mut passed) = (0, 0);
            for step in steps {
                now += step;
                passed += u64::from(limiter.take(Time(now)));
                // The interval is rounded down to a nanosecond: one part in a million and a bit.
                prop_assert!(passed <= u64::from(burst) + (now + now / 500_000) * u64::from(rate) / 1_000_000_000 + 1);
            }
        }
    }
}
