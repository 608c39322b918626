//! How many lines of a kind the log takes. Others cause most of them: a storm of router advertisements wrote 2.4 MB a second.
//!
//! A kind is a place in the code and the words of the sentence there, without those that hold a number, an address or a
//! name's digits: `router … found`. Twenty of a kind are taken at once, then one every two seconds. What is left out is counted
//! and told by [`Limits::left_out`].

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Lines of a kind at once.
const BURST: u32 = 20;
/// And then one in so long.
const EVERY: Duration = Duration::from_secs(2);
/// Kinds that are told apart. What goes beyond is one kind, for sentences may hold words of others.
const KINDS: usize = 256;
/// Lines that were left out are told of after so long.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// The limits of all kinds.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<u64, Kind>>);

#[derive(Debug)]
struct Kind {
    /// When all [`BURST`] lines may be written again.
    full: Instant,
    /// How many were left out, since when, and the last of them.
    left_out: Option<(u64, Instant, String)>,
}

/// Lines that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub lines: u64,
    /// In how long.
    pub time: Duration,
    /// The last one's sentence.
    pub like: String,
}

impl Limits {
    /// Whether a line of this kind is to be written now.
    fn admit(&self, now: Instant, kind: u64, sentence: String) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= KINDS && !kinds.contains_key(&kind) {
            kinds.retain(|_, kind| kind.full > now || kind.left_out.is_some());
        }
        let key = if kinds.len() < KINDS || kinds.contains_key(&kind) { kind } else { 0 };
        let kind = kinds.entry(key).or_insert(Kind { full: now, left_out: None });
        let full = kind.full.max(now) + EVERY;
        let admitted = full <= now + EVERY * BURST;
        if admitted {
            kind.full = full;
        } else {
            let (lines, _, like) = kind.left_out.get_or_insert_with(|| (0, now, String::new()));
            (*lines, *like) = (*lines + 1, sentence);
        }
        admitted
    }

    /// What was left out some seconds ago or before, each kind once.
    pub fn left_out(&self, now: Instant) -> Vec<LeftOut> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |kind: &mut Kind| kind.left_out.take_if(|(_, since, _)| now.duration_since(*since) >= TOLD_AFTER);
        let told = kinds.values_mut().filter_map(due);
        told.map(|(lines, since, like)| LeftOut { lines, time: now.duration_since(since), like }).collect()
    }
}

impl<S: Subscriber> Filter<S> for &'static Limits {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // What is wrong with a file of the user's is told whole, and so is what was left out.
        if ["problem", "lines"].iter().any(|&name| metadata.fields().field(name).is_some()) {
            return true;
        }
        let mut sentence = Sentence(String::new());
        event.record(&mut sentence);
        let mut hasher = DefaultHasher::new();
        metadata.callsite().hash(&mut hasher);
        words(&sentence.0).for_each(|word| word.hash(&mut hasher));
        self.admit(Instant::now(), hasher.finish(), sentence.0)
    }
}

/// The words of a sentence that are the same whatever it is about.
fn words(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit() || c == ':'))
}

/// An event's message.
struct Sentence(String);

impl Visit for Sentence {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_no_kind() {
        let of = |sentence| words(sentence).collect::<Vec<_>>().join(" ");
        assert_eq!(of("router fe80::1 found"), "router found");
        assert_eq!(of("prefix 2001:db8::/64 is new: valid 30 s"), "prefix is valid s");
    }

    #[test]
    fn a_kind_has_a_burst_and_a_rate_and_what_is_left_out_is_counted() {
        let (limits, start) = (Limits::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let admitted = |now, kind| (0..1000).filter(|n| limits.admit(now, kind, n.to_string())).count();
        assert_eq!(admitted(at(0), 1), 20);
        assert_eq!(admitted(at(0), 2), 20, "another kind");
        assert_eq!(admitted(at(1), 1), 0);
        assert_eq!(admitted(at(2), 1), 1);
        assert_eq!(limits.left_out(at(4)), []);
        let mut told = limits.left_out(at(5));
        told.sort_by_key(|told| told.lines);
        let left_out = |lines| LeftOut { lines, time: Duration::from_secs(5), like: "999".into() };
        assert_eq!(told, [left_out(980), left_out(980 + 1000 + 999)]);
        assert_eq!(limits.left_out(at(60)), []);
        assert_eq!(admitted(at(60), 1), 20);
    }

    #[test]
    fn kinds_are_bounded() {
        let (limits, now) = (Limits::default(), Instant::now());
        let admitted = (1..100_000).filter(|&kind| limits.admit(now, kind, String::new())).count();
        assert_eq!(admitted, KINDS + BURST as usize);
        assert_eq!(limits.0.lock().unwrap().len(), KINDS + 1);
        // What has been quiet makes room.
        assert!(limits.admit(now + Duration::from_secs(60), 1_000_000, String::new()));
        assert!(limits.0.lock().unwrap().len() < KINDS);
    }
}
