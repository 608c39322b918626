//! Several LANs: each with its own hosts, leases, names and part of the line's prefix.

use std::net::{Ipv4Addr, Ipv6Addr};

use hikyaku::router::{LAN, link_of};
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::snapshot::{Route, Route6};
use hikyaku_net::Addr4;
use hikyaku_ring::LinkId;

use crate::coming_up::{AFTR, DSLITE};
use crate::native::{ANOTHER, DELEGATED, HOST, of, route};
use crate::services::seconds;
use crate::world::isp::{MANAGED, PREFIX};
use crate::world::{LINKS, World};

const GUESTS: &str = "[[lan]]\nname = 'guests'\nlink = 'netmap:lan1'\nipv4 = '192.168.2.1/24'\n[lan.dhcpv4]\n\
                      pool = '192.168.2.50-192.168.2.60'\nlease-time = 600\n";

/// The links of every test with the first LAN written as one of several.
fn links() -> String {
    LINKS.replace("[lan]", "[[lan]]")
}

fn file(guests: &str) -> String {
    format!("{}{DSLITE}{guests}", links())
}

fn world(guests: &str) -> World {
    World::of(&file(guests))
}

/// The link of the second LAN.
fn second() -> LinkId {
    link_of(LanId(1))
}

/// A host of each LAN, with a lease.
fn plug(world: &mut World) -> [usize; 2] {
    world.pass(seconds(20));
    let hosts = [world.lan.plug(None), world.other_lans[0].plug(None)];
    world.lan.discover(hosts[0]);
    world.other_lans[0].discover(hosts[1]);
    world.pass(seconds(20));
    hosts
}

#[test]
fn each_lan_has_its_own_addresses_and_leases() {
    let mut world = world(GUESTS);
    let [host, guest] = plug(&mut world);
    let leased = world.lan.stations[host].address.expect("leased");
    let of_guest = world.other_lans[0].stations[guest].address.expect("leased");
    assert_eq!(leased.octets()[..3], [192, 168, 1]);
    assert!((50..=60).contains(&of_guest.octets()[3]) && of_guest.octets()[2] == 2, "{of_guest}");
    // The router is asked for, and found, on either by its address there.
    world.lan.ask_for_gateway(host);
    world.other_lans[0].ask_for_gateway(guest);
    world.pass(seconds(1));
    assert!(world.lan.stations[host].gateway.is_some() && world.other_lans[0].stations[guest].gateway.is_some());

    let snapshot = world.snapshot();
    let (first, second) = (&snapshot.links[LAN.index()], &snapshot.links[second().index()]);
    assert_eq!((first.lan, second.lan), (LanId(0), LanId(1)));
    let network = |link: &hikyaku_dataplane::snapshot::Link| link.sources4[0].to_string();
    assert_eq!((network(first), network(second)), ("192.168.1.0/24".into(), "192.168.2.0/24".into()));
    assert!(first.neighbours.get(leased.into()).is_some() && first.neighbours.get(of_guest.into()).is_none());
    assert!(second.neighbours.get(of_guest.into()).is_some() && second.neighbours.get(leased.into()).is_none());
    let route = |to: Ipv4Addr| snapshot.routes.lookup(Addr4::from(to));
    assert_eq!((route(leased), route(of_guest)), (Route::Link(LAN), Route::Link(self::second())));
    assert_eq!((route([192, 168, 1, 1].into()), route([192, 168, 2, 1].into())), (Route::Local, Route::Local));
}

#[test]
fn leases_of_each_lan_outlive_a_restart_in_files_of_their_own() {
    let mut world = world(GUESTS);
    let [host, guest] = plug(&mut world);
    world.restart(true);
    let saved = |name: &str| std::fs::read_to_string(world.state_dir.join(name)).unwrap_or_default();
    let of_guest = world.other_lans[0].stations[guest].address.unwrap().to_string();
    let leased = world.lan.stations[host].address.unwrap().to_string();
    assert!(saved("dhcpv4.json").contains(&leased) && !saved("dhcpv4.json").contains(&of_guest));
    assert!(saved("dhcpv4-guests.json").contains(&of_guest) && !saved("dhcpv4-guests.json").contains(&leased));
    world.pass(seconds(5));
    let status = world.status();
    assert_eq!((status.lan.leases, status.other_lans[0].leases), (Some(1), Some(1)));
    assert_eq!((status.lan.name.as_str(), status.other_lans[0].name.as_str()), ("lan", "guests"));
    let snapshot = world.snapshot();
    let known = |link: LinkId, address: &str| {
        snapshot.links[link.index()].neighbours.get(address.parse::<Ipv4Addr>().unwrap().into()).is_some()
    };
    assert!(known(LAN, &leased) && known(second(), &of_guest), "from the first packet on");
}

/// A file of a router with one LAN goes on as that of the first of several.
#[test]
fn an_upgrade_to_several_lans_loses_nothing() {
    let mut world = World::of(&format!("{LINKS}{DSLITE}"));
    world.pass(seconds(20));
    let host = world.lan.plug(None);
    world.lan.discover(host);
    world.pass(seconds(20));
    world.restart_with(&file(GUESTS));
    assert_eq!(world.status().lan.leases, Some(1));
    assert_eq!(world.status().other_lans[0].leases, Some(0));
}

/// A line with the M flag, whose server delegates this.
fn delegating(prefix: Ipv6Addr, len: u8, guests: &str) -> World {
    let mut world = world(guests);
    world.isp.says().flags = MANAGED;
    world.isp.says().prefixes.clear();
    world.isp.dhcp.prefix = Some((prefix, len));
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 3600, &[AFTR]);
    let told = |world: &World| !world.lan.told.is_empty() && !world.other_lans[0].told.is_empty();
    assert!(world.pass_until(seconds(60), told));
    world.pass(seconds(30));
    world
}

/// Prefixes that hosts of a LAN prefer, as told last.
fn preferred(lan: &crate::world::lan::Lan) -> Vec<Ipv6Addr> {
    let last = lan.told.last().expect("an advertisement");
    last.prefixes.iter().filter(|&&(.., preferred)| preferred > 0).map(|&(prefix, ..)| prefix).collect()
}

/// RFC 7084 L-2, WPD-5.
#[test]
fn rfc7084_l_2_each_lan_has_a_64_of_the_delegated_prefix() {
    let mut world = delegating(DELEGATED, 56, GUESTS);
    assert_eq!(preferred(&world.lan), [of(DELEGATED, 1, 0)]);
    assert_eq!(preferred(&world.other_lans[0]), [of(DELEGATED, 2, 0)]);
    assert_eq!(route(&world, of(DELEGATED, 1, 9)), Route6::Link(LAN));
    assert_eq!(route(&world, of(DELEGATED, 2, 9)), Route6::Link(second()));
    assert_eq!(route(&world, of(DELEGATED, 3, 9)), Route6::Unreachable);
    let sources = |world: &World, link: LinkId| world.snapshot().links[link.index()].sources6.clone();
    assert!(sources(&world, LAN).iter().all(|prefix| prefix.contains(of(DELEGATED, 1, 9))));
    assert!(sources(&world, second()).iter().all(|prefix| prefix.contains(of(DELEGATED, 2, 9))));
    // A restart finds the same ones.
    world.lan.told.clear();
    world.restart(true);
    world.pass(seconds(60));
    assert_eq!(preferred(&world.lan), [of(DELEGATED, 1, 0)]);
    assert_eq!(preferred(&world.other_lans[0]), [of(DELEGATED, 2, 0)]);
}

/// RFC 9096 3.5: each LAN is told at once that the old one is gone, and of its part of the new one.
#[test]
fn rfc9096_3_5_another_prefix_is_another_for_each_lan() {
    let mut world = delegating(DELEGATED, 56, GUESTS);
    world.lan.told.clear();
    world.other_lans[0].told.clear();
    world.isp.dhcp.taken_back = world.isp.dhcp.prefix.replace((ANOTHER, 56));
    world.pass(seconds(4000));
    for (lan, number) in [(&world.lan, 1), (&world.other_lans[0], 2)] {
        let change = lan.told.iter().find(|told| told.prefixes.len() == 2).expect("both in one");
        let told: Vec<_> = change.prefixes.iter().map(|&(prefix, _, _, preferred)| (prefix, preferred)).collect();
        assert_eq!(told, [(of(ANOTHER, number, 0), 2700), (of(DELEGATED, number, 0), 0)]);
        assert_eq!(preferred(lan), [of(ANOTHER, number, 0)]);
    }
    assert_eq!(route(&world, of(ANOTHER, 2, 9)), Route6::Link(second()));
}

/// What is too little for all is said with the name of who has none; a /64 is the first LAN's.
#[test]
fn a_lan_that_has_none_is_named() {
    let mut world = world(GUESTS);
    world.isp.says().flags = MANAGED;
    world.isp.says().prefixes.clear();
    world.isp.dhcp.prefix = Some((DELEGATED, 64));
    world.pass(seconds(60));
    assert_eq!(preferred(&world.lan), [DELEGATED]);
    let told = &world.other_lans[0].told;
    assert!(told.iter().all(|told| told.prefixes.is_empty() && told.lifetime == 0), "{told:?}");
    let warnings = world.status().warnings;
    assert!(warnings.iter().any(|w| w.starts_with("LAN guests: ") && w.contains("no /64 is left")), "{warnings:?}");
    assert_eq!(route(&world, of(DELEGATED, 0, 9)), Route6::Link(LAN));
}

/// RFC 4389: one LAN is one link with the line; hosts of the other have no IPv6, and nobody is answered for them.
#[test]
fn a_line_of_one_64_is_shared_with_the_first_lan() {
    let mut world = world(GUESTS);
    world.isp.says().flags = 0;
    world.pass(seconds(60));
    assert_eq!(preferred(&world.lan), [PREFIX]);
    assert!(world.other_lans[0].told.iter().all(|told| told.prefixes.is_empty() && told.lifetime == 0));
    assert_eq!(world.router.hears_all(), [true, true, false], "the first LAN's link, the line's, the other's");
    let warnings = world.status().warnings;
    let says = "LAN guests: the line has one /64 and delegates no prefix: the LAN lan has it";
    assert!(warnings.iter().any(|warning| warning.starts_with(says)), "{warnings:?}");
}

#[test]
fn a_configuration_that_is_read_again_changes_one_lan_and_names_what_takes_a_restart() {
    let mut world = world(GUESTS);
    let [host, guest] = plug(&mut world);
    let leased = world.lan.stations[host].address;
    let moved = file(GUESTS).replace("192.168.2.", "192.168.9.").replace("netmap:lan1", "netmap:lan7");
    assert_eq!(world.reload(&moved), ["[lan] link"]);
    world.pass(seconds(20));
    world.other_lans[0].gateway = [192, 168, 9, 1].into();
    world.other_lans[0].stations[guest].address = None;
    world.other_lans[0].discover(guest);
    world.pass(seconds(20));
    assert_eq!(world.other_lans[0].stations[guest].address.map(|address| address.octets()[2]), Some(9));
    assert_eq!(world.status().lan.leases, Some(1));
    assert_eq!(world.lan.stations[host].address, leased);
    // Rules speak of LANs by number: none of it is taken up while these are others.
    let third = "[[lan]]\nlink = 'netmap:lan2'\nipv4 = '192.168.3.1/24'\n";
    assert_eq!(world.reload(&file(&format!("{GUESTS}{third}"))), ["[[lan]] name"]);
    world.pass(seconds(5));
    assert_eq!(world.status().other_lans.len(), 1);
    assert_eq!(world.status().other_lans[0].ipv4, "192.168.9.1/24");
}

/// What goes from one LAN to another has its sessions in the filter, whether or not there is IPv6; who may begin changes live.
#[test]
fn hosts_of_one_lan_reach_another_but_guests() {
    let off = format!("{}[lan.ipv6]\nmode = 'off'\n", GUESTS);
    let text = file(&off)
        .replace("[lan.dhcpv4]\npool = '192.168.1", "[lan.ipv6]\nmode = 'off'\n[lan.dhcpv4]\npool = '192.168.1");
    let mut world = World::of(&text);
    world.pass(seconds(5));
    let isolated = |world: &World| world.snapshot().links.iter().map(|link| link.isolated).collect::<Vec<_>>();
    assert!(world.snapshot().filter6.is_some());
    assert_eq!(isolated(&world), [false; 3]);
    let guests = text.replace("ipv4 = '192.168.2.1/24'", "ipv4 = '192.168.2.1/24'\nisolated = true");
    assert_eq!(world.reload(&guests), Vec::<&str>::new());
    world.pass(seconds(1));
    assert_eq!(isolated(&world), [false, false, true]);
    // A router with one LAN and no IPv6 holds no memory for what it has not.
    let mut one = World::of(&format!("{LINKS}{DSLITE}[lan.ipv6]\nmode = 'off'\n"));
    one.pass(seconds(5));
    assert!(one.snapshot().filter6.is_none());
}

#[test]
fn where_packets_go_is_shown_with_its_reason() {
    let mut world = delegating(DELEGATED, 56, GUESTS);
    world.carries_within(seconds(30));
    world.pass(seconds(5));
    let routes = world.router.routes();
    let shown = |prefix: &str| {
        let found: Vec<_> = routes.iter().filter(|route| route.prefix == prefix).collect();
        assert_eq!(found.len(), 1, "{prefix}: {routes:?}");
        let side = found[0].side.as_deref().unwrap_or_default();
        (found[0].to.as_str(), side, found[0].origin.as_str(), found[0].station.is_some())
    };
    assert_eq!(shown("0.0.0.0/0"), ("tunnel", "", "service", false));
    assert_eq!(shown("192.168.2.0/24"), ("link", "guests", "lan", false));
    assert_eq!(shown("192.168.2.1/32"), ("us", "", "own", false));
    assert_eq!(shown("::/0"), ("router", "wan", "advertised", true));
    assert_eq!(shown("2001:db8:1100:aa00::/56"), ("nobody", "", "delegated", false));
    assert_eq!(shown("2001:db8:1100:aa01::/64"), ("link", "lan", "lan", false));
    assert_eq!(shown("2001:db8:1100:aa02::/64"), ("link", "guests", "lan", false));
    assert_eq!(shown("2001:db8:1100:aa02::1/128"), ("us", "", "own", false));
}

/// A network behind a router goes to nobody before its router is known, to that then, and is gone with its key. Who is behind it
/// may send from there (RFC 2827).
#[test]
fn a_static_route_leads_to_its_router() {
    const BEHIND: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0xaaf0, 0, 0, 0, 9);
    let mut world = delegating(DELEGATED, 56, GUESTS);
    let routed =
        format!("{}[[route]]\nprefix = '2001:db8:1100:aaf0::/60'\nvia = 'fe80::9'\nlan = 'guests'\n", file(GUESTS));
    assert_eq!(route(&world, BEHIND), Route6::Unreachable, "of what is delegated");
    assert_eq!(world.reload(&routed), Vec::<&str>::new());
    world.pass(seconds(5));
    assert_eq!(route(&world, BEHIND), Route6::Unreachable, "nobody answers for the router");
    let sources = |world: &World, link: LinkId| {
        world.snapshot().links[link.index()].sources6.iter().any(|prefix| prefix.contains(BEHIND))
    };
    assert_eq!((sources(&world, LAN), sources(&world, second())), (false, true));
    let router = world.other_lans[0].plug(None);
    world.other_lans[0].stations[router].ipv6 = vec![HOST];
    let mac = world.other_lans[0].stations[router].mac;
    let leads = |world: &World| route(world, BEHIND) == Route6::Gateway { link: second(), mac };
    assert!(world.pass_until(seconds(600), leads), "it is looked for until it answers: {:?}", route(&world, BEHIND));
    let shown = world.router.routes();
    let shown = shown.iter().find(|route| route.prefix == "2001:db8:1100:aaf0::/60").expect("it is shown");
    assert_eq!((shown.to.as_str(), shown.side.as_deref(), shown.origin.as_str()), ("router", Some("guests"), "static"));
    // It is a neighbour that is never forgotten, and the way stays where it is silent.
    world.other_lans[0].stations[router].alive = false;
    world.pass(seconds(3000));
    assert!(leads(&world));
    world.reload(&file(GUESTS));
    world.pass(seconds(1));
    assert_eq!((route(&world, BEHIND), sources(&world, second())), (Route6::Unreachable, false));
}
