# shellcheck shell=bash
# systemd-networkd: its intervals are its own, 4 s at the least only while it begins.
PACKAGE=systemd
daemon_conf() {
    mkdir -p /run/systemd/network
    install -d -o systemd-network -g systemd-network /run/systemd/netif
    cat >/run/systemd/network/i0.network <<N
[Match]
Name=i0
[Network]
IPv6SendRA=yes
[IPv6Prefix]
Prefix=$1::/64
N
}
# Where /sys can be written it waits for udev, which nobody is here.
daemon_start() { spawn daemon isp sh -c 'mount -o remount,ro /sys && exec /lib/systemd/systemd-networkd'; }
# shellcheck source=scripts/lab.d/peers/advertisements.sh
source scripts/lab.d/peers/advertisements.sh
