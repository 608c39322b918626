//! Every file of `pcap-fixtures` through the path.

use std::time::Duration;

use crate::common::*;
use etherparse::Ethernet2Header;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_net::{PortSet, Time};

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
fn class(out: &Out, side: hikyaku_ring::LinkId) -> &'static str {
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

/// The line that the frames of an entry assume.
fn line(entry: &serde_json::Value) -> Setup {
    let ports = entry.get("ports").map_or(PortSet::ALL, |share| {
        let number = |name: &str| share[name].as_u64().unwrap();
        PortSet::new(number("offset") as u8, number("length") as u8, number("psid") as u16).unwrap()
    });
    Setup { ports, ..Setup::ipip() }
}

#[test]
fn hostile_frames_end_as_the_index_says() {
    let mut differences = Vec::new();
    for (name, entry) in capture::files() {
        let Some(expected) = entry["list"].as_array() else { continue };
        for fast in [true, false] {
            let mut router = Router::new(&Setup { fast, buf_size: 2048, ..line(&entry) });
            let side = if entry["side"].as_str().unwrap().starts_with("WAN") { WAN } else { LAN };
            if side == WAN {
                for frame in capture::read("opener-lan.pcap") {
                    assert_eq!(router.lan(&frame.bytes).verdict(), Verdict::Outbound);
                }
            }
            let frames = capture::read(&name);
            assert_eq!(frames.len(), expected.len(), "{name}");
            let mut before = Duration::ZERO;
            for (frame, entry) in frames.iter().zip(expected) {
                // At least so long that one frame's errors do not use up another's.
                router.advance(Duration::from_millis(5).max(frame.time - before));
                before = frame.time;
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
            }
            router.drain();
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn who_made_room_sends_nothing_more_in_the_same_burst() {
    let name = "made-room-lan.pcap";
    let (_, entry) = capture::files().into_iter().find(|(file, _)| file == name).unwrap();
    let frames = capture::read(name);
    for mut router in routers(&line(&entry)) {
        let mut bursts = frames.chunk_by(|a, b| a.time == b.time).peekable();
        while let Some(burst) = bursts.next() {
            router.now = Time(1_000_000_000) + burst[0].time;
            let out = router.play(LAN, burst.iter().map(|frame| &frame.bytes));
            judge(&out);
            if bursts.peek().is_some() {
                assert_eq!((out.verdict(), burst.len()), (Verdict::Outbound, 1));
            } else {
                assert_eq!((out.count(Verdict::Outbound), out.count(Reason::NaptPortsFull)), (1, 1));
                assert_eq!(plain(&out.lan[0]).icmp_parts().1, 1, "host unreachable");
            }
        }
    }
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
                    router.now = router.now.max(Time(1_000_000_000) + time);
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
