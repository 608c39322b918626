"""Capture files, read and written: classic pcap (both byte orders, micro- and nanoseconds), pcapng, each also gzipped.

Files are written here and not by tcpdump or editcap, because those put the machine's name, kernel and time into headers.
A record is (time in nanoseconds since 1970, bytes); the length on the wire is always the length on file.
"""

import gzip
import io
import struct
from pathlib import Path

ETHERNET = 1
SNAPLEN = 65535

# name of the format -> (byte order, magic, nanoseconds per tick)
CLASSIC = {
    "pcap": ("<", 0xA1B2C3D4, 1000),
    "pcap, big-endian": (">", 0xA1B2C3D4, 1000),
    "pcap, nanoseconds": ("<", 0xA1B23C4D, 1),
}
PCAPNG = "pcapng"


def encode(records, form):
    """The bytes of a capture file in one of the formats above."""
    if form == PCAPNG:
        return _encode_pcapng(records)
    order, magic, tick = CLASSIC[form]
    out = io.BytesIO()
    out.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, SNAPLEN, ETHERNET))
    for when, data in records:
        seconds, rest = divmod(when, 1_000_000_000)
        out.write(struct.pack(order + "IIII", seconds, rest // tick, len(data), len(data)))
        out.write(data)
    return out.getvalue()


def _encode_pcapng(records):
    def block(kind, body):
        total = len(body) + 12
        return struct.pack("<II", kind, total) + body + struct.pack("<I", total)

    out = io.BytesIO()
    out.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
    if_tsresol = struct.pack("<HHB3x", 9, 1, 6) + struct.pack("<HH", 0, 0)
    out.write(block(1, struct.pack("<HHI", ETHERNET, 0, SNAPLEN) + if_tsresol))
    for when, data in records:
        ticks = when // 1000
        head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        out.write(block(6, head + data + bytes(-len(data) % 4)))
    return out.getvalue()


def pack(name, content):
    """What goes on disk under this name: gzipped (no name, no time inside) when it ends in .gz."""
    return gzip.compress(content, 9, mtime=0) if name.endswith(".gz") else content


def unpack(path):
    content = Path(path).read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def read(path):
    """All records of a file in any of the formats above."""
    content = unpack(path)
    if content[:4] == b"\x0a\x0d\x0d\x0a":
        return list(_pcapng_records(content))
    for order, magic, tick in CLASSIC.values():
        if content[:4] == struct.pack(order + "I", magic):
            return list(_classic_records(content, order, tick))
    raise ValueError(f"{path}: not a capture file in a format this reader knows")


def _classic_records(content, order, tick):
    at = 24
    while at < len(content):
        seconds, rest, length, wire = struct.unpack_from(order + "IIII", content, at)
        if length != wire:
            raise ValueError(f"record at byte {at} is cut: {length} of {wire} bytes")
        yield seconds * 1_000_000_000 + rest * tick, content[at + 16 : at + 16 + length]
        at += 16 + length


def _pcapng_records(content):
    at = 0
    while at < len(content):
        kind, total = struct.unpack_from("<II", content, at)
        if kind == 6:
            _, high, low, length, _ = struct.unpack_from("<IIIII", content, at + 8)
            yield ((high << 32) | low) * 1000, content[at + 28 : at + 28 + length]
        at += total
