# shellcheck shell=bash
# The same binding from the configuration: DHCPv6 offers nothing.
isp_offers nothing
stop router
SERVICE_KEYS="ipv4 = \"192.0.2.18\"
aftr = \"$BR\"
psid = 52
psid-length = 8
psid-offset = 4" router_start lw4o6
within 30 "the Internet answers" internet
near_end_is "$LW_B4_1" || fail "the tunnel comes from $(near_end), not $LW_B4_1"
nothing_refused
