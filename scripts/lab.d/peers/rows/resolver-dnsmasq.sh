# shellcheck shell=bash
# dnsmasq, which passes on what a resolver above it says.
PACKAGE=dnsmasq-base
resolver_start() {
    spawn resolver isp dnsmasq --keep-in-foreground --conf-file=/dev/null --log-facility=- --no-resolv --no-hosts --server="$UPSTREAM" \
        --listen-address="$RESOLVER" --bind-interfaces --pid-file="$LAB/peer/pid" --user=root
}
# shellcheck source=scripts/lab.d/peers/resolvers.sh
source scripts/lab.d/peers/resolvers.sh
