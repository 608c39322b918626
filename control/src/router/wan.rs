//! The side towards the line: its machines, and what each has to know of the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_net::{Mac, Prefix6, Time, protocol};
use hikyaku_protocols::dhcpv6;
use hikyaku_protocols::echo::Echo;
use hikyaku_protocols::neighbour::{self, Neighbours, Progress};
use hikyaku_protocols::slaac::{self, InterfaceId, Line, LineFacts};
use hikyaku_protocols::sockets::Stack;
use hikyaku_ring::{LinkId, Vlan};

use super::Frames;
use super::resolver::Resolver;
use super::wire::{self, Packet6};
use crate::config::{self, Dhcpv6Mode};

/// Where DHCPv6 answers arrive, and where they come from (RFC 8415 7.2).
const DHCP6_CLIENT: u16 = dhcpv6::CLIENT_PORT;
const DHCP6_SERVER: u16 = dhcpv6::SERVER_PORT;

/// Our own packets are small enough for any path (RFC 8200 5): nobody waits for a Packet Too Big.
const OUR_MTU: u16 = 1280;

/// What is read off a link when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// As the user wrote it.
    pub name: String,
    /// Our Ethernet address.
    pub mac: Mac,
    /// Largest packet, bytes.
    pub mtu: u16,
    /// How it was opened, for people.
    pub mode: String,
    /// The VLAN that it is of its wire.
    pub vlan: Option<Vlan>,
}

/// The line.
pub struct Wan {
    pub(super) id: LinkId,
    pub(super) link: LinkFacts,
    pub(super) up: bool,
    pub(super) dhcpv6_mode: Dhcpv6Mode,
    interface_id: InterfaceId,
    /// How many of our link-local addresses were somebody else's.
    duplicates: u8,
    pub(super) neighbours: Neighbours,
    pub(super) line: Line,
    pub(super) dhcp6: dhcpv6::Client,
    pub(super) stack: Stack,
    pub(super) resolver: Resolver,
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
            duplicates: 0,
            neighbours: Neighbours::new(neighbour::Config::new(link.mac, false)),
            line: Line::new(slaac::Config { mac: link.mac, mtu, interface_id: interface_id.clone() }),
            dhcp6: dhcpv6::Client::new(dhcpv6::Config {
                want: if dhcpv6.request_na { dhcpv6::Want::PrefixAndAddress } else { dhcpv6::Want::Prefix },
                prefix_len: dhcpv6.pd_hint,
                rapid_commit: dhcpv6.rapid_commit,
                reconfigure: dhcpv6.reconfigure,
                ..dhcpv6::Config::new(link.mac)
            }),
            interface_id,
            stack,
            resolver: Resolver::new(config.resolvers.clone()),
            ready: Vec::new(),
            source: None,
            echo: Echo::new(link.mac),
            link,
            taken: HashMap::new(),
            unread: 0,
            lease_changed: false,
            leaving: false,
            released: false,
        }
    }

    /// Another configuration. Mode and resolvers are what can change; both are passed on by [`Self::settle`].
    pub(super) fn reload(&mut self, config: &config::Wan) {
        self.dhcpv6_mode = config.dhcpv6.mode;
        self.resolver.configured.clone_from(&config.resolvers);
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

    /// Prefixes that a MAP rule may be for, the link's own before what was delegated.
    pub(super) fn end_user_prefixes(&self, facts: &LineFacts) -> Vec<Prefix6> {
        let advertised = facts.prefixes.iter().filter(|prefix| prefix.autonomous && !prefix.deprecated);
        let advertised = advertised.filter_map(|prefix| Prefix6::new(prefix.prefix, prefix.length));
        let delegated = self.dhcp6.prefixes().iter();
        let delegated = delegated.filter_map(|leased| Prefix6::new(leased.what.address(), leased.what.len()));
        advertised.chain(delegated).collect()
    }

    /// Whether an end of the tunnel is in what the line still lets us have, be it for old connections only. A
    /// home gateway delegates a part of its /56 and leaves us the tunnel's end in another.
    pub(super) fn may_have(&self, facts: &LineFacts, end: Ipv6Addr) -> bool {
        let advertised = facts.prefixes.iter().map(|prefix| prefix.prefix);
        let delegated = self.dhcp6.prefixes().iter().map(|leased| leased.what.address());
        let leased = self.dhcp6.addresses().iter().map(|leased| leased.what);
        advertised.chain(delegated).chain(leased).any(|ours| (ours.to_bits() ^ end.to_bits()) >> 72 == 0)
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
        self.resolver.set_servers(now, &self.resolvers(facts));
    }

    /// What DHCPv6 is for, by the configuration or the router's flags.
    fn wanted_mode(&self, facts: &LineFacts) -> dhcpv6::Mode {
        let mode = self.dhcp6.mode();
        match self.dhcpv6_mode {
            Dhcpv6Mode::Off => dhcpv6::Mode::Off,
            Dhcpv6Mode::Stateless => dhcpv6::Mode::Stateless,
            Dhcpv6Mode::Stateful => dhcpv6::Mode::Stateful,
            Dhcpv6Mode::Auto if facts.managed => dhcpv6::Mode::Stateful,
            // What the server gave is the server's to end, or ends with its time: RFC 2462 5.5.3 had M going off
            // change nothing, RFC 4862 is silent, and a router that drops the flag for one advertisement, or a
            // second one without it, must not cost the line its prefix.
            Dhcpv6Mode::Auto if mode == dhcpv6::Mode::Stateful && self.dhcp6.has_leases() => mode,
            Dhcpv6Mode::Auto if facts.other => dhcpv6::Mode::Stateless,
            // In the same way what it told (resolvers, an AFTR, softwires) outlives an advertisement without the flag.
            Dhcpv6Mode::Auto if mode == dhcpv6::Mode::Stateless && self.is_informed() => mode,
            // The last router's flags say nothing once it is gone; leases end by themselves.
            Dhcpv6Mode::Auto if facts.routers.is_empty() => mode,
            Dhcpv6Mode::Auto => dhcpv6::Mode::Off,
        }
    }

    /// Whether the DHCPv6 server has said what it has to say.
    pub(super) fn is_informed(&self) -> bool {
        use dhcpv6::State::{Bound, Informed, Rebinding, Renewing};
        matches!(self.dhcp6.state(), Bound | Renewing | Rebinding | Informed)
            || *self.dhcp6.information() != dhcpv6::Information::default()
    }

    /// Who is asked for names.
    pub(super) fn resolvers(&self, facts: &LineFacts) -> Vec<IpAddr> {
        self.resolver.choice(&self.dhcp6.information().dns, facts)
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
                slaac::Output::Send(packet) => self.send(now, &packet, frames),
                slaac::Output::Changed => changed = true,
                slaac::Output::Event(event) => tracing::info!("line: {event}"),
            }
        }
        while let Some(output) = self.dhcp6.poll(now) {
            changed |= self.dhcp6_says(now, output, frames);
        }
        let (link_local, source) = (self.link_local(), self.source);
        let from = |server: Ipv6Addr| if server.is_unicast_link_local() { link_local } else { source };
        loop {
            changed |= self.resolver.step(now, &mut self.stack, from);
            while let Some(packet) = self.stack.poll(now) {
                self.send(now, &packet, frames);
            }
            if !self.resolver.hear_connections(now) {
                return changed;
            }
        }
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

    fn dhcp6_says(&mut self, now: Time, output: dhcpv6::Output, frames: &mut Frames) -> bool {
        match output {
            dhcpv6::Output::Send { to, payload } => {
                if let Some(from) = self.link_local() {
                    let packet = wire::udp6((from, DHCP6_CLIENT), (to, DHCP6_SERVER), &payload);
                    self.send(now, &packet, frames);
                }
                false
            }
            dhcpv6::Output::Event(event) => {
                match &event {
                    dhcpv6::Event::Failed(failure) => tracing::warn!("dhcpv6: {failure}"),
                    event => tracing::info!("dhcpv6: {event}"),
                }
                self.lease_changed |= !matches!(event, dhcpv6::Event::Failed(_) | dhcpv6::Event::Informed);
                self.released |= event == dhcpv6::Event::Released;
                true
            }
        }
    }

    /// Gives the leases back: the end of the program.
    pub(super) fn release(&mut self, now: Time) {
        // Leases that were given back before, because the line was another when we started, are others.
        (self.leaving, self.released) = (true, false);
        self.dhcp6.release(now);
    }

    /// Nothing is leased any more.
    pub(super) fn is_released(&self) -> bool {
        self.released || self.dhcp6.state() == dhcpv6::State::Off
    }

    /// When to come back.
    pub(super) fn next(&self) -> Option<Time> {
        let machines =
            [self.neighbours.next(), self.line.next(), self.dhcp6.next(), self.resolver.next(), self.stack.next()];
        machines.into_iter().flatten().min()
    }
}
