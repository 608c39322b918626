//! Too much of everything, and nothing that makes sense.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hikyaku::router::{LAN, State, WAN};
use hikyaku_dataplane::shared::Message;
use hikyaku_net::Mac;
use hikyaku_ring::LinkId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::coming_up::IPIP;
use crate::world::isp::{PREFIX, ROUTER};
use crate::world::{LAN_MAC, LINKS, WAN_MAC, World, wire};

/// What [`LINKS`] says of addresses for hosts.
const POOL: &str = "pool = '192.168.1.100-192.168.1.200'\n";

/// Frames of a storm.
const STORM: u32 = 20_000;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn carrying() -> World {
    let mut world = World::new(IPIP);
    world.carries_within(seconds(20));
    world.pass(seconds(10));
    world
}

/// Frames at one moment, `number` to each, as workers would punt them: some hundreds between two turns. Returns how
/// many the router sends.
fn storm(world: &mut World, link: LinkId, frame: impl Fn(u32) -> Vec<u8>) -> u64 {
    let before = world.sent;
    for number in 0..STORM {
        world.router.hear(world.now, &Message::new(link, &frame(number)).unwrap());
        if number % 256 == 255 {
            world.pass(Duration::from_millis(1));
        }
    }
    world.pass(Duration::from_millis(1));
    world.sent - before
}

fn station(number: u32) -> Mac {
    let [a, b, c, d] = number.to_be_bytes();
    Mac([2, 9, a, b, c, d])
}

/// The line carries as before, from the same address to the same station.
#[track_caller]
fn assert_unmoved(world: &mut World, before: &hikyaku_dataplane::snapshot::Softwire) {
    world.pass(seconds(30));
    let after = world.softwire();
    assert_eq!((after.local, after.remote, after.next_hop), (before.local, before.remote, before.next_hop));
    assert!(matches!(world.router.state(), State::Carrying { .. }), "{:?}", world.router.state());
}

/// Stations that ask for us, each with an address of its own: neighbours and answers are limited.
#[test]
fn arp_from_everybody() {
    let mut world = carrying();
    let before = world.softwire();
    let sent = storm(&mut world, LAN, |n| {
        let sender = Ipv4Addr::from_bits(0xc0a8_0100 | (n % 256));
        wire::arp(true, station(n), sender, Mac::BROADCAST, [192, 168, 1, 1].into())
    });
    assert!(sent < 3000, "{sent} frames for {STORM}");
    let host = world.lan.plug(Some([192, 168, 1, 50].into()));
    assert_unmoved(&mut world, &before);
    world.lan.ask_for_gateway(host);
    world.pass(seconds(5));
    assert_eq!(world.lan.stations[host].gateway, Some(LAN_MAC), "whoever comes afterwards is answered");
}

/// Neighbours of the line that nobody needs (RFC 3756 4.3.2): no room is taken from the router's entry.
#[test]
fn solicitations_from_everybody() {
    let mut world = carrying();
    let before = world.softwire();
    let ours = Ipv6Addr::from(before.local);
    let sent = storm(&mut world, WAN, |n| {
        let source = Ipv6Addr::from_bits(PREFIX.to_bits() | 0x1_0000_0000 | u128::from(n));
        let group = wire::solicited_node(ours);
        let body = [&[0; 4][..], &ours.octets(), &[1, 1], &station(n).0].concat();
        wire::icmp6((station(n), source), (wire::group_mac(group), group), 135, &body)
    });
    assert!(sent < 3000, "{sent} frames for {STORM}");
    assert_unmoved(&mut world, &before);
}

/// A scan of the LAN from outside: packets for hosts that are not there wait one each, and not for long.
#[test]
fn packets_for_hosts_that_are_not_there() {
    let mut world = carrying();
    let before = world.softwire();
    let host = world.lan.plug(Some([192, 168, 1, 77].into()));
    let packet = |last: u8| {
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2(LAN_MAC.0, [0; 6])
            .ipv4([203, 0, 113, 1], [192, 168, 1, last], 60)
            .udp(9, 9)
            .write(&mut frame, &[0; 64])
            .unwrap();
        frame
    };
    let sent = world.sent;
    for number in 0..STORM {
        world.hear_unresolved(LAN, &packet((number % 256) as u8));
        if number % 256 == 255 {
            world.pass(Duration::from_millis(1));
        }
    }
    world.pass(Duration::from_millis(10));
    assert!(world.sent - sent < 3000, "{}", world.sent - sent);
    assert!(world.lan.stations[host].received > 0, "who is there gets the newest (RFC 4861 7.2.2)");
    assert_unmoved(&mut world, &before);
    let known = world.snapshot().links[0].neighbours.get(Ipv4Addr::new(192, 168, 1, 77).into());
    assert_eq!(known, Some(world.lan.stations[host].mac));
}

/// Clients that ask for an address and never come back: what was offered is free again.
#[test]
fn discovers_from_everybody() {
    let mut world = carrying();
    let before = world.softwire();
    let sent = storm(&mut world, LAN, |n| {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = dhcproto::v4::Message::new_with_id(n, none, none, none, none, &station(n).0);
        message.opts_mut().insert(dhcproto::v4::DhcpOption::MessageType(dhcproto::v4::MessageType::Discover));
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2(station(n).0, [0xff; 6])
            .ipv4([0; 4], [0xff; 4], 64)
            .udp(68, 67)
            .write(&mut frame, &dhcproto::Encodable::to_vec(&message).unwrap())
            .unwrap();
        frame
    });
    assert!(sent < 3000, "{sent} frames for {STORM}");
    world.pass(seconds(300));
    let host = world.lan.plug(None);
    world.lan.discover(host);
    world.pass(seconds(10));
    assert!(world.lan.stations[host].address.is_some());
    assert_unmoved(&mut world, &before);
}

/// Router advertisements that a router on the way could have sent (RFC 4861 6.1.2: hop limit 255), or from no
/// link-local address, configure nothing.
#[test]
fn advertisements_from_elsewhere() {
    let mut world = carrying();
    let before = world.softwire();
    let published = world.snapshots.len();
    let body = |n: u32| {
        let prefix = Ipv6Addr::from_bits(0x2001_0db8_6666 << 80 | u128::from(n) << 64);
        let options = [&[3, 4, 64, 0xc0][..], &[0, 0, 0xff, 0xff], &[0, 0, 0xff, 0xff], &[0; 4], &prefix.octets()];
        [&[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0][..], &options.concat()].concat()
    };
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let sent = storm(&mut world, WAN, |n| {
        let global = n % 2 == 0;
        let source = if global { Ipv6Addr::from_bits(PREFIX.to_bits() | u128::from(n) | 1 << 40) } else { ROUTER };
        let mut frame = wire::icmp6((station(n), source), (wire::group_mac(all_nodes), all_nodes), 134, &body(n));
        if !global {
            frame[14 + 7] = 254;
        }
        frame
    });
    assert!(sent < 100, "{sent}");
    assert_eq!(world.snapshots.len(), published);
    assert_unmoved(&mut world, &before);
}

/// Bytes that were something once, on both links: no panic, nothing configured, and
/// afterwards everything works.
#[test]
fn garbage() {
    let mut world = carrying();
    let before = world.softwire();
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let ours = Ipv6Addr::from(before.local);
    let group = wire::solicited_node(ours);
    let reply = wire::udp6((ROUTER, 547), ("fe80::ff:fe00:2".parse().unwrap(), 546), &[7; 60]);
    let whole = [
        wire::arp(true, station(1), [192, 168, 1, 9].into(), Mac::BROADCAST, [192, 168, 1, 1].into()),
        wire::icmp6((station(2), ROUTER), (wire::group_mac(all_nodes), all_nodes), 134, &[64; 60]),
        wire::icmp6(
            (station(3), ROUTER),
            (wire::group_mac(group), group),
            135,
            &[&[0; 4][..], &ours.octets()].concat(),
        ),
        wire::frame6(station(4), WAN_MAC, &reply),
        wire::frame6(station(5), WAN_MAC, &wire::udp6((ours, 53), (ours, 4000), &[1; 80])),
    ];
    let mut rng = StdRng::seed_from_u64(4);
    for round in 0..u32::from(u16::MAX) {
        let mut frame = whole[rng.random_range(0..whole.len())].clone();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(12..frame.len());
            frame[at] = rng.random();
        }
        frame.truncate(rng.random_range(0..=frame.len()));
        let link = if rng.random() { LAN } else { WAN };
        world.hear(link, &frame);
        if round % 256 == 0 {
            world.pass(Duration::from_millis(1));
        }
    }
    let host = world.lan.plug(None);
    world.pass(seconds(100));
    world.lan.discover(host);
    assert_unmoved(&mut world, &before);
    assert!(world.lan.stations[host].address.is_some());
}

/// As many neighbours as a LAN of ours can have: every address of a /16 asks for us. 4,096 are remembered, so memory and what a turn
/// costs are bounded; whoever is not is asked for when there is something for him.
#[test]
fn sixty_five_thousand_neighbours() {
    let mut world = World::of(&format!("{}{IPIP}", LINKS.replace("192.168.1.1/24", "10.9.0.1/16").replace(POOL, "")));
    world.carries_within(seconds(20));
    world.pass(seconds(10));
    let address = |n: u32| Ipv4Addr::from_bits(0x0a09_0002 + n);
    let ours = Ipv4Addr::new(10, 9, 0, 1);
    for number in 0..65_000 {
        world.hear(LAN, &wire::arp(true, station(number), address(number), Mac::BROADCAST, ours));
        if number % 256 == 255 {
            world.pass(Duration::from_millis(20));
        }
    }
    world.pass(Duration::from_millis(20));
    let snapshot = world.snapshot();
    let neighbours = &snapshot.links[0].neighbours;
    let known = |world: &World, n| world.snapshot().links[0].neighbours.get(address(n).into()) == Some(station(n));
    let remembered = (0..65_000).filter(|&n| neighbours.get(address(n).into()) == Some(station(n))).count();
    assert_eq!(remembered, 4096);
    let stranger = (0..65_000).rfind(|&n| !known(&world, n)).expect("most are strangers");
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ethernet2(LAN_MAC.0, [0; 6])
        .ipv4([203, 0, 113, 1], address(stranger).octets(), 60)
        .udp(53, 4000)
        .write(&mut packet, b"answer")
        .unwrap();
    world.hear_unresolved(LAN, &packet);
    world.pass(Duration::from_millis(1));
    world.hear(LAN, &wire::arp(false, station(stranger), address(stranger), LAN_MAC, ours));
    world.pass(Duration::from_millis(1));
    assert!(known(&world, stranger));
}
