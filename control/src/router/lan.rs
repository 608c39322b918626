//! The side of the hosts: ARP and neighbour discovery, DHCPv4 and DHCPv6 servers, router advertisements, echo.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hikyaku_config as config;
use hikyaku_net::packet::ethertype;
use hikyaku_net::{Mac, Prefix6, Time, protocol};
use hikyaku_protocols::Machine;
use hikyaku_protocols::advertiser::{self, Advertiser, Saved};
use hikyaku_protocols::dhcpv4::{self, Standing};
use hikyaku_protocols::dhcpv6::{self, server};
use hikyaku_protocols::echo::Echo;
use hikyaku_protocols::neighbour::{self, Neighbours, Progress};
use hikyaku_protocols::slaac::{Advertisement, InterfaceId};
use hikyaku_ring::LinkId;

use super::across::Across;
use super::desired::DesiredLan;
use super::lan_dhcpv6::dhcpv6_server;
use super::neighbour_log;
use super::wan::LinkFacts;
use super::wire::{self, ETHERNET, Frames, Packet6};

/// Hosts that were heard of are asked again so often: what ARP caches do (20 minutes on FreeBSD). RFC 4861's half
/// minute is for IPv6, and would wake every phone; who is leased an address is not asked at all, and who moves says
/// so.
const REACHABLE_TIME: Duration = Duration::from_secs(600);

/// The prefix of link-local addresses (RFC 4291 2.5.6).
const LINK_LOCAL: Prefix6 =
    Prefix6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64).expect("64 bits are not too many");

/// The LAN link and its machines: neighbours, DHCP servers, router advertisements, echo.
pub struct Lan {
    pub(super) id: LinkId,
    pub(super) link: LinkFacts,
    pub(super) up: bool,
    pub(super) config: config::Lan,
    pub(super) neighbours: Neighbours,
    /// What is for the other side.
    pub(super) asked: Across,
    pub(super) dhcpv4: Option<dhcpv4::Server>,
    pub(super) dhcpv6: server::Server,
    /// There is something to be had by DHCPv6: its group is listened to.
    pub(super) serves_dhcpv6: bool,
    /// Our link-local address, once nobody else has it.
    pub(super) source: Option<Ipv6Addr>,
    pub(super) echo: Echo,
    pub(super) advertiser: Advertiser,
    interface_id: InterfaceId,
    /// Of RFC 7217; the same at every start.
    pub(super) secret: [u8; 32],
    /// The prefixes that we have an address in.
    prefixes: Vec<Prefix6>,
    /// How many of our addresses were somebody else's, by prefix; that of link-local ones too.
    duplicates: HashMap<Prefix6, u8>,
    /// What hosts were told is another than what was saved.
    pub(super) advertised_changed: bool,
    /// Leased addresses, as `neighbours` knows them.
    pinned: HashMap<Ipv4Addr, Mac>,
    /// Who has the IPv4 address that is to be ours.
    pub(super) taken: Option<Mac>,
    /// Who has an IPv6 address that was to be ours.
    pub(super) taken6: HashMap<Ipv6Addr, Mac>,
    /// Neither read by anybody nor answered.
    pub(super) unread: u64,
    /// Leases are others than those that were saved.
    pub(super) leases_changed: bool,
    /// The same of DHCPv6.
    pub(super) leases6_changed: bool,
    /// Who advertised itself as a router here, and until when it says to be one.
    stray: Option<(Ipv6Addr, Mac, Time)>,
}

impl Lan {
    pub(super) fn new(id: LinkId, link: LinkFacts, config: &config::Lan, secret: [u8; 32]) -> Self {
        let neighbours = neighbour::Config {
            on_link4: vec![config.ipv4.prefix()],
            reachable_time: REACHABLE_TIME,
            ..neighbour::Config::new(link.mac, true)
        };
        Self {
            id,
            up: false,
            neighbours: Neighbours::new(neighbours),
            asked: Across::default(),
            dhcpv4: config.dhcpv4.as_ref().and_then(|server| dhcpv4_server(config, server, link.mac)),
            dhcpv6: dhcpv6_server(config, link.mac, secret),
            leases6_changed: false,
            serves_dhcpv6: false,
            source: None,
            config: config.clone(),
            echo: Echo::new(link.mac),
            advertiser: Advertiser::new(link.mac),
            interface_id: interface_id(&link, config, secret),
            secret,
            prefixes: Vec::new(),
            duplicates: HashMap::new(),
            advertised_changed: false,
            link,
            pinned: HashMap::new(),
            taken: None,
            taken6: HashMap::new(),
            unread: 0,
            leases_changed: false,
            stray: None,
        }
    }

    /// The router's own IPv4 address on the LAN.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.config.ipv4.address
    }

    /// Our address there may be used: nobody else has it.
    pub(super) fn is_ready(&self) -> bool {
        self.neighbours.progress(self.address().into()) == Some(Progress::Ready)
    }

    /// Our addresses there that may be used.
    pub(super) fn ours(&self) -> Vec<IpAddr> {
        let ready = self.neighbours.ours().into_iter().filter(|ours| ours.progress == Progress::Ready);
        ready.map(|ours| ours.address).collect()
    }

    /// Our link-local address there; `None` when all that could be tried are somebody else's.
    pub(super) fn link_local(&self) -> Option<Ipv6Addr> {
        self.interface_id.link_local(self.link.mac, self.duplicates_in(LINK_LOCAL))
    }

    fn duplicates_in(&self, prefix: Prefix6) -> u8 {
        self.duplicates.get(&prefix).copied().unwrap_or_default()
    }

    /// The address that is ours in a prefix of the LAN.
    fn own(&self, prefix: Prefix6) -> Option<Ipv6Addr> {
        self.interface_id.address(prefix.address(), self.duplicates_in(prefix))
    }

    /// What hosts have of the line's IPv6, and our addresses there.
    pub(super) fn set_ipv6(&mut self, now: Time, desired: &DesiredLan) {
        self.advertiser.set(now, desired.advertised.clone());
        self.serves_dhcpv6 = desired.served.is_some();
        self.dhcpv6.set(now, desired.served.clone());
        let groups = if self.serves_dhcpv6 { vec![dhcpv6::SERVERS] } else { vec![] };
        self.neighbours.set_services(groups);
        self.prefixes.clone_from(&desired.prefixes);
        self.duplicates.retain(|prefix, _| *prefix == LINK_LOCAL || desired.prefixes.contains(prefix));
        if desired.link_up {
            // Where there is no IPv6 none is spoken.
            let link_local = self.link_local().filter(|_| self.advertiser.wants_source());
            let own = desired.prefixes.iter().filter_map(|&prefix| self.own(prefix));
            let ipv6: Vec<Ipv6Addr> = link_local.into_iter().chain(own).chain(desired.shared.iter().copied()).collect();
            self.taken6.retain(|address, _| ipv6.contains(address));
            let ipv4 = IpAddr::from(self.address());
            self.neighbours.set_addresses(now, ipv6.into_iter().map(IpAddr::from).chain([ipv4]).collect());
        }
        self.source = desired.source;
        self.advertiser.set_source(now, desired.source);
    }

    /// What hosts were told before.
    pub(super) fn restore_advertised(&mut self, now: Time, wall: u64, saved: Option<&Saved>) {
        saved.into_iter().for_each(|saved| self.advertiser.restore(now, wall, saved));
    }

    /// Leases of before. Their addresses belong to their stations from the first packet on.
    pub(super) fn restore(&mut self, now: Time, wall: u64, saved: Option<&dhcpv4::LeaseFile>) {
        if let (Some(server), Some(file)) = (&mut self.dhcpv4, saved) {
            let restored = server.restore(now, wall, file);
            tracing::info!(machine = "dhcpv4", link = %self.link.name, leases = restored, "leases of before hold");
        }
        self.pin_leases(now);
    }

    /// Another configuration. With another address of ours it is another network, of which nothing is known yet;
    /// leases that it has no place for are dropped in either case.
    /// `saved` are those of a server that was switched off before. Whether the DHCPv4 server is another than before.
    pub(super) fn reload(
        &mut self,
        now: Time,
        wall: u64,
        config: &config::Lan,
        saved: Option<dhcpv4::LeaseFile>,
    ) -> bool {
        let was = std::mem::replace(&mut self.config, config.clone());
        if was.ipv6.interface_id != config.ipv6.interface_id {
            self.interface_id = interface_id(&self.link, config, self.secret);
            self.duplicates.clear();
        }
        if was.ipv4 == config.ipv4 && was.dhcpv4 == config.dhcpv4 {
            return false;
        }
        let before = self.dhcpv4.take();
        if was.ipv4 != config.ipv4 {
            let (up, unread) = (self.up, self.unread);
            let changed = (self.advertised_changed, self.leases6_changed);
            let advertiser = std::mem::replace(&mut self.advertiser, Advertiser::new(self.link.mac));
            let new = Self::new(self.id, self.link.clone(), config, self.secret);
            let dhcpv6 = std::mem::replace(&mut self.dhcpv6, dhcpv6_server(config, self.link.mac, self.secret));
            let (advertised_changed, leases6_changed) = changed;
            *self = Self { unread, advertiser, dhcpv6, advertised_changed, leases6_changed, ..new };
            self.set_up(now, up);
        }
        self.dhcpv4 = config.dhcpv4.as_ref().and_then(|server| dhcpv4_server(config, server, self.link.mac));
        if let (Some(server), Some(before)) = (&mut self.dhcpv4, &before) {
            server.counts = before.counts;
        }
        self.restore(now, wall, before.map(|before| before.file(now, wall)).or(saved).as_ref());
        self.leases_changed = true;
        true
    }

    /// An address that is leased is its station's and no other's.
    fn pin_leases(&mut self, now: Time) {
        let leases = self.dhcpv4.iter().flat_map(|server| server.leases(now));
        let leases = leases.filter(|lease| lease.standing == Standing::Leased);
        let bound: HashMap<Ipv4Addr, Mac> = leases.filter_map(|lease| Some((lease.address, lease.mac?))).collect();
        for gone in self.pinned.keys().filter(|address| !bound.contains_key(address)) {
            self.neighbours.unpin(now, (*gone).into());
        }
        for (&address, &mac) in bound.iter().filter(|&(address, mac)| self.pinned.get(address) != Some(mac)) {
            self.neighbours.pin(now, address.into(), mac);
        }
        self.pinned = bound;
    }

    /// The carrier came or went.
    pub(super) fn set_up(&mut self, now: Time, up: bool) {
        if up && !self.up {
            self.neighbours.announce(now);
            self.advertiser.link_up(now);
        }
        self.up = up;
    }

    /// A frame came in.
    pub(super) fn hear(&mut self, now: Time, frame: &[u8], frames: &mut Frames) {
        if self.neighbours.handle_input(now, frame) {
            return;
        }
        let (ours, is_ready) = (self.ours(), self.is_ready());
        if let Some(server) = self.dhcpv4.as_mut().filter(|_| is_to_dhcp_server(frame)) {
            // What it leases names us as the router: not before we are it (RFC 5227 2.1), and not beside another.
            match is_ready {
                true => server.handle_input(now, frame),
                false => self.unread += 1,
            }
            return;
        }
        if let Some(packet) = Packet6::read(frame)
            && self.hear_ipv6(now, &packet, frame)
        {
            return;
        }
        // Nobody listens here, but for DHCP: who asks is told so at once.
        match self.echo.echo(now, frame, &ours).or_else(|| self.echo.refuse(now, frame, &ours)) {
            Some(answer) => frames.send(self.id, answer),
            None => self.unread += 1,
        }
    }

    /// Whether it was for one of our machines.
    fn hear_ipv6(&mut self, now: Time, packet: &Packet6, frame: &[u8]) -> bool {
        let Some(station) = frame.get(6..12).and_then(|bytes| bytes.try_into().ok()).map(Mac) else { return false };
        match packet.protocol {
            protocol::ICMPV6 => self.hear_discovery(now, station, packet),
            protocol::UDP => self.hear_dhcpv6(now, station, packet),
            _ => false,
        }
    }

    /// Whether it was router discovery. A default router there, besides us, is a line on the wrong link.
    fn hear_discovery(&mut self, now: Time, station: Mac, packet: &Packet6) -> bool {
        match packet.payload.first() {
            Some(133) => self.advertiser.handle_input(now, station, packet.bytes),
            Some(134) => {
                if let Ok(heard) = Advertisement::parse(packet.bytes)
                    && heard.lifetime > 0
                {
                    self.stray = Some((heard.router, station, now + Duration::from_secs(heard.lifetime.into())));
                }
            }
            _ => return false,
        }
        true
    }

    /// What is to be said of a router that advertises itself here, by whether one does on the WAN.
    pub(super) fn stray_router(&self, now: Time, wan_has_one: bool) -> Option<String> {
        let (router, station, _) = self.stray.filter(|&(.., until)| now < until)?;
        let what = match wan_has_one {
            true => ": hosts take their IPv6 from it; unplug it there, if that is not meant",
            false => {
                ", and none does on the WAN: the two are swapped, most likely; exchange the cables, or the links of [wan] \
                 and [lan]"
            }
        };
        Some(format!("{}: router {router} (station {station}) advertises itself on the LAN{what}", self.link.name))
    }

    /// A packet that lacks its host's Ethernet address.
    pub(super) fn resolve(&mut self, now: Time, frame: Vec<u8>) {
        let Some((header, packet)) = frame.split_at_checked(ETHERNET) else { return };
        let destination = if header[12..] == ethertype::IPV6.to_be_bytes() {
            wire::destination(packet).map(IpAddr::from)
        } else {
            packet.get(16..20).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(IpAddr::from)
        };
        if let Some(destination) = destination {
            self.neighbours.want(now, destination, Some(frame));
        }
    }

    /// Sends an IPv6 packet of ours.
    fn send(&mut self, now: Time, packet: &[u8], frames: &mut Frames) {
        let Some(destination) = wire::destination(packet) else { return };
        if destination.is_multicast() {
            return frames.send(self.id, wire::frame6(wire::group_mac(destination), self.link.mac, packet));
        }
        let frame = wire::frame6(Mac::default(), self.link.mac, packet);
        self.neighbours.want(now, destination.into(), Some(frame));
    }

    /// Carries out what the machines want.
    pub(super) fn poll(&mut self, now: Time, frames: &mut Frames) {
        while let Some(output) = self.advertiser.drive(now) {
            self.advertiser_says(now, output, frames);
        }
        while let Some(output) = self.neighbours.drive(now) {
            self.neighbour_says(now, output, frames);
        }
        while let Some(output) = self.dhcpv6.drive(now) {
            self.dhcpv6_says(output, frames);
        }
        while let Some(output) = self.dhcpv4.as_mut().and_then(|server| server.drive(now)) {
            self.dhcpv4_says(now, output, frames);
            while let Some(output) = self.neighbours.drive(now) {
                self.neighbour_says(now, output, frames);
            }
        }
    }

    fn neighbour_says(&mut self, now: Time, output: neighbour::Output, frames: &mut Frames) {
        use neighbour::Output;
        neighbour_log::log(&self.link.name, &output);
        self.asked.note(&output, &self.neighbours);
        match output {
            Output::Send(frame) => frames.send(self.id, frame),
            Output::Duplicate { addr: IpAddr::V4(_), mac } => self.taken = Some(mac),
            Output::Duplicate { addr: IpAddr::V6(address), mac } => self.duplicate(address, mac),
            Output::Ready(IpAddr::V4(_)) => self.taken = None,
            Output::Ready(IpAddr::V6(address)) => _ = self.taken6.remove(&address),
            // A host that answers for an address that was about to be given away, or to another station.
            Output::Resolved(IpAddr::V4(address)) => {
                if let (Some(server), Some(mac)) = (&mut self.dhcpv4, self.neighbours.get(address.into())) {
                    server.in_use(now, address, mac);
                }
            }
            _ => {}
        }
    }

    /// Somebody else has an address that was to be ours: the next one is made where there are others (RFC 7217 6).
    fn duplicate(&mut self, address: Ipv6Addr, mac: Mac) {
        self.taken6.insert(address, mac);
        let prefixes = self.prefixes.iter().copied().filter(|&prefix| self.own(prefix) == Some(address));
        let link_local = (self.link_local() == Some(address)).then_some(LINK_LOCAL);
        let prefix = prefixes.chain(link_local).next().filter(|_| self.is_hashed());
        prefix.into_iter().for_each(|prefix| *self.duplicates.entry(prefix).or_default() += 1);
    }

    /// Whether our interface ids are made by a hash, of which there are others.
    fn is_hashed(&self) -> bool {
        matches!(self.interface_id, InterfaceId::Stable { .. })
    }

    fn advertiser_says(&mut self, now: Time, output: advertiser::Output, frames: &mut Frames) {
        match output {
            advertiser::Output::Send(packet) => self.send(now, &packet, frames),
            advertiser::Output::Heard(host, mac) => self.neighbours.learn(now, host, mac, false),
            advertiser::Output::Save => self.advertised_changed = true,
            advertiser::Output::Event(event) => {
                tracing::info!(machine = "advertiser", link = %self.link.name, "{event}");
            }
        }
    }

    fn dhcpv4_says(&mut self, now: Time, output: dhcpv4::Output, frames: &mut Frames) {
        match output {
            dhcpv4::Output::Send(frame) => frames.send(self.id, frame),
            // What is known by its lease says nothing about whether the station is still there.
            dhcpv4::Output::Probe(address) if self.pinned.contains_key(&address) => {
                self.neighbours.probe(now, address.into());
            }
            dhcpv4::Output::Probe(address) => match self.neighbours.get(address.into()) {
                Some(mac) => {
                    if let Some(server) = &mut self.dhcpv4 {
                        server.in_use(now, address, mac);
                    }
                }
                None => self.neighbours.want(now, address.into(), None),
            },
            dhcpv4::Output::Save => self.leases_changed = true,
            dhcpv4::Output::Event(event) => {
                tracing::info!(machine = "dhcpv4", link = %self.link.name, "{event}");
                match event {
                    dhcpv4::Event::Leased { address, mac, .. } => {
                        self.neighbours.pin(now, address.into(), mac);
                        self.pinned.insert(address, mac);
                    }
                    dhcpv4::Event::Ended { address, .. } => {
                        self.neighbours.unpin(now, address.into());
                        self.pinned.remove(&address);
                    }
                    dhcpv4::Event::Conflict { .. }
                    | dhcpv4::Event::SharedId { .. }
                    | dhcpv4::Event::Full
                    | dhcpv4::Event::PortFull { .. } => {}
                }
            }
        }
    }

    /// When to come back.
    pub(super) fn next(&self) -> Option<Time> {
        let machines = [
            self.neighbours.poll_timeout(),
            self.advertiser.poll_timeout(),
            self.dhcpv6.poll_timeout(),
            self.dhcpv4.as_ref().and_then(dhcpv4::Server::poll_timeout),
        ];
        machines.into_iter().flatten().min()
    }
}

/// UDP to port 67, as the dataplane saw it; the server looks closer.
fn is_to_dhcp_server(frame: &[u8]) -> bool {
    let Some((header, packet)) = frame.split_at_checked(ETHERNET) else { return false };
    let Some(&version_ihl) = packet.first() else { return false };
    let transport = usize::from(version_ihl & 0xf) * 4;
    header[12..] == ethertype::IPV4.to_be_bytes()
        && packet.get(9) == Some(&protocol::UDP)
        && packet.get(transport + 2..transport + 4) == Some(&[0, 67])
}

fn interface_id(link: &LinkFacts, config: &config::Lan, secret: [u8; 32]) -> InterfaceId {
    match config.ipv6.interface_id {
        config::InterfaceId::Stable => InterfaceId::Stable { secret, interface: link.name.clone() },
        config::InterfaceId::Eui64 => InterfaceId::Eui64(link.mac),
        config::InterfaceId::Token(token) => InterfaceId::Token(token),
    }
}

fn dhcpv4_server(lan: &config::Lan, server: &config::Dhcpv4, mac: Mac) -> Option<dhcpv4::Server> {
    let config = dhcpv4::Config {
        mac,
        address: lan.ipv4.address,
        prefix_len: lan.ipv4.len,
        pool: server.pool.first..=server.pool.last,
        reservations: server.reservations.iter().map(|r| dhcpv4::Reservation { mac: r.mac, address: r.ip }).collect(),
        lease_time: server.lease_time,
        dns: server.dns.clone(),
        domain: server.domain.clone(),
        mtu: server.mtu,
    };
    // The configuration was checked as a whole before; what it let pass and the server does not take is
    // our mistake, and no reason to leave the line down.
    dhcpv4::Server::new(config)
        .map_err(|error| tracing::error!(machine = "dhcpv4", %error, "the DHCPv4 server stays off"))
        .ok()
}
