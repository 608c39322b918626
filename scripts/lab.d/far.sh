# shellcheck shell=bash
# The far end: two AFTRs and a border router of test code, an AFTR of the kernel's, the Internet. Sourced.

readonly AFTR1=2001:db8:ffff::1 AFTR2=2001:db8:ffff::2 KERNEL_AFTR=2001:db8:ffff::3 BR=2001:db8:ffff::4
# Endpoints of the services on the market: all are AFTR or border router of ours.
readonly TRANSIX="2404:8e00::feed:100 2404:8e00::feed:101 2404:8e01::feed:100 2404:8e01::feed:101"
# shellcheck disable=SC2034 # tests
readonly BR_V6PLUS=2404:9200:225:100::64 BR_BIGLOBE_EAST=2001:260:700:1::1:275 BR_BIGLOBE_WEST=2001:260:700:1::1:276
readonly BR_OCN=2001:380:a120::9
readonly AFTRS="$AFTR1 $AFTR2 $TRANSIX" BRS="$BR $BR_V6PLUS $BR_BIGLOBE_EAST $BR_BIGLOBE_WEST $BR_OCN"
readonly FIXED=203.0.113.5
# Many servers at once (scripts/lab.d/many).
# shellcheck disable=SC2034 # tests
readonly SERVERS=198.51.100.100-198.51.100.149
# What the notification server knows the customer by; every character that must not go into a URL as it is.
# shellcheck disable=SC2034 # router.sh
readonly CUSTOMER='user@example' PASSWORD='p&ss=w+rd% /#ü'

build_far() {
    ip -n aftr addr add 2001:db8:a::2/64 dev a0 nodad
    ip -n aftr addr add 2001:db8:99::1/64 dev x0 nodad
    ip -n aftr addr add 198.51.100.1/24 dev x0
    ip -n aftr route add default via 2001:db8:a::1
    local address
    for address in $AFTRS $BRS; do ip -n aftr addr add "$address/128" dev lo; done
    # Tunnel packets are our program's, which reads beside the kernel: the kernel knows no protocol 4 and
    # would say so. Customers of the AFTR, each with a /16 of its own by then, leave with its address.
    local all="$AFTRS $BRS"
    on aftr nft -f - <<N
table ip6 far {
    set used { type ipv6_addr; flags dynamic, timeout; timeout 2s; }
    set ends { type ipv6_addr; elements = { ${all// /, } } }
    chain look { type filter hook prerouting priority raw; ip6 nexthdr 4 update @used { ip6 daddr }; }
    chain input { type filter hook input priority 0; ip6 daddr @ends ip6 nexthdr { 4, 44 } drop; }
}
table ip far {
    chain out { type nat hook postrouting priority srcnat; ip saddr 100.64.0.0/10 oifname "x0" masquerade; }
}
N
    start_aftr
    build_internet
}

start_aftr() {
    rm -f "$LAB/aftr.sock"
    spawn aftr aftr "$LAB_PROGRAM" aftr --address "${AFTRS// /,}" --border-router "${BRS// /,}" \
        --control "$LAB/aftr.sock"
    within 10 "the AFTR answers" tell status
    # From one customer to another is there and back: nothing that anybody should be told.
    on aftr sysctl -qw net.ipv6.conf.softwires.disable_ipv6=1 net.ipv4.conf.softwires.send_redirects=0 \
        net.ipv4.conf.all.send_redirects=0
    ip -n aftr addr add 192.0.0.1/32 dev softwires
    ip -n aftr link set softwires up mtu 1460 txqueuelen 5000
    local network
    for network in 100.64.0.0/10 203.0.113.0/24 $SHARED_NETWORKS; do ip -n aftr route add "$network" dev softwires; done
}

# tell WORD... A command to the AFTR; "tell help" names them.
tell() { "$LAB_PROGRAM" tell "$LAB/aftr.sock" "$@"; }

# count NAME. A counter of the AFTR's and border router's.
count() { tell status | sed -n "s/^$1 //p"; }

# nothing_refused. What the border router did not like since it was started or told to forget; fails the test if there is anything.
nothing_refused() {
    (($(count refused) == 0)) || fail "the border router refused $(count refused), the last: $(tell status | sed -n 's/^last-refused //p')"
}

# Far and near end of the packet that came last from the line.
far_end() { tell status | sed -n 's/^last \([^ ]*\) .*/\1/p'; }
near_end() { tell status | sed -n 's/^last [^ ]* //p'; }
far_end_is() { [[ $(far_end) == "$1" ]]; }
near_end_is() { [[ $(near_end) == "$1" ]]; }

# uses ADDRESS. Whether a tunnel packet came for it within the last two seconds.
uses() { on aftr nft get element ip6 far used "{ $1 }" >/dev/null 2>&1; }

# kernel_aftr NEAR NETWORK. The kernel as AFTR for one customer, without translation: seg6 takes off and
# puts on the outer header, and the Internet host knows the way back.
kernel_aftr() {
    on aftr sysctl -qw net.ipv6.conf.all.seg6_enabled=1 net.ipv6.conf.a0.seg6_enabled=1 2>/dev/null &&
        ip -n aftr -6 route replace "$KERNEL_AFTR/128" encap seg6local action End.DX4 nh4 "$INTERNET" dev x0 &&
        ip -n aftr sr tunsrc set "$KERNEL_AFTR" &&
        ip -n aftr route replace "$2" encap seg6 mode encap.red segs "$1" dev a0 &&
        ip -n inet route replace "$2" via 198.51.100.1
}

# kernel_ce CE IPV4. The same as a customer in the router's place, which has the IPv4 address behind it.
kernel_ce() {
    on router sysctl -qw net.ipv6.conf.all.seg6_enabled=1 net.ipv6.conf.wan.seg6_enabled=1 2>/dev/null &&
        ip -n router -6 route replace "$1/128" encap seg6local action End.DX4 nh4 "$2" dev lan &&
        ip -n router sr tunsrc set "$1" &&
        ip -n router route replace "$2" dev lan &&
        ip -n router route replace default encap seg6 mode encap.red segs "$BR" dev wan
}

build_internet() {
    local number
    ip -n inet addr add "$INTERNET/24" dev e0
    ip -n inet addr add "$INTERNET_DNS/24" dev e0
    ip -n inet addr add "$INTERNET6/64" dev e0 nodad
    ip -n inet addr add "$PROVISION6/64" dev e0 nodad
    for number in {100..149}; do ip -n inet addr add "198.51.100.$number/24" dev e0; done
    ip -n inet route add default via 198.51.100.1
    ip -n inet -6 route add default via 2001:db8:99::1

    mkdir -p "$LAB/www"
    head -c 100000 /dev/urandom >"$LAB/www/small"
    head -c 8000000 /dev/urandom >"$LAB/www/large"
    spawn http inet python3 -u -m http.server --bind "$INTERNET" --directory "$LAB/www" 80
    spawn http6 inet python3 -u -m http.server --bind "$INTERNET6" --directory "$LAB/www" 8080
    spawn iperf3 inet iperf3 --server --bind "$INTERNET"

    cat >"$LAB/inet-unbound.conf" <<U
server:
    interface: $INTERNET_DNS
    access-control: 0.0.0.0/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "$LAB"
    pidfile: "$LAB/inet-unbound.own.pid"
    use-syslog: no
    module-config: "iterator"
    local-zone: "internet.example." static
    local-data: "www.internet.example. 60 IN A $INTERNET"
$(for number in {1..60}; do printf '    local-data: "many.internet.example. 60 IN A 192.0.2.%s"\n' "$number"; done)
remote-control:
    control-enable: no
U
    spawn inet-unbound inet unbound -d -c "$LAB/inet-unbound.conf"

    certificates
    notify_server ok
    NOTIFY_USER=$CUSTOMER NOTIFY_PASSWORD=$PASSWORD spawn notify inet python3 -u scripts/lab.d/notify-server \
        "$INTERNET6" "$LAB" "$FIXED"
    spawn provision inet python3 -u scripts/lab.d/provision-server "$PROVISION6" "$LAB"
    # 240 connections to each port of a server are what the smallest port set allows.
    spawn many inet python3 -u scripts/lab.d/many serve 7001-7008
    within 15 "the Internet's servers listen" listening 80 443 5201 53 7008
}

listening() {
    local port
    for port in "$@"; do on inet sh -c "ss -Hlntu 'sport = :$port' | grep -q ." || return 1; done
}

# An authority of the lab's own, and what it says of update.isp.example and of the provisioning server.
certificates() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2)
    openssl req -x509 "${key[@]}" -subj "/CN=hikyaku lab" -keyout "$LAB/ca.key" -out "$LAB/ca.pem" 2>/dev/null
    certificate update.isp.example "$LAB/server"
    certificate "$PROVISION_NAME" "$LAB/provision"
}

# certificate NAME FILE
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
        -CA "$LAB/ca.pem" -CAkey "$LAB/ca.key" -addext "subjectAltName=DNS:$1" -addext basicConstraints=critical,CA:FALSE \
        -keyout "$2.key" -out "$2.pem" 2>/dev/null
}

# notify_server MOOD. ok: as the service does; 400, 500: that; NG: 200 and that body; silence: no answer.
notify_server() { printf '%s\n' "$1" >"$LAB/notify.mood"; }

# notified. Requests so far, one JSON object each.
notified() { cat "$LAB/notify.requests" 2>/dev/null || true; }
notified_times() { notified | wc -l; }
notified_at_least() { (($(notified_times) >= $1)); }

# told CONDITION. Whether the last request was so: an expression of Python's over its fields.
told() { notified | holds "$1"; }

# holds CONDITION. The same of JSON on the input: all of it, or its last line.
holds() {
    python3 -c 'import json, sys
text = sys.stdin.read()
try:
    fields = json.loads(text)
except ValueError:
    fields = json.loads(text.splitlines()[-1])
exit(not eval(f"({sys.argv[1]})", {}, fields))' "$1"
}
