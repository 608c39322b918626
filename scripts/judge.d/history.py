"""The random history that both NAPTs live through. An event is what one side sends, made for each router apart: what comes
from outside goes to the port that that router chose."""

import random
import struct
from dataclasses import dataclass, field

import packets
from piped import LAN, WAN
from recipes import frames
from recipes.frames import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP
from routers import HOSTS

PEERS = ["203.0.113.80", "198.51.100.7", "198.51.100.9"]
ROUTERS = ["100.64.0.1", "203.0.113.1"]  # on the way, not peers
EDGES = [0, 1, 1023, 1024, 65535]
OURS, KERNELS = 0, 1

ERRORS = [(3, code) for code in (0, 1, 2, 3, 4, 9, 10, 13)] + [(11, 0), (11, 1), (12, 0)]
PASSING_OPTIONS = {"no-operation": b"\1\1\1\0", "router-alert": b"\x94\4\0\0", "timestamp": b"\x44\x0c\5\0" + bytes(8),
                   "security": b"\x82\x0b" + bytes(9) + b"\0", "experiment": b"\x9e\4\0\0"}
OTHER_OPTIONS = {"record-route": b"\7\7\4" + bytes(4) + b"\0", "loose-source-route": b"\x83\7\4\xc6\x33\x64\7\0",
                 "strict-source-route": b"\x89\7\4\xc6\x33\x64\7\0"}
TCP_OPTIONS = [b"", b"\2\4\5\xb4", b"\2\4\5\xb4\4\2\1\3\3\7\1\1", b"\2\4\2\x18", b"\1\1\x08\x0a\0\0\1\0\0\0\0\0"]


@dataclass
class Flow:
    proto: int
    inside: tuple
    peer: tuple
    outside: list = None  # the port of each router
    state: str = "new"
    seq: list = field(default_factory=lambda: [1000, 5000])  # next of the host, of the peer
    sent: list = field(default_factory=lambda: [None, None])  # last packet that left outside, of each router
    heard: bytes = None  # last packet that came in, as the host sees it

    def __post_init__(self):
        self.outside = [self.inside[1]] * 2


@dataclass
class Event:
    """`packets` are two lists, for either router. `quoted` likewise: what an error is about, as its receiver sent it."""

    what: str
    side: int
    packets: list
    flow: Flow = None
    tags: frozenset = frozenset()
    quoted: list = None


class History:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.flows = []
        self.ident = 0
        self.pending = []

    def next(self):
        """The next event; what it led to is then told to `note`."""
        if self.pending:
            return self.pending.pop(0)()
        choices = [(self.open, 6), (self.go_on, 14), (self.echo, 4), (self.error_outside, 5), (self.error_inside, 3),
                   (self.stranger, 2), (self.fragmented, 3), (self.hops, 3), (self.options, 2), (self.too_big, 2),
                   (self.martian, 1), (self.broken, 2), (self.unknown_error, 2), (self.out_of_window, 1),
                   (self.wrong_sum, 1), (self.own_address, 1), (self.after_the_end, 2), (self.odd_tcp, 2), (self.odd_error, 3),
                   (self.odd_icmp, 1)]
        make, = self.random.choices([c for c, _ in choices], [w for _, w in choices])
        return make()

    # What is sent.

    def ipv4(self, payload, proto, src, dst, **more):
        self.ident = self.ident % 65000 + 1
        more.setdefault("tos", self.random.choice([0, 0, 0, 0xB8, 1, 2, 3]))
        more.setdefault("flags", self.random.choice([0, 2]))
        more.setdefault("ttl", self.random.choice([2, 64, 128, 255]))
        return frames.ipv4(payload, proto, src, dst, ident=self.ident, **more)

    def payload(self, most=200):
        return self.random.randbytes(self.random.choice([0, 1, 7, 8, self.random.randrange(most)]))

    def transport(self, flow, out, outside, payload, flags=ACK, options=b"", absent=False, seq=None):
        """TCP, UDP or echo of a flow; `out` from the host, else from the peer to the port `outside`."""
        here, there = (flow.inside, flow.peer) if out else (flow.peer, (frames.OUTSIDE, outside))
        ends = {"src": here[0], "dst": there[0]}
        if flow.proto == ICMP:
            return frames.echo(flow.inside[1] if out else outside, 1, payload, reply=not out)
        ends.update(sport=here[1], dport=there[1])
        if flow.proto == UDP:
            return frames.udp(payload, **ends, check=0 if absent else None)
        mine, theirs = flow.seq if out else flow.seq[::-1]
        return frames.tcp(payload, **ends, seq=mine if seq is None else seq, ack=theirs if flags & ACK else 0, flags=flags,
                          options=options)

    def packet(self, flow, out, payload=b"", more=None, **how):
        """The event of one packet of a flow."""
        more = dict(more or {})
        more.setdefault("tos", self.random.choice([0, 0, 0, 0xB8, 1, 2, 3]))
        more.setdefault("flags", self.random.choice([0, 2]))
        more.setdefault("ttl", self.random.choice([2, 64, 128, 255]))
        src, dst = (flow.inside[0], flow.peer[0]) if out else (flow.peer[0], frames.OUTSIDE)
        self.ident = self.ident % 65000 + 1
        return [frames.ipv4(self.transport(flow, out, outside, payload, **how), flow.proto, src, dst, ident=self.ident, **more)
                for outside in flow.outside]

    def event(self, what, flow, out, payload=b"", tags=(), more=None, **how):
        made = self.packet(flow, out, payload, more, **how)
        return Event(what, LAN if out else WAN, [[p] for p in made], flow, frozenset(tags))

    def new_flow(self, proto=None):
        random = self.random
        proto = proto or random.choice([TCP, UDP])
        port = random.choice([random.choice(EDGES), random.randrange(1024, 1060), random.randrange(1024, 65536)])
        # Peers' ports apart from those that have shorter lives.
        inside, peer = (random.choice(list(HOSTS)), port), (random.choice(PEERS), random.choice([80, 443, 5000, 65535]))
        if proto == ICMP:
            peer = (peer[0], 0)
        for flow in self.flows:
            if (flow.proto, flow.inside, flow.peer) == (proto, inside, peer):
                return flow
        flow = Flow(proto, inside, peer, seq=[random.randrange(2**31), random.randrange(2**31)])
        self.flows.append(flow)
        return flow

    def some_flow(self, proto=None, open_only=True):
        """A flow that has been answered, or None."""
        states = ("open",) if open_only else ("open", "closing", "closed", "reset")
        fit = [f for f in self.flows if f.state in states and proto in (None, f.proto)]
        return self.random.choice(fit) if fit else None

    # Events.

    def open(self):
        flow = self.new_flow()
        if flow.proto == UDP:
            flow.state = "open"
            return self.event("udp-out", flow, True, self.payload(), absent=self.random.random() < 0.1)
        if flow.state != "new":
            return self.go_on()
        flow.state = "opening"
        options = self.random.choice(TCP_OPTIONS)
        self.handshake(flow)
        return self.event("tcp-syn", flow, True, flags=SYN, options=options)

    def handshake(self, flow):
        def syn_ack():
            flow.seq[0] += not flow.seq_taken
            flow.seq_taken = True
            return self.event("tcp-syn-ack", flow, False, flags=SYN | ACK, options=self.random.choice(TCP_OPTIONS))

        def ack():
            flow.seq[1] += 1
            flow.state = "open"
            return self.event("tcp-ack", flow, True)

        flow.seq_taken = False
        how = self.random.random()
        if how < 0.1:  # both open at once (RFC 9293 3.5): the peer's SYN has crossed ours
            self.pending.append(lambda: self.event("tcp-simultaneous-syn", flow, False, flags=SYN,
                                                   tags=["simultaneous-open"]))
            self.pending.append(syn_ack)
        else:
            self.pending += [syn_ack] * (2 if how < 0.25 else 1)  # sent again
        self.pending.append(ack)

    def go_on(self):
        flow = self.some_flow()
        if flow is None:
            return self.open()
        out = self.random.random() < 0.5
        if flow.proto == ICMP:
            return self.event("echo-request" if out else "echo-reply", flow, out, self.payload())
        if flow.proto == UDP:
            return self.event("udp-out" if out else "udp-in", flow, out, self.payload(1400),
                              absent=self.random.random() < 0.1)
        how = self.random.random()
        if how < 0.08:
            return self.close(flow, out)
        if how < 0.11:
            flow.state = "reset"
            return self.event("tcp-reset", flow, out, flags=RST | ACK)
        payload = self.payload(1200)
        event = self.event("tcp-data", flow, out, payload, flags=ACK | (PSH if payload else 0))
        flow.seq[0 if out else 1] += len(payload)
        # Acknowledged at once, so that no window fills.
        self.pending.append(lambda: self.event("tcp-ack", flow, not out))
        return event

    def close(self, flow, out):
        flow.state = "closing"
        mine, theirs = (0, 1) if out else (1, 0)

        def acknowledged():
            flow.seq[mine] += 1
            return self.event("tcp-ack-of-fin", flow, not out)

        def other():
            return self.event("tcp-fin", flow, not out, flags=FIN | ACK)

        def last():
            flow.seq[theirs] += 1
            flow.state = "closed"
            return self.event("tcp-last-ack", flow, out)

        self.pending += [acknowledged, other, last]
        if self.random.random() < 0.3:
            def again():
                flow.seq = [s + 100_000 for s in flow.seq]
                flow.state = "opening"
                self.handshake(flow)
                return self.event("tcp-syn-again", flow, True, flags=SYN, tags=["reopened"])
            self.pending.append(again)
        return self.event("tcp-fin", flow, out, flags=FIN | ACK)

    def echo(self):
        flow = self.new_flow(ICMP)
        flow.state = "open"
        return self.event("echo-request", flow, True, self.payload())

    def error(self, what, quote, src, dst, side, kind, code, flow, tags=(), quoted=None):
        length = self.random.choice([28, 28, 60, 548])
        mtu = struct.pack("!HH", 0, 1400) if (kind, code) == (3, 4) else b"\0\0\0\0"
        self.ident = self.ident % 65000 + 1
        made = [[frames.ipv4(frames.icmp(kind, code, mtu, q[:length]), ICMP, src, dst, ident=self.ident, ttl=60, flags=0)]
                for q in quote]
        quoted = [q[:length] for q in quoted] if quoted else None
        return Event(what, side, made, flow, frozenset(tags), quoted)

    def error_outside(self):
        """A router or the peer sends an error about what the host sent last."""
        flow = self.some_flow()
        if flow is None or None in flow.sent:
            return self.open()
        kind, code = self.random.choice(ERRORS)
        src = self.random.choice([*ROUTERS, flow.peer[0]])
        hops = self.random.choice([1, 0, 50])
        quote = [packets.rebuild(packets.fields(p), ttl=hops) for p in flow.sent]
        return self.error("error-from-outside", quote, src, frames.OUTSIDE, WAN, kind, code, flow, [f"error {kind}/{code}"])

    def error_inside(self):
        """The host sends an error about what came in last."""
        flow = self.some_flow()
        if flow is None or flow.heard is None:
            return self.open()
        kind, code = self.random.choice(ERRORS)
        return self.error("error-from-inside", [flow.heard] * 2, flow.inside[0], flow.peer[0], LAN, kind, code, flow,
                          [f"error {kind}/{code}"], quoted=flow.came)

    def unknown_error(self):
        """About packets of nobody's, from outside and from inside."""
        port = self.random.randrange(1024, 65536)
        proto = self.random.choice([TCP, UDP, ICMP])
        flow = Flow(proto, ("192.168.1.10", port), (self.random.choice(PEERS), 0 if proto == ICMP else 7))
        kind, code = self.random.choice(ERRORS)
        if self.random.random() < 0.5:
            quote = self.ipv4(self.transport(flow, True, port, b"nobody's"), proto, frames.OUTSIDE, flow.peer[0])
            return self.error("unknown-error-outside", [quote] * 2, ROUTERS[0], frames.OUTSIDE, WAN, kind, code, None)
        quote = self.ipv4(self.transport(flow, False, port, b"nobody's"), proto, flow.peer[0], flow.inside[0])
        return self.error("unknown-error-inside", [quote] * 2, flow.inside[0], flow.peer[0], LAN, kind, code, None)

    def stranger(self):
        """Somebody who was not spoken to, to a port that may be mapped or not, and echo from outside."""
        flow = self.some_flow() if self.random.random() < 0.5 else None
        proto = flow.proto if flow else self.random.choice([TCP, UDP, ICMP])
        ports = flow.outside if flow else [self.random.randrange(30000, 40000)] * 2
        made = []
        for port in ports:
            ends = {"src": "198.51.100.200", "dst": frames.OUTSIDE}
            payload = (frames.echo(port) if proto == ICMP else
                       frames.udp(sport=9, dport=port, **ends) if proto == UDP else frames.tcp(sport=9, dport=port, **ends))
            made.append([frames.ipv4(payload, proto, **ends)])
        return Event("stranger", WAN, made)

    def fragmented(self):
        """A large datagram or echo in pieces, in order, reversed or shuffled, both ways."""
        flow = self.some_flow(self.random.choice([UDP, ICMP]))
        if flow is None:
            return self.open()
        out = self.random.random() < 0.5
        payload = self.random.randbytes(self.random.randrange(1600, 4000))
        made = self.packet(flow, out, payload, more={"flags": 0, "ttl": 64})
        size, order = self.random.choice([1400, 600, 560]), self.random.choice(["in order", "reversed", "shuffled"])
        pieces = [packets.fragments(p, size) for p in made]
        places = list(range(len(pieces[0])))
        if order == "reversed":
            places.reverse()
        elif order == "shuffled":
            self.random.shuffle(places)
        return Event("fragments", LAN if out else WAN, [[p[at] for at in places] for p in pieces], flow,
                     frozenset(["fragmented", order]))

    def hops(self):
        """TTL 0, 1 and 2, both ways."""
        flow = self.some_flow(self.random.choice([UDP, ICMP]))
        if flow is None:
            return self.open()
        ttl = self.random.choice([0, 1, 1, 2])
        out = self.random.random() < 0.5
        return self.event(f"ttl-{ttl}-{'out' if out else 'in'}", flow, out, self.payload(), [f"ttl {ttl}"], {"ttl": ttl})

    def options(self):
        flow = self.some_flow(self.random.choice([UDP, ICMP]))
        if flow is None:
            return self.open()
        name, options = self.random.choice([*PASSING_OPTIONS.items(), *OTHER_OPTIONS.items()])
        return self.event("options", flow, self.random.random() < 0.5, self.payload(), [name], {"options": options})

    def too_big(self):
        """More than the tunnel carries whole, with DF and without."""
        flow = self.some_flow(self.random.choice([UDP, ICMP, TCP]))
        if flow is None:
            return self.open()
        df = self.random.random() < 0.5
        size = self.random.choice([1461, 1472, 1500]) - 20 - {UDP: 8, ICMP: 8, TCP: 20}[flow.proto]
        event = self.event("too-big", flow, True, self.random.randbytes(size), ["df" if df else "no df"],
                           {"flags": 2 if df else 0, "ttl": 64})
        if flow.proto == TCP and not df:
            flow.seq[0] += size
            self.pending.append(lambda: self.event("tcp-ack", flow, False))
        return event

    def martian(self):
        """From and to where no host can be."""
        src, dst = "192.168.1.10", PEERS[0]
        if self.random.random() < 0.5:
            src = self.random.choice(["127.0.0.1", "0.0.0.0", "224.0.0.5", "255.255.255.255", "240.0.0.1", "10.0.0.5",
                                      "192.168.1.1", "192.168.1.255", frames.OUTSIDE])
        else:
            dst = self.random.choice(["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.168.1.255", "240.0.0.1"])
        packet = frames.ipv4(frames.udp(sport=4000, dport=4000, src=src, dst=dst), UDP, src, dst)
        return Event("martian", LAN, [[packet]] * 2, None, frozenset([f"{src} to {dst}"]))

    def broken(self):
        """An IPv4 header that is wrong, or a transport header that is cut."""
        src, dst = "192.168.1.10", PEERS[1]
        whole = frames.udp(sport=4001, dport=4001, src=src, dst=dst)
        wrong = self.random.choice(["checksum", "version", "ihl", "total", "cut-udp", "udp-length", "cut-tcp", "cut-icmp"])
        packet = {
            "checksum": lambda: frames.ipv4(whole, UDP, src, dst, check=0x1234),
            "version": lambda: frames.ipv4(whole, UDP, src, dst, version=5),
            "ihl": lambda: frames.ipv4(whole, UDP, src, dst, ihl=4),
            "total": lambda: frames.ipv4(whole, UDP, src, dst, total=1400),
            "cut-udp": lambda: frames.ipv4(whole[:7], UDP, src, dst),
            "udp-length": lambda: frames.ipv4(frames.udp(sport=4001, dport=4001, src=src, dst=dst, length=100), UDP, src, dst),
            "cut-tcp": lambda: frames.ipv4(frames.tcp(src=src, dst=dst)[:19], TCP, src, dst),
            "cut-icmp": lambda: frames.ipv4(frames.echo()[:7], ICMP, src, dst),
        }[wrong]()
        return Event("broken", LAN, [[packet]] * 2, None, frozenset([wrong]))

    def out_of_window(self):
        flow = self.some_flow(TCP)
        if flow is None:
            return self.open()
        out = self.random.random() < 0.5
        far = (flow.seq[0 if out else 1] + 2**30) % 2**32
        return self.event("tcp-out-of-window", flow, out, b"late", ["window"], seq=far)

    def wrong_sum(self):
        """A transport checksum that is wrong."""
        flow = self.some_flow(self.random.choice([UDP, TCP, ICMP]))
        if flow is None:
            return self.open()
        out = self.random.random() < 0.5
        made = []
        for packet in self.packet(flow, out, b"spoilt"):
            f = packets.fields(packet)
            made.append([packets.rebuild(f, payload=f["payload"][:-1] + b"T")])
        return Event("wrong-checksum", LAN if out else WAN, made, flow, frozenset(["wrong checksum"]))

    def own_address(self):
        """A host sends to the outside address: nobody has that port."""
        ends = {"src": "192.168.1.10", "dst": frames.OUTSIDE}
        return Event("own-address", LAN, [[frames.ipv4(frames.udp(sport=4002, dport=39999, **ends), UDP, **ends)]] * 2)

    def after_the_end(self):
        """Packets of a connection that is closed or was reset."""
        ended = [f for f in self.flows if f.proto == TCP and f.state in ("closed", "reset")]
        if not ended:
            return self.open()
        flow, out = self.random.choice(ended), self.random.random() < 0.5
        flags = self.random.choice([ACK, ACK | PSH, FIN | ACK, RST])
        return self.event("tcp-after-end", flow, out, b"late" if flags & PSH else b"", [flow.state, f"flags {flags}"], flags=flags)

    def odd_tcp(self):
        """A packet from inside that opens no connection as RFC 9293 has it."""
        flow = self.new_flow(TCP)
        if flow.state != "new":
            return self.go_on()
        flow.state = "odd"
        flags = self.random.choice([ACK, SYN | ACK, FIN | ACK, RST, RST | ACK, SYN | FIN, SYN | RST, 0, 63])
        return self.event("tcp-odd", flow, True, tags=[f"flags {flags}"], flags=flags)

    def odd_error(self):
        """An error from outside with something wrong in it."""
        flow = self.some_flow(self.random.choice([UDP, TCP, ICMP]))
        if flow is None or None in flow.sent:
            return self.open()
        odd = self.random.choice(["icmp checksum", "quoted checksum", "cut in the header", "cut in the ports", "later fragment",
                                  "other source", "redirect", "source quench", "unknown type"])
        kind, code = {"redirect": (5, 1), "source quench": (4, 0), "unknown type": (40, 0)}.get(odd, (3, 1))
        made = []
        for packet in flow.sent:
            f = packets.fields(packet)
            quote = packets.rebuild(f, src="192.0.2.77") if odd == "other source" else packets.rebuild(
                f, offset=1480) if odd == "later fragment" else packet
            if odd == "quoted checksum":
                quote = quote[:10] + bytes([quote[10] ^ 0xFF]) + quote[11:]
            header = (quote[0] & 15) * 4
            quote = quote[:{"cut in the header": 19, "cut in the ports": header + 3}.get(odd, header + 8)]
            check = 0x1234 if odd == "icmp checksum" else None
            made.append([frames.ipv4(frames.icmp(kind, code, b"\xc6\x33\x64\x01" if kind == 5 else bytes(4), quote, check), ICMP,
                                     ROUTERS[0], frames.OUTSIDE, ident=7)])
        return Event("odd-error", WAN, made, flow, frozenset([odd]))

    def odd_icmp(self):
        """Queries but for echo, a reply that nobody asked for, types that nobody knows, from inside."""
        kind = self.random.choice([0, 9, 10, 13, 14, 17, 30, 200])
        flow = self.some_flow(ICMP)
        if flow and self.random.random() < 0.5:
            event = self.event("echo-backwards", flow, self.random.random() < 0.5, b"which way?")
            for one in event.packets:
                f = packets.fields(one[0])
                turned = bytes([8 - f["payload"][0], 0, 0, 0]) + f["payload"][4:]
                one[0] = packets.rebuild(f, payload=turned[:2] + struct.pack("!H", frames.checksum(turned)) + turned[4:])
            return event
        # No echo has such an identifier, nor has any other type.
        packet = self.ipv4(frames.icmp(kind, 0, struct.pack("!HH", 900 + kind, 1), bytes(12)), ICMP, "192.168.1.11", PEERS[2])
        return Event("odd-icmp", LAN, [[packet]] * 2, None, frozenset([f"type {kind}"]))

    # What came of it.

    def note(self, event, left):
        """`left`, for either router, is what left it: side and packet each."""
        flow = event.flow
        if flow is None:
            return
        if event.side == LAN and not event.what.startswith("error") and not event.tags & {"record-route", "timestamp"}:
            sent = [[p for side, p in left[router] if side == WAN] for router in (OURS, KERNELS)]
            # Only what both have sent is spoken of later.
            if [len(s) for s in sent] == [1, 1]:
                outside = [packets.transport(packets.fields(s[0]))[0][0] for s in sent]
                if outside != flow.outside:
                    flow.heard = None  # came to a mapping of before
                flow.sent, flow.outside = [s[0] for s in sent], outside
        got = [[p for side, p in left[r] if side == LAN and event.side == WAN] for r in (OURS, KERNELS)]
        # Not of what was changed on its way by more than translation.
        as_sent = event.what in ("udp-in", "tcp-data", "tcp-ack", "echo-reply")
        if as_sent and got[OURS] == got[KERNELS] and len(got[OURS]) == 1:
            flow.heard = got[OURS][0]
            flow.came = [p[0] for p in event.packets]
