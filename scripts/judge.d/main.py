"""The judges, one after the other. Runs as root in mount and PID namespaces of its own: scripts/judge."""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, "pcap-fixtures")

import nat
import net
import red
import replayed
import stacks
import wire
from differences import DIFFERENCES

DOCS = Path("docs/judges.md")


def kernel_lacks():
    """What this kernel cannot do, in words."""
    net.namespace("try", net__ipv4__ip_forward=1)
    net.link("try", "x0", "try", "x1")
    wanted = {
        "seg6": ["ip", "-n", "try", "-6", "route", "add", "2001:db8::1/128", "encap", "seg6local", "action", "End.DX4", "nh4",
                 "0.0.0.0", "dev", "x0"],
        "masquerade": ["ip", "netns", "exec", "try", "nft", "table ip t { chain c { type nat hook postrouting priority 100; "
                       "oifname x0 masquerade; }; }"],
    }
    return [what for what, words in wanted.items() if subprocess.run(words, capture_output=True).returncode != 0]


def main():
    hikyaku, piped, seed, rounds, events = sys.argv[1:3] + [int(word) for word in sys.argv[3:6]]
    # Queues of one core are in order: what a mark came behind is done with.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    complaints, lacks = [], kernel_lacks()
    for what in lacks:
        print(f"!! this kernel has no {what}: what needs it is not judged", flush=True)

    def stage(name, judge, *words):
        began = time.monotonic()
        result = judge(*words, sys.stdout)
        found = result[0] if isinstance(result, tuple) else result
        complaints.extend(found)
        print(f"{name}: {len(found)} complaints, {time.monotonic() - began:.1f} s", flush=True)
        return result

    stage("can go red", red.judge, piped, lacks)
    _, emitted = stage("tshark and scapy", wire.judge, hikyaku)
    if "seg6" not in lacks:
        stage("Linux's stack, captures", replayed.judge, emitted)
        _, records = stage("Linux's stack, sockets", stacks.judge, piped)
        stage("tshark and scapy on that", conversation, records)
    if "masquerade" not in lacks:
        met = Counter()
        for number in range(seed, seed + rounds):
            _, these = stage(f"Linux's NAT, seed {number}", nat.judge, piped, number, events)
            met += these
        stage("differences", listed, met, seed == 1 and rounds * events >= 12000)
    for complaint in complaints[:40]:
        print(f"!! {complaint}")
    print(f"{len(complaints)} complaints")
    return 1 if complaints else 0


def conversation(records, _):
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "conversation.pcap"
        wire.write(file, records)
        return [f"sockets: frame {number}, {ident}: {what}" for number, ident, what in wire.judged(file)]


def listed(met, every, log):
    """Each difference is documented, and none is there that does not happen."""
    docs = DOCS.read_text()
    names = [difference.__name__ for difference in DIFFERENCES]
    print("differences met:", ", ".join(f"{met[name]} {name}" for name in names), file=log)
    return [f"{DOCS} does not give the reason for {name}" for name in names if f"`{name}`" not in docs] + [
        f"the difference {name} was never met: is it one?" for name in names if every and not met[name]]


sys.exit(main())
