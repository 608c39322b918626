//! Links and their rings, in netmap's memory layout.
//!
//! A *link* is an attached interface. It has queues; a [`Queue`] is one receive and one transmit
//! ring that one worker owns. Three providers fill rings: the kernel's netmap ([`kernel`]), Linux's
//! AF_XDP ([`xdp`]) and memory of our own ([`memory`]: replay, tests, benchmarks). The packet path
//! cannot tell them apart: it sees [`RxRing`], [`TxRing`] and [`Frame`].

pub mod abi;
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
pub use link::{LinkId, LinkInfo, Offsets};
pub use name::{LinkKind, LinkName, NameError, Rings};
pub use open::{Link, LinkOptions, Wanted, open};
pub use platform::{Adapter, carriers};
pub use provider::{Provider, wait};
pub use queue::{BadRing, BadSlot, NotSent, Queue, RxRing, Traffic, TxRing};
pub use region::{Region, RegionId, Zeroed};
pub use spare::Spare;
pub use vlan::{NotAVlan, Vlan};
pub use watch::{Reopened, Watch};
