# shellcheck shell=bash
# radvd.
PACKAGE=radvd
daemon_conf() {
    cat >"$LAB/radvd.conf" <<R
interface i0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800; prefix $1::/64 { }; };
R
}
daemon_start() { spawn daemon isp radvd -n -C "$LAB/radvd.conf" -m stderr -d 1 -p "$LAB/peer/pid"; }
daemon_change() {
    daemon_conf "$1"
    reload daemon
}
# shellcheck source=scripts/lab.d/peers/advertisements.sh
source scripts/lab.d/peers/advertisements.sh
