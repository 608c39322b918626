//! What became of a frame. Every received frame ends in exactly one [`Verdict`], and every verdict
//! is counted: received = sum of verdicts (+ fragments still held for reassembly). A frame that one worker
//! hands to another has one of either: the first counts it as handed, the other as taken over, and then
//! by what became of it.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// Why a frame was dropped. The one list there is: counters, tables, JSON and ICMP answers
        /// all come from it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in counters and JSON: stable, lower case, hyphens.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

reasons! {
    /// The receive slot points outside the buffer memory.
    BadSlot = "bad-slot",
    /// A frame over several slots: larger than one buffer.
    MultiSlot = "multi-slot",
    /// Shorter than an Ethernet header.
    Runt = "runt",
    /// The Ethernet destination is another station's, or the source is no station's but a group's.
    OtherStation = "other-station",
    /// An 802.1Q tag that this link is not configured for, none where it is for one, or two of them.
    Vlan = "vlan",
    /// Neither IPv4, IPv6 nor ARP.
    EtherType = "ethertype",
    /// IPv4 came in where only IPv6 is spoken (the WAN link).
    Ipv4OnWan = "ipv4-on-wan",
    /// Cut off inside the IPv4 packet.
    Ipv4Truncated = "ipv4-truncated",
    /// The version is not 4.
    Ipv4Version = "ipv4-version",
    /// Header or total length is impossible.
    Ipv4Length = "ipv4-length",
    /// The IPv4 header checksum is wrong.
    Ipv4Checksum = "ipv4-checksum",
    /// A fragment with an impossible offset or length.
    Ipv4Fragment = "ipv4-fragment",
    /// Source routes (RFC 7126 4.3, 4.4), or options that cannot be told apart.
    Ipv4Option = "ipv4-option",
    /// The source cannot be a host: martian, multicast, broadcast, or not of this side's network.
    Ipv4Source = "ipv4-source",
    /// The destination cannot be forwarded to: martian, multicast, broadcast, reserved.
    Ipv4Destination = "ipv4-destination",
    /// TTL used up. Answered with ICMP time exceeded.
    TtlExceeded = "ttl-exceeded",
    /// No route to the destination. Answered with ICMP net unreachable.
    NoRoute = "no-route",
    /// Cut off inside the transport header, or the header contradicts itself.
    TransportHeader = "transport-header",
    /// Too big for the tunnel, with DF. Answered with ICMP fragmentation needed.
    TooBig = "too-big",
    /// Larger than the slot of the link it would leave by, or than the control thread takes.
    Jumbo = "jumbo",
    /// A protocol that the NAPT does not carry: AH, ICMP that is neither query nor error; on a share of an address
    /// all but TCP, UDP and ICMP.
    NaptProtocol = "napt-protocol",
    /// Inbound, and no session or mapping is there.
    NaptNoSession = "napt-no-session",
    /// Inbound to a mapped port, but from a peer that was not spoken to.
    NaptFiltered = "napt-filtered",
    /// Inbound to a port or echo identifier that is another line's (RFC 7597 8.1).
    PortOutsideSet = "port-outside-set",
    /// The session table is full. Answered with ICMP host unreachable.
    NaptTableFull = "napt-table-full",
    /// No outside port is left that is not in use towards the same peer. Answered as a full table.
    NaptPortsFull = "napt-ports-full",
    /// The inside host has as many sessions as one may have. Answered as a full table.
    NaptHostLimit = "napt-host-limit",
    /// Another inside host speaks a protocol without ports with the same peer. Answered as a full table.
    NaptPeerInUse = "napt-peer-in-use",
    /// An ICMP error about a packet that no session knows.
    NaptIcmpError = "napt-icmp-error",
    /// A fragment whose first fragment did not come in time, or that found no room to wait.
    NaptFragment = "napt-fragment",
    /// Cut off inside the IPv6 packet.
    Ipv6Truncated = "ipv6-truncated",
    /// The version is not 6.
    Ipv6Version = "ipv6-version",
    /// Extension headers that are too many, cut off or not allowed.
    Ipv6Extension = "ipv6-extension",
    /// IPv6 to somewhere else: there is no route for it.
    Ipv6NoRoute = "ipv6-no-route",
    /// To the tunnel's address, but from another source than the border router.
    TunnelSource = "tunnel-source",
    /// From another CE of the mesh or so it says, but that one has another address or other ports
    /// (RFC 7597 8.1).
    MapSpoofed = "map-spoofed",
    /// To the tunnel's address, but no IPv4 is inside.
    TunnelProtocol = "tunnel-protocol",
    /// Congestion marked outside, inside not ECN capable (RFC 6040 4.2).
    TunnelEcn = "tunnel-ecn",
    /// An ICMPv6 error about the tunnel that quotes nothing we sent, or says what cannot be.
    TunnelIcmpForged = "tunnel-icmp-forged",
    /// An ICMPv6 error about the tunnel, taken note of or relayed to the inner source.
    TunnelIcmp = "tunnel-icmp",
    /// An outer fragment that overlaps, contradicts or exceeds its packet.
    ReassemblyBad = "reassembly-bad",
    /// An outer fragment that came twice; the packet is none the worse for it (RFC 8200 4.5).
    ReassemblyDuplicate = "reassembly-duplicate",
    /// The other fragments did not come in time.
    ReassemblyTimeout = "reassembly-timeout",
    /// No memory was left for one more packet in pieces.
    ReassemblyFull = "reassembly-full",
    /// The next hop's Ethernet address is not known.
    NoNeighbour = "no-neighbour",
    /// The transmit ring was full.
    TxFull = "tx-full",
    /// The worker that has the flow is behind: the lane to it was full.
    WorkerFull = "worker-full",
    /// The queue to the control thread was full.
    PuntFull = "punt-full",
}

/// The end of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Sent through the tunnel.
    Outbound,
    /// Came through the tunnel and was sent to the LAN.
    Inbound,
    /// From the LAN to the LAN, by way of the outside address.
    Hairpin,
    /// An outer fragment whose packet was put together and went on.
    Reassembled,
    /// Given to another worker, which has all of its flow.
    Handed,
    /// Given to the control thread.
    Punted,
    /// Given to the host's own network stack.
    Host,
    /// Came from the host's own network stack and was sent.
    FromHost,
    /// Dropped.
    Dropped(Reason),
}

impl Verdict {
    const FORWARDED: [Self; 8] = [
        Self::Outbound,
        Self::Inbound,
        Self::Hairpin,
        Self::Reassembled,
        Self::Handed,
        Self::Punted,
        Self::Host,
        Self::FromHost,
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
            Self::Reassembled => DROPS + 3,
            Self::Handed => DROPS + 4,
            Self::Punted => DROPS + 5,
            Self::Host => DROPS + 6,
            Self::FromHost => DROPS + 7,
        }
    }

    /// The name in counters and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Hairpin => "hairpin",
            Self::Reassembled => "reassembled",
            Self::Handed => "handed",
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
