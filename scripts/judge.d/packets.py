"""IPv4 packets taken apart and put together again; written for the judges, shares nothing with the router."""

import struct
from ipaddress import IPv4Address

from recipes import frames
from recipes.frames import ICMP, TCP, UDP, checksum

QUERIES = (0, 8)


class Bad(Exception):
    """A packet that may not leave."""


def fields(packet):
    """The header's fields and the payload, or Bad."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        raise Bad(f"not IPv4: {packet.hex()}")
    length = (packet[0] & 15) * 4
    _, tos, total, ident, fragment, ttl, proto, _ = struct.unpack("!BBHHHBBH", packet[:12])
    if length < 20 or total != len(packet) or checksum(packet[:length]) != 0:
        raise Bad(f"header length {length}, total {total} of {len(packet)}, sum {checksum(packet[:length])}: {packet.hex()}")
    return {"tos": tos, "id": ident, "flags": fragment >> 13, "offset": (fragment & 0x1FFF) * 8, "ttl": ttl,
            "proto": proto, "src": str(IPv4Address(packet[12:16])), "dst": str(IPv4Address(packet[16:20])),
            "options": packet[20:length], "payload": packet[length:]}


def rebuild(f, **changes):
    f = {**f, **changes}
    return frames.ipv4(f["payload"], f["proto"], f["src"], f["dst"], ttl=f["ttl"], tos=f["tos"], ident=f["id"],
                       flags=f["flags"], offset=f["offset"], options=f["options"])


def fragments(packet, size, options_in_all=True):
    """In pieces with at most `size` bytes of payload each."""
    f, size = fields(packet), size & ~7
    pieces = [f["payload"][at:at + size] for at in range(0, len(f["payload"]), size)]
    return [rebuild(f, payload=piece, offset=n * size, flags=f["flags"] | (n + 1 < len(pieces)))
            for n, piece in enumerate(pieces)]


def joined(packets, twice=False):
    """The same packets with those that came in pieces whole; each with its number of pieces. `twice`: a piece may be there
    twice."""
    whole, parts = [], {}
    for packet in packets:
        f = fields(packet)
        if f["flags"] & 1 or f["offset"]:
            pieces = parts.setdefault((f["src"], f["dst"], f["id"], f["proto"]), [])
            if not (twice and f in pieces):
                pieces.append(f)
        else:
            whole.append((packet, 1))
    for pieces in parts.values():
        pieces.sort(key=lambda f: f["offset"])
        payload = b""
        for f in pieces:
            if f["offset"] != len(payload):
                raise Bad(f"a gap or an overlap at {f['offset']}")
            payload += f["payload"]
        if pieces[-1]["flags"] & 1:
            raise Bad("the last piece is missing")
        whole.append((rebuild(pieces[0], payload=payload, flags=pieces[0]["flags"] & 6), len(pieces)))
    return whole


def transport(f):
    """Ports (or identifier and 0), the checksum as "right", "absent" or "wrong by N", and everything else."""
    p = f["payload"]
    if f["proto"] in (TCP, UDP):
        at = 16 if f["proto"] == TCP else 6
        if len(p) < at + 2:
            return (0, 0), "cut", p
        carried, = struct.unpack("!H", p[at:at + 2])
        total = checksum(frames._pseudo(f["src"], f["dst"], f["proto"], len(p)) + p)
        check = "absent" if carried == 0 and f["proto"] == UDP else "right" if total == 0 else f"wrong by {total}"
        return struct.unpack("!HH", p[:4]), check, p[4:at] + p[at + 2:]
    if f["proto"] == ICMP and len(p) >= 8:
        total = checksum(p)
        check = "right" if total == 0 else f"wrong by {total}"
        if p[0] in QUERIES:
            return (struct.unpack("!H", p[4:6])[0], 0), check, p[:2] + p[6:]
        return (0, 0), check, p[:2] + p[4:]
    return (0, 0), "none", p


def with_ports(packet, src=None, dst=None):
    """TCP, UDP or an echo with other ports (the identifier is `src`), its checksum right again."""
    f = fields(packet)
    p = bytearray(f["payload"])
    if f["proto"] == ICMP:
        p[4:6] = struct.pack("!H", src)
        p[2:4] = bytes(2)
        p[2:4] = struct.pack("!H", checksum(bytes(p)))
        return rebuild(f, payload=bytes(p))
    raise ValueError("only echoes")
