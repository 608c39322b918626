# shellcheck shell=bash
# A hundred datagrams that nobody answers are no sign that the far end is dead: a connection that is idle meanwhile lives.
isp_name "$AFTR1" "$AFTR2"
was=$(asked)
within $((AFTR_TTL + 15)) "the router asks for the name again" asked_more_than "$was"
within 5 "the Internet answers" internet
far=$(far_end)
# Behind the far end, where silence is.
silent=203.0.113.99
ip -n aftr route replace blackhole "$silent/32"
on h1 python3 - "$INTERNET" "$silent" <<'P' || fail "the connection did not live"
import socket, sys, time
server, silent = sys.argv[1:]
connection = socket.create_connection((server, 7001), 5)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(160):
    datagrams.sendto(bytes(100), (silent, 5004))
    time.sleep(0.05)
connection.settimeout(10)
connection.sendall(b"alive\n")
sys.exit(not connection.recv(100).startswith(b"alive "))
P
far_end_is "$far" || fail "the far end was left: $far for $(far_end)"
