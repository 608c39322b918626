# shellcheck shell=bash
# A Linux host has an address of the delegated prefix, a way and the line's resolver by itself, and the Internet by native IPv6.
kernel_host h2
within 10 "h2 has an address" has_slaac h2 2001:db8:1012:3401:
within 5 "h2 has a default route" has_default6 h2
within 10 "the Internet answers h2 by IPv6" internet6 h2
address=$(slaac h2)
[[ $(on h2 cat /proc/sys/net/ipv6/conf/eth0/mtu) == 1500 ]] || fail "its MTU is not 1500"
downloads6 h2 large || fail "the large file did not come whole by IPv6"
on h2 ping -6 -n -c 1 -W 2 -s 1452 "$INTERNET6" || fail "no ping of 1500 bytes"
on h2 ping -6 -n -c 1 -W 2 2001:db8:1012:3401::1 || fail "the router's own address does not answer"
[[ $(on h2 dig +short +time=2 "@$RESOLVER" update.isp.example AAAA) == "$INTERNET6" ]] || fail "the line's resolver is not reached from $address"
show status | grep -q '2001:db8:1012:3401::/64 (advertised)' || fail "status does not say what is advertised"
show neighbours | grep -q "$address" || fail "show neighbours does not list $address"
# IPv4 goes on beside it.
internet || fail "no Internet by IPv4"
kernel_host_off h2
