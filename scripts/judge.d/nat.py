"""The same history through hikyaku and through the kernel's masquerade; what leaves must be the same, but for DIFFERENCES."""

import copy
from collections import Counter

import packets
from differences import DIFFERENCES
from history import KERNELS, OURS, History
from piped import LAN, WAN
from recipes import frames
from recipes.frames import ICMP, TCP, UDP
from routers import Kernel, Ours


def canonical(event, router, left):
    """What left, comparable: the outside port becomes whether it is the host's own, checksums whether they are right."""
    seen = []
    for side, (packet, pieces) in [(side, p) for side in (LAN, WAN)
                                   for p in packets.joined(p for at, p in left if at == side)]:
        f = packets.fields(packet)
        made_here = f["proto"] == ICMP and f["src"] in (frames.ROUTER, frames.OUTSIDE) and (
            side == event.side and f["payload"][:1] not in (b"\0", b"\x08"))
        ports, check, rest = packets.transport(f)
        item = {"side": "lan" if side == LAN else "wan", **{k: f[k] for k in (
            "src", "dst", "proto", "tos", "ttl", "options")}, "df": bool(f["flags"] & 2),
            "id": None if made_here else f["id"], "made here": made_here, "pieces": pieces, "check": check, "rest": rest}
        if side == WAN and not made_here and event.flow and f["proto"] in (TCP, UDP, ICMP) and event.quoted is None:
            item["kept"] = ports[0] == event.flow.inside[1]
            ports = ("mapped" if ports[0] == event.flow.outside[router] or event.side == LAN else ports[0], *ports[1:])
        item["ports"] = ports
        if event.quoted is not None and side == WAN:
            item["quotes"] = unquoted(rest[6:], event.quoted[router])
            item["rest"] = rest[:6]
        elif made_here:
            sent = event.packets[router]
            item["quotes"] = any(p.startswith(rest[6:]) for p in sent) and len(rest) >= 34
            item["rest"] = rest[:6]
            item["quoted"] = len(rest) - 6
        seen.append(item)
    return sorted(seen, key=repr)


def unquoted(quote, sent):
    """Whether the receiver of an error finds what it sent in it, TTL and header checksum apart."""
    length = (quote[0] & 15) * 4
    header_right = frames.checksum(quote[:length]) == 0
    same = all(a == b or at in (8, 10, 11) for at, (a, b) in enumerate(zip(quote, sent)))
    return "as it was sent" if header_right and same and len(quote) == len(sent) else f"{quote.hex()} of {sent.hex()}"


def brief(value):
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text) // 2} bytes)"


def shown(outcome):
    return "\n".join("    " + ", ".join(f"{k}={brief(v)}" for k, v in item.items())
                     for item in outcome) or "    nothing"


def judge(program, seed, count, log, spoil=None):
    """Plays `count` events. Returns complaints, and how often each difference was met. `spoil` is done to what leaves hikyaku."""
    ours, kernel = Ours(program, count), Kernel()
    history, met, events, complaints = History(seed), Counter(), Counter(), []
    for number in range(count):
        event = history.next()
        events[event.what] += 1
        left = [ours.exchange(event.side, event.packets[OURS]), kernel.exchange(event.side, event.packets[KERNELS])]
        if spoil:
            left[OURS] = [spoilt for spoilt in (spoil(*one) for one in left[OURS]) if spoilt]
        try:
            a, b = [canonical(event, router, left[router]) for router in (OURS, KERNELS)]
        except packets.Bad as bad:
            complaints.append(f"seed {seed}, event {number}, {event.what}: {bad}")
            continue
        x, y = copy.deepcopy((a, b))
        for difference in DIFFERENCES if x != y else ():
            before = copy.deepcopy((x, y))
            x, y = difference(event, x, y, history)
            met[difference.__name__] += (x, y) != before
        if x != y:
            flow = event.flow and (event.flow.proto, event.flow.inside, event.flow.peer, event.flow.outside)
            complaints.append(f"seed {seed}, event {number}, {event.what} {sorted(event.tags)} {flow}\n"
                              f"  in\n    {' '.join(brief(p) for p in event.packets[OURS])}\n"
                              f"  hikyaku ({'; '.join(ours.verdicts)})\n{shown(a)}\n  kernel\n{shown(b)}")
        history.note(event, left)
    ours.close()
    kernel.close()
    if not spoil:
        print(f"{count} events:", ", ".join(f"{n} {what}" for what, n in sorted(events.items())), file=log)
    return complaints, met
