//! What clients are answered (RFC 8415 18.3).
//!
//! Domain names are written one by one: dhcproto compresses a list of them, which RFC 8415 10 forbids.

use std::net::Ipv6Addr;

use dhcproto::Encodable;
use dhcproto::v6::{DhcpOption, Message, MessageType, OptionCode, UnknownOption};

use super::super::duid::Duid;
use super::Parameters;
use super::query::Query;
use crate::names;

/// What any link carries (RFC 8200 5), less the headers of IPv6 and UDP: answers come in one piece.
pub(super) const LARGEST: usize = 1280 - 40 - 8;

/// After so many seconds information is asked for again (RFC 8415 21.23): as long as resolvers live in router advertisements. At
/// least 600 (IRT_MINIMUM, 7.6).
const REFRESH: u32 = 1800;

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
