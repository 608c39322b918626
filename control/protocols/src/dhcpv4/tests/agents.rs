//! What switches and relays add on the way (RFC 3046), and what it is good for against stations that are made up.

use super::*;

/// The number of a made-up station.
fn forged(number: u16) -> Mac {
    let [high, low] = number.to_be_bytes();
    Mac([2, 9, 9, 9, high, low])
}

/// Circuit id and remote id of a port of a switch.
fn port(number: u8) -> Vec<u8> {
    [&[1, 4, 0, 1, 0, number, 2, 3][..], b"sw1"].concat()
}

/// What an agent makes of a message: its option 82 behind all else, and its address in `giaddr`.
fn passed_on(sent: &Sent, option: &[u8], giaddr: Option<Ipv4Addr>) -> Vec<u8> {
    let mut bytes = sent.message.to_vec().unwrap();
    assert_eq!(bytes.pop(), Some(255));
    bytes.extend([82, option.len() as u8]);
    bytes.extend(option);
    bytes.push(255);
    let relay = Mac([2, 0, 0, 0, 7, 7]);
    let (station, from, to, port) = match giaddr {
        Some(giaddr) => {
            bytes[24..28].copy_from_slice(&giaddr.octets());
            (relay, giaddr, ROUTER, 67)
        }
        None => (sent.message.chaddr().try_into().map(Mac).unwrap(), sent.message.ciaddr(), sent.to, 68),
    };
    let to_station = if to == ROUTER { US } else { Mac::BROADCAST };
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(station.0, to_station.0).ipv4(from.octets(), to.octets(), 64).udp(port, 67);
    builder.write(&mut frame, &bytes).unwrap();
    frame
}

/// The frames that are sent within a second of this one.
fn answers(lan: &mut Lan, frame: &[u8]) -> Vec<Vec<u8>> {
    lan.server.handle_input(lan.now, frame);
    let mut sent = Vec::new();
    for _ in 0..2 {
        while let Some(output) = lan.server.drive(lan.now) {
            match output {
                Output::Send(frame) => sent.push(frame),
                Output::Save => lan.server.saved(lan.server.changes()),
                Output::Event(event) => lan.events.push(event),
                Output::Probe(_) => {}
            }
        }
        lan.now = lan.now + Duration::from_millis(500);
    }
    sent
}

/// The options of a message of ours, as they stand there.
fn options(frame: &[u8]) -> &[u8] {
    let options = &frame[14 + 20 + 8 + 240..];
    let mut end = 0;
    while options[end] != 255 {
        end += 2 + usize::from(options[end + 1]);
    }
    &options[..end]
}

/// A station at a port of a switch asks for an address, and takes it.
fn lease_at(lan: &mut Lan, station: Mac, option: &[u8]) -> Option<Ipv4Addr> {
    let discover = message(station, MessageType::Discover);
    let offer = answers(lan, &passed_on(&discover, option, None)).pop()?;
    let address = Got::read(&offer).message.yiaddr();
    let request = message(station, MessageType::Request).wants(address).server(ROUTER);
    let ack = answers(lan, &passed_on(&request, option, None)).pop()?;
    (Got::read(&ack).kind() == MessageType::Ack).then_some(address)
}

/// RFC 3046 2.2: the option comes back as it came, behind all others, in all answers; also where its body is no sub-options.
#[test]
fn rfc3046_2_2_what_an_agent_added_comes_back() {
    for option in [&port(3)[..], b"\x01", b"", &[0xff; 255]] {
        let mut lan = Lan::new(config());
        let discover = message(station(1), MessageType::Discover);
        let offer = answers(&mut lan, &passed_on(&discover, option, None)).pop().expect("an offer");
        let echoed = [&[82, option.len() as u8][..], option].concat();
        assert!(options(&offer).ends_with(&echoed), "{offer:x?}");
        let nak = message(station(1), MessageType::Request).wants(host(9)).server(ROUTER);
        let nak = answers(&mut lan, &passed_on(&nak, option, None)).pop().expect("a refusal");
        assert!(options(&nak).ends_with(&echoed));
    }
    // Who tells none is told none.
    let mut lan = Lan::new(config());
    assert!(!lan.ask(&message(station(1), MessageType::Discover)).unwrap().codes().contains(&82));
}

/// RFC 3046 2.2: as a whole or not at all, where the client takes no more; what it can do without goes first.
#[test]
fn rfc3046_2_2_what_does_not_fit_is_left_out() {
    let mut lan = Lan::new(Config { domain: Some("d".repeat(253)), ..config() });
    let with_id = |len| message(station(1), MessageType::Discover).with(DhcpOption::ClientIdentifier(vec![7; len]));
    let offer = answers(&mut lan, &passed_on(&with_id(9), &[0xff; 200], None)).pop().unwrap();
    assert!(offer.len() <= 14 + 576 && options(&offer).ends_with(&[0xff; 200]), "the domain is not owed");
    let offer = answers(&mut lan, &passed_on(&with_id(255), &[0xff; 255], None)).pop().unwrap();
    assert!(offer.len() <= 14 + 576 && !Got::read(&offer).codes().contains(&82));
}

/// RFC 3046 2.1: an agent adds its option behind all else. What a client wrote there itself says nothing, and does not come back.
#[test]
fn rfc3046_2_1_a_clients_own_option_does_not_count() {
    let mut lan = Lan::new(config());
    let mut sent = message(station(1), MessageType::Discover);
    let own = dhcproto::v4::UnknownOption::new(82.into(), port(4));
    sent.message.opts_mut().insert(DhcpOption::Unknown(own));
    let frame = passed_on(&sent, &port(3), None);
    let has = |option: &[u8]| frame.windows(option.len()).any(|bytes| bytes == option);
    assert!(has(&port(3)) && has(&port(4)));
    let offer = answers(&mut lan, &frame).pop().unwrap();
    assert_eq!(options(&offer).windows(2).filter(|pair| pair[0] == 82).count(), 1);
    assert!(options(&offer).ends_with(&port(3)));
}

/// RFC 2131 4.1, 4.3.2: answers to what a relay passed on go to the relay, which tells a refusal to all. A relay of another
/// subnet, or one that has our address, is not answered.
#[test]
fn rfc2131_4_1_a_relay_in_our_subnet_is_answered() {
    let mut lan = Lan::new(config());
    let discover = message(station(1), MessageType::Discover);
    let request = |address| message(station(1), MessageType::Request).wants(address).server(ROUTER);
    let sent = answers(&mut lan, &passed_on(&discover, &port(3), Some(host(7)))).pop().expect("an offer");
    let packet = SlicedPacket::from_ethernet(&sent).unwrap();
    let (Some(etherparse::NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (&packet.net, &packet.transport)
    else {
        panic!("{sent:x?}")
    };
    assert_eq!(sent[..6], [2, 0, 0, 0, 7, 7], "the station that passed it on");
    assert_eq!((ip.header().destination_addr(), udp.source_port(), udp.destination_port()), (host(7), 67, 67));
    let offer = Message::from_bytes(udp.payload()).unwrap();
    assert_eq!((offer.giaddr(), offer.yiaddr(), offer.flags().broadcast()), (host(7), host(100), false));
    assert!(options(&sent).ends_with(&port(3)));

    let nak = answers(&mut lan, &passed_on(&request(host(9)), &port(3), Some(host(7)))).pop().expect("a refusal");
    let nak = Message::from_bytes(&nak[14 + 20 + 8..]).unwrap();
    assert_eq!((nak.opts().msg_type(), nak.giaddr()), (Some(MessageType::Nak), host(7)));
    assert!(nak.flags().broadcast());

    for other in [Ipv4Addr::new(198, 51, 100, 7), ROUTER, host(255)] {
        assert!(answers(&mut lan, &passed_on(&discover, &port(3), Some(other))).is_empty(), "{other}");
    }
    assert_eq!(lan.server.counts.relayed, 3);
}

/// Whoever makes up stations at one port of a switch gets half of the pool; a host at another port gets its lease meanwhile, and
/// what the port has counts as long as it has it, over a restart and renewals that no agent sees.
#[test]
fn a_port_has_half_of_the_pool_at_most() {
    let mut lan = Lan::new(Config { pool: host(100)..=host(119), ..config() });
    let taken: Vec<_> = (0..40).filter_map(|number| lease_at(&mut lan, forged(number), &port(3))).collect();
    assert_eq!(taken.len(), 10);
    assert_eq!(lan.server.counts.port_full, 30);
    let told = lan.events().into_iter().filter(|event| matches!(event, Event::PortFull { .. })).collect::<Vec<_>>();
    assert_eq!(told, [Event::PortFull { port: "00010003 of sw1".to_owned() }], "once");
    // The way round: to renew what was never leased (RFC 2131 4.3.2).
    let claim = message(forged(99), MessageType::Request).having(host(119)).unicast();
    let claim = passed_on(&claim, &port(3), None);
    assert_eq!(answers(&mut lan, &claim).pop().map(|nak| Got::read(&nak).kind()), Some(MessageType::Nak));

    let here = lease_at(&mut lan, station(1), &port(4)).expect("another port has room");
    assert!(lease_at(&mut lan, station(50), &port(3)).is_some(), "a reservation takes nobody's place");
    assert_eq!(lan.renew(forged(0), taken[0]), Some(MessageType::Ack), "straight to us, without the option");
    assert_eq!(lease_at(&mut lan, forged(50), &port(3)), None);

    let file = lan.server.file(lan.now, 1_000);
    let json = serde_json::to_string(&file).unwrap();
    let mut after = Lan::new(Config { pool: host(100)..=host(119), ..config() });
    assert_eq!(after.server.restore(after.now, 1_000, &serde_json::from_str(&json).unwrap()), 12);
    assert_eq!(lease_at(&mut after, forged(51), &port(3)), None, "as before the restart");
    assert_eq!(after.renew(station(1), here), Some(MessageType::Ack));
    let release = message(forged(0), MessageType::Release).having(taken[0]).unicast();
    assert!(after.hear(&release).is_none());
    assert!(lease_at(&mut after, forged(52), &port(3)).is_some(), "one was given back");
}

/// A flood at one port leaves half of the answers, and of the offers that stand, to all others.
#[test]
fn a_flood_at_one_port_does_not_deny_it_to_others() {
    let mut lan = Lan::new(Config { pool: host(2)..=host(250), reservations: vec![], ..config() });
    for number in 0..3000 {
        let discover = message(forged(number), MessageType::Discover);
        lan.server.handle_input(lan.now, &passed_on(&discover, &port(3), None));
        if number % 10 == 0 {
            lan.pass(Duration::from_millis(100));
        }
    }
    assert_eq!(lan.server.leases(lan.now).len(), 32, "half of the offers");
    for number in 1..=8 {
        assert!(lease_at(&mut lan, station(number), &port(4)).is_some(), "{number}");
    }
}
