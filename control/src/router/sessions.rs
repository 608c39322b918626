//! What `hikyaku show ports` and `hikyaku show sessions` are told: read off the session table.

use std::net::SocketAddrV4;
use std::sync::Arc;

use hikyaku_config::StaticMapping;
use hikyaku_dataplane::napt::{Endpoint, Napt, PortStats, Session, SessionId};
use hikyaku_net::{Clock, PortSet, protocol};

use crate::show::{SessionFilter, report};

/// How the ports of a table are used.
pub(super) fn ports(napt: &Napt) -> report::Ports {
    let set = napt.port_set();
    let one = |stats: &PortStats| report::ProtocolPorts {
        protocol: protocol_name(stats.protocol),
        size: stats.size,
        forwarded: stats.forwarded,
        used: stats.used,
        reused: stats.shared,
        refused: stats.refused,
        limited: stats.limited,
    };
    report::Ports {
        ipv4: napt.outside(),
        psid: (set != PortSet::ALL).then(|| set.psid()),
        ports: set.len(),
        ranges: set.ranges().collect(),
        forwards: napt.forwards().into_iter().map(|forward| StaticMapping::Ports(forward).to_string()).collect(),
        protocols: napt.port_stats().iter().map(one).collect(),
    }
}

fn protocol_name(number: u8) -> String {
    match number {
        protocol::TCP => "tcp".into(),
        protocol::UDP => "udp".into(),
        protocol::ICMP => "icmp".into(),
        other => other.to_string(),
    }
}

/// Sessions read per part of an answer: the table's lock is held that long.
const SLICE: u32 = 4096;

/// A walk through a session table, slice by slice, by the thread of whoever asked.
pub(super) struct Walk {
    napt: Arc<Napt>,
    clock: Clock,
    filter: SessionFilter,
    next: Option<SessionId>,
    left: u64,
}

impl Walk {
    /// From the table's beginning.
    pub fn new(napt: Arc<Napt>, clock: Clock, filter: SessionFilter) -> Self {
        Self { napt, clock, filter, next: Some(0), left: filter.limit.unwrap_or(u64::MAX) }
    }
}

impl Iterator for Walk {
    type Item = Vec<report::Session>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from = self.next.filter(|_| self.left > 0)?;
            let now = self.clock.now().seconds();
            let mut part = Vec::new();
            let filter = self.filter;
            self.next = self.napt.slice(from, SLICE, |session| {
                let session = shown(session, now);
                if filter.takes(&session) && (part.len() as u64) < self.left {
                    part.push(session);
                }
            });
            self.left -= part.len() as u64;
            if !part.is_empty() || self.next.is_none() {
                return Some(part);
            }
        }
    }
}

fn shown(session: &Session, now: u32) -> report::Session {
    let end = |e: Endpoint| SocketAddrV4::new(e.addr.into(), e.port.number());
    let [packets_out, packets_in] = session.packets();
    report::Session {
        protocol: protocol_name(session.protocol()),
        inside: end(session.inside()),
        outside: end(session.outside()),
        peer: end(session.peer()),
        state: session.standing().into(),
        idle_seconds: now.saturating_sub(session.last()).into(),
        packets_out,
        packets_in,
    }
}
