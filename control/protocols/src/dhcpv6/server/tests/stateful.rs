//! Leases: who gets which, keeps it and gives it back.

use MessageType::{Confirm, Decline, Rebind, Release, Renew, Request, Solicit};

use super::*;

const WALL: u64 = 1_700_000_000;

/// RFC 8415 18.3.9, 18.3.2, 21.4: an address, with the identifiers of both, and what else was asked for.
#[test]
fn rfc8415_18_3_2_an_address() {
    let mut lan = Lan::new();
    let advertise = lan.says(1, Solicit, &[ia(false, 1, &[]), wants(&[23])]).unwrap();
    assert_eq!(advertise.msg_type(), MessageType::Advertise);
    assert_eq!(advertise.opts().get(OptionCode::ClientId), Some(&client_id(1)));
    assert_eq!(lan.body(23).map(|body| body.len()), Some(32));
    assert_eq!(lan.server.leases(lan.now), [], "nothing is kept for who only asks");
    let offered = got(&advertise, false, 1).unwrap();
    let reply = lan.says(1, Request, &[ia(false, 1, &[offered.what()])]).unwrap();
    assert_eq!((reply.msg_type(), got(&reply, false, 1)), (MessageType::Reply, Some(offered.clone())));
    assert_eq!((offered.times, offered.leases[0].1, offered.leases[0].2), ((1350, 2160), 2700, 5400));
    let address = ip(offered.what());
    assert_eq!(address.segments()[..4], ip("2001:db8:1:aa01::").segments()[..4]);
    let leases = lan.server.leases(lan.now);
    assert_eq!((leases[0].mac, leases[0].left, leases.len()), (station(1), 5400, 1));
    assert!(matches!(&lan.events[..], [Event::Leased { .. }]), "{:?}", lan.events);
    assert_eq!(lan.server.counts, Counts { advertised: 1, replied: 1, ..Counts::default() });
}

/// RFC 7943: the same lower half each time, though everything was forgotten; another of each client and association.
#[test]
fn rfc7943_a_client_has_the_same_address_again() {
    let mut lan = Lan::new();
    let first = lan.lease(1, false);
    assert_ne!(lan.lease(2, false), first);
    let two = lan.says(1, Solicit, &[ia(false, 1, &[]), ia(false, 2, &[])]).unwrap();
    assert_eq!(got(&two, false, 1).unwrap().what(), first);
    assert_ne!(got(&two, false, 2).unwrap().what(), first);
    let mut lan = Lan::new();
    lan.lease(2, false);
    assert_eq!(lan.lease(1, false), first);
    lan.pass(100_000);
    assert_eq!(lan.server.leases(lan.now).len(), 2);
    lan.set(served());
    lan.answer(1);
    assert_eq!(lan.server.leases(lan.now), []);
    assert_eq!(lan.lease(1, false), first);
}

/// Two machines that are copies of each other have one identifier: each has a lease, and neither ends the other's.
#[test]
fn copies_of_a_machine_have_an_address_each() {
    let mut lan = Lan::new();
    let first = lan.lease(1, false);
    let says = |lan: &mut Lan, kind, named: &[&str]| {
        let server = (kind != Solicit).then(|| server_id(&ours()));
        let options = [client_id(1), ia(false, 1, named)].into_iter().chain(server).collect();
        let answer = lan.hear(2, &message(kind, options)).unwrap();
        got(&answer, false, 1)
    };
    let second = says(&mut lan, Solicit, &[]).unwrap().what().to_owned();
    assert_ne!(second, first);
    assert_eq!(says(&mut lan, Release, &[&first]), Some(Got::refusal(Status::NoBinding)), "it is not the station's");
    assert_eq!(says(&mut lan, Decline, &[&first]), Some(Got::refusal(Status::NoBinding)));
    assert_eq!(says(&mut lan, Request, &[]).unwrap().what(), second);
    assert_eq!(lan.server.leases(lan.now).len(), 2);
}

/// Reservations: by the Ethernet address that asks, by identifier, by the address that an identifier was made of; nobody else
/// gets them.
#[test]
fn reservations() {
    let mut lan = Lan::new();
    assert_eq!(lan.lease(50, false), "2001:db8:1:aa01::50");
    assert_eq!(lan.lease(50, true), "2001:db8:1:aa30::/60");
    assert_eq!(lan.lease(51, false), "2001:db8:1:aa01::51");
    let mut lan = Lan::new();
    let other_card = message(Solicit, vec![client_id(50), ia(false, 1, &[])]);
    let answer = lan.hear(9, &other_card).unwrap();
    assert_eq!(got(&answer, false, 1).unwrap().what(), "2001:db8:1:aa01::50", "DUID-LL of the station");
    let wish = lan.about(1, Solicit, true, &["2001:db8:1:aa30::/60"]).unwrap();
    assert_ne!(wish.what(), "2001:db8:1:aa30::/60");
}

/// RFC 8415 18.3.9, 21.22: prefixes from the top, as LANs are numbered from below; what is wished for, if it is free; none that
/// overlaps what the LAN or our end of the tunnel has.
#[test]
fn rfc8415_21_22_prefixes() {
    let mut lan = Lan::new();
    assert_eq!(lan.lease(1, true), "2001:db8:1:aaf0::/60");
    assert_eq!(lan.lease(2, true), "2001:db8:1:aae0::/60");
    assert_eq!(lan.about(3, Solicit, true, &["2001:db8:1:aa70::/60"]).unwrap().what(), "2001:db8:1:aa70::/60");
    for wish in ["2001:db8:1:aaf0::/60", "2001:db8:1:aa00::/60", "2001:db8:1:aa70::/64", "2001:db8:9::/60", "::/64"] {
        assert_eq!(lan.about(4, Solicit, true, &[wish]).unwrap().what(), "2001:db8:1:aad0::/60", "{wish}");
    }
    let routes = [("2001:db8:1:aae0::/60", station(2)), ("2001:db8:1:aaf0::/60", station(1))];
    let told = lan.server.routes(lan.now);
    assert_eq!(told, routes.map(|(prefix, mac)| (prefix.parse().unwrap(), mac)));
    lan.says(1, Release, &[ia(true, 1, &["2001:db8:1:aaf0::/60"])]).unwrap();
    assert_eq!(lan.server.routes(lan.now).len(), 1, "RFC 8415 18.3.7: given back");
    lan.pass(5400);
    assert_eq!(lan.server.routes(lan.now), [], "no route outlives its lease");
    assert_eq!(lan.lease(1, true), "2001:db8:1:aaf0::/60", "what it had it gets again");
}

/// RFC 8415 18.3.9: what is not to be had says so in its association, and the other one is served.
#[test]
fn rfc8415_18_3_9_addresses_without_prefixes() {
    let mut lan = Lan::new();
    lan.set(Served { delegable: vec![], ..served() });
    let both = |lan: &mut Lan, kind| {
        let answer = lan.says(1, kind, &[ia(false, 1, &[]), ia(true, 1, &[])]).unwrap();
        (got(&answer, false, 1).unwrap().leases.len(), got(&answer, true, 1).unwrap())
    };
    assert_eq!(both(&mut lan, Solicit), (1, Got::refusal(Status::NoPrefixAvail)));
    assert_eq!(both(&mut lan, Request), (1, Got::refusal(Status::NoPrefixAvail)));
    lan.set(Served { on_link: vec![], ..served() });
    let refused = lan.about(2, Solicit, false, &[]);
    assert_eq!(refused, Some(Got::refusal(Status::NoAddrsAvail)));
    lan.set(Served { parameters: parameters(), ..Served::default() });
    for kind in [Solicit, Request, Renew, Rebind, Confirm] {
        assert_eq!(lan.says(1, kind, &[ia(false, 1, &["2001:db8:1:aa01::9"])]), None, "stateless: {kind:?}");
    }
}

/// RFC 8415 18.3.2, 18.3.3: an address of another link.
#[test]
fn rfc8415_18_3_3_not_on_link() {
    let mut lan = Lan::new();
    let status = |lan: &mut Lan, named: &[&str]| {
        let answer = lan.says(1, Confirm, &[ia(false, 1, named)])?;
        status(answer.opts())
    };
    assert_eq!(lan.about(1, Request, false, &["2001:db8:9::1"]), Some(Got::refusal(Status::NotOnLink)));
    assert_eq!(status(&mut lan, &["2001:db8:1:aa01::1"]), Some(Status::Success));
    assert_eq!(status(&mut lan, &["2001:db8:9::1"]), Some(Status::NotOnLink));
    assert_eq!(status(&mut lan, &[]), None, "18.3.3: nothing to say");
    lan.set(line(2, 14_400, 43_200));
    assert_eq!(status(&mut lan, &["2001:db8:1:aa01::1"]), Some(Status::NotOnLink), "of a prefix that is gone");
}

/// RFC 8415 18.3.8: what somebody else has is set aside; the client gets another address.
#[test]
fn rfc8415_18_3_8_decline() {
    let mut lan = Lan::new();
    let first = lan.lease(1, false);
    let reply = lan.says(1, Decline, &[ia(false, 1, &[&first])]).unwrap();
    assert_eq!((status(reply.opts()), got(&reply, false, 1)), (Some(Status::Success), None));
    assert!(matches!(lan.events.last(), Some(Event::Conflict { .. })));
    assert_ne!(lan.lease(1, false), first);
    lan.about(1, Release, false, &[]);
    lan.pass(601);
    assert_eq!(lan.about(2, Decline, false, &[&first]), Some(Got::refusal(Status::NoBinding)));
}

/// RFC 8415 18.3.4, 18.3.5: renewed; unknown here (the leases were lost), and by Rebind only what would be ours to give.
#[test]
fn rfc8415_18_3_4_renew_and_rebind() {
    let mut lan = Lan::new();
    let (address, prefix) = (lan.lease(1, false), lan.lease(1, true));
    for (is_pd, what) in [(false, &address), (true, &prefix)] {
        lan.pass(1350);
        for kind in [Renew, Rebind] {
            let renewed = lan.about(1, kind, is_pd, &[what]).unwrap();
            assert_eq!(renewed.leases, [(what.clone(), 2700, 5400)]);
        }
    }
    let mut lan = Lan::new();
    assert_eq!(lan.about(1, Renew, false, &[&address]).unwrap().what(), address);
    assert_eq!(lan.about(1, Rebind, true, &[&prefix]).unwrap().what(), prefix);
    let mut lan = Lan::new();
    let foreign = lan.about(1, Renew, false, &["2001:db8:1:aa01::77"]).unwrap();
    assert_eq!(foreign.leases, [(address.clone(), 2700, 5400), ("2001:db8:1:aa01::77".into(), 0, 0)]);
    assert_eq!(lan.about(2, Rebind, false, &["2001:db8:1:aa01::77"]), None, "another server's, it may be");
    let gone = lan.about(2, Rebind, false, &["2001:db8:9::77"]).unwrap();
    assert_eq!(gone.leases, [("2001:db8:9::77".into(), 0, 0)]);
    assert_eq!(lan.about(2, Rebind, true, &["2001:db8:9::/60"]), None);
}

/// What a restart must not lose: the lease, its name and its end; and by a clock that was not set it gets no longer.
#[test]
fn leases_outlive_a_restart() {
    let mut lan = Lan::new();
    let name = DhcpOption::Unknown(dhcproto::v6::UnknownOption::new(39.into(), b"\x01\x04host\x04home\0".to_vec()));
    lan.says(1, Request, &[ia(false, 1, &[]), name]).unwrap();
    let prefix = lan.lease(2, true);
    lan.pass(400);
    let before = lan.server.leases(lan.now);
    assert_eq!(before[0].hostname.as_deref(), Some("host.home"), "RFC 4704 4.2");
    lan.restart(WALL);
    lan.set(served());
    assert_eq!(lan.server.leases(lan.now), before);
    assert_eq!(lan.server.routes(lan.now), [(prefix.parse().unwrap(), station(2))], "its router is reached at once");
    lan.restart(5);
    lan.set(served());
    assert_eq!(lan.server.leases(lan.now), before);
    assert_eq!(lan.lease(3, true), "2001:db8:1:aae0::/60");
}

/// A promise is on disk before it is made; what the disk does not take stops nobody for more than two seconds.
#[test]
fn a_reply_waits_for_the_disk() {
    let mut lan = Lan::new();
    lan.is_disk_full = true;
    lan.answer(1);
    lan.server.saved(lan.server.changes());
    assert!(lan.about(1, Solicit, false, &[]).is_some(), "an offer is no promise");
    assert_eq!(lan.about(1, Request, false, &[]), None);
    lan.server.saved(lan.server.changes() - 1);
    assert_eq!(lan.answer(1), None, "an earlier change");
    lan.server.saved(lan.server.changes());
    assert!(lan.answer(1).is_some());
    assert_eq!(lan.about(1, Renew, false, &[]), None);
    lan.pass(2);
    assert!(lan.answer(1).is_some());
    assert!(lan.about(1, Renew, false, &[]).is_some(), "nobody waits for a disk that fails");
}

/// Forged identifiers, and forged stations: a station has its share, strangers three quarters, and who was here before gets what it had.
#[test]
fn prefixes_are_not_used_up_by_strangers() {
    let mut lan = Lan::new();
    let kept = lan.lease(1, true);
    lan.pass(1350);
    lan.about(1, Renew, true, &[&kept]).unwrap();
    lan.says(1, Release, &[ia(true, 1, &[&kept])]).unwrap();
    lan.pass(100);
    let take = |lan: &mut Lan, number: u8, id: u8| {
        let duid = DhcpOption::ClientId([0, 3, 0, 1, 9, 9, 9, 9, number, id].to_vec());
        let ask = message(Request, vec![duid, server_id(&ours()), ia(true, 1, &[])]);
        lan.pass(10);
        got(&lan.hear(number, &ask).unwrap(), true, 1).unwrap()
    };
    let of_one = (0..20).filter(|&id| take(&mut lan, 60, id).status.is_none()).count();
    assert_eq!(of_one, 8, "a station's share");
    let of_all = (61..80).filter(|&number| take(&mut lan, number, 0).status.is_none()).count();
    // 2001:db8:1:aa00::/60 is the LAN's; one of 15 is reserved.
    assert_eq!(of_one + of_all, 12, "three quarters of 15");
    assert_eq!(lan.lease(1, true), kept);
    assert_eq!(lan.lease(50, true), "2001:db8:1:aa30::/60");
    assert_eq!(
        lan.events.iter().filter(|event| matches!(event, Event::Full { .. })).count(),
        2,
        "a station's share, and all"
    );
}

/// Memory has a bound, whoever asks.
#[test]
fn addresses_of_a_flood() {
    let mut lan = Lan::new();
    let mut granted = 0;
    for n in 0..6000u32 {
        let [.., a, b] = n.to_be_bytes();
        let mac = Mac([2, 1, 0, 0, a, b]);
        let duid = DhcpOption::ClientId(Duid::link_layer(mac).bytes().to_vec());
        let ask = message(Request, vec![duid, server_id(&ours()), ia(false, 1, &[])]).to_vec().unwrap();
        lan.now = lan.now + Duration::from_millis(20);
        let datagram = Datagram { station: mac, source: source(1), destination: SERVERS, payload: &ask };
        lan.server.handle_input(lan.now, datagram);
        while let Some(output) = lan.server.drive(lan.now) {
            match output {
                Output::Save => lan.server.saved(lan.server.changes()),
                Output::Send { payload, .. } => {
                    let answer = Message::from_bytes(&payload).unwrap();
                    granted += usize::from(got(&answer, false, 1).unwrap().status.is_none());
                }
                Output::Event(_) => {}
            }
        }
    }
    assert_eq!((granted, lan.server.leases(lan.now).len()), (3072, 3072));
    assert_eq!(lan.server.snapshot(lan.now, WALL).file().leases.len(), 3072);
}

/// RFC 8415 16.4: a client that speaks to another server shows that there is one.
#[test]
fn another_server_is_told_of_once() {
    let mut lan = Lan::new();
    let other = Duid::link_layer(station(99));
    for number in [1, 2] {
        lan.hear(number, &message(Request, vec![client_id(number), server_id(&other), ia(false, 1, &[])]));
    }
    assert_eq!(lan.events, [Event::OtherServer { server: other.clone(), mac: station(1) }]);
    assert_eq!(lan.server.other_server(lan.now), Some((&other, station(1))));
    lan.pass(7200);
    assert_eq!(lan.server.other_server(lan.now), None);
}

/// However much is asked at once, the answer fits a packet.
#[test]
fn the_largest_answer() {
    let mut lan = Lan::new();
    let many = (0..6).map(|number| line(number, 14_400, 43_200));
    let all = many.reduce(|mut all, line| {
        all.on_link.extend(line.on_link);
        all.delegable.extend(line.delegable);
        all
    });
    lan.set(Served { parameters: parameters(), ..all.unwrap() });
    let named: Vec<String> = (0..6).map(|n| format!("2001:db8:{n}:aa01::bad")).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let asks: Vec<_> = (0..8).map(|id| ia(false, id, &named)).collect();
    let answer = lan.says(1, Renew, &[&asks[..], &[wants(&[23, 24, 31, 56])]].concat()).unwrap();
    assert_eq!(answer.opts().get_all(OptionCode::IANA).unwrap().len(), 4);
    assert_eq!(got(&answer, false, 0).unwrap().leases.len(), 8);
}
