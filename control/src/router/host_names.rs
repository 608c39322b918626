//! What hosts of the LAN are called: as the user says, as reserved, and as those call themselves that have a lease.
//!
//! A host may have addresses of both families, and of several prefixes: a name leads to all that its station has. A name is
//! never given addresses of another station, so nobody comes to a host's name by calling itself the same.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_config::{self as config, LanDhcpv6};
use hikyaku_net::{Mac, Prefix6, Time};
use hikyaku_protocols::dhcpv4::Standing;
use hikyaku_protocols::forwarder::Host;
use hikyaku_protocols::host::host_name;

use super::lan::Lan;
use super::lan_ipv6::LanIpv6;

/// Names that mean something to programs, and so are no host's to take.
const TAKEN: [&str; 3] = ["localhost", "wpad", "isatap"];

/// Addresses that lead to a host, and by what it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Station {
    /// The Ethernet address, where that is known.
    mac: Option<Mac>,
    /// As the user says, in full or under the LAN's domain.
    reserved: Option<String>,
    /// As it calls itself.
    hostname: Option<String>,
    addresses: Vec<IpAddr>,
}

/// Hosts by name. Of two with one name the first has it: what the user wrote, then reservations, then leases, those of DHCPv4
/// before those of DHCPv6.
pub(super) fn hosts(now: Time, lan: &Lan, ipv6: &LanIpv6, dns: &config::LanDns) -> Vec<Host> {
    let written = dns.hosts.iter().map(|host| Host { names: vec![host.name.clone()], addresses: host.ip.clone() });
    let prefixes = in_use(ipv6);
    let mut stations = Stations::new(reserved(&lan.config, &prefixes));
    let leases = lan.dhcpv4.iter().flat_map(|server| server.leases(now));
    for lease in leases.filter(|lease| lease.standing == Standing::Leased) {
        let Some(mac) = lease.mac else { continue };
        stations.lead(mac, lease.hostname.as_deref(), &[lease.address.into()]);
    }
    for lease in lan.dhcpv6.leases(now) {
        let of_prefix = |address: &Ipv6Addr| prefixes.iter().any(|prefix| prefix.contains(*address));
        let addresses =
            lease.leases.iter().filter(|lease| lease.len() == 128).map(|lease| lease.address()).filter(of_prefix);
        let addresses: Vec<IpAddr> = addresses.map(IpAddr::V6).collect();
        stations.lead(lease.mac, lease.hostname.as_deref(), &addresses);
    }
    written.chain(stations.list.into_iter().filter_map(|station| named(station, &dns.domain))).collect()
}

/// The LAN's prefixes that are for new connections: nobody is led to an address that is on its way out.
fn in_use(ipv6: &LanIpv6) -> Vec<Prefix6> {
    let prefixes = ipv6.advertised.iter().flat_map(|advertised| &advertised.prefixes);
    prefixes.filter(|prefix| prefix.preferred != Some(0)).map(|prefix| prefix.prefix).collect()
}

/// Hosts with reservations. One that has some of both families is known by its Ethernet address, or else by its name, which the
/// user wrote both times.
fn reserved(lan: &config::Lan, prefixes: &[Prefix6]) -> Vec<Station> {
    let of4 = lan.dhcpv4.iter().flat_map(|dhcpv4| &dhcpv4.reservations).map(|kept| Station {
        mac: Some(kept.mac),
        reserved: kept.name.clone(),
        hostname: None,
        addresses: vec![kept.ip.into()],
    });
    let mut stations: Vec<Station> = of4.collect();
    for kept in lan.ipv6.reservations.iter().filter(|_| lan.ipv6.dhcpv6 == LanDhcpv6::Stateful) {
        let Some(id) = kept.interface_id else { continue };
        let address = |prefix: &Prefix6| Ipv6Addr::from_bits(prefix.address().to_bits() | u128::from(id.bits()));
        let addresses = prefixes.iter().map(address).map(IpAddr::V6);
        let is_it = |other: &&mut Station| {
            kept.mac.is_some() && other.mac == kept.mac || kept.name.is_some() && other.reserved == kept.name
        };
        match stations.iter_mut().find(is_it) {
            Some(station) => {
                station.addresses.extend(addresses);
                station.reserved = station.reserved.take().or_else(|| kept.name.clone());
                station.mac = station.mac.or(kept.mac);
            }
            None => stations.push(Station {
                mac: kept.mac,
                reserved: kept.name.clone(),
                hostname: None,
                addresses: addresses.collect(),
            }),
        }
    }
    stations
}

/// Stations, found by what leases know of them: there may be thousands, and the control thread has little time.
struct Stations {
    list: Vec<Station>,
    by_mac: HashMap<Mac, Vec<usize>>,
    /// Addresses that are reserved.
    taken: HashSet<IpAddr>,
}

impl Stations {
    /// Those with reservations.
    fn new(list: Vec<Station>) -> Self {
        let taken = list.iter().flat_map(|station| station.addresses.iter().copied()).collect();
        let mut by_mac: HashMap<Mac, Vec<usize>> = HashMap::new();
        for (at, mac) in list.iter().enumerate().filter_map(|(at, station)| Some((at, station.mac?))) {
            by_mac.entry(mac).or_default().push(at);
        }
        Self { list, by_mac, taken }
    }

    /// A lease leads to a station.
    fn lead(&mut self, mac: Mac, hostname: Option<&str>, addresses: &[IpAddr]) {
        let addresses = addresses.iter().filter(|&address| !self.taken.contains(address)).copied();
        let hostname = hostname.and_then(label);
        // A station that is a bridge for others has leases of several hosts: what they call themselves tells them apart.
        let is_it = |station: &Station| {
            let is_same = station.hostname.is_none() || hostname.is_none() || station.hostname == hostname;
            station.reserved.is_some() || is_same
        };
        let of_mac = self.by_mac.entry(mac).or_default();
        match of_mac.iter().copied().find(|&at| is_it(&self.list[at])) {
            Some(at) => {
                let station = &mut self.list[at];
                station.addresses.extend(addresses);
                station.hostname = station.hostname.take().or(hostname);
            }
            None => {
                of_mac.push(self.list.len());
                self.list.push(Station { mac: Some(mac), reserved: None, hostname, addresses: addresses.collect() });
            }
        }
    }
}

/// As the forwarder has it; `None`: nobody knows what it is called.
fn named(station: Station, domain: &str) -> Option<Host> {
    let Station { reserved, hostname, addresses, .. } = station;
    let name = reserved.or(hostname)?;
    let names = if name.contains('.') { vec![name] } else { vec![format!("{name}.{domain}"), name] };
    Some(Host { names, addresses })
}

/// What a host calls itself, if it may be called so: the first label of it.
fn label(hostname: &str) -> Option<String> {
    let first = hostname.split('.').next()?;
    host_name(first).ok().filter(|label| !TAKEN.contains(&label.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_call_themselves_what_they_may() {
        let rows = [
            ("Printer", Some("printer")),
            ("nas.example.com", Some("nas")),
            ("wpad", None),
            ("LOCALHOST", None),
            ("my pc", None),
            ("-x", None),
            ("", None),
            ("12", None),
        ];
        for (said, expected) in rows {
            assert_eq!(label(said).as_deref(), expected, "{said}");
        }
    }

    /// Stations as leases lead to them, each (last byte of the Ethernet address, as it calls itself, address).
    fn led(stations: Vec<Station>, leases: &[(u8, Option<&str>, &str)]) -> Vec<(String, Vec<String>)> {
        let mut stations = Stations::new(stations);
        for &(mac, hostname, address) in leases {
            stations.lead(Mac([2, 0, 0, 0, 0, mac]), hostname, &[address.parse().unwrap()]);
        }
        let host = |host: Host| (host.names[0].clone(), host.addresses.iter().map(ToString::to_string).collect());
        stations.list.into_iter().filter_map(|station| named(station, "lan")).map(host).collect()
    }

    fn row(name: &str, addresses: &[&str]) -> (String, Vec<String>) {
        (name.into(), addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_station_has_one_name_for_all_its_addresses() {
        let leases = [(1, Some("printer"), "192.168.1.5"), (2, None, "192.168.1.6"), (1, None, "2001:db8::5")];
        assert_eq!(led(vec![], &leases), [row("printer.lan", &["192.168.1.5", "2001:db8::5"])]);
        // It says what it is called in one of the two only.
        let leases = [(1, None, "192.168.1.5"), (1, Some("tablet"), "2001:db8::5")];
        assert_eq!(led(vec![], &leases), [row("tablet.lan", &["192.168.1.5", "2001:db8::5"])]);
    }

    /// Who calls itself as another does has no part of its name; the forwarder takes the first.
    #[test]
    fn nobody_adds_an_address_to_the_name_of_another() {
        let leases = [(1, Some("nas"), "192.168.1.5"), (9, Some("nas"), "2001:db8::666")];
        let expected = [row("nas.lan", &["192.168.1.5"]), row("nas.lan", &["2001:db8::666"])];
        assert_eq!(led(vec![], &leases), expected);
    }

    #[test]
    fn hosts_behind_a_bridge_with_one_address_are_told_apart() {
        let leases = [(1, Some("a"), "192.168.1.5"), (1, Some("b"), "2001:db8::5"), (1, Some("a"), "2001:db8::6")];
        assert_eq!(
            led(vec![], &leases),
            [row("a.lan", &["192.168.1.5", "2001:db8::6"]), row("b.lan", &["2001:db8::5"])]
        );
    }

    #[test]
    fn a_reservations_name_is_for_all_that_its_host_has() {
        let kept = |mac: u8, name: &str, address: &str| Station {
            mac: Some(Mac([2, 0, 0, 0, 0, mac])),
            reserved: Some(name.into()),
            hostname: None,
            addresses: vec![address.parse().unwrap()],
        };
        let stations = vec![kept(1, "nas", "192.168.1.5"), kept(2, "web.example.jp", "192.168.1.6")];
        let leases = [
            (1, Some("DiskStation"), "192.168.1.5"),
            (1, Some("DiskStation"), "2001:db8::5"),
            // A lease of before the reservation does not take the reserved host's address.
            (3, Some("laptop"), "192.168.1.6"),
        ];
        let expected = [
            row("nas.lan", &["192.168.1.5", "2001:db8::5"]),
            row("web.example.jp", &["192.168.1.6"]),
            row("laptop.lan", &[]),
        ];
        assert_eq!(led(stations, &leases), expected);
    }
}
