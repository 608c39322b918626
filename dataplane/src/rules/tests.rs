//! The compiled rules against the list itself, read in order.

use std::time::Duration;

use hikyaku_net::{Addr4, Addr6, Prefix4, Prefix6, Time, protocol};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::sessions::LanId;
use crate::verdict::Reason;

const LAN: Zone = Zone::Lan(LanId(0));

fn any_rule() -> Rule {
    Rule {
        name: "r".into(),
        from: LAN,
        to: Zone::Wan,
        protocols: vec![],
        source_ports: vec![],
        ports: vec![],
        source: vec![],
        destination: vec![],
        action: Action::Accept,
        rate: None,
        log: false,
    }
}

/// Whether a rule fits, as its fields read.
fn fits(rule: &Rule, opening: &Opening) -> bool {
    let one_of = |list: &[(u16, u16)], port: u16| {
        list.is_empty() || list.iter().any(|&(first, last)| (first..=last).contains(&port))
    };
    let addressed = |list: &[Address], zone: Zone, end: usize| {
        let is = |address: &Address| match (address, opening.ends) {
            (Address::V4(prefix), Ends::V4(ends)) => prefix.contains(ends[end]),
            (Address::V6(prefix), Ends::V6(ends)) => prefix.contains(ends[end].into()),
            (Address::InterfaceId(id), Ends::V6(ends)) => zone != Zone::Wan && ends[end].0[8..] == id.to_be_bytes(),
            _ => false,
        };
        list.is_empty() || list.iter().any(is)
    };
    (rule.from, rule.to) == (opening.from, opening.to)
        && (rule.protocols.is_empty() || rule.protocols.contains(&opening.protocol))
        && match opening.ports {
            Some([from, to]) => one_of(&rule.source_ports, from) && one_of(&rule.ports, to),
            None => rule.action == Action::Accept || rule.source_ports.is_empty() && rule.ports.is_empty(),
        }
        && addressed(&rule.source, rule.from, 0)
        && addressed(&rule.destination, rule.to, 1)
}

fn zone() -> impl Strategy<Value = Zone> {
    select(vec![Zone::Wan, LAN, Zone::Lan(LanId(1)), Zone::Lan(LanId(255))])
}

/// Values that often meet, the ends of what there is among them.
fn port() -> impl Strategy<Value = u16> {
    prop_oneof![select(vec![0u16, 1, 63, 64, 65534, 65535]), 0u16..8]
}

fn address4() -> impl Strategy<Value = u32> {
    prop_oneof![select(vec![0, 1, u32::MAX, u32::MAX - 1]), 0x0a00_0000u32..0x0a00_0010]
}

fn address6() -> impl Strategy<Value = u128> {
    const LOW: u128 = 0x2001_0db8 << 96;
    prop_oneof![select(vec![0, 1, u128::MAX, u128::MAX - 1]), LOW..LOW + 8, (LOW | 1 << 64)..(LOW | 1 << 64) + 8]
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        (address4(), select(vec![0u8, 1, 8, 28, 30, 31, 32]))
            .prop_map(|(bits, len)| Address::V4(Prefix4::new(bits.into(), len).unwrap())),
        (address6(), select(vec![0u8, 1, 32, 64, 125, 127, 128]))
            .prop_map(|(bits, len)| Address::V6(Prefix6::new(bits.into(), len).unwrap())),
        prop_oneof![0u64..8, Just(u64::MAX)].prop_map(Address::InterfaceId),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let few = |most| prop::collection::vec((port(), port()).prop_map(|(a, b)| (a.min(b), a.max(b))), 0..most);
    let addresses = || prop_oneof![2 => Just(vec![]), 3 => prop::collection::vec(address(), 0..4)];
    let protocols = prop::collection::vec(select(vec![0, protocol::TCP, protocol::UDP, protocol::ICMPV6, 255]), 0..3);
    let action = select(vec![Action::Accept, Action::Drop, Action::Reject]);
    (zone(), zone(), protocols, few(3), few(4), addresses(), addresses(), action).prop_map(
        |(from, to, protocols, source_ports, ports, source, destination, action)| Rule {
            from,
            to,
            protocols,
            source_ports,
            ports,
            source,
            destination,
            action,
            ..any_rule()
        },
    )
}

fn opening() -> impl Strategy<Value = Opening> {
    let ends = prop_oneof![
        [address4(), address4()].prop_map(|ends| Ends::V4(ends.map(|bits| Addr4(bits.to_be_bytes())))),
        [address6(), address6()].prop_map(|ends| Ends::V6(ends.map(|bits| Addr6(bits.to_be_bytes())))),
    ];
    let protocol = select(vec![0, protocol::TCP, protocol::UDP, protocol::ICMPV6, 254, 255]);
    let ports = prop::option::weighted(0.8, [port(), port()]);
    (zone(), zone(), protocol, ends, ports).prop_map(|(from, to, protocol, ends, ports)| Opening {
        from,
        to,
        protocol,
        ends,
        ports,
    })
}

proptest! {
    #[test]
    fn the_first_rule_that_fits_decides(
        rules in prop::collection::vec(rule(), 0..150), openings in prop::collection::vec(opening(), 1..60)
    ) {
        let compiled = Rules::new(rules.clone(), None).unwrap();
        for opening in openings {
            let expected = rules.iter().position(|rule| fits(rule, &opening));
            prop_assert_eq!(compiled.first(&opening), expected, "{:?}", opening);
        }
    }

    /// A rule is found wherever it stands, and whatever the others want.
    #[test]
    fn of_many_rules_each_is_found(at in 0usize..MAX_RULES) {
        let one = |port: usize| Rule { ports: vec![(port as u16, port as u16)], ..any_rule() };
        let compiled = Rules::new((0..MAX_RULES).map(one).collect(), None).unwrap();
        prop_assert_eq!(compiled.first(&asked(at as u16)), Some(at));
        prop_assert_eq!(compiled.first(&asked(MAX_RULES as u16)), None);
        prop_assert!(compiled.bytes() < 512 << 10, "{}", compiled.bytes());
    }
}

fn asked(port: u16) -> Opening {
    let ends = Ends::V4([Addr4([192, 168, 1, 2]), Addr4([198, 51, 100, 1])]);
    Opening { from: LAN, to: Zone::Wan, protocol: protocol::TCP, ends, ports: Some([40000, port]) }
}

#[test]
fn what_a_rule_says_is_counted_and_outlives_a_change_of_the_others() {
    let ports = |name: &str, port, action| Rule { name: name.into(), ports: vec![(port, port)], action, ..any_rule() };
    let list = vec![ports("a", 1, Action::Accept), ports("d", 2, Action::Drop), ports("r", 3, Action::Reject)];
    let rules = Rules::new(list.clone(), None).unwrap();
    let otherwise = Err(Reason::Ipv6Filtered);
    let ask = |rules: &Rules, port| rules.ask(&asked(port), Time(0), otherwise);
    let said = [1, 2, 3, 4].map(|port| ask(&rules, port));
    assert_eq!(said, [Ok(()), Err(Reason::RuleDrop), Err(Reason::RuleReject), otherwise]);
    let counted = |rules: &Rules| rules.all().map(|(_, n)| [n.accepted, n.refused, n.limited]).collect::<Vec<_>>();
    assert_eq!(counted(&rules), [[1, 0, 0], [0, 1, 0], [0, 1, 0]]);
    // Another place is no change; another action is.
    let changed = vec![list[2].clone(), ports("d", 2, Action::Accept), list[0].clone()];
    let changed = Rules::new(changed, Some(&rules)).unwrap();
    assert_eq!(counted(&changed), [[0, 1, 0], [0, 0, 0], [1, 0, 0]]);
    assert_eq!(ask(&changed, 1), Ok(()));
    assert_eq!(counted(&rules)[0], [2, 0, 0], "also by a worker that has the old list still");
}

#[test]
fn a_rate_lets_a_burst_in_and_then_so_many() {
    let rate = Some(Rate { interval: Duration::from_millis(100), burst: 5 });
    let rules = Rules::new(vec![Rule { rate, ..any_rule() }], None).unwrap();
    let passed = |now| (0..20).filter(|_| rules.ask(&asked(1), Time(now), Ok(())).is_ok()).count();
    assert_eq!(passed(1_000_000_000), 5);
    assert_eq!(passed(1_099_999_999), 0);
    assert_eq!(passed(1_300_000_000), 3);
    assert_eq!(passed(60_000_000_000), 5, "no more than the burst is saved up");
    let (_, counted) = rules.all().next().unwrap();
    assert_eq!((counted.accepted, counted.limited, counted.refused), (13, 67, 0));
    assert_eq!(rules.ask(&asked(1), Time(60_000_000_000), Ok(())), Err(Reason::RuleRate));
}

#[test]
fn rules_without_end_are_refused_in_words() {
    let refused = |list: Vec<Rule>| Rules::new(list, None).unwrap_err().to_string();
    let many = vec![any_rule(); MAX_RULES + 1];
    assert!(refused(many).starts_with("1025 rules: there is room for 1024; "));
    let ports = Rule { ports: vec![(1, 1); MAX_VALUES / 2 + 1], ..any_rule() };
    assert!(refused(vec![ports.clone(), ports]).starts_with("4098 ranges of ports and types in all rules: "));
    let address = Address::InterfaceId(1);
    let addresses = Rule { destination: vec![address; MAX_VALUES + 1], ..any_rule() };
    assert!(refused(vec![addresses]).contains("destination addresses"));
    // As large as it gets.
    let distinct = |n: u32| Address::V6(Prefix6::new(std::net::Ipv6Addr::from_bits(u128::from(n) << 1), 128).unwrap());
    let full = |n: u32| Rule {
        source: (0..4).map(|i| distinct(n * 4 + i)).collect(),
        destination: (0..4).map(|i| distinct(n * 4 + i)).collect(),
        ports: (0..4).map(|i| ((n * 8 + i * 2) as u16, (n * 8 + i * 2) as u16)).collect(),
        source_ports: (0..4).map(|i| ((n * 8 + i * 2) as u16, (n * 8 + i * 2) as u16)).collect(),
        ..any_rule()
    };
    let rules = Rules::new((0..MAX_RULES as u32).map(full).collect(), None).unwrap();
    assert!(rules.bytes() < 9 << 20, "{}", rules.bytes());
}
