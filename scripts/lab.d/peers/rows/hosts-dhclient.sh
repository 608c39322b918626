# shellcheck shell=bash
# ISC's client, with Debian's script, which takes no notice of prefixes.
PACKAGE=isc-dhcp-client
client_start() { spawn client host dhclient -6 -N -P -D LL -d -v -lf "$LAB/peer/leases" -pf "$LAB/peer/pid" eth0; }
# shellcheck source=scripts/lab.d/peers/hosts.sh
source scripts/lab.d/peers/hosts.sh
