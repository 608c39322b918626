//! `[service]`: what the line is to be.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hikyaku_dataplane::napt;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_net::PortSet;
use hikyaku_net::map::InterfaceId;
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::hb46pp;
use hikyaku_protocols::host::{host4, host6};
use hikyaku_protocols::service::{Local, Name, Technology, UsualEnd, Wish, WishedEnd, known_form};

use super::keys::{self, Read};
use super::lan::Lan;
use super::notification;
use super::problem::Problems;
use super::provisioning;
use super::tree::{Section, Setting, Value};
use super::value::{far_end, near_end, number};
use super::wan::Wan;
use crate::behaviour::BehaviourArgs;
use crate::map_e::RulesFile;
use crate::memory_router::{LINK_MTU, Setup};
use crate::replay::FilteringMode;

/// What the line is to be.
#[derive(Clone, Debug)]
pub struct Service {
    /// Which service, and what the user knows of it.
    pub wish: Wish,
    /// What fits the tunnel.
    pub mtu: MtuMode,
    /// What is done to packets.
    pub behaviour: BehaviourArgs,
    /// Whom a mapping lets in, where this end translates.
    pub filtering: napt::Filtering,
    /// Whom to tell where we are.
    pub notification: Option<hikyaku_protocols::notification::Config>,
    /// How the line's provisioning server is asked; `None`: not at all.
    pub provisioning: Option<hb46pp::Config>,
}

/// The names of services, for the command line.
fn names() -> impl TypedValueParser<Value = Name> {
    let value = |name: Name| PossibleValue::new(name.text()).help(name.about());
    PossibleValuesParser::new(Name::all().map(value)).try_map(|text| text.parse())
}

/// `[service]` as it is written.
#[derive(Args, Clone, Debug)]
pub struct ServiceKeys {
    /// What the line is: the service by its name, a technology, or `auto`: it is found out
    #[arg(long, value_parser = names())]
    pub kind: Name,

    /// Of dslite and lw4o6: the AFTR, an address or a name; unset: the line's (DHCPv6, HB46PP) or the service's
    #[arg(long, value_name = "ADDR|NAME", value_parser = far_end)]
    pub aftr: Option<Endpoint>,

    /// Of fixed addresses and MAP-E: the border router; unset: the line's or the service's
    #[arg(long, value_name = "ADDR", value_parser = host6)]
    pub br: Option<Ipv6Addr>,

    /// Of fixed addresses and lw4o6: the IPv4 address; of a block the first
    #[arg(long, value_name = "ADDR", value_parser = host4)]
    pub ipv4: Option<Ipv4Addr>,

    /// Our end of the tunnel: an interface id such as ::feed, a whole address, or `from-ipv4` (the id that MAP-E's
    /// draft 03 makes of the IPv4 address); unset: what the service has, else the WAN's own address
    #[arg(long, value_name = "ID|ADDR|from-ipv4", value_parser = near_end)]
    pub ce: Option<WishedEnd>,

    /// Of MAP-E: a file with the rules of the domain (docs/map-rules.md); unset: the line's (DHCPv6, HB46PP)
    #[arg(long, value_name = "FILE")]
    pub map_rules: Option<PathBuf>,

    /// Of MAP-E: the form of the interface id; unset: what the rules, or else the service, say; else rfc7597
    #[arg(long, value_name = "draft03|rfc7597")]
    pub iid: Option<InterfaceId>,

    /// Of lw4o6: our share of the ports, the PSID
    #[arg(long, value_name = "N", value_parser = number(0u16..=u16::MAX))]
    pub psid: Option<u16>,

    /// Of lw4o6: the PSID's length in bits; unset: all ports are ours
    #[arg(long, value_name = "BITS", value_parser = number(0u8..=16))]
    pub psid_length: Option<u8>,

    /// Of lw4o6: bits of a port before the PSID; unset: 0
    #[arg(long, value_name = "BITS", value_parser = number(0u8..=15))]
    pub psid_offset: Option<u8>,

    /// The tunnel's MTU as hosts see it, 576 to 1500. Up to 1460, larger packets with DF are refused and others
    /// leave in outer fragments; above, packets up to N are carried whatever DF says (RFC 6333)
    #[arg(long, value_name = "N", default_value = "1460", value_parser = number(576..=LINK_MTU))]
    pub tunnel_mtu: u16,

    /// Where this end translates: whose packets a mapping lets in (RFC 4787 5); unset: address-and-port-dependent
    #[arg(long, value_enum)]
    pub filtering: Option<FilteringMode>,

    /// See [`BehaviourArgs`].
    #[command(flatten)]
    pub behaviour: BehaviourArgs,
}

impl Service {
    /// Reads `[service]`, `[service.notification]` and `[service.provisioning]`.
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<(Self, Read<ServiceKeys>)> {
        let notification = section.tables.contains_key("notification").then(|| {
            let mut notification = section.take("notification", "one server is told", problems);
            // A service that has one way to be told need not be asked which.
            let usual = usual_dialect(&section);
            if let Some(dialect) = usual.filter(|_| !notification.settings.contains_key("dialect")) {
                let place = notification.place.clone();
                notification.settings.insert("dialect".into(), Setting { value: Value::One(dialect), place });
            }
            notification
        });
        let provisioning = section.take("provisioning", "a line has one server", problems);
        let provisioning = provisioning::read(provisioning, problems);
        let read = keys::read::<ServiceKeys>(section, &["notification", "provisioning"], problems);
        let notification_at = notification.as_ref().map(|section| section.place.clone());
        let notification = notification.map(|section| notification::read(section, problems));
        let read = read?;
        let keys = &read.keys;
        let technology = keys.kind.profile().technology;
        if let (Some(place), Some(Technology::Dslite | Technology::MapE | Technology::Lw4o6)) =
            (notification_at, technology)
        {
            let text = format!("[service.notification]: {} is told nothing; leave it out", keys.kind);
            problems.add(place, text);
        }
        fits(&read, problems);
        let service = Self {
            wish: wish(&read, problems)?,
            mtu: Setup::mtu_mode(keys.tunnel_mtu),
            behaviour: keys.behaviour.clone(),
            filtering: match keys.filtering {
                Some(FilteringMode::EndpointIndependent) => napt::Filtering::EndpointIndependent,
                Some(FilteringMode::AddressAndPortDependent) | None => napt::Filtering::AddressAndPortDependent,
            },
            notification: match notification {
                Some(notification) => Some(notification?),
                None => None,
            },
            provisioning: provisioning?,
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
        let mut taken = Vec::new();
        for mapping in &keys.behaviour.forward {
            let host = mapping.host();
            if !lan.ipv4.is_host(host) || host == lan.ipv4.address {
                let text = format!("forward = '{mapping}': {host} is no host of the LAN {}", lan.ipv4);
                problems.add(read.place("forward"), text);
            }
            taken.extend(mapping.on(PortSet::ALL));
        }
        if let Err(why) = napt::Forward::check_all(PortSet::ALL, &taken) {
            problems.add(read.place("forward"), format!("forward: {why}"));
        }
        let far = match (&keys.aftr, keys.br) {
            (Some(Endpoint::Addresses(addresses)), _) => addresses.first().map(|&aftr| ("aftr", aftr)),
            (_, Some(br)) => Some(("br", br)),
            _ => None,
        };
        match keys.ce {
            Some(WishedEnd::Local(Local::Address(ce))) if far.is_some_and(|(_, far)| far == ce) => {
                let key = far.map_or("br", |(key, _)| key);
                problems.add(read.place("ce"), format!("ce and {key} are both {ce}; a tunnel has two ends"));
            }
            Some(WishedEnd::Local(Local::Token(ce))) if wan.interface_id == super::InterfaceId::Token(ce) => {
                let text = "ce: it is [wan] interface-id; leave it out, the WAN's own address is used";
                problems.add(read.place("ce"), text);
            }
            _ => {}
        }
    }
}

/// How the border router of the service in `section` is told where we are, if there is one way.
fn usual_dialect(section: &Section) -> Option<String> {
    let Value::One(kind) = &section.settings.get("kind")?.value else { return None };
    Some(kind.parse::<Name>().ok()?.profile().notification?.to_string())
}

/// The keys that belong to one technology and not to another, and what a service cannot do without.
fn fits(read: &Read<ServiceKeys>, problems: &mut Problems) {
    use Technology::{Dslite, Ipip, Lw4o6, MapE};
    /// Each key, the technologies that have it, and whether `auto` has it too.
    const KEYS: [(&str, &[Technology], bool); 14] = [
        ("aftr", &[Dslite, Lw4o6], false),
        ("br", &[Ipip, MapE], false),
        ("ipv4", &[Ipip, Lw4o6], false),
        ("ce", &[Dslite, Ipip, Lw4o6], false),
        ("map-rules", &[MapE], true),
        ("iid", &[MapE], true),
        ("psid", &[Lw4o6], false),
        ("psid-length", &[Lw4o6], false),
        ("psid-offset", &[Lw4o6], false),
        ("filtering", &[Ipip, MapE, Lw4o6], true),
        ("forward", &[Ipip, MapE, Lw4o6], true),
        ("sessions-per-host", &[Ipip, MapE, Lw4o6], true),
        ("port-parity", &[Ipip, MapE, Lw4o6], true),
        ("answer-unsolicited", &[Ipip, MapE, Lw4o6], true),
    ];
    let keys = &read.keys;
    let (kind, profile) = (keys.kind, keys.kind.profile());
    for (key, of, auto) in KEYS {
        let belongs = profile.technology.map_or(auto, |technology| of.contains(&technology));
        if read.is_set(key) && !belongs {
            let instead = match (key, profile.technology) {
                ("br", Some(Dslite | Lw4o6)) => format!("the far end of {kind} is aftr"),
                ("aftr", Some(Ipip | MapE)) => format!("the far end of {kind} is br"),
                (_, None) => "with kind = \"auto\" the line says it; name the service to give it".into(),
                _ => {
                    let others: Vec<&str> = of.iter().map(|technology| technology.name()).collect();
                    format!("{kind} has none; leave it out ({} has)", others.join(", "))
                }
            };
            problems.add(read.place(key), format!("{key}: {instead}"));
        }
    }
    let mut lacks = |key: &str, text: &str| problems.add(read.place(key), format!("{kind} lacks {key}; {text}"));
    let alone = profile.technology == Some(Ipip) && (!profile.provisioned || kind == Name::Ipip);
    if profile.technology == Some(Ipip) && (alone || keys.ipv4.is_some() != keys.br.is_some()) {
        if keys.ipv4.is_none() {
            lacks("ipv4", "give the address that the provider assigned (or --ipv4 ADDR)");
        }
        if keys.br.is_none() {
            lacks("br", "give the border router of the contract sheet (or --br ADDR)");
        }
    }
    if profile.end == UsualEnd::Contract && keys.ce.is_none() {
        lacks("ce", "give the interface id of the contract sheet, such as ::feed (or --ce ID)");
    }
    if profile.technology == Some(Lw4o6) {
        let given = [keys.ipv4.is_some(), keys.aftr.is_some()];
        if given[0] != given[1] || !given[0] && (keys.psid.is_some() || keys.psid_length.is_some()) {
            if keys.ipv4.is_none() {
                lacks("ipv4", "give all of ipv4, aftr, psid and psid-length, or none: then the line says them");
            }
            if keys.aftr.is_none() {
                lacks("aftr", "give all of ipv4, aftr, psid and psid-length, or none: then the line says them");
            }
        }
    }
}

fn wish(read: &Read<ServiceKeys>, problems: &mut Problems) -> Option<Wish> {
    let before = problems.0.len();
    let keys = &read.keys;
    if keys.ce == Some(WishedEnd::FromIpv4) && keys.kind.profile().technology == Some(Technology::Dslite) {
        problems.add(read.place("ce"), "ce = 'from-ipv4': there is no ipv4 to make it of");
    }
    let (offset, length, psid) = (keys.psid_offset.unwrap_or(0), keys.psid_length.unwrap_or(0), keys.psid.unwrap_or(0));
    let ports = PortSet::new(offset, length, psid);
    if ports.is_none() {
        let text = format!(
            "psid {psid}, psid-length {length}, psid-offset {offset}: the PSID has more bits than its length, or both \
             lengths together are more than the 16 bits of a port"
        );
        problems.add(read.place("psid"), text);
    }
    let has_form = keys.iid.or(keys.kind.profile().iid).is_some();
    let rules = keys.map_rules.as_ref().and_then(|path| match RulesFile::read(path) {
        Ok(domain) if domain.iid.is_none() && !has_form && known_form(&domain).is_none() => {
            let text = format!(
                "map-rules = '{}': it does not say iid, and {} has no form of its own; give it there, or as iid here",
                path.display(),
                keys.kind
            );
            problems.add(read.place("map-rules"), text);
            None
        }
        Ok(domain) => Some(domain),
        Err(more) => {
            problems.0.extend(more.0);
            None
        }
    });
    (problems.0.len() == before).then(|| Wish {
        name: keys.kind,
        far: keys.aftr.clone().or(keys.br.map(|br| Endpoint::Addresses(vec![br]))),
        ipv4: keys.ipv4,
        ports: (keys.psid.is_some() || keys.psid_length.is_some()).then_some(ports).flatten(),
        end: keys.ce,
        rules,
        iid: keys.iid,
    })
}
