//! Options as clients send them: names, pieces, and identifiers that two have.

use super::*;

/// A message of this kind with raw options behind the first.
fn raw(mac: Mac, kind: MessageType, options: &[u8]) -> Vec<u8> {
    let mut sent = message(mac, kind);
    sent.message.opts_mut().clear();
    let mut bytes = sent.message.to_vec().unwrap();
    bytes.truncate(240);
    bytes.extend([53, 1, kind.into()]);
    bytes.extend(options);
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(mac.0, [0xff; 6]).ipv4([0; 4], [0xff; 4], 64).udp(68, 67);
    builder.write(&mut frame, &bytes).unwrap();
    frame
}

/// By which name a station with these options is shown.
fn name(options: &[u8]) -> Option<String> {
    let mut lan = Lan::new(config());
    lan.server.handle_input(lan.now, &raw(station(1), MessageType::Discover, options));
    lan.poll();
    lan.server.leases(lan.now).pop().expect("it is probed for").hostname.map(|name| name.to_string())
}

/// RFC 4702 2: option 81 in DNS's form (systemd-networkd, whose host name has a dot, sends nothing else) and in letters; it
/// goes before option 12 (3.1).
#[test]
fn names() {
    let named = |name: &str| Some(name.to_owned());
    let wire = b"\x06lanbox\x03lab\x07example\0";
    assert_eq!(name(&[&[81, 23, 5, 0, 0], &wire[..], &[255]].concat()), named("lanbox.lab.example"));
    assert_eq!(name(&[&[81, 10, 4, 0, 0], &wire[..7], &[255]].concat()), named("lanbox"), "partial: it has no end");
    assert_eq!(name(b"\x51\x09\x01\0\0lanbox\xff"), named("lanbox"));
    assert_eq!(name(b"\x51\x0a\x00\0\0lanbox.\xff"), named("lanbox"));
    assert_eq!(name(b"\x0c\x05other\x51\x09\x01\0\0lanbox\xff"), named("lanbox"));
    assert_eq!(name(b"\x0c\x05other\xff"), named("other"));
    // What is none leaves option 12.
    for none in [&b"\x51\x02\x05\0"[..], b"\x51\x03\x05\0\0", b"\x51\x05\x05\0\0\xc0\x0c", b"\x51\x05\x05\0\0\x09a"] {
        assert_eq!(name(&[none, b"\x0c\x05other\xff"].concat()), named("other"), "{none:x?}");
    }
    assert_eq!(name(b"\x51\x06\x00\0\0\x1b\x07x\xff"), named("x"), "nothing that steers a terminal");
    let long = [&[81, 252, 0, 0, 0][..], &[b'n'; 249], &[81, 100], &[b'n'; 100]].concat();
    assert_eq!(name(&long).unwrap().len(), 253, "RFC 1035 2.3.4");
}

/// RFC 3396 5 to 7: pieces of an option are one, wherever they stand; what has one length counts as it came first.
#[test]
fn options_in_pieces() {
    let asks = |options: &[u8]| {
        let dns = vec![host(53)];
        let mut lan = Lan::new(Config { dns, mtu: None, ..config() });
        lan.server.handle_input(lan.now, &raw(station(1), MessageType::Discover, options));
        lan.pass(Duration::from_millis(500)).pop().map(|offer| offer.codes())
    };
    assert_eq!(asks(&[55, 2, 1, 3, 55, 2, 6, 26, 255]), Some(vec![1, 3, 6, 51, 53, 54, 58, 59]));
    assert_eq!(asks(&[55, 1, 3, 61, 2, 0, 9, 55, 1, 6, 61, 1, 8]), Some(vec![1, 3, 6, 51, 53, 54, 58, 59, 61]));
    let all: Vec<u8> = (0..=255).flat_map(|code| [55, 1, code]).collect();
    assert_eq!(asks(&all), Some(vec![1, 3, 6, 15, 51, 53, 54, 58, 59]));
    let often: Vec<u8> = (0..300).flat_map(|_| [55, 2, 3, 15]).collect();
    assert_eq!(asks(&often), Some(vec![1, 3, 15, 51, 53, 54, 58, 59]), "as often as it says so");
    let id: Vec<u8> = [[61, 200], [61, 200]].iter().flat_map(|head| [&head[..], &[7; 200]].concat()).collect();
    assert_eq!(asks(&id), None, "owed in the answer (RFC 6842 3), where there is no room");
}

/// RFC 2131 4.2 has identifiers be unique. A second station with one that is in use gets the address if the first is gone, and
/// another if it is there; that holds over renewals and restarts.
#[test]
fn two_stations_with_one_identifier() {
    let mut lan = Lan::new(config());
    let id = DhcpOption::ClientIdentifier(b"\xffcloned".to_vec());
    let discover = |number| message(station(number), MessageType::Discover).with(id.clone());
    let request =
        |number, address| message(station(number), MessageType::Request).wants(address).server(ROUTER).with(id.clone());
    let first = lan.ask(&discover(1)).unwrap().message.yiaddr();
    assert_eq!(lan.hear(&request(1, first)).unwrap().kind(), MessageType::Ack);
    lan.probes.clear();
    lan.events();

    assert!(lan.hear(&discover(2)).is_none());
    assert_eq!(lan.probes, [first], "the first is asked whether it is still there");
    lan.server.in_use(lan.now, first, station(1));
    assert!(lan.poll().is_empty());
    assert_eq!(lan.events(), [Event::SharedId { address: first, mac: station(1), by: station(2) }]);
    let second = lan.pass(Duration::from_millis(500)).pop().unwrap().message.yiaddr();
    assert_ne!(second, first);
    assert_eq!(lan.hear(&request(2, second)).unwrap().kind(), MessageType::Ack);
    let renew =
        |number, address| message(station(number), MessageType::Request).having(address).unicast().with(id.clone());
    let kind = |got: Option<Got>| got.map(|got| got.kind());
    let file = lan.server.file(lan.now, 1000);
    let mut again = Lan::new(config());
    assert_eq!(again.server.restore(again.now, 1000, &file), 2);
    for lan in [&mut lan, &mut again] {
        assert_eq!(kind(lan.hear(&renew(1, first))), Some(MessageType::Ack));
        assert_eq!(kind(lan.hear(&renew(2, second))), Some(MessageType::Ack));
    }

    // A third that remembers the address is told to begin anew; silence of the first hands it over.
    let reboot = message(station(3), MessageType::Request).wants(first).with(id.clone());
    assert!(lan.hear(&reboot).is_none());
    lan.server.in_use(lan.now, first, station(1));
    assert_eq!(kind(lan.poll().pop()), Some(MessageType::Nak));
    lan.events();
    assert_eq!(kind(lan.ask(&reboot)), Some(MessageType::Ack));
    let ended = Event::Ended { address: first, mac: station(1) };
    assert_eq!(lan.events(), [ended, leased(first, station(3))]);
}

/// An offer stands a minute, and ten seconds where another station finds nothing else.
#[test]
fn how_long_an_offer_stands() {
    let mut lan = Lan::new(config());
    let address = lan.offer(station(1));
    lan.seconds(59);
    let request = message(station(1), MessageType::Request).wants(address).server(ROUTER);
    assert_eq!(lan.hear(&request).unwrap().kind(), MessageType::Ack);
    // Three addresses are left.
    let oldest = lan.offer(station(2));
    lan.seconds(9);
    for number in 3..=4 {
        lan.offer(station(number));
    }
    assert!(lan.ask(&message(station(5), MessageType::Discover)).is_some_and(|offer| offer.message.yiaddr() == oldest));
    assert!(lan.ask(&message(station(6), MessageType::Discover)).is_none(), "the others are younger than ten seconds");
    let late = message(station(2), MessageType::Request).wants(oldest).server(ROUTER);
    assert_eq!(lan.hear(&late).unwrap().kind(), MessageType::Nak);
}
