//! The cache: for how long, for whom, and within bounds.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[test]
fn a_kept_answer_is_given_with_what_is_left_of_its_time() {
    let mut play = Play::usual();
    let records = [alias("www.example.jp", 3600, "host.example.jp"), a("host.example.jp", 60, [192, 0, 2, 1])];
    play.through(&question(1, "www.example.jp", RecordType::A), &records);
    play.pass(25.0);
    play.ask(host(3), &question(2, "WWW.example.JP", RecordType::A));
    let answer = play.answer();
    assert_eq!(answer.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [3575, 35]);
    play.pass(35.0);
    play.ask(host(3), &question(3, "www.example.jp", RecordType::A));
    assert_eq!((play.sent.len(), play.answers.len()), (2, 0), "asked anew");
}

/// RFC 2308 2, 3, 5; RFC 2181 8.
#[test]
fn what_is_not_there_is_kept_as_long_as_the_zone_says() {
    use ResponseCode::{NXDomain, NoError};
    let rows: [(_, _, &[Record], &[Record], f64); 9] = [
        ("NXDOMAIN: the lesser of TTL and minimum", NXDomain, &[], &[soa("jp", 900, 30)], 30.0),
        ("its TTL", NXDomain, &[], &[soa("jp", 20, 30)], 20.0),
        ("three hours at most", NXDomain, &[], &[soa("jp", 99_999, 99_999)], 10_800.0),
        ("without SOA", NXDomain, &[], &[], 0.0),
        ("NODATA", NoError, &[], &[soa("jp", 900, 30)], 30.0),
        ("NODATA without SOA", NoError, &[], &[], 0.0),
        ("an alias alone", NoError, &[alias("x.jp", 60, "y.jp")], &[], 0.0),
        ("an alias to nothing", NXDomain, &[alias("x.jp", 10, "y.jp")], &[soa("jp", 900, 30)], 10.0),
        ("a TTL with the highest bit", NoError, &[a("x.jp", 1 << 31, [192, 0, 2, 1])], &[], 0.0),
    ];
    for (what, code, answers, authorities, seconds) in rows {
        let mut play = Play::usual();
        play.ask(host(2), &question(1, "x.jp", RecordType::A));
        let sent = play.last_sent();
        play.reply(&sent, &sent.reply(code, answers, authorities));
        assert_eq!(play.answer().metadata.response_code, code, "{what}");
        if seconds > 0.0 {
            play.pass(seconds - 0.1);
            play.ask(host(2), &question(2, "x.jp", RecordType::A));
            assert_eq!(play.sent.len(), 1, "{what}: kept");
            assert_eq!(play.answer().metadata.response_code, code, "{what}");
        }
        play.pass(0.2);
        play.ask(host(2), &question(3, "x.jp", RecordType::A));
        assert_eq!(play.sent.len(), 2, "{what}: no longer");
    }
}

/// No answer is kept for more than a day, whatever it says.
#[test]
fn a_day_is_the_longest() {
    let mut play = Play::usual();
    play.through(&question(1, "x.jp", RecordType::A), &[a("x.jp", 1_000_000, [192, 0, 2, 1])]);
    play.pass(86_399.0);
    play.ask(host(2), &question(2, "x.jp", RecordType::A));
    assert_eq!(play.answer().answers[0].ttl, 1_000_000 - 86_399);
    play.pass(2.0);
    play.ask(host(2), &question(3, "x.jp", RecordType::A));
    assert_eq!(play.sent.len(), 2);
}

/// RFC 6840 5.7, 5.9; RFC 4035 4.7: what was asked with other flags is another question.
#[test]
fn flags_edns_and_do_have_answers_of_their_own() {
    let mut play = Play::usual();
    let plain = |id| question(id, "x.jp", RecordType::A);
    let mut checking = plain(2);
    checking.metadata.checking_disabled = true;
    let mut authentic = plain(3);
    authentic.metadata.authentic_data = true;
    let kinds = [plain(1), checking, authentic, with_edns(plain(4), 1232, false), with_edns(plain(5), 1232, true)];
    for (n, kind) in kinds.iter().enumerate() {
        play.through(kind, &[a("x.jp", 60, [192, 0, 2, n as u8])]);
    }
    assert_eq!(play.sent.len(), kinds.len());
    for (n, kind) in kinds.iter().enumerate() {
        play.ask(host(3), kind);
        assert_eq!(play.answer().answers, [a("x.jp", 60, [192, 0, 2, n as u8])]);
    }
    assert_eq!(play.sent.len(), kinds.len());
    // RD clear: whoever asks so wants to know what the resolver has, not what we have (RFC 1035 4.1.1).
    let mut iterative = plain(6);
    iterative.metadata.recursion_desired = false;
    play.through(&iterative, &[a("x.jp", 60, [192, 0, 2, 9])]);
    play.through(&iterative, &[a("x.jp", 60, [192, 0, 2, 9])]);
    assert_eq!(play.sent.len(), kinds.len() + 2);
}

/// A record beside an answer is no answer to another question (RFC 5452 6, RFC 2181 5.4.1).
#[test]
fn a_record_that_comes_beside_is_not_believed() {
    let mut play = Play::usual();
    let poison = [a("x.jp", 60, [192, 0, 2, 1]), a("bank.example", 60, [203, 0, 113, 66])];
    play.through(&question(1, "x.jp", RecordType::A), &poison);
    play.ask(host(2), &question(2, "bank.example", RecordType::A));
    assert_eq!((play.sent.len(), play.answers.len()), (2, 0));
}

#[test]
fn other_resolvers_make_what_was_kept_forgotten() {
    let mut play = Play::usual();
    play.through(&question(1, "x.jp", RecordType::A), &[a("x.jp", 60, [192, 0, 2, 1])]);
    play.forwarder.set(Settings { drops_aaaa: true, ..usual() });
    assert_eq!(play.forwarder.kept().0, 1);
    play.forwarder.set(Settings { servers: vec![server(3)], ..usual() });
    assert_eq!(play.forwarder.kept(), (0, 0));
}

#[test]
fn memory_is_bounded_and_the_longest_unused_goes_first() {
    let mut play = Play::new(Settings { cache_bytes: 20_000, ..usual() });
    for n in 0..500u16 {
        play.pass(0.01);
        play.through(&question(n, &format!("n{n}.jp"), RecordType::A), &[a(&format!("n{n}.jp"), 600, [192, 0, 2, 1])]);
        // One that is asked for all the time.
        play.ask(host(3), &question(n, "n0.jp", RecordType::A));
        play.answer();
        assert!(play.forwarder.kept().1 <= 20_000);
    }
    assert_eq!(play.sent.len(), 500);
    assert!((20..100).contains(&play.forwarder.kept().0));
    play.forwarder.set(Settings { cache_bytes: 0, ..usual() });
    assert_eq!(play.forwarder.kept(), (0, 0));
}

/// What the model of a cache knows: what was said, when, for how long.
#[derive(Default)]
struct Model(HashMap<u8, (u64, u32, [u8; 4])>);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 300 }))]

    /// Whatever is asked in whatever order: what is given was said less than its time ago, with what is left of that.
    #[test]
    fn the_cache_is_a_table_of_what_was_said(
        steps in prop::collection::vec((0u8..6, 0u32..50, 0u64..30, any::<[u8; 4]>()), 1..60),
    ) {
        let mut play = Play::usual();
        let mut model = Model::default();
        let mut seconds = 1u64;
        for (which, ttl, later, address) in steps {
            seconds += later;
            play.now = at(seconds as f64);
            let name = format!("n{which}.jp");
            let asked = play.sent.len();
            play.ask(host(2), &question(1, &name, RecordType::A));
            let kept = model.0.get(&which).filter(|(since, ttl, _)| seconds - since < u64::from(*ttl));
            if let Some(&(since, ttl, address)) = kept {
                prop_assert_eq!(play.sent.len(), asked);
                prop_assert_eq!(play.answer().answers, [a(&name, ttl - (seconds - since) as u32, address)]);
            } else {
                prop_assert_eq!(play.sent.len(), asked + 1);
                let sent = play.last_sent();
                play.reply(&sent, &sent.reply(ResponseCode::NoError, &[a(&name, ttl, address)], &[]));
                prop_assert_eq!(play.answer().answers, [a(&name, ttl, address)]);
                model.0.insert(which, (seconds, ttl, address));
            }
        }
    }
}
