//! Links and their rings, in netmap's memory layout, and rings between workers.
//!
//! A *link* is an attached interface. It has queues; a [`Queue`] is one receive and one transmit
//! ring that one worker owns. Three providers fill rings: the kernel's netmap ([`kernel`]), Linux's
//! AF_XDP ([`xdp`]) and memory of our own ([`memory`]: replay, tests, benchmarks). The packet path
//! cannot tell them apart: it sees [`RxRing`], [`TxRing`] and [`Frame`]. The shortest program that uses all of that is
//! `dataplane/examples/cable.rs`: `cargo run -p hikyaku-dataplane --example cable -- memory`.
//!
//! What holds:
//! - All `unsafe` of the packet path is here, each block with its reason, and none of it shows: whoever uses this crate
//!   has no `unsafe` to write, but for a [`Region`] made from a mapping of his own.
//! - The other side of a ring is not believed. A [`Frame`] that exists lies inside its buffer; a tail, buffer number,
//!   length or offset that cannot be is a [`BadSlot`], whoever wrote it.
//! - Buffers are moved by number and never lost: a ring, a handoff ring and [`Spare`] have as many at the end as they had
//!   at the beginning.
//! - This crate never looks into a packet behind the Ethernet header and its tag, counts no verdict, and waits only in
//!   [`wait`]. It knows nothing of the crates above it.

mod abi;
mod card;
mod cpu;
mod device;
mod error;
mod frame;
mod handoff;
pub mod kernel;
mod link;
pub mod memory;
mod name;
mod open;
mod platform;
mod provider;
mod queue;
mod region;
mod spare;
mod vlan;
mod watch;
pub mod xdp;

pub use cpu::{equal_lanes, prefetch};
pub use error::LinkError;
pub use frame::{Frame, HEAD, Headroom};
pub use handoff::{HANDOFF_SLOTS, HandoffRx, HandoffTx, MIN_HANDOFF_SLOTS, handoff_ring};
pub use link::{LinkId, LinkInfo, Losses, Offsets};
pub use name::{LinkKind, LinkName, NameError, Rings};
pub use open::{Link, LinkOptions, Wanted, open};
pub use platform::{Adapter, LinkState, arrived, host_addresses, promiscuous_command, queue_pairs, states, up_command};
pub use provider::{Provider, wait};
pub use queue::{BadRing, BadSlot, NotSent, Queue, RxRing, Traffic, TxRing};
pub use region::{Region, RegionId, Zeroed};
pub use spare::Spare;
pub use vlan::{NotAVlan, Vlan};
pub use watch::{Reopened, Watch};
