# shellcheck shell=bash
# Nobody comes in unasked, also not to a port of the set.
spawn inside h1 python3 -u -m http.server --bind 0.0.0.0 4928 --directory "$LAB/www"
within 5 "a server on h1" on h1 sh -c "ss -Hlnt 'sport = :4928' | grep -q ."
if on inet curl --silent --max-time 2 "http://192.0.2.18:4928/small" -o "$LAB/stolen"; then
    fail "the Internet reached a host's server"
fi
stop inside
