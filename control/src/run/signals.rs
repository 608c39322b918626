//! What the program does when it is sent a signal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM};
use signal_hook::flag::register;
use signal_hook::iterator;

/// Mean nothing here, and would end a process that does not catch them.
const OTHERS: [i32; 6] = [SIGALRM, SIGIO, SIGPROF, SIGUSR1, SIGUSR2, SIGVTALRM];

/// What was asked for by signals.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// The end: SIGTERM, SIGINT.
    pub stop: Arc<AtomicBool>,
    /// That the configuration is read again: SIGHUP.
    pub reload: Arc<AtomicBool>,
}

impl Signals {
    /// Catches them from now on, and ignores those that are not ours.
    ///
    /// # Errors
    /// The system refuses.
    pub fn catch() -> io::Result<Self> {
        let signals = Self::default();
        for signal in [SIGTERM, SIGINT] {
            register(signal, signals.stop.clone())?;
        }
        register(SIGHUP, signals.reload.clone())?;
        let nobody = Arc::new(AtomicBool::new(false));
        OTHERS.iter().try_for_each(|&signal| register(signal, nobody.clone()).map(drop))?;
        Ok(signals)
    }

    /// Calls `wake` after each signal that is ours, on a thread of its own, which the process ends with.
    ///
    /// # Errors
    /// The system refuses.
    pub fn tell(wake: impl Fn() + Send + 'static) -> io::Result<()> {
        // The flags were registered before, so they are set before.
        let mut ours = iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        thread::Builder::new().name("signals".into()).spawn(move || ours.forever().for_each(|_| wake()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn what_is_not_ours_is_ignored() {
        let Signals { stop, reload } = Signals::catch().unwrap();
        OTHERS.iter().for_each(|&signal| raise(signal).unwrap());
        let asked = || (stop.load(Ordering::Relaxed), reload.load(Ordering::Relaxed));
        assert_eq!(asked(), (false, false));
        raise(SIGHUP).unwrap();
        assert_eq!(asked(), (false, true));
        raise(SIGTERM).unwrap();
        assert_eq!(asked(), (true, true));
    }
}
