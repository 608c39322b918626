//! Tunnel to LAN, the fast path: what happens to almost every packet, in order.
//!
//! Whatever is not ordinary goes to [`super::slow_inbound`].

use hikyaku_net::checksum::header_is_right;
use hikyaku_net::packet::{Ethernet, ethertype};
use hikyaku_net::{Addr4, Mac, Port, protocol};
use hikyaku_ring::{Frame, HEAD, LinkId};

use super::classify::{INNER, LIMIT_LEN, Pattern, Tunnelled, has_limit};
use super::emit::{ETHERNET, MIN_FRAME};
use super::translate::is_sound;
use super::{Burst, Core, FinishedBy, Meta, Rings, Stages, Translation, classify, rewrite};
use crate::napt::{Direction, Key, Kind, Learned, Napt, Origin, PacketId, Scope, Session};
use crate::snapshot::{Route, Side, Softwire, UsualHosts};
use crate::tunnel::OUTER_LEN;
use crate::verdict::{Reason, Verdict};

/// Inbound from one softwire, with NAPT or without.
pub(super) struct Inbound<'a, N> {
    pub(super) burst: Burst<'a>,
    pattern: Pattern,
    napt: N,
    softwire: Option<&'a Softwire>,
    /// Outer source and destination of ordinary frames, as they stand in the header.
    ends: [u8; 32],
    /// The largest inner packet that every LAN link takes.
    pub(super) whole: usize,
    /// The largest inner packet of an ordinary frame: 0 where none is.
    largest: usize,
    /// Where almost all hosts are.
    usual: UsualHosts,
    refresh: bool,
    /// The outside address, memory order: nobody else may claim to be it. 0 without NAPT.
    outside: u32,
    /// The last place in a buffer that has [`HEAD`] bytes behind it.
    last_start: usize,
}

impl<'a, N: Translation<'a>> Inbound<'a, N> {
    /// `buf_size`: that of the ring its frames are in.
    pub fn new(burst: Burst<'a>, napt: N, buf_size: u32) -> Self {
        let Burst { snapshot, link, fast, .. } = burst;
        let softwire = snapshot.main_softwire(link).map(|id| &snapshot.softwires[id.0 as usize]);
        let lans = snapshot.links.iter().filter(|l| l.side == Side::Lan);
        let whole = lans.map(|l| l.mtu as usize).min().unwrap_or(0);
        Self {
            burst,
            pattern: Pattern::ipv6(&snapshot.links[link.index()]),
            napt,
            softwire,
            ends: softwire.map_or([0; 32], |s| zerocopy::transmute!([s.remote.0, s.local.0])),
            whole,
            largest: if fast && softwire.is_some() { whole } else { 0 },
            usual: softwire.map_or(UsualHosts::NONE, |s| s.usual_hosts(snapshot)),
            outside: napt.napt().map_or(0, |napt| Addr4::from(napt.outside()).word()),
            last_start: (buf_size as usize).saturating_sub(HEAD),
            refresh: napt.napt().is_some_and(|n| n.refreshes(Direction::Inbound)),
        }
    }
}

impl<'a, N: Translation<'a>> Stages for Inbound<'a, N> {
    const HEADROOM: usize = 0;
    const DIRECTION: Direction = Direction::Inbound;
    const FORWARDED: Verdict = Verdict::Inbound;
    const LOOKS_UP: bool = N::NAPT;

    fn burst(&self) -> Burst<'_> {
        self.burst
    }

    /// By the interface id of our end of the tunnel.
    #[inline(always)]
    fn is_native6(&self, head: &[u8; HEAD]) -> bool {
        head[46..54] != self.ends[24..]
    }

    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        self.classify_plain(head, frame, N::NAPT)
    }

    #[inline(always)]
    fn probe(&self, meta: &mut Meta) {
        if let Some(napt) = self.napt.napt() {
            meta.candidate = napt.candidate(meta.hash, Kind::Inbound);
        }
    }

    #[inline(always)]
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>> {
        let (FinishedBy::FastPath, Some(softwire)) = (meta.finished_by, self.softwire) else {
            return Err(match N::NAPT {
                true => self.special(core, rings, meta),
                // A new one, or ordinary frames would have theirs in memory, too.
                false => self.special(core, rings, &Meta { frame: meta.frame, ..Meta::NONE }),
            });
        };
        // The session, and what it makes of addresses and ports.
        let session = match self.napt.napt() {
            None => None,
            Some(napt) => match napt.likely(meta.candidate, &meta.key, Direction::Inbound) {
                Some(session) => Some((napt, session, Direction::Inbound)),
                None => Some((napt, self.session(core, rings, napt, meta)?, Direction::Inbound)),
            },
        };
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.head(meta.frame));
        core.tcp(view, session, softwire.mss);
        match session {
            Some((_, session, direction)) => {
                session.note(direction, self.burst.now.seconds(), self.refresh);
                rewrite(view, &session.rewrite(direction));
            }
            None => view.inner.decrement_ttl(),
        }
        // To whom, and the Ethernet header for it.
        let len = view.inner.len();
        let link = match self.usual.contains(view.inner.dst) {
            true => self.usual.link,
            false => {
                let host = view.inner.dst;
                self.host_link(softwire, meta, host).ok_or(Verdict::Dropped(Reason::NoRoute))?
            }
        };
        let lan = &self.burst.snapshot.links[link.index()];
        let Some(station) = lan.neighbours.get(view.inner.dst) else {
            return Err(Some(self.unresolved(core, rings, meta.frame, link)));
        };
        let ethernet = view.lan_ethernet();
        ethernet.dst = station;
        ethernet.src = lan.mac;
        ethernet.ethertype.set(ethertype::IPV4);
        let frame = meta.frame.pop(OUTER_LEN).with_len(ETHERNET + len);
        let frame = rings.rx.padded(frame, MIN_FRAME);
        Ok(core.send(rings, link, frame).map_err(Verdict::from)?)
    }
}

/// The stages of a burst in which each packet is taken to come behind an encapsulation limit, as all of a far end do or
/// none: so a burst without them pays nothing for it. Of the other kind a burst may have some; they are
/// [special](Inbound::special).
pub(super) struct AfterLimit<'b, 'a, N>(pub &'b Inbound<'a, N>);

impl<'a, N: Translation<'a>> Stages for AfterLimit<'_, 'a, N> {
    const HEADROOM: usize = 0;
    const DIRECTION: Direction = Direction::Inbound;
    const FORWARDED: Verdict = Verdict::Inbound;
    const LOOKS_UP: bool = N::NAPT;

    fn burst(&self) -> Burst<'_> {
        self.0.burst
    }

    #[inline(always)]
    fn is_native6(&self, head: &[u8; HEAD]) -> bool {
        self.0.is_native6(head)
    }

    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        self.0.classify_after_limit(head, frame, N::NAPT)
    }

    #[inline(always)]
    fn probe(&self, meta: &mut Meta) {
        self.0.probe(meta);
    }

    #[inline(always)]
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>> {
        self.0.finish(core, rings, meta)
    }
}

impl<'a, N: Translation<'a>> Inbound<'a, N> {
    /// To its host on this link, as [`Self::finish`] does it: with that sharing this, ordinary packets took 7 to 18 instructions more.
    #[inline(always)]
    fn deliver_at(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        frame: Frame,
        link: LinkId,
    ) -> Result<(), Option<Verdict>> {
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.head(frame));
        let len = view.inner.len();
        let lan = &self.burst.snapshot.links[link.index()];
        let Some(station) = lan.neighbours.get(view.inner.dst) else {
            return Err(Some(self.unresolved(core, rings, frame, link)));
        };
        let ethernet = view.lan_ethernet();
        ethernet.dst = station;
        ethernet.src = lan.mac;
        ethernet.ethertype.set(ethertype::IPV4);
        let frame = frame.pop(OUTER_LEN).with_len(ETHERNET + len);
        let frame = rings.rx.padded(frame, MIN_FRAME);
        Ok(core.send(rings, link, frame).map_err(Verdict::from)?)
    }

    /// What the stages after it need of a packet that begins at `AT`; whether it is ordinary is not said.
    #[inline(always)]
    fn classify_at<const AT: usize>(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        let mut meta = Meta { frame, ..Meta::NONE };
        if let Some(napt) = self.napt.napt() {
            let (ip, ports) = classify::inner::<AT>(head);
            let ports = u32::from_ne_bytes(*ports);
            meta.key = Key::new(Scope::INBOUND, ip.protocol, ip.addrs(), ports);
            meta.hash = napt.hash_of(Kind::Inbound, &meta.key);
            napt.prefetch(meta.hash, Kind::Inbound);
        }
        meta
    }

    /// `tells`: whether it says of a fragment that it is one, and ordinary otherwise. Where a frame is finished right after
    /// this, to tell it would cost every frame a dozen instructions.
    #[inline(always)]
    fn classify_plain(&self, head: &[u8; HEAD], frame: Frame, tells: bool) -> Meta {
        let view: &Tunnelled = zerocopy::transmute_ref!(head);
        let mut meta = self.classify_at::<INNER>(head, frame);
        if view.outer.next_header == protocol::IPV4 && self.is_ordinary::<INNER>(head, frame, tells) {
            let fragment = tells && view.inner.is_fragment();
            meta.finished_by = if fragment { FinishedBy::Fragment } else { FinishedBy::FastPath };
        }
        meta
    }

    /// The same of a packet behind an encapsulation limit.
    #[inline(always)]
    fn classify_after_limit(&self, head: &[u8; HEAD], frame: Frame, tells: bool) -> Meta {
        let mut meta = self.classify_at::<{ INNER + LIMIT_LEN }>(head, frame);
        if has_limit(head) && self.is_ordinary::<{ INNER + LIMIT_LEN }>(head, frame, tells) {
            let fragment = tells && classify::inner::<{ INNER + LIMIT_LEN }>(head).0.is_fragment();
            meta.finished_by = if fragment { FinishedBy::Fragment } else { FinishedBy::FastPath };
            meta.popped = LIMIT_LEN as u8;
            meta.frame = frame.pop(LIMIT_LEN);
        }
        meta
    }

    /// A packet that is not ordinary as its burst's are. What most such are on some lines has a shorter way than the slow
    /// path.
    #[cold]
    #[inline(never)]
    fn special(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Option<Verdict> {
        if meta.finished_by == FinishedBy::Fragment {
            return self.fragment(core, rings, meta).err().unwrap_or(Some(Verdict::Inbound));
        }
        let head = rings.rx.head(meta.frame);
        let limited = has_limit(head);
        let as_its_burst = limited == core.limits_inbound;
        // With NAPT it would have been told.
        if !(N::NAPT && as_its_burst) {
            let mut other = match limited {
                true => self.classify_after_limit(head, meta.frame, true),
                false => self.classify_plain(head, meta.frame, true),
            };
            if other.finished_by != FinishedBy::SlowPath {
                core.limits_next = limited;
                self.probe(&mut other);
                let sent = match other.finished_by {
                    FinishedBy::FastPath => self.finish(core, rings, &other),
                    _ => self.fragment(core, rings, &other),
                };
                return sent.err().unwrap_or(Some(Verdict::Inbound));
            }
        }
        self.slow_path(core, rings, meta.frame)
    }

    /// An inner fragment that is ordinary otherwise: translated by its session if it is the first of its packet, else as
    /// that was (RFC 4787 REQ-14).
    #[inline(always)]
    fn fragment(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>> {
        let view: &Tunnelled = zerocopy::transmute_ref!(rings.rx.head(meta.frame));
        let ip = view.inner;
        // RFC 3128: what may write over the flags of a TCP header is refused there; and with several workers it may wait.
        let overwrites = ip.protocol == protocol::TCP && (1..20).contains(&ip.fragment_offset());
        let (Some(softwire), true) =
            (self.softwire, ip.may_be_fragment() && !overwrites && core.handoff_of(self.burst).is_none())
        else {
            return Err(self.slow_path(core, rings, meta.as_it_came()));
        };
        let packet = PacketId::of(Origin::Tunnel(softwire.remote), &ip);
        match (self.napt.napt(), ip.fragment_offset()) {
            (None, 0) => self.finish(core, rings, &Meta { finished_by: FinishedBy::FastPath, ..*meta }),
            (None, _) => self.later_fragment(core, rings, meta, (softwire, None)),
            (Some(napt), 0) => self.first_fragment(core, rings, meta, (softwire, napt), packet),
            (Some(_), _) => match core.fragments.find(packet, self.burst.now) {
                Some(learned) => self.later_fragment(core, rings, meta, (softwire, Some(learned))),
                None => Err(self.slow_path(core, rings, meta.as_it_came())),
            },
        }
    }

    #[inline(always)]
    fn first_fragment(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        meta: &Meta,
        (softwire, napt): (&Softwire, &'a Napt),
        packet: PacketId,
    ) -> Result<(), Option<Verdict>> {
        let Some(session) = napt.likely(meta.candidate, &meta.key, Direction::Inbound) else {
            return Err(self.slow_path(core, rings, meta.as_it_came()));
        };
        let (new, lan, far_port) = (session.rewrite(Direction::Inbound), session.lan(), session.peer().port);
        let learned = Learned { addrs: new.addrs, delta: new.ip, hash: meta.hash, far_port, lan };
        let view: &Tunnelled = zerocopy::transmute_ref!(rings.rx.head(meta.frame));
        let ip = view.inner;
        let sent = self.finish(core, rings, &Meta { finished_by: FinishedBy::FastPath, ..*meta });
        core.fragments.learn(packet, learned, self.burst.now);
        if core.fragments.waiting() > 0 {
            self.release_waiting(core, rings, (softwire, softwire.remote), &ip);
        }
        sent
    }

    /// A fragment that goes where the first one of its packet went.
    #[inline(always)]
    fn later_fragment(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        meta: &Meta,
        (softwire, learned): (&Softwire, Option<Learned>),
    ) -> Result<(), Option<Verdict>> {
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.head(meta.frame));
        if let Some(learned) = learned {
            view.inner.set_addrs(learned.addrs);
            view.inner.checksum = view.inner.checksum.updated(learned.delta);
        }
        view.inner.decrement_ttl();
        let host = view.inner.dst;
        let link = match self.usual.contains(host) {
            true => Some(self.usual.link),
            false => softwire.host_link(self.burst.snapshot, learned.map(|learned| learned.lan), host),
        };
        self.deliver_at(core, rings, meta.frame, link.ok_or(Verdict::Dropped(Reason::NoRoute))?)
    }

    /// The session of an ordinary packet that is not the likely one, if there is one. Nearly all that strangers
    /// send to a line ends here, at what they can fill it with: a bit of the port says so.
    #[cold]
    #[inline(never)]
    fn session(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        napt: &'a Napt,
        meta: &Meta,
    ) -> Result<&'a Session, Option<Verdict>> {
        let view: &Tunnelled = zerocopy::transmute_ref!(rings.rx.head(meta.frame));
        let (ip, port) = (&view.inner, Port([view.rest[2], view.rest[3]]));
        let ours = ip.dst.word() == self.outside;
        let refused = if ours { napt.refuses_strangers(ip.protocol, port) } else { None };
        // What would be dropped for another reason, or answered, goes to the slow path.
        let plainly = || {
            ip.src.is_host()
                && !self.is_ours(ip.src)
                && is_sound(ip.protocol, ip.len() - 20, &view.rest)
                && !napt.answers_unsolicited()
        };
        let found = if refused == Some(Reason::NaptNoSession) { None } else { napt.find_settled(&meta.key, meta.hash) };
        match (found, refused) {
            (Some(id), _) => Ok(napt.session(id)),
            (None, Some(reason)) if plainly() => Err(Some(reason.into())),
            (None, _) => Err(self.slow_path(core, rings, meta.as_it_came())),
        }
    }

    /// The link of a host that is not one of the usual ones.
    #[cold]
    #[inline(never)]
    fn host_link(&self, softwire: &Softwire, meta: &Meta, host: Addr4) -> Option<LinkId> {
        let lan = match self.napt.napt() {
            None => None,
            Some(napt) => {
                let likely = napt.likely(meta.candidate, &meta.key, Direction::Inbound);
                let session = likely.or_else(|| Some(napt.session(napt.find_settled(&meta.key, meta.hash)?)))?;
                Some(session.lan())
            }
        };
        softwire.host_link(self.burst.snapshot, lan, host)
    }

    /// A packet that is ready for a host of `link`, but nobody knows where that is.
    #[cold]
    #[inline(never)]
    fn unresolved(&self, core: &mut Core, rings: &mut Rings, frame: Frame, link: LinkId) -> Verdict {
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.head(frame));
        let len = ETHERNET + view.inner.len();
        let src = self.burst.snapshot.links[link.index()].mac;
        *view.lan_ethernet() = Ethernet { dst: Mac::default(), src, ethertype: ethertype::IPV4.into() };
        core.unresolved(self.burst, link, rings.rx.bytes(frame.pop(OUTER_LEN).with_len(len)))
    }

    /// A tunnel packet that begins at `AT`, as the outer header has said, and needs nothing special; a fragment that needs
    /// nothing but what all fragments need is one, if `fragments`.
    #[inline(always)]
    fn is_ordinary<const AT: usize>(&self, head: &[u8; HEAD], frame: Frame, fragments: bool) -> bool {
        let view: &Tunnelled = zerocopy::transmute_ref!(head);
        let (ip, _) = classify::inner::<AT>(head);
        let header: &[u8; 20] = head[AT..AT + 20].try_into().expect("twenty bytes");
        let (payload, total) = (view.outer.payload_len.get() as usize, ip.len());
        self.pattern.fits(head)
            && (head[22..INNER] == self.ends)
            && (ip.version_ihl == 0x45)
            && (payload + INNER <= frame.len())
            && (total + (AT - INNER) <= payload)
            && (AT == INNER || frame.headroom() + (AT - INNER) <= self.last_start)
            && (total <= self.largest)
            && (total >= classify::least::<N>(ip.protocol))
            && (ip.ttl > 1)
            && header_is_right(header)
            && (fragments || !ip.is_fragment())
            // With NAPT the session is proof of both ends.
            && (N::NAPT || ip.src.is_host() && ip.dst.is_host())
            && (ip.src.word() != self.outside)
            && (N::NAPT || (self.burst.snapshot.routes.is_default(ip.src) || !self.is_ours(ip.src)) && ip.src != ip.dst)
    }

    /// An address of our side, which no packet from outside may claim to come from.
    #[inline(always)]
    pub(super) fn is_ours(&self, src: Addr4) -> bool {
        src.word() == self.outside
            || src.is_link_local()
            || matches!(self.burst.snapshot.routes.lookup(src), Route::Link(_) | Route::Local)
    }
}
