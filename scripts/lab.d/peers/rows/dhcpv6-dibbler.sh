# shellcheck shell=bash
# Dibbler.
PACKAGE=dibbler-server
LEASES=/var/lib/dibbler/server-AddrMgr.xml
server_conf() {
    mountpoint -q /var/lib/dibbler || empty /var/lib/dibbler
    cat >/etc/dibbler/server.conf <<D
log-level 7
iface "i0" {
    t1 8
    t2 14
    prefered-lifetime 20
    valid-lifetime 40
    rapid-commit yes
    pd-class { pd-pool $1/56 pd-length 56 }
}
D
}
server_start() { spawn server isp dibbler-server run; }
# shellcheck source=scripts/lab.d/peers/dhcpv6.sh
source scripts/lab.d/peers/dhcpv6.sh
