//! Router solicitations, read with every check of RFC 4861 6.1.1; router advertisements, written (RFC 4861 4.2, RFC 4191 2,
//! RFC 8106 5).

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Prefix6};
use smoltcp::wire::{
    Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscOption, NdiscOptionRepr, NdiscPrefixInfoFlags,
    NdiscPrefixInformation, RawHardwareAddress,
};

use super::Header;
use crate::names;
use crate::router_discovery::{self, HOP_LIMIT, Message, Refusal};

/// All nodes of the link (RFC 4291 2.7.1).
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// For packets of hosts (RFC 4861 6.2.1: AdvCurHopLimit).
const HOST_HOP_LIMIT: u8 = 64;

/// What is longer is left out: a packet that any link carries (RFC 8200 5), less its header. All prefixes and resolvers fit.
const LONGEST: usize = 1280 - 40;

/// The flags M and O (RFC 4861 4.2).
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;

/// Options that smoltcp does not know (RFC 4191 2.3, RFC 8106 5.1, 5.2).
const ROUTE: u8 = 24;
const RDNSS: u8 = 25;
const DNSSL: u8 = 31;

/// A valid router solicitation (RFC 4861 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitation {
    /// Who asks; `None`: a host that has no address yet.
    pub source: Option<Ipv6Addr>,
    /// Its Ethernet address, if it says that.
    pub mac: Option<Mac>,
}

/// Reads an IPv6 packet, header first; bytes behind its end do not matter.
pub(super) fn read_solicitation(packet: &[u8]) -> Result<Solicitation, Refusal> {
    let may_say = |source: Ipv6Addr| !source.is_multicast() && !source.is_loopback();
    let message = Message::read(packet, Icmpv6Message::RouterSolicit, may_say)?;
    let mut mac = None;
    for option in message.options() {
        let option = option?;
        if let Ok(NdiscOptionRepr::SourceLinkLayerAddr(_)) = NdiscOptionRepr::parse(&NdiscOption::new_unchecked(option))
        {
            mac = mac.or(router_discovery::station(option));
        }
    }
    let source = Some(message.source).filter(|source| !source.is_unspecified());
    if source.is_none() && mac.is_some() {
        return Err(Refusal::Anonymous);
    }
    Ok(Solicitation { source, mac })
}

/// A router advertisement that is being written: the ICMPv6 message.
#[derive(Debug)]
pub(super) struct Writer {
    message: Vec<u8>,
}

impl Writer {
    /// Of a router whose Ethernet address is `mac`, which is a default router for `lifetime`, if it is one.
    pub fn new(mac: Mac, header: Header, lifetime: Duration) -> Self {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let mut flags = flag(header.is_managed, MANAGED) | flag(header.has_information, OTHER);
        let mut seconds = 0u16;
        if header.is_default_router {
            seconds = lifetime.as_secs() as u16;
            // RFC 4191 2.2: zero where the lifetime is.
            flags |= header.preference.bits() << 3;
        }
        let mut message = vec![Icmpv6Message::RouterAdvert.into(), 0, 0, 0, HOST_HOP_LIMIT, flags];
        message.extend(seconds.to_be_bytes());
        // RFC 4861 6.2.1: reachable time and retransmission timer are left to hosts.
        message.extend([0; 8]);
        let mut writer = Self { message };
        writer.option(NdiscOptionRepr::SourceLinkLayerAddr(RawHardwareAddress::from_bytes(&mac.0)));
        writer
    }

    pub fn mtu(&mut self, mtu: u16) {
        self.option(NdiscOptionRepr::Mtu(mtu.into()));
    }

    /// Always with L, and with A from the first time on: some hosts look at the flags of a prefix once.
    pub fn prefix(&mut self, prefix: Prefix6, is_autonomous: bool, preferred: u32, valid: u32) {
        let autonomous = if is_autonomous { NdiscPrefixInfoFlags::ADDRCONF } else { NdiscPrefixInfoFlags::empty() };
        let seconds = |seconds: u32| smoltcp::time::Duration::from_secs(seconds.into());
        self.option(NdiscOptionRepr::PrefixInformation(NdiscPrefixInformation {
            prefix_len: prefix.len(),
            flags: NdiscPrefixInfoFlags::ON_LINK | autonomous,
            valid_lifetime: seconds(valid),
            preferred_lifetime: seconds(preferred),
            prefix: prefix.address(),
        }));
    }

    /// RFC 4191 2.3, of medium preference. The prefix has 64 bits at most.
    pub fn route(&mut self, prefix: Prefix6, lifetime: u32) {
        self.message.extend([ROUTE, 2, prefix.len(), 0]);
        self.message.extend(lifetime.to_be_bytes());
        self.message.extend(&prefix.address().octets()[..8]);
    }

    pub fn resolver(&mut self, resolver: Ipv6Addr, lifetime: u32) {
        self.named(RDNSS, lifetime, &resolver.octets());
    }

    /// What is no name is left out, and so is the name of all: it would be none (RFC 8106 5.2).
    pub fn domain(&mut self, domain: &str, lifetime: u32) {
        if let Some(name) = names::wire(domain) {
            self.named(DNSSL, lifetime, &name);
        }
    }

    /// RFC 8106 5: two reserved bytes, a lifetime, and what it is about, filled up with zeros.
    fn named(&mut self, kind: u8, lifetime: u32, what: &[u8]) {
        let units = (8 + what.len()).div_ceil(8);
        let end = self.message.len() + units * 8;
        if end > LONGEST {
            return;
        }
        self.message.extend([kind, units as u8, 0, 0]);
        self.message.extend(lifetime.to_be_bytes());
        self.message.extend(what);
        self.message.resize(end, 0);
    }

    fn option(&mut self, option: NdiscOptionRepr) {
        let at = self.message.len();
        self.message.resize(at + option.buffer_len(), 0);
        option.emit(&mut NdiscOption::new_unchecked(&mut self.message[at..]));
    }

    /// The IPv6 packet from `source` to `to`.
    pub fn finish(mut self, source: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
        Icmpv6Packet::new_unchecked(&mut self.message).fill_checksum(&source, &to);
        let ip = Ipv6Repr {
            src_addr: source,
            dst_addr: to,
            next_header: IpProtocol::Icmpv6,
            payload_len: self.message.len(),
            hop_limit: HOP_LIMIT,
        };
        let mut packet = vec![0; ip.buffer_len()];
        ip.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
        packet.extend(self.message);
        packet
    }
}
