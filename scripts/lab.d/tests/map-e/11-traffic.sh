# shellcheck shell=bash
# Echo, names, files, speed tests, and two hosts at once with the same port: the border router refuses nothing.
traffic
grep -q "^192.0.2.18 .*GET /large" "$LAB/http.log" || fail "the server saw another address than 192.0.2.18"
ip -n h2 addr replace 192.168.7.51/24 dev eth0
ip -n h2 route replace default via "$GATEWAY"
for host in h1 h2; do
    on "$host" curl --fail --silent --show-error --max-time 20 --local-port 40000 -o "$LAB/got-$host" "http://$INTERNET/large" &
done
wait
for host in h1 h2; do cmp "$LAB/got-$host" "$LAB/www/large" || fail "$host: the download is not the file"; done
rm -f "$LAB"/got-h?
nothing_refused
