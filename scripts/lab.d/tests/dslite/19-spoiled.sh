# shellcheck shell=bash
# Bad copies before every packet from the tunnel: foreign source, bad inner header. None gets through.
for kind in source checksum length short; do
    tell spoil "$kind"
    echoes h1 "$INTERNET" 10 || fail "spoiled $kind: not 10 of 10, or some twice"
    downloads small || fail "spoiled $kind: a download did not come whole"
done
tell spoil none
