//! What a configuration will do, in a few lines.

use std::fmt;

use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_net::Mac;
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::service::{Local, Technology, UsualEnd, WishedEnd};
use hikyaku_ring::Vlan;
use hikyaku_schema::{DEFAULT_TABLE, Idle};

use crate::config::Config;
use crate::service::Service;
use crate::value::InterfaceId;
use crate::wan::Dhcpv6Mode;

/// Shows a [`Config`]: a line for each part.
#[derive(Debug)]
pub struct Summary<'a>(&'a Config);

impl Config {
    /// What it will do, in a few lines.
    pub fn summary(&self) -> Summary<'_> {
        Summary(self)
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("line", self.line()),
            ("LAN", self.lan()),
            ("service", self.service()),
            ("tunnel", self.tunnel()),
            ("tell", self.notification()),
            ("workers", self.workers()),
            ("control", self.control()),
            ("system", self.system()),
        ];
        let lines: Vec<String> = parts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| format!("  {name:<8} {text}"))
            .collect();
        f.write_str(&lines.join("\n"))
    }
}

fn station(mac: Option<Mac>) -> String {
    mac.map_or("the interface's own Ethernet address".into(), |mac| format!("Ethernet address {mac}"))
}

fn vlan(vlan: Option<Vlan>) -> String {
    vlan.map(|vlan| format!(" VLAN {vlan}")).unwrap_or_default()
}

impl Summary<'_> {
    fn line(&self) -> String {
        let wan = &self.0.wan;
        let id = match wan.interface_id {
            InterfaceId::Stable => "a stable interface id".to_string(),
            InterfaceId::Eui64 => "the interface id of its Ethernet address".to_string(),
            InterfaceId::Token(_) => format!("interface id {}", wan.interface_id),
        };
        let dhcpv6 = match wan.dhcpv6.mode {
            Dhcpv6Mode::Auto => "DHCPv6 as the router advertisement says",
            Dhcpv6Mode::Stateless => "DHCPv6 for resolvers and the like",
            Dhcpv6Mode::Stateful => "DHCPv6 for a prefix",
            Dhcpv6Mode::Off => "no DHCPv6",
        };
        let host = if wan.host { "; other frames go to the host" } else { "" };
        format!("{}{}, {}; {id}; {dhcpv6}{host}", wan.link, vlan(wan.vlan), station(wan.mac))
    }

    fn lan(&self) -> String {
        let lan = &self.0.lan;
        let dhcpv4 = match &lan.dhcpv4 {
            None => "no DHCPv4".to_string(),
            Some(d) => {
                let dns = if d.dns.is_empty() { ", without resolvers" } else { "" };
                format!(
                    "DHCPv4 {} ({} addresses), {} reserved, leases of {} s{dns}",
                    d.pool,
                    grouped(d.pool.size().into()),
                    d.reservations.len(),
                    grouped(d.lease_time.as_secs()),
                )
            }
        };
        let host = if lan.host { "; other frames go to the host" } else { "" };
        let vlan = vlan(lan.vlan);
        format!("{}{vlan}, {}; {}, MTU {}; {dhcpv4}{host}", lan.link, station(lan.mac), lan.ipv4, lan.mtu)
    }

    fn service(&self) -> String {
        let Service { wish, provisioning, .. } = &self.0.service;
        let what = match wish.name.profile().technology {
            None => "found out from the line".to_string(),
            Some(technology) => technology.to_string(),
        };
        let mut parts = vec![format!("{}: {what}", wish.name)];
        parts.extend(wish.ipv4.map(|ipv4| format!("address {ipv4}")));
        parts.extend(wish.ports.map(|ports| format!("{} ports", ports.len())));
        parts.extend(wish.rules.as_ref().map(|domain| format!("{} rules", domain.rules.len())));
        parts.extend(wish.far.as_ref().map(|far| match far {
            Endpoint::Name(name) => format!("far end {name}, as the line's resolvers know it"),
            Endpoint::Addresses(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                format!("far end {}", addresses.join(", "))
            }
        }));
        if provisioning.is_none() {
            parts.push("the provisioning server is not asked".into());
        }
        parts.join("; ")
    }

    fn tunnel(&self) -> String {
        let service = &self.0.service;
        let end = match (service.wish.end, service.wish.name.profile().end) {
            (Some(WishedEnd::Local(Local::Token(token))), _) => format!("from {token}"),
            (Some(WishedEnd::Local(Local::Address(address))), _) => format!("from {address}"),
            (Some(WishedEnd::FromIpv4), _) | (None, UsualEnd::FromIpv4) => "from the id of the IPv4 address".into(),
            (Some(WishedEnd::Local(Local::Own)) | None, _) => match service.wish.name.profile().technology {
                Some(Technology::Dslite | Technology::Ipip) => "from the WAN's own address".into(),
                _ => "from where the service says".to_string(),
            },
        };
        let mtu = match service.mtu {
            MtuMode::Strict { mtu } => format!("MTU {mtu}, larger packets with DF are refused"),
            MtuMode::Fragment { mtu } => format!("MTU {mtu}, where need be in outer fragments"),
        };
        let filtering = match (service.wish.name.profile().technology, service.behaviour.filtering()) {
            (Some(Technology::Dslite), _) => "",
            (_, Filtering::AddressAndPortDependent) => "; only those that were spoken to get in",
            (_, Filtering::EndpointIndependent) => "; anybody gets in through a mapping",
        };
        format!("{end}; {mtu}{filtering}")
    }

    fn notification(&self) -> String {
        let Some(notification) = &self.0.service.notification else { return String::new() };
        // Not the URL: it may have anything in it.
        let every = grouped(notification.repeat.as_secs());
        format!("the service where we are ({}), again every {every} s", notification.dialect)
    }

    fn workers(&self) -> String {
        let tuning = &self.0.tuning;
        let cores = tuning.cores.as_ref().map_or("one, on any core".to_string(), |cores| format!("on cores {cores}"));
        let idle = match tuning.idle {
            Idle::Spin => "never sleeping",
            Idle::Yield => "giving way to others",
            Idle::Sleep => "sleeping when there is nothing to do",
        };
        let sessions = match self.0.service.wish.name.profile().technology {
            Some(Technology::Dslite) => String::new(),
            _ => format!("; {} sessions", grouped(tuning.table_size(DEFAULT_TABLE).into())),
        };
        format!("{cores}, {idle}{sessions}")
    }

    fn control(&self) -> String {
        let control = &self.0.control;
        let group = control.group.as_ref().map(|group| format!(", group {}", group.name)).unwrap_or_default();
        format!("{}, mode {}{group}", control.socket.display(), control.mode)
    }

    fn system(&self) -> String {
        let system = &self.0.system;
        let user =
            system.user.as_ref().map(|user| format!("; runs as {} once all is open", user.name)).unwrap_or_default();
        format!("leases in {}{user}", system.state_dir.display())
    }
}

/// A number with thin groups of three: 1 234 567.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
