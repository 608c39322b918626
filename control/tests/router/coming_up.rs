//! The way from a link that is down to packets that are carried.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku::router::{State, WAN};
use hikyaku_dataplane::snapshot::{Route, SoftwireId};
use hikyaku_net::Mac;

use crate::world::isp::{PREFIX, Prefix, RESOLVER, ROUTER};
use crate::world::web::Web;
use crate::world::{WAN_MAC, World, wire};

pub const AFTR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xaf, 0, 0, 0, 0, 1);
pub const DSLITE: &str = "[service]\nkind = 'dslite'\n";
pub const IPIP: &str = "[service]\nkind = 'ipip'\nbr = '2001:db8:b::1'\nipv4 = '198.51.100.1'\nce = '::feed'\n";

/// The states of a line that comes up with nothing in its way.
const IN_ORDER: [&str; 7] = [
    "starting",
    "awaiting-router",
    "awaiting-prefix",
    "choosing-service",
    "checking-address",
    "awaiting-border-router",
    "carrying",
];

/// All states that were seen are of `order`, in its order.
#[track_caller]
pub fn assert_in_order(seen: &[String], order: &[&str]) {
    let places: Vec<usize> = seen.iter().map(|name| order.iter().position(|one| one == name).expect(name)).collect();
    assert!(places.is_sorted(), "{seen:?}");
}

/// RFC 6334: the AFTR's name is in option 64, and resolves at the line's own resolver.
#[test]
fn dslite_by_option_64() {
    let mut world = World::new(DSLITE);
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    world.carries_within(Duration::from_secs(20));
    assert_in_order(&world.state_names(), &IN_ORDER);
    let softwire = world.softwire();
    let local: Ipv6Addr = softwire.local.into();
    assert_eq!(local.segments()[..4], PREFIX.segments()[..4]);
    assert!(world.isp.detected.contains(&local), "RFC 4862 5.4: asked for before it is used");
    assert_eq!(Ipv6Addr::from(softwire.remote), AFTR);
    assert!(softwire.next_hop.is_some() && softwire.napt.is_none());
    assert_eq!(world.snapshot().routes.default_route(), Route::Softwire(SoftwireId(0)));
    assert_eq!(world.isp.strays, Vec::<Ipv6Addr>::new());
}

/// The name is the user's, the resolver the one that router advertisements name (RFC 8106): DHCPv6 says nothing.
#[test]
fn dslite_by_name() {
    let mut world = World::new("[service]\nkind = 'dslite'\naftr = 'gw.example.net'\n");
    world.isp.dhcp.alive = false;
    world.isp.says().resolvers = vec![RESOLVER];
    world.isp.dhcp.aftr = Some("other.example.net".into());
    world.isp.resolver.set_addresses("gw.example.net", 300, &[AFTR]);
    world.carries_within(Duration::from_secs(20));
    assert_in_order(&world.state_names(), &IN_ORDER);
    assert_eq!(Ipv6Addr::from(world.softwire().remote), AFTR);
    let local: Ipv6Addr = world.softwire().local.into();
    assert!(world.isp.resolver.asked.iter().all(|(from, name, _)| (*from, &name[..]) == (local, "gw.example.net")));
}

/// RFC 7766 5: an answer that is too long for a datagram is asked for by TCP. Where nobody can be connected to there is
/// none, and that is said.
#[test]
fn a_name_with_a_long_answer() {
    let mut world = World::new(DSLITE);
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 30, &[AFTR; 60]);
    (world.isp.resolver.truncates, world.isp.resolver.listens) = (true, false);
    world.pass(Duration::from_secs(60));
    let failed = matches!(world.router.state(), State::AwaitingBorderRouter { why } if why.contains("TCP"));
    assert!(failed, "{:?}", world.router.state());
    world.isp.resolver.listens = true;
    world.carries_within(Duration::from_secs(60));
    assert_eq!(Ipv6Addr::from(world.softwire().remote), AFTR);
    world.pass(Duration::from_secs(300));
    let by_tcp = *world.isp.resolver.by_tcp.borrow();
    assert!((8..15).contains(&by_tcp), "asked {by_tcp} times, each time its answer is too old");
}

/// A fixed address: the far end is told where we are, from our end of the tunnel, and told again when that moves.
#[test]
fn ipip_with_notification() {
    let mut world = World::new(&format!(
        "{IPIP}[service.notification]\ndialect = 'url'\nurl = 'http://update.example.net/?at=<ipv6>'\nfrom = 'ce'\n"
    ));
    let server = "2001:db8:f00::80".parse().unwrap();
    let (web, requests) = Web::new(server, Box::new(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK".into()));
    world.isp.hosts.push(Box::new(web));
    world.isp.resolver.set_addresses("update.example.net", 300, &[server]);
    world.carries_within(Duration::from_secs(20));
    assert_in_order(&world.state_names(), &IN_ORDER);
    let token = "::feed".parse::<Ipv6Addr>().unwrap().to_bits();
    for (number, prefix) in [(1, PREFIX), (2, "2001:db8:200::".parse().unwrap())] {
        // RFC 9096 3.5: what it advertised before it takes back.
        let says = world.isp.says();
        let before =
            (says.prefixes[0].prefix != prefix).then(|| Prefix { preferred: 0, valid: 7200, ..says.prefixes[0] });
        says.prefixes[0].prefix = prefix;
        says.prefixes.extend(before);
        world.isp.advertise();
        let ce = Ipv6Addr::from_bits(prefix.to_bits() | token);
        world.pass_until(Duration::from_secs(10), |world| Ipv6Addr::from(world.softwire().local) == ce);
        let told = world.pass_with_threads(Duration::from_secs(60), |_| requests.borrow().len() == number);
        assert!(told, "{:?}", requests.borrow());
        let (from, request) = requests.borrow().last().unwrap().clone();
        assert_eq!(from, ce, "{:?}", requests.borrow());
        assert!(request.starts_with(&format!("GET /?at={ce} HTTP/1.1\r\n")), "{request}");
        world.pass_with_threads(Duration::from_millis(200), |_| false);
    }
    // Every worker is among those that the table waits for.
    let napt = world.softwire().napt.unwrap();
    (0..2).for_each(|worker| napt.quiescent(worker));
}

/// RFC 4862 5.4.5: an address that another station has is not used; who has it is said. When it is gone the line comes
/// up by itself.
#[test]
fn an_address_that_is_taken() {
    let mut world = World::new(IPIP);
    let ce = Ipv6Addr::from_bits(PREFIX.to_bits() | 0xfeed);
    let thief = Mac([2, 0, 0, 0, 7, 7]);
    world.isp.taken.insert(ce, thief);
    world.pass(Duration::from_secs(200));
    assert_eq!(world.router.state(), &State::AddressTaken { ce, by: thief });
    assert!(world.snapshots.iter().all(|snapshot| snapshot.softwires.is_empty()), "nothing is sent from it");
    world.isp.taken.clear();
    world.carries_within(Duration::from_secs(120));
}

/// Nobody is asked more often than RFC 7559, RFC 8415 and RFC 4861 have it while nobody answers, and the line comes up
/// when somebody does.
#[test]
fn a_line_that_is_dead_for_a_day() {
    let mut world = World::new(DSLITE);
    world.isp.alive = false;
    world.pass(Duration::from_secs(86_400));
    assert_eq!(world.router.state(), &State::AwaitingRouter);
    assert!(world.sent < 200, "{}", world.sent);
    world.isp.alive = true;
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    world.carries_within(Duration::from_secs(400));
}

/// A card that keeps multicast from us: the router cannot find us (RFC 4861 7.2.2), and that is known by what it does not
/// answer. With another card nothing is suspected.
#[test]
fn a_card_that_keeps_groups_from_us_is_found_out() {
    for is_deaf in [true, false] {
        let mut world = World::new("[service]\nkind = 'dslite'\naftr = '2001:db8:af::1'\n");
        world.is_deaf = is_deaf;
        world.pass(Duration::from_secs(30));
        let silent = world.router.silent();
        assert_eq!(silent.is_some(), is_deaf);
        let Some((address, router)) = silent else { continue };
        assert_eq!((address.segments()[..4] == PREFIX.segments()[..4], router), (true, ROUTER));
        // Promiscuous mode cures it, and the warning goes with whatever comes.
        world.is_deaf = false;
        let ping = wire::icmp6((Mac([2, 0, 0, 0, 9, 1]), ROUTER), (WAN_MAC, address), 128, &[0; 4]);
        world.hear(WAN, &ping);
        assert_eq!(world.router.silent(), None);
    }
}
