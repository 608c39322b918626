//! The clock on the wall is set, by hours and days, while the router runs and while it does not.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::leases::{delegated, local};
use crate::world::World;

const DAY: i64 = 86_400;

/// A line with a delegated prefix, and a host with a lease.
fn world() -> (World, usize, Ipv4Addr) {
    let mut world = delegated();
    let host = world.lan.plug(None);
    world.lan.discover(host);
    world.pass(Duration::from_secs(5));
    let address = world.lan.stations[host].address.expect("a lease");
    world.isp.dhcp.asked.clear();
    (world, host, address)
}

/// Lives go by our own time: a clock that is set ends nothing and begins nothing, whichever way it is set.
#[test]
fn a_clock_that_is_set_changes_nothing() {
    let (mut world, host, address) = world();
    let (line, snapshots) = (local(&world), world.snapshots.len());
    for set in [3 * DAY, -6 * DAY, 3600, -1800, 20_000 * DAY] {
        world.clock_set += set;
        world.pass(Duration::from_secs(60));
    }
    assert_eq!(world.isp.dhcp.asked, [], "nothing is renewed before its time");
    assert_eq!((local(&world), world.snapshots.len()), (line, snapshots), "workers are told nothing");
    assert_eq!(world.status().lan.leases, Some(1));
    assert_eq!(world.lan.stations[host].address, Some(address));
}

/// What is saved has times of the clock. If that is set while the router runs, the files are written anew, so that the next start
/// knows what still holds: a router without a battery starts in 1970.
#[test]
fn leases_outlive_a_restart_after_the_clock_was_set() {
    for set in [3 * DAY, -6 * DAY] {
        let (mut world, host, address) = world();
        let line = local(&world);
        world.clock_set = set;
        world.pass(Duration::from_secs(60));
        world.restart(true);
        assert_eq!(world.status().lan.leases, Some(1), "set by {set} s");
        world.pass(Duration::from_secs(30));
        assert_eq!(local(&world), line, "set by {set} s");
        world.lan.reboot(host);
        world.pass(Duration::from_secs(5));
        assert_eq!(world.lan.stations[host].address, Some(address));
    }
}

/// A clock that went back while the router was off is taken to stand where it was when the file was written: no lease ends early.
#[test]
fn a_clock_that_goes_back_over_a_restart() {
    let (mut world, host, address) = world();
    let line = local(&world);
    world.restart_at(-30 * DAY);
    assert_eq!(world.status().lan.leases, Some(1));
    world.pass(Duration::from_secs(30));
    assert_eq!(local(&world), line);
    world.lan.reboot(host);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.lan.stations[host].address, Some(address));
}

/// A year later by the clock nothing holds: the line is asked anew, and the host gets what it had, for nobody else wanted it.
#[test]
fn a_clock_that_goes_far_ahead_over_a_restart() {
    let (mut world, host, address) = world();
    world.restart_at(400 * DAY);
    assert_eq!(world.status().lan.leases, Some(0));
    world.pass(Duration::from_secs(60));
    assert!(world.isp.dhcp.asked.contains(&dhcproto::v6::MessageType::Solicit), "{:?}", world.isp.dhcp.asked);
    world.lan.discover(host);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.lan.stations[host].address, Some(address));
}
