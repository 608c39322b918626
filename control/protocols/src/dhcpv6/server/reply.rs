//! What clients are answered (RFC 8415 18.3).
//!
//! Domain names are written one by one: dhcproto compresses a list of them, which RFC 8415 10 forbids.

use std::net::Ipv6Addr;

use dhcproto::Encodable;
use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IAPrefix, Message, MessageType, OptionCode, Status, StatusCode,
    UnknownOption,
};

use super::super::duid::Duid;
use super::Parameters;
use super::query::Query;
use super::source::{Kind, Lease};
use crate::names;

/// What any link carries (RFC 8200 5), less the headers of IPv6 and UDP: answers come in one piece.
pub(super) const LARGEST: usize = 1280 - 40 - 8;

/// After so many seconds information is asked for again (RFC 8415 21.23): as long as resolvers live in router advertisements. At
/// least 600 (IRT_MINIMUM, 7.6).
const REFRESH: u32 = 1800;

/// What an association is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub kind: Kind,
    pub iaid: u32,
    pub leases: Vec<Lease>,
    /// `None`: success.
    pub status: Option<Status>,
}

impl Answer {
    /// Nothing but a status.
    pub fn refusal(kind: Kind, iaid: u32, status: Status) -> Self {
        Self { kind, iaid, leases: Vec::new(), status: Some(status) }
    }

    /// RFC 8415 21.4, 21.21: half and four fifths of the shortest preferred lifetime; without any the client chooses.
    fn times(&self) -> (u32, u32) {
        let preferred = self.leases.iter().map(|lease| lease.preferred).filter(|&preferred| preferred > 0);
        preferred.min().map_or((0, 0), |preferred| (preferred / 2, preferred / 5 * 4))
    }

    fn option(&self) -> DhcpOption {
        let leases = self.leases.iter().map(|lease| lease_option(self.kind, lease));
        let opts: DhcpOptions = leases.chain(self.status.map(status)).collect();
        let (id, (t1, t2)) = (self.iaid, self.times());
        match self.kind {
            Kind::Address => DhcpOption::IANA(IANA { id, t1, t2, opts }),
            Kind::Prefix => DhcpOption::IAPD(IAPD { id, t1, t2, opts }),
        }
    }
}

fn lease_option(kind: Kind, &Lease { what, preferred, valid }: &Lease) -> DhcpOption {
    let opts = DhcpOptions::new();
    match kind {
        Kind::Address => {
            DhcpOption::IAAddr(IAAddr { addr: what.address(), preferred_life: preferred, valid_life: valid, opts })
        }
        Kind::Prefix => DhcpOption::IAPrefix(IAPrefix {
            preferred_lifetime: preferred,
            valid_lifetime: valid,
            prefix_len: what.len(),
            prefix_ip: what.address(),
            opts,
        }),
    }
}

/// RFC 8415 21.13, without words.
fn status(status: Status) -> DhcpOption {
    DhcpOption::StatusCode(StatusCode { status, msg: String::new() })
}

/// A message of ours that is being written.
#[derive(Debug)]
pub(super) struct Writer {
    message: Message,
}

impl Writer {
    /// An answer of ours to `query`, of this kind.
    pub fn new(kind: MessageType, query: &Query, ours: &Duid) -> Self {
        let mut message = Message::new_with_id(kind, query.xid);
        let options = message.opts_mut();
        options.insert(DhcpOption::ServerId(ours.bytes().to_vec()));
        if let Some(client) = &query.client {
            options.insert(DhcpOption::ClientId(client.bytes().to_vec()));
        }
        Self { message }
    }

    /// What an association is answered.
    pub fn answer(&mut self, answer: &Answer) {
        self.message.opts_mut().insert(answer.option());
    }

    /// The status of the message as a whole.
    pub fn status(&mut self, of: Status) {
        self.message.opts_mut().insert(status(of));
    }

    /// What the client wants to know besides leases, as far as there is room beside these.
    pub fn parameters(&mut self, query: &Query, parameters: &Parameters) {
        let is_refreshed = query.kind == MessageType::InformationRequest;
        let told = [
            (OptionCode::DomainNameServers, addresses(&parameters.resolvers)),
            (
                OptionCode::DomainSearchList,
                parameters.domains.iter().filter_map(|name| names::wire(name)).flatten().collect(),
            ),
            (OptionCode::SntpServers, addresses(&parameters.sntp)),
            (OptionCode::NtpServer, parameters.ntp.iter().filter_map(|server| time_server(server)).flatten().collect()),
            (OptionCode::InformationRefreshTime, if is_refreshed { REFRESH.to_be_bytes().to_vec() } else { vec![] }),
        ];
        for (code, body) in told {
            let is_wanted = !body.is_empty() && query.wants(code.into());
            if is_wanted && self.bytes().len() + 4 + body.len() <= LARGEST {
                self.message.opts_mut().insert(DhcpOption::Unknown(UnknownOption::new(code, body)));
            }
        }
    }

    /// The payload of the datagram.
    pub fn bytes(&self) -> Vec<u8> {
        self.message.to_vec().expect("options that fit a datagram")
    }
}

fn addresses(addresses: &[Ipv6Addr]) -> Vec<u8> {
    addresses.iter().flat_map(Ipv6Addr::octets).collect()
}

/// A suboption of RFC 5908 4: an address (1) or a name (3).
fn time_server(server: &str) -> Option<Vec<u8>> {
    let (code, body) = match server.parse::<Ipv6Addr>() {
        Ok(address) => (1u16, address.octets().to_vec()),
        Err(_) => (3, names::wire(server)?),
    };
    Some([&code.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), &body].concat())
}
