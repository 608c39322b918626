//! So many a second and no more.

use std::time::Duration;

use hikyaku_net::Time;

/// A token bucket: `per_second`, and twice that at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    each: Duration,
    /// When the bucket would be full again: a quarter of it is a quarter of two seconds away.
    full_at: Time,
}

impl Limit {
    pub(super) const fn new(per_second: u32) -> Self {
        Self { each: Duration::from_nanos(1_000_000_000 / per_second as u64), full_at: Time(0) }
    }

    /// Takes one; `false` if there is none.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let full_at = self.full_at.max(now) + self.each;
        let allowed = full_at.since(now) <= Duration::from_secs(2);
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_at_once_then_each_second() {
        let mut limit = Limit::new(10);
        let mut taken = |millis: u64| (0..100).filter(|_| limit.take(Time(millis * 1_000_000))).count();
        assert_eq!(taken(5_000), 20);
        assert_eq!(taken(5_000), 0);
        assert_eq!(taken(5_099), 0);
        assert_eq!(taken(6_000), 10);
        assert_eq!(taken(60_000), 20);
    }
}
