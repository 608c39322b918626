# shellcheck shell=bash
# Ended and started again while a download runs: it goes on, and so do the hosts' echoes, and what comes by native IPv6 to a host
# that says nothing meanwhile, which only a session of before lets in. Killed: all sessions are lost.
file=$ROUTER/ipip.toml
stop router
# Without a lease that is given back, as anywhere but in this lab.
sed -i '/^release-at-exit/d' "$file"
again() { spawn router router "$HIKYAKU" run --config "$file"; }
again
within 30 "the Internet answers" internet
kernel_host h2
within 30 "h2 has an address" has_slaac h2 2001:db8:3012:3400:
within 10 "the Internet answers h2 by IPv6" internet6 h2
on inet timeout 120 python3 -c 'import socket, sys, time
asked = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
asked.bind((sys.argv[1], 9999))
_, host = asked.recvfrom(9)
while True:
    asked.sendto(b"more", host)
    time.sleep(0.05)' "$INTERNET6" &
stream=$!
on h2 timeout 120 python3 -uc 'import socket, sys
asks = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
asks.settimeout(0.2)
heard = False
while True:
    try:
        heard = asks.recv(9)
        print(heard)
    except TimeoutError:
        if not heard:
            asks.sendto(b"please", (sys.argv[1], 9999))' "$INTERNET6" >"$LAB/stream" &
listener=$!
heard() { wc -l <"$LAB/stream"; }
hears_more() { (($(heard) > $1)); }
within 5 "datagrams come by IPv6" hears_more 5
slow_download --limit-rate 300k
on h1 ping -n -c 1000 -i 0.02 -W 2 "$INTERNET" >"$LAB/pings" &
pings=$!
sleep 2
stop router
[[ -s $ROUTER/state/sessions.bin && -s $ROUTER/state/sessions6.bin ]] || fail "no sessions were saved"
again
within 30 "the Internet answers" internet
downloading || fail "the download ended too soon: this test tests nothing"
wait "$pings" || true
lost=$(awk '/packets transmitted/ { print $1 - $4 }' "$LAB/pings")
printf '%s echoes of 20 ms were lost\n' "$lost"
# The links, one look for routers and the check of our address, a second each (RFC 4862).
((lost < 200)) || fail "too many"
downloaded
within 10 "datagrams go on coming by IPv6" hears_more "$(heard)"
kill "$stream" "$listener"
for family in IPv4 IPv6; do
    grep -q "$family sessions of before go on" "$LAB/router.log" || fail "no $family sessions went on"
done
[[ ! -e $ROUTER/state/sessions.bin && ! -e $ROUTER/state/sessions6.bin ]] || fail "the saved sessions are still there: a kill would bring them back"
kill -KILL "$(pid_of router)"
within 5 "no XDP program on the WAN" has_no_xdp wan
router_start ipip
within 30 "the Internet answers" internet
kernel_host_off h2
