//! Frames that this machine is for, told apart.

use std::net::Ipv6Addr;

use hikyaku_net::packet::{Ethernet, Ipv6, ethertype, ipv6};
use hikyaku_net::protocol;
use smoltcp::wire::{Icmpv6Message, Icmpv6Packet};
use zerocopy::FromBytes;

use super::arp::{self, Arp};
use super::frame::is_station;
use super::mld;
use super::ndp::{self, Advertisement, Solicitation};

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Arp(Arp),
    Solicitation(Solicitation<'a>),
    Advertisement(Advertisement),
    Query(mld::Query),
}

/// Why a frame says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is of another protocol.
    Other,
    /// ARP that breaks RFC 826 or RFC 5227.
    Arp,
    /// A solicitation or advertisement that RFC 4861 7.1 discards, or a query that RFC 3810 6.2 does.
    Ndp,
}

/// Reads an Ethernet frame.
pub(super) fn read(frame: &[u8]) -> Result<Message<'_>, Refusal> {
    let (ethernet, rest) = Ethernet::read_from_prefix(frame).map_err(|_| Refusal::Other)?;
    match ethernet.ethertype.get() {
        ethertype::ARP => arp::read(&ethernet, rest).map(Message::Arp).ok_or(Refusal::Arp),
        ethertype::IPV6 => read_ipv6(&ethernet, rest),
        _ => Err(Refusal::Other),
    }
}

fn read_ipv6<'a>(ethernet: &Ethernet, bytes: &'a [u8]) -> Result<Message<'a>, Refusal> {
    let walked = ipv6::walk(bytes).map_err(|_| Refusal::Other)?;
    let (ip, _) = Ipv6::read_from_prefix(bytes).map_err(|_| Refusal::Other)?;
    let message = bytes.get(walked.offset..walked.end).unwrap_or_default();
    let kind = message.first().map(|&kind| Icmpv6Message::from(kind));
    let known =
        matches!(kind, Some(Icmpv6Message::NeighborSolicit | Icmpv6Message::NeighborAdvert | Icmpv6Message::MldQuery));
    if walked.protocol != protocol::ICMPV6 || !known {
        return Err(Refusal::Other);
    }
    // RFC 6980 5: fragments of NDP are not put together.
    if walked.fragment.is_some() || !is_station(ethernet.src) {
        return Err(Refusal::Ndp);
    }
    let (source, destination) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(ip.dst));
    let packet = match kind {
        // smoltcp would refuse queries of MLDv1.
        Some(Icmpv6Message::MldQuery) if message.len() >= mld::SHORTEST_QUERY => Icmpv6Packet::new_unchecked(message),
        _ => Icmpv6Packet::new_checked(message).map_err(|_| Refusal::Ndp)?,
    };
    if !packet.verify_checksum(&source, &destination) || packet.msg_code() != 0 {
        return Err(Refusal::Ndp);
    }
    let heard = match packet.msg_type() {
        Icmpv6Message::MldQuery => mld::read(&packet, message.len(), source, ip.hop_limit).map(Message::Query),
        _ if ip.hop_limit != ndp::HOP_LIMIT || source.is_multicast() || source.is_loopback() => None,
        Icmpv6Message::NeighborSolicit => {
            ndp::read_solicitation(ethernet, &packet, source, destination).map(Message::Solicitation)
        }
        _ => ndp::read_advertisement(ethernet, &packet, source, destination).map(Message::Advertisement),
    };
    heard.ok_or(Refusal::Ndp)
}
