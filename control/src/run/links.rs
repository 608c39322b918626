//! The links of a router: opened together, shared out among the workers.

use hikyaku_config::Config;
use hikyaku_dataplane::worker::HandoffRings;
use hikyaku_net::Mac;
use hikyaku_ring::{HANDOFF_SLOTS, LinkId, LinkInfo, LinkName, Queue, Vlan, Wanted};

use super::card::Card;
use super::guard::LinkGuard;
use crate::router::{LinkFacts, WAN, host_of, lan_of};

/// The links of a router, opened and shared out among the workers.
pub struct Links {
    /// By worker: its queue of every link.
    pub queues: Vec<Vec<(LinkId, Queue)>>,
    /// By worker: its handoff to the others, if there are several.
    pub handoff: Vec<HandoffRings>,
    /// See to it that they come back, by link.
    pub guards: Vec<LinkGuard>,
    /// Have their cards pass on what is for us, by link.
    pub cards: Vec<Card>,
    /// What they turned out to be, by link.
    pub facts: Vec<LinkFacts>,
    /// Whether the host's own stack is behind them, by link.
    pub hosts: Vec<bool>,
    /// Bytes of the memory that their rings and buffers are in.
    pub memory: usize,
}

/// Links that cannot be used together.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// One cannot be opened.
    #[error(transparent)]
    Open(#[from] hikyaku_ring::LinkError),
    /// There is no address to speak with.
    #[error("link {0}: it has no Ethernet address of its own: give it one with [{1}] mac")]
    NoMac(LinkName, &'static str),
    /// A queue would be nobody's.
    #[error(
        "link {link}: it has {has} queues and there {}: make the card use {workers} (Linux: ethtool -L IF combined \
         {workers}; FreeBSD: dev.NAME.N.iflib.override_nrxqs and override_ntxqs = {workers}), or give --cores {has} cores",
        if *workers == 1 { "is 1 worker".into() } else { format!("are {workers} workers") }
    )]
    Queues {
        /// The link with too many or too few queues.
        link: LinkName,
        /// How many queues it has.
        has: usize,
        /// How many workers there are, each with one queue of every link.
        workers: usize,
    },
    /// Workers cannot hand each other packets.
    #[error(
        "link {link}: no handoff rings between its workers: {source} (netmap: raise dev.netmap.buf_num, on Linux the module's \
         parameter buf_num, or give fewer --cores)"
    )]
    Handoff {
        /// The link whose queues were to be joined.
        link: LinkName,
        /// What the system said, or what was lacking.
        source: std::io::Error,
    },
}

impl Links {
    /// Opens all links together, joins their workers by handoff rings, and logs what they turned out to be.
    pub fn open(config: &Config) -> Result<Self, LinksError> {
        let ids = || (0u8..).map(LinkId);
        let sides: Vec<Side> = ids().zip(config.links()).map(|(id, _)| Side::of(config, id)).collect();
        let wanted: Vec<Wanted> = ids().zip(&sides).map(|(id, side)| side.wanted(id)).collect();
        let mut links = hikyaku_ring::open(&wanted, &config.tuning.links())?;
        for info in links.iter().map(|link| &link.info) {
            tracing::info!(link = %info.name, "{info}");
            info.warnings().iter().for_each(|warning| tracing::warn!(link = %info.name, "{warning}"));
        }
        let memory = memory(&links);
        let facts: Vec<LinkFacts> =
            sides.iter().zip(&links).map(|(side, link)| side.facts(&link.info)).collect::<Result<_, _>>()?;
        let card = |((side, link), facts): ((&Side, &hikyaku_ring::Link), &LinkFacts)| {
            Card::open(side.name, link.info.mac, facts.mac)
        };
        let cards = sides.iter().zip(&links).zip(&facts).map(card).collect();
        let most = links.iter().map(|link| link.queues.len()).min().unwrap_or_default();
        let workers = config.tuning.cores.as_ref().map_or(most, |cores| cores.0.len());
        if let Some((link, side)) = links.iter().zip(&sides).find(|(link, _)| link.queues.len() != workers) {
            return Err(LinksError::Queues { link: side.name.clone(), has: link.queues.len(), workers });
        }
        let handoff = match workers {
            0 | 1 => Vec::new(),
            _ => HandoffRings::between(WAN, &mut links[WAN.index()].queues.iter_mut().collect::<Vec<_>>())
                .map_err(|source| LinksError::Handoff { link: config.wan.link.clone(), source })?,
        };
        let count = links.len();
        let mut queues: Vec<Vec<(LinkId, Queue)>> = (0..workers).map(|_| Vec::new()).collect();
        let mut share_out = |((id, side), link): ((LinkId, &Side), hikyaku_ring::Link)| {
            for (worker, queue) in link.queues.into_iter().enumerate() {
                queues[worker].push((id, queue));
            }
            // The host's stack is slow and small: one worker carries all of it.
            let host = link.host.into_iter().next();
            let (ids, has_host) = ([id, host_of(id, count)], host.is_some());
            queues[0].extend(host.map(|queue| (ids[1], queue)));
            LinkGuard::new(side.name.clone(), ids, has_host, link.watch)
        };
        let guards = ids().zip(&sides).zip(links).map(&mut share_out).collect();
        let hosts = sides.iter().map(|side| side.host).collect();
        Ok(Self { queues, handoff, guards, cards, facts, hosts, memory })
    }
}

/// Bytes of rings and buffers; says where frames have to be copied from one link to another.
fn memory(links: &[hikyaku_ring::Link]) -> usize {
    let mut memory = 0;
    for (at, info) in links.iter().map(|link| &link.info).enumerate() {
        let wan = &links[WAN.index()].info;
        if let Some(warning) = (at != WAN.index()).then(|| info.copy_warning(wan)).flatten() {
            tracing::warn!(lan = %info.name, wan = %wan.name, "{warning}");
        }
        let is_counted = links[..at].iter().any(|link| link.info.region == info.region);
        memory += if is_counted { 0 } else { info.memory };
    }
    memory
}

/// What the configuration says of a link.
struct Side<'a> {
    section: &'static str,
    name: &'a LinkName,
    mac: Option<Mac>,
    vlan: Option<Vlan>,
    mtu: u16,
    host: bool,
}

impl<'a> Side<'a> {
    fn of(config: &'a Config, id: LinkId) -> Self {
        match lan_of(id).map(|lan| &config.lans[usize::from(lan.0)]) {
            Some(lan) => {
                Self { section: "lan", name: &lan.link, mac: lan.mac, vlan: lan.vlan, mtu: lan.mtu, host: lan.host }
            }
            None => {
                let wan = &config.wan;
                let mtu = wan.mtu.unwrap_or(hikyaku_config::LINK_MTU);
                Self { section: "wan", name: &wan.link, mac: wan.mac, vlan: wan.vlan, mtu, host: wan.host }
            }
        }
    }

    fn wanted(&self, id: LinkId) -> Wanted {
        Wanted {
            name: self.name.clone(),
            host: self.host,
            // Only the tunnel's packets come in by one queue; those of LANs are spread by the card.
            handoff_slots: if id == WAN { HANDOFF_SLOTS } else { 0 },
            vlan: self.vlan,
        }
    }

    /// With what it was opened as.
    fn facts(&self, info: &LinkInfo) -> Result<LinkFacts, LinksError> {
        let mac = self.mac.or(info.mac.map(Mac));
        let mac = mac.ok_or_else(|| LinksError::NoMac(info.name.clone(), self.section))?;
        let own = info.mtu.map_or(u16::MAX, |mtu| mtu.min(u16::MAX.into()) as u16);
        Ok(LinkFacts { name: info.name.to_string(), mac, mtu: self.mtu.min(own), mode: info.mode(), vlan: info.vlan })
    }
}

/// What a link is, by the configuration and as it was opened.
///
/// # Errors
/// It has no Ethernet address, and none is given.
pub fn facts(config: &Config, id: LinkId, info: &LinkInfo) -> Result<LinkFacts, LinksError> {
    Side::of(config, id).facts(info)
}
