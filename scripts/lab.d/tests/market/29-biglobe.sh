# shellcheck shell=bash
# biglobe: MAP-E of draft 03 on a line with a delegated prefix, one of its border routers, rules of a file.
provided pd nothing
map_domain draft03 4
rules_file draft03 4 >"$LAB/rules.toml"
SERVICE_KEYS="map-rules = \"$LAB/rules.toml\"" comes_up biglobe
near_end_is "$(map_ce draft03 4 pd 1)" || fail "the tunnel comes from $(near_end)"
traffic
nothing_refused
judged biglobe "$BR_BIGLOBE_EAST $BR_BIGLOBE_WEST" "$(map_ce draft03 4 pd 1)" "$(share 4 pd 1)"
