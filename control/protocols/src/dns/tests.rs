//! Resolvers that answer, resolvers that do not, and others who do.

use std::net::Ipv6Addr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{AAAA, CNAME, SOA, TXT};
use hickory_proto::rr::{RData, Record};
use proptest::prelude::*;

use super::*;
use hikyaku_capture::Reader;

const AFTR: &str = "gw.transix.jp";

fn server(n: u8) -> IpAddr {
    Ipv6Addr::new(0x2409, 0, 0, 0, 0, 0, 0, n.into()).into()
}

fn at(seconds: f64) -> Time {
    Time::default() + Duration::from_secs_f64(seconds)
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

fn aaaa(owner: &str, ttl: u32, last: u16) -> Record {
    Record::from_rdata(name(owner), ttl, RData::AAAA(AAAA::new(0x2404, 0x8e00, 0, 0, 0, 0, 0xfeed, last)))
}

fn alias(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
}

fn soa(zone: &str, ttl: u32, minimum: u32) -> Record {
    Record::from_rdata(name(zone), ttl, RData::SOA(SOA::new(name(zone), name(zone), 1, 1, 1, 1, minimum)))
}

/// A message on the wire.
#[derive(Clone)]
struct Sent {
    server: IpAddr,
    port: u16,
    query: Message,
}

impl Sent {
    fn reply(&self, code: ResponseCode, answers: &[Record], authorities: &[Record]) -> Message {
        let mut reply = Message::new(self.query.id, MessageType::Response, OpCode::Query);
        reply.metadata.response_code = code;
        reply.add_queries(self.query.queries.iter().cloned());
        reply.add_answers(answers.iter().cloned());
        reply.add_authorities(authorities.iter().cloned());
        reply
    }

    fn deliver(&self, names: &mut StubResolver, now: Time, reply: &Message) {
        names.handle_input(now, (self.server, PORT), self.port, &reply.to_vec().unwrap());
    }

    fn answer(
        &self,
        names: &mut StubResolver,
        now: Time,
        code: ResponseCode,
        answers: &[Record],
        authorities: &[Record],
    ) {
        self.deliver(names, now, &self.reply(code, answers, authorities));
    }

    fn asked(&self) -> String {
        self.query.queries[0].name().to_ascii().to_ascii_lowercase()
    }
}

type Answers = Vec<(QueryId, Result<Records, Failure>)>;

fn drain(names: &mut StubResolver, now: Time) -> (Vec<Sent>, Answers) {
    let (mut sent, mut answers) = (Vec::new(), Vec::new());
    while let Some(output) = names.drive(now) {
        match output {
            Output::Send { server, source_port, payload } => {
                let query = Message::from_vec(&payload).unwrap();
                assert!(query.recursion_desired && names.open_ports().any(|p| p == source_port));
                sent.push(Sent { server, port: source_port, query });
            }
            Output::Answer { query, result } => answers.push((query, result)),
            other => panic!("{other:?}"),
        }
    }
    (sent, answers)
}

fn one(names: &mut StubResolver, now: Time) -> Sent {
    let (sent, answers) = drain(names, now);
    assert_eq!((sent.len(), answers.len()), (1, 0), "{answers:?}");
    sent[0].clone()
}

/// Nobody answers: what is sent, when, and how it ends.
fn silence(names: &mut StubResolver) -> (Vec<(f64, IpAddr)>, f64, Answers) {
    let mut all = Vec::new();
    loop {
        let now = names.poll_timeout().unwrap();
        let (sent, answers) = drain(names, now);
        let seconds = now.0 as f64 / 1e9;
        all.extend(sent.iter().map(|s| (seconds, s.server)));
        if !answers.is_empty() {
            return (all, seconds, answers);
        }
    }
}

fn names(servers: u8) -> StubResolver {
    let mut names = StubResolver::new();
    names.set_servers(at(0.0), &(1..=servers).map(server).collect::<Vec<_>>());
    names
}

#[test]
fn an_answer_is_kept_for_its_ttl() {
    let mut names = names(1);
    let first = names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let second = names.ask(at(0.0), "GW.Transix.JP.", RecordType::Aaaa);
    let sent = one(&mut names, at(0.0));
    assert_eq!((sent.asked().as_str(), sent.query.max_payload()), ("gw.transix.jp.", 1232));
    let records = [aaaa(AFTR, 300, 0x100), aaaa(AFTR, 200, 0x101), aaaa(AFTR, 300, 0x100), aaaa("other.jp", 1, 9)];
    sent.answer(&mut names, at(0.1), ResponseCode::NoError, &records, &[]);
    let (_, answers) = drain(&mut names, at(0.1));
    let expected = Records {
        data: Data::Aaaa(vec!["2404:8e00::feed:100".parse().unwrap(), "2404:8e00::feed:101".parse().unwrap()]),
        alias_of: None,
        ttl: Duration::from_secs(200),
    };
    assert_eq!(answers, [(first, Ok(expected.clone())), (second, Ok(expected.clone()))]);
    assert_eq!((names.open_ports().count(), names.poll_timeout()), (0, None));
    // From the cache, with what is left.
    let third = names.ask(at(100.1), AFTR, RecordType::Aaaa);
    let (sent, answers) = drain(&mut names, at(100.1));
    assert_eq!(answers, [(third, Ok(Records { ttl: Duration::from_secs(100), ..expected }))]);
    assert_eq!((sent.len(), names.counts.from_cache), (0, 1));
    // Not for another type, nor after its time.
    names.ask(at(100.1), AFTR, RecordType::A);
    one(&mut names, at(100.1));
    names.ask(at(200.2), AFTR, RecordType::Aaaa);
    assert!(drain(&mut names, at(200.2)).0.iter().any(|s| s.query.queries[0].query_type() == RecordType::Aaaa.wire()));
}

#[test]
fn what_is_kept_is_not_the_answer_to_a_question_anew() {
    let mut names = names(1);
    names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let sent = one(&mut names, at(0.0));
    sent.answer(&mut names, at(0.1), ResponseCode::NoError, &[aaaa(AFTR, 300, 1)], &[]);
    drain(&mut names, at(0.1));
    let anew = names.ask_anew(at(1.0), "GW.Transix.JP.", RecordType::Aaaa);
    let sent = one(&mut names, at(1.0));
    sent.answer(&mut names, at(1.1), ResponseCode::NoError, &[aaaa(AFTR, 300, 2)], &[]);
    let (_, answers) = drain(&mut names, at(1.1));
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (answers[0].0, answers[0].1.as_ref().unwrap().ipv6()),
        (anew, &["2404:8e00::feed:2".parse().unwrap()][..])
    );
    names.ask(at(2.0), AFTR, RecordType::Aaaa);
    assert_eq!(drain(&mut names, at(2.0)).0.len(), 0, "the new one is kept");
}

/// RFC 5452 9: id, address, port, question, letters; and a wrong message does not end the question.
#[test]
fn rfc5452_only_the_answer_is_heard() {
    let mut names = names(2);
    let query = names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let sent = one(&mut names, at(0.0));
    let good = sent.reply(ResponseCode::NoError, &[aaaa(AFTR, 300, 1)], &[]);
    let bytes = good.to_vec().unwrap();
    let mut hear = |from: IpAddr, port, to, change: &dyn Fn(&mut Message)| {
        let mut message = good.clone();
        change(&mut message);
        let before = names.counts.foreign;
        names.handle_input(at(0.1), (from, port), to, &message.to_vec().unwrap());
        assert_eq!(names.counts.foreign, before + 1);
        assert_eq!(drain(&mut names, at(0.1)).1, []);
    };
    hear(server(2), PORT, sent.port, &|_| {});
    hear(sent.server, 5353, sent.port, &|_| {});
    hear(sent.server, PORT, sent.port ^ 1, &|_| {});
    hear(sent.server, PORT, sent.port, &|m| m.metadata.id ^= 1);
    hear(sent.server, PORT, sent.port, &|m| m.metadata.message_type = MessageType::Query);
    hear(sent.server, PORT, sent.port, &|m| m.metadata.op_code = OpCode::Status);
    hear(sent.server, PORT, sent.port, &|m| m.queries.clear());
    hear(sent.server, PORT, sent.port, &|m| m.queries.push(m.queries[0].clone()));
    hear(sent.server, PORT, sent.port, &|m| m.queries[0].name = name("gw.transix.jq"));
    hear(sent.server, PORT, sent.port, &|m| m.queries[0].query_type = RecordType::A.wire());
    for cut in 0..30 {
        names.handle_input(at(0.2), (sent.server, PORT), sent.port, &bytes[..cut.min(11)]);
    }
    assert_eq!((names.counts.foreign, names.counts.replies), (40, 0));
    sent.deliver(&mut names, at(0.3), &good);
    assert!(matches!(&drain(&mut names, at(0.3)).1[..], [(id, Ok(_))] if *id == query));
    // Once more is once too often.
    sent.deliver(&mut names, at(0.4), &good);
    assert_eq!((names.counts.foreign, names.drive(at(0.4))), (41, None));
}

/// RFC 5452 9.2: no two tries alike.
#[test]
fn rfc5452_ids_and_ports_are_new_for_each_try() {
    let mut names = names(1);
    let mut seen = std::collections::HashSet::new();
    let mut letters = std::collections::HashSet::new();
    for i in 0..500 {
        let id = names.ask(at(f64::from(i)), "abcdefgh.example.jp", RecordType::Txt);
        let sent = one(&mut names, at(f64::from(i)));
        assert!(sent.port >= 1024);
        seen.insert((sent.query.id, sent.port));
        letters.insert(sent.query.queries[0].name().to_ascii());
        names.cancel(id);
        assert_eq!(drain(&mut names, at(f64::from(i) + 0.9)).0.len(), 0);
    }
    assert!(seen.len() >= 499 && letters.len() > 400, "{} {}", seen.len(), letters.len());
}

#[test]
fn nobody_answers() {
    let mut alone = names(1);
    let id = alone.ask(at(0.0), AFTR, RecordType::Aaaa);
    let (sent, end, answers) = silence(&mut alone);
    assert_eq!(sent.iter().map(|s| s.0).collect::<Vec<_>>(), [0.0, 1.0, 3.0, 7.0]);
    assert_eq!((end, answers), (15.0, vec![(id, Err(Failure::TimedOut))]));
    assert_eq!((alone.counts.unanswered, alone.poll_timeout()), (4, None));
    let mut two = names(2);
    two.ask(at(0.0), AFTR, RecordType::Aaaa);
    let (sent, end, _) = silence(&mut two);
    let servers: Vec<_> = sent.iter().map(|s| s.1).collect();
    assert_eq!(servers, [server(1), server(2)].repeat(4));
    assert_eq!(end, 30.0);
}

#[test]
fn a_dead_resolver_costs_a_second() {
    let mut names = names(2);
    names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let dead = one(&mut names, at(0.0));
    assert_eq!(drain(&mut names, at(0.99)).0.len(), 0);
    let alive = one(&mut names, at(1.0));
    assert_eq!((dead.server, alive.server), (server(1), server(2)));
    // It was only slow: its answer counts as well.
    dead.answer(&mut names, at(1.1), ResponseCode::NoError, &[aaaa(AFTR, 300, 1)], &[]);
    assert!(matches!(&drain(&mut names, at(1.1)).1[..], [(_, Ok(_))]));
}

#[test]
fn a_failing_resolver_costs_nothing_and_all_failing_little() {
    let mut names = names(2);
    let id = names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let refuse = |names: &mut StubResolver, now, expected| {
        let sent = one(names, now);
        assert_eq!(sent.server, expected);
        sent.answer(names, now, ResponseCode::Refused, &[], &[]);
    };
    refuse(&mut names, at(0.0), server(1));
    refuse(&mut names, at(0.0), server(2));
    assert!(names.drive(at(0.5)).is_none());
    assert_eq!(names.poll_timeout(), Some(at(1.0)));
    refuse(&mut names, at(1.0), server(1));
    let sent = one(&mut names, at(1.0));
    sent.answer(&mut names, at(1.0), ResponseCode::ServFail, &[], &[]);
    let (_, answers) = drain(&mut names, at(1.0));
    assert_eq!(answers, [(id, Err(Failure::ServerFailed(ResponseCode::ServFail)))]);
    // Not kept: the next one asks.
    names.ask(at(1.0), AFTR, RecordType::Aaaa);
    one(&mut names, at(1.0));
}

/// RFC 2308: a no is a no, for as long as the SOA record says; without one it is not kept.
#[test]
fn rfc2308_negative_answers() {
    let mut names = names(2);
    let mut ask = |now: f64, code, authorities: &[Record]| {
        names.ask(at(now), AFTR, RecordType::Aaaa);
        let (sent, cached) = drain(&mut names, at(now));
        if let Some(sent) = sent.first() {
            sent.answer(&mut names, at(now), code, &[], authorities);
        }
        let answers = if cached.is_empty() { drain(&mut names, at(now)).1 } else { cached };
        (sent.len(), answers[0].1.clone().unwrap_err())
    };
    let ttl = |s| Some(Duration::from_secs(s));
    let no = ResponseCode::NXDomain;
    assert_eq!(ask(0.0, no, &[soa("jp", 900, 60)]), (1, Failure::NoSuchName { ttl: ttl(60) }));
    assert_eq!(ask(50.0, no, &[]), (0, Failure::NoSuchName { ttl: ttl(10) }));
    assert_eq!(ask(60.0, ResponseCode::NoError, &[soa("transix.jp", 5, 60)]), (1, Failure::NoData { ttl: ttl(10) }));
    assert_eq!(ask(70.0, ResponseCode::NoError, &[]), (1, Failure::NoData { ttl: None }));
    assert_eq!(ask(70.0, no, &[soa("example.com", 60, 60)]), (1, Failure::NoSuchName { ttl: None }), "a foreign zone");
    assert_eq!(ask(70.0, no, &[soa(".", u32::MAX, 60)]), (1, Failure::NoSuchName { ttl: ttl(10) }), "RFC 2181 8");
    assert_eq!(ask(80.0, no, &[soa(".", 1 << 30, 1 << 30)]), (1, Failure::NoSuchName { ttl: ttl(3 * 3600) }));
    assert!(Failure::NoSuchName { ttl: None }.is_definite() && !Failure::TimedOut.is_definite());
}

#[test]
fn ttl_from_ten_seconds_to_a_day() {
    for (ttl, expected) in [(0, 10), (9, 10), (11, 11), (86_401, 86_400), (u32::MAX, 10)] {
        let mut names = names(1);
        names.ask(at(0.0), AFTR, RecordType::Aaaa);
        let sent = one(&mut names, at(0.0));
        sent.answer(&mut names, at(0.0), ResponseCode::NoError, &[aaaa(AFTR, ttl, 1)], &[]);
        let (_, answers) = drain(&mut names, at(0.0));
        assert_eq!(answers[0].1.as_ref().unwrap().ttl, Duration::from_secs(expected), "{ttl}");
    }
}

fn chain(length: usize) -> Vec<Record> {
    let owner = |i| if i == 0 { AFTR.to_string() } else { format!("a{i}.jp") };
    let mut chain: Vec<_> = (0..length).map(|i| alias(&owner(i), 300 - i as u32, &owner(i + 1))).collect();
    chain.push(aaaa(&owner(length), 1000, 1));
    chain.reverse();
    chain
}

#[test]
fn aliases_are_followed_sixteen_times() {
    for length in 0..20 {
        let mut names = names(1);
        names.ask(at(0.0), AFTR, RecordType::Aaaa);
        let sent = one(&mut names, at(0.0));
        sent.answer(&mut names, at(0.0), ResponseCode::NoError, &chain(length), &[]);
        if length <= MAX_CHAIN {
            let (_, answers) = drain(&mut names, at(0.0));
            let records = answers[0].1.as_ref().unwrap();
            let expected = if length == 0 { 1000 } else { 301 - length as u64 };
            assert_eq!(records.ttl, Duration::from_secs(expected), "the shortest on the way");
            assert_eq!(records.alias_of.is_some(), length > 0);
        } else {
            let (_, _, answers) = silence(&mut names);
            assert_eq!(answers[0].1, Err(Failure::Unusable(Unusable::Chain)));
        }
    }
}

#[test]
fn alias_circles_end() {
    // In one message.
    let mut names = names(1);
    names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let sent = one(&mut names, at(0.0));
    let circle = [alias(AFTR, 60, "a.jp"), alias("a.jp", 60, AFTR)];
    sent.answer(&mut names, at(0.0), ResponseCode::NoError, &circle, &[]);
    assert_eq!(silence(&mut names).2[0].1, Err(Failure::Unusable(Unusable::Chain)));
    // From one question to the next.
    names.ask(at(100.0), AFTR, RecordType::Aaaa);
    let mut asked = Vec::new();
    let end = loop {
        let now = names.poll_timeout().unwrap().max(at(100.0));
        let (sent, answers) = drain(&mut names, now);
        if let Some((_, end)) = answers.into_iter().next() {
            break end;
        }
        for sent in sent {
            asked.push(sent.asked());
            let target = if sent.asked() == "a.jp." { AFTR } else { "a.jp" };
            let step = [alias(&sent.asked(), 60, target)];
            sent.answer(&mut names, at(100.0), ResponseCode::NoError, &step, &[]);
        }
    };
    assert_eq!(end, Err(Failure::Unusable(Unusable::Chain)));
    assert_eq!(asked[..3], ["gw.transix.jp.", "a.jp.", "gw.transix.jp."]);
    assert!(asked.len() <= MAX_CHAIN + 3, "{asked:?}");
}

/// RFC 2308 2.2: an alias without the records of its target and without an SOA record leaves that open.
#[test]
fn an_alias_is_asked_for() {
    let mut names = names(1);
    names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let sent = one(&mut names, at(0.0));
    sent.answer(&mut names, at(0.0), ResponseCode::NoError, &[alias(AFTR, 60, "a.jp")], &[]);
    let sent = one(&mut names, at(0.0));
    assert_eq!(sent.asked(), "a.jp.");
    sent.answer(&mut names, at(0.0), ResponseCode::NoError, &[aaaa("a.jp", 600, 1)], &[]);
    let (_, answers) = drain(&mut names, at(0.0));
    let records = answers[0].1.as_ref().unwrap();
    assert_eq!((records.ttl, records.alias_of.as_deref()), (Duration::from_secs(60), Some("a.jp.")));
    // It is kept under the name that was asked.
    names.ask(at(30.0), AFTR, RecordType::Aaaa);
    assert!(matches!(&drain(&mut names, at(30.0)).1[..], [(_, Ok(_))]));
}

#[test]
fn old_servers_without_edns_or_case() {
    let mut names = names(1);
    names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let sent = one(&mut names, at(0.0));
    // The bare header, as servers of before 1999 answer.
    let mut reply = sent.reply(ResponseCode::FormErr, &[], &[]);
    reply.queries.clear();
    sent.deliver(&mut names, at(0.0), &reply);
    let sent = one(&mut names, at(0.0));
    assert!(sent.query.edns.is_none());
    let mut reply = sent.reply(ResponseCode::NoError, &[aaaa(AFTR, 60, 1)], &[]);
    // Until our letters are others than small ones, so that the server's are not ours.
    let lower = name(AFTR);
    let plain = sent.query.queries[0].name().eq_case(&lower);
    reply.queries[0].set_name(lower.clone());
    sent.deliver(&mut names, at(0.0), &reply);
    if !plain {
        let sent = one(&mut names, at(0.0));
        assert!(sent.query.queries[0].name().eq_case(&lower));
        sent.answer(&mut names, at(0.0), ResponseCode::NoError, &[aaaa(AFTR, 60, 1)], &[]);
    }
    assert!(matches!(&drain(&mut names, at(0.0)).1[..], [(_, Ok(_))]));
    // It stays known.
    names.ask(at(0.0), "other.jp", RecordType::Aaaa);
    assert!(one(&mut names, at(0.0)).query.edns.is_none());
}

#[test]
fn a_long_answer_comes_by_tcp() {
    let mut names = names(2);
    let id = names.ask(at(0.0), "4over6.info", RecordType::Txt);
    let sent = one(&mut names, at(0.0));
    let mut truncated = sent.reply(ResponseCode::NoError, &[], &[]);
    truncated.metadata.truncation = true;
    sent.deliver(&mut names, at(0.0), &truncated);
    let Some(Output::Stream { stream, server: whom, payload }) = names.drive(at(0.0)) else { panic!() };
    assert_eq!((whom, usize::from(payload[0]) << 8 | usize::from(payload[1])), (server(1), payload.len() - 2));
    let query = Message::from_vec(&payload[2..]).unwrap();
    let by_tcp = Sent { server: whom, port: 0, query };
    let text = TXT::from_bytes(vec![&[b'x'; 255], &[b'y'; 255]]);
    let record = Record::from_rdata(name("4over6.info"), 60, RData::TXT(text));
    let reply = by_tcp.reply(ResponseCode::NoError, &vec![record; 9], &[]).to_vec().unwrap();
    let framed = [&(reply.len() as u16).to_be_bytes()[..], &reply].concat();
    for piece in framed.chunks(100) {
        assert_eq!(names.drive(at(1.0)), None);
        names.handle_stream(at(1.0), stream, piece);
    }
    assert_eq!(names.drive(at(1.0)), Some(Output::Close(stream)));
    let Some(Output::Answer { query, result: Ok(records) }) = names.drive(at(1.0)) else { panic!() };
    assert_eq!((query, records.texts().len(), records.texts()[0].joined().len()), (id, 1, 510));

    // Connections that fail, give nothing, or give anything: on to the next resolver.
    for how in 0..4 {
        let id = names.ask(at(10.0), &format!("{how}.info"), RecordType::Txt);
        let sent = one(&mut names, at(10.0));
        let mut truncated = sent.reply(ResponseCode::NoError, &[], &[]);
        truncated.metadata.truncation = true;
        sent.deliver(&mut names, at(10.0), &truncated);
        let Some(Output::Stream { stream, .. }) = names.drive(at(10.0)) else { panic!() };
        let now = match how {
            0 => at(20.0),
            _ => at(11.0),
        };
        match how {
            0 => {}
            1 => names.handle_stream_failed(now, stream),
            2 => names.handle_stream(now, stream, &[0xff; 70_000]),
            _ => names.handle_stream(now, stream, &[0, 4, 1, 2, 3, 4, 5]),
        }
        let mut outputs: Vec<_> = std::iter::from_fn(|| names.drive(now)).collect();
        outputs.retain(|o| !matches!(o, Output::Close(s) if *s == stream));
        assert!(matches!(&outputs[..], [Output::Send { server: s, .. }] if *s == server(2)), "{how}: {outputs:?}");
        names.cancel(id);
        names.handle_stream(now, stream, &[0; 9]);
    }
    // Where no resolver can be connected to it is a failure with a name.
    let mut names = super::tests::names(1);
    names.ask(at(0.0), AFTR, RecordType::Aaaa);
    for round in 0..2 {
        let now = at(f64::from(round));
        let sent = one(&mut names, now);
        let mut truncated = sent.reply(ResponseCode::NoError, &[], &[]);
        truncated.metadata.truncation = true;
        sent.deliver(&mut names, now, &truncated);
        let Some(Output::Stream { stream, .. }) = names.drive(now) else { panic!() };
        names.handle_stream_failed(now, stream);
        assert_eq!(names.drive(now), Some(Output::Close(stream)));
    }
    assert_eq!(drain(&mut names, at(2.0)).1[0].1, Err(Failure::Truncated));
}

/// Other resolvers, another line: what the old ones said is not true any more.
#[test]
fn other_resolvers() {
    let mut names = names(1);
    names.ask(at(0.0), AFTR, RecordType::Aaaa);
    let sent = one(&mut names, at(0.0));
    sent.answer(&mut names, at(0.0), ResponseCode::NoError, &[aaaa(AFTR, 3000, 1)], &[]);
    drain(&mut names, at(0.0));
    names.set_servers(at(1.0), &[server(1), server(1)]);
    names.ask(at(1.0), AFTR, RecordType::Aaaa);
    assert!(matches!(&drain(&mut names, at(1.0)).1[..], [(_, Ok(_))]), "the same as before");
    let open = names.ask(at(2.0), "open.jp", RecordType::Aaaa);
    let old = one(&mut names, at(2.0));
    names.set_servers(at(2.5), &[server(7)]);
    let new = one(&mut names, at(2.5));
    assert_eq!((new.server, new.asked()), (server(7), old.asked()));
    old.answer(&mut names, at(2.6), ResponseCode::NXDomain, &[], &[]);
    assert_eq!(drain(&mut names, at(2.6)).1, []);
    names.ask(at(2.7), AFTR, RecordType::Aaaa);
    one(&mut names, at(2.7));
    names.set_servers(at(3.0), &[]);
    let (_, answers) = drain(&mut names, at(3.0));
    assert!(answers.contains(&(open, Err(Failure::NoResolvers))) && answers.len() == 2);
    let late = names.ask(at(4.0), AFTR, RecordType::Aaaa);
    assert_eq!(drain(&mut names, at(4.0)).1, [(late, Err(Failure::NoResolvers))]);
    names.set_servers(at(5.0), &(0..20).map(server).collect::<Vec<_>>());
    assert_eq!(names.servers().count(), MAX_SERVERS);
}

#[test]
fn bounds() {
    let mut names = names(1);
    for i in 0..MAX_QUERIES {
        names.ask(at(0.0), &format!("n{i}.jp"), RecordType::Aaaa);
    }
    let (sent, _) = drain(&mut names, at(0.0));
    assert_eq!(sent.len(), MAX_QUERIES);
    let ports: std::collections::HashSet<_> = names.open_ports().collect();
    assert_eq!(ports.len(), MAX_QUERIES);
    let busy = names.ask(at(0.0), "one-more.jp", RecordType::Aaaa);
    assert_eq!(drain(&mut names, at(0.0)).1, [(busy, Err(Failure::Busy))]);
    for bad in ["", ".", "a..b", "é.jp", &"a".repeat(64), &"abcdefg.".repeat(40), "with space.jp"] {
        let id = names.ask(at(0.0), bad, RecordType::Aaaa);
        assert_eq!(drain(&mut names, at(0.0)).1, [(id, Err(Failure::BadName(bad.into())))]);
    }
    for good in ["_4over6._udp.example.jp", "a_b.jp", "x"] {
        names.cancel(QueryId(1));
        let id = names.ask(at(0.0), good, RecordType::Txt);
        one(&mut names, at(0.0));
        names.cancel(id);
    }
    let mut names = super::tests::names(1);
    for i in 0..300 {
        let owner = format!("n{i}.jp");
        names.ask(at(0.0), &owner, RecordType::Aaaa);
        let sent = one(&mut names, at(0.0));
        sent.answer(&mut names, at(0.0), ResponseCode::NoError, &[aaaa(&owner, 300 + i, 1)], &[]);
        drain(&mut names, at(0.0));
    }
    assert_eq!(names.cache.len(), cache::MAX_ENTRIES);
    // What ends first went first.
    names.ask(at(0.0), "n299.jp", RecordType::Aaaa);
    assert!(matches!(&drain(&mut names, at(0.0)).1[..], [(_, Ok(_))]));
}

/// Messages of a real resolver and real clients (`dns.pcap.gz`).
#[test]
fn messages_of_unbound() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcap-fixtures/dns.pcap.gz");
    let (mut found, mut no_such_name, mut failed, mut truncated) = (0, 0, 0, 0);
    for frame in Reader::open(capture).unwrap() {
        let frame = frame.unwrap();
        let Ok(sliced) = etherparse::SlicedPacket::from_ethernet(&frame.bytes) else { continue };
        let Some(etherparse::TransportSlice::Udp(ref udp)) = sliced.transport else { continue };
        let Ok(message) = Message::from_vec(udp.payload()) else { continue };
        if udp.source_port() != PORT || sliced.is_ip_payload_fragmented() {
            continue;
        }
        let query = &message.queries[0];
        let record_type = match query.query_type() {
            t if t == RecordType::A.wire() => RecordType::A,
            t if t == RecordType::Aaaa.wire() => RecordType::Aaaa,
            t if t == RecordType::Txt.wire() => RecordType::Txt,
            _ => continue,
        };
        let question = Question { id: message.id, name: query.name().clone(), record_type };
        match question.reply(udp.payload()).unwrap() {
            Reply::Found { .. } => found += 1,
            Reply::NoSuchName { ttl: None } => no_such_name += 1,
            Reply::ServerFailed(ResponseCode::Refused) => failed += 1,
            Reply::Truncated => truncated += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        found > 0 && no_such_name > 0 && failed > 0 && truncated > 0,
        "{found} {no_such_name} {failed} {truncated}"
    );
}

/// RFC 1035 4.1.4: pointers point backwards; others would be a circle or a riddle.
#[test]
fn rfc1035_pointer_loops() {
    let question = Question { id: 7, name: name("a.jp"), record_type: RecordType::Aaaa };
    let head = |answers: u8| [0, 7, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0];
    let asked = b"\x01a\x02jp\0\0\x1c\0\x01";
    let record = |owner: &[u8]| [owner, &[0, 28, 0, 1, 0, 0, 0, 60, 0, 16], &[0x20; 16]].concat();
    let good = [&head(1)[..], asked, &record(&[0xc0, 12])].concat();
    assert!(matches!(question.reply(&good), Ok(Reply::Found { .. })));
    for owner in [&[0xc0, 22][..], &[0xc0, 24], &[0xff, 0xff], &[1, b'a', 0xc0, 22], &[0x40, 0], &[0x80, 0]] {
        let bytes = [&head(1)[..], asked, &record(owner)].concat();
        assert_eq!(question.reply(&bytes), Ok(Reply::Unusable(Unusable::Malformed)), "{owner:?}");
    }
    // The question itself.
    let circle = [&head(0)[..], &[0xc0, 12, 0, 28, 0, 1]].concat();
    assert_eq!(question.reply(&circle), Err(Foreign::Garbage));
    // Counts that promise more than there is cost nothing.
    let mut empty = [&head(0)[..], asked].concat();
    empty[6..12].fill(0xff);
    assert_eq!(question.reply(&empty), Ok(Reply::Unusable(Unusable::Malformed)));
    empty[4..6].fill(0xff);
    assert_eq!(question.reply(&empty), Err(Foreign::Question));
    assert_eq!(question.reply(&[0; MAX_MESSAGE + 1]), Err(Foreign::TooLong));
}

/// A long chain of pointers for each of many records: the worst that fits is still done in time.
#[test]
fn pointer_chains_are_bounded_work() {
    let question = Question { id: 7, name: name("a.jp"), record_type: RecordType::Aaaa };
    let mut bytes = [&[0, 7, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x01a\x02jp\0\0\x1c\0\x01"].concat();
    // One record of an unknown type whose data are pointers, each to the one before.
    bytes.extend([0, 0xff, 0, 0, 1, 0, 0, 0, 0, 0x1f, 0x40]);
    let mut last = 12u16;
    for _ in 0..4000 {
        let here = bytes.len() as u16;
        bytes.extend((0xc000 | last).to_be_bytes());
        last = here;
    }
    let mut records = 1u16;
    while bytes.len() + 16 <= MAX_MESSAGE {
        bytes.extend((0xc000 | last).to_be_bytes());
        bytes.extend([0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1]);
        records += 1;
    }
    bytes[6..8].copy_from_slice(&records.to_be_bytes());
    let begin = std::time::Instant::now();
    let reply = question.reply(&bytes);
    assert!(matches!(reply, Ok(Reply::Unusable(_) | Reply::NoData { .. })), "{reply:?}");
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let question = Question { id: 7, name: name(AFTR), record_type: RecordType::Aaaa };
        let _ = question.reply(&bytes);
        // Behind a right header and question.
        let mut query = question.compose(false);
        query[2] |= 0x80;
        query[6..12].copy_from_slice(&[0, 3, 0, 2, 0, 1]);
        query.extend(&bytes);
        let reply = question.reply(&query);
        prop_assert!(reply.is_ok(), "{reply:?}");
    }

    /// Whatever the resolvers do, every question ends exactly once, in bounded time.
    #[test]
    fn every_question_ends_once(
        servers in 0u8..4,
        asks in prop::collection::vec((0u8..6, 0u32..3000), 1..20),
        behaviour in prop::collection::vec(0u8..8, 1..40),
    ) {
        let mut names = names(servers);
        let mut behaviour = behaviour.iter().cycle();
        let mut asks: Vec<_> = asks.iter().map(|&(n, ms)| (at(f64::from(ms) / 1000.0), n)).collect();
        asks.sort();
        let (mut open, mut ended) = (std::collections::BTreeSet::new(), 0);
        let count = asks.len();
        let mut asks = asks.into_iter().peekable();
        let mut wire: Vec<(Time, Sent, Message)> = Vec::new();
        loop {
            let times = [asks.peek().map(|a| a.0), names.poll_timeout(), wire.iter().map(|w| w.0).min()];
            let Some(now) = times.into_iter().flatten().min() else { break };
            prop_assert!(now < at(100.0), "still open: {open:?}");
            while let Some((_, n)) = asks.next_if(|a| a.0 <= now) {
                open.insert(names.ask(now, &format!("n{n}.jp"), RecordType::Aaaa));
            }
            let arrived: Vec<_> = wire.extract_if(.., |w| w.0 <= now).collect();
            for (_, sent, message) in arrived {
                sent.deliver(&mut names, now, &message);
            }
            let (sent, answers) = drain(&mut names, now);
            for (id, _) in answers {
                prop_assert!(open.remove(&id), "{id:?} ended twice");
                ended += 1;
            }
            for sent in sent {
                let owner = sent.asked();
                let (delay, reply) = match behaviour.next().unwrap() {
                    0 => (0, sent.reply(ResponseCode::NoError, &[aaaa(&owner, 60, 1)], &[])),
                    1 => (1500, sent.reply(ResponseCode::NoError, &[aaaa(&owner, 60, 1)], &[])),
                    2 => (10, sent.reply(ResponseCode::ServFail, &[], &[])),
                    3 => (10, sent.reply(ResponseCode::FormErr, &[], &[])),
                    4 => (10, sent.reply(ResponseCode::NXDomain, &[], &[soa(".", 60, 60)])),
                    5 => (10, sent.reply(ResponseCode::NoError, &[alias(&owner, 60, "n9.jp")], &[])),
                    6 => {
                        let mut reply = sent.reply(ResponseCode::NoError, &[aaaa(&owner, 60, 1)], &[]);
                        reply.queries[0].set_name(name(&owner));
                        (10, reply)
                    }
                    _ => continue,
                };
                wire.push((now + Duration::from_millis(delay), sent, reply));
            }
        }
        prop_assert_eq!((open.len(), ended), (0, count));
    }
}
