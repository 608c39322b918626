# shellcheck shell=bash
# 240 ports: 500 connections to one server and 5000 to fifty servers, all at once and all answered.
many connect 500 "$INTERNET:7001-7004"
holds "answered == 500 and not failures" <"$LAB/many.json" || fail "500 to one server: $(<"$LAB/many.json")"
holds "addresses == ['192.0.2.18']" <"$LAB/many.json" || fail "another address than ours was seen"
holds "len(ports) > 120" <"$LAB/many.json" || fail "only $(python3 -c 'import json, sys; print(len(json.load(sys.stdin)["ports"]))' <"$LAB/many.json") ports were used"
show ports --json >"$LAB/ports.json"
# Each port of h1's is a mapping, and those beyond 240 share.
sources=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["sources"])' <"$LAB/many.json")
holds "protocols[0]['protocol'] == 'tcp' and protocols[0]['used'] == ports == 240 and
    protocols[0]['reused'] >= $sources - 240 > 0 and protocols[0]['refused'] == 0" <"$LAB/ports.json" || fail "show ports: $(tr -d '\n ' <"$LAB/ports.json" | sed 's/.*"protocols"://')"
many connect 5000 "$SERVERS:7001-7008"
holds "answered == 5000 and not failures" <"$LAB/many.json" || fail "5000 to fifty servers: $(<"$LAB/many.json")"
holds "len(ports) > 200" <"$LAB/many.json" || fail "not all ports are used: $(<"$LAB/many.json")"
nothing_refused
internet || fail "no Internet while connections are closed"
