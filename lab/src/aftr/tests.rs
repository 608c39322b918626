use etherparse::TransportSlice;

use super::*;
use crate::outer::packet;

const AFTR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 4);
const FIXED: [u8; 4] = [203, 0, 113, 5];
const SERVER: [u8; 4] = [198, 51, 100, 2];

fn near(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 1)
}

fn udp(source: [u8; 4], destination: [u8; 4], length: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(source, destination, 64).udp(4000, 53).write(&mut packet, &vec![7; length]).unwrap();
    packet
}

fn aftr() -> Aftr {
    Aftr::new(&[AFTR], &[BR])
}

fn tell(aftr: &mut Aftr, line: &str) -> String {
    aftr.command(line.parse().unwrap(), &mut Output::default())
}

#[test]
fn two_customers_with_the_same_address_are_kept_apart() {
    let mut aftr = aftr();
    let inner = udp([192, 168, 7, 2], SERVER, 32);
    let mut out = Output::default();
    for n in 0..2 {
        aftr.from_line(&packet(near(n), AFTR, IpNumber::IPV4, &inner), &mut out);
    }
    assert_eq!(out.to_internet, [udp([100, 64, 7, 2], SERVER, 32), udp([100, 65, 7, 2], SERVER, 32)]);

    let mut out = Output::default();
    aftr.from_internet(&udp(SERVER, [100, 65, 7, 2], 32), &mut out);
    assert_eq!(out.to_line, [packet(AFTR, near(1), IpNumber::IPV4, &udp(SERVER, [192, 168, 7, 2], 32))]);
}

#[test]
fn fragments_of_the_line_become_one_packet() {
    let mut aftr = aftr();
    let inner = udp([192, 168, 7, 2], SERVER, 1472);
    let mut out = Output::default();
    for piece in encapsulate(near(0), AFTR, &Content::new(&inner, false), 1500, Order::Backward, 9) {
        aftr.from_line(&piece, &mut out);
    }
    assert_eq!(out.to_internet, [udp([100, 64, 7, 2], SERVER, 1472)]);
    assert_eq!(aftr.counts, Counts { decapsulated: 1, reassembled: 1, ..Default::default() });
}

#[test]
fn a_fixed_address_is_carried_for_its_ce_and_refused_from_others() {
    let mut aftr = aftr();
    let inner = udp(FIXED, SERVER, 32);
    let outer = packet(near(1), BR, IpNumber::IPV4, &inner);
    let mut out = Output::default();
    aftr.from_line(&outer, &mut out);
    assert!(out.to_internet.is_empty());
    let sliced = SlicedPacket::from_ip(&out.to_line[0]).unwrap();
    let Some(TransportSlice::Icmpv6(message)) = sliced.transport else { panic!("{sliced:?}") };
    let refusal = DestUnreachableCode::SourceAddressFailedPolicy;
    assert_eq!(message.icmp_type(), Icmpv6Type::DestinationUnreachable(refusal));
    assert_eq!(message.payload(), outer);

    tell(&mut aftr, &format!("bind 203.0.113.5 {}", near(1)));
    let mut out = Output::default();
    aftr.from_line(&outer, &mut out);
    aftr.from_internet(&udp(SERVER, FIXED, 32), &mut out);
    assert_eq!(out.to_internet, [inner]);
    assert_eq!(out.to_line, [packet(BR, near(1), IpNumber::IPV4, &udp(SERVER, FIXED, 32))]);
}

#[test]
fn of_a_shared_address_each_ce_has_its_ports() {
    let mut aftr = aftr();
    tell(&mut aftr, "map rfc7597 2001:db8::/40,192.0.2.0/24,16,6");
    // RFC 7597 Appendix A, examples 2 and 3.
    let ce = "2001:db8:12:3400:0:c000:212:34".parse().unwrap();
    let from = |port| {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 18], SERVER, 64).udp(port, 53).write(&mut packet, b"?").unwrap();
        packet
    };
    let mut out = Output::default();
    for (source, port) in [(ce, 1232), (ce, 1231), (near(1), 1232)] {
        aftr.from_line(&packet(source, BR, IpNumber::IPV4, &from(port)), &mut out);
    }
    assert_eq!((out.to_internet, out.to_line.len()), (vec![from(1232)], 2));
    assert_eq!(
        aftr.counts,
        Counts { decapsulated: 1, refused: 2, refused_port: 1, refused_source: 1, ..Default::default() }
    );

    let mut out = Output::default();
    let inbound = stray(Ipv4Addr::new(192, 0, 2, 18), 1232);
    aftr.from_internet(&inbound, &mut out);
    aftr.from_internet(&stray(Ipv4Addr::new(192, 0, 2, 18), 80), &mut out);
    assert_eq!(out.to_line, [packet(BR, ce, IpNumber::IPV4, &inbound)]);
    assert_eq!(aftr.counts.unclaimed, 1);
}

#[test]
fn refusals_may_be_silent() {
    let mut aftr = aftr();
    tell(&mut aftr, "refuse silent");
    let mut out = Output::default();
    aftr.from_line(&packet(near(1), BR, IpNumber::IPV4, &udp(FIXED, SERVER, 32)), &mut out);
    assert_eq!((out.to_line.len(), out.to_internet.len(), aftr.counts.refused), (0, 0, 1));
}

#[test]
fn broken_inner_packets_end_here() {
    let mut aftr = aftr();
    let mut out = Output::default();
    let good = udp([192, 168, 7, 2], SERVER, 32);
    for spoil in [Spoil::Checksum, Spoil::Length, Spoil::Short] {
        let (_, bad) = spoiled(spoil, AFTR, &good);
        aftr.from_line(&packet(near(0), AFTR, IpNumber::IPV4, &bad), &mut out);
    }
    assert_eq!((out.to_internet.len(), out.to_line.len(), aftr.counts.bad), (0, 0, 3));
}

#[test]
fn errors_by_command_are_as_many_as_were_asked_for() {
    let mut aftr = aftr();
    tell(&mut aftr, "answer 2 0 1400 2");
    let outer = packet(near(0), AFTR, IpNumber::IPV4, &udp([192, 168, 7, 2], SERVER, 32));
    let mut out = Output::default();
    for _ in 0..3 {
        aftr.from_line(&outer, &mut out);
    }
    assert_eq!((out.to_line.len(), out.to_internet.len()), (2, 1));
}

#[test]
fn other_traffic_is_not_ours() {
    let mut aftr = aftr();
    let mut out = Output::default();
    let inner = udp([192, 168, 7, 2], SERVER, 32);
    aftr.from_line(&packet(near(0), near(9), IpNumber::IPV4, &inner), &mut out);
    aftr.from_line(&packet(near(0), AFTR, IpNumber::UDP, &inner), &mut out);
    aftr.from_line(&[0x60; 12], &mut out);
    aftr.from_internet(&udp(SERVER, [100, 64, 7, 2], 32), &mut out);
    assert_eq!((out.to_line.len(), out.to_internet.len()), (0, 0));
    assert_eq!(aftr.counts, Counts { unclaimed: 1, ..Default::default() });
}
