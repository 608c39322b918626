# shellcheck shell=bash
# A port that a rule opens by IPv4, read while the router runs: for whom the rule fits, at once, and for nobody else.
internet || fail "no Internet to begin with"
file=$ROUTER/ipip.toml
cp "$file" "$LAB/ipip.toml"
spawn inside h1 python3 -u -m http.server --bind 0.0.0.0 8080 --directory "$LAB/www"
within 10 "a server on h1" on h1 sh -c "ss -Hlnt 'sport = :8080' | grep -q ."
# reaches ADDRESS. From that address of the Internet.
reaches() {
    rm -f "$LAB/got-8080"
    on inet curl --fail --silent --max-time 2 --interface "$1" "http://$FIXED:8080/small" -o "$LAB/got-8080" &&
        cmp "$LAB/got-8080" "$LAB/www/small"
}
! reaches "$INTERNET" || fail "8080 is open already: this test tests nothing"
cat >>"$file" <<R

[[rule]]
name = "web"
from = "wan"
to = "lan"
protocol = "tcp"
ports = 8080
source = "$INTERNET"
destination = "192.168.7.50"
action = "accept"
R
reload router
within 10 "the port is open for $INTERNET" reaches "$INTERNET"
! reaches "$INTERNET_DNS" || fail "it is open for $INTERNET_DNS, too"
did() { show rules --json | python3 -c 'import json, sys
rules = {rule["name"]: rule for rule in json.load(sys.stdin)}
sys.exit(not (rules["web"]["accepted"] >= 1 and rules["nobody else"]["refused"] >= 1))'; }
did || fail "show rules: $(show rules)"
internet || fail "no Internet any more"
cp "$LAB/ipip.toml" "$file"
reload router
shut() { ! reaches "$INTERNET"; }
within 10 "the port is shut again" shut
stop inside
