# shellcheck shell=bash
# Kea.
PACKAGE=kea-dhcp6-server
LEASES="$LAB/peer/leases*"
server_conf() {
    cat >"$LAB/kea.json" <<K
{ "Dhcp6": {
  "interfaces-config": { "interfaces": [ "i0" ] },
  "lease-database": { "type": "memfile", "persist": true, "name": "$LAB/peer/leases", "lfc-interval": 0 },
  "server-id": { "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false },
  "renew-timer": 8, "rebind-timer": 14, "preferred-lifetime": 20, "valid-lifetime": 40,
  "subnet6": [ { "id": 1, "subnet": "2001:db8:0:1::/64", "interface": "i0", "rapid-commit": true, "pools": [],
                 "pd-pools": [ { "prefix": "$1", "prefix-len": 56, "delegated-len": 56 } ] } ],
  "loggers": [ { "name": "kea-dhcp6", "severity": "INFO", "output_options": [ { "output": "stdout" } ] } ]
} }
K
}
server_start() {
    spawn server isp env KEA_PIDFILE_DIR="$LAB/peer" KEA_LOCKFILE_DIR="$LAB/peer" kea-dhcp6 -c "$LAB/kea.json"
}
# shellcheck source=scripts/lab.d/peers/dhcpv6.sh
source scripts/lab.d/peers/dhcpv6.sh
