# shellcheck shell=bash
# Echo from the gateway and from the Internet, for two hosts, small and large: all, once each.
all() { echoes "$1" "$2" 20 -s "$3" || fail "$1 -> $2 with $3 bytes: not 20 of 20, or some twice"; }
lease h2 || fail "no lease for h2"
for host in h1 h2; do
    within 5 "the gateway answers $host" pings "$GATEWAY" "$host"
    within 5 "the Internet answers $host" pings "$INTERNET" "$host"
    for bytes in 8 56 1400; do
        all "$host" "$GATEWAY" "$bytes"
        all "$host" "$INTERNET" "$bytes"
    done
done
