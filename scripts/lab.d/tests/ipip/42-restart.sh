# shellcheck shell=bash
# Ended and started again while a download runs: it goes on, and so do the hosts' echoes. Killed: all sessions are lost.
file=$ROUTER/ipip.toml
stop router
# Without a lease that is given back, as anywhere but in this lab.
sed -i '/^release-at-exit/d' "$file"
again() { spawn router router "$HIKYAKU" run --config "$file"; }
again
within 30 "the Internet answers" internet
slow_download --limit-rate 300k
on h1 ping -n -c 1000 -i 0.02 -W 2 "$INTERNET" >"$LAB/pings" &
pings=$!
sleep 2
stop router
[[ -s $ROUTER/state/sessions.bin ]] || fail "no sessions were saved"
again
within 30 "the Internet answers" internet
downloading || fail "the download ended too soon: this test tests nothing"
wait "$pings" || true
lost=$(awk '/packets transmitted/ { print $1 - $4 }' "$LAB/pings")
printf '%s echoes of 20 ms were lost\n' "$lost"
# The links, one look for routers and the check of our address, a second each (RFC 4862).
((lost < 200)) || fail "too many"
downloaded
grep -q "sessions of before go on" "$LAB/router.log" || fail "no sessions went on"
[[ ! -e $ROUTER/state/sessions.bin ]] || fail "the saved sessions are still there: a kill would bring them back"
kill -KILL "$(pid_of router)"
within 5 "no XDP program on the WAN" has_no_xdp wan
router_start ipip
within 30 "the Internet answers" internet
