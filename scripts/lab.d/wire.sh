# shellcheck shell=bash
# Captures, and what tshark says of what the router sent. Sourced.

# capture_start SERVICE. Both sides of the router, from their other ends.
capture_start() {
    : >"$LAB/tcpdump-wan.log"
    : >"$LAB/tcpdump-lan.log"
    spawn "tcpdump-wan" isp tcpdump -i i0 -B 65536 --immediate-mode -U -w "$LAB/$1-wan.pcap"
    spawn "tcpdump-lan" switch tcpdump -i gate -B 65536 --immediate-mode -U -w "$LAB/$1-lan.pcap"
    within 10 "captures run" capturing
}

capturing() { grep -q 'listening on' "$LAB/tcpdump-wan.log" && grep -q 'listening on' "$LAB/tcpdump-lan.log"; }

capture_stop() {
    stop tcpdump-wan INT
    stop tcpdump-lan INT
}

# The same whether there are any or not.
stop_captures() { capture_stop 2>/dev/null || true; }

# shark FILE FILTER. The frames that match, one line each. Checksums are checked, streams and fragments taken as they
# come, payload of files and of high ports not looked into: translated ports may by chance be those of some protocol.
shark() {
    tshark -n -r "$1" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
        -o tcp.analyze_sequence_numbers:FALSE -o tcp.desegment_tcp_streams:FALSE -o http.desegment_body:FALSE \
        -d udp.port==4096-65535,data -d tcp.port==4096-65535,data -d tcp.port==80,data -Y "$2" 2>"$LAB/tshark.log" ||
        fail "tshark: $(grep -v '^Running as' "$LAB/tshark.log" | head -n 1)"
}

# none FILE WHAT FILTER. No frame may match; the first five that do are shown.
none() {
    local found
    found=$(shark "$1" "$3")
    [[ -n $found ]] || return 0
    sed 5q <<<"$found"
    fail "$(basename "$1"): $(wc -l <<<"$found") frames: $2"
}

# none_of FILE WHAT FILTER [WHAT FILTER]... The same of each, and the file is read once where all is well.
none_of() {
    local file=$1 filters=() pair
    shift
    for ((pair = 2; pair <= $#; pair += 2)); do filters+=("(${!pair})"); done
    [[ -n $(shark "$file" "$(either "${filters[@]}")") ]] || return 0
    while (($#)); do
        none "$file" "$1" "$2"
        shift 2
    done
    fail "$(basename "$file"): frames that one filter finds and none of its parts"
}

# some FILE WHAT FILTER. At least one frame must.
some() {
    local found
    found=$(shark "$1" "$3")
    [[ -n $found ]] || fail "$(basename "$1"): no frame: $2"
}

# judge_frames FILE MAC. What every frame of the router's must be.
judge_frames() {
    local file=$1 ours="eth.src == $2"
    some "$file" "from the router at all" "$ours"
    # Not of what ICMP errors quote: that is cut short, and may have been bad when it came. A TCP checksum of 0xffff is
    # 0 written otherwise, and what Linux hosts write too.
    none_of "$file" \
        "malformed" "$ours && _ws.malformed" \
        "bad checksums of ICMPv6" "$ours && icmpv6.checksum.status == \"Bad\"" \
        "bad checksums of IPv4 or ICMP" "$ours && !icmpv6 &&
            (ip.checksum.status#1 == \"Bad\" || icmp.checksum.status#1 == \"Bad\")" \
        "bad checksums of TCP or UDP" "$ours && !icmp && !icmpv6 &&
            ((tcp.checksum.status == \"Bad\" && tcp.checksum != 0xffff) || udp.checksum.status == \"Bad\")"
}

# judge_tunnel FILE MAC FARS NEARS. The outer header of every tunnel packet of the router's; FARS are addresses,
# NEARS networks.
judge_tunnel() {
    local file=$1 far near fars=() nears=()
    # Its own errors quote tunnel packets: those are not tunnel packets.
    local tunnel="eth.src == $2 && ipv6.nxt == 4 && !icmpv6"
    local fragment="eth.src == $2 && ipv6.fraghdr.nxt == 4 && !icmpv6"
    for far in $3; do fars+=("ipv6.dst == $far"); done
    for near in $4; do nears+=("ipv6.src == $near"); done
    some "$file" "IPv4 in IPv6" "$tunnel"
    none_of "$file" \
        "outer hop limit is not 64" "($tunnel || $fragment) && ipv6.hlim != 64" \
        "outer traffic class is not 0" "($tunnel || $fragment) && ipv6.tclass != 0" \
        "no flow label (RFC 6437 3)" "$tunnel && ipv6.flow == 0" \
        "tunnel encapsulation limit (RFC 2473 4.1.1)" "eth.src == $2 && ipv6.nxt == 60" \
        "to no address of the far end's" "($tunnel || $fragment) && !($(either "${fars[@]}"))" \
        "from no address of the line's" "($tunnel || $fragment) && !($(either "${nears[@]}"))" \
        "longer than the line takes" "eth.src == $2 && frame.len > 1514" \
        "the inner TTL is zero" "$tunnel && ip.ttl == 0" \
        "IPv4 outside the tunnel" "eth.src == $2 && eth.type == 0x0800"
}

# either FILTER...
either() {
    local first=$1 filter
    shift
    printf '%s' "$first"
    for filter; do printf ' || %s' "$filter"; done
}

# judge_neighbours FILE MAC
judge_neighbours() {
    local ours="eth.src == $2 && icmpv6.type >= 133 && icmpv6.type <= 137"
    none "$1" "neighbour discovery with another hop limit than 255 (RFC 4861 7.1)" "$ours && ipv6.hlim != 255"
    some "$1" "an address that was looked for before it was used (RFC 4862 5.4.2)" \
        "eth.src == $2 && icmpv6.type == 135 && ipv6.src == ::"
}

# judge_inner FILE MAC SHARE... Inner sources are of these IPV4[,OFFSET,LENGTH,PSID] only, ports and ICMP identifiers of
# their sets; all packets are looked at, and there must be some.
judge_inner() {
    local file=$1 ours="eth.src == $2 && ipv6.nxt == 4 && !icmpv6" judgement
    judgement=$(tshark -n -r "$file" -Y "$ours" -T fields -E separator=, -E occurrence=f \
        -e frame.number -e ip.src -e tcp.srcport -e udp.srcport -e icmp.ident -e icmp.type 2>"$LAB/tshark.log" |
        python3 scripts/lab.d/judge-ports "${@:3}") || fail "$(basename "$file"): $judgement"
    note "$judgement"
}
