//! Histories: a client, a clock, and servers that say what the test wants.

mod doubt;
mod garbage;
mod leases;
mod rivals;
mod servers;
mod stateless;

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IAPrefix, Message, MessageType, OptionCode, Status, StatusCode,
};
use dhcproto::{Decodable, Encodable};
use hikyaku_net::{Mac, Time};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::Machine;

const MAC: Mac = Mac([2, 0, 0, 0x12, 0x34, 0x56]);
const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const PREFIX: &str = "2001:db8:1100::/56";
const OTHER: &str = "2001:db8:2200::/56";

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

/// A client and its clock.
struct Line {
    client: Client,
    now: Time,
    events: Vec<Event>,
}

impl Line {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(MAC);
        change(&mut config);
        let client = Client::with_rng(config, StdRng::seed_from_u64(7));
        Self { client, now: Time(50_000_000_000), events: Vec::new() }
    }

    fn after(&self, seconds: u64) -> Time {
        self.now + Duration::from_secs(seconds)
    }

    /// What is to be sent at this moment.
    fn sends(&mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        while let Some(output) = self.client.drive(self.now) {
            match output {
                Output::Send { to, payload } => {
                    assert_eq!(to, SERVERS);
                    sent.push(Message::from_bytes(&payload).unwrap());
                }
                Output::Event(event) => self.events.push(event),
            }
        }
        assert!(self.client.poll_timeout().is_none_or(|next| next > self.now), "everything due was done");
        sent
    }

    /// Time passes up to the next message; panics if none comes before `until`.
    fn next_message(&mut self, until: Time) -> Message {
        loop {
            let mut sent = self.sends();
            assert!(sent.len() <= 1);
            if let Some(message) = sent.pop() {
                return message;
            }
            self.now = self.client.poll_timeout().filter(|&next| next <= until).expect("a message before the end");
        }
    }

    fn expect(&mut self, kind: MessageType, within: u64) -> Message {
        let message = self.next_message(self.after(within));
        assert_eq!(message.msg_type(), kind, "{message:?}");
        message
    }

    /// The same, with Information-requests passed over.
    fn expect_beside(&mut self, kind: MessageType, within: u64) -> Message {
        let end = self.after(within);
        loop {
            let message = self.next_message(end);
            if message.msg_type() != MessageType::InformationRequest {
                assert_eq!(message.msg_type(), kind, "{message:?}");
                return message;
            }
        }
    }

    /// How many of this kind are sent until then.
    fn count(&mut self, kind: MessageType, until: Time) -> usize {
        self.pass(until).iter().filter(|message| message.msg_type() == kind).count()
    }

    /// Time passes, with whatever is sent in it.
    fn pass(&mut self, until: Time) -> Vec<Message> {
        let mut sent = self.sends();
        while let Some(next) = self.client.poll_timeout().filter(|&next| next <= until) {
            self.now = next;
            sent.extend(self.sends());
        }
        self.now = until;
        sent
    }

    fn hear(&mut self, message: &Message) {
        self.client.handle_input(self.now, SOURCE, &message.to_vec().unwrap());
    }

    fn events(&mut self) -> Vec<Event> {
        while let Some(output) = self.client.drive(self.now) {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Send { .. } => panic!("sends"),
            }
        }
        std::mem::take(&mut self.events)
    }

    /// Through Solicit, Advertise, Request and Reply.
    fn bind(&mut self) {
        self.client.set_mode(self.now, Mode::Stateful);
        let solicit = self.expect(MessageType::Solicit, 1);
        self.hear(&answer(&solicit, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
        let request = self.expect(MessageType::Request, 2);
        self.hear(&answer(&request, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 3600, 5760), dns(1)]));
        assert_eq!(self.client.state(), State::Bound);
        let server = Duid::new(b"server").unwrap();
        let bound = Event::Bound { server, prefixes: vec![prefix(PREFIX)], addresses: vec![] };
        assert_eq!(self.events(), [bound, Event::Informed]);
    }
}

/// A server's message, with what every answer has.
fn answer<const N: usize>(to: &Message, kind: MessageType, server: &[u8], options: [DhcpOption; N]) -> Message {
    let mut message = Message::new_with_id(kind, to.xid());
    let client = to.opts().get(OptionCode::ClientId).unwrap().clone();
    message.set_opts([client, DhcpOption::ServerId(server.to_vec())].into_iter().chain(options).collect());
    message
}

const IAID: u32 = u32::from_be_bytes([0, 0x12, 0x34, 0x56]);

/// An IA_PD: prefixes with their valid lifetimes; the preferred ones are half.
fn lease(prefixes: &[(&str, u32)], t1: u32, t2: u32) -> DhcpOption {
    let opts = prefixes.iter().map(|&(text, valid)| {
        let prefix = prefix(text);
        DhcpOption::IAPrefix(IAPrefix {
            preferred_lifetime: valid / 2,
            valid_lifetime: valid,
            prefix_len: prefix.len(),
            prefix_ip: prefix.address(),
            opts: DhcpOptions::new(),
        })
    });
    DhcpOption::IAPD(IAPD { id: IAID, t1, t2, opts: opts.collect() })
}

fn address(text: &str, valid_life: u32) -> DhcpOption {
    let (addr, opts) = (text.parse().unwrap(), DhcpOptions::new());
    let opts = [DhcpOption::IAAddr(IAAddr { addr, preferred_life: valid_life, valid_life, opts })];
    DhcpOption::IANA(IANA { id: IAID, t1: 0, t2: 0, opts: opts.into_iter().collect() })
}

/// A prefix as it stands in an IA_PD, with this status beside it.
fn in_association(text: &str, preferred_lifetime: u32, valid_lifetime: u32, code: Status) -> DhcpOption {
    let (address, len) = text.split_once('/').unwrap();
    let opts = if code == Status::Success { DhcpOptions::new() } else { [status(code)].into_iter().collect() };
    let (prefix_ip, prefix_len) = (address.parse().unwrap(), len.parse().unwrap());
    DhcpOption::IAPrefix(IAPrefix { preferred_lifetime, valid_lifetime, prefix_len, prefix_ip, opts })
}

/// An IA_PD with these in it.
fn association<const N: usize>(t1: u32, t2: u32, options: [DhcpOption; N]) -> DhcpOption {
    DhcpOption::IAPD(IAPD { id: IAID, t1, t2, opts: options.into_iter().collect() })
}

fn unknown(code: OptionCode, data: &[u8]) -> DhcpOption {
    DhcpOption::Unknown(dhcproto::v6::UnknownOption::new(code, data.to_vec()))
}

fn status(status: Status) -> DhcpOption {
    DhcpOption::StatusCode(StatusCode { status, msg: "words".to_owned() })
}

/// An IA_PD with nothing but a status.
fn no_lease(code: Status) -> DhcpOption {
    DhcpOption::IAPD(IAPD { id: IAID, t1: 0, t2: 0, opts: [status(code)].into_iter().collect() })
}

fn dns(last: u16) -> DhcpOption {
    DhcpOption::DomainNameServers(vec![Ipv6Addr::new(0x2404, 0x1a8, 0, 0, 0, 0, 0, last)])
}

/// The IA_PD of a message of ours, as text.
fn asked(message: &Message) -> Vec<String> {
    let Some(DhcpOption::IAPD(ia)) = message.opts().get(OptionCode::IAPD) else { return vec![] };
    assert_eq!(ia.id, IAID);
    let prefixes = ia.opts.iter().map(|option| match option {
        DhcpOption::IAPrefix(p) => format!("{}/{}", p.prefix_ip, p.prefix_len),
        option => panic!("{option:?}"),
    });
    prefixes.collect()
}

fn has(message: &Message, code: OptionCode) -> bool {
    message.opts().get(code).is_some()
}

fn requested(message: &Message) -> Vec<u16> {
    match message.opts().get(OptionCode::ORO) {
        Some(DhcpOption::ORO(oro)) => oro.opts.iter().map(|&code| code.into()).collect(),
        _ => vec![],
    }
}
