# shellcheck shell=bash
# Files over HTTP, one and six at a time, byte for byte.
downloads small || fail "the small file did not come whole"
downloads large || fail "the large file did not come whole"
on h1 curl --fail --silent --show-error --max-time 60 --parallel --parallel-immediate \
    "http://$INTERNET/large" -o "$LAB/got-1" "http://$INTERNET/large" -o "$LAB/got-2" \
    "http://$INTERNET/small" -o "$LAB/got-3" "http://$INTERNET/small" -o "$LAB/got-4" \
    "http://$INTERNET/small" -o "$LAB/got-5" "http://$INTERNET/small" -o "$LAB/got-6" ||
    fail "six downloads at once"
for number in 1 2; do cmp "$LAB/got-$number" "$LAB/www/large"; done
for number in 3 4 5 6; do cmp "$LAB/got-$number" "$LAB/www/small"; done
rm -f "$LAB"/got-?
