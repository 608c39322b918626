//! Links whose interface goes away: unplugged, removed, or moved to another namespace.

use std::fmt;

use super::error::LinkError;
use super::kernel::{self, KernelLink, OpenError, OpenOptions};
use super::link::{LinkInfo, Losses};
use super::name::{LinkKind, LinkName};
use super::platform::{self, Identity};
use super::queue::Queue;
use super::xdp;

/// What the control thread keeps of an open link, so that the link comes back with its interface. One that
/// is only set down and up again needs none of this.
pub trait Watch: Send {
    /// Whether the interface that was opened is there no more. There may be another of its name.
    fn gone(&self) -> bool;

    /// What the system says of the interface that was lost before a worker saw it. Each number only grows, until the link is
    /// opened anew. The card's count is of the interface's whole life.
    fn losses(&self) -> Losses {
        Losses::default()
    }

    /// Whether its queues are of no use then. Workers have to drop them before [`Self::reopen`], which makes
    /// others; if not, they go on with those that they have.
    fn replaces_queues(&self) -> bool;

    /// Opens the link anew, once there is an interface of its name again that is up. Its address, its MTU and
    /// the number of its queues may be others. To be tried again after an error.
    fn reopen(&mut self) -> Result<Reopened, LinkError>;
}

/// A link that was opened anew.
pub struct Reopened {
    /// What it is now.
    pub info: LinkInfo,
    /// Its queues, in the card's order, if they are others than before.
    pub queues: Vec<Queue>,
    /// The host's ring pairs, if they were asked for.
    pub host: Vec<Queue>,
}

impl fmt::Debug for Reopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} queues and {} of the host, of {}", self.queues.len(), self.host.len(), self.info)
    }
}

impl Watch for xdp::Watch {
    fn gone(&self) -> bool {
        self.gone()
    }

    fn losses(&self) -> Losses {
        Losses { card: platform::missed(self.name().port()), ..self.losses() }
    }

    fn replaces_queues(&self) -> bool {
        false
    }

    fn reopen(&mut self) -> Result<Reopened, LinkError> {
        let info = self.reopen()?;
        Ok(Reopened { info, queues: Vec::new(), host: Vec::new() })
    }
}

/// Watches an interface that the kernel's netmap opened. netmap holds on to an interface while a descriptor is
/// bound to it, and Linux waits with the removal for that long; the name is free at once.
pub(super) struct NetmapWatch {
    name: LinkName,
    options: OpenOptions,
    /// Which interface is open.
    opened: Option<Identity>,
}

impl NetmapWatch {
    /// Opens a link; with its watch if it is one of an interface. VALE ports and pipes stay.
    pub fn open(name: &LinkName, options: OpenOptions) -> Result<(KernelLink, Option<Self>), OpenError> {
        if name.kind() != LinkKind::Interface {
            return Ok((kernel::open(name, &options)?, None));
        }
        // Before it is opened: if it is another one meanwhile, that shows.
        let opened = platform::identity(name.port()).ok().flatten();
        let link = kernel::open(name, &options)?;
        // Handoff rings outlive the interface: their buffers are not asked for again.
        let options = OpenOptions { handoff_slots: 0, ..options };
        Ok((link, Some(Self { name: name.clone(), options, opened })))
    }
}

impl Watch for NetmapWatch {
    fn gone(&self) -> bool {
        // What cannot be asked is no reason to drop queues.
        platform::identity(self.name.port()).is_ok_and(|now| now.is_none() || now != self.opened)
    }

    fn losses(&self) -> Losses {
        let port = self.name.port();
        Losses { card: platform::missed(port) + platform::dropped(port), ..Losses::default() }
    }

    fn replaces_queues(&self) -> bool {
        true
    }

    fn reopen(&mut self) -> Result<Reopened, LinkError> {
        // Whoever makes an interface gives it its address and its MTU before it is up.
        if !kernel::find_interface(&self.name)?.carrier {
            return Err(OpenError::Down { link: self.name.clone() }.into());
        }
        let (KernelLink { queues, host, info }, watch) = Self::open(&self.name, self.options.clone())?;
        self.opened = watch.and_then(|watch| watch.opened);
        Ok(Reopened { info, queues, host })
    }
}
