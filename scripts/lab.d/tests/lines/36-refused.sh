# shellcheck shell=bash
# Packets from a prefix that is another's now are refused (ICMPv6 1/5): verified at once (RFC 8415 18.2.12).
line_judged refused
