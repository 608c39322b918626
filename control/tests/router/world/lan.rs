//! Hosts of the LAN.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr};

use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Encodable};
use etherparse::PacketBuilder;
use hikyaku_net::{Mac, Time};

use super::LAN_MAC;
use super::wire::{self, Heard, What};

/// The router's address on the first LAN of most tests.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// A host of the LAN.
pub struct Station {
    pub mac: Mac,
    /// Configured by hand, or leased.
    pub address: Option<Ipv4Addr>,
    /// Where the router is, by ARP.
    pub gateway: Option<Mac>,
    /// Whether it answers.
    pub alive: bool,
    /// ARP requests that it was sent.
    pub asked: u64,
    /// Frames with IPv4 for it, besides DHCP's.
    pub received: u64,
    /// Its DHCP client identifier, if it has one.
    pub id: Option<Vec<u8>>,
    /// Its IPv6 addresses, of which it tells who asks.
    pub ipv6: Vec<Ipv6Addr>,
}

/// A router advertisement as it came, taken apart here (RFC 4861 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: Time,
    pub from: Ipv6Addr,
    pub to: Ipv6Addr,
    /// M, O and the preference (RFC 4861 4.2, RFC 4191 2.2).
    pub flags: u8,
    pub lifetime: u16,
    pub mtu: u32,
    /// Each with its flags, valid and preferred lifetime.
    pub prefixes: Vec<(Ipv6Addr, u8, u32, u32)>,
    /// Each with its lifetime.
    pub resolvers: Vec<(Ipv6Addr, u32)>,
    /// Each with its length and lifetime (RFC 4191 2.3).
    pub routes: Vec<(Ipv6Addr, u8, u32)>,
}

fn told(at: Time, (from, to): (Ipv6Addr, Ipv6Addr), body: &[u8]) -> Told {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let address = |bytes: &[u8]| Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap());
    let lifetime = u16::from_be_bytes([body[2], body[3]]);
    let mut told = Told {
        at,
        from,
        to,
        flags: body[1],
        lifetime,
        mtu: 0,
        prefixes: Vec::new(),
        resolvers: Vec::new(),
        routes: Vec::new(),
    };
    let mut options = &body[12..];
    while !options.is_empty() {
        let (option, rest) = options.split_at(usize::from(options[1]) * 8);
        match option[0] {
            1 => assert_eq!(option[2..], LAN_MAC.0),
            3 => {
                assert_eq!(option[2], 64);
                let (valid, preferred) = (number(&option[4..8]), number(&option[8..12]));
                told.prefixes.push((address(&option[16..]), option[3], valid, preferred));
            }
            5 => told.mtu = number(&option[4..]),
            24 => {
                let prefix = [&option[8..], &[0; 8]].concat();
                told.routes.push((address(&prefix), option[2], number(&option[4..8])));
            }
            25 => told.resolvers.push((address(&option[8..]), number(&option[4..8]))),
            31 => {}
            other => panic!("option {other}"),
        }
        options = rest;
    }
    told
}

/// The hosts of a LAN.
pub struct Lan {
    /// The router's address there.
    pub gateway: Ipv4Addr,
    pub stations: Vec<Station>,
    /// Frames with IPv6 that were seen.
    pub ipv6: u64,
    /// Router advertisements that were heard.
    pub told: Vec<Told>,
    /// Echo replies that were heard, by who sent them (RFC 4443 4.2).
    pub echoed: Vec<Ipv6Addr>,
    /// Advertised addresses, and to whom (RFC 4861 4.4).
    pub neighbours: Vec<(Ipv6Addr, Ipv6Addr)>,
    /// Addresses that our router asked for before using them (RFC 4862 5.4).
    pub detected: Vec<Ipv6Addr>,
    /// DHCPv6 messages that came back, each with whom it was for.
    pub dhcpv6: Vec<(Mac, Vec<u8>)>,
    out: VecDeque<Vec<u8>>,
}

impl Lan {
    pub fn new(gateway: Ipv4Addr) -> Self {
        Self {
            gateway,
            stations: Vec::new(),
            ipv6: 0,
            told: Vec::new(),
            echoed: Vec::new(),
            neighbours: Vec::new(),
            detected: Vec::new(),
            dhcpv6: Vec::new(),
            out: VecDeque::new(),
        }
    }

    /// A host that is plugged in. Its number.
    pub fn plug(&mut self, address: Option<Ipv4Addr>) -> usize {
        let mac = Mac([2, 0, 0, 1, 0, self.stations.len() as u8]);
        self.stations.push(Station {
            mac,
            address,
            gateway: None,
            alive: true,
            asked: 0,
            received: 0,
            id: None,
            ipv6: Vec::new(),
        });
        self.stations.len() - 1
    }

    /// It asks for the router.
    pub fn ask_for_gateway(&mut self, at: usize) {
        let station = &self.stations[at];
        let address = station.address.expect("an address to ask from");
        self.out.push_back(wire::arp(true, station.mac, address, Mac::BROADCAST, self.gateway));
    }

    /// It asks for routers from this address, and says where it is (RFC 4861 4.1).
    pub fn solicit_routers(&mut self, at: usize, from: Ipv6Addr) {
        let mac = self.stations[at].mac;
        let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
        let body = [&[0; 4][..], &[1, 1], &mac.0].concat();
        self.out.push_back(wire::icmp6((mac, from), (wire::group_mac(all_routers), all_routers), 133, &body));
    }

    /// It asks where an address is; from `::` whether anybody has it.
    pub fn ask6(&mut self, at: usize, from: Ipv6Addr, target: Ipv6Addr) {
        let mac = self.stations[at].mac;
        let option = if from.is_unspecified() { vec![] } else { [&[1, 1], &mac.0[..]].concat() };
        let body = [&[0; 4][..], &target.octets(), &option].concat();
        let group = wire::solicited_node(target);
        self.out.push_back(wire::icmp6((mac, from), (wire::group_mac(group), group), 135, &body));
    }

    /// It sends this to all DHCPv6 servers (RFC 8415 7.1, 7.2).
    pub fn ask_dhcpv6(&mut self, at: usize, from: Ipv6Addr, payload: &[u8]) {
        let mac = self.stations[at].mac;
        let servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
        let packet = wire::udp6((from, 546), (servers, 547), payload);
        self.out.push_back(wire::frame6(mac, wire::group_mac(servers), &packet));
    }

    /// It pings an address of the router's.
    pub fn ping6(&mut self, at: usize, from: Ipv6Addr, to: Ipv6Addr) {
        let mac = self.stations[at].mac;
        self.out.push_back(wire::icmp6((mac, from), (LAN_MAC, to), 128, &[0, 1, 0, 1, 7]));
    }

    /// It asks for an address (RFC 2131 3.1).
    pub fn discover(&mut self, at: usize) {
        self.send(at, MessageType::Discover, &[]);
    }

    /// It asks for the address that it had before (RFC 2131 3.2).
    pub fn reboot(&mut self, at: usize) {
        let had = self.stations[at].address.take().expect("an address of before");
        self.send(at, MessageType::Request, &[DhcpOption::RequestedIpAddress(had)]);
    }

    fn send(&mut self, at: usize, kind: MessageType, options: &[DhcpOption]) {
        let mac = self.stations[at].mac;
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(7, none, none, none, none, &mac.0);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        let id = self.stations[at].id.clone().map(DhcpOption::ClientIdentifier);
        for option in options.iter().cloned().chain(id) {
            message.opts_mut().insert(option);
        }
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(mac.0, [0xff; 6])
            .ipv4([0; 4], [0xff; 4], 64)
            .udp(68, 67)
            .write(&mut frame, &message.to_vec().unwrap())
            .unwrap();
        self.out.push_back(frame);
    }

    /// A frame of our router's came.
    pub fn hear(&mut self, now: Time, frame: &[u8]) {
        let heard = wire::read(frame);
        assert_eq!(heard.from, LAN_MAC);
        self.ipv6 += u64::from(heard.packet[0] >> 4 == 6);
        self.hear_ipv6(now, &heard);
        if let What::Udp6 { ports: (547, 546), payload, .. } = &heard.what {
            self.dhcpv6.push((heard.to, payload.clone()));
        }
        let meant = |mac: Mac| heard.to == mac || heard.to.0[0] & 1 == 1;
        let alive: Vec<usize> =
            (0..self.stations.len()).filter(|&at| self.stations[at].alive && meant(self.stations[at].mac)).collect();
        for at in alive {
            let station = &mut self.stations[at];
            match &heard.what {
                What::Arp { request: true, mac, sender, target } if Some(*target) == station.address => {
                    station.asked += 1;
                    self.out.push_back(wire::arp(false, station.mac, *target, *mac, *sender));
                }
                What::Arp { mac, sender, .. } if *sender == self.gateway => station.gateway = Some(*mac),
                What::Udp4 { ports: (67, 68), payload } => self.hear_dhcp(at, payload),
                What::Arp { .. } | What::Icmp6 { .. } | What::Other6 { .. } | What::Other => {}
                _ => station.received += 1,
            }
        }
    }

    fn hear_ipv6(&mut self, now: Time, heard: &Heard) {
        let What::Icmp6 { src, dst, hop_limit, kind, body } = &heard.what else { return };
        match kind {
            129 => self.echoed.push(*src),
            134 => {
                assert_eq!(*hop_limit, 255, "RFC 4861 6.1.2");
                self.told.push(told(now, (*src, *dst), body));
            }
            136 => {
                let target = Ipv6Addr::from(<[u8; 16]>::try_from(&body[4..20]).unwrap());
                self.neighbours.push((target, *dst));
            }
            135 => {
                let target = Ipv6Addr::from(<[u8; 16]>::try_from(&body[4..20]).unwrap());
                if src.is_unspecified() {
                    self.detected.push(target);
                }
                let holders = self.stations.iter().filter(|station| station.alive && station.ipv6.contains(&target));
                for station in holders {
                    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                    let (to, to_mac, flags) = match src.is_unspecified() {
                        true => (all_nodes, wire::group_mac(all_nodes), 0x20),
                        false => (*src, LAN_MAC, 0x60),
                    };
                    let body = [&[flags, 0, 0, 0][..], &target.octets(), &[2, 1], &station.mac.0].concat();
                    self.out.push_back(wire::icmp6((station.mac, target), (to_mac, to), 136, &body));
                }
            }
            _ => {}
        }
    }

    fn hear_dhcp(&mut self, at: usize, payload: &[u8]) {
        let message = Message::from_bytes(payload).unwrap();
        if message.chaddr() != self.stations[at].mac.0 {
            return;
        }
        match message.opts().msg_type() {
            Some(MessageType::Offer) => {
                let server = message.opts().get(OptionCode::ServerIdentifier).expect("RFC 2131 4.3.1").clone();
                let options = [DhcpOption::RequestedIpAddress(message.yiaddr()), server];
                self.send(at, MessageType::Request, &options);
            }
            Some(MessageType::Ack) => self.stations[at].address = Some(message.yiaddr()),
            Some(MessageType::Nak) => self.stations[at].address = None,
            other => panic!("{other:?}"),
        }
    }

    /// The next frame to our router.
    pub fn poll(&mut self, _now: Time) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// When to poll if nothing happens.
    pub fn next(&self) -> Option<Time> {
        None
    }
}
