//! The operator's rules: what may begin, decided in order, the first rule that fits.
//!
//! They are asked when a session is about to be opened, never of a packet that has one. What no rule fits goes as it would
//! without any: hosts of ours may begin, nobody outside may, but by what was opened for them.
//!
//! ```text
//! Rule, Rule, … --compile--> a Field for each part of a packet: its values, each with a row of bits, one for each rule
//! Opening --one row of each field, AND--> the first bit --> the rule --> rate, count --> accept, drop or reject
//! ```
//!
//! So a decision costs a binary search in each field and a word of each row for every 64 rules, whatever the rules say
//! (bit vectors: Lakshman and Stiliadis, 1998). Rules that nobody changed keep their counts over a change of the others.

mod addresses;
mod compiled;
mod counts;
mod field;
mod rule;
mod sessionless;
#[cfg(test)]
mod tests;

pub use compiled::{MAX_RULES, MAX_VALUES, Rules, TooMany};
pub use counts::Counted;
pub use rule::{Action, Address, Ends, Opening, Rate, Rule, Zone};
