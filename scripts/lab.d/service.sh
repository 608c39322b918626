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

# service_conf SERVICE. ROUTER_KEYS has more lines for [service].
service_conf() {
    printf 'kind = "%s"\n' "$1"
    case $1 in
    ipip | transix-fixed) printf 'br = "%s"\nipv4 = "%s"\nce = "::feed"\n' "$BR" "$FIXED" ;;
    xpass-fixed | v6plus-fixed | ocn-fixed | ocx) printf 'br = "%s"\nipv4 = "%s"\n' "$BR" "$FIXED" ;;
    esac
    printf '%s\n' "${ROUTER_KEYS:-}"
    case $1 in
    ipip) notification_conf "${NOTIFY_DIALECT:-transix-fixed}" "${NOTIFY_URL:-http://update.isp.example/request}" ;;
    transix-fixed | v6plus-fixed | ocn-fixed | xpass-fixed) notification_conf "$1" "${NOTIFY_URL:-}" ;;
    dslite | ocx) ;;
    *) printf '\n[service.provisioning]\nca = "%s"\n' "$LAB/ca.pem" ;;
    esac
}

# notification_conf DIALECT [URL]. Without URL it is where the service has it.
notification_conf() {
    printf '\n[service.notification]\ndialect = "%s"\ncredentials-file = "%s"\nca-file = "%s"\n' \
        "$1" "$ROUTER/credentials.toml" "${NOTIFY_CA:-$LAB/ca.pem}"
    [[ -z ${2:-} ]] || printf 'url = "%s"\n' "$2"
}

# afresh SERVICE. A router that remembers nothing, and captures of its own. Does not wait.
afresh() {
    stop router
    stop_captures
    rm -rf "$ROUTER"
    static_host
    capture_start "$1"
    router_start "$1"
}

# comes_up SERVICE [SECONDS]. Afresh, until a host reaches the Internet.
comes_up() {
    afresh "$1"
    within "${2:-40}" "the Internet answers by $1" internet
}

# traffic [RATIO]. What a household does, once: echo, names, a file byte for byte, speed tests both ways.
traffic() {
    local answer way
    on h1 ping -n -c 10 -i 0.05 -W 2 "$INTERNET" | grep -q '10 received, 0%' || fail "not 10 of 10 pings, or some twice"
    answer=$(on h1 dig +short +time=2 "@$INTERNET_DNS" www.internet.example A)
    [[ $answer == "$INTERNET" ]] || fail "www.internet.example is '$answer'"
    downloads large || fail "the large file did not come whole"
    for way in "" --reverse; do
        on h1 timeout 60 iperf3 --client "$INTERNET" --bytes 4M $way || fail "TCP $way did not end"
    done
    on h1 timeout 30 iperf3 --client "$INTERNET" --udp --bitrate 5M --length 1400 --time 1 --reverse || fail "UDP did not end"
}

# judged SERVICE FARS NEARS [IPV4 [OFFSET LENGTH PSID]]. Ends the router; tshark on every frame that it sent.
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
