//! What the links bring: Ethernet, frames for the control thread, rings of all shapes.

use crate::common::*;
use hikyaku_dataplane::counters::{Event, Volume};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_ring::Headroom;

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);

#[test]
fn ethernet_padding_is_trimmed_outbound_and_zero_inbound() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            let packet = udp(C, S, b"short");
            let mut frame = from_lan(&packet);
            frame.resize(60, 0xee);
            let out = router.lan(&frame);
            assert_eq!(out.to_wan().len(), 14 + 40 + 33);
            let at = inner(out.to_wan()).src();
            // Fill the buffers with something, then a short frame: nothing of it leaves.
            for _ in 0..300 {
                router.wan(from_wan(&udp(S, at, &[0xee; 1400])));
            }
            let mut frame = from_wan(&udp(S, at, b"s"));
            frame.extend([0xee; 9]);
            let out = router.wan(&frame);
            assert_eq!(out.to_lan().len(), 60);
            assert_eq!(plain(out.to_lan()).payload.len(), 9);
        }
    }
}

/// Whatever stands behind a packet goes no further: in whole packets and pieces, ordinary and not, there and back.
#[test]
fn ieee_802_3_trailers_are_not_forwarded() {
    for setup in Setup::all() {
        for fast in [true, false] {
            for headroom in [Headroom::new(64, 8), Headroom::NONE] {
                let setup = Setup { fast, headroom, ..setup.clone() };
                let (lan, wan, router) = ways(&setup, 0);
                // 1514 and 22 is all that a buffer holds.
                for trailer in [1, 2, 9, 22] {
                    let (lan2, wan2, router2) = ways(&setup, trailer);
                    assert!(lan == lan2 && wan == wan2, "a trailer of {trailer} bytes");
                    assert!(lan2.iter().all(|frame| frame.len() == 60 || !frame.ends_with(&[0xee; 9])));
                    let all = |router: &Router| router.totals().verdicts().collect::<Vec<_>>();
                    assert_eq!(all(&router), all(&router2));
                }
            }
        }
    }
    // Nor is it quoted, nor told to be missing.
    let mut router = Router::new(&Setup::ipip());
    let packet = udp(C, S, b"short").ttl(1);
    let out = router.lan([from_lan(&packet), vec![0xee; 13]].concat());
    assert_eq!(plain(out.to_lan()).icmp_parts().3, packet.bytes());
    let unknown = from_lan(&udp(([192, 168, 1, 99], 5000), S, b"x"));
    let at = inner(router.lan(unknown).to_wan()).src();
    let back = udp(S, at, b"to nobody known");
    assert_eq!(router.wan([from_wan(&back), vec![0xee; 13]].concat()).verdict(), Verdict::Punted);
    assert_eq!(router.punted().unwrap().frame().len(), 14 + back.bytes().len());
}

#[test]
fn frames_for_other_stations_and_of_other_types() {
    for setup in Setup::all() {
        for mut router in routers(&setup) {
            let good = from_lan(&udp(C, S, b"x"));
            let at = inner(router.lan(&good).to_wan()).src();
            let back = from_wan(&udp(S, at, b"x"));
            let changed = |frame: &[u8], at: usize, to: &[u8]| {
                let mut frame = frame.to_vec();
                frame[at..at + to.len()].copy_from_slice(to);
                frame
            };
            for i in 0..6 {
                for bit in [2, 0x80] {
                    router.lan(changed(&good, i, &[good[i] ^ bit])).dropped(Reason::OtherStation);
                    router.wan(changed(&back, i, &[back[i] ^ bit])).dropped(Reason::OtherStation);
                }
            }
            router.lan(changed(&good, 12, &[0x81, 0])).dropped(Reason::Vlan);
            router.wan(changed(&back, 12, &[0x81, 0])).dropped(Reason::Vlan);
            for kind in [[0, 0], [0x88, 0xcc], [0x88, 0x63], [0x08, 0x01], [0xff, 0xff]] {
                router.lan(changed(&good, 12, &kind)).dropped(Reason::EtherType);
                router.wan(changed(&back, 12, &kind)).dropped(Reason::EtherType);
            }
            router.wan(changed(&good, 0, &WAN_MAC)).dropped(Reason::Ipv4OnWan);
            // IEEE 802.3: a group address is never a source.
            assert!(router.lan(changed(&good, 6, &[3])).wan.is_empty());
            for len in 0..14 {
                router.lan(&good[..len]).dropped(Reason::Runt);
            }
            assert_eq!(router.lan(&good).verdict(), Verdict::Outbound);
        }
    }
}

#[test]
fn what_is_the_control_threads_is_punted_as_it_came() {
    let mut router = Router::new(&Setup::ipip());
    let arp = ethernet([0xff; 6], CLIENT_MAC, 0x0806, &[1; 28]);
    let dhcp = {
        let mut packet = udp(([0; 4], 68), ([255; 4], 67), &bytes(300));
        packet.header.time_to_live = 16;
        ethernet([0xff; 6], CLIENT_MAC, 0x0800, &packet.bytes())
    };
    let ours = from_lan(&echo_request(CLIENT, ROUTER, 5, b"ping").ttl(1));
    let solicitation = |dst: [u8; 16], kind: u8| {
        let icmp = [kind, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        let mut header = outer(icmp.len(), 58);
        header.destination = dst;
        header.hop_limit = 255;
        header.source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        header.to_bytes().into_iter().chain(icmp).collect::<Vec<u8>>()
    };
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let nd = ethernet([0x33, 0x33, 0, 0, 0, 1], GATEWAY_MAC, 0x86dd, &solicitation(all_nodes, 134));
    let to_ce = ethernet(WAN_MAC, GATEWAY_MAC, 0x86dd, &solicitation(CE.octets(), 135));
    let lan_nd = ethernet([0x33, 0x33, 0, 0, 0, 1], CLIENT_MAC, 0x86dd, &solicitation(all_nodes, 133));
    for (side, frame) in [(LAN, arp), (LAN, dhcp), (LAN, ours), (WAN, nd), (WAN, to_ce), (LAN, lan_nd)] {
        let out = router.play(side, [&frame]);
        assert_eq!(out.verdict(), Verdict::Punted);
        assert!(out.lan.is_empty() && out.wan.is_empty());
        let message = router.punted().expect("a frame for the control thread");
        assert_eq!((message.link, message.frame()), (side, &frame[..]));
    }
    let elsewhere = ethernet(ROUTER_MAC, CLIENT_MAC, 0x86dd, &solicitation(BR.octets(), 128));
    router.lan(elsewhere).dropped(Reason::Ipv6NoRoute);
}

#[test]
fn the_punt_queues_are_bounded() {
    let mut router = Router::new(&Setup::dslite());
    let arp = |station: u16| {
        let [a, b] = station.to_be_bytes();
        ethernet([0xff; 6], [2, 0, 0, 0, a, b], 0x0806, &[1; 28])
    };
    // One station has its share of what is there for all of them.
    let out = router.play(LAN, vec![arp(1); 1000]);
    assert_eq!((out.count(Verdict::Punted), out.count(Reason::PuntFull)), (64, 936));
    let out = router.play(LAN, (2..1002).map(arp));
    assert_eq!((out.count(Verdict::Punted), out.count(Reason::PuntFull)), (64, 936));
    // Places of one class are no other's, nor those of the line the LAN's.
    let ping = |n: u16| from_lan(&echo_request(CLIENT, ROUTER, n, b"ping"));
    assert_eq!(router.play(LAN, (0..100).map(ping)).count(Verdict::Punted), 32);
    let kinds: Vec<_> = std::iter::from_fn(|| router.punted()).map(|message| message.frame()[13]).collect();
    assert_eq!((kinds.len(), &kinds[..4]), (160, &[6, 0, 6, 0][..]), "taken in turn");
    assert_eq!(router.lan(from_lan(&udp(C, S, b"x"))).verdict(), Verdict::Outbound);
}

#[test]
fn a_full_transmit_ring_is_counted() {
    for setup in Setup::all() {
        for mut router in routers(&Setup { slots: 16, ..setup }) {
            let frame = from_lan(&udp(C, S, b"x"));
            // Nobody takes what is sent: two ringfuls in, one goes out.
            let mut sent = 0;
            for _ in 0..2 {
                for _ in 0..15 {
                    assert!(router.wires[0].deliver(&frame));
                    sent += 1;
                }
                while router.worker.turn(router.now) > 0 {}
            }
            let totals = router.totals();
            assert_eq!(totals.verdict(Verdict::Outbound), 15);
            assert_eq!(totals.verdict(Reason::TxFull.into()), sent - 15);
            assert!(totals.add_up());
            let out = router.idle();
            assert_eq!(out.wan.len(), 15);
            assert_eq!(router.lan(&frame).wan.len(), 1, "and on it goes");
            // A packet in pieces goes whole or not at all.
            for _ in 0..14 {
                router.wires[0].deliver(&frame);
            }
            router.wires[0].deliver(&from_lan(&udp(C, S, &bytes(1472))));
            while router.worker.turn(router.now) > 0 {}
            let out = router.idle();
            assert_eq!(out.wan.len(), 14);
            assert_eq!(out.count(Reason::TxFull), 1);
        }
    }
}

/// The same traffic through a router of any shape: what comes out.
fn traffic(setup: &Setup) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Router) {
    let mut router = Router::new(setup);
    let (mut lan, mut wan) = (Vec::new(), Vec::new());
    for len in [0, 1, 18, 100, 700, 1400, 1432] {
        let out = router.lan(from_lan(&udp(C, S, &bytes(len))));
        let at = inner(out.to_wan()).src();
        wan.extend(out.wan);
        let out = router.wan(from_wan(&udp(S, at, &bytes(len))));
        plain(out.to_lan()).check_transport();
        lan.extend(out.lan);
        let out = router.lan(from_lan(&udp(C, S, b"x").ttl(1)));
        plain(out.to_lan()).check_transport();
    }
    let out = router.lan(from_lan(&udp(C, S, &bytes(1472))));
    joined(&out.wan).check_transport();
    (lan, wan, router)
}

#[test]
fn links_without_headroom_shift_and_count() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let setup = Setup { fast, ..setup.clone() };
            let (lan, wan, router) = traffic(&setup);
            assert_eq!(router.event(Event::Shifted), 0);
            let (lan2, wan2, router) = traffic(&Setup { headroom: Headroom::NONE, ..setup });
            assert!(router.event(Event::Shifted) >= 14, "{}", router.event(Event::Shifted));
            assert_eq!(lan, lan2);
            assert_eq!(wan.len(), wan2.len());
            for (a, b) in wan.iter().zip(&wan2) {
                assert_eq!(tunnelled(a).2, tunnelled(b).2);
            }
        }
    }
}

#[test]
fn links_of_two_regions_copy_and_count() {
    for setup in Setup::all() {
        for headroom in [Headroom::NONE, Headroom::new(64, 8)] {
            let setup = Setup { headroom, ..setup.clone() };
            let (lan, wan, _) = traffic(&setup);
            let (lan2, wan2, router) = traffic(&Setup { two_regions: true, ..setup });
            assert_eq!(router.event(Event::Copied), 14);
            assert_eq!((lan, wan.len()), (lan2, wan2.len()));
            for (a, b) in wan.iter().zip(&wan2) {
                assert_eq!(tunnelled(a).2, tunnelled(b).2);
            }
        }
    }
}

#[test]
fn small_buffers_refuse_what_does_not_fit_them() {
    // 1514 bytes and 40 more do not fit 1536 behind any headroom.
    let setup = Setup {
        headroom: Headroom::NONE,
        buf_size: 1536,
        mtu: MtuMode::Strict { mtu: 1500 },
        wan_mtu: 1540,
        ..Setup::ipip()
    };
    let mut router = Router::new(&setup);
    assert_eq!(router.lan(from_lan(&udp(C, S, &bytes(1400)))).verdict(), Verdict::Outbound);
    router.lan(from_lan(&udp(C, S, &bytes(1472)))).dropped(Reason::Jumbo);
    let mut router = Router::new(&Setup { fast: false, ..setup });
    assert_eq!(router.lan(from_lan(&udp(C, S, &bytes(1400)))).verdict(), Verdict::Outbound);
    router.lan(from_lan(&udp(C, S, &bytes(1472)))).dropped(Reason::Jumbo);
}

#[test]
fn sent_and_received_are_counted() {
    for setup in Setup::all() {
        let (lan, wan, router) = traffic(&setup);
        let all: u64 = lan.len() as u64 + wan.len() as u64 + 7 + 2;
        assert_eq!(router.event(Event::Sent), all);
        assert_eq!(router.event(Event::Received), 7 * 3 + 1);
    }
}

#[test]
fn frames_leave_in_the_order_in_which_they_came() {
    for setup in Setup::all() {
        let mut router = Router::new(&setup);
        let at = inner(router.lan(from_lan(&udp(C, S, b"x"))).to_wan()).src();
        // Ordinary ones, such as take the slow path, and new sessions.
        let shape = |packet: Packet, i: u16| match i % 3 {
            0 => packet.options(&[1, 1, 1, 0]),
            _ => packet,
        };
        let numbers = |packets: Vec<Packet>| packets.iter().map(|p| p.header.identification).collect::<Vec<_>>();
        let outwards = (0..100).map(|i| from_lan(&shape(udp((CLIENT, 40000 + i % 5), S, b"x").id(i), i)));
        let out = router.play(LAN, outwards);
        assert_eq!(numbers(out.wan.iter().map(|f| inner(f)).collect()), (0..100).collect::<Vec<_>>());
        let inwards = (0..100).map(|i| from_wan(&shape(udp(S, at, b"x").id(i), i)));
        let out = router.play(WAN, inwards);
        assert_eq!(numbers(out.lan.iter().map(|f| plain(f)).collect()), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn bytes_and_sessions_are_counted() {
    let mut router = Router::new(&Setup::ipip());
    let frame = from_lan(&udp(C, S, &bytes(100)));
    let sent = router.play(LAN, [&frame, &frame]).wan;
    assert_eq!(router.event(Event::SessionOpened), 1);
    assert_eq!(router.event(Event::ReceivedBytes), 2 * frame.len() as u64);
    assert_eq!(router.event(Event::SentBytes), 2 * sent[0].len() as u64);
    // By link and direction.
    let volume = |frame: &[u8]| Volume { frames: 2, bytes: 2 * frame.len() as u64 };
    let (lan, wan) = (router.totals().link(LAN), router.totals().link(WAN));
    assert_eq!((lan.received, lan.sent), (volume(&frame), Volume::default()));
    assert_eq!((wan.received, wan.sent), (Volume::default(), volume(&sent[0])));
}
