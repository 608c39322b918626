//! What is leased from the line: asked for, kept, given back.

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::MessageType;

use crate::coming_up::{AFTR, DSLITE};
use crate::world::World;
use crate::world::isp::{MANAGED, OTHER};
use crate::world::lan::GATEWAY;

const DELEGATED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0, 0, 0, 0, 0);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A line with the M flag and nothing but a delegated prefix, that carries.
pub fn delegated() -> World {
    let mut world = World::new(DSLITE);
    world.isp.says().flags = MANAGED;
    world.isp.says().prefixes.clear();
    world.isp.dhcp.prefix = Some((DELEGATED, 56));
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 3600, &[AFTR]);
    world.carries_within(seconds(30));
    world
}

pub fn local(world: &World) -> Ipv6Addr {
    world.softwire().local.into()
}

/// A line with the O flag alone, whose server delegates nothing though it is asked (RFC 7084 WPD-4): there is nothing to
/// wait for at the end, and nothing more is asked.
#[test]
fn without_leases_the_end_is_at_once() {
    let mut world = World::new(DSLITE);
    world.pass(seconds(20));
    let asked = std::mem::take(&mut world.isp.dhcp.asked);
    assert!(
        asked.iter().all(|kind| [MessageType::InformationRequest, MessageType::Solicit].contains(kind)),
        "{asked:?}"
    );
    assert!(asked.contains(&MessageType::InformationRequest) && asked.contains(&MessageType::Solicit), "{asked:?}");
    assert!(!world.router.is_released());
    world.router.release(world.now);
    world.pass(seconds(60));
    assert_eq!(world.isp.dhcp.asked, []);
    assert!(world.router.is_released());
}

/// RFC 8415 18.2.7: the server's answer to the Release is waited for. Then nothing is asked any more.
#[test]
fn leases_are_given_back_at_the_end() {
    let mut world = delegated();
    assert_eq!(local(&world).segments()[..4], DELEGATED.segments()[..4]);
    world.isp.dhcp.alive = false;
    world.isp.dhcp.asked.clear();
    world.router.release(world.now);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.isp.dhcp.asked, [MessageType::Release]);
    assert!(!world.router.is_released());
    world.isp.dhcp.alive = true;
    world.pass(seconds(3));
    assert!(world.router.is_released());
    world.isp.dhcp.asked.clear();
    world.pass(seconds(60));
    assert_eq!(world.isp.dhcp.asked, []);
}

/// RFC 2462 5.5.3 had M going off change nothing; RFC 4862 5.5 has no word on it. A flag that is missing from one
/// advertisement, or from all of them, ends no lease that the server renews.
#[test]
fn a_router_that_drops_the_m_flag_costs_no_prefix() {
    let mut world = delegated();
    // Until our addresses on the LAN are ours, too.
    world.pass(seconds(5));
    let before = local(&world);
    let snapshots = world.snapshots.len();
    for round in 0..10 {
        world.isp.says().flags = if round % 2 == 0 { OTHER } else { MANAGED };
        world.isp.advertise();
        world.pass(seconds(1));
    }
    assert_eq!((local(&world), world.snapshots.len()), (before, snapshots), "workers saw nothing of it");
    world.isp.says().flags = OTHER;
    world.pass(seconds(20_000));
    assert!(world.isp.dhcp.asked.contains(&MessageType::Renew));
    assert!(!world.isp.dhcp.asked.contains(&MessageType::Release), "{:?}", world.isp.dhcp.asked);
    // Of what is renewed they learn that it ends later.
    let until: Vec<_> = world.snapshots[snapshots - 1..].iter().map(|snapshot| snapshot.softwires[0].until).collect();
    assert!(until.is_sorted() && until.last() > Some(&world.now), "{until:?}");
    assert_eq!(local(&world), before);
    // The server does not know the line any more: the lease ends with its time, and then the flags count.
    world.isp.dhcp.alive = false;
    world.pass(seconds(20_000));
    world.isp.dhcp.alive = true;
    world.isp.dhcp.asked.clear();
    world.pass(seconds(4000));
    let first = world.isp.dhcp.asked.first();
    assert!(matches!(first, Some(MessageType::InformationRequest | MessageType::Solicit)), "{first:?}");
}

/// The server's leases, and the LAN's, are known after a restart: verified, not asked for anew.
#[test]
fn leases_outlive_a_restart() {
    let mut world = delegated();
    let host = world.lan.plug(None);
    world.lan.discover(host);
    world.pass(seconds(5));
    let (line, address) = (local(&world), world.lan.stations[host].address.expect("a lease"));
    world.isp.dhcp.asked.clear();
    world.restart(true);
    world.pass(seconds(30));
    assert!(world.isp.dhcp.asked.contains(&MessageType::Rebind), "RFC 8415 18.2.12");
    assert!(!world.isp.dhcp.asked.contains(&MessageType::Solicit), "{:?}", world.isp.dhcp.asked);
    assert_eq!(local(&world), line);
    let known = world.snapshot().links[0].neighbours.get(address.into());
    assert_eq!(known, Some(world.lan.stations[host].mac), "its station has it from the first packet on");
    world.lan.reboot(host);
    world.pass(seconds(5));
    assert_eq!(world.lan.stations[host].address, Some(address));
}

/// RFC 5227 2.1: an address of the LAN that a host has is not ours, and what the DHCPv4 server would say of it is wrong. Status
/// says who has it; when it is gone everything comes by itself.
#[test]
fn a_lan_address_that_is_taken() {
    let mut world = World::new(DSLITE);
    let (holder, guest) = (world.lan.plug(Some(GATEWAY)), world.lan.plug(None));
    world.pass(seconds(5));
    world.lan.discover(guest);
    world.pass(seconds(30));
    assert_eq!(world.lan.stations[guest].address, None);
    let mac = world.lan.stations[holder].mac.to_string();
    let warnings = world.status().warnings;
    assert!(warnings.iter().any(|warning| warning.contains(&mac) && warning.contains("[lan] ipv4")), "{warnings:?}");
    world.lan.stations[holder].alive = false;
    world.pass(seconds(100));
    assert_eq!(world.status().warnings, Vec::<String>::new());
    world.lan.discover(guest);
    world.pass(seconds(5));
    assert!(world.lan.stations[guest].address.is_some());
}

/// Nothing is offered before our address is known to be ours.
#[test]
fn no_lease_while_our_address_is_checked() {
    let mut world = World::new(DSLITE);
    let guest = world.lan.plug(None);
    world.lan.discover(guest);
    world.pass(seconds(10));
    assert_eq!(world.lan.stations[guest].address, None, "a question that was not heard is not answered");
    world.lan.discover(guest);
    world.pass(seconds(5));
    assert!(world.lan.stations[guest].address.is_some());
}

/// RFC 2131 4.2: a host that comes with the client identifier of another, a clone of a machine, is given another address while that
/// one answers ARP, and its address when it does not.
#[test]
fn cloned_hosts_have_an_address_each() {
    let mut world = World::new(DSLITE);
    world.pass(seconds(5));
    let leased = |world: &mut World| {
        let host = world.lan.plug(None);
        world.lan.stations[host].id = Some(b"\xffcloned".to_vec());
        world.lan.discover(host);
        world.pass(seconds(5));
        (host, world.lan.stations[host].address.expect("a lease"))
    };
    let (first, address) = leased(&mut world);
    let (_, other) = leased(&mut world);
    assert_ne!(other, address);
    world.lan.stations[first].alive = false;
    assert_eq!(leased(&mut world).1, address);
}
