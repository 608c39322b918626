//! `[[rule]]` from outside: what it says to packets, and everything that may be wrong with it.

use std::time::Duration;

use hikyaku_config::Config;
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::rules::{Action, Address, Rate, Rule, Zone};

use super::config_file::{DSLITE, problems};

/// Line 8 is the first one behind it.
const LINE: &str = "\
[wan]
link = 'netmap:ix0'
[lan]
link = 'netmap:ix1'
ipv4 = '192.168.1.1/24'
[service]
kind = 'map-e'
";

/// A rule with these lines more than its name.
fn rule(name: &str, more: &str) -> String {
    format!("[[rule]]\nname = '{name}'\n{more}\n")
}

#[test]
fn what_a_rule_says_to_packets() {
    let text = rule(
        "web",
        "from = 'wan'\nto = 'lan'\nprotocol = ['tcp', 'udp']\nports = [443, '8000-8010,22']\nsource-ports = '1024-65535'\n\
         source = ['203.0.113.0/24', '2001:db8:1::/48']\ndestination = '::/64+::10'\naction = 'accept'\nrate = '30/min'\n\
         burst = 9\nlog = true",
    );
    let ping_out =
        "from = 'lan'\nto = 'wan'\nprotocol = ['icmp', 'icmpv6']\nicmp-types = 'echo-request'\naction = 'reject'";
    let config = Config::parse("f", &format!("{LINE}{text}{}", rule("ping", ping_out))).unwrap();
    let lan = Zone::Lan(LanId(0));
    let web = Rule {
        name: "web".into(),
        from: Zone::Wan,
        to: lan,
        protocols: vec![6, 17],
        source_ports: vec![(1024, 65535)],
        ports: vec![(443, 443), (8000, 8010), (22, 22)],
        source: vec![Address::V4("203.0.113.0/24".parse().unwrap()), Address::V6("2001:db8:1::/48".parse().unwrap())],
        destination: vec![Address::InterfaceId(0x10)],
        action: Action::Accept,
        rate: Some(Rate { interval: Duration::from_secs(2), burst: 9 }),
        log: true,
    };
    let ping = Rule {
        name: "ping".into(),
        from: lan,
        to: Zone::Wan,
        protocols: vec![1, 58],
        ports: vec![(8, 8), (128, 128)],
        source_ports: vec![],
        source: vec![],
        destination: vec![],
        action: Action::Reject,
        rate: None,
        log: false,
    };
    assert_eq!(config.rules.list, [web, ping]);
    let summary = config.summary().to_string();
    assert!(
        summary.contains(
            "\n  rules    1 accept, 1 reject; a change is of sessions that begin after it, those that are there go on\n"
        ),
        "{summary}"
    );
    assert!(!Config::parse("f", LINE).unwrap().summary().to_string().contains("rules "));
    let config = Config::parse("f", &format!("{DSLITE}{}", rule("ping", ping_out))).unwrap();
    let summary = config.summary().to_string();
    assert!(summary.contains("1 reject; ") && summary.contains(" go on, but for IPv4 by DS-Lite\n"), "{summary}");
}

/// All at once, each with its line and what to do.
#[test]
fn what_is_wrong_is_told_at_once() {
    let text = [
        rule("a", "from = 'lan'\nto = 'wan'\nports = 80\naction = 'drop'\nrate = '1/s'"),
        rule("a", "from = 'lan'\nto = 'lan'\naction = 'dorp'"),
        rule("b c", "from = 'wan'\nto = 'lan'\naction = 'accept'\nprotocol = 'http'\nsource = '192.0.2.1/24'"),
        rule("d", "from = 'wan'\nto = 'wan'\naction = 'accept'\nburst = 3\nsource = '::/64+::10'"),
    ];
    let said = problems(&format!("{LINE}{}", text.concat()));
    let expected = [
        "f:12: rule a: ports: only tcp, udp, udp-lite, sctp and dccp have ports: say which as protocol, and no other",
        "f:14: rule a: rate: it is of what is accepted; leave it out, or say action = \"accept\"",
        "f:19: action = 'dorp' is none of: accept, drop, reject, did you mean 'drop'?",
        "f:21: name = 'b c': a name has 1 to 32 letters, digits, `-`, `_` and `.`",
        "f:25: protocol = 'http': give one of tcp, udp, icmp, icmpv6, esp, ah, gre, sctp, dccp, udp-lite, or a number from 0 to 255",
        "f:26: source = '192.0.2.1/24': it has bits behind its length; give 192.0.2.0/24",
        "f:30: rule d: to: from and to are one side, and what stays on one side does not come by here; give the other",
        "f:32: rule d: burst: there is no rate that it could be of; give one",
        "f:33: rule d: source: '::/64+::10' is a host of the LAN, which is on the other side of this rule",
    ];
    assert_eq!(said, expected);
}

#[test]
fn rules_that_no_packet_can_fit() {
    let one = |more: &str| {
        let text = rule("x", more);
        problems(&format!("{LINE}{text}"))
    };
    let out = "from = 'lan'\nto = 'wan'\naction = 'drop'\n";
    for (more, says) in [
        ("source = '192.168.1.9'\ndestination = '2001:db8::/32'", "are not of one family; no packet is of two"),
        ("protocol = 'icmpv6'\ndestination = '192.0.2.0/24'", "are not of one family"),
        ("source = '192.168.2.9'", "'192.168.2.9' is none of the LAN 192.168.1.1/24; give a host by its address there"),
        ("protocol = ['icmp', 'tcp']\nicmp-types = 8", "only icmp and icmpv6 have types"),
        ("protocol = 'esp'\nsource-ports = 500", "have ports: say which as protocol"),
        ("destination = '::/64+::1'", "is a host of the LAN, which is on the other side"),
    ] {
        let said = one(&format!("{out}{more}"));
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
    }
    assert!(one("from = 'wan'\naction = 'drop'")[0].ends_with("[rule] lacks to = SIDE"));
    // What strangers begin by IPv4 ends in the AFTR.
    let text = rule("x", "from = 'wan'\nto = 'lan'\naction = 'accept'\ndestination = '192.168.1.9'");
    assert!(problems(&format!("{DSLITE}{text}"))[0].contains("the AFTR decides, with DS-Lite"), "{text}");
    let both = rule("x", "from = 'wan'\nto = 'lan'\naction = 'drop'");
    assert!(Config::parse("f", &format!("{DSLITE}{both}")).is_ok(), "it is of IPv6 there");
}

#[test]
fn rules_that_an_earlier_one_covers_are_warned_of() {
    let any = |name, more: &str| rule(name, &format!("from = 'lan'\nto = 'wan'\naction = 'drop'\n{more}"));
    let covered = [
        any("mail", "protocol = 'tcp'\nports = '25,465-587'"),
        any("host", "source = ['192.168.1.0/25', '::/64+::10']"),
        any("smtp", "protocol = 'tcp'\nports = '25,500'\ndestination = '192.0.2.0/24'"),
        any("smtp-udp", "protocol = ['tcp', 'udp']\nports = '25'"),
        any("small", "source = '192.168.1.64/26'\nprotocol = 'udp'"),
        any("large", "source = '192.168.1.0/24'"),
        any("id", "source = '::/64+::10'\ndestination = '2001:db8::/32'"),
    ];
    let config = Config::parse("f", &format!("{LINE}{}", covered.concat())).unwrap();
    let said: Vec<String> = config.warnings().into_iter().filter(|warning| warning.contains("[[rule]]")).collect();
    let says = |rule, by| {
        format!(
            "[[rule]] {rule}: no packet comes to it, {by} before it fits all that it would; move it up, or leave it out"
        )
    };
    assert_eq!(said, [says("smtp", "mail"), says("small", "host"), says("id", "host")]);
}

#[test]
fn as_many_as_there_is_room_for() {
    let rules = |n: usize| {
        let one = |i: usize| rule(&format!("r{i}"), "from='lan'\nto='wan'\naction='drop'\nprotocol='tcp'\nports=1");
        format!("{LINE}{}", (0..n).map(one).collect::<String>())
    };
    assert!(Config::parse("f", &rules(1024)).is_ok());
    assert!(problems(&rules(1025))[0].ends_with(
        "[[rule]]: 1025 rules: there is room for 1024; put some together as prefixes or ranges, or leave some out"
    ));
}

/// Ports that are open by IPv4, as `forward` would write them.
fn forwards(config: &Config) -> Vec<String> {
    config.service.behaviour.forward.iter().map(ToString::to_string).collect()
}

/// Once for both families: what a rule accepts from outside for a host, no matter where its prefix or its outside port is.
#[test]
fn what_a_rule_accepts_from_outside_is_open_by_ipv4_too() {
    let inward = |name, more: &str| rule(name, &format!("from = 'wan'\nto = 'lan'\naction = 'accept'\n{more}"));
    let web = inward(
        "web",
        "protocol = ['tcp', 'udp']\nports = '443,8000-8010'\ndestination = ['192.168.1.10', '::/64+::10']",
    );
    let office = "protocol = 'tcp'\nports = 22\nsource = ['203.0.113.0/24', '2001:db8:1::/48']\n\
                  destination = ['192.168.1.10', '::/64+::10']";
    let config = Config::parse("f", &format!("{LINE}{web}{}", inward("office", office))).unwrap();
    assert_eq!(
        forwards(&config),
        [
            "tcp/443=192.168.1.10:443",
            "tcp/8000-8010=192.168.1.10:8000",
            "udp/443=192.168.1.10:443",
            "udp/8000-8010=192.168.1.10:8000",
            "tcp/22=192.168.1.10:22",
        ]
    );
    // Of 22 the mapping is for whom the rule fits.
    let [.., last] = &config.rules.list[..] else { panic!("there are rules") };
    assert_eq!((config.rules.list.len(), config.rules.closing), (3, 1));
    assert_eq!(
        (last.from, last.action, &last.protocols[..], &last.ports[..]),
        (Zone::Wan, Action::Drop, &[6][..], &[(22, 22)][..])
    );
    assert_eq!(
        (&last.source[..], &last.destination[..]),
        (&[][..], &[Address::V4("192.168.1.10/32".parse().unwrap())][..])
    );
    let summary = config.summary().to_string();
    assert!(summary.contains("\n  rules    2 accept; "), "{summary}");
    assert!(!config.warnings().iter().any(|warning| warning.contains("[[rule]]")), "{:?}", config.warnings());
    // A second rule of the same port opens nothing more, and the port stays for both.
    let home = inward("home", "protocol = 'tcp'\nports = 22\nsource = '198.51.100.9'\ndestination = '192.168.1.10'");
    let config = Config::parse("f", &format!("{LINE}{}{home}", inward("office", office))).unwrap();
    assert_eq!((forwards(&config), config.rules.closing), (vec!["tcp/22=192.168.1.10:22".into()], 1));
    assert_eq!(config.rules.list[1].name, "home");
}

#[test]
fn what_forward_leads_to_a_host_is_opened_by_no_rule() {
    let inward = |more: &str| rule("x", &format!("from = 'wan'\nto = 'lan'\naction = 'accept'\n{more}"));
    let to_host = "protocol = 'tcp'\nports = '80-90'\ndestination = '192.168.1.10'";
    let with = |forward: &str, rules: &str| Config::parse("f", &format!("{LINE}forward = '{forward}'\n{rules}"));
    let config = with("tcp/8080-8081=192.168.1.10:82", &inward(to_host)).unwrap();
    let expected = ["tcp/8080-8081=192.168.1.10:82", "tcp/80-81=192.168.1.10:80", "tcp/84-90=192.168.1.10:84"];
    assert_eq!(forwards(&config), expected);
    assert_eq!(forwards(&with("all=192.168.1.10", &inward(to_host)).unwrap()), ["all=192.168.1.10"]);
    // Nor by one that may be about more than ports of one host, or refuses.
    for more in [
        "destination = '192.168.1.10'",
        "protocol = 'tcp'\ndestination = '192.168.1.10'",
        "protocol = ['tcp', 'sctp']\nports = 80\ndestination = '192.168.1.10'",
        "protocol = 'tcp'\nports = 80\ndestination = '192.168.1.0/28'",
        "protocol = 'tcp'\nports = 80\ndestination = ['192.168.1.10', '192.168.1.11']",
        "protocol = 'tcp'\nports = 80\ndestination = '::/64+::10'",
        "protocol = 'tcp'\nports = 80",
    ] {
        let config = Config::parse("f", &format!("{LINE}{}", inward(more))).unwrap();
        assert_eq!((forwards(&config), config.rules.closing), (vec![], 0), "{more}");
    }
    let refuses = inward(to_host).replace("accept", "reject");
    assert_eq!(forwards(&Config::parse("f", &format!("{LINE}{refuses}")).unwrap()), [""; 0]);
    // What the AFTR lets in is its own.
    let both = inward("protocol = 'tcp'\nports = 80\ndestination = ['192.168.1.10', '::/64+::10']");
    assert_eq!(forwards(&Config::parse("f", &format!("{DSLITE}{both}")).unwrap()), [""; 0]);
}

#[test]
fn what_rules_cannot_open_is_told() {
    let inward = |name, more: &str| {
        rule(name, &format!("from = 'wan'\nto = 'lan'\naction = 'accept'\nprotocol = 'tcp'\nports = 443\n{more}"))
    };
    let two = [inward("a", "destination = '192.168.1.10'"), inward("b", "destination = '192.168.1.11'")].concat();
    let expected = "rule b: by IPv4 it opens tcp/443=192.168.1.11:443, and outside port 443 is forwarded twice; leave one of the two out";
    let said = problems(&format!("{LINE}{two}"));
    assert!(said.len() == 1 && said[0].ends_with(expected), "{said:?}");
    let said = problems(&format!("{LINE}{}", inward("a", "destination = '192.168.1.1'")));
    assert!(
        said.len() == 1 && said[0].ends_with("destination = '192.168.1.1': it is no host of the LAN 192.168.1.1/24"),
        "{said:?}"
    );
}
