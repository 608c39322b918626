# shellcheck shell=bash
# DHCPv6 answers come from a global address, and are taken (RFC 8415 16).
# fails today: what comes from a global address is not taken ~ ^0 of 15 pings
line_judged server-elsewhere
