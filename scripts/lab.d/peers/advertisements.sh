# shellcheck shell=bash
# A daemon that advertises a /64. Sourced by its rows, which set
#
#   PACKAGE                   the Debian package
#   daemon_conf PREFIX        writes its configuration: PREFIX::/64, an advertisement each 3 to 4 s where that can be said
#   daemon_start              starts it as the process `daemon` in the namespace isp
#   daemon_change PREFIX      another prefix while it runs; not set where it has no way
# shellcheck source=scripts/lab.d/peers/line.sh
source scripts/lab.d/peers/line.sh

# The ISP's address in a prefix: some advertise what their interface has.
has_address() {
    ip -n isp -6 addr flush dev i0 scope global
    ip -n isp addr add "$1::1/64" dev i0 nodad
}

advertise() {
    has_address "$1"
    daemon_conf "$1"
    daemon_start
}

no_router() { holds "all(r['lifetime_seconds'] == 0 for r in s['wan']['routers'])"; }

started() {
    advertise 2001:db8:1:1
    seconds_until 40 "the prefix carries" ours 2001:db8:1:1:
    saw "started: carries from its prefix"
}

stopped_and_started() {
    stop daemon
    if poll 3 no_router; then saw "stopped: says that it is no router"; else saw "stopped: says nothing"; fi
    daemon_start
    within 40 "it carries again" holds "s['line']['name'] == 'carrying'"
    ours 2001:db8:1:1: || fail "started again, and the tunnel is elsewhere"
    saw "started again: carries from the same"
}

other_prefix_by_restart() {
    stop daemon
    advertise 2001:db8:1:2
    seconds_until 90 "the new prefix carries" ours 2001:db8:1:2:
    saw "other prefix by restart: carries from it after $TOOK s"
}

other_prefix_by_reload() {
    declare -F daemon_change >/dev/null || return 0
    daemon_change 2001:db8:1:3
    seconds_until 90 "the new prefix carries" ours 2001:db8:1:3:
    saw "by reload: after $TOOK s"
}

build_line
router_start
started
stopped_and_started
other_prefix_by_restart
other_prefix_by_reload
row "$(version)" "advertises a /64: start, stop, other prefix by restart and by reload" "$SEEN"
