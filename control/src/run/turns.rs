//! How long the control thread's turns take: for so long what is punted meanwhile waits.

use std::time::{Duration, Instant};

use crate::show::report;

/// What `hikyaku show status` says of turns.
#[derive(Debug, Default)]
pub struct Turns {
    longest: Option<(Duration, Instant)>,
}

impl Turns {
    /// A turn that began then is over.
    pub fn ended(&mut self, began: Instant) {
        let took = began.elapsed();
        if self.longest.is_none_or(|(longest, _)| took > longest) {
            self.longest = Some((took, began));
        }
    }

    /// As it is shown.
    pub fn report(&self) -> report::Control {
        report::Control {
            longest_turn_us: self.longest.map(|(longest, _)| longest.as_micros() as u64),
            longest_turn_ago_seconds: self.longest.map(|(_, began)| began.elapsed().as_secs()),
        }
    }
}
