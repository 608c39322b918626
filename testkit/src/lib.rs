//! What the tests of several crates need: peers that others wrote, in virtual time.
//!
//! Only tests use this crate, so nothing of it is in a program, and a panic is a failed test.

#![forbid(unsafe_code)]

mod device;
mod host;

pub use host::Host;
