//! LAN to tunnel.

use zerocopy::FromBytes;

use super::closer::{ETHERNET, Packet, flow_hash, native6, refused_option};
use super::gate::{self, Pattern, Plain, Tunnelled};
use super::translate::{Not, Translator, is_sound};
use super::{Burst, Core, Lane, Meta, Rings, Way, ports_of, rewrite};
use crate::counters::Event;
use crate::napt::{Direction, Endpoint, Hash, Key, Kind, Napt, Session, split_addrs, split_ports};
use crate::packet::checksum::header_is_right;
use crate::packet::ipv4::{self, Checked};
use crate::packet::{Addr4, Ethernet, Ipv4, Ipv6, ethertype, protocol};
use crate::ring::{Frame, HEAD};
use crate::snapshot::{Link, OuterHeaders, Prefix4, Route, Softwire, SoftwireId};
use crate::tunnel::OUTER_LEN;
use crate::tunnel::mtu::Fit;
use crate::verdict::{Reason, Verdict};

/// Outbound through one softwire, with NAPT or without.
pub(super) struct Outbound<'a, const NAPT: bool> {
    burst: Burst<'a>,
    link: &'a Link,
    /// The first of the link's.
    sources: Prefix4,
    pattern: Pattern,
    napt: Option<&'a Napt>,
    /// The outside address, memory order: packets to it come back (hairpin). 0 without NAPT.
    outside: u32,
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
    /// Bits of the inner DSCP and ECN that the outer class takes over, and bits that it always has.
    class: [u8; 2],
}

impl<'a, const NAPT: bool> Outbound<'a, NAPT> {
    pub fn new(burst: Burst<'a>, napt: Option<&'a Napt>) -> Self {
        let link = &burst.snapshot.links[burst.link.index()];
        let wire = burst.snapshot.main_softwire(burst.link).and_then(|id| Wire::new(burst, id));
        let outside = napt.map_or(0, |napt| Addr4::from(napt.outside()).word());
        let sources = link.sources4.first().copied().unwrap_or(Prefix4::NONE);
        Self { burst, link, sources, pattern: Pattern::ipv4(link), napt, outside, wire }
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
            class: softwire.class.copied_and_fixed(),
            whole: softwire.mtu.inner_mtu(path_mtu).min(path_mtu.saturating_sub(OUTER_LEN as u16)) as usize,
        })
    }
}

impl<const NAPT: bool> Way for Outbound<'_, NAPT> {
    const HEADROOM: usize = OUTER_LEN;
    const FORWARDED: Verdict = Verdict::Outbound;
    const LOOKS_UP: bool = NAPT;

    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        let view: &Plain = zerocopy::transmute_ref!(head);
        let ip = &view.ip;
        let key = Key {
            addrs: ip.addrs(),
            ports: ports_of(ip, *view.rest.first_chunk().expect("longer than four")),
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
            if meta.candidate == 0 && meta.lane == Lane::Ordinary {
                napt.prefetch_open(&meta.key, meta.hash);
            }
        }
    }

    #[inline(always)]
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>> {
        let (Lane::Ordinary, Some(wire)) = (meta.lane, &self.wire) else {
            return Err(self.look_closer(core, rings, meta.frame));
        };
        let view: &mut Tunnelled = zerocopy::transmute_mut!(rings.rx.window(meta.frame, OUTER_LEN));
        let tcp = view.inner.protocol == protocol::TCP;
        // The session, and what it makes of addresses and ports.
        let mut hash = meta.hash;
        match self.napt {
            Some(napt) => {
                let session = match napt.confirm(meta.candidate, &meta.key, meta.hash) {
                    Some(session) => session,
                    None => match self.open(core, napt, meta, view) {
                        Ok(session) => session,
                        Err(reason) => {
                            core.answer_lan(self.burst, rings, meta.frame, reason, 0);
                            return Err(Some(reason.into()));
                        }
                    },
                };
                session.note(Direction::Outbound, self.burst.now.seconds(), true);
                if tcp {
                    core.tcp(view, 0, Some((napt, session, Direction::Outbound)), wire.softwire.mss);
                }
                rewrite(view, 0, &session.rewrite(Direction::Outbound));
            }
            None => {
                hash = core.flows.of(&meta.key);
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
            Ipv6::version_class_flow(view.inner.tos & wire.class[0] | wire.class[1], hash.flow_label());
        let frame = meta.frame.push(OUTER_LEN).with_len(ETHERNET + OUTER_LEN + len.get() as usize);
        Ok(core.send(rings, wire.softwire.link, frame).map_err(Verdict::from)?)
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
            && (total >= least)
            && (total + 14 <= frame.len())
            && (total <= wire.whole)
            && (ip.ttl > 1)
            && header_is_right(header)
            && !ip.is_fragment()
            && (!NAPT || tcp || udp)
            && ip.src.is_host()
            && (ip.dst.word() != self.outside)
            && self.burst.fast
            && (NAPT && self.sources.contains(ip.src) || self.source(ip).is_ok())
            && (self.burst.snapshot.routes.is_default(ip.dst)
                || self.burst.snapshot.routes.lookup(ip.dst) == wire.route)
    }

    /// Opens the session of an ordinary packet that has none.
    #[cold]
    #[inline(never)]
    fn open<'n>(&self, core: &Core, napt: &'n Napt, meta: &Meta, view: &Tunnelled) -> Result<&'n Session, Reason> {
        // What the gate has left out, because a session is proof of it.
        self.source(&view.inner)?;
        if !is_sound(meta.key.protocol, view.inner.len() - 20, &view.rest) {
            return Err(Reason::TransportHeader);
        }
        let (src, dst) = split_addrs(meta.key.addrs);
        let (from, to) = split_ports(meta.key.ports);
        let (inside, peer) = (Endpoint::new(src, from), Endpoint::new(dst, to));
        let flags = if meta.key.protocol == protocol::TCP { view.rest[13] } else { 0 };
        let id = napt.create_outbound(meta.key.protocol, inside, peer, flags, self.burst.now)?;
        core.counters.note(Event::SessionOpened, 1);
        Ok(napt.session(id))
    }

    /// Everything again from the start, with a reason for each thing that is wrong.
    #[cold]
    #[inline(never)]
    fn look_closer(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Option<Verdict> {
        match self.examine(core, rings, frame) {
            Ok(verdict) => verdict,
            Err((reason, mtu)) => {
                core.answer_lan(self.burst, rings, frame, reason, mtu);
                Some(reason.into())
            }
        }
    }

    /// `Err` is a drop that may be answered, with the MTU for "fragmentation needed". The packet is
    /// then still as it came.
    fn examine(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Result<Option<Verdict>, (Reason, u16)> {
        let (ethernet, bytes) = Ethernet::mut_from_prefix(rings.rx.bytes(frame)).map_err(|_| drop(Reason::Runt))?;
        let (dst, ethertype) = (ethernet.dst, ethernet.ethertype.get());
        if ethernet.src.is_group() || !gate::accepts(self.link, dst) && !dst.is_group() {
            return Err(drop(Reason::OtherStation));
        }
        match ethertype {
            ethertype::IPV4 => {}
            ethertype::ARP => return Ok(Some(core.punt(self.burst.link, rings.rx.bytes(frame)))),
            ethertype::IPV6 => return Ok(Some(native6(core, self.burst, rings.rx.bytes(frame)))),
            ethertype::VLAN => return Err(drop(Reason::Vlan)),
            _ => return Err(drop(Reason::EtherType)),
        }
        let checked = ipv4::check(bytes).map_err(drop)?;
        let (ip, _) = Ipv4::read_from_prefix(bytes).map_err(|_| drop(Reason::Ipv4Truncated))?;
        // To us: DHCP and the like to the control thread; nothing else that is not unicast goes on.
        let route = self.burst.snapshot.routes.lookup(ip.dst);
        let broadcast = ip.dst == BROADCAST || self.link.sources4.iter().any(|p| p.len() > 0 && p.is_broadcast(ip.dst));
        if broadcast && is_dhcp(&ip, &bytes[checked.header_len..checked.len]) {
            return Ok(Some(core.punt(self.burst.link, rings.rx.bytes(frame))));
        }
        if dst.is_group() || broadcast || !ip.dst.is_host() || ip.dst.is_link_local() {
            return Err(drop(Reason::Ipv4Destination));
        }
        self.source(&ip).map_err(drop)?;
        if route == Route::Local {
            return Ok(Some(core.punt(self.burst.link, rings.rx.bytes(frame))));
        }
        if refused_option(&bytes[20..checked.header_len]) {
            return Err(drop(Reason::Ipv4Option));
        }
        if ip.ttl <= 1 {
            return Err(drop(Reason::TtlExceeded));
        }
        let Route::Softwire(id) = route else { return Err(drop(Reason::NoRoute)) };
        let softwire = &self.burst.snapshot.softwires[id.0 as usize];
        let hairpin = softwire.napt.as_deref().is_some_and(|napt| Addr4::from(napt.outside()) == ip.dst);
        if !hairpin && let Fit::TooBig { mtu } = core.fit(self.burst, softwire, checked.len, ip.dont_fragment()) {
            return Err((Reason::TooBig, mtu));
        }
        let frame = frame.with_len(ETHERNET + checked.len);
        match self.translate(core, softwire, &mut bytes[..checked.len], checked, hairpin) {
            Ok(hash) => {
                let verdict = self.forward(core, rings, softwire, Packet::Frame(frame), hash, hairpin);
                self.release_waiting(core, rings, softwire, &ip, hairpin);
                Ok(Some(verdict))
            }
            Err(Not::Possible(reason)) => Err(drop(reason)),
            Err(Not::Yet) => {
                let bytes = &rings.rx.bytes(frame)[ETHERNET..];
                match core.fragments.wait(Direction::Outbound, &ip, self.burst.link, bytes, self.burst.now) {
                    true => Ok(None),
                    false => Err(drop(Reason::NaptFragment)),
                }
            }
        }
    }

    /// RFC 2827, RFC 1812 5.3.7: who may send from here.
    fn source(&self, ip: &Ipv4) -> Result<(), Reason> {
        let ours = |p: &Prefix4| p.contains(ip.src) && (p.len() == 0 || !p.is_broadcast(ip.src));
        let local = self.link.addresses4.iter().any(|&a| Addr4::from(a) == ip.src);
        let good = ip.src.is_host() && ip.src != ip.dst && !local && self.link.sources4.iter().any(ours);
        if good { Ok(()) } else { Err(Reason::Ipv4Source) }
    }

    /// Translates and takes one from the TTL. Answers the flow's hash.
    fn translate(
        &self,
        core: &mut Core,
        softwire: &Softwire,
        packet: &mut [u8],
        checked: Checked,
        hairpin: bool,
    ) -> Result<Hash, Not> {
        let hash = match softwire.napt.as_deref() {
            None => flow_hash(&core.flows, packet, checked),
            Some(napt) => {
                let mut translator = Translator { napt, fragments: &mut core.fragments, now: self.burst.now };
                // RFC 4787 REQ-9: only towards a mapping that exists is a way out opened for the way back in.
                if hairpin {
                    translator.may_hairpin(packet, checked)?;
                }
                let done = translator.translate(Direction::Outbound, packet, checked)?;
                core.counters.note(Event::SessionOpened, done.opened.into());
                if hairpin {
                    let back = translator.translate(Direction::Inbound, packet, checked)?;
                    core.counters.note(Event::SessionOpened, back.opened.into());
                }
                done.hash
            }
        };
        core.pass(softwire, packet, checked);
        Ok(hash)
    }

    /// Sends a translated packet: into the tunnel, or back to where it came from.
    fn forward(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        softwire: &Softwire,
        packet: Packet,
        hash: Hash,
        hairpin: bool,
    ) -> Verdict {
        if !hairpin {
            return core.send_tunnel(self.burst, rings, softwire, packet, hash);
        }
        let inside = Ipv4::read_from_prefix(packet.bytes(rings.rx)).map(|(ip, _)| ip.dst);
        match inside.map(|dst| self.burst.snapshot.routes.lookup(dst)) {
            Ok(Route::Link(link)) => core.send_lan(self.burst, rings, link, packet, Verdict::Hairpin),
            _ => Reason::NoRoute.into(),
        }
    }

    /// A first fragment has come: those that waited for it go after it.
    fn release_waiting(&self, core: &mut Core, rings: &mut Rings, softwire: &Softwire, first: &Ipv4, hairpin: bool) {
        if softwire.napt.is_none() || first.fragment_offset() != 0 || !first.more_fragments() {
            return;
        }
        while let Some(mut waiting) = core.fragments.ready(Direction::Outbound, first) {
            let verdict = match ipv4::check(&waiting.bytes) {
                Ok(checked) => match self.translate(core, softwire, &mut waiting.bytes, checked, hairpin) {
                    Ok(hash) => self.forward(core, rings, softwire, Packet::Bytes(&waiting.bytes), hash, hairpin),
                    Err(_) => Reason::NaptFragment.into(),
                },
                Err(reason) => reason.into(),
            };
            core.counters.end(verdict, 1);
            core.fragments.done(waiting);
        }
    }
}

/// A drop without an MTU.
fn drop(reason: Reason) -> (Reason, u16) {
    (reason, 0)
}

const BROADCAST: Addr4 = Addr4([255; 4]);

/// A DHCPv4 client's message (RFC 2131 4.1).
fn is_dhcp(ip: &Ipv4, transport: &[u8]) -> bool {
    ip.protocol == protocol::UDP && !ip.is_fragment() && transport.get(2..4) == Some(&[0, 67])
}
