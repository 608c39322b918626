"""Two programs, the same captures, the same random bytes: what leaves and what is counted is compared. See scripts/same-bytes."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

for folder in ("scripts/judge.d", "pcap-fixtures"):
    sys.path.insert(0, folder)

import captures  # noqa: E402
from recipes import frames, pcapfile  # noqa: E402

ENDS = ["--ce", frames.CE, "--br", frames.BR]
FIXED = ["--mode", "ipip", *ENDS, "--ipv4", frames.OUTSIDE]
# The rule makes of this prefix an address of 192.0.2.0/24 and a set of its ports.
SHARED = ["--mode", "map-e", "--prefix", "2001:db8:12:3400::/56", "--br", frames.BR]
# Each mode with what is asked of it in turn; the kind says how a capture's replies are put into the tunnel.
MODES = {
    "dslite": ("dslite", ["--mode", "dslite", *ENDS]),
    "dslite-fragments": ("dslite", ["--mode", "dslite", *ENDS, "--tunnel-mtu", "1500"]),
    "dslite-classes": ("dslite", ["--mode", "dslite", *ENDS, "--copy-dscp", "--copy-ecn", "--mss", "off"]),
    "ipip": ("ipip", FIXED),
    "ipip-fragments": ("ipip", [*FIXED, "--tunnel-mtu", "1500", "--mss", "536"]),
    "ipip-open": ("ipip", [*FIXED, "--filtering", "endpoint-independent", "--port-parity", "--answer-unsolicited"]),
    "ipip-forwards": ("ipip", [*FIXED, "--forward", "all=192.168.1.10", "--sessions-per-host", "4", "--timeouts", "udp=1,tcp=5"]),
    "ipip-shifted": ("ipip", [*FIXED, "--headroom", "0", "--batch", "7", "--ring-slots", "64", "--table", "1024"]),
    "map-e": ("ipip", [*SHARED, "--rule", "2001:db8::/40,192.0.2.0/24,16,6"]),
    "map-e-mesh": ("ipip", [*SHARED, "--rule", "2001:db8::/40,192.0.2.0/24,16,6", "--rule", "2001:db8:100::/40,203.0.113.0/24,16,6", "--mesh"]),
    "map-e-rfc7597": ("ipip", [*SHARED, "--rule", "2001:db8::/40,192.0.2.0/24,16,4", "--iid", "rfc7597"]),
    "vlans": ("ipip", [*FIXED, "--lan-vlan", "7", "--wan-vlan", "8"]),
}
# What runs by the wall clock and says nothing of what was done.
CLOCKS = {"wall_seconds", "path_seconds", "frames_per_second", "path_frames_per_second"}
# What `hikyaku replay` says of frames that it cannot play.
TOO_LARGE = "larger than a ring's buffer"


def played(program, words, inputs, place):
    """What left on both sides, what was counted, the exit code, and whether frames were not played for their length."""
    outputs = [place / "lan-out.pcap", place / "wan-out.pcap"]
    for output in outputs:
        output.unlink(missing_ok=True)
    given = [word for side, path in inputs.items() for word in (f"--{side}", str(path))]
    done = subprocess.run(
        [program, "replay", *words, *given, "--lan-out", str(outputs[0]), "--wan-out", str(outputs[1]), "--json"],
        capture_output=True, text=True, env={**os.environ, "LD_PRELOAD": str(place / "still.so")})
    try:
        counted = json.loads(done.stdout)
    except json.JSONDecodeError:
        counted = {"said": done.stdout + done.stderr}
    for clock in CLOCKS:
        counted.get("rates", {}).pop(clock, None)
    return [output.read_bytes() if output.exists() else None for output in outputs], counted, done.returncode, TOO_LARGE in done.stderr


def renamed(counted, names):
    """What the old program counted, in the new one's words."""
    for kind in ("verdicts", "events"):
        counted[kind] = {names.get(name, name): count for name, count in counted.get(kind, {}).items()}
    return counted


def situations(name, kind, place):
    """The capture as it is on either side, and as a conversation: what hosts sent and what came back through the tunnel."""
    whole = captures.FOLDER / name
    yield "lan", {"lan": whole}
    yield "wan", {"wan": whole}
    sides, _ = captures.sides(name, kind, 1460)
    paths = {}
    for side, records in sides.items():
        if records:
            paths[side] = place / f"{side}.pcap"
            paths[side].write_bytes(pcapfile.encode(records, "pcap, nanoseconds"))
    yield "both", paths


def main(place, old, new, *words):
    names = dict(word.split("=", 1) for flag, word in zip(words[::2], words[1::2]) if flag == "--renamed")
    place, runs, frames_out, differing = Path(place), 0, 0, []
    for name, (mode, (kind, flags)) in product(captures.names(), MODES.items()):
        for side, inputs in situations(name, kind, place):
            if not inputs:
                continue
            left, counted, code, too_large = played(old, flags, inputs, place)
            left_now, counted_now, code_now, too_large_now = played(new, flags, inputs, place)
            # Programs like that of 770e832 ended with 0 where such frames were all that was wrong.
            if too_large and too_large_now and (code, code_now) == (0, 1):
                code = 1
            runs += 1
            frames_out += sum(counted[link]["frames_out"] for link in ("lan", "wan") if link in counted)
            if left != left_now:
                differing.append(f"{name}, {mode}, {side}: other bytes left")
            if (renamed(counted, names), code) != (renamed(counted_now, names), code_now):
                differing.append(f"{name}, {mode}, {side}: {counted} ({code}) is now {counted_now} ({code_now})")
    for line in differing:
        print(line)
    print(f"{runs} runs of {len(captures.names())} captures in {len(MODES)} modes, {frames_out} frames left; {len(differing)} differ")
    return 1 if differing or not frames_out else 0


sys.exit(main(*sys.argv[1:]))
