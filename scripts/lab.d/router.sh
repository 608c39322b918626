# shellcheck shell=bash
# The router: its configuration, starting and ending it. Sourced.

# shellcheck disable=SC2034 # tests
readonly GATEWAY=192.168.7.1 NETWORK=192.168.7.0/24
ROUTER=$LAB/router

# router_conf SERVICE. LAN_IPV6 has lines of [lan.ipv6], MORE_LANS further LANs with all of theirs, and rules.
router_conf() {
    local lan='[lan]'
    [[ -z ${MORE_LANS:-} ]] || lan='[[lan]]'
    cat <<C
[wan]
link = "xdp:wan"

[wan.dhcpv6]
release-at-exit = true

$lan
link = "xdp:lan"
ipv4 = "$GATEWAY/24"

[lan.dhcpv4]
pool = "192.168.7.100-192.168.7.199"
dns = ["$INTERNET_DNS"]
domain = "lab.example"

[[lan.dhcpv4.reservation]]
mac = "02:00:00:00:77:01"
ip = "192.168.7.20"
name = "printer"

[lan.dns]
rebinding-allowed = ["double.public.example"]

[[lan.dns.host]]
name = "nas.lab.example"
ip = ["192.168.7.10", "2001:db8:1012:3401::10"]

[[lan.dns.forward]]
name = "elsewhere.example"
servers = ["2001:db8:53::54"]

[lan.ipv6]
${LAN_IPV6:-}

[control]
socket = "$ROUTER/control.sock"

[system]
state-dir = "$ROUTER/state"

[log]
level = "debug"

[tuning]
idle = "sleep"

[service]
C
    service_conf "$1"
    printf '\n%s\n' "${MORE_LANS:-}"
}

# router_start SERVICE. Does not wait.
router_start() {
    mkdir -p "$ROUTER/state"
    (
        umask 077
        printf 'user = "%s"\npassword = "%s"\ntoken = "token"\n' "$CUSTOMER" "$PASSWORD" >"$ROUTER/credentials.toml"
    )
    router_conf "$1" >"$ROUTER/$1.toml"
    printf '%s\n' "$1" >"$LAB/service"
    spawn router router "$HIKYAKU" run --config "$ROUTER/$1.toml"
}

# Whether a program hangs on a link of the router's.
has_xdp() { ip -n router -d link show "$1" | grep -q 'prog/xdp\|xdpgeneric\|xdpdrv'; }
has_no_xdp() { ! has_xdp "$1"; }

show() { on router "$HIKYAKU" show --socket "$ROUTER/control.sock" "$@"; }

# drops [REASON]. Packets that the router dropped, for that reason or for any.
drops() {
    show counters --json | python3 -c 'import json, sys
verdicts = json.load(sys.stdin)["verdicts"]
went_on = {"outbound", "inbound", "hairpin", "ipv6-outbound", "ipv6-inbound", "lan-to-lan", "reassembled", "handed-off", "punted", "host", "from-host"}
print(verdicts.get(sys.argv[1], 0) if len(sys.argv) > 1 else sum(n for name, n in verdicts.items() if name not in went_on))' "$@"
}

# notify_afresh MOOD. The router from its start, unknown to the border router, with a server in that mood.
# NOTIFY_DIALECT, NOTIFY_URL and NOTIFY_CA change whom it tells.
notify_afresh() {
    stop router
    tell unbind "$FIXED"
    : >"$LAB/notify.requests"
    : >"$LAB/notify.log"
    notify_server "$1"
    router_start ipip
}
