# shellcheck shell=bash
# Inner packets over 1460 bytes without DF: outer fragments both ways, in any order (RFC 6333 5.3).
ip -n aftr link set softwires mtu 1500
for order in forward backward twice; do
    tell fragments "$order"
    was=$(count reassembled) sent=$(count fragmented)
    for bytes in 1461 1480 1500; do
        probe "$bytes" -M dont || { cat "$LAB/probe" && fail "$bytes bytes, fragments $order: no answer"; }
        ! grep -q duplicates "$LAB/probe" || fail "$bytes bytes, fragments $order: answered twice"
    done
    # Three inner fragments, two of them with an outer fragment each.
    probe 4000 -M dont || { cat "$LAB/probe" && fail "4000 bytes, fragments $order: no answer"; }
    (($(count reassembled) >= was + 3)) || fail "the router sent no outer fragments"
    (($(count fragmented) >= sent + 3)) || fail "the AFTR sent no outer fragments: this test tests nothing"
done
tell fragments lossy
! probe 1500 -M dont || fail "a packet whose last fragment never came was delivered"
tell fragments forward
within 3 "all is well when fragments are whole again" probe 1500 -M dont
