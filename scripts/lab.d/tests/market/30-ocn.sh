# shellcheck shell=bash
# ocn: MAP-E of draft 03 with 1008 ports, its border router, rules of the provisioning server.
provided pd nothing "$(discovery)"
map_domain draft03 6
provision ok "$(json_map_e draft03 6 "$BR_OCN")"
comes_up ocn
near_end_is "$(map_ce draft03 6 pd 1)" || fail "the tunnel comes from $(near_end)"
traffic
nothing_refused
judged ocn "$BR_OCN" "$(map_ce draft03 6 pd 1)" "$(share 6 pd 1)"
