# shellcheck shell=bash
# The far end: two AFTRs and a border router of test code, an AFTR of the kernel's, the Internet. Sourced.

readonly AFTR1=2001:db8:ffff::1 AFTR2=2001:db8:ffff::2 KERNEL_AFTR=2001:db8:ffff::3 BR=2001:db8:ffff::4
readonly FIXED=203.0.113.5
# What the notification server knows the customer by; every character that must not go into a URL as it is.
# shellcheck disable=SC2034 # router.sh
readonly CUSTOMER='user@example' PASSWORD='p&ss=w+rd% /#ü'

build_far() {
    ip -n aftr addr add 2001:db8:a::2/64 dev a0 nodad
    ip -n aftr addr add 2001:db8:99::1/64 dev x0 nodad
    ip -n aftr addr add 198.51.100.1/24 dev x0
    ip -n aftr route add default via 2001:db8:a::1
    local address
    for address in "$AFTR1" "$AFTR2" "$BR"; do ip -n aftr addr add "$address/128" dev lo; done
    # Tunnel packets are our program's, which reads beside the kernel: the kernel knows no protocol 4 and
    # would say so. Customers of the AFTR, each with a /16 of its own by then, leave with its address.
    on aftr nft -f - <<'N'
table ip6 far {
    set used { type ipv6_addr; flags dynamic, timeout; timeout 2s; }
    chain look { type filter hook prerouting priority raw; ip6 nexthdr 4 update @used { ip6 daddr }; }
    chain input { type filter hook input priority 0; ip6 daddr 2001:db8:ffff::/48 ip6 nexthdr { 4, 44 } drop; }
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
    spawn aftr aftr "$LAB_PROGRAM" aftr --address "$AFTR1,$AFTR2" --border-router "$BR" --control "$LAB/aftr.sock"
    within 10 "the AFTR answers" tell status
    on aftr sysctl -qw net.ipv6.conf.softwires.disable_ipv6=1
    ip -n aftr addr add 192.0.0.1/32 dev softwires
    ip -n aftr link set softwires up mtu 1460
    ip -n aftr route add 100.64.0.0/10 dev softwires
    ip -n aftr route add 203.0.113.0/24 dev softwires
}

# tell WORD... A command to the AFTR; "tell help" names them.
tell() { "$LAB_PROGRAM" tell "$LAB/aftr.sock" "$@"; }

# count NAME. A counter of the AFTR's.
count() { tell status | sed -n "s/^$1 //p"; }

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

build_internet() {
    ip -n inet addr add "$INTERNET/24" dev e0
    ip -n inet addr add "$INTERNET_DNS/24" dev e0
    ip -n inet addr add "$INTERNET6/64" dev e0 nodad
    ip -n inet route add default via 198.51.100.1
    ip -n inet -6 route add default via 2001:db8:99::1

    mkdir -p "$LAB/www"
    head -c 100000 /dev/urandom >"$LAB/www/small"
    head -c 8000000 /dev/urandom >"$LAB/www/large"
    spawn http inet python3 -u -m http.server --bind "$INTERNET" --directory "$LAB/www" 80
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
    within 10 "the Internet's servers listen" listening 80 443 5201 53
}

listening() {
    local port
    for port in "$@"; do on inet sh -c "ss -Hlntu 'sport = :$port' | grep -q ." || return 1; done
}

# An authority of the lab's own, and what it says of update.isp.example.
certificates() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2)
    openssl req -x509 "${key[@]}" -subj "/CN=hikyaku lab" -keyout "$LAB/ca.key" -out "$LAB/ca.pem" 2>/dev/null
    openssl req -x509 "${key[@]}" -subj "/CN=update.isp.example" -CA "$LAB/ca.pem" -CAkey "$LAB/ca.key" \
        -addext subjectAltName=DNS:update.isp.example -addext basicConstraints=critical,CA:FALSE \
        -keyout "$LAB/server.key" -out "$LAB/server.pem" 2>/dev/null
}

# notify_server MOOD. ok: as the service does; 400, 500: that; NG: 200 and that body; silence: no answer.
notify_server() { printf '%s\n' "$1" >"$LAB/notify.mood"; }

# notified. Requests so far, one JSON object each.
notified() { cat "$LAB/notify.requests" 2>/dev/null || true; }
notified_times() { notified | wc -l; }
notified_at_least() { (($(notified_times) >= $1)); }

# told CONDITION. Whether the last request was so: an expression of Python's over its fields.
told() {
    notified | tail -n 1 | python3 -c 'import json, sys
exit(not eval(sys.argv[1], {}, json.loads(sys.stdin.read())))' "$1"
}
