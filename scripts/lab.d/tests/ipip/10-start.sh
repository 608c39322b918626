# shellcheck shell=bash
# The router comes up on a SLAAC line with a fixed address: the server is told who and where, then packets pass.
within 15 "an XDP program on the WAN" has_xdp wan
within 30 "the server was told" notified_at_least 1
notified
told "path == '/request' and known and not tls" || fail "the server was told the wrong thing"
told "source == '2001:db8:3012:3400::feed'" || fail "the server was told from another address than the CE's"
told "host == 'update.isp.example'" || fail "the request names another host"
static_host
within 10 "the Internet answers" internet
near_end_is 2001:db8:3012:3400::feed || fail "the tunnel comes from $(near_end)"
! grep -qF "$PASSWORD" "$LAB/router.log" || fail "the password stands in the router's log"
! grep -qF "$(python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$PASSWORD")" \
    "$LAB/router.log" || fail "the password stands percent-encoded in the router's log"
