//! Questions by TCP (RFC 7766), from hosts and to resolvers.

use std::net::SocketAddrV6;

use super::super::connections::{self, ConnectionId, Connections};
use super::*;

/// A host that asks by TCP.
fn by_stream(n: u8, connection: ConnectionId) -> Client {
    Client { connection: Some(connection), ..host(n) }
}

/// Asks by a connection of somebody's.
fn ask(play: &mut Play, question: &Message) {
    play.ask(by_stream(2, ConnectionId { place: 0, generation: 1 }), question);
}

fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    [&(bytes.len() as u16).to_be_bytes(), &bytes[..]].concat()
}

fn many(n: u8) -> Vec<Record> {
    (0..n).map(|n| a("many.jp", 60, [192, 0, 2, n])).collect()
}

/// RFC 7766 5: what a datagram has no room for; RFC 1035 4.2.2: in whatever pieces it comes.
#[test]
fn who_asks_by_tcp_is_asked_for_by_tcp() {
    let mut play = Play::usual();
    ask(&mut play, &question(7, "MANY.jp", RecordType::A));
    assert!(play.sent.is_empty());
    let (stream, sent) = play.streams.last().unwrap().clone();
    let reply = framed(&sent.reply(ResponseCode::NoError, &many(200), &[]));
    assert!(reply.len() > 3000);
    for piece in reply.chunks(700) {
        play.forwarder.handle_stream(play.now, stream, piece);
        play.drive();
    }
    let answer = play.answer();
    assert_eq!((answer.id, answer.answers.len(), answer.queries[0].name().to_ascii()), (7, 200, "MANY.jp.".into()));
    assert_eq!(play.closed_streams, [stream]);
    // It is kept for all, cut where it does not fit.
    ask(&mut play, &question(8, "many.jp", RecordType::A));
    assert_eq!(play.answer().answers.len(), 200);
    play.ask(host(3), &question(9, "many.jp", RecordType::A));
    assert!(play.answer().metadata.truncation);
    assert_eq!((play.sent.len(), play.streams.len()), (0, 1));
}

#[test]
fn a_resolver_that_does_not_speak_tcp_is_followed_by_another() {
    let mut play = Play::usual();
    ask(&mut play, &question(7, "many.jp", RecordType::A));
    let (first, _) = play.streams[0];
    play.forwarder.handle_stream_failed(play.now, first);
    play.drive();
    let (second, sent) = play.streams[1].clone();
    assert_eq!(sent.server, server(2));
    assert_eq!(play.forwarder.servers(play.now), [(server(1), true), (server(2), true)], "it may answer by UDP");
    play.forwarder.handle_stream(play.now, second, &framed(&sent.reply(ResponseCode::NoError, &many(3), &[])));
    play.drive();
    assert_eq!(play.answer().answers.len(), 3);
}

#[test]
fn what_comes_by_a_connection_is_bounded_and_ends() {
    for bytes in [vec![0xff; 5], vec![0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Vec::new()] {
        let mut play = Play::usual();
        ask(&mut play, &question(7, "x.jp", RecordType::A));
        while let Some(&(stream, _)) = play.streams.last().filter(|_| play.answers.is_empty()) {
            play.forwarder.handle_stream(play.now, stream, &bytes);
            play.drive();
            if play.forwarder.open() > 0 && play.answers.is_empty() {
                play.wait();
            }
        }
        assert_eq!(play.answer().metadata.response_code, ResponseCode::ServFail, "{bytes:?}");
        assert_eq!((play.streams.len(), play.forwarder.open()), (2, 0), "{bytes:?}");
        assert_eq!(play.closed_streams.len(), 2, "{bytes:?}");
        let by_udp = play.forwarder.servers(play.now);
        assert_eq!(by_udp, [(server(1), true), (server(2), true)], "who is silent by TCP may answer otherwise");
    }
}

/// A host of others' TCP on the LAN, and our connections.
struct Lan {
    now: Time,
    place: Place,
    connections: Connections,
    host: hikyaku_testkit::Host,
    /// What hosts asked.
    questions: Vec<(Client, Vec<u8>)>,
}

const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const OURS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const STATION: Mac = Mac([2, 0, 0, 0, 0, 9]);

impl Lan {
    fn new() -> Self {
        let ipv4 = hikyaku_net::Prefix4::new([192, 168, 1, 0].into(), 24).unwrap();
        let place = Place { mac: MAC, addresses: vec![OURS.into()], ipv4, ipv6: Vec::new() };
        let host = hikyaku_testkit::Host::new(HOST);
        Self { now: at(1.0), place, connections: Connections::new(), host, questions: Vec::new() }
    }

    /// Until neither has had anything to say for longer than an acknowledgement is delayed: a host with Nagle's algorithm waits
    /// for one.
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..1000 {
            let packets = self.host.poll(self.now);
            let is_quiet = packets.is_empty();
            for packet in packets {
                let frame = [&MAC.0[..], &STATION.0, &[0x86, 0xdd], &packet].concat();
                self.connections.handle_input(self.now, &self.place, &frame);
            }
            let mut is_silent = true;
            while let Some(output) = self.connections.drive(self.now) {
                is_silent = false;
                match output {
                    connections::Output::Send(frame) => {
                        assert_eq!((&frame[..6], &frame[6..12]), (&STATION.0[..], &MAC.0[..]));
                        self.host.hear(self.now, frame[14..].to_vec());
                    }
                    connections::Output::Question(client, message) => self.questions.push((client, message)),
                }
            }
            quiet = if is_quiet && is_silent { quiet + 1 } else { 0 };
            if quiet == 20 {
                return;
            }
            self.now = self.now + Duration::from_millis(1);
        }
        panic!("it does not come to rest");
    }
}

#[test]
fn a_connection_of_a_host_carries_questions_and_answers() {
    let mut lan = Lan::new();
    lan.host.connect(4242, SocketAddrV6::new(OURS, PORT, 0, 0));
    lan.settle();
    let two = [framed(&question(1, "a.jp", RecordType::A)), framed(&question(2, "b.jp", RecordType::A))].concat();
    for piece in two.chunks(9) {
        lan.host.connection().send_slice(piece).unwrap();
        lan.settle();
    }
    let [(client, first)] = &lan.questions[..] else { panic!("one after the other: {:?}", lan.questions) };
    assert_eq!((client.address, client.station, first[..2].to_vec()), (HOST.into(), STATION, vec![0, 1]));
    let id = client.connection.unwrap();
    lan.connections.answer(lan.now, id, &[7; 9000]);
    let mut got = Vec::new();
    for _ in 0..50 {
        lan.settle();
        let socket = lan.host.connection();
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), got.extend_from_slice(bytes))).unwrap();
        }
    }
    assert_eq!((got.len(), &got[..3]), (9002, &[0x23, 0x28, 7][..]));
    assert_eq!(lan.questions.len(), 2, "the second was read when the first was answered");
    assert_eq!(lan.connections.open(), 1);
    lan.connections.answer(lan.now, id, b"answer");
    lan.settle();
    lan.host.connection().close();
    lan.settle();
    assert_eq!(lan.connections.open(), 0, "the host has ended it");
    lan.connections.answer(lan.now, id, b"too late");
}

/// RFC 7766 6.2.3, and a host has its share.
#[test]
fn connections_without_questions_end_and_one_host_has_not_all() {
    let mut lan = Lan::new();
    for n in 0..20 {
        lan.host.connect(5000 + n, SocketAddrV6::new(OURS, PORT, 0, 0));
        lan.settle();
    }
    assert_eq!(lan.connections.open(), 8);
    for _ in 0..30 {
        lan.now = lan.now + Duration::from_secs(1);
        lan.settle();
    }
    assert!(lan.connections.open() <= 8 && lan.questions.is_empty());
    while let Some(due) = lan.connections.poll_timeout() {
        lan.now = due.max(lan.now);
        while lan.connections.drive(lan.now).is_some() {}
    }
    assert_eq!(lan.connections.open(), 0);
}
