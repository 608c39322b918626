# shellcheck shell=bash
# ISC's server.
PACKAGE=isc-dhcp-server
LEASES="$LAB/peer/leases*"
server_conf() {
    cat >"$LAB/dhcpd.conf" <<D
default-lease-time 40;
preferred-lifetime 20;
subnet6 2001:db8:0:1::/64 { prefix6 $1 $1 /56; }
D
}
server_start() {
    touch "$LAB/peer/leases"
    ip -n isp addr replace 2001:db8:0:1::1/64 dev i0 nodad
    spawn server isp dhcpd -6 -f -d -cf "$LAB/dhcpd.conf" -lf "$LAB/peer/leases" -pf "$LAB/peer/pid" i0
}
# shellcheck source=scripts/lab.d/peers/dhcpv6.sh
source scripts/lab.d/peers/dhcpv6.sh
