# shellcheck shell=bash
# Forwarded ports: the Internet reaches a host's server, the host's own port differs, and the LAN reaches it by the outside address.
stop router
SERVICE_KEYS='forward = ["tcp/443=192.168.7.50:8080", "udp/5000-5010=192.168.7.50:6000"]' router_start ipip
within 30 "the Internet answers" internet
spawn inside h1 python3 -u -m http.server --bind 0.0.0.0 8080 --directory "$LAB/www"
spawn inside-udp h1 python3 -u scripts/lab.d/many serve 6003
within 5 "servers on h1" on h1 sh -c "ss -Hlnt 'sport = :8080' | grep -q . && ss -Hlnu 'sport = :6003' | grep -q ."
on inet curl --fail --silent --show-error --max-time 5 "http://$FIXED:443/small" -o "$LAB/got" || fail "TCP from the Internet did not arrive"
cmp "$LAB/got" "$LAB/www/small"
grep -q "^$INTERNET .*GET /small" "$LAB/inside.log" || fail "h1 did not see the Internet's address"
on inet python3 scripts/lab.d/many ask 3 "$FIXED:5003" >"$LAB/many.json" || true
holds "answered == 3" <"$LAB/many.json" || fail "UDP from the Internet did not arrive: $(<"$LAB/many.json")"
! on inet curl --silent --max-time 2 "http://$FIXED:8080/small" -o "$LAB/stolen" || fail "a port that is not forwarded is open"
# From the LAN to the outside address (RFC 5382 8).
ip -n h2 addr replace 192.168.7.51/24 dev eth0
ip -n h2 route replace default via "$GATEWAY"
for host in h1 h2; do
    on "$host" curl --fail --silent --show-error --max-time 5 "http://$FIXED:443/small" -o "$LAB/got" || fail "$host: no way round"
    cmp "$LAB/got" "$LAB/www/small"
done
stop inside
stop inside-udp
