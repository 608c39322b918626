//! What became of a frame. Every received frame ends in exactly one [`Verdict`], and every verdict
//! is counted: received = sum of verdicts (+ fragments still held for reassembly). A frame that one worker
//! hands off to another has one of either: the first counts it as handed off, the other as received by handoff, and then
//! by what became of it.

use std::fmt;

use hikyaku_net::packet::Malformed;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $advice:literal;)*) => {
        /// Why a frame was dropped. The one list there is: counters, tables, JSON and ICMP answers
        /// all come from it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $($(#[doc = $doc])* $name),* }

        impl Reason {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in counters and JSON: stable, lower case, hyphens.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What it means: its doc comment, as it is people are told it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii_start()),* }
            }

            /// What the operator does about it, in a sentence or two.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice),* }
            }
        }
    };
}

reasons! {
    /// The receive slot points outside the buffer memory.
    BadSlot = "bad-slot",
        "A fault of the driver or of netmap, never of the sender: reload the driver, then report it with the driver's \
         version.";
    /// A frame over several slots: larger than one buffer.
    MultiSlot = "multi-slot",
        "Frames larger than a buffer arrive: switch off LRO and GRO on the interface, or raise netmap's buf_size \
         above its MTU.";
    /// Shorter than an Ethernet header.
    Runt = "runt",
        "Noise on the cable or a sender that makes short frames; the card's error counters say which.";
    /// The Ethernet destination is another station's, or the source is no station's but a group's.
    OtherStation = "other-station",
        "Normal in small numbers (a switch that floods). Many: a mirror port, a wrong MAC address in a static \
         neighbour entry, or promiscuous mode without need.";
    /// An 802.1Q tag that this link is not configured for, none where it is for one, or two of them.
    Vlan = "vlan",
        "Compare the tag that the switch port sends (`tcpdump -e`) with `vlan` of this side; both ends must agree.";
    /// Neither IPv4, IPv6 nor ARP.
    EtherType = "ethertype",
        "Normal: LLDP, spanning tree, PPPoE of other hosts. Nothing to do unless a service of yours uses it.";
    /// IPv4 came in where only IPv6 is spoken (the WAN link).
    Ipv4OnWan = "ipv4-on-wan",
        "Normal where the provider's network also speaks IPv4 (PPPoE, DHCPv4 of neighbours). Many: WAN and LAN may be \
         swapped.";
    /// Cut off inside the IPv4 packet.
    Ipv4Truncated = "ipv4-truncated",
        "A capture cut by its snap length, or a sender that is broken; find it by its source address.";
    /// The version is not 4.
    Ipv4Version = "ipv4-version",
        "A sender that is broken; find it by its MAC address.";
    /// Header or total length is impossible.
    Ipv4Length = "ipv4-length",
        "A sender that is broken, or an attack; find it by its source address.";
    /// The IPv4 header checksum is wrong.
    Ipv4Checksum = "ipv4-checksum",
        "In a capture: taken on the sending host before its card filled checksums in. On a link: transmit checksum \
         offload of a virtual interface (`ethtool -K … tx off`), or bad memory on the way.";
    /// A fragment with an impossible offset or length.
    Ipv4Fragment = "ipv4-fragment",
        "An attack, or a sender that is broken; find it by its source address.";
    /// Source routes (RFC 7126 4.3, 4.4), or options that cannot be told apart.
    Ipv4Option = "ipv4-option",
        "Source routing is refused for good (RFC 7126). Nothing to do.";
    /// The source cannot be a host: martian, multicast, broadcast, or not of this side's network.
    Ipv4Source = "ipv4-source",
        "A host has an address that is not of `[lan] ipv4` (an old static address, a second subnet): give it one by \
         DHCPv4, or widen the network. Many: a forged source.";
    /// The destination cannot be forwarded to: martian, multicast, broadcast, reserved.
    Ipv4Destination = "ipv4-destination",
        "Normal: broadcasts and multicast of the LAN that are not for a router.";
    /// TTL or hop limit used up. Answered with ICMP time exceeded.
    TtlExceeded = "ttl-exceeded",
        "Normal with traceroute. Many: a routing loop.";
    /// No route to the destination. Answered with ICMP net unreachable.
    NoRoute = "no-route",
        "The line is not up: `hikyaku show status` says how far it has come.";
    /// Cut off inside the transport header, or the header contradicts itself.
    TransportHeader = "transport-header",
        "A sender that is broken, or an attack; find it by its source address.";
    /// Too big for the tunnel, or for the LAN that it goes to, with DF. Answered with ICMP fragmentation needed.
    TooBig = "too-big",
        "Normal: hosts learn the tunnel's MTU by it. If connections still stall, a firewall on the host drops ICMP; \
         `mss = auto` helps TCP.";
    /// Too big for the tunnel, with DF, and longer than the MTU of the LAN that it came by. Answered as too big.
    OverMtu = "over-mtu",
        "Either segments of TCP were merged on the way, by GRO or LRO of a device below the LAN's link, and TCP stalls: \
         `hikyaku show status` and the start of the log name it, `ethtool -K IF gro off lro off` there cures it. Or the \
         host's MTU is larger than the LAN's: give both one.";
    /// Larger than the slot of the link it would leave by, or than the control thread takes.
    Jumbo = "jumbo",
        "The sender's MTU is larger than this link's: give both sides one MTU, or raise buffers.";
    /// A protocol that the NAPT does not carry: AH, ICMP that is neither query nor error; on a share of an address
    /// all but TCP, UDP and ICMP.
    NaptProtocol = "napt-protocol",
        "AH cannot pass a NAPT; use ESP in UDP (RFC 3948). On a shared address only TCP, UDP and ICMP pass.";
    /// Inbound, and no session or mapping is there.
    NaptNoSession = "napt-no-session",
        "Normal: strangers who try ports. If it should reach a host, add a `forward`.";
    /// Inbound to a mapped port, but from a peer that was not spoken to.
    NaptFiltered = "napt-filtered",
        "Normal: strangers who try a port that is in use. Games and calls that need it: `filtering = \
         endpoint-independent` or a `forward`.";
    /// Inbound to a port or echo identifier that is another line's (RFC 7597 8.1).
    PortOutsideSet = "port-outside-set",
        "The border router sends what is another customer's: rule or PSID are wrong on one side. Compare `hikyaku \
         map-e` with the provider's rule.";
    /// The session table is full. Answered with ICMP host unreachable.
    NaptTableFull = "napt-table-full",
        "Raise `[tuning] table`, or find the host with most sessions (`hikyaku show sessions`) and limit it by \
         `sessions-per-host`.";
    /// No outside port is left that is not in use towards the same peer. Answered as a full table.
    NaptPortsFull = "napt-ports-full",
        "The line's port set is used up towards one server: find the host (`hikyaku show ports`) and limit it by \
         `sessions-per-host`.";
    /// The inside host has as many sessions as one may have. Answered as a full table.
    NaptHostLimit = "napt-host-limit",
        "The host has reached `sessions-per-host`: a scan or a peer-to-peer program on it, or the limit is too low.";
    /// Another inside host speaks a protocol without ports with the same peer. Answered as a full table.
    NaptPeerInUse = "napt-peer-in-use",
        "Two hosts use GRE, ESP or the like to one peer; only one can. ESP in UDP (NAT-T) does not have this limit.";
    /// An ICMP error about a packet that no session knows.
    NaptIcmpError = "napt-icmp-error",
        "Normal in small numbers: errors about sessions that have ended. Many: an attack.";
    /// A fragment whose first fragment did not come in time, or that found no room to wait.
    NaptFragment = "napt-fragment",
        "The path loses fragments, or a sender sends only later ones (an attack). A smaller MTU at the sender avoids \
         fragments.";
    /// Cut off inside the IPv6 packet.
    Ipv6Truncated = "ipv6-truncated",
        "A sender that is broken, or a capture cut by its snap length.";
    /// The version is not 6.
    Ipv6Version = "ipv6-version",
        "A sender that is broken; find it by its MAC address.";
    /// Extension headers that are too many, cut off or not allowed.
    Ipv6Extension = "ipv6-extension",
        "A sender that is broken, or an attack; find it by its source address.";
    /// IPv6 to somewhere else: there is no route for it. Answered with ICMPv6 no route, on the LAN.
    Ipv6NoRoute = "ipv6-no-route",
        "The line has no prefix for the LAN, or no router: `hikyaku show status` says how far it has come. What is sent to \
         the unused rest of a delegated prefix ends here too.";
    /// The IPv6 source cannot be forwarded: multicast, loopback, or not of this side's prefixes. Answered with ICMPv6
    /// "source address failed policy", on the LAN.
    Ipv6Source = "ipv6-source",
        "A host has an address of a prefix that is not (any more) the LAN's: it takes a new one when it hears the next \
         advertisement. From the line: somebody claims to be a host of ours.";
    /// A link-local IPv6 source on its way to another link. Answered with ICMPv6 "beyond scope of source address".
    Ipv6Scope = "ipv6-scope",
        "A host has no global address yet, or a program that chose the wrong one.";
    /// The IPv6 destination cannot be forwarded to: multicast, link-local, loopback, reserved; unique local from or to the
    /// line.
    Ipv6Destination = "ipv6-destination",
        "Normal: multicast of the LAN that is not for a router.";
    /// Larger than what the next link takes. Answered with ICMPv6 packet too big.
    Ipv6TooBig = "ipv6-too-big",
        "Normal: hosts learn the path's MTU by it. If connections still stall, a firewall on the host drops ICMPv6.";
    /// Inbound IPv6 that nobody asked for, or ICMPv6 that no router forwards.
    Ipv6Filtered = "ipv6-filtered",
        "Normal: strangers who try addresses and ports. If it should reach a host, add a `[[rule]]` that accepts it.";
    /// An ICMPv6 error about a packet that no session knows.
    Ipv6IcmpError = "ipv6-icmp-error",
        "Normal in small numbers: errors about sessions that have ended. Many: an attack.";
    /// The table of IPv6 sessions, and of those between LANs, is full. Answered with ICMPv6 address unreachable, IPv4 with ICMP
    /// host unreachable.
    Ipv6TableFull = "ipv6-table-full",
        "Raise `[tuning] table`, or limit what a host may have by `sessions-per-host`.";
    /// The station has as many sessions of IPv6 and with other LANs as one may have. Answered as a full table.
    Ipv6HostLimit = "ipv6-host-limit",
        "The host has reached `sessions-per-host`: a scan or a peer-to-peer program on it, or the limit is too low.";
    /// An IPv6 fragment whose first fragment did not come in time, or that found no room to wait.
    Ipv6Fragment = "ipv6-fragment",
        "The path loses fragments, or a sender sends only later ones (an attack).";
    /// From a LAN that is isolated to another one, or to the router's address there. Answered with ICMP administratively
    /// prohibited.
    LanIsolated = "lan-isolated",
        "As configured: what hosts of that LAN may begin towards others is what a `[[rule]]` from it to them accepts.";
    /// IPv4 from one LAN to another that neither begins anything nor belongs to what was begun.
    LanFiltered = "lan-filtered",
        "Normal in small numbers: what is left of sessions that have ended. Many: a host that scans, or whose packets go \
         one way through this router and back another.";
    /// A rule of the operator drops it.
    RuleDrop = "rule-drop",
        "As configured: `hikyaku show rules` says which rule, and how often. Many from outside are strangers who try ports.";
    /// A rule of the operator rejects it. Answered with a TCP reset, or with ICMP administratively prohibited.
    RuleReject = "rule-reject",
        "As configured: `hikyaku show rules` says which rule, and how often.";
    /// A rule of the operator would accept it, were there not more than its `rate` allows.
    RuleRate = "rule-rate",
        "As configured: `hikyaku show rules` says which rule. If they are wanted, raise its `rate` or `burst`.";
    /// To the tunnel's address, but from another source than the border router.
    TunnelSource = "tunnel-source",
        "Somebody else sends tunnel packets to us, or the provider's border router has another address than \
         configured: compare `hikyaku show status`.";
    /// From another CE of the mesh or so it says, but that one has another address or other ports
    /// (RFC 7597 8.1).
    MapSpoofed = "map-spoofed",
        "Another customer sends what is not its own, or the rules differ: compare `hikyaku map-e` with the provider's \
         rules.";
    /// To the tunnel's address, but no IPv4 is inside.
    TunnelProtocol = "tunnel-protocol",
        "Something but IPv4 is in the tunnel: not ours. Nothing to do.";
    /// Congestion marked outside, inside not ECN capable (RFC 6040 4.2).
    TunnelEcn = "tunnel-ecn",
        "A router on the way marks congestion on packets that cannot say so (RFC 6040). The provider should know.";
    /// An ICMPv6 error about the tunnel that quotes nothing we sent, or says what cannot be.
    TunnelIcmpForged = "tunnel-icmp-forged",
        "Somebody guesses at errors about the tunnel: nothing was believed. Nothing to do.";
    /// An ICMPv6 error about the tunnel, taken note of or relayed to the inner source.
    TunnelIcmp = "tunnel-icmp",
        "Normal: a path MTU was learned, or the far end cannot be reached; `hikyaku show status` says what follows \
         from it.";
    /// An outer fragment that overlaps, contradicts or exceeds its packet.
    ReassemblyBad = "reassembly-bad",
        "An attack on reassembly, or a border router that is broken; the whole packet was dropped (RFC 5722).";
    /// An outer fragment that came twice; the packet is none the worse for it (RFC 8200 4.5).
    ReassemblyDuplicate = "reassembly-duplicate",
        "The path doubles packets. Nothing to do; many hint at a loop in the provider's network.";
    /// The other fragments did not come in time.
    ReassemblyTimeout = "reassembly-timeout",
        "The path loses outer fragments: set the tunnel's MTU to 1460, so that the far end sends none.";
    /// No memory was left for one more packet in pieces.
    ReassemblyFull = "reassembly-full",
        "More packets in pieces at once than there is room for: an attack, or a far end that fragments everything. \
         Set the tunnel's MTU to 1460.";
    /// The prefix or lease of our end of the tunnel has ended, and there is no other yet.
    SoftwireEnded = "softwire-ended",
        "The line took our address back, or its router or server fell silent: `hikyaku show status` says what is waited \
         for.";
    /// The next hop's Ethernet address is not known.
    NoNeighbour = "no-neighbour",
        "The host or the line's router does not answer ARP or neighbour solicitations: cable, VLAN, its power.";
    /// The transmit ring was full.
    TxFull = "tx-full",
        "More comes in than the link carries; normal at overload. At low rates: flow control (pause frames), or too \
         few `ring-slots`.";
    /// The worker that has the flow is behind: the handoff ring to it was full.
    HandoffFull = "handoff-full",
        "One worker is behind: more cores, another `keep-flows`, or a flood of one flow.";
    /// To the router itself, where it does not listen.
    NoListener = "no-listener",
        "Normal: strangers who try ports of the router's own address, multicast that is not for a router. Nothing is \
         answered on the WAN.";
    /// In the hands of a worker that panicked. It may have been forwarded before.
    WorkerPanicked = "worker-panicked",
        "A fault of this program, which goes on: report it with what the log says of the panic.";
    /// The control thread's queue for what the frame is was full, or its sender has sent more than its share.
    PuntFull = "punt-full",
        "A flood of packets for the router itself (ARP, ND, ping): find the sender; forwarding goes on.";
}

/// The end of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Sent through the tunnel.
    Outbound,
    /// Came through the tunnel and was sent to the LAN.
    Inbound,
    /// From the LAN to the LAN, by way of the outside address or because the host asked us to.
    Hairpin,
    /// Native IPv6 from the LAN, sent to the line.
    Ipv6Outbound,
    /// Native IPv6 from the line, sent to the LAN.
    Ipv6Inbound,
    /// From one LAN to another, of either family.
    LanToLan,
    /// An outer fragment whose packet was put together and went on.
    Reassembled,
    /// Handed off to another worker, which has all of its flow.
    HandedOff,
    /// Given to the control thread.
    Punted,
    /// Given to the host's own network stack.
    Host,
    /// Came from the host's own network stack and was sent.
    FromHost,
    /// Went nowhere, for this reason.
    Dropped(Reason),
}

impl Verdict {
    const FORWARDED: [Self; 11] = [
        Self::Outbound,
        Self::Inbound,
        Self::Hairpin,
        Self::Ipv6Outbound,
        Self::Ipv6Inbound,
        Self::Reassembled,
        Self::HandedOff,
        Self::Punted,
        Self::Host,
        Self::FromHost,
        Self::LanToLan,
    ];

    /// How many different verdicts there are.
    pub const COUNT: usize = Self::FORWARDED.len() + Reason::ALL.len();

    /// All of them: what was forwarded, then the drops.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::FORWARDED.into_iter().chain(Reason::ALL.iter().map(|&r| Self::Dropped(r)))
    }

    /// Place in an array of [`Self::COUNT`]: the reasons first, which is how the compiler numbers
    /// them, so that it costs nothing.
    #[inline(always)]
    pub const fn index(self) -> usize {
        const DROPS: usize = Reason::ALL.len();
        match self {
            Self::Dropped(reason) => reason as usize,
            Self::Outbound => DROPS,
            Self::Inbound => DROPS + 1,
            Self::Hairpin => DROPS + 2,
            Self::Ipv6Outbound => DROPS + 3,
            Self::Ipv6Inbound => DROPS + 4,
            Self::Reassembled => DROPS + 5,
            Self::HandedOff => DROPS + 6,
            Self::Punted => DROPS + 7,
            Self::Host => DROPS + 8,
            Self::FromHost => DROPS + 9,
            Self::LanToLan => DROPS + 10,
        }
    }

    /// The name in counters and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Hairpin => "hairpin",
            Self::Ipv6Outbound => "ipv6-outbound",
            Self::Ipv6Inbound => "ipv6-inbound",
            Self::LanToLan => "lan-to-lan",
            Self::Reassembled => "reassembled",
            Self::HandedOff => "handed-off",
            Self::Punted => "punted",
            Self::Host => "host",
            Self::FromHost => "from-host",
            Self::Dropped(reason) => reason.name(),
        }
    }
}

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Self {
        Self::Dropped(reason)
    }
}

impl From<Malformed> for Reason {
    fn from(what: Malformed) -> Self {
        match what {
            Malformed::Ipv4Truncated => Self::Ipv4Truncated,
            Malformed::Ipv4Version => Self::Ipv4Version,
            Malformed::Ipv4Length => Self::Ipv4Length,
            Malformed::Ipv4Checksum => Self::Ipv4Checksum,
            Malformed::Ipv4Fragment => Self::Ipv4Fragment,
            Malformed::Ipv6Truncated => Self::Ipv6Truncated,
            Malformed::Ipv6Version => Self::Ipv6Version,
            Malformed::Ipv6Extension => Self::Ipv6Extension,
        }
    }
}

impl From<Malformed> for Verdict {
    fn from(what: Malformed) -> Self {
        Self::Dropped(what.into())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped(reason) => write!(f, "dropped: {}", reason.name()),
            forwarded => f.write_str(forwarded.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_a_place_of_its_own() {
        let places: std::collections::BTreeSet<usize> = Verdict::all().map(Verdict::index).collect();
        assert!(places.into_iter().eq(0..Verdict::COUNT));
    }
}
