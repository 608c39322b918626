//! Native IPv6 for hosts of the LAN: what they are told of the line's prefix, from its coming to its end.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku::router::{LAN, WAN};
use hikyaku_dataplane::snapshot::Route6;
use hikyaku_net::Addr6;

use crate::coming_up::{AFTR, DSLITE};
use crate::services::seconds;
use crate::world::isp::{MANAGED, ROUTER_MAC};
use crate::world::lan::Told;
use crate::world::{LAN_MAC, LINKS, World};

pub const DELEGATED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0xaa00, 0, 0, 0, 0);
pub const ANOTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x1200, 0xbb00, 0, 0, 0, 0);
pub const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

/// The LAN's /64 in a delegated prefix, and an address in it.
pub fn of(delegated: Ipv6Addr, subnet: u16, id: u16) -> Ipv6Addr {
    let [a, b, c, d, ..] = delegated.segments();
    Ipv6Addr::new(a, b, c, d + subnet, 0, 0, 0, id)
}

/// Our link-local address on the LAN: EUI-64, as its interface id is a token (RFC 4291 appendix A).
pub fn link_local() -> Ipv6Addr {
    "fe80::ff:fe00:1".parse().unwrap()
}

/// A line with the M flag, whose server delegates this; `more`: of the configuration.
fn line(prefix: Ipv6Addr, len: u8, more: &str) -> World {
    let mut world = World::of(&format!("{LINKS}{DSLITE}{more}"));
    world.isp.says().flags = MANAGED;
    world.isp.says().prefixes.clear();
    world.isp.dhcp.prefix = Some((prefix, len));
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 3600, &[AFTR]);
    world
}

/// The same, once hosts have been told.
pub fn told(prefix: Ipv6Addr, len: u8, more: &str) -> World {
    let mut world = line(prefix, len, more);
    let heard = world.pass_until(seconds(30), |world| !world.lan.told.is_empty());
    assert!(heard, "{:?}", world.states);
    world
}

pub fn last(world: &World) -> &Told {
    world.lan.told.last().expect("an advertisement")
}

/// Prefixes with their preferred lifetime.
fn prefixes(told: &Told) -> Vec<(Ipv6Addr, u32)> {
    told.prefixes.iter().map(|&(prefix, _, _, preferred)| (prefix, preferred)).collect()
}

pub fn route(world: &World, to: Ipv6Addr) -> Route6 {
    world.snapshot().routes6.lookup(Addr6::from(to))
}

#[test]
fn rfc7084_l_2_a_delegated_prefix_has_a_64_for_the_lan() {
    for (prefix, len) in [(DELEGATED, 56), (Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0xaa10, 0, 0, 0, 0), 60)] {
        let world = told(prefix, len, "");
        let lan = of(prefix, 1, 0);
        let first = &world.lan.told[0];
        assert_eq!((first.from, first.to), (link_local(), "ff02::1".parse::<Ipv6Addr>().unwrap()));
        assert_eq!((first.lifetime, first.mtu), (1800, 1500));
        assert_eq!(first.prefixes, [(lan, 0xc0, 5400, 2700)]);
        assert_eq!(first.resolvers[0], (link_local(), 1800));
        assert_eq!(first.flags, 0x40, "RFC 7084 L-9: O without M");
        assert_eq!(first.routes, [(prefix, len, 1800)], "RFC 7084 L-3");
    }
}

/// RFC 7084 WPD-5: what is no LAN's leads nowhere; RFC 2827: what hosts may send from.
#[test]
fn rfc7084_wpd_5_what_workers_are_told() {
    let mut world = told(DELEGATED, 56, "");
    world.carries_within(seconds(30));
    world.pass(seconds(5));
    let (snapshot, lan) = (world.snapshot(), of(DELEGATED, 1, 0));
    assert!(snapshot.filter6.is_some(), "nothing is forwarded that nothing watches");
    assert_eq!(route(&world, of(DELEGATED, 1, 0x77)), Route6::Link(LAN));
    assert_eq!(route(&world, of(DELEGATED, 2, 0x77)), Route6::Unreachable);
    assert_eq!(route(&world, of(DELEGATED, 0, 0x77)), Route6::Unreachable);
    let gateway = Route6::Gateway { link: WAN, mac: ROUTER_MAC };
    assert_eq!(route(&world, "2001:db8:ffff::1".parse().unwrap()), gateway);
    let ours = [of(DELEGATED, 1, 1), link_local(), world.softwire().local.into()];
    for own in ours {
        assert_eq!(route(&world, own), Route6::Local, "{own}");
    }
    let link = &snapshot.links[LAN.index()];
    assert_eq!(link.sources6.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("{lan}/64")]);
    assert!(ours[..2].iter().all(|&own| link.addresses6.contains(&own.into())), "{:?}", link.addresses6);
    assert!(ours[..2].iter().all(|own| world.lan.detected.contains(own)), "RFC 4862 5.4: {:?}", world.lan.detected);
}

/// RFC 7084 S-1 and the order of things: a filter is there with the first advertisement, in every snapshot from then on.
#[test]
fn no_way_is_told_of_before_there_is_a_filter() {
    let mut world = line(DELEGATED, 56, "");
    while world.now.since(hikyaku_net::Time(1_000_000_000)) < seconds(20) {
        world.pass(Duration::from_millis(50));
        let snapshot = world.snapshot();
        let forwards = snapshot.routes6.lookup(Addr6::from(of(DELEGATED, 1, 9))) == Route6::Link(LAN);
        assert!(snapshot.filter6.is_some() || !forwards && world.lan.told.is_empty());
    }
    assert!(!world.lan.told.is_empty());
}

#[test]
fn a_host_is_answered_found_and_pings_the_router() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(100));
    let host = world.lan.plug(None);
    let address = of(DELEGATED, 1, 9);
    world.lan.stations[host].ipv6 = vec![HOST, address];
    world.lan.told.clear();
    world.lan.solicit_routers(host, HOST);
    world.pass(seconds(1));
    assert_eq!((world.lan.told.len(), last(&world).to), (1, HOST));
    assert_eq!(prefixes(last(&world)), [(of(DELEGATED, 1, 0), 2700)]);
    for own in [of(DELEGATED, 1, 1), link_local()] {
        world.lan.echoed.clear();
        world.lan.ping6(host, if own == link_local() { HOST } else { address }, own);
        world.pass(seconds(5));
        assert_eq!(world.lan.echoed, [own]);
    }
    // A packet from outside for a host that is not known yet.
    let packet =
        [&LAN_MAC.0[..], &LAN_MAC.0, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 59, 60], &[0x20; 16], &address.octets()];
    world.hear_unresolved(LAN, &packet.concat());
    world.pass(seconds(1));
    let known = world.snapshot().links[LAN.index()].neighbours6.get(address.into());
    assert_eq!(known, Some(world.lan.stations[host].mac));
}

/// RFC 9096 3.5, RFC 7084 L-13: another prefix from one moment to the next. The old one is deprecated beside the new one, at
/// once, and again while hosts may have it; nothing is routed to it any more.
#[test]
fn rfc9096_3_5_the_line_delegates_another_prefix() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(100));
    world.lan.told.clear();
    world.isp.dhcp.taken_back = world.isp.dhcp.prefix.replace((ANOTHER, 56));
    world.pass(seconds(4000));
    let change = world.lan.told.iter().find(|told| told.prefixes.len() == 2).expect("both in one");
    assert_eq!(prefixes(change), [(of(ANOTHER, 1, 0), 2700), (of(DELEGATED, 1, 0), 0)]);
    let (_, flags, valid, _) = change.prefixes[1];
    assert!(flags == 0xc0 && (1..=5400).contains(&valid), "{change:?}");
    assert_eq!(route(&world, of(ANOTHER, 1, 9)), Route6::Link(LAN));
    assert_ne!(route(&world, of(DELEGATED, 1, 9)), Route6::Link(LAN));
    let after: Vec<_> = world.lan.told.iter().filter(|told| told.at >= change.at).collect();
    assert!(after.iter().all(|told| told.prefixes.iter().all(|prefix| prefix.2 > 0)), "never valid for 0 seconds");
    assert!(after.len() >= 3);
    world.pass(seconds(6000));
    assert_eq!(prefixes(last(&world)), [(of(ANOTHER, 1, 0), 2700)]);
}

/// RFC 8415 18.2.10.1: a lease that a Reply does not mention is ours still. What was leased last comes first.
#[test]
fn rfc8415_18_2_10_1_two_prefixes_at_once() {
    let mut world = told(DELEGATED, 56, "");
    world.isp.dhcp.prefix = Some((ANOTHER, 60));
    world.pass(seconds(4000));
    assert_eq!(prefixes(last(&world)), [(of(ANOTHER, 1, 0), 2700), (of(DELEGATED, 1, 0), 2700)]);
    for prefix in [DELEGATED, ANOTHER] {
        assert_eq!(route(&world, of(prefix, 1, 9)), Route6::Link(LAN));
        assert_eq!(route(&world, of(prefix, 1, 1)), Route6::Local);
    }
    assert_eq!(world.snapshot().links[LAN.index()].sources6.len(), 2);
}

/// RFC 9096 3.3: no host has a prefix for longer than the line lets us; RFC 7084 G-5: and no way either.
#[test]
fn rfc9096_3_3_a_lease_that_ends() {
    let mut world = told(DELEGATED, 56, "");
    let begun = world.now;
    world.isp.dhcp.alive = false;
    world.pass(seconds(15_000));
    for told in &world.lan.told {
        let left = 14_400u64.saturating_sub(told.at.since(begun).as_secs()) as u32 + 1;
        let preferred_left = 7200u64.saturating_sub(told.at.since(begun).as_secs()) as u32 + 1;
        for &(_, _, valid, preferred) in &told.prefixes {
            assert!(valid <= left && preferred <= preferred_left && preferred <= valid, "{told:?}");
        }
    }
    assert_eq!(
        world.snapshot().routes6.lookup(Addr6::from(of(DELEGATED, 1, 9))),
        Route6::Gateway { link: WAN, mac: ROUTER_MAC }
    );
    assert_eq!(last(&world).lifetime, 0);
}

/// RFC 7084 G-5, L-3: a line without a router has no way. Hosts keep their addresses.
#[test]
fn rfc7084_g_5_the_lines_router_is_gone_and_comes_back() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    world.isp.says().lifetime = 0;
    world.isp.advertise();
    world.pass(seconds(10));
    assert_eq!((last(&world).lifetime, prefixes(last(&world))), (0, vec![(of(DELEGATED, 1, 0), 2700)]));
    world.isp.says().lifetime = 1800;
    world.isp.advertise();
    world.pass(seconds(10));
    assert_eq!(last(&world).lifetime, 1800);
}

/// A restart must not tear: hosts hear the same as before, or nothing.
#[test]
fn rfc9096_3_5_a_restart_with_the_same_prefix() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    world.lan.told.clear();
    world.restart(true);
    world.pass(seconds(60));
    assert!(!world.lan.told.is_empty());
    for told in &world.lan.told {
        assert_eq!((told.lifetime, prefixes(told)), (1800, vec![(of(DELEGATED, 1, 0), 2700)]), "{told:?}");
    }
}

/// A crash, and another prefix after it: hosts are told that the old one is gone.
#[test]
fn rfc9096_3_5_a_restart_with_another_prefix() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    world.lan.told.clear();
    // The server has forgotten us, and so have we.
    std::fs::remove_file(world.state_dir.join("dhcpv6.json")).unwrap();
    world.isp.dhcp.prefix = Some((ANOTHER, 60));
    world.restart(true);
    world.pass(seconds(60));
    for told in &world.lan.told {
        assert_eq!(prefixes(told), [(of(ANOTHER, 1, 0), 2700), (of(DELEGATED, 1, 0), 0)], "{told:?}");
    }
    assert!(!world.lan.told.is_empty());
}

/// RFC 4861 6.2.5: the end of the program, where its leases end with it.
#[test]
fn rfc4861_6_2_5_leases_that_are_given_back_are_given_up_by_hosts() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    world.lan.told.clear();
    world.router.release(world.now);
    world.pass(seconds(1));
    assert_eq!((last(&world).lifetime, prefixes(last(&world))), (0, vec![(of(DELEGATED, 1, 0), 0)]));
    assert_eq!(last(&world).resolvers, [(link_local(), 0), (of(DELEGATED, 1, 1), 0)]);
}

#[test]
fn switched_off_and_on_while_it_runs() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    world.lan.told.clear();
    world.reload(&format!("{LINKS}{DSLITE}[lan.ipv6]\nmode = 'off'\n"));
    world.pass(seconds(20));
    assert_eq!(
        (last(&world).lifetime, prefixes(last(&world)), world.lan.told.len()),
        (0, vec![(of(DELEGATED, 1, 0), 0)], 3)
    );
    assert!(world.snapshot().filter6.is_none());
    assert_eq!(route(&world, of(DELEGATED, 1, 9)), Route6::Unreachable);
    world.reload(&format!("{LINKS}{DSLITE}[lan.ipv6]\nsubnet-id = 7\ndns = ['2001:db8::1']\ninterface-id = '::7'\n"));
    world.pass(seconds(20));
    assert_eq!(prefixes(last(&world)), [(of(DELEGATED, 7, 0), 2700), (of(DELEGATED, 1, 0), 0)]);
    assert_eq!(last(&world).resolvers[0], ("2001:db8::1".parse().unwrap(), 1800));
    assert_eq!(route(&world, of(DELEGATED, 7, 7)), Route6::Local);
}

/// IPv4 of the LAN is another network: what hosts have of IPv6 stays.
#[test]
fn another_ipv4_network_changes_nothing_of_ipv6() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    world.lan.told.clear();
    world.reload(&format!("{}{DSLITE}", LINKS.replace("192.168.1.", "192.168.2.")));
    world.pass(seconds(900));
    assert!(world.lan.told.iter().all(|told| prefixes(told) == [(of(DELEGATED, 1, 0), 2700)] && told.lifetime == 1800));
    assert_eq!(route(&world, of(DELEGATED, 1, 1)), Route6::Local);
}

/// RFC 4862 5.4.5: a host that has our address keeps it; it is said, and hosts have a router all the same.
#[test]
fn a_host_that_has_our_address() {
    let mut world = line(DELEGATED, 56, "");
    let host = world.lan.plug(None);
    world.lan.stations[host].ipv6 = vec![of(DELEGATED, 1, 1)];
    world.pass(seconds(20));
    assert_eq!(last(&world).lifetime, 1800);
    assert_eq!(route(&world, of(DELEGATED, 1, 1)), Route6::Link(LAN));
    let (warnings, mac) = (world.status().warnings, world.lan.stations[host].mac.to_string());
    assert!(warnings.iter().any(|warning| warning.contains(&mac) && warning.contains("interface-id")), "{warnings:?}");
    world.lan.stations[host].ipv6.clear();
    world.pass(seconds(100));
    assert_eq!(route(&world, of(DELEGATED, 1, 1)), Route6::Local);
    assert_eq!(world.status().warnings, Vec::<String>::new());
}

/// All of a /64 is the LAN's, and our end of the tunnel is in it: no host may have that.
#[test]
fn a_delegated_64_is_the_lans_as_a_whole() {
    let mut world = told(DELEGATED, 64, "");
    world.carries_within(seconds(30));
    world.pass(seconds(5));
    assert_eq!(prefixes(last(&world)), [(DELEGATED, 2700)]);
    let end = Ipv6Addr::from(world.softwire().local);
    assert_eq!((route(&world, end), route(&world, of(DELEGATED, 0, 9))), (Route6::Local, Route6::Link(LAN)));
    assert!(world.lan.detected.contains(&end), "asked for on the LAN, too");
}

#[test]
fn what_show_status_says() {
    let mut world = told(DELEGATED, 56, "[lan.ipv6]\nsubnet-id = 256\n");
    world.pass(seconds(10));
    let status = world.status();
    let prefix = format!("{}/64", of(DELEGATED, 1, 0));
    assert_eq!((&status.lan.prefixes[0].prefix, &status.lan.prefixes[0].source[..]), (&prefix, "advertised"));
    assert!(status.lan.is_default_router && status.lan.addresses.len() == 2, "{:?}", status.lan);
    assert!(status.warnings.iter().any(|warning| warning.contains("subnet-id = 256")), "{:?}", status.warnings);
    let text = status.to_string();
    assert!(text.contains(&format!("prefix    {prefix} (advertised), preferred 45 min, valid 1 h 30 min")), "{text}");
}

/// A line that renumbers all the time: no flood, a few lines in the log, bounded memory.
#[test]
fn a_line_that_renumbers_every_minute() {
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    world.lan.told.clear();
    let before = world.now;
    for number in 0..60u16 {
        let [a, b, ..] = DELEGATED.segments();
        let next = (Ipv6Addr::new(a, b, 0x2000 + number, 0, 0, 0, 0, 0), 56);
        world.isp.dhcp.taken_back = world.isp.dhcp.prefix.replace(next);
        // The line comes back after a break: leases are verified.
        world.router.set_links(world.now, &[true, false]);
        world.router.set_links(world.now, &[true, true]);
        world.pass(seconds(60));
    }
    assert!(world.lan.told.iter().all(|told| told.prefixes.len() <= 12));
    let spaced = world.lan.told.windows(2).all(|pair| pair[1].at.since(pair[0].at) >= seconds(3));
    assert!(spaced, "RFC 4861 6.2.6: {} in {:?}", world.lan.told.len(), world.now.since(before));
    let (prefix, preferred) = prefixes(last(&world))[0];
    assert_eq!((prefix.segments()[2], preferred), (0x2000 + 59, 2700));
}
