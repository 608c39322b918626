"""Hostile frames as they arrive on the LAN link, by theme. The first frame of each file is a sound one that must pass."""

import struct

from recipes import frames as f
from recipes.frames import Sheet, eth, icmp, ipv4, tcp, udp

UNTOUCHED = "nothing is sent"
BAD_IP = 'ip.checksum.status == "Bad"'


def sound(sheet):
    sheet.add("forward", "nothing: a sound UDP datagram", "translated, encapsulated, sent to the BR",
              eth(ipv4(udp(sport=sheet.port))), "udp && ip.src == 192.168.1.10")


def ethernet():
    s = Sheet()
    sound(s)
    whole = eth(ipv4(udp(b"", sport=41000)))
    for length in range(42):
        layer = "Ethernet" if length < 14 else "IPv4" if length < 34 else "UDP"
        s.add("drop", f"cut to {length} bytes, inside or just before the {layer} header", UNTOUCHED, whole[:length],
              f"frame.len == {length}")
    syn = eth(ipv4(tcp(options=bytes.fromhex("020405b4"))))
    for length in (34, 38, 46, 47, 53, 54, 57):
        s.add("drop", f"TCP SYN with one option (58 bytes) cut to {length}", UNTOUCHED, syn[:length])
    ping = eth(ipv4(f.echo(payload=b""), f.ICMP))
    for length in (34, 35, 37, 41):
        s.add("drop", f"ICMP echo request (42 bytes) cut to {length}", UNTOUCHED, ping[:length])
    arp = eth(bytes.fromhex("0001080006040001") + f.mac(f.CLIENT_MAC) + bytes([192, 168, 1, 10]) + bytes(6) +
              bytes([192, 168, 1, 1]), 0x0806, dst="ff:ff:ff:ff:ff:ff")
    for length in (14, 22, 41):
        s.add("punt|drop", f"ARP request (42 bytes) cut to {length}", "no answer, the neighbour table does not change",
              arp[:length])
    six = eth(f.ipv6(udp(b"", 546, 547, "fe80::1", "fe80::2"), f.UDP, "fe80::1", "fe80::2"), 0x86DD)
    s.add("punt|drop", "IPv6 header cut after 39 bytes", UNTOUCHED, six[: 14 + 39])
    s.add("drop", "802.1Q tag cut after two bytes", UNTOUCHED, eth(b"\0\x0a", 0x8100))
    s.add("drop", "priority tag (VID 0) with nothing behind it", UNTOUCHED, eth(bytes.fromhex("a0000800"), 0x8100))

    def datagram(**link):
        return eth(ipv4(udp(sport=s.port)), **link)

    s.add("drop", "Ethernet destination is another station (link is promiscuous)", UNTOUCHED,
          datagram(dst="02:00:00:00:01:99"))
    s.add("drop", "unicast IPv4 in a broadcast Ethernet frame (RFC 1122 3.3.6)", UNTOUCHED,
          datagram(dst="ff:ff:ff:ff:ff:ff"))
    s.add("drop", "unicast IPv4 in a multicast Ethernet frame", UNTOUCHED, datagram(dst="01:00:5e:00:00:01"))
    s.add("drop", "Ethernet source is a multicast address", "dropped; the address is never learnt",
          datagram(src="01:00:5e:00:00:fb"))
    s.add("drop|forward", "Ethernet source is our own address", "no RFC asks a router to look; if it leaves, with one hop less", datagram(src=f.ROUTER_LAN_MAC))
    for kind, name in ((0x0000, "0x0000"), (0x0026, "802.3 length 38 with LLC"), (0x8808, "MAC control PAUSE"),
                       (0x8863, "PPPoE discovery"), (0x88CC, "LLDP"), (0x8847, "MPLS"), (0x88B5, "local experimental")):
        s.add("punt|drop", f"EtherType {name}", "never forwarded as IPv4", eth(pattern46(), kind))

    def tagged(verdict, wrong, must, tags, eye):
        tags = bytes.fromhex(tags)
        s.add(verdict, wrong, must, eth(tags[2:] + b"\x08\0" + ipv4(udp(sport=s.port)), int.from_bytes(tags[:2], "big")), eye)

    tagged("forward", "nothing: a priority tag (802.1Q, VID 0, priority 5)", "the tag says no VLAN: as without it (802.1Q 6.9)",
           "8100a000", "vlan.id == 0 && vlan.priority == 5 && udp")
    tagged("drop", "802.1Q tag, VLAN 10, on a link without VLANs", "another network's: never forwarded", "8100000a", "vlan.id == 10")
    tagged("drop", "802.1Q tag, VLAN 4095 (reserved)", UNTOUCHED, "81000fff", "vlan.id == 4095")
    tagged("drop", "two 802.1Q tags, VLAN 0 around VLAN 10", UNTOUCHED, "810000008100000a", "vlan.id == 0 && vlan.id == 10")
    tagged("drop", "service tag (802.1ad) of VLAN 100 around VLAN 10", UNTOUCHED, "88a800648100000a", "ieee8021ad.id == 100")
    s.add("drop", "EtherType IPv4, version nibble 6", UNTOUCHED, eth(six[14:]))
    s.add("punt|drop", "EtherType IPv6, version nibble 4", "never forwarded as IPv4", eth(ipv4(udp()), 0x86DD))
    s.add("drop|forward", "IPv4 of 1501 bytes, one over the link's MTU", "either refused or treated as too big, never cut",
          eth(ipv4(udp(f.pattern(1473), s.port), flags=0)), "frame.len == 1515")
    s.add("drop", "jumbo frame, 4014 bytes: longer than a 2048-byte buffer", "dropped whole; its second buffer is not "
          "taken for a frame", eth(ipv4(udp(f.pattern(3972), s.port), flags=0)), "frame.len == 4014")
    return s.frames


def pattern46():
    return f.pattern(46)


def addresses_and_header():
    s = Sheet()
    sound(s)

    def bad(verdict, wrong, must, eye="", payload=None, **fields):
        datagram = udp(sport=s.port, src=fields.get("src", f.CLIENT), dst=fields.get("dst", f.SERVER))
        s.add(verdict, wrong, must, eth(ipv4(datagram if payload is None else payload, **fields)), eye)

    for version in (0, 5, 6, 15):
        bad("drop", f"version {version}", UNTOUCHED, version=version)
    for ihl in (0, 4):
        bad("drop", f"header length {ihl} words", UNTOUCHED, ihl=ihl)
    bad("drop", "header length 15 words, packet is 35 bytes", "dropped; no read beyond the packet", ihl=15)
    bad("drop", "header length 15 words fits the frame but not the total length", UNTOUCHED, ihl=15, total=35,
        payload=udp(bytes(64)))
    for total in (0, 19):
        bad("drop", f"total length {total}", "dropped (a NIC that leaves 0 for segmentation is not on this link)",
            total=total)
    bad("drop", "total length 20: no UDP header, bytes follow in the frame", "dropped; bytes after the packet are not ports",
        total=20)
    bad("drop", "total length 27: UDP header one byte short", UNTOUCHED, total=27)
    bad("drop", "total length one more than the frame holds", UNTOUCHED, total=36)
    bad("drop", "total length 65535", UNTOUCHED, total=65535)
    good = struct.unpack("!H", ipv4(udp(sport=s.port))[10:12])[0]
    for value, name in ((0, "zero"), (0xFFFF, "0xffff"), (good ^ 1, "one bit wrong"),
                        ((good << 8 | good >> 8) & 0xFFFF, "bytes swapped")):
        bad("drop", f"header checksum {name}", UNTOUCHED, BAD_IP, check=value)
    ident = (0x4869 + struct.unpack("!H", ipv4(udp(sport=s.port))[10:12])[0]) % 0xFFFF
    bad("forward", "nothing: the right header checksum happens to be 0x0000", "checksum right after translation too "
        "(RFC 1624)", "ip.checksum == 0 && ip.checksum.status == \"Good\"", ident=ident)
    bad("drop|forward", "reserved flag set", "not turned into another flag", flags=6)
    bad("drop|error", "TTL 0", "dropped; ICMP time exceeded allowed (RFC 1812 5.3.1)", ttl=0)
    bad("error", "TTL 1", "dropped; ICMP time exceeded (11/0) from 192.168.1.1, rate-limited", ttl=1)
    bad("forward", "nothing: TTL 2", "leaves with inner TTL 1", ttl=2)
    bad("punt", "nothing: TTL 1, an echo request for the router itself", "answered: TTL is not checked on delivery",
        payload=f.echo(1), proto=f.ICMP, dst=f.ROUTER, ttl=1)

    def option(verdict, wrong, must, hexes, eye=""):
        bad(verdict, wrong, must, eye, options=bytes.fromhex(hexes))

    anyway = "read inside the header only; ports are read after the options"
    option("forward", "nothing: options NOP NOP NOP EOL", "ports found after the options; options kept", "01010100")
    option("forward", "nothing: 40 bytes of NOP (longest header)", "ports found at byte 60", "01" * 40, "ip.hdr_len == 60")
    option("forward|punt|drop", "router alert option", "no special treatment of the line", "94040000")
    option("forward|drop", "record route, empty, 3 slots", "passed unchanged or dropped (RFC 7126 4.6)",
           "070f04" + "00" * 12 + "00")
    option("forward|drop", "timestamp option", "passed unchanged or dropped (RFC 7126 4.10)", "440c0500" + "00" * 8)
    option("drop", "loose source route through 198.51.100.1", "dropped (RFC 7126 4.3)", "830704c633640100")
    option("drop", "strict source route through 198.51.100.1", "dropped (RFC 7126 4.4)", "890704c633640100")
    option("drop|error|forward", "option length 0", anyway + "; no endless loop", "07000000")
    option("drop|error|forward", "option length 1", anyway, "07010000")
    option("drop|error|forward", "option length runs past the header (40 in 4 bytes)", anyway, "07280400")
    option("drop|error|forward", "option type without a length byte at the header's end", anyway, "01010107")
    option("drop|error|forward", "record route pointer 255", "no write anywhere", "0707ff00000000" + "00")
    option("forward|drop", "unknown option 0xde, length 4", anyway, "de040000")

    for src, name in (("0.0.0.0", "this host"), ("127.0.0.1", "loopback"), ("255.255.255.255", "broadcast"),
                      ("224.0.0.1", "multicast"), ("240.0.0.1", "reserved"), ("169.254.1.1", "link-local"),
                      ("192.168.1.0", "the LAN's network address"), ("192.168.1.255", "the LAN's broadcast address"),
                      (f.ROUTER, "the router's own LAN address"), (f.OUTSIDE, "the router's outside address"),
                      ("10.1.2.3", "private, outside the LAN prefix"), (f.SERVER, "public, outside the LAN prefix")):
        bad("drop", f"source {src}: {name}", "dropped; no session is made", f"ip.src == {src}", src=src)
    for dst, name in (("0.0.0.0", "this host"), ("0.1.2.3", "this network"), ("127.0.0.1", "loopback"),
                      ("240.0.0.1", "reserved"), ("169.254.169.254", "link-local"),
                      (f.CLIENT, "the sender itself"), ("192.168.1.77", "another LAN host, sent to the router's MAC")):
        # Who sends to a neighbour through the router may be told (RFC 1812 5.2.7).
        verdict = "drop|error" if dst == "192.168.1.77" else "drop"
        bad(verdict, f"destination {dst}: {name}", "never sent into the tunnel; no session is made", f"ip.dst == {dst}",
            dst=dst)
    for dst, name in (("255.255.255.255", "limited broadcast"), ("192.168.1.255", "the LAN's broadcast"),
                      ("192.168.1.0", "the LAN's network address"), ("224.0.0.251", "mDNS"),
                      ("239.255.255.250", "SSDP")):
        bad("punt|drop", f"destination {dst}: {name}, in a unicast frame", "never sent into the tunnel", dst=dst)
    bad("punt|drop", "destination 192.0.2.1, our outside address, a port nobody holds (hairpin without a mapping)",
        "not sent into the tunnel", dst=f.OUTSIDE)
    bad("punt|drop|forward", "destination 192.0.0.1, the AFTR's well-known address (RFC 6333 5.7)",
        "on an IPIP line not special: RFC 6890 lets routers forward 192.0.0.0/29", dst="192.0.0.1")
    bad("punt", "nothing: echo request for the router", "answered by the router", payload=f.echo(2), proto=f.ICMP,
        dst=f.ROUTER)
    bad("punt|error|drop", "UDP port 9 of the router, closed", "not forwarded; port unreachable (3/3) allowed",
        payload=udp(b"x", s.port, 9, dst=f.ROUTER), dst=f.ROUTER)
    for address, name in ((f.CLIENT, "a LAN host"), (f.ROUTER, "the router's LAN address"),
                          (f.OUTSIDE, "the router's outside address")):
        bad("drop", f"LAND: TCP SYN, source and destination are {name}, same port", UNTOUCHED,
            payload=tcp(b"", 139, 139, address, address), proto=f.TCP, src=address, dst=address)

    big = "with a 1460-byte tunnel: ICMP 3/4 with MTU 1460 from 192.168.1.1; with a 1500-byte one: two outer fragments"
    for size in (1500, 1461):
        bad("error|forward", f"{size} bytes with DF", big, f"ip.len == {size}",
            payload=udp(f.pattern(size - 28), s.port))
    bad("forward", "nothing: 1460 bytes with DF, exactly the tunnel's MTU", "one outer packet of 1500 bytes",
        payload=udp(f.pattern(1432), s.port))
    bad("forward", "1500 bytes without DF", "encapsulated, then the outer packet is fragmented (RFC 2473 7.2)",
        payload=udp(f.pattern(1472), s.port), flags=0)
    return s.frames


def fragments():
    s = Sheet()
    sound(s)
    body = udp(f.pattern(1992), 42000)  # 2000 bytes of IPv4 payload
    ident = [0x6000]

    def new():
        ident[0] += 1

    def piece(verdict, wrong, must, start, end, more, eye="", data=body, flags=0, **fields):
        packet = ipv4(data[start:end], ident=ident[0], flags=flags | more, offset=fields.pop("offset", start), **fields)
        s.add(verdict, wrong, must, eth(packet), eye)

    either = "leaves with its ports translated (inner fragments are not joined: RFC 6333 5.3), or waits for the rest"
    new()
    piece("forward|hold", "nothing: first of two fragments, in order", either, 0, 1480, 1, "ip.flags.mf == 1")
    piece("forward", "nothing: last of two fragments, in order", "leaves with the same outside address and id as the first",
          1480, 2000, 0, "ip.frag_offset > 0 && udp")
    new()
    piece("hold", "last fragment comes first", "held without ports; nothing sent yet", 1480, 2000, 0)
    piece("forward", "its first fragment comes second", "both leave, both translated", 0, 1480, 1, "udp.port == 42000")
    new()
    piece("forward|hold", "three fragments in order 2-0-1: the last", "held", 1600, 2000, 0)
    piece("forward|hold", "the first", "goes with its ports", 0, 800, 1)
    piece("forward", "the middle", "all three have left", 800, 1600, 1, "udp.port == 42000")
    new()
    piece("forward|hold", "first fragment, sent once", "as ever", 0, 1480, 1)
    piece("forward|drop|hold", "the same fragment again, identical", "no second session, no harm", 0, 1480, 1)
    piece("forward", "its last fragment", "leaves", 1480, 2000, 0)
    new()
    segment = tcp(f.pattern(80), s.port, flags=f.ACK)
    piece("drop|hold", "tiny first fragment: 8 bytes of TCP, flags are in the next (RFC 1858 3)",
          "never forwarded as it is", 0, 8, 1, "ip.flags.mf == 1 && ip.len == 28", data=segment, proto=f.TCP)
    piece("drop|hold", "fragment at offset 8 overwriting TCP flags (RFC 3128)", "dropped with its datagram", 8, 100, 0,
          "ip.frag_offset > 0", data=segment, proto=f.TCP)
    new()
    piece("drop|hold|forward", "first fragment of 8 bytes: whole UDP header, nothing else", "allowed to pass only with its ports", 0,
          8, 1)
    new()
    piece("forward|hold", "first fragment of an overlapping pair", "as ever", 0, 1480, 1)
    piece("drop|forward", "overlaps the first by 8 bytes", "if datagrams are joined here, the whole datagram is dropped",
          1472, 2000, 0)
    new()
    piece("forward|hold", "first fragment, 1480 bytes (teardrop)", "as ever", 0, 1480, 1)
    piece("drop|forward", "lies wholly inside the first (teardrop)", "no negative length anywhere", 24, 48, 0)
    new()
    piece("forward|hold", "first fragment; two different ends follow", "as ever", 0, 1480, 1)
    piece("forward", "last fragment, ends at 2000", "leaves", 1480, 2000, 0)
    piece("drop|forward|hold", "another last fragment, ends at 1880", "the datagram's length does not change", 1480, 1880, 0)
    new()
    piece("drop", "ping of death: offset 65528 and 1400 bytes, ends beyond 65535", "dropped at once", 0, 1400, 0,
          offset=65528)
    piece("drop", "offset 65528 and 8 bytes, ends at 65536 (header included: 65556)", "dropped at once", 0, 8, 0,
          offset=65528)
    new()
    piece("drop", "zero-length first fragment, MF set", UNTOUCHED, 0, 0, 1, "ip.len == 20")
    piece("drop", "zero-length middle fragment, MF set", UNTOUCHED, 0, 0, 1, offset=800)
    piece("drop", "zero-length last fragment", UNTOUCHED, 0, 0, 0, offset=1480)
    new()
    piece("drop", "MF set, 1001 bytes: not a multiple of 8", UNTOUCHED, 0, 1001, 1, "ip.flags.mf == 1 && ip.len == 1021")
    new()
    piece("forward|hold|drop|error", "DF and MF both set", "no crash; if it leaves, both flags are kept; it is too big for a 1460-byte tunnel (RFC 2473 7.2)", 0, 1480, 1, flags=2)
    new()
    piece("error|drop", "first fragment with TTL 1", "time exceeded allowed: it is a first fragment", 0, 1480, 1, ttl=1)
    piece("drop", "later fragment with TTL 1", "dropped without an ICMP error (RFC 1812 4.3.2.7)", 1480, 2000, 0, ttl=1)
    new()
    piece("forward|hold", "first fragment; the next has the same id but another protocol", "as ever", 0, 1480, 1)
    piece("hold", "same id and addresses, protocol ICMP, later fragment", "not joined to the UDP first fragment", 1480, 2000,
          0, proto=f.ICMP)
    new()
    piece("forward|hold", "first fragment from .10; the next has the same id from .11", "as ever", 0, 1480, 1)
    piece("hold", "same id, source 192.168.1.11, later fragment", "not joined to .10's first fragment", 1480, 2000, 0,
          src="192.168.1.11")
    new()
    piece("punt", "first fragment for the router itself", "to control (or held for it)", 0, 1480, 1, dst=f.ROUTER)
    piece("punt", "last fragment for the router itself", "to control", 1480, 2000, 0, dst=f.ROUTER)
    for i in range(48):
        new()
        piece("hold|drop", f"later fragment whose first never comes, {i + 1} of 48", "held a bounded time in bounded memory, "
              "then counted as dropped", 1480, 2000, 0)
    for i in range(48):
        new()
        piece("forward|hold", f"first fragment whose rest never comes, {i + 1} of 48", "bounded memory; counted once", 0,
              1480, 1)
    new()
    piece("forward|hold", "nothing: first of two fragments after the flood", "new datagrams still get a place", 0, 1480, 1)
    piece("forward", "nothing: last of two fragments after the flood", "leaves", 1480, 2000, 0, "udp.port == 42000")
    return s.frames


def transport():
    s = Sheet()
    sound(s)

    def t(verdict, wrong, must, eye="", payload=b"", **fields):
        s.add(verdict, wrong, must, eth(ipv4(tcp(payload, s.port, **fields), f.TCP)), eye)

    for doff in range(5):
        t("drop", f"TCP data offset {doff}", UNTOUCHED, f"tcp && !tcp.options && frame.len == 58", payload=b"data", doff=doff)
    t("drop", "TCP data offset 15 (60 bytes), segment is 24 bytes", "dropped; no option is read beyond the packet",
      payload=b"data", doff=15)
    t("drop", "TCP data offset 6 in a 20-byte segment; the frame's padding would be the option",
      "dropped; the trailer is not read", doff=6)
    for flags, name in ((0, "none (NULL)"), (f.FIN | f.PSH | f.URG, "FIN PSH URG (XMAS)"), (f.SYN | f.FIN, "SYN FIN"),
                        (f.SYN | f.RST, "SYN RST"), (0x3F, "all")):
        t("drop|forward", f"TCP flags {name}", "no session in established state", f"tcp.flags & 0x3f == {flags}",
          flags=flags)
    t("drop|forward", "TCP ACK without a session", "no established session; forwarding it as a new one is allowed",
      flags=f.ACK, ack=1)
    t("drop|forward", "TCP RST without a session", "no session that lasts", flags=f.RST)
    t("forward", "nothing: SYN with data (fast open)", "MSS clamped, data kept", payload=b"data",
      options=bytes.fromhex("020405b4"))
    t("forward|drop", "TCP checksum wrong", "if it leaves it is still wrong: never repaired",
      'tcp.checksum.status == "Bad"', check=0x1234)

    def mss(verdict, wrong, must, hexes, eye="", **fields):
        t(verdict, wrong, must, eye, options=bytes.fromhex(hexes), **fields)

    clamp = "MSS leaves as 1420, checksum right"
    mss("forward", "nothing: MSS 1460, SACK, timestamps, window scale", clamp,
        "020405b40402080a00000001000000000103030a", "tcp.options.mss_val == 1460")
    mss("forward", "nothing: MSS 1460 behind one NOP, its value on odd bytes", clamp, "01020405b4010100",
        "tcp.options.mss_val == 1460")
    mss("forward", "nothing: MSS 1460 behind two NOPs", clamp, "0101020405b40101", "tcp.options.mss_val == 1460")
    mss("forward", "nothing: MSS 1460 as the last option of a 60-byte header", clamp, "01" * 36 + "020405b4",
        "tcp.options.mss_val == 1460")
    mss("forward", "nothing: MSS 536, lower than the clamp", "unchanged: only ever lowered", "02040218",
        "tcp.options.mss_val == 536")
    mss("forward", "nothing: MSS 1420, exactly the clamp", "unchanged", "0204058c")
    mss("forward", "MSS 0", "unchanged (not raised), no arithmetic below zero", "02040000")
    mss("forward", "MSS 65535", clamp, "0204ffff")
    mss("forward|drop", "MSS option twice, 1460 and 9000", "both lowered, or dropped", "020405b402042328")
    mss("forward", "MSS 1460 after the end-of-options byte", "unchanged: options end there", "00000000020405b4")
    mss("forward|drop", "MSS option with length 0", "walk ends; no endless loop; value untouched", "020005b4")
    mss("forward|drop", "MSS option with length 1", "walk ends; value untouched", "020105b4")
    mss("forward|drop", "MSS option with length 2", "no value to lower", "02020101")
    mss("forward|drop", "MSS option with length 3", "value untouched", "02030501")
    mss("forward|drop", "MSS option with length 5", "value untouched", "020505b400010100")
    mss("forward|drop", "MSS option runs past the header (kind 2, length 4 in the last 2 bytes)",
        "no read or write beyond the header; payload untouched", "01010204", payload=b"\x05\xb4data")
    mss("forward|drop", "kind byte of an option as the header's last byte", "no read beyond the header", "01010102",
        payload=b"\x04\x05\xb4")
    mss("forward|drop", "unknown option with length 0 before the MSS", "walk ends; no endless loop", "fd000000020405b4")
    mss("forward|drop", "unknown option with length 255", "walk ends", "fdff0000020405b4")
    mss("forward", "MSS 1460 on a segment without SYN", "unchanged: only SYN carries an MSS", "020405b4", flags=f.ACK)

    def u(verdict, wrong, must, eye="", payload=b"hikyaku", **fields):
        s.add(verdict, wrong, must, eth(ipv4(udp(payload, s.port, **fields))), eye)

    u("drop|forward", "UDP length 0", "never read as a jumbogram", length=0)
    u("drop", "UDP length 7, less than its header", UNTOUCHED, length=7)
    u("drop", "UDP length 16 in a 15-byte payload", UNTOUCHED, length=16)
    u("drop", "UDP length 65535", UNTOUCHED, length=65535)
    surplus = udp(b"hikyaku", s.port) + b"\1\1\1\1"
    s.add("forward", "nothing: 4 bytes after the UDP length inside the packet (RFC 9868 surplus)", "kept as they are",
          eth(ipv4(surplus)))
    u("forward", "nothing: UDP checksum 0 (none)", "stays 0: none is not translated into a value", "udp.checksum == 0",
      check=0)
    base = udp(b"\0\0", s.port)
    u("forward", "nothing: the right UDP checksum is 0xffff", "right after translation; never sent as 0",
      'udp.checksum == 0xffff && udp.checksum.status == "Good"', payload=base[6:8])
    u("forward|drop", "UDP checksum wrong", "if it leaves it is still wrong: never repaired",
      'udp.checksum.status == "Bad"', check=0x1234)
    s.add("drop|forward", "UDP source port 0", "no mapping for port 0 that could collide", eth(ipv4(udp(sport=0))))
    u("drop|forward", "UDP destination port 0", "no harm", dport=0)

    def i(verdict, wrong, must, message, eye=""):
        s.add(verdict, wrong, must, eth(ipv4(message, f.ICMP)), eye)

    i("forward", "nothing: echo request", "identifier mapped", f.echo(s.port))
    i("drop|forward", "echo request with a bad ICMP checksum", "if it leaves it is still wrong",
      f.icmp(8, 0, struct.pack("!HH", s.port, 1), b"x", check=0x1234), 'icmp.checksum.status == "Bad"')
    i("drop", "echo reply nobody asked for", "no session is made", f.echo(s.port, reply=True))
    i("forward", "nothing: timestamp request", "identifier mapped: a query like the echo (RFC 5508 REQ-1; was dropped)",
      f.timestamp(s.port), "icmp.type == 13")
    i("drop", "timestamp reply nobody asked for", "no session is made", f.timestamp(s.port, reply=True))
    for kind, name in ((4, "source quench"), (5, "redirect"), (9, "router advertisement"),
                       (17, "address mask request"), (40, "Photuris"), (255, "type 255")):
        i("drop|forward", f"ICMP {name}", "no harm; a redirect changes no route", icmp(kind, 0, payload=bytes(12)))
    i("drop", "ICMP header of 4 bytes only", "dropped; no identifier is read beyond it", icmp(8, 0, rest=b""))

    def quoting(name, quoted, must="no session is quoted: dropped", kind=3, code=3):
        i("drop", f"ICMP {kind}/{code} quoting {name}", must, icmp(kind, code, payload=quoted))

    to_client = ipv4(udp(b"", 443, s.port, f.SERVER, f.CLIENT), src=f.SERVER, dst=f.CLIENT)
    quoting("nothing", b"")
    quoting("8 bytes of rubbish", f.pattern(8))
    quoting("19 bytes: an IPv4 header one short", to_client[:19])
    quoting("an IPv4 header without ports", to_client[:20])
    quoting("an IPv4 header and 7 bytes", to_client[:27])
    quoting("an IPv6 header", f.ipv6(b"", 59))
    quoting("a header length of 15 words it does not have", ipv4(udp(b"", 443, s.port, f.SERVER, f.CLIENT), src=f.SERVER,
                                                                dst=f.CLIENT, ihl=15))
    quoting("a datagram that belongs to no session", to_client)
    quoting("a datagram that was sent to another host", ipv4(udp(src=f.SERVER, dst="192.168.1.55"), src=f.SERVER,
                                                              dst="192.168.1.55"))
    quoting("a later fragment", ipv4(f.pattern(8), src=f.SERVER, dst=f.CLIENT, flags=0, offset=1480))
    quoting("another ICMP error", ipv4(icmp(3, 3, payload=to_client), f.ICMP, f.SERVER, f.CLIENT))
    quoting("a datagram of unknown protocol 253", ipv4(f.pattern(8), 253, f.SERVER, f.CLIENT))
    quoting("rubbish of 1400 bytes", f.pattern(1400), kind=12, code=0)

    whole = "carried by address alone, one inside host to a peer; never read as if it had ports"
    for proto, name in ((0, "0"), (f.IPIP, "4 (IPv4 in IPv4)"), (33, "33 (DCCP)"), (f.IPV6, "41 (IPv6 in IPv4)"),
                        (f.GRE, "47 (GRE)"), (f.ESP, "50 (ESP)"), (f.AH, "51 (AH)"), (89, "89 (OSPF)"),
                        (132, "132 (SCTP)"), (136, "136 (UDP-Lite)"), (253, "253 (experimental)"), (255, "255")):
        verdict, must = {0: ("drop", "no IPv4 packet is of it: dropped"),
                         f.AH: ("drop", "dropped: its check value covers the addresses (RFC 4302 3.3.3.1)")}.get(
                             proto, ("forward", whole))
        s.add(verdict, f"protocol {name}", must, eth(ipv4(f.pattern(40, proto), proto)), f"ip.proto == {proto}")
    for coverage, name in ((0, "all of it"), (8, "the header alone")):
        s.add("forward", f"nothing: UDP-Lite, checksum over {name}", "carried by address, ports kept, checksum right "
              "(RFC 3828 3.1)", eth(ipv4(f.udp_lite(coverage=coverage), f.UDP_LITE, ident=f.UDP_LITE)), "udp.checksum_coverage")
    s.add("error", "GRE from 192.168.1.11 to the same peer as 192.168.1.10", "the peer is taken: host unreachable (3/1), "
          "as RFC 6888 REQ-11", eth(ipv4(f.pattern(40, f.GRE), f.GRE, f.OTHER_CLIENT), src=f.OTHER_CLIENT_MAC),
          "ip.src == 192.168.1.11")

    short = eth(ipv4(udp(b"x", s.port)))
    s.add("forward", "nothing: padded with zeros to 60 bytes", "padding does not enter the tunnel",
          short + bytes(60 - len(short)), "frame.len == 60")
    s.add("forward", "4 bytes of rubbish after the packet (an FCS left in)", "trailer does not enter the tunnel",
          eth(ipv4(udp(sport=s.port))) + b"\xde\xad\xbe\xef")
    s.add("forward", "100 bytes of rubbish after the packet", "trailer does not enter the tunnel",
          eth(ipv4(udp(sport=s.port))) + f.pattern(100))
    s.add("forward", "TCP SYN with a 6-byte trailer that looks like an MSS option", "trailer untouched by the clamp",
          eth(ipv4(tcp(b"", s.port), f.TCP)) + bytes.fromhex("020405b40000"))
    return s.frames


def hairpin_refused():
    """To our own outside address, where a static mapping may be that can take no more (tests/path_ports.rs)."""
    s = Sheet()
    must = "without a static mapping nothing is sent; with one that is full: host unreachable to 192.168.1.10, quoting this frame"
    s.add("drop", "UDP 192.168.1.10:40000 to 192.0.2.1:4930: the way out is free, the way back in is not", must,
          eth(ipv4(udp(sport=40000, dport=4930, dst=f.OUTSIDE), dst=f.OUTSIDE)))
    s.add("drop", "TCP SYN 192.168.1.10:40000 to 192.0.2.1:4930: as above", must,
          eth(ipv4(tcp(b"", 40000, 4930, dst=f.OUTSIDE), f.TCP, dst=f.OUTSIDE)))
    return s.frames


def made_room():
    """On a line of two outside ports, 40000 and 40001 (tests/path_ports.rs). Frames of one moment come in one burst."""
    s = Sheet()

    def t(verdict, wrong, must, sport, flags=f.SYN, src=f.CLIENT, mac=f.CLIENT_MAC, after=1):
        s.add(verdict, wrong, must, eth(ipv4(tcp(b"", sport, 443, src, flags=flags), f.TCP, src), src=mac), after=after)

    t("forward", "nothing: TCP SYN 192.168.1.10:40000 to 203.0.113.80:443", "leaves from port 40000", 40000)
    t("forward", "nothing: TCP SYN 192.168.1.10:40001 to 203.0.113.80:443", "leaves from port 40001, the last one", 40001)
    t("forward", "nothing: TCP RST 192.168.1.10:40000", "the first connection is over", 40000, f.RST)
    t("forward", "nothing: TCP SYN 192.168.1.11:53, three seconds later", "leaves from port 40000: what is over makes room", 53,
      src=f.OTHER_CLIENT, mac=f.OTHER_CLIENT_MAC, after=3000)
    t("error", "TCP ACK 192.168.1.10:40000, in the same burst", "never from port 40000, which is 192.168.1.11's now: host "
      "unreachable (3/1) to 192.168.1.10, the ports are full", 40000, f.ACK, after=0)
    return s.frames
