# shellcheck shell=bash
# v6plus behind a home gateway: its /64 is on the link, DHCPv6 gives a /60 further up; the rule is for the /56 of both.
provided hgw nothing "$(discovery)"
map_domain draft03 4
provision ok "$(json_map_e draft03 4 "$BR_V6PLUS")"
comes_up v6plus
near_end_is "$(map_ce draft03 4 hgw 1)" || fail "the tunnel comes from $(near_end)"
traffic
nothing_refused
judged v6plus "$BR_V6PLUS" "$(map_ce draft03 4 hgw 1)" "$(share 4 hgw 1)"
