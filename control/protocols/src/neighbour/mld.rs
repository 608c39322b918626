//! Multicast listener queries and reports (RFC 3810, RFC 2710).

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, protocol};
use smoltcp::wire::{
    EthernetProtocol, Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr, MldAddressRecordRepr, MldRepr,
};

use super::frame::{ETHERNET, ethernet, group_mac};

/// A query of MLDv1; those of MLDv2 are longer (RFC 3810 8.1).
pub(super) const SHORTEST_QUERY: usize = 24;

/// All routers that understand MLDv2 (RFC 3810 5.2.14).
const ALL_MLDV2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// Records of one report: what fits 1280 bytes.
const RECORDS: usize = 60;

/// A hop-by-hop header with a router alert for MLD (RFC 2711 2.1), before ICMPv6.
const ROUTER_ALERT: [u8; 8] = [protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// RFC 2710 3.4: the report of MLDv1.
const MLDV1_REPORT: u8 = 131;

/// What a router or a snooping switch wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// It is of MLDv1, and wants answers of MLDv1 (RFC 3810 8.2.1).
    pub first_version: bool,
    /// `None` for all groups.
    pub group: Option<Ipv6Addr>,
    /// Answers are spread over this time.
    pub within: Duration,
}

/// A query, if it is sound (RFC 3810 5.1.14, 6.2). `packet` has [`SHORTEST_QUERY`] bytes at least.
pub(super) fn read(packet: &Icmpv6Packet<&[u8]>, len: usize, source: Ipv6Addr, hop_limit: u8) -> Option<Query> {
    let first_version = len == SHORTEST_QUERY;
    let sound = hop_limit == 1 && source.is_unicast_link_local() && (first_version || len >= SHORTEST_QUERY + 4);
    let group = Some(packet.mcast_addr()).filter(|group| !group.is_unspecified());
    if !sound || group.is_some_and(|group| !group.is_multicast()) {
        return None;
    }
    let code = u32::from(packet.max_resp_code());
    // RFC 3810 5.1.3: a floating point number.
    let millis = match code {
        0x8000.. if !first_version => (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3),
        _ => code,
    };
    Some(Query { first_version, group, within: Duration::from_millis(millis.into()) })
}

/// The frames that report these records to routers, from our link-local address `source` or, before there is one, from
/// the unspecified one.
pub(super) fn reports(from: Mac, source: Ipv6Addr, records: &[MldAddressRecordRepr]) -> impl Iterator<Item = Vec<u8>> {
    records.chunks(RECORDS).map(move |records| {
        let report = MldRepr::ReportRecordReprs(records);
        let len = report.buffer_len() + records.iter().map(MldAddressRecordRepr::buffer_len).sum::<usize>();
        compose(from, source, ALL_MLDV2_ROUTERS, len, |packet| report.emit(packet))
    })
}

/// The frame that reports `group` in MLDv1 (RFC 2710 3.4).
pub(super) fn report_v1(from: Mac, source: Ipv6Addr, group: Ipv6Addr) -> Vec<u8> {
    compose(from, source, group, SHORTEST_QUERY, |packet| {
        packet.set_msg_type(Icmpv6Message::from(MLDV1_REPORT));
        packet.set_mcast_addr(group);
    })
}

/// An MLD message of `len` bytes, which `write` fills in but for its checksum.
fn compose(
    from: Mac,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    len: usize,
    write: impl FnOnce(&mut Icmpv6Packet<&mut [u8]>),
) -> Vec<u8> {
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::HopByHop,
        payload_len: ROUTER_ALERT.len() + len,
        hop_limit: 1,
    };
    let mut frame = vec![0; ETHERNET + ip.buffer_len() + ip.payload_len];
    ethernet(&mut frame, from, group_mac(destination), EthernetProtocol::Ipv6);
    ip.emit(&mut Ipv6Packet::new_unchecked(&mut frame[ETHERNET..]));
    let (options, body) = frame[ETHERNET + ip.buffer_len()..].split_at_mut(ROUTER_ALERT.len());
    options.copy_from_slice(&ROUTER_ALERT);
    let mut packet = Icmpv6Packet::new_unchecked(body);
    write(&mut packet);
    packet.fill_checksum(&source, &destination);
    frame
}
