//! Clients' messages, read (RFC 8415 16).

use std::net::Ipv6Addr;
use std::sync::Arc;

use dhcproto::v6::{DhcpOption, DhcpOptions, MessageType, OptionCode};
use hikyaku_net::Prefix6;

use super::super::SERVERS;
use super::super::duid::Duid;
use super::super::wire::Incoming;
use super::source::Kind;
use super::{Counts, Datagram};
use crate::names;

/// Relay-forward and Relay-reply (RFC 8415 7.3): their header is another.
const RELAYED: [u8; 2] = [12, 13];

/// Associations of one message that are looked at, of both kinds together, and leases that one names: the answer fits a packet.
const MOST_ASSOCIATIONS: usize = 4;
const MOST_NAMED: usize = 4;

/// Flags before the name in a Client FQDN option (RFC 4704 4): what they ask for, that DNS is updated, is not done.
const FQDN_FLAGS: usize = 1;

/// A client's message that may be answered.
#[derive(Debug)]
pub(super) struct Query {
    pub kind: MessageType,
    pub xid: [u8; 3],
    /// `None` only in an Information-request (RFC 8415 18.2.6).
    pub client: Option<Duid>,
    /// Codes of the options that are asked for (RFC 8415 21.7); `None`: no wish.
    pub wanted: Option<Vec<u16>>,
    pub associations: Vec<Association>,
    /// The host's name for itself, printable (option 39, RFC 4704).
    pub name: Option<Arc<str>>,
}

/// An IA_NA or IA_PD of a client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Association {
    pub kind: Kind,
    pub iaid: u32,
    /// What the client says it has, or wants. An address has 128 bits; a prefix without an address is only a wish for a length.
    pub named: Vec<Prefix6>,
}

/// Why a datagram is no [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Malformed,
    Relayed,
    NotLinkLocal,
    Unexpected,
    /// It is to this server.
    Foreign(Duid),
}

impl Refused {
    pub fn count(&self, counts: &mut Counts) {
        *match self {
            Self::Malformed => &mut counts.malformed,
            Self::Relayed => &mut counts.relayed,
            Self::NotLinkLocal => &mut counts.not_link_local,
            Self::Unexpected => &mut counts.unexpected,
            Self::Foreign(_) => &mut counts.foreign,
        } += 1;
    }
}

impl Query {
    /// `ours`: our identifier.
    pub fn read(datagram: Datagram, ours: &Duid) -> Result<Self, Refused> {
        if datagram.payload.first().is_some_and(|kind| RELAYED.contains(kind)) {
            return Err(Refused::Relayed);
        }
        if !datagram.source.is_unicast_link_local() {
            return Err(Refused::NotLinkLocal);
        }
        let Incoming { message, client, server } =
            Incoming::read_query(datagram.payload).map_err(|_| Refused::Malformed)?;
        let opts = message.opts();
        let associations: Vec<_> = opts.iter().filter_map(association).take(MOST_ASSOCIATIONS).collect();
        check(message.msg_type(), client.is_some(), !associations.is_empty(), datagram.destination == SERVERS)?;
        check_server(message.msg_type(), server.as_ref(), ours)?;
        let wanted = opts.get_all(OptionCode::ORO).map(|options| {
            let codes = options.iter().filter_map(|option| match option {
                DhcpOption::ORO(wanted) => Some(wanted.opts.iter().map(|&code| u16::from(code))),
                _ => None,
            });
            codes.flatten().collect()
        });
        let name = match opts.get(OptionCode::ClientFqdn) {
            Some(DhcpOption::Unknown(fqdn)) => fqdn.data().get(FQDN_FLAGS..).and_then(names::printable_labels),
            _ => None,
        };
        Ok(Self {
            kind: message.msg_type(),
            xid: message.xid(),
            client,
            wanted,
            associations,
            name: name.map(Into::into),
        })
    }

    /// Whether the client asks for this option, or says nothing of what it wants.
    pub fn wants(&self, code: u16) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&code))
    }
}

fn association(option: &DhcpOption) -> Option<Association> {
    let named = |opts: &DhcpOptions| opts.iter().filter_map(named).take(MOST_NAMED).collect();
    match option {
        DhcpOption::IANA(ia) => Some(Association { kind: Kind::Address, iaid: ia.id, named: named(&ia.opts) }),
        DhcpOption::IAPD(ia) => Some(Association { kind: Kind::Prefix, iaid: ia.id, named: named(&ia.opts) }),
        _ => None,
    }
}

fn named(option: &DhcpOption) -> Option<Prefix6> {
    match option {
        DhcpOption::IAAddr(address) => Prefix6::new(address.addr, 128),
        DhcpOption::IAPrefix(prefix) if prefix.prefix_ip != Ipv6Addr::UNSPECIFIED => {
            Prefix6::new(prefix.prefix_ip, prefix.prefix_len)
        }
        _ => None,
    }
}

/// RFC 8415 16.2 to 16.13, 18.4: which client's messages go without identifier, with leases, and to one server alone: none, as we
/// offer no unicast (21.12).
fn check(kind: MessageType, has_client: bool, has_leases: bool, is_to_all: bool) -> Result<(), Refused> {
    use MessageType::{Confirm, Decline, InformationRequest, Rebind, Release, Renew, Request, Solicit};
    let holds = match kind {
        InformationRequest => !has_leases,
        Solicit | Request | Confirm | Renew | Rebind | Release | Decline => has_client,
        _ => false,
    };
    if holds && is_to_all { Ok(()) } else { Err(Refused::Unexpected) }
}

/// RFC 8415 16: who is named as the server.
fn check_server(kind: MessageType, server: Option<&Duid>, ours: &Duid) -> Result<(), Refused> {
    use MessageType::{Confirm, InformationRequest, Rebind, Solicit};
    match (kind, server) {
        (Solicit | Confirm | Rebind | InformationRequest, None) => Ok(()),
        (Solicit | Confirm | Rebind, Some(_)) | (_, None) => Err(Refused::Unexpected),
        (_, Some(server)) if server == ours => Ok(()),
        (_, Some(server)) => Err(Refused::Foreign(server.clone())),
    }
}

/// Reads a datagram as the server would: for fuzzing.
pub fn fuzz(datagram: Datagram) {
    let ours = Duid::link_layer(hikyaku_net::Mac::default());
    let _ = Query::read(datagram, &ours).is_ok_and(|query| query.wants(23));
}
