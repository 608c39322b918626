//! The side towards the line: its machines, and what each has to know of the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_config as config;
use hikyaku_dataplane::napt::LanId;
use hikyaku_net::{Mac, Time, protocol};
use hikyaku_protocols::Machine;
use hikyaku_protocols::dhcpv6;
use hikyaku_protocols::echo::Echo;
use hikyaku_protocols::forwarder;
use hikyaku_protocols::neighbour::{self, Neighbours};
use hikyaku_protocols::reception::Reception;
use hikyaku_protocols::slaac::{self, InterfaceId, Slaac};
use hikyaku_protocols::sockets::Stack;
use hikyaku_ring::{LinkId, Vlan};

use super::across::Across;
use super::forwarding::Forwarding;
use super::neighbour_log;
use super::resolver::Resolver;
use super::wire::{self, Frames, Packet6};

/// Where DHCPv6 answers arrive, and where they come from (RFC 8415 7.2).
const DHCP6_CLIENT: u16 = dhcpv6::CLIENT_PORT;
const DHCP6_SERVER: u16 = dhcpv6::SERVER_PORT;

/// What is read off a link when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// As the user wrote it.
    pub name: String,
    /// Our Ethernet address on the link.
    pub mac: Mac,
    /// Largest packet that the link carries, bytes without the Ethernet header.
    pub mtu: u16,
    /// How it was opened, for people.
    pub mode: String,
    /// The VLAN that it is of its wire.
    pub vlan: Option<Vlan>,
}

/// The machines of the line.
pub struct Wan {
    pub(super) id: LinkId,
    pub(super) link: LinkFacts,
    pub(super) up: bool,
    interface_id: InterfaceId,
    /// How many of our link-local addresses were somebody else's.
    duplicates: u8,
    /// The same of those that were made in a delegated prefix.
    delegated_duplicates: HashMap<Ipv6Addr, u8>,
    pub(super) neighbours: Neighbours,
    /// What is for the other side.
    pub(super) asked: Across,
    pub(super) slaac: Slaac,
    pub(super) dhcpv6: dhcpv6::Client,
    pub(super) reception: Reception,
    pub(super) sockets: Stack,
    pub(super) resolver: Resolver,
    /// Hosts' questions about names, by LAN.
    pub(super) forwardings: Vec<Forwarding>,
    /// Our addresses that may be used.
    pub(super) usable: Vec<Ipv6Addr>,
    /// What our own packets come from.
    pub(super) source: Option<Ipv6Addr>,
    pub(super) echo: Echo,
    /// Who has an address that was to be ours.
    pub(super) taken: HashMap<Ipv6Addr, Mac>,
    /// Neither read by anybody nor answered.
    pub(super) unread: u64,
    /// Leases are others than those that were saved.
    pub(super) lease_changed: bool,
    /// The leases are given back.
    released: bool,
}

impl Wan {
    pub(super) fn new(id: LinkId, link: LinkFacts, config: &config::Wan, secret: [u8; 32], sockets: Stack) -> Self {
        let interface_id = match config.interface_id {
            config::InterfaceId::Stable => InterfaceId::Stable { secret, interface: link.name.clone() },
            config::InterfaceId::Eui64 => InterfaceId::Eui64(link.mac),
            config::InterfaceId::Token(token) => InterfaceId::Token(token),
        };
        let mtu = config.mtu.map_or(link.mtu, |mtu| mtu.min(link.mtu));
        let dhcpv6 = &config.dhcpv6;
        Self {
            id,
            up: false,
            duplicates: 0,
            delegated_duplicates: HashMap::new(),
            neighbours: Neighbours::new(neighbour::Config::new(link.mac, false)),
            asked: Across::default(),
            slaac: Slaac::new(slaac::Config { mac: link.mac, mtu, interface_id: interface_id.clone() }),
            dhcpv6: dhcpv6::Client::new(dhcpv6::Config {
                want: if dhcpv6.request_na { dhcpv6::Want::PrefixAndAddress } else { dhcpv6::Want::Prefix },
                prefix_len: dhcpv6.pd_hint,
                rapid_commit: dhcpv6.rapid_commit,
                reconfigure: dhcpv6.reconfigure,
                ..dhcpv6::Config::new(link.mac)
            }),
            reception: Reception::default(),
            interface_id,
            sockets,
            resolver: Resolver::default(),
            forwardings: Vec::new(),
            usable: Vec::new(),
            source: None,
            echo: Echo::new(link.mac),
            link,
            taken: HashMap::new(),
            unread: 0,
            lease_changed: false,
            released: false,
        }
    }

    /// The carrier came or went.
    pub(super) fn set_up(&mut self, now: Time, up: bool) {
        if up == self.up {
            return;
        }
        self.up = up;
        if up {
            self.neighbours.announce(now);
            self.dhcpv6.link_up(now);
        } else {
            self.slaac.link_down(now);
        }
    }

    /// A frame came in.
    pub(super) fn hear(&mut self, now: Time, frame: &[u8], frames: &mut Frames) {
        self.reception.handle_input(frame);
        if self.neighbours.handle_input(now, frame) {
            return;
        }
        let Some(packet) = Packet6::read(frame) else {
            self.unread += 1;
            return;
        };
        match (packet.protocol, packet.payload.first()) {
            (protocol::ICMPV6, Some(134)) => self.slaac.handle_input(now, packet.bytes),
            (protocol::ICMPV6, Some(128)) => {
                let ours: Vec<IpAddr> = self.usable.iter().map(|&address| address.into()).collect();
                if let Some(answer) = self.echo.echo(now, frame, &ours) {
                    frames.send(self.id, answer);
                }
            }
            _ if self.forwardings.iter_mut().any(|forwarding| forwarding.hear(&packet)) => {}
            _ => match wire::udp_to(&packet, DHCP6_CLIENT) {
                // RFC 8415 16: clients ask from their link-local address, so that is where answers go.
                Some(payload) if wire::destination(packet.bytes) == self.link_local() => {
                    self.dhcpv6.handle_input(now, packet.src, payload);
                }
                Some(_) => self.unread += 1,
                None => self.sockets.handle_input(now, packet.bytes),
            },
        }
    }

    /// A tunnel packet that lacks its next hop.
    pub(super) fn resolve(&mut self, now: Time, frame: Vec<u8>) {
        let destination = frame.get(wire::ETHERNET..).and_then(wire::destination);
        if let Some(next_hop) = destination.and_then(|destination| self.slaac.next_hop(destination)) {
            self.neighbours.want(now, next_hop.into(), Some(frame));
        }
    }

    /// Sends an IPv6 packet of ours.
    pub(super) fn send(&mut self, now: Time, packet: &[u8], frames: &mut Frames) {
        let Some(destination) = wire::destination(packet) else { return };
        if destination.is_multicast() {
            return frames.send(self.id, wire::frame6(wire::group_mac(destination), self.link.mac, packet));
        }
        // Without a route it is lost, as on any host; whoever sent it asks again.
        if let Some(next_hop) = self.slaac.next_hop(destination) {
            let frame = wire::frame6(Mac::default(), self.link.mac, packet);
            self.neighbours.want(now, next_hop.into(), Some(frame));
        }
    }

    /// The address of ours that a resolver is asked from.
    pub(super) fn source_for(&self, server: Ipv6Addr) -> Option<Ipv6Addr> {
        if server.is_unicast_link_local() { self.link_local() } else { self.source }
    }

    /// Sends a question of the forwarder's. One that cannot be sent is one that is not answered: it is asked again, from
    /// another port.
    pub(super) fn ask_for_host(
        &mut self,
        now: Time,
        lan: LanId,
        (server, port): (Ipv6Addr, u16),
        payload: &[u8],
        frames: &mut Frames,
    ) {
        let from = self.source_for(server);
        let is_ours = self.sockets.ports().any(|taken| taken == (protocol::UDP, port));
        let others = self.forwardings.iter().enumerate().filter(|&(at, _)| at != usize::from(lan.0));
        let is_taken = is_ours || others.flat_map(|(_, forwarding)| forwarding.ports()).any(|taken| taken == port);
        let forwarding = self.forwardings.get_mut(usize::from(lan.0));
        if let (Some(from), Some(forwarding)) = (from.filter(|_| !is_taken), forwarding) {
            forwarding.open(now, port);
            self.send(now, &wire::udp6((from, port), (server, forwarder::PORT), payload), frames);
        }
    }

    /// Our link-local address; `None` when all that could be tried are somebody else's.
    pub(super) fn link_local(&self) -> Option<Ipv6Addr> {
        self.interface_id.link_local(self.link.mac, self.duplicates)
    }

    /// Until when the line lets us have `end`. An end that is in nothing that it gives is the user's own, or in a part of
    /// a home gateway's prefix that we were not given: for as long as it is said.
    pub(super) fn valid_until(&self, end: Ipv6Addr) -> Time {
        let prefixes = self.dhcpv6.prefixes().iter();
        let delegated = prefixes.filter(|leased| leased.what.prefix().contains(end)).map(|leased| leased.valid_until);
        let addresses = self.dhcpv6.addresses().iter().filter(|leased| leased.what == end);
        let leased =
            delegated.chain(addresses.map(|leased| leased.valid_until)).map(|until| until.unwrap_or(Time(u64::MAX)));
        leased.chain(self.slaac.valid_until(end)).max().unwrap_or(Time(u64::MAX))
    }

    /// The address that is ours in each of the delegated prefixes; none where all that could be tried are somebody's.
    pub(super) fn delegated_addresses(&self) -> Vec<Option<Ipv6Addr>> {
        self.dhcpv6.prefixes().iter().map(|leased| self.delegated_address(leased.what.address())).collect()
    }

    fn delegated_address(&self, prefix: Ipv6Addr) -> Option<Ipv6Addr> {
        let duplicates = self.delegated_duplicates.get(&prefix).copied().unwrap_or_default();
        self.interface_id.address(prefix, duplicates)
    }

    /// Carries out what the machines want, and what they say to each other.
    pub(super) fn poll(&mut self, now: Time, frames: &mut Frames) {
        while let Some(output) = self.neighbours.drive(now) {
            self.neighbour_says(now, output, frames);
        }
        while let Some(output) = self.slaac.drive(now) {
            match output {
                slaac::Output::Send(packet) => self.send(now, &packet, frames),
                slaac::Output::Event(event) => tracing::info!(machine = "slaac", link = %self.link.name, "{event}"),
                slaac::Output::Heard(router, mac) => {
                    self.neighbours.learn(now, router, mac, true);
                    if self.slaac.is_dead(router) {
                        self.neighbours.probe(now, router.into());
                    }
                }
                // What it knows is read off it in every turn.
                slaac::Output::Changed => {}
            }
        }
        while let Some(output) = self.dhcpv6.drive(now) {
            self.dhcpv6_says(now, output, frames);
        }
        let leased = self.dhcpv6.prefixes();
        self.delegated_duplicates.retain(|prefix, _| leased.iter().any(|leased| leased.what.address() == *prefix));
        while let Some(packet) = self.reception.drive(now) {
            self.send(now, &packet, frames);
        }
        let (link_local, source) = (self.link_local(), self.source);
        let from = |server: Ipv6Addr| if server.is_unicast_link_local() { link_local } else { source };
        loop {
            self.resolver.step(now, &mut self.sockets, from);
            while let Some(packet) = self.sockets.drive(now) {
                self.send(now, &packet, frames);
            }
            let goes_on = self.resolver.hear_connections(now);
            let more = |goes_on, forwarding: &mut Forwarding| forwarding.hear_connections() | goes_on;
            if !self.forwardings.iter_mut().fold(goes_on, more) {
                return;
            }
        }
    }

    fn neighbour_says(&mut self, now: Time, output: neighbour::Output, frames: &mut Frames) {
        use neighbour::Output;
        neighbour_log::log(&self.link.name, &output);
        self.asked.note(&output, &self.neighbours);
        match output {
            Output::Send(frame) => frames.send(self.id, frame),
            Output::Resolved(IpAddr::V6(address)) => self.slaac.reachable(now, address),
            Output::Lost(IpAddr::V6(address)) => self.slaac.unreachable(now, address),
            Output::NotRouter(IpAddr::V6(address)) => self.slaac.no_router(now, address),
            Output::Duplicate { addr: IpAddr::V6(address), mac } => {
                self.taken.insert(address, mac);
                if Some(address) == self.link_local() {
                    self.duplicates += 1;
                }
                self.slaac.duplicate(now, address);
                // RFC 7217 6: the next one is made, at once, for nobody else is asked to step aside.
                for leased in self.dhcpv6.prefixes() {
                    let prefix = leased.what.address();
                    if self.delegated_address(prefix) == Some(address) {
                        *self.delegated_duplicates.entry(prefix).or_default() += 1;
                    }
                }
            }
            _ => {}
        }
    }

    fn dhcpv6_says(&mut self, now: Time, output: dhcpv6::Output, frames: &mut Frames) {
        match output {
            dhcpv6::Output::Send { to, payload } => {
                if let Some(from) = self.link_local() {
                    let packet = wire::udp6((from, DHCP6_CLIENT), (to, DHCP6_SERVER), &payload);
                    self.send(now, &packet, frames);
                }
            }
            dhcpv6::Output::Event(event) => {
                let link = &self.link.name;
                match &event {
                    dhcpv6::Event::Failed(_) => tracing::warn!(machine = "dhcpv6", %link, "{event}"),
                    _ => tracing::info!(machine = "dhcpv6", %link, "{event}"),
                }
                self.lease_changed |= !matches!(event, dhcpv6::Event::Failed(_) | dhcpv6::Event::Informed);
                self.released |= event == dhcpv6::Event::Released;
            }
        }
    }

    /// Gives the leases back: the end of the program.
    pub(super) fn release(&mut self, now: Time) {
        // Leases that were given back before, because the line was another when we started, are others.
        self.released = false;
        self.dhcpv6.release(now);
    }

    /// Nothing is leased any more.
    pub(super) fn is_released(&self) -> bool {
        self.released || self.dhcpv6.state() == dhcpv6::State::Off
    }

    /// When to come back.
    pub(super) fn next(&self) -> Option<Time> {
        let machines = [
            self.neighbours.poll_timeout(),
            self.slaac.poll_timeout(),
            self.dhcpv6.poll_timeout(),
            self.reception.poll_timeout(),
            self.resolver.next(),
            self.sockets.poll_timeout(),
        ];
        machines.into_iter().flatten().min()
    }
}
