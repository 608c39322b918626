"""Simple IMIX: 7 small, 4 medium, 1 large frame, in blocks of 12, shuffled inside the block."""

import struct

from recipes import frames as f

HOSTS, FLOWS_PER_HOST, BLOCKS = 16, 16, 200
SIZES = {"64/594/1518": (60, 590, 1514), "64/594/1478": (60, 590, 1474)}  # with FCS -> on file
GIGABIT_NS_PER_BYTE = 8


def records(sizes, flags):
    """LAN to WAN, 256 UDP flows of 16 hosts, ports after RFC 4814 section 4.5 (source 1024-65535, destination 1-49151).

    The payload starts with the frame's number (4 bytes, big-endian, from 0). Times are those of a full 1 Gbit/s line.
    """
    random = f.Random(4814)
    flows, seen = [], set()
    while len(flows) < HOSTS * FLOWS_PER_HOST:
        host = 10 + len(flows) // FLOWS_PER_HOST
        flow = (host, random.between(1024, 65535), random.between(1, 49151))
        if flow[1] not in seen:  # no two flows share a source port: a NAPT that keeps ports has no conflict
            seen.add(flow[1])
            flows.append(flow)
    small, medium, large = SIZES[sizes]
    order, out, when, number = [], [], f.EPOCH_NS, 0
    for _ in range(BLOCKS):
        block = [small] * 7 + [medium] * 4 + [large]
        random.shuffle(block)
        for size in block:
            if not order:
                order = list(range(len(flows)))
                random.shuffle(order)
            host, sport, dport = flows[order.pop()]
            src, dst = f"192.168.1.{host}", f"198.51.100.{1 + sport % 254}"
            payload = struct.pack("!I", number) + f.pattern(size - 14 - 20 - 8 - 4)
            datagram = f.udp(payload, sport, dport, src, dst)
            packet = f.ipv4(datagram, src=src, dst=dst, flags=flags, ident=number & 0xFFFF)
            out.append((when, f.eth(packet, src=f"02:00:00:00:01:{host:02x}")))
            when += (size + 4 + 20) * GIGABIT_NS_PER_BYTE
            number += 1
    return out
