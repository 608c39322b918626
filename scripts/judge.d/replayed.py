"""What `hikyaku replay` let out, given to Linux's own stack: as host, as IPv6 end of the tunnel, as AFTR."""

import re
import select
import socket
import time
from collections import Counter

import net
import packets
import routers
from recipes import frames

# What a captured conversation's middle makes of a host without its sockets: errors about nobody's packets.
NO_FAULT_THERE = {"IcmpInErrors", "IpInUnknownProtos"}
# All that it is asked for of what was hostile from the start: transport checksums stay as wrong as they came, and without a
# NAPT there are packets for others.
HEADER_FAULTS = re.compile(r"Ip(Ext)?(InHdrErrors|InTruncatedPkts|InCsumErrors)$")
TAKER_MAC = "02:00:00:00:09:01"
MARK = b"the end of a capture"


class Host:
    """All addresses of the LAN are its own."""

    def __init__(self):
        net.namespace("taker")
        net.namespace("giver", net__ipv6__conf__all__disable_ipv6=1)
        net.link("taker", "eth0", "giver", "lan", mac=TAKER_MAC)
        net.sysctl("taker", net__ipv6__conf__all__disable_ipv6=1)
        net.run("ip", "-n", "taker", "address", "add", f"{frames.CLIENT}/24", "dev", "eth0")
        net.run("ip", "-n", "taker", "route", "add", "default", "via", frames.ROUTER)
        net.neighbour("taker", "eth0", frames.ROUTER, frames.ROUTER_LAN_MAC)
        net.run("ip", "-n", "taker", "route", "add", "local", "192.168.1.0/24", "dev", "lo", "table", "local")
        self.socket = net.packet_socket("giver", "lan")

    def take(self, records):
        """What the kernel counted."""
        before = net.counters("taker")
        for _, data in records:
            self.socket.send(frames.mac(TAKER_MAC) + data[6:])
            while select.select([self.socket], [], [], 0)[0]:
                self.socket.recv(65536)
        after = net.counters("taker")
        return {name: after[name] - before[name] for name in ("IpInReceives", "IpInDelivers")}, net.faults(before, after)


class BorderRouter:
    """A raw socket gets what comes through the tunnel, outer fragments put together by the kernel."""

    def __init__(self):
        net.namespace("br")
        net.namespace("line", net__ipv6__conf__all__disable_ipv6=1)
        net.link("br", "wan", "line", "br", mac=frames.GATEWAY_MAC)
        net.run("ip", "-n", "br", "-6", "address", "add", f"{frames.BR}/64", "dev", "wan", "nodad")
        net.run("ip", "-n", "br", "-6", "route", "add", "default", "dev", "wan")
        self.socket = net.packet_socket("line", "br")
        with net.inside("br"):
            self.raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, frames.IPIP)
        self.raw.setblocking(False)

    def take(self, records):
        """The packets that came out, and the kernel's complaints."""
        before, got = net.counters("br"), []
        for _, data in records:
            self.socket.send(data)
            try:
                while True:
                    got.append(self.raw.recv(65536))
            except BlockingIOError:
                pass
        return got, {name: n for name, n in net.faults(before, net.counters("br")).items() if name.startswith("Ip6")}


class Aftr:
    """End.DX4 of seg6 takes the outer header off and forwards."""

    def __init__(self):
        net.namespace("dx", net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        net.namespace("around", net__ipv6__conf__all__disable_ipv6=1)
        net.link("dx", "wan", "around", "wan", mac=frames.GATEWAY_MAC)
        net.link("dx", "x0", "around", "x0")
        net.sysctl("dx", net__ipv6__conf__all__seg6_enabled=1, net__ipv6__conf__wan__seg6_enabled=1)
        run = net.run
        run("ip", "-n", "dx", "address", "add", "198.18.0.1/24", "dev", "x0")
        # Without an address the interface takes no IPv6.
        run("ip", "-n", "dx", "-6", "address", "add", "2001:db8:12:3400::1/64", "dev", "wan", "nodad")
        net.neighbour("dx", "x0", "198.18.0.2", "02:00:00:00:09:02")
        run("ip", "-n", "dx", "route", "add", "default", "via", "198.18.0.2")
        # By the inner destination: with a next hop of its own the kernel would ask who has the destination.
        run("ip", "-n", "dx", "-6", "route", "add", f"{frames.BR}/128", "encap", "seg6local", "action", "End.DX4",
            "nh4", "0.0.0.0", "dev", "x0")
        self.sockets = [net.packet_socket("around", name) for name in ("wan", "x0")]

    def take(self, records):
        """The IPv4 packets that it forwarded, and its complaints."""
        before, got = net.counters("dx"), []
        mark = frames.eth(frames.ipv6(frames.ipv4(MARK, routers.MARK), src=frames.CE, dst=frames.BR), 0x86DD,
                          dst=frames.GATEWAY_MAC, src=frames.CE_WAN_MAC)
        for _, data in [*records, (0, mark)]:
            self.sockets[0].send(data)
        end = time.monotonic() + 10
        while True:
            if not select.select([self.sockets[1]], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("the kernel's AFTR did not forward the mark within 10 s")
            data = self.sockets[1].recv(65536)
            if data[12:14] != b"\x08\x00":
                continue
            if routers.untrimmed(data)[20:] == MARK:
                return got, net.faults(before, net.counters("dx"))
            got.append(routers.untrimmed(data))


def hop_on(packet):
    return packets.rebuild(packets.fields(packet), ttl=packet[8] - 1)


def judge(emitted, log):
    """Complaints. `emitted`: name, mode, and records by side."""
    host, br, aftr = Host(), BorderRouter(), Aftr()
    complaints, total = [], Counter()
    for name, mode, left in emitted:
        hostile = name.startswith(("hostile", "hairpin"))

        def complain(text, name=name, mode=mode):
            complaints.append(f"replayed, {name}, {mode}: {text}")

        counted, faults = host.take(left["lan"])
        wanted = len(left["lan"])
        faults = {k: n for k, n in faults.items() if (HEADER_FAULTS.match(k) if hostile else k not in NO_FAULT_THERE)}
        if faults:
            complain(f"the host's kernel found fault: {faults}")
        if not hostile:
            whole = len(packets.joined((routers.untrimmed(data) for _, data in left["lan"]), twice=True))
            if (counted["IpInReceives"], counted["IpInDelivers"]) != (wanted, whole):
                complain(f"of {wanted} frames with {whole} packets the host's kernel counted {counted}")
        total["host"] += wanted

        inner = list(routers.decapsulated(data for _, data in left["wan"]))
        got, faults = br.take(left["wan"])
        if faults:
            complain(f"the far end's kernel found fault: {faults}")
        if Counter(got) != Counter(inner):
            complain(f"{len(got)} packets came out of the far end's kernel, {len(inner)} went in")
        total["far end"] += len(got)

        # It puts no outer fragments together.
        plain = [(at, data) for at, data in left["wan"] if data[20] == frames.IPIP and data[62] > 1]
        got, faults = aftr.take(plain)
        if faults:
            complain(f"the AFTR's kernel found fault: {faults}")
        missing = Counter(hop_on(data[54:]) for _, data in plain)
        missing.subtract(Counter(got))
        wrong = {p.hex(): n for p, n in missing.items() if n}
        if wrong:
            complain(f"not what should have come out of the AFTR's kernel (1: missing, -1: too many): {str(wrong)[:600]}")
        total["AFTR"] += len(got)
    print("replayed:", ", ".join(f"{n} taken by the kernel as {who}" for who, n in total.items()), file=log)
    return complaints
