# shellcheck shell=bash
# BIRD.
PACKAGE=bird2
daemon_conf() {
    cat >"$LAB/bird.conf" <<B
router id 192.0.2.1;
protocol device { }
protocol radv {
    interface "i0" {
        min ra interval 3;
        max ra interval 4;
        prefix $1::/64 { };
    };
}
B
}
daemon_start() { spawn daemon isp bird -f -c "$LAB/bird.conf" -s "$LAB/peer/socket" -P "$LAB/peer/pid"; }
daemon_change() {
    has_address "$1"
    daemon_conf "$1"
    reload daemon
}
# shellcheck source=scripts/lab.d/peers/advertisements.sh
source scripts/lab.d/peers/advertisements.sh
