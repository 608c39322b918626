# shellcheck shell=bash
# ICMP errors through the NAPT: each hop's comes back to the host that asked.
traceroutes
