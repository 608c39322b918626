# shellcheck shell=bash
# The configuration is changed while a download and 500 echoes run: not one is lost, a port is open that was shut; a wrong one changes nothing.
internet || fail "no Internet to begin with"
file=$ROUTER/ipip.toml
cp "$file" "$LAB/ipip.toml"
spawn inside h1 python3 -u -m http.server --bind 0.0.0.0 8080 --directory "$LAB/www"
within 5 "a server on h1" on h1 sh -c "ss -Hlnt 'sport = :8080' | grep -q ."
open() { on inet curl --fail --silent --show-error --max-time 2 "http://$FIXED:443/small" -o "$LAB/got-443" && cmp "$LAB/got-443" "$LAB/www/small"; }
! open || fail "443 is open already: this test tests nothing"
said() { show status --json | python3 -c 'import json, sys; sys.exit(not any(sys.argv[1] in line for line in json.load(sys.stdin)["warnings"]))' "$1"; }
held_download
on h1 ping -n -c 500 -i 0.02 -W 2 "$INTERNET" >"$LAB/pings" &
pings=$!
sed -i 's/^kind = .*/&\nforward = ["tcp\/443=192.168.7.50:8080"]\ntunnel-mtu = 1400/; s/^idle = .*/idle = "spin"/' "$file"
reload router
within 5 "the port is open" open
within 5 "status names what takes a restart" said "[tuning] idle"
refused 1401 1400 || { cat "$LAB/probe" && fail "1401 bytes with DF: no ICMP 3/4 with MTU 1400"; }
printf 'table = "many"\n' >>"$file"
reload router
within 5 "status says that it was refused" said "$file:"
open || fail "a file that was refused has shut the port"
cp "$LAB/ipip.toml" "$file"
reload router
shut() { ! open; }
within 5 "the port is shut again" shut
! said "$file:" || fail "status still complains of the file"
! said "[tuning] idle" || fail "status still names what takes a restart"
downloading || fail "the download has ended"
wait "$pings" || true
grep "packets transmitted" "$LAB/pings"
grep -q " 500 received, 0%" "$LAB/pings" || fail "echoes were lost"
downloaded
stop inside
