//! AF_XDP on each kind of device: in which mode it opens, what its owner is told, and that frames come.

use std::process::Command;

use hikyaku_ring::LinkKind;
use hikyaku_ring::xdp::{self, Attach, OpenError, OpenOptions, Umem, XdpLink};

use crate::xdp_net::*;

/// Makes a device as `ip link add` does, or says that this kernel has none of its kind.
fn make(words: &str) -> bool {
    let made =
        Command::new("ip").args(["link", "add"]).args(words.split_whitespace()).output().expect("the ip program");
    if !made.status.success() {
        eprintln!("SKIP: ip link add {words}: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    made.status.success()
}

/// Frames of `from` that come to the link, of five.
fn heard(link: &mut XdpLink, from: &str) -> u32 {
    let (from, mut seen) = (Socket::new(from), 0);
    for n in 0..5 {
        assert!(from.send(&frame(n, 200)));
    }
    until("all five frames, or the time in which they would have come", || {
        receive(&mut link.queues[0], |bytes| seen += u32::from(bytes[12..14] == [0x88, 0xb5])).unwrap();
        seen == 5
    });
    seen
}

fn attached(link: &XdpLink) -> Attach {
    link.info.xdp.expect("a link of AF_XDP").attach
}

#[track_caller]
fn says(link: &XdpLink, words: &str) {
    let warnings = link.info.warnings();
    assert!(warnings.iter().any(|warning| warning.contains(words)), "{words:?} is not in {warnings:#?}");
}

#[track_caller]
fn is_silent_on(link: &XdpLink, words: &str) {
    let warnings = link.info.warnings();
    assert!(!warnings.iter().any(|warning| warning.contains(words)), "{words:?} is in {warnings:#?}");
}

fn open_one(name: &str) -> XdpLink {
    let (_, [link]) = open([name], &OpenOptions::default());
    link
}

const MERGED: &str = "TCP segments are merged";

#[test]
fn what_lies_on_others_is_generic_and_hears() {
    for words in ["upper link lan type macvlan", "upper link lan type vlan id 7 protocol 802.1q", "upper type bridge"] {
        in_namespace(|| {
            veth("lan", "host", 1);
            if !make(words) {
                return;
            }
            if words.contains("bridge") {
                ip("link set lan master upper");
            }
            ip("link set upper up");
            set_gro("lan", true);
            let link = open_one("xdp:upper");
            assert_eq!(attached(&link), Attach::Generic, "{words}");
            says(&link, MERGED);
            says(&link, "ethtool -K lan gro off");
            says(&link, "through veth with unfinished checksums");
            drop(link);

            set_gro("lan", false);
            let mut link = open_one("xdp:upper");
            is_silent_on(&link, MERGED);
            // A VLAN's frames have a tag at the other end.
            if !words.contains("vlan id") {
                assert_eq!(heard(&mut link, "host"), 5, "{words}");
            }
        });
    }
}

#[test]
fn a_bond_is_generic_and_hears() {
    in_namespace(|| {
        veth("lan", "host", 1);
        if !make("bond type bond mode active-backup") {
            return;
        }
        ip("link set lan down");
        ip("link set lan master bond");
        ip("link set bond up");
        ip("link set lan up");
        let mut link = open_one("xdp:bond");
        assert_eq!(attached(&link), Attach::Generic);
        says(&link, "a link on lan can have one");
        assert_eq!(heard(&mut link, "host"), 5);
        drop(link);
        let mut slave = open_one("xdp:lan");
        assert_eq!(attached(&slave), Attach::Native);
        says(&slave, "bond, which it is part of, gets nothing");
        assert_eq!(heard(&mut slave, "host"), 5);
    });
}

#[test]
fn a_tap_opens_and_what_has_no_ethernet_does_not() {
    in_namespace(|| {
        ip("tuntap add dev t0 mode tap");
        ip("tuntap add dev t1 mode tun");
        ip("link set t0 up");
        ip("link set t1 up");
        let tap = open_one("xdp:t0");
        assert_eq!(attached(&tap), Attach::Native);
        says(&tap, "through tun with unfinished checksums");
        for none in ["xdp:t1", "xdp:lo"] {
            let name = none.parse().unwrap();
            let options = OpenOptions::default();
            let error = Umem::for_links([(&name, 0)], &options).map(|_| ()).unwrap_err();
            assert!(matches!(error, OpenError::NotEthernet { .. }), "{error}");
            assert!(!hikyaku_ring::LinkError::from(error).may_pass(), "nobody waits for it");
        }
    });
}

#[test]
fn dummy_and_ifb_open() {
    for kind in ["dummy", "ifb"] {
        in_namespace(|| {
            if make(&format!("d0 type {kind}")) {
                ip("link set d0 up");
                assert_eq!(attached(&open_one("xdp:d0")), Attach::Generic, "{kind}");
            }
        });
    }
}

#[test]
fn a_bridge_and_its_port_are_not_two_links() {
    in_namespace(|| {
        veth("lan", "host", 1);
        ip("link add br0 type bridge");
        ip("link set lan master br0");
        ip("link set br0 up");
        let names = ["xdp:br0", "xdp:lan"].map(|name| name.parse().unwrap());
        let options = OpenOptions::default();
        let umem = Umem::for_links(names.iter().map(|name| (name, 0)), &options).unwrap();
        let bridge = xdp::open(&names[0], &umem, &options).unwrap_or_else(|e| panic!("{e}"));
        let error = xdp::open(&names[1], &umem, &options).map(|_| ()).unwrap_err();
        assert!(matches!(&error, OpenError::OursAbove { above, .. } if above == "br0"), "{error}");
        drop(bridge);
        let mut port = open_one("xdp:lan");
        says(&port, "br0, which it is part of, gets nothing");
        assert_eq!(heard(&mut port, "host"), 5);
        assert_eq!(names[1].kind(), LinkKind::Xdp);
    });
}

/// What veth refuses a native program for is at its other end.
#[test]
fn why_a_veth_is_generic() {
    in_namespace(|| {
        veth("lan", "host", 1);
        ip("link set host mtu 3507");
        let mut link = open_one("xdp:lan");
        assert_eq!(attached(&link), Attach::Generic);
        says(&link, "the MTU of its other end counts: 3506 at most");
        assert_eq!(heard(&mut link, "host"), 5);
        drop(link);
        ip("link set host mtu 3506");
        assert_eq!(attached(&open_one("xdp:lan")), Attach::Native);
    });
    in_namespace(|| {
        ip("link add lan numrxqueues 1 numtxqueues 1 type veth peer name host numrxqueues 2 numtxqueues 2");
        ip("link set lan up");
        ip("link set host up");
        let link = open_one("xdp:lan");
        assert_eq!(attached(&link), Attach::Generic);
        says(&link, "its other end has more transmit queues");
    });
}
