//! Neighbour solicitations and advertisements (RFC 4861, RFC 4862): read with every check that the RFCs ask for, and
//! written.

use std::net::Ipv6Addr;

use hikyaku_net::Mac;
use hikyaku_net::packet::Ethernet;
use smoltcp::wire::{
    EthernetAddress, EthernetProtocol, Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscOption,
    NdiscOptionRepr, NdiscOptionType, NdiscRepr,
};

use super::frame::{ETHERNET, ethernet, group_mac, is_host6, is_station, solicited_node};

/// Tells our own solicitation, come back by a loop, from another station's (RFC 3971 5.3.2).
pub(super) type Nonce = [u8; 6];

/// The nonce option, which smoltcp does not know (RFC 3971 5.3.2).
const NONCE: u8 = 14;

/// NDP is of this link only: a router would have taken one off (RFC 4861 7.1).
pub(super) const HOP_LIMIT: u8 = 255;

/// A valid neighbour solicitation (RFC 4861 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Solicitation<'a> {
    /// The Ethernet address that the frame came from.
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
    /// The Ethernet address that the frame came from.
    pub from: Mac,
    pub target: Ipv6Addr,
    /// The target link-layer address option.
    pub mac: Option<Mac>,
    pub router: bool,
    pub solicited: bool,
    pub overrides: bool,
}

/// A solicitation, if it is valid (RFC 4861 7.1.1).
pub(super) fn read_solicitation<'a>(
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

/// An advertisement, if it is valid (RFC 4861 7.1.2).
pub(super) fn read_advertisement(
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

/// A solicitation of `target` from `source`, to all that may have it or, with `to`, to one station
/// (RFC 4861 4.3).
pub(super) fn solicitation(from: Mac, source: Ipv6Addr, target: Ipv6Addr, to: Option<Mac>) -> Vec<u8> {
    let destination = if to.is_some() { target } else { solicited_node(target) };
    let lladdr = Some(EthernetAddress(from.0).into());
    let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr };
    write(from, to.unwrap_or_else(|| group_mac(destination)), source, destination, message, None)
}

/// The question whether anybody has `target` (RFC 4862 5.4.2), with a nonce (RFC 7527 4.1).
pub(super) fn detection(from: Mac, target: Ipv6Addr, nonce: Nonce) -> Vec<u8> {
    let destination = solicited_node(target);
    let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr: None };
    write(from, group_mac(destination), Ipv6Addr::UNSPECIFIED, destination, message, Some(nonce))
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
    advertisement_of(from, (ours, ours), destination, to, flags)
}

/// The same from `source`, an address of ours, of another's address `target` (RFC 4861 7.2.8).
pub(super) fn advertisement_of(
    from: Mac,
    (source, target): (Ipv6Addr, Ipv6Addr),
    destination: Ipv6Addr,
    to: Mac,
    flags: Flags,
) -> Vec<u8> {
    let mut bits = NdiscNeighborFlags::empty();
    bits.set(NdiscNeighborFlags::ROUTER, flags.router);
    bits.set(NdiscNeighborFlags::SOLICITED, flags.solicited);
    bits.set(NdiscNeighborFlags::OVERRIDE, flags.overrides);
    let lladdr = Some(EthernetAddress(from.0).into());
    let message = NdiscRepr::NeighborAdvert { flags: bits, target_addr: target, lladdr };
    write(from, to, source, destination, message, None)
}

fn write(
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
