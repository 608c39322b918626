//! How the targets take bytes for a history.

use std::time::Duration;

use hikyaku_net::Time;

/// Things that happen one after the other. Each is a byte that says what happens, the length of a message
/// in two bytes (the upper one first), and the message: so a corpus is captured messages with three bytes
/// before each. What lacks at the end is as if it were not there.
pub struct Steps<'a>(pub &'a [u8]);

impl<'a> Iterator for Steps<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[what, high, low], rest) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (message, rest) = rest.split_at(length.min(rest.len()));
        self.0 = rest;
        Some((what, message))
    }
}

/// Some time passes: until the machine wants to be polled, or from a millisecond to nine hours, as `how`
/// says. More than that would need lifetimes that no line has.
pub fn later(now: Time, next: Option<Time>, how: u8) -> Time {
    match how {
        0 => next.map_or(now, |next| next.max(now)),
        _ => now + Duration::from_millis(1 << (how % 26)),
    }
}

/// Polls until there is nothing left to do. A machine that never comes to an end is the finding.
pub fn drain<T>(poll: impl FnMut() -> Option<T>) -> Vec<T> {
    const MOST: usize = 500;
    let outputs: Vec<T> = std::iter::from_fn(poll).take(MOST).collect();
    assert!(outputs.len() < MOST, "poll without end");
    outputs
}
