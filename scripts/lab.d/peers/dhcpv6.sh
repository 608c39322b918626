# shellcheck shell=bash
# A DHCPv6 server that delegates a prefix. Sourced by its rows, which set
#
#   PACKAGE                 the Debian package
#   LEASES                  files that it keeps leases in (a pattern of the shell)
#   server_conf PREFIX      writes its configuration: PREFIX/56 to whom asks, preferred 20 s and valid 40 s where that can be said
#   server_start            starts it as the process `server` in the namespace isp
# shellcheck source=scripts/lab.d/peers/line.sh
source scripts/lab.d/peers/line.sh

readonly FIRST=2001:db8:1:4200 SECOND=2001:db8:2:8400

serve() {
    server_conf "$1::"
    server_start
}

leases_lost() {
    # shellcheck disable=SC2086 # a pattern
    rm -f $LEASES
}

bound() {
    seconds_until 20 "bound" ours "$FIRST"
    saw "bound"
}

renewed() {
    forget
    within 40 "Renew and its Reply" heard "dhcp6 renew" "dhcp6 reply"
    ours "$FIRST" || fail "renewed, and the prefix is gone"
    saw "renewed"
}

# The server is away when it is to renew, and back when the client asks anybody.
rebound() {
    forget
    stop server
    within 40 "Rebind" heard "dhcp6 renew" "dhcp6 rebind"
    server_start
    within 40 "a Reply to it" heard "dhcp6 rebind" "dhcp6 reply"
    within 30 "the prefix stays, or is had again" ours "$FIRST"
    if heard "dhcp6 rebind" "dhcp6 solicit"; then saw "Rebind brings nothing, a prefix by Solicit"; else saw "rebound"; fi
}

lease_file_lost() {
    stop server KILL
    leases_lost
    forget
    server_start
    within 60 "something is answered" heard "dhcp6 re" "dhcp6 reply"
    within 30 "there is a prefix" ours "$FIRST"
    if heard "dhcp6 solicit"; then saw "leases lost: a prefix by Solicit"; else saw "leases lost: the same prefix goes on"; fi
}

pool_moved() {
    stop server
    forget
    serve "$SECOND"
    if poll 30 ours "$SECOND"; then
        saw "pool moved: the new prefix carries"
        return
    fi
    heard "dhcp6 renew" "dhcp6 reply" || fail "pool moved: neither the new prefix nor a Reply to Renew"
    saw "pool moved: it goes on renewing the old prefix while it has its leases"
    stop server
    leases_lost
    server_start
    within 60 "the new prefix carries" ours "$SECOND"
}

rapid_commit() {
    stop router
    rm -rf "$LAB/state"
    # shellcheck disable=SC2034 # router_conf
    DHCPV6_KEYS="rapid-commit = true"
    forget
    router_start
    within 30 "bound again" ours "$SECOND"
    if heard "dhcp6 advertise"; then saw "rapid commit asked for: four messages"; else saw "rapid commit: two messages"; fi
}

build_line
listen isp i0 udp port 546 or udp port 547
advertises "AdvManagedFlag on; AdvOtherConfigFlag on;"
serve "$FIRST"
router_start
bound
renewed
rebound
lease_file_lost
pool_moved
rapid_commit
row "$(version)" "delegates a prefix: bound, renew, rebind, leases lost, pool moved, rapid commit" "$SEEN"
