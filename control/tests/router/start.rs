//! From a carrier to the first packet, whatever the line says and the dice have.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_dataplane::snapshot::Softwire;
use hikyaku_net::Mac;

use crate::coming_up::AFTR;
use crate::services::{BR, LINE, map_e, seconds};
use crate::world::isp::{MANAGED, OTHER};
use crate::world::{LINKS, World};

/// Plays of each line: the random delays differ.
const PLAYS: u32 = 8;

/// What the line delegates: /56 with [`LINE`] as its first /64.
const DELEGATED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x112, 0x3400, 0, 0, 0, 0);

/// How our end of the tunnel is known, and the far one.
const SERVICES: [(&str, &str); 4] = [
    ("DS-Lite by address", "[service]\nkind = 'dslite'\naftr = '2001:db8:af::1'\n"),
    ("DS-Lite by name", "[service]\nkind = 'dslite'\naftr = 'aftr.example.net'\n"),
    ("DS-Lite by option 64", "[service]\nkind = 'dslite'\n"),
    ("MAP-E by DHCPv6", "[service]\nkind = 'map-e'\n"),
];

/// Where our prefix comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    Advertisement,
    Delegation,
}

impl From {
    /// Delegation takes the second longer that Advertises are collected for (RFC 8415 18.2.1), and with a fixed interface
    /// id a second of duplicate address detection before it.
    fn limit(self, id: &str) -> Duration {
        Duration::from_millis(match (self, id) {
            (Self::Advertisement, _) => 2400,
            (Self::Delegation, "stable") => 3000,
            (Self::Delegation, _) => 3500,
        })
    }
}

/// A line that is ordinary (the first advertisement comes half a second after the solicitation), but for RetransTimer.
fn line(service: &str, id: &str, from: From, retrans_timer: u32) -> World {
    let links = LINKS.replace("'eui64'", &format!("'{id}'"));
    let mut world = World::of(&format!("{links}{service}"));
    world.isp.answers_after = Duration::from_millis(500);
    let says = world.isp.says();
    says.retrans_timer = retrans_timer;
    match from {
        From::Advertisement => (says.flags, says.prefixes[0].prefix) = (OTHER, LINE),
        From::Delegation => {
            (says.flags, says.prefixes) = (MANAGED, Vec::new());
            world.isp.dhcp.prefix = Some((DELEGATED, 56));
        }
    }
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.dhcp.others = vec![map_e(false)];
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    world
}

/// Until a packet would leave: there is a tunnel, and the Ethernet address of its next hop is known.
fn first_packet(mut world: World) -> Duration {
    let start = world.now;
    let carries = |world: &World| world.snapshot().softwires.iter().any(|softwire| softwire.next_hop.is_some());
    assert!(world.pass_until(seconds(60), carries), "{:?}", world.states);
    assert!([AFTR, BR].contains(&world.softwire().remote.into()));
    world.now.since(start)
}

/// The longest of many starts.
fn longest(play: impl Fn() -> World) -> Duration {
    (0..PLAYS).map(|_| first_packet(play())).max().unwrap_or_default()
}

#[test]
fn the_first_packet_leaves_in_time() {
    for (name, service) in SERVICES {
        for id in ["stable", "eui64"] {
            for from in [From::Advertisement, From::Delegation] {
                for retrans_timer in [0, 10_000] {
                    let longest = longest(|| line(service, id, from, retrans_timer));
                    let what = format!("{name}, {id}, {from:?}, RetransTimer {retrans_timer}: {longest:.2?}");
                    assert!(longest <= from.limit(id), "{what}");
                    println!("{what}");
                }
            }
        }
    }
}

/// An advertisement without the router's Ethernet address, which is asked for as soon as there is an address to ask from
/// (RFC 4429 3.2), whatever RetransTimer is.
#[test]
fn a_router_that_must_be_asked_for() {
    let play = || {
        let mut world = line(SERVICES[0].1, "stable", From::Advertisement, 10_000);
        world.isp.says().mac = None;
        world
    };
    let longest = longest(play);
    assert!(longest <= seconds(2), "{longest:?}");
}

/// An optimistic address that is another's after all is left for the next one within two seconds (RFC 7217 6), in an advertised
/// prefix and in a delegated one, and never used again.
#[test]
fn an_optimistic_address_that_is_taken() {
    for from in [From::Advertisement, From::Delegation] {
        let mut world = line(SERVICES[0].1, "stable", from, 0);
        world.carries_within(seconds(4));
        let taken: Ipv6Addr = world.softwire().local.into();
        world.isp.taken.insert(taken, Mac([2, 0, 0, 0, 7, 7]));
        world.isp.detected.clear();
        world.restart(true);
        assert!(world.pass_until(seconds(5), |world| world.isp.detected.contains(&taken)), "{from:?}");
        let another = |softwire: &Softwire| softwire.local != taken.into() && softwire.next_hop.is_some();
        let carries = |world: &World| world.snapshot().softwires.iter().any(another);
        assert!(world.pass_until(seconds(2), carries), "{from:?}: {:?}", world.states);
        let local = Ipv6Addr::from(world.softwire().local);
        assert_eq!(local.segments()[..4], taken.segments()[..4]);
        world.pass(seconds(5));
        let used = world.snapshots.iter().flat_map(|snapshot| &snapshot.softwires);
        let used: Vec<_> = used.map(|softwire| Ipv6Addr::from(softwire.local)).collect();
        let last = used.iter().rposition(|&used| used == taken);
        let first = used.iter().position(|&used| used == local);
        assert!(last < first, "{from:?}: {used:?}");
    }
}
