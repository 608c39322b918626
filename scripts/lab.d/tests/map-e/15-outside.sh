# shellcheck shell=bash
# Packets of the border router's for a port outside the set, or for another address: dropped, counted, seen by no host.
internet || fail "no Internet to begin with"
near=$(near_end) far=$(far_end)
was=$(drops)
# Ports of our own without a session, of the next PSID, and of everybody.
for port in 4928 4944 4927 80; do tell stray "$far" "$near" 192.0.2.18 "$port"; done
tell stray "$far" "$near" 192.0.2.19 4928
more() { (($(drops) >= was + 5)); }
within 5 "five packets are counted as dropped" more
stop tcpdump-lan INT
none "$LAB/map-e-lan.pcap" "a stray packet on the LAN" 'udp contains "stray"'
spawn tcpdump-lan switch tcpdump -i gate -B 65536 --immediate-mode -U -w "$LAB/map-e-lan2.pcap"
internet || fail "no Internet afterwards"
