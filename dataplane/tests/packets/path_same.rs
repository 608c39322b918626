//! The fast path and the slow path are the same router: the same frames into two of them, one
//! without the fast path, and the same bytes come out, with the same verdicts, events and sessions.

use std::sync::OnceLock;
use std::time::Duration;

use crate::common::*;
use etherparse::{Ethernet2Header, TcpOptionElement};
use hikyaku_dataplane::napt::{Filtering, Forward, LanId};
use hikyaku_dataplane::rules::{Action, Address, Rate, Rule};
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_net::{PortSet, Prefix4, protocol};
use hikyaku_ring::{Headroom, LinkId};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// All captures one after the other, as frames of a side. What the router of the captures sent to
/// the LAN comes through the tunnel here.
fn captured(napt: bool) -> &'static [(LinkId, Vec<u8>)] {
    type Frames = Vec<(LinkId, Vec<u8>)>;
    static FRAMES: [OnceLock<Frames>; 2] = [OnceLock::new(), OnceLock::new()];
    FRAMES[usize::from(napt)].get_or_init(|| {
        let mut frames = Vec::new();
        for (name, _) in capture::files() {
            // The load is monotonous.
            let take = if name.starts_with("imix") { 200 } else { usize::MAX };
            for capture::Captured { bytes, .. } in capture::read(&name).into_iter().take(take) {
                let from_router = Ethernet2Header::from_slice(&bytes).is_ok_and(|(e, _)| e.source == ROUTER_MAC);
                if name.contains("-wan-") {
                    frames.push((WAN, bytes));
                } else if from_router && bytes[12..14] == [8, 0] && bytes.len() < 1474 {
                    let mut packet = bytes[14..].to_vec();
                    if napt {
                        packet[16..20].copy_from_slice(&OUTSIDE);
                        repair(&mut packet);
                    }
                    frames.push((WAN, ipv6(&outer(packet.len(), 4), &packet)));
                } else {
                    frames.push((LAN, bytes));
                }
            }
        }
        frames
    })
}

/// What is done to a frame on its way to the router.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Truncate(Index),
    Extend(u8),
    /// A 16-bit field at an even offset from the IPv4 header, more or less.
    Add(u8, i8),
    /// A tag with this TPID and number behind the addresses; the last mutation.
    Tag(u16, u16),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Headers are more interesting than payloads.
    prop_oneof![
        4 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Mutation::Set(at, to)),
        1 => any::<Index>().prop_map(Mutation::Truncate),
        1 => any::<u8>().prop_map(Mutation::Extend),
        2 => (0u8..24, any::<i8>()).prop_map(|(at, by)| Mutation::Add(at, by)),
        1 => (select(vec![0x8100, 0x8100, 0x88a8]), select(vec![0, 0xe000, 10, 11, 4094]))
            .prop_map(|(tpid, tci)| Mutation::Tag(tpid, tci)),
    ]
}

fn mutate(side: LinkId, frame: &[u8], mutations: &[Mutation], repaired: bool) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let ip = if side == LAN { 14 } else { 54 };
    for mutation in mutations {
        let headers = frame.len().min(ip + 48);
        match mutation {
            Mutation::Flip(at, bit) if headers > 0 => frame[at.index(headers)] ^= 1 << bit,
            Mutation::Set(at, to) if headers > 0 => frame[at.index(headers)] = *to,
            Mutation::Truncate(at) if !frame.is_empty() => frame.truncate(at.index(frame.len())),
            Mutation::Extend(by) => frame.resize((frame.len() + usize::from(*by)).min(1536), 0xee),
            Mutation::Add(at, by) => {
                let at = ip + usize::from(*at) * 2;
                if let Some(field) = frame.get_mut(at..at + 2) {
                    let value = u16::from_be_bytes([field[0], field[1]]).wrapping_add_signed((*by).into());
                    field.copy_from_slice(&value.to_be_bytes());
                }
            }
            _ => {}
        }
    }
    if repaired && frame.len() > ip {
        repair(&mut frame[ip..]);
    }
    for mutation in mutations {
        if let Mutation::Tag(tpid, tci) = mutation
            && frame.len() >= 12
        {
            frame.splice(12..12, [tpid.to_be_bytes(), tci.to_be_bytes()].concat());
        }
    }
    frame.truncate(1536);
    frame
}

/// A packet between few hosts and ports, so that sessions meet.
fn packet() -> impl Strategy<Value = Packet> {
    let inside = select(vec![(CLIENT, 40000), (CLIENT, 40001), (OTHER_CLIENT, 40000), (OTHER_CLIENT, 53)]);
    let odd_inside =
        select(vec![(ROUTER, 40000), ([192, 168, 1, 255], 40000), ([192, 168, 1, 99], 7), ([10, 0, 0, 1], 7)]);
    let peer = select(vec![(SERVER, 443), (SERVER, 53), ([198, 51, 100, 7], 443)]);
    let odd_peer = select(vec![
        (OUTSIDE, 40000),
        (OUTSIDE, 40001),
        (OUTSIDE, 9),
        (ROUTER, 53),
        ([255; 4], 67),
        ([169, 254, 1, 1], 9),
        (OTHER_CLIENT, 80),
    ]);
    let src = prop_oneof![12 => inside, 1 => odd_inside];
    let dst = prop_oneof![6 => peer, 3 => odd_peer];
    let flags = select(vec![SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, RST, 0]);
    let ttl = prop_oneof![8 => Just(64u8), 1 => 0u8..4];
    let len = prop_oneof![4 => 0usize..30, 1 => 1380usize..1472];
    let shape = (any::<bool>(), any::<u8>(), prop_oneof![12 => Just(0u8), 1 => 1u8..5], 0u16..3);
    (src, dst, 0..10, flags, ttl, len, shape).prop_map(|(src, dst, kind, flags, ttl, len, (df, tos, special, id))| {
        let payload = bytes(len);
        let packet = match kind {
            0..3 => udp(src, dst, &payload),
            3..6 => tcp(src, dst, flags, &payload[..len.min(1460)]),
            6 => tcp_with(src, dst, flags, &[TcpOptionElement::MaximumSegmentSize(1460)], b""),
            7 => echo_request(src.0, dst.0, src.1, &payload),
            8 => raw(src.0, dst.0, 47, payload),
            _ => raw(src.0, dst.0, 136, payload),
        };
        let packet = packet.ttl(ttl).tos(tos).id(id);
        let packet = if df { packet.df() } else { packet };
        match special {
            1 => packet.options(&[1, 1, 1, 0]),
            2 if packet.payload.len() > 16 => packet.fragments(20 + 16).remove(0),
            3 if packet.payload.len() > 24 => packet.fragments(20 + 24).remove(1),
            4 => packet.options(&[131, 3, 4, 0]),
            _ => packet,
        }
    })
}

/// The answer to a packet, as it would come through the tunnel.
fn answer(packet: &Packet, napt: bool) -> Packet {
    let (src, dst) = (packet.header.destination, packet.header.source);
    let dst = if napt { OUTSIDE } else { dst };
    let header = &packet.header;
    let port = |at: usize| packet.payload.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    let fragment = packet.is_fragment() && header.fragment_offset.value() > 0;
    let mut back = match header.protocol.0 {
        17 if packet.payload.len() >= 8 && !fragment => udp((src, port(2)), (dst, port(0)), &packet.payload[8..]),
        6 if packet.payload.len() >= 20 && !fragment => {
            let mss = [TcpOptionElement::MaximumSegmentSize(1460)];
            tcp_with(
                (src, port(2)),
                (dst, port(0)),
                packet.payload[13] & 0x17,
                &mss[..usize::from(port(4) & 1)],
                b"answer",
            )
        }
        1 if packet.payload.len() >= 8 && !fragment => echo_reply(src, dst, port(4), &packet.payload[8..]),
        other => raw(src, dst, other, packet.payload.clone()),
    };
    back.header.time_to_live = header.time_to_live;
    back.header.options = header.options.clone();
    back.header.identification = header.identification;
    back.tos(packet.tos_byte())
}

/// How a packet comes through the tunnel.
#[derive(Clone, Debug)]
struct Carriage {
    /// The outer class.
    class: u8,
    /// What is behind the outer header.
    options: Option<[u8; 8]>,
    /// Cut into fragments of so many bytes, in order or not.
    cut: Option<(usize, bool)>,
}

/// What happens next in a history.
#[derive(Clone, Debug)]
enum Step {
    /// Frames of the captures from here on; mutated at some places.
    Captured(Index, usize, Vec<(usize, Vec<Mutation>, bool)>),
    /// Packets of one side, in one burst.
    Made(bool, Vec<(Packet, Vec<Mutation>, bool, Carriage)>),
    /// Packets of one side with other tags than their link's: of this VLAN, or of none.
    Elsewhere(bool, Vec<Packet>, Option<u16>),
    /// An ICMP error from outside about a packet that was sent.
    IcmpError(Packet, u8),
    Wait(u16),
}

/// A destination options header in front of the inner packet: none, an encapsulation limit as Linux sends it, or one that is
/// not quite that.
fn options() -> impl Strategy<Value = Option<[u8; 8]>> {
    let other = select(vec![
        [4, 0, 4, 1, 4, 0, 0, 0],
        [4, 0, 0, 0, 4, 1, 4, 0],
        [4, 0, 1, 4, 0, 0, 0, 0],
        [4, 0, 4, 2, 4, 1, 1, 0],
        [4, 1, 4, 1, 4, 1, 1, 0],
        [60, 0, 4, 1, 4, 1, 1, 0],
        [17, 0, 4, 1, 4, 1, 1, 0],
        [4, 0, 0x44, 1, 4, 1, 1, 0],
    ]);
    prop_oneof![8 => Just(None), 4 => any::<u8>().prop_map(|n| Some(limit(n))), 1 => other.prop_map(Some)]
}

fn limit(n: u8) -> [u8; 8] {
    [4, 0, 4, 1, n, 1, 1, 0]
}

/// The frame with eight bytes of destination options behind its outer header.
fn behind(options: [u8; 8], mut frame: Vec<u8>) -> Vec<u8> {
    let len = u16::from_be_bytes([frame[18], frame[19]]) + 8;
    frame[18..20].copy_from_slice(&len.to_be_bytes());
    frame[20] = protocol::DESTINATION;
    frame.splice(54..54, options);
    frame
}

/// Whether a packet from outside is cut: into fragments of so many bytes, in order or not.
fn cut() -> impl Strategy<Value = Option<(usize, bool)>> {
    let cut = (select(vec![44, 60, 700, 1460]), prop::bool::weighted(0.8));
    prop_oneof![3 => Just(None), 1 => cut.prop_map(Some)]
}

fn step() -> impl Strategy<Value = Step> {
    let mutated = || (prop_oneof![3 => Just(vec![]), 2 => prop::collection::vec(mutation(), 1..4)], any::<bool>());
    let class = prop_oneof![3 => Just(0u8), 1 => any::<u8>()];
    let tunnel = (class, options(), cut()).prop_map(|(class, options, cut)| Carriage { class, options, cut });
    let made = (packet(), mutated(), tunnel).prop_map(|(p, (m, repair), tunnel)| (p, m, repair, tunnel));
    let places = prop::collection::vec((0usize..24, prop::collection::vec(mutation(), 1..4), any::<bool>()), 0..8);
    prop_oneof![
        2 => (any::<Index>(), 1usize..24, places).prop_map(|(from, n, m)| Step::Captured(from, n, m)),
        6 => (any::<bool>(), prop::collection::vec(made, 1..24)).prop_map(|(wan, packets)| Step::Made(wan, packets)),
        1 => (any::<bool>(), prop::collection::vec(packet(), 1..12), select(vec![None, Some(0), Some(10), Some(4094)]))
            .prop_map(|(wan, packets, vlan)| Step::Elsewhere(wan, packets, vlan)),
        1 => (packet(), select(vec![3u8, 11, 12, 5])).prop_map(|(p, kind)| Step::IcmpError(p, kind)),
        1 => (0u16..8000).prop_map(Step::Wait),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    let mtu =
        select(vec![MtuMode::Strict { mtu: 1460 }, MtuMode::Fragment { mtu: 1500 }, MtuMode::Strict { mtu: 1400 }]);
    let class = select(vec![ClassMode::default(), ClassMode { dscp: Dscp::Copy, ecn: EcnMode::Normal }]);
    let links = (select(vec![1500, 1500, 1400, 1000]), select(vec![1500, 1540]), select(vec![16, 128, 512]));
    let odd =
        (select(vec![Headroom::NONE, Headroom::new(64, 8)]), prop::bool::weighted(0.1), prop::bool::weighted(0.95));
    let vlan = || select(vec![None, None, Some(10), Some(4094)]);
    (
        any::<bool>(),
        (any::<[bool; 2]>(), select(vec![1, 5, 256]), prop::bool::weighted(0.2)),
        mtu,
        class,
        links,
        odd,
        (select(vec![None, Some(1420), Some(536)]), vlan(), vlan()),
        (ports(), rules()),
    )
        .prop_map(
            |(
                napt,
                ([open, answer_unsolicited], batch, replay),
                mtu,
                class,
                (lan_mtu, wan_mtu, slots),
                (headroom, two_regions, next_hop),
                (mss, lan_vlan, wan_vlan),
                ((ports, forwards), rules),
            )| {
                Setup {
                    napt,
                    ports,
                    forwards,
                    filtering: if open { Filtering::EndpointIndependent } else { Filtering::AddressAndPortDependent },
                    answer_unsolicited,
                    mtu,
                    class,
                    mss,
                    lan_mtu,
                    wan_mtu,
                    slots,
                    headroom,
                    two_regions,
                    next_hop,
                    batch,
                    replay,
                    vlans: [lan_vlan, wan_vlan],
                    rules,
                    ..Setup::ipip()
                }
            },
        )
}

/// None, or some that each fit something.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let of = |kind, ports: &[(u16, u16)], rule| Rule { protocols: vec![kind], ports: ports.to_vec(), ..rule };
    let other = Prefix4::new(OTHER_CLIENT.into(), 32).unwrap();
    let some = vec![
        of(protocol::TCP, &[(443, 443)], rule_from(HOSTS, Action::Reject)),
        of(protocol::UDP, &[(1, 1023)], rule_from(HOSTS, Action::Drop)),
        Rule { source: vec![Address::V4(other)], ..rule_from(HOSTS, Action::Reject) },
        of(protocol::TCP, &[], rule_from(WORLD, Action::Reject)),
        of(protocol::ICMP, &[(8, 8)], rule_from(WORLD, Action::Drop)),
    ];
    let rate = Some(Rate { interval: Duration::from_secs(1), burst: 3 });
    let few = vec![
        Rule { rate, ..of(protocol::TCP, &[], rule_from(HOSTS, Action::Accept)) },
        Rule { source_ports: vec![(40000, 40000)], ..of(protocol::UDP, &[], rule_from(HOSTS, Action::Reject)) },
        Rule { rate, ..rule_from(WORLD, Action::Accept) },
        of(protocol::ICMP, &[], rule_from(HOSTS, Action::Reject)),
    ];
    select(vec![vec![], vec![], some, few])
}

/// All ports, or 40000 and 40001, which have to be shared; one of them forwarded or not.
fn ports() -> impl Strategy<Value = (PortSet, Vec<Forward>)> {
    let two = PortSet::new(0, 15, 40000 >> 1).unwrap();
    let to = |protocol, inside_port| Forward {
        protocol,
        outside: (40001, 40001),
        lan: LanId::default(),
        inside: OTHER_CLIENT.into(),
        inside_port,
    };
    let forwards = vec![to(protocol::TCP, 40000), to(protocol::UDP, 53), to(protocol::ICMP, 7)];
    select(vec![(PortSet::ALL, vec![]), (two, vec![]), (two, forwards.clone()), (PortSet::ALL, forwards)])
}

/// One step of both.
fn take(twins: &mut Twins, step: &Step) -> Result<(), String> {
    let napt = twins.setup.napt;
    match step {
        Step::Captured(from, n, mutations) => {
            let all = captured(napt);
            let from = from.index(all.len());
            for (i, (side, frame)) in all[from..].iter().take(*n).enumerate() {
                let frame = match mutations.iter().find(|(at, ..)| *at == i) {
                    Some((_, mutations, repaired)) => mutate(*side, frame, mutations, *repaired),
                    None => frame.clone(),
                };
                twins.play(*side, &[frame])?;
            }
        }
        Step::Made(wan, packets) => {
            let frames: Vec<_> = packets
                .iter()
                .flat_map(|(packet, mutations, repaired, Carriage { class, options, cut })| {
                    if !wan {
                        return vec![mutate(LAN, &from_lan(packet), mutations, *repaired)];
                    }
                    let answer = answer(packet, napt);
                    let mut pieces = match cut {
                        Some((mtu, _)) if answer.header.header_len() + 8 <= *mtu && !answer.payload.is_empty() => {
                            answer.fragments(*mtu)
                        }
                        _ => vec![answer],
                    };
                    if matches!(cut, Some((_, false))) {
                        pieces.reverse();
                    }
                    let frames = pieces.iter().map(|piece| from_wan_class(piece, *class));
                    let frames = frames.map(|frame| options.map_or(frame.clone(), |options| behind(options, frame)));
                    frames.map(|frame| mutate(WAN, &frame, mutations, *repaired)).collect()
                })
                .collect();
            twins.play(if *wan { WAN } else { LAN }, &frames)?;
        }
        Step::Elsewhere(wan, packets, vlan) => {
            let frames = packets.iter().map(|packet| match wan {
                false => from_lan(packet),
                true => from_wan(&answer(packet, napt)),
            });
            let frames: Vec<_> = frames.map(|frame| vlan.map_or(frame.clone(), |id| tagged(id, &frame))).collect();
            twins.play_as_it_is(if *wan { WAN } else { LAN }, &frames)?;
        }
        Step::IcmpError(about, kind) => {
            let mut about = about.clone();
            if napt {
                about.header.source = OUTSIDE;
            }
            let to = about.header.source;
            let error = icmp_raw([198, 51, 100, 254], to, *kind, 1, 0, &about.bytes()[..28.min(about.bytes().len())]);
            twins.play(WAN, &[from_wan(&error)])?;
        }
        Step::Wait(milliseconds) => twins.wait(Duration::from_millis((*milliseconds).into()))?,
    }
    Ok(())
}

fn config() -> ProptestConfig {
    // More with PROPTEST_CASES.
    ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_fast_path_does_what_the_slow_path_does(setup in setup(), steps in prop::collection::vec(step(), 1..20)) {
        let mut twins = Twins::new(&setup);
        for step in &steps {
            take(&mut twins, step).map_err(TestCaseError::fail)?;
        }
        twins.finish().map_err(TestCaseError::fail)?;
    }
}

/// RFC 2473 4.1.1: the limit binds who encapsulates once more. Whatever it is, the packet behind it is delivered as without
/// it, by both paths, also where only some come behind one.
#[test]
fn rfc2473_4_1_1_packets_behind_an_encapsulation_limit_are_delivered_as_others_are() {
    for setup in Setup::all() {
        let dst = if setup.napt { OUTSIDE } else { CLIENT };
        let inbound: Vec<_> = (0..40u8).map(|n| from_wan(&udp((SERVER, 53), (dst, 40000), &[n; 20]))).collect();
        let delivered = |frames: Vec<Vec<u8>>| {
            let mut twins = Twins::new(&setup);
            twins.play(LAN, &[from_lan(&udp((CLIENT, 40000), (SERVER, 53), b"ask"))]).unwrap();
            twins.play(WAN, &frames).unwrap();
            // The next burst knows what the last one was like.
            let delivered = twins.fast.play(WAN, &frames).lan;
            twins.slow.play(WAN, &frames);
            twins.finish().unwrap();
            delivered
        };
        let plain = delivered(inbound.clone());
        assert_eq!(plain.len(), inbound.len());
        for share in [1, 2, 7] {
            let frames = inbound.iter().enumerate().map(|(n, frame)| match n % share {
                0 => behind(limit([0, 1, 4, 255][n % 4]), frame.clone()),
                _ => frame.clone(),
            });
            assert_eq!(delivered(frames.collect()), plain, "one of {share} behind a limit, {setup:?}");
        }
    }
}

#[test]
fn all_captures_at_once() {
    for setup in Setup::all() {
        let mut twins = Twins::new(&setup);
        for (side, frame) in captured(setup.napt) {
            twins.play(*side, std::slice::from_ref(frame)).unwrap();
        }
        twins.finish().unwrap();
    }
}

#[test]
fn a_table_that_fills_up_is_full_for_both() {
    let mut twins = Twins::new(&Setup { slots: 512, ..Setup::ipip() });
    for round in 0..6u16 {
        for port in (0..400u16).step_by(100) {
            let packet = |i: u16| {
                let src =
                    (if i.is_multiple_of(2) { CLIENT } else { OTHER_CLIENT }, 20000 + (round * 250 + port + i) % 1400);
                if i.is_multiple_of(3) { tcp(src, (SERVER, 443), SYN, b"") } else { udp(src, (SERVER, 443), b"x") }
            };
            twins.play(LAN, &(0..100).map(|i| from_lan(&packet(i))).collect::<Vec<_>>()).unwrap();
        }
        twins.wait(Duration::from_secs(61)).unwrap();
    }
    assert!(twins.fast.totals().verdict(hikyaku_dataplane::verdict::Reason::NaptTableFull.into()) > 0);
    twins.finish().unwrap();
}
