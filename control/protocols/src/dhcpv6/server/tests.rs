//! Clients that send what RFC 8415 has them send, and what they get.

mod stateless;

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::{DhcpOption, Message, MessageType, ORO, OptionCode};
use dhcproto::{Decodable, Encodable};
use hikyaku_net::{Mac, Time};

use super::super::SERVERS;
use super::super::duid::Duid;
use super::*;
use crate::Machine;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn station(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 1, number])
}

/// A client's link-local address.
fn source(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number.into())
}

fn client(number: u8) -> Duid {
    Duid::link_layer(station(number))
}

fn ours() -> Duid {
    Duid::link_layer(US)
}

/// What a client sends.
fn message(kind: MessageType, options: Vec<DhcpOption>) -> Message {
    let mut message = Message::new_with_id(kind, [1, 2, 3]);
    message.set_opts(options.into_iter().collect());
    message
}

fn client_id(number: u8) -> DhcpOption {
    DhcpOption::ClientId(client(number).bytes().to_vec())
}

fn server_id(duid: &Duid) -> DhcpOption {
    DhcpOption::ServerId(duid.bytes().to_vec())
}

fn wants(codes: &[u16]) -> DhcpOption {
    DhcpOption::ORO(ORO { opts: codes.iter().map(|&code| code.into()).collect() })
}

/// A server and its clock.
struct Lan {
    server: Server,
    now: Time,
    /// The last answer's bytes.
    payload: Vec<u8>,
}

impl Lan {
    fn new() -> Self {
        let mut server = Server::new(config());
        server.set(Time(0), Some(served()));
        Self { server, now: Time(1_000_000_000_000), payload: vec![] }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// A datagram of a client, and what it gets for that.
    fn datagram(&mut self, number: u8, destination: Ipv6Addr, payload: &[u8]) -> Option<Message> {
        let datagram = Datagram { station: station(number), source: source(number), destination, payload };
        self.server.handle_input(self.now, datagram);
        self.answer(number)
    }

    fn answer(&mut self, number: u8) -> Option<Message> {
        let Output::Send { station: to_station, to, payload } = self.server.drive(self.now)?;
        assert_eq!((to_station, to), (station(number), source(number)));
        assert_eq!(self.server.drive(self.now), None);
        assert!(payload.len() <= 1232, "one packet of any link");
        let message = Message::from_bytes(&payload).unwrap();
        assert_eq!(message.xid(), [1, 2, 3]);
        assert_eq!(message.opts().get(OptionCode::ServerId), Some(&server_id(&ours())));
        self.payload = payload;
        Some(message)
    }

    /// The body of an option of the last answer, as it is on the wire.
    fn body(&self, code: u16) -> Option<Vec<u8>> {
        let mut bytes = &self.payload[4..];
        while let [c0, c1, l0, l1, rest @ ..] = bytes {
            let (body, rest) = rest.split_at(u16::from_be_bytes([*l0, *l1]).into());
            if u16::from_be_bytes([*c0, *c1]) == code {
                return Some(body.to_vec());
            }
            bytes = rest;
        }
        None
    }

    fn hear(&mut self, number: u8, message: &Message) -> Option<Message> {
        self.datagram(number, SERVERS, &message.to_vec().unwrap())
    }
}

fn config() -> Config {
    Config { mac: US }
}

fn served() -> Served {
    Served {
        parameters: Parameters {
            resolvers: vec![ip("2001:db8::53"), ip("2001:db8::54")],
            domains: vec!["home.example".into(), "lab.home.example".into()],
            sntp: vec![ip("2001:db8::123")],
            ntp: vec!["2001:db8::123".into(), "ntp.example.net".into()],
        },
    }
}
