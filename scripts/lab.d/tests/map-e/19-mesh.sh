# shellcheck shell=bash
# The rule may be used for forwarding (F flag): another customer is reached directly, and reaches us so.
isp_offers mesh
stop router
router_start map-e
within 30 "the Internet answers" internet
start_peer rfc7597 mesh
carried=$(count decapsulated)
within 5 "the other customer answers" on h1 curl --fail --silent --max-time 5 "http://$PEER4:$PEER_PORT/small" -o "$LAB/got"
cmp "$LAB/got" "$LAB/www/small"
on h1 python3 scripts/lab.d/many ask 3 "$PEER4:$((PEER_PORT + 1))" >"$LAB/many.json"
holds "answered == 3 and addresses == ['192.0.2.18']" <"$LAB/many.json" || fail "UDP to the other customer: $(<"$LAB/many.json")"
(($(peer_count from-ces) > 0 && $(peer_count to-ces) > 0)) || fail "not directly: $(ask_peer)"
(($(peer_count from-br) == 0 && $(count decapsulated) == carried)) || fail "some went by the border router"
(($(peer_count refused) == 0)) || fail "the other customer refused packets of ours"
internet || fail "no Internet by the border router any more"
stop_peer
nothing_refused
isp_offers map-e
