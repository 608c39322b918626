# shellcheck shell=bash
# Rules, read while the router runs: one port of a host is open and nothing else of it; what is rejected is refused at once, of both families.
kernel_host h2
within 10 "h2 has an address" has_slaac h2 2001:db8:1012:3401:
within 10 "the Internet answers h2 by IPv6" internet6 h2
address=$(slaac h2)
id=$(python3 -c 'import ipaddress, sys; print(ipaddress.ip_address(int(ipaddress.ip_address(sys.argv[1])) & (1 << 64) - 1))' "$address")
spawn open6 h2 python3 -u -m http.server --bind :: --directory "$LAB/www" 80
listens() { on h2 ss -Hlnt 'sport = :80' | grep -q .; }
within 10 "h2 has an open port" listens
found=$(scan6 "$address")
[[ -z $found ]] || fail "without rules: $found"
downloads small || fail "no download by IPv4 to begin with"
downloads6 h2 small || fail "no download by IPv6 to begin with"
file=$ROUTER/dslite.toml
cp "$file" "$LAB/dslite.toml"
cat >>"$file" <<R

[[rule]]
name = "web"
from = "wan"
to = "lan"
protocol = "tcp"
ports = 80
destination = "::/64+$id"
action = "accept"

[[rule]]
name = "no-web"
from = "lan"
to = "wan"
protocol = "tcp"
ports = [80, 8080]
action = "reject"
R
reload router
from_outside() { on inet curl -6 --fail --silent --max-time 2 "http://[$address]/small" -o "$LAB/got6"; }
within 10 "h2's server is reached from outside" from_outside
cmp "$LAB/got6" "$LAB/www/small" || fail "it came changed"
found=$(scan6 "$address")
[[ $found == "tcp 80 open" ]] || fail "a rule for port 80 has opened: $found"
# 7 is a connection that was refused, 28 one that was waited for.
refused_at_once() {
    local code=0
    on "$1" curl --silent --max-time 20 --output /dev/null "$2" || code=$?
    [[ $code == 7 ]] || fail "$1, $2: curl ended with $code"
}
refused_at_once h1 "http://$INTERNET/small"
refused_at_once h2 "http://[$INTERNET6]:8080/small"
internet || fail "no ping by IPv4 any more"
internet6 h2 || fail "no ping by IPv6 any more"
counted() { show rules --json | python3 -c 'import json, sys
rules = {rule["name"]: rule for rule in json.load(sys.stdin)}
sys.exit(not (rules["web"]["accepted"] >= 2 and rules["no-web"]["refused"] >= 2))'; }
counted || fail "show rules: $(show rules)"
cp "$LAB/dslite.toml" "$file"
reload router
again() { downloads small; }
within 10 "IPv4 is as before" again
found=$(scan6 "$address")
[[ -z $found ]] || fail "with the rules gone: $found"
stop open6
kernel_host_off h2
