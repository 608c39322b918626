//! The links of a router: opened together, shared out among the workers.

use hikyaku_config::Config;
use hikyaku_dataplane::worker::HandoffRings;
use hikyaku_net::Mac;
use hikyaku_ring::{HANDOFF_SLOTS, LinkId, LinkInfo, LinkName, Queue, Wanted};

use super::card::Card;
use super::guard::LinkGuard;
use crate::router::{LAN, LAN_HOST, LinkFacts, WAN, WAN_HOST};

/// The links of a router, opened and shared out among the workers.
pub struct Links {
    /// By worker: its queue of every link.
    pub queues: Vec<Vec<(LinkId, Queue)>>,
    /// By worker: its handoff to the others, if there are several.
    pub handoff: Vec<HandoffRings>,
    /// See to it that they come back, LAN and WAN.
    pub guards: [LinkGuard; 2],
    /// Have their cards pass on what is for us, LAN and WAN.
    pub cards: [Card; 2],
    /// What they turned out to be, LAN and WAN.
    pub facts: [LinkFacts; 2],
    /// Whether the host's own stack is behind them.
    pub hosts: [bool; 2],
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
    /// Opens LAN and WAN together, joins their workers by handoff rings, and logs what they turned out to be.
    pub fn open(config: &Config) -> Result<Self, LinksError> {
        let names = [config.lan.link.clone(), config.wan.link.clone()];
        let hosts = [config.lan.host, config.wan.host];
        // Only the tunnel's packets come in by one queue; the LAN's are spread by the card.
        let [lan, wan] = [(LAN, config.lan.vlan), (WAN, config.wan.vlan)].map(|(link, vlan)| Wanted {
            name: names[link.index()].clone(),
            host: hosts[link.index()],
            handoff_slots: if link == WAN { HANDOFF_SLOTS } else { 0 },
            vlan,
        });
        let [lan, mut wan] =
            <[hikyaku_ring::Link; 2]>::try_from(hikyaku_ring::open(&[lan, wan], &config.tuning.links())?)
                .unwrap_or_else(|_| unreachable!("two links were asked for"));
        for info in [&lan.info, &wan.info] {
            tracing::info!(link = %info.name, "{info}");
            info.warnings().iter().for_each(|warning| tracing::warn!(link = %info.name, "{warning}"));
        }
        if let Some(warning) = lan.info.copy_warning(&wan.info) {
            tracing::warn!(lan = %lan.info.name, wan = %wan.info.name, "{warning}");
        }
        let shared = lan.info.region == wan.info.region;
        let memory = lan.info.memory + if shared { 0 } else { wan.info.memory };
        let facts = [lan_facts(config, &lan.info)?, wan_facts(config, &wan.info)?];
        let cards =
            [Card::open(&names[0], lan.info.mac, facts[0].mac), Card::open(&names[1], wan.info.mac, facts[1].mac)];
        let workers =
            config.tuning.cores.as_ref().map_or(lan.queues.len().min(wan.queues.len()), |cores| cores.0.len());
        for (link, name) in [(&lan, &names[0]), (&wan, &names[1])] {
            if link.queues.len() != workers {
                return Err(LinksError::Queues { link: name.clone(), has: link.queues.len(), workers });
            }
        }
        let handoff = match workers {
            0 | 1 => Vec::new(),
            _ => HandoffRings::between(WAN, &mut wan.queues.iter_mut().collect::<Vec<_>>())
                .map_err(|source| LinksError::Handoff { link: names[1].clone(), source })?,
        };
        let mut queues: Vec<Vec<(LinkId, Queue)>> = (0..workers).map(|_| Vec::new()).collect();
        let mut share_out = |link: hikyaku_ring::Link, name: &LinkName, ids: [LinkId; 2]| {
            for (worker, queue) in link.queues.into_iter().enumerate() {
                queues[worker].push((ids[0], queue));
            }
            // The host's stack is slow and small: one worker carries all of it.
            let host = link.host.into_iter().next();
            let has_host = host.is_some();
            queues[0].extend(host.map(|queue| (ids[1], queue)));
            LinkGuard::new(name.clone(), ids, has_host, link.watch)
        };
        let guards = [share_out(lan, &names[0], [LAN, LAN_HOST]), share_out(wan, &names[1], [WAN, WAN_HOST])];
        Ok(Self { queues, handoff, guards, cards, facts, hosts, memory })
    }
}

/// What the LAN link is, by the configuration and as it was opened.
pub fn lan_facts(config: &Config, info: &LinkInfo) -> Result<LinkFacts, LinksError> {
    facts(info, config.lan.mac, "lan", config.lan.mtu)
}

/// What the WAN link is, by the configuration and as it was opened.
pub fn wan_facts(config: &Config, info: &LinkInfo) -> Result<LinkFacts, LinksError> {
    facts(info, config.wan.mac, "wan", config.wan.mtu.unwrap_or(hikyaku_config::LINK_MTU))
}

fn facts(info: &LinkInfo, mac: Option<Mac>, section: &'static str, mtu: u16) -> Result<LinkFacts, LinksError> {
    let mac = mac.or(info.mac.map(Mac)).ok_or_else(|| LinksError::NoMac(info.name.clone(), section))?;
    let own = info.mtu.map_or(u16::MAX, |mtu| mtu.min(u16::MAX.into()) as u16);
    Ok(LinkFacts { name: info.name.to_string(), mac, mtu: mtu.min(own), mode: info.mode(), vlan: info.vlan })
}
