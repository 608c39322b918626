//! What is too large: for a slot, for a link, for the tunnel. Nothing of it leaves, each has its reason, and
//! what comes after it is not disturbed.

use crate::common::*;
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::shared::Message;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_ring::Headroom;

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);

/// Links and buffers for 9000 bytes.
fn wide(setup: &Setup) -> Setup {
    Setup {
        buf_size: 16384,
        slots: 32,
        lan_mtu: 9000,
        wan_mtu: 9000,
        mtu: MtuMode::Strict { mtu: 8960 },
        ..setup.clone()
    }
}

#[test]
fn frames_of_several_slots_are_dropped_slot_by_slot() {
    for setup in Setup::all() {
        for fast in [true, false] {
            for vlans in [[None, None], [Some(10), Some(20)]] {
                let mut router = Router::new(&Setup { fast, vlans, ..setup.clone() });
                let out = router.lan(from_lan(&udp(C, S, b"x")));
                let at = inner(out.to_wan()).src();
                let good = [from_lan(&udp(C, S, b"good")), from_wan(&udp(S, at, b"good"))];
                for (side, good) in [LAN, WAN].into_iter().zip(good) {
                    let good = vlans[side.index()].map_or(good.clone(), |vlan| tagged(vlan, &good));
                    // Each piece looks like a frame of its own, and one is empty.
                    for pieces in [&[&good[..], &good][..], &[&good, &good, &good], &[&good, &[]], &[&[], &good]] {
                        let wire = &mut router.wires[side.index()];
                        assert!(wire.deliver(&good) && wire.deliver_in_slots(pieces) && wire.deliver(&good));
                        let out = router.play(side, [] as [&[u8]; 0]);
                        assert_eq!(out.count(Reason::MultiSlot), pieces.len() as u64);
                        assert_eq!(out.lan.len() + out.wan.len(), 2, "those before and after");
                    }
                }
            }
        }
    }
}

#[test]
fn jumbo_frames_pass_where_links_and_buffers_are_as_large() {
    for setup in Setup::all() {
        for mut router in routers(&wide(&setup)) {
            let out = router.lan(from_lan(&udp(C, S, &bytes(8932)).df()));
            let sent = inner(out.to_wan());
            assert_eq!(sent.check_transport().payload.len(), 8940);
            let out = router.wan(from_wan(&udp(S, sent.src(), &bytes(8932))));
            assert_eq!(plain(out.to_lan()).check_transport().payload.len(), 8940);
        }
    }
}

#[test]
fn rfc2473_7_2_jumbo_packets_that_do_not_fit_the_tunnel() {
    for setup in Setup::all() {
        let mtu = MtuMode::Strict { mtu: 1460 };
        for mut router in routers(&Setup { mtu, wan_mtu: 1500, ..wide(&setup) }) {
            let packet = udp(C, S, &bytes(8900));
            let out = router.lan(from_lan(&packet.clone().df()));
            assert_eq!(out.verdict(), Reason::TooBig.into());
            let answer = plain(out.to_lan());
            assert_eq!((answer.icmp_parts().0, answer.icmp_parts().1, answer.icmp_parts().2), (3, 4, 1460));
            let out = router.lan(from_lan(&packet));
            assert_eq!((out.verdict(), out.wan.len()), (Verdict::Outbound, 7));
            assert!(out.wan.iter().all(|frame| frame.len() <= 1514));
            let sent = joined(&out.wan);
            assert_eq!(&sent.check_transport().payload[8..], bytes(8900));
            assert_eq!(router.event(Event::Fragmented), 1);
        }
    }
}

/// TCP's segments that were merged before they came here, or a host with another MTU: told apart from what is only too big
/// for the tunnel, and answered the same (RFC 1191 3).
#[test]
fn rfc1191_3_what_is_longer_than_its_own_link_has_a_reason_of_its_own() {
    for setup in Setup::all() {
        let mtu = MtuMode::Strict { mtu: 1460 };
        for mut router in routers(&Setup { mtu, lan_mtu: 1500, wan_mtu: 1500, ..wide(&setup) }) {
            for (len, reason) in [(1500, Reason::TooBig), (1501, Reason::OverMtu), (3040, Reason::OverMtu)] {
                let out = router.lan(from_lan(&udp(C, S, &bytes(len - 28)).df()));
                assert_eq!(out.verdict(), reason.into(), "{len}");
                let answer = plain(out.to_lan());
                assert_eq!((answer.icmp_parts().0, answer.icmp_parts().1, answer.icmp_parts().2), (3, 4, 1460));
            }
        }
    }
}

#[test]
fn rfc791_jumbo_packets_that_do_not_fit_the_lan() {
    for setup in Setup::all() {
        for mut router in routers(&Setup { lan_mtu: 1500, ..wide(&setup) }) {
            let at = inner(router.lan(from_lan(&udp(C, S, b"x"))).to_wan()).src();
            let packet = udp(S, at, &bytes(8900));
            let out = router.wan(from_wan(&packet.clone().df()));
            assert_eq!(out.verdict(), Reason::TooBig.into());
            let answer = inner(out.to_wan());
            assert_eq!((answer.icmp_parts().0, answer.icmp_parts().1, answer.icmp_parts().2), (3, 4, 1500));
            let out = router.wan(from_wan(&packet));
            let pieces: Vec<_> = out.lan.iter().map(|frame| plain(frame)).collect();
            assert_eq!((out.verdict(), pieces.len()), (Verdict::Inbound, 7));
            assert_eq!(&joined4(&pieces).check_transport().payload[8..], bytes(8900));
        }
    }
}

#[test]
fn larger_than_a_buffer_of_the_other_link() {
    for setup in Setup::all() {
        for fast in [true, false] {
            // The WAN says that it carries 9000 bytes, and its buffers do not hold them.
            let setup = Setup { fast, wan_buf_size: Some(2048), ..wide(&setup) };
            let mut router = Router::new(&setup);
            router.lan(from_lan(&udp(C, S, &bytes(4000)))).dropped(Reason::Jumbo);
            // Nor in pieces, because the tunnel's are as large as the link.
            let mut narrow = Router::new(&Setup { wan_mtu: 4000, ..setup.clone() });
            narrow.lan(from_lan(&udp(C, S, &bytes(5000)))).dropped(Reason::Jumbo);
            assert_eq!(router.lan(from_lan(&udp(C, S, b"x"))).verdict(), Verdict::Outbound);

            // The LAN likewise: copied, put together, cut.
            let setup = Setup { buf_size: 2048, wan_buf_size: Some(16384), ..setup };
            let mut router = Router::new(&setup);
            let at = inner(router.lan(from_lan(&udp(C, S, b"x"))).to_wan()).src();
            let large = udp(S, at, &bytes(3000));
            router.wan(from_wan(&large)).dropped(Reason::Jumbo);
            let out = router.play(WAN, from_wan_pieces(&large, 1448, 5));
            assert_eq!((out.count(Reason::Jumbo), out.count(Verdict::Reassembled), out.lan.len()), (1, 2, 0));
            let mut narrow = Router::new(&Setup { lan_mtu: 2500, ..setup });
            let at = inner(narrow.lan(from_lan(&udp(C, S, b"x"))).to_wan()).src();
            narrow.wan(from_wan(&udp(S, at, &bytes(3000)))).dropped(Reason::Jumbo);
            assert_eq!(router.wan(from_wan(&udp(S, at, b"x"))).verdict(), Verdict::Inbound);
        }
    }
}

#[test]
fn larger_than_what_the_control_thread_takes() {
    let mut router = Router::new(&wide(&Setup::ipip()));
    for (len, verdict) in [(Message::MAX, Verdict::Punted), (Message::MAX + 1, Reason::Jumbo.into())] {
        let arp = ethernet([0xff; 6], CLIENT_MAC, 0x0806, &bytes(len - 14));
        assert_eq!(router.lan(arp).verdict(), verdict);
        let ping = from_lan(&echo_request(CLIENT, ROUTER, 5, &bytes(len - 14 - 28)));
        assert_eq!(router.lan(ping).verdict(), verdict);
    }
}

/// An inner packet at the end of a long frame, behind headers that say nothing, ends where its buffer ends, and
/// has to be padded for the LAN.
#[test]
fn a_short_packet_at_the_end_of_a_buffer_is_padded() {
    for setup in Setup::all() {
        for headroom in [Headroom::new(64, 8), Headroom::new(64, 1), Headroom::NONE] {
            for vlans in [[None, None], [Some(10), Some(20)]] {
                let mut router = Router::new(&Setup { headroom, vlans, ..setup.clone() });
                let at = inner(router.lan(from_lan(&udp(C, S, b"x"))).to_wan()).src();
                let packet = udp(S, at, b"y").bytes();
                // As long as the wire takes it; every buffer comes round.
                let most = 2048 - usize::from(headroom.max()) - vlans[1].map_or(0, |_| 4);
                for len in (most - 60..=most).chain([most; 300]) {
                    let options = (len - 54 - packet.len()) / 8 * 8;
                    let front = len - 54 - packet.len() - options;
                    let mut header = vec![1; options];
                    (header[0], header[1]) = (4, (options / 8 - 1) as u8);
                    // PadN, as often as it takes (RFC 8200 4.2).
                    let mut rest = &mut header[2..];
                    while rest.len() >= 2 {
                        let n = rest.len().min(257);
                        let n = if rest.len() - n == 1 { n - 1 } else { n };
                        rest[1] = (n - 2) as u8;
                        rest[2..n].fill(0);
                        rest = &mut rest[n..];
                    }
                    let payload = [&header[..], &packet].concat();
                    let frame = [ipv6(&outer(payload.len(), 60), &payload), vec![0xee; front]].concat();
                    assert_eq!(frame.len(), len);
                    let out = router.wan(frame);
                    assert_eq!(plain(out.to_lan()).check_transport().payload.len(), 9);
                }
            }
        }
    }
}
