# shellcheck shell=bash
# Through the NAPT: the server sees the fixed address; echo, names, files, both ways.
downloads large || fail "the large file did not come whole"
tail -n 1 "$LAB/http.log"
grep -q "^$FIXED .*GET /large" "$LAB/http.log" || fail "the server saw another address than $FIXED"
ip -n h2 addr replace 192.168.7.51/24 dev eth0
ip -n h2 route replace default via "$GATEWAY"
for host in h1 h2; do
    echoes "$host" "$INTERNET" 20 || fail "$host: not 20 of 20 pings, or some twice"
done
answer=$(on h2 dig +short +time=2 "@$INTERNET_DNS" www.internet.example A)
[[ $answer == "$INTERNET" ]] || fail "www.internet.example is '$answer'"
for way in "" --reverse; do
    iperf --bytes 16M $way || fail "TCP $way did not end"
done
