//! What follows from the keys of a configuration together, in a few lines, and which of them are set.

use std::fmt;

use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::rules::Action;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::service::{Local, Technology, UsualEnd, WishedEnd};
use hikyaku_schema::DEFAULT_TABLE;

use crate::config::Config;
use crate::lan::Lan;
use crate::lan_ipv6::LanDhcpv6;
use crate::service::Service;

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
        let lans = self.0.lans.iter().flat_map(|lan| {
            let name = if self.0.lans.len() > 1 { lan_line(lan) } else { String::new() };
            [("LAN", name), ("hosts", hosts(lan)), ("names", names(lan)), ("IPv6", ipv6(lan))]
        });
        let before = [("service", self.service()), ("tunnel", self.tunnel())];
        let behind = [("rules", self.rules()), ("workers", self.workers())];
        let parts = before.into_iter().chain(lans).chain(behind);
        parts.filter(|(_, text)| !text.is_empty()).try_for_each(|(name, text)| writeln!(f, "  {name:<8} {text}"))?;
        f.write_str("set, other than by default:")?;
        self.0.set.iter().try_for_each(|key| write!(f, "\n  {key}"))
    }
}

impl Summary<'_> {
    /// Nothing where there are none.
    fn rules(&self) -> String {
        let list = self.0.rules.written();
        let of = |action, name| {
            let count = list.iter().filter(|rule| rule.action == action).count();
            (count > 0).then(|| format!("{count} {name}"))
        };
        let counts = [of(Action::Accept, "accept"), of(Action::Drop, "drop"), of(Action::Reject, "reject")];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        if counts.is_empty() {
            return String::new();
        }
        // Where nobody here knows sessions, each packet is asked about.
        let is_known = self.0.service.wish.name.profile().technology;
        let but = if is_known.is_none_or(|is| is == Technology::Dslite) { ", but for IPv4 by DS-Lite" } else { "" };
        format!("{}; a change is of sessions that begin after it, those that are there go on{but}", counts.join(", "))
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

    fn workers(&self) -> String {
        let tuning = &self.0.tuning;
        let both = if self.0.lans.len() > 1 { "all" } else { "both" };
        let cores = tuning.cores.as_ref().map_or(format!("as many as {both} links have queues"), |cores| {
            format!("{}, on cores {cores}", cores.0.len())
        });
        match self.0.service.wish.name.profile().technology {
            Some(Technology::Dslite) => cores,
            _ => format!("{cores}; {} sessions", grouped(tuning.table_size(DEFAULT_TABLE).into())),
        }
    }
}

/// Which of several it is.
fn lan_line(lan: &Lan) -> String {
    let vlan = lan.vlan.map(|vlan| format!(" VLAN {}", vlan.id())).unwrap_or_default();
    let isolated = if lan.isolated { ", begins nothing towards others but what a rule accepts" } else { "" };
    format!("{}: {}{vlan}, {}{isolated}", lan.name, lan.link, lan.ipv4)
}

fn hosts(lan: &Lan) -> String {
    let Some(dhcpv4) = &lan.dhcpv4 else { return "no DHCPv4".into() };
    let dns = if dhcpv4.dns.is_empty() { ", without resolvers" } else { "" };
    format!(
        "DHCPv4 {} ({} addresses), {} reserved{dns}",
        dhcpv4.pool,
        grouped(dhcpv4.pool.size().into()),
        dhcpv4.reservations.len(),
    )
}

fn names(lan: &Lan) -> String {
    let Some(dns) = &lan.dns else { return "no DNS for hosts".into() };
    let mut parts = vec![format!("DNS for hosts, under {}", dns.domain)];
    let counted = [(dns.hosts.len(), "names"), (dns.forwards.len(), "domains")];
    parts.extend(counted.into_iter().filter(|&(n, _)| n > 0).map(|(n, what)| format!("{n} {what} of your own")));
    parts.join(", ")
}

fn ipv6(lan: &Lan) -> String {
    let ipv6 = &lan.ipv6;
    if !ipv6.is_on() {
        return "none for hosts".into();
    }
    let subnet = ipv6.subnet_id.map(|id| format!(" number {id}")).unwrap_or_default();
    let mut text = format!(
        "a /64{subnet} of the prefix that the line delegates, or the line's own; nothing gets in but answers, and what a rule accepts"
    );
    if ipv6.dhcpv6 == LanDhcpv6::Stateful {
        text += &format!("; DHCPv6 gives addresses, {} reserved", ipv6.reservations.len());
    }
    text += &ipv6.delegate.map(|len| format!("; prefixes of {len} bits for routers behind")).unwrap_or_default();
    text
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
