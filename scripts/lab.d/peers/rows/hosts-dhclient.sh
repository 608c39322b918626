# shellcheck shell=bash
# ISC's client, with Debian's script, which takes no notice of prefixes.
PACKAGE=isc-dhcp-client
# It ends where its link-local address is not checked yet.
has_link_local() { ip -n host -6 -o addr show dev eth0 scope link -tentative | grep -q fe80; }
client_start() {
    within 10 "a link-local address" has_link_local
    spawn client host dhclient -6 -N -P -D LL -d -v -lf "$LAB/peer/leases" -pf "$LAB/peer/pid" eth0
}
# shellcheck source=scripts/lab.d/peers/hosts.sh
source scripts/lab.d/peers/hosts.sh
