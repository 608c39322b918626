# shellcheck shell=bash
# Killed: no program stays on the links, and a new start knows leases and line again.
lease h1 || fail "no lease to begin with"
lease h2 || fail "no lease to begin with"
first=$(leased h1 address) second=$(leased h2 address)
kill -KILL "$(pid_of router)"
within 5 "no XDP program on the WAN" has_no_xdp wan
within 5 "no XDP program on the LAN" has_no_xdp lan
router_start dslite
within 30 "the Internet answers" internet
# As clients that forgot: only the server can know, and the order is turned round.
rm -f "$LAB"/h?.leases
lease h2 || fail "no lease for h2 after the restart"
lease h1 || fail "no lease for h1 after the restart"
[[ $(leased h1 address) == "$first" ]] || fail "h1 had $first and now $(leased h1 address)"
[[ $(leased h2 address) == "$second" ]] || fail "h2 had $second and now $(leased h2 address)"
