//! The other end of the line: a router that advertises, a DHCPv6 server beside it, hosts behind it.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Time};

use super::delegation::Server;
use super::resolver::Resolver;
use super::wire::{self, Heard, What};
use super::{Host, WAN_MAC};

/// Flags of a router advertisement (RFC 4861 4.2).
pub const MANAGED: u8 = 0x80;
/// Flag O of a router advertisement (RFC 4861 4.2).
pub const OTHER: u8 = 0x40;

/// Link-local address of the line's router.
pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// That of [`Isp::rival`].
const RIVAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xbad);
pub const ROUTER_MAC: Mac = Mac([2, 0, 0, 0, 9, 1]);
/// The resolver, somewhere behind it.
pub const RESOLVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x53);
/// The prefix that it advertises at first.
pub const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0);

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Packets that wait for a station's address, at most.
const WAITING: usize = 8;

/// What is advertised of a prefix.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    pub prefix: Ipv6Addr,
    pub preferred: u32,
    pub valid: u32,
}

/// What the router says of itself; see RFC 4861 4.2.
#[derive(Clone, Debug)]
pub struct Advertisement {
    pub flags: u8,
    pub lifetime: u16,
    pub prefixes: Vec<Prefix>,
    /// Resolvers that the advertisement names (RFC 8106).
    pub resolvers: Vec<Ipv6Addr>,
    /// RetransTimer, milliseconds; 0: not said.
    pub retrans_timer: u32,
    /// The source link-layer address option: the router's Ethernet address, or none.
    pub mac: Option<Mac>,
}

impl Advertisement {
    fn body(&self) -> Vec<u8> {
        let mut body = vec![64, self.flags];
        body.extend(self.lifetime.to_be_bytes());
        body.extend([0; 4]);
        body.extend(self.retrans_timer.to_be_bytes());
        if let Some(mac) = &self.mac {
            body.extend([1, 1]);
            body.extend(mac.0);
        }
        for Prefix { prefix, preferred, valid } in &self.prefixes {
            body.extend([3, 4, 64, 0xc0]);
            body.extend(valid.to_be_bytes());
            body.extend(preferred.to_be_bytes());
            body.extend([0; 4]);
            body.extend(prefix.octets());
        }
        for resolver in &self.resolvers {
            body.extend([25, 3, 0, 0, 0, 0, 0x0e, 0x10]);
            body.extend(resolver.octets());
        }
        body
    }
}

/// The other end of the line, as a whole.
pub struct Isp {
    /// The line is connected.
    pub alive: bool,
    /// Ethernet address of the router under test.
    pub station: Mac,
    /// What is sent to whoever solicits, and every [`Self::every`].
    pub advertisement: Option<Advertisement>,
    pub every: Duration,
    /// How long whoever solicits waits for it (RFC 4861 6.2.6: up to half a second).
    pub answers_after: Duration,
    pub dhcp: Server,
    /// Another DHCPv6 server on the link, that answers before it.
    pub rival: Option<Server>,
    pub resolver: Resolver,
    /// Others behind the router.
    pub hosts: Vec<Box<dyn Host>>,
    /// Addresses behind the router that reply to echo requests, as [`ROUTER`] does.
    pub echoes: Vec<Ipv6Addr>,
    /// Addresses of the line that other stations have.
    pub taken: HashMap<Ipv6Addr, Mac>,
    /// Packets that nobody behind the router was meant by, by destination.
    pub strays: Vec<Ipv6Addr>,
    /// Addresses that our router asked for before using them.
    pub detected: Vec<Ipv6Addr>,
    /// Every ICMPv6 type that came from our router.
    pub icmp: Vec<u8>,
    /// Whom our router said to be, to all: addresses that nobody else may have.
    pub claimed: Vec<Ipv6Addr>,
    neighbours: HashMap<Ipv6Addr, Mac>,
    waiting: HashMap<Ipv6Addr, Vec<Vec<u8>>>,
    out: VecDeque<Vec<u8>>,
    due: Time,
}

impl Isp {
    /// A router with the O flag and a prefix, whose DHCPv6 server names the resolver.
    pub fn new(now: Time) -> Self {
        let prefix = Prefix { prefix: PREFIX, preferred: 14400, valid: 43200 };
        let mut dhcp = Server::new();
        dhcp.resolvers = vec![RESOLVER];
        Self {
            alive: true,
            station: WAN_MAC,
            advertisement: Some(Advertisement {
                flags: OTHER,
                lifetime: 1800,
                prefixes: vec![prefix],
                resolvers: Vec::new(),
                retrans_timer: 0,
                mac: Some(ROUTER_MAC),
            }),
            every: Duration::from_secs(300),
            answers_after: Duration::ZERO,
            dhcp,
            rival: None,
            resolver: Resolver::new(RESOLVER),
            hosts: Vec::new(),
            echoes: Vec::new(),
            taken: HashMap::new(),
            strays: Vec::new(),
            detected: Vec::new(),
            icmp: Vec::new(),
            claimed: Vec::new(),
            neighbours: HashMap::new(),
            waiting: HashMap::new(),
            out: VecDeque::new(),
            due: now + Duration::from_secs(300),
        }
    }

    /// What it says of itself, to be changed.
    pub fn says(&mut self) -> &mut Advertisement {
        self.advertisement.as_mut().expect("a router that advertises")
    }

    /// Where it believes a host of the line to be.
    pub fn knows(&self, host: Ipv6Addr) -> Option<Mac> {
        self.neighbours.get(&host).copied()
    }

    /// A packet from outside for a host of the line, whose station is asked for if need be.
    pub fn sends_to(&mut self, host: Ipv6Addr) {
        let packet = wire::udp6((RESOLVER, 7), (host, 7), b"?");
        self.forward(&packet);
    }

    /// Somebody on the line wants to have an address (RFC 4862 5.4.2).
    pub fn detects(&mut self, address: Ipv6Addr, mac: Mac) {
        let group = wire::solicited_node(address);
        let body = [&[0; 4][..], &address.octets()].concat();
        self.out.push_back(wire::icmp6((mac, Ipv6Addr::UNSPECIFIED), (wire::group_mac(group), group), 135, &body));
    }

    /// Says it to all, now.
    pub fn advertise(&mut self) {
        if let Some(advertisement) = &self.advertisement {
            let to = (wire::group_mac(ALL_NODES), ALL_NODES);
            self.out.push_back(wire::icmp6((ROUTER_MAC, ROUTER), to, 134, &advertisement.body()));
        }
    }

    /// A frame of our router's came.
    pub fn hear(&mut self, now: Time, frame: &[u8]) {
        if !self.alive {
            return;
        }
        let heard = wire::read(frame);
        assert_eq!(heard.from, self.station, "{heard:?}");
        match &heard.what {
            What::Icmp6 { kind: 133, hop_limit, .. } => {
                assert_eq!(*hop_limit, 255, "RFC 4861 6.1.1");
                self.due = self.due.min(now + self.answers_after);
            }
            What::Icmp6 { src, kind: 135, body, .. } => {
                let target = Ipv6Addr::from(<[u8; 16]>::try_from(&body[4..20]).unwrap());
                self.solicited(*src, target);
            }
            What::Icmp6 { kind: 136, body, dst, .. } => {
                if *dst == ALL_NODES {
                    self.claimed.push(Ipv6Addr::from(<[u8; 16]>::try_from(&body[4..20]).unwrap()));
                }
                let target = Ipv6Addr::from(<[u8; 16]>::try_from(&body[4..20]).unwrap());
                // RFC 4861 7.2.5: who was not looked for is not remembered.
                if self.waiting.contains_key(&target) || self.neighbours.contains_key(&target) {
                    self.neighbours.insert(target, heard.from);
                }
                for packet in self.waiting.remove(&target).unwrap_or_default() {
                    self.out.push_back(wire::frame6(ROUTER_MAC, heard.from, &packet));
                }
            }
            What::Icmp6 { src, dst, kind: 128, body, .. } if *dst == ROUTER || self.echoes.contains(dst) => {
                let reply = wire::icmp6((ROUTER_MAC, *dst), (self.station, *src), 129, body);
                self.forward(&reply[14..]);
            }
            What::Udp6 { src, dst, ports: (546, 547), payload } => {
                assert_eq!(*dst, ALL_SERVERS);
                let rival = self.rival.as_mut().and_then(|rival| rival.answer(payload));
                let answers = [(RIVAL, rival), (ROUTER, self.dhcp.answer(payload))];
                for (server, reply) in answers {
                    reply.into_iter().for_each(|reply| self.forward(&wire::udp6((server, 547), (*src, 546), &reply)));
                }
            }
            What::Icmp6 { dst, .. } | What::Udp6 { dst, .. } | What::Other6 { dst, .. } => {
                self.carry(now, &heard, *dst);
            }
            other => panic!("not for a line: {other:?}"),
        }
        if let What::Icmp6 { kind, .. } = heard.what {
            self.icmp.push(kind);
        }
    }

    /// RFC 4861 7.2.3, RFC 4862 5.4.3.
    fn solicited(&mut self, src: Ipv6Addr, target: Ipv6Addr) {
        if src.is_unspecified() {
            self.detected.push(target);
        }
        let holder = if target == ROUTER { Some(ROUTER_MAC) } else { self.taken.get(&target).copied() };
        let Some(mac) = holder else { return };
        let (to, flags) = if src.is_unspecified() { (ALL_NODES, 0x20) } else { (src, 0x60) };
        let to_mac = if src.is_unspecified() { wire::group_mac(ALL_NODES) } else { self.station };
        let flags = if target == ROUTER { flags | 0x80 } else { flags };
        let body = [&[flags, 0, 0, 0][..], &target.octets(), &[2, 1], &mac.0].concat();
        self.out.push_back(wire::icmp6((mac, target), (to_mac, to), 136, &body));
    }

    /// A packet for somebody behind the router.
    fn carry(&mut self, now: Time, heard: &Heard, dst: Ipv6Addr) {
        if dst.is_multicast() {
            return;
        }
        assert_eq!(heard.to, ROUTER_MAC, "the next hop of {dst}");
        let Self { resolver, hosts, .. } = self;
        let host = std::iter::once(resolver as &mut dyn Host)
            .chain(hosts.iter_mut().map(|host| host.as_mut() as &mut dyn Host))
            .find(|host| host.address() == dst);
        match host {
            Some(host) => host.hear(now, &heard.packet),
            None => self.strays.push(dst),
        }
    }

    /// Sends a packet to our router, whose station is asked for if need be.
    fn forward(&mut self, packet: &[u8]) {
        let dst = Ipv6Addr::from(<[u8; 16]>::try_from(&packet[24..40]).unwrap());
        if let Some(&mac) = self.neighbours.get(&dst) {
            return self.out.push_back(wire::frame6(ROUTER_MAC, mac, packet));
        }
        let waiting = self.waiting.entry(dst).or_default();
        if waiting.len() < WAITING {
            waiting.push(packet.to_vec());
        }
        let group = wire::solicited_node(dst);
        let body = [&[0; 4][..], &dst.octets(), &[1, 1], &ROUTER_MAC.0].concat();
        self.out.push_back(wire::icmp6((ROUTER_MAC, ROUTER), (wire::group_mac(group), group), 135, &body));
    }

    /// The next frame to our router.
    pub fn poll(&mut self, now: Time) -> Option<Vec<u8>> {
        if now >= self.due {
            self.due = now + self.every;
            self.advertise();
        }
        let Self { resolver, hosts, .. } = self;
        let mut packets: Vec<Vec<u8>> = std::iter::from_fn(|| resolver.poll(now)).collect();
        for host in hosts {
            packets.extend(std::iter::from_fn(|| host.poll(now)));
        }
        packets.iter().for_each(|packet| self.forward(packet));
        if !self.alive {
            self.out.clear();
        }
        self.out.pop_front()
    }

    /// When to poll if nothing happens.
    pub fn next(&self) -> Option<Time> {
        let hosts = self.hosts.iter().filter_map(|host| host.next());
        hosts.chain(self.resolver.next()).chain([self.due]).min()
    }
}
