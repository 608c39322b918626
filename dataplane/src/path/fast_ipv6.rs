//! Native IPv6 between a LAN and the line, the fast path: what happens to almost every packet, in order.
//!
//! Whatever is not ordinary goes to [`super::slow_ipv6`], and so does the first packet of a session. There is one page for
//! both directions: nothing is translated, so they differ in where the next hop comes from.

use std::hint::select_unpredictable;

use hikyaku_net::packet::{Ethernet, Ipv6, Tcp, ethertype};
use hikyaku_net::{Addr6, Mac, protocol};
use hikyaku_ring::{Frame, HEAD, LinkId};

use super::classify::{Native, Pattern};
use super::emit::ETHERNET;
use super::{Burst, Core, FinishedBy, Meta, Rings, Stages, first_word, has_ports};
use crate::counters::Event;
use crate::filter6::{Filter6, Flow, Session};
use crate::napt::Direction;
use crate::snapshot::{Link, Masked, Route6, Side, UsualHosts6};
use crate::tunnel::{IPV6_MIN_MTU, mss};
use crate::verdict::Verdict;

/// Length of the IPv6 header.
const IPV6: usize = size_of::<Ipv6>();

/// Native IPv6 that comes in by one link.
pub(super) struct Forward<'a> {
    pub(super) burst: Burst<'a>,
    pub(super) link: &'a Link,
    pub(super) filter: &'a Filter6,
    pub(super) direction: Direction,
    pattern: Pattern,
    /// The first of the link's.
    sources: Masked,
    /// Where almost all inbound packets go.
    usual: UsualHosts6,
    /// Where almost all outbound packets go: the default route, and the Ethernet header for it.
    gateway: Option<(LinkId, Ethernet)>,
    /// The largest ordinary packet: what every link that it may leave by takes; 0 where none is ordinary.
    largest: usize,
}

impl<'a> Forward<'a> {
    /// `None`: nothing is forwarded, because nothing filters it, or a link is too narrow for IPv6 (RFC 8200 5).
    pub fn new(burst: Burst<'a>) -> Option<Self> {
        let Burst { snapshot, link, fast, .. } = burst;
        let filter = snapshot.filter6.as_deref()?;
        let link = snapshot.link(link)?;
        let (direction, out) = match link.side {
            Side::Lan => (Direction::Outbound, Side::Wan),
            Side::Wan => (Direction::Inbound, Side::Lan),
            Side::Host => return None,
        };
        let mtu = snapshot.links.iter().filter(|l| l.side == out).map(|l| l.mtu).min().unwrap_or(0);
        if mtu.min(link.mtu) < IPV6_MIN_MTU {
            return None;
        }
        let gateway = match snapshot.routes6.default_route() {
            Route6::Gateway { link, mac } => snapshot.link(link).map(|out| (link, ethernet(mac, out))),
            _ => None,
        };
        let largest = if fast { mtu.into() } else { 0 };
        let sources = link.sources6.first().map_or(Masked::NONE, |&prefix| Masked::new(prefix));
        Some(Self {
            burst,
            link,
            filter,
            direction,
            pattern: Pattern::native6(link),
            sources,
            usual: snapshot.routes6.usual_hosts(),
            gateway,
            largest,
        })
    }

    /// Whether a host of this LAN may send from an address (RFC 2827).
    #[inline(always)]
    pub(super) fn is_source(&self, src: Addr6) -> bool {
        self.sources.contains(src) || self.is_other_source(src)
    }

    #[inline(never)]
    fn is_other_source(&self, src: Addr6) -> bool {
        self.link.sources6.iter().any(|prefix| prefix.contains(src.into()))
    }

    /// The largest TCP segment for packets between two links: what both take, where they differ (RFC 9293 3.7.1).
    pub(super) fn mss(&self, out: &Link) -> Option<u16> {
        let headers = (IPV6 + size_of::<Tcp>()) as u16;
        (self.link.mtu != out.mtu).then(|| self.link.mtu.min(out.mtu).saturating_sub(headers))
    }
}

/// The Ethernet header of a packet to a station of a link.
pub(super) fn ethernet(dst: Mac, link: &Link) -> Ethernet {
    Ethernet { dst, src: link.mac, ethertype: ethertype::IPV6.into() }
}

/// The stages of native IPv6, and of all else that comes in by the same link: whatever of the one is not ordinary takes
/// the slow path of the other, where such frames are told apart.
pub(super) struct Ipv6Stages<'a, S> {
    pub(super) forward: &'a Forward<'a>,
    pub(super) others: &'a S,
}

impl<S: Stages> Stages for Ipv6Stages<'_, S> {
    const HEADROOM: usize = S::HEADROOM;
    const DIRECTION: Direction = S::DIRECTION;
    const FORWARDED: Verdict = match S::DIRECTION {
        Direction::Outbound => Verdict::Ipv6Outbound,
        Direction::Inbound => Verdict::Ipv6Inbound,
    };
    const LOOKS_UP: bool = true;

    fn burst(&self) -> Burst<'_> {
        self.forward.burst
    }

    fn is_native6(&self, _: &[u8; HEAD]) -> bool {
        true
    }

    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        let view: &Native = zerocopy::transmute_ref!(head);
        let mut meta = Meta { frame, ..Meta::NONE };
        meta.hash = self.forward.filter.hash(&flow::<S>(view));
        self.forward.filter.prefetch(meta.hash);
        if self.is_ordinary(head, view, frame) {
            meta.finished_by = FinishedBy::FastPath;
        }
        meta
    }

    #[inline(always)]
    fn probe(&self, meta: &mut Meta) {
        meta.candidate = self.forward.filter.candidate(meta.hash);
    }

    #[inline(always)]
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>> {
        let Forward { filter, burst, .. } = *self.forward;
        let slow = Meta { frame: meta.frame, ..Meta::NONE };
        if meta.finished_by != FinishedBy::FastPath {
            return self.others.finish(core, rings, &slow);
        }
        let view: &mut Native = zerocopy::transmute_mut!(rings.rx.head(meta.frame));
        let flow = flow::<S>(view);
        let Some(session) = filter.likely(meta.candidate, &flow).or_else(|| filter.find(&flow)) else {
            return self.others.finish(core, rings, &slow);
        };
        let Some(link) = self.address(view) else {
            return self.others.finish(core, rings, &slow);
        };
        session.note(S::DIRECTION, burst.now.seconds());
        self.tcp(core, view, session, link);
        view.ip.hop_limit -= 1;
        let frame = meta.frame.with_len(ETHERNET + IPV6 + view.ip.payload_len.get() as usize);
        Ok(core.send(rings, link, frame).map_err(Verdict::from)?)
    }
}

impl<S: Stages> Ipv6Stages<'_, S> {
    /// A packet that needs nothing special.
    #[inline(always)]
    fn is_ordinary(&self, head: &[u8; HEAD], view: &Native, frame: Frame) -> bool {
        let ip = &view.ip;
        let payload = ip.payload_len.get() as usize;
        let least = if ip.next_header == protocol::TCP { size_of::<Tcp>() } else { 8 };
        self.forward.pattern.fits(head)
            && has_ports(ip.next_header)
            && (payload >= least)
            && (payload + ETHERNET + IPV6 <= frame.len())
            && (payload + IPV6 <= self.forward.largest)
            && (ip.hop_limit > 1)
            // The session is proof of both ends; but whose prefix has been taken back may send no more from it.
            && (S::DIRECTION == Direction::Inbound || self.forward.is_source(ip.src))
    }

    /// Writes the Ethernet header for the next hop, and says by which link that is. `None` is for the slow path: then the
    /// frame is as it came.
    #[inline(always)]
    fn address(&self, view: &mut Native) -> Option<LinkId> {
        let Burst { snapshot, .. } = self.forward.burst;
        let dst = view.ip.dst;
        if S::DIRECTION == Direction::Outbound {
            let (link, ethernet) = self.forward.gateway.as_ref().filter(|_| snapshot.routes6.is_default(dst))?;
            view.ethernet = *ethernet;
            return Some(*link);
        }
        let link = match self.forward.usual.contains(dst) {
            true => self.forward.usual.link,
            false => match snapshot.routes6.lookup(dst) {
                Route6::Link(link) => link,
                _ => return None,
            },
        };
        let lan = snapshot.link(link).filter(|lan| lan.side == Side::Lan)?;
        // The ethertype stays as it is.
        view.ethernet.dst = lan.neighbours6.get(dst)?;
        view.ethernet.src = lan.mac;
        Some(link)
    }

    /// Follows a TCP connection and lowers its MSS, where the flags or the session's youth ask for it. One question for
    /// both protocols, as in [`Core::tcp`].
    #[inline(always)]
    fn tcp(&self, core: &Core, view: &mut Native, session: &Session, out: LinkId) {
        let special = select_unpredictable(view.ip.next_header == protocol::TCP, Tcp::SYN | Tcp::FIN | Tcp::RST, 0);
        if view.rest[13] & special != 0 || !session.is_established() {
            self.tcp_special(core, view, session, out);
        }
    }

    #[cold]
    #[inline(never)]
    fn tcp_special(&self, core: &Core, view: &mut Native, session: &Session, out: LinkId) {
        self.forward.filter.track(session, S::DIRECTION, view.rest[13]);
        let out = &self.forward.burst.snapshot.links[out.index()];
        let len = (view.ip.payload_len.get() as usize).min(view.rest.len());
        if let Some(limit) = self.forward.mss(out)
            && mss::clamp(&mut view.rest[..len], limit)
        {
            core.counters.note(Event::MssLowered, 1);
        }
    }
}

/// The flow of an ordinary packet.
#[inline(always)]
fn flow<S: Stages>(view: &Native) -> Flow {
    Flow::of_word(S::DIRECTION, view.ip.next_header, [view.ip.src, view.ip.dst], first_word(&view.rest))
}
