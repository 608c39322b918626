# shellcheck shell=bash
# 240 ports: 500 connections to one server and 2000 to fifty, all at once and all answered.
many connect 500 "$INTERNET:7001-7004"
holds "answered == 500 and addresses == ['192.0.2.18']" <"$LAB/many.json" || fail "500 to one server: $(<"$LAB/many.json")"
many connect 2000 "$SERVERS:7001-7002"
holds "answered == 2000 and not failures" <"$LAB/many.json" || fail "2000 to fifty servers: $(<"$LAB/many.json")"
nothing_refused
