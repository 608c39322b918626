# shellcheck shell=bash
# A smaller MTU on the way to the AFTR: ICMPv6 Packet Too Big becomes ICMP 3/4 with 40 less (RFC 2473 8.1).
# The router remembers it for ten minutes, so this stands after the tests that want 1460.
internet || fail "no Internet to begin with"
uses "$AFTR1" || uses "$AFTR2" || fail "the tunnel goes to no AFTR of ours: this test tests nothing"
isp_mtu 1400
within 5 "1361 bytes with DF are refused with 1360" refused 1361 1360
probe 1360 -M 'do' || fail "1360 bytes with DF did not pass"
downloads large || fail "the large file did not come whole"
iperf --bytes 4M || fail "4 MB from the host did not pass"
# Without DF it is outer fragments.
within 5 "1460 bytes without DF" probe 1460 -M dont
