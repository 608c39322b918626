//! What may be wrong with a link, whoever provides it.

use super::{kernel, xdp};

/// Why a link could not be opened. One line each.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A link of netmap's.
    #[error(transparent)]
    Netmap(#[from] kernel::OpenError),
    /// A link of AF_XDP's.
    #[error(transparent)]
    Xdp(#[from] xdp::OpenError),
}

impl LinkError {
    /// The interface is not there, or nobody has set it up yet: the same may do later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Netmap(error) => {
                matches!(error, kernel::OpenError::NoInterface { .. } | kernel::OpenError::Down { .. })
            }
            Self::Xdp(error) => matches!(error, xdp::OpenError::NoInterface { .. } | xdp::OpenError::Down { .. }),
        }
    }
}
