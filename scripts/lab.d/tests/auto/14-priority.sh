# shellcheck shell=bash
# auto: options 64 and 94 are both there, and the server wants MAP-E to go first (option 111, RFC 8026).
provided pd "aftr map-e prefer-map-e"
map_domain rfc7597 4
comes_up auto
near_end_is "$(map_ce rfc7597 4 pd 1)" || fail "the tunnel comes from $(near_end)"
chosen map-e s46 first
nothing_refused
