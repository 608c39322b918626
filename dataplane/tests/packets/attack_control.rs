//! What strangers and neighbours can take from others by asking the router itself: the control thread's ear, and answers.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::common::*;
use hikyaku_net::Time;
use hikyaku_ring::LinkId;

/// An address of the router's on the line.
const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3400, 0, 0, 0, 0x99);

/// What the control thread takes out of its queue in a turn, and its turns are a millisecond apart.
const HEARD: usize = 256;

/// Of a flood in one millisecond.
const FLOOD: usize = 1000;
const MILLISECONDS: u64 = 300;

/// RFC 4861 4.3: the line's router asks for our address.
fn solicitation() -> Vec<u8> {
    let [.., a, b, c] = OURS.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let body = [&OURS.octets()[..], &[1, 1], &GATEWAY_MAC].concat();
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2(GATEWAY_MAC, [0x33, 0x33, 0xff, a, b, c])
        .ipv6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], group.octets(), 255)
        .icmpv6_raw(135, 0, [0; 4])
        .write(&mut frame, &body)
        .unwrap();
    frame
}

/// One solicitation a millisecond, somewhere in a million packets a second that come by `side`: at least 99 of 100 reach
/// the control thread.
#[track_caller]
fn the_router_of_the_line_is_heard_beside(side: LinkId, flood: &[u8]) {
    let setup = Setup { slots: 1024, ..Setup::ipip() };
    let mut router = Router::with(&setup, |snapshot| snapshot.links[WAN.index()].addresses6 = vec![OURS.into()]);
    let (solicitation, mut heard) = (solicitation(), 0);
    for millisecond in 1..=MILLISECONDS {
        // Anywhere: a prime is not a divisor of what a turn takes.
        let at = (millisecond * 7919) as usize % FLOOD;
        for n in 0..FLOOD {
            assert!(router.wires[side.index()].deliver(flood));
            if n == at {
                assert!(router.wires[WAN.index()].deliver(&solicitation));
            }
            if n % 256 == 255 || n + 1 == FLOOD {
                router.worker.turn(Time(millisecond * 1_000_000 + n as u64));
                router.wires.iter_mut().for_each(|wire| _ = wire.collect(|_| ()));
            }
        }
        let taken = std::iter::from_fn(|| router.punted()).take(HEARD);
        heard += taken.filter(|message| message.frame() == solicitation).count() as u64;
    }
    assert!(heard * 100 >= MILLISECONDS * 99, "{heard} of {MILLISECONDS} solicitations were heard");
}

#[test]
#[ignore = "issue: one queue for everything that the control thread hears"]
fn a_stranger_does_not_drown_the_router_of_the_line() {
    let mut flood = Vec::new();
    etherparse::PacketBuilder::ethernet2(GATEWAY_MAC, WAN_MAC)
        .ipv6(Ipv6Addr::new(0x2001, 0xdb8, 9, 9, 0, 0, 0, 7).octets(), OURS.octets(), 50)
        .udp(1234, 9)
        .write(&mut flood, &[])
        .unwrap();
    the_router_of_the_line_is_heard_beside(WAN, &flood);
}

#[test]
#[ignore = "issue: one queue for everything that the control thread hears"]
fn a_lan_host_does_not_drown_the_router_of_the_line() {
    the_router_of_the_line_is_heard_beside(LAN, &from_lan(&udp((CLIENT, 1234), (ROUTER, 9), &bytes(18))));
}

/// RFC 1812 4.3.2.8 lets errors be limited, but not so that strangers outside use up those that hosts need to find a path's
/// MTU (RFC 1191). To a packet without a session nothing is said.
#[test]
#[ignore = "issue: strangers use up the ICMP errors of LAN hosts"]
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
