//! `hikyaku replay --mode map-e`: captures through MAP-E, hub-and-spoke and mesh.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Command, Output};

use etherparse::{Ethernet2Header, Ipv4Header, Ipv6Header};
use hikyaku_capture::Reader;
use hikyaku_net::map::{Ce, InterfaceId, Rule};

// RFC 7597 appendix A, example 1. Offset 0: no port is nobody's.
const PREFIX: &str = "2001:db8:12:3400::/56";
const RULE: &str = "2001:db8::/40,192.0.2.0/24,16,0";
/// The server of the captures is in it.
const OTHERS: &str = "2001:db8:a00::/40,203.0.113.0/24,16,0";
const BR: &str = "2001:db8:ffff::1";
const ROUTER_MAC: &str = "02:00:00:00:01:01";

fn replay(args: &[&str]) -> Output {
    let lan = concat!(env!("CARGO_MANIFEST_DIR"), "/../pcap-fixtures/http-download.pcap.gz");
    let fixed = ["replay", "--json", "--mode", "map-e", "--lan", lan, "--skip-source", ROUTER_MAC, "--table", "1024"];
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).args(fixed).args(args).output().unwrap()
}

/// Source and destination of the tunnel, and of the packet in it with their ports.
fn read(frame: &[u8]) -> (Ipv6Addr, Ipv6Addr, (Ipv4Addr, u16), (Ipv4Addr, u16)) {
    let (_, packet) = Ethernet2Header::from_slice(frame).unwrap();
    let (outer, packet) = Ipv6Header::from_slice(packet).unwrap();
    let (inner, transport) = Ipv4Header::from_slice(packet).unwrap();
    let port = |at: usize| u16::from_be_bytes([transport[at], transport[at + 1]]);
    let (src, dst) = (inner.source.into(), inner.destination.into());
    (outer.source.into(), outer.destination.into(), (src, port(0)), (dst, port(2)))
}

fn us(iid: InterfaceId) -> Ce {
    RULE.parse::<Rule>().unwrap().ce(PREFIX.parse().unwrap(), iid).unwrap()
}

#[test]
fn a_capture_leaves_from_the_address_and_ports_of_the_rule() {
    let others: Rule = OTHERS.parse().unwrap();
    for (mesh, iid) in [(false, InterfaceId::Draft03), (true, InterfaceId::Draft03), (true, InterfaceId::Rfc7597)] {
        let out = std::env::temp_dir().join(format!("hikyaku-map-e-{}-{mesh}-{iid}.pcap", std::process::id()));
        let iid_text = iid.to_string();
        let mut args = vec!["--prefix", PREFIX, "--rule", RULE, "--rule", OTHERS, "--br", BR, "--iid", &iid_text];
        args.extend(["--wan-out", out.to_str().unwrap()].into_iter().chain(mesh.then_some("--mesh")));
        let run = replay(&args);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let frames: Vec<_> = Reader::open(&out).unwrap().map(|p| p.unwrap().bytes).collect();
        std::fs::remove_file(&out).unwrap();
        assert!(frames.len() > 50, "{} frames", frames.len());
        let us = us(iid);
        for frame in frames {
            let (near, far, src, dst) = read(&frame);
            let peer = others.remote(dst.0.into(), dst.1, iid).map(Ipv6Addr::from);
            let expected = if mesh { peer.unwrap() } else { BR.parse().unwrap() };
            assert_eq!((near, far, src.0), (us.address, expected, us.ipv4));
            assert!(us.ports.contains(src.1), "port {}", src.1);
        }
    }
}

#[test]
fn what_makes_no_line_is_said_in_one_line() {
    for (args, says) in [
        (&["--br", BR][..], "--mode map-e: give the line's prefix with --prefix PREFIX"),
        (&["--br", BR, "--prefix", PREFIX], "there is no mapping rule"),
        (
            &["--br", BR, "--prefix", "2001:db8:12:3400::/52", "--rule", RULE],
            "this rule needs a /56, the line has a /52",
        ),
        (&["--br", BR, "--prefix", "2001:db9::/56", "--rule", RULE], "--prefix 2001:db9::/56 is in no --rule"),
        (&["--br", BR, "--prefix", PREFIX, "--rule", "2001:db8::/40"], "IPV6,IPV4,EA_LENGTH,PSID_OFFSET"),
        (&["--br", BR, "--prefix", PREFIX, "--rule", RULE, "--psid", "1", "--psid-len", "7"], "PSID length 7"),
        (&["--br", BR, "--prefix", PREFIX, "--rule", RULE, "--ce", "2001:db8::1"], "leave --ce and --ipv4 out"),
        (&["--br", BR, "--prefix", PREFIX, "--rule", RULE, "--iid", "draft3"], "want draft03"),
    ] {
        let run = replay(args);
        let error = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.starts_with("hikyaku: ") && error.contains(says), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
