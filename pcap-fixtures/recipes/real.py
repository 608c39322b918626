"""The captures: what real stacks do, one function per file. Each runs in a lab of its own while tcpdump writes."""

import socket
import struct
import time

from recipes import frames as f
from recipes.lab import wait_until

SERVER, CLIENT = f.SERVER, f.CLIENT


def http(lab):
    files = lab.directory / "www"
    files.mkdir()
    for name, size in (("page.html", 8_000), ("style.css", 20_000), ("photo-1.txt", 60_000), ("photo-2.txt", 60_000),
                       ("data.txt", 52_000)):
        (files / name).write_text("".join(f"{name} line {i:06}, sent by courier.\n" for i in range(size // 40 + 1))[:size])
    paths = "".join(f"{kind}_temp_path {lab.directory}/{kind};\n" for kind in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (lab.directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {lab.directory}/nginx.pid; error_log stderr; user root;\n"
        f"events {{ }}\nhttp {{ server_tokens off; access_log off; {paths}\n"
        f"server {{ listen {SERVER}:80; root {files}; default_type text/plain; }} }}\n")
    server = lab.start("server", "nginx", "-e", "stderr", "-c", str(lab.directory / "nginx.conf"))
    lab.wait_for_port(80, process=server)
    with lab.capture():
        urls = [f"http://{SERVER}/{name}" for name in ("page.html", "style.css", "photo-1.txt", "photo-2.txt", "data.txt")]
        outputs = [word for _ in urls for word in ("-o", "/dev/null")]
        lab.run("client", "curl", "-sS", "-A", "fixture", *outputs[:4], *urls[:2])  # one connection, kept alive
        lab.run("client", "curl", "-sS", "-A", "fixture", "-Z", "--parallel-immediate", *outputs[:6], *urls[2:])  # three at once
        lab.run("client", "curl", "-sS", "-A", "fixture", "-o", "/dev/null", f"http://{SERVER}/missing")


def dns(lab):
    names = [("www.example.net.", "A 203.0.113.80"), ("www.example.net.", "AAAA 2001:db8:80::80"),
             ("mail.example.net.", "MX 10 www.example.net.")]
    names += [("large.example.net.", f'TXT "{i:02} ' + "courier " * 12 + '"') for i in range(28)]
    data = "\n".join(f"  local-data: '{name} 300 IN {rest}'" for name, rest in names)
    (lab.directory / "unbound.conf").write_text(f"""server:
  interface: 203.0.113.53
  port: 53
  do-ip6: no
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{lab.directory}"
  use-syslog: no
  hide-identity: yes
  hide-version: yes
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
  max-udp-size: 4096
  edns-buffer-size: 4096
  local-zone: "example.net." static
  local-zone: "." refuse
{data}
remote-control:
  control-enable: no
""")
    server = lab.start("server", "unbound", "-c", str(lab.directory / "unbound.conf"))
    lab.wait_for_port(53, "203.0.113.53", server)
    with lab.capture():
        for question in (("www.example.net", "A"), ("www.example.net", "AAAA"), ("mail.example.net", "MX"),
                         ("www.example.net", "A", "+tcp"), ("www.example.net", "AAAA", "+tcp", "+noedns"),
                         ("missing.example.net", "A"), ("www.example.com", "A"),
                         ("large.example.net", "TXT", "+noedns", "+ignore"),  # truncated, left at that
                         ("large.example.net", "TXT", "+bufsize=1232"),  # truncated, asked again over TCP
                         ("large.example.net", "TXT", "+bufsize=4096")):  # one answer in IPv4 fragments
            out = lab.run("client", "dig", "-4", "@203.0.113.53", "+tries=1", *question)
            if "status:" not in out:
                raise RuntimeError(out)


def quic_like(lab):
    """Three UDP flows to port 443; payload pseudorandom behind a short-header byte and an 8-byte connection id."""
    random = f.Random(443)

    def datagram(connection, size):
        body = b"".join(struct.pack("!Q", random.next()) for _ in range(size // 8 + 1))
        return b"\x40" + connection + body[: size - 9]

    with lab.capture(), lab.socket("server", socket.SOCK_DGRAM, bind=(SERVER, 443)) as server:
        for flow in range(3):
            connection = struct.pack("!Q", random.next())
            with lab.socket("client", socket.SOCK_DGRAM) as client:
                client.connect((SERVER, 443))
                for turn in range(8):
                    up, down = (2, 6) if flow != 1 else (6, 2)
                    for _ in range(up):
                        client.send(datagram(connection, 1200 if turn == 0 else random.between(1200, 1250)))
                        _, peer = server.recvfrom(2000)
                    for i in range(down):
                        server.sendto(datagram(connection, random.between(1200, 1250)), peer)
                        client.recv(2000)
                        if i % 2:
                            client.send(datagram(connection, random.between(31, 45)))  # an acknowledgement's size
                            server.recv(2000)
                    time.sleep(0.01)


def iperf3_tcp(lab):
    lab.wait_for_port(5201, process=lab.start("server", "iperf3", "-s", "-B", SERVER))
    time.sleep(0.3)
    with lab.capture():
        lab.run("client", "iperf3", "-c", SERVER, "-n", "150K", "-l", "16K")
        time.sleep(0.3)
        lab.run("client", "iperf3", "-c", SERVER, "-n", "100K", "-l", "16K", "-R", "-M", "1220")


def iperf3_udp(lab):
    lab.wait_for_port(5201, process=lab.start("server", "iperf3", "-s", "-B", SERVER))
    time.sleep(0.3)
    with lab.capture():
        lab.run("client", "iperf3", "-c", SERVER, "-u", "-b", "2M", "-n", "60K", "-l", "1200")
        time.sleep(0.3)
        lab.run("client", "iperf3", "-c", SERVER, "-u", "-b", "2M", "-n", "20K", "-l", "200", "-R")


def ping(lab):
    with lab.capture():
        for size in (0, 8, 56, 512, 1252, 1432, 1472):
            lab.run("client", "ping", "-n", "-c", "2", "-i", "0.05", "-M", "do", "-s", str(size), SERVER)
        lab.run("client", "ping", "-n", "-c", "2", "-i", "0.05", "-M", "dont", "-s", "1472", SERVER)
        lab.run("client", "ping", "-n", "-c", "2", "-i", "0.05", "-R", SERVER)  # record route
        lab.run("client", "ping", "-n", "-c", "2", "-i", "0.05", "-Q", "0xb8", "198.51.100.80")  # DSCP EF
        lab.run("server", "ping", "-n", "-c", "2", "-i", "0.05", CLIENT)  # asked from outside


def traceroute(lab):
    with lab.capture():
        for mode in ((), ("-I",), ("-T", "-p", "443")):
            out = lab.run("client", "traceroute", "-n", "-q", "2", "-w", "1", *mode, SERVER)
            if "198.51.100.1" not in out or out.count("203.0.113.80") < 2:
                raise RuntimeError(out)


def fragments(lab):
    with lab.capture(), lab.socket("server", socket.SOCK_DGRAM, bind=(SERVER, 7)) as server, \
            lab.socket("client", socket.SOCK_DGRAM) as client:
        lab.run("client", "ping", "-n", "-c", "2", "-i", "0.1", "-s", "4000", SERVER)
        lab.run("client", "ping", "-n", "-c", "1", "-s", "1473", "-M", "dont", SERVER)  # last fragment of one byte
        for s in (server, client):
            s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
        for size in (5000, 1473, 2960, 20000):
            client.sendto(f.pattern(size), (SERVER, 7))
            data, peer = server.recvfrom(65535)
            server.sendto(data, peer)
            if client.recv(65535) != f.pattern(size):
                raise RuntimeError("the echo differs")


def fragments_reordered(lab):
    """Fragments cut here, sent out of order through raw sockets; the receiving kernel must join them."""

    def cut(payload, ident, src, dst, proto=f.UDP):
        return [f.ipv4(payload[i : i + 1480], proto, src, dst, ident=ident, flags=int(i + 1480 < len(payload)), offset=i)
                for i in range(0, len(payload), 1480)]

    with lab.capture(), lab.socket("server", socket.SOCK_DGRAM, bind=(SERVER, 7)) as server, \
            lab.socket("client", socket.SOCK_DGRAM, bind=(CLIENT, 40007)) as client, \
            lab.socket("client", socket.SOCK_RAW, socket.IPPROTO_RAW) as out, \
            lab.socket("server", socket.SOCK_RAW, socket.IPPROTO_RAW) as back:

        def both_ways(order, sizes):
            """order: (datagram, fragment) pairs; sent client to server, then server to client."""
            for raw, there, here, src, dst, sport, dport in ((out, server, SERVER, CLIENT, SERVER, 40007, 7),
                                                            (back, client, CLIENT, SERVER, CLIENT, 7, 40007)):
                payloads = [f.pattern(size, i) for i, size in enumerate(sizes)]
                pieces = [cut(f.udp(payload, sport, dport, src, dst), both_ways.ident + i, src, dst)
                          for i, payload in enumerate(payloads)]
                both_ways.ident += len(sizes)
                for which, number in order:
                    raw.sendto(pieces[which][number], (dst, 0))
                got = {there.recv(65535) for _ in payloads}
                if got != set(payloads):
                    raise RuntimeError(f"{here} did not get the datagrams back whole")

        both_ways.ident = 0x5000
        both_ways([(0, 1), (0, 0)], [2000])  # reversed, two
        both_ways([(0, 3), (0, 2), (0, 1), (0, 0)], [5000])  # reversed, four
        both_ways([(0, 1), (0, 0), (0, 3), (0, 2)], [5000])  # first in second place
        both_ways([(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)], [4000, 4100])  # two datagrams interleaved
        both_ways([(1, 2), (0, 2), (0, 0), (1, 1), (1, 0), (0, 1)], [4000, 4100])  # interleaved and out of order
        both_ways([(0, 1), (0, 1), (0, 0)], [2000])  # last one twice, first last
        request = f.icmp(8, 0, struct.pack("!HH", 4007, 1), f.pattern(4000))
        for piece in reversed(cut(request, 0x5100, CLIENT, SERVER, f.ICMP)):  # echo request reversed; the kernel answers
            out.sendto(piece, (SERVER, 0))
        time.sleep(0.2)


def icmp_errors(lab):
    lab.ip("router", "route", "add", "prohibit", "203.0.113.99/32")
    lab.ip("core", "route", "add", "unreachable", "203.0.113.98/32")
    lab.ip("router", "route", "add", "192.0.2.0/24", "via", "198.51.100.1")  # core has no route: net unreachable
    lab.sysctl("server", "net.ipv4.ipfrag_time", 1)
    with lab.capture(), lab.socket("client", socket.SOCK_DGRAM) as s, \
            lab.socket("client", socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for address in (SERVER, "203.0.113.99", "203.0.113.98", "192.0.2.99"):
            s.sendto(b"hikyaku", (address, 9))
            time.sleep(0.05)
        for payload, options in ((b"hikyaku", b""), (b"", bytes.fromhex("07280400"))):
            packet = f.ipv4(payload, 253, options=options)  # protocol unreachable; parameter problem
            raw.sendto(packet, (SERVER, 0))
            time.sleep(0.05)
        s.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE: DF, and do not learn
        for _ in range(2):
            s.sendto(f.pattern(1472), (SERVER, 9))  # fragmentation needed
            time.sleep(0.05)
        lab.run("client", "ping", "-n", "-c", "1", "-W", "0.2", "-t", "1", SERVER, status=(1,))
        raw.sendto(f.ipv4(f.udp(f.pattern(1480), 40300, 9)[:1480], flags=1, ident=0x5200), (SERVER, 0))
        with lab.socket("server", socket.SOCK_DGRAM, bind=(SERVER, 40200)) as server:
            with lab.socket("client", socket.SOCK_DGRAM, bind=(CLIENT, 40100)) as client:
                client.sendto(b"question", (SERVER, 40200))
                _, peer = server.recvfrom(100)
            server.sendto(b"an answer too late: nobody listens", peer)  # the client sends port unreachable
        time.sleep(2.5)  # reassembly time exceeded from the server


def tcp_events(lab):
    def lose(name, address):
        lab.ip(name, "route", "add", "blackhole", f"{address}/32")

    def find(name, address):
        lab.ip(name, "route", "del", "blackhole", f"{address}/32")

    def finish(*sockets):
        time.sleep(0.1)
        for s in sockets:
            s.close()
        time.sleep(0.1)

    def reset(s):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()

    with lab.capture():
        with lab.socket("client") as s:  # refused: SYN, RST
            s.connect_ex((SERVER, 47001))
        here, there = lab.tcp_pair(47002)  # client resets
        here.send(b"hello")
        there.recv(100)
        reset(here)
        finish(there)
        here, there = lab.tcp_pair(47003)  # server resets
        there.send(b"hello")
        here.recv(100)
        reset(there)
        finish(here)

        here, there = lab.tcp_pair(47004)  # half-close: client is done, server goes on
        here.send(b"the whole question")
        here.shutdown(socket.SHUT_WR)
        while there.recv(100):
            pass
        for _ in range(4):
            there.send(f.pattern(4000))
            time.sleep(0.02)
        there.shutdown(socket.SHUT_WR)
        while here.recv(65535):
            pass
        finish(here, there)

        lose("router", SERVER)  # the first SYN is lost
        s = lab.socket("client")
        s.setblocking(False)
        with lab.socket("server", bind=(SERVER, 47005)) as listener:
            listener.listen()
            s.connect_ex((SERVER, 47005))
            time.sleep(0.3)
            find("router", SERVER)
            there, _ = listener.accept()
        s.settimeout(10)
        lose("router", SERVER)  # three segments are lost and sent again
        for i in range(3):
            s.send(f.pattern(1000, i))
        time.sleep(0.5)
        find("router", SERVER)
        got = 0
        while got < 3000:
            got += len(there.recv(65535))
        lose("router", SERVER)  # the client's acknowledgements are lost: the server sends again
        there.send(f.pattern(1000))
        s.recv(65535)
        time.sleep(0.7)
        find("router", SERVER)
        time.sleep(0.3)
        finish(s, there)

        a = lab.socket("client", bind=(CLIENT, 40006))  # simultaneous open: the client's SYN is lost, the server's comes
        b = lab.socket("server", bind=(SERVER, 47006))
        a.setblocking(False)
        lose("router", SERVER)
        a.connect_ex((SERVER, 47006))
        time.sleep(0.2)
        find("router", SERVER)
        b.connect((CLIENT, 40006))
        a.settimeout(10)
        wait_until(lambda: a.send(b"from the client") > 0, "client is connected")
        b.send(b"from the server")
        a.recv(100), b.recv(100)
        lose("router", SERVER)  # simultaneous close: the client's FIN is lost, the server's FIN crosses it
        a.shutdown(socket.SHUT_WR)
        time.sleep(0.05)
        b.shutdown(socket.SHUT_WR)
        time.sleep(0.05)
        find("router", SERVER)
        time.sleep(1)
        finish(a, b)


def path_mtu(lab):
    """20 000 bytes each way; the client meets the narrow link at the router, the server at the core router."""
    with lab.capture():
        here, there = lab.tcp_pair(47080)
        for one, other in ((here, there), (there, here)):
            one.sendall(f.pattern(20000))
            got = 0
            while got < 20000:
                got += len(other.recv(65535))
        here.close()
        there.close()
        time.sleep(0.3)


def noise(lab):
    tell = lab.directory / "dhclient.conf"
    tell.write_text("request subnet-mask, routers, domain-name-servers;\n")
    server = lab.start("router", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0",
                       "--interface=lan0", "--bind-interfaces", "--log-facility=-", "--enable-ra", "--dhcp-authoritative",
                       f"--dhcp-leasefile={lab.directory}/leases", f"--pid-file={lab.directory}/dnsmasq.pid",
                       "--dhcp-range=192.168.1.100,192.168.1.150,255.255.255.0,2h",
                       "--dhcp-range=2001:db8:1::,ra-only,64,2h", "--dhcp-option=6,192.168.1.1")
    lab.ip("router", "address", "add", "2001:db8:1::1/64", "dev", "lan0", "nodad")
    lab.ip("client", "link", "set", "lan0", "down")
    lab.ip("client", "address", "flush", "dev", "lan0")
    wait_until(lambda: "started" in server.log.read_text(), "dnsmasq is up")
    lab.sysctl("client", "net.ipv4.conf.lan0.arp_notify", 1)
    with lab.capture():
        lab.ip("client", "address", "add", "192.168.1.10/24", "dev", "lan0")
        lab.ip("client", "link", "set", "lan0", "up")  # gratuitous ARP, MLD, DAD, router solicitation
        lab.ip("client", "route", "replace", "default", "via", f.ROUTER)
        lab.run("client", "ping", "-n", "-c", "1", SERVER)  # ARP both ways
        lab.run("client", "ping", "-n", "-c", "1", "-W", "1", "192.168.1.77", status=(1,))  # ARP nobody answers
        wait_until(lambda: "2001:db8:1:" in lab.run("client", "ip", "-6", "address", "show", "dev", "lan0", "scope", "global",
                                                    "-tentative"), "the client has an address from the RA")
        lab.run("client", "ping", "-n", "-c", "1", "2001:db8:1::1")  # NS and NA
        lab.run("client", "ping", "-n", "-c", "1", "-I", "lan0", "ff02::1")
        _lease(lab, tell)
        with lab.socket("client", socket.SOCK_DGRAM, bind=("", 5353)) as s:
            group = socket.inet_aton("224.0.0.251") + socket.inet_aton(CLIENT)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(CLIENT))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)  # IGMP report
            question = bytes.fromhex("000000000001000000000000") + b"\x09_services\x07_dns-sd\x04_udp\x05local\0" + b"\0\x0c\0\1"
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
            s.sendto(question, ("224.0.0.251", 5353))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
            s.sendto(b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n',
                     ("239.255.255.250", 1900))
            time.sleep(1)  # the reports of joining go out before the leaving
        with lab.socket("client", socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            wake = b"\xff" * 6 + f.mac("02:00:00:00:01:77") * 16
            s.sendto(wake, ("192.168.1.255", 9))
            s.sendto(wake, ("255.255.255.255", 9))
        time.sleep(1)


def _lease(lab, configuration):
    client = lab.start("client", "dhclient", "-4", "-d", "-cf", str(configuration), "-lf", str(lab.directory / "client.leases"),
                       "-pf", str(lab.directory / "dhclient.pid"), "-sf", "/bin/true", "lan0")
    wait_until(lambda: "bound to" in client.log.read_text(), "dhclient has a lease", 20)
    lab.stop(client)


def vlan(lab):
    with lab.capture():
        lab.run("client", "ping", "-n", "-c", "2", "-i", "0.1", SERVER)
        lab.run("client", "ping", "-n", "-c", "1", "-s", "1472", "-M", "do", SERVER)
        here, there = lab.tcp_pair(47080)
        there.sendall(f.pattern(4000))
        there.close()
        while here.recv(65535):
            pass
        here.close()
        lab.run("client", "ping", "-n", "-c", "2", "-i", "0.1", "198.51.100.80")
        lab.run("client", "ping", "-n", "-c", "2", "-i", "0.1", "203.0.113.53")


def tagged(data):
    """What a VLAN link would carry: the kernel of the lab has no VLAN device, so the tag is put on here."""
    outer = {"198.51.100.80": bytes.fromhex("8100a000"), "203.0.113.53": bytes.fromhex("88a800648100000a")}
    for address, tag in outer.items():
        if socket.inet_aton(address) in (data[26:30], data[30:34]):
            return data[:12] + tag + data[12:]
    return data[:12] + bytes.fromhex("8100000a") + data[12:]
