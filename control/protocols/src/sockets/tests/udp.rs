//! UDP: questions from chosen ports, answers from those who were asked.

use smoltcp::wire::{IpAddress, IpEndpoint};

use super::*;
use crate::sockets::{MAX_UDP, UdpError};

#[test]
fn several_questions_at_once_get_their_own_answers() {
    let mut lab = Lab::clear();
    lab.host.bind(53);
    let handles: Vec<_> = (0..8).map(|i| lab.stack.udp_open(OURS, 40_000 + i).unwrap()).collect();
    for (i, handle) in handles.iter().enumerate() {
        lab.stack.udp_send(*handle, theirs(53), format!("question {i}").as_bytes()).unwrap();
    }
    lab.pass(Duration::from_millis(50));
    while let Ok((question, from)) = lab.host.datagrams().recv() {
        let (question, from) = (question.to_vec(), from.endpoint);
        lab.host.datagrams().send_slice(&[b"re: ", &question[..]].concat(), from).unwrap();
    }
    lab.pass(Duration::from_millis(50));
    for (i, handle) in handles.iter().enumerate() {
        let (from, answer) = lab.stack.udp_recv(*handle).unwrap().expect("an answer");
        assert_eq!((from, answer), (theirs(53), format!("re: question {i}").into_bytes()));
        assert_eq!(lab.stack.udp_recv(*handle), Ok(None));
    }
}

#[test]
fn only_who_was_asked_may_answer() {
    let mut lab = Lab::clear();
    lab.host.bind(5353);
    let handle = lab.stack.udp_open(OURS, 4000).unwrap();
    let us = SocketAddrV6::new(OURS, 4000, 0, 0);
    lab.host.send_datagram(us, b"unasked");
    lab.pass(Duration::from_millis(50));
    lab.stack.udp_send(handle, theirs(53), b"question").unwrap();
    lab.host.send_datagram(us, b"from another port");
    lab.pass(Duration::from_millis(50));
    assert_eq!(lab.stack.udp_recv(handle), Ok(None));
    // The third is the host's port unreachable for 53, which nothing here makes use of.
    assert_eq!(lab.stack.counts.unsolicited, 3);
    // The question went out, and nothing else did.
    assert_eq!(lab.stack.counts.sent, 1);
}

#[test]
fn a_flood_of_answers_is_bounded() {
    let mut lab = Lab::clear();
    lab.host.bind(53);
    let handle = lab.stack.udp_open(OURS, 4000).unwrap();
    lab.stack.udp_send(handle, theirs(53), b"?").unwrap();
    lab.pass(Duration::from_millis(50));
    for _ in 0..50 {
        lab.host.send_datagram(SocketAddrV6::new(OURS, 4000, 0, 0), &[0; 1000]);
        lab.pass(Duration::from_millis(1));
    }
    lab.pass(Duration::from_millis(50));
    let kept = std::iter::from_fn(|| lab.stack.udp_recv(handle).unwrap()).count();
    assert!((1..=4).contains(&kept), "{kept}");
}

#[test]
fn sockets_are_bounded_closed_and_never_mistaken() {
    let mut stack = Stack::new(Arc::new(|| ()));
    assert_eq!(stack.udp_open(OURS, 1), Err(UdpError::NoAddress(OURS)));
    stack.set_addresses(&[OURS, THEIRS]);
    assert_eq!(stack.udp_open(OURS, 0), Err(UdpError::Port(0)));
    let first = stack.udp_open(OURS, 1).unwrap();
    assert_eq!(stack.udp_open(OURS, 1), Err(UdpError::Port(1)));
    let other = stack.udp_open(THEIRS, 1).unwrap();
    for port in 2..MAX_UDP as u16 {
        stack.udp_open(OURS, port).unwrap();
    }
    assert_eq!(stack.udp_open(OURS, 99), Err(UdpError::Busy(MAX_UDP)));
    stack.udp_close(first);
    let again = stack.udp_open(OURS, 1).unwrap();
    assert_ne!(first, again);
    assert_eq!(stack.udp_send(first, theirs(53), b"?"), Err(UdpError::Closed));
    assert_eq!(stack.udp_send(again, theirs(53), &[0; 1233]), Err(UdpError::Full(1233)));
    assert_eq!(stack.udp_send(again, theirs(53), &[0; 1232]), Ok(()));
    stack.set_addresses(&[THEIRS]);
    assert_eq!(stack.udp_recv(again), Err(UdpError::Closed));
    assert_eq!(stack.udp_recv(other), Ok(None));
    assert_eq!(stack.drive(Time(0)), None, "what was written at a lost address is not sent");
}

#[test]
fn a_datagram_says_where_it_goes() {
    let mut lab = Lab::clear();
    lab.host.bind(53);
    let handle = lab.stack.udp_open(OURS, 4000).unwrap();
    lab.stack.udp_send(handle, theirs(53), b"?").unwrap();
    lab.pass(Duration::from_millis(50));
    let (_, from) = lab.host.datagrams().recv().unwrap();
    assert_eq!(from.endpoint, IpEndpoint::new(IpAddress::Ipv6(OURS), 4000));
}
