# shellcheck shell=bash
# tshark on every frame that the router sent during these tests: outer headers, inner addresses, ports of the set only.
internet || fail "no Internet: nothing to look at"
wan=$LAB/map-e-wan.pcap mac_wan=$(mac router wan)
judged map-e "$BR ${PEER6[rfc7597]}" "$(map_ce rfc7597 4 pd 1) $(map_ce rfc7597 4 pd 2)" \
    "$(share 4 pd 1)" "$(share 4 pd 2)"
some "$wan" "asked for option 94 (RFC 7598 5)" "eth.src == $mac_wan && dhcpv6.msgtype == 1 && dhcpv6.requested_option_code == 94"
