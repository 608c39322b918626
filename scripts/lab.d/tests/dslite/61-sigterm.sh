# shellcheck shell=bash
# Asked to end: within ten seconds, the prefix is given back, no program stays on the links.
released() { grep -c 'DHCP6_PD_LEASE_RELEASED\|DHCP6_RELEASE_PD ' "$LAB/kea.log" || true; }
internet || fail "no Internet to begin with"
was=$(released)
stop router TERM
has_no_xdp wan || fail "an XDP program is left on the WAN"
has_no_xdp lan || fail "an XDP program is left on the LAN"
more() { (($(released) > was)); }
within 3 "kea has the prefix back" more
