//! A table that is being made: touching all memory of a large one takes longer than a turn may (docs/control.md).

use std::io;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How soon it is looked at again whether it is there.
pub(super) const SOON: Duration = Duration::from_millis(5);

/// Sessions of the largest table that a turn makes itself, in some 3 ms: no packet has to wait for a thread.
const MOST_AT_ONCE: u32 = 1 << 18;

/// What is made once, by a thread of its own or at once.
#[derive(Debug, Default)]
pub(super) enum Making<T> {
    /// There is nothing, or it was taken.
    #[default]
    Nothing,
    /// It is there.
    Made(T),
    /// A thread makes it.
    ByThread(JoinHandle<T>),
}

impl<T: Send + 'static> Making<T> {
    /// Begins it, on a thread of this name.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn by_thread(name: &str, make: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        thread::Builder::new().name(name.into()).spawn(make).map(Self::ByThread)
    }

    /// What was made, once; `Ready(None)`: nothing is.
    pub fn take(&mut self) -> Poll<Option<T>> {
        match std::mem::take(self) {
            Self::Nothing => Poll::Ready(None),
            Self::Made(made) => Poll::Ready(Some(made)),
            Self::ByThread(thread) if !thread.is_finished() => {
                *self = Self::ByThread(thread);
                Poll::Pending
            }
            Self::ByThread(thread) => Poll::Ready(thread.join().ok()),
        }
    }
}

/// A table, or why there is none.
pub(super) type MakingTable<T> = Making<Result<T, String>>;

impl<T: Send + 'static> MakingTable<T> {
    /// Begins a table of so many sessions. Of one that takes a while it is said that it is made, and how long it took.
    pub fn table(sessions: u32, make: impl FnOnce() -> Result<T, String> + Send + 'static) -> Self {
        if sessions <= MOST_AT_ONCE {
            return Self::Made(make());
        }
        let told = move || {
            tracing::info!(sessions, "a table is made: its memory is asked of the system, all of it");
            let began = Instant::now();
            make().inspect(|_| tracing::info!(sessions, seconds = began.elapsed().as_secs_f32(), "the table is there"))
        };
        Self::by_thread("table", told).unwrap_or_else(|error| Self::Made(Err(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_large_table_is_waited_for_and_a_small_one_is_there() {
        let mut small = Making::table(MOST_AT_ONCE, || Ok(1));
        assert_eq!((small.take(), small.take()), (Poll::Ready(Some(Ok(1))), Poll::Ready(None)));
        let (go, waits) = mpsc::channel();
        let mut large = Making::table(2 * MOST_AT_ONCE, move || waits.recv().map_err(|error| error.to_string()));
        assert_eq!(large.take(), Poll::Pending);
        go.send(2).unwrap();
        let made = std::iter::repeat_with(|| large.take()).find(Poll::is_ready);
        assert_eq!((made, large.take()), (Some(Poll::Ready(Some(Ok(2)))), Poll::Ready(None)));
    }
}
