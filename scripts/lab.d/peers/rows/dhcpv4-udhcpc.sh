# shellcheck shell=bash
# Busybox's client, with Debian's script.
PACKAGE=udhcpc
client_start() { spawn client host udhcpc --foreground --interface eth0 -x hostname:lanbox; }
# shellcheck source=scripts/lab.d/peers/dhcpv4.sh
source scripts/lab.d/peers/dhcpv4.sh
