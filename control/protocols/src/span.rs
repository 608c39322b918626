//! Times in texts for people.

use std::time::Duration;

/// A time as exact as one wants to know it: seconds below two minutes, minutes below two hours, else hours.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        s @ ..120 => format!("{s} s"),
        s @ ..7200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}
