# shellcheck shell=bash
# The router comes up with a binding from DHCPv6 (option 96): B4 address and port set are those of RFC 7596.
static_host
within 30 "the Internet answers" internet
near_end_is "$LW_B4_1" || fail "the tunnel comes from $(near_end), not $LW_B4_1"
nothing_refused
