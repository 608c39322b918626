# shellcheck shell=bash
# The ISP's router says that it is none (lifetime 0, RFC 4861 6.3.4), and comes back.
stop radvd
grep -q 'sending final\|stopping\|cease' "$LAB/radvd.log" || note "radvd said nothing of a last advertisement"
within 10 "no way out" no_ping "$INTERNET"
for_seconds 2 "no way out" no_ping "$INTERNET"
pings "$GATEWAY" || fail "the LAN has suffered: the gateway does not answer"
start_radvd
within 20 "the Internet answers again" internet
