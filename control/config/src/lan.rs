//! `[lan]`: a side of the hosts. What several of them may not be together is in [`crate::lans`].

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use hikyaku_net::Mac;
use hikyaku_protocols::host::{host_name, host4};
use hikyaku_ring::{LinkName, Vlan};
use hikyaku_schema::{Change::*, Key, Keys, Problems, Read, Section, Syntax::*, boolean, field, key, number};

use crate::behaviour::LINK_MTU;
use crate::lan_dns::{self, LanDns};
use crate::lan_ipv6::LanIpv6;
use crate::value::{Network4, Pool, station};
use crate::wan::{HOST, check_link};

/// A side of the hosts: section `[lan]`, or each of `[[lan]]`.
#[derive(Clone, Debug)]
pub struct Lan {
    /// What it is called; none other is called so.
    pub name: String,
    /// The link towards the hosts.
    pub link: LinkName,
    /// Our Ethernet address there; `None`: the interface's own.
    pub mac: Option<Mac>,
    /// The VLAN (802.1Q) that the LAN is of the link's wire; `None`: frames have no tag.
    pub vlan: Option<Vlan>,
    /// Our address there, and its network.
    pub ipv4: Network4,
    /// The largest packet in bytes, 576 to 1500.
    pub mtu: u16,
    /// Whether frames that are not ours go to the host's own stack.
    pub host: bool,
    /// Whether hosts may begin nothing towards other LANs but what a rule accepts.
    pub isolated: bool,
    /// The DHCPv4 server; `None` where it is not enabled.
    pub dhcpv4: Option<Dhcpv4>,
    /// The DNS forwarder; `None` where it is not enabled.
    pub dns: Option<LanDns>,
    /// What hosts have of the line's IPv6.
    pub ipv6: LanIpv6,
}

impl Keys for Lan {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("name", One("NAME"), Restart, field!(name, lan_name),
            "What the LAN is called, a word of its own: a letter, then letters, digits, `-` and `_`, 32 at most; unset: lan, and of \
             further `[[lan]]` lan2, lan3, ..., as they stand in the file"),
        key("link", One("LINK"), Restart, field!(link, LinkName::from_str),
            "Link towards the hosts: netmap:IF, netmap:IF-QUEUE, valeN:PORT, netmap:NAME{ID, xdp:IF").required().flag("--lan"),
        key("mac", One("MAC"), Restart, field!(mac, station),
            "Our Ethernet address on the LAN; unset: the interface's own"),
        key("vlan", One("N"), Restart, field!(vlan, Vlan::from_str),
            "VLAN (802.1Q) that the LAN is of the link's wire, 1 to 4094; unset: frames have no tag").flag("--lan-vlan"),
        key("ipv4", One("ADDR/LEN"), Live, field!(ipv4, Network4::from_str),
            "The router's address on the LAN, and the length of the LAN's prefix").required().flag("--lan-ipv4"),
        key("mtu", One("N"), Live, field!(mtu, number(576..=LINK_MTU)),
            "Largest packet on the LAN in bytes, 576 to 1500; IPv6 needs 1280").default("1500"),
        key("host", Bool, Restart, field!(host, boolean), HOST).flag("--host"),
        key("isolated", Bool, Live, field!(isolated, boolean),
            "Guests: hosts of this LAN reach the line, and nothing of other LANs but what a `[[rule]]` accepts; of the router its \
             addresses on this LAN alone"),
    ];

    fn blank() -> Self {
        let (link, ipv4) = (LinkName::default(), Network4 { address: Ipv4Addr::UNSPECIFIED, len: 8 });
        Self {
            name: String::new(),
            link,
            mac: None,
            vlan: None,
            ipv4,
            mtu: 0,
            host: false,
            isolated: false,
            dhcpv4: None,
            dns: None,
            ipv6: LanIpv6::defaults(),
        }
    }
}

/// What the DHCPv4 server tells the hosts of the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4 {
    /// Addresses for whoever asks.
    pub pool: Pool,
    /// How long a lease holds.
    pub lease_time: Duration,
    /// Resolvers that hosts are told: we, where the user names none and we are one.
    pub dns: Vec<Ipv4Addr>,
    /// The domain that hosts are told.
    pub domain: Option<String>,
    /// The MTU that hosts are told.
    pub mtu: Option<u16>,
    /// Hosts that always get the same address.
    pub reservations: Vec<Reservation>,
}

/// Section `[lan.dhcpv4]` as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Dhcpv4Keys {
    enabled: bool,
    pool: Option<Pool>,
    lease_time: u32,
    dns: Vec<Ipv4Addr>,
    domain: Option<String>,
    mtu: Option<u16>,
}

impl Keys for Dhcpv4Keys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("enabled", Bool, Live, field!(enabled, boolean),
            "Give hosts of the LAN addresses by DHCP").default("true"),
        key("pool", One("FIRST-LAST"), Live, field!(pool, Pool::from_str),
            "Addresses for whoever asks; unset: the upper half of the network, 1024 at most"),
        key("lease-time", One("SECONDS"), Live, field!(lease_time, number(120u32..=31_536_000)),
            "Seconds that a lease holds, 120 to 31536000").default("43200"),
        key("dns", Many("ADDR"), Live, field!(dns[], host4),
            "Resolvers that hosts are told; unset: us, unless [lan.dns] is off, then none"),
        key("domain", One("NAME"), Live, field!(domain, host_name),
            "Domain that hosts are told; unset: that of [lan.dns]"),
        key("mtu", One("N"), Live, field!(mtu, number(576..=LINK_MTU)),
            "MTU that hosts are told; not all of them listen"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

/// Section `[[lan.dhcpv4.reservation]]`: a host that always gets the same address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The host's Ethernet address.
    pub mac: Mac,
    /// Its address, of the network, in the pool or not.
    pub ip: Ipv4Addr,
    /// Its name.
    pub name: Option<String>,
}

impl Keys for Reservation {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("mac", One("MAC"), Live, field!(mac, station), "The host's Ethernet address").required(),
        key("ip", One("ADDR"), Live, field!(ip, host4), "The address that the host gets, of the LAN's network, in the pool or not").required(),
        key("name", One("NAME"), Live, field!(name, host_name), "The host's name, which [lan.dns] answers for"),
    ];

    fn blank() -> Self {
        Self { mac: Mac::default(), ip: Ipv4Addr::UNSPECIFIED, name: None }
    }
}

/// Resolvers that fit every host's patience.
const MAX_DNS: usize = 8;
/// The most reservations that are taken.
const MAX_RESERVATIONS: usize = 4096;
/// The longest name of a LAN.
const MAX_NAME: usize = 32;
/// What rules call others by, or may come to.
const TAKEN: [&str; 4] = ["wan", "any", "router", "host"];

impl Lan {
    /// Reads `[lan]` and what is in it.
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<Read<Self>> {
        let mut dhcpv4 = section.take("dhcpv4", "a LAN has one DHCPv4 server", problems);
        let reservations = dhcpv4.take_all("reservation");
        let reservations: Vec<_> =
            reservations.into_iter().map(|section| section.read::<Reservation>(&[], problems)).collect();
        let dhcpv4 = dhcpv4.read::<Dhcpv4Keys>(&["reservation"], problems);
        let domain = dhcpv4.as_ref().and_then(|dhcpv4| dhcpv4.keys.domain.clone());
        let dns = lan_dns::read(section.take("dns", "a LAN has one forwarder", problems), domain, problems);
        let ipv6 = LanIpv6::read_section(section.take("ipv6", "a LAN has one", problems), problems);
        let lan = section.read::<Self>(&["dhcpv4", "dns", "ipv6"], problems);
        let (mut lan, dhcpv4, dns, ipv6) = (lan?, dhcpv4?, dns?, ipv6?);
        let reservations: Vec<Read<Reservation>> = reservations.into_iter().flatten().collect();

        let Self { ref link, host, ipv4, mtu, .. } = lan.keys;
        check_link(link, host, &lan.at.place("link"), &lan.at.place("host"), problems);
        // RFC 6333 5.7: between B4 and AFTR.
        if Ipv4Addr::from(u32::from(ipv4.address) & !7) == Ipv4Addr::new(192, 0, 0, 0) {
            problems.add(lan.at.place("ipv4"), format!("ipv4 = '{ipv4}': 192.0.0.0/29 is DS-Lite's own; take another"));
        }
        check_pool(&dhcpv4, ipv4, problems);
        check_reservations(&reservations, ipv4, problems);
        let keys = dhcpv4.keys.clone();
        if keys.dns.len() > MAX_DNS {
            problems.add(dhcpv4.at.place("dns"), format!("dns: give at most {MAX_DNS}"));
        }
        if keys.dns.contains(&ipv4.address) && dns.is_none() {
            let text = format!(
                "dns = '{}': that is our own address, and [lan.dns] is off; switch it on, or give one that hosts can reach",
                ipv4.address
            );
            problems.add(dhcpv4.at.place("dns"), text);
        }
        if keys.mtu.is_some_and(|told| told > mtu) {
            problems.add(dhcpv4.at.place("mtu"), format!("mtu: more than the LAN's own {mtu}"));
        }
        lan.keys.dhcpv4 = keys.enabled.then(|| Dhcpv4 {
            pool: keys.pool.unwrap_or_else(|| Pool::upper_half(ipv4)),
            lease_time: Duration::from_secs(keys.lease_time.into()),
            dns: if keys.dns.is_empty() && dns.is_some() { vec![ipv4.address] } else { keys.dns },
            domain: keys.domain.or_else(|| dns.as_ref().map(|dns| dns.domain.clone())),
            mtu: keys.mtu,
            reservations: reservations.into_iter().map(|r| r.keys).collect(),
        });
        lan.keys.dns = dns;
        lan.keys.ipv6 = ipv6.keys;
        Some(lan)
    }
}

/// A LAN's name: it is a word in the names of files, too.
fn lan_name(text: &str) -> Result<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(is_word) || text.len() > MAX_NAME {
        return Err(format!("a letter, then letters, digits, `-` and `_`, {MAX_NAME} at most"));
    }
    match TAKEN.contains(&text) {
        true => Err("that is what others are called; take another".into()),
        false => Ok(text.into()),
    }
}

fn check_pool(dhcpv4: &Read<Dhcpv4Keys>, lan: Network4, problems: &mut Problems) {
    let Some(pool) = dhcpv4.keys.pool else { return };
    let mut wrong = |why: String| problems.add(dhcpv4.at.place("pool"), format!("pool = '{pool}': {why}"));
    if !lan.is_host(pool.first) || !lan.is_host(pool.last) {
        let (first, last) = (u32::from(lan.first()) + 1, u32::from(lan.last()) - 1);
        wrong(format!("not of the LAN {lan}, whose hosts have {}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last)));
    } else if pool.contains(lan.address) {
        wrong(format!("it has our own address {} in it", lan.address));
    }
}

fn check_reservations(reservations: &[Read<Reservation>], lan: Network4, problems: &mut Problems) {
    if let Some(first_too_many) = reservations.get(MAX_RESERVATIONS) {
        problems.add(first_too_many.at.place("mac"), format!("give at most {MAX_RESERVATIONS} reservations"));
    }
    let mut seen = HashMap::new();
    for r in reservations {
        let Reservation { mac, ip, ref name } = r.keys;
        if !lan.is_host(ip) {
            problems.add(r.at.place("ip"), format!("ip = '{ip}': no host's address of the LAN {lan}"));
        } else if ip == lan.address {
            problems.add(r.at.place("ip"), format!("ip = '{ip}': that is our own address"));
        }
        let identities = [("mac", Some(mac.to_string())), ("ip", Some(ip.to_string())), ("name", name.clone())];
        for (key, value) in identities {
            let Some(value) = value else { continue };
            if seen.insert((key, value.clone()), ()).is_some() {
                problems.add(r.at.place(key), format!("{key} = '{value}': another reservation has it already"));
            }
        }
    }
}
