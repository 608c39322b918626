//! Router solicitations, read with every check of RFC 4861 6.1.1; router advertisements, written (RFC 4861 4.2, RFC 8106 5).

use std::net::Ipv6Addr;
use std::time::Duration;

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::BinEncodable;
use hikyaku_net::packet::{Ipv6, ipv6};
use hikyaku_net::{Mac, Prefix6, protocol};
use smoltcp::wire::{
    Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscOption, NdiscOptionRepr, NdiscPrefixInfoFlags,
    NdiscPrefixInformation, RawHardwareAddress,
};
use zerocopy::FromBytes;

/// All nodes of the link (RFC 4291 2.7.1).
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What no router has forwarded (RFC 4861 6.1.1).
const HOP_LIMIT: u8 = 255;

/// For packets of hosts (RFC 4861 6.2.1: AdvCurHopLimit).
const HOST_HOP_LIMIT: u8 = 64;

/// What is longer is left out: a packet that any link carries (RFC 8200 5), less its header. All prefixes and resolvers fit.
const LONGEST: usize = 1280 - 40;

/// Options that smoltcp does not know (RFC 8106 5.1, 5.2).
const RDNSS: u8 = 25;
const DNSSL: u8 = 31;

/// Why bytes are no router solicitation to act on (RFC 4861 6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not one whole IPv6 packet.
    #[error("not a whole IPv6 packet")]
    NotIpv6,
    /// A fragment, which neighbour discovery must not be (RFC 6980 5).
    #[error("a fragment: neighbour discovery is never fragmented")]
    Fragment,
    /// The packet is no ICMPv6 router solicitation (RFC 4861 4.1).
    #[error("not an ICMPv6 router solicitation")]
    NotSolicitation,
    /// It passed a router, or was made up far away.
    #[error("hop limit {0} instead of 255: it does not come from this link")]
    HopLimit(u8),
    /// The source is no host's address; which it is.
    #[error("source {0} is no host's address")]
    Source(Ipv6Addr),
    /// The ICMPv6 checksum does not fit the packet.
    #[error("wrong ICMPv6 checksum")]
    Checksum,
    /// The ICMPv6 code is not 0; which it is.
    #[error("ICMPv6 code {0} instead of 0")]
    Code(u8),
    /// Less than the 8 bytes that are always there, an option of length zero, or one that goes on behind the end.
    #[error("cut off, or an option has no length or passes the end")]
    Short,
    /// It comes from the unspecified address and says an Ethernet address.
    #[error("an Ethernet address from a host without an address")]
    Anonymous,
}

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
    let walked = ipv6::walk(packet).map_err(|_| Refusal::NotIpv6)?;
    let (ip, _) = Ipv6::ref_from_prefix(packet).map_err(|_| Refusal::NotIpv6)?;
    let (src, dst) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(ip.dst));
    if walked.fragment.is_some() {
        return Err(Refusal::Fragment);
    }
    let bytes = &packet[walked.offset..walked.end];
    if walked.protocol != protocol::ICMPV6 || bytes.first() != Some(&Icmpv6Message::RouterSolicit.into()) {
        return Err(Refusal::NotSolicitation);
    }
    if ip.hop_limit != HOP_LIMIT {
        return Err(Refusal::HopLimit(ip.hop_limit));
    }
    if src.is_multicast() || src.is_loopback() {
        return Err(Refusal::Source(src));
    }
    let icmp = Icmpv6Packet::new_checked(bytes).map_err(|_| Refusal::Short)?;
    if !icmp.verify_checksum(&src, &dst) {
        return Err(Refusal::Checksum);
    }
    if icmp.msg_code() != 0 {
        return Err(Refusal::Code(icmp.msg_code()));
    }
    let mac = read_source_station(icmp.payload())?;
    match (src.is_unspecified(), mac) {
        (true, Some(_)) => Err(Refusal::Anonymous),
        (is_anonymous, mac) => Ok(Solicitation { source: (!is_anonymous).then_some(src), mac }),
    }
}

/// The source link-layer address option, if there is one that an Ethernet station can have (RFC 2464 6).
fn read_source_station(mut rest: &[u8]) -> Result<Option<Mac>, Refusal> {
    let mut station = None;
    while !rest.is_empty() {
        let length = rest.get(1).map_or(0, |&units| usize::from(units) * 8);
        let (option, after) = rest.split_at_checked(length).filter(|_| length > 0).ok_or(Refusal::Short)?;
        if let Ok(NdiscOptionRepr::SourceLinkLayerAddr(_)) = NdiscOptionRepr::parse(&NdiscOption::new_unchecked(option))
        {
            let mac = option[2..].first_chunk().map(|&octets| Mac(octets));
            station = station.or(mac.filter(|mac| option.len() == 8 && !mac.is_group() && *mac != Mac::default()));
        }
        rest = after;
    }
    Ok(station)
}

/// A router advertisement that is being written: the ICMPv6 message.
#[derive(Debug)]
pub(super) struct Writer {
    message: Vec<u8>,
}

impl Writer {
    /// Of a router whose Ethernet address is `mac`, which is a default router for `lifetime` (zero: it is none). M and O are
    /// clear: there is no DHCPv6 on the link, and hosts that are told otherwise wait for it.
    pub fn new(mac: Mac, lifetime: Duration) -> Self {
        let mut message = vec![Icmpv6Message::RouterAdvert.into(), 0, 0, 0, HOST_HOP_LIMIT, 0];
        message.extend((lifetime.as_secs() as u16).to_be_bytes());
        // RFC 4861 6.2.1: reachable time and retransmission timer are left to hosts.
        message.extend([0; 8]);
        let mut writer = Self { message };
        writer.option(NdiscOptionRepr::SourceLinkLayerAddr(RawHardwareAddress::from_bytes(&mac.0)));
        writer
    }

    pub fn mtu(&mut self, mtu: u16) {
        self.option(NdiscOptionRepr::Mtu(mtu.into()));
    }

    /// Always with L and A: hosts look at the flags of a prefix once, or not at all without them.
    pub fn prefix(&mut self, prefix: Prefix6, preferred: u32, valid: u32) {
        let seconds = |seconds: u32| smoltcp::time::Duration::from_secs(seconds.into());
        self.option(NdiscOptionRepr::PrefixInformation(NdiscPrefixInformation {
            prefix_len: prefix.len(),
            flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
            valid_lifetime: seconds(valid),
            preferred_lifetime: seconds(preferred),
            prefix: prefix.address(),
        }));
    }

    pub fn resolver(&mut self, resolver: Ipv6Addr, lifetime: u32) {
        self.named(RDNSS, lifetime, &resolver.octets());
    }

    /// What is no name is left out, and so is the name of all: it would be none (RFC 8106 5.2).
    pub fn domain(&mut self, domain: &str, lifetime: u32) {
        let name = Name::from_ascii(domain).ok().filter(|name| name.num_labels() > 0);
        if let Some(name) = name.and_then(|name| name.to_bytes().ok()) {
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
