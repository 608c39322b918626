# shellcheck shell=bash
# dhcpcd.
PACKAGE=dhcpcd5
client_start() {
    empty /var/lib/dhcpcd
    mkdir -p /run/dhcpcd
    cat >"$LAB/peer/dhcpcd.conf" <<D
duid
hostname
option rapid_commit
option domain_name_servers
noipv6rs
interface eth0
ipv6rs
ia_na 1
ia_pd 2 behind0/0
D
    spawn client host dhcpcd --nobackground --ipv6only --config "$LAB/peer/dhcpcd.conf" eth0
}
# shellcheck source=scripts/lab.d/peers/hosts.sh
source scripts/lab.d/peers/hosts.sh
