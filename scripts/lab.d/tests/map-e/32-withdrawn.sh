# shellcheck shell=bash
# DHCPv6 offers no rule any more: no port of others is used, and it is said; the rule comes back.
internet || fail "no Internet to begin with"
isp_offers nothing
within $((T1 + 10)) "no way out" no_ping "$INTERNET"
pings "$GATEWAY" || fail "the LAN has suffered: the gateway does not answer"
isp_offers map-e
within $((T1 + 30)) "the Internet answers again" internet
nothing_refused
