//! Stateful: RFC 8415 18.2.1 to 18.2.10, for prefixes above all.

use proptest::prelude::*;

use super::*;

/// RFC 8415 18.2.1, 18.2.2, 18.2.9: Solicit, Advertise, Request, Reply; what each of ours carries.
#[test]
fn a_prefix_is_delegated() {
    let mut line = Line::new(|config| config.prefix_len = Some(56));
    line.client.set_mode(line.now, Mode::Stateful);
    let began = line.now;
    let solicit = line.expect(MessageType::Solicit, 1);
    assert!(line.now.since(began) <= Duration::from_secs(1), "SOL_MAX_DELAY");
    assert_eq!(asked(&solicit), ["::/56"]);
    assert!(!has(&solicit, OptionCode::IANA), "an address is not asked for");
    assert!(!has(&solicit, OptionCode::ServerId) && !has(&solicit, OptionCode::RapidCommit));
    assert!(!has(&solicit, OptionCode::ReconfAccept));
    assert_eq!(solicit.opts().get(OptionCode::ElapsedTime), Some(&DhcpOption::ElapsedTime(0)));
    assert_eq!(requested(&solicit), [23, 24, 31, 56, 64, 82, 94, 95, 96, 111]);
    let Some(DhcpOption::ClientId(duid)) = solicit.opts().get(OptionCode::ClientId) else { panic!() };
    assert_eq!(duid[..], [0, 3, 0, 1, 2, 0, 0, 0x12, 0x34, 0x56]);

    let heard = line.now;
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    let request = line.expect(MessageType::Request, 2);
    let waited = line.now.since(heard);
    assert!(waited > Duration::from_secs(1) && waited <= Duration::from_millis(1100), "collects for the first RT");
    assert_eq!(request.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(b"server".to_vec())));
    assert_eq!(asked(&request), [PREFIX]);
    assert_ne!(request.xid(), solicit.xid());

    line.hear(&answer(&request, MessageType::Reply, b"server", [lease(&[(PREFIX, 14400)], 3600, 5400), dns(1)]));
    let server = Duid::new(b"server").unwrap();
    let bound = Event::Bound { server: server.clone(), prefixes: vec![prefix(PREFIX)], addresses: vec![] };
    assert_eq!(line.events(), [bound, Event::Informed]);
    let facts = line.client.facts(line.now);
    assert_eq!((facts.state, &facts.server), (State::Bound, &Some(server)));
    assert_eq!((facts.t1, facts.t2, facts.expires), (Some(3600), Some(5400), Some(14400)));
    assert_eq!(facts.prefixes, [Fact { what: prefix(PREFIX), preferred: Some(7200), valid: Some(14400) }]);
    assert_eq!(facts.information.dns, ["2404:1a8::1".parse::<Ipv6Addr>().unwrap()]);
    assert_eq!(line.client.poll_timeout(), Some(line.after(3600)));
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!((&json["prefixes"][0]["what"], &json["dns"][0]), (&PREFIX.into(), &"2404:1a8::1".into()));
}

/// RFC 8415 18.2.4, 18.2.10.1: at T1 to the server that gave it; its Reply starts the times anew.
#[test]
fn renewal() {
    let mut line = Line::new(|_| ());
    line.bind();
    let bound = line.now;
    let renew = line.expect(MessageType::Renew, 3600);
    assert_eq!(line.now, bound + Duration::from_secs(3600));
    assert_eq!(asked(&renew), [PREFIX]);
    assert!(has(&renew, OptionCode::ServerId));
    line.hear(&answer(&renew, MessageType::Reply, b"other", [lease(&[(PREFIX, 7200)], 3600, 5760)]));
    assert_eq!(line.client.state(), State::Renewing, "another server was not asked");
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 1844, 5760), dns(1)]));
    assert_eq!(line.events(), [Event::Renewed]);
    assert_eq!(line.client.facts(line.now).t1, Some(1844));
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(OTHER, 7200)], 1844, 5760)]));
    assert_eq!(line.client.prefixes().len(), 1, "the exchange is over");
    assert_eq!(line.client.counts.foreign, 2);
}

/// RFC 8415 18.2.4, 18.2.5: Renew from T1 to T2, Rebind from T2 to the end, and then from the start.
#[test]
fn a_server_that_fell_silent() {
    let mut line = Line::new(|_| ());
    line.bind();
    let bound = line.now;
    let sent = line.pass(bound + Duration::from_secs(7199));
    let renews = sent.iter().take_while(|m| m.msg_type() == MessageType::Renew).count();
    let rebinds = &sent[renews..];
    // 10, 20, ... 600 s, 600 s within 2160 s; the same within 1440 s.
    assert!((8..=10).contains(&renews) && (6..=9).contains(&rebinds.len()), "{renews} {}", rebinds.len());
    assert!(rebinds.iter().all(|m| m.msg_type() == MessageType::Rebind && !has(m, OptionCode::ServerId)));
    assert!(rebinds.iter().all(|m| asked(m) == [PREFIX]));
    let server = Duid::new(b"server").unwrap();
    assert_eq!(line.events(), [Event::Failed(Failure::RenewUnanswered(server))]);
    assert_eq!(line.client.prefixes().len(), 1, "valid until its last second");
    line.now = line.after(1);
    line.sends();
    assert_eq!(line.client.state(), State::Soliciting);
    assert_eq!(line.events(), [Event::Lost { prefixes: vec![prefix(PREFIX)], addresses: vec![] }]);
}

/// RFC 8415 18.2.5: any server may answer a Rebind, and is the one to be asked from then on.
#[test]
fn another_server_rebinds() {
    let mut line = Line::new(|_| ());
    line.bind();
    line.pass(line.after(5759));
    let rebind = line.expect(MessageType::Rebind, 2);
    line.hear(&answer(&rebind, MessageType::Reply, b"other", [lease(&[(PREFIX, 7200)], 60, 5760), dns(1)]));
    assert!(line.events().contains(&Event::Renewed));
    let renew = line.expect(MessageType::Renew, 60);
    assert_eq!(renew.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(b"other".to_vec())));
}

/// A changed prefix, the normal case of a Japanese line: the old one with lifetimes of zero, the new one beside it.
#[test]
fn prefix_changes_on_renewal() {
    let mut line = Line::new(|_| ());
    line.bind();
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(
        &renew,
        MessageType::Reply,
        b"server",
        [lease(&[(PREFIX, 0), (OTHER, 7200)], 3600, 5760), dns(1)],
    ));
    let changed = Event::Changed { old: vec![prefix(PREFIX)], new: vec![prefix(OTHER)], addresses: vec![] };
    assert_eq!(line.events(), [changed]);
    assert_eq!(line.client.state(), State::Bound);
}

/// RFC 8415 18.2.10.1: a prefix that the Reply does not mention stays until its own end.
#[test]
fn unmentioned_prefix_ends_by_itself() {
    let mut line = Line::new(|_| ());
    line.bind();
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(OTHER, 72000)], 36000, 57600), dns(1)]));
    let both = vec![prefix(PREFIX), prefix(OTHER)];
    let changed = Event::Changed { old: vec![prefix(PREFIX)], new: both.clone(), addresses: vec![] };
    assert_eq!(line.events(), [changed]);
    assert_eq!(line.client.poll_timeout(), Some(line.after(3600)), "the end of the old one");
    assert!(line.pass(line.after(3600)).is_empty());
    assert_eq!(line.events(), [Event::Changed { old: both, new: vec![prefix(OTHER)], addresses: vec![] }]);
}

/// RFC 8415 18.2.10.1: lifetimes of zero and nothing new: it is gone, and another is looked for.
#[test]
fn prefix_is_taken_back() {
    let mut line = Line::new(|_| ());
    line.bind();
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(PREFIX, 0)], 0, 0)]));
    assert_eq!(line.events(), [Event::Lost { prefixes: vec![prefix(PREFIX)], addresses: vec![] }]);
    line.expect(MessageType::Solicit, 1);
}

/// RFC 8415 18.2.10.1: NoBinding is answered with a Request for what we have; it is used meanwhile.
#[test]
fn server_without_memory() {
    let mut line = Line::new(|_| ());
    line.bind();
    let renew = line.expect(MessageType::Renew, 3600);
    line.hear(&answer(&renew, MessageType::Reply, b"server", [no_lease(Status::NoBinding)]));
    let request = line.expect(MessageType::Request, 0);
    assert_eq!(asked(&request), [PREFIX]);
    assert_eq!(line.client.prefixes().len(), 1);
    line.hear(&answer(&request, MessageType::Reply, b"server", [lease(&[(OTHER, 7200)], 3600, 5760), dns(1)]));
    let changed = Event::Changed { old: vec![prefix(PREFIX)], new: vec![prefix(OTHER)], addresses: vec![] };
    assert_eq!(line.events(), [changed], "a Request's Reply is all there is");
}

/// RFC 8415 18.2.10.1: without the association, or with a refusal, a Reply to a Renew is as if it had not come.
#[test]
fn renewal_refused_is_repeated() {
    for reply in [dns(1), no_lease(Status::NoPrefixAvail), status(Status::UnspecFail), status(Status::UseMulticast)] {
        let mut line = Line::new(|_| ());
        line.bind();
        let renew = line.expect(MessageType::Renew, 3600);
        line.hear(&answer(&renew, MessageType::Reply, b"server", [reply]));
        assert!(matches!(line.events()[..], [Event::Failed(Failure::Refused { .. })]));
        assert!(line.sends().is_empty(), "not at once");
        let again = line.expect(MessageType::Renew, 11);
        assert_eq!(again.xid(), renew.xid());
        assert_eq!((line.client.prefixes().len(), line.client.counts.refused), (1, 1));
    }
}

/// RFC 8415 18.2.1: preference 255 is asked at once, otherwise the best of the first RT.
#[test]
fn server_choice() {
    let offer = |solicit: &Message, server: &[u8], preference: u8| {
        let preference = DhcpOption::Preference(preference);
        answer(solicit, MessageType::Advertise, server, [lease(&[(PREFIX, 7200)], 0, 0), preference])
    };
    let server = |message: &Message| message.opts().get(OptionCode::ServerId).cloned();

    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    line.hear(&offer(&solicit, b"low", 3));
    line.hear(&offer(&solicit, b"high", 200));
    line.hear(&offer(&solicit, b"middle", 100));
    let request = line.expect(MessageType::Request, 2);
    assert_eq!(server(&request), Some(DhcpOption::ServerId(b"high".to_vec())));

    // It does not answer, ten times: the next best.
    let first = Duid::new(b"high").unwrap();
    let mut tries = 1;
    let next = loop {
        let message = line.expect(MessageType::Request, 34);
        if server(&message) != server(&request) {
            break message;
        }
        tries += 1;
    };
    assert_eq!(tries, 10, "REQ_MAX_RC");
    assert_eq!(line.events(), [Event::Failed(Failure::RequestUnanswered(first))]);
    assert_eq!(server(&next), Some(DhcpOption::ServerId(b"middle".to_vec())));
    // It has nothing left (RFC 8415 18.2.10.1): the one after it.
    line.hear(&answer(&next, MessageType::Reply, b"middle", [no_lease(Status::NoPrefixAvail)]));
    let last = line.expect(MessageType::Request, 0);
    assert_eq!(server(&last), Some(DhcpOption::ServerId(b"low".to_vec())));
    // Nor this one: from the start.
    line.hear(&answer(&last, MessageType::Reply, b"low", [status(Status::NotOnLink)]));
    line.expect_beside(MessageType::Solicit, 8);

    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    line.hear(&offer(&solicit, b"low", 254));
    line.hear(&offer(&solicit, b"high", 255));
    assert_eq!(server(&line.expect(MessageType::Request, 0)), Some(DhcpOption::ServerId(b"high".to_vec())));
}

/// RFC 8415 18.2.1: after the first RT the first Advertise is taken.
#[test]
fn late_advertise_is_taken_at_once() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let first = line.expect(MessageType::Solicit, 1);
    let second = line.expect(MessageType::Solicit, 2);
    assert_eq!(first.xid(), second.xid());
    let Some(&DhcpOption::ElapsedTime(elapsed)) = second.opts().get(OptionCode::ElapsedTime) else { panic!() };
    assert!((100..=110).contains(&elapsed));
    line.hear(&answer(&second, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    line.expect(MessageType::Request, 0);
}

/// RFC 8415 18.2.9: an Advertise without what we want is ignored, but for SOL_MAX_RT (RFC 7083).
#[test]
fn nothing_to_offer() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    let max = DhcpOption::Unknown(dhcproto::v6::UnknownOption::new(OptionCode::SolMaxRt, 60u32.to_be_bytes().to_vec()));
    let no = answer(&solicit, MessageType::Advertise, b"server", [no_lease(Status::NoPrefixAvail), max]);
    line.hear(&no);
    line.hear(&no);
    let [Event::Failed(failure)] = &line.events()[..] else { panic!("said once") };
    let server = Duid::new(b"server").unwrap();
    assert_eq!(failure.to_string(), format!("DHCPv6 server {server} gives nothing: NoPrefixAvail: words"));
    let sent = line.count(MessageType::Solicit, line.after(3600));
    assert!((3600 / 66 - 1..3600 / 54 + 7).contains(&sent), "{sent}");
}

/// RFC 7083 4: values out of range are ignored.
#[test]
fn sol_max_rt_out_of_range() {
    for seconds in [59u32, 86_401] {
        let mut line = Line::new(|_| ());
        line.client.set_mode(line.now, Mode::Stateful);
        let solicit = line.expect(MessageType::Solicit, 1);
        let data = seconds.to_be_bytes().to_vec();
        let max = DhcpOption::Unknown(dhcproto::v6::UnknownOption::new(OptionCode::SolMaxRt, data));
        line.hear(&answer(&solicit, MessageType::Advertise, b"server", [no_lease(Status::NoPrefixAvail), max]));
        // 1 + 2 + 4 + ... + 2048 + 3600 * n seconds.
        assert!((12 + 12..12 + 30).contains(&line.count(MessageType::Solicit, line.after(86_400))));
    }
}

/// A person is told once, after half a minute, that nobody is there.
#[test]
fn silence_is_told() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    line.pass(line.after(10_000));
    assert_eq!(line.events(), [Event::Failed(Failure::Silence(5))]);
}

/// A server that offers, and refuses what it offered, is asked less and less often.
#[test]
fn refusing_in_a_loop() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let end = line.after(3600);
    let mut requests = 0;
    while let Some(next) = line.client.poll_timeout().filter(|&next| next <= end) {
        line.now = next;
        for message in line.sends() {
            let reply = match message.msg_type() {
                MessageType::Solicit => {
                    let preference = DhcpOption::Preference(255);
                    answer(&message, MessageType::Advertise, b"server", [lease(&[(PREFIX, 60)], 0, 0), preference])
                }
                MessageType::InformationRequest => continue,
                _ => {
                    requests += 1;
                    answer(&message, MessageType::Reply, b"server", [status(Status::NoAddrsAvail)])
                }
            };
            line.hear(&reply);
        }
    }
    assert!((20..120).contains(&requests), "{requests} requests in an hour");
}

/// RFC 8415 18.2.1, 18.2.10: a Reply to a Solicit counts if both sides said rapid commit.
#[test]
fn rapid_commit() {
    let mut line = Line::new(|config| config.rapid_commit = true);
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    assert!(has(&solicit, OptionCode::RapidCommit));
    line.hear(&answer(&solicit, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    assert_eq!((line.client.state(), line.client.counts.unexpected), (State::Soliciting, 1));
    let reply = [lease(&[(PREFIX, 7200)], 0, 0), DhcpOption::RapidCommit];
    line.hear(&answer(&solicit, MessageType::Reply, b"server", reply.clone()));
    assert_eq!(line.client.state(), State::Bound);
    assert_eq!(line.client.facts(line.now).t1, Some(1800), "half of the preferred lifetime");

    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    line.hear(&answer(&solicit, MessageType::Reply, b"server", reply));
    assert_eq!(line.client.state(), State::Soliciting);
}

/// An address is taken if there is one, and not waited for; declined, it is not used and the prefix stays.
#[test]
fn address_beside_the_prefix() {
    let mut line = Line::new(|config| config.want = Want::PrefixAndAddress);
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    assert!(has(&solicit, OptionCode::IANA));
    let ours = "2001:db8::9";
    let with_both = [lease(&[(PREFIX, 7200)], 3600, 5760), address(ours, 7200)];
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", with_both.clone()));
    let request = line.expect(MessageType::Request, 2);
    assert!(has(&request, OptionCode::IANA));
    line.hear(&answer(&request, MessageType::Reply, b"server", with_both));
    assert_eq!(line.client.addresses()[0].what, ours.parse::<Ipv6Addr>().unwrap());
    line.events();

    // RFC 8415 18.2.8.
    line.client.decline(line.now, ours.parse().unwrap());
    let decline = line.expect(MessageType::Decline, 0);
    assert!(has(&decline, OptionCode::ServerId) && !has(&decline, OptionCode::IAPD));
    let Some(DhcpOption::IANA(ia)) = decline.opts().get(OptionCode::IANA) else { panic!() };
    assert_eq!(ia.opts.iter().count(), 1);
    assert!(line.client.addresses().is_empty());
    assert_eq!(line.pass(line.after(20)).len(), 3, "DEC_MAX_RC");
    assert_eq!(line.client.state(), State::Bound);
    let same = vec![prefix(PREFIX)];
    assert_eq!(line.events(), [Event::Changed { old: same.clone(), new: same, addresses: vec![] }]);
    assert!(has(&line.expect(MessageType::Renew, 3600), OptionCode::IANA), "it is asked for another");

    // Without an address it is bound all the same.
    let mut line = Line::new(|config| config.want = Want::PrefixAndAddress);
    line.bind();
}

/// RFC 8415 18.2.7: given back, not used from then on, REL_MAX_RC times at most.
#[test]
fn release() {
    let mut line = Line::new(|_| ());
    line.bind();
    line.client.release(line.now);
    assert!(line.client.prefixes().is_empty());
    let release = line.expect(MessageType::Release, 0);
    assert_eq!(asked(&release), [PREFIX]);
    assert!(has(&release, OptionCode::ServerId) && !has(&release, OptionCode::ORO));
    assert_eq!(line.pass(line.after(20)).len(), 3);
    assert_eq!(line.client.state(), State::Off);
    assert_eq!(line.events(), [Event::Lost { prefixes: vec![prefix(PREFIX)], addresses: vec![] }, Event::Released]);
    assert_eq!(line.client.poll_timeout(), None);

    let mut line = Line::new(|_| ());
    line.bind();
    line.client.release(line.now);
    let release = line.expect(MessageType::Release, 0);
    line.client.release(line.now);
    line.hear(&answer(&release, MessageType::Reply, b"server", [status(Status::NoBinding)]));
    assert_eq!(line.client.state(), State::Off, "18.2.10.1: any Reply ends it");
}

/// RFC 8415 18.2.12: after the link came up a Rebind with Confirm's times; unanswered, all goes on as before.
#[test]
fn link_up() {
    let mut line = Line::new(|_| ());
    line.bind();
    let bound = line.now;
    line.client.link_up(line.now);
    let sent = line.pass(line.after(12));
    assert!((3..=6).contains(&sent.len()), "1, 2, 4 s in 10 s: {}", sent.len());
    assert!(sent.iter().all(|m| m.msg_type() == MessageType::Rebind && asked(m) == [PREFIX]));
    assert_eq!(line.client.state(), State::Bound);
    assert_eq!(line.client.poll_timeout(), Some(bound + Duration::from_secs(3600)));

    line.client.link_up(line.now);
    let rebind = line.expect(MessageType::Rebind, 1);
    line.hear(&answer(&rebind, MessageType::Reply, b"new", [lease(&[(PREFIX, 0), (OTHER, 600)], 0, 0), dns(2)]));
    assert!(line.pass(line.now + Duration::from_millis(500)).is_empty(), "the server of before may answer, too");
    let changed = Event::Changed { old: vec![prefix(PREFIX)], new: vec![prefix(OTHER)], addresses: vec![] };
    assert_eq!(line.events(), [changed, Event::Informed]);
}

/// RFC 8415 18.2.3, 18.2.10.2: with nothing but an address it is a Confirm.
#[test]
fn link_up_with_an_address_only() {
    for (code, state) in [(Status::Success, State::Bound), (Status::NotOnLink, State::Soliciting)] {
        let mut line = Line::new(|config| config.want = Want::Address);
        line.client.set_mode(line.now, Mode::Stateful);
        let solicit = line.expect(MessageType::Solicit, 1);
        assert!(!has(&solicit, OptionCode::IAPD));
        line.hear(&answer(&solicit, MessageType::Advertise, b"server", [address("2001:db8::9", 100)]));
        let request = line.expect(MessageType::Request, 2);
        line.hear(&answer(&request, MessageType::Reply, b"server", [address("2001:db8::9", 100)]));
        line.client.link_up(line.now);
        let confirm = line.expect(MessageType::Confirm, 1);
        assert!(has(&confirm, OptionCode::IANA) && !has(&confirm, OptionCode::ServerId));
        line.hear(&answer(&confirm, MessageType::Reply, b"any", [status(code)]));
        line.pass(line.now + Duration::from_millis(500));
        assert_eq!(line.client.state(), state);
        assert_eq!(line.client.addresses().is_empty(), state == State::Soliciting);
    }
}

/// A lease outlives the program: used at once, asked about within a second.
#[test]
fn resumed_after_a_restart() {
    let mut line = Line::new(|_| ());
    line.bind();
    let lease = line.client.lease(line.now, 1_000_000).unwrap();

    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    assert!(line.client.resume(line.now, 1_000_100, &lease));
    assert!(!line.client.resume(line.now, 1_000_100, &lease), "once");
    assert_eq!(line.events(), [Event::Resumed { prefixes: vec![prefix(PREFIX)], addresses: vec![] }]);
    assert_eq!(line.client.facts(line.now).expires, Some(7100));
    assert_eq!(line.client.information().dns.len(), 1);
    let rebind = line.expect(MessageType::Rebind, 1);
    line.hear(&answer(&rebind, MessageType::Reply, b"server", [super::lease(&[(PREFIX, 7200)], 0, 0), dns(1)]));
    assert_eq!(line.events(), [Event::Renewed]);

    let mut other = Line::new(|config| config.mac = Mac([2; 6]));
    assert!(!other.client.resume(other.now, 1_000_100, &lease), "another machine's");
    let mut late = Line::new(|_| ());
    assert!(!late.client.resume(late.now, 1_007_200, &lease), "ended");
}

/// RFC 8415 18.2.11, 20.4: off unless wanted, and then only with the server's signature.
#[test]
fn reconfigure() {
    use crate::dhcpv6::reconfigure::tests::{SECRET, key_option, signed};
    let mut line = Line::new(|config| config.reconfigure = true);
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    assert!(has(&solicit, OptionCode::ReconfAccept));
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    let request = line.expect(MessageType::Request, 2);
    line.hear(&answer(&request, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 0, 0), key_option(1)]));
    line.events();
    let (server, ours) = (Duid::new(b"server").unwrap(), line.client.duid().clone());
    let now = line.now;
    let mut demand = |kind, replay, secret: &[u8; 16]| {
        line.client.handle_input(now, SOURCE, &signed(&server, &ours, kind, replay, secret));
        line.client.state()
    };
    assert_eq!(demand(MessageType::Renew, 2, b"................"), State::Bound);
    assert_eq!(demand(MessageType::Renew, 2, &SECRET), State::Renewing);
    assert_eq!(demand(MessageType::Rebind, 3, &SECRET), State::Renewing, "busy");
    assert_eq!(line.client.counts.reconfigure_refused, 2);
    let renew = line.expect(MessageType::Renew, 0);
    line.hear(&answer(&renew, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    line.client.handle_input(line.now, SOURCE, &signed(&server, &ours, MessageType::InformationRequest, 3, &SECRET));
    assert_eq!(line.client.state(), State::Bound, "it is asked beside; the key is kept over a Renew");
    let request = line.expect(MessageType::InformationRequest, 1);
    line.hear(&answer(&request, MessageType::Reply, b"server", [dns(3)]));
    assert_eq!((line.client.information().dns.len(), line.client.prefixes().len()), (1, 1));

    let mut line = Line::new(|_| ());
    line.bind();
    line.client.handle_input(line.now, SOURCE, &signed(&server, &ours, MessageType::Renew, 9, &SECRET));
    assert_eq!((line.client.state(), line.client.counts.reconfigure_refused), (State::Bound, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// RFC 8415 21.4, 21.21: whatever T1, T2 and lifetimes a server gives, the client neither stands still
    /// past the end nor sends more than a message a second.
    #[test]
    fn any_times(t1 in times(), t2 in times(), valid in times(), answers: bool) {
        let mut line = Line::new(|_| ());
        line.client.set_mode(line.now, Mode::Stateful);
        let end = line.after(5_000);
        let mut sent = 0;
        while let Some(next) = line.client.poll_timeout().filter(|&next| next <= end) {
            line.now = line.now.max(next);
            for message in line.sends() {
                sent += 1;
                let reply = match message.msg_type() {
                    MessageType::Solicit => MessageType::Advertise,
                    _ => MessageType::Reply,
                };
                if answers || message.msg_type() != MessageType::Renew {
                    line.hear(&answer(&message, reply, b"server", [lease(&[(PREFIX, valid)], t1, t2)]));
                }
            }
            for leased in line.client.prefixes() {
                prop_assert!(leased.valid_until.is_none_or(|end| end > line.now));
            }
        }
        prop_assert!(sent <= 2 * 5_000 + 2, "{}", sent);
    }
}

fn times() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(u32::MAX), 1u32..100, 100u32..100_000]
}
