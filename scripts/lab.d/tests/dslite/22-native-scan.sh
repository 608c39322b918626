# shellcheck shell=bash
# A host with open ports is asked from the Internet: nothing answers, nothing says why; and what it asks itself is answered (RFC 6092).
kernel_host h2
within 10 "h2 has an address" has_slaac h2 2001:db8:1012:3401:
within 10 "the Internet answers h2 by IPv6" internet6 h2
address=$(slaac h2)
spawn open6 h2 python3 -u -m http.server --bind :: --directory "$LAB/www" 80
listens() { on h2 ss -Hlnt 'sport = :80' | grep -q .; }
within 10 "h2 has an open port" listens
found=$(scan6 "$address")
[[ -z $found ]] || fail "from outside: $found"
found=$(scan6 2001:db8:1012:3401::1)
[[ -z $found || $found == "it answers pings" ]] || fail "of the router's own address: $found"
internet6 h2 || fail "the Internet does not answer h2 any more"
stop open6
kernel_host_off h2
