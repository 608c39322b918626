# shellcheck shell=bash
# UDP is endpoint-independent (RFC 4787 4.1): one socket has one port towards all servers; two hundred names are asked.
many ask 2 "$SERVERS:7001"
holds "answered == 100 and not failures" <"$LAB/many.json" || fail "100 questions to fifty servers: $(<"$LAB/many.json")"
holds "len(ports) == 1" <"$LAB/many.json" || fail "one socket was seen with several ports: $(<"$LAB/many.json")"
many hosts 120 "$SERVERS:7002"
holds "answered == 120 and not failures" <"$LAB/many.json" || fail "120 sockets: $(<"$LAB/many.json")"
for _ in {1..200}; do printf 'www.internet.example A\n'; done >"$LAB/questions"
answers=$(on h1 dig +short +time=2 "@$INTERNET_DNS" -f "$LAB/questions" | grep -c "$INTERNET")
((answers == 200)) || fail "$answers of 200 names were answered"
nothing_refused
