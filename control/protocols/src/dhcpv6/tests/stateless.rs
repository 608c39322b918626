//! Information-request, and the changes between the modes.

use super::*;

fn number(code: OptionCode, seconds: u32) -> DhcpOption {
    unknown(code, &seconds.to_be_bytes())
}

fn informed(line: &mut Line, refresh: Option<u32>) {
    line.client.set_mode(line.now, Mode::Stateless);
    let request = line.expect(MessageType::InformationRequest, 1);
    assert_eq!(requested(&request), [23, 24, 31, 56, 64, 82, 94, 95, 96, 111, 32, 83]);
    assert!(has(&request, OptionCode::ClientId) && has(&request, OptionCode::ElapsedTime));
    assert!(!has(&request, OptionCode::IAPD) && !has(&request, OptionCode::IANA));
    let mut reply = answer(&request, MessageType::Reply, b"server", [dns(1)]);
    if let Some(seconds) = refresh {
        reply.opts_mut().insert(number(OptionCode::InformationRefreshTime, seconds));
    }
    line.hear(&reply);
    assert_eq!((line.client.state(), line.events()), (State::Informed, vec![Event::Informed]));
}

/// RFC 8415 18.2.6, 18.2.10.4, 21.23: refreshed after what the server says, not below 600 s, a day without a word, never for all ones.
#[test]
fn information_and_its_refresh() {
    for (said, refresh) in
        [(None, Some(86_400)), (Some(0), Some(600)), (Some(4000), Some(4000)), (Some(u32::MAX), None)]
    {
        let mut line = Line::new(|_| ());
        informed(&mut line, said);
        assert_eq!(line.client.facts(line.now).refresh, refresh);
        assert_eq!(line.client.poll_timeout(), refresh.map(|seconds| line.after(seconds)));
    }
    let mut line = Line::new(|_| ());
    informed(&mut line, Some(600));
    let request = line.expect(MessageType::InformationRequest, 601);
    assert_eq!(line.client.information().dns.len(), 1, "kept while it is asked for again");
    line.hear(&answer(&request, MessageType::Reply, b"server", [dns(1)]));
    assert!(line.events().is_empty(), "nothing new");
}

/// RFC 8415 7.6, 21.25, RFC 7083: INF_TIMEOUT, INF_MAX_RT and the server's own.
#[test]
fn repeated_until_answered() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateless);
    // 1 + 2 + ... + 2048 s, then one an hour.
    assert!((12 + 11..12 + 25).contains(&line.pass(line.after(50_000)).len()));
    assert_eq!(line.events(), [Event::Failed(Failure::Silence(5))]);

    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateless);
    let request = line.expect(MessageType::InformationRequest, 1);
    let max = number(OptionCode::InfMaxRt, 60);
    line.hear(&answer(&request, MessageType::Reply, b"server", [status(Status::UnspecFail), max]));
    assert_eq!(line.client.state(), State::Asking, "18.2.10: a refusal is no information");
    assert!((50..80).contains(&line.pass(line.after(3600)).len()));
}

/// RFC 8415 18.2.12: on another link the information is another.
#[test]
fn link_up() {
    let mut line = Line::new(|_| ());
    informed(&mut line, None);
    line.client.link_up(line.now);
    line.expect(MessageType::InformationRequest, 1);

    let mut off = Line::new(|_| ());
    off.client.link_up(off.now);
    assert_eq!(off.client.poll_timeout(), None);
}

/// From O to M and back: nothing is lost on the way up, the lease is given back on the way down.
#[test]
fn modes_change() {
    let mut line = Line::new(|_| ());
    informed(&mut line, None);
    line.client.set_mode(line.now, Mode::Stateful);
    assert_eq!((line.client.state(), line.client.information().dns.len()), (State::Soliciting, 1));
    let solicit = line.expect(MessageType::Solicit, 1);
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    let request = line.expect(MessageType::Request, 2);
    line.hear(&answer(&request, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 0, 0), dns(1)]));
    assert_eq!(line.client.state(), State::Bound);
    line.client.set_mode(line.now, Mode::Stateful);
    assert_eq!(line.client.state(), State::Bound, "no change");

    line.client.set_mode(line.now, Mode::Stateless);
    line.expect(MessageType::Release, 0);
    line.client.set_mode(line.now, Mode::Stateful);
    line.client.set_mode(line.now, Mode::Stateless);
    line.pass(line.after(18));
    assert_eq!(line.client.state(), State::Asking);

    line.client.set_mode(line.now, Mode::Off);
    assert_eq!((line.client.poll_timeout(), line.client.information()), (Some(Time(0)), &Information::default()));
    assert_eq!(line.events().last(), Some(&Event::Informed));
    assert_eq!(line.client.poll_timeout(), None);

    // Off forgets.
    let mut line = Line::new(|_| ());
    line.bind();
    line.client.set_mode(line.now, Mode::Off);
    let lost = Event::Lost { prefixes: vec![prefix(PREFIX)], addresses: vec![] };
    assert_eq!(line.events(), [lost, Event::Informed]);
    assert!(line.sends().is_empty());
}

/// A lease that was resumed, on a line that has no M flag any more.
#[test]
fn resumed_lease_on_a_stateless_line() {
    let mut line = Line::new(|_| ());
    line.bind();
    let lease = line.client.lease(line.now, 10).unwrap();
    let mut line = Line::new(|_| ());
    assert!(line.client.resume(line.now, 10, &lease));
    line.client.set_mode(line.now, Mode::Stateless);
    line.expect(MessageType::Release, 0);
    line.pass(line.after(18));
    assert_eq!(line.client.state(), State::Asking);
}

/// RFC 7084 WPD-4: with the O flag alone a prefix is asked for beside everything else; where nobody answers that, it goes
/// on slowly, and a prefix that comes late is taken.
#[test]
fn other_flag_alone() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Other);
    let first = line.next_message(line.after(1));
    let second = line.next_message(line.after(1));
    let (solicit, request) = if first.msg_type() == MessageType::Solicit { (first, second) } else { (second, first) };
    assert_eq!(solicit.msg_type(), MessageType::Solicit);
    assert_eq!(request.msg_type(), MessageType::InformationRequest);
    line.hear(&answer(&request, MessageType::Reply, b"server", [dns(1)]));
    let facts = line.client.facts(line.now);
    assert!((facts.state, facts.is_informed(), facts.in_vain) == (State::Soliciting, true, false));
    assert_eq!((facts.refresh, facts.information.dns.len()), (Some(86_400), 1));

    // After 1, 2 and 4 s.
    let began = line.now;
    let sent: Vec<_> = line.pass(line.after(12)).iter().map(Message::msg_type).collect();
    assert_eq!(sent, [MessageType::Solicit; 3]);
    let facts = line.client.facts(line.now);
    assert!((facts.state, facts.is_informed(), facts.in_vain) == (State::Informed, true, true));
    // 60, 120, ... 3600 s.
    assert!((5..=8).contains(&line.count(MessageType::Solicit, began + Duration::from_secs(3600))));
    assert_eq!(line.events(), [Event::Informed], "nobody is silent here");

    line.client.set_mode(line.now, Mode::Stateful);
    line.client.set_mode(line.now, Mode::Other);
    assert_eq!(line.client.facts(line.now).refresh.map(|left| left < 86_400), Some(true), "nothing begins anew");
    let again = line.expect(MessageType::Solicit, 4000);
    assert_eq!(again.xid(), solicit.xid());
    line.hear(&answer(&again, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    let request = line.expect(MessageType::Request, 0);
    line.hear(&answer(&request, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    let facts = line.client.facts(line.now);
    assert_eq!((facts.state, facts.refresh, facts.information.dns.len()), (State::Bound, None, 1));
    assert!(line.pass(line.after(1799)).is_empty(), "leases bring the rest with them");

    // M comes and goes: the lease stays; it ends: everything is asked for again.
    line.events();
    line.client.set_mode(line.now, Mode::Stateful);
    line.client.set_mode(line.now, Mode::Other);
    assert!(line.events().is_empty() && line.client.state() == State::Bound);
    let sent = line.pass(line.after(5500));
    assert!(sent.iter().any(|message| message.msg_type() == MessageType::InformationRequest));
    line.client.set_mode(line.now, Mode::Stateless);
    assert_eq!(line.count(MessageType::Solicit, line.after(10_000)), 0);
}

/// RFC 8415 18.2.6: with the M flag, where the server has no leases, it is asked for everything else.
#[test]
fn managed_line_without_leases() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", [no_lease(Status::NoPrefixAvail)]));
    let request = line.expect(MessageType::InformationRequest, 1);
    line.hear(&answer(&request, MessageType::Reply, b"server", [dns(1)]));
    let facts = line.client.facts(line.now);
    assert!(facts.is_informed() && facts.in_vain && facts.state == State::Informed);
    let refused = facts.refused.unwrap();
    assert!(refused.to_string().ends_with("gives nothing: NoPrefixAvail: words"), "{refused}");
    assert_eq!(line.events(), [Event::Failed(refused), Event::Informed]);
    assert!((8..=12).contains(&line.count(MessageType::Solicit, line.after(3600))), "it goes on");

    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    for _ in 0..4 {
        line.expect(MessageType::Solicit, 5);
    }
    let request = line.expect(MessageType::InformationRequest, 1);
    line.hear(&answer(&request, MessageType::Reply, b"server", []));
    assert!(line.client.facts(line.now).is_informed(), "that it has nothing to say is said too");
}
