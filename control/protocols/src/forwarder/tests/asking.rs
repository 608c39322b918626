//! Upstream: whom, how often, and what is believed.

use super::*;

#[test]
fn who_does_not_answer_comes_after_the_others() {
    let mut play = Play::usual();
    play.ask(host(2), &question(1, "x.jp", RecordType::A));
    play.wait();
    let asked: Vec<_> = play.sent.iter().map(|sent| sent.server).collect();
    assert_eq!(asked, [server(1), server(2)]);
    let sent = play.last_sent();
    play.reply(&sent, &sent.reply(ResponseCode::NoError, &[a("x.jp", 60, [192, 0, 2, 1])], &[]));
    assert_eq!(play.answer().answers.len(), 1);
    play.ask(host(2), &question(2, "y.jp", RecordType::A));
    assert_eq!(play.last_sent().server, server(2), "the first was silent a moment ago");
    assert_eq!(play.forwarder.servers(play.now), [(server(1), false), (server(2), true)]);
    play.pass(31.0);
    play.ask(host(2), &question(3, "z.jp", RecordType::A));
    assert_eq!(
        play.sent.iter().rev().find(|sent| sent.message().queries[0].name() == &name("z.jp")).unwrap().server,
        server(1)
    );
}

/// An answer that comes late is an answer.
#[test]
fn a_slow_resolver_is_heard_while_another_is_asked() {
    let mut play = Play::usual();
    play.ask(host(2), &question(1, "x.jp", RecordType::A));
    let first = play.last_sent();
    play.wait();
    play.reply(&first, &first.reply(ResponseCode::NoError, &[a("x.jp", 60, [192, 0, 2, 1])], &[]));
    assert_eq!(play.answer().answers.len(), 1);
    let mut ports: Vec<u16> = play.sent.iter().map(|sent| sent.port).collect();
    ports.sort_unstable();
    play.closed.sort_unstable();
    assert_eq!(play.closed, ports);
}

#[test]
fn nobody_answers_and_the_host_is_told_before_it_gives_up() {
    let mut play = Play::usual();
    play.ask(host(2), &question(1, "x.jp", RecordType::A));
    while play.answers.is_empty() {
        play.wait();
    }
    assert_eq!(play.answer().metadata.response_code, ResponseCode::ServFail);
    assert!(play.now < at(6.0), "resolv.conf(5): five seconds");
    assert_eq!((play.sent.len(), play.forwarder.open(), play.forwarder.poll_timeout()), (4, 0, None));
    assert_eq!(play.forwarder.counts.unanswered, 1);
    // RFC 9520 3.2: it is kept that it failed.
    play.ask(host(3), &question(2, "x.jp", RecordType::A));
    assert_eq!((play.answer().metadata.response_code, play.sent.len()), (ResponseCode::ServFail, 4));
}

#[test]
fn without_resolvers_hosts_are_told_at_once() {
    let mut play = Play::new(Settings::default());
    play.ask(host(2), &question(1, "x.jp", RecordType::A));
    assert_eq!(play.answer().metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn who_cannot_is_followed_by_who_can_and_else_passed_on() {
    let mut play = Play::usual();
    play.ask(host(2), &question(1, "x.jp", RecordType::A));
    let first = play.last_sent();
    play.reply(&first, &first.reply(ResponseCode::Refused, &[], &[]));
    let second = play.last_sent();
    assert_eq!((second.server, play.answers.len()), (server(2), 0));
    play.reply(&second, &second.reply(ResponseCode::NoError, &[a("x.jp", 60, [192, 0, 2, 1])], &[]));
    assert_eq!(play.answer().metadata.response_code, ResponseCode::NoError);

    play.ask(host(2), &question(2, "y.jp", RecordType::A));
    for code in [ResponseCode::Refused, ResponseCode::NotImp] {
        let sent = play.last_sent();
        play.reply(&sent, &sent.reply(code, &[], &[]));
    }
    assert_eq!(play.answer().metadata.response_code, ResponseCode::NotImp);
}

/// RFC 5452 9: id, port, address and port of the resolver, the question and its letters.
#[test]
fn only_the_answer_to_the_question_is_heard() {
    let mut play = Play::usual();
    play.ask(host(2), &question(1, "a-name-of-many-letters.example.jp", RecordType::A));
    let sent = play.last_sent();
    let right = sent.reply(ResponseCode::NoError, &[a("a-name-of-many-letters.example.jp", 60, [192, 0, 2, 1])], &[]);
    let bytes = right.to_vec().unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] ^= byte;
        bytes
    };
    let wrong = [
        ("id", with(0, 1)),
        ("a query", with(2, 0x80)),
        ("opcode", with(2, 0x08)),
        ("no question", with(5, 1)),
        ("another name", with(13, 3)),
        ("another type", with(12 + 35 + 1, 1)),
        ("cut", bytes[..20].to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in wrong {
        play.reply_bytes(&sent, &bytes);
        assert_eq!(play.forwarder.counts.replies, 0, "{what}");
    }
    for (from, port) in
        [((server(9), PORT), sent.port), ((sent.server, 5353), sent.port), ((sent.server, PORT), sent.port ^ 1)]
    {
        play.forwarder.handle_reply(play.now, from, port, &bytes);
    }
    assert_eq!((play.answers.len(), play.forwarder.counts.foreign), (0, 11));
    play.reply_bytes(&sent, &bytes);
    assert_eq!(play.answers.len(), 1);
}

/// A resolver that answers in its own letters is asked again without ours; a guess gains nothing.
#[test]
fn letters_are_mixed_until_a_resolver_loses_them() {
    let mut play = Play::usual();
    let text = "a-name-of-many-letters.example.jp";
    let mut letters = std::collections::HashSet::new();
    for n in 0..20 {
        play.ask(host(2), &question(n, &format!("n{n}.{text}"), RecordType::A));
        letters.insert(play.last_sent().bytes[16..45].to_vec());
    }
    assert!(letters.len() > 15);
    let sent = play.last_sent();
    let mut small = sent.reply(ResponseCode::NoError, &[], &[]).to_vec().unwrap();
    small[12..].make_ascii_lowercase();
    play.reply_bytes(&sent, &small);
    assert!(play.answers.is_empty(), "not believed");
    let again = play.last_sent();
    assert_ne!(again.id(), sent.id());
    assert_eq!(again.server, server(2));
    // The first one is asked without from now on.
    play.ask(host(2), &question(99, "Another.Example.jp", RecordType::A));
    let plain = play.last_sent();
    assert_eq!(plain.bytes[12..32], b"\x07Another\x07Example\x02jp\0"[..]);
    let mut small = plain.reply(ResponseCode::NoError, &[], &[]).to_vec().unwrap();
    small[12..].make_ascii_lowercase();
    play.reply_bytes(&plain, &small);
    assert_eq!(play.answer().queries[0].name().to_ascii(), "Another.Example.jp.");
}

impl Sent {
    fn id(&self) -> &[u8] {
        &self.bytes[..2]
    }
}

/// RFC 5452 5: one question is open once, whoever asks.
#[test]
fn the_same_question_is_asked_once_and_all_are_answered() {
    let mut play = Play::usual();
    for n in 2..40 {
        play.ask(host(n), &question(n.into(), "x.jp", RecordType::A));
        play.ask(host(n), &question(n.into(), "x.jp", RecordType::A));
    }
    assert_eq!(play.sent.len(), 1);
    let sent = play.last_sent();
    play.reply(&sent, &sent.reply(ResponseCode::NoError, &[a("x.jp", 0, [192, 0, 2, 1])], &[]));
    assert_eq!(play.answers.len(), 38);
    for (client, bytes) in &play.answers {
        assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), client.port - 4000);
    }
}

#[test]
fn a_broken_answer_is_none() {
    let mut play = Play::usual();
    play.ask(host(2), &question(1, "x.jp", RecordType::A));
    for _ in 0..2 {
        let sent = play.last_sent();
        let mut bytes = sent.reply(ResponseCode::NoError, &[a("x.jp", 60, [192, 0, 2, 1])], &[]).to_vec().unwrap();
        bytes.pop();
        play.reply_bytes(&sent, &bytes);
    }
    assert_eq!(play.answer().metadata.response_code, ResponseCode::ServFail);
}

/// A host that floods uses up neither the line nor another's questions.
#[test]
fn a_flood_of_one_host_leaves_room_for_others() {
    let mut play = Play::usual();
    for n in 0..5000u16 {
        play.ask(host(2), &question(n, &format!("n{n}.jp"), RecordType::A));
    }
    assert_eq!((play.sent.len(), play.forwarder.open()), (200, 200));
    assert_eq!(play.forwarder.counts.limited, 4800);
    play.ask(host(3), &question(1, "x.jp", RecordType::A));
    assert_eq!(play.sent.len(), 201);
    for n in 0..5000u16 {
        play.ask(host((n % 200) as u8 + 4), &question(n, &format!("m{n}.jp"), RecordType::A));
    }
    assert_eq!(play.forwarder.open(), MAX_PENDING);
    while play.forwarder.open() > 0 {
        play.wait();
    }
    assert_eq!(play.forwarder.poll_timeout(), None);
    let mut ports: Vec<u16> = play.sent.iter().map(|sent| sent.port).collect();
    ports.sort_unstable();
    play.closed.sort_unstable();
    assert_eq!(play.closed, ports, "every port is closed, once");
}
