# shellcheck shell=bash
# Over https: told to the server that our authority vouches for, and never to another.
NOTIFY_URL=https://update.isp.example/request notify_afresh ok
within 20 "the server was told" notified_at_least 1
told "known and tls" || fail "the server was told the wrong thing"
within 5 "the Internet answers" internet

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=another" \
    -keyout "$LAB/another.key" -out "$LAB/another.pem" 2>/dev/null
NOTIFY_CA=$LAB/another.pem NOTIFY_URL=https://update.isp.example/request notify_afresh ok
within 20 "the router tries, and does not like the certificate" grep -q 'handshake failed' "$LAB/notify.log"
(($(notified_times) == 0)) || fail "credentials went to a server that nobody vouches for"
