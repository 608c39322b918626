# shellcheck shell=bash
# v6plus: MAP-E of draft 03 on a /64 line, its border router, rules of the provisioning server.
provided slaac nothing "$(discovery)"
map_domain draft03 4
provision ok "$(json_map_e draft03 4 "$BR_V6PLUS")"
comes_up v6plus
near_end_is "$(map_ce draft03 4 slaac 1)" || fail "the tunnel comes from $(near_end)"
traffic
nothing_refused
judged v6plus "$BR_V6PLUS" "$(map_ce draft03 4 slaac 1)" "$(share 4 slaac 1)"
