//! Smaller requirements of RFC 4787, RFC 5382 and RFC 5508, through the whole path. docs/rfc.md has all of them.

use crate::common::*;
use hikyaku_dataplane::verdict::Reason;

const C: End = (CLIENT, 40000);
const D: End = (OTHER_CLIENT, 40000);
const S: End = (SERVER, 443);
/// A router on the way.
const HOP: [u8; 4] = [198, 51, 100, 254];

#[test]
fn rfc5508_req1_a_timestamp_is_a_query_and_others_are_history() {
    for mut router in routers(&Setup::ipip()) {
        let query = |src, dst, kind, id: u16| icmp_raw(src, dst, kind, 0, u32::from(id) << 16 | 1, &bytes(12));
        for (host, id) in [(CLIENT, 0x1234), (OTHER_CLIENT, 0x1234)] {
            let sent = outbound(&mut router, &query(host, SERVER, 13, id));
            assert_eq!((sent.header.source, sent.payload[0]), (OUTSIDE, 13));
            let got = inbound(&mut router, &query(SERVER, OUTSIDE, 14, sent.icmp_id()));
            assert_eq!((got.header.destination, got.icmp_id(), got.payload[0]), (host, id, 14));
            let about = sent.bytes();
            let got = inbound(&mut router, &icmp_raw(HOP, OUTSIDE, 11, 0, 0, &about));
            assert_eq!(got.icmp_parts().3, query(host, SERVER, 13, id).ttl(63).bytes());
        }
        assert_eq!(router.sessions(), 2);
        router.wan(from_wan(&query(SERVER, OUTSIDE, 14, 9))).dropped(Reason::NaptNoSession);
        router.wan(from_wan(&query(SERVER, OUTSIDE, 13, 9))).dropped(Reason::NaptNoSession);
        // REQ-11: neither query nor error.
        for kind in [9, 10, 15, 16, 17, 18, 30, 40, 255] {
            router.lan(from_lan(&query(CLIENT, SERVER, kind, 7))).dropped(Reason::NaptProtocol);
            router.wan(from_wan(&query(SERVER, OUTSIDE, kind, 0x1234))).dropped(Reason::NaptProtocol);
        }
    }
}

#[test]
fn rfc5508_req4_an_error_about_a_fragment() {
    for mut router in routers(&Setup::ipip()) {
        outbound(&mut router, &udp(D, S, b"takes the port"));
        for original in [udp(C, S, &bytes(2500)), echo_request(CLIENT, SERVER, 7, &bytes(2500))] {
            let pieces = original.id(7).fragments(1000);
            let sent: Vec<Packet> = pieces.iter().map(|p| inner(router.lan(from_lan(p)).to_wan())).collect();
            for quoted in [28, 500] {
                let quote = &sent[0].bytes()[..quoted];
                let got = inbound(&mut router, &icmp_raw(HOP, OUTSIDE, 3, 4, 576, quote));
                assert_eq!((got.header.source, got.header.destination), (HOP, CLIENT));
                let expected = pieces[0].clone().ttl(63).bytes();
                assert_eq!(got.icmp_parts(), (3, 4, 576, &expected[..quoted]));
            }
            // Nothing in a later one tells whose it is. Nobody ought to send errors about it (RFC 1122 3.2.2).
            let about = icmp_raw(HOP, OUTSIDE, 11, 1, 0, &sent[1].bytes());
            router.wan(from_wan(&about)).dropped(Reason::NaptIcmpError);
        }
    }
}

#[test]
fn rfc5508_req5_an_error_of_a_router_inside() {
    for mut router in routers(&Setup::ipip()) {
        outbound(&mut router, &udp(D, S, b"takes the port"));
        let at = outbound(&mut router, &udp(C, S, b"x")).src();
        let received = udp(S, at, b"late");
        let got = inbound(&mut router, &received);
        // Another host of the LAN says that the one behind it cannot be reached.
        let sent = outbound(&mut router, &icmp_raw(OTHER_CLIENT, SERVER, 3, 1, 0, &got.bytes()));
        assert_eq!((sent.header.source, sent.header.destination), (OUTSIDE, SERVER), "no inside address leaves");
        assert_eq!(sent.icmp_parts(), (3, 1, 0, &received.ttl(63).bytes()[..]));
    }
}

#[test]
fn rfc5508_req6_rfc4787_req12_rfc5382_req10_errors_neither_refresh_nor_end() {
    let originals = [(udp(C, S, b"x"), 300), (tcp(C, S, SYN, b""), 240), (echo_request(CLIENT, SERVER, 5, b"x"), 60)];
    for (original, timeout) in originals {
        for mut router in routers(&Setup::ipip()) {
            let sent = outbound(&mut router, &original);
            let about = sent.bytes();
            for _ in 0..2 {
                router.wait(timeout / 3);
                for kind in [3, 11, 12] {
                    inbound(&mut router, &icmp_raw(HOP, OUTSIDE, kind, 1, 0, &about));
                }
            }
            router.wait(timeout / 3 - 1);
            assert_eq!(router.sessions(), 1, "an error ends nothing");
            router.wait(3);
            assert_eq!(router.sessions(), 0, "and keeps nothing");
            router.wan(from_wan(&icmp_raw(HOP, OUTSIDE, 3, 1, 0, &about))).dropped(Reason::NaptIcmpError);
        }
    }
    // Nor do those that a host sends (RFC 7857 7.1).
    for mut router in routers(&Setup::ipip()) {
        let at = outbound(&mut router, &udp(C, S, b"x")).src();
        let got = inbound(&mut router, &udp(S, at, b"x"));
        router.wait(200);
        outbound(&mut router, &icmp_raw(CLIENT, SERVER, 3, 3, 0, &got.bytes()));
        router.wait(103);
        assert_eq!(router.sessions(), 0);
    }
}

#[test]
fn rfc5508_req3_an_error_with_a_wrong_checksum_goes_no_further() {
    for mut router in routers(&Setup::ipip()) {
        let about = outbound(&mut router, &udp(C, S, b"x")).bytes();
        let mut error = icmp_raw(HOP, OUTSIDE, 3, 1, 0, &about);
        error.payload[2] ^= 1;
        router.wan(from_wan(&error)).dropped(Reason::TransportHeader);
        // REQ-3 a: the quoted header's own.
        let mut spoiled = about.clone();
        spoiled[8] ^= 1;
        router.wan(from_wan(&icmp_raw(HOP, OUTSIDE, 3, 1, 0, &spoiled))).dropped(Reason::NaptIcmpError);
    }
}

#[test]
fn rfc7857_2_2_resets_are_translated_and_a_forged_one_does_not_shorten_a_live_connection() {
    for mut router in routers(&Setup::ipip()) {
        let at = outbound(&mut router, &tcp(C, S, SYN, b"")).src();
        inbound(&mut router, &tcp(S, at, SYN | ACK, b""));
        outbound(&mut router, &tcp(C, S, ACK, b""));
        assert_eq!(inbound(&mut router, &tcp(S, at, RST, b"")).dst(), C);
        // RFC 5961: out of window, so the host asks, and the peer goes on.
        outbound(&mut router, &tcp(C, S, ACK, b""));
        inbound(&mut router, &tcp(S, at, ACK, b"data"));
        router.wait(300);
        inbound(&mut router, &tcp(S, at, ACK, b"data"));
        // Now in earnest.
        assert_eq!(outbound(&mut router, &tcp(C, S, RST | ACK, b"")).src(), at);
        inbound(&mut router, &tcp(S, at, ACK, b"on its way"));
        router.wait(243);
        router.wan(from_wan(&tcp(S, at, ACK, b""))).dropped(Reason::NaptNoSession);
        assert_eq!(router.sessions(), 0);
    }
}
