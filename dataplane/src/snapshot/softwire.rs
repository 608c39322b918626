//! The tunnel: IPv4 in IPv6 towards one border router (AFTR, BR), and straight to other CEs of a mesh.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hikyaku_net::map::Mesh;
use hikyaku_net::packet::{Ethernet, Ipv6, ethertype};
use hikyaku_net::{Addr4, Addr6, Mac, Port, Prefix4, Time, protocol};
use hikyaku_ring::LinkId;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Route, Snapshot, UsualHosts};
use crate::napt::Napt;
use crate::sessions::LanId;
use crate::tunnel::Outer;
use crate::tunnel::ecn::ClassMode;
use crate::tunnel::mtu::{MtuMode, PathMtu};

/// Who gets what came out of the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    /// Whoever the routes say; nobody if they say a tunnel.
    Routed,
    /// Hosts of one link, whatever their address (replay).
    Link(LinkId),
}

/// Hop limit of tunnel packets.
pub const HOP_LIMIT: u8 = 64;

/// A tunnel and how it is used.
#[derive(Clone, Debug)]
pub struct Softwire {
    /// Our end: the B4's or CE's address.
    pub local: Addr6,
    /// The far end: AFTR or BR.
    pub remote: Addr6,
    /// The WAN link that its packets leave and come by.
    pub link: LinkId,
    /// The next hop's Ethernet address, once it is known.
    pub next_hop: Option<Mac>,
    /// Until when our end is ours: the end of its prefix or lease (RFC 4862 5.5.4, RFC 8415 18.2.5). From then on nothing is
    /// sent from it, also while the control thread, which would say more, stands still.
    pub until: Time,
    /// How large a packet may be and what becomes of larger ones.
    pub mtu: MtuMode,
    /// DSCP and ECN of the outer header.
    pub class: ClassMode,
    /// Largest TCP MSS let through, both ways.
    pub mss: Option<u16>,
    /// `None`: addresses pass as they are (DS-Lite: the AFTR translates).
    pub napt: Option<Arc<Napt>>,
    /// MAP-E in mesh mode: other CEs, that packets are exchanged with without the border router. Only
    /// with `napt`; its prefixes must be in the routes ([`Mesh::prefixes`]). `None`: hub and spoke.
    pub mesh: Option<Arc<Mesh>>,
    /// Whom inbound packets go to.
    pub deliver: Deliver,
    /// What was learned about it; survives new snapshots.
    pub state: Arc<SoftwireState>,
}

/// What kind of far end a packet of the tunnel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FarEnd {
    /// The far end of most packets: an AFTR (RFC 6333) or a MAP border relay (RFC 7597).
    BorderRouter,
    /// Another CE of the mesh.
    Peer,
}

/// What stands in front of an inner packet on the wire.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct OuterHeaders {
    /// To the next hop.
    pub ethernet: Ethernet,
    /// To the far end.
    pub ipv6: Ipv6,
}

impl Softwire {
    /// A DS-Lite tunnel over `link`, about which nothing was learned yet: what else a caller wants replaces this.
    pub fn new(local: impl Into<Addr6>, remote: impl Into<Addr6>, link: LinkId, next_hop: Option<Mac>) -> Self {
        Self {
            local: local.into(),
            remote: remote.into(),
            link,
            next_hop,
            until: Time(u64::MAX),
            mtu: MtuMode::default(),
            class: ClassMode::default(),
            mss: None,
            napt: None,
            mesh: None,
            deliver: Deliver::Routed,
            state: Arc::default(),
        }
    }

    /// Whether our end is not ours any more.
    #[inline(always)]
    pub fn has_ended(&self, now: Time) -> bool {
        self.until <= now
    }

    /// The headers of every packet of this tunnel, but for payload length, class and flow label.
    pub fn headers(&self, our_mac: Mac, next_hop: Mac) -> OuterHeaders {
        OuterHeaders {
            ethernet: Ethernet { dst: next_hop, src: our_mac, ethertype: ethertype::IPV6.into() },
            ipv6: self.outer(0, 0).header(0, protocol::IPV4),
        }
    }

    /// The link of an inside host, if it is one; `lan`: that of its session, if there is one. A session's packets
    /// go back to the LAN that it was opened from, also where another one has such a host, too.
    #[inline(always)]
    pub fn host_link(&self, snapshot: &Snapshot, lan: Option<LanId>, host: Addr4) -> Option<LinkId> {
        match self.deliver {
            Deliver::Link(link) => Some(link),
            Deliver::Routed => match snapshot.routes.lookup(host) {
                Route::Link(link) => match lan {
                    Some(lan) if snapshot.link(link)?.lan != lan => snapshot.host_link(lan, host),
                    _ => Some(link),
                },
                _ => None,
            },
        }
    }

    /// Of which hosts [`Self::host_link`] can be told more cheaply.
    pub fn usual_hosts(&self, snapshot: &Snapshot) -> UsualHosts {
        match self.deliver {
            Deliver::Link(link) => UsualHosts { prefix: Prefix4::ALL, link, ..UsualHosts::NONE },
            Deliver::Routed if self.napt.is_some() && !snapshot.has_one_lan() => UsualHosts::NONE,
            Deliver::Routed => snapshot.routes.usual_hosts(),
        }
    }

    /// The outer header of a packet with this class and flow label to the border router.
    pub fn outer(&self, class: u8, flow: u32) -> Outer {
        Outer { src: self.local, dst: self.remote, class, flow, hop_limit: HOP_LIMIT }
    }

    /// The far end's address for packets to this IPv4 address and port, or ICMP identifier (RFC 7597 8).
    pub fn remote_of(&self, dst: Addr4, port: Port) -> Addr6 {
        self.mesh.as_deref().and_then(|mesh| mesh.remote(dst, port)).unwrap_or(self.remote)
    }

    /// The kind of the far end with this address.
    pub fn far_end(&self, remote: Addr6) -> FarEnd {
        if remote == self.remote { FarEnd::BorderRouter } else { FarEnd::Peer }
    }
}

/// What workers learn about a tunnel.
#[derive(Debug, Default)]
pub struct SoftwireState {
    path_mtu: Mutex<PathMtu>,
    /// Of all other CEs together: there may be millions. What one of them, or a router near it, makes
    /// of this never concerns the border router.
    peers_mtu: Mutex<PathMtu>,
    /// ICMPv6 "source address failed ingress policy" (type 1 code 5): the far end does not know us.
    source_refused: AtomicU64,
    /// ICMPv6 "destination unreachable" with any other code.
    unreachable: AtomicU64,
}

impl SoftwireState {
    /// The largest outer packet that reaches the border router, as far as is known. Asked once per burst.
    pub fn path_mtu(&self, now: Time, link_mtu: u16) -> u16 {
        self.path_mtu.lock().unwrap_or_else(PoisonError::into_inner).get(now, link_mtu)
    }

    /// The largest outer packet that reaches this far end, as far as is known. What is too big for the border router,
    /// is for other CEs: a narrow place is most often our own line, and what they do not get goes to the border router.
    pub fn path_mtu_to(&self, far: FarEnd, now: Time, link_mtu: u16) -> u16 {
        let path_mtu = self.path_mtu(now, link_mtu);
        match far {
            FarEnd::BorderRouter => path_mtu,
            FarEnd::Peer => self.peers_mtu.lock().unwrap_or_else(PoisonError::into_inner).get(now, path_mtu),
        }
    }

    /// A believable Packet Too Big on the way to `far` said `mtu`. True if that is news.
    pub fn learn_mtu(&self, far: FarEnd, now: Time, link_mtu: u16, mtu: u32) -> bool {
        let path_mtu = match far {
            FarEnd::BorderRouter => &self.path_mtu,
            FarEnd::Peer => &self.peers_mtu,
        };
        path_mtu.lock().unwrap_or_else(PoisonError::into_inner).learn(now, link_mtu, mtu)
    }

    /// The border router refused our source address.
    pub fn note_refused(&self) {
        self.source_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A router on the way said that the far end cannot be reached.
    pub fn note_unreachable(&self) {
        self.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    /// How often one did.
    pub fn unreachable(&self) -> u64 {
        self.unreachable.load(Ordering::Relaxed)
    }

    /// How often it did.
    pub fn refused(&self) -> u64 {
        self.source_refused.load(Ordering::Relaxed)
    }
}
