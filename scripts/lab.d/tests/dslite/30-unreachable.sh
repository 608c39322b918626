# shellcheck shell=bash
# ICMPv6 unreachable about the tunnel becomes host unreachable for the host (RFC 2473 8.2), while it lasts.
internet || fail "no Internet to begin with"
far=$(far_end)
isp_path unreachable "$far"
within 5 "the host is told" unreachable
isp_path via "$far"
within 20 "the Internet answers again" internet
