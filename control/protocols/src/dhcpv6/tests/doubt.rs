//! Evidence that the line may be another, with the link up all the time (RFC 8415 18.2.12 knows only the link's).

use super::*;

/// A Rebind at once; nobody answers it, and others are looked for while the lease is used.
fn looks_for_others() -> Line {
    let mut line = Line::new(|_| ());
    line.bind();
    line.client.doubt(line.now);
    assert_eq!(asked(&line.expect(MessageType::Rebind, 1)), [PREFIX]);
    assert_eq!(line.client.state(), State::Verifying);
    let sent = line.pass(line.after(10));
    assert!(sent.iter().all(|message| message.msg_type() == MessageType::Rebind), "for ten seconds");
    assert_eq!(asked(&line.expect(MessageType::Solicit, 2)), [PREFIX]);
    assert_eq!((line.client.state(), line.client.prefixes().len()), (State::Soliciting, 1));
    assert!(line.events().is_empty());
    line
}

/// Solicit, Advertise, Request and Reply of another server.
fn delegates(line: &mut Line, prefix: &str) -> Vec<Event> {
    let solicit = line.expect_beside(MessageType::Solicit, 10);
    line.hear(&answer(&solicit, MessageType::Advertise, b"new", [lease(&[(prefix, 7200)], 0, 0)]));
    let request = line.expect_beside(MessageType::Request, 2);
    assert_eq!(line.client.prefixes().len(), 1, "used all the while");
    line.hear(&answer(&request, MessageType::Reply, b"new", [lease(&[(prefix, 7200)], 3600, 5760), dns(1)]));
    line.events()
}

#[test]
fn another_prefix_is_found() {
    let mut line = looks_for_others();
    let changed = Event::Changed { old: vec![prefix(PREFIX)], new: vec![prefix(OTHER)], addresses: vec![] };
    assert_eq!(delegates(&mut line, OTHER), [changed]);
    assert_eq!(line.client.state(), State::Bound);
}

#[test]
fn the_same_prefix_is_renewed() {
    let mut line = looks_for_others();
    assert_eq!(delegates(&mut line, PREFIX), [Event::Renewed]);
}

/// Nobody is there: it is asked about while it lasts, renewed at T1, and over at its end.
#[test]
fn nobody_answers_at_all() {
    let mut line = looks_for_others();
    let end = line.client.prefixes()[0].valid_until.unwrap();
    let sent = line.pass(end);
    for kind in [MessageType::Solicit, MessageType::InformationRequest, MessageType::Renew, MessageType::Rebind] {
        assert!(sent.iter().any(|message| message.msg_type() == kind), "{kind:?}");
    }
    assert_eq!(line.events().last(), Some(&Event::Lost { prefixes: vec![prefix(PREFIX)], addresses: vec![] }));
    line.count(MessageType::Solicit, line.after(2));
    assert_eq!(line.client.state(), State::Soliciting);
}

/// A Rebind that is answered settles it.
#[test]
fn the_line_is_the_same() {
    let mut line = Line::new(|_| ());
    line.bind();
    line.client.doubt(line.now);
    let rebind = line.expect(MessageType::Rebind, 1);
    line.hear(&answer(&rebind, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 3600, 5760)]));
    assert_eq!(line.events(), [Event::Renewed]);
    assert!(line.pass(line.after(3599)).is_empty());
}

/// Doubts that come again and again begin nothing anew.
#[test]
fn doubts_in_a_row() {
    let mut line = Line::new(|_| ());
    line.bind();
    let end = line.after(60);
    let mut sent = Vec::new();
    while line.now < end {
        line.client.doubt(line.now);
        let next = line.after(1);
        sent.extend(line.pass(next));
    }
    let count = |kind| sent.iter().filter(|message| message.msg_type() == kind).count();
    assert!((3..=6).contains(&count(MessageType::Rebind)), "1, 2, 4 s in 10 s");
    // In the other 50 s. A wait of more than 8 s is cut short: four in 8 s if all come out so.
    assert!((6..=26).contains(&count(MessageType::Solicit)), "1, 2, 4, 8 s: {}", count(MessageType::Solicit));
}

/// RFC 8415 18.2.12: the link's coming up is no doubt, and becomes one.
#[test]
fn link_up_and_then_a_doubt() {
    let mut line = Line::new(|_| ());
    line.bind();
    line.client.link_up(line.now);
    let rebind = line.expect(MessageType::Rebind, 1);
    line.client.doubt(line.now);
    assert_eq!(line.expect(MessageType::Rebind, 2).xid(), rebind.xid(), "not begun anew");
    line.pass(line.after(8));
    line.expect(MessageType::Solicit, 3);
}

/// Without leases, and with information alone, a long wait is cut short.
#[test]
fn a_long_wait_is_cut_short() {
    for (mode, kind) in [(Mode::Stateful, MessageType::Solicit), (Mode::Stateless, MessageType::InformationRequest)] {
        let mut line = Line::new(|_| ());
        line.client.set_mode(line.now, mode);
        line.pass(line.after(3000));
        line.client.doubt(line.now);
        let sent = line.sends();
        assert!(sent.iter().any(|message| message.msg_type() == kind), "at once");
        assert!((3..=4).contains(&line.count(kind, line.after(10))), "1, 2, 4 s: its waits begin anew");
    }
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateless);
    let request = line.expect(MessageType::InformationRequest, 1);
    line.hear(&answer(&request, MessageType::Reply, b"server", [dns(1)]));
    line.client.doubt(line.now);
    let again = line.expect(MessageType::InformationRequest, 1);
    assert_ne!(again.xid(), request.xid());
    assert_eq!(line.client.information().dns.len(), 1, "used until it is answered");

    let mut off = Line::new(|_| ());
    off.client.doubt(off.now);
    assert_eq!(off.client.poll_timeout(), None);
}

/// RFC 8415 18.2.3: with nothing but an address it is a Confirm, and then a Solicit.
#[test]
fn an_address_alone() {
    let mut line = Line::new(|config| config.want = Want::Address);
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", [address("2001:db8::9", 1000)]));
    let request = line.expect(MessageType::Request, 2);
    line.hear(&answer(&request, MessageType::Reply, b"server", [address("2001:db8::9", 1000)]));
    line.client.doubt(line.now);
    line.expect(MessageType::Confirm, 1);
    assert!(line.count(MessageType::Solicit, line.after(13)) > 0);
    assert_eq!(line.client.addresses().len(), 1);
}
