//! What goes through as it came (RFC 5625), and what does not.

use super::*;

#[test]
fn a_question_goes_on_and_its_answer_comes_back_with_id_and_letters_of_the_host() {
    let mut play = Play::usual();
    play.ask(host(2), &question(0x1234, "WwW.eXample.jp", RecordType::A));
    let sent = play.last_sent();
    assert_eq!(sent.server, server(1));
    assert_eq!(sent.message().queries[0].name(), &name("www.example.jp"));
    play.reply(&sent, &sent.reply(ResponseCode::NoError, &[a("www.example.jp", 60, [192, 0, 2, 1])], &[]));
    let [(to, bytes)] = &play.answers[..] else { panic!("one answer") };
    assert_eq!(*to, host(2));
    assert_eq!(bytes[..2], [0x12, 0x34]);
    assert_eq!(bytes[12..28], *b"\x03WwW\x07eXample\x02jp\0");
    assert_eq!(Message::from_vec(bytes).unwrap().answers, [a("www.example.jp", 60, [192, 0, 2, 1])]);
    assert_eq!(play.closed, [sent.port]);
}

/// RFC 5625 3, 4.1: flags, types and records that no one here knows.
#[test]
fn what_is_unknown_goes_through_byte_by_byte() {
    let mut play = Play::usual();
    // Type 65280 (private use), AD, CD and the bit that is kept for later.
    let question = b"\xab\xcd\x01\x70\0\x01\0\0\0\0\0\0\x01x\x02jp\0\xff\x00\0\x01";
    play.ask_bytes(host(2), question);
    let sent = play.last_sent();
    assert_eq!(sent.bytes[2..4], question[2..4]);
    assert_eq!(sent.bytes[18..], question[18..]);
    let records = b"\xc0\x0c\xff\x00\0\x01\0\0\0\x3c\0\x03\x01\x02\x03";
    let mut reply = [&sent.bytes[..], records].concat();
    (reply[2], reply[3], reply[7]) = (0x81, 0xf0, 1);
    play.reply_bytes(&sent, &reply);
    let (_, answer) = &play.answers[0];
    assert_eq!(answer[2..4], [0x81, 0xf0]);
    assert_eq!(answer[answer.len() - records.len()..], *records);
}

/// RFC 5625 4.4.2, RFC 3225 3: EDNS and DO reach the resolver; the size is what paths carry (RFC 9715 3.1).
#[test]
fn edns_goes_on() {
    let mut play = Play::usual();
    play.ask(host(2), &with_edns(question(1, "example.jp", RecordType::A), 4096, true));
    let edns = play.last_sent().message().edns.unwrap();
    assert!(edns.flags().dnssec_ok && edns.max_payload() == 1232);
    play.ask(host(2), &question(2, "example.jp", RecordType::A));
    assert_eq!(play.last_sent().message().edns, None, "who asks without is not asked for with");
}

/// RFC 7873 5: a cookie is between two; it is not passed on, and no reason to ask again. Other options may be answered for one
/// host alone, so they go on and the answer is not kept.
#[test]
fn options_of_one_hop_stay_and_others_go_on() {
    let with_option = |id: u16, option: u16| {
        let mut bytes = with_edns(question(id, "example.jp", RecordType::A), 1232, false).to_vec().unwrap();
        let at = bytes.len() - 2;
        bytes[at..].copy_from_slice(&[0, 12]);
        bytes.extend([&option.to_be_bytes()[..], &[0, 8, 1, 2, 3, 4, 5, 6, 7, 8]].concat());
        bytes
    };
    let mut play = Play::usual();
    for id in [1, 2] {
        play.ask_bytes(host(2), &with_option(id, 10));
        if id == 1 {
            let sent = play.last_sent();
            assert!(!sent.bytes.ends_with(&[5, 6, 7, 8]));
            play.reply(&sent, &sent.reply(ResponseCode::NoError, &[a("example.jp", 60, [192, 0, 2, 1])], &[]));
        }
    }
    assert_eq!((play.answers.len(), play.sent.len()), (2, 1));
    for id in [3, 4] {
        play.ask_bytes(host(2), &with_option(id, 65001));
        let sent = play.last_sent();
        assert!(sent.bytes.ends_with(&[5, 6, 7, 8]));
        play.reply(&sent, &sent.reply(ResponseCode::NoError, &[a("example.jp", 60, [192, 0, 2, 1])], &[]));
    }
    assert_eq!((play.answers.len(), play.sent.len()), (4, 3));
}

/// RFC 5625 4.5, RFC 8945 5.5: of a signed message only the id changes.
#[test]
fn a_signed_question_keeps_its_bytes() {
    let mut bytes = question(7, "EXAMPLE.jp", RecordType::A).to_vec().unwrap();
    bytes[11] = 1;
    // TSIG (type 250, class ANY).
    bytes.extend(b"\x03key\0\x00\xfa\x00\xff\0\0\0\0\0\x04\x01\x02\x03\x04");
    let mut play = Play::usual();
    for _ in 0..20 {
        play.ask_bytes(host(2), &bytes);
        let sent = play.last_sent();
        assert_eq!(sent.bytes[2..], bytes[2..]);
        play.reply(&sent, &Message::from_vec(&reply_to(&sent)).unwrap());
    }
}

fn reply_to(sent: &Sent) -> Vec<u8> {
    let mut reply = sent.bytes[..28].to_vec();
    (reply[2], reply[11]) = (0x81, 0);
    reply
}

/// RFC 5625 4.4.1: a truncated answer stays one, with what it has.
#[test]
fn an_answer_that_is_cut_stays_cut_and_is_not_kept() {
    let mut play = Play::usual();
    for id in [1, 2] {
        play.ask(host(2), &question(id, "example.jp", RecordType::TXT));
        let sent = play.last_sent();
        let mut reply = sent.reply(ResponseCode::NoError, &[], &[]);
        reply.metadata.truncation = true;
        play.reply(&sent, &reply);
        assert!(play.answer().metadata.truncation);
    }
    assert_eq!(play.sent.len(), 2);
}

/// RFC 2181 9, RFC 6891 7: more than the host takes is cut, and the OPT record stays.
#[test]
fn an_answer_that_does_not_fit_is_cut() {
    let mut play = Play::usual();
    let many: Vec<Record> = (0..40).map(|n| a("example.jp", 60, [192, 0, 2, n])).collect();
    let whole = play.through(&question(1, "example.jp", RecordType::A), &many);
    assert!(whole.metadata.truncation && whole.answers.is_empty() && whole.queries.len() == 1);
    assert!(whole.to_vec().unwrap().len() < 512);
    let roomy = with_edns(question(2, "example.jp", RecordType::A), 1232, false);
    play.ask(host(2), &roomy);
    let sent = play.last_sent();
    let reply = with_edns(sent.reply(ResponseCode::NoError, &many, &[]), 1232, false);
    play.reply(&sent, &reply);
    assert_eq!(play.answer().answers.len(), 40);
    play.ask(host(3), &with_edns(question(3, "example.jp", RecordType::A), 512, false));
    let cut = play.answer();
    assert!(cut.metadata.truncation && cut.answers.is_empty() && cut.edns.is_some());
}

/// RFC 1035 4.1.1, RFC 9619: what is no question is answered as such, or not at all.
#[test]
fn what_is_no_question_is_refused_or_met_with_silence() {
    let plain = question(9, "example.jp", RecordType::A).to_vec().unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = plain.clone();
        bytes[at] = byte;
        bytes
    };
    let rows = [
        ("a response", with(2, 0x81), None),
        ("cut in the header", plain[..11].to_vec(), None),
        ("an update (RFC 2136)", with(2, 0x28), Some(ResponseCode::NotImp)),
        ("two questions", with(5, 2), Some(ResponseCode::FormErr)),
        ("none", with(5, 0), Some(ResponseCode::FormErr)),
        ("an answer in it", with(7, 1), Some(ResponseCode::FormErr)),
        ("cut in the name", plain[..16].to_vec(), Some(ResponseCode::FormErr)),
        ("a pointer for a name", with(12, 0xc0), Some(ResponseCode::FormErr)),
        ("records that are not there", with(11, 3), Some(ResponseCode::FormErr)),
    ];
    for (what, bytes, code) in rows {
        let mut play = Play::usual();
        play.ask_bytes(host(2), &bytes);
        assert!(play.sent.is_empty(), "{what}");
        match code {
            None => assert!(play.answers.is_empty(), "{what}"),
            Some(code) => {
                let answer = play.answer();
                assert_eq!((answer.metadata.response_code, answer.id), (code, 9), "{what}");
            }
        }
    }
}
