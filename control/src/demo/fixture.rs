//! The captures that the demo brings along (pcap-fixtures/INDEX.md says where each comes from).

use hikyaku_dataplane::verdict::Reason;

use crate::capture_router::Mode;

/// A capture made at a LAN client's link, both directions in one file.
#[derive(Clone, Copy, Debug)]
pub struct Fixture {
    /// What is in it.
    pub name: &'static str,
    /// The capture file's bytes (pcap or pcapng, plain or in gzip).
    pub bytes: &'static [u8],
    /// Lines it is played over.
    pub modes: &'static [Mode],
    /// Reasons for which packets of it may be dropped on a line that translates.
    pub napt_drops: &'static [Reason],
    /// Reasons for which packets of it may be dropped on any line.
    pub drops: &'static [Reason],
}

macro_rules! fixture {
    ($name:literal, $file:literal, $modes:expr, napt: $napt:expr, any: $any:expr) => {
        Fixture {
            name: $name,
            bytes: include_bytes!(concat!("../../../pcap-fixtures/", $file)),
            modes: $modes,
            napt_drops: $napt,
            drops: $any,
        }
    };
    ($name:literal, $file:literal, $modes:expr) => {
        fixture!($name, $file, $modes, napt: &[], any: &[])
    };
}

const BOTH: &[Mode] = &[Mode::Dslite, Mode::Ipip];

/// All of them, in the order they are played.
pub const FIXTURES: &[Fixture] = &[
    fixture!("ping", "ping.pcap", BOTH, napt: &[Reason::NaptNoSession], any: &[]),
    fixture!("dns", "dns.pcap.gz", BOTH),
    fixture!("http", "http-download.pcap.gz", BOTH),
    fixture!("quic-like udp", "quic-like.pcap.gz", BOTH),
    fixture!("iperf3 tcp", "iperf3-tcp.pcap.gz", BOTH),
    fixture!("iperf3 udp", "iperf3-udp.pcap.gz", BOTH),
    fixture!("tcp events", "tcp-events.pcap", BOTH),
    fixture!("traceroute", "traceroute.pcap", BOTH),
    fixture!("fragments", "fragments.pcap.gz", BOTH),
    fixture!("reordered fragments", "fragments-reordered.pcap.gz", BOTH),
    fixture!("icmp errors", "icmp-errors.pcap", BOTH, napt: &[], any: &[Reason::Ipv4Option]),
    fixture!("path mtu 1460", "pmtu-1460.pcap.gz", &[Mode::Ipip]),
    fixture!("imix", "imix.pcap.gz", &[Mode::Dslite]),
    fixture!("imix 1460", "imix-1460.pcap.gz", &[Mode::Ipip]),
];
