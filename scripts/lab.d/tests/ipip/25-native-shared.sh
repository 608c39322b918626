# shellcheck shell=bash
# A line with a /64 alone: a Linux host has an address in it and the Internet, the line finds it across the router (RFC 4389), also after a restart.
kernel_host h2
within 30 "h2 has an address" has_slaac h2 2001:db8:3012:3400:
within 10 "the Internet answers h2 by IPv6" internet6 h2
downloads6 h2 large || fail "the large file did not come whole by IPv6"
address=$(slaac h2)
# The ISP's kernel asked for the host and has the router's Ethernet address for it.
[[ $(ip -n isp -6 neigh show "$address" dev i0) == *"$(mac router wan)"* ]] || fail "the ISP has $(ip -n isp -6 neigh show "$address")"
found=$(scan6 "$address")
[[ -z $found ]] || fail "from outside: $found"
kill -KILL "$(pid_of router)"
within 5 "no XDP program on the LAN" has_no_xdp lan
ip -n isp -6 neigh flush dev i0
router_start ipip
within 30 "the Internet answers h2 by IPv6 again" internet6 h2
has_slaac h2 2001:db8:3012:3400: || fail "h2 lost its address, or its use"
kernel_host_off h2
