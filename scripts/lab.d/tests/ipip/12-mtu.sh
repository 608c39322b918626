# shellcheck shell=bash
# Packets with DF: 1460 bytes pass, 1461 are answered with 3/4; without DF they go in outer fragments.
probe 1460 -M 'do' || { cat "$LAB/probe" && fail "1460 bytes with DF did not pass"; }
refused 1461 1460 || { cat "$LAB/probe" && fail "1461 bytes with DF: no ICMP 3/4 with MTU 1460"; }
ip -n aftr link set softwires mtu 1500
for order in forward backward; do
    tell fragments "$order"
    for bytes in 1500 4000; do
        probe "$bytes" -M dont || { cat "$LAB/probe" && fail "$bytes bytes, fragments $order: no answer"; }
    done
done
