//! The line's DHCPv6 server: information, and a delegated prefix where there is one.

use std::net::Ipv6Addr;

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAPD, IAPrefix, Message, MessageType, OptionCode, Status, StatusCode, UnknownOption,
};
use dhcproto::{Decodable, Encodable};

/// Preferred and valid lifetime of a lease; T1 and T2 are a half and four fifths of the first.
const LIFETIMES: (u32, u32) = (7200, 14400);

/// The line's DHCPv6 server.
pub struct Server {
    /// Its DUID (RFC 8415 11).
    pub id: Vec<u8>,
    /// Whether it answers.
    pub alive: bool,
    /// The prefix that it delegates.
    pub prefix: Option<(Ipv6Addr, u8)>,
    /// The prefix that it takes back beside it (RFC 8415 18.3.4).
    pub taken_back: Option<(Ipv6Addr, u8)>,
    /// Resolvers that it names (option 23, RFC 3646).
    pub resolvers: Vec<Ipv6Addr>,
    /// Option 64 (RFC 6334).
    pub aftr: Option<String>,
    /// Any other, as bytes.
    pub others: Vec<(u16, Vec<u8>)>,
    /// What was asked of it.
    pub asked: Vec<MessageType>,
}

impl Server {
    pub fn new() -> Self {
        Self {
            id: b"\0\x03\0\x01server".to_vec(),
            alive: true,
            prefix: None,
            taken_back: None,
            resolvers: Vec::new(),
            aftr: None,
            others: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The answer to a UDP payload.
    pub fn answer(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let query = Message::from_bytes(payload).unwrap();
        self.asked.push(query.msg_type());
        if !self.alive {
            return None;
        }
        let kind = match query.msg_type() {
            MessageType::Solicit => {
                self.prefix?;
                MessageType::Advertise
            }
            _ => MessageType::Reply,
        };
        let mut reply = Message::new_with_id(kind, query.xid());
        let opts = reply.opts_mut();
        if let Some(client) = query.opts().get(OptionCode::ClientId) {
            opts.insert(client.clone());
        }
        opts.insert(DhcpOption::ServerId(self.id.clone()));
        if let Some(DhcpOption::IAPD(asked)) = query.opts().get(OptionCode::IAPD) {
            opts.insert(self.association(asked.id, query.msg_type()));
        }
        if !self.resolvers.is_empty() {
            opts.insert(DhcpOption::DomainNameServers(self.resolvers.clone()));
        }
        if let Some(name) = &self.aftr {
            let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
            let wire: Vec<u8> = labels.chain([0]).collect();
            opts.insert(DhcpOption::Unknown(UnknownOption::new(OptionCode::AftrName, wire)));
        }
        for (code, bytes) in &self.others {
            opts.insert(DhcpOption::Unknown(UnknownOption::new((*code).into(), bytes.clone())));
        }
        Some(reply.to_vec().unwrap())
    }

    fn association(&self, id: u32, asked: MessageType) -> DhcpOption {
        let mut opts = DhcpOptions::new();
        match self.prefix {
            Some((prefix_ip, prefix_len)) if asked != MessageType::Release => {
                let (preferred_lifetime, valid_lifetime) = LIFETIMES;
                let opts_of_prefix = DhcpOptions::new();
                opts.insert(DhcpOption::IAPrefix(IAPrefix {
                    preferred_lifetime,
                    valid_lifetime,
                    prefix_len,
                    prefix_ip,
                    opts: opts_of_prefix,
                }));
            }
            _ => opts.insert(DhcpOption::StatusCode(StatusCode {
                status: if asked == MessageType::Release { Status::Success } else { Status::NoPrefixAvail },
                msg: String::new(),
            })),
        }
        if let Some((prefix_ip, prefix_len)) = self.taken_back {
            let (preferred_lifetime, valid_lifetime, none) = (0, 0, DhcpOptions::new());
            opts.insert(DhcpOption::IAPrefix(IAPrefix {
                preferred_lifetime,
                valid_lifetime,
                prefix_len,
                prefix_ip,
                opts: none,
            }));
        }
        DhcpOption::IAPD(IAPD { id, t1: LIFETIMES.0 / 2, t2: LIFETIMES.0 / 5 * 4, opts })
    }
}
