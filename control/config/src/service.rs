//! `[service]`: what the line is to be.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use hikyaku_dataplane::napt;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_net::PortSet;
use hikyaku_net::map::InterfaceId;
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::hb46pp;
use hikyaku_protocols::host::{host4, host6};
use hikyaku_protocols::service::{Local, Name, Technology, UsualEnd, Wish, WishedEnd, known_form};
use hikyaku_schema::{Change::Live, Key, Keys, Places, Problems, Reader, Row, Section, Services, Setting, Syntax::*};
use hikyaku_schema::{Value, field, key, number};

use crate::behaviour::{Behaviour, LINK_MTU, mtu_mode};
use crate::lan::Lan;
use crate::lans::{lan_of, networks};
use crate::map_rules::RulesFile;
use crate::value::{far_end, near_end};
use crate::wan::Wan;
use crate::{notification, provisioning};

/// What the line is to be: section `[service]`.
#[derive(Clone, Debug)]
pub struct Service {
    /// Which service, and what the user knows of it.
    pub wish: Wish,
    /// What fits the tunnel.
    pub mtu: MtuMode,
    /// What is done to packets.
    pub behaviour: Behaviour,
    /// Whom to tell where we are.
    pub notification: Option<hikyaku_protocols::notification::Config>,
    /// How the line's provisioning server is asked; `None`: not at all.
    pub provisioning: Option<hb46pp::Config>,
}

/// Section `[service]` as it is written, but for [`Behaviour`].
#[derive(Clone, Debug)]
pub(super) struct ServiceKeys {
    kind: Name,
    aftr: Option<Endpoint>,
    br: Option<Ipv6Addr>,
    ipv4: Option<Ipv4Addr>,
    ce: Option<WishedEnd>,
    map_rules: Option<PathBuf>,
    iid: Option<InterfaceId>,
    psid: Option<u16>,
    psid_length: Option<u8>,
    psid_offset: Option<u8>,
    tunnel_mtu: u16,
}

impl Keys for ServiceKeys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("kind", OneOf("KIND", || Name::all().map(Name::text).collect()), Live, field!(kind, Name::from_str),
            "What the line is: the service by its name, a technology, or `auto`: it is found out")
            .required().flag("--service"),
        key("aftr", One("ADDR|NAME"), Live, field!(aftr, far_end),
            "Of dslite and lw4o6: the AFTR, an address or a name; unset: the line's (DHCPv6, HB46PP) or the service's")
            .flag("--aftr").only(Services::DSLITE.or(Services::LW4O6)),
        key("br", One("ADDR"), Live, field!(br, host6),
            "Of fixed addresses and MAP-E: the border router; unset: the line's or the service's")
            .flag("--br").only(Services::IPIP.or(Services::MAP_E)),
        key("ipv4", One("ADDR"), Live, field!(ipv4, host4),
            "Of fixed addresses and lw4o6: the IPv4 address; of a block the first")
            .flag("--ipv4").only(Services::IPIP.or(Services::LW4O6)),
        key("ce", One("ID|ADDR|from-ipv4"), Live, field!(ce, near_end),
            "Our end of the tunnel: an interface id such as ::feed, a whole address, or `from-ipv4` (the id that MAP-E's \
             draft 03 makes of the IPv4 address); unset: what the service has, else the WAN's own address")
            .flag("--ce").only(Services::DSLITE.or(Services::IPIP).or(Services::LW4O6)),
        key("map-rules", File, Live, field!(map_rules, PathBuf::from_str),
            "Of MAP-E: a file with the rules of the domain (docs/map-rules.md); unset: the line's (DHCPv6, HB46PP)")
            .flag("--map-rules").only(Services::MAP_E.or(Services::AUTO)),
        key("iid", One("draft03|rfc7597"), Live, field!(iid, InterfaceId::from_str),
            "Of MAP-E: the form of the interface id; unset: what the rules, or else the service, say; else rfc7597")
            .only(Services::MAP_E.or(Services::AUTO)),
        key("psid", One("N"), Live, field!(psid, number(0u16..=u16::MAX)),
            "Of lw4o6: our share of the ports, the PSID").only(Services::LW4O6),
        key("psid-length", One("BITS"), Live, field!(psid_length, number(0u8..=16)),
            "Of lw4o6: the PSID's length in bits; unset: all ports are ours").only(Services::LW4O6),
        key("psid-offset", One("BITS"), Live, field!(psid_offset, number(0u8..=15)),
            "Of lw4o6: bits of a port before the PSID; unset: 0").only(Services::LW4O6),
        key("tunnel-mtu", One("N"), Live, field!(tunnel_mtu, number(576..=LINK_MTU)),
            "The tunnel's MTU as hosts see it, 576 to 1500. Up to 1460, larger packets with DF are refused and others \
             leave in outer fragments; above, packets up to N are carried whatever DF says (RFC 6333)")
            .flag("--tunnel-mtu").default("1460"),
    ];

    fn blank() -> Self {
        let (kind, aftr, br, ipv4, ce, tunnel_mtu) = (Name::Auto, None, None, None, None, 0);
        let (map_rules, iid, psid, psid_length, psid_offset) = (None, None, None, None, None);
        Self { kind, aftr, br, ipv4, ce, map_rules, iid, psid, psid_length, psid_offset, tunnel_mtu }
    }
}

/// What was written, and where.
#[derive(Clone, Debug)]
pub(super) struct Written {
    keys: ServiceKeys,
    at: Places,
}

impl Service {
    /// Reads `[service]`, `[service.notification]` and `[service.provisioning]`.
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<(Self, Written)> {
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
        let notification_at = notification.as_ref().map(|section| section.place.clone());
        let mut reader = Reader::new(section, problems);
        let (keys, behaviour) = (reader.keys::<ServiceKeys>(), reader.keys::<Behaviour>());
        let at = reader.end(&["notification", "provisioning"]);
        let notification = notification.map(|section| notification::read(section, problems));
        let (written, behaviour) = (Written { keys: keys?, at: at? }, behaviour?);
        let kind = written.keys.kind;
        if let (Some(place), Some(Technology::Dslite | Technology::MapE | Technology::Lw4o6)) =
            (notification_at, kind.profile().technology)
        {
            problems.add(place, format!("[service.notification]: {kind} is told nothing; leave it out"));
        }
        written.belongs(problems);
        written.is_complete(problems);
        let service = Self {
            wish: written.wish(problems)?,
            mtu: mtu_mode(written.keys.tunnel_mtu),
            behaviour,
            notification: match notification {
                Some(notification) => Some(notification?),
                None => None,
            },
            provisioning: provisioning?,
        };
        Some((service, written))
    }

    /// What only the whole can tell.
    pub(super) fn check(&self, written: &Written, wan: &Wan, lans: &[Lan], problems: &mut Problems) {
        let Written { keys, at } = written;
        if let Some(ipv4) = keys.ipv4
            && let Some(lan) = lans.iter().find(|lan| (lan.ipv4.first()..=lan.ipv4.last()).contains(&ipv4))
        {
            let text = format!("ipv4 = '{ipv4}': it is of the LAN {}; give the LAN another network", lan.ipv4);
            problems.add(at.place("ipv4"), text);
        }
        let mut taken = Vec::new();
        for mapping in &self.behaviour.forward {
            let host = mapping.host();
            let lan = lan_of(lans.iter().map(|lan| lan.ipv4), host);
            if lan.is_none() {
                let text = format!("forward = '{mapping}': {host} is no host of the LAN {}", networks(lans));
                problems.add(at.place("forward"), text);
            }
            taken.extend(mapping.on(PortSet::ALL, lan.unwrap_or_default()));
        }
        if let Err(why) = napt::Forward::check_all(PortSet::ALL, &taken) {
            problems.add(at.place("forward"), format!("forward: {why}"));
        }
        let far = match (&keys.aftr, keys.br) {
            (Some(Endpoint::Addresses(addresses)), _) => addresses.first().map(|&aftr| ("aftr", aftr)),
            (_, Some(br)) => Some(("br", br)),
            _ => None,
        };
        match keys.ce {
            Some(WishedEnd::Local(Local::Address(ce))) if far.is_some_and(|(_, far)| far == ce) => {
                let key = far.map_or("br", |(key, _)| key);
                problems.add(at.place("ce"), format!("ce and {key} are both {ce}; a tunnel has two ends"));
            }
            Some(WishedEnd::Local(Local::Token(ce))) if wan.interface_id == super::InterfaceId::Token(ce) => {
                let text = "ce: it is [wan] interface-id; leave it out, the WAN's own address is used";
                problems.add(at.place("ce"), text);
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

/// The services that a key must be for to be one of `kind`.
fn services(kind: Name) -> Services {
    match kind.profile().technology {
        None => Services::AUTO,
        Some(technology) => services_of(technology),
    }
}

fn services_of(technology: Technology) -> Services {
    match technology {
        Technology::Dslite => Services::DSLITE,
        Technology::Ipip => Services::IPIP,
        Technology::MapE => Services::MAP_E,
        Technology::Lw4o6 => Services::LW4O6,
    }
}

impl Written {
    /// Keys that another service has, and not this one.
    fn belongs(&self, problems: &mut Problems) {
        let rows = ServiceKeys::KEYS.iter().map(|key| &key.row).chain(Behaviour::KEYS.iter().map(|key| &key.row));
        let services = services(self.keys.kind);
        for row in rows.filter(|row| self.at.is_set(row.name) && !row.services.contains(services)) {
            problems.add(self.at.place(row.name), format!("{}: {}", row.name, self.instead_of(row)));
        }
    }

    fn instead_of(&self, row: &Row) -> String {
        use Technology::{Dslite, Ipip, Lw4o6, MapE};
        let kind = self.keys.kind;
        match (row.name, kind.profile().technology) {
            ("br", Some(Dslite | Lw4o6)) => format!("the far end of {kind} is aftr"),
            ("aftr", Some(Ipip | MapE)) => format!("the far end of {kind} is br"),
            (_, Some(Dslite)) if row.services == Services::NAPT => {
                format!("{kind} has none; leave it out: the far end translates and has the sessions, not this router")
            }
            (_, None) => "with kind = \"auto\" the line says it; name the service to give it".into(),
            _ => {
                let has = |technology: &Technology| row.services.contains(services_of(*technology));
                let others = [Dslite, Ipip, MapE, Lw4o6].into_iter().filter(has).map(Technology::name);
                format!("{kind} has none; leave it out ({} has)", others.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// What a service cannot do without.
    fn is_complete(&self, problems: &mut Problems) {
        let Self { keys, at } = self;
        let (kind, profile) = (keys.kind, keys.kind.profile());
        let mut lacks = |key: &str, text: &str| problems.add(at.place(key), format!("{kind} lacks {key}; {text}"));
        let alone = profile.technology == Some(Technology::Ipip) && (!profile.provisioned || kind == Name::Ipip);
        if profile.technology == Some(Technology::Ipip) && (alone || keys.ipv4.is_some() != keys.br.is_some()) {
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
        if profile.technology == Some(Technology::Lw4o6) {
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

    fn wish(&self, problems: &mut Problems) -> Option<Wish> {
        let before = problems.0.len();
        let Self { keys, at } = self;
        if keys.ce == Some(WishedEnd::FromIpv4) && keys.kind.profile().technology == Some(Technology::Dslite) {
            problems.add(at.place("ce"), "ce = 'from-ipv4': there is no ipv4 to make it of");
        }
        let (offset, length, psid) =
            (keys.psid_offset.unwrap_or(0), keys.psid_length.unwrap_or(0), keys.psid.unwrap_or(0));
        let ports = PortSet::new(offset, length, psid);
        if ports.is_none() {
            let text = format!(
                "psid {psid}, psid-length {length}, psid-offset {offset}: the PSID has more bits than its length, or both \
                 lengths together are more than the 16 bits of a port"
            );
            problems.add(at.place("psid"), text);
        }
        let has_form = keys.iid.or(keys.kind.profile().iid).is_some();
        let rules = keys.map_rules.as_ref().and_then(|path| match RulesFile::read(path) {
            Ok(domain) if domain.iid.is_none() && !has_form && known_form(&domain).is_none() => {
                let text = format!(
                    "map-rules = '{}': it does not say iid, and {} has no form of its own; give it there, or as iid here",
                    path.display(),
                    keys.kind
                );
                problems.add(at.place("map-rules"), text);
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
}
