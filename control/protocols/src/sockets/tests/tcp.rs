//! TCP: what is written arrives, whatever the line does; what ends says why.

use std::io;
use std::time::Duration;

use smoltcp::socket::tcp::State;
use smoltcp::wire::{
    Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Address, Ipv6Packet, Ipv6Repr, TcpPacket,
};

use super::*;
use crate::sockets::stream::CHUNK;
use crate::sockets::{DEFAULT_MTU, MAX_STREAMS};

/// Without waiting: what is there.
fn read(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1500];
    let len = stream.read(&mut buffer, Duration::ZERO)?;
    buffer.truncate(len);
    Ok(buffer)
}

fn is_waiting<T: std::fmt::Debug>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::TimedOut)
}

/// The host sends back what comes, and closes when we do.
fn echo(host: &mut Host) {
    let socket = host.connection();
    while socket.can_recv() && socket.can_send() {
        let room = socket.send_capacity() - socket.send_queue();
        let some = socket.recv(|bytes| (bytes.len().min(room), bytes[..bytes.len().min(room)].to_vec())).unwrap();
        assert_eq!(socket.send_slice(&some).unwrap(), some.len());
    }
    if socket.state() == State::CloseWait && !socket.can_recv() {
        socket.close();
    }
}

/// Sends `bytes` to a host that echoes them, and back; the stream is closed on both sides after it.
fn there_and_back(lab: &mut Lab, bytes: &[u8]) -> Vec<u8> {
    let mut stream = lab.connect(80);
    let (mut written, mut back) = (0, Vec::new());
    let mut finished = false;
    loop {
        lab.step(Duration::from_millis(100));
        echo(&mut lab.host);
        while written < bytes.len() {
            let piece = &bytes[written..bytes.len().min(written + CHUNK)];
            match stream.write_all(piece, Duration::ZERO) {
                Ok(()) => written += piece.len(),
                e if is_waiting(&e) => break,
                e => e.unwrap(),
            }
        }
        if written == bytes.len() && !finished {
            stream.finish();
            finished = true;
        }
        match read(&mut stream) {
            Ok(piece) if piece.is_empty() => return back,
            Ok(piece) => back.extend(piece),
            e if is_waiting(&e) => {}
            Err(e) => panic!("{e} after {} of {} bytes, at {:?}", back.len(), bytes.len(), lab.now),
        }
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(7);
    (0..len).map(|_| rng.random()).collect()
}

#[test]
fn what_is_written_arrives_once_and_in_order_on_bad_lines() {
    let bytes = noise(100_000);
    let jitter = Duration::from_millis(40);
    for (seed, weather) in [
        Weather::default(),
        Weather { lost: 10, ..Weather::default() },
        Weather { twice: 30, ..Weather::default() },
        Weather { jitter, ..Weather::default() },
        Weather { lost: 5, twice: 5, jitter },
        Weather { lost: 20, twice: 10, jitter },
    ]
    .into_iter()
    .enumerate()
    {
        let mut lab = Lab::new(seed as u64, weather);
        let back = there_and_back(&mut lab, &bytes);
        assert!(back == bytes, "line {seed}: {} bytes came back", back.len());
        // Both sides closed in order: after TIME-WAIT nothing is left.
        lab.pass(Duration::from_secs(60));
        assert_eq!(lab.stack.streams(), 0, "line {seed}");
        assert_eq!(lab.stack.poll_timeout(), None, "line {seed}: it rests");
    }
}

#[test]
fn a_user_who_does_not_read_shuts_the_window() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    let mut taken = 0;
    for _ in 0..2000 {
        taken += lab.host.connection().send_slice(&[b'x'; 4096]).unwrap();
        lab.step(Duration::from_millis(10));
    }
    // Channel (4 pieces, each at most a chunk), socket, and what the host still holds.
    assert!(taken <= 4 * CHUNK + (32 << 10) + 60_000, "{taken} bytes were taken from the host");
    let mut read_back = 0;
    for _ in 0..20_000 {
        lab.step(Duration::from_millis(10));
        match read(&mut stream) {
            Ok(piece) => read_back += piece.len(),
            e => assert!(is_waiting(&e), "{e:?}"),
        }
    }
    assert_eq!(read_back, taken, "and it opens again");
}

#[test]
fn a_host_that_does_not_read_makes_the_writer_wait() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    let mut written = 0;
    for _ in 0..2000 {
        lab.step(Duration::from_millis(10));
        if stream.write_all(&[b'x'; CHUNK], Duration::ZERO).is_ok() {
            written += CHUNK;
        }
    }
    // A piece in hand, the channel, the socket's buffer, the host's.
    assert!(written <= 5 * CHUNK + (8 << 10) + 60_000 + CHUNK, "{written} bytes were accepted");
}

#[test]
fn a_closed_port_refuses_at_once() {
    let mut lab = Lab::clear();
    let answer = lab.ask(81, Duration::from_secs(20));
    let (result, took) = lab.wait(&answer);
    assert_eq!(result.unwrap_err(), StreamError::Refused);
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert_eq!(lab.stack.streams(), 0);
}

#[test]
fn silence_is_reported_when_the_time_is_up() {
    let mut lab = Lab::new(1, Weather { lost: 100, ..Weather::default() });
    let answer = lab.ask(80, Duration::from_secs(7));
    let (result, took) = lab.wait(&answer);
    assert_eq!(result.unwrap_err(), StreamError::TimedOut(Duration::from_secs(7)));
    assert!(took >= Duration::from_secs(7) && took < Duration::from_millis(7100), "{took:?}");
    assert!(lab.stack.counts.sent >= 3, "the SYN was repeated");
    assert_eq!((lab.stack.streams(), lab.stack.poll_timeout()), (0, None));
}

/// The ICMPv6 error that a router on the way would send about `packet`.
fn unreachable(packet: &[u8], change_seq: i32) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let mut ip = Ipv6Packet::new_unchecked(&mut packet[..]);
    let mut segment = TcpPacket::new_unchecked(ip.payload_mut());
    let seq = segment.seq_number();
    segment.set_seq_number(seq + change_seq as usize);
    icmp(&packet, |header, data| Icmpv6Repr::DstUnreachable {
        reason: Icmpv6DstUnreachable::AddrUnreachable,
        header,
        data,
    })
}

fn icmp<'a>(packet: &'a [u8], message: impl Fn(Ipv6Repr, &'a [u8]) -> Icmpv6Repr<'a>) -> Vec<u8> {
    let quoted = Ipv6Repr::parse(&Ipv6Packet::new_checked(packet).unwrap()).unwrap();
    let message = message(quoted, &packet[40..]);
    let router: Ipv6Address = "2001:db8:9::9".parse().unwrap();
    let ip = Ipv6Repr {
        src_addr: router,
        dst_addr: quoted.src_addr,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 60,
    };
    let mut bytes = vec![0; 40 + message.buffer_len()];
    ip.emit(&mut Ipv6Packet::new_unchecked(&mut bytes[..]));
    let checks = smoltcp::phy::ChecksumCapabilities::default();
    message.emit(&router, &ip.dst_addr, &mut Icmpv6Packet::new_unchecked(&mut bytes[40..]), &checks);
    bytes
}

#[test]
fn an_icmp_error_about_the_syn_ends_the_waiting() {
    let mut lab = Lab::clear();
    let answer = lab.ask(80, Duration::from_secs(20));
    let syn = lab.stack.drive(lab.now).unwrap();
    // RFC 5927 4.1: a sequence number that was never sent is somebody's guess.
    lab.stack.handle_input(lab.now, &unreachable(&syn, 1));
    assert_eq!(lab.stack.counts.unsolicited, 1);
    assert!(answer.try_recv().is_err());
    lab.stack.handle_input(lab.now, &unreachable(&syn, 0));
    assert_eq!(lab.stack.counts.errors, 1);
    assert!(matches!(answer.try_recv().unwrap().unwrap_err(), StreamError::Unreachable(_)));
    assert_eq!(lab.stack.streams(), 0);
}

#[test]
fn an_icmp_error_does_not_end_a_connection_that_works() {
    // RFC 5461 4.1, RFC 1122 4.2.3.9.
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    stream.write_all(b"hello", Duration::ZERO).unwrap();
    let segment = lab.stack.drive(lab.now).unwrap();
    lab.stack.handle_input(lab.now, &unreachable(&segment, 0));
    lab.put(false, segment);
    lab.pass(Duration::from_secs(1));
    let mut heard = [0; 5];
    assert_eq!(lab.host.connection().recv_slice(&mut heard), Ok(5));
}

#[test]
fn a_packet_too_big_shortens_what_is_sent() {
    let mut lab = Lab::clear();
    lab.stack.set_mtu(1500);
    let mut stream = lab.connect(80);
    stream.write_all(&[b'x'; CHUNK], Duration::ZERO).unwrap();
    let long = lab.stack.drive(lab.now).unwrap();
    assert_eq!(long.len(), 1500);
    lab.stack.handle_input(
        lab.now,
        &icmp(&long, |header, data| Icmpv6Repr::PktTooBig { mtu: 1400, header, data: &data[..60] }),
    );
    lab.pass(Duration::from_secs(5));
    let mut heard = vec![0; CHUNK];
    assert_eq!(lab.host.connection().recv_slice(&mut heard), Ok(CHUNK));
    stream.write_all(&[b'x'; CHUNK], Duration::ZERO).unwrap();
    assert_eq!(lab.stack.drive(lab.now).unwrap().len(), 1400);
    // RFC 8201 4: never below what every link carries.
    lab.stack.handle_input(
        lab.now,
        &icmp(&long, |header, data| Icmpv6Repr::PktTooBig { mtu: 100, header, data: &data[..60] }),
    );
    assert_eq!(lab.stack.device.mtu, usize::from(DEFAULT_MTU));
}

#[test]
fn dropping_a_stream_resets_it_and_frees_its_place() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    stream.write_all(b"half a requ", Duration::ZERO).unwrap();
    drop(stream);
    lab.pass(Duration::from_millis(100));
    assert_eq!(lab.host.connection().state(), State::Closed);
    assert_eq!((lab.stack.streams(), lab.stack.poll_timeout()), (0, None));
}

#[test]
fn finishing_and_dropping_delivers_everything_first() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    for _ in 0..4 {
        stream.write_all(&[b'x'; CHUNK], Duration::ZERO).unwrap();
    }
    stream.finish();
    drop(stream);
    lab.pass(Duration::from_secs(1));
    let socket = lab.host.connection();
    assert_eq!((socket.recv_queue(), socket.state()), (4 * CHUNK, State::CloseWait));
    socket.close();
    lab.pass(Duration::from_secs(20));
    assert_eq!((lab.stack.streams(), lab.stack.poll_timeout()), (0, None));
}

#[test]
fn a_peer_that_never_closes_is_left_after_a_while() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    stream.finish();
    drop(stream);
    lab.pass(Duration::from_secs(5));
    assert_eq!(lab.stack.streams(), 1);
    lab.pass(Duration::from_secs(6));
    assert_eq!((lab.stack.streams(), lab.stack.poll_timeout()), (0, None));
}

/// RFC 1122 4.2.2.13: an answer that nobody reads is not taken to its end, which it may not have.
#[test]
fn a_peer_that_goes_on_talking_to_nobody_is_reset() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    stream.finish();
    drop(stream);
    let mut taken = 0;
    for _ in 0..1000 {
        taken += lab.host.connection().send_slice(&[b'x'; 4096]).unwrap_or_default();
        lab.step(Duration::from_millis(10));
    }
    assert_eq!((lab.host.connection().state(), lab.stack.streams()), (State::Closed, 0));
    assert!(taken < 200_000, "{taken} bytes were taken from the host");
}

#[test]
fn a_reset_is_told_after_the_data_before_it() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    lab.host.connection().send_slice(b"last words").unwrap();
    lab.pass(Duration::from_secs(1));
    lab.host.connection().abort();
    lab.pass(Duration::from_secs(1));
    assert_eq!(read(&mut stream).unwrap(), b"last words");
    assert_eq!(read(&mut stream).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(stream.write_all(b"x", Duration::ZERO).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_peer_that_vanishes_is_noticed() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    lab.weather.lost = 100;
    stream.write_all(b"anybody?", Duration::ZERO).unwrap();
    lab.pass(Duration::from_secs(45));
    let error = read(&mut stream).unwrap_err();
    assert_eq!(error.to_string(), "no answer within 30s");
    drop(stream);
    lab.pass(Duration::from_secs(1));
    assert_eq!((lab.stack.streams(), lab.stack.poll_timeout()), (0, None));
}

#[test]
fn connections_end_with_their_address() {
    let mut lab = Lab::clear();
    let mut stream = lab.connect(80);
    let waiting = lab.ask(99, Duration::from_secs(9));
    let _ = lab.stack.drive(lab.now);
    let sent = lab.stack.counts.sent;
    let new: Ipv6Addr = "2001:db8::7".parse().unwrap();
    lab.stack.set_addresses(&[new]);
    assert_eq!(read(&mut stream).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    assert_eq!(waiting.try_recv().unwrap().unwrap_err(), StreamError::NoAddress(OURS));
    let late = lab.ask(80, Duration::from_secs(9));
    assert_eq!(lab.wait(&late).0.unwrap_err(), StreamError::NoAddress(OURS));
    drop(stream);
    lab.pass(Duration::from_secs(60));
    assert_eq!(lab.stack.counts.sent, sent, "nothing is sent from an address that is not ours");
}

#[test]
fn connections_are_bounded_and_closing_ones_make_room() {
    let mut lab = Lab::clear();
    let mut open: Vec<Stream> = (0..MAX_STREAMS).map(|_| lab.connect(80)).collect();
    let answer = lab.ask(80, Duration::from_secs(9));
    assert_eq!(lab.wait(&answer).0.unwrap_err(), StreamError::Busy(MAX_STREAMS));
    let mut leaving = open.pop().unwrap();
    leaving.finish();
    drop(leaving);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.stack.streams(), MAX_STREAMS, "it still closes");
    open.push(lab.connect(80));
    assert_eq!(lab.stack.streams(), MAX_STREAMS);
}

#[test]
fn places_where_nobody_can_be_are_refused() {
    let lab = Lab::clear();
    for peer in ["[::]:80", "[::1]:80", "[ff02::1]:80", "[2001:db8::2]:0"] {
        let (reply, answer) = bounded(1);
        let theirs = peer.parse().unwrap();
        let mut stack = Stack::new(Arc::new(|| ()));
        stack.set_addresses(&[OURS]);
        stack.connector().ask(Ask { ours: OURS, theirs, timeout: Duration::from_secs(1), reply }).unwrap();
        assert_eq!(stack.drive(lab.now), None);
        assert_eq!(answer.try_recv().unwrap().unwrap_err(), StreamError::NoSuchPeer(theirs));
    }
}

#[test]
fn sequence_numbers_and_ports_do_not_follow_from_each_other() {
    // RFC 6528, RFC 6056: from one connection to the next nothing repeats that smoltcp's generator alone
    // would make repeat.
    let seen = |seed| {
        let mut lab = Lab::new(seed, Weather::default());
        let mut syns = Vec::new();
        for _ in 0..8 {
            let _answer = lab.ask(80, Duration::from_secs(1));
            let syn = lab.stack.drive(lab.now).unwrap();
            let segment = TcpPacket::new_unchecked(&syn[40..]);
            syns.push((segment.seq_number().0, segment.src_port()));
        }
        syns
    };
    let (one, two) = (seen(1), seen(2));
    assert!(one.iter().all(|syn| !two.contains(syn)));
    let mut seqs: Vec<_> = one.iter().chain(&two).map(|s| s.0).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 16);
}

#[test]
fn a_stopped_stack_says_so() {
    let lab = Lab::clear();
    let connector = lab.stack.connector();
    drop(lab);
    assert_eq!(connector.connect(OURS, theirs(80), Duration::from_secs(9)).unwrap_err(), StreamError::Stopped);
}

#[test]
fn what_has_ended_leaves_nothing_behind() {
    let mut lab = Lab::clear();
    for _ in 0..50 {
        drop(lab.connect(80));
        lab.pass(Duration::from_millis(100));
    }
    assert_eq!(lab.stack.sockets.iter().count(), 0);
}
