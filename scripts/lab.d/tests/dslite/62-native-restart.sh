# shellcheck shell=bash
# Killed and started again, hosts keep address and way and go on; told to end, with its lease given back, it tells them (RFC 4861 6.2.5).
kernel_host h2
within 10 "h2 has an address" has_slaac h2 2001:db8:1012:3401:
within 10 "the Internet answers h2 by IPv6" internet6 h2
kill -KILL "$(pid_of router)"
within 5 "no XDP program on the LAN" has_no_xdp lan
router_start dslite
within 30 "the Internet answers h2 by IPv6" internet6 h2
has_slaac h2 2001:db8:1012:3401: || fail "h2 lost its address, or its use: $(ip -n h2 -6 addr show dev eth0)"
# Nothing is said to all twice within three seconds (RFC 4861 6.2.6).
sleep 4
stop router TERM
within 3 "h2 has no default route" has_no_default6 h2
is_deprecated h2 2001:db8:1012:3401: || fail "the address is still preferred"
router_start dslite
within 30 "the Internet answers h2 by IPv6" internet6 h2
kernel_host_off h2
