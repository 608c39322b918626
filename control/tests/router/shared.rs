//! A line that delegates nothing: hosts of the LAN share its /64, and each side is answered for the other (RFC 4389).

use std::net::Ipv6Addr;

use hikyaku::router::{LAN, WAN};
use hikyaku_dataplane::snapshot::Route6;
use hikyaku_net::{Addr6, Mac};

use crate::coming_up::DSLITE;
use crate::native::link_local;
use crate::services::seconds;
use crate::world::isp::PREFIX;
use crate::world::{LAN_MAC, LINKS, WAN_MAC, World};

const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const STATION: Mac = Mac([2, 0, 0, 0, 9, 7]);

/// An address of the shared prefix.
fn of(id: u16) -> Ipv6Addr {
    Ipv6Addr::from_bits(PREFIX.to_bits() | u128::from(id))
}

fn route(world: &World, to: Ipv6Addr) -> Route6 {
    world.snapshot().routes6.lookup(Addr6::from(to))
}

/// A line with the O flag and a /64, whose server delegates nothing; one host, which has two addresses in it.
fn line() -> World {
    let mut world = World::new(DSLITE);
    let host = world.lan.plug(None);
    world.lan.stations[host].ipv6 = vec![HOST, of(9), of(10)];
    let told = world.pass_until(seconds(60), |world| !world.lan.told.is_empty());
    assert!(told, "{:?}", world.states);
    world.pass(seconds(5));
    world
}

#[test]
fn the_lines_64_is_the_lans_too() {
    let world = line();
    let told = world.lan.told.last().unwrap();
    assert_eq!(told.prefixes, [(PREFIX, 0xc0, 5400, 2700)]);
    assert_eq!((told.lifetime, &told.resolvers[..]), (1800, &[(link_local(), 1800)][..]));
    assert_eq!(route(&world, of(9)), Route6::Link(LAN));
    let snapshot = world.snapshot();
    assert!(snapshot.filter6.is_some() && world.router.hears_all() == [true; 2]);
    // What is ours on the line is ours on both sides, and there is no other of ours.
    let own = world.status().wan.addresses.iter().find(|own| own.role == "slaac").unwrap().address;
    let std::net::IpAddr::V6(own) = own else { panic!("{own}") };
    assert_eq!((route(&world, own), route(&world, of(1))), (Route6::Local, Route6::Link(LAN)));
    assert!(world.lan.detected.contains(&own) && !world.lan.detected.contains(&of(1)));
}

/// An address of the shared prefix that the host's own stack has is not a LAN host's: what comes for it is that stack's. Where
/// both have one, it is ours.
#[test]
fn the_hosts_own_stack_keeps_its_address_in_a_shared_prefix() {
    let mut world = line();
    let own = world.status().wan.addresses.iter().find(|own| own.role == "slaac").unwrap().address;
    let std::net::IpAddr::V6(own) = own else { panic!("{own}") };
    world.router.set_host_addresses(vec![of(5), own]);
    world.pass(seconds(1));
    assert_eq!((route(&world, of(5)), route(&world, of(9))), (Route6::Host, Route6::Link(LAN)));
    assert_eq!(route(&world, own), Route6::Local);
    world.router.set_host_addresses(vec![]);
    world.pass(seconds(1));
    assert_eq!(route(&world, of(5)), Route6::Link(LAN));
}

/// The line asks for a host that nobody has seen before: it is looked for on the LAN, and answered for.
#[test]
fn rfc4389_4_1_3_the_line_asks_for_a_host() {
    let mut world = line();
    world.isp.sends_to(of(9));
    world.isp.sends_to(of(77));
    world.pass(seconds(10));
    assert_eq!((world.isp.knows(of(9)), world.isp.knows(of(77))), (Some(WAN_MAC), None));
    let known = world.snapshot().links[LAN.index()].neighbours6.get(of(9).into());
    assert_eq!(known, Some(world.lan.stations[0].mac));
    // After a restart of ours as well: nothing has to be learnt before.
    world.restart(true);
    world.pass(seconds(60));
    world.isp.sends_to(of(10));
    world.pass(seconds(5));
    assert_eq!(world.isp.knows(of(10)), Some(WAN_MAC));
}

#[test]
fn rfc4389_4_1_3_a_host_asks_for_somebody_on_the_line() {
    let mut world = line();
    world.isp.taken.insert(of(7), STATION);
    world.lan.ask6(0, HOST, of(7));
    world.lan.ask6(0, HOST, of(10));
    world.pass(seconds(5));
    assert_eq!(world.lan.neighbours.iter().filter(|(target, _)| *target == of(7)).count(), 1);
    assert!(world.lan.neighbours.contains(&(of(7), HOST)) && !world.lan.neighbours.contains(&(of(10), HOST)));
    assert_eq!(route(&world, of(7)), Route6::Gateway { link: WAN, mac: STATION });
}

/// RFC 4862 5.4: an address is one station's on both sides.
#[test]
fn rfc4862_5_4_duplicates_across_the_router() {
    let mut world = line();
    world.isp.taken.insert(of(7), STATION);
    world.lan.ask6(0, Ipv6Addr::UNSPECIFIED, of(7));
    world.isp.detects(of(9), STATION);
    world.isp.detects(of(8), STATION);
    world.pass(seconds(1));
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    assert!(world.lan.neighbours.contains(&(of(7), all_nodes)), "the line has it");
    assert!(world.isp.claimed.contains(&of(9)) && !world.isp.claimed.contains(&of(8)), "{:?}", world.isp.claimed);
}

/// A server that delegates after all: what it delegates is the LAN's, and the shared prefix is deprecated.
#[test]
fn a_prefix_that_is_delegated_later_is_taken_over() {
    let mut world = line();
    let delegated = Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0xaa00, 0, 0, 0, 0);
    world.isp.dhcp.prefix = Some((delegated, 56));
    world.pass(seconds(4000));
    let told = world.lan.told.iter().find(|told| told.prefixes.len() == 2).expect("both in one");
    let lan = Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0xaa01, 0, 0, 0, 0);
    assert_eq!((told.prefixes[0].0, told.prefixes[1].0, told.prefixes[1].3), (lan, PREFIX, 0));
    assert_eq!(route(&world, Ipv6Addr::from_bits(lan.to_bits() | 9)), Route6::Link(LAN));
    assert_ne!(route(&world, of(9)), Route6::Link(LAN));
}

/// Hosts are told of no prefix of the access network's own: they would try it for the Internet.
#[test]
fn a_closed_network_is_not_shared() {
    let mut world = World::of(&format!("{LINKS}{DSLITE}"));
    world.isp.says().prefixes[0].prefix = "2408:210::".parse().unwrap();
    world.pass(seconds(60));
    assert!(world.lan.told.is_empty() && world.router.hears_all() == [false; 2]);
}

/// A flood of questions for addresses that nobody has: bounded, and those of others are answered.
#[test]
fn a_flood_of_questions_from_the_line() {
    let mut world = line();
    for number in 0x1000..0x3000 {
        world.isp.detects(of(number), STATION);
    }
    world.pass(seconds(1));
    world.isp.sends_to(of(9));
    world.pass(seconds(10));
    assert_eq!(world.isp.knows(of(9)), Some(WAN_MAC));
    assert_ne!(LAN_MAC, WAN_MAC);
}
