//! Tables of lines, and what is chosen on each.

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_protocols::service::{Name, Said};

use super::super::facts::LineId;
use super::super::fixtures::*;
use super::*;

const AUTO: &str = "[service]\nkind = 'auto'\n";
const IPIP: &str = "[service]\nkind = 'ipip'\nbr = '2001:db8:f::1'\nipv4 = '198.51.100.1'\n";

fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// The same facts lead to the same choice: where nothing happens nothing is chosen anew.
fn settled(config: &Config, facts: &Facts, previous: &Choice) -> Choice {
    let choice = choose(config, facts, previous);
    assert_eq!(choose(config, facts, &choice), choice);
    choice
}

/// Prefix, own address, source, resolvers.
#[test]
fn what_of_the_line_is_used() {
    type Expected = (Option<&'static str>, Option<&'static str>, Option<&'static str>, &'static [&'static str]);
    let rows: &[(&str, &str, &[Says], Expected)] = &[
        ("nothing is known", AUTO, &[], (None, None, None, &[])),
        ("a router without a prefix", AUTO, &[router], (None, None, None, &[])),
        (
            "an advertised prefix whose address is being checked",
            AUTO,
            &[router, advertised],
            (Some("2001:db8:1::"), Some("2001:db8:1::2"), None, &[]),
        ),
        (
            "its address is ready",
            AUTO,
            &[router, advertised, ready],
            (Some("2001:db8:1::"), Some("2001:db8:1::2"), Some("2001:db8:1::2"), &[]),
        ),
        ("hosts make no addresses in it", AUTO, &[router, on_link_only, ready], (None, None, None, &[])),
        (
            "a deprecated one, for want of another",
            AUTO,
            &[router, deprecated, ready],
            (Some("2001:db8:9::"), Some("2001:db8:9::2"), Some("2001:db8:9::2"), &[]),
        ),
        (
            "a delegated prefix alone",
            AUTO,
            &[router, delegated, ready],
            (Some("2001:db8:2::"), Some("2001:db8:2::2"), Some("2001:db8:2::2"), &[]),
        ),
        (
            "the link's own before a delegated one",
            AUTO,
            &[router, delegated, advertised, ready],
            (Some("2001:db8:1::"), Some("2001:db8:1::2"), Some("2001:db8:1::2"), &[]),
        ),
        (
            "a leased address before one that is made in the delegated prefix",
            AUTO,
            &[router, delegated, leased, ready],
            (Some("2001:db8:2::"), Some("2001:db8:3::5"), Some("2001:db8:3::5"), &[]),
        ),
        (
            "a leased address and no prefix",
            AUTO,
            &[router, leased, ready],
            (None, Some("2001:db8:3::5"), Some("2001:db8:3::5"), &[]),
        ),
        (
            "the tunnel's end, while our own address is being checked",
            AUTO,
            &[router, carried_elsewhere, advertised],
            (Some("2001:db8:1::"), Some("2001:db8:1::2"), Some("2001:db8:77::2"), &[]),
        ),
        ("the router's resolver", AUTO, &[router, rdnss], (None, None, None, &["2001:db8:1::53"])),
        ("DHCPv6's before the router's", AUTO, &[router, rdnss, dns], (None, None, None, &["2001:db8:2::53"])),
        (
            "the user's before all",
            "resolvers = ['2001:db8::53']\n[service]\nkind = 'auto'\n",
            &[router, rdnss, dns],
            (None, None, None, &["2001:db8::53"]),
        ),
    ];
    for (name, text, says, (prefix, own, source, resolvers)) in rows {
        let uplink = settled(&config(text), &facts(says), &Choice::default()).uplink;
        let expected = (prefix.map(ip), own.map(ip), source.map(ip), ips(resolvers));
        assert_eq!((uplink.prefix, uplink.own, uplink.source, uplink.resolvers), expected, "{name}");
    }
}

/// Which prefix carries the tunnel and which router its packets go to: the rows of the table in `prefix`, with the lines of
/// the field that they come from. In use is 2001:db8:1::/64 where something is carried.
#[test]
fn which_prefix_and_which_router() {
    const A: &str = "fe80::1";
    const B: &str = "fe80::b";
    type Row<'a> = (&'a str, &'a [Says], Option<&'a str>, Option<&'a str>);
    let rows: &[Row] = &[
        // Out: what cannot reach the far end (RFC 6724 5 rule 2 and 6, RFC 4193).
        ("a unique local prefix alone", &[router, unique_local], Some("fd00:1::"), Some(A)),
        ("and a global one", &[router, unique_local, advertised], Some("2001:db8:1::"), Some(A)),
        ("the other way round", &[router, advertised, unique_local], Some("2001:db8:1::"), Some(A)),
        ("and one that is deprecated", &[router, unique_local, deprecated], Some("2001:db8:9::"), Some(A)),
        ("and one that is delegated", &[router, unique_local, delegated], Some("2001:db8:2::"), Some(A)),
        ("a unique local far end", &[router, advertised, unique_local, local_far_end], Some("fd00:1::"), Some(A)),
        (
            "of a station that is no router: a smart home's",
            &[router, advertised, carried, unique_local, of_a_stranger],
            Some("2001:db8:1::"),
            Some(A),
        ),
        // Out: what no router takes, while there is something that one does (RFC 8028, RFC 6724 5 rule 5.5).
        (
            "a stranger's prefix, newer",
            &[router, advertised_too, of_a_stranger, advertised],
            Some("2001:db8:1::"),
            Some(A),
        ),
        ("a stranger's prefix alone", &[router, advertised, of_a_stranger], Some("2001:db8:1::"), Some(A)),
        (
            "a stranger's, and the router's is deprecated",
            &[router, deprecated, advertised, of_a_stranger],
            Some("2001:db8:9::"),
            Some(A),
        ),
        ("no router at all", &[advertised], Some("2001:db8:1::"), None),
        (
            "the router is dead, in use or not, and another has a prefix",
            &[router, second_router, first_is_dead, advertised, carried, advertised_too, of_second_router],
            Some("2001:db8:4::"),
            Some(B),
        ),
        (
            "the router is dead, and nobody has another prefix",
            &[router, second_router, first_is_dead, advertised, carried],
            Some("2001:db8:1::"),
            Some(B),
        ),
        // In use stays.
        (
            "a second router, as good as the first",
            &[router, second_router, advertised_too, of_second_router, advertised, carried],
            Some("2001:db8:1::"),
            Some(A),
        ),
        (
            "a second router that wants to be preferred",
            &[router, preferred_router, advertised_too, of_second_router, advertised, carried],
            Some("2001:db8:1::"),
            Some(A),
        ),
        (
            "missed now and then: two daemons of one router",
            &[router, advertised, carried, first_is_missed, advertised_too],
            Some("2001:db8:1::"),
            Some(A),
        ),
        (
            "until its router forgot it (RFC 8978)",
            &[router, advertised, carried, first_is_withdrawn, advertised_too],
            Some("2001:db8:4::"),
            Some(A),
        ),
        (
            "early, when the far end is silent too",
            &[router, advertised, carried, first_is_missed, advertised_too, silent],
            Some("2001:db8:4::"),
            Some(A),
        ),
        (
            "a far end that is silent is no reason alone",
            &[router, advertised, carried, advertised_too, silent],
            Some("2001:db8:1::"),
            Some(A),
        ),
        (
            "until it is deprecated (RFC 4862 5.5.4)",
            &[router, advertised, carried, first_is_deprecated, advertised_too],
            Some("2001:db8:4::"),
            Some(A),
        ),
        ("forgotten, and there is no other", &[router, advertised, first_is_withdrawn], Some("2001:db8:1::"), Some(A)),
        // Among the rest (RFC 4191 3, RFC 6724).
        (
            "the preference of a router counts for its prefixes",
            &[router, preferred_router, advertised, advertised_too, of_second_router],
            Some("2001:db8:4::"),
            Some(B),
        ),
        (
            "two routers, each with a prefix: what the line names first, and its router",
            &[router, second_router, advertised_too, of_second_router, advertised],
            Some("2001:db8:4::"),
            Some(B),
        ),
        ("preferred before deprecated, delegated", &[router, delegated_anew], Some("2001:db8:6::"), Some(A)),
        (
            "a delegated one through the router that wants to be preferred",
            &[router, preferred_router, delegated],
            Some("2001:db8:2::"),
            Some(B),
        ),
        (
            "a delegated one through who handed it out, if it is a router",
            &[router, preferred_router, delegated, by_the_first_router],
            Some("2001:db8:2::"),
            Some(A),
        ),
        (
            "a deprecated one of the link, and a delegated one",
            &[router, deprecated, delegated],
            Some("2001:db8:2::"),
            Some(A),
        ),
    ];
    for (name, says, prefix, router) in rows {
        let uplink = settled(&config(AUTO), &facts(says), &Choice::default()).uplink;
        assert_eq!((uplink.prefix, uplink.router), (prefix.map(ip), router.map(ip)), "{name}");
    }
}

fn names_known(facts: &mut Facts) {
    facts.names.known = Said::Said(vec![Name::Xpass]);
    facts.names.line =
        LineId { prefixes: vec!["2001:db8:1::/64".parse().unwrap()], resolvers: vec![ip("2001:db8:1::53").into()] };
}

fn names_of_another_line(facts: &mut Facts) {
    names_known(facts);
    facts.names.line.prefixes = vec!["2001:db8:77::/64".parse().unwrap()];
}

fn no_names(facts: &mut Facts) {
    names_known(facts);
    facts.names.known = Said::Said(Vec::new());
}

fn given_up(facts: &mut Facts) {
    names_known(facts);
    facts.names.unresolved = vec![("gw.example.net".into(), "no answer".into())];
}

/// What is to be carried (by its technology), and the last thing that was looked at.
#[test]
fn which_service() {
    let none = Choice::default;
    let fixed = || chosen(ipip(Local::Address(ip("2001:db8:1::feed"))));
    let dslite = || chosen(dslite());
    type Row<'a> = (&'a str, &'a str, &'a [Says], Choice, Option<&'a str>, &'a str);
    let rows: &[Row] = &[
        ("nothing is known", AUTO, &[], none(), None, "DHCPv6 option 64: no router yet"),
        (
            "a router that says that there is no server",
            AUTO,
            &[router, advertised],
            none(),
            None,
            "HB46PP: switched off; AFTR names: no resolver yet, or no address to ask it from",
        ),
        (
            "a server that has not answered",
            AUTO,
            &[router, managed, soliciting],
            none(),
            None,
            "DHCPv6 option 64: the server has not answered yet",
        ),
        (
            "a server that is not asked",
            "dhcpv6.mode = 'off'\n[service]\nkind = 'auto'\n",
            &[router, managed, advertised, rdnss, ready, no_names],
            none(),
            None,
            "AFTR names: the line's resolvers know no AFTR's name",
        ),
        ("an AFTR's name", AUTO, &[router, delegated, option64], none(), Some("dslite"), "DHCPv6 option 64: DS-Lite"),
        (
            "an offer for this prefix",
            AUTO,
            &[router, advertised, rdnss, ready, offered],
            none(),
            Some("dslite"),
            "HB46PP: DS-Lite",
        ),
        (
            "an offer for another prefix",
            AUTO,
            &[router, advertised, rdnss, ready, offered_elsewhere],
            none(),
            None,
            "HB46PP: the line's provisioning server is asked",
        ),
        (
            "an AFTR whose name the resolvers know",
            AUTO,
            &[router, advertised, rdnss, ready, names_known],
            none(),
            Some("dslite"),
            "AFTR names: DS-Lite: the line's resolvers know the AFTR of xpass",
        ),
        (
            "what the resolvers of another line knew",
            AUTO,
            &[router, advertised, rdnss, ready, names_of_another_line],
            none(),
            None,
            "AFTR names: the line's resolvers are asked which AFTR they know",
        ),
        (
            "a far end that was given up is passed over",
            AUTO,
            &[router, advertised, informed, rdnss, option64, ready, given_up],
            none(),
            Some("dslite"),
            "AFTR names: DS-Lite: the line's resolvers know the AFTR of xpass",
        ),
        ("a closed network", AUTO, &[router, closed, informed, option64], none(), None, ""),
        (
            "a closed network, and a far end that the user names",
            IPIP,
            &[router, closed],
            none(),
            Some("ipip"),
            "configuration: a fixed address",
        ),
        (
            "a server that is asked anew takes nothing back",
            AUTO,
            &[router, managed, soliciting],
            dslite(),
            Some("dslite"),
            "DHCPv6 option 64: the server has not answered yet",
        ),
        (
            "everybody says that there is nothing",
            AUTO,
            &[router, advertised, rdnss, ready, no_names],
            dslite(),
            None,
            "AFTR names: the line's resolvers know no AFTR's name",
        ),
        (
            "an end that the line still lets us have",
            AUTO,
            &[router, managed, soliciting, advertised],
            fixed(),
            Some("ipip"),
            "DHCPv6 option 64: the server has not answered yet",
        ),
        (
            "an end that was of another line",
            AUTO,
            &[router, managed, soliciting, delegated, soliciting],
            fixed(),
            None,
            "DHCPv6 option 64: the server has not answered yet",
        ),
        ("the end of the program", IPIP, &[router, advertised, ready, leaving], dslite(), None, ""),
    ];
    for (name, text, says, previous, technology, why) in rows {
        let choice = settled(&config(text), &facts(says), previous);
        let chosen = choice.plan.as_ref().map(|plan| plan.technology.name());
        assert_eq!(chosen, *technology, "{name}: {:?}", choice.decision);
        let steps: Vec<String> = choice.decision.steps.iter().map(ToString::to_string).collect();
        assert!(steps.join("; ").ends_with(why), "{name}: {steps:?}");
        assert_eq!(steps.is_empty(), why.is_empty(), "{name}: {steps:?}");
    }
}

/// A DHCPv6 server that does not answer is waited for, from the first router on, and not for ever.
#[test]
fn a_silent_server_is_waited_for_15_seconds() {
    let config = config(AUTO);
    let mut facts = facts(&[router, managed, soliciting, advertised, rdnss, ready, no_names]);
    let began = facts.now;
    let mut choice = choose(&config, &facts, &Choice::default());
    for (seconds, waits) in [(0, true), (14, true), (15, false), (100, false)] {
        facts.now = began + Duration::from_secs(seconds);
        choice = choose(&config, &facts, &choice);
        assert_eq!(choice.uplink.silent_from, Some(began + Duration::from_secs(15)));
        assert_eq!(choice.decision.steps.len(), if waits { 1 } else { 4 }, "after {seconds} s");
    }
    informed(&mut facts);
    assert_eq!(choose(&config, &facts, &choice).uplink.silent_from, None);
}

/// Names that were given up are asked for as long as the line says them.
#[test]
fn names_that_were_given_up() {
    let rows: &[(&str, &[Says], &[&str])] = &[
        ("the server says it still", &[informed, option64, given_up], &["gw.example.net"]),
        ("the server says it no more", &[informed, given_up], &[]),
        ("another line", &[informed, option64, given_up, names_of_another_line], &[]),
    ];
    for (name, says, expected) in rows {
        let says: Vec<Says> = [&[router, advertised, rdnss, ready], *says].concat();
        assert_eq!(settled(&config(AUTO), &facts(&says), &Choice::default()).given_up, *expected, "{name}");
    }
}

/// Where the border router's operator is told that we are: the tunnel's end, if at all.
#[test]
fn where_we_are() {
    fn no_carrier(facts: &mut Facts) {
        facts.link_up = false;
    }
    fn end_taken(facts: &mut Facts) {
        facts.taken.insert(ip("2001:db8:1::2"), MAC);
    }
    let rows: &[(&str, &[Says], Option<&str>)] = &[
        ("no tunnel yet", &[router, advertised, ready], None),
        ("a tunnel", &[router, advertised, ready, carried], Some("2001:db8:1::2")),
        ("no router to ask by", &[advertised, ready, carried], None),
        ("no carrier", &[router, advertised, ready, carried, no_carrier], None),
        ("half of the way to another prefix", &[router, advertised, carried_elsewhere], Some("2001:db8:5::2")),
        (
            "the end of the other prefix is somebody's: there is no way",
            &[router, advertised, carried_elsewhere, end_taken, ready],
            Some("2001:db8:77::2"),
        ),
    ];
    let before = notification::Place { ce: ip("2001:db8:5::2"), wan: ip("2001:db8:5::2"), ipv4: None };
    for (name, says, expected) in rows {
        let previous = Choice { place: Some(before), ..Choice::default() };
        let choice = settled(&config(IPIP), &facts(says), &previous);
        assert_eq!(choice.place.map(|place| place.ce), expected.map(ip), "{name}");
    }
}
