# shellcheck shell=bash
# dnsmasq: advertises what its interface has, and notices when that changes.
PACKAGE=dnsmasq-base
daemon_conf() { :; }
daemon_start() {
    spawn daemon isp dnsmasq --keep-in-foreground --conf-file=/dev/null --log-facility=- --port=0 --interface=i0 --enable-ra \
        --dhcp-range=::,constructor:i0,ra-only --ra-param=i0,4,1800 --pid-file="$LAB/peer/pid" --dhcp-leasefile="$LAB/peer/leases" \
        --user=root
}
daemon_change() { has_address "$1"; }
# shellcheck source=scripts/lab.d/peers/advertisements.sh
source scripts/lab.d/peers/advertisements.sh
