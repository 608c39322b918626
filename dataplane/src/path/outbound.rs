//! LAN to tunnel.

use super::gate::{Pattern, Plain, Tunnelled};
use super::{Burst, Core, Lane, Meta, Rings, Way, ports_of, rewrite};
use crate::napt::{Direction, Hash, Key, Kind, Napt, pair_addrs};
use crate::packet::checksum::header_is_right;
use crate::packet::{Ipv6, protocol};
use crate::ring::{Frame, HEAD};
use crate::snapshot::{Link, OuterHeaders, Route, Softwire, SoftwireId};
use crate::tunnel::OUTER_LEN;
use crate::verdict::{Reason, Verdict};

/// Outbound through one softwire, with NAPT or without.
pub(super) struct Outbound<'a, const NAPT: bool> {
    burst: Burst<'a>,
    link: &'a Link,
    pattern: Pattern,
    napt: Option<&'a Napt>,
    /// `None`: nothing is ordinary, because there is no tunnel to send into.
    wire: Option<Wire<'a>>,
}

/// The softwire that ordinary frames take.
struct Wire<'a> {
    route: Route,
    softwire: &'a Softwire,
    headers: OuterHeaders,
    /// The largest inner packet that goes in one piece.
    whole: usize,
}

impl<'a, const NAPT: bool> Outbound<'a, NAPT> {
    pub fn new(burst: Burst<'a>, napt: Option<&'a Napt>) -> Self {
        let link = &burst.snapshot.links[burst.link.index()];
        let wire = burst.snapshot.main_softwire(burst.link).and_then(|id| Wire::new(burst, id));
        Self { burst, link, pattern: Pattern::ipv4(link), napt, wire }
    }
}

impl<'a> Wire<'a> {
    fn new(burst: Burst<'a>, id: SoftwireId) -> Option<Self> {
        let softwire = &burst.snapshot.softwires[id.0 as usize];
        let wan = burst.snapshot.link(softwire.link)?;
        let path_mtu = softwire.state.path_mtu(burst.now, wan.mtu);
        Some(Self {
            route: Route::Softwire(id),
            softwire,
            headers: softwire.headers(wan.mac)?,
            whole: softwire.mtu.inner_mtu(path_mtu) as usize,
        })
    }
}

impl<const NAPT: bool> Way for Outbound<'_, NAPT> {
    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        let view: &Plain = zerocopy::transmute_ref!(head);
        let ip = &view.ip;
        let key = Key {
            addrs: pair_addrs(ip.src, ip.dst),
            ports: ports_of(ip, [view.rest[0], view.rest[1], view.rest[2], view.rest[3]]),
            protocol: ip.protocol,
            kind: Kind::Outbound,
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
        let (Lane::Ordinary, Some(wire)) = (meta.lane, &self.wire) else {
            return self.look_closer(core, rings, meta.frame);
        };
        // Room for the outer header.
        let Some((frame, _moved)) = rings.rx.make_headroom(meta.frame, OUTER_LEN) else { return Reason::Jumbo.into() };
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.window(frame, OUTER_LEN));
        let tcp = view.inner.protocol == protocol::TCP;
        // The session, and what it makes of addresses and ports.
        let mut hash = meta.hash;
        match self.napt {
            Some(napt) => {
                let Some(session) = napt.confirm(meta.candidate, &meta.key, meta.hash) else {
                    return self.look_closer(core, rings, frame);
                };
                session.note(Direction::Outbound, self.burst.now.seconds(), true);
                if tcp {
                    core.tcp(view, 0, Some((napt, session, Direction::Outbound)), wire.softwire.mss);
                }
                rewrite(view, 0, &session.rewrite(Direction::Outbound));
            }
            None => {
                hash = core.flows.hash(&meta.key);
                if tcp {
                    core.tcp(view, 0, None, wire.softwire.mss);
                }
                view.inner.decrement_ttl();
            }
        }
        // The outer header (RFC 2473 5): the template, and what differs from packet to packet.
        let len = view.inner.total_len;
        view.ethernet = wire.headers.ethernet;
        view.outer = wire.headers.ipv6;
        view.outer.payload_len = len;
        view.outer.version_class_flow =
            Ipv6::version_class_flow(wire.softwire.class.outer_class(view.inner.tos), hash.flow_label());
        let frame = frame.push(OUTER_LEN as u16).with_len(14 + OUTER_LEN + len.get() as usize);
        core.send(rings, wire.softwire.link, frame, Verdict::Outbound)
    }
}

impl<const NAPT: bool> Outbound<'_, NAPT> {
    /// A packet for the tunnel that needs nothing special.
    #[inline(always)]
    fn is_ordinary(&self, head: &[u8; HEAD], view: &Plain, frame: Frame) -> bool {
        let Some(wire) = &self.wire else { return false };
        let ip = &view.ip;
        let header: &[u8; 20] = head[14..34].try_into().expect("twenty bytes");
        let (tcp, udp) = (ip.protocol == protocol::TCP, ip.protocol == protocol::UDP);
        let total = ip.len();
        let least = 20 + if tcp { 20 } else { 8 };
        self.pattern.fits(head)
            & (total >= least)
            & (total + 14 <= frame.len())
            & (total <= wire.whole)
            & (ip.ttl > 1)
            & header_is_right(header)
            & !ip.is_fragment()
            & (!NAPT | tcp | udp)
            & ip.src.is_host()
            && self.link.sources4.iter().any(|p| p.contains(ip.src))
            && self.burst.snapshot.routes.lookup(ip.dst) == wire.route
    }

    #[cold]
    #[inline(never)]
    fn look_closer(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Verdict {
        let _ = (core, rings, frame);
        Reason::NoRoute.into()
    }
}
