//! ARP packets (RFC 826, RFC 5227): read with every check that the RFCs ask for, and written.

use std::net::Ipv4Addr;

use hikyaku_net::Mac;
use hikyaku_net::packet::Ethernet;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol};

use super::frame::{ETHERNET, ethernet, is_host4, is_station};

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

/// An ARP packet that came in a frame with this header.
pub(super) fn read(ethernet: &Ethernet, bytes: &[u8]) -> Option<Arp> {
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

/// An ARP frame of ours (`ours` in its sender field) to the station `to`, or to all.
pub(super) fn write(reply: bool, from: Mac, ours: Ipv4Addr, to: Mac, target: Ipv4Addr) -> Vec<u8> {
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
