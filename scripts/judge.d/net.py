"""Network namespaces, links between them, sockets inside of them. All of it is gone with the mount namespace."""

import ctypes
import os
import re
import socket
import subprocess
from contextlib import contextmanager

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_ALL = 3


def run(*words, **more):
    return subprocess.run(words, check=True, text=True, **more)


def on(ns, *words, **more):
    return run("ip", "netns", "exec", ns, *words, **more)


def namespace(name, **sysctls):
    """IPv6 speaks for itself on no link; forwarding, filters and the like are the caller's."""
    run("ip", "netns", "add", name)
    run("ip", "-n", name, "link", "set", "lo", "up")
    sysctl(name, net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__default__rp_filter=0,
           net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__default__accept_ra=0,
           net__ipv6__conf__default__router_solicitations=0, net__ipv6__conf__default__addr_gen_mode=1, **sysctls)


def sysctl(ns, **values):
    on(ns, "sysctl", "-qw", *(f"{key.replace('__', '.')}={value}" for key, value in values.items()))


def link(ns, name, other_ns, other_name, mac=None, other_mac=None, mtu=1500):
    """No offloads, or packets come with unfinished checksums and merged."""
    run("ip", "link", "add", name, "netns", ns, "mtu", str(mtu), "type", "veth",
        "peer", "name", other_name, "netns", other_ns, "mtu", str(mtu))
    for space, interface, address in [(ns, name, mac), (other_ns, other_name, other_mac)]:
        on(space, "ethtool", "-K", interface, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off",
           stdout=subprocess.DEVNULL)
        if address:
            run("ip", "-n", space, "link", "set", "dev", interface, "address", address)
        run("ip", "-n", space, "link", "set", "dev", interface, "up")


def neighbour(ns, interface, address, mac):
    run("ip", "-n", ns, "neigh", "replace", address, "lladdr", mac, "dev", interface, "nud", "permanent")


@contextmanager
def inside(ns):
    """What is opened meanwhile is of that namespace."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{ns}", os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(there)
        os.close(home)


def _enter(fd):
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def packet_socket(ns, interface):
    """Frames of an interface: sees what comes to it, sends what it is given."""
    with inside(ns):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind((interface, ETH_P_ALL))
    return sock


# What counts a packet that the kernel found wrong, in any of the three files.
FAULTS = re.compile(r"(InHdrErrors|InCsumErrors|InErrors|CsumErrors|InTruncatedPkts|InErrs|InUnknownProtos|InAddrErrors|"
                    r"InNoRoutes|ReasmFails|RcvbufErrors|TCPBadOffset)$")


def counters(ns):
    """/proc/net/snmp, snmp6 and netstat as one dictionary."""
    found = {}
    for file in ["snmp", "netstat"]:
        lines = on(ns, "cat", f"/proc/net/{file}", capture_output=True).stdout.splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            section, *names = names.split()
            found.update((section[:-1] + name, int(value)) for name, value in zip(names, values.split()[1:]))
    for line in on(ns, "cat", "/proc/net/snmp6", capture_output=True).stdout.splitlines():
        name, value = line.split()
        found[name] = int(value)
    return found


def faults(before, after):
    """Those that grew, with how much."""
    return {name: after[name] - before[name] for name in after
            if FAULTS.search(name) and after[name] != before.get(name, 0)}
