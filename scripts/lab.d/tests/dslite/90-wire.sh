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
# On the LAN: discovery from the router's own address, and what hosts are sent of native IPv6.
advertised="eth.src == $mac_lan && icmpv6.type == 134"
some "$lan" "router advertisement" "$advertised"
judge_neighbours "$lan" "$mac_lan"
none_of "$lan" \
    "an advertisement that is not from a link-local address (RFC 4861 6.1.2)" "$advertised && !(ipv6.src == fe80::/10)" \
    "a prefix that is valid for 0 seconds" "$advertised && icmpv6.opt.prefix.valid_lifetime == 0" \
    "a prefix without L and A" "$advertised && icmpv6.opt.type == 3 &&
        !(icmpv6.opt.prefix.flag.l == 1 && icmpv6.opt.prefix.flag.a == 1)" \
    "a prefix that is not 64 bits long" "$advertised && icmpv6.opt.type == 3 && icmpv6.opt.prefix.length != 64" \
    "no MTU or no Ethernet address" "$advertised && !(icmpv6.opt.mtu == 1500 && icmpv6.opt.src_linkaddr == $mac_lan)" \
    "no O (RFC 7084 L-9)" "$advertised && icmpv6.nd.ra.router_lifetime > 0 && icmpv6.nd.ra.flag.o == 0"
some "$lan" "no M, while no addresses are given" "$advertised && icmpv6.nd.ra.flag.m == 0"
answers="eth.src == $mac_lan && (dhcpv6.msgtype == 2 || dhcpv6.msgtype == 7)"
# Hosts ask for addresses in one test alone.
if [[ -e $LAB/dslite-stateful.test.log ]]; then
    some "$lan" "the flag M, while addresses are given" "$advertised && icmpv6.nd.ra.flag.m == 1"
    some "$lan" "an answer of the DHCPv6 server" "$answers"
fi
none_of "$lan" \
    "an answer that is not between link-local addresses and these ports (RFC 8415 7.2)" "$answers &&
        !(ipv6.src == fe80::/10 && ipv6.dst == fe80::/10 && udp.srcport == 547 && udp.dstport == 546)" \
    "an answer without the identifiers of both (RFC 8415 16)" "$answers && !(dhcpv6.option.type == 1 && dhcpv6.option.type == 2)"
some "$wan" "solicit for a prefix (RFC 8415 18.2.1)" "eth.src == $mac_wan && dhcpv6.msgtype == 1 && dhcpv6.option.type == 25"
some "$wan" "release (RFC 8415 18.2.7)" "eth.src == $mac_wan && dhcpv6.msgtype == 8"
none "$wan" "a DUID that is no DUID-LL" "eth.src == $mac_wan && dhcpv6 && dhcpv6.duid.type != 3"
