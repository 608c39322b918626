# shellcheck shell=bash
# PowerDNS Recursor.
PACKAGE=pdns-recursor
resolver_start() {
    spawn resolver isp pdns_recursor --config-dir="$LAB/peer" --socket-dir="$LAB/peer" --local-address="$RESOLVER" \
        --query-local-address="$RESOLVER" --forward-zones-recurse=".=$UPSTREAM" --dnssec=off --allow-from=::/0 --daemon=no \
        --disable-syslog --hint-file=no --setuid=0 --setgid=0
}
# shellcheck source=scripts/lab.d/peers/resolvers.sh
source scripts/lab.d/peers/resolvers.sh
