//! The side towards the line: its machines, and what each has to know of the others.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};

use hikyaku_dataplane::packet::{Mac, protocol};
use hikyaku_dataplane::snapshot::LinkId;
use hikyaku_dataplane::time::Time;

use super::wire::{self, Packet6};
use super::{Frames, NameAnswer};
use crate::config::{self, Dhcpv6Mode};
use crate::echo::Echo;
use crate::line::{self, InterfaceId, Line, LineFacts};
use crate::neighbour::{self, Neighbours, Progress};
use crate::stack::{Stack, UdpHandle};
use crate::{dhcp6, names};

/// Where DHCPv6 answers arrive, and where they come from (RFC 8415 7.2).
const DHCP6_CLIENT: u16 = dhcp6::CLIENT_PORT;
const DHCP6_SERVER: u16 = dhcp6::SERVER_PORT;

/// Our own packets are small enough for any path (RFC 8200 5): nobody waits for a Packet Too Big.
const OUR_MTU: u16 = 1280;

/// What is read off a WAN link when it is opened.
#[derive(Clone, Debug)]
pub struct LinkFacts {
    /// As the user wrote it.
    pub name: String,
    /// Our Ethernet address.
    pub mac: Mac,
    /// Largest packet, bytes.
    pub mtu: u16,
    /// How it was opened, for people.
    pub mode: String,
}

/// The line.
pub struct Wan {
    pub(super) id: LinkId,
    pub(super) link: LinkFacts,
    pub(super) up: bool,
    dhcpv6_mode: Dhcpv6Mode,
    resolvers: Vec<Ipv6Addr>,
    interface_id: InterfaceId,
    /// How many of our link-local addresses were somebody else's.
    duplicates: u8,
    pub(super) neighbours: Neighbours,
    pub(super) line: Line,
    pub(super) dhcp6: dhcp6::Client,
    pub(super) stack: Stack,
    pub(super) names: names::Names,
    sockets: HashMap<u16, UdpHandle>,
    /// Our addresses that may be used.
    ready: Vec<Ipv6Addr>,
    /// What our own packets come from.
    pub(super) source: Option<Ipv6Addr>,
    pub(super) echo: Echo,
    /// Who has an address that was to be ours.
    pub(super) taken: HashMap<Ipv6Addr, Mac>,
    /// Neither read by anybody nor answered.
    pub(super) unread: u64,
    /// Leases are others than those that were saved.
    pub(super) lease_changed: bool,
    /// The program is about to end: leases are given back, none are asked for.
    leaving: bool,
    /// The leases are given back.
    released: bool,
    answers: VecDeque<NameAnswer>,
}

impl Wan {
    pub(super) fn new(id: LinkId, link: LinkFacts, config: &config::Wan, secret: [u8; 32], stack: Stack) -> Self {
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
            dhcpv6_mode: dhcpv6.mode,
            resolvers: config.resolvers.clone(),
            duplicates: 0,
            neighbours: Neighbours::new(neighbour::Config::new(link.mac, false)),
            line: Line::new(line::Config { mac: link.mac, mtu, interface_id: interface_id.clone() }),
            dhcp6: dhcp6::Client::new(dhcp6::Config {
                want: if dhcpv6.request_na { dhcp6::Want::PrefixAndAddress } else { dhcp6::Want::Prefix },
                prefix_len: dhcpv6.pd_hint,
                rapid_commit: dhcpv6.rapid_commit,
                reconfigure: dhcpv6.reconfigure,
                ..dhcp6::Config::new(link.mac)
            }),
            interface_id,
            stack,
            names: names::Names::new(false),
            sockets: HashMap::new(),
            ready: Vec::new(),
            source: None,
            echo: Echo::new(link.mac),
            link,
            taken: HashMap::new(),
            unread: 0,
            lease_changed: false,
            leaving: false,
            released: false,
            answers: VecDeque::new(),
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
            self.dhcp6.link_up(now);
        } else {
            self.line.link_down();
        }
    }

    /// A frame came in.
    pub(super) fn hear(&mut self, now: Time, frame: &[u8], frames: &mut Frames) {
        if self.neighbours.hear(now, frame) {
            return;
        }
        let Some(packet) = Packet6::read(frame) else {
            self.unread += 1;
            return;
        };
        match (packet.protocol, packet.payload.first()) {
            (protocol::ICMPV6, Some(134)) => self.line.hear(now, packet.bytes),
            (protocol::ICMPV6, Some(128)) => {
                let ours: Vec<IpAddr> = self.ready.iter().map(|&address| address.into()).collect();
                if let Some(answer) = self.echo.echo(now, frame, &ours) {
                    frames.send(self.id, answer);
                }
            }
            _ => match wire::udp_to(&packet, DHCP6_CLIENT) {
                Some(payload) => self.dhcp6.hear(now, packet.src, payload),
                None => self.stack.hear(now, packet.bytes),
            },
        }
    }

    /// A tunnel packet that lacks its next hop.
    pub(super) fn resolve(&mut self, now: Time, frame: Vec<u8>) {
        let destination = frame.get(wire::ETHERNET..).and_then(wire::destination);
        if let Some(next_hop) = destination.and_then(|destination| self.line.next_hop(now, destination)) {
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
        if let Some(next_hop) = self.line.next_hop(now, destination) {
            let frame = wire::frame6(Mac::default(), self.link.mac, packet);
            self.neighbours.want(now, next_hop.into(), Some(frame));
        }
    }

    /// Our link-local address; `None` when all that could be tried are somebody else's.
    pub(super) fn link_local(&self) -> Option<Ipv6Addr> {
        self.interface_id.link_local(self.link.mac, self.duplicates)
    }

    /// An address of ours that has passed duplicate address detection.
    pub(super) fn is_ready(&self, address: Ipv6Addr) -> bool {
        self.neighbours.progress(address.into()) == Some(Progress::Ready)
    }

    /// The prefix that our end of the tunnel is in: the link's own, or the first of what was delegated. The
    /// upper 64 bits count.
    pub(super) fn prefix(&self, facts: &LineFacts) -> Option<Ipv6Addr> {
        let delegated = || self.dhcp6.prefixes().first().map(|leased| leased.what.address());
        facts.main_prefix().map(|prefix| prefix.prefix).or_else(delegated)
    }

    /// The WAN's own address: from the advertised prefix, from the server, or made in the delegated prefix.
    pub(super) fn own_address(&self, facts: &LineFacts) -> Option<Ipv6Addr> {
        let advertised = || facts.addresses.first().map(|a| a.address);
        let leased = || self.dhcp6.addresses().first().map(|leased| leased.what);
        let delegated = || {
            let prefix = self.dhcp6.prefixes().first()?.what.address();
            self.interface_id.address(prefix, 0)
        };
        advertised().or_else(leased).or_else(delegated)
    }

    /// Tells the machines what they have to know of each other. `tunnel`: our ends of the tunnel, if they are
    /// addresses of their own.
    pub(super) fn settle(
        &mut self,
        now: Time,
        facts: &LineFacts,
        tunnel: &[Ipv6Addr],
        border_router: Option<Ipv6Addr>,
    ) {
        let link_local = self.link_local();
        let advertised = facts.addresses.iter().map(|a| a.address);
        let leased = self.dhcp6.addresses().iter().map(|leased| leased.what);
        let mut ours: Vec<Ipv6Addr> = link_local.into_iter().chain(advertised).chain(leased).collect();
        ours.extend(self.own_address(facts));
        ours.extend(tunnel);
        ours.sort_unstable();
        ours.dedup();
        self.neighbours.set_addresses(now, ours.iter().map(|&a| a.into()).collect());
        self.taken.retain(|address, _| ours.contains(address));
        self.neighbours.set_timers(facts.reachable_time, facts.retrans_timer);
        let ready: Vec<Ipv6Addr> = ours.into_iter().filter(|&a| self.is_ready(a)).collect();
        self.stack.set_addresses(&ready);
        self.stack.set_mtu(facts.mtu.min(OUR_MTU));
        self.ready = ready;
        let own = self.own_address(facts).into_iter().chain(tunnel.iter().copied());
        self.source = own.into_iter().find(|&address| self.is_ready(address));
        let link_local_ready = link_local.filter(|&address| self.is_ready(address));
        if self.up && link_local_ready.is_some() {
            self.line.link_up(now, link_local_ready);
            if !self.leaving {
                self.dhcp6.set_mode(now, self.wanted_mode(facts));
            }
        }
        for router in &facts.routers {
            if let Some(mac) = router.mac {
                self.neighbours.learn(now, router.address, mac, true);
            }
        }
        let next_hop = border_router.and_then(|address| self.line.next_hop(now, address));
        let kept = facts.routers.iter().map(|router| router.address).chain(next_hop);
        let kept: Vec<IpAddr> = kept.map(IpAddr::from).collect();
        self.neighbours.keep(now, &kept);
        self.names.set_servers(now, &self.resolvers(facts));
    }

    fn wanted_mode(&self, facts: &LineFacts) -> dhcp6::Mode {
        match self.dhcpv6_mode {
            Dhcpv6Mode::Off => dhcp6::Mode::Off,
            Dhcpv6Mode::Stateless => dhcp6::Mode::Stateless,
            Dhcpv6Mode::Stateful => dhcp6::Mode::Stateful,
            Dhcpv6Mode::Auto if facts.managed => dhcp6::Mode::Stateful,
            Dhcpv6Mode::Auto if facts.other => dhcp6::Mode::Stateless,
            // The last router's flags say nothing once it is gone; leases end by themselves.
            Dhcpv6Mode::Auto if facts.routers.is_empty() => self.dhcp6.facts(Time::default()).mode,
            Dhcpv6Mode::Auto => dhcp6::Mode::Off,
        }
    }

    /// Who is asked for names: whom the user says, else DHCPv6's, else the router's. Never anybody else:
    /// the names of border routers are known to the line's own resolvers alone.
    pub(super) fn resolvers(&self, facts: &LineFacts) -> Vec<IpAddr> {
        let dhcp6 = &self.dhcp6.information().dns;
        let chosen: Vec<Ipv6Addr> = match (self.resolvers.is_empty(), dhcp6.is_empty()) {
            (false, _) => self.resolvers.clone(),
            (true, false) => dhcp6.clone(),
            (true, true) => facts.rdnss.iter().map(|resolver| resolver.address).collect(),
        };
        chosen.into_iter().map(IpAddr::from).collect()
    }

    /// Carries out what the machines want, and what they say to each other. True if something changed that
    /// others have to know.
    pub(super) fn step(&mut self, now: Time, frames: &mut Frames) -> bool {
        let mut changed = false;
        while let Some(output) = self.neighbours.poll(now) {
            changed |= self.neighbour_says(now, output, frames);
        }
        while let Some(output) = self.line.poll(now) {
            match output {
                line::Output::Send(packet) => self.send(now, &packet, frames),
                line::Output::Changed => changed = true,
                line::Output::Event(event) => tracing::info!("line: {event}"),
            }
        }
        while let Some(output) = self.dhcp6.poll(now) {
            changed |= self.dhcp6_says(now, output, frames);
        }
        changed |= self.step_names(now);
        while let Some(packet) = self.stack.poll(now) {
            self.send(now, &packet, frames);
        }
        changed
    }

    fn neighbour_says(&mut self, now: Time, output: neighbour::Output, frames: &mut Frames) -> bool {
        use neighbour::Output;
        let link = &self.link.name;
        match output {
            Output::Send(frame) => {
                frames.send(self.id, frame);
                return false;
            }
            Output::Resolved(IpAddr::V6(address)) => self.line.reachable(now, address),
            Output::Lost(IpAddr::V6(address)) => self.line.unreachable(now, address),
            Output::NotRouter(IpAddr::V6(address)) => self.line.no_router(now, address),
            Output::Ready(address) => tracing::info!("{link}: {address} is ours"),
            Output::Moved { addr, from, to } => tracing::info!("{link}: {addr} moved from {from} to {to}"),
            Output::Claimed { addr, holder, by } => {
                tracing::warn!("{link}: station {by} wanted {addr}, which is {holder}'s; it was refused");
            }
            Output::Conflict { addr, mac } => {
                tracing::warn!("{link}: station {mac} uses our address {addr}; it was contradicted");
            }
            Output::Duplicate { addr, mac } => {
                tracing::error!("{link}: {addr} is not used: station {mac} has it");
                if let IpAddr::V6(address) = addr {
                    self.taken.insert(address, mac);
                    if Some(address) == self.link_local() {
                        self.duplicates += 1;
                    }
                    self.line.duplicate(now, address);
                }
            }
            Output::Resolved(_) | Output::Lost(_) | Output::NotRouter(_) => {}
        }
        true
    }

    fn dhcp6_says(&mut self, now: Time, output: dhcp6::Output, frames: &mut Frames) -> bool {
        match output {
            dhcp6::Output::Send { to, payload } => {
                if let Some(from) = self.link_local() {
                    let packet = wire::udp6((from, DHCP6_CLIENT), (to, DHCP6_SERVER), &payload);
                    self.send(now, &packet, frames);
                }
                false
            }
            dhcp6::Output::Event(event) => {
                match &event {
                    dhcp6::Event::Failed(failure) => tracing::warn!("dhcpv6: {failure}"),
                    event => tracing::info!("dhcpv6: {event}"),
                }
                self.lease_changed |= !matches!(event, dhcp6::Event::Failed(_) | dhcp6::Event::Informed);
                self.released |= event == dhcp6::Event::Released;
                true
            }
        }
    }

    fn step_names(&mut self, now: Time) -> bool {
        let mut changed = false;
        for (&port, &socket) in &self.sockets {
            while let Ok(Some((from, payload))) = self.stack.udp_recv(socket) {
                self.names.hear(now, (IpAddr::V6(*from.ip()), from.port()), port, &payload);
            }
        }
        while let Some(output) = self.names.poll(now) {
            match output {
                names::Output::Send { server: IpAddr::V6(server), source_port, payload } => {
                    self.ask(server, source_port, &payload);
                }
                names::Output::Answer { query, result } => {
                    changed = true;
                    self.answers.push_back(NameAnswer { query, result });
                }
                // IPv4 resolvers are not told to it, connections were declined.
                names::Output::Send { .. } | names::Output::Stream { .. } | names::Output::Close(_) => {}
            }
        }
        let open: Vec<u16> = self.names.open_ports().collect();
        let Self { sockets, stack, .. } = self;
        sockets.retain(|port, &mut socket| {
            let keep = open.contains(port);
            if !keep {
                stack.udp_close(socket);
            }
            keep
        });
        changed
    }

    /// Sends a query. One that cannot be sent is one that is not answered: it is asked again.
    fn ask(&mut self, server: Ipv6Addr, port: u16, payload: &[u8]) {
        let from = if server.is_unicast_link_local() { self.link_local() } else { self.source };
        let Some(from) = from else { return };
        let Ok(socket) = self.stack.udp_open(from, port) else { return };
        if self.stack.udp_send(socket, SocketAddrV6::new(server, names::PORT, 0, 0), payload).is_ok() {
            self.sockets.insert(port, socket);
        } else {
            self.stack.udp_close(socket);
        }
    }

    /// Answers to questions that were asked, one at a time.
    pub(super) fn next_answer(&mut self) -> Option<NameAnswer> {
        self.answers.pop_front()
    }

    /// Gives the leases back: the end of the program.
    pub(super) fn release(&mut self, now: Time) {
        // Leases that were given back before, when the line's router said so, are others.
        (self.leaving, self.released) = (true, false);
        self.dhcp6.release(now);
    }

    /// Nothing is leased any more.
    pub(super) fn is_released(&self) -> bool {
        self.released || self.dhcp6.state() == dhcp6::State::Off
    }

    /// When to come back.
    pub(super) fn next(&self) -> Option<Time> {
        let machines =
            [self.neighbours.next(), self.line.next(), self.dhcp6.next(), self.names.next(), self.stack.next()];
        machines.into_iter().flatten().min()
    }
}
