//! What a configuration will do, in a few lines.

use std::fmt;

use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::packet::Mac;
use hikyaku_dataplane::tunnel::mtu::MtuMode;

use super::{Config, Dhcpv6Mode, Endpoint, InterfaceId, Kind};
use crate::table::grouped;
use crate::tuning::{DEFAULT_TABLE, IdlePolicy};

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
        format!("{}, {}; {id}; {dhcpv6}{host}", wan.link, station(wan.mac))
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
        format!("{}, {}; {}, MTU {}; {dhcpv4}{host}", lan.link, station(lan.mac), lan.ipv4, lan.mtu)
    }

    fn service(&self) -> String {
        match &self.0.service.kind {
            Kind::Dslite { aftr: None } => "DS-Lite; the AFTR is the one that DHCPv6 names".into(),
            Kind::Dslite { aftr: Some(Endpoint::Address(address)) } => format!("DS-Lite; AFTR {address}"),
            Kind::Dslite { aftr: Some(Endpoint::Name(name)) } => {
                format!("DS-Lite; AFTR {name}, as the line's resolvers know it")
            }
            Kind::Ipip { ipv4, br, filtering } => {
                let filtering = match filtering {
                    Filtering::AddressAndPortDependent => "only those that were spoken to get in",
                    Filtering::EndpointIndependent => "anybody gets in through a mapping",
                };
                format!("fixed address {ipv4}, translated here; border router {br}; {filtering}")
            }
        }
    }

    fn tunnel(&self) -> String {
        let service = &self.0.service;
        let ce = match service.ce {
            None => "from the WAN's own address".to_string(),
            Some(ce) => format!("from {ce}"),
        };
        match service.mtu {
            MtuMode::Strict { mtu } => format!("{ce}; MTU {mtu}, larger packets with DF are refused"),
            MtuMode::Fragment { mtu } => format!("{ce}; MTU {mtu}, where need be in outer fragments"),
        }
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
            IdlePolicy::Spin => "never sleeping",
            IdlePolicy::Yield => "giving way to others",
            IdlePolicy::Sleep => "sleeping when there is nothing to do",
        };
        let sessions = match self.0.service.kind {
            Kind::Dslite { .. } => String::new(),
            Kind::Ipip { .. } => format!("; {} sessions", grouped(tuning.table_size(DEFAULT_TABLE).into())),
        };
        format!("{cores}, {idle}{sessions}")
    }

    fn control(&self) -> String {
        let control = &self.0.control;
        let group = control.group.as_ref().map(|group| format!(", group {group}")).unwrap_or_default();
        format!("{}, mode {}{group}", control.socket.display(), control.mode)
    }

    fn system(&self) -> String {
        let system = &self.0.system;
        let user = system.user.as_ref().map(|user| format!("; runs as {user} once all is open")).unwrap_or_default();
        format!("leases in {}{user}", system.state_dir.display())
    }
}
