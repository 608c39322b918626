//! What servers send that no RFC foresees, or that is easily read wrong. Names and versions are those on which it was seen.

use super::*;

/// Kea's, with bits behind its length; and the prefix that it is.
const OFF: &str = "2001:db8:100:4210::/56";
const MASKED: &str = "2001:db8:100:4200::/56";

/// Up to the Request, and its Reply.
fn bind_with<const A: usize, const B: usize>(
    line: &mut Line,
    offer: [DhcpOption; A],
    reply: [DhcpOption; B],
) -> Message {
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect_beside(MessageType::Solicit, 1);
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", offer));
    let request = line.expect_beside(MessageType::Request, 2);
    line.hear(&answer(&request, MessageType::Reply, b"server", reply));
    request
}

/// RFC 8415 7, 16: they say where clients send to, and not where servers answer from.
#[test]
fn answers_from_any_unicast_address() {
    for (source, router) in [("2001:db8:a::547", None), ("fe80::1", Some(SOURCE)), ("fd00::1", None)] {
        let source = source.parse().unwrap();
        let mut line = Line::new(|_| ());
        line.client.set_mode(line.now, Mode::Stateful);
        let solicit = line.expect(MessageType::Solicit, 1);
        let advertise = answer(&solicit, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]);
        line.client.handle_input(line.now, source, &advertise.to_vec().unwrap());
        let request = line.expect(MessageType::Request, 2);
        let reply = answer(&request, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]);
        line.client.handle_input(line.now, source, &reply.to_vec().unwrap());
        assert_eq!(line.client.state(), State::Bound, "{source}");
        assert_eq!(line.client.facts(line.now).router, router, "who handed the leases out on this link");
    }
}

/// Where answers come and none is for us (RFC 8415 16.3) nobody is told that there is no server.
#[test]
fn answers_that_are_ignored_are_told() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    for _ in 0..5 {
        let solicit = line.expect_beside(MessageType::Solicit, 20);
        let mut advertise = answer(&solicit, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]);
        advertise.opts_mut().remove(OptionCode::ServerId);
        line.hear(&advertise);
    }
    let told = Failure::Ignored(Ignored::NoServer);
    assert_eq!(
        told.to_string(),
        "DHCPv6 answers came and were ignored, the last one because it names no server; still asking"
    );
    assert_eq!(line.events(), [Event::Failed(told)]);
}

/// RFC 8415 18.2.10.1, Kea 2.2 (pool gone): a lease whose valid lifetime is 0 is over, wherever a status stands beside it.
#[test]
fn zero_lifetimes_beside_a_status() {
    let zero = || in_association(PREFIX, 0, 0, Status::Success);
    let refusal = || status(Status::NoPrefixAvail);
    let replies = [
        vec![association(0, 0, [refusal(), zero()])],
        vec![association(0, 0, [in_association(PREFIX, 0, 0, Status::NoPrefixAvail)])],
        vec![association(0, 0, [zero()]), refusal()],
        vec![association(0, 0, [zero()]), status(Status::UnspecFail)],
        vec![association(0, 0, [status(Status::NoBinding), zero()])],
    ];
    for options in replies {
        let mut line = Line::new(|_| ());
        line.bind();
        let renew = line.expect(MessageType::Renew, 3600);
        let mut reply = answer(&renew, MessageType::Reply, b"server", []);
        options.into_iter().for_each(|option| reply.opts_mut().insert(option));
        line.hear(&reply);
        assert_eq!(line.events()[0], Event::Lost { prefixes: vec![prefix(PREFIX)], addresses: vec![] }, "{reply:?}");
        line.expect_beside(MessageType::Solicit, 1);
    }
}

/// One of two prefixes is over, and nothing else is said: the other goes on as it was.
#[test]
fn one_of_two_is_over() {
    let mut line = Line::new(|_| ());
    let both = || [lease(&[(PREFIX, 7200), (OTHER, 7200)], 1800, 2880)];
    bind_with(&mut line, both(), both());
    let renew = line.expect(MessageType::Renew, 1800);
    line.events();
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(PREFIX, 0)], 0, 0)]));
    let (old, new) = (vec![prefix(PREFIX), prefix(OTHER)], vec![prefix(OTHER)]);
    assert_eq!(line.events(), [Event::Changed { old, new, addresses: vec![] }]);
    assert_eq!(asked(&line.expect(MessageType::Renew, 11)), [OTHER]);
}

/// RFC 7550 4.2, RFC 8415 18.2.9; wide-dhcpv6 20080615, dibbler 1.0.1: NoAddrsAvail on the message says nothing against the
/// prefix in it.
#[test]
fn no_address_beside_a_prefix() {
    let reply = || [status(Status::NoAddrsAvail), lease(&[(PREFIX, 7200)], 3600, 5760)];
    let mut line = Line::new(|config| config.want = Want::PrefixAndAddress);
    bind_with(&mut line, reply(), reply());
    assert_eq!(line.client.state(), State::Bound);
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", reply()));
    assert!(line.events().contains(&Event::Renewed));

    let mut line = Line::new(|config| config.rapid_commit = true);
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    let [code, ia] = reply();
    line.hear(&answer(&solicit, MessageType::Reply, b"server", [code, ia, DhcpOption::RapidCommit]));
    assert_eq!(line.client.state(), State::Bound);
}

/// wide-dhcpv6 answers a Renew with NoBinding in an IA_NA that never had anything: the prefix is renewed.
#[test]
fn no_binding_for_an_address_that_was_never_leased() {
    let mut line = Line::new(|config| config.want = Want::PrefixAndAddress);
    line.bind();
    let renew = line.expect(MessageType::Renew, 3600);
    let empty =
        DhcpOption::IANA(IANA { id: IAID, t1: 0, t2: 0, opts: [status(Status::NoBinding)].into_iter().collect() });
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 3600, 5760), empty]));
    assert_eq!(line.events(), [Event::Renewed]);
}

/// Kea 2.2: a prefix with bits behind its length is used without them, and named to the server with them; renewed and taken
/// back under its two names in one Reply it is renewed.
#[test]
fn a_prefix_off_its_boundary() {
    let given = || association(900, 1440, [in_association(OFF, 1800, 3600, Status::Success)]);
    let mut line = Line::new(|_| ());
    let request = bind_with(&mut line, [given()], [given()]);
    assert_eq!(asked(&request), [OFF]);
    assert_eq!(line.client.prefixes()[0].what.address(), prefix(MASKED).address());
    let both = || {
        let taken_back = in_association(MASKED, 0, 0, Status::Success);
        association(900, 1440, [in_association(OFF, 1800, 3600, Status::Success), taken_back])
    };
    let renew = line.expect(MessageType::Renew, 900);
    assert_eq!(asked(&renew), [OFF]);
    line.events();
    line.hear(&answer(&renew, MessageType::Reply, b"server", [both()]));
    assert_eq!(line.events(), [Event::Renewed]);
    assert_eq!(line.client.facts(line.now).prefixes[0].valid, Some(3600));

    let json = serde_json::to_string(&line.client.lease(line.now, 1000).unwrap()).unwrap();
    let mut line = Line::new(|_| ());
    assert!(line.client.resume(line.now, 1000, &serde_json::from_str(&json).unwrap()));
    line.client.set_mode(line.now, Mode::Stateful);
    let rebind = line.expect(MessageType::Rebind, 1);
    assert_eq!(asked(&rebind), [OFF]);
    line.hear(&answer(&rebind, MessageType::Reply, b"server", [both()]));
    line.client.release(line.now);
    assert_eq!(asked(&line.expect(MessageType::Release, 0)), [OFF]);
}

/// Kea 2.2 (pool moved): the new prefix stands before the old one with lifetimes of zero.
#[test]
fn the_new_prefix_stands_first() {
    let mut line = Line::new(|_| ());
    line.bind();
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(OTHER, 7200), (PREFIX, 0)], 900, 1440)]));
    let changed = Event::Changed { old: vec![prefix(PREFIX)], new: vec![prefix(OTHER)], addresses: vec![] };
    assert_eq!(line.events(), [changed]);
}

/// ISC dhcpd 4.4.3: T1 3600, T2 5400, valid 1800. It is renewed in time.
#[test]
fn times_behind_the_end() {
    let given = || [association(3600, 5400, [in_association(PREFIX, 1125, 1800, Status::Success)])];
    let mut line = Line::new(|_| ());
    bind_with(&mut line, given(), given());
    let facts = line.client.facts(line.now);
    assert_eq!((facts.t1, facts.t2, facts.expires), (Some(562), Some(900), Some(1800)));
}

/// dibbler 1.0.1: T1 5 and T2 10 s, with any lifetimes.
#[test]
fn a_renewal_a_minute_at_most() {
    let given = || [association(5, 10, [in_association(PREFIX, 3600, 7200, Status::Success)])];
    let mut line = Line::new(|_| ());
    bind_with(&mut line, given(), given());
    let facts = line.client.facts(line.now);
    assert_eq!((facts.t1, facts.t2), (Some(60), Some(96)));
}

/// dibbler 1.0.1: a Rebind is answered with an empty IA_PD, T1 and T2 of 0. Nothing is renewed by that, and it is said so.
#[test]
fn a_rebind_that_confirms_nothing() {
    let mut line = Line::new(|_| ());
    line.bind();
    let bound = line.now;
    line.client.link_up(line.now);
    let rebind = line.expect(MessageType::Rebind, 1);
    let empty = answer(&rebind, MessageType::Reply, b"server", [association(0, 0, [])]);
    line.hear(&empty);
    line.hear(&empty);
    let server = Duid::new(b"server").unwrap();
    assert_eq!(line.events(), [Event::Failed(Failure::Unconfirmed(server))], "once");
    line.pass(line.after(12));
    assert_eq!(line.client.state(), State::Bound);
    assert_eq!(line.client.poll_timeout(), Some(bound + Duration::from_secs(3600)), "T1 is where it was");
}

/// dnsmasq 2.90: option 64 as text. The rest is used; what is wrong is said once, and stands in status.
#[test]
fn an_aftr_name_as_text() {
    let text = || unknown(OptionCode::AftrName, b"gw.example.jp");
    let given = || [lease(&[(PREFIX, 7200)], 3600, 5760), dns(1), text()];
    let mut line = Line::new(|_| ());
    bind_with(&mut line, given(), given());
    let flaws = line.client.facts(line.now).flaws;
    assert!(flaws[0].to_string().contains("gw.example.jp"), "{}", flaws[0]);
    assert!(line.events().contains(&Event::Failed(flaws[0].clone())));
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", given()));
    assert_eq!(line.events(), [Event::Renewed], "once");
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 3600, 5760)]));
    assert!(line.client.facts(line.now).flaws.is_empty());
}

/// RFC 8415 21.21, 21.22; ISC dhcpd sends both: what is thrown away is said, with the rule.
#[test]
fn leases_that_break_a_rule() {
    let times = association(5000, 400, [in_association(PREFIX, 5000, 7200, Status::Success)]);
    let lifetimes = association(0, 0, [in_association(PREFIX, 3600, 600, Status::Success)]);
    for (given, rule) in [(times, "T1 of 5000 s is beyond T2 of 400 s"), (lifetimes, "lifetime of 3600 s, beyond")] {
        let mut line = Line::new(|_| ());
        line.client.set_mode(line.now, Mode::Stateful);
        let solicit = line.expect(MessageType::Solicit, 1);
        let advertise = answer(&solicit, MessageType::Advertise, b"server", [given]);
        line.hear(&advertise);
        line.hear(&advertise);
        let events = line.events();
        let [Event::Failed(failure)] = &events[..] else { panic!("{events:?}") };
        assert!(failure.to_string().contains(rule), "{failure}");
        assert_eq!(line.client.facts(line.now).refused.as_ref(), Some(failure));
    }
}

/// RFC 8415 18.2.1: the last prefix goes as a hint into the next Solicit; the length that the user wants only without one.
#[test]
fn the_last_prefix_is_asked_for_again() {
    let mut line = Line::new(|config| config.prefix_len = Some(60));
    line.bind();
    let lease = line.client.lease(line.now, 1000).unwrap();
    line.count(MessageType::Renew, line.after(7200));
    let solicit = line.expect_beside(MessageType::Solicit, 2);
    assert_eq!(asked(&solicit), [PREFIX]);

    let mut line = Line::new(|config| config.prefix_len = Some(60));
    assert!(!line.client.resume(line.now, 100_000, &lease), "ended");
    line.client.set_mode(line.now, Mode::Stateful);
    assert_eq!(asked(&line.expect(MessageType::Solicit, 1)), [PREFIX]);
}

/// Of offers with the same preference (RFC 8415 18.2.9) the one of the server of before is taken, or that of the prefix.
#[test]
fn the_server_of_before_is_preferred() {
    for (server, offered) in [(&b"server"[..], OTHER), (b"third", PREFIX)] {
        let mut line = Line::new(|_| ());
        line.bind();
        line.count(MessageType::Renew, line.after(7200));
        let solicit = line.expect_beside(MessageType::Solicit, 2);
        line.hear(&answer(&solicit, MessageType::Advertise, b"other", [lease(&[("2001:db8::/48", 7200)], 0, 0)]));
        line.hear(&answer(&solicit, MessageType::Advertise, server, [lease(&[(offered, 7200)], 0, 0)]));
        let request = line.expect(MessageType::Request, 2);
        assert_eq!(request.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(server.to_vec())));
    }
}

/// What a server said it need not say with every Renew; what another says, or an Information-request brings, is all there is.
#[test]
fn information_that_is_not_said_again() {
    let name = || unknown(OptionCode::AftrName, b"\x02gw\x02jp\0");
    let mut line = Line::new(|_| ());
    bind_with(&mut line, [lease(&[(PREFIX, 7200)], 0, 0)], [lease(&[(PREFIX, 7200)], 3600, 5760), dns(1), name()]);
    line.events();
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 3600, 5760), dns(2)]));
    assert_eq!(line.events(), [Event::Renewed, Event::Informed]);
    assert_eq!(line.client.information().aftr_name.as_deref(), Some("gw.jp"));
    assert_eq!(line.client.information().dns, ["2404:1a8::2".parse::<Ipv6Addr>().unwrap()]);
    line.count(MessageType::Renew, line.after(5759));
    let rebind = line.expect(MessageType::Rebind, 2);
    line.hear(&answer(&rebind, MessageType::Reply, b"other", [lease(&[(PREFIX, 7200)], 3600, 5760), dns(2)]));
    assert_eq!(line.client.information().aftr_name, None, "another server's");

    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateless);
    let request = line.expect(MessageType::InformationRequest, 1);
    line.hear(&answer(&request, MessageType::Reply, b"server", [dns(1), name()]));
    let request = line.expect(MessageType::InformationRequest, 86_401);
    line.hear(&answer(&request, MessageType::Reply, b"server", [dns(1)]));
    assert_eq!(line.client.information().aftr_name, None);
}
