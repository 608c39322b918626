# shellcheck shell=bash
# Echo, names, files, speed tests: the lwAFTR refuses nothing.
traffic
grep -q "^192.0.2.18 .*GET /large" "$LAB/http.log" || fail "the server saw another address than 192.0.2.18"
probe 1460 -M 'do' || { cat "$LAB/probe" && fail "1460 bytes with DF did not pass"; }
refused 1461 1460 || { cat "$LAB/probe" && fail "1461 bytes with DF: no ICMP 3/4 with MTU 1460"; }
probe 4000 -M dont || { cat "$LAB/probe" && fail "4000 bytes in inner fragments: no answer"; }
traceroutes
nothing_refused
