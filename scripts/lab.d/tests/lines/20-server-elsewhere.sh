# shellcheck shell=bash
# DHCPv6 answers come from a global address, and are taken (RFC 8415 16).
line_judged server-elsewhere
