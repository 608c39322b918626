//! Clients that send what RFC 8415 has them send, and what they get.

mod lifetimes;
mod model;
mod stateful;
mod stateless;

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IAPrefix, Message, MessageType, ORO, OptionCode, Status,
};
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
    events: Vec<Event>,
    /// Nothing is written.
    is_disk_full: bool,
}

impl Lan {
    fn new() -> Self {
        let (mut server, now) = (Server::new(config()), Time(1_000_000_000_000));
        server.set(now, Some(served()));
        Self { server, now, payload: vec![], events: vec![], is_disk_full: false }
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    fn set(&mut self, served: Served) {
        self.server.set(self.now, Some(served));
    }

    /// A datagram of a client, and what it gets for that.
    fn datagram(&mut self, number: u8, destination: Ipv6Addr, payload: &[u8]) -> Option<Message> {
        let datagram = Datagram { station: station(number), source: source(number), destination, payload };
        self.server.handle_input(self.now, datagram);
        self.answer(number)
    }

    /// What comes of it, with leases written at once.
    fn answer(&mut self, number: u8) -> Option<Message> {
        let mut sent = None;
        while let Some(output) = self.server.drive(self.now) {
            match output {
                Output::Send { station: to_station, to, payload } => {
                    assert_eq!((to_station, to, &sent), (station(number), source(number), &None));
                    sent = Some(payload);
                }
                Output::Save if self.is_disk_full => {}
                Output::Save => self.server.saved(self.server.changes()),
                Output::Event(event) => self.events.push(event),
            }
        }
        self.payload = sent?;
        assert!(self.payload.len() <= 1232, "one packet of any link");
        let message = Message::from_bytes(&self.payload).unwrap();
        assert_eq!(message.xid(), [1, 2, 3]);
        assert_eq!(message.opts().get(OptionCode::ServerId), Some(&server_id(&ours())));
        Some(message)
    }

    /// A client's message about leases, to us where it has to be.
    fn says(&mut self, number: u8, kind: MessageType, associations: &[DhcpOption]) -> Option<Message> {
        let to_us = !matches!(kind, MessageType::Solicit | MessageType::Rebind | MessageType::Confirm);
        let server = to_us.then(|| server_id(&ours()));
        let options = [client_id(number)].into_iter().chain(server).chain(associations.iter().cloned());
        self.hear(number, &message(kind, options.collect()))
    }

    /// The same about one association, and what comes of that.
    fn about(&mut self, number: u8, kind: MessageType, is_pd: bool, named: &[&str]) -> Option<Got> {
        let answer = self.says(number, kind, &[ia(is_pd, 1, named)])?;
        Some(got(&answer, is_pd, 1).unwrap_or_else(|| panic!("{answer:?}")))
    }

    /// A lease by Solicit and Request, as it is called.
    fn lease(&mut self, number: u8, is_pd: bool) -> String {
        let offered = self.about(number, MessageType::Solicit, is_pd, &[]).expect("an Advertise");
        let leased = self.about(number, MessageType::Request, is_pd, &[offered.what()]).expect("a Reply");
        assert_eq!(leased.leases, offered.leases);
        leased.what().to_owned()
    }

    fn restart(&mut self, wall: u64) {
        let file = self.server.snapshot(self.now, wall).file();
        let file: LeaseFile = serde_json::from_str(&serde_json::to_string(&file).unwrap()).unwrap();
        self.server = Server::new(config());
        self.server.restore(self.now, wall, &file);
        self.events.clear();
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
    Config {
        mac: US,
        secret: [7; 32],
        reservations: vec![
            Reservation { client: Client::Station(station(50)), interface_id: token("::50"), subnet: Some(0x30) },
            Reservation { client: Client::Duid(client(51)), interface_id: token("::51"), subnet: None },
        ],
    }
}

fn token(text: &str) -> Option<Token> {
    Some(text.parse().unwrap())
}

fn parameters() -> Parameters {
    Parameters {
        resolvers: vec![ip("2001:db8::53"), ip("2001:db8::54")],
        domains: vec!["home.example".into(), "lab.home.example".into()],
        sntp: vec![ip("2001:db8::123")],
        ntp: vec!["2001:db8::123".into(), "ntp.example.net".into()],
    }
}

/// A line that delegates 2001:db8:N:aa00::/56, of which number 1 is the LAN's, and routers behind get prefixes of 60 bits.
fn line(number: u16, preferred: u64, valid: u64) -> Served {
    let subnet = |id: u16| Ipv6Addr::new(0x2001, 0xdb8, number, 0xaa00 + id, 0, 0, 0, 0);
    let prefix = |id, len| Prefix6::new(subnet(id), len).unwrap();
    let (preferred, valid) = (Some(preferred), Some(valid));
    Served {
        parameters: parameters(),
        on_link: vec![OnLink { prefix: prefix(1, 64), preferred, valid }],
        delegable: vec![Delegable {
            prefix: prefix(0, 56),
            len: 60,
            taken: vec![prefix(0, 64), prefix(1, 64)],
            preferred,
            valid,
        }],
    }
}

fn served() -> Served {
    line(1, 14_400, 43_200)
}

/// An association as a message names it: whether of prefixes, its id, what is in it.
fn ia(is_pd: bool, id: u32, named: &[&str]) -> DhcpOption {
    let prefix = |text: &str| -> Prefix6 { text.parse().unwrap() };
    let (t1, t2) = (0, 0);
    match is_pd {
        false => {
            let address = |text: &&str| {
                let opts = Default::default();
                DhcpOption::IAAddr(IAAddr { addr: ip(text), preferred_life: 0, valid_life: 0, opts })
            };
            DhcpOption::IANA(IANA { id, t1, t2, opts: named.iter().map(address).collect() })
        }
        true => {
            let prefix = |text: &&str| {
                let (prefix_ip, prefix_len) = (prefix(text).address(), prefix(text).len());
                let (preferred_lifetime, valid_lifetime, opts) = Default::default();
                DhcpOption::IAPrefix(IAPrefix { preferred_lifetime, valid_lifetime, prefix_len, prefix_ip, opts })
            };
            DhcpOption::IAPD(IAPD { id, t1, t2, opts: named.iter().map(prefix).collect() })
        }
    }
}

/// What an answer has in an association: T1, T2, leases with preferred and valid lifetimes, and its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Got {
    times: (u32, u32),
    leases: Vec<(String, u32, u32)>,
    status: Option<Status>,
}

impl Got {
    fn refusal(status: Status) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// The only lease.
    fn what(&self) -> &str {
        assert_eq!((self.leases.len(), self.status), (1, None), "{self:?}");
        &self.leases[0].0
    }
}

fn status(opts: &DhcpOptions) -> Option<Status> {
    match opts.get(OptionCode::StatusCode) {
        Some(DhcpOption::StatusCode(code)) => Some(code.status),
        _ => None,
    }
}

/// What an answer has in the association of this kind and id.
fn got(message: &Message, is_pd: bool, iaid: u32) -> Option<Got> {
    let lease = |option: &DhcpOption| match option {
        DhcpOption::IAAddr(a) => Some((a.addr.to_string(), a.preferred_life, a.valid_life)),
        DhcpOption::IAPrefix(p) => {
            Some((format!("{}/{}", p.prefix_ip, p.prefix_len), p.preferred_lifetime, p.valid_lifetime))
        }
        _ => None,
    };
    let of = |id: u32, t1, t2, opts: &DhcpOptions| {
        let leases = opts.iter().filter_map(lease).collect();
        (id == iaid).then(|| Got { times: (t1, t2), leases, status: status(opts) })
    };
    message.opts().iter().find_map(|option| match option {
        DhcpOption::IANA(ia) if !is_pd => of(ia.id, ia.t1, ia.t2, &ia.opts),
        DhcpOption::IAPD(ia) if is_pd => of(ia.id, ia.t1, ia.t2, &ia.opts),
        _ => None,
    })
}
