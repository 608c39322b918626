//! LAN to tunnel, the slow path: every check again from the start, with a reason for each thing
//! that is wrong, and a way for everything that is merely rare.

use hikyaku_net::packet::ipv4::{self, Checked};
use hikyaku_net::packet::{Ethernet, Ipv4, ethertype};
use hikyaku_net::{Addr4, Port, Prefix4};
use hikyaku_ring::Frame;
use zerocopy::FromBytes;

use super::classify;
use super::emit::{ETHERNET, Packet, drop, flow_hash, native6, refused_option};
use super::fast_outbound::Outbound;
use super::lan_to_lan::LanToLan;
use super::translate::{Hairpin, Not, Translated, Translator};
use super::{Core, Rings, Translation, local};
use crate::counters::Event;
use crate::napt::{Origin, PacketId};
use crate::punt::Class;
use crate::rules::Opening;
use crate::snapshot::{FarEnd, Link, Route, Softwire};
use crate::tunnel::mtu::Fit;
use crate::verdict::{Reason, Verdict};

impl<'a, N: Translation<'a>> Outbound<'a, N> {
    /// `None`: the frame is held and gets its verdict later.
    #[cold]
    #[inline(never)]
    pub(super) fn slow_path(&self, core: &mut Core, rings: &mut Rings, frame: Frame) -> Option<Verdict> {
        let frame = rings.rx.without_priority_tag(frame);
        match self.examine(core, rings, frame) {
            Ok(verdict) => verdict,
            Err((reason, mtu)) => {
                if let Some(verdict) = core.to_host(self.burst, rings, frame, reason) {
                    return Some(verdict);
                }
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
        if ethernet.src.is_group() || !classify::accepts(self.link, dst) && !dst.is_group() {
            return Err(drop(Reason::OtherStation));
        }
        match ethertype {
            ethertype::IPV4 => {}
            ethertype::ARP => return Ok(Some(core.punt(self.burst, rings, frame, Class::Discovery))),
            ethertype::IPV6 => return Ok(native6(core, self.burst, rings, frame)),
            ethertype::VLAN | ethertype::PROVIDER_VLAN => return Err(drop(Reason::Vlan)),
            _ => return Err(drop(Reason::EtherType)),
        }
        let checked = ipv4::check(bytes).map_err(drop)?;
        let (ip, _) = Ipv4::read_from_prefix(bytes).map_err(|_| drop(Reason::Ipv4Truncated))?;
        // To us: DHCP and the like to the control thread; nothing else that is not unicast goes on.
        let route = self.burst.snapshot.routes.lookup(ip.dst);
        let broadcast = ip.dst == BROADCAST || self.link.sources4.iter().any(|p| p.len() > 0 && p.is_broadcast(ip.dst));
        let transport = &bytes[checked.header_len..checked.len];
        if broadcast && local::is_to_dhcp_server(self.link, &ip, transport) {
            return Ok(Some(core.punt(self.burst, rings, frame, Class::Discovery)));
        }
        if dst.is_group() || broadcast || !ip.dst.is_host() || ip.dst.is_link_local() {
            return Err(drop(Reason::Ipv4Destination));
        }
        self.source(&ip).map_err(drop)?;
        if route == Route::Local {
            let is_ours = |link: &Link| link.addresses4.contains(&ip.dst.into());
            if self.link.isolated && self.burst.snapshot.is_of_another_lan(self.link, is_ours) {
                return Err(drop(Reason::LanIsolated));
            }
            let class = local::class4(self.link, &ip, transport).ok_or(drop(Reason::NoListener))?;
            return Ok(Some(core.punt(self.burst, rings, frame, class)));
        }
        if refused_option(&bytes[20..checked.header_len]) {
            return Err(drop(Reason::Ipv4Option));
        }
        if ip.ttl <= 1 {
            return Err(drop(Reason::TtlExceeded));
        }
        let (id, far) = match route {
            Route::Softwire(id) => (id, FarEnd::BorderRouter),
            Route::Mesh(id) => (id, FarEnd::Peer),
            Route::Link(link) => {
                let way = LanToLan::new(self.burst, &ip, link).map_err(drop)?;
                return way.forward(core, rings, frame.with_len(ETHERNET + checked.len), checked);
            }
            _ => return Err(drop(Reason::NoRoute)),
        };
        let softwire = &self.burst.snapshot.softwires[id.0 as usize];
        let frame = frame.with_len(ETHERNET + checked.len);
        let packet = &mut bytes[..checked.len];
        let hairpin = match self.is_hairpin(core, softwire, packet, checked, ip.dst) {
            Ok(hairpin) => hairpin,
            Err(not) => return self.wait(core, rings, frame, &ip, not),
        };
        if !hairpin && softwire.has_ended(self.burst.now) {
            return Err(drop(Reason::SoftwireEnded));
        }
        if !hairpin && let Fit::TooBig { mtu } = Core::fit(self.burst, softwire, far, checked.len, ip.dont_fragment()) {
            // Nobody on this LAN sends such a packet: something between made one of several.
            let is_merged = checked.len > usize::from(self.link.mtu);
            return Err((if is_merged { Reason::OverMtu } else { Reason::TooBig }, mtu));
        }
        match self.translate(core, softwire, packet, checked, hairpin) {
            Ok(done) => {
                let verdict = self.forward(core, rings, softwire, Packet::Frame(frame), done, hairpin);
                self.release_waiting(core, rings, softwire, &ip, hairpin);
                Ok(Some(verdict))
            }
            Err(not) => self.wait(core, rings, frame, &ip, not),
        }
    }

    fn origin(&self) -> Origin {
        Origin::Lan(self.link.lan)
    }

    /// A packet that was not translated: it waits, or is dropped.
    fn wait(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        frame: Frame,
        ip: &Ipv4,
        not: Not,
    ) -> Result<Option<Verdict>, (Reason, u16)> {
        if let Not::Possible(reason) = not {
            return Err(drop(reason));
        }
        let bytes = &rings.rx.bytes(frame)[ETHERNET..];
        match core.fragments.wait(PacketId::of(self.origin(), ip), self.burst.link, bytes, self.burst.now) {
            true => Ok(None),
            false => Err(drop(Reason::NaptFragment)),
        }
    }

    /// Whether a packet to `dst` comes back to the LAN: it is for our outside address, and for a port of ours.
    fn is_hairpin(
        &self,
        core: &mut Core,
        softwire: &Softwire,
        packet: &[u8],
        checked: Checked,
        dst: Addr4,
    ) -> Result<bool, Not> {
        match softwire.napt.as_deref() {
            Some(napt) if Addr4::from(napt.outside()) == dst => {
                core.translator(napt, self.burst).comes_back(self.link.lan, packet, checked)
            }
            _ => Ok(false),
        }
    }

    /// RFC 2827, RFC 1812 5.3.7: who may send from here.
    pub(super) fn source(&self, ip: &Ipv4) -> Result<(), Reason> {
        let ours = |p: &Prefix4| p.contains(ip.src) && (p.len() == 0 || !p.is_broadcast(ip.src));
        let local = self.link.addresses4.iter().any(|&a| Addr4::from(a) == ip.src);
        let good = ip.src.is_host() && ip.src != ip.dst && !local && self.link.sources4.iter().any(ours);
        if good { Ok(()) } else { Err(Reason::Ipv4Source) }
    }

    /// Translates and takes one from the TTL.
    fn translate(
        &self,
        core: &mut Core,
        softwire: &Softwire,
        packet: &mut [u8],
        checked: Checked,
        hairpin: bool,
    ) -> Result<Translated, Not> {
        let done = match softwire.napt.as_deref() {
            None => {
                self.ask_about(packet, checked)?;
                let hash = flow_hash(&core.flows, packet, checked);
                Translated { hash, opened: false, far_port: Port::default(), lan: None }
            }
            Some(napt) => {
                let rules = self.burst.snapshot.rules.as_deref();
                let comes_back = if hairpin { self.sender(packet, checked) } else { None };
                let mut translator = Translator {
                    napt,
                    fragments: &mut core.fragments,
                    now: self.burst.now,
                    rules,
                    hairpin: comes_back,
                };
                // RFC 4787 REQ-9: only towards a mapping that exists is a way out opened for the way back in.
                let before = if hairpin {
                    translator.may_hairpin(packet, checked)?;
                    Some(Front::of(packet))
                } else {
                    None
                };
                let mut done = translator.translate(self.origin(), packet, checked)?;
                core.counters.note(Event::SessionOpened, done.opened.into());
                if let Some(before) = before {
                    // Whoever sent it is told of the packet as it was, or it waits as it was.
                    let back = translator.translate(Origin::Tunnel(softwire.local), packet, checked);
                    let back = back.inspect_err(|_| before.restore(packet))?;
                    done.lan = back.lan;
                    core.counters.note(Event::SessionOpened, back.opened.into());
                }
                done
            }
        };
        core.pass(softwire.mss, packet, checked);
        Ok(done)
    }

    /// Who sends a packet.
    fn sender(&self, packet: &[u8], checked: Checked) -> Option<Hairpin<'a>> {
        let (ip, _) = Ipv4::ref_from_prefix(packet).ok()?;
        let [port, _] = Opening::ports(ip.protocol, &packet[checked.header_len..checked.len]);
        Some(Hairpin { link: self.link, addr: ip.src, port })
    }

    /// Where the sessions are the far end's: whether the rules let a packet pass.
    fn ask_about(&self, packet: &[u8], checked: Checked) -> Result<(), Reason> {
        let Some(rules) = self.asked() else { return Ok(()) };
        let (ip, _) = Ipv4::ref_from_prefix(packet).map_err(|_| Reason::Ipv4Truncated)?;
        rules.ask_about(self.link.lan, ip, &packet[checked.header_len..checked.len], self.burst.now)
    }

    /// Sends a translated packet: to the border router, to another CE, or back to where it came from.
    fn forward(
        &self,
        core: &mut Core,
        rings: &mut Rings,
        softwire: &Softwire,
        packet: Packet,
        done: Translated,
        hairpin: bool,
    ) -> Verdict {
        let Ok((ip, _)) = Ipv4::read_from_prefix(packet.bytes(rings.rx)) else { return Reason::Ipv4Truncated.into() };
        if !hairpin {
            let remote =
                if softwire.napt.is_some() { softwire.remote_of(ip.dst, done.far_port) } else { softwire.remote };
            return core.send_tunnel(self.burst, rings, (softwire, remote), packet, done.hash);
        }
        match softwire.host_link(self.burst.snapshot, done.lan, ip.dst) {
            Some(link) => core.send_lan(self.burst, rings, link, packet, Verdict::Hairpin),
            None => Reason::NoRoute.into(),
        }
    }

    /// A first fragment has come: those that waited for it go after it.
    fn release_waiting(&self, core: &mut Core, rings: &mut Rings, softwire: &Softwire, first: &Ipv4, hairpin: bool) {
        if softwire.napt.is_none() || first.fragment_offset() != 0 || !first.more_fragments() {
            return;
        }
        while let Some(mut waiting) = core.fragments.ready(PacketId::of(self.origin(), first)) {
            let verdict = match ipv4::check(&waiting.bytes) {
                Ok(checked) => match self.translate(core, softwire, &mut waiting.bytes, checked, hairpin) {
                    Ok(done) => self.forward(core, rings, softwire, Packet::Bytes(&waiting.bytes), done, hairpin),
                    Err(_) => Reason::NaptFragment.into(),
                },
                Err(reason) => reason.into(),
            };
            core.counters.end(verdict, 1);
            core.fragments.done(waiting);
        }
    }
}

/// The part of a packet that translation may change: at most the two headers of an ICMP error with all their
/// options, and of what is quoted as much as has a checksum.
struct Front {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Front {
    const MAX: usize = 60 + 8 + 60 + 20;

    fn of(packet: &[u8]) -> Self {
        let (mut bytes, len) = ([0; Self::MAX], packet.len().min(Self::MAX));
        bytes[..len].copy_from_slice(&packet[..len]);
        Self { bytes, len }
    }

    fn restore(&self, packet: &mut [u8]) {
        packet[..self.len].copy_from_slice(&self.bytes[..self.len]);
    }
}

const BROADCAST: Addr4 = Addr4([255; 4]);
