//! `[lan]`: the side of the hosts.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use clap::{ArgAction, Args};
use hikyaku_net::Mac;
use hikyaku_protocols::host::{host_name, host4};
use hikyaku_ring::{LinkName, Vlan};

use super::keys::{self, Read};
use super::problem::Problems;
use super::tree::Section;
use super::value::{Network4, Pool, number, station};
use super::wan::check_link;
use crate::memory_router::LINK_MTU;

/// The side of the hosts.
#[derive(Args, Clone, Debug)]
pub struct Lan {
    /// Link towards the hosts, written as [wan] link is
    #[arg(long, value_name = "LINK")]
    pub link: LinkName,

    /// Our Ethernet address there; unset: the interface's own
    #[arg(long, value_name = "MAC", value_parser = station)]
    pub mac: Option<Mac>,

    /// VLAN (802.1Q) that the LAN is of the link's wire, 1 to 4094; unset: frames have no tag
    #[arg(long, value_name = "N")]
    pub vlan: Option<Vlan>,

    /// Our address there, and its network
    #[arg(long, value_name = "ADDR/LEN")]
    pub ipv4: Network4,

    /// Largest IPv4 packet, 576 to 1500
    #[arg(long, value_name = "N", default_value = "1500", value_parser = number(576..=LINK_MTU))]
    pub mtu: u16,

    /// Frames that are not ours go to the host's own stack (netmap:IF only)
    #[arg(long)]
    pub host: bool,

    /// `[lan.dhcpv4]`; `None` where it is not enabled.
    #[arg(skip)]
    pub dhcpv4: Option<Dhcpv4>,
}

/// The DHCPv4 server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcpv4 {
    /// Addresses for whoever asks.
    pub pool: Pool,
    /// How long a lease holds.
    pub lease_time: Duration,
    /// Resolvers that hosts are told.
    pub dns: Vec<Ipv4Addr>,
    /// Domain that hosts are told.
    pub domain: Option<String>,
    /// MTU that hosts are told.
    pub mtu: Option<u16>,
    /// Hosts that always get the same address.
    pub reservations: Vec<Reservation>,
}

/// `[lan.dhcpv4]` as it is written.
#[derive(Args, Clone, Debug)]
pub struct Dhcpv4Keys {
    /// Whether hosts get addresses from here
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub enabled: bool,

    /// Addresses for whoever asks; unset: the upper half of the network, 1024 at most
    #[arg(long, value_name = "FIRST-LAST")]
    pub pool: Option<Pool>,

    /// Seconds that a lease holds, 120 to 31536000
    #[arg(long, value_name = "SECONDS", default_value = "43200", value_parser = number(120u32..=31_536_000))]
    pub lease_time: u32,

    /// Resolvers that hosts are told; there is no resolver of ours yet
    #[arg(long, value_name = "ADDR", value_parser = host4)]
    pub dns: Vec<Ipv4Addr>,

    /// Domain that hosts are told
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub domain: Option<String>,

    /// MTU that hosts are told; not all of them listen
    #[arg(long, value_name = "N", value_parser = number(576..=LINK_MTU))]
    pub mtu: Option<u16>,
}

/// `[[lan.dhcpv4.reservation]]`: a host that always gets the same address.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The host's Ethernet address
    #[arg(long, value_name = "MAC", value_parser = station)]
    pub mac: Mac,

    /// Its address, of the network, in the pool or not
    #[arg(long, value_name = "ADDR", value_parser = host4)]
    pub ip: Ipv4Addr,

    /// Its name
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub name: Option<String>,
}

/// Resolvers that fit every host's patience.
const MAX_DNS: usize = 8;
/// Reservations, at most.
const MAX_RESERVATIONS: usize = 4096;

impl Lan {
    /// Reads `[lan]` and what is in it.
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<Read<Self>> {
        let mut dhcpv4 = section.take("dhcpv4", "a LAN has one DHCPv4 server", problems);
        let reservations = dhcpv4.take_all("reservation");
        let reservations: Vec<_> =
            reservations.into_iter().map(|section| keys::read::<Reservation>(section, &[], problems)).collect();
        let dhcpv4 = keys::read::<Dhcpv4Keys>(dhcpv4, &["reservation"], problems);
        let lan = keys::read::<Self>(section, &["dhcpv4"], problems);
        let (mut lan, dhcpv4) = (lan?, dhcpv4?);
        let reservations: Vec<Read<Reservation>> = reservations.into_iter().flatten().collect();

        let Self { ref link, host, ipv4, mtu, .. } = lan.keys;
        check_link(link, host, &lan.place("link"), &lan.place("host"), problems);
        // RFC 6333 5.7: between B4 and AFTR.
        if Ipv4Addr::from(u32::from(ipv4.address) & !7) == Ipv4Addr::new(192, 0, 0, 0) {
            problems.add(lan.place("ipv4"), format!("ipv4 = '{ipv4}': 192.0.0.0/29 is DS-Lite's own; take another"));
        }
        check_pool(&dhcpv4, ipv4, problems);
        check_reservations(&reservations, ipv4, problems);
        let keys = dhcpv4.keys.clone();
        if keys.dns.len() > MAX_DNS {
            problems.add(dhcpv4.place("dns"), format!("dns: give at most {MAX_DNS}"));
        }
        if keys.mtu.is_some_and(|told| told > mtu) {
            problems.add(dhcpv4.place("mtu"), format!("mtu: more than the LAN's own {mtu}"));
        }
        lan.keys.dhcpv4 = keys.enabled.then(|| Dhcpv4 {
            pool: keys.pool.unwrap_or_else(|| Pool::upper_half(ipv4)),
            lease_time: Duration::from_secs(keys.lease_time.into()),
            dns: keys.dns,
            domain: keys.domain,
            mtu: keys.mtu,
            reservations: reservations.into_iter().map(|r| r.keys).collect(),
        });
        Some(lan)
    }
}

fn check_pool(dhcpv4: &Read<Dhcpv4Keys>, lan: Network4, problems: &mut Problems) {
    let Some(pool) = dhcpv4.keys.pool else { return };
    let mut wrong = |why: String| problems.add(dhcpv4.place("pool"), format!("pool = '{pool}': {why}"));
    if !lan.is_host(pool.first) || !lan.is_host(pool.last) {
        let (first, last) = (u32::from(lan.first()) + 1, u32::from(lan.last()) - 1);
        wrong(format!("not of the LAN {lan}, whose hosts have {}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last)));
    } else if pool.contains(lan.address) {
        wrong(format!("it has our own address {} in it", lan.address));
    }
}

fn check_reservations(reservations: &[Read<Reservation>], lan: Network4, problems: &mut Problems) {
    if let Some(first_too_many) = reservations.get(MAX_RESERVATIONS) {
        problems.add(first_too_many.place("mac"), format!("give at most {MAX_RESERVATIONS} reservations"));
    }
    let mut seen = HashMap::new();
    for r in reservations {
        let Reservation { mac, ip, ref name } = r.keys;
        if !lan.is_host(ip) {
            problems.add(r.place("ip"), format!("ip = '{ip}': no host's address of the LAN {lan}"));
        } else if ip == lan.address {
            problems.add(r.place("ip"), format!("ip = '{ip}': that is our own address"));
        }
        let identities = [("mac", Some(mac.to_string())), ("ip", Some(ip.to_string())), ("name", name.clone())];
        for (key, value) in identities {
            let Some(value) = value else { continue };
            if seen.insert((key, value.clone()), ()).is_some() {
                problems.add(r.place(key), format!("{key} = '{value}': another reservation has it already"));
            }
        }
    }
}
