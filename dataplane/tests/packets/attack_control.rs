//! What strangers and neighbours can take from others by asking the router itself: the control thread's ear, and answers.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_ring::LinkId;

/// An address of the router's on the line.
const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3400, 0, 0, 0, 0x99);

/// What the control thread takes out of its queues in a turn, and its turns are a millisecond apart.
const HEARD: usize = 256;

/// Of a flood in one millisecond: ten million packets a second.
const FLOOD: usize = 10_000;
const MILLISECONDS: u64 = 100;

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const LINE_ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// From the line's router.
fn from_line(dst: Ipv6Addr, hop_limit: u8) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    let [.., a, b, c, d] = dst.octets();
    let station = if dst.is_multicast() { [0x33, 0x33, a, b, c, d] } else { WAN_MAC };
    etherparse::PacketBuilder::ethernet2(GATEWAY_MAC, station).ipv6(LINE_ROUTER.octets(), dst.octets(), hop_limit)
}

fn discovery(kind: u8, dst: Ipv6Addr, hop_limit: u8) -> Vec<u8> {
    let body = [&OURS.octets()[..], &[1, 1], &GATEWAY_MAC].concat();
    let mut frame = Vec::new();
    from_line(dst, hop_limit).icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &body).unwrap();
    frame
}

/// A host's solicitation of the router: where it is (RFC 4861 4.3), or what it says (4.1).
fn host_discovery(kind: u8, station: [u8; 6], src: Ipv6Addr, dst: Ipv6Addr) -> Vec<u8> {
    let body = if kind == 135 { [&ROUTER6.octets()[..], &[1, 1], &station].concat() } else { vec![] };
    let [.., a, b, c, d] = dst.octets();
    let to = if dst.is_multicast() { [0x33, 0x33, a, b, c, d] } else { ROUTER_MAC };
    icmp6(src, dst, (kind, 0), 0, &body).hops(255).frame(to, station)
}

/// What keeps the line and the hosts' addresses alive.
fn honest() -> Vec<(LinkId, Vec<u8>)> {
    let [.., a, b, c] = OURS.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let mut reply = Vec::new();
    from_line(LINK_LOCAL, 64).udp(547, DHCPV6.1).write(&mut reply, &[7; 60]).unwrap();
    let dhcp = udp(([0; 4], 68), ([255; 4], DHCPV4.1), &bytes(300)).bytes();
    vec![
        (WAN, discovery(135, group, 255)),
        (WAN, discovery(134, ALL_NODES, 255)),
        (WAN, reply),
        (LAN, ethernet([0xff; 6], OTHER_CLIENT_MAC, 0x0806, &[1; 28])),
        (LAN, ethernet([0xff; 6], [2, 0, 0, 0, 1, 0x0c], 0x0800, &dhcp)),
        (LAN, host_discovery(135, OTHER_CLIENT_MAC, OTHER6, ROUTER6)),
        (LAN, host_discovery(133, OTHER_CLIENT_MAC, OTHER6, ALL_ROUTERS)),
    ]
}

/// The end of every packet of the transfers that are watched.
const TRANSFER: &[u8] = b"a transfer that was there before";

/// A transfer each way by the tunnel and by native IPv6, that hosts have begun.
fn transfers(router: &mut Router) -> Vec<(LinkId, Vec<u8>)> {
    let out = from_lan(&udp((CLIENT, 5000), (SERVER, 443), TRANSFER));
    let outside = inner(&router.lan(&out).wan[0]).src();
    let out6 = udp6((CLIENT6, 5000), (PEER6, 443), TRANSFER).sent_by_host();
    assert_eq!(router.lan(&out6).wan.len(), 1);
    let back6 = udp6((PEER6, 443), (CLIENT6, 5000), TRANSFER).sent_by_line();
    vec![(LAN, out), (WAN, from_wan(&udp((SERVER, 443), outside, TRANSFER))), (LAN, out6), (WAN, back6)]
}

/// One of each that keeps the line and the hosts' addresses alive a millisecond, and a packet of each transfer, somewhere in ten
/// million packets a second that come by `side`: at least 99 of 100 reach the control thread, and of the transfers all go on.
#[track_caller]
fn all_that_counts_is_heard_beside(side: LinkId, flood: impl Fn(u64) -> Vec<u8>) {
    let setup = Setup { slots: 1024, native6: Some(filtering()), ..Setup::ipip() };
    let mut router = Router::with(&setup, |snapshot| snapshot.links[WAN.index()].addresses6 = vec![OURS.into()]);
    let transfers = transfers(&mut router);
    let honest = honest();
    let (mut heard, mut transferred) = (vec![0; honest.len()], 0);
    for millisecond in 1..=MILLISECONDS {
        // Anywhere: a prime is not a divisor of what a turn takes.
        let at = (millisecond * 7919) as usize % FLOOD;
        for n in 0..FLOOD {
            assert!(router.wires[side.index()].deliver(&flood(millisecond * FLOOD as u64 + n as u64)));
            if n == at {
                for (link, frame) in honest.iter().chain(&transfers) {
                    assert!(router.wires[link.index()].deliver(frame));
                }
            }
            if n % 256 == 255 || n + 1 == FLOOD {
                let now = router.now + Duration::from_nanos(millisecond * 1_000_000 + n as u64 * 100);
                router.worker.turn(now);
                router.wires.iter_mut().for_each(|wire| {
                    wire.collect(|frame| transferred += u64::from(frame.ends_with(TRANSFER)));
                });
            }
        }
        for message in std::iter::from_fn(|| router.punted()).take(HEARD) {
            let is_one = honest.iter().position(|(link, frame)| (message.link, message.frame()) == (*link, &frame[..]));
            is_one.into_iter().for_each(|one| heard[one] += 1);
        }
    }
    let enough = heard.iter().all(|&heard| heard * 100 >= MILLISECONDS * 99);
    assert!(
        enough,
        "of {MILLISECONDS} each of ND, RA, DHCPv6, ARP, DHCP and of the LAN's ND and RS {heard:?} were heard"
    );
    assert_eq!(transferred, MILLISECONDS * transfers.len() as u64, "of the transfers some is lost");
    assert!(router.totals().add_up());
}

/// From a host in the Internet, of which there are many.
fn stranger(n: u64) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    let source = Ipv6Addr::new(0x2001, 0xdb8, 9, (n % 65_536) as u16, 0, 0, 0, 7);
    etherparse::PacketBuilder::ethernet2(GATEWAY_MAC, WAN_MAC).ipv6(source.octets(), OURS.octets(), 50)
}

#[test]
fn a_stranger_does_not_drown_the_router_of_the_line() {
    let frame = |build: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        build(&mut frame);
        frame
    };
    let udp = |n, port| frame(&|frame| stranger(n).udp(1234, port).write(frame, &[]).unwrap());
    all_that_counts_is_heard_beside(WAN, |_| udp(0, 9));
    // Where the control thread listens, from everywhere; at the port of the DHCPv6 client, too.
    all_that_counts_is_heard_beside(WAN, |n| udp(n, DHCPV6.1));
    all_that_counts_is_heard_beside(WAN, |n| {
        frame(&|frame| stranger(n).icmpv6_echo_request(1, n as u16).write(frame, &[0; 8]).unwrap())
    });
    // What looks like discovery and has come from afar is none (RFC 4861 7.1).
    let forged = discovery(135, OURS, 254);
    all_that_counts_is_heard_beside(WAN, |_| forged.clone());
}

#[test]
fn a_lan_host_does_not_drown_the_router_of_the_line() {
    let to_router = from_lan(&udp((CLIENT, 1234), (ROUTER, 9), &bytes(18)));
    all_that_counts_is_heard_beside(LAN, |_| to_router.clone());
    let ping = from_lan(&echo_request(CLIENT, ROUTER, 1, b"ping"));
    all_that_counts_is_heard_beside(LAN, |_| ping.clone());
    // Nor does a station that has nothing but ARP or DHCP to say.
    let arp = ethernet([0xff; 6], CLIENT_MAC, 0x0806, &[1; 28]);
    all_that_counts_is_heard_beside(LAN, |_| arp.clone());
}

/// The same of native IPv6: to hosts, of which some are there and of which each SYN may be one to tell of (RFC 6092 REC-34), in pieces that
/// are never put together, and to our address on the LAN.
#[test]
fn a_stranger_with_native_ipv6_does_not_drown_it_either() {
    let anyone = |n: u64| Ipv6Addr::new(0x2a00, 0xbad, (n >> 16) as u16, n as u16, 0, 0, 0, 9);
    let nobody = |n: u64| Ipv6Addr::from_bits(CLIENT6.to_bits() & !0xffff_ffff | u128::from(n as u32));
    all_that_counts_is_heard_beside(WAN, |n| udp6((anyone(n), 53), (CLIENT6, n as u16), &[0; 8]).sent_by_line());
    all_that_counts_is_heard_beside(WAN, |n| tcp6((anyone(n), 443), (nobody(n), 80), SYN).sent_by_line());
    all_that_counts_is_heard_beside(WAN, |n| {
        udp6((PEER6, 443), (CLIENT6, 5000), &[0; 72]).fragments(40, n as u32).remove((n % 2) as usize).sent_by_line()
    });
    all_that_counts_is_heard_beside(WAN, |n| echo6(anyone(n), ROUTER6, 128, n as u16).sent_by_line());
}

#[test]
fn a_lan_host_with_native_ipv6_does_not_drown_it_either() {
    all_that_counts_is_heard_beside(LAN, |_| udp6((CLIENT6, 1234), (ROUTER6, 9), &[0; 8]).sent_by_host());
    all_that_counts_is_heard_beside(LAN, |n| echo6(CLIENT6, ROUTER6, 128, n as u16).sent_by_host());
    // As many sessions as it likes, of which there is room for 1,024.
    all_that_counts_is_heard_beside(LAN, |n| udp6((CLIENT6, n as u16), (PEER6, (n >> 16) as u16), b"?").sent_by_host());
    // A station that has nothing but discovery to say.
    all_that_counts_is_heard_beside(LAN, |_| host_discovery(135, CLIENT_MAC, CLIENT6, ROUTER6));
    all_that_counts_is_heard_beside(LAN, |_| host_discovery(133, CLIENT_MAC, CLIENT6, ALL_ROUTERS));
}

/// What nobody listens for is dropped, by name, and not given to the control thread.
#[test]
fn what_nobody_listens_for_is_not_punted() {
    let mut router =
        Router::with(&Setup::ipip(), |snapshot| snapshot.links[WAN.index()].addresses6 = vec![OURS.into()]);
    let mut frames = vec![discovery(135, OURS, 64), discovery(139, ALL_NODES, 255), discovery(130, OURS, 1)];
    for port in [9, 53, 547] {
        frames.push(Vec::new());
        stranger(0).udp(547, port).write(frames.last_mut().unwrap(), &[7; 60]).unwrap();
        frames.push(Vec::new());
        stranger(0).tcp(1234, port, 1, 1000).write(frames.last_mut().unwrap(), &[]).unwrap();
    }
    // To our end of the tunnel.
    let udp = [[0, 9, 0, 9, 0, 8], [0, 9, 2, 34, 0, 8]].map(|udp| [&udp[..], &[0, 0]].concat());
    frames.push(ipv6(&outer(8, 17), &udp[0]));
    for frame in &frames {
        router.wan(frame).dropped(Reason::NoListener);
    }
    assert_eq!(router.wan(ipv6(&outer(8, 17), &udp[1])).verdict(), Verdict::Punted);
    router.lan(from_lan(&raw(CLIENT, ROUTER, 89, vec![0; 20]))).dropped(Reason::NoListener);
    router.lan(from_lan(&echo_reply(CLIENT, ROUTER, 1, b"nobody asked"))).dropped(Reason::NoListener);
}

/// RFC 1812 4.3.2.8 lets errors be limited, but not so that strangers outside use up those that hosts need to find a path's
/// MTU (RFC 1191). To a packet without a session nothing is said.
#[test]
fn strangers_do_not_use_up_the_errors_of_lan_hosts() {
    let mut router = Router::new(&Setup::ipip());
    let large = from_lan(&udp((CLIENT, 5000), (SERVER, 6000), &bytes(1472)).df());
    let expiring = from_wan(&udp(([203, 0, 113, 66], 1), (OUTSIDE, 40000), &bytes(18)).ttl(1));
    let (mut told, mut strangers_told) = (0, 0);
    // 100 packets that are too large, and 5,000 of a stranger's, a second.
    for n in 0..10_000 {
        strangers_told += router.wan(&expiring).wan.len();
        if n % 50 == n / 50 % 50 {
            let answers = router.lan(&large).lan;
            told += answers.iter().filter(|frame| plain(frame).icmp_parts().0 == 3).count();
        }
        router.advance(Duration::from_micros(200));
    }
    assert_eq!((told, strangers_told), (200, 0), "hosts that were told the MTU, and answers to the stranger");
}
