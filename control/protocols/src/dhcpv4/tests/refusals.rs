//! What a server does not answer, and floods.

use proptest::prelude::*;

use super::*;

fn heard(change: impl FnOnce(&mut Vec<u8>)) -> Counts {
    let mut lan = Lan::new(config());
    let mut frame = message(station(1), MessageType::Discover).frame();
    change(&mut frame);
    lan.server.handle_input(lan.now, &frame);
    assert!(lan.pass(Duration::from_secs(1)).len() <= 1);
    lan.server.counts
}

/// Where the DHCP message begins in a frame.
const DHCP: usize = 14 + 20 + 8;

/// Without a UDP checksum, which is allowed (RFC 768): what else is wrong with the frame is looked at.
fn no_checksum(frame: &mut [u8]) {
    frame[40..42].fill(0);
}

#[test]
fn frames() {
    let good = Counts { discovers: 1, offers: 1, ..Counts::default() };
    let not_for_us = Counts { not_for_us: 1, ..Counts::default() };
    let malformed = Counts { malformed: 1, ..Counts::default() };
    assert_eq!(heard(|_| ()), good);
    assert_eq!(heard(|frame| no_checksum(frame)), good);
    assert_eq!(heard(|frame| frame[41] ^= 1), malformed, "UDP checksum");
    assert_eq!(heard(|frame| frame[24] ^= 1), malformed, "IP checksum");
    assert_eq!(heard(|frame| frame.truncate(100)), not_for_us);
    assert_eq!(heard(|frame| frame[..6].copy_from_slice(&[2, 9, 9, 9, 9, 9])), not_for_us, "another station");
    assert_eq!(heard(|frame| frame[12] = 0x86), not_for_us, "not IPv4");
    assert_eq!(heard(|frame| frame[37] = 68), not_for_us, "another port");
    assert_eq!(heard(|frame| frame[33] = 9), not_for_us, "another host");
    assert_eq!(heard(|frame| frame.extend([0; 10])), good, "padding");
}

/// A frame with this changed in the DHCP message.
fn dhcp(change: impl FnOnce(&mut Vec<u8>)) -> Counts {
    heard(|frame| {
        no_checksum(frame);
        // Room for what is added: 300 bytes and more.
        let mut message = frame.split_off(DHCP);
        change(&mut message);
        let udp = (8 + message.len()) as u16;
        frame[38..40].copy_from_slice(&udp.to_be_bytes());
        frame[16..18].copy_from_slice(&(20 + udp).to_be_bytes());
        let ip = etherparse::Ipv4HeaderSlice::from_slice(&frame[14..34]).unwrap().to_header();
        frame[24..26].copy_from_slice(&ip.calc_header_checksum().to_be_bytes());
        frame.extend(message);
    })
}

/// RFC 2131 2, 4.1 and 4.3: no relays, no other hardware, no BOOTP, no broken options.
#[test]
fn messages() {
    let good = Counts { discovers: 1, offers: 1, ..Counts::default() };
    let malformed = Counts { malformed: 1, ..Counts::default() };
    assert_eq!(dhcp(|_| ()), good);
    assert_eq!(dhcp(|m| m[24] = 10), Counts { relayed: 1, ..Counts::default() });
    assert_eq!(dhcp(|m| m[0] = 2), malformed, "a reply");
    assert_eq!(dhcp(|m| m[1] = 6), malformed, "not Ethernet");
    assert_eq!(dhcp(|m| m[2] = 17), malformed, "more bytes than there are");
    assert_eq!(dhcp(|m| m[28] = 0xff), malformed, "a group address");
    assert_eq!(dhcp(|m| m[28..34].copy_from_slice(&US.0)), malformed, "ours");
    assert_eq!(dhcp(|m| m[236] = 0), malformed, "no cookie");
    assert_eq!(dhcp(|m| m[240] = 0), malformed, "no message type");
    assert_eq!(dhcp(|m| m[242] = 5), malformed, "an ACK");
    assert_eq!(dhcp(|m| m.truncate(239)), malformed);
    let options = |options: &[u8]| dhcp(|m| m.splice(240.., [&[53, 1, 1], options].concat()).for_each(drop));
    assert_eq!(options(&[]), good, "the end is missing");
    assert_eq!(options(&[12, 9, b'x']), malformed, "truncated");
    assert_eq!(options(&[80, 1, 0, 81, 1, 0, 93, 0, 151, 0, 255]), good, "what dhcproto asserts about");
    assert_eq!(options(&[12, 2, 0x83, 0x65, 50, 3, 1, 2, 3, 255]), good, "a name in Shift JIS, half an address");
    assert_eq!(options(&[53, 1, 5, 255]), good, "the first counts");
}

/// RFC 2131 4.1: options that go on in the fields for file and server name.
#[test]
fn overloaded_options() {
    let counts = dhcp(|m| {
        m.splice(240.., [52, 1, 3, 255]).for_each(drop);
        m[108..112].copy_from_slice(&[0, 50, 4, 192]);
        m[112..116].copy_from_slice(&[0, 2, 100, 255]);
        m[44..48].copy_from_slice(&[53, 1, 1, 255]);
    });
    assert_eq!((counts.discovers, counts.offers), (1, 1));
}

/// RFC 2132 9.10: a reply is not larger than the client can take.
#[test]
fn largest_message() {
    let mut lan = Lan::new(Config { domain: Some("d".repeat(253)), ..config() });
    let id = DhcpOption::ClientIdentifier(vec![7; 255]);
    let discover = message(station(1), MessageType::Discover).with(id);
    let offer = lan.ask(&discover).unwrap();
    assert!(offer.message.to_vec().unwrap().len() <= 548);
    assert!(offer.codes().contains(&61) && !offer.codes().contains(&15), "the identifier is owed, the domain is not");
    let offer = lan.ask(&discover.with(DhcpOption::MaxMessageSize(1500))).unwrap();
    assert!(offer.codes().contains(&15));
}

/// Thousands of stations that ask and never take: open offers are few, leases stay, and their holders are heard.
#[test]
fn starvation() {
    let mut lan = Lan::new(Config { pool: host(100)..=host(250), ..config() });
    let address = lan.lease(station(1));
    for number in 0..20_000u32 {
        let [_, a, b, c] = number.to_be_bytes();
        lan.server.handle_input(lan.now, &message(Mac([2, 9, 9, a, b, c]), MessageType::Discover).frame());
        if number % 100 == 0 {
            lan.pass(Duration::from_millis(100));
            assert!(lan.server.leases(lan.now).len() <= 65);
        }
    }
    assert_eq!(lan.renew(station(1), address), Some(MessageType::Ack));
    let counts = lan.server.counts;
    assert!(counts.limited > 19_000 && counts.discovers < 500, "{counts:?}");
    lan.seconds(61);
    assert_eq!(lan.server.leases(lan.now).len(), 1, "offers go by");
    lan.lease(station(2));
}

/// Stations that do take what they are offered get what is free, and nothing of anybody's.
#[test]
fn exhaustion() {
    let mut lan = Lan::new(config());
    let address = lan.lease(station(1));
    for number in 100..=110 {
        lan.ask(&message(station(number), MessageType::Discover)).map(|offer| {
            let wanted = offer.message.yiaddr();
            assert_ne!(wanted, address);
            lan.hear(&message(station(number), MessageType::Request).wants(wanted).server(ROUTER))
        });
        lan.seconds(1);
    }
    assert_eq!(lan.server.counts.full, 8);
    assert_eq!(lan.lease(station(50)), host(50), "a reservation is not given away");
    assert_eq!(lan.renew(station(1), address), Some(MessageType::Ack));
}

proptest! {
    /// Any bytes, and any change to a good frame: no panic, no lease.
    #[test]
    fn garbage(bytes in prop::collection::vec(any::<u8>(), 0..400), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        let mut frame = message(station(1), MessageType::Request).wants(host(100)).server(ROUTER).frame();
        no_checksum(&mut frame);
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        let options = [&frame[..], &bytes].concat();
        let mut lan = Lan::new(config());
        for frame in [&bytes, &frame, &options] {
            fuzz(frame, &config());
            lan.server.handle_input(lan.now, frame);
        }
        let mut outputs = 0;
        for seconds in [0, 1, 20] {
            lan.now = lan.now + Duration::from_secs(seconds);
            outputs += std::iter::from_fn(|| lan.server.drive(lan.now)).take(100).count();
        }
        prop_assert!(outputs < 20);
        // Nothing was offered, so nothing is leased; but a client may say that it has an address of ours.
        let leased = lan.server.leases(lan.now).iter().filter(|lease| lease.standing == Standing::Leased).count();
        prop_assert!(leased <= lan.server.counts.acks as usize);
    }

    /// Any options, with all lengths right: what is behind the door.
    #[test]
    fn options(options in prop::collection::vec((1u8..255, prop::collection::vec(any::<u8>(), 0..20)), 0..12)) {
        let options = options.iter().flat_map(|(code, body)| [&[*code, body.len() as u8][..], body].concat());
        let counts = dhcp(|m| m.splice(240.., options).for_each(drop));
        prop_assert_eq!(counts.not_for_us, 0);
    }
}

/// One station asks sixty times a second, in vain or to be answered: another gets its lease all the same. Limits are of a
/// station first, and of all then.
#[test]
fn one_station_does_not_deny_it_to_all() {
    let mut lan = Lan::new(config());
    let discover = message(station(1), MessageType::Discover);
    // What the other is told, as soon as it is told something.
    let flood = |lan: &mut Lan, sixtieths: u64| {
        (0..sixtieths).find_map(|_| {
            lan.server.handle_input(lan.now, &discover.frame());
            let got = lan.pass(Duration::from_nanos(1_000_000_000 / 60));
            got.into_iter().find(|got| got.station == station(2))
        })
    };
    flood(&mut lan, 600);
    lan.server.handle_input(lan.now, &message(station(2), MessageType::Discover).frame());
    let address = flood(&mut lan, 60).expect("an offer within a second").message.yiaddr();
    let request = message(station(2), MessageType::Request).wants(address).server(ROUTER);
    lan.server.handle_input(lan.now, &request.frame());
    let ack = flood(&mut lan, 60).expect("an answer within a second");
    assert_eq!((ack.kind(), ack.message.yiaddr()), (MessageType::Ack, address));
}
