# shellcheck shell=bash
# WIDE's (KAME's) server: a prefix for each host that it knows by its DUID.
PACKAGE=wide-dhcpv6-server
LEASES="$LAB/peer/none"
server_conf() {
    cat >"$LAB/dhcp6s.conf" <<D
host router {
    duid 00:03:00:01:$(mac router wan);
    prefix $1/56 20 40;
};
interface i0 { allow rapid-commit; };
D
}
server_start() {
    spawn server isp dhcp6s -f -D -c "$LAB/dhcp6s.conf" -P "$LAB/peer/pid" i0
}
# shellcheck source=scripts/lab.d/peers/dhcpv6.sh
source scripts/lab.d/peers/dhcpv6.sh
