//! Names that are answered here, rebinding, domains with resolvers of their own.

use super::*;

fn at_home() -> Settings {
    let host = |names: &[&str], addresses: &[&str]| Host {
        names: names.iter().map(|name| name.to_string()).collect(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    Settings {
        hosts: vec![
            host(&["nas.home.arpa", "nas"], &["192.168.1.10", "fd00::10"]),
            host(&["blocked.example.com"], &[]),
            host(&["nas.home.arpa", "other"], &["192.168.1.66"]),
        ],
        own_domain: HOME.into(),
        inside_allowed: Some(vec!["plex.direct".into()]),
        ..usual()
    }
}

fn asked(play: &mut Play, text: &str, rtype: RecordType) -> Message {
    play.ask(host(2), &question(1, text, rtype));
    assert!(play.sent.is_empty(), "{text} is not asked for");
    play.answer()
}

#[test]
fn hosts_have_names_and_addresses_have_hosts() {
    let mut play = Play::new(at_home());
    for text in ["nas.home.arpa", "NAS", "nas"] {
        let answer = asked(&mut play, text, RecordType::A);
        assert_eq!(answer.answers, [a(text, 30, [192, 168, 1, 10])], "{text}");
        assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
    }
    assert_eq!(asked(&mut play, "nas", RecordType::AAAA).answers, [aaaa("nas", 30, "fd00::10")]);
    // RFC 2308 2.2: the name is there, such records are not; nobody outside is asked.
    let nothing = asked(&mut play, "nas", RecordType::MX);
    assert_eq!((nothing.metadata.response_code, nothing.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(asked(&mut play, "blocked.example.com", RecordType::A).answers.len(), 0);
    for reverse in
        ["10.1.168.192.in-addr.arpa", "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"]
    {
        let answer = asked(&mut play, reverse, RecordType::PTR);
        let RData::PTR(target) = &answer.answers[0].data else { panic!("no PTR") };
        assert_eq!(target.0, name("nas.home.arpa"), "{reverse}");
    }
    assert_eq!(asked(&mut play, "other", RecordType::A).answers, [a("other", 30, [192, 168, 1, 66])]);
    assert_eq!(play.forwarder.counts.local, 9);
}

/// RFC 6303 4.2, RFC 6761 6.3, 6.4, RFC 6762 22.1, RFC 7686 2, RFC 8375 4, RFC 9462 6.4.
#[test]
fn what_means_nothing_outside_is_not_asked_for_outside() {
    use ResponseCode::{NXDomain, NoError};
    let rows = [
        ("printer.home.arpa", NXDomain, 0),
        ("home.arpa", NoError, 0),
        ("9.1.168.192.in-addr.arpa", NXDomain, 0),
        ("1.0.0.10.in-addr.arpa", NXDomain, 0),
        ("localhost", NoError, 1),
        ("a.localhost", NoError, 1),
        ("printer.local", NXDomain, 0),
        ("abc.onion", NXDomain, 0),
        ("x.invalid", NXDomain, 0),
        ("_dns.resolver.arpa", NoError, 0),
    ];
    let mut play = Play::new(at_home());
    for (text, code, answers) in rows {
        let answer = asked(&mut play, text, RecordType::A);
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, answers), "{text}");
    }
    for text in ["localhost.jp", "1.2.0.192.in-addr.arpa", "x.192.in-addr.arpa", "example.arpa", "corp.example.jp"] {
        play.ask(host(2), &question(1, text, RecordType::A));
    }
    assert_eq!(play.sent.len(), 5);
}

#[test]
fn a_domain_of_ones_own_that_others_have_too_is_asked_for() {
    let mut play = Play::new(Settings { own_domain: "example.jp".into(), ..at_home() });
    play.ask(host(2), &question(1, "www.example.jp", RecordType::A));
    assert_eq!(play.sent.len(), 1);
    let mut play = Play::new(Settings { own_domain: "lan".into(), ..at_home() });
    assert_eq!(asked(&mut play, "www.lan", RecordType::A).metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn a_name_of_the_internet_does_not_lead_inside() {
    let hint = |address: [u8; 4]| {
        // HTTPS (RFC 9460): priority 1, target ".", ipv4hint.
        [&b"\xc0\x0c\x00\x41\0\x01\0\0\0\x3c\0\x0b\0\x01\0\0\x04\0\x04"[..], &address].concat()
    };
    let inside =
        [a("evil.jp", 60, [192, 168, 1, 1]), aaaa("evil.jp", 60, "::ffff:10.0.0.1"), aaaa("evil.jp", 60, "fe80::1")];
    for record in inside {
        let mut play = Play::new(at_home());
        let rtype = record.record_type();
        let answer = play.through(&question(1, "evil.jp", rtype), &[record]);
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
        assert_eq!(play.forwarder.counts.rebinding, 1);
        play.through(&question(2, "evil.jp", rtype), &[]);
        assert_eq!(play.sent.len(), 2, "it is not kept");
    }
    for (address, answers) in [([192, 168, 1, 1], 0u8), ([192, 0, 2, 1], 1)] {
        let mut play = Play::new(at_home());
        play.ask(host(2), &question(1, "evil.jp", RecordType::HTTPS));
        let sent = play.last_sent();
        let mut reply = [&sent.bytes[..], &hint(address)].concat();
        (reply[2], reply[7]) = (0x81, 1);
        play.reply_bytes(&sent, &reply);
        assert_eq!(play.answers[0].1[7], answers);
    }
    let mut play = Play::new(at_home());
    let text = "192-168-1-5.abc.plex.direct";
    let excepted = play.through(&question(1, text, RecordType::A), &[a(text, 60, [192, 168, 1, 5])]);
    assert_eq!(excepted.answers.len(), 1);
    let mut play = Play::new(Settings { inside_allowed: None, ..at_home() });
    assert_eq!(play.through(&question(1, "x.jp", RecordType::A), &[a("x.jp", 60, [10, 0, 0, 1])]).answers.len(), 1);
}

#[test]
fn domains_have_resolvers_of_their_own_and_no_others() {
    let domain = |name: &str, n, inside_allowed| Domain { name: name.into(), servers: vec![server(n)], inside_allowed };
    let domains =
        vec![domain("example", 5, false), domain("corp.example", 6, true), domain("168.192.in-addr.arpa", 6, true)];
    let mut play = Play::new(Settings { domains, ..at_home() });
    let rows =
        [("a.example", 5), ("a.corp.example", 6), ("corp.example", 6), ("b.jp", 1), ("5.1.168.192.in-addr.arpa", 6)];
    for (text, n) in rows {
        play.ask(host(2), &question(1, text, RecordType::A));
        assert_eq!(play.last_sent().server, server(n), "{text}");
    }
    play.pass(10.0);
    assert!(
        !play.sent.iter().any(|sent| sent.server == server(1) && sent.message().queries[0].name() != &name("b.jp"))
    );
    play.answers.clear();
    let inside = play.through(&question(2, "x.corp.example", RecordType::A), &[a("x.corp.example", 60, [10, 0, 0, 1])]);
    assert_eq!(inside.answers.len(), 1);
}

#[test]
fn ipv6_addresses_are_dropped_where_that_is_asked_for() {
    let mut play = Play::new(Settings { drops_aaaa: true, ..at_home() });
    let answer = asked(&mut play, "example.jp", RecordType::AAAA);
    assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(asked(&mut play, "nas", RecordType::AAAA).answers.len(), 1, "but not those of hosts");
    play.ask(host(2), &question(1, "example.jp", RecordType::A));
    assert_eq!(play.sent.len(), 1);
}
