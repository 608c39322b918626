# shellcheck shell=bash
# Names from the LAN: over UDP, and over TCP when the answer is too large.
answer=$(on h1 dig +short +time=2 "@$INTERNET_DNS" www.internet.example A)
[[ $answer == "$INTERNET" ]] || fail "www.internet.example is '$answer'"
number=$(on h1 dig +short +noedns +time=2 "@$INTERNET_DNS" many.internet.example A | grep -c '^192\.0\.2\.')
((number == 60)) || fail "$number of 60 addresses of many.internet.example"
