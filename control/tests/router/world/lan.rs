//! Hosts of the LAN.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Encodable};
use etherparse::PacketBuilder;
use hikyaku_net::{Mac, Time};

use super::LAN_MAC;
use super::wire::{self, What};

/// The router's address on the LAN.
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
}

/// The hosts of the LAN.
pub struct Lan {
    pub stations: Vec<Station>,
    /// Frames with IPv6 that were seen.
    pub ipv6: u64,
    out: VecDeque<Vec<u8>>,
}

impl Lan {
    pub fn new() -> Self {
        Self { stations: Vec::new(), ipv6: 0, out: VecDeque::new() }
    }

    /// A host that is plugged in. Its number.
    pub fn plug(&mut self, address: Option<Ipv4Addr>) -> usize {
        let mac = Mac([2, 0, 0, 1, 0, self.stations.len() as u8]);
        self.stations.push(Station { mac, address, gateway: None, alive: true, asked: 0, received: 0, id: None });
        self.stations.len() - 1
    }

    /// It asks for the router.
    pub fn ask_for_gateway(&mut self, at: usize) {
        let station = &self.stations[at];
        let address = station.address.expect("an address to ask from");
        self.out.push_back(wire::arp(true, station.mac, address, Mac::BROADCAST, GATEWAY));
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
    pub fn hear(&mut self, _now: Time, frame: &[u8]) {
        let heard = wire::read(frame);
        assert_eq!(heard.from, LAN_MAC);
        self.ipv6 += u64::from(heard.packet[0] >> 4 == 6);
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
                What::Arp { mac, sender: GATEWAY, .. } => station.gateway = Some(*mac),
                What::Udp4 { ports: (67, 68), payload } => self.hear_dhcp(at, payload),
                What::Arp { .. } | What::Icmp6 { .. } | What::Other => {}
                _ => station.received += 1,
            }
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
