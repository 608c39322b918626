//! What is answered without a lease, and what is not answered at all.

use proptest::prelude::*;

use super::*;

fn ask(options: Vec<DhcpOption>) -> Message {
    message(MessageType::InformationRequest, options)
}

/// RFC 8415 18.3.6, 21.7: what is asked for, and the client's identifier where it gave one (18.2.6: it need not).
#[test]
fn rfc8415_18_3_6_an_information_request_is_answered_with_what_is_asked_for() {
    let mut lan = Lan::new();
    let reply = lan.hear(1, &ask(vec![client_id(1), wants(&[23, 24, 31, 32, 56, 83])])).unwrap();
    assert_eq!(reply.msg_type(), MessageType::Reply);
    assert_eq!(reply.opts().get(OptionCode::ClientId), Some(&client_id(1)));
    let resolvers = [ip("2001:db8::53").octets(), ip("2001:db8::54").octets()].concat();
    assert_eq!(lan.body(23), Some(resolvers), "RFC 3646 3");
    assert_eq!(lan.body(31), Some(ip("2001:db8::123").octets().to_vec()), "RFC 4075 4");
    let ntp = [&[0, 1, 0, 16][..], &ip("2001:db8::123").octets(), b"\0\x03\0\x11\x03ntp\x07example\x03net\0"].concat();
    assert_eq!(lan.body(56), Some(ntp), "RFC 5908 4");
    assert_eq!(lan.body(32), Some(1800u32.to_be_bytes().to_vec()), "RFC 8415 21.23");
    assert_eq!(lan.body(83), None);
    lan.hear(1, &ask(vec![wants(&[23])])).unwrap();
    assert_eq!((lan.body(1), lan.body(24), lan.body(32)), (None, None, None));
    assert_eq!(lan.server.counts.informed, 2);
}

/// RFC 8415 10: names one after the other, each whole.
#[test]
fn rfc8415_10_search_domains_are_not_compressed() {
    let mut lan = Lan::new();
    lan.hear(1, &ask(vec![wants(&[24])])).unwrap();
    assert_eq!(lan.body(24).unwrap(), b"\x04home\x07example\0\x03lab\x04home\x07example\0");
}

/// What does not fit is left out, and the rest is there.
#[test]
fn more_than_fits() {
    let mut lan = Lan::new();
    let mut much = served();
    much.parameters.ntp = vec!["x.example".repeat(7); 30];
    lan.server.set(lan.now, Some(much));
    lan.hear(1, &ask(vec![wants(&[23, 24, 31, 32, 56])])).unwrap();
    let there = [23, 24, 31, 32, 56].map(|code| lan.body(code).is_some());
    assert_eq!(there, [true, true, true, true, false]);
}

/// RFC 8415 16, 18.4: who is not answered, and as what that is counted.
#[test]
fn rfc8415_16_messages_that_are_none_are_counted_and_not_answered() {
    use MessageType::{
        Advertise, Confirm, Decline, InformationRequest, Rebind, Reconfigure, Release, Renew, Reply, Request, Solicit,
    };
    let other = Duid::link_layer(station(99));
    let unexpected = Counts { unexpected: 1, ..Counts::default() };
    let foreign = Counts { foreign: 1, ..Counts::default() };
    let rows = [
        (message(InformationRequest, vec![ia(false, 1, &[])]), unexpected, "16.12"),
        (message(InformationRequest, vec![server_id(&other)]), foreign, "16.12"),
        (message(Solicit, vec![]), unexpected, "16.2"),
        (message(Solicit, vec![client_id(1), server_id(&ours())]), unexpected, "16.2"),
        (message(Request, vec![client_id(1)]), unexpected, "16.4"),
        (message(Request, vec![client_id(1), server_id(&other)]), foreign, "16.4"),
        (message(Request, vec![server_id(&ours())]), unexpected, "16.4"),
        (message(Confirm, vec![client_id(1), server_id(&ours())]), unexpected, "16.5"),
        (message(Renew, vec![client_id(1)]), unexpected, "16.6"),
        (message(Rebind, vec![client_id(1), server_id(&ours())]), unexpected, "16.7"),
        (message(Decline, vec![client_id(1)]), unexpected, "16.8"),
        (message(Release, vec![client_id(1), server_id(&other)]), foreign, "16.9"),
        (message(Advertise, vec![client_id(1), server_id(&ours())]), unexpected, "16.3"),
        (message(Reply, vec![client_id(1), server_id(&ours())]), unexpected, "16.10"),
        (message(Reconfigure, vec![client_id(1), server_id(&ours())]), unexpected, "16.11"),
    ];
    for (message, counts, section) in rows {
        let mut lan = Lan::new();
        assert_eq!(lan.hear(1, &message), None, "{section}");
        assert_eq!(lan.server.counts, counts, "{section}: {message:?}");
    }
    let mut lan = Lan::new();
    assert_eq!(lan.datagram(1, ip("fe80::1"), &ask(vec![]).to_vec().unwrap()), None, "18.4: to us alone");
    let datagram = |source, payload| Datagram { station: station(1), source, destination: SERVERS, payload };
    let payload = ask(vec![]).to_vec().unwrap();
    lan.server.handle_input(lan.now, datagram(ip("2001:db8::9"), &payload));
    lan.server.handle_input(lan.now, datagram(source(1), &[12; 60]));
    lan.server.handle_input(lan.now, datagram(source(1), &payload[..3]));
    lan.server.handle_input(lan.now, datagram(source(1), &[11, 1, 2, 3, 0, 1, 0, 2, 0, 0]));
    let counts = Counts { unexpected: 1, not_link_local: 1, relayed: 1, malformed: 2, ..Counts::default() };
    assert_eq!((lan.server.counts, lan.answer(1)), (counts, None));
}

/// All hosts ask at once when an advertisement has changed; one that goes on asking is not answered each time.
#[test]
fn floods() {
    let mut lan = Lan::new();
    assert!((0..200).all(|host| lan.hear(host, &ask(vec![])).is_some()));
    let answered = (0..100).filter(|_| lan.hear(1, &ask(vec![])).is_some()).count();
    assert!(answered < 25, "{answered}");
    assert_eq!(lan.server.counts.limited, 100 - answered as u64);
    lan.pass(10);
    assert!(lan.hear(1, &ask(vec![])).is_some());
}

#[test]
fn nothing_to_be_had() {
    let mut lan = Lan::new();
    lan.server.set(lan.now, None);
    assert_eq!(lan.hear(1, &ask(vec![])), None);
    assert_eq!(lan.server.counts, Counts { not_served: 1, ..Counts::default() });
}

proptest! {
    #[test]
    fn any_bytes(kind in 0u8..14, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut lan = Lan::new();
        let payload = [&[kind, 1, 2, 3][..], &bytes].concat();
        let datagram = Datagram { station: station(1), source: source(1), destination: SERVERS, payload: &payload };
        lan.server.handle_input(lan.now, datagram);
        lan.server.drive(lan.now);
    }
}
