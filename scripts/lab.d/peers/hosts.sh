# shellcheck shell=bash
# A DHCPv6 client on the LAN, of a line that Kea delegates a prefix of. Sourced by its rows, which set
#
#   PACKAGE          the Debian package
#   client_start     starts it as the process `client` in the namespace host: an address for eth0, and a prefix for the link behind
# shellcheck source=scripts/lab.d/peers/line.sh
source scripts/lab.d/peers/line.sh

# The line's prefix, with lifetimes of a minute or two: so long are leases of it, too.
kea_start() {
    cat >"$LAB/kea.json" <<K
{ "Dhcp6": {
  "interfaces-config": { "interfaces": [ "i0" ] },
  "lease-database": { "type": "memfile", "persist": false },
  "server-id": { "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false },
  "renew-timer": 5, "rebind-timer": 14, "preferred-lifetime": 60, "valid-lifetime": 120,
  "subnet6": [ { "id": 1, "subnet": "2001:db8:0:1::/64", "interface": "i0", "pools": [],
                 "pd-pools": [ { "prefix": "2001:db8:1:4200::", "prefix-len": 56, "delegated-len": 56 } ] } ],
  "loggers": [ { "name": "kea-dhcp6", "severity": "INFO", "output_options": [ { "output": "stdout" } ] } ]
} }
K
    spawn kea isp env KEA_PIDFILE_DIR="$LAB/peer" KEA_LOCKFILE_DIR="$LAB/peer" kea-dhcp6 -c "$LAB/kea.json"
}

# of_leases EXPRESSION. What Python makes of it, with DHCPv6's leases as `leases`.
of_leases() {
    "$HIKYAKU" show leases --json --socket "$LAB/control.sock" |
        python3 -c 'import json, sys; leases = json.load(sys.stdin)["ipv6"]; print(eval(sys.argv[1]))' "$1" 2>/dev/null
}
address() { of_leases '[w for l in leases for w in l["leases"] if "/" not in w][0]'; }
prefix() { of_leases '[w for l in leases for w in l["leases"] if "/" in w][0]'; }

has_address() {
    local address
    address=$(address) && [[ -n $address ]] && ip -n host -6 -o addr show dev eth0 -tentative | grep -q " $address/"
}
has_prefix() { [[ -n $(prefix) ]]; }
# The prefix is in use on the link behind.
is_passed_on() {
    local prefix
    prefix=$(prefix) && [[ -n $prefix ]] && ip -n host -6 -o addr show dev behind0 | grep -q " ${prefix%%::*}:"
}

leased() {
    within 40 "an address" has_address
    ADDRESS=$(address)
    saw "an address, of $(ip -n host -6 -o addr show dev eth0 | sed -n "s|.* $ADDRESS/\([0-9]*\) .*|\1|p") bits"
    within 20 "a prefix" has_prefix
    PREFIX=$(prefix)
    if poll 10 is_passed_on; then saw "a prefix, used behind it"; else saw "a prefix"; fi
    if [[ $(of_leases '[l for l in leases if l["name"] and "lanbox" in l["name"]] != []') == True ]]; then
        saw "its name is known"
    else
        saw "says no name"
    fi
}

keeps() { [[ $(address) == "$ADDRESS" && $(prefix) == "$PREFIX" ]] || fail "$1: it had $ADDRESS and $PREFIX, and has $(address) and $(prefix)"; }

renewed() {
    forget
    within 70 "Renew and its Reply" heard "dhcp6 renew" "dhcp6 reply"
    keeps renewed
    saw "renewed"
}

# The router is away when it is to renew, and back with what it kept when the client asks anybody.
rebound() {
    stop router
    forget
    within 120 "Rebind" heard "dhcp6 rebind"
    router_start
    within 60 "a Reply to it" heard "dhcp6 rebind" "dhcp6 reply"
    within 20 "an address" has_address
    keeps rebound
    saw "router restarted, rebound: the same"
}

have kea-dhcp6 || skip "kea-dhcp6-server is not installed"
hostname lanbox
# shellcheck disable=SC2034 # router_conf
LAN_IPV6_KEYS='dhcpv6 = "stateful"
delegate = 60'
build_line
on host sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.eth0.accept_ra=2 \
    net.ipv6.conf.eth0.disable_ipv6=0
link host behind0 host behind1
listen host eth0 udp port 546 or udp port 547
advertises "AdvManagedFlag on; AdvOtherConfigFlag on;"
kea_start
router_start
client_start
leased
renewed
rebound
row "$(version)" "a host that is a router, too: an address and a prefix; renew, router restarted, rebind" "$SEEN"
