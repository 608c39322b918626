# shellcheck shell=bash
# tshark on every frame that the router sent during these tests: form, checksums, outer headers, DHCPv6.
internet || fail "no Internet: nothing to look at"
mac_wan=$(mac router wan) mac_lan=$(mac router lan)
stop router
capture_stop
wan=$LAB/dslite-wan.pcap lan=$LAB/dslite-lan.pcap
judge_frames "$wan" "$mac_wan"
judge_frames "$lan" "$mac_lan"
judge_tunnel "$wan" "$mac_wan" "$AFTR1 $AFTR2 $KERNEL_AFTR" "2001:db8:1000::/40 2001:db8:2000::/40"
judge_neighbours "$wan" "$mac_wan"
# Listening to groups is all that it does there.
none "$lan" "IPv6 on the LAN" "eth.src == $mac_lan && eth.type == 0x86dd && icmpv6.type != 143"
some "$wan" "solicit for a prefix (RFC 8415 18.2.1)" "eth.src == $mac_wan && dhcpv6.msgtype == 1 && dhcpv6.option.type == 25"
some "$wan" "release (RFC 8415 18.2.7)" "eth.src == $mac_wan && dhcpv6.msgtype == 8"
none "$wan" "a DUID that is no DUID-LL" "eth.src == $mac_wan && dhcpv6 && dhcpv6.duid.type != 3"
