# shellcheck shell=bash
# traceroute with UDP and ICMP: first the gateway, last the destination, nothing silent between.
traceroutes
