//! Links by AF_XDP: Linux without netmap.
//!
//! The buffers of the kernel's UMEM are the buffers of netmap rings in memory of ours, so the packet
//! path sees what it always sees. All links of a [`Umem`] swap buffers with each other. There is a
//! socket for each queue, and a program of five instructions at the interface that hands it
//! frames; both go with the process, however it ends.
//!
//! | file | |
//! |---|---|
//! | `umem` | the memory: netmap rings, buffers, room for queues |
//! | `slots`, `rings` | the far side of a netmap ring; AF_XDP's own rings |
//! | `exchange` | from one to the other, and no buffer lost |
//! | `bpf`, `socket` | what the kernel is asked for |
//! | `queue` | the provider: what is done when |
//! | `open` | an interface by name, what it can do, and what to tell its owner |
//! | `device` | what kind of device it is, and what follows from that |
//! | `watch` | links that go away and come back |
//!
//! How it behaves, and where that was tried, is in docs/af_xdp.md.

use std::io;

use super::link::LinkInfo;
pub use super::link::{Attach, Losses, Transfer, XdpMode};
use super::name::LinkName;
use super::queue::BadRing;
use super::queue::Queue;
use super::vlan::Vlan;

#[cfg(target_os = "linux")]
mod bpf;
#[cfg(target_os = "linux")]
mod device;
#[cfg(target_os = "linux")]
mod exchange;
#[cfg(target_os = "linux")]
mod open;
#[cfg(target_os = "linux")]
mod queue;
#[cfg(target_os = "linux")]
mod rings;
#[cfg(target_os = "linux")]
mod slots;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod umem;
#[cfg(target_os = "linux")]
mod watch;

#[cfg(not(target_os = "linux"))]
mod absent;

#[cfg(not(target_os = "linux"))]
pub use absent::{Umem, Watch, open};
#[cfg(target_os = "linux")]
pub use open::open;
#[cfg(target_os = "linux")]
pub use umem::Umem;
#[cfg(target_os = "linux")]
pub use watch::Watch;

/// Where a received frame starts in its buffer (`XDP_PACKET_HEADROOM`): the kernel's choice, and
/// room for an outer header.
pub const HEADROOM: u16 = 256;

/// How to open links. What concerns their memory is looked at when a [`Umem`] is made.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Where the program runs; `None` for the driver if it can, else the stack's entrance.
    pub attach: Option<Attach>,
    /// How frames get into buffers and out; `None` for zero copy if the driver can, else copying.
    pub transfer: Option<Transfer>,
    /// Slots of each ring: a power of two, 64 to 32768.
    pub slots: u32,
    /// Bytes of each buffer, 2048 or 4096; `None` for what the MTUs need.
    pub buf_size: Option<u32>,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Spare buffers of each queue for a handoff ring to each other queue's worker; none if 0.
    pub handoff_slots: u32,
    /// The VLAN that a link is of its wire.
    pub vlan: Option<Vlan>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            attach: None,
            transfer: None,
            slots: 2048,
            buf_size: None,
            huge_pages: true,
            handoff_slots: 0,
            vlan: None,
        }
    }
}

/// A link that AF_XDP has opened.
pub struct XdpLink {
    /// Its queues, in the card's order.
    pub queues: Vec<Queue>,
    /// What it turned out to be.
    pub info: LinkInfo,
    /// For whoever sees to it that the link comes back when its interface was gone.
    pub watch: Watch,
}

/// Why a link could not be opened, or opened again. One line each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A link of another provider.
    #[error("link {link}: not a link of AF_XDP's")]
    NotXdp {
        /// The name of the link.
        link: LinkName,
    },
    /// Another system than Linux.
    #[error("link {link}: AF_XDP is Linux's alone: on this system open netmap:{}", link.port())]
    NotLinux {
        /// The name of the link.
        link: LinkName,
    },
    /// The interface does not exist.
    #[error("link {link}: no such interface (have: {})", if have.is_empty() { "none".into() } else { have.join(", ") })]
    NoInterface {
        /// The name of the link.
        link: LinkName,
        /// The interfaces there are.
        have: Vec<String>,
    },
    /// The interface is a tun, PPP, a loopback or the like.
    #[error(
        "link {link}: the interface is there, but its frames have no Ethernet header: a link needs one that has (a tap, not a tun)"
    )]
    NotEthernet {
        /// The name of the link.
        link: LinkName,
    },
    /// The link has fewer queues.
    #[error("link {link}: no such queue (have: 0 to {})", have.saturating_sub(1))]
    NoQueue {
        /// The name of the link.
        link: LinkName,
        /// How many queues it has.
        have: u16,
    },
    /// The interface is not set up.
    #[error("link {link}: the interface is down (ip link set dev {} up)", link.port())]
    Down {
        /// The name of the link.
        link: LinkName,
    },
    /// Full frames do not fit a buffer.
    #[error(
        "link {link}: frames of its MTU of {mtu} do not fit buffers of {buf_size} bytes (ip link set dev {} mtu {})",
        link.port(), best
    )]
    Mtu {
        /// The name of the link.
        link: LinkName,
        /// The MTU of the interface, bytes.
        mtu: u32,
        /// Bytes of a buffer.
        buf_size: u32,
        /// The largest MTU that does, bytes.
        best: u32,
    },
    /// The user may not do that.
    #[error(
        "link {link}: not permitted to {doing}: run as root, or with CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK"
    )]
    Permission {
        /// The name of the link.
        link: LinkName,
        /// What it was refused to do.
        doing: &'static str,
    },
    /// Somebody's program is at the interface.
    #[error(
        "link {link}: another XDP program is attached to the interface, and is not replaced (ip link show dev {} names it; \
         ip link set dev {} xdp off removes it, unless it is another hikyaku's), or to a device above it",
        link.port(), link.port()
    )]
    OtherProgram {
        /// The name of the link.
        link: LinkName,
    },
    /// Another link of ours is on a device that this one is part of.
    #[error(
        "link {link}: our link on {above}, which {} is part of, has a program already, and the kernel takes none below it: \
         use a device that is not part of {above}",
        link.port()
    )]
    OursAbove {
        /// The name of the link.
        link: LinkName,
        /// The device above it.
        above: String,
    },
    /// Somebody's socket is at the queue.
    #[error("link {link}: its queue {queue} is in use by another AF_XDP socket (ss --xdp shows it)")]
    Busy {
        /// The name of the link.
        link: LinkName,
        /// The number of the queue.
        queue: u16,
    },
    /// The kernel lacks something.
    #[error("link {link}: this kernel cannot {doing}: Linux 5.11 or later with CONFIG_XDP_SOCKETS is needed")]
    Kernel {
        /// The name of the link.
        link: LinkName,
        /// What kernel or driver cannot do.
        doing: &'static str,
    },
    /// The kernel said no.
    #[error("link {link}: the kernel refused to {doing}: {source}{hint}")]
    Refused {
        /// The name of the link.
        link: LinkName,
        /// What the kernel was asked to do.
        doing: &'static str,
        /// The error that the kernel answered with.
        source: io::Error,
        /// What that often means.
        hint: &'static str,
    },
    /// The interfaces could not be listed.
    #[error("cannot list this machine's interfaces: {0}")]
    Interfaces(io::Error),
    /// Slots or buffer sizes are none that AF_XDP takes.
    #[error(
        "AF_XDP: {slots} slots of {buf_size} bytes: slots are a power of two from 64 to 32768, buffers 2048 or 4096"
    )]
    Shape {
        /// Slots of a ring.
        slots: u32,
        /// Bytes of a buffer.
        buf_size: u32,
    },
    /// The system gave no memory.
    #[error("AF_XDP: rings and buffers need {bytes} bytes: {source}")]
    Memory {
        /// How much was asked for.
        bytes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The memory has no place for more queues.
    #[error("link {link}: the memory of AF_XDP links has no room for another queue: it was made for fewer")]
    NoRoom {
        /// The name of the link.
        link: LinkName,
    },
    /// The rings do not fit the memory they were made in.
    #[error(transparent)]
    Ring(#[from] BadRing),
    /// A worker has not yet noticed that the interface is gone.
    #[error("link {link}: its old queues are still in use")]
    StillOpen {
        /// The name of the link.
        link: LinkName,
    },
}

/// The largest MTU whose frames, with an Ethernet header and a VLAN tag, fit a buffer.
#[cfg(target_os = "linux")]
const fn frame_room(buf_size: u32) -> u32 {
    buf_size - HEADROOM as u32 - 14 - 4
}

/// What was asked of the kernel, and its answer.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Step {
    /// What was to be done, as it stands behind "cannot".
    doing: &'static str,
    source: io::Error,
}

#[cfg(target_os = "linux")]
impl Step {
    fn of(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { doing, source }
    }
}
