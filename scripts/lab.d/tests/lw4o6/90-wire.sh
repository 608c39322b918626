# shellcheck shell=bash
# tshark on every frame that the router sent during these tests: outer headers, inner addresses, ports of the set only.
internet || fail "no Internet: nothing to look at"
wan=$LAB/lw4o6-wan.pcap mac_wan=$(mac router wan)
judged lw4o6 "$BR" "$LW_B4_1 $LW_B4_2" 192.0.2.18,4,8,52 198.18.2.86,4,8,120
some "$wan" "asked for option 96 (RFC 7598 5)" "eth.src == $mac_wan && dhcpv6.msgtype == 1 && dhcpv6.requested_option_code == 96"
