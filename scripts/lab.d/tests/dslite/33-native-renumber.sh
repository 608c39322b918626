# shellcheck shell=bash
# Another prefix by DHCPv6 during a download by IPv6: hosts are told at once that the old one is on its way out, and use the new one.
kernel_host h2
within 10 "h2 has an address" has_slaac h2 2001:db8:1012:3401:
within 10 "the Internet answers h2 by IPv6" internet6 h2
on h2 curl -6 --silent --limit-rate 600k --max-time 60 --output /dev/null "http://[$INTERNET6]:8080/large" &
isp_line pd 2
within $((T1 + 20)) "h2 has an address of the new prefix" has_slaac h2 2001:db8:2056:7801:
is_deprecated h2 2001:db8:1012:3401: || fail "the old address is not deprecated: $(ip -n h2 -6 addr show dev eth0)"
has_slaac h2 2001:db8:1012:3401: && fail "the old address is preferred"
within 10 "the Internet answers h2 from the new address" internet6 h2
downloads6 h2 large || fail "the large file did not come whole by IPv6"
kernel_host_off h2
