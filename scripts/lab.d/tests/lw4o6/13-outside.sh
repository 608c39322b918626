# shellcheck shell=bash
# Packets of the lwAFTR's for a port outside the set or another address: dropped and counted.
internet || fail "no Internet to begin with"
near=$(near_end) far=$(far_end)
was=$(drops)
for port in 4944 4927 80; do tell stray "$far" "$near" 192.0.2.18 "$port"; done
tell stray "$far" "$near" 192.0.2.19 4928
more() { (($(drops) >= was + 4)); }
within 5 "four packets are counted as dropped" more
internet || fail "no Internet afterwards"
