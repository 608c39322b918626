# shellcheck shell=bash
# The lwAFTR's table has no entry of ours (ICMPv6 unreachable code 5): hosts are told, while it lasts.
internet || fail "no Internet to begin with"
tell lend none
tell lend 192.0.2.18 4 8 53 2001:db8::53
within 5 "the host is told" unreachable
lw_table
within 10 "the Internet answers again" internet
tell forget
