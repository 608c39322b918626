//! Links and their rings, in netmap's memory layout.
//!
//! A *link* is an attached interface. It has queues; a [`Queue`] is one receive and one transmit
//! ring that one worker owns. Three providers fill rings: the kernel's netmap ([`kernel`]), Linux's
//! AF_XDP ([`xdp`]) and memory of our own ([`memory`]: replay, tests, benchmarks). The packet path
//! cannot tell them apart: it sees [`RxRing`], [`TxRing`] and [`Frame`].

pub mod abi;
mod cpu;
mod device;
mod frame;
pub mod kernel;
mod lane;
mod link;
pub mod memory;
mod name;
mod open;
mod platform;
mod queue;
mod region;
mod spare;
mod vlan;
mod watch;
pub mod xdp;

use std::io;

pub use cpu::{equal_lanes, prefetch};
pub use frame::{Frame, HEAD, Headroom};
pub use lane::{LANE_SLOTS, LaneIn, LaneOut, MIN_LANE_SLOTS, lane};
pub use link::{LinkInfo, Offsets};
pub use name::{LinkKind, LinkName, NameError, Rings};
pub use open::{Link, LinkError, LinkOptions, Wanted, open};
pub use platform::Adapter;
pub use queue::{BadRing, BadSlot, NotSent, RxRing, Traffic, TxRing};
pub use region::{Region, RegionId, Zeroed};
pub use spare::Spare;
pub use vlan::{NotAVlan, Vlan};
pub use watch::{Reopened, Watch};

/// What moves slots between a queue and the world: one call per burst, never one per packet.
pub trait Provider: Send {
    /// Sends what [`TxRing::publish`] handed over and frees the slots of frames already sent.
    fn sync_tx(&mut self) -> io::Result<()>;

    /// Takes back released receive slots and shows newly received frames.
    fn sync_rx(&mut self) -> io::Result<()>;

    /// Something to `poll(2)` for input while the worker sleeps, where there is such a thing.
    fn descriptor(&self) -> Option<std::os::fd::RawFd> {
        None
    }
}

/// One receive and one transmit ring of a link, owned by one worker.
pub struct Queue {
    /// Frames that came in.
    pub rx: RxRing,
    /// Frames that go out.
    pub tx: TxRing,
    /// Who moves them.
    pub provider: Box<dyn Provider>,
    /// Buffers of the same memory beside those of the rings, for lanes to other workers; none unless asked for.
    pub spare: Spare,
}

impl Queue {
    /// Both rings are of this VLAN.
    pub fn set_vlan(&mut self, vlan: Option<Vlan>) {
        self.rx.set_vlan(vlan);
        self.tx.set_vlan(vlan);
    }
}

/// Whether these links have a carrier. Those that are no interfaces, VALE ports and pipes, always do;
/// an interface that is gone does not.
pub fn carriers<const N: usize>(links: [&LinkName; N]) -> io::Result<[bool; N]> {
    let interfaces = platform::interfaces()?;
    Ok(links.map(|link| match link.kind() {
        LinkKind::Vale | LinkKind::Pipe => true,
        _ => interfaces.iter().any(|interface| interface.name == link.port() && interface.carrier),
    }))
}

/// Sleeps until one of `descriptors` has input, or for `timeout`.
pub fn wait(descriptors: impl Iterator<Item = std::os::fd::RawFd>, timeout: std::time::Duration) {
    let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<_> = descriptors.map(poll).collect();
    let milliseconds = timeout.as_millis().min(i32::MAX as u128) as i32;
    // SAFETY: `polled` is an array of that many entries. A descriptor that was closed meanwhile is
    // answered in its entry; an error or a signal ends the sleep early, which is harmless.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, milliseconds) };
}
