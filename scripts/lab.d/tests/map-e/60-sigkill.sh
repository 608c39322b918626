# shellcheck shell=bash
# Killed and started again: the same share again, and no port of others.
kill -KILL "$(pid_of router)"
within 5 "no XDP program on the WAN" has_no_xdp wan
router_start map-e
within 30 "the Internet answers" internet
near_end_is "$(map_ce rfc7597 4 pd 1)" || fail "the tunnel comes from $(near_end)"
many connect 300 "$INTERNET:7001-7004"
holds "answered == 300 and not failures" <"$LAB/many.json" || fail "300 connections: $(<"$LAB/many.json")"
nothing_refused
