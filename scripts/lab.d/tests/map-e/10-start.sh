# shellcheck shell=bash
# The router comes up with a rule from DHCPv6 (option 94): CE address and IPv4 address are those of RFC 7597.
within 15 "an XDP program on the WAN" has_xdp wan
static_host
within 30 "the Internet answers" internet
near_end_is "$(map_ce rfc7597 4 pd 1)" || fail "the tunnel comes from $(near_end), not $(map_ce rfc7597 4 pd 1)"
says_carrying() { show status | grep -q carrying; }
within 5 "show status says that packets are carried" says_carrying
nothing_refused
