"""A LAN client, a router, a core router and a server in network namespaces, for one capture.

    client ---- router ---- core ---- server
    192.168.1.10   192.168.1.1, 198.51.100.2   198.51.100.1, 203.0.113.1   203.0.113.80, 203.0.113.53, 198.51.100.80

There is no tunnel and no NAT: what is captured on the router's LAN link is what a router's LAN port sees.
Everything lives in mount, PID, UTS and network namespaces of its own (`enter_private_namespaces`): when the process that
holds them ends, in whatever way, the kernel takes namespaces and processes down with it.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipes import frames as f

CLONE_NEWNET = 0x40000000
NAMES = ("client", "router", "core", "server")
TOOLS = {  # program -> Debian package
    "ip": "iproute2", "tcpdump": "tcpdump", "tshark": "tshark", "iperf3": "iperf3",
    "nginx": "nginx-light", "unbound": "unbound", "dnsmasq": "dnsmasq-base", "dig": "dnsutils", "curl": "curl",
    "ping": "iputils-ping", "traceroute": "traceroute", "ethtool": "ethtool", "dhclient": "isc-dhcp-client",
    "nft": "nftables", "unshare": "util-linux",
}
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
libc = ctypes.CDLL(None, use_errno=True)


def enter_private_namespaces():
    """Runs this program again inside its own namespaces (once), where /run/netns is empty and nobody else's."""
    if os.environ.get("PCAP_FIXTURES_INSIDE"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        socket.sethostname("fixture")
        return
    os.environ["PCAP_FIXTURES_INSIDE"] = "1"
    child = ["unshare", "--mount", "--pid", "--uts", "--net", "--fork", "--kill-child", "--mount-proc"]
    os.execvp("unshare", child + [sys.executable, "-B", *sys.argv])


class Lab:
    def __init__(self, path_mtu=1500, static_neighbours=True, ipv6=False, clamp=None):
        self.options = (path_mtu, static_neighbours, ipv6, clamp)
        self.processes = []

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="fixture-", dir="/run"))
        self.captured = self.directory / "lan0.pcap"
        try:
            self._build(*self.options)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            self.stop(process)
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, env=ENVIRONMENT)

    def _build(self, path_mtu, static_neighbours, ipv6, clamp):
        for name in NAMES:
            self._ip("netns", "add", name)
            self.sysctl(name, "net.ipv6.conf.all.disable_ipv6", 0 if ipv6 else 1)
            self.sysctl(name, "net.ipv6.conf.default.disable_ipv6", 0 if ipv6 and name in ("client", "router") else 1)
            self.sysctl(name, "net.ipv4.icmp_ratelimit", 0)
            self.sysctl(name, "net.ipv4.icmp_msgs_per_sec", 100000)
            self._ip("-n", name, "link", "set", "lo", "up")
        for name in ("router", "core"):
            self.sysctl(name, "net.ipv4.ip_forward", 1)
        self._cable("client", "lan0", f.CLIENT_MAC, "router", "lan0", f.ROUTER_LAN_MAC)
        self._cable("router", "wan0", "02:00:00:00:03:01", "core", "r0", "02:00:00:00:03:02")
        self._cable("core", "s0", "02:00:00:00:04:01", "server", "eth0", "02:00:00:00:04:50")
        for name, link, address in (("client", "lan0", "192.168.1.10/24"), ("router", "lan0", "192.168.1.1/24"),
                                    ("router", "wan0", "198.51.100.2/30"), ("core", "r0", "198.51.100.1/30"),
                                    ("core", "s0", "203.0.113.1/24"), ("server", "eth0", "203.0.113.80/24"),
                                    ("server", "eth0", "203.0.113.53/24"), ("server", "lo", "198.51.100.80/32")):
            self._ip("-n", name, "address", "add", address, "dev", link)
        for name, prefix, gateway in (("client", "default", f.ROUTER), ("router", "default", "198.51.100.1"),
                                      ("core", "192.168.1.0/24", "198.51.100.2"),
                                      ("core", "198.51.100.80/32", "203.0.113.80"), ("server", "default", "203.0.113.1")):
            self._ip("-n", name, "route", "add", prefix, "via", gateway)
        if static_neighbours:
            self._ip("-n", "client", "neigh", "replace", f.ROUTER, "lladdr", f.ROUTER_LAN_MAC, "dev", "lan0")
            self._ip("-n", "router", "neigh", "replace", f.CLIENT, "lladdr", f.CLIENT_MAC, "dev", "lan0")
        if path_mtu != 1500:
            self._ip("-n", "router", "link", "set", "wan0", "mtu", str(path_mtu))
            self._ip("-n", "core", "link", "set", "r0", "mtu", str(path_mtu))
        if clamp:
            self.run("router", "nft", f"add table ip clamp; add chain ip clamp forward {{ type filter hook forward priority 0; }}; "
                     f"add rule ip clamp forward tcp flags syn tcp option maxseg size > {clamp} tcp option maxseg size set {clamp}")
        if ipv6:
            time.sleep(2.5)  # duplicate address detection

    def _cable(self, left, left_link, left_mac, right, right_link, right_mac):
        self._ip("-n", left, "link", "add", "name", left_link, "address", left_mac, "numrxqueues", "1", "numtxqueues", "1",
                 "type", "veth", "peer", "name", right_link, "address", right_mac, "numrxqueues", "1", "numtxqueues", "1",
                 "netns", right)
        for name, link in ((left, left_link), (right, right_link)):
            self.run(name, "ethtool", "-K", link, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off", "sg", "off")
            self._ip("-n", name, "link", "set", link, "up")

    @staticmethod
    def _ip(*words):
        subprocess.run(["ip", *words], check=True, env=ENVIRONMENT)

    def ip(self, name, *words):
        self._ip("-n", name, *words)

    def sysctl(self, name, key, value):
        with self.inside(name):
            Path("/proc/sys", *key.split(".")).write_text(f"{value}\n")

    @contextlib.contextmanager
    def inside(self, name):
        """Sockets opened in the block belong to that namespace for good."""
        with open("/proc/thread-self/ns/net") as back, open(f"/run/netns/{name}") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(back.fileno())

    def socket(self, name, kind=socket.SOCK_STREAM, proto=0, bind=None):
        with self.inside(name):
            s = socket.socket(socket.AF_INET, kind, proto)
        s.settimeout(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bind:
            s.bind(bind)
        return s

    def tcp_pair(self, port, server=f.SERVER):
        """A connected TCP pair (client's end, server's end)."""
        with self.socket("server", bind=(server, port)) as listener:
            listener.listen()
            here = self.socket("client")
            here.connect((server, port))
            there, _ = listener.accept()
            there.settimeout(10)
            return here, there

    def run(self, name, *words, status=(0,)):
        done = subprocess.run(["ip", "netns", "exec", name, *words], env=ENVIRONMENT, capture_output=True, text=True,
                              cwd=self.directory, timeout=120)
        if done.returncode not in status:
            raise RuntimeError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name, *words):
        log = open(self.directory / f"{words[0]}.log", "w")
        process = subprocess.Popen(["ip", "netns", "exec", name, *words], env=ENVIRONMENT, stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, cwd=self.directory)
        process.log = Path(log.name)
        self.processes.append(process)
        return process

    def stop(self, process, how=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def wait_for_port(self, port, server=f.SERVER, process=None):
        """Until a TCP port of the server answers (asked from the server itself: not on the captured link)."""
        for _ in range(100):
            with self.inside("server"):
                probe = socket.socket()
            with probe:
                if probe.connect_ex((server, port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"port {port} does not answer\n{process.log.read_text() if process else ''}")

    @contextlib.contextmanager
    def capture(self):
        """Writes down the LAN link, both directions, while the block runs: `self.captured`, a nanosecond pcap."""
        process = self.start("router", "tcpdump", "-i", "lan0", "-n", "-s", "65535", "-B", "16384", "--immediate-mode",
                             "--time-stamp-precision=nano", "-Z", "root", "-w", str(self.captured))
        wait_until(lambda: "listening on" in process.log.read_text(), "tcpdump listens")
        yield
        time.sleep(0.5)
        self.stop(process, signal.SIGINT)
        if not re.search(r"^0 packets dropped by kernel", process.log.read_text(), re.M):
            raise RuntimeError(process.log.read_text())


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s: {what}")
        time.sleep(0.02)


def _setns(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
