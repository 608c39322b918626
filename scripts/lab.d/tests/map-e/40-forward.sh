# shellcheck shell=bash
# A port of the set is forwarded; one outside it is refused, and those that could be had are named.
stop router
SERVICE_KEYS='forward = ["tcp/4930=192.168.7.50:8080", "tcp/443=192.168.7.50:8443"]' router_start map-e
within 30 "the Internet answers" internet
says 4928
said 443 || fail "status does not say that 443 cannot be had"
spawn inside h1 python3 -u -m http.server --bind 0.0.0.0 8080 --directory "$LAB/www"
within 5 "a server on h1" on h1 sh -c "ss -Hlnt 'sport = :8080' | grep -q ."
on inet curl --fail --silent --show-error --max-time 5 "http://192.0.2.18:4930/small" -o "$LAB/got" || fail "TCP from the Internet did not arrive"
cmp "$LAB/got" "$LAB/www/small"
on h1 curl --fail --silent --show-error --max-time 5 "http://192.0.2.18:4930/small" -o "$LAB/got" || fail "no way round from the LAN"
# Nobody else is given that port.
many connect 500 "$INTERNET:7001-7004"
holds "answered == 500 and 4930 not in ports" <"$LAB/many.json" || fail "500 beside it: $(cut -c 1-300 "$LAB/many.json")"
stop inside
nothing_refused
