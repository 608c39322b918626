//! Lines that behave, and lines that do not.

use hikyaku_net::checksum::Sum;
use proptest::prelude::*;

use super::*;
use hikyaku_capture::Reader;

const ROUTER: &str = "fe80::1";
const OTHER: &str = "fe80::2";
const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn at(seconds: f64) -> Time {
    Time::default() + Duration::from_secs_f64(seconds)
}

fn option(kind: u8, data: &[u8]) -> Vec<u8> {
    assert_eq!((data.len() + 2) % 8, 0);
    [&[kind, ((data.len() + 2) / 8) as u8], data].concat()
}

fn prefix(prefix: &str, flags: u8, valid: u32, preferred: u32) -> Vec<u8> {
    let (prefix, length) = prefix.split_once('/').unwrap();
    let lifetimes = [valid.to_be_bytes(), preferred.to_be_bytes(), [0; 4]].concat();
    option(3, &[&[length.parse().unwrap(), flags][..], &lifetimes, &ip(prefix).octets()].concat())
}

const L: u8 = 0x80;
const A: u8 = 0x40;

fn rdnss(lifetime: u32, addresses: &[&str]) -> Vec<u8> {
    let addresses: Vec<_> = addresses.iter().flat_map(|a| ip(a).octets()).collect();
    option(25, &[&[0, 0][..], &lifetime.to_be_bytes(), &addresses].concat())
}

/// An advertisement with these flags and lifetime.
fn ra(router: &str, flags: u8, lifetime: u16, options: &[Vec<u8>]) -> Vec<u8> {
    let [high, low] = lifetime.to_be_bytes();
    let fixed = [134, 0, 0, 0, 64, flags, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    packet(ip(router), &[&fixed[..], &options.concat()].concat())
}

fn packet(src: Ipv6Addr, icmp: &[u8]) -> Vec<u8> {
    let dst = ip("ff02::1");
    let len = (icmp.len() as u16).to_be_bytes();
    let mut bytes = [&[0x60, 0, 0, 0, len[0], len[1], 58, 255][..], &src.octets(), &dst.octets(), icmp].concat();
    repair(&mut bytes);
    bytes
}

fn repair(packet: &mut [u8]) {
    packet[42..44].fill(0);
    let sum = Sum::new().bytes(&packet[8..40]).number(packet.len() as u16 - 40).number(58).bytes(&packet[40..]);
    packet[42..44].copy_from_slice(&sum.checksum().0);
}

fn line_with(interface_id: InterfaceId) -> Slaac {
    Slaac::new(Config { mac: MAC, mtu: 1500, interface_id })
}

fn line() -> Slaac {
    line_with(InterfaceId::Token("::feed".parse().unwrap()))
}

fn drain(line: &mut Slaac, now: Time) -> Vec<Output> {
    std::iter::from_fn(|| line.drive(now)).collect()
}

/// All events until `until`, as text, polling when the machine wants it; and how many solicitations.
fn run(line: &mut Slaac, until: Time) -> (Vec<String>, usize) {
    let (mut events, mut sent) = (Vec::new(), 0);
    loop {
        let now = line.poll_timeout().filter(|&t| t <= until);
        for output in drain(line, now.unwrap_or(until).max(line.settled)) {
            match output {
                Output::Event(event) => events.push(event.to_string()),
                Output::Send(packet) => {
                    assert_eq!((packet[40], packet[7]), (133, 255));
                    sent += 1;
                }
                Output::Changed | Output::Heard(..) => {}
            }
        }
        if now.is_none() {
            return (events, sent);
        }
    }
}

fn addresses(line: &Slaac, now: Time) -> Vec<(String, bool)> {
    line.facts(now).addresses.iter().map(|a| (a.address.to_string(), a.deprecated)).collect()
}

#[test]
fn advertisement_of_dnsmasq() {
    let frames = Reader::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcap-fixtures/noise.pcapng")).unwrap();
    let parsed: Vec<_> = frames.filter_map(|f| Advertisement::parse(f.unwrap().bytes.get(14..)?).ok()).collect();
    let expected = Advertisement {
        router: ip("fe80::ff:fe00:101"),
        hop_limit: Some(64),
        managed: false,
        other: false,
        preference: Preference::Medium,
        lifetime: 1800,
        reachable_time: None,
        retrans_timer: None,
        mac: Some(Mac([2, 0, 0, 0, 1, 1])),
        mtu: Some(1500),
        prefixes: vec![PrefixOption {
            prefix: ip("2001:db8:1::"),
            length: 64,
            on_link: true,
            autonomous: true,
            preferred: Lifetime::Seconds(7200),
            valid: Lifetime::Seconds(7200),
        }],
        routes: vec![],
        resolvers: vec![],
        domains: vec![],
        ignored: 0,
    };
    assert_eq!(parsed, [expected.clone(), expected]);
}

/// RFC 4861 6.1.2, rule by rule.
#[test]
fn rfc4861_6_1_2_refused() {
    let good = ra(ROUTER, 0, 1800, &[]);
    assert!(Advertisement::parse(&good).is_ok());
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        repair(&mut bytes);
        Advertisement::parse(&bytes).unwrap_err()
    };
    assert_eq!(with(|b| b[7] = 254), Refusal::HopLimit(254));
    assert_eq!(with(|b| b[8..10].copy_from_slice(&[0x20, 0x01])), Refusal::Source(ip("2001::1")));
    assert_eq!(with(|b| b[41] = 1), Refusal::Code(1));
    assert_eq!(with(|b| b[40] = 133), Refusal::NotAdvertisement);
    assert_eq!(with(|b| b[6] = 17), Refusal::NotAdvertisement);
    assert_eq!(with(|b| b[0] = 0x40), Refusal::NotIpv6);
    assert_eq!(with(|b| (b[5], _) = (15, b.pop())), Refusal::Short);
    let mut damaged = good.clone();
    damaged[45] ^= 0x40;
    assert_eq!(Advertisement::parse(&damaged), Err(Refusal::Checksum));
    assert_eq!(Advertisement::parse(&good[..50]), Err(Refusal::NotIpv6));
    // Options of length zero, and behind the end, wherever they stand.
    let prefix = prefix("2001:db8::/64", L | A, 100, 50);
    for (option, at) in [(vec![3, 0, 0, 0, 0, 0, 0, 0], 48), (vec![200, 2, 0, 0, 0, 0, 0, 0], 48), (vec![1], 48)] {
        let bytes = ra(ROUTER, 0, 1800, &[prefix.clone(), option]);
        assert_eq!(Advertisement::parse(&bytes), Err(Refusal::Option(at)));
    }
    // RFC 6980 2: an atomic fragment as well.
    let mut fragment = good.clone();
    (fragment[5], fragment[6]) = (24, 44);
    fragment.splice(40..40, [58, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(Advertisement::parse(&fragment), Err(Refusal::Fragment));
}

/// RFC 4861 6.1.2: "The contents of any defined options that are not specified to be used … MUST be ignored",
/// and those that make no sense spoil nothing else.
#[test]
fn senseless_options_are_left_out_and_counted() {
    let senseless = [
        prefix("2001:db8::/64", A, 50, 100),                       // RFC 4862 5.5.3 c
        prefix("fe80::/64", L | A, 100, 50),                       // RFC 4862 5.5.3 b
        prefix("ff02::/64", L | A, 100, 50),                       // multicast
        prefix("::/0", L, 100, 50),                                // everything
        prefix("2001:db8::/129", L, 100, 50),                      // no such length
        option(3, &[0; 22]),                                       // prefix, too short
        option(5, &[0; 14]),                                       // MTU, too long
        option(1, &[2; 14]),                                       // no Ethernet address
        option(1, &[1, 0, 0, 0, 0, 0]),                            // a group address
        option(24, &[[65, 0].as_slice(), &[0; 12]].concat()),      // route, longer than its bytes
        option(24, &[[0, 0b10_000].as_slice(), &[0; 4]].concat()), // RFC 4191 2.3: reserved preference
        option(24, &[0; 30]),                                      // route, too long
        option(25, &[0; 6]),                                       // no resolver
        option(25, &[0; 14]),                                      // half a resolver
        option(31, &[0; 14]),                                      // no domain
        option(31, &[0, 0, 0, 0, 0, 9, 3, b'a', b'b', b'c', 0xc0, 6, 0, 0]), // a pointer
        option(31, &[0, 0, 0, 0, 0, 9, 1, b'a', 0, 0, 0, 0, 0, 7]), // something in the padding
        option(31, &[0, 0, 0, 0, 0, 9, 60, b'a', 0, 0, 0, 0, 0, 0]), // a label over the end
    ];
    for (i, one) in senseless.iter().enumerate() {
        let good = rdnss(9, &["2001:db8::53"]);
        let parsed = Advertisement::parse(&ra(ROUTER, 0, 1800, &[one.clone(), good])).unwrap();
        assert_eq!(parsed.ignored, 1, "option {i}");
        assert_eq!(parsed.resolvers.len(), 1);
        let nothing = (parsed.prefixes.is_empty(), parsed.routes.is_empty(), parsed.domains.is_empty());
        assert_eq!((nothing, parsed.mac, parsed.mtu), ((true, true, true), None, None), "option {i}");
    }
}

#[test]
fn rfc8106_and_rfc4191_options() {
    let domains = [&[0, 0, 0, 0, 0, 60][..], b"\x07example\x03com\0\x03lan\0", &[0; 6]].concat();
    let long = option(24, &[[64, 0b01_000, 0, 0, 0, 60].as_slice(), &ip("2001:db8:f::1").octets()[..8]].concat());
    let bytes = ra(
        ROUTER,
        0xc0 | 0b11_000,
        9000,
        &[
            rdnss(u32::MAX, &["2001:db8::53", "ff02::53", "fe80::53"]),
            option(31, &domains),
            long,
            option(77, &[0; 6]), // unknown
        ],
    );
    let parsed = Advertisement::parse(&bytes).unwrap();
    assert_eq!((parsed.managed, parsed.other, parsed.preference, parsed.lifetime), (true, true, Preference::Low, 9000));
    assert_eq!(parsed.resolvers, [(ip("2001:db8::53"), Lifetime::Forever), (ip("fe80::53"), Lifetime::Forever)]);
    let sixty = Lifetime::Seconds(60);
    assert_eq!(parsed.domains, [("example.com.".into(), sixty), ("lan.".into(), sixty)]);
    let route = RouteOption { prefix: ip("2001:db8:f::"), length: 64, preference: Preference::High, lifetime: sixty };
    assert_eq!((parsed.routes, parsed.ignored), (vec![route], 0));
}

/// RFC 7559 2, RFC 4861 6.3.7: a router that comes after half an hour is found; after that there is silence.
#[test]
fn rfc7559_late_router() {
    let mut line = line();
    assert_eq!(run(&mut line, at(100.0)), (vec![], 0));
    line.link_up(at(100.0), Some(ip("fe80::9")));
    // 4 + 8 + … + 1024 s: 9 of them within half an hour, give or take one for the tenths.
    let (events, sent) = run(&mut line, at(1900.0));
    assert!((8..=10).contains(&sent) && events.is_empty(), "{sent} {events:?}");
    // Lifetime 0 is no answer.
    line.handle_input(at(1900.0), &ra(ROUTER, 0, 0, &[prefix("2001:db8:1::/64", L | A, 7200, 3600)]));
    assert!(run(&mut line, at(4500.0)).1 >= 1);
    line.handle_input(at(4500.0), &ra(ROUTER, 0, 1800, &[]));
    assert_eq!(run(&mut line, at(5849.0)).1, 0);
    // It is asked for before its time is over, once in the way that RFC 7559 has.
    assert!((6..=9).contains(&run(&mut line, at(6299.0)).1));
    // Lost: asked for again, at once and then rarely.
    let (events, sent) = run(&mut line, at(6310.0));
    assert_eq!(events[..2], ["router fe80::1 lost: not heard for its whole lifetime", "no router is left"]);
    assert!((2..=3).contains(&sent), "{sent}");
}

#[test]
fn link_down_is_silence_and_up_asks_anew() {
    let mut line = line();
    line.link_up(at(0.0), None);
    let outputs: Vec<_> = (0..3).flat_map(|s| drain(&mut line, at(s.into()))).collect();
    let [Output::Send(packet)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(packet[8..24], [0; 16]);
    line.handle_input(at(3.0), &ra(ROUTER, 0, 1800, &[prefix("2001:db8:1::/64", L | A, 7200, 3600)]));
    run(&mut line, at(3.0));
    line.link_down(at(3.0));
    assert_eq!(run(&mut line, at(100.0)), (vec![], 0));
    assert_eq!(line.facts(at(100.0)).default_router(), Some(ip(ROUTER)));
    line.link_up(at(100.0), Some(ip("fe80::9")));
    assert_eq!(run(&mut line, at(101.0)).1, 1);
    // The address becoming ready is no link that comes up.
    line.handle_input(at(101.0), &ra(ROUTER, 0, 1800, &[]));
    line.link_up(at(102.0), Some(ip("fe80::9")));
    assert_eq!(run(&mut line, at(200.0)).1, 0);
}

#[test]
fn ngn_with_o_flag() {
    let mut line = line();
    line.link_up(at(0.0), Some(ip("fe80::9")));
    let options = [
        prefix("2409:10:1234:5600::/64", L | A, 2592000, 604800),
        rdnss(600, &["2409::53"]),
        option(5, &[0, 0, 0, 0, 5, 0xb4]),
        option(1, &[2, 0, 0, 0, 0, 1]),
    ];
    line.handle_input(at(1.0), &ra(ROUTER, 0x40, 1800, &options));
    let (events, _) = run(&mut line, at(1.0));
    assert_eq!(
        events,
        [
            "router fe80::1 found",
            "prefix 2409:10:1234:5600::/64 is new: preferred 604800 s, valid 2592000 s",
            "router fe80::1 is used",
            "the router says: resolvers and the like by DHCPv6 (O)",
            "MTU of the link 1460, was 1500",
        ]
    );
    let facts = line.facts(at(11.5));
    assert_eq!((facts.managed, facts.other, facts.mtu, facts.hop_limit), (false, true, 1460, 64));
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["routers"][0]["mac"], "02:00:00:00:00:01");
    assert_eq!(json["routers"][0]["lifetime"], 1789);
    assert_eq!(json["addresses"][0]["address"], "2409:10:1234:5600::feed");
    assert_eq!(json["rdnss"][0]["address"], "2409::53");
    assert_eq!(line.next_hop(ip("2409:10:1234:5600::7")), Some(ip("2409:10:1234:5600::7")));
    assert_eq!(line.next_hop(ip("2404:8e00::feed:100")), Some(ip(ROUTER)));
    // The same again is no news.
    line.handle_input(at(20.0), &ra(ROUTER, 0x40, 1800, &options));
    assert_eq!(drain(&mut line, at(20.0)), [Output::Heard(ip(ROUTER), Mac([2, 0, 0, 0, 0, 1]))]);
    // Nobody says anything more: resolvers, router, then the prefix end, each when it is due.
    let (events, _) = run(&mut line, at(619.0));
    assert_eq!((events, line.facts(at(619.0)).rdnss.len()), (vec![], 1));
    run(&mut line, at(620.0));
    assert_eq!(line.facts(at(620.0)).rdnss, []);
    let (events, _) = run(&mut line, at(2600000.0));
    assert_eq!(
        events,
        [
            "router fe80::1 lost: not heard for its whole lifetime",
            "no router is left",
            "prefix 2409:10:1234:5600::/64 is deprecated: valid 1987200 s more",
            "prefix 2409:10:1234:5600::/64 is gone",
        ]
    );
}

#[test]
fn renumbered_politely() {
    let mut line = line();
    let old = |valid, preferred| prefix("2001:db8:1::/64", L | A, valid, preferred);
    let new = prefix("2001:db8:2::/64", L | A, 86400, 43200);
    line.handle_input(at(0.0), &ra(ROUTER, 0, 1800, &[old(86400, 43200)]));
    run(&mut line, at(100.0));
    line.handle_input(at(100.0), &ra(ROUTER, 0, 1800, &[old(0, 0), new]));
    let (events, _) = run(&mut line, at(100.0));
    // RFC 4862 5.5.3 e 3: nobody can take an address away at once.
    assert_eq!(
        events,
        [
            "prefix 2001:db8:2::/64 is new: preferred 43200 s, valid 86400 s",
            "prefix 2001:db8:1::/64 is deprecated: valid 7200 s more",
        ]
    );
    assert_eq!(addresses(&line, at(100.0)), [("2001:db8:2::feed".into(), false), ("2001:db8:1::feed".into(), true)]);
    assert_eq!(line.facts(at(100.0)).prefixes[0].prefix, ip("2001:db8:2::"));
    // RFC 4861 6.3.4: but the prefix is off the link at once.
    assert_eq!(line.next_hop(ip("2001:db8:1::7")), Some(ip(ROUTER)));
    let (events, _) = run(&mut line, at(7300.0));
    assert!(events.contains(&"prefix 2001:db8:1::/64 is gone".to_string()), "{events:?}");
    assert_eq!(addresses(&line, at(7300.0)), [("2001:db8:2::feed".into(), false)]);
}

/// What advertisements make of two prefixes, of which the second is newer: the first one, whether it is announced.
fn first_and_standing(line: &Slaac, seconds: f64) -> (String, Announced) {
    let facts = line.facts(at(seconds));
    let old = facts.prefixes.iter().find(|p| p.prefix == ip("2001:db8:1::")).unwrap();
    (facts.prefixes[0].prefix.to_string(), old.announced)
}

fn announce(line: &mut Slaac, seconds: f64, texts: &[&str]) {
    let options: Vec<_> = texts.iter().map(|text| prefix(text, L | A, 2592000, 604800)).collect();
    line.handle_input(at(seconds), &ra(ROUTER, 0, 1800, &options));
    run(line, at(seconds));
}

const FIRST: &str = "2001:db8:1::/64";
const SECOND: &str = "2001:db8:2::/64";

/// RFC 8978: the router restarted, has another prefix, and does not know of the old one.
#[test]
fn rfc8978_flash_renumbering_and_back() {
    let mut line = line();
    for second in [0.0, 10.0, 20.0] {
        announce(&mut line, second, &[FIRST]);
    }
    for (second, expected) in [(30.0, Announced::Missed), (40.0, Announced::Missed), (49.0, Announced::Missed)] {
        announce(&mut line, second, &[SECOND]);
        assert_eq!(first_and_standing(&line, second), ("2001:db8:2::".into(), expected), "the newest, {second}");
    }
    // Three times ten seconds after it was last heard, without a further advertisement.
    assert_eq!(first_and_standing(&line, 49.9).1, Announced::Missed);
    assert_eq!(line.poll_timeout(), Some(at(50.0)));
    assert_eq!(first_and_standing(&line, 50.0).1, Announced::Withdrawn);
    announce(&mut line, 60.0, &[FIRST]);
    assert_eq!(first_and_standing(&line, 60.0).1, Announced::Yes);
}

/// Two daemons with one address, or one that spreads its options over advertisements (RFC 4861 6.2.3): radvd every three to
/// four seconds, dnsmasq every five to twenty. Neither's prefix is withdrawn at any moment.
#[test]
fn two_daemons_of_one_router_withdraw_nothing() {
    let mut line = line();
    let radvd = (0..60).map(|n| (f64::from(n) * 3.5, SECOND));
    let dnsmasq = [1.0, 6.0, 19.0, 38.0, 57.0, 62.0, 80.0, 99.0, 118.0, 138.0, 150.0, 169.0].map(|s| (s, FIRST));
    let mut all: Vec<_> = radvd.chain(dnsmasq).filter(|&(s, _)| s < 170.0).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (seconds, text) in all {
        announce(&mut line, seconds, &[text]);
        let facts = line.facts(at(seconds));
        assert!(facts.prefixes.iter().all(|p| p.announced != Announced::Withdrawn), "{seconds}: {:?}", facts.prefixes);
    }
}

/// BIRD takes a prefix back with neither flag and lifetimes of zero: by RFC 4861 6.3.4 and RFC 4862 5.5.3 a that says
/// nothing, and so the prefix is not announced either.
#[test]
fn an_option_without_flags_is_no_announcement() {
    let mut line = line();
    announce(&mut line, 0.0, &[FIRST]);
    for second in 1..20 {
        let options = [prefix(FIRST, 0, 0, 0), prefix(SECOND, L | A, 2592000, 604800)];
        line.handle_input(at(f64::from(second) * 4.0), &ra(ROUTER, 0, 1800, &options));
    }
    run(&mut line, at(77.0));
    assert_eq!(first_and_standing(&line, 77.0), ("2001:db8:2::".into(), Announced::Withdrawn));
    assert!(!line.facts(at(77.0)).prefixes[1].deprecated, "nothing was said of its lifetimes");
}

/// What the router in use says of a prefix, of resolvers, of what is on the link, no other station takes back or adds to
/// (RFC 6724 5 rule 5.5, RFC 8028 3).
#[test]
fn a_strangers_word_does_not_count_beside_the_routers() {
    let mut line = line();
    let resolver = rdnss(600, &["2001:db8::53"]);
    line.handle_input(at(0.0), &ra(ROUTER, 0, 1800, &[prefix(FIRST, L | A, 86400, 43200), resolver]));
    let stranger = [
        prefix(FIRST, L | A, 0, 0),
        prefix("2001:db8:ffff::/64", L, u32::MAX, u32::MAX),
        rdnss(u32::MAX, &["2001:db8:bad::53"]),
        rdnss(0, &["2001:db8::53"]),
    ];
    for second in 1..5 {
        line.handle_input(at(f64::from(second)), &ra(OTHER, 0, 0, &stranger));
    }
    run(&mut line, at(10.0));
    let facts = line.facts(at(10.0));
    let of_router = facts.prefixes.iter().find(|p| p.prefix == ip("2001:db8:1::")).unwrap();
    assert_eq!((of_router.routers[0], of_router.deprecated), (ip(ROUTER), false));
    assert_eq!(of_router.valid, Lifetime::Seconds(86390));
    assert_eq!(facts.rdnss.iter().map(|r| r.address).collect::<Vec<_>>(), [ip("2001:db8::53")]);
    assert_eq!(line.next_hop(ip("2001:db8:ffff::1")), Some(ip(ROUTER)));
    // Once the router is gone, what others say is all there is.
    line.handle_input(at(20.0), &ra(ROUTER, 0, 0, &[]));
    run(&mut line, at(700.0));
    assert_eq!(line.facts(at(700.0)).rdnss[0].address, ip("2001:db8:bad::53"));
}

#[test]
fn stable_addresses_step_aside_three_times_and_tokens_never() {
    let stable = InterfaceId::Stable { secret: [7; 32], interface: "wan".into() };
    let advertisement = ra(ROUTER, 0, 1800, &[prefix("2001:db8:1::/64", L | A, 7200, 3600)]);
    let mut line = line_with(stable);
    line.handle_input(at(0.0), &advertisement);
    let mut seen = std::collections::HashSet::new();
    for second in 0..4 {
        run(&mut line, at(f64::from(second * 10)));
        let address = line.facts(at(f64::from(second * 10))).addresses[0].address;
        assert!(seen.insert(address));
        line.duplicate(at(f64::from(second * 10)), address);
        assert_eq!(line.facts(at(f64::from(second * 10))).addresses, []);
    }
    let (events, _) = run(&mut line, at(50.0));
    assert_eq!(line.facts(at(50.0)).addresses, []);
    assert!(
        events.iter().any(|e| e.ends_with("given up; find who has it, or choose another interface id")),
        "{events:?}"
    );
    // The next advertisement does not bring it back.
    line.handle_input(at(60.0), &advertisement);
    assert_eq!(line.facts(at(60.0)).addresses, []);

    let mut line = super::tests::line();
    line.handle_input(at(0.0), &advertisement);
    line.duplicate(at(1.0), ip("2001:db8:1::feed"));
    run(&mut line, at(10.0));
    assert_eq!(line.facts(at(10.0)).addresses, []);
    // What is not ours changes nothing.
    line.duplicate(at(11.0), ip("2001:db8:1::beef"));
    assert_eq!(drain(&mut line, at(11.0)), []);
}

#[test]
fn rfc4862_only_64_bits_make_addresses() {
    let mut line = line();
    line.handle_input(at(0.0), &ra(ROUTER, 0, 1800, &[prefix("2001:db8:1::/56", L | A, 7200, 3600)]));
    assert_eq!(line.facts(at(0.0)).addresses, []);
    assert_eq!(line.facts(at(0.0)).prefixes[0].length, 56);
    line.handle_input(at(1.0), &ra(ROUTER, 0, 1800, &[prefix("2001:db8:2::/64", A, 7200, 3600)]));
    assert_eq!(addresses(&line, at(1.0)), [("2001:db8:2::feed".into(), false)]);
    assert_eq!(line.next_hop(ip("2001:db8:2::1")), Some(ip(ROUTER)));
    assert_eq!(line.next_hop(ip("2001:db8:1:ff::1")), Some(ip("2001:db8:1:ff::1")));
}

/// RFC 4191 3.2, RFC 4861 6.3.6.
#[test]
fn two_routers() {
    let mut line = line();
    let used = |line: &Slaac, seconds| line.facts(at(seconds)).default_router().unwrap();
    line.link_up(at(0.0), Some(ip("fe80::9")));
    line.handle_input(at(1.0), &ra(ROUTER, 0, 1800, &[]));
    line.handle_input(at(1.0), &ra(OTHER, 0, 1800, &[]));
    assert_eq!(used(&line, 1.0), ip(ROUTER), "equal: the first stays");
    line.handle_input(at(2.0), &ra(OTHER, 0b01_000, 1800, &[]));
    assert_eq!(used(&line, 2.0), ip(OTHER), "preferred");
    run(&mut line, at(3.0));
    line.unreachable(at(3.0), ip(OTHER));
    assert_eq!(used(&line, 3.0), ip(ROUTER), "preferred, but dead");
    let (events, sent) = run(&mut line, at(60.0));
    assert_eq!((events, sent), (vec!["router fe80::1 is used".into()], 0));
    // Its advertisements come in: that does not say that it hears us.
    line.handle_input(at(60.0), &ra(OTHER, 0b01_000, 1800, &[]));
    assert_eq!(used(&line, 60.0), ip(ROUTER));
    line.unreachable(at(61.0), ip(ROUTER));
    assert_eq!(used(&line, 61.0), ip(OTHER), "all are dead: the one that failed longest ago");
    line.unreachable(at(62.0), ip(OTHER));
    assert_eq!(used(&line, 62.0), ip(ROUTER));
    // All dead: asked for, once per loss.
    assert!(run(&mut line, at(70.0)).1 >= 1);
    line.handle_input(at(70.0), &ra(ROUTER, 0, 1800, &[]));
    line.handle_input(at(75.0), &ra(ROUTER, 0, 1800, &[]));
    assert_eq!(run(&mut line, at(76.0)).1, 0);
    line.reachable(at(80.0), ip(ROUTER));
    assert_eq!(used(&line, 80.0), ip(ROUTER));
    run(&mut line, at(1000.0));
    line.handle_input(at(1000.0), &ra(OTHER, 0b01_000, 1800, &[]));
    assert_eq!(used(&line, 1000.0), ip(ROUTER), "dead until it answers (RFC 4861 6.3.6)");
    line.reachable(at(1000.0), ip(OTHER));
    assert_eq!(used(&line, 1000.0), ip(OTHER));
    line.set_router(at(1000.0), Some(ip(ROUTER)));
    assert_eq!(used(&line, 1000.0), ip(ROUTER), "chosen, whatever the other says of itself");
    line.unreachable(at(1000.0), ip(ROUTER));
    assert_eq!(used(&line, 1000.0), ip(OTHER), "chosen, but dead");
    line.no_router(at(1001.0), ip(OTHER));
    line.handle_input(at(1002.0), &ra(ROUTER, 0, 0, &[]));
    let (events, _) = run(&mut line, at(1002.0));
    assert_eq!(
        events[events.len() - 2..],
        ["router fe80::1 is no default router any more: it says so", "no router is left",]
    );
    assert_eq!(line.next_hop(ip("2001:db8::1")), None);
}

/// RFC 4191 3.1 and 3.2.
#[test]
fn routes() {
    let mut line = line();
    let route = |text: &str, bits: u8, lifetime: u32| {
        let (prefix, length) = text.split_once('/').unwrap();
        let head = [&[length.parse().unwrap(), bits][..], &lifetime.to_be_bytes()].concat();
        option(24, &[head, ip(prefix).octets().to_vec()].concat())
    };
    line.handle_input(at(0.0), &ra(ROUTER, 0, 1800, &[]));
    line.handle_input(at(0.0), &ra(OTHER, 0, 0, &[route("2404:8e00::/32", 0, 600)]));
    let hop = |line: &Slaac, to| line.next_hop(ip(to)).unwrap().to_string();
    assert_eq!(line.facts(at(0.0)).routers.len(), 1, "a router with routes only is no default router");
    assert_eq!(hop(&line, "2404:8e00::feed:100"), OTHER);
    assert_eq!(hop(&line, "2404:8e01::feed:100"), ROUTER);
    line.handle_input(at(2.0), &ra(OTHER, 0, 0, &[route("2404:8e00::/32", 0, 0)]));
    assert_eq!(hop(&line, "2404:8e00::feed:100"), ROUTER);
    // ::/0 overrides the header.
    line.handle_input(at(3.0), &ra(OTHER, 0b11_000, 1800, &[route("::/0", 0b01_000, 600)]));
    assert_eq!(hop(&line, "2404:8e00::feed:100"), OTHER);
    line.handle_timeout(at(604.0));
    assert_eq!(hop(&line, "2404:8e00::feed:100"), ROUTER);
}

#[test]
fn mtu_between_1280_and_the_links() {
    let mut line = line();
    for (mtu, expected) in [(1280u32, 1280), (1279, 1280), (1501, 1280), (u32::MAX, 1280), (1500, 1500), (0, 1500)] {
        let option = option(5, &[&[0, 0][..], &mtu.to_be_bytes()].concat());
        let advertisement = ra(ROUTER, 0, 1800, &[option]);
        line.handle_input(at(0.0), &advertisement);
        line.handle_input(at(0.0), &advertisement);
        assert_eq!(line.facts(at(0.0)).mtu, expected, "{mtu}");
    }
    let (events, _) = run(&mut line, at(0.0));
    assert_eq!(events.iter().filter(|e| e.contains("ignored")).count(), 4, "said once each: {events:?}");
}

/// A flood of routers, prefixes and resolvers costs bounded memory and does not push out what is in use.
#[test]
fn floods_are_bounded() {
    let mut line = line();
    line.handle_input(at(0.0), &ra(ROUTER, 0b01_000, 9000, &[prefix("2001:db8:1::/64", L | A, 86400, 43200)]));
    for i in 1..500u32 {
        let router = format!("fe80::bad:{i:x}");
        let prefixes = (0..40).map(|p| prefix(&format!("2001:db8:{i:x}:{p:x}::/64"), L | A, 86400, 43200));
        let resolvers = (0..20).map(|r| rdnss(600, &[&format!("2001:db8::{i:x}:{r:x}")]));
        let options: Vec<_> = prefixes.chain(resolvers).collect();
        line.handle_input(at(1.0 + f64::from(i)), &ra(&router, 0, 1800, &options));
        drain(&mut line, at(1.0 + f64::from(i)));
    }
    let facts = line.facts(at(500.0));
    let sizes = (facts.routers.len(), facts.prefixes.len(), facts.rdnss.len());
    assert_eq!(sizes, (MAX_ROUTERS, MAX_PREFIXES, MAX_RESOLVERS));
    assert_eq!(facts.default_router(), Some(ip(ROUTER)));
    assert_eq!(line.counts.options_ignored, 499 * (24 + 12));
}

#[test]
fn infinite_lifetimes_do_not_wake_us() {
    let mut line = line();
    line.handle_input(
        at(0.0),
        &ra(ROUTER, 0, 0, &[prefix("2001:db8:1::/64", L | A, u32::MAX, u32::MAX), rdnss(u32::MAX, &["2001:db8::53"])]),
    );
    run(&mut line, at(0.0));
    assert_eq!(line.poll_timeout(), None);
    let facts = line.facts(at(1e9));
    assert_eq!((facts.prefixes[0].valid, facts.rdnss[0].lifetime), (Lifetime::Forever, Lifetime::Forever));
}

proptest! {
    /// What comes out of any bytes keeps its bounds; whatever stands in options never panics.
    #[test]
    fn any_bytes(flags: u8, lifetime: u16, options in prop::collection::vec((0u8..40, 0usize..6, any::<[u8; 40]>()), 0..30)) {
        let options: Vec<_> = options.iter().map(|(kind, units, data)| {
            let kind = [1, 3, 5, 24, 25, 31].get(usize::from(*kind)).copied().unwrap_or(*kind);
            let mut option = vec![kind, *units as u8];
            option.extend(&data[..(units * 8).saturating_sub(2).min(40)]);
            option
        }).collect();
        let bytes = ra(ROUTER, flags, lifetime, &options);
        let mut line = line();
        line.handle_input(at(0.0), &bytes);
        prop_assert_eq!(line.counts.advertisements + line.counts.refused, 1);
        if let Ok(heard) = Advertisement::parse(&bytes) {
            prop_assert!(heard.prefixes.len() <= MAX_PREFIXES && heard.resolvers.len() <= MAX_RESOLVERS);
            prop_assert!(heard.prefixes.iter().all(|p| p.preferred <= p.valid && p.length <= 128));
        } else {
            prop_assert_eq!(line.facts(at(0.0)), super::tests::line().facts(at(0.0)));
        }
        run(&mut line, at(1e10));
        let end = line.facts(at(1e10));
        prop_assert!(end.routers.is_empty() && end.rdnss.iter().all(|r| r.lifetime == Lifetime::Forever));
    }

    /// `next` is honest: between what it says and now, nothing changes.
    #[test]
    fn nothing_happens_before_next(steps in prop::collection::vec((0u16..3, 0u32..5000, 0u32..5000, 0u16..4000, 1u16..2000), 1..20)) {
        let mut line = line();
        line.link_up(at(0.0), Some(ip("fe80::9")));
        let mut now = 0.0;
        for (which, preferred, more, lifetime, wait) in steps {
            let text = format!("2001:db8:{which:x}::/64");
            let options = [prefix(&text, L | A, preferred + more, preferred), rdnss(more, &["2001:db8::53"])];
            line.handle_input(at(now), &ra(&format!("fe80::{}", which + 1), 0, lifetime, &options));
            drain(&mut line, at(now));
            now += f64::from(wait);
            while let Some(next) = line.poll_timeout().filter(|&t| t < at(now)) {
                let before = line.told.clone();
                let just_before = Time(next.0 - 1);
                prop_assert!(drain(&mut line, just_before).is_empty(), "something at {just_before:?}, next was {next:?}");
                prop_assert_eq!(&before, &line.told);
                drain(&mut line, next);
                prop_assert!(line.poll_timeout() > Some(next) || line.poll_timeout().is_none());
            }
        }
    }
}

/// RFC 4861 6.2.6: what is asked from `::` is answered to all, if at all. So it is asked once more from an address of ours,
/// but not where the first question waits to be sent or was answered.
#[test]
fn a_solicitation_from_nobody_is_repeated_from_our_address() {
    let ours: Ipv6Addr = "fe80::2".parse().unwrap();
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let sources = |line: &mut Slaac, now| {
        let mut sources = Vec::new();
        while let Some(output) = line.drive(now) {
            if let Output::Send(packet) = output {
                sources.push(Ipv6Addr::from(<[u8; 16]>::try_from(&packet[8..24]).unwrap()));
            }
        }
        sources
    };
    let mut line = Slaac::new(Config { mac, mtu: 1500, interface_id: InterfaceId::Eui64(mac) });
    line.link_up(Time(0), None);
    let first = line.poll_timeout().unwrap();
    assert_eq!(sources(&mut line, first), [Ipv6Addr::UNSPECIFIED]);
    let ready = first + Duration::from_secs(1);
    line.link_up(ready, Some(ours));
    line.link_up(ready, Some(ours));
    assert_eq!(sources(&mut line, ready), [ours]);
    let mut waits = Slaac::new(Config { mac, mtu: 1500, interface_id: InterfaceId::Eui64(mac) });
    waits.link_up(Time(0), None);
    waits.link_up(Time(0), Some(ours));
    assert_eq!(sources(&mut waits, Time(0) + Duration::from_secs(1)), [ours]);
}
