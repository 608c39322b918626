//! Each service comes up from what its line says, and moves when the line says something else.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hikyaku::router::State;
use hikyaku_net::PortSet;
use hikyaku_net::map::InterfaceId;
use hikyaku_protocols::service::{Origin, Outcome};

use crate::coming_up::AFTR;
use crate::world::carried::Translates;
use crate::world::isp::{OTHER, Prefix};
use crate::world::{World, name_of, s46};

pub const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 1);
pub const LWAFTR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x46, 0, 0, 0, 0, 1);
/// A line of [`RULE`]: address 18, PSID 0x34.
pub const LINE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x112, 0x3400, 0, 0, 0, 0);
pub const LINE_IPV4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 18);
pub const LINE_PSID: u16 = 0x34;
/// Another: address 86, PSID 0x78.
pub const OTHER_LINE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x156, 0x7800, 0, 0, 0, 0);
/// The rule's prefixes; 16 bits behind the first are eight of the address and eight of the PSID.
const RULE: ((Ipv6Addr, u8), (Ipv4Addr, u8)) =
    ((Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0), 40), (Ipv4Addr::new(198, 51, 100, 0), 24));

pub const AUTO: &str = "[service]\nkind = 'auto'\n";

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A line with the prefix of [`LINE`], on which nobody says anything of a service.
pub fn line(service: &str) -> World {
    let mut world = World::new(service);
    world.isp.says().prefixes[0].prefix = LINE;
    world.far_ends = [(AFTR, Translates::FarEnd), (BR, Translates::Share), (LWAFTR, Translates::Share)].into();
    world
}

/// The container of MAP-E for this rule.
pub fn map_e(mesh: bool) -> (u16, Vec<u8>) {
    (s46::MAP_E, s46::map_e(RULE.0, RULE.1, 16, 4, mesh, BR))
}

fn lw4o6() -> (u16, Vec<u8>) {
    (s46::LW4O6, s46::lw4o6(LINE_IPV4, (4, 8, LINE_PSID), LWAFTR))
}

/// Our end on `line`.
pub fn end(line: Ipv6Addr, form: InterfaceId, ipv4: Ipv4Addr, psid: u16) -> Ipv6Addr {
    Ipv6Addr::from_bits(line.to_bits() | u128::from(form.of(ipv4, psid)))
}

pub fn ends(world: &World) -> (Ipv6Addr, Ipv6Addr) {
    let softwire = world.softwire();
    (softwire.local.into(), softwire.remote.into())
}

pub fn outside(world: &World) -> Option<(Ipv4Addr, PortSet)> {
    world.softwire().napt.map(|napt| (napt.outside(), napt.port_set()))
}

fn steps(world: &World) -> Vec<(Origin, Outcome)> {
    world.status().service.found_by.iter().map(|step| (step.origin, step.outcome)).collect()
}

/// What a line says, and what must come of it.
struct Case {
    service: &'static str,
    says: fn(&mut World),
    /// The far end, the end of ours where it is certain, the share.
    remote: Ipv6Addr,
    local: Option<Ipv6Addr>,
    outside: Option<(Ipv4Addr, PortSet)>,
    kind: &'static str,
    origin: Origin,
}

fn cases() -> Vec<Case> {
    use InterfaceId::{Draft03, Rfc7597};
    let share = Some((LINE_IPV4, PortSet::new(4, 8, LINE_PSID).unwrap()));
    let whole = Some((Ipv4Addr::new(203, 0, 113, 7), PortSet::ALL));
    let dslite = |service, says, origin| Case {
        service,
        says,
        remote: AFTR,
        local: None,
        outside: None,
        kind: "dslite",
        origin,
    };
    let shared = |service, says, kind, remote, form, origin| Case {
        service,
        says,
        remote,
        local: Some(end(LINE, form, LINE_IPV4, LINE_PSID)),
        outside: share,
        kind,
        origin,
    };
    let option64: fn(&mut World) = |world| {
        world.isp.dhcp.aftr = Some("aftr.example.net".into());
        world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    };
    let all: fn(&mut World) = |world| {
        world.isp.dhcp.aftr = Some("aftr.example.net".into());
        world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
        world.isp.dhcp.others = vec![map_e(false), lw4o6()];
    };
    let preferred: fn(&mut World) = |world| {
        world.isp.dhcp.aftr = Some("aftr.example.net".into());
        world.isp.dhcp.others = vec![map_e(false), lw4o6(), (s46::PRIORITY, s46::priority(&[96, 94, 64]))];
    };
    vec![
        dslite(AUTO, option64, Origin::Option64),
        dslite("[service]\nkind = 'dslite'\n", all, Origin::Option64),
        dslite(AUTO, all, Origin::Option64),
        dslite(
            "[service]\nkind = 'transix'\n",
            |w| w.isp.resolver.set_addresses("gw.transix.jp", 60, &[AFTR]),
            Origin::Configuration,
        ),
        dslite(
            "[service]\nkind = 'xpass'\n",
            |w| w.isp.resolver.set_addresses("dgw.xpass.jp", 60, &[AFTR]),
            Origin::Configuration,
        ),
        dslite(
            "[service]\nkind = 'v6connect'\n",
            |w| w.isp.resolver.set_addresses("dslite.v6connect.net", 60, &[AFTR]),
            Origin::Configuration,
        ),
        // Nobody says anything, and the resolvers know one of the names.
        dslite(AUTO, |w| w.isp.resolver.set_addresses("dgw.xpass.jp", 60, &[AFTR]), Origin::Names),
        shared(AUTO, |w| w.isp.dhcp.others = vec![map_e(false)], "map-e", BR, Rfc7597, Origin::S46),
        shared("[service]\nkind = 'map-e'\n", all, "map-e", BR, Rfc7597, Origin::S46),
        shared("[service]\nkind = 'map-e'\niid = 'draft03'\n", all, "map-e", BR, Draft03, Origin::S46),
        shared("[service]\nkind = 'v6plus'\n", all, "map-e", BR, Draft03, Origin::S46),
        shared(
            "[service]\nkind = 'ocn'\n",
            |w| w.isp.dhcp.others = vec![map_e(true)],
            "map-e",
            BR,
            Draft03,
            Origin::S46,
        ),
        shared("[service]\nkind = 'lw4o6'\n", all, "lw4o6", LWAFTR, Rfc7597, Origin::S46),
        shared(AUTO, |w| w.isp.dhcp.others = vec![lw4o6()], "lw4o6", LWAFTR, Rfc7597, Origin::S46),
        // RFC 8026 1.3: in the server's order.
        shared(AUTO, preferred, "lw4o6", LWAFTR, Rfc7597, Origin::S46),
        shared(
            "[service]\nkind = 'lw4o6'\nipv4 = '198.51.100.18'\naftr = '2001:db8:46::1'\npsid = 52\npsid-length = 8\npsid-offset = 4\n",
            |_| {},
            "lw4o6",
            LWAFTR,
            Rfc7597,
            Origin::Configuration,
        ),
        Case {
            service: "[service]\nkind = 'ocn-fixed'\nipv4 = '203.0.113.7'\nbr = '2001:db8:f1::1'\n",
            says: all,
            remote: "2001:db8:f1::1".parse().unwrap(),
            local: Some(end(LINE, Draft03, Ipv4Addr::new(203, 0, 113, 7), 0)),
            outside: whole,
            kind: "ipip",
            origin: Origin::Configuration,
        },
        Case {
            service: "[service]\nkind = 'transix-fixed'\nipv4 = '203.0.113.7'\nbr = '2001:db8:f1::1'\nce = '::feed'\n",
            says: all,
            remote: "2001:db8:f1::1".parse().unwrap(),
            local: Some(Ipv6Addr::from_bits(LINE.to_bits() | 0xfeed)),
            outside: whole,
            kind: "ipip",
            origin: Origin::Configuration,
        },
    ]
}

/// docs/configuration.md, "Which service".
#[test]
fn every_service_comes_up_from_what_its_line_says() {
    for case in cases() {
        let mut world = line(case.service);
        (case.says)(&mut world);
        world.carries_within(seconds(30));
        // Nothing is second thoughts.
        world.pass(seconds(60));
        let (local, remote) = ends(&world);
        assert_eq!(remote, case.remote, "{}", case.service);
        assert!(case.local.is_none_or(|expected| expected == local), "{}{local}", case.service);
        assert_eq!(outside(&world), case.outside, "{}", case.service);
        let service = world.status().service;
        assert_eq!(service.kind.as_deref(), Some(case.kind), "{}", case.service);
        let last = service.found_by.last().unwrap();
        assert_eq!((last.origin, last.outcome), (case.origin, Outcome::Chosen), "{}", case.service);
        let mut ends: Vec<_> = world.snapshots.iter().flat_map(|snapshot| &snapshot.softwires).collect();
        ends.dedup_by_key(|softwire| (softwire.local, softwire.remote));
        assert_eq!(ends.len(), 1, "{}it went there directly", case.service);
    }
}

/// Nothing at all: everybody is asked, nobody in vain too often, and the line comes up when it has something.
#[test]
fn a_line_without_a_service() {
    let mut world = line(AUTO);
    world.pass(seconds(60));
    use Origin::{Names, Option64, Provisioning, S46};
    let all = [Option64, S46, Provisioning, Names].map(|origin| (origin, Outcome::Nothing));
    assert_eq!(steps(&world), all);
    let State::ChoosingService { why } = world.router.state() else { panic!("{:?}", world.router.state()) };
    assert!(why.contains("know no AFTR"), "{why}");
    world.states.clear();
    world.isp.resolver.asked.clear();
    let turns = world.turns;
    world.pass(seconds(3500));
    assert_eq!(world.states.len(), 1, "said once: {:?}", world.states);
    assert!(world.turns - turns < 3 * 3500, "{} turns", world.turns - turns);
    let asked = world.isp.resolver.asked.iter().filter(|(_, name, _)| name == "gw.transix.jp").count();
    assert!((5..=6).contains(&asked), "every ten minutes: {asked}");
    world.isp.resolver.set_addresses("gw.transix.jp", 300, &[AFTR]);
    world.carries_within(seconds(620));
}

/// docs: a line without an ISP says so. Nobody outside is asked.
#[test]
fn a_closed_network() {
    for service in [AUTO, "[service]\nkind = 'transix'\n"] {
        let mut world = line(service);
        world.isp.says().prefixes[0].prefix = "2408:210:1234:5600::".parse().unwrap();
        world.isp.dhcp.aftr = Some("aftr.example.net".into());
        world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
        world.isp.resolver.set_addresses("gw.transix.jp", 300, &[AFTR]);
        world.pass(seconds(100));
        assert_eq!(name_of(world.router.state()), "awaiting-isp");
        assert!(world.snapshots.iter().all(|snapshot| snapshot.softwires.is_empty()));
        assert_eq!(world.isp.resolver.asked, []);
        world.isp.says().prefixes[0].prefix = LINE;
        world.isp.advertise();
        world.carries_within(seconds(20));
    }
}

/// A slow answer is not overtaken.
#[test]
fn a_slow_dhcpv6_server_is_waited_for() {
    let mut world = line(AUTO);
    world.isp.dhcp.alive = false;
    world.isp.says().resolvers = vec![world.isp.resolver.address];
    world.isp.resolver.set_addresses("gw.transix.jp", 300, &["2001:db8:a::1".parse().unwrap()]);
    world.isp.dhcp.others = vec![map_e(false)];
    world.pass(seconds(5));
    assert_eq!(name_of(world.router.state()), "choosing-service");
    assert_eq!(steps(&world), [(Origin::Option64, Outcome::Waiting)]);
    world.isp.dhcp.alive = true;
    world.carries_within(seconds(20));
    assert_eq!(ends(&world).1, BR);
}

/// A server that answers later still is believed, once. Its silence afterwards takes nothing back: no line goes to and
/// fro.
#[test]
fn a_late_dhcpv6_server_moves_the_line_once() {
    let mut world = line(AUTO);
    let transix: Ipv6Addr = "2001:db8:a::1".parse().unwrap();
    world.isp.dhcp.alive = false;
    world.isp.says().resolvers = vec![world.isp.resolver.address];
    world.isp.resolver.set_addresses("gw.transix.jp", 300, &[transix]);
    world.isp.dhcp.others = vec![map_e(false)];
    world.carries_within(seconds(20));
    assert_eq!(ends(&world).1, transix);
    let turns = world.turns;
    world.pass(seconds(100));
    assert!(world.turns - turns < 500, "{} turns while the server is silent", world.turns - turns);
    let published = world.snapshots.len();
    world.isp.dhcp.alive = true;
    world.pass(seconds(200));
    assert_eq!(ends(&world).1, BR);
    world.isp.dhcp.alive = false;
    for flags in [0, OTHER, 0, OTHER] {
        world.isp.says().flags = flags;
        world.isp.advertise();
        world.pass(seconds(1000));
    }
    world.router.set_links(world.now, &[true, false]);
    world.pass(seconds(10));
    world.router.set_links(world.now, &[true, true]);
    world.pass(seconds(1000));
    let mut seen: Vec<Ipv6Addr> = (world.snapshots[published..].iter())
        .flat_map(|snapshot| &snapshot.softwires)
        .map(|softwire| softwire.remote.into())
        .collect();
    seen.dedup();
    // The new end may be ours on the LAN, too, before the tunnel moves: that is news of the old far end.
    assert_eq!(seen.strip_prefix(&[transix]).unwrap_or(&seen), [BR]);
}

/// Resolvers that fall silent just when the line is renumbered do not take DS-Lite down that was found by its name.
#[test]
fn silent_resolvers_take_nothing_down() {
    let mut world = line(AUTO);
    world.isp.resolver.set_addresses("gw.transix.jp", 86_400, &[AFTR]);
    world.carries_within(seconds(30));
    let before = world.snapshots.len();
    world.isp.resolver.alive = false;
    world.isp.says().prefixes = vec![
        Prefix { prefix: OTHER_LINE, preferred: 14400, valid: 43200 },
        Prefix { prefix: LINE, preferred: 0, valid: 7200 },
    ];
    world.isp.advertise();
    world.pass(seconds(600));
    assert!(matches!(world.router.state(), State::Carrying { .. }), "{:?}", world.router.state());
    assert!(world.snapshots[before..].iter().all(|snapshot| !snapshot.softwires.is_empty()));
}

/// RFC 7597 5: another prefix is another address and another PSID, thus another table. What was carried goes on until
/// the new end has passed duplicate address detection.
#[test]
fn renumbering_with_map_e() {
    let mut world = line(AUTO);
    world.isp.dhcp.others = vec![map_e(true)];
    world.carries_within(seconds(20));
    let old = world.softwire();
    assert!(old.mesh.is_some());
    let before = world.snapshots.len();
    world.isp.says().prefixes = vec![
        Prefix { prefix: OTHER_LINE, preferred: 14400, valid: 43200 },
        Prefix { prefix: LINE, preferred: 0, valid: 7200 },
    ];
    world.isp.advertise();
    let ipv4 = Ipv4Addr::new(198, 51, 100, 86);
    let new_end = end(OTHER_LINE, InterfaceId::Rfc7597, ipv4, 0x78);
    assert!(world.pass_until(seconds(5), |world| world.isp.detected.contains(&new_end)), "RFC 4862 5.4");
    assert_eq!(world.softwire().local, old.local, "not before it is known to be free");
    world.pass(seconds(10));
    let new = world.softwire();
    assert_eq!(
        (Ipv6Addr::from(new.local), outside(&world)),
        (new_end, Some((ipv4, PortSet::new(4, 8, 0x78).unwrap())))
    );
    let published = &world.snapshots[before..];
    assert!(published.iter().all(|snapshot| snapshot.softwires[0].next_hop.is_some()), "carried all the while");
    for softwire in published.iter().map(|snapshot| &snapshot.softwires[0]) {
        let of = if softwire.local == old.local { &old } else { &new };
        assert!(Arc::ptr_eq(softwire.napt.as_ref().unwrap(), of.napt.as_ref().unwrap()), "each end has its table");
    }
}

/// The same share of the same address has the same sessions: after a break of the line, and of the control thread.
#[test]
fn sessions_belong_to_the_share() {
    let mut world = line(AUTO);
    world.isp.dhcp.others = vec![map_e(false)];
    world.carries_within(seconds(20));
    let old = world.softwire();
    let same = |world: &World| {
        let new = world.softwire();
        new.local == old.local && Arc::ptr_eq(new.napt.as_ref().unwrap(), old.napt.as_ref().unwrap())
    };
    world.restart(false);
    world.carries_within(seconds(20));
    assert!(same(&world));
    // The line is taken away and given back.
    world.isp.says().prefixes[0] = Prefix { prefix: LINE, preferred: 0, valid: 0 };
    world.isp.advertise();
    world.pass(seconds(8000));
    assert_eq!(name_of(world.router.state()), "awaiting-prefix");
    assert!(world.snapshot().softwires.is_empty());
    world.isp.says().prefixes[0] = Prefix { prefix: LINE, preferred: 14400, valid: 43200 };
    world.isp.advertise();
    world.carries_within(seconds(20));
    assert!(same(&world));
    // The same rule, now with a mesh: another plan, the same sessions.
    world.isp.dhcp.others = vec![map_e(true)];
    world.restart(false);
    world.carries_within(seconds(20));
    assert!(same(&world) && world.softwire().mesh.is_some());
}

/// The far end is never another plan's: not while the new one's name resolves either.
#[test]
fn a_far_end_of_before_is_not_used() {
    let mut world = line(AUTO);
    world.isp.dhcp.others = vec![map_e(false)];
    world.carries_within(seconds(20));
    // Now it is DS-Lite, and the AFTR's name takes its time.
    world.isp.dhcp.others.clear();
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.alive = false;
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    // RFC 8415 18.2.12: asked again when the link was away.
    world.router.set_links(world.now, &[true, false]);
    world.pass(seconds(1));
    world.router.set_links(world.now, &[true, true]);
    world.pass(seconds(10));
    assert_eq!(name_of(world.router.state()), "awaiting-border-router");
    world.isp.resolver.alive = true;
    world.carries_within(seconds(60));
    assert_eq!(ends(&world).1, AFTR);
}

/// A static mapping to a port that is not ours costs neither the line nor the others; it is said which could be had.
#[test]
fn forwards_that_the_share_does_not_have() {
    let ours = PortSet::new(4, 8, LINE_PSID).unwrap().ranges().next().unwrap().0;
    let forwards = format!("{AUTO}forward = ['tcp/443=192.168.1.10', 'tcp/{ours}=192.168.1.10']\n");
    let mut world = line(&forwards);
    world.isp.dhcp.others = vec![map_e(false)];
    world.carries_within(seconds(20));
    let check = |world: &World| {
        let warnings = world.status().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("tcp/443") && warnings[0].contains(&ours.to_string()), "{warnings:?}");
    };
    check(&world);
    world.restart(false);
    world.carries_within(seconds(20));
    check(&world);
    // With DS-Lite there are none at all.
    let mut world = line(&forwards);
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    world.carries_within(seconds(20));
    assert_eq!(world.status().warnings.len(), 2);
}

/// A router that leaves begins nothing: nobody is asked, nothing is chosen. What it had is given back.
#[test]
fn a_router_that_leaves() {
    let mut world = line(AUTO);
    world.isp.says().flags = crate::world::isp::MANAGED;
    world.isp.says().prefixes.clear();
    world.isp.dhcp.prefix = Some((LINE, 56));
    world.isp.dhcp.others = vec![map_e(false)];
    world.carries_within(seconds(20));
    let found = world.status().service.found_by;
    world.isp.dhcp.alive = false;
    world.isp.resolver.asked.clear();
    world.states.clear();
    world.router.release(world.now);
    world.pass(seconds(5));
    assert_eq!(world.isp.resolver.asked, []);
    assert_eq!(world.states.iter().map(name_of).collect::<Vec<_>>(), ["carrying"], "nothing new is said");
    assert_eq!(world.status().service.found_by, found);
    assert!(world.snapshot().softwires.is_empty(), "RFC 8415 18.2.7");
}

/// What a newcomer reads: each look with its result, and the tunnel once there is one.
#[test]
fn status_says_how_the_service_was_found() {
    let mut world = line(AUTO);
    world.pass(seconds(1));
    let text = world.status().to_string();
    assert!(text.contains("service   auto: it is being found out what the line has\n"), "{text}");
    assert!(!text.contains("tunnel"), "{text}");
    world.isp.dhcp.others = vec![map_e(true)];
    world.carries_within(seconds(20));
    let text = world.status().to_string();
    for says in [
        "service   auto (map-e), carrying: border router 2001:db8:b::1 (from DHCPv6)",
        "\n          nothing   DHCPv6 option 64: the server names no AFTR\n          chosen    DHCPv6 S46: MAP-E\n",
        "IPv4      198.51.100.18, 240 of its ports (PSID 52), other customers directly (mesh)\n",
    ] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
}

/// An AFTR's name that does not resolve keeps the line from nothing else that it has; when it resolves after all, it is
/// what the line should have first.
#[test]
fn an_aftr_that_is_not_found() {
    let mut world = line(AUTO);
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.dhcp.others = vec![map_e(false)];
    world.pass(seconds(50));
    assert!(matches!(world.router.state(), State::AwaitingBorderRouter { .. }), "it has a minute");
    world.carries_within(seconds(30));
    assert_eq!(steps(&world), [(Origin::Option64, Outcome::Unusable), (Origin::S46, Outcome::Chosen)]);
    let why = world.status().service.found_by[0].why.clone();
    assert!(why.contains("aftr.example.net is not found"), "{why}");
    assert_eq!(ends(&world).1, BR);
    let states = world.states.len();
    world.pass(seconds(3600));
    assert_eq!(world.states.len(), states, "it stays there: {:?}", world.states);
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    assert!(world.pass_until(seconds(400), |world| ends(world).1 == AFTR));
    assert_eq!(steps(&world), [(Origin::Option64, Outcome::Chosen)]);
}

/// The same on a line that has nothing else.
#[test]
fn an_aftr_that_is_not_found_and_nothing_else() {
    let mut world = line(AUTO);
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.pass(seconds(200));
    let State::ChoosingService { why } = world.router.state() else { panic!("{:?}", world.router.state()) };
    assert!(why.contains("aftr.example.net is not found") && why.contains("know no AFTR"), "{why}");
    world.isp.resolver.asked.clear();
    world.pass(seconds(3600));
    let asked = world.isp.resolver.asked.iter().filter(|(_, name, _)| name == "aftr.example.net").count();
    assert!((10..=61).contains(&asked), "asked {asked} times in an hour");
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
    world.carries_within(seconds(400));
}
