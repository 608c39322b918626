# shellcheck shell=bash
# Ended and started again: nothing was given back, the IPv4 address is the same (RFC 9096 WPD-9).
line_judged restart
sources=$(sed -n 's/.*through the tunnel from .*: //p' "$LAB/restart-isp.log" | sort -u | tr '\n' ' ')
(($(wc -w <<<"$sources") == 1)) || fail "hosts had one address after the other: $sources"
