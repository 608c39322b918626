"""Hostile frames as they arrive on the WAN link, by theme, and the LAN frames that open the sessions they answer to.

A frame that may pass belongs to a session of `opener()`; play that on the LAN link first. The first frame of each file
is a sound one that must pass.
"""

import struct

from recipes import frames as f
from recipes.frames import Sheet, eth, fragment_header, icmp, ipv4, ipv6, options_header, tcp, udp

UNTOUCHED = "nothing is sent"
OPEN_SESSION = "drop, or leave it to the host: of a packet of an open session a NAPT needs no more than ports"
NOT_UNPACKED = "never decapsulated"
UDP_PORT, TCP_PORT, ECHO_ID, TIMESTAMP_ID = 40000, 40001, 4242, 4243


def opener():
    s = Sheet()
    s.add("forward", "nothing: UDP 192.168.1.10:40000 to 203.0.113.80:443", "opens the UDP session the WAN files answer",
          eth(ipv4(udp(sport=UDP_PORT))))
    s.add("forward", "nothing: TCP SYN 192.168.1.10:40001 to 203.0.113.80:80", "opens the TCP session, MSS clamped",
          eth(ipv4(tcp(b"", TCP_PORT, options=bytes.fromhex("020405b4")), f.TCP)))
    s.add("forward", "nothing: echo request 192.168.1.10 to 203.0.113.80, identifier 4242", "opens the ICMP session",
          eth(ipv4(f.echo(ECHO_ID), f.ICMP)))
    s.add("forward", "nothing: timestamp request 192.168.1.10 to 203.0.113.80, identifier 4243", "opens an ICMP session as the "
          "echo does (RFC 5508 REQ-1; was dropped)", eth(ipv4(f.timestamp(TIMESTAMP_ID), f.ICMP)))
    s.add("forward", "nothing: UDP-Lite 192.168.1.10:40000 to 203.0.113.80:443", "opens the session of protocol 136, by address",
          eth(ipv4(f.udp_lite(sport=UDP_PORT), f.UDP_LITE, ident=f.UDP_LITE)))
    return s.frames


def answer(payload=b"hikyaku", dport=UDP_PORT, src=f.SERVER, dst=f.OUTSIDE, **fields):
    """The inner packet of a sound answer: UDP 203.0.113.80:443 -> 192.0.2.1:40000."""
    datagram = fields.pop("datagram", None)
    if datagram is None:
        datagram = udp(payload, 443, dport, src, dst)
    return ipv4(datagram, fields.pop("proto", f.UDP), src, dst, ttl=fields.pop("ttl", 57), **fields)


def wan(packet, kind=0x86DD, dst=f.CE_WAN_MAC, src=f.GATEWAY_MAC):
    return eth(packet, kind, dst, src)


def sound(sheet):
    sheet.add("forward", "nothing: a sound answer in the tunnel", "decapsulated, translated, sent to 192.168.1.10",
              wan(ipv6(answer())), "ipv6.nxt == 4 && udp.dstport == 40000")


def outer():
    s = Sheet()
    sound(s)
    whole = wan(ipv6(answer(b"")))
    for length in (0, 1, 13, 14, 15, 20, 53, 54, 55, 63, 73, 74, 75, 81):
        s.add("drop", f"the sound frame (82 bytes) cut to {length}", UNTOUCHED, whole[:length], f"frame.len == {length}")

    def out(verdict, wrong, must, eye="", packet=None, link=None, **fields):
        s.add(verdict, wrong, must, wan(ipv6(answer() if packet is None else packet, **fields), **(link or {})), eye)

    for src, name in (("2001:db8:ffff::2", "another host beside the BR"), (f.CE, "our own CE address"), ("::", "unspecified"),
                      ("::1", "loopback"), ("ff02::1", "multicast"), ("fe80::1", "link-local"),
                      ("::ffff:203.0.113.80", "IPv4-mapped"), ("2001:db8:12:3400::1", "a host of our own prefix")):
        out("drop", f"outer source {src}: {name}", "dropped: only the BR may speak here", f"ipv6.src == {src}", src=src)
    for dst, name in (("2001:db8:12:3400::beef", "another address of our prefix"), (f.BR, "the BR itself"),
                      ("2001:db8:12:3400::", "our prefix's router anycast"), ("ff02::1", "all nodes"),
                      ("fe80::feed", "link-local with our interface id"), ("::1", "loopback"),
                      ("2001:db8:12:34ff::feed", "our interface id in another /64")):
        out("drop|punt", f"outer destination {dst}: {name}", NOT_UNPACKED, f"ipv6.dst == {dst}", dst=dst)
    out("drop", "Ethernet destination is another station", UNTOUCHED, link={"dst": "02:00:00:00:02:99"})
    out("drop", "unicast IPv6 in a multicast Ethernet frame", UNTOUCHED, link={"dst": "33:33:00:00:00:01"})
    out("drop", "Ethernet source is a multicast address", UNTOUCHED, link={"src": "33:33:00:00:00:01"})
    s.add("drop", "native IPv4 on the WAN link, to 192.0.2.1", "dropped: IPv4 only comes through the tunnel",
          wan(answer(), 0x0800))
    s.add("drop", "EtherType IPv4 around an IPv6 packet", UNTOUCHED, wan(ipv6(answer()), 0x0800))
    out("drop", "version 4 in an IPv6 frame", UNTOUCHED, version=4)
    out("drop", "version 0 in an IPv6 frame", UNTOUCHED, version=0)

    out("forward", "nothing: hop limit 0", "accepted: a destination does not check it (RFC 8200 3)", "ipv6.hlim == 0",
        hops=0)
    out("forward", "nothing: hop limit 1", "accepted", hops=1)
    out("forward", "nothing: flow label 0xfffff", "accepted", "ipv6.flow == 0xfffff", flow=0xFFFFF)
    out("forward", "nothing: outer DSCP EF, inner DSCP 0", "inner DSCP stays 0, IPv4 checksum right", tclass=0xB8)

    for nxt, name in ((f.IPV6, "41 (IPv6)"), (f.GRE, "47 (GRE)"), (f.ESP, "50 (ESP)"), (f.AH, "51 (AH)"), (137, "137 (MPLS)"),
                      (143, "143 (Ethernet)"), (253, "253 (experimental)"), (255, "255")):
        out("drop|punt|error", f"next header {name} in front of the IPv4 packet", NOT_UNPACKED, nxt=nxt)
    out("drop", "next header 59 (none) with bytes behind it", UNTOUCHED, "ipv6.nxt == 59", nxt=f.NO_NEXT)
    s.add("punt", "nothing: echo request for the CE address", "answered by the router, not taken for tunnel traffic",
          wan(ipv6(f.icmpv6(128, 0, struct.pack("!HH", 7, 1), b"hikyaku", f.HOP, f.CE), f.ICMPV6, f.HOP)), "icmpv6.type == 128")
    s.add("punt|drop", "UDP port 9 of the CE address", "not taken for tunnel traffic",
          wan(ipv6(udp(b"x", 53, 9, f.HOP, f.CE), f.UDP, f.HOP)))

    out("drop", "payload length 0, 35 bytes follow", "dropped: no jumbograms here", "ipv6.plen == 0", length=0)
    out("drop", "payload length 0 and nothing follows", UNTOUCHED, packet=b"")
    out("drop", "payload length one more than the frame holds", UNTOUCHED, length=36)
    out("drop", "payload length 65535", UNTOUCHED, length=65535)
    out("drop", "payload length one less than the inner total length", UNTOUCHED, length=34)
    out("drop", "payload length 10", "dropped: less than an IPv4 header", length=10)
    out("forward", "payload length 4 more than the inner total length, bytes present", "leaves without the 4 bytes",
        packet=answer() + b"\xde\xad\xbe\xef")
    s.add("forward", "4 bytes of rubbish after the IPv6 packet (an FCS left in)", "leaves without them",
          wan(ipv6(answer()) + b"\xde\xad\xbe\xef"))
    out("drop|forward", "inner packet of 1461 bytes: outer packet of 1501, over the link's MTU", "refused or passed, never cut",
        packet=answer(f.pattern(1433)))
    out("drop", "outer packet of 4040 bytes: longer than a 2048-byte buffer", "dropped whole", packet=answer(f.pattern(3972)))
    return s.frames


def extension_headers():
    s = Sheet()
    sound(s)
    hbh, dst = f.HOP_BY_HOP, f.DEST_OPTS

    def ext(verdict, wrong, must, nxt, chain, eye="", packet=None):
        s.add(verdict, wrong, must, wan(ipv6(chain + (answer() if packet is None else packet), nxt)), eye)

    accept = "decapsulated (RFC 8200 4: any order, any number); dropping by a stated policy is a drop reason of its own"
    tel = bytes([4, 1, 4])
    ext("forward|drop", "hop-by-hop header with padding only", accept, hbh, options_header(f.IPIP, b""))
    ext("forward|drop", "destination options with padding only", accept, dst, options_header(f.IPIP, b""))
    ext("forward", "destination options with tunnel encapsulation limit 4", "decapsulated: the limit is for nested tunnels "
        "(RFC 2473 4.1.1)", dst, options_header(f.IPIP, tel), "ipv6.dstopts")
    ext("forward", "tunnel encapsulation limit 0", "decapsulated: the limit binds encapsulators, not the exit", dst,
        options_header(f.IPIP, bytes([4, 1, 0])))
    ext("forward|drop", "tunnel encapsulation limit of length 0", "no read beyond the option", dst,
        options_header(f.IPIP, bytes([4, 0])))
    ext("forward|drop", "tunnel encapsulation limit twice", accept, dst, options_header(f.IPIP, tel + tel))
    ext("forward|drop", "hop-by-hop, then destination options", accept, hbh,
        options_header(dst, b"") + options_header(f.IPIP, tel))
    ext("forward|drop", "hop-by-hop with router alert", "no special treatment of the line", hbh,
        options_header(f.IPIP, bytes([5, 2, 0, 0])))
    ext("drop", "hop-by-hop with a jumbo payload option (length 70000)", "dropped: payload length is not 0, link is no jumbo link",
        hbh, options_header(f.IPIP, bytes([0xC2, 4]) + struct.pack("!I", 70000)))
    ext("forward|drop", "destination options with 102 Pad1", "walk is bounded", dst,
        options_header(f.IPIP, bytes(102)))
    ext("forward|drop", "unknown option 0x1e: skip", accept, dst, options_header(f.IPIP, bytes([0x1E, 2, 0, 0])))
    ext("drop", "unknown option 0x5e: discard", "dropped without an answer", dst,
        options_header(f.IPIP, bytes([0x5E, 2, 0, 0])))
    ext("drop|error", "unknown option 0x9e: discard and report", "dropped; ICMPv6 4/2 allowed, rate-limited", dst,
        options_header(f.IPIP, bytes([0x9E, 2, 0, 0])))
    ext("drop|error", "unknown option 0xde: discard and report unless multicast", "dropped; ICMPv6 4/2 allowed", dst,
        options_header(f.IPIP, bytes([0xDE, 2, 0, 0])))
    ext("drop", "option runs past its header (PadN 200 in 8 bytes)", "no read beyond the header", dst,
        struct.pack("!BB", f.IPIP, 0) + bytes([1, 200]) + bytes(4))
    ext("drop", "option type as the header's last byte", "no read beyond the header", dst,
        struct.pack("!BB", f.IPIP, 0) + bytes([1, 3, 0, 0, 0, 4]))
    ext("drop", "header extension length 255 (2048 bytes) in a short packet", "no read beyond the packet", dst,
        options_header(f.IPIP, b"", units=255))
    ext("drop", "destination options end exactly at the packet's end, next header 4", "dropped: no inner packet", dst,
        options_header(f.IPIP, b""), packet=b"")
    ext("drop", "next header 60 and an empty payload", UNTOUCHED, dst, b"", packet=b"")
    ext("drop", "destination options cut after one byte", UNTOUCHED, dst, b"\x04", packet=b"")
    ext("drop", "destination options cut after seven bytes", UNTOUCHED, dst, options_header(f.IPIP, b"")[:7], packet=b"")
    ext("drop|error", "hop-by-hop header not in first place", "dropped (RFC 8200 4.1); ICMPv6 4/1 allowed", dst,
        options_header(hbh, b"") + options_header(f.IPIP, b""))
    ext("drop|error", "hop-by-hop header twice", "dropped (RFC 8200 4.1)", hbh,
        options_header(hbh, b"") + options_header(f.IPIP, b""))
    ext("forward|drop", "8 destination options headers", "accepted or dropped by a stated limit", dst,
        options_header(dst, b"") * 7 + options_header(f.IPIP, b""))
    ext("drop|forward", "150 destination options headers", "the walk is bounded", dst,
        options_header(dst, b"") * 149 + options_header(f.IPIP, b""))
    ext("drop", "180 destination options headers that never end (all point to another)", "the walk ends with the packet", dst,
        options_header(dst, b"") * 180, packet=b"")
    ext("drop", "hop-by-hop headers of zero bytes chained to themselves (next 0, length 0, 20 times)",
        "every header counts at least 8 bytes: the walk ends", hbh, bytes(8) * 20, packet=b"")

    def routing(kind, left, nxt=f.IPIP):
        return struct.pack("!BBBBI", nxt, 2, kind, left, 0) + bytes.fromhex("20010db8fffe00000000000000000001")

    ext("drop|error", "routing header type 0, one segment left", "dropped, never forwarded on (RFC 5095); ICMPv6 4/0 allowed",
        f.ROUTING, routing(0, 1), "ipv6.routing.type == 0")
    ext("forward|drop", "routing header type 0, no segment left", "ignored and decapsulated, or dropped by a stated policy",
        f.ROUTING, routing(0, 0))
    ext("drop|error", "routing header type 4 (segment routing), one segment left", "dropped: we are no segment endpoint",
        f.ROUTING, routing(4, 1))
    ext("drop|error", "routing header of unknown type 253, one segment left", "dropped; ICMPv6 4/0 allowed", f.ROUTING,
        routing(253, 1))
    ext("forward|drop", "routing header of unknown type 253, no segment left", "ignored (RFC 8200 4.4), or dropped by policy",
        f.ROUTING, routing(253, 0))
    ext("drop", "routing header longer than the packet", UNTOUCHED, f.ROUTING,
        struct.pack("!BBBBI", f.IPIP, 200, 0, 0, 0), packet=b"")
    ext("drop|punt", "authentication header in front of the IPv4 packet", NOT_UNPACKED, f.AH,
        struct.pack("!BBHII", f.IPIP, 1, 0, 1, 1))
    ext("drop", "authentication header of length 0 chained to itself", "the walk ends", f.AH,
        struct.pack("!BBHI", f.AH, 0, 0, 1) * 4, packet=b"")
    for nxt, name in ((135, "mobility"), (139, "HIP"), (140, "shim6")):
        ext("drop|error", f"{name} header in front of the IPv4 packet", NOT_UNPACKED, nxt, options_header(f.IPIP, b""))
    ext("drop", "destination options, then no next header", UNTOUCHED, dst, options_header(f.NO_NEXT, b""))
    ext("drop|error", "destination options, then unknown next header 253", "dropped; ICMPv6 4/1 allowed", dst,
        options_header(253, b""))
    ext("drop", "destination options, then IPv6 in IPv6 around the IPv4 packet", NOT_UNPACKED, dst,
        options_header(f.IPV6, b""), packet=ipv6(answer()))
    for i in range(8):
        # As long as a buffer of 2048 bytes takes it behind 512; each cache line that frames start at comes round.
        ext("forward", f"nothing: 1448 bytes of PadN in front of 34 bytes that end the frame, {i + 1} of 8", "decapsulated and padded "
            "for the LAN with zeroes, wherever the buffer ends (panicked)", dst, struct.pack("!BB", f.IPIP, 1448 // 8 - 1) +
            (bytes([1, 255]) + bytes(255)) * 5 + bytes([1, 159]) + bytes(159), "frame.len == 1536", answer(b"padded"))
    return s.frames


def fragments():
    s = Sheet()
    sound(s)
    inner = answer(f.pattern(1472), flags=0)  # 1500 bytes
    ident = [0x77000000]

    def new():
        ident[0] += 1

    def piece(verdict, wrong, must, start, end, more, eye="", data=inner, nxt=f.IPIP, offset=None, reserved=0, before=b"",
              first=f.FRAGMENT, **fields):
        header = fragment_header(nxt, start if offset is None else offset, more, ident[0], reserved)
        s.add(verdict, wrong, must, wan(ipv6(before + header + data[start:end], first, **fields)), eye)

    hold = "held for the rest"
    done = "the inner packet of 1500 bytes leaves whole, translated"
    new()
    piece("hold", "nothing: first of two outer fragments", hold, 0, 1448, 1, "ipv6.fraghdr.more == 1")
    piece("forward", "nothing: last of two outer fragments", done, 1448, 1500, 0, "ipv6.reassembled.length && udp")
    new()
    piece("hold", "last fragment comes first", hold, 1448, 1500, 0)
    piece("forward", "its first fragment comes second", done, 0, 1448, 1, "udp.dstport == 40000")
    new()
    piece("hold", "three fragments in order 2-0-1: the last", hold, 1400, 1500, 0)
    piece("hold", "the first", hold, 0, 704, 1)
    piece("forward", "the middle", done, 704, 1400, 1, "udp.dstport == 40000")
    new()
    a = ident[0]
    new()
    b = ident[0]
    for i, (which, start, end, more) in enumerate(((a, 0, 1448, 1), (b, 0, 1448, 1), (a, 1448, 1500, 0), (b, 1448, 1500, 0))):
        ident[0] = which
        piece("hold" if i < 2 else "forward", f"two packets interleaved, frame {i + 1} of 4", hold if i < 2 else done, start,
              end, more)
    new()
    small = answer()
    piece("forward", "nothing: atomic fragment (offset 0, no more)", "decapsulated alone (RFC 6946)", 0, len(small), 0,
          "ipv6.fraghdr.offset == 0 && ipv6.fraghdr.more == 0", data=small)
    piece("hold", "first fragment with the id an atomic fragment just used", hold, 0, 1448, 1)
    piece("forward", "atomic fragment with the same id in between", "decapsulated alone, does not disturb the other", 0,
          len(small), 0, data=small)
    piece("forward", "the last fragment of that id", done, 1448, 1500, 0)
    new()
    piece("forward", "atomic fragment, reserved bits set", "reserved bits are ignored", 0, len(small), 6, data=small,
          reserved=0xFF)
    new()
    piece("hold", "first fragment, sent once", hold, 0, 1448, 1)
    piece("hold|drop", "the same fragment again, identical", "ignored (RFC 8200 4.5 allows) or the packet is dropped", 0, 1448, 1)
    piece("forward|drop", "its last fragment", "leaves if the duplicate was ignored", 1448, 1500, 0)
    new()
    piece("hold", "first fragment; an overlapping one follows", hold, 0, 1448, 1)
    piece("drop", "overlaps the first by 8 bytes, other content", "the whole packet is dropped silently (RFC 5722)", 1440, 1500,
          0, data=bytes(1500))
    piece("drop|hold", "the honest last fragment, too late", "no packet leaves", 1448, 1500, 0)
    new()
    piece("hold", "last fragment; one overlapping it from the left follows", hold, 1448, 1500, 0)
    piece("drop", "first fragment reaching into the last", "the whole packet is dropped silently", 0, 1456, 1)
    new()
    piece("hold", "first fragment; one lying inside it follows", hold, 0, 1448, 1)
    piece("drop", "lies wholly inside the first", "the whole packet is dropped", 24, 48, 1)
    new()
    piece("hold", "last fragment ends at 1500; another end follows", hold, 1448, 1500, 0)
    piece("drop|hold", "a second last fragment that ends at 1496", "two lengths: the packet never leaves with either mixed in",
          1448, 1496, 0)
    new()
    piece("hold", "last fragment ends at 1448; bytes beyond it follow", hold, 1400, 1448, 0)
    piece("drop|hold", "a fragment beyond the end", "the packet is dropped", 1448, 1496, 1)
    new()
    piece("hold|drop", "tiny first fragment: 8 bytes of the inner IPv4 header", "never decapsulated from these 8 bytes", 0, 8,
          1)
    piece("forward|drop|hold", "the rest of it", "RFC 7112 lets a host drop the pair; else the inner packet leaves whole", 8, 1448, 0,
          data=answer(f.pattern(1420)))
    new()
    piece("drop", "zero-length first fragment, more set", UNTOUCHED, 0, 0, 1)
    piece("drop", "zero-length last fragment", UNTOUCHED, 0, 0, 0, offset=1448)
    piece("drop", "zero-length atomic fragment, next header 4", "dropped: no inner packet", 0, 0, 0)
    new()
    piece("drop|error", "more set, 1001 bytes: not a multiple of 8", "dropped; ICMPv6 4/0 allowed (RFC 8200 4.5)", 0, 1001, 1)
    new()
    piece("drop|error", "offset 65528 and 1400 bytes: ends beyond 65535", "dropped; ICMPv6 4/0 allowed", 0, 1400, 0,
          offset=65528)
    piece("drop|error", "offset 65528 and 8 bytes: ends at 65536", "dropped", 0, 8, 0, offset=65528)
    new()
    piece("hold", "first fragment, next header 4", hold, 0, 1448, 1)
    piece("forward", "last fragment, next header 17", done + ": the first fragment's next header counts", 1448, 1500, 0,
          nxt=f.UDP)
    new()
    piece("hold", "first fragment from the BR", hold, 0, 1448, 1)
    piece("drop|hold", "last fragment, same id, from another source", "not joined", 1448, 1500, 0, src="2001:db8:ffff::2")
    piece("drop|hold", "last fragment, same id, to another of our addresses", "not joined", 1448, 1500, 0,
          dst="2001:db8:12:3400::beef")
    piece("forward", "last fragment from the BR", done, 1448, 1500, 0)
    new()
    piece("hold|drop", "first fragment from a wrong source", "dropped before it takes a place, or held and dropped", 0, 1448, 1,
          src="2001:db8:ffff::2")
    piece("drop", "last fragment from that wrong source", "joined or not, nothing leaves", 1448, 1500, 0,
          src="2001:db8:ffff::2")
    new()
    piece("hold|drop", "hop-by-hop header, then first fragment", hold, 0, 1448, 1, before=options_header(f.FRAGMENT, b""),
          first=f.HOP_BY_HOP)
    piece("forward|drop", "hop-by-hop header, then last fragment", done, 1448, 1500, 0,
          before=options_header(f.FRAGMENT, b""), first=f.HOP_BY_HOP)
    new()
    tel = options_header(f.IPIP, bytes([4, 1, 4])) + inner
    piece("hold", "first fragment: destination options inside the fragmented part", hold, 0, 1448, 1, data=tel,
          nxt=f.DEST_OPTS)
    piece("forward|drop", "its last fragment (destination options inside)", "joined, options walked, decapsulated", 1448, 1508, 0, data=tel,
          nxt=f.DEST_OPTS)
    new()
    nested = fragment_header(f.IPIP, 0, 0, ident[0]) + small
    piece("forward|drop", "atomic fragment inside an atomic fragment", "walk is bounded", 0, len(nested), 0, data=nested,
          nxt=f.FRAGMENT)
    new()
    for size in (0, 1, 7):
        s.add("drop", f"fragment header cut to {size} bytes", UNTOUCHED,
              wan(ipv6(fragment_header(f.IPIP, 0, 0, ident[0])[:size], f.FRAGMENT)))
    new()
    short = answer(f.pattern(1472), flags=0, total=1501)
    piece("hold", "first fragment; joined, the inner total length is one too long", hold, 0, 1448, 1, data=short)
    piece("drop", "its last fragment (inner total length)", "joined, then dropped: inner length wrong", 1448, 1500, 0, data=short)
    new()
    wrong = answer(f.pattern(1472), flags=0, dst="192.0.2.2")
    piece("hold", "first fragment; joined, the inner destination is not ours", hold, 0, 1448, 1, data=wrong)
    piece("drop", "its last fragment (inner destination)", "joined, then dropped", 1448, 1500, 0, data=wrong)
    new()
    huge = answer(f.pattern(4972), flags=0)
    for i, start in enumerate(range(0, 5000, 1448)):
        end = min(start + 1448, 5000)
        piece("hold|drop" if end < 5000 else "drop|forward", f"inner packet of 5000 bytes in outer fragments, {i + 1} of 4",
              "more than one buffer: dropped, or sent as IPv4 fragments on the LAN", start, end, end < 5000, data=huge)
    for i in range(64):
        new()
        piece("hold|drop", f"first fragment whose rest never comes, {i + 1} of 64", "held a bounded time in bounded memory, then "
              "counted", 0, 48, 1)
    for i in range(64):
        new()
        piece("hold|drop", f"last fragment whose first never comes, {i + 1} of 64", "held a bounded time in bounded memory, then "
              "counted", 1448, 1500, 0)
    new()
    for i in range(40):
        piece("hold|drop", f"one packet in fragments of 8 bytes, {i + 1} of 40, every second one missing",
              "bounded number of holes per packet", i * 16, i * 16 + 8, 1)
    new()
    piece("hold", "nothing: first of two fragments after the flood", "new packets still get a place", 0, 1448, 1)
    piece("forward", "nothing: last of two fragments after the flood", done, 1448, 1500, 0, "udp.dstport == 40000")
    return s.frames


def inner():
    s = Sheet()
    sound(s)

    def packet(verdict, wrong, must, eye="", data=None, **fields):
        s.add(verdict, wrong, must, wan(ipv6(answer(**fields) if data is None else data)), eye)

    syn_ack = tcp(b"", 80, TCP_PORT, f.SERVER, f.OUTSIDE, seq=5000, ack=1001, flags=f.SYN | f.ACK,
                  options=bytes.fromhex("020405b4"))
    packet("forward", "nothing: TCP SYN-ACK of the open session, MSS 1460", "MSS leaves as 1420, checksum right",
           datagram=syn_ack, proto=f.TCP)
    packet("forward", "nothing: echo reply of the open session", "identifier and address translated back",
           datagram=f.echo(ECHO_ID, reply=True), proto=f.ICMP)

    for length in (1, 10, 19):
        packet("drop", f"inner packet of {length} bytes", "dropped; a 10-byte packet is never forwarded",
               data=answer()[:length], eye=f"ipv6.plen == {length}")
    packet("drop", "inner packet is an IPv4 header only (total length 20, UDP)", UNTOUCHED, data=answer(datagram=b""))
    packet("drop", "inner packet has 7 bytes of UDP header", UNTOUCHED, data=answer(datagram=udp()[:7]))
    for version in (0, 5, 15):
        packet("drop", f"inner version {version}", UNTOUCHED, version=version)
    packet("drop", "inner packet is IPv6", UNTOUCHED, data=ipv6(udp(b"x", 1, 2, f.BR, f.CE), f.UDP))
    for ihl in (0, 4, 15):
        packet("drop", f"inner header length {ihl} words", UNTOUCHED, ihl=ihl)
    packet("drop", "inner total length 0", UNTOUCHED, total=0)
    packet("drop", "inner total length 19", UNTOUCHED, total=19)
    packet("drop", "inner total length one more than the payload", UNTOUCHED, total=36)
    packet("drop", "inner total length 65535", UNTOUCHED, total=65535)
    packet("drop", "inner header checksum wrong", "dropped before any rewrite can hide it",
           'ip.checksum.status == "Bad"', check=0x1234)
    packet("drop", "inner header checksum 0", UNTOUCHED, 'ip.checksum.status == "Bad"', check=0)
    packet("drop|error", "inner TTL 0", "dropped; ICMP time exceeded allowed (RFC 1812 5.3.1)", ttl=0)
    packet("error|drop", "inner TTL 1", "dropped; ICMP time exceeded through the tunnel to the sender, from 192.0.2.1", ttl=1)
    packet("forward", "nothing: inner TTL 2", "leaves with TTL 1", ttl=2)

    for dst, name in (("192.0.2.2", "somebody else's outside address"), (f.CLIENT, "the LAN host's inside address"),
                      (f.ROUTER, "the router's LAN address"), ("192.168.1.255", "the LAN's broadcast"),
                      ("224.0.0.1", "multicast"), ("255.255.255.255", "broadcast"), ("127.0.0.1", "loopback"),
                      ("0.0.0.0", "this host"), ("240.0.0.1", "reserved")):
        packet("drop", f"inner destination {dst}: {name}", "dropped (RFC 7597 8.1)", f"ip.dst == {dst}", dst=dst)
    for src, name in (("0.0.0.0", "this host"), ("127.0.0.1", "loopback"), ("255.255.255.255", "broadcast"),
                      ("224.0.0.1", "multicast"), ("240.0.0.1", "reserved"), ("169.254.1.1", "link-local"),
                      (f.OUTSIDE, "our own outside address (LAND)"), (f.CLIENT, "a host of our LAN"),
                      (f.ROUTER, "our LAN address"), ("192.168.1.255", "our LAN's broadcast")):
        packet("drop", f"inner source {src}: {name}", "dropped", f"ip.src == {src}", src=src)
    packet("drop|forward", "inner source 10.0.0.1: private, not ours", "carriers use it inside their network: policy", src="10.0.0.1")
    packet("forward|drop", "a stranger to an open UDP mapping (198.51.100.7)", "endpoint-independent filtering lets it in, "
           "address-dependent drops it", src="198.51.100.7")

    packet("drop", "UDP to a port without a mapping", "dropped; no ICMP flood", dport=40999)
    packet("drop", "TCP SYN to a port without a mapping", "no RST, no session (RFC 5382: held 6 s at most)",
           datagram=tcp(b"", 5555, 40999, f.SERVER, f.OUTSIDE), proto=f.TCP)
    packet("drop", "TCP ACK to a port without a mapping", UNTOUCHED,
           datagram=tcp(b"", 80, 40999, f.SERVER, f.OUTSIDE, flags=f.ACK), proto=f.TCP)
    packet("drop", "TCP to the port of the UDP mapping", "a mapping belongs to one protocol",
           datagram=tcp(b"", 443, UDP_PORT, f.SERVER, f.OUTSIDE), proto=f.TCP)
    packet("drop|punt", "echo request for 192.0.2.1", "not sent to the LAN; answering it is policy",
           datagram=f.echo(9), proto=f.ICMP)
    packet("drop", "echo reply with an identifier nobody holds", UNTOUCHED, datagram=f.echo(999, reply=True), proto=f.ICMP)
    packet("forward", "nothing: timestamp reply of the open session", "identifier 4243, to 192.168.1.10 (RFC 5508 REQ-1; was dropped)",
           "icmp.type == 14", datagram=f.timestamp(TIMESTAMP_ID, reply=True), proto=f.ICMP)
    packet("drop", "timestamp reply with an identifier nobody holds", UNTOUCHED, datagram=f.timestamp(999, reply=True), proto=f.ICMP)
    packet("drop", "UDP to port 0", UNTOUCHED, dport=0)
    lite = "carried by address: ports kept, checksum right"
    packet("forward", "nothing: UDP-Lite of the open session", lite, "udp.checksum_coverage",
           datagram=f.udp_lite(b"hikyaku", 443, UDP_PORT, f.SERVER, f.OUTSIDE), proto=f.UDP_LITE, ident=f.UDP_LITE)
    packet("drop", "UDP-Lite of a stranger (198.51.100.7)", "only the peer gets in", src="198.51.100.7",
           datagram=f.udp_lite(b"hikyaku", 443, UDP_PORT, "198.51.100.7", f.OUTSIDE), proto=f.UDP_LITE, ident=f.UDP_LITE)
    for proto, name in ((f.IPIP, "4: a tunnel in the tunnel"), (f.IPV6, "41: IPv6 in the tunnel"), (f.GRE, "47 (GRE)"),
                        (f.ESP, "50 (ESP)"), (132, "132 (SCTP)"), (0, "0"), (255, "255")):
        packet("drop", f"inner protocol {name}", "dropped: no session of that protocol", datagram=f.pattern(40), proto=proto)
    packet("drop|forward", "inner UDP length less than its header", OPEN_SESSION,
           datagram=udp(b"x", 443, UDP_PORT, f.SERVER, f.OUTSIDE, length=7))
    packet("drop|forward", "inner UDP length more than the packet", OPEN_SESSION,
           datagram=udp(b"x", 443, UDP_PORT, f.SERVER, f.OUTSIDE, length=60))
    packet("forward", "nothing: inner UDP without checksum", "stays 0", "udp.checksum == 0",
           datagram=udp(b"x", 443, UDP_PORT, f.SERVER, f.OUTSIDE, check=0))
    packet("drop|forward", "inner TCP data offset 4", OPEN_SESSION,
           datagram=tcp(b"data", 80, TCP_PORT, f.SERVER, f.OUTSIDE, flags=f.ACK, doff=4), proto=f.TCP)
    packet("drop|forward", "inner TCP data offset beyond the packet", OPEN_SESSION,
           datagram=tcp(b"data", 80, TCP_PORT, f.SERVER, f.OUTSIDE, flags=f.ACK, doff=15), proto=f.TCP)
    packet("forward|drop", "inner TCP RST outside the window", "does not end the session by itself (RFC 7857 2.2: timer at most)",
           datagram=tcp(b"", 80, TCP_PORT, f.SERVER, f.OUTSIDE, seq=0xDEAD0000, flags=f.RST), proto=f.TCP)
    packet("forward", "nothing: inner options NOP", "ports found after the options", options=bytes.fromhex("01010100"))
    packet("drop", "inner loose source route", "dropped (RFC 7126 4.3)", options=bytes.fromhex("830704c0a8010a00"))

    names = ("Not-ECT", "ECT(1)", "ECT(0)", "CE")
    for inner_ecn in range(4):
        for outer_ecn in range(4):
            if inner_ecn == 0:
                result = None if outer_ecn == 3 else 0
            elif outer_ecn == 3 or inner_ecn == 3:
                result = 3
            else:
                result = 1 if outer_ecn == 1 else inner_ecn
            must = ("dropped (RFC 6040 4.2)" if result is None else
                    f"leaves as {names[result]} (RFC 6040 4.2), IPv4 checksum right")
            s.add("drop" if result is None else "forward", f"ECN: inner {names[inner_ecn]}, outer {names[outer_ecn]}", must,
                  wan(ipv6(answer(tos=inner_ecn), tclass=outer_ecn)),
                  f"ip.dsfield.ecn == {inner_ecn} && ipv6.tclass.ecn == {outer_ecn}")

    ours = ipv4(udp(b"", UDP_PORT, 443, f.OUTSIDE, f.SERVER), src=f.OUTSIDE, dst=f.SERVER, ttl=50)
    def error(verdict, wrong, must, kind, code, quoted, rest=bytes(4), src=f.SERVER, check=None, eye=""):
        packet(verdict, wrong, must, eye, datagram=icmp(kind, code, rest, quoted, check), proto=f.ICMP, src=src)

    error("forward", "nothing: port unreachable quoting the open UDP session", "outer and quoted packet translated, all "
          "checksums right", 3, 3, ours, eye="icmp.type == 3 && icmp.code == 3")
    error("forward", "nothing: fragmentation needed, MTU 1400, quoting the session", "translated, MTU kept (or lowered), mapping kept",
          3, 4, ours, struct.pack("!HH", 0, 1400))
    error("forward", "fragmentation needed with MTU 0 (RFC 1191 5)", "passed; no division, no loop", 3, 4, ours)
    error("forward|drop", "time exceeded from 10.0.0.1, a private hop", "traceroute through a carrier shows such hops", 11, 0, ours,
          src="10.0.0.1")
    error("drop", "port unreachable quoting a session nobody has", UNTOUCHED, 3, 3,
          ipv4(udp(b"", 40999, 443, f.OUTSIDE, f.SERVER), src=f.OUTSIDE, dst=f.SERVER))
    error("drop", "port unreachable quoting a packet not sent by 192.0.2.1", UNTOUCHED, 3, 3,
          ipv4(udp(b"", UDP_PORT, 443, "192.0.2.2", f.SERVER), src="192.0.2.2", dst=f.SERVER))
    error("drop", "quote is an IPv4 header without ports", UNTOUCHED, 3, 3, ours[:20])
    error("drop", "quote is 19 bytes", UNTOUCHED, 3, 3, ours[:19])
    error("drop", "no quote at all", UNTOUCHED, 3, 3, b"")
    error("drop", "quote has header length 15 words in 28 bytes", UNTOUCHED, 3, 3, b"\x4f" + ours[1:])
    error("drop|forward", "quote's header checksum wrong", "wrong stays wrong if it leaves", 3, 3,
          ours[:10] + b"\x12\x34" + ours[12:])
    error("drop", "quote is a later fragment", "no ports there", 3, 3,
          ipv4(f.pattern(8), src=f.OUTSIDE, dst=f.SERVER, flags=0, offset=1480))
    error("drop", "quote is an ICMP error", UNTOUCHED, 3, 3, ipv4(icmp(3, 3, payload=ours), f.ICMP, f.OUTSIDE, f.SERVER))
    error("drop", "ICMP checksum wrong", UNTOUCHED, 3, 3, ours, check=0x1234, eye='icmp.checksum.status == "Bad"')
    error("drop|forward", "redirect quoting the session", "changes no route", 5, 1, ours, bytes([198, 51, 100, 1]))
    error("drop|forward", "source quench quoting the session", "nothing slows down (RFC 6633)", 4, 0, ours)

    big = udp(f.pattern(1992), 443, UDP_PORT, f.SERVER, f.OUTSIDE)
    def piece(verdict, wrong, must, ident, start, end, more, eye=""):
        packet(verdict, wrong, must, eye, data=ipv4(big[start:end], f.UDP, f.SERVER, f.OUTSIDE, ttl=57, ident=ident, flags=more,
                                                     offset=start))

    piece("forward|hold", "nothing: first of two inner fragments", "leaves translated", 0x7001, 0, 1400, 1)
    piece("forward", "nothing: last of two inner fragments", "leaves to the same host", 0x7001, 1400, 2000, 0, "udp.dstport == 40000")
    piece("hold", "last inner fragment comes first", "held: it has no ports", 0x7002, 1400, 2000, 0)
    piece("forward", "its first fragment comes second", "both leave", 0x7002, 0, 1400, 1)
    piece("hold", "inner fragment whose first never comes", "held a bounded time, then counted", 0x7003, 1400, 2000, 0)
    piece("drop", "zero-length inner fragment", UNTOUCHED, 0x7004, 800, 800, 1)
    packet("drop", "inner fragment that ends beyond 65535", UNTOUCHED,
           data=ipv4(f.pattern(1000), f.UDP, f.SERVER, f.OUTSIDE, ident=0x7005, flags=0, offset=65528))
    return s.frames


def icmpv6():
    s = Sheet()
    sound(s)
    sent = ipv4(udp(f.pattern(32), UDP_PORT, 443, f.OUTSIDE, f.SERVER), src=f.OUTSIDE, dst=f.SERVER, ttl=63)
    large = ipv4(udp(f.pattern(1432), UDP_PORT, 443, f.OUTSIDE, f.SERVER), src=f.OUTSIDE, dst=f.SERVER, ttl=63)

    def quote(packet=sent, src=f.CE, dst=f.BR, nxt=f.IPIP, **fields):
        return ipv6(packet, nxt, src, dst, hops=60, **fields)[:1232]

    def error(verdict, wrong, must, kind, code, quoted, rest=bytes(4), src=f.HOP, dst=f.CE, eye="", check=None):
        message = f.icmpv6(kind, code, rest, quoted, src, dst, check)
        s.add(verdict, wrong, must, wan(ipv6(message, f.ICMPV6, src, dst)), eye)

    def mtu(value):
        return struct.pack("!I", value)

    tell = "the LAN host gets ICMPv4 {} quoting its own packet (RFC 2473 8)"
    ignored = "ignored: the tunnel MTU does not change, the LAN hears nothing"
    error("relay", "nothing: packet too big, MTU 1400, quoting our 1500-byte packet", "tunnel MTU 1360 for 10 minutes; " +
          tell.format("3/4 with MTU 1360"), 2, 0, quote(large), mtu(1400), eye="icmpv6.type == 2 && icmpv6.mtu == 1400")
    error("relay", "nothing: packet too big, MTU 1280", "tunnel MTU 1240; " + tell.format("3/4 with MTU 1240"), 2, 0,
          quote(large), mtu(1280))
    for value in (0, 68, 1279):
        error("drop", f"packet too big, MTU {value}: below 1280", "dropped (RFC 8201 4)", 2, 0, quote(large), mtu(value))
    for value in (1500, 9000, 0xFFFFFFFF):
        error("drop", f"packet too big, MTU {value}: not lower than ours", ignored, 2, 0, quote(large), mtu(value))
    for length in (1461, 9000, 0xFFFF):
        error("drop", f"forged: quotes a packet with payload length {length}: our link of 1500 bytes carries none", ignored +
              " (RFC 8201 4; was believed)", 2, 0, quote(large, length=length), mtu(1400), eye=f"ipv6.plen == {length}")
    error("drop", "forged: quoted source is not our CE address", ignored, 2, 0, quote(large, src="2001:db8:12:3400::beef"),
          mtu(1300))
    error("drop", "forged: quoted destination is not the BR", ignored, 2, 0, quote(large, dst="2001:db8:ffff::2"), mtu(1300))
    error("drop", "forged: quoted next header is 41", ignored, 2, 0, quote(large, nxt=f.IPV6), mtu(1300))
    error("drop", "forged: quoted inner packet belongs to no session", ignored, 2, 0, quote(
        ipv4(udp(f.pattern(1432), 40999, 443, f.OUTSIDE, f.SERVER), src=f.OUTSIDE, dst=f.SERVER)), mtu(1300))
    error("drop", "forged: quoted inner source is not 192.0.2.1", ignored, 2, 0, quote(
        ipv4(udp(f.pattern(1432), UDP_PORT, 443, "192.0.2.2", f.SERVER), src="192.0.2.2", dst=f.SERVER)), mtu(1300))
    error("drop", "forged: quoted inner source is the inside address", ignored, 2, 0, quote(
        ipv4(udp(f.pattern(1432)), src=f.CLIENT)), mtu(1300))
    error("drop", "forged: quotes an answer of the BR (direction reversed)", ignored, 2, 0,
          ipv6(answer(f.pattern(1400)))[:1232], mtu(1300))
    error("drop", "quote is small: 100 bytes cannot have been too big", "checked against the quoted payload length", 2, 0, quote(),
          mtu(1300))
    error("drop|relay", "quote ends with the IPv6 header", "too little to find a session: tunnel MTU at most, no ICMPv4", 2, 0,
          quote(large)[:40], mtu(1300))
    error("drop|relay", "quote ends inside the inner IPv4 header", "as above", 2, 0, quote(large)[:55], mtu(1300))
    error("drop", "quote is 39 bytes", ignored, 2, 0, quote(large)[:39], mtu(1300))
    error("drop", "no quote", ignored, 2, 0, b"", mtu(1300))
    error("drop", "quote is rubbish", ignored, 2, 0, f.pattern(600), mtu(1300))
    error("drop", "ICMPv6 checksum wrong", ignored, 2, 0, quote(large), mtu(1300), check=0x1234,
          eye='icmpv6.checksum.status == "Bad"')
    error("drop|punt", "packet too big sent to another address of ours", ignored, 2, 0, quote(large), mtu(1300),
          dst="2001:db8:12:3400::beef")
    error("drop", "packet too big from ::", ignored, 2, 0, quote(large), mtu(1300), src="::")
    error("drop", "packet too big from a multicast source", ignored, 2, 0, quote(large), mtu(1300), src="ff02::1")

    unreachable = {0: "no route", 1: "prohibited", 3: "address unreachable", 4: "port unreachable",
                   5: "source address failed policy", 6: "reject route"}
    for code, name in unreachable.items():
        extra = "; status shows that the BR refuses our address" if code == 5 else ""
        error("relay", f"nothing: unreachable 1/{code} ({name})", tell.format("3/1") + extra, 1, code, quote(),
              src=f.BR if code in (4, 5) else f.HOP, eye=f"icmpv6.type == 1 && icmpv6.code == {code}")
    error("relay|drop", "unreachable with unknown code 200", "as unreachable, or ignored", 1, 200, quote())
    error("drop", "unreachable 1/3 quoting a packet that is not ours", UNTOUCHED, 1, 3, quote(src="2001:db8:12:3400::beef"))
    error("drop", "unreachable 1/3 quoting an inner packet of no session", UNTOUCHED, 1, 3, quote(
        ipv4(udp(b"", 40999, 443, f.OUTSIDE, f.SERVER), src=f.OUTSIDE, dst=f.SERVER)))
    error("relay", "nothing: time exceeded 3/0 (hop limit)", tell.format("3/1"), 3, 0, quote())
    error("drop", "time exceeded 3/1 (reassembly)", "counted; the LAN hears nothing", 3, 1, quote())
    for code, name in ((0, "erroneous header"), (1, "unknown next header"), (2, "unknown option")):
        error("relay", f"nothing: parameter problem 4/{code} ({name})", tell.format("3/1"), 4, code, quote(),
              struct.pack("!I", 6))
    error("relay|drop", "parameter problem, pointer far beyond the packet", "pointer is not used as an index", 4, 0, quote(),
          struct.pack("!I", 0xFFFFFFFF))
    for kind, name in ((0, "reserved"), (100, "private experimentation"), (127, "reserved for errors")):
        error("drop|relay", f"unknown error type {kind} ({name})", "no crash, no MTU change", kind, 0, quote())
    error("drop", "error quoting an inner ICMP error", "no ICMP error about an ICMP error (RFC 1122 3.2.2)", 1, 3, quote(
        ipv4(icmp(3, 3, payload=sent), f.ICMP, f.OUTSIDE, f.SERVER)))
    error("drop", "error quoting a later inner fragment", "no ICMP error about it", 1, 3, quote(
        ipv4(f.pattern(64), src=f.OUTSIDE, dst=f.SERVER, flags=0, offset=1480)))
    error("relay", "nothing: error quoting an inner echo request of the open session", tell.format("3/1"), 1, 3, quote(
        ipv4(f.echo(ECHO_ID), f.ICMP, f.OUTSIDE, f.SERVER)))
    error("relay", "nothing: error quoting the inner TCP session", tell.format("3/1") + "; the session stays", 1, 3, quote(
        ipv4(tcp(b"", TCP_PORT, 80, f.OUTSIDE, f.SERVER), f.TCP, f.OUTSIDE, f.SERVER)))
    error("drop|relay", "quote's inner header checksum wrong", "no session is trusted to it, or relayed", 1, 3, quote(
        sent[:10] + b"\x12\x34" + sent[12:]))
    error("drop|relay", "quoted packet carries a fragment header, first fragment", "ours only if we fragment", 1, 3,
          quote(fragment_header(f.IPIP, 0, 1, 7) + sent, nxt=f.FRAGMENT))
    error("drop", "quoted packet carries a fragment header, later fragment", "no inner header there", 1, 3,
          quote(fragment_header(f.IPIP, 1448, 0, 7) + f.pattern(52), nxt=f.FRAGMENT))
    for size in (0, 1, 3, 4, 7):
        message = f.icmpv6(2, 0, mtu(1300), quote(large), f.HOP, f.CE)[:size]
        s.add("drop", f"ICMPv6 message cut to {size} bytes", UNTOUCHED, wan(ipv6(message, f.ICMPV6, f.HOP)))
    for i in range(20):
        error("relay|drop", f"burst of valid unreachables, {i + 1} of 20", "answers to the LAN are rate-limited; the rest is "
              "counted", 1, 0, quote())
    return s.frames
