//! Several LANs in a configuration: what is read, what is refused, what is said of them.

use hikyaku_config::Config;

const REST: &str = "[wan]\nlink = 'netmap:wan0'\n[service]\nkind = 'dslite'\naftr = '2001:db8::1'\n";
const HOME: &str = "[[lan]]\nlink = 'netmap:lan0'\nipv4 = '192.168.1.1/24'\n";
const GUESTS: &str = "[[lan]]\nname = 'guests'\nlink = 'netmap:lan1'\nipv4 = '192.168.2.1/24'\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse("r.toml", text)
        .map_err(|problems| problems.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn each_has_a_name_and_sections_of_its_own() {
    let third = "[[lan]]\nlink = 'netmap:lan2'\nipv4 = '10.0.0.1/8'\nmtu = 1400\n";
    let inside = "[lan.dhcpv4]\nlease-time = 600\n[lan.dns]\nenabled = false\n[lan.ipv6]\nsubnet-id = 9\n";
    let config = parse(&format!("{REST}{HOME}{GUESTS}{inside}{third}")).unwrap();
    let names: Vec<_> = config.lans.iter().map(|lan| lan.name.as_str()).collect();
    assert_eq!(names, ["lan", "guests", "lan3"]);
    let [home, guests, third] = &config.lans[..] else { panic!("{config:?}") };
    assert_eq!((home.mtu, guests.mtu, third.mtu), (1500, 1500, 1400));
    assert!(home.dns.is_some() && guests.dns.is_none() && third.dns.is_some());
    assert_eq!((home.ipv6.subnet_id, guests.ipv6.subnet_id), (None, Some(9)));
    let lease_time = |lan: &hikyaku_config::Lan| lan.dhcpv4.as_ref().unwrap().lease_time.as_secs();
    assert_eq!((lease_time(home), lease_time(guests)), (43_200, 600));
    let links: Vec<String> = config.links().iter().map(ToString::to_string).collect();
    assert_eq!(links, ["netmap:lan0", "netmap:wan0", "netmap:lan1", "netmap:lan2"]);
    let summary = config.summary().to_string();
    for says in ["  LAN      lan: netmap:lan0, 192.168.1.1/24\n", "  LAN      guests: netmap:lan1, 192.168.2.1/24\n"] {
        assert!(summary.contains(says), "{summary}");
    }
    // Of one nothing is said that tells it from others.
    let one = parse(&format!("{REST}{}", HOME.replace("[[lan]]", "[lan]"))).unwrap();
    assert!(!one.summary().to_string().contains("  LAN "), "{}", one.summary());
    assert_eq!(one.lans[0].name, "lan");
}

#[test]
fn what_does_not_go_together_is_said() {
    let more = |lan: &str| format!("{REST}{HOME}[[lan]]\n{lan}");
    let of = |link: &str, ipv4: &str| format!("link = 'netmap:{link}'\nipv4 = '{ipv4}'\n");
    let rows = [
        (
            more(&of("lan1", "192.168.1.9/24")),
            "r.toml:11: ipv4 = '192.168.1.9/24': the LAN lan is 192.168.1.1/24, and the two overlap",
        ),
        (more(&of("lan1", "192.168.0.1/16")), "the two overlap"),
        (more(&of("lan0", "192.168.2.1/24")), "r.toml:10: link = 'netmap:lan0': the LAN lan has netmap:lan0"),
        (more(&of("wan0", "192.168.2.1/24")), "r.toml:10: link = 'netmap:wan0': [wan] has netmap:wan0"),
        (
            more(&format!("name = 'lan'\n{}", of("lan1", "192.168.2.1/24"))),
            "r.toml:10: name = 'lan': another LAN has it already",
        ),
        (
            more(&format!("name = 'wan'\n{}", of("lan1", "192.168.2.1/24"))),
            "name = 'wan': that is what others are called",
        ),
        (more(&format!("name = '2nd'\n{}", of("lan1", "192.168.2.1/24"))), "a letter, then letters, digits"),
        (more(&format!("name = 'a/b'\n{}", of("lan1", "192.168.2.1/24"))), "a letter, then letters, digits"),
        (more("link = 'netmap:lan1'\n"), "[lan] lacks ipv4"),
        (format!("{REST}[lan]\n"), "[lan] lacks link"),
        (REST.into(), "[lan] lacks link = LINK, or --lan"),
        (
            format!("{REST}{HOME}[lan.ipv6]\nsubnet-id = 3\n{GUESTS}[lan.ipv6]\nsubnet-id = 3\n"),
            "[lan.ipv6] subnet-id = 3: the LAN lan has it already",
        ),
        (
            format!("{REST}{HOME}[lan.ipv6]\ndelegate = 60\n{GUESTS}[lan.ipv6]\ndelegate = 62\n"),
            "[lan.ipv6] delegate = 62: the LAN lan has it, too",
        ),
        (
            (0..8).fold(REST.to_string(), |text, n| {
                text + "[[lan]]\n" + &of(&format!("l{n}"), &format!("10.0.{n}.1/24"))
            }),
            "[[lan]]: give at most 7",
        ),
        (
            format!("{REST}{HOME}{GUESTS}[[rule]]\nname = 'r'\nfrom = 'gests'\nto = 'wan'\naction = 'drop'\n"),
            "from = 'gests' is none of: lan, guests, wan, did you mean 'guests'?",
        ),
        (
            format!("{REST}{HOME}{GUESTS}[[rule]]\nname = 'r'\nfrom = 'guests'\nto = 'guests'\naction = 'accept'\n"),
            "from and to are one side",
        ),
        (
            format!(
                "{REST}{HOME}{GUESTS}[[rule]]\nname = 'r'\nfrom = 'guests'\nto = 'wan'\nsource = '192.168.1.9'\naction = 'drop'\n"
            ),
            "'192.168.1.9' is none of the LAN 192.168.2.1/24",
        ),
    ];
    for (text, says) in rows {
        let problems = parse(&text).unwrap_err();
        assert!(problems.contains(says), "{says:?} is not in {problems:?}");
    }
}

/// A static mapping, and what a rule opens, is of the LAN that the host is in.
#[test]
fn what_leads_to_a_host_leads_to_its_lan() {
    let napt = "[wan]\nlink = 'netmap:wan0'\n[service]\nkind = 'ipip'\nipv4 = '192.0.2.1'\nbr = '2001:db8::1'\n";
    let rule = |to: &str, host: &str| {
        format!(
            "[[rule]]\nname = 'web'\nfrom = 'wan'\nto = '{to}'\nprotocol = 'tcp'\nports = 443\ndestination = '{host}'\naction = 'accept'\n"
        )
    };
    let with = |service: &str, rules: &str| parse(&format!("{napt}{service}{HOME}{GUESTS}{rules}"));
    let config = with("forward = 'tcp/80=192.168.2.9'\n", &rule("guests", "192.168.2.9")).unwrap();
    let forwards: Vec<String> = config.service.behaviour.forward.iter().map(ToString::to_string).collect();
    assert_eq!(forwards, ["tcp/80=192.168.2.9:80", "tcp/443=192.168.2.9:443"]);
    let networks = || config.lans.iter().map(|lan| lan.ipv4);
    assert_eq!(hikyaku_config::lan_of(networks(), [192, 168, 2, 9].into()).map(|lan| lan.0), Some(1));
    assert_eq!(hikyaku_config::lan_of(networks(), [192, 168, 2, 1].into()), None, "our own");
    let problems = with("forward = 'tcp/80=192.168.3.9'\n", "").unwrap_err();
    assert!(problems.contains("is no host of the LAN 192.168.1.1/24 or 192.168.2.1/24"), "{problems}");
    let problems = with("", &rule("lan", "192.168.2.9")).unwrap_err();
    assert!(problems.contains("'192.168.2.9' is none of the LAN 192.168.1.1/24"), "{problems}");
}

/// Warnings of one of several say which.
#[test]
fn warnings_name_their_lan() {
    let text = format!("{REST}{HOME}{GUESTS}[lan.dns]\nenabled = false\n");
    let warnings = parse(&text).unwrap().warnings();
    assert!(warnings.iter().any(|w| w.starts_with("LAN guests: DHCPv4 tells hosts no resolver")), "{warnings:?}");
    assert!(!warnings.iter().any(|w| w.starts_with("LAN lan: ")), "{warnings:?}");
}

/// What is behind routers: read, and refused where it cannot be.
#[test]
fn routes_lead_to_routers_of_a_lan() {
    let route =
        |prefix: &str, via: &str, more: &str| format!("[[route]]\nprefix = '{prefix}'\nvia = '{via}'\n{more}\n");
    let with = |lans: &str, routes: &str| parse(&format!("{REST}{lans}{routes}"));
    let one = with(HOME, &route("2001:db8:9::/48", "fe80::9", "")).unwrap();
    let [only] = one.routes[..] else { panic!("{:?}", one.routes) };
    assert_eq!(only.v6(), Some(("2001:db8:9::/48".parse().unwrap(), "fe80::9".parse().unwrap())));
    assert_eq!((only.v4(), only.lan.0), (None, 0));
    let two = format!("{HOME}{GUESTS}");
    let second = with(&two, &route("fd00:9::/48", "fd00::9", "lan = 'guests'")).unwrap();
    assert_eq!(second.routes[0].lan.0, 1);
    let rows = [
        (route("2001:db8:9::/48", "fe80::9", ""), "r.toml:15: via = 'fe80::9': say which LAN it is on"),
        (
            route("2001:db8:9::/48", "fe80::9", "lan = 'gests'"),
            "lan = 'gests' is none of: lan, guests, did you mean 'guests'?",
        ),
        (route("2001:db8:9::1/48", "fe80::9", "lan = 'lan'"), "it has bits behind its length; give 2001:db8:9::/48"),
        (route("2001:db8:9::", "fe80::9", "lan = 'lan'"), "write it as 10.9.0.0/16 or 2001:db8:9::/48"),
        (route("::/0", "fe80::9", "lan = 'lan'"), "goes to the line"),
        (route("ff00::/16", "fe80::9", "lan = 'lan'"), "nobody is there"),
        (route("2000::/3", "fe80::9", "lan = 'lan'"), "nobody is there"),
        (route("2001:db8:9::/48", "192.168.1.9", ""), "of IPv4 nothing goes to routers behind yet"),
        (route("10.9.0.0/16", "fe80::9", "lan = 'lan'"), "it is not of 10.9.0.0/16's family"),
        (route("10.9.0.0/16", "192.168.1.9", ""), "of IPv4 nothing goes to routers behind yet"),
        (
            route("2001:db8:9::/48", "fe80::9", "lan = 'lan'") + &route("2001:db8:9::/48", "fe80::8", "lan = 'lan'"),
            "another route has it already",
        ),
        (
            (0..65).map(|n| route(&format!("2001:db8:{n:x}::/48"), "fe80::9", "lan = 'lan'")).collect(),
            "[[route]]: give at most 64",
        ),
    ];
    for (text, says) in rows {
        let problems = with(&two, &text).unwrap_err();
        assert!(problems.contains(says), "{says:?} is not in {problems:?}");
    }
}
