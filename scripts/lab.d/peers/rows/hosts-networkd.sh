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
IPv6AcceptRA=yes
[DHCPv6]
PrefixDelegationHint=::/60
N
    cat >/run/systemd/network/behind0.network <<N
[Match]
Name=behind0
[Network]
IPv6SendRA=no
DHCPPrefixDelegation=yes
[DHCPPrefixDelegation]
UplinkInterface=eth0
Announce=no
N
    spawn client host sh -c 'mount -o remount,ro /sys && exec /lib/systemd/systemd-networkd'
}
# shellcheck source=scripts/lab.d/peers/hosts.sh
source scripts/lab.d/peers/hosts.sh
