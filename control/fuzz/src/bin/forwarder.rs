//! A DNS forwarder between hosts and resolvers, of whom anybody may say anything: what is answered is an answer to what was
//! asked, what is believed answers a question that is open, every question ends, and memory is bounded.
#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use hikyaku_control_fuzz::{Steps, later};
use hikyaku_net::{Mac, Prefix4, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::forwarder::{
    Client, Domain, Forwarder, HOME, Host, MAX_ANSWERS, MAX_PENDING, MAX_STREAM_MESSAGE, Output, PORT, Place, Settings,
    StreamId, Upstream,
};
use libfuzzer_sys::fuzz_target;

const CACHE: usize = 16 << 10;
/// What all open questions have to say at one moment: a port closed for each try, and an answer for each who asks.
const MOST: usize = MAX_PENDING * 70;

fn server(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())
}

fn host(number: u8) -> Client {
    let [address, to] = [[192, 168, 1, number | 2], [192, 168, 1, 1]].map(IpAddr::from);
    let connection = (number & 1 != 0).then(Default::default);
    Client { station: Mac([2, 0, 0, 0, 0, number]), address, port: 4000, to, connection }
}

fn settings(number: u8) -> Settings {
    let nas = Host { names: vec!["nas.home.arpa".into(), "nas".into()], addresses: vec![[192, 168, 1, 9].into()] };
    let corp = Domain { name: "corp.example".into(), servers: vec![server(3)], inside_allowed: number & 1 == 0 };
    Settings {
        servers: vec![server(1), server(number)],
        domains: vec![corp],
        hosts: vec![nas],
        own_domain: HOME.into(),
        inside_allowed: (number & 2 == 0).then(Vec::new),
        drops_aaaa: number & 4 != 0,
        cache_bytes: if number & 8 == 0 { CACHE } else { 0 },
    }
}

/// A question on its way by UDP.
struct Sent {
    server: Ipv6Addr,
    port: u16,
    query: Vec<u8>,
}

/// `message` is an answer without id and question: those of the query are put in, letters and all.
fn answered_with(query: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let (flags_and_counts, rest) = message.split_at_checked(10)?;
    let name = query[12..].iter().position(|&b| b == 0)? + 1;
    Some([&query[..2], flags_and_counts, &query[12..12 + name + 4], rest].concat())
}

/// Connections to resolvers, and what was asked by each.
type Streams = Vec<(StreamId, Vec<u8>)>;

/// Something comes by the newest connection, or it ends.
fn hear_stream(forwarder: &mut Forwarder, now: Time, streams: &mut Streams, what: u8, message: &[u8]) {
    let Some((stream, query)) = streams.last().cloned() else { return };
    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes(), message].concat();
    match what & 3 {
        0 => forwarder.handle_stream(now, stream, message),
        1 => {
            // Whoever says so has closed it.
            streams.pop();
            forwarder.handle_stream_failed(now, stream);
        }
        _ => {
            let answer = framed(&answered_with(&query, message).unwrap_or_default());
            answer
                .chunks(if what & 4 == 0 { 65_537 } else { 5 })
                .for_each(|piece| forwarder.handle_stream(now, stream, piece));
        }
    }
}

fn take(forwarder: &mut Forwarder, now: Time, sent: &mut Vec<Sent>, streams: &mut Streams) {
    for n in 0.. {
        let Some(output) = forwarder.drive(now) else { break };
        assert!(n < MOST, "outputs without end");
        match output {
            Output::Answer { to, message } => {
                assert!(message.len() >= 12 && message[2] & 0x80 != 0, "an answer is a response");
                assert!(message.len() <= if to.connection.is_some() { MAX_STREAM_MESSAGE } else { 1232 }, "it fits");
            }
            Output::Upstream(Upstream::Ask { server, port, payload }) => {
                assert!(payload.len() >= 12 && payload[2] & 0x80 == 0, "a question is none");
                sent.push(Sent { server, port, query: payload });
            }
            Output::Upstream(Upstream::Close(port)) => sent.retain(|sent| sent.port != port),
            Output::Upstream(Upstream::Stream { stream, payload, .. }) => {
                assert_eq!(usize::from(u16::from_be_bytes([payload[0], payload[1]])), payload.len() - 2);
                streams.push((stream, payload[2..].to_vec()));
            }
            Output::Upstream(Upstream::CloseStream(closed)) => streams.retain(|&(stream, _)| stream != closed),
        }
    }
    let (answers, bytes) = forwarder.kept();
    assert!(
        forwarder.open() <= MAX_PENDING && streams.len() <= MAX_PENDING && answers <= MAX_ANSWERS && bytes <= CACHE
    );
    assert!(forwarder.poll_timeout().is_none_or(|next| next > now), "nothing is due after a drive");
}

/// A frame of a host's, read alone, and its answer, which is for whoever sent it.
fn read(frame: &[u8]) {
    let addresses = vec![[192, 168, 1, 1].into(), "fe80::1".parse().expect("an address")];
    let ipv4 = Prefix4::new([192, 168, 1, 0].into(), 24).expect("a prefix");
    let place = Place { mac: Mac([2; 6]), addresses, ipv4, ipv6: Vec::new() };
    if let Some((client, message)) = place.read(frame) {
        assert!(place.addresses.contains(&client.to));
        assert_eq!(place.write(&client, message)[..6], client.station.0);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut forwarder = Forwarder::new();
    let mut now = Time(1_000_000_000);
    forwarder.set(settings(2));
    let (mut sent, mut streams) = (Vec::new(), Vec::new());
    for (what, message) in Steps(bytes) {
        let number = what >> 3;
        let (last, replies) = (sent.last(), forwarder.counts.replies);
        match (what & 7, last) {
            (0 | 1, _) => forwarder.handle_input(now, host(number), message),
            (2, _) => now = later(now, forwarder.poll_timeout(), number),
            (3, _) => forwarder.set(settings(number)),
            (4, _) if number & 1 == 0 => read(message),
            (4, _) => hear_stream(&mut forwarder, now, &mut streams, number >> 1, message),
            // From whom it was asked of, as it stands: its id is a guess.
            (5, Some(Sent { server, port, query })) => {
                forwarder.handle_reply(now, (*server, PORT), *port, message);
                let guessed = message.get(..2) == query.get(..2);
                assert!(guessed || forwarder.counts.replies == replies, "believed {message:x?}");
            }
            // The right answer, from somebody else.
            (6, Some(sent)) => {
                let answer = answered_with(&sent.query, message).unwrap_or_default();
                forwarder.handle_reply(now, (server(9), PORT), sent.port, &answer);
                forwarder.handle_reply(now, (sent.server, PORT + 1), sent.port, &answer);
                assert_eq!(forwarder.counts.replies, replies);
            }
            (_, Some(sent)) => {
                let answer = answered_with(&sent.query, message).unwrap_or_default();
                forwarder.handle_reply(now, (sent.server, PORT), sent.port, &answer);
            }
            (_, None) => {}
        }
        take(&mut forwarder, now, &mut sent, &mut streams);
    }
    // Nobody answers any more: every question ends by itself.
    for _ in 0..4 * MAX_PENDING {
        let Some(next) = forwarder.poll_timeout() else { break };
        now = next.max(now);
        take(&mut forwarder, now, &mut sent, &mut streams);
    }
    assert_eq!((forwarder.open(), forwarder.poll_timeout(), sent.len(), streams.len()), (0, None, 0, 0));
});
