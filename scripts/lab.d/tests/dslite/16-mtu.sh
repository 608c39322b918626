# shellcheck shell=bash
# Packets with DF: 1460 bytes pass, 1461 are answered with ICMP 3/4 and 1460 (RFC 2473 7.2).
probe 1460 -M 'do' || { cat "$LAB/probe" && fail "1460 bytes with DF did not pass"; }
for bytes in 1461 1500; do
    refused "$bytes" 1460 || { cat "$LAB/probe" && fail "$bytes bytes with DF: no ICMP 3/4 with MTU 1460"; }
done
