//! `[service]`: what the line is to be.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use clap::{Args, ValueEnum};
use hikyaku_dataplane::napt;
use hikyaku_dataplane::tunnel::mtu::MtuMode;

use super::keys::{self, Read};
use super::lan::Lan;
use super::notification;
use super::problem::Problems;
use super::tree::Section;
use super::value::{Ce, Endpoint, host4, host6, number};
use super::wan::Wan;
use crate::behaviour::BehaviourArgs;
use crate::line::Token;
use crate::memory_router::{LINK_MTU, Setup};
use crate::notify;
use crate::replay::FilteringMode;

/// What the line is to be.
#[derive(Clone, Debug)]
pub struct Service {
    /// The kind, and what only that kind has.
    pub kind: Kind,
    /// Our end of the tunnel; `None`: the WAN's own address.
    pub ce: Option<LocalEnd>,
    /// What fits the tunnel.
    pub mtu: MtuMode,
    /// What is done to packets.
    pub behaviour: BehaviourArgs,
    /// Whom to tell where we are.
    pub notification: Option<notify::Config>,
}

/// A kind of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// DS-Lite B4 (RFC 6333): the far end translates.
    Dslite {
        /// The AFTR; `None`: the one that DHCPv6 option 64 names (RFC 6334).
        aftr: Option<Endpoint>,
    },
    /// IPv4 over IPv6 with one fixed address: this end translates.
    Ipip {
        /// The address.
        ipv4: Ipv4Addr,
        /// The border router.
        br: Ipv6Addr,
        /// Whom a mapping lets in.
        filtering: napt::Filtering,
    },
}

/// Our end of the tunnel, where it is not the WAN's own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalEnd {
    /// The prefix of the line, and this lower half.
    Token(Token),
    /// This address, whatever the prefix.
    Address(Ipv6Addr),
}

impl Kind {
    /// As it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dslite { .. } => "dslite",
            Self::Ipip { .. } => "ipip",
        }
    }
}

impl fmt::Display for LocalEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => token.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// See [`ServiceKeys::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindKey {
    /// DS-Lite.
    Dslite,
    /// A fixed IPv4 address.
    Ipip,
}

/// `[service]` as it is written.
#[derive(Args, Clone, Debug)]
pub struct ServiceKeys {
    /// What the line is: DS-Lite, or IPv4 over IPv6 with a fixed IPv4 address
    #[arg(long, value_enum)]
    pub kind: KindKey,

    /// Of dslite: the AFTR, an address or a name; unset: the one that DHCPv6 names (option 64)
    #[arg(long, value_name = "ADDR|NAME")]
    pub aftr: Option<Endpoint>,

    /// Of ipip: the border router
    #[arg(long, value_name = "ADDR", value_parser = host6)]
    pub br: Option<Ipv6Addr>,

    /// Of ipip: the fixed IPv4 address
    #[arg(long, value_name = "ADDR", value_parser = host4)]
    pub ipv4: Option<Ipv4Addr>,

    /// Our end of the tunnel: an interface id such as ::feed, a whole address, or `from-ipv4` (the id that MAP-E's
    /// draft 03 makes of the IPv4 address); unset: the WAN's own address
    #[arg(long, value_name = "ID|ADDR|from-ipv4")]
    pub ce: Option<Ce>,

    /// The tunnel's MTU as hosts see it, 576 to 1500. Up to 1460, larger packets with DF are refused and others
    /// leave in outer fragments; above, packets up to N are carried whatever DF says (RFC 6333)
    #[arg(long, value_name = "N", default_value = "1460", value_parser = number(576..=LINK_MTU))]
    pub tunnel_mtu: u16,

    /// Of ipip: whose packets a mapping lets in (RFC 4787 5); unset: address-and-port-dependent
    #[arg(long, value_enum)]
    pub filtering: Option<FilteringMode>,

    /// See [`BehaviourArgs`].
    #[command(flatten)]
    pub behaviour: BehaviourArgs,
}

impl Service {
    /// Reads `[service]` and `[service.notification]`.
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<(Self, Read<ServiceKeys>)> {
        let has_notification = section.tables.contains_key("notification");
        let notification = section.take("notification", "one server is told", problems);
        let read = keys::read::<ServiceKeys>(section, &["notification"], problems);
        let notification_at = notification.place.clone();
        let notification = has_notification.then(|| notification::read(notification, problems));
        let read = read?;
        let kind = Kind::of(&read, problems);
        if let Some(Kind::Dslite { .. }) = kind
            && has_notification
        {
            problems.add(notification_at, "[service.notification]: a DS-Lite line is told nothing; leave it out");
        }
        let ServiceKeys { ce, ipv4, tunnel_mtu, ref behaviour, .. } = read.keys;
        let ce = match ce {
            None => None,
            Some(Ce::Token(token)) => Some(LocalEnd::Token(token)),
            Some(Ce::Address(address)) => Some(LocalEnd::Address(address)),
            Some(Ce::FromIpv4) => match ipv4 {
                Some(ipv4) => Ce::token_of(ipv4).map(LocalEnd::Token),
                None => {
                    problems.add(read.place("ce"), "ce = 'from-ipv4': there is no ipv4 to make it of; give ipv4 too");
                    None
                }
            },
        };
        let service = Self {
            kind: kind?,
            ce,
            mtu: Setup::mtu_mode(tunnel_mtu),
            behaviour: behaviour.clone(),
            notification: match notification {
                Some(notification) => Some(notification?),
                None => None,
            },
        };
        Some((service, read))
    }

    /// What only the whole can tell.
    pub(super) fn check(read: &Read<ServiceKeys>, wan: &Wan, lan: &Lan, problems: &mut Problems) {
        let keys = &read.keys;
        if let Some(ipv4) = keys.ipv4
            && (lan.ipv4.first()..=lan.ipv4.last()).contains(&ipv4)
        {
            let text = format!("ipv4 = '{ipv4}': it is of the LAN {}; give the LAN another network", lan.ipv4);
            problems.add(read.place("ipv4"), text);
        }
        let far = match (&keys.aftr, keys.br) {
            (Some(Endpoint::Address(aftr)), _) => Some(("aftr", *aftr)),
            (_, Some(br)) => Some(("br", br)),
            _ => None,
        };
        if let (Some((key, far)), Some(Ce::Address(ce))) = (far, keys.ce)
            && far == ce
        {
            problems.add(read.place("ce"), format!("ce and {key} are both {ce}; a tunnel has two ends"));
        }
        if let (Some(Ce::Token(ce)), super::InterfaceId::Token(own)) = (keys.ce, wan.interface_id)
            && ce == own
        {
            problems.add(read.place("ce"), "ce: it is [wan] interface-id; leave it out, the WAN's own address is used");
        }
    }
}

impl Kind {
    fn of(read: &Read<ServiceKeys>, problems: &mut Problems) -> Option<Self> {
        let ServiceKeys { kind, ref aftr, br, ipv4, filtering, .. } = read.keys;
        let mut wrong = |key: &str, text: &str| problems.add(read.place(key), format!("{key}: {text}"));
        match kind {
            KindKey::Dslite => {
                for (key, set) in [("ipv4", ipv4.is_some()), ("br", br.is_some()), ("filtering", filtering.is_some())] {
                    let instead = match key {
                        "br" => "the far end of kind = \"dslite\" is aftr",
                        "ipv4" => "kind = \"dslite\" has no IPv4 address; leave it out, or use kind = \"ipip\"",
                        _ => "kind = \"dslite\" does not filter; leave it out, or use kind = \"ipip\"",
                    };
                    if set {
                        wrong(key, instead);
                    }
                }
                Some(Self::Dslite { aftr: aftr.clone() })
            }
            KindKey::Ipip => {
                if aftr.is_some() {
                    wrong("aftr", "the far end of kind = \"ipip\" is br");
                }
                if ipv4.is_none() {
                    wrong(
                        "ipv4",
                        "kind = \"ipip\" lacks it; give the address that the provider assigned (or --ipv4 ADDR)",
                    );
                }
                if br.is_none() {
                    wrong(
                        "br",
                        "kind = \"ipip\" lacks it; give the border router of the contract sheet (or --br ADDR)",
                    );
                }
                Some(Self::Ipip {
                    ipv4: ipv4?,
                    br: br?,
                    filtering: match filtering {
                        Some(FilteringMode::EndpointIndependent) => napt::Filtering::EndpointIndependent,
                        Some(FilteringMode::AddressAndPortDependent) | None => napt::Filtering::AddressAndPortDependent,
                    },
                })
            }
        }
    }
}
