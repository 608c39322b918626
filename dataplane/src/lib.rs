//! The packet path of hikyaku: IPv4-in-IPv6 tunnels, NAPT, pinned workers on the rings of `hikyaku-ring`.
//!
//! Whoever runs it makes a [`snapshot::Snapshot`], puts it into a [`shared::Shared`], makes a [`worker::Worker`] of each
//! queue, and calls [`turn`](worker::Worker::turn) or [`spawn`](worker::Worker::spawn). Everything that changes later comes
//! by a new snapshot; frames for the control thread come out of `Shared::punt` and go in by `Handle::inject`
//! ([`worker::Handle`]).
//!
//! What holds:
//! - Every received frame ends in exactly one counted [`verdict::Verdict`]: received = sum of verdicts + held.
//! - Forwarding a packet takes no allocation, lock, log, clock or system call; each ring is synced once a burst.
//! - No bytes make it panic. It has no unsafe code.
//! - It never opens a file or a socket but the doorbells of its workers, never reads a name, a configuration or the time of
//!   day, and knows nothing of the crates above it.

#![forbid(unsafe_code)]

pub mod counters;
pub mod cpu;
pub mod filter6;
pub mod icmp;
pub mod memory_router;
mod message;
pub mod napt;
pub mod path;
pub mod punt;
pub mod rules;
pub mod sessions;
pub mod shared;
pub mod snapshot;
pub mod tunnel;
pub mod verdict;
pub mod worker;
