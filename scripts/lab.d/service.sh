# shellcheck shell=bash
# Services: what the line and the far end are for each, and what stands in the router's [service]. Sourced.

# service_line SERVICE NUMBER. What the ISP has for this service; what is so already is left alone.
service_line() {
    local line=pd offers=nothing far=fixed_addresses names=()
    case $1 in
    dslite) offers=aftr ;;
    ipip) line=slaac offers=aftr ;;
    map-e) offers=map-e far="map_domain rfc7597 4" ;;
    lw4o6) offers=lw4o6 far=lw_table ;;
    esac
    $far >/dev/null
    are_names "${names[@]}" || isp_names "${names[@]}"
    is_offer "$offers" || printf '%s\n' "$offers" >"$LAB/offers.new"
    if [[ -e $LAB/offers.new ]]; then
        mv "$LAB/offers.new" "$LAB/offers"
        isp_line "$line" "$2"
    elif ! is_line "$line" "$2"; then
        isp_line "$line" "$2"
    fi
}

# service_conf SERVICE. SERVICE_KEYS has more lines for [service].
service_conf() {
    printf 'kind = "%s"\n' "$1"
    case $1 in
    ipip | transix-fixed) printf 'br = "%s"\nipv4 = "%s"\nce = "::feed"\n' "$BR" "$FIXED" ;;
    xpass-fixed | v6plus-fixed | ocn-fixed | ocx) printf 'br = "%s"\nipv4 = "%s"\n' "$BR" "$FIXED" ;;
    esac
    printf '%s\n' "${SERVICE_KEYS:-}"
    case $1 in
    ipip) notification_conf "${NOTIFY_DIALECT:-transix-fixed}" "${NOTIFY_URL:-http://update.isp.example/request}" ;;
    transix-fixed | v6plus-fixed | ocn-fixed | xpass-fixed) notification_conf "$1" "${NOTIFY_URL:-}" ;;
    dslite | ocx) ;;
    *) printf '\n[service.provisioning]\nca-file = "%s"\n' "$LAB/ca.pem" ;;
    esac
}

# notification_conf DIALECT [URL]. Without URL it is where the service has it.
notification_conf() {
    printf '\n[service.notification]\ndialect = "%s"\ncredentials-file = "%s"\nca-file = "%s"\n' \
        "$1" "$ROUTER/credentials.toml" "${NOTIFY_CA:-$LAB/ca.pem}"
    [[ -z ${2:-} ]] || printf 'url = "%s"\n' "$2"
    [[ $1 != xpass-fixed ]] || printf 'fqdn = "home.isp.example"\n'
}

# provided KIND OFFERS [NAME=DATA...]. What an ISP has, and the router was never here: line KIND 1, DHCPv6 that offers these
# words, names that its resolver knows.
provided() {
    stop router
    isp_names "${@:3}"
    printf '%s\n' "$2" >"$LAB/offers"
    isp_line "$1" 1
    fixed_addresses
    tell unbind "$FIXED"
    tell forget
    : >"$LAB/notify.requests"
    : >"$LAB/provision.requests"
    : >"$LAB/unbound.log"
    notify_server ok
    provision ok
}

# afresh SERVICE. A router that remembers nothing, and captures of its own. Does not wait.
afresh() {
    stop router
    stop_captures
    rm -rf "$ROUTER"
    mkdir -p "$ROUTER"
    static_host
    capture_start "$1"
    router_start "$1"
}

# comes_up SERVICE [SECONDS]. Afresh, until a host reaches the Internet.
comes_up() {
    afresh "$1"
    within "${2:-40}" "the Internet answers by $1" up_or_ended
    running router || fail "the router ended: $(tail -n 1 "$LAB/router.log")"
}

up_or_ended() { internet || stopped router; }

# traffic. What a household does, once: echo, names, a file byte for byte, speed tests both ways.
traffic() {
    local answer way
    echoes h1 "$INTERNET" 10 || fail "not 10 of 10 pings, or some twice"
    answer=$(on h1 dig +short +time=2 "@$INTERNET_DNS" www.internet.example A)
    [[ $answer == "$INTERNET" ]] || fail "www.internet.example is '$answer'"
    downloads large || fail "the large file did not come whole"
    for way in "" --reverse; do
        iperf --bytes 4M $way || fail "TCP $way did not end"
    done
    iperf --udp --bitrate 5M --length 1400 --time 1 --reverse || fail "UDP did not end"
}

# judged SERVICE FARS NEARS [SHARE...]. Ends the router; tshark on every frame that it sent. FARS are the only addresses
# that tunnel packets go to, NEARS the networks that they come from, shares as judge_inner has them.
judged() {
    local wan=$LAB/$1-wan.pcap lan=$LAB/$1-lan.pcap mac_wan mac_lan
    mac_wan=$(mac router wan) mac_lan=$(mac router lan)
    stop router
    capture_stop
    judge_frames "$wan" "$mac_wan"
    judge_frames "$lan" "$mac_lan"
    judge_tunnel "$wan" "$mac_wan" "$2" "$3"
    judge_neighbours "$wan" "$mac_wan"
    [[ -z ${4:-} ]] || judge_inner "$wan" "$mac_wan" "${@:4}"
}

# share OFFSET KIND NUMBER. What the lab's rules give a line, as judge_inner has it.
share() {
    local ipv4 length low=$((0x1234))
    (($3 == 1)) || low=$((0x5678))
    IFS=, read -r _ ipv4 _ < <(map_rule "$@")
    length=$((16 - 32 + ${ipv4#*/}))
    printf '%s,%s,%s,%s' "$(python3 -c 'import ipaddress, sys
print(ipaddress.ip_network(sys.argv[1])[int(sys.argv[2])])' "$ipv4" $((low >> length)))" "$1" "$length" $((low % (1 << length)))
}

# map_ce draft03|rfc7597 OFFSET KIND NUMBER. The address of the line's CE.
map_ce() {
    local address psid prefix
    IFS=, read -r address _ _ psid < <(share "${@:2}")
    prefix=$(prefix_of "$3" "$4")
    python3 -c 'import ipaddress, sys
prefix, id, address, psid = sys.argv[1:]
low = (int(ipaddress.IPv4Address(address)) << 16 | int(psid)) << (8 if id == "draft03" else 0)
print(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | low))' "${prefix%/*}" "$1" "$address" "$psid"
}

# fixed_ce KIND. The address of a CE with the fixed IPv4 address: draft 03 with PSID 0.
fixed_ce() {
    local prefix
    prefix=$(prefix_of "$1" 1)
    printf '%s' "${prefix%::/*}:cb:71:500:0"
}

# rules_file draft03|rfc7597 OFFSET [BR]. The lab's rules as --map-rules takes them.
rules_file() {
    printf 'iid = "%s"\n' "$1"
    [[ -z ${3:-} ]] || printf 'br = "%s"\n' "$3"
    map_rules "$2" | awk -F, '{ printf "\n[[rule]]\nipv6 = \"%s\"\nipv4 = \"%s\"\nea-length = %s\npsid-offset = %s\n", $1, $2, $3, $4 }'
}
