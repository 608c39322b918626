# shellcheck shell=bash
# FRR's zebra: advertises what its interface has.
PACKAGE=frr
daemon_conf() {
    cat >"$LAB/zebra.conf" <<Z
interface i0
 ipv6 nd ra-interval 4
 no ipv6 nd suppress-ra
Z
    chmod 644 "$LAB/zebra.conf"
    install -d -m 777 /run/frr
}
daemon_start() {
    spawn daemon isp /usr/lib/frr/zebra -f "$LAB/zebra.conf" -z "$LAB/peer/zserv" -i "$LAB/peer/pid" --vty_socket "$LAB/peer" -P 0
}
daemon_change() { has_address "$1"; }
# shellcheck source=scripts/lab.d/peers/advertisements.sh
source scripts/lab.d/peers/advertisements.sh
