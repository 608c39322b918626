//! Links that are a VLAN of their wire (IEEE 802.1Q): the same router, whatever the tags.

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::shared::Message;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_ring::Headroom;

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);

/// Every pairing of tagged and untagged links.
const VLANS: [[Option<u16>; 2]; 4] = [[None, None], [Some(10), None], [None, Some(4094)], [Some(1), Some(1)]];

#[test]
fn ieee_802_1q_6_9_a_tagged_link_carries_what_an_untagged_one_does() {
    for setup in Setup::all() {
        for headroom in [Headroom::new(64, 8), Headroom::NONE] {
            for two_regions in [false, true] {
                let setup = Setup { headroom, two_regions, ..setup.clone() };
                let (lan, wan, _) = ways(&setup, 0);
                assert!(lan.len() > 20 && wan.len() > 20, "{} {}", lan.len(), wan.len());
                for fast in [true, false] {
                    for vlans in VLANS {
                        let (lan2, wan2, router) = ways(&Setup { vlans, fast, ..setup.clone() }, 0);
                        assert!(lan == lan2 && wan == wan2, "{vlans:?}");
                        if headroom != Headroom::NONE {
                            assert_eq!(router.event(Event::Shifted), 0, "{vlans:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_moved_for_a_tag_is_counted() {
    let setup = Setup { headroom: Headroom::NONE, ..Setup::dslite() };
    for (vlans, shifts) in [([None, None], 1), ([None, Some(10)], 2), ([Some(10), Some(10)], 2), ([Some(10), None], 1)]
    {
        let mut router = Router::new(&Setup { vlans, ..setup.clone() });
        assert_eq!(router.lan(from_lan(&udp(C, S, b"x"))).verdict(), Verdict::Outbound);
        assert_eq!(router.event(Event::Shifted), shifts, "{vlans:?}");
    }
}

#[test]
fn ieee_802_1q_6_9_frames_of_other_vlans_are_dropped() {
    let good = [from_lan(&udp(C, S, b"x")), from_wan(&udp(S, C, b"x"))];
    let with = |frame: &[u8], tag: &[u8]| [&frame[..12], tag, &frame[12..]].concat();
    for setup in Setup::all() {
        for mut router in routers(&Setup { vlans: [Some(10), Some(20)], ..setup }) {
            for (side, vlan) in [(LAN, 10), (WAN, 20)] {
                let frame = &good[side.index()];
                let mut refused = |frame: &[u8], reason| router.play_as_it_is(side, [frame]).dropped(reason);
                for other in [0, 1, 11, 30 - vlan, 0x80a, 4095] {
                    refused(&tagged(other, frame), Reason::Vlan);
                }
                // Without a tag; with a provider's; with two of ours, or ours about a priority.
                refused(frame, Reason::Vlan);
                refused(&with(frame, &[0x88, 0xa8, 0, vlan as u8]), Reason::Vlan);
                refused(&with(&tagged(vlan, frame), &[0x88, 0xa8, 0, 5]), Reason::Vlan);
                refused(&tagged(vlan, &tagged(vlan, frame)), Reason::Vlan);
                refused(&tagged(vlan, &tagged(0, frame)), Reason::Vlan);
                for len in 0..18 {
                    refused(&tagged(vlan, frame)[..len], Reason::Runt);
                }
                // The end of the tag, and then nothing.
                refused(&tagged(vlan, frame)[..18], [Reason::Ipv4Truncated, Reason::Ipv6Truncated][side.index()]);
            }
            let opens = router.lan(&good[0]);
            assert_eq!(opens.verdict(), Verdict::Outbound);
            assert_eq!(router.wan(from_wan(&udp(S, inner(opens.to_wan()).src(), b"x"))).verdict(), Verdict::Inbound);
        }
    }
}

#[test]
fn ieee_802_1q_6_9_1_a_priority_alone_is_no_vlan() {
    for setup in Setup::all() {
        for (fast, headroom) in [(true, Headroom::new(64, 8)), (false, Headroom::new(64, 8)), (true, Headroom::NONE)] {
            let mut router = Router::new(&Setup { fast, headroom, ..setup.clone() });
            let frame = from_lan(&udp(C, S, b"x"));
            let out = router.lan(tagged(0, &frame));
            assert_eq!(out.verdict(), Verdict::Outbound);
            let sent = inner(out.to_wan());
            sent.check_transport();
            let back = from_wan(&udp(S, sent.src(), b"y"));
            let out = router.wan(tagged(0, &back));
            assert_eq!(out.verdict(), Verdict::Inbound);
            assert_eq!(&plain(out.to_lan()).payload[8..], b"y");
            let arp = ethernet([0xff; 6], CLIENT_MAC, 0x0806, &[1; 28]);
            assert_eq!(router.lan(tagged(0, &arp)).verdict(), Verdict::Punted);
            assert_eq!(router.punted().unwrap().frame(), arp);
            for (side, frame) in [(LAN, &frame), (WAN, &back)] {
                router.play(side, [tagged(1, frame)]).dropped(Reason::Vlan);
                router.play(side, [tagged(0, &tagged(0, frame))]).dropped(Reason::Vlan);
                router.play(side, [tagged(0, &tagged(1, frame))]).dropped(Reason::Vlan);
                router.play(side, [[&frame[..12], &[0x88, 0xa8, 0, 0], &frame[12..]].concat()]).dropped(Reason::Vlan);
            }
        }
    }
}

#[test]
fn the_control_thread_knows_of_no_tags() {
    for two_regions in [false, true] {
        let mut router = Router::new(&Setup { vlans: [Some(10), Some(20)], two_regions, ..Setup::ipip() });
        // Something for the spare buffers, to be seen in the padding.
        let out = router.lan(from_lan(&udp(C, S, b"x")));
        let at = inner(out.to_wan()).src();
        (0..300).for_each(|_| drop(router.wan(from_wan(&udp(S, at, &[0xee; 1000])))));
        (0..300).for_each(|_| drop(router.lan(from_lan(&udp(C, S, &[0xee; 1000])))));
        let question = ethernet([0xff; 6], CLIENT_MAC, 0x0806, &[1; 28]);
        assert_eq!(router.lan(&question).verdict(), Verdict::Punted);
        assert_eq!(router.punted().unwrap().frame(), question);
        let answer = ethernet(CLIENT_MAC, ROUTER_MAC, 0x0806, &[2; 28]);
        for link in [LAN, WAN] {
            assert!(router.handle.inject.push(Message::new(link, &answer).unwrap()).is_ok());
        }
        let out = router.idle();
        let padded = [&answer[..], &[0; 18]].concat();
        assert_eq!((out.lan, out.wan), (vec![padded.clone()], vec![padded]));
    }
}

#[test]
fn full_size_frames_have_room_for_a_tag() {
    for setup in Setup::all() {
        for fast in [true, false] {
            let mtu = MtuMode::Fragment { mtu: 1500 };
            let setup = Setup { vlans: [Some(10), Some(20)], mtu, fast, ..setup.clone() };
            // A line of 1500: what is larger than 1460 is cut. One of 1540: it is not.
            for (wan_mtu, pieces) in [(1500, 2), (1540, 1)] {
                let mut router = Router::new(&Setup { wan_mtu, buf_size: 2112, ..setup.clone() });
                let out = router.lan(from_lan(&udp(C, S, &bytes(1472)).df()));
                assert_eq!((out.verdict(), out.wan.len()), (Verdict::Outbound, pieces));
                let sent = if pieces == 1 { inner(&out.wan[0]) } else { joined(&out.wan) };
                let out = router.play(WAN, from_wan_pieces(&udp(S, sent.src(), &bytes(1472)), 1448, 9));
                assert_eq!(plain(out.to_lan()).payload.len(), 1480);
                let out = router.wan(from_wan(&udp(S, sent.src(), &bytes(1472))));
                assert_eq!(plain(out.to_lan()).payload.len(), 1480);
            }
        }
    }
}

#[test]
fn a_tag_that_makes_a_frame_too_long_for_its_buffer() {
    // 1494 bytes and 40 more fit 1536 without headroom, 4 more do not.
    let setup = Setup {
        headroom: Headroom::NONE,
        buf_size: 1536,
        mtu: MtuMode::Strict { mtu: 1500 },
        wan_mtu: 1540,
        ..Setup::ipip()
    };
    for fast in [true, false] {
        let frame = from_lan(&udp(C, S, &bytes(1452)));
        let mut router = Router::new(&Setup { fast, ..setup.clone() });
        assert_eq!(router.lan(&frame).verdict(), Verdict::Outbound);
        let mut router = Router::new(&Setup { fast, vlans: [None, Some(20)], ..setup.clone() });
        router.lan(&frame).dropped(Reason::Jumbo);
        assert_eq!(router.lan(from_lan(&udp(C, S, &bytes(1450)))).verdict(), Verdict::Outbound);
    }
}
