//! Clients' messages, read (RFC 8415 16).

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, MessageType, OptionCode};

use super::super::SERVERS;
use super::super::duid::Duid;
use super::super::wire::Incoming;
use super::{Counts, Datagram};

/// Relay-forward and Relay-reply (RFC 8415 7.3): their header is another.
const RELAYED: [u8; 2] = [12, 13];

/// A client's message that may be answered.
#[derive(Debug)]
pub(super) struct Query {
    pub kind: MessageType,
    pub xid: [u8; 3],
    /// `None` only in an Information-request (RFC 8415 18.2.6).
    pub client: Option<Duid>,
    /// Codes of the options that are asked for (RFC 8415 21.7); `None`: no wish.
    pub wanted: Option<Vec<u16>>,
}

/// Why a datagram is no [`Query`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Malformed,
    Relayed,
    NotLinkLocal,
    Unexpected,
    Foreign,
}

impl Refused {
    pub fn count(self, counts: &mut Counts) {
        *match self {
            Self::Malformed => &mut counts.malformed,
            Self::Relayed => &mut counts.relayed,
            Self::NotLinkLocal => &mut counts.not_link_local,
            Self::Unexpected => &mut counts.unexpected,
            Self::Foreign => &mut counts.foreign,
        } += 1;
    }
}

impl Query {
    /// `ours`: our identifier.
    pub fn read(datagram: Datagram, ours: &Duid) -> Result<Self, Refused> {
        if datagram.payload.first().is_some_and(|kind| RELAYED.contains(kind)) {
            return Err(Refused::Relayed);
        }
        if !Ipv6Addr::is_unicast_link_local(&datagram.source) {
            return Err(Refused::NotLinkLocal);
        }
        let Incoming { message, client, server } =
            Incoming::read_query(datagram.payload).map_err(|_| Refused::Malformed)?;
        let opts = message.opts();
        let has_leases = [OptionCode::IANA, OptionCode::IAPD].into_iter().any(|code| opts.get(code).is_some());
        check(message.msg_type(), client.is_some(), has_leases, datagram.destination == SERVERS)?;
        check_server(message.msg_type(), server.as_ref(), ours)?;
        let wanted = opts.get_all(OptionCode::ORO).map(|options| {
            let codes = options.iter().filter_map(|option| match option {
                DhcpOption::ORO(wanted) => Some(wanted.opts.iter().map(|&code| u16::from(code))),
                _ => None,
            });
            codes.flatten().collect()
        });
        Ok(Self { kind: message.msg_type(), xid: message.xid(), client, wanted })
    }

    /// Whether the client asks for this option, or says nothing of what it wants.
    pub fn wants(&self, code: u16) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&code))
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
        (Solicit | Confirm | Rebind, None) | (InformationRequest, None) => Ok(()),
        (Solicit | Confirm | Rebind, Some(_)) | (_, None) => Err(Refused::Unexpected),
        (_, Some(server)) if server == ours => Ok(()),
        (_, Some(_)) => Err(Refused::Foreign),
    }
}

/// Reads a datagram as the server would: for fuzzing.
pub fn fuzz(datagram: Datagram) {
    let ours = Duid::link_layer(hikyaku_net::Mac::default());
    let _ = Query::read(datagram, &ours).is_ok_and(|query| query.wants(23));
}
