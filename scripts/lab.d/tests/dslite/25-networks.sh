# shellcheck shell=bash
# Two LANs, the second for guests, with a lease, names and a /64 of their own: they reach the line, and of the first LAN what a rule accepts. A network behind a router there.
# shellcheck disable=SC2034 # router_conf
MORE_LANS='[[lan]]
name = "guests"
link = "xdp:lan2"
ipv4 = "192.168.8.1/24"
isolated = true'
stop router
within 5 "no XDP program on the LAN" has_no_xdp lan
ip netns add guest
ip -n guest link set lo up
on guest sysctl -qw net.ipv6.conf.default.disable_ipv6=1
link router lan2 guest eth0
: >"$LAB/tcpdump-guest.log"
spawn tcpdump-guest guest tcpdump -i eth0 -B 65536 --immediate-mode -U -w "$LAB/guests.pcap"
listening() { grep -q 'listening on' "$LAB/tcpdump-guest.log"; }
within 10 "the capture runs" listening
router_start dslite
kernel_host guest
kernel_host h2
static_host
host=$(ip -n h1 -4 -o addr show dev eth0 | awk '{ split($4, a, "/"); print a[1]; exit }')

within 40 "h1 has the Internet" internet
leased_guest() { lease guest; }
within 60 "the guest has a lease" leased_guest
guest=$(leased guest address)
[[ $guest == 192.168.8.* && $(leased guest routers) == 192.168.8.1 && $(leased guest dns) == 192.168.8.1 ]] ||
    fail "the guest was told: $(<"$LAB/guest.lease")"
guest_internet() { pings "$INTERNET" guest; }
within 10 "the guest has the Internet" guest_internet
within 20 "the guest has an address of the second /64" has_slaac guest 2001:db8:1012:3402:
within 20 "h2 has an address of the first" has_slaac h2 2001:db8:1012:3401:
within 10 "the Internet answers the guest by IPv6" internet6 guest
within 10 "the Internet answers h2 by IPv6" internet6 h2
# h2 may have one of before, too.
host6=$(slaac h2 -deprecated | grep -m 1 '^2001:db8:1012:3401:')
guest6=$(slaac guest)
found=$(scan6 "$guest6")
[[ -z $found ]] || fail "from outside: $found"

# Names: the line's for both, those of the first LAN for its hosts only.
name() { on "$1" dig +short +time=2 "@$2" "$3" "$4"; }
[[ $(name guest 192.168.8.1 update.isp.example AAAA) == "$INTERNET6" ]] || fail "the guest has no names"
[[ $(name h1 "$GATEWAY" nas.lab.example A) == 192.168.7.10 ]] || fail "h1 has no name of its LAN's"
[[ -z $(name guest 192.168.8.1 nas.lab.example A) ]] || fail "the guest is told a name of the first LAN"

# The first LAN reaches guests, guests nothing of it, and are told so; nor the router's address there.
pings "$guest" h1 || fail "h1 does not reach the guest"
on h2 ping -6 -n -c 1 -W 1 "$guest6" || fail "h2 does not reach the guest by IPv6"
refused() {
    if on guest ping -n -c 1 -W 1 "$1" >"$LAB/probe" 2>&1; then fail "the guest reaches $1"; fi
    grep -qi "$2" "$LAB/probe" || fail "the guest is not told that $1 is not for it: $(<"$LAB/probe")"
}
refused "$host" "packet filtered"
refused "$GATEWAY" "packet filtered"
refused "$host6" "administratively prohibited"
pings 192.168.8.1 guest || fail "the guest does not reach the router's address on its own LAN"

# Until a rule accepts it, and then that alone.
spawn printer h1 python3 -u -m http.server --bind "$host" --directory "$LAB/www" 631
printing() { on h1 ss -Hlnt 'sport = :631' | grep -q .; }
within 10 "h1 has an open port" printing
prints() { on guest curl --fail --silent --max-time 2 "http://$host:631/small" -o "$LAB/got" && cmp "$LAB/got" "$LAB/www/small"; }
if prints; then fail "without a rule the guest has the printer"; fi
MORE_LANS+="

[[rule]]
name = \"printer\"
from = \"guests\"
to = \"lan\"
protocol = \"tcp\"
ports = 631
destination = \"$host\"
action = \"accept\""
router_conf dslite >"$ROUTER/dslite.toml"
reload router
within 10 "the guest has the printer" prints
refused "$host" "packet filtered"
show rules | grep -q 'printer *guests *lan' || fail "show rules: $(show rules)"
show status | grep -q 'LAN *guests: xdp:lan2' || fail "show status: $(show status)"
show leases | grep -q "^guests: pool" || fail "show leases: $(show leases)"
show neighbours | grep -q "guests xdp:lan2 *$guest" || fail "show neighbours: $(show neighbours)"
(($(drops lan-isolated) > 0)) || fail "nothing is counted as lan-isolated"

# A network behind a router of the first LAN, by a static route: a part of the delegated prefix.
build_behind h2
MORE_LANS+="

[[route]]
prefix = \"2001:db8:1012:34f0::/60\"
via = \"$(ip -n h2 -6 -o addr show dev eth0 scope link | awk '{ split($4, a, "/"); print a[1]; exit }')\"
lan = \"lan\""
router_conf dslite >"$ROUTER/dslite.toml"
reload router
printf '2001:db8:1012:34f0::/60' >"$LAB/h2.lease6.prefix"
number_behind h2
within 20 "the Internet answers the host behind" internet6 behind
on behind ping -6 -n -c 1 -W 1 "$guest6" || fail "the host behind does not reach the guest"
refused "$BEHIND" "administratively prohibited"
found=$(scan6 "$BEHIND")
[[ -z $found ]] || fail "from outside: $found"
show route | grep -q "2001:db8:1012:34f0::/60 *router *lan *$(mac h2 eth0) *static" || fail "show route: $(show route)"

# Killed and started again, the guest has its lease and its addresses.
kill -KILL "$(pid_of router)"
within 5 "no XDP program on the LAN" has_no_xdp lan
router_start dslite
within 30 "the guest has the Internet" guest_internet
within 10 "the Internet answers the guest by IPv6" internet6 guest
within 20 "the Internet answers the host behind" internet6 behind
show leases | grep -q "$guest" || fail "the lease is forgotten: $(show leases)"
grep -q "$guest" "$ROUTER/state/dhcpv4-guests.json" || fail "the lease is not in a file of the LAN's own"

# What guests were sent: well formed, and nothing of the other LAN's but what the rule let in and what h1 and h2 began.
mac=$(mac router lan2)
stop router
stop tcpdump-guest INT
judge_frames "$LAB/guests.pcap" "$mac"
some "$LAB/guests.pcap" "an advertisement of the second /64" "eth.src == $mac && icmpv6.opt.prefix == 2001:db8:1012:3402::"
none "$LAB/guests.pcap" "an advertisement of the first /64" "eth.src == $mac && icmpv6.opt.prefix == 2001:db8:1012:3401::"
none "$LAB/guests.pcap" "of the first LAN, and neither ping nor printer" "eth.src == $mac && ip.src == 192.168.7.0/24 && !icmp && !(tcp.port == 631)"
stop printer
kernel_host_off h2
ip netns del behind
ip netns del guest
MORE_LANS='' router_start dslite
