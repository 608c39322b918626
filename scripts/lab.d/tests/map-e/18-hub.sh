# shellcheck shell=bash
# Another customer in hub and spoke: reached by the border router, both ways.
start_peer rfc7597
from_br=$(peer_count from-br)
within 5 "the other customer answers" on h1 curl --fail --silent --max-time 5 "http://$PEER4:$PEER_PORT/small" -o "$LAB/got"
cmp "$LAB/got" "$LAB/www/small"
(($(peer_count from-br) > from_br)) || fail "the other customer heard nothing of the border router"
(($(peer_count from-ces) == 0)) || fail "the other customer was sent to directly, and nobody said that it may be"
stop_peer
nothing_refused
