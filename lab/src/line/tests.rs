//! The far end's own side: what it takes, and what its server says.

use etherparse::{SlicedPacket, TransportSlice};

use super::*;

const OURS: Mac = [2, 0, 0, 0, 0, 2];
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn line(name: &str) -> Line {
    Line::new(&rows().into_iter().find(|row| row.name == name).unwrap())
}

/// Everything that it has to send.
fn sent(line: &mut Line, now: Duration) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| line.poll(now)).collect()
}

/// The payload of a datagram that it sends, with its source.
fn datagram(line: &mut Line, now: Duration) -> Option<(Ipv6Addr, Vec<u8>)> {
    sent(line, now).into_iter().find_map(|frame| {
        let packet = Packet::read(&frame)?;
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(TransportSlice::Udp(udp)) = sliced.transport else { return None };
        Some((packet.source, udp.payload().to_vec()))
    })
}

/// A message of a client with an IA_PD, which has this in it.
fn message(kind: u8, inner: &[u8]) -> Vec<u8> {
    let association = [&[0, 0, 0, 1][..], &[0; 8], inner].concat();
    [&[kind, 1, 2, 3][..], &dhcp6::option(1, b"client"), &dhcp6::option(25, &association)].concat()
}

fn ask(line: &mut Line, now: Duration, message: &[u8]) -> Option<(Ipv6Addr, Vec<u8>)> {
    let servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    line.hear(now, &wire::udp6((OURS, LINK_LOCAL, 546), (wire::group_mac(servers), servers, 547), message));
    datagram(line, now)
}

/// Whether it answers a ping through the tunnel that comes from there.
fn carries(line: &mut Line, now: Duration, router: u8, source: Ipv6Addr) -> bool {
    let mut ping = Vec::new();
    let builder = etherparse::PacketBuilder::ipv4([192, 168, 1, 9], [198, 51, 100, 2], 64).icmpv4_echo_request(1, 1);
    builder.write(&mut ping, b"x").unwrap();
    sent(line, now);
    line.hear(now, &wire::tunnel((OURS, source), (Router::new(router).mac(), FAR_END), &ping));
    let answers: Vec<_> = sent(line, now);
    answers.iter().any(|frame| Packet::read(frame).is_some_and(|packet| packet.protocol == wire::IPV4))
}

#[test]
fn every_line_is_named_once_and_has_something_to_judge() {
    let mut names: Vec<_> = rows().iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows().len());
    for row in rows() {
        let all = (0..row.seconds()).collect();
        assert_eq!(row.judge(&all), Ok(()), "{}", row.name);
        assert!(row.judge(&BTreeSet::new()).is_err(), "{}", row.name);
        let end = row.seconds();
        let short = (0..end - 2).collect();
        assert!(row.judge(&short).is_err(), "{}: two pings that are lost", row.name);
    }
}

#[test]
fn a_delegated_prefix_is_carried_from_the_request_to_the_end_of_the_lease() {
    let mut line = line("times-behind-the-end");
    let ours: Ipv6Addr = "2001:db8:1012:3400::1".parse().unwrap();
    let (from, advertise) = ask(&mut line, at(1), &message(dhcp6::SOLICIT, &[])).unwrap();
    assert_eq!((from, advertise[0]), (Router::new(1).address(), ADVERTISE));
    assert!(!carries(&mut line, at(1), 1, ours));
    let (_, reply) = ask(&mut line, at(2), &message(3, &[])).unwrap();
    assert_eq!((reply[0], &reply[1..4]), (REPLY, &[1, 2, 3][..]));
    assert!(carries(&mut line, at(2), 1, ours) && carries(&mut line, at(22), 1, ours));
    assert!(!carries(&mut line, at(22), 1, "2001:db8:2056:7800::1".parse().unwrap()), "another's");
    assert!(!carries(&mut line, at(22), 2, ours), "to a router that is not there");
    assert!(!carries(&mut line, at(23), 1, ours));
}

#[test]
fn a_refused_renewal_ends_what_is_carried() {
    let mut line = line("renew-refused");
    ask(&mut line, at(1), &message(3, &[])).unwrap();
    let prefix = [&[0; 8][..], &[56], &"2001:db8:1012:3400::".parse::<Ipv6Addr>().unwrap().octets()].concat();
    let renew = message(5, &dhcp6::option(26, &prefix));
    let (_, reply) = ask(&mut line, at(15), &renew).unwrap();
    let zero = dhcp6::option(26, &prefix);
    assert!(reply.windows(zero.len()).any(|bytes| bytes == zero), "the prefix with lifetimes of zero");
    assert!(reply.windows(6).any(|bytes| bytes == [0, 13, 0, 2, 0, 6]), "NoPrefixAvail");
    assert!(!carries(&mut line, at(15), 1, "2001:db8:1012:3400::1".parse().unwrap()));
    ask(&mut line, at(16), &message(3, &[])).unwrap();
    assert!(carries(&mut line, at(16), 1, "2001:db8:2056:7800::1".parse().unwrap()));
    assert_eq!(ask(&mut line, at(17), &renew), None, "it knows that one no more, and is silent");
}

#[test]
fn the_first_address_is_taken_and_no_other() {
    let mut line = line("address-taken");
    let mut look = |address: &str| {
        let target: Ipv6Addr = address.parse().unwrap();
        let body = [&[0; 4][..], &target.octets()].concat();
        let group = (wire::group_mac(ALL_NODES), ALL_NODES);
        sent(&mut line, at(1));
        line.hear(at(1), &wire::icmp6((OURS, Ipv6Addr::UNSPECIFIED), group, 135, &body));
        !sent(&mut line, at(1)).is_empty()
    };
    assert!(!look("fe80::2") && look("2001:db8::1") && !look("2001:db8::2") && look("2001:db8::1"));
}

#[test]
fn a_cable_that_is_out_carries_nothing() {
    let mut line = line("rebind-unanswered");
    assert!(!sent(&mut line, at(0)).is_empty() && line.is_plugged());
    assert!(sent(&mut line, at(25)).is_empty() && !line.is_plugged());
    assert_eq!(ask(&mut line, at(26), &message(dhcp6::SOLICIT, &[])), None);
    assert!(!sent(&mut line, at(30)).is_empty() && line.is_plugged());
}

#[test]
fn the_resolver_knows_one_name() {
    let query = |name: &str, kind: u8| {
        [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &wire::labels(name)[..], &[0, kind, 0, 1]].concat()
    };
    let known = wire::dns_answer(&query("AFTR.isp.example", 28), "aftr.isp.example", FAR_END).unwrap();
    assert!(known.starts_with(&[7, 7, 0x81, 0x80, 0, 1, 0, 1]) && known.ends_with(&FAR_END.octets()));
    let no_address = wire::dns_answer(&query("aftr.isp.example", 1), "aftr.isp.example", FAR_END).unwrap();
    assert!(no_address.starts_with(&[7, 7, 0x81, 0x80, 0, 1, 0, 0]));
    let unknown = wire::dns_answer(&query("other.example", 28), "aftr.isp.example", FAR_END).unwrap();
    assert!(unknown.starts_with(&[7, 7, 0x81, 0x83, 0, 1, 0, 0]));
    for len in 0..query("a.example", 28).len() {
        assert_eq!(wire::dns_answer(&query("a.example", 28)[..len], "a.example", FAR_END), None);
    }
}
