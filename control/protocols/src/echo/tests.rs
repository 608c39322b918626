//! Requests are written and answers read by `etherparse`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, Icmpv4Type, Icmpv6Type, IpFragOffset, Ipv4Header, NetSlice, PacketBuilder, PacketBuilderStep,
    SlicedPacket, TransportSlice,
};
use hikyaku_net::{Mac, Time};
use proptest::prelude::*;

use super::*;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
const HOST: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const US4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const HOST4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
const US6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1);
const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0x10);
const US_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const HOST_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10);
const OURS: [IpAddr; 3] = [IpAddr::V4(US4), IpAddr::V6(US6), IpAddr::V6(US_LOCAL)];
const NOW: Time = Time(1);

fn to_us() -> PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2(HOST.0, US.0)
}

fn ping4(src: Ipv4Addr, dst: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    to_us().ipv4(src.octets(), dst.octets(), 3).icmpv4_echo_request(7, 9).write(&mut frame, data).unwrap();
    frame
}

fn ping6(src: Ipv6Addr, dst: Ipv6Addr, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    to_us().ipv6(src.octets(), dst.octets(), 3).icmpv6_echo_request(7, 9).write(&mut frame, data).unwrap();
    frame
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    to_us().ipv4(HOST4.octets(), US4.octets(), 1).udp(40000, 33434).write(&mut frame, payload).unwrap();
    frame
}

fn echo(frame: &[u8]) -> Option<Vec<u8>> {
    Echo::new(US).echo(NOW, frame, &OURS)
}

fn refuse(frame: &[u8]) -> Option<Vec<u8>> {
    Echo::new(US).refuse(NOW, frame, &OURS)
}

/// The IPv4 header of an answer: from us, to the host, checksum right. And what follows.
fn read4(frame: &[u8]) -> (Ipv4Header, Vec<u8>) {
    assert!(frame.len() >= 60);
    assert_eq!((&frame[..6], &frame[6..12]), (&HOST.0[..], &US.0[..]));
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("{packet:?}") };
    let header = ip.header().to_header();
    assert_eq!((header.source, header.destination), (US4.octets(), HOST4.octets()));
    assert_eq!((header.time_to_live, header.header_checksum), (64, header.calc_header_checksum()));
    (header, ip.payload().payload.to_vec())
}

#[test]
fn rfc792_an_echo_request_is_answered_with_its_data() {
    for data in [&b""[..], b"1", b"hikyaku", &[0xa5; 1472]] {
        let (_, body) = read4(&echo(&ping4(HOST4, US4, data)).unwrap());
        let icmp = etherparse::Icmpv4Slice::from_slice(&body).unwrap();
        assert!(matches!(icmp.icmp_type(), Icmpv4Type::EchoReply(echo) if (echo.id, echo.seq) == (7, 9)));
        assert_eq!((icmp.payload(), icmp.checksum()), (data, icmp.header().icmp_type.calc_checksum(data)));
    }
}

#[test]
fn rfc4443_4_2_an_echo_request_is_answered_with_its_data() {
    let all: Ipv6Addr = "ff02::1".parse().unwrap();
    let data = b"hikyaku";
    for (src, dst, from) in
        [(HOST6, US6, US6), (HOST_LOCAL, US_LOCAL, US_LOCAL), (HOST_LOCAL, US6, US6), (HOST_LOCAL, all, US_LOCAL)]
    {
        let answer = echo(&ping6(src, dst, data)).unwrap();
        assert_eq!((&answer[..6], &answer[6..12]), (&HOST.0[..], &US.0[..]));
        let packet = SlicedPacket::from_ethernet(&answer).unwrap();
        let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
        assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (from, src));
        assert_eq!(ip.header().hop_limit(), 64);
        let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!() };
        assert!(icmp.is_checksum_valid(from.octets(), src.octets()));
        assert!(matches!(icmp.icmp_type(), Icmpv6Type::EchoReply(echo) if (echo.id, echo.seq) == (7, 9)));
        assert_eq!(icmp.payload(), data);
    }
}

/// What is for us but must not be answered, and is counted.
fn ignored(frame: &[u8], why: &str) {
    let mut machine = Echo::new(US);
    assert_eq!(machine.echo(NOW, frame, &OURS), None, "{why}");
    assert_eq!(machine.counts, Counts { ignored: 1, ..Counts::default() }, "{why}");
}

/// What is not for this machine at all.
fn not_ours(frame: &[u8], why: &str) {
    let mut machine = Echo::new(US);
    assert_eq!((machine.echo(NOW, frame, &OURS), machine.counts), (None, Counts::default()), "{why}");
}

#[test]
fn rfc1122_3_2_2_6_what_is_not_answered_over_ipv4() {
    not_ours(&ping4(HOST4, [192, 168, 1, 255].into(), b"x"), "to a broadcast");
    not_ours(&ping4(HOST4, [224, 0, 0, 1].into(), b"x"), "to a group");
    not_ours(&ping4(HOST4, [192, 168, 1, 2].into(), b"x"), "to another");
    let good = ping4(HOST4, US4, b"x");
    let mut frame = good.clone();
    frame[..6].copy_from_slice(&[0xff; 6]);
    ignored(&frame, "came to all stations");
    for src in [[192, 168, 1, 1], [0, 0, 0, 0], [127, 0, 0, 1], [255, 255, 255, 255], [224, 0, 0, 1]] {
        ignored(&ping4(src.into(), US4, b"x"), "from no other host");
    }
    let mut frame = good.clone();
    frame[6] |= 1;
    ignored(&frame, "from a group of stations");
    let mut frame = good.clone();
    frame[6..12].copy_from_slice(&US.0);
    ignored(&frame, "from our own station");
    for at in [24, 40, 42] {
        let mut frame = good.clone();
        frame[at] ^= 1;
        ignored(&frame, "a wrong checksum");
    }
    ignored(&good[..good.len() - 1], "cut short");
    let with = |change: fn(&mut Ipv4Header)| {
        let mut header = Ipv4Header::from_slice(&good[14..]).unwrap().0;
        change(&mut header);
        let mut frame = good[..14].to_vec();
        header.header_checksum = header.calc_header_checksum();
        header.write(&mut frame).unwrap();
        [frame, good[34..].to_vec()].concat()
    };
    assert!(echo(&with(|_| {})).is_some());
    ignored(&with(|ip| ip.fragment_offset = IpFragOffset::try_new(1).unwrap()), "a fragment");
    ignored(
        &with(|ip| {
            ip.options = [7, 4, 4, 0].into();
            ip.total_len += 4;
        }),
        "a record route",
    );
    let mut reply = Vec::new();
    to_us().ipv4(HOST4.octets(), US4.octets(), 9).icmpv4_echo_reply(7, 9).write(&mut reply, b"x").unwrap();
    not_ours(&reply, "a reply");
    let mut tagged = good.clone();
    tagged[12..14].copy_from_slice(&EtherType::ARP.0.to_be_bytes());
    not_ours(&tagged, "not IP");
}

#[test]
fn rfc4443_4_2_what_is_not_answered_over_ipv6() {
    let good = ping6(HOST6, US6, b"x");
    not_ours(&ping6(HOST6, "ff02::1".parse().unwrap(), b"x"), "to all nodes, from another network");
    not_ours(&ping6(HOST_LOCAL, "ff02::2".parse().unwrap(), b"x"), "to another group");
    not_ours(&ping6(HOST6, HOST6, b"x"), "to another");
    for src in ["::", "::1", "ff02::1", "2001:db8:0:1::1"] {
        ignored(&ping6(src.parse().unwrap(), US6, b"x"), "from no other host");
    }
    let mut frame = good.clone();
    frame[62] ^= 1;
    ignored(&frame, "a wrong checksum");
    ignored(&good[..good.len() - 1], "cut short");
    let mut fragment = good.clone();
    fragment[20] = 44;
    let len = (good.len() - 54 + 8) as u16;
    fragment[18..20].copy_from_slice(&len.to_be_bytes());
    fragment.splice(54..54, [58, 0, 0, 1, 0, 0, 0, 1]);
    ignored(&fragment, "a fragment");
}

#[test]
fn rfc1122_4_1_3_1_a_datagram_nobody_waits_for() {
    let frame = udp(&[0x5a; 600]);
    let (header, body) = read4(&refuse(&frame).unwrap());
    assert_eq!((header.protocol.0, &body[..2], &body[4..8]), (1, &[3, 3][..], &[0; 4][..]));
    assert_eq!(body.len() + 20, 576, "RFC 1812 4.3.2.3");
    assert_eq!(body[8..], frame[14..][..548]);
    assert_eq!(etherparse::checksum::Sum16BitWords::new().add_slice(&body).ones_complement(), 0);
    let mut broken = frame.clone();
    broken[41] ^= 1;
    assert_eq!(refuse(&broken), None, "its checksum is wrong");
    let mut broadcast = frame.clone();
    broadcast[..6].copy_from_slice(&[0xff; 6]);
    assert_eq!(refuse(&broadcast), None);
    assert_eq!(echo(&frame), None);
}

#[test]
fn rfc9293_3_10_7_1_a_segment_to_no_connection() {
    let segment = |flags: fn(PacketBuilderStep<etherparse::TcpHeader>) -> PacketBuilderStep<etherparse::TcpHeader>| {
        let mut frame = Vec::new();
        let step = to_us().ipv4(HOST4.octets(), US4.octets(), 9).tcp(50000, 80, u32::MAX, 1000);
        flags(step).write(&mut frame, b"abc").unwrap();
        refuse(&frame)
    };
    let reset = |answer: Option<Vec<u8>>| {
        let (header, body) = read4(&answer.unwrap());
        let (tcp, rest) = etherparse::TcpHeader::from_slice(&body).unwrap();
        assert_eq!(
            (rest, tcp.header_len(), tcp.checksum),
            (&[][..], 20, tcp.calc_checksum_ipv4(&header, &[]).unwrap())
        );
        assert_eq!((tcp.source_port, tcp.destination_port), (80, 50000));
        assert!(tcp.rst && !tcp.syn && !tcp.fin && !tcp.psh);
        (tcp.sequence_number, tcp.ack.then_some(tcp.acknowledgment_number))
    };
    // SEQ=0, ACK=SEG.SEQ+SEG.LEN: SYN and FIN count, sequence numbers wrap.
    assert_eq!(reset(segment(|tcp| tcp.syn())), (0, Some(3)));
    assert_eq!(reset(segment(|tcp| tcp.fin())), (0, Some(3)));
    assert_eq!(reset(segment(|tcp| tcp)), (0, Some(2)));
    // SEQ=SEG.ACK.
    assert_eq!(reset(segment(|tcp| tcp.ack(77))), (77, None));
    assert_eq!(reset(segment(|tcp| tcp.syn().ack(77))), (77, None));
    assert_eq!(segment(|tcp| tcp.rst()), None, "a reset is never answered");
    assert_eq!(segment(|tcp| tcp.rst().ack(77)), None);
}

#[test]
fn a_flood_gets_few_answers() {
    let mut machine = Echo::new(US);
    let frame = ping4(HOST4, US4, b"x");
    let answers = (0..1000).filter(|_| machine.echo(NOW, &frame, &OURS).is_some()).count() as u64;
    assert_eq!(machine.counts, Counts { echoed: answers, limited: 1000 - answers, ..Counts::default() });
    assert!(answers <= 50);
    assert!(machine.echo(Time(1_000_000_000), &frame, &OURS).is_some());
}

/// RFC 4443 4.1, 4.2: the host's own answer is the reply, and nothing else is one.
#[test]
fn what_we_ask_is_answered_by_its_reply_alone() {
    let request = EchoRequest { to: HOST6, identifier: 0x1234, sequence: 7, data: *b"8 octets" };
    let asked = request.packet(US6);
    let frame = [&HOST.0[..], &US.0, &[0x86, 0xdd], &asked].concat();
    let reply = Echo::new(HOST).echo(NOW, &frame, &[HOST6.into()]).expect("an answer")[14..].to_vec();
    assert_eq!(EchoRequest::answered_by(&reply), Some(request));
    assert_eq!(EchoRequest::answered_by(&asked), None);
    for at in 0..reply.len() {
        let changed = [&reply[..at], &[reply[at] ^ 0x10], &reply[at + 1..]].concat();
        // Class, flow label and hop limit are nobody's to judge.
        let is_covered = !(1..4).contains(&at) && at != 7;
        assert_eq!(EchoRequest::answered_by(&changed), Some(request).filter(|_| !is_covered), "byte {at}");
        assert_eq!(EchoRequest::answered_by(&reply[..at]), None);
    }
}

proptest! {
    /// Whatever comes: no panic, and an answer only to who asked, from us.
    #[test]
    fn any_frame_is_survived(
        which in 0usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut: prop::sample::Index,
        garbage in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut frame = match which {
            0 => ping4(HOST4, US4, b"data"),
            1 => ping6(HOST6, US6, b"data"),
            2 => udp(b"data"),
            _ => garbage,
        };
        for (at, value) in changes {
            if !frame.is_empty() {
                let at = at.index(frame.len());
                frame[at] = value;
            }
        }
        frame.truncate(cut.index(frame.len() * 4 + 1));
        for answer in [echo(&frame), refuse(&frame)].into_iter().flatten() {
            prop_assert_eq!((&answer[..6], &answer[6..12]), (&frame[6..12], &US.0[..]));
            prop_assert_eq!(&answer[12..14], &frame[12..14]);
            prop_assert!(answer.len() <= (frame.len() + 28).max(60));
        }
    }
}
