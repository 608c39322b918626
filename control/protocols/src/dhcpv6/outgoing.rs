//! The messages that a client sends (RFC 8415 18.2).

use std::net::Ipv6Addr;

use dhcproto::Encodable;
use dhcproto::v6::{DhcpOption, IAAddr, IANA, IAPD, IAPrefix, Message, MessageType, ORO, OptionCode};

use super::duid::Duid;
use super::prefix::Prefix;

/// Identity associations as a message names them. What it names it names without lifetimes: those are
/// the server's to choose (RFC 8415 18.2.1, 18.2.4).
#[derive(Debug, Default)]
pub(super) struct Associations {
    /// The same for IA_PD and IA_NA: ids of different types are different (RFC 8415 12).
    pub iaid: u32,
    /// An IA_PD with these; `None` is no IA_PD.
    pub pd: Option<Vec<Prefix>>,
    /// An IAPREFIX with only a length (RFC 8415 18.2.1), if the IA_PD has nothing in it.
    pub length: Option<u8>,
    /// An IA_NA with these; `None` is no IA_NA.
    pub na: Option<Vec<Ipv6Addr>>,
}

impl Associations {
    fn options(&self) -> impl Iterator<Item = DhcpOption> {
        let prefix = |prefix_ip, prefix_len| {
            let (preferred_lifetime, valid_lifetime, opts) = Default::default();
            DhcpOption::IAPrefix(IAPrefix { preferred_lifetime, valid_lifetime, prefix_len, prefix_ip, opts })
        };
        let pd = self.pd.as_ref().map(|prefixes| {
            let length = self.length.filter(|_| prefixes.is_empty()).map(|len| prefix(Ipv6Addr::UNSPECIFIED, len));
            let opts = prefixes.iter().map(|p| prefix(p.named(), p.len())).chain(length).collect();
            DhcpOption::IAPD(IAPD { id: self.iaid, t1: 0, t2: 0, opts })
        });
        let na = self.na.as_ref().map(|addresses| {
            let opts = addresses.iter().map(|&addr| {
                let (preferred_life, valid_life, opts) = Default::default();
                DhcpOption::IAAddr(IAAddr { addr, preferred_life, valid_life, opts })
            });
            DhcpOption::IANA(IANA { id: self.iaid, t1: 0, t2: 0, opts: opts.collect() })
        });
        pd.into_iter().chain(na)
    }
}

/// What differs between messages.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub kind: MessageType,
    pub xid: [u8; 3],
    /// Hundredths of a second since the first of its kind.
    pub elapsed: u16,
    pub client: &'a Duid,
    /// Who shall answer, where only one may.
    pub server: Option<&'a Duid>,
    pub associations: Associations,
    /// Offer to do without Advertise and Request (RFC 8415 21.14).
    pub rapid_commit: bool,
    /// Be told of changes (RFC 8415 21.20).
    pub reconfigure: bool,
}

/// What we ask for. SOL_MAX_RT goes into every message (RFC 8415 21.24).
const WANTED: [OptionCode; 10] = [
    OptionCode::DomainNameServers,
    OptionCode::DomainSearchList,
    OptionCode::SntpServers,
    OptionCode::NtpServer,
    OptionCode::AftrName,
    OptionCode::SolMaxRt,
    OptionCode::S46ContMape,
    OptionCode::S46ContMapt,
    OptionCode::S46ContLw,
    OptionCode::S46Priority,
];

impl Outgoing<'_> {
    /// The message as the payload of a UDP datagram.
    pub(super) fn bytes(&self) -> Vec<u8> {
        use MessageType::{Confirm, Decline, InformationRequest, Release, Solicit};
        let mut message = Message::new_with_id(self.kind, self.xid);
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientId(self.client.bytes().to_vec()));
        options.insert(DhcpOption::ElapsedTime(self.elapsed));
        if let Some(server) = self.server {
            options.insert(DhcpOption::ServerId(server.bytes().to_vec()));
        }
        self.associations.options().for_each(|ia| options.insert(ia));
        if !matches!(self.kind, Confirm | Decline | Release) {
            let mut opts = WANTED.to_vec();
            if self.kind == InformationRequest {
                // RFC 8415 18.2.6: these two must be asked for.
                opts.extend([OptionCode::InformationRefreshTime, OptionCode::InfMaxRt]);
            }
            options.insert(DhcpOption::ORO(ORO { opts }));
            if self.reconfigure {
                options.insert(DhcpOption::ReconfAccept);
            }
        }
        if self.rapid_commit && self.kind == Solicit {
            options.insert(DhcpOption::RapidCommit);
        }
        message.to_vec().expect("a few short options fit their length fields")
    }
}
