//! Links by their names, whoever provides them.

use super::link::LinkInfo;
use super::name::{LinkKind, LinkName};
use super::watch::{NetmapWatch, Watch};
use super::{Queue, kernel, xdp};

/// How to open links. Host rings are asked for link by link: see [`open`].
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// Those of netmap.
    pub netmap: kernel::OpenOptions,
    /// Those of AF_XDP.
    pub xdp: xdp::OpenOptions,
}

/// An open link.
pub struct Link {
    /// Its queues, in the card's order.
    pub queues: Vec<Queue>,
    /// The host's ring pairs, if they were asked for.
    pub host: Vec<Queue>,
    /// What it turned out to be.
    pub info: LinkInfo,
    /// For whoever sees to it that the link comes back when its interface was gone. VALE ports and pipes
    /// are never gone.
    pub watch: Option<Box<dyn Watch>>,
}

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

/// Opens all links of a router: those of AF_XDP get memory in common, so that frames move between
/// them by swapping buffers, as between netmap's. With a name stands whether the host's rings are
/// wanted too: not every kind of link has them. The first that cannot be opened is the error, and then
/// none is open.
pub fn open(links: &[(LinkName, bool)], options: &LinkOptions) -> Result<Vec<Link>, LinkError> {
    let is_xdp = |name: &&LinkName| name.kind() == LinkKind::Xdp;
    let names = || links.iter().map(|(name, _)| name);
    let umem = match names().any(|name| is_xdp(&name)) {
        true => Some(xdp::Umem::for_links(names().filter(is_xdp), &options.xdp)?),
        false => None,
    };
    let one = |(name, host): &(LinkName, bool)| match &umem {
        Some(umem) if is_xdp(&name) => {
            let xdp::XdpLink { queues, info, watch } = xdp::open(name, umem, &options.xdp)?;
            Ok(Link { queues, host: Vec::new(), info, watch: Some(Box::new(watch)) })
        }
        _ => {
            let options = kernel::OpenOptions { host: *host, ..options.netmap.clone() };
            let (kernel::KernelLink { queues, host, info }, watch) = NetmapWatch::open(name, options)?;
            Ok(Link { queues, host, info, watch: watch.map(|watch| Box::new(watch) as _) })
        }
    };
    links.iter().map(one).collect()
}
