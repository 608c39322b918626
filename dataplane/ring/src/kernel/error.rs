//! What can go wrong when a link is opened.

use std::io;

use crate::abi;
use crate::name::LinkName;
use crate::platform;
use crate::queue::BadRing;

/// Why a link could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A link of another provider.
    #[error("link {link}: not a link of netmap's")]
    NotNetmap {
        /// The name of the link.
        link: LinkName,
    },
    /// The kernel has no netmap, or it is not loaded: there is no `/dev/netmap`.
    #[error("/dev/netmap: not found: is the netmap module loaded? ({})", platform::LOAD_HINT)]
    NoDevice,
    /// Not allowed to open `/dev/netmap`.
    #[error("/dev/netmap: permission denied: run as root, or give this user the device")]
    Permission,
    /// Anything else about `/dev/netmap`.
    #[error("/dev/netmap: {0}")]
    Device(io::Error),
    /// The interface does not exist.
    #[error("link {link}: no such interface (have: {})", if have.is_empty() { "none".into() } else { have.join(", ") })]
    NoInterface {
        /// The name of the link.
        link: LinkName,
        /// The interfaces there are.
        have: Vec<String>,
    },
    /// An interface that is to be opened again is down.
    #[error("link {link}: the interface is there, but down")]
    Down {
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
    /// VALE ports and pipes have no host rings.
    #[error("link {link}: only an interface has host rings")]
    NoHostRings {
        /// The name of the link.
        link: LinkName,
    },
    /// Somebody has these rings.
    #[error("link {link}: its {rings} in use by another link or program (fstat or lsof /dev/netmap tells which)")]
    Busy {
        /// The name of the link.
        link: LinkName,
        /// Which rings, with the verb.
        rings: String,
    },
    /// Rings or buffers do not fit netmap's memory.
    #[error("link {link}: netmap's memory has no room for its rings and buffers: enlarge {}", platform::MEMORY_HINT)]
    NoMemory {
        /// The name of the link.
        link: LinkName,
    },
    /// The kernel said no.
    #[error("link {link}: netmap refused it: {source}{hint}")]
    Refused {
        /// The name of the link.
        link: LinkName,
        /// The error that the kernel answered with.
        source: io::Error,
        /// What that often means.
        hint: String,
    },
    /// The region could not be mapped.
    #[error("link {link}: cannot map the {bytes} bytes of netmap's memory region {region}: {source}")]
    Map {
        /// The name of the link.
        link: LinkName,
        /// The number of the memory region.
        region: u16,
        /// How large the region is, bytes.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The shared memory is not as it should be.
    #[error("link {link}: netmap's memory is not laid out as API {} says: {what}", abi::API)]
    Layout {
        /// The name of the link.
        link: LinkName,
        /// What is wrong, in words.
        what: String,
    },
    /// A ring is not as it should be.
    #[error("link {link}: {source}")]
    Ring {
        /// The name of the link.
        link: LinkName,
        /// What is wrong with the rings.
        source: BadRing,
    },
}

impl OpenError {
    /// What it means that `/dev/netmap` does not open.
    pub(super) fn of_device(error: io::Error) -> Self {
        match error.raw_os_error() {
            // The last two: the node is there, the module is not.
            Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => Self::NoDevice,
            Some(libc::EACCES | libc::EPERM) => Self::Permission,
            _ => Self::Device(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_exists_instead() {
        let link: LinkName = "netmap:ix7".parse().unwrap();
        let error = OpenError::NoInterface { link: link.clone(), have: vec!["ix0".into(), "ix1".into()] };
        assert_eq!(error.to_string(), "link netmap:ix7: no such interface (have: ix0, ix1)");
        let error = OpenError::NoQueue { link, have: 4 };
        assert_eq!(error.to_string(), "link netmap:ix7: no such queue (have: 0 to 3)");
    }
}
