# shellcheck shell=bash
# systemd-networkd.
PACKAGE=systemd
client_start() {
    mkdir -p /run/systemd/network
    install -d -o systemd-network -g systemd-network /run/systemd/netif
    cat >/run/systemd/network/eth0.network <<N
[Match]
Name=eth0
[Network]
DHCP=ipv4
[DHCPv4]
UseMTU=yes
N
    spawn client host sh -c 'mount -o remount,ro /sys && exec /lib/systemd/systemd-networkd'
}
# shellcheck source=scripts/lab.d/peers/dhcpv4.sh
source scripts/lab.d/peers/dhcpv4.sh
