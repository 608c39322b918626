# shellcheck shell=bash
# auto: the provisioning server has MAP-E of RFC 7597 (version 1) with mesh as a number; another customer is reached directly.
provided pd nothing "$(discovery)"
map_domain rfc7597 4
provision ok "$(json_map_e rfc7597 4 "$BR" 1)"
comes_up auto
near_end_is "$(map_ce rfc7597 4 pd 1)" || fail "the tunnel comes from $(near_end)"
start_peer rfc7597 mesh
within 5 "the other customer answers" on h1 curl --fail --silent --max-time 5 "http://$PEER4:$PEER_PORT/small" -o "$LAB/got"
(($(peer_count from-ces) > 0 && $(peer_count from-br) == 0)) || fail "not directly: $(ask_peer)"
stop_peer
nothing_refused
