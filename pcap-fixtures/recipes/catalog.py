"""Every fixture: its name, where it comes from and what it shows. The one source of INDEX.md and index.json."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate

from recipes import frames as f
from recipes import hostile_lan, hostile_wan, imix, real

BOTH = "LAN, both directions"
LAN = "LAN, received"
WAN = "WAN, received"


@dataclass(frozen=True)
class Captured:
    """Traffic of real stacks in a lab of `options`; `change` is applied to each frame before writing."""

    name: str
    traffic: Callable
    command: str
    shows: str
    form: str = "pcap"
    options: dict = field(default_factory=dict)
    change: Callable = bytes
    side: str = BOTH
    largest: int = 1514


@dataclass(frozen=True)
class Load:
    """Frames made for measuring: all sound, not described one by one."""

    name: str
    build: Callable
    command: str
    shows: str
    form: str = "pcap"
    side: str = LAN

    def records(self):
        return self.build()


@dataclass(frozen=True)
class Hostile:
    """Frames made by hand, each with its fault and what must follow."""

    name: str
    build: Callable
    side: str
    shows: str
    form: str = "pcap"
    # Share of the outside address that the NAPT has: offset, length, PSID (RFC 7597 5.1).
    ports: tuple[int, int, int] | None = None

    @property
    def command(self):
        return f"recipes/{self.build.__module__.split('.')[-1]}.py, {self.build.__name__}()"

    def records(self):
        frames = self.build()
        times = accumulate((frame.after * 1_000_000 for frame in frames[1:]), initial=f.EPOCH_NS)
        return [(when, frame.data) for when, frame in zip(times, frames)]


CAPTURED = (
    Captured("http-download.pcap.gz", real.http, "nginx; curl, 2 files over one connection, then 3 at once, then a 404",
             "200 KB over 5 TCP connections: keep-alive, parallel flows from one host, normal close"),
    Captured("dns.pcap.gz", real.dns, "unbound; dig A, AAAA, MX, TXT over UDP and TCP",
             "answers, NXDOMAIN, REFUSED, a truncated answer (TC) left and one asked again over TCP, one answer of 3 KB in fragments"),
    Captured("quic-like.pcap.gz", real.quic_like, "python sockets, UDP/443, 1200 to 1250 bytes, pseudorandom payload",
             "three UDP flows, mostly down, mostly up, mostly down; nothing in the payload to parse"),
    Captured("iperf3-tcp.pcap.gz", real.iperf3_tcp, "iperf3 -n 150K; iperf3 -n 100K -R -M 1220",
             "bulk TCP up and down, whole from SYN to FIN: MSS 1460 and 1220, window scale, SACK, timestamps"),
    Captured("iperf3-udp.pcap.gz", real.iperf3_udp, "iperf3 -u -b 2M -n 60K -l 1200; -n 20K -l 200 -R",
             "paced UDP up and down with its TCP control connection"),
    Captured("ping.pcap", real.ping, "ping -M do -s 0, 8, 56, 512, 1252, 1432, 1472; -M dont; -R; -Q 0xb8; from the server",
             "echo of many sizes with and without DF, record route, DSCP EF, echo from outside; nanosecond times",
             form="pcap, nanoseconds"),
    Captured("traceroute.pcap", real.traceroute, "traceroute; traceroute -I; traceroute -T -p 443 (closed)",
             "TTL 1, 2, 3 by UDP, ICMP and TCP; time exceeded from the router and the next hop; port unreachable; RST"),
    Captured("fragments.pcap.gz", real.fragments, "ping -s 4000, -s 1473; UDP echo of 5000, 1473, 2960 and 20000 bytes",
             "IPv4 fragments both ways, in order, from the kernel"),
    Captured("fragments-reordered.pcap.gz", real.fragments_reordered,
             "fragments through raw sockets, joined by the receiving kernel",
             "reversed, first in second place, two datagrams interleaved, one piece twice; both ways; big-endian file",
             form="pcap, big-endian"),
    Captured("icmp-errors.pcap", real.icmp_errors, "prohibit and unreachable routes, closed port, unknown protocol, bad option, "
             "1500 bytes with DF on a 1460-byte path, ipfrag_time 1",
             "3/0, 3/1, 3/2, 3/3, 3/4 (MTU 1460), 3/13, 11/0, 11/1, 12/0 towards the client; 3/3 from the client",
             options={"path_mtu": 1460}),
    Captured("tcp-events.pcap", real.tcp_events, "python sockets; blackhole routes on the router lose packets",
             "refused, RST from each side, half-close, lost SYN, lost data, lost ACKs, simultaneous open and close"),
    Captured("pmtu-1460.pcap.gz", real.path_mtu, "20 000 bytes each way, router to core at MTU 1460",
             "MSS 1460 with DF meets a narrow path: ICMP 3/4 from 192.168.1.1, the client goes down to 1408; "
             "the server's segments arrive at most 1460 bytes long", options={"path_mtu": 1460}),
    Captured("pmtu-1460-clamped.pcap.gz", real.path_mtu, "the same with nft `tcp option maxseg size set 1420` on the router",
             "what clamping looks like from the LAN: SYN out with 1460, SYN-ACK in with 1420, no ICMP, no retransmission",
             options={"path_mtu": 1460, "clamp": 1420}),
    Captured("noise.pcapng", real.noise, "link up, ping, dnsmasq (RA, DHCPv4), dhclient, multicast and broadcast datagrams",
             "what is not IPv4 unicast: gratuitous and ordinary ARP, MLD, DAD, RS, RA, NS, NA, DHCPv4, IGMP, mDNS, SSDP, "
             "directed and limited broadcast", form="pcapng", options={"static_neighbours": False, "ipv6": True}),
    Captured("vlan.pcap", real.vlan, "ping and TCP as captured, tags put on afterwards (real.py, tagged())",
             "802.1Q VID 10, priority tag (VID 0, PCP 5), QinQ 100/10; full-size frames grow to 1518 bytes",
             change=real.tagged, largest=1518),
)

LOADS = (
    Load("imix.pcap.gz", lambda: imix.records("64/594/1518", flags=0), "recipes/imix.py",
         "IMIX 7:4:1 of 64, 594 and 1518 bytes (with FCS), 2 400 frames, 256 UDP flows of 16 hosts, DF clear; spaced as on a full "
         "1 Gbit/s line; nanosecond times", form="pcap, nanoseconds"),
    Load("imix-1460.pcap.gz", lambda: imix.records("64/594/1478", flags=2), "recipes/imix.py",
         "the same flows with 1478 in place of 1518 and DF set: the largest packet just fits a 1460-byte tunnel",
         form="pcap, nanoseconds"),
)

HOSTILE = (
    Hostile("hostile-lan-ethernet.pcap", hostile_lan.ethernet, LAN, "frames cut at every byte of their headers, wrong Ethernet "
            "addresses and types, VLAN tags, oversize"),
    Hostile("hostile-lan-ipv4.pcap", hostile_lan.addresses_and_header, LAN, "IPv4 header fields, options, TTL, addresses, LAND, DF"),
    Hostile("hostile-lan-fragments.pcap.gz", hostile_lan.fragments, LAN, "IPv4 fragments: order, overlap, tiny, beyond the end, floods"),
    Hostile("hostile-lan-transport.pcap", hostile_lan.transport, LAN, "TCP, MSS option, UDP, ICMP, other protocols, "
            "trailers; ICMP timestamps were dropped (RFC 5508 REQ-1, tests/path_rfc)"),
    Hostile("hairpin-refused-lan.pcap", hostile_lan.hairpin_refused, LAN, "to our own outside address and a static mapping that is full: "
            "found by tests/model, the answer quoted the translated packet"),
    Hostile("made-room-lan.pcap", hostile_lan.made_room, LAN, "two outside ports, 40000 and 40001, and three connections to one "
            "peer: found by tests/path_same, the one that made room still sent from the port in the same burst",
            ports=(0, 15, 20000)),
    Hostile("opener-lan.pcap", hostile_wan.opener, LAN, "opens the sessions that the hostile WAN files answer; play it first"),
    Hostile("hostile-wan-outer.pcap", hostile_wan.outer, WAN, "the outer header: cut, addresses, next header, payload length"),
    Hostile("hostile-wan-extension-headers.pcap", hostile_wan.extension_headers, WAN, "chains of IPv6 extension headers; the last "
            "eight frames panicked where their short packet ended with its buffer (tests/path_jumbo)"),
    Hostile("hostile-wan-fragments.pcap.gz", hostile_wan.fragments, WAN, "IPv6 fragments of the tunnel's packets"),
    Hostile("hostile-wan-inner.pcap", hostile_wan.inner, WAN, "the inner packet: header, addresses, sessions, ECN, ICMP, fragments"),
    Hostile("hostile-wan-icmpv6.pcap.gz", hostile_wan.icmpv6, WAN, "ICMPv6 errors about the tunnel, honest and "
            "forged; a Packet Too Big about more than our own link carries was believed (tests/path_icmp)"),
)

MADE = LOADS + HOSTILE
ALL = CAPTURED + MADE
