//! Tables of lines, and what hosts of the LAN have on each.

use super::super::choose::{Choice, choose};
use super::super::fixtures::*;
use super::*;

fn prefix(text: &str) -> Prefix6 {
    text.parse().unwrap()
}

/// RFC 7084 L-2, WPD-5: which /64 is the LAN's.
#[test]
fn rfc7084_l_2_which_subnet() {
    // Delegated, subnet-id, our end of the tunnel, the LAN's.
    type Row = (&'static str, Option<u16>, Option<&'static str>, Option<&'static str>);
    let rows: &[Row] = &[
        ("2001:db8:0:aa00::/56", None, None, Some("2001:db8:0:aa01::/64")),
        ("2001:db8:0:aa00::/56", None, Some("2001:db8:0:aa00::feed"), Some("2001:db8:0:aa01::/64")),
        ("2001:db8:0:aa00::/56", None, Some("2001:db8:0:aa01::feed"), Some("2001:db8:0:aa02::/64")),
        ("2001:db8:0:aa00::/56", Some(0), Some("2001:db8:0:aa00::feed"), Some("2001:db8:0:aa00::/64")),
        ("2001:db8:0:aa00::/56", Some(255), None, Some("2001:db8:0:aaff::/64")),
        ("2001:db8:0:aa00::/56", Some(256), None, None),
        ("2001:db8:0:aa10::/60", None, Some("2001:db8:0:aa00::feed"), Some("2001:db8:0:aa11::/64")),
        ("2001:db8:0:aa10::/60", Some(15), None, Some("2001:db8:0:aa1f::/64")),
        ("2001:db8:0:aa10::/60", Some(16), None, None),
        ("2001:db8:0:aa14::/62", None, None, Some("2001:db8:0:aa15::/64")),
        ("2001:db8:0:aa14::/62", Some(4), None, None),
        ("2001:db8:0:aa16::/63", None, Some("2001:db8:0:aa17::1"), Some("2001:db8:0:aa17::/64")),
        ("2001:db8:0:aa14::/64", None, Some("2001:db8:0:aa14::1"), Some("2001:db8:0:aa14::/64")),
        ("2001:db8:0:aa14::/64", Some(0), None, Some("2001:db8:0:aa14::/64")),
        ("2001:db8:0:aa14::/64", Some(1), None, None),
        ("2001:db8::/48", Some(65535), None, Some("2001:db8:0:ffff::/64")),
        ("2001:db8::/32", Some(65535), None, Some("2001:db8:0:ffff::/64")),
        ("2001:db8:0:aa14:8000::/65", None, None, None),
        ("2001:db8::1/128", Some(0), None, None),
    ];
    for &(delegated, id, end, expected) in rows {
        let subnet = match id {
            Some(id) => numbered(prefix(delegated), id),
            None => subnets(prefix(delegated), &[(0, None)], end.map(ip))[0],
        };
        assert_eq!(subnet, expected.map(prefix), "{delegated} {id:?} {end:?}");
        assert!(subnet.is_none_or(|subnet| prefix(delegated).contains(subnet.address())), "{delegated}");
    }
}

/// RFC 7084 L-4: nobody outside answers who has a unique local address alone.
#[test]
fn rfc7084_l_4_unique_local_prefixes_are_no_way_out() {
    let is_way_out = |says: &[Says]| lan("", says).advertised.unwrap().is_default_router;
    let unique_local: Says = |facts| facts.dhcpv6.prefixes[0].what = "fd00:db8::/56".parse().unwrap();
    assert!(is_way_out(&[router, delegated]));
    assert!(!is_way_out(&[router, delegated, unique_local]));
}

fn lan(text: &str, says: &[Says]) -> LanIpv6 {
    let (config, facts) = (config(&format!("{AUTO}{text}")), facts(says));
    choose(&config, &facts, &Choice::default()).lans.remove(0)
}

const AUTO: &str = "[service]\nkind = 'auto'\n";

#[test]
fn what_hosts_are_told_on_each_line() {
    type Expected = (&'static [(&'static str, Option<u64>)], bool, usize);
    let rows: &[(&str, &str, &[Says], Option<Expected>)] = &[
        // what hosts have: prefixes with their preferred lifetime, whether there is a way out, how many resolvers
        ("nothing is known", "", &[], Some((&[], false, 0))),
        ("a router without a prefix", "", &[router], Some((&[], false, 0))),
        (
            "an advertised /64, and nothing to ask for",
            "",
            &[router, advertised],
            Some((&[("2001:db8:1::/64", Some(1800))], true, 1)),
        ),
        ("a server that is asked", "", &[router, advertised, managed, soliciting], Some((&[], false, 0))),
        (
            "and does not answer",
            "",
            &[router, advertised, managed, soliciting, in_vain],
            Some((&[("2001:db8:1::/64", Some(1800))], true, 1)),
        ),
        (
            "a delegated prefix beside it",
            "",
            &[router, advertised, delegated],
            Some((&[("2001:db8:2:1::/64", Some(1800))], true, 1)),
        ),
        ("hosts make no addresses in it", "", &[router, on_link_only], Some((&[], false, 0))),
        ("a closed network", "", &[router, closed], Some((&[], false, 0))),
        ("a delegated prefix", "", &[router, delegated, dns], Some((&[("2001:db8:2:1::/64", Some(1800))], true, 1))),
        (
            "its resolver, where we are none",
            "[lan.dns]\nenabled = false\n",
            &[router, delegated, dns],
            Some((&[("2001:db8:2:1::/64", Some(1800))], true, 1)),
        ),
        (
            "and nobody is",
            "[lan.dns]\nenabled = false\n",
            &[router, delegated],
            Some((&[("2001:db8:2:1::/64", Some(1800))], true, 0)),
        ),
        ("the router is gone", "", &[delegated], Some((&[("2001:db8:2:1::/64", Some(1800))], false, 1))),
        (
            "another one, and the old one on its way out",
            "",
            &[router, delegated_anew],
            Some((&[("2001:db8:6:1::/64", Some(1800)), ("2001:db8:2:1::/64", Some(0))], true, 1)),
        ),
        (
            "resolvers of the advertisement",
            "[lan.dns]\nenabled = false\n",
            &[router, rdnss, delegated],
            Some((&[("2001:db8:2:1::/64", Some(1800))], true, 1)),
        ),
        ("switched off", "[lan.ipv6]\nmode = 'off'\n", &[router, delegated], None),
        ("nothing watches the way", "", &[router, delegated, unfiltered], None),
        ("at the end of the program", "", &[router, delegated, leaving], None),
        (
            "resolvers of the user's",
            "[lan.ipv6]\ndns = ['2001:db8::1', '2001:db8::2']\n",
            &[router, delegated, dns],
            Some((&[("2001:db8:2:1::/64", Some(1800))], true, 2)),
        ),
        (
            "a number of the user's",
            "[lan.ipv6]\nsubnet-id = 77\n",
            &[router, delegated],
            Some((&[("2001:db8:2:4d::/64", Some(1800))], true, 1)),
        ),
    ];
    for (name, text, says, expected) in rows {
        let advertised = lan(text, says).advertised;
        let told = advertised.as_ref().map(|advertised| {
            let prefixes: Vec<_> = advertised.prefixes.iter().map(|p| (p.prefix.to_string(), p.preferred)).collect();
            (prefixes, advertised.is_default_router, advertised.resolvers.len())
        });
        let expected = expected.map(|(prefixes, way, resolvers)| {
            let prefixes: Vec<_> = prefixes.iter().map(|&(text, preferred)| (text.to_string(), preferred)).collect();
            (prefixes, way, resolvers)
        });
        assert_eq!(told, expected, "{name}");
    }
}

/// A cable that was out for a moment has the server asked again, and takes nothing from hosts.
#[test]
fn a_shared_prefix_stays_while_the_server_is_asked_again() {
    let config = config(AUTO);
    let before = choose(&config, &facts(&[router, advertised, managed, soliciting, in_vain]), &Choice::default());
    assert_eq!(before.lans[0].shared, Some(prefix("2001:db8:1::/64")));
    let asked = facts(&[router, advertised, managed, soliciting]);
    assert_eq!(choose(&config, &asked, &before).lans[0].shared, before.lans[0].shared);
    let other = facts(&[router, advertised_too, managed, soliciting]);
    assert_eq!(choose(&config, &other, &before).lans[0].shared, None, "another prefix waits");
    let delegated = facts(&[router, advertised, managed, delegated]);
    assert_eq!(choose(&config, &delegated, &before).lans[0].shared, None);
}

#[test]
fn a_number_that_the_line_does_not_have_is_said_and_another_taken() {
    let lan = lan("[lan.ipv6]\nsubnet-id = 256\n", &[router, delegated]);
    assert_eq!(lan.prefixes().collect::<Vec<_>>(), [prefix("2001:db8:2:1::/64")]);
    assert!(lan.unfulfilled[0].contains("2001:db8:2::/56, in which numbers end at 255"), "{:?}", lan.unfulfilled);
}

#[test]
fn rfc8200_5_a_lan_that_carries_less_than_1280_bytes_has_no_ipv6() {
    let mut config = config(AUTO);
    config.lans[0].mtu = 1279;
    let facts = facts(&[router, delegated]);
    assert_eq!(choose(&config, &facts, &Choice::default()).lans[0].advertised.clone(), None);
    assert!(config.warnings().iter().any(|warning| warning.contains("1279 is too little for IPv6")));
    config.lans[0].mtu = 1280;
    let told = choose(&config, &facts, &Choice::default()).lans[0].advertised.clone();
    assert_eq!(told.map(|advertised| advertised.mtu), Some(1280));
}

#[test]
fn the_domain_is_that_of_ipv6_or_else_of_dhcpv4_or_else_of_dns() {
    let domains = |text: &str| lan(text, &[router, delegated]).advertised.unwrap().domains;
    assert_eq!(domains("[lan.dhcpv4]\ndomain = 'four.example'\n"), ["four.example"]);
    assert_eq!(domains("[lan.dhcpv4]\ndomain = 'four.example'\n[lan.ipv6]\ndomain = 'six.example'\n"), ["six.example"]);
    assert_eq!(domains("[lan.dns]\ndomain = 'names.example'\n"), ["names.example"]);
    assert_eq!(domains(""), ["home.arpa"], "RFC 8375");
    assert!(domains("[lan.dns]\nenabled = false\n").is_empty());
}

/// RFC 7084 L-10, L-11: by both ways the same, and an address that every host can write down where there is one.
#[test]
fn hosts_are_told_that_we_are_their_resolver() {
    let told = |says: &[Says]| {
        let lan = lan("", says);
        let resolvers = lan.advertised.unwrap().resolvers;
        assert_eq!(lan.served.unwrap().parameters.resolvers, resolvers);
        resolvers
    };
    let addressed: Says = |facts| _ = facts.lans[0].addresses.insert(ip("2001:db8:2:1::1"), Progress::Ready);
    let checked: Says = |facts| _ = facts.lans[0].addresses.insert(ip("2001:db8:2:1::1"), Progress::Tentative);
    let elsewhere: Says = |facts| _ = facts.lans[0].addresses.insert(ip("2001:db8:7:1::1"), Progress::Ready);
    assert_eq!(told(&[router, delegated]), [ip("fe80::1")]);
    assert_eq!(told(&[router, delegated, addressed, dns]), [ip("fe80::1"), ip("2001:db8:2:1::1")]);
    assert_eq!(told(&[router, delegated, checked]), [ip("fe80::1")], "it may be somebody else's");
    assert_eq!(told(&[router, delegated, elsewhere]), [ip("fe80::1")]);
    // Who writes down an address of a prefix that ends has none tomorrow.
    assert_eq!(told(&[router, delegated_anew, addressed]), [ip("fe80::1")]);
}

/// RFC 7084 L-7, L-8, L-9, RFC 9818: what there is by DHCPv6, and what advertisements say of it.
#[test]
fn what_is_served_follows_from_the_configuration() {
    // [lan.ipv6]; the line; M, O, A; prefixes with addresses, prefixes to delegate parts of.
    type Row = (&'static str, &'static [Says], (bool, bool, bool), Option<(usize, usize)>);
    let rows: &[Row] = &[
        ("", &[router, delegated], (false, true, true), Some((0, 0))),
        ("dhcpv6 = 'off'", &[router, delegated], (false, false, true), None),
        ("dhcpv6 = 'stateful'", &[router, delegated], (true, true, true), Some((1, 0))),
        ("dhcpv6 = 'stateful'\nslaac = false", &[router, delegated], (true, true, false), Some((1, 0))),
        ("dhcpv6 = 'stateful'", &[router], (false, true, true), Some((0, 0))),
        ("dhcpv6 = 'stateful'\ndelegate = 60", &[router, advertised], (true, true, true), Some((1, 0))),
        ("delegate = 60", &[router, delegated], (false, true, true), Some((0, 1))),
        ("delegate = 60", &[router, delegated_anew], (false, true, true), Some((0, 2))),
        ("dhcpv6 = 'stateful'", &[closed, router], (false, true, true), Some((0, 0))),
    ];
    for (text, says, flags, leased) in rows {
        let lan = lan(&format!("[lan.ipv6]\n{text}\n"), says);
        let advertised = lan.advertised.unwrap();
        assert_eq!((advertised.is_managed, advertised.has_information, advertised.is_autonomous), *flags, "{text}");
        let served = lan.served.map(|served| (served.on_link.len(), served.delegable.len()));
        assert_eq!(served, *leased, "{text}");
    }
    let small = lan("[lan.ipv6]\ndelegate = 52\n", &[router, delegated]);
    assert!(small.unfulfilled.iter().any(|line| line.contains("delegate = 52")), "{:?}", small.unfulfilled);
    let served = lan("[lan.ipv6]\ndelegate = 60\n", &[router, delegated]).served.unwrap();
    let taken: Vec<String> = served.delegable[0].taken.iter().map(ToString::to_string).collect();
    assert!(taken.contains(&"2001:db8:2::/64".into()) && taken.contains(&"2001:db8:2:1::/64".into()), "{taken:?}");
}

/// RFC 8415 18.2.10.1: a /56 that became a /60 is there beside it until its lease ends, or is taken back.
#[test]
fn a_delegation_and_a_part_of_it_are_one_to_hosts() {
    let part: Says = |facts| {
        let what = "2001:db8:2::/60".parse().unwrap();
        facts.dhcpv6.prefixes.insert(0, Fact { what, preferred: Some(900), valid: Some(7200) });
    };
    let taken_back: Says = |facts| facts.dhcpv6.prefixes[1].preferred = Some(0);
    let rows: [(&[Says], u64, &str); 2] = [
        (&[router, delegated, part], 1800, "2001:db8:2::/56"),
        (&[router, delegated, part, taken_back], 900, "2001:db8:2::/60"),
    ];
    for (says, preferred, delegable) in rows {
        let lan = lan(
            "[lan.ipv6]
dhcpv6 = 'stateful'
delegate = 62
",
            says,
        );
        let prefix = Prefix { prefix: prefix("2001:db8:2:1::/64"), preferred: Some(preferred), valid: Some(7200) };
        assert_eq!(lan.advertised.unwrap().prefixes, [prefix]);
        let served = lan.served.unwrap();
        assert_eq!(served.on_link.len(), 1);
        assert_eq!(served.delegable.iter().map(|part| part.prefix.to_string()).collect::<Vec<_>>(), [delegable]);
    }
}

/// RFC 7084 L-2: each LAN's number is its place, whatever others have, and no two have the same.
#[test]
fn rfc7084_l_2_which_subnets_of_several_lans() {
    // Delegated, places with said numbers, our end of the tunnel, the numbers that they have.
    type Row = (&'static str, &'static [(usize, Option<u16>)], Option<&'static str>, &'static [Option<u16>]);
    let rows: &[Row] = &[
        ("2001:db8:0:aa00::/56", &[(0, None), (1, None), (2, None)], None, &[Some(1), Some(2), Some(3)]),
        ("2001:db8:0:aa00::/56", &[(0, None), (2, None)], None, &[Some(1), Some(3)]),
        ("2001:db8:0:aa00::/56", &[(0, Some(2)), (1, None), (2, None)], None, &[Some(2), Some(4), Some(3)]),
        ("2001:db8:0:aa00::/56", &[(0, None), (1, Some(1))], None, &[Some(3), Some(1)]),
        ("2001:db8:0:aa00::/56", &[(0, None), (1, Some(256))], None, &[Some(1), Some(2)]),
        ("2001:db8:0:aa00::/56", &[(0, None), (1, None)], Some("2001:db8:0:aa01::feed"), &[Some(3), Some(2)]),
        (
            "2001:db8:0:aa10::/62",
            &[(0, None), (1, None), (2, None), (3, None)],
            None,
            &[Some(1), Some(2), Some(3), None],
        ),
        (
            "2001:db8:0:aa10::/62",
            &[(0, None), (1, None), (2, Some(0)), (3, None)],
            None,
            &[Some(1), Some(2), Some(0), None],
        ),
        ("2001:db8:0:aa16::/63", &[(0, None), (1, None)], Some("2001:db8:0:aa17::1"), &[Some(1), None]),
        ("2001:db8:0:aa16::/64", &[(0, None), (1, None)], None, &[Some(0), None]),
        ("2001:db8:0:aa16::/64", &[(1, None), (2, Some(0))], None, &[Some(0), None]),
        ("2001:db8:0:aa14:8000::/65", &[(0, None), (1, None)], None, &[None, None]),
    ];
    for &(delegated, lans, end, expected) in rows {
        let delegated = prefix(delegated);
        let expected: Vec<_> = expected.iter().map(|id| id.and_then(|id| numbered(delegated, id))).collect();
        assert_eq!(subnets(delegated, lans, end.map(ip)), expected, "{delegated} {lans:?} {end:?}");
    }
}

proptest::proptest! {
    /// No two LANs have the same, and a said number that there is counts.
    #[test]
    fn no_two_lans_have_the_same_subnet(
        len in 48u8..=65, ids in proptest::collection::vec(proptest::option::of(0u16..40), 1..7), end: u16
    ) {
        let delegated = Prefix6::new(ip("2001:db8::"), len).unwrap();
        let mut seen = std::collections::HashSet::new();
        // Two with one number are refused before.
        let lans: Vec<_> = ids.into_iter().map(|id| id.filter(|&id| seen.insert(id))).enumerate().collect();
        let end = Ipv6Addr::new(0x2001, 0xdb8, 0, end, 0, 0, 0, 1);
        let all = subnets(delegated, &lans, Some(end));
        let given: std::collections::HashSet<_> = all.iter().flatten().collect();
        proptest::prop_assert_eq!(given.len(), all.iter().flatten().count());
        for (subnet, &(_, id)) in all.iter().zip(&lans) {
            let said = id.and_then(|id| numbered(delegated, id)).filter(|_| len < 64);
            proptest::prop_assert!(said.is_none() || *subnet == said);
            proptest::prop_assert!(subnet.is_none_or(|subnet| delegated.contains(subnet.address())));
        }
    }
}
