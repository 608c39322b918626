//! What frames of ARP, NDP and MLD share: Ethernet's header, and who can be at an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_net::packet::Ethernet;
use hikyaku_net::{Addr4, Mac};
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr};

/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = size_of::<Ethernet>();

/// All nodes of the link.
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// All routers of the link.
pub(super) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A station's own address: not a group's, not zero.
pub(super) fn is_station(mac: Mac) -> bool {
    !mac.is_group() && mac != Mac::default()
}

/// An address that one host can have.
pub(super) fn is_host4(addr: Ipv4Addr) -> bool {
    Addr4::from(addr).is_host()
}

/// An address that one host can have.
pub(super) fn is_host6(addr: Ipv6Addr) -> bool {
    !addr.is_multicast() && !addr.is_unspecified() && !addr.is_loopback()
}

/// Writes the header of an Ethernet frame from `from` to `to`.
pub(super) fn ethernet(frame: &mut [u8], from: Mac, to: Mac, protocol: EthernetProtocol) {
    let (src_addr, dst_addr) = (EthernetAddress(from.0), EthernetAddress(to.0));
    EthernetRepr { src_addr, dst_addr, ethertype: protocol }.emit(&mut EthernetFrame::new_unchecked(frame));
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

/// An address that one host of a link can have.
pub(super) fn is_host(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => is_host4(addr),
        IpAddr::V6(addr) => is_host6(addr),
    }
}

/// The Ethernet address of a group, or of all.
pub(super) fn group(addr: IpAddr) -> Option<Mac> {
    match addr {
        IpAddr::V4(addr) if addr.is_broadcast() => Some(Mac::BROADCAST),
        IpAddr::V4(addr) => addr.is_multicast().then(|| group_mac4(addr)),
        IpAddr::V6(addr) => addr.is_multicast().then(|| group_mac(addr)),
    }
}

/// `frame`, which has an Ethernet header, to the station `mac`.
pub(super) fn address_frame(mut frame: Vec<u8>, mac: Mac) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac.0);
    frame
}
