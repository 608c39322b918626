# shellcheck shell=bash
# Nobody comes in unasked: echo and connections from the Internet to the fixed address reach no host.
before=$(on h1 cat /proc/net/snmp | awk '/^Tcp: [0-9]/ { print $6 }')
spawn inside h1 python3 -u -m http.server --bind 0.0.0.0 8080 --directory "$LAB/www"
within 5 "a server on h1" on h1 sh -c "ss -Hlnt 'sport = :8080' | grep -q ."
if on inet curl --silent --max-time 2 "http://$FIXED:8080/small" -o "$LAB/stolen"; then
    fail "the Internet reached a host's server"
fi
after=$(on h1 cat /proc/net/snmp | awk '/^Tcp: [0-9]/ { print $6 }')
stop inside
((before == after)) || fail "$((after - before)) connections reached h1"
