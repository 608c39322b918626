# shellcheck shell=bash
# tshark on every frame that the router sent during these tests: form, checksums, outer and inner addresses.
internet || fail "no Internet: nothing to look at"
mac_wan=$(mac router wan) mac_lan=$(mac router lan)
stop router
capture_stop
wan=$LAB/ipip-wan.pcap lan=$LAB/ipip-lan.pcap
judge_frames "$wan" "$mac_wan"
judge_frames "$lan" "$mac_lan"
judge_tunnel "$wan" "$mac_wan" "$BR" "2001:db8:3012:3400::feed 2001:db8:3056:7800::feed"
judge_neighbours "$wan" "$mac_wan"
none "$wan" "an inner source that is not the fixed address" \
    "eth.src == $mac_wan && ipv6.nxt == 4 && !icmpv6 && !icmp && ip.src != $FIXED"
some "$wan" "information-request (RFC 8415 18.2.6)" "eth.src == $mac_wan && dhcpv6.msgtype == 11"
some "$wan" "solicit for a prefix, which the O flag alone asks for, too (RFC 7084 WPD-4)" "eth.src == $mac_wan && dhcpv6.msgtype == 1"
