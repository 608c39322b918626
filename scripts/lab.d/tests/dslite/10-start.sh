# shellcheck shell=bash
# The router comes up on a PD line: programs on both links, the first packet through.
within 15 "an XDP program on the WAN" has_xdp wan
within 15 "an XDP program on the LAN" has_xdp lan
static_host
within 30 "the Internet answers" internet
near=$(near_end)
[[ $near == 2001:db8:10* ]] || fail "the tunnel comes from $near, which is not of the delegated prefix"
says_carrying() { show status | grep -q carrying; }
within 5 "show status says that packets are carried" says_carrying
