# shellcheck shell=bash
# Bad copies before every packet from the tunnel: foreign source, bad inner header. None gets through.
for kind in source checksum length short; do
    tell spoil "$kind"
    on h1 ping -n -c 10 -i 0.05 -W 2 "$INTERNET" >"$LAB/probe"
    grep -q '10 received, 0%' "$LAB/probe" || { cat "$LAB/probe" && fail "spoiled $kind: not 10 of 10, or some twice"; }
    downloads small || fail "spoiled $kind: a download did not come whole"
done
tell spoil none
