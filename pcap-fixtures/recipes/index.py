"""INDEX.md and index.json, both from the catalog and the files on disk."""

import hashlib
import json
from pathlib import Path

from recipes import catalog, pcapfile
from recipes import frames as f

LINE = {
    "lan router": f"{f.ROUTER}/24", "lan router mac": f.ROUTER_LAN_MAC, "lan client": f.CLIENT, "lan client mac": f.CLIENT_MAC,
    "wan ce": f.CE, "wan ce mac": f.CE_WAN_MAC, "wan gateway mac": f.GATEWAY_MAC, "wan br": f.BR, "outside ipv4": f.OUTSIDE,
    "server": f.SERVER, "tunnel mtu": 1460, "mss clamp": 1420,
}
VERDICTS = {
    "forward": "leaves on the other side, changed only as said",
    "drop": "counted drop with a reason; nothing is sent",
    "error": "counted drop, and an ICMP error to the sender (rate-limited)",
    "punt": "handed to control or the host stack; not forwarded",
    "hold": "kept for other fragments; later forwarded with them, or counted as a drop when time or room runs out",
    "relay": "an ICMPv6 error about the tunnel: used up, and told to the LAN host as ICMPv4",
}
HEAD = """# Captures

Written by `./make index` from `recipes/`; do not edit. `index.json` says the same for programs.

| | |
|---|---|
| make everything again | `sudo ./make all` (captures need root and the packages `./make --help` names) |
| only the made files | `./make made` (python3 alone; byte-identical on every run) |
| judge what is here | `./make check` (tshark) |

The captured files come from network namespaces: client, router, core router, server; no tunnel, no NAT. They show what a
router's LAN link carries: frames to the router's MAC are what it receives, frames from it are what it must send. Offloads are
off, so checksums are complete. They keep their times and differ on every run in ports, sequence numbers and order.
Addresses are documentation addresses (RFC 5737, RFC 3849) and 192.168.1.0/24. There is no FCS in any file,
and veth pads nothing: frames may be shorter than 60 bytes.
"""
HOSTILE_HEAD = """
## Hostile frames

They assume one fixed-IPv4 IPIP line with NAPT, and where `index.json` gives a file `ports`, a share of the address (PSID offset,
length and PSID: RFC 7597 5.1). Frames of one moment come in one burst. A frame's `expected` names what is right; where `|` joins
several, each is allowed and the first is preferred. "nothing" in the first words of a fault means the frame is sound and shows that the
router still works. Whatever the frame: no crash, no read beyond it, exactly one counted verdict.

The WAN files answer sessions opened by `opener-lan.pcap` and assume that the NAPT keeps ports and identifiers that are free
(UDP 40000, TCP 40001, ICMP 4242 and 4243 stay as they are on 192.0.2.1), and carries UDP-Lite by address.
"""


def write(directory):
    entries = [_entry(fixture, Path(directory, fixture.name)) for fixture in catalog.ALL]
    Path(directory, "INDEX.md").write_text(_markdown(entries))
    content = {"line": LINE, "verdicts": VERDICTS, "files": entries}
    Path(directory, "index.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _entry(fixture, path):
    records = pcapfile.read(path)
    entry = {
        "file": fixture.name, "kind": type(fixture).__name__.lower(), "side": fixture.side, "format": fixture.form,
        "frames": len(records), "bytes": path.stat().st_size, "sha256": hashlib.sha256(pcapfile.unpack(path)).hexdigest(),
        "from": fixture.command, "shows": fixture.shows,
    }
    if isinstance(fixture, catalog.Hostile):
        if fixture.ports:
            entry["ports"] = dict(zip(("offset", "length", "psid"), fixture.ports))
        entry["list"] = [{"frame": number, "length": len(frame.data), "fault": frame.wrong, "expected": frame.verdict.split("|"),
                          "must": frame.must} for number, frame in enumerate(fixture.build(), 1)]
    return entry


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _markdown(entries):
    out = [HEAD, f"\n{len(entries)} files, {sum(e['bytes'] for e in entries) / 1000:.0f} kB on disk. `sha256` in `index.json` is of the "
           "uncompressed content.\n\n## Files\n"]
    out.append(_table(("file", "frames", "side", "format", "from", "shows"),
                      [(f"`{e['file']}`", e["frames"], e["side"], e["format"], e["from"], e["shows"]) for e in entries]))
    out += [HOSTILE_HEAD, "\n### The line\n", _table(("what", "value"), LINE.items()), "\n### Expected\n",
            _table(("word", "meaning"), VERDICTS.items())]
    for e in entries:
        if "list" in e:
            out += [f"\n### `{e['file']}` ({e['side']})\n",
                    _table(("#", "bytes", "fault", "expected", "must"), [(x["frame"], x["length"], x["fault"],
                           " | ".join(x["expected"]), x["must"]) for x in e["list"]])]
    return "\n".join(out)
