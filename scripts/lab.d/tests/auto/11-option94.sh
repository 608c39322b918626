# shellcheck shell=bash
# auto: a rule of MAP-E from DHCPv6 (option 94), before any provisioning server is asked.
provided pd map-e gw.transix.jp=2404:8e00::feed:100 "$(discovery)"
map_domain rfc7597 4
provision ok "$(json_dslite "$AFTR1")"
comes_up auto
near_end_is "$(map_ce rfc7597 4 pd 1)" || fail "the tunnel comes from $(near_end)"
chosen map-e s46
traffic
nothing_refused
judged auto "$BR" "$(map_ce rfc7597 4 pd 1)" "$(share 4 pd 1)"
