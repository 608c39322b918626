//! What the RFCs ask of a NAT's mappings, sessions and timers, one test a requirement.

use std::net::Ipv4Addr;

use hikyaku_dataplane::napt::{Config, Direction, Endpoint, Filtering, Key, LanId, Napt, SessionId, Timeouts};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::packet::Tcp;
use hikyaku_net::{PortSet, Time, protocol};
/// The one that almost all tests are on.
const LAN: LanId = LanId(0);

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const TCP: u8 = protocol::TCP;
const UDP: u8 = protocol::UDP;
const ICMP: u8 = protocol::ICMP;
const SYN: u8 = Tcp::SYN;
const ACK: u8 = Tcp::ACK;

use Direction::{Inbound, Outbound};

/// A NAPT and the clock of its only worker.
struct Nat {
    napt: Napt,
    now: u64,
}

/// A host of ours, and a peer.
fn host(n: u8, port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(10, 0, 0, n), port)
}

fn peer(n: u8, port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(198, 51, 100, n), port)
}

fn outside(port: u16) -> Endpoint {
    Endpoint::new(OUTSIDE, port)
}

impl Nat {
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { sessions: 1 << 10, huge_pages: false, ..Config::new(OUTSIDE) };
        change(&mut config);
        let napt = Napt::new(&config).unwrap();
        napt.quiescent(0);
        Self { napt, now: 1000 }
    }

    fn new() -> Self {
        Self::with(|_| ())
    }

    fn wait(&mut self, seconds: u64) {
        self.now += seconds;
        self.napt.quiescent(0);
        self.napt.age(Time(self.now * 1_000_000_000), usize::MAX);
    }

    /// A packet, as the path handles it: the session is found or opened.
    fn packet(
        &self,
        direction: Direction,
        protocol: u8,
        src: Endpoint,
        dst: Endpoint,
        flags: u8,
    ) -> Result<SessionId, Reason> {
        let now = Time(self.now * 1_000_000_000);
        let key = match direction {
            Outbound => Key::outbound(LAN, protocol, src, dst),
            Inbound => Key::inbound(protocol, src, dst),
        };
        let found = self.napt.find(&key, self.napt.hash(&key));
        let id = match (found, direction) {
            (Some(id), _) => id,
            (None, Outbound) => self.napt.create_outbound(LAN, protocol, src, dst, flags, now)?,
            (None, Inbound) => self.napt.create_inbound(protocol, src, dst, flags, now)?,
        };
        let session = self.napt.session(id);
        session.note(direction, now.seconds(), self.napt.refreshes(direction));
        if found.is_some() && protocol == TCP {
            self.napt.track(session, direction, flags);
        }
        Ok(id)
    }

    /// The outside port of an outbound packet.
    fn out(&self, protocol: u8, src: Endpoint, dst: Endpoint) -> u16 {
        self.port(self.packet(Outbound, protocol, src, dst, if protocol == TCP { SYN } else { 0 }).unwrap())
    }

    fn port(&self, id: SessionId) -> u16 {
        self.napt.session(id).outside().port.number()
    }

    fn is_mapped(&self, protocol: u8, port: u16) -> bool {
        self.napt.is_mapped(protocol, outside(port))
    }

    /// How many seconds without a packet a mapping lives.
    fn lifetime(&mut self, protocol: u8, port: u16) -> u64 {
        let start = self.now;
        while self.is_mapped(protocol, port) {
            self.wait(1);
            assert!(self.now - start < 100_000);
        }
        self.now - start
    }

    /// An open connection from `host(1, 5000)` to `peer(1, 80)`.
    fn connection() -> Self {
        let nat = Self::new();
        nat.exchange([(Outbound, SYN), (Inbound, SYN | ACK), (Outbound, ACK)]);
        nat
    }

    fn exchange<const N: usize>(&self, packets: [(Direction, u8); N]) {
        for (direction, flags) in packets {
            let (src, dst) = match direction {
                Outbound => (host(1, 5000), peer(1, 80)),
                Inbound => (peer(1, 80), outside(5000)),
            };
            self.packet(direction, TCP, src, dst, flags).unwrap();
        }
    }
}

#[test]
fn rfc4787_req1_udp_mapping_is_endpoint_independent() {
    let nat = Nat::new();
    let ports = [(1, 80), (1, 81), (2, 80), (3, 9)].map(|(n, p)| nat.out(UDP, host(1, 4000), peer(n, p)));
    assert_eq!(ports, [4000; 4]);
    // Another host's is another mapping.
    assert_ne!(nat.out(UDP, host(2, 4000), peer(1, 80)), 4000);
}

#[test]
fn rfc4787_req1_the_mapping_outlives_the_session_that_made_it() {
    let mut nat = Nat::new();
    nat.out(UDP, host(1, 4000), peer(1, 53));
    let other = nat.out(UDP, host(2, 4000), peer(1, 80));
    assert_eq!(nat.out(UDP, host(1, 4000), peer(2, 80)), 4000);
    nat.wait(100);
    // The first session, a question, is over; its mapping is not.
    assert_eq!(nat.napt.stats().live, 2);
    assert_eq!(nat.out(UDP, host(1, 4000), peer(3, 80)), 4000);
    assert_eq!(nat.out(UDP, host(2, 4000), peer(3, 80)), other);
}

#[test]
fn rfc4787_req3_ports_are_preserved_and_never_shared() {
    let nat = Nat::new();
    let mut given: Vec<u16> = (1..=200).map(|n| nat.out(UDP, host(n, 4000), peer(1, 80))).collect();
    assert_eq!(given[0], 4000);
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 200, "port assignment has no overloading");
    assert!(given.iter().all(|&p| p >= 1024));
    // Another protocol has ports of its own.
    assert_eq!(nat.out(TCP, host(7, 4000), peer(1, 80)), 4000);
}

#[test]
fn rfc5382_req7_tcp_ports_are_never_shared_while_there_are_any() {
    let nat = Nat::new();
    let mut given: Vec<u16> = (1..=250).map(|n| nat.out(TCP, host(n, 4000), peer(1, 80))).collect();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 250);
}

#[test]
fn rfc6056_rfc6888_req15_a_port_that_is_not_kept_is_any_one() {
    let nat = Nat::new();
    nat.out(TCP, host(1, 4000), peer(1, 80));
    let ports: Vec<u16> = (2..=250).map(|n| nat.out(TCP, host(n, 4000), peer(1, 80))).collect();
    // Neither after each other nor near each other: all sixteenths of the range are met, and steps of any size.
    let sixteenths: std::collections::BTreeSet<u16> = ports.iter().map(|port| port >> 12).collect();
    assert_eq!(sixteenths.len(), 16);
    let near = ports.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
    assert!(near < 10, "{near} of {}", ports.len());
}

#[test]
fn rfc4787_req3a_ports_keep_their_range() {
    let nat = Nat::new();
    let mut low: Vec<u16> = (1..=200).map(|n| nat.out(UDP, host(n, 500), peer(1, 500))).collect();
    low.sort();
    low.dedup();
    assert_eq!(low.len(), 200);
    assert!(low.iter().all(|&p| (1..1024).contains(&p)));
}

#[test]
fn rfc4787_req4_parity_where_it_is_wanted() {
    let nat = Nat::with(|config| config.port_parity = true);
    // RTP and RTCP of many hosts with the same two ports.
    for n in 1..=200 {
        let [rtp, rtcp] = [5004, 5005].map(|port| nat.out(UDP, host(n, port), peer(1, 5004)));
        assert_eq!((rtp & 1, rtcp & 1), (0, 1), "even to even, odd to odd");
        assert!(rtp >= 1024 && rtcp >= 1024);
    }
    // Off by default, and of UDP only.
    let (off, mut odd) = (Nat::new(), [0; 2]);
    for n in 1..=200 {
        odd[0] += u32::from(off.out(UDP, host(n, 5004), peer(1, 5004)) & 1);
        odd[1] += u32::from(nat.out(TCP, host(n, 5004), peer(1, 5004)) & 1);
    }
    assert!(odd.iter().all(|odd| (20..180).contains(odd)), "{odd:?}");
}

#[test]
fn rfc4787_req4_ports_that_are_shared_keep_it_too() {
    let set = PortSet::new(4, 8, 0x34).unwrap();
    let nat = Nat::with(|config| (config.ports, config.port_parity) = (set, true));
    for n in 0..240 {
        nat.out(UDP, host(1, 20000 + n), peer(1, 443));
    }
    for n in 0..100 {
        let port = nat.out(UDP, host(2, 5000 + n), peer(2, 443));
        assert_eq!(port & 1, n & 1);
    }
    // 70 even ones are left towards that peer, and 70 odd ones: when the even ones are gone, any is better than none.
    let odd: Vec<u16> = (0..140).map(|n| nat.out(UDP, host(3, 6000 + 2 * n), peer(2, 443)) & 1).collect();
    assert_eq!(odd, [[0; 70], [1; 70]].concat());
}

#[test]
fn rfc4787_req5_udp_lives_for_five_minutes_and_questions_for_less() {
    let mut nat = Nat::new();
    nat.out(UDP, host(1, 4000), peer(1, 80));
    assert!((300..=301).contains(&nat.lifetime(UDP, 4000)));
    // REQ-5 a: shorter towards well-known ports of one question and one answer.
    for port in [53, 123] {
        nat.out(UDP, host(1, 4000), peer(1, port));
        assert!((15..=16).contains(&nat.lifetime(UDP, 4000)));
    }
    // REQ-5: at least two minutes for all others, also by default.
    assert!(Timeouts::default().udp >= 120);
}

#[test]
fn rfc4787_req6_outbound_packets_refresh() {
    let mut nat = Nat::with(|config| config.inbound_refresh = false);
    nat.out(UDP, host(1, 4000), peer(1, 80));
    for _ in 0..10 {
        nat.wait(299);
        assert_eq!(nat.out(UDP, host(1, 4000), peer(1, 80)), 4000);
        assert_eq!(nat.napt.stats().created, 1);
    }
    // REQ-6 b is optional, and off here: inbound packets pass but do not refresh.
    for _ in 0..3 {
        nat.wait(90);
        nat.packet(Inbound, UDP, peer(1, 80), outside(4000), 0).unwrap();
    }
    nat.wait(31);
    assert!(!nat.is_mapped(UDP, 4000));
}

#[test]
fn rfc4787_req6b_inbound_packets_refresh_where_wanted() {
    let mut nat = Nat::new();
    nat.out(UDP, host(1, 4000), peer(1, 80));
    for _ in 0..10 {
        nat.wait(299);
        nat.packet(Inbound, UDP, peer(1, 80), outside(4000), 0).unwrap();
    }
    assert!((300..=301).contains(&nat.lifetime(UDP, 4000)));
}

#[test]
fn rfc4787_req8_filtering_by_address_and_port() {
    let nat = Nat::new();
    nat.out(UDP, host(1, 4000), peer(1, 80));
    assert!(nat.packet(Inbound, UDP, peer(1, 80), outside(4000), 0).is_ok());
    for stranger in [peer(1, 81), peer(2, 80)] {
        assert_eq!(nat.packet(Inbound, UDP, stranger, outside(4000), 0), Err(Reason::NaptFiltered));
    }
    assert_eq!(nat.packet(Inbound, UDP, peer(1, 80), outside(4001), 0), Err(Reason::NaptNoSession));
    assert_eq!(nat.napt.stats().live, 1);
}

#[test]
fn rfc4787_req8_filtering_by_nothing() {
    let nat = Nat::with(|config| config.filtering = Filtering::EndpointIndependent);
    nat.out(UDP, host(1, 4000), peer(1, 80));
    let id = nat.packet(Inbound, UDP, peer(2, 9), outside(4000), 0).unwrap();
    assert_eq!(nat.napt.session(id).inside(), host(1, 4000));
    // The answer leaves by the same mapping.
    assert_eq!(nat.out(UDP, host(1, 4000), peer(2, 9)), 4000);
    assert_eq!(nat.packet(Inbound, UDP, peer(2, 9), outside(4001), 0), Err(Reason::NaptNoSession));
}

#[test]
fn rfc7857_5_6_mappings_and_filters_are_of_one_protocol() {
    let nat = Nat::with(|config| config.filtering = Filtering::EndpointIndependent);
    nat.out(UDP, host(1, 4000), peer(1, 80));
    assert_eq!(nat.packet(Inbound, TCP, peer(2, 9), outside(4000), SYN), Err(Reason::NaptNoSession));
    assert_eq!(nat.packet(Inbound, ICMP, peer(2, 0), outside(4000), 0), Err(Reason::NaptNoSession));
    assert_eq!(nat.out(TCP, host(2, 4000), peer(1, 80)), 4000);
    let id = nat.packet(Inbound, TCP, peer(2, 9), outside(4000), SYN).unwrap();
    assert_eq!(nat.napt.session(id).inside(), host(2, 4000));
}

#[test]
fn rfc5382_req2_a_connection_from_outside_where_anybody_may() {
    let mut nat = Nat::with(|config| config.filtering = Filtering::EndpointIndependent);
    nat.out(TCP, host(1, 5000), peer(9, 443));
    nat.wait(230);
    nat.exchange([(Inbound, SYN), (Outbound, SYN | ACK)]);
    let half_open = nat.packet(Outbound, TCP, host(1, 5000), peer(1, 80), SYN | ACK).unwrap();
    assert!(!nat.napt.session(half_open).is_established());
    nat.exchange([(Inbound, ACK)]);
    assert!((7440..=7441).contains(&nat.lifetime(TCP, 5000)), "open, and the mapping with it");
}

#[test]
fn rfc4787_req6_strangers_keep_no_mapping_alive_and_leave_room() {
    let mut nat = Nat::with(|config| {
        config.filtering = Filtering::EndpointIndependent;
        config.inbound_refresh = false;
    });
    nat.out(UDP, host(1, 4000), peer(1, 80));
    let start = nat.now;
    let mut strangers = 0;
    while nat.is_mapped(UDP, 4000) {
        nat.wait(1);
        strangers += 1;
        let _ = nat.packet(Inbound, UDP, peer(2, strangers), outside(4000), 0);
    }
    assert!((300..=301).contains(&(nat.now - start)));
    nat.wait(0);
    // However many come, a quarter of the table is left to the hosts of ours.
    nat.out(UDP, host(1, 4000), peer(1, 80));
    let admitted = (0..2000).filter(|&n| nat.packet(Inbound, UDP, peer(3, n), outside(4000), 0).is_ok()).count();
    assert_eq!(admitted, 767);
    let opened = (0..2000).filter(|&n| nat.packet(Outbound, UDP, host(2, n), peer(1, 80), 0).is_ok()).count();
    assert_eq!(opened, 256);
}

#[test]
fn rfc5382_req1_tcp_mapping_is_endpoint_independent() {
    let nat = Nat::new();
    let ports = [(1, 80), (1, 443), (2, 80)].map(|(n, p)| nat.out(TCP, host(1, 5000), peer(n, p)));
    assert_eq!(ports, [5000; 3]);
}

#[test]
fn rfc5382_req2_simultaneous_open() {
    let mut nat = Nat::new();
    // RFC 9293 3.5, figure 7: SYNs cross, then the SYN-ACKs.
    nat.exchange([(Outbound, SYN), (Inbound, SYN), (Outbound, SYN | ACK), (Inbound, SYN | ACK), (Outbound, ACK)]);
    assert_eq!(nat.napt.stats().live, 1);
    assert!(nat.lifetime(TCP, 5000) > 7440);
}

#[test]
fn rfc5382_req3_an_unsolicited_syn_opens_only_where_anybody_may() {
    for (filtering, allowed) in [(Filtering::AddressAndPortDependent, false), (Filtering::EndpointIndependent, true)] {
        let nat = Nat::with(|config| config.filtering = filtering);
        nat.out(TCP, host(1, 5000), peer(1, 80));
        for flags in [ACK, SYN | ACK, Tcp::RST, Tcp::FIN | ACK, SYN | Tcp::RST, 0] {
            assert_eq!(nat.packet(Inbound, TCP, peer(2, 80), outside(5000), flags), Err(Reason::NaptFiltered));
        }
        assert_eq!(nat.packet(Inbound, TCP, peer(2, 80), outside(5000), SYN).is_ok(), allowed);
    }
}

#[test]
fn rfc5382_req5_an_open_connection_lives_for_two_hours_and_four_minutes() {
    let mut nat = Nat::connection();
    let lifetime = nat.lifetime(TCP, 5000);
    assert!((7440..=7441).contains(&lifetime), "{lifetime}");
}

#[test]
fn rfc5382_req5_half_open_and_closing_connections_live_for_four_minutes() {
    let transitory: [&[(Direction, u8)]; 4] = [
        &[(Outbound, SYN)],
        &[(Outbound, SYN), (Outbound, SYN), (Outbound, SYN)],
        &[(Outbound, SYN), (Inbound, SYN | ACK)],
        &[
            (Outbound, SYN),
            (Inbound, SYN | ACK),
            (Outbound, ACK),
            (Outbound, Tcp::FIN | ACK),
            (Inbound, Tcp::FIN | ACK),
            (Outbound, ACK),
        ],
    ];
    for packets in transitory {
        let mut nat = Nat::new();
        packets.iter().for_each(|&packet| nat.exchange([packet]));
        let lifetime = nat.lifetime(TCP, 5000);
        assert!((240..=241).contains(&lifetime), "{packets:?}: {lifetime}");
    }
}

#[test]
fn rfc5382_req5_a_half_closed_connection_stays_open() {
    let mut nat = Nat::connection();
    nat.exchange([(Outbound, Tcp::FIN | ACK), (Inbound, ACK)]);
    assert!(nat.lifetime(TCP, 5000) >= 7440);
}

#[test]
fn rfc5382_req5_closing_long_after_opening_takes_four_minutes_still() {
    let mut nat = Nat::connection();
    for _ in 0..10 {
        nat.wait(777);
        nat.exchange([(Outbound, ACK)]);
    }
    nat.exchange([(Inbound, Tcp::FIN | ACK), (Outbound, Tcp::FIN | ACK), (Inbound, ACK)]);
    assert!((240..=241).contains(&nat.lifetime(TCP, 5000)));
}

#[test]
fn rfc5508_req1_icmp_queries_are_mapped_whatever_their_destination() {
    let nat = Nat::new();
    assert_eq!([1, 2, 3].map(|n| nat.out(ICMP, host(1, 77), peer(n, 0))), [77; 3]);
    // REQ-1 a: another host with the same identifier gets another one.
    let other = nat.out(ICMP, host(2, 77), peer(1, 0));
    assert_ne!(other, 77);
    let id = nat.packet(Inbound, ICMP, peer(1, 0), outside(other), 0).unwrap();
    assert_eq!(nat.napt.session(id).inside(), host(2, 77));
}

#[test]
fn rfc5508_req2_icmp_queries_live_for_a_minute() {
    let mut nat = Nat::new();
    nat.out(ICMP, host(1, 77), peer(1, 0));
    let lifetime = nat.lifetime(ICMP, 77);
    assert!((60..=61).contains(&lifetime), "{lifetime}");
}

#[test]
fn rfc7857_a_reset_leaves_four_minutes() {
    for direction in [Outbound, Inbound] {
        let mut nat = Nat::connection();
        nat.wait(5000);
        nat.exchange([(direction, Tcp::RST | ACK)]);
        // Translated until then, so that both ends may hear of it again.
        nat.wait(200);
        nat.exchange([(direction, Tcp::RST)]);
        assert!((240..=241).contains(&nat.lifetime(TCP, 5000)));
    }
}

#[test]
fn rfc7857_2_2_a_reset_that_was_none_leaves_a_connection_that_goes_on_alone() {
    let other = |direction| if direction == Outbound { Inbound } else { Outbound };
    for forged in [Outbound, Inbound] {
        for flags in [Tcp::RST, Tcp::RST | ACK] {
            let mut nat = Nat::connection();
            // Out of window, or forged: both ends go on.
            nat.exchange([(forged, flags), (other(forged), ACK), (forged, ACK)]);
            assert!((7440..=7441).contains(&nat.lifetime(TCP, 5000)), "as if nothing had been");
            // One after the other, and at last idle.
            let mut nat = Nat::connection();
            for _ in 0..5 {
                nat.exchange([(Inbound, flags), (Outbound, flags), (Outbound, ACK), (Inbound, ACK)]);
                nat.wait(7000);
                nat.exchange([(Outbound, ACK)]);
            }
            // The real one: what was on its way comes, and is answered by resets.
            nat.exchange([(forged, flags), (other(forged), ACK), (other(forged), ACK), (forged, Tcp::RST)]);
            assert!((240..=241).contains(&nat.lifetime(TCP, 5000)));
            // A reset each way: one end that goes on is not enough.
            let mut nat = Nat::connection();
            nat.exchange([(Inbound, flags), (Outbound, flags), (Inbound, ACK)]);
            assert!((240..=241).contains(&nat.lifetime(TCP, 5000)));
        }
    }
    // A refused SYN is over, whoever sends what after it.
    let mut nat = Nat::new();
    nat.exchange([(Outbound, SYN), (Inbound, Tcp::RST | ACK)]);
    assert!((240..=241).contains(&nat.lifetime(TCP, 5000)));
}

#[test]
fn rfc7857_a_reset_opens_nothing() {
    let nat = Nat::new();
    for flags in [Tcp::RST, Tcp::RST | ACK, Tcp::RST | SYN] {
        let result = nat.packet(Outbound, TCP, host(1, 5000), peer(1, 80), flags);
        assert_eq!(result, Err(Reason::NaptNoSession));
    }
    assert!(!nat.is_mapped(TCP, 5000));
}

#[test]
fn rfc7857_a_syn_in_time_wait_begins_a_new_connection() {
    let closings: [[(Direction, u8); 2]; 2] =
        [[(Outbound, Tcp::FIN | ACK), (Inbound, Tcp::FIN | ACK)], [(Inbound, Tcp::RST), (Outbound, Tcp::RST)]];
    for closing in closings {
        let mut nat = Nat::connection();
        nat.exchange(closing);
        nat.wait(60);
        nat.exchange([(Outbound, SYN)]);
        let session = |nat: &Nat| nat.packet(Outbound, TCP, host(1, 5000), peer(1, 80), ACK).unwrap();
        assert!(
            !nat.napt.session(nat.packet(Outbound, TCP, host(1, 5000), peer(1, 80), SYN).unwrap()).is_established()
        );
        nat.exchange([(Inbound, SYN | ACK), (Outbound, ACK)]);
        assert!(nat.napt.session(session(&nat)).is_established());
        // One session all the time, and open again.
        assert_eq!(nat.napt.stats().created, 1);
        assert!(nat.lifetime(TCP, 5000) >= 7440);
    }
}

#[test]
fn rfc7857_mappings_are_endpoint_independent_for_every_protocol() {
    let nat = Nat::new();
    for protocol in [TCP, UDP, ICMP] {
        let port = |n| if protocol == ICMP { peer(n, 0) } else { peer(n, 1000 + u16::from(n)) };
        let ports: Vec<u16> = (1..50).map(|n| nat.out(protocol, host(1, 6000), port(n))).collect();
        assert!(ports.iter().all(|&p| p == 6000));
    }
    assert_eq!(nat.napt.stats().live, 3 * 49);
}
