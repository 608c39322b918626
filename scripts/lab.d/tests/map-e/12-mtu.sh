# shellcheck shell=bash
# 1460 bytes pass, 1461 with DF are refused; outer fragments, and inner ones without ports (RFC 7597 8.3.2), both ways.
probe 1460 -M 'do' || { cat "$LAB/probe" && fail "1460 bytes with DF did not pass"; }
refused 1461 1460 || { cat "$LAB/probe" && fail "1461 bytes with DF: no ICMP 3/4 with MTU 1460"; }
# Inner fragments from the host and from the Internet, each in its own outer packet.
probe 4000 -M dont || { cat "$LAB/probe" && fail "4000 bytes in inner fragments: no answer"; }
ip -n aftr link set softwires mtu 1500
for order in forward backward; do
    tell fragments "$order"
    for bytes in 1500 4000; do
        probe "$bytes" -M dont || { cat "$LAB/probe" && fail "$bytes bytes, fragments $order: no answer"; }
    done
done
nothing_refused
