"""Real sockets of a host and of a server in two kernels, hikyaku between them, a kernel's AFTR behind it (seg6 End.DX4)."""

import select
import socket
import struct
import time

import net
from piped import LAN, WAN, PipedRouter
from recipes import frames

HOST, SERVER = frames.CLIENT, frames.SERVER
# Of every link, so that nothing needs outer fragments: End.DX4 knows none.
MTU = 1460
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU, IP_RECVERR = 10, 2, 14, 11


class Line:
    """Namespaces host, aftr and inet; `pump` carries frames between the first two through the router."""

    def __init__(self, program, mode):
        self.mode, self.router = mode, PipedRouter(program, mode)
        self.names = [f"{name}-{mode}" for name in ("host", "aftr", "inet", "pump")]
        self.host, self.aftr, self.inet, pump = self.names
        for name in self.names:
            net.namespace(name, net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        for name in (self.host, pump):
            net.sysctl(name, net__ipv6__conf__all__disable_ipv6=1, net__ipv6__conf__default__disable_ipv6=1)
        net.link(self.host, "eth0", pump, "h", mac=frames.CLIENT_MAC)
        net.link(self.aftr, "wan", pump, "w", mac=frames.GATEWAY_MAC)
        net.link(self.aftr, "x0", self.inet, "e0", mtu=MTU)
        self._host()
        self._aftr()
        run = net.run
        run("ip", "-n", self.inet, "address", "add", f"{SERVER}/24", "dev", "e0")
        run("ip", "-n", self.inet, "route", "add", "default", "via", "203.0.113.1")
        self.sockets = [net.packet_socket(pump, "h"), net.packet_socket(pump, "w")]
        self.records, self.began = [], time.monotonic()
        self.told = 0

    def _host(self):
        net.run("ip", "-n", self.host, "address", "add", f"{HOST}/24", "dev", "eth0")
        net.run("ip", "-n", self.host, "route", "add", "default", "via", frames.ROUTER)
        net.neighbour(self.host, "eth0", frames.ROUTER, frames.ROUTER_LAN_MAC)

    def _aftr(self):
        ns, customer = self.aftr, f"{frames.OUTSIDE}/32" if self.mode == "ipip" else "192.168.1.0/24"
        net.sysctl(ns, net__ipv6__conf__all__seg6_enabled=1, net__ipv6__conf__wan__seg6_enabled=1,
                   net__ipv4__icmp_ratelimit=0)
        run = net.run
        run("ip", "-n", ns, "address", "add", "203.0.113.1/24", "dev", "x0")
        run("ip", "-n", ns, "-6", "address", "add", "2001:db8:12:3400::1/64", "dev", "wan", "nodad")
        net.neighbour(ns, "wan", frames.CE, frames.CE_WAN_MAC)
        run("ip", "-n", ns, "-6", "route", "add", f"{frames.BR}/128", "encap", "seg6local", "action", "End.DX4",
            "nh4", SERVER, "dev", "x0")
        run("ip", "-n", ns, "sr", "tunsrc", "set", frames.BR)
        run("ip", "-n", ns, "route", "add", customer, "encap", "seg6", "mode", "encap.red", "segs", frames.CE, "dev", "wan")

    def pump(self, what, done, seconds=10):
        """Carries frames until `done()`."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.mode}: {what}: not within {seconds} s; the router's last word: {self.router.verdicts}")
            ready, _, _ = select.select(self.sockets, [], [], 0.01)
            for sock in ready:
                self.carry(self.sockets.index(sock), sock.recv(65536))

    def carry(self, side, frame):
        if frame[12:14] not in (b"\x08\x00", b"\x86\xdd") or frame[20:21] in (b"\x3a", b"\0") and side == WAN:
            return  # ARP, neighbour discovery, multicast listeners
        now = int((time.monotonic() - self.began) * 1000)
        self.router.wait(now - self.told)
        self.told = now
        for to, out in self.router.frame(side, frame):
            self.records.append((int(time.time() * 1e9), out))
            self.sockets[to].send(out)

    def socket(self, ns, kind, proto=0, bind=None):
        with net.inside(ns):
            sock = socket.socket(socket.AF_INET, kind, proto)
        sock.setblocking(False)
        if bind:
            sock.bind(bind)
        return sock

    # What is tried. Each raises if it does not come about.

    def all(self):
        for trial in (self.datagrams, self.connection, self.echo, self.closed_port, self.hops, self.too_big):
            trial()

    def datagrams(self):
        """Both ways, every one once and as it was sent; large ones in fragments of the kernels'."""
        server = self.socket(self.inet, socket.SOCK_DGRAM, bind=(SERVER, 7))
        client = self.socket(self.host, socket.SOCK_DGRAM, bind=(HOST, 4000))
        sent = [frames.pattern(size, size) for size in [0, 1, 2, 3, 17, 512, 1400, 1431, 1432, 1433, 2000, 4000, 9000, 20000]]
        # So that its fragments, too, fit the tunnel whole.
        net.run("ip", "-n", self.host, "route", "change", "default", "via", frames.ROUTER, "mtu", "lock", str(MTU))
        for data in sent:
            got, back = [], []

            def done():
                for sock, heard in [(server, got), (client, back)]:
                    try:
                        data_, peer = sock.recvfrom(65536)
                    except BlockingIOError:
                        continue
                    heard.append(data_)
                    if sock is server:
                        server.sendto(data_[::-1], peer)
                return back

            client.sendto(data, (SERVER, 7))
            self.pump(f"a datagram of {len(data)} bytes", done)
            expect(f"a datagram of {len(data)} bytes", (got, back), ([data], [data[::-1]]))
        net.run("ip", "-n", self.host, "route", "change", "default", "via", frames.ROUTER)

    def connection(self):
        """A SYN that is answered, 200 KB each way, closed on both sides."""
        listener = self.socket(self.inet, socket.SOCK_STREAM, bind=(SERVER, 80))
        listener.listen()
        client = self.socket(self.host, socket.SOCK_STREAM, bind=(HOST, 40000))
        client.connect_ex((SERVER, 80))
        accepted = []

        def opened():
            try:
                accepted.append(listener.accept()[0])
            except BlockingIOError:
                pass
            return accepted and client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

        self.pump("a connection", opened)
        server = accepted[0]
        server.setblocking(False)
        data = {client: frames.pattern(200_000, 1), server: frames.pattern(200_000, 2)}
        left, got, ended = dict(data), {client: b"", server: b""}, set()

        def done():
            for sock in (client, server):
                try:
                    if left[sock]:
                        left[sock] = left[sock][sock.send(left[sock]):]
                        if not left[sock]:
                            sock.shutdown(socket.SHUT_WR)
                except (BlockingIOError, BrokenPipeError):
                    pass
                try:
                    heard = sock.recv(65536)
                    got[sock] += heard
                    ended.update([sock] if not heard else [])
                except (BlockingIOError, OSError):
                    pass
            return len(ended) == 2

        self.pump("200 KB each way", done, 30)
        expect("what a connection carried", (got[server], got[client]), (data[client], data[server]))

    def echo(self):
        """The server's kernel answers, the answer reaches the host."""
        sock = self.socket(self.host, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        for size in [0, 56, 1432]:
            request = frames.echo(4242, size, frames.pattern(size))
            sock.sendto(request, (SERVER, 0))
            got = []
            self.pump(f"an echo of {size} bytes", lambda: got.extend(received(sock)) or got)
            expect(f"an echo of {size} bytes", [g[20:] for g in got], [frames.icmp(0, 0, request[4:8], request[8:])])

    def closed_port(self):
        """The server's kernel says port unreachable about the translated packet, the host's socket hears of it."""
        client = self.socket(self.host, socket.SOCK_DGRAM, bind=(HOST, 4001))
        client.connect((SERVER, 9))
        client.send(b"anybody?")
        self.pump("port unreachable", lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 111)

    def hops(self):
        """Time exceeded by the router itself, and by the kernel's AFTR about a translated packet."""
        for ttl, who in [(1, frames.ROUTER), (2, None)]:
            client = self.socket(self.host, socket.SOCK_DGRAM, bind=(HOST, 4001 + ttl))
            client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            client.sendto(b"not so far", (SERVER, 33434))
            heard = []

            def done():
                try:
                    heard.append(client.recvmsg(1000, 1000, socket.MSG_ERRQUEUE))
                except BlockingIOError:
                    pass
                return heard

            self.pump(f"time exceeded with TTL {ttl}", done)
            (data, [(_, _, error), *_], _, _), = heard
            errno, origin, kind, code, _, _, _ = struct.unpack("=IBBBBII", error[:16])
            expect(f"what a socket hears with TTL {ttl}", (data, errno, origin, kind, code), (b"not so far", 113, 2, 11, 0))
            if who:
                expect("who says so", socket.inet_ntoa(error[20:24]), who)

    def too_big(self):
        """The host's kernel learns the tunnel's MTU from the router's answer, and what fits then arrives."""
        server = self.socket(self.inet, socket.SOCK_DGRAM, bind=(SERVER, 5001))
        client = self.socket(self.host, socket.SOCK_DGRAM, bind=(HOST, 4010))
        client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        client.connect((SERVER, 5001))
        client.send(bytes(1472))
        self.pump("the path's MTU", lambda: client.getsockopt(socket.IPPROTO_IP, IP_MTU) == MTU)
        client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        client.send(bytes(MTU - 28))
        got = []
        self.pump("a datagram that fits", lambda: got.extend(received(server)) or got)
        expect("a datagram that fits", got, [bytes(MTU - 28)])


def received(sock):
    try:
        return [sock.recv(65536)]
    except BlockingIOError:
        return []


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {str(got)[:300]}\nexpected {str(wanted)[:300]}")


def judge(program, log):
    """Complaints, and every frame that the router sent."""
    complaints, records = [], []
    for mode in ("ipip", "dslite"):
        line = Line(program, mode)
        kernels = (line.host, line.aftr, line.inet)
        before = {ns: net.counters(ns) for ns in kernels}
        try:
            line.all()
        except (AssertionError, OSError) as wrong:
            complaints.append(f"stacks, {mode}: {wrong!r}")
        for ns in kernels:
            grown = net.faults(before[ns], net.counters(ns))
            if ns == line.aftr and grown.get("IpInHdrErrors") == 1:
                del grown["IpInHdrErrors"]  # the one whose TTL ended there, as it should
            if grown:
                complaints.append(f"stacks: the kernel of {ns} found fault: {grown}")
        records += line.records
        print(f"stacks, {mode}: {len(line.records)} frames of the router taken by two kernels' stacks", file=log)
    return complaints, records
