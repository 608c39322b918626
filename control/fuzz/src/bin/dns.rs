//! DNS messages of resolvers and of others who would like to be one: only an answer to the question is
//! heard, what is taken from it is bounded, and every question ends.
#![no_main]

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_control_fuzz::{Steps, drain, later};
use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::dns::{
    Data, MAX_CHAIN, MAX_QUERIES, MAX_RECORDS, MAX_SERVERS, Output, PORT, Question, RecordType, Records, Reply,
    StreamId, StubResolver,
};
use libfuzzer_sys::fuzz_target;

/// Questions are of this length, whatever their letters.
const AFTR: &str = "gw.transix.jp.";

fn server(number: u8) -> IpAddr {
    Ipv6Addr::new(0x2409, 0, 0, 0, 0, 0, 0, number.into()).into()
}

fn length(data: &Data) -> usize {
    match data {
        Data::A(list) => list.len(),
        Data::Aaaa(list) => list.len(),
        Data::Txt(list) => list.len(),
    }
}

/// One message, read alone: as an answer to the question that it holds.
fn read(message: &[u8]) {
    let Some(&id) = message.first_chunk::<2>() else { return };
    for record_type in [RecordType::A, RecordType::Aaaa, RecordType::Txt] {
        let name = AFTR.parse().expect("a name");
        let question = Question { id: u16::from_be_bytes(id), name, record_type };
        match question.reply(message) {
            Ok(Reply::Found { data, aliases, .. }) => {
                assert!((1..=MAX_RECORDS).contains(&length(&data)) && aliases <= MAX_CHAIN);
            }
            Ok(Reply::Elsewhere { aliases, .. }) => assert!((1..=MAX_CHAIN).contains(&aliases)),
            _ => {}
        }
    }
}

/// A query on its way.
struct Sent {
    server: IpAddr,
    port: u16,
    query: Vec<u8>,
}

impl Sent {
    /// `message` is an answer without id and question: those of the query are put in, letters and all.
    fn answered_with(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (flags_and_counts, rest) = message.split_at_checked(10)?;
        let name = self.query[12..].iter().position(|&b| b == 0)? + 1;
        Some([&self.query[..2], flags_and_counts, &self.query[12..12 + name + 4], rest].concat())
    }
}

#[derive(Default)]
struct Outcome {
    sent: Vec<Sent>,
    stream: Option<(StreamId, Vec<u8>)>,
    answers: usize,
}

impl Outcome {
    fn take(&mut self, names: &mut StubResolver, now: Time) {
        for output in drain(|| names.drive(now)) {
            match output {
                Output::Send { server, source_port, payload } => {
                    assert!(names.open_ports().any(|port| port == source_port));
                    self.sent.push(Sent { server, port: source_port, query: payload });
                }
                Output::Stream { stream, payload, .. } => self.stream = Some((stream, payload[2..].to_vec())),
                Output::Close(_) => self.stream = None,
                Output::Answer { result, .. } => {
                    self.answers += 1;
                    if let Ok(Records { data, ttl, alias_of }) = result {
                        assert!((1..=MAX_RECORDS).contains(&length(&data)));
                        assert!(alias_of.is_none_or(|name| name.bytes().all(|b| b.is_ascii_graphic())));
                        assert!((Duration::from_secs(10)..=Duration::from_secs(86_400)).contains(&ttl));
                    }
                }
            }
        }
        assert!(names.open_ports().count() <= MAX_QUERIES * MAX_SERVERS);
        assert!(names.poll_timeout().is_none_or(|next| next > now), "nothing is due after a drive");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut names = StubResolver::new();
    let mut now = Time(1_000_000_000);
    names.set_servers(now, &[server(1), server(2)]);
    let mut outcome = Outcome::default();
    let mut asked = 1;
    names.ask(now, AFTR, RecordType::Aaaa);
    outcome.take(&mut names, now);
    for (what, message) in Steps(bytes) {
        let number = what >> 3;
        read(message);
        let last = outcome.sent.last();
        let counts = names.counts;
        match (what & 7, last) {
            // From the server, as it stands: its id is a guess.
            (0, Some(sent)) => {
                names.handle_input(now, (sent.server, PORT), sent.port, message);
                let guessed = message.get(..2) == sent.query.get(..2);
                assert!(guessed || names.counts.replies == counts.replies, "believed {message:x?}");
            }
            // The right answer, from somebody else, or to another port.
            (1, Some(sent)) => {
                let Some(answer) = sent.answered_with(message) else { continue };
                match number % 3 {
                    0 => names.handle_input(now, (server(3), PORT), sent.port, &answer),
                    1 => names.handle_input(now, (sent.server, PORT + 1), sent.port, &answer),
                    _ => names.handle_input(now, (sent.server, PORT), sent.port ^ 1, &answer),
                }
                let other_port = names.open_ports().any(|port| port == sent.port ^ 1);
                assert!(other_port || names.counts.foreign == counts.foreign + 1);
                assert!(other_port || names.counts.replies == counts.replies);
            }
            (2, _) => now = later(now, names.poll_timeout(), number),
            (3, _) => match &outcome.stream {
                Some((stream, _)) if number == 0 => names.handle_stream_failed(now, *stream),
                Some((stream, query)) => {
                    let sent = Sent { server: server(1), port: 0, query: query.clone() };
                    let answer = sent.answered_with(message).unwrap_or_default();
                    let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                    let stream = *stream;
                    framed.chunks(usize::from(number) * 8).for_each(|bytes| names.handle_stream(now, stream, bytes));
                }
                None => {}
            },
            (4, _) => {
                asked += 1;
                let record_type = [RecordType::A, RecordType::Aaaa, RecordType::Txt][usize::from(number % 3)];
                names.ask(now, std::str::from_utf8(message).unwrap_or(AFTR), record_type);
            }
            (5, _) => names.set_servers(now, &[server(1), server(2), server(number)]),
            (_, Some(sent)) => {
                if let Some(answer) = sent.answered_with(message) {
                    names.handle_input(now, (sent.server, PORT), sent.port, &answer);
                }
            }
            (_, None) => {}
        }
        outcome.take(&mut names, now);
    }
    // Nobody answers any more: every question ends by itself, once.
    for _ in 0..2000 {
        let Some(next) = names.poll_timeout() else { break };
        now = next.max(now);
        outcome.take(&mut names, now);
    }
    assert_eq!((outcome.answers, names.poll_timeout(), names.open_ports().count()), (asked, None, 0));
});
