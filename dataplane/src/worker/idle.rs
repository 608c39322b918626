//! What a worker does when no frame waits.
//!
//! | policy | |
//! |---|---|
//! | [`Idle::Spin`], [`Idle::Yield`] | looks again at once, or after others |
//! | [`Idle::Sleep`] | sleeps until something comes |
//! | [`Idle::Adaptive`] | spins as long as frames come densely, else sleeps |
//!
//! A sleep ends when a link has frames, when another worker hands some off or the control thread has some to send, and after
//! [`SLEEP`]: timers of the path and of the session table are of seconds. Where something is under way that tells nobody, it is
//! [`NAP`].

use std::time::Duration;

/// What a worker does when no frame waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Looks again at once: lowest latency, a core at 100 %.
    #[default]
    Spin,
    /// Lets other threads of the core run first.
    Yield,
    /// Sleeps in `poll(2)` until a frame comes.
    Sleep,
    /// Spins under load and for some milliseconds after it, then sleeps.
    Adaptive,
}

impl Idle {
    pub(super) fn sleeps(self) -> bool {
        matches!(self, Self::Sleep | Self::Adaptive)
    }
}

/// The longest sleep.
pub(super) const SLEEP: Duration = Duration::from_millis(100);

/// The longest sleep where there is more to do that no descriptor tells of: a ring without one, frames that the other side has
/// not sent yet, sessions that have ended.
pub(super) const NAP: Duration = Duration::from_millis(1);

/// How long a frame keeps an adaptive worker spinning, and the longest that all of them do. From a thousand frames a second on
/// it does nothing else; ten a second cost a hundredth of a core.
const PER_FRAME: u64 = 1_000_000;
const MOST: u64 = 10_000_000;

/// For how long an adaptive worker is yet to spin, nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Spin(u64);

impl Spin {
    /// Frames came.
    pub fn came(&mut self, frames: usize) {
        self.0 = self.0.saturating_add(frames as u64 * PER_FRAME).min(MOST);
    }

    /// None came in a turn that took so long. Whether it is to spin on.
    pub fn goes_on(&mut self, turn: Duration) -> bool {
        self.0 = self.0.saturating_sub(turn.as_nanos() as u64);
        self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of ten microseconds with no frame until it sleeps.
    fn turns(spin: &mut Spin) -> usize {
        (0..).take_while(|_| spin.goes_on(Duration::from_micros(10))).count()
    }

    #[test]
    fn spinning_is_earned_by_frames() {
        let mut spin = Spin::default();
        assert_eq!(turns(&mut spin), 0, "nothing came yet");
        spin.came(1);
        assert_eq!(turns(&mut spin), 99, "a millisecond");
        assert_eq!(turns(&mut spin), 0);
        (0..1000).for_each(|_| spin.came(256));
        assert_eq!(turns(&mut spin), 999, "ten, whatever the load");
    }
}
