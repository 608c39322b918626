# shellcheck shell=bash
# NetworkManager, with its own client.
PACKAGE=network-manager
client_start() {
    empty /var/lib/NetworkManager
    mkdir -p /run/dbus
    spawn bus host dbus-daemon --system --nofork --nopidfile
    within 5 "the bus" test -S /run/dbus/system_bus_socket
    printf '[main]\nplugins=keyfile\ndhcp=internal\nrc-manager=unmanaged\n' >/etc/NetworkManager/NetworkManager.conf
    cat >/etc/NetworkManager/system-connections/lan.nmconnection <<N
[connection]
id=lan
type=ethernet
interface-name=eth0
[ipv4]
method=auto
dhcp-hostname=lanbox
[ipv6]
method=disabled
N
    chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection
    spawn client host sh -c 'mount -o remount,ro /sys && exec NetworkManager --no-daemon'
}
# shellcheck source=scripts/lab.d/peers/dhcpv4.sh
source scripts/lab.d/peers/dhcpv4.sh
