//! Time as the packet path knows it: read once per burst, handed down, never asked for.

use std::ops::Add;
use std::time::Duration;

/// A moment, in nanoseconds since some start. Captures, tests and the worker's clock all make them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Whole seconds since the start: the grain of session timers.
    #[inline(always)]
    pub fn seconds(self) -> u32 {
        (self.0 / 1_000_000_000) as u32
    }

    /// How long after `earlier`; zero if it is not.
    #[inline(always)]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The machine's monotonic clock, from one start. All workers of a router have clones of one clock:
/// they share session tables, and so must share time.
#[derive(Clone, Debug)]
pub struct Clock {
    clock: quanta::Clock,
    start: u64,
}

impl Default for Clock {
    fn default() -> Self {
        let clock = quanta::Clock::new();
        Self { start: clock.raw(), clock }
    }
}

impl Clock {
    /// Where it begins, a week: what was last heard of before a restart has a time, too.
    pub const START: Time = Time(7 * 24 * 3600 * 1_000_000_000);

    /// Now. Asked once or twice per burst.
    #[inline]
    pub fn now(&self) -> Time {
        Time(Self::START.0 + self.clock.delta_as_nanos(self.start, self.clock.raw()))
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(d.as_nanos() as u64))
    }
}
