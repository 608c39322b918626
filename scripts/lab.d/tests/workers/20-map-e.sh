# shellcheck shell=bash
# Two workers and one NAPT of 240 ports: hundreds of connections through both, a file whole, every flow in order.
provided pd map-e
map_domain rfc7597 4
comes_up map-e
in_order
many hosts 120 "$SERVERS:7002"
holds "answered == 120 and not failures" <"$LAB/many.json" || fail "120 sockets: $(<"$LAB/many.json")"
traffic
both_workers
nothing_refused
