//! Systems without AF_XDP: the same names, and one line that says so.

use super::{Losses, OpenError, OpenOptions, XdpLink};
use crate::link::LinkInfo;
use crate::name::LinkName;

/// There is none on this system.
#[derive(Clone, Debug)]
pub enum Umem {}

impl Umem {
    /// Refuses the first link.
    pub fn for_links<'a>(
        names: impl IntoIterator<Item = (&'a LinkName, u32)>,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        match names.into_iter().next() {
            Some((name, _)) => Err(OpenError::NotLinux { link: name.clone() }),
            None => Err(OpenError::Shape { slots: options.slots, buf_size: 0 }),
        }
    }
}

/// There is none on this system.
#[derive(Debug)]
pub enum Watch {}

impl Watch {
    /// Whether the interface is gone; there is no such link on this system that could be asked.
    pub fn gone(&self) -> bool {
        match *self {}
    }

    /// The name that it was opened by; there is no such link on this system.
    pub fn name(&self) -> &LinkName {
        match *self {}
    }

    /// What was lost; there is no such link on this system that could be asked.
    pub fn losses(&self) -> Losses {
        match *self {}
    }

    /// Opens the link anew; there is no such link on this system.
    pub fn reopen(&mut self) -> Result<LinkInfo, OpenError> {
        match *self {}
    }
}

/// Cannot be asked: there is no [`Umem`].
pub fn open(_: &LinkName, umem: &Umem, _: &OpenOptions) -> Result<XdpLink, OpenError> {
    match *umem {}
}
