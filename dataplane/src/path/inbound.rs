//! Tunnel to LAN.

use zerocopy::IntoBytes;

use super::gate::{Pattern, Tunnelled};
use super::{Burst, Core, Lane, Meta, Rings, Way, ports_of, rewrite};
use crate::napt::{Direction, Hash, Key, Kind, Napt, pair_addrs};
use crate::packet::checksum::header_is_right;
use crate::packet::{Addr4, Addr6, Ethernet, ethertype, protocol};
use crate::ring::{Frame, HEAD};
use crate::snapshot::{Deliver, LinkId, Route, Softwire};
use crate::tunnel::OUTER_LEN;
use crate::verdict::{Reason, Verdict};

/// Shortest Ethernet frame, without FCS.
const MIN_FRAME: usize = 60;

/// Inbound from one softwire, with NAPT or without.
pub(super) struct Inbound<'a, const NAPT: bool> {
    burst: Burst<'a>,
    pattern: Pattern,
    napt: Option<&'a Napt>,
    softwire: Option<&'a Softwire>,
    /// Outer source and destination of ordinary frames.
    ends: [Addr6; 2],
    /// The largest inner packet that every LAN link takes.
    whole: usize,
    refresh: bool,
}

impl<'a, const NAPT: bool> Inbound<'a, NAPT> {
    pub fn new(burst: Burst<'a>, napt: Option<&'a Napt>) -> Self {
        let Burst { snapshot, link, .. } = burst;
        let softwire = snapshot.main_softwire(link).map(|id| &snapshot.softwires[id.0 as usize]);
        let lans = snapshot.links.iter().filter(|l| l.side == crate::snapshot::Side::Lan);
        Self {
            burst,
            pattern: Pattern::ipv6(&snapshot.links[link.index()]),
            napt,
            softwire,
            ends: softwire.map_or(Default::default(), |s| [s.remote, s.local]),
            whole: lans.map(|l| l.mtu as usize).min().unwrap_or(0),
            refresh: napt.is_some_and(|n| n.refreshes(Direction::Inbound)),
        }
    }
}

impl<const NAPT: bool> Way for Inbound<'_, NAPT> {
    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        let view: &Tunnelled = zerocopy::transmute_ref!(head);
        let key = Key {
            addrs: pair_addrs(view.inner.src, view.inner.dst),
            ports: ports_of(&view.inner, [view.rest[0], view.rest[1], view.rest[2], view.rest[3]]),
            protocol: view.inner.protocol,
            kind: Kind::Inbound,
        };
        let hash = match self.napt {
            Some(napt) => napt.hash(&key),
            None => Hash::NONE,
        };
        if let Some(napt) = self.napt {
            napt.prefetch(hash);
        }
        let lane = if self.is_ordinary(head, view, frame) { Lane::Ordinary } else { Lane::Closer };
        Meta { frame, lane, candidate: 0, hash, key }
    }

    #[inline(always)]
    fn probe(&self, meta: &mut Meta) {
        if let Some(napt) = self.napt {
            meta.candidate = napt.candidate(meta.hash);
        }
    }

    #[inline(always)]
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Verdict {
        let (Lane::Ordinary, Some(softwire)) = (meta.lane, self.softwire) else {
            return self.look_closer(core, rings, meta.frame);
        };
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.head(meta.frame));
        let tcp = view.inner.protocol == protocol::TCP;
        match self.napt {
            Some(napt) => {
                let Some(session) = napt.confirm(meta.candidate, &meta.key, meta.hash) else {
                    return self.look_closer(core, rings, meta.frame);
                };
                session.note(Direction::Inbound, self.burst.now.seconds(), self.refresh);
                if tcp {
                    core.tcp(view, 0, Some((napt, session, Direction::Inbound)), softwire.mss);
                }
                rewrite(view, 0, &session.rewrite(Direction::Inbound));
            }
            None => {
                if tcp {
                    core.tcp(view, 0, None, softwire.mss);
                }
                view.inner.decrement_ttl();
            }
        }
        // To whom, and the Ethernet header for it.
        let len = view.inner.len();
        let Some(link) = self.lan_of(softwire, view.inner.dst) else { return Reason::NoRoute.into() };
        let lan = &self.burst.snapshot.links[link.index()];
        let Some(station) = lan.neighbours.get(view.inner.dst) else { return Reason::NoNeighbour.into() };
        let ethernet = Ethernet { dst: station, src: lan.mac, ethertype: ethertype::IPV4.into() };
        let frame = meta.frame.pop(OUTER_LEN as u16).with_len((14 + len).max(MIN_FRAME));
        rings.rx.window(frame, 0)[..14].copy_from_slice(ethernet.as_bytes());
        if 14 + len < MIN_FRAME {
            // Nobody's old bytes leave in the padding.
            rings.rx.bytes(frame)[14 + len..].fill(0);
        }
        core.send(rings, link, frame, Verdict::Inbound)
    }
}

impl<const NAPT: bool> Inbound<'_, NAPT> {
    /// A tunnel packet that needs nothing special.
    #[inline(always)]
    fn is_ordinary(&self, head: &[u8; HEAD], view: &Tunnelled, frame: Frame) -> bool {
        let ip = &view.inner;
        let header: &[u8; 20] = head[54..74].try_into().expect("twenty bytes");
        let (tcp, udp) = (ip.protocol == protocol::TCP, ip.protocol == protocol::UDP);
        let (payload, total) = (view.outer.payload_len.get() as usize, ip.len());
        let least = 20 + if tcp { 20 } else { 8 };
        self.softwire.is_some()
            & self.pattern.fits(head)
            & (view.outer.next_header == protocol::IPV4)
            & ([view.outer.src, view.outer.dst] == self.ends)
            & (ip.version_ihl == 0x45)
            & (payload + 54 <= frame.len())
            & (total <= payload)
            & (total >= least)
            & (total <= self.whole)
            & (ip.ttl > 1)
            & header_is_right(header)
            & !ip.is_fragment()
            & (!NAPT | tcp | udp)
            & ip.src.is_host()
    }

    /// The link of an inside host.
    #[inline(always)]
    fn lan_of(&self, softwire: &Softwire, host: Addr4) -> Option<LinkId> {
        match softwire.deliver {
            Deliver::Link(link) => Some(link),
            Deliver::Routed => match self.burst.snapshot.routes.lookup(host) {
                Route::Link(link) => Some(link),
                _ => None,
            },
        }
    }

    #[cold]
    #[inline(never)]
    fn look_closer(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Verdict {
        let _ = (core, rings, frame);
        Reason::NoRoute.into()
    }
}
