//! Few ports, many connections: port sets (RFC 7597, RFC 7596), shared ports, static mappings and
//! the shares of hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hikyaku_dataplane::napt::{
    Claim, Config, Direction, Endpoint, Filtering, Forward, Key, LanId, Napt, PortStats, Refused, SessionId, pair_ports,
};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::packet::Tcp;
use hikyaku_net::{PortSet, Time, protocol};

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const TCP: u8 = protocol::TCP;
const UDP: u8 = protocol::UDP;
const ICMP: u8 = protocol::ICMP;
const SYN: u8 = Tcp::SYN;

/// v6plus: a = 4, k = 8, 15 blocks of 16.
fn few() -> PortSet {
    PortSet::new(4, 8, 0x34).unwrap()
}

fn host(n: u8, port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(10, 0, 0, n), port)
}

fn peer(n: u8, port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(198, 51, 100, n), port)
}

fn outside(port: u16) -> Endpoint {
    Endpoint::new(OUTSIDE, port)
}
/// The one that almost all tests are on.
const LAN: LanId = LanId(0);

fn forward(protocol: u8, outside: (u16, u16), inside: Endpoint) -> Forward {
    Forward { protocol, outside, lan: LAN, inside: inside.addr.into(), inside_port: inside.port.number() }
}

/// A NAPT and the clock of its only worker.
struct Nat {
    napt: Napt,
    now: u64,
}

impl Nat {
    /// A table of 240 ports, its configuration changed by `change`.
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { sessions: 1 << 13, ports: few(), huge_pages: false, ..Config::new(OUTSIDE) };
        change(&mut config);
        let napt = Napt::new(&config).unwrap();
        napt.quiescent(0);
        Self { napt, now: 1000 }
    }

    fn new() -> Self {
        Self::with(|_| ())
    }

    fn time(&self) -> Time {
        Time(self.now * 1_000_000_000)
    }

    /// So many seconds, second by second.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            self.napt.quiescent(0);
            self.napt.age(self.time(), usize::MAX);
        }
        self.napt.quiescent(0);
        self.napt.age(self.time(), 0);
    }

    fn open(&self, protocol: u8, src: Endpoint, dst: Endpoint) -> Result<SessionId, Reason> {
        let flags = if protocol == TCP { SYN } else { 0 };
        self.napt.create_outbound(LAN, protocol, src, dst, flags, self.time())
    }

    /// Sends a packet out; the outside port that it left with.
    fn out(&self, protocol: u8, src: Endpoint, dst: Endpoint) -> u16 {
        self.outside_of(self.open(protocol, src, dst).unwrap()).port.number()
    }

    fn outside_of(&self, id: SessionId) -> Endpoint {
        self.napt.session(id).outside()
    }

    fn inbound(&self, protocol: u8, src: Endpoint, port: u16) -> Result<SessionId, Reason> {
        let flags = if protocol == TCP { SYN } else { 0 };
        self.napt.create_inbound(protocol, src, outside(port), flags, self.time())
    }

    fn claim(&self, id: SessionId) -> Claim {
        self.napt.session(id).claim()
    }

    fn stats(&self, protocol: u8) -> PortStats {
        self.napt.port_stats().into_iter().find(|stats| stats.protocol == protocol).unwrap()
    }

    /// Every session is found from both sides, and translated to what it is.
    fn check_all(&self) {
        let mut seen_from_outside = BTreeSet::new();
        self.napt.slice(0, u32::MAX, |session| {
            let (inside, peer, outside) = (session.inside(), session.peer(), session.outside());
            let protocol = session.protocol();
            assert!(self.napt.port_set().contains(outside.port.number()), "RFC 7597 8.1: {outside:?}");
            let looks = (protocol, outside.port.number(), peer.addr.0, peer.port.number());
            assert!(seen_from_outside.insert(looks), "two sessions that look the same from outside: {looks:?}");
            for key in [Key::outbound(LAN, protocol, inside, peer), Key::inbound(protocol, peer, outside)] {
                let found = self.napt.find(&key, self.napt.hash(&key)).expect("it is found");
                assert!(std::ptr::eq(self.napt.session(found), session));
            }
            assert_eq!(session.rewrite(Direction::Outbound).ports, pair_ports(outside.port, peer.port));
            assert_eq!(session.rewrite(Direction::Inbound).ports, pair_ports(peer.port, inside.port));
        });
        assert_eq!(seen_from_outside.len() as u32, self.napt.stats().live);
    }
}

#[test]
fn rfc7597_5_1_every_port_of_the_set_is_used_until_none_is_left() {
    for (set, size) in [(few(), 240), (PortSet::new(6, 6, 0x3f).unwrap(), 1008), (PortSet::new(0, 6, 3).unwrap(), 1024)]
    {
        let nat = Nat::with(|config| config.ports = set);
        for protocol in [TCP, UDP, ICMP] {
            let server = peer(1, if protocol == ICMP { 0 } else { 443 });
            let ids = (0..size).map(|i| nat.open(protocol, host(1 + (i % 7) as u8, 50_000 + i), server).unwrap());
            let ports: BTreeSet<u16> = ids.map(|id| nat.outside_of(id).port.number()).collect();
            let all: BTreeSet<u16> = set.ranges().flat_map(|(first, last)| first..=last).collect();
            assert_eq!(ports, all);
            assert_eq!(nat.open(protocol, host(9, 9), server), Err(Reason::NaptPortsFull));
            let stats = nat.stats(protocol);
            assert_eq!((stats.size, stats.used, stats.shared, stats.refused), (size.into(), size.into(), 0, 1));
        }
        nat.check_all();
    }
}

#[test]
fn rfc7597_8_1_the_ports_of_others_are_refused_by_name() {
    let nat = Nat::with(|config| config.filtering = Filtering::EndpointIndependent);
    let mine = nat.out(UDP, host(1, 4000), peer(1, 443));
    for port in (0..=u16::MAX).filter(|&port| port != mine) {
        let reason = if few().contains(port) { Reason::NaptNoSession } else { Reason::PortOutsideSet };
        for protocol in [TCP, UDP, ICMP] {
            assert_eq!(nat.inbound(protocol, peer(2, 9), port), Err(reason), "{port}");
        }
    }
    assert_eq!(nat.napt.stats().live, 1);
}

#[test]
fn five_thousand_connections_to_fifty_servers_by_240_ports() {
    for protocol in [TCP, UDP] {
        let nat = Nat::new();
        for i in 0..100 {
            for server in 0..50 {
                let client = host(1 + (i % 20) as u8, 20_000 + i * 50 + server);
                nat.open(protocol, client, peer(server as u8, 443)).unwrap();
            }
        }
        nat.check_all();
        let stats = nat.stats(protocol);
        assert_eq!((nat.napt.stats().live, stats.used, stats.shared, stats.refused), (5000, 240, 4760, 0));
    }
}

#[test]
fn five_hundred_connections_to_one_server_and_no_more_than_240_to_one_port_of_it() {
    let nat = Nat::new();
    for i in 0..500 {
        nat.open(TCP, host(1, 20_000 + i), peer(1, 440 + i % 5)).unwrap();
    }
    // To one port as many as there are ports, whatever else there is.
    let all_at_once = (0..1000).map(|i| nat.open(TCP, host(2, 20_000 + i), peer(1, 440)));
    let (open, refused): (Vec<_>, Vec<_>) = all_at_once.partition(Result::is_ok);
    assert_eq!(open.len(), 140);
    assert!(refused.iter().all(|result| *result == Err(Reason::NaptPortsFull)));
    assert_eq!((nat.napt.stats().live, nat.stats(TCP).refused), (640, 860));
    nat.check_all();
}

#[test]
fn connections_that_are_over_make_room_for_new_ones_and_open_ones_do_not() {
    let mut nat = Nat::new();
    let server = peer(1, 443);
    let connect = |nat: &Nat, i: u16, close: [u8; 2]| {
        let id = nat.open(TCP, host(1, 20_000 + i), server)?;
        let session = nat.napt.session(id);
        for (direction, flags) in [
            (Direction::Inbound, SYN | Tcp::ACK),
            (Direction::Outbound, Tcp::ACK),
            (Direction::Outbound, close[0]),
            (Direction::Inbound, close[1]),
        ] {
            nat.napt.track(session, direction, flags);
        }
        Ok(id)
    };
    let open = |nat: &Nat, i| connect(nat, i, [Tcp::ACK, Tcp::ACK]);
    // A hundred stay open; one after the other comes and goes beside them, at seventy a second.
    (0..100).for_each(|i| _ = open(&nat, i).unwrap());
    for i in 100..3000 {
        if i % 70 == 0 {
            nat.wait(1);
        }
        let close = if i % 2 == 0 { [Tcp::FIN | Tcp::ACK; 2] } else { [Tcp::RST, Tcp::ACK] };
        connect(&nat, i, close).unwrap_or_else(|reason| panic!("connection {i}: {reason:?}"));
    }
    nat.check_all();
    for i in 0..100 {
        let key = Key::outbound(LAN, TCP, host(1, 20_000 + i), server);
        assert!(nat.napt.find(&key, nat.napt.hash(&key)).is_some(), "connection {i} is open");
    }
    // All in one second is too fast: what was on its way must have come. Half closed is open.
    nat.wait(300);
    for i in 0..140 {
        connect(&nat, 5000 + i, if i < 70 { [Tcp::FIN, Tcp::ACK] } else { [Tcp::FIN, Tcp::FIN] }).unwrap();
    }
    assert_eq!(open(&nat, 6000), Err(Reason::NaptPortsFull));
    nat.wait(2);
    let opened = (0..200).filter(|i| open(&nat, 7000 + i).is_ok()).count();
    assert_eq!((opened, nat.stats(TCP).used, nat.napt.stats().live), (70, 240, 240));
    nat.check_all();
}

#[test]
fn a_port_that_comes_free_is_found_at_once() {
    let mut nat = Nat::new();
    (0..240).for_each(|i| _ = nat.open(TCP, host(1, 20_000 + i), peer(1, 443)).unwrap());
    let late = |nat: &Nat| nat.open(TCP, host(2, 9), peer(1, 443));
    // However often it was refused before.
    (0..1000).for_each(|_| assert_eq!(late(&nat), Err(Reason::NaptPortsFull)));
    nat.wait(241);
    assert!(late(&nat).is_ok());
    // Nor does a port that is no longer forwarded stay lost.
    let nat = Nat::with(|config| config.forwards = vec![forward(TCP, (0x1340, 0x1340), host(3, 1))]);
    (0..239).for_each(|i| _ = nat.open(TCP, host(1, 20_000 + i), peer(1, 443)).unwrap());
    (0..10).for_each(|_| assert_eq!(late(&nat), Err(Reason::NaptPortsFull)));
    nat.napt.set_forwards(&[]).unwrap();
    assert_eq!(nat.outside_of(late(&nat).unwrap()).port, 0x1340.into());
}

#[test]
fn a_whole_address_shares_its_ports_too() {
    let nat = Nat::with(|config| (config.ports, config.sessions) = (PortSet::ALL, 1 << 17));
    let client = |n: u32| Endpoint::new(Ipv4Addr::from(0x0a00_0000 + n / 50_000), (1024 + n % 50_000) as u16);
    for n in 0..65_535 {
        assert_eq!(nat.claim(nat.open(UDP, client(n), peer(1, 443)).unwrap()), Claim::Mapped);
    }
    assert_eq!(nat.open(UDP, client(65_535), peer(1, 443)), Err(Reason::NaptPortsFull));
    for n in 65_535..120_000 {
        assert_eq!(nat.claim(nat.open(UDP, client(n), peer(2, 443)).unwrap()), Claim::Shared);
    }
    nat.check_all();
}

#[test]
fn rfc4787_req1_udp_is_endpoint_independent_as_long_as_there_are_ports() {
    let mut nat = Nat::new();
    let ports: BTreeMap<u16, u16> = (0..240).map(|i| (i, nat.out(UDP, host(1, 50_000 + i), peer(1, 443)))).collect();
    // Mappings that are there stay what they are.
    for (i, &port) in &ports {
        assert_eq!(nat.out(UDP, host(1, 50_000 + i), peer(2, 3478)), port);
    }
    // Without a port of its own it takes what fits towards each peer.
    let late = host(2, 7000);
    let shared = [3, 4, 5].map(|n| nat.open(UDP, late, peer(n, 443)).unwrap());
    assert!(shared.iter().all(|&id| nat.claim(id) == Claim::Shared));
    nat.check_all();
    // As soon as there is a port it has a mapping.
    nat.wait(200);
    (0..239).for_each(|i| _ = nat.napt.session(nat.open(UDP, host(1, 50_000 + i), peer(3, 1)).unwrap()));
    shared.iter().for_each(|&id| nat.napt.session(id).note(Direction::Outbound, nat.time().seconds(), true));
    nat.wait(105);
    let used: BTreeSet<u16> = shared.iter().map(|&id| nat.outside_of(id).port.number()).collect();
    let free = 1 - u32::from(used.contains(&ports[&239]));
    assert_eq!(nat.stats(UDP).used, 240 - free, "the ports of the sessions that share live on");
    nat.wait(200);
    assert_eq!(nat.stats(UDP), PortStats { protocol: UDP, size: 240, ..PortStats::default() });
    let id = nat.open(UDP, late, peer(1, 443)).unwrap();
    assert_eq!((nat.claim(id), nat.out(UDP, late, peer(9, 9))), (Claim::Mapped, nat.outside_of(id).port.number()));
}

#[test]
fn a_shared_port_outlives_its_mapping_and_the_mapping_those_who_share_it() {
    for mapping_first in [true, false] {
        // One port.
        let mut nat = Nat::with(|config| {
            config.ports = PortSet::new(0, 16, 5000).unwrap();
            config.filtering = Filtering::EndpointIndependent;
        });
        let (a, b) = (host(1, 4000), host(2, 4000));
        let owner = nat.open(UDP, a, peer(1, 443)).unwrap();
        let sharer = nat.open(UDP, b, peer(2, 443)).unwrap();
        assert_eq!([nat.claim(owner), nat.claim(sharer)], [Claim::Mapped, Claim::Shared]);
        assert_eq!(nat.open(UDP, b, peer(1, 443)), Err(Reason::NaptPortsFull));
        // RFC 4787 REQ-8: strangers may send to the mapping; nobody but its peer to who shares its port.
        let stranger = nat.inbound(UDP, peer(3, 9), 5000).unwrap();
        assert_eq!(nat.napt.session(stranger).inside(), a);
        let theirs = Key::inbound(UDP, peer(2, 443), outside(5000));
        let found = nat.napt.find(&theirs, nat.napt.hash(&theirs)).unwrap();
        assert_eq!(nat.napt.session(found).inside(), b);
        // Towards the sharer's peer the mapping cannot go by its port, and there is no other.
        assert_eq!(nat.open(UDP, a, peer(2, 443)), Err(Reason::NaptPortsFull));
        nat.wait(200);
        let lives = if mapping_first { sharer } else { owner };
        nat.napt.session(lives).note(Direction::Outbound, nat.time().seconds(), true);
        nat.wait(150);
        assert_eq!((nat.napt.stats().live, nat.stats(UDP).used), (1, 1));
        nat.check_all();
        if mapping_first {
            // Without a mapping there is nothing for strangers, and a port that is in use is not free.
            assert_eq!(nat.inbound(UDP, peer(3, 9), 5000), Err(Reason::NaptFiltered));
            assert_eq!(nat.claim(nat.open(UDP, a, peer(1, 443)).unwrap()), Claim::Shared);
            nat.wait(155);
        } else {
            assert_eq!(nat.claim(nat.open(UDP, a, peer(2, 443)).unwrap()), Claim::Mapped);
            nat.wait(155);
        }
        nat.wait(400);
        assert_eq!((nat.napt.stats().live, nat.stats(UDP).used, nat.stats(UDP).shared), (0, 0, 0));
        assert_eq!(nat.claim(nat.open(UDP, b, peer(1, 443)).unwrap()), Claim::Mapped);
    }
}

#[test]
fn questions_share_the_last_quarter_and_leave_it_to_mappings() {
    let nat = Nat::new();
    let resolvers = [peer(1, 53), peer(2, 53)];
    // Some hundred questions at once: three quarters of the ports at most.
    let ids: Vec<_> =
        (0..300).map(|i| nat.open(UDP, host(1, 20_000 + i), resolvers[i as usize % 2]).unwrap()).collect();
    let stats = nat.stats(UDP);
    assert_eq!((stats.used, stats.shared), (180, 120));
    let games = (0..60).map(|i| nat.open(UDP, host(2, 3000 + i), peer(3, 4000)).unwrap());
    assert!(games.into_iter().all(|id| nat.claim(id) == Claim::Mapped));
    // TCP has ports of its own.
    assert_eq!(nat.stats(TCP).used, 0);
    assert!(ids.iter().all(|&id| nat.outside_of(id).addr == OUTSIDE.into()));
    // What there is not room for is refused, and only that: 240 to each resolver.
    let more = (0..400).filter(|&i| nat.open(UDP, host(3, 20_000 + i), resolvers[i as usize % 2]).is_ok()).count();
    assert_eq!(more, 180);
    nat.check_all();
}

#[test]
fn rfc4787_req5a_an_answered_question_is_over_soon() {
    for refresh in [true, false] {
        let mut nat = Nat::with(|config| config.inbound_refresh = refresh);
        let [asked, answered, half, tunnel] =
            [1, 2, 3, 4].map(|n| nat.open(UDP, host(n, 4000), peer(1, 53)).unwrap()).map(|id| nat.napt.session(id));
        let now = nat.time().seconds();
        let sent = [asked, answered, half, half, tunnel, tunnel, tunnel];
        sent.iter().for_each(|session| session.note(Direction::Outbound, now, true));
        [answered, half, tunnel].iter().for_each(|session| session.note(Direction::Inbound, now, refresh));
        let end = |session: &hikyaku_dataplane::napt::Session| session.outside();
        let ports = [asked, answered, half, tunnel].map(end);
        let mapped = |nat: &Nat| ports.map(|port| nat.napt.is_mapped(UDP, port));
        nat.wait(3);
        assert_eq!(mapped(&nat), [true; 4]);
        nat.wait(2);
        assert_eq!(mapped(&nat), [true, false, true, true], "two questions wait for two answers");
        nat.wait(10);
        assert_eq!(mapped(&nat), [true, false, true, true]);
        nat.wait(2);
        assert_eq!(mapped(&nat), [false, false, false, true], "three are no question");
        nat.wait(282);
        assert_eq!(mapped(&nat), [false, false, false, true], "a tunnel lives as long as any other UDP");
        nat.wait(3);
        assert_eq!(mapped(&nat), [false; 4]);
    }
}

/// Where there are ports and places enough, nothing is shorter for its port, whatever it looks like. Once there is little
/// room, questions that are over make some.
#[test]
fn rfc4787_req5_where_there_is_room_a_question_lives_as_long_as_any() {
    let mut nat = Nat::with(|config| (config.ports, config.sessions) = (PortSet::ALL, 1 << 14));
    let number = |nat: &Nat| nat.napt.stats().live;
    for n in 0..100 {
        let id = nat.open(UDP, host(1, 20_000 + n), peer(1, 53)).unwrap();
        for way in [Direction::Outbound, Direction::Inbound] {
            nat.napt.session(id).note(way, nat.time().seconds(), true);
        }
    }
    nat.wait(100);
    assert_eq!(number(&nat), 100);
    // Three quarters of the table.
    for n in 0..12_288_u16 {
        nat.open(UDP, host(2 + (n % 100) as u8, 1024 + n), peer(2, 443)).unwrap();
    }
    nat.wait(17);
    assert!((12_200..12_288 + 100).contains(&number(&nat)), "{:?}", nat.napt.stats());
    assert!(
        number(&nat) < 12_288 + 16,
        "as many as were too many, and the rest of a batch at most: {:?}",
        nat.napt.stats()
    );
}

#[test]
fn a_forward_lets_anybody_in_and_its_host_out_by_the_same_port() {
    let (web, dns) = (host(1, 80), host(2, 53));
    let nat = Nat::with(|config| {
        config.forwards = vec![
            forward(TCP, (0x1340, 0x1340), web),
            forward(UDP, (0x2340, 0x2343), dns),
            forward(ICMP, (0x3340, 0x334f), host(1, 7)),
        ];
    });
    for n in 1..50 {
        let id = nat.inbound(TCP, peer(n, 40_000), 0x1340).unwrap();
        assert_eq!((nat.napt.session(id).inside(), nat.claim(id)), (web, Claim::Forwarded));
        // RFC 4787 REQ-1: what goes out from there has that port, whatever its peer.
        assert_eq!(nat.out(TCP, web, peer(n, 9)), 0x1340);
    }
    let id = nat.inbound(UDP, peer(1, 1), 0x2342).unwrap();
    assert_eq!(nat.napt.session(id).inside(), host(2, 55));
    let id = nat.inbound(ICMP, peer(1, 0), 0x334f).unwrap();
    assert_eq!(nat.napt.session(id).inside(), host(1, 7 + 15));
    // RFC 5382 REQ-3: only a SYN opens.
    let ack = nat.napt.create_inbound(TCP, peer(90, 1), outside(0x1340), Tcp::ACK, nat.time());
    assert_eq!(ack, Err(Reason::NaptFiltered));
    // Nothing else is open, and no other address.
    let elsewhere = Endpoint::new(Ipv4Addr::new(192, 0, 2, 2), 0x1340);
    assert_eq!(nat.napt.create_inbound(TCP, peer(90, 1), elsewhere, SYN, nat.time()), Err(Reason::NaptNoSession));
    assert_eq!(nat.inbound(UDP, peer(1, 1), 0x1340), Err(Reason::NaptNoSession));
    assert_eq!(nat.inbound(TCP, peer(1, 1), 0x1341), Err(Reason::NaptNoSession));
    nat.check_all();
}

#[test]
fn a_forwarded_port_is_given_to_nobody_else() {
    let nat = Nat::with(|config| config.forwards = vec![forward(UDP, (0x1340, 0x134f), host(1, 1000))]);
    // Its number is not preserved for another; neither is it shared.
    let ports = (0..1000).map(|i| nat.out(UDP, host(2, 0x1340 + i), peer((i / 200) as u8, 443)));
    assert!(ports.into_iter().all(|port| !(0x1340..=0x134f).contains(&port)));
    let stats = nat.stats(UDP);
    assert_eq!((stats.size, stats.forwarded, stats.used, stats.shared), (240, 16, 224, 1000 - 224));
    // With all ports in use the host itself has its own.
    assert_eq!(nat.out(UDP, host(1, 1003), peer(1, 443)), 0x1343);
    assert_eq!(nat.claim(nat.open(UDP, host(1, 999), peer(7, 443)).unwrap()), Claim::Shared);
    nat.check_all();
}

#[test]
fn forwards_change_and_every_session_lives_on() {
    let mut nat = Nat::new();
    let (a, b) = (host(1, 0x1340), host(2, 80));
    let dynamic = nat.open(UDP, a, peer(1, 443)).unwrap();
    let others: Vec<_> = (0..100).map(|i| nat.open(TCP, host(3, 1000 + i), peer(1, 443)).unwrap()).collect();
    assert_eq!(nat.outside_of(dynamic).port, 0x1340.into());
    // The port is forwarded to another host now.
    let list = [forward(UDP, (0x1340, 0x1341), b), forward(TCP, (0x1340, 0x1340), b)];
    nat.napt.set_forwards(&list).unwrap();
    assert_eq!(nat.napt.forwards(), [list[1], list[0]]);
    let stranger = nat.inbound(UDP, peer(2, 1), 0x1340).unwrap();
    assert_eq!(nat.napt.session(stranger).inside(), b);
    // Who had it has it until it ends, but not where the new one is spoken to.
    assert_eq!(nat.out(UDP, a, peer(3, 1)), 0x1340);
    assert_ne!(nat.out(UDP, a, peer(2, 1)), 0x1340);
    assert_eq!(nat.napt.stats().live, 104);
    nat.check_all();
    // A list that is wrong changes nothing.
    nat.napt.set_forwards(&[forward(UDP, (0x1350, 0x1350), b)]).unwrap_err();
    assert_eq!(nat.napt.forwards().len(), 2);
    nat.napt.set_forwards(&[]).unwrap();
    assert_eq!(nat.inbound(UDP, peer(4, 1), 0x1340), Err(Reason::NaptFiltered), "sessions are on it still");
    assert_eq!(nat.inbound(UDP, peer(4, 1), 0x1341), Err(Reason::NaptNoSession));
    assert!(others.iter().all(|&id| nat.claim(id) == Claim::Mapped));
    nat.wait(400);
    assert_eq!((nat.stats(UDP).used, nat.stats(UDP).forwarded), (0, 0));
    assert_eq!(nat.claim(nat.open(UDP, host(9, 0x1340), peer(1, 1)).unwrap()), Claim::Mapped);
}

#[test]
fn one_to_one_is_all_of_the_address_both_ways() {
    let to = host(1, 0);
    for set in [PortSet::ALL, few()] {
        let nat = Nat::with(|config| {
            config.ports = set;
            config.forwards = Forward::one_to_one(set, LAN, to.addr.into()).collect();
        });
        for protocol in [TCP, UDP, ICMP] {
            for port in set.ranges().map(|(_, last)| last) {
                let id = nat.inbound(protocol, peer(1, 9), port).unwrap();
                assert_eq!(nat.napt.session(id).inside(), host(1, port));
                assert_eq!(nat.out(protocol, host(1, port), peer(2, 9)), port);
            }
            assert_eq!(nat.open(protocol, host(2, 4000), peer(1, 9)), Err(Reason::NaptPortsFull));
            let usable = set.len() - u32::from(set.contains(0));
            assert_eq!((nat.stats(protocol).forwarded, nat.stats(protocol).used), (usable, 0));
        }
    }
}

#[test]
fn a_forward_of_anothers_port_is_refused_with_the_ports_that_are_ours() {
    let config =
        Config { ports: few(), forwards: vec![forward(TCP, (443, 443), host(1, 443))], ..Config::new(OUTSIDE) };
    let Err(refused @ Refused::Forwards(_)) = Napt::new(&config) else { panic!("443 is not ours") };
    assert_eq!(
        refused.to_string(),
        "static mappings: 443 is not among this line's 240 ports; usable: 4928-4943, 9024-9039, 13120-13135, \
         17216-17231, …"
    );
}

#[test]
fn strangers_leave_a_quarter_of_the_table_to_our_own() {
    let nat = Nat::with(|config| {
        config.sessions = 1 << 10;
        config.forwards = vec![forward(TCP, (0x1340, 0x1340), host(1, 80))];
    });
    let came = (0..2000).filter(|&i| nat.inbound(TCP, peer(1, 1000 + i), 0x1340).is_ok()).count();
    assert_eq!(came, 768);
    assert_eq!((0..2000).filter(|&i| nat.open(TCP, host(2, i), peer(2, 443 + i % 2)).is_ok()).count(), 256);
}

#[test]
fn rfc6888_req4_a_host_has_so_many_sessions_and_no_more() {
    let mut nat = Nat::with(|config| {
        config.per_host = Some(100);
        config.forwards = vec![forward(TCP, (0x1340, 0x1340), host(3, 80))];
    });
    let open = |nat: &Nat, n, i: u16| nat.open([TCP, UDP, ICMP][i as usize % 3], host(n, 3000 + i), peer(1, i % 2 * 9));
    for n in [1, 2] {
        assert!((0..100).all(|i| open(&nat, n, i).is_ok()));
        assert_eq!(open(&nat, n, 100), Err(Reason::NaptHostLimit));
        // What is open is in nobody's way.
        assert!(open(&nat, n, 99).is_ok());
    }
    assert_eq!(nat.napt.port_stats().map(|stats| stats.limited).iter().sum::<u64>(), 2);
    // Others may make a host have three quarters.
    let came: Vec<_> = (0..200).map(|i| nat.inbound(TCP, peer(1, 1000 + i), 0x1340)).collect();
    assert_eq!(came.iter().filter(|result| result.is_ok()).count(), 75);
    assert_eq!(came[75], Err(Reason::NaptHostLimit));
    assert!((0..25).all(|i| open(&nat, 3, i).is_ok()));
    // It all comes back.
    nat.wait(400);
    assert_eq!(nat.napt.stats().live, 0);
    assert!((0..100).all(|i| open(&nat, 1, i).is_ok()) && open(&nat, 1, 100).is_err());
}

#[test]
fn a_session_costs_at_most_160_bytes_with_everything() {
    for bits in 10..=20 {
        let nat = Nat::with(|config| {
            (config.sessions, config.ports, config.per_host) = (1 << bits, PortSet::ALL, Some(1000));
            config.forwards = (0..10).map(|i| forward(TCP, (1000 + i, 1000 + i), host(1, i + 1))).collect();
        });
        let bytes = nat.napt.bytes();
        assert!(bytes <= 160 << bits, "2^{bits} sessions: {bytes} bytes, {}", bytes >> bits);
    }
}
