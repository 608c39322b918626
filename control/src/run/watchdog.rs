//! Workers are watched: what one did not survive is said, and one that stands still ends the process.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::worker::Handle;

/// A worker that has had no turn for so many looks in a row stands still. Looks are counted and not seconds, because a process
/// that was stopped, or a machine that slept, wakes the control thread first now and then.
const PATIENCE: u32 = 4;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(450);

/// A worker has had no turn for a second or more. It is not replaced: nobody knows what it has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "worker {worker} stands still: this process ends with code {}, to be started again by its supervisor; report what the log says \
     before this line",
    Standstill::EXIT_CODE
)]
pub struct Standstill {
    /// The worker's number.
    pub worker: usize,
}

impl Standstill {
    /// How the process ends: neither a failure that was seen coming nor the wrong configuration.
    pub const EXIT_CODE: u8 = 3;
}

/// What was seen of each worker.
#[derive(Debug, Default)]
pub struct Watchdog {
    seen: Vec<Seen>,
    looked: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    turns: u64,
    /// Looks since it had a turn.
    still: u32,
    panics: u64,
}

impl Watchdog {
    /// To be called twice a second; what is called earlier is none. `busy`: a link is taken from workers or set down just now, and they may have to wait for the system as long as it takes.
    pub fn look(&mut self, now: Instant, workers: &[Handle], busy: bool) -> Result<(), Standstill> {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < PAUSE) {
            return Ok(());
        }
        self.looked = Some(now);
        self.seen.resize(workers.len(), Seen::default());
        for (worker, (handle, seen)) in workers.iter().zip(&mut self.seen).enumerate() {
            let panics = handle.counters.event(Event::WorkerPanicked);
            if panics != seen.panics {
                tracing::error!(
                    worker,
                    panics,
                    "a worker panicked: a fault of this program; the frames that it had in hand are lost (worker-panicked), it goes on with \
                     its rings and all sessions; report it with what was written about the panic"
                );
            }
            let turns = handle.turns.load(Ordering::Relaxed);
            let still = if turns != seen.turns || busy { 0 } else { seen.still + 1 };
            *seen = Seen { turns, still, panics };
            if still == PATIENCE {
                return Err(Standstill { worker });
            }
        }
        Ok(())
    }

    /// What is not as it should be, for people.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let panicked = self.seen.iter().enumerate().filter(|(_, seen)| seen.panics > 0);
        panicked.map(|(worker, Seen { panics, .. })| {
            format!(
                "worker {worker} panicked {panics} times and went on: a fault of this program, report it with the log"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_dataplane::shared::Shared;
    use hikyaku_dataplane::snapshot::Snapshot;
    use hikyaku_dataplane::worker::{Config, Worker};

    fn workers() -> Vec<Handle> {
        let shared = Shared::new(Snapshot::default());
        (0..2).map(|id| Worker::new(id, [], &shared, Config::default()).handle()).collect()
    }

    /// Half a second after the last one.
    fn look(dog: &mut Watchdog, workers: &[Handle], busy: bool) -> Result<(), Standstill> {
        let now = dog.looked.map_or_else(Instant::now, |looked| looked + Duration::from_millis(500));
        dog.look(now, workers, busy)
    }

    fn turn(worker: &Handle) {
        worker.turns.fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn one_that_has_no_turn_for_a_second_is_found() {
        let (workers, mut dog) = (workers(), Watchdog::default());
        for _ in 0..10 {
            workers.iter().for_each(turn);
            assert_eq!(look(&mut dog, &workers, false), Ok(()));
        }
        let mut looks = (1..).map(|number| {
            turn(&workers[0]);
            // One that comes too early is none.
            assert_eq!(dog.look(dog.looked.unwrap(), &workers, false), Ok(()));
            (number, look(&mut dog, &workers, false))
        });
        let (number, standstill) = looks.find(|(_, seen)| seen.is_err()).unwrap();
        assert_eq!((number, standstill), (4, Err(Standstill { worker: 1 })));
    }

    #[test]
    fn one_that_lets_go_of_a_link_has_time() {
        let (workers, mut dog) = (workers(), Watchdog::default());
        for _ in 0..100 {
            assert_eq!(look(&mut dog, &workers, true), Ok(()));
        }
        assert_eq!(look(&mut dog, &workers, false), Ok(()));
        workers.iter().for_each(turn);
        assert_eq!(look(&mut dog, &workers, false), Ok(()));
    }

    #[test]
    fn a_panic_is_a_warning_from_then_on() {
        let (workers, mut dog) = (workers(), Watchdog::default());
        for panics in [0, 1, 1, 3] {
            workers.iter().for_each(turn);
            let counters = &workers[1].counters;
            counters.note(Event::WorkerPanicked, panics - counters.event(Event::WorkerPanicked));
            look(&mut dog, &workers, false).unwrap();
            let warnings: Vec<_> = dog.warnings().collect();
            assert_eq!(warnings.len(), usize::from(panics > 0));
            assert!(
                warnings.iter().all(|w| w.starts_with(&format!("worker 1 panicked {panics} times"))),
                "{warnings:?}"
            );
        }
    }
}
