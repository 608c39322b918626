//! ARP and NDP as frames: read with every check that their RFCs ask for, and written.

use std::net::{Ipv4Addr, Ipv6Addr};

use hikyaku_net::packet::{Ethernet, Ipv6, ethertype, ipv6};
use hikyaku_net::{Mac, protocol};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Message,
    Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscOption, NdiscOptionRepr, NdiscOptionType,
    NdiscRepr,
};
use zerocopy::FromBytes;

use super::listener;

/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = size_of::<Ethernet>();

/// All nodes of the link.
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// All routers of the link.
pub(super) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Tells our own solicitation, come back by a loop, from another station's (RFC 3971 5.3.2).
pub(super) type Nonce = [u8; 6];

/// The nonce option, which smoltcp does not know (RFC 3971 5.3.2).
const NONCE: u8 = 14;

/// NDP is of this link only: a router would have taken one off (RFC 4861 7.1).
const HOP_LIMIT: u8 = 255;

/// An ARP packet (RFC 826) that may be believed to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arp {
    pub reply: bool,
    /// The sender's Ethernet address, as ARP has it.
    pub mac: Mac,
    /// Unspecified in a probe (RFC 5227 1.1).
    pub sender: Ipv4Addr,
    pub target: Ipv4Addr,
}

/// A valid neighbour solicitation (RFC 4861 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitation<'a> {
    /// The Ethernet source.
    pub from: Mac,
    /// `None` where it is the unspecified one: duplicate address detection.
    pub source: Option<Ipv6Addr>,
    pub target: Ipv6Addr,
    /// The source link-layer address option.
    pub mac: Option<Mac>,
    pub nonce: Option<&'a [u8]>,
}

/// A valid neighbour advertisement (RFC 4861 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advertisement {
    /// The Ethernet source.
    pub from: Mac,
    pub target: Ipv6Addr,
    /// The target link-layer address option.
    pub mac: Option<Mac>,
    pub router: bool,
    pub solicited: bool,
    pub overrides: bool,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    Arp(Arp),
    Solicitation(Solicitation<'a>),
    Advertisement(Advertisement),
    Query(listener::Query),
}

/// Why a frame says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unheard {
    /// It is of another protocol.
    Other,
    /// ARP that breaks RFC 826 or RFC 5227.
    Arp,
    /// A solicitation or advertisement that RFC 4861 7.1 discards, or a query that RFC 3810 6.2 does.
    Ndp,
}

/// Reads an Ethernet frame.
pub(super) fn read(frame: &[u8]) -> Result<Heard<'_>, Unheard> {
    let (ethernet, rest) = Ethernet::read_from_prefix(frame).map_err(|_| Unheard::Other)?;
    match ethernet.ethertype.get() {
        ethertype::ARP => read_arp(&ethernet, rest).map(Heard::Arp).ok_or(Unheard::Arp),
        ethertype::IPV6 => read_ipv6(&ethernet, rest),
        _ => Err(Unheard::Other),
    }
}

/// A station's own address: not a group's, not zero.
pub(super) fn is_station(mac: Mac) -> bool {
    !mac.is_group() && mac != Mac::default()
}

/// An address that one host can have.
pub(super) fn is_host4(addr: Ipv4Addr) -> bool {
    hikyaku_net::Addr4::from(addr).is_host()
}

/// An address that one host can have.
pub(super) fn is_host6(addr: Ipv6Addr) -> bool {
    !addr.is_multicast() && !addr.is_unspecified() && !addr.is_loopback()
}

fn read_arp(ethernet: &Ethernet, bytes: &[u8]) -> Option<Arp> {
    let packet = ArpPacket::new_checked(bytes).ok()?;
    let ArpRepr::EthernetIpv4 { operation, source_hardware_addr, source_protocol_addr, target_protocol_addr, .. } =
        ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    let reply = match operation {
        ArpOperation::Request => false,
        ArpOperation::Reply => true,
        ArpOperation::Unknown(_) => return None,
    };
    let arp =
        Arp { reply, mac: Mac(source_hardware_addr.0), sender: source_protocol_addr, target: target_protocol_addr };
    // A probe asks from no address (RFC 5227 2.1.1); an answer without one says nothing.
    let probe = !reply && arp.sender.is_unspecified();
    let good = is_station(ethernet.src) && is_station(arp.mac) && (probe || is_host4(arp.sender));
    good.then_some(arp)
}

fn read_ipv6<'a>(ethernet: &Ethernet, bytes: &'a [u8]) -> Result<Heard<'a>, Unheard> {
    let walked = ipv6::walk(bytes).map_err(|_| Unheard::Other)?;
    let (ip, _) = Ipv6::read_from_prefix(bytes).map_err(|_| Unheard::Other)?;
    let message = bytes.get(walked.offset..walked.end).unwrap_or_default();
    let kind = message.first().map(|&kind| Icmpv6Message::from(kind));
    let known =
        matches!(kind, Some(Icmpv6Message::NeighborSolicit | Icmpv6Message::NeighborAdvert | Icmpv6Message::MldQuery));
    if walked.protocol != protocol::ICMPV6 || !known {
        return Err(Unheard::Other);
    }
    // RFC 6980 5: fragments of NDP are not put together.
    if walked.fragment.is_some() || !is_station(ethernet.src) {
        return Err(Unheard::Ndp);
    }
    let (source, destination) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(ip.dst));
    let packet = match kind {
        // smoltcp would refuse queries of MLDv1.
        Some(Icmpv6Message::MldQuery) if message.len() >= listener::SHORTEST_QUERY => {
            Icmpv6Packet::new_unchecked(message)
        }
        _ => Icmpv6Packet::new_checked(message).map_err(|_| Unheard::Ndp)?,
    };
    if !packet.verify_checksum(&source, &destination) || packet.msg_code() != 0 {
        return Err(Unheard::Ndp);
    }
    let heard = match packet.msg_type() {
        Icmpv6Message::MldQuery => listener::read(&packet, message.len(), source, ip.hop_limit).map(Heard::Query),
        _ if ip.hop_limit != HOP_LIMIT || source.is_multicast() || source.is_loopback() => None,
        Icmpv6Message::NeighborSolicit => {
            read_solicitation(ethernet, &packet, source, destination).map(Heard::Solicitation)
        }
        _ => read_advertisement(ethernet, &packet, source, destination).map(Heard::Advertisement),
    };
    heard.ok_or(Unheard::Ndp)
}

/// RFC 4861 7.1.1.
fn read_solicitation<'a>(
    ethernet: &Ethernet,
    packet: &Icmpv6Packet<&'a [u8]>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Option<Solicitation<'a>> {
    let options = Options::read(packet.payload())?;
    let target = packet.target_addr();
    let to_group = destination.segments()[..7] == [0xff02, 0, 0, 0, 0, 1, 0xff00 | destination.segments()[6] & 0xff];
    let detection_is_sound = to_group && options.source.is_none();
    if !is_host6(target) || source.is_unspecified() && !detection_is_sound {
        return None;
    }
    let source = Some(source).filter(|s| !s.is_unspecified());
    Some(Solicitation { from: ethernet.src, source, target, mac: options.source, nonce: options.nonce })
}

/// RFC 4861 7.1.2.
fn read_advertisement(
    ethernet: &Ethernet,
    packet: &Icmpv6Packet<&[u8]>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Option<Advertisement> {
    let options = Options::read(packet.payload())?;
    let (target, flags) = (packet.target_addr(), packet.neighbor_flags());
    let solicited = flags.contains(NdiscNeighborFlags::SOLICITED);
    if !is_host6(target) || source.is_unspecified() || destination.is_multicast() && solicited {
        return None;
    }
    Some(Advertisement {
        from: ethernet.src,
        target,
        mac: options.target,
        router: flags.contains(NdiscNeighborFlags::ROUTER),
        solicited,
        overrides: flags.contains(NdiscNeighborFlags::OVERRIDE),
    })
}

/// The options that matter here; the first of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    source: Option<Mac>,
    target: Option<Mac>,
    nonce: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// `None` if they break RFC 4861 7.1: a length of zero, or past the end; or if a link-layer
    /// address is not that of an Ethernet station (RFC 2464 6). All other kinds are passed over.
    fn read(mut rest: &'a [u8]) -> Option<Self> {
        let mut options = Self::default();
        while let [_, units, ..] = *rest {
            let (bytes, after) = rest.split_at_checked(usize::from(units) * 8).filter(|_| units > 0)?;
            let option = NdiscOption::new_unchecked(bytes);
            match option.option_type() {
                kind @ (NdiscOptionType::SourceLinkLayerAddr | NdiscOptionType::TargetLinkLayerAddr) => {
                    let mac = <[u8; 6]>::try_from(option.link_layer_addr().as_bytes()).ok().map(Mac);
                    let mac = mac.filter(|&mac| units == 1 && is_station(mac))?;
                    let of_kind = match kind {
                        NdiscOptionType::SourceLinkLayerAddr => &mut options.source,
                        _ => &mut options.target,
                    };
                    of_kind.get_or_insert(mac);
                }
                NdiscOptionType::Unknown(NONCE) => {
                    options.nonce.get_or_insert(&bytes[2..]);
                }
                _ => {}
            }
            rest = after;
        }
        rest.is_empty().then_some(options)
    }
}

pub(super) fn ethernet(frame: &mut [u8], from: Mac, to: Mac, protocol: EthernetProtocol) {
    let (src_addr, dst_addr) = (EthernetAddress(from.0), EthernetAddress(to.0));
    EthernetRepr { src_addr, dst_addr, ethertype: protocol }.emit(&mut EthernetFrame::new_unchecked(frame));
}

/// An ARP frame of ours (`ours` in its sender field) to the station `to`, or to all.
pub(super) fn arp(reply: bool, from: Mac, ours: Ipv4Addr, to: Mac, target: Ipv4Addr) -> Vec<u8> {
    /// RFC 894: a frame carries 46 bytes at least, and not every link pads.
    const SHORTEST: usize = ETHERNET + 46;
    let mut frame = vec![0; SHORTEST];
    ethernet(&mut frame, from, to, EthernetProtocol::Arp);
    // What a request has here is ignored (RFC 5227 2.1.1: zero in a probe).
    let target_hardware_addr = if reply { EthernetAddress(to.0) } else { EthernetAddress::default() };
    ArpRepr::EthernetIpv4 {
        operation: if reply { ArpOperation::Reply } else { ArpOperation::Request },
        source_hardware_addr: EthernetAddress(from.0),
        source_protocol_addr: ours,
        target_hardware_addr,
        target_protocol_addr: target,
    }
    .emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET..]));
    frame
}

/// A solicitation of `target` from `source`, to all that may have it or, with `to`, to one station
/// (RFC 4861 4.3).
pub(super) fn solicitation(from: Mac, source: Ipv6Addr, target: Ipv6Addr, to: Option<Mac>) -> Vec<u8> {
    let destination = if to.is_some() { target } else { solicited_node(target) };
    let lladdr = Some(EthernetAddress(from.0).into());
    let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr };
    ndp(from, to.unwrap_or_else(|| group_mac(destination)), source, destination, message, None)
}

/// The question whether anybody has `target` (RFC 4862 5.4.2), with a nonce (RFC 7527 4.1).
pub(super) fn detection(from: Mac, target: Ipv6Addr, nonce: Nonce) -> Vec<u8> {
    let destination = solicited_node(target);
    let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr: None };
    ndp(from, group_mac(destination), Ipv6Addr::UNSPECIFIED, destination, message, Some(nonce))
}

/// The flags of an advertisement of ours (RFC 4861 4.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub router: bool,
    pub solicited: bool,
    pub overrides: bool,
}

/// An advertisement of our address `ours` to `destination` at the station `to` (RFC 4861 7.2.4).
pub(super) fn advertisement(from: Mac, ours: Ipv6Addr, destination: Ipv6Addr, to: Mac, flags: Flags) -> Vec<u8> {
    let mut bits = NdiscNeighborFlags::empty();
    bits.set(NdiscNeighborFlags::ROUTER, flags.router);
    bits.set(NdiscNeighborFlags::SOLICITED, flags.solicited);
    bits.set(NdiscNeighborFlags::OVERRIDE, flags.overrides);
    let lladdr = Some(EthernetAddress(from.0).into());
    let message = NdiscRepr::NeighborAdvert { flags: bits, target_addr: ours, lladdr };
    ndp(from, to, ours, destination, message, None)
}

fn ndp(
    from: Mac,
    to: Mac,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    message: NdiscRepr,
    nonce: Option<Nonce>,
) -> Vec<u8> {
    let nonce = nonce.as_ref().map(|data| NdiscOptionRepr::Unknown { type_: NONCE, length: 1, data });
    let option_at = message.buffer_len();
    let payload_len = option_at + nonce.map_or(0, |option| option.buffer_len());
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Icmpv6,
        payload_len,
        hop_limit: HOP_LIMIT,
    };
    let mut frame = vec![0; ETHERNET + ip.buffer_len() + payload_len];
    ethernet(&mut frame, from, to, EthernetProtocol::Ipv6);
    ip.emit(&mut Ipv6Packet::new_unchecked(&mut frame[ETHERNET..]));
    let body = &mut frame[ETHERNET + ip.buffer_len()..];
    message.emit(&mut Icmpv6Packet::new_unchecked(&mut *body));
    if let Some(option) = nonce {
        option.emit(&mut NdiscOption::new_unchecked(&mut body[option_at..]));
    }
    Icmpv6Packet::new_unchecked(body).fill_checksum(&source, &destination);
    frame
}

/// The group that hears solicitations of `addr` (RFC 4291 2.7.1).
pub(super) fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b] = addr.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a & 0xff, b)
}

/// The Ethernet address of an IPv6 group (RFC 2464 7).
pub(super) fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The Ethernet address of an IPv4 group (RFC 1112 6.4).
pub(super) fn group_mac4(group: Ipv4Addr) -> Mac {
    let [_, a, b, c] = group.octets();
    Mac([0x01, 0x00, 0x5e, a & 0x7f, b, c])
}
