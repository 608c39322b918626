"""The captures as a router's two sides would see them: what hosts sent, and what came back through the tunnel."""

import json
import struct
from ipaddress import IPv4Address
from pathlib import Path

from recipes import frames, pcapfile
from recipes.frames import ICMP, TCP, UDP

FOLDER = Path("pcap-fixtures")
# Largest packet of the line: what is larger comes in outer fragments.
WAN_MTU = 1500


def names():
    index = json.loads((FOLDER / "index.json").read_text())
    return [entry["file"] for entry in index["files"]]


def sides(name, mode, mtu):
    """Frames for either side, and the IPv4 packets that must come out to the LAN."""
    records = pcapfile.read(FOLDER / name)
    if name.startswith("hostile-wan"):
        return {"lan": pcapfile.read(FOLDER / "opener-lan.pcap"), "wan": records}, []
    router = frames.mac(frames.ROUTER_LAN_MAC)
    lan = [(at, data) for at, data in records if data[6:12] != router]
    wan, wanted = [], []
    spoken = set()
    for at, data in records:
        if data[6:12] != router:
            spoken |= {ends(packet(data), False)} if goes_out(packet(data), mtu) else set()
            continue
        if data[12:14] != b"\x08\x00" or data[0] & 1 or data[26:30] == IPv4Address(frames.ROUTER).packed:
            continue
        plain = packet(data)
        # What nobody asked for stays outside, where there is a NAPT.
        if mode == "dslite" or ends(plain, True) in spoken or plain[9] not in (ICMP, TCP, UDP) or later(plain):
            wanted.append(plain)
        wan += [(at, frame) for frame in tunnelled(plain, mode)]
    return {"lan": lan, "wan": wan}, wanted


def packet(data):
    """The IPv4 packet of a frame, without padding."""
    return data[14:14 + int.from_bytes(data[16:18], "big")]


def goes_out(plain, mtu):
    """Whether it opens a session: not what is refused for its size, nor what answers a question from outside."""
    refused = len(plain) > mtu and plain[6] & 0x40
    return len(plain) >= 28 and not refused and not (plain[9] == ICMP and plain[(plain[0] & 15) * 4] == 0)


def later(plain):
    return bool(int.from_bytes(plain[6:8], "big") & 0x1FFF)


def ends(plain, back):
    """Protocol, host's and peer's ends, seen from the host; of an error, those of the packet that it quotes."""
    if len(plain) < 28:
        return None
    header = (plain[0] & 15) * 4
    src, dst, body = plain[12:16], plain[16:20], plain[header:]
    if plain[9] == ICMP and body[0] in (3, 11, 12) and len(body) >= 36:
        return ends(body[8:], not back)
    if plain[9] == ICMP:
        return ICMP, (dst if back else src), (src if back else dst), body[4:6]
    ports = body[:2], body[2:4]
    return (plain[9], dst, src, ports[::-1]) if back else (plain[9], src, dst, ports)


def tunnelled(plain, mode):
    """A packet for the host as it comes from the border router, one hop before."""
    inner = bytearray(plain)
    if mode == "ipip":
        inner = outside(inner)
    inner[8] += 1
    inner = headed(inner)
    if len(inner) + 40 <= WAN_MTU:
        return [wan(frames.ipv6(inner))]
    size = WAN_MTU - 48 & ~7
    pieces = [inner[at:at + size] for at in range(0, len(inner), size)]
    return [wan(frames.ipv6(frames.fragment_header(frames.IPIP, n * size, n + 1 < len(pieces), 0x80000000 |
                            int.from_bytes(plain[4:6], "big")) + piece, frames.FRAGMENT)) for n, piece in enumerate(pieces)]


def wan(payload):
    return frames.eth(payload, 0x86DD, dst=frames.CE_WAN_MAC, src=frames.GATEWAY_MAC)


def headed(packet_):
    """The header's checksum made right."""
    length = (packet_[0] & 15) * 4
    packet_[10:12] = bytes(2)
    packet_[10:12] = struct.pack("!H", frames.checksum(bytes(packet_[:length])))
    return bytes(packet_)


def outside(inner, at=16):
    """The host's address in a packet to it becomes the outside one, ports stay; checksums by RFC 1624."""
    header, new = (inner[0] & 15) * 4, IPv4Address(frames.OUTSIDE).packed
    old, inner[at:at + 4] = bytes(inner[at:at + 4]), new
    place = {TCP: header + 16, UDP: header + 6}.get(inner[9])
    if place and not later(inner) and len(inner) >= place + 2 and inner[place:place + 2] != bytes(2):
        inner[place:place + 2] = struct.pack("!H", updated(bytes(inner[place:place + 2]), old, new))
    if inner[9] == ICMP and inner[header] in (3, 11, 12) and not later(inner):
        inner[header + 8:] = headed(outside(inner[header + 8:], at=12))
        inner[header + 2:header + 4] = bytes(2)
        inner[header + 2:header + 4] = struct.pack("!H", frames.checksum(bytes(inner[header:])))
    return inner


def updated(check, old, new):
    total = ~int.from_bytes(check, "big") & 0xFFFF
    for word in struct.unpack("!2H", old):
        total += ~word & 0xFFFF
    total += sum(struct.unpack("!2H", new))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
