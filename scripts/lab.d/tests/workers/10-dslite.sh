# shellcheck shell=bash
# Two workers, all of the tunnel in one queue: every flow in order, through both, pieces and all (RFC 6333 5.3).
provided pd aftr
comes_up dslite
in_order
ip -n aftr link set softwires mtu 1500
for order in forward backward; do
    tell fragments "$order"
    in_order
    probe 1500 -M dont || fail "1500 bytes, fragments $order: no answer"
    probe 4000 -M dont || fail "4000 bytes, fragments $order: no answer"
done
tell fragments forward
traffic
both_workers
