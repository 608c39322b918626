"""Where hikyaku and the kernel's NAT may differ. docs/judges.md gives the reason for each, under the same name.

A difference takes what both did with an event, and gives it back without that difference if it is there, and just as it
may be."""

import packets


def each(a, b):
    """Pairs of packets that are compared, or none where one of them sent more."""
    return zip(a, b) if len(a) == len(b) else ()


def endpoint_independent(event, a, b, history):
    """RFC 4787 REQ-1: a host keeps its mapping whoever it speaks to, so a port that another host has is not to be had. The
    kernel gives the same port to both as long as their peers differ."""
    flow = event.flow
    others = flow and any(f.proto == flow.proto and flow.inside[1] in (f.inside[1], *f.outside) and f.inside != flow.inside
                          for f in history.flows)
    for x, y in each(a, b):
        if others and x.get("kept") != y.get("kept"):
            x["kept"] = y["kept"] = None
    return a, b


def port_zero(event, a, b, _):
    """Zero is nobody's port outside: a flow from it is translated to another one."""
    for x, y in each(a, b):
        if event.flow and event.flow.inside[1] == 0 and (x.get("kept"), y.get("kept")) == (False, True):
            x["kept"] = y["kept"] = None
    return a, b


def tos_of_errors(event, a, b, _):
    """RFC 1349 5.1: the TOS of an ICMP error is the default one, its precedence 6 (RFC 1812 4.3.2.5). The kernel takes over
    the TOS bits, and what are now the DSCP's and ECN's, of the packet that the error is about."""
    for x, y in each(a, b):
        if x["made here"] and y["made here"] and x["tos"] == 0xC0 and y["tos"] & 0xC0 == 0xC0:
            y["tos"] = 0xC0
    return a, b


def record_route(event, a, b, _):
    """RFC 7126 4.5, 4.7: a record route or timestamp option is passed on as if it was not there; nothing is recorded in it."""
    for x, y in each(a, b):
        if event.tags & {"record-route", "timestamp"} and x["options"] == original(event)["options"]:
            # The kernel writes into the option behind its pointer, and moves that.
            same = (x["options"][:2], len(x["options"])) == (y["options"][:2], len(y["options"]))
            if same and y["options"][2] > x["options"][2]:
                y["options"] = x["options"]
    return a, b


def wrong_checksum(event, a, b, _):
    """A wrong transport checksum stays as wrong as it was, for the receiver to see: RFC 3022 4.1 asks for an update, not for
    a judgement. The kernel's connection tracking calls the packet invalid, and a firewall as here drops those."""
    if "wrong checksum" in event.tags and not b and len(a) == 1 and a[0]["check"] == "wrong by 32":
        return b, b
    return a, b


def window(event, a, b, _):
    """Sequence numbers are the ends' affair: a NAT that has lost sight of a window breaks connections that live. The kernel
    calls what is outside of it invalid."""
    if "window" in event.tags and not b and len(a) == 1 and a[0]["check"] == "right":
        return b, b
    return a, b


def own_address(event, a, b, _):
    """A packet to our outside address and a port that nobody has is dropped and counted. The kernel's own stack answers."""
    if event.what == "own-address" and not a and [x["rest"][:2] for x in b] == [b"\3\3"]:
        return a, a
    return a, b


def who_fragments(event, a, b, _):
    """RFC 2473 7.2: a packet without DF that is too large for the tunnel goes through it in outer fragments and comes out
    whole. The kernel fragments the IPv4 packet."""
    for x, y in each(a, b):
        if "no df" in event.tags and x["pieces"] == 1 and y["pieces"] > 1:
            y["pieces"] = 1
    return a, b


def odd_tcp(event, a, b, _):
    """What a host sends without a connection is passed on, so that the server's reset comes back to it (a session of four
    minutes is opened for that); flags are judged by the ends. The kernel calls such packets invalid."""
    if event.what == "tcp-odd" and not b and len(a) == 1 and a[0]["check"] == "right":
        return b, b
    return a, b


def quoted_checksum(event, a, b, _):
    """RFC 5508 REQ-3 a: an error is dropped if the IPv4 header that it quotes has a wrong checksum. The kernel does not look,
    and what it makes of it is as wrong."""
    if "quoted checksum" in event.tags and not a and len(b) == 1:
        return a, a
    return a, b


def source_quench(event, a, b, _):
    """RFC 6633: source quenches are not passed on. The kernel translates them."""
    if "source quench" in event.tags and not a and len(b) == 1:
        return a, a
    return a, b


def queries(event, a, b, _):
    """Of the ICMP queries echo and timestamp are translated. The kernel translates address mask requests, too."""
    if "type 17" in event.tags and not a and len(b) == 1:
        return a, a
    return a, b


def echo_backwards(event, a, b, _):
    """A session of an echo is one of its identifier: a reply goes by it where a request is usual, and a request where a reply
    is. The kernel calls the one invalid and the other new."""
    if event.what == "echo-backwards" and not b and len(a) == 1 and a[0]["check"] == "right":
        return b, b
    return a, b


def reserved(event, a, b, _):
    """RFC 1112 4: 240.0.0.0/4 is reserved and not forwarded to. The kernel takes it for addresses like others."""
    if any(tag.endswith(" to 240.0.0.1") for tag in event.tags) and not a and len(b) == 1:
        return a, a
    return a, b


def original(event):
    return packets.fields(event.packets[0][0])


DIFFERENCES = [endpoint_independent, port_zero, tos_of_errors, record_route, wrong_checksum, window, own_address, who_fragments,
               odd_tcp, quoted_checksum, source_quench, queries, echo_backwards,
               reserved]
