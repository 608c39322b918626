# shellcheck shell=bash
# ISC's client, with Debian's configuration and script.
PACKAGE=isc-dhcp-client
client_start() { spawn client host dhclient -d -v -lf "$LAB/peer/leases" -pf "$LAB/peer/pid" eth0; }
# shellcheck source=scripts/lab.d/peers/dhcpv4.sh
source scripts/lab.d/peers/dhcpv4.sh
