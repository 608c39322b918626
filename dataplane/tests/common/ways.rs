//! A packet through a router, whichever way it goes; and frames of every kind, both ways.

use hikyaku_dataplane::verdict::Verdict;

use super::packets::*;
use super::router::*;

const C: End = (CLIENT, 40000);
const S: End = (SERVER, 443);

/// Sends `packet` and answers what left through the tunnel.
#[track_caller]
pub fn outbound(router: &mut Router, packet: &Packet) -> Packet {
    let out = router.lan(from_lan(packet));
    assert_eq!(out.verdict(), Verdict::Outbound);
    let sent = inner(out.to_wan());
    sent.check_transport();
    sent
}

/// Sends `packet` through the tunnel and answers what left to the LAN.
#[track_caller]
pub fn inbound(router: &mut Router, packet: &Packet) -> Packet {
    left_to_lan(&router.wan(from_wan(packet)), Verdict::Inbound)
}

/// Sends `packet` from the LAN and answers what came back to it.
#[track_caller]
pub fn hairpin(router: &mut Router, packet: &Packet) -> Packet {
    left_to_lan(&router.lan(from_lan(packet)), Verdict::Hairpin)
}

#[track_caller]
fn left_to_lan(out: &Out, verdict: Verdict) -> Packet {
    assert_eq!(out.verdict(), verdict);
    let got = plain(out.to_lan());
    got.check_transport();
    got
}

/// All kinds of ways through a router, in order; what leaves, without what is random. Every frame comes with a
/// trailer of that many bytes.
pub fn ways(setup: &Setup, trailer: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Router) {
    let mut router = Router::new(setup);
    let (mut lan, mut wan) = (Vec::new(), Vec::new());
    let with = |mut frame: Vec<u8>| {
        frame.resize(frame.len() + trailer, 0xee);
        frame
    };
    let (from_lan, from_wan) = (|packet: &Packet| with(from_lan(packet)), |packet: &Packet| with(from_wan(packet)));
    let mut note = |out: Out| {
        lan.extend(out.lan);
        wan.extend(out.wan.iter().map(|frame| tunnelled(frame).2.to_vec()));
        wan.last().cloned().unwrap_or_default()
    };
    let opened = note(router.lan(from_lan(&udp(C, S, b"opens"))));
    let at = Packet::read(&opened).src();
    for len in [0, 1, 17, 18, 19, 400, 1432, 1472] {
        let payload = bytes(len);
        let shapes = [udp(C, S, &payload), udp(C, S, &payload).options(&[1, 1, 1, 0])];
        shapes.iter().filter(|p| p.bytes().len() <= 1500).for_each(|p| drop(note(router.lan(from_lan(p)))));
        if len <= 1432 {
            note(router.wan(from_wan(&udp(S, at, &payload))));
        }
        // In outer fragments, and cut by the sender.
        note(
            router.play(
                WAN,
                from_wan_pieces(&udp(S, at, &payload).id(len as u16), 504, len as u32).into_iter().map(with),
            ),
        );
        note(router.play(WAN, udp(S, at, &payload).id(len as u16).fragments(600).iter().map(&from_wan)));
        note(router.play(LAN, udp(C, S, &payload).id(len as u16).fragments(600).iter().map(&from_lan)));
    }
    if setup.napt {
        let other = (OTHER_CLIENT, 40000);
        note(router.lan(from_lan(&udp(other, at, b"hairpin"))));
    }
    note(router.lan(from_lan(&tcp(C, S, SYN, b""))));
    note(router.lan(from_lan(&echo_request(CLIENT, SERVER, 7, b"ping"))));
    (lan, wan, router)
}
