"""Frames built byte by byte. Every field that a test may want wrong can be given; what is not given is right."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

# The line every made frame assumes (INDEX.md repeats it). The captured files use the same LAN addresses.
ROUTER_LAN_MAC = "02:00:00:00:01:01"
CLIENT_MAC = "02:00:00:00:01:0a"
OTHER_CLIENT_MAC = "02:00:00:00:01:0b"
CE_WAN_MAC = "02:00:00:00:02:01"
GATEWAY_MAC = "02:00:00:00:02:fe"
CLIENT = "192.168.1.10"
OTHER_CLIENT = "192.168.1.11"
ROUTER = "192.168.1.1"
OUTSIDE = "192.0.2.1"
SERVER = "203.0.113.80"
CE = "2001:db8:12:3400::feed"
BR = "2001:db8:ffff::1"
HOP = "2001:db8:ffff:9::1"  # some router on the IPv6 path

EPOCH_NS = 1_750_000_000 * 1_000_000_000  # made frames start here, one millisecond apart

ICMP, IPIP, TCP, UDP, IPV6, ROUTING, FRAGMENT, GRE, ESP, AH, UDP_LITE = 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 136
ICMPV6, NO_NEXT, DEST_OPTS, HOP_BY_HOP = 58, 59, 60, 0
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


@dataclass
class Frame:
    """One made frame: its bytes, what is wrong with it, what a CE must show, and the short verdict (see INDEX.md).

    `eye` is a Wireshark display filter that must match this frame: an independent reader sees the same fault.
    `after` is the time since the frame before, in milliseconds; frames of one moment come in one burst.
    """

    data: bytes
    wrong: str
    must: str
    verdict: str
    eye: str = ""
    after: int = 1


class Sheet:
    """The frames of one file, in order. `port` is a source port no other frame of the file uses."""

    def __init__(self):
        self.frames = []

    @property
    def port(self):
        return 41000 + len(self.frames) + 1

    def add(self, verdict, wrong, must, data, eye="", after=1):
        self.frames.append(Frame(data, wrong, must, verdict, eye, after))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def eth(payload, kind=0x0800, dst=ROUTER_LAN_MAC, src=CLIENT_MAC):
    return mac(dst) + mac(src) + struct.pack("!H", kind) + payload


def ipv4(payload, proto=UDP, src=CLIENT, dst=SERVER, *, ttl=64, tos=0, ident=0x4869, flags=2, offset=0, options=b"",
         version=4, ihl=None, total=None, check=None):
    """`flags`: 4 reserved, 2 DF, 1 MF. `offset` in bytes. `options` must be padded to 4 bytes by the caller."""
    ihl = 5 + len(options) // 4 if ihl is None else ihl
    total = 20 + len(options) + len(payload) if total is None else total

    def header(value):
        return struct.pack("!BBHHHBBH", version << 4 | ihl, tos, total, ident, flags << 13 | offset // 8, ttl, proto,
                           value) + IPv4Address(src).packed + IPv4Address(dst).packed + options

    return header(checksum(header(0)) if check is None else check) + payload


def ipv6(payload, nxt=IPIP, src=BR, dst=CE, *, hops=60, tclass=0, flow=0, length=None, version=6):
    length = len(payload) if length is None else length
    return struct.pack("!IHBB", version << 28 | tclass << 20 | flow, length, nxt, hops) + IPv6Address(
        src).packed + IPv6Address(dst).packed + payload


def _pseudo(src, dst, proto, length):
    if ":" in src:
        return IPv6Address(src).packed + IPv6Address(dst).packed + struct.pack("!II", length, proto)
    return IPv4Address(src).packed + IPv4Address(dst).packed + struct.pack("!BBH", 0, proto, length)


def udp(payload=b"hikyaku", sport=40000, dport=443, src=CLIENT, dst=SERVER, *, length=None, check=None):
    length = 8 + len(payload) if length is None else length
    bare = struct.pack("!HHHH", sport, dport, length, 0) + payload
    if check is None:
        check = checksum(_pseudo(src, dst, UDP, len(bare)) + bare) or 0xFFFF
    return bare[:6] + struct.pack("!H", check) + payload


def udp_lite(payload=b"hikyaku", sport=40000, dport=443, src=CLIENT, dst=SERVER, *, coverage=0):
    """`coverage` of the checksum in bytes; 0 is all of it (RFC 3828 3.1)."""
    bare = struct.pack("!HHHH", sport, dport, coverage, 0) + payload
    check = checksum(_pseudo(src, dst, UDP_LITE, len(bare)) + bare[:coverage or None]) or 0xFFFF
    return bare[:6] + struct.pack("!H", check) + payload


def tcp(payload=b"", sport=40001, dport=80, src=CLIENT, dst=SERVER, *, seq=1000, ack=0, flags=SYN, options=b"",
        doff=None, check=None):
    """`options` must be padded to 4 bytes by the caller."""
    doff = 5 + len(options) // 4 if doff is None else doff
    bare = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, doff << 4, flags, 64240, 0, 0) + options + payload
    check = checksum(_pseudo(src, dst, TCP, len(bare)) + bare) if check is None else check
    return bare[:16] + struct.pack("!H", check) + bare[18:]


def icmp(kind, code, rest=b"\0\0\0\0", payload=b"", check=None):
    bare = struct.pack("!BBH", kind, code, 0) + rest + payload
    check = checksum(bare) if check is None else check
    return bare[:2] + struct.pack("!H", check) + bare[4:]


def echo(ident=4242, seq=1, payload=b"hikyaku", reply=False):
    return icmp(0 if reply else 8, 0, struct.pack("!HH", ident, seq), payload)


def timestamp(ident=4243, seq=1, reply=False):
    """Midnight has just been (RFC 792)."""
    return icmp(14 if reply else 13, 0, struct.pack("!HH", ident, seq), bytes(12))


def icmpv6(kind, code, rest, payload, src, dst, check=None):
    bare = struct.pack("!BBH", kind, code, 0) + rest + payload
    check = checksum(_pseudo(src, dst, ICMPV6, len(bare)) + bare) if check is None else check
    return bare[:2] + struct.pack("!H", check) + bare[4:]


def options_header(nxt, options, *, units=None):
    """A hop-by-hop or destination options header; padded with PadN to 8 bytes; `units` overrides Hdr Ext Len."""
    missing = -(2 + len(options)) % 8
    if missing == 1:
        options += b"\0"
    elif missing:
        options += bytes([1, missing - 2]) + bytes(missing - 2)
    return struct.pack("!BB", nxt, (2 + len(options)) // 8 - 1 if units is None else units) + options


def fragment_header(nxt, offset, more, ident, reserved=0):
    """`offset` in bytes."""
    return struct.pack("!BBHI", nxt, reserved, offset & ~7 | more, ident)


def pattern(length, start=0):
    return bytes((start + i) & 0xFF for i in range(length))


class Random:
    """splitmix64: the same numbers on every machine and Python version."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = self.state + 0x9E3779B97F4A7C15 & mask
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return z ^ z >> 31

    def between(self, low, high):
        return low + self.next() % (high - low + 1)

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.between(0, i)
            items[i], items[j] = items[j], items[i]
