# shellcheck shell=bash
# Native IPv6 of a LAN host: a Linux kernel that configures itself by router advertisements. h2, as h1 has IPv4. Sourced.

# kernel_host HOST. It forgets what it knew, speaks IPv6 from now on, and solicits.
kernel_host() {
    on "$1" sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1 net.ipv6.conf.eth0.accept_ra=1 net.ipv6.conf.eth0.autoconf=1 \
        net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.all.forwarding=0
    on "$1" sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0
}

# Back to what it is in other tests.
kernel_host_off() { on "$1" sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1; }

# slaac HOST [WORD...]. Its global addresses, made by itself (mngtmpaddr and the like are words of ip-address(8)).
slaac() {
    ip -n "$1" -6 -o addr show dev eth0 scope global "${@:2}" | awk '{ split($4, a, "/"); print a[1] }'
}

# has_slaac HOST PREFIX. An address of this beginning that is preferred, and checked.
has_slaac() { slaac "$1" -deprecated -tentative | grep -q "^$2"; }

# is_deprecated HOST PREFIX. One that is not for new connections any more, and still there.
is_deprecated() { slaac "$1" deprecated | grep -q "^$2"; }

has_default6() { ip -n "$1" -6 route show default | grep -q '^default via fe80::'; }
has_no_default6() { ! has_default6 "$1"; }

# internet6 HOST. A ping that comes back within a second.
internet6() { on "$1" ping -6 -n -c 1 -W 1 "$INTERNET6"; }
no_internet6() { ! internet6 "$1"; }

# lease6 HOST. A client of DHCPv6 that stays: an address is in $LAB/HOST.lease6.address, a prefix in $LAB/HOST.lease6.prefix.
lease6() {
    local host=$1
    printf 'backoff-cutoff 2;\ninitial-interval 1;\nrequest dhcp6.name-servers, dhcp6.domain-search;\n' >"$LAB/dhclient6.conf"
    rm -f "$LAB/$host".lease6*
    # It does not start before its link-local address was looked for.
    within 10 "$host has a link-local address" has_link_local "$host"
    spawn "dhclient6-$host" "$host" dhclient -6 -d -v -N -P -D LL -cf "$LAB/dhclient6.conf" -sf "$PWD/scripts/lab.d/dhclient-script" \
        -lf "$LAB/$host.leases6" -pf "$LAB/$host.dhclient6.pid" -e "lease=$LAB/$host.lease6" eth0
}

has_link_local() { ip -n "$1" -6 -o addr show dev eth0 scope link -tentative | grep -q fe80; }

# leased6 HOST address|prefix BEGINNING. What it has by DHCPv6 begins so.
leased6() { grep -q "^$3" "$LAB/$1.lease6.$2"; }

# build_behind HOST. A router behind us, HOST, and a host of its own in the namespace behind.
build_behind() {
    ip netns add behind
    ip -n behind link set lo up
    link "$1" b0 behind eth0
    on behind sysctl -qw net.ipv6.conf.eth0.accept_dad=0
    on "$1" sysctl -qw net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.b0.disable_ipv6=0 \
        net.ipv6.conf.b0.accept_dad=0
}

# number_behind HOST. The first /64 of the prefix that HOST has is the network behind it; BEHIND is its host.
number_behind() {
    local prefix
    prefix=$(<"$LAB/$1.lease6.prefix")
    prefix=${prefix%/*}
    BEHIND=${prefix}2
    ip -n "$1" -6 addr add "${prefix}1/64" dev b0
    ip -n behind -6 addr add "$BEHIND/64" dev eth0
    ip -n behind -6 route replace default via "${prefix}1" src "$BEHIND"
}

# downloads6 HOST FILE [CURL-OPTION...]. Over HTTP and IPv6, whole and unchanged.
downloads6() {
    local host=$1 file=$2
    rm -f "$LAB/got6"
    on "$host" curl -6 --fail --silent --show-error --max-time 60 "${@:3}" --output "$LAB/got6" "http://[$INTERNET6]:8080/$file" || return 1
    cmp "$LAB/got6" "$LAB/www/$file"
}

# scan6 ADDRESS. From the Internet, every port of some that hosts have open, by TCP and UDP, and a ping: prints what answered.
scan6() {
    on inet python3 - "$1" <<'P'
import socket, sys
for port in (22, 80, 111, 443, 445, 631, 2049, 5000, 7001, 8080):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.settimeout(0.3)
    try:
        s.connect((sys.argv[1], port))
        print("tcp", port, "open")
    except ConnectionRefusedError:
        print("tcp", port, "closed")
    except OSError:
        pass
    u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    u.settimeout(0.1)
    u.connect((sys.argv[1], port))
    try:
        u.send(b"?")
        u.recv(1)
        print("udp", port, "answers")
    except ConnectionRefusedError:
        print("udp", port, "closed")
    except OSError:
        pass
P
    if on inet ping -6 -n -c 1 -W 1 "$1" >/dev/null; then printf 'it answers pings\n'; fi
}

# scan6_all HOST [PORT-PORT] ADDRESS... From there, every port, or those, by TCP and UDP, and pings: prints what answered, and at last
# how many questions there were.
scan6_all() { on "$1" python3 scripts/lab.d/scan "${@:2}"; }
