# shellcheck shell=bash
# A DHCPv4 client on the LAN. Sourced by its rows, which set
#
#   PACKAGE          the Debian package
#   client_start     starts it as the process `client` in the namespace host, for eth0
# shellcheck source=scripts/lab.d/peers/line.sh
source scripts/lab.d/peers/line.sh

address() { ip -n host -4 -o addr show dev eth0 | awk '{ split($4, a, "/"); print a[1]; exit }'; }
has_address() { [[ $(address) == 192.168.7.1[0-9][0-9] ]]; }
mtu() {
    if [[ $(on host cat /sys/class/net/eth0/mtu) == 1460 ]]; then
        printf 'of the link'
    elif ip -n host route | grep -q 'mtu 1460'; then
        printf 'of its routes'
    else
        printf 'not taken'
    fi
}

leased() {
    within 30 "a lease" has_address
    LEASED=$(address)
    # Some look for somebody who has it, others set the MTU a little later.
    within 10 "a route by the router" on host ping -n -c 1 -W 1 "$ROUTER_ADDRESS"
    saw "leased; MTU 1460 of option 26: $(mtu)"
    if "$HIKYAKU" show leases --socket "$LAB/control.sock" | grep -q 'lanbox'; then saw "its name is known"; else saw "says no name"; fi
}

keeps() { [[ $(address) == "$LEASED" ]] || fail "$1: it had $LEASED, and has $(address)"; }

renewed() {
    within 75 "Renew by unicast and its ACK" heard ".68 > $ROUTER_ADDRESS.67: BOOTP/DHCP, Request" "length 1: ACK"
    keeps renewed
    saw "renewed by unicast"
}

# The router is away when the lease is to be renewed, and back with what it kept when the client asks anybody.
rebound() {
    stop router
    forget
    within 130 "Rebind by broadcast" heard ".68 > 255.255.255.255.67: BOOTP/DHCP, Request"
    forget
    router_start
    within 40 "its ACK" heard "BOOTP/DHCP, Request" "length 1: ACK"
    keeps rebound
    saw "router restarted, rebound by broadcast: the same address"
}

hostname lanbox
# shellcheck disable=SC2034 # router_conf
DHCPV4_KEYS='lease-time = 120
mtu = 1460'
build_line
listen host eth0 -v udp port 67 or udp port 68
router_start
client_start
leased
renewed
rebound
row "$(version)" "a lease of 120 s: renew, router restarted, rebind" "$SEEN"
