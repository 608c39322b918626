//! What changes while the line is up: prefixes, routers, border routers, resolvers, cables, and ourselves.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku::router::State;
use hikyaku_net::Mac;

use crate::coming_up::{AFTR, DSLITE, IPIP};
use crate::world::isp::{PREFIX, Prefix};
use crate::world::resolver::Resolver;
use crate::world::{World, name_of};

const SECOND_AFTR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xaf, 0, 0, 0, 0, 2);
const NEW_PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x200, 0, 0, 0, 0, 0);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A DS-Lite line that carries; its AFTR's name has these addresses for a minute.
fn dslite(aftr: &[Ipv6Addr]) -> World {
    let mut world = World::new(DSLITE);
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 60, aftr);
    world.carries_within(seconds(20));
    world
}

fn remote(world: &World) -> Ipv6Addr {
    world.softwire().remote.into()
}

/// The old prefix is deprecated, a new one preferred (RFC 4862 5.5.4). The old end is used until the new one has
/// passed duplicate address detection; then workers are told once, and the sessions go on.
#[test]
fn renumbering() {
    let mut world = World::new(IPIP);
    world.carries_within(seconds(20));
    let old = world.softwire();
    let before = world.snapshots.len();
    let new_end = Ipv6Addr::from_bits(NEW_PREFIX.to_bits() | 0xfeed);
    world.isp.says().prefixes = vec![
        Prefix { prefix: NEW_PREFIX, preferred: 14400, valid: 43200 },
        Prefix { prefix: PREFIX, preferred: 0, valid: 7200 },
    ];
    world.isp.advertise();
    let asked = world.pass_until(seconds(5), |world| world.isp.detected.contains(&new_end));
    assert!(asked, "RFC 4862 5.4");
    assert_eq!(world.softwire().local, old.local, "not before it is known to be free");
    world.pass(seconds(10));
    let softwires: Vec<_> = world.snapshots[before..].iter().map(|snapshot| snapshot.softwires[0].clone()).collect();
    assert!(softwires.iter().all(|softwire| softwire.next_hop == old.next_hop), "carried all the while");
    let mut ends: Vec<Ipv6Addr> = softwires.iter().map(|softwire| softwire.local.into()).collect();
    ends.dedup();
    ends.retain(|&end| end != Ipv6Addr::from(old.local));
    assert_eq!(ends, [new_end]);
    let napt = |softwire: &hikyaku_dataplane::snapshot::Softwire| softwire.napt.clone().unwrap();
    assert!(softwires.iter().all(|softwire| Arc::ptr_eq(&napt(softwire), &napt(&old))), "the sessions go on");
    assert!(softwires.iter().all(|softwire| Arc::ptr_eq(&softwire.state, &old.state)), "the path is the same");
    assert!(matches!(world.router.state(), State::Carrying { ce, .. } if *ce == new_end));
    // An address that was deprecated is still ours, until its time is over.
    let has_old = |world: &World| {
        let snapshot = world.snapshot();
        snapshot.links[1].addresses6.iter().any(|&a| Ipv6Addr::from(a).segments()[..4] == PREFIX.segments()[..4])
    };
    assert!(has_old(&world));
    world.isp.says().prefixes.truncate(1);
    world.pass(seconds(7300));
    assert!(!has_old(&world));
}

/// RFC 4861 6.3.4: a router that says nothing for its lifetime is no router any more. Until then it is used, also
/// while it does not answer (RFC 7048); the workers keep tunnel and sessions for its return.
#[test]
fn a_router_that_falls_silent() {
    let mut world = World::new(IPIP);
    world.carries_within(seconds(20));
    let before = world.softwire();
    world.isp.alive = false;
    world.pass(seconds(1400));
    assert_eq!(world.softwire().next_hop, before.next_hop, "used for want of a better one");
    world.pass(seconds(500));
    assert_eq!(world.router.state(), &State::AwaitingRouter);
    let lost = world.softwire();
    assert_eq!((lost.local, lost.remote, lost.next_hop), (before.local, before.remote, None));
    world.isp.alive = true;
    world.carries_within(seconds(400));
    let back = world.softwire();
    assert_eq!((back.local, back.next_hop), (before.local, before.next_hop));
    assert!(Arc::ptr_eq(back.napt.as_ref().unwrap(), before.napt.as_ref().unwrap()));
}

/// The name has another address after its time to live: so does the tunnel. What was learned of the path is of the
/// old one.
#[test]
fn an_aftr_whose_name_moves() {
    let mut world = dslite(&[AFTR]);
    let before = world.softwire();
    world.isp.resolver.set_addresses("aftr.example.net", 60, &[SECOND_AFTR]);
    world.pass(seconds(90));
    assert_eq!(remote(&world), SECOND_AFTR);
    assert!(!Arc::ptr_eq(&before.state, &world.softwire().state));
    assert!(matches!(world.router.state(), State::Carrying { .. }));
}

/// A dead AFTR is left for the name's second address, which replies to echo requests; while both are dead they are tried in
/// turn, and their name is asked of the resolver, whatever its time to live.
#[test]
fn an_aftr_that_is_dead() {
    let mut world = dslite(&[AFTR, SECOND_AFTR]);
    world.isp.resolver.set_addresses("aftr.example.net", 3600, &[AFTR, SECOND_AFTR]);
    world.pass(seconds(70));
    world.isp.echoes = vec![AFTR, SECOND_AFTR];
    world.traffic(20, 100, 100);
    assert_eq!(remote(&world), AFTR);
    world.isp.echoes = vec![SECOND_AFTR];
    world.traffic(12, 100, 0);
    assert_eq!(remote(&world), SECOND_AFTR);
    world.traffic(30, 100, 100);
    assert_eq!(remote(&world), SECOND_AFTR);
    world.isp.echoes.clear();
    world.isp.resolver.asked.clear();
    let published = world.snapshots.len();
    world.traffic(600, 100, 0);
    assert!(world.snapshots.len() - published < 200, "{}", world.snapshots.len() - published);
    assert!((15..=25).contains(&world.isp.resolver.asked.len()), "{:?}", world.isp.resolver.asked);
    world.isp.echoes = vec![AFTR];
    world.traffic(10, 100, 0);
    assert_eq!(remote(&world), AFTR);
}

/// Datagrams that nobody answers, and a far end that says that it lives: neither it nor what is known of its path is left.
#[test]
fn one_way_traffic() {
    let mut world = dslite(&[AFTR, SECOND_AFTR]);
    world.isp.echoes = vec![AFTR, SECOND_AFTR];
    world.traffic(20, 100, 100);
    let before = world.softwire();
    world.traffic(300, 20, 0);
    assert_eq!(remote(&world), AFTR);
    assert!(Arc::ptr_eq(&before.state, &world.softwire().state));
}

/// A name that resolves to our own end of the tunnel is none of a far end.
#[test]
fn an_aftr_that_is_ourselves() {
    let mut world = dslite(&[AFTR]);
    let ours = Ipv6Addr::from(world.softwire().local);
    world.isp.resolver.set_addresses("aftr.example.net", 60, &[ours]);
    world.pass(seconds(90));
    assert!(world.snapshot().softwires.iter().all(|softwire| Ipv6Addr::from(softwire.remote) != ours));
    world.isp.resolver.set_addresses("aftr.example.net", 60, &[ours, SECOND_AFTR]);
    world.pass(seconds(90));
    assert_eq!(remote(&world), SECOND_AFTR);
}

/// Other resolvers may know the name otherwise: they are asked at once, and the old ones no more.
#[test]
fn other_resolvers() {
    let mut world = World::new("[service]\nkind = 'dslite'\naftr = 'gw.example.net'\n");
    world.isp.dhcp.resolvers.clear();
    world.isp.says().resolvers = vec![world.isp.resolver.address];
    world.isp.resolver.set_addresses("gw.example.net", 3600, &[AFTR]);
    world.carries_within(seconds(20));
    let other: Ipv6Addr = "2001:db8:ffff::54".parse().unwrap();
    let mut resolver = Resolver::new(other);
    resolver.set_addresses("gw.example.net", 3600, &[SECOND_AFTR]);
    world.isp.hosts.push(Box::new(resolver));
    world.isp.resolver.alive = false;
    world.isp.resolver.asked.clear();
    // RFC 8106 5.1: one that has no lifetime left is gone; here it is left out until its hour is over.
    world.isp.says().resolvers = vec![other];
    world.isp.advertise();
    world.pass(seconds(3700));
    assert_eq!(remote(&world), SECOND_AFTR);
    world.isp.resolver.asked.clear();
    world.pass(seconds(7200));
    assert_eq!(world.isp.resolver.asked, []);
    assert!(matches!(world.router.state(), State::Carrying { .. }));
}

/// Questions of a day to a resolver that does not answer leave nothing behind that keeps the next from being asked.
#[test]
fn a_resolver_that_was_dead_for_a_day() {
    let mut world = World::new("[service]\nkind = 'dslite'\naftr = 'gw.example.net'\n");
    world.isp.resolver.alive = false;
    world.isp.resolver.set_addresses("gw.example.net", 3600, &[AFTR]);
    world.pass(seconds(86_400));
    assert_eq!(name_of(world.router.state()), "awaiting-border-router");
    assert!(world.isp.resolver.asked.len() < 5000, "{}", world.isp.resolver.asked.len());
    world.isp.resolver.alive = true;
    world.carries_within(seconds(310));
}

/// A cable that is out for a minute ends nothing: what was known is used on, and routers are asked anew.
#[test]
fn a_cable_that_is_out_and_in_again() {
    let mut world = World::new(IPIP);
    world.carries_within(seconds(20));
    let before = world.softwire();
    world.router.set_links(world.now, &[true, false]);
    world.isp.alive = false;
    world.pass(seconds(60));
    assert_eq!(world.router.state(), &State::LinkDown);
    world.isp.alive = true;
    world.isp.icmp.clear();
    world.router.set_links(world.now, &[true, true]);
    world.carries_within(seconds(1));
    world.pass(seconds(2));
    assert!(world.isp.icmp.contains(&133), "RFC 4861 6.3.7");
    assert_eq!(world.softwire().local, before.local);
    assert!(Arc::ptr_eq(world.softwire().napt.as_ref().unwrap(), before.napt.as_ref().unwrap()));
}

/// A control thread that had to start over publishes nothing until it knows as much as the workers do: the tunnel, its
/// sessions and what was learned of its path stay.
#[test]
fn a_control_thread_that_starts_over() {
    let mut world = World::new(IPIP);
    world.carries_within(seconds(20));
    let before = world.softwire();
    let published = world.snapshots.len();
    world.restart(false);
    world.carries_within(seconds(20));
    assert!(world.snapshots.len() > published);
    for softwire in world.snapshots[published..].iter().map(|snapshot| &snapshot.softwires[0]) {
        assert_eq!(
            (softwire.local, softwire.remote, softwire.next_hop),
            (before.local, before.remote, before.next_hop)
        );
        assert!(Arc::ptr_eq(softwire.napt.as_ref().unwrap(), before.napt.as_ref().unwrap()));
        assert!(Arc::ptr_eq(&softwire.state, &before.state));
    }
}

/// A control thread that starts over on a line that died meanwhile does not keep its workers in the dark for ever.
#[test]
fn a_control_thread_that_starts_over_on_a_dead_line() {
    let mut world = World::new(IPIP);
    world.carries_within(seconds(20));
    let published = world.snapshots.len();
    world.isp.alive = false;
    world.restart(false);
    world.pass(seconds(50));
    assert_eq!(world.snapshots.len(), published, "the workers go on with what they know");
    world.pass(seconds(20));
    assert!(world.snapshot().softwires.is_empty());
    world.isp.alive = true;
    world.carries_within(seconds(400));
}

/// A WAN link that is another station (an interface that was replaced): what workers had is of no use, and is replaced
/// at once, for else nothing that is sent to the new one would be heard. The sessions live on.
#[test]
fn a_wan_link_that_is_another_station() {
    let mut world = World::new(IPIP);
    world.carries_within(seconds(20));
    let before = world.softwire();
    let mac = Mac([2, 0, 0, 0, 0, 0x22]);
    world.relink(mac);
    world.pass(seconds(1));
    assert_eq!(world.snapshot().links[1].mac, mac);
    world.carries_within(seconds(20));
    let after = world.softwire();
    assert_eq!((after.local, after.next_hop), (before.local, before.next_hop));
    assert!(Arc::ptr_eq(after.napt.as_ref().unwrap(), before.napt.as_ref().unwrap()));
}

/// An idle line with an idle LAN is no work, and wakes nobody: hosts are asked as rarely as ARP caches do, and IPv6 is
/// not spoken where none is routed.
#[test]
fn an_idle_line() {
    let mut world = World::new(&format!("{IPIP}[lan.ipv6]\nmode = 'off'\n"));
    let phone = world.lan.plug(Some([192, 168, 1, 9].into()));
    world.carries_within(seconds(20));
    world.lan.ask_for_gateway(phone);
    world.pass(seconds(10));
    assert!(world.lan.stations[phone].gateway.is_some());
    let (turns, sent, published) = (world.turns, world.sent, world.snapshots.len());
    world.lan.stations[phone].asked = 0;
    world.pass(seconds(3600));
    assert!(world.turns - turns < 3 * 3600, "{} turns", world.turns - turns);
    assert!(world.sent - sent < 400, "{} frames", world.sent - sent);
    assert_eq!(world.snapshots.len(), published);
    assert!((1..=13).contains(&world.lan.stations[phone].asked), "{}", world.lan.stations[phone].asked);
    assert_eq!(world.lan.ipv6, 0);
}
