//! Multicast listener reports (RFC 3810): without them a switch that snoops keeps from us the very
//! solicitations that we must answer (RFC 4861 7.2.1, RFC 4862 5.4.2).

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Time, protocol};
use smoltcp::wire::{
    EthernetProtocol, Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr, MldAddressRecordRepr,
    MldRecordType, MldRepr,
};

use super::message::{ETHERNET, ethernet, group_mac};
use super::{Outbox, up_to};

/// A query of MLDv1; those of MLDv2 are longer (RFC 3810 8.1).
pub(super) const SHORTEST_QUERY: usize = 24;

/// All routers that understand MLDv2 (RFC 3810 5.2.14).
const ALL_MLDV2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// RFC 3810 9.1: a change is reported this often, because one report may be lost.
const ROBUSTNESS: u8 = 2;

/// RFC 3810 9.11.
const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(1);

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
    first_version: bool,
    /// `None` for all groups.
    group: Option<Ipv6Addr>,
    /// Answers are spread over this time.
    within: Duration,
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

/// A change to be reported.
#[derive(Clone, Copy, Debug)]
struct Change {
    group: Ipv6Addr,
    joined: bool,
    reports: u8,
}

/// The groups that we listen to.
#[derive(Debug, Default)]
pub(super) struct Listener {
    groups: Vec<Ipv6Addr>,
    changes: Vec<Change>,
    report: Option<Time>,
    /// When to answer, and whether in MLDv1.
    answer: Option<(Time, bool)>,
}

impl Listener {
    /// We listen to these groups from now on.
    pub fn set(&mut self, now: Time, groups: Vec<Ipv6Addr>) {
        let left = self.groups.iter().filter(|group| !groups.contains(group)).map(|&group| (group, false));
        let joined = groups.iter().filter(|group| !self.groups.contains(group)).map(|&group| (group, true));
        for (group, joined) in left.chain(joined).collect::<Vec<_>>() {
            self.changes.retain(|change| change.group != group);
            self.changes.push(Change { group, joined, reports: ROBUSTNESS });
            self.report = Some(now);
        }
        self.groups = groups;
    }

    /// The groups, but that of all nodes, which is never reported (RFC 3810 6).
    pub fn groups(&self) -> &[Ipv6Addr] {
        &self.groups
    }

    /// A query came.
    pub fn asked(&mut self, now: Time, query: Query) {
        if query.group.is_some_and(|group| !self.groups.contains(&group)) {
            return;
        }
        // One answer serves all who asked (RFC 3810 6.2).
        let due = now + up_to(query.within);
        self.answer = Some(match self.answer {
            Some((earlier, first_version)) => (earlier.min(due), first_version || query.first_version),
            None => (due, query.first_version),
        });
    }

    /// When something is to be sent.
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.report, self.answer.map(|(due, _)| due)].into_iter().flatten().min()
    }

    /// Sends what is due. `source` is a link-local address of ours that is ready.
    pub fn handle_timeout(&mut self, now: Time, source: Option<Ipv6Addr>, out: &mut Outbox) {
        // RFC 3810 5.2.13, RFC 3590 4: before there is an address, from none.
        let any_source = source.unwrap_or(Ipv6Addr::UNSPECIFIED);
        if self.report.is_some_and(|due| due <= now) {
            let records = self.changes.iter().map(|change| {
                let kind = if change.joined { MldRecordType::ChangeToExclude } else { MldRecordType::ChangeToInclude };
                MldAddressRecordRepr::new(kind, change.group)
            });
            send_reports(any_source, &records.collect::<Vec<_>>(), out);
            self.changes.iter_mut().for_each(|change| change.reports -= 1);
            self.changes.retain(|change| change.reports > 0);
            self.report = (!self.changes.is_empty()).then(|| now + up_to(UNSOLICITED_REPORT_INTERVAL));
        }
        if let Some((_, first_version)) = self.answer.take_if(|(due, _)| *due <= now) {
            match (first_version, source) {
                (true, Some(source)) => {
                    self.groups.iter().for_each(|&group| out.send(report_of_mldv1(out.mac, source, group)));
                }
                // RFC 2710 3: MLDv1 knows no report without a source.
                (true, None) => {}
                (false, _) => {
                    let record = |&group| MldAddressRecordRepr::new(MldRecordType::ModeIsExclude, group);
                    send_reports(any_source, &self.groups.iter().map(record).collect::<Vec<_>>(), out);
                }
            }
        }
    }
}

fn send_reports(source: Ipv6Addr, records: &[MldAddressRecordRepr], out: &mut Outbox) {
    for records in records.chunks(RECORDS) {
        let report = MldRepr::ReportRecordReprs(records);
        let len = report.buffer_len() + records.iter().map(MldAddressRecordRepr::buffer_len).sum::<usize>();
        let frame = compose(out.mac, source, ALL_MLDV2_ROUTERS, len, |packet| report.emit(packet));
        out.send(frame);
    }
}

fn report_of_mldv1(from: Mac, source: Ipv6Addr, group: Ipv6Addr) -> Vec<u8> {
    compose(from, source, group, SHORTEST_QUERY, |packet| {
        packet.set_msg_type(Icmpv6Message::from(MLDV1_REPORT));
        packet.set_mcast_addr(group);
    })
}

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
