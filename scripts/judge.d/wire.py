"""All captures of pcap-fixtures through `hikyaku replay`, both ways and in two modes; tshark and scapy judge what leaves."""

import logging
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from recipes import frames, pcapfile

import captures

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror, TCPerror, UDPerror  # noqa: E402
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402

# Mode and tunnel MTU: refusing and outer fragments, carrying whatever DF says.
LINES = [("ipip", 1460), ("dslite", 1500)]
# Frames of one capture that scapy looks at; tshark looks at all.
MOST = 400
# What `hikyaku replay` says of frames that it cannot play.
TOO_LARGE = "larger than a ring's buffer"

OPTIONS = [word for key in ("ip.check_checksum", "tcp.check_checksum", "udp.check_checksum", "udplite.check_checksum") for word in ("-o", f"{key}:TRUE")]
FIELDS = ["frame.number", "ip.id", "_ws.expert.severity", "_ws.expert.message", "ip.checksum.status", "icmp.checksum.status",
          "icmpv6.checksum.status", "tcp.checksum.status", "udp.checksum.status", "icmp.type", "_ws.malformed"]
ERROR = str(0x00800000)


def tshark(path):
    """What tshark has against a file's frames: the number of the frame, then the innermost IPv4 identification and the
    complaint."""
    words = [word for field in FIELDS for word in ("-e", field)]
    done = subprocess.run(["tshark", "-n", "-r", str(path), *OPTIONS, "-T", "fields", "-E", "separator=\t", "-E", "aggregator=|",
                           *words], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        f = dict(zip(FIELDS, line.split("\t")))
        ident = f["ip.id"].split("|")[-1]
        severities, messages = f["_ws.expert.severity"].split("|"), f["_ws.expert.message"].split("|")
        for severity, message in zip(severities, messages):
            # Of a packet that an error quotes a part, tshark sums up that part: its checksum is not asked for.
            if severity == ERROR and not (f["icmp.type"] and "hecksum" in message):
                # What it should be is another number once it is translated.
                yield int(f["frame.number"]), ident, message.split(" [")[0]
        for field in FIELDS[4:9]:
            quoted = f["icmp.type"] and field[:3] in ("tcp", "udp")
            if "0" in f[field].split("|") and not quoted:
                yield int(f["frame.number"]), ident, field
        if f["_ws.malformed"]:
            yield int(f["frame.number"]), ident, "malformed"


def rebuilt(data):
    """The frame, dissected by scapy and built again with every length and checksum computed anew."""
    frame = Ether(data)
    whole = not frame.haslayer(IPv6ExtHdrFragment)
    layer = frame
    while layer:
        if isinstance(layer, IPv6):
            layer.plen = None
        elif isinstance(layer, IP) and not isinstance(layer, IPerror):
            layer.chksum = None
            if whole:
                layer.len = layer.ihl = None
            whole = whole and layer.frag == 0 and not layer.flags.MF
        elif isinstance(layer, IPerror):
            layer.chksum = None
            whole = False
        elif isinstance(layer, (TCPerror, UDPerror, ICMPerror)):
            pass
        elif isinstance(layer, UDP) and whole:
            layer.len = None
            layer.chksum = layer.chksum and None
        elif isinstance(layer, TCP) and whole:
            layer.chksum = layer.dataofs = None
        elif isinstance(layer, ICMP) and whole:
            layer.chksum = None
        layer = layer.payload
    return bytes(frame)


def ident_of(data):
    layers = Ether(data)
    idents = [f"0x{layer.id:04x}" for layer in (layers.getlayer(IP), layers.getlayer(IPerror)) if layer is not None]
    return idents[-1] if idents else ""


def scapy(frames_):
    for number, data in enumerate(frames_[:MOST], 1):
        if rebuilt(data) != data:
            yield number, ident_of(data), "scapy builds it otherwise"


def judged(path):
    """All complaints about a file."""
    return [*tshark(path), *scapy([data for _, data in pcapfile.read(path)])]


def write(path, records):
    path.write_bytes(pcapfile.encode(records, "pcap, nanoseconds"))


def replay(program, mode, mtu, sides, place):
    """What left on both sides, as one file, and apart."""
    words = [program, "replay", "--mode", mode, "--ce", frames.CE, "--br", frames.BR, "--tunnel-mtu", str(mtu), "--mss", "off"]
    if mode == "ipip":
        words += ["--ipv4", frames.OUTSIDE]
    for flag, records in sides.items():
        if records:
            write(place / f"{flag}.pcap", records)
            words += [f"--{flag}", str(place / f"{flag}.pcap")]
    words += ["--lan-out", str(place / "lan-out.pcap"), "--wan-out", str(place / "wan-out.pcap")]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    # Hostile captures have a frame that fits no buffer: code 1 says that it was left out, and all others were played.
    if done.returncode and not (done.returncode == 1 and TOO_LARGE in done.stderr):
        sys.exit(f"{' '.join(map(str, words))}\nended with code {done.returncode}: {done.stderr}")
    left = {side: pcapfile.read(place / f"{side}-out.pcap") for side in ("lan", "wan")}
    both = place / "both.pcap"
    write(both, sorted(left["lan"] + left["wan"], key=lambda record: record[0]))
    return both, left


def judge(program, log):
    """Complaints about anything that left, and all that left: name, mode, and records by side."""
    complaints, total, emitted = [], Counter(), []
    for mode, mtu in LINES:
        for name in captures.names():
            with tempfile.TemporaryDirectory() as place:
                place = Path(place)
                sides, wanted = captures.sides(name, mode, mtu)
                file, left = replay(program, mode, mtu, sides, place)
                emitted.append((name, mode, left))
                total["tunnel"] += len(left["wan"])
                total["lan"] += len(left["lan"])
                found = judged(file)
                # What was wrong when it came may leave as wrong; nothing else may be wrong.
                came = {(ident, what) for flag, records in sides.items() if found and records
                        for _, ident, what in judged(place / f"{flag}.pcap")}
                complaints += [f"{name}, {mode}: frame {number} of what left, {ident}: {what}"
                               for number, ident, what in found if (ident, what) not in came]
                total["inherited"] += sum((ident, what) in came for _, ident, what in found)
                got = Counter(captures.packet(data) for _, data in left["lan"])
                lost = Counter(wanted) - got
                total["replies"] += len(wanted)
                complaints += [f"{name}, {mode}: this reply did not come out as captured: {p.hex()}" for p in lost]
    print(f"wire: {total['tunnel']} tunnel frames and {total['lan']} to the LAN; {total['replies']} replies came out as captured; "
          f"{total['inherited']} complaints were true of what came in", file=log)
    return complaints, emitted
