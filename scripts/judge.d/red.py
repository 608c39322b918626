"""The judges are judged: each must complain about something spoilt."""

import tempfile
from pathlib import Path

import nat
import packets
import replayed
import routers
import wire
from piped import LAN, WAN
from recipes import frames


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


def eyes():
    """tshark and scapy, each fault in a frame of its own."""
    inner = frames.ipv4(frames.udp(b"hikyaku", src=frames.OUTSIDE), src=frames.OUTSIDE)
    tunnel = frames.eth(frames.ipv6(inner, src=frames.CE, dst=frames.BR), 0x86DD, dst=frames.GATEWAY_MAC, src=frames.CE_WAN_MAC)
    error = frames.eth(frames.ipv4(frames.icmp(3, 1, payload=inner[:28]), frames.ICMP, frames.SERVER, frames.CLIENT))
    faults = {"outer length": (tunnel, 19), "inner total length": (tunnel, 57), "inner header checksum": (tunnel, 64),
              "UDP checksum": (tunnel, 80), "ICMP checksum": (error, 36), "quoted header checksum": (error, 52)}
    for name, (frame, at) in faults.items():
        for spoilt in (False, True):
            with tempfile.TemporaryDirectory() as place:
                file = Path(place) / "one.pcap"
                wire.write(file, [(0, flipped(frame, at) if spoilt else frame)])
                if bool(list(wire.tshark(file))) != spoilt and not (spoilt and name == "outer length"):
                    yield f"tshark on {name}, spoilt: {spoilt}"
            data = flipped(frame, at) if spoilt else frame
            if bool(list(wire.scapy([data]))) != spoilt:
                yield f"scapy on {name}, spoilt: {spoilt}"


def stack():
    """The kernel counts what is wrong."""
    host, br = replayed.Host(), replayed.BorderRouter()
    packet = frames.ipv4(frames.udp(src=frames.SERVER, dst=frames.CLIENT), src=frames.SERVER, dst=frames.CLIENT)
    for name, at in [("header checksum", 24), ("UDP checksum", 40)]:
        _, faults = host.take([(0, flipped(frames.eth(packet), at))])
        if not faults:
            yield f"the host's kernel takes a wrong {name}"
    inner = frames.eth(frames.ipv6(packet, src=frames.CE, dst=frames.BR, length=9000), 0x86DD, dst=frames.GATEWAY_MAC)
    got, faults = br.take([(0, inner)])
    if got or not faults:
        yield "the far end's kernel takes a wrong length"
    for ns in ("taker", "giver", "br", "line"):
        replayed.net.run("ip", "netns", "del", ns)


def ttl(side, packet):
    return side, packets.rebuild(packets.fields(packet), ttl=packet[8] - 1)


def transport(side, packet):
    return side, flipped(packet, (packet[0] & 15) * 4 + 3) if len(packet) > 24 else packet


def port(side, packet):
    f = packets.fields(packet)
    if side == LAN or f["proto"] != frames.UDP or f["offset"] or f["flags"] & 1 or len(f["payload"]) < 8:
        return side, packet
    (sport, dport), _, _ = packets.transport(f)
    data = f["payload"][8:]
    return side, packets.rebuild(f, payload=frames.udp(data, sport ^ 1, dport, f["src"], f["dst"]))


def quote(side, packet):
    f = packets.fields(packet)
    if f["proto"] != frames.ICMP or f["payload"][0] not in (3, 11, 12):
        return side, packet
    spoilt = bytearray(flipped(f["payload"], 8 + 20))
    spoilt[2:4] = bytes(2)
    spoilt[2:4] = frames.checksum(bytes(spoilt)).to_bytes(2, "big")
    return side, packets.rebuild(f, payload=bytes(spoilt))


def nothing(side, packet):
    return None


def judge(program, lacks, log):
    complaints = [f"cannot go red: {text}" for text in [*eyes(), *stack()]]
    for spoil in [ttl, transport, port, quote, nothing] if "masquerade" not in lacks else []:
        found, _ = nat.judge(program, 7, 150, log, spoil)
        if not found:
            complaints.append(f"cannot go red: the comparison with the kernel's NAT does not see a spoilt {spoil.__name__}")
    return complaints
