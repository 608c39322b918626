//! Tunnel vectors of an independent border router, played through the `hikyaku` program. They lie
//! beside the checkout (`../shared/vectors/b4`); without them the tests say so and pass.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use hikyaku::capture_router::{NEXT_HOP, WAN_MAC};
use hikyaku::demo::border_router::{BorderRouter, Line};
use hikyaku::demo::datagram::{Datagram, Pieces};
use hikyaku_capture::Reader;

fn vectors(kind: &str) -> Vec<(PathBuf, PathBuf)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/b4").join(kind);
    let Ok(entries) = dir.read_dir() else {
        eprintln!("\n*** SKIPPED: no vectors at {}; nothing was tested ***\n", dir.display());
        return Vec::new();
    };
    let mut pairs: Vec<_> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_string_lossy().contains("-in-"))
        .map(|input| {
            let (from, to) = if kind == "decap" { ("in-v6", "out-v4") } else { ("in-v4", "out-v6") };
            let output = input.with_file_name(input.file_name().unwrap().to_string_lossy().replace(from, to));
            (input, output)
        })
        .collect();
    pairs.sort();
    assert!(!pairs.is_empty());
    pairs
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    Reader::open(path).unwrap().map(|p| p.unwrap().bytes).collect()
}

/// The ends of the tunnel in the first tunnel frame of each source and destination.
fn ends(frames: &[Vec<u8>]) -> BTreeSet<(Ipv6Addr, Ipv6Addr)> {
    let addr = |bytes: &[u8]| Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap());
    frames.iter().map(|f| (addr(&f[22..38]), addr(&f[38..54]))).collect()
}

fn replay(name: &str, ce: Ipv6Addr, br: Ipv6Addr, side: &str, input: &Path) -> Vec<Vec<u8>> {
    let out = std::env::temp_dir().join(format!("hikyaku-vector-{}-{name}.pcap", std::process::id()));
    let out_flag = if side == "--lan" { "--wan-out" } else { "--lan-out" };
    let run = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .args(["replay", "--mode", "dslite", "--ce", &ce.to_string(), "--br", &br.to_string(), "--table", "1024"])
        .args([side.as_ref(), input.as_os_str(), out_flag.as_ref(), out.as_os_str()])
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{name}: {}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    let left = frames(&out);
    std::fs::remove_file(&out).unwrap();
    left
}

/// The datagrams of IPv4 frames, put together, in a fixed order.
fn datagrams(frames: &[Vec<u8>]) -> Vec<Datagram> {
    let mut pieces = Pieces::default();
    let whole = frames.iter().filter_map(|f| {
        assert_eq!(f[12..14], [8, 0]);
        pieces.datagram(&f[14..]).unwrap()
    });
    let mut all: Vec<_> = whole.collect();
    assert_eq!(pieces.incomplete(), 0);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn what_a_border_router_sends_reaches_the_lan() {
    for (input, expected) in vectors("decap") {
        let name = input.file_stem().unwrap().to_string_lossy().into_owned();
        let mut left = Vec::new();
        for (br, ce) in ends(&frames(&input)) {
            left.extend(replay(&format!("{name}-{}", ce.segments()[4]), ce, br, "--wan", &input));
        }
        for frame in &left {
            assert!(frame.len() <= 1514, "{name}: {} bytes on the LAN", frame.len());
        }
        let mut expected: Vec<_> = datagrams(&frames(&expected)).into_iter().map(Datagram::forwarded).collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(datagrams(&left), expected, "{name}");
    }
}

#[test]
fn what_the_lan_sends_reaches_a_border_router() {
    for (input, accepted) in vectors("encap") {
        let name = input.file_stem().unwrap().to_string_lossy().into_owned();
        let mut sent = frames(&input);
        let of_tunnel = ends(&frames(&accepted));
        let (near, far) = *of_tunnel.first().unwrap();
        assert_eq!(of_tunnel.len(), 1, "{name}");
        let left = replay(&name, near, far, "--lan", &input);
        let line = Line { near, far, near_mac: WAN_MAC.0, far_mac: NEXT_HOP.0, mtu: 1500, outside: None };
        let mut border_router = BorderRouter::new(line);
        for datagram in datagrams(&std::mem::take(&mut sent)) {
            border_router.expect(datagram);
        }
        for frame in &left {
            border_router.receive(frame).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        assert!(border_router.missing().is_empty(), "{name}: {} of {} frames", border_router.missing()[0], left.len());
    }
}
