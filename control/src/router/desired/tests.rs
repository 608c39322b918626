//! Tables of lines, and what is to be done on each.

use hikyaku_protocols::neighbour::Progress;
use hikyaku_protocols::service::Local;

use super::super::choose::choose;
use super::super::fixtures::*;
use super::*;

const DSLITE: &str = "[service]\nkind = 'dslite'\n";
const FEED: &str = "[service]\nkind = 'ipip'\nbr = '2001:db8:f::1'\nipv4 = '198.51.100.1'\nce = '::feed'\n";

/// What follows from facts alone.
fn wanted(text: &str, says: &[Says]) -> Desired {
    let (config, facts) = (config(text), facts(says));
    desired(&config, &facts, &choose(&config, &facts, &Choice::default()))
}

/// Addresses that are held, besides the link-local one.
#[test]
fn which_addresses() {
    let rows: &[(&str, &str, &[Says], &[&str])] = &[
        ("nothing is known", DSLITE, &[router], &[]),
        ("one of the advertised prefix", DSLITE, &[router, advertised], &["2001:db8:1::2"]),
        ("the deprecated one too", DSLITE, &[router, advertised, deprecated], &["2001:db8:1::2", "2001:db8:9::2"]),
        ("one of the delegated prefix, for want of another", DSLITE, &[router, delegated], &["2001:db8:2::2"]),
        ("none of it beside an advertised one", DSLITE, &[router, delegated, advertised], &["2001:db8:1::2"]),
        (
            "a tunnel's end in every prefix",
            FEED,
            &[router, advertised, deprecated],
            &["2001:db8:1::2", "2001:db8:1::feed", "2001:db8:9::2", "2001:db8:9::feed"],
        ),
        ("no ends at the end of the program", FEED, &[router, advertised, leaving], &["2001:db8:1::2"]),
        (
            "the end in use is let go with its line",
            DSLITE,
            &[router, advertised, carried_elsewhere],
            &["2001:db8:1::2"],
        ),
    ];
    for (name, text, says, expected) in rows {
        let expected: Vec<Ipv6Addr> = expected.iter().map(|address| ip(address)).chain([ip("fe80::2")]).collect();
        assert_eq!(wanted(text, says).addresses, expected, "{name}");
    }
}

#[test]
fn only_what_is_ready_is_used() {
    let desired = wanted(DSLITE, &[router, deprecated, ready, advertised]);
    assert_eq!(desired.usable, [ip("2001:db8:9::2"), ip("fe80::2")]);
    assert_eq!(desired.addresses.len(), 3);
}

/// What is asked of the DHCPv6 server.
#[test]
fn which_dhcpv6() {
    use Mode::{Off, Other, Stateful, Stateless};
    fn no_link_local(facts: &mut Facts) {
        facts.addresses.insert(ip("fe80::2"), Progress::Tentative);
    }
    fn no_carrier(facts: &mut Facts) {
        facts.link_up = false;
    }
    fn asking(facts: &mut Facts) {
        informed(facts);
        facts.dhcpv6.state = hikyaku_protocols::dhcpv6::State::Asking;
    }
    let stateless = "dhcpv6.mode = 'stateless'\n[service]\nkind = 'dslite'\n";
    let stateful = "dhcpv6.mode = 'stateful'\n[service]\nkind = 'dslite'\n";
    let off = "dhcpv6.mode = 'off'\n[service]\nkind = 'dslite'\n";
    let rows: &[(&str, &str, &[Says], Option<Mode>)] = &[
        ("no router", DSLITE, &[], Some(Off)),
        ("no flags", DSLITE, &[router], Some(Off)),
        ("O", DSLITE, &[router, other], Some(Other)),
        ("M", DSLITE, &[router, managed], Some(Stateful)),
        ("M and O", DSLITE, &[router, managed, other], Some(Stateful)),
        ("M went away, and leases are there", DSLITE, &[router, delegated], Some(Stateful)),
        ("M went away, and nothing was leased", DSLITE, &[router, soliciting], Some(Off)),
        ("M went away, and O is there", DSLITE, &[router, soliciting, other], Some(Other)),
        ("O went away, and the server has answered", DSLITE, &[router, informed], Some(Stateless)),
        ("O went away, and the server has not answered", DSLITE, &[router, asking], Some(Off)),
        ("the router went away", DSLITE, &[soliciting], Some(Stateful)),
        ("the user says stateless", stateless, &[router, managed], Some(Stateless)),
        ("the user says stateful", stateful, &[router], Some(Stateful)),
        ("the user says off", off, &[router, managed], Some(Off)),
        ("our link-local address is being checked", DSLITE, &[router, managed, no_link_local], None),
        ("no carrier", DSLITE, &[router, managed, no_carrier], None),
        ("the end of the program", DSLITE, &[router, managed, leaving], None),
    ];
    for (name, text, says, expected) in rows {
        assert_eq!(wanted(text, says).dhcpv6, *expected, "{name}");
    }
}

/// The tunnel: which technology from which end; and whose far end is used.
#[test]
fn which_tunnel() {
    fn end_lost(facts: &mut Facts) {
        facts.addresses.insert(ip("2001:db8:1::2"), Progress::Duplicate);
    }
    type Row<'a> = (&'a str, &'a str, &'a [Says], Option<(&'a str, &'a str)>, Option<&'a str>);
    let rows: &[Row] = &[
        ("nothing to carry", DSLITE, &[router, advertised, ready], None, None),
        ("its end is being checked", DSLITE, &[router, advertised, informed, option64], None, Some("dslite")),
        (
            "its end is ready",
            DSLITE,
            &[router, advertised, informed, option64, ready],
            Some(("dslite", "2001:db8:1::2")),
            Some("dslite"),
        ),
        (
            "the one before goes on while the next one's end is being checked",
            FEED,
            &[router, advertised, carried],
            Some(("dslite", "2001:db8:1::2")),
            Some("dslite"),
        ),
        (
            "the next one is taken up when its end is ready",
            FEED,
            &[router, advertised, carried, feed_ready],
            Some(("ipip", "2001:db8:1::feed")),
            Some("ipip"),
        ),
        (
            "the one before goes on while the next one's table is being made",
            FEED,
            &[router, advertised, carried, feed_ready, no_table],
            Some(("dslite", "2001:db8:1::2")),
            Some("dslite"),
        ),
        ("its table is being made", FEED, &[router, advertised, feed_ready, no_table], None, Some("ipip")),
        ("the one before has lost its end", FEED, &[router, advertised, carried, end_lost], None, Some("ipip")),
        ("the server takes it back", DSLITE, &[router, advertised, informed, carried], None, None),
    ];
    for (name, text, says, tunnel, far) in rows {
        let desired = wanted(text, says);
        let carried = desired.softwire.map(|carried| (carried.plan.technology.name(), carried.local));
        assert_eq!(carried, tunnel.map(|(technology, end)| (technology, ip(end))), "{name}");
        assert_eq!(desired.far.map(|plan| plan.technology.name()), *far, "{name}");
    }
}

/// The provisioning server is asked if it is its turn, from an address that may be used, at resolvers that are known.
#[test]
fn whether_the_provisioning_server_is_asked() {
    fn switched_on(facts: &mut Facts) {
        offered_elsewhere(facts);
    }
    let auto = "[service]\nkind = 'auto'\n";
    let rows: &[(&str, &[Says], bool)] = &[
        ("DHCPv6 has its turn first", &[router, managed, soliciting, advertised, rdnss, ready], false),
        ("no resolver", &[router, advertised, ready], false),
        ("our address is being checked", &[router, advertised, rdnss], false),
        ("nothing is missing", &[router, advertised, rdnss, ready], true),
        ("the end of the program", &[router, advertised, rdnss, ready, leaving], false),
    ];
    for (name, says, expected) in rows {
        let says: Vec<Says> = [*says, &[switched_on]].concat();
        let place = hb46pp::Place { prefix: ip("2001:db8:1::"), from: ip("2001:db8:1::2") };
        assert_eq!(wanted(auto, &says).provisioning, expected.then_some(place), "{name}");
    }
}

#[test]
fn routers_and_the_way_to_the_far_end_are_kept() {
    let desired = wanted(DSLITE, &[router, advertised, found]);
    assert_eq!(desired.router, Some(ip("fe80::1")));
    assert!(desired.kept.contains(&ip("fe80::1").into()));
}

/// A far end is lacking only if it has names alone, and none of them resolves.
#[test]
fn a_far_end_that_is_lacking() {
    let (names, why) = wanted(DSLITE, &[router, unresolved]).lacking.unwrap();
    assert_eq!((names, why.contains("no resolver answered")), (vec!["gw.example.net".to_string()], true));
    fn with_addresses(facts: &mut Facts) {
        facts.far.plan = Some(ipip(Local::Own));
    }
    assert_eq!(wanted(DSLITE, &[router, unresolved, with_addresses]).lacking, None);
}
