# shellcheck shell=bash
# ICMP errors to a shared address: each hop's comes back to the host that asked, and none to another.
traceroutes
nothing_refused
