//! Every file of `pcap-fixtures` through the path.

mod common;

use std::time::Duration;

use common::*;
use etherparse::Ethernet2Header;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};

/// Everything that left is a frame that may leave: lengths and IPv4 header checksums.
fn judge(out: &Out) {
    for frame in &out.lan {
        plain(frame);
    }
    for frame in &out.wan {
        let (_, fragment, rest) = tunnelled(frame);
        if fragment.is_none() {
            Packet::read(rest);
        }
    }
}

/// What the index calls the end of a frame.
fn class(out: &Out, side: hikyaku_dataplane::snapshot::LinkId) -> &'static str {
    let forwarded = [Verdict::Outbound, Verdict::Inbound, Verdict::Hairpin].into_iter().any(|v| out.count(v) > 0);
    let answered = if side == LAN { !out.lan.is_empty() } else { !out.wan.is_empty() };
    if forwarded {
        "forward"
    } else if out.count(Verdict::Punted) > 0 {
        "punt"
    } else if out.count(Reason::TunnelIcmp) > 0 && !out.lan.is_empty() {
        "relay"
    } else if out.verdicts.is_empty() {
        "hold"
    } else if answered {
        "error"
    } else {
        "drop"
    }
}

#[test]
fn hostile_frames_end_as_the_index_says() {
    let mut differences = Vec::new();
    for (name, entry) in capture::files() {
        let Some(expected) = entry["list"].as_array() else { continue };
        for fast in [true, false] {
            let mut router = Router::new(&Setup { fast, buf_size: 2048, ..Setup::ipip() });
            let side = if entry["side"].as_str().unwrap().starts_with("WAN") { WAN } else { LAN };
            if side == WAN {
                for frame in capture::read("opener-lan.pcap") {
                    assert_eq!(router.lan(&frame.bytes).verdict(), Verdict::Outbound);
                }
            }
            let frames = capture::read(&name);
            assert_eq!(frames.len(), expected.len(), "{name}");
            for (frame, entry) in frames.iter().zip(expected) {
                let fits = frame.bytes.len() <= 1536;
                let out = router.play(side, [&frame.bytes]);
                judge(&out);
                while router.punted().is_some() {}
                let class = if fits { class(&out, side) } else { "drop" };
                let expected: Vec<_> =
                    entry["expected"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
                if !expected.contains(&class) {
                    differences.push(format!(
                        "{name} {} (fast {fast}): {} | want {expected:?}: {} | got {class}: {:?}",
                        entry["frame"], entry["fault"], entry["must"], out.verdicts
                    ));
                }
                // So that one frame's errors do not use up another's.
                router.advance(Duration::from_millis(5));
            }
            router.drain();
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// Frames from the router's MAC are what it must have sent: what they answer came in through the
/// tunnel. Here they are put into the tunnel as they are, to the outside address where there is
/// NAPT; most find no session then, and that is fine.
#[test]
fn every_capture_adds_up() {
    for (name, _) in capture::files() {
        for setup in Setup::all() {
            for fast in [true, false] {
                // As the captures were made: 1500 bytes pass.
                let mtu = MtuMode::Fragment { mtu: 1500 };
                let mut router = Router::new(&Setup { fast, mtu, ..setup.clone() });
                let (mut frames, mut forwarded) = (0usize, 0);
                for Captured { time, bytes } in
                    capture::read(&name).iter().map(|c| Captured { time: c.time, bytes: &c.bytes })
                {
                    router.now = router.now.max(hikyaku_dataplane::time::Time(1_000_000_000) + time);
                    let from_router = Ethernet2Header::from_slice(bytes).is_ok_and(|(e, _)| e.source == ROUTER_MAC);
                    let ipv4 = bytes.get(12..14) == Some(&[8, 0]);
                    let out = if name.contains("-wan-") {
                        router.wan(bytes)
                    } else if from_router && ipv4 {
                        let mut packet = bytes[14..].to_vec();
                        if setup.napt && packet.len() >= 20 {
                            packet[16..20].copy_from_slice(&OUTSIDE);
                            packet[10..12].copy_from_slice(&[0, 0]);
                            let header = etherparse::Ipv4HeaderSlice::from_slice(&packet).unwrap().to_header();
                            packet[10..12].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
                        }
                        if packet.len() <= 1460 {
                            router.wan(ipv6(&outer(packet.len(), 4), &packet))
                        } else {
                            let [a, b] = [&packet[..1400], &packet[1400..]];
                            let id = frames as u32;
                            router.play(WAN, [from_wan_piece(a, 0, true, id), from_wan_piece(b, 1400, false, id)])
                        }
                    } else {
                        router.lan(bytes)
                    };
                    judge(&out);
                    while router.punted().is_some() {}
                    frames += 1;
                    forwarded += out.lan.len() + out.wan.len();
                }
                router.drain();
                assert!(frames > 0);
                // The captures of real traffic go both ways, so nearly all of it passes.
                let wants = match &name[..] {
                    "http-download.pcap.gz" | "quic-like.pcap.gz" | "iperf3-tcp.pcap.gz" | "iperf3-udp.pcap.gz" => 95,
                    "imix.pcap.gz" | "imix-1460.pcap.gz" => 100,
                    "dns.pcap.gz" | "fragments.pcap.gz" | "tcp-events.pcap" => 70,
                    _ => 0,
                };
                let percent = forwarded * 100 / frames;
                assert!(
                    percent >= wants,
                    "{name}: {forwarded} of {frames}: {:?}",
                    router.totals().verdicts().collect::<Vec<_>>()
                );
            }
        }
    }
}

struct Captured<'a> {
    time: Duration,
    bytes: &'a [u8],
}
