//! `[lan.dns]`: names for hosts of the LAN.

use std::net::{IpAddr, Ipv6Addr};

use hikyaku_protocols::forwarder::{HOME, MAX_SERVERS};
use hikyaku_protocols::host::{host_name, host4, host6};
use hikyaku_schema::{Change::*, Key, Keys, Problems, Read, Section, Syntax::*, boolean, field, key, number};

/// The DNS forwarder for hosts of the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanDns {
    /// What hosts' names are under.
    pub domain: String,
    /// What kept answers take, bytes, about.
    pub cache: usize,
    /// Whether names of the Internet are kept from leading to addresses of a LAN.
    pub rebinding_protection: bool,
    /// Domains whose names may.
    pub rebinding_allowed: Vec<String>,
    /// Whether hosts are told that no name has an IPv6 address.
    pub filter_aaaa: bool,
    /// Names that are answered here.
    pub hosts: Vec<DnsHost>,
    /// Domains that other resolvers know about.
    pub forwards: Vec<DnsForward>,
}

/// Section `[lan.dns]` as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct LanDnsKeys {
    enabled: bool,
    domain: Option<String>,
    cache: u32,
    rebinding_protection: bool,
    rebinding_allowed: Vec<String>,
    filter_aaaa: bool,
}

/// Largest cache, kibibytes.
const MAX_CACHE: u32 = 256 << 10;

impl Keys for LanDnsKeys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("enabled", Bool, Live, field!(enabled, boolean),
            "Answer questions of the LAN's hosts about names (RFC 5625), of nobody else; they are told so by DHCP and router \
             advertisements").default("true"),
        key("domain", One("NAME"), Live, field!(domain, host_name),
            "Domain that names of hosts are under; unset: that of [lan.dhcpv4], else home.arpa (RFC 8375)"),
        key("cache", One("KIB"), Live, field!(cache, number(0..=MAX_CACHE)),
            "Kibibytes that kept answers take, about, 0 to 262144; 0 keeps none").default("4096"),
        key("rebinding-protection", Bool, Live, field!(rebinding_protection, boolean),
            "Keep back answers in which a name of the Internet leads to an address of a LAN (DNS rebinding)").default("true"),
        key("rebinding-allowed", Many("NAME"), Live, field!(rebinding_allowed[], host_name),
            "Domains whose names may lead to addresses of a LAN: a mail server's block lists, for one"),
        key("filter-aaaa", Bool, Live, field!(filter_aaaa, boolean),
            "Tell hosts that names have no IPv6 addresses, but for those of the LAN"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

/// Section `[[lan.dns.host]]`: a name that is answered here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsHost {
    /// The name.
    pub name: String,
    /// Its addresses.
    pub ip: Vec<IpAddr>,
}

impl Keys for DnsHost {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("name", One("NAME"), Live, field!(name, host_name), "A name that is answered here, whatever others say of it").required(),
        key("ip", Many("ADDR"), Live, field!(ip[], host), "Its addresses, IPv4 and IPv6; unset: the name has none"),
    ];

    fn blank() -> Self {
        Self { name: String::new(), ip: Vec::new() }
    }
}

fn host(text: &str) -> Result<IpAddr, String> {
    if text.contains(':') { host6(text).map(IpAddr::V6) } else { host4(text).map(IpAddr::V4) }
}

/// Section `[[lan.dns.forward]]`: a domain that certain resolvers know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsForward {
    /// Its name.
    pub name: String,
    /// Who is asked about it; empty: the line's own resolvers.
    pub servers: Vec<Ipv6Addr>,
}

impl Keys for DnsForward {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("name", One("NAME"), Live, field!(name, host_name), "A domain that certain resolvers know about, as that of a closed network").required(),
        key("servers", Many("ADDR"), Live, field!(servers[], host6),
            "Who is asked about it, 8 at most, on the line; their answers may lead to a LAN. Unset: the resolvers that the line names"),
    ];

    fn blank() -> Self {
        Self { name: String::new(), servers: Vec::new() }
    }
}

/// The most `[[lan.dns.host]]` and `[[lan.dns.forward]]` that are taken.
const MAX_ENTRIES: usize = 4096;

/// Reads `[lan.dns]` and what is in it. `domain`: that of [lan.dhcpv4]. `None` inside: it is switched off.
pub(super) fn read(mut section: Section, domain: Option<String>, problems: &mut Problems) -> Option<Option<LanDns>> {
    let hosts = section.take_all("host");
    let forwards = section.take_all("forward");
    let hosts: Vec<_> = hosts.into_iter().filter_map(|section| section.read::<DnsHost>(&[], problems)).collect();
    let forwards: Vec<_> =
        forwards.into_iter().filter_map(|section| section.read::<DnsForward>(&[], problems)).collect();
    let keys = section.read::<LanDnsKeys>(&["host", "forward"], problems)?.keys;
    let too_many = |what: &str| format!("give at most {MAX_ENTRIES} [[lan.dns.{what}]]");
    if let Some(first) = hosts.get(MAX_ENTRIES) {
        problems.add(first.at.place("name"), too_many("host"));
    }
    if let Some(first) = forwards.get(MAX_ENTRIES) {
        problems.add(first.at.place("name"), too_many("forward"));
    }
    twice(&hosts, |host| &host.name, problems);
    twice(&forwards, |forward| &forward.name, problems);
    for forward in forwards.iter().filter(|forward| forward.keys.servers.len() > MAX_SERVERS) {
        problems.add(forward.at.place("servers"), format!("servers: give at most {MAX_SERVERS}"));
    }
    Some(keys.enabled.then(|| LanDns {
        domain: keys.domain.or(domain).unwrap_or_else(|| HOME.into()),
        cache: keys.cache as usize * 1024,
        rebinding_protection: keys.rebinding_protection,
        rebinding_allowed: keys.rebinding_allowed,
        filter_aaaa: keys.filter_aaaa,
        hosts: hosts.into_iter().map(|host| host.keys).collect(),
        forwards: forwards.into_iter().map(|forward| forward.keys).collect(),
    }))
}

fn twice<T>(read: &[Read<T>], name: impl Fn(&T) -> &String, problems: &mut Problems) {
    let mut seen = std::collections::HashSet::new();
    for entry in read {
        let name = name(&entry.keys);
        if !seen.insert(name) {
            problems.add(entry.at.place("name"), format!("name = '{name}': another has it already; write it once"));
        }
    }
}
