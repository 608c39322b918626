//! What is not as it should be is said by `hikyaku show status` until somebody has acted.

use std::net::Ipv6Addr;

use hikyaku::router::LAN;
use hikyaku_net::Mac;

use crate::coming_up::{DSLITE, IPIP};
use crate::services::seconds;
use crate::world::{LINKS, World, wire};

/// The one warning that has this in it.
fn warning(world: &World, what: &str) -> Option<String> {
    let warnings = world.status().warnings;
    let mut of_it = warnings.iter().filter(|warning| warning.contains(what));
    let first = of_it.next().cloned();
    assert_eq!(of_it.next(), None);
    first
}

/// A router advertisement (RFC 4861 4.2) of so many seconds, without an option.
fn advertisement(seconds: u16) -> Vec<u8> {
    let (station, router) = (Mac([2, 0, 0, 0, 7, 1]), "fe80::7".parse().unwrap());
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let [high, low] = seconds.to_be_bytes();
    wire::icmp6(
        (station, router),
        (wire::group_mac(all_nodes), all_nodes),
        134,
        &[64, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0],
    )
}

#[test]
fn hosts_that_are_told_no_resolver() {
    let mut world = World::new(DSLITE);
    assert_eq!(warning(&world, "[lan.dhcpv4] dns"), None);
    let unnamed = format!("{}{DSLITE}", LINKS.replace("dns = ['192.0.2.53']\n", ""));
    world.reload(&unnamed);
    assert_eq!(warning(&world, "[lan.dhcpv4] dns"), None, "we are named");
    world.reload(&format!("{unnamed}[lan.dns]\nenabled = false\n"));
    assert!(warning(&world, "[lan.dhcpv4] dns").unwrap().starts_with("DHCPv4 tells hosts no resolver"));
}

/// The cables of WAN and LAN are exchanged: the line's router speaks on the LAN.
#[test]
fn wan_and_lan_are_swapped() {
    let mut world = World::new(DSLITE);
    world.isp.alive = false;
    world.pass(seconds(5));
    world.hear(LAN, &advertisement(0));
    assert_eq!(warning(&world, "advertises itself"), None, "lifetime 0 is no default router's");
    world.hear(LAN, &advertisement(1800));
    let said = warning(&world, "advertises itself").unwrap();
    assert!(
        said.starts_with("lan0: router fe80::7 (station 02:00:00:00:07:01) advertises itself on the LAN"),
        "{said}"
    );
    assert!(said.ends_with("swapped, most likely; exchange the cables, or the links of [wan] and [lan]"), "{said}");
    world.pass(seconds(1800));
    assert_eq!(warning(&world, "advertises itself"), None, "it is gone");
}

/// A second router of the home that is plugged in with its LAN side.
#[test]
fn another_router_on_the_lan() {
    let mut world = World::new(DSLITE);
    world.pass(seconds(5));
    world.hear(LAN, &advertisement(1800));
    let said = warning(&world, "advertises itself").unwrap();
    assert!(said.contains("unplug it there") && !said.contains("swapped"), "{said}");
}

/// Addresses are called what they are: DHCPv6's are in what it leased, and no others.
#[test]
fn whose_an_address_is() {
    let mut world = World::new(IPIP);
    let role = |world: &World, end: &str| {
        let addresses = world.status().wan.addresses;
        addresses.into_iter().find(|a| a.address.to_string().ends_with(end)).map(|address| address.role)
    };
    assert!(world.pass_until(seconds(20), |world| role(world, "::feed").is_some()), "it is checked for duplicates");
    assert_eq!(role(&world, "::feed").as_deref(), Some("slaac"));
    world.carries_within(seconds(20));
    assert_eq!(role(&world, "::feed").as_deref(), Some("tunnel"));
    let roles: Vec<String> = world.status().wan.addresses.into_iter().map(|address| address.role).collect();
    assert!(!roles.contains(&"dhcpv6".into()), "{roles:?}");
}

/// What could not be saved is saved once it can be.
#[test]
fn a_state_directory_that_cannot_be_written() {
    let mut world = World::new(DSLITE);
    world.pass(seconds(20));
    let moved = world.state_dir.with_extension("moved");
    std::fs::rename(&world.state_dir, &moved).unwrap();
    std::fs::write(&world.state_dir, "what is no directory").unwrap();
    let host = world.lan.plug(None);
    world.lan.discover(host);
    world.pass(seconds(5));
    let said = warning(&world, "not saved").unwrap();
    assert!(
        said.contains("dhcpv4.json") && said.contains("Not a directory") && said.contains("it is tried again"),
        "{said}"
    );
    std::fs::remove_file(&world.state_dir).unwrap();
    std::fs::rename(&moved, &world.state_dir).unwrap();
    world.pass(seconds(10));
    assert_eq!(warning(&world, "not saved"), None);
    let address = world.lan.stations[host].address.expect("a lease");
    let saved = std::fs::read_to_string(world.state_dir.join("dhcpv4.json")).unwrap();
    assert!(saved.contains(&address.to_string()), "{saved}");
}
