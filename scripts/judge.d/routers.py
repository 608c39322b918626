"""The two NAPTs that are compared, with one face: IPv4 packets in on a side, those that leave out."""

import select
import socket
import time

import net
import packets
from piped import LAN, WAN, PipedRouter
from recipes import frames

HOSTS = {"192.168.1.10": "02:00:00:00:01:0a", "192.168.1.11": "02:00:00:00:01:0b"}
TUNNEL_MTU, MSS = 1460, 1420


class Ours:
    """Its tunnel taken off and put on again."""

    def __init__(self, program, events):
        self.router = PipedRouter(program, "ipip")
        # Milliseconds for each event: an echo's session is the first to end, after a minute.
        self.pace = max(1, min(5, 50_000 // events))

    def exchange(self, side, sent):
        left, self.verdicts = [], []
        for packet in sent:
            left += self.router.frame(side, framed(packet) if side == LAN else tunnelled(packet))
            self.verdicts.append(self.router.verdicts)
        # ICMP errors are not so many that a rate is felt.
        self.router.wait(self.pace)
        lan = [untrimmed(frame) for at, frame in left if at == LAN]
        return [(LAN, packet) for packet in lan] + [(WAN, packet) for packet in decapsulated(
            frame for at, frame in left if at == WAN)]

    def close(self):
        self.router.close()


class Kernel:
    """A namespace with nft masquerade, packet sockets at both its ends."""

    def __init__(self):
        net.namespace("nat", net__ipv4__ip_forward=1)
        net.namespace("ends", net__ipv6__conf__all__disable_ipv6=1)
        net.sysctl("nat", net__ipv6__conf__all__disable_ipv6=1)
        net.link("nat", "lan", "ends", "lan", mac=frames.ROUTER_LAN_MAC)
        net.link("nat", "wan", "ends", "wan", mac=frames.CE_WAN_MAC)
        run = net.run
        run("ip", "-n", "nat", "link", "set", "wan", "mtu", str(TUNNEL_MTU))
        run("ip", "-n", "nat", "address", "add", f"{frames.ROUTER}/24", "dev", "lan")
        run("ip", "-n", "nat", "address", "add", f"{frames.OUTSIDE}/32", "dev", "wan")
        run("ip", "-n", "nat", "route", "add", "default", "via", "192.0.2.254", "dev", "wan", "onlink")
        net.neighbour("nat", "wan", "192.0.2.254", frames.GATEWAY_MAC)
        for host, mac in HOSTS.items():
            net.neighbour("nat", "lan", host, mac)
        # Nothing ages and no rate is felt while this runs.
        net.on("nat", "nft", "-f", "-", input=RULES)
        net.sysctl("nat", net__ipv4__icmp_ratelimit=0, net__ipv4__icmp_ratemask=0, net__ipv4__icmp_msgs_per_sec=100000,
                   net__ipv4__icmp_msgs_burst=100000,
                   net__ipv4__conf__lan__rp_filter=1, net__ipv4__conf__all__send_redirects=0,
                   net__ipv4__conf__lan__send_redirects=0,
                   **{f"net__netfilter__nf_conntrack_{name}": 3600 for name in [
                       "udp_timeout", "udp_timeout_stream", "icmp_timeout", "tcp_timeout_close", "tcp_timeout_close_wait",
                       "tcp_timeout_fin_wait", "tcp_timeout_last_ack", "tcp_timeout_syn_recv", "tcp_timeout_syn_sent",
                       "tcp_timeout_time_wait", "tcp_timeout_max_retrans", "tcp_timeout_unacknowledged"]})
        self.sockets = [net.packet_socket("ends", "lan"), net.packet_socket("ends", "wan")]
        self.marks = 0

    def close(self):
        for sock in self.sockets:
            sock.close()
        for name in ("nat", "ends"):
            net.run("ip", "netns", "del", name)

    def exchange(self, side, sent):
        for packet in sent:
            ends = (frames.ROUTER_LAN_MAC, HOSTS.get(host_of(packet), frames.CLIENT_MAC)) if side == LAN else (
                frames.CE_WAN_MAC, frames.GATEWAY_MAC)
            self.sockets[side].send(frames.eth(packet, dst=ends[0], src=ends[1]))
        # One queue and one core: when the mark comes out, what went in before it is done with.
        self.marks += 1
        payload = self.marks.to_bytes(8, "big")
        self.sockets[LAN].send(frames.eth(frames.ipv4(payload, MARK, flags=0)))
        left = [(WAN, packet) for packet in self._until(payload)]
        return [(LAN, packet) for packet in self._waiting()] + left

    def _waiting(self):
        got = []
        while select.select([self.sockets[LAN]], [], [], 0)[0]:
            frame = self.sockets[LAN].recv(65536)
            if frame[12:14] == b"\x08\x00":
                got.append(untrimmed(frame))
        return got

    def _until(self, payload):
        got, end = [], time.monotonic() + 10
        while True:
            if not select.select([self.sockets[WAN]], [], [], max(0, end - time.monotonic()))[0]:
                raise RuntimeError("the kernel did not forward the mark within 10 s")
            frame = self.sockets[WAN].recv(65536)
            if frame[12:14] != b"\x08\x00":
                continue
            if frame[23] == MARK:
                if frame[34:42] == payload:
                    return got
                continue
            got.append(untrimmed(frame))


# A protocol for experiments (RFC 3692): not tracked, not translated.
MARK = 253
RULES = f"""
table ip judge {{
    chain raw {{ type filter hook prerouting priority raw; ip protocol {MARK} notrack; }}
    chain input {{ type filter hook input priority filter; iifname wan ct state != {{ established, related }} drop; }}
    chain forward {{
        type filter hook forward priority filter;
        ip protocol {MARK} accept
        ct state invalid drop
        iifname wan ct state new drop
        tcp flags & (syn | rst) == syn tcp option maxseg size set {MSS}
    }}
    chain post {{ type nat hook postrouting priority srcnat; oifname wan ip protocol != {MARK} masquerade; }}
}}
"""


def host_of(packet):
    return ".".join(map(str, packet[12:16]))


def framed(packet):
    return frames.eth(packet, src=HOSTS.get(host_of(packet), frames.CLIENT_MAC))


def tunnelled(packet):
    return frames.eth(frames.ipv6(packet), 0x86DD, dst=frames.CE_WAN_MAC, src=frames.GATEWAY_MAC)


def untrimmed(frame):
    """The packet of an IPv4 frame, without padding."""
    return frame[14:14 + int.from_bytes(frame[16:18], "big")]


def decapsulated(tunnel):
    """The inner packets of the router's tunnel frames, outer fragments put together."""
    parts = {}
    for frame in tunnel:
        assert frame[12:14] == b"\x86\xdd" and int.from_bytes(frame[18:20], "big") == len(frame) - 54, frame.hex()
        if frame[20] == frames.IPIP:
            yield frame[54:]
            continue
        assert frame[20] == frames.FRAGMENT and frame[54] == frames.IPIP, frame.hex()
        offset = int.from_bytes(frame[56:58], "big")
        pieces = parts.setdefault(frame[58:62], {})
        pieces[offset & ~7] = frame[62:]
        if not offset & 1:
            whole = b""
            for at in sorted(pieces):
                assert at == len(whole), "outer fragments with a gap or an overlap"
                whole += pieces[at]
            yield whole
