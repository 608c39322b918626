//! The thread that writes state files: a disk may take seconds, and the control thread has milliseconds.

use std::io;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::router::{Save, StateFile, Unsaved};

/// A file is on its way once at a time ([`crate::router::Router::next_save`]), and once more at the end: nobody ever waits for a
/// place.
const PLACES: usize = 2 * StateFile::most();

/// What became of a file.
type Written = (StateFile, Result<(), Unsaved>);

/// Writes files one after the other, in the order in which they came.
#[derive(Debug)]
pub struct Writer {
    saves: Sender<Save>,
    written: Receiver<Written>,
    /// How many files are on their way.
    underway: usize,
    /// Of how many of these nobody wants to hear any more.
    unasked: usize,
}

impl Writer {
    /// Starts the thread, which ends with this. `write` does what is to be done with each file; `reader` is woken when
    /// something is done.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        mut write: impl FnMut(&Save) -> Result<(), Unsaved> + Send + 'static,
        reader: Thread,
    ) -> io::Result<Self> {
        let (saves, received) = bounded::<Save>(PLACES);
        let (told, written) = bounded(PLACES);
        let work = move || {
            for save in received {
                if told.send((save.file(), write(&save))).is_err() {
                    return;
                }
                reader.unpark();
            }
        };
        thread::Builder::new().name("state-files".into()).spawn(work)?;
        Ok(Self { saves, written, underway: 0, unasked: 0 })
    }

    /// Has it written.
    pub fn put(&mut self, save: Save) {
        // Without its thread, which panicked, nothing is ever written, and status says so.
        self.underway += usize::from(self.saves.send(save).is_ok());
    }

    /// What became of a file that was put, each once.
    pub fn written(&mut self) -> Option<Written> {
        loop {
            let written = self.written.try_recv().ok()?;
            self.underway -= 1;
            if self.unasked == 0 {
                return Some(written);
            }
            self.unasked -= 1;
        }
    }

    /// Waits until all that was put is written, for so long at most, and whether it is. Nobody hears of it any more.
    pub fn settle(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        self.unasked = self.underway;
        while self.underway > 0 && self.written.recv_deadline(end).is_ok() {
            (self.underway, self.unasked) = (self.underway - 1, self.unasked - 1);
        }
        self.underway == 0
    }
}
