//! LAN to tunnel, the fast path: what happens to almost every packet, in order.
//!
//! Whatever is not ordinary goes to [`super::slow_outbound`].

use hikyaku_net::checksum::header_is_right;
use hikyaku_net::packet::ipv6::FragmentHeader;
use hikyaku_net::packet::{Ipv4, Ipv6, ethertype};
use hikyaku_net::{Addr4, Prefix4, protocol};
use hikyaku_ring::{Frame, HEAD};
use zerocopy::IntoBytes;

use super::classify::{Pattern, Plain, Tunnelled};
use super::emit::ETHERNET;
use super::translate::is_sound;
use super::{Burst, Core, FinishedBy, Meta, Rings, Stages, Translation, classify, first_word, ports_of, rewrite};
use crate::counters::Event;
use crate::napt::{Direction, Endpoint, Hash, Key, Kind, Napt, Scope, Session, split_addrs, split_ports};
use crate::rules::{Ends, Opening, Rules, Zone};
use crate::snapshot::{Link, OuterHeaders, Route, Softwire, SoftwireId};
use crate::tunnel::OUTER_LEN;
use crate::tunnel::fragment::{self, FRAGMENT_LEN};
use crate::tunnel::mtu::Fit;
use crate::verdict::{Reason, Verdict};

/// Outbound through one softwire, with NAPT or without.
pub(super) struct Outbound<'a, N> {
    pub(super) burst: Burst<'a>,
    pub(super) link: &'a Link,
    /// The first of the link's.
    sources: Prefix4,
    /// Of all its hosts' packets.
    scope: Scope,
    pattern: Pattern,
    napt: N,
    /// The outside address, memory order: packets to it come back (hairpin). 0 without NAPT.
    outside: u32,
    /// `None`: nothing is ordinary, because there is no tunnel to send into.
    encap: Option<Encap<'a>>,
}

/// The softwire that ordinary frames take, and the headers that it puts in front of them.
struct Encap<'a> {
    route: Route,
    softwire: &'a Softwire,
    headers: OuterHeaders,
    /// The largest inner packet that goes in one piece: 0 where none is ordinary.
    whole: usize,
    /// The largest outer packet that reaches the far end, as far as is known.
    path_mtu: u16,
    /// Bits of the inner DSCP and ECN that the outer class takes over, and bits that it always has.
    class: [u8; 2],
}

impl<'a, N: Translation<'a>> Outbound<'a, N> {
    pub fn new(burst: Burst<'a>, napt: N) -> Self {
        let link = &burst.snapshot.links[burst.link.index()];
        let encap = burst.snapshot.main_softwire(burst.link).and_then(|id| Encap::new(burst, id));
        let outside = napt.napt().map_or(0, |napt| Addr4::from(napt.outside()).word());
        let sources = link.sources4.first().copied().unwrap_or(Prefix4::NONE);
        Self {
            burst,
            link,
            sources,
            scope: Scope::outbound(link.lan),
            pattern: Pattern::ipv4(link),
            napt,
            outside,
            encap,
        }
    }
}

impl<'a> Encap<'a> {
    fn new(burst: Burst<'a>, id: SoftwireId) -> Option<Self> {
        let softwire = &burst.snapshot.softwires[id.0 as usize];
        let wan = burst.snapshot.link(softwire.link).filter(|_| !softwire.has_ended(burst.now))?;
        let path_mtu = softwire.state.path_mtu(burst.now, wan.mtu);
        let whole = softwire.mtu.inner_mtu(path_mtu).min(path_mtu.saturating_sub(OUTER_LEN as u16));
        Some(Self {
            route: Route::Softwire(id),
            softwire,
            headers: softwire.headers(wan.mac, softwire.next_hop?),
            class: softwire.class.copied_and_fixed(),
            whole: if burst.fast { whole as usize } else { 0 },
            path_mtu,
        })
    }
}

impl<'a, N: Translation<'a>> Stages for Outbound<'a, N> {
    const HEADROOM: usize = OUTER_LEN;
    const DIRECTION: Direction = Direction::Outbound;
    const FORWARDED: Verdict = Verdict::Outbound;
    const LOOKS_UP: bool = N::NAPT;

    fn burst(&self) -> Burst<'_> {
        self.burst
    }

    #[inline(always)]
    fn is_native6(&self, head: &[u8; HEAD]) -> bool {
        head[12..14] == ethertype::IPV6.to_be_bytes()
    }

    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        let view: &Plain = zerocopy::transmute_ref!(head);
        let ip = &view.ip;
        let (scope, ports) = match N::NAPT {
            true => (self.scope, first_word(&view.rest)),
            false => (Scope::NONE, ports_of(ip, &view.rest)),
        };
        let key = Key::new(scope, ip.protocol, ip.addrs(), ports);
        let mut meta = Meta { frame, key, ..Meta::NONE };
        if let Some(napt) = self.napt.napt() {
            meta.hash = napt.hash_of(Kind::Outbound, &meta.key);
            napt.prefetch(meta.hash, Kind::Outbound);
        }
        if self.is_ordinary(head, frame) {
            meta.finished_by = FinishedBy::FastPath;
        }
        meta
    }

    #[inline(always)]
    fn probe(&self, meta: &mut Meta) {
        if let Some(napt) = self.napt.napt() {
            meta.candidate = napt.candidate(meta.hash, Kind::Outbound);
            if meta.candidate == 0 && meta.finished_by == FinishedBy::FastPath {
                napt.prefetch_open(&meta.key, meta.hash);
            }
        }
    }

    #[inline(always)]
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>> {
        let (FinishedBy::FastPath, Some(encap)) = (meta.finished_by, &self.encap) else {
            return Err(match N::NAPT {
                true => self.special(core, rings, meta),
                // A copy, or ordinary frames would have theirs in memory, too.
                false => self.special(core, rings, &{ *meta }),
            });
        };
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.window(meta.frame, OUTER_LEN));
        let hash = match self.translate_ordinary(core, encap, meta, view) {
            Ok(hash) => hash,
            Err(reason) => {
                core.answer_lan(self.burst, rings, meta.frame, reason, 0);
                return Err(Some(reason.into()));
            }
        };
        // The outer header (RFC 2473 5): the template, and what differs from packet to packet.
        let len = view.inner.total_len;
        view.ethernet = encap.headers.ethernet;
        view.outer = encap.headers.ipv6;
        view.outer.payload_len = len;
        view.outer.version_class_flow =
            Ipv6::version_class_flow(view.inner.tos & encap.class[0] | encap.class[1], hash.flow_label());
        let frame = meta.frame.push(OUTER_LEN).with_len(ETHERNET + OUTER_LEN + len.get() as usize);
        Ok(core.send(rings, encap.softwire.link, frame).map_err(Verdict::from)?)
    }
}

impl<'a, N: Translation<'a>> Outbound<'a, N> {
    /// The session, and what it makes of addresses and ports; one hop less. Answers the hash of the flow.
    #[inline(always)]
    fn translate_ordinary(
        &self,
        core: &Core,
        encap: &Encap,
        meta: &Meta,
        view: &mut Tunnelled,
    ) -> Result<Hash, Reason> {
        match self.napt.napt() {
            Some(napt) => {
                let session = match napt.likely(meta.candidate, &meta.key, Direction::Outbound) {
                    Some(session) => session,
                    None => self.session(core, napt, meta, view)?,
                };
                session.note(Direction::Outbound, self.burst.now.seconds(), true);
                core.tcp(view, Some((napt, session, Direction::Outbound)), encap.softwire.mss);
                rewrite(view, &session.rewrite(Direction::Outbound));
                Ok(meta.hash)
            }
            None => {
                // First, while the key is at hand.
                let hash = core.flows.of(&meta.key);
                core.tcp(view, None, encap.softwire.mss);
                view.inner.decrement_ttl();
                Ok(hash)
            }
        }
    }

    /// A packet that is not ordinary. What many such are on some lines has a shorter way than the slow path.
    #[cold]
    #[inline(never)]
    fn special(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Option<Verdict> {
        match self.cut::<false>(core, rings, meta) {
            Some(verdict) => verdict,
            None => self.slow_path(core, rings, meta.frame),
        }
    }

    /// The rules, if they are to be asked about each packet: where the sessions are the far end's, and one may fit.
    pub(super) fn asked(&self) -> Option<&'a Rules> {
        self.burst.snapshot.rules.as_deref().filter(|rules| !N::NAPT && rules.asks_lan4())
    }

    /// Whether the rules let a packet pass that is ordinary, but for its length maybe.
    pub(super) fn admit(&self, head: &[u8; HEAD]) -> Result<(), Reason> {
        let Some(rules) = self.asked() else { return Ok(()) };
        let view: &Plain = zerocopy::transmute_ref!(head);
        let len = view.ip.len().saturating_sub(size_of::<Ipv4>()).min(view.rest.len());
        rules.ask_about(self.link.lan, &view.ip, &view.rest[..len], self.burst.now)
    }

    /// A packet that is too large for the tunnel, may be cut, and is ordinary otherwise: into two outer fragments (RFC 2473
    /// 7.2, RFC 6333 5.3). The first leaves in the buffer that the packet came in, so only the rest is copied. `None`: it is
    /// not such a packet. `ASKS`: by the rules it may not pass, too.
    pub(super) fn cut<const ASKS: bool>(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        meta: &Meta,
    ) -> Option<Option<Verdict>> {
        const FRONT: usize = OUTER_LEN + FRAGMENT_LEN;
        let encap = self.encap.as_ref().filter(|_| self.burst.fast)?;
        let head = rings.rx.head(meta.frame);
        let view: &Plain = zerocopy::transmute_ref!(&*head);
        let len = view.ip.len();
        let fit = encap.softwire.mtu.fit(len, view.ip.dont_fragment(), encap.path_mtu);
        let Fit::FragmentOuter { mtu } = fit else { return None };
        let first = fragment::first_of_two(len, mtu)?;
        let tx = rings.tx.get_mut(encap.softwire.link.index())?.as_mut()?;
        // Where the slow path would copy all of it, too, it may.
        let stays = meta.frame.headroom() >= FRONT && tx.region() == rings.rx.region();
        if !stays || !self.is_ordinary_up_to(usize::MAX, rings.rx.head(meta.frame), meta.frame) {
            return None;
        }
        if ASKS && let Err(reason) = self.admit(rings.rx.head(meta.frame)) {
            core.answer_lan(self.burst, rings, meta.frame, reason, 0);
            return Some(Some(reason.into()));
        }
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.window(meta.frame, OUTER_LEN));
        let hash = match self.translate_ordinary(core, encap, meta, view) {
            Ok(hash) => hash,
            Err(reason) => {
                core.answer_lan(self.burst, rings, meta.frame, reason, 0);
                return Some(Some(reason.into()));
            }
        };
        let class = view.inner.tos & encap.class[0] | encap.class[1];
        core.counters.note(Event::Fragmented, 1);
        let id = core.ids.next_id();
        // All of it or nothing.
        if tx.space() < 2 {
            return Some(Some(Reason::TxFull.into()));
        }
        let write_front = |to: &mut [u8], payload: usize, offset_more: usize| {
            let mut outer = encap.headers;
            outer.ipv6.payload_len = ((FRAGMENT_LEN + payload) as u16).into();
            outer.ipv6.next_header = protocol::FRAGMENT;
            outer.ipv6.version_class_flow = Ipv6::version_class_flow(class, hash.flow_label());
            let offset_more = (offset_more as u16).into();
            let header = FragmentHeader { next_header: protocol::IPV4, reserved: 0, offset_more, id: id.into() };
            let (outer_to, header_to) = to[..ETHERNET + FRONT].split_at_mut(ETHERNET + OUTER_LEN);
            outer_to.copy_from_slice(outer.as_bytes());
            header_to.copy_from_slice(header.as_bytes());
        };
        let frame = meta.frame.with_len(ETHERNET + len);
        core.scratch.clear();
        core.scratch.extend_from_slice(&rings.rx.bytes(frame)[ETHERNET + first..]);
        let frame = frame.push(FRONT).with_len(ETHERNET + FRONT + first);
        write_front(rings.rx.bytes(frame), first, 1);
        let rest = &core.scratch[..];
        let sent = tx.send(rings.rx, frame).and_then(|()| {
            tx.originate(ETHERNET + FRONT + rest.len(), |to| {
                write_front(to, rest.len(), first);
                to[ETHERNET + FRONT..].copy_from_slice(rest);
            })
        });
        Some(Some(sent.map_or_else(|not| Reason::from(not).into(), |()| Verdict::Outbound)))
    }

    /// A packet for the tunnel that needs nothing special.
    #[inline(always)]
    fn is_ordinary(&self, head: &[u8; HEAD], frame: Frame) -> bool {
        self.encap.as_ref().is_some_and(|encap| self.is_ordinary_up_to(encap.whole, head, frame))
    }

    /// The same, but for its length.
    #[inline(always)]
    fn is_ordinary_up_to(&self, largest: usize, head: &[u8; HEAD], frame: Frame) -> bool {
        let Some(encap) = &self.encap else { return false };
        let view: &Plain = zerocopy::transmute_ref!(head);
        let ip = &view.ip;
        let header: &[u8; 20] = head[14..34].try_into().expect("twenty bytes");
        let total = ip.len();
        self.pattern.fits(head)
            && (total >= classify::least::<N>(ip.protocol))
            && (total + 14 <= frame.len())
            && (total <= largest)
            && (ip.ttl > 1)
            && header_is_right(header)
            && !ip.is_fragment()
            // With NAPT the session is proof that the source is a host.
            && (N::NAPT || ip.src.is_host())
            && (ip.dst.word() != self.outside)
            && (N::NAPT && self.sources.contains(ip.src) || self.source(ip).is_ok())
            && (self.burst.snapshot.routes.is_default(ip.dst)
                || self.burst.snapshot.routes.lookup(ip.dst) == encap.route)
    }

    /// The session of an ordinary packet that is not the likely one; opened if there is none.
    #[cold]
    #[inline(never)]
    fn session<'n>(&self, core: &Core, napt: &'n Napt, meta: &Meta, view: &Tunnelled) -> Result<&'n Session, Reason> {
        if let Some(id) = napt.find(&meta.key, meta.hash) {
            return Ok(napt.session(id));
        }
        // What classification has left out, because a session is proof of it.
        self.source(&view.inner)?;
        let protocol = meta.key.protocol();
        if !is_sound(protocol, view.inner.len() - 20, &view.rest) {
            return Err(Reason::TransportHeader);
        }
        let (src, dst) = split_addrs(meta.key.addrs());
        let (from, to) = split_ports(meta.key.ports());
        let (inside, peer) = (Endpoint::new(src, from), Endpoint::new(dst, to));
        let flags = if protocol == protocol::TCP { view.rest[13] } else { 0 };
        Napt::may_begin_outbound(protocol, flags)?;
        let opening = || Opening {
            from: Zone::Lan(self.link.lan),
            to: Zone::Wan,
            protocol,
            ends: Ends::V4([src, dst]),
            ports: Some(Opening::ports(protocol, &view.rest)),
        };
        self.burst.snapshot.may_open(opening, self.burst.now, Ok(()))?;
        let id = napt.create_outbound(self.link.lan, protocol, inside, peer, flags, self.burst.now)?;
        core.counters.note(Event::SessionOpened, 1);
        Ok(napt.session(id))
    }
}
