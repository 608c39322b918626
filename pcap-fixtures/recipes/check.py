"""What every file must stand up to, judged by tshark and by reading the bytes."""

import os
import re
import subprocess
from pathlib import Path

from recipes import catalog, pcapfile

CHECKSUMS = [word for key in ("ip", "tcp", "udp", "udplite") for word in ("-o", f"{key}.check_checksum:TRUE")]
# In a packet quoted by an ICMP error tshark sums up the TCP bytes that are left and calls the checksum bad: not asked there.
BAD = ("ip.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || "
       "((tcp.checksum.status == 0 || udp.checksum.status == 0) && !icmp && !icmpv6)")
MALFORMED = "_ws.malformed || (_ws.expert.severity == error && !icmp && !icmpv6)"
LIMIT = 4_000_000
ABOUT_US = re.compile(rb"/(?:home|root|work|tmp|run|usr|var)/|python|nginx/|ubuntu|debian|linux|\broot\b", re.I)


def tshark(path, *words):
    done = subprocess.run(["tshark", "-n", "-r", str(path), *CHECKSUMS, *words], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/nonexistent"})
    noise = [line for line in done.stderr.splitlines() if line and "Running as user" not in line]
    if done.returncode or noise:
        raise RuntimeError(f"{path}: tshark: {done.returncode} {noise}")
    return done.stdout.split("\n")[:-1]


def matching(path, display_filter):
    return {int(line) for line in tshark(path, "-Y", display_filter, "-T", "fields", "-e", "frame.number")}


def check(directory):
    """All complaints, as text; none is good."""
    total = 0
    for fixture in catalog.ALL:
        path = Path(directory, fixture.name)
        if not path.exists():
            yield f"{fixture.name}: missing"
            continue
        total += path.stat().st_size
        records = pcapfile.read(path)
        lines = tshark(path, "-T", "fields", "-e", "frame.len")
        if [int(line) for line in lines] != [len(data) for _, data in records]:
            yield f"{fixture.name}: tshark sees other frames than we do"
        if pcapfile.pack(fixture.name, pcapfile.encode(records, fixture.form)) != path.read_bytes():
            yield f"{fixture.name}: is not the `{fixture.form}` it should be"
        judge = {catalog.Captured: _captured, catalog.Load: _load, catalog.Hostile: _hostile}[type(fixture)]
        for complaint in judge(fixture, path, records):
            yield f"{fixture.name}: {complaint}"
    known = {fixture.name for fixture in catalog.ALL}
    for path in Path(directory).glob("*.pcap*"):
        if path.name not in known:
            yield f"{path.name}: not in the catalog"
    if total > LIMIT:
        yield f"{total} bytes in all, more than {LIMIT}"


def _captured(fixture, path, records):
    yield from (f"frame {n}: bad checksum or malformed" for n in sorted(matching(path, f"{BAD} || {MALFORMED}")))
    if not matching(path, "ip.src == 192.168.1.10") or not matching(path, "ip.dst == 192.168.1.10"):
        yield "one direction is missing"
    for number, (_, data) in enumerate(records, 1):
        if not 35 <= len(data) <= fixture.largest:
            yield f"frame {number}: {len(data)} bytes"
        found = ABOUT_US.search(data)
        if found:
            yield f"frame {number}: tells about the machine: {data[max(0, found.start() - 20):found.end() + 20]!r}"
    times = [when for when, _ in records]
    if times != sorted(times):
        yield "times go backwards"


def _load(fixture, path, records):
    if fixture.records() != records:
        yield "differs from what the recipe makes"
    # "malformed" is no fault here: tshark guesses an application from some of the pseudorandom ports
    yield from (f"frame {n}: bad checksum" for n in sorted(matching(path, BAD)))


def _hostile(fixture, path, records):
    if fixture.records() != records:
        yield "differs from what the recipe makes"
    frames = fixture.build()
    if len({frame.wrong for frame in frames}) != len(frames):
        yield "two frames with the same description"
    for eye in sorted({frame.eye for frame in frames} - {""}):
        seen = matching(path, eye)
        for number, frame in enumerate(frames, 1):
            if frame.eye == eye and number not in seen:
                yield f"frame {number} ({frame.wrong}): tshark does not see `{eye}`"
    ill = matching(path, f"{BAD} || {MALFORMED}")
    for number, frame in enumerate(frames, 1):
        if number in ill and frame.wrong.startswith("nothing"):
            yield f"frame {number} ({frame.wrong}): tshark finds fault with it"
