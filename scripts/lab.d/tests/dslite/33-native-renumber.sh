# shellcheck shell=bash
# Another prefix by DHCPv6, and the ISP takes nothing from the old one any more: hosts are told at once that it is on its way out, use
# the new one, and who goes on with an old address is told why it gets no further (RFC 7084 L-13, L-14).
kernel_host h2
within 10 "h2 has an address" has_slaac h2 2001:db8:1012:3401:
within 10 "the Internet answers h2 by IPv6" internet6 h2
old=$(slaac h2 -deprecated -tentative | grep -m 1 '^2001:db8:1012:3401:')
is_refused() { grep -q 'Destination unreachable' < <(on h2 ping -6 -n -c 1 -W 1 -I "$old" "$INTERNET6"); }
isp_line pd 2
within $((T1 + 20)) "h2 has an address of the new prefix" has_slaac h2 2001:db8:2056:7801:
is_deprecated h2 2001:db8:1012:3401: || fail "the old address is not deprecated: $(ip -n h2 -6 addr show dev eth0)"
has_slaac h2 2001:db8:1012:3401: && fail "the old address is preferred"
within 10 "the Internet answers h2 from the new address" internet6 h2
within 5 "h2 hears that the old address leads nowhere" is_refused
downloads6 h2 large || fail "the large file did not come whole by IPv6"
kernel_host_off h2
