//! Names for hosts of the LANs: what the forwarder of each is told, and its questions on the line. They run on a thread of their own
//! (`run::names`), which is given [`ToForwarder`] and gives [`forwarder::Upstream`].

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_config as config;
use hikyaku_net::{Time, protocol};
use hikyaku_protocols::forwarder::{self, Domain, Forwarder, Host, Place, Settings, StreamId};
use hikyaku_protocols::sockets::Stack;

use super::choose::Choice;
use super::connection::Connection;
use super::host_names::hosts;
use super::machines::Machines;
use super::wire::{self, Packet6};

/// How long an answer is waited for at a port, if the forwarder does not say that it is not: longer than it waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ports that may be open at once.
const MAX_PORTS: usize = 2048;
/// TCP connections at once, of those that our sockets have for all.
const MAX_STREAMS: usize = 8;
/// Messages that wait for the forwarder's thread.
const MAX_HEARD: usize = 512;

/// For the forwarder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToForwarder {
    /// How things are.
    Told(Box<Told>),
    /// A message came to a port of its.
    Heard(Heard),
    /// Bytes came by a TCP connection.
    Stream(StreamId, Vec<u8>),
    /// A TCP connection is not to be had, or is over.
    StreamFailed(StreamId),
}

/// How things are: `settings` is `None` while nobody is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who may ask, and which addresses of ours.
    pub place: Place,
    /// Whom to ask, and what is known here.
    pub settings: Option<Settings>,
}

/// A message that came from the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Whose, and from which port.
    pub from: (Ipv6Addr, u16),
    /// The port of ours.
    pub port: u16,
    /// The UDP payload.
    pub message: Vec<u8>,
}

/// How the forwarder is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamesStatus {
    /// Questions and what became of them.
    pub counts: forwarder::Counts,
    /// Who is asked, best first, and whether each has answered lately.
    pub servers: Vec<(Ipv6Addr, bool)>,
    /// Answers that are kept, and the bytes that they take, about.
    pub kept: (usize, usize),
    /// Questions that are open upstream.
    pub open: usize,
}

impl NamesStatus {
    /// That of a forwarder.
    pub fn of(forwarder: &Forwarder, now: Time) -> Self {
        let (kept, open) = (forwarder.kept(), forwarder.open());
        Self { counts: forwarder.counts, servers: forwarder.servers(now), kept, open }
    }
}

/// The forwarder's ports on the line, and what is on its way to it.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    /// Open ports, and until when at most.
    ports: HashMap<u16, Time>,
    connections: HashMap<StreamId, Connection>,
    waiting: VecDeque<ToForwarder>,
    told: Option<Told>,
    /// What that was made of, besides the configuration and the names of hosts.
    basis: Option<(Place, Vec<IpAddr>, Vec<IpAddr>)>,
}

impl Forwarding {
    /// A message to this port will be the forwarder's.
    pub fn open(&mut self, now: Time, port: u16) {
        if self.ports.len() >= MAX_PORTS {
            self.ports.retain(|_, &mut until| until > now);
        }
        if self.ports.len() < MAX_PORTS {
            self.ports.insert(port, now + PATIENCE);
        }
    }

    pub fn close(&mut self, port: u16) {
        self.ports.remove(&port);
    }

    /// Where it listens.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().copied()
    }

    /// Whether a packet is the forwarder's.
    pub fn hear(&mut self, packet: &Packet6) -> bool {
        let word = |at: usize| packet.payload.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
        let (protocol::UDP, Some(from), Some(port)) = (packet.protocol, word(0), word(2)) else { return false };
        if !self.ports.contains_key(&port) {
            return false;
        }
        if let Some(message) = wire::udp_to(packet, port).filter(|_| self.waiting.len() < MAX_HEARD) {
            self.waiting.push_back(ToForwarder::Heard(Heard {
                from: (packet.src, from),
                port,
                message: message.into(),
            }));
        }
        true
    }

    /// Asks `stack` for a connection.
    pub fn open_stream(
        &mut self,
        stack: &Stack,
        stream: StreamId,
        server: Ipv6Addr,
        from: Option<Ipv6Addr>,
        payload: Vec<u8>,
    ) {
        let has_room = self.connections.len() < MAX_STREAMS;
        let opened = has_room.then(|| Connection::open(stack, server.into(), |_| from, payload)).flatten();
        match opened {
            Some(connection) => drop(self.connections.insert(stream, connection)),
            None => self.waiting.push_back(ToForwarder::StreamFailed(stream)),
        }
    }

    pub fn close_stream(&mut self, stream: StreamId) {
        self.connections.remove(&stream).into_iter().for_each(Connection::close);
    }

    /// Hears what came by connections; to be called when our sockets have nothing more to send. True if they may have again, or
    /// there may be more to hear.
    pub fn hear_connections(&mut self) -> bool {
        let (mut goes_on, waiting) = (false, &mut self.waiting);
        self.connections.retain(|&stream, connection| {
            let was_opening = connection.is_opening();
            match connection.hear() {
                Ok(bytes) => {
                    goes_on |= !bytes.is_empty() || was_opening && !connection.is_opening();
                    if !bytes.is_empty() {
                        waiting.push_back(ToForwarder::Stream(stream, bytes));
                    }
                    true
                }
                Err(_) => {
                    waiting.push_back(ToForwarder::StreamFailed(stream));
                    false
                }
            }
        });
        goes_on
    }

    /// What is to be given to the forwarder next.
    pub fn next(&mut self) -> Option<ToForwarder> {
        self.waiting.pop_front()
    }

    /// Tells the forwarder how things are, if they are others than it knows.
    fn tell(&mut self, told: Told) {
        if self.told.as_ref() != Some(&told) {
            // What is not true any more need not be told.
            self.waiting.retain(|message| !matches!(message, ToForwarder::Told(_)));
            self.waiting.push_back(ToForwarder::Told(Box::new(told.clone())));
            self.told = Some(told);
        }
    }
}

impl Machines {
    /// Tells the forwarders how things are, if they are others than they know. `all`: names of hosts and the configuration are
    /// looked at, too.
    pub fn tell_forwarders(&mut self, now: Time, choice: &Choice, all: bool) {
        for ((lan, has), forwarding) in self.lans.iter().zip(&choice.lans).zip(&mut self.wan.forwardings) {
            let is_ready = lan.is_ready();
            let place = Place {
                mac: lan.link.mac,
                addresses: if is_ready { lan.ours() } else { Vec::new() },
                ipv4: lan.config.ipv4.prefix(),
                ipv6: has.prefixes().collect(),
            };
            let uplink = &choice.uplink;
            let basis = Some((place.clone(), uplink.resolvers.clone(), uplink.named_resolvers.clone()));
            if !all && forwarding.basis == basis {
                continue;
            }
            forwarding.basis = basis;
            let dns = lan.config.dns.as_ref().filter(|_| is_ready);
            let settings = dns.map(|dns| settings(dns, choice, hosts(now, lan, has, dns)));
            forwarding.tell(Told { place, settings });
        }
    }
}

fn settings(dns: &config::LanDns, choice: &Choice, hosts: Vec<Host>) -> Settings {
    let line = v6(&choice.uplink.named_resolvers);
    Settings {
        servers: v6(&choice.uplink.resolvers),
        domains: dns.forwards.iter().map(|forward| domain(forward, &line)).collect(),
        hosts,
        own_domain: dns.domain.clone(),
        inside_allowed: dns.rebinding_protection.then(|| dns.rebinding_allowed.clone()),
        drops_aaaa: dns.filter_aaaa,
        cache_bytes: dns.cache,
    }
}

fn domain(forward: &config::DnsForward, line: &[Ipv6Addr]) -> Domain {
    let config::DnsForward { name, servers } = forward;
    let (inside_allowed, servers) = if servers.is_empty() { (false, line) } else { (true, &servers[..]) };
    Domain { name: name.clone(), servers: servers.to_vec(), inside_allowed }
}

/// IPv4 resolvers are not asked: our own sockets on the line are IPv6.
fn v6(addresses: &[IpAddr]) -> Vec<Ipv6Addr> {
    let six = |address: &IpAddr| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    };
    addresses.iter().filter_map(six).collect()
}
