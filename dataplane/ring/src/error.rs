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
