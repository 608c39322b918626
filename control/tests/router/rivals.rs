//! A second DHCPv6 server on the line, that answers before the line's own: where the tunnel ends, who is asked for names and what
//! the line has are not its to say, while the one in use answers.

use std::net::Ipv6Addr;

use hikyaku::router::State;

use crate::coming_up::{AFTR, DSLITE};
use crate::services::seconds;
use crate::world::World;
use crate::world::delegation::Server;
use crate::world::isp::{MANAGED, OTHER};

/// Where the rival would have the tunnel end.
const ROGUE_AFTR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 1);
/// And who would be asked for names. Nobody is there, so a question is one of [`strays`](crate::world::isp::Isp::strays).
pub const ROGUE_RESOLVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0x53);

/// How long a server's word lasts until it is asked again: the shortest there is (RFC 8415 21.23), as an option.
pub fn refresh() -> (u16, Vec<u8>) {
    (32, 600_u32.to_be_bytes().to_vec())
}

/// A server that is faster.
pub fn rival() -> Server {
    let mut server = Server::new();
    server.id = b"\0\x03\0\x01rogue".to_vec();
    server.resolvers = vec![ROGUE_RESOLVER];
    server.aftr = Some("rogue.example.net".into());
    server
}

/// A line that carries, with or without a delegated prefix, before the rival is there.
fn line(is_delegated: bool) -> World {
    let mut world = World::new(DSLITE);
    if is_delegated {
        world.isp.says().flags = MANAGED | OTHER;
        world.isp.dhcp.prefix = Some((Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0, 0, 0, 0, 0), 56));
    }
    world.isp.dhcp.others = vec![refresh()];
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 60, &[AFTR]);
    world.isp.resolver.set_addresses("rogue.example.net", 60, &[ROGUE_AFTR]);
    world.carries_within(seconds(20));
    world
}

fn far_end(world: &World) -> Ipv6Addr {
    world.softwire().remote.into()
}

/// Whether a packet went where the rival would have it.
fn is_led(world: &World) -> bool {
    world.isp.strays.iter().any(|&stray| [ROGUE_RESOLVER, ROGUE_AFTR].contains(&stray))
}

/// Over refreshes and renewals, over a cable that is out and in, and over a restart where the leases are known.
#[test]
fn a_dhcpv6_server_that_answers_faster() {
    for is_delegated in [false, true] {
        let mut world = line(is_delegated);
        let (before, asked) = (world.softwire(), world.isp.dhcp.asked.len());
        world.isp.rival = Some(rival());
        world.isp.rival.as_mut().unwrap().prefix =
            is_delegated.then_some((Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0), 48));
        // T1 is 3600 s.
        world.pass(seconds(if is_delegated { 3700 } else { 1300 }));
        assert!(world.isp.dhcp.asked.len() > asked, "the line was asked again");
        world.router.set_links(world.now, &[true, false]);
        world.pass(seconds(10));
        world.router.set_links(world.now, &[true, true]);
        world.pass(seconds(60));
        if is_delegated {
            world.restart(true);
        }
        world.carries_within(seconds(20));
        world.pass(seconds(60));
        assert!(!world.isp.rival.as_ref().unwrap().asked.is_empty());
        let after = world.softwire();
        assert_eq!((after.local, after.remote), (before.local, before.remote), "delegated: {is_delegated}");
        assert!(!is_led(&world), "delegated: {is_delegated}");
    }
}

/// The line's own server is gone for good, as where its box was exchanged: the other one is its server.
#[test]
fn a_server_that_takes_the_place_of_the_other() {
    let mut world = line(false);
    let mut other = rival();
    other.resolvers = vec![world.isp.resolver.address];
    world.isp.rival = Some(other);
    world.isp.dhcp.alive = false;
    world.router.set_links(world.now, &[true, false]);
    world.pass(seconds(10));
    world.router.set_links(world.now, &[true, true]);
    assert!(world.pass_until(seconds(10), |world| far_end(world) == ROGUE_AFTR), "{:?}", world.router.state());
    assert!(matches!(world.router.state(), State::Carrying { .. }));
}
