//! Links by their names, whoever provides them.

use super::error::LinkError;
use super::link::LinkInfo;
use super::name::{LinkKind, LinkName};
use super::queue::Queue;
use super::vlan::Vlan;
use super::watch::{NetmapWatch, Watch};
use super::{kernel, xdp};

/// How to open links.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// How links of netmap are opened.
    pub netmap: kernel::OpenOptions,
    /// How links of AF_XDP are opened.
    pub xdp: xdp::OpenOptions,
}

/// A link that is to be opened.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The name that says which interface and how it is reached.
    pub name: LinkName,
    /// The host's rings are wanted too. Not every kind of link has them.
    pub host: bool,
    /// Slots of a handoff ring from each of its queues' workers to each other one's; 0 for no such rings.
    pub handoff_slots: u32,
    /// The VLAN that it is of its wire. The host's rings are of all.
    pub vlan: Option<Vlan>,
}

impl Wanted {
    /// A link without host rings, handoff rings and VLAN.
    pub fn new(name: LinkName) -> Self {
        Self { name, host: false, handoff_slots: 0, vlan: None }
    }
}

/// A link that is open, whoever provides it.
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

/// Opens all links of a router: those of AF_XDP get memory in common, so that frames move between
/// them by swapping buffers, as between netmap's. The first that cannot be opened is the error, and then
/// none is open.
pub fn open(links: &[Wanted], options: &LinkOptions) -> Result<Vec<Link>, LinkError> {
    let is_xdp = |link: &&Wanted| link.name.kind() == LinkKind::Xdp;
    let umem = match links.iter().any(|link| is_xdp(&link)) {
        true => {
            let names = links.iter().filter(is_xdp).map(|link| (&link.name, link.handoff_slots));
            Some(xdp::Umem::for_links(names, &options.xdp)?)
        }
        false => None,
    };
    let one = |wanted: &Wanted| match (&umem, wanted) {
        (Some(umem), &Wanted { ref name, handoff_slots, vlan, .. }) if is_xdp(&wanted) => {
            let options = xdp::OpenOptions { handoff_slots, vlan, ..options.xdp.clone() };
            let xdp::XdpLink { queues, info, watch } = xdp::open(name, umem, &options)?;
            Ok(Link { queues, host: Vec::new(), info, watch: Some(Box::new(watch)) })
        }
        (_, &Wanted { ref name, host, handoff_slots, vlan }) => {
            let options = kernel::OpenOptions { host, handoff_slots, vlan, ..options.netmap.clone() };
            let (kernel::KernelLink { queues, host, info }, watch) = NetmapWatch::open(name, options)?;
            Ok(Link { queues, host, info, watch: watch.map(|watch| Box::new(watch) as _) })
        }
    };
    links.iter().map(one).collect()
}
