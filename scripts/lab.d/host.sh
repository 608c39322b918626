# shellcheck shell=bash
# What a LAN host does. h1 if not said otherwise. Sourced.

# lease HOST. A lease by a real client; what it was told is in $LAB/HOST.lease, as shell words.
lease() {
    local host=$1
    cat >"$LAB/dhclient.conf" <<D
timeout 15;
retry 1;
initial-delay 0;
initial-interval 1;
backoff-cutoff 2;
request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, interface-mtu;
D
    rm -f "$LAB/$host.lease"
    on "$host" dhclient -1 -d -v -cf "$LAB/dhclient.conf" -sf "$PWD/scripts/lab.d/dhclient-script" \
        -lf "$LAB/$host.leases" -pf "$LAB/$host.dhclient.pid" -e "lease=$LAB/$host.lease" eth0 \
        >>"$LAB/$host.dhclient.log" 2>&1 &
    local client=$!
    poll 20 test -s "$LAB/$host.lease" || true
    # It keeps the address; the client is not needed for the minutes that this takes.
    kill "$client" 2>/dev/null || true
    wait "$client" 2>/dev/null || true
    [[ -s $LAB/$host.lease ]]
}

leased() { sed -n "s/^$2=//p" "$LAB/$1.lease"; }

# An address for h1 that does not need DHCP, so that one failure is not all of them.
static_host() {
    [[ -z $(ip -n h1 -4 addr show dev eth0) ]] || return 0
    ip -n h1 addr add 192.168.7.50/24 dev eth0
    ip -n h1 route replace default via "$GATEWAY"
}

# pings ADDRESS [HOST]. One that comes back within a second.
pings() { on "${2:-h1}" ping -n -c 1 -W 1 "$1"; }
no_ping() { ! pings "$@"; }

internet() { pings "$INTERNET"; }

# echoes HOST ADDRESS COUNT [PING-OPTION...]. So many come back, once each. ping waits for the last answer no longer than
# twice the longest round trip so far, which on a loaded machine is too short: three attempts.
echoes() {
    local host=$1 address=$2 count=$3
    for _ in 1 2 3; do
        on "$host" ping -n -c "$count" -i 0.02 -W 2 "${@:4}" "$address" | tail -n 3 | tee "$LAB/probe"
        ! grep -q duplicates "$LAB/probe" || return 1
        ! grep -q " $count received, 0%" "$LAB/probe" || return 0
    done
    return 1
}

# downloads FILE [CURL-OPTION...]. Over HTTP, whole and unchanged.
downloads() {
    local file=$1
    shift
    rm -f "$LAB/got"
    on h1 curl --fail --silent --show-error --max-time 60 "$@" --output "$LAB/got" "http://$INTERNET/$file" || return 1
    cmp "$LAB/got" "$LAB/www/$file"
}

# slow_download [CURL-OPTION...]. The large file in some fourteen seconds, in the background; returns when it is under way.
# Sets CURL.
slow_download() {
    rm -f "$LAB/got"
    on h1 curl --fail --silent --show-error --limit-rate 600k --max-time 120 "$@" \
        --output "$LAB/got" "http://$INTERNET/large" &
    CURL=$!
    within 20 "the download is under way" under_way
}

# held_download. The large file in the background, by one connection that does not end before `downloaded` lets it.
held_download() {
    rm -f "$LAB/got" "$LAB/let-go"
    (
        set -o pipefail
        on h1 curl --fail --silent --show-error --max-time 120 "http://$INTERNET/large" |
            scripts/lab.d/slowly "$(stat -c %s "$LAB/www/large")" "$LAB/let-go" >"$LAB/got"
    ) &
    CURL=$!
    within 20 "the download is under way" under_way
}

under_way() { (($(stat -c %s "$LAB/got") > 500000)); }

# Whether it is not at its end yet.
downloading() { kill -0 "$CURL" 2>/dev/null && (($(stat -c %s "$LAB/got") < 7900000)); }

# The end of it: whole and unchanged.
downloaded() {
    : >"$LAB/let-go"
    wait "$CURL" || fail "the download did not end well"
    cmp "$LAB/got" "$LAB/www/large" || fail "the download is not the file"
}

# probe BYTES [PING-OPTION...]. One echo request in an IPv4 packet of so many bytes; the answer stands in
# $LAB/probe. What the host learned from earlier answers is forgotten first.
probe() {
    local bytes=$1
    shift
    ip -n h1 route flush cache
    on h1 ping -n -c 1 -W 2 -s $((bytes - 28)) "$@" "$INTERNET" >"$LAB/probe" 2>&1
}

# refused BYTES MTU. With DF set the gateway answers with ICMP 3/4 and this MTU (RFC 1191).
refused() {
    if probe "$1" -M 'do'; then return 1; fi
    grep -q "From $GATEWAY .*Frag needed and DF set (mtu = $2)" "$LAB/probe"
}

# unreachable. The gateway says host unreachable.
unreachable() {
    if probe 84; then return 1; fi
    grep -q "From $GATEWAY .*Destination Host Unreachable" "$LAB/probe"
}

# With UDP and with ICMP: the gateway, then others, then the Internet host, and all of them speak.
traceroutes() {
    local kind hops
    for kind in default icmp; do
        hops=$(on h1 traceroute -n -q 1 -w 2 -m 6 -M "$kind" "$INTERNET")
        printf '%s\n' "$hops"
        [[ $(awk '$1 == "1" { print $2 }' <<<"$hops") == "$GATEWAY" ]] || fail "traceroute $kind: hop 1 is not the gateway"
        [[ $(tail -n 1 <<<"$hops" | awk '{ print $2 }') == "$INTERNET" ]] || fail "traceroute $kind does not arrive"
        ! grep -q '\*' <<<"$hops" || fail "traceroute $kind: a hop is silent"
    done
}

# many VERB COUNT TARGET... Many connections or datagrams of h1's (scripts/lab.d/many); what came of them is in
# $LAB/many.json.
many() {
    on h1 timeout 120 python3 scripts/lab.d/many "$@" >"$LAB/many.json" || fail "$*: the client did not end well"
    note "$*: $(cut -c 1-300 "$LAB/many.json")"
}

# iperf ARG... A run of h1 against the Internet's server. One that has not put its last client away yet says that it is busy, and is
# asked again.
iperf() {
    local said
    for _ in 1 2 3 4 5; do
        if said=$(on h1 timeout 60 iperf3 --client "$INTERNET" "$@" 2>"$LAB/iperf.err"); then
            printf '%s\n' "$said"
            return
        fi
        [[ $said$(<"$LAB/iperf.err") == *busy* ]] || break
        sleep 1
    done
    printf '%s\n' "$said"
    cat "$LAB/iperf.err"
    return 1
}
