# shellcheck shell=bash
# dhcpcd, with Debian's configuration.
PACKAGE=dhcpcd5
client_start() {
    empty /var/lib/dhcpcd
    mkdir -p /run/dhcpcd
    spawn client host dhcpcd --nobackground --ipv4only eth0
}
# shellcheck source=scripts/lab.d/peers/dhcpv4.sh
source scripts/lab.d/peers/dhcpv4.sh
