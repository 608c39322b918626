//! Lines with habits of their own, frame by frame: what reports say of some provider's line, as one table.
//!
//! [`rows`] is the table: what each line does, what a router has to make of it and where that is written. [`Line`] plays a
//! row as the far end of the wire: routers that advertise, a DHCPv6 server, a resolver, an AFTR with an Internet that
//! answers pings. It has no sockets and no clock, so it runs at a veth (`hikyaku-lab line`) and in scripted time. Where other
//! lines of the lab are other people's software that does what RFCs say, here the point is what that software would not do.

mod dhcp6;
mod habits;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use dhcp6::{ADVERTISE, Query, REPLY};
pub use habits::{Habits, Network, Renewal, Router, Server, Unknown};
pub use table::{Change, Row, rows};
use wire::{ALL_NODES, Mac, Packet};

/// The AFTR or border router of every line.
pub const FAR_END: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// The resolver of every line.
pub const RESOLVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53);

/// Between two advertisements of a router that nobody asked.
const ADVERTISED_EVERY: Duration = Duration::from_secs(3);
/// Who has an address that was to be ours.
const STRANGER: Mac = [2, 0, 0, 0, 0, 0x99];

/// A line that is played.
pub struct Line {
    habits: Habits,
    changes: VecDeque<(Duration, Change)>,
    advertise: Duration,
    /// The first address that was asked for in the delegated prefix.
    first: Option<Ipv6Addr>,
    sources: BTreeSet<Ipv4Addr>,
    frames: VecDeque<Vec<u8>>,
    log: VecDeque<String>,
}

impl Line {
    /// At its beginning: time zero.
    pub fn new(row: &Row) -> Self {
        Self {
            habits: row.habits.clone(),
            changes: row.changes.iter().map(|&(at, change)| (Duration::from_secs(at), change)).collect(),
            advertise: Duration::ZERO,
            first: None,
            sources: BTreeSet::new(),
            frames: VecDeque::new(),
            log: VecDeque::new(),
        }
    }

    /// Whether the cable is in.
    pub fn is_plugged(&self) -> bool {
        self.habits.plugged
    }

    /// The inner sources of what came through the tunnel.
    pub fn sources(&self) -> &BTreeSet<Ipv4Addr> {
        &self.sources
    }

    /// What happened, a line each.
    pub fn next_log(&mut self) -> Option<String> {
        self.log.pop_front()
    }

    /// When to poll if nothing is heard.
    pub fn next(&self) -> Duration {
        self.changes.front().map_or(self.advertise, |&(at, _)| at.min(self.advertise))
    }

    /// The next frame to the customer's router. What is due by `now` is done before.
    pub fn poll(&mut self, now: Duration) -> Option<Vec<u8>> {
        while self.changes.front().is_some_and(|&(at, _)| at <= now) {
            if let Some((_, change)) = self.changes.pop_front() {
                change(&mut self.habits);
                self.log.push_back("the line changes".into());
                self.advertise = now;
            }
        }
        if self.advertise <= now {
            self.advertise = now + ADVERTISED_EVERY;
            self.advertise_all();
        }
        if !self.habits.plugged {
            self.frames.clear();
        }
        self.frames.pop_front()
    }

    /// A frame of the customer's router.
    pub fn hear(&mut self, now: Duration, frame: &[u8]) {
        let Some(packet) = Packet::read(frame).filter(|_| self.habits.plugged) else { return };
        // To nobody, or to a router that is no more.
        let to = self.habits.routers.iter().find(|router| router.mac() == packet.to).cloned();
        if packet.to[0] & 1 == 0 && to.is_none() {
            return;
        }
        match packet.protocol {
            wire::ICMPV6 => self.hear_icmp6(now, &packet, to.as_ref()),
            wire::UDP => self.hear_udp(now, &packet, to.as_ref()),
            wire::IPV4 => self.hear_tunnel(now, &packet, to.as_ref(), frame),
            _ => {}
        }
    }

    fn advertise_all(&mut self) {
        for router in &self.habits.routers {
            let from = (router.mac(), router.address());
            self.frames.push_back(wire::icmp6(
                from,
                (wire::group_mac(ALL_NODES), ALL_NODES),
                134,
                &router.advertisement(),
            ));
        }
    }

    fn hear_icmp6(&mut self, now: Duration, packet: &Packet, to: Option<&Router>) {
        match packet.payload.first() {
            Some(133) => self.advertise_all(),
            Some(135) => self.hear_solicitation(packet),
            Some(128) if !packet.destination.is_multicast() && packet.payload.len() >= 8 => {
                let near = packet.source.is_unicast_link_local();
                if near || to.is_some_and(|router| self.habits.takes(now, router, packet.source)) {
                    self.frames.push_back(wire::icmp6(
                        (packet.to, packet.destination),
                        (packet.from, packet.source),
                        129,
                        &packet.payload[4..],
                    ));
                }
            }
            _ => {}
        }
    }

    /// RFC 4861 7.2.3, RFC 4862 5.4.3.
    fn hear_solicitation(&mut self, packet: &Packet) {
        let Some(target) = packet.payload.get(8..24).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()) else { return };
        let target = Ipv6Addr::from(target);
        if let Some(router) = self.habits.routers.iter().find(|router| router.address() == target) {
            let body = [&[0xe0, 0, 0, 0][..], &target.octets(), &[2, 1], &router.mac()].concat();
            let to = (packet.from, packet.source);
            return self.frames.push_back(wire::icmp6((router.mac(), target), to, 136, &body));
        }
        if !packet.source.is_unspecified() || target.is_unicast_link_local() {
            return;
        }
        self.log.push_back(format!("asked for before it is used: {target}"));
        if self.habits.first_is_taken && *self.first.get_or_insert(target) == target {
            let body = [&[0x20, 0, 0, 0][..], &target.octets(), &[2, 1], &STRANGER].concat();
            let to = (wire::group_mac(ALL_NODES), ALL_NODES);
            self.frames.push_back(wire::icmp6((STRANGER, target), to, 136, &body));
        }
    }

    fn hear_udp(&mut self, now: Duration, packet: &Packet, to: Option<&Router>) {
        let Some((ports, payload)) = wire::udp(packet.payload) else { return };
        match ports {
            (546, 547) => {
                if let Some((query, answer)) = self.answer_dhcp6(now, packet, payload) {
                    self.log.push_back(query);
                    self.frames.extend(answer);
                }
            }
            (port, 53) if to.is_some_and(|router| self.habits.takes(now, router, packet.source)) => {
                if let Some(answer) = wire::dns_answer(payload, self.habits.far_end_name, FAR_END) {
                    let from = (packet.to, packet.destination, 53);
                    self.frames.push_back(wire::udp6(from, (packet.from, packet.source, port), &answer));
                }
            }
            _ => {}
        }
    }

    /// What was asked, for the log, and the frame that answers it.
    fn answer_dhcp6(&mut self, now: Duration, packet: &Packet, payload: &[u8]) -> Option<(String, Option<Vec<u8>>)> {
        let query = Query::read(payload)?;
        let mut said = format!("dhcpv6: {query}");
        let Some(server) = self.habits.server.as_mut() else { return Some((said, None)) };
        let Some(options) = server.answer(now, &query) else {
            said.push_str(": not answered");
            return Some((said, None));
        };
        let kind = if query.kind == dhcp6::SOLICIT { ADVERTISE } else { REPLY };
        let station = Router::new(server.number);
        let from = (station.mac(), server.source.unwrap_or(station.address()), 547);
        let reply = [&[kind][..], &query.id, &options].concat();
        Some((said, Some(wire::udp6(from, (packet.from, packet.source, 546), &reply))))
    }

    fn hear_tunnel(&mut self, now: Duration, packet: &Packet, to: Option<&Router>, frame: &[u8]) {
        let Some(router) = to.filter(|_| packet.destination == FAR_END) else { return };
        if !self.habits.takes(now, router, packet.source) {
            if self.habits.refuses {
                self.frames.push_back(wire::refusal((packet.to, packet.destination), packet.from, frame));
            }
            return;
        }
        let Some((source, answer)) = wire::echo_answer(packet.payload) else { return };
        if self.sources.insert(source) {
            self.log.push_back(format!("through the tunnel from {}: {source}", packet.source));
        }
        self.frames.push_back(wire::tunnel((packet.to, packet.destination), (packet.from, packet.source), &answer));
    }
}
